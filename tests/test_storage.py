"""Storage in a local folder, and how URLs are understood."""

import contextlib
import os
import resource
import stat
import subprocess
import sys
import tempfile
import textwrap
from pathlib import Path

import pytest
from storagecontract import StorageContract

from mimtpy_cloud.errors import StorageError
from mimtpy_cloud.io.storage import LocalStorage, ObjectStorage, open_storage

NOBODY = 65534


class TestLocal(StorageContract):
    @pytest.fixture
    def storage(self, tmp_path):
        return open_storage(tmp_path / "new folder" / "root")


# ---- URLs


def test_a_path_a_string_and_a_file_url_are_one_folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    folder = tmp_path / "my tracks"
    open_storage(folder).write("a", b"1")
    escaped = f"file://{tmp_path}/my%20tracks"
    for url in (str(folder), f"{folder}/", "my tracks", f"file://{folder}", escaped, f"file://localhost{folder}"):
        storage = open_storage(url)
        assert storage.read("a") == b"1"
        assert storage.url == str(folder)


def test_the_home_folder_may_be_written_as_a_tilde():
    assert open_storage("~/tracks").url == str(Path.home() / "tracks")


def test_opening_makes_no_folder(tmp_path):
    storage = open_storage(tmp_path / "none")
    assert storage.children("") == []
    with pytest.raises(FileNotFoundError):
        storage.read("a")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("url", ["xyz://somewhere/x", "s3://"])
def test_an_unknown_url_says_what_is_known(url):
    with pytest.raises(StorageError, match="expected a local path, file://, s3://, gs://, az:// or https://") as caught:
        open_storage(url)
    assert "\n" not in str(caught.value)


def test_a_file_url_of_another_host_is_refused():
    with pytest.raises(StorageError, match="host 'server'"):
        open_storage("file://server/share")


@pytest.mark.parametrize("url", ["https://me:sesame@host/x", "https://host/x?sig=sesame", "s3://a:sesame@bucket/x"])
def test_a_secret_in_a_url_is_refused_and_not_repeated(url):
    with pytest.raises(StorageError, match="must not carry a password or a query") as caught:
        open_storage(url)
    assert "sesame" not in str(caught.value)


def test_object_stores_are_opened_without_a_request():
    for url in ("s3://bucket/prefix/", "gs://bucket/prefix/", "https://host/prefix/"):
        storage = open_storage(url)
        assert isinstance(storage, ObjectStorage)
        assert storage.url == url.rstrip("/")


# ---- files


def files(folder):
    return sorted(p.name for p in folder.rglob("*") if p.is_file())


def test_nothing_but_the_object_and_the_lock_stays_on_the_disk(tmp_path):
    storage = LocalStorage(tmp_path)
    storage.write("a", b"1")
    storage.update("b", lambda data: b"2")
    with contextlib.suppress(ZeroDivisionError), storage.writer("c") as file:
        file.write(b"3")
        raise ZeroDivisionError
    storage.write("d/e", b"4")
    storage.remove("d")
    assert files(tmp_path) == [".b.lock", "a", "b"]


def test_a_killed_writer_leaves_the_old_object_and_no_visible_name(tmp_path):
    storage = LocalStorage(tmp_path)
    storage.write("a", b"old")
    script = """
        import os, sys
        from mimtpy_cloud.io.storage import open_storage
        with open_storage(sys.argv[1]).writer("a") as file:
            file.write(bytes(1 << 20))
            os._exit(9)
    """
    done = subprocess.run([sys.executable, "-c", textwrap.dedent(script), str(tmp_path)], check=False)
    assert done.returncode == 9
    assert storage.read("a") == b"old"
    assert storage.children("") == ["a"]


def test_a_reader_of_the_old_object_keeps_it(tmp_path):
    storage = LocalStorage(tmp_path)
    storage.write("a", b"old old old")
    parts = storage.read_ranges("a", [(0, 3), (8, 3)])
    assert next(parts) == b"old"
    storage.write("a", b"new")
    assert next(parts) == b"old"


@contextlib.contextmanager
def largest_file(size):
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


def test_a_write_that_does_not_fit_is_an_error_and_not_a_short_object(tmp_path):
    storage = LocalStorage(tmp_path)
    storage.write("a", b"old")
    with largest_file(100_000), pytest.raises(StorageError, match="free some space"):
        storage.write("a", bytes(150_000))
    assert storage.read("a") == b"old"
    assert files(tmp_path) == ["a"]


def test_a_place_below_a_file_cannot_be_written(tmp_path):
    (tmp_path / "file").write_bytes(b"")
    storage = LocalStorage(tmp_path)
    for write in (lambda k: storage.write(k, b""), lambda k: storage.update(k, lambda data: b"")):
        with pytest.raises(StorageError, match="choose a place that you may write to"):
            write("file/below")
    with pytest.raises(StorageError, match="cannot write"):
        LocalStorage(tmp_path / "file").write("a", b"")


def test_a_folder_is_not_replaced_by_an_object(tmp_path):
    storage = LocalStorage(tmp_path)
    storage.write("a/b", b"1")
    with pytest.raises(StorageError, match="cannot write"):
        storage.write("a", b"2")
    assert storage.read("a/b") == b"1"
    assert files(tmp_path) == ["b"]


@pytest.fixture
def own_folder():
    """A folder of the user that the test runs as, who is not root: root may do anything."""
    with tempfile.TemporaryDirectory() as name:
        folder, user = Path(name), os.geteuid()
        if user == 0:
            os.chown(folder, NOBODY, -1)
            os.seteuid(NOBODY)
        yield folder
        folder.chmod(stat.S_IRWXU)
        os.seteuid(user)


def test_a_read_only_folder_is_read_and_refuses_writing(own_folder):
    storage = LocalStorage(own_folder)
    storage.write("a", b"1")
    own_folder.chmod(stat.S_IRUSR | stat.S_IXUSR)
    assert storage.read("a") == b"1"
    assert storage.children("") == ["a"]
    for write in (lambda: storage.write("a", b""), lambda: storage.update("a", lambda d: b"")):
        with pytest.raises(StorageError, match="Permission denied"):
            write()
    with pytest.raises(StorageError, match="cannot write"):
        storage.remove("a")


def test_an_unreadable_object_is_a_storage_error(own_folder):
    storage = LocalStorage(own_folder)
    storage.write("a", b"1")
    (own_folder / "a").chmod(0)
    for read in (storage.read, lambda k: storage.read_tail(k, 1), lambda k: list(storage.read_ranges(k, [(0, 1)]))):
        with pytest.raises(StorageError, match="cannot read"):
            read("a")


def test_the_index_is_on_the_disk_before_and_its_name_after_the_rename(tmp_path, monkeypatch):
    storage, events = LocalStorage(tmp_path), []
    fsync, replace = os.fsync, Path.replace

    def kind(handle):
        return "folder" if stat.S_ISDIR(os.fstat(handle).st_mode) else "file"

    monkeypatch.setattr(os, "fsync", lambda handle: (events.append(kind(handle)), fsync(handle)))
    monkeypatch.setattr(Path, "replace", lambda self, target: (events.append("rename"), replace(self, target)))
    storage.update("a/index.json", lambda data: b"{}")
    assert events == ["file", "rename", "folder"]
    events.clear()
    storage.write("a/shard", b"data")
    assert events == ["rename"]  # bulk is left to the page cache


def test_hidden_files_are_no_children(tmp_path):
    storage = LocalStorage(tmp_path)
    storage.update("index.json", lambda data: b"{}")
    assert (tmp_path / ".index.json.lock").exists()
    assert storage.children("") == ["index.json"]
