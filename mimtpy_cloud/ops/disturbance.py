"""What disturbs a measurement of motion, simulated on any grid: ramps of orbits and swaths, the air, white noise.

Each field is lazy and has the chunks of its grid. The value of a pixel depends on its place and the key alone: not on
the chunks, nor on the part of the grid that is asked for.
"""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import dask.array as da
import numpy as np
import xarray as xr

from mimtpy_cloud.errors import GridMismatchError, ParameterError, RampError
from mimtpy_cloud.kernels.fringe import fringe
from mimtpy_cloud.kernels.noise import exponential_noise, white_noise
from mimtpy_cloud.kernels.subswath import evaluate_ramp, swath_number
from mimtpy_cloud.ops.pixels import map_projection
from mimtpy_cloud.ops.select import grid_of
from mimtpy_cloud.plan.plane import centre_of
from mimtpy_cloud.plan.polyconic import polyconic_km
from mimtpy_cloud.schema import SPATIAL_REF, require_variables

__all__ = ["simulate_atmosphere", "simulate_ramp", "simulate_white_noise", "swath_mask", "wrap"]

#: Pixels of a chunk of a grid that has none.
_CHUNK = 625
#: WGS84: semi-major axis in m, and the square of the eccentricity.
_A, _E2 = 6378137.0, 0.006694379990141317

_Map = xr.Dataset | xr.DataArray
_Line = Sequence[float]
_Coefficients = Mapping[str, float]


def simulate_ramp(
    grid: _Map,
    coefficients: _Coefficients | Sequence[_Coefficients],
    *,
    boundaries: Sequence[_Line] = (),
    origin: tuple[float, float] | None = None,
) -> xr.DataArray:
    """
    Simulate a linear or quadratic ramp, of the whole scene or of each swath.

    Parameters
    ----------
    grid : xr.Dataset or xr.DataArray
        On any grid, with coordinates ``y`` and ``x`` of pixel centres.
    coefficients : mapping of str to float, or sequence of them
        Any of ``c`` (m), ``ax, ay`` (m per m), ``axx, axy, ayy`` (m per m^2); those that lack are 0. With boundaries
        one mapping for each swath, west to east.
    boundaries : sequence of sequence of float
        Lines between swaths, as for `swath_mask`.
    origin : tuple of float, optional
        Longitude and latitude where X and Y are zero; the middle of the grid if not given. Give one to ramps on parts
        of a scene.

    Returns
    -------
    xr.DataArray
        Lazy ``ramp (y, x)``, m, float32, toward the satellite positive as the displacement that it is added to.

    Raises
    ------
    RampError
        If a coefficient or the origin is unknown or not finite, there is not one ramp for each swath, or a boundary has
        no west.

    See Also
    --------
    swath_mask : The swaths.
    mimtpy_cloud.ops.deramp.remove_ramp : Its estimate, in km.

    Notes
    -----
    ``c + ax X + ay Y + axx X^2 + axy X Y + ayy Y^2``, with X and Y in m east and north in the polyconic plane of the
    ellipsoid about the origin [1]_, or in the map projection of the grid.

    References
    ----------
    .. [1] Snyder, J. P. (1987), Map Projections: A Working Manual, U.S. Geological Survey Professional Paper 1395,
       doi:10.3133/pp1395, equations 18-12 to 18-14.

    Examples
    --------
    >>> grid = xr.Dataset(coords={"y": [0.1, 0.0, -0.1], "x": [30.0, 30.1, 30.2]})
    >>> [f"{1e3 * value:.2f} mm" for value in simulate_ramp(grid, {"c": 0.001, "ax": 1e-7}).values[1]]
    ['-0.11 mm', '1.00 mm', '2.11 mm']
    """
    ramps = [coefficients] if isinstance(coefficients, Mapping) else list(coefficients)
    if len(ramps) != len(boundaries) + 1:
        raise RampError(
            f"{len(boundaries)} boundaries make {len(boundaries) + 1} swaths, which need a ramp each, got {len(ramps)}"
        )
    for ramp in ramps:
        evaluate_ramp(np.zeros(1), np.zeros(1), ramp)  # which refuses names that are none
    plane = _Plane.of(grid, origin)
    lines = plane.lines(grid, boundaries)
    block = partial(_ramp, plane=plane, ramps=tuple(dict(ramp) for ramp in ramps), lines=lines)
    attrs = {"units": "m", "long_name": "simulated ramp" + (" of each swath" if lines else "")}
    return _field(grid, block, np.float32).rename("ramp").assign_attrs(attrs, origin=list(plane.origin))


