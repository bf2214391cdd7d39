"""``mimtpy covariance``."""

from typing import Any

import click

from mimtpy_cloud.cli import options

__all__ = ["covariance"]

_KINDS = ("exponential", "gaussian", "spherical", "matern32")
_RAMPS = ("linear", "quadratic", "constant")


@click.command()
@click.argument("name", metavar="TRACK|PRODUCT")
@options.patch("Box where nothing moves; by default the whole map.")
@click.option("--kind", type=click.Choice(_KINDS), default="exponential", show_default=True, help="Model.")
@click.option("--ramp", type=click.Choice(_RAMPS), default="linear", show_default=True, help="Ramp to remove before.")
@click.option("--variable", metavar="NAME", help="Which, if the product has several, such as east and up.")
@options.root
@options.type_
@options.dates
@options.resolution
@options.mask
@options.geometry
@options.out(".", "Folder for <name>_covariance_<kind> .json, .csv and .png, or a file ending in .json.")
def covariance(
    name: str,
    root: str,
    out: str,
    patch: tuple[float, float, float, float] | None,
    kind: str,
    ramp: str,
    variable: str | None,
    type_: str,
    **choice: Any,
) -> None:
    """
    Estimate how the noise of a track or product is correlated in space: sill, range and nugget.

    The .json is what gridsearch takes as --covariance; the .csv has the semivariogram, the .png is its figure.

    Example:

    \b
      mimtpy covariance A087 --root data --patch 33.2 39.0 34.2 39.8 --out noise.json
      mimtpy covariance velocity.zarr --patch 33.2 39.0 34.2 39.8 --kind spherical --out products
    """
    from pathlib import PurePath

    from mimtpy_cloud.cli.actions import shown_variables
    from mimtpy_cloud.cli.inputs import input_stem, open_inputs
    from mimtpy_cloud.cli.names import marks, shortened
    from mimtpy_cloud.cli.noise import write_covariance
    from mimtpy_cloud.cli.products import join
    from mimtpy_cloud.errors import SchemaError, StorageError
    from mimtpy_cloud.ops.covariance import estimate_covariance

    suffix = PurePath(out).suffix.lower()
    if suffix in (".zarr", ".tif", ".tiff", ".png", ".csv"):
        raise StorageError(
            f"--out is a name that ends in .json, beside which come .csv and .png, or a folder, got {out}"
        )
    choice |= {"bbox": None}
    (label,), (ds,), provenance = open_inputs(root, (name,), type_, least=1, **choice)
    shown, *more = shown_variables(ds, "", variable)
    if more:
        raise SchemaError(f"which one? The product has {shown}, {', '.join(more)}; give --variable")
    told = marks(covariance=kind, ramp=None if ramp == "linear" else ramp, variable=variable, patch=patch)
    stem = join(out, shortened(input_stem(name, label, ds, type_, **choice) + told))
    stem = out[: -len(suffix)] if suffix == ".json" else stem
    lazy = estimate_covariance(ds[shown], patch, ramp=ramp, kind=kind)
    made_by = {"step": "covariance", "variable": shown, "patch": patch, "ramp": ramp, **provenance}
    files, lines = write_covariance(lazy, stem, made_by, title=f"{label} {shown}")
    for line in (*lines, *files):
        click.echo(line)
