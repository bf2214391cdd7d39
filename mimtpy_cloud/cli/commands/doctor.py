"""``mimtpy doctor``: what is there, and whether it works."""

import os
import platform
import re
import shutil
import time
import uuid
from collections.abc import Callable, Iterator
from importlib.metadata import PackageNotFoundError, version
from typing import Any

import click

from mimtpy_cloud.cli import options
from mimtpy_cloud.cli.computing import cluster_in_use

__all__ = ["doctor"]

_PACKAGES = ("mimtpy_cloud", "numpy", "dask", "distributed", "xarray", "zarr", "obstore", "s3fs", "intake", "numba")
_EXTRAS = {"dask-gateway": "cluster", "dask-jobqueue": "cluster", "pystac": "stac"}
#: Variables that say who asks; their values are never shown.
_IDENTITIES = (
    *("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN", "AWS_PROFILE", "AWS_SKIP_SIGNATURE"),
    *("AWS_WEB_IDENTITY_TOKEN_FILE", "GOOGLE_APPLICATION_CREDENTIALS", "AZURE_STORAGE_ACCOUNT_KEY"),
)
_ENDPOINTS = ("AWS_ENDPOINT_URL_S3", "AWS_ENDPOINT_URL", "AWS_REGION", "AWS_MAX_ATTEMPTS")
_LITTLE_SPACE = 2e9
#: User and password in an address.
_HIDDEN = re.compile("//[^/@]*@")

#: What is looked at, whether it is fine (None: there is nothing to say), and what was found.
Finding = tuple[str, bool | None, str]


@click.command()
@options.root
@click.pass_context
def doctor(ctx: click.Context, root: str) -> None:
    """
    Look at versions, credentials, root, cache and cluster, and try each of them.

    The exit code is 1 if something does not work.

    Example:

    \b
      mimtpy doctor --root s3://bucket/root
      mimtpy --cluster local --workers 2 doctor
    """
    from mimtpy_cloud.cli.console import show_table

    wrong = False
    checks: dict[str, Callable[[], Iterator[Finding]]] = {
        "python": _python,
        "credentials": _identity,
        "root": lambda: _root(root),
        "cache": _cache,
        "cluster": _cluster,
    }
    rows = []
    for name, check in checks.items():
        try:
            found = list(check())
        except Exception as error:  # noqa: BLE001 - whatever is wrong is what this command is for
            found = [(name, False, " ".join(str(error).split()) or type(error).__name__)]
        for what, fine, text in found:
            wrong |= fine is False
            rows.append((what, {True: "ok", False: "WRONG", None: "-"}[fine], text))
    show_table(("what", "", "found"), rows)
    ctx.exit(1 if wrong else 0)


def _python() -> Iterator[Finding]:
    yield "python", True, f"{platform.python_version()} on {platform.system()}, {os.cpu_count()} processors"
    yield "packages", True, ", ".join(f"{name} {_version(name)}" for name in _PACKAGES)
    missing = sorted({extra for name, extra in _EXTRAS.items() if not _version(name)})
    there = ", ".join(f"{name} {_version(name)}" for name in _EXTRAS if _version(name))
    hint = f"; for more: pip install 'mimtpy_cloud[{','.join(missing)}]'" if missing else ""
    yield "extras", None if missing else True, f"{there or 'none'}{hint}"


def _version(name: str) -> str:
    try:
        return version(name)
    except PackageNotFoundError:
        return ""


def _identity() -> Iterator[Finding]:
    names = [name for name in _IDENTITIES if os.environ.get(name)]
    files = [path for path in ("~/.aws/credentials", "~/.aws/config") if os.path.exists(os.path.expanduser(path))]  # noqa: PTH110, PTH111
    found = ", ".join([*names, *files])
    yield "credentials", None if not found else True, found or "none in the environment or the AWS config files"
    settings = [f"{name}={_HIDDEN.sub('//...@', os.environ[name])}" for name in _ENDPOINTS if os.environ.get(name)]
    yield "storage settings", None, ", ".join(settings) or "none: Amazon's endpoint and regions"


def _root(url: str) -> Iterator[Finding]:
    from mimtpy_cloud.catalog.index import open_catalog
    from mimtpy_cloud.io.storage import LocalStorage

    catalog = open_catalog(url, cache=False)
    if isinstance(catalog.storage, LocalStorage) and not catalog.storage.folder.is_dir():
        yield "root", None, f"{catalog.root} is not there yet; mimtpy ingest makes it"
        return
    started = time.monotonic()
    try:
        tracks = catalog.tracks()
    except OSError as error:
        yield "root", False, str(error)
        return
    seconds = time.monotonic() - started
    if not tracks:
        yield "root", None, f"{catalog.root} can be read and holds no track yet; mimtpy ingest makes one"
    else:
        yield "root", True, f"{catalog.root}: {len(tracks)} tracks, read in {seconds:.2f} s"
    yield "root, writing", *_round_trip(catalog.storage)


def _round_trip(storage: Any) -> tuple[bool | None, str]:
    """Write a tiny object, read it and remove it."""
    if storage.url.startswith(("http://", "https://")):
        return None, "a web root is read only"
    key = f".doctor-{uuid.uuid4().hex[:8]}"
    try:
        storage.write(key, b"mimtpy")
        same = storage.read(key) == b"mimtpy"
        storage.remove(key)
    except OSError as error:
        return None, f"read only: {error}"
    return same, "a small object was written, read and removed" if same else "what was read is not what was written"


def _cache() -> Iterator[Finding]:
    from mimtpy_cloud.io.cache import cache_folder

    blocks = cache_folder()
    if blocks is None:
        yield "cache", None, "off; set MIMTPY_CACHE_DIR to keep what is read from remote roots"
        return
    name = f"doctor {uuid.uuid4().hex}"
    blocks.put(name, b"mimtpy")
    found = blocks.get(name)
    blocks.clear(lambda origin, _idle: origin == name)
    if found is None or found.data is None:
        yield "cache", False, f"{blocks.folder} cannot be written; choose another folder as MIMTPY_CACHE_DIR"
        return
    free = shutil.disk_usage(blocks.folder).free
    text = f"{blocks.folder}: {blocks.limit / 1e9:.1f} GB at most, {free / 1e9:.1f} GB free on the disk"
    yield "cache", free > _LITTLE_SPACE, text if free > _LITTLE_SPACE else f"{text}; make room"


def _cluster() -> Iterator[Finding]:
    with cluster_in_use():
        yield from _use_cluster()


def _use_cluster() -> Iterator[Finding]:
    from mimtpy_cloud.client import active_client
    from mimtpy_cloud.cluster import choose

    client = active_client()
    if client is None:
        yield "cluster", None, f"none in use; --cluster auto would take: {choose()}"
        return
    import dask.array as da

    started = time.monotonic()
    right = int(da.arange(1000, chunks=100).sum().compute()) == 499500
    seconds, count = time.monotonic() - started, len(client.scheduler_info(n_workers=-1)["workers"])
    yield "cluster", right, f"{count} workers, versions agree, a small sum came back in {seconds:.2f} s"
    cached = set(client.run(_cache_of_worker).values())
    yield "cache of workers", None, ", ".join(sorted(cached)) or "no worker is there now"


def _cache_of_worker() -> str:
    return os.environ.get("MIMTPY_CACHE_DIR") or "off"
