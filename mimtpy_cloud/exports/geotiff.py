"""Write one 2-D array as a Cloud Optimized GeoTIFF, block by block, whole or not at all."""

import json
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import xarray as xr
from dask.array import Array

from mimtpy_cloud.errors import SchemaError, StorageError
from mimtpy_cloud.exports.blocks import stream_blocks
from mimtpy_cloud.exports.grids import grid_of
from mimtpy_cloud.exports.progress import Progress
from mimtpy_cloud.exports.provenance import stamped
from mimtpy_cloud.exports.publish import staged
from mimtpy_cloud.exports.units import in_unit
from mimtpy_cloud.plan.grid import Grid
from mimtpy_cloud.schema import require_dims

__all__ = ["write_cog"]

#: No data of a bool array, which is stored as bytes 0 and 1.
NODATA_BOOL = 255
_TILE = 512
_CACHE_BYTES = 64 << 20
#: Attributes that get a tag of their own; all others are in the tag PROVENANCE.
_TAGS = ("track", "sensor", "product", "project", "start_date", "end_date", "reference_date", "created", "software")
_OWN = ("units", "long_name", "grid_mapping", "_FillValue")


def write_cog(
    da: xr.DataArray,
    url: str | os.PathLike[str],
    *,
    unit: str | None = None,
    progress: Progress | None = None,
) -> None:
    """
    Compute a 2-D array and write it as a Cloud Optimized GeoTIFF.

    Parameters
    ----------
    da : xr.DataArray
        Dimensions ``(y, x)`` with coordinates of pixel centres and ``spatial_ref``, lazy or not. Its
        attributes (track, dates, sources) become tags.
    url : str or path
        Local path or any fsspec URL; a file that is there is replaced at the end.
    unit : str, optional
        ``"m"``, ``"cm"``, ``"mm"`` or ``"rad"``, of a rate those in a year: values and tag are converted, as `in_unit`
        says. By default they are those of the array.
    progress : callable, optional
        ``progress(done, total, unit)``, called from one thread after each block.

    Raises
    ------
    SchemaError
        If the array is not ``(y, x)``, has no coordinate system, is of a type that GeoTIFF lacks, or cannot have the
        unit.
    GridMismatchError
        If its coordinates are not evenly spaced.
    StorageError
        If the place cannot be written.

    See Also
    --------
    mimtpy_cloud.exports.units.in_unit : The conversion.
    mimtpy_cloud.io.geotiff.open_geotiff : The reader, which makes metres of cm and mm.

    Notes
    -----
    Deflate with the predictor of the type, tiles of 512 x 512, overviews by averaging valid pixels
    (nearest for bool and integers), pixel is area. Floats become float32 with NaN as no data, a bool
    0 and 1 with 255 as no data; integers keep their type and have no no-data value. Memory: the blocks
    that dask holds while computing, and 64 MB of GDAL's; the uncompressed array lies on disk meanwhile.
    """
    require_dims("a GeoTIFF", da.dims, "y", "x")
    da = da if unit is None else in_unit(da, unit)
    grid = grid_of(da)
    kind = _stored_type(da)
    empty = {"b": NODATA_BOOL, "f": np.nan}.get(da.dtype.kind)

    with staged(url) as path, _small_gdal_cache():
        plain = path.with_name("plain.tif")
        with _plain_tiff(plain, grid, kind, empty) as raster:
            _describe(raster, da)
            _each_block(
                da, lambda block, rows, cols: _write(raster, block.astype(kind, copy=False), rows, cols), progress
            )
        _optimize(plain, path, average=kind.kind == "f")


@contextmanager
def _small_gdal_cache() -> Iterator[None]:
    """GDAL would take 5 % of the machine's memory."""
    import rasterio

    with rasterio.Env(GDAL_CACHEMAX=_CACHE_BYTES):
        yield


def _stored_type(da: xr.DataArray) -> np.dtype[Any]:
    if da.dtype.kind not in "biuf":
        raise SchemaError(f"a GeoTIFF holds real numbers, got {da.name or 'an array'} of {da.dtype}")
    return np.dtype({"b": "uint8", "f": "float32"}.get(da.dtype.kind, da.dtype.name))


@contextmanager
def _plain_tiff(path: Path, grid: Grid, kind: np.dtype[Any], nodata: float | None) -> Iterator[Any]:
    """Uncompressed and tiled, so that blocks can be written in any order."""
    import rasterio
    from rasterio.transform import Affine

    with rasterio.open(
        path,
        "w",
        driver="GTiff",
        width=grid.nx,
        height=grid.ny,
        count=1,
        dtype=kind.name,
        crs=grid.crs,
        transform=Affine.from_gdal(*grid.transform),
        nodata=nodata,
        tiled=True,
        blockxsize=256,
        blockysize=256,
        BIGTIFF="IF_SAFER",
    ) as raster:
        yield raster


def _describe(raster: Any, da: xr.DataArray) -> None:
    attrs = stamped(da.attrs, "write_cog")
    raster.units = (str(da.attrs.get("units", "")),)
    raster.set_band_description(1, str(da.name or "value"))
    raster.update_tags(1, long_name=str(da.attrs.get("long_name", da.name or "")))
    tags = {name: str(attrs[name]) for name in _TAGS if attrs.get(name) is not None}
    rest = {name: value for name, value in attrs.items() if name not in (*_OWN, *_TAGS, "source", "sources")}
    sources = _sources(attrs)
    raster.update_tags(AREA_OR_POINT="Area", SOURCES=json.dumps(sources), PROVENANCE=json.dumps(rest), **tags)


def _sources(attrs: dict[str, Any]) -> list[Any]:
    """What a combined product, or one of a single source, was made of."""
    sources = attrs.get("sources", attrs.get("source", []))
    return sources if isinstance(sources, list) else [sources]


def _write(raster: Any, block: np.ndarray, rows: slice, cols: slice) -> None:
    from rasterio.windows import Window

    window = Window(cols.start, rows.start, cols.stop - cols.start, rows.stop - rows.start)
    raster.write(block, 1, window=window)


def _optimize(plain: Path, path: Path, *, average: bool) -> None:
    from rasterio._err import CPLE_BaseError
    from rasterio.errors import RasterioIOError
    from rasterio.shutil import copy

    options = {
        "COMPRESS": "DEFLATE",
        "PREDICTOR": "YES",
        "BLOCKSIZE": _TILE,
        "OVERVIEWS": "AUTO",
        "OVERVIEW_RESAMPLING": "AVERAGE" if average else "NEAREST",
        "BIGTIFF": "IF_SAFER",
        "NUM_THREADS": "ALL_CPUS",
    }
    try:
        copy(plain, path, driver="COG", **options)
    except (RasterioIOError, CPLE_BaseError) as error:
        raise StorageError(f"GDAL cannot write {path.name}: {error}; is the disk full?") from error


def _each_block(
    da: xr.DataArray, consume: Callable[[np.ndarray, slice, slice], None], progress: Progress | None
) -> None:
    """Compute each block once, all in one graph, and hand them over one at a time as they come."""
    if isinstance(da.data, Array):
        stream_blocks([da.data], [_Sink(consume)], progress)
    else:
        consume(np.asarray(da.data), slice(0, da.shape[0]), slice(0, da.shape[1]))


class _Sink:
    """What blocks are assigned to."""

    def __init__(self, consume: Callable[[np.ndarray, slice, slice], None]) -> None:
        self._consume = consume

    def __setitem__(self, index: tuple[slice, slice], block: np.ndarray) -> None:
        self._consume(block, *index)
