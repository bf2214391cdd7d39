"""Displacement of two components over time from lines of sight on different dates, pixel by pixel."""

import math
from dataclasses import dataclass
from typing import Any

import numpy as np

from mimtpy_cloud.kernels.band import (
    STRIP,
    back,
    compiled,
    factor,
    forward,
    inverse_band,
    scale,
    subtract_product,
)
from mimtpy_cloud.kernels.enu import inverse_variance

__all__ = [
    "ORDERS",
    "Observations",
    "Solution",
    "best_weight",
    "cross_validation",
    "decompose_series",
    "largest_regularisation",
    "roughness",
]

#: What can be penalised: velocity, its first or its second derivative.
ORDERS = (0, 1, 2)

_HUGE = 1e300
#: Largest part of the weight of an observation that rounding of the penalty may be.
_ROUNDING = 1e-3


@dataclass(frozen=True)
class Observations:
    """
    Lines of sight of a block of pixels on the dates of all tracks.

    Parameters
    ----------
    displacement : np.ndarray
        Toward the satellite positive, each track relative to any date of its own, m, shape ``(observation, pixel)``.
        What is not finite is no data.
    track, epoch : np.ndarray
        Which track, and which date of the timeline, shape ``(observation,)``.
    look : np.ndarray
        Unit vectors from ground to satellite (east, north, up), shape ``(track, 3, pixel)``.
    sigma : np.ndarray, optional
        Standard deviation of each observation in m, shape ``(observation,)``. Without it all weigh the same.
    basis : tuple of float
        East and north components of the horizontal direction, see `mimtpy_cloud.kernels.enu.horizontal_basis`.
    across : np.ndarray, optional
        Velocity across that direction, m/yr, shape ``(pixel,)``; zero if not given. NaN is unknown.
    across_std : np.ndarray or float
        Its standard deviation; zero takes it as exact.
    """

    displacement: np.ndarray
    track: np.ndarray
    epoch: np.ndarray
    look: np.ndarray
    sigma: np.ndarray | None = None
    basis: tuple[float, float] = (1.0, 0.0)
    across: np.ndarray | None = None
    across_std: np.ndarray | float = 0.0


@dataclass(frozen=True)
class Solution:
    """
    What `decompose_series` finds.

    Parameters
    ----------
    motion, std : np.ndarray
        Horizontal and vertical displacement since the reference and its standard deviation, m, shape
        ``(2, time, pixel)``.
    variance : np.ndarray
        Weighted squares that are left over their degrees of freedom, shape ``(pixel,)``: reduced chi^2 with
        standard deviations, else the variance of one observation in m^2. NaN without a spare observation.
    rms : np.ndarray
        Root mean square of the residuals of each track, m, shape ``(track, pixel)``.
    """

    motion: np.ndarray
    std: np.ndarray
    variance: np.ndarray
    rms: np.ndarray


def roughness(years: np.ndarray, order: int) -> np.ndarray:
    """
    Give the matrix of the penalty on a displacement that is linear between dates.

    Parameters
    ----------
    years : np.ndarray
        Ascending times of the timeline, at least ``order + 2``.
    order : int
        0, 1 or 2: the derivative of velocity whose square is integrated over time.

    Returns
    -------
    np.ndarray
        Lower band of the symmetric matrix, shape ``(epoch, order + 2)``: entry ``(i, d)`` belongs to the dates ``i``
        and ``i - d``. Unit yr^-(2 order + 1).

    Notes
    -----
    Divided differences over irregular dates, each weighted by the time that it stands for: the penalty is that of a
    function, not of a list of numbers, so that more dates do not make it stronger, and the long interval of a gap may
    have another velocity at little cost. Polynomials of that order cost nothing.

    Examples
    --------
    >>> roughness(np.array([0.0, 1.0, 3.0]), 0).tolist()
    [[1.0, 0.0], [1.5, -1.0], [0.5, -0.5]]
    """
    n = years.size
    rows = np.eye(n)
    span = np.ones(n)
    for q in range(1, order + 2):
        span = (years[q:] - years[:-q]) / q
        rows = np.diff(rows, axis=0) / span[:, np.newaxis]
    full = rows.T @ (span[:, np.newaxis] * rows)
    band = np.zeros((n, order + 2))
    for d in range(order + 2):
        band[d:, d] = np.diagonal(full, -d)
    return band


