"""Read the table of a quadtree that CSI writes: NAME.txt, with the cells in NAME.rsp."""

import os
import re
from typing import Any

import numpy as np
import xarray as xr

from mimtpy_cloud.errors import SourceFormatError
from mimtpy_cloud.io.text import bad_line, read_text
from mimtpy_cloud.io.units import Unit, parse_unit
from mimtpy_cloud.location import locate, reaching
from mimtpy_cloud.schema import LOS, VARIABLES

__all__ = ["open_varres"]

_EXPECTED = "a table of CSI: two lines of title, then Number xind yind east north data err wgt Elos Nlos Ulos"
_CELLS = "the cells of CSI: two lines of title, then xind yind, upper left and lower right in pixels and in degrees"


def open_varres(url: str | os.PathLike[str], *, units: str | None = None) -> xr.Dataset:
    """
    Read a quadtree of CSI.

    Parameters
    ----------
    url : str or path
        Local path or any fsspec URL of the ``.txt``; a ``.rsp`` of the same name tells the cells.
    units : str, optional
        Unit of the values, such as ``"mm/yr"``; the files of others do not say, ours do.

    Returns
    -------
    xr.Dataset
        Dimension `point`: `lon`, `lat` (degrees), `displacement` (m) or `velocity` (m/yr), positive toward the
        satellite, `std` in the same unit, `count` (pixels), `los_east, los_north, los_up`, and, if there is a
        ``.rsp``, `west, south, east, north` of the cell; float64.

    Raises
    ------
    StorageError
        If there is no such file.
    SourceFormatError
        If a line is none of the format, the unit is unknown or not told, the cells are of other points, or a look
        vector has not the length one.

    See Also
    --------
    mimtpy_cloud.exports.varres.write_varres : The way back.
    mimtpy_cloud.io.points.read_points : Tables with a heading.
    """
    text = os.fspath(url)
    base = text[: -len(".txt")] if text.lower().endswith(".txt") else text
    title, table = _rows(f"{base}.txt", 11, _EXPECTED)
    unit = _unit(title, units, f"{base}.txt")
    name = "velocity" if unit.rate else "displacement"
    lon, lat, value, error, count = table[:, 3:8].T
    length = np.sqrt((table[:, 8:11] ** 2).sum(axis=1))
    if (np.abs(length - 1) > 1e-2).any():
        raise SourceFormatError(f"{base}.txt: expected look vectors of length one, got {length.max():g}")
    data: dict[str, Any] = {
        name: ("point", value * unit.metres, VARIABLES[name].attrs),
        "std": ("point", error * unit.metres, {"units": VARIABLES[name].units, "long_name": "standard deviation"}),
        "count": ("point", count, {"units": "1", "long_name": "number of pixels"}),
        **{key: ("point", table[:, 8 + k], VARIABLES[key].attrs) for k, key in enumerate(LOS)},
        **_cells(f"{base}.rsp", table),
    }
    coords = {"lon": ("point", lon, {"units": "degrees_east"}), "lat": ("point", lat, {"units": "degrees_north"})}
    return xr.Dataset(data, coords, {"source": text})


def _unit(title: str, given: str | None, url: str) -> Unit:
    said = re.search(r"data, err: (\S+)", title)
    if given is None and said is None:
        raise SourceFormatError(f"{url} does not say the unit of its values; give units, such as 'mm/yr'")
    return parse_unit(str(given or (said and said[1])), url)


def _rows(url: str, width: int, expected: str) -> tuple[str, np.ndarray]:
    """Second line, and the numbers of the others."""
    lines = read_text(url, expected).splitlines()
    rows = []
    for number, line in enumerate(lines[2:], 3):
        try:
            row = [float(word) for word in line.split()]
        except ValueError:
            row = []
        if len(row) != width:
            raise bad_line(url, number, expected, line)
        rows.append(row)
    if not rows:
        raise SourceFormatError(f"{url} has no line of data; expected {expected}")
    return lines[1], np.array(rows)


def _cells(url: str, table: np.ndarray) -> dict[str, Any]:
    fs, path = locate(url)
    with reaching(url):
        if not fs.exists(path):
            return {}
    _, cells = _rows(url, 10, _CELLS)
    if cells.shape[0] != table.shape[0] or (cells[:, :2] != table[:, 1:3]).any():
        raise SourceFormatError(f"{url} must have the {table.shape[0]} points of the .txt in the same order")
    west, north, east, south = cells[:, 6:10].T
    edges = {"west": west, "south": south, "east": east, "north": north}
    return {
        name: ("point", values, {"units": "degrees_east" if name in ("west", "east") else "degrees_north"})
        for name, values in edges.items()
    }
