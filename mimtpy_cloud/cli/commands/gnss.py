"""``mimtpy gnss``."""

from pathlib import PurePath
from typing import Any

import click

from mimtpy_cloud.cli import options

__all__ = ["gnss"]


@click.command()
@click.argument("name", metavar="TRACK|PRODUCT")
@click.argument("stations", metavar="STATIONS")
@options.root
@click.option(
    "--component",
    "components",
    multiple=True,
    type=click.Choice(["los", "east", "north", "horizontal", "up"]),
    help="Only this one of a product; repeatable. Default all that it has.",
)
@click.option(
    "--window",
    type=click.IntRange(min=1),
    default=1,
    show_default=True,
    metavar="N",
    help="Odd side in pixels of the square around a station that is averaged.",
)
@click.option("--exclude", multiple=True, metavar="NAME", help="Station that shall not count; repeatable.")
@click.option(
    "--units", type=click.Choice(["m/yr", "cm/yr", "mm/yr"]), help="Unit of the stations, if their table does not say."
)
@click.option("--frame", metavar="NAME", help="Frame of the stations, if neither their table nor its name says.")
@click.option("--coordinates", metavar="FILE", help="Places of the stations, for MIDAS tables without.")
@click.option("--up-zero", is_flag=True, help="Take a vertical velocity that a station lacks as zero.")
@options.dates
@options.bbox
@options.resolution
@options.mask
@options.geometry
@options.out(".", "Folder for <product>_gnss_<stations>.png and .json.")
def gnss(
    name: str,
    stations: str,
    root: str,
    out: str,
    components: tuple[str, ...],
    window: int,
    exclude: tuple[str, ...],
    units: str | None,
    frame: str | None,
    coordinates: str | None,
    up_zero: bool,
    **choice: Any,
) -> None:
    """
    Compare a track or product with GNSS stations: residuals, regression, pairs by distance.

    STATIONS is a table of velocities (MIDAS, PBO .vel, CSI .enu, CSV), or tenv3 series: a file, a folder or a pattern.

    Example:

    \b
      mimtpy gnss east_up.zarr midas.IGS14.txt --window 5 --out products
      mimtpy gnss A064 'series/*.IGS14.tenv3' --root data --exclude P123
    """
    from mimtpy_cloud.cli.console import show_table
    from mimtpy_cloud.cli.inputs import input_stem, open_inputs
    from mimtpy_cloud.cli.names import file_stem, marks, shortened
    from mimtpy_cloud.cli.products import join
    from mimtpy_cloud.cli.validation import validate
    from mimtpy_cloud.errors import StorageError
    from mimtpy_cloud.io.gnss import read_stations
    from mimtpy_cloud.view.validation import statistics_rows

    if PurePath(out).suffix.lower() in (".png", ".json", ".tif", ".tiff", ".zarr"):
        raise StorageError(f"--out is a folder here, since a figure and a JSON file are written, got {out}")
    (label,), (ds,), provenance = open_inputs(root, (name,), "velocity", least=1, **choice)
    table = read_stations(stations, units=units, frame=frame, coordinates=coordinates)
    whose = (PurePath(stations).parent.name or "stations") if "*" in stations else file_stem(stations)
    told = marks(gnss=whose, frame=frame, component=components, excl=exclude, upzero=up_zero)
    told += marks(window=window if window > 1 else None)
    stem = join(out, shortened(input_stem(name, label, ds, "velocity", **choice) + told))
    made_by = {"step": "gnss", "stations": stations, **provenance}
    files, comparison = validate(
        ds,
        table,
        stem,
        made_by,
        components=components or None,
        window=window,
        exclude=exclude,
        up="zero" if up_zero else "drop",
    )
    attrs = comparison.attrs
    left = comparison["left_out"].values.any(axis=0).sum()
    click.echo(f"stations in {attrs['frame'] or 'an unknown frame'}, product {attrs['product_frame']}", err=True)
    if attrs["frame_note"]:
        click.echo(f"note: {attrs['frame_note']}", err=True)
    click.echo(f"{attrs['outside']} stations outside, {left} inside left out of a component or all", err=True)
    show_table(*statistics_rows(comparison))
    for file in files:
        click.echo(file)
