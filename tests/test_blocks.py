"""The folder of blocks: whole or not there, shared, bounded, and never in the way."""

import os
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from mimtpy_cloud.io import blocks as module
from mimtpy_cloud.io.blocks import BlockFolder

MIB = 1 << 20


@pytest.fixture
def blocks(tmp_path):
    return BlockFolder(tmp_path / "cache", 100 * MIB)


def names(count):
    return [f"s3://b/root\nkey\n{number}" for number in range(count)]


def files(blocks):
    return [Path(entry.path) for entry in blocks.files()]


@pytest.mark.parametrize("data", [b"", b"x", bytes(range(256)) * 5000])
def test_what_was_kept_is_found(blocks, data):
    assert blocks.get("a") is None
    blocks.put("a", data)
    assert bytes(blocks.get("a").data) == data
    assert blocks.get("b") is None


def test_that_an_object_does_not_exist_is_kept_too(blocks):
    blocks.put("a", None)
    assert blocks.get("a").data is None


def test_a_block_is_readable_for_its_owner_alone(blocks):
    blocks.put("a", b"1")
    assert blocks.folder.stat().st_mode & 0o077 == 0


@pytest.mark.parametrize("damage", ["flip", "cut", "empty", "other"])
def test_a_damaged_block_is_gone_and_said_so(blocks, caplog, damage):
    blocks.put("a", b"0123456789")
    blocks.put("b", b"9876543210")
    path = blocks._path("a")
    content = bytearray(path.read_bytes())
    content[3] ^= 1
    damaged = {
        "flip": bytes(content),
        "cut": bytes(content)[:-1],
        "empty": b"",
        "other": blocks._path("b").read_bytes(),
    }
    path.write_bytes(damaged[damage])
    assert blocks.get("a") is None
    assert "damaged block of the cache is fetched again" in caplog.text
    assert not path.exists()
    assert bytes(blocks.get("b").data) == b"9876543210"


def test_verify_counts_and_removes(blocks):
    for name in names(5):
        blocks.put(name, b"0123456789")
    with files(blocks)[0].open("r+b") as file:
        file.write(b"!")
    assert blocks.verify() == (4, 1)
    assert blocks.verify() == (4, 0)


def test_the_oldest_go_first_and_the_folder_stays_within_its_limit(tmp_path):
    blocks = BlockFolder(tmp_path, 10 * MIB)
    for age, name in enumerate(names(9)):
        blocks.put(name, bytes(MIB))
        os.utime(blocks._path(name), (time.time() - 1000 + age,) * 2)
    assert blocks.get(names(9)[0]) is not None  # used now, so the newest
    for name in ("x", "y", "z"):
        blocks.put(name, bytes(MIB))
        assert sum(path.stat().st_size for path in files(blocks)) <= 10 * MIB * 1.04
    kept = [name for name in names(9) if blocks.get(name) is not None]
    assert kept[0] == names(9)[0]
    assert names(9)[1] not in kept
    assert names(9)[8] in kept
    assert blocks.get("z") is not None


def test_usage_is_by_root(blocks):
    blocks.put("s3://a\nkey\n0", b"12345")
    blocks.put("s3://a\nkey\n1", None)
    blocks.put("s3://b\nkey\n0", b"1")
    assert {origin: count for origin, (count, _) in blocks.usage().items()} == {"s3://a": 2, "s3://b": 1}
    assert blocks.clear(lambda origin, idle: origin == "s3://a")[0] == 2
    assert list(blocks.usage()) == ["s3://b"]


WRITER = """
import sys
from mimtpy_cloud.io.blocks import BlockFolder
blocks = BlockFolder(sys.argv[1], 20 << 20)
for turn in range(30):
    for number in range(8):
        name, data = f"s3://b\\nk\\n{number}", bytes([number]) * (1 << 20)
        found = blocks.get(name)
        assert found is None or bytes(found.data) == data
        blocks.put(name, data)
        blocks.put(f"{sys.argv[2]} {turn} {number}", data)
"""


