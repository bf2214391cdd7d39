"""Ingest: bit for bit on the lattice, the same stores whatever the way, and nothing lost or half done."""

import json
import os
import random
import shutil
import threading
from pathlib import Path

import fsspec
import h5py
import numpy as np
import pytest
import xarray as xr
from he5files import product as he5_layers
from he5files import write_frame, write_h5, write_he5
from scenes import (
    add_entry,
    displacement,
    ingest_and_die,
    ingest_one,
    make_entry,
    peak_memory,
    rewrite,
    run_all,
    stores,
    tree,
    write_scene,
)

from mimtpy_cloud.catalog import ingest as module
from mimtpy_cloud.catalog import streaming
from mimtpy_cloud.catalog.index import open_catalog, read_commits
from mimtpy_cloud.catalog.ingest import ingest
from mimtpy_cloud.catalog.maintenance import gc, verify
from mimtpy_cloud.catalog.tracks import open_entry, open_track
from mimtpy_cloud.errors import CatalogError, ResolutionError, SchemaError, SourceFormatError, StorageError
from mimtpy_cloud.io.storage import LocalStorage, open_storage


@pytest.fixture(scope="module")
def scene(tmp_path_factory):
    """Three dates of 300 x 280 pixels on the lattice lowRes, in the bands 39 and 40."""
    return write_scene(tmp_path_factory.mktemp("scene"))


@pytest.fixture(scope="module")
def long_scene(tmp_path_factory):
    """Forty dates (two inner chunks) of 520 x 280 pixels, LZF."""
    return write_scene(tmp_path_factory.mktemp("long"), shape=(520, 280), dates=40)


@pytest.fixture(scope="module")
def long_root(long_scene, tmp_path_factory):
    root = tmp_path_factory.mktemp("long-root")
    ingest(long_scene, root, workers=1)
    return root


#: Lattice of the files of `he5files`.
TINY = {"resolution": "tiny", "pixels_per_degree": 100}


def write_geometry(folder: Path, incidence: float = 39) -> Path:
    """Geometry of MintPy on the grid of `write_h5`."""
    layers = {"incidenceAngle": incidence, "azimuthAngle": 102, "height": 5}
    return write_h5(
        folder, "geometryGeo.h5", "geometry", {name: np.full((6, 8), v, "f4") for name, v in layers.items()}
    )


def product(he5: Path, name: str) -> Path:
    (path,) = (he5 / name).rglob("*.he5")
    return path


def load(root, entry) -> xr.Dataset:
    return open_entry(str(root), entry).load()


def values(root) -> dict[str, np.ndarray]:
    """Decoded arrays of the only entry of a root."""
    (entry,) = open_catalog(root).search()
    return {str(name): variable.values for name, variable in load(root, entry).data_vars.items()}


def files(root, *, source: bool = True) -> dict[str, bytes]:
    """Files of all stores by band and key, without the revision; also without what describes the source."""
    out = {}
    for store in stores(Path(root)):
        band = str(store.parent.relative_to(root))
        out |= {f"{band}/{key}": data for key, data in tree(store).items()}
        if not source:
            metadata = json.loads((store / "zarr.json").read_text())
            del metadata["attributes"]["source"]
            out[f"{band}/zarr.json"] = json.dumps(metadata).encode()
    return out


def assert_equal(one: dict, other: dict) -> None:
    assert one.keys() == other.keys()
    for name, array in one.items():
        np.testing.assert_array_equal(array, other[name], err_msg=name)


# --- given files --------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["SynthSenAT064", "SynthSenAT137", "SynthSenDT071", "SynthSenDT144"])
def test_displacement_of_mintpys_files_is_bit_equal(he5, tmp_path, name):
    path = product(he5, f"small/{name}")
    (entry,) = ingest(path, tmp_path)
    ds = load(tmp_path, entry)
    np.testing.assert_array_equal(ds.displacement.values.view("u4"), displacement(path).view("u4"))
    with h5py.File(path) as file:
        group = file["HDFEOS/GRIDS/timeseries"]
        np.testing.assert_array_equal(ds.valid, group["quality/mask"][:])
        np.testing.assert_array_equal(ds.temporal_coherence, group["quality/temporalCoherence"][:])
        np.testing.assert_array_equal(ds.perpendicular_baseline, group["observation/bperp"][:])
        np.testing.assert_array_equal(ds.time.dt.strftime("%Y%m%d").values.astype("S8"), group["observation/date"][:])
    assert (entry.resolution, entry.project, entry.track) == ("veryLowRes", name, f"{name[-5]}{name[-3:]}")
    assert entry.attrs["parameters"] == {"resolution": "veryLowRes", "pixels_per_degree": 125, "resampling": "none"}
    assert verify(tmp_path) == []


@pytest.mark.parametrize("version", ["pysar_v0.3.0", "v1.0.0", "v1.3.0", "v1.5.1"])
def test_files_of_older_versions_give_the_same_displacement(he5, tmp_path, version):
    (entry,) = ingest(product(he5, f"legacy/{version}"), tmp_path)
    wanted = displacement(product(he5, "small/SynthSenDT071"))
    np.testing.assert_array_equal(load(tmp_path, entry).displacement, wanted)
    assert (entry.track, entry.product, entry.bands) == ("D071", "0466_0472", (36, 37))


