"""Storage in an object store: a real S3 server on loopback."""

import os
import pickle
import traceback

import numpy as np
import pytest
import xarray as xr
import zarr
from bandstores import DATES, random_values, write_band
from storagecontract import StorageContract

from mimtpy_cloud.errors import ConcurrentCommitError, StorageError
from mimtpy_cloud.io import storage as module
from mimtpy_cloud.io.storage import open_storage
from mimtpy_cloud.io.store import check_object
from mimtpy_cloud.location import locate, reaching
from mimtpy_cloud.plan.grid import Window


@pytest.fixture
def root(s3, request):
    """A new prefix for each test: the server lists removed folders for a while."""
    return f"s3://{s3.bucket}/{abs(hash(request.node.nodeid))}"


class TestS3(StorageContract):
    @pytest.fixture
    def storage(self, root):
        return open_storage(root)


def actions(storage):
    """Everything that sends a request."""
    return {
        "read": lambda: storage.read("a"),
        "read_tail": lambda: storage.read_tail("a", 1),
        "read_ranges": lambda: list(storage.read_ranges("a", [(0, 1)])),
        "children": lambda: storage.children("x"),
        "write": lambda: storage.write("a", b"1"),
        "writer": lambda: stream(storage, b"1"),
        "large writer": lambda: stream(storage, bytes(20 << 20)),
        "update": lambda: storage.update("a", lambda data: b"1"),
        "remove": lambda: storage.remove("a"),
    }


def stream(storage, data):
    with storage.writer("a") as file:
        file.write(data)


READS = ("read", "read_tail", "read_ranges", "children")


@pytest.mark.parametrize("variable", ["AWS_ENDPOINT_URL_S3", "AWS_ENDPOINT_URL", "AWS_ENDPOINT"])
def test_the_endpoint_may_have_any_of_its_names(root, s3, monkeypatch, variable):
    monkeypatch.delenv("AWS_ENDPOINT_URL")
    monkeypatch.setenv(variable, s3.endpoint)
    storage = open_storage(root)
    storage.write("a", b"1")
    assert storage.read("a") == b"1"


def test_the_endpoint_of_s3_wins_over_the_general_one(root, s3, monkeypatch):
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:9")
    monkeypatch.setenv("AWS_ENDPOINT_URL_S3", s3.endpoint)
    open_storage(root).write("a", b"1")


@pytest.mark.parametrize("action", [*READS, "write", "writer", "update", "remove"])
def test_a_wrong_key_is_a_storage_error_that_names_no_secret(root, s3, monkeypatch, action):
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "open-sesame")
    with pytest.raises(StorageError, match=r"no permission for s3://.*check AWS_ACCESS_KEY_ID") as caught:
        actions(open_storage(root))[action]()
    told = "".join(traceback.format_exception(caught.value))
    assert "open-sesame" not in told
    assert s3.writer[1] not in told


def test_a_reader_reads_and_does_not_write(root, s3, monkeypatch):
    open_storage(root).write("a", b"1")
    for name, value in s3.environment(s3.reader).items():
        monkeypatch.setenv(name, value)
    storage = open_storage(root)
    for name, action in actions(storage).items():
        if name in READS:
            action()
        else:
            with pytest.raises(StorageError, match="no permission"):
                action()
    assert storage.read("a") == b"1"


def test_a_new_identity_in_the_environment_counts_at_once(root, s3, monkeypatch):
    storage = open_storage(root)
    storage.write("a", b"1")
    with monkeypatch.context() as patch:
        patch.setenv("AWS_SECRET_ACCESS_KEY", "wrong")
        with pytest.raises(StorageError):
            open_storage(root).read("a")
    assert open_storage(root).read("a") == b"1"


