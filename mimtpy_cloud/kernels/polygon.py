"""Which pixels of a grid lie in a polygon."""

import numpy as np

__all__ = ["pixels_in_polygon"]


def pixels_in_polygon(x: np.ndarray, y: np.ndarray, vertices: np.ndarray) -> np.ndarray:
    """
    Tell which pixel centres lie in a polygon.

    Parameters
    ----------
    x : np.ndarray
        Ascending columns' centres, shape ``(nx,)``.
    y : np.ndarray
        Rows' centres in any order, shape ``(ny,)``.
    vertices : np.ndarray
        Corners in the same units, shape ``(n, 2)``, in either sense, closed or not.

    Returns
    -------
    np.ndarray
        Truth, shape ``(ny, nx)``. A centre on an edge belongs to the polygon on one side of it, so that polygons that
        share edges share no pixel. Where the outline crosses itself, the even-odd rule holds.

    Notes
    -----
    A ray to the west is counted: a centre is in if it has an odd number of crossings west of it. The crossings of a row
    serve all its pixels, so that the cost is the number of rows times the number of edges that cross them.

    Examples
    --------
    >>> triangle = np.array([[0.0, 0.0], [4.0, 0.0], [0.0, 4.0]])
    >>> pixels_in_polygon(np.array([0.5, 1.5, 2.5]), np.array([2.4, 0.4]), triangle).astype(int).tolist()
    [[1, 1, 0], [1, 1, 1]]
    """
    x0, y0 = np.asarray(vertices, np.float64).T
    x1, y1 = np.roll(x0, -1), np.roll(y0, -1)
    inside = np.zeros((y.size, x.size), bool)
    for i, level in enumerate(y):
        crossed = (y0 <= level) != (y1 <= level)
        if crossed.any():
            west, south, east, north = x0[crossed], y0[crossed], x1[crossed], y1[crossed]
            crossings = np.sort(west + (level - south) / (north - south) * (east - west))
            inside[i] = np.searchsorted(crossings, x, side="right") % 2 == 1
    return inside
