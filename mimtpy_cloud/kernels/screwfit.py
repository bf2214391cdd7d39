"""Slip rate and locking depth of strike-slip faults from one profile, with noise that is correlated along it."""

from dataclasses import dataclass
from functools import cached_property
from typing import NamedTuple

import numpy as np
import scipy.linalg
import scipy.optimize

from mimtpy_cloud.errors import SchemaError
from mimtpy_cloud.kernels.covariance import correlation
from mimtpy_cloud.kernels.dislocation import interseismic_velocity, shallow_creep

__all__ = [
    "CHOICES",
    "MODELS",
    "ScrewFit",
    "ScrewModel",
    "fit_screw",
    "pooled_std",
    "profile_covariance",
    "screw_velocity",
]

#: Rates of each model; a depth belongs to each.
MODELS: dict[str, tuple[str, ...]] = {
    "screw": ("slip_rate",),
    "creep": ("slip_rate", "creep_rate"),
    "two_faults": ("slip_rate", "second_slip_rate"),
}
#: Ways of referring a profile, see `fit_screw`.
CHOICES = ("offset", "slope", "left", "right", "far", "short")
#: Depths that are tried: of one fault, and of each of two.
_NODES = (61, 25)
#: Part of the profile that the far field of a side takes, and that is left of a short one.
_THIRD = 3
#: Fewest points with data on either side of the fault.
_SIDE = 3
#: A depth this near to the end of its range is at the end.
_AT_BOUND = 1.005
#: Smallest singular value, relative to the largest, of rates that are solved, and of parameters that are told apart.
_SINGULAR, _TOLD_APART = 1e-9, 1e-5


@dataclass(frozen=True)
class ScrewModel:
    """
    Vertical strike-slip faults across a profile.

    Parameters
    ----------
    kind : str
        One of `MODELS`: ``"screw"``, locked above a depth; ``"creep"``, which also creeps from the surface to a depth;
        ``"two_faults"``, two locked faults.
    depth_range : tuple of float
        Least and greatest locking depth in m.
    creep_range : tuple of float
        Least and greatest depth of creep in m.
    second : float
        Distance of the second fault in m.

    Raises
    ------
    SchemaError
        If the kind is unknown, a range is none, or the second fault is not finite or lies on the first.
    """

    kind: str
    depth_range: tuple[float, float] = (1e3, 50e3)
    creep_range: tuple[float, float] = (500.0, 15e3)
    second: float = np.nan

    def __post_init__(self) -> None:
        """Refuse what is no model."""
        if self.kind not in MODELS:
            raise SchemaError(f"model must be one of {', '.join(MODELS)}, got {self.kind!r}")
        for name, (low, high) in (("locking depths", self.depth_range), ("depths of creep", self.creep_range)):
            if not 0 < low < high < np.inf:
                raise SchemaError(f"{name} need a range of two positive numbers, least first, got {low:g}, {high:g} m")
        if self.kind == "two_faults" and (not np.isfinite(self.second) or self.second == 0):
            raise SchemaError(
                f"two_faults needs the distance of the second fault, finite and not zero, got {self.second:g} m"
            )

    @property
    def ranges(self) -> list[tuple[float, float]]:
        """Range of each depth in m."""
        return [self.creep_range if rate == "creep_rate" else self.depth_range for rate in MODELS[self.kind]]

    def columns(self, distance: np.ndarray, depths: np.ndarray) -> np.ndarray:
        """
        Evaluate the velocity of unit rates.

        Parameters
        ----------
        distance : np.ndarray
            m, shape ``(point,)``, positive to the left of the strike.
        depths : np.ndarray
            m, shape ``(..., rate)``.

        Returns
        -------
        np.ndarray
            Shape ``(..., point, rate)``, along the strike.
        """
        first = interseismic_velocity(distance, 1.0, depths[..., :1])
        if self.kind == "screw":
            return first[..., np.newaxis]
        other = depths[..., 1:]
        if self.kind == "creep":
            return np.stack([first, shallow_creep(distance, 1.0, other)], axis=-1)
        return np.stack([first, interseismic_velocity(distance - self.second, 1.0, other)], axis=-1)

    def slopes(self, distance: np.ndarray, depths: np.ndarray) -> np.ndarray:
        """
        Evaluate the derivative of `columns` by the logarithm of their depths.

        Parameters
        ----------
        distance : np.ndarray
            m, shape ``(point,)``.
        depths : np.ndarray
            m, shape ``(rate,)``.

        Returns
        -------
        np.ndarray
            Shape ``(point, rate)``.
        """
        at = np.stack([distance] * depths.size, axis=-1)
        if self.kind == "two_faults":
            at = at - np.array([0.0, self.second])
        sign = np.where(np.array(MODELS[self.kind]) == "creep_rate", 1.0, -1.0)
        return np.asarray(sign / np.pi * at * depths / (np.square(at) + np.square(depths)))


