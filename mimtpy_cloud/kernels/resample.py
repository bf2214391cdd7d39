"""Move pixels from a source grid to the lattice."""

import numpy as np
from numba import njit

__all__ = ["gather_average", "gather_bilinear", "gather_nearest", "has_data", "scatter_chunk"]

#: Values that are looked at together where one with data is sought.
_SCANNED = 4096
_compiled = njit(cache=True, nogil=True, error_model="numpy")


@_compiled
def scatter_chunk(
    chunk: np.ndarray,
    dates: tuple[int, int],
    tiles: np.ndarray,
    first_date: int,
    rows: np.ndarray,
    first_row: int,
    source_row: int,
    cols: np.ndarray,
    first_col: int,
    source_col: int,
) -> None:
    """
    Copy a decoded source chunk into inner tiles, by nearest rows and columns.

    Parameters
    ----------
    chunk : np.ndarray
        Source pixels, shape ``(date, y, x)``, float32, C-contiguous.
    dates : tuple of int
        First and last (exclusive) date of the chunk to copy.
    tiles : np.ndarray
        Ring of tiles, shape ``(tile row, tile column, date, side, side)``, float32; changed.
        Target row ``i`` lies in tile row ``i // side % len(tiles)``.
    first_date : int
        Index in `tiles` of the first date copied.
    rows : np.ndarray
        Source row of each target row that the chunk feeds, int64, increasing by an even step.
    first_row : int
        Target row of ``rows[0]``.
    source_row : int
        Source row of the chunk's first pixel.
    cols : np.ndarray
        Source column of each target column that the chunk feeds, int64, increasing by an even step.
    first_col : int
        Target column of ``cols[0]``.
    source_col : int
        Source column of the chunk's first pixel.
    """
    ring, side = tiles.shape[0], tiles.shape[3]
    for t in range(dates[0], dates[1]):
        for i in range(rows.size):
            target = first_row + i
            line = chunk[t, rows[i] - source_row]
            strip = tiles[target // side % ring]
            row = target % side
            j = 0
            while j < cols.size:
                col = (first_col + j) % side
                stop = min(side - col, cols.size - j)
                out = strip[(first_col + j) // side, first_date + t - dates[0], row, col : col + stop]
                start = cols[j] - source_col
                if cols[j + stop - 1] - cols[j] == stop - 1:
                    values = line[start : start + stop]
                    for k in range(values.size):  # a slice assignment would cost more than the copy
                        out[k] = values[k]
                else:
                    for k in range(stop):
                        out[k] = line[cols[j + k] - source_col]
                j += stop


@_compiled
def gather_nearest(source: np.ndarray, rows: np.ndarray, cols: np.ndarray, out: np.ndarray) -> None:
    """
    Take the source pixel whose centre is nearest.

    Parameters
    ----------
    source : np.ndarray
        Shape ``(layer, y, x)``, any type.
    rows, cols : np.ndarray
        Source position of each target pixel centre in pixels (0 is the first centre), float64,
        shape ``(y, x)``; NaN or outside leaves `out` as it is.
    out : np.ndarray
        Shape ``(layer, y, x)``; changed.
    """
    layers, height, width = source.shape
    for i in range(rows.shape[0]):
        for j in range(rows.shape[1]):
            # a tie goes to the later pixel; the guard keeps it from flipping with rounding errors
            r, c = np.floor(rows[i, j] + 0.5 + 1e-6), np.floor(cols[i, j] + 0.5 + 1e-6)
            if r >= 0 and r < height and c >= 0 and c < width:
                y, x = int(r), int(c)
                for t in range(layers):
                    out[t, i, j] = source[t, y, x]


@_compiled
def gather_bilinear(source: np.ndarray, rows: np.ndarray, cols: np.ndarray, out: np.ndarray) -> None:
    """
    Interpolate between the four nearest centres; missing ones are left out if half the weight remains.

    Parameters
    ----------
    source : np.ndarray
        Shape ``(layer, y, x)``, floating; NaN is no data.
    rows, cols : np.ndarray
        Source position of each target pixel centre in pixels, float64, shape ``(y, x)``; NaN or
        outside the source's outer edge leaves `out` as it is.
    out : np.ndarray
        Shape ``(layer, y, x)``; changed where there is data.
    """
    layers, height, width = source.shape
    for i in range(rows.shape[0]):
        for j in range(rows.shape[1]):
            r, c = rows[i, j], cols[i, j]
            if not (r > -0.5 and r < height - 0.5 and c > -0.5 and c < width - 0.5):
                continue
            y, x = int(np.floor(r)), int(np.floor(c))
            v, u = r - y, c - x
            for t in range(layers):
                total, weight = 0.0, 0.0
                for a in range(2):
                    for b in range(2):
                        if y + a < 0 or y + a >= height or x + b < 0 or x + b >= width:
                            continue
                        value = source[t, y + a, x + b]
                        w = (v if a else 1 - v) * (u if b else 1 - u)
                        if value == value and w > 0:
                            total += w * value
                            weight += w
                if weight >= 0.5 - 1e-9:
                    out[t, i, j] = total / weight


@_compiled
def gather_average(
    source: np.ndarray, rows: np.ndarray, cols: np.ndarray, height_ratio: float, width_ratio: float, out: np.ndarray
) -> None:
    """
    Average the source pixels whose centres lie in the target pixel.

    Parameters
    ----------
    source : np.ndarray
        Shape ``(layer, y, x)``, floating; NaN is left out.
    rows, cols : np.ndarray
        Source position of each target pixel centre in pixels, float64, shape ``(y, x)``.
    height_ratio, width_ratio : float
        Size of a target pixel in source pixels, at least 1.
    out : np.ndarray
        Shape ``(layer, y, x)``; changed where there is data.
    """
    layers, height, width = source.shape
    for i in range(rows.shape[0]):
        for j in range(rows.shape[1]):
            r, c = rows[i, j], cols[i, j]
            if not (r == r and c == c):
                continue
            y0 = max(0, int(np.ceil(r - height_ratio / 2 - 1e-6)))
            y1 = min(height, int(np.ceil(r + height_ratio / 2 - 1e-6)))
            x0 = max(0, int(np.ceil(c - width_ratio / 2 - 1e-6)))
            x1 = min(width, int(np.ceil(c + width_ratio / 2 - 1e-6)))
            for t in range(layers):
                total, count = 0.0, 0
                for y in range(y0, y1):
                    for x in range(x0, x1):
                        value = source[t, y, x]
                        if value == value:
                            total += value
                            count += 1
                if count > 0:
                    out[t, i, j] = total / count


@_compiled
def has_data(block: np.ndarray) -> bool:
    """
    Tell whether a block has a value that is not NaN.

    Parameters
    ----------
    block : np.ndarray
        C-contiguous, floating.

    Returns
    -------
    bool
    """
    values = block.ravel()
    for start in range(0, values.size, _SCANNED):
        part = values[start : start + _SCANNED]
        found = np.int32(0)  # as narrow as the values, and no branch in the loop, so that it becomes SIMD
        for i in range(part.size):
            found += np.int32(part[i] == part[i])
        if found:
            return True
    return False
