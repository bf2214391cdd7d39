"""Read tables of observed points, for searches: text with a heading, Parquet, or MimtPy's JSON."""

import json
import os
import re
from collections.abc import Iterable
from typing import Any

import numpy as np
import xarray as xr

from mimtpy_cloud.errors import SourceFormatError
from mimtpy_cloud.io.mimtpyjson import read_points_json
from mimtpy_cloud.io.parquet import read_parquet
from mimtpy_cloud.io.text import bad_line, read_text
from mimtpy_cloud.io.units import Unit, is_unit, parse_unit
from mimtpy_cloud.kernels.look import los_unit_vector
from mimtpy_cloud.schema import LOS, VARIABLES

__all__ = ["read_points", "read_sites"]

#: Our name of a column -> how tables write it, in lower case.
_SPELLINGS = {
    "lon": ("lon", "long", "longitude"),
    "lat": ("lat", "latitude"),
    "displacement": ("displacement", "disp", "los", "los_displacement", "value"),
    "velocity": ("velocity", "vel", "los_velocity", "rate"),
    "std": ("std", "sigma", "displacement_std", "velocity_std", "los_std"),
    "weight": ("weight", "weights"),
    "incidence_angle": ("incidence_angle", "incidence", "inc", "incidenceangle"),
    "los_azimuth_angle": ("los_azimuth_angle", "los_azimuth", "azimuth", "azi", "az", "azimuthangle"),
    **{name: (name,) for name in LOS},
    "station": ("station", "name", "site"),
}
_NAMES = {spelling: name for name, spellings in _SPELLINGS.items() for spelling in spellings}
_ANGLES = ("incidence_angle", "los_azimuth_angle")
#: Edges of the cells that leaves of a quadtree are, and what else is kept of such.
_EDGES, _OF_CELLS = ("west", "south", "east", "north"), ("count", "size")
_VALUES = ("displacement", "velocity")
#: Attributes that a Parquet file keeps, and what they are.
_FACTS: dict[str, type] = {"start_date": str, "end_date": str, "wavelength": float}
#: Columns whose name does not tell whether they are a displacement or a velocity: their unit does.
_EITHER = ("los", "value")
_DEGREES = re.compile(r"(°|deg|degrees?)[\s_]*(e|n|east|north)?")
_BRACKETS = re.compile(r"(.*?)\s*[\[({](.*)[\])}]")
#: Unit of a weight: one over the square of a unit.
_WEIGHT = re.compile(r"(?:1\s*/\s*\(?(?P<under>.+?)\)?\s*(?:\^|\*\*)?[2²]|\(?(?P<power>.+?)\)?\s*(?:\^|\*\*)?-2)")
_EXPECTED = "a table whose heading names lon, lat and displacement or velocity"


