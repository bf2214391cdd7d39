"""A STAC catalog says what the indexes say, every link leads somewhere, and a search by its table finds the same."""

import collections
import contextlib
import json
import shutil
import sys

import hypothesis.strategies as st
import numpy as np
import pyarrow.parquet as pq
import pystac
import pystac.validation
import pytest
import xarray as xr
from hypothesis import given
from scenes import add_entry, make_entry, tree, write_scene
from stac_geoparquet.arrow import stac_table_to_items

import mimtpy_cloud as mc
from mimtpy_cloud.catalog.index import Catalog, open_catalog
from mimtpy_cloud.catalog.maintenance import gc
from mimtpy_cloud.catalog.publish import publish
from mimtpy_cloud.catalog.published import copying, read_published
from mimtpy_cloud.catalog.stac import item_of, write_stac
from mimtpy_cloud.errors import MimtpyError, StorageError, TrackNotFoundError
from mimtpy_cloud.io.storage import LocalStorage, open_storage

PNG = b"\x89PNG a picture"
FUTURE = "9999-12-31"  # a search as of any time reads the indexes


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """Published root with A064, which crosses the antimeridian, and A071, of one band."""
    folder = tmp_path_factory.mktemp("made")
    mc.ingest(write_scene(folder, shape=(150, 150), west=179.8), folder / "private")
    other = {"relative_orbit": 71, "frames": (1, 2), "POLARIZATION": "VV"}
    mc.ingest(write_scene(folder, name="b.he5", shape=(90, 80), north=39.9, **other), folder / "private")
    publish(folder / "private", folder / "root")
    write_stac(folder / "root", thumbnail=lambda entry: PNG if entry.track == "A064" else None)
    return folder / "root"


@pytest.fixture
def root(made, tmp_path):
    return shutil.copytree(made, tmp_path / "root")


@pytest.fixture
def reads(monkeypatch):
    """Keys that are read, in order."""
    seen = []
    for name in ("read", "read_tail", "read_ranges", "children"):
        original = getattr(LocalStorage, name)

        def spy(self, key, *args, _original=original):
            seen.append(key)
            return _original(self, key, *args)

        monkeypatch.setattr(LocalStorage, name, spy)
    return seen


def opened(root, place="stac"):
    return pystac.Catalog.from_file(str(root / place / "catalog.json"))


def items(root, place="stac"):
    return {item.id.split("-")[1]: item for item in opened(root, place).get_items(recursive=True)}


def published_root(folder, entries):
    """Indexes without stores, as `publish` would leave them."""
    with copying(open_storage(folder), [], "somewhere"):
        for entry in entries:
            add_entry(folder, entry)
    return folder


def without_dicts_that_are_empty(value):
    if isinstance(value, dict):
        return bool(value) and all(map(without_dicts_that_are_empty, value.values()))
    return all(map(without_dicts_that_are_empty, value)) if isinstance(value, list) else True


# --- the catalog --------------------------------------------------------------------------------------------------


def test_every_link_and_every_asset_leads_somewhere(made):
    seen = 0
    for folder, _, found in opened(made).walk():
        for thing in (folder, *found):
            for link in thing.links:
                link.resolve_stac_object()
                seen += 1
    assert seen >= 10
    for item in items(made).values():
        for name, asset in item.assets.items():
            assert not asset.href.startswith("/"), name
            assert open_storage(asset.get_absolute_href()).folder.exists(), name


def test_all_objects_follow_the_core_schemas(made):
    files = list((made / "stac").rglob("*.json"))
    assert len(files) == 5
    for path in files:
        content = json.loads(path.read_text())
        content["stac_extensions"] = []  # only the schemas of the core come with pystac
        pystac.validation.validate_dict(content)


def test_a_collection_is_a_track_and_an_item_a_product(made):
    catalog = opened(made)
    assert [c.id for c in catalog.get_children()] == ["Sentinel-A064", "Sentinel-A071"]
    assert [i.id for i in catalog.get_items(recursive=True)] == [
        "Sentinel-A064-0113_0116-lowRes",
        "Sentinel-A071-0001_0002-lowRes",
    ]
    first, second = catalog.get_children()
    assert second.extent.spatial.bboxes == [[100.2, 39.54, 100.52, 39.9]]
    assert first.extent.spatial.bboxes == [[179.8, 39.8, -179.6, 40.4]]
    assert [str(t.date()) for t in second.extent.temporal.intervals[0]] == ["2020-01-03", "2020-01-27"]


