"""HDF5 datasets as lazy dask arrays, from a path or any fsspec URL.

A `Layer` is a picklable array-like that opens the file itself for every block, so graphs run in
threads, processes and remote workers alike, and a slice reads only its own chunks. Values come out
raw: MintPy's ``_FillValue = 0`` is ignored.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import dask.array as da
import h5py
import numpy as np
from dask.base import tokenize

from mimtpy_cloud.errors import SourceFormatError
from mimtpy_cloud.io.hdf5chunks import chunk_reader
from mimtpy_cloud.io.hdf5file import SourceFile, open_hdf5

__all__ = ["BLOCK_BYTES", "Layer", "block_shape"]

#: Upper bound of one block; only a larger HDF5 chunk exceeds it.
BLOCK_BYTES = 64 << 20


def block_shape(
    shape: Sequence[int], chunks: Sequence[int] | None, itemsize: int, limit: int = BLOCK_BYTES
) -> tuple[int, ...]:
    """
    Choose blocks that decode every HDF5 chunk once and stay below a size.

    Parameters
    ----------
    shape : sequence of int
        ``(..., y, x)``.
    chunks : sequence of int, optional
        HDF5 chunks of the same rank; None for contiguous storage.
    itemsize : int
        Bytes of a value in memory.
    limit : int
        Upper bound of a block in bytes.

    Returns
    -------
    tuple of int
        All leading entries and whole rows where that fits, otherwise first the height, then the
        width, then the leading dimensions shrink, each to multiples of the chunk. A single chunk
        may exceed the limit.

    Examples
    --------
    >>> block_shape((98, 450, 600), (7, 29, 75), 4)
    (98, 232, 600)
    >>> block_shape((200, 5000, 8000), (4, 79, 250), 4)
    (200, 79, 1000)
    """
    unit = tuple(min(c, s) for c, s in zip(chunks, shape, strict=True)) if chunks else (1,) * len(shape)
    block = list(shape)
    rank = len(shape)
    for axis in (*range(max(0, rank - 2), rank), *range(rank - 3, -1, -1)):
        if math.prod(block) * itemsize <= limit:
            break
        rest = math.prod(block) // block[axis] * itemsize
        units = -(-shape[axis] // unit[axis])
        most = max(1, limit // (rest * unit[axis]))
        block[axis] = min(shape[axis], -(-units // -(-units // most)) * unit[axis])
    return tuple(block)


@dataclass(frozen=True)
class Layer:
    """
    One array of a file, or a stack of arrays of equal shape, read on indexing.

    Parameters
    ----------
    file : SourceFile
        Where it is.
    paths : tuple of str
        HDF5 paths; more than one, or `stacked`, adds a leading dimension.
    shape : tuple of int
        Shape with the leading dimension.
    dtype : str
        Type of the values that come out: ``"float32"`` or ``"bool"``. True is any value but 0 and NaN.
    chunks : tuple of int or None
        HDF5 chunks, with 1 for the leading dimension of a stack; None for contiguous storage.
    stacked : bool
        Whether there is a leading dimension of paths.
    """

    file: SourceFile
    paths: tuple[str, ...]
    shape: tuple[int, ...]
    dtype: str
    chunks: tuple[int, ...] | None
    stacked: bool = False

    @classmethod
    def of(cls, file: SourceFile, *datasets: h5py.Dataset, dtype: str = "float32", stacked: bool = False) -> "Layer":
        """
        Describe datasets of an open file.

        Parameters
        ----------
        file : SourceFile
            The file that is open.
        *datasets : h5py.Dataset
            One, or the members of a stack.
        dtype : str
            Type of the values that come out.
        stacked : bool
            Whether to add a leading dimension.

        Returns
        -------
        Layer
        """
        first = datasets[0]
        shape, chunks = tuple(first.shape), first.chunks
        if stacked:
            shape, chunks = (len(datasets), *shape), None if chunks is None else (1, *chunks)
        return cls(file, tuple(d.name for d in datasets), shape, dtype, chunks, stacked)

    @property
    def ndim(self) -> int:
        """Number of dimensions."""
        return len(self.shape)

    def __getitem__(self, index: Any) -> np.ndarray:
        index = index if isinstance(index, tuple) else (index,)
        index = (*index, *(slice(None),) * (self.ndim - len(index)))
        if not self.stacked and all(isinstance(item, slice) and item.step in (None, 1) for item in index):
            reader = chunk_reader(self.file, self.paths[0])
            if reader is not None:
                return _convert(reader.window(tuple(index)), self.dtype)
        with open_hdf5(self.file) as file:
            try:
                if not self.stacked:
                    return _convert(_read(file[self.paths[0]], index), self.dtype)
                which = np.asarray(self.paths, dtype=object)[index[0]]
                if isinstance(which, str):
                    return _convert(_read(file[which], index[1:]), self.dtype)
                return np.stack([_convert(_read(file[path], index[1:]), self.dtype) for path in which])
            except (OSError, KeyError) as error:
                raise SourceFormatError(
                    f"{self.file.url}: {self.paths[0]} cannot be read ({error}); the file is damaged or has changed"
                ) from error

    def lazy(self, block: Sequence[int]) -> da.Array:
        """
        Wrap as a dask array.

        Parameters
        ----------
        block : sequence of int
            Shape of a block.

        Returns
        -------
        da.Array
            Named after the file's URL, size and version and the blocks.
        """
        name = f"read-{self.paths[0].rpartition('/')[2]}-{tokenize(self, tuple(block))}"
        meta = np.empty((0,) * self.ndim, self.dtype)
        array: da.Array = da.from_array(  # type: ignore[no-untyped-call]
            self, chunks=tuple(block), name=name, asarray=False, fancy=False, meta=meta, inline_array=True
        )
        return array


def _read(dataset: h5py.Dataset, index: tuple[Any, ...]) -> np.ndarray:
    """Read with slices of any step, which h5py alone cannot."""
    forward, back = [], []
    for item, size in zip(index, dataset.shape, strict=True):
        if isinstance(item, slice):
            steps = range(*item.indices(size))
            back.append(slice(None, None, -1 if steps.step < 0 else 1))
            steps = steps[::-1] if steps.step < 0 else steps
            forward.append(slice(steps.start, max(steps.start, steps.stop), steps.step))
        else:
            forward.append(item)
            if not isinstance(item, int | np.integer):
                back.append(slice(None))
    return np.asarray(dataset[tuple(forward)])[tuple(back)]


def _convert(values: np.ndarray, dtype: str) -> np.ndarray:
    if dtype == "bool":
        return np.asarray((values != 0) & (values == values))  # the second: NaN is False
    return np.ascontiguousarray(values, dtype=dtype)