def read_points(
    url: str | os.PathLike[str], angles: str | os.PathLike[str] | None = None, *, units: str | None = None
) -> xr.Dataset:
    """
    Read observed points.

    Parameters
    ----------
    url : str or path
        Local path or any fsspec URL of a text (commas, semicolons or blanks) whose first line names its columns, a
        ``.parquet``, or a ``points_disp.json`` of MimtPy. Columns: lon, lat, displacement or velocity, and optionally
        std or weight, and the look as los_east, los_north, los_up or incidence_angle and azimuth (degrees; the azimuth
        anticlockwise from north, ground to satellite); of the leaves of a quadtree west, south, east, north (degrees),
        count and size. Others are left out. A heading may say the unit of its column:
        ``velocity [mm/yr]``, ``los(mm)``, ``disp_cm``.
    angles : str or path, optional
        ``points_angle.json`` beside a ``points_disp.json``.
    units : str, optional
        Unit of displacement or velocity where the file does not say: ``m``, ``cm``, ``mm``, ``m/yr``, ``cm/yr`` or
        ``mm/yr``. By default m or m/yr.

    Returns
    -------
    xr.Dataset
        Dimension `point`: `lon`, `lat`, `displacement` (m) or `velocity` (m/yr), and if there `std` in the same unit,
        or `weight`, one over the variance in the square of that unit, and `los_east, los_north, los_up`; of leaves
        their edges, `count` and `size`; float64, NaN without data. Positive toward the satellite. Attributes
        ``start_date, end_date, wavelength`` (m) of a ``.parquet`` that has them in its metadata, as ours do.

    Raises
    ------
    StorageError
        If there is no such file.
    SourceFormatError
        If a column is missing or comes twice, std and weight are both there, a unit is unknown or does not fit, a cell
        is no number, a place is none, or a look vector has not the length one.

    See Also
    --------
    mimtpy_cloud.io.mimtpyjson.read_points_json : MimtPy's files only.

    Notes
    -----
    A std or a weight whose heading says no unit has that of the displacement or velocity: of values in mm, a weight of
    0.25 is that of a standard deviation of 2 mm, and becomes 0.25e6. A column `los` or `value` whose unit is one of
    length in a year is a velocity, else a displacement.

    Examples
    --------
    >>> import tempfile, pathlib
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     file = pathlib.Path(folder, "points.csv")
    ...     _ = file.write_text("lon,lat,velocity [mm/yr],incidence,azimuth\\n30.1,40.2,12,39,102\\n")
    ...     points = read_points(file)
    >>> points["velocity"].values.tolist(), points["los_up"].values.round(4).tolist()
    ([0.012], [0.7771])
    """
    text = os.fspath(url)
    if text.lower().endswith(".json"):
        ds = read_points_json(url, angles)
        unit = parse_unit(units or "m", text)
        if unit.rate:
            raise SourceFormatError(f"{text} holds a displacement; expected its unit as m, cm or mm, got {units!r}")
        return ds.assign(displacement=(ds["displacement"] * unit.metres).assign_attrs(ds["displacement"].attrs))
    if angles is not None:
        raise SourceFormatError(f"a file of angles goes with a points_disp.json, got {text}; add columns to the table")
    facts: dict[str, Any] = {}
    if text.lower().endswith((".parquet", ".pq")):
        table = read_parquet(text)
        columns, said = _parquet_columns(table, text, units)
        facts = _parquet_facts(table)
    else:
        columns, said = _read_table(text, units)
    return _points(_in_metres(columns, said, text), text).assign_attrs(facts, source=text)


def read_sites(url: str | os.PathLike[str]) -> xr.Dataset:
    """
    Read where stations are, and how a satellite sees them.

    Parameters
    ----------
    url : str or path
        Local path or any fsspec URL of a text as for `read_points`, with the columns station, lon, lat, and optionally
        the look.

    Returns
    -------
    xr.Dataset
        Dimension `station` with names: `lon`, `lat`, and if there `los_east, los_north, los_up`; float64.

    Raises
    ------
    StorageError
        If there is no such file.
    SourceFormatError
        If a column is missing or comes twice, a station comes twice, a cell is no number, a place is none, or a look
        vector has not the length one.

    See Also
    --------
    read_points : Points with what is observed there.
    """
    text = os.fspath(url)
    columns, _ = _read_table(text, None)
    if missing := [name for name in ("station", "lon", "lat") if name not in columns]:
        raise SourceFormatError(f"{text}: expected columns station, lon, lat; {', '.join(missing)} is missing")
    names = columns["station"].tolist()
    if len(set(names)) < len(names):
        raise SourceFormatError(f"{text}: expected each station once; {max(names, key=names.count)} comes more often")
    _check_places(columns, text)
    data: dict[str, Any] = {name: ("station", v, VARIABLES[name].attrs) for name, v in _look(columns, text).items()}
    return xr.Dataset(data, {"station": names} | _coordinates(columns, "station"), {"source": text})


def _read_table(url: str, units: str | None) -> tuple[dict[str, np.ndarray], dict[str, str]]:
    """Columns that we know of a text, and the units that are said of them."""
    rows = [(n, line.strip()) for n, line in enumerate(read_text(url, _EXPECTED).splitlines(), 1) if line.strip()]
    if not rows:
        raise bad_line(url, 1, _EXPECTED, "an empty file")
    first = rows[0][1].lstrip("# ")
    separator = next((mark for mark in ",;" if mark in first), None)
    if separator is None:  # blanks before and within brackets do not separate
        first = re.sub(r"\s*([\[({][^\])}]*[\])}])", lambda found: "".join(found[1].split()), first)
    names, said = _headings(first.split(separator), units, url)
    columns: dict[str, list[Any]] = {name: [] for name in names if name is not None}
    for number, line in rows[1:]:
        if line.startswith("#"):
            continue
        cells = [cell.strip() for cell in line.split(separator)]
        if len(cells) != len(names):
            raise bad_line(url, number, f"{len(names)} columns as in the heading", line)
        for name, cell in zip(names, cells, strict=True):
            if name is not None:
                columns[name].append(cell if name == "station" else _number(cell, name, number, url))
    return {name: np.array(column) for name, column in columns.items()}, said


