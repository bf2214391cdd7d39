"""Exact medians of images in pieces."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import array_shapes, arrays

from mimtpy_cloud.kernels.median import median
from mimtpy_cloud.kernels.tiles import Tiles

FLOATS = st.floats(width=32, allow_nan=True, allow_infinity=True)


@given(arrays(np.float32, array_shapes(min_dims=2, max_dims=2, max_side=9), elements=FLOATS), st.integers(1, 9))
def test_median_is_that_of_numpy(image, side):
    pieces = [(image[r : r + side], r, 0) for r in range(0, image.shape[0], side)]
    known = image[np.isfinite(image)].astype(np.float64)
    found = median(Tiles(image.shape, tuple(pieces)))
    if known.size == 0:
        assert np.isnan(found)
    else:
        assert found == pytest.approx(float(np.median(known)), rel=1e-12, abs=0)


def test_views_and_other_dtypes_are_read_as_they_are():
    image = np.random.default_rng(0).normal(size=(30, 40))
    assert median(Tiles.of(image[::2, 3:20])) == pytest.approx(np.median(image[::2, 3:20]), rel=1e-6)
    assert median(Tiles.of(np.arange(9).reshape(3, 3))) == 4.0


def test_a_change_is_made_to_each_piece():
    image = np.arange(12.0).reshape(3, 4)
    tiles = Tiles(image.shape, ((image[:, :2], 0, 0), (image[:, 2:], 0, 2)))
    shifted = tiles.changed(lambda block, rows, cols: block + 100 * rows.start + 10 * cols.start)
    assert median(shifted) == np.median(np.where(np.arange(4) < 2, image, image + 20))
    np.testing.assert_array_equal(shifted.lines(2, 0), np.where(np.arange(4) < 2, image, image + 20)[::2])
    np.testing.assert_array_equal(tiles.lines(3, 1), image[:, ::3].T)


def test_lines_of_pixels_without_a_block_are_no_data():
    tiles = Tiles((4, 5), ((np.ones((2, 2)), 1, 3),))
    wanted = np.full((4, 5), np.nan)
    wanted[1:3, 3:5] = 1
    for step in (1, 2, 3):
        np.testing.assert_array_equal(tiles.lines(step, 0), wanted[::step])
        np.testing.assert_array_equal(tiles.lines(step, 1), wanted[:, ::step].T)
