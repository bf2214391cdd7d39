"""What the difference of two overlapping tracks says of their datum: terms of an offset or ramp, and how well."""

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Literal

import numpy as np

from mimtpy_cloud.kernels.correlation import correlation_of, count_cells, mean_variance
from mimtpy_cloud.kernels.median import median
from mimtpy_cloud.kernels.offset import half_sample_mode
from mimtpy_cloud.kernels.ramp import ramp_degrees, ramp_terms, subtract_ramp
from mimtpy_cloud.kernels.rampfit import accumulate_ramp, ramp_size
from mimtpy_cloud.kernels.tiles import Change, Tiles

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
    image: Tiles,
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
    image : Tiles
        Track i minus track j in m or m/yr; NaN is no data.
    x_km, y_km : np.ndarray
        Position of the columns and rows in km from the point about which the terms are given.
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
    Every pass goes over the image piece by piece: the memory beside the image is that of some pieces. Huber's weights
    are found by six reweightings that start at the residuals from the plain fit.

    References
    ----------
    .. [1] P. J. Huber, 1964, Robust estimation of a location parameter, Annals of Mathematical Statistics, 35, 73-101,
       DOI 10.1214/aoms/1177703732.

    Examples
    --------
    >>> image = np.array([[1.0, 2.0, 6.0], [np.nan, 2.0, 2.0]])
    >>> found = summarise_pair(Tiles.of(image), np.arange(3.0), np.arange(2.0))
    >>> found.terms.tolist(), float(found.statistics[2])
    ([2.0], 5.0)
    """
    k = len(ramp_terms(kind))
    count = sum(int(np.count_nonzero(np.isfinite(block))) for block, _, _ in image)
    if count == 0:
        statistics = np.full(len(STATISTICS), np.nan)
        statistics[2] = 0.0
        return PairSummary(statistics, np.zeros(k), np.zeros((k, k)), np.zeros(k), np.zeros((k, k)))
    fit = _Fit(image, x_km, y_km, kind, scale_km)
    normal, rhs, rms = fit.normal()
    moments, products = rhs / count, normal / count
    middle = median(image)
    if kind == "constant":
        terms = np.array([_centre(image, middle, moments[0], robust)])
        residual, centre = image, float(terms[0])
    else:
        terms, normal = fit.solve(robust)
        residual, centre = fit.less(terms), 0.0
    sigma = _spread(residual, robust)
    step_km, length, share = (_step(y_km), _step(x_km)), length_km, 1.0
    if length is None:
        length, share = correlation_of(residual, step_km, centre)
    factor = mean_variance(*count_cells(image, step_km), length, share) * count
    variance = (
        max(sigma, _SMALLEST) ** 2 * factor * (_efficiency(robust, count / factor) if kind == "constant" else 1.0)
    )
    statistics = np.array([middle, sigma, count, rms, length, count / factor])
    return PairSummary(statistics, terms, normal / variance, moments, products)


def _efficiency(robust: Robust, effective: float) -> float:
    """Variance of the centre of so many independent values over that of their mean."""
    if robust == "mode":
        return float(effective * (_MODE_FACTOR * effective**_MODE_POWER) ** 2)
    return _MEDIAN_VARIANCE if robust else 1.0


def _spread(tiles: Tiles, robust: Robust) -> float:
    """Robust or plain standard deviation."""
    if robust:
        middle = median(tiles)
        return _SIGMA_OVER_MAD * median(_then(tiles, lambda block: np.abs(block - np.float32(middle))))
    sums = [(block.size, block.sum()) for block in _finite(tiles)]
    mean = sum(total for _, total in sums) / sum(size for size, _ in sums)
    return math.sqrt(sum(float(np.sum((block - mean) ** 2)) for block in _finite(tiles)) / sum(n for n, _ in sums))


def _finite(tiles: Tiles) -> Iterator[np.ndarray]:
    """Values of each piece, float64."""
    for block, _, _ in tiles:
        yield block[np.isfinite(block)].astype(np.float64)


def _then(tiles: Tiles, function: Callable[[np.ndarray], np.ndarray]) -> Tiles:
    """Do something more to each piece."""
    before = tiles.change
    return tiles.changed(lambda block, *at: function(block if before is None else before(block, *at)))


def _step(positions: np.ndarray) -> float:
    return float(abs(positions[1] - positions[0])) if positions.size > 1 else 0.0


def _centre(image: Tiles, middle: float, mean: float, robust: Robust) -> float:
    if robust == "mode":
        return half_sample_mode(np.concatenate(list(_finite(image))))
    return middle if robust else mean


@dataclass(frozen=True)
class _Fit:
    """Fits a ramp to an image."""

    image: Tiles
    x_km: np.ndarray
    y_km: np.ndarray
    kind: str
    scale: float

    def normal(self, weights: Change | None = None) -> tuple[np.ndarray, np.ndarray, float]:
        """Normal matrix and right side in the units of the terms, and the root mean square."""
        k = len(ramp_terms(self.kind))
        vector = np.zeros(ramp_size(self.kind))
        for block, rows, cols in self.image:
            weight = None if weights is None else weights(block, rows, cols)
            vector += accumulate_ramp(block, self.x_km[cols], self.y_km[rows], self.kind, weight, scale=self.scale)
        units = self.scale ** np.array(ramp_degrees(self.kind), np.float64)
        normal = np.zeros((k, k))
        normal[np.triu_indices(k)] = vector[3 + k :]
        normal += np.triu(normal, 1).T
        return normal * np.outer(units, units), vector[3 : 3 + k] * units, math.sqrt(vector[2] / vector[1])

    def less(self, terms: np.ndarray) -> Tiles:
        """The image without a ramp."""
        return self.image.changed(
            lambda block, rows, cols: subtract_ramp(block, terms, self.x_km[cols], self.y_km[rows], self.kind)
        )

    def solve(self, robust: Robust) -> tuple[np.ndarray, np.ndarray]:
        """Terms, and the normal matrix of the last pass; a direction that the pixels do not determine is left at 0."""
        weights: Change | None = None
        for _ in range(1 + (_PASSES if robust else 0)):
            normal, rhs, _rms = self.normal(weights)
            powers = np.sqrt(np.diag(normal))
            powers[powers == 0] = 1.0
            terms = np.linalg.pinv(normal / np.outer(powers, powers), rcond=1e-9, hermitian=True) @ (rhs / powers)
            terms = terms / powers
            if robust:
                weights = self._huber(terms)
        return terms, normal

    def _huber(self, terms: np.ndarray) -> Change:
        """Weights for the residuals of a ramp."""
        residual = self.less(terms)
        sigma = max(_SIGMA_OVER_MAD * median(_then(residual, np.abs)), _SMALLEST)

        def weigh(block: np.ndarray, rows: slice, cols: slice) -> np.ndarray:
            off = np.abs(subtract_ramp(block, terms, self.x_km[cols], self.y_km[rows], self.kind))
            return np.minimum(1.0, _HUBER * sigma / np.maximum(off, _SMALLEST)).astype(np.float32)

        return weigh
