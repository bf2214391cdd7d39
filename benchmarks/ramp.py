"""Difference and ramp of two maps in memory: MintPy's deramp against ours, and against memory bandwidth."""

import statistics

from benchmarks import data
from benchmarks.measure import Row, Sample, alternate, of, ratio, report, run, value

KINDS = ("linear", "quadratic")


def main(*, small: bool = False, repeats: int = 5) -> bool:
    """Measure, print the table, and say whether all goals are met."""
    size = (data.SMALL if small else data.FULL)[1:]
    maps, python = str(data.two_maps(size)), data.mintpy_python()
    print("ramp:")
    jobs = {}
    for kind in KINDS:
        jobs |= {
            f"{kind} mintpy": lambda kind=kind: run("ramp_mintpy", python=python, maps=maps, kind=kind),
            f"{kind} ours": lambda kind=kind: run("ramp_ours", maps=maps, kind=kind),
            f"{kind} kernel": lambda kind=kind: run("ramp_kernel", maps=maps, kind=kind),
        }
    runs = alternate(repeats, **jobs, triad=lambda: run("triad_memory", maps=maps))
    rows = [row for kind in KINDS for row in _rows(kind, runs)]
    rows.append(
        value("triad of three float32 maps, GB/s", [s.value["bytes"] / _seconds(s) / 1e9 for s in runs["triad"]])
    )
    title = "Difference and ramp of " + " x ".join(map(str, size))
    return report("ramp", title, rows, runs, data.results(small=small))


def _rows(kind: str, runs: dict[str, list[Sample]]) -> list[Row]:
    mintpy, ours, kernel = (runs[f"{kind} {who}"] for who in ("mintpy", "ours", "kernel"))
    seconds = {name: [_seconds(s) for s in samples] for name, samples in (("m", mintpy), ("o", ours), ("k", kernel))}
    moved = kernel[0].value["bytes"] / runs["triad"][0].value["bytes"]
    passes = [moved * _seconds(s) for s in runs["triad"]]
    errors = {
        name: [s.value["error"] for s in samples] for name, samples in (("m", mintpy), ("o", ours), ("k", kernel))
    }
    return [
        ratio(f"{kind}: MintPy's deramp / ours subtract + fit + apply", seconds["m"], seconds["o"], least=20),
        ratio(f"{kind}: MintPy's deramp / our kernels, the same", seconds["m"], seconds["k"], least=20),
        ratio(f"{kind}: triad of the same bytes / our kernels", passes, seconds["k"], least=0.4, limit=True),
        ratio(f"{kind}: largest error of the ramp, ours / MintPy", errors["o"], errors["m"], most=1),
        value(f"{kind}: largest error of the ramp, ours", errors["o"]),
        ratio(f"{kind}: peak memory, ours / MintPy", of(ours, "memory"), of(mintpy, "memory")),
    ]


def _seconds(sample: Sample) -> float:
    """What one repetition within a process took."""
    return statistics.median(sample.value["seconds"])
