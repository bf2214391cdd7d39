"""Maps in GeoTIFF files, read lazily."""

import contextlib
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import dask.array as da
import numpy as np
import xarray as xr
from dask.base import tokenize

from mimtpy_cloud.errors import SourceFormatError
from mimtpy_cloud.io.hdf5file import SourceFile
from mimtpy_cloud.location import is_local, locate, reaching
from mimtpy_cloud.plan.grid import Grid

__all__ = ["Raster", "locate_raster", "open_raster"]

#: Most rows and columns of a sample.
_SAMPLE = 64
#: Types whose values float32 cannot hold.
_WIDE = ("float64", "int32", "uint32", "int64", "uint64")


@dataclass(frozen=True)
class Raster:
    """
    First band of a GeoTIFF, opened for every block, so that none is left open; no-data is NaN.

    Parameters
    ----------
    file : SourceFile
        Where it is.
    shape, tile : tuple of int
        Rows and columns, of all and of a tile of the file.
    grid : Grid
        Its pixels.
    dtype : str
        float32, or float64 for what float32 cannot hold.
    ndim : int
        Two.
    """

    file: SourceFile
    shape: tuple[int, int]
    tile: tuple[int, int]
    grid: Grid
    dtype: str = "float32"
    ndim: int = 2

    def __getitem__(self, index: Any) -> np.ndarray:
        from rasterio.windows import Window

        rows, cols = (np.arange(size)[part] for size, part in zip(self.shape, index, strict=True))
        if rows.size == 0 or cols.size == 0:
            return np.empty((rows.size, cols.size), self.dtype)
        top, left = int(rows.min()), int(cols.min())
        window = Window(left, top, int(cols.max()) + 1 - left, int(rows.max()) + 1 - top)
        with open_raster(self.file.url) as raster:
            scale, offset = raster.scales[0], raster.offsets[0]
            values = raster.read(1, window=window, masked=True).astype(self.dtype).filled(np.nan)
        if (scale, offset) != (1, 0):
            values = (values * scale + offset).astype(self.dtype)
        return np.ascontiguousarray(values[np.ix_(rows - top, cols - left)])

    def sample(self) -> np.ndarray:
        """
        Read every n-th pixel, at most 64 rows and columns.

        Returns
        -------
        np.ndarray
            Float64.
        """
        with open_raster(self.file.url) as raster:
            shape = tuple(min(size, _SAMPLE) for size in self.shape)
            values: np.ndarray = raster.read(1, out_shape=shape, masked=True).astype("float64").filled(np.nan)
            scaled: np.ndarray = values * raster.scales[0] + raster.offsets[0]
            return scaled

    def lazy(self, block: tuple[int, ...]) -> xr.DataArray:
        """
        Make a lazy array.

        Parameters
        ----------
        block : tuple of int
            Rows and columns of a dask block.

        Returns
        -------
        xr.DataArray
            Without coordinates.
        """
        name = f"read-tif-{tokenize(self, block)}"
        meta = np.empty((0, 0), self.dtype)
        data = da.from_array(  # type: ignore[no-untyped-call]
            self, chunks=block, name=name, asarray=False, fancy=False, meta=meta, inline_array=True
        )
        return xr.DataArray(data, dims=("y", "x"))


@contextlib.contextmanager
def open_raster(url: str) -> Iterator[Any]:
    """
    Open a GeoTIFF for reading.

    Parameters
    ----------
    url : str
        Local path or fsspec URL.

    Yields
    ------
    rasterio.DatasetReader

    Raises
    ------
    SourceFormatError
        If it cannot be read.
    """
    import rasterio
    from rasterio.errors import RasterioIOError

    with contextlib.ExitStack() as stack:
        fs, path = locate(url)
        with reaching(url):
            handle = path if is_local(fs) else stack.enter_context(fs.open(path, "rb"))
        try:
            raster = stack.enter_context(rasterio.open(handle))
        except RasterioIOError as error:
            raise SourceFormatError(f"{url} cannot be read as GeoTIFF ({error}); copy or write it again") from error
        yield raster


def locate_raster(url: str) -> Raster:
    """
    Find where the pixels of a GeoTIFF lie, without reading them.

    Parameters
    ----------
    url : str
        Local path or fsspec URL.

    Returns
    -------
    Raster

    Raises
    ------
    SourceFormatError
        If it is none that can be read, or is not north up with a coordinate reference system.
    """
    file = SourceFile.locate(url)
    with open_raster(file.url) as raster:
        t = raster.transform
        if raster.crs is None or t.b or t.d or t.e >= 0 or t.a <= 0:
            raise SourceFormatError(
                f"{url} must be north up with a coordinate reference system, got {raster.crs} and {tuple(t)[:6]};"
                " geocode it again"
            )
        crs = raster.crs.to_string()
        grid = Grid(t.c, t.f, t.a, -t.e, raster.width, raster.height, crs)
        tile, dtype = raster.block_shapes[0], str(raster.dtypes[0])
    return Raster(file, (grid.ny, grid.nx), tile, grid, "float64" if dtype in _WIDE else "float32")
