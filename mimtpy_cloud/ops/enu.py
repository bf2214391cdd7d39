"""Horizontal and vertical motion from tracks that look from different directions."""

from collections.abc import Sequence
from math import isfinite

import dask.array as da
import numpy as np
import xarray as xr

from mimtpy_cloud.errors import GridMismatchError, SchemaError
from mimtpy_cloud.kernels import enu as kernel
from mimtpy_cloud.ops.combination import (
    Track,
    common_attrs,
    data_variable,
    lattice_tracks,
    on_window,
    require_one_motion,
    require_one_period,
)
from mimtpy_cloud.ops.overlay import Patch, Sheet, lay
from mimtpy_cloud.plan.dates import MAX_GAP_DAYS
from mimtpy_cloud.plan.graph import overlapping_pairs
from mimtpy_cloud.plan.grid import Window, union
from mimtpy_cloud.schema import LOS, require_variables

__all__ = ["invert_enu"]

Shape = tuple[int, int]


def invert_enu(
    tracks: Sequence[xr.Dataset],
    components: str | float = "eu",
    *,
    sigma: float | Sequence[float] | None = None,
    max_gain: float = kernel.MAX_GAIN,
    max_gap_days: float = MAX_GAP_DAYS,
) -> xr.Dataset:
    """
    Decompose the line-of-sight motion of two or more tracks into a horizontal and the vertical component.

    Parameters
    ----------
    tracks : sequence of xr.Dataset
        Two-dimensional velocities (m/yr), or displacements (m), with look vectors, on one lattice and one datum, in
        any chunks. Pixels that are NaN or not `valid` are ignored.
    components : "eu" or float
        East and up; or the azimuth of the horizontal component, degrees clockwise from north (a fault-parallel
        direction, for example). Horizontal motion across it is taken as zero.
    sigma : float or sequence of float, optional
        Standard deviation of all tracks, or of each, in the unit of the data. Without it `velocity_std` of each pixel
        if every track has it; else all tracks weigh the same and no standard deviation comes out.
    max_gain : float
        Largest noise gain of either component, for looks of equal weight; pixels whose looks are more alike than that
        are NaN. Raise it to decompose two tracks of one direction.
    max_gap_days : float
        Largest difference between the first dates of displacements, and between their last. Velocities may differ.

    Returns
    -------
    xr.Dataset
        Lazy, on the smallest window that holds every overlap of two tracks: `east` or `horizontal`, `up` (unit of the
        input), `east_std` or `horizontal_std`, `up_std`, `count` of looks used (0 below two), `valid`. NaN where fewer
        than two looks are usable or they are too similar to tell the components apart.

    Raises
    ------
    SchemaError
        If there are fewer than two tracks, they differ in kind, hold a time series, no look vectors or displacements
        of different periods, or an argument is unknown.
    GridMismatchError
        If the tracks are not on one lattice, or no two of them overlap.

    See Also
    --------
    mimtpy_cloud.kernels.enu.invert_enu : The solution of one block.

    Notes
    -----
    Tracks must share one datum: apply `set_reference` or `estimate_adjustment` first. Weights change the solution
    for three or more looks only. The north motion that ``"eu"`` ignores leaks into both components: for looks of
    39 and 34 degrees, 20 mm of it change up by -3 mm and east by 0.4 mm.
    """
    azimuth = _azimuth(components)
    given = _given_sigma(tracks, sigma)
    placed = lattice_tracks(tracks)
    if len(placed) < 2:
        raise SchemaError(f"two components need at least two tracks, got {placed[0].label}")
    variable = data_variable(placed)
    require_one_period(placed, variable, max_gap_days)
    require_one_motion(placed)
    for track in placed:
        require_variables(f"track {track.label}", track.ds, *LOS)
    spread = f"{variable}_std" if given is None and all(f"{variable}_std" in t.ds for t in placed) else None
    window = _overlap_window(placed)
    sheets = [_sheet(t, variable, spread) for t in placed]
    scalars = None if given is None else tuple(given[id(t.ds)] for t in placed)
    basis = kernel.horizontal_basis(azimuth)
    options = (basis, scalars, spread is not None, float(max_gain))
    stack = lay(_invert, window, sheets, *options, dtype=np.float32, depth=5, at_least=2)
    names = ("east" if isinstance(components, str) else "horizontal", "up")
    units = str(placed[0].ds[variable].attrs.get("units", "1"))
    with_std = spread is not None or given is not None
    data = _label(stack, names, variable, azimuth, units, with_std=with_std)
    attrs = common_attrs(placed) | {"components": "eu" if names[0] == "east" else azimuth, "azimuth": azimuth}
    for key in ("heading", "orbit_direction", "look_side"):  # a decomposition has no line of sight
        attrs.pop(key, None)
    return on_window(window, data, placed, attrs)


def _azimuth(components: str | float) -> float:
    if isinstance(components, str) and components == "eu":
        return 90.0
    is_number = isinstance(components, float | int | np.floating | np.integer)
    if is_number and not isinstance(components, bool | str) and isfinite(components):
        return float(components)
    raise SchemaError(f"components must be 'eu' or an azimuth in degrees clockwise from north, got {components!r}")


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


def _invert(
    shape: Shape,
    patches: list[Patch],
    basis: tuple[float, float],
    scalars: tuple[float, ...] | None,
    with_spread: bool,
    max_gain: float,
) -> np.ndarray:
    n = len(patches)
    los, look = np.full((n, *shape), np.nan, np.float32), np.full((n, 3, *shape), np.nan, np.float32)
    sigma = np.full((n, *shape), np.nan, np.float32) if with_spread or scalars else None
    for k, patch in enumerate(patches):
        values, east, north, up, *more = patch.views
        at = (..., slice(patch.row, patch.row + values.shape[0]), slice(patch.col, patch.col + values.shape[1]))
        los[k][at] = values
        look[k][at] = east, north, up
        if sigma is not None:
            sigma[k][at] = scalars[patch.sheet] if scalars else more.pop(0)
        if more:
            los[k][at][~more[0]] = np.nan
    n_pixels = shape[0] * shape[1]
    flat = None if sigma is None else sigma.reshape(n, n_pixels)
    solved = kernel.invert_enu(los.reshape(n, n_pixels), look.reshape(n, 3, n_pixels), flat, basis, max_gain=max_gain)
    return solved.reshape(5, *shape)


def _label(
    stack: da.Array, names: tuple[str, str], variable: str, azimuth: float, units: str, *, with_std: bool
) -> dict[str, tuple]:
    toward = "east" if names[0] == "east" else f"toward azimuth {azimuth:g} degrees clockwise from north"
    data = {}
    for k, (name, direction) in enumerate(zip(names, (toward, "up"), strict=True)):
        attrs = {"units": units, "long_name": f"{name} {variable}, positive {direction}"}
        data[name] = (("y", "x"), stack[k], attrs)
        if with_std:
            attrs = {"units": units, "long_name": f"standard deviation of the {name} {variable}"}
            data[f"{name}_std"] = (("y", "x"), stack[2 + k], attrs)
    data["count"] = (("y", "x"), stack[4].astype(np.int16), {"units": "1", "long_name": "looks used"})
    data["valid"] = (("y", "x"), da.isfinite(stack[1]), {"units": "1", "long_name": "usable data"})
    return data