def _headings(cells: Iterable[str], units: str | None, url: str) -> tuple[list[str | None], dict[str, str]]:
    """Our name of each column, None of those that we do not know, and the units of some."""
    names: list[str | None] = []
    said: dict[str, str] = {}
    split = [(cell, *_split_heading(cell.strip().lower())) for cell in cells]
    in_degrees = {spelling for _, spelling, unit in split if _DEGREES.fullmatch(unit)}
    known = _NAMES | ({name: name for name in (*_EDGES, *_OF_CELLS)} if in_degrees.issuperset(_EDGES) else {})
    for cell, spelling, bracketed in split:
        name, unit = known.get(spelling), bracketed
        if name in _VALUES:
            unit = _one_unit(unit, units, f"{url}: {cell.strip()}")
            if spelling in _EITHER and unit and parse_unit(unit, f"{url}: {spelling}").rate:
                name = "velocity"
        names.append(name)
        if name is not None and unit:
            said[name] = unit
    twice = sorted({name for name in names if name is not None and names.count(name) > 1})
    if twice:
        raise SourceFormatError(
            f"{url}: expected one column for {twice[0]}, got {names.count(twice[0])}; drop the others"
        )
    _check_angular(said, url)
    return names, said


def _split_heading(text: str) -> tuple[str, str]:
    """Name and unit: ``velocity [mm/yr]``, ``velocity_mm_yr``."""
    if found := _BRACKETS.fullmatch(text):
        return found[1], found[2].strip()
    for spelling in () if text in _NAMES else sorted(_NAMES, key=len, reverse=True):
        rest = text.removeprefix(spelling)
        if rest != text and rest[:1] in tuple("_. ") and is_unit(rest[1:]):
            return spelling, rest[1:]
    return text, ""


def _one_unit(said: str, given: str | None, what: str) -> str:
    """The unit of a heading, or that which is given."""
    if said and given and parse_unit(said, what) != parse_unit(given, "units"):
        raise SourceFormatError(f"{what} says its unit, which is not {given}; leave the option of units out")
    return said or given or ""


def _check_angular(said: dict[str, str], url: str) -> None:
    """Refuse places and angles that are not in degrees, and look vectors with a unit."""
    for name in ("lon", "lat", *_ANGLES):
        if name in said and not _DEGREES.fullmatch(said[name]):
            raise SourceFormatError(f"{url}: expected {name} in degrees, got {said[name]!r}")
    for name in LOS:
        if said.get(name, "1") not in ("1", "-"):
            raise SourceFormatError(f"{url}: expected {name} of a unit vector, without a unit, got {said[name]!r}")


def _in_metres(columns: dict[str, np.ndarray], said: dict[str, str], url: str) -> dict[str, np.ndarray]:
    """Columns with displacement or velocity, std and weight in m, m/yr, and one over the square of that."""
    if {"std", "weight"} <= columns.keys():
        raise SourceFormatError(f"{url}: expected std or weight, which is 1/std^2, got both; drop one")
    value = next((name for name in _VALUES if name in columns), None)
    if value is None:
        return columns
    default = "m/yr" if value == "velocity" else "m"
    unit = _fitting(said.get(value, default), value, value, url)
    scaled = {value: columns[value] * unit.metres}
    if "std" in columns:
        own = _fitting(said["std"], "std", value, url) if "std" in said else unit
        scaled["std"] = columns["std"] * own.metres
    if "weight" in columns:
        own = _fitting(_squared(said["weight"], url), "weight", value, url) if "weight" in said else unit
        scaled["weight"] = columns["weight"] / own.metres**2
    return columns | scaled


def _fitting(text: str, name: str, value: str, url: str) -> Unit:
    """Unit of a column that goes with a displacement or a velocity."""
    unit = parse_unit(text, f"{url}: {name}")
    if unit.rate != (value == "velocity"):
        wanted = "m/yr, cm/yr or mm/yr" if value == "velocity" else "m, cm or mm"
        of = "" if name == value else f" of a {value}"
        raise SourceFormatError(f"{url}: {name}{of} needs a unit of {wanted}, got {text!r}; name the column as it is")
    return unit


