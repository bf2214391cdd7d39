"""``mimtpy deramp, subtract``."""

from typing import Any

import click

from mimtpy_cloud.cli import options
from mimtpy_cloud.cli.commands.output import write

__all__ = ["deramp", "subtract"]

_OUT = "Folder for <type>/<name>{} .zarr, .tif and .png, or one file ending in .zarr, .tif or .png."
_KINDS = ("linear", "quadratic", "linear_range", "linear_azimuth", "quadratic_range", "quadratic_azimuth", "constant")


@click.command()
@click.argument("name", metavar="TRACK|PRODUCT")
@click.option("--kind", type=click.Choice(_KINDS), default="linear", show_default=True, help="Shape of the ramp.")
@click.option("--variable", metavar="NAME", help="Which, if the product has several, such as east and up.")
@click.option(
    "--mask-file", metavar="URL", help="Product or GeoTIFF on the same grid: fit only where it is above zero."
)
@click.option(
    "--exclude", multiple=True, metavar="FILE", help="Vector file of polygons that the fit leaves out; repeat it."
)
@click.option("--robust", is_flag=True, help="Give large residuals less weight.")
@click.option("--keep-reference", is_flag=True, help="Leave the reference point at its value, as MintPy does.")
@options.observation
@options.out(".", _OUT.format("_deramp"))
def deramp(
    name: str,
    root: str,
    out: str,
    kind: str,
    variable: str | None,
    mask_file: str | None,
    exclude: tuple[str, ...],
    robust: bool,
    keep_reference: bool,
    **choice: Any,
) -> None:
    """
    Remove a ramp from a track or product, of a series from each date; columns are range, rows azimuth.

    Example:

    \b
      mimtpy deramp A064 --root data --robust --out products
      mimtpy deramp products/A064/velocity/velocity_20150101_20200101.zarr --out flat.zarr
      mimtpy deramp velocity.tif --kind quadratic --robust --exclude volcano.geojson --out products
    """
    from mimtpy_cloud.cli.actions import check_out, refuse_itself, shown_variables
    from mimtpy_cloud.cli.inputs import input_stem, open_inputs, read_mask
    from mimtpy_cloud.cli.names import file_stem, marks
    from mimtpy_cloud.cli.products import join
    from mimtpy_cloud.ops.deramp import remove_ramp

    suffix = check_out(out)
    refuse_itself(out, name)
    (label,), (ds,), provenance = open_inputs(root, (name,), least=1, **choice)
    stem = input_stem(name, label, ds, **choice)
    shown, *_ = shown_variables(ds, suffix, variable)
    told = marks(deramp=kind, robust=robust, keepref=keep_reference)
    told += marks(mask=mask_file and file_stem(mask_file), excl=[file_stem(file) for file in exclude])
    mask = None if mask_file is None else read_mask(mask_file.rstrip("/"), ds)
    options = {"robust": robust, "keep_reference": keep_reference}
    flat = remove_ramp(ds, kind, variable=variable, mask=mask, exclude=_polygons(exclude), **options)  # type: ignore[arg-type]
    made_by = {"step": "deramp", **provenance, "excluded": list(exclude), "mask": mask_file}
    write(flat, out, join(shown, stem + told), {stem + told: shown}, made_by)


def _polygons(files: tuple[str, ...]) -> list[Any] | None:
    from mimtpy_cloud.errors import SourceFormatError
    from mimtpy_cloud.io.vectors import read_lines

    rings = [ring for file in files for ring in read_lines(file)]
    if any(len(ring) < 3 for ring in rings):
        raise SourceFormatError(f"{', '.join(files)}: expected polygons, got a line of two vertices")
    return rings or None


@click.command()
@click.argument("first", metavar="TRACK|PRODUCT")
@click.argument("second", metavar="TRACK|PRODUCT")
@click.option(
    "--join",
    "how",
    type=click.Choice(["inner", "outer"]),
    default="inner",
    show_default=True,
    help="Cover the common pixels, or all, with no data outside the common ones.",
)
@options.observation
@options.out(".", _OUT.format("_minus_<other>"))
def subtract(first: str, second: str, root: str, how: str, out: str, **choice: Any) -> None:
    """
    Subtract the second track or product from the first, which have one grid, kind and unit.

    Example:

    \b
      mimtpy subtract A064 A137 --root data --out products
      mimtpy subtract A064_A137_mosaic.zarr model.tif --out residual.zarr
      mimtpy subtract late.zarr early.zarr --bbox -119.5 36 -119 36.5 --out products
    """
    from mimtpy_cloud.cli.actions import check_out, kind_of, refuse_itself, shown_variables
    from mimtpy_cloud.cli.inputs import input_stem, open_inputs
    from mimtpy_cloud.cli.names import marks
    from mimtpy_cloud.cli.products import join
    from mimtpy_cloud.ops.difference import subtract as difference_of

    suffix = check_out(out)
    refuse_itself(out, first, second)
    bbox, names = choice["bbox"], (first, second)
    choice |= {"bbox": None}
    labels, (one, other), provenance = open_inputs(root, names, least=2, **choice)
    ds = difference_of(one, other, join=how, bbox=bbox)  # type: ignore[arg-type]
    stems = [input_stem(*found, **choice) for found in zip(names, labels, (one, other), strict=True)]
    name = "_minus_".join(stems) + marks(outer=how == "outer", subset=bbox)
    variables = shown_variables(ds, suffix)
    maps = {name if len(variables) == 1 else f"{name}_{variable}": variable for variable in variables}
    write(ds, out, join(kind_of(ds, variables[0]), name), maps, {"step": "subtract", **provenance})
