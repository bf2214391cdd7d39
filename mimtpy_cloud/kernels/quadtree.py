"""Quadtree of an image: squares that are small where it varies, from moments that are summed once."""

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
from numba import njit

from mimtpy_cloud.errors import SchemaError
from mimtpy_cloud.kernels.pyramid import Pyramid, square_variance

__all__ = ["RULES", "Leaves", "Rules", "leaf_means", "quadtree", "smallest_leaf"]

#: How a square is split.
RULES = ("strict", "kite")
_JIT: dict[str, Any] = {"cache": True, "nogil": True, "error_model": "numpy"}
#: Share of the standard deviation of the image below which Kite does not split a square, and up to which length.
_KITE_FLAT, _KITE_LARGE = 0.1, 64


@dataclass(frozen=True)
class Rules:
    """
    When a square is split, and when it is dropped.

    Parameters
    ----------
    epsilon : float, optional
        Standard deviation within a leaf, in the unit of the image, from which on it is split; by default that of the
        whole image.
    min_px : int, optional
        Shortest side of a leaf, pixels; by default a twentieth of the longer side of the image.
    max_px : int, optional
        Longest side of a leaf, pixels; by default a fifth of the longer side of the image.
    max_nan : float
        Share of pixels without data from which on a leaf is dropped, above 0 to 1.
    rule : {"strict", "kite"}
        ``"strict"``: no leaf is longer than `max_px`. ``"kite"``: as Kite does, which does not split a square below 64
        pixels that varies by less than a tenth of the whole image, whatever its length.
    plane : bool
        Whether the standard deviation is about a plane fitted to each square, instead of about its mean.

    Raises
    ------
    SchemaError
        If a number is out of range, or the rule is unknown.

    Examples
    --------
    >>> Rules(max_nan=0)
    Traceback (most recent call last):
    mimtpy_cloud.errors.SchemaError: max_nan must be above 0, up to 1, got 0; 1 keeps all that has a pixel with data
    """

    epsilon: float | None = None
    min_px: int | None = None
    max_px: int | None = None
    max_nan: float = 0.9
    rule: str = "strict"
    plane: bool = False

    def __post_init__(self) -> None:
        """Refuse what is no rule."""
        if self.rule not in RULES:
            raise SchemaError(f"rule must be one of {', '.join(RULES)}, got {self.rule!r}")
        if self.epsilon is not None and not (math.isfinite(self.epsilon) and self.epsilon >= 0):
            raise SchemaError(f"epsilon must be finite and not negative, got {self.epsilon}")
        if not 0 < self.max_nan <= 1:
            raise SchemaError(
                f"max_nan must be above 0, up to 1, got {self.max_nan}; 1 keeps all that has a pixel with data"
            )
        for name, value in (("min_px", self.min_px), ("max_px", self.max_px)):
            if value is not None and not (value >= 1 and value == int(value)):
                raise SchemaError(f"{name} must be a whole number of pixels from 1 on, got {value}")
        if self.min_px is not None and self.max_px is not None and self.min_px > self.max_px:
            raise SchemaError(f"min_px must not be above max_px, got {self.min_px} and {self.max_px}")

    def limits(self, shape: tuple[int, int]) -> tuple[int, int]:
        """
        Fill in the sizes that are not given.

        Parameters
        ----------
        shape : tuple of int
            Of the image.

        Returns
        -------
        min_px, max_px : int
            One that is not given gives way to the other.
        """
        low = self.min_px or max(1, round(max(shape) / 20))
        high = self.max_px or max(1, round(max(shape) / 5))
        return (min(low, high) if self.min_px is None else low), (max(low, high) if self.max_px is None else high)


