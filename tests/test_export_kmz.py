"""Overlays for Google Earth."""

import io
import zipfile
from pathlib import Path
from xml.etree import ElementTree as ET

import numpy as np
import pytest
from hypothesis import given, settings
from losscene import los_scene
from matplotlib.image import imread
from strategies import chunkings

from mimtpy_cloud.errors import GridMismatchError, SchemaError
from mimtpy_cloud.exports import kmz
from mimtpy_cloud.exports.dispatch import export
from mimtpy_cloud.exports.kmz import write_kmz

KML = "{http://www.opengis.net/kml/2.2}"


def contents(path: Path) -> tuple[ET.Element, np.ndarray, np.ndarray]:
    with zipfile.ZipFile(path) as archive:
        assert archive.namelist() == ["doc.kml", "map.png", "legend.png"]
        pictures = [imread(io.BytesIO(archive.read(name))) for name in ("map.png", "legend.png")]
        return ET.fromstring(archive.read("doc.kml")), *pictures


def box(document: ET.Element) -> dict[str, float]:
    found = document.find(f".//{KML}LatLonBox")
    assert found is not None
    return {child.tag.removeprefix(KML): float(str(child.text)) for child in found}


def test_the_picture_lies_on_the_outer_edges_north_up(tmp_path: Path) -> None:
    ds = los_scene()
    ds["displacement"][0, 0] = 1
    ds["displacement"][5, 0] = -1
    assert export(ds, "kmz", tmp_path / "a.kmz", limits=(-1, 1)) == [str(tmp_path / "a.kmz")]
    document, picture, legend = contents(tmp_path / "a.kmz")
    assert box(document) == {"north": 40, "south": 39.94, "east": 100.08, "west": 100}
    assert picture.shape == (6, 8, 4)
    red, blue = picture[0, 0], picture[5, 0]
    assert red[0] > red[2]
    assert blue[2] > blue[0]
    assert legend.shape[0] > 200
    assert document.findtext(f".//{KML}description") == "2020-01-05 to 2020-07-03"


def test_no_data_is_transparent(tmp_path: Path) -> None:
    ds = los_scene()
    write_kmz(ds, str(tmp_path / "a.kmz"))
    picture = contents(tmp_path / "a.kmz")[1]
    np.testing.assert_array_equal(picture[..., 3] == 1, ds["displacement"].notnull())
    assert (picture[1, 2] == 0).all()


@settings(max_examples=5)
@given(chunks=chunkings(y=6, x=8))
def test_any_chunks_give_the_same_picture(tmp_path: Path, chunks: dict[str, tuple[int, ...]]) -> None:
    write_kmz(los_scene().chunk(chunks), str(tmp_path / "a.kmz"))
    write_kmz(los_scene(), str(tmp_path / "b.kmz"))
    np.testing.assert_array_equal(contents(tmp_path / "a.kmz")[1], contents(tmp_path / "b.kmz")[1])


def test_a_large_map_is_averaged_in_squares(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(kmz, "_LARGEST", 4)
    ds = los_scene(shape=(5, 8))
    ds["displacement"][:] = np.arange(40, dtype="float32").reshape(5, 8)
    ds["displacement"][0, 0] = np.nan
    ds["displacement"][4, 7] = 0
    write_kmz(ds, str(tmp_path / "a.kmz"), limits=(0, 40), colours="gray")
    document, picture, _ = contents(tmp_path / "a.kmz")
    assert picture.shape == (3, 4, 4)
    assert box(document) == pytest.approx({"north": 40, "south": 39.94, "east": 100.08, "west": 100})
    assert picture[0, 0, 0] == pytest.approx((1 + 8 + 9) / 3 / 40, abs=0.01)
    assert picture[2, 0, 0] == pytest.approx(32.5 / 40, abs=0.01)


def test_other_variables_have_their_own_colours(tmp_path: Path) -> None:
    write_kmz(los_scene(), str(tmp_path / "a.kmz"), variable="height")
    assert contents(tmp_path / "a.kmz")[0].findtext(f".//{KML}name") == "D071 height"


def test_heights_and_deviations_are_no_motion(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    drawn = []
    monkeypatch.setattr(kmz, "_legend", lambda low, high, colours, title: drawn.append((low, high, title)) or b"")
    ds = los_scene()
    ds["height"].attrs["units"] = "m"
    ds["displacement_std"] = abs(ds["displacement"]).assign_attrs(units="m")
    for name in ("height", "displacement_std", "displacement"):
        write_kmz(ds, str(tmp_path / "a.kmz"), variable=name)
    (low, high, title), (least, _, deviation), (under, over, motion) = drawn
    assert (low > 0, high < 500, title) == (True, True, "D071 height\nm")
    assert (least > 0, deviation) == (True, "D071 displacement std\ncm")
    assert (under, motion) == (-over, "D071 displacement\ncm")


def test_what_cannot_be_drawn_is_refused(tmp_path: Path) -> None:
    place = str(tmp_path / "a.kmz")
    with pytest.raises(SchemaError, match="must be a colour map of matplotlib"):
        write_kmz(los_scene(), place, colours="pretty")
    with pytest.raises(SchemaError, match="limits must be a lower and a higher value, got 1 and -1"):
        write_kmz(los_scene(), place, limits=(1, -1))
    with pytest.raises(GridMismatchError, match="a picture for Google Earth needs a grid in degrees"):
        write_kmz(los_scene(crs="EPSG:32611"), place)
    with pytest.raises(SchemaError, match="no pixel with data"):
        write_kmz(los_scene().where(False), place)
    assert list(tmp_path.iterdir()) == []