def test_an_item_has_grid_times_orbit_and_radar(made):
    item = items(made)["A071"]
    p = item.properties
    assert (item.bbox, item.datetime) == ([100.2, 39.54, 100.52, 39.9], None)
    assert (p["start_datetime"], p["end_datetime"]) == ("2020-01-03T00:00:00Z", "2020-01-27T00:00:00Z")
    assert (p["proj:code"], p["proj:shape"]) == ("EPSG:4326", [90, 80])
    assert p["proj:transform"] == [0.004, 0, 100.2, 0, -0.004, 39.9]
    assert (p["sat:orbit_state"], p["sat:relative_orbit"]) == ("ascending", 71)
    assert (p["sar:frequency_band"], p["sar:center_frequency"]) == ("C", 5.405)
    assert (p["sar:observation_direction"], p["sar:polarizations"]) == ("right", ["VV"])
    assert (p["constellation"], p["instruments"]) == ("sentinel-1", ["c-sar"])
    assert (p["mimtpy:heading"], p["mimtpy:dates"], p["mimtpy:reference_date"]) == (-12.0, 3, "2020-01-03")
    assert p["mimtpy:wavelength"] == 0.05546576
    (entry,) = open_catalog(made).search(track="A071")
    assert p["mimtpy:perpendicular_baseline"] == pytest.approx(
        [min(entry.perpendicular_baseline), max(entry.perpendicular_baseline)]
    )
    cube = p["cube:dimensions"]
    assert (cube["x"]["extent"], cube["y"]["extent"]) == ([100.2, 100.52], [39.54, 39.9])
    assert cube["time"]["values"][1] == "2020-01-15T00:00:00Z"
    assert p["cube:variables"]["displacement"]["dimensions"] == ["time", "y", "x"]
    assert p["cube:variables"]["displacement"]["unit"] == "m"
    assert set(p["cube:variables"]) == {*entry.variables, "perpendicular_baseline"}


def test_what_a_source_does_not_tell_is_not_made_up(made):
    known, unknown = items(made)["A071"], items(made)["A064"]
    assert "sar:polarizations" not in unknown.properties
    assert not any("/sar/" in uri for uri in unknown.stac_extensions)
    assert any("/sar/" in uri for uri in known.stac_extensions)
    bare = item_of(make_entry(sensor="Csk", attrs={}, project="", perpendicular_baseline=()), str).properties
    for name in ("constellation", "instruments", "sat:orbit_state", "mimtpy:heading", "mimtpy:project"):
        assert name not in bare
    assert not [name for name in bare if name.startswith("sar:")]


@pytest.mark.parametrize(
    ("wavelength", "band"), [(0.0555, "C"), (0.2362, "L"), (0.031, "X"), (0.0942, "S"), (0.7, "P"), (2.0, None)]
)
def test_the_band_follows_from_the_wavelength(wavelength, band):
    assert item_of(make_entry(attrs={"wavelength": wavelength}), str).properties.get("sar:frequency_band") == band


def test_a_footprint_across_the_antimeridian_is_cut_there(made):
    item = items(made)["A064"]
    assert item.bbox == [179.8, 39.8, -179.6, 40.4]
    west, east = item.geometry["coordinates"]
    assert item.geometry["type"] == "MultiPolygon"
    assert np.ptp(west, axis=1).tolist() == [pytest.approx([0.2, 0.6])]
    assert np.ptp(east, axis=1).tolist() == [pytest.approx([0.4, 0.6])]
    assert all(-180 <= lon <= 180 for ring in (*west, *east) for lon, _ in ring)


def test_a_product_without_dates_has_the_time_of_its_fit_or_commit():
    fitted = make_entry(dates=(), variables=("velocity",), attrs={"start_date": "2015-01-02", "end_date": "2020-03-04"})
    assert item_of(fitted, str).properties["end_datetime"] == "2020-03-04T00:00:00Z"
    bare = item_of(make_entry(dates=(), variables=("velocity",)), str)
    assert bare.properties["start_datetime"] == "2026-11-22T10:00:00Z"
    assert "time" not in bare.properties["cube:dimensions"]


def test_a_store_opens_as_its_asset_says(made):
    asset = items(made)["A071"].assets["band_39"]
    assert asset.media_type == "application/vnd.zarr; version=3"
    kwargs = asset.extra_fields["xarray:open_kwargs"]
    with xr.open_dataset(asset.get_absolute_href(), chunks={}, **kwargs) as ds:
        part = ds.displacement.sel(x=slice(100.2, 100.52), y=slice(39.9, 39.54)).load()
    np.testing.assert_array_equal(part, mc.open_track(made, "A071").displacement)


