"""Small canonical datasets whose truth is known, for every test module."""

from typing import Any

import numpy as np
import xarray as xr

from mimtpy_cloud.plan.grid import Window
from mimtpy_cloud.schema import SPATIAL_REF, VARIABLES

DATES = np.array(["2020-01-01", "2020-01-13", "2020-01-25", "2020-02-06", "2021-01-31"], "datetime64[ns]")
_WGS84 = (
    'GEOGCS["WGS 84",DATUM["WGS_1984",SPHEROID["WGS 84",6378137,298.257223563]],PRIMEM["Greenwich",0],'
    'UNIT["degree",0.0174532925199433],AXIS["Latitude",NORTH],AXIS["Longitude",EAST],AUTHORITY["EPSG","4326"]]'
)


def small_window(ny: int = 5, nx: int = 7, n: int = 125, west: float = -119.0, north: float = 37.0) -> Window:
    """Lattice window whose north-west corner is near (west, north)."""
    return Window(n, round((90 - north) * n), round((west + 180) * n), ny, nx)


def look_vector(incidence_angle: Any, los_azimuth_angle: Any) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """East, north, up of the unit vector ground to satellite; azimuth anticlockwise from north; degrees."""
    i, a = np.deg2rad(incidence_angle), np.deg2rad(los_azimuth_angle)
    return -np.sin(i) * np.sin(a), np.sin(i) * np.cos(a), np.cos(i) * np.ones_like(a)


def lattice_dataset(
    window: Window,
    dates: Any = None,
    velocity: Any = None,
    displacement: Any = None,
    incidence_angle: Any = 39.0,
    los_azimuth_angle: Any = 102.0,
    **attrs: Any,
) -> xr.Dataset:
    """
    Make a canonical dataset (numpy inside; call ``.chunk`` for dask) on a lattice window.

    `velocity` (m/yr) and `displacement` (m) broadcast to the window. A `displacement`, or `dates` with a
    `velocity` (then displacement = velocity * years since the first date), gives a time series; a `velocity`
    without dates gives a velocity product with velocity_std 0.001. ``valid`` is where every value is finite.
    """
    shape = window.shape
    data: dict[str, np.ndarray] = {}
    coords: dict[str, Any] = {}
    meta: dict[str, Any] = {
        "sensor": "Sentinel",
        "track": "A064",
        "product": "0113_0119",
        "project": "SynthSenAT064",
        "orbit_direction": "ascending",
        "look_side": "right",
        "heading": -12.0,
        "wavelength": 0.05546576,
        "reference_point": [float(window.x[0]), float(window.y[0])],
        "reference_date": "2020-01-01",
        "source": {"url": "memory://synthetic.he5", "size": 0},
        "mintpy": {},
        "resolution": "veryLowRes",
        "pixels_per_degree": window.n,
    }
    if displacement is not None or dates is not None:
        time = DATES if dates is None else np.array(dates, "datetime64[D]").astype("datetime64[ns]")
        if displacement is None:
            years = (time - time[0]) / np.timedelta64(1, "D") / 365.25
            rate = np.broadcast_to(np.asarray(0.0 if velocity is None else velocity, float), shape)
            displacement = years[:, None, None] * rate
        data["displacement"] = np.broadcast_to(displacement, (time.size, *shape))
        coords["time"] = ("time", time)
        meta["reference_date"] = str(time[0].astype("datetime64[D]"))
        finite = np.isfinite(data["displacement"]).all(axis=0)
    else:
        data["velocity"] = np.broadcast_to(np.asarray(0.0 if velocity is None else velocity, float), shape)
        data["velocity_std"] = np.full(shape, 0.001)
        meta |= {"start_date": "2020-01-01", "end_date": "2021-01-31"}
        finite = np.isfinite(data["velocity"])
    data["valid"] = finite
    data["temporal_coherence"] = np.full(shape, 0.9)
    data["height"] = np.full(shape, 1000.0)
    look = look_vector(incidence_angle, los_azimuth_angle)
    for name, part in zip(("los_east", "los_north", "los_up"), look, strict=True):
        data[name] = np.broadcast_to(part, shape)
    arrays = {
        name: (VARIABLES[name].dims, np.array(values, dtype=VARIABLES[name].dtype), VARIABLES[name].attrs)
        for name, values in data.items()
    }
    coords |= {
        "y": ("y", window.y, {"units": "degrees_north", "standard_name": "latitude"}),
        "x": ("x", window.x, {"units": "degrees_east", "standard_name": "longitude"}),
        SPATIAL_REF: ((), 0, {"crs_wkt": _WGS84, "grid_mapping_name": "latitude_longitude"}),
    }
    return xr.Dataset(arrays, coords, {**meta, **attrs})
