"""Write a dataset as one plain Zarr v3 store, whole or not at all."""

import itertools
import os
import sys
import warnings
from collections.abc import Iterable
from typing import Any

import dask
import dask.array as da
import dask.threaded
import numpy as np
import xarray as xr
from dask.base import compute, is_dask_collection

from mimtpy_cloud.client import active_client
from mimtpy_cloud.codec import zarr_codecs
from mimtpy_cloud.errors import GridMismatchError, SchemaError, StorageError
from mimtpy_cloud.exports.grids import grid_of
from mimtpy_cloud.exports.progress import Progress, TaskProgress
from mimtpy_cloud.exports.provenance import jsonable, stamped
from mimtpy_cloud.exports.publish import remote_place, staged
from mimtpy_cloud.exports.zarrchunks import write_chunks
from mimtpy_cloud.schema import SPATIAL_REF

__all__ = ["write_zarr"]

#: Side that the chunks of a map have at least, where the map is that large.
_SIDE = 625


def write_zarr(
    ds: xr.Dataset, url: str | os.PathLike[str], *, required: Iterable[str] = (), progress: Progress | None = None
) -> None:
    """
    Compute a dataset and write it as a consolidated Zarr v3 store.

    Parameters
    ----------
    ds : xr.Dataset
        Lazy or not; chunks of the store are about those of dask, regular, and of maps at least 625 pixels wide.
    url : str or path
        Local path or any fsspec URL; a Zarr store that is there is replaced at the end.
    required : iterable of str
        Variables that must have data.
    progress : callable, optional
        ``progress(done, total, unit)``, called in this thread after each chunk.

    Raises
    ------
    SchemaError
        If the dataset is empty, an attribute cannot be held by JSON, or a required variable is NaN everywhere, which
        is known at the end: then nothing is published.
    StorageError
        If the place cannot be written, or holds a folder that is no Zarr store.

    Notes
    -----
    Compressed with Blosc (lz4, bit shuffle), lossless. NaN is the fill value of floats, so blocks
    without data take no space. Encodings of the source are dropped. Text is Zarr's ``string`` type; lazy text and dates
    are computed first.
    Nothing is visible at `url` before all is written. An object store gets its copy from a local temporary folder,
    which needs the disk space; the workers of a cluster write to a hidden place beside it, which is copied there.

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
    small = [str(n) for n, v in ds.variables.items() if is_dask_collection(v.data) and not _is_lazy(v)]
    ready, client = _encoded(ds.assign(ds[small].compute()) if small else ds), active_client()
    apart = None if client is None else remote_place(url)
    with staged(url, last="zarr.json", apart=apart) as path:
        with warnings.catch_warnings():
            warnings.filterwarnings(
                "ignore", message="Consolidated metadata is currently not part", category=UserWarning
            )
            _template(ready).to_zarr(path, mode="w-", zarr_format=3, consolidated=True, compute=False)
        writing = {
            name: write_chunks(
                v.data, f"{apart or path}/{name}", v.encoding["chunks"], np.nan if v.dtype.kind == "f" else 0
            )
            for name, v in ready.variables.items()
            if _is_lazy(v)
        }
        written = _compute(writing, client, progress)
        empty = [name for name in required if not (written.get(name) or (path / name / "c").exists())]
        if empty:
            raise SchemaError(f"{', '.join(empty)} would have no pixel with data; nothing was written to {url}")


def _compute(writing: dict[Any, da.Array], client: Any, progress: Progress | None) -> dict[Any, bool]:
    """Write, and tell which arrays got a chunk; those of nothing but NaN do not."""
    names = {array.name: name for name, array in writing.items()}
    total, done = sum(array.size for array in writing.values()), 0
    written = dict.fromkeys(writing, False)
    with TaskProgress(progress, chunks=total):
        for group in _groups(writing.values()):
            if client is None:
                flags = compute(*group, scheduler=_scheduler())  # type: ignore[no-untyped-call]
            else:
                flags = _compute_on(client, group, progress, (done, total))
            done += sum(array.size for array in group)
            written |= {names[array.name]: bool(np.any(flag)) for array, flag in zip(group, flags, strict=True)}
    return written


def _compute_on(client: Any, group: list[da.Array], progress: Progress | None, counted: tuple[int, int]) -> list[Any]:
    """Let a cluster write; the workers send no more than whether they did. `counted`: chunks before these, and all."""
    from distributed import as_completed, futures_of

    persisted = client.persist(group)
    futures = futures_of(persisted)  # type: ignore[no-untyped-call]
    try:
        for number, future in enumerate(as_completed(futures), start=1):  # type: ignore[no-untyped-call]
            future.result()
            if progress is not None:
                progress(counted[0] + number, counted[1], "chunks")
    except FileNotFoundError as error:
        client.cancel(futures)
        raise StorageError(
            f"the workers of the cluster do not see the folder {error}; write to a URL, or a folder that they share"
        ) from error
    except BaseException:
        client.cancel(futures)
        raise
    return list(client.gather(client.compute(persisted)))


def _scheduler() -> Any:
    """dask's threads, if nothing else was asked for: only to look for a client dask would import distributed."""
    if "distributed" in sys.modules or dask.config.get("scheduler", None) is not None:
        return None
    return dask.threaded.get


