"""What a track should observe at GNSS stations, and what it does observe."""

import difflib
from collections.abc import Sequence
from typing import Any

import numpy as np
import xarray as xr

from mimtpy_cloud.errors import ReferencePointError, SchemaError
from mimtpy_cloud.kernels import look, tie
from mimtpy_cloud.ops.pixels import pixels_at
from mimtpy_cloud.schema import LOS, require_dims, require_variables

__all__ = ["mean_around", "project_stations", "require_odd_window", "select_stations"]

_COMPONENTS = ("east", "north", "up")
_UNITS = "m/yr"


def select_stations(
    stations: xr.Dataset, *, bbox: tuple[float, float, float, float] | None = None, names: Sequence[str] = ()
) -> xr.Dataset:
    """
    Select stations by a box, by their names, or both.

    Parameters
    ----------
    stations : xr.Dataset
        As `mimtpy_cloud.io.gnss.read_stations` gives it, or any with coordinates `station`, `lon` and `lat`.
    bbox : tuple of float, optional
        West, south, east, north in degrees, edges included; whole turns of the longitude make no difference.
    names : sequence of str
        In any letter case; all if empty.

    Returns
    -------
    xr.Dataset
        Those in the box that have one of the names, in their order; there may be none.

    Raises
    ------
    SchemaError
        If a name is unknown, or the box is none.

    Examples
    --------
    >>> places = {"station": ["ANKR", "TOKA"], "lon": ("station", [32.8, 36.6]), "lat": ("station", [39.9, 40.3])}
    >>> stations = xr.Dataset(coords=places)
    >>> select_stations(stations, bbox=(30, 39, 34, 41)).station.values.tolist()
    ['ANKR']
    >>> select_stations(stations, names=["toka"]).station.values.tolist()
    ['TOKA']
    """
    require_variables("the stations", stations.variables, "station", "lon", "lat")
    known = [str(name) for name in stations["station"].to_numpy()]
    keep = np.ones(len(known), bool)
    if names:
        wanted = {name.upper() for name in names}
        if unknown := sorted(wanted - {name.upper() for name in known}):
            near = difflib.get_close_matches(unknown[0], known, n=5, cutoff=0.5)
            hint = f"; there are {', '.join(near)}" if near else f" among {len(known)}"
            raise SchemaError(f"no station {', '.join(unknown)}{hint}")
        keep &= np.array([name.upper() in wanted for name in known])
    if bbox is not None:
        west, south, east, north = bbox
        if not (west < east <= west + 360 and -90 <= south < north <= 90):
            raise SchemaError(f"a box is west, south, east, north in degrees, got {tuple(bbox)}")
        lon, lat = stations["lon"].to_numpy(), stations["lat"].to_numpy()
        keep &= ((lon - west) % 360 <= east - west) & (lat >= south) & (lat <= north)
    return stations.isel(station=np.flatnonzero(keep))


