"""Copy a source with all its layers to another format."""

from collections.abc import Mapping, Sequence
from typing import Any

import xarray as xr

from mimtpy_cloud.cli.products import Progress, join, observe, place_of
from mimtpy_cloud.errors import SchemaError, StorageError

__all__ = ["convert_source"]

_SUFFIXES = {"he5": ".he5", "zarr": ".zarr"}


def convert_source(
    ds: xr.Dataset,
    format_: str,
    out: str,
    *,
    label: str,
    source: str,
    geometry: Sequence[str] = (),
    start: str | None = None,
    end: str | None = None,
    made: Mapping[str, Any] | None = None,
    progress: Progress | None = None,
) -> list[str]:
    """
    Write a dataset in a format.

    Parameters
    ----------
    ds : xr.Dataset
        Lazy, with all layers.
    format_ : {"mintpy", "he5", "zarr"}
        What to write.
    out : str
        Folder, or the name of the file for ``he5`` and ``zarr``.
    label : str
        Name of a Zarr store in a folder.
    source : str
        Where the dataset comes from, which is never replaced.
    geometry : sequence of str
        Geometry files that it takes, which are not replaced either.
    start, end : str, optional
        Only acquisitions in this closed range.
    made : mapping, optional
        Provenance.
    progress : callable, optional
        ``progress(done, total, unit)``.

    Returns
    -------
    list of str
        What was written.

    Raises
    ------
    SchemaError
        If dates are given and there is no series, or the format needs what the dataset lacks.
    StorageError
        If what is read would be replaced, or the place cannot be written.
    """
    from mimtpy_cloud.exports.hdfeos5 import hdfeos5_name, write_hdfeos5
    from mimtpy_cloud.exports.mintpy import write_mintpy
    from mimtpy_cloud.exports.zarr import write_zarr

    if start or end:
        if "displacement" not in ds or "time" not in ds["displacement"].dims:
            raise SchemaError(f"--start and --end choose from a time series; {source} holds none: leave them out")
        ds = observe(ds, "series", start=start, end=end, mask=False)
    suffix = _SUFFIXES.get(format_)
    if suffix is None:
        _refuse_own_folder(out, source, *geometry)
        return list(write_mintpy(ds, out, progress=progress))
    named = out.lower().rstrip("/").endswith(suffix)
    name = out if named else join(out, hdfeos5_name(ds) if format_ == "he5" else f"{label}{suffix}")
    if place_of(name) == place_of(source):
        raise StorageError(f"{name} is what is converted and would be lost; give another --out")
    if format_ == "he5":
        write_hdfeos5(ds, name, progress=progress)
    else:
        write_zarr(ds.assign_attrs(provenance={"step": "convert", **(made or {})}), name, progress=progress)
    return [name]


def _refuse_own_folder(out: str, *sources: str) -> None:
    """A project of MintPy has files of these names."""
    for source in sources:
        if source.lower().endswith(".h5") and place_of(out) == place_of(source.rpartition("/")[0] or "."):
            raise StorageError(f"{out} is the folder of {source}, whose files would be replaced; give another --out")
