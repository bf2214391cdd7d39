"""All bands of a track as one array that reads only what is asked for."""

import itertools
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from mimtpy_cloud.io.store import ArraySpec, BandArray
from mimtpy_cloud.plan.grid import Window

__all__ = ["TrackArray"]


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
        """Dask chunks: one block a tile, borders at multiples of the tile on the global lattice."""
        side = self.spec.tile[-1]
        rows, cols = (_pieces(s.start, s.stop, side) for s in (self.window.rows, self.window.cols))
        return ((self.spec.dates,), rows, cols) if self.spec.dates else (rows, cols)

    def __getitem__(self, key: Sequence[slice]) -> np.ndarray:
        """Read a block; `key` has one slice a dimension."""
        (*date_keys, rows, cols) = (slice(*k.indices(size)) for k, size in zip(key, self.shape, strict=True))
        step = (*(d.step for d in date_keys), rows.step, cols.step)
        dates = slice(date_keys[0].start, max(date_keys[0].start, date_keys[0].stop)) if date_keys else slice(0)
        part = Window(
            self.window.n,
            self.window.row + rows.start,
            self.window.col + cols.start,
            max(0, rows.stop - rows.start),
            max(0, cols.stop - cols.start),
        )
        out = np.empty((*((dates.stop - dates.start,) if date_keys else ()), *part.shape), self.dtype)
        if out.size:
            self._fill(out, part, dates)
        return out[tuple(slice(None, None, s) for s in step)] if max(step) > 1 else out

    def _fill(self, out: np.ndarray, part: Window, dates: slice) -> None:
        overlaps = [(band, part & band.window) for band in self.bands]
        overlaps = [(band, common) for band, common in overlaps if not common.empty]
        if sum(common.ny * common.nx for _, common in overlaps) < part.ny * part.nx:
            out[...] = self.spec.fill
        for band, common in overlaps:
            band.read_into(out[(..., *common.slices_in(part))], common, dates)


def _pieces(start: int, stop: int, side: int) -> tuple[int, ...]:
    edges = [start, *range((start // side + 1) * side, stop, side), stop]
    return tuple(b - a for a, b in itertools.pairwise(edges))
