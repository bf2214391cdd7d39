"""Sources in an elastic half-space."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mimtpy_cloud.kernels.dislocation import interseismic_velocity, lower_edge, mogi, shallow_creep

finite = st.floats(-2e5, 2e5)


@given(distance=finite, slip=st.floats(-0.1, 0.1), depth=st.floats(1e2, 5e4))
def test_interseismic_velocity_is_odd_and_never_exceeds_half_the_slip_rate(distance, slip, depth):
    one, other = interseismic_velocity(np.array([distance, -distance]), slip, depth)
    assert one == -other
    assert abs(one) <= abs(slip) / 2


def test_interseismic_velocity_reaches_half_of_its_far_value_at_the_locking_depth():
    v = interseismic_velocity(np.array([15e3, 1e12]), 0.03, 15e3)
    np.testing.assert_allclose(v, [0.0075, 0.015], rtol=1e-6)


def test_a_screw_dislocation_with_an_offset_has_the_known_values(oracles):
    known = oracles["O38"]
    v = known["c"] + interseismic_velocity(np.array(known["x"]), known["s"], known["d"])
    np.testing.assert_allclose(v, known["v"], rtol=1e-11)


def test_a_locked_fault_that_creeps_above_has_the_known_values(oracles):
    known = oracles["O39"]
    x = np.array(known["x"])
    v = interseismic_velocity(x, known["s1"], known["d1"]) + shallow_creep(x, known["s2"], known["d2"])
    np.testing.assert_allclose(v + known["c"], known["v"], rtol=1e-11)


@given(distance=st.floats(1e-3, 2e5), rate=st.floats(-0.1, 0.1), depth=st.floats(1e2, 5e4))
def test_creep_to_a_depth_and_slip_below_it_move_both_sides_as_blocks(distance, rate, depth):
    sides = np.array([-distance, distance])
    v = shallow_creep(sides, rate, depth) + interseismic_velocity(sides, rate, depth)
    np.testing.assert_allclose(v, [-rate / 2, rate / 2], atol=1e-16)


def test_creep_parts_the_trace_by_its_rate_and_is_not_felt_far_away():
    v = shallow_creep(np.array([-1e-6, 0.0, 1e-6, 1e9, np.nan]), 0.01, 4e3)
    np.testing.assert_allclose(v, [-0.005, 0.0, 0.005, 0.0, np.nan], atol=1e-7)


def test_the_lower_edge_of_a_fault_is_the_known_one(oracles):
    known = oracles["O44"]
    x, y, depth = known["upper"]
    got = lower_edge(x, y, depth, strike=known["strike"], dip=known["dip"], width=known["width"])
    np.testing.assert_allclose(got, known["lower"], rtol=1e-10)


def test_mogi_peaks_above_the_source_with_the_textbook_value():
    _, _, up = mogi(np.array([0.0, 2e3]), np.array([0.0, 0.0]), depth=4e3, volume_rate=1e6, nu=0.25)
    assert up[0] == pytest.approx(0.75 * 1e6 / np.pi / 4e3**2)
    assert up[1] < up[0]


@given(x=finite, y=finite, turn=st.floats(0, 2 * np.pi))
def test_mogi_points_away_from_the_source_whatever_the_direction(x, y, turn):
    cos, sin = np.cos(turn), np.sin(turn)
    east, north, up = mogi(np.array(x), np.array(y), 5e3, 1e6)
    east2, north2, up2 = mogi(np.array(cos * x - sin * y), np.array(sin * x + cos * y), 5e3, 1e6)
    np.testing.assert_allclose(
        [cos * east - sin * north, sin * east + cos * north, up], [east2, north2, up2], atol=1e-12
    )
    assert np.hypot(east, north) * 5e3 == pytest.approx(np.hypot(x, y) * up, abs=1e-9)


def test_mogi_conserves_the_volume_it_lifts():
    """The lifted volume is 2 (1 - nu) times the source's (in a half-space, not the same)."""
    r = np.linspace(0, 4e6, 2_000_001)
    _, _, up = mogi(r, np.zeros_like(r), 5e3, 1e6, nu=0.25)
    lifted = np.trapezoid(2 * np.pi * r * up, r)
    assert lifted == pytest.approx(2 * (1 - 0.25) * 1e6, rel=2e-3)
