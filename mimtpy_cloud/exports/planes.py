"""Stream maps to plain arrays on disk, from which formats of one piece are written."""

import uuid
from collections.abc import Mapping
from pathlib import Path

import dask.array as da
import numpy as np
import xarray as xr

from mimtpy_cloud.exports.progress import Progress, TaskProgress
from mimtpy_cloud.schema import require_dims

__all__ = ["stream_planes"]


def stream_planes(
    maps: Mapping[str, xr.DataArray], folder: Path, *, progress: Progress | None = None
) -> dict[str, np.ndarray]:
    """
    Compute maps block by block, all in one graph, into arrays on disk.

    Parameters
    ----------
    maps : mapping of str to xr.DataArray
        Dimensions ``(y, x)``, lazy or not.
    folder : Path
        Where the arrays lie; the caller removes it.
    progress : callable, optional
        ``progress(done, total, unit)``.

    Returns
    -------
    dict of str to np.ndarray
        Memory-mapped, row 0 as in the maps; float32, or float64 where the map is.

    Raises
    ------
    SchemaError
        If a map has other dimensions.

    Notes
    -----
    Memory: the blocks in flight. Each block is computed once.
    """
    planes: dict[str, np.ndarray] = {}
    sources, sinks = [], []
    for name, array in maps.items():
        require_dims(name, array.dims, "y", "x")
        kind = np.float64 if array.dtype == np.float64 else np.float32
        file = folder / f"{name}.plane.npy"
        planes[name] = np.lib.format.open_memmap(file, "w+", kind, array.shape)
        sources.append((array if array.chunks is not None else array.chunk()).data)
        sinks.append(_Sink(planes[name]))
    with TaskProgress(progress):
        da.store(sources, sinks, lock=True, scheduler="threads")  # type: ignore[arg-type]
    return planes


class _Sink:
    """What dask assigns blocks to; it would hash the whole array otherwise."""

    def __init__(self, target: np.ndarray) -> None:
        self._target = target

    def __setitem__(self, index: tuple[slice, slice], block: np.ndarray) -> None:
        self._target[index] = block

    def __dask_tokenize__(self) -> str:
        return uuid.uuid4().hex
