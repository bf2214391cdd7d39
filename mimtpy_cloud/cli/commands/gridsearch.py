"""``mimtpy gridsearch``."""

import re
from typing import Any

import click

from mimtpy_cloud.cli import options
from mimtpy_cloud.cli.parameters import parameter, split_parameters

__all__ = ["gridsearch"]

_KINDS = ("constant", "linear", "quadratic", "linear_range", "linear_azimuth", "quadratic_range", "quadratic_azimuth")
_OUT = (
    "Folder for gridsearch/<observed>_<models>: .zarr with all, .csv with the models by rank, .png with the metric "
    "over the parameters, .json as MimtPy writes it (two parameters), and of the best model _residual .zarr and .png."
)


@click.command()
@click.argument("observed", nargs=-1, required=True, metavar="TRACK|PRODUCT|TABLE...")
@click.option(
    "--models",
    "models",
    multiple=True,
    required=True,
    metavar="NAME|STACK|FOLDER",
    help="mogi, okada, screw, creep or trace (a screw along --trace); a stack .zarr; a folder or pattern of model "
    "files (17.25_18.00.h5, .tif, .grd, .json). Of several tracks one for each, or one model for all.",
)
@parameter
@click.option("--names", metavar="A,B", help="Names of the parameters in the names of model files; default p1,p2.")
@click.option("--trace", metavar="FILE", help="Vector file with the fault of --models trace, one line.")
@click.option("--variable", metavar="NAME", help="What is explained, if a product has several, such as east and up.")
@click.option("--angles", metavar="FILE", help="points_angle.json beside a points_disp.json.")
@click.option(
    "--units", type=click.Choice(["m", "cm", "mm", "m/yr", "cm/yr", "mm/yr"]), help="Of a table that does not say."
)
@click.option(
    "--look",
    nargs=2,
    type=options.NUMBERS,
    metavar="INCIDENCE AZIMUTH",
    help="One look for inputs that have none, degrees; azimuth from north, anticlockwise, ground to satellite.",
)
@click.option(
    "--metric",
    type=click.Choice(["rms", "misfit", "chi2", "loglike"]),
    default="rms",
    show_default=True,
    help="chi2 is the reduced chi-square.",
)
@click.option("--ramp", type=click.Choice(_KINDS), help="Ramp that is solved with every model; default none.")
@click.option("--scaled", is_flag=True, help="Solve a factor for each model, too.")
@click.option(
    "--std",
    type=click.FloatRange(min=0, min_open=True),
    multiple=True,
    metavar="NUMBER",
    help="Standard deviation of white noise, in m or m/yr; of several tracks one for all, or one for each.",
)
@click.option(
    "--covariance", multiple=True, metavar="FILE", help="What mimtpy covariance wrote; one for all, or one for each."
)
@click.option("--mask-file", metavar="URL", help="Product or GeoTIFF on the same grid: only where it is above zero.")
@click.option("--level", type=float, default=0.95, show_default=True, help="Probability of the confidence region.")
@click.option(
    "--refine",
    type=click.IntRange(min=2),
    metavar="N",
    help="Of computed models: search again, with N values of each parameter around the confidence region.",
)
@click.option(
    "--checkpoint", metavar="URL", help="Zarr store that keeps what is done; the same command goes on from there."
)
@options.observation
@options.out(".", _OUT)
def gridsearch(
    observed: tuple[str, ...],
    root: str,
    out: str,
    models: tuple[str, ...],
    parameters: tuple[str, ...],
    variable: str | None,
    angles: str | None,
    units: str | None,
    look: tuple[float, float] | None,
    mask_file: str | None,
    names: str | None,
    trace: str | None,
    std: tuple[float, ...],
    covariance: tuple[str, ...],
    metric: str,
    ramp: str | None,
    scaled: bool,
    level: float,
    refine: int | None,
    checkpoint: str | None,
    **choice: Any,
) -> None:
    """
    Compare every model of a grid of parameters with observations, and find the best and the confidence region.

    \b
    Parameters of the computed models, in m, m/yr, m^3 and degrees:
      mogi   lon lat depth volume
      okada  lon lat depth (middle of the upper edge) length width strike dip rake slip
             [opening]; rake 0 left-lateral, 90 thrust, 180 right-lateral
      screw  lon lat strike slip_rate (right-lateral) locking_depth
      creep  the same and creep_rate creep_depth
      trace  slip_rate locking_depth, along --trace

    Ramp, offset (--ramp) and amplitude (--scaled) are solved for each model. --std and --covariance take the place of
    a column std of a table. Without any of them noise counts as white: the region of correlated InSAR noise is then
    far too small.

    Example:

    \b
      mimtpy gridsearch A064 --root data --models mogi --parameter lon=-118.9 --parameter lat=36.3 \\
          --parameter depth=2e3:8e3:13x --parameter volume=1e6:5e6:9x --ramp linear --std 0.003 --out products
      mimtpy gridsearch velocity.zarr --models models/ --names lower_crust,mantle --ramp linear --out products
      mimtpy gridsearch points_disp.json --angles points_angle.json --models 'vs_*.json' --metric misfit \\
          --covariance noise.json --out products
    """
    from mimtpy_cloud.cli.actions import check_out
    from mimtpy_cloud.cli.console import progress_bar
    from mimtpy_cloud.cli.names import file_stem, marks, shortened
    from mimtpy_cloud.cli.products import join
    from mimtpy_cloud.cli.searches import open_models_of, open_observed, read_noise
    from mimtpy_cloud.errors import StorageError

    if check_out(out):
        raise StorageError(f"--out is a folder here, since a store, a table and figures are written, got {out}")
    labels, tracks, masks, provenance = open_observed(
        root, observed, variable=variable, angles=angles, mask_file=mask_file, units=units, look=look, **choice
    )
    how = {"ramp": ramp, "covariance": read_noise(tracks, std=std, covariance=covariance), "scaled": scaled}
    short = (file_stem(name) if "." in name or "/" in name else name for name in dict.fromkeys(models))
    what = "_".join(re.sub(r"[*?\[\]]+", "", name).strip("_") or "files" for name in short)
    told = marks(metric=None if metric == "rms" else metric, ramp=ramp, scaled=scaled)
    told += marks(mask=mask_file and file_stem(mask_file))
    stem = shortened(join(out, "gridsearch", f"{'+'.join(labels)}_{what}{told}"))
    with progress_bar("index models") as progress:
        found = open_models_of(tracks, models, stem, names=names, trace=trace, refine=refine, progress=progress)
    asked: dict[str, Any] = {
        "models": models,
        "parameters": parameters,
        "metric": metric,
        "ramp": ramp,
        "scaled": scaled,
    }
    asked |= {"std": std, "covariance": covariance, "level": level, "refined": refine}
    made_by = {"step": "gridsearch", **provenance, **{name: value for name, value in asked.items() if value}}
    options_ = {**how, "mask": masks, "metric": metric, "level": level, "checkpoint": checkpoint}
    _search(tracks, labels, found, split_parameters(parameters), refine, stem, made_by, options_)


