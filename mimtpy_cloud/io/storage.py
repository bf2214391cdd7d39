"""Bytes in and out of a root URL: a local folder, or an object store through obstore.

Keys are relative to the root, with ``/`` between their parts; a key that leaves the root is an error. Clients, and
the words for their errors, come from `mimtpy_cloud.location`.
"""

import contextlib
import errno
import fcntl
import os
import shutil
import time
import uuid
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import IO, Any, Protocol
from urllib.parse import unquote, urlsplit

from mimtpy_cloud.errors import ConcurrentCommitError, StorageError
from mimtpy_cloud.location import explain, object_store

__all__ = ["LocalStorage", "ObjectStorage", "Storage", "open_storage"]

#: Attempts to replace an object that others keep changing.
_MAX_CONFLICTS = 60
#: Lost answers after which a replacement is tried again, whether it went through or not.
_MAX_LOST = 3
_PART_BYTES = 8 << 20
_NO_SPACE = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)


class Storage(Protocol):
    """What a root can do; a missing key is a `FileNotFoundError`, any other failure a `StorageError`."""

    url: str

    def read(self, key: str) -> bytes:
        """Whole content of a key."""

    def read_tail(self, key: str, length: int) -> bytes:
        """Last `length` bytes of a key; all of it if it is shorter."""

    def read_ranges(self, key: str, ranges: Sequence[tuple[int, int]]) -> Iterator[Any]:
        """Buffers of the (offset, length) parts of a key, in order, each valid until the next; short at the end."""

    def discard(self, key: str, ranges: Sequence[tuple[int, int]] = (), *, tail: int = 0) -> None:
        """Forget what is kept here of parts of a key, as they turned out damaged."""

    def write(self, key: str, data: bytes) -> None:
        """Create or replace a key as a whole."""

    def writer(self, key: str) -> "contextlib.AbstractContextManager[IO[bytes]]":
        """Stream into a key that appears only when the block ends without an error."""

    def update(self, key: str, change: Callable[[bytes | None], bytes]) -> None:
        """
        Replace a key by a function of its content, atomically against all other writers.

        The function may be called again, also with what it made itself: where the answer of the server was lost.
        """

    def children(self, prefix: str) -> list[str]:
        """Names directly below a prefix, without their trailing slash."""

    def remove(self, prefix: str) -> None:
        """Delete a key, or everything below a prefix; nothing if there is none."""

    def zarr_store(self, prefix: str, *, read_only: bool = False) -> Any:
        """Zarr store rooted at a prefix."""


def open_storage(url: str | os.PathLike[str]) -> Storage:
    """
    Open a root by its URL.

    Parameters
    ----------
    url : str or path
        A local path, ``file://``, ``s3://bucket/prefix``, ``gs://``, ``az://``, or ``https://``
        (which can be read, but neither listed nor written).

    Returns
    -------
    Storage
        Opening sends no request.

    Raises
    ------
    StorageError
        If the scheme is unknown, a ``file://`` URL names another host, or the URL carries a
        password or a query.

    Examples
    --------
    >>> open_storage("file:///data/my%20tracks").url
    '/data/my tracks'
    """
    text = os.fspath(url)
    if "://" not in text:
        return LocalStorage(text)
    parts = urlsplit(text)
    if parts.password is not None or parts.query:
        raise StorageError(
            f"a {parts.scheme}:// root must not carry a password or a query, which would end up in catalogs and logs; "
            "give credentials by the environment"
        )
    if parts.scheme != "file":
        return ObjectStorage(text)
    if parts.netloc not in ("", "localhost"):
        raise StorageError(f"expected file:///folder on this machine, got {text} of host {parts.netloc!r}")
    return LocalStorage(unquote(parts.path))