def largest_regularisation(years: np.ndarray, order: int, weight: float) -> float:
    """
    Give the largest weight of the penalty that double precision holds.

    Parameters
    ----------
    years : np.ndarray
        Ascending times of the timeline, years.
    order : int
        As for `decompose_series`.
    weight : float
        Inverse variance of an observation.

    Returns
    -------
    float

    Notes
    -----
    The penalty of an order of 1 or 2 on dates a day apart has entries of 1e7 or 1e12; their rounding must stay small
    beside the weight of the data. Found by comparing with QR of the same problem: displacements then differ by less
    than 0.1 mm.
    """
    steep = float(roughness(years, order)[:, 0].max())
    return _ROUNDING * weight / (np.finfo(float).eps * steep)


def decompose_series(
    observations: Observations,
    years: np.ndarray,
    at: np.ndarray,
    *,
    order: int,
    regularisation: float,
    reference: int = 0,
) -> Solution:
    """
    Solve the displacement of a horizontal component and up on a timeline, with a penalty on its roughness.

    Parameters
    ----------
    observations : Observations
        Lines of sight of a block.
    years : np.ndarray
        Ascending times of the timeline, years from any origin.
    at : np.ndarray
        Times inside the timeline for which the solution is wanted, years.
    order : int
        What is penalised: the square of velocity (0), of its first (1) or second derivative (2), integrated over time.
    regularisation : float
        Weight of the penalty. Without standard deviations of the data in yr^(2 order + 1),
        with them that over m^2.
    reference : int
        Date of the timeline on which displacement is zero.

    Returns
    -------
    Solution
        float32. NaN where the looks of a pixel cannot tell the components at all; which dates it knows is another
        question.

    See Also
    --------
    mimtpy_cloud.ops.timeline.decompose_series : The same with labels, lazily.

    Notes
    -----
    Observation ``d = h H(t) + u U(t) + c C t + b_k + noise``: H and U are the displacements on the dates of the
    timeline, which are linear between them, zero on the reference date; ``b_k`` is a constant of each track, so that
    the noise of its own reference image is not in every residual, and no date need be common. What is known of the
    velocity across, C, is one observation more. Minimised is the sum of the weighted squared residuals and the
    regularisation times the integral of the squared derivative of both components [1]_.

    The matrix of H and U is banded, with ``2 (order + 1)`` entries beside its diagonal, and bordered by the constants:
    a banded Cholesky factor, and one of the Schur complement, in float64. Variances are entries of the inverse,
    which the recurrence of Takahashi [2]_ takes from the factor inside the band. Cost is linear in the dates.
    Standard deviations include the penalty, which is knowledge: velocity (order 0), acceleration (1) or its change (2)
    is white noise of density 1 / regularisation. Without standard deviations of the data they follow the
    residuals of each pixel.

    References
    ----------
    .. [1] Samsonov, S. and d'Oreye, N. (2012), Multidimensional time-series analysis of ground deformation from
       multiple InSAR data sets applied to Virunga Volcanic Province, Geophysical Journal International, 191, 1095-1108,
       doi:10.1111/j.1365-246X.2012.05669.x.
    .. [2] Takahashi, K., Fagan, J. and Chen, M.-S. (1973), Formation of a sparse bus impedance matrix and its
       application to short circuit study, 8th PICA Conference Proceedings, 63-69.
    """
    system = _system(observations, years, order, reference)
    lower = np.clip(np.searchsorted(years, at, "right") - 1, 0, years.size - 2)
    part = (at - years[lower]) / (years[lower + 1] - years[lower])
    n_pixels = observations.displacement.shape[1]
    padded, n_tracks = system[0].shape[1], len(observations.look)
    motion, std = np.empty((2, 2 * at.size, padded), np.float32)
    variance, rms = np.empty(padded, np.float32), np.empty((n_tracks, padded), np.float32)
    scaled = observations.sigma is None
    _solve_strips(*system, float(regularisation), lower, part, scaled, motion, std, variance, rms)
    shape = (2, at.size, padded)
    return Solution(
        motion.reshape(shape)[..., :n_pixels],
        std.reshape(shape)[..., :n_pixels],
        variance[:n_pixels],
        rms[:, :n_pixels],
    )


