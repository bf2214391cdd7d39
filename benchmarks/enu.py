"""Decomposition: MintPy's asc_desc2horz_vert, least squares of each pixel, memory bandwidth, and a large area."""

import statistics
from pathlib import Path

from benchmarks import data
from benchmarks.measure import Row, Sample, alternate, fresh, of, ratio, report, run, value, warm
from benchmarks.workers import EAST, UP

#: GiB that three virtual tracks, ten times 3000 x 4000 and more than ten times that, may take.
PEAK = 1.0
#: m/yr; MintPy takes the median geometry of windows.
TOLERANCE = 1e-4


def main(*, small: bool = False, repeats: int = 5) -> bool:
    """Measure, print the table, and say whether all goals are met."""
    size = (data.SMALL if small else data.FULL)[1:]
    maps, python = str(data.two_maps(size)), data.mintpy_python()
    stores, work = data.two_looks(size), data.folder() / "work"
    files = [str(store.with_suffix(".h5")) for store in stores]
    geometry = [file.replace(".h5", "_geometry.h5") for file in files]

    def theirs() -> Sample:
        warm(*map(Path, (*files, *geometry)))
        targets = [str(fresh(work / f"{name}.h5")) for name in ("hz", "up")]
        return run("decompose_mintpy", python=python, files=files, geometry=geometry, targets=targets)

    def command() -> Sample:
        warm(*stores)
        target = str(fresh(work / "east_up.zarr"))
        return run("command", arguments=["decompose", *map(str, stores), "--out", target])

    theirs()
    command()
    difference = largest_difference(work)
    print(f"largest error of the commands: MintPy {difference[0]:.2g} m/yr, ours {difference[1]:.2g} m/yr\nenu:")
    runs = alternate(
        repeats,
        mintpy=lambda: run("enu_mintpy", python=python, size=list(size)),
        two=lambda: run("enu_kernel", size=list(size), tracks=2, three=False),
        lstsq=lambda: run("enu_lstsq"),
        four=lambda: run("enu_kernel", size=list(size), tracks=4, three=True),
        triad=lambda: run("triad_memory", maps=maps),
        theirs=theirs,
        command=command,
    )
    runs |= {"virtual": [run("decompose_virtual", size=list(size), repeat=1 if small else 10)]}
    rows = [
        value("two looks: largest error of ours, m/yr", [s.value["error"] for s in runs["two"]], most=1e-8),
        value("two looks: largest error of MintPy, m/yr", [s.value["error"] for s in runs["mintpy"]]),
        _against("two looks: MintPy's asc_desc2horz_vert / our kernel", runs, "mintpy", "two", least=200),
        _of_triad("two looks: triad of the same bytes / our kernel", runs, "two", least=0.7),
        _against("four looks, E N U: least squares of each pixel / our kernel", runs, "lstsq", "four", least=1000),
        _of_triad("four looks, E N U: triad of the same bytes / our kernel", runs, "four", least=0.25),
        ratio(
            "MintPy's command / `mimtpy decompose`, process",
            of(runs["theirs"], "process_wall"),
            of(runs["command"], "process_wall"),
            least=4,
        ),
        ratio("`mimtpy decompose` / MintPy, peak memory", of(runs["command"], "memory"), of(runs["theirs"], "memory")),
        value("largest error of `mimtpy decompose`, m/yr", [difference[1]], most=1e-8),
        value("peak memory of three virtual tracks, GiB", of(runs["virtual"], "memory"), most=PEAK),
        value("virtual tracks, GB handled", [s.value["bytes"] / 1e9 for s in runs["virtual"]], best=max),
        value("triad of three float32 maps, GB/s", [s.value["bytes"] / _seconds(s) / 1e9 for s in runs["triad"]]),
    ]
    return report("enu", "Decomposition of " + " x ".join(map(str, size)), rows, runs, data.results(small=small))


def _against(name: str, runs: dict[str, list[Sample]], peer: str, own: str, *, least: float) -> Row:
    """Time of a pixel, with the standard deviations that ours gives and the peer does not."""
    theirs, ours = ([_seconds(s) / s.value["pixels"] for s in runs[who]] for who in (peer, own))
    return ratio(name, theirs, ours, least=least)


def _of_triad(name: str, runs: dict[str, list[Sample]], own: str, *, least: float) -> Row:
    moved = runs[own][0].value["bytes"] / runs["triad"][0].value["bytes"]
    limit = [moved * _seconds(s) for s in runs["triad"]]
    return ratio(name, limit, [_seconds(s) for s in runs[own]], least=least, limit=True)


def _seconds(sample: Sample) -> float:
    """What one repetition within a process took."""
    return statistics.median(sample.value["seconds"])


def largest_difference(work: Path) -> tuple[float, float]:
    """Largest error in m/yr of what MintPy's command wrote, and of what ours did."""
    import h5py
    import numpy as np
    import xarray as xr

    truth = {"hz": EAST, "up": UP}
    theirs = 0.0
    for name, motion in truth.items():
        with h5py.File(work / f"{name}.h5") as file:
            theirs = max(theirs, float(np.abs(next(iter(file.values()))[()] - motion).max()))
    with xr.open_zarr(work / "east_up.zarr") as ds:
        ours = max(float(np.abs(ds[name] - motion).max()) for name, motion in (("east", EAST), ("up", UP)))
    if not theirs < TOLERANCE:
        raise AssertionError(f"MintPy's command is wrong by {theirs:.2g} m/yr; is its input what it expects?")
    return theirs, ours
