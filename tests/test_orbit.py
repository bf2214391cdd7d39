"""Look geometry of a circular orbit."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mimtpy_cloud.kernels.orbit import (
    EARTH_RADIUS,
    ORBIT_HEIGHT,
    look_vector,
    orbit_angles,
    orbit_frame,
    orbit_position,
)

scenes = st.tuples(st.floats(-179, 179), st.floats(-70, 70), st.floats(-180, 180), st.floats(20, 47))


def by_vectors(lon, lat, height, frame):
    """Plain twin: positions of ground and satellite as Earth-centred vectors."""
    lon, lat = np.radians(lon), np.radians(lat)
    up = np.array([np.cos(lat) * np.cos(lon), np.cos(lat) * np.sin(lon), np.sin(lat)])
    east = np.array([-np.sin(lon), np.cos(lon), 0])
    ground = (EARTH_RADIUS + height) * up
    in_plane = ground - (ground @ frame[2]) * frame[2]
    ray = (EARTH_RADIUS + ORBIT_HEIGHT) * in_plane / np.linalg.norm(in_plane) - ground
    slant = np.linalg.norm(ray)
    return [*(ray @ axis / slant for axis in (east, np.cross(up, east), up)), slant]


@given(scene=scenes)
def test_the_scene_centre_is_seen_under_the_asked_angle_from_the_left_of_the_flight(scene):
    lon, lat, heading, incidence = scene
    frame = orbit_frame(*scene)
    east, north, up, _ = look_vector(np.array(lon), np.array(lat), np.array(0.0), frame)
    assert np.degrees(np.arccos(up)) == pytest.approx(incidence, abs=1e-6)
    azimuth = np.degrees(np.arctan2(east, north))
    assert (azimuth - (heading - 90) + 180) % 360 == pytest.approx(180, abs=1e-6)
    np.testing.assert_allclose(frame @ frame.T, np.eye(3), atol=1e-12)


@given(scene=scenes, shift=st.tuples(st.floats(-1, 1), st.floats(-1, 1)), height=st.floats(-400, 8000))
def test_look_vector_equals_plain_vector_algebra(scene, shift, height):
    lon, lat, frame = scene[0] + shift[0], scene[1] + shift[1], orbit_frame(*scene)
    look = look_vector(np.array(lon), np.array(lat), np.array(height), frame)
    np.testing.assert_allclose(look, by_vectors(lon, lat, height, frame), rtol=1e-7, atol=1e-8)


@given(scene=scenes, shift=st.tuples(st.floats(-1, 1), st.floats(-1, 1)))
def test_position_undoes_angles(scene, shift):
    lon, lat, frame = scene[0] + shift[0], scene[1] + shift[1], orbit_frame(*scene)
    lon2, lat2 = orbit_position(*orbit_angles(np.array(lon), np.array(lat), frame), frame)
    assert (lon2 - lon + 180) % 360 - 180 == pytest.approx(0, abs=1e-8)
    assert lat2 == pytest.approx(lat, abs=1e-8)


def test_an_ascending_pass_looks_east_and_a_descending_pass_west():
    ascending = orbit_frame(37, 38, -12.5, 38)
    descending = orbit_frame(37, 38, -167.5, 38)
    lon = np.array([36.5, 37.5])
    for frame, sign in ((ascending, -1), (descending, 1)):
        east, _, up, _ = look_vector(lon, np.array(38.0), np.array(0.0), frame)
        assert (np.sign(east) == sign).all()  # toward the satellite
        assert np.sign(np.diff(up)) == sign  # incidence grows away from the ground track
