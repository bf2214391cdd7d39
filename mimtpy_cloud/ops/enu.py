"""East, north and up, or one horizontal direction and up, from tracks that look from different directions."""

import logging
import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import dask.array as da
import numpy as np
import xarray as xr

from mimtpy_cloud.errors import GridMismatchError, SchemaError
from mimtpy_cloud.kernels import enu as kernel
from mimtpy_cloud.kernels.look import mean_azimuth
from mimtpy_cloud.kernels.plate import MAS, plate_velocity
from mimtpy_cloud.ops.combination import (
    Track,
    common_attrs,
    data_variable,
    lattice_tracks,
    near,
    on_window,
    require_one_motion,
    require_one_period,
)
from mimtpy_cloud.ops.north import interpolate_stations
from mimtpy_cloud.ops.overlay import Patch, Sheet, lay
from mimtpy_cloud.plan.dates import MAX_GAP_DAYS
from mimtpy_cloud.plan.frames import is_plate_frame
from mimtpy_cloud.plan.graph import overlapping_pairs
from mimtpy_cloud.plan.grid import Window, union
from mimtpy_cloud.schema import LOS, require_variables

__all__ = ["invert_enu", "look_azimuth"]

_log = logging.getLogger(__name__)

Shape = tuple[int, int]

#: Reference points that are further apart are two, in pixels.
_SAME_POINT = 1.5

#: Largest noise gain where a horizontal direction is asked for: two looks of one orbit, some 2 degrees apart.
_ASKED_GAIN = 30.0
#: Looks whose azimuths are all so near to east or west, in degrees, do not see north; a gain that takes them anyway.
_NEAR_EAST, _NORTH_GAIN = 25.0, 100.0


