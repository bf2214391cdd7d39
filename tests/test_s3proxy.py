"""The proxy in front of the S3 server changes nothing unless it is told to, and counts right."""

import time

import pytest
from storagecontract import StorageContract

from mimtpy_cloud.errors import StorageError
from mimtpy_cloud.io.storage import open_storage


@pytest.fixture
def root(s3_proxy, s3, tmp_path):
    return f"s3://{s3.bucket}/{tmp_path.name}"


class TestThroughTheProxy(StorageContract):
    """Every storage test holds through the proxy."""

    @pytest.fixture
    def storage(self, root):
        return open_storage(root)


def test_requests_are_counted(root, s3_proxy):
    storage = open_storage(root)
    storage.write("a", b"0123456789")
    assert storage.read("a") == b"0123456789"
    assert storage.read_tail("a", 3) == b"789"
    assert [r.method for r in s3_proxy.requests()] == ["PUT", "GET", "GET"]
    assert [r.range for r in s3_proxy.requests("GET", part="/a")] == ["", "bytes=-3"]
    assert {r.status for r in s3_proxy.requests()} == {200, 206}
    s3_proxy.reset()
    assert s3_proxy.requests() == []


def test_an_error_is_what_was_asked_for(root, s3_proxy):
    storage = open_storage(root)
    storage.write("a", b"1")
    s3_proxy.fault("error", status=403, code="ExpiredToken", methods=("GET",), times=1)
    with pytest.raises(StorageError, match="have expired"):
        storage.read("a")
    assert storage.read("a") == b"1"


def test_a_server_that_is_down_comes_back_on_the_same_port(root, s3_proxy, monkeypatch):
    monkeypatch.setenv("AWS_MAX_ATTEMPTS", "1")
    storage = open_storage(root)
    storage.write("a", b"1")
    s3_proxy.down()
    started = time.monotonic()
    with pytest.raises(StorageError, match="cannot reach"):
        storage.read("a")
    assert time.monotonic() - started < 5
    s3_proxy.up()
    assert storage.read("a") == b"1"