def test_broken_file_is_refused_and_nothing_is_written(he5, tmp_path):
    good, broken = product(he5, "small/SynthSenDT144"), product(he5, "broken/v1.6.4_nobperp")
    with pytest.raises(SourceFormatError, match=r"is truncated: it has observation/date, .*write it again"):
        ingest([good, broken], tmp_path / "root")
    assert not (tmp_path / "root").exists()


def test_subpixel_shift_is_recorded(he5, tmp_path):
    path = product(he5, "awkward/SynthChunk2SenAT137")
    (entry,) = ingest(path, tmp_path)
    assert entry.attrs["parameters"]["resampling"] == "nearest"
    np.testing.assert_allclose(entry.attrs["parameters"]["shift_pixels"], [-0.37, -0.39], atol=1e-6)
    out, given = load(tmp_path, entry).displacement.values, displacement(path)
    assert set(np.unique(out[np.isfinite(out)])) <= set(np.unique(given[np.isfinite(given)]))
    (store,) = stores(tmp_path)[:1]
    assert json.loads((store / "zarr.json").read_text())["attributes"]["parameters"] == entry.attrs["parameters"]


@pytest.mark.parametrize("resampling", ["nearest", "bilinear", "average"])
def test_utm_is_warped_to_the_truth(he5, tmp_path, resampling):
    path = product(he5, "awkward/SynthHyp3SenDT071")
    with pytest.raises(
        ResolutionError, match=r"pixel size of 800: name the resolution, such as .*-degree 138 .*; known .*veryLowRes"
    ):
        ingest(path, tmp_path)
    (entry,) = ingest(path, tmp_path, resolution="veryLowRes", resampling=resampling)
    ds = load(tmp_path, entry)
    assert entry.attrs["parameters"]["resampling"] == resampling
    assert set(entry.bands) == {36, 37}
    length = np.sqrt(ds.los_east.values**2 + ds.los_north.values**2 + ds.los_up.values**2)
    np.testing.assert_allclose(length[np.isfinite(length)], 1, atol=1e-6)
    lonlat = ingest(product(he5, "small/SynthSenDT071"), tmp_path / "lonlat")[0]
    other, ours = xr.align(load(tmp_path / "lonlat", lonlat), ds, join="inner")
    np.testing.assert_allclose((ours.height - other.height).median(), 0, atol=5)
    np.testing.assert_allclose(ours.los_up.median(), other.los_up.median(), atol=1e-2)


def test_radar_coordinates_are_placed_by_latitude_and_longitude(he5, tmp_path):
    path = product(he5, "awkward/SynthRadarSenAT064")
    with pytest.raises(ResolutionError, match="has radar coordinates: name the resolution"):
        ingest(path, tmp_path)
    for resampling in ("bilinear", "average"):
        with pytest.raises(
            ResolutionError, match=f"radar coordinates can be resampled by nearest only, got '{resampling}'"
        ):
            ingest(path, tmp_path, resolution="veryLowRes", resampling=resampling)
    assert not any(tmp_path.iterdir())
    (entry,) = ingest(path, tmp_path, resolution="veryLowRes")
    assert entry.product == "0113_0116_filtDel4DS"
    ds = load(tmp_path, entry)
    geocoded = ingest(product(he5, "small/SynthSenAT064"), tmp_path / "geo")[0]
    other, ours = xr.align(load(tmp_path / "geo", geocoded), ds, join="inner")
    assert ours.height.notnull().mean() > 0.7
    np.testing.assert_allclose((ours.height - other.height).median(), 0, atol=5)


def test_licsbas_frames_have_a_resolution_of_their_own(shared, tmp_path):
    frames = sorted((shared / "data" / "real" / "anatolia_licsbas_4tracks").glob("???[AD]_*"))
    with pytest.raises(
        ResolutionError, match=r"unknown resolution 'licsbas'; known .*standard \(1250\).*give --pixels-per"
    ):
        ingest(frames, tmp_path, resolution="licsbas")
    assert not any(tmp_path.iterdir())
    entries = ingest(frames[:2], tmp_path, resolution="licsbas", pixels_per_degree=100)
    assert json.loads((tmp_path / "lattice.json").read_text()) == {"licsbas": 100}
    entries += ingest(frames[2:], tmp_path, resolution="licsbas")
    assert [entry.track for entry in entries] == ["A014", "A087", "D094", "D167"]
    assert {entry.pixels_per_degree for entry in entries} == {100}
    ds = open_track(tmp_path, "A014", resolution="licsbas")
    assert 0 < float(abs(ds.velocity).max()) < 0.2  # m/yr
    assert "time" not in ds.dims
    with pytest.raises(
        ResolutionError, match="resolution 'licsbas' has 100 pixels a degree, got 120; use another name"
    ):
        ingest(frames[0], tmp_path, resolution="licsbas", pixels_per_degree=120)
    assert verify(tmp_path) == []


