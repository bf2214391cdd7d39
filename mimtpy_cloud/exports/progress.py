"""Report how far a dask computation is, without drawing anything."""

from collections.abc import Callable
from typing import Any

from dask.callbacks import Callback

__all__ = ["WRITING", "Progress", "TaskProgress"]

#: How the name of every task that writes a chunk begins.
WRITING = "write-"

#: ``progress(done, total, unit)``, called from one thread.
Progress = Callable[[int, int, str], None]


class TaskProgress(Callback):
    """
    Call back after each task of the local schedulers; a cluster has its own dashboard and calls nothing.

    Parameters
    ----------
    progress : callable, optional
        ``progress(done, total, unit)``.
    chunks : int, optional
        Number of chunks to be written; then only the tasks that write one count, over several computations.

    Examples
    --------
    >>> import dask
    >>> calls = []
    >>> with TaskProgress(lambda done, total, unit: calls.append((done, total, unit))):
    ...     dask.delayed(sum)([1, 2]).compute(scheduler="synchronous")
    3
    >>> calls[-1]
    (1, 1, 'tasks')
    """

    def __init__(self, progress: Progress | None, *, chunks: int | None = None) -> None:
        self._progress, self._chunks = progress, chunks
        self._done = self._total = 0

    def _start_state(self, _graph: Any, state: Any) -> None:
        if self._chunks is None:
            self._done, self._total = 0, sum(len(state[kind]) for kind in ("ready", "waiting", "running"))

    def _posttask(self, key: Any, *_: Any) -> None:
        if self._chunks is None:
            self._report(self._total, "tasks")
        elif _writes(str(key[0] if isinstance(key, tuple) else key)):
            self._report(self._chunks, "chunks")

    def _report(self, total: int, unit: str) -> None:
        self._done += 1
        if self._progress is not None:
            self._progress(self._done, total, unit)


def _writes(name: str) -> bool:
    """Whether a task wrote a chunk, once for each; that of an array of one chunk is fused with what gathers them."""
    return name.startswith(WRITING) or f"-{WRITING}finalize" in name
