"""Fit of a ramp: the normal equations of a block of data, which add up over blocks, and their solution."""

import math
from typing import Any

import numpy as np
from numba import njit

from mimtpy_cloud.errors import RampError
from mimtpy_cloud.kernels.ramp import ramp_degrees, ramp_powers, ramp_terms, readable

__all__ = ["accumulate_ramp", "ramp_size", "solve_ramp"]

_JIT: dict[str, Any] = {
    "cache": True,
    "nogil": True,
    "error_model": "numpy",
    "fastmath": {"contract", "reassoc", "nsz", "arcp"},
}
#: Pixels a segment of a row; its data and coordinates stay in the first cache.
_SEGMENT = 512
#: Below this smallest eigenvalue of the normal matrix with unit diagonal, the terms cannot be told apart.
_SINGULAR = 1e-12
_INF = np.float32(np.inf)


def ramp_size(kind: str) -> int:
    """
    Tell the length of the vector that `accumulate_ramp` makes.

    Parameters
    ----------
    kind : str
        As for `mimtpy_cloud.kernels.ramp.ramp_terms`.

    Returns
    -------
    int

    Raises
    ------
    RampError
        If there is no such kind.
    """
    p = len(ramp_terms(kind))
    return 3 + p + p * (p + 1) // 2


def accumulate_ramp(
    values: np.ndarray,
    x_km: np.ndarray,
    y_km: np.ndarray,
    kind: str,
    weights: np.ndarray | None = None,
    *,
    scale: float = 1.0,
) -> np.ndarray:
    """
    Sum a block of data into the normal equations of a ramp.

    Parameters
    ----------
    values : np.ndarray
        Any unit, float32 or float64, shape ``(y, x)``. NaN or infinite is no data.
    x_km, y_km : np.ndarray
        km east of each column and north of each row.
    kind : str
        As for `mimtpy_cloud.kernels.ramp.ramp_terms`.
    weights : np.ndarray, optional
        Weight of each pixel, shape ``(y, x)``, as inverse variances are; a pixel whose weight is not finite and
        positive is not used. A boolean mask will do.
    scale : float
        km by which the coordinates are divided, such as half the extent of the scene; the same for all blocks.

    Returns
    -------
    np.ndarray
        One-dimensional, float64: number of pixels used, sum of weights, sum of w d^2, G^T W d, and the rows of the
        upper triangle of G^T W G, where G holds the terms of the ramp in units of the scale. Vectors of blocks add.

    Raises
    ------
    RampError
        If there is no such kind.
    ValueError
        If the shapes do not fit.

    See Also
    --------
    solve_ramp : Coefficients from the sum of the vectors.

    Notes
    -----
    One pass: moments ``sum w x^a`` (a to 4) and ``sum w d x^a`` (a to 2) along segments of a row, in float64, then
    times powers of y. Segments without gaps take the first from a table.

    Examples
    --------
    >>> x, y = np.arange(4.0), np.arange(3.0)
    >>> vector = accumulate_ramp(2.0 + 3.0 * x + 0.0 * y[:, None], x, y, "linear_range")
    >>> solve_ramp(vector, "linear_range")[0].round(9).tolist()
    [2.0, 3.0]
    """
    powers = np.array(ramp_powers(kind))
    if values.shape != (y_km.size, x_km.size) or (weights is not None and weights.shape != values.shape):
        raise ValueError(
            f"values and weights need shape (y, x) = {(y_km.size, x_km.size)}, got {values.shape}"
            + (f" and {weights.shape}" if weights is not None else "")
        )
    data = readable(values)
    x = np.asarray(x_km, np.float64) / scale
    y = np.asarray(y_km, np.float64) / scale
    sums = _sum_rows(data, x, y) if weights is None else _sum_rows_weighted(data, readable(weights), x, y)
    return _assemble(sums, powers)


