"""A published root shows what is current, to anyone, whole or not at all, and nothing private."""

import json
import shutil
import subprocess
import sys
import textwrap
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
import xarray as xr
from scenes import add_entry, make_entry, tree, write_scene

import mimtpy_cloud as mc
from mimtpy_cloud.catalog import publish as module
from mimtpy_cloud.catalog.index import open_catalog, read_commits
from mimtpy_cloud.catalog.maintenance import gc, verify
from mimtpy_cloud.catalog.publish import publish
from mimtpy_cloud.catalog.published import KEY, Published, read_published
from mimtpy_cloud.errors import CatalogError, StorageError, TrackNotFoundError
from mimtpy_cloud.io.storage import LocalStorage, ObjectStorage, open_storage

OTHER = {"relative_orbit": 71, "PROJECT_NAME": "TinySenAT071"}


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """Root with A064 and A071, which overlap, two bands each; the first revision of A064 was replaced."""
    folder = tmp_path_factory.mktemp("private")
    private = {"mintpy.load.unwFile": f"{folder}/merged/*/filt.unw"}
    mc.ingest(write_scene(folder, name="old.he5", seed=5, **private), folder / "root")
    mc.ingest(write_scene(folder, name="new.he5", **private), folder / "root")
    mc.ingest(write_scene(folder, name="other.he5", shape=(200, 200), seed=2, north=40.3, **OTHER), folder / "root")
    return folder / "root"


@pytest.fixture
def root(made, tmp_path):
    """A copy of it that a test may change."""
    return shutil.copytree(made, tmp_path / "root")


@pytest.fixture
def to(tmp_path):
    return tmp_path / "public"


@pytest.fixture
def bucket(s3, request):
    """A new prefix of the public bucket, and its address on the web."""
    prefix = f"{s3.public_bucket}/{abs(hash(request.node.nodeid))}"
    return f"s3://{prefix}", f"{s3.endpoint}/{prefix}"


def joined(root) -> xr.Dataset:
    tracks = [mc.estimate_velocity(mc.open_track(root, track)) for track in ("A064", "A071")]
    adjustment = mc.estimate_adjustment(tracks, anchor="A064")
    return mc.mosaic(tracks, adjustment)[["velocity"]].compute()


def names(root) -> list[tuple[str, str]]:
    return [(entry.track, entry.revision) for entry in open_catalog(root).search()]


def age(to, hours: float) -> None:
    """Make all that a published root remembers so much older."""
    storage = open_storage(to)
    published = read_published(storage)

    def earlier(text):
        return (datetime.fromisoformat(text) - timedelta(hours=hours)).isoformat(timespec="microseconds")

    aged = replace(
        published,
        tracks={name: earlier(time) for name, time in published.tracks.items()},
        copying={name: {**claim, "since": earlier(claim["since"])} for name, claim in published.copying.items()},
    )
    storage.write(KEY, aged.to_json())


class AnError(Exception):
    """Stands for anything that goes wrong in the middle."""


def fail_after(calls: int):
    """Make a progress that stops a publication."""
    seen = []

    def progress(done, total, unit):
        seen.append(done)
        if len(seen) == calls:
            raise AnError

    return progress


# --- what is published ------------------------------------------------------------------------------------------


def test_a_published_root_has_what_is_current_bit_for_bit(made, to):
    published = publish(made, to)
    assert names(to) == names(made)
    assert len(published.copied) == 4
    assert published.present == ()
    assert open_catalog(to).tracks() == ["A064", "A071"]
    assert [len(read_commits(open_storage(to), "Sentinel", t)) for t in ("A064", "A071")] == [1, 1]
    for track in ("A064", "A071"):
        xr.testing.assert_identical(
            mc.open_track(to, track).drop_attrs(deep=False), mc.open_track(made, track).drop_attrs(deep=False)
        )
    xr.testing.assert_identical(joined(to).drop_attrs(), joined(made).drop_attrs())
    assert verify(to) == []