def test_identity_and_endpoint_may_come_from_the_config_files(root, s3, monkeypatch, tmp_path):
    key, secret = s3.writer
    for name in [n for n in os.environ if n.startswith("AWS_")]:
        monkeypatch.delenv(name)
    (tmp_path / "credentials").write_text(
        f"[default]\naws_access_key_id = nobody\naws_secret_access_key = nothing\n"
        f"[field]\naws_access_key_id = {key}\naws_secret_access_key = {secret}\n"
    )
    (tmp_path / "config").write_text(f"[profile field]\nregion = us-east-1\nendpoint_url = {s3.endpoint}\n")
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(tmp_path / "credentials"))
    monkeypatch.setenv("AWS_CONFIG_FILE", str(tmp_path / "config"))
    monkeypatch.setenv("AWS_PROFILE", "field")
    storage = open_storage(root)
    storage.write("a", b"1")
    assert pickle.loads(pickle.dumps(storage)).read("a") == b"1"
    zarr_store = pickle.loads(pickle.dumps(storage.zarr_store("z")))
    zarr.create_array(zarr_store, shape=(2,), dtype="i4", zarr_format=3)[:] = 7
    assert storage.children("z")
    assert secret.encode() not in pickle.dumps(storage)
    monkeypatch.setenv("AWS_PROFILE", "nobody here")
    with pytest.raises(StorageError, match="nobody here"):
        open_storage(root)


def test_a_public_bucket_needs_no_identity(s3, monkeypatch, root):
    public = root.replace(s3.bucket, s3.public_bucket)
    open_storage(public).write("a", b"1")
    monkeypatch.delenv("AWS_ACCESS_KEY_ID")
    monkeypatch.delenv("AWS_SECRET_ACCESS_KEY")
    monkeypatch.setenv("AWS_SKIP_SIGNATURE", "true")
    assert open_storage(public).read("a") == b"1"
    with pytest.raises(StorageError, match="AWS_SKIP_SIGNATURE"):
        open_storage(root).read("a")


def test_a_web_root_is_read_but_neither_listed_nor_written(s3, root):
    public = root.replace(s3.bucket, s3.public_bucket)
    writer = open_storage(public)
    writer.write("a", b"0123456789")
    zarr.create_array(writer.zarr_store("z"), shape=(2,), dtype="i4", zarr_format=3)[:] = 7
    web = open_storage(public.replace("s3:/", s3.endpoint))
    assert web.read("a") == b"0123456789"
    assert web.read_tail("a", 3) == b"789"
    assert [bytes(b) for b in web.read_ranges("a", [(7, 2), (0, 1)])] == [b"78", b"0"]
    assert zarr.open_array(web.zarr_store("z"), mode="r", zarr_format=3)[:].tolist() == [7, 7]
    with pytest.raises(FileNotFoundError):
        web.read("none")
    for name, action in actions(web).items():
        if name not in ("read", "read_tail", "read_ranges"):
            with pytest.raises(StorageError):
                action()
    with pytest.raises(StorageError, match="not listed or written"):
        web.children("")
    assert web.read("a") == b"0123456789"


def test_a_missing_object_has_a_short_message(root):
    with pytest.raises(FileNotFoundError) as caught:
        open_storage(root).read("none")
    assert str(caught.value) == f"[Errno 2] no such object: '{root}/none'"


def test_a_store_that_does_not_answer_says_what_to_check(root, monkeypatch):
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:9")
    with pytest.raises(StorageError, match=r"cannot reach .*check the endpoint, the bucket and the network"):
        open_storage(root).read("a")


def test_an_update_that_always_loses_gives_up(root, monkeypatch):
    storage, other = open_storage(root), open_storage(root)
    monkeypatch.setattr(module, "_MAX_CONFLICTS", 3)
    calls = []

    def slow(data):
        calls.append(data)
        other.write("a", str(len(calls)).encode())  # somebody is faster, every time
        return b"mine"

    with pytest.raises(ConcurrentCommitError, match="changed by others 3 times in a row; run the command again"):
        storage.update("a", slow)
    assert calls == [None, b"1", b"2"]
    assert storage.read("a") == b"3"