@dataclass(frozen=True, eq=False)
class Leaves:
    """
    Leaves of a quadtree, each an array of shape ``(leaf,)``.

    Parameters
    ----------
    row, col : np.ndarray
        First row and column, int64.
    size : np.ndarray
        Length in pixels, a power of two, int64; the image may end before the leaf does.
    count : np.ndarray
        Pixels with data, int64.
    mean, median : np.ndarray
        Of the pixels with data, in the unit of the image, float64.
    scatter : np.ndarray
        Standard deviation of the pixels about the mean or the plane, in the unit of the image, float64.
    mean_row, mean_col : np.ndarray
        Of the pixels with data: the focal point; 0 is the middle of the first row and column, float64.
    rms : float
        Root mean square of what the means of the leaves leave of the pixels.
    """

    row: np.ndarray
    col: np.ndarray
    size: np.ndarray
    count: np.ndarray
    mean: np.ndarray
    median: np.ndarray
    scatter: np.ndarray
    mean_row: np.ndarray
    mean_col: np.ndarray
    rms: float


def smallest_leaf(shape: tuple[int, int], rules: Rules) -> int:
    """
    Tell the length of the smallest square that can be a leaf.

    Parameters
    ----------
    shape : tuple of int
        Of the image.
    rules : Rules
        Of the tree.

    Returns
    -------
    int
        Pixels, a power of two, of which all lengths and first rows and columns of leaves are multiples.

    Examples
    --------
    >>> smallest_leaf((3000, 4000), Rules(min_px=5, max_px=512))
    8
    """
    least = 1 << math.ceil(math.log2(rules.limits(shape)[0]))
    if rules.rule == "kite":
        least = max(least, round(2.0 ** (_kite_power(shape) - 1)))
    return min(least, _root(shape))


def _root(shape: tuple[int, int]) -> int:
    """Length of the squares that the tree starts from."""
    return 1 << math.ceil(math.log2(min(shape)))


def _kite_power(shape: tuple[int, int]) -> int:
    """Power of two of the shortest length that Kite splits."""
    return round(math.log(max(shape) / _KITE_LARGE))


def quadtree(values: np.ndarray, rules: Rules) -> Leaves:
    """
    Divide an image into squares that are small where it varies.

    Parameters
    ----------
    values : np.ndarray
        Shape ``(y, x)``, float; what is not finite is no data. The tree starts from its first row and column.
    rules : Rules
        When to split.

    Returns
    -------
    Leaves
        They do not overlap; without those dropped for `max_nan`, they cover all pixels with data. Sorted by row and
        column.

    Raises
    ------
    SchemaError
        If the image is not two-dimensional, or has no pixel with data.

    See Also
    --------
    mimtpy_cloud.ops.quadtree.quadtree : Of labelled maps.

    Notes
    -----
    The tree starts from squares of ``2^ceil(log2(min(shape)))`` pixels. A square is split into four, of which those
    without data are left out, while its standard deviation is not below `epsilon` or its length above `max_px`, and a
    quarter is not shorter than `min_px`. ``rule="kite"`` follows Kite [1]_, which grows the tree first: a square has no
    quarters if it is shorter than ``2^round(ln(max(shape) / 64))``, or is below 64 pixels long and varies by not more
    than a tenth of the standard deviation of the image; then it is a leaf, even one longer than `max_px`. A standard
    deviation does not depend on what is subtracted before: Kite's corrections ``mean`` and ``median`` give one tree.

    Each pixel is summed once, in float64, into tiles of the size of the smallest leaf: count, sums of ``v``, ``v^2``,
    column and row; about a value near the mean, so that little is cancelled. Larger squares are sums of four smaller
    ones. With `plane`, five more products give the least-squares plane; the variance about it is ``C_vv - c^T C^-1 c``,
    of the covariances of value and place. Medians are those of leaves only. Time is linear in pixels; memory 40 (plane:
    80) bytes a tile, and one third more.

    References
    ----------
    .. [1] Isken, M., Sudhaus, H., Heimann, S., Steinberg, A., Daout, S. and Vasyura-Bathke, H. (2017), Kite - Software
       for Rapid Earthquake Source Optimisation from InSAR Surface Displacement, GFZ Data Services,
       doi:10.5880/GFZ.2.1.2017.002.

    Examples
    --------
    >>> image = np.zeros((4, 4))
    >>> image[2:, 2:] = 8.0
    >>> leaves = quadtree(image, Rules(epsilon=1.0, min_px=1, max_px=4))
    >>> list(zip(leaves.row.tolist(), leaves.col.tolist(), leaves.size.tolist(), leaves.mean.tolist(), strict=True))
    [(0, 0, 2, 0.0), (0, 2, 2, 0.0), (2, 0, 2, 0.0), (2, 2, 2, 8.0)]
    """
    if values.ndim != 2 or not values.size:
        raise SchemaError(f"a quadtree needs an image of shape (y, x), got {values.shape}")
    values = np.ascontiguousarray(values, np.float32 if values.dtype == np.float32 else np.float64)
    pyramid = Pyramid.of(values, smallest_leaf(values.shape, rules), _root(values.shape), plane=rules.plane)
    if not pyramid.total[0]:
        raise SchemaError("the image has no pixel with data; a quadtree needs some")
    found = _walked(pyramid, rules)
    order = np.lexsort((found[:, 2], found[:, 1]))
    return _leaves(values, pyramid, found[order], plane=rules.plane)


