"""How far an ingest or a publication is, counted by several threads."""

from collections.abc import Callable
from dataclasses import dataclass, field
from threading import Event, Lock

__all__ = ["Meter", "Progress", "StoppedError"]

#: ``progress(done, total, unit)``, one call at a time.
Progress = Callable[[int, int, str], None]


class StoppedError(Exception):
    """Another thread failed."""


@dataclass
class Meter:
    """
    Adds up the bytes that threads have done.

    Parameters
    ----------
    report : callable or None
        Told after each step.
    total : int
        Bytes in all.
    done : int
        Bytes that are done, never more than all.
    stop : threading.Event
        Set once the work is to stop.
    """

    report: Progress | None
    total: int
    done: int = 0
    stop: Event = field(default_factory=Event)
    _lock: Lock = field(default_factory=Lock)

    def leave_out(self, nbytes: int) -> None:
        """
        Take away what need not be made.

        Parameters
        ----------
        nbytes : int
            Bytes.
        """
        self.total -= nbytes

    def advance(self, nbytes: int) -> None:
        """
        Count what was made.

        Parameters
        ----------
        nbytes : int
            Bytes.

        Raises
        ------
        StoppedError
            Once the work is to stop.
        """
        if self.stop.is_set():
            raise StoppedError
        with self._lock:
            self.done = min(self.total, self.done + nbytes)
            if self.report is not None:
                self.report(self.done, self.total, "bytes")
