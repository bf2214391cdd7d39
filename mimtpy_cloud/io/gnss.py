"""Read velocities of GNSS stations: MIDAS, PBO/GAGE, CSI, tenv3 series, and any table with named columns."""

import logging
import os
import re
from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
import xarray as xr

from mimtpy_cloud.errors import SourceFormatError, StorageError
from mimtpy_cloud.io.tenv3 import is_tenv3, read_series, tenv3_frame
from mimtpy_cloud.io.text import read_text
from mimtpy_cloud.kernels.midas import midas_velocity
from mimtpy_cloud.location import locate

__all__ = ["read_stations"]

_log = logging.getLogger(__name__)
_FORMATS = (
    "a UNR MIDAS table, UNR tenv3 series, a PBO/GAGE .vel, a CSI .enu (name lon lat ve vn vu se sn su), a table of "
    "GMT's velo (lon lat ve vn se sn correlation name), or a table whose heading names "
    "its columns (station, lon, lat, east, north, up, east_std, north_std, up_std, or ve, vn, vu, se, sn, su)"
)
_UNITS = {"m/yr": 1.0, "cm/yr": 1e-2, "mm/yr": 1e-3}
_UNIT_TEXT = re.compile(r"(?<![a-z])(mm|cm|m)[\s_/*.]*(?:per[\s_]*)?(?:yr|year|y|a)(?![a-z])")
_FRAME_TEXT = re.compile(r"(?<![a-z0-9])(IG[SB]\d\d|[IE]TRF\d{2,4}|NA12|NAM\d\d|SNARF)(?![a-z0-9])", re.IGNORECASE)
_FRAME_LINE = re.compile(r"^[#*%\s]*(?:reference\s+)?frame\s*[:=]\s*(\S+)", re.IGNORECASE)
#: What a table writes for a value that it does not have.
_MISSING = ("", "-", "--", "*", "nan", "na", "n/a", "none", "null")
#: Stations whose coordinates agree when rounded to this fraction of a degree (some 10 m) are one.
_SAME_PLACE = 1e-4
#: Half of the stations moving faster than that, in m/yr, means another unit; slower than the other, in mm/yr, too.
_TOO_FAST, _TOO_SLOW = 0.5, 0.1
_MIDAS_COLUMNS = (24, 27)  # without and with latitude, longitude, height
_ENU_COLUMNS = 9
_VELO_COLUMNS = 8


def _spellings() -> dict[str, str]:
    """Name of a column as tables write it, without unit and punctuation -> our name."""
    found = dict.fromkeys(("station", "name", "site", "sta", "id", "code", "dot"), "station")
    found |= dict.fromkeys(("lon", "long", "longitude"), "lon") | dict.fromkeys(("lat", "latitude"), "lat")
    for name in ("east", "north", "up"):
        for c in (name, name[0]):
            rates = [c, f"v{c}", f"v_{c}", f"vel_{c}", f"{c}_vel", f"velocity_{c}", f"{c}_velocity", f"{c}_rate"]
            sigmas = [f"s{c}", f"s_{c}", f"{c}_s", f"sv{c}", f"s_v{c}"]
            for mark in ("std", "sigma", "sig", "err", "error", "unc"):
                sigmas += [f"{mark}{c}", f"{mark}_{c}", f"{c}_{mark}", f"{mark}_v{c}", f"v{c}_{mark}"]
            found |= dict.fromkeys(rates, name) | dict.fromkeys(sigmas, f"{name}_std")
    return found


_SPELLINGS = _spellings()
_VELOCITIES = ("east", "north", "up")
_SIGMAS = ("east_std", "north_std", "up_std")


@dataclass
class _Table:
    """Rows of a file: name, longitude and latitude (None where the file has neither), velocities, sigmas."""

    kind: str
    units: str | None
    frame: str
    names: list[str] = field(default_factory=list)
    places: list[tuple[float, float] | None] = field(default_factory=list)
    values: list[list[float]] = field(default_factory=list)


