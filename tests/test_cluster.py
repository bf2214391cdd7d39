"""Where graphs are computed."""

import os

import dask.array as da
import pytest

import mimtpy_cloud as mc
from mimtpy_cloud.cluster import differing_versions, resolve_kind, worker_environment
from mimtpy_cloud.errors import ClusterError


def test_local_workers_compute_and_are_closed():
    with mc.connect("local", workers=1, threads=1) as connection:
        pid = connection.client.submit(os.getpid).result()
        assert pid != os.getpid()
        assert da.arange(10, chunks=5).sum().compute() == 45
        assert connection.dashboard.startswith("http")
    assert connection.client is None


def test_a_cluster_that_was_there_stays():
    with mc.connect("local", workers=1) as first:
        with mc.connect(first.client.scheduler.address) as second:
            assert second.kind == "address"
        assert first.client.submit(sum, [1, 2]).result() == 3


def test_threads_need_no_client():
    with mc.connect("threads", threads=2) as connection:
        assert connection.client is None
        assert dask_scheduler() == "threads"
    assert dask_scheduler() is None


def dask_scheduler():
    import dask

    return dask.config.get("scheduler", None)


def test_an_unknown_kind_lists_the_known():
    with pytest.raises(ClusterError, match=r"slurm.*got 'cloud'"):
        mc.connect("cloud")


def test_no_server_at_an_address_says_what_to_check():
    with pytest.raises(ClusterError, match="check that it runs"):
        mc.connect("tcp://127.0.0.1:1")


def test_automatic_choice_takes_the_gateway_first(monkeypatch):
    monkeypatch.setenv("DASK_SCHEDULER_ADDRESS", "tcp://127.0.0.1:8786")
    assert resolve_kind("auto") == ("address", "tcp://127.0.0.1:8786")
    monkeypatch.setenv("DASK_GATEWAY__ADDRESS", "http://127.0.0.1:8000")
    assert resolve_kind(None) == ("gateway", None)


def test_workers_get_no_secret_unasked(monkeypatch):
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "writer-secret")
    monkeypatch.setenv("AWS_REGION", "us-east-1")
    assert worker_environment()["AWS_REGION"] == "us-east-1"
    assert "writer-secret" not in worker_environment().values()


def test_differing_packages_are_named():
    here = dict.fromkeys(("mimtpy_cloud", "python", "dask", "distributed", "numpy", "xarray", "zarr"), "1")
    assert differing_versions(here, {"w": here}) == {}
    assert differing_versions(here, {"w": {**here, "zarr": "2"}}) == {"zarr": "zarr 1 here, 2 on w"}
