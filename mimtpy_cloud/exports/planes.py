"""Stream maps to plain arrays on disk, from which formats of one piece are written."""

from collections.abc import Mapping
from pathlib import Path

import numpy as np
import xarray as xr

from mimtpy_cloud.exports.blocks import stream_blocks
from mimtpy_cloud.exports.progress import Progress
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
    sources = []
    for name, array in maps.items():
        require_dims(name, array.dims, "y", "x")
        kind = np.float64 if array.dtype == np.float64 else np.float32
        file = folder / f"{name}.plane.npy"
        planes[name] = np.lib.format.open_memmap(file, "w+", kind, array.shape)
        sources.append((array if array.chunks is not None else array.chunk()).data)
    stream_blocks(sources, list(planes.values()), progress)
    return planes
