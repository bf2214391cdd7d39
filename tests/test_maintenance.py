"""verify finds what is wrong with a store; gc removes what no commit names, and nothing else."""

import json
import shutil
from datetime import UTC, datetime, timedelta

import pytest
from scenes import add_entry, make_entry, stores, tree, write_scene

from mimtpy_cloud.catalog import maintenance
from mimtpy_cloud.catalog.index import commit, open_catalog, read_commits
from mimtpy_cloud.catalog.ingest import ingest
from mimtpy_cloud.catalog.maintenance import Problem, gc, verify
from mimtpy_cloud.errors import CatalogError, TrackNotFoundError
from mimtpy_cloud.io.storage import open_storage

NOW = datetime.now(UTC)


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """Root with one product in the bands 39 and 40."""
    folder = tmp_path_factory.mktemp("made")
    ingest(write_scene(folder, shape=(130, 60), north=40.2), folder / "root")
    return folder / "root"


@pytest.fixture
def root(made, tmp_path):
    return shutil.copytree(made, tmp_path / "root")


@pytest.fixture
def entry(root):
    (entry,) = open_catalog(root).search()
    return entry


def problems(root):
    return [(p.key.partition(".zarr")[2], p.message) for p in verify(root)]


# --- verify -------------------------------------------------------------------------------------------------


def test_whole_stores_have_no_problem(root):
    assert verify(root) == []
    assert verify(root, track="A064") == []


def test_empty_root_has_no_problem(tmp_path):
    assert verify(tmp_path) == []


def test_unknown_track_is_no_success(root):
    with pytest.raises(TrackNotFoundError, match=r"no track A065 in .*; it has A064"):
        verify(root, track="A065")


def test_missing_store_is_found(root, entry):
    shutil.rmtree(root / entry.store_key(39))
    assert verify(root) == [Problem(entry.store_key(39), "the store is missing; ingest the source again")]


@pytest.mark.parametrize(
    "data", [b"", b"[]", b"{}", b'{"consolidated_metadata": null}', b'{"consolidated_metadata": 3}']
)
def test_damaged_metadata_is_found(root, entry, data):
    (root / entry.store_key(40) / "zarr.json").write_bytes(data)
    (problem,) = verify(root)
    assert problem.key == entry.store_key(40)
    assert problem.message.startswith("zarr.json is damaged")


def test_wrong_shape_and_missing_array_are_found(root, entry):
    path = root / entry.store_key(40) / "zarr.json"
    metadata = json.loads(path.read_text())
    arrays = metadata["consolidated_metadata"]["metadata"]
    arrays["displacement"]["shape"] = [2, 250, 250]
    del arrays["height"]
    path.write_text(json.dumps(metadata))
    assert problems(root) == [
        ("/displacement", "expected shape [3, 250, 250], got [2, 250, 250]; ingest the source again"),
        ("/height", "expected shape [250, 250], got no such array; ingest the source again"),
    ]


@pytest.mark.parametrize("damage", ["truncated", "flipped", "empty"])
def test_damaged_shard_index_is_found(root, entry, damage):
    path = root / entry.store_key(39) / "displacement/c/0/0/0"
    data = bytearray(path.read_bytes())
    data[-10] ^= 1
    path.write_bytes({"truncated": data[:-100], "flipped": data, "empty": b""}[damage])
    ((key, message),) = problems(root)
    assert key == "/displacement/c/0/0/0"
    assert "ingest the source again" in message


def test_damaged_chunk_of_a_layer_is_found(root, entry):
    path = root / entry.store_key(40) / "height/c/0/0"
    path.write_bytes(path.read_bytes()[:-50])
    ((key, message),) = problems(root)
    assert key == "/height/c/0/0"
    assert "ingest the source again" in message


def test_every_track_is_checked(root, entry):
    add_entry(root, make_entry())
    assert [p.key for p in verify(root)] == [make_entry().store_key(34), make_entry().store_key(35)]
    assert verify(root, track="A064") == []


# --- gc -----------------------------------------------------------------------------------------------------


def revision(hours_ago, product="0113_0116"):
    return f"{product}-{NOW - timedelta(hours=hours_ago):%Y%m%dT%H%M%S%f}Z-0123abcd"


def leave(root, hours_ago, band=39):
    """Leave a store behind that no commit names, as a killed ingest does."""
    key = f"Sentinel/A064/{band}/lowRes/{revision(hours_ago)}.zarr"
    (root / key / "displacement/c/0/0").mkdir(parents=True)
    (root / key / "displacement/c/0/0/.0.1234.part").write_bytes(b"x")
    return key


def history(root, *days_ago, **changes):
    """Commit revisions that were current since so many days ago, each with a store."""
    entries = []
    for days in days_ago:
        time = (NOW - timedelta(days=days)).isoformat(timespec="microseconds")
        entry = make_entry(revision=revision(24 * days, changes.get("product", "p")), committed=time, **changes)
        add_entry(root, entry)
        for band in entry.bands:
            (root / entry.store_key(band)).mkdir(parents=True)
            (root / entry.store_key(band) / "zarr.json").write_text("{}")
        entries.append(entry)
    return entries