def _walked(pyramid: Pyramid, rules: Rules) -> np.ndarray:
    """Leaves, shape ``(leaf, 4)``: level, first row and column, and number of the square."""
    min_px, max_px = rules.limits(pyramid.shape)
    std = math.sqrt(square_variance(pyramid.total))
    epsilon = std if rules.epsilon is None else rules.epsilon
    kite = rules.rule == "kite"
    flat = _KITE_FLAT * std if kite else -1.0
    shortest = 2.0 ** _kite_power(pyramid.shape) if kite else 0.0
    numbers = (epsilon, float(min_px), float(max_px), rules.max_nan, flat, shortest)
    tree = pyramid.moments, pyramid.first, pyramid.shapes, pyramid.tile, pyramid.shape
    out = np.empty((_walk(*tree, numbers, np.empty((0, 4), np.int64)), 4), np.int64)
    _walk(*tree, numbers, out)
    return out


def _leaves(values: np.ndarray, pyramid: Pyramid, found: np.ndarray, *, plane: bool) -> Leaves:
    level, row, col, square = found.T
    size, count = pyramid.tile << level, pyramid.moments[0, square].astype(np.int64)
    median = np.empty(size.size)
    _medians(values, row, col, size, count, median)
    mean, mean_row, mean_col = pyramid.means(square)
    scatter = np.sqrt(pyramid.variances(square, plane=plane))
    rest = count * pyramid.variances(square, plane=False)
    rms = math.sqrt(float(rest.sum() / count.sum())) if count.size else 0.0
    return Leaves(row, col, size, count, mean, median, scatter, mean_row, mean_col, rms)


