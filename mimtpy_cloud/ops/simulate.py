"""Synthetic tracks with known truth: what a satellite would measure over an invented country."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import dask.array as da
import numpy as np
import xarray as xr
from dask.base import tokenize

from mimtpy_cloud.errors import DateError, ReferencePointError, SchemaError
from mimtpy_cloud.kernels.landscape import Landscape
from mimtpy_cloud.kernels.look import project_enu
from mimtpy_cloud.kernels.noise import plane_wave_noise, white_noise
from mimtpy_cloud.kernels.orbit import (
    EARTH_RADIUS,
    ORBIT_HEIGHT,
    look_vector,
    orbit_angles,
    orbit_frame,
    orbit_position,
)
from mimtpy_cloud.ops.disturbance import wrap
from mimtpy_cloud.ops.disturbed import disturb
from mimtpy_cloud.ops.model import Model
from mimtpy_cloud.plan.grid import Window
from mimtpy_cloud.schema import DAYS_PER_YEAR, RESOLUTIONS, SPATIAL_REF, VARIABLES, track_name

__all__ = ["simulate_scene", "true_velocity"]

WAVELENGTH = 0.05546576
#: Pixels with a lower temporal coherence are not usable.
MIN_COHERENCE = 0.7
#: Standard deviation of the noise of one date, m, and the wavelengths of its correlated part, m.
_ATMOSPHERE, _WHITE = 3e-3, 1e-3
_SHORTEST, _LONGEST, _N_WAVES = 4e3, 120e3, 24
#: Largest angle between the flight direction and north or south, degrees; a footprint tilted more hardly fits a box.
_MAX_TILT = 30.0

_NAMES = (
    *("los_east", "los_north", "los_up", "slant_range", "height", "temporal_coherence", "avg_spatial_coherence"),
    *("valid", "is_water"),
)


def true_velocity(
    lon: Any, lat: Any, *, landscape: Landscape | None = None
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """
    Give the velocity of the ground that `simulate_scene` observes.

    Parameters
    ----------
    lon, lat : array-like
        Degrees; shapes broadcast.
    landscape : Landscape, optional
        Where; the default country if not given.

    Returns
    -------
    east, north, up : np.ndarray
        Velocity in m/yr.

    See Also
    --------
    simulate_scene : The measurement of it.

    Examples
    --------
    >>> east, north, up = true_velocity(37.0, [37.0, 39.0])
    >>> (east * 1000).round(1).tolist()
    [-11.1, 11.1]
    """
    return (landscape or Landscape()).velocity(np.asarray(lon, float), np.asarray(lat, float))


def simulate_scene(
    window: Window,
    *,
    dates: Sequence[Any],
    orbit_direction: str = "ascending",
    relative_orbit: int = 64,
    frames: tuple[int, int] = (113, 119),
    heading: float | None = None,
    incidence: float = 38.0,
    reference_point: tuple[float, float] | None = None,
    reference_date: Any = None,
    project: str | None = None,
    noise: float = 1.0,
    seed: int = 0,
    chunks: tuple[int, int] | None = None,
    landscape: Landscape | None = None,
    look_side: str = "right",
    ramp: Any = None,
    boundaries: Sequence[Sequence[float]] = (),
    atmosphere: tuple[float, float] | None = None,
    white: float = 0.0,
    sources: Sequence[tuple[Model, Mapping[str, float]]] = (),
    wrapped: bool = False,
) -> xr.Dataset:
    """
    Simulate the LOS displacement series of one Sentinel-1 track, lazily.

    Parameters
    ----------
    window : Window
        Pixels of the global lattice; the footprint is the largest tilted rectangle in it.
    dates : sequence of datetime64 or str
        Acquisitions, increasing, at least two.
    orbit_direction : str
        ``"ascending"`` or ``"descending"``.
    relative_orbit : int
        Relative orbit number; with the direction it names the track.
    frames : tuple of int
        First and last frame.
    heading : float, optional
        Flight direction at the window centre, degrees clockwise from north, in any branch, at most 30 from north or
        south; -12.5 or -167.5 if not given.
    incidence : float
        Incidence angle at the window centre, degrees, between 0 and 90. It grows away from the ground track.
    reference_point : tuple of float, optional
        Longitude and latitude of the pixel that stays 0; the window centre if not given.
    reference_date : datetime64 or str, optional
        Date that is 0; the first if not given.
    project : str, optional
        Project name; ``SynthSen`` + ``AT064`` if not given.
    noise : float
        Scale of all noise; 0 gives the exact linear motion. At 1, a date has 3 mm of correlated and 1 mm of white
        noise, and pixels below the usable coherence have ten times the white noise.
    seed : int
        Key of the noise. The noise of a pixel and date depends on nothing but this, the track and where and when
        they are: not on the chunks, the other dates or the window's size.
    chunks : tuple of int, optional
        Dates and rows and columns of a chunk: ``(dates, pixels)``; all dates and 625 pixels if not given.
    landscape : Landscape, optional
        What is observed; the default country if not given.
    look_side : {"right", "left"}
        Side of the flight direction that is looked at.
    ramp : mapping, or sequence of them, optional
        Coefficients of a ramp that every date but the reference date has, one for each swath, as for
        `mimtpy_cloud.ops.disturbance.simulate_ramp`, about the middle of the window.
    boundaries : sequence of sequence of float
        Lines between the swaths.
    atmosphere : tuple of float, optional
        Sill in m^2 and range in m of the air of each date, beside that of `noise`.
    white : float
        Standard deviation in m of white noise of each date, beside that of `noise`.
    sources : sequence of (callable, mapping)
        Models with their parameters, such as ``(mogi_model, {"lon": 37, ...})``: their motion of a year, beside that of
        the landscape.
    wrapped : bool
        Whether the displacement is folded into one fringe.

    Returns
    -------
    xr.Dataset
        Canonical dataset on the lattice. `displacement` in m, positive toward the satellite, NaN outside the
        footprint and on water; `valid` is False there and where the coherence is less than 0.7.

    Raises
    ------
    DateError
        If there are fewer than two dates, they do not increase, or the reference date is not one of them.
    ReferencePointError
        If the reference point is not a usable pixel of the footprint.
    SchemaError
        If the orbit direction or number, the heading, the incidence or the look side is impossible, or a source lacks
        a parameter.
    RampError, ParameterError
        If a ramp or the noise is impossible.

    See Also
    --------
    true_velocity : The truth of the landscape.
    mimtpy_cloud.ops.disturbance : The same on any grid.

    Notes
    -----
    ``d(t) = n(t) + (v . l) (t - t0) / 365.25 d``, minus itself at the reference pixel and at the reference date.
    Nothing is stored: each block is computed from closed forms, O(dates * pixels) in time, one block in memory.

    Examples
    --------
    >>> window = Window.covering(125, (36.4, 37.6, 37.6, 38.4))
    >>> ds = simulate_scene(window, dates=["2020-01-01", "2020-07-01", "2021-01-01"], noise=0)
    >>> ds.attrs["track"], dict(ds.sizes)
    ('A064', {'time': 3, 'y': 100, 'x': 150})
    """
    days = _days(dates)
    scene = _Scene.of(
        window,
        heading=heading if heading is not None else (-12.5 if _ascending(orbit_direction) else -167.5),
        incidence=incidence,
        reference_point=reference_point,
        reference_day=int(days[0]) if reference_date is None else _day(reference_date),
        noise=noise,
        # two tracks with one seed see different weather
        seed=seed * 2000 + relative_orbit + 1000 * _ascending(orbit_direction),
        landscape=landscape or Landscape(),
        look_side=look_side,
    )
    if scene.reference_day not in days:
        raise DateError(f"the reference date must be one of the dates, got {reference_date}")
    ds = _dataset(scene, days, *(chunks or (days.size, 625)))
    track = track_name(orbit_direction, relative_orbit)
    ds.attrs = {
        "sensor": "Sentinel",
        "track": track,
        "product": f"{frames[0]:04d}_{frames[1]:04d}",
        "project": project or f"SynthSen{track[0]}T{track[1:]}",
        "orbit_direction": "ascending" if _ascending(orbit_direction) else "descending",
        "look_side": look_side,
        "heading": scene.heading,
        "wavelength": WAVELENGTH,
        "reference_point": list(scene.reference_lonlat),
        "reference_date": str(np.datetime64(scene.reference_day, "D")),
        "resolution": next((k for k, n in RESOLUTIONS.items() if n == window.n), f"{window.n}ppd"),
        "pixels_per_degree": window.n,
        "source": {"url": f"simulated:{tokenize(scene, days)}"},
        "mintpy": _mintpy_attributes(scene, relative_orbit, frames, orbit_direction),
    }
    added = {"ramp": ramp, "boundaries": boundaries, "atmosphere": atmosphere, "white": white, "sources": sources}
    if any(bool(value) for value in added.values()):
        ds = disturb(ds, seed=scene.seed, **added)
        ds.attrs["source"] = {"url": f"simulated:{tokenize(scene, days, added)}"}
    return ds.assign(displacement=wrap(ds["displacement"], WAVELENGTH)) if wrapped else ds


def _ascending(orbit_direction: str) -> bool:
    if orbit_direction[:1].upper() not in ("A", "D"):
        raise SchemaError(f"orbit direction must be 'ascending' or 'descending', got {orbit_direction!r}")
    return orbit_direction[:1].upper() == "A"


def _day(date: Any) -> int:
    return int(np.datetime64(date, "D").astype(np.int64))


def _days(dates: Sequence[Any]) -> np.ndarray:
    """Days since 1970, checked."""
    days = np.array([_day(date) for date in dates], dtype=np.int64)
    if days.size < 2 or (np.diff(days) <= 0).any():
        raise DateError(f"a series needs at least two increasing dates, got {[str(d) for d in dates]}")
    return days


@dataclass(frozen=True)
class _Scene:
    """Everything that the value of a pixel depends on."""

    window: Window
    landscape: Landscape
    frame: tuple[tuple[float, ...], ...]
    half_swath: tuple[float, float]
    gamma: float
    heading: float
    reference_row: int
    reference_col: int
    reference_day: int
    noise: float
    seed: int
    look_side: str

    @classmethod
    def of(
        cls,
        window: Window,
        *,
        heading: float,
        incidence: float,
        reference_point: tuple[float, float] | None,
        look_side: str,
        **rest: Any,
    ) -> "_Scene":
        """Place the orbit, the footprint and the reference pixel."""
        if look_side not in ("right", "left"):
            raise SchemaError(f"look side must be 'right' or 'left', got {look_side!r}")
        if not 0 < incidence < 90:
            raise SchemaError(f"incidence must be between 0 and 90 degrees, got {incidence:g}")
        west, south, east, north = window.bounds
        lon, lat = (west + east) / 2, (south + north) / 2
        # the left of one flight direction is the right of the opposite one
        frame = orbit_frame(lon, lat, heading + 180 * (look_side == "left"), incidence)
        gamma, _ = orbit_angles(np.array(lon), np.array(lat), frame)
        ref_lon, ref_lat = reference_point or (lon, lat)
        scene = cls(
            window=window,
            frame=tuple(map(tuple, frame.tolist())),
            half_swath=_inscribed(
                np.radians(east - west) * np.cos(np.radians(lat)), np.radians(north - south), heading
            ),
            gamma=float(gamma),
            heading=heading,
            look_side=look_side,
            reference_row=int(np.floor((90 - ref_lat) * window.n + 1e-6)),
            reference_col=int(np.floor((ref_lon + 180) * window.n + 1e-6)),
            **rest,
        )
        pixel = np.array([scene.reference_row]), np.array([scene.reference_col])
        if not _layers(scene, *pixel)["valid"][0, 0]:
            raise ReferencePointError(
                f"the reference point must be usable land in the footprint, got ({ref_lon:g}, {ref_lat:g}); "
                f"choose one nearer to ({lon:g}, {lat:g})"
            )
        return scene

    @property
    def reference_lonlat(self) -> tuple[float, float]:
        """Centre of the reference pixel."""
        lon, lat = _lonlat(self.window.n, np.array([self.reference_row]), np.array([self.reference_col]))
        return float(lon[0]), float(lat[0])


def _inscribed(width: float, height: float, heading: float) -> tuple[float, float]:
    """Half sizes, across and along track, of the tilted rectangle that touches all four sides of a box."""
    degrees = abs((heading + 90.0) % 180.0 - 90.0)
    if not degrees <= _MAX_TILT:
        raise SchemaError(f"heading must be at most {_MAX_TILT:g} degrees from north or south, got {heading:g}")
    tilt = np.radians(degrees)
    cos, sin = np.cos(tilt), np.sin(tilt)
    across, along = width * cos - height * sin, height * cos - width * sin
    scale = 0.49 / np.cos(2 * tilt)
    return max(across, 0.3 * width) * scale, max(along, 0.3 * height) * scale


def _lonlat(n: int, rows: np.ndarray, cols: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    return (cols + 0.5) / n - 180.0, 90.0 - (rows + 0.5) / n


def _layers(scene: _Scene, rows: np.ndarray, cols: np.ndarray) -> dict[str, np.ndarray]:
    """All layers without time of a block, and the LOS rate of its pixels."""
    lon, lat = _lonlat(scene.window.n, rows, cols)
    lon, lat = np.broadcast_arrays(lon[None, :], lat[:, None])
    land, frame = scene.landscape, np.array(scene.frame)
    gamma, u = orbit_angles(lon, lat, frame)
    seen = (np.abs(gamma - scene.gamma) <= scene.half_swath[0]) & (np.abs(u) <= scene.half_swath[1])
    height, coherence, water = land.height(lon, lat), land.coherence(lon, lat), land.water(lon, lat)
    east, north, up, slant = look_vector(lon, lat, height, frame)
    motion = project_enu(*land.velocity(lon, lat), (east, north, up))
    floats = (east, north, up, slant, height, coherence, 0.8 * coherence)
    layers = {name: np.where(seen, value, np.nan) for name, value in zip(_NAMES, floats, strict=False)}
    rate = np.where(seen & ~water, motion, np.nan)
    return layers | {"valid": seen & (coherence >= MIN_COHERENCE), "is_water": seen & water, "rate": rate}


def _stack(rows: np.ndarray, cols: np.ndarray, *, scene: _Scene) -> np.ndarray:
    """Layers of the canonical dataset as one float32 block, layer last."""
    layers = _layers(scene, rows, cols)
    return np.stack([layers[name].astype(np.float32) for name in _NAMES], axis=-1)


def _displacement(days: np.ndarray, rows: np.ndarray, cols: np.ndarray, *, scene: _Scene) -> np.ndarray:
    """One block of displacement, float32."""
    pixel = np.array([scene.reference_row]), np.array([scene.reference_col])
    block, point = _layers(scene, rows, cols), _layers(scene, *pixel)
    rate = block["rate"] - point["rate"]
    white = _WHITE * np.where(block["temporal_coherence"] < MIN_COHERENCE, 10.0, 1.0)

    def relative_noise(day: int) -> np.ndarray:
        noise: np.ndarray = _noise(scene, rows, cols, day, white) - _noise(scene, *pixel, day, _WHITE)
        return noise

    start = relative_noise(scene.reference_day) if scene.noise else 0.0
    out = np.empty((days.size, rows.size, cols.size), np.float32)
    for i, day in enumerate(days.tolist()):
        value = rate * ((day - scene.reference_day) / DAYS_PER_YEAR)
        out[i] = value + (relative_noise(day) - start) if scene.noise else value
    return out


def _noise(scene: _Scene, rows: np.ndarray, cols: np.ndarray, day: int, white: np.ndarray | float) -> np.ndarray:
    """Noise of one date in m, shape ``(rows, cols)``; `white` is the standard deviation of its white part."""
    x, y = scene.landscape.metres(*_lonlat(scene.window.n, rows, cols))
    air = plane_wave_noise(x, y, scene.seed, day, _SHORTEST, _LONGEST, _N_WAVES)
    noise: np.ndarray = scene.noise * (_ATMOSPHERE * air + white * white_noise(rows, cols, scene.seed, day))
    return noise


def _dataset(scene: _Scene, days: np.ndarray, dates_per_chunk: int, pixels_per_chunk: int) -> xr.Dataset:
    """Lazy variables; chunk borders lie at multiples of the chunk size on the global lattice."""
    window = scene.window
    rows, cols = _indices(window.row, window.ny, pixels_per_chunk), _indices(window.col, window.nx, pixels_per_chunk)
    time = da.from_array(days, chunks=dates_per_chunk)  # type: ignore[no-untyped-call]
    displacement = _outer(_displacement, "tyx", time, "t", rows, "y", cols, "x", scene=scene)
    arrays = {"displacement": xr.DataArray(displacement, dims=("time", "y", "x"))}
    stack = _outer(_stack, "yxl", rows, "y", cols, "x", scene=scene, new_axes={"l": len(_NAMES)})
    for i, name in enumerate(_NAMES):
        arrays[name] = xr.DataArray(stack[..., i], dims=("y", "x")).astype(VARIABLES[name].dtype)
    arrays["perpendicular_baseline"] = xr.DataArray(_baselines(scene, days), dims="time").chunk()
    coords = {
        "time": days.astype("datetime64[D]").astype("datetime64[ns]"),
        "y": ("y", window.y, {"units": "degrees_north", "standard_name": "latitude"}),
        "x": ("x", window.x, {"units": "degrees_east", "standard_name": "longitude"}),
        SPATIAL_REF: ((), 0, {"crs_wkt": _crs_wkt()}),
    }
    return xr.Dataset({name: array.assign_attrs(VARIABLES[name].attrs) for name, array in arrays.items()}, coords)


def _indices(start: int, size: int, chunk: int) -> da.Array:
    """Global pixel numbers, chunked."""
    edges = [start, *range(start // chunk * chunk + chunk, start + size, chunk), start + size]
    chunks = (tuple(np.diff(edges).tolist()),)
    indices: da.Array = da.from_array(np.arange(start, start + size), chunks)  # type: ignore[no-untyped-call]
    return indices


def _outer(block: Callable[..., np.ndarray], axes: str, *indices: Any, **kwargs: Any) -> da.Array:
    """Evaluate a float32 block function of index vectors over their outer product."""
    empty = np.empty((0,) * len(axes), np.float32)
    array: da.Array = da.blockwise(  # type: ignore[no-untyped-call]
        block, axes, *indices, dtype=empty.dtype, meta=empty, align_arrays=False, **kwargs
    )
    return array


def _baselines(scene: _Scene, days: np.ndarray) -> np.ndarray:
    """Perpendicular baseline of each date in m, 0 at the reference date."""
    zero = np.zeros(1, np.int64)
    drawn = [60.0 * white_noise(zero, zero, scene.seed, day)[0, 0] for day in (scene.reference_day, *days.tolist())]
    return np.array([b - drawn[0] for b in drawn[1:]], np.float32)


def _crs_wkt() -> str:
    from pyproj import CRS

    return str(CRS.from_epsg(4326).to_wkt())


def _mintpy_attributes(
    scene: _Scene, relative_orbit: int, frames: tuple[int, int], orbit_direction: str
) -> dict[str, Any]:
    """Radar metadata in MintPy's words; corners in image order (first line near, far, last line near, far)."""
    right = scene.look_side == "right"
    across, along = scene.half_swath[0], scene.half_swath[1] * (1 if right else -1)
    gammas = scene.gamma + across * np.array([-1.0, 1.0, -1.0, 1.0])
    frame = np.array(scene.frame)
    lon, lat = orbit_position(gammas, along * np.array([-1.0, -1.0, 1.0, 1.0]), frame)
    near = float(look_vector(lon[:1], lat[:1], np.zeros(1), frame)[3][0])
    corners = {f"LAT_REF{i + 1}": str(lat[i]) for i in range(4)} | {f"LON_REF{i + 1}": str(lon[i]) for i in range(4)}
    looks = max(1, round(1250 / scene.window.n))
    return corners | {
        "PLATFORM": "Sen",
        "PROCESSOR": "isce",
        "ANTENNA_SIDE": "-1" if right else "1",
        "ORBIT_DIRECTION": "ASCENDING" if _ascending(orbit_direction) else "DESCENDING",
        "HEADING": str(scene.heading),
        "WAVELENGTH": str(WAVELENGTH),
        "EARTH_RADIUS": str(EARTH_RADIUS),
        "HEIGHT": str(ORBIT_HEIGHT),
        "STARTING_RANGE": str(near),
        "RANGE_PIXEL_SIZE": str(2.329562 * 19 * looks),
        "AZIMUTH_PIXEL_SIZE": str(14.1 * 7 * looks),
        "RLOOKS": str(19 * looks),
        "ALOOKS": str(7 * looks),
        "CENTER_LINE_UTC": "55800.0" if _ascending(orbit_direction) else "13500.0",
        "POLARIZATION": "VV",
        "PRF": "486.486",
        "beam_mode": "IW",
        "beam_swath": 123,
        "mission": "S1",
        "relative_orbit": relative_orbit,
        "first_frame": frames[0],
        "last_frame": frames[1],
    }
