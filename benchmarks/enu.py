"""Decomposition of maps in memory: MintPy's asc_desc2horz_vert, least squares of each pixel, and memory bandwidth."""

import statistics

from benchmarks import data
from benchmarks.measure import Row, Sample, alternate, ratio, report, run, value


def main(*, small: bool = False, repeats: int = 5) -> bool:
    """Measure, print the table, and say whether all goals are met."""
    size = (data.SMALL if small else data.FULL)[1:]
    maps, python = str(data.two_maps(size)), data.mintpy_python()
    print("enu:")
    runs = alternate(
        repeats,
        mintpy=lambda: run("enu_mintpy", python=python, size=list(size)),
        two=lambda: run("enu_kernel", size=list(size), tracks=2, three=False),
        lstsq=lambda: run("enu_lstsq"),
        four=lambda: run("enu_kernel", size=list(size), tracks=4, three=True),
        triad=lambda: run("triad_memory", maps=maps),
    )
    rows = [
        value("two looks: largest error of ours, m/yr", [s.value["error"] for s in runs["two"]], most=1e-8),
        value("two looks: largest error of MintPy, m/yr", [s.value["error"] for s in runs["mintpy"]]),
        _against("two looks: MintPy's asc_desc2horz_vert / our kernel", runs, "mintpy", "two", least=200),
        _of_triad("two looks: triad of the same bytes / our kernel", runs, "two", least=0.7),
        _against("four looks, E N U: least squares of each pixel / our kernel", runs, "lstsq", "four", least=1000),
        _of_triad("four looks, E N U: triad of the same bytes / our kernel", runs, "four", least=0.25),
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