def leaf_means(sums: np.ndarray, leaves: Leaves, tile: int) -> np.ndarray:
    """
    Average quantities over the pixels of each leaf.

    Parameters
    ----------
    sums : np.ndarray
        Of the tiles of the whole image, shape ``(1 + k, tile_y, tile_x)``: pixels that count, and sums of k quantities.
    leaves : Leaves
        From `quadtree`.
    tile : int
        Rows and columns of a tile: what `smallest_leaf` says.

    Returns
    -------
    np.ndarray
        Shape ``(k, leaf)``, float64; NaN where no pixel counts.

    See Also
    --------
    mimtpy_cloud.kernels.cells.sum_cells : Where sums come from.

    Examples
    --------
    >>> leaves = quadtree(np.array([[1.0, 1.0], [np.nan, 1.0]]), Rules(epsilon=1.0, min_px=2, max_px=2))
    >>> leaf_means(np.array([[[3.0]], [[12.0]]]), leaves, 2).tolist()
    [[4.0]]
    """
    out = np.empty((len(sums), leaves.row.size))
    _sum_leaves(sums, leaves.row // tile, leaves.col // tile, leaves.size // tile, out)
    with np.errstate(invalid="ignore", divide="ignore"):
        means: np.ndarray = out[1:] / out[0]
    return means


# ---- compiled ------------------------------------------------------------------------------------


@njit(**_JIT)
def _quarters(first, shapes, level, row, col, moments, out):  # type: ignore[no-untyped-def]
    """Quarters of a square that have data: their number; rows and columns go to `out`."""
    count = 0
    ny, nx = shapes[level - 1]
    for i in range(2 * row, min(2 * row + 2, ny)):
        for j in range(2 * col, min(2 * col + 2, nx)):
            if moments[0, first[level - 1] + i * nx + j] > 0:
                out[count, 0], out[count, 1] = i, j
                count += 1
    return count


@njit(**_JIT)
def _walk(moments, first, shapes, tile, shape, numbers, out):  # type: ignore[no-untyped-def]
    """Go down from the roots: the number of leaves, which are written as far as `out` has room."""
    epsilon, min_px, max_px, max_nan, flat, shortest = numbers
    top = len(first) - 1
    stack = np.empty((shapes[top, 0] * shapes[top, 1] + 4 * len(first), 3), np.int64)
    quarters = np.empty((4, 2), np.int64)
    height = leaves = 0
    for i in range(shapes[top, 0]):
        for j in range(shapes[top, 1]):
            stack[height, 0], stack[height, 1], stack[height, 2] = top, i, j
            height += 1
    while height:
        height -= 1
        level, i, j = stack[height]
        number = first[level] + i * shapes[level, 1] + j
        length = tile << level
        std = np.sqrt(square_variance(moments[:, number]))
        grown = level > 0 and length >= shortest and (std > flat or length >= _KITE_LARGE)
        count = _quarters(first, shapes, level, i, j, moments, quarters) if grown else 0
        if count == 0 or 0.5 * length < min_px or (std < epsilon and length <= max_px):
            pixels = min(shape[0] - i * length, length) * min(shape[1] - j * length, length)
            if 1.0 - moments[0, number] / pixels < max_nan and moments[0, number] > 0:
                if leaves < len(out):
                    out[leaves] = level, i * length, j * length, number
                leaves += 1
        else:
            for k in range(count):
                stack[height, 0], stack[height, 1], stack[height, 2] = level - 1, quarters[k, 0], quarters[k, 1]
                height += 1
    return leaves


@njit(**_JIT)
def _sum_leaves(sums, row, col, size, out):  # type: ignore[no-untyped-def]
    """Sums over the tiles of each leaf."""
    for k in range(out.shape[0]):
        for leaf in range(row.size):
            total = 0.0
            for i in range(row[leaf], min(row[leaf] + size[leaf], sums.shape[1])):
                for j in range(col[leaf], min(col[leaf] + size[leaf], sums.shape[2])):
                    total += sums[k, i, j]
            out[k, leaf] = total


@njit(**_JIT)
def _part(v, low, high, pivot, with_equal):  # type: ignore[no-untyped-def]
    """Bring what is below the pivot (or equal to it) to the front of v[low:high]; no branch has to be guessed."""
    end = low
    for i in range(low, high):
        x = v[i]
        v[i] = v[end]
        v[end] = x
        end += x <= pivot if with_equal else x < pivot
    return end


@njit(**_JIT)
def _select(v, high, k):  # type: ignore[no-untyped-def]
    """Bring the k-th smallest of v[:high] to place k: none before it is larger."""
    low = 0
    while high - low > 1:
        a, b, c = v[low], v[(low + high) // 2], v[high - 1]
        pivot = max(min(a, b), min(max(a, b), c))
        end = _part(v, low, high, pivot, False)
        if k < end:
            high = end
        elif end > low:
            low = end
        else:  # the pivot is the smallest: many may equal it
            low = _part(v, low, high, pivot, True)
            if k < low:
                return


@njit(**_JIT)
def _medians(values, row, col, size, count, out):  # type: ignore[no-untyped-def]
    """Median of each leaf: the mean of the two in the middle of an even number."""
    buffer = np.empty(1 + (np.max(count) if count.size else 0), values.dtype)
    for leaf in range(row.size):
        n = 0
        for y in range(row[leaf], min(row[leaf] + size[leaf], values.shape[0])):
            for x in range(col[leaf], min(col[leaf] + size[leaf], values.shape[1])):
                buffer[n] = values[y, x]
                n += np.isfinite(buffer[n])
        half = n // 2
        _select(buffer, n, half)
        middle = np.float64(buffer[half])
        if n % 2 == 0:
            below = buffer[0]
            for i in range(1, half):
                below = max(below, buffer[i])
            middle = 0.5 * (middle + np.float64(below))
        out[leaf] = middle
