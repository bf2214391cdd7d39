"""Quadtree of an image: squares that are small where it varies, from moments that are summed once."""

import math
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
from numba import njit

from mimtpy_cloud.errors import SchemaError

__all__ = ["RULES", "Leaves", "Rules", "leaf_means", "quadtree", "smallest_leaf"]

#: How a square is split.
RULES = ("strict", "kite")
_JIT: dict[str, Any] = {"cache": True, "nogil": True, "error_model": "numpy"}
#: Of sums: NaN stays NaN.
_FAST: dict[str, Any] = {**_JIT, "fastmath": {"contract", "reassoc", "nsz", "arcp"}}
#: Share of the standard deviation of the image below which Kite does not split a square, and up to which length.
_KITE_FLAT, _KITE_LARGE = 0.1, 64
#: Moments of a square: count, sums of values, squares, columns and rows; and of the products that a plane needs.
_MEAN, _PLANE = 5, 10
#: Ratio of determinants below which pixels lie on a line.
_LINE = 1e-9


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


class Leaves(NamedTuple):
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
    than a tenth of the standard deviation of the image; then it is a leaf, even one longer than `max_px`. Standard
    deviations about the mean and about the median of a square are compared with the same number, since
    a standard deviation does not depend on what is subtracted: Kite's corrections ``mean`` and ``median`` give one tree.

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
    tile = smallest_leaf(values.shape, rules)
    pyramid = _Pyramid.of(values, tile, _root(values.shape), plane=rules.plane)
    total = pyramid.moments[:, pyramid.first[-1] :].sum(axis=1)
    if not total[0]:
        raise SchemaError("the image has no pixel with data; a quadtree needs some")
    min_px, max_px = rules.limits(values.shape)
    std = math.sqrt(_variance(total[:_MEAN]))
    epsilon = std if rules.epsilon is None else rules.epsilon
    kite = rules.rule == "kite"
    flat = _KITE_FLAT * std if kite else -1.0
    shortest = 2.0 ** _kite_power(values.shape) if kite else 0.0
    numbers = (epsilon, float(min_px), float(max_px), rules.max_nan, flat, shortest)
    found = pyramid.walk(values.shape, numbers)
    return _leaves(values, pyramid, found[np.lexsort((found[:, 2], found[:, 1]))])


@dataclass(frozen=True)
class _Pyramid:
    """Moments of the squares of all levels, one column each; level by level, finest first."""

    moments: np.ndarray
    first: np.ndarray
    shapes: np.ndarray
    tile: int
    shift: float

    @classmethod
    def of(cls, values: np.ndarray, tile: int, root: int, *, plane: bool) -> "_Pyramid":
        shapes = [(-(-values.shape[0] // length), -(-values.shape[1] // length)) for length in _lengths(tile, root)]
        first = np.cumsum([0, *(ny * nx for ny, nx in shapes)])
        moments = np.empty((_PLANE if plane else _MEAN, first[-1]))
        shift = _typical(values)
        ny, nx = shapes[0]
        _sum_tiles(values, tile, shift, moments[:, : first[1]].reshape(-1, ny, nx))
        for level in range(1, len(shapes)):
            below = moments[:, first[level - 1] : first[level]].reshape(-1, *shapes[level - 1])
            _sum_four(below, moments[:, first[level] : first[level + 1]].reshape(-1, *shapes[level]))
        return cls(moments, first[:-1], np.array(shapes), tile, shift)

    def walk(self, shape: tuple[int, int], numbers: tuple[float, ...]) -> np.ndarray:
        """Leaves, shape ``(leaf, 4)``: level, first row and column, and number among the moments."""
        count = _walk(self.moments, self.first, self.shapes, self.tile, shape, numbers, np.empty((0, 4), np.int64))
        out = np.empty((count, 4), np.int64)
        _walk(self.moments, self.first, self.shapes, self.tile, shape, numbers, out)
        return out


def _lengths(tile: int, root: int) -> list[int]:
    return [tile << k for k in range((root // tile).bit_length())]


def _typical(values: np.ndarray) -> float:
    """A value near the mean, of some rows and columns."""
    some = values[:: max(1, values.shape[0] // 64), :: max(1, values.shape[1] // 64)]
    known = some[np.isfinite(some)]
    return float(known.mean(dtype=np.float64)) if known.size else 0.0


def _leaves(values: np.ndarray, pyramid: _Pyramid, found: np.ndarray) -> Leaves:
    level, row, col, number = found.T
    moments = pyramid.moments[:, number]
    n, (middle_y, middle_x) = moments[0], _middle(values.shape)
    size, count, median = pyramid.tile << level, n.astype(np.int64), np.empty(n.size)
    _medians(values, row, col, size, count, median)
    rms = math.sqrt(float((n * _variances(moments[:_MEAN])).sum() / n.sum())) if n.size else 0.0
    mean, mean_col, mean_row = moments[1] / n + pyramid.shift, moments[3] / n + middle_x, moments[4] / n + middle_y
    return Leaves(row, col, size, count, mean, median, np.sqrt(_variances(moments)), mean_row, mean_col, rms)


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


@njit(**_JIT)
def _middle(shape):  # type: ignore[no-untyped-def]
    """Row and column in the middle of an image."""
    return 0.5 * (shape[0] - 1), 0.5 * (shape[1] - 1)


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


@njit(**_JIT)
def _variance(m):  # type: ignore[no-untyped-def]
    """Variance of a square about its mean, or about its plane if there are products for one; NaN without data."""
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
        elif max(xx, yy) > 0:  # pixels on a line
            variance -= (xv * xv + yv * yv) / (xx + yy)
    return max(variance, 0.0)


@njit(**_JIT)
def _variances(moments):  # type: ignore[no-untyped-def]
    """Variance of many squares."""
    out = np.empty(moments.shape[1])
    for k in range(out.size):
        out[k] = _variance(moments[:, k])
    return out


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
        std = np.sqrt(_variance(moments[:, number]))
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
    """Bring what is below the pivot (or equal to it) to the front of v[low:high]; without branches, as few are guessed."""
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
