"""Values between pixel centres, along a line."""

from typing import NamedTuple

import numpy as np

__all__ = ["Corners", "bilinear_corners", "sample_bilinear", "weigh_corners"]

#: A position within this fraction of a pixel of a centre lies on it: coordinates are rounded.
_ON_CENTRE = 1e-6


class Corners(NamedTuple):
    """
    The four pixels around each position, and their weights.

    Attributes
    ----------
    rows, cols : np.ndarray
        Integers, shape ``(4, point)``; outside of the grid only where the weight is not zero and the value unknown.
    weights : np.ndarray
        Float64, shape ``(4, point)``, with sum one; zero for a pixel that is not needed.
    """

    rows: np.ndarray
    cols: np.ndarray
    weights: np.ndarray


def bilinear_corners(rows: np.ndarray, cols: np.ndarray) -> Corners:
    """
    Find the pixels that bilinear interpolation needs.

    Parameters
    ----------
    rows, cols : np.ndarray
        Positions in pixels, shape ``(point,)``; whole numbers are pixel centres, 0 is the first.

    Returns
    -------
    Corners
        A position on the centre of a pixel (within 1e-6) needs that pixel alone, one on a line of centres two.

    Examples
    --------
    >>> bilinear_corners(np.array([2.0]), np.array([3.25])).weights[:, 0].tolist()
    [0.75, 0.25, 0.0, 0.0]
    """
    (row, down), (col, right) = map(_split, (rows, cols))
    weights = np.stack([(1 - down) * (1 - right), (1 - down) * right, down * (1 - right), down * right])
    return Corners(np.stack([row, row, row + 1, row + 1]), np.stack([col, col + 1, col, col + 1]), weights)


def _split(position: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Whole pixel and fraction."""
    position = np.asarray(position, np.float64)
    nearest = np.round(position)
    position = np.where(np.abs(position - nearest) < _ON_CENTRE, nearest, position)
    whole = np.floor(position)
    return whole.astype(np.int64), position - whole


def weigh_corners(values: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """
    Average the pixels around each position.

    Parameters
    ----------
    values : np.ndarray
        Of the four pixels, shape ``(4, point)``; NaN is no data.
    weights : np.ndarray
        As `bilinear_corners` gives them.

    Returns
    -------
    np.ndarray
        Float64, shape ``(point,)``; NaN where a pixel with weight has no data.

    Examples
    --------
    >>> weigh_corners(np.array([[1.0], [2.0], [np.nan], [4.0]]), np.array([[0.75], [0.25], [0.0], [0.0]])).tolist()
    [1.25]
    """
    return np.sum(np.where(weights > 0, values, 0.0) * weights, axis=0)


def sample_bilinear(block: np.ndarray, rows: np.ndarray, cols: np.ndarray) -> np.ndarray:
    """
    Interpolate between the centres of pixels.

    Parameters
    ----------
    block : np.ndarray
        Shape ``(y, x)``; NaN is no data.
    rows, cols : np.ndarray
        Positions in pixels, shape ``(point,)``; whole numbers are pixel centres, 0 is the first.

    Returns
    -------
    np.ndarray
        Float64, shape ``(point,)``, in the unit of the block; its own value at the centre of a pixel. NaN beyond the
        outermost centres, and where one of the pixels with weight has no data.

    See Also
    --------
    mimtpy_cloud.ops.profile.sample_profile : The same at longitudes and latitudes, lazily.

    Examples
    --------
    >>> block = np.array([[0.0, 1.0], [2.0, np.nan]])
    >>> sample_bilinear(block, np.array([0.0, 0.5, 0.5]), np.array([0.5, 0.0, 0.5])).tolist()
    [0.5, 1.0, nan]
    """
    corners = bilinear_corners(rows, cols)
    ny, nx = block.shape
    inside = (corners.rows >= 0) & (corners.rows < ny) & (corners.cols >= 0) & (corners.cols < nx)
    values = np.full(corners.weights.shape, np.nan)
    values[inside] = block[corners.rows[inside], corners.cols[inside]]
    return weigh_corners(values, corners.weights)
