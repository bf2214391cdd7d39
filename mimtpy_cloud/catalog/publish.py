"""Copy what is current in a root to a static one, which plain HTTP can serve."""

import json
import os
import re
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import partial
from itertools import groupby
from pathlib import Path
from typing import Any

from mimtpy_cloud.catalog.index import Catalog, Entry, commit, open_root, read_commits
from mimtpy_cloud.catalog.meter import Meter, Progress
from mimtpy_cloud.catalog.published import copying, read_published
from mimtpy_cloud.errors import CatalogError, StorageError, TrackNotFoundError
from mimtpy_cloud.io.storage import LocalStorage, Storage
from mimtpy_cloud.plan.grid import Bounds

__all__ = ["Publication", "publish"]

_METADATA = "zarr.json"
_WORKERS = 8
#: What a thread holds of an object at once.
_PART_BYTES = 8 << 20
#: An absolute path or a URL inside a text, up to its last part.
_PLACE = re.compile(r"(?<![\w.)\]])(?:[A-Za-z][\w+.-]*:/|[A-Za-z]:|~)?[/\\](?:[^\s,;'\"()\[\]]*[/\\])?(?=[^\s,;/\\])")


@dataclass(frozen=True)
class Publication:
    """
    What was, or would be, published.

    Parameters
    ----------
    entries : tuple of Entry
        As they are in the indexes of the published root.
    copied : tuple of str
        Keys of the stores that were (or would be) copied.
    present : tuple of str
        Keys of the stores that were there already.
    nbytes : int
        Bytes of those that were copied.
    """

    entries: tuple[Entry, ...]
    copied: tuple[str, ...]
    present: tuple[str, ...]
    nbytes: int


def publish(
    root: str | os.PathLike[str],
    to: str | os.PathLike[str],
    *,
    track: str | None = None,
    sensor: str | None = None,
    resolution: str | None = None,
    product: str | None = None,
    project: str | None = None,
    bbox: Bounds | None = None,
    progress: Progress | None = None,
    workers: int | None = None,
    dry_run: bool = False,
) -> Publication:
    """
    Copy the current stores and the index of each track to a static, public root.

    Parameters
    ----------
    root : str or path
        Root URL that `ingest` wrote to.
    to : str or path
        Root URL to publish at: empty, or published to before.
    track, sensor, resolution, product, project : str, optional
        Only these; exact names, as in `Catalog.search`.
    bbox : tuple of float, optional
        West, south, east, north in degrees; only entries whose extent overlaps it, whole.
    progress : callable, optional
        Called with bytes done, bytes in all and the unit, one call at a time, from any thread.
    workers : int, optional
        Objects that are copied at once; 8 by default.
    dry_run : bool
        Check everything and say what would be copied, and write nothing.

    Returns
    -------
    Publication

    Raises
    ------
    TrackNotFoundError
        If nothing fits.
    CatalogError
        If `to` is `root`, is a root of its own, or has a product of another project in the place of one of these.
    StorageError
        If a store cannot be read, or `to` cannot be written.

    Notes
    -----
    Stores never change, so one that is whole there is not copied again: an interrupted publication continues where it
    was, and a second one of the same content writes nothing. The metadata of a store are written after its chunks, the
    index of a track after all its stores, and ``published.json``, which names the tracks, last; readers never see half
    of anything. An index holds what is current only. Absolute paths and URLs in attributes become their last part, in
    the index and in the stores; nothing else of a store changes.
    """
    source, target = Catalog(root, cache=False), open_root(to, cache=False)  # what is there now
    _refuse_itself(source.storage, target)
    found = _select(source, bbox, track=track, sensor=sensor, resolution=resolution, product=product, project=project)
    _refuse_foreign(target)
    entries = [replace(entry, attrs=_public(entry.attrs)) for entry in found]
    groups = [list(group) for _, group in groupby(entries, key=lambda e: (e.sensor, e.track))]
    with ThreadPoolExecutor(workers or _WORKERS, "publish") as pool:
        jobs = [_plan(pool, source.storage, target, group) for group in groups]
        total = sum(job.nbytes for job in jobs)
        meter = Meter(progress, total)
        for job in jobs:
            if not dry_run and (job.sizes or job.outdated):
                _publish_track(pool, source.storage, target, job, meter)
    copied = tuple(key for job in jobs for key in job.sizes)
    present = tuple(key for job in jobs for key in job.keys if key not in job.sizes)
    return Publication(tuple(entries), copied, present, total)


