"""Decode the chunks of an HDF5 dataset outside the library's global lock, each once."""

import itertools
import math
import os
import weakref
from collections.abc import Iterator
from functools import lru_cache
from types import TracebackType
from typing import Any, Self

import numpy as np

from mimtpy_cloud.errors import SourceFormatError
from mimtpy_cloud.io.hdf5file import SourceFile, open_hdf5

__all__ = ["ChunkReader", "chunk_reader"]

#: HDF5 filters that are decoded here, by their registered numbers.
_FILTERS = {1: "gzip", 32000: "lzf"}


class ChunkReader:
    """
    Read whole chunks of a dataset of a local file.

    The chunk table is read once through h5py; then chunks are read by position and decoded without
    any lock, so that threads scale.

    Parameters
    ----------
    path : str
        Local HDF5 file.
    dataset : str
        Path of the dataset in the file.

    Raises
    ------
    SourceFormatError
        If it is no HDF5 file, `supports` is False for the dataset, or the file is truncated.
    """

    def __init__(self, path: str, dataset: str) -> None:
        if not self.supports(path, dataset):
            raise SourceFormatError(f"{dataset} of {path} cannot be read chunk by chunk; open it with open_source()")
        with open_hdf5(path) as file:
            data = file[dataset]
            self.path = path
            self.shape: tuple[int, ...] = data.shape
            self.chunks: tuple[int, ...] = data.chunks
            self.dtype: np.dtype[Any] = data.dtype
            self._fill_value = data.fillvalue
            self._filter = _filters(data)[0]
            self._table: dict[tuple[int, ...], tuple[int, int, int]] = {}

            def note(chunk: Any) -> None:
                self._table[chunk.chunk_offset] = (chunk.byte_offset, chunk.size, chunk.filter_mask)

            data.id.chunk_iter(note)
        self._nbytes = math.prod(self.chunks) * self.dtype.itemsize
        self._file = os.open(path, os.O_RDONLY)
        self._close = weakref.finalize(self, os.close, self._file)
        self._largest = max((size for _, size, _ in self._table.values()), default=0)
        self._largest = max(self._largest, self._nbytes)
        end = max((offset + size for offset, size, _ in self._table.values()), default=0)
        if end > os.fstat(self._file).st_size:
            self.close()
            raise SourceFormatError(f"{path} is truncated: chunks of {dataset} reach beyond its end; copy it again")

    @staticmethod
    def supports(path: str, dataset: str) -> bool:
        """
        Tell whether a dataset can be read chunk by chunk.

        Parameters
        ----------
        path : str
            Local HDF5 file.
        dataset : str
            Path of the dataset in the file.

        Returns
        -------
        bool
            True for a chunked dataset of little-endian numbers, plain, or with LZF or gzip and no
            other filter.

        Raises
        ------
        SourceFormatError
            If it is no HDF5 file.
        """
        with open_hdf5(path) as file:
            if dataset not in file or file.userblock_size:  # a user block shifts all addresses
                return False
            data = file[dataset]
            return (
                data.chunks is not None
                and data.dtype.kind in "biuf"
                and data.dtype == data.dtype.newbyteorder("<")
                and _filters(data) in ([None], ["gzip"], ["lzf"])
            )

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Close the file; without it, it closes when nobody holds the reader any more."""
        self._close()

    def offsets(self, row: int) -> Iterator[tuple[int, int, int]]:
        """
        List the chunks of a 3-D dataset that start at a row, in the order of the file.

        Parameters
        ----------
        row : int
            A multiple of the chunk height.

        Yields
        ------
        tuple of int
            Date, row and column of the chunk's first pixel.
        """
        dates, cols = range(0, self.shape[0], self.chunks[0]), range(0, self.shape[2], self.chunks[2])
        keys = [(t, row, x) for t in dates for x in cols]
        yield from sorted(keys, key=lambda key: self._table.get(key, (0, 0, 0))[0])

    def read(self, key: tuple[int, ...], buffers: tuple[np.ndarray, np.ndarray]) -> np.ndarray:
        """
        Decode one chunk.

        Parameters
        ----------
        key : tuple of int
            Index of its first element.
        buffers : tuple of np.ndarray
            From `buffers`, one pair a thread; overwritten.

        Returns
        -------
        np.ndarray
            The whole chunk, valid until the next call; at the far edges of the
            dataset only its first part means something. A chunk that was never written has the
            dataset's fill value.

        Raises
        ------
        SourceFormatError
            If the chunk is damaged.
        """
        raw, chunk = buffers
        if key not in self._table:
            chunk[...] = self._fill_value
            return chunk
        offset, size, mask = self._table[key]
        target = chunk.reshape(-1).view(np.uint8)
        packed = raw[:size]
        stored = self._filter is None or mask  # HDF5 skips a filter that would not shrink the chunk
        self._fill(target if stored else packed, offset)
        if (size if stored else self._decode(packed, target)) != self._nbytes:
            raise SourceFormatError(f"{self.path}: the chunk at byte {offset} is damaged; copy the file again")
        return chunk

    def window(self, index: tuple[slice, ...]) -> np.ndarray:
        """
        Read a rectangle.

        Parameters
        ----------
        index : tuple of slice
            One a dimension, with step 1.

        Returns
        -------
        np.ndarray
            Values as stored.

        Raises
        ------
        SourceFormatError
            If a chunk is damaged.
        """
        spans = [range(*item.indices(size)) for item, size in zip(index, self.shape, strict=True)]
        out = np.empty(tuple(map(len, spans)), self.dtype)
        firsts = [
            range(s.start // c * c, s.stop, c) if s else range(0) for s, c in zip(spans, self.chunks, strict=True)
        ]
        buffers = self.buffers()
        for key in sorted(itertools.product(*firsts), key=lambda key: self._table.get(key, (0, 0, 0))[0]):
            chunk = self.read(key, buffers)
            edges = [(max(s.start, k), min(s.stop, k + c)) for s, k, c in zip(spans, key, self.chunks, strict=True)]
            target = tuple(slice(a - s.start, b - s.start) for (a, b), s in zip(edges, spans, strict=True))
            out[target] = chunk[tuple(slice(a - k, b - k) for (a, b), k in zip(edges, key, strict=True))]
        return out

    def _decode(self, packed: np.ndarray, target: np.ndarray) -> int:
        """Number of bytes that came out; 0 if nothing did."""
        import imagecodecs

        decode: Any = imagecodecs.lzf_decode if self._filter == "lzf" else imagecodecs.zlib_decode
        try:
            return len(decode(packed, out=target))
        except RuntimeError:  # what imagecodecs raises on bad data
            return 0

    def buffers(self) -> tuple[np.ndarray, np.ndarray]:
        """
        Allocate what `read` needs.

        Returns
        -------
        raw, chunk : np.ndarray
        """
        return np.empty(self._largest, np.uint8), np.empty(self.chunks, self.dtype)

    def _fill(self, target: np.ndarray, offset: int) -> None:
        if os.preadv(self._file, [target.data], offset) != target.nbytes:
            raise SourceFormatError(f"{self.path}: the chunk at byte {offset} is truncated; copy the file again")


def _filters(data: Any) -> list[str | None]:
    """Names of a dataset's filters, in order; one None if there is none, "?" for one that is not known here."""
    plist = data.id.get_create_plist()
    return [_FILTERS.get(plist.get_filter(i)[0], "?") for i in range(plist.get_nfilters())] or [None]


@lru_cache(maxsize=64)
def chunk_reader(file: SourceFile, dataset: str) -> ChunkReader | None:
    """
    Get the reader of a dataset; it is kept, with its file open, for the next block.

    Parameters
    ----------
    file : SourceFile
        The file, as it was when it was looked at.
    dataset : str
        Path of the dataset in the file.

    Returns
    -------
    ChunkReader or None
        None if the file is not on this machine, or h5py has to read the dataset.
    """
    if not (file.is_local and ChunkReader.supports(file.url, dataset)):
        return None
    return ChunkReader(file.url, dataset)
