"""``mimtpy convert``."""

from typing import Any

import click

from mimtpy_cloud.cli import options

__all__ = ["convert"]


@click.command()
@click.argument("source", metavar="TRACK|PRODUCT|FILE")
@click.option(
    "--to",
    "format_",
    type=click.Choice(["mintpy", "he5", "zarr"]),
    required=True,
    help="mintpy: timeseries.h5, velocity.h5, geometryGeo.h5, masks and coherence, as far as there is something for "
    "them; he5: the one file of a time series; zarr: a store that every command takes.",
)
@options.root
@options.dates
@options.bbox
@options.resolution
@options.geometry
@options.out(".", "Folder; for he5 and zarr also the name of the file.")
def convert(source: str, root: str, out: str, format_: str, start: str | None, end: str | None, **choice: Any) -> None:
    """
    Copy all layers of a track, a product, or a file of MintPy or ROI_PAC to another format, unmasked.

    Example:

    \b
      mimtpy convert S1_IW123_064_0113_0119_20191106_20210111.he5 --to mintpy --out KilaueaSenAT064/mintpy
      mimtpy convert A064 --root data --to he5 --bbox -119.5 36 -119 36.5 --out products
      mimtpy convert geo_200103-200127.unw --geometry geometryGeo.h5 --to zarr --out change.zarr
    """
    from mimtpy_cloud.cli.console import progress_bar
    from mimtpy_cloud.cli.conversion import convert_source
    from mimtpy_cloud.cli.inputs import open_whole

    label, ds, provenance = open_whole(root, source, **choice)
    with progress_bar("convert") as progress:
        files = convert_source(
            ds,
            format_,
            out,
            label=label,
            source=source,
            geometry=choice["geometry"],
            start=start,
            end=end,
            made=provenance,
            progress=progress,
        )
    for file in files:
        click.echo(file)
