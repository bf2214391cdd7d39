"""Read tables of observed points, for searches: text with a heading, Parquet, or MimtPy's JSON."""

import os
import re
from typing import Any

import numpy as np
import xarray as xr

from mimtpy_cloud.errors import SourceFormatError, StorageError
from mimtpy_cloud.io.mimtpyjson import read_points_json
from mimtpy_cloud.io.text import bad_line, read_text
from mimtpy_cloud.kernels.look import los_unit_vector
from mimtpy_cloud.location import locate, reaching
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
_EXPECTED = "a table whose heading names lon, lat and displacement or velocity"


def read_points(url: str | os.PathLike[str], angles: str | os.PathLike[str] | None = None) -> xr.Dataset:
    """
    Read observed points.

    Parameters
    ----------
    url : str or path
        Local path or any fsspec URL of a text (commas, semicolons or blanks) whose first line names its columns, a
        ``.parquet``, or a ``points_disp.json`` of MimtPy. Columns: lon, lat, displacement (m) or velocity (m/yr), and
        optionally std, weight, and the look as los_east, los_north, los_up or incidence_angle and azimuth (degrees; the
        azimuth anticlockwise from north, ground to satellite). Others are left out.
    angles : str or path, optional
        ``points_angle.json`` beside a ``points_disp.json``.

    Returns
    -------
    xr.Dataset
        Dimension `point`: `lon`, `lat`, `displacement` or `velocity`, and if there `std`, `weight`, and `los_east,
        los_north, los_up`; float64, NaN without data. Positive toward the satellite.

    Raises
    ------
    StorageError
        If there is no such file.
    SourceFormatError
        If a column is missing or comes twice, a cell is no number, a place is none, or a look vector has not the length
        one.

    See Also
    --------
    mimtpy_cloud.io.mimtpyjson.read_points_json : MimtPy's files only.

    Examples
    --------
    >>> import tempfile, pathlib
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     file = pathlib.Path(folder, "points.csv")
    ...     _ = file.write_text("lon,lat,velocity,incidence,azimuth\\n30.1,40.2,0.012,39,102\\n")
    ...     points = read_points(file)
    >>> points["velocity"].values.tolist(), points["los_up"].values.round(4).tolist()
    ([0.012], [0.7771])
    """
    text = os.fspath(url)
    if text.lower().endswith(".json"):
        return read_points_json(url, angles)
    if angles is not None:
        raise SourceFormatError(f"a file of angles goes with a points_disp.json, got {text}; add columns to the table")
    columns = _read_parquet(text) if text.lower().endswith((".parquet", ".pq")) else _read_table(text)
    return _points(columns, text).assign_attrs(source=text)


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
    columns = _read_table(text)
    if missing := [name for name in ("station", "lon", "lat") if name not in columns]:
        raise SourceFormatError(f"{text}: expected columns station, lon, lat; {', '.join(missing)} is missing")
    names = columns["station"].tolist()
    if len(set(names)) < len(names):
        raise SourceFormatError(f"{text}: expected each station once; {max(names, key=names.count)} comes more often")
    _check_places(columns, text)
    data: dict[str, Any] = {name: ("station", v, VARIABLES[name].attrs) for name, v in _look(columns, text).items()}
    return xr.Dataset(data, {"station": names} | _coordinates(columns, "station"), {"source": text})


def _read_table(url: str) -> dict[str, np.ndarray]:
    """Columns that we know of a text."""
    rows = [(n, line.strip()) for n, line in enumerate(read_text(url, _EXPECTED).splitlines(), 1) if line.strip()]
    if not rows:
        raise bad_line(url, 1, _EXPECTED, "an empty file")
    first = rows[0][1].lstrip("# ")
    separator = next((mark for mark in ",;" if mark in first), None)
    names = [_NAMES.get(re.sub(r"[\[(].*", "", cell).strip().lower()) for cell in first.split(separator)]
    columns: dict[str, list[Any]] = {name: [] for name in names if name is not None}
    _require_once(names, url)
    for number, line in rows[1:]:
        if line.startswith("#"):
            continue
        cells = [cell.strip() for cell in line.split(separator)]
        if len(cells) != len(names):
            raise bad_line(url, number, f"{len(names)} columns as in the heading", line)
        for name, cell in zip(names, cells, strict=True):
            if name is not None:
                columns[name].append(cell if name == "station" else _number(cell, name, number, url))
    return {name: np.array(column) for name, column in columns.items()}


def _number(cell: str, name: str, number: int, url: str) -> float:
    try:
        return float(cell or "nan")
    except ValueError:
        raise bad_line(url, number, f"a number for {name}", cell) from None


def _require_once(names: list[str | None], url: str) -> None:
    twice = sorted({name for name in names if name is not None and names.count(name) > 1})
    if twice:
        raise SourceFormatError(
            f"{url}: expected one column for {twice[0]}, got {names.count(twice[0])}; drop the others"
        )


def _read_parquet(url: str) -> dict[str, np.ndarray]:
    """Columns that we know of a Parquet file."""
    try:
        import pyarrow as pa  # type: ignore[import-untyped]
        import pyarrow.parquet as pq  # type: ignore[import-untyped]
    except ImportError as error:
        raise SourceFormatError(f"{url} needs pyarrow, which is not installed; write the table as .csv") from error
    fs, path = locate(url)
    try:
        with reaching(url), fs.open(path, "rb") as file:
            table = pq.read_table(file)
    except FileNotFoundError as error:
        raise StorageError(f"no such file: {url}") from error
    except pa.ArrowException as error:
        raise SourceFormatError(f"{url} is no whole Parquet file ({error}); write it again") from error
    names = [_NAMES.get(str(name).lower()) for name in table.column_names]
    _require_once(names, url)
    found = {}
    for name, column in zip(names, table.columns, strict=True):
        if name not in (None, "station"):
            try:
                found[name] = np.asarray(column.to_numpy(), np.float64)
            except (TypeError, ValueError):
                raise SourceFormatError(f"{url}: expected numbers in the column of {name}, got {column.type}") from None
    return found


def _points(columns: dict[str, np.ndarray], url: str) -> xr.Dataset:
    """Points from checked columns."""
    values = [name for name in ("displacement", "velocity") if name in columns]
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
        name: ("point", columns[name], {"units": u}) for name, u in (("std", unit), ("weight", "1")) if name in columns
    }
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