def read_stations(
    url: str | os.PathLike[str] | Sequence[str | os.PathLike[str]],
    *,
    frame: str | None = None,
    units: str | None = None,
    coordinates: str | os.PathLike[str] | None = None,
) -> xr.Dataset:
    """
    Read the velocities of GNSS stations.

    Parameters
    ----------
    url : str or path, or sequence of them
        Local path or any fsspec URL of a MIDAS table of the Nevada Geodetic Laboratory (old and new layout), a
        PBO/GAGE ``.vel``, a CSI ``.enu``, a table of GMT's ``velo``, or one (commas, semicolons or blanks) whose first
        line names its columns. The content decides. Or ``tenv3`` series of daily positions of that laboratory: a file,
        several, a pattern such as ``"series/*.IGS14.tenv3"``, or a folder, of which those that end in ``.tenv3`` count.
    frame : str, optional
        Reference frame; by default what the file says, else what its name says.
    units : {"m/yr", "cm/yr", "mm/yr"}, optional
        Unit of a table that does not say, as those of GMT. MIDAS and PBO are in m/yr, CSI in mm/yr.
    coordinates : str or path, optional
        Table of station, longitude and latitude for MIDAS of the old layout, which has none; by default
        ``stations.REGION.csv`` beside ``midas.FRAME.REGION.txt``.

    Returns
    -------
    xr.Dataset
        Dimension `station` with coordinates `station` (names), `lon` in [-180, 180) and `lat` in degrees; `east`,
        `north`, `up` and `east_std`, `north_std`, `up_std` in m/yr, float64, NaN where the table has none. Attributes
        `frame` ("" if unknown) and `source`.

    Raises
    ------
    StorageError
        If there is no such file, or it cannot be fetched.
    SourceFormatError
        If it is no such table, a line is malformed, the unit is unknown or contradicts the numbers, or MIDAS stations
        have no coordinates.

    See Also
    --------
    mimtpy_cloud.ops.stations.project_stations : What a track observes there.

    Notes
    -----
    The velocity of a ``tenv3`` series is the median of its slopes over one year (`midas_velocity`). Series in which no
    two days lie a year apart are left out. They do not name their frame: it is taken from the name of the file
    (``ANKR.IGS14.tenv3``) or its folder.

    Rows of one name, or at one place (coordinates that agree to 1e-4 degrees, some 10 m), are one station: the row
    with the smallest horizontal sigma is kept, of equal ones the last. Else two occupations of a mark would count
    twice.
    """
    files = _files(url)
    table = _parse(files[0], read_text(files[0], _FORMATS).splitlines()) if len(files) == 1 else _read_many(files)
    url = files[0] if len(files) == 1 else _shown(url)
    factor = _unit_factor(table, units, url)
    if None in table.places:
        _place(table, url, coordinates)
    if not table.names:
        lacks = "series of a year or more" if table.kind == "tenv3" else _FORMATS
        raise SourceFormatError(f"{url} has no station; expected {lacks}")
    lon, lat = np.array(table.places, float).T
    values = factor * np.array(table.values, float)
    _refuse_wrong_unit(values, table, units, url)
    keep = _unique(table.names, lon, lat, values)
    if dropped := len(table.names) - keep.size:
        _log.info("%s: left out %d rows of a name or place that occurs more than once", url, dropped)
    data = {
        name: ("station", values[keep, k], {"units": "m/yr", "long_name": _long_name(name)})
        for k, name in enumerate((*_VELOCITIES, *_SIGMAS))
    }
    lon = np.where((lon >= -180) & (lon < 180), lon, (lon + 180) % 360 - 180)  # those in range stay bit for bit
    coords = {
        "station": np.array(table.names)[keep],
        "lon": ("station", lon[keep], {"units": "degrees_east", "standard_name": "longitude"}),
        "lat": ("station", lat[keep], {"units": "degrees_north", "standard_name": "latitude"}),
    }
    return xr.Dataset(data, coords, {"frame": _frame(frame, table, url), "source": os.fspath(url)})


def _long_name(name: str) -> str:
    component = name.removesuffix("_std")
    return f"{component} velocity" if name == component else f"standard deviation of the {component} velocity"