def swath_mask(grid: _Map, boundaries: Sequence[_Line], *, origin: tuple[float, float] | None = None) -> xr.DataArray:
    """
    Number the swaths of a scene from west to east.

    Parameters
    ----------
    grid : xr.Dataset or xr.DataArray
        As for `simulate_ramp`.
    boundaries : sequence of sequence of float
        A line each, in any order: longitude and latitude of its southern point, longitude and latitude of its northern
        point. It is straight in the plane of the ramps and goes on beyond both.
    origin : tuple of float, optional
        As for `simulate_ramp`.

    Returns
    -------
    xr.DataArray
        Lazy ``swath (y, x)``, int8, 1 in the west. Each pixel is in exactly one; one on a line in that east of it.

    Raises
    ------
    RampError
        If a boundary is not four numbers, or both its points have one latitude.

    See Also
    --------
    simulate_ramp : A ramp for each.

    Examples
    --------
    >>> grid = xr.Dataset(coords={"y": [40.1, 40.0], "x": [30.0, 30.1, 30.2]})
    >>> swath_mask(grid, [(30.05, 39.9, 30.05, 40.2)]).values.tolist()
    [[1, 2, 2], [1, 2, 2]]
    """
    plane = _Plane.of(grid, origin)
    block = partial(_swaths, plane=plane, lines=plane.lines(grid, boundaries))
    attrs = {"units": "1", "long_name": "number of the swath, from west to east"}
    return _field(grid, block, np.int8).rename("swath").assign_attrs(attrs)


def simulate_atmosphere(grid: _Map, *, sill: float, range_m: float, seed: int = 0, dates: Any = None) -> xr.DataArray:
    """
    Simulate the delay of the air: noise whose covariance falls exponentially with distance.

    Parameters
    ----------
    grid : xr.Dataset or xr.DataArray
        As for `simulate_ramp`.
    sill : float
        Variance in m^2.
    range_m : float
        Distance in m over which the correlation falls to 1/e.
    seed : int
        Key of the noise.
    dates : sequence of datetime64 or str, optional
        An independent field for each.

    Returns
    -------
    xr.DataArray
        Lazy ``atmosphere (y, x)`` or ``(time, y, x)``, m, float32.

    Raises
    ------
    ParameterError
        If the sill is negative, the range is not positive, or one is not finite.

    See Also
    --------
    mimtpy_cloud.ops.covariance.estimate_covariance : The estimate of sill and range.
    mimtpy_cloud.kernels.noise.exponential_noise : The field, and its cost.

    Notes
    -----
    ``C(h) = sill exp(-h / range)``, h through the ellipsoid, so that neither a projection nor the extent matters.

    Examples
    --------
    >>> grid = xr.Dataset(coords={"y": 40 - 0.01 * np.arange(50), "x": 30 + 0.01 * np.arange(60)})
    >>> air = {"sill": 1e-4, "range_m": 5e3, "seed": 1}
    >>> part = simulate_atmosphere(grid.isel(y=slice(5, 7)), **air)
    >>> bool((simulate_atmosphere(grid, **air)[5:7] == part).all())
    True
    """
    _require("sill", sill, sill >= 0, "not negative, in m^2")
    _require("range_m", range_m, range_m > 0, "positive, in m")
    place = _flat if map_projection(grid) is not None else _geocentric
    block = partial(_air, place=place, seed=int(seed), std=math.sqrt(sill), range_m=float(range_m))
    attrs = {"units": "m", "long_name": "simulated delay of the air, line of sight"}
    return _one(_field(grid, block, np.float32, days=_days(dates)), dates).rename("atmosphere").assign_attrs(attrs)


