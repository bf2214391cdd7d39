"""How badly models fit observations, with ramp, offset and amplitude solved for each model by projection."""

from dataclasses import dataclass
from typing import Any

import numpy as np
import scipy.linalg
from numba import njit

from mimtpy_cloud.errors import RampError
from mimtpy_cloud.kernels.whiten import Whitener

__all__ = ["Fit", "add_model_sums", "add_residual_squares", "prepare_fit", "solve_models", "whitened_sums"]

_JIT: dict[str, Any] = {
    "cache": True,
    "nogil": True,
    "error_model": "numpy",
    "fastmath": {"contract", "reassoc", "nsz", "arcp"},
}
#: Points at a time: their weights, data and basis stay in the second cache while all models of a block pass by.
_SEGMENT = 2048
#: Models at a time.
_ABREAST = 4
#: Basis vectors are taken three at a time.
_STEP = 3
#: Sums before the projections on the basis: points without a value, |r|^2, d.m, |m|^2.
_MISSING, _RR, _DM, _MM, _Q = range(5)
#: Where projection leaves less than this of a square, the difference is summed anew from the residuals.
_CANCELLED = 1e-3
#: A model of which the ramp leaves less than this has no amplitude.
_NOTHING = 1e-12
#: Smallest part of a column of the ramp that may be left after the others.
_SINGULAR = 1e-9


@dataclass(frozen=True)
class Fit:
    """
    Observations of one track, prepared for any number of models.

    Parameters
    ----------
    data : np.ndarray
        Observations times the roots of their weights (or whitened), less their projection on `basis`; float64, shape
        ``(point,)``, zero where a point is not used.
    weight : np.ndarray
        Roots of the weights, shape ``(point,)``, zero where a point is not used; of whitened observations one or zero,
        for all points and not only the used ones.
    basis : np.ndarray
        Orthonormal rows that span the weighted (or whitened) ramp, filled up with zeros to a multiple of three; shape
        ``(row, point)``.
    start : np.ndarray
        Projections of the observations on the basis, shape ``(term,)``.
    triangle : np.ndarray
        Upper triangle that turns coefficients of the ramp into such projections, shape ``(term, term)``.
    count : int
        Number of points used.
    logdet : float
        Logarithm of the determinant of their covariance.
    whitener : Whitener, optional
        Of whitened observations: of the used points, in their order.
    """

    data: np.ndarray
    weight: np.ndarray
    basis: np.ndarray
    start: np.ndarray
    triangle: np.ndarray
    count: int
    logdet: float
    whitener: Whitener | None = None

    @property
    def terms(self) -> int:
        """Number of coefficients of the ramp."""
        return int(self.start.size)


