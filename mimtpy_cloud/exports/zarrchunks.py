"""Write the blocks of a dask array as the chunks of a Zarr v3 array, one task a chunk.

A chunk takes what it needs of every block that it overlaps, so that blocks need not fit the regular
grid of the store. Where neighbours in a row need one block, a row is written from its first to its last
chunk: else dask may go down the columns, and hold a block of every row until the next column. The store
is new and hidden, so nothing is read and no two tasks write one file.
"""

import itertools
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import dask.array as da
import numpy as np
from dask.base import tokenize
from dask.highlevelgraph import HighLevelGraph

from mimtpy_cloud.codec import encode
from mimtpy_cloud.exports.progress import WRITING
from mimtpy_cloud.location import locate, reaching

__all__ = ["write_chunks"]

#: Of so many values one is looked at before all are.
_SAMPLE = 997
#: One span of one dimension: index of the block, where its part goes in the chunk, which part it is.
Span = tuple[int, slice, slice]


def write_chunks(array: da.Array, folder: str, chunk: Sequence[int], fill: float) -> da.Array:
    """
    Plan the writing of an array.

    Parameters
    ----------
    array : da.Array
        Values, of at least one dimension.
    folder : str
        Folder of the Zarr array, on a disk that all workers share, or its URL.
    chunk : sequence of int
        Shape of a chunk.
    fill : scalar
        Fill value of the Zarr array; chunks of nothing else are not written.

    Returns
    -------
    da.Array
        One boolean a chunk, whether it was written; computing it writes.
    """
    grid = [list(_spans(blocks, size)) for blocks, size in zip(array.chunks, chunk, strict=True)]
    in_turn = bool(grid) and any(one[-1][0] == next_[0][0] for one, next_ in itertools.pairwise(grid[-1]))
    name = f"{WRITING}{tokenize(array.name, folder, tuple(chunk))}"
    graph: dict[tuple[Any, ...], tuple[Any, ...]] = {}
    for index in itertools.product(*(range(len(spans)) for spans in grid)):
        parts = list(itertools.product(*(spans[i] for spans, i in zip(grid, index, strict=True))))
        keys = [(array.name, *(span[0] for span in part)) for part in parts]
        places = _Places([(tuple(s[1] for s in part), tuple(s[2] for s in part)) for part in parts])
        path = "/".join([folder, "c", *map(str, index)])
        before = (name, *index[:-1], index[-1] - 1) if in_turn and index[-1] else None
        graph[(name, *index)] = (_write, path, tuple(chunk), array.dtype, fill, places, keys, before)
    layers = HighLevelGraph.from_collections(name, graph, dependencies=[array])  # type: ignore[arg-type, list-item]
    ones = tuple((1,) * len(spans) for spans in grid)
    return da.Array(layers, name, ones, meta=np.empty((0,) * array.ndim, bool))  # type: ignore[no-untyped-call]


class _Places(list[tuple[tuple[slice, ...], tuple[slice, ...]]]):
    """Target and source slices of each part; a type of its own, so that dask does not look inside."""


def _spans(blocks: Sequence[int], size: int) -> Iterator[list[Span]]:
    """For each chunk of one dimension, the blocks on it."""
    edges = list(itertools.accumulate(blocks, initial=0))
    for start in range(0, edges[-1], size):
        stop = min(start + size, edges[-1])
        yield [
            (
                b,
                slice(max(first, start) - start, min(last, stop) - start),
                slice(max(first, start) - first, min(last, stop) - first),
            )
            for b, (first, last) in enumerate(itertools.pairwise(edges))
            if first < stop and last > start
        ]


def _write(
    path: str,
    shape: tuple[int, ...],
    dtype: np.dtype[Any],
    fill: float,
    places: _Places,
    blocks: list[np.ndarray],
    _before: np.ndarray | None,
) -> np.ndarray:
    chunk = _chunk(shape, dtype, fill, places, blocks)
    written = _has_data(chunk, fill)
    if written and "://" in path:
        fs, place = locate(path)
        with reaching(path):
            fs.pipe_file(place, encode(chunk))
    elif written:
        file = Path(path)
        if not file.parents[chunk.ndim].is_dir():  # an interrupted write was cleared away
            raise FileNotFoundError(file.parents[chunk.ndim])
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(encode(chunk))
    return np.full((1,) * chunk.ndim, written)


def _chunk(
    shape: tuple[int, ...], dtype: np.dtype[Any], fill: float, places: _Places, blocks: list[np.ndarray]
) -> np.ndarray:
    """What a chunk holds; a block that is all of it is not copied."""
    if len(blocks) == 1 and (whole := blocks[0][places[0][1]]).shape == shape and whole.dtype == dtype:
        return np.ascontiguousarray(whole)
    chunk = np.full(shape, fill, dtype)
    for (target, source), block in zip(places, blocks, strict=True):
        chunk[target] = block[source]
    return chunk


def _has_data(chunk: np.ndarray, fill: float) -> bool:
    """Whether anything differs from the fill value; one value in many decides most chunks."""
    for part in (chunk.reshape(-1)[::_SAMPLE], chunk):
        if np.any(part == part) if np.isnan(fill) else np.any(part != fill):
            return True
    return False
