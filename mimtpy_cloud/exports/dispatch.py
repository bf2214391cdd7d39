"""Write a product in a format chosen by name."""

import os
from typing import Any

import xarray as xr

from mimtpy_cloud.errors import SchemaError
from mimtpy_cloud.exports.exporter import Exporter
from mimtpy_cloud.exports.gbis import write_gbis
from mimtpy_cloud.exports.geodmod import write_geodmod
from mimtpy_cloud.exports.gmt import write_gmt
from mimtpy_cloud.exports.insamp import write_insamp
from mimtpy_cloud.exports.kite import write_kite
from mimtpy_cloud.exports.kmz import write_kmz
from mimtpy_cloud.exports.progress import Progress
from mimtpy_cloud.exports.provenance import labelled
from mimtpy_cloud.exports.roipac import write_roipac
from mimtpy_cloud.exports.varres import write_varres

__all__ = ["EXPORTERS", "export"]

Product = xr.Dataset | xr.DataArray


def export(
    ds: Product,
    format: str,  # noqa: A002
    url: str | os.PathLike[str],
    *,
    progress: Progress | None = None,
    **options: Any,
) -> list[str]:
    """
    Compute a dataset and write it in a format.

    Parameters
    ----------
    ds : xr.Dataset or xr.DataArray
        Lazy or not.
    format : str
        ``"zarr"``: one Zarr v3 store. ``"cog"``: Cloud Optimized GeoTIFF of each ``(y, x)`` variable;
        `url` names the file where there is one variable, else a folder. ``"hdfeos5"``: MintPy's file. ``"mintpy"``: its
        working files in a folder. ``"kite"``: a
        scene of Kite, BEAT and Grond. ``"gbis"``: MATLAB file of GBIS. ``"geodmod"``, ``"insamp"``, ``"roipac"``:
        phase and what goes with it. ``"varres"``: text of CSI. ``"gmt"``: netCDF grid. ``"kmz"``: Google Earth.
        `EXPORTERS` tells what each needs and writes.
    url : str or path
        Local path or any fsspec URL.
    progress : callable, optional
        ``progress(done, total, unit)``, called from one thread.
    **options : object
        Those of the format, such as ``variable`` or ``wavelength``.

    Returns
    -------
    list of str
        What was written.

    Raises
    ------
    SchemaError
        If the format or an option is unknown, or the dataset does not fit it.
    DateError
        If the format needs dates that the dataset does not have.
    GridMismatchError
        If the format needs another kind of grid.
    StorageError
        If the place cannot be written.

    See Also
    --------
    mimtpy_cloud.exports.zarr.write_zarr, mimtpy_cloud.exports.geotiff.write_cog,
    mimtpy_cloud.exports.hdfeos5.write_hdfeos5, mimtpy_cloud.exports.kite.write_kite
    """
    if format not in EXPORTERS:
        raise SchemaError(f"format must be one of {', '.join(sorted(EXPORTERS))}, got {format!r}")
    return EXPORTERS[format].write(_dataset(ds), os.fspath(url), progress=progress, **options)


def _dataset(ds: Product) -> xr.Dataset:
    return ds if isinstance(ds, xr.Dataset) else ds.to_dataset(name=ds.name or "value").assign_attrs(ds.attrs)


def _zarr(ds: xr.Dataset, url: str, *, progress: Progress | None = None) -> list[str]:
    from mimtpy_cloud.exports.zarr import write_zarr

    write_zarr(ds, url, progress=progress)
    return [url]


def _cog(ds: xr.Dataset, url: str, *, progress: Progress | None = None, unit: str | None = None) -> list[str]:
    from mimtpy_cloud.exports.geotiff import write_cog

    maps = [str(name) for name, da in ds.data_vars.items() if da.dims == ("y", "x")]
    one_file = url.lower().endswith((".tif", ".tiff"))
    if not maps or (one_file and len(maps) > 1):
        what = "; name a folder, or select one" if maps else ""
        have = ", ".join(maps) or "none"
        raise SchemaError(f"a GeoTIFF file holds one variable with dimensions (y, x), got {have}{what}")
    written = []
    for name in maps:
        target = url if one_file else f"{url.rstrip('/')}/{name}.tif"
        write_cog(labelled(ds, name), target, unit=unit, progress=progress)
        written.append(target)
    return written


def _hdfeos5(ds: xr.Dataset, url: str, *, progress: Progress | None = None) -> list[str]:
    from mimtpy_cloud.exports.hdfeos5 import write_hdfeos5

    if "time" not in ds.dims:
        raise SchemaError("hdfeos5 holds a time series; take it of a track by --type series")
    write_hdfeos5(ds, url, progress=progress)
    return [url]


def _mintpy(ds: xr.Dataset, url: str, *, progress: Progress | None = None) -> list[str]:
    from mimtpy_cloud.exports.mintpy import write_mintpy

    return list(write_mintpy(ds, url, progress=progress))


_MOTION, _LOOK = "displacement or velocity (y, x)", "los_east, los_north, los_up"
_PHASE = f"{_MOTION}; start_date, end_date, wavelength"

#: Every format by its name.
EXPORTERS: dict[str, Exporter] = {
    exporter.name: exporter
    for exporter in (
        Exporter("zarr", "NAME.zarr, a Zarr v3 store", "any dataset", (".zarr",), _zarr),
        Exporter("cog", "NAME.tif, a Cloud Optimized GeoTIFF of each map", "any map (y, x)", (".tif", ".tiff"), _cog),
        Exporter(
            "hdfeos5",
            "NAME.he5, as MintPy writes it",
            f"a time series (of a track: --type series); {_LOOK}, height, coherence",
            (".he5",),
            _hdfeos5,
        ),
        Exporter("mintpy", "a folder: timeseries.h5, velocity.h5, ...", "any of what MintPy keeps", (), _mintpy),
        Exporter(
            "kite", "NAME.npz and .yml: Kite, BEAT, Grond", f"{_MOTION}; {_LOOK}; dates", (".npz", ".yml"), write_kite
        ),
        Exporter("gbis", "NAME.mat: GBIS", f"{_PHASE}; {_LOOK}; or points with lon, lat", (".mat",), write_gbis),
        Exporter(
            "geodmod", "a folder: geo_*.unw, .cor, srtm.dem: Geodmod", f"{_PHASE}; coherence, height", (), write_geodmod
        ),
        Exporter(
            "insamp",
            "NAME.unw and .los (NAME_insamp in a folder): InSAMP",
            f"{_PHASE}; {_LOOK}",
            (".unw",),
            write_insamp,
        ),
        Exporter("roipac", "NAME.unw, .cor, .dem, with .rsc: ROI_PAC, MintPy", _PHASE, (".unw",), write_roipac),
        Exporter(
            "varres",
            "NAME.txt and .rsp: CSI",
            f"{_MOTION}; {_LOOK}; or cells of a quadtree",
            (".txt", ".rsp"),
            write_varres,
        ),
        Exporter("gmt", "NAME.grd, netCDF: GMT, QGIS", "any map (y, x)", (".grd", ".nc"), write_gmt),
        Exporter("kmz", "NAME.kmz: Google Earth", "any map (y, x) in degrees", (".kmz",), write_kmz),
    )
}
