"""Names in an index, a published root or a key lead nowhere but below the root."""

import json

import pytest
from scenes import make_entry, write_scene

import mimtpy_cloud as mc
from mimtpy_cloud.catalog.index import Entry, open_catalog
from mimtpy_cloud.catalog.published import read_published
from mimtpy_cloud.cli.pipeline import run_template
from mimtpy_cloud.errors import CatalogError, StorageError
from mimtpy_cloud.io import store as reading
from mimtpy_cloud.io.storage import open_storage

#: Names that would lead elsewhere, one way or another.
OUTSIDE = ["..", "../x", "/etc", "a/../../x", "..\\x", "%2e%2e%2fx", "%2e%2e", ".hidden", "", "a/b", "a\nb"]


@pytest.fixture
def root(s3, tmp_path):
    reading.forget_indexes()
    return f"s3://{s3.bucket}/{tmp_path.name}"


@pytest.mark.parametrize("name", OUTSIDE)
@pytest.mark.parametrize("field", ["sensor", "track", "product", "resolution", "revision", "variables"])
def test_an_index_from_elsewhere_cannot_name_a_key_outside_the_root(tmp_path, field, name):
    good = make_entry().to_json()
    bad = {**good, field: [name] if field == "variables" else name}
    path = tmp_path / "Sentinel/A124/index.json"
    path.parent.mkdir(parents=True)
    path.write_text(json.dumps({"format": 1, "commits": [good]}))
    assert open_catalog(tmp_path).search() == [Entry.from_json(good)]
    path.write_text(json.dumps({"format": 1, "commits": [bad]}))
    with pytest.raises(CatalogError, match=r"index.json cannot be used: expected a name without"):
        mc.open_track(tmp_path, "A124")
    with pytest.raises(CatalogError, match="expected a name without"):
        make_entry(**{field: (name,) if field == "variables" else name})


def test_an_encoded_name_is_taken_as_it_is_written(root, tmp_path):
    (tmp_path / "x").write_bytes(b"outside")
    for url in (root, tmp_path / "root"):
        storage = open_storage(url)
        storage.write("%2e%2e%2fx", b"1")
        assert storage.read("%2e%2e%2fx") == b"1"
        assert storage.children("") == ["%2e%2e%2fx"]
    outer = open_storage(root.rpartition("/")[0])
    with pytest.raises(FileNotFoundError):
        outer.read("x")
    assert (tmp_path / "x").read_bytes() == b"outside"


@pytest.mark.parametrize("name", ["../x/A064", "../../A064", "/etc/A064"])
def test_a_published_root_cannot_name_a_track_or_a_table_outside(tmp_path, name):
    text = {"format": 1, "generation": "g", "source": "", "tracks": {name: ""}, "copying": {}, "changing": {}}
    (tmp_path / "root").mkdir()
    (tmp_path / "root/published.json").write_text(json.dumps({**text, "table": ""}))
    assert read_published(open_storage(tmp_path / "root")) is not None
    with pytest.raises(StorageError, match="does not stay below"):
        open_catalog(tmp_path / "root").tracks()
    (tmp_path / "root/published.json").write_text(json.dumps({**text, "tracks": {}, "table": "../items.parquet"}))
    with pytest.raises(StorageError, match="does not stay below"):
        open_catalog(tmp_path / "root").search()


def test_the_project_of_a_shifted_track_does_not_leave_the_outputs(tmp_path):
    for orbit, project in ((64, "Calm64"), (65, "../../../../evil65")):
        mc.ingest(write_scene(tmp_path, relative_orbit=orbit, PROJECT_NAME=project), tmp_path / "root", workers=2)
    template = tmp_path / "t.yml"
    template.write_text(
        "velocity_displacement: {dataset: [A064, A065]}\n"
        "concatenation: {dataset: [A064, A065], rewrite: 'yes', outname: joined}\n"
    )
    out = tmp_path / "a/b/out"
    assert not any(result.error for result in run_template(template, root=str(tmp_path / "root"), out=str(out)))
    assert list(out.rglob("*evil65*_offset.zarr"))
    assert not [path for path in tmp_path.rglob("*evil*") if out not in path.parents]
