"""What is timed: every worker runs alone in a fresh interpreter, ``python -m benchmarks.workers NAME JSON``.

A worker is a generator. It imports and prepares up to its one ``yield``; from there on it is
measured; what it returns is its result. Only the standard library is imported at the top, because
MintPy's own interpreter runs this file too.
"""

import contextlib
import json
import os
import resource
import sys
import time
from collections.abc import Callable, Generator, Iterator
from pathlib import Path
from typing import Any

Worker = Generator[None, None, Any]

GRID = "HDFEOS/GRIDS/timeseries"
GROUPS = ("observation", "geometry", "quality")
THREADS = 2
BLOCK = 8 << 20
#: Noise of points: sill in m^2, range in km, nugget in m^2.
NOISE = (2.8e-4, 19.2, 9.1e-5)


# ---- ingest: peers and ours


@contextlib.contextmanager
def _middle(source: str) -> Iterator[str]:
    """File of a few pixels from the middle of another, by which a converter loads all that it needs."""
    import tempfile

    from mimtpy_cloud.exports.hdfeos5 import hdfeos5_name, write_hdfeos5
    from mimtpy_cloud.io.sources import open_source

    with tempfile.TemporaryDirectory() as folder:
        ds = open_source(source)
        y, x = ds.sizes["y"] // 2, ds.sizes["x"] // 2
        ds = ds.isel(time=slice(4), y=slice(y, y + 100), x=slice(x, x + 100))
        small = f"{folder}/{hdfeos5_name(ds)}"
        write_hdfeos5(ds, small)
        yield small


def zarr_naive(source: str, target: str) -> Worker:
    """Convert with xarray's defaults, one Zarr chunk for each HDF5 chunk."""
    import dask
    import xarray as xr

    dask.config.set(scheduler="threads", num_workers=THREADS)

    def convert(source: str, target: str) -> None:
        for group in GROUPS:
            ds = xr.open_dataset(source, group=f"{GRID}/{group}", engine="h5netcdf", phony_dims="sort", chunks={})
            ds.to_zarr(target, group=group, mode="w")

    with _middle(source) as small:
        convert(small, f"{small}.zarr")
    yield
    convert(source, target)


def zarr_tuned(source: str, target: str, inner: list[int], shard: list[int], codec: dict[str, Any]) -> Worker:
    """Convert as an expert would with xarray: shard-aligned blocks, our chunks and codec, no masking."""
    import dask
    import xarray as xr
    from zarr.codecs import BloscCodec

    dask.config.set(scheduler="threads", num_workers=THREADS)
    compressor = BloscCodec(**codec)

    def convert(source: str, target: str) -> None:
        for group in GROUPS:
            ds = xr.open_dataset(
                source, group=f"{GRID}/{group}", engine="h5netcdf", phony_dims="sort", mask_and_scale=False, chunks=None
            )
            encoding = {
                name: {"chunks": inner[-v.ndim :], "shards": shard[-v.ndim :], "compressors": compressor}
                for name, v in ds.data_vars.items()
                if v.ndim > 1
            }
            sides = [dict(zip(v.dims, shard[-v.ndim :], strict=True)) for v in ds.data_vars.values()]
            ds.chunk({dim: side for part in sides for dim, side in part.items()}).to_zarr(
                target, group=group, mode="w", encoding=encoding
            )

    with _middle(source) as small:
        convert(small, f"{small}.zarr")
    yield
    convert(source, target)


def ingest_ours(source: str, root: str, sync: bool = False) -> Worker:
    """Ingest into a catalog root; `sync` also waits until every byte is on the disk."""
    from mimtpy_cloud.catalog.ingest import ingest

    with _middle(source) as small:
        ingest([small], f"{small}.root", resolution="standard")
    yield
    ingest([source], root, resolution="standard")
    if sync:
        for path in Path(root).rglob("*"):
            if path.is_file():
                _fsync(path)


# ---- velocity: MintPy and ours


def velocity_mintpy(source: str, target: str) -> Worker:
    """Estimate velocity with MintPy's own command; run by MintPy's interpreter."""
    import matplotlib as mpl

    mpl.use("Agg")
    import mintpy.timeseries2velocity  # noqa: F401
    from mintpy.cli.timeseries2velocity import main

    yield
    main([source, "-o", target])


def velocity_ours(root: str, track: str, target: str, time_convention: str = "elapsed") -> Worker:
    """Open a track, estimate its velocity and write what was fitted, as MintPy does, through the library."""
    import shutil

    from mimtpy_cloud.catalog.tracks import open_track
    from mimtpy_cloud.exports.zarr import write_zarr
    from mimtpy_cloud.ops.rate import estimate_velocity

    series = open_track(root, track)
    wanted = ["velocity", "velocity_std", "intercept", "count"]
    write_zarr(estimate_velocity(series.isel(y=slice(8), x=slice(8)))[wanted], target)  # load all that it needs
    shutil.rmtree(target)
    yield
    write_zarr(estimate_velocity(open_track(root, track), time_convention=time_convention)[wanted], target)


# ---- ramp: MintPy and ours, repeated within a process; the first time warms up


