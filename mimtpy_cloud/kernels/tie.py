"""What a track observes at stations, and the constant that makes it agree with them."""

import numpy as np

__all__ = ["fit_constant", "mean_usable"]

#: Standard deviation of a normal distribution over its median absolute deviation, 1 / Phi^-1(3/4).
_SIGMA_OVER_MAD = 1.482602218505602
#: Normalised residual beyond which a station loses weight: 95 % efficiency for normal errors.
_HUBER = 1.345
_ITERATIONS = 50


def mean_usable(values: np.ndarray, usable: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """
    Average the usable values of windows.

    Parameters
    ----------
    values : np.ndarray
        Values, shape ``(..., y, x)``; NaN is no data.
    usable : np.ndarray
        Truth of equal shape, or one that broadcasts.

    Returns
    -------
    mean : np.ndarray
        In the unit of the values, shape ``(...)``, float64; NaN where nothing is usable.
    count : np.ndarray
        Number of values averaged, int32.

    Examples
    --------
    >>> mean, count = mean_usable(np.array([[1.0, np.nan], [3.0, 9.0]]), np.array([[True, True], [True, False]]))
    >>> float(mean), int(count)
    (2.0, 2)
    """
    good = np.isfinite(values) & usable
    count = good.sum(axis=(-2, -1), dtype=np.int32)
    total = np.where(good, values, 0).sum(axis=(-2, -1), dtype=np.float64)
    return np.where(count > 0, total / np.maximum(count, 1), np.nan), count


def fit_constant(difference: np.ndarray, sigma: np.ndarray) -> np.ndarray:
    """
    Estimate the constant of differences that have errors, noise of their own, and outliers.

    Parameters
    ----------
    difference : np.ndarray
        Track minus station, one-dimensional; NaN is no data.
    sigma : np.ndarray
        Standard deviation of each station in the same unit. Those that are NaN or not positive are taken as the median
        of the others, or all as equal if there are none.

    Returns
    -------
    np.ndarray
        Constant, its standard deviation, the noise of the differences beyond `sigma` (all in the unit of the input) and
        the number of differences; shape ``(4,)``, float64. NaN, NaN, NaN, 0 without data; the standard deviation of a
        single station is its sigma.

    Notes
    -----
    The differences hold noise of the track and motion that only one of the two sees, which no sigma of a station knows,
    so that a plain weighted mean would follow the few stations with the smallest sigma. Hence the weights are
    ``w = h / (sigma^2 + tau^2)`` with ``tau^2 = max(0, (1.4826 MAD)^2 - median(sigma^2))`` and Huber's
    ``h = min(1, 1.345 / |r|)`` of the normalised residual ``r`` [1]_, iterated from the median. The variance is that of
    an M-estimate, ``sum(psi^2 / s^2) / (sum(psi' / s^2))^2`` with ``s^2 = sigma^2 + tau^2`` and ``psi`` the residual
    clipped at 1.345, and at least ``1 / sum(w)``. The stations count as independent.

    References
    ----------
    .. [1] Huber, P. J. (1964), Robust estimation of a location parameter, Annals of Mathematical Statistics, 35,
       73-101, doi:10.1214/aoms/1177703732.

    Examples
    --------
    The station that is 50 off hardly counts:

    >>> constant, *_ = fit_constant(np.array([3.0, 3.1, 2.9, 3.0, 50.0]), np.full(5, 0.1))
    >>> round(float(constant), 2)
    3.05
    """
    known = np.isfinite(difference)
    values, sigma = difference[known].astype(np.float64), sigma[known].astype(np.float64)
    if values.size == 0:
        return np.array([np.nan, np.nan, np.nan, 0.0])
    given = np.isfinite(sigma) & (sigma > 0)
    sigma = np.where(given, sigma, np.median(sigma[given]) if given.any() else np.nan)
    constant = float(np.median(values))
    spread = _SIGMA_OVER_MAD * float(np.median(np.abs(values - constant)))
    if not given.any():  # equal weights
        sigma = np.zeros_like(values)
    tau = np.sqrt(max(0.0, spread**2 - float(np.median(sigma**2))))
    total = np.sqrt(sigma**2 + tau**2)
    if not (total > 0).all():  # they agree exactly, and nothing is known of their errors
        return np.array([constant, np.nan if values.size == 1 else 0.0, 0.0, values.size])
    weight = 1.0 / total**2
    for _ in range(_ITERATIONS):
        before = constant
        weight = np.minimum(1.0, _HUBER / np.maximum(np.abs(values - constant) / total, _HUBER)) / total**2
        constant = float((weight * values).sum() / weight.sum())
        if abs(constant - before) <= 1e-12 * total.min():
            break
    residual = (values - constant) / total
    clipped = np.clip(residual, -_HUBER, _HUBER)
    slope = float((total**-2)[np.abs(residual) <= _HUBER].sum())
    sandwich = float(((clipped / total) ** 2).sum()) / slope**2 if slope > 0 else 0.0
    return np.array([constant, np.sqrt(max(sandwich, 1.0 / weight.sum())), tau, values.size])