def test_every_object_but_the_attributes_of_stores_is_the_same(made, to):
    publish(made, to)
    before, after = tree(made), tree(to)
    objects = {key for key in after if ".zarr/" in key}
    assert {key for key in before if any(f"{r}.zarr/" in key for _, r in names(made))} == objects
    changed = {key for key in objects if before[key] != after[key]}
    assert {key.partition(".zarr/")[2] for key in changed} == {"zarr.json"}
    for key in changed:
        old, new = json.loads(before[key]), json.loads(after[key])
        assert old.pop("attributes")["source"]["url"].startswith("/")
        assert new.pop("attributes")["source"]["url"] in ("new.he5", "other.he5")
        assert old == new


def test_no_place_of_a_source_is_published(made, to):
    publish(made, to)
    for key, data in tree(to).items():
        assert made.parent.name.encode() not in data, key
    (entry,) = open_catalog(to).search(track="A064")
    assert entry.attrs["mintpy"]["mintpy.load.unwFile"] == "filt.unw"
    assert read_published(open_storage(to)).source == "root"


@pytest.mark.parametrize(
    ("text", "public"),
    [
        ("/data/me/S1.he5", "S1.he5"),
        ("s3://bucket/in/S1.he5", "S1.he5"),
        ("file:///data/S1.he5", "S1.he5"),
        ("~/insar/x.h5", "x.h5"),
        ("C:\\Users\\me\\x.h5", "x.h5"),
        ("[/a/b.h5, /c/d.h5]", "[b.h5, d.h5]"),
        ("run.py --in=/a/b.h5 -o '/c/d'", "run.py --in=b.h5 -o 'd'"),
        ("/data/me/mintpy/", "mintpy/"),
        ("m/yr", "m/yr"),
        ("2020/01/03", "2020/01/03"),
        ("km / s", "km / s"),
        ("12:30", "12:30"),
    ],
)
def test_absolute_places_become_names(text, public):
    assert module._public({"a": [text, 3]}) == {"a": [public, 3]}


def test_a_selection_is_published_and_joins_what_is_there(made, to):
    publish(made, to, track="A071")
    assert open_catalog(to).tracks() == ["A071"]
    published = publish(made, to, project="TinySenAT064")
    assert [entry.track for entry in published.entries] == ["A064"]
    assert open_catalog(to).tracks() == ["A064", "A071"]
    assert names(to) == names(made)


def test_another_resolution_does_not_drop_the_first(root, to, tmp_path):
    mc.ingest(tmp_path / write_scene(tmp_path), root, resolution="half", pixels_per_degree=125)
    publish(root, to, resolution="half")
    publish(root, to, resolution="lowRes")
    assert [e.resolution for e in open_catalog(to).search(track="A064")] == ["half", "lowRes"]


def test_a_dry_run_says_the_same_and_writes_nothing(made, to):
    planned = publish(made, to, dry_run=True)
    assert not to.exists()
    assert publish(made, to) == planned
    assert planned.nbytes > 100_000


def test_the_same_content_again_writes_nothing(made, to):
    publish(made, to)
    before = {path: path.stat().st_mtime_ns for path in to.rglob("*")}
    again = publish(made, to)
    assert (again.copied, again.nbytes, len(again.present)) == ((), 0, 4)
    assert {path: path.stat().st_mtime_ns for path in to.rglob("*")} == before


def test_progress_is_in_bytes_and_ends_at_all(made, to):
    seen = []
    published = publish(made, to, progress=lambda *args: seen.append(args))
    sizes = [p.stat().st_size for key in published.copied for p in (made / key).rglob("*") if p.is_file()]
    assert seen[-1] == (sum(sizes), sum(sizes), "bytes")
    assert [done for done, *_ in seen] == sorted(done for done, *_ in seen)


def test_an_object_passes_in_parts(made, to, monkeypatch):
    lengths = []
    original = LocalStorage.read_ranges

    def spy(self, key, ranges):
        lengths.extend(length for _, length in ranges)
        return original(self, key, ranges)

    monkeypatch.setattr(LocalStorage, "read_ranges", spy)
    monkeypatch.setattr(module, "_PART_BYTES", 1000)
    publish(made, to, track="A064")
    assert max(lengths) == 1000
    xr.testing.assert_equal(mc.open_track(to, "A064"), mc.open_track(made, "A064"))


# --- whole or not at all ----------------------------------------------------------------------------------------