def _select(source: Catalog, bbox: Bounds | None, **wanted: str | None) -> list[Entry]:
    found = source.search(bbox=bbox, **wanted)
    if not found:
        given = ", ".join(f"{name} {value}" for name, value in {**wanted, "bbox": bbox}.items() if value is not None)
        have = ", ".join(source.tracks()) or "no track: ingest something first, or check --root"
        raise TrackNotFoundError(f"nothing to publish of {given or 'all'} in {source.root}; it has {have}")
    return found


@dataclass(frozen=True)
class _Job:
    """Entries of a track, their stores, and what is not there yet."""

    entries: Sequence[Entry]
    keys: Sequence[str]
    sizes: Mapping[str, Mapping[str, int]]
    outdated: bool

    @property
    def nbytes(self) -> int:
        """Bytes to copy."""
        return sum(sum(objects.values()) for objects in self.sizes.values())


def _plan(pool: ThreadPoolExecutor, source: Storage, target: Storage, entries: Sequence[Entry]) -> _Job:
    sensor, track = entries[0].sensor, entries[0].track
    published, commits = read_published(target), read_commits(target, sensor, track)
    _refuse_stranger(target, commits, entries)
    listed = published is not None and (sensor, track) in published.folders
    outdated = not listed or _as_json(_merged(commits, entries)) != _as_json(commits)
    keys = [entry.store_key(band) for entry in entries for band in entry.bands]
    missing = [key for key, whole in zip(keys, pool.map(partial(_is_whole, target), keys), strict=True) if not whole]
    sizes = dict(zip(missing, pool.map(partial(_sizes, source), missing), strict=True))
    return _Job(entries, keys, sizes, outdated)


def _publish_track(pool: ThreadPoolExecutor, source: Storage, target: Storage, job: _Job, meter: Meter) -> None:
    with copying(target, job.keys, source.url.rpartition("/")[2]):
        for key in job.keys:
            if not _is_whole(target, key):  # again, as gc leaves it alone from now on
                _copy_store(pool, source, target, key, job.sizes.get(key) or _sizes(source, key), meter)
        if job.outdated:
            first = job.entries[0]
            commit(target, first.sensor, first.track, lambda commits: _merged(commits, job.entries))


def _refuse_itself(source: Storage, target: Storage) -> None:
    same = source.url == target.url
    if isinstance(source, LocalStorage) and isinstance(target, LocalStorage):
        same = Path(source.url).resolve() == Path(target.url).resolve()
    if same:
        raise CatalogError(f"{target.url} is the root itself; publish to another place")


def _refuse_foreign(target: Storage) -> None:
    """A root that `ingest` wrote would lose its history, and the tracks that are not published."""
    if read_published(target) is not None:
        return
    target.children("")  # says so of a web root
    for sensor, track in Catalog(target.url, cache=False).track_folders(listed=True):
        if read_commits(target, sensor, track):
            raise CatalogError(
                f"{target.url} has a track {sensor}/{track} that was not published there; choose an empty place, as "
                "publishing would hide that track or drop its history"
            )


def _refuse_stranger(target: Storage, commits: Sequence[Entry], entries: Sequence[Entry]) -> None:
    projects = {(e.resolution, e.product): e.project for e in commits}
    for entry in entries:
        other = projects.get((entry.resolution, entry.product))
        if other and entry.project and other != entry.project:
            raise CatalogError(
                f"{entry.sensor}/{entry.track}/{entry.resolution}/{entry.product} at {target.url} is project {other}, "
                f"and would be replaced by project {entry.project}; publish it to another place"
            )


