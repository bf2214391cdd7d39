"""ROI_PAC files: displacement from phase, coherence and height, against numpy and against what MintPy wrote."""

import math
import uuid

import fsspec
import numpy as np
import pytest
from he5files import write_h5
from hypothesis import given
from lazy import no_compute
from roipacfiles import SHAPE, phase, write_roipac
from strategies import chunkings

from mimtpy_cloud.errors import GridMismatchError, SourceFormatError
from mimtpy_cloud.io.hdf5file import SourceFile
from mimtpy_cloud.io.mintpy import open_mintpy
from mimtpy_cloud.io.roipac import BinaryBand, open_roipac
from mimtpy_cloud.io.sources import open_source


def interferogram(folder, **header):
    return write_roipac(folder, "geo_200103-200127.unw", np.abs(phase()), phase(), **header)


def test_growing_phase_is_motion_away_from_the_satellite(tmp_path):
    one_fringe = np.full(SHAPE, 2 * math.pi, "<f4")
    ds = open_roipac(write_roipac(tmp_path, "a.unw", one_fringe, one_fringe))
    np.testing.assert_allclose(ds["displacement"], -0.05546576 / 2, rtol=1e-6)
    assert ds["displacement"].attrs["units"] == "m"
    assert (ds.attrs["start_date"], ds.attrs["end_date"]) == ("2020-01-03", "2020-01-27")


def test_phase_of_the_oracle(tmp_path, oracles):
    case = oracles["O08"]
    values = np.full(SHAPE, case["phase"], "<f4")
    ds = open_roipac(write_roipac(tmp_path, "a.unw", values, values, WAVELENGTH=case["wavelength"]))
    np.testing.assert_allclose(ds["displacement"], case["disp"], rtol=1e-6)


