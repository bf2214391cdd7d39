"""``mimtpy deramp, subtract``: products made of products."""

from typing import Any

import click

from mimtpy_cloud.cli import options

__all__ = ["deramp", "subtract"]

_OUT = "Folder for <type>/<name>{} .zarr, .tif and .png, or one file ending in .zarr, .tif or .png."
_KINDS = ("linear", "quadratic", "linear_range", "linear_azimuth", "quadratic_range", "quadratic_azimuth", "constant")


@click.command()
@click.argument("product")
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
@options.out(".", _OUT.format("_deramp"))
def deramp(product: str, out: str, variable: str | None, mask_file: str | None, **choice: Any) -> None:
    """
    Remove a ramp from a product; columns are range, rows azimuth.

    Example:

    \b
      mimtpy deramp products/A064/velocity/velocity_20150101_20200101.zarr --out flat.zarr
      mimtpy deramp velocity.tif --kind quadratic --robust --exclude volcano.geojson --out products
    """
    from mimtpy_cloud.cli.actions import check_out, refuse_itself
    from mimtpy_cloud.cli.names import file_stem, marks, product_stem
    from mimtpy_cloud.cli.products import join, open_product
    from mimtpy_cloud.ops.deramp import remove_ramp
    from mimtpy_cloud.view.map import main_variable

    check_out(out)
    refuse_itself(out, product)
    ds, files = open_product(product.rstrip("/")), choice.pop("exclude")
    told = marks(deramp=choice["kind"], robust=choice["robust"], keepref=choice["keep_reference"])
    told += marks(mask=mask_file and file_stem(mask_file), excl=[file_stem(file) for file in files])
    mask = None if mask_file is None else _mask(mask_file.rstrip("/"), ds)
    flat = remove_ramp(ds, choice.pop("kind"), variable=variable, mask=mask, exclude=_polygons(files), **choice)
    name, shown = product_stem(ds, product) + told, variable or main_variable(flat)
    provenance = {"datasets": [product], "excluded": list(files), "mask": mask_file, "revisions": _revisions(ds)}
    _save(flat, out, join(shown, name), {name: shown}, {"step": "deramp", **provenance})


def _mask(url: str, ds: Any) -> Any:
    """Pixels of a mask that are above zero, and valid in the product if it says so."""
    from mimtpy_cloud.cli.products import open_product
    from mimtpy_cloud.errors import SchemaError

    found = open_product(url)
    maps = [name for name, variable in found.data_vars.items() if variable.dims == ("y", "x")]
    name = "valid" if "valid" in maps else maps[0] if len(maps) == 1 else None
    if name is None:
        raise SchemaError(f"{url} needs one map, or one called valid, to be a mask; it has {', '.join(map(str, maps))}")
    above = found[name] > 0
    if "valid" not in ds or above.shape != ds["valid"].shape:  # remove_ramp says what is wrong
        return above
    return above.copy(data=above.data & (ds["valid"].data > 0))


def _polygons(files: tuple[str, ...]) -> list[Any] | None:
    from mimtpy_cloud.errors import SourceFormatError
    from mimtpy_cloud.io.vectors import read_lines

    rings = [ring for file in files for ring in read_lines(file)]
    if any(len(ring) < 3 for ring in rings):
        raise SourceFormatError(f"{', '.join(files)}: expected polygons, got a line of two vertices")
    return rings or None


@click.command()
@click.argument("first", metavar="A")
@click.argument("second", metavar="B")
@click.option(
    "--join",
    "how",
    type=click.Choice(["inner", "outer"]),
    default="inner",
    show_default=True,
    help="Cover the common pixels, or all, with no data outside the common ones.",
)
@options.bbox
@options.out(".", _OUT.format("_minus_<other>"))
def subtract(first: str, second: str, how: str, bbox: Any, out: str) -> None:
    """
    Subtract product B from product A of one grid, kind and unit.

    Example:

    \b
      mimtpy subtract A064_A137_mosaic.zarr model.tif --out residual.zarr
      mimtpy subtract late.zarr early.zarr --bbox -119.5 36 -119 36.5 --out products
    """
    from mimtpy_cloud.cli.actions import check_out, kind_of, refuse_itself, shown_variables
    from mimtpy_cloud.cli.names import marks, product_stem
    from mimtpy_cloud.cli.products import join, open_product
    from mimtpy_cloud.ops.difference import subtract as difference_of

    check_out(out)
    refuse_itself(out, first, second)
    one, other = (open_product(product.rstrip("/")) for product in (first, second))
    ds = difference_of(one, other, join=how, bbox=bbox)  # type: ignore[arg-type]
    name = f"{product_stem(one, first)}_minus_{product_stem(other, second)}"
    name += marks(outer=how == "outer", subset=bbox)
    provenance = {"datasets": [first, second], "revisions": list(dict.fromkeys(_revisions(one) + _revisions(other)))}
    variables = shown_variables(ds, check_out(out))
    maps = {name if len(variables) == 1 else f"{name}_{variable}": variable for variable in variables}
    _save(ds, out, join(kind_of(ds, variables[0]), name), maps, {"step": "subtract", **provenance})


def _revisions(ds: Any) -> list[str]:
    return list(ds.attrs.get("provenance", {}).get("revisions", []))


def _save(ds: Any, out: str, stem: str, maps: dict[str, str], provenance: dict[str, Any]) -> None:
    from mimtpy_cloud.cli.actions import save
    from mimtpy_cloud.cli.console import progress_bar

    with progress_bar(str(provenance["step"])) as progress:
        files = save(ds, out, stem, maps, provenance, progress=progress)
    for file in files:
        click.echo(file)
