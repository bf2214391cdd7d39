"""Bytes in and out of a root URL: a local folder, or an object store through obstore.

This is the one place that turns a URL into something to read and write, and the one place that
reads credentials and endpoints, from the environment and the usual config files. Keys are relative
to the root, with ``/`` between their parts.
"""

import contextlib
import fcntl
import os
import shutil
import time
import uuid
from collections.abc import Callable, Iterator, Sequence
from functools import lru_cache
from pathlib import Path
from typing import IO, Any, Protocol
from urllib.parse import unquote, urlsplit

from mimtpy_cloud.errors import ConcurrentCommitError, StorageError

__all__ = ["LocalStorage", "ObjectStorage", "Storage", "open_storage"]

#: Attempts to replace an object that others keep changing.
_MAX_CONFLICTS = 60
_PART_BYTES = 8 << 20


class Storage(Protocol):
    """What a root can do; a missing key is a `FileNotFoundError`."""

    url: str

    def read(self, key: str) -> bytes:
        """Whole content of a key."""

    def read_tail(self, key: str, length: int) -> bytes:
        """Last `length` bytes of a key."""

    def read_ranges(self, key: str, ranges: Sequence[tuple[int, int]]) -> Iterator[Any]:
        """Buffers of the (offset, length) parts of a key, in order."""

    def write(self, key: str, data: bytes) -> None:
        """Create or replace a key as a whole."""

    def writer(self, key: str) -> "contextlib.AbstractContextManager[IO[bytes]]":
        """Stream into a key that appears only when the block ends without an error."""

    def update(self, key: str, change: Callable[[bytes | None], bytes]) -> None:
        """Replace a key by a function of its content, atomically against all other writers."""

    def children(self, prefix: str) -> list[str]:
        """Names directly below a prefix, without their trailing slash."""

    def remove(self, prefix: str) -> None:
        """Delete everything below a prefix."""

    def zarr_store(self, prefix: str, *, read_only: bool = False) -> Any:
        """Zarr store rooted at a prefix."""


def open_storage(url: str | os.PathLike[str]) -> Storage:
    """
    Open a root by its URL.

    Parameters
    ----------
    url : str or path
        A local path, ``file://``, ``s3://bucket/prefix``, ``gs://``, ``az://`` or ``https://``.

    Returns
    -------
    Storage
        Opening sends no request.

    Raises
    ------
    StorageError
        If the scheme is unknown.
    """
    text = os.fspath(url)
    scheme = urlsplit(text).scheme if "://" in text else ""
    if scheme == "file":
        return LocalStorage(unquote(urlsplit(text).path))
    return ObjectStorage(text.rstrip("/")) if scheme else LocalStorage(text)


class LocalStorage:
    """
    A folder of this machine.

    Parameters
    ----------
    folder : str or path
        Created when something is written.
    """

    def __init__(self, folder: str | os.PathLike[str]) -> None:
        self.folder = Path(folder).expanduser().absolute()
        self.url = str(self.folder)

    def read(self, key: str) -> bytes:
        """Read the whole content of a key."""
        return (self.folder / key).read_bytes()

    def read_tail(self, key: str, length: int) -> bytes:
        """Read the last bytes of a key."""
        with (self.folder / key).open("rb", buffering=0) as file:
            file.seek(-length, os.SEEK_END)
            return file.read(length)

    def read_ranges(self, key: str, ranges: Sequence[tuple[int, int]]) -> Iterator[bytes]:
        """Read parts of a key one after the other, so that only one is held."""
        handle = os.open(self.folder / key, os.O_RDONLY)
        try:
            for offset, length in ranges:
                yield os.pread(handle, length, offset)
        finally:
            os.close(handle)

    def write(self, key: str, data: bytes) -> None:
        """Write a key as a whole."""
        with self.writer(key) as file:
            file.write(data)

    @contextlib.contextmanager
    def writer(self, key: str) -> Iterator[IO[bytes]]:
        """Stream into a temporary sibling that is renamed at the end."""
        path = self.folder / key
        temporary = path.with_name(f".{path.name}.{uuid.uuid4().hex[:8]}.part")
        path.parent.mkdir(parents=True, exist_ok=True)
        try:
            with temporary.open("wb", buffering=0) as file:
                yield file
            temporary.replace(path)
        except BaseException:
            temporary.unlink(missing_ok=True)
            raise

    def update(self, key: str, change: Callable[[bytes | None], bytes]) -> None:
        """Replace a key under a lock file that other processes respect."""
        path = self.folder / key
        path.parent.mkdir(parents=True, exist_ok=True)
        with path.with_name(f".{path.name}.lock").open("wb") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            before = path.read_bytes() if path.exists() else None
            self.write(key, change(before))

    def children(self, prefix: str) -> list[str]:
        """List names directly below a prefix."""
        folder = self.folder / prefix
        if not folder.is_dir():
            return []
        return sorted(entry.name for entry in folder.iterdir() if not entry.name.startswith("."))

    def remove(self, prefix: str) -> None:
        """Delete everything below a prefix; a folder leaves the tree at once, by a rename."""
        path = self.folder / prefix
        if not path.exists():
            return
        doomed = path.with_name(f".{path.name}.{uuid.uuid4().hex[:8]}.trash")
        path.rename(doomed)
        shutil.rmtree(doomed) if doomed.is_dir() else doomed.unlink()

    def zarr_store(self, prefix: str, *, read_only: bool = False) -> Any:
        """Open a zarr store rooted at a prefix."""
        from zarr.storage import LocalStore

        return LocalStore(self.folder / prefix, read_only=read_only)


