"""What is observed, as a search needs it: one row of points with their places, looks, weights and ramp."""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import dask
import numpy as np
import xarray as xr
from dask.delayed import Delayed

from mimtpy_cloud.errors import GridMismatchError, SchemaError
from mimtpy_cloud.kernels.covariance import CovarianceModel
from mimtpy_cloud.kernels.misfit import Fit, prepare_fit
from mimtpy_cloud.kernels.ramp import ramp_design, ramp_terms
from mimtpy_cloud.kernels.whiten import whiten_covariance, whiten_dense
from mimtpy_cloud.ops.pixels import map_projection
from mimtpy_cloud.plan.places import Places
from mimtpy_cloud.plan.plane import centre_of, plane_km
from mimtpy_cloud.plan.polyconic import polyconic_km
from mimtpy_cloud.schema import LOS

__all__ = ["Covariance", "Layout", "Observation", "observations", "same_places"]

#: Variance of all points, of each, the matrix of all, or a model of it.
Covariance = float | xr.DataArray | np.ndarray | CovarianceModel | None
#: Variables that may be what is observed, in the order in which they are looked for.
_OBSERVED = ("velocity", "displacement", "east", "north", "up", "horizontal")
#: Looks of motion that is no motion along a line of sight.
_AXES = {"east": (1.0, 0.0, 0.0), "north": (0.0, 1.0, 0.0), "up": (0.0, 0.0, 1.0)}
#: Degrees, or parts of a pixel, by which places of observations and models may differ.
_NEAR = 1e-3
#: Degrees by which places of points may differ.
_SAME_POINT = 1e-5


