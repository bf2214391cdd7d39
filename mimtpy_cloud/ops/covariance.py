"""Noise of a map where the ground stands still: how it is correlated in space."""

from typing import Any

import numpy as np
import xarray as xr

from mimtpy_cloud.errors import GridMismatchError, SchemaError
from mimtpy_cloud.kernels import covariance as kernel
from mimtpy_cloud.kernels.covariance import KINDS, CovarianceModel
from mimtpy_cloud.kernels.semivariogram import fit_semivariogram, semivariogram
from mimtpy_cloud.ops.deramp import remove_ramp
from mimtpy_cloud.ops.pixels import map_projection, pixels_in_polygons
from mimtpy_cloud.ops.select import grid_of
from mimtpy_cloud.plan.plane import pixel_km
from mimtpy_cloud.plan.polyconic import polyconic_km
from mimtpy_cloud.schema import require_dims, require_variables

__all__ = ["covariance_matrix", "covariance_model", "estimate_covariance", "select_patch"]

_BINS = 30
#: Longest side of the image that is looked at, pixels; of a larger one every second, third ... row and column.
_SIDE = 1000
_BOX = 4
#: Most points of a covariance matrix, which takes 3 GB then.
_MOST = 20_000


def estimate_covariance(
    image: xr.DataArray, patch: Any = None, *, ramp: str | None = "linear", kind: str = "exponential"
) -> xr.Dataset:
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
    kind : str
        Model: ``"exponential"``, ``"gaussian"``, ``"spherical"`` or ``"matern32"``, see
        `mimtpy_cloud.kernels.covariance.correlation`.

    Returns
    -------
    xr.Dataset
        Lazy. The semivariogram: `semivariance (lag)` in the square of the unit, with `distance (lag)` in km and `pairs
        (lag)`, NaN and 0 of lags without pairs; and `covariance (lag)`, what it lacks to `variance` of the pixels. The
        model: `sill` and `nugget`, the variances of the correlated and of the white part, in the square of the
        unit, and `range_km`, over which correlation is lost, of an exponential one to 1/e; NaN if there are too few
        pixels.

    Raises
    ------
    SchemaError
        If the dimensions, the patch or the kind are not as above.
    GridMismatchError
        If the patch holds no pixel.

    See Also
    --------
    covariance_model : The model of the result.
    mimtpy_cloud.kernels.semivariogram.fit_semivariogram : How it is fitted.
    mimtpy_cloud.ops.variance.variance_components : What tracks disagree by.

    Notes
    -----
    The covariance of two pixels at a distance h is ``sill rho(h / range)``, and that of a pixel with itself ``sill +
    nugget``. The model is fitted to the semivariance, which does not depend on the mean. The empirical covariance is
    ``variance - semivariance``; both it and the mean product of pairs are too small by the variance of the mean of the
    patch, but the product scatters more, as the pairs of each lag have a variance of their own. A ramp takes a part of
    the longest wavelengths with it: a range of a third of the patch or more is too short. Of more than 1000 rows or
    columns some are left out, evenly.
    """
    require_dims("the map", image.dims, "y", "x")
    if kind not in KINDS:
        raise SchemaError(f"kind of covariance must be one of {', '.join(KINDS)}, got {kind!r}")
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
    flat = one.map_blocks(_summarise, step_km, kind, chunks=((3 * _BINS + 4,),), drop_axis=1, dtype=np.float64)
    return _labelled(flat, str(image.attrs.get("units", "1"))).assign_attrs(model=kind, ramp=ramp or "none")


def _labelled(flat: Any, units: str) -> xr.Dataset:
    table, (variance, sill, range_km, nugget) = flat[: 3 * _BINS].reshape(3, _BINS), flat[3 * _BINS :]
    square = {"units": f"({units})^2"}
    data: dict[str, Any] = {
        "distance": ("lag", table[0], {"units": "km", "long_name": "mean distance of the pairs"}),
        "semivariance": ("lag", table[1], {**square, "long_name": "half the mean square difference of the pairs"}),
        "covariance": ("lag", variance - table[1], {**square, "long_name": "variance less semivariance"}),
        "pairs": ("lag", table[2], {"units": "1", "long_name": "pairs of pixels"}),
        "variance": ((), variance, {**square, "long_name": "variance of the pixels"}),
        "sill": ((), sill, {**square, "long_name": "variance of the correlated part"}),
        "range_km": ((), range_km, {"units": "km", "long_name": "distance over which correlation is lost"}),
        "nugget": ((), nugget, {**square, "long_name": "variance of the white part"}),
    }
    return xr.Dataset(data)


def covariance_model(estimate: xr.Dataset) -> CovarianceModel:
    """
    Take the model from an estimate of the covariance.

    Parameters
    ----------
    estimate : xr.Dataset
        As `estimate_covariance` gives it; if it is lazy, it is computed.

    Returns
    -------
    CovarianceModel
        In the square of the unit of the map.

    Raises
    ------
    SchemaError
        If it is none, had too few pixels, or no noise.

    Examples
    --------
    >>> numbers = {"sill": 4e-6, "range_km": 12.0, "nugget": 1e-6}
    >>> covariance_model(xr.Dataset(numbers, attrs={"model": "exponential"})).range_km
    12.0
    """
    names = ("sill", "range_km", "nugget")
    require_variables("the estimate", estimate, *names)
    found = estimate[list(names)].compute()
    sill, range_km, nugget = (float(found[name]) for name in names)
    if not np.isfinite([sill, range_km, nugget]).all():
        raise SchemaError("the patch has too few pixels with data to tell a covariance; choose a larger one")
    return CovarianceModel(str(estimate.attrs.get("model", "exponential")), sill, range_km, nugget)


def covariance_matrix(points: xr.Dataset | xr.DataArray, model: CovarianceModel) -> xr.DataArray:
    """
    Fill the covariance matrix of points or pixels.

    Parameters
    ----------
    points : xr.Dataset or xr.DataArray
        With the coordinates (or variables) lon and lat, in degrees, on one dimension; or the pixels of a grid, dims
        ``(y, x)``, all of them, or stacked to one dimension and without those that have no data.
    model : CovarianceModel
        Of the noise.

    Returns
    -------
    xr.DataArray
        Not lazy, float64. Dims are that of the points, ``point`` of a grid (row by row), and the same with ``_2``.

    Raises
    ------
    SchemaError
        If there are no such coordinates, one is not finite, or there are more than 20 000 points.

    See Also
    --------
    mimtpy_cloud.kernels.covariance.covariance_matrix : The same of numbers.
    mimtpy_cloud.kernels.whiten.whiten_covariance : Without a matrix in between, and of more points.

    Examples
    --------
    >>> points = xr.Dataset({"lon": ("leaf", [0.0, 0.1]), "lat": ("leaf", [0.0, 0.0])})
    >>> covariance_matrix(points, CovarianceModel("exponential", 1.0, 11.1319, 0.5)).values.round(4).tolist()
    [[1.5, 0.3679], [0.3679, 1.5]]
    """
    x, y, dim, geographic = _places(points)
    if x.size > _MOST:
        raise SchemaError(
            f"a covariance matrix of {x.size} points takes {8e-9 * x.size**2:.0f} GB; give at most {_MOST} points, or "
            "whiten without it (mimtpy_cloud.kernels.whiten.whiten_covariance)"
        )
    if not (np.isfinite(x).all() and np.isfinite(y).all()):
        raise SchemaError("places of points must be finite; leave out points without one")
    x_km, y_km = polyconic_km(x, y) if geographic else (x / 1e3, y / 1e3)
    matrix = kernel.covariance_matrix(x_km, y_km, model)
    return xr.DataArray(matrix, dims=(dim, f"{dim}_2"), attrs={"long_name": f"covariance, {model.kind}"})


def _places(points: xr.Dataset | xr.DataArray) -> tuple[np.ndarray, np.ndarray, str, bool]:
    """Coordinates of each point, the dimension, and whether they are degrees."""
    known = points.variables if isinstance(points, xr.Dataset) else points.coords
    names = ("lon", "lat") if "lon" in known and "lat" in known else ("x", "y")
    if not all(name in known and points[name].ndim == 1 for name in names):
        raise SchemaError(
            "points need lon and lat on one dimension, or are the pixels of a grid (y, x); got "
            + (", ".join(map(str, known)) or "no coordinate")
        )
    x, y = (points[name] for name in names)
    geographic = names == ("lon", "lat") or map_projection(points) is None
    if x.dims == y.dims:
        return x.to_numpy(), y.to_numpy(), str(x.dims[0]), geographic
    rows, columns = np.meshgrid(y.to_numpy(), x.to_numpy(), indexing="ij")
    return columns.ravel(), rows.ravel(), "point", geographic


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


def _summarise(image: np.ndarray, step_km: tuple[float, float], kind: str) -> np.ndarray:
    """Semivariogram, variance and model, flat."""
    table = np.full((3, _BINS), np.nan)
    table[2] = 0
    found = semivariogram(image, step_km, _BINS)
    table[:, : found[0].size] = found
    known = image[np.isfinite(image)]
    variance = np.var(known, dtype=np.float64) if known.size else np.nan
    return np.concatenate([table.ravel(), [variance], fit_semivariogram(*found[:2], kind=kind)])
