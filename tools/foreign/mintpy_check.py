"""
Let MintPy itself read what we write, and read what MintPy writes: run by ``make foreign-check``.

MintPy is installed into an environment of its own (GPL, never imported here); its programs run as a user runs them.
"""

import os
import subprocess
import sys
import tempfile
from pathlib import Path

import h5py
import numpy as np

from mimtpy_cloud.exports.hdfeos5 import hdfeos5_name, write_hdfeos5
from mimtpy_cloud.exports.mintpy import write_mintpy
from mimtpy_cloud.exports.units import in_unit
from mimtpy_cloud.io.roipac import open_roipac
from mimtpy_cloud.ops.rate import displacement_between, estimate_velocity
from mimtpy_cloud.ops.simulate import simulate_scene
from mimtpy_cloud.plan.grid import Window

VERSION = "1.6.4"
ENVIRONMENT = Path(os.environ.get("MINTPY_ENV", "build/foreign/mintpy")).absolute()


def install() -> None:
    """Make the environment, unless it is there."""
    if (ENVIRONMENT / "bin" / "info.py").exists():
        return
    subprocess.run([sys.executable, "-m", "venv", str(ENVIRONMENT)], check=True)
    pip = [str(ENVIRONMENT / "bin" / "pip"), "install", "-q", f"mintpy=={VERSION}"]
    subprocess.run(pip, check=True)


def run(folder: Path, program: str, *args: str) -> str:
    """Run a program of MintPy, which must end well, and return what it says."""
    environment = {key: value for key, value in os.environ.items() if key != "PYTHONPATH"} | {"MPLBACKEND": "agg"}
    command = [str(ENVIRONMENT / "bin" / program), *args]
    done = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, check=False)
    if done.returncode:
        sys.exit(f"{program} {' '.join(args)} failed:\n{done.stdout}\n{done.stderr}")
    return done.stdout


def closeness(name: str, ours: np.ndarray, theirs: np.ndarray, tolerance: float) -> None:
    """Print the largest difference where both have data, and end if it is too large."""
    both = np.isfinite(ours) & np.isfinite(theirs)
    largest = float(np.abs(ours - theirs)[both].max())
    print(f"  {name}: {both.sum()} pixels, largest difference {largest:.2e} (allowed {tolerance:.0e})")
    if not largest <= tolerance or both.sum() < both.size // 2:
        sys.exit(f"{name} differs from MintPy")


def check(folder: Path) -> None:
    """Write, run, compare."""
    dates = np.arange("2019-01-04", "2020-06-01", 24, "datetime64[D]")
    ds = simulate_scene(Window.covering(125, (36.0, 37.2, 36.6, 37.6)), dates=dates, reference_date=dates[3]).load()
    write_mintpy(ds, folder)
    told = run(folder, "info.py", "timeseries.h5")
    assert f"Number of dates  : {dates.size}" in told, told
    run(folder, "timeseries2velocity.py", "timeseries.h5", "-o", "theirs.h5")
    ours = estimate_velocity(ds, time_convention="mintpy")
    with h5py.File(folder / "theirs.h5") as file:
        closeness(
            "velocity of MintPy from our timeseries.h5, m/yr", ours["velocity"].values, file["velocity"][()], 1e-7
        )
        closeness("its standard deviation", ours["velocity_std"].values, file["velocityStd"][()], 1e-7)
    write_mintpy(ours, folder)
    for name, dataset in (("velocity", "velocity"), ("geometryGeo", "incidenceAngle"), ("maskTempCoh", "mask")):
        run(folder, "view.py", f"{name}.h5", dataset, "--nodisplay", "--save", "-o", f"{name}.png", "--dpi", "50")
        assert (folder / f"{name}.png").stat().st_size > 1000
    he5 = hdfeos5_name(ds)
    write_hdfeos5(ds, folder / he5)
    run(folder, "timeseries2velocity.py", he5, "-o", "from_he5.h5")
    with h5py.File(folder / "from_he5.h5") as file:
        closeness("velocity of MintPy from our .he5", ours["velocity"].values, file["velocity"][()], 1e-7)
    first, last = (str(dates[k]).replace("-", "") for k in (1, -2))
    run(folder, "save_roipac.py", "timeseries.h5", f"{first}_{last}", "-o", "change.unw")
    change = displacement_between(ds, first, last)
    read = open_roipac(folder / "change.unw")["displacement"].values
    closeness("displacement that we read from MintPy's .unw, m", change["displacement"].values, read, 1e-8)
    phase = in_unit(change["displacement"].assign_attrs(wavelength=ds.attrs["wavelength"]), "rad")
    raw = np.fromfile(folder / "change.unw", "<f4").reshape(change.sizes["y"], 2, -1)[:, 1]
    closeness("phase of MintPy and ours, rad", phase.values, raw, 1e-5)


if __name__ == "__main__":
    install()
    print(f"MintPy {VERSION}:")
    with tempfile.TemporaryDirectory() as place:
        check(Path(place))
    print("  info.py, view.py, timeseries2velocity.py and save_roipac.py accept our files")
