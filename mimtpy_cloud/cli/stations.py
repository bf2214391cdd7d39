"""Search GNSS stations in tables and on servers."""

from collections.abc import Sequence

import numpy as np
import xarray as xr

from mimtpy_cloud.errors import SchemaError
from mimtpy_cloud.io.gnss import read_stations
from mimtpy_cloud.io.unr import find_station_list, read_midas, read_station_list, read_unr_series
from mimtpy_cloud.ops.stations import select_stations
from mimtpy_cloud.plan.grid import Bounds

__all__ = ["rows_of", "search_server", "search_table"]

_COLUMNS = ("east", "north", "up", "east_std", "north_std", "up_std")


def search_table(
    table: str,
    bbox: Bounds | None,
    names: Sequence[str],
    *,
    units: str | None = None,
    frame: str | None = None,
    coordinates: str | None = None,
) -> xr.Dataset:
    """
    Search a table of velocities, or series.

    Parameters
    ----------
    table : str
        As `mimtpy_cloud.io.gnss.read_stations` takes it.
    bbox : tuple of float, optional
        West, south, east, north.
    names : sequence of str
        All if empty.
    units, frame, coordinates : str, optional
        As for `read_stations`.

    Returns
    -------
    xr.Dataset
        As `read_stations`.

    Raises
    ------
    SchemaError
        If a name is unknown, or no station is in the box.
    StorageError, SourceFormatError
        If the table cannot be read.
    """
    stations = read_stations(table, units=units, frame=frame, coordinates=coordinates)
    return _some(select_stations(stations, bbox=bbox, names=names), stations, table)


def search_server(
    url: str, bbox: Bounds | None, names: Sequence[str], *, frame: str = "IGS14", series: bool = False
) -> xr.Dataset:
    """
    Search a server with the layout of the Nevada Geodetic Laboratory.

    Parameters
    ----------
    url : str
        Its address, or that of a copy.
    bbox : tuple of float, optional
        West, south, east, north.
    names : sequence of str
        All if empty.
    frame : str
        Reference frame.
    series : bool
        Velocities from the daily positions of those found, rather than from the MIDAS table.

    Returns
    -------
    xr.Dataset
        As `mimtpy_cloud.io.gnss.read_stations`.

    Raises
    ------
    SchemaError
        If a name is unknown, no station is in the box, or series of all stations are asked for.
    StorageError, SourceFormatError
        If the server does not answer, or gives something else.
    """
    if not series:
        stations = read_midas(url, frame=frame)
        return _some(select_stations(stations, bbox=bbox, names=names), stations, url)
    if bbox is None and not names:
        raise SchemaError("the series of all stations of a server are many; give a box or names")
    listed = read_station_list(find_station_list(url))
    chosen = _some(select_stations(listed, bbox=bbox, names=names), listed, url)
    return read_unr_series(url, [str(name) for name in chosen["station"].to_numpy()], frame=frame)


def _some(found: xr.Dataset, stations: xr.Dataset, url: str) -> xr.Dataset:
    if not found.sizes["station"]:
        lon, lat = stations["lon"].to_numpy(), stations["lat"].to_numpy()
        raise SchemaError(
            f"none of the {lon.size} stations of {url} is in the box; they lie in {lon.min():g} {lat.min():g} "
            f"{lon.max():g} {lat.max():g} (west south east north)"
        )
    return found


def rows_of(stations: xr.Dataset) -> tuple[list[str], list[list[str]]]:
    """
    Show stations as a table, in mm/yr.

    Parameters
    ----------
    stations : xr.Dataset
        As `mimtpy_cloud.io.gnss.read_stations` gives it.

    Returns
    -------
    columns : list of str
        Headings.
    rows : list of list of str
        One a station; a value that is not known is a dash.
    """
    rows = []
    for k, name in enumerate(stations["station"].to_numpy()):
        values = [1e3 * float(stations[column][k]) for column in _COLUMNS]
        places = [f"{float(stations[at][k]):.4f}" for at in ("lon", "lat")]
        rows.append([str(name), *places, *("-" if np.isnan(value) else f"{value:.2f}" for value in values)])
    return ["station", "lon", "lat", *(f"{name.replace('_std', ' std')} (mm/yr)" for name in _COLUMNS)], rows
