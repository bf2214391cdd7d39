"""Read daily positions of GNSS stations: ``tenv3`` files of the Nevada Geodetic Laboratory."""

import datetime as dt
import os
import re
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from mimtpy_cloud.errors import SourceFormatError

__all__ = ["Series", "is_tenv3", "read_series", "tenv3_frame"]

#: Columns without and with latitude, longitude and height.
_COLUMNS = (20, 23)
_DAY = re.compile(r"\d\d[A-Z]{3}\d\d")
_MONTHS = ("JAN", "FEB", "MAR", "APR", "MAY", "JUN", "JUL", "AUG", "SEP", "OCT", "NOV", "DEC")
_EPOCH = dt.date(1858, 11, 17)  # modified Julian day 0
#: Whole metres and the rest of east, north and up, and the sigmas.
_WHOLE, _REST = (7, 9, 11), (8, 10, 12)
#: Of a file that holds a frame in its name, as ANKR.IGS14.tenv3 or P123.NA.tenv3.
_NAME = re.compile(r"[^/.]+\.([A-Za-z0-9]+)\.tenv3(?:\.\w+)?$", re.IGNORECASE)
#: A frame: those of the laboratory, and its two letters for a plate, as in names of folders.
_FRAME = re.compile(r"IG[SB]\d\d|[IE]TRF\d{2,4}|NA12|A[FNRU]|B[GU]|C[AO]|EU|IN|MA|N[ABZ]|O[KN]|P[AMS]|S[ABCLOU]|WL")


@dataclass(frozen=True)
class Series:
    """
    Daily positions of a station.

    Parameters
    ----------
    station : str
        Name.
    years : np.ndarray
        Days, in years of 365.25 days since the modified Julian day 0, shape ``(day,)``.
    positions : np.ndarray
        East, north and up in metres, from an origin of its own, shape ``(day, 3)``.
    place : tuple of float
        Longitude, -360 to 360, and latitude in degrees.
    """

    station: str
    years: np.ndarray
    positions: np.ndarray
    place: tuple[float, float]


def is_tenv3(line: str) -> bool:
    """
    Tell whether a line is a heading or a day of a ``tenv3`` file.

    Parameters
    ----------
    line : str
        First line of a file.

    Returns
    -------
    bool

    Examples
    --------
    >>> is_tenv3("site YYMMMDD yyyy.yyyy __MJD week d reflon _e0(m) __east(m)"), is_tenv3("station,lon,lat,ve,vn")
    (True, False)
    """
    words = line.split()
    if words[:2] == ["site", "YYMMMDD"]:
        return True
    return len(words) in _COLUMNS and _DAY.fullmatch(words[1]) is not None


def tenv3_frame(url: str | os.PathLike[str]) -> str:
    """
    Take the reference frame from the name of a file, else from its folders: no line of it says.

    Parameters
    ----------
    url : str or path
        Of the file.

    Returns
    -------
    str
        "" if neither tells.

    Examples
    --------
    >>> tenv3_frame("P123.NA.tenv3"), tenv3_frame("gps_timeseries/IGS20/tenv3/IGS20/ANKR.tenv3"), tenv3_frame("A.tenv3")
    ('NA', 'IGS20', '')
    """
    text = os.fspath(url)
    found = _NAME.search(text)
    if found is not None and _FRAME.fullmatch(found[1]):
        return found[1]
    folders = [part for part in text.split("/")[-4:-1] if _FRAME.fullmatch(part)]
    return folders[-1] if folders else ""


