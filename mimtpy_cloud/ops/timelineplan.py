"""One block of a decomposition of series: what is known before any data, and its solution."""

from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

from mimtpy_cloud.kernels import enu, gaps
from mimtpy_cloud.kernels import timeline as kernel
from mimtpy_cloud.ops.decomposition import at_block, known_across
from mimtpy_cloud.ops.overlay import Patch

__all__ = ["QUALITY", "TimelinePlan", "TimelineSolver"]

Shape = tuple[int, int]
#: Why a date of a pixel has no solution, by its number in `quality`; 0 has one.
QUALITY = (*enu.QUALITY, "no_data_at_reference")


@dataclass(frozen=True)
class TimelinePlan:
    """
    What is known before any data; the tracks are the first sheets, and a field of the motion across is the next.

    Parameters
    ----------
    acquisitions : tuple of tuple of float
        Times of each track, years since the reference date.
    union, output : tuple of float
        Those of all tracks, and those of the result.
    basis : tuple of float
        East and north components of the horizontal direction.
    sigma : tuple of tuple of float, optional
        Standard deviation of each acquisition of each track, m.
    across : tuple
        Plan of what is known of the motion across.
    max_gain : float
        Largest noise gain.
    max_gap : float
        Longest gap, years.
    order : int
        Of the penalty.
    penalised : bool
        Whether there is one; else tracks are interpolated.
    """

    acquisitions: tuple[tuple[float, ...], ...]
    union: tuple[float, ...]
    output: tuple[float, ...]
    basis: tuple[float, float]
    sigma: tuple[tuple[float, ...], ...] | None
    across: tuple[float, float, bool, bool]
    max_gain: float
    max_gap: float
    order: int
    penalised: bool

    @property
    def with_std(self) -> bool:
        """Whether standard deviations come out."""
        return self.penalised or self.sigma is not None

    @cached_property
    def rows(self) -> dict[str, slice]:
        """Where each quantity lies along the first axis of a result."""
        n, tracks = len(self.output), len(self.acquisitions)
        sizes = {"motion": 2 * n, "std": 2 * n if self.with_std else 0, "code": n, "any": 1, "gain": 1}
        sizes |= {"variance": 1, "rms": tracks} if self.penalised else {}
        edges = np.cumsum([0, *sizes.values()]).tolist()
        return {name: slice(a, b) for name, a, b in zip(sizes, edges[:-1], edges[1:], strict=True)}

    @property
    def depth(self) -> int:
        """Length of the first axis of a result."""
        return int(max(rows.stop for rows in self.rows.values()))

    def observations(self, shape: Shape, patches: list[Patch]) -> tuple[kernel.Observations, list[int]]:
        """
        Take the lines of sight of a block.

        Parameters
        ----------
        shape : tuple of int
            Shape of the block.
        patches : list of Patch
            Tracks, and the field of the motion across if there is one.

        Returns
        -------
        observations : Observations
            Of the tracks on the block.
        tracks : list of int
            Which these are.
        """
        looks, pixels = [p for p in patches if p.sheet < len(self.acquisitions)], shape[0] * shape[1]
        union = np.array(self.union)
        times = [np.array(self.acquisitions[p.sheet]) for p in looks]
        values = np.full((sum(t.size for t in times), *shape), np.nan, np.float32)
        look = np.full((len(looks), 3, *shape), np.nan, np.float32)
        first = 0
        for k, (patch, acquired) in enumerate(zip(looks, times, strict=True)):
            series, east, north, up, *valid = patch.views
            at, rows = at_block(patch), slice(first, first + acquired.size)
            values[rows][at] = np.where(valid[0], series, np.float32(np.nan)) if valid else series
            look[k][at] = east, north, up
            first = rows.stop
        known, std = known_across(shape, patches, len(self.acquisitions), self.across)
        track = np.repeat(np.arange(len(looks)), [t.size for t in times])
        epoch = np.searchsorted(union, np.concatenate([*times, np.empty(0)]))
        sigma = None if self.sigma is None else np.concatenate([*(self.sigma[p.sheet] for p in looks), np.empty(0)])
        found = kernel.Observations(
            values.reshape(-1, pixels),
            track,
            epoch,
            look.reshape(-1, 3, pixels),
            sigma,
            self.basis,
            None if known is None else known.ravel(),
            std.ravel() if isinstance(std, np.ndarray) else std,
        )
        return found, [p.sheet for p in looks]

    def usable(self, obs: kernel.Observations) -> np.ndarray:
        """
        Tell which tracks have enough data in a pixel: two dates, and with a penalty more than its order.

        A constant takes one of them, and what the penalty leaves free the others.

        Parameters
        ----------
        obs : Observations
            Of a block.

        Returns
        -------
        np.ndarray
            Booleans, shape ``(track, pixel)``.
        """
        known = np.isfinite(obs.displacement)
        least = max(2, self.order + 1) if self.penalised else 2
        return np.array([known[obs.track == k].sum(axis=0) >= least for k in range(len(obs.look))])