def _merged(commits: Sequence[Entry], entries: Sequence[Entry]) -> list[Entry]:
    """One entry for each product and resolution: those given, and what else is there."""
    chosen = {(e.resolution, e.product): e for e in [*commits, *entries]}
    return sorted(chosen.values(), key=lambda e: (e.committed, e.resolution, e.product))


def _as_json(entries: Sequence[Entry]) -> list[dict[str, Any]]:
    return [entry.to_json() for entry in entries]


# --- what is not for the public -----------------------------------------------------------------------------------


def _public(value: Any) -> Any:
    """
    Cut absolute paths and URLs in texts to their last part.

    Examples
    --------
    >>> _public({"source": {"url": "s3://private/in/S1.he5"}, "load": "/data/me/*/filt.unw", "unit": "m/yr", "n": 3})
    {'source': {'url': 'S1.he5'}, 'load': 'filt.unw', 'unit': 'm/yr', 'n': 3}
    """
    if isinstance(value, Mapping):
        return {key: _public(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_public(item) for item in value]
    return _PLACE.sub("", value) if isinstance(value, str) else value


# --- copy -----------------------------------------------------------------------------------------------------------


def _is_whole(storage: Storage, key: str) -> bool:
    """Metadata of a store are written last."""
    try:
        storage.read(f"{key}/{_METADATA}")
    except FileNotFoundError:
        return False
    return True


def _sizes(storage: Storage, key: str) -> dict[str, int]:
    """Bytes of every object of a store, from one listing."""
    import obstore

    if isinstance(storage, LocalStorage):
        folder = storage.folder / key
        files = [path for path in folder.rglob("*") if path.is_file() and not path.name.startswith(".")]
        sizes = {path.relative_to(folder).as_posix(): path.stat().st_size for path in files}
    else:
        with _reading_store(storage, key):
            listed = obstore.list(storage.zarr_store(key, read_only=True).store)
            sizes = {item["path"]: item["size"] for batch in listed for item in batch}
    if _METADATA not in sizes:
        raise StorageError(f"{storage.url}/{key} is missing or not whole; ingest its source again")
    return sizes


@contextmanager
def _reading_store(storage: Storage, key: str) -> Iterator[None]:
    from obstore.exceptions import BaseError

    try:
        yield
    except FileNotFoundError as error:
        raise StorageError(f"{storage.url}/{key} was removed meanwhile, perhaps by gc; publish again") from error
    except (BaseError, NotImplementedError) as error:
        raise StorageError(
            f"cannot list {storage.url}/{key}: check the credentials and the network; a web root cannot be listed, so "
            "publish from the root that it shows"
        ) from error


def _copy_store(
    pool: ThreadPoolExecutor, source: Storage, target: Storage, key: str, sizes: Mapping[str, int], meter: Meter
) -> None:
    """Copy the objects of a store; its metadata last, so that a store with them is whole."""

    def copy(name: str) -> None:
        with _reading_store(source, key):
            _copy_object(source, target, f"{key}/{name}", sizes[name], meter)

    for _ in pool.map(copy, [name for name in sizes if name != _METADATA]):
        pass
    with _reading_store(source, key):
        metadata = json.loads(source.read(f"{key}/{_METADATA}"))
    metadata["attributes"] = _public(metadata.get("attributes", {}))
    target.write(f"{key}/{_METADATA}", json.dumps(metadata, indent=2).encode())
    meter.advance(sizes[_METADATA])


def _copy_object(source: Storage, target: Storage, key: str, size: int, meter: Meter) -> None:
    with target.writer(key) as file:
        for offset in range(0, size, _PART_BYTES):
            length = min(_PART_BYTES, size - offset)
            for part in source.read_ranges(key, [(offset, length)]):
                if len(part) != length:
                    raise StorageError(f"{source.url}/{key} changed while it was copied; publish again")
                file.write(part)
            meter.advance(length)
