"""Dates as numbers: parsing, nearest acquisition, matching of two date lists, and time in years."""

import datetime as dt
import itertools
import re
from collections.abc import Iterable
from typing import Any

import numpy as np

from mimtpy_cloud.errors import DateError
from mimtpy_cloud.schema import DAYS_PER_YEAR

__all__ = [
    "MAX_GAP_DAYS",
    "match_dates",
    "nearest_date",
    "parse_date",
    "parse_date_list",
    "parse_dates",
    "years_elapsed",
    "years_mintpy",
]

#: Dates that are at most so far apart count as the same date unless asked otherwise: two repeats of Sentinel-1.
MAX_GAP_DAYS = 24.0

_COMPACT = re.compile(r"(\d{2}|\d{4})(\d{2})(\d{2})")
_ISO = re.compile(r"\d{4}-\d{2}-\d{2}")
_EXPECTED = "expected a date like 20200131 or 2020-01-31"
_DAY = np.timedelta64(1, "D")


def parse_date(value: Any) -> np.datetime64:
    """
    Read a date.

    Parameters
    ----------
    value : str, int, datetime.date, numpy.datetime64 or array without dimension
        ``YYYYMMDD``, ``YYYY-MM-DD``, ``YYMMDD`` (70 to 99 are 19YY, the rest 20YY), an ISO date with time, or a date
        object. The time of the day is dropped.

    Returns
    -------
    numpy.datetime64
        In days.

    Raises
    ------
    DateError
        If it is no date.

    Examples
    --------
    >>> [str(parse_date(v)) for v in ("20200131", "2020-01-31", "200131", 20200131)]
    ['2020-01-31', '2020-01-31', '2020-01-31', '2020-01-31']
    """
    if getattr(value, "ndim", None) == 0:
        value = np.asarray(value)[()]  # ds.time[0]
    text = value.decode() if isinstance(value, bytes) else value
    if isinstance(text, str | int | np.integer):
        text = _iso(str(text).strip())
    if not isinstance(text, str | dt.date | np.datetime64):
        raise DateError(f"{_EXPECTED}, got {value!r}")
    try:
        date: np.datetime64 = np.datetime64(text, "s").astype("datetime64[D]")
    except ValueError as error:
        raise DateError(f"{_EXPECTED}, got {value!r}") from error
    if np.isnat(date):
        raise DateError(f"{_EXPECTED}, got {value!r}")
    return date


def parse_dates(values: Iterable[Any]) -> np.ndarray:
    """
    Read many dates.

    Parameters
    ----------
    values : iterable
        Anything that `parse_date` reads; an array of numpy dates is fast.

    Returns
    -------
    np.ndarray
        datetime64[D], in the order given.

    Raises
    ------
    DateError
        If one is no date.

    Examples
    --------
    >>> parse_dates(["20200101", "20200113"]).tolist()
    [datetime.date(2020, 1, 1), datetime.date(2020, 1, 13)]
    """
    if isinstance(values, np.ndarray) and values.dtype.kind == "M":
        return values.astype("datetime64[D]")
    return np.array([parse_date(value) for value in values], "datetime64[D]")


def parse_date_list(text: str) -> np.ndarray:
    """
    Read the text of a file like MintPy's ``exclude_date.txt``.

    Parameters
    ----------
    text : str
        Dates apart by line ends, blanks or commas; ``#`` starts a comment.

    Returns
    -------
    np.ndarray
        datetime64[D], in the order of the text.

    Raises
    ------
    DateError
        If a word is no date.

    Examples
    --------
    >>> [str(d) for d in parse_date_list("20200101  # snow\\n# all of\\n20200113\\n")]
    ['2020-01-01', '2020-01-13']
    """
    lines = (line.partition("#")[0] for line in text.splitlines())
    return parse_dates([word for line in lines for word in line.replace(",", " ").split()])


def nearest_date(dates: np.ndarray, wanted: Any, max_gap_days: float) -> int:
    """
    Find the acquisition nearest to a date.

    Parameters
    ----------
    dates : np.ndarray
        Acquisitions, datetime64, ascending.
    wanted : date
        Anything that `parse_date` reads.
    max_gap_days : float
        Largest allowed distance in days.

    Returns
    -------
    int
        Index into `dates`; the earlier one of two that are equally near.

    Raises
    ------
    DateError
        If there is none near enough; the message lists the neighbours.

    Examples
    --------
    >>> nearest_date(parse_dates(["20150131", "20150212"]), "20150201", 24)
    0
    """
    day, days = parse_date(wanted), parse_dates(dates)
    if days.size == 0:
        raise DateError(f"no acquisition at all, so none near {day}")
    gaps = np.abs(days - day) / _DAY
    best = int(np.argmin(gaps))
    if gaps[best] > max_gap_days:
        before = np.flatnonzero(days < day)[-1:]
        after = np.flatnonzero(days > day)[:1]
        around = ", ".join(f"{days[i]} ({gaps[i]:.0f} days {word})" for i, word in _words(before, after))
        raise DateError(f"no acquisition within {max_gap_days:g} days of {day}; nearest: {around}; choose one of these")
    return best


