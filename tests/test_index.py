"""The index: what is committed is found, as of any time, and nothing is lost."""

import json
import math
from datetime import UTC, datetime, timedelta, timezone

import numpy as np
import pytest
from scenes import add_entry, commit_many, make_entry, run_all

from mimtpy_cloud.catalog.index import Entry, index_key, open_catalog, read_commits
from mimtpy_cloud.errors import CatalogError, DateError, GridMismatchError, StorageError, TrackNotFoundError
from mimtpy_cloud.io.storage import open_storage

OLD, NEW = "2026-11-22T10:00:00.000000+00:00", "2026-11-23T10:00:00.000000+00:00"


@pytest.fixture
def root(tmp_path):
    """A124 in two resolutions, one of them with two revisions, and D071 further south and east."""
    add_entry(tmp_path, make_entry(committed=OLD, revision="old"))
    add_entry(tmp_path, make_entry(committed=NEW, revision="new"))
    add_entry(
        tmp_path, make_entry(committed=NEW, resolution="lowRes", pixels_per_degree=250, window=(13640, 15500, 9, 9))
    )
    south = {
        "dates": ("2022-05-01",),
        "window": (70000, 80000, 500, 500),
        "band_windows": {33: (70000, 80000, 625, 625)},
    }
    add_entry(tmp_path, make_entry(track="D071", product="0466_0472", project="DemoSenDT071", committed=OLD, **south))
    return tmp_path


def corrupt(root, data):
    path = root / index_key("Sentinel", "A124")
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(data)


# --- entries ------------------------------------------------------------------------------------------------


def test_stores_lie_where_the_seed_puts_them(oracles):
    oracle = oracles["O53"]
    entry = make_entry(track=f"{oracle['flight_direction']}{oracle['relative_orbit']}", resolution=oracle["look_set"])
    assert oracle["path"] == "Sentinel/A124/34/standard"
    assert entry.store_key(oracle["lat_band"]) == f"{oracle['path']}/{entry.revision}.zarr"
    assert entry.pixels_per_degree * oracle["standard"]["latStep"] == 1


def test_entry_survives_json():
    entry = make_entry()
    assert Entry.from_json(json.loads(json.dumps(entry.to_json(), allow_nan=False))) == entry


def test_unknown_baseline_is_null_in_json_and_nan_after():
    entry = make_entry(perpendicular_baseline=(0.0, math.nan, 3.5))
    text = json.dumps(entry.to_json(), allow_nan=False)
    np.testing.assert_array_equal(Entry.from_json(json.loads(text)).perpendicular_baseline, [0.0, np.nan, 3.5])


def test_committed_entries_are_read_back_equal(tmp_path):
    first, second = make_entry(), make_entry(product="0200_0206", perpendicular_baseline=(), dates=())
    add_entry(tmp_path, first)
    add_entry(tmp_path, second)
    assert read_commits(open_storage(tmp_path), "Sentinel", "A124") == [first, second]


def test_bounds_and_bands_follow_from_the_windows():
    entry = make_entry()
    assert entry.bands == (34, 35)
    np.testing.assert_allclose(entry.bounds, (-118.0, 34.64, -117.28, 35.44), atol=1e-9)
    assert entry.band_window(35).bands == (35,)


def test_attributes_that_json_cannot_hold_are_refused_and_the_index_stays(root):
    before = (root / index_key("Sentinel", "A124")).read_bytes()
    with pytest.raises(TypeError, match="not JSON serializable"):
        add_entry(root, make_entry(attrs={"value": np.float32(1)}))
    with pytest.raises(ValueError, match="Out of range float"):
        add_entry(root, make_entry(attrs={"value": math.nan}))
    assert (root / index_key("Sentinel", "A124")).read_bytes() == before


# --- as of --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("as_of", "revision"),
    [
        (None, "new"),
        ("2026-11-23T10:00", "new"),
        ("2026-11-23", "new"),
        ("20261123", "new"),
        ("2026-11-23T09:59:59.999999", "old"),
        ("2026-11-22", "old"),
        ("2026-11-22T10:00:00Z", "old"),
        ("2026-11-22T12:00+02:00", "old"),
        (datetime(2026, 11, 23, 9, tzinfo=UTC), "old"),
        (datetime(2026, 11, 23, 11, 30, tzinfo=timezone(timedelta(hours=1))), "new"),
    ],
)
def test_as_of_shows_the_newest_until_then(root, as_of, revision):
    assert open_catalog(root, as_of=as_of).find("A124").revision == revision


