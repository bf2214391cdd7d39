"""``mimtpy velocity, displacement, mosaic, decompose``."""

from typing import Any

import click

from mimtpy_cloud.cli import options
from mimtpy_cloud.cli.commands.output import write

__all__ = ["decompose", "displacement", "mosaic", "velocity"]

_FILE = (
    ".zarr, .tif and .png, or one file ending in .zarr, .tif or .png. "
    "The name tells what differs from a plain run: _subset_W_S_E_N (--bbox), _excl_DATES, _nomask."
)
_OUT = f"Folder for <project>/<type>/<type>_<dates>{_FILE}"
_OUT_JOINT = f"Folder for <type>/<tracks>_<what>{_FILE}"


@click.command()
@click.argument("track", metavar="TRACK|FILE")
@options.root
@options.dates
@click.option(
    "--exclude", multiple=True, metavar="DATE|FILE", help="Leave out a date, or those a file lists; repeat it."
)
@options.bbox
@options.resolution
@options.mask
@options.geometry
@options.out(".", _OUT)
def velocity(track: str, root: str, out: str, exclude: tuple[str, ...], **choice: Any) -> None:
    """
    Estimate the line-of-sight velocity of a track.

    Example:

    \b
      mimtpy velocity A064 --root data --start 2016-01-01 --out products
      mimtpy velocity A064 --root data --bbox -119.5 36 -119 36.5 --out velocity.tif
      mimtpy velocity S1_IW123_064_0113_0119_20191106_20210111.he5 --out products
    """
    _observe("velocity", track, root, out, exclude=exclude, **choice)


@click.command()
@click.argument("track", metavar="TRACK|FILE")
@options.root
@options.dates
@options.bbox
@options.resolution
@options.mask
@options.geometry
@options.out(".", _OUT)
def displacement(track: str, root: str, out: str, **choice: Any) -> None:
    """
    Take the line-of-sight displacement between two dates.

    Example:

    \b
      mimtpy displacement D128 --root data --start 2019-06-28 --end 2019-07-22 --out products
    """
    _observe("displacement", track, root, out, **choice)


def _observe(type_: str, track: str, root: str, out: str, **choice: Any) -> None:
    from mimtpy_cloud.cli.actions import check_out
    from mimtpy_cloud.cli.inputs import is_file, open_inputs, open_observation
    from mimtpy_cloud.cli.names import marks, name_marks, plain_time
    from mimtpy_cloud.cli.products import compact_dates, join

    check_out(out)
    as_of, geometry = choice.pop("as_of"), choice.pop("geometry")
    if is_file(track):
        (label,), (ds,), provenance = open_inputs(
            root, (track,), type_, least=1, as_of=as_of, geometry=geometry, **choice
        )
    else:
        label, ds, provenance = open_observation(options.open_root(root, as_of), track, type_, **choice)
    _tell_dates([label], [ds])
    name = f"{type_}_{compact_dates(ds)}".rstrip("_") + name_marks(ds, bbox=choice["bbox"], mask=choice["mask"])
    name += marks(asof=plain_time(as_of))
    write(ds, out, join(label, type_, name), {name: type_}, {"step": type_, **provenance})


def _tell_adjustment(adjustment: Any) -> None:
    """Say in short what was added to each track, and how well the pairs fit."""
    from mimtpy_cloud.cli.tables import adjustment_lines

    for line in adjustment_lines(adjustment):
        click.echo(line, err=True)


def _tell_dates(labels: list[str], datasets: list[Any]) -> None:
    from mimtpy_cloud.cli.products import dates_used

    for label, ds in zip(labels, datasets, strict=True):
        if text := dates_used(ds):
            click.echo(f"{label}: {text}", err=True)


@click.command()
@click.argument("tracks", nargs=-1, required=True, metavar="TRACK|PRODUCT...")
@options.root
@options.type_
@options.dates
@options.bbox
@options.resolution
@options.mask
@options.geometry
@click.option(
    "--order",
    type=click.IntRange(0, 2),
    default=0,
    show_default=True,
    help="Adjust an offset (0), a linear (1) or a quadratic ramp (2) of each track; ramps go on beyond the overlaps.",
)
@click.option(
    "--blend",
    type=click.Choice(["mean", "weighted", "feather", "anchor"]),
    default="mean",
    show_default=True,
    help="How overlapping tracks become one: see the documentation of mosaic.",
)
@click.option("--stations", metavar="FILE", help="Velocities of GNSS stations that fix the datum of all.")
@click.option("--units", type=click.Choice(["mm/yr", "cm/yr", "m/yr"]), help="Unit of a table of stations without one.")
@click.option("--look", type=click.Choice(["vertical"]), help="Compare overlaps as if all motion were vertical.")
@options.out(".", _OUT_JOINT)
def mosaic(
    tracks: tuple[str, ...],
    root: str,
    out: str,
    type_: str,
    order: int,
    blend: str,
    stations: str | None,
    units: str | None,
    look: str | None,
    **choice: Any,
) -> None:
    """
    Join tracks, products or files of MintPy; the first keeps its datum, unless --stations give one.

    In a folder, <what>_seams.html and .json tell how well each overlapping pair fits, before and after.

    Example:

    \b
      mimtpy mosaic A064 A137 --root data --out products
      mimtpy mosaic A064 A137 --root data --order 1 --blend feather --stations midas.IGS14.txt --out products
      mimtpy mosaic west.zarr east.zarr --out mosaic.zarr
      mimtpy mosaic S1_IW123_064_west.he5 S1_IW123_137_east.he5 --type displacement --out products
    """
    from mimtpy_cloud.cli.actions import check_out, join_tracks, refuse_itself
    from mimtpy_cloud.cli.inputs import open_inputs
    from mimtpy_cloud.cli.names import file_stem, joint_marks, marks
    from mimtpy_cloud.cli.products import join
    from mimtpy_cloud.view.map import main_variable
    from mimtpy_cloud.view.seams import write_seams

    check_out(out)
    refuse_itself(out, *tracks)
    labels, datasets, provenance = open_inputs(root, tracks, type_, least=2, **choice)
    _tell_dates(labels, datasets)
    if units is not None and stations is None:
        raise click.UsageError("expected --stations with --units, which is the unit of their table")
    adjustment, ds = join_tracks(datasets, order=order, blend=blend, stations=stations, units=units, look=look)
    _tell_adjustment(adjustment)
    variable = main_variable(ds)
    told = marks(order=order or None, blend=None if blend == "mean" else blend, look=look)
    told += marks(stations=None if stations is None else file_stem(stations))
    name = "_".join((*labels, "mosaic")) + told + joint_marks(ds, choice)
    how = {"order": order, "blend": blend, "stations": stations, "look": look}
    given = {key: value for key, value in how.items() if value not in (None, 0, "mean")}
    stem = write(ds, out, join(variable, name), {name: variable}, {"step": "mosaic", **given, **provenance})
    if stem:
        for file in write_seams(datasets, adjustment, f"{stem}_seams", title=f"Seams of {name}", look=look):  # type: ignore[arg-type]
            click.echo(file)