class ObjectStorage:
    """
    A prefix of an object store.

    Parameters
    ----------
    url : str
        For example ``s3://bucket/prefix``. Credentials, region and endpoint come from the
        environment (``AWS_ACCESS_KEY_ID``, ``AWS_ENDPOINT_URL``, ...).
    """

    def __init__(self, url: str) -> None:
        self.url = url
        self._store = _object_store(url)

    def __reduce__(self) -> tuple[Any, ...]:
        return ObjectStorage, (self.url,)

    def read(self, key: str) -> bytes:
        """Read the whole content of a key."""
        import obstore

        with _translated(self.url, key):
            return obstore.get(self._store, key).bytes().to_bytes()

    def read_tail(self, key: str, length: int) -> bytes:
        """Read the last bytes of a key."""
        import obstore

        with _translated(self.url, key):
            return obstore.get(self._store, key, options={"range": {"suffix": length}}).bytes().to_bytes()

    def read_ranges(self, key: str, ranges: Sequence[tuple[int, int]]) -> Iterator[Any]:
        """Read parts of a key; near ones are fetched together."""
        import obstore

        starts, lengths = [offset for offset, _ in ranges], [length for _, length in ranges]
        with _translated(self.url, key):
            yield from obstore.get_ranges(self._store, key, starts=starts, lengths=lengths)

    def write(self, key: str, data: bytes) -> None:
        """Write a key as a whole."""
        import obstore

        with _translated(self.url, key):
            obstore.put(self._store, key, data)

    @contextlib.contextmanager
    def writer(self, key: str) -> Iterator[Any]:
        """Stream a multipart upload; an error leaves no object."""
        import obstore

        with (
            _translated(self.url, key),
            obstore.open_writer(self._store, key, buffer_size=_PART_BYTES, max_concurrency=4) as file,
        ):
            yield file

    def update(self, key: str, change: Callable[[bytes | None], bytes]) -> None:
        """Replace a key by conditional PUT, again from the start when another writer was faster."""
        import obstore
        from obstore.exceptions import AlreadyExistsError, PreconditionError

        for attempt in range(_MAX_CONFLICTS):
            before, mode = self._versioned(key)
            with _translated(self.url, key):
                try:
                    obstore.put(self._store, key, change(before), mode=mode)
                    return
                except (AlreadyExistsError, PreconditionError):
                    time.sleep(min(1.0, 0.02 * 1.3**attempt))
        raise ConcurrentCommitError(
            f"{self.url}/{key} was changed by others {_MAX_CONFLICTS} times in a row; run the command again later"
        )

    def _versioned(self, key: str) -> tuple[bytes | None, Any]:
        import obstore

        try:
            with _translated(self.url, key):
                found = obstore.get(self._store, key)
                tag = found.meta["e_tag"]
                return found.bytes().to_bytes(), {"e_tag": tag}
        except FileNotFoundError:
            return None, "create"

    def children(self, prefix: str) -> list[str]:
        """List names directly below a prefix."""
        import obstore

        with _translated(self.url, prefix):
            found = obstore.list_with_delimiter(self._store, f"{prefix}/" if prefix else None)
        paths = [*found["common_prefixes"], *(item["path"] for item in found["objects"])]
        return sorted({path.rstrip("/").rpartition("/")[2] for path in paths})

    def remove(self, prefix: str) -> None:
        """Delete every object below a prefix."""
        import obstore

        with _translated(self.url, prefix):
            for batch in obstore.list(self._store, f"{prefix}/"):
                obstore.delete(self._store, [item["path"] for item in batch])

    def zarr_store(self, prefix: str, *, read_only: bool = False) -> Any:
        """Open a zarr store rooted at a prefix."""
        from zarr.storage import ObjectStore

        return ObjectStore(_object_store(f"{self.url}/{prefix}"), read_only=read_only)


@lru_cache(maxsize=256)
def _object_store(url: str) -> Any:
    from obstore.store import from_url

    endpoint = os.environ.get("AWS_ENDPOINT_URL_S3") or os.environ.get("AWS_ENDPOINT_URL") or ""
    options: dict[str, Any] = {}
    if url.startswith("s3://") and endpoint.startswith("http://"):
        options["client_options"] = {"allow_http": True}
    try:
        return from_url(url, **options)
    except Exception as error:
        raise StorageError(
            f"cannot open {url}: {error}; expected a local path, file://, s3://, gs://, az:// or https:// URL"
        ) from error


@contextlib.contextmanager
def _translated(url: str, key: str) -> Iterator[None]:
    """Turn obstore's errors into built-in ones that say what to check."""
    from obstore.exceptions import GenericError, PermissionDeniedError, UnauthenticatedError

    try:
        yield
    except FileNotFoundError:
        raise
    except (PermissionDeniedError, UnauthenticatedError) as error:
        raise StorageError(f"no permission for {url}/{key}: check the credentials and the bucket's policy") from error
    except GenericError as error:
        raise StorageError(f"cannot reach {url}/{key}: check the endpoint, the bucket and the network") from error