def test_a_band_store_reads_from_an_object_store_as_from_a_folder(root, tmp_path):
    window = Window(150, 50 * 150, 280 * 150, 150, 150)
    values = {"displacement": random_values((3, 150, 150)), "valid": random_values((150, 150), bool)}
    storage = open_storage(root)
    found = write_band(storage, "S/x.zarr", window, values, dates=DATES)
    with xr.open_zarr(storage.zarr_store("S/x.zarr", read_only=True), zarr_format=3, chunks=None) as ds:
        for name, expected in values.items():
            np.testing.assert_array_equal(ds[name], expected)
    part = Window(150, window.row + 60, window.col + 10, 40, 70)
    rows, cols = part.slices_in(window)
    out = np.empty((2, 40, 70), "float32")
    found["displacement"].read_into(out, part, slice(1, 3))
    np.testing.assert_array_equal(out, values["displacement"][1:3, rows, cols])
    mask = np.empty((40, 70), bool)
    found["valid"].read_into(mask, part, slice(0))
    np.testing.assert_array_equal(mask, values["valid"][rows, cols])
    key = "S/x.zarr/displacement/c/0/0/0"
    assert check_object(storage, key, found["displacement"].spec) == ""
    shard = storage.read(key)
    storage.write(key, shard[: len(shard) // 2])
    assert check_object(storage, key, found["displacement"].spec).startswith("the shard index is damaged")
    storage.write(key, b"")
    assert check_object(storage, key, found["displacement"].spec) != ""


@pytest.mark.parametrize(
    ("status", "code", "said"),
    [
        (403, "AccessDenied", "no permission for s3://.*check the credentials and the bucket's policy"),
        (403, "InvalidAccessKeyId", "no permission for s3://.*check AWS_ACCESS_KEY_ID"),
        (400, "ExpiredToken", "the credentials for s3://.* have expired: renew them"),
        (403, "RequestTimeTooSkewed", "the clock of this machine .* set the clock"),
        (404, "NoSuchBucket", "there is no bucket insar at http://.*check its name and the endpoint"),
        (503, "SlowDown", "throttling or overloaded.*fewer workers"),
        (500, "InternalError", r"cannot reach s3://.* at http://127.*\(500 Internal Server Error.*check the endpoint"),
    ],
)
def test_each_error_of_a_service_says_what_to_check(s3_proxy, root, monkeypatch, status, code, said):
    monkeypatch.setenv("AWS_MAX_ATTEMPTS", "2")
    s3_proxy.fault("error", times=None, status=status, code=code)
    storage = open_storage(root)
    for action in (lambda: storage.read("a"), lambda: storage.write("a", b"1"), lambda: storage.children("")):
        with pytest.raises(StorageError, match=said) as caught:
            action()
        assert "\n" not in str(caught.value)
        assert caught.value.__cause__ is None
    fs, path = locate(root)
    # a file is looked for by HEAD first, whose answer has a status and no code
    less = r"no permission|refuses the request \(400\)|there is no bucket|throttling|cannot reach"
    with pytest.raises(StorageError, match=less), reaching(root):
        fs.cat_file(f"{path}/a")


def test_both_kinds_of_client_take_the_same_settings(s3, root, tmp_path, monkeypatch):
    key, secret = s3.writer
    for name in ("AWS_ENDPOINT_URL", "AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_REGION"):
        monkeypatch.delenv(name)
    (tmp_path / "credentials").write_text(f"[field]\naws_access_key_id = {key}\naws_secret_access_key = {secret}\n")
    (tmp_path / "config").write_text(
        f"[profile field]\nregion = us-east-1\nservices = ours\n[services ours]\ns3 =\n  endpoint_url = {s3.endpoint}\n"
    )
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(tmp_path / "credentials"))
    monkeypatch.setenv("AWS_CONFIG_FILE", str(tmp_path / "config"))
    monkeypatch.setenv("AWS_PROFILE", "field")
    open_storage(root).write("a", b"1")
    fs, path = locate(root)
    assert fs.cat_file(f"{path}/a") == b"1"
    assert secret.encode() not in pickle.dumps(fs)
    assert secret not in repr(fs)
    public = root.replace(s3.bucket, s3.public_bucket)
    open_storage(public).write("a", b"2")
    monkeypatch.delenv("AWS_PROFILE")
    monkeypatch.setenv("AWS_SKIP_SIGNATURE", "true")
    monkeypatch.setenv("AWS_ENDPOINT_URL", s3.endpoint)
    fs, path = locate(public)
    assert (fs.cat_file(f"{path}/a"), open_storage(public).read("a")) == (b"2", b"2")
    fs, path = locate(root)
    with pytest.raises(StorageError, match="no permission"), reaching(root):
        fs.cat_file(f"{path}/a")


@pytest.mark.parametrize(
    "url", ["https://me:hush@host/a.he5", "https://host/a.he5?X-Amz-Signature=hush", "https://host/a?sig=hush&x=1"]
)
def test_an_address_that_lets_everybody_in_is_refused_and_not_repeated(url):
    with pytest.raises(StorageError, match="must not carry a password or a signature") as caught:
        locate(url)
    assert "hush" not in str(caught.value)
    assert locate("https://host/a.he5?version=3")[1]
