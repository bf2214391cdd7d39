"""Shaded relief under the colours of a map, from the heights of the product or from a DEM."""

import os
from typing import TYPE_CHECKING

import numpy as np
import xarray as xr

from mimtpy_cloud.errors import SchemaError
from mimtpy_cloud.io.hdf5 import block_shape
from mimtpy_cloud.io.raster import locate_raster
from mimtpy_cloud.kernels.relief import shade_relief
from mimtpy_cloud.plan.grid import Grid
from mimtpy_cloud.schema import require_dims
from mimtpy_cloud.view.axes import ground_aspect
from mimtpy_cloud.view.picture import as_dataset, map_grid, thumbnail

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = ["Relief", "draw_relief", "heights_of", "layer_of", "shading_of"]

#: Heights under a map: ``"height"`` of the product, an array on its grid, or a GeoTIFF on any.
Relief = str | os.PathLike[str] | xr.DataArray
#: How dark the darkest slope becomes, and how much lighter the lightest.
_DARK, _LIGHT = 0.4, 0.35
#: Pixels of a DEM that are read for one of the map, along each side.
_FINER = 2
#: Bytes of a block of a DEM.
_BLOCK = 4 << 20


def heights_of(data: xr.Dataset | xr.DataArray, relief: Relief, max_pixels: int) -> xr.DataArray:
    """
    Find the heights under a map, on the pixels that it shows.

    Parameters
    ----------
    data : xr.Dataset or xr.DataArray
        Product, with dimensions ``(y, x)``.
    relief : str, path or xr.DataArray
        Name of a variable of the product, such as ``"height"``; an array on its grid; or a GeoTIFF with a coordinate
        system, on any grid.
    max_pixels : int
        Most rows and columns.

    Returns
    -------
    xr.DataArray
        In the unit of the heights, lazy but for a GeoTIFF; NaN is no data.

    Raises
    ------
    SchemaError
        If the product has no such variable, the array has another grid, or the GeoTIFF lies elsewhere.
    SourceFormatError, StorageError
        If the GeoTIFF cannot be read.
    """
    if isinstance(relief, xr.DataArray):
        require_dims("relief", relief.dims, "y", "x")
        if relief.shape != (data.sizes["y"], data.sizes["x"]):
            raise SchemaError(
                f"relief must lie on the grid of the map, {data.sizes['y']} x {data.sizes['x']}, got shape "
                f"{relief.shape}; give the path of a DEM instead"
            )
        return thumbnail(relief, max_pixels)
    name = os.fspath(relief)
    if isinstance(data, xr.Dataset) and name in data.data_vars:
        require_dims(name, data[name].dims, "y", "x")
        return thumbnail(data[name], max_pixels)
    if name == "height":
        raise SchemaError("relief='height' needs the variable height of a product, which this has not; give a DEM file")
    return _from_file(name, thumbnail(as_dataset(data, "map"), max_pixels))


def _from_file(url: str, small: xr.Dataset) -> xr.DataArray:
    """Heights of a GeoTIFF at the pixels shown, between its own pixels."""
    from pyproj import Transformer
    from scipy.ndimage import map_coordinates

    raster, grid = locate_raster(url), map_grid(small)
    dem = raster.grid
    x, y = np.meshgrid(small["x"].to_numpy(), small["y"].to_numpy())
    if dem.crs != grid.crs:
        x, y = Transformer.from_crs(grid.crs, dem.crs, always_xy=True).transform(x, y)
    places = (dem.north - y) / dem.dy - 0.5, (x - dem.west) / dem.dx - 0.5
    parts = [_part(place, size, shown) for place, size, shown in zip(places, raster.shape, x.shape, strict=True)]
    if not all(len(part) for part in parts):
        raise SchemaError(f"{url} covers {dem.bounds}, no part of which lies under the map, {grid.bounds}")
    rows, cols = (slice(part.start, part.stop, part.step) for part in parts)
    heights = raster.lazy(block_shape(raster.shape, raster.tile, 4, _BLOCK)).isel(y=rows, x=cols).to_numpy()
    at = np.stack([(place - part.start) / part.step for place, part in zip(places, parts, strict=True)])
    values = map_coordinates(heights, at, order=1, cval=np.nan, prefilter=False)
    return xr.DataArray(values, {"y": small["y"], "x": small["x"]}, ("y", "x"), "height", {"units": "m"})


def _part(place: np.ndarray, size: int, shown: int) -> range:
    """Rows, or columns, of a DEM to read: those under the map, no more than it can show."""
    there = place[np.isfinite(place)]
    if not there.size:
        return range(0)
    first, last = max(0, int(there.min()) - 1), min(size, int(there.max()) + 3)
    return range(first, last, max(1, (last - first) // (_FINER * shown)))


def shading_of(heights: np.ndarray, grid: Grid, strides: tuple[int, int]) -> np.ndarray:
    """
    Shade heights, with light from the north-west.

    Parameters
    ----------
    heights : np.ndarray
        Shape ``(y, x)``, of the pixels shown.
    grid : Grid
        Of the whole map.
    strides : tuple of int
        Rows and columns of the map for one of the heights.

    Returns
    -------
    np.ndarray
        In (-1, 1), as `mimtpy_cloud.kernels.relief.shade_relief`.
    """
    return shade_relief(heights, grid.dx * strides[1], grid.dy * strides[0] * ground_aspect(grid))


def layer_of(shading: np.ndarray) -> np.ndarray:
    """
    Make the layer that darkens slopes in the shade and lightens those in the light.

    Parameters
    ----------
    shading : np.ndarray
        From `shading_of`.

    Returns
    -------
    np.ndarray
        Shape ``(y, x, 4)``: white or black, and how much of it covers the colours of the map, in [0, 1].
    """
    layer = np.zeros((*shading.shape, 4))
    layer[..., :3] = (shading > 0)[..., np.newaxis]
    layer[..., 3] = np.where(shading > 0, _LIGHT * shading, -_DARK * shading)
    return layer


def draw_relief(ax: "Axes", shading: np.ndarray, extent: tuple[float, float, float, float]) -> None:
    """
    Lay relief under all but the colours of a map, which keep their meaning.

    Parameters
    ----------
    ax : matplotlib.axes.Axes
        With its map.
    shading : np.ndarray
        From `shading_of`.
    extent : tuple of float
        West, east, south, north.
    """
    layer = layer_of(shading)
    ax.imshow(layer, extent=extent, origin="upper", interpolation="nearest", aspect=ax.get_aspect(), zorder=0.5)