def test_what_mintpy_wrote_of_a_series_is_the_change_between_its_dates(shared):
    project = shared / "data" / "he5" / "small" / "SynthSenDT071" / "mintpy"
    series = open_mintpy(project / "geo_timeseries_ERA5_demErr.h5")["displacement"]
    ds = open_roipac(shared / "data" / "mintpy_oracles" / "roipac" / "ts_DT071.unw")
    change = (series.sel(time="2020-07-13") - series.sel(time="2019-11-16")).values
    usable = ds["valid"].values
    np.testing.assert_allclose(ds["displacement"].values[usable], change[usable], atol=1e-8)
    assert usable[ds.sizes["y"] // 2].sum() > 50
    np.testing.assert_array_equal(ds["x"], series["x"])
    assert (ds.attrs["start_date"], ds.attrs["end_date"]) == ("2019-11-16", "2020-07-13")


def test_the_sign_is_that_of_the_file_which_mintpy_turns_for_hdfeos5(shared):
    folder = shared / "data" / "mintpy_oracles" / "roipac"
    series, he5 = (open_roipac(folder / f"{name}_DT071.unw")["displacement"].values for name in ("ts", "he5"))
    both = np.isfinite(series) & np.isfinite(he5)
    np.testing.assert_allclose(he5[both], -series[both], atol=1e-8)  # a defect of MintPy 1.6.4, in its writer


def test_what_mintpy_wrote_of_a_velocity_is_its_motion_over_the_dates(shared):
    folder = shared / "data" / "mintpy_oracles"
    rate = open_mintpy(folder / "velocity" / "DT071" / "velocity.h5")["velocity"].values
    ds = open_roipac(folder / "roipac" / "vel_DT071.unw")
    days = (np.datetime64(ds.attrs["end_date"]) - np.datetime64(ds.attrs["start_date"])).astype(int)
    both = np.isfinite(rate) & ds["valid"].values
    assert (days, both.sum() > 1000) == (432, True)
    np.testing.assert_allclose(ds["displacement"].values[both], rate[both] * days / 365.25, atol=1e-8)


def test_zero_amplitude_and_phase_is_no_data_but_at_the_reference(tmp_path):
    with no_compute():
        ds = open_roipac(interferogram(tmp_path))
    assert np.isnan(ds["displacement"].values[5, 7])
    assert ds["displacement"].values[1, 2] == 0
    assert int(ds["valid"].sum()) == 47


@given(chunks=chunkings(y=6, x=8))
def test_any_window_of_any_band_is_that_of_numpy(chunks, tmp_path_factory):
    stack = np.random.default_rng(0).normal(size=(6, 3, 8)).astype("<f4")
    path = tmp_path_factory.mktemp("bil") / "three.unw"
    stack.tofile(path)
    band = BinaryBand(SourceFile.locate(path), SHAPE, "<f4", 3, 1)
    np.testing.assert_array_equal(band.lazy().chunk(chunks), stack[:, 1])
    np.testing.assert_array_equal(band[::-2, 1:7:3], stack[::-2, 1, 1:7:3])
    assert band[3:3, :].shape == (0, 8)


def test_one_band_of_phase_is_read_too(tmp_path):
    ds = open_roipac(write_roipac(tmp_path, "a.unw", phase(), UNIT="radian"))
    np.testing.assert_allclose(ds["displacement"].values[0], phase()[0] * -0.05546576 / (4 * math.pi), rtol=1e-6)


def test_a_file_in_centimetres_is_read_as_metres(tmp_path):
    ds = open_roipac(write_roipac(tmp_path, "a.unw", phase(), UNIT="cm", drop=("WAVELENGTH",)))
    np.testing.assert_allclose(ds["displacement"].values[0], phase()[0] / 100, rtol=1e-6)


def test_coherence_is_the_second_band(tmp_path):
    ds = open_source(write_roipac(tmp_path, "a.cor", np.ones(SHAPE, "<f4"), np.full(SHAPE, 0.7, "<f4")))
    np.testing.assert_array_equal(ds["coherence"], np.full(SHAPE, 0.7, "float32"))
    assert ds["coherence"].attrs["units"] == "1"


def test_heights_of_two_bytes_are_scaled_and_their_void_is_nan(tmp_path):
    height = np.arange(48, dtype="<i2").reshape(SHAPE)
    height[0, 0] = -32768
    ds = open_source(write_roipac(tmp_path, "srtm.dem", height, Z_SCALE=2, Z_OFFSET=-3, DATE12="111111-222222"))
    assert np.isnan(ds["height"].values[0, 0])
    np.testing.assert_array_equal(ds["height"].values[1:], height[1:] * 2.0 - 3)
    flat = open_source(write_roipac(tmp_path, "f.dem", height.astype("<f4")))
    assert flat["height"].values[5, 7] == 47


def test_a_remote_file_is_read_by_ranges(tmp_path):
    path, folder = interferogram(tmp_path), f"memory://{uuid.uuid4().hex}"
    fs = fsspec.filesystem("memory")
    for name in (path.name, f"{path.name}.rsc"):
        fs.pipe_file(f"{folder}/{name}", (tmp_path / name).read_bytes())
    ds = open_roipac(f"{folder}/{path.name}")
    np.testing.assert_array_equal(ds["displacement"], open_roipac(path)["displacement"])


def geometry(folder, **attrs):
    flat = {"incidenceAngle": 39, "azimuthAngle": 102, "height": 5}
    datasets = {name: np.full(SHAPE, value, "float32") for name, value in flat.items()}
    return write_h5(folder, "geometryGeo.h5", "geometry", datasets, attrs)


def test_a_geometry_gives_looks(tmp_path):
    with no_compute():
        ds = open_source(interferogram(tmp_path), geometry(tmp_path))
    np.testing.assert_allclose(ds["los_up"], math.cos(math.radians(39)), rtol=1e-6)


def test_a_geometry_of_another_place_is_refused(tmp_path):
    with pytest.raises(GridMismatchError, match=r"must be on the grid of .*a.unw, 6 x 8 pixels"):
        open_roipac(write_roipac(tmp_path, "a.unw", phase()), geometry(tmp_path, X_FIRST="101"))


@pytest.mark.parametrize(
    ("header", "drop", "message"),
    [
        ({"WIDTH": 9}, (), "has 384 bytes, but 6 rows and 9 columns need 432"),
        ({}, ("X_FIRST",), "is in radar coordinates"),
        ({}, ("WAVELENGTH",), "has no WAVELENGTH"),
        ({"DATE12": "111111-222222"}, (), "expected DATE12 as YYMMDD-YYMMDD, got '111111-222222'"),
        ({"UNIT": "counts"}, (), "UNIT is 'counts', expected radian"),
    ],
)
def test_headers_that_do_not_fit_are_named(tmp_path, header, drop, message):
    path = write_roipac(tmp_path, "a.unw", phase(), phase(), drop=drop, **header)
    with pytest.raises(SourceFormatError, match=message):
        open_roipac(path)


def test_a_file_without_header_and_one_of_another_kind_are_refused(tmp_path):
    (tmp_path / "a.unw").write_bytes(b"0" * 192)
    with pytest.raises(SourceFormatError, match=r"needs its header .*a.unw.rsc, which does not exist"):
        open_roipac(tmp_path / "a.unw")
    with pytest.raises(SourceFormatError, match=r"expected .unw, .cor, .dem, .hgt"):
        open_roipac(write_roipac(tmp_path, "a.int", phase()))
