"""A small product along the line of sight, with everything that exports to modelling codes need."""

from typing import Any

import numpy as np
import xarray as xr
from pyproj import CRS

from mimtpy_cloud.kernels.look import los_unit_vector
from mimtpy_cloud.plan.grid import Grid

WAVELENGTH = 0.05546576


def los_scene(
    kind: str = "displacement", *, shape: tuple[int, int] = (6, 8), crs: str = "EPSG:4326", **attrs: Any
) -> xr.Dataset:
    """Displacement or velocity of a descending track on the grid of O35, one pixel without data; look 39, -102."""
    rng = np.random.default_rng(5)
    ny, nx = shape
    step = 0.01 if crs == "EPSG:4326" else 90.0
    grid = Grid(100, 40, step, step, nx, ny, crs)
    values = rng.normal(0, 0.01, shape).astype("float32")
    values[1, nx // 4] = np.nan
    values[0, 0] = 0.014
    incidence = np.float32(39) + np.linspace(0, 2, nx, dtype="float32") + np.zeros(shape, "float32")
    look = los_unit_vector(incidence, np.full(shape, -102, "float32"))
    look = tuple(np.array(component) for component in look)
    unit = {"displacement": "m", "velocity": "m/yr"}[kind]
    data = {
        kind: values,
        **dict(zip(("los_east", "los_north", "los_up"), look, strict=True)),
        "temporal_coherence": rng.random(shape).astype("float32"),
        "height": np.linspace(-3, 500, ny * nx, dtype="float32").reshape(shape),
    }
    coords = {"y": grid.y, "x": grid.x, "spatial_ref": ((), 0, {"crs_wkt": CRS.from_user_input(crs).to_wkt()})}
    ds = xr.Dataset({name: (("y", "x"), array) for name, array in data.items()}, coords)
    ds[kind].attrs = {"units": unit, "long_name": f"line-of-sight {kind}"}
    return ds.assign_attrs(
        {
            "track": "D071",
            "sensor": "Sentinel",
            "orbit_direction": "descending",
            "heading": -168.0,
            "wavelength": WAVELENGTH,
            "start_date": "2020-01-05",
            "end_date": "2020-07-03",
            "reference_point": (100.025, 39.975),
            "reference_date": "2020-01-05",
            "mintpy": {
                "CENTER_LINE_UTC": "50100.0",
                "RLOOKS": "19",
                "ALOOKS": "7",
                "WIDTH": "99",
                "lower": "no",
                "SUBSET_XMAX": "9",
            },
        }
        | attrs
    )


def los_points(kind: str = "displacement", n: int = 5) -> xr.Dataset:
    """Leaves of a quadtree: two pixels wide and high, in a row from the west, 0.02 degrees each."""
    x = 100 + 0.02 * np.arange(n)
    east, north, up = los_unit_vector(np.linspace(30, 40, n), np.full(n, 102.0))
    columns = {
        kind: np.linspace(-0.02, 0.02, n),
        "std": np.full(n, 0.001),
        "count": np.full(n, 4),
        "size": np.full(n, 2),
        "los_east": east,
        "los_north": north,
        "los_up": up,
        "west": x,
        "south": np.full(n, 39.98),
        "east": x + 0.02,
        "north": np.full(n, 40.0),
    }
    ds = xr.Dataset({name: ("leaf", values) for name, values in columns.items()})
    ds[kind].attrs["units"] = {"displacement": "m", "velocity": "m/yr"}[kind]
    return ds.assign_coords(lon=("leaf", x + 0.01), lat=("leaf", np.full(n, 39.99))).assign_attrs(wavelength=WAVELENGTH)
