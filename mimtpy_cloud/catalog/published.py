"""What a published root says of itself in one object, so that it can be read where nothing can be listed.

``{root}/published.json`` names the tracks, and how far changes are: which stores are being copied (`gc` leaves them
alone), which indexes are being replaced, and the table of all entries that a search may read instead of the indexes.
The table is named only while it agrees with every index: who replaces one takes its name away first, and who writes
one names it only if the generation is still that under which the indexes were read.
"""

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field, fields, replace
from datetime import UTC, datetime, timedelta
from typing import Any, Self
from uuid import uuid4

from mimtpy_cloud.errors import CatalogError
from mimtpy_cloud.io.storage import Storage

__all__ = ["KEY", "Published", "changing", "copying", "name_table", "read_published"]

#: Key below the root.
KEY = "published.json"

_FORMAT = 1
#: What was begun so long ago is taken as dead.
_CLAIMS_LAST = timedelta(hours=24)


@dataclass(frozen=True)
class Published:
    """
    Content of ``published.json``.

    Parameters
    ----------
    generation : str
        Another one after each change of an index.
    source : str
        Name of the root that was published, without its path.
    tracks : mapping of str to str
        Time of the last change of the index, for each ``{sensor}/{track}``.
    copying : mapping of str to mapping
        Publications under way: ``since`` and the ``stores`` that they write.
    changing : mapping of str to str
        Replacements of an index under way, since when.
    table : str
        Key of the table of all current entries; empty if there is none that agrees with the indexes.
    """

    generation: str = ""
    source: str = ""
    tracks: Mapping[str, str] = field(default_factory=dict)
    copying: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    changing: Mapping[str, str] = field(default_factory=dict)
    table: str = ""

    @property
    def folders(self) -> list[tuple[str, str]]:
        """Sensor and track of each index, sorted."""
        return sorted((sensor, track) for sensor, _, track in (name.partition("/") for name in self.tracks))

    @property
    def claimed(self) -> set[str]:
        """Stores that a publication under way may be writing."""
        return {store for claim in self.alive().copying.values() for store in claim["stores"]}

    def alive(self) -> Self:
        """
        Forget what was begun too long ago.

        Returns
        -------
        Published
        """
        limit = (datetime.now(UTC) - _CLAIMS_LAST).isoformat(timespec="microseconds")
        copying = {name: claim for name, claim in self.copying.items() if claim["since"] > limit}
        return replace(
            self, copying=copying, changing={n: since for n, since in self.changing.items() if since > limit}
        )

    @classmethod
    def from_json(cls, data: bytes, where: str) -> Self:
        """
        Read what the object holds.

        Parameters
        ----------
        data : bytes
            The object.
        where : str
            Its URL, for messages.

        Returns
        -------
        Published

        Raises
        ------
        CatalogError
            If it is no such object, or one of a later version.
        """
        try:
            content = json.loads(data)
            if content.pop("format") != _FORMAT:
                raise CatalogError(f"{where} is of a later version; update mimtpy_cloud")
            found = cls(**content)
        except CatalogError:
            raise
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            raise CatalogError(f"{where} is damaged ({error!r}); remove it, and publish again") from error
        wrong = [f.name for f in fields(cls) if not isinstance(getattr(found, f.name), str if f.type is str else dict)]
        if wrong:
            raise CatalogError(f"{where} is damaged ({', '.join(wrong)}); remove it, and publish again")
        return found

    def to_json(self) -> bytes:
        """
        Make what the object holds.

        Returns
        -------
        bytes
        """
        return json.dumps({"format": _FORMAT, **asdict(self)}, indent=1).encode()


def read_published(storage: Storage) -> Published | None:
    """
    Read ``published.json`` in one request.

    Parameters
    ----------
    storage : Storage
        Root.

    Returns
    -------
    Published or None
        None if the root was never published to.

    Raises
    ------
    CatalogError
        If it is damaged.
    """
    try:
        return Published.from_json(storage.read(KEY), f"{storage.url}/{KEY}")
    except FileNotFoundError:
        return None


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="microseconds")


def _update(storage: Storage, change: Callable[[Published], Published]) -> None:
    def changed(data: bytes | None) -> bytes:
        found = Published() if data is None else Published.from_json(data, f"{storage.url}/{KEY}")
        return change(found.alive()).to_json()

    storage.update(KEY, changed)


@contextmanager
def copying(storage: Storage, stores: Sequence[str], source: str) -> Iterator[None]:
    """
    Keep `gc` from removing stores that no index names yet; makes the root a published one.

    Parameters
    ----------
    storage : Storage
        Root.
    stores : sequence of str
        Keys of the stores that are going to be named.
    source : str
        Name of the root they come from.

    Yields
    ------
    None
        After an error the claim stays for a day, so that the same publication can continue.
    """
    name = uuid4().hex[:8]
    claim = {"since": _now(), "stores": list(stores)}
    _update(storage, lambda p: replace(p, source=source, copying={**p.copying, name: claim}))
    yield
    done = frozenset(stores)

    def finished(found: Published) -> Published:
        """Without the claim, and those of the same publication that were interrupted."""
        return replace(found, copying={n: c for n, c in found.copying.items() if not done.issuperset(c["stores"])})

    _update(storage, finished)


@contextmanager
def changing(storage: Storage, sensor: str, track: str) -> Iterator[None]:
    """
    Keep ``published.json`` true while an index is replaced; does nothing in a root that has none.

    Parameters
    ----------
    storage : Storage
        Root.
    sensor, track : str
        Whose index.

    Yields
    ------
    None
    """
    if read_published(storage) is None:
        yield
        return
    name, tracks = uuid4().hex[:8], {}
    _update(storage, lambda p: replace(p, table="", generation=_new(), changing={**p.changing, name: _now()}))
    try:
        yield
        tracks = {f"{sensor}/{track}": _now()}
    finally:
        _update(
            storage,
            lambda p: replace(
                p,
                table="",
                generation=_new(),
                tracks={**p.tracks, **tracks},
                changing={n: since for n, since in p.changing.items() if n != name},
            ),
        )


def _new() -> str:
    return uuid4().hex


def name_table(storage: Storage, key: str, generation: str) -> bool:
    """
    Let searches read a table of entries instead of the indexes.

    Parameters
    ----------
    storage : Storage
        Published root.
    key : str
        Key of the table.
    generation : str
        What `Published.generation` was before the indexes were read from which the table was made.

    Returns
    -------
    bool
        False if an index was or is being replaced meanwhile; then the table is not named.
    """
    named = False

    def change(found: Published) -> Published:
        nonlocal named
        named = found.generation == generation and not found.changing
        return replace(found, table=key if named else found.table)

    _update(storage, change)
    return named
