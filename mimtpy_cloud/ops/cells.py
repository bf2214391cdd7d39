"""Means over the cells of a coarse grid, such as those of the arrows of a map."""

from collections.abc import Sequence

import dask.array as da
import numpy as np
import xarray as xr

from mimtpy_cloud.errors import SchemaError
from mimtpy_cloud.kernels import cells as kernel
from mimtpy_cloud.schema import require_dims, require_variables

__all__ = ["average_cells"]


def average_cells(ds: xr.Dataset, names: Sequence[str], step: tuple[int, int], *, least: float = 0.1) -> xr.Dataset:
    """
    Average maps over cells of some rows and columns.

    Parameters
    ----------
    ds : xr.Dataset
        With dimensions ``y`` and ``x``, in any chunks.
    names : sequence of str
        Variables of it; a pixel counts where all are finite.
    step : tuple of int
        Rows and columns of a cell. The last cells may be smaller.
    least : float
        Smallest part of a cell whose pixels must count.

    Returns
    -------
    xr.Dataset
        Lazy, on ``cell_y`` and ``cell_x``: mean of each variable, float64, with its attributes; `row` and `col`, mean
        place of the pixels that count; `count`, how many they are. NaN where too few count.

    Raises
    ------
    SchemaError
        If a variable is missing or no map, or `step` is no such.

    See Also
    --------
    mimtpy_cloud.kernels.cells.sum_cells : One block of it.

    Notes
    -----
    One pass that reads each chunk once, and keeps sums of cells alone.
    """
    require_variables("the dataset", ds.data_vars, *names)
    for name in names:
        require_dims(name, ds[name].dims, "y", "x")
    if len(step) != 2 or min(step) < 1:
        raise SchemaError(f"step must be rows and columns of a cell, both at least 1, got {step!r}")
    size = ds.sizes["y"], ds.sizes["x"]
    shape = -(-size[0] // step[0]), -(-size[1] // step[1])
    arrays = da.broadcast_arrays(*(_lazy(ds[name]) for name in names))
    places = (da.arange(n, chunks=chunks) for n, chunks in zip(size, arrays[0].chunks, strict=True))
    rows, cols = places
    sums = da.blockwise(  # type: ignore[no-untyped-call]
        _sum_block,
        "yxkij",
        rows,
        "y",
        cols,
        "x",
        *(part for array in arrays for part in (array, "yx")),
        step=step,
        shape=shape,
        new_axes={"k": 3 + len(names), "i": shape[0], "j": shape[1]},
        adjust_chunks={"y": 1, "x": 1},
        dtype=np.float64,
        meta=np.empty((0,) * 5),
    ).sum(axis=(0, 1))
    means = sums.map_blocks(kernel.mean_of_cells, size, step, least=least, dtype=np.float64, meta=np.empty((0,) * 3))
    dims = ("cell_y", "cell_x")
    made = {name: (dims, means[3 + k], ds[name].attrs) for k, name in enumerate(names)}
    what = {"count": "pixels averaged", "row": "mean row of the pixels", "col": "mean column of the pixels"}
    return xr.Dataset(
        {
            **{
                name: (dims, means[k], {"units": "1", "long_name": text}) for k, (name, text) in enumerate(what.items())
            },
            **made,
        }
    )


def _lazy(array: xr.DataArray) -> da.Array:
    data: da.Array = array.data if array.chunks is not None else da.from_array(array.data, chunks=-1)  # type: ignore[no-untyped-call]
    return data


def _sum_block(
    rows: np.ndarray, cols: np.ndarray, *values: np.ndarray, step: tuple[int, int], shape: tuple[int, int]
) -> np.ndarray:
    return kernel.sum_cells(np.stack(values), int(rows[0]), int(cols[0]), step, shape)[np.newaxis, np.newaxis]
