"""Faults of a store end in the right answer or a clear error, with nothing lost and nothing half visible."""

import errno
import os
import signal
import subprocess
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from concurrent.futures import TimeoutError as TooLong

import numpy as np
import obstore
import pytest
from scenes import commit_many, ingest_and_die, run_all, write_scene

from mimtpy_cloud.catalog.index import open_catalog, read_commits
from mimtpy_cloud.catalog.ingest import ingest
from mimtpy_cloud.catalog.maintenance import gc, verify
from mimtpy_cloud.catalog.tracks import open_track
from mimtpy_cloud.errors import StorageError
from mimtpy_cloud.io.storage import open_storage
from mimtpy_cloud.io.store import forget_indexes
from mimtpy_cloud.location import object_store
from mimtpy_cloud.ops.mosaic import mosaic

LIMIT = 60  # seconds until a test counts as hanging


def within(seconds, function, *args, **kwargs):
    """Call a function in a thread; a hang is a failure of the test and not of the suite."""
    pool = ThreadPoolExecutor(1)
    try:
        return pool.submit(function, *args, **kwargs).result(seconds)
    except TooLong:
        pytest.fail(f"{function.__name__} took more than {seconds} s")
    finally:
        pool.shutdown(wait=False)


@pytest.fixture(scope="module")
def scene(tmp_path_factory):
    """Forty dates of 300 x 280 pixels: about 13 MB, so that a band is uploaded in parts."""
    return write_scene(tmp_path_factory.mktemp("scene"), dates=40)


@pytest.fixture(scope="module")
def small(tmp_path_factory):
    return write_scene(tmp_path_factory.mktemp("small"))


@pytest.fixture(scope="module")
def pair(tmp_path_factory):
    """Two overlapping tracks."""
    folder = tmp_path_factory.mktemp("pair")
    return [
        write_scene(folder, name=f"S1_{orbit}.he5", west=west, seed=orbit, relative_orbit=orbit)
        for orbit, west in ((64, 100.2), (65, 100.6))
    ]


@pytest.fixture(scope="module")
def expected(scene, small, pair, tmp_path_factory):
    """What a local root gives, without any fault."""
    folder = tmp_path_factory.mktemp("expected")
    for name, sources in (("scene", [scene]), ("small", [small]), ("pair", pair)):
        ingest(sources, folder / name, workers=2)
    return {name: values(folder / name) for name in ("scene", "small")} | {"mosaic": mosaicked(folder / "pair")}


@pytest.fixture
def root(s3_proxy, s3, tmp_path):
    return f"s3://{s3.bucket}/{tmp_path.name}-faults"


def values(root):
    return open_track(root, "A064").displacement.compute(scheduler="threads", num_workers=4).values


def mosaicked(root):
    parts = [open_track(root, track) for track in ("A064", "A065")]
    return mosaic(parts).displacement.compute(scheduler="threads", num_workers=4).values


def nothing_visible(root):
    return open_catalog(root).tracks() == []


# --- faults that pass ------------------------------------------------------------------------------------------

PASSING = {
    "storm of 503": {"kind": "error", "status": 503, "times": None, "chance": 0.3},
    "resets of GET": {"kind": "cut", "methods": ("GET",), "after": 1000, "times": 3},
    "truncated GET": {"kind": "truncate", "methods": ("GET",), "after": 1000, "times": 3},
    "resets of PUT": {"kind": "refuse_body", "methods": ("PUT",), "after": 1 << 20, "times": 3},
    "slow": {"kind": "slow", "seconds": 0.01, "times": None},
    "late": {"kind": "delay", "seconds": 0.05, "times": None},
}


@pytest.mark.parametrize("fault", PASSING)
def test_an_ingest_finishes_right_in_spite_of(fault, root, s3_proxy, scene, expected):
    source = f"{root}-source/scene.he5"
    open_storage(f"{root}-source").write("scene.he5", scene.read_bytes())
    options = dict(PASSING[fault])
    made = s3_proxy.fault(options.pop("kind"), **options)
    within(LIMIT, ingest, source, root, workers=2)
    assert made.times in (None, 0)
    s3_proxy.reset()
    np.testing.assert_array_equal(values(root), expected["scene"])
    assert verify(root) == []


