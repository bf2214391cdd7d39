"""``mimtpy relax``: runs of RELAX over a table of parameters."""

from pathlib import Path
from typing import Any

import click

from mimtpy_cloud.cli import options
from mimtpy_cloud.cli.computing import cluster_in_use
from mimtpy_cloud.cli.parameters import parameter, split_parameters

__all__ = ["relax"]


@click.group()
def relax() -> None:
    """
    Write, run and read models of postseismic relaxation of RELAX.

    Example:

    \b
      mimtpy relax scripts iran_vs.sh --parameter vs=17:18:0.25 --parameter vm=18:19:0.25 --out runs
      mimtpy --cluster local --workers 4 relax run runs
      mimtpy relax post runs --times 0.5,1,2 --out runs.zarr
    """


@relax.command()
@click.argument("sample", metavar="SAMPLE")
@parameter
@click.option(
    "--table", metavar="FILE", help="Table of runs instead, .csv or .parquet: a row a run, a column a parameter."
)
@click.option(
    "--viscosity",
    multiple=True,
    metavar="NAME",
    help="Parameter that is log10 of a viscosity in Pa s; the scripts get mu/viscosity in 1/yr. Default: those that "
    "begin with v.",
)
@click.option("--no-viscosity", is_flag=True, help="No parameter is a viscosity.")
@click.option("--mu", type=click.FloatRange(min=0, min_open=True), default=30e9, show_default=True, help="Pa.")
@click.option(
    "--scheduler",
    type=click.Choice(["shell", "pbs", "slurm", "dask"]),
    default="shell",
    show_default=True,
    help="What run_RELAX and the job array submit to; dask: mimtpy relax run.",
)
@click.option("--mimtpy-years", is_flag=True, help="Years of 3.2e7 s and five decimals, as MimtPy has them.")
@click.option(
    "--mimtpy-names", is_flag=True, help="Names of runs that hold values in hundredths, as iran_vs_1700_1800."
)
@click.option("--overwrite", is_flag=True, help="Replace the folder with all that runs have written into it.")
@click.option("--out", required=True, metavar="DIR", help="New folder for scripts, runs.csv and run_RELAX.")
def scripts(
    sample: str,
    parameters: tuple[str, ...],
    table: str | None,
    viscosity: tuple[str, ...],
    no_viscosity: bool,
    mu: float,
    scheduler: str,
    mimtpy_years: bool,
    mimtpy_names: bool,
    overwrite: bool,
    out: str,
) -> None:
    """
    Write one script for each run, from one that runs.

    SAMPLE assigns every parameter (vs=1.0) and the folder of the output (WDIR=...), each once, at the beginning of a
    line.

    Example:

    \b
      mimtpy relax scripts iran_vs.sh --parameter vs=17:18:0.25 --parameter vm=18:19:0.25 --out runs
      mimtpy relax scripts iran_vs.sh --table runs.csv --scheduler slurm --out runs
    """
    from mimtpy_cloud.relax.runs import make_runs

    if bool(parameters) == (table is not None):
        raise click.UsageError("give --parameter NAME=VALUES once or more, or --table FILE")
    if viscosity and no_viscosity:
        raise click.UsageError("--viscosity and --no-viscosity exclude each other")
    made = make_runs(
        sample,
        table if table is not None else split_parameters(parameters),
        out,
        scheduler,  # type: ignore[arg-type]
        viscosity=() if no_viscosity else viscosity or None,
        mu=mu,
        convention="mimtpy" if mimtpy_years else "exact",
        names="values" if mimtpy_names else "run",
        overwrite=overwrite,
    )
    flowing = [name.removesuffix("_gammadot0") for name in made if name.endswith("_gammadot0")]
    click.echo(f"{made['run'].size} runs; viscosities: {', '.join(flowing) or 'none'}", err=True)
    click.echo(out)


@relax.command()
@click.argument("folder", metavar="FOLDER")
@click.option(
    "--output",
    default="*",
    show_default=True,
    metavar="PATTERN",
    help="Files of which a run must leave one, such as '*-relax.txt'.",
)
def run(folder: str, output: str) -> None:
    """
    Run the scripts of FOLDER on the workers of --cluster; those of complete runs are left out.

    Example:

    \b
      export MIMTPY_CLUSTER=local MIMTPY_WORKERS=4
      mimtpy relax run runs
    """
    from mimtpy_cloud.cli.console import progress_bar
    from mimtpy_cloud.errors import ClusterError
    from mimtpy_cloud.relax.execute import run_with_dask

    with cluster_in_use(), progress_bar("relax") as progress:
        outcomes = run_with_dask(folder, output=output, progress=progress)
    failed = [outcome for outcome in outcomes if outcome.code or outcome.error]
    skipped = sum(outcome.skipped for outcome in outcomes)
    click.echo(f"{len(outcomes) - len(failed)} runs complete, {skipped} of them before; {len(failed)} failed", err=True)
    for outcome in failed:
        last = outcome.error.splitlines()[-1:] or ["no message"]
        click.echo(f"{outcome.name}: code {outcome.code}: {last[0]}", err=True)
    if failed:
        raise ClusterError(f"{len(failed)} of {len(outcomes)} runs failed; mend them, and run the same command again")


