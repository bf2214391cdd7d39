"""``mimtpy to-geotiff``."""

from pathlib import PurePath
from typing import Any

import click

from mimtpy_cloud.cli import options

__all__ = ["to_geotiff"]


@click.command("to-geotiff")
@click.argument("name", metavar="TRACK|PRODUCT|FILE")
@click.option(
    "--variable", "variables", multiple=True, metavar="NAME", help="Which maps; repeat it. Default the main one."
)
@click.option(
    "--unit",
    type=click.Choice(["m", "cm", "mm", "rad"]),
    help="Convert to this, a velocity to this in a year; rad is -4 pi / wavelength times the motion, as MintPy has it.",
)
@options.observation
@options.out(".", "Folder for <name>_<variable>.tif, or one file ending in .tif.")
def to_geotiff(
    name: str, root: str, out: str, variables: tuple[str, ...], unit: str | None, type_: str, **choice: Any
) -> None:
    """
    Write maps of a track, a product, or a file of MintPy or ROI_PAC as Cloud Optimized GeoTIFFs.

    Example:

    \b
      mimtpy to-geotiff velocity.zarr --unit mm --out velocity_mm.tif
      mimtpy to-geotiff velocity.h5 --variable velocity --variable velocity_std --out tiffs
      mimtpy to-geotiff geo_200103-200127.unw --unit cm
      mimtpy to-geotiff S1_IW123_064_0113_0119_20191106_20210111.he5 --type displacement --start 20200103 --unit cm
    """
    from mimtpy_cloud.cli.actions import refuse_itself, shown_variables
    from mimtpy_cloud.cli.console import progress_bar
    from mimtpy_cloud.cli.inputs import input_stem, open_inputs
    from mimtpy_cloud.cli.names import marks, shortened
    from mimtpy_cloud.cli.products import join
    from mimtpy_cloud.errors import SchemaError, StorageError
    from mimtpy_cloud.exports.geotiff import write_cog
    from mimtpy_cloud.exports.provenance import labelled

    suffix = PurePath(out).suffix.lower()
    if suffix and suffix not in (".tif", ".tiff") and not out.endswith("/"):
        raise StorageError(f"--out is a name that ends in .tif, or a folder (end it with /), got {out}")
    (label,), (ds,), provenance = open_inputs(root, (name,), type_, least=1, **choice)
    wanted = list(variables) or shown_variables(ds, ".tif")
    stem = shortened(input_stem(name, label, ds, type_, **choice))
    if suffix and not out.endswith("/"):
        if len(wanted) > 1:
            raise SchemaError(f"one file holds one map, got {', '.join(wanted)}; give --variable, or a folder as --out")
        files = [out]
    else:
        told = marks(**{unit: True}) if unit else ""
        files = [join(out, f"{stem}{'' if one in stem else f'_{one}'}{told}.tif") for one in wanted]
    for file in files:
        refuse_itself(file, name)
    made = ds.assign_attrs(provenance={"step": "to-geotiff", "unit": unit, **provenance})
    for file, one in zip(files, wanted, strict=True):
        with progress_bar(one) as progress:
            write_cog(labelled(made, one), file, unit=unit, progress=progress)
        click.echo(file)
