"""Profiles: where they run, what they read, and the values between pixel centres."""

import dask.array
import numpy as np
import pytest
import xarray as xr
from hypothesis import given
from hypothesis import strategies as st
from lazy import no_compute
from pyproj import Geod
from strategies import chunkings
from synthetic import lattice_dataset, small_window

from mimtpy_cloud.errors import GridMismatchError, SchemaError
from mimtpy_cloud.kernels.profile import bilinear_corners, sample_bilinear
from mimtpy_cloud.ops.profile import sample_profile
from mimtpy_cloud.plan.profile import (
    box_points,
    distance_along,
    footprint_azimuth,
    parallel_lines,
    profile_line,
)

GEOD = Geod(ellps="WGS84")
WINDOW = small_window(9, 11)
STEP = 1 / WINDOW.n


# --- where ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("through", [(30.0, 40.0), (-120.0, -70.0), (179.99, 5.0)])
@pytest.mark.parametrize("azimuth", [-12.0, 90.0, 215.0])
def test_points_are_equally_spaced_on_one_geodesic(through, azimuth):
    line = profile_line(through, azimuth, 100_000.0, 500.0)
    forward, back, steps = GEOD.inv(line.lon[:-1], line.lat[:-1], line.lon[1:], line.lat[1:])
    np.testing.assert_allclose(steps, 500.0, atol=1e-5)
    turn = np.mod(forward[1:] - (back[:-1] + 180.0) + 180.0, 360.0) - 180.0
    np.testing.assert_allclose(turn, 0.0, atol=1e-5)  # no bend at any point
    np.testing.assert_allclose(line.distance_km, np.arange(-100, 101) * 0.5)
    assert (line.lon[100], line.lat[100]) == pytest.approx(through)
    assert np.mod(forward[100] - azimuth + 180, 360) - 180 == pytest.approx(0, abs=1e-3)
    assert np.ptp(line.lon) < 10  # no jump at 180 degrees


def test_a_line_may_be_longer_on_one_side():
    line = profile_line((30.0, 40.0), 0.0, (1000.0, 3500.0), 1000.0)
    assert line.distance_km.tolist() == [-1, 0, 1, 2, 3]
    assert np.all(np.diff(line.lat) > 0)


@pytest.mark.parametrize(("length", "spacing"), [(100.0, 0.0), (100.0, -1.0), (100.0, 60.0), (np.inf, 1.0)])
def test_lines_without_two_points_are_refused(length, spacing):
    with pytest.raises(GridMismatchError, match="positive spacing and at least two points, got spacing"):
        profile_line((30.0, 40.0), 0.0, length, spacing)


def test_distance_is_that_on_the_ellipsoid():
    lon, lat = np.array([30.0, 31.0, 31.0]), np.array([40.0, 40.0, 41.0])
    expected = [0.0, GEOD.inv(30, 40, 31, 40)[2] / 1e3, GEOD.line_length(lon, lat) / 1e3]
    np.testing.assert_allclose(distance_along(lon, lat), expected)
    assert distance_along(np.array([1.0]), np.array([2.0])).tolist() == [0.0]


def strip(azimuth, length=80_000.0, width=30_000.0, middle=(30.0, 60.0)):
    """Points that fill a rectangle on the ground, whose long side has an azimuth."""
    u, v = np.meshgrid(np.linspace(-length / 2, length / 2, 60), np.linspace(-width / 2, width / 2, 40))
    u, v = u.ravel(), v.ravel()
    heading = azimuth + np.degrees(np.arctan2(v, u))
    lon, lat, _ = GEOD.fwd(np.full(u.size, middle[0]), np.full(u.size, middle[1]), heading, np.hypot(u, v))
    return np.array(lon), np.array(lat)


@pytest.mark.parametrize("azimuth", [-80.0, -12.0, 0.0, 35.0, 90.0])
def test_azimuth_of_a_strip_is_that_on_the_ground(azimuth):
    found = footprint_azimuth(*strip(azimuth))
    assert np.mod(found - azimuth + 90, 180) - 90 == pytest.approx(0, abs=0.6)  # at 60 N: no degrees of the map
    assert -90 < found <= 90


def test_a_point_has_no_direction():
    assert footprint_azimuth(np.array([1.0]), np.array([2.0])) == 0.0


@pytest.mark.parametrize("azimuth", [-12.0, 78.0, 168.0])
def test_parallel_lines_divide_the_width_evenly_and_keep_to_the_area(azimuth):
    lon, lat = strip(azimuth)
    lines = parallel_lines(lon, lat, azimuth, 3, 1000.0)
    middles = []
    for line in lines:
        (k,) = np.flatnonzero(line.distance_km == 0)
        middles.append((line.lon[k], line.lat[k]))
        assert line.distance_km[-1] - line.distance_km[0] == pytest.approx(80, abs=2.5)
        direction, _, _ = GEOD.inv(line.lon[k], line.lat[k], line.lon[-1], line.lat[-1])
        assert np.mod(direction - azimuth + 180, 360) - 180 == pytest.approx(0, abs=0.6)
    across, _, gaps = GEOD.inv(*np.transpose(middles[:-1]), *np.transpose(middles[1:]))
    np.testing.assert_allclose(gaps, 30_000 / 4, rtol=0.05)
    np.testing.assert_allclose(np.mod(across - azimuth - 90 + 180, 360) - 180, 0, atol=0.6)  # from left to right