def test_nothing_is_there_before_the_first_commit(root):
    catalog = open_catalog(root, as_of="2026-11-21")
    assert catalog.tracks() == []
    with pytest.raises(
        TrackNotFoundError, match=r"no track Sentinel/A124 in .* as of 2026-11-21T23:59:59.* it has no track"
    ):
        catalog.find("A124")


@pytest.mark.parametrize("as_of", ["yesterday", "2026-13-01", "", 20261122, datetime(2026, 11, 22, tzinfo=UTC).date()])
def test_as_of_that_is_no_time_is_refused(tmp_path, as_of):
    with pytest.raises(DateError, match="as_of must be an ISO time such as"):
        open_catalog(tmp_path, as_of=as_of)


# --- search -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("wanted", "found"),
    [
        ({}, ["A124/lowRes", "A124/standard", "D071/standard"]),
        ({"track": "A124"}, ["A124/lowRes", "A124/standard"]),
        ({"track": "A999"}, []),
        ({"sensor": "Sentinel", "track": "D071"}, ["D071/standard"]),
        ({"sensor": "Alos"}, []),
        ({"resolution": "standard"}, ["A124/standard", "D071/standard"]),
        ({"product": "0466_0472"}, ["D071/standard"]),
        ({"project": "DemoSenAT124", "resolution": "lowRes"}, ["A124/lowRes"]),
        ({"start": "2021-01-10"}, ["D071/standard"]),
        ({"end": "20200103"}, ["A124/lowRes", "A124/standard"]),
        ({"start": "2020-01-16", "end": "2021-01-08"}, []),
        ({"start": "2021-01-09", "end": "2021-01-09"}, ["A124/lowRes", "A124/standard"]),
        ({"bbox": (-116, 33, -115, 34)}, ["D071/standard"]),
        ({"bbox": (-117.5, 35, -117.4, 35.1)}, ["A124/standard"]),
        ({"bbox": (-117.28, 35, -117, 35.1)}, []),
    ],
)
def test_search_by(root, wanted, found):
    assert [f"{e.track}/{e.resolution}" for e in open_catalog(root).search(**wanted)] == found


@pytest.mark.parametrize("bbox", [(1, 2, 0, 3), (0, 3, 1, 3), (0, 0, math.nan, 1), (-math.inf, 0, 1, 1), (0, 1, 2)])
def test_malformed_box_is_refused_even_where_the_catalog_is_empty(tmp_path, bbox):
    with pytest.raises(GridMismatchError, match="a box is west, south, east, north"):
        open_catalog(tmp_path).search(bbox=bbox)


def test_malformed_date_is_refused(root):
    with pytest.raises(DateError, match="2020-99"):
        open_catalog(root).search(start="2020-99")


def test_misspelt_search_parameter_raises(root):
    with pytest.raises(TypeError, match="resolutoin"):
        open_catalog(root).search(resolutoin="standard")


def test_foreign_files_and_folders_do_not_matter(root):
    add_entry(root, make_entry(sensor="Alos", track="D001"))
    (root / "notes").write_text("x")
    (root / "lattice.json").write_text("{}")
    (root / "figures" / "maps").mkdir(parents=True)
    (root / "Sentinel" / "old").mkdir()
    (root / "Sentinel" / "old" / "index.json").write_text("not ours")
    (root / "Sentinel" / "A777" / "35").mkdir(parents=True)
    catalog = open_catalog(root)
    assert catalog.sensors() == ["Alos", "Sentinel"]
    assert catalog.tracks() == ["A124", "D001", "D071"]
    assert len(catalog.search(track="A124")) == 2


def test_root_that_is_not_there_is_empty(tmp_path):
    catalog = open_catalog(tmp_path / "no")
    assert (catalog.sensors(), catalog.tracks(), catalog.search()) == ([], [], [])
    assert not (tmp_path / "no").exists()


# --- find and its errors ------------------------------------------------------------------------------------


def test_unknown_track_names_those_there_are(root):
    with pytest.raises(TrackNotFoundError, match=r"no track Sentinel/A125 in .*; it has Sentinel/A124, Sentinel/D071"):
        open_catalog(root).find("A125")


def test_wrong_sensor_names_the_right_one(root):
    with pytest.raises(TrackNotFoundError, match=r"no track Alos/A124 .* it has Sentinel/A124"):
        open_catalog(root).find("A124", sensor="Alos")


