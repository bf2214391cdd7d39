"""``mimtpy extract``."""

from typing import Any

import click

from mimtpy_cloud.cli import options

__all__ = ["extract"]


@click.command()
@click.argument("layer", metavar="LAYER")
@click.argument("source", metavar="TRACK|PRODUCT|FILE")
@click.option(
    "--date",
    metavar="D1_D2|D2",
    help="Dates of a velocity or displacement, as 20150205_20200714, or the last alone; default the whole series.",
)
@click.option(
    "--exclude", multiple=True, metavar="DATE|FILE", help="Leave a date out of a velocity, or those of a file."
)
@click.option("--mask/--no-mask", default=False, show_default=True, help="Drop unusable pixels.")
@click.option("--geotiff", is_flag=True, help="Write only the GeoTIFFs.")
@options.root
@options.bbox
@options.resolution
@options.geometry
@options.out(".", "Folder for <project>/<layer>/<layer>[_<dates>] .zarr, .tif and .png.")
def extract(
    layer: str,
    source: str,
    root: str,
    out: str,
    date: str | None,
    exclude: tuple[str, ...],
    *,
    mask: bool,
    geotiff: bool,
    **choice: Any,
) -> None:
    """
    Take one layer of a track, a product or a file, by its name here or in MintPy.

    \b
    LAYER is one of
      velocity, displacement
      mask, temporalCoherence, avgSpatialCoherence
      height, incidenceAngle, azimuthAngle, slantRangeDistance, shadowMask, waterMask, latitude, longitude
      geometry (all of the line before)

    Example:

    \b
      mimtpy extract velocity S1_IW123_064_0113_0119_20191106_20210111.he5 --date 20191130_20200715 --mask
      mimtpy extract mask A064 --root data --geotiff --out products
      mimtpy extract geometry A064 --root data --bbox -119.5 36 -119 36.5 --out products
    """
    from mimtpy_cloud.cli.actions import check_out
    from mimtpy_cloud.cli.console import progress_bar
    from mimtpy_cloud.cli.extraction import extract_layer, write_extracted
    from mimtpy_cloud.cli.inputs import open_whole
    from mimtpy_cloud.cli.layers import find_layer

    if check_out(out):
        raise click.UsageError("--out is a folder here, whose files have the names of their layers")
    what = find_layer(layer)
    label, ds, provenance = open_whole(root, source, **choice)
    found = extract_layer(ds, what, label, date=date, exclude=exclude, mask=mask, bbox=choice["bbox"])
    made_by = {"step": "extract", "layer": what.variable, "date": date, "mask": mask, **provenance}
    with progress_bar("extract") as progress:
        files = write_extracted(found, out, made_by, geotiff=geotiff, progress=progress)
    for file in files:
        click.echo(file)
