"""What an adjustment knows before it sees data, how it solves, and what its result is called."""

from dataclasses import dataclass
from functools import partial
from typing import Any

import dask.array as da
import numpy as np
import xarray as xr

from mimtpy_cloud.errors import DisconnectedTracksError
from mimtpy_cloud.kernels.pair import STATISTICS, PairSummary, Robust
from mimtpy_cloud.kernels.ramp import ramp_terms, shift_ramp
from mimtpy_cloud.plan.graph import fundamental_loops
from mimtpy_cloud.plan.grid import Window
from mimtpy_cloud.plan.network import Centres, Ties, solve_network
from mimtpy_cloud.plan.plane import plane_km
from mimtpy_cloud.schema import VARIABLES

__all__ = ["KINDS", "Plan", "labelled"]

#: Kind of ramp of each order.
KINDS = ("constant", "linear", "quadratic")
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


@dataclass(frozen=True)
class Sizes:
    """
    Where what lies in the flat result.

    Parameters
    ----------
    nodes, terms, pairs, loops, ties : int
        Numbers of tracks, terms of a ramp, pairs, loops and stations.
    """

    nodes: int
    terms: int
    pairs: int
    loops: int
    ties: int

    @property
    def row(self) -> int:
        """Length of the summary of a pair."""
        return len(STATISTICS) + 2 * (self.terms + self.terms**2) + 1

    @property
    def parts(self) -> dict[str, tuple[int, ...]]:
        """Shape of each result, in order."""
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
        """Length of the flat result."""
        return sum(int(np.prod(shape)) for shape in self.parts.values())