def exist(root, entry):
    return [(root / entry.store_key(band)).exists() for band in entry.bands]


def test_leftovers_go_after_the_grace_period_and_named_stores_stay(root):
    before = tree(root)
    young, old = leave(root, 1), leave(root, 25, band=41)
    assert gc(root, dry_run=True) == [old]
    assert (root / old).exists()
    assert gc(root) == [old]
    assert not (root / old).exists()
    assert (root / young).exists()
    assert gc(root, grace_hours=0) == [young]
    assert tree(root) == before
    assert gc(root, grace_hours=0) == []


def test_gc_of_a_root_that_is_not_there_does_nothing(tmp_path):
    assert gc(tmp_path / "no", grace_hours=0) == []
    assert not (tmp_path / "no").exists()


def test_foreign_files_and_folders_stay(root):
    store = f"{revision(99)}.zarr"
    foreign = [
        root / "figures/maps/39/lowRes" / store / "x",
        root / "Sentinel/notes/39/lowRes" / store / "x",
        root / "Sentinel/A064/velocity/lowRes" / store / "x",
        root / "Sentinel/A064/39/lowRes/mine.zarr/x",
        root / "README",
    ]
    for path in foreign:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("x")
    (root / "figures/maps/index.json").write_text("not ours")
    assert gc(root, grace_hours=0) == []
    assert all(path.exists() for path in foreign)


def test_pruning_keeps_what_as_of_within_the_age_needs(tmp_path):
    oldest, old, current = history(tmp_path, 100, 40, 10)
    other = history(tmp_path, 90, product="0200_0206")[0]
    wanted = [oldest.store_key(band) for band in (34, 35)]
    assert sorted(gc(tmp_path, older_than_days=30, dry_run=True)) == wanted
    assert len(read_commits(open_storage(tmp_path), "Sentinel", "A124")) == 4
    assert sorted(gc(tmp_path, older_than_days=30)) == wanted
    assert [exist(tmp_path, e) for e in (oldest, old, current, other)] == [[False] * 2, *[[True] * 2] * 3]
    thirty = open_catalog(tmp_path, as_of=NOW - timedelta(days=30))
    assert thirty.find("A124", product=old.product).revision == old.revision
    assert open_catalog(tmp_path).find("A124", product=old.product) == current
    assert open_catalog(tmp_path).find("A124", product="0200_0206") == other
    assert gc(tmp_path, older_than_days=30) == []


def test_pruned_revisions_go_without_grace_and_age_zero_keeps_the_current(tmp_path):
    old, current = history(tmp_path, 0.02, 0.01)
    assert gc(tmp_path) == []
    assert sorted(gc(tmp_path, older_than_days=0)) == [old.store_key(34), old.store_key(35)]
    assert read_commits(open_storage(tmp_path), "Sentinel", "A124") == [current]


def test_store_that_two_commits_share_stays_while_one_names_it(tmp_path):
    old, current = history(tmp_path, 100, 50)

    def again(found):
        time = NOW.isoformat(timespec="microseconds")
        return [*found, make_entry(**(vars(old) | {"committed": time}))]

    commit(open_storage(tmp_path), "Sentinel", "A124", again)
    assert gc(tmp_path, older_than_days=30) == []
    assert exist(tmp_path, old) == exist(tmp_path, current) == [True, True]
    assert len(read_commits(open_storage(tmp_path), "Sentinel", "A124")) == 2


def test_store_that_is_committed_meanwhile_stays(tmp_path, monkeypatch):
    """The stores are listed before the index is read: a later one is not seen, so it is not missed."""
    original = maintenance.read_commits

    def overtaken(storage, sensor, track):
        found = original(storage, sensor, track)
        history(tmp_path, 1)
        return found

    history(tmp_path, 2)
    monkeypatch.setattr(maintenance, "read_commits", overtaken)
    assert gc(tmp_path, grace_hours=0) == []
    assert len(stores(tmp_path)) == 4


def test_unreadable_index_stops_it_before_anything_goes(root):
    key = leave(root, 99)
    (root / "Sentinel/A064/index.json").write_text("{")
    with pytest.raises(CatalogError, match="not a mimtpy_cloud index"):
        gc(root, grace_hours=0)
    assert (root / key).exists()


def test_interrupted_pruning_is_finished_by_the_next(tmp_path, monkeypatch):
    old, current = history(tmp_path, 100, 40)
    with monkeypatch.context() as patch:
        patch.setattr("mimtpy_cloud.io.storage.LocalStorage.remove", lambda self, key: 1 / 0)
        with pytest.raises(ZeroDivisionError):
            gc(tmp_path, older_than_days=30)
    assert read_commits(open_storage(tmp_path), "Sentinel", "A124") == [current]
    assert exist(tmp_path, old) == [True, True]
    gc(tmp_path)
    assert exist(tmp_path, old) == [False, False]