# --- lattice ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"resolution": "lowres"}, r"unknown resolution 'lowres'; known \(pixels a degree\): .*lowRes \(250\)"),
        ({"resolution": "standard", "pixels_per_degree": 100}, "'standard' has 1250 pixels a degree, got 100"),
        ({"pixels_per_degree": 250}, "250 pixels a degree need a name: --resolution NAME --pixels-per-degree 250 "),
        ({"resolution": "mine", "pixels_per_degree": 0}, "above 0, got 0"),
        ({"resolution": "mine", "pixels_per_degree": -5}, "above 0, got -5"),
        ({"resolution": "mine", "pixels_per_degree": 251}, "251 pixels a degree cannot be tiled"),
        ({"resolution": "../mine", "pixels_per_degree": 100}, "a resolution is named by letters, .* got '../mine'"),
        ({"resolution": "", "pixels_per_degree": 100}, "a resolution is named by letters"),
        ({"resampling": "cubic"}, "resampling must be one of nearest, bilinear, average, got 'cubic'"),
    ],
)
def test_unusable_parameters_are_refused_and_nothing_is_written(scene, tmp_path, options, message):
    with pytest.raises(ResolutionError, match=message):
        ingest(scene, tmp_path / "root", **options)
    assert not (tmp_path / "root").exists()


def test_damaged_lattice_table_is_named(scene, tmp_path):
    (tmp_path / "lattice.json").write_text("[")
    with pytest.raises(CatalogError, match=r"lattice.json is unreadable"):
        ingest(scene, tmp_path)


def test_pixel_on_a_degree_line_belongs_to_the_band_above(tmp_path):
    (entry,) = ingest(
        write_scene(tmp_path, shape=(4, 6), n=100, north=40.02, nan=False),
        tmp_path / "root",
        resolution="r",
        pixels_per_degree=100,
    )
    assert entry.window[0] == 4998
    assert entry.bands == (39, 40)


# --- idempotence and revisions ------------------------------------------------------------------------------


def test_second_ingest_repairs_a_damaged_store(scene, tmp_path, caplog):
    (first,) = ingest(scene, tmp_path)
    shard = next(path for path in stores(tmp_path)[0].rglob("displacement/c/*/*/*") if path.is_file())
    shard.write_bytes(shard.read_bytes()[:-7])
    assert verify(tmp_path)
    (second,) = ingest(scene, tmp_path)
    assert second.revision != first.revision
    assert second.content == first.content
    assert verify(tmp_path) == []
    assert "damaged" in caplog.text


def test_second_ingest_changes_no_file(scene, tmp_path):
    first = ingest(scene, tmp_path)
    before = {path: path.stat().st_mtime_ns for path in tmp_path.rglob("*") if not path.name.endswith(".lock")}
    content = tree(tmp_path)
    calls = []
    assert ingest(scene, tmp_path, workers=1, progress=lambda *call: calls.append(call)) == first
    assert tree(tmp_path) == content
    assert {path: path.stat().st_mtime_ns for path in before} == before
    assert calls == []


def test_same_bytes_under_another_name_are_current_too(scene, tmp_path):
    first = ingest(scene, tmp_path / "root")
    copy = Path(shutil.copy(scene, tmp_path / "copy.he5"))
    assert ingest(copy, tmp_path / "root") == first


def test_changed_content_or_parameters_make_a_revision_and_the_old_stays(tmp_path):
    old = write_scene(tmp_path, shape=(60, 60), west=100.2001, seed=1, name="a.he5")
    new = write_scene(tmp_path, shape=(60, 60), west=100.2001, seed=2, name="b.he5")
    root = tmp_path / "root"
    (one,) = ingest(old, root)
    before = tree(root)
    (two,) = ingest(new, root)
    (three,) = ingest(new, root, resampling="bilinear")
    assert len({one.content, two.content, three.content}) == 3
    assert one.committed < two.committed < three.committed
    after = tree(root)
    assert {key: after[key] for key in before if not key.endswith("index.json")} == {
        key: data for key, data in before.items() if not key.endswith("index.json")
    }
    assert open_catalog(root).find("A064", resolution="lowRes") == three
    for entry, path in ((one, old), (two, new)):
        ds = open_track(root, "A064", resolution="lowRes", as_of=entry.committed)
        assert ds.attrs["revision"] == entry.revision
        np.testing.assert_array_equal(ds.displacement.isel(x=slice(60)), displacement(path))


def test_clock_that_went_back_does_not_hide_a_revision(scene, tmp_path):
    future = "2999-01-01T00:00:00.000000+00:00"
    add_entry(
        tmp_path, make_entry(track="A064", product="0113_0116", resolution="lowRes", project="", committed=future)
    )
    (entry,) = ingest(scene, tmp_path)
    assert entry.committed == "2999-01-01T00:00:00.000001+00:00"
    assert open_catalog(tmp_path).find("A064", resolution="lowRes") == entry


def test_project_folder_is_identified_by_its_product(tmp_path):
    """The product lies one folder down, where a listing of the project does not see a change."""
    project = tmp_path / "Project"
    write_scene(project / "mintpy", shape=(30, 30), seed=1)
    root = tmp_path / "root"
    (one,) = ingest(project, root)
    assert ingest(project, root) == [one]
    assert one.attrs["source"]["url"] == str(project / "mintpy" / "S1_scene.he5")
    write_scene(project / "mintpy", shape=(30, 30), seed=2)
    (two,) = ingest(project, root)
    assert one.content != two.content
    (project / "notes.txt").write_text("no part of it")
    assert ingest(project, root) == [two]


