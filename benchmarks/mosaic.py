"""Mosaic of velocity tracks: MintPy's image_stitch against ours, how it grows with the number of tracks, and memory."""

from pathlib import Path
from statistics import median
from typing import Any

from benchmarks import data
from benchmarks.measure import Row, Sample, alternate, fresh, of, ratio, report, run, value, warm

#: GiB that a mosaic of sixteen virtual tracks, 16 times 3000 x 4000 and more than ten times that, may take.
PEAK = 1.0
COUNTS = (2, 5, 16)
#: m/yr; ours is the mean of the overlap's difference here, as MintPy's is.
TOLERANCE = 1e-6


def main(*, small: bool = False, repeats: int = 5) -> bool:
    """Measure, print the table, and say whether all goals are met."""
    size = (data.SMALL if small else data.FULL)[1:]
    python, work = data.mintpy_python(), data.folder() / "work"
    tracks = [data.velocity_track(size, k) for k in range(max(COUNTS))]

    def mintpy(count: int) -> Sample:
        files = [str(track.with_suffix(".h5")) for track in tracks[:count]]
        warm(*map(Path, files))
        return run("mosaic_mintpy", python=python, files=files, target=str(fresh(work / "stitched.h5")))

    def ours(count: int, **options: Any) -> Sample:
        warm(*tracks[:count])
        stores = list(map(str, tracks[:count]))
        return run("mosaic_ours", stores=stores, target=str(fresh(work / "mosaic.zarr")), **options)

    mintpy(2)
    ours(2, robust=False)
    difference = largest_difference(work / "stitched.h5", work / "mosaic.zarr", size)
    print(f"largest difference from MintPy where one track has data {difference:.2g} m/yr\nmosaic:")
    jobs: dict[str, Any] = {f"mintpy {n}": lambda n=n: mintpy(n) for n in COUNTS[:2]}
    jobs |= {f"ours {n}": lambda n=n: ours(n) for n in COUNTS}
    for name in ("ours", "kernel"):
        jobs[f"blend {name}"] = lambda name=name: run(f"blend_{name}", stores=list(map(str, tracks[:5])))
    runs = alternate(repeats, **jobs, copy=lambda: run("copy_memory"))
    runs |= {"virtual": [run("mosaic_virtual", size=list(size), count=16, repeat=1 if small else 10)]}
    rows = [value("largest difference from MintPy, m/yr", [difference], most=TOLERANCE), *_rows(runs)]
    return report("mosaic", f"Mosaic of {size[0]} x {size[1]} velocities", rows, runs, data.results(small=small))


def _rows(runs: dict[str, list[Sample]]) -> list[Row]:
    rows = []
    for n, least in ((2, None), (5, 10)):
        peer, own = runs[f"mintpy {n}"], runs[f"ours {n}"]
        rows += [
            ratio(f"{n} tracks: MintPy / ours, wall in process", of(peer, "wall"), of(own, "wall"), least=least),
            ratio(f"{n} tracks: MintPy / ours, CPU in process", of(peer, "cpu"), of(own, "cpu")),
            ratio(f"{n} tracks: MintPy / ours, process", of(peer, "process_wall"), of(own, "process_wall")),
            ratio(f"{n} tracks: ours / MintPy, peak memory", of(own, "memory"), of(peer, "memory")),
        ]
    moved = runs["blend kernel"][0].value["bytes"]
    limit = [moved * s.wall / s.value["bytes"] for s in runs["copy"]]
    blends = {name: [median(s.value["seconds"]) for s in runs[f"blend {name}"]] for name in ("ours", "kernel")}
    return [
        *rows,
        ratio("5 tracks: copy of the same bytes / blend kernel", limit, blends["kernel"], least=0.4, limit=True),
        ratio("5 tracks: copy of the same bytes / blend in memory through dask", limit, blends["ours"]),
        ratio("16 tracks / 2 tracks, ours", of(runs["ours 16"], "wall"), of(runs["ours 2"], "wall")),
        value("peak memory of 16 virtual tracks, GiB", of(runs["virtual"], "memory"), most=PEAK),
        value("virtual tracks, GB handled", [s.value["bytes"] / 1e9 for s in runs["virtual"]], best=max),
        value("virtual tracks, GB/s", [s.rate for s in runs["virtual"]], best=max),
    ]


def largest_difference(theirs: Path, ours: Path, size: tuple[int, int]) -> float:
    """Largest difference in m/yr where only one track has data: in the overlap the rules differ."""
    import h5py
    import numpy as np
    import xarray as xr

    velocity = xr.open_zarr(ours).velocity.values
    with h5py.File(theirs) as file:
        stitched = file["velocity"][:]
    alone = np.ones(velocity.shape[1], bool)
    alone[size[1] - data.overlap(size) : size[1]] = False
    difference = np.abs(velocity - stitched[: velocity.shape[0], : velocity.shape[1]])[:, alone]
    if not np.isfinite(difference).mean() > 0.5:
        raise AssertionError("most pixels have no velocity on one side")
    return float(np.nanmax(difference))
