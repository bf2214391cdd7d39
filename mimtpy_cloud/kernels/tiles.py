"""An image in pieces, so that passes over it need the memory of one piece."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace

import numpy as np

__all__ = ["Change", "Tiles"]

#: ``(block, rows, columns) -> block``
Change = Callable[[np.ndarray, slice, slice], np.ndarray]


@dataclass(frozen=True)
class Tiles:
    """
    Blocks of an image, and what is done to each whenever it is looked at.

    Parameters
    ----------
    shape : tuple of int
        Rows and columns of the image.
    pieces : tuple of (np.ndarray, int, int)
        Block of floats, first row, first column; they do not overlap. NaN is no data, as are pixels of no block.
    change : callable, optional
        ``(block, rows, columns) -> block``; the block is not to be modified.

    Examples
    --------
    >>> tiles = Tiles((1, 3), ((np.array([[1.0, 2.0]]), 0, 0), (np.array([[3.0]]), 0, 2)))
    >>> tiles.lines(2, axis=1).tolist()
    [[1.0], [3.0]]
    """

    shape: tuple[int, int]
    pieces: tuple[tuple[np.ndarray, int, int], ...]
    change: Change | None = None

    @classmethod
    def of(cls, image: np.ndarray) -> "Tiles":
        """
        Take a whole image as one piece.

        Parameters
        ----------
        image : np.ndarray
            Shape ``(y, x)``.

        Returns
        -------
        Tiles
        """
        return cls((image.shape[0], image.shape[1]), ((image, 0, 0),))

    def __iter__(self) -> Iterator[tuple[np.ndarray, slice, slice]]:
        for block, row, col in self.pieces:
            rows, cols = slice(row, row + block.shape[0]), slice(col, col + block.shape[1])
            yield (block if self.change is None else self.change(block, rows, cols)), rows, cols

    def changed(self, change: Change) -> "Tiles":
        """
        Look at the same blocks in another way.

        Parameters
        ----------
        change : callable
            Takes the place of the one there was.

        Returns
        -------
        Tiles
        """
        return replace(self, change=change)

    def lines(self, step: int, axis: int) -> np.ndarray:
        """
        Collect some rows or columns.

        Parameters
        ----------
        step : int
            Every so many.
        axis : {0, 1}
            Rows, or columns.

        Returns
        -------
        np.ndarray
            Float64, one line a row; NaN where there is no block.
        """
        out = np.full((-(-self.shape[axis] // step), self.shape[1 - axis]), np.nan)
        for block, *spans in self:
            own, other = spans[axis], spans[1 - axis]
            first = -(-own.start // step)
            picked = np.arange(first * step, own.stop, step) - own.start
            out[first : first + picked.size, other] = block[picked] if axis == 0 else block[:, picked].T
        return out