def test_metadata_then_index_then_the_names_are_written_last(made, to, monkeypatch):
    written = []
    original = LocalStorage.writer

    def spy(self, key):
        written.append(key)
        return original(self, key)

    monkeypatch.setattr(LocalStorage, "writer", spy)
    publish(made, to, track="A064")
    stores = {key.partition(".zarr/")[0] for key in written if ".zarr/" in key}
    for store in stores:
        assert [key for key in written if key.startswith(f"{store}.zarr/")][-1] == f"{store}.zarr/zarr.json"
    index = written.index("Sentinel/A064/index.json")
    assert all(".zarr/" not in key for key in written[index:])
    assert written[-1] == KEY


@pytest.mark.parametrize("calls", [1, 20, 45])
def test_a_failed_publication_shows_nothing_and_goes_on(made, to, calls):
    with pytest.raises(AnError):
        publish(made, to, track="A064", progress=fail_after(calls))
    assert open_catalog(to).search() == []
    assert open_catalog(to).tracks() == []
    again = publish(made, to, track="A064")
    assert len(again.copied) + len(again.present) == 2
    assert len(again.present) == (calls > 30)
    assert verify(to) == []
    assert open_catalog(to).tracks() == ["A064"]
    assert read_published(open_storage(to)).copying == {}


def publish_and_die(root, to):
    """Publish in another process, which is killed after some objects."""
    code = f"""
        import os, signal
        from mimtpy_cloud.catalog.publish import publish
        calls = []
        def progress(*args):
            calls.append(args)
            if len(calls) == 40:
                os.kill(os.getpid(), signal.SIGKILL)
        publish({str(root)!r}, {str(to)!r}, progress=progress)
    """
    assert subprocess.run([sys.executable, "-c", textwrap.dedent(code)], check=False).returncode == -9


def test_a_killed_publication_shows_nothing_and_goes_on(made, to):
    publish_and_die(made, to)
    assert open_catalog(to).search() == []
    assert len(publish(made, to).present) >= 1
    xr.testing.assert_identical(joined(to).drop_attrs(), joined(made).drop_attrs())


def test_a_killed_publication_to_an_object_store_goes_on_too(made, bucket):
    to, web = bucket
    publish_and_die(made, to)
    assert open_catalog(web).search() == []
    assert len(publish(made, to).present) >= 1
    assert verify(to) == []
    xr.testing.assert_identical(joined(web).drop_attrs(), joined(made).drop_attrs())


def test_readers_see_the_old_revision_until_the_new_one_is_whole(root, to, tmp_path):
    publish(root, to)
    before = names(to)
    mc.ingest(write_scene(tmp_path, seed=9), root)
    seen = []

    def look(*args):
        seen.append(names(to))

    publish(root, to, progress=look)
    assert seen
    assert all(found == before for found in seen)
    assert names(to) == names(root) != before


def test_two_publications_at_once_both_count(made, to):
    with ThreadPoolExecutor(2) as pool:
        for future in [pool.submit(publish, made, to, track=track) for track in ("A064", "A071")]:
            future.result()
    assert names(to) == names(made)
    published = read_published(open_storage(to))
    assert (published.copying, published.changing) == ({}, {})


# --- gc ---------------------------------------------------------------------------------------------------------


def test_gc_removes_replaced_revisions_a_day_after_they_were_replaced(root, to, tmp_path):
    publish(root, to)
    ((_, old), _) = names(to)
    mc.ingest(write_scene(tmp_path, seed=9), root)
    publish(root, to)
    assert gc(to) == []  # readers may have opened it just before
    assert gc(to, grace_hours=0) == [f"Sentinel/A064/{band}/lowRes/{old}.zarr" for band in (39, 40)]
    assert verify(to) == []
    assert names(to) == names(root)


def test_gc_leaves_a_publication_alone_that_may_go_on(made, to, tmp_path, monkeypatch):
    with pytest.raises(AnError):
        publish(made, to, track="A064", progress=fail_after(45))
    assert gc(to, grace_hours=0) == []
    age(to, 25)
    removed = gc(to, grace_hours=0)
    assert removed
    assert set(removed) <= set(publish(made, to, track="A064", dry_run=True).copied)
    assert list(to.rglob("*.zarr")) == []


