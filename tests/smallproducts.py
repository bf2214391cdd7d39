"""A small velocity product and a table of stations on it, as files, for tests of commands."""

from pathlib import Path

import numpy as np
import xarray as xr
from synthetic import lattice_dataset, small_window

from mimtpy_cloud.cli.products import write_store

WINDOW = small_window(8, 10, west=33.0, north=40.0)
RATES = np.random.default_rng(0).normal(0, 0.01, WINDOW.shape)


def track(**options: object) -> xr.Dataset:
    """Velocity of A064, in small chunks."""
    return lattice_dataset(WINDOW, velocity=RATES, **options).chunk(y=3, x=4)


def write_velocity(folder: Path) -> Path:
    """Write the track as a product."""
    url = folder / "velocity.zarr"
    write_store(track(), str(url), provenance={"step": "velocity", "revisions": ["r1"]})
    return url


def write_stations(folder: Path) -> Path:
    """Write six stations on the track, in mm/yr without saying so, and one far away."""
    rows = [f"S{k},{WINDOW.x[k]},{WINDOW.y[k % 8]},{k},{-k},1,1,1,1" for k in range(6)]
    path = folder / "stations_IGS14.csv"
    path.write_text("\n".join(["station,lon,lat,ve,vn,vu,se,sn,su", *rows, "FAR,0,0,1,1,1,1,1,1"]))
    return path
