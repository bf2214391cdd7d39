"""Publish a product whole: written beside its place under a temporary name, then renamed or uploaded."""

import logging
import os
import shutil
import tempfile
import uuid
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from mimtpy_cloud.errors import StorageError
from mimtpy_cloud.location import is_local, locate, reaching

__all__ = ["publish_bytes", "remote_place", "staged"]

_log = logging.getLogger(__name__)


@contextmanager
def staged(url: str | os.PathLike[str], *, last: str | None = None, apart: str | None = None) -> Iterator[Path]:
    """
    Yield a local path to write a product to, and publish it when the block ends without an error.

    Parameters
    ----------
    url : str or path
        Final place: a local path, or any fsspec URL.
    last : str, optional
        For a product that is a folder: its file that makes readers see it. It is uploaded last, and
        an existing folder is replaced only where it holds this file.
    apart : str, optional
        From `remote_place`: a folder beside `url` where others put files of the product; they are copied, and the
        folder is removed in any case.

    Yields
    ------
    Path
        Does not exist yet, has the final name, and lies in a temporary folder: beside the final
        place where that is local, so that publishing is a rename.

    Raises
    ------
    StorageError
        If the place cannot be written, or holds something else: a folder that is no such product, or a
        file where a folder is to be.

    Notes
    -----
    On an error in the block nothing is published, what was at `url` stays, and the temporary folder
    is removed. Replacing a local file is atomic. A local folder is swapped by two renames. An object
    store cannot rename: the file `last` of the old product is removed first and that of the new one
    is written last, so that a reader sees the old product, none, or the new one, never a mixture.
    """
    fs, path = locate(url)
    local = is_local(fs)
    parent = Path(path).parent
    try:
        if local:
            parent.mkdir(parents=True, exist_ok=True)
        with reaching(url):
            _refuse_foreign(fs, path, last)
        prefix = f".{Path(path).name}."
        folder = Path(tempfile.mkdtemp(prefix=prefix, suffix=".tmp", dir=parent if local else None))
    except OSError as error:
        if isinstance(error, StorageError):
            raise
        raise StorageError(f"cannot write {url}: {error}; choose a place that you may write to") from error
    try:
        staging = folder / Path(path).name
        yield staging
        try:
            if local:
                _replace(staging, Path(path), folder)
            else:
                with reaching(url):
                    _upload(fs, staging, path, last, locate(apart)[1] if apart else None)
        except StorageError:
            raise
        except OSError as error:
            raise StorageError(f"cannot write {url}: {error}") from error
    finally:
        shutil.rmtree(folder, ignore_errors=True)
        if apart is not None:
            with suppress(OSError):
                _remove(fs, locate(apart)[1])


def remote_place(url: str | os.PathLike[str]) -> str | None:
    """
    Name a new folder beside a product on an object store, where the workers of a cluster can put parts of it.

    Parameters
    ----------
    url : str or path
        Final place of the product.

    Returns
    -------
    str or None
        None if the final place is local.
    """
    if is_local(locate(url)[0]):
        return None
    parent, _, name = os.fspath(url).rstrip("/").rpartition("/")
    return f"{parent}/.{name}.{uuid.uuid4().hex[:8]}.part"


def publish_bytes(data: bytes, url: str | os.PathLike[str]) -> None:
    """
    Write a small file whole.

    Parameters
    ----------
    data : bytes
        Content.
    url : str or path
        A local path, or any fsspec URL.

    Raises
    ------
    StorageError
        If the place cannot be written.
    """
    with staged(url) as path:
        path.write_bytes(data)


def _refuse_foreign(fs: Any, path: str, last: str | None) -> None:
    """Never replace a folder that this package did not make, nor a file by a folder, nor write into a store."""
    for above in Path(path).parents if is_local(fs) else ():
        if (above / "zarr.json").is_file():
            raise StorageError(f"{path} lies inside the Zarr store {above}, with which it would be lost; name another")
    if last is not None and fs.isfile(path):
        raise StorageError(f"{path} is a file and would be lost; give another name for a folder with {last}")
    if not fs.isdir(path) or not fs.ls(path, detail=False):
        return
    if last is None or not fs.exists(f"{path.rstrip('/')}/{last}"):
        what = "a file" if last is None else f"a folder with {last}"
        raise StorageError(f"{path} is a folder of something else and would be lost; give another name for {what}")


def _replace(staging: Path, target: Path, folder: Path) -> None:
    if staging.is_dir() and target.exists():
        old = folder / f"old-{uuid.uuid4().hex}"
        target.rename(old)  # gone with the temporary folder
        try:
            staging.rename(target)
        except OSError:
            old.rename(target)
            raise
        return
    staging.replace(target)


def _remove(fs: Any, folder: str) -> None:
    """Remove the objects below a name; an object store has no folders."""
    if files := fs.find(folder):
        fs.rm(files)


def _upload(fs: Any, staging: Path, target: str, last: str | None, apart: str | None = None) -> None:
    if staging.is_file():
        fs.pipe_file(target, staging.read_bytes()) if staging.stat().st_size < 1 << 26 else fs.put_file(staging, target)
        return
    target = target.rstrip("/")
    if fs.exists(target):
        if last is not None:
            fs.rm(f"{target}/{last}")
        _remove(fs, target)
    names = sorted(str(p.relative_to(staging).as_posix()) for p in staging.rglob("*") if p.is_file())
    names = [name for name in names if name != last]
    _log.debug("uploading %d files to %s", len(names), target)
    fs.put([str(staging / name) for name in names], [f"{target}/{name}" for name in names])
    parts = fs.find(apart) if apart and fs.exists(apart) else []
    if parts:
        fs.copy(parts, [f"{target}{part.removeprefix(str(apart))}" for part in parts])
    if last is not None:
        fs.put_file(str(staging / last), f"{target}/{last}")
