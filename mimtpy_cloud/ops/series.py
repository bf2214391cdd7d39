"""Time series of several tracks on common dates, with an offset for each date."""

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import Any

import dask.array as da
import numpy as np
import xarray as xr
from dask.base import tokenize

from mimtpy_cloud.errors import DateError, DisconnectedTracksError, SchemaError
from mimtpy_cloud.kernels.pair import summarise_pair
from mimtpy_cloud.kernels.rebase import rebased_difference
from mimtpy_cloud.ops.combination import Track
from mimtpy_cloud.ops.overlay import Patch, Sheet, lay, lazy_array, read_apart
from mimtpy_cloud.ops.pairs import tiled
from mimtpy_cloud.plan.dates import match_dates, parse_dates
from mimtpy_cloud.plan.graph import overlapping_pairs, require_connected
from mimtpy_cloud.plan.grid import Window
from mimtpy_cloud.plan.network import solve_network
from mimtpy_cloud.schema import VARIABLES, require_dims

__all__ = ["Matched", "common_dates", "date_offsets", "is_series", "require_series", "series_sheets"]

#: Tasks that summarise the dates of one pair.
_GROUPS = 4
#: Bytes of its differences that may wait in memory for them, or else this number of blocks of the series.
_HELD, _HELD_BLOCKS = 64 * 2**20, 2
_MEASURES = ("pair_median", "pair_sigma", "pair_count")


def is_series(ds: xr.Dataset) -> bool:
    """
    Tell whether a dataset holds a displacement series.

    Parameters
    ----------
    ds : xr.Dataset
        Canonical dataset.

    Returns
    -------
    bool
    """
    return "displacement" in ds and "time" in ds["displacement"].dims


@dataclass(frozen=True)
class Matched:
    """
    Series and their common dates.

    Parameters
    ----------
    tracks : tuple of Track
        With `displacement` as it was, on all dates of the track, in one chunk of time.
    dates : tuple of tuple of int
        For each track, where the common dates are among its own.
    time : xr.DataArray
        The common dates.
    """

    tracks: tuple[Track, ...]
    dates: tuple[tuple[int, ...], ...]
    time: xr.DataArray


def common_dates(placed: Sequence[Track], anchor: int | None, max_gap_days: float) -> Matched:
    """
    Match the dates of all tracks one to one.

    Parameters
    ----------
    placed : sequence of Track
        With displacement series.
    anchor : int, optional
        Track whose dates the result has; else the one with most dates.
    max_gap_days : float
        Largest distance of two dates that count as one.

    Returns
    -------
    Matched
        All refer to the first common date, which becomes the `reference_date` of the tracks.

    Raises
    ------
    DateError
        If there are fewer than two common dates.

    Notes
    -----
    Each track is matched with the dates of the first, equal ones before others (`match_dates`); dates that one of them
    lacks are left out of all.
    """
    dates = [parse_dates(t.ds.indexes["time"].to_numpy()) for t in placed]
    lead = max(range(len(placed)), key=lambda k: (dates[k].size, -k)) if anchor is None else anchor
    found = [match_dates(dates[lead], d, max_gap_days) for d in dates]
    kept = sorted(set.intersection(*(set(pairs[:, 0].tolist()) for pairs in found)))
    if len(kept) < 2:
        shown = "; ".join(
            f"{t.label} {d.size} dates from {d[0]} to {d[-1]}" for t, d in zip(placed, dates, strict=True) if d.size
        )
        raise DateError(
            f"the tracks need at least two common dates, within {max_gap_days:g} days, got {len(kept)}: {shown}; "
            "raise max_gap_days, or take estimate_velocity first"
        )
    time = placed[lead].ds["time"].isel(time=kept)
    tracks = []
    for track in placed:
        series = track.ds["displacement"] if track.ds["displacement"].chunks else track.ds["displacement"].chunk()
        timed = [name for name, v in track.ds.variables.items() if "time" in v.dims]
        ds = track.ds.drop_vars(timed).assign(displacement=series.chunk(time=-1).drop_vars("time"))
        tracks.append(replace(track, ds=ds.assign_attrs(reference_date=str(dates[lead][kept[0]]))))
    partners = (dict(pairs.tolist()) for pairs in found)
    return Matched(tuple(tracks), tuple(tuple(partner[k] for k in kept) for partner in partners), time)


def series_sheets(placed: Sequence[Track]) -> list[Sheet]:
    """
    Take the displacement of each track, and its `valid` if it has one.

    Parameters
    ----------
    placed : sequence of Track
        From `common_dates`.

    Returns
    -------
    list of Sheet
    """
    valid = [t.sheet("valid").arrays if "valid" in t.ds else () for t in placed]
    return [Sheet(t.window, (t.ds["displacement"].data, *v)) for t, v in zip(placed, valid, strict=True)]