@pytest.mark.parametrize("fault", [name for name in PASSING if "PUT" not in name])
def test_a_mosaic_is_right_in_spite_of(fault, root, s3_proxy, pair, expected):
    ingest(pair, root, workers=2)
    options = dict(PASSING[fault])
    s3_proxy.fault(options.pop("kind"), **options)
    np.testing.assert_array_equal(within(LIMIT, mosaicked, root), expected["mosaic"])


def test_a_part_of_an_upload_that_is_reset_is_sent_again(root, s3_proxy):
    data = np.random.default_rng(1).bytes(20 << 20)
    fault = s3_proxy.fault("refuse_body", methods=("PUT",), part="partNumber=", after=1 << 20, times=2)

    def stream():
        with open_storage(root).writer("a") as file:
            file.write(data)

    within(LIMIT, stream)
    assert fault.times == 0
    assert open_storage(root).read("a") == data


# --- faults that stay ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("skip", [3, 8])
@pytest.mark.parametrize(("code", "told"), [("ExpiredToken", "have expired"), ("AccessDenied", "no permission")])
def test_a_credential_that_ends_half_way_leaves_nothing_visible(root, s3_proxy, scene, expected, skip, code, told):
    s3_proxy.fault("error", status=403, code=code, skip=skip, times=None)
    with pytest.raises(StorageError, match=told):
        within(LIMIT, ingest, scene, root, workers=2)
    s3_proxy.reset()
    assert nothing_visible(root)
    ingest(scene, root, workers=2)
    np.testing.assert_array_equal(values(root), expected["scene"])


def test_a_server_that_stays_down_is_told_within_a_minute(root, s3_proxy):
    s3_proxy.down()
    started = time.monotonic()
    try:
        with pytest.raises(StorageError, match=r"cannot reach .* check the endpoint"):
            within(LIMIT, open_storage(root).read, "a")
    finally:
        s3_proxy.up()
    assert time.monotonic() - started < LIMIT


def test_a_killed_client_leaves_nothing_visible_and_the_next_ingest_finishes(root, scene, expected):
    ((code, _),) = run_all(ingest_and_die, [(str(scene), root, 1, 0.05)])
    assert code == -signal.SIGKILL
    assert nothing_visible(root)
    within(LIMIT, ingest, scene, root, workers=2)
    gc(root, grace_hours=0)
    np.testing.assert_array_equal(values(root), expected["scene"])
    assert verify(root) == []
    (entry,) = open_catalog(root).current("Sentinel", "A064")
    objects = [item["path"] for batch in obstore.list(object_store(root)) for item in batch]
    assert {path for path in objects if entry.revision not in path} == {"Sentinel/A064/index.json"}


def test_twenty_of_twenty_commits_of_a_race_are_kept(root):
    done = run_all(commit_many, [(root, who, 5) for who in range(4)])
    assert [code for code, _ in done] == [0] * 4
    assert len({entry.product for entry in read_commits(open_storage(root), "Sentinel", "A124")}) == 20


def test_a_reader_opened_before_gc_goes_on(root, small, scene, expected):
    ingest(small, root, workers=2)
    reader = open_track(root, "A064")
    ingest(scene, root, workers=2)
    gc(root)
    np.testing.assert_array_equal(reader.displacement.values, expected["small"])


def test_gc_leaves_an_ingest_alone_that_is_being_written(root, scene, expected):
    def progress(done, total, unit):
        if not collected:
            collected.append(gc(root))

    collected = []
    ingest(scene, root, workers=2, progress=progress)
    assert collected == [[]]
    np.testing.assert_array_equal(values(root), expected["scene"])


