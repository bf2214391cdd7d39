"""Attributes of a source in every spelling, and what the package makes of them."""

import json

import h5py
import numpy as np
import pytest
from he5files import ATTRS
from hypothesis import given
from hypothesis import strategies as st

from mimtpy_cloud.errors import SourceFormatError
from mimtpy_cloud.io.attributes import Metadata, NameHints, decode_attributes, parse_dates, parse_name


def meta(url="a.he5", drop=(), **changes):
    values = {key: value for key, value in (ATTRS | changes).items() if key not in drop}
    return Metadata(decode_attributes(values), url)


def test_every_type_of_value_becomes_plain_python():
    raw = {
        "text": "a",
        "bytes": b"b",
        "numpy_bytes": np.bytes_("c"),
        "integer": np.int64(3),
        "real": np.float32(0.5),
        "nan": np.float64("nan"),
        "truth": np.bool_(True),
        "one": np.array([7]),
        "many": np.array([1, 2]),
        "empty": h5py.Empty("f"),
    }
    values = decode_attributes(raw)
    json.dumps(values, allow_nan=False)
    assert {key: values[key] for key in list(raw)[:9]} == {
        "text": "a",
        "bytes": "b",
        "numpy_bytes": "c",
        "integer": 3,
        "real": 0.5,
        "nan": "nan",
        "truth": 1,
        "one": 7,
        "many": "1, 2",
    }


def test_grid_uses_outer_edges_o35(oracles):
    grid = meta().grid
    expected = oracles["O35"]
    south, north, west, east = expected["edges_SNWE"]
    np.testing.assert_allclose(grid.bounds, (west, south, east, north), atol=1e-12)
    np.testing.assert_allclose((grid.y[0], grid.x[0]), expected["first_centre"], atol=1e-12)
    np.testing.assert_allclose((grid.y[-1], grid.x[-1]), expected["last_centre"], atol=1e-12)


def test_grid_uses_outer_edges_without_the_given_data():
    grid = meta().grid
    np.testing.assert_allclose(grid.bounds, (100, 39.94, 100.08, 40), atol=1e-12)
    assert (grid.ny, grid.nx, grid.crs) == (6, 8, "EPSG:4326")


@pytest.mark.parametrize("key", ["FILE_LENGTH", "length", "lines"])
def test_length_is_found_under_its_aliases(key):
    assert meta(drop=("LENGTH",), **{key: "6"}).shape == (6, 8)


def test_length_is_preferred_to_the_uncropped_file_length():
    assert meta(FILE_LENGTH="3252", length="3252", width="2906").shape == (6, 8)


@pytest.mark.parametrize("absent", ["None", "none", "nan", "auto", "Unknown", ""])
def test_absent_words_give_way_to_the_alias(absent):
    found = meta(relative_orbit=absent, trackNumber="23")
    assert found.track == "A023"
    assert meta(WAVELENGTH=absent, drop=()).number("WAVELENGTH") is None


def test_prefixed_copies_are_read_where_the_plain_key_is_missing():
    copies = {"unavco.relative_orbit": "71", "hdfEos5.first_frame": "466"}
    found = meta(drop=("relative_orbit", "first_frame"), **copies)
    assert found.track == "A071"
    assert found.product == "0466_0116"


def test_size_is_required():
    with pytest.raises(SourceFormatError, match="LENGTH and WIDTH must give the size, got None and 8"):
        _ = meta(drop=("LENGTH",)).shape


def test_a_number_that_is_none_is_named():
    with pytest.raises(SourceFormatError, match="expected a number for attribute X_STEP, got '1 arcsec'"):
        _ = meta(X_STEP="1 arcsec").grid


def test_south_up_grids_are_refused():
    with pytest.raises(SourceFormatError, match="X_STEP > 0 > Y_STEP"):
        _ = meta(Y_STEP="0.01").grid


UTM = {"X_FIRST": "297600", "Y_FIRST": "4132000", "X_STEP": "800", "Y_STEP": "-800", "X_UNIT": "meters"}


