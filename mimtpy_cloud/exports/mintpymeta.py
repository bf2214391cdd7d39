"""What files of MintPy say about themselves: root attributes, dates, angles."""

import math
import re
from typing import Any

import numpy as np
import xarray as xr

from mimtpy_cloud.exports.grids import grid_edges
from mimtpy_cloud.kernels.look import incidence_and_azimuth
from mimtpy_cloud.plan.grid import Grid
from mimtpy_cloud.schema import LOS

__all__ = ["encode_angles", "mintpy_attributes", "mintpy_dates", "reference_pixel"]

#: Attributes of a source that describe its own grid, not this one.
_STALE = re.compile(r"EPSG|UTM_ZONE|SUBSET_.*|[XY]MAX|FILE_LENGTH|(unavco|hdf-?eos5)\..*", re.IGNORECASE)
_FROM_CANONICAL = {"HEADING": "heading", "WAVELENGTH": "wavelength", "PROJECT_NAME": "project"}
_DEGREES = "EPSG:4326"


def mintpy_dates(ds: xr.Dataset) -> np.ndarray:
    """
    Write the dates of a series as MintPy does.

    Parameters
    ----------
    ds : xr.Dataset
        With ``time``.

    Returns
    -------
    np.ndarray
        Bytes ``YYYYMMDD``.

    Examples
    --------
    >>> mintpy_dates(xr.Dataset(coords={"time": np.array(["2019-11-06"], "datetime64[ns]")}))
    array([b'20191106'], dtype='|S8')
    """
    days = np.datetime_as_string(ds["time"].values, unit="D")
    return np.array([day.replace("-", "") for day in days], "S8")


def encode_angles(ds: xr.Dataset) -> tuple[xr.Variable, xr.Variable]:
    """
    Turn look vectors into MintPy's angles, as lazy as they are.

    Parameters
    ----------
    ds : xr.Dataset
        With ``los_east, los_north, los_up``.

    Returns
    -------
    incidence, azimuth : xr.Variable
        Degrees, float32: from the vertical; and of the vector from ground to satellite, anticlockwise from north.
    """
    incidence, azimuth = xr.apply_ufunc(
        _encode,
        *(ds[name].variable for name in LOS),
        output_core_dims=[[], []],
        dask="parallelized",
        output_dtypes=[np.float32, np.float32],
    )
    return incidence, azimuth


def _encode(east: np.ndarray, north: np.ndarray, up: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    incidence, azimuth = incidence_and_azimuth(east, north, up)
    return incidence.astype(np.float32), azimuth.astype(np.float32)


def mintpy_attributes(ds: xr.Dataset, grid: Grid) -> dict[str, str]:
    """
    Write the root attributes that all files of MintPy share.

    Parameters
    ----------
    ds : xr.Dataset
        Canonical dataset with ``time``, or with ``start_date`` and ``end_date``, where it has dates at all.
    grid : Grid
        Its pixels.

    Returns
    -------
    dict
        Text, as MintPy has it: those of the source under ``attrs["mintpy"]``, those of the grid, the orbit, the
        reference and the dates as they are now. ``X_FIRST, Y_FIRST`` is the outer corner of the first pixel.
    """
    attrs, source = ds.attrs, dict(ds.attrs.get("mintpy", {}))
    letter = str(attrs.get("orbit_direction", attrs.get("track", "")))[:1].upper()
    known = {"A": "ASCENDING", "D": "DESCENDING"}.get(letter)
    values: dict[str, Any] = {"PROCESSOR": "isce", "PLATFORM": "Sen"}
    values |= {key: value for key, value in source.items() if not _STALE.fullmatch(key)}
    values |= _corners(values, grid, letter == "A")
    values |= {
        "LENGTH": grid.ny,
        "WIDTH": grid.nx,
        "X_FIRST": grid_edges(grid)[0],
        "Y_FIRST": grid_edges(grid)[3],
        "X_STEP": grid.dx,
        "Y_STEP": -grid.dy,
        **_system(grid),
        **_dates(ds),
        "UNIT": "m",
        "DATA_TYPE": "float32",
        **_reference(ds, grid),
        **({} if known is None else {"ORBIT_DIRECTION": known}),
        "ANTENNA_SIDE": 1 if attrs.get("look_side") == "left" else -1,
        **{key: attrs[name] for key, name in _FROM_CANONICAL.items() if attrs.get(name) is not None},
    }
    return {key: value if isinstance(value, str) else str(value) for key, value in values.items()}


def _system(grid: Grid) -> dict[str, Any]:
    """Unit of the coordinates, and of a projection its code and zone."""
    if grid.crs == _DEGREES:
        return {"X_UNIT": "degrees", "Y_UNIT": "degrees"}
    code = grid.crs.removeprefix("EPSG:")
    utm = re.fullmatch(r"32([67])(\d\d)", code)
    zone = {"UTM_ZONE": f"{utm[2]}{'N' if utm[1] == '6' else 'S'}"} if utm else {}
    return {"X_UNIT": "meters", "Y_UNIT": "meters", "EPSG": code, **zone}


def _dates(ds: xr.Dataset) -> dict[str, str]:
    if "time" in ds.indexes:
        days = [day.decode() for day in mintpy_dates(ds)]
        return {"START_DATE": days[0], "END_DATE": days[-1]}
    start, end = (str(ds.attrs.get(name, "")).replace("-", "") for name in ("start_date", "end_date"))
    return {"START_DATE": start, "END_DATE": end, "DATE12": f"{start}_{end}"} if start and end else {}


def _reference(ds: xr.Dataset, grid: Grid) -> dict[str, Any]:
    """Reference date and pixel, the pixel by MintPy's rule; of a projection the place is in its metres."""
    first = _dates(ds).get("START_DATE")
    date = str(ds.attrs.get("reference_date") or first or "").replace("-", "")
    found: dict[str, Any] = {"REF_DATE": date} if date else {}
    point = ds.attrs.get("reference_point")
    if point is None:
        return found
    x, y = map(float, point)
    if grid.crs != _DEGREES:
        from pyproj import Transformer

        x, y = Transformer.from_crs(_DEGREES, grid.crs, always_xy=True).transform(x, y)
    return found | reference_pixel(grid, x, y)


def reference_pixel(grid: Grid, x: float, y: float) -> dict[str, Any]:
    """
    Give the place of the reference and its pixel, by MintPy's rule.

    Parameters
    ----------
    grid : Grid
        Pixel grid.
    x, y : float
        Longitude and latitude in degrees, or metres of a projection, as the grid has them.

    Returns
    -------
    dict
        ``REF_LON, REF_LAT, REF_X, REF_Y``; pixels count from 0.
    """
    row, col = (grid.north - y) / grid.dy, (x - grid.west) / grid.dx
    return {"REF_LON": x, "REF_LAT": y, "REF_X": math.floor(col + 0.01), "REF_Y": math.floor(row + 0.01)}


def _corners(values: dict[str, Any], grid: Grid, ascending: bool) -> dict[str, Any]:
    """LAT_REF1 to LON_REF4 in image order (first line near, far, last line near, far), unless there in degrees."""
    keys = [f"{axis}_REF{i}" for axis in ("LAT", "LON") for i in range(1, 5)]
    if all(key in values and abs(float(values[key])) <= 360 for key in keys):
        return {}
    west, south, east, north = grid_edges(grid)
    if ascending:
        corners = [south, south, north, north, west, east, west, east]
    else:
        corners = [north, north, south, south, east, west, east, west]
    return dict(zip(keys, corners, strict=True))
