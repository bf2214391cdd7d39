"""Noise of a map where the ground stands still: how it is correlated in space."""

from typing import Any

import numpy as np
import xarray as xr

from mimtpy_cloud.errors import GridMismatchError, SchemaError
from mimtpy_cloud.kernels.semivariogram import fit_exponential, semivariogram
from mimtpy_cloud.ops.deramp import remove_ramp
from mimtpy_cloud.ops.pixels import map_projection, pixels_in_polygons
from mimtpy_cloud.ops.select import grid_of
from mimtpy_cloud.plan.plane import pixel_km
from mimtpy_cloud.schema import require_dims

__all__ = ["estimate_covariance", "select_patch"]

_BINS = 30
#: Longest side of the image that is looked at, pixels; of a larger one every second, third ... row and column.
_SIDE = 1000
_BOX = 4


def estimate_covariance(image: xr.DataArray, patch: Any = None, *, ramp: str | None = "linear") -> xr.Dataset:
    """
    Estimate how the noise of a map is correlated in space.

    Parameters
    ----------
    image : xr.DataArray
        Velocity or displacement, dims ``(y, x)``, any chunks; NaN is no data.
    patch : sequence of float or array_like, optional
        Where nothing moves: a box (west, south, east, north), or the corners of a polygon, shape ``(n, 2)``, or a list
        of polygons, in degrees. By default the whole map.
    ramp : str, optional
        Ramp that is removed first, as in `mimtpy_cloud.ops.deramp.estimate_ramp`; None removes the mean only.

    Returns
    -------
    xr.Dataset
        Lazy. The semivariogram: `semivariance (lag)` in the square of the unit, with `distance (lag)` in km and `pairs
        (lag)`, NaN and 0 of lags without pairs. The exponential model: `sill` and `nugget`, the variances of the
        correlated and of the white part, in the square of the unit, and `range_km`, at which the correlation is 1/e;
        NaN if there are too few pixels.

    Raises
    ------
    SchemaError
        If the dimensions or the patch are not as above.
    GridMismatchError
        If the patch holds no pixel.

    See Also
    --------
    mimtpy_cloud.kernels.semivariogram.fit_exponential : The model.
    mimtpy_cloud.ops.variance.variance_components : What tracks disagree by.

    Notes
    -----
    The covariance of two pixels at a distance h is ``sill exp(-h / range)``, and that of a pixel with itself ``sill +
    nugget``. A ramp takes a part of the longest wavelengths with it: a range of a third of the patch or more is too
    short. Of more than 1000 rows or columns some are left out, evenly.
    """
    require_dims("the map", image.dims, "y", "x")
    part = image if patch is None else select_patch(image, patch)
    if ramp is not None:
        part = remove_ramp(part, ramp)
    step = tuple(-(-size // _SIDE) for size in part.shape)
    part = part[:: step[0], :: step[1]]
    x, y = part.indexes["x"].to_numpy(), part.indexes["y"].to_numpy()
    if min(x.size, y.size) < 1 or x.size * y.size < _BOX:
        raise GridMismatchError(f"the patch has {y.size} x {x.size} pixels, too few for distances; choose a larger one")
    step_km = pixel_km(x, y, geographic=map_projection(image) is None)
    one = (part.data if part.chunks is not None else part.chunk().data).rechunk(-1)
    flat = one.map_blocks(_summarise, step_km, chunks=((3 * _BINS + 3,),), drop_axis=1, dtype=np.float64)
    units = str(image.attrs.get("units", "1"))
    square = {"units": f"({units})^2"}
    table = flat[: 3 * _BINS].reshape(3, _BINS)
    data: dict[str, Any] = {
        "distance": ("lag", table[0], {"units": "km", "long_name": "mean distance of the pairs"}),
        "semivariance": ("lag", table[1], {**square, "long_name": "half the mean square difference of the pairs"}),
        "pairs": ("lag", table[2], {"units": "1", "long_name": "pairs of pixels"}),
        "sill": ((), flat[3 * _BINS], {**square, "long_name": "variance of the correlated part"}),
        "range_km": ((), flat[3 * _BINS + 1], {"units": "km", "long_name": "distance at which correlation is 1/e"}),
        "nugget": ((), flat[3 * _BINS + 2], {**square, "long_name": "variance of the white part"}),
    }
    return xr.Dataset(data, attrs={"model": "exponential", "ramp": ramp or "none"})


def select_patch(image: xr.DataArray, patch: Any) -> xr.DataArray:
    """
    Cut a box or polygons out of a map.

    Parameters
    ----------
    image : xr.DataArray
        Map, dims ``(y, x)``.
    patch : sequence of float or array_like
        As in `estimate_covariance`.

    Returns
    -------
    xr.DataArray
        The pixels in the box, or in that of the polygons, NaN where none of them is.

    Raises
    ------
    SchemaError
        If it is neither.
    GridMismatchError
        If it holds no pixel.
    """
    ds = image.to_dataset(name="map")
    try:
        box, polygons = np.asarray(patch, float), []
    except (ValueError, TypeError):  # polygons of different lengths, or no numbers
        box, polygons = np.empty(0), patch
    if box.shape == (_BOX,) and np.isfinite(box).all():
        rows, cols = grid_of(ds).box((float(box[0]), float(box[1]), float(box[2]), float(box[3])))
        return image.isel(y=rows, x=cols)
    if box.ndim > 1:
        polygons = [box] if box.ndim == 2 else list(box)
    polygons = _rings(polygons)
    if not polygons:
        raise SchemaError(
            f"patch must be a box (west, south, east, north) or polygons of longitudes and latitudes, got {patch!r}"
        )
    rows, cols, inside = pixels_in_polygons(ds, polygons)
    if not inside.any():
        raise GridMismatchError("the patch holds no pixel of the map; choose another")
    part = image.isel(y=rows, x=cols)
    return part.where(xr.DataArray(inside, dims=("y", "x")))


def _rings(polygons: Any) -> list[np.ndarray]:
    """Corners of polygons; none if one is no polygon."""
    try:
        rings = [np.asarray(ring, float) for ring in polygons]
    except (ValueError, TypeError):
        return []
    good = all(r.ndim == 2 and len(r) > 2 and r.shape[1] == 2 and np.isfinite(r).all() for r in rings)
    return rings if good else []


def _summarise(image: np.ndarray, step_km: tuple[float, float]) -> np.ndarray:
    """Semivariogram and model, flat."""
    table = np.full((3, _BINS), np.nan)
    table[2] = 0
    found = semivariogram(image, step_km, _BINS)
    table[:, : found[0].size] = found
    return np.concatenate([table.ravel(), fit_exponential(*found)])
