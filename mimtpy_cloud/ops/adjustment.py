"""One datum for many tracks: an offset or a ramp for each, from all overlaps and outside ties at once."""

from collections.abc import Sequence
from typing import Any, Literal

import dask.array as da
import numpy as np
import xarray as xr
from dask.base import tokenize

from mimtpy_cloud.errors import SchemaError
from mimtpy_cloud.kernels.pair import Robust
from mimtpy_cloud.kernels.ramp import evaluate_ramp
from mimtpy_cloud.ops.combination import Track, data_variable, lattice_tracks, require_one_motion, require_one_period
from mimtpy_cloud.ops.looks import Look, look_name
from mimtpy_cloud.ops.network import KINDS, Plan, labelled
from mimtpy_cloud.ops.overlay import lazy_array
from mimtpy_cloud.ops.pairs import pair_rows, tie_rows
from mimtpy_cloud.plan.dates import MAX_GAP_DAYS
from mimtpy_cloud.plan.graph import overlapping_pairs, require_connected
from mimtpy_cloud.plan.grid import union
from mimtpy_cloud.plan.plane import plane_km
from mimtpy_cloud.schema import require_variables

__all__ = [
    "MIN_OVERLAP",
    "anchor_index",
    "apply_adjustment",
    "estimate_adjustment",
    "joinable",
    "ramped",
    "require_one_geometry",
]

