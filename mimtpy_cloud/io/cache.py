"""The local cache: what was read from an object store or a web server once is not asked for again.

Stores of a catalog never change, so what is kept of them is always right. Their objects are kept in blocks
(`mimtpy_cloud.io.blocks`), and that a chunk does not exist is kept, too. An index changes: it is asked for anew, unless
the root was warmed (`mimtpy_cloud.io.snapshot`).

``MIMTPY_CACHE_DIR`` names the folder, and switches the cache on for every root that is not local; ``MIMTPY_CACHE_SIZE``
is its size.
"""

import contextlib
import os
import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import lru_cache
from typing import IO, Any

from mimtpy_cloud.errors import StorageError
from mimtpy_cloud.io.blocks import Block, BlockFolder
from mimtpy_cloud.io.snapshot import Snapshot
from mimtpy_cloud.io.storage import LocalStorage, Storage, open_storage

__all__ = ["BLOCK_BYTES", "REQUEST_BYTES", "CachedStorage", "cache_folder", "cached_storage", "forget_snapshot"]

#: Bytes of a block, of what is wanted by one request at most, and of a gap that is fetched in any case.
BLOCK_BYTES, REQUEST_BYTES, GAP_BYTES = 1 << 20, 16 << 20, 2 << 20
_DEFAULT_SIZE = "20GB"
#: Keys below a band store, by the name that `ingest` gives it: they never change.
_IMMUTABLE = re.compile(r"^(.*-\d{8}T\d{12}Z-[0-9a-f]{8}\.zarr)/.")


def cache_folder(*, wanted: bool | None = None) -> BlockFolder | None:
    """
    Find the cache that the environment asks for.

    Parameters
    ----------
    wanted : bool, optional
        True: also where the environment names none. False: none.

    Returns
    -------
    BlockFolder or None
        That of ``MIMTPY_CACHE_DIR``, else one for this user; None if there shall be none.

    Raises
    ------
    StorageError
        If ``MIMTPY_CACHE_SIZE`` is no size.
    """
    folder = os.environ.get("MIMTPY_CACHE_DIR", "")
    if wanted is False or (wanted is None and not folder):
        return None
    size = os.environ.get("MIMTPY_CACHE_SIZE") or _DEFAULT_SIZE
    if not folder:
        from platformdirs import user_cache_dir

        folder = user_cache_dir("mimtpy")
    return _block_folder(folder, size)


@lru_cache(maxsize=16)
def _block_folder(folder: str, size: str) -> BlockFolder:
    from dask.utils import parse_bytes

    try:
        limit = parse_bytes(size)
    except ValueError:
        limit = 0
    if limit < BLOCK_BYTES:
        raise StorageError(f"MIMTPY_CACHE_SIZE must be a size such as 20GB, at least 1MiB, got {size!r}")
    return BlockFolder(folder, limit)


def cached_storage(url: str | os.PathLike[str], *, cache: bool | None = None) -> Storage:
    """
    Open a root through the cache, if there is one.

    Parameters
    ----------
    url : str or path
        As for `open_storage`.
    cache : bool, optional
        As `wanted` of `cache_folder`. A local root has no cache.

    Returns
    -------
    Storage

    Raises
    ------
    StorageError
        As `open_storage` and `cache_folder`.
    """
    storage = open_storage(url)
    blocks = None if isinstance(storage, LocalStorage) else cache_folder(wanted=cache)
    return storage if blocks is None else CachedStorage(storage, blocks)


def forget_snapshot(storage: Storage) -> None:
    """
    Note that the catalog of a root has changed.

    Parameters
    ----------
    storage : Storage
        The root, through the cache or not.
    """
    if isinstance(storage, LocalStorage):
        return
    with contextlib.suppress(StorageError):  # a wrong MIMTPY_CACHE_SIZE is said where something is read
        blocks = cache_folder(wanted=True)
        if blocks is not None:
            Snapshot(blocks.folder, storage.url).forget()


