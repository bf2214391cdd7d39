"""Resampling kernels against plain numpy."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mimtpy_cloud.kernels.resample import gather_average, gather_bilinear, gather_nearest, has_data, scatter_chunk

GUARD = 1e-6
EMPTY = -7.0


# ---- twins


def nearest_twin(source, rows, cols):
    out = np.full((source.shape[0], *rows.shape), EMPTY, source.dtype)
    for i, j in np.ndindex(rows.shape):
        if np.isfinite(rows[i, j]) and np.isfinite(cols[i, j]):
            y, x = math.floor(rows[i, j] + 0.5 + GUARD), math.floor(cols[i, j] + 0.5 + GUARD)
            if 0 <= y < source.shape[1] and 0 <= x < source.shape[2]:
                out[:, i, j] = source[:, y, x]
    return out


def bilinear_twin(source, rows, cols):
    """Weights of a tent around each position, over all pixels of the source."""
    out = np.full((source.shape[0], *rows.shape), EMPTY, source.dtype)
    y, x = np.arange(source.shape[1])[:, np.newaxis], np.arange(source.shape[2])
    for i, j in np.ndindex(rows.shape):
        r, c = rows[i, j], cols[i, j]
        if -0.5 < r < source.shape[1] - 0.5 and -0.5 < c < source.shape[2] - 0.5:
            weight = np.clip(1 - abs(y - r), 0, None) * np.clip(1 - abs(x - c), 0, None)
            for t, layer in enumerate(source):
                usable = np.where(np.isnan(layer), 0, weight)
                if usable.sum() >= 0.5 - 1e-9:
                    out[t, i, j] = np.nansum(usable * np.nan_to_num(layer.astype("f8"))) / usable.sum()
    return out


def average_twin(source, rows, cols, height, width):
    out = np.full((source.shape[0], *rows.shape), EMPTY, source.dtype)
    y, x = np.arange(source.shape[1]), np.arange(source.shape[2])
    for i, j in np.ndindex(rows.shape):
        r, c = rows[i, j], cols[i, j]
        inside_y = (y >= r - height / 2 - GUARD) & (y < r + height / 2 - GUARD)
        inside_x = (x >= c - width / 2 - GUARD) & (x < c + width / 2 - GUARD)
        for t, layer in enumerate(source):
            values = layer[np.ix_(inside_y, inside_x)].astype("f8")
            if np.isfinite(values).any():
                out[t, i, j] = np.nanmean(values)
    return out


def empty(source, rows):
    return np.full((source.shape[0], *rows.shape), EMPTY, source.dtype)


def nearest(source, rows, cols):
    out = empty(source, rows)
    gather_nearest(source, rows, cols, out)
    return out


def bilinear(source, rows, cols):
    out = empty(source, rows)
    gather_bilinear(source, rows, cols, out)
    return out


def average(source, rows, cols, height, width):
    out = empty(source, rows)
    gather_average(source, rows, cols, height, width, out)
    return out


@st.composite
def scenes(draw, gaps=0.3):
    """A source with gaps, and positions in and around it, some of them NaN or infinite."""
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    layers, height, width = draw(st.tuples(st.integers(1, 3), st.integers(1, 8), st.integers(1, 8)))
    source = rng.normal(size=(layers, height, width)).astype("float32")
    source[rng.random(source.shape) < draw(st.floats(0, gaps))] = np.nan
    shape = draw(st.tuples(st.integers(1, 6), st.integers(1, 6)))
    rows, cols = rng.uniform(-2, height + 1, shape), rng.uniform(-2, width + 1, shape)
    if draw(st.booleans()):  # on centres and on ties
        rows, cols = np.round(rows * 2) / 2, np.round(cols * 2) / 2
    for value in (np.nan, np.inf, -np.inf):
        rows[rng.random(shape) < 0.05] = value
        cols[rng.random(shape) < 0.05] = value
    return source, rows, cols


@given(scenes())
def test_nearest_equals_numpy(scene):
    np.testing.assert_array_equal(nearest(*scene), nearest_twin(*scene))


@given(scenes())
def test_bilinear_equals_numpy(scene):
    np.testing.assert_allclose(bilinear(*scene), bilinear_twin(*scene), rtol=1e-5, atol=1e-6)


@given(scenes(), st.floats(1, 4), st.floats(1, 4))
def test_average_equals_numpy(scene, height, width):
    np.testing.assert_allclose(
        average(*scene, height, width), average_twin(*scene, height, width), rtol=1e-5, atol=1e-6
    )


# ---- known answers


def positions(rows, cols):
    return tuple(np.array(p, float, order="C") for p in np.broadcast_arrays(np.c_[rows], np.r_[cols]))


def test_nearest_takes_any_type():
    source = np.array([[[True, False], [False, True]]])
    np.testing.assert_array_equal(nearest(source, *positions([0.2, 0.9], [0.1, 1.4]))[0], source[0])


def test_a_tie_goes_to_the_later_pixel_whatever_the_rounding():
    source = np.arange(4.0).reshape(1, 1, 4)
    for error in (-1e-9, 0, 1e-9):
        found = nearest(source, *positions([0], np.array([0.5, 1.5, 2.5]) + error))
        assert found.tolist() == [[[1, 2, 3]]]
    assert nearest(source, *positions([0], [0.5 - 1e-4])).item() == 0


def test_nearest_reaches_to_the_outer_edge_and_not_beyond():
    source = np.array([[[3.0]]])
    found = nearest(source, *positions([0], [-0.5, -0.51, 0.49, 0.5]))
    assert found.tolist() == [[[3, EMPTY, 3, EMPTY]]]


@given(
    st.tuples(st.floats(-5, 5), st.floats(-5, 5), st.floats(-5, 5)),
    st.lists(st.tuples(st.floats(0, 5), st.floats(0, 7)), min_size=1, max_size=20),
)
def test_bilinear_reproduces_a_plane(plane, places):
    a, b, c = plane
    y, x = np.mgrid[0:6, 0:8]
    source = (a + b * y + c * x)[np.newaxis]
    rows, cols = (np.array([p]) for p in zip(*places, strict=True))
    np.testing.assert_allclose(bilinear(source, rows, cols)[0], a + b * rows + c * cols, rtol=0, atol=1e-12)


def test_bilinear_at_a_centre_is_the_pixel_even_beside_gaps():
    source = np.full((1, 3, 3), np.nan)
    source[0, 1, 1] = 5
    assert bilinear(source, *positions([1], [1])).item() == 5
    np.testing.assert_array_equal(
        bilinear(source, *positions([1], [1.4, 1.5, 1.6]))[0], [[5, 5, EMPTY]]
    )  # half the weight is enough
    assert bilinear(source, *positions([1.4], [1.4])).item() == EMPTY


def test_bilinear_continues_to_the_outer_edge_by_the_last_pixel():
    source = np.arange(6.0).reshape(1, 2, 3)
    assert bilinear(source, *positions([0], [-0.4, 2.4])).tolist() == [[[0, 2]]]
    assert bilinear(source, *positions([0], [-0.6, 2.6])).tolist() == [[[EMPTY, EMPTY]]]
    assert bilinear(source, *positions([-0.4], [-0.4])).item() == EMPTY  # a corner holds 0.36 of the weight


@given(st.floats(-1e6, 1e6, width=32), st.floats(1, 5), st.floats(1, 5), st.floats(-0.5, 0.5))
def test_the_average_of_a_constant_is_the_constant(value, height, width, shift):
    source = np.full((2, 20, 20), value, "float32")
    source[0, 7, 7] = np.nan
    found = average(source, *positions(np.arange(4, 16, 2) + shift, np.arange(4, 16, 2) - shift), height, width)
    assert (found == np.float32(value)).all()


@pytest.mark.parametrize("ratio", [2, 3, 5])
def test_the_average_over_whole_blocks_is_their_mean_and_counts_every_pixel_once(ratio):
    source = np.random.default_rng(0).normal(size=(2, 4 * ratio, 6 * ratio))
    centres = [(np.arange(n) + 0.5) * ratio - 0.5 for n in (4, 6)]
    found = average(source, *positions(*centres), ratio, ratio)
    expected = source.reshape(2, 4, ratio, 6, ratio).mean(axis=(2, 4))
    np.testing.assert_allclose(found, expected, rtol=1e-12)
    jitter = average(source, *positions(centres[0] + 1e-9, centres[1] - 1e-9), ratio, ratio)
    np.testing.assert_array_equal(jitter, found)


def test_the_average_leaves_gaps_out_and_a_cell_of_gaps_alone():
    source = np.array([[[1.0, np.nan, np.nan, np.nan], [3.0, 5.0, np.nan, np.nan]]])
    found = average(source, *positions([0.5], [0.5, 2.5]), 2, 2)
    assert found.tolist() == [[[3, EMPTY]]]


@given(scenes(gaps=0))
def test_source_and_positions_are_left_as_they_were(scene):
    before = [a.copy() for a in scene]
    nearest(*scene)
    bilinear(*scene)
    average(*scene, 2.0, 2.0)
    for a, b in zip(scene, before, strict=True):
        np.testing.assert_array_equal(a, b)


# ---- scatter


def scatter_twin(chunk, dates, tiles, first_date, rows, first_row, source_row, cols, first_col, source_col):
    ring, _, _, side, _ = tiles.shape
    for t in range(*dates):
        for i, row in enumerate(rows):
            for j, col in enumerate(cols):
                y, x = first_row + i, first_col + j
                value = chunk[t, row - source_row, col - source_col]
                tiles[y // side % ring, x // side, first_date + t - dates[0], y % side, x % side] = value


@given(st.data())
def test_scattering_a_chunk_equals_numpy(data):
    draw = data.draw
    side, ring = draw(st.integers(2, 6)), draw(st.integers(2, 3))
    depth, height, width = draw(st.integers(1, 3)), draw(st.integers(1, 8)), draw(st.integers(1, 8))
    chunk = np.random.default_rng(0).normal(size=(depth, height, width)).astype("float32")
    source_row, source_col = draw(st.integers(0, 20)), draw(st.integers(0, 20))

    def feeds(size, first):
        """Source indices of successive targets at an even step that fall into the chunk."""
        step, start = draw(st.sampled_from([0.3, 0.5, 1.0, 1.0, 1.7, 3.0])), draw(st.floats(0, 1))
        index = np.floor(first - 0.5 + start + step * np.arange(40) + 0.5 + GUARD).astype(np.int64)
        return index[(index >= first) & (index < first + size)]

    rows, cols = feeds(height, source_row), feeds(width, source_col)
    first_row, first_col = draw(st.integers(0, 30)), draw(st.integers(0, 30))
    rows = rows[: (ring - 1) * side]  # the ring is planned so that a chunk fits
    first = draw(st.integers(0, depth - 1))
    dates = (first, draw(st.integers(first, depth)))
    first_date = draw(st.integers(0, 2))
    tiles = np.full((ring, (first_col + cols.size) // side + 1, depth + 2, side, side), EMPTY, "float32")
    expected = tiles.copy()
    arguments = (first_date, rows, first_row, source_row, cols, first_col, source_col)
    scatter_chunk(chunk, dates, tiles, *arguments)
    scatter_twin(chunk, dates, expected, *arguments)
    np.testing.assert_array_equal(tiles, expected)


def test_a_chunk_that_feeds_nothing_changes_nothing():
    none, tiles = np.empty(0, np.int64), np.full((2, 1, 1, 4, 4), EMPTY, "float32")
    some = np.arange(2)
    for rows, cols in ((none, some), (some, none)):
        scatter_chunk(np.zeros((1, 2, 2), "float32"), (0, 1), tiles, 0, rows, 0, 0, cols, 0, 0)
    assert (tiles == EMPTY).all()


# ---- has_data


@given(st.integers(0, 59), st.sampled_from([0.0, -1.0, np.inf, -np.inf]), st.sampled_from(["f4", "f8"]))
def test_one_value_anywhere_is_data(place, value, dtype):
    block = np.full((3, 4, 5), np.nan, dtype)
    assert not has_data(block)
    block.flat[place] = value
    assert has_data(block)


def test_an_empty_block_has_no_data():
    assert not has_data(np.empty((0, 3), "float32"))
