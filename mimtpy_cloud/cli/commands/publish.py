"""``mimtpy publish``."""

from typing import Any

import click

from mimtpy_cloud.cli import options
from mimtpy_cloud.cli.console import progress_bar

__all__ = ["publish"]


@click.command()
@options.root
@click.option("--to", required=True, metavar="URL", help="Root to publish at: new, or published to before.")
@click.option("--sensor", metavar="NAME", help="Only this one, such as Sentinel.")
@click.option("--track", metavar="NAME", help="Only this one, such as A064.")
@click.option("--project", metavar="NAME", help="Only this one.")
@click.option("--product", metavar="NAME", help="Only this one.")
@click.option("--resolution", metavar="NAME", help="Only this one, such as standard.")
@options.bbox_overlap
@click.option("--stac", is_flag=True, help="Write a STAC catalog there, too, as mimtpy catalog stac does.")
@click.option("--workers", type=click.IntRange(1), metavar="N", help="Objects that are copied at once; default 8.")
@click.option("--dry-run", is_flag=True, help="Say what would be copied.")
def publish(root: str, to: str, *, stac: bool, dry_run: bool, **wanted: Any) -> None:
    """
    Copy what is current to a static root, which any web server can serve.

    Stores that are there whole are not copied again, so the same command may be interrupted and run again. The
    published root holds no history, and of the places that sources came from only the file names.

    Example:

    \b
      mimtpy publish --root s3://private/root --to s3://public/root --stac
      mimtpy publish --root data --to /srv/www/insar --track A064 --resolution standard
    """
    from mimtpy_cloud.catalog.publish import publish as publish_root
    from mimtpy_cloud.cli.tables import show_entries

    if stac and not dry_run:
        from mimtpy_cloud.catalog.stac import require_stac

        require_stac()  # before the work
    with progress_bar("publish") as progress:
        published = publish_root(root, to, progress=progress, dry_run=dry_run, **wanted)
    show_entries(published.entries)
    what = f"{len(published.copied)} stores {'would be ' if dry_run else ''}copied, {published.nbytes / 1e6:.1f} MB"
    click.echo(f"{what}; {len(published.present)} there already", err=True)
    if stac and not dry_run:
        from mimtpy_cloud.cli.thumbnails import write_illustrated

        click.echo(write_illustrated(to))
