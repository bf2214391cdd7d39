"""The input of the benchmarks: one large time series in MintPy's format, made once and kept.

Everything lies in ``$MIMTPY_BENCH_DATA``, or in ``benchmarks/data`` (ignored by git).
"""

import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from benchmarks.measure import REPOSITORY

if TYPE_CHECKING:
    import numpy as np
    import xarray as xr

    from mimtpy_cloud.plan.grid import Window

#: Dates, rows and columns; 0.0008 degrees a pixel, on the lattice.
FULL, SMALL = (60, 3000, 4000), (20, 1000, 1200)
GAPS = 1e-3
#: Its sdist of pyrocko's authors, and what it needs; newer numpy and setuptools do not build it.
_KITE = "kite==1.5.8"
_OF_KITE = ("numpy==1.26.4", "scipy<1.14", "matplotlib<3.9", "pyrocko", "h5py", "pyproj", "utm", "pyyaml", "requests")
_DISPLACEMENT = "HDFEOS/GRIDS/timeseries/observation/displacement"


def folder() -> Path:
    """Where data, stores and results of the benchmarks lie."""
    return Path(os.environ.get("MIMTPY_BENCH_DATA", REPOSITORY / "benchmarks" / "data")).absolute()


def results(*, small: bool) -> Path:
    """Where tables and samples go; a quick look does not replace a verdict."""
    return folder() / ("results_small" if small else "results")


def mintpy_python() -> Path:
    """Interpreter of MintPy's own environment; the first call installs it (a few minutes)."""
    environment = folder() / "mintpy_env"
    python = environment / "bin" / "python"
    if not (environment / "installed").exists():
        print(f"installing MintPy into {environment} ...", flush=True)
        wanted = os.environ.get("MIMTPY_MINTPY_PYTHON") or next(
            filter(_works, ("python3.11", "python3.12")), sys.executable
        )
        subprocess.run([wanted, "-m", "venv", "--clear", environment], check=True)
        subprocess.run([python, "-m", "pip", "install", "--quiet", "mintpy"], check=True)
        (environment / "installed").touch()
    return python


def kite_python() -> Path:
    """Interpreter of an environment with Kite: $MIMTPY_KITE_PYTHON, or one that the first call makes (minutes)."""
    if given := os.environ.get("MIMTPY_KITE_PYTHON"):
        return Path(given)
    environment = folder() / "kite_env"
    python = environment / "bin" / "python"
    if not (environment / "installed").exists():
        print(f"installing Kite into {environment} ...", flush=True)
        if not _works("python3.11"):
            raise RuntimeError("Kite needs Python 3.11 as python3.11; or set MIMTPY_KITE_PYTHON to one that has Kite")
        subprocess.run(["python3.11", "-m", "venv", "--clear", environment], check=True)
        pip = [python, "-m", "pip", "install", "--quiet"]
        subprocess.run([*pip, "setuptools<81", "setuptools_scm<9", "wheel", *_OF_KITE], check=True)
        version = os.environ | {"SETUPTOOLS_SCM_PRETEND_VERSION": _KITE.partition("==")[2]}  # which its source lacks
        subprocess.run([*pip, "--no-deps", "--no-build-isolation", _KITE], check=True, env=version)
        (environment / "installed").touch()
    return python


def quake(size: tuple[int, int]) -> Path:
    """Displacement of a shock in m, float32, row 0 south: a dipole, 2 mm of noise, and gaps of a sea and at random."""
    import numpy as np

    target = folder() / f"quake_{size[0]}x{size[1]}.npy"
    if not target.exists():
        target.parent.mkdir(parents=True, exist_ok=True)
        rng = np.random.default_rng(7)
        y, x = np.meshgrid(np.linspace(0, 3, size[0]), np.linspace(0, 4, size[1]), indexing="ij")
        lobes = [a * np.exp(-((x - cx) ** 2 + (y - 1.4) ** 2) / 0.12) for a, cx in ((0.35, 1.7), (-0.2, 2.4))]
        values = (lobes[0] + lobes[1] + rng.normal(0, 0.002, size)).astype(np.float32)
        values[(x + 0.6 * y < 0.5) | (rng.random(size) < 0.05)] = np.nan
        np.save(target, values)
    return target


