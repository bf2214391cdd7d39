"""What every storage must do; `test_storage` and `test_storage_s3` run it."""

import pickle
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor
from multiprocessing import get_context

import pytest
import zarr
from counter import increment

from mimtpy_cloud.errors import StorageError
from mimtpy_cloud.io.storage import Storage, open_storage

WORKERS, INCREMENTS = 4, 5
BIG = 20 << 20  # several parts of an upload


class AnError(Exception):
    """Raised by a test inside a block."""


def write_and_fail(storage: Storage, key: str, data: bytes) -> None:
    """Leave a writer by an error."""
    with storage.writer(key) as file:
        file.write(data)
        raise AnError


class StorageContract:
    """Tests of any storage; a subclass gives the fixture `storage`, an empty root."""

    @pytest.fixture
    def storage(self) -> Iterator[Storage]:
        raise NotImplementedError

    def test_what_was_written_is_read(self, storage):
        storage.write("a/b/c.bin", b"0123456789")
        storage.write("a/empty", b"")
        assert storage.read("a/b/c.bin") == b"0123456789"
        assert storage.read("a/empty") == b""
        storage.write("a/b/c.bin", b"new")
        assert open_storage(storage.url).read("a/b/c.bin") == b"new"

    def test_a_tail_is_the_end_or_all_there_is(self, storage):
        storage.write("a", b"0123456789")
        assert storage.read_tail("a", 3) == b"789"
        assert storage.read_tail("a", 10) == b"0123456789"
        assert storage.read_tail("a", 500) == b"0123456789"

    def test_ranges_come_in_the_order_asked_for(self, storage):
        storage.write("a", bytes(range(200)))
        found = storage.read_ranges("a", [(150, 10), (0, 3), (5, 1), (2, 4)])
        assert [bytes(part) for part in found] == [
            bytes(range(150, 160)),
            bytes(range(3)),
            b"\5",
            bytes(range(2, 6)),
        ]

    @pytest.mark.parametrize("key", ["none", "folder", "folder/thing/below"])
    def test_what_is_no_object_is_not_found(self, storage, key):
        storage.write("folder/thing", b"1")
        for read in (storage.read, lambda k: storage.read_tail(k, 3), lambda k: list(storage.read_ranges(k, [(0, 1)]))):
            with pytest.raises(FileNotFoundError, match=key):
                read(key)

    @pytest.mark.parametrize("key", ["../a", "a/../../b", "/etc/passwd", "a//b", "a/./b", "..", "a/"])
    def test_a_key_cannot_leave_the_root(self, storage, key):
        attempts = (
            storage.read,
            lambda k: storage.read_tail(k, 1),
            lambda k: list(storage.read_ranges(k, [(0, 1)])),
            lambda k: storage.write(k, b""),
            lambda k: storage.writer(k).__enter__(),
            lambda k: storage.update(k, lambda data: b""),
            storage.children,
            storage.remove,
            storage.zarr_store,
        )
        for attempt in attempts:
            with pytest.raises(StorageError, match="does not stay below"):
                attempt(key)

    @pytest.mark.parametrize("size", [0, 10, BIG])
    def test_a_writer_streams(self, storage, size):
        data = b"0123456789" * (size // 10)
        with storage.writer("x/streamed") as file:
            for start in range(0, size, 3 << 20):
                file.write(data[start : start + (3 << 20)])
            with pytest.raises(FileNotFoundError):  # not before the end
                storage.read("x/streamed")
        assert storage.read("x/streamed") == data

    @pytest.mark.parametrize("size", [0, 10, BIG])
    def test_a_writer_that_fails_leaves_what_was_there(self, storage, size):
        storage.write("kept", b"old")
        for key in ("kept", "new"):
            with pytest.raises(AnError):
                write_and_fail(storage, key, bytes(size))
        assert storage.read("kept") == b"old"
        assert storage.children("") == ["kept"]
        with pytest.raises(FileNotFoundError):
            storage.read("new")

    def test_an_error_of_the_block_stays_what_it_was(self, storage):
        with pytest.raises(IsADirectoryError, match="mine"), storage.writer("new"):
            raise IsADirectoryError("mine")

    def test_update_gives_none_at_first_and_then_the_content(self, storage):
        seen = []

        def append(data):
            seen.append(data)
            return (data or b"") + b"x"

        storage.update("a/log", append)
        storage.update("a/log", append)
        assert seen == [None, b"x"]
        assert storage.read("a/log") == b"xx"
        assert storage.children("a") == ["log"]

    def test_an_update_that_fails_changes_nothing(self, storage):
        storage.write("log", b"old")

        def fail(data):
            raise AnError

        with pytest.raises(AnError):
            storage.update("log", fail)
        assert storage.read("log") == b"old"
        storage.update("log", lambda data: data + b" new")  # and holds no lock
        assert storage.read("log") == b"old new"

    def test_updates_of_several_processes_lose_nothing(self, storage):
        with ProcessPoolExecutor(WORKERS, mp_context=get_context("spawn")) as pool:
            list(pool.map(increment, [storage.url] * WORKERS, [INCREMENTS] * WORKERS))
        assert int(storage.read("deep/count")) == WORKERS * INCREMENTS

    def test_updates_of_several_threads_lose_nothing(self, storage):
        with ThreadPoolExecutor(WORKERS) as pool:
            list(pool.map(increment, [storage.url] * WORKERS, [INCREMENTS] * WORKERS))
        assert int(storage.read("deep/count")) == WORKERS * INCREMENTS

    def test_children_are_the_names_one_level_below(self, storage):
        for key in ("top.json", "b/1/x", "b/2/x", "b/file", "bb/x"):
            storage.write(key, b"")
        assert storage.children("") == ["b", "bb", "top.json"]
        assert storage.children("b") == ["1", "2", "file"]
        assert storage.children("b/1") == ["x"]
        assert storage.children("none") == []
        assert storage.children("top.json") == []

    def test_remove_takes_what_is_below_and_nothing_beside_it(self, storage):
        for key in ("s/1.zarr/zarr.json", "s/1.zarr/a/c/0", "s/1.zarr2/x", "s/2", "s/22"):
            storage.write(key, b"1")
        storage.remove("s/1.zarr")
        for key in ("s/1.zarr/zarr.json", "s/1.zarr/a/c/0"):
            with pytest.raises(FileNotFoundError):
                storage.read(key)
        storage.remove("s/2")
        with pytest.raises(FileNotFoundError):
            storage.read("s/2")
        assert storage.read("s/1.zarr2/x") == storage.read("s/22") == b"1"
        storage.remove("none")
        storage.remove("none/below")

    def test_the_root_itself_is_never_removed(self, storage):
        storage.write("a", b"1")
        with pytest.raises(StorageError, match="refusing to remove the whole root"):
            storage.remove("")
        assert storage.read("a") == b"1"

    def test_a_pickled_storage_reads_the_same(self, storage):
        storage.write("a/b", b"1")
        assert pickle.loads(pickle.dumps(storage)).read("a/b") == b"1"
        assert len(pickle.dumps(storage)) < 500

    def test_zarr_reads_and_writes_below_a_prefix(self, storage):
        array = zarr.create_array(storage.zarr_store("deep/x.zarr"), shape=(4,), dtype="i4", zarr_format=3)
        array[:] = [1, 2, 3, 4]
        assert "zarr.json" in storage.children("deep/x.zarr")
        again = zarr.open_array(storage.zarr_store("deep/x.zarr", read_only=True), mode="r", zarr_format=3)
        assert again[:].tolist() == [1, 2, 3, 4]
