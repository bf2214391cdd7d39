"""Adjust a network of tracks: the correction of each from the differences of pairs and outside ties."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from mimtpy_cloud.errors import DisconnectedTracksError
from mimtpy_cloud.plan.graph import Pair, connected_components, name_groups

__all__ = ["Centres", "Solution", "Ties", "solve_network"]

#: Smallest over largest eigenvalue of a normal matrix, scaled to a unit diagonal, that still determines all unknowns.
_SINGULAR = 1e-12
#: A difference whose redundancy is below this share is not controlled by others, and has no normalised residual.
_CONTROLLED = 1e-6
#: Passes of a solution with its residuals.
_REFINED = 3
_NOTHING = (np.ones(0), np.zeros((0, 0)))
_LESS = "use a lower order, give more ties (stations) inside the tracks, or leave the track out"


@dataclass(frozen=True)
class Solution:
    """
    What the adjustment of a network gives.

    Parameters
    ----------
    coefficients : np.ndarray
        Correction to add to each node, about the origin, shape ``(node, term)``.
    covariance : np.ndarray
        Shape ``(node * term, node * term)``, node by node.
    residuals : np.ndarray
        Observed less adjusted difference of each pair, about its middle, shape ``(pair, term)``; NaN where a pair does
        not determine all.
    normalised : np.ndarray
        Length of each residual over its expected length, shape ``(pair,)``: signed for a single term. NaN where no
        other pair controls it.
    tie_residuals : np.ndarray
        Observed less adjusted value of each tie, shape ``(tie,)``.
    chi2 : float
        Weighted sum of squared residuals.
    dof : int
        Observations less unknowns.
    """

    coefficients: np.ndarray
    covariance: np.ndarray
    residuals: np.ndarray
    normalised: np.ndarray
    tie_residuals: np.ndarray
    chi2: float
    dof: int


@dataclass(frozen=True)
class Ties:
    """
    Outside knowledge of what must be added to a node at a place.

    Parameters
    ----------
    node : np.ndarray
        Node of each tie, shape ``(tie,)``, int.
    design : np.ndarray
        Value of each term at the place, about the middle of the node, shape ``(tie, term)``.
    value, variance : np.ndarray
        Correction that the tie asks for, and its variance, shape ``(tie,)``.
    """

    node: np.ndarray
    design: np.ndarray
    value: np.ndarray
    variance: np.ndarray

    @classmethod
    def none(cls, terms: int) -> "Ties":
        """
        Make an empty set.

        Parameters
        ----------
        terms : int
            Number of terms.

        Returns
        -------
        Ties
        """
        return cls(np.empty(0, np.int64), np.empty((0, terms)), np.empty(0), np.empty(0))


@dataclass(frozen=True)
class Centres:
    """
    Where the terms of ramps are zero: about the middle of what they describe they can be told apart best.

    Parameters
    ----------
    shift : callable
        ``(east, north) -> (term, term)``: matrix that expresses a ramp about a point that lies so far away.
    nodes : np.ndarray
        Middle of each node, from the common origin, shape ``(node, 2)``.
    pairs : np.ndarray
        Middle of each pair, from the common origin, shape ``(pair, 2)``.
    """

    shift: Callable[[float, float], np.ndarray]
    nodes: np.ndarray
    pairs: np.ndarray

    @classmethod
    def common(cls, terms: int, nodes: int, pairs: int) -> "Centres":
        """
        Take the origin for all.

        Parameters
        ----------
        terms, nodes, pairs : int
            Numbers of each.

        Returns
        -------
        Centres
        """
        return cls(lambda _east, _north: np.eye(terms), np.zeros((nodes, 2)), np.zeros((pairs, 2)))

    def at_pair(self, pair: int, node: int) -> np.ndarray:
        """
        Express a ramp of a node in the middle of a pair.

        Parameters
        ----------
        pair, node : int
            Which.

        Returns
        -------
        np.ndarray
        """
        return self.shift(*(self.pairs[pair] - self.nodes[node]))

    @property
    def from_origin(self) -> np.ndarray:
        """Ramp about the origin -> about the middle of each node, shape ``(node, term, term)``."""
        return np.array([self.shift(*place) for place in self.nodes])

    @property
    def to_origin(self) -> np.ndarray:
        """Ramp about the middle of each node -> about the origin, shape ``(node, term, term)``."""
        return np.array([self.shift(*-place) for place in self.nodes])


def solve_network(
    pairs: Sequence[Pair],
    differences: np.ndarray,
    information: np.ndarray,
    n_nodes: int,
    *,
    anchor: int | None = None,
    ties: Ties | None = None,
    centres: Centres | None = None,
    tilts: np.ndarray | None = None,
    names: Sequence[str] | None = None,
) -> Solution:
    """
    Adjust offsets or ramps of all tracks at once by weighted least squares.

    Parameters
    ----------
    pairs : sequence of tuple
        Observed pairs ``(i, j)``.
    differences : np.ndarray
        Terms of the difference of each pair, track i minus track j, shape ``(pair, term)``.
    information : np.ndarray
        Inverse covariance of each, shape ``(pair, term, term)``.
    n_nodes : int
        Number of tracks.
    anchor : int, optional
        Track that keeps its datum. Without it and without ties the corrections have zero mean.
    ties : Ties, optional
        Outside knowledge; with it the datum is that of the ties.
    centres : Centres, optional
        About which points the terms of pairs are given, and those of ties: the middle of their node. By default all
        are about the origin.
    tilts : np.ndarray, optional
        Where a difference is ``(1 + tilt)`` times track i minus ``(1 - tilt)`` times track j, shape ``(pair,)``.
    names : sequence of str, optional
        Names of the tracks in messages.

    Returns
    -------
    Solution
        Corrections to add to each track, about the origin; residuals of pairs about the middle of the pair.

    Raises
    ------
    DisconnectedTracksError
        If some tracks hang together with no other track, no tie and not the anchor, or pairs and ties do not
        determine a ramp.

    Notes
    -----
    Minimises ``sum (x_j - x_i - m)^T W (x_j - x_i - m) + sum (B x_i - v)^2 / s^2``, so that
    ``track_i + x_i = track_j + x_j`` in the overlap; with tilts, so that what they make of both is equal. Normal
    matrix: the block Laplacian of the graph, plus the ties. The datum defect is closed by removing the anchor, or by
    the inner constraint that the corrections about the origin sum to zero (an S-transformation of a generalised
    inverse) [1]_. Ramps are solved about the middle of each node, and only the result is carried to the origin: a chain
    of tracks may be long. The solution is refined with its residuals, which makes it as good as one by orthogonal
    factors [2]_.

    References
    ----------
    .. [1] A. Leick, L. Rapoport and D. Tatarnikov, 2015, GPS Satellite Surveying, 4th edition, Wiley, chapter 2
       (minimal and inner constraints), DOI 10.1002/9781119018612.
    .. [2] A. Bjorck, 1987, Stability analysis of the method of seminormal equations for linear least squares problems,
       Linear Algebra and its Applications, 88-89, 31-48, DOI 10.1016/0024-3795(87)90101-7.

    Examples
    --------
    >>> pairs, m = [(0, 1), (1, 2), (0, 2)], np.array([[1.0], [2.0], [3.3]])
    >>> found = solve_network(pairs, m, np.array([100.0, 100, 50]).reshape(-1, 1, 1), 3, anchor=0)
    >>> found.coefficients[:, 0].round(9).tolist(), found.dof
    ([0.0, 1.075, 3.15], 1)
    """
    labels = list(names or map(str, range(n_nodes)))
    k = differences.shape[1]
    ties = ties or Ties.none(k)
    centres = centres or Centres.common(k, n_nodes, len(pairs))
    _require_datum(pairs, labels, anchor, ties)
    tilts = np.zeros(len(pairs)) if tilts is None else tilts
    observed = _Observed(list(pairs), differences, information, ties, centres, tilts)
    free = anchor is None and ties.node.size == 0
    normal = observed.normal(n_nodes)
    if free and tilts.any():  # a correction of all tracks is seen, too, but not to be told by that
        inverse = _invert_constrained(normal, centres, labels)
    else:
        inverse = _invert(normal, centres, anchor, free, labels)
    x = np.zeros((n_nodes, k))
    for _ in range(_REFINED):
        x += (inverse @ observed.pull(x).ravel()).reshape(n_nodes, k)
    if free:  # corrections about the origin sum to zero
        common, mean = centres.from_origin.reshape(-1, k), np.concatenate(centres.to_origin, axis=1) / n_nodes
        zero_mean = np.eye(n_nodes * k) - common @ mean
        x, inverse = (zero_mean @ x.ravel()).reshape(n_nodes, k), zero_mean @ inverse @ zero_mean.T
    return observed.solution(x, inverse, n_nodes * k - (k if free or anchor is not None else 0))


@dataclass(frozen=True)
class _Observed:
    """Observations of a network; unknowns are ramps about the middle of each node."""

    pairs: list[Pair]
    differences: np.ndarray
    information: np.ndarray
    ties: Ties
    centres: Centres
    tilts: np.ndarray

    def sides(self, pair: int) -> tuple[tuple[int, np.ndarray], tuple[int, np.ndarray]]:
        """Node and matrix of both sides of a pair: ``second x_j - first x_i`` is what its difference should be."""
        (i, j), tilt = self.pairs[pair], self.tilts[pair]
        return (i, -(1 + tilt) * self.centres.at_pair(pair, i)), (j, (1 - tilt) * self.centres.at_pair(pair, j))

    def normal(self, nodes: int) -> np.ndarray:
        """Normal matrix, shape ``(node, term, node, term)``."""
        k = self.differences.shape[1]
        made = np.zeros((nodes, k, nodes, k))
        for p, w in enumerate(self.information):
            for a, left in self.sides(p):
                for b, right in self.sides(p):
                    made[a, :, b] += left.T @ w @ right
        for node, row, variance in zip(self.ties.node, self.ties.design, self.ties.variance, strict=True):
            made[node, :, node] += np.outer(row, row) / variance
        return made

    def residuals(self, x: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Of pairs, about their middle, and of ties."""
        predicted = [sum(side @ x[a] for a, side in self.sides(p)) for p in range(len(self.pairs))]
        of_ties: np.ndarray = self.ties.value - np.einsum("tk,tk->t", self.ties.design, x[self.ties.node])
        return self.differences - np.array(predicted).reshape(self.differences.shape), of_ties

    def pull(self, x: np.ndarray) -> np.ndarray:
        """Right side of the normal equations for what is left of the observations."""
        of_pairs, of_ties = self.residuals(x)
        made = np.zeros(x.shape)
        for p, (r, w) in enumerate(zip(of_pairs, self.information, strict=True)):
            for a, side in self.sides(p):
                made[a] += side.T @ w @ r
        weighted = self.ties.design * (of_ties / self.ties.variance)[:, None]
        np.add.at(made, self.ties.node, weighted)
        return made

    def solution(self, x: np.ndarray, covariance: np.ndarray, unknowns: int) -> Solution:
        """What is left of the observations, and the corrections about the origin."""
        n, k = x.shape
        blocks = covariance.reshape(n, k, n, k)
        residuals, tie_residuals = self.residuals(x)
        normalised, chi2, ranks = np.full(len(self.pairs), np.nan), 0.0, 0
        for p, (r, w) in enumerate(zip(residuals, self.information, strict=True)):
            rank = _rank(w)
            ranks += rank
            squares = float(r @ w @ r)
            chi2 += squares
            sides = self.sides(p)
            adjusted = sum(left @ blocks[a, :, b] @ right.T for a, left in sides for b, right in sides)
            free = rank - float(np.trace(w @ adjusted))  # expected r^T W r
            if free > _CONTROLLED * k:
                normalised[p] = np.sqrt(squares / free) * (np.sign(r[0]) if k == 1 else 1.0)
            if rank < k:
                residuals[p] = np.nan
        chi2 += float(np.sum(tie_residuals**2 / self.ties.variance))
        dof = ranks + self.ties.node.size - unknowns
        carry = self.centres.to_origin
        coefficients = np.einsum("nab,nb->na", carry, x)
        carried = np.einsum("nab,nbmc,mdc->namd", carry, blocks, carry, optimize=True).reshape(n * k, n * k)
        return Solution(coefficients, carried, residuals, normalised, tie_residuals, chi2, dof)


