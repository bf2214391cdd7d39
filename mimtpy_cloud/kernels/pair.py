"""What the difference of two overlapping tracks says of their datum: terms of an offset or ramp, and how well."""

import math
from dataclasses import dataclass
from typing import Literal

import numpy as np

from mimtpy_cloud.kernels.correlation import correlation_of, mean_variance
from mimtpy_cloud.kernels.offset import half_sample_mode
from mimtpy_cloud.kernels.ramp import accumulate_ramp, evaluate_ramp, ramp_degrees, ramp_terms, subtract_ramp

__all__ = ["STATISTICS", "PairSummary", "Robust", "summarise_pair"]

Robust = bool | Literal["mode"]

#: Standard deviation of a normal distribution over its median absolute deviation, 1 / Phi^-1(3/4).
_SIGMA_OVER_MAD = 1.482602218505602
#: Variance of a median over that of a mean, for normal noise.
_MEDIAN_VARIANCE = math.pi / 2
#: Standard deviation of a half-sample mode over that of a value, ``factor n^power``: fitted to normal values, n to 1e5.
_MODE_FACTOR, _MODE_POWER = 1.18, -0.216
#: Huber's constant (95 % efficient for normal noise), and passes of reweighting.
_HUBER, _PASSES = 1.345, 6
#: Standard deviations below 0.01 mm (or mm/yr) count as this: two noise-free tracks have no infinite weight.
_SMALLEST = 1e-5

#: Numbers that describe a difference, in the order of `PairSummary.statistics`.
STATISTICS = ("median", "sigma", "count", "rms", "length_km", "effective")


@dataclass(frozen=True)
class PairSummary:
    """
    Summary of one difference image.

    Parameters
    ----------
    statistics : np.ndarray
        As `STATISTICS` names them: median, robust standard deviation about the fit, number of pixels, rms, correlation
        length in km, and effective number of independent pixels.
    terms : np.ndarray
        Offset or ramp terms, shape ``(term,)``.
    information : np.ndarray
        Inverse covariance of the terms, shape ``(term, term)``; zeros where nothing is known.
    moments, products : np.ndarray
        Means over the pixels of terms times difference, shape ``(term,)``, and of terms times terms, ``(term, term)``.
    """

    statistics: np.ndarray
    terms: np.ndarray
    information: np.ndarray
    moments: np.ndarray
    products: np.ndarray


def summarise_pair(
    image: np.ndarray,
    x_km: np.ndarray,
    y_km: np.ndarray,
    kind: str = "constant",
    *,
    scale_km: float = 1.0,
    robust: Robust = True,
    length_km: float | None = None,
) -> PairSummary:
    """
    Fit an offset or a ramp to a difference image, with an uncertainty that knows of correlated noise.

    Parameters
    ----------
    image : np.ndarray
        Track i minus track j in m or m/yr, shape ``(y, x)``; NaN is no data.
    x_km, y_km : np.ndarray
        Position of the columns and rows in km from the common origin.
    kind : {"constant", "linear", "quadratic"}
        What is fitted.
    scale_km : float
        Distance that is about 1 in the scaled coordinates of a ramp.
    robust : bool or {"mode"}
        For a constant: median, mean, or half-sample mode. For a ramp: Huber's weights, or plain least squares.
    length_km : float, optional
        Correlation length of the noise; estimated from the residual if not given.

    Returns
    -------
    PairSummary

    Notes
    -----
    The covariance is that of independent pixels times the variance of their mean over that of uncorrelated ones
    (`mean_variance`): exact for a constant; for a ramp it takes the noise as white on the scale of the correlation.
    Memory beside the image: about 20 bytes a pixel, 32 for a robust ramp.
    Huber's weights are found by six reweightings that start at the residuals from the plain fit.

    References
    ----------
    .. [1] P. J. Huber, 1964, Robust estimation of a location parameter, Annals of Mathematical Statistics, 35, 73-101,
       DOI 10.1214/aoms/1177703732.

    Examples
    --------
    >>> image = np.array([[1.0, 2.0, 6.0], [np.nan, 2.0, 2.0]])
    >>> found = summarise_pair(image, np.arange(3.0), np.arange(2.0))
    >>> found.terms.tolist(), float(found.statistics[2])
    ([2.0], 5.0)
    """
    values = image[np.isfinite(image)]
    k = len(ramp_terms(kind))
    if values.size == 0:
        statistics = np.full(len(STATISTICS), np.nan)
        statistics[2] = 0.0
        return PairSummary(statistics, np.zeros(k), np.zeros((k, k)), np.zeros(k), np.zeros((k, k)))
    normal, rhs, rms = _normal(image, x_km, y_km, kind, scale_km)
    moments, products = rhs / values.size, normal / values.size
    median = float(np.median(values, overwrite_input=True))  # only reorders them
    if kind == "constant":
        terms = np.array([_centre(values, median, moments[0], robust)])
        residual, centre, count = image, float(terms[0]), values.size
    else:
        terms, normal = _fit(image, x_km, y_km, kind, scale_km, robust)
        residual, centre, count = subtract_ramp(image, terms, x_km, y_km, kind), 0.0, values.size
        values = residual[np.isfinite(residual)]
    sigma = _spread(values, robust)
    step_km, length, share = (_step(y_km), _step(x_km)), length_km, 1.0
    if length is None:
        length, share = correlation_of(residual, step_km, centre)
    factor = mean_variance(np.isfinite(image), step_km, length, share) * count
    variance = (
        max(sigma, _SMALLEST) ** 2 * factor * (_efficiency(robust, count / factor) if kind == "constant" else 1.0)
    )
    statistics = np.array([median, sigma, count, rms, length, count / factor])
    return PairSummary(statistics, terms, normal / variance, moments, products)


