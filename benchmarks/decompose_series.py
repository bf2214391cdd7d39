"""Decomposition of series in memory: dense least squares of each pixel against the banded solver."""

import statistics

from benchmarks import data
from benchmarks.measure import Row, Sample, alternate, ratio, report, run, value

#: Dates of each of four tracks, none in common.
FULL, SMALL = 100, 25


def main(*, small: bool = False, repeats: int = 5) -> bool:
    """Measure, print the table, and say whether all goals are met."""
    dates, least = (SMALL, 100.0) if small else (FULL, 1000.0)
    print("decompose_series:")
    runs = alternate(
        repeats,
        dense=lambda: run("timeline_dense", dates=dates, pixels=24),
        order1=lambda: run("timeline_kernel", dates=dates, pixels=20_000, order=1),
        order2=lambda: run("timeline_kernel", dates=dates, pixels=20_000, order=2),
        chosen=lambda: run("timeline_chosen", dates=dates, pixels=2_000),
    )
    rows = [
        value("largest difference from dense least squares, m", [s.value["error"] for s in runs["order1"]], most=1e-6),
        value("the same of a standard deviation, m", [s.value["std_error"] for s in runs["order1"]], most=1e-6),
        _against("order 1: dense least squares of each pixel / ours", runs, "order1", least=least),
        _against("order 2: dense least squares of each pixel / ours", runs, "order2", least=least),
        value("order 1: ours, microseconds a pixel", [1e6 * _each(s) for s in runs["order1"]]),
        value("cross-validation: microseconds a pixel and weight", [1e6 * _each(s) for s in runs["chosen"]]),
    ]
    title = f"Decomposition of four series of {dates} dates, {4 * dates} in all"
    return report("decompose_series", title, rows, runs, data.results(small=small))


def _against(name: str, runs: dict[str, list[Sample]], own: str, *, least: float) -> Row:
    return ratio(name, [_each(s) for s in runs["dense"]], [_each(s) for s in runs[own]], least=least)


def _each(sample: Sample) -> float:
    """Seconds of a pixel."""
    return float(statistics.median(sample.value["seconds"]) / sample.value["pixels"])
