"""How smooth a decomposition of series is: given, or chosen by the data of a sample of pixels."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import dask.array as da
import numpy as np
from dask.base import tokenize

from mimtpy_cloud.errors import DateError, SchemaError
from mimtpy_cloud.kernels import gaps
from mimtpy_cloud.kernels import timeline as kernel
from mimtpy_cloud.ops.combination import Track
from mimtpy_cloud.ops.overlay import Patch, Sheet, lazy_array, read_apart, window_task
from mimtpy_cloud.ops.timelineplan import TimelinePlan
from mimtpy_cloud.plan.graph import overlapping_pairs
from mimtpy_cloud.plan.grid import Window
from mimtpy_cloud.plan.timeline import time_scales

__all__ = ["penalty_weight"]

Shape = tuple[int, int]
#: Places in all overlaps together whose pixels choose the weight, about, and the side of each.
_SITES, _SITE_SIDE = 48, 5
#: Weights that are tried, and the part of the pixels that must be able to judge one.
_TRIED, _JUDGED = 21, 0.9


def penalty_weight(
    plan: TimelinePlan, given: float | None, placed: Sequence[Track], sheets: Sequence[Sheet]
) -> float | da.Array | None:
    """
    Give the weight of the penalty, lazily if the data have to choose it.

    Parameters
    ----------
    plan : TimelinePlan
        What is known before any data.
    given : float, optional
        Weight that is asked for.
    placed : sequence of Track
        All tracks.
    sheets : sequence of Sheet
        Those of the tracks, and of the motion across.

    Returns
    -------
    float, da.Array or None
        None for a method without penalty.

    Raises
    ------
    SchemaError
        If order or weight are unsuitable. When computed: if no sampled pixel has data.
    DateError
        If there are too few dates.

    Notes
    -----
    One weight for all pixels: the best by generalised cross-validation of the pixels at some sites, which lie alike in
    every overlap whatever the chunks.
    """
    if not plan.penalised:
        if given is not None:
            raise SchemaError("regularisation is for method='tikhonov'; interpolation has none")
        return None
    if plan.order not in kernel.ORDERS:
        raise SchemaError(f"order must be 0, 1 or 2, got {plan.order!r}")
    union = np.array(plan.union)
    if union.size < plan.order + 2:
        raise DateError(f"order {plan.order} needs at least {plan.order + 2} dates in all, got {union.size}")
    mean = 1.0 if plan.sigma is None else float(np.mean([1.0 / s**2 for row in plan.sigma for s in row]))
    largest = kernel.largest_regularisation(union, plan.order, mean)
    if given is not None:
        if not (isinstance(given, int | float | np.number) and math.isfinite(given) and given > 0):
            raise SchemaError(f"regularisation must be a positive number, or None to choose it, got {given!r}")
        if given > largest:
            raise SchemaError(
                f"regularisation {given:g} is more than double precision holds on these dates; give at most "
                f"{largest:.2g}"
            )
        return float(given)
    shortest, longest = time_scales(union)
    rate = sum(map(len, plan.acquisitions)) / (union[-1] - union[0])
    ends = [mean * rate * scale ** (2 * plan.order + 2) for scale in (shortest, longest)]
    tried = np.geomspace(min(ends[0], largest / 10), min(ends[1], largest), _TRIED)
    sheets = [read_apart(sheet, "regularisation") for sheet in sheets]
    sites = _sites([t.window for t in placed])
    site_score = _Site(plan, tuple(tried.tolist()))
    content = [(s.window, [a.name for a in s.arrays]) for s in sheets]
    name = f"regularisation-{tokenize(site_score, content, sites)}"
    graph: dict[tuple, tuple] = {
        (f"{name}-site", k): window_task(site_score, site, sheets) for k, site in enumerate(sites)
    }
    graph[(name,)] = (_choose, tried, list(graph))
    return lazy_array(name, graph, (), np.float64, [a for s in sheets for a in s.arrays])


def _sites(windows: Sequence[Window]) -> list[Window]:
    """Small windows spread over all overlaps, whatever the chunks."""
    pairs = overlapping_pairs(windows)
    side = max(2, math.isqrt(max(_SITES // len(pairs), 1)))
    found: dict[Window, None] = {}
    for i, j in pairs:
        overlap = windows[i] & windows[j]
        rows, cols = _spread(overlap.row, overlap.ny, side), _spread(overlap.col, overlap.nx, side)
        for top, ny in rows:
            for left, nx in cols:
                found[Window(overlap.n, top, left, ny, nx)] = None
    return list(found)


def _spread(start: int, size: int, count: int) -> list[tuple[int, int]]:
    """First pixel and length of pieces of an axis, evenly spread and, where there is room, inside of chunks."""
    count, length = max(1, min(count, size // (2 * _SITE_SIDE))), min(size, _SITE_SIDE)
    firsts = [start + int((2 * k + 1) * size / (2 * count)) - length // 2 for k in range(count)]
    inside = [first - first % _SITE_SIDE for first in firsts]  # chunks of the lattice are multiples of that
    return [(a if a >= start else b, length) for a, b in zip(inside, firsts, strict=True)]


@dataclass(frozen=True)
class _Site:
    """Judges weights of the penalty by the pixels of a site, or a part of one."""

    plan: TimelinePlan
    tried: tuple[float, ...]

    def __call__(self, shape: Shape, patches: list[Patch]) -> np.ndarray:
        out = np.full((len(self.tried), *shape), np.nan)
        obs, sheets = self.plan.observations(shape, patches)
        if len(sheets) > 1:
            union, tried = np.array(self.plan.union), np.array(self.tried)
            found = kernel.cross_validation(obs, union, order=self.plan.order, regularisation=tried)
            gain = gaps.noise_gain(self.plan.usable(obs), obs.look, self.plan.basis)
            known = gain <= self.plan.max_gain
            out[:] = np.where(known & np.isfinite(found), found, np.nan).reshape(out.shape)
        return out


def _choose(tried: np.ndarray, sites: list[np.ndarray]) -> np.ndarray:
    """Weight that is best for all pixels together."""
    pixels = np.concatenate([site.reshape(tried.size, -1) for site in sites], axis=1)
    pixels = pixels[:, np.isfinite(pixels).any(axis=0)]
    if not pixels.shape[1]:
        raise SchemaError(
            "none of the pixels sampled in the overlaps has data of two looks that differ, to choose the "
            "regularisation; give it (--regularisation), or a box in which there are data"
        )
    judged = np.isfinite(pixels).mean(axis=1) >= _JUDGED  # beyond, double precision does not hold the equations
    pixels = pixels[judged]
    pixels = pixels[:, np.isfinite(pixels).all(axis=0)]
    total = (pixels - pixels.max(axis=0)).sum(axis=1)
    if np.argmax(total) == 0:
        raise SchemaError(
            "cross-validation finds no weight of the penalty that smooths at all, as happens with few dates or a high "
            "order; give regularisation (--regularisation), or order 1 (--order 1)"
        )
    return np.asarray(kernel.best_weight(tried[judged], total))
