"""``mimtpy plot``."""

from typing import Any

import click

from mimtpy_cloud.cli import options

__all__ = ["plot"]


@click.command()
@click.argument("product")
@click.option("--variable", default="", metavar="NAME", help="What to show; default the main one, or all components.")
@click.option("--vectors", is_flag=True, help="Show horizontal motion as arrows on the colours of vertical motion.")
@click.option("--stations", metavar="FILE", help="Velocities of GNSS stations, beside the arrows of --vectors.")
@click.option("--units", type=click.Choice(["mm/yr", "cm/yr", "m/yr"]), help="Unit of a table of stations without one.")
@click.option("--fault", "faults", multiple=True, metavar="FILE", help="Shapefile, GeoJSON, GeoPackage or GMT text.")
@click.option("--coastline", metavar="FILE", help="Vector file with the coast.")
@click.option("--limits", nargs=2, type=float, metavar="MIN MAX", help="Range of the colours, in the unit shown.")
@click.option("--unit", default="auto", show_default=True, metavar="UNIT", help="Unit to show, such as mm/yr.")
@click.option("--symlog", is_flag=True, help="Symmetric logarithmic colours.")
@options.out("", "Figure; default beside the product, as .png.")
def plot(
    product: str,
    variable: str,
    faults: tuple[str, ...],
    coastline: str | None,
    limits: tuple[float, float] | None,
    unit: str,
    *,
    vectors: bool,
    stations: str | None,
    units: str | None,
    symlog: bool,
    out: str,
) -> None:
    """
    Draw a map of a product; of a decomposition, its components side by side, their uncertainties and the looks.

    Components share one scale, also alone; --limits gives another.

    Example:

    \b
      mimtpy plot east_up.zarr --fault faults.geojson
      mimtpy plot east_up.zarr --variable up --fault faults.geojson --out up.png
      mimtpy plot east_up.zarr --vectors --stations midas.IGS14.txt
      mimtpy plot velocity.tif --limits -20 20
    """
    from mimtpy_cloud.cli.products import VECTORS, draw, open_product
    from mimtpy_cloud.cli.steps import Plot
    from mimtpy_cloud.io.gnss import read_stations

    if vectors and variable:
        raise click.UsageError("expected --vectors or --variable, got both")
    if stations is not None and not vectors:
        raise click.UsageError("expected --vectors with --stations, which are drawn beside its arrows")
    if units is not None and stations is None:
        raise click.UsageError("expected --stations with --units, which is the unit of their table")
    product, variable = product.rstrip("/"), VECTORS if vectors else variable
    url = out or f"{product.rsplit('.', 1)[0]}{f'_{variable}' if variable else ''}.png"
    options: dict[str, Any] = {"coastline": coastline, "limits": limits, "unit": unit, "symlog": symlog}
    if stations is not None:
        options["stations"] = read_stations(stations, units=units)
    draw(open_product(product), url, Plot(faults=faults), variable=variable, **options)
    click.echo(url)
