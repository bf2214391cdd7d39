"""``mimtpy transects`` and ``mimtpy profile``."""

from typing import Any

import click

from mimtpy_cloud.cli import options

__all__ = ["profile", "transects"]

_POSITIVE = click.FloatRange(min=0, min_open=True)
_LENGTH, _SPACING, _WIDTH, _STEP = (50.0, 50.0), 20.0, 10.0, 1.0
_FILE = "; or one file that ends in .csv, .geojson, .nc, .mat, .png, .pdf or .svg."

_variable = click.option(
    "--variable", "variables", multiple=True, metavar="NAME", help="Only this map; repeatable. Default all of interest."
)


@click.command()
@click.argument("names", metavar="TRACK|PRODUCT...", nargs=-1, required=True)
@click.option("--trace", required=True, metavar="FILE", help="Fault: GeoJSON, Shapefile, GMT or text (lon lat), ...")
@click.option(
    "--length",
    nargs=2,
    type=options.NUMBERS,
    default=_LENGTH,
    show_default=True,
    metavar="L R",
    help="Length of a profile to the left of the trace as it runs, and to the right, km.",
)
@click.option("--spacing", type=_POSITIVE, default=_SPACING, show_default=True, metavar="KM", help="Between profiles.")
@click.option("--width", type=_POSITIVE, default=_WIDTH, show_default=True, metavar="KM", help="Of the swath averaged.")
@click.option("--step", type=_POSITIVE, default=_STEP, show_default=True, metavar="KM", help="Of the bins of distance.")
@click.option("--flip", is_flag=True, help="Distances to the left of the trace are positive, not those to the right.")
@click.option("--stations", metavar="FILE", help="Velocities of GNSS stations, in the frame of the product.")
@click.option("--units", type=click.Choice(["m/yr", "cm/yr", "mm/yr"]), help="Unit of a table of stations without one.")
@click.option("--fault", "faults", multiple=True, metavar="FILE", help="Another fault, to mark crossings; repeatable.")
@_variable
@click.option("--correlation", type=_POSITIVE, metavar="KM", help="Range over which pixels are correlated, to count.")
@click.option(
    "--fit",
    type=click.Choice(["screw", "creep", "two_faults"]),
    help="Fit a locked fault to each profile: slip rate and locking depth, with creep, or a second fault.",
)
@click.option(
    "--depths",
    nargs=2,
    type=options.NUMBERS,
    metavar="MIN MAX",
    help="Range of locking depths of --fit, km; default 1 50.",
)
@click.option("--second-fault", type=options.NUMBERS, metavar="KM", help="Distance of the second fault of two_faults.")
@click.option("--coastline", metavar="FILE", help="Vector file with the coast, on the map of swaths.")
@options.backend("What draws the panels of the profiles")
@options.root
@options.type_
@options.dates
@options.bbox
@options.resolution
@options.mask
@options.geometry
@options.out(".", f"Folder for <product>_transects_<trace> .csv, .geojson, .nc and figures{_FILE}")
def transects(
    names: tuple[str, ...],
    trace: str,
    length: tuple[float, float],
    spacing: float,
    width: float,
    step: float,
    flip: bool,
    correlation: float | None,
    root: str,
    type_: str,
    out: str,
    stations: str | None,
    units: str | None,
    faults: tuple[str, ...],
    variables: tuple[str, ...],
    fit: str | None,
    depths: tuple[float, float] | None,
    second_fault: float | None,
    coastline: str | None,
    backend: str,
    **choice: Any,
) -> None:
    """
    Average tracks or products along profiles perpendicular to a fault.

    Several products are written together, for example a decomposition and the velocity that it is made of. The figures
    of a folder: a panel for each profile, a map of the swaths, all profiles along the fault, of east, north, up and
    height arrows over the ground, and with --fit slip rates along the fault.

    Example:

    \b
      mimtpy transects east_up.zarr --trace fault.geojson --length 60 60 --out products
      mimtpy transects A064 east_up.zarr --trace naf.xy --stations midas.IGS14.txt --root data --out naf.csv
      mimtpy transects east_up.zarr --trace naf.xy --fit screw --correlation 10 --out naf/
    """
    from mimtpy_cloud.cli.console import show_table
    from mimtpy_cloud.cli.inputs import open_inputs
    from mimtpy_cloud.cli.names import file_stem, joint_marks, marks, shortened
    from mimtpy_cloud.cli.transectfigures import draw_transects, fit_profiles, fit_rows, require_coastline
    from mimtpy_cloud.cli.transects import (
        compute_profiles,
        figures_stem,
        make_transects,
        positive_side,
        require_place,
        transect_rows,
        write_profiles,
    )
    from mimtpy_cloud.view.gmt import require_gmt

    require_place(out)
    require_coastline(coastline, figures_stem(out, ""))
    if backend == "pygmt":
        require_gmt()
    labels, datasets, provenance = open_inputs(root, names, type_, least=1, **choice)
    how = {"length_km": length, "spacing_km": spacing, "width_km": width, "step_km": step, "flip": flip}
    lazy = make_transects(
        datasets,
        trace,
        stations=stations,
        units=units,
        faults=faults,
        variables=variables,
        correlation_km=correlation,
        **how,
    )
    told = marks(
        length=None if length == _LENGTH else length,
        spacing=None if spacing == _SPACING else spacing,
        width=None if width == _WIDTH else width,
        step=None if step == _STEP else step,
        flip=flip,
        only=variables,
        correlation=correlation,
        fit=fit,
        depths=depths,
        second=second_fault,
    )
    name = "_".join((*labels, "transects", file_stem(trace))) + told + joint_marks(datasets[0], choice)
    fits = fit_profiles(lazy, fit, depths_km=depths, second_km=second_fault)
    profiles, fits = compute_profiles(lazy, fits)
    made_by = {"step": "transects", "trace": trace, "stations": stations, "faults": list(faults), **provenance}
    files = write_profiles(profiles, out, shortened(name), made_by, fits)
    if (stem := figures_stem(out, shortened(name))) is not None:
        files += draw_transects(
            profiles, datasets[0], stem, fits=fits, trace=trace, faults=faults, coastline=coastline, backend=backend
        )
    click.echo(f"distances are positive on the {positive_side(profiles)} side of the fault", err=True)
    if stations is not None:
        count, frame = len(set(profiles["station_name"].values)), profiles.attrs["stations_frame"] or "an unknown frame"
        click.echo(f"{count} stations in the swaths, in {frame}", err=True)
    show_table(*transect_rows(profiles))
    if fits is not None:
        headings, rows = fit_rows(fits)
        show_table(headings, rows)
        if any("*" in cell for row in rows for cell in row):
            click.echo("* a depth that ends at a limit of its range (--depths) is not known", err=True)
        if correlation is None:
            click.echo(
                "without --correlation every pixel counts as independent, and ± is too small; mimtpy covariance "
                "estimates the range",
                err=True,
            )
    for file in files:
        click.echo(file)


