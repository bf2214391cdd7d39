"""``mimtpy catalog``: look at what was ingested, and tend it."""

from typing import Any

import click

from mimtpy_cloud.cli import options

__all__ = ["catalog"]


@click.group()
def catalog() -> None:
    """
    See, search, check and clean what was ingested.

    Example:

    \b
      mimtpy catalog list --root data
      mimtpy catalog search --bbox -120 35 -118 37 --dates 2016-01-01 2018-01-01 --root data
    """


@catalog.command(name="list")
@options.root
@options.as_of
def list_(root: str, as_of: str | None) -> None:
    """
    List the current products of all tracks.

    Example:

    \b
      mimtpy catalog list --root s3://bucket/root
    """
    from mimtpy_cloud.cli.datasets import all_entries
    from mimtpy_cloud.cli.tables import show_entries

    show_entries(all_entries(options.open_root(root, as_of)))


@catalog.command()
@click.argument("track")
@options.root
@options.as_of
def show(track: str, root: str, as_of: str | None) -> None:
    """
    Show everything about the products of a track or project.

    Example:

    \b
      mimtpy catalog show A064 --root data
    """
    from mimtpy_cloud.cli.console import show_table
    from mimtpy_cloud.cli.datasets import matching_entries
    from mimtpy_cloud.cli.tables import facts

    for entry in matching_entries(options.open_root(root, as_of), track):
        show_table(("", ""), facts(entry).items())
        click.echo()


@catalog.command()
@options.bbox
@click.option("--track", metavar="NAME", help="Track or project, such as A064.")
@click.option("--resolution", metavar="NAME", help="Such as standard.")
@click.option("--dates", nargs=2, metavar="START END", help="With an acquisition between these dates.")
@options.root
@options.as_of
def search(root: str, as_of: str | None, track: str | None, dates: tuple[str, str] | None, **wanted: Any) -> None:
    """
    Find products by place, track, resolution and dates.

    Example:

    \b
      mimtpy catalog search --bbox -120 35 -118 37 --resolution standard --root data
    """
    from mimtpy_cloud.cli.datasets import all_entries, describe_entries, matching_entries
    from mimtpy_cloud.cli.tables import show_entries
    from mimtpy_cloud.errors import TrackNotFoundError

    start, end = dates or (None, None)
    found = options.open_root(root, as_of)
    named = matching_entries(found, track) if track else None
    entries = [e for e in found.search(start=start, end=end, **wanted) if named is None or e in named]
    if not entries:
        raise TrackNotFoundError(f"nothing found; the catalog has {describe_entries(all_entries(found))}")
    show_entries(entries)


@catalog.command()
@options.root
@click.pass_context
def verify(ctx: click.Context, root: str) -> None:
    """
    Check that every store that the catalog names is there and whole.

    Example:

    \b
      mimtpy catalog verify --root data
    """
    from mimtpy_cloud.catalog.maintenance import verify as find_problems

    problems = find_problems(root)
    for problem in problems:
        click.echo(f"{problem.key}: {problem.message}")
    click.echo(f"{len(problems)} problems" if problems else "all stores are whole", err=True)
    ctx.exit(1 if problems else 0)


@catalog.command()
@options.root
@click.option("--older-than", type=click.FloatRange(0), metavar="DAYS", help="Also drop replaced revisions this old.")
@click.option("--dry-run", is_flag=True, help="Say what would be removed.")
def gc(root: str, older_than: float | None, *, dry_run: bool) -> None:
    """
    Remove stores that no catalog entry names, and old revisions.

    A store that is younger than a day stays: an ingest may be writing it.

    Example:

    \b
      mimtpy catalog gc --older-than 90 --dry-run --root data
    """
    from mimtpy_cloud.catalog.maintenance import gc as collect

    removed = collect(root, older_than_days=older_than, dry_run=dry_run)
    for store in removed:
        click.echo(store)
    click.echo(f"{len(removed)} stores {'would be ' if dry_run else ''}removed", err=True)


@catalog.command()
@options.root
@click.option("--out", metavar="URL", help="Folder of the STAC catalog; default stac below the root.")
@click.option(
    "--href-root", metavar="URL", help="Address of the root for readers, such as https://host/root; default relative."
)
@click.option("--thumbnails/--no-thumbnails", default=True, show_default=True, help="Draw a picture of each product.")
def stac(root: str, out: str | None, href_root: str | None, *, thumbnails: bool) -> None:
    """
    Write a static STAC catalog of what is current, and a stac-geoparquet of its items.

    Needs the extra "stac". In a published root, searches then read one object instead of one index a track.

    Example:

    \b
      mimtpy catalog stac --root data
      mimtpy catalog stac --root s3://private/root --out s3://public/stac --href-root https://data.example.org/root
    """
    from mimtpy_cloud.catalog.stac import require_stac

    require_stac()
    from mimtpy_cloud.cli.thumbnails import write_illustrated

    click.echo(write_illustrated(root, out=out, href_root=href_root, pictures=thumbnails))