def _works(python: str) -> bool:
    line = [
        shutil.which(python) or sys.executable,
        "-c",
        "import sys, ensurepip; sys.exit(sys.argv[1] not in sys.version)",
    ]
    return subprocess.run([*line, python.removeprefix("python")], capture_output=True, check=False).returncode == 0


def series(size: tuple[int, int, int]) -> Path:
    """Path of the time series of a size; made with ../shared/tools/make_he5.py if that is there."""
    target = folder() / "x".join(map(str, size))
    found = sorted(target.rglob("S1_*.he5"))
    if found:
        return found[0]
    print(f"making {target} (minutes) ...", flush=True)
    tool = Path(os.environ.get("MIMTPY_SHARED", REPOSITORY.parent / "shared")) / "tools" / "make_he5.py"
    partial = target.with_name(f"{target.name}.part")
    shutil.rmtree(partial, ignore_errors=True)
    if tool.exists():
        _make_with_mintpy(tool, partial, size)
    else:
        _make_with_ours(partial, size)
    partial.rename(target)
    return series(size)


def _make_with_mintpy(tool: Path, target: Path, size: tuple[int, int, int]) -> None:
    dates, ny, nx = map(str, size)
    line = [mintpy_python(), tool, "large", "--out", target, "--tracks", "A", "--ndate", dates, "--ny", ny, "--nx", nx]
    subprocess.run(line, check=True, stdout=subprocess.DEVNULL)


def _make_with_ours(target: Path, size: tuple[int, int, int]) -> None:
    from mimtpy_cloud.exports.hdfeos5 import hdfeos5_name, write_hdfeos5

    target.mkdir(parents=True)
    track = noisy_track(size)
    write_hdfeos5(track, target / hdfeos5_name(track))


