"""``mimtpy overlap``."""

from pathlib import PurePath
from typing import Any

import click

from mimtpy_cloud.cli import options

__all__ = ["overlap"]

_PROFILES = 3


@click.command()
@click.argument("first", metavar="TRACK|PRODUCT")
@click.argument("second", metavar="TRACK|PRODUCT")
@options.root
@options.type_
@options.dates
@click.option(
    "--profiles",
    type=click.IntRange(1, 99),
    default=_PROFILES,
    show_default=True,
    metavar="N",
    help="Number of profiles along the overlap, and of those across it.",
)
@click.option(
    "--through", nargs=2, type=options.NUMBERS, metavar="LON LAT", help="Point that one of each runs through instead."
)
@click.option(
    "--azimuth",
    type=click.FloatRange(-360, 360),
    metavar="DEG",
    help="Direction of the profiles along, clockwise from north; default the heading of the tracks.",
)
@click.option("--look", type=click.Choice(["vertical"]), help="Compare as if all motion were vertical.")
@options.bbox
@options.resolution
@options.mask
@options.geometry
@options.out(".", "Folder for <first>_<second>_<type>_overlap.png and .json.")
def overlap(
    first: str,
    second: str,
    root: str,
    out: str,
    type_: str,
    profiles: int,
    through: tuple[float, float] | None,
    azimuth: float | None,
    look: str | None,
    **choice: Any,
) -> None:
    """
    Compare two tracks or products where they overlap: difference, first against second, profiles.

    Example:

    \b
      mimtpy overlap A064 A137 --root data --out products
      mimtpy overlap one.zarr two.zarr --through -118.9 36.4 --azimuth 348
    """
    from mimtpy_cloud.cli.console import show_table
    from mimtpy_cloud.cli.inputs import open_inputs
    from mimtpy_cloud.cli.names import joint_marks, marks
    from mimtpy_cloud.cli.overlaps import compare_products, statistics_table
    from mimtpy_cloud.cli.products import join
    from mimtpy_cloud.errors import StorageError
    from mimtpy_cloud.view.map import main_variable

    if PurePath(out).suffix.lower() in (".png", ".json", ".tif", ".tiff", ".zarr"):
        raise StorageError(f"--out is a folder here, since a figure and a JSON file are written, got {out}")
    labels, (a, b), provenance = open_inputs(root, (first, second), type_, least=2, **choice)
    told = marks(
        profiles=None if profiles == _PROFILES or through else profiles, through=through, azimuth=azimuth, look=look
    )
    stem = join(out, "_".join((*labels, main_variable(a), "overlap")) + told + joint_marks(a, choice))
    made_by = {"step": "overlap", **provenance}
    lines = {"profiles": profiles, "through": through, "azimuth": azimuth}
    files, comparison = compare_products(a, b, stem, made_by, look=look, **lines)  # type: ignore[arg-type]
    show_table(("", "", ""), statistics_table(comparison))
    for file in files:
        click.echo(file)
