"""Exact median of values that are looked at in pieces, without a copy of them."""

from typing import Any

import numpy as np
from numba import njit

from mimtpy_cloud.kernels.tiles import Tiles

__all__ = ["median"]

_JIT: dict[str, Any] = {"cache": True, "nogil": True, "error_model": "numpy"}
_HALF = 1 << 16


@njit(**_JIT)
def _count_high(bits, counts):  # type: ignore[no-untyped-def]
    """Count finite values by the upper half of their key, which has the order of the values."""
    for i in range(bits.size):
        b = bits[i]
        if (b & np.uint32(0x7F800000)) != np.uint32(0x7F800000):
            key = ~b if b >> np.uint32(31) else b | np.uint32(0x80000000)
            counts[key >> np.uint32(16)] += 1


@njit(**_JIT)
def _count_low(bits, high, counts):  # type: ignore[no-untyped-def]
    """Count the values of one upper half by the lower half of their key."""
    for i in range(bits.size):
        b = bits[i]
        if (b & np.uint32(0x7F800000)) != np.uint32(0x7F800000):
            key = ~b if b >> np.uint32(31) else b | np.uint32(0x80000000)
            if (key >> np.uint32(16)) == high:
                counts[key & np.uint32(0xFFFF)] += 1


def median(tiles: Tiles) -> float:
    """
    Find the median of the values of an image.

    Parameters
    ----------
    tiles : Tiles
        Image; values that are not finite do not count. Taken as float32.

    Returns
    -------
    float
        Mean of the two values in the middle where their number is even; NaN if there is none.

    Notes
    -----
    The bits of a float32, its sign turned over, sort as the values do. One pass counts the values by the upper 16
    bits, a second those of the bin in the middle by the lower 16: memory of the counts, 0.5 MB.

    Examples
    --------
    >>> median(Tiles.of(np.array([[3.0, np.nan, -1.0], [0.5, 8.0, np.inf]])))
    1.75
    """
    counts = np.zeros(_HALF, np.int64)
    for block, _, _ in tiles:
        _count_high(_bits(block), counts)
    below = np.cumsum(counts)
    n = int(below[-1])
    if n == 0:
        return float("nan")
    lows: dict[int, np.ndarray] = {}
    values = []
    for rank in ((n - 1) // 2, n // 2):
        high = int(np.searchsorted(below, rank, side="right"))
        if high not in lows:
            lows[high] = np.zeros(_HALF, np.int64)
            for block, _, _ in tiles:
                _count_low(_bits(block), np.uint32(high), lows[high])
        rest = rank - int(below[high] - counts[high])
        values.append(_value(high, int(np.searchsorted(np.cumsum(lows[high]), rest, side="right"))))
    return (values[0] + values[1]) / 2


def _bits(block: np.ndarray) -> np.ndarray:
    view = np.ascontiguousarray(block, np.float32).reshape(-1).view(np.uint32)
    view.flags.writeable = False  # one compiled version serves all
    return view


def _value(high: int, low: int) -> float:
    """The float32 that has a key."""
    key = high << 16 | low
    bits = key & 0x7FFFFFFF if key >> 31 else ~key & 0xFFFFFFFF
    return float(np.array(bits, np.uint32).view(np.float32))