def test_a_picture_is_an_asset_where_there_is_one(made):
    found = items(made)
    asset = found["A064"].assets["thumbnail"]
    assert open_storage(asset.get_absolute_href()).folder.read_bytes() == PNG
    assert (asset.media_type, asset.roles) == ("image/png", ["thumbnail"])
    assert "thumbnail" not in found["A071"].assets


def test_a_picture_is_made_once_a_revision(root):
    seen = []
    write_stac(root, thumbnail=lambda entry: seen.append(entry.track) or b"other")
    assert seen == ["A071"]
    assert open_storage(items(root)["A064"].assets["thumbnail"].get_absolute_href()).folder.read_bytes() == PNG
    add_entry(root, make_entry(track="A064", product="0113_0116", resolution="lowRes", revision="new"))
    write_stac(root, thumbnail=lambda entry: seen.append(entry.track) or b"other")
    assert seen == ["A071", "A064"]
    write_stac(root)
    assert "thumbnail" not in items(root)["A064"].assets


def test_the_root_may_be_moved_as_a_whole(root, tmp_path):
    shutil.move(root, tmp_path / "moved")
    for item in items(tmp_path / "moved").values():
        assert all(open_storage(a.get_absolute_href()).folder.exists() for a in item.assets.values())


def test_assets_may_have_an_address_of_their_own(root):
    write_stac(root, href_root="https://example.org/insar/")
    asset = items(root)["A071"].assets["index"]
    assert asset.href == "https://example.org/insar/Sentinel/A071/index.json"
    assert items(root)["A071"].get_parent().id == "Sentinel-A071"


def test_elsewhere_assets_are_named_by_the_root(root, tmp_path):
    assert write_stac(root, out=tmp_path / "out") == f"{tmp_path}/out/catalog.json"
    assert items(tmp_path, "out")["A071"].assets["index"].href == f"{root}/Sentinel/A071/index.json"


@pytest.mark.parametrize("place", [".", "a/b/c"])
def test_other_folders_of_the_root_do_too(root, place):
    write_stac(root, out=root / place)
    for item in items(root, place).values():
        assert all(
            open_storage(a.get_absolute_href()).folder.exists() for n, a in item.assets.items() if n != "thumbnail"
        )
    assert open_catalog(root).tracks() == ["A064", "A071"]
    assert read_published(open_storage(root)).table == ("items.parquet" if place == "." else "a/b/c/items.parquet")


def test_a_root_that_was_not_published_shows_no_place_of_a_source(made, tmp_path):
    private = made.parent / "private"
    write_stac(private, out=tmp_path / "out", href_root="https://example.org")
    for key, data in tree(tmp_path / "out").items():
        assert made.parent.name.encode() not in data, key
    assert "mimtpy:entry" not in pq.read_schema(tmp_path / "out/items.parquet").names
    assert read_published(open_storage(private)) is None


def test_nothing_is_no_catalog(tmp_path):
    with pytest.raises(TrackNotFoundError, match=r"no track in .*; ingest or publish something first"):
        write_stac(tmp_path / "none")


@pytest.mark.parametrize("package", ["pystac", "stac_geoparquet"])
def test_a_missing_extra_says_how_to_install_it(made, monkeypatch, package):
    monkeypatch.setitem(sys.modules, package, None)
    with pytest.raises(MimtpyError, match=r'pip install "mimtpy_cloud\[stac\]"'):
        write_stac(made)


# --- the table ----------------------------------------------------------------------------------------------------


def test_the_table_holds_the_items(made):
    table = pq.read_table(made / "stac/items.parquet")
    found = list(stac_table_to_items(table.drop_columns(["mimtpy:entry", "mimtpy:generation"])))
    written = items(made)
    assert [item["id"] for item in found] == [item.id for item in written.values()]
    for item in found:
        original = written[item["id"].split("-")[1]]
        assert item["bbox"] == pytest.approx(original.bbox)
        assert item["properties"]["proj:transform"] == original.properties["proj:transform"]
        assert set(item["assets"]) == set(original.assets)
        for asset in item["assets"].values():
            assert (made / "stac" / asset["href"]).exists()


def test_a_search_of_the_table_is_two_reads(made, reads):
    found = open_catalog(made).search(bbox=(100, 39, 101, 40))
    assert [entry.track for entry in found] == ["A071"]
    assert reads == ["published.json", "stac/items.parquet"]
    reads.clear()
    assert open_catalog(made).tracks() == ["A064", "A071"]
    assert reads == ["published.json", "stac/items.parquet"]
    reads.clear()
    open_catalog(made).search(track="A071", sensor="Sentinel")
    assert reads == ["Sentinel/A071/index.json"]


