"""Reading and a mosaic by two worker processes: from an object store, through the cache, and from the local disk.

The store is SeaweedFS on loopback, on the same two cores: it costs processor time that a real one does not, and has no
latency, which a real one has.
"""

import contextlib
import os
import shutil
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

from benchmarks import data, series
from benchmarks.measure import REPOSITORY, Sample, alternate, of, ratio, report, run, value, warm


def main(*, small: bool = False, repeats: int = 5) -> bool:
    """Measure, print the table, and say whether all goals are met."""
    sys.path.insert(0, str(REPOSITORY / "tests"))
    from s3server import run_server

    from mimtpy_cloud.catalog.publish import publish

    _, root = data.series_tracks(series.SMALL if small else series.FULL)
    cache = data.folder() / "work" / "cache"
    with tempfile.TemporaryDirectory() as folder, run_server(Path(folder)) as server:
        remote, environment = f"s3://{server.bucket}/root", server.environment()
        with _variables(environment):
            publish(root, remote)

        def local(worker: str) -> Sample:
            warm(root)
            return run(worker, root=str(root), environment={})

        def store(worker: str) -> Sample:
            return run(worker, root=remote, environment=environment)

        def cached(worker: str, *, cold: bool = False) -> Sample:
            if cold:
                shutil.rmtree(cache, ignore_errors=True)
            warm(cache)
            return run(worker, root=remote, environment=environment | {"MIMTPY_CACHE_DIR": str(cache)})

        def compare(what: str) -> dict[str, list[Sample]]:
            print(f"{what}:")
            return alternate(
                repeats,
                local=lambda: local(f"cloud_{what}"),
                store=lambda: store(f"cloud_{what}"),
                cold=lambda: cached(f"cloud_{what}", cold=True),
                cached=lambda: cached(f"cloud_{what}"),
                s3fs=lambda: store(f"cloud_{what}_s3fs"),
            )

        measured = {what: compare(what) for what in ("read", "mosaic")}
    rows = []
    for what, runs in measured.items():
        sums = {sample.value["sum"] for samples in runs.values() for sample in samples}
        if len(sums) != 1:
            raise AssertionError(f"the results differ: {sums}")
        wall = {name: of(samples, "wall") for name, samples in runs.items()}
        rows += [
            ratio(f"{what}: local disk / cached second run, wall", wall["local"], wall["cached"], least=0.8),
            ratio(f"{what}: local disk / object store, wall", wall["local"], wall["store"]),
            ratio(f"{what}: local disk / object store into a cold cache, wall", wall["local"], wall["cold"]),
            ratio(f"{what}: xr.open_zarr with s3fs / object store, wall", wall["s3fs"], wall["store"]),
            value(f"{what}: object store, GB/s of decoded pixels", [s.rate for s in runs["store"]], best=max),
            value(f"{what}: local disk, GB/s of decoded pixels", [s.rate for s in runs["local"]], best=max),
        ]
    samples = {f"{what} {name}": found for what, runs in measured.items() for name, found in runs.items()}
    return report("cloud", "Two workers, S3 and the cache", rows, samples, data.results(small=small))


@contextlib.contextmanager
def _variables(given: dict[str, str]) -> Iterator[None]:
    """Environment variables for a block."""
    before = dict(os.environ)
    os.environ.update(given)
    try:
        yield
    finally:
        os.environ.clear()
        os.environ.update(before)