@dataclass(frozen=True)
class ScrewFit:
    """
    What a profile tells of its faults.

    Parameters
    ----------
    rates, depths : np.ndarray
        m/yr and m, shape ``(rate,)``, in the order of `MODELS`; NaN where the profile does not tell.
    rate_std, depth_std : np.ndarray
        Their standard deviations.
    offset, offset_std : float
        Velocity on the fault, m/yr.
    chi2 : float
        Weighted squares of the residuals over the degrees of freedom.
    count : int
        Points used.
    at_bound : np.ndarray
        Depths that lie at an end of their range, bool, shape ``(rate,)``.
    """

    rates: np.ndarray
    depths: np.ndarray
    rate_std: np.ndarray
    depth_std: np.ndarray
    offset: float
    offset_std: float
    chi2: float
    count: int
    at_bound: np.ndarray


def screw_velocity(
    distance: np.ndarray, model: ScrewModel, rates: np.ndarray, depths: np.ndarray, offset: float = 0.0
) -> np.ndarray:
    """
    Model the velocity along the strike of faults across a profile.

    Parameters
    ----------
    distance : np.ndarray
        m, shape ``(point,)``, positive to the left of the strike.
    model : ScrewModel
        Faults.
    rates, depths : np.ndarray
        m/yr and m, shape ``(rate,)``; right-lateral is positive.
    offset : float
        m/yr, added.

    Returns
    -------
    np.ndarray
        m/yr, shape ``(point,)``, positive in the direction of the strike.

    See Also
    --------
    fit_screw : The inverse.

    Notes
    -----
    ``v = c + sum s_k / pi arctan((x - x_k) / D_k)``, and of a fault that creeps at ``b`` to depth ``d`` also
    ``b (sign(x) / 2 - arctan(x / d) / pi)`` [1]_.

    References
    ----------
    .. [1] J. C. Savage and M. Lisowski, 1993, Inferred depth of creep on the Hayward fault, central California,
       J. Geophys. Res. 98, 787-793, DOI 10.1029/92JB01871.

    Examples
    --------
    Right-lateral slip moves the left side forward:

    >>> x, rate, depth = np.array([-15e3, 0.0, 15e3]), np.array([0.02]), np.array([15e3])
    >>> screw_velocity(x, ScrewModel("screw"), rate, depth, 0.001).round(6).tolist()
    [-0.004, 0.001, 0.006]
    """
    columns = model.columns(np.asarray(distance, np.float64), np.asarray(depths, np.float64))
    velocity: np.ndarray = columns @ np.asarray(rates, np.float64) + offset
    return velocity


def profile_covariance(distance: np.ndarray, std: np.ndarray, range_m: float = 0.0) -> np.ndarray:
    """
    Fill the covariance of the noise along a profile.

    Parameters
    ----------
    distance : np.ndarray
        m, shape ``(point,)``.
    std : np.ndarray
        Standard deviation of each point, shape ``(point,)``.
    range_m : float
        Distance in m over which the correlation falls to 1/e; zero for independent points.

    Returns
    -------
    np.ndarray
        Square of the unit of `std`, shape ``(point, point)``.

    Notes
    -----
    ``C_ij = std_i std_j exp(-|x_i - x_j| / range)``.

    Examples
    --------
    >>> profile_covariance(np.array([0.0, 10e3]), np.array([1.0, 2.0]), 10e3).round(4).tolist()
    [[1.0, 0.7358], [0.7358, 4.0]]
    """
    apart = np.abs(distance[:, np.newaxis] - distance)
    shape = correlation("exponential", apart / range_m) if range_m > 0 else np.eye(distance.size)
    covariance: np.ndarray = shape * np.outer(std, std)
    return covariance


