"""Pixels in a polygon, against a point-in-polygon test of another library."""

import numpy as np
import shapely
from hypothesis import given
from hypothesis import strategies as st

from mimtpy_cloud.kernels.polygon import pixels_in_polygon

X, Y = np.arange(12) + 0.5, 9.5 - np.arange(10)
CORNERS = st.lists(st.tuples(st.floats(-3, 15), st.floats(-3, 13)), min_size=3, max_size=8)


def brute_force(vertices):
    """Even-odd rule, one pixel and one edge at a time."""
    inside = np.zeros((Y.size, X.size), bool)
    for i, y in enumerate(Y):
        for j, x in enumerate(X):
            for (x0, y0), (x1, y1) in zip(vertices, np.roll(vertices, -1, axis=0), strict=True):
                if (y0 <= y) != (y1 <= y) and x0 + (y - y0) / (y1 - y0) * (x1 - x0) <= x:
                    inside[i, j] = not inside[i, j]
    return inside


@given(CORNERS)
def test_any_outline_is_filled_by_the_even_odd_rule(corners):
    vertices = np.array(corners)
    found = pixels_in_polygon(X, Y, vertices)
    np.testing.assert_array_equal(found, brute_force(vertices))
    np.testing.assert_array_equal(found, pixels_in_polygon(X, Y, np.vstack([vertices, vertices[:1]])))


@given(st.integers(0, 2**32 - 1), st.integers(3, 12))
def test_a_simple_polygon_holds_what_shapely_says(seed, n):
    rng = np.random.default_rng(seed)
    angles, radii = np.sort(rng.uniform(0, 2 * np.pi, n)), rng.uniform(1, 6, n)
    vertices = np.column_stack([6 + radii * np.cos(angles), 5 + radii * np.sin(angles)])  # a star around a point
    polygon = shapely.Polygon(vertices)
    if polygon.is_valid:
        xx, yy = np.meshgrid(X, Y)
        np.testing.assert_array_equal(pixels_in_polygon(X, Y, vertices), shapely.contains_xy(polygon, xx, yy))


def test_polygons_that_share_an_edge_through_centres_share_no_pixel():
    west = np.array([[1.5, 2.5], [4.5, 2.5], [4.5, 6.5], [1.5, 6.5]])
    east, south = west + np.array([3.0, 0.0]), west - np.array([0.0, 4.0])
    count = sum(pixels_in_polygon(X, Y, p).astype(int) for p in (west, east, south))
    assert count.max() == 1
    assert [int(pixels_in_polygon(X, Y, p).sum()) for p in (west, east)] == [12, 12]
