"""Which pixels lie inside polygons."""

from collections.abc import Sequence

import numpy as np

__all__ = ["inside_polygons"]


def inside_polygons(x: np.ndarray, y: np.ndarray, rings: Sequence[np.ndarray]) -> np.ndarray:
    """
    Tell which pixel centres lie inside any of several polygons.

    Parameters
    ----------
    x, y : np.ndarray
        Coordinates of columns and rows, one-dimensional.
    rings : sequence of np.ndarray
        Outlines in the same coordinates, shape ``(n, 2)``, x first; closed or not.

    Returns
    -------
    np.ndarray
        Boolean, shape ``(y, x)``. Of a centre on an edge, either may be said.

    Notes
    -----
    Even-odd rule for each outline, along rows: the cost is the number of rows times the edges that they cross.

    Examples
    --------
    >>> triangle = np.array([[0.0, 0.0], [4.0, 0.0], [0.0, 4.0]])
    >>> inside_polygons(np.array([0.5, 2.5]), np.array([3.0, 1.0]), [triangle]).tolist()
    [[True, False], [True, True]]
    """
    inside = np.zeros((y.size, x.size), bool)
    for ring in rings:
        x1, y1 = np.asarray(ring, np.float64).T
        x2, y2 = np.roll(x1, -1), np.roll(y1, -1)
        for row in np.flatnonzero((y >= y1.min()) & (y <= y1.max())):
            cut = (y1 > y[row]) != (y2 > y[row])
            at = np.sort(x1[cut] + (y[row] - y1[cut]) * (x2[cut] - x1[cut]) / (y2[cut] - y1[cut]))
            inside[row] |= (at.size - np.searchsorted(at, x, side="right")) % 2 == 1
    return inside