def cross_validation(
    observations: Observations, years: np.ndarray, *, order: int, regularisation: np.ndarray
) -> np.ndarray:
    """
    Judge weights of the penalty by generalised cross-validation.

    Parameters
    ----------
    observations : Observations
        Lines of sight of a block.
    years : np.ndarray
        Ascending times of the timeline, years.
    order : int
        As for `decompose_series`.
    regularisation : np.ndarray
        Weights of the penalty to be judged.

    Returns
    -------
    np.ndarray
        Shape ``(weight, pixel)``; the largest is best. NaN where there is no observation to spare.

    Notes
    -----
    With n observations and the influence matrix A of a weight, which turns data into their prediction, GCV is
    ``n |weighted residuals|^2 / (n - trace A)^2`` [1]_: how well an observation is predicted by the others. Given is
    ``-n / 2 log GCV``, so that pixels of any noise may be added. Only relative standard deviations matter.
    The trace follows from the covariance inside the band. Does not depend on the reference date.

    References
    ----------
    .. [1] Golub, G. H., Heath, M. and Wahba, G. (1979), Generalized cross-validation as a method for choosing a good
       ridge parameter, Technometrics, 21, 215-223, doi:10.1080/00401706.1979.10489751.
    """
    system = _system(observations, years, order, 0)
    out = np.empty((regularisation.size, system[0].shape[1]))
    _judge_strips(*system, np.asarray(regularisation, np.float64), out)
    return out[:, : observations.displacement.shape[1]]


def best_weight(regularisation: np.ndarray, score: np.ndarray) -> float:
    """
    Find the weight of the largest score, by a parabola through the best of those that were tried.

    Parameters
    ----------
    regularisation, score : np.ndarray
        Weights, which grow by a constant factor, and their scores; at least three.

    Returns
    -------
    float

    Examples
    --------
    >>> best_weight(np.array([1.0, 10.0, 100.0]), np.array([-4.0, -1.0, -4.0]))
    10.0
    """
    best = int(np.argmax(score))
    if not 0 < best < score.size - 1:
        return float(regularisation[best])
    left, middle, right = score[best - 1 : best + 2]
    shift = 0.5 * (left - right) / (left - 2 * middle + right)
    return float(regularisation[best] * (regularisation[1] / regularisation[0]) ** shift)


def _system(obs: Observations, years: np.ndarray, order: int, reference: int) -> tuple[Any, ...]:
    """Arguments of the compiled functions: contiguous, and at least one strip wide."""
    n_pixels = obs.displacement.shape[1]
    width = max(n_pixels, STRIP)
    values = _wide(obs.displacement, width, np.float32)
    east, north = obs.basis
    e, n, u = (obs.look[:, c].astype(np.float64) for c in range(3))
    look = _wide(np.stack([e * east + n * north, n * east - e * north, u], axis=1).reshape(-1, n_pixels), width, float)
    known = _wide(np.zeros(n_pixels) if obs.across is None else obs.across, width, float)
    exact = np.ndim(obs.across_std) == 0 and obs.across_std == 0
    precision = np.empty(0) if exact else _wide(inverse_variance(obs.across_std, n_pixels), width, float)
    weight = inverse_variance(1.0 if obs.sigma is None else obs.sigma, obs.track.size)
    penalty = roughness(years, order)
    times = years - years[reference]
    return (values, obs.track, obs.epoch, weight, look, known, precision, times, penalty, reference)


