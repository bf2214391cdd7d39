"""The graph of overlapping tracks: which pairs there are, what hangs together, and its loops."""

from collections.abc import Sequence

import numpy as np

from mimtpy_cloud.errors import DisconnectedTracksError
from mimtpy_cloud.plan.grid import Window

__all__ = ["Pair", "connected_components", "fundamental_loops", "name_groups", "overlapping_pairs", "require_connected"]

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
            f"{name_groups(groups, names)}; {gaps}: add a track that bridges them, give ties, "
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


def name_groups(groups: Sequence[Sequence[int]], names: Sequence[str]) -> str:
    """
    Say which groups of tracks do not hang together, for a message.

    Parameters
    ----------
    groups : sequence of sequence of int
        From `connected_components`.
    names : sequence of str
        Names of the tracks.

    Returns
    -------
    str
    """
    shown = "; ".join(", ".join(names[i] for i in group) for group in groups)
    return f"tracks need overlaps that tie them all together, got {len(groups)} separate groups: {shown}"


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
