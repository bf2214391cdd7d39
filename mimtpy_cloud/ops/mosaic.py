"""Blend tracks of one viewing geometry on the union of their windows, after an adjustment of their datum."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import dask.array as da
import numpy as np
import xarray as xr

from mimtpy_cloud.errors import SchemaError
from mimtpy_cloud.kernels import blend as kernel
from mimtpy_cloud.kernels.look import mean_azimuth
from mimtpy_cloud.kernels.rebase import rebase
from mimtpy_cloud.ops.adjustment import (
    MIN_OVERLAP,
    anchor_index,
    estimate_adjustment,
    frame_of,
    joinable,
    ramped,
    require_one_geometry,
)
from mimtpy_cloud.ops.combination import Track, common_attrs, lattice_tracks, on_window
from mimtpy_cloud.ops.overlay import Patch, Sheet, lay, masked
from mimtpy_cloud.ops.series import Matched, common_dates, date_offsets, is_series, require_series, series_sheets
from mimtpy_cloud.plan.dates import MAX_GAP_DAYS
from mimtpy_cloud.plan.grid import Window, union
from mimtpy_cloud.schema import LOS, VARIABLES

__all__ = ["mosaic"]

#: Pixels from the edge of the data over which a feathered track fades out.
FEATHER_PIXELS = 50
_MEAN = ("height", "slant_range")
_COHERENCE = ("temporal_coherence", "avg_spatial_coherence")
_ANY = ("is_shadow", "is_water")
_BLENDS = ("mean", "weighted", "feather", "anchor")
Shape = tuple[int, int]
#: ``(values (track, y, x), NaN where a track lacks data) -> (y, x)``
Blend = Literal["mean", "weighted", "feather", "anchor"] | Callable[[np.ndarray], np.ndarray]


def mosaic(
    tracks: Sequence[xr.Dataset],
    adjustment: xr.Dataset | None = None,
    blend: Blend = "mean",
    *,
    anchor: str | int | None = None,
    min_overlap: int = MIN_OVERLAP,
    feather_pixels: int = FEATHER_PIXELS,
    per_date: bool = True,
    coherence: Literal["mean", "max"] = "mean",
    max_gap_days: float = MAX_GAP_DAYS,
) -> xr.Dataset:
    """
    Join tracks on the union of their windows, after an adjustment of their datum.

    Parameters
    ----------
    tracks : sequence of xr.Dataset
        Velocity (m/yr) or displacement (m) products, or displacement series, of one orbit direction and look side, on
        one lattice, in any chunks. Series are taken on the dates that all have, matched one to one, and refer to the
        first of them; the dates are those of the anchor, or of the track with most dates.
    adjustment : xr.Dataset, optional
        Result of `estimate_adjustment`, with its anchor; estimated from the tracks if not given.
    blend : {"mean", "weighted", "feather", "anchor"} or callable
        How the tracks that have a valid pixel are joined. ``"mean"``: equal weights. ``"weighted"``: by the inverse
        variance if every track has a standard deviation, else by `temporal_coherence`. ``"feather"``: by the distance
        from the edge of the data of each track, so that data without gaps have no seam. ``"anchor"``: the anchor where
        it has data, the mean of the others elsewhere. A callable gets the values of the tracks on a block, in the order
        of the attribute `tracks`, as float64 of shape ``(track, y, x)`` with NaN where a track lacks data, and returns
        ``(y, x)``.
    anchor : str or int, optional
        As for `estimate_adjustment`; only if no adjustment is given.
    min_overlap : int
        As for `estimate_adjustment`; not used if an adjustment is given.
    feather_pixels : int
        Distance from the edge, in pixels, from which on a feathered track has its full weight.
    per_date : bool
        Series: whether each date has offsets of its own, or all dates those of their mean.
    coherence : {"mean", "max"}
        How coherence is joined.
    max_gap_days : float
        Largest difference between the first dates of displacements, and between their last, or between dates of series
        that count as one. Velocities may differ.

    Returns
    -------
    xr.Dataset
        Lazy. The data variable, NaN where no track has a valid pixel; `n_tracks` that contribute and `valid` where one
        does; if every track has them, the standard deviation of the blend for independent tracks (not that of the
        adjustment, and none for a callable), and the mean look of
        the tracks that contribute (of all where none does) as a unit vector; quality and height without offset
        (booleans by any, the others by mean); the adjustment on the dimensions `track` and `pair`. Other variables are
        dropped. Attribute `reference_point` is that of the anchor; there is none without an anchor.

    Raises
    ------
    SchemaError
        If the tracks differ in kind, direction or look side, hold displacements of different periods, or an argument is
        unknown or of no use.
    DateError
        If series have fewer than two common dates.
    GridMismatchError
        If the tracks are not on one lattice.
    DisconnectedTracksError
        If overlaps do not tie all tracks together; at compute if only their valid pixels do not.

    Notes
    -----
    Pixels that are not `valid` in a track take no part in its data variable; drop `valid` to use them. A blended look
    has unit length, where that of averaged data is a little shorter: what `invert_enu` makes of a blend is too small by
    0.16 % for looks 6.5 degrees apart (`kernels.blend.blend_unit`), and exact where one track contributes. The result
    does not depend on the order of the tracks or on chunks, bit for bit. Each variable is one graph layer.
    """
    if coherence not in ("mean", "max"):
        raise SchemaError(f"coherence must be 'mean' or 'max', got {coherence!r}")
    if blend not in _BLENDS and not callable(blend):
        raise SchemaError(f"blend must be one of {', '.join(_BLENDS)}, or a function of (track, y, x), got {blend!r}")
    if feather_pixels < 1:
        raise SchemaError(f"feather_pixels must be at least 1, got {feather_pixels}")
    if any(is_series(ds) for ds in tracks):
        if adjustment is not None:
            raise SchemaError("series get offsets of their own for each date; an adjustment is for maps without time")
        placed = lattice_tracks(tracks)
        first = anchor_index(placed, tracks, anchor)
        matched = _matched(placed, first, max_gap_days)
        adjustment = date_offsets(matched, anchor=first, min_overlap=min_overlap, per_date=per_date)
        return _mosaic_series(matched, adjustment, blend, feather_pixels, coherence)
    placed, variable = joinable(tracks, max_gap_days)
    given = adjustment is not None
    if adjustment is None:
        adjustment = estimate_adjustment(tracks, anchor=anchor, min_overlap=min_overlap, max_gap_days=max_gap_days)
    elif anchor is not None:
        raise SchemaError(
            f"the adjustment has its anchor already, {adjustment.attrs['anchor']}; got anchor {anchor!r} as well: "
            "give it to estimate_adjustment"
        )
    moved = [t.label for t in placed if "adjusted" in t.ds.attrs]
    if given and moved:
        raise SchemaError(f"{', '.join(moved)} were adjusted already; give them without an adjustment, or unadjusted")
    if adjustment.attrs["variable"] != variable:
        raise SchemaError(f"the adjustment is for {adjustment.attrs['variable']}, the tracks hold {variable}")
    rule = _rule(placed, variable, blend, adjustment.attrs["anchor"], feather_pixels)
    window = union([t.window for t in placed])
    offsets = _offsets_of(placed, adjustment)
    level = [ramped(t, variable, adjustment) for t in placed]
    data = _blend_data(placed, level, variable, offsets, window, rule)
    data |= _blend_quality(placed, window, coherence) | _blend_look(placed, variable, window)
    name = blend if isinstance(blend, str) else getattr(blend, "__name__", "callable")
    attrs = _mosaic_attrs(placed, adjustment.attrs["anchor"]) | {"blend": name} | frame_of(adjustment)
    return on_window(window, data, placed, attrs).assign(adjustment.variables)


@dataclass(frozen=True)
class _Rule:
    """How values become one; `first` is the index of the anchor, `weights` one array a track."""

    blend: Blend
    first: int = -1
    weights: tuple[da.Array, ...] = ()


def _rule(placed: list[Track], variable: str, blend: Blend, anchor: str, feather_pixels: int) -> _Rule:
    labels = [t.label for t in placed]
    if blend == "anchor":
        if anchor not in labels:
            raise SchemaError(f"blend='anchor' needs an anchor among {', '.join(labels)}; the datum is {anchor}")
        return _Rule(blend, labels.index(anchor))
    if blend == "feather":
        return _Rule(blend, weights=tuple(_feather(t, variable, feather_pixels) for t in placed))
    if blend == "weighted":
        std = f"{variable}_std"
        if all(std in t.ds for t in placed):
            return _Rule(blend, weights=tuple(_inverse_variance(t.sheet(std).arrays[0]) for t in placed))
        if all("temporal_coherence" in t.ds for t in placed):
            return _Rule(blend, weights=tuple(t.sheet("temporal_coherence").arrays[0] for t in placed))
        raise SchemaError(f"blend='weighted' needs {std}, or temporal_coherence, in every track: {', '.join(labels)}")
    return _Rule(blend)


def _inverse_variance(std: da.Array) -> da.Array:
    weight: da.Array = (1 / da.maximum(std, np.float32(1e-9)) ** 2).astype(np.float32)
    return weight


def _feather(track: Track, variable: str, width: int) -> da.Array:
    """Weight by the distance from the edge of the data, across chunk borders."""
    values, *valid = track.sheet(variable, *(["valid"] if "valid" in track.ds else [])).arrays
    usable = ~da.isnan(values) & valid[0] if valid else ~da.isnan(values)
    depth = {axis: min(width, size) for axis, size in enumerate(usable.shape)}  # dask wants no more
    weight: da.Array = da.map_overlap(  # type: ignore[no-untyped-call]
        kernel.edge_weight, usable, width=width, depth=depth, boundary=False, dtype="f4", meta=np.empty((0, 0), "f4")
    )
    return weight


def _matched(placed: list[Track], anchor: int | None, max_gap_days: float) -> Matched:
    require_series(placed)
    require_one_geometry(placed)
    return common_dates(placed, anchor, max_gap_days)


def _mosaic_series(
    matched: Matched, adjustment: xr.Dataset, blend: Blend, feather_pixels: int, coherence: str
) -> xr.Dataset:
    """Blend series date by date, in one graph layer."""
    flat = [
        Track(t.label, t.window, t.ds.assign(displacement=_known(t.ds["displacement"].isel(time=dates[0]))))
        for t, dates in zip(matched.tracks, matched.dates, strict=True)
    ]
    rule = _rule(flat, "displacement", blend, adjustment.attrs["anchor"], feather_pixels)
    window = union([t.window for t in flat])
    weights: list[tuple[da.Array, ...]] = [(w,) for w in rule.weights] or [()] * len(flat)
    sheets = [Sheet(s.window, (*w, *s.arrays)) for s, w in zip(series_sheets(matched.tracks), weights, strict=True)]
    offsets: da.Array = adjustment["offset"].data.rechunk(-1)
    mix = _MixSeries(rule.blend, rule.first, bool(rule.weights), matched.dates)
    series = lay(mix, window, sheets, offsets, dtype=np.float32, depth=matched.time.size)
    count = lay(_count, window, _valid_sheets(flat), dtype=np.int16)
    attrs = VARIABLES["displacement"].attrs
    data: dict[str, tuple] = {
        "displacement": (("time", "y", "x"), series, attrs),
        "n_tracks": (("y", "x"), count, {"units": "1", "long_name": "tracks that contribute on some date"}),
        "valid": (("y", "x"), count > 0, VARIABLES["valid"].attrs),
    }
    data |= _blend_quality(flat, window, coherence) | _blend_look(flat, "displacement", window)
    name = blend if isinstance(blend, str) else getattr(blend, "__name__", "callable")
    made = _mosaic_attrs(flat, adjustment.attrs["anchor"]) | {"blend": name} | frame_of(adjustment)
    joined = on_window(window, data, flat, made).assign_coords(time=matched.time)
    return joined.assign(adjustment.variables)


def _known(first: xr.DataArray) -> xr.DataArray:
    """Zero where a series has data on the date that all others refer to, else NaN: then it has none."""
    return (first - first).astype(np.float32)


def _valid_sheets(placed: list[Track]) -> list[Sheet]:
    return [t.sheet("displacement", *(["valid"] if "valid" in t.ds else [])) for t in placed]


@dataclass(frozen=True)
class _MixSeries:
    """Blends the data of a block date by date."""

    blend: Blend
    first: int
    weighted: bool
    dates: tuple[tuple[int, ...], ...]

    def __call__(self, shape: Shape, patches: list[Patch], offsets: np.ndarray) -> np.ndarray:
        mix, at = _Mix(self.blend, self.first, self.weighted), int(self.weighted)
        out = np.full((len(offsets), *shape), np.nan, np.float32)
        for date, own in enumerate(offsets if patches else ()):
            out[date] = mix(shape, [self._rebased(p, at, date) for p in patches], own)
        return out

    def _rebased(self, patch: Patch, at: int, date: int) -> Patch:
        """The patch on one date, relative to the first; weights come before the data."""
        weights, (series, *valid), dates = patch.views[:at], patch.views[at:], self.dates[patch.sheet]
        data = rebase(series, dates[date], dates[0], valid[0] if valid else None)
        return Patch(patch.sheet, patch.row, patch.col, (*weights, data))


def _mosaic_attrs(placed: list[Track], anchor: str) -> dict[str, Any]:
    """Common attributes; the datum is that of the anchor."""
    attrs = common_attrs(placed) | {"anchor": anchor}
    attrs.pop("reference_point", None)
    for track in placed:
        if track.label == anchor and "reference_point" in track.ds.attrs:
            attrs["reference_point"] = track.ds.attrs["reference_point"]
    if "heading" not in attrs and all("heading" in t.ds.attrs for t in placed):
        attrs["heading"] = mean_azimuth([float(t.ds.attrs["heading"]) for t in placed])
    return attrs


def _offsets_of(placed: list[Track], adjustment: xr.Dataset) -> da.Array:
    """Offsets in the order of the tracks, in one chunk."""
    known = adjustment["track"].values.tolist()
    missing = [t.label for t in placed if t.label not in known]
    if missing:
        raise SchemaError(f"the adjustment knows tracks {', '.join(known)}; it lacks {', '.join(missing)}")
    offset = adjustment["offset"].isel(track=[known.index(t.label) for t in placed])
    data: da.Array = offset.chunk(track=-1).data
    return data


def _variable(placed: list[Track], name: str, data: da.Array) -> tuple:
    attrs = next(t.ds.variables[name].attrs for t in placed if name in t.ds)
    return ("y", "x"), data, dict(attrs)


def _blend_data(
    placed: list[Track], level: list[da.Array], variable: str, offsets: da.Array, window: Window, rule: _Rule
) -> dict[str, tuple]:
    valid = [t.sheet("valid").arrays if "valid" in t.ds else () for t in placed]
    sheets = [Sheet(t.window, (d, *v)) for t, d, v in zip(placed, level, valid, strict=True)]
    count = lay(_count, window, sheets, dtype=np.int16)
    weights: list[tuple[da.Array, ...]] = [(w,) for w in rule.weights] or [()] * len(placed)
    weighed = [Sheet(s.window, (*w, *s.arrays)) for s, w in zip(sheets, weights, strict=True)]
    mean = lay(_Mix(rule.blend, rule.first, bool(rule.weights)), window, weighed, offsets, dtype=np.float32)
    data = {
        variable: _variable(placed, variable, mean),
        "n_tracks": (("y", "x"), count, {"units": "1", "long_name": "tracks that contribute"}),
        "valid": (("y", "x"), count > 0, VARIABLES["valid"].attrs),
    }
    name = f"{variable}_std"
    if all(name in t.ds for t in placed) and not callable(rule.blend):
        std = [Sheet(s.window, (*t.sheet(name).arrays, *s.arrays)) for t, s in zip(placed, weighed, strict=True)]
        made = lay(_MixStd(rule.first, bool(rule.weights)), window, std, dtype=np.float32)
        data[name] = _variable(placed, name, made)
    return data


@dataclass(frozen=True)
class _Mix:
    """Blends the data of a block."""

    blend: Blend
    first: int
    weighted: bool

    def __call__(self, shape: Shape, patches: list[Patch], offsets: np.ndarray) -> np.ndarray:
        values = [(masked(p, int(self.weighted)), p.row, p.col) for p in patches]
        own = [float(offsets[p.sheet]) for p in patches]
        if callable(self.blend):
            return self._call(self.blend, shape, patches, values, offsets)
        if self.weighted:
            return kernel.blend_weighted(shape, values, [p.views[0] for p in patches], own)
        if self.blend == "anchor":
            return kernel.blend_first(shape, values, _place_of(patches, self.first), own)
        return kernel.blend_mean(shape, values, own)

    @staticmethod
    def _call(
        blend: Callable[[np.ndarray], np.ndarray],
        shape: Shape,
        patches: list[Patch],
        values: list[kernel.Patch],
        offsets: np.ndarray,
    ) -> np.ndarray:
        stack = np.full((offsets.size, *shape), np.nan)
        own = [float(offsets[p.sheet]) for p in patches]
        for patch, layer in zip(patches, kernel.blend_stack(shape, values, own), strict=True):
            stack[patch.sheet] = layer
        made = np.asarray(blend(stack))
        if made.shape != shape:
            raise SchemaError(f"the blend function must return shape {shape} for {stack.shape}, it gave {made.shape}")
        return np.where(np.isfinite(stack).any(axis=0), made, np.nan).astype(np.float32)


@dataclass(frozen=True)
class _MixStd:
    """Propagates the standard deviation through the blend of a block; its views come first."""

    first: int
    weighted: bool

    def __call__(self, shape: Shape, patches: list[Patch]) -> np.ndarray:
        used = [~np.isnan(masked(p, 1 + int(self.weighted))) for p in patches]
        std = _flat(patches, 0)
        if self.first >= 0 and (k := _place_of(patches, self.first)) >= 0:
            own = np.zeros(shape, bool)
            (block, row, col) = std[k]
            own[row : row + block.shape[0], col : col + block.shape[1]] = used[k]
            used = [
                u if n == k else u & ~own[p.row : p.row + u.shape[0], p.col : p.col + u.shape[1]]
                for n, (u, p) in enumerate(zip(used, patches, strict=True))
            ]
        weights = [p.views[1] for p in patches] if self.weighted else None
        return kernel.blend_std(shape, std, used, weights)


def _place_of(patches: list[Patch], sheet: int) -> int:
    """Index of the patch of a sheet; -1 if it is not here."""
    return next((k for k, p in enumerate(patches) if p.sheet == sheet), -1)


def _blend_quality(placed: list[Track], window: Window, coherence: str) -> dict[str, tuple]:
    rules = dict.fromkeys(_MEAN, _mean) | dict.fromkeys(_COHERENCE, _mean if coherence == "mean" else _max)
    rules |= dict.fromkeys(_ANY, _any)
    data = {}
    for name, rule in rules.items():
        sheets = [t.sheet(name) for t in placed if name in t.ds]
        if sheets:
            dtype = bool if rule is _any else np.float32
            data[name] = _variable(placed, name, lay(rule, window, sheets, dtype=dtype))
    return data


def _blend_look(placed: list[Track], variable: str, window: Window) -> dict[str, tuple]:
    if not all(name in t.ds for t in placed for name in LOS):
        return {}
    sheets = [t.sheet(*LOS, variable, *(["valid"] if "valid" in t.ds else [])) for t in placed]
    vector = lay(_unit, window, sheets, dtype=np.float32, depth=3)
    return {name: _variable(placed, name, vector[k]) for k, name in enumerate(LOS)}


def _flat(patches: list[Patch], k: int) -> list[kernel.Patch]:
    return [(p.views[k], p.row, p.col) for p in patches]


def _mean(shape: Shape, patches: list[Patch]) -> np.ndarray:
    return kernel.blend_mean(shape, _flat(patches, 0))


def _count(shape: Shape, patches: list[Patch]) -> np.ndarray:
    return kernel.count_finite(shape, [(masked(p), p.row, p.col) for p in patches])


def _max(shape: Shape, patches: list[Patch]) -> np.ndarray:
    return kernel.blend_max(shape, _flat(patches, 0))


def _any(shape: Shape, patches: list[Patch]) -> np.ndarray:
    return kernel.blend_any(shape, _flat(patches, 0))


def _unit(shape: Shape, patches: list[Patch]) -> np.ndarray:
    east, north, up = (_flat(patches, k) for k in range(3))
    return kernel.blend_unit(shape, east, north, up, [~np.isnan(masked(p, 3)) for p in patches])
