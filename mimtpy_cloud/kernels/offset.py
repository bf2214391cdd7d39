"""Differences between two overlapping blocks, and their robust summary."""

from collections.abc import Sequence

import numpy as np

__all__ = ["summarise_differences", "valid_differences"]

#: Standard deviation of a normal distribution over its median absolute deviation, 1 / Phi^-1(3/4).
_SIGMA_OVER_MAD = 1.482602218505602


def valid_differences(first: np.ndarray, second: np.ndarray) -> np.ndarray:
    """
    Collect first minus second where both have data.

    Parameters
    ----------
    first, second : np.ndarray
        Values of one unit, of equal shape; NaN is no data.

    Returns
    -------
    np.ndarray
        Differences, one-dimensional, only the valid ones, in the dtype of the input.

    Examples
    --------
    >>> valid_differences(np.array([3.0, np.nan, 5.0]), np.array([1.0, 2.0, np.nan])).tolist()
    [2.0]
    """
    difference: np.ndarray = first - second
    known: np.ndarray = difference[np.isfinite(difference)]
    return known


def summarise_differences(parts: Sequence[np.ndarray]) -> np.ndarray:
    """
    Summarise differences by median, robust standard deviation and number.

    Parameters
    ----------
    parts : sequence of np.ndarray
        One-dimensional pieces without NaN, in any order.

    Returns
    -------
    np.ndarray
        Median, 1.4826 times the median absolute deviation about it (both in the unit of the input), and the
        number of values, shape ``(3,)``, float64. The first two are NaN where there is no value.

    Notes
    -----
    Needs one copy of the pieces, in their dtype: a median has no smaller state.

    References
    ----------
    .. [1] Rousseeuw, P. J. and Croux, C. (1993), Alternatives to the median absolute deviation, Journal of the
       American Statistical Association, 88, 1273-1283, doi:10.1080/01621459.1993.10476408.

    Examples
    --------
    >>> summarise_differences([np.array([3.0, 3.0]), np.array([-94.0])]).tolist()
    [3.0, 0.0, 3.0]
    """
    values = np.concatenate([*parts, np.empty(0, np.float32)])
    if values.size == 0:
        return np.array([np.nan, np.nan, 0.0])
    median = np.median(values, overwrite_input=True)
    values -= median
    mad = np.median(np.abs(values, out=values), overwrite_input=True)
    return np.array([median, _SIGMA_OVER_MAD * float(mad), values.size], np.float64)
