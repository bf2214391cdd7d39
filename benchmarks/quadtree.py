"""Quadtree: Kite's own, leaf by leaf the same, against our kernel by Kite's rule, and the whole table from blocks."""

from pathlib import Path

from benchmarks import data
from benchmarks.measure import Sample, alternate, of, ratio, report, run, value

#: Standard deviation in m, shortest and longest side in pixels, share of pixels without data.
EPSILON, SIZES, MAX_NAN = 0.006, (8, 512), 0.9
#: m: Kite takes means and standard deviations in float32.
TOLERANCE = 1e-6


def main(*, small: bool = False, repeats: int = 5) -> bool:
    """Measure, print the table, and say whether all goals are met."""
    size = (data.SMALL if small else data.FULL)[1:]
    scene, python, work = data.quake(size), data.kite_python(), data.folder() / "work"
    work.mkdir(parents=True, exist_ok=True)
    numbers = {"epsilon": EPSILON, "sizes": list(SIZES), "max_nan": MAX_NAN}
    files = {name: str(work / f"{name}.npy") for name in ("kite", "ours")}

    def theirs() -> Sample:
        return run("quadtree_kite", python=python, scene=str(scene), target=files["kite"], **numbers)

    def ours() -> Sample:
        return run("quadtree_kernel", scene=str(scene), target=files["ours"], **numbers)

    runs = {"theirs": [theirs()], "ours": [ours()]}
    shared, most = agreement(*map(Path, files.values()))
    print(f"{shared} leaves of both are the same; means and medians differ by at most {most:.2g} m\nquadtree:")
    runs = alternate(
        repeats,
        kite=theirs,
        ours=ours,
        lazy=lambda: run("quadtree_lazy", scene=str(scene), **numbers),
        read=lambda: run("read_values", scene=str(scene)),
    )
    kite, kernel, lazy = (runs[name] for name in ("kite", "ours", "lazy"))
    read = [s.value["seconds"] for s in runs["read"]]
    rows = [
        value("leaves, the same in both", [shared]),
        value("largest difference of means and medians, m", [most], most=TOLERANCE),
        ratio("Kite's quadtree / our kernel", of(kite, "wall"), of(kernel, "wall"), least=30),
        ratio("Kite's quadtree / our table with looks, from blocks", of(kite, "wall"), of(lazy, "wall")),
        ratio("one pass over the map / our kernel", read, of(kernel, "wall")),
        value("our kernel, s", of(kernel, "wall")),
        ratio("Kite / our kernel, peak memory", of(kite, "memory"), of(kernel, "memory")),
        ratio("Kite / our table from blocks, peak memory", of(kite, "memory"), of(lazy, "memory")),
    ]
    return report("quadtree", "Quadtree of " + " x ".join(map(str, size)), rows, runs, data.results(small=small))


def agreement(theirs: Path, ours: Path) -> tuple[int, float]:
    """Number of leaves, and the largest difference of means and medians; an error if the leaves are not the same."""
    import numpy as np

    tables = [np.load(path) for path in (theirs, ours)]
    kite, own = (table[np.lexsort(table[:, 2::-1].T)] for table in tables)
    if kite.shape != own.shape or not (kite[:, :3] == own[:, :3]).all():
        raise AssertionError(f"Kite has {len(kite)} leaves, ours are {len(own)} or lie elsewhere")
    return len(own), float(np.abs(kite[:, 3:5] - own[:, 3:5]).max())
