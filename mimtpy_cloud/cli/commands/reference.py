"""``mimtpy reference``."""

from typing import Any

import click

from mimtpy_cloud.cli import options
from mimtpy_cloud.cli.commands.output import write

__all__ = ["reference"]


@click.command()
@click.argument("name", metavar="TRACK|PRODUCT")
@click.option("--point", nargs=2, type=options.NUMBERS, metavar="LON LAT", help="Place that becomes zero.")
@click.option("--polygon", metavar="FILE", help="Area whose mean becomes zero: GeoJSON, Shapefile, or GMT text.")
@click.option(
    "--stations", metavar="FILE", help="GNSS velocities whose frame the track gets: MIDAS, PBO .vel, CSI .enu, or CSV."
)
@click.option(
    "--units", type=click.Choice(["m/yr", "cm/yr", "mm/yr"]), help="Unit of the stations, if their table does not say."
)
@click.option("--up-zero", is_flag=True, help="Take a vertical velocity that a station lacks as zero.")
@click.option(
    "--window",
    type=click.IntRange(min=1),
    default=1,
    show_default=True,
    metavar="N",
    help="Odd side in pixels of the square around the point, or a station, that is averaged.",
)
@click.option("--date", metavar="DATE", help="Acquisition that becomes zero in a series.")
@click.option("--plate", metavar="NAME", help="Remove the motion of this plate, such as Eurasia (ITRF2014).")
@options.observation
@options.out(".", "Folder for <product>_ref_<what>.zarr, .tif and .png, or one file ending in .zarr, .tif or .png.")
def reference(
    name: str,
    root: str,
    out: str,
    point: tuple[float, float] | None,
    polygon: str | None,
    stations: str | None,
    units: str | None,
    up_zero: bool,
    window: int,
    date: str | None,
    plate: str | None,
    **choice: Any,
) -> None:
    """
    Refer a track or product to a point, an area, GNSS stations or a date, and remove the motion of a plate.

    Example:

    \b
      mimtpy reference A064 --type series --root data --point -118.9 36.2 --out referred.zarr
      mimtpy reference velocity.zarr --point -118.9 36.2 --out products
      mimtpy reference velocity.zarr --stations midas.IGS14.txt --window 5 --plate Eurasia --out tied.zarr
    """
    from mimtpy_cloud.cli.actions import check_out, refuse_itself, shown_variables
    from mimtpy_cloud.cli.inputs import input_stem, open_inputs
    from mimtpy_cloud.cli.names import file_stem, marks
    from mimtpy_cloud.ops.plate import remove_plate_motion
    from mimtpy_cloud.plan.dates import parse_date

    places = {"point": point, "polygon": polygon, "stations": stations, "date": date}
    given = {key: value for key, value in (places | {"plate": plate}).items() if value is not None}
    if not given:
        raise click.UsageError("expected one of --point, --polygon and --stations, or --date, or --plate")
    refuse_itself(out, name)
    suffix = check_out(out)
    (label,), (ds,), provenance = open_inputs(root, (name,), least=1, **choice)
    stem = input_stem(name, label, ds, **choice)
    if given.keys() - {"plate"}:
        ds = _refer(ds, point, polygon, stations, units, up_zero, window, date)
    if plate is not None:
        ds = remove_plate_motion(ds, plate)
    variables = shown_variables(ds, suffix)
    files = {"polygon": polygon and file_stem(polygon), "stations": stations and file_stem(stations)}
    day = date and str(parse_date(date)).replace("-", "")
    told = marks(ref=point or bool(given.keys() - {"plate"}), **files, date=day, upzero=up_zero)
    told += marks(window=window if window > 1 else None, plate=plate)
    maps = {stem + told if len(variables) == 1 else f"{stem}{told}_{variable}": variable for variable in variables}
    write(ds, out, stem + told, maps, {"step": "reference", **given, **provenance})


def _refer(
    ds: Any,
    point: tuple[float, float] | None,
    polygon: str | None,
    stations: str | None,
    units: str | None,
    up_zero: bool,
    window: int,
    date: str | None,
) -> Any:
    from mimtpy_cloud.io.gnss import read_stations
    from mimtpy_cloud.io.vectors import read_lines
    from mimtpy_cloud.ops.reference import set_reference

    table = None if stations is None else read_stations(stations, units=units)
    outlines = None if polygon is None else read_lines(polygon)
    up = "zero" if up_zero else "drop"
    result = set_reference(ds, point=point, polygon=outlines, stations=table, window=window, date=date, up=up)
    if table is not None:
        frame = result.attrs["reference_frame"] or "an unknown frame"
        click.echo(f"{len(result.attrs['reference_stations'])} stations of {frame} lie in the product", err=True)
    return result
