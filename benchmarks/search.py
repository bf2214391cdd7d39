"""Grid search: MimtPy's loop over files, limits of the machine, a stack of 10 000 models, and full covariance."""

import statistics
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

from benchmarks import data
from benchmarks.measure import Row, Sample, alternate, of, ratio, report, run, value, warm

KINDS = ("none", "linear", "quadratic")
#: Maps and their models, models of the large stack, points with a covariance and models of these.
MAPS, MANY, POINTS, COUNT = {(250, 400): 1000, (1000, 1000): 400}, 10_000, (5000, 8000), 1000
SMALL_MAPS, SMALL_MANY, SMALL_POINTS = {(250, 400): 200}, 1000, (1000,)
#: Values of all models that are held in memory, so that no cache holds them.
HELD = 320_000_000
#: GiB that the search of the large stack may take.
PEAK = 1.5


def main(*, small: bool = False, repeats: int = 5) -> bool:
    """Measure, print the tables, and say whether all goals are met."""
    maps, points = (SMALL_MAPS, SMALL_POINTS) if small else (MAPS, POINTS)
    passed = [_maps(size, count, repeats, small=small) for size, count in maps.items()]
    size, count = list(maps.items())[-1]
    passed.append(_many(size, count, SMALL_MANY if small else MANY, small=small))
    passed += [_covariance(n, repeats, small=small) for n in points]
    return all(passed)


# ---- maps


def _maps(size: tuple[int, int], count: int, repeats: int, *, small: bool) -> bool:
    folder, python = data.model_maps(size, count), data.mintpy_python()
    stack, name = str(folder / "models.zarr"), " x ".join(map(str, size))
    warm(folder)
    errors = {kind: _error(folder, kind, count) for kind in KINDS}
    print(f"search {name}: largest relative error of rms {max(errors.values()):.2g}")
    jobs: dict[str, Callable[[], Sample]] = {}
    for kind in KINDS:
        seen = {"stack": stack, "observed": str(folder / f"{kind}.npy"), "kind": kind}
        held = HELD // (size[0] * size[1])
        jobs |= {
            f"{kind} mimtpy": partial(run, "search_mimtpy", python=python, folder=str(folder), kind=kind),
            f"{kind} ours": partial(run, "search_ours", **seen),
            f"{kind} decode": partial(run, "stack_decode", stack=stack),
            f"{kind} memory": partial(run, "search_memory", **seen, models=held),
        }
    runs = alternate(repeats, **jobs)
    rows = [row for kind in KINDS for row in _map_rows(kind, runs, errors[kind], size, count)]
    shares = [one for kind in KINDS for s in runs[f"{kind} memory"] for one in _rates(s, 1)]
    rows.append(value("DRAM read, GB/s", shares, best=max))
    rows.append(value("decode, GB/s", [s.rate for kind in KINDS for s in runs[f"{kind} decode"]], best=max))
    title = f"Grid search of {count} models of {name}"
    return report(f"search_{'x'.join(map(str, size))}", title, rows, runs, data.results(small=small))


