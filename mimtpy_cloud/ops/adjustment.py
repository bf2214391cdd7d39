"""One datum for many tracks: an offset or a ramp for each, from all overlaps and outside ties at once."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

import dask.array as da
import numpy as np
import xarray as xr
from dask.base import tokenize

from mimtpy_cloud.errors import SchemaError
from mimtpy_cloud.kernels.offset import difference, vertical_difference
from mimtpy_cloud.kernels.pair import STATISTICS, PairSummary, Robust, summarise_pair
from mimtpy_cloud.kernels.ramp import evaluate_ramp, ramp_terms
from mimtpy_cloud.ops.combination import Track, data_variable, lattice_tracks, require_one_period
from mimtpy_cloud.ops.overlay import Patch, Sheet, lazy_array, window_task
from mimtpy_cloud.ops.stations import project_stations
from mimtpy_cloud.plan.chunks import tile_sides
from mimtpy_cloud.plan.dates import MAX_GAP_DAYS
from mimtpy_cloud.plan.grid import Window, union
from mimtpy_cloud.plan.network import (
    Ties,
    fundamental_loops,
    overlapping_pairs,
    require_connected,
    solve_network,
)
from mimtpy_cloud.plan.plane import plane_km
from mimtpy_cloud.schema import LOS, VARIABLES, require_variables

__all__ = ["MIN_OVERLAP", "apply_adjustment", "estimate_adjustment", "joinable", "masked", "ramped"]

#: Overlaps with fewer common pixels tie no tracks together unless asked otherwise.
MIN_OVERLAP = 10
_KINDS = ("constant", "linear", "quadratic")
_WEIGHTS = ("variance", "count", "equal")
#: Name and unit of what describes a pair before and after; the unit of the data if empty.
_STATISTIC_NAMES = {
    "median": ("median difference, first minus second", ""),
    "sigma": ("robust standard deviation of the difference about the fit", ""),
    "count": ("common pixels", "1"),
    "rms": ("root mean square of the difference", ""),
    "length_km": ("correlation length of the difference", "km"),
    "effective": ("effective number of independent pixels", "1"),
}
_RESULT_NAMES = {
    "pair_residual": ("constant term of the difference that the adjustment leaves", ""),
    "pair_normalised": ("residual over its expected size", "1"),
    "pair_rms_after": ("root mean square of the difference after the adjustment", ""),
}
Look = Literal["vertical"] | xr.Dataset | None


def estimate_adjustment(
    tracks: Sequence[xr.Dataset],
    *,
    order: Literal[0, 1, 2] = 0,
    anchor: str | int | None = None,
    ties: xr.Dataset | None = None,
    weights: Literal["variance", "count", "equal"] = "variance",
    robust: Robust = True,
    correlation_km: float | None = None,
    look: Look = None,
    min_overlap: int = MIN_OVERLAP,
    max_gap_days: float = MAX_GAP_DAYS,
) -> xr.Dataset:
    """
    Estimate what to add to each track, from all overlaps at once, so that they share a datum.

    Parameters
    ----------
    tracks : sequence of xr.Dataset
        Two-dimensional velocity (m/yr) or displacement (m) products of one orbit direction and look side, on one
        lattice. Pixels that are NaN or not `valid` are ignored.
    order : {0, 1, 2}
        An offset for each track; or a linear, or a quadratic ramp as well.
    anchor : str or int, optional
        Label, or index in `tracks`, of the track that keeps its datum.
    ties : xr.Dataset, optional
        Stations as `mimtpy_cloud.io.gnss.read_stations` gives them (m/yr): their velocities, projected into the line of
        sight of each track, fix the datum. A place that is known to be at rest is a station with velocity 0. Without
        `anchor` and `ties` the corrections have zero mean. With both, the anchor is one more tie of its datum.
    weights : {"variance", "count", "equal"}
        Weight of a pair: the inverse variance of what its overlap says, its number of pixels, or 1.
    robust : bool or {"mode"}
        Order 0: median of the difference, mean, or half-sample mode. Order 1 and 2: Huber's weights or least squares.
    correlation_km : float, optional
        Correlation length of the noise in km; estimated in each overlap if not given.
    look : {"vertical"} or xr.Dataset, optional
        Two tracks see one motion along different looks, so that their difference holds signal. None takes the plain
        difference; ``"vertical"`` compares the vertical motions that both would mean; a dataset with some of
        ``east, north, up`` in m/yr on the lattice takes the difference that it predicts away.
    min_overlap : int
        Overlaps with fewer common pixels are listed but not used.
    max_gap_days : float
        Largest difference between the first dates of displacements, and between their last. Velocities may differ.

    Returns
    -------
    xr.Dataset
        Lazy. `coefficient (track, term)`: what to add, in the unit of the data per km^degree, with x km east and y km
        north of the attribute `origin` (lon, lat); `offset (track)` its constant term;
        `covariance (track, term, track_, term_)`. For each overlap, before: `pair_median`, `pair_sigma` (robust), `pair_count`, `pair_rms`,
        `pair_length_km`, `pair_effective` (independent pixels), and `pair_median_plain` if `look` was given; after:
        `pair_residual` (constant term, what the network leaves), `pair_normalised` (over its expected size) and
        `pair_rms_after`. `misclosure (loop)` of the medians (order 0), `chi2`, `dof`; with ties
        `tie_residual (track, station)` in m/yr. Computing it raises `DisconnectedTracksError` if the usable overlaps
        and ties do not determine all.

    Raises
    ------
    SchemaError
        If the tracks differ in kind, direction or look side, hold a time series or displacements of different periods,
        or an argument is unknown.
    GridMismatchError
        If the tracks are not on one lattice.
    DisconnectedTracksError
        If the windows of the tracks do not tie all together and there are no ties.

    See Also
    --------
    mimtpy_cloud.plan.network.solve_network : The least-squares adjustment.
    mimtpy_cloud.kernels.pair.summarise_pair : What one overlap says.

    Notes
    -----
    Only blocks in overlaps are read. The difference of a pair is held in memory, 4 bytes a pixel of the overlap, until
    it is summarised: 0.4 GB for 10 000 by 10 000 pixels. The result does not depend on the order of the tracks or on
    chunks, bit for bit.
    """
    _require_choice("order", order, (0, 1, 2))
    _require_choice("weights", weights, _WEIGHTS)
    _require_choice("robust", robust, (True, False, "mode") if order == 0 else (True, False))
    placed, variable = joinable(tracks, max_gap_days)
    labels = [t.label for t in placed]
    windows = [t.window for t in placed]
    pairs = overlapping_pairs(windows)
    if ties is None:
        require_connected(pairs, labels)
    elif variable != "velocity":
        raise SchemaError(f"ties are velocities in m/yr; the tracks hold {variable}: take estimate_velocity first")
    whole = union(windows)
    plan = _Plan(
        pairs=tuple(pairs),
        labels=tuple(labels),
        anchor=_anchor_index(placed, tracks, anchor),
        kind=_KINDS[order],
        origin=_centre(whole),
        scale=max(1.0, float(np.ptp(_plane(whole, _centre(whole))[1])) / 2),
        weights=weights,
        robust=robust,
        length_km=correlation_km,
        min_overlap=min_overlap,
        n_stations=0 if ties is None else ties.sizes["station"],
    )
    rows = _pair_rows(placed, variable, plan, look)
    plain = None if look is None else _pair_rows(placed, variable, plan, None)
    tied = [] if ties is None else [_tie_rows(t, ties) for t in placed]
    name = "adjustment-" + tokenize([a.name for a in (rows, *tied)], plan)
    graph = {(name, 0): (plan.solve, (rows.name, 0, 0), [(t.name, 0, 0) for t in tied])}
    solved = lazy_array(name, graph, ((plan.sizes.total,),), float, [rows, *tied])
    return _labelled(plan, variable, rows, plain, solved, None if ties is None else ties["station"].values)


def _require_choice(name: str, value: Any, choices: Sequence[Any]) -> None:
    if not any(value is c or (type(value) is type(c) and value == c) for c in choices):
        raise SchemaError(f"{name} must be one of {', '.join(map(repr, choices))}, got {value!r}")


def joinable(tracks: Sequence[xr.Dataset], max_gap_days: float) -> tuple[list[Track], str]:
    """
    Sort tracks that can be joined, and tell which variable they hold.

    Parameters
    ----------
    tracks : sequence of xr.Dataset
        As for `estimate_adjustment`.
    max_gap_days : float
        Largest difference between the dates of displacements.

    Returns
    -------
    tracks : list of Track
    variable : str

    Raises
    ------
    SchemaError
        If they differ in kind, direction, look side or period.
    GridMismatchError
        If they are not on one lattice.
    """
    placed = lattice_tracks(tracks)
    variable = data_variable(placed)
    for key in ("orbit_direction", "look_side"):  # a difference between viewing directions holds motion
        seen = {t.label: str(t.ds.attrs.get(key, "")) for t in placed}
        if len(set(seen.values())) > 1:
            shown = ", ".join(f"{label} {value or 'unknown'}" for label, value in seen.items())
            raise SchemaError(f"a mosaic needs one {key}, got {shown}; join each by itself, then use invert_enu")
    require_one_period(placed, variable, max_gap_days)
    return placed, variable


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


def _centre(window: Window) -> tuple[float, float]:
    west, south, east, north = window.bounds
    return round((west + east) / 2, 6), round((south + north) / 2, 6)


def _plane(window: Window, origin: tuple[float, float]) -> tuple[np.ndarray, np.ndarray]:
    return plane_km(window.x, window.y, origin)


def apply_adjustment(ds: xr.Dataset, adjustment: xr.Dataset) -> xr.Dataset:
    """
    Add the offset or ramp of a track to its velocity or displacement.

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
        If the adjustment does not know the track, or knows two of its name and product, is for another variable, or was
        applied already.
    """
    variable = adjustment.attrs["variable"]
    if variable not in ds:
        raise SchemaError(f"the adjustment is for {variable}; the dataset has {', '.join(map(str, ds.data_vars))}")
    if "adjusted" in ds.attrs:
        raise SchemaError(f"{ds.attrs['adjusted']} was adjusted already; apply an adjustment to what it was made from")
    label = _known_label(ds, adjustment)
    (placed,) = lattice_tracks([ds])
    offset = adjustment["offset"].data[adjustment["track"].values.tolist().index(label)]
    level = ramped(Track(label, placed.window, ds), variable, adjustment)
    shifted = (level + offset).astype(ds[variable].dtype)
    moved = ds.assign({variable: (("y", "x"), shifted, ds[variable].attrs)}).assign_attrs(adjusted=label)
    if label != adjustment.attrs["anchor"]:
        moved.attrs.pop("reference_point", None)
    return moved


def ramped(track: Track, variable: str, adjustment: xr.Dataset) -> da.Array:
    """
    Add what varies in space of a correction; the offset is left out.

    Parameters
    ----------
    track : Track
        Its label is known to the adjustment.
    variable : str
        Variable to correct.
    adjustment : xr.Dataset
        Result of `estimate_adjustment`.

    Returns
    -------
    da.Array
        Float32, shape ``(y, x)``; the variable itself for offsets alone.
    """
    (data,) = track.sheet(variable).arrays
    if adjustment.attrs["order"] == 0:
        return data
    index = adjustment["track"].values.tolist().index(track.label)
    coefficient = da.asarray(adjustment["coefficient"].data)[index].rechunk(-1)
    x, y = (
        da.from_array(v, chunks=(c,))
        for v, c in zip(_plane(track.window, tuple(adjustment.attrs["origin"])), data.chunks[::-1], strict=True)
    )  # type: ignore[no-untyped-call, arg-type]
    kind = _KINDS[adjustment.attrs["order"]]
    added: da.Array = da.blockwise(  # type: ignore[no-untyped-call]
        _add_ramp,
        "yx",
        data,
        "yx",
        x,
        "x",
        y,
        "y",
        coefficient,
        "k",
        kind=kind,
        concatenate=True,
        dtype=np.float32,
        meta=np.empty((0, 0), np.float32),
    )
    return added


def _add_ramp(data: np.ndarray, x: np.ndarray, y: np.ndarray, coefficient: np.ndarray, *, kind: str) -> np.ndarray:
    without = np.array(coefficient, np.float64)
    without[0] = 0.0
    return (data + evaluate_ramp(without, x, y, kind)).astype(np.float32)


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


# ---- what each overlap says


def _pair_rows(placed: list[Track], variable: str, plan: "_Plan", look: Look) -> da.Array:
    """Summary of each pair as a row of numbers, in one graph layer."""
    if look is not None:
        for track in placed:
            require_variables(f"track {track.label}", track.ds, "los_up" if isinstance(look, str) else LOS[0], LOS[-1])
    if isinstance(look, str) and look != "vertical":
        raise SchemaError(f"look must be None, 'vertical' or a dataset with east, north or up, got {look!r}")
    extra = () if look is None else ("los_up",) if isinstance(look, str) else LOS
    sheets = [t.sheet(*extra, variable, *(["valid"] if "valid" in t.ds else [])) for t in placed]
    field = _field_sheet(look) if isinstance(look, xr.Dataset) else None
    used = [*sheets, *([field] if field else [])]
    arrays = [a for s in used for a in s.arrays]
    name = "pairs-" + tokenize([(s.window, [a.name for a in s.arrays]) for s in used], plan)
    side = tile_sides(placed[0].window.n)[1]
    graph: dict[tuple, tuple] = {}
    for p, (i, j) in enumerate(plan.pairs):
        overlap = placed[i].window & placed[j].window
        sources = [sheets[i], sheets[j], *([field] if field else [])]
        tiles = list(overlap.tiles(side))
        parts = {
            (f"{name}-difference", p, t): window_task(_Differences(len(extra)), tile, sources)
            for t, tile in enumerate(tiles)
        }
        graph |= parts
        graph[(f"{name}-one", p)] = (_PairJob(plan, overlap, tuple(tiles)), list(parts))
    graph[(name, 0, 0)] = (_stack, [(f"{name}-one", p) for p in range(len(plan.pairs))], plan.sizes.row)
    return lazy_array(name, graph, ((len(plan.pairs),), (plan.sizes.row,)), float, arrays)


def _field_sheet(look: xr.Dataset) -> Sheet:
    components = [name for name in ("east", "north", "up") if name in look]
    if not components:
        raise SchemaError(f"a look field needs east, north or up, it has {', '.join(map(str, look.data_vars))}")
    (track,) = lattice_tracks([look])
    lazy = track.sheet(*components).arrays
    zero = da.zeros_like(lazy[0])
    full = [lazy[components.index(c)] if c in components else zero for c in ("east", "north", "up")]
    return Sheet(track.window, tuple(full))


@dataclass(frozen=True)
class _Differences:
    """Makes the difference of two sheets on a block; `extra` views of each come before the data."""

    extra: int

    def __call__(self, shape: tuple[int, int], patches: list[Patch]) -> np.ndarray:
        if len(patches) < 2 or (self.extra == len(LOS) and len(patches) < 3):
            return np.full(shape, np.nan, np.float32)
        first, second = (masked(p, self.extra) for p in patches[:2])
        if self.extra == 0:
            return difference(first, second)
        if self.extra == 1:
            return vertical_difference(first, second, patches[0].views[0], patches[1].views[0])
        looks = zip(patches[2].views, patches[0].views, patches[1].views, strict=False)
        return difference(first, second, *(block for three in looks for block in three))


def masked(patch: Patch, first: int = 0) -> np.ndarray:
    """
    Blank the data of a patch where they are not valid.

    Parameters
    ----------
    patch : Patch
        Its views are `first` others, the data, and `valid` if there is one.
    first : int
        Number of the others.

    Returns
    -------
    np.ndarray
    """
    values, *valid = patch.views[first:]
    return np.where(valid[0], values, np.float32(np.nan)) if valid else values


@dataclass(frozen=True)
class _PairJob:
    """Joins the tiles of an overlap and summarises it."""

    plan: "_Plan"
    overlap: Window
    tiles: tuple[Window, ...]

    def __call__(self, parts: list[np.ndarray]) -> np.ndarray:
        image = np.full(self.overlap.shape, np.nan, np.float32)
        for tile, part in zip(self.tiles, parts, strict=True):
            image[tile.slices_in(self.overlap)] = part
        x, y = _plane(self.overlap, self.plan.origin)
        plan = self.plan
        found = summarise_pair(
            image, x, y, plan.kind, scale_km=plan.scale, robust=plan.robust, length_km=plan.length_km
        )
        return np.concatenate(
            [found.statistics, found.terms, found.information.ravel(), found.moments, found.products.ravel()]
        )


def _stack(rows: list[np.ndarray], width: int) -> np.ndarray:
    return np.array(rows, np.float64).reshape(-1, width)


def _tie_rows(track: Track, ties: xr.Dataset) -> da.Array:
    """Per station: what the track lacks, its variance, and the position; NaN where there is no pixel."""
    require_variables(f"track {track.label}", track.ds, *LOS)
    projected = project_stations(track.ds, ties).reindex(station=ties["station"].values)
    lon, lat = ties["lon"].values, ties["lat"].values
    lacking = projected["los"] - projected["observed"]
    rows = [lacking, projected["los_std"] ** 2, xr.zeros_like(lacking) + lon, xr.zeros_like(lacking) + lat]
    joined = da.stack([da.asarray(r.data, dtype=float) for r in rows])  # type: ignore[no-untyped-call]
    return joined.rechunk(-1)


# ---- the adjustment of the network


@dataclass(frozen=True)
class _Sizes:
    """Where what lies in the flat result."""

    nodes: int
    terms: int
    pairs: int
    loops: int
    ties: int

    @property
    def row(self) -> int:
        return len(STATISTICS) + 2 * (self.terms + self.terms**2)

    @property
    def parts(self) -> dict[str, tuple[int, ...]]:
        n, k = self.nodes, self.terms
        return {
            "coefficient": (n, k),
            "covariance": (n, k, n, k),
            "pair_residual": (self.pairs,),
            "pair_normalised": (self.pairs,),
            "pair_rms_after": (self.pairs,),
            "misclosure": (self.loops,),
            "tie_residual": (n, self.ties),
            "chi2": (),
            "dof": (),
        }

    @property
    def total(self) -> int:
        return sum(int(np.prod(shape)) for shape in self.parts.values())


@dataclass(frozen=True)
class _Plan:
    """What the adjustment knows before it sees data."""

    pairs: tuple[tuple[int, int], ...]
    labels: tuple[str, ...]
    anchor: int | None
    kind: str
    origin: tuple[float, float]
    scale: float
    weights: str
    robust: Robust
    length_km: float | None
    min_overlap: int
    n_stations: int

    @property
    def terms(self) -> tuple[str, ...]:
        return ramp_terms(self.kind)

    @property
    def loops(self) -> list[list[tuple[int, int]]]:
        return fundamental_loops(self.pairs, len(self.labels)) if self.kind == "constant" else []

    @property
    def sizes(self) -> _Sizes:
        return _Sizes(len(self.labels), len(self.terms), len(self.pairs), len(self.loops), self.n_stations)

    def solve(self, rows: np.ndarray, tied: list[np.ndarray]) -> np.ndarray:
        """Adjust, and report."""
        k = len(self.terms)
        cuts = np.cumsum([len(STATISTICS), k, k * k, k])
        found = [_summary(*np.split(row, cuts), k) for row in rows]
        count = rows[:, 2]
        used = [p for p in range(len(self.pairs)) if count[p] >= max(self.min_overlap, 1)]
        information = [self._weighted(found[p]) for p in used]
        solution = solve_network(
            [self.pairs[p] for p in used],
            np.array([found[p].terms for p in used]).reshape(-1, k),
            np.array(information).reshape(-1, k, k),
            len(self.labels),
            anchor=self.anchor,
            ties=self._ties(tied),
            names=self.labels,
        )
        x = solution.coefficients
        residual, normalised, after = (np.full(len(self.pairs), np.nan) for _ in range(3))
        residual[used] = solution.residuals[:, 0]
        normalised[used] = solution.normalised
        for p, (i, j) in enumerate(self.pairs):
            if count[p]:
                after[p] = _rms_after(found[p], x[j] - x[i])
        loops = [sum(sign * rows[p, 0] for p, sign in loop) for loop in self.loops]
        tie_residual = np.full((len(self.labels), self.n_stations), np.nan)
        tie_residual[self._tied(tied)] = solution.tie_residuals
        scalars = [solution.chi2, solution.dof]
        # other weights are no inverse variances, so that only the residuals tell the scale of the covariance
        scale = 1.0 if self.weights == "variance" else solution.chi2 / solution.dof if solution.dof else np.nan
        parts = [
            x,
            solution.covariance * scale,
            residual,
            normalised,
            after,
            np.array(loops),
            tie_residual,
            np.array(scalars),
        ]
        return np.concatenate([np.ravel(p) for p in parts])

    def _weighted(self, pair: PairSummary) -> np.ndarray:
        """Inverse covariance of a pair, or that with another weight of its constant term."""
        if self.weights == "variance":
            return pair.information
        wanted = pair.statistics[2] if self.weights == "count" else 1.0
        return pair.information * (wanted / pair.information[0, 0])

    def _tied(self, tied: list[np.ndarray]) -> tuple[np.ndarray, np.ndarray]:
        usable = [np.isfinite(rows[:2]).all(axis=0) & (rows[1] > 0) for rows in tied]
        return np.nonzero(np.array(usable).reshape(-1, self.n_stations) if tied else np.zeros((0, 0)))

    def _ties(self, tied: list[np.ndarray]) -> Ties | None:
        if not tied:
            return None
        node, station = self._tied(tied)
        value, variance, lon, lat = np.array(tied)[node, :, station].T
        x, y = plane_km(lon, lat, self.origin)
        design = np.stack([np.ones_like(x), *(_power(term, x, y) for term in self.terms[1:])], axis=1)
        return Ties(node, design, value, variance)


def _power(term: str, x: np.ndarray, y: np.ndarray) -> np.ndarray:
    return {"x": x, "y": y, "x^2": x**2, "x y": x * y, "y^2": y**2}[term]


def _rms_after(pair: PairSummary, correction: np.ndarray) -> float:
    """Root mean square of the difference less the correction, from its moments."""
    square = pair.statistics[3] ** 2 - 2 * correction @ pair.moments + correction @ pair.products @ correction
    return float(np.sqrt(max(square, 0.0)))


def _summary(*parts: np.ndarray | int) -> PairSummary:
    *arrays, k = parts
    statistics, terms, information, moments, products = arrays
    return PairSummary(statistics, terms, information.reshape(k, k), moments, products.reshape(k, k))


def _labelled(
    plan: _Plan, variable: str, rows: da.Array, plain: da.Array | None, solved: da.Array, stations: np.ndarray | None
) -> xr.Dataset:
    """Name what the flat result holds."""
    unit = VARIABLES[variable].units
    sizes, start, parts = plan.sizes, 0, dict[str, da.Array]()
    for name, shape in sizes.parts.items():
        size = int(np.prod(shape))
        parts[name] = solved[start : start + size].reshape(shape)
        start += size
    pair, track = ("pair",), ("track",)
    data: dict[str, tuple] = {
        "coefficient": ((*track, "term"), parts["coefficient"], {"long_name": "added to the track", "units": unit}),
        "offset": (track, parts["coefficient"][:, 0], {"long_name": f"offset added to the {variable}", "units": unit}),
        "covariance": (("track", "term", "track_", "term_"), parts["covariance"], {"long_name": "of the coefficients"}),
    }
    for k, name in enumerate(STATISTICS):
        long_name, own = _STATISTIC_NAMES[name]
        data[f"pair_{name}"] = (pair, rows[:, k], {"long_name": long_name, "units": own or unit})
    data["pair_count"] = (pair, rows[:, 2].astype(np.int64), data["pair_count"][2])
    if plain is not None:
        data["pair_median_plain"] = (pair, plain[:, 0], {"long_name": "median of the plain difference", "units": unit})
    for name, (long_name, own) in _RESULT_NAMES.items():
        data[name] = (pair, parts[name], {"long_name": long_name, "units": own or unit})
    if plan.loops:
        data["misclosure"] = (("loop",), parts["misclosure"], {"long_name": "sum of medians around", "units": unit})
    data["chi2"] = ((), parts["chi2"], {"long_name": "weighted sum of squared residuals", "units": "1"})
    data["dof"] = ((), parts["dof"].astype(np.int64), {"long_name": "observations less unknowns", "units": "1"})
    labels = np.array(plan.labels, dtype=object)
    coords: dict[str, Any] = {
        "track": ("track", labels),
        "track_": ("track_", labels),
        "term": ("term", np.array(plan.terms, dtype=object)),
        "term_": ("term_", np.array(plan.terms, dtype=object)),
        "pair": ("pair", np.array([f"{labels[i]}-{labels[j]}" for i, j in plan.pairs], dtype=object)),
    }
    if plan.loops:
        names = ["-".join(_around(loop, plan)) for loop in plan.loops]
        coords["loop"] = ("loop", np.array(names, dtype=object))
    if stations is not None:
        data["tie_residual"] = (
            ("track", "station"),
            parts["tie_residual"],
            {"long_name": "station less adjusted track", "units": unit},
        )
        coords["station"] = ("station", stations)
    datum = plan.labels[plan.anchor] if plan.anchor is not None else "zero mean" if stations is None else "ties"
    attrs = {
        "anchor": datum,
        "variable": variable,
        "order": _KINDS.index(plan.kind),
        "origin": list(plan.origin),
        "weights": plan.weights,
        "min_overlap": plan.min_overlap,
    }
    return xr.Dataset(data, coords, attrs)


def _around(loop: list[tuple[int, int]], plan: _Plan) -> list[str]:
    """Labels of the tracks of a loop, from the first back to it."""
    ends = [plan.pairs[p][::sign] for p, sign in loop]
    return [*(plan.labels[i] for i, _ in ends), plan.labels[ends[-1][1]]]
