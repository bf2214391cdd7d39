"""Kilometres on a local plane."""

import numpy as np
import pytest

from mimtpy_cloud.plan.plane import EARTH_RADIUS_KM, centre_of, plane_km

DEGREE = EARTH_RADIUS_KM * np.pi / 180


def test_a_degree_is_111_km_north_and_shrinks_with_the_cosine_east():
    x_km, y_km = plane_km(np.array([30.0, 31.0]), np.array([61.0, 60.0]), (30.0, 60.0))
    np.testing.assert_allclose(x_km, [0, DEGREE / 2], rtol=1e-12)
    np.testing.assert_allclose(y_km, [DEGREE, 0], rtol=1e-12)
    assert pytest.approx(111.195, abs=1e-3) == DEGREE


@pytest.mark.parametrize("shift", [-360.0, 0.0, 360.0])
def test_antimeridian_equals_the_shifted_copy(shift):
    x = 179.5 + np.arange(8) * 0.25
    wrapped = (x + 180) % 360 - 180
    origin = (180.25, 10.0)
    wanted = plane_km(x, np.array([10.0]), origin)[0]
    np.testing.assert_allclose(plane_km(wrapped, np.array([10.0]), (origin[0] + shift, 10.0))[0], wanted, atol=1e-9)
    np.testing.assert_allclose(centre_of(wrapped, np.array([10.0])), (-179.625, 10.0))


def test_metres_of_a_projection_need_no_cosine():
    x_km, y_km = plane_km(np.array([500e3, 501e3]), np.array([4000e3]), (500e3, 3990e3), geographic=False)
    assert x_km.tolist() == [0, 1]
    assert y_km.tolist() == [10]
    assert centre_of(np.array([400e3, 600e3]), np.array([2.0, 0.0]), geographic=False) == (500e3, 1.0)