@click.command()
@click.argument("name", metavar="TRACK|PRODUCT")
@click.option("--from", "first", nargs=2, type=options.NUMBERS, required=True, metavar="LON LAT", help="First point.")
@click.option("--to", "last", nargs=2, type=options.NUMBERS, required=True, metavar="LON LAT", help="Last point.")
@click.option("--step", type=_POSITIVE, default=_STEP, show_default=True, metavar="KM", help="Distance of samples.")
@click.option("--width", type=_POSITIVE, metavar="KM", help="Average over this width; default no average.")
@_variable
@options.root
@options.type_
@options.dates
@options.bbox
@options.resolution
@options.mask
@options.geometry
@options.out(".", f"Folder for <product>_profile_<points> .csv, .geojson, .nc and .png{_FILE}")
def profile(
    name: str,
    first: tuple[float, float],
    last: tuple[float, float],
    step: float,
    width: float | None,
    variables: tuple[str, ...],
    root: str,
    type_: str,
    out: str,
    **choice: Any,
) -> None:
    """
    Sample a track or product along a line between two points.

    Example:

    \b
      mimtpy profile velocity.zarr --from 36.0 37.5 --to 36.4 38.6 --out profile.csv
      mimtpy profile A064 --from 36.0 37.5 --to 36.4 38.6 --width 5 --root data --out products
    """
    from mimtpy_cloud.cli.inputs import input_stem, open_inputs
    from mimtpy_cloud.cli.names import marks, shortened
    from mimtpy_cloud.cli.transects import compute_profiles, figures_stem, require_place, write_profiles
    from mimtpy_cloud.ops.transects import profile_between
    from mimtpy_cloud.view.lineprofile import plot_profile
    from mimtpy_cloud.view.map import save_figure

    require_place(out)
    (label,), (ds,), provenance = open_inputs(root, (name,), type_, least=1, **choice)
    lazy = profile_between(ds, first, last, step_km=step, width_km=width, names=variables or None)
    told = marks(profile=(*first, *last), step=None if step == _STEP else step, width=width, only=variables)
    stem = shortened(input_stem(name, label, ds, type_, **choice) + told)
    sampled, _ = compute_profiles(lazy)
    files = write_profiles(sampled, out, stem, {"step": "profile", **provenance})
    if (drawn := figures_stem(out, stem)) is not None:
        files.append(drawn if drawn == out else f"{drawn}.png")
        save_figure(plot_profile(sampled), files[-1])
    click.echo(f"{sampled.sizes['point']} samples, the last at {float(sampled['distance_km'][-1]):.4g} km", err=True)
    for file in files:
        click.echo(file)
