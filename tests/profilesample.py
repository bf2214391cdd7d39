"""Profiles across a fault whose truth is known, with the names that profile_across_fault gives."""

import numpy as np
import xarray as xr

from mimtpy_cloud.kernels.screwfit import ScrewModel, profile_covariance, screw_velocity

RATE, DEPTH, OFFSET = 0.020, 14e3, 0.003
LONG = {"fault_parallel": "velocity along the fault", "up": "vertical velocity", "height": "height"}


def sample_profiles(
    count=4, *, reach_km=75.0, step_km=1.5, noise=0.0, range_km=10.0, model=None, rates=(RATE,), depths=(DEPTH,), seed=0
):
    """Right-lateral profiles from west to east along a fault that strikes 85 degrees; distance to the south."""
    random = np.random.default_rng(seed)
    x = np.arange(-reach_km, reach_km + 0.1, step_km)
    model = model or ScrewModel("screw")
    curve = screw_velocity(-1e3 * x, model, np.array(rates), np.array(depths), OFFSET)
    lower = np.linalg.cholesky(profile_covariance(1e3 * x, np.full(x.size, 1.0), 1e3 * range_km))
    rows = {"fault_parallel": curve + noise * (lower @ random.normal(size=(x.size, count))).T}
    rows |= {"fault_normal": 0 * rows["fault_parallel"] + 0.001, "up": -0.002 + 0.001 * np.cos(x / 9) + 0 * curve}
    rows |= {"height": 900 + 500 * np.sin(x / 13) + 20 * x / step_km * 0.1, "temporal_coherence": 0.8 + 0 * x}
    data = {}
    for name, values in rows.items():
        units = {"height": "m", "temporal_coherence": "1"}.get(name, "m/yr")
        attrs, dims = {"units": units, "long_name": LONG.get(name, name.replace("_", " "))}, ("profile", "distance")
        mean, std = np.broadcast_to(values, (count, x.size)), max(noise, 5e-4) * (300e3 if units == "m" else 1)
        data |= {f"{name}{end}": (dims, mean.copy(), attrs) for end in ("", "_median")}
        data |= {f"{name}_std": (dims, np.full(mean.shape, 2 * std), attrs)}
        edges = np.stack([mean - 2 * std, mean + 2 * std])
        data |= {f"{name}_quantile": (("quantile", *dims), edges, attrs)}
        data |= {f"{name}_{n}": (dims, np.full(mean.shape, 4.0), {"units": "1"}) for n in ("count", "effective_count")}
    return xr.Dataset(data, _coords(count, x), _attrs(reach_km, step_km)).assign(_points(count, curve, x))


def _coords(count, x):
    along = 10.0 + 20.0 * np.arange(count)
    lon, lat = 32.0 + along / 85, 40.8 + along / 1000
    aside = np.deg2rad(175.0)
    return {
        "distance_km": ("distance", x, {"units": "km"}),
        "quantile": [0.16, 0.84],
        "along_km": ("profile", along, {"units": "km"}),
        "strike": ("profile", np.full(count, 85.0), {"units": "degree"}),
        "fault_lon": ("profile", lon, {"units": "degrees_east"}),
        "fault_lat": ("profile", lat, {"units": "degrees_north"}),
        "lon": (("profile", "distance"), lon[:, None] + x * np.sin(aside) / 85),
        "lat": (("profile", "distance"), lat[:, None] + x * np.cos(aside) / 111),
    }


def _points(count, curve, x):
    """A station on each side of each profile, and another fault at -30 km."""
    station, at = np.repeat(np.arange(count), 2), np.tile([-40.0, 25.0], count)
    velocity = {"units": "m/yr"}
    return {
        "station_name": ("station", [f"S{k:03d}" for k in range(2 * count)]),
        "station_lon": ("station", 32.0 + station / 4),
        "station_lat": ("station", np.where(at < 0, 41.2, 40.6)),
        "station_profile": ("station", station),
        "station_distance_km": ("station", at),
        "station_offset_km": ("station", np.zeros(2 * count)),
        "station_fault_parallel": ("station", np.interp(at, x, curve) + 0.001, velocity),
        "station_fault_parallel_std": ("station", np.full(2 * count, 0.0012), velocity),
        "crossing_profile": ("crossing", np.arange(count)),
        "crossing_distance_km": ("crossing", np.full(count, -30.0)),
        "crossing_angle": ("crossing", np.full(count, 80.0)),
    }


def _attrs(reach_km, step_km):
    return {
        "length_km": (reach_km, reach_km),
        "spacing_km": 20.0,
        "width_km": 20.0,
        "step_km": step_km,
        "flip": False,
        "correlation_km": 10.0,
    }
