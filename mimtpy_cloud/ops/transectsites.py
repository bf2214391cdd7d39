"""What else lies on profiles across a fault: stations, and where other faults cross."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import xarray as xr

from mimtpy_cloud.kernels.look import project_enu_std
from mimtpy_cloud.kernels.swath import line_crossings, rotate_to_strike
from mimtpy_cloud.ops.stations import project_stations
from mimtpy_cloud.ops.swaths import Layout
from mimtpy_cloud.plan.transects import Swath, clean_trace, dense_line, may_cross, plane_of_swath
from mimtpy_cloud.schema import LOS, require_variables

__all__ = ["crossings_of_swaths", "stations_in_swaths"]

_COMPONENTS = ("east", "north", "up")
_UNITS = "m/yr"
_WORDS = {
    "fault_parallel": "velocity of the station along the fault, positive in the direction of strike",
    "fault_normal": "velocity of the station across the fault, positive 90 degrees clockwise of strike",
}


def stations_in_swaths(ds: xr.Dataset, stations: xr.Dataset, layout: Layout) -> xr.Dataset:
    """
    Project stations into swaths.

    Parameters
    ----------
    ds : xr.Dataset
        Product; with `velocity` and look vectors, stations are projected into the line of sight, too.
    stations : xr.Dataset
        As `mimtpy_cloud.io.gnss.read_stations` gives it.
    layout : Layout
        Swaths.

    Returns
    -------
    xr.Dataset
        On `station`, each station once for every swath that holds it: `station_name`, `station_lon`, `station_lat`,
        `station_profile` (number of the swath), `station_distance_km` and `station_offset_km` (along the fault);
        `station_NAME` and `station_NAME_std` in m/yr of `east`, `north`, `up`, `fault_parallel`, `fault_normal`, and
        lazily of `velocity`. NaN where the table has no value.

    Raises
    ------
    SchemaError
        If the stations lack coordinates or components.

    See Also
    --------
    mimtpy_cloud.ops.stations.project_stations : The line of sight.
    """
    require_variables("the stations", stations.variables, *_COMPONENTS, "lon", "lat")
    lon, lat = (stations[name].to_numpy() for name in ("lon", "lat"))
    rows = [_inside(lon, lat, k, swath, layout) for k, swath in enumerate(layout.swaths)]
    which, profile, distance, offset = (np.concatenate(parts) for parts in zip(*rows, strict=True))
    strike = np.array([swath.strike for swath in layout.swaths])[profile]
    names = stations["station"].to_numpy().astype(str)
    found = {
        "name": (names[which], {"long_name": "name of the station"}),
        "lon": (lon[which], {"units": "degrees_east"}),
        "lat": (lat[which], {"units": "degrees_north"}),
        "profile": (profile, {"units": "1", "long_name": "number of the profile whose swath holds the station"}),
        "distance_km": (distance, {"units": "km", "long_name": "distance from the fault"}),
        "offset_km": (offset, {"units": "km", "long_name": "distance from the profile, in the direction of strike"}),
        **_motions(stations, which, strike),
    }
    result = xr.Dataset({f"station_{name}": ("station", *value) for name, value in found.items()})
    return result.assign(_line_of_sight(ds, stations, which))


def _inside(
    lon: np.ndarray, lat: np.ndarray, k: int, swath: Swath, layout: Layout
) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Stations of a swath: their numbers, that of the swath, and where they lie in it."""
    across, along = rotate_to_strike(*plane_of_swath(lon, lat, swath), swath.strike)
    across = across * swath.side
    held = (across >= layout.edges[0]) & (across <= layout.edges[-1]) & (np.abs(along) <= layout.width_km / 2)
    which = np.flatnonzero(held)
    return which, np.full(which.size, k), across[which], along[which]


