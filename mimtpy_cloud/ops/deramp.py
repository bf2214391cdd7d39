"""Estimate and remove ramps: planes and quadratic surfaces over a scene, of one map or of every date of a series."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import dask.array as da
import numpy as np
import xarray as xr
from dask.graph_manipulation import bind

from mimtpy_cloud.errors import GridMismatchError, RampError, SchemaError
from mimtpy_cloud.kernels.huber import accumulate_huber, solve_huber
from mimtpy_cloud.kernels.polygon import pixels_in_polygon
from mimtpy_cloud.kernels.ramp import evaluate_ramp, ramp_degrees, ramp_terms, subtract_ramp
from mimtpy_cloud.kernels.rampfit import accumulate_ramp, ramp_size, solve_ramp
from mimtpy_cloud.ops.pixels import map_projection
from mimtpy_cloud.plan.dates import parse_dates
from mimtpy_cloud.plan.grid import ON_LATTICE
from mimtpy_cloud.plan.plane import centre_of, plane_km
from mimtpy_cloud.schema import require_variables

__all__ = ["estimate_ramp", "remove_ramp"]

#: Steps of a robust fit after the first, which is least squares.
_STEPS = 6
#: Variables that may hold a ramp, in the order in which they are looked for.
_RAMPED = ("velocity", "displacement", "east", "north", "horizontal", "up")
_REMOVED = "ramp_coefficient"


@dataclass(frozen=True)
class _Plane:
    """Kilometres east and north of an origin on the grid of an array."""

    x: np.ndarray
    y: np.ndarray
    x_km: np.ndarray
    y_km: np.ndarray
    origin: tuple[float, float]
    projection: Any

    @classmethod
    def of(cls, data: xr.DataArray, origin: tuple[float, float] | None) -> "_Plane":
        """Plane of an array about an origin (lon, lat), by default its middle."""
        require_variables("the array", data.coords, "y", "x")
        x, y = data["x"].values, data["y"].values
        if not (x.size and y.size):
            raise GridMismatchError(f"a ramp needs pixels, got {y.size} rows and {x.size} columns")
        projection = map_projection(data)
        geographic = projection is None
        if origin is None:
            centre = centre_of(x, y, geographic=geographic)
            origin = centre if geographic else projection(*centre, inverse=True)
        lon, lat = map(float, origin)
        centre = (lon, lat) if geographic else projection(lon, lat)
        return cls(x, y, *plane_km(x, y, centre, geographic=geographic), (lon, lat), projection)

    @property
    def scale(self) -> float:
        """Largest distance from the origin along an axis, km, not less than a metre."""
        return max(float(np.abs(self.x_km).max()), float(np.abs(self.y_km).max()), 1e-3)

    def rings(self, polygons: Sequence[np.ndarray]) -> list[np.ndarray]:
        """Polygons (lon, lat) in the coordinates of the grid."""
        if self.projection is not None:
            return [np.column_stack(self.projection(*ring.T)) for ring in polygons]
        middle = (self.x[0] + self.x[-1]) / 2
        return [ring - [360 * np.round((ring[:, 0].mean() - middle) / 360), 0] for ring in polygons]

    def at(self, point: tuple[float, float]) -> tuple[float, float]:
        """Position in km of the pixel that contains a point (lon, lat), or of the point if none does."""
        x, y = point if self.projection is None else self.projection(*point)
        return _nearest(self.x, self.x_km, x, 0 if self.projection else 360), _nearest(self.y, self.y_km, y, 0)


def _nearest(centres: np.ndarray, km: np.ndarray, value: float, period: int) -> float:
    """Kilometres of the centre of the pixel that holds a coordinate; extrapolated outside."""
    if period:
        value -= period * round((value - (centres[0] + centres[-1]) / 2) / period)
    if centres.size == 1:
        return float(km[0])
    index = (value - centres[0]) * (centres.size - 1) / (centres[-1] - centres[0])
    if -0.5 <= index <= centres.size - 0.5:
        index = float(np.clip(np.floor(index + 0.5 + 1e-6), 0, centres.size - 1))
    return float(km[0] + index * (km[-1] - km[0]) / (centres.size - 1))


def estimate_ramp(
    data: xr.DataArray,
    kind: str = "linear",
    *,
    mask: xr.DataArray | None = None,
    weights: xr.DataArray | None = None,
    robust: bool = False,
    exclude: Sequence[np.ndarray] | None = None,
    origin: tuple[float, float] | None = None,
) -> xr.Dataset:
    """
    Fit a ramp to a map, or to every date of a series, by least squares over all pixels.

    Parameters
    ----------
    data : xr.DataArray
        Displacement, velocity or any other field, float, dimensions ``(y, x)`` or ``(time, y, x)``, NaN where there is
        no data; coordinates in degrees, or in metres of the projection of its ``spatial_ref``.
    kind : str
        ``"linear"`` (1, x, y), ``"quadratic"`` (and x^2, x y, y^2), ``"linear_range"`` (1, x), ``"linear_azimuth"``
        (1, y), ``"quadratic_range"`` (1, x, x^2), ``"quadratic_azimuth"`` (1, y, y^2), or ``"constant"``; x is km east,
        y km north of the origin.
    mask : xr.DataArray, optional
        Boolean ``(y, x)`` on the same grid; true where a pixel is used.
    weights : xr.DataArray, optional
        Weight of each pixel, as an inverse variance is, ``(y, x)`` or as `data`. Pixels without a positive one are not
        used.
    robust : bool
        Whether to fit by Huber's M-estimator, which large residuals (deformation, unwrapping errors) move little.
    exclude : sequence of np.ndarray, optional
        Polygons whose pixels are not used: arrays ``(n, 2)`` of longitude and latitude in degrees.
    origin : tuple of float, optional
        Longitude and latitude from which x and y count; by default the middle of the grid.

    Returns
    -------
    xr.Dataset
        Lazy and small: ``coefficient (term)`` in the unit of the data, a km and a km^2, as attribute ``term_units``
        lists; ``covariance (term, term_)``; ``sigma``, the standard deviation of the residuals (of weight one);
        ``count`` of pixels used; each with a leading ``time`` for a series. Attributes ``kind``, ``origin`` and
        ``robust``. A date without any usable pixel has count 0 and NaN. Computing it raises `RampError` if the pixels
        do not determine the ramp; the message says how many there are.

    Raises
    ------
    RampError
        If there is no such kind.
    SchemaError
        If the dimensions, the dtype or the polygons are not as above.
    GridMismatchError
        If mask or weights lie on another grid.

    See Also
    --------
    remove_ramp : Subtract it.
    mimtpy_cloud.kernels.rampfit.solve_ramp : The equations.

    Notes
    -----
    One pass and one additive reduction; robust, one pass more for each of six steps, each of which gives less weight to
    residuals beyond 1.345 standard deviations (from their median absolute deviation). The covariance takes the noise of
    pixels as independent; that of InSAR is not, so the truth is less certain.

    Examples
    --------
    >>> x, y = np.linspace(30, 31, 5), np.linspace(1, 0, 4)
    >>> east_km = (x - 30.5) * 111.195 * np.cos(np.deg2rad(0.5))
    >>> velocity = xr.DataArray(0.02 + 1e-4 * east_km + 0 * y[:, None], {"y": y, "x": x}, ("y", "x"))
    >>> ramp = estimate_ramp(velocity, "linear_range")
    >>> ramp["coefficient"].values.round(6).tolist(), int(ramp["count"])
    ([0.02, 0.0001], 20)
    """
    ramp_terms(kind)
    _require_map(data)
    data = _chunked_map(data)
    plane = _Plane.of(data, origin)
    fitted = _fit(data, plane, kind, _pixel_weights(data, plane, mask, weights, exclude), robust=robust)
    return _labelled(fitted, data, kind).assign_attrs(kind=kind, origin=list(plane.origin), robust=robust)


def _require_map(data: xr.DataArray) -> None:
    if not isinstance(data, xr.DataArray):
        raise SchemaError(
            f"expected a DataArray, got {type(data).__name__}; select a variable, for example ds['velocity']"
        )
    if data.dims not in (("y", "x"), ("time", "y", "x")):
        raise SchemaError(f"a ramp needs dimensions (y, x) or (time, y, x), got {data.dims}; transpose or select first")
    if data.dtype.kind != "f":
        raise SchemaError(f"a ramp needs floating-point data, got {data.dtype}; convert it with astype('float32')")


def _chunked_map(data: xr.DataArray) -> xr.DataArray:
    """The same as one chunk if it is in memory; once, since dask hashes it."""
    return data if data.chunks is not None else data.chunk()


def _lazy(data: xr.DataArray) -> da.Array:
    lazy: da.Array = _chunked_map(data).data
    return lazy


def _on_blocks(data: da.Array, x: np.ndarray, y: np.ndarray) -> tuple[Any, ...]:
    """Coordinates chunked as the data, as pairs of arguments of blockwise."""
    return _chunked(x, data.chunks[-1]), "x", _chunked(y, data.chunks[-2]), "y"


def _chunked(values: np.ndarray, chunks: tuple[int, ...]) -> da.Array:
    chunked: da.Array = da.from_array(values, (chunks,))  # type: ignore[no-untyped-call]
    return chunked


def _index(array: Any) -> str:
    return "tyx"[-array.ndim :]


def _pixel_weights(
    data: xr.DataArray,
    plane: _Plane,
    mask: xr.DataArray | None,
    weights: xr.DataArray | None,
    exclude: Sequence[np.ndarray] | None,
) -> da.Array | None:
    """Weights of the pixels, zero where they are not used; None if all count the same."""
    total = None if weights is None else _lazy(_on_grid("weights", weights, data))
    use = [] if mask is None else [_lazy(_on_grid("mask", mask, data)) > 0]
    if exclude is not None:
        rings = plane.rings(_polygons(exclude))
        args = _on_blocks(_lazy(data), plane.x, plane.y)
        outside = da.blockwise(  # type: ignore[no-untyped-call]
            _outside, "yx", *args, rings=rings, dtype=bool, meta=np.empty((0, 0), bool)
        )
        use.append(outside)
    for good in use:
        total = good if total is None else da.where(good, total, 0.0)
    return total


def _on_grid(name: str, array: xr.DataArray, data: xr.DataArray) -> xr.DataArray:
    """Check that an array lies on the grid, and the dates, of the data."""
    if not isinstance(array, xr.DataArray) or array.dims not in (("y", "x"), data.dims):
        got = getattr(array, "dims", type(array).__name__)
        raise SchemaError(f"{name} must be a DataArray of dimensions (y, x) or {data.dims}, got {got}")
    for dim in array.dims:
        if not _same_places(array[dim].values, data[dim].values):
            raise GridMismatchError(
                f"{name} and data need the same coordinate {dim}: {name} has {_span(array, str(dim))}, data has "
                f"{_span(data, str(dim))}; select the same box and dates of both"
            )
    return array


def _same_places(a: np.ndarray, b: np.ndarray) -> bool:
    """Whether coordinates agree: pixel centres but for rounding, dates exactly."""
    if a.shape != b.shape or a.dtype.kind != "f" or a.size < 2:
        return np.array_equal(a, b)
    return bool(np.abs(a - b).max() <= ON_LATTICE * abs(b[1] - b[0]))


def _span(array: xr.DataArray, dim: str) -> str:
    values = array[dim].values
    return f"{values.size} values" + (f" from {values[0]} to {values[-1]}" if values.size else "")


def _polygons(exclude: Sequence[np.ndarray]) -> list[np.ndarray]:
    rings = [np.asarray(ring, np.float64) for ring in exclude]
    for ring in rings:
        if ring.ndim != 2 or ring.shape[1] != 2 or len(ring) < 3 or not np.isfinite(ring).all():
            raise SchemaError(
                "exclude needs a list of polygons, arrays (n, 2) of finite longitudes and latitudes, three or more, "
                f"got one of shape {ring.shape}"
            )
    return rings


def _outside(x: np.ndarray, y: np.ndarray, rings: list[np.ndarray]) -> np.ndarray:
    outside = np.ones((y.size, x.size), bool)
    for ring in rings:
        outside &= ~pixels_in_polygon(x, y, ring)
    return outside


def _fit(data: xr.DataArray, plane: _Plane, kind: str, weights: da.Array | None, *, robust: bool) -> da.Array:
    """Count, sigma, coefficients and covariance along the last axis, for each date."""
    options = {"kind": kind, "scale": plane.scale}
    fitted = _step(data, plane, weights, None, options)
    for _ in range(_STEPS if robust else 0):
        fitted = _step(data, plane, weights, fitted, options)
    return fitted


def _step(
    data: xr.DataArray, plane: _Plane, weights: da.Array | None, before: da.Array | None, options: dict[str, Any]
) -> da.Array:
    """Least squares, or the next step of a robust fit."""
    values, p = _lazy(data), len(ramp_terms(options["kind"]))
    lead, size = _index(values)[:-2], 2 + p + p * p
    state = () if before is None else (before, lead + "r")
    if before is not None:
        values = _read_again(values, before)
    args = [values, _index(values), *_on_blocks(values, plane.x_km, plane.y_km), *(state or (None, None))]
    if weights is not None:
        args += [weights, _index(weights)]
    once = {"y": 1, "x": 1}
    table = da.blockwise(  # type: ignore[no-untyped-call]
        _sum_block,
        _index(values) + "v",
        *args,
        new_axes={"v": _vector_size(options["kind"], robust=before is not None)},
        adjust_chunks=once,
        concatenate=True,
        dtype=np.float64,
        meta=np.empty((0,) * (values.ndim + 1)),
        **options,
    ).sum(axis=(-3, -2))
    dates = (_chunked(parse_dates(data["time"].values), values.chunks[0]), "t") if lead else (None, None)
    solved: da.Array = da.blockwise(  # type: ignore[no-untyped-call]
        _solve_block,
        lead + "s",
        table,
        lead + "v",
        *dates,
        *((before, lead + "r") if before is not None else ()),
        new_axes={"s": size},
        concatenate=True,
        dtype=np.float64,
        meta=np.empty((0,) * (1 + len(lead))),
        **options,
    )
    return solved


def _vector_size(kind: str, *, robust: bool) -> int:
    block, one = np.zeros((1, 1)), np.zeros(1)
    if not robust:
        return ramp_size(kind)
    return accumulate_huber(block, one, one, kind, np.zeros(len(ramp_terms(kind))), 1.0).size


def _sum_block(
    values: np.ndarray,
    x_km: np.ndarray,
    y_km: np.ndarray,
    before: np.ndarray | None = None,
    weights: np.ndarray | None = None,
    *,
    kind: str,
    scale: float,
) -> np.ndarray:
    """Vector of each date of a block, in place of its rows and columns."""
    maps = values.reshape(-1, *values.shape[-2:])
    own: list[Any] = [None] * len(maps)
    if weights is not None:
        own = list(np.broadcast_to(weights, values.shape).reshape(maps.shape))
    p, vectors = len(ramp_terms(kind)), []
    states = [None] * len(maps) if before is None else list(before.reshape(len(maps), -1))
    for one, weight, state in zip(maps, own, states, strict=True):
        if state is None:
            vectors.append(accumulate_ramp(one, x_km, y_km, kind, weight, scale=scale))
        elif state[0]:
            ramp, sigma = state[2 : 2 + p], float(state[1])
            vectors.append(accumulate_huber(one, x_km, y_km, kind, ramp, sigma, weight, scale=scale))
        else:
            vectors.append(np.zeros(_vector_size(kind, robust=True)))
    return np.array(vectors).reshape(*values.shape[:-2], 1, 1, -1)


def _solve_block(
    table: np.ndarray, dates: np.ndarray | None = None, before: np.ndarray | None = None, *, kind: str, scale: float
) -> np.ndarray:
    """Solve each date; one of a series that has no pixel stays unknown."""
    p, rows = len(ramp_terms(kind)), table.reshape(-1, table.shape[-1])
    results = np.full((len(rows), 2 + p + p * p), np.nan)
    states = [None] * len(rows) if before is None else list(before.reshape(len(rows), -1))
    for k, (vector, state) in enumerate(zip(rows, states, strict=True)):
        if dates is not None and vector[0] == 0:
            results[k, 0] = 0
            continue
        try:
            if state is None:
                ramp, covariance, sigma2, n = solve_ramp(vector, kind, scale)
                sigma = np.sqrt(sigma2)
            else:
                ramp, covariance, sigma, n = solve_huber(vector, kind, scale)
        except RampError as error:
            raise error if dates is None else RampError(f"{dates[k]}: {error}") from error
        results[k] = n, sigma, *ramp, *covariance.ravel()
    return results.reshape(*table.shape[:-1], -1)


def _labelled(fitted: da.Array, data: xr.DataArray, kind: str) -> xr.Dataset:
    """Name the parts of the result."""
    p, lead = len(ramp_terms(kind)), data.dims[:-2]
    unit = str(data.attrs.get("units", "1"))
    units = [unit + ("", "/km", "/km^2")[degree] for degree in ramp_degrees(kind)]
    names = np.array(ramp_terms(kind), dtype=object)
    covariance = fitted[..., 2 + p :].reshape((*fitted.shape[:-1], p, p))
    variables = {
        "coefficient": ((*lead, "term"), fitted[..., 2 : 2 + p], {"units": unit, "term_units": units}),
        "covariance": ((*lead, "term", "term_"), covariance, {"units": f"({unit})^2", "term_units": units}),
        "sigma": (lead, fitted[..., 1], {"units": unit, "long_name": "standard deviation of the residuals"}),
        "count": (lead, fitted[..., 0].astype(np.int64), {"units": "1", "long_name": "number of pixels used"}),
    }
    coords = {"term": ("term", names), "term_": ("term_", names)}
    ds = xr.Dataset(variables, coords)
    return ds.assign_coords(time=data["time"]) if lead else ds


def remove_ramp[Data: (xr.Dataset, xr.DataArray)](
    data: Data,
    ramp: str | xr.Dataset = "linear",
    *,
    variable: str | None = None,
    keep_reference: bool = False,
    mask: xr.DataArray | None = None,
    weights: xr.DataArray | None = None,
    robust: bool = False,
    exclude: Sequence[np.ndarray] | None = None,
    origin: tuple[float, float] | None = None,
) -> Data:
    """
    Subtract a ramp from a map, or from every date of a series its own.

    Parameters
    ----------
    data : xr.Dataset or xr.DataArray
        Product or series; of a dataset, pixels that are not ``valid`` take no part in the fit, but lose the ramp too.
    ramp : str or xr.Dataset
        Kind of ramp to estimate, or a result of `estimate_ramp`, lazy or computed, also of another part of the scene.
    variable : str, optional
        Variable of a dataset; by default its velocity, displacement, or only component.
    keep_reference : bool
        Whether to shift the ramp so that it is zero at the pixel of attribute ``reference_point``, as MintPy does. Else
        the constant goes with the ramp, and with it the datum: ``reference_point`` is dropped.
    mask, weights : xr.DataArray, optional
        As for `estimate_ramp`; `mask` replaces ``valid``.
    robust : bool
        As there.
    exclude : sequence of np.ndarray, optional
        As there.
    origin : tuple of float, optional
        As there.

    Returns
    -------
    xr.Dataset or xr.DataArray
        The same with the ramp removed, lazy, in its dtype; standard deviations as they were. Attribute ``ramp_removed``
        says what was subtracted; a dataset also gets ``ramp_coefficient``. A date without usable pixels stays as it is,
        and so does one that is zero everywhere (the reference date).

    Raises
    ------
    RampError
        If there is no such kind; when computed, if the pixels do not determine the ramp.
    SchemaError
        If there is nothing to remove a ramp from, a ramp is given and also options of its estimate, its dates differ,
        or ``reference_point`` is needed and missing.
    GridMismatchError
        If mask or weights lie on another grid.

    See Also
    --------
    estimate_ramp : The fit.

    Notes
    -----
    A map is held in memory from the fit to the removal, and read once. A series is read twice (robust, eight times), so
    that no more than a few blocks are held.
    """
    if isinstance(data, xr.Dataset):
        name = variable or _ramped(data)
        require_variables("the dataset", data.data_vars, name)
        array = data[name].assign_attrs(data.attrs | data[name].attrs)
        if mask is None and isinstance(ramp, str) and "valid" in data:
            mask = data["valid"]
    else:
        array = data
    _require_map(array)
    array = _chunked_map(array)
    if isinstance(ramp, str):
        ramp = estimate_ramp(
            array, ramp, mask=mask, weights=weights, robust=robust, exclude=exclude, origin=origin
        ).assign_attrs(excluded_polygons=len(exclude or ()))
    elif robust or any(option is not None for option in (mask, weights, exclude, origin)):
        raise SchemaError(
            "mask, weights, robust, exclude and origin belong to estimate_ramp, which made this ramp already"
        )
    coefficient = _coefficients(ramp, array)
    plane = _Plane.of(array, tuple(ramp.attrs["origin"]))
    datum = plane.at(_reference_point(array)) if keep_reference else None
    flat = _subtract(array, plane, coefficient, str(ramp.attrs["kind"]), datum)
    attrs = {"ramp_removed": dict(ramp.attrs) | {"keep_reference": keep_reference}}
    if isinstance(data, xr.DataArray):
        return _with_record(data.copy(data=flat), attrs, keep_reference=keep_reference)
    terms: list[Any] = [
        n for n, v in data.variables.items() if {"term", "term_"} & set(v.dims)
    ]  # of a mosaic, or a ramp before
    kept = data.drop_vars([*terms, _REMOVED], errors="ignore").assign({name: data[name].copy(data=flat)})
    kept[_REMOVED] = coefficient.assign_attrs(long_name=f"ramp removed from the {name}").reset_coords(drop=True)
    return _with_record(kept, attrs, keep_reference=keep_reference)


def _with_record[Data: (xr.Dataset, xr.DataArray)](data: Data, attrs: dict[str, Any], *, keep_reference: bool) -> Data:
    """Say what was removed; without its constant, the datum is none of a pixel any more."""
    recorded = data.assign_attrs(attrs)
    if not keep_reference:
        recorded.attrs.pop("reference_point", None)
    return recorded


def _ramped(ds: xr.Dataset) -> str:
    """Variable that a ramp is removed from."""
    found = [name for name in _RAMPED if name in ds]
    if not found:
        has = ", ".join(map(str, ds.data_vars))
        raise SchemaError(
            f"a ramp needs one of {', '.join(_RAMPED)}, or another named by variable; the dataset has {has}"
        )
    if found[0] not in _RAMPED[:2] and len(found) > 1:
        raise SchemaError(f"the dataset has {', '.join(found)}; say which by variable (--variable)")
    return found[0]


def _coefficients(ramp: xr.Dataset, data: xr.DataArray) -> xr.DataArray:
    """Coefficients of a ramp that suits the data."""
    if not isinstance(ramp, xr.Dataset) or "coefficient" not in ramp or not {"kind", "origin"} <= ramp.attrs.keys():
        raise SchemaError("ramp must be a kind or a result of estimate_ramp, with coefficient, kind and origin")
    coefficient = ramp["coefficient"]
    wanted = (*data.dims[:-2], "term")
    if coefficient.dims != wanted:
        raise SchemaError(
            f"the ramp has dimensions {coefficient.dims}, the data need {wanted}; estimate it from such data"
        )
    if "time" in wanted and not np.array_equal(coefficient["time"].values, data["time"].values):
        raise SchemaError("the dates of the ramp are not those of the data; select the same dates of both")
    return coefficient


def _reference_point(data: xr.DataArray) -> tuple[float, float]:
    point = data.attrs.get("reference_point")
    if point is None:
        raise SchemaError("keep_reference needs the attribute reference_point; call set_reference, or leave it out")
    return float(point[0]), float(point[1])


def _subtract(
    data: xr.DataArray, plane: _Plane, coefficient: xr.DataArray, kind: str, datum: tuple[float, float] | None
) -> da.Array:
    ramp = coefficient.chunk(term=-1).data
    values = _read_again(_lazy(data), ramp) if coefficient.chunks is not None else _lazy(data)
    if data.ndim == 3:
        ramp = ramp.rechunk((values.chunks[0], -1))
    result: da.Array = da.blockwise(  # type: ignore[no-untyped-call]
        _subtract_block,
        _index(values),
        values,
        _index(values),
        *_on_blocks(values, plane.x_km, plane.y_km),
        ramp,
        _index(values)[:-2] + "r",
        concatenate=True,
        dtype=data.dtype,
        meta=np.empty((0,) * values.ndim, data.dtype),
        kind=kind,
        datum=datum,
    )
    return result


def _read_again(values: da.Array, after: da.Array) -> da.Array:
    """Series anew once something else is known, so that no block is held in memory until then; a map is small."""
    if values.ndim < 3:
        return values
    again: da.Array = bind(values, after, seed=after.name, assume_layers=False)
    return again


def _subtract_block(
    values: np.ndarray,
    x_km: np.ndarray,
    y_km: np.ndarray,
    coefficients: np.ndarray,
    *,
    kind: str,
    datum: tuple[float, float] | None,
) -> np.ndarray:
    """Subtract from each date its ramp; one whose ramp is unknown stays as it is."""
    maps = values.reshape(-1, *values.shape[-2:])
    out = []
    for one, ramp in zip(maps, coefficients.reshape(len(maps), -1), strict=True):
        if np.isnan(ramp).any():
            out.append(one)
            continue
        c = ramp.copy()
        if datum is not None:
            c[0] -= evaluate_ramp(c, np.array(datum[:1]), np.array(datum[1:]), kind)[0, 0]
        out.append(subtract_ramp(one, c, x_km, y_km, kind))
    return (np.stack(out) if len(out) > 1 else out[0]).reshape(values.shape)
