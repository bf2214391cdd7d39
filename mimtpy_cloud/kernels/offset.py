"""Differences between two overlapping blocks, and their robust summary."""

from collections.abc import Sequence

import numpy as np

__all__ = [
    "difference",
    "half_sample_mode",
    "level_known",
    "level_vertical",
    "summarise_differences",
    "valid_differences",
    "vertical_difference",
    "vertical_tilt",
]

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


def difference(first: np.ndarray, second: np.ndarray, *predicted: np.ndarray) -> np.ndarray:
    """
    Subtract overlapping blocks, and what a known motion makes of their different looks.

    Parameters
    ----------
    first, second : np.ndarray
        Values of one unit, of equal shape; NaN is no data.
    *predicted : np.ndarray
        For each component of the known motion: the component, and its look of the first and of the second block; all
        of the same shape. A component that is NaN makes the difference NaN.

    Returns
    -------
    np.ndarray
        ``first - second - sum component (look_first - look_second)``, float32; NaN where either lacks data.

    Examples
    --------
    A rise of 8 is seen as 6 by the first and as 4 by the second look:

    >>> difference(np.array([6.0]), np.array([4.0]), np.array([8.0]), np.array([0.75]), np.array([0.5])).tolist()
    [0.0]
    """
    out = first.astype(np.float64) - second
    for component, look_first, look_second in zip(*[iter(predicted)] * 3, strict=True):
        out -= component * (look_first.astype(np.float64) - look_second)
    result: np.ndarray = out.astype(np.float32)
    return result


def vertical_difference(
    first: np.ndarray, second: np.ndarray, up_first: np.ndarray, up_second: np.ndarray
) -> np.ndarray:
    """
    Subtract overlapping blocks as if all motion were vertical.

    Parameters
    ----------
    first, second : np.ndarray
        LOS values of one unit, of equal shape; NaN is no data.
    up_first, up_second : np.ndarray
        Up component of the look of each.

    Returns
    -------
    np.ndarray
        Difference of the vertical motions that the two see, seen along the mean look:
        ``(first / up_first - second / up_second) * harmonic mean of up``, float32.

    Examples
    --------
    >>> vertical_difference(np.array([6.0]), np.array([4.0]), np.array([0.75]), np.array([0.5])).tolist()
    [0.0]
    """
    scaled = first.astype(np.float64) * up_second - second.astype(np.float64) * up_first
    result: np.ndarray = (2 * scaled / (up_first.astype(np.float64) + up_second)).astype(np.float32)
    return result


def vertical_tilt(
    first: np.ndarray, second: np.ndarray, up_first: np.ndarray, up_second: np.ndarray
) -> tuple[float, int]:
    """
    Tell how much more the first of two blocks counts in `vertical_difference`.

    Parameters
    ----------
    first, second, up_first, up_second : np.ndarray
        As for `vertical_difference`.

    Returns
    -------
    total : float
        Sum over the pixels of ``(up_second - up_first) / (up_first + up_second)``: the difference is ``1 + tilt`` times
        the first minus ``1 - tilt`` times the second.
    count : int
        Pixels with data.

    Examples
    --------
    >>> vertical_tilt(np.array([6.0]), np.array([4.0]), np.array([0.75]), np.array([0.5]))
    (-0.2, 1)
    """
    up = up_first.astype(np.float64) + up_second
    tilt = (up_second.astype(np.float64) - up_first) / up
    known = np.isfinite(tilt) & np.isfinite(first) & np.isfinite(second)
    return float(tilt[known].sum()), int(known.sum())


def level_known(first: np.ndarray, second: np.ndarray, *predicted: np.ndarray) -> np.ndarray:
    """
    Take half of what a known motion makes of different looks from each of two blocks.

    Parameters
    ----------
    first, second, *predicted : np.ndarray
        As for `difference`.

    Returns
    -------
    np.ndarray
        Both, as if seen along their mean look, float32, stacked along a first axis; their difference is that of
        `difference`.

    Examples
    --------
    >>> level_known(np.array([6.0]), np.array([4.0]), np.array([8.0]), np.array([0.75]), np.array([0.5])).tolist()
    [[5.0], [5.0]]
    """
    half = np.zeros(first.shape)
    for component, look_first, look_second in zip(*[iter(predicted)] * 3, strict=True):
        half += component * (look_first.astype(np.float64) - look_second) / 2
    return np.stack([first - half, second + half]).astype(np.float32)


def level_vertical(first: np.ndarray, second: np.ndarray, up_first: np.ndarray, up_second: np.ndarray) -> np.ndarray:
    """
    Look at two blocks along their mean look, as if all motion were vertical.

    Parameters
    ----------
    first, second, up_first, up_second : np.ndarray
        As for `vertical_difference`.

    Returns
    -------
    np.ndarray
        Both, times the harmonic mean of up over their own up, float32, stacked along a first axis; their difference is
        that of `vertical_difference`.

    Examples
    --------
    >>> level_vertical(np.array([3.0]), np.array([1.0]), np.array([0.75]), np.array([0.25])).tolist()
    [[1.5], [1.5]]
    """
    both = up_first.astype(np.float64) + up_second
    return np.stack([2 * first * up_second / both, 2 * second * up_first / both]).astype(np.float32)


def half_sample_mode(values: np.ndarray) -> float:
    """
    Find the densest place of a sample.

    Parameters
    ----------
    values : np.ndarray
        One-dimensional, without NaN, at least one.

    Returns
    -------
    float
        Half-sample mode [1]_, in the unit of the input: robust where up to half of the values, all on one side, belong
        to something else.

    References
    ----------
    .. [1] D. R. Bickel and R. Fruehwirth, 2006, On a fast, robust estimator of the mode, Computational Statistics &
       Data Analysis, 50, 3500-3530, DOI 10.1016/j.csda.2005.07.011.

    Examples
    --------
    >>> half_sample_mode(np.array([1.0, 2.0, 2.1, 2.2, 9.0, 30.0]))
    2.1
    """
    ordered = np.sort(np.asarray(values, np.float64))
    while ordered.size > 3:
        half = -(-ordered.size // 2)
        width = ordered[half - 1 :] - ordered[: ordered.size - half + 1]
        start = int(np.flatnonzero(width == width.min()).mean())
        ordered = ordered[start : start + half]
    if ordered.size == 3:
        low, high = ordered[1] - ordered[0], ordered[2] - ordered[1]
        return float(ordered[1] if low == high else ordered[:2].mean() if low < high else ordered[1:].mean())
    return float(ordered.mean())
