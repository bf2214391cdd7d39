"""The reader follows from the content."""

import uuid

import fsspec
import h5py
import numpy as np
import pytest
from he5files import NAME, SHAPE, write_frame, write_h5, write_he5
from lazy import no_compute

from mimtpy_cloud.errors import SourceFormatError
from mimtpy_cloud.io.sources import find_companions, open_source, resolve_source

FRAME = "014A_04939_131313"


def write_velocity(folder):
    return write_h5(folder, "velocity.h5", "velocity", {"velocity": np.ones(SHAPE, "float32")}, {"UNIT": "m/year"})


def test_every_kind_is_recognised(tmp_path):
    write_frame(tmp_path / FRAME)
    with no_compute():
        assert "displacement" in open_source(write_he5(tmp_path))
        assert "velocity" in open_source(write_velocity(tmp_path))
        assert "los_east" in open_source(tmp_path / FRAME)
        assert "los_east" in open_source(f"{tmp_path / FRAME}/")


def test_the_name_does_not_decide(tmp_path):
    renamed = write_he5(tmp_path).rename(tmp_path / "data.bin")
    assert resolve_source(renamed) == (str(renamed), "hdfeos5")


def write_geometry(folder, name="geometryGeo.h5", **attrs):
    layers = {"incidenceAngle": 39, "azimuthAngle": 102, "height": 5, "latitude": 39.5, "longitude": 100.5}
    return write_h5(folder, name, "geometry", {k: np.full(SHAPE, v, "float32") for k, v in layers.items()}, attrs)


def write_mask(folder, name="maskTempCoh.h5", **attrs):
    return write_h5(folder, name, "mask", {"mask": np.eye(*SHAPE, dtype=bool)}, attrs)


@pytest.mark.parametrize(
    ("geometry", "mask"),
    [
        ("geo_geometryRadar.h5", "geo_maskTempCoh.h5"),
        ("geometryGeo.h5", "maskTempCoh.h5"),
        ("inputs/geometryGeo.h5", ""),
        ("inputs/geometryRadar.h5", "maskTempCoh.h5"),
    ],
)
def test_geometry_and_mask_are_taken_from_beside_a_file(tmp_path, geometry, mask):
    path = write_velocity(tmp_path)
    assert "los_up" not in open_source(path)
    write_geometry((tmp_path / geometry).parent, (tmp_path / geometry).name)
    if mask:
        write_mask(tmp_path, mask)
    assert find_companions(str(path)) == {"geometry": geometry} | ({"mask": mask} if mask else {})
    ds = open_source(path)
    np.testing.assert_allclose(ds.los_up, np.cos(np.radians(39)), rtol=1e-6)
    np.testing.assert_array_equal(ds.valid, np.eye(*SHAPE, dtype=bool) if mask else np.ones(SHAPE, bool))


def test_files_on_another_grid_are_not_taken(tmp_path):
    path = write_velocity(tmp_path)
    radar = {"X_FIRST": "None", "Y_FIRST": "None"}
    write_geometry(tmp_path / "inputs", "geometryRadar.h5", **radar)
    write_mask(tmp_path, **radar)
    assert find_companions(str(path)) == {}
    write_geometry(tmp_path / "inputs")
    write_mask(tmp_path, "geo_maskTempCoh.h5")
    assert find_companions(str(path)) == {"geometry": "inputs/geometryGeo.h5", "mask": "geo_maskTempCoh.h5"}


def test_radar_coordinates_take_their_geometry(tmp_path):
    radar = {"X_FIRST": "None", "Y_FIRST": "None", "REF_LAT": "None", "REF_LON": "None"}
    rate = {"velocity": np.ones(SHAPE, "float32")}
    path = write_h5(tmp_path, "velocity.h5", "velocity", rate, {"UNIT": "m/year"} | radar)
    write_geometry(tmp_path / "inputs", "geometryRadar.h5", **radar)
    write_geometry(tmp_path / "inputs")
    write_mask(tmp_path, **radar)
    ds = open_source(path)
    assert {"latitude", "los_up"} <= set(ds)
    assert int(ds.valid.sum()) == min(SHAPE)


def test_of_two_files_that_fit_none_is_taken(tmp_path):
    path = write_velocity(tmp_path)
    write_geometry(tmp_path)
    write_geometry(tmp_path / "inputs")
    assert find_companions(str(path)) == {}


def test_layers_have_no_companions(tmp_path):
    write_geometry(tmp_path)
    assert find_companions(str(write_mask(tmp_path))) == {}
    assert list(open_source(tmp_path / "maskTempCoh.h5")) == ["valid"]


def test_folder_of_several_projects_names_them(tmp_path):
    write_he5(tmp_path / "OneSenAT064" / "mintpy")
    write_he5(tmp_path / "TwoSenAT064")
    write_frame(tmp_path / FRAME)
    (tmp_path / "figures").mkdir()
    with pytest.raises(
        SourceFormatError, match=rf"is a folder of projects .* {tmp_path}/{FRAME} .*/OneSenAT064 .*/TwoSen"
    ):
        open_source(tmp_path)


@pytest.mark.parametrize("inside", ["", "mintpy"])
def test_project_folders_resolve_to_their_product(tmp_path, inside):
    path = write_he5(tmp_path / inside)
    write_velocity(tmp_path / inside)
    assert resolve_source(tmp_path) == (str(path), "hdfeos5")
    assert open_source(f"{tmp_path}/").attrs["project"] == "TinySenAT064"


def test_several_products_are_listed(tmp_path):
    write_he5(tmp_path)
    write_he5(tmp_path, name="S1_IW123_064_0113_0116_20200103_20200127_Del4PS.he5")
    with pytest.raises(SourceFormatError, match=rf"2 products, expected one: {NAME[:-4]}\.he5, S1_.*_Del4PS\.he5"):
        open_source(tmp_path)


def test_urls_work(tmp_path):
    root = f"memory://{uuid.uuid4().hex}"
    fsspec.filesystem("memory").pipe(f"{root}/mintpy/{NAME}", write_he5(tmp_path).read_bytes())
    assert open_source(root).attrs["track"] == "A064"


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda path: None, "does not exist; expected an HDF-EOS5 product"),
        (lambda path: path.mkdir(), r"looked for \*\.he5, mintpy/\*\.he5 and vel\*\.tif, it holds nothing"),
        (lambda path: path.write_text("hello"), "is not an HDF5 file"),
        (lambda path: path.write_bytes(b""), "is not an HDF5 file|cannot be read as HDF5"),
        (lambda path: h5py.File(path, "w").create_dataset("a", data=1).file.close(), "no MintPy product .* it holds a"),
    ],
    ids=["missing", "empty folder", "text", "empty file", "other HDF5"],
)
def test_anything_else_is_refused(tmp_path, make, message):
    make(tmp_path / "thing")
    with pytest.raises(SourceFormatError, match=message):
        open_source(tmp_path / "thing")


def test_one_geotiff_is_refused(tmp_path):
    write_frame(tmp_path / FRAME)
    with pytest.raises(SourceFormatError, match="give the folder of the LiCSBAS frame"):
        open_source(tmp_path / FRAME / "vel.geo.tif")


def test_given_project_folders_open(he5):
    for folder in sorted((he5 / "small").glob("*/mintpy")):
        assert open_source(folder.parent).attrs["project"] == folder.parent.name