@pytest.mark.parametrize(
    ("extra", "crs"),
    [
        ({"EPSG": "32611"}, "EPSG:32611"),
        ({"EPSG": np.int64(32611)}, "EPSG:32611"),
        ({"UTM_ZONE": "11N"}, "EPSG:32611"),
        ({"UTM_ZONE": "11S"}, "EPSG:32711"),
        ({"UTM_ZONE": "11"}, "EPSG:32611"),
        ({"EPSG": "None", "UTM_ZONE": "11N"}, "EPSG:32611"),
    ],
)
def test_projection_comes_from_epsg_or_utm_zone(extra, crs):
    assert meta(**UTM, **extra).grid.crs == crs


def test_unknown_epsg_is_refused():
    with pytest.raises(SourceFormatError, match=r"a.he5: EPSG=99 is no coordinate reference system"):
        _ = meta(**UTM, EPSG="99").grid


@pytest.mark.parametrize(("first", "step"), [("95", "-0.01"), ("-89.97", "-0.01")])
def test_latitudes_beyond_a_pole_are_refused(first, step):
    with pytest.raises(SourceFormatError, match=r"latitudes go from .* beyond a pole; check Y_FIRST and Y_STEP"):
        _ = meta(Y_FIRST=first, Y_STEP=step).grid


@pytest.mark.parametrize("unit", ["degrees", "degree", "deg"])
def test_degrees_mean_wgs84(unit):
    assert meta(X_UNIT=unit).grid.crs == "EPSG:4326"


def test_metres_without_projection_are_refused():
    with pytest.raises(SourceFormatError, match="neither EPSG nor UTM_ZONE"):
        _ = meta(**UTM).grid


def test_reference_of_utm_is_northing_and_easting():
    found = meta(**UTM, EPSG="32611", REF_LAT="4129200", REF_LON="301200", LENGTH="128", WIDTH="116")
    lon, lat = found.reference_point
    assert found.reference_pixel == (3, 4)
    assert -120 < lon < -118
    assert 37 < lat < 38


def test_reference_pixel_is_recomputed_from_latitude_and_longitude():
    assert meta(REF_Y="4", REF_X="5").reference_pixel == (1, 2)
    assert meta(drop=("REF_LAT", "REF_LON")).reference_pixel == (1, 2)
    np.testing.assert_allclose(meta(drop=("REF_LAT", "REF_LON")).reference_point, (100.025, 39.985))


def test_reference_outside_the_grid_keeps_its_point_but_has_no_pixel():
    found = meta(REF_LAT="41.0")
    assert found.reference_pixel is None
    assert found.reference_point == [100.025, 41.0]


def test_lower_case_reference_of_old_files():
    old = {key.lower(): ATTRS[key] for key in ("REF_LAT", "REF_LON", "REF_DATE")}
    found = meta(drop=("REF_LAT", "REF_LON", "REF_DATE", "REF_X", "REF_Y"), **old)
    assert found.reference_pixel == (1, 2)
    assert found.canonical()["reference_date"] == "2020-01-03"


def test_longitudes_from_0_to_360_become_negative():
    found = meta(X_FIRST="240", REF_LON="240.025")
    np.testing.assert_allclose(found.grid.bounds[0], -120)
    np.testing.assert_allclose(found.reference_point, (-119.975, 39.985))
    assert found.reference_pixel == (1, 2)


def test_reference_across_the_dateline_stays_beside_its_grid():
    found = meta(X_FIRST="179.96", REF_LON="-179.995")
    assert found.reference_pixel == (1, 4)
    np.testing.assert_allclose(found.reference_point[0], 180.005)


@given(st.integers(0, 5), st.integers(0, 7), st.sampled_from([0, 360]))
def test_reference_pixel_of_every_centre_is_that_pixel(row, col, turn):
    found = meta(REF_LAT=str(40 - (row + 0.5) * 0.01), REF_LON=str(100 + (col + 0.5) * 0.01 - turn))
    assert found.reference_pixel == (row, col)


@pytest.mark.parametrize(("heading", "wrapped"), [("-12", -12), ("348", -12), ("-192", 168), ("-180", 180)])
def test_heading_is_wrapped(heading, wrapped):
    assert meta(HEADING=heading).heading == wrapped


@pytest.mark.parametrize(
    ("values", "direction"),
    [
        ({"ORBIT_DIRECTION": "DESCENDING"}, "descending"),
        ({"ORBIT_DIRECTION": "None", "passDirection": "ascending"}, "ascending"),
        ({"ORBIT_DIRECTION": "None", "HEADING": "-168"}, "descending"),
        ({"ORBIT_DIRECTION": "None", "HEADING": "348"}, "ascending"),
    ],
)
def test_orbit_direction_comes_from_the_attribute_or_the_heading(values, direction):
    assert meta(**values).orbit_direction == direction


