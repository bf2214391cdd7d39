"""Pixels of a rectangle across a fault: where they lie in it, in which bin, and what they say there."""

import math
from typing import Any

import numpy as np
from numba import njit

__all__ = [
    "MOST_PAIRED",
    "bin_indices",
    "bin_statistics",
    "effective_counts",
    "line_crossings",
    "rotate_to_strike",
]

_compiled = njit(cache=True, nogil=True, error_model="numpy", fastmath={"contract", "reassoc", "nsz", "arcp"})
#: Most pixels of a bin whose pairs are all summed; of more, as many are drawn.
MOST_PAIRED = 1000
#: Key of that draw.
_SEED = 0


def rotate_to_strike(east: Any, north: Any, strike: float) -> tuple[Any, Any]:
    """
    Turn coordinates or motions east and north into those across and along a fault.

    Parameters
    ----------
    east, north : array_like
        In one unit, from a point of the fault.
    strike : float
        Direction of the fault, degrees clockwise from north.

    Returns
    -------
    across : array_like
        Positive 90 degrees clockwise of strike, to the right of the fault as it runs.
    along : array_like
        Positive in the direction of strike.

    Notes
    -----
    ``across = E cos(s) - N sin(s)``, ``along = E sin(s) + N cos(s)`` with the strike s.

    Examples
    --------
    Of a fault that runs to the east, south is on the right:

    >>> across, along = rotate_to_strike(2.0, -3.0, 90.0)
    >>> round(across, 9), round(along, 9)
    (3.0, 2.0)
    """
    s = math.radians(strike)
    return east * math.cos(s) - north * math.sin(s), east * math.sin(s) + north * math.cos(s)


def bin_indices(distance: np.ndarray, edges: np.ndarray) -> np.ndarray:
    """
    Find the bin of each distance.

    Parameters
    ----------
    distance : np.ndarray
        Shape ``(pixel,)``.
    edges : np.ndarray
        Edges of the bins, increasing, in the same unit.

    Returns
    -------
    np.ndarray
        Integers, -1 outside. A value on an edge belongs to the bin above it, on the last edge to the last bin.

    Examples
    --------
    >>> bin_indices(np.array([-4.0, -2.0, 4.0, 4.1]), np.array([-4.0, -2.0, 4.0])).tolist()
    [0, 1, 1, -1]
    """
    found = np.searchsorted(edges, distance, side="right") - 1
    found = np.where(distance == edges[-1], edges.size - 2, found)
    return np.where((found < 0) | (found > edges.size - 2), -1, found)


def bin_statistics(values: np.ndarray, bins: np.ndarray, count: int, quantiles: tuple[float, ...]) -> np.ndarray:
    """
    Summarise the values of each bin.

    Parameters
    ----------
    values : np.ndarray
        Shape ``(pixel,)``; NaN is no data.
    bins : np.ndarray
        Bin of each, from `bin_indices`.
    count : int
        Number of bins.
    quantiles : tuple of float
        From 0 to 1.

    Returns
    -------
    np.ndarray
        Float64, shape ``(5 + quantile, bin)``: mean, median, standard deviation (divided by n), median absolute
        deviation from the median, number of values, and the quantiles, linear between values; NaN in a bin without
        values, but for their number.

    Examples
    --------
    >>> bin_statistics(np.array([1.0, 3.0, np.nan]), np.array([0, 0, 1]), 2, (0.5,))[:5, 0].tolist()
    [2.0, 2.0, 1.0, 1.0, 2.0]
    """
    known = np.isfinite(values) & (bins >= 0)
    order = np.argsort(bins[known], kind="stable")
    values, bins = values[known][order], bins[known][order]
    edges = np.searchsorted(bins, np.arange(count + 1))
    out = np.full((5 + len(quantiles), count), np.nan)
    out[4] = np.diff(edges)
    for k in np.flatnonzero(out[4]):
        here = values[edges[k] : edges[k + 1]]
        median, *rest = np.quantile(here, (0.5, *quantiles))
        out[:4, k] = here.mean(), median, here.std(), np.median(np.abs(here - median))
        out[5:, k] = rest
    return out


