"""Fail when a dask graph runs where nothing may be computed."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import dask


class ComputedError(AssertionError):
    """A graph was run inside `no_compute`."""


def _refuse(dsk: Any, keys: Any, **kwargs: Any) -> Any:
    raise ComputedError(f"a graph was run for {keys} while only building was allowed")


@contextmanager
def no_compute() -> Iterator[None]:
    """Run a block in which any dask computation is an error."""
    with dask.config.set(scheduler=_refuse):
        yield
