"""Velocity and its uncertainty: MintPy's timeseries2velocity.py against ours, and against the decoder and memory."""

from pathlib import Path
from typing import Any

from benchmarks import data
from benchmarks.ingest import TRACK, store, store_layout
from benchmarks.measure import Row, Sample, WorkerError, alternate, fresh, of, ratio, report, run, value, warm
from benchmarks.workers import GRID

#: Largest difference from MintPy in m/yr.
TOLERANCE = 1e-6


def main(*, small: bool = False, repeats: int = 5) -> bool:
    """Measure, print the table, and say whether all goals are met."""
    size = data.SMALL if small else data.FULL
    source, gaps, work = data.series(size), data.with_gaps(size), data.folder() / "work"
    python = data.mintpy_python()
    root, gaps_root = store(source), store(gaps, "store_gaps")
    layout = store_layout(root)
    shards = {key: layout[key] for key in ("shards", "inner", "inner_per_shard")}

    def mintpy(path: Path = source) -> Sample:
        warm(path)
        return run("velocity_mintpy", python=python, source=str(path), target=str(fresh(work / "velocity.h5")))

    def ours(path: Path = root, **options: Any) -> Sample:
        warm(path)
        return run("velocity_ours", root=str(path), track=TRACK, target=str(fresh(work / "velocity.zarr")), **options)

    def command() -> Sample:
        warm(root)
        target = str(fresh(work / "velocity_cli.zarr"))
        return run("command", arguments=["velocity", TRACK, "--root", str(root), "--out", target])

    mintpy()
    ours(time_convention="mintpy")
    difference = largest_difference(work / "velocity.h5", work / "velocity.zarr", source)
    ours(gaps_root)
    gap_error = gap_difference(gaps, work / "velocity.zarr")
    refused = _refusal(lambda: mintpy(gaps))
    print(f"largest difference from MintPy {difference:.2g} m/yr; with gaps, from least squares {gap_error:.2g} m/yr")
    print(f"MintPy on the file with gaps: {refused}")

    print("velocity:")
    runs = alternate(
        repeats,
        mintpy=mintpy,
        ours=ours,
        command=command,
        gaps=lambda: ours(gaps_root),
        decode=lambda: run("decode_shards", **shards),
        memory=lambda: run("read_memory"),
    )
    rows = [
        value("largest difference from MintPy, m/yr", [difference], most=TOLERANCE),
        value("largest difference with NaN dates from float64 least squares, m/yr", [gap_error], most=TOLERANCE),
        *_rows(runs, size),
    ]
    return report("velocity", "Velocity of " + " x ".join(map(str, size)), rows, runs, data.results(small=small))


def _rows(runs: dict[str, list[Sample]], size: tuple[int, int, int]) -> list[Row]:
    mintpy, ours, command, gaps = (runs[name] for name in ("mintpy", "ours", "command", "gaps"))
    passes = [4 * size[0] * size[1] * size[2] / s.rate / 1e9 for s in runs["memory"]]
    return [
        ratio("MintPy / ours, wall in process", of(mintpy, "wall"), of(ours, "wall"), least=10),
        ratio("MintPy / ours, CPU in process", of(mintpy, "cpu"), of(ours, "cpu")),
        ratio("MintPy / ours with 0.1 % NaN, wall in process", of(mintpy, "wall"), of(gaps, "wall"), least=10),
        ratio("MintPy / `mimtpy velocity`, process", of(mintpy, "process_wall"), of(command, "process_wall"), least=6),
        ratio("ours / MintPy, peak memory", of(ours, "memory"), of(mintpy, "memory"), most=0.15),
        ratio("`mimtpy velocity` / MintPy, peak memory", of(command, "memory"), of(mintpy, "memory"), most=0.15),
        ratio("ours with 0.1 % NaN / MintPy, peak memory", of(gaps, "memory"), of(mintpy, "memory"), most=0.15),
        ratio(
            "decode limit (2 threads) / ours, wall",
            of(runs["decode"], "wall"),
            of(ours, "wall"),
            least=0.35,
            limit=True,
        ),
        ratio("DRAM read limit / ours, wall", passes, of(ours, "wall")),
        value("decode, GB/s", of(runs["decode"], "rate"), best=max),
        value("DRAM read, GB/s", of(runs["memory"], "rate"), best=max),
    ]


def largest_difference(theirs: Path, ours: Path, source: Path) -> float:
    """Largest difference in m/yr over the valid pixels of the file."""
    import h5py
    import numpy as np
    import xarray as xr

    velocity = xr.open_zarr(ours).velocity.values
    with h5py.File(theirs) as file, h5py.File(source) as he5:
        difference = np.abs(velocity - file["velocity"][:])[he5[f"{GRID}/quality/mask"][:]]
    if not np.isfinite(difference).all():
        raise AssertionError(f"{np.isnan(difference).sum()} valid pixels have no velocity on one side")
    return float(difference.max())


def gap_difference(source: Path, ours: Path, *, row: int = 300) -> float:
    """Largest difference in m/yr along one strip from least squares over each pixel's own dates."""
    import h5py
    import numpy as np
    import xarray as xr

    velocity = xr.open_zarr(ours).velocity.values
    with h5py.File(source) as file:
        strip, valid = (file[f"{GRID}/{name}"] for name in ("observation/displacement", "quality/mask"))
        strip, valid = strip[:, row].astype(float), valid[row]
        text = file[f"{GRID}/observation/date"][:].astype("U8")
    days = np.array([f"{d[:4]}-{d[4:6]}-{d[6:]}" for d in text], "datetime64[D]").astype(float)
    years = (days - days[0]) / 365.25
    worst, partial = 0.0, 0
    for x in np.flatnonzero(valid):
        good = np.isfinite(strip[:, x])
        partial += not good.all()
        slope = np.polynomial.Polynomial.fit(years[good], strip[good, x], 1).convert().coef[1]
        worst = max(worst, abs(slope - velocity[row, x]))
    if not partial or not np.isfinite(worst):
        raise AssertionError(f"{partial} pixels with gaps in row {row}, worst difference {worst}")
    return worst


def _refusal(peer: Any) -> str:
    try:
        peer()
    except WorkerError as error:
        return str(error).splitlines()[-1]
    return "accepted"
