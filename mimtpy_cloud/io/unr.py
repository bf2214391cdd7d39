"""Stations of a server with the layout of the Nevada Geodetic Laboratory: lists, MIDAS tables, daily series."""

import logging
import os
from collections.abc import Sequence

import numpy as np
import xarray as xr

from mimtpy_cloud.errors import SourceFormatError, StorageError
from mimtpy_cloud.io.gnss import read_stations
from mimtpy_cloud.io.text import read_text
from mimtpy_cloud.location import locate, reaching

__all__ = ["find_station_list", "read_midas", "read_station_list", "read_unr_series"]

_log = logging.getLogger(__name__)

#: Where things lie below the address of the server.
_MIDAS = "velocities/midas.{frame}.txt"
_SERIES = "gps_timeseries/tenv3/{frame}/{name}.tenv3"
_PLATE_SERIES = "gps_timeseries/tenv3/plates/{frame}/{name}.{frame}.tenv3"
#: Letters of the frame of a plate.
_PLATE_LETTERS = 2
_LISTS = ("NGLStationPages/DataHoldings.txt", "NGLStationPages/llh.out")
_LIST_FORMAT = "a list of stations, a line each: name, latitude, longitude (DataHoldings.txt or llh.out)"


def read_station_list(url: str | os.PathLike[str]) -> xr.Dataset:
    """
    Read where stations are.

    Parameters
    ----------
    url : str or path
        Local path or fsspec URL of a ``DataHoldings.txt`` or an ``llh.out`` of the Nevada Geodetic Laboratory: a line
        for each station that starts with its name, latitude and longitude in degrees, under a heading or not.

    Returns
    -------
    xr.Dataset
        Coordinates `station`, `lon` in [-180, 180) and `lat` in degrees; no variables.

    Raises
    ------
    StorageError
        If there is no such file, or it cannot be fetched.
    SourceFormatError
        If it is no such list.
    """
    names, places = [], []
    for number, line in enumerate(read_text(url, _LIST_FORMAT).splitlines(), 1):
        words = line.split()
        try:
            lat, lon = (float(word) for word in words[1:3])
        except ValueError:
            lat = lon = np.nan
        if np.isfinite(lat) and abs(lat) <= 90 and abs(lon) <= 360:
            names.append(words[0])
            places.append((lon, lat))
        elif words and names:
            raise SourceFormatError(f"{url}, line {number}: expected {_LIST_FORMAT}; got {line[:80]!r}")
    if not names:
        raise SourceFormatError(f"{url} has no station; expected {_LIST_FORMAT}")
    lon, lat = np.array(places).T
    return xr.Dataset(
        coords={
            "station": names,
            "lon": ("station", (lon + 180) % 360 - 180, {"units": "degrees_east"}),
            "lat": ("station", lat, {"units": "degrees_north"}),
        }
    )


def find_station_list(base: str) -> str:
    """
    Find the list of stations of a server.

    Parameters
    ----------
    base : str
        Address of the server, or of a folder with the same layout: ``NGLStationPages/DataHoldings.txt`` or
        ``NGLStationPages/llh.out`` below it.

    Returns
    -------
    str
        Its URL.

    Raises
    ------
    StorageError
        If there is none, or the server does not answer.
    """
    for name in _LISTS:
        url = f"{base.rstrip('/')}/{name}"
        if _exists(url):
            return url
    raise StorageError(f"{base} has no list of stations; expected {' or '.join(_LISTS)} below it")


def read_midas(base: str, *, frame: str = "IGS14") -> xr.Dataset:
    """
    Read the velocities of all stations of a server, as its MIDAS table has them.

    Parameters
    ----------
    base : str
        Address of the server, or of a folder with the same layout: ``velocities/midas.FRAME.txt`` below it, and a list
        of stations where that table has no coordinates.
    frame : str
        Reference frame, such as ``"IGS14"`` or, of a plate, ``"NA"``.

    Returns
    -------
    xr.Dataset
        As `mimtpy_cloud.io.gnss.read_stations`.

    Raises
    ------
    StorageError
        If there is no such table, or the server does not answer.
    SourceFormatError
        If it is no MIDAS table.

    See Also
    --------
    read_unr_series : Velocities of some stations, from their daily positions.
    """
    url = f"{base.rstrip('/')}/{_MIDAS.format(frame=frame)}"
    if not _exists(url):
        raise StorageError(f"{base} has no {_MIDAS.format(frame=frame)}; name another frame")
    try:
        return read_stations(url, frame=frame)
    except SourceFormatError as error:
        if "without coordinates" not in str(error):
            raise
    return read_stations(url, frame=frame, coordinates=find_station_list(base))


def read_unr_series(base: str, names: Sequence[str], *, frame: str = "IGS14") -> xr.Dataset:
    """
    Read the daily positions of stations of a server, and find their velocities.

    Parameters
    ----------
    base : str
        Address of the server, or of a folder with the same layout: ``gps_timeseries/tenv3/FRAME/NAME.tenv3`` below it,
        of the frame of a plate ``gps_timeseries/tenv3/plates/FRAME/NAME.FRAME.tenv3``.
    names : sequence of str
        Stations; those without positions in this frame are left out, with a warning.
    frame : str
        Reference frame, such as ``"IGS14"`` or, of a plate, ``"NA"``.

    Returns
    -------
    xr.Dataset
        As `mimtpy_cloud.io.gnss.read_stations`, which tells how the velocities are found.

    Raises
    ------
    StorageError
        If no station has positions in this frame, or the server does not answer.
    SourceFormatError
        If a file is no such series.
    """
    form = _PLATE_SERIES if len(frame) == _PLATE_LETTERS else _SERIES
    urls = {name: f"{base.rstrip('/')}/{form.format(frame=frame, name=name)}" for name in names}
    found = {name: url for name, url in urls.items() if _exists(url)}
    if not found:
        raise StorageError(f"{base} has no daily positions in {frame} of {', '.join(names)}; name another frame")
    if gone := [name for name in names if name not in found]:
        _log.warning("left out %d stations without positions in %s: %s", len(gone), frame, ", ".join(gone[:10]))
    return read_stations(list(found.values()), frame=frame)


def _exists(url: str) -> bool:
    fs, path = locate(url)
    with reaching(url):
        return bool(fs.exists(path))
