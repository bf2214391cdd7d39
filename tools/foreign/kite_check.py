"""Let Kite itself read a scene that we wrote, and compare what it found.

Run by our Python, which writes the scene; the same file is then run by Kite's Python with ``--read FOLDER``.
``KITE_PYTHON`` names an interpreter that has Kite; else one is made in ``build/foreign/kite``, which needs Python 3.11.
"""

import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np

#: Kite 1.5.8 is built from source, against these.
NEEDS = ("setuptools<81", "wheel", "setuptools_scm<9", "numpy==1.26.4", "scipy==1.13.1", "matplotlib==3.8.4")
KITE = ("pyrocko==2026.6.2", "kite==1.5.8")


def find_kite() -> str:
    """Give the path of a Python that has Kite; make it if there is none."""
    if given := os.environ.get("KITE_PYTHON"):
        return given
    folder = Path("build/foreign/kite")
    python = folder / "bin/python"
    if not (folder / "ready").exists():
        candidates = [shutil.which("python3.11"), *Path.home().glob(".pyenv/versions/3.11.*/bin/python3.11")]
        found = next((str(path) for path in candidates if path), None)
        if found is None:
            raise SystemExit("Kite 1.5.8 needs Python 3.11; install it, or name one that has Kite: KITE_PYTHON=...")
        subprocess.run([found, "-m", "venv", "--clear", folder], check=True)
        pip = [str(python), "-m", "pip", "install", "-qq", "--disable-pip-version-check"]
        subprocess.run([*pip, *NEEDS], check=True)
        subprocess.run([*pip, "--no-build-isolation", *KITE], check=True)
        (folder / "ready").touch()
    return str(python)


def write(folder: Path) -> None:
    """Write scenes with our code, and their truth beside them."""
    from losscene import los_scene

    from mimtpy_cloud.exports.kite import write_kite
    from mimtpy_cloud.schema import LOS

    for kind in ("displacement", "velocity"):
        ds = los_scene(kind, shape=(60, 80))
        write_kite(ds, str(folder / kind))
        names = (kind, *LOS)
        np.savez(folder / f"{kind}-truth.npz", *(ds[name].values for name in names), ds["y"].values, ds["x"].values)


def read(folder: Path) -> None:
    """Read them with Kite."""
    from kite import Scene

    for kind in ("displacement", "velocity"):
        scene = Scene.load(str(folder / f"{kind}.yml"))
        with np.load(folder / f"{kind}-truth.npz") as truth:
            value, east, north, up, y, x = (truth[f"arr_{i}"] for i in range(6))
        np.testing.assert_array_equal(scene.displacement, value[::-1])
        np.testing.assert_allclose(scene.los_rotation_factors[::-1], np.stack([up, east, north], -1), atol=1e-6)
        frame = scene.frame
        half = frame.dN / 2
        np.testing.assert_allclose(frame.llLat + half + frame.dN * np.arange(frame.rows), y[::-1], atol=1e-9)
        np.testing.assert_allclose(frame.llLon + half + frame.dE * np.arange(frame.cols), x, atol=1e-9)
        assert scene.meta.orbital_node == "Descending"
        assert abs(scene.meta.time_separation.days - 180) <= 1
        leaves = scene.quadtree.nleaves
        print(f"Kite reads our {kind}: {frame.rows} x {frame.cols} pixels, {leaves} leaves, look and places as written")


def main() -> None:
    """Write, and let Kite read."""
    if sys.argv[1:2] == ["--read"]:
        read(Path(sys.argv[2]))
        return
    python = find_kite()
    with tempfile.TemporaryDirectory() as folder:
        write(Path(folder))
        environment = {key: value for key, value in os.environ.items() if key != "PYTHONPATH"}
        subprocess.run([python, __file__, "--read", folder], check=True, env=environment | {"MPLBACKEND": "Agg"})


if __name__ == "__main__":
    main()
