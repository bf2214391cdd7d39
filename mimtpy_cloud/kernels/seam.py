"""How well two overlapping products agree: summary of their difference, line of one against the other, histograms."""

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np

from mimtpy_cloud.kernels.offset import summarise_differences

__all__ = ["JOINT", "STATISTICS", "SeamSummary", "common_values", "fit_line", "sigma_edges", "summarise_seam"]

#: Names of the statistics, in their order.
STATISTICS = ("median", "mad", "sigma", "mean", "rms", "slope", "intercept", "correlation", "count")
#: Classes a side of the joint histogram.
JOINT = 80
#: Median absolute deviation of a normal distribution over its standard deviation, Phi^-1(3/4).
_MAD_OVER_SIGMA = 0.6744897501960817
#: Reach of the default classes on both sides of the median, in robust standard deviations.
_REACH = 4.0
#: Reach where all differences are equal.
_TINY = 1e-3
#: Values that are worked on at a time.
_PIECE = 1 << 20
#: Percentiles that the joint histogram covers.
_COVERED = (0.2, 99.8)


class SeamSummary(NamedTuple):
    """
    Statistics of a seam.

    Attributes
    ----------
    statistics : np.ndarray
        Those of `STATISTICS`, float64; NaN without pixels, but for the count.
    edges : np.ndarray
        Edges of the classes of the difference, in its unit, shape ``(bin + 1,)``.
    histogram : np.ndarray
        Number of differences in each class, shape ``(bin,)``; the last class holds its upper edge.
    joint_edges : np.ndarray
        Edges of the classes of first and second, in their unit, shape ``(JOINT + 1,)``.
    joint : np.ndarray
        Number of pixels in each class of first and second, shape ``(JOINT, JOINT)``.
    """

    statistics: np.ndarray
    edges: np.ndarray
    histogram: np.ndarray
    joint_edges: np.ndarray
    joint: np.ndarray


def common_values(
    first: np.ndarray,
    second: np.ndarray,
    first_valid: np.ndarray | None = None,
    second_valid: np.ndarray | None = None,
) -> np.ndarray:
    """
    Blank both products where either lacks data.

    Parameters
    ----------
    first, second : np.ndarray
        Values of one unit, shape ``(y, x)``; NaN is no data.
    first_valid, second_valid : np.ndarray, optional
        True is usable.

    Returns
    -------
    np.ndarray
        First and second, shape ``(2, y, x)``, NaN where either is not finite or not usable.

    Examples
    --------
    >>> common_values(np.array([[1.0, 2.0]]), np.array([[np.nan, 5.0]])).tolist()
    [[[nan, 2.0]], [[nan, 5.0]]]
    """
    values = np.stack([first, second])
    known = np.isfinite(values).all(axis=0)
    for valid in (first_valid, second_valid):
        if valid is not None:
            known &= valid
    values[:, ~known] = np.nan
    return values


def fit_line(first: np.ndarray, second: np.ndarray) -> tuple[float, float, float]:
    """
    Fit the straight line of second against first that is nearest to the points, and correlate them.

    Parameters
    ----------
    first, second : np.ndarray
        Values of one unit, one-dimensional, without NaN.

    Returns
    -------
    slope, intercept : float
        Of ``second = slope * first + intercept``; the intercept is in the unit of the values. NaN if there is no such
        line: fewer than two different points, a vertical line, or a cloud that is as wide as long.
    correlation : float
        Pearson's; NaN if one of them is constant.

    Notes
    -----
    Orthogonal regression (total least squares), which takes both products to be equally noisy and gives the inverse
    slope when they are exchanged: with centred sums of squares and products,
    ``slope = (S22 - S11 + sqrt((S22 - S11)^2 + 4 S12^2)) / (2 S12)`` [1]_. Ordinary regression would give a slope
    below one for two equal products with noise. Where the products hold little signal, and the correlation is small,
    the slope says little.

    References
    ----------
    .. [1] Fuller, W. A. (1987), Measurement Error Models, Wiley, doi:10.1002/9780470316665, equation 1.3.7 for equal
       error variances.

    Examples
    --------
    >>> [round(v, 9) for v in fit_line(np.array([0.0, 1.0, 2.0]), np.array([1.0, 3.0, 5.0]))]
    [2.0, 1.0, 1.0]
    """
    if first.size == 0:
        return np.nan, np.nan, np.nan
    mean_first, mean_second = first.mean(dtype=np.float64), second.mean(dtype=np.float64)
    s11 = s22 = s12 = 0.0
    for piece in _pieces(first.size):
        x, y = first[piece] - mean_first, second[piece] - mean_second
        s11, s22, s12 = s11 + float(np.sum(x * x)), s22 + float(np.sum(y * y)), s12 + float(np.sum(x * y))
    with np.errstate(invalid="ignore", divide="ignore"):
        correlation = float(np.clip(s12 / np.sqrt(s11) / np.sqrt(s22), -1.0, 1.0)) if s11 and s22 else np.nan
    apart = s22 - s11
    if s12 == 0:
        slope = 0.0 if apart < 0 else np.nan
    elif apart > 0:
        slope = (apart + np.hypot(apart, 2 * s12)) / (2 * s12)
    else:  # the same, without cancellation
        slope = 2 * s12 / (np.hypot(apart, 2 * s12) - apart)
    return float(slope), float(mean_second - slope * mean_first), correlation


