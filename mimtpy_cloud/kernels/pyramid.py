"""Moments of the squares of an image: tiles that are summed once, and squares of four smaller ones above them."""

from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np
from numba import njit

__all__ = ["Pyramid", "square_variance"]

_JIT: dict[str, Any] = {"cache": True, "nogil": True, "error_model": "numpy"}
#: Of sums, which may be reordered; NaN stays NaN.
_FAST: dict[str, Any] = {**_JIT, "fastmath": {"contract", "reassoc", "nsz", "arcp"}}
#: Moments of a square: count, sums of values, squares, columns and rows; and of the products that a plane needs.
_MEAN, _PLANE = 5, 10
#: Ratio of determinants below which pixels lie on a line.
_LINE = 1e-9


@dataclass(frozen=True)
class Pyramid:
    """
    Moments of the squares of all levels.

    Parameters
    ----------
    moments : np.ndarray
        Shape ``(k, square)``, float64, one column a square, level by level, the smallest first: pixels with data, and
        their sums of value, its square, column and row; with a plane also of ``x x, y y, x y, x v, y v``. Values are
        less `shift`; columns and rows count from the middle of the image.
    first : np.ndarray
        Number of the first square of each level.
    shapes : np.ndarray
        Squares down and across, shape ``(level, 2)``.
    tile : int
        Length of the smallest squares, pixels; they double from level to level.
    shape : tuple of int
        Of the image.
    shift : float
        A value amid the others, so that little is cancelled.

    Examples
    --------
    >>> pyramid = Pyramid.of(np.array([[1.0, 3.0], [np.nan, 5.0]]), tile=1, root=2)
    >>> pyramid.shapes.tolist(), pyramid.moments[0].tolist()
    ([[2, 2], [1, 1]], [1.0, 1.0, 0.0, 1.0, 3.0])
    """

    moments: np.ndarray
    first: np.ndarray
    shapes: np.ndarray
    tile: int
    shape: tuple[int, int]
    shift: float

    @classmethod
    def of(cls, values: np.ndarray, tile: int, root: int, *, plane: bool = False) -> "Pyramid":
        """
        Sum an image.

        Parameters
        ----------
        values : np.ndarray
            Shape ``(y, x)``, float; what is not finite is no data.
        tile, root : int
            Length of the smallest and of the largest squares, powers of two.
        plane : bool
            Whether there are products for a plane.

        Returns
        -------
        Pyramid
        """
        lengths = [tile << k for k in range((root // tile).bit_length())]
        shapes = [(-(-values.shape[0] // length), -(-values.shape[1] // length)) for length in lengths]
        first = np.cumsum([0, *(ny * nx for ny, nx in shapes)])
        moments = np.empty((_PLANE if plane else _MEAN, first[-1]))
        levels = [
            moments[:, a:b].reshape(-1, *shape) for a, b, shape in zip(first[:-1], first[1:], shapes, strict=True)
        ]
        shift = _typical(values)
        _sum_tiles(values, tile, shift, levels[0])
        for below, level in pairwise(levels):
            _sum_four(below, level)
        return cls(moments, first[:-1], np.array(shapes), tile, (values.shape[0], values.shape[1]), shift)

    @property
    def total(self) -> np.ndarray:
        """Moments of the image, without those for a plane."""
        total: np.ndarray = self.moments[:_MEAN, self.first[-1] :].sum(axis=1)
        return total

    def means(self, squares: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """
        Average value, row and column of squares.

        Parameters
        ----------
        squares : np.ndarray
            Their numbers.

        Returns
        -------
        mean, row, col : np.ndarray
            Float64; 0 is the middle of the first row and column.
        """
        n, value, _, col, row = self.moments[:_MEAN, squares]
        middle = _middle(self.shape)
        return value / n + self.shift, row / n + middle[0], col / n + middle[1]

    def variances(self, squares: np.ndarray, *, plane: bool) -> np.ndarray:
        """
        Variance of the pixels of squares.

        Parameters
        ----------
        squares : np.ndarray
            Their numbers.
        plane : bool
            Whether about a plane, if there are products for one, instead of about the mean.

        Returns
        -------
        np.ndarray
            Float64.
        """
        return _variances(self.moments[: _PLANE if plane else _MEAN, squares])  # type: ignore[no-any-return]


def _typical(values: np.ndarray) -> float:
    """A value near the mean, of some rows and columns."""
    some = values[:: max(1, values.shape[0] // 64), :: max(1, values.shape[1] // 64)]
    known = some[np.isfinite(some)]
    return float(np.median(known)) if known.size else 0.0  # a mean would follow an outlier


@njit(**_JIT)
def square_variance(m):  # type: ignore[no-untyped-def]
    """
    Variance of a square, compiled.

    Parameters
    ----------
    m : np.ndarray
        Its moments, as `Pyramid` has them.

    Returns
    -------
    float
        About its mean, or about its plane if there are products for one; NaN without data.

    Notes
    -----
    Of the covariances of value and place, ``C_vv - c^T C^-1 c``.

    Examples
    --------
    >>> square_variance(np.array([2.0, 4.0, 10.0, 0.0, 0.0]))
    1.0
    """
    n = m[0]
    if n == 0:
        return np.nan
    mean = m[1] / n
    variance = m[2] / n - mean * mean
    if m.size > _MEAN:
        x, y = m[3] / n, m[4] / n
        xx, yy, xy = m[5] / n - x * x, m[6] / n - y * y, m[7] / n - x * y
        xv, yv = m[8] / n - x * mean, m[9] / n - y * mean
        determinant = xx * yy - xy * xy
        if determinant > _LINE * xx * yy:
            variance -= (yy * xv * xv - 2.0 * xy * xv * yv + xx * yv * yv) / determinant
        elif xx + yy > 0.0:  # pixels on a line
            variance -= (xv * xv + yv * yv) / (xx + yy)
    return max(variance, 0.0)


@njit(**_JIT)
def _variances(moments):  # type: ignore[no-untyped-def]
    """Variance of many squares."""
    out = np.empty(moments.shape[1])
    for k in range(out.size):
        out[k] = square_variance(moments[:, k])
    return out


@njit(**_JIT)
def _middle(shape):  # type: ignore[no-untyped-def]
    """Row and column in the middle of an image."""
    return 0.5 * (shape[0] - 1), 0.5 * (shape[1] - 1)


@njit(**_FAST)
def _add_row(row, shift, y, columns):  # type: ignore[no-untyped-def]
    """Add one row of the image to sums of each column: count, values, squares, rows."""
    for x in range(row.size):
        v = np.float64(row[x]) - shift
        known = abs(v) < np.inf  # isfinite is taken for true where sums may be reordered
        w = 1.0 if known else 0.0
        v = v if known else 0.0
        columns[0, x] += w
        columns[1, x] += v
        columns[2, x] += v * v
        columns[3, x] += w * y


@njit(**_FAST)
def _add_row_products(row, shift, y, columns):  # type: ignore[no-untyped-def]
    """Add what a plane needs besides: values times rows, squares of rows."""
    for x in range(row.size):
        v = np.float64(row[x]) - shift
        known = abs(v) < np.inf  # isfinite is taken for true where sums may be reordered
        columns[4, x] += v * y if known else 0.0
        columns[5, x] += y * y if known else 0.0


@njit(**_FAST)
def _sum_tiles(values, tile, shift, out):  # type: ignore[no-untyped-def]
    """Moments of the tiles; rows and columns count from the middle of the image, for small products."""
    plane = out.shape[0] > _MEAN
    middle_y, middle_x = _middle(values.shape)
    columns = np.empty((6 if plane else 4, values.shape[1]))
    out[:] = 0.0
    for i in range(out.shape[1]):
        columns[:] = 0.0
        for y in range(i * tile, min(values.shape[0], (i + 1) * tile)):
            _add_row(values[y], shift, y - middle_y, columns)
            if plane:
                _add_row_products(values[y], shift, y - middle_y, columns)
        for x in range(values.shape[1]):
            j, at = x // tile, x - middle_x
            out[0, i, j] += columns[0, x]
            out[1, i, j] += columns[1, x]
            out[2, i, j] += columns[2, x]
            out[3, i, j] += columns[0, x] * at
            out[4, i, j] += columns[3, x]
            if plane:
                out[5, i, j] += columns[0, x] * at * at
                out[6, i, j] += columns[5, x]
                out[7, i, j] += columns[3, x] * at
                out[8, i, j] += columns[1, x] * at
                out[9, i, j] += columns[4, x]


@njit(**_FAST)
def _sum_four(below, out):  # type: ignore[no-untyped-def]
    """Moments of squares from those of their quarters."""
    for k in range(out.shape[0]):
        for i in range(out.shape[1]):
            for j in range(out.shape[2]):
                total = 0.0
                for y in range(2 * i, min(2 * i + 2, below.shape[1])):
                    for x in range(2 * j, min(2 * j + 2, below.shape[2])):
                        total += below[k, y, x]
                out[k, i, j] = total
