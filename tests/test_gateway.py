"""A real Dask Gateway: two workers, the same bits, back to none; who may not use it is refused."""

import contextlib
import os
import time

import dask
import numpy as np
import pytest
import xarray as xr
from dask_gateway import Gateway
from scenes import write_scene

import mimtpy_cloud as mc
from mimtpy_cloud.errors import ClusterError
from mimtpy_cloud.io.store import forget_indexes


@pytest.fixture
def root(s3, tmp_path):
    """Root on S3 with two ascending neighbours and a descending track over both."""
    url = f"s3://{s3.bucket}/{tmp_path.name}"
    tracks = {
        "A064": {"west": 100.2},
        "A166": {"west": 100.7, "relative_orbit": 166},
        "D071": {"west": 100.5, "relative_orbit": 71, "ORBIT_DIRECTION": "DESCENDING", "HEADING": "-167"},
    }
    mc.ingest([write_scene(tmp_path, name=f"{n}.he5", seed=i, **a) for i, (n, a) in enumerate(tracks.items())], url)
    return url


def products(root):
    a064, a166, d071 = (
        mc.estimate_velocity(mc.open_track(root, track, resolution="lowRes")) for track in ("A064", "A166", "D071")
    )
    ascending = mc.mosaic([a064, a166])
    return ascending, mc.invert_enu([ascending, d071], same_datum=True)


def test_mosaic_and_decomposition_on_two_workers_that_read_s3_through_the_cache(
    gateway, root, s3, tmp_path, monkeypatch
):
    expected = [ds.compute(scheduler="threads") for ds in products(root)]
    monkeypatch.setenv("MIMTPY_CACHE_DIR", str(tmp_path / "cache"))
    with mc.connect("gateway", workers=2) as connection:
        assert (connection.kind, connection.workers >= 1) == ("gateway", True)
        assert connection.dashboard.startswith(gateway.address)
        connection.client.wait_for_workers(2, timeout=60)
        for ds, right in zip(products(root), expected, strict=True):
            xr.testing.assert_identical(ds.compute(), right)
        assert set(connection.client.run(os.environ.get, "MIMTPY_CACHE_DIR").values()) == {str(tmp_path / "cache")}
        assert os.getpid() not in connection.client.run(os.getpid).values()
    assert [path for path in (tmp_path / "cache" / "blocks").rglob("*") if path.is_file()]
    forget_indexes()
    with asking() as client:
        assert client.list_clusters() == []


@contextlib.contextmanager
def asking():
    """A client of the gateway, which must not close itself twice."""
    client = Gateway()
    try:
        with client:
            yield client
    finally:
        vars(client).pop("_loop_runner")


def test_an_adaptive_cluster_grows_and_goes_back_to_no_worker(gateway):
    with mc.connect("gateway", adaptive=(0, 2)) as connection:
        assert connection.workers == 0
        client = connection.client
        assert sum(client.gather(client.map(lambda number: time.sleep(0.3) or number, range(6)))) == 15
        until = time.monotonic() + 60
        while client.scheduler_info()["workers"] and time.monotonic() < until:
            time.sleep(0.2)
        assert client.scheduler_info()["workers"] == {}


def test_a_wrong_password_is_refused(gateway):
    wrong = {"gateway.auth.kwargs": {"username": "alice", "password": "wrong"}}
    with (
        dask.config.set(wrong),
        pytest.raises(ClusterError, match=r"refuses: user or password is wrong"),
    ):
        mc.connect("gateway", workers=1)


def test_the_cluster_of_somebody_else_is_neither_seen_nor_used(gateway):
    with mc.connect("gateway", workers=1) as connection, asking() as mine:
        (report,) = mine.list_clusters()
        assert int(connection.client.submit(sum, [1, 2]).result()) == 3
        with dask.config.set(gateway.config("mallory")), asking() as other:
            assert other.list_clusters() == []
            with pytest.raises(Exception, match="403"):
                other.get_cluster(report.name)
            with pytest.raises(Exception, match="403"):
                other.stop_cluster(report.name)


def test_options_that_the_gateway_does_not_have_or_allow_are_explained(gateway):
    with pytest.raises(ClusterError, match=r"has no option memroy; it has worker_cores, worker_memory, environment"):
        mc.connect("gateway", options={"memroy": 1})
    with pytest.raises(ClusterError, match=r"cannot use the gateway: .*worker_cores.*64"):
        mc.connect("gateway", threads=64)


def test_a_cluster_that_cannot_start_is_said_and_stopped(gateway):
    nowhere = {"PATH": "", "PYTHONPATH": "", "PYTHONHOME": "/none"}
    with pytest.raises(ClusterError, match=r"the gateway (could|did) not start the cluster"):
        mc.connect("gateway", workers=1, timeout=5, environment=nowhere)
    with asking() as client:
        assert client.list_clusters() == []


def test_no_gateway_at_an_address_is_said(gateway):
    with pytest.raises(ClusterError, match=r"cannot use the gateway: .*check"):
        mc.connect("http://127.0.0.1:9")


def test_numbers_of_workers_and_memory_reach_the_gateway(gateway):
    with mc.connect("gateway", workers=1, threads=2, memory="1GB") as connection:
        (worker,) = connection.client.scheduler_info()["workers"].values()
        assert worker["nthreads"] == 2
        assert np.isclose(worker["memory_limit"], 1e9, rtol=0.1)
