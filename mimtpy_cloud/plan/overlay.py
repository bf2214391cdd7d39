"""Which blocks of which arrays lie on each block of a window, when arrays of other windows are laid over it."""

from bisect import bisect_left, bisect_right
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import accumulate, pairwise

from mimtpy_cloud.plan.grid import Window

__all__ = ["Layout", "Place"]

#: Chunk lengths of rows and of columns.
Chunks = tuple[tuple[int, ...], tuple[int, ...]]


@dataclass(frozen=True, slots=True)
class Place:
    """
    Where one sheet lies on an output block.

    Parameters
    ----------
    sheet : int
        Number of the sheet.
    row, col : int
        Its first pixel inside the output block.
    blocks : tuple of (int, int)
        For each array of the sheet, row and column of the block that it takes part with.
    inner : tuple of (slice, slice)
        For each array, the rows and columns of that block.
    """

    sheet: int
    row: int
    col: int
    blocks: tuple[tuple[int, int], ...]
    inner: tuple[tuple[slice, slice], ...]


@dataclass(frozen=True, slots=True)
class _Span:
    """Along one axis: a block, the pixels inside it, and the first pixel inside the output block."""

    block: int
    inner: slice
    first: int


@dataclass(frozen=True)
class Layout:
    """
    Blocks of a window, cut at every inner chunk border of every sheet.

    A block then meets at most one block of each array. Places are made when asked for, so that a layout of many
    thousand blocks costs next to nothing.

    Parameters
    ----------
    window : Window
        Output window.
    sheets : tuple of (Window, tuple of chunks)
        Window of each sheet, and the chunks of its arrays.
    side : int, optional
        Largest side of a block: also cut so many pixels from the first of the window, and again.

    Examples
    --------
    >>> sheet = Window(10, 0, 4, 2, 6), (((2,), (3, 3)),)
    >>> layout = Layout(Window(10, 0, 0, 2, 10), (sheet,))
    >>> layout.chunks
    ((2,), (7, 3))
    >>> layout.places(0, 1)[0].blocks, layout.places(0, 0)[0].col
    (((0, 1),), 4)
    """

    window: Window
    sheets: tuple[tuple[Window, tuple[Chunks, ...]], ...]
    side: int | None = None

    @cached_property
    def cuts(self) -> tuple[list[int], list[int]]:
        """Global rows and columns at which output blocks begin and end."""
        return self._cuts(0), self._cuts(1)

    @property
    def chunks(self) -> Chunks:
        """Chunk lengths of the output."""
        rows, cols = (tuple(b - a for a, b in pairwise(cuts)) for cuts in self.cuts)
        return rows, cols

    def shape(self, iy: int, ix: int) -> tuple[int, int]:
        """
        Give the shape of an output block.

        Parameters
        ----------
        iy, ix : int
            Row and column of the block.

        Returns
        -------
        tuple of int
        """
        rows, cols = self.cuts
        return rows[iy + 1] - rows[iy], cols[ix + 1] - cols[ix]

    def places(self, iy: int, ix: int) -> tuple[Place, ...]:
        """
        List the sheets that lie on an output block.

        Parameters
        ----------
        iy, ix : int
            Row and column of the block.

        Returns
        -------
        tuple of Place
            In the order of the sheets.
        """
        down, across = self._hits[0].get(iy, {}), self._hits[1].get(ix, {})
        found = []
        for sheet, rows in down.items():
            if sheet in across:
                both = list(zip(rows, across[sheet], strict=True))
                inner = tuple((r.inner, c.inner) for r, c in both)
                blocks = tuple((r.block, c.block) for r, c in both)
                found.append(Place(sheet, rows[0].first, across[sheet][0].first, blocks, inner))
        return tuple(found)

    def _cuts(self, axis: int) -> list[int]:
        start, size = (self.window.row, self.window.col)[axis], self.window.shape[axis]
        inner: set[int] = set()
        for first, chunks in {((w.row, w.col)[axis], c[axis]) for w, arrays in self.sheets for c in arrays}:
            inner.update(_edges(first, chunks)[1:-1])
        if self.side is not None:
            inner.update(range(start + self.side, start + size, self.side))
        return [start, *sorted(c for c in inner if start < c < start + size), start + size]

    @cached_property
    def _hits(self) -> tuple[dict[int, dict[int, list[_Span]]], dict[int, dict[int, list[_Span]]]]:
        """For rows and columns: interval to sheet to one span an array."""
        down: dict[int, dict[int, list[_Span]]] = {}
        across: dict[int, dict[int, list[_Span]]] = {}
        for axis, hits in enumerate((down, across)):
            for number, (window, arrays) in enumerate(self.sheets):
                start = (window.row, window.col)[axis]
                for chunks in arrays:
                    for k, span in _spans(self.cuts[axis], _edges(start, chunks[axis])).items():
                        hits.setdefault(k, {}).setdefault(number, []).append(span)
        return down, across


def _edges(start: int, chunks: Sequence[int]) -> list[int]:
    return list(accumulate(chunks, initial=start))


def _spans(cuts: list[int], edges: list[int]) -> dict[int, _Span]:
    """For each output interval that the chunks touch: where it lies in the one chunk that it meets."""
    spans = {}
    for k in range(max(bisect_right(cuts, edges[0]) - 1, 0), min(bisect_left(cuts, edges[-1]), len(cuts) - 1)):
        low, high = max(cuts[k], edges[0]), min(cuts[k + 1], edges[-1])
        if low < high:
            block = bisect_right(edges, low) - 1
            spans[k] = _Span(block, slice(low - edges[block], high - edges[block]), low - cuts[k])
    return spans
