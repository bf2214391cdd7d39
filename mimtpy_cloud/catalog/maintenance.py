"""Check the stores that an index names, and remove those that none does."""

import json
import math
import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from os import PathLike

from mimtpy_cloud.catalog.index import Catalog, Entry, commit, read_commits
from mimtpy_cloud.catalog.published import Published, read_published
from mimtpy_cloud.errors import CatalogError, TrackNotFoundError
from mimtpy_cloud.io.storage import Storage
from mimtpy_cloud.io.store import ArraySpec, check_object
from mimtpy_cloud.schema import VARIABLES

__all__ = ["Problem", "check_entry", "gc", "verify"]

_BAND = re.compile(r"-?\d+")
_REVISION_TIME = re.compile(r"-(\d{8}T\d{12})Z-[0-9a-f]{8}\.zarr$")


@dataclass(frozen=True)
class Problem:
    """
    Something wrong with a store that the index names.

    Parameters
    ----------
    key : str
        Store or object below the root.
    message : str
        What is wrong.
    """

    key: str
    message: str


def verify(root: str | PathLike[str], *, track: str | None = None) -> list[Problem]:
    """
    Check every store of a current entry: metadata present, shard indexes whole.

    Parameters
    ----------
    root : str or path
        Root URL.
    track : str, optional
        Only this track.

    Returns
    -------
    list of Problem
        Empty if all is well. Shard indexes are read and their checksums compared; pixel data are
        not decoded.

    Raises
    ------
    CatalogError
        If an index itself is unreadable.
    TrackNotFoundError
        If `track` has no entry.

    Notes
    -----
    An array object that is not there means no data there, so one that was deleted is not noticed.
    """
    catalog = Catalog(root, cache=False)
    entries = catalog.search(track=track)
    if track is not None and not entries:
        raise TrackNotFoundError(f"no track {track} in {catalog.root}; it has {', '.join(catalog.tracks()) or 'none'}")
    return [problem for entry in entries for problem in check_entry(catalog.storage, entry)]


def check_entry(storage: Storage, entry: Entry) -> Iterator[Problem]:
    """
    Check the stores of one entry.

    Parameters
    ----------
    storage : Storage
        Root.
    entry : Entry
        Of its index.

    Yields
    ------
    Problem
        One after the other, so that who only wants to know whether there is one can stop.
    """
    for band in entry.bands:
        yield from _check_store(storage, entry, band)


def _check_store(storage: Storage, entry: Entry, band: int) -> Iterator[Problem]:
    key, window = entry.store_key(band), entry.band_window(band)
    try:
        metadata = json.loads(storage.read(f"{key}/zarr.json"))
        declared = metadata["consolidated_metadata"]["metadata"]
        shapes = {name: declared[name]["shape"] for name in entry.variables if name in declared}
    except FileNotFoundError:
        yield Problem(key, "the store is missing; ingest the source again")
        return
    except (ValueError, KeyError, TypeError) as error:
        yield Problem(key, f"zarr.json is damaged ({error!r}); ingest the source again")
        return
    for name in entry.variables:
        spec = ArraySpec(name, entry.pixels_per_degree, len(entry.dates) if "time" in VARIABLES[name].dims else 0)
        shape = [*([spec.dates] if spec.dates else []), *window.shape]
        if shapes.get(name) != shape:
            got = shapes.get(name, "no such array")
            yield Problem(f"{key}/{name}", f"expected shape {shape}, got {got}; ingest the source again")
            continue
        rows, cols = (math.ceil(size / spec.tile[-1]) for size in window.shape)
        for row in range(rows):
            for col in range(cols):
                object_key = f"{key}/{name}/c/{'0/' if spec.dates else ''}{row}/{col}"
                message = check_object(storage, object_key, spec)
                if message:
                    yield Problem(object_key, message)


