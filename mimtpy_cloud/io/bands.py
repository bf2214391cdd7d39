"""All bands of a track as one array that reads only what is asked for."""

import itertools
import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from mimtpy_cloud.io.store import ArraySpec, BandArray
from mimtpy_cloud.plan.grid import Window

__all__ = ["TrackArray"]

_LARGEST_BLOCK = 32 << 20


@dataclass(frozen=True)
class TrackArray:
    """
    Band arrays of one variable, seen as one array over a window of the lattice.

    Slicing reads; nothing else does. It pickles to a few hundred bytes, so that dask tasks carry it.

    Parameters
    ----------
    spec : ArraySpec
        Chunks of the bands.
    window : Window
        Pixels of the whole array.
    bands : tuple of BandArray
        Parts that hold data; pixels outside them are no data.
    """

    spec: ArraySpec
    window: Window
    bands: tuple[BandArray, ...]

    @property
    def shape(self) -> tuple[int, ...]:
        """Shape of the whole array."""
        return (self.spec.dates, *self.window.shape) if self.spec.dates else self.window.shape

    @property
    def ndim(self) -> int:
        """Number of dimensions."""
        return len(self.shape)

    @property
    def dtype(self) -> np.dtype[Any]:
        """Type of the values."""
        return self.spec.dtype

    @property
    def chunks(self) -> tuple[tuple[int, ...], ...]:
        """Dask chunks, with borders at multiples of the block on the global lattice."""
        height, width = _block(self.spec)
        rows, cols = _pieces(self.window.rows, height), _pieces(self.window.cols, width)
        return ((self.spec.dates,), rows, cols) if self.spec.dates else (rows, cols)

    def __getitem__(self, key: Sequence[slice | int]) -> np.ndarray:
        """Read a block; `key` has one slice or integer a dimension."""
        spans, back = zip(*(_forward(k, size) for k, size in zip(key, self.shape, strict=True)), strict=True)
        (*date_spans, rows, cols) = spans
        part = Window(
            self.window.n,
            self.window.row + rows.start,
            self.window.col + cols.start,
            rows.stop - rows.start,
            cols.stop - cols.start,
        )
        out = np.empty(tuple(s.stop - s.start for s in spans), self.dtype)
        if out.size:
            self._fill(out, part, date_spans[0] if date_spans else slice(0))
        return out[back]

    def _fill(self, out: np.ndarray, part: Window, dates: slice) -> None:
        overlaps = [(band, part & band.window) for band in self.bands]
        overlaps = [(band, common) for band, common in overlaps if not common.empty]
        if sum(common.ny * common.nx for _, common in overlaps) < part.ny * part.nx:
            out[...] = self.spec.fill
        for band, common in overlaps:
            band.read_into(out[(..., *common.slices_in(part))], common, dates)


def _forward(key: slice | int, size: int) -> tuple[slice, slice | int]:
    """Contiguous span that holds what a key asks for, and the key inside that span."""
    if not isinstance(key, slice):
        index = range(size)[key]
        return slice(index, index + 1), 0
    picked = range(size)[key]
    if not picked:
        return slice(0, 0), slice(None)
    start, stop = min(picked[0], picked[-1]), max(picked[0], picked[-1]) + 1
    return slice(start, stop), slice(None, None, picked.step)


def _block(spec: ArraySpec) -> tuple[int, int]:
    """A shard; that of a long series is cut into rows of inner chunks, so that the blocks of a few
    threads fit into little memory, and one stays near its processor."""
    small = math.prod(spec.tile) * spec.dtype.itemsize <= _LARGEST_BLOCK
    return (spec.tile if small else spec.chunk)[-2], spec.tile[-1]


def _pieces(span: slice, side: int) -> tuple[int, ...]:
    start, stop = span.start, span.stop
    edges = [start, *range((start // side + 1) * side, stop, side), stop]
    return tuple(b - a for a, b in itertools.pairwise(edges))