def invert_enu(
    tracks: Sequence[xr.Dataset],
    components: str | float = "eu",
    *,
    north: float | xr.DataArray | xr.Dataset = 0.0,
    north_std: float | None = None,
    sigma: float | Sequence[float] | None = None,
    max_gain: float | None = None,
    max_gap_days: float = MAX_GAP_DAYS,
    same_datum: bool = False,
) -> xr.Dataset:
    """
    Decompose the line-of-sight motion of two or more tracks into horizontal and vertical components.

    Parameters
    ----------
    tracks : sequence of xr.Dataset
        Two-dimensional velocities (m/yr), or displacements (m), with look vectors, on one lattice and one datum, in
        any chunks. Pixels that are NaN or not `valid` are ignored.
    components : {"eu", "enu", "hu"} or float
        East and up; all three; horizontal along the mean look azimuth of tracks of one orbit direction and up,
        positive on the side of east; or the azimuth of the horizontal component, degrees clockwise from north (a
        fault-parallel direction, for example).
    north : float, xr.DataArray or xr.Dataset
        North motion that is known, in the unit of the data: one number, or a field on the lattice of the tracks (of a
        dataset `north`, and `north_std` if it has one), in the datum of the tracks; or a table of stations, which is
        interpolated and brought into that datum: less the motion of the plate that the tracks lack, and zero at their
        reference point. For ``"eu"`` and ``"enu"``.
    north_std : float, optional
        Standard deviation of the motion that is not asked for: north, or the horizontal motion across the direction
        asked for. By default that of the field, else 0, which takes it as exact. For ``"enu"`` that of the knowledge of
        north, by default infinite: none. Then it is solved, too, and its uncertainty is in that of the others; this
        needs standard deviations of the data.
    sigma : float or sequence of float, optional
        Standard deviation of all tracks, or of each, in the unit of the data. Without it `velocity_std` of each pixel
        if every track has it; else all tracks weigh the same and no standard deviation comes out.
    max_gain : float, optional
        Largest noise gain of a component, for looks of equal weight; pixels whose looks are more alike than that are
        NaN. 5 by default; 30 if a horizontal direction is asked for.
    max_gap_days : float
        Largest difference between the first dates of displacements, and between their last. Velocities may differ.
    same_datum : bool
        Whether the tracks share a datum though their attributes name different ones.

    Returns
    -------
    xr.Dataset
        Lazy, on the smallest window that holds every overlap of two tracks, in the unit of the data: `east` or
        `horizontal`, `up`, for ``"enu"`` `north`; if the data have standard deviations those of each, `correlation` of
        east (horizontal) and up, for ``"enu"`` also `correlation_east_north` and `correlation_north_up`, and reduced
        `chi2`, NaN without a spare look. `east_leak` or `horizontal_leak`, and `up_leak`: what one unit of the motion
        that is taken as exact changes in each. `gain`, the largest noise gain for looks of equal weight; `residual`
        (track, y, x), data less what the solution predicts; `count` of looks used (0 below two); `quality`, why a pixel
        has no solution; `valid`. What is not known is NaN.

    Raises
    ------
    SchemaError
        If there are fewer than two tracks, they differ in kind or datum, hold a time series, no look vectors or
        displacements of different periods, an argument is unknown or lacks what it needs, or all three components are
        asked for from looks that are too alike by their headings.
    GridMismatchError
        If the tracks or the field are not on one lattice, or no two tracks overlap.

    See Also
    --------
    interpolate_stations : North between stations, with other ranges.
    mimtpy_cloud.kernels.enu.invert_enu : The solution of one block.

    Notes
    -----
    Tracks must share one datum: apply `set_reference` or `estimate_adjustment` first. Those that name none give a
    warning. Weights change the solution for more looks than components only. Looks of near-polar orbits hardly see
    north: of an ascending, a descending and a third ascending look, north would have 500 times the noise of one look.
    North that ``"eu"`` ignores leaks into both components: for looks of 39 and 34 degrees, 20 mm of it change up by -3
    mm and east by 0.4 mm; `north_std` puts this into the standard deviations.
    """
    given = _given_sigma(tracks, sigma)
    placed = lattice_tracks(tracks)
    if len(placed) < 2:
        raise SchemaError(f"two components need at least two tracks, got {placed[0].label}")
    variable = data_variable(placed)
    require_one_period(placed, variable, max_gap_days)
    require_one_motion(placed)
    for track in placed:
        require_variables(f"track {track.label}", track.ds, *LOS)
    azimuth = _azimuth(components, placed)
    if not same_datum:
        _require_one_datum(placed)
    is_east = components in ("eu", "enu")
    spread = f"{variable}_std" if given is None and all(f"{variable}_std" in t.ds for t in placed) else None
    units = str(placed[0].ds[variable].attrs.get("units", "1"))
    window = _overlap_window(placed)
    if isinstance(north, xr.Dataset) and "station" in north.dims:
        north = _of_stations(north, placed, variable, window)
    across = _across(north, north_std, placed[0], units, components)
    with_std = spread is not None or given is not None
    if across.solved and not math.isinf(across.std) and not with_std:
        raise SchemaError(
            "the standard deviation of north weighs against those of the data, which have none: give sigma, or "
            "north_std=0 (--north-std 0) to take north as exact"
        )
    if max_gain is None:
        max_gain = kernel.MAX_GAIN if is_east else _ASKED_GAIN
    if components == "enu" and math.isinf(across.std):
        _require_north(placed, max_gain)
    sheets = [_sheet(t, variable, spread) for t in placed]
    scalars = None if given is None else tuple(given[id(t.ds)] for t in placed)
    solver = _Solver(len(placed), kernel.horizontal_basis(azimuth), scalars, spread is not None, across.plan, max_gain)
    field = [] if across.field is None else [across.field]
    stack = lay(solver, window, [*sheets, *field], dtype=np.float32, depth=solver.rows, at_least=2)
    names = ("east" if is_east else "horizontal", "up")
    made = _Labels(stack, names, variable, azimuth, units, with_std, three=components == "enu")
    data = made.variables()
    bare = [_sheet(t, variable, None) for t in placed]
    moved = Sheet(window, tuple(stack[k] for k in solver.components))
    residual = _Residual(len(placed), solver.basis, across.plan)
    left = lay(residual, window, [*bare, moved, *field], dtype=np.float32, depth=len(placed), at_least=2)
    data["residual"] = (("track", "y", "x"), left, {"units": units, "long_name": f"{variable} less its prediction"})
    asked = components if isinstance(components, str) else azimuth
    attrs = common_attrs(placed) | {"azimuth": azimuth, "components": asked}
    for key in ("heading", "orbit_direction", "look_side"):  # a decomposition has no line of sight
        attrs.pop(key, None)
    labels = np.array([t.label for t in placed], dtype=object)
    return on_window(window, data, placed, attrs).assign_coords(track=("track", labels))


def _azimuth(components: str | float, placed: Sequence[Track]) -> float:
    if isinstance(components, str) and components in ("eu", "enu"):
        return 90.0
    if isinstance(components, str) and components == "hu":
        toward = look_azimuth([t.ds for t in placed])
        return toward if toward <= 180.0 else toward - 180.0
    is_number = isinstance(components, float | int | np.floating | np.integer)
    if is_number and not isinstance(components, bool | str) and math.isfinite(components):
        return float(components)
    raise SchemaError(
        f"components must be 'eu', 'enu', 'hu' or an azimuth in degrees clockwise from north, got {components!r}"
    )


