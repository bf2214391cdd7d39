"""Fetch a part of a root into the local cache, for work without the network."""

from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from os import PathLike
from typing import Any

import numpy as np

from mimtpy_cloud.catalog.index import Catalog, Entry
from mimtpy_cloud.catalog.meter import Progress
from mimtpy_cloud.catalog.tracks import entry_arrays
from mimtpy_cloud.errors import DateError, StorageError, TrackNotFoundError
from mimtpy_cloud.io.bands import TrackArray
from mimtpy_cloud.io.cache import CachedStorage, cached_storage
from mimtpy_cloud.io.storage import Storage
from mimtpy_cloud.io.store import forget_indexes
from mimtpy_cloud.plan.dates import parse_date
from mimtpy_cloud.plan.grid import Bounds

__all__ = ["Warmed", "warm"]

#: Requests at a time: most of the time of one is waiting.
_THREADS = 8


@dataclass(frozen=True)
class Warmed:
    """
    What is kept now.

    Parameters
    ----------
    entries : list of Entry
        Whose pixels are.
    objects : int
        Objects that they need.
    nbytes : int
        Bytes that they need of these.
    """

    entries: list[Entry]
    objects: int
    nbytes: int


def warm(
    root: str | PathLike[str],
    tracks: Iterable[str] = (),
    *,
    bbox: Bounds | None = None,
    start: Any = None,
    end: Any = None,
    resolution: str | None = None,
    progress: Progress | None = None,
) -> Warmed:
    """
    Keep the catalog of a root and the pixels of some tracks on this machine.

    Parameters
    ----------
    root : str or path
        Root URL of an object store or web server.
    tracks : iterable of str
        Names of tracks or projects; all by default.
    bbox : tuple of float, optional
        West, south, east, north in degrees.
    start, end : date-like, optional
        Only acquisitions in this closed range.
    resolution : str, optional
        Only this one.
    progress : callable, optional
        ``progress(done, total, unit)``, called from one thread.

    Returns
    -------
    Warmed

    Raises
    ------
    StorageError
        If the root is local, cannot be reached, or needs more than the cache holds: then no pixel is fetched.
    TrackNotFoundError
        If nothing fits.
    DateError
        If `start` or `end` is no date, or the range holds no acquisition of any of them.

    Notes
    -----
    Until it is warmed again, something is ingested from here or ``mimtpy cache clear`` runs, the catalog of this root
    is taken as it is now and is not asked for; the same reading, of the same or a smaller box, then sends no request.
    """
    storage = cached_storage(root, cache=True)
    if not isinstance(storage, CachedStorage):
        raise StorageError(f"the root {storage.url} is on this machine and needs no cache; give that of a server")
    (everything, inside), keep = storage.take_snapshot(lambda noting: _search(storage.url, noting, bbox, resolution))
    wanted = set(tracks)
    unknown = wanted - {name for entry in everything for name in (entry.track, entry.project)}
    if unknown or not everything:
        have = ", ".join(sorted({entry.track for entry in everything})) or "no track"
        raise TrackNotFoundError(f"no track {', '.join(sorted(unknown)) or 'at all'} in {storage.url}; it has {have}")
    chosen = [entry for entry in inside if not wanted or {entry.track, entry.project} & wanted]
    if not chosen:
        raise TrackNotFoundError(f"nothing of {storage.url} lies in {bbox} with resolution {resolution or 'any'}")
    forget_indexes()
    with ThreadPoolExecutor(_THREADS) as pool:
        arrays = [pair for entry in chosen for pair in _arrays(storage.url, entry, bbox, start, end)]
        if not arrays:
            raise DateError(f"no acquisition of {', '.join(e.track for e in chosen)} between {start} and {end}")
        found = [part for parts in pool.map(_parts, arrays) for part in parts]
        nbytes = sum(length for _, ranges in found for _, length in ranges)
        blocks = sum(storage.footprint(ranges) for _, ranges in found)
        if blocks > storage.blocks.room:
            raise StorageError(
                f"this needs {blocks / 1e9:.3f} GB of blocks, and a cache of {storage.blocks.limit / 1e9:.3f} GB keeps "
                f"{storage.blocks.room / 1e9:.3f}; set MIMTPY_CACHE_SIZE, or choose fewer tracks or a smaller box"
            )
        for done, _ in enumerate(pool.map(lambda part: _fetch(storage, *part), found), start=1):
            if progress is not None:
                progress(done, len(found), "objects")
    keep()
    return Warmed(chosen, len(found), nbytes)


def _search(
    root: str, storage: Storage, bbox: Bounds | None, resolution: str | None
) -> tuple[list[Entry], list[Entry]]:
    """Look at all there is, and at what is wanted of it, through a storage that notes what it reads."""
    catalog = Catalog(root, cache=False)
    catalog.storage = storage
    return catalog.search(), catalog.search(bbox=bbox, resolution=resolution)


def _arrays(root: str, entry: Entry, bbox: Bounds | None, start: Any, end: Any) -> Iterator[tuple[TrackArray, slice]]:
    """Arrays of an entry, and which of its dates are wanted; nothing if none is."""
    dates = np.array(entry.dates, "datetime64[D]")
    first = 0 if start is None else int(np.searchsorted(dates, parse_date(start)))
    stop = dates.size if end is None else int(np.searchsorted(dates, parse_date(end), "right"))
    if dates.size and first >= stop:
        return
    for array in entry_arrays(root, entry, bbox=bbox, cache=True):
        yield array, slice(first, stop)


def _parts(chosen: tuple[TrackArray, slice]) -> Sequence[tuple[str, list[tuple[int, int]]]]:
    array, dates = chosen
    return [part for band in array.bands for part in band.parts(array.window & band.window, dates)]


def _fetch(storage: Storage, key: str, ranges: Sequence[tuple[int, int]]) -> None:
    for _ in storage.read_ranges(key, ranges):
        pass
