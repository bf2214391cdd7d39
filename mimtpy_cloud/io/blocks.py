"""A folder of blocks of immutable objects, which the processes and threads of a user share.

A block is one small file that appears by a rename and ends with its name and a checksum, so that nobody ever sees half
of one, and damage is found when it is read. The newest use of a block is the time of its file; the oldest go first
when the folder gets too large. Whatever goes wrong here costs a request, and never more.
"""

import contextlib
import fcntl
import logging
import os
import struct
import threading
import time
import uuid
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

__all__ = ["Block", "BlockFolder"]

_log = logging.getLogger(__name__)

#: At the end of a file: checksum of all before it, length of the name, whether there is an object at all, a mark.
_TRAILER = struct.Struct("<QIHH")
_MARK = 0x6D62
#: A use is noted when the last note is older than this, s.
_NOTED = 60.0
#: A writer that failed pauses so long, s: a full disk is not asked for every block.
_PAUSE = 30.0
#: Who waits longer than this for another's request, s, makes its own.
_PATIENCE = 120.0
_LOCKS = 4096
#: The folder is looked through after this part of its limit was added, and then emptied to this part.
_LOOK, _KEEP = 1 / 32, 0.9


@dataclass(frozen=True)
class Block:
    """
    What is known of a block.

    Parameters
    ----------
    data : memoryview or None
        Its bytes; None if the object does not exist.
    """

    data: memoryview | None


class BlockFolder:
    """
    Blocks by name.

    Parameters
    ----------
    folder : path
        Created when something is written, readable for its owner alone.
    limit : int
        Bytes that it holds at most, but for what all processes add meanwhile (a 32nd of it each).
    """

    def __init__(self, folder: str | os.PathLike[str], limit: int) -> None:
        self.folder, self.limit = Path(folder).expanduser().absolute(), limit
        self._added, self._paused = limit, 0.0  # so that the first block that is kept has a look at all there are
        self._lock = threading.Lock()

    def __reduce__(self) -> tuple[Any, ...]:
        return BlockFolder, (self.folder, self.limit)

    def get(self, name: str) -> Block | None:
        """
        Read a block.

        Parameters
        ----------
        name : str
            Any text.

        Returns
        -------
        Block or None
            None if it is not there, or was damaged, and is gone now.
        """
        path = self._file(name)
        try:
            file = os.open(path, os.O_RDONLY)  # at once, and without a copy: this is read for every MiB of a track
            try:
                status = os.fstat(file)
                content = os.read(file, status.st_size)
            finally:
                os.close(file)
            if time.time() - status.st_mtime > _NOTED:
                with contextlib.suppress(OSError):  # a folder that can only be read forgets uses
                    os.utime(path)
        except OSError:
            return None
        found = _opened(content)
        if found is None or found[0] != name:
            _log.warning("a damaged block of the cache is fetched again: %s", path)
            _unlink(Path(path))
            return None
        return Block(found[1])

    def put(self, name: str, data: Any) -> None:
        """
        Keep a block, if that is possible.

        Parameters
        ----------
        name : str
            Any text.
        data : bytes-like or None
            None: there is no such object.
        """
        import xxhash

        if time.monotonic() < self._paused:
            return
        path, label = self._path(name), name.encode()
        digest = xxhash.xxh3_64()
        parts = [memoryview(b"" if data is None else data).cast("B"), memoryview(label)]
        for part in parts:
            digest.update(part)
        trailer = _TRAILER.pack(digest.intdigest(), len(label), data is not None, _MARK)
        temporary = path.with_name(f"{path.name}.{uuid.uuid4().hex[:8]}.part")
        try:
            self._make(path.parent)
            with temporary.open("wb") as file:
                file.writelines((*parts, trailer))
            temporary.replace(path)
        except OSError as error:
            _unlink(temporary)
            self._paused = time.monotonic() + _PAUSE
            _log.warning("the cache %s cannot be written (%s); going on without it", self.folder, error.strerror)
            return
        self._count(sum(part.nbytes for part in parts))

    def drop(self, name: str) -> None:
        """
        Remove a block.

        Parameters
        ----------
        name : str
            Any text.
        """
        _unlink(self._path(name))

    @contextlib.contextmanager
    def alone(self, names: Iterable[str]) -> Iterator[None]:
        """
        Keep others from fetching the same meanwhile, in all threads and processes.

        Parameters
        ----------
        names : iterable of str
            What is about to be fetched; others wait only if one of theirs is among them.
        """
        with contextlib.ExitStack() as stack:
            with contextlib.suppress(OSError):  # no locks, then requests may be made twice
                self._make(self.folder / "locks")
                for number in sorted({int(_digest(name)[:8], 16) % _LOCKS for name in names}):
                    file = stack.enter_context((self.folder / "locks" / f"{number:03x}").open("ab"))
                    stack.callback(_unlock, file.fileno())
                    _wait_for(file.fileno())
            yield

    def _make(self, folder: Path) -> None:
        if not folder.is_dir():
            self.folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            folder.mkdir(parents=True, exist_ok=True)

    def _file(self, name: str) -> str:
        digest = _digest(name)
        return f"{self.folder}/blocks/{digest[:2]}/{digest}"

    def _path(self, name: str) -> Path:
        return Path(self._file(name))

    def _count(self, nbytes: int) -> None:
        with self._lock:
            self._added += nbytes
            full = self._added > self.limit * _LOOK
            if full:
                self._added = 0
        if full:
            self.trim()

    def files(self) -> Iterator[os.DirEntry[str]]:
        """
        List the files of all blocks.

        Yields
        ------
        os.DirEntry
        """
        for folder in _entries(self.folder / "blocks"):
            yield from (entry for entry in _entries(folder.path) if not entry.name.endswith(".part"))

    @property
    def room(self) -> int:
        """Bytes that stay when it was full."""
        return int(self.limit * _KEEP)

    def trim(self) -> None:
        """Remove the blocks that were not used for longest, if there are too many; one process at a time does it."""
        try:
            self._make(self.folder / "locks")
            with (self.folder / "locks" / "trim").open("ab") as lock:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
                found = [(status.st_mtime, status.st_size, path) for path, status in self._statuses()]
                total = sum(size for _, size, _ in found)
                if total <= self.limit:
                    return
                for _, size, path in sorted(found):
                    if total <= self.room:
                        break
                    _unlink(path)
                    total -= size
        except BlockingIOError:  # another does, which may not have seen the newest
            with self._lock:
                self._added = self.limit
        except OSError:  # the folder cannot be written
            return

    def _statuses(self) -> Iterator[tuple[Path, os.stat_result]]:
        for entry in self.files():
            with contextlib.suppress(OSError):
                yield Path(entry.path), entry.stat()

    def usage(self) -> dict[str, tuple[int, int]]:
        """
        Count what is there, by the first line of its name.

        Returns
        -------
        dict
            Number of blocks and bytes of each.
        """
        found: dict[str, tuple[int, int]] = {}
        for path, status in self._statuses():
            origin = (_name_of(path) or "damaged").partition("\n")[0]
            count, nbytes = found.get(origin, (0, 0))
            found[origin] = count + 1, nbytes + status.st_size
        return found

    def verify(self) -> tuple[int, int]:
        """
        Read every block, and remove those that are damaged.

        Returns
        -------
        whole, damaged : int
            Number of each.
        """
        whole = damaged = 0
        for path, _ in self._statuses():
            try:
                found = _opened(path.read_bytes())
            except OSError:
                continue
            if found is None or self._path(found[0]) != path:
                _unlink(path)
                damaged += 1
            else:
                whole += 1
        return whole, damaged

    def clear(self, wanted: Callable[[str, float], bool]) -> tuple[int, int]:
        """
        Remove blocks.

        Parameters
        ----------
        wanted : callable
            From the first line of a name and the seconds since its last use to whether it is removed.

        Returns
        -------
        count, nbytes : int
            What was removed.
        """
        count = nbytes = 0
        now = time.time()
        for path, status in self._statuses():
            if wanted((_name_of(path) or "").partition("\n")[0], now - status.st_mtime):
                _unlink(path)
                count, nbytes = count + 1, nbytes + status.st_size
        return count, nbytes


