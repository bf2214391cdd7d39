"""Pixels inside polygons."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from mimtpy_cloud.kernels.polygon import inside_polygons

X, Y = np.linspace(0, 10, 41) + 0.013, np.linspace(8, 0, 33) + 0.017


def test_concave_polygon_equals_shapely():
    import shapely

    ring = np.array([[1.0, 1], [9, 1], [9, 7], [5, 2.5], [1, 7]])
    xx, yy = np.meshgrid(X, Y)
    wanted = shapely.contains_xy(shapely.Polygon(ring), xx, yy)
    np.testing.assert_array_equal(inside_polygons(X, Y, [ring]), wanted)
    closed = np.concatenate([ring[::-1], ring[-1:]])
    np.testing.assert_array_equal(inside_polygons(X, Y, [closed]), wanted)


@given(st.lists(st.tuples(st.floats(-2, 12), st.floats(-2, 10)), min_size=3, max_size=3))
def test_triangles_equal_their_half_planes(corners):
    a, b, c = map(np.array, corners)
    xx, yy = np.meshgrid(X, Y)
    sides = [(q[0] - p[0]) * (yy - p[1]) - (q[1] - p[1]) * (xx - p[0]) for p, q in ((a, b), (b, c), (c, a))]
    clear = np.min(np.abs(sides), axis=0) > 1e-9
    wanted = (np.min(sides, axis=0) > 0) | (np.max(sides, axis=0) < 0)
    np.testing.assert_array_equal(inside_polygons(X, Y, [np.array(corners)])[clear], wanted[clear])


def test_several_polygons_join():
    left, right = ([[x, 1.0], [x + 4, 1], [x + 4, 5], [x, 5]] for x in (1.0, 3.0))
    both = inside_polygons(X, Y, [np.array(left), np.array(right)])
    xx, yy = np.meshgrid(X, Y)
    np.testing.assert_array_equal(both, (xx > 1) & (xx < 7) & (yy > 1) & (yy < 5))
    assert not inside_polygons(X, Y, []).any()
