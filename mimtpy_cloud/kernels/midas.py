"""Velocity of a station from its daily positions, by the median of slopes over one year."""

import numpy as np

__all__ = ["midas_velocity", "year_pairs"]

#: Standard deviation of a normal distribution over its median absolute deviation, 1 / Phi^-1(3/4).
_SIGMA_OVER_MAD = 1.482602218505602
#: Days of a pair may lie that much, in years, from one year apart.
_TOLERANCE = 1e-3
#: With fewer pairs the scatter of their slopes says little.
_LEAST_PAIRS = 30
#: Slopes beyond that many robust standard deviations are left out of the second median.
_TRIM = 2.0
#: Standard error of the median over that of the mean, sqrt(pi / 2).
_MEDIAN_OVER_MEAN = 1.2533141373155001
#: Times that a day takes part in pairs, forward and backward, as their first and as their second.
_REUSE = 4
#: What the standard error lacks, as the noise of days close to one another is alike.
_SCALE = 3.0


def year_pairs(years: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """
    Pair each day with the one a year later, else with a later one.

    Parameters
    ----------
    years : np.ndarray
        Times in years, increasing, shape ``(day,)``.

    Returns
    -------
    first, second : np.ndarray
        Indices of the days of each pair. A day without partner after one year, but for 0.001 years, gets the next
        later day that no such day has had yet; where there is none left, the next one.

    Examples
    --------
    >>> [part.tolist() for part in year_pairs(np.array([0.0, 0.1, 1.0, 1.5]))]
    [[0, 1], [2, 3]]
    """
    start = np.searchsorted(years, years + (1.0 - _TOLERANCE))
    first = np.flatnonzero(start < years.size)
    second = start[first]
    spare = 0
    for k in np.flatnonzero(years[second] - years[first] > 1.0 + _TOLERANCE):
        if spare > second[k] and spare < years.size:
            second[k] = spare
        spare = int(second[k]) + 1
    return first, second


def midas_velocity(years: np.ndarray, positions: np.ndarray) -> tuple[np.ndarray, np.ndarray, int]:
    """
    Estimate the velocity of a station robustly from its positions.

    Parameters
    ----------
    years : np.ndarray
        Times in years, in any order, shape ``(day,)``.
    positions : np.ndarray
        Coordinates, shape ``(day, component)``. Days with NaN do not count.

    Returns
    -------
    velocity, sigma : np.ndarray
        In the unit of the positions a year, shape ``(component,)``; NaN where no two days lie a year apart. Sigma is
        NaN, too, where fewer than 30 pairs do, whose scatter says little.
    count : int
        Slopes of pairs of days, forward and backward in time.

    See Also
    --------
    mimtpy_cloud.io.tenv3.read_series : Reads the positions.

    Notes
    -----
    MIDAS [1]_: the median of the slopes of pairs of days one year apart, in which what repeats every year cancels, and
    of which a step spoils those of one year only. Pairs are chosen forward and backward in time, so that time has no
    direction. Slopes that are more than two robust standard deviations (1.4826 times the median absolute deviation)
    off are left out, and a second median is taken. Its sigma is ``3 * 1.2533 * s / sqrt(n / 4)``: ``s`` is the robust
    standard deviation of the `n` slopes left, each day takes part in four pairs, and the factor three is an empirical
    one of the authors for noise that is correlated in time. Steps that spoil less than half of the pairs need no model.

    References
    ----------
    .. [1] Blewitt, G., Kreemer, C., Hammond, W. C. and Gazeaux, J. (2016), MIDAS robust trend estimator for accurate
       GPS station velocities without step detection, Journal of Geophysical Research: Solid Earth, 121, 2054-2068,
       doi:10.1002/2015JB012552.

    Examples
    --------
    Three mm a year, with a yearly term and a step:

    >>> years = np.arange(0, 8 * 365.25) / 365.25
    >>> east = 3.0 * years + 5.0 * np.sin(2 * np.pi * years) + 40.0 * (years > 6.2)
    >>> velocity, sigma, _ = midas_velocity(years, east[:, None])
    >>> round(float(velocity[0]), 1)
    3.0
    """
    known = np.isfinite(positions).all(axis=1) & np.isfinite(years)
    order = np.argsort(years[known], kind="stable")
    t, x = years[known][order], positions[known][order].astype(np.float64)
    components = positions.shape[1]
    if t.size < 2 or t[-1] - t[0] < 1.0 - _TOLERANCE:
        return np.full(components, np.nan), np.full(components, np.nan), 0
    forward, backward = year_pairs(t), year_pairs(-t[::-1])
    first = np.concatenate([forward[0], t.size - 1 - backward[1]])
    second = np.concatenate([forward[1], t.size - 1 - backward[0]])
    slopes = (x[second] - x[first]) / (t[second] - t[first])[:, None]
    found = np.array([_trimmed_median(column) for column in slopes.T])
    known_sigma = forward[0].size >= _LEAST_PAIRS
    return found[:, 0], found[:, 1] if known_sigma else np.full(components, np.nan), int(first.size)


def _trimmed_median(slopes: np.ndarray) -> tuple[float, float]:
    """Median without slopes that are far off, and its standard deviation."""
    median = np.median(slopes)
    spread = _SIGMA_OVER_MAD * np.median(np.abs(slopes - median))
    kept = slopes[np.abs(slopes - median) <= _TRIM * spread]
    median = np.median(kept)
    spread = _SIGMA_OVER_MAD * np.median(np.abs(kept - median))
    return float(median), float(_SCALE * _MEDIAN_OVER_MEAN * spread / np.sqrt(kept.size / _REUSE))