def _error(folder: Path, kind: str, count: int) -> float:
    """Largest relative difference from least squares in double precision, of some models."""
    seen = {"stack": str(folder / "models.zarr"), "observed": str(folder / f"{kind}.npy"), "kind": kind}
    some = [0, count // 3, data.true_model(count), count - 1]
    ours, exact = run("search_ours", **seen).value["rms"], run("search_exact", **seen, models=some).value["rms"]
    return max(abs(ours[j] / rms - 1) for j, rms in zip(some, exact, strict=True))


def _map_rows(kind: str, runs: dict[str, list[Sample]], error: float, size: tuple[int, int], count: int) -> list[Row]:
    theirs, ours, decode, memory = (runs[f"{kind} {who}"] for who in ("mimtpy", "ours", "decode", "memory"))
    title = "no ramp" if kind == "none" else kind
    least = 80 if kind == "linear" and size == (1000, 1000) else None
    kernel, read = ([1 / statistics.median(_rates(s, part)) for s in memory] for part in (0, 1))
    found = [_best(s.value) for s in (theirs[0], ours[0])]
    rows = [
        value(f"{title}: largest relative error of rms, ours", [error], most=1e-12),
        value(f"{title}: models between ours and the true one", [abs(found[1] - data.true_model(count))], most=0),
        value(f"{title}: models between MimtPy's and the true one", [abs(found[0] - data.true_model(count))]),
        ratio(f"{title}: MimtPy's loop over files / ours from Zarr, a model", *map(_each, (theirs, ours)), least=least),
        ratio(f"{title}: decode limit / ours from Zarr", *map(_each, (decode, ours)), least=0.6, limit=True),
        ratio(f"{title}: DRAM read / our kernel in memory", read, kernel, least=0.5, limit=True),
        value(f"{title}: MimtPy's loop, ms a model", [1e3 * t for t in _each(theirs)]),
        value(f"{title}: ours from Zarr, ms a model", [1e3 * t for t in _each(ours)]),
        value(f"{title}: our kernel in memory, ms a model", [t * size[0] * size[1] * 4e-6 for t in kernel]),
    ]
    return [*rows, value(f"{title}: peak memory of ours, GiB", of(ours, "memory"))]


def _each(samples: list[Sample]) -> list[float]:
    """Seconds a model."""
    return [s.wall / s.value["models"] for s in samples]


def _rates(sample: Sample, which: int) -> list[float]:
    """GB/s of the kernel (0) or of reading (1), of each turn."""
    return [sample.value["bytes"] / pair[which] / 1e9 for pair in sample.value["seconds"]]


def _best(found: dict[str, Any]) -> int:
    """Number of the model with the least rms."""
    rms = found["rms"]
    numbers = found.get("numbers", range(len(rms)))
    return int(numbers[min(range(len(rms)), key=rms.__getitem__)])


# ---- a large stack


def _many(size: tuple[int, int], count: int, many: int, *, small: bool) -> bool:
    folder = data.model_maps(size, count)
    stack = data.many_models(size, many, folder)
    warm(folder / "models.zarr")
    print(f"search of {many} models:")
    seen = {"stack": str(stack), "observed": str(folder / "linear.npy"), "kind": "linear"}
    runs = alternate(1, many=partial(run, "search_ours", **seen))
    rows = [
        value("peak memory, GiB", of(runs["many"], "memory"), most=PEAK),
        value("models a second", [1 / t for t in _each(runs["many"])], best=max),
        value("GB/s of decoded models", [s.rate for s in runs["many"]], best=max),
        value("seconds", of(runs["many"], "wall")),
    ]
    title = f"Grid search of {many} models of {' x '.join(map(str, size))}, one run"
    return report("search_many", title, rows, runs, data.results(small=small))


# ---- full covariance


def _covariance(points: int, repeats: int, *, small: bool) -> bool:
    folder = str(data.model_points(points, COUNT, 100))
    warm(Path(folder))
    print(f"search with the covariance of {points} points:")
    runs = alternate(
        repeats,
        mimtpy=partial(run, "covariance_mimtpy", folder=folder),
        ours=partial(run, "covariance_ours", folder=folder),
        kernels=partial(run, "covariance_kernels", folder=folder, models=COUNT),
    )
    theirs, ours = runs["mimtpy"], runs["ours"]
    misfits = ours[0].value["misfits"]
    pairs = zip(theirs[0].value["numbers"], theirs[0].value["misfits"], strict=True)
    best = min(range(COUNT), key=misfits.__getitem__)
    whole = [s.value["inverse"] + COUNT * s.value["each"] for s in theirs]
    unread = [t - COUNT * s.value["reading"] for t, s in zip(whole, theirs, strict=True)]
    goal = {"least": 15} if points == POINTS[-1] else {}
    share = {"most": 0.35} if points == POINTS[-1] else {}
    rows = [
        value("largest relative difference of misfits", [max(abs(misfits[j] / m - 1) for j, m in pairs)], most=1e-9),
        value("models between ours and the true one", [abs(best - data.true_model(COUNT, 100))], most=0),
        ratio(f"MimtPy's way / ours, {COUNT} models", whole, of(ours, "wall"), **goal),
        ratio("the same without reading JSON", unread, of(ours, "wall")),
        *(_of_dgemm(name, runs["kernels"]) for name in ("potrf", "trsm")),
        ratio("ours / MimtPy's way, peak memory", of(ours, "memory"), of(theirs, "memory"), **share),
        value("MimtPy's inverse, s", [s.value["inverse"] for s in theirs]),
        value("MimtPy's way, ms a model", [1e3 * s.value["each"] for s in theirs]),
        value("ours, s", of(ours, "wall")),
        value("dgemm, GFLOP/s", [max(s.value["dgemm"]) for s in runs["kernels"]], best=max),
    ]
    title = f"Grid search of {COUNT} models with the covariance of {points} points"
    return report(f"search_covariance_{points}", title, rows, runs, data.results(small=small))


def _of_dgemm(name: str, samples: list[Sample]) -> Row:
    """Operations a second of a routine against those of dgemm, in turn in one process."""
    times = [[1 / r for s in samples for r in s.value[who]] for who in ("dgemm", name)]
    return ratio(f"rate of our {name} / rate of dgemm", *times, least=0.6, limit=True)
