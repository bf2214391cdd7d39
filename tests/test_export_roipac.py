"""Files of ROI_PAC, Geodmod and InSAMP: layout, signs, attributes."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import rasterio
from hypothesis import given, settings
from losscene import WAVELENGTH, los_scene
from matplotlib.image import imread
from strategies import chunkings

from mimtpy_cloud.errors import GridMismatchError, SchemaError, StorageError
from mimtpy_cloud.exports.dispatch import export
from mimtpy_cloud.exports.geodmod import write_geodmod
from mimtpy_cloud.exports.insamp import write_insamp
from mimtpy_cloud.exports.roipac import write_roipac
from mimtpy_cloud.io.mintpy import open_mintpy
from mimtpy_cloud.kernels.look import los_unit_vector
from mimtpy_cloud.ops.rate import displacement_between
from mimtpy_cloud.ops.select import select_box

FACTOR = -4 * np.pi / WAVELENGTH


def rsc(path: Path) -> dict[str, str]:
    return dict(line.split(maxsplit=1) for line in Path(f"{path}.rsc").read_text().splitlines())


def bands(path: Path) -> np.ndarray:
    """Two bands, interleaved by line."""
    width = int(rsc(path)["WIDTH"])
    return np.fromfile(path, "<f4").reshape(-1, 2, width).swapaxes(0, 1)


def test_phase_of_motion_toward_the_satellite_is_negative(oracles: dict[str, Any], tmp_path: Path) -> None:
    ds = los_scene()
    files = export(ds, "roipac", tmp_path / "a.unw")
    assert {Path(file).name for file in files} == {
        f"a{end}{rsc}" for end in (".unw", ".cor", ".dem") for rsc in ("", ".rsc")
    }
    amplitude, phase = bands(tmp_path / "a.unw")
    assert phase[0, 0] == pytest.approx(oracles["O08"]["phase"], rel=1e-6)
    np.testing.assert_array_equal(amplitude, phase)
    np.testing.assert_allclose(phase, FACTOR * ds["displacement"], rtol=1e-6)
    np.testing.assert_array_equal(bands(tmp_path / "a.cor")[1], ds["temporal_coherence"])
    np.testing.assert_array_equal(np.fromfile(tmp_path / "a.dem", "<i2"), np.rint(ds["height"].values.ravel()))


def test_attributes_say_where_and_when(tmp_path: Path) -> None:
    write_roipac(los_scene(), str(tmp_path / "a"))
    found = rsc(tmp_path / "a.unw")
    expected = {
        "WIDTH": "8",
        "FILE_LENGTH": "6",
        "LENGTH": "6",
        "X_FIRST": "100.0",
        "Y_FIRST": "40.0",
        "X_STEP": "0.01",
        "Y_STEP": "-0.01",
        "DATE12": "200105-200703",
        "WAVELENGTH": "0.05546576",
        "HEADING": "-168.0",
        "ORBIT_DIRECTION": "DESCENDING",
        "ANTENNA_SIDE": "-1",
        "REF_X": "2",
        "REF_Y": "2",
        "REF_DATE": "20200105",
        "RLOOKS": "19",
        "UNIT": "radian",
        "FILE_TYPE": ".unw",
        "INTERLEAVE": "BIL",
    }
    assert {key: found[key] for key in expected} == expected
    assert not {"lower", "SUBSET_XMAX"} & set(found)
    assert rsc(tmp_path / "a.dem")["DATA_TYPE"] == "int16"


def test_gdal_reads_heights_and_phase(tmp_path: Path) -> None:
    ds = los_scene()
    write_roipac(ds, str(tmp_path / "a"))
    with rasterio.open(tmp_path / "a.unw") as src:
        assert src.driver == "ROI_PAC"
        assert src.transform.to_gdal() == pytest.approx((100, 0.01, 0, 40, 0, -0.01))
        np.testing.assert_allclose(src.read(2), FACTOR * ds["displacement"], rtol=1e-6)
    with rasterio.open(tmp_path / "a.dem") as src:
        np.testing.assert_array_equal(src.read(1), np.rint(ds["height"]))


@settings(max_examples=5)
@given(chunks=chunkings(y=6, x=8))
def test_any_chunks_give_the_same_bytes(tmp_path: Path, chunks: dict[str, tuple[int, ...]]) -> None:
    write_roipac(los_scene().chunk(chunks), str(tmp_path / "a"))
    write_roipac(los_scene(), str(tmp_path / "b"))
    for suffix in (".unw", ".unw.rsc", ".cor", ".dem"):
        assert (tmp_path / f"a{suffix}").read_bytes() == (tmp_path / f"b{suffix}").read_bytes()


def test_mintpy_writes_the_same_phase_of_a_time_series(shared: Path, he5: Path, tmp_path: Path) -> None:
    """Of an HDF-EOS5 file MintPy 1.6.4 turns the sign, which is not repeated."""
    from mimtpy_cloud.io.hdfeos5 import open_hdfeos5

    folder = he5 / "small/SynthSenDT071/mintpy"
    oracle = shared / "data/mintpy_oracles/roipac"
    series = open_mintpy(folder / "geo_timeseries_ERA5_demErr.h5")
    product = open_hdfeos5(folder / "S1_IW23_071_0466_0472_20191104_20210109.he5")
    theirs = bands(oracle / "ts_DT071.unw")[1]
    for name, ds in (("series", series), ("he5", product)):
        write_roipac(displacement_between(ds, "20191116", "20200713"), str(tmp_path / name))
        ours = np.nan_to_num(bands(tmp_path / f"{name}.unw")[1])
        both = (ours != 0) & (np.nan_to_num(theirs) != 0)
        assert both.sum() > 10_000
        np.testing.assert_allclose(ours[both], theirs[both], atol=1e-5)
        np.testing.assert_allclose(ours[both], -bands(oracle / "he5_DT071.unw")[1][both], atol=1e-5)
    ours, known = rsc(tmp_path / "series.unw"), rsc(oracle / "ts_DT071.unw")
    same = (
        "WIDTH",
        "FILE_LENGTH",
        "X_FIRST",
        "Y_FIRST",
        "DATE12",
        "HEADING",
        "UNIT",
        "BANDS",
        "REF_LAT",
        "REF_X",
        "REF_Y",
    )
    assert {key: ours[key] for key in same} == {key: known[key] for key in same}


def test_mintpy_writes_the_same_phase_of_a_velocity(shared: Path, tmp_path: Path) -> None:
    ds = open_mintpy(shared / "data/mintpy_oracles/velocity/DT071/velocity.h5")
    write_roipac(ds.assign_attrs(start_date="2019-11-04", end_date="2021-01-09"), str(tmp_path / "a"))
    ours = np.nan_to_num(bands(tmp_path / "a.unw")[1])
    theirs = np.nan_to_num(bands(shared / "data/mintpy_oracles/roipac/vel_DT071.unw")[1])
    np.testing.assert_allclose(ours, theirs, atol=2e-5)


def test_insamp_has_all_incidences_then_all_headings(oracles: dict[str, Any], tmp_path: Path) -> None:
    known = oracles["O47"]
    ds = los_scene(shape=(2, 2)).astype("float64")
    look = los_unit_vector(np.array(known["inc"], float), 90 - np.array(known["head"], float))
    ds = ds.assign(
        {name: (("y", "x"), value) for name, value in zip(("los_east", "los_north", "los_up"), look, strict=True)}
    )
    files = export(ds, "insamp", tmp_path / "a")
    assert [Path(file).name for file in files] == ["a.los", "a.los.rsc", "a.unw", "a.unw.rsc"]
    found = np.fromfile(tmp_path / "a.los", "<f4")
    np.testing.assert_allclose(found, known["float32_order"], rtol=1e-6)


def test_insamp_has_zero_for_no_data(tmp_path: Path) -> None:
    ds = los_scene()
    for name in ("los_east", "los_north", "los_up"):
        ds[name][0, 1] = np.nan
    write_insamp(ds.chunk(y=2), str(tmp_path / "a.unw"))
    phase = bands(tmp_path / "a.unw")[1]
    assert phase[1, 2] == 0
    assert phase[0, 0] == pytest.approx(FACTOR * 0.014)
    los = np.fromfile(tmp_path / "a.los", "<f4").reshape(2, 6, 8)
    assert (los[:, 0, 1] == 0).all()
    assert rsc(tmp_path / "a.unw")["NO_DATA_VALUE"] == "0"
    assert rsc(tmp_path / "a.los")["INTERLEAVE"] == "BSQ"


def test_geodmod_gets_its_folder(oracles: dict[str, Any], tmp_path: Path) -> None:
    ds, known = los_scene(), oracles["O48"]
    export(ds, "geodmod", tmp_path / "geodmod")
    folder = tmp_path / "geodmod"
    stem = "geo_20200105_20200703"
    assert sorted(file.name for file in folder.iterdir()) == sorted(
        f"{name}{end}" for name in (f"{stem}.unw", f"{stem}.cor", "srtm.dem", "srtm.dem.jpeg") for end in ("", ".rsc")
    )
    np.testing.assert_allclose(bands(folder / f"{stem}.unw")[1], FACTOR * ds["displacement"], rtol=1e-6)
    coherence = bands(folder / f"{stem}.cor")[1]
    assert np.isnan(coherence[1, 2])
    assert np.isfinite(coherence).sum() == 47
    for name in ("srtm.dem", "srtm.dem.jpeg"):
        found = rsc(folder / name)
        assert {key: int(found[key]) for key in ("XMIN", "XMAX", "YMIN", "YMAX")} == {
            k: known[k] for k in ("XMIN", "XMAX", "YMIN", "YMAX")
        }
        assert (found["WIDTH"], found["FILE_LENGTH"], found["DATE12"]) == ("8", "6", "111111-222222")
    export(ds, "geodmod", tmp_path / "geodmod")  # replaces its own


def test_a_box_is_really_cut_for_geodmod(tmp_path: Path) -> None:
    box = select_box(los_scene(), (100.02, 39.96, 100.05, 39.99))
    write_geodmod(box, str(tmp_path / "g"))
    found = rsc(tmp_path / "g/srtm.dem")
    assert (found["WIDTH"], found["FILE_LENGTH"], found["X_FIRST"], found["Y_FIRST"]) == ("3", "3", "100.02", "39.99")
    assert (tmp_path / "g/srtm.dem").stat().st_size == 3 * 3 * 2


def test_the_relief_is_upright_with_one_pixel_a_height(tmp_path: Path) -> None:
    """A ridge along a row in the north: its slope toward the sun in the north-west is bright, the other dark."""
    ds = los_scene(shape=(40, 80))
    rows = np.arange(40)[:, None] + np.zeros((1, 80))
    ds["height"][:] = np.clip(3000 - np.abs(rows - 10) * 600, 0, None).astype("float32")
    ds["height"][35:, 70:] = np.nan
    write_geodmod(ds, str(tmp_path / "g"))
    picture = imread(tmp_path / "g/srtm.dem.jpeg")
    assert picture.shape[:2] == (40, 80)
    grey = picture[..., 0].astype(float)
    assert grey[6:9, 10:60].mean() > grey[30, 10:60].mean() > grey[12:15, 10:60].mean()
    assert np.fromfile(tmp_path / "g/srtm.dem", "<i2").reshape(40, 80)[39, 79] == 0


def test_products_that_do_not_fit_are_refused(tmp_path: Path) -> None:
    ds, place = los_scene(), str(tmp_path / "a")
    with pytest.raises(SchemaError, match="a folder for Geodmod needs temporal_coherence, height"):
        write_geodmod(ds[["displacement"]], place)
    with pytest.raises(GridMismatchError, match="a file of ROI_PAC needs a grid in degrees"):
        write_roipac(los_scene(crs="EPSG:32611"), place)
    with pytest.raises(SchemaError, match="needs los_east, los_north, los_up"):
        write_insamp(ds[["displacement"]], place)
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine/thesis.tex").write_text("x")
    with pytest.raises(StorageError, match="is a folder of something else and would be lost"):
        write_geodmod(ds, str(tmp_path / "mine"))
