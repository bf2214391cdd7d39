"""``mimtpy footprint``."""

from pathlib import PurePath
from typing import Any

import click

from mimtpy_cloud.cli import options

__all__ = ["footprint"]

_KINDS = ("scene", "data", "valid")


@click.command()
@click.argument("source", required=False, metavar="[TRACK|PRODUCT|FILE]")
@click.option(
    "--kind",
    type=click.Choice(_KINDS),
    default="data",
    show_default=True,
    help="Corners of the radar image, outer edges of the pixels, or the usable pixels.",
)
@click.option("--bands", is_flag=True, help="Of a catalog: an outline for each one-degree band.")
@click.option("--coastline", metavar="FILE", help="Vector file with the coast, for a figure.")
@options.root
@options.resolution
@click.option(
    "--out",
    required=True,
    metavar="URL",
    help="Name that ends in .geojson, .gmt (OGR/GMT), .kml, .wkt, or .png for a map of all.",
)
def footprint(
    source: str | None, root: str, kind: str, out: str, *, bands: bool, coastline: str | None, **choice: Any
) -> None:
    """
    Outline a track, a product or a file on the ground, or all tracks of a catalog.

    Example:

    \b
      mimtpy footprint --root data --out tracks.geojson
      mimtpy footprint --root data --kind valid --out tracks.png
      mimtpy footprint S1_IW123_064_0113_0119_20191106_20210111.he5 --kind scene --out scene.gmt
    """
    from mimtpy_cloud.cli.footprints import catalog_footprints, dataset_footprint
    from mimtpy_cloud.cli.inputs import open_whole
    from mimtpy_cloud.errors import SchemaError, StorageError
    from mimtpy_cloud.exports.footprint import ENDINGS, write_footprints
    from mimtpy_cloud.view.footprints import plot_footprints
    from mimtpy_cloud.view.map import save_figure

    suffix = PurePath(out).suffix.lower()
    if suffix not in (*ENDINGS, ".png"):
        raise StorageError(f"--out is a name that ends in {', '.join(ENDINGS)} or .png, got {out}")
    if coastline is not None and suffix != ".png":
        raise click.UsageError("expected --out NAME.png with --coastline, which is drawn")
    if source is None:
        if given := [f"--{key}" for key in ("resolution", "product") if choice[key]]:
            raise SchemaError(f"{', '.join(given)} would choose from one track; name it, or leave that out")
        features = catalog_footprints(options.open_root(root, choice["as_of"]), kind, bands=bands)
    elif bands:
        raise click.UsageError("--bands are those of a catalog; leave out the name")
    else:
        label, ds, _ = open_whole(root, source, **choice)
        features = [dataset_footprint(ds, kind, label)]
    if suffix == ".png":
        what = {"scene": "radar images", "data": "data", "valid": "usable pixels"}[kind]
        save_figure(plot_footprints(features, coastline=coastline, title=f"Footprints of {what}"), out)
    else:
        write_footprints(features, out)
    for _, told in features:
        click.echo(f"{told['name']}: {told['area_km2']:.0f} km2", err=True)
    click.echo(out)
