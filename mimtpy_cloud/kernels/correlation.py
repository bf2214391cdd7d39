"""How far noise is correlated in space, and how many independent values a correlated image is worth."""

import numpy as np

__all__ = ["correlation_of", "mean_variance"]

#: Structured shares below this are taken as none: what is left is white.
_WHITE = 0.05
#: Differences larger than so many standard deviations do not count as noise.
_CLIPPED = 4.0
#: Most rows or columns along which lags are looked at.
_LINES = 512
#: Steps of the integral over separations along one axis, and most cells along one axis in which values are counted.
_STEPS, _CELLS = 96, 96
#: Steps over the width of a cell in the mean correlation of two cells.
_INSIDE = 4


def correlation_of(image: np.ndarray, step_km: tuple[float, float], centre: float = 0.0) -> tuple[float, float]:
    """
    Fit an exponential correlation to the noise of an image.

    Parameters
    ----------
    image : np.ndarray
        Noise about a centre, shape ``(y, x)``, any unit; NaN is no data.
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
    cannot be seen in it, and comes out too short.

    References
    ----------
    .. [1] R. F. Hanssen, 2001, Radar Interferometry, Kluwer, section 4.7, DOI 10.1007/0-306-47633-9.

    Examples
    --------
    >>> white = np.random.default_rng(1).normal(size=(80, 90))
    >>> correlation_of(white, (0.1, 0.1))
    (0.0, 0.0)
    """
    axes = [
        _decay(_correlogram(some - image.dtype.type(centre)), step)
        for some, step in (
            (image[:: -(-image.shape[0] // _LINES)], step_km[1]),
            (image[:, :: -(-image.shape[1] // _LINES)].T, step_km[0]),
        )
    ]
    found = [pair for pair in axes if pair is not None]
    if not found:
        return 0.0, 0.0
    length, share = np.mean(found, axis=0)
    return (float(length), float(share)) if share >= _WHITE and length > 0 else (0.0, 0.0)


def _correlogram(rows: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Lags in pixels along the rows, and the correlation at each."""
    most = rows.shape[1] // 4
    spread = np.sqrt(np.nanmean(np.square(rows, dtype=np.float64))) if np.isfinite(rows).any() else 0.0
    if most < 2 or not spread > 0:
        return np.empty(0), np.empty(0)
    rows = np.where(np.abs(rows) <= _CLIPPED * spread, rows, np.nan)
    variance = float(np.nanmean(np.square(rows, dtype=np.float64)))
    kept, rho = [], []
    for lag in np.unique(np.geomspace(1, most, max(2, int(2 * np.log(most)) + 2)).round().astype(int)).tolist():
        square = np.square(rows[:, lag:] - rows[:, :-lag], dtype=np.float64)
        if np.isfinite(square).sum() >= 30:
            kept.append(lag)
            rho.append(1 - 0.5 * float(np.nanmean(square)) / variance)
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


def mean_variance(known: np.ndarray, step_km: tuple[float, float], length_km: float, share: float = 1.0) -> float:
    """
    Give the variance of the mean of correlated values over that of one value.

    Parameters
    ----------
    known : np.ndarray
        Where there are values, boolean, shape ``(y, x)``.
    step_km : tuple of float
        Height and width of a pixel in km.
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
    The mean of ``exp(-h / L)`` over all pairs of values. Values are counted in at most 96 x 96 cells; the
    autocorrelation of the counts says how many pairs lie how far apart, so that the shape of the data counts and not
    the box around them. Pairs of two cells get the mean correlation over both.

    Examples
    --------
    >>> square = np.ones((10, 10), bool)
    >>> mean_variance(square, (1, 1), 0)
    0.01
    >>> wide = np.ones((400, 400), bool)
    >>> round(mean_variance(wide, (1, 1), 2.0) * 400 * 400 / (2 * np.pi * 2**2), 1)
    1.0
    """
    count = int(np.count_nonzero(known))
    if count == 0:
        return np.nan
    if length_km <= 0 or share <= 0:
        return 1.0 / count
    sides = [-(-size // _CELLS) for size in known.shape]
    cells = known
    for axis, side in enumerate(sides):
        cells = np.add.reduceat(cells, np.arange(0, known.shape[axis], side), axis=axis, dtype=np.int64)
    size = [side * step for side, step in zip(sides, step_km, strict=True)]
    shape = [2 * n for n in cells.shape]
    power = np.abs(np.fft.rfft2(cells, shape)) ** 2
    pairs = np.maximum(np.fft.irfft2(power, shape), 0)  # of values, by distance in cells
    down, across = (np.fft.fftfreq(n, 1 / n) * step for n, step in zip(shape, size, strict=True))
    correlation = np.zeros(shape)
    inside = np.arange(-_INSIDE + 1, _INSIDE) / _INSIDE
    for u in inside:
        for v in inside:
            distance = np.hypot(down[:, np.newaxis] + u * size[0], across + v * size[1])
            correlation += (1 - abs(u)) * (1 - abs(v)) / _INSIDE**2 * np.exp(-distance / length_km)
    correlation[0, 0] = _mean_in_rectangle((size[0], size[1]), length_km)
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
