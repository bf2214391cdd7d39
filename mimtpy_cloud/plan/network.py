"""Join tracks into one network: which windows overlap, what hangs together, and the offset of each track."""

from collections.abc import Sequence

import numpy as np

from mimtpy_cloud.errors import DisconnectedTracksError
from mimtpy_cloud.plan.grid import Window

__all__ = ["connected_components", "overlapping_pairs", "require_connected", "solve_offsets"]

Pair = tuple[int, int]


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


def require_connected(pairs: Sequence[Pair], names: Sequence[str]) -> None:
    """
    Check that overlaps tie all tracks together.

    Parameters
    ----------
    pairs : sequence of tuple
        Overlapping pairs ``(i, j)``.
    names : sequence of str
        Names of the tracks.

    Raises
    ------
    DisconnectedTracksError
        If they fall apart; the message names the groups.
    """
    groups = connected_components(pairs, len(names))
    if len(groups) > 1:
        shown = "; ".join(", ".join(names[i] for i in group) for group in groups)
        raise DisconnectedTracksError(
            f"tracks need overlaps that tie them all together, got {len(groups)} separate groups: {shown}; "
            "add a track that bridges them, or combine each group by itself"
        )


def solve_offsets(
    pairs: Sequence[Pair],
    differences: np.ndarray,
    weights: np.ndarray,
    n_nodes: int,
    anchor: int | None = None,
    *,
    names: Sequence[str] | None = None,
) -> np.ndarray:
    """
    Adjust the datum of all tracks at once by weighted least squares.

    Parameters
    ----------
    pairs : sequence of tuple
        Observed pairs ``(i, j)``.
    differences : np.ndarray
        Observed difference of each pair, track i minus track j, shape ``(pair,)``.
    weights : np.ndarray
        Positive weight of each pair, for example its number of pixels, shape ``(pair,)``.
    n_nodes : int
        Number of tracks.
    anchor : int, optional
        Track that keeps its datum; without it the offsets have zero mean.
    names : sequence of str, optional
        Names of the tracks in messages.

    Returns
    -------
    np.ndarray
        Offset to add to each track, in the unit of `differences`, shape ``(n_nodes,)``.

    Raises
    ------
    DisconnectedTracksError
        If the pairs do not tie all tracks together.

    Notes
    -----
    Minimises ``sum_ij w_ij (x_j - x_i - m_ij)^2``, so that ``track_i + x_i = track_j + x_j`` in the overlap.
    The normal matrix is the weighted Laplacian of the graph, singular by the common datum only.

    Examples
    --------
    >>> pairs = [(0, 1), (1, 2), (0, 2)]
    >>> x = solve_offsets(pairs, np.array([1.0, 2.0, 3.3]), np.array([100, 100, 50]), 3, anchor=0)
    >>> x.round(9).tolist()
    [0.0, 1.075, 3.15]
    """
    require_connected(pairs, names or [str(i) for i in range(n_nodes)])
    first, second = np.array(pairs, dtype=np.int64).reshape(-1, 2).T
    w = np.asarray(weights, dtype=np.float64)
    w = w / w.mean() if w.size else w
    laplacian, rhs = np.zeros((n_nodes, n_nodes)), np.zeros(n_nodes)
    for i, j, weight, m in zip(first, second, w, np.asarray(differences, dtype=np.float64), strict=True):
        laplacian[[i, j], [i, j]] += weight
        laplacian[[i, j], [j, i]] -= weight
        rhs[i] -= weight * m
        rhs[j] += weight * m
    # The Laplacian plus a constant matrix is regular and gives the zero-mean solution.
    offsets = np.linalg.solve(laplacian + 1.0 / n_nodes, rhs)
    return offsets - (offsets.mean() if anchor is None else offsets[anchor])
