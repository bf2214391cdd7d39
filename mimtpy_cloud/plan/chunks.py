"""Chunk and shard sizes of a lattice, from numbers alone."""

from mimtpy_cloud.errors import ResolutionError

__all__ = ["INNER_SIDE", "SHARD_SIDE", "tile_sides", "time_chunks"]

#: Largest side of an inner chunk and of a shard, in pixels.
INNER_SIDE, SHARD_SIDE = 125, 625
#: Most dates of an inner chunk.
INNER_DATES = 32
_SMALLEST_SIDE = 25


def tile_sides(n: int) -> tuple[int, int]:
    """
    Choose inner chunk and shard sides that divide a degree.

    Parameters
    ----------
    n : int
        Pixels a degree.

    Returns
    -------
    inner, shard : int
        Sides in pixels; `inner` divides `shard`, `shard` divides `n`.

    Raises
    ------
    ResolutionError
        If no side of at least 25 pixels divides a degree, or there is no pixel.

    Examples
    --------
    >>> tile_sides(1250), tile_sides(125), tile_sides(100), tile_sides(1200)
    ((125, 625), (125, 125), (100, 100), (120, 600))
    """
    if n < 1:
        raise ResolutionError(f"a lattice needs at least one pixel a degree, got {n}")
    inner = _largest_divisor(n, INNER_SIDE)
    shard = inner * _largest_divisor(n // inner, SHARD_SIDE // inner)
    if inner < min(_SMALLEST_SIDE, n):
        raise ResolutionError(
            f"{n} pixels a degree cannot be tiled: no chunk side between {_SMALLEST_SIDE} and {INNER_SIDE} divides it; "
            f"choose a round number such as {round(n, -2) or 100}"
        )
    return inner, shard


def time_chunks(dates: int) -> tuple[int, int]:
    """
    Choose the dates of an inner chunk and of a shard.

    Parameters
    ----------
    dates : int
        Number of dates, at least one.

    Returns
    -------
    inner, shard : int
        Dates an inner chunk (at most 32, as even as possible) and a shard (all, rounded up to
        whole inner chunks).

    Examples
    --------
    >>> time_chunks(12), time_chunks(60), time_chunks(65)
    ((12, 12), (30, 60), (22, 66))
    """
    pieces = -(-dates // INNER_DATES)
    inner = -(-dates // pieces)
    return inner, inner * pieces


def _largest_divisor(n: int, limit: int) -> int:
    return next(d for d in range(min(n, limit), 0, -1) if n % d == 0)
