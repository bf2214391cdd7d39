"""``mimtpy ingest``."""

from datetime import UTC, datetime
from typing import Literal

import click

from mimtpy_cloud.cli import options
from mimtpy_cloud.cli.console import progress_bar

__all__ = ["ingest"]


@click.command()
@click.argument("sources", nargs=-1, required=True, metavar="SOURCE...")
@options.root
@click.option("--resolution", metavar="NAME", help="Name of the lattice; default from the pixel size of the source.")
@click.option(
    "--pixels-per-degree", type=click.IntRange(1), metavar="N", help="Lattice of a resolution name of your own."
)
@click.option(
    "--resampling",
    type=click.Choice(["nearest", "bilinear", "average"]),
    default="nearest",
    show_default=True,
    help="For sources off the lattice.",
)
@click.option("--dry-run", is_flag=True, help="Say what would be written.")
@click.option("--workers", type=click.IntRange(1), metavar="N", help="Threads; default one a core.")
def ingest(
    sources: tuple[str, ...],
    root: str,
    resolution: str | None,
    pixels_per_degree: int | None,
    resampling: Literal["nearest", "bilinear", "average"],
    *,
    dry_run: bool,
    workers: int | None,
) -> None:
    """
    Bring S1_*.he5, MintPy or LiCSBAS data into the catalog.

    A source becomes one immutable Zarr store a degree of latitude. The same command may be interrupted and run
    again; what is there already is not written twice.

    Example:

    \b
      mimtpy ingest S1_*.he5 --root data --resolution standard
      mimtpy ingest s3://bucket/S1_IW2_064_0113_0119.he5 --root s3://bucket/root
    """
    from mimtpy_cloud.catalog.ingest import ingest as ingest_sources
    from mimtpy_cloud.cli.tables import show_entries

    started = datetime.now(UTC).isoformat()
    with progress_bar("ingest") as progress:
        entries = ingest_sources(
            sources,
            root,
            resolution=resolution,
            pixels_per_degree=pixels_per_degree,
            resampling=resampling,
            dry_run=dry_run,
            progress=progress,
            workers=workers,
        )
    show_entries(entries)
    if before := sum("" < entry.committed < started for entry in entries):
        click.echo(f"{before} of {len(entries)} there already, of the same content and parameters", err=True)