def _wide(array: np.ndarray, width: int, dtype: Any) -> np.ndarray:
    if array.shape[-1] == width:
        return np.ascontiguousarray(array, dtype)
    out = np.full((*array.shape[:-1], width), np.nan, dtype)
    out[..., : array.shape[-1]] = array
    return out


# Scratch of a strip, as `mimtpy_cloud.kernels.band` has it: `band` is the matrix of 2 unknowns a date; `beside` has row
# (i * q + c) for what stands beside unknown i: the constants of the tracks, the velocity
# across if it is unknown, the right-hand side. `corner` has row (a * q + b) for the products of those among themselves.


@compiled
def _solve_strip(data, strip, penalty, regularisation, precision, reference, band, inverse, beside, corner):  # type: ignore[no-untyped-def]
    """Solve the pixels of a strip for one weight of the penalty, and take the inverse inside the band."""
    start, looks, _, _ = strip
    n, n_tracks = penalty.shape[0], looks.shape[0] // 3
    w, q = band.shape[0] // (2 * n), beside.shape[0] // (2 * n)
    _regularise(band, penalty, regularisation)
    beside[:] = 0.0
    corner[:] = 0.0
    _assemble(data, strip, precision.size > 0, band, beside, corner, q)
    _complete(corner, precision, start, n_tracks, q)
    _hold(band, beside, n, w, q, reference)
    factor(band, 2 * n, w)
    forward(band, beside, 2 * n, w, q)
    _border(beside, corner, 2 * n, q)
    _correct(beside, corner, 2 * n, q)
    back(band, beside, 2 * n, w, q)
    inverse_band(band, inverse, 2 * n, w)


@compiled
def _assemble(data, strip, across, band, beside, corner, q):  # type: ignore[no-untyped-def]
    values, track, epoch, weight, times = data
    start, looks, usable, known = strip
    n_tracks, w = looks.shape[0] // 3, band.shape[0] // (2 * times.size)
    for o in range(track.size):
        k, j = track[o], epoch[o]
        d, h, u = values[o, start : start + STRIP], 2 * j * w, (2 * j + 1) * w
        _add(d, weight[o], times[j], looks, usable, known, k, band, h, u, beside, 2 * j * q, corner, q - 1)
        if across:
            _add_across(d, weight[o], times[j], looks, usable, known, k, beside, 2 * j * q, corner, n_tracks, q)


@compiled
def _add(d, weight, t, looks, usable, known, k, band, at_h, at_u, beside, at, corner, rhs):  # type: ignore[no-untyped-def]
    q = rhs + 1
    for s in range(STRIP):
        x = float(d[s])
        ok = abs(x) < _HUGE
        w = weight * usable[k, s] if ok else 0.0
        h, c, u = looks[3 * k, s], looks[3 * k + 1, s], looks[3 * k + 2, s]
        x = (x if ok else 0.0) - c * known[s] * t
        wh, wu = w * h, w * u
        band[at_h, s] += wh * h
        band[at_u + 1, s] += wu * h
        band[at_u, s] += wu * u
        beside[at + k, s] += wh
        beside[at + q + k, s] += wu
        beside[at + rhs, s] += wh * x
        beside[at + q + rhs, s] += wu * x
        corner[k * q + k, s] += w
        corner[rhs * q + k, s] += w * x
        corner[rhs * q + rhs, s] += w * x * x


@compiled
def _add_across(d, weight, t, looks, usable, known, k, beside, at, corner, n_tracks, q):  # type: ignore[no-untyped-def]
    rhs = q - 1
    for s in range(STRIP):
        x = float(d[s])
        ok = abs(x) < _HUGE
        w = weight * usable[k, s] if ok else 0.0
        h, c, u = looks[3 * k, s], looks[3 * k + 1, s], looks[3 * k + 2, s]
        x = (x if ok else 0.0) - c * known[s] * t
        wc = w * c * t
        beside[at + n_tracks, s] += wc * h
        beside[at + q + n_tracks, s] += wc * u
        corner[n_tracks * q + k, s] += wc
        corner[n_tracks * q + n_tracks, s] += wc * c * t
        corner[rhs * q + n_tracks, s] += wc * x


