"""The verb ``doctor``."""

import os
import platform
import shutil
import tempfile
import uuid
from collections.abc import Callable
from importlib import metadata
from pathlib import Path

import click

from mimtpy_cloud.cli.console import reason
from mimtpy_cloud.location import service_problem

__all__ = ["doctor"]

_PACKAGES = ("mimtpy_cloud", "dask", "distributed", "xarray", "zarr", "numpy", "obstore")


@click.command()
@click.option("--root", envvar="MIMTPY_ROOT", metavar="URL", help="Root of the data; $MIMTPY_ROOT.")
@click.pass_context
def doctor(ctx: click.Context, root: str | None) -> None:
    """Say whether software, credentials, root, cache and cluster work, and what to do where not."""
    checks: dict[str, Callable[[], str]] = {
        "software": _software,
        "credentials": _credentials,
        "endpoint": lambda: os.environ.get("AWS_ENDPOINT_URL_S3") or os.environ.get("AWS_ENDPOINT_URL") or "default",
        "root": lambda: _root(root),
        "cache": _cache,
        "cluster": _cluster,
    }
    good = [_checked(name, check) for name, check in checks.items()]
    if not all(good):
        ctx.exit(1)


def _checked(name: str, check: Callable[[], str]) -> bool:
    try:
        click.echo(f"{name:12} ok       {check()}")
    except Exception as error:  # noqa: BLE001 - every problem is a line of the table
        click.echo(f"{name:12} problem  {service_problem(error) or reason(error)}")
        return False
    return True


def _software() -> str:
    return ", ".join([f"python {platform.python_version()}", *(f"{p} {metadata.version(p)}" for p in _PACKAGES)])


def _credentials() -> str:
    """Names only, never values."""
    names = [n for n in os.environ if n.startswith(("AWS_", "AZURE_", "GOOGLE_"))]
    file = Path(os.environ.get("AWS_SHARED_CREDENTIALS_FILE", Path.home() / ".aws" / "credentials"))
    return ", ".join([*sorted(names), *([f"profiles of {file}"] if file.is_file() else [])]) or "none set"


def _root(root: str | None) -> str:
    if root is None:
        return "none given; use --root or MIMTPY_ROOT"
    from mimtpy_cloud.io.storage import open_storage

    if "://" not in root and not Path(root).is_dir():
        raise FileNotFoundError(f"expected a folder at {root}, got none; create it or give another root")
    storage = open_storage(root)
    entries = len(storage.children(""))
    key = f"doctor-{uuid.uuid4().hex}"
    try:
        storage.write(key, b"ok")
    except OSError:
        return f"{root} has {entries} entries, read only"
    try:
        if storage.read(key) != b"ok":
            raise OSError(f"expected to read what was written to {root}, got something else; ask who runs it")
    finally:
        storage.remove(key)
    return f"{root} has {entries} entries, can be written"


def _cache() -> str:
    folder = os.environ.get("MIMTPY_CACHE_DIR")
    if not folder:
        return "none; set MIMTPY_CACHE_DIR to a folder to have one"
    Path(folder).mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryFile(dir=folder):
        pass
    return f"{folder} can be written, {shutil.disk_usage(folder).free / 1e9:.1f} GB free"


def _cluster() -> str:
    import dask
    import dask.array as da

    total = int(da.arange(10, chunks=5).sum().compute())
    if total != 45:
        raise ValueError(f"expected the sum 45, got {total}; the cluster computes wrongly")
    where = dask.config.get("scheduler", None) or "threads"
    return "threads of this process" if where == "threads" else "cluster reached, versions agree"