def look_azimuth(tracks: Sequence[xr.Dataset]) -> float:
    """
    Average the azimuth from ground to satellite of tracks of one orbit direction.

    Parameters
    ----------
    tracks : sequence of xr.Dataset
        With attributes ``heading`` (degrees clockwise from north), ``look_side`` and ``orbit_direction``.

    Returns
    -------
    float
        Degrees clockwise from north, 0 to 360.

    Raises
    ------
    SchemaError
        If the orbit directions differ, or a heading is missing.

    Examples
    --------
    >>> track = xr.Dataset(attrs={"heading": -12.0, "look_side": "right", "orbit_direction": "ascending"})
    >>> round(look_azimuth([track, track]), 6)
    258.0
    """
    directions = sorted({str(track.attrs.get("orbit_direction")) for track in tracks})
    if len(directions) > 1:
        raise SchemaError(
            f"a horizontal component along the look needs tracks of one orbit direction, got {', '.join(directions)}; "
            "solve east and up (horzvert)"
        )
    found = [_toward(track) for track in tracks]
    lacking = [str(track.attrs.get("track")) for track, toward in zip(tracks, found, strict=True) if toward is None]
    if lacking:
        raise SchemaError(f"{', '.join(lacking)} lacks the attribute heading; give the azimuth of the component")
    return mean_azimuth(np.array(found, float)) % 360.0


def _toward(track: xr.Dataset) -> float | None:
    """Azimuth from ground to satellite, degrees clockwise from north; None if the heading is not known."""
    heading = track.attrs.get("heading")
    if not isinstance(heading, int | float | np.number):
        return None
    return float(heading) + (90.0 if track.attrs.get("look_side") == "left" else -90.0)


def _require_north(placed: Sequence[Track], max_gain: float) -> None:
    """Refuse what would be NaN everywhere, if the headings tell; else each pixel tells."""
    toward = [_toward(t.ds) for t in placed]
    known = [abs((azimuth - 90.0) % 180.0) for azimuth in toward if azimuth is not None]
    blind = len(known) == len(placed) and all(min(turn, 180.0 - turn) <= _NEAR_EAST for turn in known)
    if blind and max_gain < _NORTH_GAIN:
        shown = ", ".join(f"{t.label} {a % 360:.0f}" for t, a in zip(placed, toward, strict=True) if a is not None)
        raise SchemaError(
            f"all looks are toward east or west (azimuths {shown} degrees), so that north would have some hundred "
            "times their noise; give what is known of north (north, north_std), add a look along the orbit, solve "
            "'eu', or accept it by max_gain=1000"
        )


def _require_one_datum(placed: Sequence[Track]) -> None:
    """Tracks must not refer to different places or frames; who does not say to what may be right."""
    datums = {t.label: _datum(t.ds.attrs) for t in placed}
    known = [datum for datum in datums.values() if datum is not None]
    far = _SAME_POINT / placed[0].window.n
    if any(not _same(datum, known[0], far) for datum in known):
        shown = ", ".join(f"{label}: {_named(datum)}" for label, datum in datums.items())
        raise SchemaError(
            f"the tracks have different datums ({shown}), whose difference would stay in the result; give all "
            "one point by set_reference (--reference LON LAT; in a template: referencepoint), those of one direction "
            "after estimate_adjustment (mimtpy mosaic); or same_datum=True (--same-datum; samedatum) if they share one"
        )
    silent = [label for label, datum in datums.items() if datum is None]
    if silent:
        _log.warning(
            "%s: not known to what it refers; tracks of different datums leave an offset in the result: give all one "
            "point by set_reference (--reference LON LAT)",
            ", ".join(silent),
        )


def _datum(attrs: dict[str, Any]) -> tuple[str, Any] | None:
    """Kind and value of what a track refers to."""
    for kind in ("reference_frame", "reference_polygon", "reference_point"):
        value = attrs.get(kind)
        if value is not None and len(value):
            return kind, value if isinstance(value, str) else np.asarray(value, float).tolist()
    return None


def _same(one: tuple[str, Any], other: tuple[str, Any], far: float) -> bool:
    if one[0] != other[0] or one[0] != "reference_point":
        return one == other
    (lon, lat), (lon2, lat2) = one[1], other[1]
    return bool(abs((lon - lon2 + 180) % 360 - 180) <= far and abs(lat - lat2) <= far)


