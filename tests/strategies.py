"""Hypothesis strategies that several test modules share."""

from itertools import pairwise

from hypothesis import strategies as st


@st.composite
def chunkings(draw: st.DrawFn, **sizes: int) -> dict[str, tuple[int, ...]]:
    """Random chunk sizes that cover each named dimension, e.g. ``chunkings(y=5, x=7)``."""
    return {dim: draw(_splits(size)) for dim, size in sizes.items()}


def _splits(size: int) -> st.SearchStrategy[tuple[int, ...]]:
    def to_chunks(cuts: set[int]) -> tuple[int, ...]:
        edges = [0, *sorted(cuts), size]
        return tuple(b - a for a, b in pairwise(edges))

    if size < 2:
        return st.just((size,))
    return st.sets(st.integers(1, size - 1), max_size=4).map(to_chunks)
