"""The index of a track: one JSON object, the commit point of everything below it.

``{root}/{sensor}/{track}/index.json`` lists commits, oldest first. A commit names one revision of
one product at one resolution, in all its bands, with everything that is needed to open it. The
newest commit of a product and resolution is the current one; as of an earlier time, the newest
until then. A store that no commit names does not exist for a reader.
"""

import json
import math
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from os import PathLike
from typing import Any, Self

from mimtpy_cloud.catalog.published import Published, changing, read_published
from mimtpy_cloud.catalog.table import read_table
from mimtpy_cloud.errors import CatalogError, DateError, StorageError, TrackNotFoundError
from mimtpy_cloud.io.cache import cached_storage, forget_snapshot
from mimtpy_cloud.io.storage import LocalStorage, Storage
from mimtpy_cloud.plan.dates import parse_date
from mimtpy_cloud.plan.grid import Bounds, Window, turned

__all__ = [
    "DEFAULT_RESOLUTION",
    "Catalog",
    "Entry",
    "choose_resolution",
    "commit",
    "index_key",
    "open_catalog",
    "open_root",
    "read_commits",
]

#: Resolution that is meant where a track has several and none is named.
DEFAULT_RESOLUTION = "standard"

_FORMAT = 1
_TRACK = re.compile(r"[AD]\d{3}")
#: What is not in a name that is part of a key, be it of a folder or of an object store.
_UNSAFE = re.compile(r"[/\\%\x00-\x1f]|^\.|^$")