def test_frame_is_identified_by_its_layers(tmp_path):
    frame = tmp_path / "014A_04939_131313"
    write_frame(frame)
    options = {"resolution": "licsbas", "pixels_per_degree": 100}
    (one,) = ingest(frame, tmp_path / "root", **options)
    (frame / "vel.png").write_bytes(b"picture")
    assert ingest(frame, tmp_path / "root", **options) == [one]


def test_velocity_file_of_mintpy(tmp_path):
    rate = np.random.default_rng(1).normal(size=(6, 8)).astype("float32")
    path = write_h5(tmp_path, "velocity.h5", "velocity", {"velocity": rate}, {"UNIT": "m/year"})
    with pytest.raises(
        SchemaError, match=r"velocity.h5 has no look vectors; .*geometryGeo.h5, .* open_mintpy\(url, geo"
    ):
        ingest(path, tmp_path / "root", **TINY)
    assert not (tmp_path / "root").exists()
    write_geometry(tmp_path / "inputs")
    (entry,) = ingest(path, tmp_path / "root", **TINY)
    ds = load(tmp_path / "root", entry)
    np.testing.assert_array_equal(ds.velocity, rate)
    np.testing.assert_allclose(ds.los_up, np.cos(np.radians(39)), rtol=1e-6)
    assert entry.dates == ()


def test_the_geometry_beside_a_file_is_part_of_its_content(tmp_path, memory):
    path = write_h5(tmp_path, "velocity.h5", "velocity", {"velocity": np.ones((6, 8), "f4")}, {"UNIT": "m/year"})
    geometry = write_geometry(tmp_path / "inputs")
    (one,) = ingest(path, tmp_path / "root", **TINY)
    for file in (path, geometry):
        memory.pipe(f"/ingest/{file.relative_to(tmp_path)}", file.read_bytes())
    assert ingest("memory://ingest/velocity.h5", tmp_path / "root", **TINY) == [one]
    write_geometry(tmp_path / "inputs", incidence=34)
    (two,) = ingest(path, tmp_path / "root", **TINY)
    assert two.content != one.content
    np.testing.assert_allclose(load(tmp_path / "root", two).los_up, np.cos(np.radians(34)), rtol=1e-6)


def test_product_without_look_vectors_is_refused(tmp_path):
    path = write_he5(tmp_path, he5_layers(**{"geometry/incidenceAngle": None}))
    with pytest.raises(SchemaError, match="he5 has no look vectors; it needs incidenceAngle"):
        ingest(path, tmp_path / "root", **TINY)


@pytest.mark.parametrize(
    ("n", "says"),
    [
        (625, "pixels of mine (625 a degree) are 2.5 times smaller than its own; --resolution lowRes would fit"),
        (100, "pixels of mine (100 a degree) are 2.5 times larger than its own; --resolution lowRes would fit"),
        (200, ""),
    ],
)
def test_resolution_far_from_the_source_is_warned_of(scene, tmp_path, caplog, n, says):
    ingest(scene, tmp_path / "root", resolution="mine", pixels_per_degree=n, dry_run=True)
    assert [message.partition(": ")[2] for message in caplog.messages] == ([says] if says else [])


def test_resolution_that_has_no_name_yet_is_suggested_by_its_number(tmp_path, caplog):
    path = write_scene(tmp_path, shape=(40, 60), n=625)
    with pytest.raises(
        ResolutionError, match=r"--resolution NAME --pixels-per-degree 625 \(in Python resolution=..., pix"
    ):
        ingest(path, tmp_path / "root")
    ingest(path, tmp_path / "root", resolution="lowRes", dry_run=True)
    assert caplog.messages[0].endswith("--resolution NAME --pixels-per-degree 625 would fit")


def test_one_bad_source_of_several_stops_all_and_says_so(scene, tmp_path):
    (tmp_path / "bad.he5").write_bytes(b"x" * 100)
    with pytest.raises(SourceFormatError, match=r"bad.he5 .*; nothing of the 2 sources was ingested"):
        ingest([scene, tmp_path / "bad.he5"], tmp_path / "root")
    assert not (tmp_path / "root").exists()
    with pytest.raises(SourceFormatError) as caught:
        ingest(tmp_path / "bad.he5", tmp_path / "root")
    assert "nothing of" not in str(caught.value)


