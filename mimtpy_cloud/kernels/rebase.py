"""Refer time series to one of their dates."""

from collections.abc import Sequence

import numpy as np

__all__ = ["rebase", "rebased_difference"]


def rebase(block: np.ndarray, date: int, first: int, valid: np.ndarray | None = None) -> np.ndarray:
    """
    Take one date of a series relative to another.

    Parameters
    ----------
    block : np.ndarray
        Displacement in m, float32 of shape ``(time, y, x)``; NaN is no data.
    date, first : int
        Index of the date, and of the one that becomes zero.
    valid : np.ndarray, optional
        Where the series is usable, booleans of shape ``(y, x)``.

    Returns
    -------
    np.ndarray
        ``block[date] - block[first]`` in m, float32 of shape ``(y, x)``; NaN where either lacks data or is not valid.

    Examples
    --------
    >>> rebase(np.array([[[1.0, 2.0]], [[4.0, 9.0]]], np.float32), 1, 0, np.array([[True, False]])).tolist()
    [[3.0, nan]]
    """
    out: np.ndarray = np.subtract(block[date], block[first], dtype=np.float32)
    if valid is not None:
        np.copyto(out, np.float32(np.nan), where=~valid)
    return out


def rebased_difference(
    blocks: Sequence[np.ndarray],
    dates: Sequence[Sequence[int]],
    first: Sequence[int],
    valid: Sequence[np.ndarray | None],
) -> np.ndarray:
    """
    Subtract two series that are each referred to their first common date.

    Parameters
    ----------
    blocks : sequence of np.ndarray
        Two displacement series in m, float32 of shape ``(time, y, x)``.
    dates : sequence of sequence of int
        For each, the indices of common dates.
    first : sequence of int
        For each, the index of the first common date.
    valid : sequence of np.ndarray or None
        For each, where it is usable.

    Returns
    -------
    np.ndarray
        First minus second in m, float32 of shape ``(date, y, x)``; NaN where either lacks data.

    Examples
    --------
    >>> a, b = (np.array(values, np.float32).reshape(2, 1, 1) for values in ([1, 4], [7, 8]))
    >>> rebased_difference([a, b], [[0, 1], [0, 1]], [0, 0], [None, None]).ravel().tolist()
    [0.0, 2.0]
    """
    a, b = blocks
    out = np.empty((len(dates[0]), *a.shape[1:]), np.float32)
    for target, i, j in zip(out, *dates, strict=True):
        np.subtract(rebase(a, i, first[0], valid[0]), rebase(b, j, first[1], valid[1]), out=target)
    return out
