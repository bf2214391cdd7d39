"""A real Dask Gateway."""

import dask
import dask.array as da
import numpy as np
import pytest

import mimtpy_cloud as mc
from mimtpy_cloud.errors import ClusterError


def test_two_workers_of_a_gateway_compute_the_same_bits(gateway, monkeypatch):
    monkeypatch.setenv("MIMTPY_CACHE_SIZE", "1GB")
    array = da.random.default_rng(0).random((64, 64), chunks=16).sum(axis=0)
    expected = array.compute(scheduler="threads")
    with mc.connect("gateway", workers=2) as connection:
        assert len(connection.client.scheduler_info()["workers"]) == 2
        np.testing.assert_array_equal(array.compute(), expected)
        assert set(connection.client.run(_cache_size).values()) == {"1GB"}


def _cache_size():
    import os

    return os.environ.get("MIMTPY_CACHE_SIZE")


def test_a_wrong_password_is_refused(gateway):
    wrong = {"gateway.auth.kwargs": {"username": "alice", "password": "wrong"}}
    with dask.config.set(wrong), pytest.raises(ClusterError, match="401"):
        mc.connect("gateway", workers=1)


def test_an_unknown_option_lists_those_of_the_gateway(gateway):
    with pytest.raises(ClusterError, match=r"worker_cores.*got memroy"):
        mc.connect("gateway", options={"memroy": 1})


def test_an_option_beyond_its_limit_is_explained(gateway):
    with pytest.raises(ClusterError, match="refused"):
        mc.connect("gateway", options={"worker_cores": 64})
