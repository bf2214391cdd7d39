"""Hand the blocks of lazy arrays over to files, as they are computed: by threads here, or by the cluster."""

import uuid
from collections.abc import Sequence
from typing import Any

import dask
import numpy as np
from dask.array import Array
from dask.array.core import slices_from_chunks, store

from mimtpy_cloud.client import active_client
from mimtpy_cloud.exports.progress import Progress, TaskProgress

__all__ = ["stream_blocks"]

#: Settings of dask under which sinks would not be in this process.
_PROCESSES = ("processes", "multiprocessing")


def stream_blocks(arrays: Sequence[Array], sinks: Sequence[Any], progress: Progress | None = None) -> None:
    """
    Compute arrays in one graph, each block once, and assign the blocks to their sinks, one at a time.

    Parameters
    ----------
    arrays : sequence of dask.array.Array
        What is computed.
    sinks : sequence of object
        One for each array: a dataset of HDF5, or anything with ``sink[slices] = block``. They stay in this process.
    progress : callable, optional
        ``progress(done, total, unit)``: of tasks, or of blocks where a cluster computes.

    Notes
    -----
    Where a client is in charge, its cluster computes, so that arrays may hold what it has persisted. Memory: the blocks
    in flight.
    """
    client = active_client()
    if client is not None:
        _gather(client, arrays, sinks, progress)
        return
    scheduler = "threads" if dask.config.get("scheduler", None) in _PROCESSES else None
    targets: Any = [_Sink(sink) for sink in sinks]
    with TaskProgress(progress):
        store(list(arrays), targets, lock=True, scheduler=scheduler)


class _Sink:
    """What dask assigns blocks to, under its lock; it would hash the whole target otherwise."""

    def __init__(self, target: Any) -> None:
        self._target = target

    def __setitem__(self, index: tuple[slice, ...], block: np.ndarray) -> None:
        self._target[index] = block

    def __dask_tokenize__(self) -> str:
        return uuid.uuid4().hex


def _gather(client: Any, arrays: Sequence[Array], sinks: Sequence[Any], progress: Progress | None) -> None:
    from distributed import as_completed

    blocks, places = [], []
    optimized = dask.optimize(*arrays)  # type: ignore[attr-defined,no-untyped-call]
    for array, sink in zip(optimized, sinks, strict=True):
        parts = array.to_delayed(optimize_graph=False).ravel()
        blocks += list(parts)
        places += [(sink, region) for region in slices_from_chunks(array.chunks)]  # type: ignore[no-untyped-call]
    waiting: dict[Any, list[Any]] = {}
    for future, place in zip(client.compute(blocks), places, strict=True):
        waiting.setdefault(future, []).append(place)  # equal blocks are one
    total = len(waiting)
    for done, future in enumerate(as_completed(list(waiting)), start=1):  # type: ignore[no-untyped-call]
        block = np.asarray(future.result())
        for sink, region in waiting.pop(future):
            sink[region] = block
        future.release()
        if progress is not None:
            progress(done, total, "blocks")
