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
        found = self._known(block)
        if found is None:
            segment = f"{self._name}\nsegment {block // _SEGMENT}"
            with self._blocks.alone([segment]) if self._blocks else contextlib.nullcontext():
                found = self._known(block)  # another may have been faster
                if found is None:
                    found = self._fetched(block, last)
        return found

    def _known(self, block: int) -> memoryview | None:
        if block in self._recent:
            self._recent.move_to_end(block)
            return self._recent[block]
        kept = self._blocks.get(f"{self._name}\n{block}") if self._blocks else None
        return None if kept is None or kept.data is None else self._remember(block, kept.data)

    def _fetched(self, block: int, last: int) -> memoryview:
        """Fetch a block with what is wanted after it; who reads on gets more and more at once."""
        self._ahead = min(self._ahead * 2, _SEGMENT) if block == self._next else 1
        count = max(self._ahead, min(last - block + 1, _SEGMENT))
        end = min(self._size, (block + count) * BLOCK_BYTES, (block // _SEGMENT + 1) * REQUEST_BYTES)
        data = self._whole(block * BLOCK_BYTES, end)
        for number, start in enumerate(range(0, data.nbytes, BLOCK_BYTES), start=block):
            part = self._remember(number, data[start : start + BLOCK_BYTES])
            if self._blocks:
                self._blocks.put(f"{self._name}\n{number}", part)
        self._next = -(-end // BLOCK_BYTES)
        return data[:BLOCK_BYTES]

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