@click.command()
@click.argument("tracks", nargs=-1, required=True, metavar="TRACK|PRODUCT...")
@options.root
@options.type_
@options.dates
@options.decomposition("eu", "enu", "hu")
@click.option(
    "--rescale-std",
    is_flag=True,
    help="Multiply the standard deviations of each track by what three or more looks say they are too small by.",
)
@options.patch("Box where nothing moves: what a track scatters by there is its noise (--rescale-std).")
@options.bbox
@options.resolution
@options.mask
@options.geometry
@options.out(".", _OUT_JOINT)
def decompose(
    tracks: tuple[str, ...],
    root: str,
    out: str,
    type_: str,
    components: str | None,
    azimuth: float | None,
    north: str | None,
    north_std: float | None,
    units: str | None,
    reference: tuple[float, float] | None,
    same_datum: bool,
    rescale_std: bool,
    patch: tuple[float, float, float, float] | None,
    **choice: Any,
) -> None:
    """
    Solve horizontal and vertical motion from two or more tracks, products or files of MintPy.

    \b
    A folder gets <type>/<tracks>_ and, of east and up:
      east_up.zarr         all variables, with uncertainties, number of looks, residuals
      east.tif up.tif      a GeoTIFF of each component
      east.png up.png      a map of each, all with the same limits
      east_up.png          all side by side, below them uncertainties and looks
      east_up_vectors.png  horizontal motion as arrows on colours of vertical motion

    Example:

    \b
      mimtpy decompose A064 D071 --root data --reference -118.9 36.2 --out products
      mimtpy decompose A064 D071 --root data --reference -118.9 36.2 --north midas.IGS14.txt --out products
      mimtpy decompose ascending_mosaic.zarr descending_mosaic.zarr --azimuth 101 --out products
      mimtpy decompose A064 A137 D071 D144 --root data --rescale-std --patch -118.5 37 -118.1 37.3 --out products
    """
    from mimtpy_cloud.cli.actions import check_out, refuse_itself
    from mimtpy_cloud.cli.inputs import open_inputs, read_north, refer_inputs
    from mimtpy_cloud.cli.names import joint_marks, marks, north_marks
    from mimtpy_cloud.cli.products import join
    from mimtpy_cloud.cli.tables import scale_lines
    from mimtpy_cloud.ops.enu import invert_enu
    from mimtpy_cloud.ops.variance import variance_components
    from mimtpy_cloud.view.map import COMPONENTS

    check_out(out)
    refuse_itself(out, *tracks, *([north] if north else []))
    if azimuth is not None and components is not None:
        raise click.UsageError("expected --azimuth or --components, got both")
    if patch is not None and not rescale_std:
        raise click.UsageError("expected --rescale-std with --patch, which tells it of the noise")
    known = read_north(north, units)
    whole = choice if reference is None else choice | {"bbox": None}  # the point may lie outside of the box
    labels, datasets, provenance = open_inputs(root, tracks, type_, least=2, **whole)
    _tell_dates(labels, datasets)
    if reference is not None:
        datasets = refer_inputs(datasets, reference, choice["bbox"])
    wanted = (components or "eu") if azimuth is None else azimuth
    how: dict[str, Any] = {"north": known, "north_std": north_std, "same_datum": same_datum}
    scales = variance_components(datasets, wanted, patch=patch, **how).compute() if rescale_std else None
    if scales is not None:
        click.echo("\n".join(scale_lines(scales)))
    ds = invert_enu(datasets, wanted, sigma=scales, **how)
    names = [name for name in COMPONENTS if name in ds]
    told = marks(azimuth=azimuth, components=None if components == "eu" else components, samedatum=same_datum)
    told += north_marks(north)
    told += marks(northstd=north_std, rescaled=rescale_std, patch=patch)
    who, suffix = "+".join(labels), told + joint_marks(ds, choice, reference)
    maps = {f"{who}_{name}{suffix}": name for name in names}
    asked: dict[str, Any] = {
        "components": components,
        "azimuth": azimuth,
        "north": north,
        "north_std": north_std,
        "units": units,
    }
    asked |= {"same_datum": same_datum or None, "rescale_std": rescale_std or None, "patch": patch}
    given = {key: value for key, value in (asked | {"reference": reference}).items() if value not in (None, "eu")}
    stem = join(type_, f"{who}_{'_'.join(names)}{suffix}")
    write(ds, out, stem, maps, {"step": "decompose", **given, **provenance})
