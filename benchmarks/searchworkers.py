"""What is timed of searches over models; run as the workers of `benchmarks.workers`, which say how."""

import json
import time
from pathlib import Path
from typing import Any

from benchmarks.workers import NOISE, THREADS, Worker, in_threads

#: Models of a block, and points, as a stack has them.
ROWS, POINTS = 16, 131_000


def _ramp(kind: str) -> str | None:
    return None if kind == "none" else kind


# ---- maps


def search_mimtpy(folder: str, kind: str) -> Worker:
    """Compare models file by file as MimtPy does, writing nothing; run by MintPy's interpreter."""
    import numpy as np
    from mintpy.objects.ramp import deramp
    from mintpy.utils import readfile

    observed = np.load(f"{folder}/{kind}.npy")
    mask = np.isfinite(observed)
    files = sorted(Path(folder, "files").glob("*.h5"), key=lambda path: int(path.stem))

    def rms(path: Path) -> float:
        model, attributes = readfile.read(str(path), datasetName="velocity")
        difference = observed - model
        if _ramp(kind) is not None:
            difference, _ = deramp(difference, mask, ramp_type=kind, metadata=attributes)
        return float(np.sqrt(np.nansum(difference**2) / mask.sum()))

    rms(files[0])
    yield
    return {"models": len(files), "numbers": [int(path.stem) for path in files], "rms": [rms(path) for path in files]}


def search_ours(stack: str, observed: str, kind: str) -> Worker:
    """Search a stack with the library in threads; what is observed is in memory."""
    import tempfile

    import dask
    import numpy as np
    import xarray as xr

    from mimtpy_cloud.search import open_models, search_grid, write_models

    dask.config.set(scheduler="threads", num_workers=THREADS)
    values = np.load(observed)
    places = open_models(stack).template
    seen = xr.DataArray(values, {"y": places.y, "x": places.x}, ("y", "x"), attrs={"units": "m"})
    with tempfile.TemporaryDirectory() as folder:  # load all that it needs
        corner = seen[:40, :40]
        models = corner.fillna(0).expand_dims(depth=[1.0, 2.0, 3.0])
        search_grid(corner, write_models(models, f"{folder}/models.zarr"), ramp=_ramp(kind)).compute()
    yield
    models = open_models(stack)
    rms = search_grid(seen, models, ramp=_ramp(kind)).rms.stack(model=("place", "depth"), create_index=False).compute()
    return {"models": rms.size, "rms": rms.values.tolist(), "bytes": rms.size * 4 * values.size}


def search_exact(stack: str, observed: str, kind: str, models: list[int]) -> Worker:
    """Root mean squares of some models by least squares in double precision."""
    import numpy as np
    import xarray as xr

    values = np.load(observed).astype(float)
    known = np.isfinite(values)
    y, x = (grid[known] - 0.5 for grid in np.meshgrid(*(np.linspace(0, 1, n) for n in values.shape), indexing="ij"))
    terms = {"none": [], "linear": [1 + 0 * x, x, y], "quadratic": [1 + 0 * x, x, y, x * x, x * y, y * y]}[kind]
    yield
    stored, found = xr.open_zarr(stack, chunks=None).model_values, []
    for j in models:
        left = values[known] - stored[j].values[known].astype(float)
        if terms:
            design = np.stack(terms, axis=1)
            left = left - design @ np.linalg.lstsq(design, left)[0]
        found.append(float(np.sqrt(np.mean(left**2))))
    return {"rms": found}


def stack_decode(stack: str) -> Worker:
    """Read and decode every chunk of a stack with two threads, keeping nothing."""
    import threading

    import numpy as np

    from mimtpy_cloud.codec import decode
    from mimtpy_cloud.search import open_models

    models, own = open_models(stack), threading.local()
    chunks = [path for path in sorted(Path(stack, "model_values", "c").rglob("*")) if path.is_file()]
    decode(chunks[0].read_bytes(), np.empty(models.chunk, np.float32))

    def one(path: Path) -> int:
        if not hasattr(own, "buffer"):
            own.buffer = np.empty(models.chunk, np.float32)
        return int(decode(path.read_bytes(), own.buffer).nbytes)

    yield
    sizes = in_threads(one, chunks)
    return {"models": models.template.shape[0], "bytes": sum(sizes)}


def search_memory(stack: str, observed: str, kind: str, models: int) -> Worker:
    """Sum models that are in memory with our kernel in two threads, in turn with reading the same bytes."""
    import itertools

    import numpy as np
    from numba import njit

    from mimtpy_cloud.kernels.misfit import add_model_sums, prepare_fit
    from mimtpy_cloud.kernels.ramp import ramp_design
    from mimtpy_cloud.search import open_models

    @njit(nogil=True, fastmath=True)
    def total(block):  # type: ignore[no-untyped-def]
        found = np.float32(0)
        for i in range(block.size):
            found += block[i]
        return found

    values = np.load(observed).astype(float).reshape(-1)
    y, x = (grid.reshape(-1) for grid in np.meshgrid(*(np.arange(n) for n in np.load(observed).shape), indexing="ij"))
    design = np.empty((values.size, 0)) if _ramp(kind) is None else ramp_design(kind, x / 10.0, y / 10.0)
    fit = prepare_fit(values, design)
    stored = open_models(stack)
    held = np.empty((models, values.size), np.float32)
    count = stored.template.shape[0] // ROWS * ROWS
    for block in range(0, models, ROWS):
        first = block % count
        for rows, points, part in stored.rows(slice(first, first + ROWS)).read():
            held[block + rows.start : min(block + rows.stop, models), points] = part[: models - block - rows.start]
    # pieces that lie in one piece, as decoded chunks do
    blocks = [
        (points, np.ascontiguousarray(held[block : block + ROWS, points : points + POINTS]))
        for block, points in itertools.product(range(0, models, ROWS), range(0, values.size, POINTS))
    ]
    del held

    def score(piece: Any) -> Any:
        points, part = piece
        sums = np.zeros((len(part), 4 + fit.basis.shape[0]))
        add_model_sums(sums, part, fit, points)
        return sums

    def read(piece: Any) -> float:
        return float(total(piece[1].reshape(-1)))

    total(np.ones(3, np.float32))
    yield
    seconds = []
    for _ in range(6):
        seconds.append([_timed(lambda job=job: in_threads(job, blocks)) for job in (score, read)])
    return {"models": models, "bytes": sum(part.nbytes for _, part in blocks), "seconds": seconds[1:]}


