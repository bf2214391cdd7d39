"""Read what RELAX writes, and the observations it is compared with: series at points, grids, tables of GPS stations."""

import io
import os
from dataclasses import dataclass
from typing import Any

import numpy as np
import xarray as xr

from mimtpy_cloud.errors import SourceFormatError, StorageError
from mimtpy_cloud.io.text import bad_line, read_text
from mimtpy_cloud.io.units import METRES
from mimtpy_cloud.location import locate, reaching

__all__ = ["PointSeries", "read_gps_table", "read_output_times", "read_relax_grid", "read_relax_series"]

_SERIES = "years and displacement to north, east and down (t u1 u2 u3), in order of time"
_GPS = {
    3: "station, east and north in km",
    7: "years, north, east and up in m, and their sigmas",
    9: "station, east and north in km, east, north and up in m, and their sigmas",
}


@dataclass(frozen=True, eq=False)
class PointSeries:
    """
    Displacement of a point over time.

    Parameters
    ----------
    time : np.ndarray
        Years after the start of the run, ascending, shape ``(time,)``.
    east, north, up : np.ndarray
        Metres, shape ``(time,)``.
    """

    time: np.ndarray
    east: np.ndarray
    north: np.ndarray
    up: np.ndarray


def read_relax_series(url: str | os.PathLike[str], *, unit: str = "m") -> PointSeries:
    """
    Read the displacement of a point.

    Parameters
    ----------
    url : str or path
        Local path or any fsspec URL of a text with the columns t, u1 (north), u2 (east) and u3 (down), with a heading
        or without; stress, which may follow, is left out.
    unit : {"m", "cm", "mm"}
        Of the displacement.

    Returns
    -------
    PointSeries
        Up is the opposite of u3.

    Raises
    ------
    StorageError
        If there is no such file.
    SourceFormatError
        If a line has other columns, time does not ascend, there is no line, or the unit is unknown.

    See Also
    --------
    mimtpy_cloud.relax.open_output : All runs and points at once.

    Examples
    --------
    >>> import tempfile, pathlib
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     file = pathlib.Path(folder, "P066-relax.txt")
    ...     _ = file.write_text("# t u1 u2 u3\\n0 0 0 0\\n1 0.01 -0.02 0.003\\n")
    ...     series = read_relax_series(file)
    >>> float(series.north[-1]), float(series.east[-1]), float(series.up[-1])
    (0.01, -0.02, -0.003)
    """
    if unit not in METRES:
        raise SourceFormatError(f"unknown unit {unit!r} of a displacement; expected one of {', '.join(METRES)}")
    text = read_text(url, _SERIES)
    rows = [
        (number, line) for number, line in enumerate(text.splitlines(), 1) if line.strip() and line.lstrip()[0] != "#"
    ]
    width = len(rows[0][1].split()) if rows else 0
    if width < 4:
        raise bad_line(url, *(rows[0][:1] if rows else (1,)), _SERIES, rows[0][1] if rows else "no line with data")
    values = _numbers(url, rows, width)
    later = np.diff(values[:, 0]) > 0
    if not later.all():
        number, line = rows[int(np.argmin(later)) + 1]
        raise bad_line(url, number, "a time after that of the line before", line)
    north, east, down = values[:, 1:4].T * METRES[unit]
    return PointSeries(values[:, 0], east, north, -down)


def _numbers(url: str | os.PathLike[str], rows: list[tuple[int, str]], width: int) -> np.ndarray:
    """Rows of finite numbers."""
    words = [line.split() for _, line in rows]
    try:
        values = np.array(words, float)
    except ValueError:
        values = np.empty((0, 0))
    if values.shape == (len(rows), width) and np.isfinite(values).all():
        return values
    wrong = (row for row, cells in zip(rows, words, strict=True) if len(cells) != width or not _finite(cells))
    number, line = next(wrong)
    raise bad_line(url, number, f"{width} numbers: {_SERIES}", line)


def _finite(words: list[str]) -> bool:
    try:
        return bool(np.isfinite([float(word) for word in words]).all())
    except ValueError:
        return False


def read_output_times(url: str | os.PathLike[str]) -> np.ndarray:
    """
    Read when a run wrote its grids.

    Parameters
    ----------
    url : str or path
        ``time.txt`` of the run: a line for each output, of which the first number counts.

    Returns
    -------
    np.ndarray
        Years of the outputs 0, 1, ..., shape ``(output,)``.

    Raises
    ------
    StorageError
        If there is no such file.
    SourceFormatError
        If a line has no number.
    """
    expected = "the time of an output"
    found = []
    for number, line in enumerate(read_text(url, expected).splitlines(), 1):
        if line.strip() and not line.lstrip().startswith("#"):
            if not _finite(line.split()[:1]):
                raise bad_line(url, number, expected, line)
            found.append(float(line.split()[0]))
    return np.array(found)


