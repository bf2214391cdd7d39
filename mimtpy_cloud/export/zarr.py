"""Write a dataset as one plain Zarr v3 store, whole or not at all."""

import os
import warnings
from typing import Any

import xarray as xr

from mimtpy_cloud.errors import GridMismatchError, SchemaError
from mimtpy_cloud.export.grids import grid_of
from mimtpy_cloud.export.progress import Progress, TaskProgress
from mimtpy_cloud.export.provenance import jsonable, stamped
from mimtpy_cloud.export.publish import staged
from mimtpy_cloud.schema import SPATIAL_REF

__all__ = ["write_zarr"]

#: Chunk side of arrays that are already in memory.
_SIDE = 1024


def write_zarr(ds: xr.Dataset, url: str | os.PathLike[str], *, progress: Progress | None = None) -> None:
    """
    Compute a dataset and write it as a consolidated Zarr v3 store.

    Parameters
    ----------
    ds : xr.Dataset
        Lazy or not; chunk borders of the store are those of dask, made regular where they are not.
    url : str or path
        Local path or any fsspec URL; a Zarr store that is there is replaced at the end.
    progress : callable, optional
        ``progress(done, total, unit)``, called in this thread after each task of a local scheduler.

    Raises
    ------
    SchemaError
        If the dataset is empty, or an attribute cannot be held by JSON.
    StorageError
        If the place cannot be written, or holds a folder that is no Zarr store.

    Notes
    -----
    Compressed with Blosc (lz4, bit shuffle), lossless. NaN is the fill value of floats, so blocks
    without data take no space. Encodings of the source are dropped. Text is Zarr's ``string`` type.
    Nothing is visible at `url` before all is written; an object store gets its copy from a local
    temporary folder, which needs the disk space.

    Examples
    --------
    >>> import tempfile, numpy as np
    >>> ds = xr.Dataset({"velocity": (("y", "x"), np.ones((2, 3), "float32"), {"units": "m/yr"})})
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     write_zarr(ds, folder + "/velocity.zarr")
    ...     xr.open_zarr(folder + "/velocity.zarr")["velocity"].shape
    (2, 3)
    """
    if not ds.variables:
        raise SchemaError("a Zarr product needs at least one variable, got an empty dataset")
    ready = _encoded(ds)
    with staged(url, last="zarr.json") as path:
        with warnings.catch_warnings():
            warnings.filterwarnings(
                "ignore", message="Consolidated metadata is currently not part", category=UserWarning
            )
            write = ready.to_zarr(path, mode="w-", zarr_format=3, consolidated=True, compute=False)
        with TaskProgress(progress):
            write.compute()  # type: ignore[no-untyped-call]


def _encoded(ds: xr.Dataset) -> xr.Dataset:
    """Copy with our encoding alone, JSON-able attributes and regular chunks; nothing computed."""
    out = ds.drop_encoding()
    out.attrs = {"Conventions": "CF-1.11"} | stamped(ds.attrs, "write_zarr")
    place = _georeference(ds)
    for name in list(out.variables):
        variable = _text(_regular(out[name].variable)).copy(deep=False)
        variable.attrs = jsonable(variable.attrs)
        variable.attrs.pop("grid_mapping", None)
        if name == SPATIAL_REF:
            variable.attrs.pop("GeoTransform", None)
            variable.attrs |= place
        variable.encoding = _encoding(variable)
        if {"y", "x"} <= set(variable.dims):
            beside = [str(c) for c, v in out.coords.items() if c not in out.dims and set(v.dims) <= set(variable.dims)]
            if beside and name not in out.coords:
                variable.encoding["coordinates"] = " ".join(beside)
            if SPATIAL_REF in out.coords and name != SPATIAL_REF:
                variable.encoding["grid_mapping"] = SPATIAL_REF
        out = out.assign_coords({name: variable}) if name in out.coords else out.assign({name: variable})
    return out


def _georeference(ds: xr.Dataset) -> dict[str, str]:
    """GDAL's transform of the pixels as they are now: a selection leaves that of the source behind."""
    try:
        return {"GeoTransform": " ".join(repr(float(v)) for v in grid_of(ds).transform)}
    except (GridMismatchError, SchemaError):
        return {}  # radar coordinates, or a single row


def _regular(variable: xr.Variable) -> xr.Variable:
    """Zarr chunks of one dimension are all equal, but for a shorter last one."""
    uneven = {
        dim: max(sizes)
        for dim, sizes in (variable.chunksizes or {}).items()
        if len(set(sizes[:-1])) > 1 or sizes[-1] > sizes[0]
    }
    return variable.chunk(uneven) if uneven else variable


def _text(variable: xr.Variable) -> xr.Variable:
    import numpy as np

    if variable.dtype.kind not in "UO":
        return variable
    text = variable.astype(np.dtypes.StringDType())
    return xr.Variable(variable.dims, text.data, variable.attrs)


def _encoding(variable: xr.Variable) -> dict[str, Any]:
    from zarr.codecs import BloscCodec

    if variable.ndim == 0 or variable.dtype.kind not in "biufMm":
        return {}
    chunks = tuple(sizes[0] for sizes in variable.chunksizes.values()) or tuple(
        min(n, _SIDE) or 1 for n in variable.shape
    )
    encoding: dict[str, Any] = {
        "chunks": chunks,
        "compressors": (BloscCodec(cname="lz4", clevel=5, shuffle="bitshuffle"),),
    }
    if variable.dtype.kind == "f":
        encoding |= {"fill_value": float("nan"), "_FillValue": float("nan")}
    return encoding
