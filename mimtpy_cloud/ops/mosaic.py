"""Join tracks of one viewing geometry: one offset a track from all overlaps at once, then a blend on the union."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

import dask.array as da
import numpy as np
import xarray as xr
from dask.base import tokenize

from mimtpy_cloud.errors import SchemaError
from mimtpy_cloud.kernels import blend as kernel
from mimtpy_cloud.kernels.look import mean_azimuth
from mimtpy_cloud.kernels.offset import summarise_differences, valid_differences
from mimtpy_cloud.ops.combination import (
    Track,
    common_attrs,
    data_variable,
    lattice_tracks,
    on_window,
    require_one_period,
)
from mimtpy_cloud.ops.overlay import Patch, Sheet, block_tasks, lay, lazy_array
from mimtpy_cloud.plan.dates import MAX_GAP_DAYS
from mimtpy_cloud.plan.grid import Window, union
from mimtpy_cloud.plan.network import overlapping_pairs, require_connected, solve_offsets
from mimtpy_cloud.schema import LOS, VARIABLES

__all__ = ["apply_adjustment", "estimate_adjustment", "mosaic"]

#: Overlaps with fewer common pixels tie no tracks together unless asked otherwise.
MIN_OVERLAP = 10
_MEAN = ("height", "slant_range")
_COHERENCE = ("temporal_coherence", "avg_spatial_coherence")
_ANY = ("is_shadow", "is_water")
_PAIR = ("pair_median", "pair_sigma", "pair_count")
Shape = tuple[int, int]


def estimate_adjustment(
    tracks: Sequence[xr.Dataset],
    *,
    order: int = 0,
    anchor: str | int | None = None,
    min_overlap: int = MIN_OVERLAP,
    max_gap_days: float = MAX_GAP_DAYS,
) -> xr.Dataset:
    """
    Estimate the constant offset of each track from all overlaps at once.

    Parameters
    ----------
    tracks : sequence of xr.Dataset
        Two-dimensional velocity (m/yr) or displacement (m) products of one orbit direction and look side, on one
        lattice. Pixels that are NaN or not `valid` are ignored.
    order : int
        Order of the correction; 0 is a constant.
    anchor : str or int, optional
        Label, or index in `tracks`, of the track that keeps its datum. Without it the offsets have zero mean.
    min_overlap : int
        Overlaps with fewer common pixels are listed but not used.
    max_gap_days : float
        Largest difference between the first dates of displacements, and between their last. Velocities may differ.

    Returns
    -------
    xr.Dataset
        Lazy: `offset` (track), to be added to each track, and for each overlapping pair the median of first minus
        second, its robust standard deviation (same unit) and its number of pixels. Computing it raises
        `DisconnectedTracksError` if the usable overlaps do not tie all tracks together.

    Raises
    ------
    SchemaError
        If the tracks differ in kind, direction or look side, hold a time series or displacements of different periods,
        or an argument is unknown.
    GridMismatchError
        If the tracks are not on one lattice.
    DisconnectedTracksError
        If the windows of the tracks do not tie all together.

    See Also
    --------
    mimtpy_cloud.plan.network.solve_offsets : The least-squares adjustment.

    Notes
    -----
    Observations are medians over the overlaps, weighted by their number of pixels. Only blocks in overlaps are read.
    Memory: the differences of a pair are held until its median is known, 4 bytes a common valid pixel for float32, and
    8 while it is computed. That is at most 4 bytes a common pixel of all pairs and again of those being summarised:
    0.8 GB for one overlap of 10 000 by 10 000 pixels.
    """
    if order != 0:
        raise SchemaError(f"order must be 0 (a constant for each track), got {order!r}")
    placed, variable = _joinable(tracks, max_gap_days)
    return _estimate(placed, variable, _anchor_index(placed, tracks, anchor), min_overlap)


def _joinable(tracks: Sequence[xr.Dataset], max_gap_days: float) -> tuple[list[Track], str]:
    """Sorted tracks that can be joined, and the variable that they hold."""
    placed = lattice_tracks(tracks)
    variable = data_variable(placed)
    _require_one_geometry(placed)
    require_one_period(placed, variable, max_gap_days)
    return placed, variable


def _estimate(placed: list[Track], variable: str, anchor: int | None, min_overlap: int) -> xr.Dataset:
    labels = [t.label for t in placed]
    pairs = overlapping_pairs([t.window for t in placed])
    require_connected(pairs, labels)
    network = _Network(tuple(pairs), tuple(labels), anchor, min_overlap)
    table = _pair_table(_data_sheets(placed, variable), pairs)
    name = "adjustment-" + tokenize(table.name, network)
    offset = lazy_array(name, {(name, 0): (network.solve, (table.name, 0, 0))}, ((len(labels),),), float, [table])
    attrs = {"units": VARIABLES[variable].units}
    data: dict[str, tuple] = {"offset": ("track", offset, {**attrs, "long_name": f"offset added to the {variable}"})}
    names = ("median difference, first minus second", "robust standard deviation of the difference", "common pixels")
    for k, (name, long_name) in enumerate(zip(_PAIR, names, strict=True)):
        data[name] = ("pair", table[:, k], {**attrs, "long_name": long_name})
    data["pair_count"] = ("pair", table[:, 2].astype(np.int64), {"units": "1", "long_name": names[2]})
    coords = {
        "track": ("track", np.array(labels, dtype=object)),
        "pair": ("pair", np.array([f"{labels[i]}-{labels[j]}" for i, j in pairs], dtype=object)),
    }
    named = "zero mean" if anchor is None else labels[anchor]
    return xr.Dataset(data, coords, {"anchor": named, "variable": variable, "order": 0, "min_overlap": min_overlap})


def _anchor_index(placed: list[Track], tracks: Sequence[xr.Dataset], anchor: str | int | None) -> int | None:
    """Index of the anchor among the sorted tracks."""
    if anchor is None:
        return None
    labels = [t.label for t in placed]
    if isinstance(anchor, str) and anchor in labels:
        return labels.index(anchor)
    if isinstance(anchor, int | np.integer) and not isinstance(anchor, bool) and -len(tracks) <= anchor < len(tracks):
        return next(i for i, t in enumerate(placed) if t.ds is tracks[anchor])
    raise SchemaError(f"anchor must be one of {', '.join(labels)} or an index below {len(labels)}, got {anchor!r}")


def _require_one_geometry(placed: list[Track]) -> None:
    """A difference between viewing directions holds motion, and is no offset."""
    for key in ("orbit_direction", "look_side"):
        seen = {t.label: str(t.ds.attrs.get(key, "")) for t in placed}
        if len(set(seen.values())) > 1:
            shown = ", ".join(f"{label} {value or 'unknown'}" for label, value in seen.items())
            raise SchemaError(f"a mosaic needs one {key}, got {shown}; join each by itself, then use invert_enu")


def _data_sheets(placed: list[Track], variable: str, *first: str) -> list[Sheet]:
    """Other variables of each track, then its data, and its `valid` if it has one."""
    return [t.sheet(*first, variable, *(["valid"] if "valid" in t.ds else [])) for t in placed]


@dataclass(frozen=True)
class _Network:
    """What the adjustment knows before it sees data."""

    pairs: tuple[tuple[int, int], ...]
    labels: tuple[str, ...]
    anchor: int | None
    min_overlap: int

    def solve(self, table: np.ndarray) -> np.ndarray:
        """Offset of each track from the table of pairs."""
        used = np.flatnonzero(table[:, 2] >= max(self.min_overlap, 1))
        pairs = [self.pairs[p] for p in used]
        return solve_offsets(pairs, table[used, 0], table[used, 2], len(self.labels), self.anchor, names=self.labels)


def _pair_table(sheets: list[Sheet], pairs: list[tuple[int, int]]) -> da.Array:
    """Median, robust sigma and count of each pair, shape ``(pair, 3)``, in one graph layer."""
    arrays = [a for s in sheets for a in s.arrays]
    name = "pairs-" + tokenize([(s.window, [a.name for a in s.arrays]) for s in sheets], pairs)
    graph: dict[tuple, tuple] = {}
    for p, (i, j) in enumerate(pairs):
        window = sheets[i].window & sheets[j].window
        tasks = block_tasks(_differences, window, [sheets[i], sheets[j]])
        parts: dict[tuple, tuple] = {(f"{name}-difference", p, *index): task for index, task in tasks}
        graph |= parts
        graph[(f"{name}-one", p)] = (summarise_differences, list(parts))
    graph[(name, 0, 0)] = (_table, [(f"{name}-one", p) for p in range(len(pairs))])
    return lazy_array(name, graph, ((len(pairs),), (3,)), float, arrays)


def _masked(patch: Patch, first: int = 0) -> np.ndarray:
    """The data of a patch, NaN where they are not valid, after `first` other views."""
    values, *valid = patch.views[first:]
    return np.where(valid[0], values, np.float32(np.nan)) if valid else values


def _used(patches: list[Patch], first: int) -> list[np.ndarray]:
    """Where the data of each patch take part in the blend."""
    return [~np.isnan(_masked(p, first)) for p in patches]


def _differences(_shape: Shape, patches: list[Patch]) -> np.ndarray:
    first, second = patches
    return valid_differences(_masked(first), _masked(second))


def _table(rows: list[np.ndarray]) -> np.ndarray:
    return np.array(rows).reshape(-1, 3)


def apply_adjustment(ds: xr.Dataset, adjustment: xr.Dataset) -> xr.Dataset:
    """
    Add the offset of a track to its velocity or displacement.

    Parameters
    ----------
    ds : xr.Dataset
        One of the tracks that the adjustment was estimated from.
    adjustment : xr.Dataset
        Result of `estimate_adjustment`, lazy or computed.

    Returns
    -------
    xr.Dataset
        The same with the shifted variable; quality and geometry are untouched. Attribute `adjusted` is the label of
        the track; `reference_point` goes, unless the track is the anchor.

    Raises
    ------
    SchemaError
        If the adjustment does not know the track, or knows two of its name and product, or is for another variable.
    """
    variable = adjustment.attrs["variable"]
    if variable not in ds:
        raise SchemaError(f"the adjustment is for {variable}; the dataset has {', '.join(map(str, ds.data_vars))}")
    label = _known_label(ds, adjustment)
    offset = adjustment["offset"].data[adjustment["track"].values.tolist().index(label)]
    shifted = (ds[variable] + offset).astype(ds[variable].dtype)
    moved = ds.assign({variable: shifted.assign_attrs(ds[variable].attrs)}).assign_attrs(adjusted=label)
    if label != adjustment.attrs["anchor"]:
        moved.attrs.pop("reference_point", None)
    return moved


def _known_label(ds: xr.Dataset, adjustment: xr.Dataset) -> str:
    known = adjustment["track"].values.tolist()
    track = str(ds.attrs.get("track", "track"))
    full = f"{track}:{ds.attrs.get('product', '')}"
    for label in (track, full):
        if label in known:
            return label
    if f"{full}#1" in known:
        raise SchemaError(
            f"the adjustment knows more than one track of the name and product {full}, and cannot tell which this is; "
            "give each a product of its own before estimate_adjustment, or call mosaic with all of them"
        )
    raise SchemaError(f"the adjustment knows tracks {', '.join(known)}; got {track}; estimate it with this track")


def mosaic(
    tracks: Sequence[xr.Dataset],
    adjustment: xr.Dataset | None = None,
    blend: Literal["mean"] = "mean",
    *,
    anchor: str | int | None = None,
    min_overlap: int = MIN_OVERLAP,
    coherence: Literal["mean", "max"] = "mean",
    max_gap_days: float = MAX_GAP_DAYS,
) -> xr.Dataset:
    """
    Join tracks on the union of their windows, after an adjustment of their datum.

    Parameters
    ----------
    tracks : sequence of xr.Dataset
        Two-dimensional velocity (m/yr) or displacement (m) products of one orbit direction and look side, on one
        lattice, in any chunks.
    adjustment : xr.Dataset, optional
        Result of `estimate_adjustment`, with its anchor; estimated from the tracks if not given.
    blend : {"mean"}
        Mean of the tracks that have a valid pixel, with equal weights.
    anchor : str or int, optional
        As for `estimate_adjustment`; only if no adjustment is given.
    min_overlap : int
        As for `estimate_adjustment`; not used if an adjustment is given.
    coherence : {"mean", "max"}
        How coherence is joined.
    max_gap_days : float
        Largest difference between the first dates of displacements, and between their last. Velocities may differ.

    Returns
    -------
    xr.Dataset
        Lazy. The data variable, NaN where no track has a valid pixel; `n_tracks` that contribute and `valid` where one
        does; if every track has them, the standard deviation of the mean for independent tracks, and the mean look of
        the tracks that contribute (of all where none does) as a unit vector; quality and height without offset
        (booleans by any, the others by mean); the adjustment on the dimensions `track` and `pair`. Other variables are
        dropped. Attribute `reference_point` is that of the anchor; there is none without an anchor.

    Raises
    ------
    SchemaError
        If the tracks differ in kind, direction or look side, hold a time series or displacements of different periods,
        or an argument is unknown or of no use.
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
    if blend != "mean" or coherence not in ("mean", "max"):
        raise SchemaError(f"blend must be 'mean' and coherence 'mean' or 'max', got {blend!r} and {coherence!r}")
    placed, variable = _joinable(tracks, max_gap_days)
    if adjustment is None:
        adjustment = _estimate(placed, variable, _anchor_index(placed, tracks, anchor), min_overlap)
    elif anchor is not None:
        raise SchemaError(
            f"the adjustment has its anchor already, {adjustment.attrs['anchor']}; got anchor {anchor!r} as well: "
            "give it to estimate_adjustment"
        )
    if adjustment.attrs["variable"] != variable:
        raise SchemaError(f"the adjustment is for {adjustment.attrs['variable']}, the tracks hold {variable}")
    window = union([t.window for t in placed])
    data = _blend_data(placed, variable, _offsets_of(placed, adjustment), window)
    data |= _blend_quality(placed, window, coherence) | _blend_look(placed, variable, window)
    attrs = _mosaic_attrs(placed, adjustment.attrs["anchor"]) | {"blend": blend}
    return on_window(window, data, placed, attrs).assign(adjustment.variables)


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


