"""Profiles at the edge: read traces, stations and faults, profile several products, write tables."""

import re
from collections.abc import Mapping, Sequence
from pathlib import PurePath
from typing import Any

import numpy as np
import xarray as xr

from mimtpy_cloud.cli.transectfigures import FIGURES
from mimtpy_cloud.errors import SchemaError, StorageError
from mimtpy_cloud.exports.transects import ENDINGS, write_transects
from mimtpy_cloud.ops.transects import DERIVED, profile_across_fault

__all__ = [
    "compute_profiles",
    "figures_stem",
    "join_transects",
    "make_transects",
    "positive_side",
    "require_place",
    "transect_rows",
    "write_profiles",
]

#: What is written into a folder.
_IN_FOLDER = (".csv", ".geojson", ".nc")
_COMPASS = ("north", "north-east", "east", "south-east", "south", "south-west", "west", "north-west")
#: The same in every product of one place.
_SHARED = "height"


def make_transects(
    datasets: Sequence[xr.Dataset],
    trace: str,
    *,
    stations: str | None = None,
    units: str | None = None,
    faults: Sequence[str] = (),
    variables: Sequence[str] = (),
    **options: Any,
) -> xr.Dataset:
    """
    Profile products across the fault of a file.

    Parameters
    ----------
    datasets : sequence of xr.Dataset
        Products, on any grids in degrees.
    trace : str
        File of the fault.
    stations : str, optional
        Table of GNSS velocities.
    units : str, optional
        Unit of that table, if it does not say.
    faults : sequence of str
        Files of other faults.
    variables : sequence of str
        Maps to take of the products that have them; by default as `profile_across_fault` chooses.
    **options : object
        Of `profile_across_fault`.

    Returns
    -------
    xr.Dataset
        Lazy; see `join_transects`.

    Raises
    ------
    SchemaError
        If no product has a variable, the trace is no line, or a unit is given without stations.
    StorageError, SourceFormatError
        If a file is missing or unreadable.
    """
    from mimtpy_cloud.io.gnss import read_stations
    from mimtpy_cloud.io.vectors import read_lines

    if units is not None and stations is None:
        raise SchemaError(f"--units is the unit of a table of stations, got {units} and no --stations; leave it out")
    beside: dict[str, Any] = {}
    if stations is not None:
        beside["stations"] = read_stations(stations, units=units)
    if faults:
        beside["faults"] = [line for fault in faults for line in read_lines(fault)]
    line, chosen = read_lines(trace), _variables_of(datasets, variables)
    made = [
        profile_across_fault(ds, line, names=names, **beside, **options)
        for ds, names in zip(datasets, chosen, strict=True)
    ]
    return join_transects(made)


def _variables_of(datasets: Sequence[xr.Dataset], variables: Sequence[str]) -> list[list[str] | None]:
    """Variables to take of each product."""
    if not variables:
        return [None] * len(datasets)

    def has(ds: xr.Dataset, name: str) -> bool:
        return name in ds.data_vars or (name in DERIVED and "east" in ds.data_vars)

    have = ", ".join(dict.fromkeys(str(name) for ds in datasets for name in ds.data_vars))
    for name in variables:
        if not any(has(ds, name) for ds in datasets):
            raise SchemaError(f"no product has {name}; they have {have}")
    chosen: list[list[str] | None] = [[name for name in variables if has(ds, name)] for ds in datasets]
    idle = [k + 1 for k, names in enumerate(chosen) if not names]
    if idle:
        raise SchemaError(f"product {idle[0]} has none of {', '.join(variables)}; leave it out, or ask for more")
    return chosen


def join_transects(made: Sequence[xr.Dataset]) -> xr.Dataset:
    """
    Put the profiles of several products together.

    Parameters
    ----------
    made : sequence of xr.Dataset
        Of one trace with one set of options.

    Returns
    -------
    xr.Dataset
        All variables. A quantity that an earlier product has too is called ``NAME_TRACK`` after its track, or
        ``NAME_2`` after its number where there is none; height is taken from the first that has it.
    """
    joined = made[0]
    for number, profiles in enumerate(made[1:], start=2):
        track = re.sub(r"\W+", "_", str(profiles.attrs.get("track", "")))
        names: dict[str, str] = {}
        for quantity in _quantities(profiles):
            if quantity in joined and quantity != _SHARED:
                new = f"{quantity}_{track}"
                names |= _renamed(profiles, quantity, f"{quantity}_{number}" if not track or new in joined else new)
        renamed = profiles.rename(names)
        known = [name for name in renamed.data_vars if name in joined]
        joined = joined.assign(renamed.drop_vars(known).data_vars)
    return joined


def _quantities(profiles: xr.Dataset) -> list[str]:
    return [str(name).removesuffix("_mad") for name in profiles.data_vars if str(name).endswith("_mad")]


def _renamed(profiles: xr.Dataset, quantity: str, new: str) -> dict[str, str]:
    """New names of a quantity, its statistics, and what stations say of the line of sight."""
    endings = ("", "_median", "_std", "_mad", "_quantile", "_count", "_effective_count")
    names = {f"{quantity}{ending}": f"{new}{ending}" for ending in endings}
    if quantity == "velocity":
        names |= {f"station_{quantity}{ending}": f"station_{new}{ending}" for ending in ("", "_std")}
    return {old: name for old, name in names.items() if old in profiles}