def date_offsets(
    matched: Matched, *, anchor: int | None, min_overlap: int, per_date: bool, robust: bool = True
) -> xr.Dataset:
    """
    Estimate an offset of each track on each date.

    Parameters
    ----------
    matched : Matched
        From `common_dates`.
    anchor : int, optional
        Track that keeps its datum; else the offsets of a date have zero mean.
    min_overlap : int
        Overlaps with fewer common pixels are listed but not used.
    per_date : bool
        Whether each date has offsets of its own; else those of the mean over the dates.
    robust : bool
        Median, or mean.

    Returns
    -------
    xr.Dataset
        Lazy: `offset (time, track)` in m, to be added, NaN on a date on which usable pixels do not tie all tracks
        together; `pair_median`, `pair_sigma`, `pair_count (time, pair)`.

    Raises
    ------
    DisconnectedTracksError
        If the windows of the tracks do not tie all together; when computed, if usable pixels do so on no date.

    Notes
    -----
    The differences of a pair are held in memory, 4 bytes a pixel of the overlap and date, on as many dates as two
    blocks of a series would take, or 64 MiB; the next ones need the overlap to be read again. Constant offsets hold the
    mean over the dates only.
    """
    placed = matched.tracks
    labels = [t.label for t in placed]
    pairs = overlapping_pairs([t.window for t in placed])
    require_connected(pairs, labels, [t.window for t in placed])
    sheets = series_sheets(placed)
    plan = _Dates(tuple(pairs), tuple(labels), anchor, min_overlap, per_date, robust, matched.time.size)
    name = "dates-" + tokenize([(s.window, [a.name for a in s.arrays]) for s in sheets], matched.dates, plan)
    graph: dict[tuple, tuple] = {}
    rows: list[list[tuple]] = []
    apart: list[da.Array] = []
    for p, (i, j) in enumerate(pairs):
        overlap = placed[i].window & placed[j].window
        rows.append([])
        for piece in plan.pieces(overlap, _held(sheets[i], sheets[j])):
            subtract = _SeriesDifference(tuple(matched.dates[k] for k in (i, j)), piece, mean=not per_date)
            read = [read_apart(sheets[k], f"offsets of dates {piece.start}") for k in (i, j)]
            differences = lay(subtract, overlap, read, dtype=np.float32, depth=subtract.depth)
            tiles = _blocks(overlap, differences)
            parts = [(differences.name, 0, *index) for index in np.ndindex(differences.numblocks[1:])]
            for group in _split(range(subtract.depth), _GROUPS):
                job = (f"{name}-one", p, piece[group.start])
                graph[job] = (_PairDates(robust, overlap, tiles, group), parts)
                rows[-1].append(job)
            apart.append(differences)
    graph[(name, 0)] = (plan.solve, rows)
    n, size = plan.dates, plan.dates * (len(labels) + 3 * len(pairs))
    flat = lazy_array(name, graph, ((size,),), float, apart)
    start = n * len(labels)
    units = {"units": VARIABLES["displacement"].units}
    data: dict[str, tuple] = {
        "offset": (("time", "track"), flat[:start].reshape(n, -1), {**units, "long_name": "offset added to the date"})
    }
    measures = flat[start:].reshape(3, n, len(pairs))
    names = ("median difference, first minus second", "robust standard deviation of the difference", "common pixels")
    for k, long_name in enumerate(names):
        data[_MEASURES[k]] = (("time", "pair"), measures[k], {**units, "long_name": long_name})
    data["pair_count"] = (("time", "pair"), measures[2].astype(np.int64), {"units": "1", "long_name": names[2]})
    coords: dict[str, Any] = {
        "track": ("track", np.array(labels, dtype=object)),
        "pair": ("pair", np.array([f"{labels[i]}-{labels[j]}" for i, j in pairs], dtype=object)),
    }
    named = "zero mean" if anchor is None else labels[anchor]
    return xr.Dataset(data, coords, {"anchor": named, "variable": "displacement", "order": 0})


def _held(*sheets: Sheet) -> int:
    """Bytes of differences that may wait: what the blocks in work take anyway."""
    blocks: list[int] = [4 * math.prod(map(max, sheet.arrays[0].chunks)) for sheet in sheets]
    return max(_HELD, _HELD_BLOCKS * max(blocks))