def _named(datum: tuple[str, Any] | None) -> str:
    if datum is None:
        return "unknown"
    kind, value = datum
    if kind == "reference_point":
        return f"{value[0]:.5g} {value[1]:.5g}"
    return str(value) if kind == "reference_frame" else "a polygon"


@dataclass(frozen=True)
class _Across:
    """What is known of the motion across the horizontal component."""

    value: float
    std: float
    field: Sheet | None = None
    with_std: bool = False

    @property
    def solved(self) -> bool:
        """Whether it is an unknown."""
        return self.std > 0 or self.with_std

    @property
    def plan(self) -> tuple[float, float, bool, bool]:
        """The same without arrays."""
        return self.value, self.std, self.field is not None, self.with_std


def _across(
    north: float | xr.DataArray | xr.Dataset, std: float | None, track: Track, units: str, components: str | float
) -> _Across:
    if std is not None and not (isinstance(std, int | float | np.number) and std >= 0):
        raise SchemaError(f"north_std must be a number of at least 0, in {units}, got {std!r}")
    if components == "enu" and std == 0:
        raise SchemaError("north_std=0 takes north as known exactly; solve components='eu' with it")
    default = math.inf if components == "enu" else 0.0
    if isinstance(north, xr.DataArray | xr.Dataset):
        if components not in ("eu", "enu"):
            raise SchemaError(f"a north field is for components 'eu' and 'enu', got {components!r}")
        found = _field(north, std, default, track, units)
    elif not isinstance(north, int | float | np.number) or not math.isfinite(north):
        raise SchemaError(f"north must be a number in {units}, or a field on the lattice of the tracks, got {north!r}")
    elif north and components not in ("eu", "enu"):
        raise SchemaError(f"north is for components 'eu' and 'enu', got {components!r}")
    else:
        found = _Across(float(north), default if std is None else float(std))
    if (found.field is not None or found.value) and not found.with_std and std is None and math.isinf(default):
        raise SchemaError("components 'enu' need the standard deviation of what is known of north: give north_std")
    return found


def _of_stations(stations: xr.Dataset, placed: Sequence[Track], variable: str, window: Window) -> xr.Dataset:
    """North velocity of stations on a window, in the datum of the tracks."""
    if variable != "velocity":
        raise SchemaError(f"stations have velocities, the tracks {variable}; give a field of north in their unit")
    datum = next((d for d in (_datum(t.ds.attrs) for t in placed) if d is not None), None)
    frame, plate = str(stations.attrs.get("frame", "")), placed[0].ds.attrs.get("plate_motion")
    if datum is not None and datum[0] == "reference_polygon":
        raise SchemaError("tracks that refer to a polygon need a field of north in that datum: interpolate_stations")
    if datum is not None and datum[0] == "reference_frame" and datum[1] != frame:
        raise SchemaError(f"the tracks are in the frame {datum[1]}, the stations in {frame or 'one that has no name'}")
    if is_plate_frame(frame) and plate is None and (datum is None or datum[0] != "reference_frame"):
        raise SchemaError(
            f"the stations are in the frame {frame}, which moves with a plate, the tracks hold its motion; remove it "
            "(remove_plate_motion), or give stations of a global frame"
        )
    if plate is not None and not is_plate_frame(frame):
        rotation = np.array(plate["mas_per_year"]) * MAS
        moved = plate_velocity(stations["lat"].to_numpy(), stations["lon"].to_numpy(), rotation)[1]
        stations = stations.assign(north=stations["north"] - xr.DataArray(moved, dims="station"))
    like = on_window(window, {}, placed, {"pixels_per_degree": window.n})
    zero = tuple(datum[1]) if datum is not None and datum[0] == "reference_point" else None
    return interpolate_stations(stations, like, zero=zero)


