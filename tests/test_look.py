"""Look angles and vectors against the oracles, and against each other."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mimtpy_cloud.kernels.look import (
    azimuth_from_heading,
    incidence_and_azimuth,
    los_unit_vector,
    mean_azimuth,
    project_enu,
    project_enu_std,
)


def test_unit_vectors_of_oracle_o01(oracles):
    for case in oracles["O01"].values():
        np.testing.assert_allclose(los_unit_vector(case["inc"], case["az"]), case["ENU"], rtol=1e-9)


def test_projection_of_oracle_o02(oracles):
    case = oracles["O02"]
    for name, angles in (("asc_los", (39, 102)), ("desc_los", (34, -102))):
        los = project_enu(*case["enu"], los_unit_vector(*angles))
        np.testing.assert_allclose(los, case[name], rtol=1e-9)


def test_standard_deviation_of_oracle_o46(oracles):
    case = oracles["O46"]
    found = project_enu_std(*case["sigma_enu"], los_unit_vector(case["inc"], case["az"]))
    assert found == pytest.approx(case["sigma_los"], rel=1e-9)


def test_three_looks_of_oracle_o06_and_why_near_polar_orbits_do_not_see_north(oracles):
    case = oracles["O06"]
    look = np.array([los_unit_vector(inc, az) for inc, az in zip(case["inc"], case["az"], strict=True)])
    np.testing.assert_allclose(look, case["G"], rtol=1e-9)
    los = [project_enu(*case["enu"], tuple(row)) for row in look]
    np.testing.assert_allclose(los, case["los"], rtol=1e-9)
    gains = np.sqrt(np.diag(np.linalg.inv(look.T @ look)))
    np.testing.assert_allclose(gains, case["sigma_factors"], rtol=1e-6)
    assert gains[1] > 50 * gains[0]


def test_headings_of_oracle_o03(oracles):
    case = oracles["O03"]
    for heading, azimuth in case["heading_to_az"].items():
        assert azimuth_from_heading(float(heading)) == pytest.approx(azimuth, rel=1e-9)
    for azimuth, heading in case["az_to_heading"].items():
        assert azimuth_from_heading(float(azimuth)) == pytest.approx(heading, rel=1e-9)


def test_mean_of_azimuths_crosses_the_cut_of_oracle_o49(oracles):
    assert mean_azimuth(oracles["O49"]["angles"]) == pytest.approx(oracles["O49"]["circular"])
    assert mean_azimuth([10.0, np.nan, 20.0]) == pytest.approx(15.0)
    assert np.isnan(mean_azimuth([np.nan]))


def test_left_looking_satellite_is_seen_on_the_other_side():
    assert azimuth_from_heading(-12.0, "left") == -78.0
    right, left = (los_unit_vector(39.0, azimuth_from_heading(-12.0, side)) for side in ("right", "left"))
    np.testing.assert_allclose(left[0], -right[0])
    np.testing.assert_allclose(left[1], -right[1])
    with pytest.raises(ValueError, match="'right' or 'left', got 'up'"):
        azimuth_from_heading(0.0, "up")


@given(st.floats(0.1, 89.0), st.floats(-179.9, 180.0))
def test_angles_and_vectors_are_inverse(incidence, azimuth):
    vector = los_unit_vector(incidence, azimuth)
    assert np.linalg.norm(vector) == pytest.approx(1.0, rel=1e-12)
    back = incidence_and_azimuth(*vector)
    assert back[0] == pytest.approx(incidence, abs=1e-9)
    assert np.cos(np.deg2rad(back[1] - azimuth)) == pytest.approx(1.0, abs=1e-12)


@given(st.floats(-720.0, 720.0), st.sampled_from(["right", "left"]))
def test_the_azimuth_of_an_azimuth_is_the_heading(heading, side):
    azimuth = azimuth_from_heading(heading, side)
    assert -180.0 < azimuth <= 180.0
    turned = azimuth_from_heading(azimuth, side)
    assert -180.0 < turned <= 180.0
    assert np.cos(np.deg2rad(turned - heading)) == pytest.approx(1.0, abs=1e-12)


def test_look_vectors_broadcast_and_keep_nan():
    incidence = np.array([[30.0, np.nan, 40.0]])
    azimuth = np.array([[100.0], [101.0]])
    vector = np.array(los_unit_vector(incidence, azimuth))
    assert vector.shape == (3, 2, 3)
    assert np.isnan(vector[:, :, 1]).all()
    assert np.isfinite(vector[:, :, ::2]).all()
    assert np.isnan(los_unit_vector(30.0, np.nan)).all()