def test_root_that_cannot_be_written_is_named(scene, tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(StorageError, match=r"the root .*/file is a file"):
        ingest(scene, tmp_path / "file")
    with pytest.raises(StorageError, match=r"cannot write to the root .*/file/below: Not a directory; choose another"):
        ingest(scene, tmp_path / "file" / "below")


# --- remote sources -----------------------------------------------------------------------------------------


@pytest.fixture
def memory():
    fs = fsspec.filesystem("memory")
    yield fs
    fs.rm("/ingest", recursive=True)


def test_remote_file_is_staged_and_keeps_its_url(scene, tmp_path, memory, monkeypatch):
    memory.pipe("/ingest/S1_scene.he5", scene.read_bytes())
    staged = []
    original = module._write
    monkeypatch.setattr(
        module, "_write", lambda storage, job, *rest: (staged.append(job), original(storage, job, *rest))[1]
    )
    (entry,) = ingest("memory://ingest/S1_scene.he5", tmp_path / "remote")
    (job,) = staged
    assert entry.attrs["source"]["url"] == "memory://ingest/S1_scene.he5"
    assert entry.attrs["source"]["size"] == scene.stat().st_size
    assert job.local_path == job.source.displacement.encoding["source"]
    assert Path(job.local_path).name == "S1_scene.he5"
    assert not Path(job.local_path).exists()  # the copy is gone
    ingest(scene, tmp_path / "local")
    assert files(tmp_path / "remote", source=False) == files(tmp_path / "local", source=False)


def test_remote_project_folder_stages_its_product_only(scene, tmp_path, memory):
    memory.pipe("/ingest/Project/mintpy/S1_scene.he5", scene.read_bytes())
    memory.pipe("/ingest/Project/mintpy/inputs/ifgramStack.h5", b"huge")
    (entry,) = ingest("memory://ingest/Project", tmp_path)
    assert entry.attrs["source"]["url"] == "memory://ingest/Project/mintpy/S1_scene.he5"


def test_remote_frame_is_staged(tmp_path, memory):
    frame = tmp_path / "014A_04939_131313"
    layers = write_frame(frame)
    for path in frame.iterdir():
        memory.pipe(f"/ingest/{frame.name}/{path.name}", path.read_bytes())
    options = {"resolution": "licsbas", "pixels_per_degree": 100}
    (entry,) = ingest(f"memory://ingest/{frame.name}", tmp_path / "root", **options)
    assert entry.attrs["source"]["url"] == f"memory://ingest/{frame.name}"
    ds = load(tmp_path / "root", entry)
    np.testing.assert_allclose(ds.velocity, layers["vel"] * 1e-3, rtol=1e-6)
    assert ingest(frame, tmp_path / "root", **options) == [entry]


def test_missing_source_is_named(tmp_path):
    with pytest.raises(SourceFormatError, match=r"no.he5 does not exist; expected an HDF-EOS5 product"):
        ingest(tmp_path / "no.he5", tmp_path / "root")
    assert not (tmp_path / "root").exists()


# --- several sources ----------------------------------------------------------------------------------------


def test_two_sources_of_one_product_are_refused(tmp_path):
    paths = [write_scene(tmp_path, shape=(30, 30), seed=s, name=f"{s}.he5") for s in (1, 2)]
    with pytest.raises(CatalogError, match=r"1.he5 and .*2.he5 are both Sentinel/A064/lowRes/0113_0116; ingest one"):
        ingest(paths, tmp_path / "root")
    assert not (tmp_path / "root").exists()


def test_product_of_another_project_is_not_replaced(tmp_path):
    frames = {"shape": (30, 30), "frames": (0, 0)}
    one = write_scene(tmp_path, seed=1, name="1.he5", PROJECT_NAME="FirstSenAT064", **frames)
    two = write_scene(tmp_path, seed=2, name="2.he5", PROJECT_NAME="SecondSenAT064", **frames)
    root = tmp_path / "root"
    (entry,) = ingest(one, root)
    before = tree(root)
    message = "is project SecondSenAT064, but Sentinel/A064/lowRes/0000_0000 is project FirstSenAT064 already"
    for options in ({}, {"dry_run": True}):
        with pytest.raises(CatalogError, match=message):
            ingest(two, root, **options)
    assert tree(root) == before
    assert open_catalog(root).search() == [entry]


def test_product_of_another_project_is_not_replaced_in_a_race(tmp_path, monkeypatch):
    """The other project commits while this one is being written."""
    frames = {"shape": (30, 30), "frames": (0, 0)}
    one = write_scene(tmp_path, seed=1, name="1.he5", PROJECT_NAME="FirstSenAT064", **frames)
    two = write_scene(tmp_path, seed=2, name="2.he5", PROJECT_NAME="SecondSenAT064", **frames)
    root, original = tmp_path / "root", module._write_stores

    def lose(*args):
        monkeypatch.setattr(module, "_write_stores", original)
        ingest(one, root)
        return original(*args)

    monkeypatch.setattr(module, "_write_stores", lose)
    with pytest.raises(CatalogError, match="is project FirstSenAT064 already"):
        ingest(two, root)
    assert [entry.project for entry in open_catalog(root).search()] == ["FirstSenAT064"]


def test_two_processes_with_two_products_of_a_track_lose_nothing(tmp_path):
    paths = [write_scene(tmp_path, seed=f, frames=(f, f + 3), name=f"{f}.he5") for f in (113, 116)]
    root = tmp_path / "root"
    assert run_all(ingest_one, [(path, root) for path in paths]) == [(0, None)] * 2
    entries = open_catalog(root).search()
    assert [entry.product for entry in entries] == ["0113_0116", "0116_0119"]
    for entry, path in zip(entries, paths, strict=True):
        np.testing.assert_array_equal(load(root, entry).displacement, displacement(path))
    assert verify(root) == []
    assert gc(root, grace_hours=0) == []


# --- the same stores whatever the way -----------------------------------------------------------------------


@pytest.mark.parametrize("workers", [2, 5])
def test_stores_do_not_depend_on_workers(long_scene, long_root, tmp_path, workers):
    ingest(long_scene, tmp_path, workers=workers)
    assert files(tmp_path) == files(long_root)


@pytest.mark.parametrize(
    ("chunks", "compression"),
    [
        ((1, 520, 280), None),
        ((7, 33, 41), "gzip"),
        ((40, 64, 280), "lzf"),
        ((3, 130, 9), "lzf"),
        (None, None),
    ],
)
def test_stores_do_not_depend_on_chunks_of_the_source(long_scene, long_root, tmp_path, chunks, compression):
    copy = rewrite(long_scene, tmp_path / long_scene.name, chunks=chunks, compression=compression)
    ingest(copy, tmp_path / "root")
    assert files(tmp_path / "root", source=False) == files(long_root, source=False)


def test_stores_do_not_depend_on_the_order_of_sources(tmp_path):
    paths = [write_scene(tmp_path, shape=(120, 60), seed=f, frames=(f, f + 3), name=f"{f}.he5") for f in (113, 116)]
    ingest(paths, tmp_path / "one")
    ingest(paths[::-1], tmp_path / "two")
    by_product = []
    for root in (tmp_path / "one", tmp_path / "two"):
        found = {}
        for entry in open_catalog(root).search():
            for band in entry.bands:
                found |= {(entry.product, band, k): v for k, v in tree(root / entry.store_key(band)).items()}
        by_product.append(found)
    assert by_product[0] == by_product[1]


@pytest.mark.parametrize("shift", [0.0, 0.3 / 250])
def test_direct_way_equals_gathered_way(long_scene, long_root, tmp_path, monkeypatch, shift):
    source, direct = long_scene, long_root
    if shift:
        source = write_scene(tmp_path, dates=33, west=100.2 + shift, north=40.4 - shift)
        direct = tmp_path / "direct"
        ingest(source, direct)
    monkeypatch.setattr(module, "_readable_by_chunk", lambda source: False)
    ingest(source, tmp_path / "gathered")
    assert files(tmp_path / "gathered") == files(direct)


@pytest.mark.parametrize("direct", [True, False])
def test_little_memory_gives_the_same_pixels(long_scene, long_root, tmp_path, monkeypatch, direct):
    """Several groups of dates and sections of rows; their order inside a shard differs, nothing else."""
    groups = set()
    kind = streaming._DirectStrips if direct else streaming._GatheredStrips
    original = kind.make

    def make(self, first, last, dates):
        groups.add((first, last, dates.start, dates.stop))
        return original(self, first, last, dates)

    monkeypatch.setattr(kind, "make", make)
    monkeypatch.setattr(streaming, "MEMORY_OF_TILES", 1)
    monkeypatch.setattr(streaming, "_MEMORY_OF_WINDOW", 1 << 20)
    if not direct:
        monkeypatch.setattr(module, "_readable_by_chunk", lambda source: False)
    progress = []
    ingest(long_scene, tmp_path, progress=lambda *call: progress.append(call))
    assert len({g[:2] for g in groups}) == 3
    assert {g[2:] for g in groups} == {(0, 20), (20, 40)}
    assert_equal(values(tmp_path), values(long_root))
    assert progress[-1][0] == progress[-1][1]
    ours, theirs = files(tmp_path), files(long_root)
    assert ours.keys() == theirs.keys()
    assert {k: len(v) for k, v in ours.items()} == {k: len(v) for k, v in theirs.items()}
    again = tmp_path / "again"
    ingest(long_scene, again, workers=1)
    assert files(again) == files_below(tmp_path, again)


def files_below(root: Path, other: Path) -> dict[str, bytes]:
    """Files of the stores of a root that holds another root."""
    return {key: data for key, data in files(root).items() if not key.startswith(other.name)}


def write_large(folder: Path, shape: tuple[int, int], dates: int) -> Path:
    """Write an LZF product quickly: one encoded chunk, again and again."""
    path = write_scene(folder, shape=(8, 8), dates=dates, n=1250, west=100, north=40, name="large.he5", nan=False)
    chunk = (4, 100, 750)
    with h5py.File(path, "r+") as file:
        group = file["HDFEOS/GRIDS/timeseries"]
        for name in [f"{part}/{layer}" for part in ("quality", "geometry") for layer in group[part]]:
            value = group[name][0, 0]
            del group[name]
            group.create_dataset(name, data=np.full(shape, value))
        del group["observation/displacement"]
        cube = group.create_dataset("observation/displacement", (dates, *shape), "f4", chunks=chunk, compression="lzf")
        cube[: chunk[0], : chunk[1], : chunk[2]] = np.random.default_rng(1).normal(size=chunk).round(1)
        mask, raw = cube.id.read_direct_chunk((0, 0, 0))
        for start in np.ndindex(*(-(-size // side) for size, side in zip(cube.shape, chunk, strict=True))):
            cube.id.write_direct_chunk(tuple(int(i) * side for i, side in zip(start, chunk, strict=True)), raw, mask)
        file.attrs["LENGTH"], file.attrs["WIDTH"] = (str(size) for size in shape)
    return path


def test_peak_memory_is_bounded(tmp_path):
    """The ring of tiles, and a margin for layers and buffers; the data are 344 MiB."""
    memory, margin = 48 << 20, 64 << 20
    warm = write_scene(tmp_path, shape=(30, 30), n=1250, name="warm.he5")
    large = write_large(tmp_path, (1500, 1500), 40)
    ((code, peak),) = run_all(peak_memory, [(warm, large, tmp_path / "root", memory)])
    assert code == 0
    assert peak < memory + margin, f"{peak / 2**20:.0f} MiB"


# --- errors of other threads --------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["write_layers", "identified"])
def test_a_failure_beside_the_series_stops_it(long_scene, tmp_path, monkeypatch, name):
    steps, failed = [], threading.Event()

    def fail(*args, **options):
        failed.set()
        raise RuntimeError("disk on fire")

    def advance(done, total, unit):
        steps.append(done / total)
        failed.wait(5)

    monkeypatch.setattr(*((module, name) if name == "write_layers" else (module._Job, name)), fail)
    with pytest.raises(RuntimeError, match="disk on fire"):
        ingest(long_scene, tmp_path, progress=advance)
    assert len(steps) <= 2
    assert not list(tmp_path.rglob("*.zarr"))


# --- object store -------------------------------------------------------------------------------------------


def test_object_store_holds_the_same_objects(s3, scene, tmp_path):
    root = f"s3://{s3.bucket}/{tmp_path.name}"
    with pytest.raises(SourceFormatError):
        ingest([scene, tmp_path / "no.he5"], root)
    assert open_storage(root).children("") == []
    (entry,) = ingest(scene, root)
    (local,) = ingest(scene, tmp_path)
    assert ingest(scene, root) == [entry]
    for band in entry.bands:
        for key, data in tree(tmp_path / local.store_key(band)).items():
            assert open_storage(root).read(f"{entry.store_key(band)}/{key}") == data, key
    np.testing.assert_array_equal(load(root, entry).displacement, displacement(scene))
    assert verify(root) == []
    assert gc(root, grace_hours=0) == []


def test_two_processes_lose_nothing_in_an_object_store(s3, tmp_path):
    paths = [write_scene(tmp_path, shape=(60, 30), seed=f, frames=(f, f + 3), name=f"{f}.he5") for f in (113, 116)]
    root = f"s3://{s3.bucket}/{tmp_path.name}"
    assert run_all(ingest_one, [(path, root) for path in paths]) == [(0, None)] * 2
    assert [entry.product for entry in open_catalog(root).search()] == ["0113_0116", "0116_0119"]
    assert verify(root) == []


# --- progress and dry run -----------------------------------------------------------------------------------


@pytest.mark.parametrize("empty_band", [False, True])
def test_progress_never_falls_and_ends_at_the_total(tmp_path, empty_band):
    path = write_scene(tmp_path, shape=(300, 60), nan=False)
    if empty_band:
        with h5py.File(path, "r+") as file:
            file["HDFEOS/GRIDS/timeseries/observation/displacement"][:, 100:] = np.nan
    calls = []
    (entry,) = ingest(path, tmp_path / "root", progress=lambda *call: calls.append(call))
    assert entry.bands == ((40,) if empty_band else (39, 40))
    done = [call[0] for call in calls]
    assert done == sorted(done)
    assert len({call[1:] for call in calls}) == 1
    assert done[-1] == calls[-1][1]
    assert calls[-1][2] == "bytes"


def test_dry_run_checks_everything_and_writes_nothing(scene, tmp_path):
    calls = []
    (entry,) = ingest(scene, tmp_path / "root", dry_run=True, progress=lambda *call: calls.append(call))
    assert (entry.track, entry.resolution, entry.bands, entry.committed) == ("A064", "lowRes", (39, 40), "")
    assert not (tmp_path / "root").exists()
    assert calls == []
    (written,) = ingest(scene, tmp_path / "root")
    assert ingest(scene, tmp_path / "root", dry_run=True) == [written]


def test_no_source_is_no_work(tmp_path):
    assert ingest([], tmp_path / "root") == []
    assert not (tmp_path / "root").exists()


# --- errors -------------------------------------------------------------------------------------------------


def test_source_without_track_is_refused(tmp_path):
    path = write_scene(tmp_path, shape=(30, 30), relative_orbit=0, name="unnamed.he5")
    with pytest.raises(
        SchemaError, match=r"unnamed.he5 does not say its track; a track name needs orbit and direction"
    ):
        ingest(path, tmp_path / "root")


def test_source_without_series_is_refused(tmp_path):
    path = write_h5(tmp_path, "temporalCoherence.h5", "temporalCoherence", {"temporalCoherence": np.ones((6, 8), "f4")})
    with pytest.raises(SchemaError, match="has neither displacement nor velocity; it has temporal_coherence"):
        ingest(path, tmp_path / "root", resolution="tiny", pixels_per_degree=100)


def test_source_without_data_is_refused_and_leaves_no_store(tmp_path):
    path = write_scene(tmp_path, shape=(30, 30))
    with h5py.File(path, "r+") as file:
        file["HDFEOS/GRIDS/timeseries/observation/displacement"][...] = np.nan
    with pytest.raises(SchemaError, match="has no pixel with data; nothing was written"):
        ingest(path, tmp_path / "root")
    assert stores(tmp_path / "root") == []
    assert open_catalog(tmp_path / "root").tracks() == []


@pytest.mark.parametrize("fail_at", [0, 1, 5])
def test_full_disk_leaves_no_store(long_scene, tmp_path, monkeypatch, fail_at):
    original = LocalStorage.writer
    count = 0

    def writer(self, key):
        nonlocal count
        count += 1
        if count > fail_at:
            raise OSError(28, "No space left on device")
        return original(self, key)

    ingest(write_scene(tmp_path, shape=(30, 30), frames=(1, 2)), tmp_path / "root")
    before = tree(tmp_path / "root")
    monkeypatch.setattr(LocalStorage, "writer", writer)
    with pytest.raises(OSError, match="No space left"):
        ingest(long_scene, tmp_path / "root")
    assert tree(tmp_path / "root") == before


def test_damaged_chunk_leaves_no_store_and_no_commit(long_scene, tmp_path):
    copy = rewrite(long_scene, tmp_path / "damaged.he5", chunks=(10, 64, 280), compression="gzip")
    with h5py.File(copy) as file:
        chunk = file["HDFEOS/GRIDS/timeseries/observation/displacement"].id.get_chunk_info(20)
    with copy.open("r+b") as file:
        file.seek(chunk.byte_offset)
        file.write(b"\xff" * chunk.size)
    with pytest.raises(SourceFormatError, match=r"damaged.he5: the chunk at byte \d+ is damaged; copy the file again"):
        ingest(copy, tmp_path / "root")
    assert stores(tmp_path / "root") == []
    assert open_catalog(tmp_path / "root").tracks() == []


def test_interrupt_leaves_no_store(long_scene, tmp_path):
    def interrupt(done, total, unit):
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        ingest(long_scene, tmp_path, progress=interrupt)
    assert stores(tmp_path) == []


def test_conflicting_resolution_of_a_racing_ingest_leaves_no_store(scene, tmp_path, monkeypatch):
    original = module._write_stores

    def lose(*args):
        (tmp_path / "lattice.json").write_text('{"mine": 100}')
        return original(*args)

    monkeypatch.setattr(module, "_write_stores", lose)
    with pytest.raises(ResolutionError, match="'mine' has 100 pixels a degree, got 250"):
        ingest(scene, tmp_path, resolution="mine", pixels_per_degree=250)
    assert stores(tmp_path) == []


def test_commit_that_got_through_before_a_retry_is_not_repeated(scene, tmp_path, monkeypatch):
    """An object store may apply a conditional PUT, lose the answer, and then report a conflict."""
    original = LocalStorage.update

    def twice(self, key, change):
        original(self, key, change)
        original(self, key, change)

    monkeypatch.setattr(LocalStorage, "update", twice)
    (entry,) = ingest(scene, tmp_path)
    assert read_commits(open_storage(tmp_path), "Sentinel", "A064") == [entry]


def test_attributes_are_made_json(scene, tmp_path, monkeypatch):
    original = module.open_source
    odd = {
        "heading": np.float64(-12),
        "wavelength": float("nan"),
        "mintpy": {"a": np.int64(3), "b": np.array([1.5, np.inf])},
    }
    monkeypatch.setattr(module, "open_source", lambda url: original(url).assign_attrs(odd))
    (entry,) = ingest(scene, tmp_path)
    assert entry.attrs["heading"] == -12
    assert entry.attrs["wavelength"] is None
    assert entry.attrs["mintpy"] == {"a": 3, "b": [1.5, None]}
    assert open_catalog(tmp_path).search() == [entry]
    monkeypatch.setattr(module, "open_source", lambda url: original(url).assign_attrs(when={1, 2}))
    with pytest.raises(SchemaError, match=r"S1_scene.he5: when is a set; attributes must be text"):
        ingest(scene, tmp_path)


# --- SIGKILL ------------------------------------------------------------------------------------------------


def test_killed_ingest_leaves_a_valid_index_and_can_be_run_again(tmp_path):
    path = write_scene(tmp_path, shape=(130, 60), north=40.2)
    steps = []
    ingest(path, tmp_path / "whole", progress=lambda *call: steps.append(call))
    whole, rng = files(tmp_path / "whole"), random.Random(os.getpid())
    moments = [(rng.randint(0, len(steps)), rng.random() * 0.03) for _ in range(10)]
    roots = [tmp_path / f"root{i}" for i in range(10)]
    codes = run_all(ingest_and_die, [(path, root, *moment) for root, moment in zip(roots, moments, strict=True)])
    assert codes == [(-9, None)] * 10
    for root, moment in zip(roots, moments, strict=True):
        found = open_catalog(root).search()
        assert len(found) <= 1, moment
        if found:
            assert {store.parent.parent.name for store in stores(root)} >= {"39", "40"}
        assert verify(root) == []
        (entry,) = ingest(path, root)
        assert found in ([], [entry])
        gc(root, grace_hours=0)
        assert verify(root) == []
        assert files(root) == whole, moment