class LocalStorage:
    """
    A folder of this machine.

    Parameters
    ----------
    folder : str or path
        Created when something is written.

    Notes
    -----
    An object gets its name by a rename, so that a killed process leaves nothing half written under
    it. `update` also waits until the new content is on the disk. Other objects are left to the page
    cache: syncing them would make an ingest wait for the disk, and what a power failure tears in
    these seconds fails its checksum or does not decode.
    """

    def __init__(self, folder: str | os.PathLike[str]) -> None:
        self.folder = Path(folder).expanduser().absolute()
        self.url = str(self.folder)

    def read(self, key: str) -> bytes:
        """Read the whole content of a key."""
        with _reading(path := self._path(key)):
            return path.read_bytes()

    def read_tail(self, key: str, length: int) -> bytes:
        """Read the last bytes of a key."""
        with _reading(path := self._path(key)), path.open("rb", buffering=0) as file:
            size = file.seek(0, os.SEEK_END)
            file.seek(max(0, size - length))
            return file.read(length)

    def read_ranges(self, key: str, ranges: Sequence[tuple[int, int]]) -> Iterator[Any]:
        """Read parts of a key one after the other into one buffer, which the next one overwrites."""
        buffer = memoryview(bytearray(max((length for _, length in ranges), default=0)))
        with _reading(path := self._path(key)), path.open("rb", buffering=0) as file:
            for offset, length in ranges:
                count = os.preadv(file.fileno(), [buffer[:length]], offset)
                yield buffer[:count]

    def discard(self, key: str, ranges: Sequence[tuple[int, int]] = (), *, tail: int = 0) -> None:
        """Do nothing: nothing is kept."""

    def write(self, key: str, data: bytes) -> None:
        """Write a key as a whole."""
        with self.writer(key) as file:
            file.write(data)

    @contextlib.contextmanager
    def writer(self, key: str) -> Iterator[IO[bytes]]:
        """Stream into a temporary sibling that is renamed at the end."""
        path = self._path(key)
        temporary = path.with_name(f".{path.name}.{uuid.uuid4().hex[:8]}.part")
        with _writing(path):
            path.parent.mkdir(parents=True, exist_ok=True)
            file = temporary.open("wb")  # buffered: a bare file may write less than it was given
        try:
            with file:
                yield file
            with _writing(path):
                temporary.replace(path)
        except BaseException as error:
            temporary.unlink(missing_ok=True)
            if isinstance(error, OSError) and error.errno in _NO_SPACE:
                raise StorageError(f"cannot write {path}: {error.strerror}; free some space and try again") from error
            raise

    def update(self, key: str, change: Callable[[bytes | None], bytes]) -> None:
        """Replace a key under a lock file that other processes respect."""
        path = self._path(key)
        with _writing(path):
            path.parent.mkdir(parents=True, exist_ok=True)
            lock = path.with_name(f".{path.name}.lock").open("wb")
        with lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            after = change(self.read(key) if path.exists() else None)
            with self.writer(key) as file:
                file.write(after)
                file.flush()
                os.fsync(file.fileno())
            _sync_folder(path.parent)

    def children(self, prefix: str) -> list[str]:
        """List names directly below a prefix."""
        folder = self._path(prefix)
        if not folder.is_dir():
            return []
        with _reading(folder):
            return sorted(entry.name for entry in folder.iterdir() if not entry.name.startswith("."))

    def remove(self, prefix: str) -> None:
        """Delete a key or everything below a prefix; it leaves the tree at once, by a rename."""
        _refuse_root(self.url, prefix)
        path = self._path(prefix)
        if not path.exists():
            return
        doomed = path.with_name(f".{path.name}.{uuid.uuid4().hex[:8]}.trash")
        with contextlib.suppress(FileNotFoundError), _writing(path):  # another process may be faster
            path.rename(doomed)
            shutil.rmtree(doomed) if doomed.is_dir() else doomed.unlink()

    def _path(self, key: str) -> Path:
        _require_key(self.url, key)
        return self.folder / key

    def zarr_store(self, prefix: str, *, read_only: bool = False) -> Any:
        """Open a zarr store rooted at a prefix."""
        from zarr.storage import LocalStore

        return LocalStore(self._path(prefix), read_only=read_only)


