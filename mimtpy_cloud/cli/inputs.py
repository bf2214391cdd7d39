"""Open what a command names: tracks of a catalog, products written before, or files of MintPy and ROI_PAC."""

from collections.abc import Sequence
from pathlib import PurePath
from typing import Any

import xarray as xr

from mimtpy_cloud.catalog.index import Catalog, open_catalog
from mimtpy_cloud.catalog.tracks import open_entry
from mimtpy_cloud.cli.datasets import find_dataset
from mimtpy_cloud.cli.names import file_stem, marks, name_marks, plain_time, product_stem
from mimtpy_cloud.cli.products import compact_dates, is_source, observe, open_product, place_of
from mimtpy_cloud.errors import SchemaError

__all__ = [
    "assign_geometry",
    "input_stem",
    "is_file",
    "open_inputs",
    "open_observation",
    "open_whole",
    "read_mask",
    "read_north",
    "refer_inputs",
]

_STORED = (".zarr", ".tif", ".tiff")
_HDF5 = (".he5", ".h5", ".hdf5")
_OF_CATALOGS = ("as_of", "resolution", "product")


def open_observation(
    catalog: Catalog,
    track: str,
    type_: str,
    *,
    bbox: tuple[float, float, float, float] | None = None,
    resolution: str | None = None,
    product: str | None = None,
    **dates_and_mask: Any,
) -> tuple[str, xr.Dataset, dict[str, Any]]:
    """
    Open a track and take its velocity, displacement or series.

    Parameters
    ----------
    catalog : Catalog
        Where it is.
    track : str
        Track or project name.
    type_ : str
        ``"velocity"``, ``"displacement"`` or ``"series"``.
    bbox : tuple of float, optional
        West, south, east, north.
    resolution, product : str, optional
        Names that narrow the choice.
    **dates_and_mask : object
        Options of `mimtpy_cloud.cli.products.observe`.

    Returns
    -------
    label : str
        Folder name of its products.
    ds : xr.Dataset
        Lazy product.
    provenance : dict
        Datasets, revisions and root.
    """
    found = find_dataset(catalog, track, resolution=resolution, product=product)
    ds = observe(
        open_entry(catalog.root, found.entry, bbox=found.within(bbox), cache=catalog.cache), type_, **dates_and_mask
    )
    return found.label, ds, {"datasets": [track], "revisions": [found.entry.revision], "root": catalog.root}


def open_whole(
    root: str,
    name: str,
    *,
    bbox: tuple[float, float, float, float] | None = None,
    geometry: Sequence[str] = (),
    as_of: str | None = None,
    **choice: Any,
) -> tuple[str, xr.Dataset, dict[str, Any]]:
    """
    Open all layers of a track, a product or a file.

    Parameters
    ----------
    root : str
        Root URL; read only for a track.
    name : str
        Track or project name, or a path with a suffix.
    bbox : tuple of float, optional
        West, south, east, north.
    geometry : sequence of str
        Geometry file of a file that has none.
    as_of : str, optional
        UTC time of the catalog.
    **choice : object
        ``resolution`` and ``product`` of a track.

    Returns
    -------
    label : str
        Project or track.
    ds : xr.Dataset
        Lazy, as it is stored.
    provenance : dict
        Datasets and revisions.

    Raises
    ------
    SchemaError
        If an option is for tracks and there is none, or a geometry is given that nothing needs.
    """
    from mimtpy_cloud.ops.select import select_box

    given = assign_geometry((name,), geometry)
    if not is_file(name):
        catalog = open_catalog(root, as_of=as_of)
        found = find_dataset(catalog, name, **choice)
        ds = open_entry(catalog.root, found.entry, bbox=found.within(bbox), cache=catalog.cache)
        return found.label, ds, {"datasets": [name], "revisions": [found.entry.revision], "root": catalog.root}
    _refuse_options_of_tracks((name,), "velocity", as_of=as_of, **choice)
    ds = open_product(name.rstrip("/"), given.get(name))
    ds = ds if bbox is None else select_box(ds, bbox)
    revisions = ds.attrs.get("provenance", {}).get("revisions", [])
    return _project(ds, name), ds, {"datasets": [name], "revisions": list(revisions)}