#: Overlaps with fewer common pixels tie no tracks together unless asked otherwise.
MIN_OVERLAP = 10
_WEIGHTS = ("variance", "count", "equal")


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
    up: Literal["drop", "zero"] = "drop",
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
        sight of each track, fix the datum. A place that is known to be at rest is a station with velocity 0. The
        variance of a tie is that of the station, plus `velocity_std` of the pixel where the track has one, and at least
        that of 0.01 mm/yr; a station that lies in two tracks counts as two independent ones. Without `anchor` and
        `ties` the corrections have zero mean.
    weights : {"variance", "count", "equal"}
        Weight of a pair: the inverse variance of what its overlap says, its number of pixels, or 1. With `ties` only
        the first, since theirs are variances too.
    robust : bool or {"mode"}
        Order 0: median of the difference, mean, or half-sample mode. Order 1 and 2: Huber's weights or least squares.
    correlation_km : float, optional
        Correlation length of the noise in km; estimated in each overlap if not given.
    look : {"vertical"} or xr.Dataset, optional
        Two tracks see one motion along different looks, so that their difference holds signal. None takes the plain
        difference; ``"vertical"`` compares the vertical motions that both would mean; a dataset with some of
        ``east, north, up`` in m/yr on the lattice takes the difference that it predicts away. What ``"vertical"`` makes
        of an offset is known to the network as its mean over the overlap.
    up : {"drop", "zero"}
        What becomes of a station without vertical velocity, as for `project_stations`.
    min_overlap : int
        Overlaps with fewer common pixels are listed but not used.
    max_gap_days : float
        Largest difference between the first dates of displacements, and between their last. Velocities may differ.

    Returns
    -------
    xr.Dataset
        Lazy. `coefficient (track, term)`: what to add, in the unit of the data per km^degree, with x km east and y km
        north of the attribute `origin` (lon, lat); `offset (track)` its constant term; and
        `covariance (track, term, track_, term_)`. For each overlap, before: `pair_median`, `pair_sigma` (robust),
        `pair_count`, `pair_rms`, `pair_length_km`, `pair_effective` (independent pixels), and `pair_median_plain` if
        `look` was given; after: `pair_residual` (constant term, what the network leaves), `pair_normalised` (over its
        expected size) and `pair_rms_after`. `misclosure (loop)` of the medians (order 0; NaN with a pair that is not
        used), `chi2`, `dof`; with ties `tie_residual (track, station)` in m/yr. Computing it raises
        `DisconnectedTracksError` if the usable overlaps and ties do not determine all.

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
    Only blocks in overlaps are read. The difference of a pair is held in memory until it is summarised: with what that
    needs about 25 bytes a pixel of the overlap, 40 for a robust ramp, of as many overlaps as there are threads. The
    result does not depend on the order of the tracks or on chunks, bit for bit.
    """
    _require_choice("order", order, (0, 1, 2))
    _require_choice("weights", weights, _WEIGHTS)
    _require_choice("robust", robust, (True, False, "mode") if order == 0 else (True, False))
    placed, variable = joinable(tracks, max_gap_days)
    labels = [t.label for t in placed]
    windows = [t.window for t in placed]
    pairs = overlapping_pairs(windows)
    if ties is None:
        require_connected(pairs, labels, windows)
    else:
        _require_ties(ties, variable, anchor, weights)
    west, south, east, north = union(windows).bounds
    origin = (round((west + east) / 2, 6), round((south + north) / 2, 6))
    plan = Plan(
        pairs=tuple(pairs),
        labels=tuple(labels),
        anchor=anchor_index(placed, tracks, anchor),
        kind=KINDS[order],
        origin=origin,
        windows=tuple(windows),
        weights=weights,
        robust=robust,
        length_km=correlation_km,
        min_overlap=min_overlap,
        n_stations=0 if ties is None else ties.sizes["station"],
    )
    rows = pair_rows(placed, variable, plan, look)
    plain = None if look is None else pair_rows(placed, variable, plan, None)
    tied = [] if ties is None else [tie_rows(t, ties, up) for t in placed]
    name = "adjustment-" + tokenize([a.name for a in (rows, *tied)], plan)
    graph = {(name, 0): (plan.solve, (rows.name, 0, 0), [(t.name, 0, 0) for t in tied])}
    solved = lazy_array(name, graph, ((plan.sizes.total,),), float, [rows, *tied])
    made = labelled(plan, variable, rows, plain, solved, None if ties is None else ties["station"].values)
    products = [str(t.ds.attrs.get("product", "")) for t in placed]
    seen: dict[str, Any] = {"look": look_name(look), "robust": str(robust), "products": products}
    if correlation_km is not None:
        seen["correlation_km"] = correlation_km
    if ties is not None:
        frame, names = str(ties.attrs.get("frame", "")), ties["station"].values.tolist()
        seen |= {"reference_frame": frame, "reference_stations": names}
    return made.assign_attrs(seen)


def frame_of(adjustment: xr.Dataset) -> dict[str, Any]:
    """
    Tell which datum tracks have once they are adjusted.

    Parameters
    ----------
    adjustment : xr.Dataset
        Result of `estimate_adjustment`.

    Returns
    -------
    dict
        Attributes `reference_frame` and `reference_stations`, if it has ties.
    """
    return {key: adjustment.attrs[key] for key in ("reference_frame", "reference_stations") if key in adjustment.attrs}


def _require_ties(ties: Any, variable: str, anchor: Any, weights: str) -> None:
    if not isinstance(ties, xr.Dataset):
        raise SchemaError(f"ties must be a dataset of stations, as read_stations gives it, got {ties!r}")
    if weights != "variance":
        raise SchemaError(f"with ties the weights of pairs must be 'variance', as those of ties are, got {weights!r}")
    if variable != "velocity":
        raise SchemaError(
            f"ties are velocities in m/yr; the tracks hold {variable}: take estimate_velocity (--type velocity)"
        )
    if anchor is not None:
        raise SchemaError(f"the datum is either that of the anchor, {anchor!r}, or that of the ties; give one of them")
    twice = ties.get_index("station")
    if not twice.is_unique:
        shown = ", ".join(map(str, twice[twice.duplicated()].unique()))
        raise SchemaError(f"the ties name stations {shown} more than once; keep one row of each")
    names = [f"{name}_std" for name in ("east", "north", "up")]
    require_variables("the ties", ties.variables, *names)
    if not np.isfinite(ties[names[0]]).any():
        raise SchemaError("the ties need standard deviations (east_std, north_std, up_std in m/yr), all are NaN")


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
    require_one_geometry(placed)
    require_one_period(placed, variable, max_gap_days)
    require_one_motion(placed)
    return placed, variable


def require_one_geometry(placed: Sequence[Track]) -> None:
    """
    Check that all tracks look from one side; a difference between viewing directions holds motion.

    Parameters
    ----------
    placed : sequence of Track
        All tracks.

    Raises
    ------
    SchemaError
        If orbit direction or look side differ.
    """
    for key in ("orbit_direction", "look_side"):
        seen = {t.label: str(t.ds.attrs.get(key, "")) for t in placed}
        if len(set(seen.values())) > 1:
            shown = ", ".join(f"{label} {value or 'unknown'}" for label, value in seen.items())
            raise SchemaError(
                f"a mosaic needs one {key}, got {shown}; join each by itself, then use invert_enu (mimtpy decompose)"
            )


def anchor_index(placed: list[Track], tracks: Sequence[xr.Dataset], anchor: str | int | None) -> int | None:
    """
    Find the anchor among the sorted tracks.

    Parameters
    ----------
    placed : list of Track
        Sorted tracks.
    tracks : sequence of xr.Dataset
        As the user gave them.
    anchor : str, int or None
        Label, or index in `tracks`.

    Returns
    -------
    int or None

    Raises
    ------
    SchemaError
        If there is no such track.
    """
    if anchor is None:
        return None
    labels = [t.label for t in placed]
    if isinstance(anchor, str) and anchor in labels:
        return labels.index(anchor)
    if isinstance(anchor, int | np.integer) and not isinstance(anchor, bool) and -len(tracks) <= anchor < len(tracks):
        return next(i for i, t in enumerate(placed) if t.ds is tracks[anchor])
    raise SchemaError(f"anchor must be one of {', '.join(labels)} or an index below {len(labels)}, got {anchor!r}")


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
    return moved.assign_attrs(frame_of(adjustment))


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
    coefficient = da.asarray(adjustment["coefficient"].data)[index].rechunk(-1)  # type: ignore[no-untyped-call]
    plane = plane_km(track.window.x, track.window.y, tuple(adjustment.attrs["origin"]))
    x, y = (da.from_array(v, chunks=(c,)) for v, c in zip(plane, data.chunks[::-1], strict=True))  # type: ignore[no-untyped-call]
    kind = KINDS[adjustment.attrs["order"]]
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
    added: np.ndarray = (data + evaluate_ramp(without, x, y, kind)).astype(np.float32)
    return added


def _known_label(ds: xr.Dataset, adjustment: xr.Dataset) -> str:
    known = adjustment["track"].values.tolist()
    track = str(ds.attrs.get("track", "track"))
    full = f"{track}:{ds.attrs.get('product', '')}"
    products = dict(zip(known, adjustment.attrs.get("products", ()), strict=False))
    for label in (track, full):
        if label in known:
            product = str(ds.attrs.get("product", ""))
            if products.get(label, product) != product:
                raise SchemaError(
                    f"the adjustment knows {track} of product {products[label] or 'without a name'}, got product "
                    f"{product or 'without a name'}; estimate it with this one"
                )
            return label
    if f"{full}#1" in known:
        raise SchemaError(
            f"the adjustment knows more than one track of the name and product {full}, and cannot tell which this is; "
            "give each a product of its own before estimate_adjustment, or call mosaic with all of them"
        )
    raise SchemaError(f"the adjustment knows tracks {', '.join(known)}; got {track}; estimate it with this track")
