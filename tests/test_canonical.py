"""From MintPy's angles to look vectors."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mimtpy_cloud.io.canonical import decode_look


def vector(incidence, azimuth, **options):
    east, north, up = decode_look(np.array([incidence]), np.array([azimuth]), **options)
    return np.array([east[0], north[0], up[0]])


@given(st.floats(20, 60), st.floats(-180, 180).filter(lambda a: a != 0))
def test_look_vectors_equal_the_formula(incidence, azimuth):
    i, a = np.radians([incidence, azimuth])
    expected = [-np.sin(i) * np.sin(a), np.sin(i) * np.cos(a), np.cos(i)]
    np.testing.assert_allclose(vector(incidence, azimuth), expected, atol=1e-6)


def test_ascending_right_looking_satellites_are_in_the_west():
    east, north, up = vector(39.0, 102.0)
    assert east < 0 < up
    assert north < 0


def test_radians_of_old_hyp3_products():
    for incidence, phi, azimuth in ((np.radians(39), 192, 102), (39, -168, 102), (39, -12, -102)):
        found = vector(incidence, np.radians(phi), meaning="gamma")
        np.testing.assert_allclose(found, vector(39.0, azimuth), atol=1e-6)


def test_heading_angle_layer_holds_azimuths_or_headings():
    np.testing.assert_array_equal(vector(39.0, -102.0, meaning="either"), vector(39.0, -102.0))
    np.testing.assert_allclose(vector(39.0, -168.0, meaning="either"), vector(39.0, 258.0), atol=1e-6)
    np.testing.assert_allclose(vector(39.0, -12.0, meaning="either", look_side="left"), vector(39.0, -78.0), atol=1e-6)


@pytest.mark.parametrize(("incidence", "azimuth"), [(0, 102), (np.nan, 102), (39, 0), (39, np.nan)])
def test_fill_gives_nan_in_all_components(incidence, azimuth):
    assert np.isnan(vector(incidence, azimuth)[:2]).all()
