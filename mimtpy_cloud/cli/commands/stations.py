"""``mimtpy stations``."""

import click

from mimtpy_cloud.cli import options

__all__ = ["stations"]


@click.command()
@click.option("--table", metavar="FILE", help="Table of velocities, or tenv3 series: a file, a folder or a pattern.")
@click.option(
    "--url",
    envvar="MIMTPY_GNSS_URL",
    show_envvar=True,
    metavar="URL",
    help="Server, or a copy of it, with the layout of the Nevada Geodetic Laboratory.",
)
@click.option("--name", "names", multiple=True, metavar="NAME", help="Only this station; repeatable.")
@options.bbox_stations
@click.option("--frame", metavar="NAME", help="Reference frame; of a server by default IGS14. A plate: NA, EU, ...")
@click.option("--series", is_flag=True, help="Of a server: velocities from the daily positions, not the MIDAS table.")
@click.option("--units", type=click.Choice(["m/yr", "cm/yr", "mm/yr"]), help="Unit of a table that does not say.")
@click.option("--coordinates", metavar="FILE", help="Places of the stations, for MIDAS tables without.")
@options.out("", "CSV of what is found; default it is only listed.")
def stations(
    table: str | None,
    url: str | None,
    names: tuple[str, ...],
    bbox: tuple[float, float, float, float] | None,
    *,
    frame: str | None,
    series: bool,
    units: str | None,
    coordinates: str | None,
    out: str,
) -> None:
    """
    Search GNSS stations by a box or by name, and keep their velocities as a table.

    What is found can go to plot, gnss, reference, mosaic and decompose.

    Example:

    \b
      mimtpy stations --table midas.IGS14.txt --bbox 31 39 38 43 --out anatolia.csv
      mimtpy stations --url $MIMTPY_GNSS_URL --name ANKR --name TOKA --series --out two.csv
    """
    from mimtpy_cloud.cli.actions import refuse_itself
    from mimtpy_cloud.cli.console import show_table
    from mimtpy_cloud.cli.stations import rows_of, search_server, search_table
    from mimtpy_cloud.exports.stations import write_stations

    refuse_itself(out, table or "")
    if table is not None:
        if series:
            raise click.UsageError("--series is for --url; a table may be tenv3 series itself")
        found = search_table(table, bbox, names, units=units, frame=frame, coordinates=coordinates)
    elif url is None:
        raise click.UsageError("expected --table FILE, or --url URL (or $MIMTPY_GNSS_URL) of a server")
    elif units is not None or coordinates is not None:
        raise click.UsageError("--units and --coordinates are for --table; a server says both itself")
    else:
        found = search_server(url, bbox, names, frame=frame or "IGS14", series=series)
    click.echo(f"{found.sizes['station']} stations in {found.attrs.get('frame') or 'an unknown frame'}", err=True)
    if out:
        write_stations(found, out)
        click.echo(out)
    else:
        show_table(*rows_of(found))
