"""The CF grid mapping variable that GDAL, rioxarray and QGIS read."""

from functools import lru_cache
from typing import Any

import numpy as np
import xarray as xr

from mimtpy_cloud.plan.grid import Grid
from mimtpy_cloud.schema import SPATIAL_REF

__all__ = ["coordinates", "spatial_ref_attrs"]


@lru_cache(maxsize=16)
def _crs_attrs(crs: str) -> tuple[tuple[str, Any], ...]:
    from pyproj import CRS

    return tuple(CRS.from_user_input(crs).to_cf().items())


def spatial_ref_attrs(grid: Grid) -> dict[str, Any]:
    """
    Describe a grid's coordinate system and transform.

    Parameters
    ----------
    grid : Grid
        Pixel grid.

    Returns
    -------
    dict
        CF grid mapping attributes, ``crs_wkt`` and GDAL's ``GeoTransform``.
    """
    return {**dict(_crs_attrs(grid.crs)), "GeoTransform": " ".join(repr(float(v)) for v in grid.transform)}


def coordinates(x: np.ndarray, y: np.ndarray, crs: str) -> dict[str, xr.Variable]:
    """
    Build the coordinates of a grid.

    Parameters
    ----------
    x, y : np.ndarray
        Pixel centres, `x` ascending and `y` descending.
    crs : str
        Coordinate reference system.

    Returns
    -------
    dict
        ``y``, ``x`` and ``spatial_ref``, which has no transform: a selection would leave a stale one
        behind, and readers find it from the pixel centres.
    """
    attrs = dict(_crs_attrs(crs))
    if attrs.get("grid_mapping_name") == "latitude_longitude":
        y_attrs = {"units": "degrees_north", "standard_name": "latitude", "long_name": "latitude of pixel centres"}
        x_attrs = {"units": "degrees_east", "standard_name": "longitude", "long_name": "longitude of pixel centres"}
    else:
        y_attrs = {"units": "m", "standard_name": "projection_y_coordinate", "long_name": "northing of pixel centres"}
        x_attrs = {"units": "m", "standard_name": "projection_x_coordinate", "long_name": "easting of pixel centres"}
    return {
        "y": xr.Variable("y", y, y_attrs),
        "x": xr.Variable("x", x, x_attrs),
        SPATIAL_REF: xr.Variable((), np.int32(0), attrs),
    }
