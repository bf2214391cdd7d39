"""Sample products along a line, reading only the blocks that it touches."""

from collections.abc import Sequence
from typing import Any

import dask.array as da
import numpy as np
import xarray as xr
from dask.base import tokenize

from mimtpy_cloud.errors import GridMismatchError, SchemaError
from mimtpy_cloud.kernels.profile import Corners, bilinear_corners, weigh_corners
from mimtpy_cloud.ops.overlay import lazy_array
from mimtpy_cloud.ops.select import grid_of
from mimtpy_cloud.plan.profile import distance_along
from mimtpy_cloud.schema import SPATIAL_REF, require_dims, require_variables

__all__ = ["sample_profile"]


def sample_profile(
    ds: xr.Dataset,
    lon: Sequence[float] | np.ndarray,
    lat: Sequence[float] | np.ndarray,
    names: Sequence[str] | None = None,
    *,
    distance_km: np.ndarray | None = None,
) -> xr.Dataset:
    """
    Interpolate maps at points, bilinearly between pixel centres.

    Parameters
    ----------
    ds : xr.Dataset
        With coordinates `y` and `x` in degrees of latitude and longitude.
    lon, lat : array-like
        Degrees, shape ``(point,)``; whole turns of longitude make no difference.
    names : sequence of str, optional
        Variables of dimensions ``(y, x)``; all by default.
    distance_km : np.ndarray, optional
        Place of each point along the line; by default the way from the first point, on the ellipsoid.

    Returns
    -------
    xr.Dataset
        Lazy: the variables on dimension ``point``, in float32, or float64 if they are, with their attributes; NaN where
        one of the four pixels around a point that has weight lacks data or lies outside. A point on the centre of a
        pixel has the value of that pixel. Coordinates `lon`, `lat` and `distance_km`.

    Raises
    ------
    SchemaError
        If a variable is missing or no map, or the points are no two arrays of one length of finite numbers.
    GridMismatchError
        If the grid is not in degrees, or all points lie outside of it.

    See Also
    --------
    mimtpy_cloud.kernels.profile.sample_bilinear : The interpolation.
    mimtpy_cloud.plan.profile.profile_line : Points of a geodesic line.
    mimtpy_cloud.ops.select.mask_invalid : Blanks unusable pixels first.

    Notes
    -----
    One small task for each block that has a pixel with weight; no other block is read. Booleans become the weight of
    what is true.
    """
    lon, lat = (np.array(values, np.float64) for values in (lon, lat))
    if lon.ndim != 1 or lon.shape != lat.shape or not lon.size or not np.isfinite(lon + lat).all():
        raise SchemaError(
            f"a profile needs longitudes and latitudes of one length, finite, got shapes {lon.shape} and {lat.shape}"
        )
    chosen = [str(n) for n, v in ds.data_vars.items() if v.dims == ("y", "x")] if names is None else list(names)
    require_variables("the profile", ds.data_vars, *chosen)
    corners = _corners(ds, lon, lat)
    data = {name: ("point", _sample(ds.variables[name], name, corners), ds[name].attrs) for name in chosen}
    distance = distance_along(lon, lat) if distance_km is None else distance_km
    coords = {
        "lon": ("point", lon, {"units": "degrees_east", "standard_name": "longitude"}),
        "lat": ("point", lat, {"units": "degrees_north", "standard_name": "latitude"}),
        "distance_km": ("point", distance, {"units": "km", "long_name": "distance along the profile"}),
    }
    return xr.Dataset(data, coords, ds.attrs)


def _corners(ds: xr.Dataset, lon: np.ndarray, lat: np.ndarray) -> Corners:
    """Pixels around each point, and their weights."""
    crs = str(ds[SPATIAL_REF].attrs.get("crs_wkt", "")) if SPATIAL_REF in ds.variables else ""
    grid = grid_of(ds)
    have = ", ".join(f"{v:.6g}" for v in grid.bounds)
    if crs.startswith(("PROJCS", "PROJCRS")):
        raise GridMismatchError(
            f"a profile needs a grid in degrees, got a projection with bounds [{have}]; ingest it first"
        )
    middle = grid.west + grid.nx * grid.dx / 2
    lon = lon - 360.0 * np.round((lon - middle) / 360.0)
    rows, cols = (grid.north - lat) / grid.dy - 0.5, (lon - grid.west) / grid.dx - 0.5
    corners = bilinear_corners(rows, cols)
    inside = (corners.rows >= 0) & (corners.rows < grid.ny) & (corners.cols >= 0) & (corners.cols < grid.nx)
    if not (inside | (corners.weights == 0)).all(axis=0).any():
        who = ds.attrs.get("track", "the product")
        raise GridMismatchError(
            f"no point of the profile from {lon[0]:.6g}, {lat[0]:.6g} to {lon[-1]:.6g}, {lat[-1]:.6g} lies on {who} "
            f"[{have}]; choose another line"
        )
    return corners


def _sample(variable: xr.Variable, name: str, corners: Corners) -> da.Array:
    """Gather the pixels from each block that has some, then weigh them."""
    require_dims(name, variable.dims, "y", "x")
    data: da.Array = variable.data if variable.chunks is not None else variable.chunk().data
    place = [_blocks(position, data.chunks[k]) for k, position in enumerate((corners.rows, corners.cols))]
    (by, inner_row), (bx, inner_col) = place
    wanted = (by >= 0) & (bx >= 0) & (corners.weights > 0)
    out = f"profile-{tokenize(data.name, corners)}"
    graph: dict[tuple, tuple] = {}
    targets = []
    for iy, ix in sorted(set(zip(by[wanted].tolist(), bx[wanted].tolist(), strict=True))):
        here = wanted & (by == iy) & (bx == ix)
        targets.append(np.flatnonzero(here))
        graph[(f"{out}-pixels", iy, ix)] = (_pick, (data.name, iy, ix), inner_row[here], inner_col[here])
    graph[(out, 0)] = (_Weigh(corners.weights, targets, np.result_type(data.dtype, np.float32)), list(graph))
    return lazy_array(out, graph, ((corners.weights.shape[1],),), np.result_type(data.dtype, np.float32), [data])


def _blocks(position: np.ndarray, chunks: tuple[int, ...]) -> tuple[np.ndarray, np.ndarray]:
    """Block of each position, -1 outside, and the place inside it."""
    edges = np.concatenate([[0], np.cumsum(chunks)])
    block = np.searchsorted(edges, position, side="right") - 1
    block = np.where((position < 0) | (position >= edges[-1]), -1, block)
    return block, position - edges[block]


def _pick(block: np.ndarray, rows: np.ndarray, cols: np.ndarray) -> np.ndarray:
    found: np.ndarray = np.asarray(block)[rows, cols]
    return found


class _Weigh:
    """Average gathered pixels; opaque to dask."""

    def __init__(self, weights: np.ndarray, targets: list[np.ndarray], dtype: Any) -> None:
        self.weights, self.targets, self.dtype = weights, targets, dtype

    def __call__(self, parts: list[np.ndarray]) -> np.ndarray:
        values = np.full(self.weights.shape, np.nan)
        for target, part in zip(self.targets, parts, strict=True):
            values.flat[target] = part
        return weigh_corners(values, self.weights).astype(self.dtype)
