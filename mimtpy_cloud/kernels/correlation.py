"""How far noise is correlated in space, and how many independent values a correlated image is worth."""

import numpy as np

from mimtpy_cloud.kernels.tiles import Tiles

__all__ = ["correlation_of", "count_cells", "mean_variance"]

#: Structured shares below this are taken as none: what is left is white.
_WHITE = 0.05
#: Differences larger than so many standard deviations do not count as noise.
_CLIPPED = 4.0
#: Most rows or columns along which lags are looked at.
_LINES = 512
#: Most values along them.
_VALUES = 1 << 20
#: Steps of the integral over separations along one axis, and most cells along one axis in which values are counted.
_STEPS, _CELLS = 96, 96
#: Steps over the width of a cell in the mean correlation of two cells.
_INSIDE = 4


def correlation_of(tiles: Tiles, step_km: tuple[float, float], centre: float = 0.0) -> tuple[float, float]:
    """
    Fit an exponential correlation to the noise of an image.

    Parameters
    ----------
    tiles : Tiles
        Noise about a centre, any unit; NaN is no data.
    step_km : tuple of float
        Height and width of a pixel in km.
    centre : float
        What is taken off first.

    Returns
    -------
    length_km : float
        Distance at which the correlation of the structured part falls to 1/e; 0 if there is none.
    share : float
        Share of the variance that is structured, 0 to 1; the rest is white.

    Notes
    -----
    The correlogram ``1 - gamma(h) / variance`` at lags along rows and columns that grow by a factor of about 1.5 up to
    a quarter of the image, with values beyond 4 standard deviations left out. The share is its value extrapolated to
    lag 0 from the first two lags; the length is where it falls to 1/e of that. A correlation longer than the image
    cannot be seen in it, and comes out too short. At most 512 rows and 512 columns, or one million values of each, are
    looked at.

    References
    ----------
    .. [1] R. F. Hanssen, 2001, Radar Interferometry, Kluwer, section 4.7, DOI 10.1007/0-306-47633-9.

    Examples
    --------
    >>> white = np.random.default_rng(1).normal(size=(80, 90))
    >>> correlation_of(Tiles.of(white), (0.1, 0.1))
    (0.0, 0.0)
    """
    axes = []
    for axis, step in ((0, step_km[1]), (1, step_km[0])):
        lines, length = tiles.shape[axis], tiles.shape[1 - axis]
        most = max(1, min(_LINES, _VALUES // max(length, 1)))
        axes.append(_decay(_correlogram(tiles.lines(-(-lines // most), axis) - centre), step))
    found = [pair for pair in axes if pair is not None]
    if not found:
        return 0.0, 0.0
    length, share = np.mean(found, axis=0)
    return (float(length), float(share)) if share >= _WHITE and length > 0 else (0.0, 0.0)


def _correlogram(rows: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Lags in pixels along the rows, and the correlation at each."""
    most = rows.shape[1] // 4
    spread = np.sqrt(np.nanmean(np.square(rows))) if np.isfinite(rows).any() else 0.0
    if most < 2 or not spread > 0:
        return np.empty(0), np.empty(0)
    rows[np.abs(rows) > _CLIPPED * spread] = np.nan
    variance = float(np.nanmean(np.square(rows)))
    kept, rho = [], []
    for lag in np.unique(np.geomspace(1, most, max(2, int(2 * np.log(most)) + 2)).round().astype(int)).tolist():
        apart = rows[:, lag:] - rows[:, :-lag]
        square = np.square(apart[np.isfinite(apart)])
        if square.size >= 30:
            kept.append(lag)
            rho.append(1 - 0.5 * float(square.mean()) / variance)
    return np.array(kept), np.array(rho)


def _decay(correlogram: tuple[np.ndarray, np.ndarray], step: float) -> tuple[float, float] | None:
    """Length in km and structured share of one axis; None if there are too few lags."""
    lags, rho = correlogram
    if lags.size < 2:
        return None
    share = float(np.clip(rho[0] + (rho[0] - rho[1]) * lags[0] / (lags[1] - lags[0]), 0, 1))
    if share < _WHITE:
        return 0.0, 0.0
    below = np.flatnonzero(rho < share / np.e)
    if below.size == 0:
        return float(lags[-1] * step), share
    k = int(below[0])
    if k == 0:
        return float(lags[0] * step), share
    part = (rho[k - 1] - share / np.e) / (rho[k - 1] - rho[k])
    return float((lags[k - 1] + part * (lags[k] - lags[k - 1])) * step), share


def count_cells(tiles: Tiles, step_km: tuple[float, float]) -> tuple[np.ndarray, tuple[float, float]]:
    """
    Count the values of an image in cells.

    Parameters
    ----------
    tiles : Tiles
        Image; NaN is no data.
    step_km : tuple of float
        Height and width of a pixel in km.

    Returns
    -------
    cells : np.ndarray
        Number of values in each of at most 96 x 96 cells, int64.
    size_km : tuple of float
        Height and width of a cell in km.

    Examples
    --------
    >>> cells, size_km = count_cells(Tiles.of(np.ones((192, 50))), (1.0, 1.0))
    >>> cells.shape, int(cells[0, 0]), size_km
    ((96, 50), 2, (2.0, 1.0))
    """
    sides = [-(-size // _CELLS) for size in tiles.shape]
    cells = np.zeros([-(-size // side) for size, side in zip(tiles.shape, sides, strict=True)], np.int64)
    for block, *spans in tiles:
        part = np.isfinite(block)
        at = []
        for axis, (span, side) in enumerate(zip(spans, sides, strict=True)):
            cell = np.arange(span.start, span.stop) // side
            edges = np.flatnonzero(np.diff(cell, prepend=-1))
            part = np.add.reduceat(part, edges, axis=axis, dtype=np.int64)
            at.append(cell[edges])
        cells[np.ix_(*at)] += part
    return cells, (sides[0] * step_km[0], sides[1] * step_km[1])


def mean_variance(cells: np.ndarray, size_km: tuple[float, float], length_km: float, share: float = 1.0) -> float:
    """
    Give the variance of the mean of correlated values over that of one value.

    Parameters
    ----------
    cells : np.ndarray
        Number of values in each cell, shape ``(y, x)``, as `count_cells` gives it.
    size_km : tuple of float
        Height and width of a cell in km.
    length_km : float
        Correlation length of the exponential correlation; 0 for white noise.
    share : float
        Share of the variance that is correlated; the rest is white.

    Returns
    -------
    float
        ``(1 - share) / count + share * mean correlation``, between 1 / count and 1: the inverse of the effective
        number of independent values. NaN without values.

    Notes
    -----
    The mean of ``exp(-h / L)`` over all pairs of values. The autocorrelation of the counts says how many pairs lie how
    far apart, so that the shape of the data counts and not the box around them. Pairs of two cells get the mean
    correlation over both.

    Examples
    --------
    >>> mean_variance(np.ones((10, 10), int), (1, 1), 0)
    0.01
    >>> wide = count_cells(Tiles.of(np.ones((400, 400))), (1, 1))
    >>> round(mean_variance(*wide, 2.0) * 400 * 400 / (2 * np.pi * 2**2), 1)
    1.0
    """
    count = int(cells.sum())
    if count == 0:
        return np.nan
    if length_km <= 0 or share <= 0:
        return 1.0 / count
    shape = [2 * n for n in cells.shape]
    power = np.abs(np.fft.rfft2(cells, shape)) ** 2
    pairs = np.maximum(np.fft.irfft2(power, shape), 0)  # of values, by distance in cells
    down, across = (np.fft.fftfreq(n, 1 / n) * step for n, step in zip(shape, size_km, strict=True))
    correlation = np.zeros(shape)
    inside = np.arange(-_INSIDE + 1, _INSIDE) / _INSIDE
    for u in inside:
        for v in inside:
            distance = np.hypot(down[:, np.newaxis] + u * size_km[0], across + v * size_km[1])
            correlation += (1 - abs(u)) * (1 - abs(v)) / _INSIDE**2 * np.exp(-distance / length_km)
    correlation[0, 0] = _mean_in_rectangle(size_km, length_km)
    mean = float(np.sum(pairs * correlation) / np.sum(pairs))
    return min(1.0, max(1.0 / count, (1 - share) / count + share * mean))


def _mean_in_rectangle(size_km: tuple[float, float], length_km: float) -> float:
    """
    Average exp(-h / L) over all pairs of points of a rectangle.

    ``4 integral (1 - u) (1 - v) exp(-sqrt((a u)^2 + (b v)^2) / L) du dv``, by the midpoint rule on steps that grow.
    """
    edges = np.linspace(0, 1, _STEPS + 1) ** 2
    middle, width = (edges[1:] + edges[:-1]) / 2, np.diff(edges)
    distance = np.hypot(middle[:, np.newaxis] * size_km[0], middle * size_km[1])
    weight = np.outer((1 - middle) * width, (1 - middle) * width)
    return float(4 * np.sum(weight * np.exp(-distance / length_km)))