@dataclass(frozen=True)
class Layout:
    """
    Where the points of an array lie, without their values.

    Parameters
    ----------
    shape : tuple of int
        Of the array; points are counted with the last dimension fastest.
    lon, lat : np.ndarray
        Degrees; of a grid those of its columns and of its rows, else of each point.
    x_km, y_km : np.ndarray
        km east and north of the middle, likewise.
    origin : tuple of float
        Longitude and latitude of that middle.
    grid : bool
        Whether they are columns and rows.
    """

    shape: tuple[int, ...]
    lon: np.ndarray
    lat: np.ndarray
    x_km: np.ndarray
    y_km: np.ndarray
    origin: tuple[float, float]
    grid: bool

    def flat(self, x: np.ndarray, y: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """
        Give two coordinates of every point.

        Parameters
        ----------
        x, y : np.ndarray
            Of columns and rows of a grid, else of points.

        Returns
        -------
        x, y : np.ndarray
            Shape ``(point,)``.
        """
        if not self.grid:
            return x, y
        return np.tile(x, self.shape[0]), np.repeat(y, self.shape[1])


@dataclass(frozen=True)
class Observation:
    """
    One track, point table or set of series to be explained.

    Parameters
    ----------
    values : xr.DataArray
        Any dimensions, lazy or not.
    layout : Layout or None
        Where the points are; None if the array does not tell.
    look : tuple or None
        East, north and up of the unit vectors to the satellite, arrays of the dimensions of the values, or numbers.
    name : str
        For messages.
    """

    values: xr.DataArray
    layout: Layout | None
    look: tuple[Any, Any, Any] | None
    name: str

    def fit(self, ramp: str | None, covariance: Covariance, mask: xr.DataArray | None) -> Delayed:
        """
        Prepare the observations, lazily.

        Parameters
        ----------
        ramp : str, optional
            Kind of ramp that is solved with each model.
        covariance : Covariance
            Of the observations.
        mask : xr.DataArray, optional
            True where a point counts.

        Returns
        -------
        Delayed
            Of a `Fit`.

        Raises
        ------
        SchemaError
            If the covariance is none, or ramp or covariance need places that there are not.
        GridMismatchError
            If the mask or the map of variances lies elsewhere.
        """
        if ramp is not None:
            ramp_terms(ramp)
        if (ramp not in (None, "constant") or isinstance(covariance, CovarianceModel)) and self.layout is None:
            what = "a ramp" if ramp else "a covariance that falls with distance"
            raise SchemaError(
                f"{what} needs places: {self.name} has dimensions {self.values.dims}; expected y and x, or coordinates "
                "lon and lat"
            )
        used = None if mask is None else (self.on_points("the mask", mask) > 0).data
        prepare = dask.delayed(_prepare, pure=True)  # type: ignore[attr-defined]
        fit: Delayed = prepare(self.values.data, self.layout, ramp, used, **self._noise(covariance))
        return fit

    def _noise(self, covariance: Any) -> dict[str, Any]:
        """Arguments of `_prepare` that tell of the noise."""
        if covariance is None or isinstance(covariance, CovarianceModel):
            return {} if covariance is None else {"model": covariance}
        if isinstance(covariance, xr.DataArray):
            return {"variance": self.on_points("the map of variances", covariance).data}
        array, size = np.asarray(covariance), self.values.size
        if array.shape not in ((), (size, size)) or array.dtype.kind not in "iuf":
            raise SchemaError(
                f"covariance must be a variance, a DataArray of variances, a matrix of shape {(size, size)}, or a "
                f"CovarianceModel, got {type(covariance).__name__} of shape {array.shape}"
            )
        if array.ndim == 0 and not (math.isfinite(float(array)) and array > 0):
            raise SchemaError(f"a variance must be positive, got {covariance}")
        return {"matrix" if array.ndim else "variance": array.astype(np.float64)}

    def on_points(self, what: str, array: xr.DataArray) -> xr.DataArray:
        """
        Bring another array to the dimensions of the values.

        Parameters
        ----------
        what : str
            For the message.
        array : xr.DataArray
            With some of these dimensions.

        Returns
        -------
        xr.DataArray
            Of the same shape and order.

        Raises
        ------
        GridMismatchError
            If it has other dimensions, or lies elsewhere.
        """
        if not isinstance(array, xr.DataArray) or not set(array.dims) <= set(self.values.dims):
            got = getattr(array, "dims", type(array).__name__)
            raise GridMismatchError(f"{what} needs dimensions of {self.name}, {self.values.dims}, got {got}")
        same_places(what, array, self.name, self.values)
        bare = array.reset_coords(drop=True).drop_vars(array.indexes)
        return bare.broadcast_like(self.values.reset_coords(drop=True).drop_vars(self.values.indexes)).transpose(
            *self.values.dims
        )

    def places(self) -> Delayed:
        """
        Give the points to callables, lazily.

        Returns
        -------
        Delayed
            Of `Places`.

        Raises
        ------
        SchemaError
            If the array does not tell where its points are.
        """
        if self.layout is None:
            raise SchemaError(
                f"a model that is computed needs places: {self.name} has dimensions {self.values.dims}; expected y and "
                "x, or coordinates lon and lat"
            )
        look = None
        if self.look is not None:
            look = [part.data if isinstance(part, xr.DataArray) else part for part in self.look]
        make = dask.delayed(_places, pure=True)  # type: ignore[attr-defined]
        made: Delayed = make(self.layout, look)
        return made


def observations(observed: Any) -> list[Observation]:
    """
    Read what users give as observations.

    Parameters
    ----------
    observed : xr.DataArray, xr.Dataset, or sequence of them
        One a track. Of a dataset, its velocity, displacement or component, or its only variable.

    Returns
    -------
    list of Observation

    Raises
    ------
    SchemaError
        If there is none, or a dataset does not tell what is observed.
    """
    several = isinstance(observed, Sequence)
    found = [_observation(one, number, several) for number, one in enumerate(observed if several else [observed])]
    if not found:
        raise SchemaError("expected at least one track or table of observations, got an empty list")
    names = [track.name for track in found]
    return [
        track if names.count(track.name) == 1 else replace(track, name=f"{track.name} ({number})")
        for number, track in enumerate(found)
    ]


def _observation(observed: Any, number: int, several: bool) -> Observation:
    known: Any
    if isinstance(observed, xr.Dataset):
        name = _variable(observed)
        values, known = observed[name], observed
    elif isinstance(observed, xr.DataArray):
        name, values, known = str(observed.name or "observed"), observed, observed.coords
    else:
        raise SchemaError(
            f"observations must be a DataArray or Dataset, got {type(observed).__name__}; read them first"
        )
    if values.dtype.kind != "f" or values.ndim == 0:
        raise SchemaError(f"observations must be floating-point arrays, got {values.dtype} of shape {values.shape}")
    look: Any = _AXES.get(name)  # a component is what it is, however satellites saw it
    if look is None and name != "horizontal" and all(part in known for part in LOS):
        look = tuple(known[part] for part in LOS)
    label = str(values.attrs.get("track") or observed.attrs.get("track") or (number if several else name))
    found = Observation(values, _layout(values), None, f"track {label}" if several else label)
    if isinstance(look, tuple) and isinstance(look[0], xr.DataArray):
        look = tuple(found.on_points("the look vector", part) for part in look)
    return Observation(values, found.layout, look, found.name)


def _variable(ds: xr.Dataset) -> str:
    floats = [str(n) for n, v in ds.data_vars.items() if v.dtype.kind == "f" and n not in LOS]
    named = [name for name in _OBSERVED if name in floats]
    if named[:1] and named[0] in _OBSERVED[:2]:
        return named[0]
    plain = [name for name in floats if not name.endswith(("std", "weight"))]
    if len(plain) == 1:
        return plain[0]
    raise SchemaError(
        f"expected one variable to be explained, got {', '.join(floats) or 'none'}; select it, ds['name']"
    )


def _layout(values: xr.DataArray) -> Layout | None:
    if values.dims == ("y", "x") and {"y", "x"} <= set(values.coords):
        return _grid_layout(values)
    if not {"lon", "lat"} <= set(values.coords):
        return None
    lon, lat = (
        values[name].broadcast_like(values).transpose(*values.dims).to_numpy().astype(float).reshape(-1)
        for name in ("lon", "lat")
    )
    if not (np.isfinite(lon).all() and np.isfinite(lat).all()):
        raise SchemaError("a point has no longitude or latitude; leave it out")
    lon = (lon - lon[0] + 180.0) % 360 + lon[0] - 180.0  # all on one side of the antimeridian
    centre = (float(lon.min() + lon.max()) / 2, float(lat.min() + lat.max()) / 2)
    return Layout(values.shape, lon, lat, *plane_km(lon, lat, centre), centre, grid=False)


def _grid_layout(values: xr.DataArray) -> Layout:
    x, y = (values[name].to_numpy().astype(float) for name in ("x", "y"))
    projection = map_projection(values)
    if projection is None:
        centre = centre_of(x, y)
        return Layout(values.shape, x, y, *plane_km(x, y, centre), centre, grid=True)
    centre = centre_of(x, y, geographic=False)
    x_km, y_km = plane_km(x, y, centre, geographic=False)
    columns, rows = np.tile(x, y.size), np.repeat(y, x.size)
    lon, lat = projection(columns, rows, inverse=True)
    origin = projection(*centre, inverse=True)
    return Layout(values.shape, lon, lat, np.tile(x_km, y.size), np.repeat(y_km, x.size), origin, grid=False)


def same_places(what: str, one: xr.DataArray, name: str, other: xr.DataArray) -> None:
    """
    Check that two arrays have the same places along their common dimensions.

    Parameters
    ----------
    what : str
        Name of the first in the message.
    one : xr.DataArray
        Array.
    name : str
        Name of the other.
    other : xr.DataArray
        Array; a dimension without coordinates must have one length.

    Raises
    ------
    GridMismatchError
        If they differ.
    """
    for dim in (dim for dim in one.dims if dim in other.dims):
        a, b = (array[dim].to_numpy() if dim in array.coords else np.arange(array.sizes[dim]) for array in (one, other))
        _require_equal(str(dim), what, a, name, b, _agree)
    for place in ("lon", "lat"):
        if all(place in array.coords and place not in array.indexes for array in (one, other)):
            a, b = (array[place].to_numpy() for array in (one, other))
            _require_equal(place, what, a, name, b, _near)


def _require_equal(
    dim: str, what: str, a: np.ndarray, name: str, b: np.ndarray, agree: Callable[[np.ndarray, np.ndarray], bool]
) -> None:
    if a.shape != b.shape or not agree(a, b):
        raise GridMismatchError(
            f"{what} and {name} need the same {dim}, in the same order: {_span(a)} and {_span(b)}; select or align them"
        )


def _near(a: np.ndarray, b: np.ndarray) -> bool:
    """Whether places of points agree; turns do not count."""
    return bool(np.abs((a - b + 180.0) % 360.0 - 180.0).max(initial=0.0) <= _SAME_POINT)


def _agree(a: np.ndarray, b: np.ndarray) -> bool:
    if a.dtype.kind != "f" or b.dtype.kind != "f":
        return bool(np.array_equal(a, b))
    step = abs(b[-1] - b[0]) / (b.size - 1) if b.size > 1 else 1.0
    return bool(np.abs(a - b).max(initial=0.0) <= _NEAR * step)


def _span(values: np.ndarray) -> str:
    return f"{values.size} values" + (f" from {values[0]} to {values[-1]}" if values.size else "")


def _prepare(
    values: np.ndarray,
    layout: Layout | None,
    ramp: str | None,
    used: np.ndarray | None,
    *,
    model: CovarianceModel | None = None,
    matrix: np.ndarray | None = None,
    variance: Any = None,
) -> Fit:
    """Fit of a track."""
    data = np.asarray(values, np.float64).reshape(-1)
    good = np.isfinite(data) if used is None else np.isfinite(data) & np.asarray(used).reshape(-1)
    if variance is not None:
        variance = np.broadcast_to(np.asarray(variance, np.float64), np.shape(values)).reshape(-1)
        good &= np.isfinite(variance) & (variance > 0)
    if not good.any():
        raise GridMismatchError("no point is left to be explained: all are masked, or have no data or no variance")
    design = np.empty((data.size, 0))
    x_km, y_km = (np.zeros(data.size),) * 2 if layout is None else layout.flat(layout.x_km, layout.y_km)
    if ramp is not None:
        design = ramp_design(ramp, x_km, y_km)
    whitener = None
    if model is not None and layout is not None:
        lon, lat = layout.flat(layout.lon, layout.lat)
        whitener = whiten_covariance(*polyconic_km(lon[good], lat[good]), model)
    elif matrix is not None:
        whitener = whiten_dense(matrix[np.ix_(good, good)], overwrite=True)
    return prepare_fit(data, design, variance, used=good, whitener=whitener)


def _places(layout: Layout, look: Any) -> Places:
    size = math.prod(layout.shape)
    lon, lat = layout.flat(layout.lon, layout.lat)
    if look is None:
        return Places(lon, lat)
    vectors = [np.broadcast_to(np.asarray(part), layout.shape).reshape(size).astype(np.float64) for part in look]
    return Places(lon, lat, (vectors[0], vectors[1], vectors[2]))
