"""Run workers in fresh interpreters, in alternation, and judge the ratios against goals."""

import json
import os
import platform
import shutil
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any

REPOSITORY = Path(__file__).resolve().parents[1]


class WorkerError(RuntimeError):
    """A worker stopped with an error; the message ends with what it wrote to stderr."""


@dataclass(frozen=True)
class Sample:
    """What one run took: seconds of the measured part and of the whole process, and GiB at its peak."""

    wall: float
    cpu: float
    memory: float
    process_wall: float
    process_cpu: float
    value: Any

    @property
    def rate(self) -> float:
        """GB/s of the bytes that the worker says it handled."""
        return float(self.value["bytes"]) / self.wall / 1e9


@dataclass(frozen=True)
class Row:
    """One line of the result table: a median ratio, the ratio of the best runs, and a goal."""

    name: str
    median: float
    best: float
    goal: str = ""
    verdict: str = ""


def run(worker: str, *, python: str | Path = sys.executable, **arguments: Any) -> Sample:
    """Run one worker in a fresh interpreter from the repository's root."""
    environment = {k: v for k, v in os.environ.items() if k != "PYTHONDONTWRITEBYTECODE"}
    line = [str(python), "-m", "benchmarks.workers", worker, json.dumps(arguments)]
    start = time.perf_counter()
    process = subprocess.Popen(
        line, cwd=REPOSITORY, env=environment, text=True, stdout=subprocess.PIPE, stderr=subprocess.PIPE
    )
    before = os.times()
    out, err = process.communicate()
    wall, after = time.perf_counter() - start, os.times()
    if process.returncode:
        raise WorkerError(f"{worker} failed: {err[-3000:]}")
    cpu = after.children_user - before.children_user + after.children_system - before.children_system
    return Sample(process_wall=wall, process_cpu=cpu, **json.loads(out.splitlines()[-1]))


def alternate(repeats: int, **runs: Callable[[], Sample]) -> dict[str, list[Sample]]:
    """Run A B C, A B C, ... so that a busy moment of the machine meets all of them."""
    samples: dict[str, list[Sample]] = {name: [] for name in runs}
    for repeat in range(repeats):
        for name, measured in runs.items():
            sample = measured()
            samples[name].append(sample)
            print(
                f"  {repeat + 1}/{repeats} {name:14s} {sample.wall:7.2f} s  cpu {sample.cpu:7.2f} s  "
                f"{sample.memory:5.2f} GiB   process {sample.process_wall:7.2f} s",
                flush=True,
            )
    return samples


def ratio(
    name: str,
    over: Sequence[float],
    under: Sequence[float],
    *,
    least: float | None = None,
    most: float | None = None,
    limit: bool = False,
) -> Row:
    """Compare runs pair by pair; the share of a machine `limit` may be met by the best runs, the host being shared."""
    median = statistics.median(a / b for a, b in zip(over, under, strict=False))
    return _row(name, median, min(over) / min(under), least, most, limit=limit)


def value(name: str, values: Sequence[float], *, best: Callable[..., float] = min, most: float | None = None) -> Row:
    """Judge a plain number; `best` says which of several is the best one."""
    return _row(name, statistics.median(values), best(values), None, most)


def _row(name: str, median: float, best: float, least: float | None, most: float | None, *, limit: bool = False) -> Row:
    if least is None and most is None:
        return Row(name, median, best)

    def meets(x: float) -> bool:
        return (least is None or x >= least) and (most is None or x <= most)

    verdict = "pass" if meets(median) else "pass (best)" if limit and meets(best) else "FAIL"
    return Row(name, median, best, f">= {least:g}" if least is not None else f"<= {most:g}", verdict)


def of(samples: Sequence[Sample], what: str) -> list[float]:
    """One figure of every sample."""
    return [getattr(sample, what) for sample in samples]


def evict(path: str | Path) -> None:
    """Drop one file from the page cache."""
    handle = os.open(path, os.O_RDONLY)
    os.fsync(handle)
    os.posix_fadvise(handle, 0, 0, os.POSIX_FADV_DONTNEED)
    os.close(handle)


def warm(*paths: str | Path) -> None:
    """Read files, or all files of folders, so that they are in the page cache."""
    for path in map(Path, paths):
        for file in path.rglob("*") if path.is_dir() else [path]:
            if file.is_file():
                with file.open("rb", buffering=0) as stream:
                    while stream.read(8 << 20):
                        pass


def fresh(path: Path) -> Path:
    """Remove what an earlier run left at a path."""
    if path.is_dir():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)
    path.parent.mkdir(parents=True, exist_ok=True)
    return path


def folder_bytes(path: Path) -> int:
    """Bytes of all files below a folder."""
    return sum(file.stat().st_size for file in path.rglob("*") if file.is_file())


def report(name: str, title: str, rows: list[Row], runs: dict[str, list[Sample]], folder: Path) -> bool:
    """Print one Markdown table, keep it and everything else as JSON, and say whether all goals are met."""
    lines = [f"### {title}", "", "| | median | best | goal | |", "|---|---|---|---|---|"]
    lines += [f"| {row.name} | {row.median:.3g} | {row.best:.3g} | {row.goal} | {row.verdict} |" for row in rows]
    table = "\n".join([*lines, ""])
    print(f"\n{table}", flush=True)
    result = {
        "title": title,
        "machine": _machine(),
        "rows": [asdict(row) for row in rows],
        "runs": {key: [asdict(sample) for sample in samples] for key, samples in runs.items()},
    }
    folder.mkdir(parents=True, exist_ok=True)
    (folder / f"{name}.json").write_text(json.dumps(result, indent=1))
    (folder / f"{name}.md").write_text(table)
    return all(row.verdict != "FAIL" for row in rows)


def _machine() -> dict[str, Any]:
    lines = Path("/proc/cpuinfo").read_text().splitlines()
    model = next(
        (line.partition(":")[2].strip() for line in lines if line.startswith("model name")), platform.machine()
    )
    packages = ("numpy", "numba", "zarr", "xarray", "dask", "h5py", "h5netcdf", "numcodecs")
    return {
        "cpu": model,
        "cores": len(os.sched_getaffinity(0)),
        "memory_gib": round(os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE") / 2**30, 1),
        "load": os.getloadavg()[0],
        "python": platform.python_version(),
        **{name: version(name) for name in packages},
    }
