"""Pixel grid and coordinate system of a product, from its coordinates."""

from typing import Any

import numpy as np
import xarray as xr

from mimtpy_cloud.errors import SchemaError
from mimtpy_cloud.plan.grid import Grid
from mimtpy_cloud.schema import SPATIAL_REF

__all__ = ["grid_edges", "grid_of"]


def grid_of(obj: xr.DataArray | xr.Dataset) -> Grid:
    """
    Recover the grid of labelled pixels without the rounding of their coordinates.

    Parameters
    ----------
    obj : xr.DataArray or xr.Dataset
        With coordinates ``y`` (north to south) and ``x`` (west to east) of pixel centres, and
        ``spatial_ref`` with attribute ``crs_wkt``. The attribute ``pixels_per_degree`` tells the size of
        a single row or column.

    Returns
    -------
    Grid
        On the global lattice exactly where the pixels lie on one; else with corner and step as the
        shortest decimal numbers within 1e-9 of a pixel over the whole grid. `crs` is ``EPSG:n``
        where the system has a code, else WKT.

    Raises
    ------
    GridMismatchError
        If the coordinates are not evenly spaced, or too few to tell.
    SchemaError
        If coordinates or the coordinate system are missing.

    Examples
    --------
    >>> x, y = 100 + (np.arange(8) + 0.5) * 0.01, 40 - (np.arange(6) + 0.5) * 0.01
    >>> da = xr.DataArray(np.zeros((6, 8)), {"y": y, "x": x, "spatial_ref": 0}, ("y", "x"))
    >>> da["spatial_ref"].attrs["crs_wkt"] = "EPSG:4326"
    >>> grid_of(da).transform
    (100.0, 0.01, 0.0, 40.0, 0.0, -0.01)
    """
    for name in ("y", "x"):
        if name not in obj.coords:
            raise SchemaError(f"a map needs coordinates y and x, got {', '.join(map(str, obj.coords)) or 'none'}")
    crs = _crs(obj)
    x, y = np.asarray(obj["x"].values, float), np.asarray(obj["y"].values, float)
    per_degree = obj.attrs.get("pixels_per_degree")
    step = 1 / float(per_degree) if per_degree and crs == "EPSG:4326" else None
    return Grid.from_centres(x, y, crs, step=step).rounded()


def grid_edges(grid: Grid) -> tuple[float, ...]:
    """
    Round the edges of a grid to the short decimal numbers that they mean.

    Parameters
    ----------
    grid : Grid
        Pixel grid.

    Returns
    -------
    tuple of float
        West, south, east, north.
    """
    return tuple(round(value, 12) for value in grid.bounds)


def _crs(obj: xr.DataArray | xr.Dataset) -> str:
    from pyproj import CRS
    from pyproj.exceptions import CRSError

    attrs: dict[Any, Any] = obj.coords[SPATIAL_REF].attrs if SPATIAL_REF in obj.coords else {}
    text = attrs.get("crs_wkt") or attrs.get("spatial_ref")
    if not text:
        raise SchemaError(f"a map needs the coordinate {SPATIAL_REF} with attribute crs_wkt; assign it from the source")
    try:
        crs = CRS.from_user_input(text)
    except CRSError as error:
        raise SchemaError(f"{SPATIAL_REF} holds no coordinate system that PROJ knows: {error}") from error
    code = crs.to_epsg()
    return f"EPSG:{code}" if code else str(crs.to_wkt())