def sigma_edges(difference: np.ndarray, median: float, sigma: float, n: int) -> np.ndarray:
    """
    Choose classes about the median by the robust standard deviation.

    Parameters
    ----------
    difference : np.ndarray
        One-dimensional, without NaN.
    median, sigma : float
        Of them, as `summarise_differences` gives them; NaN if there are none.
    n : int
        Number of classes.

    Returns
    -------
    np.ndarray
        ``n + 1`` edges from four sigma below the median to four above it; where sigma is zero, the classes hold all
        differences.

    Examples
    --------
    >>> sigma_edges(np.array([0.0]), 1.0, 0.5, 4).tolist()
    [-1.0, 0.0, 1.0, 2.0, 3.0]
    """
    if not difference.size:
        return np.full(n + 1, np.nan)
    reach = _REACH * sigma or 1.001 * float(np.abs(difference - median).max()) or _TINY
    return np.linspace(median - reach, median + reach, n + 1)


def summarise_seam(values: np.ndarray, bins: int | np.ndarray) -> SeamSummary:
    """
    Summarise the difference of two products, and the one against the other.

    Parameters
    ----------
    values : np.ndarray
        First and second, shape ``(2, y, x)``, as `common_values` gives them.
    bins : int or np.ndarray
        Number of classes of the difference, of which `sigma_edges` chooses the edges, or increasing edges in the unit
        of the values.

    Returns
    -------
    SeamSummary
        Of first minus second, and of second against first.

    See Also
    --------
    mimtpy_cloud.ops.overlap.compare_overlap : The same, lazily.

    Notes
    -----
    Sums run over the pixels row by row, in float64, so that they do not depend on how the pixels were divided. The
    difference is made in the dtype of the values, as `valid_differences` does.

    Examples
    --------
    >>> first = np.array([[0.003, 0.004, np.nan]])
    >>> summary = summarise_seam(np.stack([first, first - 0.003]), 2)
    >>> [round(float(v), 9) for v in summary.statistics[[0, 3, 5, 8]]]
    [0.003, 0.003, 1.0, 2.0]
    """
    known = np.isfinite(values[0])
    first, second = values[0][known], values[1][known]
    difference = first - second
    median, sigma, count = summarise_differences([difference])
    mean = rms = np.nan
    if count:
        squares = sum(float(np.square(difference[piece], dtype=np.float64).sum()) for piece in _pieces(difference.size))
        mean, rms = float(difference.mean(dtype=np.float64)), float(np.sqrt(squares / count))
    edges = sigma_edges(difference, median, sigma, bins) if isinstance(bins, int) else bins.astype(np.float64)
    histogram = _count(difference, edges)
    joint_edges = _joint_edges(first, second)
    joint = _count_both(first, second, joint_edges)
    statistics = np.array([median, _MAD_OVER_SIGMA * sigma, sigma, mean, rms, *fit_line(first, second), count])
    return SeamSummary(statistics, edges, histogram, joint_edges, joint)


def _count(difference: np.ndarray, edges: np.ndarray) -> np.ndarray:
    if not difference.size:
        return np.zeros(edges.size - 1)
    counts, _ = np.histogram(difference.astype(np.float64), edges)
    return counts


def _count_both(first: np.ndarray, second: np.ndarray, edges: np.ndarray) -> np.ndarray:
    """Count pairs in even classes; those beyond the edges do not count."""
    counts = np.zeros(JOINT * JOINT)
    for piece in _pieces(first.size):
        row, col = (
            np.floor((values[piece].astype(np.float64) - edges[0]) * (JOINT / (edges[-1] - edges[0])))
            for values in (first, second)
        )
        inside = (row >= 0) & (row < JOINT) & (col >= 0) & (col < JOINT)
        counts += np.bincount((row[inside] * JOINT + col[inside]).astype(np.int64), minlength=JOINT * JOINT)
    return counts.reshape(JOINT, JOINT)


def _pieces(size: int) -> Iterator[slice]:
    """Parts of a long array, so that intermediate results stay small."""
    return (slice(start, start + _PIECE) for start in range(0, size, _PIECE))


def _joint_edges(first: np.ndarray, second: np.ndarray) -> np.ndarray:
    """Classes for both, so that equal values lie on the diagonal; nearly all pixels are inside."""
    if not first.size:
        return np.full(JOINT + 1, np.nan)
    step = first.size // _PIECE + 1  # a sample is enough
    ends = np.array([np.percentile(values[::step].astype(np.float64), _COVERED) for values in (first, second)])
    low, high = float(ends[:, 0].min()), float(ends[:, 1].max())
    margin = 0.05 * (high - low) or _TINY
    return np.linspace(low - margin, high + margin, JOINT + 1)