def pooled_std(scatter: np.ndarray, effective: np.ndarray) -> np.ndarray:
    """
    Estimate the noise of the means of bins from the scatter inside all bins of a profile.

    Parameters
    ----------
    scatter : np.ndarray
        Standard deviation of the pixels of each bin, divided by their number, shape ``(..., bin)``.
    effective : np.ndarray
        How many independent pixels those of a bin are worth, shape ``(..., bin)``.

    Returns
    -------
    np.ndarray
        Standard deviation of each mean, unit of `scatter`, shape ``(..., bin)``; NaN of empty bins, and of profiles
        whose bins hold one independent pixel each.

    Notes
    -----
    Correlated pixels deviate from their own mean less than from the truth: the expected square of the scatter is
    ``s^2 (1 - 1 / n)`` with the variance ``s^2`` of a pixel and the effective number n, and the mean has the variance
    ``s^2 / n``. One variance is taken for all pixels of a profile, ``sum n scatter^2 / sum (n - 1)``: that of a single
    bin would be known too badly for a weight.

    Examples
    --------
    Of two independent pixels the half of their difference has the standard deviation of their mean:

    >>> pooled_std(np.array([1.0]), np.array([2.0])).tolist()
    [1.0]
    """
    known = np.isfinite(scatter) & np.isfinite(effective) & (effective > 0)
    number = np.where(known, effective, 0.0)
    squares = np.sum(number * np.square(np.where(known, scatter, 0.0)), axis=-1, keepdims=True)
    spare = np.sum(np.where(known, number - 1.0, 0.0), axis=-1, keepdims=True)
    variance = np.divide(squares, spare, out=np.full(squares.shape, np.nan), where=spare > _SINGULAR)
    mean = np.divide(variance, number, out=np.full(number.shape, np.nan), where=number > 0)
    std: np.ndarray = np.sqrt(mean)
    return std