def simulate_white_noise(grid: _Map, *, std: float, seed: int = 0, dates: Any = None) -> xr.DataArray:
    """
    Simulate noise that is independent from pixel to pixel.

    Parameters
    ----------
    grid : xr.Dataset or xr.DataArray
        As for `simulate_ramp`; evenly spaced.
    std : float
        Standard deviation in m.
    seed : int
        Key of the noise.
    dates : sequence of datetime64 or str, optional
        An independent field for each.

    Returns
    -------
    xr.DataArray
        Lazy ``white_noise (y, x)`` or ``(time, y, x)``, m, float32.

    Raises
    ------
    ParameterError
        If the standard deviation is negative or not finite.
    GridMismatchError
        If the grid is not evenly spaced.

    See Also
    --------
    mimtpy_cloud.kernels.noise.white_noise : Its distribution.

    Examples
    --------
    >>> grid = xr.Dataset(coords={"y": 40 - 0.01 * np.arange(50), "x": 30 + 0.01 * np.arange(60)})
    >>> round(float(simulate_white_noise(grid, std=0.002).std()), 4)
    0.002
    """
    _require("std", std, std >= 0, "not negative, in m")
    cells = grid_of(grid.to_dataset(name="grid") if isinstance(grid, xr.DataArray) else grid)
    # numbers of pixels from the north pole and the prime meridian: edges of a lattice are whole, others may be rounded
    first = math.floor(-cells.north / cells.dy + 0.25), math.floor(cells.west / cells.dx + 0.25)
    block = partial(_white, seed=int(seed), std=float(std))
    attrs = {"units": "m", "long_name": "simulated white noise, line of sight"}
    numbered = first[0] + np.arange(cells.ny), first[1] + np.arange(cells.nx)
    field = _field(grid, block, np.float32, numbered, _days(dates))
    return _one(field, dates).rename("white_noise").assign_attrs(attrs)


def wrap(displacement: xr.DataArray, wavelength: float) -> xr.DataArray:
    """
    Fold displacement into one interferometric fringe, as a radar measures it.

    Parameters
    ----------
    displacement : xr.DataArray
        LOS displacement in m, any dimensions.
    wavelength : float
        Of the radar in m; a fringe is half of it.

    Returns
    -------
    xr.DataArray
        In ``[-wavelength / 4, wavelength / 4)``, lazy where the displacement is, NaN where it is.

    Raises
    ------
    ParameterError
        If the wavelength is not positive and finite.

    See Also
    --------
    mimtpy_cloud.kernels.fringe.fringe : The equation.

    Examples
    --------
    >>> wrap(xr.DataArray([0.02, -0.02]), 0.05546576).round(5).values.tolist()
    [-0.00773, 0.00773]
    """
    _require("wavelength", wavelength, wavelength > 0, "positive, in m")
    what = str(displacement.attrs.get("long_name", "line-of-sight displacement"))
    folded = displacement.copy(data=fringe(displacement.data, displacement.dtype.type(wavelength)))
    return folded.assign_attrs(long_name=f"{what}, wrapped", wavelength=float(wavelength))