@dataclass(frozen=True)
class Plan:
    """
    What the adjustment knows before it sees data.

    Parameters
    ----------
    pairs : tuple of (int, int)
        Overlapping tracks.
    labels : tuple of str
        Names of the tracks.
    anchor : int, optional
        Track that keeps its datum.
    kind : str
        Of `KINDS`.
    origin : tuple of float
        Longitude and latitude where the terms of the result are zero.
    windows : tuple of Window
        Where the tracks lie.
    weights : str
        What a pair weighs.
    robust : bool or {"mode"}
        Which estimator.
    length_km : float, optional
        Correlation length of the noise in km.
    min_overlap : int
        Least number of pixels of a pair.
    n_stations : int
        Number of ties.
    """

    pairs: tuple[tuple[int, int], ...]
    labels: tuple[str, ...]
    anchor: int | None
    kind: str
    origin: tuple[float, float]
    windows: tuple[Window, ...]
    weights: str
    robust: Robust
    length_km: float | None
    min_overlap: int
    n_stations: int

    @property
    def terms(self) -> tuple[str, ...]:
        """Terms of the ramp."""
        return ramp_terms(self.kind)

    @property
    def loops(self) -> list[list[tuple[int, int]]]:
        """Independent loops of an adjustment of offsets."""
        return fundamental_loops(self.pairs, len(self.labels)) if self.kind == "constant" else []

    @property
    def sizes(self) -> "Sizes":
        """Where what lies in the flat result."""
        return Sizes(len(self.labels), len(self.terms), len(self.pairs), len(self.loops), self.n_stations)

    def middle(self, window: Window) -> np.ndarray:
        """
        Find the middle of a window in km east and north of the origin.

        Parameters
        ----------
        window : Window
            On the lattice.

        Returns
        -------
        np.ndarray
            Two numbers.
        """
        x, y = plane_km(window.x, window.y, self.origin)
        return np.array([(x[0] + x[-1]) / 2, (y[0] + y[-1]) / 2])

    def plane(self, window: Window) -> tuple[np.ndarray, np.ndarray]:
        """
        Give the kilometres of the columns and rows of a window from its middle.

        Parameters
        ----------
        window : Window
            On the lattice.

        Returns
        -------
        x_km, y_km : np.ndarray
        """
        x, y = plane_km(window.x, window.y, self.origin)
        east, north = self.middle(window)
        return x - east, y - north

    def centres(self, used: list[int]) -> Centres:
        """
        Say about which points ramps of tracks and of some pairs are solved.

        Parameters
        ----------
        used : list of int
            Indices of the pairs.

        Returns
        -------
        Centres
        """
        nodes = np.array([self.middle(window) for window in self.windows])
        return Centres(
            partial(shift_ramp, self.kind), nodes, np.array([self._middle_of(p) for p in used]).reshape(-1, 2)
        )

    def solve(self, rows: np.ndarray, tied: list[np.ndarray]) -> np.ndarray:
        """
        Adjust the network.

        Parameters
        ----------
        rows : np.ndarray
            Summary of each pair, and last its tilt, as `mimtpy_cloud.plan.network.solve_network` has it.
        tied : list of np.ndarray
            For each track, of each station: what the track lacks, its variance, longitude and latitude.

        Returns
        -------
        np.ndarray
            All results, flat, as `sizes` says.
        """
        k = len(self.terms)
        found = [_summary(row, k) for row in rows]
        count, tilts = rows[:, 2], rows[:, -1]
        used = [p for p in range(len(self.pairs)) if count[p] >= max(self.min_overlap, 1)]
        information = [self._weighted(found[p]) for p in used]
        centres = self.centres(used)
        solution = solve_network(
            [self.pairs[p] for p in used],
            np.array([found[p].terms for p in used]).reshape(-1, k),
            np.array(information).reshape(-1, k, k),
            len(self.labels),
            anchor=self.anchor,
            ties=self._ties(tied, centres.nodes),
            centres=centres,
            tilts=tilts[used],
            names=self.labels,
        )
        x = solution.coefficients
        residual, normalised, after = (np.full(len(self.pairs), np.nan) for _ in range(3))
        # other weights are no inverse variances, so that only the residuals tell the scale of the covariance
        scale = 1.0 if self.weights == "variance" else solution.chi2 / solution.dof if solution.dof else np.nan
        residual[used] = solution.residuals[:, 0]
        normalised[used] = solution.normalised / np.sqrt(scale)
        for p, (i, j) in enumerate(self.pairs):
            if count[p]:
                after[p] = _rms_after(found[p], self._about(p, (1 - tilts[p]) * x[j] - (1 + tilts[p]) * x[i]))
        medians = np.full(len(self.pairs), np.nan)
        medians[used] = rows[used, 0]
        loops = [sum(sign * medians[p] for p, sign in loop) for loop in self.loops]
        tie_residual = np.full((len(self.labels), self.n_stations), np.nan)
        tie_residual[self._tied(tied)] = solution.tie_residuals
        scalars = [solution.chi2, solution.dof]
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

    def _middle_of(self, pair: int) -> np.ndarray:
        """The middle of the overlap of a pair."""
        i, j = self.pairs[pair]
        return self.middle(self.windows[i] & self.windows[j])

    def _about(self, pair: int, ramp: np.ndarray) -> np.ndarray:
        """A ramp about the origin, about the middle of a pair."""
        about: np.ndarray = shift_ramp(self.kind, *self._middle_of(pair)) @ ramp
        return about

    def _weighted(self, pair: PairSummary) -> np.ndarray:
        """Inverse covariance of a pair, or that with another weight of its constant term."""
        if self.weights == "variance":
            return pair.information
        wanted = pair.statistics[2] if self.weights == "count" else 1.0
        scaled: np.ndarray = pair.information * (wanted / pair.information[0, 0])
        return scaled

    def _tied(self, tied: list[np.ndarray]) -> tuple[np.ndarray, np.ndarray]:
        usable = [np.isfinite(rows[:2]).all(axis=0) & (rows[1] > 0) for rows in tied]
        return np.nonzero(np.array(usable).reshape(-1, self.n_stations) if tied else np.zeros((0, 0)))

    def _ties(self, tied: list[np.ndarray], middles: np.ndarray) -> Ties | None:
        if not tied:
            return None
        node, station = self._tied(tied)
        if node.size == 0:
            raise DisconnectedTracksError(
                f"none of {self.n_stations} stations has a standard deviation and a valid pixel with a look in "
                f"{', '.join(self.labels)}; give stations inside the tracks, or an anchor"
            )
        value, variance, lon, lat = np.array(tied)[node, :, station].T
        x, y = np.array([plane_km(lon, lat, self.origin)]).reshape(2, -1) - middles[node].T
        design = np.stack([np.ones_like(x), *(_power(term, x, y) for term in self.terms[1:])], axis=1)
        return Ties(node, design, value, variance)