def _field(north: xr.DataArray | xr.Dataset, std: float | None, default: float, track: Track, units: str) -> _Across:
    ds = north if isinstance(north, xr.Dataset) else north.to_dataset(name="north")
    require_variables("the field of north motion", ds, "north")
    for name in [name for name in ("north", "north_std") if name in ds]:
        own = str(ds[name].attrs.get("units", units))
        if own != units:
            raise SchemaError(f"{name} must be in {units} as the tracks are, got {own}; convert it")
    frame, datum = ds.attrs.get("reference_frame"), _datum(track.ds.attrs)
    if frame and datum is not None and datum != ("reference_frame", frame):
        raise SchemaError(
            f"the field of north motion is in the frame {frame}, {track.label} refers to {_named(datum)}; give the "
            "stations themselves, or interpolate_stations(..., zero=) of the reference point of the tracks"
        )
    (placed,) = lattice_tracks([ds])
    if placed.window.n != track.window.n:
        raise GridMismatchError(
            f"the field of north motion has {placed.window.n} pixels a degree, the tracks {track.window.n}; "
            "interpolate it onto their lattice"
        )
    with_std = std is None and "north_std" in ds
    arrays = placed.sheet("north", *(["north_std"] if with_std else [])).arrays
    sheet = Sheet(near(placed.window, track.window), arrays)
    return _Across(0.0, 0.0 if with_std else default if std is None else float(std), sheet, with_std)


def _given_sigma(tracks: Sequence[xr.Dataset], sigma: float | Sequence[float] | None) -> dict[int, float] | None:
    """Standard deviation by identity of the dataset, since tracks get sorted."""
    if sigma is None:
        return None
    values = np.asarray(sigma, float)
    if values.shape not in ((), (len(tracks),)) or not (np.isfinite(values) & (values > 0)).all():
        raise SchemaError(f"sigma must be positive, one value or one for each of {len(tracks)} tracks, got {sigma!r}")
    values = np.broadcast_to(values, len(tracks))
    return {id(ds): float(value) for ds, value in zip(tracks, values, strict=True)}


def _overlap_window(placed: list[Track]) -> Window:
    pairs = overlapping_pairs([t.window for t in placed])
    if not pairs:
        shown = "; ".join(f"{t.label} [{', '.join(f'{v:.6g}' for v in t.window.bounds)}]" for t in placed)
        raise GridMismatchError(f"tracks must overlap, got (west, south, east, north) {shown}; choose tracks that do")
    return union([placed[i].window & placed[j].window for i, j in pairs])


def _sheet(track: Track, variable: str, spread: str | None) -> Sheet:
    """Values, look vector, and where there are any the standard deviation and `valid`."""
    return track.sheet(variable, *LOS, *([spread] if spread else []), *(["valid"] if "valid" in track.ds else []))


def _at(patch: Patch) -> tuple:
    """Where a patch lies in its block."""
    ny, nx = patch.views[0].shape
    return (..., slice(patch.row, patch.row + ny), slice(patch.col, patch.col + nx))


@dataclass(frozen=True)
class _Solver:
    """Solves a block; the sheets are the tracks, and the field of the motion across if there is one."""

    tracks: int
    basis: tuple[float, float]
    scalars: tuple[float, ...] | None
    with_spread: bool
    across: tuple[float, float, bool, bool]
    max_gain: float

    @property
    def rows(self) -> int:
        """Length of a result."""
        _, std, _, with_std = self.across
        return len(kernel.ROWS) if std > 0 or with_std else kernel.ROWS.index("across")

    @property
    def components(self) -> tuple[int, ...]:
        """Rows that predict the data."""
        return tuple(kernel.ROWS.index(n) for n in ("horizontal", "up", "across") if kernel.ROWS.index(n) < self.rows)

    def __call__(self, shape: Shape, patches: list[Patch]) -> np.ndarray:
        looks, n_pixels = [p for p in patches if p.sheet < self.tracks], shape[0] * shape[1]
        n = len(looks) if self.tracks == 2 else max(len(looks), 3)  # one way to solve, whatever lies on a block
        los, look = np.full((n, *shape), np.nan, np.float32), np.full((n, 3, *shape), np.nan, np.float32)
        sigma = np.full((n, *shape), np.nan, np.float32) if self.with_spread or self.scalars else None
        for k, patch in enumerate(looks):
            values, east, north, up, *more = patch.views
            at = _at(patch)
            los[k][at] = values
            look[k][at] = east, north, up
            if sigma is not None:
                sigma[k][at] = self.scalars[patch.sheet] if self.scalars else more.pop(0)
            if more:
                los[k][at][~more[0]] = np.nan
        known, std = _known(shape, patches, self.tracks, self.across)
        solved = kernel.invert_enu(
            los.reshape(n, n_pixels),
            look.reshape(n, 3, n_pixels),
            None if sigma is None else sigma.reshape(n, n_pixels),
            self.basis,
            across=None if known is None else known.ravel(),
            across_std=std.ravel() if isinstance(std, np.ndarray) else std,
            max_gain=self.max_gain,
        )
        return solved.reshape(-1, *shape)