def test_the_number_of_tracks_does_not_matter(tmp_path, reads):
    entries = [make_entry(track=f"A{k:03d}", revision=f"r{k}") for k in range(1, 201)]
    root = published_root(tmp_path, entries)
    reads.clear()
    plain = open_catalog(root).search(resolution="standard")
    assert len(reads) == 201
    write_stac(root)
    reads.clear()
    assert open_catalog(root).search(resolution="standard") == plain == entries
    assert len(reads) == 2


BOX = st.tuples(st.integers(-190, 170), st.integers(-60, 50), st.integers(1, 80), st.integers(1, 30))


@st.composite
def catalogs(draw):
    """Entries of a few tracks anywhere, some of them across the antimeridian, some replaced."""
    entries = []
    for k in range(draw(st.integers(1, 8))):
        n = draw(st.sampled_from([125, 250]))
        row, col = draw(st.integers(0, 170)) * n, draw(st.integers(0, 359)) * n
        ny, nx = draw(st.integers(1, 2 * n)), draw(st.integers(1, 3 * n))
        days = draw(st.sets(st.sampled_from(["2018-03-01", "2019-05-06", "2020-01-03", "2021-02-02"])))
        entries.append(
            make_entry(
                sensor=draw(st.sampled_from(["Sentinel", "Alos2", "Csk"])),
                track=draw(st.sampled_from(["A001", "A124", "D071"])),
                product=draw(st.sampled_from(["0001_0002", "0113_0119"])),
                resolution="veryLowRes" if n == 125 else "lowRes",
                pixels_per_degree=n,
                revision=f"r{k}",
                committed=f"2026-11-22T10:00:00.{k:06d}+00:00",
                project=draw(st.sampled_from(["", "One", "Two"])),
                dates=tuple(sorted(days)),
                window=(row, col, ny, nx),
                band_windows=dict.fromkeys(draw(st.sets(st.integers(-60, 60), min_size=1)), (row, col, ny, nx)),
                variables=("displacement",) if days else ("velocity", "velocity_std"),
                perpendicular_baseline=draw(
                    st.sampled_from([(), tuple(np.nan for _ in days), tuple(1.5 for _ in days)])
                ),
                attrs=draw(
                    st.fixed_dictionaries(
                        {},
                        optional={
                            "heading": st.sampled_from([-12, -12.5]),
                            "wavelength": st.sampled_from([0.0555, 0.24]),
                            "look_side": st.sampled_from(["left", "right"]),
                            "orbit_direction": st.sampled_from(["ascending", "descending"]),
                            "reference_point": st.sampled_from([[1, 2], [1.5, 2.5]]),
                            "reference_date": st.just("2020-01-03"),
                            "mintpy": st.sampled_from([{}, {"polarization": "vv"}, {"WIDTH": "3"}]),
                        },
                    )
                ),
            )
        )
    return entries


@st.composite
def queries(draw):
    west, south, width, height = draw(BOX)
    return {
        name: value
        for name, value in {
            "bbox": draw(st.none() | st.just((west, south, west + width, south + height))),
            "sensor": draw(st.none() | st.sampled_from(["Sentinel", "Alos2", "Nobody"])),
            "track": draw(st.none() | st.sampled_from(["A001", "D071"])),
            "resolution": draw(st.none() | st.sampled_from(["lowRes", "veryLowRes"])),
            "project": draw(st.none() | st.sampled_from(["One", "Three"])),
            "start": draw(st.none() | st.sampled_from(["2018-01-01", "2019-05-06"])),
            "end": draw(st.none() | st.sampled_from(["2019-05-06", "2022-01-01"])),
        }.items()
        if value is not None
    }


def comparable(entries):
    return [json.dumps(entry.to_json(), sort_keys=True) for entry in entries]  # NaN equals NaN


@given(entries=catalogs(), wanted=st.lists(queries(), min_size=3, max_size=6))
def test_a_search_of_the_table_finds_what_the_indexes_hold(tmp_path_factory, entries, wanted):
    root = published_root(tmp_path_factory.mktemp("root"), entries)
    write_stac(root)
    assert read_published(open_storage(root)).table
    for query in ({}, *wanted):
        assert comparable(Catalog(root).search(**query)) == comparable(Catalog(root, as_of=FUTURE).search(**query))
    for path in (root / "stac").rglob("*.json"):
        content = json.loads(path.read_text())
        assert without_dicts_that_are_empty(content)
        pystac.validation.validate_dict({**content, "stac_extensions": []})


# --- a stale table is never believed --------------------------------------------------------------------------------


