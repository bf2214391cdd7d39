"""``mimtpy plot``."""

import click

from mimtpy_cloud.cli import options

__all__ = ["plot"]


@click.command()
@click.argument("product")
@click.option("--variable", default="", metavar="NAME", help="What to show; default the main one, or all components.")
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
    symlog: bool,
    out: str,
) -> None:
    """
    Draw a map of a product; of a decomposition, its components side by side with their uncertainties.

    Example:

    \b
      mimtpy plot east_up.zarr --fault faults.geojson
      mimtpy plot east_up.zarr --variable up --fault faults.geojson --out up.png
      mimtpy plot velocity.tif --limits -20 20
    """
    from mimtpy_cloud.cli.products import draw, open_product
    from mimtpy_cloud.cli.steps import Plot

    product = product.rstrip("/")
    url = out or f"{product.rsplit('.', 1)[0]}{f'_{variable}' if variable else ''}.png"
    options = {"coastline": coastline, "limits": limits, "unit": unit, "symlog": symlog}
    draw(open_product(product), url, Plot(faults=faults), variable=variable, **options)
    click.echo(url)
