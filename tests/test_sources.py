"""The reader follows from the content."""

import uuid

import fsspec
import h5py
import numpy as np
import pytest
from he5files import NAME, SHAPE, write_frame, write_h5, write_he5
from lazy import no_compute

from mimtpy_cloud.errors import SourceFormatError
from mimtpy_cloud.io.sources import open_source, resolve_source

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