def effective_counts(
    known: np.ndarray, bins: np.ndarray, x_km: np.ndarray, y_km: np.ndarray, count: int, range_km: float
) -> np.ndarray:
    """
    Count how many independent values the correlated ones of each bin are worth.

    Parameters
    ----------
    known : np.ndarray
        Whether a pixel has a value, shape ``(pixel,)``.
    bins : np.ndarray
        Bin of each.
    x_km, y_km : np.ndarray
        Where it lies in a plane.
    count : int
        Number of bins.
    range_km : float
        Distance over which the correlation falls to 1/e.

    Returns
    -------
    np.ndarray
        Float64, shape ``(bin,)``, from 1 to the number of values; 0 in an empty bin.

    Notes
    -----
    ``n^2 / sum_ij rho_ij`` with ``rho = exp(-d / range)``: the variance of a mean is that of one value divided by it.
    Of more than `MOST_PAIRED` values in a bin, as many drawn at random, always the same, give the mean of rho over
    pairs; every nth in the order of rows would prefer pairs of one column.

    Examples
    --------
    >>> x = np.array([0.0, 0.0, 100.0])
    >>> effective_counts(np.ones(3, bool), np.zeros(3, int), x, np.zeros(3), 1, 1.0).round(6).tolist()
    [1.8]
    """
    used = np.flatnonzero(known & (bins >= 0))
    used = used[np.argsort(bins[used], kind="stable")]
    edges = np.searchsorted(bins[used], np.arange(count + 1))
    out = np.zeros(count)
    for k, n in enumerate(np.diff(edges)):
        here = used[edges[k] : edges[k + 1]]
        if n > MOST_PAIRED:
            here = here[np.random.default_rng(_SEED).choice(n, MOST_PAIRED, replace=False)]
        if n:
            out[k] = n / (1.0 + (n - 1) * _mean_correlation(x_km[here], y_km[here], range_km))
    return out


@_compiled
def _mean_correlation(x, y, range_km):  # type: ignore[no-untyped-def]
    """Mean of the correlation over pairs of two different values; zero of one value."""
    total, n = 0.0, x.size
    for i in range(n):
        for j in range(i):
            total += math.exp(-math.sqrt((x[i] - x[j]) ** 2 + (y[i] - y[j]) ** 2) / range_km)
    return 2.0 * total / (n * (n - 1)) if n > 1 else 0.0


def line_crossings(profile: np.ndarray, line: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """
    Find where a bent line crosses a straight profile.

    Parameters
    ----------
    profile : np.ndarray
        Its two ends in a plane (east, north), shape ``(2, 2)``.
    line : np.ndarray
        Vertices in the same plane, shape ``(n, 2)``.

    Returns
    -------
    points : np.ndarray
        Crossings, shape ``(crossing, 2)``, in the order of the line.
    distance : np.ndarray
        From the first end of the profile.
    angle : np.ndarray
        From the profile to the line in degrees, anticlockwise positive, above -90 and at most 90.

    Notes
    -----
    A vertex that lies on the profile counts once; a piece along the profile does not count.

    Examples
    --------
    >>> profile, line = np.array([[0.0, 0.0], [10.0, 10.0]]), np.array([[0.0, 6.0], [10.0, 4.0]])
    >>> points, distance, angle = line_crossings(profile, line)
    >>> points.round(9).tolist(), distance.round(6).tolist(), angle.round(6).tolist()
    ([[5.0, 5.0]], [7.071068], [-56.309932])
    """
    direction = (profile[1] - profile[0]) / math.dist(profile[0], profile[1])
    length = math.dist(profile[0], profile[1])
    x, y = (line - profile[0]).T
    along = x * direction[0] + y * direction[1]
    aside = y * direction[0] - x * direction[1]
    k = np.flatnonzero((aside[:-1] < 0) != (aside[1:] < 0))
    place = aside[k] / (aside[k] - aside[k + 1])
    distance = along[k] + place * (along[k + 1] - along[k])
    on = (distance >= 0) & (distance <= length)
    k, distance = k[on], distance[on]
    angle = np.degrees(np.arctan2(aside[k + 1] - aside[k], along[k + 1] - along[k]))
    return profile[0] + distance[:, None] * direction, distance, 90.0 - (90.0 - angle) % 180.0