def test_gc_in_the_middle_of_a_publication_takes_nothing_of_it(made, to):
    with pytest.raises(AnError):
        publish(made, to, progress=fail_after(45))
    removed = []
    publish(made, to, progress=lambda *args: removed.extend(gc(to, grace_hours=0)))
    assert removed == []
    assert verify(to) == []
    assert names(to) == names(made)


def test_a_store_whose_removal_was_interrupted_is_copied_again(made, bucket, monkeypatch):
    to = bucket[0]
    with pytest.raises(AnError):
        publish(made, to, track="A064", progress=fail_after(45))
    age(to, 25)
    removed = []

    def remove(self, prefix):
        removed.append(prefix)
        if len(removed) == 2:
            raise AnError
        original(self, prefix)

    original = ObjectStorage.remove
    monkeypatch.setattr(ObjectStorage, "remove", remove)
    with pytest.raises(AnError):
        gc(to, grace_hours=0)
    monkeypatch.setattr(ObjectStorage, "remove", original)
    assert removed[0] == f"{removed[1]}/zarr.json"
    assert len(publish(made, to, track="A064").copied) == 2
    xr.testing.assert_equal(mc.open_track(to, "A064"), mc.open_track(made, "A064"))


def test_gc_finds_what_no_name_leads_to(made, to):
    """A track whose first publication was killed is not in published.json."""
    publish(made, to, track="A071")
    with pytest.raises(AnError):
        publish(made, to, track="A064", progress=fail_after(45))
    age(to, 25)
    assert {key.split("/")[1] for key in gc(to, grace_hours=0)} == {"A064"}
    assert names(to) == names(made)[1:]


def test_a_commit_in_a_published_root_is_named_too(made, to):
    publish(made, to, track="A071")
    add_entry(to, make_entry())
    assert open_catalog(to).tracks() == ["A071", "A124"]


# --- what is refused --------------------------------------------------------------------------------------------


def test_an_empty_root_is_not_published(tmp_path, to):
    with pytest.raises(TrackNotFoundError, match=r"nothing to publish of all in .*; it has no track: ingest"):
        publish(tmp_path / "none", to)
    assert not to.exists()


def test_a_selection_without_entries_says_what_there_is(made, to):
    with pytest.raises(TrackNotFoundError, match=r"nothing to publish of track A065 in .*; it has A064, A071"):
        publish(made, to, track="A065")


def test_a_root_is_not_published_to_itself(root, tmp_path):
    (tmp_path / "link").symlink_to(root)
    before = tree(root)
    for to in (root, tmp_path / "link", f"{root}/../root"):
        with pytest.raises(CatalogError, match="is the root itself; publish to another place"):
            publish(root, to)
    assert tree(root) == before


def test_a_root_of_its_own_is_left_alone(made, root):
    before = tree(root)
    with pytest.raises(CatalogError, match=r"has a track Sentinel/A064 that was not published there; choose an empty"):
        publish(made, root)
    assert tree(root) == before


def test_a_root_with_other_tracks_of_its_own_is_left_alone_too(made, tmp_path):
    mc.ingest(write_scene(tmp_path, relative_orbit=99), tmp_path / "theirs")
    with pytest.raises(CatalogError, match=r"has a track Sentinel/A099 that was not published there"):
        publish(made, tmp_path / "theirs")
    assert open_catalog(tmp_path / "theirs").tracks() == ["A099"]


def test_a_product_of_another_project_is_left_alone(made, to, tmp_path):
    publish(made, to)
    mc.ingest(write_scene(tmp_path, PROJECT_NAME="Stranger"), tmp_path / "theirs")
    with pytest.raises(CatalogError, match=r"is project TinySenAT064, and would be replaced by project Stranger"):
        publish(tmp_path / "theirs", to)


def test_a_store_that_is_gone_is_not_published(root, to):
    (entry,) = open_catalog(root).search(track="A064")
    shutil.rmtree(root / entry.store_key(39))
    with pytest.raises(StorageError, match=r"39/.*\.zarr is missing or not whole; ingest its source again"):
        publish(root, to)
    assert not to.exists()


