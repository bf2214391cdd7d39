"""Straight line through points that have errors in both coordinates."""

from typing import NamedTuple

import numpy as np

__all__ = ["Line", "fit_york"]

#: Normalised residual beyond which a point has no weight: 95 % efficiency for normal errors.
_TUKEY = 4.685
#: Smallest weight of a point that counts.
_LEAST = 1e-3
_ITERATIONS, _REWEIGHTINGS = 50, 20
_FEWEST, _MOST = 3, 1000


class Line(NamedTuple):
    """
    Straight line ``y = slope * x + intercept``.

    Attributes
    ----------
    slope, intercept : float
        NaN where there is no line.
    slope_std, intercept_std : float
        Standard deviations.
    """

    slope: float
    intercept: float
    slope_std: float
    intercept_std: float


_NO_LINE = Line(np.nan, np.nan, np.nan, np.nan)


def fit_york(x: np.ndarray, y: np.ndarray, sigma_x: np.ndarray, sigma_y: np.ndarray, *, robust: bool = False) -> Line:
    """
    Fit the straight line through points with errors in both coordinates.

    Parameters
    ----------
    x, y : np.ndarray
        Coordinates, one-dimensional, without NaN.
    sigma_x, sigma_y : np.ndarray
        Standard deviations of the independent errors of each; not both are zero.
    robust : bool
        Give points less weight the farther they are off the line, and none beyond 4.685 standard deviations.

    Returns
    -------
    Line
        NaN for fewer than three points, or points of one `x`.

    Notes
    -----
    York's equations [1]_ without correlation of the errors of a point: with the weight
    ``W = 1 / (sigma_y^2 + b^2 sigma_x^2)``, the distances `U` and `V` from the weighted means, and
    ``beta = W (U sigma_y^2 + b V sigma_x^2)``, the slope is ``b = sum(W beta V) / sum(W beta U)``, iterated. The
    standard deviations are those of the adjusted points. Where `sigma_x` is zero this is weighted least squares, and
    where both are equal for all points orthogonal regression. If robust, both sigmas of a point are divided by the
    square root of Tukey's weight ``(1 - (r / 4.685)^2)^2`` of its residual ``r = (y - a - b x) sqrt(W)`` from the line
    before, at first that of Theil and Sen, whose slope is the median of those of all pairs, until the line stays.
    Weights that never vanish would not do: with errors in `x` a point far off has all the more leverage.

    References
    ----------
    .. [1] York, D., Evensen, N. M., Lopez Martinez, M. and De Basabe Delgado, J. (2004), Unified equations for the
       slope, intercept, and standard errors of the best straight line, American Journal of Physics, 72, 367-375,
       doi:10.1119/1.1632486, equations 13.

    Examples
    --------
    >>> x = np.array([0.0, 1.0, 2.0, 3.0])
    >>> line = fit_york(x, 2 * x + 1, np.full(4, 0.1), np.full(4, 0.1))
    >>> round(line.slope, 9), round(line.intercept, 9)
    (2.0, 1.0)
    """
    if x.size < _FEWEST or np.ptp(x) == 0:
        return _NO_LINE
    var_x, var_y = sigma_x.astype(np.float64) ** 2, sigma_y.astype(np.float64) ** 2
    if not robust:
        slope = float(((x - x.mean()) * (y - y.mean())).sum() / ((x - x.mean()) ** 2).sum())
        return _fit(x, y, var_x, var_y, slope)
    line = _median_line(x, y)
    for _ in range(_REWEIGHTINGS):
        before = line
        spread = np.sqrt(np.maximum(var_y + line.slope**2 * var_x, np.finfo(float).tiny))
        residual = np.abs(y - line.intercept - line.slope * x) / spread
        share = np.clip(1.0 - (residual / _TUKEY) ** 2, 0.0, None) ** 2
        kept = share > _LEAST
        if kept.sum() < _FEWEST or np.ptp(x[kept]) == 0:
            return _NO_LINE
        line = _fit(x[kept], y[kept], var_x[kept] / share[kept], var_y[kept] / share[kept], line.slope)
        if abs(line.slope - before.slope) <= 1e-9 * (1 + abs(line.slope)):
            break
    return line


def _median_line(x: np.ndarray, y: np.ndarray) -> Line:
    """Line of Theil and Sen, of at most a thousand of the points."""
    step = -(-x.size // _MOST)
    order = np.argsort(x, kind="stable")[::step]
    first, second = np.triu_indices(order.size, 1)
    dx, dy = (v[order][second] - v[order][first] for v in (x, y))
    slope = float(np.median(dy[dx > 0] / dx[dx > 0]))
    return Line(slope, float(np.median(y - slope * x)), np.nan, np.nan)


def _fit(x: np.ndarray, y: np.ndarray, var_x: np.ndarray, var_y: np.ndarray, slope: float) -> Line:
    for _ in range(_ITERATIONS):
        before = slope
        weight = 1.0 / np.maximum(var_y + slope**2 * var_x, np.finfo(float).tiny)
        mean_x, mean_y = (float((weight * v).sum() / weight.sum()) for v in (x, y))
        u, v = x - mean_x, y - mean_y
        beta = weight * (u * var_y + slope * v * var_x)
        across = float((weight * beta * u).sum())
        if across == 0:
            return _NO_LINE
        slope = float((weight * beta * v).sum()) / across
        if abs(slope - before) <= 1e-12 * (1 + abs(slope)):
            break
    adjusted = mean_x + beta
    centre = float((weight * adjusted).sum() / weight.sum())
    spread = float((weight * (adjusted - centre) ** 2).sum())
    if spread == 0:
        return _NO_LINE
    intercept_std = np.sqrt(1.0 / float(weight.sum()) + centre**2 / spread)
    return Line(slope, mean_y - slope * mean_x, float(np.sqrt(1.0 / spread)), float(intercept_std))
