"""The joint timeline of several tracks: whose dates it has, where they can be decomposed, and how rough it may be."""

from collections.abc import Sequence

import numpy as np

from mimtpy_cloud.errors import DateError

__all__ = ["joint_period", "time_scales", "union_dates"]

#: Time scales that are tried: from this part of the median distance of dates to so many times their span.
_SHORTEST, _LONGEST = 0.1, 4.0


def union_dates(dates: Sequence[np.ndarray]) -> np.ndarray:
    """
    Join dates.

    Parameters
    ----------
    dates : sequence of np.ndarray
        Dates of each track, datetime64[D].

    Returns
    -------
    np.ndarray
        Every date once, ascending.
    """
    return np.unique(np.concatenate(list(dates)))


def joint_period(dates: Sequence[np.ndarray], groups: Sequence[str], *, all_tracks: bool = False) -> np.ndarray:
    """
    Find the period in which tracks can be decomposed.

    Parameters
    ----------
    dates : sequence of np.ndarray
        Ascending dates of each track, datetime64[D].
    groups : sequence of str
        Orbit direction of each track, or a name of its own if it is not known. Two of one direction tell little more
        than one, if there are others.
    all_tracks : bool
        Take the period that all tracks cover, instead of two directions, or two tracks if there is one direction.

    Returns
    -------
    np.ndarray
        First and last date.

    Raises
    ------
    DateError
        If there is none; the message names the periods of the tracks.

    Examples
    --------
    >>> a, b, c = (np.array(d, "datetime64[D]") for d in (["2015", "2020"], ["2016", "2021"], ["2017", "2019"]))
    >>> joint_period([a, b, c], ["ascending", "ascending", "descending"]).astype(str).tolist()
    ['2017-01-01', '2019-01-01']
    >>> joint_period([a, b], ["ascending", "ascending"]).astype(str).tolist()
    ['2016-01-01', '2020-01-01']
    """
    names = list(groups) if len(set(groups)) > 1 else list(map(str, range(len(dates))))
    firsts, lasts = np.array([d[0] for d in dates]), np.array([d[-1] for d in dates])
    if all_tracks:
        first, last = firsts.max(), lasts.min()
    else:
        first = np.sort([min(f for f, g in zip(firsts, names, strict=True) if g == name) for name in set(names)])[1]
        last = np.sort([max(t for t, g in zip(lasts, names, strict=True) if g == name) for name in set(names)])[-2]
    if first >= last:
        shown = "; ".join(f"{a} to {b}" for a, b in zip(firsts, lasts, strict=True))
        who = "all tracks" if all_tracks else "tracks that look from different directions"
        raise DateError(f"{who} need a common period, got {shown}")
    return np.array([first, last])


def time_scales(times: np.ndarray) -> np.ndarray:
    """
    List the time scales of smoothing between which one is worth choosing.

    Parameters
    ----------
    times : np.ndarray
        Ascending times of all tracks.

    Returns
    -------
    np.ndarray
        Shortest and longest, in the same unit: a part of the median distance of dates, a multiple of all.

    Examples
    --------
    >>> time_scales(np.array([0.0, 1.0, 2.0, 5.0])).tolist()
    [0.1, 20.0]
    """
    return np.array([_SHORTEST * np.median(np.diff(times)), _LONGEST * (times[-1] - times[0])])