def ramp_mintpy(maps: str, kind: str) -> Worker:
    """Remove a ramp from a difference that is in memory with MintPy's function; run by MintPy's interpreter."""
    import numpy as np
    from mintpy.objects.ramp import deramp

    first, second = (np.load(f"{maps}/{name}.npy") for name in "ab")
    difference = first - second
    yield
    seconds, (_, ramp) = repeat(lambda: deramp(difference, ramp_type=kind, ignore_zero_value=False), times=3)
    return {"seconds": seconds, "error": _ramp_error(ramp, difference, maps, kind)}


def ramp_ours(maps: str, kind: str) -> Worker:
    """Subtract two maps in memory and remove the ramp of the difference, through the library."""
    import dask
    import numpy as np
    import xarray as xr

    from mimtpy_cloud.ops.deramp import remove_ramp
    from mimtpy_cloud.ops.difference import subtract

    dask.config.set(scheduler="threads", num_workers=THREADS)
    arrays = [np.load(f"{maps}/{name}.npy") for name in "ab"]
    ny, nx = arrays[0].shape
    coords = {"y": 38.0 - (np.arange(ny) + 0.5) / 1250, "x": -119.0 + (np.arange(nx) + 0.5) / 1250}
    rows = -(-ny // 4)
    first, second = (xr.DataArray(a, coords, ("y", "x"), attrs={"units": "m"}).chunk(y=rows) for a in arrays)
    yield
    seconds, flat = repeat(lambda: remove_ramp(subtract(first, second), kind).compute())
    difference = arrays[0] - arrays[1]
    return {"seconds": seconds, "error": _ramp_error(difference - flat.values, difference, maps, kind)}


def ramp_kernel(maps: str, kind: str) -> Worker:
    """Subtract two maps in memory and remove the ramp of the difference, with the kernels alone in two threads."""
    from concurrent.futures import ThreadPoolExecutor

    import numpy as np

    from mimtpy_cloud.kernels.ramp import evaluate_ramp, subtract_ramp
    from mimtpy_cloud.kernels.rampfit import accumulate_ramp, solve_ramp

    first, second = (np.load(f"{maps}/{name}.npy") for name in "ab")
    (ny, nx), step = first.shape, -(-first.shape[0] // (2 * THREADS))
    x, y = np.linspace(-nx / 2, nx / 2, nx) / 10, np.linspace(ny / 2, -ny / 2, ny) / 10
    strips = [slice(start, min(start + step, ny)) for start in range(0, ny, step)]
    difference = np.empty_like(first)

    def fit(strip: slice) -> Any:
        np.subtract(first[strip], second[strip], out=difference[strip])
        return accumulate_ramp(difference[strip], x, y[strip], kind, scale=nx / 20)

    yield
    with ThreadPoolExecutor(THREADS) as pool:

        def once() -> Any:
            ramp = solve_ramp(sum(pool.map(fit, strips)), kind, nx / 20)[0]

            def apply(strip: slice) -> Any:
                return subtract_ramp(difference[strip], ramp, x, y[strip], kind)

            return ramp, list(pool.map(apply, strips))

        seconds, (ramp, _) = repeat(once)
    error = _ramp_error(evaluate_ramp(ramp, x, y, kind), difference, maps, kind)
    return {"seconds": seconds, "error": error, "bytes": 6 * first.nbytes}


def triad_memory(maps: str) -> Worker:
    """Write a + 2 b into a third map with two threads."""
    from concurrent.futures import ThreadPoolExecutor

    import numpy as np
    from numba import njit

    @njit(nogil=True, fastmath={"contract"})
    def triad(a, b, c):  # type: ignore[no-untyped-def]
        for i in range(a.size):
            c[i] = a[i] + np.float32(2) * b[i]

    first, second = (np.load(f"{maps}/{name}.npy").ravel() for name in "ab")
    third = np.ones_like(first)
    parts = list(zip(*(np.array_split(m, THREADS) for m in (first, second, third)), strict=True))
    yield
    with ThreadPoolExecutor(THREADS) as pool:
        seconds, _ = repeat(lambda: list(pool.map(lambda part: triad(*part), parts)))
    return {"seconds": seconds, "bytes": 3 * first.nbytes}


def repeat(function: Callable[[], Any], times: int = 9) -> tuple[list[float], Any]:
    """Seconds of each repetition but the first, and the last result."""
    seconds, result = [], None
    for _ in range(times + 1):
        start = time.perf_counter()
        result = function()
        seconds.append(time.perf_counter() - start)
    return seconds[1:], result


def _ramp_error(ramp: Any, difference: Any, maps: str, kind: str) -> float:
    """Largest error of a ramp where there are data, for the part of the true one that the kind has."""
    import numpy as np

    known = np.isfinite(difference)
    wanted = np.load(f"{maps}/{kind}.npy")
    return float(np.abs(ramp - wanted)[known].max())


def command(arguments: list[str]) -> Worker:
    """Run ``mimtpy``; the measured part includes all of its imports."""
    sys.argv = ["mimtpy", *arguments]
    yield
    from mimtpy_cloud.cli.app import main as mimtpy

    try:
        mimtpy()
    except SystemExit as stop:
        if stop.code:
            raise


# ---- mosaic: MintPy and ours


def mosaic_mintpy(files: list[str], target: str) -> Worker:
    """Stitch velocities with MintPy's own command; run by MintPy's interpreter."""
    import matplotlib as mpl

    mpl.use("Agg")
    import mintpy.image_stitch  # noqa: F401
    from mintpy.cli.image_stitch import main

    yield
    main([*files, "-o", target, "--nodisplay"])


def mosaic_ours(stores: list[str], target: str, robust: bool = True) -> Worker:
    """Adjust and blend velocities, from store to store."""
    import shutil

    import xarray as xr

    from mimtpy_cloud.exports.zarr import write_zarr
    from mimtpy_cloud.ops.adjustment import estimate_adjustment
    from mimtpy_cloud.ops.mosaic import mosaic

    def join(tracks: list[Any]) -> Any:
        return mosaic(tracks, estimate_adjustment(tracks, anchor=0, robust=robust))[["velocity"]]

    corner = xr.open_zarr(stores[0], chunks={}).isel(y=slice(50), x=slice(50, 100))
    write_zarr(join([corner, corner.assign_attrs(track="B001")]), target)  # load all that it needs
    shutil.rmtree(target)
    yield
    write_zarr(join([xr.open_zarr(store, chunks={}) for store in stores]), target)


def series_mimtpy(files: list[str], target: str) -> Worker:
    """Join two series as MimtPy does: all in memory, on each date a median offset and the mean, 64 bits in the file."""
    import h5py
    import numpy as np

    yield
    cubes, corners = [], []
    for path in files:
        with h5py.File(path) as file:
            cubes.append(file[f"{GRID}/observation/displacement"][:])
            step = float(file.attrs["X_STEP"])
            corners.append(float(file.attrs["X_FIRST"]))
    shift = round((corners[1] - corners[0]) / step)
    dates, rows, columns = cubes[0].shape
    joined = np.full((dates, rows, shift + columns), np.nan)
    for first, second, out in zip(*cubes, joined, strict=True):
        moved = second + np.nanmedian(first[:, shift:] - second[:, : columns - shift])
        out[:, :columns], out[:, columns:] = first, moved[:, columns - shift :]
        common = np.stack([first[:, shift:], moved[:, : columns - shift]])
        known = np.isfinite(common)
        with np.errstate(invalid="ignore"):
            out[:, shift:columns] = np.where(known, common, 0).sum(axis=0) / known.sum(axis=0)
    with h5py.File(target, "w") as file:
        file["timeseries"] = joined


def series_ours(root: str, target: str) -> Worker:
    """Join two series of a catalog, from store to store."""
    import shutil

    from mimtpy_cloud.catalog.tracks import open_track
    from mimtpy_cloud.exports.zarr import write_zarr
    from mimtpy_cloud.ops.mosaic import mosaic

    def join(tracks: list[Any]) -> Any:
        return mosaic(tracks, anchor=0)[["displacement"]]

    corner = open_track(root, "A001").isel(y=slice(50), x=slice(-400, -300))
    write_zarr(join([corner, corner.assign_attrs(track="B001")]), target)  # load all that it needs
    shutil.rmtree(target)
    yield
    write_zarr(join([open_track(root, track) for track in ("A001", "A002")]), target)


def blend_ours(stores: list[str]) -> Worker:
    """Blend velocities that are in memory already, with offsets that are known."""
    import dask
    import xarray as xr

    from mimtpy_cloud.ops.adjustment import estimate_adjustment
    from mimtpy_cloud.ops.mosaic import mosaic

    dask.config.set(scheduler="threads", num_workers=THREADS)
    tracks = [xr.open_zarr(store, chunks=None).load().chunk(y=625, x=625) for store in stores]
    known = estimate_adjustment(tracks, anchor=0).compute()
    yield

    def blend() -> Any:
        return mosaic(tracks, known)["velocity"].compute()

    seconds, blended = repeat(blend)
    return {"seconds": seconds, "bytes": sum(ds.velocity.nbytes for ds in tracks) + blended.nbytes}


def blend_kernel(stores: list[str]) -> Worker:
    """Blend the same with the kernel alone, block by block in two threads; each block is dropped, as if written."""
    import itertools

    import numpy as np
    import xarray as xr

    from mimtpy_cloud.kernels.blend import blend_mean

    tracks = [xr.open_zarr(store, chunks=None).velocity.load() for store in stores]
    step = float(tracks[0].x[1] - tracks[0].x[0])
    west, north = min(float(v.x[0]) for v in tracks), max(float(v.y[0]) for v in tracks)
    places = [(round((north - float(v.y[0])) / step), round((float(v.x[0]) - west) / step)) for v in tracks]
    shape = tuple(
        max(place[axis] + v.shape[axis] for place, v in zip(places, tracks, strict=True)) for axis in range(2)
    )
    jobs = []
    for top, left in itertools.product(range(0, shape[0], 625), range(0, shape[1], 625)):
        bottom, right = min(top + 625, shape[0]), min(left + 625, shape[1])
        patches, offsets = [], []
        for k, ((row, col), v) in enumerate(zip(places, tracks, strict=True)):
            block = v.values[max(top - row, 0) : max(bottom - row, 0), max(left - col, 0) : max(right - col, 0)]
            if block.size:
                patches.append((block, max(row - top, 0), max(col - left, 0)))
                offsets.append(0.001 * k)
        jobs.append(((bottom - top, right - left), patches, offsets))
    yield
    seconds, _ = repeat(lambda: in_threads(lambda job: np.isnan(blend_mean(*job)[0, 0]), jobs))
    return {"seconds": seconds, "bytes": sum(v.nbytes for v in tracks) + 4 * shape[0] * shape[1]}


def mosaic_virtual(size: list[int], count: int, repeat: int) -> Worker:
    """Adjust and blend tracks that exist nowhere, `repeat` times as high, and keep one number of each block."""
    import dask
    import dask.array as da
    import numpy as np
    import xarray as xr

    from mimtpy_cloud.ops.adjustment import estimate_adjustment
    from mimtpy_cloud.ops.mosaic import mosaic
    from mimtpy_cloud.plan.grid import Window
    from mimtpy_cloud.schema import VARIABLES

    dask.config.set(scheduler="threads", num_workers=THREADS)
    height, width = size[0] * repeat, size[1]
    step = width * 3 // 4

    def block(track: int, block_info: Any) -> np.ndarray:
        shape, place = block_info[None]["chunk-shape"], block_info[None]["chunk-location"]
        return np.random.default_rng((track, *place)).standard_normal(shape, np.float32)

    tracks = []
    for k in range(count):
        window = Window(1250, 12500, 1250 * 20 + k * step, height, width)
        chunks = tuple((625,) * (n // 625) + ((n % 625,) if n % 625 else ()) for n in (height, width))
        values = da.map_blocks(block, k, chunks=chunks, dtype=np.float32, meta=np.empty((0, 0), np.float32))
        attrs = {"track": f"A{k:03d}", "pixels_per_degree": 1250, "orbit_direction": "ascending", "look_side": "right"}
        variable = (("y", "x"), values + np.float32(k), VARIABLES["velocity"].attrs)
        tracks.append(xr.Dataset({"velocity": variable}, {"y": window.y, "x": window.x}, attrs))
    yield
    adjustment = estimate_adjustment(tracks, anchor=0).compute()
    joined = mosaic(tracks, adjustment)["velocity"]
    joined.data.map_blocks(lambda b: np.full((1, 1), np.nanmean(b)), chunks=(1, 1), dtype=np.float32).compute()
    return {"bytes": 4 * height * width * count}


# ---- decomposition: MintPy, least squares, and ours

EAST, NORTH, UP = 0.03, 0.01, -0.01


def angles(size: list[int], track: int) -> tuple[Any, Any]:
    """Incidence and azimuth (MintPy's, anticlockwise from north) in degrees, that vary over a map as real ones do."""
    import numpy as np

    across = np.linspace(0, 1, size[1], dtype=np.float32)
    azimuth = (102.0, -102.0, 60.0, -150.0)[track]
    incidence = 30.0 + 3.0 * track + 15.0 * (across if azimuth > 0 else across[::-1])
    return (np.broadcast_to(v, size).astype(np.float32) for v in (incidence, azimuth + 2 * across))  # type: ignore[return-value]


def looks(size: list[int], tracks: int) -> Any:
    """Unit vectors from ground to satellite, shape (track, 3, y, x)."""
    import numpy as np

    vectors = np.empty((tracks, 3, *size), np.float32)
    for k in range(tracks):
        incidence, azimuth = (np.deg2rad(angle, dtype=np.float64) for angle in angles(size, k))
        vectors[k] = -np.sin(incidence) * np.sin(azimuth), np.sin(incidence) * np.cos(azimuth), np.cos(incidence)
    return vectors


def enu_mintpy(size: list[int]) -> Worker:
    """Decompose two maps that are in memory with MintPy's function; run by MintPy's interpreter."""
    import contextlib
    import io

    import numpy as np
    from mintpy.asc_desc2horz_vert import asc_desc2horz_vert

    incidence, azimuth = (np.stack(part) for part in zip(*(angles(size, k) for k in range(2)), strict=True))
    vectors = looks(size, 2)
    los = vectors[:, 0] * np.float32(EAST) + vectors[:, 2] * np.float32(UP)
    yield

    def once() -> Any:
        with contextlib.redirect_stdout(io.StringIO()):
            return asc_desc2horz_vert(los, incidence, azimuth)

    seconds, (east, up) = repeat(once, times=1)
    error = max(float(np.abs(east - EAST).max()), float(np.abs(up - UP).max()))
    return {"seconds": seconds, "error": error, "pixels": east.size}


def enu_lstsq(pixels: int = 20_000) -> Worker:
    """Solve three components of some pixels one after the other with numpy."""
    import numpy as np

    vectors = looks([1, pixels], 4).reshape(4, 3, pixels).astype(np.float64)
    los = np.einsum("kcp,c->kp", vectors, [EAST, NORTH, UP])
    yield
    seconds, _ = repeat(lambda: [np.linalg.lstsq(vectors[:, :, p], los[:, p])[0] for p in range(pixels)], times=1)
    return {"seconds": seconds, "pixels": pixels}


def enu_kernel(size: list[int], tracks: int, three: bool) -> Worker:
    """Decompose with our kernel, block by block in two threads; each block is dropped, as if written."""
    import numpy as np

    from mimtpy_cloud.kernels.enu import invert_enu

    vectors = looks(size, tracks)
    los = vectors[:, 0] * np.float32(EAST) + vectors[:, 2] * np.float32(UP)
    side, std = 98, np.inf if three else 0.0  # as many pixels as a block of the store
    blocks = []
    for top in range(0, size[0], side):
        part = np.s_[..., top : min(top + side, size[0]), :]
        count = los[part][0].size
        sigma = np.full((tracks, count), 0.001, np.float32)
        blocks.append((los[part].reshape(tracks, count), vectors[part].reshape(tracks, 3, count), sigma))
    del los, vectors
    errors = []
    yield

    def solve(block: Any) -> Any:
        return invert_enu(*block, across_std=std, max_gain=1e3)[:2, ::999].copy()

    seconds, found = repeat(lambda: in_threads(solve, blocks))
    for part in found:
        errors.append(max(float(np.abs(part[0] - EAST).max()), float(np.abs(part[1] - UP).max())))
    pixels = size[0] * size[1]
    rows = 15 if three else 11
    return {"seconds": seconds, "error": max(errors), "pixels": pixels, "bytes": 4 * pixels * (5 * tracks + rows)}


def decompose_mintpy(files: list[str], geometry: list[str], targets: list[str]) -> Worker:
    """Decompose two velocities with MintPy's own command, from file to file; run by MintPy's interpreter."""
    import mintpy.asc_desc2horz_vert  # noqa: F401
    from mintpy.cli.asc_desc2horz_vert import main

    yield
    main([*files, "-g", *geometry, "-o", *targets])


def decompose_virtual(size: list[int], repeat: int) -> Worker:
    """Decompose three tracks that exist nowhere, `repeat` times as high, and keep one number of each block."""
    import dask
    import dask.array as da
    import numpy as np
    import xarray as xr

    from mimtpy_cloud.ops.enu import invert_enu
    from mimtpy_cloud.plan.grid import Window
    from mimtpy_cloud.schema import VARIABLES

    dask.config.set(scheduler="threads", num_workers=THREADS)
    window = Window(1250, 12500, 1250 * 20, size[0] * repeat, size[1])
    chunks = tuple((625,) * (n // 625) + ((n % 625,) if n % 625 else ()) for n in window.shape)

    def noise(track: int, block_info: Any) -> np.ndarray:
        shape, place = block_info[None]["chunk-shape"], block_info[None]["chunk-location"]
        return np.random.default_rng((track, *place)).standard_normal(shape, np.float32)

    tracks = []
    for k in range(3):
        vector = looks([1, 1], 3)[k, :, 0, 0]
        layers = {
            "velocity": da.map_blocks(noise, k, chunks=chunks, dtype=np.float32, meta=np.empty((0, 0), np.float32))
        }
        flat = {"velocity_std": 1e-3, **dict(zip(("los_east", "los_north", "los_up"), vector, strict=True))}
        layers |= {name: da.full(window.shape, np.float32(v), chunks=chunks) for name, v in flat.items()}
        attrs = {"track": f"A{k:03d}", "pixels_per_degree": 1250, "reference_point": [0.0, 0.0]}
        variables = {name: (("y", "x"), v, VARIABLES[name].attrs) for name, v in layers.items()}
        tracks.append(xr.Dataset(variables, {"y": window.y, "x": window.x}, attrs))
    yield
    found = invert_enu(tracks)
    kept = [v.data for v in found.data_vars.values() if v.ndim == 2 and v.dtype == np.float32]
    one = [v.map_blocks(lambda b: np.full((1, 1), np.nanmean(b)), chunks=(1, 1), dtype=np.float32) for v in kept]
    dask.compute(*one)
    return {"bytes": 4 * window.ny * window.nx * (3 * len(layers) + len(kept))}


# ---- decomposition of series: dense, and ours

WEIGHT = 100.0


def _timeline(dates: int, pixels: int) -> tuple[Any, Any]:
    """Lines of sight of four tracks with dates of their own, a fifth missing, and their timeline in years."""
    import numpy as np

    from mimtpy_cloud.kernels.timeline import Observations

    rng = np.random.default_rng(0)
    days = [12 * np.arange(dates) + offset for offset in (0, 5, 7, 10)]
    union = np.unique(np.concatenate(days))
    years, track = union / 365.25, np.repeat(np.arange(4), dates)
    epoch = np.searchsorted(union, np.concatenate(days))
    vectors = looks([1, pixels], 4).reshape(4, 3, pixels)
    motion = np.stack([EAST * years, 0 * years, UP * years + 0.01 * np.sin(2 * np.pi * years)])
    los = np.einsum("ocp,co->op", vectors[track], motion[:, epoch]) + 0.004 * rng.normal(size=(track.size, pixels))
    los[rng.random(los.shape) < 0.2] = np.nan
    return Observations(los.astype(np.float32), track, epoch, vectors, np.full(track.size, 0.004)), years


def _dense(obs: Any, years: Any, pixel: int) -> tuple[Any, Any]:
    """East and up of one pixel and their standard deviations, from dense normal equations."""
    import numpy as np

    known = np.flatnonzero(np.isfinite(obs.displacement[:, pixel]))
    track, epoch, n = obs.track[known], obs.epoch[known], years.size
    rows = np.zeros((known.size, 2 * n + 4))
    each = np.arange(known.size)
    rows[each, 2 * epoch], rows[each, 2 * epoch + 1] = obs.look[track, 0, pixel], obs.look[track, 2, pixel]
    rows[each, 2 * n + track] = 1.0
    span = years[2:] - years[:-2]
    bend = np.diff(np.diff(np.eye(n), axis=0) / np.diff(years)[:, None], axis=0) * np.sqrt(2.0 / span)[:, None]
    penalty, weight = WEIGHT * bend.T @ bend, 1.0 / obs.sigma[known] ** 2
    normal = rows.T @ (weight[:, None] * rows)
    normal[0 : 2 * n : 2, 0 : 2 * n : 2] += penalty
    normal[1 : 2 * n : 2, 1 : 2 * n : 2] += penalty
    right = rows.T @ (weight * obs.displacement[known, pixel])
    covariance = np.linalg.inv(normal[2:, 2:])
    found = np.concatenate([np.zeros((2, 2)), np.stack([covariance @ right[2:], np.sqrt(np.diag(covariance))]).T])
    solution: tuple[Any, Any] = tuple(found[: 2 * n].reshape(n, 2, 2).transpose(2, 1, 0))
    return solution


def timeline_dense(dates: int, pixels: int) -> Worker:
    """Decompose the series of some pixels one after the other with numpy."""
    obs, years = _timeline(dates, pixels)
    yield
    seconds, _ = repeat(lambda: [_dense(obs, years, p) for p in range(pixels)], times=1)
    return {"seconds": seconds, "pixels": pixels}


def timeline_kernel(dates: int, pixels: int, order: int) -> Worker:
    """Decompose series with our kernel in two threads, and compare some pixels with dense normal equations."""
    from dataclasses import replace

    import numpy as np

    from mimtpy_cloud.kernels.timeline import decompose_series

    obs, years = _timeline(dates, pixels)
    side = pixels // 8
    parts = [slice(first, first + side) for first in range(0, pixels, side)]
    blocks = [replace(obs, displacement=obs.displacement[:, p], look=obs.look[..., p]) for p in parts]
    yield

    def solve(block: Any) -> Any:
        found = decompose_series(block, years, years, order=order, regularisation=WEIGHT)
        return found.motion[..., 0].copy(), found.std[..., 0].copy()

    seconds, found = repeat(lambda: in_threads(solve, blocks))
    errors = [0.0, 0.0]
    for part, ours in zip(parts, found, strict=True) if order == 1 else []:
        dense = _dense(obs, years, part.start)
        errors = [max(e, float(np.abs(a - b).max())) for e, a, b in zip(errors, ours, dense, strict=True)]
    return {"seconds": seconds, "pixels": pixels, "error": errors[0], "std_error": errors[1]}


def timeline_chosen(dates: int, pixels: int) -> Worker:
    """Judge one weight of the penalty by cross-validation with our kernel."""
    import numpy as np

    from mimtpy_cloud.kernels.timeline import cross_validation

    obs, years = _timeline(dates, pixels)
    yield
    seconds, _ = repeat(lambda: cross_validation(obs, years, order=1, regularisation=np.array([WEIGHT])))
    return {"seconds": seconds, "pixels": pixels}


# ---- graph


def open_many_bands(root: str, track: str) -> Worker:
    """Open a track of many bands and build the graph of its velocity, five times; time each."""
    from mimtpy_cloud.catalog.tracks import open_track
    from mimtpy_cloud.ops.rate import estimate_velocity

    yield
    seconds = []
    for _ in range(5):
        start = time.perf_counter()
        ds = open_track(root, track, resolution="veryLowRes")
        opened = time.perf_counter()
        rate = estimate_velocity(ds)
        seconds.append([opened - start, time.perf_counter() - opened])
    return {"seconds": seconds, "keys": len(rate.velocity.__dask_graph__()), "shape": ds.displacement.shape}


# ---- two worker processes, from the local disk, an object store, or through the cache


@contextlib.contextmanager
def _two_workers(environment: dict[str, str]) -> Iterator[None]:
    """Two processes of one thread, which know the store and the cache."""
    from mimtpy_cloud.cluster import connect

    os.environ.update(environment)
    with connect("local", workers=2, threads=1) as connection:
        connection.client.run(_load)
        yield


def _load() -> None:
    """Load all that a worker needs, by work on a few pixels that exist nowhere."""
    import dask
    import numpy as np
    import xxhash  # noqa: F401

    from mimtpy_cloud.io.cache import cached_storage
    from mimtpy_cloud.ops.mosaic import mosaic
    from mimtpy_cloud.ops.rate import estimate_velocity
    from mimtpy_cloud.ops.simulate import simulate_scene
    from mimtpy_cloud.plan.grid import Window

    cached_storage("s3://nobody/nowhere")
    with dask.config.set(scheduler="synchronous"):
        dates = np.arange("2020-01-01", "2020-01-09", dtype="datetime64[D]")
        scene = simulate_scene(Window(1250, 60000, 80000, 200, 200), dates=dates)
        rate = estimate_velocity(scene)
        mosaic([rate, rate.assign_attrs(track="B001")]).compute()


def _tracks(root: str) -> list[Any]:
    from mimtpy_cloud.catalog.index import open_catalog
    from mimtpy_cloud.catalog.tracks import open_entry

    catalog = open_catalog(root)
    return [open_entry(catalog.root, entry) for entry in catalog.search()]


def _tracks_by_s3fs(root: str) -> list[Any]:
    """The same from the band stores, as xarray and s3fs open them: chunks as large as shards."""
    import xarray as xr

    from mimtpy_cloud.catalog.index import open_catalog

    catalog, found = open_catalog(root), []
    options = {"endpoint_url": os.environ["AWS_ENDPOINT_URL"]}
    how: dict[str, Any] = {"zarr_format": 3, "chunks": {}, "decode_coords": "all"}
    for entry in catalog.search():
        bands = [
            xr.open_zarr(f"{root}/{entry.store_key(band)}", storage_options=options, **how)
            for band in sorted(entry.bands, reverse=True)
        ]
        whole = bands[0] if len(bands) == 1 else xr.concat(bands, "y", data_vars="minimal", join="override")
        rows, cols = entry.extent.slices_in(_window(whole, entry.pixels_per_degree))
        found.append(whole.isel(y=rows, x=cols).assign_attrs(_tracks_attrs(entry)))
    return found


def _window(ds: Any, n: int) -> Any:
    from mimtpy_cloud.plan.grid import Window

    return Window.of(ds.x.values, ds.y.values, n)


def _tracks_attrs(entry: Any) -> dict[str, Any]:
    return {**entry.attrs, "resolution": entry.resolution, "pixels_per_degree": entry.pixels_per_degree}


def _total(arrays: list[Any]) -> dict[str, Any]:
    """Sum of all pixels, computed by the workers in 64 bits, which do not depend on the order of blocks."""
    import dask

    ones = [tuple((1,) * len(sizes) for sizes in array.chunks) for array in arrays]
    blocks = [array.data.map_blocks(_block_sum, dtype="int64", chunks=c) for array, c in zip(arrays, ones, strict=True)]
    sums = dask.compute(*blocks)
    return {"sum": int(sum(part.sum() for part in sums)), "bytes": sum(array.nbytes for array in arrays)}


def _block_sum(block: Any) -> Any:
    """Sum of the bits of a block."""
    import numpy as np

    numbers = np.nan_to_num(block, nan=0.0) * 1e6
    return np.full((1,) * block.ndim, np.rint(numbers).astype("int64").sum())


def cloud_read(root: str, environment: dict[str, str]) -> Worker:
    """Read the displacement of all tracks."""
    with _two_workers(environment):
        yield
        return _total([track.displacement for track in _tracks(root)])


def cloud_read_s3fs(root: str, environment: dict[str, str]) -> Worker:
    """Read the same with xarray, zarr-python and s3fs."""
    with _two_workers(environment):
        yield
        return _total([track.displacement for track in _tracks_by_s3fs(root)])


def _mosaic(tracks: list[Any]) -> Any:
    from mimtpy_cloud.ops.mosaic import mosaic
    from mimtpy_cloud.ops.rate import estimate_velocity

    joined = mosaic([estimate_velocity(track) for track in tracks]).velocity
    return _total([joined.chunk()])["sum"]


def cloud_mosaic(root: str, environment: dict[str, str]) -> Worker:
    """Velocities of all tracks, and their mosaic."""
    with _two_workers(environment):
        yield
        tracks = _tracks(root)
        return {"sum": _mosaic(tracks), "bytes": sum(track.displacement.nbytes for track in tracks)}


def cloud_mosaic_s3fs(root: str, environment: dict[str, str]) -> Worker:
    """The same operations on what xarray, zarr-python and s3fs read."""
    with _two_workers(environment):
        yield
        tracks = _tracks_by_s3fs(root)
        return {"sum": _mosaic(tracks), "bytes": sum(track.displacement.nbytes for track in tracks)}


# ---- limits of the machine


def read_disk(path: str) -> Worker:
    """Read a file as fast as two threads can."""
    from concurrent.futures import ThreadPoolExecutor

    size, step = os.path.getsize(path), 32 * BLOCK  # noqa: PTH202
    yield
    handle = os.open(path, os.O_RDONLY)
    with ThreadPoolExecutor(THREADS) as pool:
        list(pool.map(lambda start: _read_part(handle, start, min(step, size - start)), range(0, size, step)))
    os.close(handle)
    return {"bytes": size}


def write_disk(path: str, size: int) -> Worker:
    """Write and fsync as many bytes as a store has."""
    block = os.urandom(BLOCK)
    yield
    with open(path, "wb", buffering=0) as file:  # noqa: PTH123
        for start in range(0, size, BLOCK):
            file.write(block[: min(BLOCK, size - start)])
        os.fsync(file.fileno())
    os.unlink(path)  # noqa: PTH108
    return {"bytes": size}


def decode_hdf5(source: str) -> Worker:
    """Read every displacement value once with h5py, in rows of whole HDF5 chunks, and keep nothing."""
    import h5py

    with h5py.File(source) as file:
        data = file[f"{GRID}/observation/displacement"]
        dates, rows, _ = data.chunks
        yield
        for t in range(0, data.shape[0], dates):
            for y in range(0, data.shape[1], rows):
                data[t : t + dates, y : y + rows]
        return {"bytes": data.size * data.dtype.itemsize}


def encode_chunks(source: str, inner: list[int], codec: dict[str, Any]) -> Worker:
    """Compress one strip of displacement, cut into inner chunks, with two threads."""
    import h5py
    import numpy as np
    from numcodecs import Blosc, blosc

    blosc.use_threads = False
    compressor = Blosc(codec["cname"], codec["clevel"], Blosc.BITSHUFFLE)
    with h5py.File(source) as file:
        data = file[f"{GRID}/observation/displacement"]
        middle = data.shape[1] // 2
        strip = data[:, middle : middle + inner[1]]
    blocks = [
        np.ascontiguousarray(strip[t : t + inner[0], :, x : x + inner[2]])
        for t in range(0, strip.shape[0], inner[0])
        for x in range(0, strip.shape[2], inner[2])
    ]
    yield
    sizes = in_threads(lambda block: len(compressor.encode(block)), blocks)
    return {"bytes": sum(block.nbytes for block in blocks), "encoded": sum(sizes)}


def decode_shards(shards: list[str], inner: list[int], inner_per_shard: int) -> Worker:
    """Read shards whole and decode each inner chunk with two threads, keeping nothing."""
    import numpy as np
    from numcodecs import Blosc, blosc

    blosc.use_threads = False
    compressor = Blosc()

    def decode(path: str) -> int:
        with open(path, "rb") as file:  # noqa: PTH123
            data = file.read()
        index = np.frombuffer(data, "<u8", 2 * inner_per_shard, len(data) - 16 * inner_per_shard - 4).reshape(-1, 2)
        view, out = memoryview(data), np.empty(inner, np.float32)
        present = [compressor.decode(view[o : o + n], out) for o, n in index.tolist() if o != 2**64 - 1]
        return len(present) * out.nbytes

    yield
    return {"bytes": sum(in_threads(decode, shards))}


def read_memory(size: int = 1 << 30) -> Worker:
    """Find the largest integer of an array that is far larger than the caches, with two threads."""
    import numpy as np

    parts = np.array_split(np.ones(size // 4, np.int32), THREADS)
    in_threads(np.max, parts)
    yield
    in_threads(np.max, parts)
    return {"bytes": size}


def copy_memory(size: int = 1 << 29) -> Worker:
    """Copy an array that is far larger than the caches, with two threads; bytes read and written."""
    import numpy as np

    source = np.ones(size // 4, np.float32)
    target = np.empty_like(source)
    pairs = list(zip(np.array_split(source, THREADS), np.array_split(target, THREADS), strict=True))
    in_threads(lambda pair: np.copyto(pair[1], pair[0]), pairs)
    yield
    in_threads(lambda pair: np.copyto(pair[1], pair[0]), pairs)
    return {"bytes": 2 * size}


def in_threads(function: Callable[[Any], Any], items: list[Any]) -> list[Any]:
    from concurrent.futures import ThreadPoolExecutor

    with ThreadPoolExecutor(THREADS) as pool:
        return list(pool.map(function, items))


def _read_part(handle: int, start: int, size: int) -> None:
    buffer = bytearray(BLOCK)
    for offset in range(start, start + size, BLOCK):
        os.preadv(handle, [buffer], offset)


def _fsync(path: Path) -> None:
    handle = os.open(path, os.O_RDONLY)
    os.fsync(handle)
    os.close(handle)


def _cpu() -> float:
    return sum(os.times()[:4])


def _peak() -> float:
    """Peak resident memory in GiB of this process, or of its largest child: neither we nor the peers fork workers."""
    status = Path("/proc/self/status").read_text()
    own = int(next(line for line in status.splitlines() if line.startswith("VmHWM")).split()[1])
    return max(own, resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss) / 2**20


def _worker(name: str) -> Callable[..., Worker]:
    """Find a worker here, or among those of the search and of quadtrees."""
    if name in globals():
        return globals()[name]  # type: ignore[no-any-return]
    from benchmarks import searchworkers, treeworkers

    return getattr(treeworkers if hasattr(treeworkers, name) else searchworkers, name)  # type: ignore[no-any-return]


def main(name: str, arguments: dict[str, Any]) -> None:
    """Run one worker and print what it took as the last line of output."""
    worker = _worker(name)(**arguments)
    next(worker)
    wall, cpu, value = time.perf_counter(), _cpu(), None
    try:
        next(worker)
    except StopIteration as end:
        value = end.value
    print()
    print(json.dumps({"wall": time.perf_counter() - wall, "cpu": _cpu() - cpu, "memory": _peak(), "value": value}))


if __name__ == "__main__":
    main(sys.argv[1], json.loads(sys.argv[2]))