def _known(
    shape: Shape, patches: list[Patch], sheet: int, across: tuple[float, float, bool, bool]
) -> tuple[np.ndarray | None, np.ndarray | float]:
    """Known motion across the horizontal component in a block, and its standard deviation; a field is in `sheet`."""
    value, std, with_field, with_std = across
    if not with_field:
        return (np.full(shape, value) if value else None), std
    known, spread = np.full(shape, np.nan), np.full(shape, np.nan)
    for patch in patches:
        if patch.sheet == sheet:
            known[_at(patch)] = patch.views[0]
            if with_std:
                spread[_at(patch)] = patch.views[1]
    return known, spread if with_std else std


@dataclass(frozen=True)
class _Residual:
    """Data less their prediction; the sheets are the tracks, the solution, and the field if there is one."""

    tracks: int
    basis: tuple[float, float]
    across: tuple[float, float, bool, bool]

    def __call__(self, shape: Shape, patches: list[Patch]) -> np.ndarray:
        out = np.full((self.tracks, *shape), np.nan, np.float32)
        solution = next((p for p in patches if p.sheet == self.tracks), None)
        if solution is None:
            return out
        horizontal, up, *across = solution.views
        motion = across[0] if across else _known(shape, patches, self.tracks + 1, self.across)[0]
        for patch in patches:
            if patch.sheet >= self.tracks:
                continue
            (values, east, north, vertical, *valid), at = patch.views, _at(patch)
            along = east.astype(np.float64) * self.basis[0] + north * self.basis[1]
            left = values - along * horizontal[at] - vertical.astype(np.float64) * up[at]
            if motion is not None:
                left -= (north.astype(np.float64) * self.basis[0] - east * self.basis[1]) * motion[at]
            out[patch.sheet][at] = np.where(valid[0], left, np.nan) if valid else left
        return out


@dataclass(frozen=True)
class _Labels:
    """Names the rows of a solution."""

    stack: da.Array
    names: tuple[str, str]
    variable: str
    azimuth: float
    units: str
    with_std: bool
    three: bool

    def variables(self) -> dict[str, tuple]:
        """All variables but the residual."""
        first, second = self.names
        toward = "east" if first == "east" else f"toward azimuth {self.azimuth:g} degrees clockwise from north"
        rows = [(first, "horizontal", toward), (second, "up", "up")]
        rows += [("north", "across", "north")] if self.three else []
        data: dict[str, tuple] = {}
        for name, row, direction in rows:
            data[name] = self._map(row, self.units, f"{name} {self.variable}, positive {direction}")
            if self.with_std:
                long_name = f"standard deviation of the {name} {self.variable}"
                data[f"{name}_std"] = self._map(f"{row}_std", self.units, long_name)
        if self.with_std:
            data["correlation"] = self._map("correlation", "1", f"correlation of {first} and {second}")
            if self.three:
                for name, row in (("east_north", "horizontal_across"), ("north_up", "across_up")):
                    what = name.replace("_", " and ")
                    data[f"correlation_{name}"] = self._map(f"correlation_{row}", "1", f"correlation of {what}")
            data["chi2"] = self._map("chi2", "1", "chi squared over its degrees of freedom")
        if self.stack.shape[0] == kernel.ROWS.index("across"):
            other = "north motion" if first == "east" else "horizontal motion across"
            for name, row in ((first, "horizontal_leak"), (second, "up_leak")):
                data[f"{name}_leak"] = self._map(row, "1", f"change of {name} by one unit of {other}")
        data["gain"] = self._map("gain", "1", "largest noise gain for looks of equal weight")
        count, quality = (self._row(name).astype(kind) for name, kind in (("count", np.int16), ("quality", np.uint8)))  # type: ignore[no-untyped-call]
        data["count"] = (("y", "x"), count, {"units": "1", "long_name": "looks used"})
        flags = {
            "flag_values": list(range(len(kernel.QUALITY))),
            "flag_meanings": " ".join(kernel.QUALITY),
            "long_name": "why there is no solution",
            "units": "1",
        }
        data["quality"] = (("y", "x"), quality, flags)
        data["valid"] = (("y", "x"), da.isfinite(self._row("up")), {"units": "1", "long_name": "usable data"})
        return data

    def _row(self, name: str) -> da.Array:
        row: da.Array = self.stack[kernel.ROWS.index(name)]
        return row

    def _map(self, row: str, units: str, long_name: str) -> tuple:
        return ("y", "x"), self._row(row), {"units": units, "long_name": long_name}
