"""Which dates the acquisitions of a track tell about, pixel by pixel, and straight lines between them."""

import numpy as np

from mimtpy_cloud.kernels.band import compiled
from mimtpy_cloud.kernels.enu import QUALITY

__all__ = ["interpolate", "judge", "noise_gain", "support"]

_HUGE = 1e300


def support(values: np.ndarray, years: np.ndarray, at: np.ndarray, reach: float) -> np.ndarray:
    """
    Tell which times lie near an acquisition with data.

    Parameters
    ----------
    values : np.ndarray
        Shape ``(date, pixel)``; what is not finite is no data.
    years, at : np.ndarray
        Ascending times of the acquisitions, and those that are asked about.
    reach : float
        Largest distance, in the same unit.

    Returns
    -------
    np.ndarray
        Booleans, shape ``(at, pixel)``.

    Examples
    --------
    >>> support(np.array([[1.0], [np.nan], [3.0]]), np.array([0.0, 1.0, 5.0]), np.array([0.0, 1.5, 4.0]), 1.0).ravel()
    array([ True, False,  True])
    """
    out = np.zeros((at.size, values.shape[1]), bool)
    _support(np.ascontiguousarray(values), years, at, reach * (1.0 + 1e-9), out)
    return out


@compiled
def _support(values, years, at, reach, out):  # type: ignore[no-untyped-def]
    n, pixels = values.shape
    last = np.full(pixels, -np.inf)
    d = 0
    for m in range(at.size):
        while d < n and years[d] <= at[m]:
            for p in range(pixels):
                last[p] = years[d] if abs(values[d, p]) < _HUGE else last[p]
            d += 1
        for p in range(pixels):
            out[m, p] = at[m] - last[p] <= reach
    last[:] = np.inf
    d = n - 1
    for m in range(at.size - 1, -1, -1):
        while d >= 0 and years[d] >= at[m]:
            for p in range(pixels):
                last[p] = years[d] if abs(values[d, p]) < _HUGE else last[p]
            d -= 1
        for p in range(pixels):
            out[m, p] = out[m, p] or last[p] - at[m] <= reach


