"""Report how far a dask computation is, without drawing anything."""

from collections.abc import Callable
from typing import Any

from dask.callbacks import Callback

__all__ = ["Progress", "TaskProgress"]

#: ``progress(done, total, unit)``, called from one thread.
Progress = Callable[[int, int, str], None]


class TaskProgress(Callback):
    """
    Call back after each task of the local schedulers; a cluster has its own dashboard and calls nothing.

    Parameters
    ----------
    progress : callable, optional
        ``progress(done, total, unit)``.

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

    def __init__(self, progress: Progress | None) -> None:
        self._progress = progress
        self._done = self._total = 0

    def _start_state(self, _graph: Any, state: Any) -> None:
        self._done, self._total = 0, sum(len(state[kind]) for kind in ("ready", "waiting", "running"))

    def _posttask(self, *_: Any) -> None:
        self._done += 1
        if self._progress is not None:
            self._progress(self._done, self._total, "tasks")