def _digest(name: str) -> str:
    import xxhash

    return xxhash.xxh3_128_hexdigest(name.encode())


def _opened(content: bytes) -> tuple[str, memoryview | None] | None:
    """Name and data of a file; None if it is damaged."""
    import xxhash

    body = len(content) - _TRAILER.size
    if body < 0:
        return None
    checksum, length, exists, mark = _TRAILER.unpack_from(content, body)
    view = memoryview(content)
    if mark != _MARK or length > body or xxhash.xxh3_64_intdigest(view[:body]) != checksum:
        return None
    return bytes(view[body - length : body]).decode(), view[: body - length] if exists else None


def _name_of(path: Path) -> str | None:
    """Name of a file without its data; None if it has none."""
    try:
        with path.open("rb") as file:
            end = file.seek(-_TRAILER.size, os.SEEK_END)
            _, length, _, mark = _TRAILER.unpack(file.read(_TRAILER.size))
            file.seek(end - length)
            return file.read(length).decode() if mark == _MARK else None
    except (OSError, ValueError, struct.error):
        return None


def _entries(folder: str | os.PathLike[str]) -> list[os.DirEntry[str]]:
    try:
        with os.scandir(folder) as found:
            return list(found)
    except OSError:
        return []


def _unlink(path: Path) -> None:
    with contextlib.suppress(OSError):
        path.unlink()


def _unlock(file: int) -> None:
    """Unlock explicitly: a process forked meanwhile has the file open, too."""
    with contextlib.suppress(OSError):
        fcntl.flock(file, fcntl.LOCK_UN)


def _wait_for(file: int) -> None:
    """Lock a file, or give up waiting."""
    until, pause = time.monotonic() + _PATIENCE, 0.001
    while time.monotonic() < until:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            return
        except BlockingIOError:
            time.sleep(pause)
            pause = min(0.02, pause * 2)
