"""How the differences of an image grow with distance: the semivariogram of all its pixels, and a model of it."""

import numpy as np
from scipy import fft

from mimtpy_cloud.kernels.covariance import correlation

__all__ = ["fit_semivariogram", "model_semivariance", "semivariogram"]

#: Largest separation that counts, as part of the longer side of the image.
_REACH = 0.5
_PARAMETERS = 3
#: A variance below this part of the mean semivariance is none.
_ROUNDING = 1e-9


def semivariogram(image: np.ndarray, step_km: tuple[float, float], bins: int = 30) -> tuple[np.ndarray, ...]:
    """
    Give the semivariance of all pairs of pixels by their distance.

    Parameters
    ----------
    image : np.ndarray
        Noise, any unit, shape ``(y, x)``; NaN is no data.
    step_km : tuple of float
        Height and width of a pixel in km.
    bins : int
        Number of distances, up to half of the longer side, the first ones as far apart as pixels are, the others in
        equal ratios.

    Returns
    -------
    distance_km, semivariance, pairs : np.ndarray
        Mean distance of each bin, half the mean square difference in the square of the unit, and the number of pairs,
        without empty bins.

    Notes
    -----
    Every pair counts: sums over pairs are correlations, by fast Fourier transforms of four times the image [1]_.

    References
    ----------
    .. [1] Marcotte, D. (1996), Fast variogram computation with FFT, Computers & Geosciences, 22(10), 1175-1186,
       doi:10.1016/S0098-3004(96)00026-X.

    Examples
    --------
    >>> distance, gamma, pairs = semivariogram(np.array([[0.0, 2.0, 0.0, 2.0, 0.0]]), (1.0, 1.0))
    >>> distance.tolist(), gamma.round(9).tolist(), pairs.tolist()
    ([1.0, 2.0], [2.0, 0.0], [4, 3])
    """
    known = np.isfinite(image)
    if not known.any():
        return np.empty(0), np.empty(0), np.empty(0, np.int64)
    values = np.where(known, image - np.mean(image[known], dtype=np.float64), 0.0)
    shape = [fft.next_fast_len(2 * n, real=True) for n in image.shape]
    of_known, of_values, of_squares = (fft.rfft2(part, shape) for part in (known.astype(float), values, values**2))
    pairs = np.rint(fft.irfft2(np.abs(of_known) ** 2, shape))
    # The sum of (a - b)^2 over the pairs of one separation.
    total = fft.irfft2(2 * (of_squares * of_known.conj()).real - 2 * np.abs(of_values) ** 2, shape)
    down, across = (fft.fftfreq(n, 1 / n) * step for n, step in zip(shape, step_km, strict=True))
    distance = np.hypot(down[:, np.newaxis], across)
    reach = _REACH * max(n * step for n, step in zip(image.shape, step_km, strict=True))
    # Each pair occurs as h and as -h: half of the plane holds all.
    half = (down[:, np.newaxis] > 0) | ((down[:, np.newaxis] == 0) & (across > 0))
    chosen = half & (distance <= reach * (1 + 1e-9)) & (pairs > 0.5)
    if not chosen.any():
        return np.empty(0), np.empty(0), np.empty(0, np.int64)
    h, n, s = distance[chosen], pairs[chosen], total[chosen]
    edges = np.unique(np.geomspace(h.min(), reach, bins + 1))
    at = np.searchsorted(edges[1:-1], h * (1 - 1e-9), side="right")
    count, lags, squares = (np.bincount(at, weight) for weight in (n, n * h, s))
    full = count > 0
    gamma = np.maximum(squares[full], 0.0) / (2 * count[full])
    return lags[full] / count[full], gamma, count[full].astype(np.int64)


def model_semivariance(
    distance_km: np.ndarray, sill: float, range_km: float, nugget: float, *, kind: str = "exponential"
) -> np.ndarray:
    """
    Evaluate a model of a semivariogram.

    Parameters
    ----------
    distance_km : np.ndarray
        Distances in km.
    sill : float
        Variance of the correlated part.
    range_km : float
        Distance over which it loses its correlation, of an exponential one to 1/e.
    nugget : float
        Variance of the white part.
    kind : str
        As for `mimtpy_cloud.kernels.covariance.correlation`.

    Returns
    -------
    np.ndarray
        ``nugget + sill (1 - correlation)``; 0 at distance 0.

    Raises
    ------
    SchemaError
        If the kind is unknown.

    Examples
    --------
    >>> model_semivariance(np.array([0.0, 1e9]), 2.0, 10.0, 1.0).tolist()
    [0.0, 3.0]
    """
    rise = nugget + sill * (1.0 - correlation(kind, distance_km / range_km))
    out: np.ndarray = np.where(distance_km > 0, rise, 0.0)
    return out


def fit_semivariogram(
    distance_km: np.ndarray, semivariance: np.ndarray, *, kind: str = "exponential"
) -> tuple[float, float, float]:
    """
    Fit a model to a semivariogram.

    Parameters
    ----------
    distance_km, semivariance : np.ndarray
        As `semivariogram` gives them.
    kind : str
        As for `mimtpy_cloud.kernels.covariance.correlation`.

    Returns
    -------
    sill, range_km, nugget : float
        See `model_semivariance`; none is negative. NaN if there are fewer than three distances. A semivariogram that
        still rises at its end has a range that the data do not tell: it is at most three times the longest distance.

    Raises
    ------
    SchemaError
        If the kind is unknown.

    Notes
    -----
    Least squares of relative misfits, the weights ``1 / model^2`` of Cressie [1]_ without his number of pairs, in two
    rounds. All pairs of a map share its pixels, so that the many of a long distance tell no more than the few of a
    short one: weights by number make the nugget scatter seven times, and the range one and a half times as much.

    References
    ----------
    .. [1] Cressie, N. (1985), Fitting variogram models by weighted least squares, Mathematical Geology, 17(5), 563-586,
       doi:10.1007/BF01032109.

    Examples
    --------
    >>> h = np.linspace(1, 60, 30)
    >>> model = model_semivariance(h, 4.0, 12.0, 1.0, kind="spherical")
    >>> [round(v, 6) for v in fit_semivariogram(h, model, kind="spherical")]
    [4.0, 12.0, 1.0]
    """
    from scipy.optimize import least_squares  # takes a while to load, and few commands fit

    if distance_km.size < _PARAMETERS:
        return np.nan, np.nan, np.nan
    top = float(np.mean(semivariance))
    if not top > 0:
        return 0.0, float(distance_km[-1]), 0.0
    longest = float(distance_km[-1])
    low, high = [0.0, 0.1 * float(distance_km[0]), 0.0], [10.0, 3 * longest, 10.0]
    found = np.clip([0.8, longest / 6, 0.2], low, high)
    scaled = semivariance / top
    for _ in range(2):
        model = np.maximum(model_semivariance(distance_km, *found, kind=kind), 1e-3)
        weight = 1.0 / model
        found = least_squares(
            lambda p, w=weight: w * (model_semivariance(distance_km, *p, kind=kind) - scaled),
            found,
            bounds=(low, high),
            x_scale=np.maximum(found, 0.05),
            xtol=1e-12,
            ftol=1e-12,
            gtol=1e-12,
        ).x
    sill, nugget = (float(part * top) if part > _ROUNDING else 0.0 for part in (found[0], found[2]))
    return sill, float(found[1]), nugget
