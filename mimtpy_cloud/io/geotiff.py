"""Read a map that was written as GeoTIFF, lazily, in the units of this package."""

import json
import math
from typing import Any

import numpy as np
import xarray as xr

from mimtpy_cloud.errors import SourceFormatError
from mimtpy_cloud.io.georeference import coordinates
from mimtpy_cloud.io.hdf5 import block_shape
from mimtpy_cloud.io.raster import locate_raster, open_raster
from mimtpy_cloud.io.units import is_unit, parse_unit
from mimtpy_cloud.schema import VARIABLES

__all__ = ["open_geotiff"]

#: Bytes of a block.
_BLOCK = 4 << 20
#: Tags that are attributes of the dataset; the others are in the tag PROVENANCE.
_TAGS = ("sensor", "track", "product", "project", "start_date", "end_date", "reference_date")


def open_geotiff(url: str) -> xr.Dataset:
    """
    Open a GeoTIFF of one band as a dataset with one variable.

    Parameters
    ----------
    url : str
        Local path or fsspec URL.

    Returns
    -------
    xr.Dataset
        Lazy, named by the description of the band, else by the file. Lengths in cm or mm, also in a year, are
        converted to m or m/yr, and so is the phase of motion in the line of sight where a tag tells the wavelength.

    Raises
    ------
    SourceFormatError
        If it cannot be read, has several bands, or is not north up with a coordinate reference system.

    See Also
    --------
    mimtpy_cloud.exports.geotiff.write_cog : The writer.
    """
    with open_raster(url) as file:
        if file.count != 1:
            raise SourceFormatError(f"{url} has {file.count} bands; expected a map with one")
        tags, units, name = file.tags(), file.units[0], file.descriptions[0]
        long_name = file.tags(1).get("long_name")
    raster = locate_raster(url)
    grid, size = raster.grid, np.dtype(raster.dtype).itemsize
    name = name or url.rsplit("/", 1)[-1].partition(".")[0]
    array = raster.lazy(block_shape(raster.shape, raster.tile, size, _BLOCK))
    array.attrs = {"units": units or "1", "long_name": long_name or name}
    more = json.loads(tags.pop("PROVENANCE", "{}"))
    attrs = {key: value for key, value in tags.items() if key in _TAGS} | more
    motion = _metric(_unphased(array, name, attrs.get("wavelength")))
    return xr.Dataset({name: motion}, coordinates(grid.x, grid.y, grid.crs), attrs)


def _unphased(array: xr.DataArray, name: str, wavelength: Any) -> xr.DataArray:
    """Motion in m or m/yr of the phase that `write_cog` made of it."""
    units = str(array.attrs["units"])
    if units not in ("rad", "rad/yr") or not wavelength or name not in VARIABLES:
        return array
    factor = float(wavelength) / (4 * math.pi) * (1 if name.endswith("_std") else -1)
    told = {"units": units.replace("rad", "m"), "long_name": VARIABLES[name].long_name}
    return (array * np.float32(factor)).assign_attrs(array.attrs | told)


def _metric(array: xr.DataArray) -> xr.DataArray:
    """In m or m/yr, if it is in a smaller unit: everything that reads it counts on that."""
    units = str(array.attrs["units"])
    if units in ("m", "m/yr") or not is_unit(units):
        return array
    unit = parse_unit(units, str(array.attrs["long_name"]))
    scaled = array * np.float32(unit.metres)
    return scaled.assign_attrs(array.attrs | {"units": "m/yr" if unit.rate else "m"})