@relax.command()
@click.argument("folder", metavar="FOLDER")
@click.option("--grids", is_flag=True, help="Read grids (.grd) instead of series at stations (.txt).")
@click.option("--total", is_flag=True, help="With the displacement of the earthquake; default relaxation only.")
@click.option(
    "--times", metavar="VALUES", help="Years, as start:end:step, start:end:Nx or a,b,c; default all there are."
)
@click.option("--unit", type=click.Choice(["m", "cm", "mm"]), default="m", show_default=True, help="Of the series.")
@click.option(
    "--look", nargs=2, type=options.NUMBERS, metavar="INCIDENCE AZIMUTH", help="Project all by one look; degrees."
)
@click.option(
    "--geometry",
    metavar="FILE",
    help="Table of station, lon, lat and los_east, los_north, los_up or incidence and azimuth; or, of grids, a product "
    "with looks.",
)
@click.option(
    "--points-json", metavar="DIR", help="Also each model as JSON of MimtPy; from the first to the last of --times."
)
@click.option(
    "--stack",
    metavar="URL",
    help="Also a stack .zarr for mimtpy gridsearch --models: motion along the look from the first to the last of "
    "--times, or at the only one; stations in the order of --geometry.",
)
@options.out("relax.zarr", "Product, ending in .zarr.")
def post(
    folder: str,
    grids: bool,
    total: bool,
    times: str | None,
    unit: str,
    look: tuple[float, float] | None,
    geometry: str | None,
    points_json: str | None,
    stack: str | None,
    out: str,
) -> None:
    """
    Read what runs have written: east, north, up and the line of sight of all models, as one product.

    An azimuth is in degrees from north, anticlockwise, from ground to satellite.

    Example:

    \b
      mimtpy relax post runs --times 0.5:3:0.5 --out runs.zarr
      mimtpy relax post runs --times 1 --geometry stations.csv --points-json models --out runs.zarr
      mimtpy relax post runs --grids --look 39 -102 --out runs.zarr
      mimtpy relax post runs --times 0.5,2 --geometry stations.csv --stack models.zarr --out runs.zarr
      mimtpy gridsearch observed.csv --models models.zarr --out products
    """
    from mimtpy_cloud.cli.console import progress_bar
    from mimtpy_cloud.exports.zarr import write_zarr
    from mimtpy_cloud.plan.parameters import parse_values
    from mimtpy_cloud.relax.los import to_los
    from mimtpy_cloud.relax.output import open_grids, open_output
    from mimtpy_cloud.search import write_models

    _check_post(out, look, geometry, points_json, grids=grids)
    _check_stack(stack, look, geometry, grids=grids)
    axis = None if times is None else parse_values(times)
    kind: Any = "total" if total else "relax"
    ds = open_grids(folder, times=axis, kind=kind) if grids else open_output(folder, times=axis, kind=kind, unit=unit)
    if geometry is not None:
        ds = _with_geometry(ds, geometry, grids=grids)
    if look is not None or "los_east" in ds:
        ds = ds.assign(displacement=to_los(ds, ds if look is None else look))
    models = None if stack is None else _stacked(ds)
    files = [] if points_json is None else _write_models(ds, Path(points_json))
    with cluster_in_use(), progress_bar("relax") as progress:
        write_zarr(ds.drop_vars("site", errors="ignore"), out, progress=progress)
        if stack is not None and models is not None:
            write_models(models, stack, progress=progress)
            files.append(stack)
    for file in (out, *files):
        click.echo(file)
    _tell_times(ds)
    if not grids:
        _tell_missing(ds)


def _check_post(out: str, look: Any, geometry: str | None, points_json: str | None, *, grids: bool) -> None:
    if not out.endswith(".zarr"):
        raise click.UsageError(f"--out must end in .zarr, got {out}")
    if look is not None and geometry is not None and grids:
        raise click.UsageError("--look and --geometry exclude each other")
    if points_json is not None and (geometry is None or grids):
        raise click.UsageError("--points-json needs the places of the stations: --geometry FILE, and no --grids")


