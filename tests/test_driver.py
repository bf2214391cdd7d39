"""The Intake driver and the catalog files, as a user of Intake meets them."""

import pickle
from importlib.metadata import entry_points
from pathlib import Path

import intake
import numpy as np
import pytest
import xarray as xr
import yaml
from lazy import no_compute
from scenes import displacement, write_scene

from mimtpy_cloud.catalog.driver import TrackSource
from mimtpy_cloud.catalog.index import read_commits
from mimtpy_cloud.catalog.ingest import ingest
from mimtpy_cloud.catalog.tracks import open_track
from mimtpy_cloud.errors import CatalogError, TrackNotFoundError
from mimtpy_cloud.io.storage import open_storage

CATALOGS = Path(__file__).resolve().parents[1] / "catalogs"


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """Root with two revisions of A064 in the bands 39 and 40 at 125 pixels a degree."""
    folder = tmp_path_factory.mktemp("made")
    for seed in (1, 2):
        ingest(write_scene(folder, shape=(100, 60), n=125, north=40.2, seed=seed, name=f"{seed}.he5"), folder / "root")
    return folder


@pytest.fixture
def timeseries(made, monkeypatch):
    monkeypatch.setenv("MIMTPY_ROOT", str(made / "root"))
    return intake.open_catalog(str(CATALOGS / "mimtpy.yml")).timeseries


def test_one_band_of_a_track(timeseries, made):
    with no_compute():
        ds = timeseries(track="A064", band=39, resolution="veryLowRes").to_dask()
    assert ds.sizes == {"time": 3, "y": 75, "x": 60}
    assert bool((np.floor(ds.y) == 39).all())
    np.testing.assert_array_equal(ds.displacement, displacement(made / "2.he5")[:, 25:])


def test_the_issues_own_line(he5, tmp_path, monkeypatch):
    (path,) = (he5 / "small/SynthSenAT064").rglob("*.he5")
    ingest(path, tmp_path)
    monkeypatch.setenv("MIMTPY_ROOT", str(tmp_path))
    ds = (
        intake.open_catalog(str(CATALOGS / "mimtpy.yml"))
        .timeseries(track="A064", band=36, resolution="veryLowRes")
        .to_dask()
    )
    assert ds.sizes["y"] == 125
    assert bool(ds.displacement.notnull().any())


@pytest.mark.parametrize("band", [None, "", "all"])
def test_all_bands(timeseries, made, band):
    ds = timeseries(track="A064", resolution="veryLowRes", band=band).to_dask()
    xr.testing.assert_identical(ds, open_track(made / "root", "A064", resolution="veryLowRes"))


def test_band_of_the_next_degree_as_text(timeseries):
    assert timeseries(track="A064", resolution="veryLowRes", band="40").to_dask().sizes["y"] == 25


def test_resolution_is_the_only_one_unless_named(timeseries, made):
    for parameters in ({}, {"resolution": ""}, {"resolution": None}):
        assert timeseries(track="A064", **parameters).to_dask().attrs["resolution"] == "veryLowRes"
    assert TrackSource(str(made / "root"), "A064").to_dask().attrs["resolution"] == "veryLowRes"


def test_read_loads(timeseries, made):
    ds = timeseries(track="A064", resolution="veryLowRes").read()
    assert isinstance(ds.displacement.data, np.ndarray)
    np.testing.assert_array_equal(ds.displacement, displacement(made / "2.he5"))


def test_discover_tells_the_sizes(timeseries):
    source = timeseries(track="A064", resolution="veryLowRes")
    assert source.discover()["metadata"].items() >= {"time": 3, "y": 100, "x": 60}.items()


def test_as_of_opens_the_earlier_revision(timeseries, made):
    old, new = read_commits(open_storage(made / "root"), "Sentinel", "A064")
    ds = timeseries(track="A064", resolution="veryLowRes", as_of=old.committed).to_dask()
    assert ds.attrs["revision"] == old.revision != new.revision
    np.testing.assert_array_equal(ds.displacement, displacement(made / "1.he5"))


@pytest.mark.parametrize("misspelt", ["trak", "bands", "resolutoin", "asof", "url"])
def test_misspelt_parameter_raises(timeseries, misspelt):
    with pytest.raises(TypeError, match=misspelt):
        timeseries(track="A064", **{misspelt: "x"}).to_dask()
    with pytest.raises(TypeError, match=misspelt):
        TrackSource("root", "A064", **{misspelt: "x"})


@pytest.mark.parametrize(
    ("parameters", "error", "message"),
    [
        ({}, CatalogError, r"needs a root and a track, got root='/.*' and track=''; pass track="),
        ({"track": "A065"}, TrackNotFoundError, "no track Sentinel/A065 in .*; it has Sentinel/A064"),
        (
            {"track": "A064", "resolution": "standard"},
            TrackNotFoundError,
            "nothing with resolution 'standard'; it has veryLowRes/0113_0116",
        ),
        ({"track": "A064", "resolution": "veryLowRes", "band": 36}, CatalogError, "has no band 36; it has 39, 40"),
        ({"track": "A064", "resolution": "veryLowRes", "band": "north"}, CatalogError, "whole degree .* got 'north'"),
        ({"track": "A064", "sensor": "Alos"}, TrackNotFoundError, "no track Alos/A064"),
    ],
)
def test_errors_say_what_exists(timeseries, parameters, error, message):
    with pytest.raises(error, match=message):
        timeseries(**parameters).to_dask()


def test_unset_root_is_named(monkeypatch):
    monkeypatch.delenv("MIMTPY_ROOT", raising=False)
    source = intake.open_catalog(str(CATALOGS / "mimtpy.yml")).timeseries(track="A064")
    with pytest.raises(CatalogError, match="needs a root and a track, got root=''"):
        source.to_dask()


def test_source_pickles(timeseries):
    source = pickle.loads(pickle.dumps(timeseries(track="A064", band=39, resolution="veryLowRes")))
    assert source.to_dask().sizes["y"] == 75


def test_demo_catalog_finds_the_root_beside_it(made, tmp_path):
    (tmp_path / "catalogs").mkdir()
    (tmp_path / "demo").mkdir()
    (tmp_path / "catalogs/demo.yml").write_text((CATALOGS / "demo.yml").read_text())
    (tmp_path / "demo/root").symlink_to(made / "root")
    source = intake.open_catalog(str(tmp_path / "catalogs/demo.yml")).timeseries(track="A064", resolution="veryLowRes")
    assert source.to_dask().sizes["y"] == 100


def test_driver_is_registered():
    (found,) = entry_points(group="intake.drivers", name="mimtpy_track")
    assert found.load() is TrackSource


@pytest.mark.parametrize("path", sorted(CATALOGS.glob("*.yml")), ids=lambda path: path.stem)
def test_catalog_files_name_the_driver_and_hold_no_secret(path):
    text = path.read_text()
    (source,) = yaml.safe_load(text)["sources"].values()
    assert source["driver"] == "mimtpy_track"
    assert set(source["args"]) == {"root", "sensor", "track", "resolution"}
    assert not any(word in text.upper() for word in ("ACCESS_KEY", "SECRET", "PASSWORD", "TOKEN"))