def _files(url: str | os.PathLike[str] | Sequence[str | os.PathLike[str]]) -> list[str]:
    """Files that a path, a folder, a pattern or a sequence of them names."""
    if not isinstance(url, str | os.PathLike):
        found = [file for one in url for file in _files(one)]
    else:
        text = os.fspath(url)
        fs, path = locate(text)
        folder = "*" not in text and fs.isdir(path)
        if not folder and "*" not in text:
            return [text]
        names = sorted(fs.glob(f"{path.rstrip('/')}/*.tenv3" if folder else path))
        found = [fs.unstrip_protocol(name) if "://" in text else name for name in names]
    if not found:
        raise StorageError(f"cannot read {_shown(url)}: it names no file; in a folder, those that end in .tenv3 count")
    return found


def _shown(url: str | os.PathLike[str] | Sequence[str | os.PathLike[str]]) -> str:
    return os.fspath(url) if isinstance(url, str | os.PathLike) else ", ".join(os.fspath(one) for one in url)


def _read_many(files: Sequence[str]) -> _Table:
    """Join series; tables of velocities may differ in unit and frame, so that only one is read at a time."""
    whole: _Table | None = None
    for file in files:
        table = _parse(file, read_text(file, _FORMATS).splitlines())
        if table.kind != "tenv3":
            raise SourceFormatError(f"{file} is no tenv3 series; read tables of velocities one by one")
        if whole is not None and table.frame != whole.frame:
            raise SourceFormatError(
                f"series of one frame are expected, got {whole.frame or 'no name'} and, in {file}, "
                f"{table.frame or 'no name'}; read them apart"
            )
        whole = whole or _Table("tenv3", "m/yr", table.frame)
        whole.names += table.names
        whole.places += table.places
        whole.values += table.values
    assert whole is not None
    return whole


def _parse(url: str | os.PathLike[str], lines: list[str]) -> _Table:
    """Recognise the format by the first lines, and read the rows."""
    rows = [(number, line.strip()) for number, line in enumerate(lines, 1) if line.strip()]
    if rows and is_tenv3(rows[0][1]):
        return _read_tenv3(url, rows)
    frame = next((m[1] for _, line in rows if (m := _FRAME_LINE.match(line))), "")
    heading = next((i for i, (_, line) in enumerate(rows) if line.startswith("*Dot#")), None)
    if heading is not None:
        return _read_pbo(url, rows[heading:], frame)
    data = [(number, line) for number, line in rows if line[0] not in "#%*"]
    if not data:
        raise SourceFormatError(f"{url} has no line of data; expected {_FORMATS}")
    words = data[0][1].split()
    if len(words) > 1 and words[1].startswith("MIDAS"):
        return _read_midas(url, data, frame)
    if len(words) == _ENU_COLUMNS and all(map(_is_number, words[1:])):
        return _read_enu(url, data, frame)
    if len(words) == _VELO_COLUMNS and all(map(_is_number, words[:-1])):
        return _read_velo(url, data, frame)
    return _read_named(url, rows, frame)


def _read_tenv3(url: str | os.PathLike[str], rows: Sequence[tuple[int, str]]) -> _Table:
    table = _Table("tenv3", "m/yr", tenv3_frame(url))
    for series in read_series(url, rows):
        velocity, sigma, _ = midas_velocity(series.years, series.positions)
        if not np.isfinite(velocity).all():
            _log.warning("%s: left out %s, of which no two days lie a year apart", url, series.station)
            continue
        _append(table, series.station, series.place, [*velocity.tolist(), *sigma.tolist()])
    return table


def _read_midas(url: str | os.PathLike[str], rows: Sequence[tuple[int, str]], frame: str) -> _Table:
    table = _Table("MIDAS", "m/yr", frame)
    for number, line in rows:
        words = line.split()
        if len(words) not in _MIDAS_COLUMNS:
            raise _bad_line(url, number, f"{_MIDAS_COLUMNS[0]} or {_MIDAS_COLUMNS[1]} columns of MIDAS", line)
        numbers = [_number(word, url, number, line) for word in words[8:14]]
        place = _position(words[25], words[24], url, number, line) if len(words) == _MIDAS_COLUMNS[1] else None
        _append(table, words[0], place, numbers)
    return table


