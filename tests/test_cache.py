"""The local cache: few requests, none the second time, right whatever happens to it, and work without the network."""

import os
import pickle
import shutil
import subprocess
import sys
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import h5py
import numpy as np
import pytest
import xarray as xr
from click.testing import CliRunner
from scenes import add_entry, displacement, make_entry, write_scene

from mimtpy_cloud.catalog.index import open_catalog
from mimtpy_cloud.catalog.ingest import ingest
from mimtpy_cloud.catalog.maintenance import gc, verify
from mimtpy_cloud.catalog.publish import publish
from mimtpy_cloud.catalog.tracks import entry_arrays, open_track
from mimtpy_cloud.catalog.warm import warm
from mimtpy_cloud.cli.app import cli
from mimtpy_cloud.errors import DateError, StorageError, TrackNotFoundError
from mimtpy_cloud.io import store as reading
from mimtpy_cloud.io.blocks import BlockFolder
from mimtpy_cloud.io.cache import CachedStorage, cache_folder, cached_storage
from mimtpy_cloud.io.cachedfile import CachedFile
from mimtpy_cloud.io.hdfeos5 import open_hdfeos5
from mimtpy_cloud.io.storage import LocalStorage, ObjectStorage, open_storage


@pytest.fixture(scope="module")
def scene(tmp_path_factory):
    return write_scene(tmp_path_factory.mktemp("source"), shape=(300, 280))


@pytest.fixture
def root(scene, s3_proxy, s3, tmp_path, monkeypatch):
    """Root on S3 behind the counting proxy, with one track in two bands; the cache is on and empty."""
    monkeypatch.setenv("MIMTPY_CACHE_DIR", str(tmp_path / "cache"))
    url = f"s3://{s3.bucket}/{tmp_path.name}"
    ingest(scene, url)
    fresh(s3_proxy)
    return url


def fresh(proxy):
    """Forget the requests, and what this process remembers of shard indexes."""
    proxy.reset()
    reading.forget_indexes()


def load(root, **options):
    return open_track(root, "A064", resolution="lowRes", **options).load()


def blocks_of(folder):
    return [path for path in (Path(folder) / "blocks").rglob("*") if path.is_file()]


# --- requests -----------------------------------------------------------------------------------------------


def test_a_track_of_fifty_bands_opens_with_one_request(s3_proxy, s3, tmp_path):
    url = f"s3://{s3.bucket}/{tmp_path.name}"
    n = 250
    bands = range(50)
    rows = {band: ((89 - band) * n, 280 * n, n, n) for band in bands}
    add_entry(
        url,
        make_entry(
            track="A064",
            resolution="lowRes",
            pixels_per_degree=n,
            window=((89 - 49) * n, 280 * n, 50 * n, n),
            band_windows=rows,
        ),
    )
    s3_proxy.reset()
    ds = open_track(url, "A064", resolution="lowRes")
    assert ds.sizes["y"] == 50 * n
    assert [r.method for r in s3_proxy.requests()] == ["GET"]


def test_a_time_series_of_some_pixels_takes_two_requests_a_shard_and_none_again(root, s3_proxy, scene):
    def series():
        ds = open_track(root, "A064", resolution="lowRes")
        return ds.displacement.isel(y=slice(10, 20), x=slice(10, 20)).load()

    expected = series()
    shards = s3_proxy.requests(part="/displacement/c/")
    assert len(shards) == 2  # its index, and its chunks
    assert len(s3_proxy.requests()) == 3  # and the index of the track
    fresh(s3_proxy)
    xr.testing.assert_identical(series(), expected)
    assert [r.path.rpartition("/")[2] for r in s3_proxy.requests()] == ["index.json"]
    shutil.rmtree(cache_folder().folder)
    s3_proxy.reset()  # the index of the shard is known to this process
    xr.testing.assert_identical(series(), expected)
    assert len(s3_proxy.requests(part="/displacement/c/")) == 1
    np.testing.assert_array_equal(expected, displacement(scene)[:, 10:20, 10:20])


def test_what_was_read_once_is_not_asked_for_again(root, s3_proxy, scene):
    first = load(root)
    np.testing.assert_array_equal(first.displacement, displacement(scene))
    fresh(s3_proxy)
    xr.testing.assert_identical(load(root), first)
    assert len(s3_proxy.requests()) == 1
    assert len(s3_proxy.requests(part="index.json")) == 1


