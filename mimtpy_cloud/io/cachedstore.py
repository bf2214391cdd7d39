"""The cache as zarr sees it: a read-only store, for xarray and whoever else opens a band store by zarr."""

import asyncio
from collections.abc import AsyncIterator, Iterable
from typing import Any

from zarr.abc.store import ByteRequest, OffsetByteRequest, RangeByteRequest, Store, SuffixByteRequest
from zarr.core.buffer import Buffer, BufferPrototype
from zarr.storage import WrapperStore

from mimtpy_cloud.io.storage import Storage

__all__ = ["CachedStore"]


class CachedStore(WrapperStore):
    """A read-only zarr store whose gets go through a `CachedStorage`."""

    _supports_sync_io = False

    def __init__(self, store: Any, storage: Storage, prefix: str) -> None:
        super().__init__(store)
        self._storage, self._prefix = storage, prefix

    def __reduce__(self) -> tuple[Any, ...]:
        return _reopen, (self._storage, self._prefix)

    def _with_store(self, store: Any) -> "CachedStore":
        return type(self)(store, self._storage, self._prefix)

    async def get(self, key: str, prototype: BufferPrototype, byte_range: ByteRequest | None = None) -> Buffer | None:
        """Read an object or a part of it; None if there is none."""
        try:
            data = await asyncio.to_thread(self._read, f"{self._prefix}/{key}".lstrip("/"), byte_range)
        except FileNotFoundError:
            return None
        return prototype.buffer.from_bytes(bytes(data))

    def _read(self, key: str, part: ByteRequest | None) -> Any:
        if isinstance(part, RangeByteRequest):
            return next(iter(self._storage.read_ranges(key, [(part.start, part.end - part.start)])))
        if isinstance(part, SuffixByteRequest):
            return self._storage.read_tail(key, part.suffix)
        whole = self._storage.read(key)
        return whole[part.offset :] if isinstance(part, OffsetByteRequest) else whole

    async def get_partial_values(self, prototype: BufferPrototype, key_ranges: Iterable[Any]) -> list[Any]:
        """Read parts one after the other."""
        return [await self.get(key, prototype, part) for key, part in key_ranges]

    async def get_ranges(self, key: str, byte_ranges: Any, **options: Any) -> AsyncIterator[Any]:
        """Read parts of an object, near ones together."""
        async for group in Store.get_ranges(self, key, byte_ranges, **options):
            yield group


def _reopen(storage: Storage, prefix: str) -> Any:
    return storage.zarr_store(prefix, read_only=True)