def test_misspelt_resolution_names_those_there_are(root):
    message = r"track A124 has nothing with resolution 'standart'; it has lowRes/0113_0119, standard/0113_0119"
    with pytest.raises(TrackNotFoundError, match=message):
        open_catalog(root).find("A124", resolution="standart")


def test_resolution_is_standard_or_the_only_one(root):
    assert open_catalog(root).find("A124").resolution == "standard"
    add_entry(root, make_entry(track="A001", resolution="lowRes", pixels_per_degree=250))
    assert open_catalog(root).find("A001").resolution == "lowRes"
    add_entry(root, make_entry(track="A001", resolution="mine", pixels_per_degree=100))
    with pytest.raises(CatalogError, match=r"A001 has the resolutions lowRes, mine; name one \(resolution\)"):
        open_catalog(root).find("A001")
    assert open_catalog(root).find("A001", resolution="mine").pixels_per_degree == 100


def test_resolution_follows_from_the_product(root):
    add_entry(root, make_entry(product="9", resolution="lowRes", pixels_per_degree=250))
    assert open_catalog(root).find("A124", product="9").resolution == "lowRes"


def test_root_without_a_catalog_says_so(tmp_path):
    with pytest.raises(TrackNotFoundError, match=r"no catalog at .*/no: ingest something first, or check --root"):
        open_catalog(tmp_path / "no").find("A124")


def test_root_that_is_a_file_is_refused(tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(StorageError, match=r"the root .*/file is a file; give a folder"):
        open_catalog(tmp_path / "file")


def test_unknown_product_names_those_there_are(root):
    with pytest.raises(
        TrackNotFoundError, match=r"resolution 'standard' and product '0001_0002'; it has lowRes/0113_0119"
    ):
        open_catalog(root).find("A124", product="0001_0002")


def test_several_products_ask_for_one(root):
    add_entry(root, make_entry(product="0120_0126"))
    with pytest.raises(CatalogError, match=r"several products at standard; name one by product=: .*standard/0120_0126"):
        open_catalog(root).find("A124")
    assert open_catalog(root).find("A124", product="0120_0126").product == "0120_0126"


# --- unreadable ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"{",
        b"\xff\xfe",
        b"[]",
        b"null",
        b'{"format": 1}',
        b'{"format": 1, "commits": 3}',
        b'{"format": 1, "commits": [3]}',
        b'{"format": 1, "commits": [{}]}',
        b'{"format": 1, "commits": [{"band_windows": []}]}',
        b'{"type": "FeatureCollection"}',
    ],
)
def test_unreadable_index_is_named(tmp_path, data):
    corrupt(tmp_path, data)
    catalog = open_catalog(tmp_path)
    for look in (catalog.tracks, catalog.search, lambda: catalog.find("A124")):
        with pytest.raises(CatalogError, match=r"Sentinel/A124/index.json is not a mimtpy_cloud index .* ingest again"):
            look()


def test_truncated_index_is_neither_read_nor_replaced(root):
    path = root / index_key("Sentinel", "A124")
    corrupt(root, path.read_bytes()[:-40])
    before = path.read_bytes()
    with pytest.raises(CatalogError, match="is not a mimtpy_cloud index"):
        add_entry(root, make_entry())
    assert path.read_bytes() == before


def test_index_of_a_later_version_asks_for_an_update(tmp_path):
    corrupt(tmp_path, b'{"format": 2, "commits": []}')
    with pytest.raises(CatalogError, match="has format 2, this version reads 1; update mimtpy_cloud"):
        open_catalog(tmp_path).tracks()


# --- commits ------------------------------------------------------------------------------------------------


def test_concurrent_commits_of_several_processes_lose_nothing(tmp_path):
    assert run_all(commit_many, [(tmp_path, who, 12) for who in range(4)]) == [(0, None)] * 4
    products = {entry.product for entry in open_catalog(tmp_path).search()}
    assert products == {f"{who:04d}_{i:04d}" for who in range(4) for i in range(12)}


def test_index_of_fifty_bands_is_small(tmp_path):
    bands = {band: (112500 - band * 1250, 77500, 1250, 3125) for band in range(-20, 30)}
    dates = tuple(str(day) for day in np.datetime64("2016-01-01") + 12 * np.arange(300))
    attrs = {"mintpy": {f"mintpy.some.long.key{i}": "some value, as long as they are" for i in range(200)}}
    add_entry(
        tmp_path, make_entry(band_windows=bands, dates=dates, perpendicular_baseline=(-101.25,) * 300, attrs=attrs)
    )
    size = (tmp_path / index_key("Sentinel", "A124")).stat().st_size
    assert size < 50_000