def test_after_a_commit_the_indexes_are_read(root):
    add_entry(root, make_entry())
    assert read_published(open_storage(root)).table == ""
    assert open_catalog(root).tracks() == ["A064", "A071", "A124"]
    write_stac(root)
    assert read_published(open_storage(root)).table == "stac/items.parquet"
    assert open_catalog(root).tracks() == ["A064", "A071", "A124"]


def test_publishing_and_gc_take_the_table_away(root, made, tmp_path):
    mc.ingest(write_scene(tmp_path, shape=(60, 60), relative_orbit=72, frames=(5, 6)), tmp_path / "more")
    publish(tmp_path / "more", root)
    assert open_catalog(root).tracks() == ["A064", "A071", "A072"]
    write_stac(root)
    for revision in ("a", "b"):
        add_entry(root, make_entry(revision=revision, committed=f"2020-01-0{'ab'.index(revision) + 1}T00:00:00+00:00"))
    write_stac(root)
    gc(root, older_than_days=1)
    assert read_published(open_storage(root)).table == ""


def test_a_killed_commit_leaves_no_table_that_could_be_stale(root, monkeypatch):
    class Killed(BaseException):
        pass

    original = LocalStorage.update

    def dies(self, key, change):
        original(self, key, change)
        if key.endswith("index.json"):
            monkeypatch.setattr(LocalStorage, "update", killed)
            raise Killed

    def killed(self, key, change):
        raise Killed

    monkeypatch.setattr(LocalStorage, "update", dies)
    with contextlib.suppress(Killed):
        add_entry(root, make_entry(track="A071", product="0005_0006"))
    monkeypatch.setattr(LocalStorage, "update", original)
    assert read_published(open_storage(root)).table == ""
    assert [e.product for e in open_catalog(root).search(track="A071")] == ["0001_0002", "0005_0006"]
    write_stac(root)  # the claim of the dead writer is still young
    assert read_published(open_storage(root)).table == ""


def test_a_change_while_the_table_is_made_keeps_it_from_being_named(root, caplog):
    def change(entry):
        if entry.track == "A071":
            add_entry(root, make_entry())

    write_stac(root, thumbnail=change)
    assert "changed meanwhile: searches read its indexes; write the STAC catalog again" in caplog.text
    assert open_catalog(root).tracks() == ["A064", "A071", "A124"]


def test_a_table_of_another_generation_is_not_believed(root, tmp_path):
    old = (root / "stac/items.parquet").read_bytes()
    add_entry(root, make_entry())
    write_stac(root)
    (root / "stac/items.parquet").write_bytes(old)
    assert open_catalog(root).tracks() == ["A064", "A071", "A124"]


@pytest.mark.parametrize("damage", [b"", b"PAR1 nothing PAR1", None])
def test_a_damaged_or_missing_table_does_not_matter(root, damage, caplog):
    path = root / "stac/items.parquet"
    path.unlink() if damage is None else path.write_bytes(damage)
    assert open_catalog(root).tracks() == ["A064", "A071"]
    assert ("the indexes are read instead" in caplog.text) == (damage is not None)


def test_without_pyarrow_the_indexes_are_read(made, monkeypatch, reads):
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    assert open_catalog(made).tracks() == ["A064", "A071"]
    assert "Sentinel/A064/index.json" in reads


def test_earlier_times_are_searched_in_the_indexes(made, reads):
    assert open_catalog(made, as_of="2020-01-01").search() == []
    assert "stac/items.parquet" not in reads


# --- on the web -----------------------------------------------------------------------------------------------------


def test_stac_on_the_web(made, s3, request, monkeypatch):
    prefix = f"{s3.public_bucket}/{abs(hash(request.node.nodeid))}"
    to, web = f"s3://{prefix}", f"{s3.endpoint}/{prefix}"
    publish(made, to)
    assert write_stac(to, thumbnail=lambda entry: PNG) == f"{to}/stac/catalog.json"
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_ENDPOINT_URL"):
        monkeypatch.delenv(name)
    found = list(pystac.Catalog.from_file(f"{web}/stac/catalog.json").get_items(recursive=True))
    assert [item.id.split("-")[1] for item in found] == ["A064", "A071"]
    href = found[1].assets["index"].get_absolute_href()
    assert href == f"{web}/Sentinel/A071/index.json"
    counts = collections.Counter()
    storage = type(open_storage(web))
    original = storage.read
    monkeypatch.setattr(storage, "read", lambda self, key: counts.update([key]) or original(self, key))
    assert comparable(open_catalog(web).search()) == comparable(open_catalog(made).search())
    assert counts == {"published.json": 1, "stac/items.parquet": 1}
    with pytest.raises(StorageError, match=r"cannot use|no permission"):
        write_stac(web)
