"""Write velocities of GNSS stations as a table that any program reads, ours too."""

import os

import numpy as np
import xarray as xr

from mimtpy_cloud.exports.publish import publish_bytes
from mimtpy_cloud.schema import require_variables

__all__ = ["write_stations"]

_VALUES = ("east", "north", "up", "east_std", "north_std", "up_std")


def write_stations(stations: xr.Dataset, url: str | os.PathLike[str]) -> None:
    """
    Write stations as CSV, in m/yr.

    Parameters
    ----------
    stations : xr.Dataset
        As `mimtpy_cloud.io.gnss.read_stations` gives it: dimension `station` with `lon`, `lat`, `east`, `north`, `up`
        and their ``_std``, in m/yr. NaN becomes an empty cell.
    url : str or path
        Local path or fsspec URL; written whole or not at all.

    Raises
    ------
    SchemaError
        If a variable is missing.
    StorageError
        If the place cannot be written.

    See Also
    --------
    mimtpy_cloud.io.gnss.read_stations : Reads it, with the same numbers and frame.
    """
    require_variables("the stations", stations.variables, "station", "lon", "lat", *_VALUES)
    columns = [stations[name].to_numpy() for name in ("lon", "lat", *_VALUES)]
    lines = [f"# frame: {stations.attrs['frame']}"] if stations.attrs.get("frame") else []
    lines.append(",".join(["station", "lon", "lat", *(f"{name} (m/yr)" for name in _VALUES)]))
    for k, name in enumerate(stations["station"].to_numpy()):
        cells = ("" if np.isnan(column[k]) else repr(float(column[k])) for column in columns)
        lines.append(",".join([str(name), *cells]))
    publish_bytes("\n".join([*lines, ""]).encode(), url)