def test_a_line_is_as_long_as_a_slanted_area_where_it_runs():
    lon, lat = np.meshgrid(np.linspace(0, 1, 80), np.linspace(0, 1, 80))
    keep = np.abs(lon - lat) < 0.15
    north = parallel_lines(lon[keep], lat[keep], 0.0, 3, 500.0)
    assert all(20 < line.distance_km[-1] - line.distance_km[0] < 65 for line in north)
    assert np.all(np.diff([line.lat.mean() for line in north]) > 0.1)


def test_a_line_through_a_point_has_its_zero_there_and_reaches_both_ends():
    lon, lat = box_points((30.0, 40.0, 31.0, 41.0))
    (line,) = parallel_lines(lon, lat, 0.0, 5, 1000.0, through=(30.2, 40.1))
    (k,) = np.flatnonzero(line.distance_km == 0)
    assert (line.lon[k], line.lat[k]) == pytest.approx((30.2, 40.1))
    assert line.lat[0] == pytest.approx(40.0, abs=0.02)
    assert line.lat[-1] == pytest.approx(41.0, abs=0.02)


def test_a_line_through_a_point_of_a_small_area_has_two_points():
    (line,) = parallel_lines(np.array([30.0]), np.array([40.0]), 0.0, 1, 1000.0, through=(30.0, 40.0))
    assert line.distance_km.tolist() == [0, 1]
    (line,) = parallel_lines(np.array([30.0]), np.array([40.0]), 0.0, 1, 1000.0)
    assert line.distance_km.tolist() == [-1, 0, 1]


def test_no_area_and_no_lines_are_refused():
    with pytest.raises(GridMismatchError, match="got 0 points and 1"):
        parallel_lines(np.array([]), np.array([]), 0.0, 1, 1.0)
    with pytest.raises(GridMismatchError, match="a count of at least 1, got 2 points and 0"):
        parallel_lines(np.zeros(2), np.arange(2.0), 0.0, 0, 1.0)


# --- between centres ------------------------------------------------------------------------------


@given(
    a=st.floats(-2, 2), b=st.floats(-2, 2), c=st.floats(-2, 2),
    rows=st.lists(st.floats(0, 5), min_size=1, max_size=9), cols=st.lists(st.floats(0, 7), min_size=1, max_size=9),
)  # fmt: skip
def test_bilinear_surfaces_are_exact_everywhere(a, b, c, rows, cols):
    n = min(len(rows), len(cols))
    r, q = np.array(rows[:n]), np.array(cols[:n])
    y, x = np.mgrid[:6, :8].astype(float)
    found = sample_bilinear(a * y + b * x + c * x * y, r, q)
    np.testing.assert_allclose(found, a * r + b * q + c * q * r, atol=3e-4)  # 1e-6 of a pixel is the centre


def test_pixel_centres_give_their_own_value_without_half_a_pixel_of_shift():
    block = np.random.default_rng(0).normal(size=(4, 5))
    rows, cols = (index.ravel() for index in np.mgrid[:4, :5])
    for rounding in (0.0, 1e-9, -1e-9):
        np.testing.assert_array_equal(sample_bilinear(block, rows + rounding, cols - rounding), block.ravel())


def test_a_missing_corner_counts_only_where_it_has_weight():
    block = np.array([[0.0, 1.0, 2.0], [3.0, np.nan, 5.0], [6.0, 7.0, 8.0]])
    rows = np.array([0.0, 0.0, 0.5, 1.0, 1.0, 0.5, 2.0, 0.25])
    cols = np.array([1.0, 1.5, 0.0, 0.0, 0.5, 1.0, 1.5, 2.0])
    expected = [1.0, 1.5, 1.5, 3.0, np.nan, np.nan, 7.5, 2.75]
    np.testing.assert_array_equal(sample_bilinear(block, rows, cols), expected)


def test_nothing_is_invented_beyond_the_outermost_centres():
    block = np.ones((3, 3))
    rows, cols = np.array([-0.1, 2.1, 1.0, 1.0, -7.0, 0.0, 2.0]), np.array([1.0, 1.0, -0.1, 2.1, 1.0, 0.0, 2.0])
    np.testing.assert_array_equal(sample_bilinear(block, rows, cols), [np.nan] * 5 + [1.0, 1.0])


def test_weights_sum_to_one():
    corners = bilinear_corners(np.array([0.3, 4.0]), np.array([2.9, 1.5]))
    np.testing.assert_allclose(corners.weights.sum(axis=0), 1.0)


# --- the operation --------------------------------------------------------------------------------


