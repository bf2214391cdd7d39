"""Straight line through a displacement series, pixel by pixel, in one pass over the data."""

import math
from typing import Any

import numpy as np
from numba import njit

__all__ = ["fit_rate"]

_JIT: dict[str, Any] = {
    "cache": True,
    "nogil": True,
    "error_model": "numpy",
    "fastmath": {"contract", "reassoc", "nsz", "arcp"},
}

#: Pixels a block: its sums and 60 dates of its data stay in cache. A row of sums is a little longer than a block,
#: since rows a multiple of 4 KiB apart would compete for the same cache lines.
_B = 1024
_P = _B + 40
#: Dates whose sum of squared distances from their mean is below this (years^2; two dates 20 minutes apart) are one.
_DEGENERATE = 1e-9
_INF = np.float32(np.inf)

# Rows of the scratch buffer: one sum over the dates each, for every pixel of a block, with x = d - shift and t from
# the mean date: shift | sum x | sum t x | sum x^2 | n | sum t | sum t^2.
_X, _TX, _XX, _N, _T, _TT = _P, 2 * _P, 3 * _P, 4 * _P, 5 * _P, 6 * _P


def fit_rate(displacement: np.ndarray, t: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """
    Fit displacement = intercept + velocity * (t - t[0]) to every pixel by least squares.

    Parameters
    ----------
    displacement : np.ndarray
        LOS displacement in m, shape ``(time, pixel)``, positive toward the satellite. NaN or infinite is no data.
    t : np.ndarray
        Time of each date in years, shape ``(time,)``; any origin.

    Returns
    -------
    velocity, velocity_std, intercept : np.ndarray
        m/yr, m/yr and m, shape ``(pixel,)``, float32. The intercept is the value of the line at ``t[0]``.
        NaN where fewer than two distinct dates have data; the std also where fewer than three have.
    count : np.ndarray
        Number of dates with data, int16.

    Raises
    ------
    ValueError
        If the shapes do not fit.

    See Also
    --------
    mimtpy_cloud.ops.rate.estimate_velocity : The labelled, lazy twin.

    Notes
    -----
    The standard deviation is ``sqrt(sum(residual^2) / (n - 2) / sum((t - mean(t))^2))``, equation 10 of [1]_: it is
    the noise of the line if the residuals are independent. Sums are float64, of displacements less the first
    valid one of the pixel, so that a large constant costs no digits. One pass over the data; a block of pixels
    with a gap is summed again, from cache, with weights.

    References
    ----------
    .. [1] Fattahi, H. and Amelung, F., 2015, InSAR bias and uncertainty due to the systematic and stochastic
       tropospheric delay, JGR Solid Earth, 120, doi:10.1002/2015JB012419.

    Examples
    --------
    A ground that rises 1 cm a year comes nearer to the satellite:

    >>> velocity, std, intercept, count = fit_rate(np.array([[0.0], [0.01], [np.nan], [0.03]]), np.arange(4.0))
    >>> round(float(velocity[0]), 6), round(float(intercept[0]), 6), int(count[0])
    (0.01, 0.0, 3)
    """
    if displacement.ndim != 2 or t.shape != displacement.shape[:1]:
        raise ValueError(
            f"displacement needs shape (time, pixel) and t (time,), got {displacement.shape} and {t.shape}"
        )
    size = displacement.shape[1]
    velocity, std, intercept = np.empty((3, size), np.float32)
    count = np.empty(size, np.int16)
    if t.size:
        data = np.ascontiguousarray(displacement, np.float32).view()
        data.flags.writeable = False  # one compiled version serves read-only and other blocks
        _fit_blocks(data, t - t.mean(dtype=np.float64), velocity, std, intercept, count)
    else:
        velocity[:] = std[:] = intercept[:] = np.nan
        count[:] = 0
    return velocity, std, intercept, count


@njit(**_JIT)
def _fit_blocks(data, t, velocity, std, intercept, count):  # type: ignore[no-untyped-def]
    """Fit block after block of pixels; `t` counts from its mean."""
    acc = np.empty(7 * _P)
    spread = np.sum(t * t)
    for start in range(0, data.shape[1], _B):
        stop = min(start + _B, data.shape[1])
        if not _sum_full(data, t, spread, start, stop, acc):
            _sum_gaps(data, t, start, stop, acc)
        _solve(acc, t[0], velocity[start:stop], std[start:stop], intercept[start:stop], count[start:stop])


@njit(**_JIT)
def _sum_full(data, t, spread, start, stop, acc):  # type: ignore[no-untyped-def]
    """Sum a block without gaps; False if it has any."""
    acc[:] = 0.0
    first = data[0][start:stop]
    for i in range(first.size):
        acc[i] = first[i]
        acc[_N + i] = t.size
        acc[_TT + i] = spread
    k = 0
    while k + 6 <= t.size:
        _add6(
            data[k][start:stop],
            data[k + 1][start:stop],
            data[k + 2][start:stop],
            data[k + 3][start:stop],
            data[k + 4][start:stop],
            data[k + 5][start:stop],
            t[k : k + 6],
            acc,
        )
        k += 6
    while k < t.size:
        _add1(data[k][start:stop], t[k], acc)
        k += 1
    return math.isfinite(np.sum(acc[_XX:_N]))


@njit(**_JIT)
def _add6(d0, d1, d2, d3, d4, d5, t, acc):  # type: ignore[no-untyped-def]
    """Add six dates to the sums."""
    t0, t1, t2, t3, t4, t5 = t[0], t[1], t[2], t[3], t[4], t[5]
    for i in range(d0.size):
        shift = acc[i]
        x0 = d0[i] - shift
        x1 = d1[i] - shift
        x2 = d2[i] - shift
        x3 = d3[i] - shift
        x4 = d4[i] - shift
        x5 = d5[i] - shift
        acc[_X + i] += x0 + x1 + x2 + x3 + x4 + x5
        acc[_TX + i] += t0 * x0 + t1 * x1 + t2 * x2 + t3 * x3 + t4 * x4 + t5 * x5
        acc[_XX + i] += x0 * x0 + x1 * x1 + x2 * x2 + x3 * x3 + x4 * x4 + x5 * x5


@njit(**_JIT)
def _add1(d, t, acc):  # type: ignore[no-untyped-def]
    """Add one date to the sums."""
    for i in range(d.size):
        x = d[i] - acc[i]
        acc[_X + i] += x
        acc[_TX + i] += t * x
        acc[_XX + i] += x * x


@njit(**_JIT)
def _sum_gaps(data, t, start, stop, acc):  # type: ignore[no-untyped-def]
    """Sum a block with gaps, which weigh nothing."""
    missing = stop - start
    acc[:missing] = np.nan
    acc[_X:] = 0.0
    k = 0
    while missing and k < t.size:
        missing = _fill_shift(data[k][start:stop], acc)
        k += 1
    if missing == stop - start:
        return  # no data at all
    k = 0
    while k + 4 <= t.size:
        _add4_valid(
            data[k][start:stop],
            data[k + 1][start:stop],
            data[k + 2][start:stop],
            data[k + 3][start:stop],
            t[k : k + 4],
            acc,
        )
        k += 4
    while k < t.size:
        _add1_valid(data[k][start:stop], t[k], acc)
        k += 1


@njit(**_JIT)
def _fill_shift(d, acc):  # type: ignore[no-untyped-def]
    """Take the shift of pixels that lack one from a date; return how many still lack one."""
    missing = 0.0
    for i in range(d.size):
        value = np.float64(d[i]) if abs(d[i]) < _INF else np.nan
        shift = acc[i]
        shift = value if shift != shift else shift
        acc[i] = shift
        missing += 1.0 if shift != shift else 0.0
    return int(missing)


@njit(**_JIT)
def _add4_valid(d0, d1, d2, d3, t, acc):  # type: ignore[no-untyped-def]
    """Add four dates to the sums of the pixels where each is finite."""
    t0, t1, t2, t3 = t[0], t[1], t[2], t[3]
    tt0, tt1, tt2, tt3 = t0 * t0, t1 * t1, t2 * t2, t3 * t3
    for i in range(d0.size):
        shift = acc[i]
        x0 = np.float64(d0[i]) - shift
        x1 = np.float64(d1[i]) - shift
        x2 = np.float64(d2[i]) - shift
        x3 = np.float64(d3[i]) - shift
        w0 = 1.0 if abs(d0[i]) < _INF else 0.0
        w1 = 1.0 if abs(d1[i]) < _INF else 0.0
        w2 = 1.0 if abs(d2[i]) < _INF else 0.0
        w3 = 1.0 if abs(d3[i]) < _INF else 0.0
        x0 = x0 if w0 > 0.0 else 0.0
        x1 = x1 if w1 > 0.0 else 0.0
        x2 = x2 if w2 > 0.0 else 0.0
        x3 = x3 if w3 > 0.0 else 0.0
        acc[_X + i] += x0 + x1 + x2 + x3
        acc[_TX + i] += t0 * x0 + t1 * x1 + t2 * x2 + t3 * x3
        acc[_XX + i] += x0 * x0 + x1 * x1 + x2 * x2 + x3 * x3
        acc[_N + i] += w0 + w1 + w2 + w3
        acc[_T + i] += t0 * w0 + t1 * w1 + t2 * w2 + t3 * w3
        acc[_TT + i] += tt0 * w0 + tt1 * w1 + tt2 * w2 + tt3 * w3


@njit(**_JIT)
def _add1_valid(d, t, acc):  # type: ignore[no-untyped-def]
    """Add one date to the sums of the pixels where it is finite."""
    for i in range(d.size):
        w = 1.0 if abs(d[i]) < _INF else 0.0
        x = np.float64(d[i]) - acc[i]
        x = x if w > 0.0 else 0.0
        acc[_X + i] += x
        acc[_TX + i] += t * x
        acc[_XX + i] += x * x
        acc[_N + i] += w
        acc[_T + i] += t * w
        acc[_TT + i] += t * t * w


@njit(**_JIT)
def _solve(acc, t_first, velocity, std, intercept, count):  # type: ignore[no-untyped-def]
    """Turn the sums of a block into its results."""
    for i in range(velocity.size):
        n = acc[_N + i]
        per_n = 1.0 / n
        mean_t = acc[_T + i] * per_n
        mean_x = acc[_X + i] * per_n
        sxx = acc[_TT + i] - acc[_T + i] * mean_t
        sxx = sxx if sxx > _DEGENERATE else np.nan
        sxy = acc[_TX + i] - acc[_X + i] * mean_t
        v = sxy / sxx
        e2 = acc[_XX + i] - acc[_X + i] * mean_x - v * sxy
        e2 = e2 if e2 > 0.0 else 0.0
        freedom = n - 2.0 if n > 2.0 else np.nan
        velocity[i] = v
        intercept[i] = acc[i] + mean_x + v * (t_first - mean_t)
        std[i] = np.sqrt(e2 / (freedom * sxx))
        count[i] = np.int16(n)