def prepare_fit(
    values: np.ndarray,
    design: np.ndarray,
    variance: np.ndarray | float | None = None,
    *,
    used: np.ndarray | None = None,
    whitener: Whitener | None = None,
) -> Fit:
    """
    Prepare observations for a search over models.

    Parameters
    ----------
    values : np.ndarray
        Observations, any unit, shape ``(point,)``; NaN or infinite is no data.
    design : np.ndarray
        Terms of the ramp at each point, shape ``(point, term)``; no column if no ramp is to be solved.
    variance : np.ndarray or float, optional
        Variance of each observation in the square of the unit; by default one. Points where it is not positive and
        finite are not used. Not with `whitener`.
    used : np.ndarray, optional
        Points that count, bool, shape ``(point,)``.
    whitener : Whitener, optional
        Of the covariance of the used points, in their order; then `data` and `basis` have the length of these.

    Returns
    -------
    Fit

    Raises
    ------
    RampError
        If the used points do not determine the ramp.

    Notes
    -----
    With ``W^(1/2) G = Q R``, and everything multiplied by ``W^(1/2)``, what a ramp leaves of a residual ``r`` has the
    square ``|r|^2 - |Q^T r|^2``. The data lose their own ramp here, so that little is left to cancel.
    """
    good = np.isfinite(values) if used is None else np.isfinite(values) & used
    weight, logdet = np.ones(values.shape), 0.0 if whitener is None else whitener.logdet
    if variance is not None:
        variance = np.broadcast_to(np.asarray(variance, np.float64), values.shape)
        good = good & np.isfinite(variance) & (variance > 0)
        weight = 1.0 / np.sqrt(np.where(good, variance, 1.0))
        logdet = -2.0 * float(np.sum(np.log(weight[good])))
    weight = np.where(good, weight, 0.0)
    count, terms = int(good.sum()), design.shape[1]
    if whitener is None:
        data = np.where(good, values, 0.0) * weight
        rows = np.where(good, np.ascontiguousarray(design.T), 0.0) * weight
    else:
        data = whitener.whiten(np.asarray(values, np.float64)[np.newaxis, good])[0]
        rows = whitener.whiten(np.ascontiguousarray(design[good].T, np.float64)) if terms else np.empty((0, count))
    size = rows.max(axis=1, initial=0.0) - rows.min(axis=1, initial=0.0)
    size = np.where(size > 0, size, 1.0)
    q, r = scipy.linalg.qr((rows / size[:, np.newaxis]).T, mode="economic", overwrite_a=True, check_finite=False)
    if count < terms or (np.abs(np.diag(r)) <= _SINGULAR * np.sqrt(max(count, 1))).any():
        raise RampError(
            f"{count} points with data do not determine a ramp of {terms} coefficients: they are too few, or lie on "
            "too few lines; mask less, or choose a simpler kind"
        )
    basis = np.zeros((-(-terms // _STEP) * _STEP, data.size))
    basis[:terms] = q.T
    start = np.zeros(terms)
    for _ in range(2):  # the second time takes what rounding has left
        part = basis[:terms] @ data
        data = data - part @ basis[:terms]
        start += part
    return Fit(data, weight, basis, start, r * size, count, logdet, whitener)


def add_model_sums(sums: np.ndarray, models: np.ndarray, fit: Fit, first: int, *, scaled: bool = False) -> None:
    """
    Add some points of some models to their sums.

    Parameters
    ----------
    sums : np.ndarray
        Changed in place, float64, shape ``(model, 4 + row)``, zero at first: points without a value, ``|r|^2``,
        ``d.m``, ``|m|^2``, and ``Q^T m``, of weighted residuals r, data d and models m.
    models : np.ndarray
        Values at consecutive points, float32 or float64, C-contiguous, shape ``(model, point)``.
    fit : Fit
        Observations, not whitened.
    first : int
        Number of the first of these points.
    scaled : bool
        Whether ``d.m`` and ``|m|^2`` are wanted, too.

    See Also
    --------
    solve_models : Misfits from the sums.

    Notes
    -----
    One pass over the models in float64; sums of blocks of points add. Points that are not used may be NaN.
    """
    stop = first + models.shape[1]
    _add_sums(sums, models, fit.weight[first:stop], fit.data[first:stop], fit.basis, first, scaled)


def whitened_sums(models: np.ndarray, fit: Fit, *, scaled: bool = False) -> np.ndarray:
    """
    Sum whitened models.

    Parameters
    ----------
    models : np.ndarray
        Whitened values at the used points, float64, shape ``(model, point)``; NaN in all of a model that lacks one.
    fit : Fit
        Whitened observations.
    scaled : bool
        As for `add_model_sums`.

    Returns
    -------
    np.ndarray
        As `add_model_sums` makes them.
    """
    sums = np.zeros((models.shape[0], _Q + fit.basis.shape[0]))
    _add_sums(sums, models, np.ones(fit.data.size), fit.data, fit.basis, 0, scaled)
    return sums


def add_residual_squares(
    squares: np.ndarray,
    models: np.ndarray,
    fit: Fit,
    first: int,
    scale: np.ndarray,
    projections: np.ndarray,
    *,
    whitened: bool = False,
) -> None:
    """
    Add the squares of what ramp and amplitude leave, from the residuals themselves.

    Parameters
    ----------
    squares : np.ndarray
        Changed in place, shape ``(model,)``, zero at first.
    models : np.ndarray
        As for `add_model_sums`, or whitened.
    fit : Fit
        Observations.
    first : int
        Number of the first of these points.
    scale : np.ndarray
        Amplitude of each model, shape ``(model,)``.
    projections : np.ndarray
        ``Q^T m`` of each model, shape ``(model, row)``.
    whitened : bool
        Whether models and observations are.
    """
    stop = first + models.shape[1]
    weight = np.ones(models.shape[1]) if whitened else fit.weight[first:stop]
    _add_squares(squares, models, weight, fit.data[first:stop], fit.basis, first, scale, projections)


def solve_models(
    sums: list[np.ndarray], fits: list[Fit], *, scaled: bool = False
) -> tuple[np.ndarray, np.ndarray, np.ndarray, list[np.ndarray]]:
    """
    Solve ramps and amplitudes of models, one amplitude for all tracks.

    Parameters
    ----------
    sums : list of np.ndarray
        Of each track, as `add_model_sums` makes them.
    fits : list of Fit
        Tracks.
    scaled : bool
        Whether each model may be multiplied by a factor; else it is one.

    Returns
    -------
    misfit : np.ndarray
        ``r^T C^-1 r``, shape ``(model,)``; NaN where a model lacks a value at a used point, or is zero or
        itself a ramp and `scaled`.
    scale : np.ndarray
        Factors, shape ``(model,)``.
    cancelled : np.ndarray
        Where misfits are differences of much larger numbers, and should come from `add_residual_squares`.
    coefficients : list of np.ndarray
        Of the ramp of each track, in the terms of its design; shape ``(model, term)``.

    Examples
    --------
    A ramp of the observations costs a perfect model nothing; one of half the size fits with a factor of two:

    >>> x = np.arange(6.0)
    >>> model = np.array([[0.0, 3.0, 0.0, 1.0, 0.0, 2.0]])
    >>> fit = prepare_fit(model[0] + 5 + 2 * x, np.stack([np.ones(6), x], 1))
    >>> sums = np.zeros((2, 7))
    >>> add_model_sums(sums, np.concatenate([model, model / 2]), fit, 0, scaled=True)
    >>> misfit, scale, cancelled, (ramp,) = solve_models([sums], [fit], scaled=True)
    >>> scale.round(9).tolist(), ramp.round(9).tolist()
    ([1.0, 2.0], [[5.0, 2.0], [5.0, 2.0]])
    """
    lacks = np.any([table[:, _MISSING] > 0 for table in sums], axis=0)
    own = [table[:, _Q:] for table in sums]
    projected = [np.einsum("mq,mq->m", q, q) for q in own]
    if scaled:
        whole = np.sum([table[:, _MM] for table in sums], axis=0)
        norms = whole - np.sum(projected, axis=0)
        products = np.sum([table[:, _DM] for table in sums], axis=0)
        total = np.full(norms.shape, float(sum(fit.data @ fit.data for fit in fits)))
        with np.errstate(divide="ignore", invalid="ignore"):
            scale = products / np.where(norms > _NOTHING * whole, norms, np.nan)
        misfit = total - scale * products
    else:
        scale = np.ones(lacks.shape)
        total = np.sum([table[:, _RR] for table in sums], axis=0)
        misfit = total - np.sum(projected, axis=0)
    cancelled = ~lacks & np.isfinite(scale) & ~(misfit > _CANCELLED * total)
    misfit = np.where(lacks, np.nan, np.maximum(misfit, 0.0))
    scale = np.where(lacks, np.nan, scale)
    coefficients = []
    for fit, q in zip(fits, own, strict=True):
        left = fit.start - scale[:, np.newaxis] * q[:, : fit.terms]
        coefficients.append(np.linalg.solve(fit.triangle, left.T).T if fit.terms else left)
    return misfit, scale, cancelled, coefficients


@njit(**_JIT)
def _sum_squares(a, b, c, d, weight, data):  # type: ignore[no-untyped-def]
    """Squares of the residuals of four models."""
    aa, bb, cc, dd = 0.0, 0.0, 0.0, 0.0
    for i in range(a.size):
        ra, rb = data[i] - weight[i] * a[i], data[i] - weight[i] * b[i]
        rc, rd = data[i] - weight[i] * c[i], data[i] - weight[i] * d[i]
        aa += ra * ra
        bb += rb * rb
        cc += rc * rc
        dd += rd * rd
    return aa, bb, cc, dd


@njit(**_JIT)
def _sum_four(a, b, c, d, weight, data, x, y, z):  # type: ignore[no-untyped-def]
    """Of each of four models the square of the residual, and three projections."""
    aa, ax, ay, az = 0.0, 0.0, 0.0, 0.0
    bb, bx, by, bz = 0.0, 0.0, 0.0, 0.0
    cc, cx, cy, cz = 0.0, 0.0, 0.0, 0.0
    dd, dx, dy, dz = 0.0, 0.0, 0.0, 0.0
    for i in range(a.size):
        wa, wb, wc, wd = weight[i] * a[i], weight[i] * b[i], weight[i] * c[i], weight[i] * d[i]
        ra, rb, rc, rd = data[i] - wa, data[i] - wb, data[i] - wc, data[i] - wd
        aa += ra * ra
        bb += rb * rb
        cc += rc * rc
        dd += rd * rd
        ax += wa * x[i]
        ay += wa * y[i]
        az += wa * z[i]
        bx += wb * x[i]
        by += wb * y[i]
        bz += wb * z[i]
        cx += wc * x[i]
        cy += wc * y[i]
        cz += wc * z[i]
        dx += wd * x[i]
        dy += wd * y[i]
        dz += wd * z[i]
    return (aa, ax, ay, az), (bb, bx, by, bz), (cc, cx, cy, cz), (dd, dx, dy, dz)


@njit(**_JIT)
def _sum_three(a, b, c, d, weight, x, y, z):  # type: ignore[no-untyped-def]
    """Of each of four models three projections."""
    ax, ay, az = 0.0, 0.0, 0.0
    bx, by, bz = 0.0, 0.0, 0.0
    cx, cy, cz = 0.0, 0.0, 0.0
    dx, dy, dz = 0.0, 0.0, 0.0
    for i in range(a.size):
        wa, wb, wc, wd = weight[i] * a[i], weight[i] * b[i], weight[i] * c[i], weight[i] * d[i]
        ax += wa * x[i]
        ay += wa * y[i]
        az += wa * z[i]
        bx += wb * x[i]
        by += wb * y[i]
        bz += wb * z[i]
        cx += wc * x[i]
        cy += wc * y[i]
        cz += wc * z[i]
        dx += wd * x[i]
        dy += wd * y[i]
        dz += wd * z[i]
    return (ax, ay, az), (bx, by, bz), (cx, cy, cz), (dx, dy, dz)


@njit(**_JIT)
def _sum_scaled(m, w, d):  # type: ignore[no-untyped-def]
    dm, mm = 0.0, 0.0
    for i in range(m.size):
        t = w[i] * m[i]
        dm += t * d[i]
        mm += t * t
    return dm, mm


@njit(**_JIT)
def _sum_known(m, w, d, basis, first, row):  # type: ignore[no-untyped-def]
    """All sums of a segment in which a value is missing, over the points that are used and have one."""
    for i in range(m.size):
        if w[i] == 0.0:
            continue
        if not np.isfinite(m[i]):
            row[0] += 1.0
            continue
        t = w[i] * m[i]
        r = d[i] - t
        row[1] += r * r
        row[2] += t * d[i]
        row[3] += t * t
        for k in range(basis.shape[0]):
            row[4 + k] += t * basis[k, first + i]


@njit(**_JIT)
def _sum_abreast(four, w, d, basis, first, found):  # type: ignore[no-untyped-def]
    """Of each of four models the square of the residual and all projections; they share what is loaded beside them."""
    m0, m1, m2, m3 = four
    last = first + m0.size
    if basis.shape[0] == 0:
        found[0, 0], found[1, 0], found[2, 0], found[3, 0] = _sum_squares(m0, m1, m2, m3, w, d)
        return
    x, y, z = basis[0][first:last], basis[1][first:last], basis[2][first:last]
    fours = _sum_four(m0, m1, m2, m3, w, d, x, y, z)
    for i in range(_ABREAST):
        found[i, 0], found[i, 1], found[i, 2], found[i, 3] = fours[i]
    for k in range(_STEP, basis.shape[0], _STEP):
        x, y, z = basis[k][first:last], basis[k + 1][first:last], basis[k + 2][first:last]
        threes = _sum_three(m0, m1, m2, m3, w, x, y, z)
        for i in range(_ABREAST):
            found[i, k + 1], found[i, k + 2], found[i, k + 3] = threes[i]


@njit(**_JIT)
def _add_sums(sums, models, weight, data, basis, first, scaled):  # type: ignore[no-untyped-def]
    last, found = models.shape[0] - 1, np.zeros((_ABREAST, 1 + basis.shape[0]))
    for start in range(0, models.shape[1], _SEGMENT):
        stop = min(start + _SEGMENT, models.shape[1])
        w, d = weight[start:stop], data[start:stop]
        for j in range(0, models.shape[0], _ABREAST):
            four = (
                models[j][start:stop],
                models[min(j + 1, last)][start:stop],  # the last one again where there are no four
                models[min(j + 2, last)][start:stop],
                models[min(j + 3, last)][start:stop],
            )
            _sum_abreast(four, w, d, basis, first + start, found)
            for i in range(min(_ABREAST, last + 1 - j)):
                m, row = models[j + i][start:stop], sums[j + i]
                if not np.isfinite(found[i, 0]):
                    _sum_known(m, w, d, basis, first + start, row)
                    continue
                row[1] += found[i, 0]
                for k in range(basis.shape[0]):
                    row[4 + k] += found[i, 1 + k]
                if scaled:
                    dm, mm = _sum_scaled(m, w, d)
                    row[2] += dm
                    row[3] += mm


@njit(**_JIT)
def _add_squares(squares, models, weight, data, basis, first, scale, projections):  # type: ignore[no-untyped-def]
    for j in range(models.shape[0]):
        m, s = models[j], scale[j]
        total = 0.0
        for i in range(m.size):
            if weight[i] == 0.0:
                continue
            left = data[i] - s * weight[i] * m[i]
            for k in range(basis.shape[0]):
                left += s * projections[j, k] * basis[k, first + i]
            total += left * left
        squares[j] += total