def project_stations(ds: xr.Dataset, stations: xr.Dataset, *, window: int = 1, up: str = "drop") -> xr.Dataset:
    """
    Project the velocities of stations into the line of sight of a track, and take what the track observes there.

    Parameters
    ----------
    ds : xr.Dataset
        Canonical dataset with a two-dimensional `velocity` in m/yr and look vectors.
    stations : xr.Dataset
        As `mimtpy_cloud.io.gnss.read_stations` gives it.
    window : int
        Odd side in pixels of the square around a station whose usable pixels are averaged.
    up : {"drop", "zero"}
        What becomes of a station without vertical velocity: it is left out, or its vertical velocity and the
        standard deviation of it are taken as zero.

    Returns
    -------
    xr.Dataset
        On `station`, those that lie in the grid and have a velocity; there may be none. `los` and `los_std`, velocity
        of the station toward the satellite, and `observed`, mean of the usable pixels of the window, all in m/yr,
        float64; `observed_count`, pixels averaged; `row` and `col` of the pixel that holds the station. `los` is NaN
        where the pixel has no look vector, `los_std` where the table has no sigma, `observed` where the window has no
        usable pixel. What depends on pixels is lazy if `ds` is, and reads only the blocks that hold them. Attributes:
        `frame` of the stations, and how many were left out: `outside`, `without_up`, `without_velocity`.

    Raises
    ------
    SchemaError
        If the track has no two-dimensional velocity in m/yr or no look vectors, the stations lack a variable, or `up`
        is unknown.
    ReferencePointError
        If the window is not odd and positive.

    See Also
    --------
    mimtpy_cloud.ops.reference.set_reference : Puts a track into the frame of the stations.
    mimtpy_cloud.kernels.look.project_enu : The equation and its sign.

    Notes
    -----
    A pixel counts if it is finite and, where the dataset says, `valid`. The window is cut at the edges of the grid.
    Stations and track must be of one frame, up to a constant: `remove_plate_motion` and the frame of the table
    decide that. A track that spans 250 km sees the rotation of a plate as a ramp.
    """
    if up not in ("drop", "zero"):
        raise SchemaError(f"up must be 'drop' or 'zero', got {up!r}")
    require_odd_window(window)
    _require_velocity(ds)
    require_variables("the stations", stations.variables, *_COMPONENTS, "lon", "lat")
    rows, cols, inside = pixels_at(ds, stations["lon"].to_numpy(), stations["lat"].to_numpy())
    chosen, motion, counts = _choose(stations, inside, up)
    rows, cols = rows[chosen], cols[chosen]
    looks = _looks(ds, rows, cols)
    velocities, sigmas = zip(*((motion[name], motion[f"{name}_std"]) for name in _COMPONENTS), strict=True)
    los = _schedule(_project, *velocities, *looks)
    los_std = _schedule(_project_std, *sigmas, *looks)
    observed, count = mean_around(ds, "velocity", rows, cols, int(window))
    result = motion.drop_vars(motion.data_vars).assign(
        los=los.assign_attrs(units=_UNITS, long_name="line-of-sight velocity of the station, toward the satellite"),
        los_std=los_std.assign_attrs(units=_UNITS, long_name="standard deviation of los"),
        observed=observed.assign_attrs(units=_UNITS, long_name="line-of-sight velocity of the track at the station"),
        observed_count=count.assign_attrs(units="1", long_name="pixels averaged"),
        row=("station", rows, {"units": "1", "long_name": "row of the pixel that holds the station"}),
        col=("station", cols, {"units": "1", "long_name": "column of the pixel that holds the station"}),
    )
    attrs = {"frame": stations.attrs.get("frame", ""), "source": stations.attrs.get("source", ""), **counts}
    return result.assign_attrs(attrs)


def require_odd_window(window: Any) -> None:
    """
    Check the side of a window.

    Parameters
    ----------
    window : int
        Side in pixels.

    Raises
    ------
    ReferencePointError
        If it is not a whole odd positive number.
    """
    if not isinstance(window, int | float | np.integer | np.floating) or window < 1 or window % 2 != 1:
        raise ReferencePointError(f"window must be an odd number of pixels, got {window!r}")


def _require_velocity(ds: xr.Dataset) -> None:
    if "velocity" not in ds and "displacement" in ds:
        raise SchemaError("stations have velocities, the dataset a displacement; take estimate_velocity first")
    require_variables("the dataset", ds, "velocity", *LOS)
    require_dims("velocity", ds["velocity"].dims, "y", "x")
    units = ds["velocity"].attrs.get("units", _UNITS)
    if units != _UNITS:
        raise SchemaError(f"the velocity of the track must be in {_UNITS}, got {units}; convert it first")


