"""Interpolate scattered values with their uncertainty, which grows with the distance from them."""

import numpy as np
from scipy.linalg import cho_factor, cho_solve

__all__ = ["fit_sill", "krige"]

_SMALLEST, _LEAST_SHAPE = 1e-12, 3.0
#: Numbers of a matrix of places and points that are held at a time.
_ELEMENTS = 1 << 21


def fit_sill(places: np.ndarray, values: np.ndarray, sigma: np.ndarray, range_km: float) -> float:
    """
    Estimate the variance of a field whose covariance falls exponentially, from the differences of near values.

    Parameters
    ----------
    places : np.ndarray
        Kilometres east and north of each value, shape ``(place, 2)``, at least two.
    values, sigma : np.ndarray
        Values, and the standard deviations of their errors, shape ``(place,)``.
    range_km : float
        Distance over which the covariance falls to 1/e.

    Returns
    -------
    float
        In the square of the unit.

    Notes
    -----
    Least squares of the semivariance of pairs, less that of their errors, on ``1 - exp(-h / range)``; of the pairs that
    are nearer than the range, or of all where these tell too little. What varies over longer distances does not
    count, so that the standard deviation between stations is that of the distance between them.

    Examples
    --------
    >>> fit_sill(np.array([[0.0, 0.0], [9e9, 0.0]]), np.array([1.0, 3.0]), np.array([0.5, 0.5]), 100.0)
    1.75
    """
    i, j = np.triu_indices(len(places), 1)
    distance = _distances(places, places)[i, j]
    near = distance < range_km
    if np.sum(1.0 - np.exp(-distance[near] / range_km)) < _LEAST_SHAPE:  # too few, or too near to one another
        near = np.ones_like(near)
    half = (values[i] - values[j])[near] ** 2 / 2
    shape = 1.0 - np.exp(-distance[near] / range_km)
    errors = (sigma[i] ** 2 + sigma[j] ** 2)[near] / 2
    whole = float(shape @ shape)
    if whole == 0:  # all at one place
        return _SMALLEST
    found, raw = (float(shape @ part) / whole for part in (half - errors, half))
    return max(found, 0.1 * raw, _SMALLEST)


def krige(
    places: np.ndarray,
    values: np.ndarray,
    sigma: np.ndarray,
    wanted: np.ndarray,
    *,
    range_km: float,
    sill: float,
    zero: np.ndarray | None = None,
) -> tuple[np.ndarray, np.ndarray]:
    """
    Interpolate values by ordinary kriging with an exponential covariance.

    Parameters
    ----------
    places : np.ndarray
        Kilometres east and north of each value, shape ``(place, 2)``.
    values, sigma : np.ndarray
        Values, and the standard deviations of their errors, shape ``(place,)``.
    wanted : np.ndarray
        Kilometres east and north of what is asked for, shape ``(point, 2)``.
    range_km : float
        Distance over which the covariance falls to 1/e.
    sill : float
        Variance of the field, in the square of the unit.
    zero : np.ndarray, optional
        Kilometres east and north of a place, shape ``(2,)``: everything is then relative to the field there.

    Returns
    -------
    estimate, std : np.ndarray
        Shape ``(point,)``, float64, in the unit of the values. Far from all values the estimate is their mean, and the
        standard deviation that of the field and the mean.

    Notes
    -----
    With ``C_ij = sill exp(-h_ij / range) + sigma_i^2 delta_ij``, ``c`` the covariance of a point with the places, and
    the mean ``m = 1^T C^-1 z / 1^T C^-1 1`` [1]_::

        estimate = m + c^T C^-1 (z - m)
        variance = sill - c^T C^-1 c + (1 - 1^T C^-1 c)^2 / (1^T C^-1 1)

    and the covariance of the errors of two points likewise, which a difference of them needs.

    References
    ----------
    .. [1] Chiles, J.-P. and Delfiner, P. (2012), Geostatistics: Modeling Spatial Uncertainty, 2nd edition, Wiley,
       chapter 3, doi:10.1002/9781118136188.

    Examples
    --------
    >>> places = np.array([[0.0, 0.0], [10.0, 0.0]])
    >>> wanted = np.array([[0.0, 0.0], [5.0, 0.0], [9e9, 0.0]])
    >>> estimate, std = krige(places, np.array([1.0, 3.0]), np.zeros(2), wanted, range_km=50, sill=1)
    >>> estimate.round(6).tolist(), bool(std[0] < std[1] < std[2])
    ([1.0, 2.0, 2.0], True)
    """
    covariance = sill * np.exp(-_distances(places, places) / range_km)
    covariance[np.diag_indices(len(places))] += np.maximum(np.square(sigma), 1e-9 * sill)
    factor = cho_factor(covariance)
    ones = cho_solve(factor, np.ones(len(places)))
    total = float(ones.sum())
    mean = float(ones @ values) / total
    weighted = cho_solve(factor, values - mean)

    def solve(points: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Covariance with the places, estimate, and what the mean lacks."""
        near = sill * np.exp(-_distances(places, points) / range_km)
        return near, mean + near.T @ weighted, 1.0 - ones @ near

    estimate, variance = np.empty(len(wanted)), np.empty(len(wanted))
    fixed = None if zero is None else solve(zero[np.newaxis])
    for start in range(0, len(wanted), step := max(1, _ELEMENTS // len(places))):
        part = slice(start, start + step)
        near, estimate[part], lack = solve(wanted[part])
        solved = cho_solve(factor, near)
        variance[part] = sill - np.einsum("pw,pw->w", near, solved) + lack**2 / total
        if zero is not None and fixed is not None:
            there, level, lack_there = fixed
            between = sill * np.exp(-_distances(zero[np.newaxis], wanted[part])[0] / range_km)
            common = between - there[:, 0] @ solved + lack * lack_there / total
            own = sill - there[:, 0] @ cho_solve(factor, there[:, 0]) + lack_there**2 / total
            estimate[part] -= level
            variance[part] += own - 2 * common
    return estimate, np.sqrt(np.maximum(variance, 0.0))


def _distances(first: np.ndarray, second: np.ndarray) -> np.ndarray:
    distance: np.ndarray = np.hypot(*(first[:, np.newaxis] - second[np.newaxis]).transpose(2, 0, 1))
    return distance
