"""Decode the chunks of an HDF5 dataset outside the library's global lock, each once."""

import os
from collections.abc import Iterator
from types import TracebackType
from typing import Any, Self

import numpy as np

from mimtpy_cloud.errors import SourceFormatError

__all__ = ["ChunkReader"]

_SUPPORTED = {None, "lzf", "gzip"}


class ChunkReader:
    """
    Read whole chunks of a 3-D float32 dataset of a local file.

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
        If the chunk table points outside the file (truncated).
    """

    def __init__(self, path: str, dataset: str) -> None:
        import h5py

        with h5py.File(path, "r") as file:
            data = file[dataset]
            self.shape: tuple[int, int, int] = data.shape
            self.chunks: tuple[int, int, int] = data.chunks
            self._compression = data.compression
            self._table: dict[tuple[int, ...], tuple[int, int, int]] = {}

            def note(chunk: Any) -> None:
                self._table[chunk.chunk_offset] = (chunk.byte_offset, chunk.size, chunk.filter_mask)

            data.id.chunk_iter(note)
        self._nbytes = int(np.prod(self.chunks)) * 4
        self._file = os.open(path, os.O_RDONLY)
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
            True for a chunked little-endian float32 dataset, plain, LZF or gzip, without shuffle.
        """
        import h5py

        with h5py.File(path, "r") as file:
            data = file[dataset]
            return (
                data.ndim == 3
                and data.chunks is not None
                and data.dtype == np.dtype("<f4")
                and data.compression in _SUPPORTED
                and not data.shuffle
                and not data.fletcher32
                and data.scaleoffset is None
            )

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Close the file."""
        os.close(self._file)

    def offsets(self, row: int) -> Iterator[tuple[int, int, int]]:
        """
        List the chunks that start at a row, in the order of the file.

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

    def read(self, key: tuple[int, int, int], buffers: "tuple[np.ndarray, np.ndarray]") -> np.ndarray:
        """
        Decode one chunk.

        Parameters
        ----------
        key : tuple of int
            Date, row and column of its first pixel.
        buffers : tuple of np.ndarray
            From `buffers`, one pair a thread; overwritten.

        Returns
        -------
        np.ndarray
            The whole chunk, shape ``(date, y, x)``, valid until the next call; at the far edges of the
            dataset only its first part means something.
        """
        import imagecodecs

        raw, chunk = buffers
        if key not in self._table:
            chunk[...] = 0.0  # HDF5's fill value for chunks that were never written
        else:
            offset, size, mask = self._table[key]
            target = chunk.reshape(-1).view(np.uint8)
            if self._compression is None or mask:
                self._fill(target, offset)
            else:
                packed = raw[:size]
                self._fill(packed, offset)
                decode: Any = imagecodecs.lzf_decode if self._compression == "lzf" else imagecodecs.zlib_decode
                decode(packed, out=target)
        return chunk

    def buffers(self) -> tuple[np.ndarray, np.ndarray]:
        """
        Allocate what `read` needs.

        Returns
        -------
        raw, chunk : np.ndarray
        """
        largest = max((size for _, size, _ in self._table.values()), default=0)
        return np.empty(max(largest, self._nbytes), np.uint8), np.empty(self.chunks, np.float32)

    def _fill(self, target: np.ndarray, offset: int) -> None:
        if os.preadv(self._file, [target.data], offset) != target.nbytes:
            raise SourceFormatError(f"a chunk at byte {offset} is truncated; copy the source file again")
