"""Answers that are lost, servers that stay away, and disks that are full."""

import contextlib
import logging
import os
import subprocess
import sys
import time

import dask
import numpy as np
import pytest
from scenes import displacement, write_scene

import mimtpy_cloud as mc
from mimtpy_cloud.catalog.index import read_commits
from mimtpy_cloud.errors import StorageError
from mimtpy_cloud.io import store as reading
from mimtpy_cloud.io.storage import open_storage


@pytest.fixture(scope="module")
def scene(tmp_path_factory):
    """Two bands, with many small objects."""
    return write_scene(tmp_path_factory.mktemp("source"), shape=(200, 150), n=125, north=40.2)


@pytest.fixture(scope="module")
def neighbour(tmp_path_factory):
    """Shares columns with `scene`, which is a mosaic then."""
    folder = tmp_path_factory.mktemp("neighbour")
    return write_scene(
        folder, shape=(200, 150), n=125, north=40.2, west=100.8, seed=2, relative_orbit=65, name="S1_other.he5"
    )


@pytest.fixture(scope="module")
def long_scene(tmp_path_factory):
    """One shard of more than 8 MiB, which is uploaded in parts."""
    folder = tmp_path_factory.mktemp("long")
    return write_scene(folder, shape=(250, 250), north=40, west=100, dates=60, nan=False)


@pytest.fixture
def root(s3_proxy, s3, tmp_path):
    reading.forget_indexes()
    return f"s3://{s3.bucket}/{tmp_path.name}"


def read(root, track="A064"):
    reading.forget_indexes()
    return mc.open_track(root, track).displacement.values


def mosaic(root):
    reading.forget_indexes()
    tracks = [mc.open_track(root, track) for track in ("A064", "A065")]
    return mc.mosaic(tracks).displacement.values


@contextlib.contextmanager
def within(seconds):
    started = time.monotonic()
    yield
    assert time.monotonic() - started < seconds


def test_a_commit_whose_answer_is_lost_is_not_made_twice(root, s3_proxy, scene):
    lost = s3_proxy.fault("lose", methods=("PUT",), part="index.json")
    (entry,) = mc.ingest(scene, root)
    assert lost.times == 0
    assert read_commits(open_storage(root), "Sentinel", "A064") == [entry]
    np.testing.assert_array_equal(read(root), displacement(scene))


def test_a_server_that_stays_away_is_given_up(root, s3_proxy, scene, monkeypatch):
    mc.ingest(scene, root)
    monkeypatch.setenv("AWS_MAX_ATTEMPTS", "5")
    ds = mc.open_track(root, "A064")
    s3_proxy.down()
    try:
        told = r"cannot reach s3://.* at http://127.*after 5 attempts: check the endpoint"
        with within(40), pytest.raises(StorageError, match=told):
            ds.displacement.load()
    finally:
        s3_proxy.up()
    np.testing.assert_array_equal(ds.displacement, displacement(scene))


def test_a_source_on_the_server_is_fetched_whole_or_not_at_all(root, s3_proxy, scene):
    open_storage(root).write("S1_scene.he5", scene.read_bytes())
    url = f"{root}/S1_scene.he5"
    faults = [
        s3_proxy.fault("error", methods=("GET", "HEAD"), part=".he5", times=3),
        s3_proxy.fault("cut", methods=("GET",), part=".he5", after=1000, skip=1),
        s3_proxy.fault("truncate", methods=("GET",), part=".he5", after=100_000, skip=2),
    ]
    with within(40):
        mc.ingest(url, root)
    np.testing.assert_array_equal(read(root), displacement(scene))
    assert [fault.times for fault in faults] == [0, 0, 0]


FULL = """
import resource, signal, sys
import mimtpy_cloud as mc
import numba, pyproj, zarr.codecs  # noqa
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (int(sys.argv[1]), resource.RLIM_INFINITY))
"""


def with_full_disk(code, *args, limit, **environment):
    """Run code that can write no file beyond a size."""
    return subprocess.run(
        [sys.executable, "-c", FULL + code, str(limit), *map(str, args)],
        env=os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)} | environment,
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )


def test_an_analysis_with_a_full_disk_below_the_cache_is_right(root, scene, neighbour, tmp_path):
    mc.ingest([scene, neighbour], root)
    code = (
        "import numpy as np\n"
        "tracks = [mc.open_track(sys.argv[2], t) for t in ('A064', 'A065')]\n"
        "values = mc.mosaic(tracks).displacement.values\n"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))\n"
        "np.save(sys.argv[3], values)\n"
    )
    cache = tmp_path / "cache"
    done = with_full_disk(code, root, tmp_path / "found.npy", limit=5000, MIMTPY_CACHE_DIR=str(cache))
    assert done.returncode == 0, done.stderr
    assert f"the cache {cache} cannot be written" in done.stderr
    assert not list(cache.rglob("*.part"))
    np.testing.assert_array_equal(np.load(tmp_path / "found.npy"), mosaic(root))


def fill_disk():
    """Let this process write no file of more than 100 bytes."""
    import resource

    resource.setrlimit(resource.RLIMIT_FSIZE, (100, resource.RLIM_INFINITY))


def count_spilled(dask_worker):
    return len(dask_worker.data.slow)


def test_a_full_disk_below_the_spilled_data_keeps_them_in_memory(root, scene, neighbour, tmp_path):
    mc.ingest([scene, neighbour], root)
    expected = mosaic(root)
    spill = {"distributed.worker.memory.target": 1e-6, "distributed.worker.memory.spill": False}
    with dask.config.set(spill), cluster(tmp_path, processes=True) as client, within(60):

        def spilled():
            tracks = [mc.open_track(root, track).persist() for track in ("A064", "A065")]
            np.testing.assert_array_equal(mc.mosaic(tracks).displacement, expected)
            return sum(client.run(count_spilled).values())

        assert spilled() > 0
        client.run(fill_disk)
        assert spilled() == 0


@contextlib.contextmanager
def cluster(folder, **options):
    from distributed import Client, LocalCluster

    silent = {"dashboard_address": None, "silence_logs": logging.CRITICAL, "local_directory": str(folder)}
    with (
        LocalCluster(n_workers=2, threads_per_worker=1, host="127.0.0.1", **silent, **options) as local,
        Client(local) as client,
    ):
        yield client