def test_a_damaged_list_of_tracks_is_named(made, to):
    publish(made, to)
    for damaged in (
        "",
        "[]",
        "{}",
        '{"format": 1, "tracks": 3}',
        '{"format": 1, "table": {}}',
        '{"format": 1, "new": 1}',
    ):
        (to / KEY).write_text(damaged)
        with pytest.raises(CatalogError, match=r"published.json is damaged"):
            open_catalog(to).search()
    (to / KEY).write_text('{"format": 2}')
    with pytest.raises(CatalogError, match=r"is of a later version; update mimtpy_cloud"):
        open_catalog(to).search()


def test_what_a_root_says_of_itself_survives_json():
    now = datetime.now(UTC).isoformat(timespec="microseconds")
    value = Published(
        "g", "root", {"S/A001": now}, {"c": {"since": now, "stores": ["s"]}}, {"d": now}, "stac/t.parquet"
    )
    assert Published.from_json(value.to_json(), "x") == value == value.alive()
    assert value.claimed == {"s"}


# --- S3 and the web -----------------------------------------------------------------------------------------------


def test_a_root_on_the_web_is_read_without_listing_and_identity(made, bucket, monkeypatch):
    to, web = bucket
    seen = []
    publish(made, to, progress=lambda *args: seen.append(args))
    assert seen[-1][0] == seen[-1][1]
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_ENDPOINT_URL"):
        monkeypatch.delenv(name)
    catalog = mc.open_catalog(web)
    assert catalog.tracks() == ["A064", "A071"]
    assert catalog.sensors() == ["Sentinel"]
    assert names(web) == names(made)
    assert [e.track for e in catalog.search(bbox=(100.2, 40.35, 100.3, 40.4))] == ["A064"]
    xr.testing.assert_identical(joined(web).drop_attrs(), joined(made).drop_attrs())
    with pytest.raises(TrackNotFoundError, match=r"it has Sentinel/A064, Sentinel/A071"):
        mc.open_track(web, "A001")


def test_again_to_an_object_store_does_nothing(made, bucket):
    publish(made, bucket[0])
    assert publish(made, bucket[0]).copied == ()
    assert gc(bucket[0], grace_hours=0) == []


def test_from_one_bucket_to_another(made, bucket, s3):
    private = bucket[0].replace(s3.public_bucket, s3.bucket)
    publish(made, private)
    published = publish(private, bucket[0])
    assert len(published.copied) == 4
    assert names(bucket[1]) == names(made)
    assert verify(bucket[0]) == []


def test_a_web_root_that_was_not_published_says_so(bucket):
    open_storage(bucket[0]).write("x", b"1")
    with pytest.raises(StorageError, match=r"has no published.json, and a web root cannot be listed.*mimtpy publish"):
        open_catalog(bucket[1]).search()


def test_a_target_that_must_not_be_written_says_so(made, bucket, s3, monkeypatch):
    with pytest.raises(StorageError, match=r"a web root can be read, not listed or written"):
        publish(made, bucket[1])
    for name, value in s3.environment(s3.reader).items():
        monkeypatch.setenv(name, value)
    with pytest.raises(StorageError, match=r"no permission for s3://.*check the credentials"):
        publish(made, bucket[0].replace(s3.public_bucket, s3.bucket))


def test_a_web_root_is_not_published_on(made, bucket, to):
    publish(made, bucket[0])
    with pytest.raises(StorageError, match=r"a web root cannot be listed, so publish from the root that it shows"):
        publish(bucket[1], to)


@pytest.mark.parametrize("evil", ["../private", "/etc", "a//b", "Sentinel/../../x"])
def test_a_list_of_tracks_from_elsewhere_does_not_leave_its_root(made, to, evil):
    publish(made, to)
    published = read_published(open_storage(to))
    open_storage(to).write(KEY, replace(published, tracks={evil: "2020-01-01T00:00:00+00:00"}).to_json())
    with pytest.raises(StorageError, match="does not stay below"):
        open_catalog(to).search()
    open_storage(to).write(KEY, replace(published, table=f"{evil}/../items.parquet").to_json())
    with pytest.raises(StorageError, match="does not stay below"):
        open_catalog(to).search()


def test_an_object_passes_in_parts_to_an_object_store(made, bucket, monkeypatch):
    monkeypatch.setattr(module, "_PART_BYTES", 4096)
    publish(made, bucket[0], workers=2)
    xr.testing.assert_equal(mc.open_track(bucket[1], "A064"), mc.open_track(made, "A064"))