def fit_screw(
    distance: np.ndarray,
    velocity: np.ndarray,
    covariance: np.ndarray,
    model: ScrewModel,
    *,
    choice: str = "offset",
    near: float = 5e3,
) -> ScrewFit:
    """
    Fit faults to one profile by generalised least squares.

    Parameters
    ----------
    distance : np.ndarray
        Distance from the fault in m, shape ``(point,)``, positive to the left of the strike.
    velocity : np.ndarray
        Velocity along the strike in m/yr, shape ``(point,)``, positive in its direction. NaN is no data.
    covariance : np.ndarray
        Of the noise, (m/yr)^2, shape ``(point, point)``. Points whose variance is not positive and finite are left out.
    model : ScrewModel
        Faults and the ranges of their depths.
    choice : str
        Datum and points, one of `CHOICES`. ``"offset"``: a constant is solved with the rest. ``"slope"``: a constant
        and a slope along the profile. ``"left"``, ``"right"``: data and model have mean zero in the far field, the
        outer third of the profile on that side of the strike; no constant is solved. ``"far"``: a constant, points
        within `near` of the fault left out. ``"short"``: a constant, the outer third of both sides left out.
    near : float
        m.

    Returns
    -------
    ScrewFit
        NaN where there are fewer points than parameters, or fewer than three on either side of the fault.

    Raises
    ------
    SchemaError
        If the choice is unknown.
    numpy.linalg.LinAlgError
        If the covariance is not positive definite.

    See Also
    --------
    screw_velocity : The model.
    mimtpy_cloud.ops.transectfit.fit_transects : Of labelled profiles, all choices at once.

    Notes
    -----
    Everything is multiplied by ``L^-1`` with ``C = L L^T``. Rates and datum are linear; for each depth they are solved
    by projection. Depths come from a grid even in their logarithms, then from Gauss-Newton steps on what the
    projection leaves [1]_. Standard deviations are those of the linearised problem in all parameters together.

    References
    ----------
    .. [1] G. H. Golub and V. Pereyra, 1973, The differentiation of pseudo-inverses and nonlinear least squares
       problems whose variables separate, SIAM J. Numer. Anal. 10, 413-432, DOI 10.1137/0710036.

    Examples
    --------
    >>> x = np.arange(-50e3, 51e3, 2e3)
    >>> v = screw_velocity(x, ScrewModel("screw"), np.array([0.02]), np.array([15e3]), 0.001)
    >>> fit = fit_screw(x, v, profile_covariance(x, np.full(x.size, 1e-3), 10e3), ScrewModel("screw"))
    >>> fit.rates.round(6).tolist(), fit.depths.round(2).tolist(), round(fit.offset, 6)
    ([0.02], [15000.0], 0.001)
    """
    if choice not in CHOICES:
        raise SchemaError(f"choice of the datum must be one of {', '.join(CHOICES)}, got {choice!r}")
    used = _used(distance, velocity, covariance, choice, near)
    x, rates = distance[used], len(MODELS[model.kind])
    datum = _datum(x, choice)
    if x.size <= 2 * rates + datum.columns.shape[1] or min((x > 0).sum(), (x < 0).sum()) < _SIDE:
        return _nothing(rates, x.size)
    lower = np.linalg.cholesky(covariance[np.ix_(used, used)])
    problem = _Problem(model, x, velocity[used].astype(np.float64), lower, datum)
    start = problem.search()
    limits = np.log(np.array(model.ranges)).T
    found = scipy.optimize.least_squares(
        problem.residual,
        np.clip(start, limits[0] + 1e-6, limits[1] - 1e-6),
        problem.jacobian,
        bounds=(limits[0], limits[1]),
        xtol=1e-12,
        ftol=1e-12,
        gtol=1e-12,
    )
    return problem.finish(found.x)


def _used(distance: np.ndarray, velocity: np.ndarray, covariance: np.ndarray, choice: str, near: float) -> np.ndarray:
    """Points that a choice takes."""
    variance = np.diag(covariance)
    used: np.ndarray = np.isfinite(velocity) & np.isfinite(variance) & (variance > 0)
    if choice == "far":
        used = used & (np.abs(distance) >= near)
    elif choice == "short":
        used = used & (distance <= (1 - 1 / _THIRD) * distance.max()) & (distance >= (1 - 1 / _THIRD) * distance.min())
    return used


class _Datum(NamedTuple):
    """Columns that are solved with the rates, or weights of the points whose mean is zero."""

    columns: np.ndarray
    far: np.ndarray | None = None


def _datum(x: np.ndarray, choice: str) -> _Datum:
    """Datum of a choice."""
    if choice in ("left", "right"):
        far = x >= (1 - 1 / _THIRD) * x.max(initial=0.0)
        if choice == "right":
            far = x <= (1 - 1 / _THIRD) * x.min(initial=0.0)
        return _Datum(np.empty((x.size, 0)), far / max(far.sum(), 1))
    size = np.abs(x).max(initial=1.0)
    return _Datum(np.stack([np.ones(x.size), x / size], axis=-1)[:, : 2 if choice == "slope" else 1])


