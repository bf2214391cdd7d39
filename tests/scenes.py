"""Small real-format sources with several tiles, the files of a root, and work for other processes."""

import json
import os
import signal
import subprocess
import sys
import threading
import traceback
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import h5py
import he5files
import numpy as np

from mimtpy_cloud.catalog import ingest as module
from mimtpy_cloud.catalog import streaming
from mimtpy_cloud.catalog.index import Entry, commit
from mimtpy_cloud.io.storage import open_storage

_DISPLACEMENT = "HDFEOS/GRIDS/timeseries/observation/displacement"


def write_scene(
    folder: Path,
    *,
    shape: tuple[int, int] = (300, 280),
    dates: int = 3,
    n: int = 250,
    west: float = 100.2,
    north: float = 40.4,
    seed: int = 1,
    frames: tuple[int, int] = (113, 116),
    name: str = "S1_scene.he5",
    nan: bool = True,
    **attrs: Any,
) -> Path:
    """Write a product of A064 on (or, by `west` and `north`, off) the lattice of `n` pixels a degree."""
    rng = np.random.default_rng(seed)
    days = np.datetime64("2020-01-03") + 12 * np.arange(dates)
    values = rng.normal(size=(dates, *shape)).astype("float32")
    values[0] = 0
    mask = np.ones(shape, bool)
    if nan:
        values[:, 40:70, 20:50] = np.nan
        values[1, ::7, ::5] = np.nan
        mask[40:70, 20:50] = False
    datasets = {
        "observation/displacement": values,
        "observation/date": np.array([str(day).replace("-", "") for day in days], "S8"),
        "observation/bperp": rng.normal(size=dates).astype("float32"),
        "quality/mask": mask,
        "quality/temporalCoherence": rng.random(shape).astype("float32"),
        "geometry/height": rng.random(shape).astype("float32"),
        "geometry/incidenceAngle": np.linspace(30, 45, shape[0] * shape[1], dtype="float32").reshape(shape),
        "geometry/azimuthAngle": np.full(shape, 102, "float32"),
    }
    step = 1 / n
    place = {"X_FIRST": repr(west), "Y_FIRST": repr(north), "X_STEP": repr(step), "Y_STEP": repr(-step)}
    size = {"LENGTH": str(shape[0]), "WIDTH": str(shape[1]), "first_frame": frames[0], "last_frame": frames[1]}
    point = {"REF_LAT": repr(north - 1.5 * step), "REF_LON": repr(west + 2.5 * step)}
    return he5files.write_he5(folder, datasets, {**place, **size, **point, **attrs}, name=name)


def rewrite(path: Path, copy: Path, *, chunks: tuple[int, ...] | None, compression: str | None) -> Path:
    """Copy a product with other chunks of its displacement."""
    copy.parent.mkdir(parents=True, exist_ok=True)
    copy.write_bytes(path.read_bytes())
    with h5py.File(copy, "r+") as file:
        values = file[_DISPLACEMENT][:]
        del file[_DISPLACEMENT]
        file.create_dataset(_DISPLACEMENT, data=values, chunks=chunks, compression=compression)
    return copy


def displacement(path: Path) -> np.ndarray:
    """Values as h5py reads them."""
    with h5py.File(path) as file:
        return file[_DISPLACEMENT][:]


def tree(folder: Path) -> dict[str, bytes]:
    """Every file below a folder, but lock files."""
    files = [p for p in folder.rglob("*") if p.is_file() and not p.name.endswith(".lock")]
    return {str(p.relative_to(folder)): p.read_bytes() for p in files}


def stores(folder: Path) -> list[Path]:
    """Band stores below a root, hidden leftovers too."""
    return sorted(p for p in folder.rglob("*.zarr*") if p.is_dir())