def solve_ramp(vector: np.ndarray, kind: str, scale: float = 1.0) -> tuple[np.ndarray, np.ndarray, float, int]:
    """
    Solve the normal equations of a ramp.

    Parameters
    ----------
    vector : np.ndarray
        Sum of the vectors of all blocks.
    kind : str
        As given to `accumulate_ramp`.
    scale : float
        As given to `accumulate_ramp`, km.

    Returns
    -------
    coefficients : np.ndarray
        One for each term: unit of the data, unit/km, unit/km^2; shape ``(term,)``, float64.
    covariance : np.ndarray
        ``sigma2 (G^T W G)^-1`` in the same units, shape ``(term, term)``; NaN if there are no more pixels than terms.
    sigma2 : float
        ``sum(w residual^2) / (n - terms)``: the variance of the data, or of a pixel of weight one. NaN as above.
    n : int
        Number of pixels used.

    Raises
    ------
    RampError
        If the pixels do not determine the ramp: fewer than terms, or in a place where terms look alike, as on one line.

    Notes
    -----
    The noise is taken as independent from pixel to pixel. Correlated noise makes the true covariance larger.
    """
    p, n = len(ramp_terms(kind)), int(vector[0])
    normal = np.zeros((p, p))
    normal[np.triu_indices(p)] = vector[3 + p :]
    normal += np.triu(normal, 1).T
    _require_regular(normal, kind, n)
    inverse = _invert(normal)
    solution = inverse @ vector[3 : 3 + p]
    units = float(scale) ** -np.array(ramp_degrees(kind), np.float64)
    squares = max(float(vector[2] - solution @ vector[3 : 3 + p]), 0.0)
    sigma2 = squares / (n - p) if n > p else math.nan
    return solution * units, sigma2 * inverse * np.outer(units, units), sigma2, n


def _require_regular(normal: np.ndarray, kind: str, n: int) -> None:
    """Refuse a normal matrix that the pixels do not determine."""
    p, diagonal = len(normal), np.diag(normal)
    if n >= p and (diagonal > 0).all():
        unit = normal / np.sqrt(np.outer(diagonal, diagonal))
        if np.linalg.eigvalsh(unit)[0] > _SINGULAR:
            return
    shown = f"{n} pixel" + "s" * (n != 1)
    why = f"it needs {p} or more" if n < p else "they lie on too few lines, or too close together"
    raise RampError(
        f"{shown} with data and weight do not determine a {kind} ramp ({p} coefficients): {why}; mask or exclude less, "
        "select more of the scene, or choose a simpler kind"
    )


def _invert(normal: np.ndarray) -> np.ndarray:
    """Invert a symmetric positive matrix, equilibrated."""
    root = np.sqrt(np.diag(normal))
    inverse = np.linalg.inv(normal / np.outer(root, root)) / np.outer(root, root)
    symmetric: np.ndarray = (inverse + inverse.T) / 2
    return symmetric


def _assemble(sums: np.ndarray, powers: np.ndarray) -> np.ndarray:
    """
    Pick the vector of a kind from all moments.

    `sums` holds n, sum w, sum w d^2, then the moments x^a y^b of w for a, b to 4, and of w d for a, b to 2.
    """
    w, wd = sums[3:28].reshape(5, 5), sums[28:37].reshape(3, 3)
    i, j = np.triu_indices(len(powers))
    a, b = (powers[i] + powers[j]).T
    return np.concatenate([sums[:3], wd[powers[:, 0], powers[:, 1]], w[a, b]])


