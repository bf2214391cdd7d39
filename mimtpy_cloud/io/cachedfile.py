"""Remote files in blocks, for libraries that want a file object."""

import contextlib
import io
import os
from collections import OrderedDict
from collections.abc import Callable
from typing import Any

from mimtpy_cloud.io.blocks import BlockFolder
from mimtpy_cloud.io.cache import BLOCK_BYTES, REQUEST_BYTES

__all__ = ["CachedFile"]

#: Blocks that an open file keeps in memory.
_IN_MEMORY = 32
#: Blocks that one of several processes fetches at a time, and the most of one request.
_SEGMENT = REQUEST_BYTES // BLOCK_BYTES


class CachedFile(io.RawIOBase):
    """
    A remote file that is read in blocks, for libraries that want a file object.

    Parameters
    ----------
    name : str
        URL and version of the file.
    size : int
        Bytes.
    fetch : callable
        From first byte and end to the bytes.
    blocks : BlockFolder, optional
        Where blocks are kept; else only the latest few are, in memory.
    """

    def __init__(self, name: str, size: int, fetch: Callable[[int, int], bytes], blocks: BlockFolder | None) -> None:
        self._name, self._size, self._fetch, self._blocks = name, size, fetch, blocks
        self._position, self._ahead, self._next = 0, 1, -1
        self._recent: OrderedDict[int, memoryview] = OrderedDict()

    def readable(self) -> bool:
        """Whether it can be read."""
        return True

    def seekable(self) -> bool:
        """Whether it has positions."""
        return True

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        """Go to a position."""
        base = {os.SEEK_SET: 0, os.SEEK_CUR: self._position, os.SEEK_END: self._size}[whence]
        self._position = max(0, base + offset)
        return self._position

    def tell(self) -> int:
        """Position."""
        return self._position

    def readinto(self, buffer: Any) -> int:
        """Read into a buffer, all of it if the file is that long."""
        target = memoryview(buffer).cast("B")
        done, wanted = 0, max(0, min(target.nbytes, self._size - self._position))
        while done < wanted:
            block, start = divmod(self._position + done, BLOCK_BYTES)
            last = (self._position + wanted - 1) // BLOCK_BYTES
            part = self._block(block, last)[start : start + wanted - done]
            target[done : done + part.nbytes] = part
            done += part.nbytes
        self._position += done
        return done

    def _block(self, block: int, last: int) -> memoryview:
        if block in self._recent:
            self._recent.move_to_end(block)
            return self._recent[block]
        name = f"{self._name}\n{block}"
        found = self._blocks.get(name) if self._blocks else None
        if found is not None and found.data is not None:
            return self._remember(block, found.data)
        segment = block // _SEGMENT
        with self._blocks.alone([f"{self._name}\nsegment {segment}"]) if self._blocks else contextlib.nullcontext():
            found = self._blocks.get(name) if self._blocks else None
            if found is not None and found.data is not None:
                return self._remember(block, found.data)
            # who reads on gets more and more at once
            self._ahead = min(self._ahead * 2, REQUEST_BYTES // BLOCK_BYTES) if block == self._next else 1
            count = max(self._ahead, min(last - block + 1, REQUEST_BYTES // BLOCK_BYTES))
            end = min(self._size, (block + count) * BLOCK_BYTES, (segment + 1) * REQUEST_BYTES)
            data = self._whole(block * BLOCK_BYTES, end)
            for start in range(0, data.nbytes, BLOCK_BYTES):
                part = self._remember(block + start // BLOCK_BYTES, data[start : start + BLOCK_BYTES])
                if self._blocks:
                    self._blocks.put(f"{self._name}\n{block + start // BLOCK_BYTES}", part)
            self._next = -(-end // BLOCK_BYTES)
        return self._recent.get(block, memoryview(b""))

    def _whole(self, start: int, end: int) -> memoryview:
        """Bytes from start to end, asked for again once if the answer is short; what is short is not kept."""
        for _ in range(2):
            data = memoryview(self._fetch(start, end))
            if data.nbytes == end - start:
                return data
        raise OSError(f"{self._name.partition(chr(10))[0]} ended early; it has changed or is cut short")

    def _remember(self, block: int, data: memoryview) -> memoryview:
        self._recent[block] = data
        while len(self._recent) > _IN_MEMORY:
            self._recent.popitem(last=False)
        return data
