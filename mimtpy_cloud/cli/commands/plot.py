"""``mimtpy plot``."""

from typing import Any

import click

from mimtpy_cloud.cli import options

__all__ = ["plot"]


@click.command()
@click.argument("product")
@click.option("--variable", default="", metavar="NAME", help="What to show; default the main one, or all components.")
@click.option("--vectors", is_flag=True, help="Show horizontal motion as arrows on the colours of vertical motion.")
@click.option("--stations", metavar="FILE", help="Velocities of GNSS stations: arrows, and circles in the colours.")
@click.option("--names", is_flag=True, help="Write the names of the stations.")
@click.option("--units", type=click.Choice(["mm/yr", "cm/yr", "m/yr"]), help="Unit of a table of stations without one.")
@click.option("--fault", "faults", multiple=True, metavar="FILE", help="Shapefile, GeoJSON, GeoPackage or GMT text.")
@click.option(
    "--fault-color", "colours", multiple=True, metavar="COLOR", help="Of each --fault: b, r, y, o, m or any colour."
)
@click.option("--fault-style", "styles", multiple=True, metavar="STYLE", help="Of each --fault: s (solid), d (dashed).")
@click.option("--coastline", metavar="FILE", help="Vector file with the coast.")
@click.option("--reference", metavar="FILE", help="Vector file with the reference point; default that of the product.")
@click.option("--relief", metavar="height|FILE", help="Shaded relief under the colours: of the product, or of a DEM.")
@click.option("--limits", nargs=2, type=float, metavar="MIN MAX", help="Range of the colours, in the unit shown.")
@click.option("--unit", default="auto", show_default=True, metavar="UNIT", help="Unit to show, such as mm/yr.")
@click.option("--symlog", is_flag=True, help="Symmetric logarithmic colours.")
@options.backend("What draws")
@options.out("", "Figure; default beside the product, as .png.")
def plot(
    product: str,
    variable: str,
    *,
    vectors: bool,
    stations: str | None,
    names: bool,
    units: str | None,
    faults: tuple[str, ...],
    colours: tuple[str, ...],
    styles: tuple[str, ...],
    reference: str | None,
    relief: str | None,
    backend: str,
    out: str,
    **style: Any,
) -> None:
    """
    Draw a map of a product; of a decomposition, its components side by side, their uncertainties and the looks.

    Components share one scale, also alone; --limits gives another. Circles of stations show what the map would show of
    them: of a velocity their motion toward the satellite, with the look of their pixel.

    Example:

    \b
      mimtpy plot east_up.zarr --fault faults.geojson
      mimtpy plot east_up.zarr --variable up --fault faults.geojson --out up.png
      mimtpy plot east_up.zarr --vectors --stations midas.IGS14.txt
      mimtpy plot velocity.zarr --stations midas.IGS14.txt --names --relief height
      mimtpy plot velocity.tif --limits -20 20 --backend pygmt --out velocity.pdf
    """
    from mimtpy_cloud.cli.products import VECTORS, draw, open_product
    from mimtpy_cloud.cli.steps import Plot
    from mimtpy_cloud.io.gnss import read_stations

    if vectors and variable:
        raise click.UsageError("expected --vectors or --variable, got both")
    if vectors and (names or backend == "pygmt"):
        raise click.UsageError(f"--vectors draws without {'--names' if names else '--backend pygmt'}; leave one out")
    if stations is None and (units is not None or names):
        raise click.UsageError(f"expected --stations with --{'names' if names else 'units'}")
    product, variable = product.rstrip("/"), VECTORS if vectors else variable
    url = out or f"{product.rsplit('.', 1)[0]}{f'_{variable}' if variable else ''}.png"
    if stations is not None:
        style["stations"] = read_stations(stations, units=units)
    style |= {} if vectors else {"station_names": names, "backend": backend}
    look = Plot(faults=faults, colours=colours, styles=styles, reference=reference)
    draw(open_product(product), url, look, variable=variable, relief=relief, **style)
    click.echo(url)