def _groups(arrays: Iterable[da.Array]) -> list[list[da.Array]]:
    """Arrays that need something in common; groups are computed one after the other, which takes less memory."""
    groups: list[tuple[set[str], list[da.Array]]] = []
    for array in arrays:
        layers = set(array.dask.layers)
        apart = [group for group in groups if not group[0] & layers]
        joined = [group for group in groups if group[0] & layers]
        groups = [
            *apart,
            (layers.union(*(g[0] for g in joined)), [*itertools.chain.from_iterable(g[1] for g in joined), array]),
        ]
    return [members for _, members in groups]


def _is_lazy(variable: xr.Variable) -> bool:
    """Whether the blocks are written by their own tasks; what is in memory is left to xarray."""
    return is_dask_collection(variable.data) and variable.dtype.kind in "biuf"


def _template(ds: xr.Dataset) -> xr.Dataset:
    """The same with nothing to compute, for the metadata."""
    out = ds.copy()
    for name, variable in ds.variables.items():
        if _is_lazy(variable):
            nothing = da.zeros(variable.shape, dtype=variable.dtype, chunks=variable.encoding["chunks"])
            out[name] = xr.Variable(variable.dims, nothing, variable.attrs, variable.encoding)
    return out


def _encoded(ds: xr.Dataset) -> xr.Dataset:
    """Copy with our encoding alone, JSON-able attributes and regular chunks; nothing computed."""
    out = ds.drop_encoding()
    out.attrs = {"Conventions": "CF-1.11"} | stamped(ds.attrs, "write_zarr")
    place = _georeference(ds)
    for name in list(out.variables):
        variable = _text(out[name].variable).copy(deep=False)
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


def _chunk(variable: xr.Variable) -> tuple[int, ...]:
    """Chunks of one dimension are all equal; those of a map are whole blocks that make up a side."""
    blocks = [max(sizes) for sizes in variable.chunksizes.values()] or [min(n, _SIDE) for n in variable.shape]
    if variable.dims == ("y", "x"):
        blocks = [block * max(1, _SIDE // max(block, 1)) for block in blocks]
    return tuple(max(1, min(block, n)) for block, n in zip(blocks, variable.shape, strict=True))


def _text(variable: xr.Variable) -> xr.Variable:
    if variable.dtype.kind not in "UO":
        return variable
    text = variable.astype(np.dtypes.StringDType())
    return xr.Variable(variable.dims, text.data, variable.attrs)


def _encoding(variable: xr.Variable) -> dict[str, Any]:
    if variable.dtype.kind not in "biufMm" or (variable.ndim == 0 and not _is_lazy(variable)):
        return {}
    encoding: dict[str, Any] = {"chunks": _chunk(variable), "compressors": zarr_codecs(variable.dtype.itemsize)}
    if variable.dtype.kind == "f":
        encoding |= {"fill_value": float("nan"), "_FillValue": float("nan")}
    return encoding