def test_a_full_disk_says_so_and_leaves_nothing_visible(tmp_path, scene):
    """RLIMIT_FSIZE: the kernel refuses to write more than 1 MB to any file, with EFBIG."""
    code = (
        "import resource, signal, sys; signal.signal(signal.SIGXFSZ, signal.SIG_IGN)\n"
        "import mimtpy_cloud as mc; from mimtpy_cloud.errors import StorageError\n"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (1 << 20, 1 << 20))\n"
        "try: mc.ingest(sys.argv[1], sys.argv[2], workers=2)\n"
        "except StorageError as error: print(error)\n"
    )
    command = [sys.executable, "-c", code, str(scene), str(tmp_path / "root")]
    done = subprocess.run(command, capture_output=True, text=True, timeout=LIMIT, check=False)
    assert os.strerror(errno.EFBIG) in done.stdout
    assert "free some space" in done.stdout
    assert nothing_visible(tmp_path / "root")


def test_a_killed_worker_does_not_change_a_mosaic(root, pair, expected):
    from dask.distributed import Client, LocalCluster

    ingest(pair, root, workers=2)
    lazy = mosaic([open_track(root, track) for track in ("A064", "A065")]).displacement
    with (
        LocalCluster(n_workers=2, threads_per_worker=1, processes=True, dashboard_address=None) as cluster,
        Client(cluster) as client,
    ):
        future = client.compute(lazy)
        victim = next(iter(cluster.workers.values()))
        os.kill(victim.pid, signal.SIGKILL)
        found = future.result(timeout=LIMIT)
    np.testing.assert_array_equal(found.values, expected["mosaic"])


def restart(proxy, seconds):
    proxy.down()
    threading.Timer(seconds, proxy.up).start()


def test_an_ingest_outlives_a_restart_of_the_server(root, s3_proxy, scene, expected):
    def progress(done, total, unit):
        if not stopped:
            stopped.append(done)
            restart(s3_proxy, 2)

    stopped = []
    within(LIMIT, ingest, scene, root, workers=2, progress=progress)
    assert stopped
    np.testing.assert_array_equal(values(root), expected["scene"])


def test_a_mosaic_outlives_a_restart_of_the_server(root, s3_proxy, pair, expected):
    ingest(pair, root, workers=2)
    parts = [open_track(root, track) for track in ("A064", "A065")]
    lazy = mosaic(parts).displacement
    restart(s3_proxy, 2)
    found = within(LIMIT, lazy.compute, scheduler="threads", num_workers=4)
    np.testing.assert_array_equal(found.values, expected["mosaic"])


@pytest.mark.parametrize("cached", [False, True])
@pytest.mark.parametrize("after", [0, 100, 1000, 5000])
def test_a_flipped_bit_of_data_is_noticed_and_read_again(root, s3_proxy, small, monkeypatch, tmp_path, after, cached):
    ingest(small, root, workers=2)
    if cached:
        monkeypatch.setenv("MIMTPY_CACHE_DIR", str(tmp_path / "cache"))
    corner = open_track(root, "A064").displacement[:, :5, :5]
    right = open_track(root, "A064", cache=False).displacement[:, :5, :5].compute(scheduler="synchronous")
    forget_indexes()
    s3_proxy.reset()
    fault = s3_proxy.fault("corrupt", methods=("GET",), part="/displacement/c/", skip=1, after=after)
    for _ in range(2):  # and nothing wrong is kept
        np.testing.assert_array_equal(within(LIMIT, corner.compute, scheduler="synchronous"), right)
    assert fault.times == 0
    s3_proxy.fault("corrupt", methods=("GET",), part="/displacement/c/", after=after, times=None)
    if not cached:
        with pytest.raises(StorageError, match="is damaged"):
            within(LIMIT, corner.compute, scheduler="synchronous")


@pytest.mark.parametrize("cached", [False, True])
def test_a_flipped_bit_of_an_index_is_noticed_and_read_again(root, s3_proxy, small, monkeypatch, tmp_path, cached):
    ingest(small, root, workers=2)
    if cached:
        monkeypatch.setenv("MIMTPY_CACHE_DIR", str(tmp_path / "cache"))
    forget_indexes()
    s3_proxy.reset()
    fault = s3_proxy.fault("corrupt", methods=("GET",), part="/displacement/c/", after=20)
    found = within(LIMIT, values, root)
    assert fault.times == 0
    monkeypatch.delenv("MIMTPY_CACHE_DIR", raising=False)
    np.testing.assert_array_equal(found, values(root))
