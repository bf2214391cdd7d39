"""``mimtpy decompose-series``."""

from typing import Any

import click

from mimtpy_cloud.cli import options

__all__ = ["decompose_series"]

_OUT = (
    "Folder for series/<tracks>_<what> .zarr, its last map and some places over time as .png; or one file ending in "
    ".zarr."
)


@click.command()
@click.argument("tracks", nargs=-1, required=True, metavar="TRACK|PRODUCT...")
@options.root
@options.dates
@click.option(
    "--dates",
    "which",
    default="union",
    show_default=True,
    metavar="union|common|FREQ",
    help="Dates of the result: those of all tracks, those while all tracks go on, or a frequency such as 30D or MS.",
)
@click.option("--reference-date", metavar="DATE", help="On which displacement is zero; default the first.")
@click.option(
    "--method",
    type=click.Choice(["tikhonov", "interpolation"]),
    default="tikhonov",
    show_default=True,
    help="Solve all dates at once with a penalty on rough motion, or each from interpolated tracks.",
)
@click.option(
    "--order",
    type=click.IntRange(0, 2),
    default=1,
    show_default=True,
    help="Penalise velocity (0), its change (1), or the change of that (2).",
)
@click.option(
    "--regularisation",
    type=float,
    metavar="NUMBER",
    help="Weight of the penalty in yr^(2 order + 1), over m^2 with --sigma; default what cross-validation says.",
)
@click.option("--sigma", type=float, metavar="M", help="Standard deviation of an observation; default the residuals.")
@click.option(
    "--max-gap",
    type=float,
    default=180.0,
    show_default=True,
    metavar="DAYS",
    help="Longest gap of a track that its data bridge; beyond there is no solution.",
)
@options.decomposition("eu", "hu")
@click.option(
    "--at",
    "places",
    nargs=2,
    type=options.NUMBERS,
    multiple=True,
    metavar="LON LAT",
    help="Place that the figure shows over time; repeat it. Default some that move far.",
)
@options.bbox
@options.resolution
@options.mask
@options.geometry
@options.out(".", _OUT)
def decompose_series(
    tracks: tuple[str, ...],
    root: str,
    out: str,
    which: str,
    components: str | None,
    azimuth: float | None,
    north: str | None,
    units: str | None,
    reference: tuple[float, float] | None,
    places: tuple[tuple[float, float], ...],
    max_gap: float,
    **more: Any,
) -> None:
    """
    Solve horizontal and vertical motion over time from two or more tracks with different dates.

    Example:

    \b
      mimtpy decompose-series A064 D071 --root data --reference -118.9 36.2 --out products
      mimtpy decompose-series A064 A137 D071 --root data --dates MS --sigma 0.005 --out monthly.zarr
      mimtpy decompose-series A064 D071 --root data --order 0 --regularisation 0.1 --at -119.1 36.4 --out products
    """
    from mimtpy_cloud.cli.actions import check_out, refuse_itself
    from mimtpy_cloud.cli.inputs import open_inputs, read_north, refer_inputs
    from mimtpy_cloud.cli.names import joint_marks, marks, north_marks
    from mimtpy_cloud.cli.products import join
    from mimtpy_cloud.errors import StorageError
    from mimtpy_cloud.ops import timeline

    if check_out(out) not in ("", ".zarr"):
        raise StorageError(f"a time series is written as .zarr; give --out NAME.zarr or a folder, got {out}")
    refuse_itself(out, *tracks, *([north] if north else []))
    if azimuth is not None and components is not None:
        raise click.UsageError("expected --azimuth or --components, got both")
    how = ("reference_date", "method", "order", "regularisation", "sigma", "north_std", "same_datum")
    solved = {key: more.pop(key) for key in how}
    known = read_north(north, units)
    whole = more if reference is None else more | {"bbox": None}  # the point may lie outside of the box
    labels, datasets, provenance = open_inputs(root, tracks, "series", least=2, asked=False, **whole)
    if reference is not None:
        datasets = refer_inputs(datasets, reference, more["bbox"])
    wanted = (components or "eu") if azimuth is None else azimuth
    ds = timeline.decompose_series(datasets, wanted, dates=which, north=known, max_gap_days=max_gap, **solved)
    names = ["horizontal" if "horizontal" in ds else "east", "up"]
    defaults = {"method": "tikhonov", "order": 1, "components": "eu", "max_gap": 180.0, "dates": "union"}
    asked: dict[str, Any] = {
        **solved,
        "components": components,
        "azimuth": azimuth,
        "dates": which,
        "max_gap": max_gap,
        "north": north,
        "reference": reference,
    }
    given = {k: v for k, v in asked.items() if v is not None and v is not False and v != defaults.get(k)}
    told = {key.replace("_", ""): value for key, value in given.items() if key not in ("reference", "north")}
    suffix = marks(**told) + north_marks(north) + joint_marks(ds, more, reference)
    stem = join("series", f"{'+'.join(labels)}_{'_'.join(names)}{suffix}")
    _write(ds, out, stem, names, places, {"step": "decompose-series", **given, **provenance})


def _write(ds: Any, out: str, stem: str, names: list[str], places: Any, provenance: dict[str, Any]) -> None:
    """Write the store and, in a folder, its last map and places over time."""
    from mimtpy_cloud.cli.actions import check_out
    from mimtpy_cloud.cli.console import progress_bar
    from mimtpy_cloud.cli.names import shortened
    from mimtpy_cloud.cli.products import draw, join, open_product, write_store
    from mimtpy_cloud.cli.steps import Plot
    from mimtpy_cloud.view.map import save_figure
    from mimtpy_cloud.view.timeline import plot_timeline

    in_folder = not check_out(out)
    store = join(out, f"{shortened(stem)}.zarr") if in_folder else out
    with progress_bar(str(provenance["step"])) as progress:
        write_store(ds, store, provenance=provenance, required=names, progress=progress)
    click.echo(store)
    if in_folder or places:
        base, made = store.removesuffix(".zarr"), open_product(store)
        draw(made, f"{base}.png", Plot())
        save_figure(plot_timeline(made, places), f"{base}_time.png")
        click.echo(f"{base}.png\n{base}_time.png")