class CachedStorage:
    """
    A storage whose immutable objects are kept on the disk.

    Parameters
    ----------
    storage : Storage
        Where they come from.
    blocks : BlockFolder
        Where they are kept.
    """

    def __init__(self, storage: Storage, blocks: BlockFolder) -> None:
        self.url, self.origin, self.blocks = storage.url, storage, blocks
        self._snapshot = Snapshot(blocks.folder, self.url)

    def __reduce__(self) -> tuple[Any, ...]:
        return CachedStorage, (self.origin, self.blocks)

    def read(self, key: str) -> bytes:
        """Read the whole content of a key."""
        if not _IMMUTABLE.match(key):
            return self._snapshot.read(key, self.origin.read)
        return bytes(self._kept(key, "all", lambda: self.origin.read(key)))

    def read_tail(self, key: str, length: int) -> bytes:
        """Read the last bytes of a key."""
        if not _IMMUTABLE.match(key):
            return self.origin.read_tail(key, length)
        return bytes(self._kept(key, f"tail {length}", lambda: self.origin.read_tail(key, length)))

    def _kept(self, key: str, part: str, fetch: Callable[[], bytes]) -> memoryview:
        name = self._name(key, part)
        found = self.blocks.get(name)
        if found is None:
            with self.blocks.alone([name]):
                found = self.blocks.get(name) or self._fetched(name, key, fetch)  # another may have been faster
        if found.data is None:
            raise FileNotFoundError(2, "no such object", f"{self.url}/{key}")
        return found.data

    def _fetched(self, name: str, key: str, fetch: Callable[[], bytes]) -> Block:
        try:
            data = fetch()
        except FileNotFoundError:
            if self._store_is_there(key):
                self.blocks.put(name, None)
            raise
        self.blocks.put(name, data)
        return Block(memoryview(data))

    def _name(self, key: str, part: str | int) -> str:
        """Name of a block, whose first line is where it comes from."""
        return f"{self.url}\n{key}\n{part}"

    def _store_is_there(self, key: str) -> bool:
        """Whether a missing object means no data, and not that its store was removed."""
        match = _IMMUTABLE.match(key)
        try:
            self.origin.read_tail(f"{match.group(1) if match else ''}/zarr.json", 1)
        except FileNotFoundError:
            self._snapshot.forget()
            return False
        except StorageError:
            return False
        return True

    def read_ranges(self, key: str, ranges: Sequence[tuple[int, int]]) -> Iterator[Any]:
        """Read parts of a key, a request's worth of blocks at a time."""
        if not _IMMUTABLE.match(key):
            yield from self.origin.read_ranges(key, ranges)
            return
        for batch in _batches(ranges):
            blocks = self._blocks(key, {i for offset, length in batch for i in _touched(offset, length)})
            for offset, length in batch:
                yield _cut(blocks, offset, length)

    @staticmethod
    def footprint(ranges: Sequence[tuple[int, int]]) -> int:
        """Bytes of the blocks that parts of a key take, with what is fetched between them."""
        batches = ({i for one in batch for i in _touched(*one)} for batch in _batches(ranges))
        return sum((last - first) * BLOCK_BYTES for blocks in batches for first, last in _spans(sorted(blocks)))

    def _blocks(self, key: str, wanted: set[int]) -> dict[int, memoryview]:
        """Blocks of an object, those that are not kept by as few requests as make sense."""

        def look(missing: Iterable[int]) -> dict[int, memoryview]:
            kept = ((block, self.blocks.get(self._name(key, block))) for block in sorted(missing))
            return {block: one.data for block, one in kept if one is not None and one.data is not None}

        found = look(wanted)
        if missing := wanted - found.keys():
            segment = REQUEST_BYTES // BLOCK_BYTES
            with self.blocks.alone({self._name(key, f"segment {block // segment}") for block in missing}):
                found |= look(missing)
                spans = _spans(sorted(missing - found.keys()))
                parts = [(first * BLOCK_BYTES, (last - first) * BLOCK_BYTES) for first, last in spans]
                for (first, _), data in zip(spans, self.origin.read_ranges(key, parts), strict=True):
                    view = memoryview(data).cast("B")
                    for start in range(0, view.nbytes, BLOCK_BYTES):
                        block = first + start // BLOCK_BYTES
                        found[block] = view[start : start + BLOCK_BYTES]
                        self.blocks.put(self._name(key, block), found[block])
        return found

    def discard(self, key: str, ranges: Sequence[tuple[int, int]] = (), *, tail: int = 0) -> None:
        """Remove what is kept of parts of a key."""
        for block in {block for one in ranges for block in _touched(*one)}:
            self.blocks.drop(self._name(key, block))
        if tail:
            self.blocks.drop(self._name(key, f"tail {tail}"))

    def write(self, key: str, data: bytes) -> None:
        """Create or replace a key as a whole."""
        self.origin.write(key, data)
        self._snapshot.forget()

    def writer(self, key: str) -> "contextlib.AbstractContextManager[IO[bytes]]":
        """Stream into a key; its store is not read before it is whole."""
        return self.origin.writer(key)

    def update(self, key: str, change: Callable[[bytes | None], bytes]) -> None:
        """Replace a key atomically; a snapshot of the catalog is out of date then."""
        self.origin.update(key, change)
        self._snapshot.forget()

    def children(self, prefix: str) -> list[str]:
        """List names directly below a prefix."""
        return self._snapshot.children(prefix, self.origin.children)

    def remove(self, prefix: str) -> None:
        """Delete a key, or everything below a prefix."""
        self.origin.remove(prefix)

    @property
    def catalog_taken(self) -> str:
        """When the catalog of the root was taken by `warm` (UTC); empty if it is asked for anew each time."""
        return self._snapshot.taken

    def take_snapshot[T](self, look: Callable[[Storage], T]) -> tuple[T, Callable[[], None]]:
        """
        Note what a look at the catalog finds, so that it can be found again without a request.

        Parameters
        ----------
        look : callable
            Reads the catalog from the storage that it is given.

        Returns
        -------
        result : object
            What `look` returned.
        keep : callable
            Writes the snapshot.
        """
        return self._snapshot.take(self.origin, look)

    def zarr_store(self, prefix: str, *, read_only: bool = False) -> Any:
        """Open a zarr store rooted at a prefix; through the cache if it is only read."""
        store = self.origin.zarr_store(prefix, read_only=read_only)
        if not read_only:
            return store
        from mimtpy_cloud.io.cachedstore import CachedStore

        return CachedStore(store, self, prefix)


