"""How much larger the errors of each track are than its standard deviations say, from what the looks disagree."""

from dataclasses import dataclass

import numpy as np

from mimtpy_cloud.kernels.enu import SIGMA_FLOOR, inverse_variance

__all__ = ["Scales", "estimate_scales"]

#: Pixels solved at a time.
_BATCH = 1 << 15
_MOST_STEPS, _SMALL_STEP, _LARGEST_STEP = 50, 1e-6, 2.0
#: Pixels with a residual larger than so many of its standard deviations are outliers.
_OUTLIER = 5.0
#: Standard deviation of the logarithm of a variance about the factor that all tracks share, and of its ratio to others
#: about what is expected.
_ABOUT_COMMON, _ABOUT_EXPECTED = 2.0, 0.5
#: A pixel has a spare look if its residuals keep at least this part of one.
_SPARE = 1e-3
#: A mean residual is known if the others check a track in at least this part of the pixels.
_CHECKED = 0.02


@dataclass(frozen=True)
class Scales:
    """
    Result of `estimate_scales`.

    Parameters
    ----------
    scale : np.ndarray
        What the standard deviations of each track are to be multiplied by, shape ``(track,)``; NaN where no pixel with
        a spare look has the track.
    covariance : np.ndarray
        Of the natural logarithms of the scales, shape ``(track, track)``; the prior's for a track that the data do not
        tell from another.
    redundancy : np.ndarray
        Spare looks of each track, summed over the pixels.
    mean : np.ndarray
        Mean residual of each track over the part of it that is seen, unit of the data: an offset between datums shows.
        NaN where the other looks hardly check the track.
    count : int
        Pixels used.
    outliers : int
        Pixels left out.
    residual : np.ndarray
        Residuals over their standard deviations, shape ``(track, pixel)``; NaN where there is none.
    """

    scale: np.ndarray
    covariance: np.ndarray
    redundancy: np.ndarray
    mean: np.ndarray
    count: int
    outliers: int
    residual: np.ndarray


def estimate_scales(
    los: np.ndarray,
    look: np.ndarray,
    sigma: np.ndarray,
    basis: tuple[float, float] = (1.0, 0.0),
    *,
    across: np.ndarray | None = None,
    across_std: np.ndarray | float = 0.0,
    expected: np.ndarray | None = None,
    worth: float = 1.0,
) -> Scales:
    """
    Estimate variance components: one factor for the standard deviations of each track.

    Parameters
    ----------
    los : np.ndarray
        Line-of-sight displacement or velocity, toward the satellite positive, shape ``(track, pixel)``; what is not
        finite is no data.
    look : np.ndarray
        Unit vectors from ground to satellite (east, north, up), shape ``(track, 3, pixel)``.
    sigma : np.ndarray
        Standard deviation of `los`, shape ``(track, pixel)``.
    basis : tuple of float
        East and north components of the horizontal direction, as in `mimtpy_cloud.kernels.enu.invert_enu`.
    across : np.ndarray, optional
        Known motion across it, shape ``(pixel,)``; zero if not given.
    across_std : np.ndarray or float
        Its standard deviation; zero takes it as exact, infinity as unknown.
    expected : np.ndarray, optional
        Scale that is expected of each track, shape ``(track,)``, from a patch that does not move, say; NaN of none. The
        ratios count, since a patch does not know of errors that are longer than it.
    worth : float
        Number of independent pixels that one pixel is worth, where their errors are correlated.

    Returns
    -------
    Scales

    See Also
    --------
    mimtpy_cloud.ops.variance.variance_components : The same for tracks, lazily.

    Notes
    -----
    Restricted maximum likelihood by Fisher scoring on the logarithms of the variances [1]_: with the part
    ``M = I - A N^-1 A' W`` of the errors that stays in the residuals of a pixel, the gradient is
    ``(v' W v - tr M) / 2`` and the information ``sum M_kl M_lk / 2``, for each track. Two looks of one direction tell
    the sum of their variances and hardly each. Of what the data do not tell a prior keeps the ratios as given: the
    logarithms of the variances have a standard deviation of 2 about the factor that all tracks share, or of 0.5 about
    what is expected. Pixels with a residual beyond 5 standard deviations are left out. Cost is linear in the pixels.

    References
    ----------
    .. [1] Koch, K.-R. (1999), Parameter Estimation and Hypothesis Testing in Linear Models, 2nd ed., Springer, section
       3.6, doi:10.1007/978-3-662-03976-2.

    Examples
    --------
    >>> rng = np.random.default_rng(1)
    >>> angle = np.linspace(-0.8, 0.8, 5)
    >>> look = np.stack([np.sin(angle), 0 * angle, np.cos(angle)], axis=1)[..., np.newaxis]
    >>> noise = rng.standard_normal((5, 20000)) * np.array([[1.0], [2.0], [1.0], [3.0], [1.0]])
    >>> found = estimate_scales(noise, np.repeat(look, 20000, 2), np.ones_like(noise))
    >>> [round(scale) for scale in found.scale.tolist()]
    [1, 2, 1, 3, 1]
    """
    rows, prior = _rows(look, basis), inverse_variance(across_std, los.shape[1])
    data = los.astype(np.float64)
    if across is not None:
        data = data - rows[..., 2].T * across
    exact = np.ndim(across_std) == 0 and across_std == 0
    design = rows[..., :2] if exact else rows
    spread = np.maximum(sigma.astype(np.float64), SIGMA_FLOOR)
    known = np.isfinite(data) & np.isfinite(spread) & np.isfinite(design).all(axis=2).T & np.isfinite(prior)
    weight = np.where(known, 1.0 / np.where(known, spread, 1.0) ** 2, 0.0)
    problem = _Problem(np.where(known, data, 0.0).T, np.where(known.T[..., None], design, 0.0), weight.T, prior)
    return problem.solve(worth, np.full(len(los), np.nan) if expected is None else np.asarray(expected, float))


