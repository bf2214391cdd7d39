"""HDF5 files by path or fsspec URL: which one, and opening it with errors that name the defect."""

import contextlib
import io
import os
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import h5py

from mimtpy_cloud.errors import SourceFormatError
from mimtpy_cloud.io.cache import cache_folder
from mimtpy_cloud.io.cachedfile import CachedFile
from mimtpy_cloud.location import is_local, locate, reaching

__all__ = ["SourceFile", "open_hdf5"]

#: What an fsspec listing calls the version of a file, best first.
_VERSIONS = ("ETag", "etag", "md5Hash", "mtime", "LastModified", "last_modified", "created")


@dataclass(frozen=True)
class SourceFile:
    """
    A file as it was when it was looked at first.

    Parameters
    ----------
    url : str
        Absolute local path, or fsspec URL.
    size : int
        Bytes.
    version : str
        ETag or modification time; part of the name of every block.
    """

    url: str
    size: int
    version: str

    @classmethod
    def locate(cls, url: str | os.PathLike[str]) -> "SourceFile":
        """
        Find a file.

        Parameters
        ----------
        url : str or path
            Local path or fsspec URL.

        Returns
        -------
        SourceFile

        Raises
        ------
        SourceFormatError
            If there is no such file, or it is a directory.
        """
        text = os.fspath(url)
        fs, path = locate(text)
        try:
            with reaching(text):
                info = fs.info(path)
        except FileNotFoundError:
            raise SourceFormatError(f"{text} does not exist; check the path or URL") from None
        if info.get("type") == "directory":
            raise SourceFormatError(f"{text} is a directory, expected an HDF5 file; name the file in it")
        version = next((str(info[key]) for key in _VERSIONS if info.get(key) is not None), "")
        return cls(path if is_local(fs) else text, int(info.get("size") or 0), version)

    @property
    def is_local(self) -> bool:
        """Whether the URL is a path of this machine."""
        return os.path.isabs(self.url)  # noqa: PTH117 - it may be a URL

    @property
    def record(self) -> dict[str, Any]:
        """What ``attrs["source"]`` keeps."""
        return {"url": self.url, "size": self.size}


@contextlib.contextmanager
def open_hdf5(source: str | SourceFile) -> Iterator[h5py.File]:
    """
    Open an HDF5 file for reading.

    Parameters
    ----------
    source : str or SourceFile
        Local path or fsspec URL, or what was found there before. Remote files are read in blocks, through the local
        cache if there is one.

    Yields
    ------
    h5py.File

    Raises
    ------
    SourceFormatError
        If it is not HDF5, or is cut short.
    """
    url = source if isinstance(source, str) else source.url
    with contextlib.ExitStack() as stack:
        fs, path = locate(url)
        if is_local(fs):
            handle: Any = path
        elif "memory" in fs.protocol:  # all openings of one memory file share a position
            handle = io.BytesIO(fs.cat_file(path))
        else:
            handle = _remote(source if isinstance(source, SourceFile) else SourceFile.locate(url))
        try:
            file = stack.enter_context(h5py.File(handle, "r"))
        except FileNotFoundError:
            raise SourceFormatError(f"{url} does not exist any more; it was there when it was opened") from None
        except OSError as error:
            raise SourceFormatError(_not_hdf5(url, error)) from error
        yield file


def _remote(source: SourceFile) -> CachedFile:
    """File object of one version of a remote file."""
    fs, path = locate(source.url)

    def fetch(start: int, end: int) -> bytes:
        with reaching(source.url):
            return bytes(fs.cat_file(path, start=start, end=end))

    blocks = cache_folder() if source.version else None
    return CachedFile(f"{source.url}\n{source.version} {source.size}", source.size, fetch, blocks)


def _not_hdf5(url: str, error: OSError) -> str:
    text = str(error)
    if "truncated file" in text:
        return f"{url} is truncated ({text.partition('truncated file: ')[2].rstrip(')')}); copy or write it again"
    if "signature not found" in text:
        return f"{url} is not an HDF5 file (no HDF5 signature); expected a file that MintPy wrote"
    return f"{url} cannot be read as HDF5: {text}"