@compiled
def _prepare(look, precision, known, start, n_tracks, looks, usable, strip_known):  # type: ignore[no-untyped-def]
    """Copy what a strip has of the looks and the velocity across; what is not finite becomes zero, and unusable."""
    for s in range(STRIP):
        x = known[start + s]
        p = precision[start + s] if precision.size else 0.0
        strip_known[s] = x if abs(x) + p < _HUGE else 0.0
        for k in range(n_tracks):
            check = look[3 * k, start + s] + look[3 * k + 1, start + s] + look[3 * k + 2, start + s]
            ok = abs(check) < _HUGE
            usable[k, s] = 1.0 if ok and abs(x) + p < _HUGE else 0.0
            for c in range(3):
                looks[3 * k + c, s] = look[3 * k + c, start + s] if ok else 0.0


@compiled
def _regularise(band, penalty, regularisation):  # type: ignore[no-untyped-def]
    """Set the band to the penalty alone."""
    n, terms = penalty.shape
    w = 2 * (terms - 1) + 1
    band[:] = 0.0
    for j in range(n):
        for d in range(terms):
            value = regularisation * penalty[j, d]
            for c in range(2):
                row = (2 * j + c) * w + 2 * d
                for s in range(STRIP):
                    band[row, s] = value


@compiled
def _hold(band, beside, n, w, q, reference):  # type: ignore[no-untyped-def]
    """Keep the reference date at zero."""
    for i in (2 * reference, 2 * reference + 1):
        for d in range(1, w):
            band[i * w + d] = 0.0
            if i + d < 2 * n:
                band[(i + d) * w + d] = 0.0
        band[i * w] = 1.0
        beside[i * q : (i + 1) * q] = 0.0


@compiled
def _complete(corner, precision, start, n_tracks, q):  # type: ignore[no-untyped-def]
    """Add the prior of the velocity across, and ones for tracks without data; give data and tracks of each pixel."""
    for s in range(STRIP):
        for k in range(n_tracks):
            if corner[k * q + k, s] == 0.0:
                corner[k * q + k, s] = 1.0
        if precision.size:
            p = precision[start + s]
            corner[n_tracks * q + n_tracks, s] += p if p < _HUGE else 1.0


@compiled
def _border(beside, corner, rows, q):  # type: ignore[no-untyped-def]
    """Factor the Schur complement; the last row becomes its solution of the right-hand side, its end what is left."""
    for i in range(rows):
        for a in range(q):
            for b in range(a + 1):
                subtract_product(corner, a * q + b, beside, i * q + a, beside, i * q + b)
    for a in range(q):
        for b in range(a + 1):
            for c in range(b):
                subtract_product(corner, a * q + b, corner, a * q + c, corner, b * q + c)
            if b < a:
                scale(corner, a * q + b, corner, b * q + b)
            elif a < q - 1:
                for s in range(STRIP):
                    corner[a * q + a, s] = 1.0 / math.sqrt(corner[a * q + a, s])


@compiled
def _correct(beside, corner, rows, q):  # type: ignore[no-untyped-def]
    """Take the border out of the right-hand side, and turn the columns beside it into square roots of covariance."""
    for i in range(rows):
        for a in range(q):
            for b in range(a):
                subtract_product(beside, i * q + a, beside, i * q + b, corner, a * q + b)
            if a < q - 1:
                scale(beside, i * q + a, corner, a * q + a)


