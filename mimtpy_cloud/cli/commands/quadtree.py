"""``mimtpy quadtree``."""

from typing import Any

import click

from mimtpy_cloud.cli import options

__all__ = ["quadtree"]


@click.command()
@click.argument("name", metavar="TRACK|PRODUCT")
@click.option(
    "--epsilon",
    type=click.FloatRange(min=0),
    metavar="MM",
    help="Standard deviation within a leaf from which on it is split, in mm (mm/yr); default that of the map.",
)
@click.option(
    "--min",
    "min_",
    metavar="SIZE",
    help="Shortest side of a leaf: pixels, or a length such as 0.02deg (2km if the map is in metres); default a "
    "twentieth of the longer side of the map.",
)
@click.option("--max", "max_", metavar="SIZE", help="Longest side of a leaf, as --min; default a fifth.")
@click.option(
    "--max-nan",
    type=click.FloatRange(0, 1, min_open=True),
    default=0.9,
    show_default=True,
    metavar="SHARE",
    help="Drop leaves with this share of pixels without data or more.",
)
@click.option(
    "--rule",
    type=click.Choice(["strict", "kite"]),
    default="strict",
    show_default=True,
    help="strict: no leaf is longer than --max. kite: the leaves of Kite.",
)
@click.option("--plane", is_flag=True, help="Split by what varies about a plane, not about the mean.")
@click.option("--covariance", metavar="FILE", help="What mimtpy covariance wrote; gives leaves std and weight.")
@click.option("--variable", metavar="NAME", help="Which, if the product has several, such as east and up.")
@options.root
@options.type_
@options.dates
@options.bbox
@options.resolution
@options.mask
@options.geometry
@options.out(
    ".",
    "Folder for <name>_quadtree .csv and .png, or one file: .csv, .parquet, .geojson, .png, or .json as MimtPy "
    "(displacement; beside it _angle.json).",
)
def quadtree(
    name: str,
    root: str,
    out: str,
    type_: str,
    epsilon: float | None,
    min_: str | None,
    max_: str | None,
    max_nan: float,
    rule: str,
    plane: bool,
    covariance: str | None,
    variable: str | None,
    **choice: Any,
) -> None:
    """
    Divide a map into squares that are small where it varies, and write them as a table for models.

    gridsearch reads the table. Leaves have mean, median, place, look, and with --covariance what noise does to them.

    Example:

    \b
      mimtpy quadtree A087 --root data --epsilon 2 --min 4 --max 64 --out leaves.csv
      mimtpy quadtree displacement.zarr --epsilon 7 --min 0.002deg --max 0.592deg --out products
    """
    from mimtpy_cloud.cli.actions import refuse_itself, shown_variables
    from mimtpy_cloud.cli.console import progress_bar
    from mimtpy_cloud.cli.inputs import input_stem, open_inputs
    from mimtpy_cloud.cli.leaves import check_table, epsilon_of, leaves_lines, pixels_of, write_leaves
    from mimtpy_cloud.cli.names import file_stem, marks, shortened
    from mimtpy_cloud.cli.products import join
    from mimtpy_cloud.errors import SchemaError
    from mimtpy_cloud.io.covariance import read_covariance
    from mimtpy_cloud.ops.quadtree import quadtree as divide

    suffix = check_table(out)
    refuse_itself(out, name, covariance or "")
    (label,), (ds,), provenance = open_inputs(root, (name,), type_, least=1, **choice)
    shown, *more = shown_variables(ds, suffix, variable)
    if more:
        raise SchemaError(f"which one? The product has {shown}, {', '.join(more)}; give --variable")
    units = str(ds[shown].attrs.get("units", "1")) if shown in ds else "1"
    rules: dict[str, Any] = {"epsilon": epsilon_of(epsilon, units), "rule": rule, "plane": plane, "max_nan": max_nan}
    rules |= {"min_px": pixels_of(min_, ds, "--min"), "max_px": pixels_of(max_, ds, "--max")}
    noise = None if covariance is None else read_covariance(covariance, units)
    lazy = divide(ds, shown, covariance=noise, **rules)
    told = marks(quadtree=True, variable=variable, eps=epsilon, min=min_, max=max_, plane=plane)
    told += marks(rule=None if rule == "strict" else rule, nan=None if max_nan == 0.9 else max_nan)
    told += marks(cov=None if covariance is None else file_stem(covariance))
    stem = join(out, shortened(input_stem(name, label, ds, type_, **choice) + told))
    made_by = {"step": "quadtree", "variable": shown, **rules, "covariance": covariance, **provenance}
    with progress_bar("quadtree") as progress:
        leaves, files = write_leaves(
            lazy, ds, out[: -len(suffix)] if suffix else stem, suffix, made_by, progress=progress
        )
    for line in (*leaves_lines(leaves), *files):
        click.echo(line)