@njit(**_JIT)
def _moments_of(x):  # type: ignore[no-untyped-def]
    """Sums of the powers 0 to 4 of x in every segment, shape ``(segment, 5)``."""
    known = np.zeros((-(-x.size // _SEGMENT), 5))
    for i in range(x.size):
        power = 1.0
        for a in range(5):
            known[i // _SEGMENT, a] += power
            power *= x[i]
    return known


@njit(**_JIT)
def _sum_rows(data, x, y):  # type: ignore[no-untyped-def]
    """All moments of a block without weights."""
    known = _moments_of(x)
    sums = np.zeros(37)
    row = np.empty(9)
    for i in range(y.size):
        row[:] = 0.0
        count = 0.0
        for k in range(known.shape[0]):
            start = k * _SEGMENT
            stop = min(start + _SEGMENT, x.size)
            d, xs = data[i][start:stop], x[start:stop]
            s0, s1, s2, dd = _full(d, xs)
            if math.isfinite(dd):
                count += d.size
                row[0] += known[k, 0]
                row[1] += known[k, 1]
                row[2] += known[k, 2]
                row[3] += known[k, 3]
                row[4] += known[k, 4]
                row[5] += s0
                row[6] += s1
                row[7] += s2
                row[8] += dd
            elif abs(d[0]) < _INF or abs(d[-1]) < _INF or _any(d):
                count += _gaps(d, xs, row)
        _add_row(row, count, y[i], sums)
    return sums


@njit(**_JIT)
def _sum_rows_weighted(data, weights, x, y):  # type: ignore[no-untyped-def]
    """All moments of a block with weights."""
    sums = np.zeros(37)
    row = np.empty(9)
    for i in range(y.size):
        row[:] = 0.0
        count = 0.0
        start = 0
        while start < x.size:
            stop = min(start + _SEGMENT, x.size)
            count += _weighted(data[i][start:stop], weights[i][start:stop], x[start:stop], row)
            start = stop
        _add_row(row, count, y[i], sums)
    return sums


@njit(**_JIT)
def _add_row(row, count, y, sums):  # type: ignore[no-untyped-def]
    """Add the moments of a row, times the powers of its y."""
    sums[0] += count
    sums[1] += row[0]
    sums[2] += row[8]
    for a in range(5):
        power = 1.0
        for b in range(5 - a):
            sums[3 + 5 * a + b] += row[a] * power
            power *= y
    for a in range(3):
        power = 1.0
        for b in range(3 - a):
            sums[28 + 3 * a + b] += row[5 + a] * power
            power *= y


@njit(**_JIT)
def _full(d, x):  # type: ignore[no-untyped-def]
    """Sums of d x^a and d^2 of a segment; the last is not finite if there is a gap."""
    s0 = 0.0
    s1 = 0.0
    s2 = 0.0
    dd = 0.0
    for i in range(d.size):
        v = np.float64(d[i])
        t = x[i] * v
        s0 += v
        s1 += t
        s2 += x[i] * t
        dd += v * v
    return s0, s1, s2, dd


@njit(**_JIT)
def _any(d):  # type: ignore[no-untyped-def]
    """Whether a segment has data."""
    n = 0
    for i in range(d.size):
        n += 1 if abs(d[i]) < _INF else 0
    return n > 0


@njit(**_JIT)
def _gaps(d, x, row):  # type: ignore[no-untyped-def]
    """Add the moments of a segment with gaps; return the number of pixels with data."""
    m0 = 0.0
    m1 = 0.0
    m2 = 0.0
    m3 = 0.0
    m4 = 0.0
    s0 = 0.0
    s1 = 0.0
    s2 = 0.0
    dd = 0.0
    for i in range(d.size):
        good = abs(d[i]) < _INF
        w = 1.0 if good else 0.0
        v = np.float64(d[i]) if good else 0.0
        wx = w * x[i]
        wxx = wx * x[i]
        m0 += w
        m1 += wx
        m2 += wxx
        m3 += wxx * x[i]
        m4 += wxx * wxx
        s0 += v
        s1 += x[i] * v
        s2 += x[i] * x[i] * v
        dd += v * v
    row[0] += m0
    row[1] += m1
    row[2] += m2
    row[3] += m3
    row[4] += m4
    row[5] += s0
    row[6] += s1
    row[7] += s2
    row[8] += dd
    return m0


@njit(**_JIT)
def _weighted(d, weight, x, row):  # type: ignore[no-untyped-def]
    """Add the weighted moments of a segment; return the number of pixels with data and weight."""
    n = 0.0
    m0 = 0.0
    m1 = 0.0
    m2 = 0.0
    m3 = 0.0
    m4 = 0.0
    s0 = 0.0
    s1 = 0.0
    s2 = 0.0
    dd = 0.0
    for i in range(d.size):
        good = (abs(d[i]) < _INF) & (weight[i] > 0.0) & (weight[i] < _INF)
        n += 1.0 if good else 0.0
        w = np.float64(weight[i]) if good else 0.0
        v = np.float64(d[i]) if good else 0.0
        wx = w * x[i]
        wxx = wx * x[i]
        wv = w * v
        m0 += w
        m1 += wx
        m2 += wxx
        m3 += wxx * x[i]
        m4 += wxx * x[i] * x[i]
        s0 += wv
        s1 += x[i] * wv
        s2 += x[i] * x[i] * wv
        dd += wv * v
    row[0] += m0
    row[1] += m1
    row[2] += m2
    row[3] += m3
    row[4] += m4
    row[5] += s0
    row[6] += s1
    row[7] += s2
    row[8] += dd
    return n