def read_gps_table(url: str | os.PathLike[str]) -> xr.Dataset:
    """
    Read a table of GPS stations, as those that come with the examples of RELAX.

    Parameters
    ----------
    url : str or path
        Local path or any fsspec URL. The number of columns decides: 3 are station, east and north in km; 9 are these
        and the displacement to east, north and up in m with its sigmas; 7 are a series of one station, of years, the
        displacement to north, east and up in m and its sigmas.

    Returns
    -------
    xr.Dataset
        Dimension `station`, coordinates `east_km` and `north_km`; or dimension `time` (yr). `east`, `north`, `up` and
        `east_std`, `north_std`, `up_std` in m, float64, if there are any. Names are upper case.

    Raises
    ------
    StorageError
        If there is no such file.
    SourceFormatError
        If it is none of these, or a line is malformed.
    """
    expected = "a table of " + ", or of ".join(_GPS.values())
    lines = enumerate(read_text(url, expected).splitlines(), 1)
    rows = [(number, line) for number, line in lines if line.strip() and not line.lstrip().startswith("#")]
    width = len(rows[0][1].split()) if rows else 0
    if width not in _GPS:
        raise bad_line(url, rows[0][0] if rows else 1, expected, rows[0][1] if rows else "no line with data")
    named = width != 7
    for number, line in rows:
        if len(line.split()) != width or not _finite(line.split()[named:]):
            raise bad_line(url, number, _GPS[width], line)
    values = np.array([[float(word) for word in line.split()[named:]] for _, line in rows]).T
    if not named:
        names = ("north", "east", "up", "north_std", "east_std", "up_std")
        return _labelled(
            "time", dict(zip(names, values[1:], strict=True)), {"time": ("time", values[0], {"units": "yr"})}
        )
    coords: dict[str, Any] = {
        "station": ("station", np.array([line.split()[0].upper() for _, line in rows])),
        "east_km": ("station", values[0], {"units": "km"}),
        "north_km": ("station", values[1], {"units": "km"}),
    }
    names = ("east", "north", "up", "east_std", "north_std", "up_std")
    return _labelled("station", dict(zip(names, values[2:], strict=False)), coords)


def _labelled(dim: str, values: dict[str, np.ndarray], coords: dict[str, Any]) -> xr.Dataset:
    return xr.Dataset({name: (dim, value, {"units": "m"}) for name, value in values.items()}, coords)


def read_relax_grid(url: str | os.PathLike[str]) -> xr.DataArray:
    """
    Read a grid of RELAX or GMT.

    Parameters
    ----------
    url : str or path
        Local path or any fsspec URL of a netCDF file with the variable ``z``, netCDF 3 or 4, in GMT's layout of two
        dimensions or in its old one of one dimension.

    Returns
    -------
    xr.DataArray
        Dimensions `y` (north to south) and `x` (west to east), in the units of the file; float64, NaN without data.

    Raises
    ------
    StorageError
        If there is no such file.
    SourceFormatError
        If it is no netCDF grid, or damaged.

    See Also
    --------
    mimtpy_cloud.relax.open_grids : Grids of all runs.
    """
    fs, path = locate(url)
    try:
        with reaching(url), fs.open(path, "rb") as file:
            data = file.read()
    except FileNotFoundError as error:
        raise StorageError(f"no such file: {os.fspath(url)}") from error
    except OSError as error:
        raise StorageError(f"cannot read {os.fspath(url)}: {error}") from error
    try:
        found = _open(data)
        z, y, x = _old_layout(found) if "x_range" in found else _layout(found)
    except (OSError, ValueError, TypeError, KeyError, IndexError, AssertionError) as error:
        raise SourceFormatError(
            f"{os.fspath(url)} is no whole netCDF grid with z, x and y ({error}); write it again, or convert it by "
            "gmt grdconvert"
        ) from error
    rows, columns = np.argsort(-y), np.argsort(x)
    coords = {"y": y[rows], "x": x[columns]}
    return xr.DataArray(z[np.ix_(rows, columns)], coords, ("y", "x"), name="z")


#: Raw values and attributes of variables by name.
type _Variables = dict[str, tuple[np.ndarray, dict[str, Any]]]


def _open(data: bytes) -> _Variables:
    """Variables of a netCDF file."""
    if data[:4] == b"\x89HDF":
        import h5py

        with h5py.File(io.BytesIO(data), "r") as file:
            return {name: (v[()], dict(v.attrs)) for name, v in file.items() if isinstance(v, h5py.Dataset)}
    from scipy.io import netcdf_file

    with netcdf_file(io.BytesIO(data), "r", mmap=False) as file:
        return {name: (v[:].copy(), dict(v._attributes)) for name, v in file.variables.items()}


def _values(found: _Variables, name: str) -> np.ndarray:
    """Values of a variable, with its scale, offset and missing values."""
    raw, attrs = found[name]
    value = np.asarray(raw, np.float64)
    for mark in ("_FillValue", "missing_value"):
        if mark in attrs:
            value = np.where(np.asarray(raw) == np.ravel(attrs[mark])[0], np.nan, value)
    return np.asarray(value * _attribute(attrs, "scale_factor", 1.0) + _attribute(attrs, "add_offset", 0.0))


def _attribute(attrs: dict[str, Any], name: str, default: float) -> float:
    return float(np.ravel(attrs.get(name, default))[0])


def _layout(found: _Variables) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """z, y and x of two dimensions."""
    names = ("z", "y" if "y" in found else "lat", "x" if "x" in found else "lon")
    if any(name not in found for name in names):
        raise ValueError("a variable is missing")
    z, y, x = (_values(found, name) for name in names)
    if z.shape != (y.size, x.size) or min(z.shape) == 0:
        raise ValueError(f"z has the shape {z.shape}, y and x have {y.size} and {x.size} values")
    return z, y, x


def _old_layout(found: _Variables) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """z, y and x of one dimension, whose rows go from north to south; ranges are of nodes, or of edges."""
    (west, east), (south, north), (nx, ny) = (_values(found, name) for name in ("x_range", "y_range", "dimension"))
    edge = 0.5 if _attribute(found["z"][1], "node_offset", 0.0) == 1 else 0.0
    width, height = edge * (east - west) / nx, edge * (north - south) / ny
    x = np.linspace(west + width, east - width, int(nx))
    y = np.linspace(north - height, south + height, int(ny))
    return _values(found, "z").reshape(int(ny), int(nx)), y, x