def make_entry(**changes: Any) -> Entry:
    """An entry of A124 in bands 34 and 35 on the standard lattice."""
    values: dict[str, Any] = {
        "sensor": "Sentinel",
        "track": "A124",
        "product": "0113_0119",
        "resolution": "standard",
        "pixels_per_degree": 1250,
        "revision": "0113_0119-20261122T100000000000Z-0123abcd",
        "committed": "2026-11-22T10:00:00.000000+00:00",
        "project": "DemoSenAT124",
        "content": "0123abcd" * 4,
        "dates": ("2020-01-03", "2020-01-15", "2021-01-09"),
        "window": (68200, 77500, 1000, 900),
        "band_windows": {34: (68750, 77500, 625, 1250), 35: (68125, 77500, 625, 1250)},
        "variables": ("displacement", "valid"),
        "perpendicular_baseline": (0.0, 12.5, -3.25),
        "attrs": {"sensor": "Sentinel", "track": "A124", "mintpy": {"WIDTH": "900"}},
    }
    return Entry(**(values | changes))


def add_entry(root: str | Path, entry: Entry) -> None:
    """Commit an entry; no store is written."""
    commit(open_storage(root), entry.sensor, entry.track, lambda found: [*found, entry])


# --- run in other processes -----------------------------------------------------------------------------------


def run_all(target: Callable[..., Any], arguments: Sequence[tuple[Any, ...]]) -> list[tuple[int, Any]]:
    """Run a function of this module in one process for each tuple of arguments, at once; exit codes and results."""
    done = subprocess.run(
        [sys.executable, "-c", "import scenes; scenes.fork_all()"],
        input=json.dumps([target.__name__, arguments], default=str),
        env=os.environ | {"PYTHONPATH": os.pathsep.join(sys.path), "OPENBLAS_NUM_THREADS": "1"},
        stdout=subprocess.PIPE,
        text=True,
        check=True,
        timeout=120,
    )
    return [(code, json.loads(answer or "null")) for code, answer in json.loads(done.stdout)]


def fork_all() -> None:
    """Fork one child a job: what costs seconds to import is there already, and no thread is."""
    import crc32c  # noqa: F401
    import imagecodecs  # noqa: F401
    import pyproj  # noqa: F401
    import zarr.codecs
    import zarr.storage  # noqa: F401

    name, arguments = json.load(sys.stdin)
    children = []
    for args in arguments:
        answer, write_end = os.pipe()
        child = os.fork()
        if child == 0:
            code = 1
            try:
                os.write(write_end, json.dumps(globals()[name](*args)).encode())
                code = 0
            except BaseException:  # noqa: BLE001 - a child never returns
                traceback.print_exc()
            finally:
                os._exit(code)
        os.close(write_end)
        children.append((child, answer))
    results = [
        (os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]), os.read(end, 4096).decode()) for child, end in children
    ]
    json.dump(results, sys.stdout)


def commit_many(root: str, who: int, count: int) -> None:
    """Commit entries in a race."""
    for i in range(count):
        add_entry(root, make_entry(product=f"{who:04d}_{i:04d}"))


def ingest_one(path: str, root: str) -> None:
    """Ingest in a race."""
    module.ingest(path, root, workers=2)


def ingest_and_die(path: str, root: str, step: int, delay: float) -> None:
    """Ingest, and be killed some seconds after some progress (at the latest, when it is done)."""
    calls = 0

    def progress(done: int, total: int, unit: str) -> None:
        nonlocal calls
        calls += 1
        if calls == step:
            threading.Timer(delay, os.kill, (os.getpid(), signal.SIGKILL)).start()

    if step == 0:
        threading.Timer(delay, os.kill, (os.getpid(), signal.SIGKILL)).start()
    module.ingest(path, root, workers=2, progress=progress)
    os.kill(os.getpid(), signal.SIGKILL)


def peak_memory(warm: str, path: str, root: str, memory: int) -> int:
    """Most memory of an ingest in bytes, beyond that of a tiny one which loads and compiles everything."""
    streaming.MEMORY_OF_TILES = memory
    module.ingest(warm, f"{root}/warm", workers=2)
    before = _peak()
    module.ingest(path, f"{root}/large", workers=2)
    return _peak() - before


def _peak() -> int:
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) * 1024 for line in lines if line.startswith("VmHWM"))