@dataclass(frozen=True)
class TimelineSolver:
    """
    Solves a block.

    Parameters
    ----------
    plan : TimelinePlan
        What is known before.
    """

    plan: TimelinePlan

    def __call__(self, shape: Shape, patches: list[Patch], regularisation: Any = None) -> np.ndarray:
        plan = self.plan
        out = np.full((plan.depth, shape[0] * shape[1]), np.nan, np.float32)
        obs, sheets = plan.observations(shape, patches)
        n, rows = len(plan.output), plan.rows
        if len(sheets) < 2:
            out[rows["code"]] = enu.QUALITY.index("too_few_looks")
            out[rows["any"]] = 0.0
            return out.reshape(-1, *shape)
        motion = out[rows["motion"]].reshape(2, n, out.shape[1])
        std = out[rows["std"]].reshape(2, n if plan.with_std else 0, out.shape[1])
        if plan.penalised:
            reference = plan.union.index(0.0)
            options: dict[str, Any] = {"order": plan.order, "regularisation": float(regularisation)}
            found = kernel.decompose_series(
                obs, np.array(plan.union), np.array(plan.output), reference=reference, **options
            )
            motion[:], std[:] = found.motion, found.std
            out[rows["variance"]] = found.variance
            out[rows["rms"]][sheets] = found.rms
            covered = self._covered(obs, plan.max_gap / 2)
        else:
            covered = self._interpolate(obs, motion, std)
        usable = plan.usable(obs)
        covered &= usable[:, np.newaxis]
        count, quality = gaps.judge(covered, obs.look, plan.basis, plan.max_gain)
        bad = (quality[-1] > 0) & (quality[:-1] == 0)
        quality = np.where(bad, np.uint8(len(enu.QUALITY)), quality[:-1])
        if obs.across is not None:
            quality = np.where(np.isfinite(obs.across), quality, np.uint8(enu.QUALITY.index("motion_across_unknown")))
        quality = np.where((quality == 0) & ~np.isfinite(motion[1]), np.uint8(1), quality)
        motion[:, quality > 0] = np.nan
        if plan.with_std:
            std[:, quality > 0] = np.nan
        out[rows["code"]] = quality + np.float32(len(QUALITY)) * count[:-1]
        out[rows["any"]] = (quality == 0).any(axis=0)
        for name in ("variance", "rms") if plan.penalised else ():
            out[rows[name], (quality > 0).all(axis=0)] = np.nan
        out[rows["gain"]] = gaps.noise_gain(usable, obs.look, plan.basis)
        return out.reshape(-1, *shape)

    def _covered(self, obs: kernel.Observations, reach: float) -> np.ndarray:
        """Which tracks tell about the dates of the result and, last, the reference date."""
        at, union = np.array([*self.plan.output, 0.0]), np.array(self.plan.union)
        order = np.argsort(at, kind="stable")
        covered = np.empty((len(obs.look), at.size, obs.displacement.shape[1]), bool)
        for k in range(len(obs.look)):
            mine = obs.track == k
            covered[k, order] = gaps.support(obs.displacement[mine], union[obs.epoch[mine]], at[order], reach)
        return covered

    def _interpolate(self, obs: kernel.Observations, motion: np.ndarray, std: np.ndarray) -> np.ndarray:
        """Solve each date from interpolated tracks; gives which tracks are known on them and on the reference date."""
        plan = self.plan
        at, union = np.array([*plan.output, 0.0]), np.array(plan.union)
        order = np.argsort(at, kind="stable")
        reference = int(np.flatnonzero(order == at.size - 1)[0])
        # One way to solve, whatever lies on a block.
        tracks = len(obs.look) if len(plan.acquisitions) == 2 else max(len(obs.look), 3)
        shape = (tracks, at.size, obs.displacement.shape[1])
        los, variance = np.full(shape, np.nan, np.float32), np.full(shape, np.nan, np.float32)
        look = np.full((tracks, *obs.look.shape[1:]), np.nan, np.float32)
        look[: len(obs.look)] = obs.look
        for k in range(len(obs.look)):
            mine = obs.track == k
            spread = np.ones(mine.sum()) if obs.sigma is None else obs.sigma[mine] ** 2
            series = (obs.displacement[mine], union[obs.epoch[mine]], at[order], reference, plan.max_gap, spread)
            los[k, order], variance[k, order] = gaps.interpolate(*series)
        change, sigma = los[:, :-1], np.sqrt(variance[:, :-1])
        for m, years in enumerate(plan.output):
            solved = enu.invert_enu(
                change[:, m],
                look,
                None if obs.sigma is None else sigma[:, m],
                plan.basis,
                across=None if obs.across is None else obs.across * years,
                across_std=obs.across_std * abs(years),
                max_gain=plan.max_gain,
            )
            motion[:, m] = solved[:2]
            if plan.with_std:
                std[:, m] = solved[2:4] if years else 0.0
        covered = np.concatenate([np.isfinite(change), np.isfinite(los[:, -1:])], axis=1)
        return covered[: len(obs.look)]