def _rows(look: np.ndarray, basis: tuple[float, float]) -> np.ndarray:
    """Parts of each look along the horizontal direction, up, and across it, shape (pixel, track, 3)."""
    east, north, up = (look[:, c].astype(np.float64) for c in range(3))
    parts = (east * basis[0] + north * basis[1], up, north * basis[0] - east * basis[1])
    return np.stack(parts, axis=-1).transpose(1, 0, 2)


@dataclass(frozen=True)
class _Problem:
    """Data (pixel, track), design (pixel, track, unknown), weights (pixel, track), and the prior precision (pixel,)."""

    data: np.ndarray
    design: np.ndarray
    weight: np.ndarray
    prior: np.ndarray

    def solve(self, worth: float, expected: np.ndarray) -> Scales:
        spare = self._spare()
        part = _Problem(self.data[spare], self.design[spare], self.weight[spare], self.prior[spare])
        seen = (part.weight > 0).any(axis=0)
        centre, prior = _prior(expected, part.start())
        theta = centre.copy()
        for _ in range(_MOST_STEPS):
            sums = part.sums(theta)
            gradient = worth * sums.gradient - prior @ (theta - centre)
            step = np.linalg.solve(worth * sums.information + prior, gradient)
            theta = theta + np.clip(step, -_LARGEST_STEP, _LARGEST_STEP)
            if np.abs(step).max(initial=0.0) < _SMALL_STEP:
                break
        sums = part.sums(theta)
        covariance = np.linalg.inv(worth * sums.information + prior) / 4  # of half the logarithm of a variance
        residual = np.full(self.data.shape, np.nan)
        residual[spare] = sums.normalised
        checked = sums.redundancy > _CHECKED * max(int(sums.used.sum()), 1)
        mean = np.divide(sums.seen_mean, sums.redundancy, out=np.full(seen.size, np.nan), where=checked)
        return Scales(
            np.where(seen, np.exp(theta / 2), np.nan),
            covariance,
            sums.redundancy,
            np.where(seen, mean, np.nan),
            int(sums.used.sum()),
            int((~sums.used).sum()),
            residual.T,
        )

    def _spare(self) -> np.ndarray:
        """Pixels whose looks are not all needed by their unknowns, and see them."""
        found = np.zeros(len(self.data), bool)
        for at in _batches(len(self.data)):
            _, left = self._reduced(at, self.weight[at])
            redundancy = np.trace(left, axis1=1, axis2=2)
            found[at] = np.isfinite(redundancy) & (redundancy > _SPARE)
        return found

    def start(self) -> float:
        """Logarithm of one variance factor for all, from the median pixel."""
        ratios = [np.empty(0)]
        for at in _batches(len(self.data)):
            misfit, left = self._reduced(at, self.weight[at])
            freedom = np.trace(left, axis1=1, axis2=2)
            typical = freedom * (1 - 2 / (9 * np.maximum(freedom, 0.5))) ** 3  # median of chi squared
            ratios.append((self.weight[at] * misfit**2).sum(axis=1) / typical)
        return float(np.log(max(np.median(np.concatenate(ratios)), 1e-12))) if len(self.data) else 0.0

    def sums(self, theta: np.ndarray) -> "_Sums":
        n_tracks = self.data.shape[1]
        found = _Sums(
            np.zeros(n_tracks),
            np.zeros((n_tracks, n_tracks)),
            np.zeros(n_tracks),
            np.zeros(n_tracks),
            np.zeros(len(self.data), bool),
            np.full(self.data.shape, np.nan),
        )
        for at in _batches(len(self.data)):
            weight = self.weight[at] * np.exp(-theta)
            misfit, left = self._reduced(at, weight)
            redundancy = np.clip(np.diagonal(left, axis1=1, axis2=2), 0.0, 1.0)
            sees = (weight > 0) & (redundancy > _SPARE)
            with np.errstate(invalid="ignore", divide="ignore"):
                normalised = np.where(sees, misfit * np.sqrt(weight / redundancy), np.nan)
            used = ~(np.abs(normalised) > _OUTLIER).any(axis=1)
            found.gradient[:] += 0.5 * (weight * misfit**2 - redundancy)[used].sum(axis=0)
            found.information[:] += 0.5 * np.einsum("pkl,plk->kl", left[used], left[used])
            found.redundancy[:] += redundancy[used].sum(axis=0)
            found.seen_mean[:] += misfit[used].sum(axis=0)
            found.used[at] = used
            found.normalised[at] = normalised
        return found

    def _reduced(self, at: slice, weight: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Residuals (pixel, track), and the part of each look's error that stays in each residual, zero of no look."""
        design = self.design[at]
        scaled = design * weight[..., np.newaxis]
        normal = np.einsum("pki,pkj->pij", scaled, design)
        if design.shape[2] == 3:
            normal[:, 2, 2] += self.prior[at]
        inverse = _invert(normal)
        here = weight > 0
        hat = np.einsum("pki,pij,plj->pkl", design, inverse, scaled, optimize=True)
        left = np.where(here[:, :, np.newaxis] & here[:, np.newaxis], np.eye(weight.shape[1]) - hat, 0.0)
        return np.einsum("pkl,pl->pk", left, self.data[at]), left


@dataclass(frozen=True)
class _Sums:
    """What one pass over the pixels adds up, and which it used."""

    gradient: np.ndarray
    information: np.ndarray
    redundancy: np.ndarray
    seen_mean: np.ndarray
    used: np.ndarray
    normalised: np.ndarray


def _prior(expected: np.ndarray, common: float) -> tuple[np.ndarray, np.ndarray]:
    """Centre and precision of the logarithms of the variances; of what is expected, ratios count."""
    told = np.isfinite(expected) & (expected > 0)
    centre = np.full(expected.size, common)
    if told.any():
        logarithm = 2 * np.log(expected[told])
        centre[told] += logarithm - logarithm.mean()
    apart = np.where(told, _ABOUT_EXPECTED, _ABOUT_COMMON) ** 2
    shared = np.outer(told, told) * _ABOUT_COMMON**2
    return centre, np.linalg.inv(np.diag(apart) + shared)


def _batches(size: int) -> list[slice]:
    return [slice(start, min(start + _BATCH, size)) for start in range(0, size, _BATCH)]


def _invert(normal: np.ndarray) -> np.ndarray:
    """Inverse of each matrix; NaN of those that are singular."""
    scale = np.einsum("pii->p", normal) / normal.shape[1]
    with np.errstate(invalid="ignore", divide="ignore"):
        singular = ~(np.linalg.det(normal / scale[:, np.newaxis, np.newaxis]) > 1e-9)
    safe = np.where(singular[:, np.newaxis, np.newaxis], np.eye(normal.shape[1]), normal)
    out: np.ndarray = np.where(singular[:, np.newaxis, np.newaxis], np.nan, np.linalg.inv(safe))
    return out
