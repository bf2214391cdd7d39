"""Join tracks into one network: which windows overlap, what hangs together, and the correction of each track."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from mimtpy_cloud.errors import DisconnectedTracksError
from mimtpy_cloud.plan.grid import Window

__all__ = [
    "Solution",
    "Ties",
    "connected_components",
    "fundamental_loops",
    "overlapping_pairs",
    "require_connected",
    "solve_network",
]

Pair = tuple[int, int]

#: Smallest over largest eigenvalue of a normal matrix, scaled to a unit diagonal, that still determines all unknowns.
_SINGULAR = 1e-12
#: A difference whose redundancy is below this share is not controlled by others, and has no normalised residual.
_CONTROLLED = 1e-6
_LESS = "use a lower order, give ties, or leave the track out"


def overlapping_pairs(windows: Sequence[Window]) -> list[Pair]:
    """
    List the pairs of windows that share at least one pixel.

    Parameters
    ----------
    windows : sequence of Window
        All on one lattice.

    Returns
    -------
    list of tuple
        Pairs ``(i, j)`` with ``i < j``, in order.

    Examples
    --------
    >>> overlapping_pairs([Window(10, 0, 0, 4, 4), Window(10, 0, 3, 4, 4), Window(10, 0, 7, 4, 4)])
    [(0, 1)]
    """
    row, col, ny, nx = np.array([(w.row, w.col, w.ny, w.nx) for w in windows], dtype=np.int64).reshape(-1, 4).T
    rows = np.minimum.outer(row + ny, row + ny) > np.maximum.outer(row, row)
    cols = np.minimum.outer(col + nx, col + nx) > np.maximum.outer(col, col)
    first, second = np.nonzero(np.triu(rows & cols, k=1))
    return list(zip(first.tolist(), second.tolist(), strict=True))


def connected_components(pairs: Sequence[Pair], n_nodes: int) -> list[list[int]]:
    """
    Split the nodes of a graph into groups that hang together.

    Parameters
    ----------
    pairs : sequence of tuple
        Edges ``(i, j)``.
    n_nodes : int
        Number of nodes.

    Returns
    -------
    list of list of int
        Sorted members, by the smallest member; a node without an edge is a group of one.

    Examples
    --------
    >>> connected_components([(0, 3), (1, 2)], 5)
    [[0, 3], [1, 2], [4]]
    """
    from scipy.sparse import coo_array
    from scipy.sparse.csgraph import connected_components as label_nodes

    first, second = np.array(pairs, dtype=np.int64).reshape(-1, 2).T
    graph = coo_array((np.ones(first.size), (first, second)), shape=(n_nodes, n_nodes))
    count, label = label_nodes(graph, directed=False)
    groups = [np.flatnonzero(label == k).tolist() for k in range(count)]
    return sorted(groups)


def require_connected(pairs: Sequence[Pair], names: Sequence[str], windows: Sequence[Window]) -> None:
    """
    Check that overlaps tie all tracks together.

    Parameters
    ----------
    pairs : sequence of tuple
        Overlapping pairs ``(i, j)``.
    names : sequence of str
        Names of the tracks.
    windows : sequence of Window
        Where they lie, on one lattice.

    Raises
    ------
    DisconnectedTracksError
        If they fall apart; the message names the groups, and for each the gap to the nearest track of another.
    """
    groups = connected_components(pairs, len(names))
    if len(groups) > 1:
        gaps = "; ".join(_nearest(group, names, windows) for group in groups[1:])
        raise DisconnectedTracksError(
            f"{_groups_text(groups, names)}; {gaps}: add a track that bridges them, give ties, "
            "or combine each group by itself"
        )


def _nearest(group: Sequence[int], names: Sequence[str], windows: Sequence[Window]) -> str:
    """The smallest gap between a track of a group and one outside it."""
    others = [k for k in range(len(names)) if k not in group]
    gap, i, j = min((_gap(windows[i], windows[j]), i, j) for i in group for j in others)
    return f"between {names[i]} and {names[j]} lie {gap:.3g} degrees"


def _gap(a: Window, b: Window) -> float:
    """Distance in degrees between the edges of two windows; 0 if they touch."""
    down = max(a.row, b.row) - min(a.row + a.ny, b.row + b.ny)
    across = max(a.col, b.col) - min(a.col + a.nx, b.col + b.nx)
    return float(np.hypot(max(down, 0), max(across, 0))) / a.n


def _groups_text(groups: Sequence[Sequence[int]], names: Sequence[str]) -> str:
    shown = "; ".join(", ".join(names[i] for i in group) for group in groups)
    return f"tracks need overlaps that tie them all together, got {len(groups)} separate groups: {shown}"


@dataclass(frozen=True)
class Solution:
    """
    What the adjustment of a network gives.

    Parameters
    ----------
    coefficients : np.ndarray
        Correction to add to each node, shape ``(node, term)``.
    covariance : np.ndarray
        Shape ``(node * term, node * term)``, node by node.
    residuals : np.ndarray
        Observed less adjusted difference of each pair, shape ``(pair, term)``; NaN where a pair does not determine all.
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
        Value of each term at the place, shape ``(tie, term)``.
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