def _efficiency(robust: Robust, effective: float) -> float:
    """Variance of the centre of so many independent values over that of their mean."""
    if robust == "mode":
        return float(effective * (_MODE_FACTOR * effective**_MODE_POWER) ** 2)
    return _MEDIAN_VARIANCE if robust else 1.0


def _spread(values: np.ndarray, robust: Robust) -> float:
    """Robust or plain standard deviation of what may be overwritten."""
    if not robust:
        return float(values.std(dtype=np.float64))
    values -= np.median(values, overwrite_input=True)
    return _SIGMA_OVER_MAD * float(np.median(np.abs(values, out=values), overwrite_input=True))


def _step(positions: np.ndarray) -> float:
    return float(abs(positions[1] - positions[0])) if positions.size > 1 else 0.0


def _centre(values: np.ndarray, median: float, mean: float, robust: Robust) -> float:
    if robust == "mode":
        return half_sample_mode(values)
    return median if robust else mean


def _normal(
    image: np.ndarray, x_km: np.ndarray, y_km: np.ndarray, kind: str, scale: float, weights: np.ndarray | None = None
) -> tuple[np.ndarray, np.ndarray, float]:
    """Normal matrix and right side in the units of the terms, and the root mean square."""
    vector = accumulate_ramp(image, x_km, y_km, kind, weights, scale=scale)
    k = len(ramp_terms(kind))
    units = scale ** np.array(ramp_degrees(kind), np.float64)
    normal = np.zeros((k, k))
    normal[np.triu_indices(k)] = vector[3 + k :]
    normal += np.triu(normal, 1).T
    return normal * np.outer(units, units), vector[3 : 3 + k] * units, math.sqrt(vector[2] / vector[1])


def _fit(
    image: np.ndarray, x_km: np.ndarray, y_km: np.ndarray, kind: str, scale: float, robust: Robust
) -> tuple[np.ndarray, np.ndarray]:
    """Terms, and the normal matrix of the last pass; a direction that the pixels do not determine is left at 0."""
    weights: np.ndarray | None = None
    for _ in range(1 + (_PASSES if robust else 0)):
        normal, rhs, _rms = _normal(image, x_km, y_km, kind, scale, weights)
        powers = np.sqrt(np.diag(normal))
        powers[powers == 0] = 1.0
        terms = np.linalg.pinv(normal / np.outer(powers, powers), rcond=1e-9, hermitian=True) @ (rhs / powers) / powers
        if robust:
            off = np.abs(image - evaluate_ramp(terms, x_km, y_km, kind))
            sigma = max(_SIGMA_OVER_MAD * float(np.nanmedian(off)), _SMALLEST)
            weights = np.minimum(1.0, _HUBER * sigma / np.maximum(off, _SMALLEST)).astype(np.float32)
    return terms, normal