def _read_enu(url: str | os.PathLike[str], rows: Sequence[tuple[int, str]], frame: str) -> _Table:
    table = _Table("CSI", "mm/yr", frame)
    for number, line in rows:
        words = line.split()
        if len(words) != _ENU_COLUMNS:
            raise _bad_line(url, number, "name lon lat ve vn vu se sn su", line)
        numbers = [_number(word, url, number, line) for word in words[3:]]
        _append(table, words[0], _position(words[1], words[2], url, number, line), numbers)
    return table


def _read_velo(url: str | os.PathLike[str], rows: Sequence[tuple[int, str]], frame: str) -> _Table:
    table = _Table("velo", None, frame)
    for number, line in rows:
        words = line.split()
        if len(words) != _VELO_COLUMNS:
            raise _bad_line(url, number, "lon lat ve vn se sn correlation name", line)
        east, north, east_std, north_std = (_number(word, url, number, line) for word in words[2:6])
        place = _position(words[0], words[1], url, number, line)
        _append(table, words[7], place, [east, north, np.nan, east_std, north_std, np.nan])
    return table


def _read_pbo(url: str | os.PathLike[str], rows: Sequence[tuple[int, str]], frame: str) -> _Table:
    """Read rows whose columns the line ``*Dot#`` names; they are counted from the right, as names may hold blanks."""
    table = _Table("PBO", "m/yr", frame)
    number, heading = rows[0]
    names = heading.split()
    wanted = ("Ref_Elong", "Ref_Nlat", "dE/dt", "dN/dt", "dU/dt", "SEd", "SNd", "SUd")
    if missing := [name for name in wanted if name not in names]:
        raise _bad_line(url, number, f"a heading that names {', '.join(missing)}", heading)
    at = [names.index(name) - len(names) for name in wanted]
    for number, line in rows[1:]:
        words = line.split()
        if len(words) < len(names):
            raise _bad_line(url, number, f"the {len(names)} columns of the heading", line)
        lon, lat, *numbers = (words[i] for i in at)
        place = _position(lon, lat, url, number, line)
        _append(table, words[0], place, [_number(word, url, number, line) for word in numbers])
    return table


def _read_named(url: str | os.PathLike[str], rows: Sequence[tuple[int, str]], frame: str) -> _Table:
    """Read a table by the names of its columns, which may stand in a comment."""
    first, at, separator = _heading(rows, url)
    number, heading = rows[first]
    if missing := [name for name in ("east", "north") if name not in at]:
        expected = f"a heading with columns lon, lat, east, north ({' and '.join(missing)} missing, or ve and vn)"
        raise _bad_line(url, number, expected, heading)
    comments = [line.lower() for _, line in rows[: first + 1]]
    said = {f"{found}/yr" for line in comments for found in _UNIT_TEXT.findall(line)}
    if len(said) > 1:
        raise _bad_line(url, number, f"one unit of velocity, not {' and '.join(sorted(said))}", heading)
    table = _Table("table", said.pop() if said else None, frame)
    for number, line in rows[first + 1 :]:
        if line[0] in "#%":
            continue
        words = _split(line, separator)
        if len(words) <= max(at.values()):
            raise _bad_line(url, number, f"{1 + max(at.values())} columns or more, as in the heading", line)
        numbers = [
            _number(words[at[name]], url, number, line) if name in at else np.nan for name in (*_VELOCITIES, *_SIGMAS)
        ]
        name = words[at["station"]] if "station" in at else f"{len(table.names) + 1:04d}"
        _append(table, name, _position(words[at["lon"]], words[at["lat"]], url, number, line), numbers)
    return table