# --- places -----------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class _Plane:
    """Metres east and north of an origin: polyconic of degrees, or of a map projection, whose origin is `zero` then."""

    origin: tuple[float, float]
    zero: tuple[float, float] | None

    @classmethod
    def of(cls, grid: _Map, origin: tuple[float, float] | None) -> "_Plane":
        """About an origin in degrees, or the middle of the grid."""
        projection = map_projection(grid)
        x, y = _axes(grid)
        if origin is not None and not np.isfinite(origin).all():
            raise RampError(
                f"the origin of ramps is a longitude and a latitude in degrees, got {origin[0]}, {origin[1]}"
            )
        if projection is None:
            return cls(_pair(origin or centre_of(x, y)), None)
        zero = _pair(projection(*origin) if origin else centre_of(x, y, geographic=False))
        return cls(_pair(origin or projection(*zero, inverse=True)), zero)

    def at(self, x: np.ndarray, y: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Metres of coordinates of the grid."""
        if self.zero is not None:
            return x - self.zero[0], y - self.zero[1]
        x_km, y_km = polyconic_km(x, y, self.origin)
        return x_km * 1e3, y_km * 1e3

    def lines(self, grid: _Map, boundaries: Sequence[_Line]) -> tuple[tuple[float, ...], ...]:
        """Boundaries in degrees, in metres."""
        projection, lines = map_projection(grid), []
        for line in boundaries:
            if len(line) != 4:
                raise RampError(
                    "a boundary of swaths is longitude and latitude of a southern and of a northern point, got "
                    f"{', '.join(map(str, line))}"
                )
            lon, lat = np.asarray(line, np.float64).reshape(2, 2).T
            x, y = self.at(*(map(np.asarray, projection(lon, lat)) if projection else (lon, lat)))
            lines.append((float(x[0]), float(y[0]), float(x[1]), float(y[1])))
        swath_number(np.zeros(1), np.zeros(1), lines)  # which refuses lines without a west
        return tuple(lines)


def _geocentric(lon: np.ndarray, lat: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Metres from the centre of the Earth."""
    lam, phi = np.radians(lon), np.radians(lat)
    vertical = _A / np.sqrt(1 - _E2 * np.sin(phi) ** 2)
    across = vertical * np.cos(phi)
    return across * np.cos(lam), across * np.sin(lam), vertical * (1 - _E2) * np.sin(phi)


def _flat(x: np.ndarray, y: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Metres of a map projection."""
    return x, y, np.zeros((1, 1))


def _axes(grid: _Map) -> tuple[np.ndarray, np.ndarray]:
    """Coordinates of columns and rows."""
    require_variables("the grid", grid.indexes, "y", "x")
    x, y = (grid.indexes[name].to_numpy().astype(np.float64) for name in ("x", "y"))
    if not (x.size and y.size):
        raise GridMismatchError("the grid has no pixel; select at least one")
    if map_projection(grid) is None and not (np.abs(y) <= 90).all():
        raise GridMismatchError(
            f"latitudes lie between -90 and 90, got y up to {np.abs(y).max():g}; give metres a spatial_ref coordinate "
            "with their projection as crs_wkt"
        )
    return x, y


def _pair(point: Any) -> tuple[float, float]:
    first, second = point
    return float(first), float(second)


def _require(name: str, value: float, good: bool, what: str) -> None:
    if not (math.isfinite(value) and good):
        raise ParameterError(f"{name} must be finite and {what}, got {value}")


# --- blocks -----------------------------------------------------------------------------------------------------


def _ramp(
    y: np.ndarray,
    x: np.ndarray,
    *,
    plane: _Plane,
    ramps: tuple[_Coefficients, ...],
    lines: tuple[tuple[float, ...], ...],
) -> np.ndarray:
    """A ramp where there is one swath, else that of the swath."""
    east, north = plane.at(x[None, :], y[:, None])
    total, number = evaluate_ramp(east, north, ramps[0]), swath_number(east, north, lines)
    for k, ramp in enumerate(ramps[1:], 2):
        np.copyto(total, evaluate_ramp(east, north, ramp), where=number == k)
    return total.astype(np.float32)


def _swaths(y: np.ndarray, x: np.ndarray, *, plane: _Plane, lines: tuple[tuple[float, ...], ...]) -> np.ndarray:
    return swath_number(*plane.at(x[None, :], y[:, None]), lines)


def _air(
    days: np.ndarray,
    y: np.ndarray,
    x: np.ndarray,
    *,
    place: Callable[..., Any],
    seed: int,
    std: float,
    range_m: float,
) -> np.ndarray:
    where = [np.ascontiguousarray(part) for part in np.broadcast_arrays(*place(x[None, :], y[:, None]))]
    out = np.empty((days.size, *where[0].shape), np.float32)
    for i, day in enumerate(days.tolist()):
        out[i] = std * exponential_noise(where[0], where[1], where[2], seed, day, range_m)
    return out


def _white(days: np.ndarray, rows: np.ndarray, cols: np.ndarray, *, seed: int, std: float) -> np.ndarray:
    out = np.empty((days.size, rows.size, cols.size), np.float32)
    for i, day in enumerate(days.tolist()):
        out[i] = std * white_noise(rows, cols, seed, day)
    return out


# --- arrays -----------------------------------------------------------------------------------------------------


def _field(
    grid: _Map,
    block: Callable[..., np.ndarray],
    dtype: Any,
    axes: tuple[np.ndarray, np.ndarray] | None = None,
    days: np.ndarray | None = None,
) -> xr.DataArray:
    """
    Evaluate a block function of rows and columns, lazily, in the chunks of the grid.

    `axes` are what it takes of rows and columns, by default their coordinates; with days it takes those before them.
    """
    x, y = _axes(grid)
    coords = {name: grid.coords[name] for name in ("y", "x", SPATIAL_REF) if name in grid.coords}
    dims: tuple[str, ...] = ("y", "x")
    vectors: tuple[np.ndarray, ...] = axes or (y, x)
    chunks = _chunks(grid)
    if days is not None:
        coords["time"] = xr.Variable("time", days.astype("datetime64[D]").astype("datetime64[ns]"))
        dims, vectors, chunks = ("time", *dims), (days, *vectors), (_time_chunks(grid, days.size), *chunks)
    lazy = [da.from_array(v, chunks=(c,)) for v, c in zip(vectors, chunks, strict=True)]  # type: ignore[no-untyped-call]
    arguments = [part for pair in zip(lazy, dims, strict=True) for part in (pair[0], (pair[1],))]
    empty = np.empty((0,) * len(dims), dtype)
    data = da.blockwise(block, dims, *arguments, dtype=dtype, meta=empty, align_arrays=False)  # type: ignore[no-untyped-call]
    return xr.DataArray(data, coords, dims)


def _one(field: xr.DataArray, dates: Any) -> xr.DataArray:
    """The only field where no dates were asked for."""
    return field if dates is not None else field.isel(time=0, drop=True)


def _days(dates: Any) -> np.ndarray:
    """Days since 1970; that of no date is 0."""
    if dates is None:
        return np.zeros(1, np.int64)
    return np.array([np.datetime64(date, "D").astype(np.int64) for date in np.atleast_1d(dates)], np.int64)


def _time_chunks(grid: _Map, size: int) -> tuple[int, ...]:
    """Those of the series on the grid if it has as many dates, else one date each."""
    maps = grid.data_vars.values() if isinstance(grid, xr.Dataset) else (grid,)
    known = (array.chunksizes["time"] for array in maps if array.chunks is not None and "time" in array.dims)
    return next((chunks for chunks in known if sum(chunks) == size), (1,) * size)


def _chunks(grid: _Map) -> tuple[tuple[int, ...], ...]:
    """Chunks of the first lazy map of the grid."""
    maps = grid.data_vars.values() if isinstance(grid, xr.Dataset) else (grid,)
    for array in maps:
        if array.chunks is not None and {"y", "x"} <= set(array.dims):
            return array.chunksizes["y"], array.chunksizes["x"]
    chunks: tuple[tuple[int, ...], ...] = da.core.normalize_chunks(_CHUNK, (grid.sizes["y"], grid.sizes["x"]))  # type: ignore[no-untyped-call]
    return chunks
