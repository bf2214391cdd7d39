"""A search of 2000 models on two worker processes, to be killed and started again: ``python searchjob.py FOLDER``."""

import os
import sys
import time
from pathlib import Path

import numpy as np
import xarray as xr

import mimtpy_cloud as mc
from mimtpy_cloud.search import run_search

#: 40 x 50 models, and seconds that each takes.
PARAMETERS = {"depth": np.linspace(1e3, 9e3, 40), "volume": np.linspace(1e6, 9e6, 50)}
PAUSE = 0.004


def slow_model(places, *, depth, volume):
    """A point source that takes its time."""
    time.sleep(PAUSE)
    east, north = places.metres_from(30.2, 0.9)
    return 0.75 / np.pi * volume * depth / (east**2 + north**2 + depth**2) ** 1.5


def build(checkpoint=None):
    """Describe the search."""
    x, y = np.linspace(30, 30.4, 60), np.linspace(1.0, 0.7, 50)
    noise = 1e-3 * np.random.default_rng(0).standard_normal((50, 60))
    observed = xr.DataArray(noise + 0.01 * (x - 30), {"y": y, "x": x}, ("y", "x"), name="displacement")
    return mc.search_grid(
        observed, slow_model, "misfit", parameters=PARAMETERS, ramp="linear", covariance=1e-6, checkpoint=checkpoint
    )


def main(folder):
    """Run it on a cluster, tell the process ids, and write the result."""
    with mc.connect("local", workers=2) as connection:
        pids = connection.client.run(os.getpid)
        Path(folder, "pids").write_text(" ".join(map(str, pids.values())))
        result = run_search(build(f"{folder}/checkpoint.zarr"), lambda *_: None)
        np.savez(Path(folder, "done.tmp.npz"), misfit=result["misfit"], ramp=result["ramp_coefficient"])
        Path(folder, "done.tmp.npz").rename(Path(folder, "done.npz"))


if __name__ == "__main__":
    import searchjob  # so that the workers import the model by its name

    searchjob.main(sys.argv[1])