def interpolate(
    values: np.ndarray, years: np.ndarray, at: np.ndarray, reference: int, max_gap: float, variance: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """
    Interpolate a series linearly in time, between the acquisitions with data of each pixel, since a reference.

    Parameters
    ----------
    values : np.ndarray
        Shape ``(date, pixel)``; what is not finite is no data.
    years, at : np.ndarray
        Ascending times of the acquisitions, and those that are wanted.
    reference : int
        Index of the time in `at` that becomes zero.
    max_gap : float
        Nothing is known between acquisitions that are further apart.
    variance : np.ndarray
        Of each acquisition, shape ``(date,)``.

    Returns
    -------
    values, variance : np.ndarray
        float32, shape ``(at, pixel)``; NaN in gaps and beyond the ends, and everywhere if the reference is. The
        variance is that of the acquisitions, of which a time and the reference may share some: how the ground moves
        between them is not in it.

    Examples
    --------
    >>> line = np.array([[0.0], [4.0]])
    >>> value, variance = interpolate(line, np.arange(2.0), np.array([0.0, 0.25]), 0, 1.0, np.ones(2))
    >>> value.ravel().tolist(), variance.ravel().tolist()
    ([0.0, 1.0], [0.0, 0.125])
    """
    shape = (at.size, values.shape[1])
    out, spread = np.empty(shape, np.float32), np.empty(shape, np.float32)
    series = np.ascontiguousarray(values)
    _interpolate(series, years, at, reference, max_gap * (1.0 + 1e-9), variance, out, spread)
    return out, spread


@compiled
def _neighbours(values, years, at, before, after):  # type: ignore[no-untyped-def]
    # Acquisitions with data before and after each time, -1 where there is none.
    n, pixels = values.shape
    before[0], after[at.size - 1] = -1, -1
    d = 0
    for m in range(at.size):
        if m > 0:
            before[m] = before[m - 1]
        while d < n and years[d] <= at[m]:
            for p in range(pixels):
                before[m, p] = d if abs(values[d, p]) < _HUGE else before[m, p]
            d += 1
    d = n - 1
    for m in range(at.size - 1, -1, -1):
        if m < at.size - 1:
            after[m] = after[m + 1]
        while d >= 0 and years[d] >= at[m]:
            for p in range(pixels):
                after[m, p] = d if abs(values[d, p]) < _HUGE else after[m, p]
            d -= 1


@compiled
def _part(years, time, a, b, max_gap):  # type: ignore[no-untyped-def]
    # How much the later of two acquisitions counts at a time between them; NaN if there is none, or a gap.
    if a < 0 or b < 0 or years[b] - years[a] > max_gap:
        return np.nan
    return (time - years[a]) / (years[b] - years[a]) if b > a else 0.0


@compiled
def _interpolate(values, years, at, reference, max_gap, variance, out, spread):  # type: ignore[no-untyped-def]
    pixels = values.shape[1]
    before, after = np.empty((at.size, pixels), np.int16), np.empty((at.size, pixels), np.int16)
    _neighbours(values, years, at, before, after)
    for p in range(pixels):
        first, last = before[reference, p], after[reference, p]
        share = _part(years, at[reference], first, last, max_gap)
        for m in range(at.size):
            a, b = before[m, p], after[m, p]
            part = _part(years, at[m], a, b, max_gap)
            out[m, p] = spread[m, p] = np.nan
            if part == part and share == share:
                start = (1.0 - share) * values[first, p] + share * values[last, p]
                out[m, p] = (1.0 - part) * values[a, p] + part * values[b, p] - start
                # How much each acquisition counts in the change; those of the reference may be among the others.
                of_a = 1.0 - part - (1.0 - share if a == first else 0.0) - (share if a == last else 0.0)
                of_b = part - (1.0 - share if b == first else 0.0) - (share if b == last else 0.0) if b > a else 0.0
                of_first = 1.0 - share if first not in (a, b) else 0.0
                of_last = share if last not in (a, b) else 0.0
                spread[m, p] = of_a**2 * variance[a] + of_b**2 * variance[b]
                spread[m, p] += of_first**2 * variance[first] + of_last**2 * variance[last]


def judge(
    covered: np.ndarray, look: np.ndarray, basis: tuple[float, float], max_gain: float
) -> tuple[np.ndarray, np.ndarray]:
    """
    Tell on which dates the looks of a pixel can be told apart.

    Parameters
    ----------
    covered : np.ndarray
        Which tracks tell about which date, booleans, shape ``(track, time, pixel)``.
    look : np.ndarray
        Unit vectors from ground to satellite (east, north, up), shape ``(track, 3, pixel)``.
    basis : tuple of float
        East and north components of the horizontal direction.
    max_gain : float
        Largest standard deviation of a component for looks of equal weight and standard deviation 1.

    Returns
    -------
    count, quality : np.ndarray
        Tracks of each date, 0 below two, and why there is no solution, as `mimtpy_cloud.kernels.enu.QUALITY` says;
        uint8, shape ``(time, pixel)``.
    """
    count, quality = np.empty(covered.shape[1:], np.uint8), np.empty(covered.shape[1:], np.uint8)
    east, north = basis
    parts = np.stack([look[:, 0] * east + look[:, 1] * north, look[:, 2]], axis=1).astype(np.float64)
    _judge(covered, parts, max_gain, QUALITY.index("too_few_looks"), QUALITY.index("too_similar_looks"), count, quality)
    return count, quality


@compiled
def _judge(covered, parts, max_gain, few, similar, count, quality):  # type: ignore[no-untyped-def]
    tracks, times, pixels = covered.shape
    sums = np.empty((4, pixels))
    for m in range(times):
        sums[:] = 0.0
        for k in range(tracks):
            for p in range(pixels):
                h, u = parts[k, 0, p], parts[k, 1, p]
                on = covered[k, m, p] and abs(h + u) < _HUGE
                h, u = (h if on else 0.0), (u if on else 0.0)
                sums[0, p] += h * h
                sums[1, p] += h * u
                sums[2, p] += u * u
                sums[3, p] += 1.0 if on else 0.0
        for p in range(pixels):
            hh, hu, uu, n = sums[0, p], sums[1, p], sums[2, p], sums[3, p]
            gain = max(hh, uu) / (hh * uu - hu * hu)
            alike = not gain <= max_gain * max_gain or gain < 0.0
            count[m, p] = int(n) if n >= 2.0 else 0
            quality[m, p] = few if n < 2.0 else similar if alike else 0


def noise_gain(usable: np.ndarray, look: np.ndarray, basis: tuple[float, float]) -> np.ndarray:
    """
    Give the largest noise gain of two components, for looks of equal weight.

    Parameters
    ----------
    usable : np.ndarray
        Which tracks take part, booleans, shape ``(track, pixel)``.
    look : np.ndarray
        Unit vectors from ground to satellite (east, north, up), shape ``(track, 3, pixel)``.
    basis : tuple of float
        East and north components of the horizontal direction.

    Returns
    -------
    np.ndarray
        Shape ``(pixel,)``; NaN where the looks are alike.
    """
    east, north = basis
    h = np.where(usable, look[:, 0] * east + look[:, 1] * north, 0.0).astype(np.float64)
    u = np.where(usable, look[:, 2], 0.0).astype(np.float64)
    hh, hu, uu = (h * h).sum(axis=0), (h * u).sum(axis=0), (u * u).sum(axis=0)
    free = hh * uu - hu * hu
    known = free > 1e-12
    gain: np.ndarray = np.sqrt(np.divide(np.maximum(hh, uu), free, out=np.full(free.shape, np.nan), where=known))
    return gain
