"""What the catalog of a root said when it was warmed, for work without the network.

It is used without a request, and so may be out of date, until the root is warmed again, something is written to it from
here, or the cache is cleared.
"""

import hashlib
import json
import shutil
import uuid
from collections.abc import Callable
from datetime import UTC, datetime
from functools import lru_cache
from pathlib import Path
from typing import Any

from mimtpy_cloud.errors import StorageError
from mimtpy_cloud.io.storage import Storage

__all__ = ["Snapshot", "list_snapshots"]

#: How keys of indexes end: a snapshot has all of them.
_INDEX = "/index.json"


class Snapshot:
    """
    The snapshot of one root; empty if it was not warmed.

    Parameters
    ----------
    cache : path
        Folder of the cache.
    url : str
        Root URL.
    """

    def __init__(self, cache: Path, url: str) -> None:
        self._url = url
        self._folder = cache / "snapshots" / hashlib.sha256(url.encode()).hexdigest()[:24]

    def read(self, key: str, fetch: Callable[[str], bytes]) -> bytes:
        """
        Read an object as it was.

        Parameters
        ----------
        key : str
            Key below the root.
        fetch : callable
            Reads it from the root; called for what the snapshot does not know.

        Returns
        -------
        bytes

        Raises
        ------
        FileNotFoundError
            If there was none.
        """
        content = self._content()
        names = content.get("objects", {})
        if key not in names and not (content and key.endswith(_INDEX)):
            return fetch(key)
        if names.get(key) is None:  # also an index that is newer than the snapshot
            raise FileNotFoundError(2, "no such object", f"{self._url}/{key}")
        try:
            return (self._folder / str(names[key])).read_bytes()
        except OSError:
            return fetch(key)

    def children(self, prefix: str, fetch: Callable[[str], list[str]]) -> list[str]:
        """
        List names as they were.

        Parameters
        ----------
        prefix : str
            Key below the root.
        fetch : callable
            Lists the root; called for what the snapshot does not know.

        Returns
        -------
        list of str
        """
        found = self._content().get("children", {}).get(prefix)
        return fetch(prefix) if found is None else list(found)

    def forget(self) -> None:
        """Remove the snapshot."""
        shutil.rmtree(self._folder, ignore_errors=True)

    @property
    def taken(self) -> str:
        """When it was taken (UTC); empty if there is none."""
        return str(self._content().get("taken", ""))

    def take[T](self, storage: Storage, look: Callable[[Storage], T]) -> tuple[T, Callable[[], None]]:
        """
        Note what a look at the catalog finds, so that it can be found again without a request.

        Parameters
        ----------
        storage : Storage
            Root, not through the cache.
        look : callable
            Reads the catalog from the storage that it is given.

        Returns
        -------
        result : object
            What `look` returned.
        keep : callable
            Writes the snapshot; a `StorageError` if it cannot.
        """
        recorder = _Recorder(storage)
        return look(recorder), lambda: self._keep(recorder)

    def _keep(self, recorder: "_Recorder") -> None:
        temporary = self._folder.with_name(f"{self._folder.name}.{uuid.uuid4().hex[:8]}.part")
        try:
            temporary.mkdir(parents=True, mode=0o700)
            names: dict[str, str | None] = {}
            for key, data in recorder.objects.items():
                names[key] = None
                if data is not None:  # by content: a reader may have the list of the snapshot before
                    names[key] = name = hashlib.sha256(key.encode() + data).hexdigest()[:24]
                    (temporary / name).write_bytes(data)
            taken = datetime.now(UTC).isoformat(timespec="seconds")
            content = {"url": self._url, "taken": taken, "objects": names, "children": recorder.listings}
            (temporary / "content.json").write_text(json.dumps(content))
            self.forget()
            try:
                temporary.rename(self._folder)
            except OSError:  # another was faster
                self.forget()
                temporary.rename(self._folder)
        except OSError as error:
            shutil.rmtree(temporary, ignore_errors=True)
            raise StorageError(f"cannot write to the cache {self._folder.parents[1]}: {error.strerror}") from error

    def _content(self) -> dict[str, Any]:
        return _load(self._folder / "content.json")


def list_snapshots(cache: Path) -> dict[str, str]:
    """
    List the snapshots that a cache holds.

    Parameters
    ----------
    cache : path
        Folder of the cache.

    Returns
    -------
    dict
        From the URL of a root to when its snapshot was taken (UTC).
    """
    files = (cache / "snapshots").glob("*[!t]/content.json")  # not those in folders that end in .part
    found = (_load(file) for file in sorted(files))
    return {content["url"]: content["taken"] for content in found if {"url", "taken"} <= content.keys()}


def _load(file: Path) -> dict[str, Any]:
    try:
        return _parsed(str(file), file.stat().st_mtime_ns)
    except OSError:
        return {}


@lru_cache(maxsize=16)
def _parsed(file: str, _changed: int) -> dict[str, Any]:
    try:
        content = json.loads(Path(file).read_bytes())
    except ValueError:
        return {}
    return content if isinstance(content, dict) else {}


class _Recorder:
    """A storage that notes what is read of its catalog, by several threads."""

    def __init__(self, origin: Storage) -> None:
        self.url, self._origin = origin.url, origin
        self.objects: dict[str, bytes | None] = {}
        self.listings: dict[str, list[str]] = {}

    def __getattr__(self, name: str) -> Any:
        return getattr(self._origin, name)

    def read(self, key: str) -> bytes:
        if (known := self.objects.get(key)) is not None:
            return known
        try:
            data = self.objects[key] = self._origin.read(key)
        except FileNotFoundError:
            self.objects[key] = None
            raise
        return data

    def children(self, prefix: str) -> list[str]:
        found = self.listings[prefix] = self._origin.children(prefix)
        return found