def match_dates(a: np.ndarray, b: np.ndarray, tolerance_days: float) -> np.ndarray:
    """
    Pair two lists of dates one to one.

    Parameters
    ----------
    a, b : np.ndarray
        Dates, datetime64.
    tolerance_days : float
        Largest allowed distance of a pair in days.

    Returns
    -------
    np.ndarray
        Index pairs into `a` and `b`, int64, shape ``(pair, 2)``, ascending in `a`.

    Notes
    -----
    Equal dates are paired first. Of the others as many as possible are paired, never across a pair that is there or
    across each other, and among those with the smallest sum of distances: a series keeps its order, and no date moves
    where it has its equal. Dynamic programming, quadratic in the number of dates.

    Examples
    --------
    >>> match_dates(parse_dates(["20200101", "20200113"]), parse_dates(["20200103", "20200131"]), 6).tolist()
    [[0, 0]]
    """
    days_a, days_b = parse_dates(a), parse_dates(b)
    order_a, order_b = np.argsort(days_a, kind="stable"), np.argsort(days_b, kind="stable")
    days_a, days_b = days_a[order_a], days_b[order_b]
    _, equal_a, equal_b = np.intersect1d(days_a, days_b, return_indices=True)
    edges = [(-1, -1), *zip(equal_a.tolist(), equal_b.tolist(), strict=True), (days_a.size, days_b.size)]
    pairs: list[tuple[int, int]] = list(edges[1:-1])
    for (i, j), (k, m) in itertools.pairwise(edges):
        between = np.abs(days_a[i + 1 : k, None] - days_b[None, j + 1 : m]) / _DAY
        pairs += [(i + 1 + p, j + 1 + q) for p, q in _match_in_order(between, tolerance_days)]
    found = [(int(order_a[p]), int(order_b[q])) for p, q in pairs]
    return np.array(sorted(found), dtype=np.int64).reshape(-1, 2)


def _match_in_order(gap: np.ndarray, tolerance: float) -> list[tuple[int, int]]:
    """Most pairs that do not cross, then the smallest sum of gaps, of two ordered lists."""
    n, m = gap.shape
    count, total = np.zeros((n + 1, m + 1), np.int64), np.zeros((n + 1, m + 1))

    def better(x: tuple[int, float], y: tuple[int, float]) -> bool:
        return x[0] > y[0] or (x[0] == y[0] and x[1] < y[1])

    for p in range(1, n + 1):
        for q in range(1, m + 1):
            best = (int(count[p - 1, q]), float(total[p - 1, q]))
            other = (int(count[p, q - 1]), float(total[p, q - 1]))
            best = other if better(other, best) else best
            if gap[p - 1, q - 1] <= tolerance:
                both = (int(count[p - 1, q - 1]) + 1, float(total[p - 1, q - 1] + gap[p - 1, q - 1]))
                best = both if better(both, best) else best
            count[p, q], total[p, q] = best
    pairs, p, q = [], n, m
    while p and q:
        if (count[p, q], total[p, q]) == (count[p - 1, q], total[p - 1, q]):
            p -= 1
        elif (count[p, q], total[p, q]) == (count[p, q - 1], total[p, q - 1]):
            q -= 1
        else:
            p, q = p - 1, q - 1
            pairs.append((p, q))
    return pairs[::-1]


def years_elapsed(dates: np.ndarray) -> np.ndarray:
    """
    Count years of 365.25 days since the first date of a list.

    Parameters
    ----------
    dates : np.ndarray
        datetime64.

    Returns
    -------
    np.ndarray
        Years, float64; 0 at ``dates[0]``.

    Examples
    --------
    >>> years_elapsed(parse_dates(["20191231", "20200101"])).round(6).tolist()
    [0.0, 0.002738]
    """
    days = parse_dates(dates)
    return np.asarray((days - days[:1]) / _DAY / DAYS_PER_YEAR)


def years_mintpy(dates: np.ndarray) -> np.ndarray:
    """
    Count years since the first date of a list the way MintPy does.

    Parameters
    ----------
    dates : np.ndarray
        datetime64.

    Returns
    -------
    np.ndarray
        Years, float64; 0 at ``dates[0]``.

    Notes
    -----
    MintPy's decimal year is ``year + (day_of_year - 1) / 365.25``: the step over a new year is 1.25 days long
    after a common year and 0.25 days after a leap year. Only for comparison with MintPy.

    Examples
    --------
    >>> years_mintpy(parse_dates(["20191231", "20200101"])).round(6).tolist()
    [0.0, 0.003422]
    """
    days = parse_dates(dates)
    year = days.astype("datetime64[Y]")
    decimal = year.astype(np.int64) + (days - year.astype("datetime64[D]")) / _DAY / DAYS_PER_YEAR
    return np.asarray(decimal - decimal[:1])


def _words(before: np.ndarray, after: np.ndarray) -> list[tuple[int, str]]:
    """Label the neighbours of a date."""
    return [(int(i), "before") for i in before] + [(int(i), "after") for i in after]


def _iso(text: str) -> str | None:
    """Put hyphens into a compact date; None if the text has the form of no date."""
    compact = _COMPACT.fullmatch(text)
    if compact is None:
        return text if _ISO.match(text) else None
    year, month, day = compact.groups()
    if len(year) == 2:
        year = ("19" if year >= "70" else "20") + year
    return f"{year}-{month}-{day}"