def _search(
    tracks: list[Any],
    labels: list[str],
    models: list[Any],
    parameters: dict[str, str],
    refine: int | None,
    stem: str,
    made_by: dict[str, Any],
    how: dict[str, Any],
) -> None:
    """Search once, or twice to refine, and write what is found."""
    from mimtpy_cloud.cli.console import progress_bar
    from mimtpy_cloud.cli.searches import search_lines, write_residuals, write_search
    from mimtpy_cloud.plan.parameters import parse_values
    from mimtpy_cloud.search import refine as finer_around
    from mimtpy_cloud.search import run_search, search_grid

    values: Any = {name: parse_values(text) for name, text in parameters.items()} or None
    one, given = (found[0] if len(found) == 1 else found for found in (tracks, models))
    checkpoint = how.pop("checkpoint")
    for suffix in ("",) if refine is None else ("", "_fine"):
        kept = checkpoint and f"{checkpoint.rstrip('/')}{suffix}"
        searched = search_grid(one, given, parameters=values, checkpoint=kept, **how)
        with progress_bar("gridsearch") as progress:
            result = run_search(searched, progress)
        click.echo("\n".join(search_lines(result)))
        for file in write_search(result, stem + suffix, made_by):
            click.echo(file)
        values = finer_around(result, refine) if refine else None
    left = {name: how[name] for name in ("ramp", "covariance", "mask", "scaled")}
    for file in write_residuals(tracks, labels, models, result, stem + suffix, made_by, **left):
        click.echo(file)
