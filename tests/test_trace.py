"""Distances from bent lines, against a plain search of the nearest point."""

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mimtpy_cloud.kernels.trace import distance_to_trace

RADIUS = 6371e3
DEGREE = np.radians(RADIUS)
BENT = np.array([[30.0, 40.0], [31.0, 40.2], [31.6, 40.0], [32.5, 40.6]])


def twin(lon, lat, trace):
    """Unsigned distance: the least over all pieces, the outer ones endless."""
    out = []
    for x, y in zip(lon, lat, strict=True):
        plane = (trace - [x, y]) * [np.cos(np.radians(y)), 1.0]
        found = []
        for k, (a, b) in enumerate(pairwise(plane)):
            t = -(a @ (b - a)) / ((b - a) @ (b - a))
            t = np.clip(t, -np.inf if k == 0 else 0.0, np.inf if k == len(plane) - 2 else 1.0)
            found.append(np.hypot(*(a + t * (b - a))))
        out.append(min(found))
    return np.array(out) * DEGREE


@given(seed=st.integers(0, 1000), corners=st.integers(2, 6))
def test_distance_equals_the_plain_twin(seed, corners):
    rng = np.random.default_rng(seed)
    trace = np.column_stack([np.sort(rng.uniform(29, 33, corners)), rng.uniform(39, 41, corners)])
    lon, lat = rng.uniform(28, 34, 40), rng.uniform(38, 42, 40)
    np.testing.assert_allclose(np.abs(distance_to_trace(lon, lat, trace, RADIUS)[0]), twin(lon, lat, trace), rtol=1e-9)


def test_left_of_the_trace_is_positive_and_strike_is_clockwise_from_north():
    for toward, left in (((0.0, 1.0), (-0.1, 0.5)), ((1.0, 0.0), (0.5, 0.1)), ((-1.0, 0.0), (-0.5, -0.1))):
        trace = np.array([(0.0, 0.0), toward])
        distance, strike = distance_to_trace(*np.array([left]).T, trace, RADIUS)
        np.testing.assert_allclose(distance, 0.1 * DEGREE, rtol=1e-4)
        np.testing.assert_allclose(strike, np.degrees(np.arctan2(*toward)), atol=1e-9)


def test_both_change_sides_with_the_sense_of_the_trace():
    lon, lat = np.random.default_rng(1).uniform([[29], [39]], [[34], [41]], (2, 200))
    distance, strike = distance_to_trace(lon, lat, BENT, RADIUS)
    back, turned = distance_to_trace(lon, lat, BENT[::-1], RADIUS)
    np.testing.assert_allclose(back, -distance)
    np.testing.assert_allclose((turned - strike) % 360, 180.0)


def test_the_ends_go_on_beyond_the_last_points():
    trace = np.array([[30.0, 0.0], [31.0, 0.0]])
    distance, strike = distance_to_trace(np.array([20.0, 45.0]), np.array([0.2, -0.2]), trace, RADIUS)
    np.testing.assert_allclose(distance, [0.2 * DEGREE, -0.2 * DEGREE])
    np.testing.assert_allclose(strike, 90.0)


def test_outside_of_a_bend_the_strike_turns_from_one_piece_to_the_next():
    trace = np.array([[0.0, -1.0], [0.0, 0.0], [1.0, 0.0]])  # north, then east; the outside is in the northwest
    angle = np.radians([0.0, 1.0, 45.0, 89.0, 90.0])
    distance, strike = distance_to_trace(-0.01 * np.cos(angle), 0.01 * np.sin(angle), trace, RADIUS)
    np.testing.assert_allclose(strike, [0.0, 1.0, 45.0, 89.0, 90.0], atol=1e-3)
    np.testing.assert_allclose(distance, 0.01 * DEGREE, rtol=1e-6)


def test_sides_are_right_around_a_sharp_bend():
    trace = np.array([[0.0, 0.0], [1.0, 0.05], [0.0, 0.1]])  # there and back, turning left
    inside, outside = np.array([[0.5, 0.05]]), np.array([[1.2, 0.01], [1.2, 0.09], [0.5, -0.2], [0.5, 0.3]])
    assert (distance_to_trace(*inside.T, trace, RADIUS)[0] > 0).all()
    assert (distance_to_trace(*outside.T, trace, RADIUS)[0] < 0).all()


def test_on_the_trace_the_distance_is_zero_and_the_strike_that_of_the_piece():
    distance, strike = distance_to_trace(
        np.array([0.25, 0.5, 1.0]), np.zeros(3), np.array([[0, 0], [0.5, 0], [1, 0]]), RADIUS
    )
    np.testing.assert_allclose(distance, 0.0)
    np.testing.assert_allclose(strike, 90.0)


@pytest.mark.parametrize("place", [(np.nan, 40.0), (30.0, np.nan)])
def test_nan_stays_nan(place):
    distance, strike = distance_to_trace(*np.array([place]).T, BENT, RADIUS)
    assert np.isnan([distance, strike]).all()
