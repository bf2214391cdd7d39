"""Ingest of one MintPy file, against xarray's `to_zarr` and against the disk, the decoder and the encoder."""

import json
from pathlib import Path
from typing import Any

from benchmarks import data
from benchmarks.measure import (
    Row,
    Sample,
    alternate,
    evict,
    folder_bytes,
    fresh,
    of,
    ratio,
    report,
    run,
    value,
    warm,
)
from benchmarks.workers import GRID

TRACK = "A064"
#: Pairs with the naive peer, which takes minutes.
SLOW = 2
#: GiB; the prototype's ring of tile rows is 248 MB of it.
PEAK = 0.6


def main(*, small: bool = False, repeats: int = 5) -> bool:
    """Measure, print the table, and say whether all goals are met."""
    source = data.series(data.SMALL if small else data.FULL)
    work = data.folder() / "work"
    root = store(source)
    assert_equal(source, root)
    layout = store_layout(root)
    chunks = {key: layout[key] for key in ("inner", "shard", "codec")}

    def ours() -> Sample:
        warm(source)
        return run("ingest_ours", source=str(source), root=str(fresh(work / "ours")))

    def tuned() -> Sample:
        warm(source)
        return run("zarr_tuned", source=str(source), target=str(fresh(work / "tuned.zarr")), **chunks)

    def plain() -> Sample:
        warm(source)
        return run("zarr_naive", source=str(source), target=str(fresh(work / "naive.zarr")))

    print("ingest, warm page cache:")
    runs = alternate(
        repeats,
        ours=ours,
        tuned=tuned,
        decode=lambda: run("decode_hdf5", source=str(source)),
        encode=lambda: run("encode_chunks", source=str(source), inner=layout["inner"], codec=layout["codec"]),
    )
    slow = alternate(min(repeats, SLOW), naive=plain, beside_naive=ours)
    frozen = _cold(source, work, folder_bytes(root), repeats)
    for name in ("ours", "tuned.zarr", "naive.zarr"):
        fresh(work / name)
    rows = _rows(runs, slow, frozen)
    return report(
        "ingest",
        f"Ingest of {source.stat().st_size / 1e9:.2f} GB",
        rows,
        runs | slow | frozen,
        data.results(small=small),
    )


def _cold(source: Path, work: Path, size: int, repeats: int) -> dict[str, list[Sample]]:
    """Repeat from a cold page cache to a synced disk, beside the bare reads and writes of the same bytes."""

    def cold(worker: str, **arguments: Any) -> Sample:
        evict(source)
        return run(worker, **arguments)

    print("ingest, cold page cache, synced:")
    return alternate(
        repeats,
        disk_read=lambda: cold("read_disk", path=str(source)),
        disk_write=lambda: cold("write_disk", path=str(fresh(work / "raw")), size=size),
        cold=lambda: cold("ingest_ours", source=str(source), root=str(fresh(work / "ours")), sync=True),
    )


def _rows(runs: dict[str, list[Sample]], slow: dict[str, list[Sample]], frozen: dict[str, list[Sample]]) -> list[Row]:
    ours, tuned, cold = runs["ours"], runs["tuned"], frozen["cold"]
    slower = [max(pair) for pair in zip(of(frozen["disk_read"], "wall"), of(frozen["disk_write"], "wall"), strict=True)]
    decoded = runs["decode"][0].value["bytes"]
    cpu_limit = [
        (d.cpu + e.cpu * decoded / e.value["bytes"]) / 2 for d, e in zip(runs["decode"], runs["encode"], strict=True)
    ]
    return [
        ratio("naive xarray / ours, wall", of(slow["naive"], "wall"), of(slow["beside_naive"], "wall"), least=15),
        ratio("tuned xarray / ours, CPU", of(tuned, "cpu"), of(ours, "cpu"), least=2),
        ratio("tuned xarray / ours, wall", of(tuned, "wall"), of(ours, "wall")),
        ratio("tuned xarray / ours, wall of the process", of(tuned, "process_wall"), of(ours, "process_wall")),
        ratio("max(disk read, disk write) / ours, cold", slower, of(cold, "wall"), least=0.7, limit=True),
        value("peak memory of ours, GiB", of(ours + cold, "memory"), most=PEAK),
        ratio(
            "max(disk read, disk write, CPU limit) / ours, cold",
            [max(pair) for pair in zip(slower, cpu_limit, strict=True)],
            of(cold, "wall"),
        ),
        ratio("CPU limit (h5py decode + encode on 2 cores) / ours, wall", cpu_limit, of(ours, "wall")),
        ratio("h5py decode only / ours, wall", of(runs["decode"], "wall"), of(ours, "wall")),
        value("ours, GB/s decoded", [decoded / s.wall / 1e9 for s in ours], best=max),
        value("disk read, GB/s", of(frozen["disk_read"], "rate"), best=max),
        value("disk write, GB/s", of(frozen["disk_write"], "rate"), best=max),
    ]


def store(source: Path, name: str = "store") -> Path:
    """Catalog root into which a source was just ingested."""
    root = fresh(data.folder() / "work" / name)
    run("ingest_ours", source=str(source), root=str(root))
    return root


def assert_equal(source: Path, root: Path) -> None:
    """Check the store bit for bit against h5py, over the whole file, before anything is timed."""
    import h5py
    import numpy as np

    from mimtpy_cloud.catalog.tracks import open_track

    ds = open_track(str(root), TRACK)
    with h5py.File(source) as file:
        raw = file[f"{GRID}/observation/displacement"]
        step = abs(float(file.attrs["Y_STEP"]))
        top = round((float(ds.y[0]) + step / 2 - float(file.attrs["Y_FIRST"])) / -step)
        left = round((float(ds.x[0]) - step / 2 - float(file.attrs["X_FIRST"])) / step)
        if (top, left) != (0, 0) or ds.displacement.shape != raw.shape:
            raise AssertionError(f"the store covers other pixels than the file: {ds.displacement.shape}, {top}, {left}")
        rows = 4 * raw.chunks[1]
        for y in range(0, raw.shape[1], rows):
            stored = ds.displacement[:, y : y + rows].compute().values
            np.testing.assert_array_equal(stored.view("u4"), raw[:, y : y + rows].view("u4"))
    print(f"equal bit for bit: {raw.shape} of {source.name}", flush=True)


def store_layout(root: Path) -> dict[str, Any]:
    """Chunks, codec and shard files of the displacement in a catalog root, as its metadata say."""
    arrays = sorted(root.rglob("displacement/zarr.json"))
    meta = json.loads(arrays[0].read_text())
    sharding = meta["codecs"][0]["configuration"]
    shard, inner = meta["chunk_grid"]["configuration"]["chunk_shape"], sharding["chunk_shape"]
    codec = next(c["configuration"] for c in sharding["codecs"] if c["name"] == "blosc")
    count = 1
    for outer, part in zip(shard, inner, strict=True):
        count *= outer // part
    shards = [str(path) for array in arrays for path in sorted((array.parent / "c").rglob("*")) if path.is_file()]
    return {"inner": inner, "shard": shard, "codec": codec, "inner_per_shard": count, "shards": shards}