def _choose(stations: xr.Dataset, inside: np.ndarray, up: str) -> tuple[np.ndarray, xr.Dataset, dict[str, int]]:
    """Numbers of the stations to use, these stations with complete velocities, and how many were left out why."""
    values = {name: stations[name].to_numpy() for name in _COMPONENTS}
    flat = np.isfinite(values["east"]) & np.isfinite(values["north"])
    risen = np.isfinite(values["up"]) if up == "drop" else np.ones_like(flat)
    chosen = np.flatnonzero(inside & flat & risen)
    counts = {
        "outside": int((~inside).sum()),
        "without_velocity": int((inside & ~flat).sum()),
        "without_up": int((inside & flat & ~risen).sum()),
    }
    motion = stations.isel(station=chosen)
    unknown = motion["up"].isnull()
    sigmas = {f"{n}_std": motion.get(f"{n}_std", xr.full_like(motion[n], np.nan)) for n in _COMPONENTS}
    sigmas["up_std"] = sigmas["up_std"].where(~unknown, 0.0)
    return chosen, motion.assign({"up": motion["up"].fillna(0.0), **sigmas}), counts


def _looks(ds: xr.Dataset, rows: np.ndarray, cols: np.ndarray) -> list[xr.DataArray]:
    """Look vector of one pixel a station."""
    at = {"y": xr.DataArray(rows, dims="station"), "x": xr.DataArray(cols, dims="station")}
    return [_pick(ds[name], at) for name in LOS]


def mean_around(
    ds: xr.Dataset, name: str, rows: np.ndarray, cols: np.ndarray, window: int
) -> tuple[xr.DataArray, xr.DataArray]:
    """
    Average the usable pixels around places.

    Parameters
    ----------
    ds : xr.Dataset
        Canonical dataset.
    name : str
        Two-dimensional variable.
    rows, cols : np.ndarray
        Pixels in the middle of each window.
    window : int
        Odd side in pixels.

    Returns
    -------
    mean, count : xr.DataArray
        On `station`, lazy if `ds` is: float64, NaN where nothing is usable, and the pixels averaged.

    Notes
    -----
    A pixel counts if it is finite and, where the dataset says, `valid`. The window is cut at the edges of the grid.
    """
    half = window // 2
    steps = np.arange(-half, half + 1)
    row = xr.DataArray(rows, dims="station") + xr.DataArray(steps, dims="window_y")
    col = xr.DataArray(cols, dims="station") + xr.DataArray(steps, dims="window_x")
    ny, nx = ds.sizes["y"], ds.sizes["x"]
    usable = (row >= 0) & (row < ny) & (col >= 0) & (col < nx)
    at = {"y": row.clip(0, ny - 1), "x": col.clip(0, nx - 1)}
    values = _pick(ds[name], at)
    if "valid" in ds:
        usable = usable & (_pick(ds["valid"], at) > 0)
    core = ["window_y", "window_x"]
    found: tuple[xr.DataArray, xr.DataArray] = xr.apply_ufunc(
        tie.mean_usable,
        values,
        usable,
        input_core_dims=[core, core],
        output_core_dims=[[], []],
        dask="parallelized",
        output_dtypes=[np.float64, np.int32],
    )
    return found


def _schedule(function: Any, *arrays: xr.DataArray) -> xr.DataArray:
    plain = (array.reset_coords(drop=True) for array in arrays)
    result: xr.DataArray = xr.apply_ufunc(function, *plain, dask="parallelized", output_dtypes=[np.float64])
    return result


def _project(east: Any, north: Any, up: Any, *looks: Any) -> Any:
    return look.project_enu(east, north, up, (looks[0], looks[1], looks[2]))


def _project_std(east: Any, north: Any, up: Any, *looks: Any) -> Any:
    return look.project_enu_std(east, north, up, (looks[0], looks[1], looks[2]))


def _pick(da: xr.DataArray, at: dict[str, xr.DataArray]) -> xr.DataArray:
    """Pixels of an array by row and column, in one chunk and without the coordinates of the grid."""
    picked = da.isel(at).reset_coords(drop=True)
    return picked if picked.chunks is None else picked.chunk(-1)