def open_inputs(
    root: str,
    names: Sequence[str],
    type_: str,
    *,
    least: int,
    as_of: str | None = None,
    asked: bool = True,
    geometry: Sequence[str] = (),
    **choice: Any,
) -> tuple[list[str], list[xr.Dataset], dict[str, Any]]:
    """
    Open tracks of a catalog, products written before, and files of MintPy and ROI_PAC, in any mixture.

    Parameters
    ----------
    root : str
        Root URL; read only if a name is no product.
    names : sequence of str
        Track or project names, and paths with a suffix.
    type_ : str
        What to take of a track.
    least : int
        How many are needed.
    as_of : str, optional
        UTC time of the catalog.
    asked : bool
        Whether the type is an option of the command, which has no meaning for products.
    geometry : sequence of str
        Geometry of each file of MintPy or ROI_PAC, in their order; by default what lies beside each.
    **choice : object
        Options of `open_observation`; the box holds for products too.

    Returns
    -------
    labels : list of str
        Short names.
    datasets : list of xr.Dataset
        Lazy.
    provenance : dict
        Datasets and revisions.

    Raises
    ------
    SchemaError
        If there are too few, one is given twice, or all are products and an option is for tracks; if there is not one
        geometry for each file.
    """
    if len(names) < least:
        raise SchemaError(f"expected at least {least} tracks or products, got {', '.join(names)}")
    _refuse_options_of_tracks(names, type_ if asked else "velocity", as_of=as_of, **choice)
    labels, datasets, revisions = [], [], []
    seen: dict[str, str] = {}
    geometries = assign_geometry(names, geometry)
    for name in names:
        if is_file(name):
            _refuse_twin(seen, place_of(name), name)
            label, ds = _open_file(name.rstrip("/"), type_, geometries.get(name), **choice)
            datasets.append(ds)
            revisions += ds.attrs.get("provenance", {}).get("revisions", [])
        else:
            label, ds, provenance = open_observation(open_catalog(root, as_of=as_of), name, type_, **choice)
            _refuse_twin(seen, f"{label} {provenance['revisions'][0]}", name)
            datasets.append(ds)
            revisions += provenance["revisions"]
        labels.append(label)
    return labels, datasets, {"datasets": list(names), "revisions": list(dict.fromkeys(revisions))}


def _open_file(
    name: str, type_: str, geometry: str | None, *, bbox: Any = None, **choice: Any
) -> tuple[str, xr.Dataset]:
    """A product as it was written; of a file with a series or a velocity, what is asked for."""
    from mimtpy_cloud.ops.select import select_box

    ds = open_product(name, geometry)
    ds = ds if bbox is None else select_box(ds, bbox)
    how = {key: value for key, value in choice.items() if key in ("start", "end", "exclude", "mask")}
    if not (is_source(name) and _is_observed(ds)):
        if is_source(name) and (asked := [key for key in ("start", "end", "exclude") if how.get(key)]):
            raise SchemaError(f"--{', --'.join(asked)} would choose from a series; {name} holds none: leave it out")
        return product_stem(ds, name), ds
    return _project(ds, name), observe(ds, type_, **how)


def _is_observed(ds: xr.Dataset) -> bool:
    """Whether there is a series or a velocity to take from; a displacement between two dates is what it is."""
    return "velocity" in ds or ("displacement" in ds and "time" in ds["displacement"].dims)


def _project(ds: xr.Dataset, name: str) -> str:
    return str(ds.attrs.get("project") or ds.attrs.get("track") or file_stem(name)).replace("/", "_")


def assign_geometry(names: Sequence[str], geometry: Sequence[str]) -> dict[str, str]:
    """
    Give each file that may need one its geometry.

    Parameters
    ----------
    names : sequence of str
        Tracks, products and files; those of HDF-EOS5 hold their own.
    geometry : sequence of str
        Geometry files, in the order of the files.

    Returns
    -------
    dict
        File to geometry; empty if none is given.

    Raises
    ------
    SchemaError
        If there is not one for each.

    Examples
    --------
    >>> assign_geometry(("A064", "velocity.h5"), ("geo.h5",))
    {'velocity.h5': 'geo.h5'}
    """
    files = [name for name in names if is_source(name) and not name.lower().endswith(".he5")]
    if not geometry:
        return {}
    if len(geometry) != len(files):
        raise SchemaError(
            f"--geometry is given {len(geometry)} times; expected once for each .h5 of MintPy or file of ROI_PAC, in "
            f"their order: {', '.join(files) or 'there is none'}"
        )
    return dict(zip(files, geometry, strict=True))


def refer_inputs(
    datasets: Sequence[xr.Dataset], point: Sequence[float] | None, bbox: Sequence[float] | None
) -> list[xr.Dataset]:
    """
    Make a point zero in all datasets, and cut a box out of them then: the point may lie outside of it.

    Parameters
    ----------
    datasets : sequence of xr.Dataset
        Not yet cut.
    point : sequence of float, optional
        Longitude and latitude.
    bbox : sequence of float, optional
        West, south, east, north.

    Returns
    -------
    list of xr.Dataset
    """
    from mimtpy_cloud.ops.reference import set_reference
    from mimtpy_cloud.ops.select import select_box

    referred = [ds if point is None else set_reference(ds, point=(point[0], point[1])) for ds in datasets]
    return [ds if not bbox else select_box(ds, (bbox[0], bbox[1], bbox[2], bbox[3])) for ds in referred]