def gc(
    root: str | PathLike[str], *, older_than_days: float | None = None, dry_run: bool = False, grace_hours: float = 24
) -> list[str]:
    """
    Remove stores that no commit names, and on request old revisions.

    Parameters
    ----------
    root : str or path
        Root URL.
    older_than_days : float, optional
        Also drop commits that were replaced by a newer one at least this long ago.
    dry_run : bool
        Only list.
    grace_hours : float
        Stores younger than this are left alone: an ingest may be about to commit them. In a published root this
        counts from the last change of the index, as readers may use what was current until then, and stores
        that a publication under way is writing are left alone, too.

    Returns
    -------
    list of str
        Keys of the stores that were (or would be) removed.

    Raises
    ------
    CatalogError
        If an index is unreadable; then nothing of that track and the following ones is removed.
    """
    catalog = Catalog(root, cache=False)
    now = datetime.now(UTC)
    limit = None if older_than_days is None else now - timedelta(days=older_than_days)
    removed: list[str] = []
    for sensor, track in catalog.track_folders(listed=True):
        stores = list(_stores(catalog.storage, sensor, track))  # before the index, which may grow meanwhile
        published = read_published(catalog.storage) or Published()  # before it, too: a claim goes after the commit
        commits = read_commits(catalog.storage, sensor, track)
        kept = commits if limit is None else _pruned(commits, limit)
        named = _keys(kept) | published.claimed
        pruned = _keys(commits) - named
        changed = published.tracks.get(f"{sensor}/{track}")
        if len(kept) < len(commits) and not dry_run:
            _drop(catalog.storage, sensor, track, {e.committed for e in commits} - {e.committed for e in kept})
        for key in stores:
            if key in pruned or (key not in named and _age_hours(key, now, changed) >= grace_hours):
                if not dry_run and _in_use(catalog.storage, sensor, track, key, pruned):
                    continue
                removed.append(key)
                if not dry_run:
                    catalog.storage.remove(f"{key}/zarr.json")  # first: a store with it counts as whole
                    catalog.storage.remove(key)
    return removed


def _in_use(storage: Storage, sensor: str, track: str, key: str, pruned: set[str]) -> bool:
    """Whether somebody has named or claimed a store meanwhile: a publication that goes on takes up what it left."""
    published = read_published(storage) or Published()
    return key in published.claimed or key in _keys(read_commits(storage, sensor, track)) - pruned


def _keys(entries: list[Entry]) -> set[str]:
    return {entry.store_key(band) for entry in entries for band in entry.bands}


def _drop(storage: Storage, sensor: str, track: str, dropped: set[str]) -> None:
    """Take commits out of the index, by their time, which is unique in a track."""
    commit(storage, sensor, track, lambda found: [entry for entry in found if entry.committed not in dropped])


def _pruned(commits: list[Entry], limit: datetime) -> list[Entry]:
    """Commits that are current, or were until after the limit."""
    kept = []
    for i, entry in enumerate(commits):
        later = [c for c in commits[i + 1 :] if (c.resolution, c.product) == (entry.resolution, entry.product)]
        if not later or datetime.fromisoformat(later[0].committed) > limit:
            kept.append(entry)
    return kept


def _stores(storage: Storage, sensor: str, track: str) -> Iterator[str]:
    for band in storage.children(f"{sensor}/{track}"):
        if not _BAND.fullmatch(band):
            continue
        for resolution in storage.children(f"{sensor}/{track}/{band}"):
            for store in storage.children(f"{sensor}/{track}/{band}/{resolution}"):
                if _REVISION_TIME.search(store):
                    yield f"{sensor}/{track}/{band}/{resolution}/{store}"


def _age_hours(key: str, now: datetime, changed: str | None) -> float:
    """Time since a store was made, or since the index of its track changed in a published root."""
    match = _REVISION_TIME.search(key)
    if match is None:
        raise CatalogError(f"{key} is not named like a revision")
    made = datetime.strptime(match.group(1), "%Y%m%dT%H%M%S%f").replace(tzinfo=UTC)
    unnamed = made if changed is None else max(made, datetime.fromisoformat(changed))
    return (now - unnamed).total_seconds() / 3600
