"""``mimtpy publish`` and ``mimtpy catalog stac``, as a user meets them."""

import sys

import matplotlib.image
import numpy as np
import pystac
import pytest
from scenes import write_scene
from test_cli import run

import mimtpy_cloud as mc
from mimtpy_cloud.catalog.index import open_catalog
from mimtpy_cloud.cli.thumbnails import thumbnail_png


@pytest.fixture(scope="module")
def root(tmp_path_factory):
    """Root with A064 and A071, at 40 degrees north."""
    folder = tmp_path_factory.mktemp("root")
    mc.ingest(write_scene(folder, shape=(150, 150)), folder / "root")
    mc.ingest(write_scene(folder, name="b.he5", shape=(90, 80), relative_orbit=71), folder / "root")
    return folder / "root"


def picture(data, path):
    path.write_bytes(data)
    return matplotlib.image.imread(path)


def test_publish_says_what_it_did(root, tmp_path):
    planned = run("publish", "--root", root, "--to", tmp_path / "to", "--dry-run")
    assert "3 stores would be copied, " in planned.stderr
    assert not (tmp_path / "to").exists()
    done = run("publish", "--root", root, "--to", tmp_path / "to")
    assert "publish: 1.0/1.0 MB" in done.stderr
    assert "MB/s" in done.stderr
    assert planned.stdout == done.stdout
    assert "Sentinel/A071" in done.stdout
    again = run("publish", "--root", root, "--to", tmp_path / "to")
    assert "0 stores copied, 0.0 MB; 3 there already" in again.stderr
    assert run("catalog", "list", "--root", tmp_path / "to").stdout == run("catalog", "list", "--root", root).stdout


def test_publish_takes_a_selection(root, tmp_path):
    run("publish", "--root", root, "--to", tmp_path, "--track", "A071", "--bbox", 100, 40, 101, 41)
    assert open_catalog(tmp_path).tracks() == ["A071"]
    wrong = run("publish", "--root", root, "--to", tmp_path, "--project", "Nobody", code=2)
    assert wrong.stderr.startswith("error: nothing to publish of project Nobody in ")
    assert "is the root itself" in run("publish", "--root", root, "--to", root, code=2).stderr


def test_publish_with_stac_is_complete(root, tmp_path):
    done = run("publish", "--root", root, "--to", tmp_path, "--stac")
    assert done.stdout.splitlines()[-1] == f"{tmp_path}/stac/catalog.json"
    items = list(pystac.Catalog.from_file(str(tmp_path / "stac/catalog.json")).get_items(recursive=True))
    assert [sorted(item.assets) for item in items] == [
        ["band_39", "band_40", "index", "thumbnail"],
        ["band_40", "index", "thumbnail"],
    ]
    values = matplotlib.image.imread(items[0].assets["thumbnail"].get_absolute_href())
    assert values.shape[0] == 256
    assert run("catalog", "search", "--track", "A064", "--root", tmp_path).stdout.count("Sentinel/A064") == 1


def test_catalog_stac_writes_where_it_is_told(root, tmp_path):
    where = ("--out", tmp_path, "--href-root", "https://example.org/r", "--no-thumbnails")
    assert run("catalog", "stac", "--root", root, *where).stdout == f"{tmp_path}/catalog.json\n"
    (item, _) = pystac.Catalog.from_file(str(tmp_path / "catalog.json")).get_items(recursive=True)
    assert item.assets["index"].href == "https://example.org/r/Sentinel/A064/index.json"
    assert "thumbnail" not in item.assets


@pytest.mark.parametrize("command", [("catalog", "stac"), ("publish", "--to", "to", "--stac")])
def test_a_missing_extra_is_told_before_the_work(root, tmp_path, monkeypatch, command):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setitem(sys.modules, "pystac", None)
    assert 'pip install "mimtpy_cloud[stac]"' in run(*command, "--root", root, code=2).stderr
    assert list(tmp_path.iterdir()) == []


def test_a_picture_is_true_to_scale_and_clear_where_nothing_is_known(root, tmp_path):
    entry = open_catalog(root).find("A064")
    image = picture(thumbnail_png(str(root), entry), tmp_path / "a.png")
    assert image.shape == (256, round(256 * np.cos(np.radians(40.1))), 4)
    clear = image[..., 3] == 0
    ds = mc.open_track(root, "A064")
    unknown = np.isnan(ds.displacement[-1].values) | ~ds.valid.values
    assert clear.mean() == pytest.approx(unknown.mean(), abs=0.005)
    rows, cols = np.nonzero(clear)
    assert rows.min() / 256 == pytest.approx(40 / 150, abs=0.01)
    assert cols.max() / image.shape[1] == pytest.approx(50 / 150, abs=0.01)
    red, blue = image[..., 0], image[..., 2]
    sign = np.sign((red - blue)[~clear])
    assert sign.mean() == pytest.approx(np.sign(ds.displacement[-1].values[~unknown]).mean(), abs=0.05)


def test_there_is_no_picture_of_neither_velocity_nor_displacement(root):
    from dataclasses import replace

    entry = open_catalog(root).find("A064")
    assert thumbnail_png(str(root), replace(entry, variables=("height",), dates=(), perpendicular_baseline=())) is None