def positive_side(profiles: xr.Dataset) -> str:
    """
    Say in words on which side of the fault distances are positive.

    Parameters
    ----------
    profiles : xr.Dataset
        From `profile_across_fault`.

    Returns
    -------
    str

    Examples
    --------
    >>> positive_side(xr.Dataset({"strike": ("profile", [268.0, 274.0])}, attrs={"flip": False}))
    'north'
    """
    toward = np.radians(profiles["strike"].values + (-90 if profiles.attrs["flip"] else 90))
    azimuth = np.degrees(np.arctan2(np.sin(toward).mean(), np.cos(toward).mean()))
    return _COMPASS[round(float(azimuth) / 45) % 8]


def transect_rows(profiles: xr.Dataset) -> tuple[tuple[str, ...], list[tuple[str, ...]]]:
    """
    Say in short where profiles lie, and how full they are.

    Parameters
    ----------
    profiles : xr.Dataset
        Computed, from `profile_across_fault`.

    Returns
    -------
    columns : tuple of str
        Headings.
    rows : list of tuple of str
        One a profile.
    """
    first = _quantities(profiles)[0]
    count = profiles[f"{first}_count"].values
    rows: list[tuple[str, ...]] = []
    for k, here in enumerate(count):
        along, lon, lat, strike = (float(profiles[n][k]) for n in ("along_km", "fault_lon", "fault_lat", "strike"))
        where = (f"{along:.1f}", f"{lon:.4f}", f"{lat:.4f}", f"{strike:.1f}")
        rows.append((str(k + 1), *where, f"{(here > 0).sum()}/{here.size}", f"{here.sum():,}"))
    return ("profile", "along, km", "lon", "lat", "strike", "bins with data", f"pixels of {first}"), rows


def write_profiles(
    profiles: xr.Dataset, out: str, name: str, provenance: Mapping[str, Any], fits: xr.Dataset | None = None
) -> list[str]:
    """
    Write profiles to a file, or to several in a folder.

    Parameters
    ----------
    profiles : xr.Dataset
        Computed.
    out : str
        File whose ending says the format; or a folder.
    name : str
        Name without ending of the files in a folder.
    provenance : mapping
        What made them.
    fits : xr.Dataset, optional
        Of them, which go to ``NAME_slip.csv`` beside a file; in a folder `draw_transects` writes them.

    Returns
    -------
    list of str
        What was written.
    """
    from mimtpy_cloud.cli.products import join
    from mimtpy_cloud.exports.sliprates import write_slip_rates

    stamped = profiles.assign_attrs(provenance=dict(provenance))
    if PurePath(out).suffix.lower() in ENDINGS:
        files = write_transects(stamped, out)
        if fits is not None:
            files.append(f"{out.removesuffix(PurePath(out).suffix)}_slip.csv")
            write_slip_rates(fits, files[-1])
        return files
    if PurePath(out).suffix.lower() in FIGURES:
        return []
    return [file for ending in _IN_FOLDER for file in write_transects(stamped, f"{join(out, name)}{ending}")]


def figures_stem(out: str, name: str) -> str | None:
    """
    Say where figures go.

    Parameters
    ----------
    out : str
        File or folder that was asked for.
    name : str
        Name without ending of the files in a folder.

    Returns
    -------
    str or None
        `out` itself if it is a figure, a path without ending in a folder; None if one table is asked for.

    Examples
    --------
    >>> figures_stem("a.png", "p"), figures_stem("a.csv", "p"), figures_stem("a", "p")
    ('a.png', None, 'a/p')
    """
    from mimtpy_cloud.cli.products import join

    suffix = PurePath(out).suffix.lower()
    return out if suffix in FIGURES else None if suffix in ENDINGS else join(out, name)


def compute_profiles(lazy: xr.Dataset, fits: xr.Dataset | None = None) -> tuple[xr.Dataset, xr.Dataset | None]:
    """
    Compute profiles, and what is fitted to them, with a bar.

    Parameters
    ----------
    lazy : xr.Dataset
        Profiles.
    fits : xr.Dataset, optional
        Of them.

    Returns
    -------
    tuple of xr.Dataset
        Both in memory.

    Raises
    ------
    SchemaError
        If no swath holds a pixel with data.
    """
    import dask

    from mimtpy_cloud.cli.console import progress_bar
    from mimtpy_cloud.exports.progress import TaskProgress

    with progress_bar("profiles") as progress, TaskProgress(progress):
        found: tuple[xr.Dataset, xr.Dataset | None] = dask.compute(lazy, fits)  # type: ignore[attr-defined, no-untyped-call]
    quantities = _quantities(found[0])
    if quantities and not any(found[0][name].notnull().any() for name in quantities):
        raise SchemaError(
            f"no pixel of the profiles has data ({', '.join(quantities)}), so nothing is written; choose another line, "
            "or longer or wider profiles"
        )
    return found


def require_place(out: str) -> None:
    """
    Check before anything is computed that profiles can be written somewhere.

    Parameters
    ----------
    out : str
        File or folder.

    Raises
    ------
    StorageError
        If the ending is that of another format.
    """
    suffix = PurePath(out).suffix.lower()
    if suffix in (".tif", ".tiff", ".zarr", ".json", ".txt", ".h5", ".he5", ".xlsx"):
        known = ", ".join((*ENDINGS, *FIGURES))
        raise StorageError(f"--out is a folder, or a name that ends in {known}, got {out}")