@compiled
def _write(beside, inverse, w, q, reference, lower, part, level, start, motion, std):  # type: ignore[no-untyped-def]
    times = lower.size
    for m in range(times):
        f, j = part[m], lower[m]
        g = 1.0 - f
        for c in range(2):
            a, b = 2 * j + c, 2 * j + 2 + c
            for s in range(STRIP):
                one = 0.0 if j == reference else inverse[a * w, s]
                two = 0.0 if j + 1 == reference else inverse[b * w, s]
                variance = g * g * one + f * f * two + 2.0 * f * g * inverse[b * w + 2, s]
                for k in range(q - 1):
                    x = g * beside[a * q + k, s] + f * beside[b * q + k, s]
                    variance += x * x
                # Multiplied by what is NaN where a pixel has no solution.
                known = level[s] * 0.0 if level[s] != level[s] else 0.0
                motion[c * times + m, start + s] = g * beside[a * q + q - 1, s] + f * beside[b * q + q - 1, s] + known
                std[c * times + m, start + s] = math.sqrt(max(variance, 0.0)) * level[s]


@compiled
def _residuals(values, start, track, epoch, looks, usable, known, times, beside, constants, q, n_tracks, rms, counts):  # type: ignore[no-untyped-def]
    rms[:, start : start + STRIP] = 0.0
    counts[:] = 0.0
    for o in range(track.size):
        k, j, t = track[o], epoch[o], times[epoch[o]]
        for s in range(STRIP):
            x = float(values[o, start + s])
            ok = abs(x) < _HUGE and usable[k, s] > 0.0
            h, c, u = looks[3 * k, s], looks[3 * k + 1, s], looks[3 * k + 2, s]
            velocity = known[s] + (constants[n_tracks, s] if n_tracks < q - 1 else 0.0)
            x -= c * velocity * t + constants[k, s]
            x -= h * beside[2 * j * q + q - 1, s] + u * beside[(2 * j + 1) * q + q - 1, s]
            x = x if ok else 0.0
            rms[k, start + s] += x * x
            counts[k, s] += 1.0 if ok else 0.0
    for k in range(n_tracks):
        for s in range(STRIP):
            rms[k, start + s] = math.sqrt(rms[k, start + s] / counts[k, s]) if counts[k, s] else np.nan


@compiled
def _count(values, start, track, usable, n_tracks, constants, counts):  # type: ignore[no-untyped-def]
    """Observations of each track, and in the last row those that are spare beyond `constants`."""
    counts[:] = 0.0
    for o in range(track.size):
        for s in range(STRIP):
            ok = abs(float(values[o, start + s])) < _HUGE
            counts[track[o], s] += usable[track[o], s] if ok else 0.0
    for s in range(STRIP):
        spare = -float(constants)
        for k in range(n_tracks):
            spare += counts[k, s] - 1.0 if counts[k, s] else 0.0
        counts[n_tracks, s] = spare


@compiled
def _solve_strips(  # type: ignore[no-untyped-def]
    values, track, epoch, weight, look, known, precision, times, penalty, reference, regularisation,
    lower, part, scaled, motion, std, variance, rms,
):  # fmt: skip
    n, n_tracks, width = times.size, look.shape[0] // 3, values.shape[1]
    across = precision.size > 0
    w, q = 2 * (penalty.shape[1] - 1) + 1, n_tracks + (2 if across else 1)
    band, inverse = np.empty((2 * n * w, STRIP)), np.empty((2 * n * w, STRIP))
    beside, corner, counts = np.empty((2 * n * q, STRIP)), np.empty((q * q, STRIP)), np.empty((n_tracks + 1, STRIP))
    looks, usable, strip_known = np.empty((3 * n_tracks, STRIP)), np.empty((n_tracks, STRIP)), np.empty(STRIP)
    constants, level = np.empty((q, STRIP)), np.empty(STRIP)
    data = (values, track, epoch, weight, times)
    for first in range(0, width, STRIP):
        start = min(first, width - STRIP)  # the last strip solves some pixels twice, and alike
        _prepare(look, precision, known, start, n_tracks, looks, usable, strip_known)
        _count(values, start, track, usable, n_tracks, 2 * (penalty.shape[1] - 2), counts)
        strip = (start, looks, usable, strip_known)
        _solve_strip(data, strip, penalty, regularisation, precision, reference, band, inverse, beside, corner)
        for s in range(STRIP):
            left = corner[q * q - 1, s] / counts[n_tracks, s] if counts[n_tracks, s] > 0.0 else np.nan
            left = max(left, 0.0) if left == left else np.nan
            variance[start + s] = left
            level[s] = math.sqrt(left) if scaled else 1.0
        for a in range(q - 2, -1, -1):
            constants[a] = corner[(q - 1) * q + a]
            for b in range(a + 1, q - 1):
                subtract_product(constants, a, corner, b * q + a, constants, b)
            scale(constants, a, corner, a * q + a)
        _write(beside, inverse, w, q, reference, lower, part, level, start, motion, std)
        _residuals(
            values, start, track, epoch, looks, usable, strip_known, times, beside, constants, q, n_tracks, rms, counts
        )  # fmt: skip