def _heading(rows: Sequence[tuple[int, str]], url: str | os.PathLike[str]) -> tuple[int, dict[str, int], str]:
    """Find the line that names the columns, the last of the comments or the first after them, and what separates."""
    first = next(i for i, (_, line) in enumerate(rows) if line[0] not in "#%*")
    best: tuple[int, dict[str, int], str] = (first, {}, "")
    for i in range(first + 1):
        line = rows[i][1].lstrip("#%* ")
        separator = next((sign for sign in ",;" if sign in line), "")
        names = [_SPELLINGS.get(_bare(word), "") for word in _split(line, separator)]
        at = {name: k for k, name in reversed(list(enumerate(names))) if name}
        if len(at) >= len(best[1]) and ({"lon", "lat"} <= at.keys() or i == first):
            best = (i, at, separator)
    i, at, _ = best
    if len(at.keys() & {"lon", "lat"}) < 2:
        raise _bad_line(url, rows[first][0], _FORMATS, rows[first][1])
    return best


def _bare(word: str) -> str:
    """Column name in lower case without its unit and punctuation."""
    text = _UNIT_TEXT.sub("", re.sub(r"[(\[].*?[)\]]", "", word.lower()))
    return re.sub(r"[^a-z]+", "_", text).strip("_")


def _split(line: str, separator: str) -> list[str]:
    return [word.strip().strip('"') for word in (line.split(separator) if separator else line.split())]


def _is_number(word: str) -> bool:
    try:
        float(word)
    except ValueError:
        return word.lower() in _MISSING
    return True


def _number(word: str, url: str | os.PathLike[str], number: int, line: str) -> float:
    """Value of a cell; NaN where it says that there is none."""
    try:
        value = float("nan") if word.lower() in _MISSING else float(word)
    except ValueError as error:
        raise _bad_line(url, number, f"a number instead of {word!r}", line) from error
    if np.isinf(value):
        raise _bad_line(url, number, f"a finite number instead of {word!r}", line)
    return value


def _position(lon: str, lat: str, url: str | os.PathLike[str], number: int, line: str) -> tuple[float, float]:
    place = _number(lon, url, number, line), _number(lat, url, number, line)
    if not (-360 <= place[0] <= 360 and -90 <= place[1] <= 90):
        raise _bad_line(url, number, f"longitude and latitude in degrees, not {lon!r} and {lat!r}", line)
    return place


def _append(table: _Table, name: str, place: tuple[float, float] | None, numbers: list[float]) -> None:
    table.names.append(name)
    table.places.append(place)
    table.values.append(numbers)


def _bad_line(url: str | os.PathLike[str], number: int, expected: str, line: str) -> SourceFormatError:
    return SourceFormatError(f"{url}, line {number}: expected {expected}; got {line[:80]!r}")


def _unit_factor(table: _Table, units: str | None, url: str | os.PathLike[str]) -> float:
    if units is not None and units not in _UNITS:
        raise SourceFormatError(f"units must be one of {', '.join(_UNITS)}, got {units!r}")
    if units is not None and table.units is not None and table.kind != "CSI" and units != table.units:
        raise SourceFormatError(f"{url} is in {table.units}, but units={units!r} was asked for; leave out one of them")
    found = table.units if units is None else units
    if found is None:
        raise SourceFormatError(
            f"{url} does not say the unit of its velocities; give units='mm/yr' or 'm/yr', or write it in the heading"
        )
    table.units = found
    return _UNITS[found]


def _refuse_wrong_unit(values: np.ndarray, table: _Table, units: str | None, url: str | os.PathLike[str]) -> None:
    """Catch a unit that is a thousand times off, by what half of the stations move."""
    speed = np.hypot(values[:, 0], values[:, 1])
    if not np.isfinite(speed).any():
        raise SourceFormatError(f"{url} has no station with an east and a north velocity")
    typical = float(np.nanmedian(speed))
    if typical > _TOO_FAST:
        raise SourceFormatError(
            f"{url} would have stations that move {typical:.3g} m/yr if it is in {table.units}; say its unit by units="
        )
    if units is None and table.kind == "CSI" and 0 < typical < _TOO_SLOW * 1e-3:
        raise SourceFormatError(
            f"{url} would have stations that move {typical * 1e3:.3g} mm/yr if it is in mm/yr, as CSI files are; if "
            "so, say units='mm/yr', else 'm/yr'"
        )