def _touched(offset: int, length: int) -> range:
    return range(offset // BLOCK_BYTES, -(-(offset + max(length, 1)) // BLOCK_BYTES))


def _batches(ranges: Sequence[tuple[int, int]]) -> Iterator[list[tuple[int, int]]]:
    """Neighbouring ranges, as many as fit one request."""
    batch: list[tuple[int, int]] = []
    blocks: set[int] = set()
    for one in ranges:
        more = blocks.union(_touched(*one))
        if batch and len(more) * BLOCK_BYTES > REQUEST_BYTES:
            yield batch
            batch, more = [], set(_touched(*one))
        batch.append(one)
        blocks = more
    if batch:
        yield batch


def _spans(blocks: Sequence[int]) -> list[tuple[int, int]]:
    """
    First block and end of runs; a gap is fetched with them unless it is far larger than what is wanted.

    So the series of a few pixels takes one request of a shard, also where they lie in two rows of its chunks.
    """
    small, extra = GAP_BYTES // BLOCK_BYTES, 2 * len(blocks)
    spans: list[tuple[int, int]] = []
    for block in blocks:
        gap = block - spans[-1][1] if spans else 0
        if spans and (gap <= small or gap <= extra):
            spans[-1] = spans[-1][0], block + 1
            extra -= gap
        else:
            spans.append((block, block + 1))
    return spans


def _cut(blocks: dict[int, memoryview], offset: int, length: int) -> memoryview:
    parts = []
    for block in _touched(offset, length):
        start = max(0, offset - block * BLOCK_BYTES)
        data = blocks.get(block, memoryview(b""))
        parts.append(data[start : offset + length - block * BLOCK_BYTES])
    return parts[0] if len(parts) == 1 else memoryview(b"".join(parts))