def noisy_track(
    size: tuple[int, int, int], *, n: int = 1250, north: float = 38.1, west: float = -119.6
) -> "xr.Dataset":
    """Lazy canonical Dataset: a steady rate, 7 mm of smooth and 2 mm of white noise, NaN outside a slanted swath."""
    import dask.array as da
    import numpy as np
    import xarray as xr
    from pyproj import CRS

    from mimtpy_cloud.plan.grid import Window
    from mimtpy_cloud.schema import VARIABLES

    dates, ny, nx = size
    window = Window(n, round((90 - north) * n), round((west + 180) * n), ny, nx)
    time = np.datetime64("2017-01-06", "ns") + np.arange(dates) * np.timedelta64(12, "D")
    y, x = np.meshgrid(np.linspace(-1, 1, ny), np.linspace(-1, 1, nx), indexing="ij")
    inside = np.abs(x + 0.15 * y) < 0.85

    def one_date(block_info: dict[int, dict[str, list[tuple[int, int]]]]) -> np.ndarray:
        t = block_info[None]["array-location"][0][0]
        rng = np.random.default_rng(t)
        a, b, c = rng.normal(0, 3, 3)
        smooth = 0.007 * np.sin(a * x + b * y + c) + 0.01 * x * t * 12 / 365.25
        noisy = smooth + rng.normal(0, 0.002, inside.shape) if t else smooth * 0
        return np.where(inside, noisy, np.nan).astype(np.float32)[None]

    displacement = da.map_blocks(
        one_date, chunks=((1,) * dates, (ny,), (nx,)), dtype=np.float32, meta=np.empty((0, 0, 0))
    )
    los = {"los_east": -0.61, "los_north": -0.14, "los_up": 0.78}
    layers = {name: np.where(inside, np.float32(v), np.nan).astype(np.float32) for name, v in los.items()}
    layers |= {"height": np.full((ny, nx), 1000, np.float32), "temporal_coherence": inside.astype(np.float32)}
    variables = {name: (VARIABLES[name].dims, data, VARIABLES[name].attrs) for name, data in layers.items()}
    variables["valid"] = (("y", "x"), inside, VARIABLES["valid"].attrs)
    variables["displacement"] = (("time", "y", "x"), displacement, VARIABLES["displacement"].attrs)
    variables["perpendicular_baseline"] = (("time",), np.zeros(dates, np.float32), {"units": "m"})
    attrs = {
        "sensor": "Sentinel",
        "track": "A064",
        "product": "0108_0124",
        "project": "BenchSenAT064",
        "orbit_direction": "ascending",
        "look_side": "right",
        "heading": -12.9,
        "wavelength": 0.05546576,
        "reference_point": [float(window.x[nx // 2]), float(window.y[ny // 2])],
        "reference_date": str(time[0])[:10],
        "source": {},
        "mintpy": {},
    }
    variables["spatial_ref"] = ((), 0, {"crs_wkt": CRS.from_epsg(4326).to_wkt()})
    return xr.Dataset(variables, {"time": time, "y": window.y, "x": window.x}, attrs).set_coords("spatial_ref")


def two_maps(size: tuple[int, int]) -> Path:
    """
    Folder of two float32 maps in m, and of the ramps that fit their difference best.

    Both have the same smooth field and a slanted swath; their difference is a quadratic surface and 2 mm of noise. The
    ramps, linear and quadratic, are those of least squares for the surface without noise.
    """
    import numpy as np

    target = folder() / f"maps_{'x'.join(map(str, size))}"
    if target.exists():
        return target
    print(f"making {target} ...", flush=True)
    partial = target.with_name(f"{target.name}.part")
    shutil.rmtree(partial, ignore_errors=True)
    partial.mkdir(parents=True)
    ny, nx = size
    y, x = np.linspace(-1, 1, ny)[:, None], np.linspace(-1, 1, nx)
    rng = np.random.default_rng(2)
    outside = np.abs(x + 0.15 * y) > 0.85
    smooth = 0.007 * np.sin(3 * x - 2 * y + 1) + 0.01 * x
    surface = 0.02 + 0.03 * x - 0.02 * y + 0.01 * x**2 - 0.005 * x * y + 0.008 * y**2
    first = np.where(outside, np.nan, smooth + surface + rng.normal(0, 0.002, size)).astype(np.float32)
    second = np.where(outside, np.nan, smooth).astype(np.float32)
    terms = np.stack([np.broadcast_to(t, size)[~outside] for t in (1.0, x, y)], axis=1)
    linear = np.linalg.lstsq(terms.T @ terms, terms.T @ surface[~outside], rcond=None)[0]
    maps = {"a": first, "b": second, "quadratic": surface, "linear": linear[0] + linear[1] * x + linear[2] * y}
    for name, array in maps.items():
        np.save(partial / f"{name}.npy", array)
    return partial.rename(target)


def with_gaps(size: tuple[int, int, int]) -> Path:
    """Path of a copy of the time series in which a random thousandth of the values is NaN."""
    import h5py
    import numpy as np

    source = series(size)
    target = folder() / f"{'x'.join(map(str, size))}_gaps" / source.name
    if target.exists():
        return target
    print(f"making {target} ...", flush=True)
    target.parent.mkdir(parents=True, exist_ok=True)
    partial = target.with_suffix(".part")
    shutil.copyfile(source, partial)
    rng = np.random.default_rng(1)
    with h5py.File(partial, "r+") as file:
        data = file[_DISPLACEMENT]
        rows = data.chunks[1]
        for y in range(0, data.shape[1], rows):
            block = data[:, y : y + rows]
            block[rng.random(block.shape, np.float32) < GAPS] = np.nan
            data[:, y : y + rows] = block
    return partial.rename(target)


def series_tracks(size: tuple[int, int, int]) -> tuple[list[Path], Path]:
    """Files of two adjacent tracks with a datum of their own on every date, and the catalog that was made of them."""
    import numpy as np
    import xarray as xr

    from mimtpy_cloud.catalog.ingest import ingest
    from mimtpy_cloud.exports.hdfeos5 import write_hdfeos5

    target = folder() / f"series_{'x'.join(map(str, size))}"
    files = [target / f"A{number + 1:03d}.he5" for number in range(2)]
    if target.exists():
        return files, target / "root"
    print(f"making {target} ...", flush=True)
    partial = target.with_name(f"{target.name}.part")
    shutil.rmtree(partial, ignore_errors=True)
    partial.mkdir(parents=True)
    for number, file in enumerate(files):
        west = -119.6 + number * (size[2] - overlap(size[1:])) / 1250
        ds = noisy_track(size, west=west).assign_attrs(track=file.stem, project=file.stem)
        datum = 1e-4 * number * xr.DataArray(np.arange(size[0]), dims="time")
        shifted = (ds["displacement"] + datum).astype("float32").assign_attrs(ds["displacement"].attrs)
        write_hdfeos5(ds.assign(displacement=shifted), partial / file.name)
    ingest([partial / file.name for file in files], partial / "root", resolution="standard")
    partial.rename(target)
    return files, target / "root"


def overlap(size: tuple[int, int]) -> int:
    """Columns that neighbouring tracks share."""
    return size[1] // 4


def velocity_track(size: tuple[int, int], number: int) -> Path:
    """Path of the store of one of many tracks side by side, each with its own datum; MintPy's file lies beside it."""
    import numpy as np
    import xarray as xr

    from mimtpy_cloud.exports.zarr import write_zarr
    from mimtpy_cloud.plan.grid import Window
    from mimtpy_cloud.schema import VARIABLES

    target = folder() / f"tracks_{size[0]}x{size[1]}" / f"A{number + 1:03d}.zarr"
    if target.exists():
        return target
    print(f"making {target} ...", flush=True)
    target.parent.mkdir(parents=True, exist_ok=True)
    window = Window(1250, 64875, 75500 + number * (size[1] - overlap(size)), *size)
    rng = np.random.default_rng(number)
    rate = 0.02 * np.sin(np.arange(size[1]) / 700 + number)[np.newaxis] + rng.normal(0, 0.002, size) + 0.003 * number
    velocity = rate.astype(np.float32)
    velocity[:, :40] = np.nan
    ds = xr.Dataset(
        {"velocity": (("y", "x"), velocity, VARIABLES["velocity"].attrs)},
        {"y": window.y, "x": window.x},
        {"track": target.stem, "pixels_per_degree": window.n, "orbit_direction": "ascending", "look_side": "right"},
    )
    _write_mintpy(target.with_suffix(".h5"), window, velocity=velocity)
    write_zarr(ds.chunk(y=625, x=625), target)
    return target


def two_looks(size: tuple[int, int]) -> list[Path]:
    """
    Paths of the stores of an ascending and a descending velocity of one ground, on one grid.

    MintPy's velocity and geometry lie beside them, as ``.h5`` and ``_geometry.h5``.
    """
    import numpy as np
    import xarray as xr

    from benchmarks.workers import EAST, UP, angles, looks
    from mimtpy_cloud.exports.zarr import write_zarr
    from mimtpy_cloud.plan.grid import Window
    from mimtpy_cloud.schema import LOS, VARIABLES

    target = folder() / f"looks_{size[0]}x{size[1]}"
    found = [target / "A064.zarr", target / "D071.zarr"]
    if target.exists():
        return found
    print(f"making {target} ...", flush=True)
    partial = target.with_name(f"{target.name}.part")
    shutil.rmtree(partial, ignore_errors=True)
    partial.mkdir(parents=True)
    window = Window(1250, 64875, 75500, *size)
    vectors = looks(list(size), 2)
    for k, path in enumerate(found):
        data = {"velocity": (vectors[k, 0] * EAST + vectors[k, 2] * UP).astype(np.float32)}
        data |= {"velocity_std": np.full(size, 1e-3, np.float32), **dict(zip(LOS, vectors[k], strict=True))}
        variables = {name: (("y", "x"), values, VARIABLES[name].attrs) for name, values in data.items()}
        attrs = {"track": path.stem, "pixels_per_degree": window.n, "look_side": "right"}
        attrs |= {"orbit_direction": "ascending" if k == 0 else "descending"}
        attrs["reference_point"] = [float(window.x[99]), float(window.y[9])]
        ds = xr.Dataset(variables, {"y": window.y, "x": window.x}, attrs)
        write_zarr(ds.chunk(y=625, x=625), partial / path.name)
        incidence, azimuth = angles(list(size), k)
        _write_mintpy(partial / f"{path.stem}.h5", window, velocity=data["velocity"])
        geometry = {"incidenceAngle": incidence, "azimuthAngle": azimuth}
        _write_mintpy(partial / f"{path.stem}_geometry.h5", window, kind="geometry", **geometry)
    partial.rename(target)
    return found


def _write_mintpy(path: Path, window: "Window", *, kind: str = "velocity", **layers: "np.ndarray") -> None:
    """Write maps as MintPy does."""
    import h5py

    west, _, _, north = window.bounds
    attrs = {"X_FIRST": west, "Y_FIRST": north, "X_STEP": 1 / window.n, "Y_STEP": -1 / window.n}
    attrs |= {"LENGTH": window.ny, "WIDTH": window.nx, "FILE_TYPE": kind, "UNIT": "m/year", "PROCESSOR": "isce"}
    attrs |= {"REF_LAT": float(window.y[9]), "REF_LON": float(window.x[99]), "REF_Y": 9, "REF_X": 99}
    attrs |= {"X_UNIT": "degrees", "Y_UNIT": "degrees", "DATA_TYPE": "float32"}
    with h5py.File(path, "w") as file:
        for name, values in layers.items():
            file[name] = values
        file.attrs.update({key: str(text) for key, text in attrs.items()})


#: Models of maps whose files the peers of a search read; the true one is among them.
FILES, _TRUE = 40, 21


def true_model(count: int, files: int = FILES) -> int:
    """Number of the model that is the truth."""
    return count // files * _TRUE


def model_maps(size: tuple[int, int], count: int) -> Path:
    """
    Folder of models on a grid of depths and places, with what is observed.

    ``models.zarr`` is a stack of all; ``files`` has some of them as MintPy's files, named by their number. What is
    observed, one ``.npy`` for each kind of ramp, is a model, 1 mm of noise and that ramp, a tenth without data.
    """
    import dask.array as da
    import numpy as np
    import xarray as xr

    from mimtpy_cloud.plan.grid import Window
    from mimtpy_cloud.search import write_models

    target = folder() / f"models_{count}_{'x'.join(map(str, size))}"
    if target.exists():
        return target
    print(f"making {target} ...", flush=True)
    partial = target.with_name(f"{target.name}.part")
    shutil.rmtree(partial, ignore_errors=True)
    (partial / "files").mkdir(parents=True)
    depths = count // 20
    depth, east = (grid.ravel() for grid in np.meshgrid(np.linspace(0.05, 0.3, depths), np.linspace(0.2, 0.8, 20)))
    y, x = np.linspace(0, 1, size[0])[:, None], np.linspace(0, 1, size[1])
    window = Window(1250, 64875, 75500, *size)

    def one(j: int) -> np.ndarray:
        return 0.1 / (1 + ((x - east[j]) ** 2 + (y - 0.45) ** 2) / depth[j] ** 2) ** 1.5

    def block(block_info: dict[int, dict[str, list[tuple[int, int]]]]) -> np.ndarray:
        return np.stack([one(j) for j in range(*block_info[None]["array-location"][0])]).astype(np.float32)

    rows = tuple(min(16, count - start) for start in range(0, count, 16))
    values = da.map_blocks(block, chunks=(rows, *((n,) for n in size)), dtype=np.float32, meta=np.empty((0, 0, 0)))
    coords = {"depth": ("model", depth), "place": ("model", east), "y": window.y, "x": window.x}
    write_models(xr.DataArray(values, coords, ("model", "y", "x"), attrs={"units": "m"}), partial / "models.zarr")
    step = count // FILES
    for j in range(0, count, step):
        _write_mintpy(partial / "files" / f"{j}.h5", window, velocity=one(j).astype(np.float32))
    rng = np.random.default_rng(1)
    seen = one(true_model(count)) + rng.normal(0, 1e-3, size)
    seen[rng.random(size) < 0.1] = np.nan
    seen[9, 99] = one(true_model(count))[9, 99]
    linear = 0.02 * x - 0.03 * y
    ramps = {"none": 0 * x * y, "linear": linear, "quadratic": linear + 0.04 * x * x - 0.02 * x * y + 0.03 * y * y}
    for kind, ramp in ramps.items():
        surface = ramp if kind == "none" else ramp - ramp[9, 99] - seen[9, 99]  # no motion at the reference point
        np.save(partial / f"{kind}.npy", (seen + surface).astype(np.float32))
    return partial.rename(target)


def many_models(size: tuple[int, int], count: int, source: Path) -> Path:
    """Path of a stack of many models whose chunks are hard links to those of another."""
    import dask.array as da
    import numpy as np

    from mimtpy_cloud.codec import zarr_codecs
    from mimtpy_cloud.plan.candidates import Candidates
    from mimtpy_cloud.search import open_models
    from mimtpy_cloud.search.stack import VALUES, stack_template

    target = source / f"{count}.zarr"
    if target.exists():
        return target
    partial = target.with_suffix(".part")
    shutil.rmtree(partial, ignore_errors=True)
    stack = open_models(source / "models.zarr")
    values = stack.template.isel(model=slice(1)).drop_encoding()
    values = values.isel(model=[0] * count).copy(data=da.zeros((count, *size), dtype=np.float32, chunks=stack.chunk))
    template = stack_template(values, Candidates({"number": np.arange(count)}), [""] * count, f"{count} models")
    how = {VALUES: {"chunks": stack.chunk, "compressors": zarr_codecs(4)}}
    template.to_zarr(partial, encoding=how, zarr_format=3, consolidated=True, compute=False)
    blocks = sorted((source / "models.zarr" / VALUES / "c").iterdir(), key=lambda path: int(path.name))
    full = blocks[: stack.template.shape[0] // stack.chunk[0]]
    for number in range(-(-count // stack.chunk[0])):
        shutil.copytree(full[number % len(full)], partial / VALUES / "c" / str(number), copy_function=os.link)
    return partial.rename(target)


def model_points(points: int, count: int, files: int) -> Path:
    """
    Folder of models at points with noise that is correlated, and of some of them in RELAX's JSON as MimtPy has it.

    ``points.npz`` has places, looks and observations, of which a model is the truth; ``models.zarr`` is the stack.
    """
    import json

    import numpy as np
    import xarray as xr

    from benchmarks.workers import NOISE
    from mimtpy_cloud.kernels.covariance import CovarianceModel, covariance_matrix
    from mimtpy_cloud.plan.polyconic import polyconic_km
    from mimtpy_cloud.search import write_models

    target = folder() / f"points_{count}_{points}"
    if target.exists():
        return target
    print(f"making {target} ...", flush=True)
    partial = target.with_name(f"{target.name}.part")
    shutil.rmtree(partial, ignore_errors=True)
    (partial / "files").mkdir(parents=True)
    rng = np.random.default_rng(3)
    lon, lat = rng.uniform(-116.0, -115.0, points), rng.uniform(32.0, 33.0, points)
    x, y = polyconic_km(lon, lat)
    look = np.array([-0.61, -0.14, 0.78])
    depth, volume = (grid.ravel() for grid in np.meshgrid(np.linspace(5, 40, count // 20), np.linspace(0.2, 2.0, 20)))
    los = np.empty((count, points))
    for j in range(count):
        fall = volume[j] / (1 + (x**2 + y**2) / depth[j] ** 2) ** 1.5
        enu = fall * x / depth[j], fall * y / depth[j], fall
        los[j] = look @ np.stack(enu)
        if j % (count // files) == 0:
            rows = np.stack([lon, lat, enu[1], enu[0], -enu[2]], axis=1)
            (partial / "files" / f"{j}.json").write_text(json.dumps({"displacement": rows.tolist()}))
    sill, length, nugget = NOISE
    factor = np.linalg.cholesky(covariance_matrix(x, y, CovarianceModel("exponential", sill, length, nugget)))
    seen = los[true_model(count, files)] + factor @ rng.normal(size=points)
    np.savez(partial / "points.npz", lon=lon, lat=lat, x_km=x, y_km=y, look=look, observed=seen)
    coords = {"depth": ("model", depth), "volume": ("model", volume), "lon": ("point", lon), "lat": ("point", lat)}
    write_models(xr.DataArray(los, coords, ("model", "point"), attrs={"units": "m"}), partial / "models.zarr")
    return partial.rename(target)