@compiled
def _penalties(inverse, beside, penalty, w, q, reference, trace, rough):  # type: ignore[no-untyped-def]
    """Trace of covariance times penalty, and the penalty of the solution, without its weight."""
    n, terms = penalty.shape
    trace[:] = 0.0
    rough[:] = 0.0
    for j in range(n):
        for d in range(min(terms, j + 1)):
            if j in (reference, reference + d):
                continue
            f = penalty[j, d] * (2.0 if d else 1.0)
            for c in range(2):
                a, b = 2 * j + c, 2 * (j - d) + c
                for s in range(STRIP):
                    trace[s] += f * inverse[a * w + 2 * d, s]
                    rough[s] += f * beside[a * q + q - 1, s] * beside[b * q + q - 1, s]
                for k in range(q - 1):
                    for s in range(STRIP):
                        trace[s] += f * beside[a * q + k, s] * beside[b * q + k, s]


@compiled
def _judge_strips(  # type: ignore[no-untyped-def]
    values, track, epoch, weight, look, known, precision, times, penalty, reference, regularisation, out
):  # fmt: skip
    n, n_tracks, width = times.size, look.shape[0] // 3, values.shape[1]
    across = precision.size > 0
    w, q = 2 * (penalty.shape[1] - 1) + 1, n_tracks + (2 if across else 1)
    band, inverse, beside = np.empty((2 * n * w, STRIP)), np.empty((2 * n * w, STRIP)), np.empty((2 * n * q, STRIP))
    corner, counts = np.empty((q * q, STRIP)), np.empty((n_tracks + 1, STRIP))
    looks, usable, strip_known = np.empty((3 * n_tracks, STRIP)), np.empty((n_tracks, STRIP)), np.empty(STRIP)
    trace, rough = np.empty(STRIP), np.empty(STRIP)
    data = (values, track, epoch, weight, times)
    for first in range(0, width, STRIP):
        start = min(first, width - STRIP)
        _prepare(look, precision, known, start, n_tracks, looks, usable, strip_known)
        _count(values, start, track, usable, n_tracks, 2 * (penalty.shape[1] - 2), counts)
        for r in range(regularisation.size):
            strip = (start, looks, usable, strip_known)
            _solve_strip(data, strip, penalty, regularisation[r], precision, reference, band, inverse, beside, corner)
            _penalties(inverse, beside, penalty, w, q, reference, trace, rough)
            for s in range(STRIP):
                observed, tracks = 0.0, 0.0
                for k in range(n_tracks):
                    observed += counts[k, s]
                    tracks += 1.0 if counts[k, s] else 0.0
                left = corner[q * q - 1, s] - regularisation[r] * rough[s]
                predicted = 2.0 * (n - 1) + tracks - regularisation[r] * trace[s]
                if across:
                    root = corner[n_tracks * q + n_tracks, s]
                    change = corner[(q - 1) * q + n_tracks, s] * root
                    left -= precision[start + s] * change * change
                    predicted += 1.0 - precision[start + s] * root * root
                spare = observed - predicted
                good = counts[n_tracks, s] > 0.0 and spare > 0.0 and left > 0.0
                out[r, start + s] = -0.5 * observed * math.log(observed * left / (spare * spare)) if good else np.nan
