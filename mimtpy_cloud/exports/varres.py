"""Write the table of a quadtree that CSI reads: NAME.txt and NAME.rsp."""

from pathlib import Path

import numpy as np
import xarray as xr

from mimtpy_cloud.errors import GridMismatchError, SchemaError
from mimtpy_cloud.exports.grids import grid_of
from mimtpy_cloud.exports.observed import line_of_sight, staged_together
from mimtpy_cloud.exports.pixels import columns_of
from mimtpy_cloud.exports.progress import Progress
from mimtpy_cloud.schema import LOS, require_variables

__all__ = ["write_varres"]

_EDGES = ("west", "south", "east", "north")
_TITLE = "Number xind yind east north data err wgt Elos Nlos Ulos"


def write_varres(
    ds: xr.Dataset, url: str, *, progress: Progress | None = None, variable: str | None = None
) -> list[str]:
    """
    Write cells of a quadtree, or the pixels of a map, as the text files of CSI's ``read_from_varres``.

    Parameters
    ----------
    ds : xr.Dataset
        One dimension of cells with `lon` and `lat` (of the point), `west, south, east, north` (of the cell),
        displacement (m) or velocity (m/yr), positive toward the satellite, `los_east, los_north, los_up`, and
        optionally `std` in the same unit and `count`, the pixels with data. Or a map ``(y, x)`` on a grid in degrees,
        with `velocity_std`.
    url : str
        Local path or any fsspec URL, with or without ``.txt``.
    progress : callable, optional
        ``progress(done, total, unit)``.
    variable : str, optional
        What to write; by default `displacement`, else `velocity`.

    Returns
    -------
    list of str
        ``.rsp`` (the cells) and ``.txt`` (the values).

    Raises
    ------
    SchemaError, GridMismatchError
        If the product lacks something, or has no data.
    StorageError
        If the place cannot be written.

    See Also
    --------
    mimtpy_cloud.io.varres.open_varres : The way back.

    Notes
    -----
    Values are in m or m/yr, which the second line of the ``.txt`` says; it is one of the two that CSI skips. The look
    is the unit vector from ground to satellite. ``xind, yind`` count pixels from the west and from the south. ``err``
    is NaN where the product has none. Memory: 100 bytes a pixel with data.

    References
    ----------
    .. [1] R. Jolivet et al., 2015, Aseismic slip and seismogenic coupling along the central San Andreas Fault, GRL,
       DOI 10.1002/2014GL062222.
    """
    found = line_of_sight(ds, variable)
    require_variables("a table of CSI", ds.data_vars, *LOS)
    is_map = found.dims == ("y", "x")
    if not is_map:
        require_variables("a table of CSI's cells (take a quadtree)", ds.variables, *_EDGES)
        _require_degrees(ds)
    error, optional = f"{found.name}_std" if is_map else "std", ("err", "count")
    maps = {"data": found} | {name: ds[name] for name in LOS}
    maps |= {key: ds[name] for key, name in (("err", error), ("count", "count")) if name in ds}
    base = url[: -len(".txt")] if url.lower().endswith((".txt", ".rsp")) else url
    with staged_together(f"{base}.rsp", f"{base}.txt") as (cells, values):
        table = columns_of(maps, ds, values.parent, optional=optional, progress=progress)
        if not table["data"].size:
            raise SchemaError("there is no pixel with data and a look; nothing was written")
        corners = _pixel_cells(table, ds) if is_map else _leaf_cells(table, ds)
        indices = _write_cells(corners, cells)
        _write_values(table, indices, str(found.attrs["units"]), values)
    return [f"{base}.rsp", f"{base}.txt"]


def _require_degrees(ds: xr.Dataset) -> None:
    units = str(ds["west"].attrs.get("units", "degrees"))
    if not units.startswith("degree"):
        raise GridMismatchError(f"a table of CSI has cells in degrees, got edges in {units}; take a map in degrees")


def _pixel_cells(table: dict[str, np.ndarray], ds: xr.Dataset) -> np.ndarray:
    """West, south, east and north of each cell in pixels and in degrees, ``(n, 8)``."""
    grid = grid_of(ds)
    x, y = table["col"].astype(float), grid.ny - 1.0 - table["row"]
    south = grid.north - grid.ny * grid.dy
    degrees = [grid.west + x * grid.dx, south + y * grid.dy, grid.west + (x + 1) * grid.dx, south + (y + 1) * grid.dy]
    return np.stack([x, y, x + 1, y + 1, *degrees], axis=1)


def _leaf_cells(table: dict[str, np.ndarray], ds: xr.Dataset) -> np.ndarray:
    """The same of leaves; `size` tells their length in pixels, of which the edge of the map may cut some off."""
    west, south, east, north = (np.asarray(ds[name].values, float)[table["point"]] for name in _EDGES)
    if "size" in ds:
        size = np.asarray(ds["size"].values, float)[table["point"]]
        dx, dy = float(np.max((east - west) / size)), float(np.max((north - south) / size))
    else:
        dx, dy = float(np.min(east - west)), float(np.min(north - south))
    x, y = west.min(), south.min()
    pixels = [(west - x) / dx, (south - y) / dy, (east - x) / dx, (north - y) / dy]
    return np.stack([*np.rint(pixels), west, south, east, north], axis=1)


def _write_cells(corners: np.ndarray, path: Path) -> np.ndarray:
    """Upper left and lower right of each, and give the pixel in its middle."""
    x, y = ((corners[:, [0, 1]] + corners[:, [2, 3]]) // 2).astype(int).T
    order = corners[:, [0, 3, 2, 1, 4, 7, 6, 5]]
    with path.open("w", encoding="utf-8") as file:
        file.write("xind yind UpperLeft-x,y DownRight-x,y\n" + "*" * 56 + "\n")
        for i, j, row in zip(x, y, order.tolist(), strict=True):
            file.write(
                f"{i:4d} {j:4d} " + " ".join([*map(repr, row[:4]), *(f"{degree:.9f}" for degree in row[4:])]) + "\n"
            )
    return np.stack([x, y], axis=1)


def _write_values(table: dict[str, np.ndarray], indices: np.ndarray, units: str, path: Path) -> None:
    unknown = np.full(table["data"].size, np.nan)
    error, count = table.get("err", unknown), table.get("count", np.ones(table["data"].size))
    columns = (table["lon"], table["lat"], table["data"], error, count, *(table[name] for name in LOS))
    with path.open("w", encoding="utf-8") as file:
        file.write(f"{_TITLE}\n*** data, err: {units} {'*' * 36}\n")
        for k, ((i, j), row) in enumerate(zip(indices.tolist(), zip(*columns, strict=True), strict=True)):
            lon, lat, data, err, wgt, *look = map(float, row)
            text = " ".join(map(repr, look))
            file.write(f"{k:4d} {i:4d} {j:4d} {lon:.6f} {lat:.6f} {data!r} {err!r} {wgt:.0f} {text}\n")