def _require_datum(pairs: Sequence[Pair], names: Sequence[str], anchor: int | None, ties: Ties) -> None:
    """Every group of tracks needs a tie or the anchor; without either there may be one group only."""
    groups = connected_components(pairs, len(names))
    tied = set(ties.node.tolist()) | ({anchor} if anchor is not None else set())
    loose = [group for group in groups if not tied & set(group)]
    if loose and (tied or len(groups) > 1):
        raise DisconnectedTracksError(
            f"{name_groups(groups, names)}; "
            + (f"{', '.join(names[i] for g in loose for i in g)} hang on nothing; " if tied else "")
            + "add a track that bridges them, give ties in each, or combine each group by itself"
        )


def _invert(normal: np.ndarray, centres: Centres, anchor: int | None, free: bool, names: Sequence[str]) -> np.ndarray:
    """Generalised inverse of the normal matrix, after scaling to a unit diagonal; zeros for the anchor."""
    n, k = normal.shape[:2]
    if n == 1 and free:
        return np.zeros((k, k))
    keep = np.ones(n * k, bool)
    if anchor is not None:
        keep[anchor * k : (anchor + 1) * k] = False
    matrix = normal.reshape(n * k, n * k)[np.ix_(keep, keep)]
    diagonal = np.diag(matrix)
    if not (diagonal > 0).all():
        lacking = sorted({names[i // k] for i in np.flatnonzero(keep)[~(diagonal > 0)]})
        raise DisconnectedTracksError(f"no overlap or tie determines {', '.join(lacking)}; {_LESS}")
    s = np.sqrt(diagonal)
    common = centres.from_origin.reshape(n * k, k)  # one ramp of all tracks: no overlap tells of it
    unseen = np.linalg.qr(s[:, None] * common)[0] if free else np.zeros((s.size, 0))
    values, vectors = np.linalg.eigh(matrix / np.outer(s, s) + unseen @ unseen.T) if s.size else _NOTHING
    if values.size and values[0] < _SINGULAR * values[-1]:
        worst = np.abs(vectors[:, 0]).reshape(-1, k).max(axis=1)
        which = np.flatnonzero(keep).reshape(-1, k)[:, 0] // k
        weak = [names[i] for i in which[worst > worst.max() / 2]]
        raise DisconnectedTracksError(f"overlaps and ties do not determine the ramps of {', '.join(weak)}; {_LESS}")
    inverse = np.zeros((n * k, n * k))
    inverse[np.ix_(keep, keep)] = ((vectors / values) @ vectors.T - unseen @ unseen.T) / np.outer(s, s)
    return inverse


def _invert_constrained(normal: np.ndarray, centres: Centres, names: Sequence[str]) -> np.ndarray:
    """Inverse of the normal matrix among corrections that sum to zero about the origin."""
    n, k = normal.shape[:2]
    mean = np.concatenate(centres.to_origin, axis=1)
    basis = np.linalg.svd(mean)[2][k:].T
    matrix = basis.T @ normal.reshape(n * k, n * k) @ basis
    s = np.sqrt(np.diag(matrix))
    if not (s > 0).all() or np.linalg.eigvalsh(matrix / np.outer(s, s))[0] < _SINGULAR * s.size:
        raise DisconnectedTracksError(f"overlaps do not determine the ramps of {', '.join(names)}; {_LESS}")
    inverse: np.ndarray = (basis / s) @ np.linalg.inv(matrix / np.outer(s, s)) @ (basis / s).T
    return inverse


def _rank(information: np.ndarray) -> int:
    """Number of terms that a pair determines."""
    scale = np.sqrt(np.diag(information))
    scale[scale == 0] = 1.0
    return int(np.linalg.matrix_rank(information / np.outer(scale, scale), tol=_SINGULAR * len(scale), hermitian=True))
