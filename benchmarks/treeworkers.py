"""What the benchmark of quadtrees times, one function each; as in `benchmarks.workers`.

Kite's own interpreter runs this file too: only the standard library is imported at the top.
"""

from collections.abc import Generator
from typing import Any

Worker = Generator[None, None, Any]


def quadtree_kite(scene: str, target: str, epsilon: float, sizes: list[int], max_nan: float) -> Worker:
    """Divide with Kite's defaults (median); leaves with means and medians; run by Kite's interpreter."""
    import logging

    import numpy as np
    from kite import Scene

    logging.disable(logging.WARNING)
    values = np.load(scene)
    kite = Scene()
    kite.displacement = values
    kite.theta, kite.phi = np.full(values.shape, np.float32(0.9)), np.full(values.shape, np.float32(0.2))
    frame = kite.frame
    frame.llLat, frame.llLon, frame.dE, frame.dN, frame.spacing = 0.0, 0.0, 1.0, 1.0, "meter"
    yield
    tree = kite.quadtree
    tree.epsilon, tree.nan_allowed = epsilon, max_nan
    tree.tile_size_min, tree.tile_size_max = map(float, sizes)
    rows = [(n.llr, n.llc, n.length, n.mean, n.median, n.std) for n in tree.leaves]
    np.save(target, np.array(rows, np.float64))
    return {"leaves": len(rows)}


def quadtree_kernel(scene: str, target: str, epsilon: float, sizes: list[int], max_nan: float) -> Worker:
    """Divide with our kernel by Kite's rule, in one thread."""
    import numpy as np

    from mimtpy_cloud.kernels.quadtree import Rules, quadtree

    values = np.load(scene)
    rules = Rules(epsilon, *sizes, max_nan, "kite")
    quadtree(values[-256:, -256:], rules)  # which compiles it
    yield
    leaves = quadtree(values, rules)
    columns = (leaves.row, leaves.col, leaves.size, leaves.mean, leaves.median, leaves.scatter)
    np.save(target, np.column_stack(columns))
    return {"leaves": leaves.row.size}


def quadtree_lazy(scene: str, epsilon: float, sizes: list[int], max_nan: float) -> Worker:
    """Divide a dataset in blocks of 512 x 512, with looks, to the whole table, in two threads."""
    import dask
    import numpy as np
    import xarray as xr

    from mimtpy_cloud.ops.quadtree import quadtree

    dask.config.set(scheduler="threads", num_workers=2)
    values = np.load(scene, mmap_mode="r")
    ny, nx = values.shape
    look = np.broadcast_to(np.float32(0.5), values.shape)
    names = ("los_east", "los_north", "los_up")
    data: dict[str, Any] = dict.fromkeys(names, (("y", "x"), look))
    data["displacement"] = (("y", "x"), values, {"units": "m"})
    ds = xr.Dataset(data, {"y": 40 - 8e-4 * np.arange(ny), "x": 30 + 8e-4 * np.arange(nx)}).chunk(y=512, x=512)
    rules = {"epsilon": epsilon, "min_px": sizes[0], "max_px": sizes[1], "max_nan": max_nan}
    quadtree(ds.isel(y=slice(-256, None), x=slice(-256, None)), "displacement", rule="kite", **rules).compute()
    yield
    table = quadtree(ds, "displacement", rule="kite", **rules).compute()
    return {"leaves": table.sizes["leaf"]}


def read_values(scene: str) -> Worker:
    """Sum a map in one thread, as often as to be seen: the least that a pass over it takes."""
    import time

    import numpy as np

    values = np.nan_to_num(np.load(scene))
    yield
    start = time.perf_counter()
    for _ in range(5):
        values.sum()
    return {"seconds": (time.perf_counter() - start) / 5}
