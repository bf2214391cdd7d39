"""``mimtpy export``."""

from typing import Any

import click

from mimtpy_cloud.cli import options

__all__ = ["export"]


@click.command(no_args_is_help=True)
@click.argument("format", required=False)
@click.argument("names", nargs=-1, metavar="TRACK|PRODUCT...")
@click.option("--list", "list_", is_flag=True, help="List the formats, what they write, need and take as options.")
@click.option("--variable", metavar="NAME", help="Which, if the product has several, such as east and up.")
@click.option(
    "--wavelength",
    type=click.FloatRange(0.001, 10),
    metavar="M",
    help="Of the radar in m, for a phase of a product that does not say.",
)
@click.option(
    "--span",
    nargs=2,
    metavar="START END",
    help="First and last date of a velocity that does not say; for a phase, Kite.",
)
@click.option("--limits", nargs=2, type=options.NUMBERS, metavar="LOW HIGH", help="Of the colours, in m or m/yr.")
@click.option("--colours", metavar="NAME", help="Colour map of matplotlib.")
@options.observation
@options.out(".", "Folder for a file named as the product, or the file; geodmod writes a folder.")
def export(
    format: str | None,  # noqa: A002
    names: tuple[str, ...],
    list_: bool,
    root: str,
    out: str,
    **choice: Any,
) -> None:
    """
    Write tracks or products as files of modelling codes and maps: Kite, GBIS, Geodmod, CSI, GMT, Google Earth.

    Example:

    \b
      mimtpy export --list
      mimtpy export kite A064 --root data --type displacement --start 20190705 --end 20200103 --out scene.npz
      mimtpy export gbis velocity.zarr --bbox 36.8 37.5 37.6 38.2 --out table.mat
      mimtpy export kmz mosaic.zarr --limits -0.02 0.02 --out products
    """
    from mimtpy_cloud.cli.console import progress_bar, show_table
    from mimtpy_cloud.cli.exporting import export_inputs, format_rows

    if list_:
        show_table(("FORMAT", "WRITES", "NEEDS", "OPTIONS"), format_rows())
        return
    if format is None or not names:
        raise click.UsageError("expected a format and a track or product: mimtpy export kite A064; --list has all")
    with progress_bar("export") as progress:
        files = export_inputs(format, names, root, out, progress=progress, **choice)
    for file in files:
        click.echo(file)