def _power(term: str, x: np.ndarray, y: np.ndarray) -> np.ndarray:
    powers: dict[str, np.ndarray] = {"x": x, "y": y, "x^2": x**2, "x y": x * y, "y^2": y**2}
    return powers[term]


def _rms_after(pair: PairSummary, correction: np.ndarray) -> float:
    """Root mean square of the difference less the correction, from its moments."""
    square = pair.statistics[3] ** 2 - 2 * correction @ pair.moments + correction @ pair.products @ correction
    return float(np.sqrt(max(square, 0.0)))


def _summary(row: np.ndarray, k: int) -> PairSummary:
    """What the row of a pair holds."""
    parts = np.split(row[:-1], np.cumsum([len(STATISTICS), k, k * k, k]))
    return PairSummary(parts[0], parts[1], parts[2].reshape(k, k), parts[3], parts[4].reshape(k, k))


def labelled(
    plan: Plan, variable: str, rows: da.Array, plain: da.Array | None, solved: da.Array, stations: np.ndarray | None
) -> xr.Dataset:
    """
    Name what the flat result holds.

    Parameters
    ----------
    plan : Plan
        What was known before.
    variable : str
        Variable of the tracks.
    rows : da.Array
        Summary of each pair.
    plain : da.Array, optional
        The same of the plain differences, if `rows` are of others.
    solved : da.Array
        What `Plan.solve` gives.
    stations : np.ndarray, optional
        Names of the ties.

    Returns
    -------
    xr.Dataset
        Lazy.
    """
    unit = VARIABLES[variable].units
    sizes, start, parts = plan.sizes, 0, dict[str, da.Array]()
    for name, shape in sizes.parts.items():
        size = int(np.prod(shape))
        parts[name] = solved[start : start + size].reshape(shape)
        start += size
    pair, track = ("pair",), ("track",)
    degrees = ", per km and km^2 of the degree of each term" if sizes.parts["coefficient"][1] > 1 else ""
    data: dict[str, tuple] = {
        "coefficient": (
            (*track, "term"),
            parts["coefficient"],
            {"long_name": f"added to the track{degrees}", "units": unit},
        ),
        "offset": (track, parts["coefficient"][:, 0], {"long_name": f"offset added to the {variable}", "units": unit}),
        "covariance": (
            ("track", "term", "track_", "term_"),
            parts["covariance"],
            {"long_name": f"covariance of the coefficients{degrees}", "units": f"({unit})^2"},
        ),
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
    squares = "1" if plan.weights == "variance" else f"({unit})^2"
    data["chi2"] = ((), parts["chi2"], {"long_name": "weighted sum of squared residuals", "units": squares})
    data["dof"] = (
        (),
        parts["dof"].astype(np.int64),  # type: ignore[no-untyped-call]
        {"long_name": "observations less unknowns", "units": "1"},
    )
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
        "order": KINDS.index(plan.kind),
        "origin": list(plan.origin),
        "weights": plan.weights,
        "min_overlap": plan.min_overlap,
    }
    return xr.Dataset(data, coords, attrs)


def _around(loop: list[tuple[int, int]], plan: Plan) -> list[str]:
    """Labels of the tracks of a loop, from the first back to it."""
    ends = [plan.pairs[p][::sign] for p, sign in loop]
    return [*(plan.labels[i] for i, _ in ends), plan.labels[ends[-1][1]]]