@pytest.mark.parametrize(("side", "look"), [("-1", "right"), ("1", "left"), ("-1.0", "right"), ("None", "right")])
def test_look_side(side, look):
    assert meta(ANTENNA_SIDE=side).look_side == look


@pytest.mark.parametrize(
    ("platform", "sensor"),
    [("Sen", "Sentinel"), ("S1A", "Sentinel"), ("Alos2", "Alos2"), ("TDX", "Tsx"), ("NISAR", "Nisar")],
)
def test_sensor_comes_from_the_platform(platform, sensor):
    assert meta(mission="None", PLATFORM=platform).sensor == sensor


@pytest.mark.parametrize(
    ("url", "product"),
    [
        ("S1_IW123_064_0113_0116_20191106_20210111_filtDel4DS.he5", "0113_0116_filtDel4DS"),
        ("S1_IW123_064_0113_0116_20191106_XXXXXXXX_N36416_N37384_W119760_W118560.he5", "0113_0116"),
        (
            "s3://b/a/S1_IW1_128_0596_0597_20160605_XXXXXXXX_S00860_S00810_W091190_W091130_Del4PS.he5",
            "0113_0116_Del4PS",
        ),
        ("S1_IW_071_0466_20191104-20210109_0000_00000.he5", "0113_0116"),
        ("S1_mosaic.he5", "0113_0116"),
    ],
)
def test_product_is_the_frames_of_the_attributes_and_the_suffix_of_the_name(url, product):
    assert meta(url).product == product


def test_name_fills_in_what_attributes_lack():
    url = "S1_IW123_071_0466_0472_20191104_20210109.he5"
    found = meta(url, drop=("relative_orbit", "first_frame", "last_frame", "mission", "PLATFORM"))
    assert (found.track, found.product, found.sensor) == ("A071", "0466_0472", "Sentinel")
    assert parse_name("x.he5") == NameHints()


def test_frame_alias_of_old_files():
    assert meta(drop=("first_frame", "last_frame"), frame=np.int64(466), lastFrameNumber="472").product == "0466_0472"


@pytest.mark.parametrize(
    ("attrs", "zero"),
    [
        ({}, False),
        ({"PROCESSOR": "hyp3"}, True),
        ({"mintpy.load.processor": "aria"}, True),
        ({"mintpy.load.processor": "auto"}, False),
    ],
)
def test_zero_is_no_data_for_hyp3_and_aria_only(attrs, zero):
    assert meta(**attrs).zero_is_nodata is zero


def test_canonical_attributes_are_json_and_leave_out_the_unknown():
    attrs = meta(drop=("REF_DATE", "relative_orbit")).canonical()
    json.dumps(attrs, allow_nan=False)
    assert "reference_date" not in attrs
    assert "track" not in attrs
    assert attrs["wavelength"] == 0.05546576
    assert attrs["mintpy"]["PROJECT_NAME"] == "TinySenAT064"


def test_span_of_a_velocity_comes_from_start_and_end_or_date12():
    assert meta(START_DATE="20191106", END_DATE="20210111").span() == ("2019-11-06", "2021-01-11")
    assert meta(DATE12="20191106_20210111").span() == ("2019-11-06", "2021-01-11")
    assert meta(DATE12="191106-191118").span() is None


def test_dates_parse_from_bytes_and_text():
    dates = parse_dates([b"20200103", "2020-01-15", "20200115T1200"], "a.he5")
    expected = np.array(["2020-01-03", "2020-01-15", "2020-01-15T12"], "datetime64[ns]")
    np.testing.assert_array_equal(dates, expected)
    assert dates.dtype == "datetime64[ns]"


@pytest.mark.parametrize(
    ("dates", "message"),
    [
        ([], "no dates"),
        (["20200103", "20200103"], "20200103 occurs twice"),
        (["20200115", "20200103"], "20200103 comes after a later one"),
        (["20201350"], "expected a date YYYYMMDD, got '20201350'"),
    ],
)
def test_bad_dates_are_named(dates, message):
    with pytest.raises(SourceFormatError, match=message):
        parse_dates(dates, "a.he5")
