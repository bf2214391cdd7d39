"""Sums over the cells of a coarse grid, a block at a time."""

import numpy as np

__all__ = ["mean_of_cells", "sum_cells"]


def sum_cells(values: np.ndarray, row: int, col: int, step: tuple[int, int], shape: tuple[int, int]) -> np.ndarray:
    """
    Sum a block of several arrays over the cells that it touches.

    Parameters
    ----------
    values : np.ndarray
        Shape ``(k, y, x)``. A pixel counts where all are finite.
    row, col : int
        Place of the block in the whole map.
    step : tuple of int
        Rows and columns of a cell; the first cell starts at row 0, column 0 of the map.
    shape : tuple of int
        Number of cells down and across.

    Returns
    -------
    np.ndarray
        Float64, shape ``(3 + k, *shape)``: number of pixels that count, sums of their rows and columns, and of each
        array. Blocks add up.

    See Also
    --------
    mean_of_cells : What the sums of all blocks become.

    Examples
    --------
    >>> sum_cells(np.array([[[1.0, 3.0, np.nan, 5.0]]]), 0, 0, (1, 2), (1, 2)).tolist()
    [[[2.0, 1.0]], [[0.0, 0.0]], [[1.0, 3.0]], [[4.0, 5.0]]]
    """
    k, ny, nx = values.shape
    out = np.zeros((3 + k, *shape))
    if not (ny and nx):
        return out
    good = np.isfinite(values).all(axis=0)
    rows, cols = np.arange(row, row + ny), np.arange(col, col + nx)
    layers = [good, good * rows[:, np.newaxis], good * cols, *np.where(good, values, 0.0)]
    down, across = (np.unique(at // n, return_index=True) for at, n in zip((rows, cols), step, strict=True))
    for total, layer in zip(out, layers, strict=True):
        part = np.add.reduceat(layer.astype(np.float64), down[1], axis=0)
        total[np.ix_(down[0], across[0])] = np.add.reduceat(part, across[1], axis=1)
    return out


def mean_of_cells(sums: np.ndarray, size: tuple[int, int], step: tuple[int, int], *, least: float) -> np.ndarray:
    """
    Divide the sums of cells by their number of pixels.

    Parameters
    ----------
    sums : np.ndarray
        All blocks of `sum_cells`, added.
    size : tuple of int
        Rows and columns of the map, whose last cells are cut.
    step : tuple of int
        As for `sum_cells`.
    least : float
        Smallest part of a cell whose pixels must count.

    Returns
    -------
    np.ndarray
        As `sums`: number of pixels, means of their rows and columns, and of each array; NaN where too few count.

    Examples
    --------
    >>> sums = sum_cells(np.array([[[1.0, 3.0, np.nan, 5.0]]]), 0, 0, (1, 2), (1, 2))
    >>> mean_of_cells(sums, (1, 4), (1, 2), least=0.6)[3].tolist()
    [[2.0, nan]]
    """
    cut = [
        np.minimum(n, total - n * np.arange(count)) for total, n, count in zip(size, step, sums.shape[1:], strict=True)
    ]
    enough = (sums[0] > 0) & (sums[0] >= least * np.outer(*cut))
    means = np.full(sums.shape, np.nan)
    np.divide(sums, sums[0], out=means, where=np.broadcast_to(enough, sums.shape))
    means[0] = sums[0]
    return means