def _blend_data(placed: list[Track], variable: str, offsets: da.Array, window: Window) -> dict[str, tuple]:
    sheets = _data_sheets(placed, variable)
    count = lay(_count, window, sheets, dtype=np.int16)
    mean = lay(_mean, window, sheets, offsets, dtype=np.float32)
    data = {
        variable: _variable(placed, variable, mean),
        "n_tracks": (("y", "x"), count, {"units": "1", "long_name": "tracks that contribute"}),
        "valid": (("y", "x"), count > 0, VARIABLES["valid"].attrs),
    }
    name = f"{variable}_std"
    if all(name in t.ds for t in placed):
        data[name] = _variable(placed, name, lay(_std, window, _data_sheets(placed, variable, name), dtype=np.float32))
    return data


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
    vector = lay(_unit, window, _data_sheets(placed, variable, *LOS), dtype=np.float32, depth=3)
    return {name: _variable(placed, name, vector[k]) for k, name in enumerate(LOS)}


def _flat(patches: list[Patch], k: int) -> list[kernel.Patch]:
    return [(p.views[k], p.row, p.col) for p in patches]


def _mean(shape: Shape, patches: list[Patch], offsets: np.ndarray | None = None) -> np.ndarray:
    own = None if offsets is None else [float(offsets[p.sheet]) for p in patches]
    return kernel.blend_mean(shape, [(_masked(p), p.row, p.col) for p in patches], own)


def _std(shape: Shape, patches: list[Patch]) -> np.ndarray:
    return kernel.blend_std(shape, _flat(patches, 0), _used(patches, 1))


def _count(shape: Shape, patches: list[Patch]) -> np.ndarray:
    return kernel.count_finite(shape, [(_masked(p), p.row, p.col) for p in patches])


def _max(shape: Shape, patches: list[Patch]) -> np.ndarray:
    return kernel.blend_max(shape, _flat(patches, 0))


def _any(shape: Shape, patches: list[Patch]) -> np.ndarray:
    return kernel.blend_any(shape, _flat(patches, 0))


def _unit(shape: Shape, patches: list[Patch]) -> np.ndarray:
    east, north, up = (_flat(patches, k) for k in range(3))
    return kernel.blend_unit(shape, east, north, up, _used(patches, 3))