def solve_network(
    pairs: Sequence[Pair],
    differences: np.ndarray,
    information: np.ndarray,
    n_nodes: int,
    *,
    anchor: int | None = None,
    ties: Ties | None = None,
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
    names : sequence of str, optional
        Names of the tracks in messages.

    Returns
    -------
    Solution
        Corrections to add to each track.

    Raises
    ------
    DisconnectedTracksError
        If some tracks hang together with no other track, no tie and not the anchor, or pairs and ties do not
        determine a ramp.

    Notes
    -----
    Minimises ``sum (x_j - x_i - m)^T W (x_j - x_i - m) + sum (B x_i - v)^2 / s^2``, so that
    ``track_i + x_i = track_j + x_j`` in the overlap. Normal matrix: the block Laplacian of the graph, plus the ties.
    The datum defect is closed by the minimum-norm (zero-mean) solution, or by removing the anchor [1]_.

    References
    ----------
    .. [1] A. Leick, L. Rapoport and D. Tatarnikov, 2015, GPS Satellite Surveying, 4th edition, Wiley, chapter 2
       (minimal and inner constraints), DOI 10.1002/9781119018612.

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
    _require_datum(pairs, labels, anchor, ties)
    normal, rhs = np.zeros((n_nodes, k, n_nodes, k)), np.zeros((n_nodes, k))
    for (i, j), m, w in zip(pairs, differences, information, strict=True):
        for a, b, sign in ((i, i, 1), (j, j, 1), (i, j, -1), (j, i, -1)):
            normal[a, :, b] += sign * w
        rhs[i] -= w @ m
        rhs[j] += w @ m
    for node, row, value, variance in zip(ties.node, ties.design, ties.value, ties.variance, strict=True):
        normal[node, :, node] += np.outer(row, row) / variance
        rhs[node] += row * value / variance
    free = anchor is None and ties.node.size == 0
    x, covariance = _invert(normal.reshape(n_nodes * k, -1), rhs.reshape(-1), n_nodes, k, anchor, free, labels)
    x = x.reshape(n_nodes, k)
    unknowns = n_nodes * k - (k if free or anchor is not None else 0)
    return _residuals(pairs, differences, information, ties, x, covariance, unknowns)


def _require_datum(pairs: Sequence[Pair], names: Sequence[str], anchor: int | None, ties: Ties) -> None:
    """Every group of tracks needs a tie or the anchor; without either there may be one group only."""
    groups = connected_components(pairs, len(names))
    tied = set(ties.node.tolist()) | ({anchor} if anchor is not None else set())
    loose = [group for group in groups if not tied & set(group)]
    if loose and (tied or len(groups) > 1):
        raise DisconnectedTracksError(
            f"{_groups_text(groups, names)}; "
            + (f"{', '.join(names[i] for g in loose for i in g)} hang on nothing; " if tied else "")
            + "add a track that bridges them, give ties in each, or combine each group by itself"
        )


def _invert(
    normal: np.ndarray, rhs: np.ndarray, n: int, k: int, anchor: int | None, free: bool, names: Sequence[str]
) -> tuple[np.ndarray, np.ndarray]:
    """Solution and covariance, after scaling to a unit diagonal; the anchor's rows are left out."""
    if n == 1 and free:
        return np.zeros(k), np.zeros((k, k))
    keep = np.ones(n * k, bool)
    if anchor is not None:
        keep[anchor * k : (anchor + 1) * k] = False
    matrix = normal[np.ix_(keep, keep)]
    diagonal = np.diag(matrix)
    if not (diagonal > 0).all():
        lacking = sorted({names[i // k] for i in np.flatnonzero(keep)[~(diagonal > 0)]})
        raise DisconnectedTracksError(f"no overlap or tie determines {', '.join(lacking)}; {_LESS}")
    # Scales are the same for one term of all tracks, so that the datum defect stays a common shift.
    term = np.flatnonzero(keep) % k
    scale = np.sqrt(np.array([diagonal[term == t].mean() for t in range(k)]) if matrix.size else np.ones(k))
    s = scale[term]
    scaled = matrix / np.outer(s, s)
    gauge = np.kron(np.ones((n, n)) / n, np.eye(k)) if free else 0.0
    values, vectors = np.linalg.eigh(scaled + gauge) if matrix.size else (np.ones(0), np.zeros((0, 0)))
    if values.size and values[0] < _SINGULAR * values[-1]:
        worst = np.abs(vectors[:, 0]).reshape(-1, k).max(axis=1)
        which = np.flatnonzero(keep).reshape(-1, k)[:, 0] // k
        weak = [names[i] for i in which[worst > worst.max() / 2]]
        raise DisconnectedTracksError(f"overlaps and ties do not determine the ramps of {', '.join(weak)}; {_LESS}")
    inverse = (vectors / values) @ vectors.T - gauge
    x, covariance = np.zeros(n * k), np.zeros((n * k, n * k))
    inverse /= np.outer(s, s)
    x[keep] = inverse @ rhs[keep]
    covariance[np.ix_(keep, keep)] = inverse
    return x, covariance


def _residuals(
    pairs: Sequence[Pair],
    differences: np.ndarray,
    information: np.ndarray,
    ties: Ties,
    x: np.ndarray,
    covariance: np.ndarray,
    unknowns: int,
) -> Solution:
    n, k = x.shape
    blocks = covariance.reshape(n, k, n, k)
    residuals, normalised, chi2 = np.zeros((len(pairs), k)), np.full(len(pairs), np.nan), 0.0
    ranks = 0
    for p, ((i, j), m, w) in enumerate(zip(pairs, differences, information, strict=True)):
        r = m - (x[j] - x[i])
        rank = _rank(w)
        ranks += rank
        residuals[p] = r if rank == k else np.nan
        chi2 += float(r @ w @ r)
        adjusted = blocks[i, :, i] + blocks[j, :, j] - blocks[i, :, j] - blocks[j, :, i]
        free = rank - float(np.trace(w @ adjusted))  # expected r^T W r
        if free > _CONTROLLED * k:
            normalised[p] = np.sqrt(float(r @ w @ r) / free) * (np.sign(r[0]) if k == 1 else 1.0)
    tie_residuals = ties.value - np.einsum("tk,tk->t", ties.design, x[ties.node])
    chi2 += float(np.sum(tie_residuals**2 / ties.variance))
    dof = ranks + ties.node.size - unknowns
    return Solution(x, covariance, residuals, normalised, tie_residuals, chi2, dof)


def _rank(information: np.ndarray) -> int:
    """Number of terms that a pair determines."""
    scale = np.sqrt(np.diag(information))
    scale[scale == 0] = 1.0
    return int(np.linalg.matrix_rank(information / np.outer(scale, scale), tol=_SINGULAR * len(scale), hermitian=True))


def fundamental_loops(pairs: Sequence[Pair], n_nodes: int) -> list[list[tuple[int, int]]]:
    """
    Find a set of independent loops of a graph.

    Parameters
    ----------
    pairs : sequence of tuple
        Edges ``(i, j)``.
    n_nodes : int
        Number of nodes.

    Returns
    -------
    list of list of (int, int)
        One loop for each edge that a breadth-first tree leaves out, shortest way round: index of each edge and its
        direction, 1 if the loop runs from its first node to its second, else -1.

    Examples
    --------
    >>> fundamental_loops([(0, 1), (1, 2), (0, 2)], 3)
    [[(1, 1), (2, -1), (0, 1)]]
    """
    neighbours: list[list[tuple[int, int, int]]] = [[] for _ in range(n_nodes)]
    for e, (i, j) in enumerate(pairs):
        neighbours[i].append((j, e, 1))
        neighbours[j].append((i, e, -1))
    parent: list[tuple[int, int, int] | None] = [None] * n_nodes  # node, edge, direction from it
    depth, tree = [-1] * n_nodes, set[int]()
    for root in range(n_nodes):
        if depth[root] >= 0:
            continue
        depth[root], queue = 0, [root]
        for node in queue:
            for other, edge, direction in neighbours[node]:
                if depth[other] < 0:
                    depth[other], parent[other] = depth[node] + 1, (node, edge, direction)
                    tree.add(edge)
                    queue.append(other)
    return [_loop(e, pairs[e], parent, depth) for e in range(len(pairs)) if e not in tree]


def _loop(edge: int, pair: Pair, parent: list[tuple[int, int, int] | None], depth: list[int]) -> list[tuple[int, int]]:
    """The edge from its first to its second node, and the way back through the tree."""
    i, j = pair
    up, down = [], []  # from j up to the meeting point, and from there down to i
    while i != j:
        if depth[j] >= depth[i]:
            node, e, direction = parent[j]  # type: ignore[misc]
            up.append((e, -direction))
            j = node
        else:
            node, e, direction = parent[i]  # type: ignore[misc]
            down.append((e, direction))
            i = node
    return [(edge, 1), *up, *reversed(down)]