def test_that_a_chunk_does_not_exist_is_not_asked_for_again(tmp_path, s3_proxy, s3, monkeypatch):
    path = write_scene(tmp_path, shape=(300, 300), nan=False)
    with h5py.File(path, "r+") as file:
        file["HDFEOS/GRIDS/timeseries/observation/displacement"][:, :, :260] = np.nan
    url = f"s3://{s3.bucket}/{tmp_path.name}"
    (entry,) = ingest(path, url)
    monkeypatch.setenv("MIMTPY_CACHE_DIR", str(tmp_path / "cache"))
    fresh(s3_proxy)
    first = load(url)
    missing = [r for r in s3_proxy.requests() if r.status == 404]
    assert missing
    fresh(s3_proxy)
    xr.testing.assert_identical(load(url), first)
    assert len(s3_proxy.requests()) == 1
    # what is gone altogether is no missing chunk
    shutil.rmtree(tmp_path / "cache")
    fresh(s3_proxy)
    ds = open_track(url, "A064", resolution="lowRes")
    for band in entry.bands:
        open_storage(url).remove(entry.store_key(band))
    for _ in range(2):
        reading._shard_index.cache_clear()
        with pytest.raises(StorageError, match="is gone, perhaps removed by gc"):
            ds.displacement.isel(x=slice(0, 10)).load()


def test_no_cache_where_none_is_asked_for(root, s3_proxy, monkeypatch, tmp_path):
    load(root, cache=False)
    assert not (tmp_path / "cache").exists()
    monkeypatch.delenv("MIMTPY_CACHE_DIR")
    assert isinstance(cached_storage(root), ObjectStorage)
    assert isinstance(cached_storage(str(tmp_path), cache=True), LocalStorage)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "home"))
    load(root, cache=True)
    assert blocks_of(tmp_path / "home" / "mimtpy")


def test_the_cache_of_a_catalog_goes_to_its_tracks(root, s3_proxy, monkeypatch, tmp_path):
    monkeypatch.delenv("MIMTPY_CACHE_DIR")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "home"))
    open_track(open_catalog(root, cache=True), "A064", resolution="lowRes").valid.load()
    assert blocks_of(tmp_path / "home" / "mimtpy")


READER = """
import sys
from mimtpy_cloud import open_track
ds = open_track(sys.argv[1], "A064", resolution="lowRes").load(scheduler="threads", num_workers=4)
print(float(ds.displacement.sum()), int(ds.valid.sum()))
"""


def test_two_processes_on_a_cold_cache_fetch_nothing_twice(root, s3_proxy):
    s3_proxy.fault("delay", seconds=0.05, times=None, methods=("GET",))  # so that they meet
    command = [sys.executable, "-W", "ignore", "-c", READER, root]
    readers = [subprocess.Popen(command, stdout=subprocess.PIPE, text=True) for _ in range(2)]
    said = {reader.communicate(timeout=120)[0] for reader in readers}
    assert [reader.returncode for reader in readers] == [0, 0]
    fetched = Counter((r.path, r.range) for r in s3_proxy.requests("GET", part=".zarr/"))
    assert set(fetched.values()) == {1}
    s3_proxy.reset()
    ds = load(root, cache=False)
    assert said == {f"{float(ds.displacement.sum())} {int(ds.valid.sum())}\n"}


def test_an_object_of_many_blocks_is_read_right_and_by_few_requests(s3_proxy, s3, tmp_path, monkeypatch):
    monkeypatch.setenv("MIMTPY_CACHE_DIR", str(tmp_path / "cache"))
    url, key = f"s3://{s3.bucket}/{tmp_path.name}", "S/x-20260101T000000000000Z-01234567.zarr/a/c/0"
    data = np.random.default_rng(0).bytes((20 << 20) + 12345)
    open_storage(url).write(key, data)
    storage = cached_storage(url)
    assert isinstance(storage, CachedStorage)
    ranges = [(0, 10), ((5 << 20) - 3, 6), (len(data) - 5, 5), (1 << 20, 3 << 20), (len(data) - 5, 50), (7, 0)]
    for _ in range(2):
        s3_proxy.reset()
        assert [bytes(part) for part in storage.read_ranges(key, ranges)] == [data[o : o + n] for o, n in ranges]
    assert s3_proxy.requests() == []
    shutil.rmtree(tmp_path / "cache")
    assert b"".join(bytes(p) for p in storage.read_ranges(key, [(i, 1 << 19) for i in range(0, 20 << 20, 1 << 19)]))
    assert len(s3_proxy.requests()) == 2
    shutil.rmtree(tmp_path / "cache")
    s3_proxy.reset()
    list(storage.read_ranges(key, [(0, 10), (3 << 20, 10)]))  # a small gap is fetched, too
    assert len(s3_proxy.requests()) == 1