def test_several_processes_share_a_folder_and_its_limit(tmp_path):
    processes = [subprocess.Popen([sys.executable, "-c", WRITER, str(tmp_path), str(n)]) for n in range(3)]
    assert [process.wait(timeout=60) for process in processes] == [0, 0, 0]
    blocks = BlockFolder(tmp_path, 20 * MIB)
    assert blocks.verify()[1] == 0
    assert sum(path.stat().st_size for path in files(blocks)) <= 20 * MIB * 1.2
    assert not list(tmp_path.rglob("*.part"))


def test_one_fetches_while_the_others_wait(blocks):
    fetched = []

    def fetch(_):
        with blocks.alone(["a"]):
            found = blocks.get("a")
            if found is None:
                fetched.append(1)
                time.sleep(0.1)
                blocks.put("a", b"1")

    with ThreadPoolExecutor(6) as pool:
        list(pool.map(fetch, range(6)))
    assert len(fetched) == 1


def test_others_do_not_wait_for_what_they_do_not_want(blocks):
    with blocks.alone(["a"]), ThreadPoolExecutor(1) as pool:

        def other():
            with blocks.alone(["b"]):
                return True

        assert pool.submit(other).result(timeout=5)


def test_who_waits_too_long_goes_on_alone(blocks, monkeypatch):
    monkeypatch.setattr(module, "_PATIENCE", 0.1)
    with blocks.alone(["a"]), ThreadPoolExecutor(1) as pool:

        def other():
            with blocks.alone(["a"]):
                return True

        assert pool.submit(other).result(timeout=5)


def test_a_folder_that_cannot_be_written_is_no_error(tmp_path, caplog):
    (tmp_path / "file").write_bytes(b"")
    blocks = BlockFolder(tmp_path / "file" / "cache", 10 * MIB)
    blocks.put("a", b"1")
    assert "cannot be written" in caplog.text
    with blocks.alone(["a"]):
        assert blocks.get("a") is None
    caplog.clear()
    blocks.put("b", b"1")
    assert not caplog.text  # it is not tried again at once


FULL = """
import resource, sys
from mimtpy_cloud.io.blocks import BlockFolder
resource.setrlimit(resource.RLIMIT_FSIZE, (1000, 1000))
import signal
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
blocks = BlockFolder(sys.argv[1], 20 << 20)
blocks.put("big", bytes(100_000))
assert blocks.get("big") is None
"""


def test_a_disk_that_takes_no_more_leaves_nothing_half_written(tmp_path):
    result = subprocess.run(
        [sys.executable, "-c", FULL, tmp_path], check=False, capture_output=True, text=True, timeout=60
    )
    assert result.returncode == 0, result.stderr
    assert "cannot be written" in result.stderr
    assert not [path for path in (tmp_path / "blocks").rglob("*") if path.is_file()]


def test_a_folder_that_is_deleted_meanwhile_is_made_again(blocks):
    import shutil

    blocks.put("a", b"1")
    shutil.rmtree(blocks.folder)
    assert blocks.get("a") is None
    with blocks.alone(["a"]):
        blocks.put("a", b"2")
    assert bytes(blocks.get("a").data) == b"2"


def test_many_short_processes_stay_within_the_limit(tmp_path):
    for number in range(30):
        BlockFolder(tmp_path, 10 * MIB).put(f"s3://b\nk\n{number}", bytes(MIB))
    assert sum(path.stat().st_size for path in files(BlockFolder(tmp_path, 10 * MIB))) <= 11 * MIB


def test_what_is_being_written_is_no_damaged_block(blocks):
    blocks.put("a", b"1")
    part = blocks._path("a").with_name("x.12345678.part")
    part.write_bytes(b"half")
    assert blocks.verify() == (1, 0)
    assert part.exists()