def _place(table: _Table, url: str | os.PathLike[str], coordinates: str | os.PathLike[str] | None) -> None:
    """Take coordinates from another table; stations that it lacks are left out."""
    known = _read_places(coordinates if coordinates is not None else _companion(url))
    keep = [i for i, name in enumerate(table.names) if name in known]
    if not keep:
        raise SourceFormatError(f"no station of {url} has coordinates in {coordinates or _companion(url)}")
    if len(keep) < len(table.names):
        gone = [name for name in table.names if name not in known]
        _log.warning("%s: left out %d stations without coordinates: %s", url, len(gone), ", ".join(gone[:10]))
    table.places = [known[table.names[i]] for i in keep]
    table.values = [table.values[i] for i in keep]
    table.names = [table.names[i] for i in keep]


def _companion(url: str | os.PathLike[str]) -> str:
    """Table of coordinates beside a MIDAS table of the old layout."""
    folder, slash, name = os.fspath(url).rpartition("/")
    parts = name.split(".")
    beside = f"{folder}{slash}stations.{'.'.join(parts[2:-1])}.csv"
    if len(parts) >= 4 and parts[0] == "midas":
        fs, path = locate(beside)
        if fs.exists(path):
            return beside
    raise SourceFormatError(
        f"{url} is a MIDAS table without coordinates; give coordinates=, a table with columns station, lon, lat"
    )


def _read_places(url: str | os.PathLike[str]) -> dict[str, tuple[float, float]]:
    """Longitude and latitude of each station of a table with named columns."""
    rows = [
        (number, line.strip()) for number, line in enumerate(read_text(url, _FORMATS).splitlines(), 1) if line.strip()
    ]
    if all(line[0] in "#%*" for _, line in rows):
        raise SourceFormatError(f"{url} has no station; expected a table with columns station, lon, lat")
    first, at, separator = _heading(rows, url)
    if "station" not in at:
        raise _bad_line(url, rows[first][0], "a heading with columns station, lon, lat", rows[first][1])
    last = max(at[name] for name in ("station", "lon", "lat"))
    places = {}
    for number, line in rows[first + 1 :]:
        words = _split(line, separator)
        if len(words) <= last:
            raise _bad_line(url, number, f"{last + 1} columns or more, as in the heading", line)
        places[words[at["station"]]] = _position(words[at["lon"]], words[at["lat"]], url, number, line)
    return places


def _unique(names: Sequence[str], lon: np.ndarray, lat: np.ndarray, values: np.ndarray) -> np.ndarray:
    """Rows to keep, in order: one of each name and of each place, that with the smallest horizontal sigma."""
    sigma = np.nan_to_num(np.hypot(values[:, 3], values[:, 4]), nan=np.inf)
    order = sorted(range(len(names)), key=lambda i: (sigma[i], -i))  # the best first, of equal ones the last
    cells = np.rint(np.column_stack([lon % 360, lat]) / _SAME_PLACE).astype(int)
    places = [(int(x), int(y)) for x, y in cells]
    seen_names: set[str] = set()
    seen_places: set[tuple[int, int]] = set()
    keep = []
    for i in order:
        if names[i] not in seen_names and places[i] not in seen_places:
            keep.append(i)
        seen_names.add(names[i])
        seen_places.add(places[i])
    return np.array(sorted(keep))


def _frame(given: str | None, table: _Table, url: str | os.PathLike[str]) -> str:
    """Reference frame by argument, content, or name of the file."""
    if given is not None:
        return given
    if table.frame:
        return table.frame
    name = os.fspath(url).rpartition("/")[2]
    parts = name.split(".")
    if table.kind == "MIDAS" and len(parts) > 2 and parts[0].lower() == "midas":
        return parts[1]
    found = _FRAME_TEXT.search(name)
    return re.sub("^IGB", "IGb", found[1].upper()) if found else ""
