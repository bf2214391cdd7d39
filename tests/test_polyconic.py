"""The polyconic plane: the oracle, PROJ, and distances of geodesics."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pyproj import Geod, Proj

from mimtpy_cloud.plan.polyconic import polyconic_km


def test_the_oracle_of_mimtpys_coordinates(oracles):
    known = oracles["O18"]
    points = np.array(known["pts"], float)
    x, y = polyconic_km(points[:, 0], points[:, 1], tuple(known["origin"]))
    np.testing.assert_allclose(np.stack([x, y], 1), known["xy_km_correct_e"], atol=1e-6)


@given(lon=st.floats(-3, 3), lat=st.floats(-70, 70), lat0=st.floats(-70, 70), lon0=st.floats(-180, 180))
def test_it_is_the_projection_of_proj(lon, lat, lat0, lon0):
    found = polyconic_km(np.array(lon0 + lon), np.array(lat), (lon0, lat0))
    expected = Proj(proj="poly", lat_0=lat0, lon_0=lon0, ellps="WGS84")(lon0 + lon, lat)
    np.testing.assert_allclose(np.array(found) * 1e3, expected, atol=2e-3)


def test_on_the_equator():
    x, y = polyconic_km(np.array([101.0]), np.array([0.0]), (100.0, 1.0))
    assert (x[0], y[0]) == pytest.approx((111.319490793, -110.574388558), rel=1e-9)


def test_distances_are_those_of_geodesics():
    rng = np.random.default_rng(0)
    lon, lat = 179.5 + rng.uniform(-2, 2, 200), 38 + rng.uniform(-2, 2, 200)
    lon = np.where(lon > 180, lon - 360, lon)
    x, y = polyconic_km(lon, lat, (179.5, 38.0))
    _, _, metres = Geod(ellps="WGS84").inv(lon[:100], lat[:100], lon[100:], lat[100:])
    plane = np.hypot(x[:100] - x[100:], y[:100] - y[100:])
    np.testing.assert_allclose(plane, metres / 1e3, rtol=5e-4)