def _motions(stations: xr.Dataset, which: np.ndarray, strike: np.ndarray) -> dict[str, Any]:
    """Components of the stations, and those along and across the fault, with standard deviations."""
    unknown = xr.full_like(stations["east"], np.nan)
    value = {name: stations[name].to_numpy()[which] for name in _COMPONENTS}
    sigma = {name: stations.get(f"{name}_std", unknown).to_numpy()[which] for name in _COMPONENTS}
    s, zero = np.radians(strike), np.zeros(strike.size)
    along, across = (np.sin(s), np.cos(s), zero), (np.cos(s), -np.sin(s), zero)
    for name, (east, north, _) in (("fault_parallel", along), ("fault_normal", across)):
        value[name] = value["east"] * east + value["north"] * north
        sigma[name] = project_enu_std(sigma["east"], sigma["north"], zero, (east, north, zero))
    found: dict[str, Any] = {}
    for name, values in value.items():
        words = _WORDS.get(name, f"{name} velocity of the station")
        found[name] = values, {"units": _UNITS, "long_name": words}
        found[f"{name}_std"] = sigma[name], {"units": _UNITS, "long_name": f"standard deviation of the {words}"}
    return found


def _line_of_sight(ds: xr.Dataset, stations: xr.Dataset, which: np.ndarray) -> dict[str, xr.DataArray]:
    """Velocities toward the satellite, where the dataset has a velocity and looks."""
    flat = all(name in ds and ds[name].dims == ("y", "x") for name in ("velocity", *LOS))
    if not flat or ds["velocity"].attrs.get("units", _UNITS) != _UNITS:
        return {}
    # by number: two stations may have one name
    projected = project_stations(ds, stations.assign_coords(station=np.arange(stations.sizes["station"])))
    at = {int(number): k for k, number in enumerate(projected["station"].to_numpy())}
    known = np.array([number in at for number in which.tolist()], bool)
    place = xr.DataArray([at.get(number, 0) for number in which.tolist()], dims="station")
    found = {}
    for ours, theirs in (("velocity", "los"), ("velocity_std", "los_std")):
        values = projected[theirs].reset_coords(drop=True).drop_vars("station", errors="ignore")
        taken = values.isel(station=place) if at else xr.full_like(place, np.nan, float)
        found[f"station_{ours}"] = taken.where(known).assign_attrs(projected[theirs].attrs)
    return found


def crossings_of_swaths(faults: Sequence[Any], layout: Layout) -> xr.Dataset:
    """
    Find where other faults cross profiles.

    Parameters
    ----------
    faults : sequence of array-like
        Longitudes and latitudes of each in degrees, shape ``(n, 2)``.
    layout : Layout
        Swaths, whose middle lines are the profiles.

    Returns
    -------
    xr.Dataset
        On `crossing`, by profile and distance: `crossing_profile` and `crossing_fault` (numbers),
        `crossing_distance_km`, and `crossing_angle`, from the profile to the fault in degrees, anticlockwise positive,
        above -90 and at most 90.

    Raises
    ------
    SchemaError
        If a fault has no two different vertices.

    See Also
    --------
    mimtpy_cloud.kernels.swath.line_crossings : Lines in a plane.
    """
    found = []
    for n, line in enumerate(map(clean_trace, faults)):
        near = np.flatnonzero(may_cross(line, layout.swaths, float(np.abs(layout.edges).max())))
        dense = dense_line(line) if near.size else line
        found += [(k, at, n, angle) for k in near for at, angle in _crossings(dense, layout.swaths[k], layout.edges)]
    profile, distance, fault, angle = zip(*sorted(found), strict=True) if found else ((), (), (), ())
    table = {
        "profile": (np.array(profile, np.int64), "1", "number of the profile"),
        "fault": (np.array(fault, np.int64), "1", "number of the fault"),
        "distance_km": (np.array(distance, np.float64), "km", "distance from the fault of the trace"),
        "angle": (np.array(angle, np.float64), "degrees", "angle from the profile to the fault, anticlockwise"),
    }
    return xr.Dataset(
        {
            f"crossing_{name}": ("crossing", values, {"units": units, "long_name": words})
            for name, (values, units, words) in table.items()
        }
    )


def _crossings(line: np.ndarray, swath: Swath, edges: np.ndarray) -> list[tuple[float, float]]:
    """Distance and angle of each crossing of a profile by a line."""
    plane = np.column_stack(plane_of_swath(line[:, 0], line[:, 1], swath))
    toward = np.radians(swath.strike + 90.0 * swath.side)
    ends = np.outer([edges[0], edges[-1]], [np.sin(toward), np.cos(toward)])
    _, distance, angle = line_crossings(ends, plane)
    return [(float(d + edges[0]), float(a)) for d, a in zip(distance, angle, strict=True)]