@dataclass(frozen=True)
class Entry:
    """
    One revision of one product of a track at one resolution.

    Parameters
    ----------
    sensor, track, product, resolution : str
        Where it belongs, for example Sentinel, A124, 0113_0119, standard.
    pixels_per_degree : int
        Of the lattice.
    revision : str
        ``{product}-{UTC time}-{8 hex of content and parameters}``.
    committed : str
        ISO time of the commit, UTC.
    project : str
        Name that the source gave itself; empty if none.
    content : str
        Hash of source and parameters.
    dates : tuple of str
        ISO dates; empty for products without time.
    window : tuple of int
        Row, column, rows, columns of the data on the lattice.
    band_windows : mapping of int to tuple of int
        The same of each band's store, aligned to tiles.
    variables : tuple of str
        Names of the 2-D and 3-D arrays.
    perpendicular_baseline : tuple of float
        Along the dates, m; empty if unknown.
    attrs : mapping
        Attributes of the dataset.

    Raises
    ------
    CatalogError
        If a name could lead elsewhere than below the root.
    """

    sensor: str
    track: str
    product: str
    resolution: str
    pixels_per_degree: int
    revision: str
    committed: str
    project: str
    content: str
    dates: tuple[str, ...]
    window: tuple[int, int, int, int]
    band_windows: Mapping[int, tuple[int, int, int, int]]
    variables: tuple[str, ...]
    perpendicular_baseline: tuple[float, ...] = ()
    attrs: Mapping[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        names = (self.sensor, self.track, self.product, self.resolution, self.revision, *self.variables)
        for name in names:
            if not isinstance(name, str) or _UNSAFE.search(name):
                raise CatalogError(f"expected a name without / \\ % and not starting with a point, got {name!r}")

    @property
    def bands(self) -> tuple[int, ...]:
        """One-degree bands that have a store, south to north."""
        return tuple(sorted(self.band_windows))

    @property
    def extent(self) -> Window:
        """Pixels of the data."""
        return Window(self.pixels_per_degree, *self.window)

    @property
    def bounds(self) -> Bounds:
        """West, south, east, north of the data in degrees."""
        return self.extent.bounds

    def band_window(self, band: int) -> Window:
        """
        Pixels that a band's store covers.

        Parameters
        ----------
        band : int
            One of `bands`.

        Returns
        -------
        Window
        """
        return Window(self.pixels_per_degree, *self.band_windows[band])

    def store_key(self, band: int) -> str:
        """
        Key of a band's store below the root.

        Parameters
        ----------
        band : int
            One of `bands`.

        Returns
        -------
        str
        """
        return f"{self.sensor}/{self.track}/{band}/{self.resolution}/{self.revision}.zarr"

    @classmethod
    def from_json(cls, item: Mapping[str, Any]) -> Self:
        """
        Read an entry as the index stores it.

        Parameters
        ----------
        item : mapping
            One element of ``commits``.

        Returns
        -------
        Entry

        Raises
        ------
        CatalogError
            If a name could lead elsewhere than below the root.
        """
        bands = {int(band): tuple(window) for band, window in item["band_windows"].items()}
        tuples = {name: tuple(item[name]) for name in ("dates", "window", "variables")}
        baseline = tuple(math.nan if value is None else value for value in item["perpendicular_baseline"])
        return cls(**{**item, **tuples, "band_windows": bands, "perpendicular_baseline": baseline})

    def to_json(self) -> dict[str, Any]:
        """
        Make what the index stores; JSON has no NaN, so an unknown baseline is null.

        Returns
        -------
        dict
        """
        baseline = [value if math.isfinite(value) else None for value in self.perpendicular_baseline]
        return asdict(self) | {"perpendicular_baseline": baseline}


def index_key(sensor: str, track: str) -> str:
    """
    Key of a track's index below the root.

    Parameters
    ----------
    sensor, track : str
        For example Sentinel and A124.

    Returns
    -------
    str
    """
    return f"{sensor}/{track}/index.json"


def _load(data: bytes | None, where: str) -> list[Entry]:
    if data is None:
        return []
    try:
        content = json.loads(data)
        if content["format"] != _FORMAT:
            raise CatalogError(f"it has format {content['format']}, this version reads {_FORMAT}; update mimtpy_cloud")
        return [Entry.from_json(item) for item in content["commits"]]
    except CatalogError as error:
        raise CatalogError(f"{where} cannot be used: {error}") from error
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise CatalogError(
            f"{where} is not a mimtpy_cloud index ({error!r}); restore it, or move it away and ingest again"
        ) from error


def _dump(commits: Sequence[Entry]) -> bytes:
    items = [entry.to_json() for entry in commits]
    return json.dumps({"format": _FORMAT, "commits": items}, separators=(",", ":"), allow_nan=False).encode()


def read_commits(storage: Storage, sensor: str, track: str) -> list[Entry]:
    """
    Read all commits of a track, oldest first, in one request.

    Parameters
    ----------
    storage : Storage
        Root.
    sensor, track : str
        For example Sentinel and A124.

    Returns
    -------
    list of Entry
        Empty if the track has no index.

    Raises
    ------
    CatalogError
        If the index is unreadable.
    """
    key = index_key(sensor, track)
    try:
        data = storage.read(key)
    except (FileNotFoundError, NotADirectoryError):
        return []
    return _load(data, f"{storage.url}/{key}")


def commit(storage: Storage, sensor: str, track: str, change: Callable[[list[Entry]], list[Entry]]) -> None:
    """
    Replace the commits of a track atomically.

    Parameters
    ----------
    storage : Storage
        Root.
    sensor, track : str
        For example Sentinel and A124.
    change : callable
        From the commits there are to those there shall be; called again when another writer was
        faster.

    Raises
    ------
    CatalogError
        If the index is unreadable.
    ConcurrentCommitError
        If others kept winning.
    """
    key = index_key(sensor, track)
    with changing(storage, sensor, track):
        storage.update(key, lambda data: _dump(change(_load(data, f"{storage.url}/{key}"))))
    forget_snapshot(storage)


def _as_of_time(as_of: str | datetime | None) -> str | None:
    """Time in the form of `Entry.committed`, so that both compare as text."""
    if as_of is None:
        return None
    try:
        time = as_of if isinstance(as_of, datetime) else datetime.fromisoformat(as_of)
    except (ValueError, TypeError) as error:
        raise DateError(f"as_of must be an ISO time such as 2026-11-22T10:00, got {as_of!r}") from error
    if isinstance(as_of, str) and len(as_of) <= len("2026-11-22"):
        time = time.replace(hour=23, minute=59, second=59, microsecond=999_999)
    utc = time.replace(tzinfo=UTC) if time.tzinfo is None else time.astimezone(UTC)
    return utc.isoformat(timespec="microseconds")


class Catalog:
    """
    Everything that has been committed below a root.

    Parameters
    ----------
    root : str or path
        Root URL.
    as_of : str or datetime, optional
        Show the catalog as it was at that time (UTC; a bare date means its end).
    cache : bool, optional
        Whether to read through the local cache; by default if ``MIMTPY_CACHE_DIR`` is set.
    """

    def __init__(
        self, root: str | PathLike[str], *, as_of: str | datetime | None = None, cache: bool | None = None
    ) -> None:
        self.storage, self.cache = open_root(root, cache=cache), cache
        self._until = _as_of_time(as_of)

    @property
    def root(self) -> str:
        """Root URL."""
        return self.storage.url

    @property
    def as_of(self) -> str | None:
        """Time as of which it is read, UTC; None for now."""
        return self._until

    def __repr__(self) -> str:
        return f"Catalog({self.root!r})" if self._until is None else f"Catalog({self.root!r}, as_of={self._until!r})"

    def sensors(self) -> list[str]:
        """
        List sensors that have a folder of a track; other folders and files below the root do not matter.

        Returns
        -------
        list of str
        """
        return sorted({sensor for sensor, _ in self.track_folders()})

    def track_folders(
        self, sensor: str | None = None, track: str | None = None, *, listed: bool = False
    ) -> Iterator[tuple[str, str]]:
        """
        List the folders of tracks, as ``published.json`` or else the storage names them; some may have no index yet.

        Parameters
        ----------
        sensor, track : str, optional
            Only this one.
        listed : bool
            Ask the storage in any case: an interrupted publication may have left folders that nothing names.

        Yields
        ------
        sensor, track : str

        Raises
        ------
        StorageError
            If the storage can be read but not listed, and was not published.
        """
        if sensor is not None and track is not None:
            yield sensor, track
            return
        yield from self._folders(None if listed else read_published(self.storage), sensor, track)

    def _folders(self, published: Published | None, sensor: str | None, track: str | None) -> Iterator[tuple[str, str]]:
        if published is not None:
            yield from ((s, t) for s, t in published.folders if sensor in (None, s) and track in (None, t))
            return
        for s in [sensor] if sensor else self._sensor_folders():
            if track is not None:
                yield s, track
            else:
                yield from ((s, t) for t in self.storage.children(s) if _TRACK.fullmatch(t))

    def _sensor_folders(self) -> list[str]:
        try:
            return self.storage.children("")
        except StorageError as error:
            if not self.root.startswith(("http://", "https://")):
                raise
            raise StorageError(
                f"{self.root} has no published.json, and a web root cannot be listed; check the address, or make it "
                "with mimtpy publish"
            ) from error

    def current(self, sensor: str, track: str) -> list[Entry]:
        """
        Read the current entries of a track in one request.

        Parameters
        ----------
        sensor, track : str
            For example Sentinel and A124.

        Returns
        -------
        list of Entry
            One a product and resolution, sorted.
        """
        newest: dict[tuple[str, str], Entry] = {}
        for entry in read_commits(self.storage, sensor, track):
            if self._until is None or entry.committed <= self._until:
                newest[entry.resolution, entry.product] = entry
        return [newest[key] for key in sorted(newest)]

    def tracks(self) -> list[str]:
        """
        List the tracks that have a current entry; reads one index a track, or the table of a published root.

        Returns
        -------
        list of str
        """
        return sorted({entry.track for entry in self._entries(None, None)})

    def _entries(self, sensor: str | None, track: str | None) -> Iterator[Entry]:
        """Current entries in order: those of the table of a published root, else those of the indexes."""
        if sensor is not None and track is not None:
            yield from self.current(sensor, track)
            return
        published = read_published(self.storage)
        rows = None if published is None or track or self._until else read_table(self.storage, published)
        if rows is not None:
            yield from (entry for entry in map(Entry.from_json, rows) if sensor in (None, entry.sensor))
            return
        for s, t in self._folders(published, sensor, track):
            yield from self.current(s, t)

    def search(
        self,
        *,
        sensor: str | None = None,
        track: str | None = None,
        bbox: Bounds | None = None,
        resolution: str | None = None,
        product: str | None = None,
        project: str | None = None,
        start: Any = None,
        end: Any = None,
    ) -> list[Entry]:
        """
        Find current entries; reads one index a track, or the table of a published root, and no store.

        Parameters
        ----------
        sensor, track : str, optional
            Exact names.
        bbox : tuple of float, optional
            West, south, east, north in degrees; entries whose extent overlaps it.
        resolution, product, project : str, optional
            Exact names.
        start, end : date-like, optional
            Entries with an acquisition in this closed range.

        Returns
        -------
        list of Entry
            Sorted by sensor, track, resolution and product; empty if nothing fits.

        Raises
        ------
        CatalogError
            If an index is unreadable.
        GridMismatchError
            If `bbox` is malformed.
        DateError
            If `start` or `end` is not a date, or the first is after the second.
        """
        if bbox is not None:
            Window.within(1, bbox)  # raises where malformed
        first = "0000" if start is None else str(parse_date(start))
        last = "9999" if end is None else str(parse_date(end))
        if first > last:
            raise DateError(f"the start {first} is after the end {last}; exchange them")
        wanted = {"resolution": resolution, "product": product, "project": project}
        return [
            entry
            for entry in self._entries(sensor, track)
            if all(value is None or getattr(entry, name) == value for name, value in wanted.items())
            and (bbox is None or _overlap(entry.bounds, turned(bbox, entry.bounds)))
            and ((start is None and end is None) or any(first <= date <= last for date in entry.dates))
        ]

    def find(
        self, track: str, *, resolution: str | None = None, product: str | None = None, sensor: str = "Sentinel"
    ) -> Entry:
        """
        Find the one current entry that a track, resolution and product name.

        Parameters
        ----------
        track : str
            For example ``"A124"``, or with its sensor ``"Sentinel/A124"``.
        resolution : str, optional
            Name of the lattice; by default standard, or the only one there is.
        product : str, optional
            Needed if the track has several at that resolution.
        sensor : str
            First path element, of a track that names none.

        Returns
        -------
        Entry

        Raises
        ------
        TrackNotFoundError
            If there is none; the message lists what exists.
        CatalogError
            If there are several products, or several resolutions without standard among them.
        """
        if "/" in track:
            sensor, _, track = track.partition("/")
        entries = self.current(sensor, track)
        if not entries:
            others = ", ".join(f"{s}/{t}" for s, t in self.track_folders() if self.current(s, t))
            if not others and self._until is None:
                raise TrackNotFoundError(f"no catalog at {self.root}: ingest something first, or check --root")
            when = f" as of {self._until}" if self._until else ""
            raise TrackNotFoundError(f"no track {sensor}/{track} in {self.root}{when}; it has {others or 'no track'}")
        if resolution is None:
            resolution = choose_resolution(track, [e for e in entries if product in (None, e.product)] or entries)
        found = [e for e in entries if e.resolution == resolution and product in (None, e.product)]
        if len(found) == 1:
            return found[0]
        have = ", ".join(f"{e.resolution}/{e.product}" for e in entries)
        if not found:
            what = f"resolution {resolution!r}" + (f" and product {product!r}" if product else "")
            raise TrackNotFoundError(f"track {track} has nothing with {what}; it has {have} (resolution/product)")
        raise CatalogError(f"track {track} has several products at {resolution}; name one by product=: {have}")


def choose_resolution(track: str, entries: Sequence[Entry]) -> str:
    """
    Choose the resolution that is meant where none is named.

    Parameters
    ----------
    track : str
        What the user named, for the message.
    entries : sequence of Entry
        What fits it; at least one.

    Returns
    -------
    str
        The only one there is, or else standard.

    Raises
    ------
    CatalogError
        If there are several without standard.
    """
    names = sorted({entry.resolution for entry in entries})
    if len(names) == 1:
        return names[0]
    if DEFAULT_RESOLUTION in names:
        return DEFAULT_RESOLUTION
    raise CatalogError(f"{track} has the resolutions {', '.join(names)}; name one (resolution)")


def _overlap(a: Bounds, b: Bounds) -> bool:
    return a[0] < b[2] and b[0] < a[2] and a[1] < b[3] and b[1] < a[3]


def open_root(root: str | PathLike[str], *, cache: bool | None = None) -> Storage:
    """
    Open the storage of a root.

    Parameters
    ----------
    root : str or path
        Root URL.
    cache : bool, optional
        As for `open_catalog`.

    Returns
    -------
    Storage

    Raises
    ------
    StorageError
        If it is a file, or the URL's scheme is unknown.
    """
    storage = cached_storage(root, cache=cache)
    if isinstance(storage, LocalStorage) and storage.folder.is_file():
        raise StorageError(f"the root {storage.url} is a file; give a folder, which may be new, or a URL")
    return storage


def open_catalog(
    root: str | PathLike[str], *, as_of: str | datetime | None = None, cache: bool | None = None
) -> Catalog:
    """
    Open the catalog below a root URL.

    Parameters
    ----------
    root : str or path
        Folder or object-store prefix that `ingest` or `publish` wrote to, or the web address of a published one.
    as_of : str or datetime, optional
        Show the catalog as it was at that time (UTC; a bare date means its end).
    cache : bool, optional
        Whether what is read of an object store or web server is kept on this machine's disk (``MIMTPY_CACHE_DIR``,
        ``MIMTPY_CACHE_SIZE``); by default if ``MIMTPY_CACHE_DIR`` is set. A local root is never cached.

    Returns
    -------
    Catalog
        Opening reads nothing.

    Raises
    ------
    DateError
        If `as_of` is not a time.
    StorageError
        If it is a file, or the URL's scheme is unknown.
    """
    return Catalog(root, as_of=as_of, cache=cache)
