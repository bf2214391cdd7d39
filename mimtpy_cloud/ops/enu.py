"""East, north and up, or one horizontal direction and up, from tracks that look from different directions."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import dask.array as da
import numpy as np
import xarray as xr

from mimtpy_cloud.errors import SchemaError
from mimtpy_cloud.kernels import enu as kernel
from mimtpy_cloud.ops.combination import (
    Track,
    common_attrs,
    data_variable,
    lattice_tracks,
    on_window,
)
from mimtpy_cloud.ops.decomposition import (
    ASKED_GAIN,
    at_block,
    given_sigma,
    horizontal_azimuth,
    known_across,
    known_north,
    look_sheet,
    look_toward,
    overlap_window,
    require_comparable,
    require_one_datum,
    require_weights,
)
from mimtpy_cloud.ops.overlay import Patch, Sheet, lay
from mimtpy_cloud.ops.variance import scaled_track
from mimtpy_cloud.plan.dates import MAX_GAP_DAYS

__all__ = ["invert_enu"]

Shape = tuple[int, int]

#: Looks whose azimuths are all so near to east or west, in degrees, do not see north; a gain that takes them anyway.
_NEAR_EAST, _NORTH_GAIN = 25.0, 100.0


def invert_enu(
    tracks: Sequence[xr.Dataset],
    components: str | float = "eu",
    *,
    north: float | xr.DataArray | xr.Dataset = 0.0,
    north_std: float | None = None,
    sigma: float | Sequence[float] | xr.Dataset | None = None,
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
    sigma : float, sequence of float or xr.Dataset, optional
        Standard deviation of all tracks, or of each, in the unit of the data; or what `variance_components` found,
        computed, so that no block waits for it. Without it `velocity_std` of each pixel if every track has it; else all
        tracks weigh the same and no standard deviation comes out.
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
        east (horizontal) and up, for ``"enu"`` also `correlation_east_north` and `correlation_north_up`. `east_leak` or
        `horizontal_leak`, and `up_leak`: what one unit of the motion that is taken as exact changes in each. `gain`:
        the largest noise gain for looks of equal weight. `count` of looks used (0 below two); `quality`, why a pixel
        has no solution; `valid`. Of three tracks and more `residual` (track, y, x), data less what the solution
        predicts, and with standard deviations reduced `chi2`, NaN without a spare look. What is not known is NaN.

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
    mimtpy_cloud.ops.variance.variance_components : Honest standard deviations.
    mimtpy_cloud.kernels.enu.invert_enu : The solution of one block.

    Notes
    -----
    Tracks must share one datum: apply `set_reference` or `estimate_adjustment` first. Those that name none give a
    warning. Weights change the solution for more looks than components only. Looks of near-polar orbits hardly see
    north: of an ascending, a descending and a third ascending look, north would have 500 times the noise of one look.
    North that ``"eu"`` ignores leaks into both components: for looks of 39 and 34 degrees, 20 mm of it change up by -3
    mm and east by 0.4 mm; `north_std` puts this into the standard deviations.
    """
    given = None if isinstance(sigma, xr.Dataset) else given_sigma(tracks, sigma)
    placed = lattice_tracks(tracks)
    if len(placed) < 2:
        raise SchemaError(f"two components need at least two tracks, got {placed[0].label}")
    variable = data_variable(placed)
    if isinstance(sigma, xr.Dataset):
        placed = [scaled_track(t, variable, sigma) for t in placed]
    require_comparable(placed, variable, max_gap_days)
    azimuth = horizontal_azimuth(components, placed)
    if not same_datum:
        require_one_datum(placed)
    is_east = components in ("eu", "enu")
    spread = f"{variable}_std" if given is None and all(f"{variable}_std" in t.ds for t in placed) else None
    units = str(placed[0].ds[variable].attrs.get("units", "1"))
    window = overlap_window(placed)
    across = known_north(north, north_std, components, placed, variable=variable, units=units, window=window)
    with_std = spread is not None or given is not None
    require_weights(across, with_std=with_std)
    if max_gain is None:
        max_gain = kernel.MAX_GAIN if is_east else ASKED_GAIN
    if components == "enu" and math.isinf(across.std):
        _require_north(placed, max_gain)
    sheets = [look_sheet(t, variable, spread) for t in placed]
    scalars = None if given is None else tuple(given[id(t.ds)] for t in placed)
    solver = _Solver(len(placed), kernel.horizontal_basis(azimuth), scalars, spread is not None, across.plan, max_gain)
    field = [] if across.field is None else [across.field]
    stack = lay(solver, window, [*sheets, *field], dtype=np.float32, depth=solver.rows, at_least=2)
    names = ("east" if is_east else "horizontal", "up")
    spare = with_std and len(placed) > 2
    data = _Labels(stack, names, variable, azimuth, units, with_std, spare, three=components == "enu").variables()
    data |= _residuals(placed, variable, solver, Sheet(window, (stack,)), field)
    asked = components if isinstance(components, str) else azimuth
    attrs = common_attrs(placed) | {"azimuth": azimuth, "components": asked}
    for key in ("heading", "orbit_direction", "look_side"):  # a decomposition has no line of sight
        attrs.pop(key, None)
    labels = np.array([t.label for t in placed], dtype=object)
    return on_window(window, data, placed, attrs).assign_coords(track=("track", labels))


def _residuals(
    placed: Sequence[Track], variable: str, solver: "_Solver", solved: Sheet, field: list[Sheet]
) -> dict[str, tuple]:
    """Data less what a solution predicts; none of two tracks, which are met exactly."""
    if len(placed) == 2:
        return {}
    moved = Sheet(solved.window, tuple(solved.arrays[0][k] for k in solver.components))
    residual = _Residual(len(placed), solver.basis, solver.across)
    sheets = [*(look_sheet(t, variable, None) for t in placed), moved, *field]
    left = lay(residual, solved.window, sheets, dtype=np.float32, depth=len(placed), at_least=2)
    units = placed[0].ds[variable].attrs.get("units", "1")
    return {"residual": (("track", "y", "x"), left, {"units": units, "long_name": f"{variable} less its prediction"})}


def _require_north(placed: Sequence[Track], max_gain: float) -> None:
    """Refuse what would be NaN everywhere, if the headings tell; else each pixel tells."""
    toward = [look_toward(t.ds) for t in placed]
    known = [abs((azimuth - 90.0) % 180.0) for azimuth in toward if azimuth is not None]
    blind = len(known) == len(placed) and all(min(turn, 180.0 - turn) <= _NEAR_EAST for turn in known)
    if blind and max_gain < _NORTH_GAIN:
        shown = ", ".join(f"{t.label} {a % 360:.0f}" for t, a in zip(placed, toward, strict=True) if a is not None)
        raise SchemaError(
            f"all looks are toward east or west (azimuths {shown} degrees), so that north would have some hundred "
            "times their noise; give what is known of north (north, north_std), add a look along the orbit, solve "
            "'eu', or accept it by max_gain=1000"
        )


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
            at = at_block(patch)
            los[k][at] = values
            look[k][at] = east, north, up
            if sigma is not None:
                sigma[k][at] = self.scalars[patch.sheet] if self.scalars else more.pop(0)
            if more:
                los[k][at][~more[0]] = np.nan
        known, std = known_across(shape, patches, self.tracks, self.across)
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
        motion = across[0] if across else known_across(shape, patches, self.tracks + 1, self.across)[0]
        for patch in patches:
            if patch.sheet >= self.tracks:
                continue
            (values, east, north, vertical, *valid), at = patch.views, at_block(patch)
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
    with_chi2: bool
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
        if self.with_chi2:
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
