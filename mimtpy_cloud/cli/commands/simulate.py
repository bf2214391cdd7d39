"""``mimtpy simulate``."""

from typing import Any

import click

from mimtpy_cloud.cli import options

__all__ = ["simulate"]

_RESOLUTIONS = ("veryHighRes", "highRes", "standard", "lowRes", "veryLowRes")
_OUT = "Folder for simulation/<name>_simulated.zarr with all, and of each map _<map>.tif and .png."


@click.command()
@click.argument("name", metavar="[MASK|PRODUCT]", required=False)
@options.bbox
@click.option(
    "--resolution", type=click.Choice(_RESOLUTIONS), default="lowRes", show_default=True, help="Of a new grid."
)
@click.option(
    "--incidence", type=float, metavar="DEG", help="One look for all; default that of the product, 38 of a new grid."
)
@click.option(
    "--heading",
    type=float,
    metavar="DEG",
    help="Its flight direction, clockwise from north; default as above, or -12.5.",
)
@click.option("--look-side", type=click.Choice(["right", "left"]), help="Where that look is to; default right.")
@click.option(
    "--model",
    "models",
    multiple=True,
    metavar="FILE",
    help="Motion to start from: .zarr, .tif, or a matrix of MATLAB (.h5, .mat) called model; several add up.",
)
@click.option(
    "--source",
    "sources",
    multiple=True,
    metavar="NAME:PARAMETERS",
    help="mogi, okada, screw or creep, as mogi:lon=37,lat=38,depth=5e3,volume=1e6 (see mimtpy gridsearch --help).",
)
@click.option("--years", type=float, default=1.0, show_default=True, help="Time over which rates (m/yr) move.")
@click.option(
    "--ramp",
    metavar="c=M,ax=..,ay=..",
    help="Ramp of the whole scene: c in m, ax ay in m per m, axx axy ayy in m per m^2; those left out are 0.",
)
@click.option("--ramp-file", metavar="FILE", help="Ramp from a file, as --model, in its place.")
@click.option(
    "--swath-ramp", "swath_ramps", multiple=True, metavar="c=M,ax=..,ay=..", help="One for each swath, west to east."
)
@click.option(
    "--boundary",
    "boundaries",
    multiple=True,
    nargs=4,
    type=options.NUMBERS,
    metavar="LON LAT LON LAT",
    help="Line between two swaths: its southern and its northern point. Repeat it.",
)
@click.option(
    "--origin", nargs=2, type=options.NUMBERS, metavar="LON LAT", help="Where X and Y are 0; default the middle."
)
@click.option(
    "--atmosphere",
    nargs=2,
    type=options.NUMBERS,
    metavar="SILL RANGE",
    help="Air of this variance (m^2), with a correlation that falls to 1/e over this distance (m).",
)
@click.option("--noise", type=click.FloatRange(min=0), default=0.0, metavar="STD", help="White noise, m.")
@click.option("--seed", type=int, default=0, show_default=True, help="Key of the noise: equal seeds give equal noise.")
@click.option("--wrap", is_flag=True, help="Write ramps, model and sum folded into one fringe, too.")
@click.option(
    "--wavelength", type=click.FloatRange(min=0, min_open=True), metavar="M", help="Default: that of the product."
)
@options.out(".", _OUT)
def simulate(
    name: str | None,
    bbox: tuple[float, float, float, float] | None,
    resolution: str,
    out: str,
    incidence: float | None,
    heading: float | None,
    look_side: str | None,
    wrap: bool,
    wavelength: float | None,
    **asked: Any,
) -> None:
    """
    Simulate a displacement: motion of models and sources, ramps of orbits and swaths, air and noise.

    The grid is that of a mask or product, with NaN where it has no data, or a new one in --bbox, which is seen with an
    incidence of 38 degrees from a heading of -12.5. X and Y of a ramp are metres east and north on the ellipsoid.

    Example:

    \b
      mimtpy simulate maskTempCoh.h5 --model model.h5 --ramp ax=1e-7,ay=-2e-7,c=0.01 --wrap --out products
      mimtpy simulate velocity.zarr --swath-ramp c=0.01 --swath-ramp c=0.02,ax=1e-7 \\
          --boundary 37.7 37.0 37.1 39.3 --atmosphere 1e-4 1e4 --noise 0.001 --out products
      mimtpy simulate --bbox 36 37 38 39 --source mogi:lon=37,lat=38,depth=5e3,volume=1e7 \\
          --heading -168 --incidence 38 --ramp axx=1e-12 --seed 7 --out products
    """
    from mimtpy_cloud.cli.actions import check_out
    from mimtpy_cloud.cli.console import progress_bar
    from mimtpy_cloud.cli.names import marks, shortened
    from mimtpy_cloud.cli.products import join
    from mimtpy_cloud.cli.simulation import give_look, open_scene, write_simulation
    from mimtpy_cloud.cli.simulation import simulate as simulated
    from mimtpy_cloud.errors import StorageError
    from mimtpy_cloud.ops.select import select_box
    from mimtpy_cloud.ops.simulate import WAVELENGTH

    if check_out(out):
        raise StorageError(f"--out is a folder here, since a store, maps and figures are written, got {out}")
    if wavelength is not None and not wrap:
        raise click.UsageError("--wavelength is that of --wrap; give both, or leave it out")
    given = {key: value for key, value in asked.items() if value not in (None, ())}
    parts = _parts(given)
    label, ds, usable = open_scene(name, bbox, resolution)
    ds = give_look(ds, incidence=incidence, heading=heading, look_side=look_side)
    folded = (wavelength or float(ds.attrs.get("wavelength") or WAVELENGTH)) if wrap else None
    made = simulated(ds, usable, parts, folded)
    if name is not None and bbox is not None:
        made = select_box(made, bbox)
    stem = join(out, "simulation", shortened(f"{label}_simulated{marks(subset=bbox, seed=parts.seed or None)}"))
    look = {"incidence": incidence, "heading": heading, "look_side": look_side}
    told = {key: value for key, value in look.items() if value is not None}
    with progress_bar("simulate") as progress:
        made_by = {"step": "simulate", "scene": name or list(bbox or ()), **given, **told}
        files = write_simulation(made, stem, made_by, progress)
    for file in files:
        click.echo(file)


def _parts(given: dict[str, Any]) -> Any:
    """Read the texts of the options."""
    from mimtpy_cloud.cli.simulation import Parts, named_numbers, read_source

    if "ramp" in given and "ramp_file" in given:
        raise click.UsageError("expected --ramp or --ramp-file, got both")
    if "boundaries" in given and "swath_ramps" not in given:
        raise click.UsageError("expected a --swath-ramp for each swath that --boundary makes, got none")
    read: dict[str, Any] = {"ramp": named_numbers(given["ramp"])} if "ramp" in given else {}
    swath_ramps = tuple(map(named_numbers, given.get("swath_ramps", ())))
    return Parts(
        **given | read | {"swath_ramps": swath_ramps, "sources": tuple(map(read_source, given.get("sources", ())))}
    )