def _split(dates: range, most: int) -> list[range]:
    """Pieces of nearly the same length, in order."""
    count = min(most, len(dates))
    edges = [dates.start + len(dates) * g // count for g in range(count + 1)]
    return [range(a, b) for a, b in pairwise(edges)]


def _blocks(window: Window, array: da.Array) -> tuple[Window, ...]:
    """Windows of the blocks of an array that covers a window, in their order."""
    rows, cols = (np.cumsum((0, *sizes)).tolist() for sizes in array.chunks[1:])
    return tuple(
        Window(window.n, window.row + top, window.col + left, bottom - top, right - left)
        for top, bottom in pairwise(rows)
        for left, right in pairwise(cols)
    )


@dataclass(frozen=True)
class _SeriesDifference:
    """Subtracts two series on a block, on a piece of the common dates or its mean; `dates` are those of each."""

    dates: tuple[tuple[int, ...], ...]
    piece: range
    mean: bool

    @property
    def depth(self) -> int:
        return 1 if self.mean else len(self.piece)

    def __call__(self, _shape: tuple[int, int], patches: list[Patch]) -> np.ndarray:
        valid = [p.views[1] if len(p.views) > 1 else None for p in patches]
        chosen = [[of[k] for k in self.piece] for of in self.dates]
        first = [of[0] for of in self.dates]
        found = rebased_difference([p.views[0] for p in patches], chosen, first, valid)
        return _mean_of_dates(found)[np.newaxis] if self.mean else found


@dataclass(frozen=True)
class _Dates:
    """What the adjustment knows before it sees data."""

    pairs: tuple[tuple[int, int], ...]
    labels: tuple[str, ...]
    anchor: int | None
    min_overlap: int
    per_date: bool
    robust: bool
    dates: int

    def pieces(self, overlap: Window, held: int) -> list[range]:
        """Dates whose differences wait in memory together; all, if their mean is what counts."""
        size = 4 * self.dates * math.prod(overlap.shape)
        return _split(range(self.dates), math.ceil(size / held) if self.per_date else 1)

    def solve(self, rows: list[list[np.ndarray]]) -> np.ndarray:
        """Offsets of each date, and what each pair says on it, flat."""
        own = self.dates if self.per_date else 1
        table = np.array([np.concatenate(groups) for groups in rows]).reshape(len(rows), own, 5)
        table = np.broadcast_to(table, (len(rows), self.dates, 5)).transpose(1, 0, 2)  # date, pair
        offsets = [self._solve_date(pairs) for pairs in table]
        if np.isnan(offsets).all():
            raise DisconnectedTracksError(
                f"no date ties {', '.join(self.labels)} together: they need common pixels, and data on the first "
                "common date, to which all refer; leave it out (isel) if it is empty, or combine each track by itself"
            )
        return np.concatenate([np.ravel(offsets), *(table[..., k].ravel() for k in range(3))])

    def _solve_date(self, rows: np.ndarray) -> np.ndarray:
        """Offsets of one date; NaN if on it nothing ties all tracks together."""
        try:
            return self._solve(rows)
        except DisconnectedTracksError:
            return np.full(len(self.labels), np.nan)

    def _solve(self, rows: np.ndarray) -> np.ndarray:
        used = np.flatnonzero(rows[:, 2] >= max(self.min_overlap, 1))
        found = solve_network(
            [self.pairs[p] for p in used],
            rows[used, 3:4],
            rows[used, 4].reshape(-1, 1, 1),
            len(self.labels),
            anchor=self.anchor,
            names=self.labels,
        )
        return found.coefficients[:, 0]


@dataclass(frozen=True)
class _PairDates:
    """Summarises some dates of an overlap, whose differences come in tiles."""

    robust: bool
    overlap: Window
    tiles: tuple[Window, ...]
    dates: range

    def __call__(self, parts: list[np.ndarray]) -> np.ndarray:
        return np.array([self._row([part[date] for part in parts]) for date in self.dates])

    def _row(self, parts: list[np.ndarray]) -> np.ndarray:
        y, x = (np.arange(size, dtype=float) for size in self.overlap.shape)
        image = tiled(self.overlap, self.tiles, parts)
        found = summarise_pair(image, x, y, robust=self.robust, length_km=0.0)
        return np.array([*found.statistics[:3], found.terms[0], found.information[0, 0]])


def _mean_of_dates(part: np.ndarray) -> np.ndarray:
    """Mean over the dates that have data; NaN where none has."""
    known = np.isfinite(part)
    count = known.sum(axis=0)
    total = np.where(known, part, 0).sum(axis=0, dtype=np.float64)
    mean: np.ndarray = np.divide(total, count, out=np.full(total.shape, np.nan), where=count > 0)
    return mean.astype(np.float32)


def require_series(placed: Sequence[Track]) -> None:
    """
    Check that all tracks hold displacement series of one unit.

    Parameters
    ----------
    placed : sequence of Track
        All tracks.

    Raises
    ------
    SchemaError
        If one does not.
    """
    other = [t.label for t in placed if not is_series(t.ds)]
    if other:
        raise SchemaError(
            f"{', '.join(other)} hold no displacement series, others do; take estimate_velocity or "
            "displacement_between of the series first"
        )
    for track in placed:
        require_dims(f"displacement of {track.label}", track.ds["displacement"].dims, "time", "y", "x")
        if "valid" in track.ds:
            require_dims(f"valid of {track.label}", track.ds["valid"].dims, "y", "x")
    units = {t.label: str(t.ds["displacement"].attrs.get("units")) for t in placed}
    if len(set(units.values())) > 1:
        raise SchemaError(f"tracks need one unit of displacement, got {units}; convert them first")