def _check_stack(stack: str | None, look: Any, geometry: str | None, *, grids: bool) -> None:
    if stack is None:
        return
    if not stack.endswith(".zarr"):
        raise click.UsageError(f"--stack must end in .zarr, got {stack}")
    if geometry is None and not grids:
        raise click.UsageError("--stack needs the places of the stations: --geometry FILE")
    if geometry is None and look is None:
        raise click.UsageError("--stack needs a look: --look INCIDENCE AZIMUTH, or --geometry with looks")


def _with_geometry(ds: Any, geometry: str, *, grids: bool) -> Any:
    """Places and looks of stations or pixels."""
    from mimtpy_cloud.errors import SourceFormatError
    from mimtpy_cloud.schema import LOS, require_variables

    if grids:
        from mimtpy_cloud.cli.products import open_product

        product = open_product(geometry)
        require_variables(geometry, product, *LOS)
        return ds.assign({name: product[name] for name in LOS})
    from mimtpy_cloud.io.points import read_sites

    sites = read_sites(geometry)
    at = {str(name).upper(): i for i, name in enumerate(sites["station"].values)}
    if lacking := [str(name) for name in ds["station"].values if str(name).upper() not in at]:
        raise SourceFormatError(f"{geometry} lacks {len(lacking)} stations of the models: {', '.join(lacking[:5])}")
    order = [at[str(name).upper()] for name in ds["station"].values]
    found = sites.isel(station=order).drop_vars("station")
    return ds.assign(found.data_vars).assign_coords(lon=found["lon"], lat=found["lat"], site=("station", order))


def _moved(displacement: Any) -> Any:
    """What moved from the first to the last time, or since the start if there is one."""
    if "time" not in displacement.dims:
        return displacement
    last = displacement.isel(time=-1, drop=True)
    return last - displacement.isel(time=0, drop=True) if displacement.sizes["time"] > 1 else last


def _write_models(ds: Any, folder: Path) -> list[str]:
    """A JSON file of each model."""
    from mimtpy_cloud.exports.mimtpyjson import model_name, write_model_json

    moved = ds.assign({name: _moved(ds[name]) for name in ("east", "north", "up")})
    parameters = ds.attrs.get("parameters", [])
    files = []
    for i, model in enumerate(ds["model"].values.tolist()):
        one = moved.isel(model=i)
        values = [float(one[name]) for name in parameters]
        name = model_name(values[0], values[1], parameters[0]) if len(values) == 2 else f"{model}.json"
        write_model_json(one, folder / name)
        files.append(str(folder / name))
    return files


def _stacked(ds: Any) -> Any:
    """Models along the look, with their parameters and no other coordinates on `model`, for a search."""
    from mimtpy_cloud.errors import SchemaError

    if "displacement" not in ds:
        raise SchemaError("--stack needs a look: add it to the table of --geometry, or give --look INCIDENCE AZIMUTH")
    moved = _moved(ds["displacement"]).assign_attrs(ds["displacement"].attrs)
    if "station" in moved.dims:
        moved = moved.sortby("site").drop_vars(["station", "site"]).rename(station="point")
    parameters = ds.attrs.get("parameters", ["model"])
    others = [name for name, c in moved.coords.items() if c.dims == ("model",) and name not in ("model", *parameters)]
    return moved.drop_vars([*others, *(name for name, c in moved.coords.items() if not c.dims)])


def _tell_times(ds: Any) -> None:
    """Times that no series or grid reaches, and how many series do not reach all others."""
    if "time" not in ds.dims:
        return
    first, last = ds.attrs["time_range"]
    axis = ds["time"].values
    outside = axis[(axis < first) | (axis > last)]
    if outside.size:
        shown = ", ".join(f"{time:g}" for time in outside[:5]) + (" ..." if outside.size > 5 else "")
        click.echo(f"warning: no data at {shown} years; the runs have {first:g} to {last:g} years", err=True)
    if "station" in ds.dims:
        inside = ds["up"].isel(time=(axis >= first) & (axis <= last))
        short = inside.isnull().any("time") & (ds["missing"] == "")
        if count := int(short.sum()):
            told = f"warning: {count} of {int((ds['missing'] == '').sum())} series do not reach all times"
            click.echo(f"{told}; they are NaN there", err=True)


def _tell_missing(ds: Any) -> None:
    """What is missing: a line for each station and reason."""
    models: dict[tuple[str, str], list[str]] = {}
    for i, model in enumerate(ds["model"].values.tolist()):
        for j, station in enumerate(ds["station"].values.tolist()):
            if reason := str(ds["missing"].values[i, j]):
                models.setdefault((station, reason), []).append(model)
    for (station, reason), found in models.items():
        more = f" and {len(found) - 1} more" if len(found) > 1 else ""
        click.echo(f"missing: {station} of {found[0]}{more}: {reason}", err=True)