def read_series(url: str | os.PathLike[str], rows: Sequence[tuple[int, str]]) -> list[Series]:
    """
    Read the stations of a ``tenv3`` file.

    Parameters
    ----------
    url : str or path
        For messages.
    rows : sequence of (int, str)
        Numbers and text of its lines, without empty ones.

    Returns
    -------
    list of Series
        One a station, in the order of the file; most files hold one.

    Raises
    ------
    SourceFormatError
        If a line is malformed, or a day occurs twice.

    See Also
    --------
    mimtpy_cloud.kernels.midas.midas_velocity : The velocity.

    Notes
    -----
    A line holds station, day, decimal year, modified Julian day, week and its day, a reference meridian, east of it,
    north of the equator and up, each as whole metres and the rest, antenna height, three sigmas, three correlations,
    and in newer files latitude, longitude and height. Older files tell the place, too: north is the length of the
    meridian and east that of the parallel on the ellipsoid, good to millimetres. The whole metres change only where a
    station is moved or renamed, so that they belong to its position.
    """
    days: dict[str, list[list[float]]] = {}
    for number, line in rows:
        words = line.split()
        if words[0] != "site" and words[0][0] not in "#%":
            days.setdefault(words[0], []).append(_day(url, number, words, line))
    return [_series(url, station, np.array(table), table[-1]) for station, table in days.items()]


def _day(url: str | os.PathLike[str], number: int, words: Sequence[str], line: str) -> list[float]:
    """Modified Julian day, east, north and up, reference meridian, and latitude and longitude or NaN."""
    if len(words) not in _COLUMNS or not _DAY.fullmatch(words[1]):
        raise _bad(url, number, f"the {_COLUMNS[0]} or {_COLUMNS[1]} columns of tenv3", line)
    try:
        numbers = [np.nan, np.nan, *(float(word) for word in words[2:])]
    except ValueError as error:
        raise _bad(url, number, "numbers after the day", line) from error
    if numbers[3] != _modified_julian_day(words[1]):
        raise _bad(url, number, f"the modified Julian day of {words[1]}", line)
    position = [numbers[i] + numbers[j] for i, j in zip(_WHOLE, _REST, strict=True)]
    if not np.isfinite(position).all():
        raise _bad(url, number, "finite positions", line)
    place = numbers[20:22] if len(words) == _COLUMNS[1] else [np.nan, np.nan]
    return [numbers[3], *position, numbers[6], *place]


def _series(url: str | os.PathLike[str], station: str, table: np.ndarray, last: Sequence[float]) -> Series:
    if np.unique(table[:, 0]).size < len(table):
        raise SourceFormatError(f"{url} has a day of {station} twice; expected one position a day")
    _, east, north, _, meridian, lat, lon = last
    if (table[:, 4] != meridian).any():
        raise SourceFormatError(
            f"{url} changes the reference meridian of {station}; expected one, split the file there"
        )
    if np.isnan(lat):
        lon, lat = _place(meridian, east, north)
    if not (-360 <= lon <= 360 and -90 <= lat <= 90):
        raise SourceFormatError(f"{url}: expected longitude and latitude of {station} in degrees, got {lon}, {lat}")
    return Series(station, table[:, 0] / 365.25, table[:, 1:4] - table[0, 1:4], (lon, lat))


def _modified_julian_day(text: str) -> int | None:
    """Of a day as 10JUL28; those from 80 to 99 are of the last century."""
    try:
        month = _MONTHS.index(text[2:5]) + 1
        year = int(text[:2])
        return (dt.date(year + (1900 if year >= 80 else 2000), month, int(text[5:])) - _EPOCH).days
    except ValueError:
        return None


def _place(meridian: float, east: float, north: float) -> tuple[float, float]:
    """Longitude and latitude, by the lengths of the meridian and of the parallel on the ellipsoid."""
    from pyproj import Geod

    ellipsoid = Geod(ellps="WGS84")
    _, lat, _ = ellipsoid.fwd(meridian, 0.0, 0.0 if north >= 0 else 180.0, abs(north))
    sine = np.sin(np.deg2rad(lat))
    radius = ellipsoid.a / np.sqrt(1 - ellipsoid.es * sine**2) * np.sqrt(1 - sine**2)
    return float(meridian + np.rad2deg(east / radius)), float(lat)


def _bad(url: str | os.PathLike[str], number: int, expected: str, line: str) -> SourceFormatError:
    return SourceFormatError(f"{url}, line {number}: expected {expected}; got {line[:80]!r}")