def _timed(function: Any) -> float:
    start = time.perf_counter()
    function()
    return time.perf_counter() - start


# ---- points with a full covariance


def covariance_mimtpy(folder: str) -> Worker:
    """Invert the covariance, and compare models file by file as MimtPy does."""
    import numpy as np

    points = dict(np.load(f"{folder}/points.npz"))
    sill, length, nugget = NOISE
    files = sorted(Path(folder, "files").glob("*.json"), key=lambda path: int(path.stem))
    yield
    start = time.perf_counter()
    distance = np.hypot(*(points[name][:, np.newaxis] - points[name] for name in ("x_km", "y_km")))
    inverse = np.linalg.inv(sill * np.exp(-distance / length) + nugget * np.eye(len(distance)))
    inverted, reading, misfits = time.perf_counter(), 0.0, []
    for path in files:
        begun = time.perf_counter()
        rows = np.array(json.loads(path.read_text())["displacement"])
        reading += time.perf_counter() - begun
        north, east, down = rows[:, 2:].T
        left = points["observed"] - points["look"] @ np.stack([east, north, -down])
        misfits.append(float(left @ inverse @ left))
    each = (time.perf_counter() - inverted) / len(files)
    found = {"inverse": inverted - start, "each": each, "reading": reading / len(files), "misfits": misfits}
    return {**found, "numbers": [int(path.stem) for path in files]}


def covariance_ours(folder: str) -> Worker:
    """Search a stack with the library in threads, given a model of the covariance."""
    import tempfile

    import dask
    import numpy as np
    import xarray as xr

    from mimtpy_cloud.kernels.covariance import CovarianceModel
    from mimtpy_cloud.search import open_models, search_grid, write_models

    dask.config.set(scheduler="threads", num_workers=THREADS)
    points = dict(np.load(f"{folder}/points.npz"))
    places = {name: ("point", points[name]) for name in ("lon", "lat")}
    seen = xr.DataArray(points["observed"], places, ("point",), attrs={"units": "m"})
    sill, length, nugget = NOISE
    noise = CovarianceModel("exponential", sill, length, nugget)

    def search(seen: Any, stack: Any) -> Any:
        return search_grid(seen, stack, "misfit", covariance=noise).misfit.compute()

    with tempfile.TemporaryDirectory() as temporary:  # load all that it needs
        few = seen[:50]
        search(few, write_models(few.expand_dims(depth=[1.0, 2.0, 3.0]), f"{temporary}/models.zarr"))
    yield
    found = search(seen, open_models(f"{folder}/models.zarr")).stack(model=("volume", "depth"), create_index=False)
    return {"models": found.size, "misfits": found.values.tolist()}


def covariance_kernels(folder: str, models: int) -> Worker:
    """Factor the covariance, whiten models, and multiply matrices of the same size of work, in turn."""
    import numpy as np
    from scipy.linalg.blas import dgemm

    from mimtpy_cloud.kernels.covariance import CovarianceModel, covariance_matrix
    from mimtpy_cloud.kernels.whiten import whiten_dense

    points = dict(np.load(f"{folder}/points.npz"))
    sill, length, nugget = NOISE
    matrix = covariance_matrix(points["x_km"], points["y_km"], CovarianceModel("exponential", sill, length, nugget))
    n = len(matrix)
    rows = np.random.default_rng(0).normal(size=(models, n))
    side = min(4096, n)
    square = np.asfortranarray(
        rows.reshape(-1)[: side * side].reshape(side, side) if models * n >= side * side else matrix
    )
    whitener = whiten_dense(matrix[:500, :500])
    whitener.whiten(rows[:9, :500])
    dgemm(1.0, square[:500, :500], square[:500, :500])
    out = np.zeros_like(square)
    yield
    rates: dict[str, list[float]] = {"potrf": [], "trsm": [], "dgemm": []}
    for _ in range(3):
        copy = matrix.copy()
        start = time.perf_counter()
        whitener = whiten_dense(copy, overwrite=True)
        factored = time.perf_counter()
        whitener.whiten(rows)
        whitened = time.perf_counter()
        dgemm(1.0, square, square, 0.0, out, overwrite_c=True)
        end = time.perf_counter()
        rates["potrf"].append(n**3 / 3 / (factored - start) / 1e9)
        rates["trsm"].append(models * n**2 / (whitened - factored) / 1e9)
        rates["dgemm"].append(2 * len(square) ** 3 / (end - whitened) / 1e9)
    return rates