def scene():
    rng = np.random.default_rng(3)
    velocity = rng.normal(0, 0.01, WINDOW.shape)
    velocity[3, 4] = np.nan
    ds = lattice_dataset(WINDOW, velocity=velocity)
    return ds.assign(height=ds["height"].copy(data=rng.normal(500, 50, WINDOW.shape).astype("f4")))


def diagonal(n=40):
    t = np.linspace(0.03, 0.97, n)
    west, south, east, north = WINDOW.bounds
    return west + t * (east - west), north - t * (north - south)


@given(chunkings(y=9, x=11))
def test_chunked_equals_the_kernel_bit_for_bit(chunks):
    ds, (lon, lat) = scene(), diagonal()
    with no_compute():
        lazy = sample_profile(ds.chunk(chunks), lon, lat, ["velocity", "height"])
    rows, cols = (WINDOW.bounds[3] - lat) * WINDOW.n - 0.5, (lon - WINDOW.bounds[0]) * WINDOW.n - 0.5
    for name in ("velocity", "height"):
        whole = sample_bilinear(ds[name].values, rows, cols).astype("f4")
        np.testing.assert_array_equal(lazy[name], whole)
        assert lazy[name].attrs == ds[name].attrs
        assert lazy[name].dims == ("point",)
    assert np.isnan(lazy["velocity"]).any()
    assert np.isfinite(lazy["velocity"]).any()


def test_pixel_centres_of_the_lattice_are_met_exactly():
    ds = scene()
    lon, lat = np.meshgrid(WINDOW.x, WINDOW.y)
    found = sample_profile(ds.chunk(y=2, x=5), lon.ravel(), lat.ravel(), ["velocity"])["velocity"]
    np.testing.assert_array_equal(found, ds["velocity"].values.ravel())


def test_only_blocks_that_the_line_touches_are_read():
    seen = []

    def block(block_info=None):
        location = tuple(start for start, _ in block_info[None]["array-location"])
        seen.append(location)
        return np.ones(block_info[None]["chunk-shape"], "f4")

    data = dask.array.map_blocks(block, chunks=((3, 3, 3), (4, 4, 3)), dtype="f4", meta=np.empty((0, 0), "f4"))
    ds = xr.Dataset({"velocity": (("y", "x"), data)}, {"y": WINDOW.y, "x": WINDOW.x})
    with no_compute():
        lazy = sample_profile(ds, WINDOW.x[:8], np.full(8, WINDOW.y[2]))  # a row of centres beside a border
    assert lazy["velocity"].values.tolist() == [1.0] * 8
    assert sorted(seen) == [(0, 0), (0, 4)]


def test_turns_of_longitude_make_no_difference():
    ds, (lon, lat) = scene(), diagonal()
    one, two = (sample_profile(ds, lon + turn, lat, ["velocity"]) for turn in (0.0, 360.0))
    np.testing.assert_allclose(one["velocity"], two["velocity"], atol=1e-9)


def test_coordinates_tell_where_and_how_far():
    ds, (lon, lat) = scene(), diagonal()
    profile = sample_profile(ds, lon, lat, ["height"])
    np.testing.assert_array_equal(profile["lon"], lon)
    np.testing.assert_allclose(profile["distance_km"][-1], GEOD.line_length(lon, lat) / 1000)
    given = sample_profile(ds, lon, lat, ["height"], distance_km=np.arange(40.0) - 7)
    assert given["distance_km"][0] == -7
    assert profile["distance_km"].attrs["units"] == "km"


def test_all_maps_are_sampled_by_default_and_points_outside_are_nan():
    ds = scene()
    lon = np.array([WINDOW.x[2], WINDOW.bounds[0] - 1.0])
    profile = sample_profile(ds, lon, np.full(2, WINDOW.y[2])).compute()
    assert set(profile.data_vars) == set(ds.data_vars)
    assert profile["valid"].values.tolist()[0] == 1.0
    assert np.isfinite(profile["height"].values).tolist() == [True, False]


def test_what_cannot_be_sampled_is_refused():
    ds, (lon, lat) = scene().chunk(), diagonal()
    with no_compute():
        with pytest.raises(GridMismatchError, match=r"no point of the profile from 10, .* lies on A064 \[-119"):
            sample_profile(ds, lon - lon[0] + 10.0, lat)
        with pytest.raises(SchemaError, match=r"finite, got shapes \(2,\) and \(3,\)"):
            sample_profile(ds, [1.0, 2.0], [1.0, 2.0, 3.0])
        with pytest.raises(SchemaError, match="of one length, finite"):
            sample_profile(ds, [1.0, np.nan], [1.0, 2.0])
        with pytest.raises(SchemaError, match="the profile needs speed; it has"):
            sample_profile(ds, lon, lat, ["speed"])
        with pytest.raises(SchemaError, match="displacement needs dimensions"):
            sample_profile(lattice_dataset(WINDOW, displacement=0.0), lon, lat, ["displacement"])
        projected = ds.assign_coords(spatial_ref=((), 0, {"crs_wkt": 'PROJCS["UTM"]'}))
        with pytest.raises(GridMismatchError, match="grid in degrees, got a projection"):
            sample_profile(projected, lon, lat)
