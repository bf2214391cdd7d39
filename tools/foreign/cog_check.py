"""Let rio-cogeo validate the Cloud Optimized GeoTIFFs that we write: run by ``make foreign-check``."""

import os
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np

from mimtpy_cloud.exports.geotiff import write_cog
from mimtpy_cloud.ops.simulate import simulate_scene
from mimtpy_cloud.plan.grid import Window

ENVIRONMENT = Path(os.environ.get("COGEO_ENV", "build/foreign/cogeo")).absolute()


def main() -> None:
    """Install, write a map with overviews and a small mask, validate."""
    rio = ENVIRONMENT / "bin" / "rio"
    if not rio.exists():
        subprocess.run([sys.executable, "-m", "venv", str(ENVIRONMENT)], check=True)
        subprocess.run([str(ENVIRONMENT / "bin" / "pip"), "install", "-q", "rio-cogeo>=5"], check=True)
    window = Window.covering(1250, (36.0, 37.2, 37.0, 38.0))
    dates = np.array(["2019-01-04", "2019-03-05"], "datetime64[D]")
    ds = simulate_scene(window, dates=dates, chunks=(2, 500))
    environment = {key: value for key, value in os.environ.items() if key != "PYTHONPATH"}
    with tempfile.TemporaryDirectory() as place:
        for name, da in (("displacement", ds["displacement"].isel(time=1)), ("valid", ds["valid"])):
            path = f"{place}/{name}.tif"
            write_cog(da, path, unit="cm" if name == "displacement" else None)
            subprocess.run([str(rio), "cogeo", "validate", "--strict", path], check=True, env=environment)


if __name__ == "__main__":
    main()
