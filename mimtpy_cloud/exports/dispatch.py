"""Write a product in a format chosen by name."""

import os
from collections.abc import Callable

import xarray as xr

from mimtpy_cloud.errors import SchemaError
from mimtpy_cloud.exports.progress import Progress
from mimtpy_cloud.exports.provenance import labelled

__all__ = ["FORMATS", "export"]

Product = xr.Dataset | xr.DataArray


def export(
    ds: Product,
    format: str,  # noqa: A002
    url: str | os.PathLike[str],
    *,
    progress: Progress | None = None,
) -> list[str]:
    """
    Compute a dataset and write it in a format.

    Parameters
    ----------
    ds : xr.Dataset or xr.DataArray
        Lazy or not.
    format : str
        ``"zarr"``: one Zarr v3 store. ``"cog"``: Cloud Optimized GeoTIFF of each ``(y, x)`` variable;
        `url` names the file where there is one variable, else a folder. ``"hdfeos5"``: MintPy's file.
    url : str or path
        Local path or any fsspec URL.
    progress : callable, optional
        ``progress(done, total, unit)``, called from one thread.

    Returns
    -------
    list of str
        What was written.

    Raises
    ------
    SchemaError
        If the format is unknown, or the dataset does not fit it.
    StorageError
        If the place cannot be written.

    See Also
    --------
    mimtpy_cloud.exports.zarr.write_zarr, mimtpy_cloud.exports.geotiff.write_cog,
    mimtpy_cloud.exports.hdfeos5.write_hdfeos5
    """
    try:
        write = FORMATS[format]
    except KeyError:
        raise SchemaError(f"format must be one of {', '.join(sorted(FORMATS))}, got {format!r}") from None
    return write(ds, os.fspath(url), progress)


def _dataset(ds: Product) -> xr.Dataset:
    return ds if isinstance(ds, xr.Dataset) else ds.to_dataset(name=ds.name or "value").assign_attrs(ds.attrs)


def _zarr(ds: Product, url: str, progress: Progress | None) -> list[str]:
    from mimtpy_cloud.exports.zarr import write_zarr

    write_zarr(_dataset(ds), url, progress=progress)
    return [url]


def _cog(ds: Product, url: str, progress: Progress | None) -> list[str]:
    from mimtpy_cloud.exports.geotiff import write_cog

    ds = _dataset(ds)
    maps = [str(name) for name, da in ds.data_vars.items() if da.dims == ("y", "x")]
    one_file = url.lower().endswith((".tif", ".tiff"))
    if not maps or (one_file and len(maps) > 1):
        what = "; name a folder, or select one" if maps else ""
        have = ", ".join(maps) or "none"
        raise SchemaError(f"a GeoTIFF file holds one variable with dimensions (y, x), got {have}{what}")
    written = []
    for name in maps:
        target = url if one_file else f"{url.rstrip('/')}/{name}.tif"
        write_cog(labelled(ds, name), target, progress=progress)
        written.append(target)
    return written


def _hdfeos5(ds: Product, url: str, progress: Progress | None) -> list[str]:
    from mimtpy_cloud.exports.hdfeos5 import write_hdfeos5

    write_hdfeos5(_dataset(ds), url, progress=progress)
    return [url]


#: Writer of each format.
FORMATS: dict[str, Callable[[Product, str, Progress | None], list[str]]] = {
    "zarr": _zarr,
    "cog": _cog,
    "hdfeos5": _hdfeos5,
}
