"""``mimtpy cache``: what this machine keeps of object stores and web servers."""

import os
from typing import Any

import click

from mimtpy_cloud.cli import options

__all__ = ["cache"]

_DAY = 86400.0


@click.group()
def cache() -> None:
    """
    See, fill, check and empty the local cache of remote roots.

    MIMTPY_CACHE_DIR names its folder and switches it on for every remote root, MIMTPY_CACHE_SIZE (20GB) is its limit;
    what was not used for longest goes first.

    Example:

    \b
      export MIMTPY_CACHE_DIR=~/.cache/mimtpy
      mimtpy cache warm A064 A166 --bbox -120 35 -118 37 --root s3://bucket/root
      mimtpy cache info
    """


@cache.command()
def info() -> None:
    """
    Show where the cache is, how full, and what it holds.

    Example:

    \b
      mimtpy cache info
    """
    from mimtpy_cloud.cli.console import show_table
    from mimtpy_cloud.io.snapshot import list_snapshots

    blocks = _blocks()
    usage = blocks.usage()
    total = sum(nbytes for _, nbytes in usage.values())
    facts = {
        "folder": str(blocks.folder),
        "used": f"{_size(total)} of {_size(blocks.limit)} ({_origin_of_size()})",
        "switched on": "yes" if _is_on() else "no: set MIMTPY_CACHE_DIR, or open_track(..., cache=True)",
    }
    show_table(("", ""), facts.items())
    taken = list_snapshots(blocks.folder)
    rows = [
        (origin, usage.get(origin, (0, 0))[0], _size(usage.get(origin, (0, 0))[1]), taken.get(origin, "")[:19])
        for origin in sorted({*usage, *taken})
    ]
    if rows:
        click.echo()
        show_table(("root or file", "blocks", "size", "catalog as of (UTC)"), rows)


@cache.command()
@click.argument("tracks", nargs=-1, metavar="[TRACK|PROJECT]...")
@options.bbox
@click.option("--dates", nargs=2, metavar="START END", help="Only acquisitions between these dates.")
@click.option("--resolution", metavar="NAME", help="Such as standard.")
@options.root
def warm(root: str, tracks: tuple[str, ...], dates: tuple[str, str] | None, **wanted: Any) -> None:
    """
    Fetch tracks now, so that the same work later sends no request and needs no network.

    The catalog of the root is kept as it is now, too, and not asked for again until the next warm, or clear.

    Example:

    \b
      mimtpy cache warm A064 --bbox -120 35 -118 37 --dates 2016-01-01 2020-01-01 --root s3://bucket/root
    """
    from mimtpy_cloud.catalog.warm import warm as fetch
    from mimtpy_cloud.cli.console import progress_bar

    start, end = dates or (None, None)
    with progress_bar("warm") as progress:
        found = fetch(root, tracks, start=start, end=end, progress=progress, **wanted)
    for entry in found.entries:
        click.echo(f"{entry.sensor}/{entry.track}/{entry.resolution}/{entry.product}")
    click.echo(f"{found.objects} objects, {_size(found.nbytes)}, in {_blocks().folder}", err=True)
    if not _is_on():
        click.echo(f"now: export MIMTPY_CACHE_DIR={_blocks().folder}, so that commands use it", err=True)


@cache.command()
@click.option("--root", metavar="URL", help="Only what came from this root or file.")
@click.option("--older-than", type=click.FloatRange(0), metavar="DAYS", help="Only what was not used for so long.")
def clear(root: str | None, older_than: float | None) -> None:
    """
    Remove what is kept; it is fetched again when it is needed.

    Example:

    \b
      mimtpy cache clear --older-than 30
    """
    from mimtpy_cloud.io.snapshot import Snapshot, list_snapshots

    blocks = _blocks()
    wanted = None if root is None else root.rstrip("/")
    age = 0.0 if older_than is None else older_than * _DAY
    count, nbytes = blocks.clear(lambda origin, idle: wanted in (None, origin) and idle >= age)
    kept = [url for url in list_snapshots(blocks.folder) if wanted in (None, url) and older_than is None]
    for url in kept:
        Snapshot(blocks.folder, url).forget()
    catalogs = f", and the catalogs of {len(kept)} roots" if kept else ""
    click.echo(f"{count} blocks, {_size(nbytes)}{catalogs} removed from {blocks.folder}", err=True)


@cache.command()
def verify() -> None:
    """
    Read every block, and remove those that are damaged; they are fetched again when needed.

    Example:

    \b
      mimtpy cache verify
    """
    blocks = _blocks()
    whole, damaged = blocks.verify()
    click.echo(f"{whole} blocks are whole, {damaged} were damaged and are removed, in {blocks.folder}")


def _blocks() -> Any:
    from mimtpy_cloud.io.cache import cache_folder

    return cache_folder(wanted=True)


def _origin_of_size() -> str:
    return "MIMTPY_CACHE_SIZE" if os.environ.get("MIMTPY_CACHE_SIZE") else "the default; MIMTPY_CACHE_SIZE sets another"


def _is_on() -> bool:
    from mimtpy_cloud.io.cache import cache_folder

    return cache_folder() is not None


def _size(nbytes: float) -> str:
    """
    Write a size.

    Examples
    --------
    >>> _size(999), _size(20_000_000_000)
    ('999 B', '20.0 GB')
    """
    for unit in ("B", "kB", "MB"):
        if nbytes < 1000:
            return f"{nbytes:.0f} B" if unit == "B" else f"{nbytes:.1f} {unit}"
        nbytes /= 1000
    return f"{nbytes:.1f} GB"