def input_stem(name: str, label: str, ds: xr.Dataset, type_: str, **choice: Any) -> str:
    """
    Name what is made of a track or product.

    Parameters
    ----------
    name : str
        As it was given.
    label : str
        From `open_inputs`.
    ds : xr.Dataset
        From there, too.
    type_ : str
        What was taken of a track.
    **choice : object
        Options of `open_inputs`.

    Returns
    -------
    str
    """
    taken = name.lower().endswith(_HDF5) and ("displacement" if type_ == "series" else type_) in ds
    if is_file(name) and not taken:
        return label + marks(subset=choice["bbox"])
    told = name_marks(ds, bbox=choice["bbox"], mask=choice["mask"]) + marks(asof=plain_time(choice["as_of"]))
    return f"{label}_{type_}_{compact_dates(ds)}".rstrip("_") + told


def is_file(name: str) -> bool:
    """
    Tell whether a name is that of a file or store: tracks and projects have no suffix.

    Parameters
    ----------
    name : str
        As it was given.

    Returns
    -------
    bool

    Examples
    --------
    >>> is_file("A064"), is_file("velocity.zarr/"), is_file("S1_IW12_064_0113_20191106_20210111.he5")
    (False, True, True)
    """
    return bool(PurePath(name.rstrip("/")).suffix)


def _refuse_options_of_tracks(names: Sequence[str], type_: str, **choice: Any) -> None:
    """What chooses a part of a track, or of a series in a file, has no meaning where there is none."""
    if not all(map(is_file, names)):
        return
    ignored = _OF_CATALOGS if any(map(is_source, names)) else choice.keys() - {"bbox"}
    given = [key for key, value in choice.items() if key in ignored and value not in (None, True)]
    given += ["type"] if type_ != "velocity" and ignored is not _OF_CATALOGS else []
    if given:
        options = ", ".join(f"--{key.replace('_', '-').replace('mask', 'no-mask')}" for key in given)
        raise SchemaError(f"{options} would choose from a track; {', '.join(names)} is taken as written: leave it out")


def _refuse_twin(seen: dict[str, str], key: str, name: str) -> None:
    if key in seen:
        raise SchemaError(f"{seen[key]} and {name} are the same; give each track or product once")
    seen[key] = name


def read_north(given: str | float | None, units: str | None = None) -> float | xr.Dataset:
    """
    Read north motion that is known.

    Parameters
    ----------
    given : str or float, optional
        A number in m/yr (m), also as text; a product that was written before; or a table of stations.
    units : str, optional
        Unit of a table that does not say.

    Returns
    -------
    float or xr.Dataset
        Zero if nothing is given.

    Raises
    ------
    SchemaError
        If there is a unit, and no table.
    StorageError, SourceFormatError
        If a file is missing or unreadable.
    """
    from mimtpy_cloud.io.gnss import read_stations

    try:
        found: float | None = 0.0 if given is None else float(given)
    except ValueError:
        found = None
    name = str(given)
    if found is None and not name.lower().rstrip("/").endswith(_STORED):
        return read_stations(name, units=units)
    if units is not None:
        raise SchemaError(
            f"units (--units) are those of a table of GNSS stations, got {units} and north {given}; leave them out"
        )
    return open_product(name.rstrip("/")) if found is None else found


def read_mask(url: str, ds: xr.Dataset) -> xr.DataArray:
    """
    Read which pixels count.

    Parameters
    ----------
    url : str
        Product or GeoTIFF.
    ds : xr.Dataset
        What is masked.

    Returns
    -------
    xr.DataArray
        Bool: above zero there, and valid in `ds` if it says so.

    Raises
    ------
    SchemaError
        If the mask has several maps and none called valid.
    """
    found = open_product(url)
    maps = [name for name, variable in found.data_vars.items() if variable.dims == ("y", "x")]
    name = "valid" if "valid" in maps else maps[0] if len(maps) == 1 else None
    if name is None:
        raise SchemaError(f"{url} needs one map, or one called valid, to be a mask; it has {', '.join(map(str, maps))}")
    above = found[name] > 0
    if "valid" not in ds or above.shape != ds["valid"].shape:  # the operation says what is wrong
        return above
    return above.copy(data=above.data & (ds["valid"].data > 0))