@dataclass(frozen=True)
class _Problem:
    """One profile whose depths are sought."""

    model: ScrewModel
    x: np.ndarray
    velocity: np.ndarray
    lower: np.ndarray
    datum: _Datum

    def _whiten(self, values: np.ndarray) -> np.ndarray:
        """Refer columns ``(..., point, column)`` to the datum, then whiten them."""
        if self.datum.far is not None:
            values = values - np.einsum("p,...pc->...c", self.datum.far, values)[..., np.newaxis, :]
        flat = np.moveaxis(values, -2, 0).reshape(self.x.size, -1)
        white = scipy.linalg.solve_triangular(self.lower, flat, lower=True, check_finite=False)
        return np.moveaxis(white.reshape(self.x.size, *values.shape[:-2], values.shape[-1]), 0, -2)

    def _design(self, depths: np.ndarray) -> np.ndarray:
        """Whitened columns of rates and datum for depths ``(..., rate)``."""
        columns = self.model.columns(self.x, depths)
        datum = np.broadcast_to(self.datum.columns, (*columns.shape[:-1], self.datum.columns.shape[1]))
        return self._whiten(np.concatenate([columns, datum], axis=-1))

    @cached_property
    def _data(self) -> np.ndarray:
        """Whitened data."""
        return self._whiten(self.velocity[:, np.newaxis])[:, 0]

    def search(self) -> np.ndarray:
        """Logarithms of the best depths of the grid."""
        ranges = self.model.ranges
        axes = [np.geomspace(low, high, _NODES[len(ranges) > 1]) for low, high in ranges]
        depths = np.stack([a.ravel() for a in np.meshgrid(*axes, indexing="ij")], axis=-1)
        if self.model.kind == "creep":
            depths = depths[depths[:, 1] < depths[:, 0]]
        q = np.linalg.qr(self._design(depths))[0]
        explained = np.square(np.einsum("dpc,p->dc", q, self._data)).sum(axis=-1)
        return np.asarray(np.log(depths[np.argmax(explained)]))

    def _project(self, log_depths: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Basis of the design, coefficients and residual."""
        q, r = np.linalg.qr(self._design(np.exp(log_depths)))
        data = self._data
        part = q.T @ data
        return q, np.linalg.lstsq(r, part, rcond=_SINGULAR)[0], data - q @ part

    def residual(self, log_depths: np.ndarray) -> np.ndarray:
        """What the projection leaves of the data."""
        return self._project(log_depths)[2]

    def jacobian(self, log_depths: np.ndarray) -> np.ndarray:
        """Derivative of `residual`, without a part that is of second order in it."""
        q, coefficients, _ = self._project(log_depths)
        slopes = self._whiten(self.model.slopes(self.x, np.exp(log_depths)) * coefficients[: log_depths.size])
        return np.asarray(-(slopes - q @ (q.T @ slopes)))

    def finish(self, log_depths: np.ndarray) -> ScrewFit:
        """Rates, datum and uncertainties."""
        depths, count, n = np.exp(log_depths), log_depths.size, self.x.size
        _, solved, residual = self._project(log_depths)
        rates = solved[:count]
        slopes = self._whiten(self.model.slopes(self.x, depths) * rates / depths)
        std = _stds(np.concatenate([self._design(depths), slopes], axis=-1))
        if self.datum.far is None:
            offset, offset_std = float(solved[count]), float(std[count])
        else:
            left = self.velocity - self.model.columns(self.x, depths) @ rates
            offset, offset_std = float(self.datum.far @ left), np.nan
        low, high = np.array(self.model.ranges).T
        at_bound = (depths <= low * _AT_BOUND) | (depths >= high / _AT_BOUND)
        if self.model.kind == "creep":
            at_bound[1] |= depths[1] >= depths[0] / _AT_BOUND
        chi2 = float(residual @ residual) / (n - solved.size - count)
        return ScrewFit(rates, depths, std[:count], std[solved.size :], offset, offset_std, chi2, n, at_bound)


def _stds(jacobian: np.ndarray) -> np.ndarray:
    """Standard deviations of the parameters of whitened data; NaN where they are not told apart."""
    size = np.linalg.norm(jacobian, axis=0)
    if not (np.isfinite(size).all() and (size > 0).all()):
        return np.full(size.size, np.nan)
    _, singular, vectors = np.linalg.svd(jacobian / size, full_matrices=False)
    if singular[-1] <= _TOLD_APART * singular[0]:
        return np.full(size.size, np.nan)
    return np.asarray(np.linalg.norm(vectors / singular[:, np.newaxis], axis=0) / size)


def _nothing(rates: int, count: int) -> ScrewFit:
    """Fit of a profile with too few points."""
    none = np.full(rates, np.nan)
    return ScrewFit(none, none, none, none, np.nan, np.nan, np.nan, count, np.zeros(rates, bool))
