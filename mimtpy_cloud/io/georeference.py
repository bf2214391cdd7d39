"""The CF grid mapping variable that GDAL, rioxarray and QGIS read."""

from functools import lru_cache
from typing import Any

import numpy as np
import xarray as xr

from mimtpy_cloud.plan.grid import Grid

__all__ = ["spatial_ref", "spatial_ref_attrs"]


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


def spatial_ref(grid: Grid) -> xr.Variable:
    """
    Make the scalar variable that carries the coordinate system.

    Parameters
    ----------
    grid : Grid
        Pixel grid.

    Returns
    -------
    xr.Variable
    """
    return xr.Variable((), np.int32(0), spatial_ref_attrs(grid))
