"""Write a map as a grid of GMT, in netCDF."""

from typing import Any

import numpy as np
import xarray as xr

from mimtpy_cloud.exports.grids import grid_of
from mimtpy_cloud.exports.observed import one_map
from mimtpy_cloud.exports.planes import stream_planes
from mimtpy_cloud.exports.progress import Progress
from mimtpy_cloud.exports.provenance import SOFTWARE
from mimtpy_cloud.exports.publish import staged
from mimtpy_cloud.plan.grid import Grid

__all__ = ["write_gmt"]

_ROWS = 256


def write_gmt(ds: xr.Dataset, url: str, *, progress: Progress | None = None, variable: str | None = None) -> list[str]:
    """
    Write one map as a grid that GMT, GDAL and QGIS read: NAME.grd.

    Parameters
    ----------
    ds : xr.Dataset
        Dimensions ``(y, x)``, in degrees or metres; any variable, in its own unit.
    url : str
        Local path or any fsspec URL.
    progress : callable, optional
        ``progress(done, total, unit)``.
    variable : str, optional
        What to write; by default `displacement` or `velocity`, else the only map.

    Returns
    -------
    list of str
        The file.

    Raises
    ------
    SchemaError, GridMismatchError
        If there is no such map or no regular grid.
    StorageError
        If the place cannot be written.

    Notes
    -----
    netCDF-4 after CF-1.7 and the conventions of GMT: ``z(y, x)``, row 0 in the south, pixel registration
    (``node_offset`` 1: `x` and `y` are pixel centres, ``actual_range`` has the outer edges); float32, or float64 where
    the map is; NaN is no data. Memory: the blocks in flight.

    References
    ----------
    .. [1] P. Wessel et al., 2019, The Generic Mapping Tools version 6, G-cubed, DOI 10.1029/2019GC008515.
    """
    import h5py

    found, grid = one_map(ds, variable), grid_of(ds)
    with staged(url) as path:
        plane = stream_planes({"z": found}, path.parent, progress=progress)["z"]
        with h5py.File(path, "w", track_order=True) as file:
            _write_axes(file, grid)
            _write_values(file, plane, found)
            title = " ".join(filter(None, (ds.attrs.get("track"), str(found.name))))
            _describe(file, Conventions="CF-1.7", title=title, source=SOFTWARE, node_offset=np.array([1], np.int32))
    return [url]


def _write_axes(file: Any, grid: Grid) -> None:
    degrees = grid.crs == "EPSG:4326"
    west, south, east, north = grid.bounds
    for name, values, edges, direction in (
        ("y", grid.y[::-1], (south, north), "north"),
        ("x", grid.x, (west, east), "east"),
    ):
        axis = file.create_dataset(name, data=np.asarray(values, np.float64), track_order=True)
        axis.make_scale(name)
        long_name = {"north": "latitude", "east": "longitude"}[direction] if degrees else f"{direction}ing"
        units = f"degrees_{direction}" if degrees else "m"
        _describe(axis, long_name=long_name, units=units, actual_range=np.array(edges, np.float64))
        if degrees:
            _describe(axis, standard_name=long_name)


def _write_values(file: Any, plane: np.ndarray, found: xr.DataArray) -> None:
    tile = tuple(min(size, _ROWS) for size in plane.shape)
    z = file.create_dataset("z", plane.shape, plane.dtype, chunks=tile, compression="gzip", compression_opts=4)
    for dim, name in enumerate(("y", "x")):
        z.dims[dim].attach_scale(file[name])
    low, high = np.inf, -np.inf
    for top in range(0, plane.shape[0], _ROWS):
        rows = plane[::-1][top : top + _ROWS]
        z[top : top + _ROWS] = rows
        low, high = np.fmin(low, np.fmin.reduce(rows, axis=None)), np.fmax(high, np.fmax.reduce(rows, axis=None))
    low, high = (low, high) if low <= high else (np.nan, np.nan)
    _describe(
        z,
        long_name=str(found.attrs.get("long_name", found.name)),
        units=str(found.attrs.get("units", "1")),
        actual_range=np.array([low, high], np.float64),
        _FillValue=np.array([np.nan], plane.dtype),
    )


def _describe(node: Any, **attributes: Any) -> None:
    """Text of fixed length, as every netCDF program reads it."""
    for key, value in attributes.items():
        node.attrs[key] = np.bytes_(value.encode()) if isinstance(value, str) else value
