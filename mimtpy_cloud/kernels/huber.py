"""Robust ramps: Huber's M-estimator by reweighted least squares, one additive pass over the data a step."""

import numpy as np

from mimtpy_cloud.kernels.ramp import ramp_degrees, ramp_terms, subtract_ramp
from mimtpy_cloud.kernels.rampfit import accumulate_ramp, ramp_size, solve_ramp

__all__ = ["accumulate_huber", "solve_huber"]

#: Residuals beyond this many standard deviations lose weight: 95 % efficiency for normal noise.
_K = 1.345
_SIGMA_OVER_MAD = 1.482602218505602
#: A sigma below this fraction of the ramp is rounding.
_ROUNDING = 1e-9
#: Bins of the residuals from 2^-44 to 2^20, 16 an octave.
_OCTAVES, _LOWEST, _STEPS = 64, -44, 16
_BINS = _OCTAVES * _STEPS


def accumulate_huber(
    values: np.ndarray,
    x_km: np.ndarray,
    y_km: np.ndarray,
    kind: str,
    coefficients: np.ndarray,
    sigma: float,
    weights: np.ndarray | None = None,
    *,
    scale: float = 1.0,
) -> np.ndarray:
    """
    Sum a block of data into the normal equations of one step of a robust fit.

    Parameters
    ----------
    values : np.ndarray
        Any unit, float32 or float64, shape ``(y, x)``. NaN or infinite is no data.
    x_km, y_km : np.ndarray
        km east of each column and north of each row.
    kind : str
        As for `mimtpy_cloud.kernels.ramp.ramp_terms`.
    coefficients : np.ndarray
        Ramp of the step before.
    sigma : float
        Standard deviation of the step before, unit of the data, of a pixel of weight one.
    weights : np.ndarray, optional
        As for `mimtpy_cloud.kernels.rampfit.accumulate_ramp`.
    scale : float
        As there, km.

    Returns
    -------
    np.ndarray
        One-dimensional, float64: that of `accumulate_ramp` with each weight times ``h = min(1, 1.345 sigma / |r|)``, r
        being the residual times the root of its weight; then sum h, sum (h r)^2, the number of pixels with h = 1, and
        how many ``|r|`` lie in each bin. Vectors of blocks add.

    See Also
    --------
    solve_huber : The next step from the sum of the vectors.
    """
    residual = np.abs(subtract_ramp(values, coefficients, x_km, y_km, kind), dtype=np.float64)
    own = np.ones(values.shape) if weights is None else np.asarray(weights, np.float64)
    used = np.isfinite(residual) & np.isfinite(own) & (own > 0)
    residual = np.where(used, residual * np.sqrt(np.where(used, own, 0.0)), 0.0)
    size = np.abs(coefficients * scale ** np.array(ramp_degrees(kind))).sum()
    limit = _K * max(sigma, _ROUNDING * float(size))
    h = np.where(residual > limit, limit / np.where(residual > limit, residual, 1.0), 1.0)
    vector = accumulate_ramp(values, x_km, y_km, kind, np.where(used, own * h, 0.0), scale=scale)
    r, h = residual[used], h[used]
    more = [h.sum(), np.square(h * r).sum(), np.count_nonzero(h == 1.0)]
    return np.concatenate([vector, more, _count(r)])


def solve_huber(vector: np.ndarray, kind: str, scale: float = 1.0) -> tuple[np.ndarray, np.ndarray, float, int]:
    """
    Take one step of a robust fit.

    Parameters
    ----------
    vector : np.ndarray
        Sum of the vectors of all blocks.
    kind : str
        As given to `accumulate_huber`.
    scale : float
        As given there, km.

    Returns
    -------
    coefficients : np.ndarray
        As `mimtpy_cloud.kernels.rampfit.solve_ramp` gives them.
    covariance : np.ndarray
        Asymptotic, section 7.6 of [1]_, for noise that is independent from pixel to pixel.
    sigma : float
        1.4826 times the median of the absolute residuals of the step before, to 1 %.
    n : int
        Number of pixels used.

    Raises
    ------
    RampError
        If the pixels do not determine the ramp.

    References
    ----------
    .. [1] Huber, P. J., 1981, Robust Statistics, Wiley, chapter 7, doi:10.1002/0471725250.
    """
    size, p = ramp_size(kind), len(ramp_terms(kind))
    coefficients, unscaled, sigma2, n = solve_ramp(vector[:size], kind, scale)
    sum_h, squares, full = vector[size : size + 3]
    sigma = _SIGMA_OVER_MAD * _median(vector[size + 3 :])
    if n > p and sigma2 > 0 and full:
        variance = squares / (n - p) / (full / n) ** 2
        return coefficients, unscaled * (variance / sigma2 * sum_h / n), sigma, n
    return coefficients, unscaled, sigma, n


def _count(u: np.ndarray) -> np.ndarray:
    """Count magnitudes in bins of equal width within each octave, by the leading bits of float32."""
    clipped = np.clip(u, 2.0**_LOWEST, 2.0 ** (_LOWEST + _OCTAVES) * (1 - 1e-6)).astype(np.float32)
    bins = (clipped.view(np.uint32) >> np.uint32(19)).astype(np.int64) - (127 + _LOWEST) * _STEPS
    return np.bincount(bins, minlength=_BINS)


def _median(counts: np.ndarray) -> float:
    """Median from the counts, linear within its bin; zero if half of all lie in the lowest."""
    below = np.cumsum(counts)
    k = int(np.searchsorted(below, below[-1] / 2))
    if k == 0:
        return 0.0
    octave, step = divmod(k, _STEPS)
    inside = (below[-1] / 2 - below[k - 1]) / counts[k]
    return float(2.0 ** (_LOWEST + octave) * (1 + (step + inside) / _STEPS))
