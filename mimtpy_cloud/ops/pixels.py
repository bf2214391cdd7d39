"""Which pixel of a grid holds a place given in longitude and latitude."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import xarray as xr

from mimtpy_cloud.kernels.polygon import pixels_in_polygon
from mimtpy_cloud.ops.select import grid_of
from mimtpy_cloud.schema import SPATIAL_REF

__all__ = ["map_projection", "near_longitude", "pixels_at", "pixels_in_polygons"]

#: A point within this fraction of a pixel of a pixel edge lies on it, and belongs to the pixel east or south.
_ON_EDGE = 1e-6


def map_projection(ds: xr.Dataset | xr.DataArray) -> Any:
    """
    Find the map projection of a grid.

    Parameters
    ----------
    ds : xr.Dataset or xr.DataArray
        Canonical, with a ``spatial_ref`` coordinate if it has one.

    Returns
    -------
    pyproj.Proj or None
        Callable ``(lon, lat) -> (x, y)``; None if the coordinates are longitude and latitude.
    """
    known = ds.variables if isinstance(ds, xr.Dataset) else ds.coords
    wkt = ds[SPATIAL_REF].attrs.get("crs_wkt") if SPATIAL_REF in known else None
    if wkt is None or not wkt.startswith(("PROJCS", "PROJCRS")):
        return None
    from pyproj import Proj

    return Proj(wkt)


def near_longitude(lon: Any, centre: float) -> np.ndarray:
    """
    Add whole turns to longitudes, so that they lie nearest to that of a grid.

    Parameters
    ----------
    lon : array_like
        Degrees.
    centre : float
        Longitude in the middle of the grid, degrees; it may be beyond 180.

    Returns
    -------
    np.ndarray
        Degrees within half a turn of the centre; those that were so already are unchanged.

    Examples
    --------
    >>> near_longitude([-179.5, 200.0, 100.0], 179.0).tolist()
    [180.5, 200.0, 100.0]
    """
    degrees = np.asarray(lon, np.float64)
    return np.asarray(degrees - 360.0 * np.round((degrees - centre) / 360.0))


def pixels_at(ds: xr.Dataset, lon: Any, lat: Any) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """
    Find the pixels that hold places.

    Parameters
    ----------
    ds : xr.Dataset
        Canonical dataset on any grid.
    lon, lat : array_like
        Degrees, of one shape.

    Returns
    -------
    rows, cols : np.ndarray
        Integers; meaningless where the place lies outside the grid. A place on an edge between two pixels belongs to
        the one east or south of it.
    inside : np.ndarray
        Whether the place lies in the grid.
    """
    grid = grid_of(ds)
    projection = map_projection(ds)
    if projection is None:
        x, y = near_longitude(lon, grid.west + grid.dx * grid.nx / 2), np.asarray(lat, np.float64)
    else:
        x, y = (np.asarray(v, np.float64) for v in projection(lon, lat))
    row, col = (grid.north - y) / grid.dy + _ON_EDGE, (x - grid.west) / grid.dx + _ON_EDGE
    inside = (row >= 0) & (row < grid.ny) & (col >= 0) & (col < grid.nx)
    rows, cols = (np.floor(np.where(inside, v, 0)).astype(np.int64) for v in (row, col))
    return rows, cols, inside


def pixels_in_polygons(ds: xr.Dataset, polygons: Sequence[np.ndarray]) -> tuple[slice, slice, np.ndarray]:
    """
    Find the pixels whose centres lie in any of some polygons; no data are read.

    Parameters
    ----------
    ds : xr.Dataset
        Canonical dataset on any grid.
    polygons : sequence of np.ndarray
        Longitudes and latitudes of the corners in degrees, each of shape ``(n, 2)``. An edge is straight in the
        coordinates of the grid, and goes the shorter way around the globe.

    Returns
    -------
    rows, cols : slice
        Smallest part of the grid that holds the polygons; empty if they lie outside.
    inside : np.ndarray
        Truth for each pixel of that part.
    """
    grid, projection = grid_of(ds), map_projection(ds)
    x, y = (ds.indexes[c].to_numpy().astype(np.float64) for c in ("x", "y"))
    outlines = []
    for corners in polygons:
        lon, lat = np.unwrap(corners[:, 0], period=360), corners[:, 1]
        if projection is None:
            middle = (lon.min() + lon.max()) / 2
            lon = lon + (near_longitude(middle, grid.west + grid.dx * grid.nx / 2) - middle)
        outlines.append(np.column_stack((lon, lat) if projection is None else projection(lon, lat)))
    west, south = np.min([outline.min(axis=0) for outline in outlines], axis=0)
    east, north = np.max([outline.max(axis=0) for outline in outlines], axis=0)
    rows = slice(int(np.searchsorted(-y, -north)), int(np.searchsorted(-y, -south, side="right")))
    cols = slice(int(np.searchsorted(x, west)), int(np.searchsorted(x, east, side="right")))
    inside = np.zeros((y[rows].size, x[cols].size), bool)
    for outline in outlines:
        inside |= pixels_in_polygon(x[cols], y[rows], outline)
    return rows, cols, inside