def _squared(text: str, url: str) -> str:
    """The unit of which a weight has one over the square."""
    found = _WEIGHT.fullmatch(text)
    if found is None:
        raise SourceFormatError(f"{url}: expected weight in one over the square of a unit, as 1/mm^2, got {text!r}")
    return found["under"] or found["power"]


def _number(cell: str, name: str, number: int, url: str) -> float:
    try:
        return float(cell or "nan")
    except ValueError:
        raise bad_line(url, number, f"a number for {name}", cell) from None


def _parquet_columns(table: Any, url: str, units: str | None) -> tuple[dict[str, np.ndarray], dict[str, str]]:
    """Columns that we know of a Parquet file, and the units that are said of them."""
    names, said = _headings(map(str, table.column_names), units, url)
    found = {}
    for name, column in zip(names, table.columns, strict=True):
        if name not in (None, "station"):
            try:
                found[name] = np.asarray(column.to_numpy(), np.float64)
            except (TypeError, ValueError):
                raise SourceFormatError(f"{url}: expected numbers in the column of {name}, got {column.type}") from None
    return found, said


def _parquet_facts(table: Any) -> dict[str, Any]:
    """Dates and wavelength of a Parquet file that `write_points` of our exports wrote."""
    try:
        attributes = json.loads((table.schema.metadata or {}).get(b"attributes", b"{}"))
    except ValueError:
        return {}
    if not isinstance(attributes, dict):
        return {}
    return {name: attributes[name] for name, kind in _FACTS.items() if isinstance(attributes.get(name), kind)}


def _points(columns: dict[str, np.ndarray], url: str) -> xr.Dataset:
    """Points from checked columns."""
    values = [name for name in _VALUES if name in columns]
    missing = [name for name in ("lon", "lat") if name not in columns]
    if missing or len(values) != 1:
        lacks = ", ".join(missing) or (
            "displacement or velocity" if not values else "only one of displacement, velocity"
        )
        raise SourceFormatError(
            f"{url}: expected {_EXPECTED}; it needs {lacks}, and has {', '.join(columns) or 'none'}"
        )
    _check_places(columns, url)
    unit = VARIABLES[values[0]].units
    data: dict[str, Any] = {values[0]: ("point", columns[values[0]], VARIABLES[values[0]].attrs)}
    data |= {
        name: ("point", columns[name], {"units": u})
        for name, u in (("std", unit), ("weight", f"({unit})^-2"))
        if name in columns
    }
    data |= {name: ("point", columns[name], {"units": "degrees"}) for name in _EDGES if name in columns}
    data |= {name: ("point", columns[name], {"units": "1"}) for name in _OF_CELLS if name in columns}
    look = _look(columns, url)
    data |= {name: ("point", vector, VARIABLES[name].attrs) for name, vector in look.items()}
    return xr.Dataset(data, _coordinates(columns, "point"))


def _check_places(columns: dict[str, np.ndarray], url: str) -> None:
    lon, lat = columns["lon"], columns["lat"]
    if lon.size == 0 or not (np.abs(lon) <= 360).all() or not (np.abs(lat) <= 90).all():
        raise SourceFormatError(f"{url}: expected points with longitudes to 360 and latitudes to 90 degrees")


def _coordinates(columns: dict[str, np.ndarray], dim: str) -> dict[str, Any]:
    return {
        "lon": (dim, columns["lon"], {"units": "degrees_east"}),
        "lat": (dim, columns["lat"], {"units": "degrees_north"}),
    }


def _look(columns: dict[str, np.ndarray], url: str) -> dict[str, np.ndarray]:
    """Look vectors, if the columns have them."""
    for names in (LOS, _ANGLES):
        has = [name for name in names if name in columns]
        if has and len(has) < len(names):
            raise SourceFormatError(f"{url}: a look needs {', '.join(names)}; it has only {', '.join(has)}")
    if LOS[0] in columns:
        length = np.sqrt(sum(columns[name] ** 2 for name in LOS))
        if (np.abs(length - 1) > 1e-2).any():
            raise SourceFormatError(
                f"{url}: expected look vectors of length one, got {length[np.abs(length - 1) > 1e-2][0]:g}"
            )
        return {name: columns[name] for name in LOS}
    if _ANGLES[0] not in columns:
        return {}
    return dict(zip(LOS, los_unit_vector(*(columns[name] for name in _ANGLES)), strict=True))
