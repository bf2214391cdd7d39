"""How well a product agrees with stations: residuals, their summary, and how they differ between pairs of stations."""

import numpy as np

from mimtpy_cloud.kernels.tie import fit_constant
from mimtpy_cloud.kernels.york import fit_york

__all__ = ["ONE_SIGMA", "STATISTICS", "summarise_pairs", "summarise_residuals"]

#: Names of the statistics, in their order.
STATISTICS = (
    "count",
    "offset",
    "offset_std",
    "noise",
    "median",
    "mad",
    "rms",
    "rms_after",
    "slope",
    "slope_std",
    "intercept",
    "intercept_std",
    "correlation",
    "chi2",
)
#: Share of a normal distribution within one standard deviation.
ONE_SIGMA = 0.6826894921370859


def summarise_residuals(
    observed: np.ndarray, expected: np.ndarray, observed_std: np.ndarray, expected_std: np.ndarray
) -> np.ndarray:
    """
    Summarise what a product and stations say of one component.

    Parameters
    ----------
    observed, expected : np.ndarray
        Product and stations, of one unit, shape ``(station,)``. NaN in either is no data.
    observed_std, expected_std : np.ndarray
        Their standard deviations. Those that are NaN or not positive are taken as the median of the others, or as zero
        if there are none.

    Returns
    -------
    np.ndarray
        The `STATISTICS`, shape ``(14,)``, float64. With the residual observed minus expected: number of stations; its
        robust constant with its standard deviation and the noise beyond the sigmas, of `fit_constant`; its median,
        median absolute deviation from it, rms, and rms after the constant is subtracted; slope and intercept of the
        line ``observed = slope * expected + intercept`` with their standard deviations, and Pearson's correlation; chi
        squared after the constant, a degree of freedom, without the noise. NaN where they are not determined.

    See Also
    --------
    mimtpy_cloud.ops.validation.compare_gnss : The same, lazily.

    Notes
    -----
    The line is a robust one of York, as stations and product both have errors: ordinary regression would make the slope
    too small. The noise counts as one of the product.

    Examples
    --------
    >>> expected = np.array([0.0, 1.0, 2.0, 3.0])
    >>> found = summarise_residuals(expected + 5.0, expected, np.full(4, 0.1), np.full(4, 0.1))
    >>> [round(float(v), 9) for v in found[[0, 1, 6, 7, 8, 10]]]
    [4.0, 5.0, 5.0, 0.0, 1.0, 5.0]
    """
    known = np.isfinite(observed) & np.isfinite(expected)
    y, x = observed[known].astype(np.float64), expected[known].astype(np.float64)
    if y.size == 0:
        return np.array([0.0, *[np.nan] * (len(STATISTICS) - 1)])
    var_y, var_x = (_filled(sigma[known]) ** 2 for sigma in (observed_std, expected_std))
    total = np.sqrt(var_x + var_y)
    residual = y - x
    offset, offset_std, noise, _ = fit_constant(residual, total)
    after = residual - offset
    median = float(np.median(residual))
    with_noise = np.sqrt(var_y + noise**2) if (total > 0).all() or noise > 0 else np.ones_like(y)
    line = fit_york(x, y, np.sqrt(var_x), with_noise, robust=True)
    both = y.size > 2 and np.ptp(x) > 0 and np.ptp(y) > 0
    correlation = float(np.corrcoef(x, y)[0, 1]) if both else np.nan
    known_errors = y.size > 1 and bool((total > 0).all())
    chi2 = float(((after / total) ** 2).sum()) / (y.size - 1) if known_errors else np.nan
    mad = float(np.median(np.abs(residual - median)))
    rms, rms_after = (float(np.sqrt(np.mean(values**2))) for values in (residual, after))
    line_numbers = (line.slope, line.slope_std, line.intercept, line.intercept_std)
    return np.array([y.size, offset, offset_std, noise, median, mad, rms, rms_after, *line_numbers, correlation, chi2])


def _filled(sigma: np.ndarray) -> np.ndarray:
    """Standard deviations, the median of the known ones where there is none."""
    values = sigma.astype(np.float64)
    known = np.isfinite(values) & (values > 0)
    return np.where(known, values, np.median(values[known]) if known.any() else 0.0)


def summarise_pairs(
    difference: np.ndarray, distance_km: np.ndarray, edges: np.ndarray, limits: np.ndarray, reach: tuple[float, float]
) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """
    Summarise how residuals differ between two stations, by their distance.

    Parameters
    ----------
    difference : np.ndarray
        Absolute difference of the residuals of each pair, shape ``(component, pair)``; NaN is no data.
    distance_km : np.ndarray
        Their distance, shape ``(pair,)``.
    edges : np.ndarray
        Edges of the classes of distance, increasing; the last class holds its upper edge. Pairs beyond do not count.
    limits : np.ndarray
        Differences to be kept, shape ``(limit,)``.
    reach : tuple of float
        Smallest and largest distance at which they are to be kept.

    Returns
    -------
    rms : np.ndarray
        Root mean square of the differences in each class, shape ``(component, class)``; NaN without pairs.
    count : np.ndarray
        Pairs in each class.
    share : np.ndarray
        Share of the pairs of each class that are at most the limit, shape ``(component, limit, class)``.
    within : np.ndarray
        The same of all pairs in reach, shape ``(component, limit)``.
    within_count : np.ndarray
        Pairs in reach, shape ``(component,)``.

    Examples
    --------
    >>> rms, count, _, within, _ = summarise_pairs(
    ...     np.array([[3.0, 4.0, 1.0]]),
    ...     np.array([1.0, 2.0, 9.0]),
    ...     np.array([0.0, 5.0, 10.0]),
    ...     limits=np.array([3.5]),
    ...     reach=(0.0, 5.0),
    ... )
    >>> count.tolist(), round(float(rms[0, 0]), 3), float(within[0, 0])
    ([[2, 1]], 3.536, 0.5)
    """
    at = np.searchsorted(edges, distance_km, side="right") - 1
    at = np.where(distance_km == edges[-1], edges.size - 2, at)
    inside = (at >= 0) & (at < edges.size - 1)
    near = (distance_km >= reach[0]) & (distance_km <= reach[1])
    known = np.isfinite(difference)
    kept = known[:, None, :] & (difference[:, None, :] <= limits[:, None])
    count, under = _count(known, at, inside, edges.size - 1), _count(kept, at, inside, edges.size - 1)
    squares = _count(known, at, inside, edges.size - 1, np.where(known, difference, 0.0) ** 2)
    within_count = (known & near).sum(axis=-1)
    with np.errstate(invalid="ignore", divide="ignore"):
        rms = np.sqrt(squares / count)
        share = under / count[:, None, :]
        within = (kept & near).sum(axis=-1) / within_count[:, None]
    return rms, count.astype(np.int64), share, within, within_count.astype(np.int64)


def _count(
    use: np.ndarray, at: np.ndarray, inside: np.ndarray, size: int, weights: np.ndarray | None = None
) -> np.ndarray:
    """Number of pairs in each class, or the sum of their weights, along the last axis."""
    out = np.zeros((*use.shape[:-1], size))
    for k in np.ndindex(*use.shape[:-1]):
        chosen = use[k] & inside
        out[k] = np.bincount(at[chosen], None if weights is None else weights[k][chosen], minlength=size)
    return out