# --- right, whatever happens ----------------------------------------------------------------------------------


def test_a_new_revision_is_seen_at_once(root, tmp_path, s3_proxy):
    before = load(root)
    ingest(write_scene(tmp_path, shape=(300, 280), seed=9), root)
    after = load(root)
    assert before.attrs["revision"] != after.attrs["revision"]
    assert not np.array_equal(before.displacement, after.displacement, equal_nan=True)


@pytest.mark.parametrize("trouble", ["corrupt", "deleted", "read_only", "full", "no folder"])
def test_trouble_with_the_cache_is_never_an_error(root, s3_proxy, scene, tmp_path, monkeypatch, trouble):
    expected = displacement(scene)
    if trouble == "no folder":
        (tmp_path / "cache").write_text("a file")
    else:
        load(root)
    for path in blocks_of(tmp_path / "cache"):
        if trouble == "corrupt":
            content = bytearray(path.read_bytes())
            content[len(content) // 3] ^= 1
            path.write_bytes(content)
        if trouble == "full":
            path.unlink()
    if trouble == "deleted":
        shutil.rmtree(tmp_path / "cache")
    if trouble == "read_only":
        shutil.rmtree(tmp_path / "cache" / "blocks")
        (tmp_path / "cache" / "blocks").write_text("not a folder: not even root can write below it")
    if trouble == "full":
        monkeypatch.setattr(Path, "replace", no_space)
    fresh(s3_proxy)
    np.testing.assert_array_equal(load(root).displacement, expected)
    assert s3_proxy.requests(part=".zarr/")


def no_space(self, target):
    raise OSError(28, "No space left on device")


def test_the_cache_stays_within_its_size(root, s3_proxy, scene, monkeypatch, tmp_path):
    monkeypatch.setenv("MIMTPY_CACHE_SIZE", "2MiB")
    for turn in range(3):
        fresh(s3_proxy)
        np.testing.assert_array_equal(load(root).displacement, displacement(scene))
        used = sum(path.stat().st_size for path in blocks_of(tmp_path / "cache"))
        assert 0 < used <= 3 * (1 << 20), turn  # what a second thread adds while the first looks


@pytest.mark.parametrize("size", ["much", "-5GB", "10", "0"])
def test_a_size_that_is_none_is_said(root, monkeypatch, size):
    monkeypatch.setenv("MIMTPY_CACHE_SIZE", size)
    with pytest.raises(StorageError, match="MIMTPY_CACHE_SIZE must be a size such as 20GB"):
        load(root)


def test_zarr_and_xarray_read_a_band_store_through_the_cache(root, s3_proxy):
    catalog = open_catalog(root)
    (entry,) = catalog.search()
    store = catalog.storage.zarr_store(entry.store_key(39), read_only=True)
    with xr.open_zarr(store, zarr_format=3, chunks=None) as ds:
        first = ds.load()
    whole = load(root, cache=False)
    inside = first.isel(y=np.isin(first.y, whole.y), x=np.isin(first.x, whole.x))
    assert inside.sizes["y"] > 10
    np.testing.assert_array_equal(inside.displacement, whole.displacement.sel(y=inside.y, x=inside.x))
    s3_proxy.reset()
    with xr.open_zarr(pickle.loads(pickle.dumps(store)), zarr_format=3, chunks=None) as ds:
        xr.testing.assert_identical(ds.load(), first)
    assert s3_proxy.requests("GET", part="/c/") == []


def test_a_he5_file_on_s3_is_read_in_blocks_that_are_kept(scene, s3_proxy, s3, tmp_path, monkeypatch):
    import s3fs

    url = f"s3://{s3.bucket}/{tmp_path.name}/{scene.name}"
    open_storage(url.rpartition("/")[0]).write(scene.name, scene.read_bytes())
    with open_hdfeos5(scene) as local:
        expected = local.load()
    for cached, most in ((False, 40), (True, 40), (True, 8)):
        if cached:
            monkeypatch.setenv("MIMTPY_CACHE_DIR", str(tmp_path / "cache"))
        s3fs.S3FileSystem.clear_instance_cache()
        s3_proxy.reset()
        with open_hdfeos5(url) as remote:
            np.testing.assert_array_equal(remote.displacement, expected.displacement)
            np.testing.assert_array_equal(remote.los_up, expected.los_up)
        gets = s3_proxy.requests("GET", part=scene.name)
        assert len(gets) <= (0 if most == 8 else most)
        assert len(s3_proxy.requests()) <= most + 4


# --- offline --------------------------------------------------------------------------------------------------


def analysis(root):
    """What somebody does with a track."""
    (entry,) = open_catalog(root).search(track="A064")
    ds = open_track(root, "A064", resolution="lowRes")
    return ds.displacement.mean("time").where(ds.valid).load(), entry


def test_after_warm_the_same_work_sends_no_request_and_needs_no_server(root, s3_proxy, monkeypatch):
    expected, _ = analysis(root)
    shutil.rmtree(cache_folder().folder)
    steps = []
    found = warm(root, progress=lambda *step: steps.append(step))
    assert found.nbytes > 0
    assert steps[-1][0] == steps[-1][1] == found.objects
    fresh(s3_proxy)
    xr.testing.assert_identical(analysis(root)[0], expected)
    assert s3_proxy.requests() == []
    s3_proxy.down()
    monkeypatch.setenv("AWS_MAX_ATTEMPTS", "1")
    fresh(s3_proxy)
    xr.testing.assert_identical(analysis(root)[0], expected)
    with pytest.raises(StorageError, match="cannot reach"):
        load(root, cache=False)
    s3_proxy.up()


def test_warm_fetches_no_more_than_the_box_and_the_dates(root, s3_proxy):
    (entry,) = open_catalog(root).search()
    everything = warm(root)
    west, south = entry.bounds[:2]
    box = (west, south, west + 0.2, south + 0.2)
    shutil.rmtree(cache_folder().folder)
    part = warm(root, ["A064"], bbox=box, start=entry.dates[0], end=entry.dates[0])
    assert part.nbytes < everything.nbytes
    fresh(s3_proxy)
    ds = open_track(root, "A064", resolution="lowRes", bbox=box)
    ds.displacement.load()
    assert s3_proxy.requests() == []


def test_a_warmed_catalog_is_taken_as_it_was_until_something_is_ingested_from_here(root, s3_proxy, tmp_path):
    warm(root)
    before = analysis(root)[1]
    path = write_scene(tmp_path, shape=(300, 280), seed=9)
    environment = {**os.environ, "MIMTPY_CACHE_DIR": str(tmp_path / "another machine")}
    code = "import sys; from mimtpy_cloud import ingest; ingest(sys.argv[1], sys.argv[2])"
    subprocess.run([sys.executable, "-W", "ignore", "-c", code, path, root], check=True, env=environment, timeout=60)
    assert analysis(root)[1] == before
    (entry,) = ingest(write_scene(tmp_path, shape=(300, 280), seed=10, name="other.he5"), root)
    assert analysis(root)[1] == entry


def test_a_warm_that_fails_keeps_nothing_of_the_catalog(root, s3_proxy):
    with pytest.raises(TrackNotFoundError):
        warm(root, ["A999"])
    assert open_catalog(root).storage.catalog_taken == ""
    warm(root)
    taken = open_catalog(root).storage.catalog_taken
    with pytest.raises(TrackNotFoundError):
        warm(root, ["A999"])
    assert open_catalog(root).storage.catalog_taken == taken


def test_what_is_newer_than_the_warmed_catalog_is_neither_listed_nor_opened(root, s3_proxy, tmp_path):
    warm(root)
    newer = write_scene(tmp_path, relative_orbit=166, name="newer.he5")
    environment = {**os.environ, "MIMTPY_CACHE_DIR": str(tmp_path / "another machine")}
    code = "import sys; from mimtpy_cloud import ingest; ingest(sys.argv[1], sys.argv[2])"
    subprocess.run([sys.executable, "-W", "ignore", "-c", code, newer, root], check=True, env=environment, timeout=60)
    s3_proxy.reset()
    assert open_catalog(root).tracks() == ["A064"]
    with pytest.raises(TrackNotFoundError, match="no track Sentinel/A166"):
        open_track(root, "A166")
    assert s3_proxy.requests() == []
    result = CliRunner().invoke(cli, ["catalog", "list", "--root", root])
    assert "from the cache; mimtpy cache warm renews it" in result.stderr
    assert open_catalog(root, cache=False).tracks() == ["A064", "A166"]


def test_the_cache_by_the_command_line(root, s3_proxy, monkeypatch):
    def run(*arguments):
        result = CliRunner().invoke(cli, ["cache", *arguments])
        assert result.exit_code == 0, result.output
        return result

    assert "0 B of 20.0 GB (the default" in run("info").output
    assert "Sentinel/A064/lowRes" in run("warm", "A064", "--root", root).output
    info = run("info").output
    assert root in info
    assert "switched on  yes" in info
    assert "0 were damaged" in run("verify").output
    assert "and the catalogs of 1 roots removed" in run("clear", "--root", root).stderr
    assert root not in run("info").output
    monkeypatch.delenv("MIMTPY_CACHE_DIR")
    assert "no: set MIMTPY_CACHE_DIR" in run("info").output


def test_a_publication_never_believes_the_cache(root, s3_proxy, scene, tmp_path):
    target = f"{root}-published"
    warm(root)
    publish(root, target)
    (entry,) = open_catalog(target, cache=False).search()
    open_track(target, "A064", resolution="lowRes").load()
    for band in entry.bands:
        open_storage(target).remove(entry.store_key(band))
    publish(root, target)
    assert verify(target) == []
    environment = {**os.environ, "MIMTPY_CACHE_DIR": str(tmp_path / "another machine")}
    code = "import sys; from mimtpy_cloud import ingest; ingest(sys.argv[1], sys.argv[2])"
    newer = write_scene(tmp_path, shape=(300, 280), seed=9)
    subprocess.run([sys.executable, "-W", "ignore", "-c", code, newer, root], check=True, env=environment, timeout=60)
    publish(root, target)
    (now,) = open_catalog(target, cache=False).search()
    assert now.content != entry.content


def test_a_remote_file_that_is_answered_short_is_asked_for_again_and_nothing_short_is_kept(tmp_path):
    data = bytes(range(256)) * 20_000
    answers = [10, 0]

    def fetch(start, end):
        return data[start : end - (answers.pop() if answers else 0)]

    blocks = BlockFolder(tmp_path, 100 << 20)
    file = CachedFile("x\n1", len(data), fetch, blocks)
    assert file.read(100) == data[:100]
    answers[:] = [5, 5]
    with pytest.raises(OSError, match="ended early"):
        CachedFile("y\n1", len(data), fetch, blocks).read(100)
    assert CachedFile("y\n1", len(data), fetch, blocks).read() == data


def test_warm_says_what_is_wrong(root, s3_proxy, monkeypatch, tmp_path):
    with pytest.raises(StorageError, match="is on this machine and needs no cache"):
        warm(tmp_path)
    with pytest.raises(TrackNotFoundError, match=r"no track A999 in s3.*; it has A064"):
        warm(root, ["A999"])
    with pytest.raises(TrackNotFoundError, match=r"nothing of .* lies in"):
        warm(root, bbox=(0, 0, 1, 1))
    with pytest.raises(DateError, match="no acquisition of A064 between 2030"):
        warm(root, start="2030-01-01", end="2031-01-01")
    monkeypatch.setenv("MIMTPY_CACHE_SIZE", "1MiB")
    s3_proxy.reset()
    with pytest.raises(StorageError, match="set MIMTPY_CACHE_SIZE, or choose fewer tracks"):
        warm(root)


def test_gc_and_ingest_never_believe_a_snapshot(root, s3_proxy, tmp_path, scene):
    warm(root)
    (entry,) = open_catalog(root, cache=False).search()
    environment = {**os.environ, "MIMTPY_CACHE_DIR": str(tmp_path / "another machine")}
    path = write_scene(tmp_path, shape=(300, 280), seed=9)
    code = "import sys; from mimtpy_cloud import ingest; ingest(sys.argv[1], sys.argv[2])"
    subprocess.run([sys.executable, "-W", "ignore", "-c", code, path, root], check=True, env=environment, timeout=60)
    assert gc(root, grace_hours=0) == []
    assert len(ingest(scene, root)) == 1
    (now,) = open_catalog(root, cache=False).search()
    assert now.revision != entry.revision


def test_arrays_are_described_without_a_request(root, s3_proxy):
    (entry,) = open_catalog(root).search()
    s3_proxy.reset()
    arrays = entry_arrays(root, entry)
    assert {array.spec.name for array in arrays} == set(entry.variables)
    with ThreadPoolExecutor(2) as pool:
        list(pool.map(pickle.dumps, arrays))
    assert s3_proxy.requests() == []
