"""What overlaps and stations say of the datum of tracks, lazily."""

from collections.abc import Sequence
from dataclasses import dataclass

import dask.array as da
import numpy as np
import xarray as xr
from dask.base import tokenize

from mimtpy_cloud.kernels.offset import difference, vertical_difference, vertical_tilt
from mimtpy_cloud.kernels.pair import summarise_pair
from mimtpy_cloud.kernels.tiles import Tiles
from mimtpy_cloud.ops.combination import Track
from mimtpy_cloud.ops.looks import Look, look_sheets, seen
from mimtpy_cloud.ops.network import Plan
from mimtpy_cloud.ops.overlay import Patch, lazy_array, window_task
from mimtpy_cloud.ops.stations import project_stations
from mimtpy_cloud.plan.chunks import tile_sides
from mimtpy_cloud.plan.grid import Window

__all__ = ["pair_rows", "tie_rows", "tiled"]

#: Least standard deviation of a tie, m/yr.
_SMALLEST_STD = 1e-5


def pair_rows(placed: list[Track], variable: str, plan: Plan, look: Look) -> da.Array:
    """
    Summarise the difference of each pair, in one graph layer.

    Parameters
    ----------
    placed : list of Track
        All tracks.
    variable : str
        What is compared.
    plan : Plan
        Pairs, and how they are fitted.
    look : {"vertical"}, xr.Dataset or None
        As for `mimtpy_cloud.ops.adjustment.estimate_adjustment`.

    Returns
    -------
    da.Array
        One row of numbers a pair, in one chunk.

    Raises
    ------
    SchemaError
        If a track lacks its look, or `look` is unknown.
    """
    sheets, field, extra = look_sheets(placed, variable, look)
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
            (f"{name}-difference", p, t): window_task(_Differences(extra), tile, sources)
            for t, tile in enumerate(tiles)
        }
        tilts = {
            (f"{name}-tilt", p, t): window_task(_tilt, tile, sources) for t, tile in enumerate(tiles) if extra == 1
        }
        graph |= parts | tilts
        graph[(f"{name}-one", p)] = (_PairJob(plan, overlap, tuple(tiles)), list(parts), list(tilts))
    graph[(name, 0, 0)] = (_stack, [(f"{name}-one", p) for p in range(len(plan.pairs))], plan.sizes.row)
    return lazy_array(name, graph, ((len(plan.pairs),), (plan.sizes.row,)), float, arrays)


@dataclass(frozen=True)
class _Differences:
    """Makes the difference of two sheets on a block; `extra` views of each come before the data."""

    extra: int

    def __call__(self, shape: tuple[int, int], patches: list[Patch]) -> np.ndarray:
        found = seen(shape, patches, self.extra)
        if found is None:
            return np.full(shape, np.nan, np.float32)
        return vertical_difference(*found) if self.extra == 1 else difference(*found)


def _tilt(shape: tuple[int, int], patches: list[Patch]) -> np.ndarray:
    """Sum and number of the tilts of a block; blocks are joined along both axes."""
    found = seen(shape, patches, 1)
    return np.array([[0.0, 0.0] if found is None else vertical_tilt(*found)])


@dataclass(frozen=True)
class _PairJob:
    """Summarises an overlap, whose difference comes in tiles."""

    plan: Plan
    overlap: Window
    tiles: tuple[Window, ...]

    def __call__(self, parts: list[np.ndarray], tilts: list[np.ndarray]) -> np.ndarray:
        image = tiled(self.overlap, self.tiles, parts)
        x, y = self.plan.plane(self.overlap)
        plan = self.plan
        found = summarise_pair(
            image, x, y, plan.kind, scale_km=_scale(x, y), robust=plan.robust, length_km=plan.length_km
        )
        total, count = (sum(float(part[:, k::2].sum()) for part in tilts) for k in range(2))
        tilt = [total / count if count else 0.0]
        return np.concatenate(
            [found.statistics, found.terms, found.information.ravel(), found.moments, found.products.ravel(), tilt]
        )


def tiled(whole: Window, tiles: Sequence[Window], parts: Sequence[np.ndarray]) -> Tiles:
    """
    Place blocks in a window.

    Parameters
    ----------
    whole : Window
        Window of the image.
    tiles : sequence of Window
        Windows of the blocks.
    parts : sequence of np.ndarray
        The blocks, shape ``(y, x)``.

    Returns
    -------
    Tiles
    """
    at = [(tile.row - whole.row, tile.col - whole.col) for tile in tiles]
    return Tiles(whole.shape, tuple((part, *place) for part, place in zip(parts, at, strict=True)))


def _scale(x_km: np.ndarray, y_km: np.ndarray) -> float:
    """Half the larger side, so that scaled coordinates lie between -1 and 1."""
    return max(float(np.ptp(x_km)), float(np.ptp(y_km)), 1.0) / 2


def _stack(rows: list[np.ndarray], width: int) -> np.ndarray:
    return np.array(rows, np.float64).reshape(-1, width)


def tie_rows(track: Track, ties: xr.Dataset, up: str) -> da.Array:
    """
    Compare a track with stations.

    Parameters
    ----------
    track : Track
        With velocity and look vectors.
    ties : xr.Dataset
        Stations.
    up : {"drop", "zero"}
        What becomes of a station without vertical velocity.

    Returns
    -------
    da.Array
        Of each station: what the track lacks in m/yr, its variance, longitude and latitude; shape ``(4, station)``, one
        chunk, NaN where there is no pixel.
    """
    found = project_stations(track.ds, ties, up=up)
    variance = found["los_std"] ** 2
    if "velocity_std" in track.ds:
        at = {"y": found["row"], "x": found["col"]}
        variance = variance + track.ds["velocity_std"].isel(at).drop_vars(("y", "x")) ** 2
    variance = variance.clip(min=_SMALLEST_STD**2)  # a place at rest
    index = ties.get_index("station").get_indexer(found["station"].values)
    places = [ties[name].values[index] for name in ("lon", "lat")]
    parts = [(found["los"] - found["observed"]).data, variance.data, *places]
    name = "ties-" + tokenize(*parts, index, ties.sizes["station"])
    lazy = [da.asarray(p, dtype=float).rechunk(-1) for p in parts]  # type: ignore[no-untyped-call]
    task = (_spread, [(a.name, 0) for a in lazy], index, ties.sizes["station"])
    return lazy_array(name, {(name, 0, 0): task}, ((4,), (ties.sizes["station"],)), float, lazy)


def _spread(parts: list[np.ndarray], index: np.ndarray, size: int) -> np.ndarray:
    """Put what is known of some stations where it belongs among all."""
    out = np.full((4, size), np.nan)
    out[:, index] = parts
    return out