class ObjectStorage:
    """
    A prefix of an object store.

    Parameters
    ----------
    url : str
        For example ``s3://bucket/prefix``. Credentials, region and endpoint come from the
        environment (``AWS_ACCESS_KEY_ID``, ``AWS_ENDPOINT_URL``, ...), else from the AWS config
        files; ``AWS_SKIP_SIGNATURE=true`` reads a public bucket without credentials.
    """

    def __init__(self, url: str) -> None:
        self.url = url.rstrip("/")
        self._store = object_store(self.url)

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
        from obstore.exceptions import GenericError, NotSupportedError

        with _translated(self.url, key):
            try:
                return obstore.get(self._store, key, options={"range": {"suffix": length}}).bytes().to_bytes()
            except GenericError as error:
                if "416 Range Not Satisfiable" in str(error):  # an empty object has no last bytes
                    return b""
                raise
            except NotSupportedError:  # Azure has no ranges from the end
                size = int(obstore.head(self._store, key)["size"])
                start = max(0, size - length)
                return obstore.get_range(self._store, key, start=start, end=size).to_bytes() if size else b""

    def read_ranges(self, key: str, ranges: Sequence[tuple[int, int]]) -> Iterator[Any]:
        """Read parts of a key; near ones are fetched together."""
        import obstore

        starts, lengths = [offset for offset, _ in ranges], [length for _, length in ranges]
        with _translated(self.url, key):
            yield from obstore.get_ranges(self._store, key, starts=starts, lengths=lengths)

    def discard(self, key: str, ranges: Sequence[tuple[int, int]] = (), *, tail: int = 0) -> None:
        """Do nothing: nothing is kept."""

    def write(self, key: str, data: bytes) -> None:
        """Write a key as a whole."""
        import obstore

        with _translated(self.url, key):
            obstore.put(self._store, key, data)

    @contextlib.contextmanager
    def writer(self, key: str) -> Iterator[Any]:
        """Stream a multipart upload; an error leaves no object."""
        import obstore

        with _translated(self.url, key):
            file = obstore.open_writer(self._store, key, buffer_size=_PART_BYTES, max_concurrency=4)
        with contextlib.ExitStack() as upload:
            upload.enter_context(file)
            yield _Upload(file, self.url, key)
            with _translated(self.url, key):
                upload.close()  # completes it

    def update(self, key: str, change: Callable[[bytes | None], bytes]) -> None:
        """
        Replace a key by conditional PUT, again from the start when another writer was faster.

        obstore does not send it again after a broken connection, as it may have gone through; `change` is then called
        with what is there.
        """
        import obstore
        from obstore.exceptions import AlreadyExistsError, GenericError, PreconditionError

        lost = 0
        for attempt in range(_MAX_CONFLICTS):
            before, mode = self._versioned(key)
            after = change(before)
            try:
                with _translated(self.url, key):
                    try:
                        obstore.put(self._store, key, after, mode=mode)
                        return
                    except GenericError:
                        lost += 1
                        if lost > _MAX_LOST:
                            raise
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
        """Delete a key and every object below a prefix."""
        import obstore

        _refuse_root(self.url, prefix)
        with _translated(self.url, prefix):
            for batch in obstore.list(self._store, f"{prefix}/"):
                obstore.delete(self._store, [item["path"] for item in batch])
            with contextlib.suppress(FileNotFoundError):
                obstore.delete(self._store, prefix)

    def zarr_store(self, prefix: str, *, read_only: bool = False) -> Any:
        """Open a zarr store rooted at a prefix."""
        from zarr.storage import ObjectStore

        _require_key(self.url, prefix)
        return ObjectStore(object_store(f"{self.url}/{prefix}".rstrip("/")), read_only=read_only)


class _Upload:
    """A stream whose errors are told apart from those of the block that writes to it."""

    def __init__(self, file: Any, url: str, key: str) -> None:
        self._file, self._url, self._key = file, url, key

    def write(self, data: bytes) -> int:
        """Append bytes."""
        with _translated(self._url, self._key):
            return int(self._file.write(data))


def _require_key(url: str, key: str) -> None:
    if key and any(part in ("", ".", "..") or "\\" in part for part in key.split("/")):
        raise StorageError(f"key {key!r} does not stay below {url}; expected names with single / between them")


def _refuse_root(url: str, prefix: str) -> None:
    if not prefix:
        raise StorageError(f"refusing to remove the whole root {url}; name what to remove below it")


@contextlib.contextmanager
def _reading(path: Path) -> Iterator[None]:
    """Make a local path fail as an object would: what is no file does not exist."""
    try:
        yield
    except (FileNotFoundError, IsADirectoryError, NotADirectoryError):
        raise FileNotFoundError(errno.ENOENT, "no such object", str(path)) from None
    except OSError as error:
        raise StorageError(f"cannot read {path}: {error.strerror}; check its permissions and the disk") from error


@contextlib.contextmanager
def _writing(path: Path) -> Iterator[None]:
    try:
        yield
    except FileNotFoundError:
        raise
    except OSError as error:
        raise StorageError(f"cannot write {path}: {error.strerror}; choose a place that you may write to") from error


def _sync_folder(folder: Path) -> None:
    """Wait until the names in a folder are on the disk."""
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


@contextlib.contextmanager
def _translated(url: str, key: str) -> Iterator[None]:
    """Turn obstore's errors into built-in ones that say what to check."""
    from obstore.exceptions import AlreadyExistsError, BaseError, PreconditionError

    _require_key(url, key)
    where = f"{url}/{key}".rstrip("/")
    try:
        yield
    except (AlreadyExistsError, PreconditionError, StorageError):
        raise
    except FileNotFoundError as error:
        if "NoSuchBucket" in str(error):
            raise explain(error, where) from None
        raise FileNotFoundError(errno.ENOENT, "no such object", where) from None
    except (BaseError, NotImplementedError, OSError) as error:
        raise explain(error, where) from None
