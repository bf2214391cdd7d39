"""Blending kernels against plain numpy on padded stacks."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from synthetic import look_vector

from mimtpy_cloud.kernels.blend import blend_any, blend_max, blend_mean, blend_std, blend_unit, count_finite

SHAPE = (5, 6)
YES = np.ones((1, 1), bool)


@st.composite
def patches(draw):
    found = []
    for _ in range(draw(st.integers(0, 4))):
        ny, nx = draw(st.integers(1, 5)), draw(st.integers(1, 6))
        seed = draw(st.integers(0, 2**31))
        rng = np.random.default_rng(seed)
        block = rng.normal(size=(ny, nx)).astype("f4")
        block[rng.random((ny, nx)) < 0.3] = np.nan
        found.append((block, draw(st.integers(0, 5 - ny)), draw(st.integers(0, 6 - nx))))
    return found


def stacked(parts):
    stack = np.full((len(parts) + 1, *SHAPE), np.nan)  # one empty layer keeps reductions defined
    for layer, (block, row, col) in zip(stack, parts, strict=False):
        layer[row : row + block.shape[0], col : col + block.shape[1]] = block
    return stack


@given(parts=patches(), shift=st.lists(st.floats(-1, 1), min_size=4, max_size=4))
def test_mean_equals_numpy(parts, shift):
    stack = stacked(parts)
    for layer, offset in zip(stack, shift[: len(parts)], strict=False):
        np.add(layer, offset, out=layer)
    known = np.isfinite(stack)
    n = known.sum(axis=0)
    with np.errstate(invalid="ignore"):
        expected = np.where(known, stack, 0).sum(axis=0) / n
    got = blend_mean(SHAPE, parts, shift[: len(parts)])
    assert got.dtype == np.float32
    np.testing.assert_allclose(got, expected, rtol=1e-6, atol=1e-7)
    np.testing.assert_array_equal(count_finite(SHAPE, parts), n)


@given(parts=patches(), cut=st.tuples(st.integers(0, 3), st.integers(0, 3)))
def test_views_of_larger_arrays_blend_as_their_copies(parts, cut):
    def inside(block):
        whole = np.full((block.shape[0] + cut[0] + 1, block.shape[1] + cut[1] + 2), 7, block.dtype)
        whole[cut[0] : cut[0] + block.shape[0], cut[1] : cut[1] + block.shape[1]] = block
        return whole[cut[0] : cut[0] + block.shape[0], cut[1] : cut[1] + block.shape[1]]

    views = [(inside(block), row, col) for block, row, col in parts]
    spread = [(np.repeat(block, 2, axis=1)[:, ::2], row, col) for block, row, col in parts]
    for others in (views, spread):
        np.testing.assert_array_equal(blend_mean(SHAPE, others), blend_mean(SHAPE, parts))


def test_a_transposed_column_is_a_row():
    column = np.arange(1.0, 5, dtype="f4").reshape(4, 1)
    tens = np.full((1, 4), 10, "f4")
    assert blend_mean((1, 4), [(column.T, 0, 0), (tens, 0, 0)]).tolist() == [[5.5, 6, 6.5, 7]]
    assert blend_mean((1, 4), [(column.T, 0, 0)]).tolist() == [[1, 2, 3, 4]]
    flat = np.arange(12, dtype="f4").reshape(3, 4)
    shifted = flat.ravel()[2:10].reshape(2, 4)
    np.testing.assert_array_equal(blend_mean((2, 4), [(shifted, 0, 0)]), shifted)


def test_pieces_of_a_block_make_the_same_mean():
    rng = np.random.default_rng(1)
    a, b, c = (rng.normal(size=(6, 8)).astype("f4") for _ in range(3))
    a[2:4, 3:6], b[1, :5] = np.nan, np.nan
    wanted = blend_mean((9, 10), [(a, 0, 0), (b, 3, 2), (c, 2, 1)], [0.5, -1, 2])
    pieces = [(a[:2], 0, 0), (a[2:, :5], 2, 0), (a[2:, 5:], 2, 5)]
    np.testing.assert_array_equal(blend_mean((9, 10), [*pieces, (b, 3, 2), (c, 2, 1)], [0.5, 0.5, 0.5, -1, 2]), wanted)


def test_values_of_weight_zero_have_no_part_in_the_std():
    patches = [(np.array([[3.0, 3.0, 3.0]]), 0, 0), (np.array([[np.nan, np.nan, 4.0]]), 0, 0)]
    used, weights = [np.ones((1, 3), bool)] * 2, [np.array([[2.0, 2.0, 0.0]]), np.array([[0.0, 1.0, 0.0]])]
    np.testing.assert_array_equal(blend_std((1, 3), patches, used, weights), np.array([[3.0, np.nan, 2.5]]))


@given(parts=patches())
def test_std_and_max_equal_numpy(parts):
    parts = [(abs(block), row, col) for block, row, col in parts]
    stack = stacked(parts)
    used = [np.nan_to_num(block, nan=9.0) > 0.5 for block, _, _ in parts]  # some without a standard deviation
    taken = np.nan_to_num(stacked([(np.where(u, 1.0, np.nan), *p[1:]) for u, p in zip(used, parts, strict=True)])) > 0
    with np.errstate(invalid="ignore"):
        std = np.sqrt(np.where(taken, stack**2, 0).sum(axis=0)) / taken.sum(axis=0)
    np.testing.assert_allclose(blend_std(SHAPE, parts, used), std, rtol=1e-6)
    np.testing.assert_array_equal(blend_max(SHAPE, parts), np.fmax.reduce(stack).astype("f4"))


def test_three_tracks_have_equal_weights(oracles):
    case = oracles["O13"]
    one = [(np.full((1, 1), v, "f4"), 0, 0) for v in case["values"]]
    assert blend_mean((1, 1), one).item() == case["true_mean"]


def test_blocks_are_not_modified_and_views_are_accepted():
    base = np.arange(12.0, dtype="f4").reshape(3, 4)
    before = base.copy()
    got = blend_mean((3, 2), [(base[:, ::2], 0, 0)], [1.0])
    np.testing.assert_array_equal(got, before[:, ::2] + 1)
    np.testing.assert_array_equal(base, before)


def test_any_is_true_where_one_block_is():
    a, b = np.array([[True, False]]), np.array([[False, False, True]])
    assert blend_any((1, 4), [(a, 0, 0), (b, 0, 1)]).tolist() == [[True, False, False, True]]


def test_mean_azimuth_across_the_south_is_south(oracles):
    angles = oracles["O49"]["angles"]
    vectors = [[np.full((1, 1), part, "f4") for part in look_vector(39.0, a)] for a in angles]
    mean = blend_unit((1, 1), *[[(v[k], 0, 0) for v in vectors] for k in range(3)], [YES] * len(vectors))
    east, north, up = mean[:, 0, 0]
    assert np.rad2deg(np.arctan2(-east, north)) % 360 == oracles["O49"]["circular"]
    np.testing.assert_allclose(east**2 + north**2 + up**2, 1, rtol=1e-6)


def test_unit_vector_of_a_single_block_is_unchanged_and_opposite_ones_cancel():
    vector = np.array([0.6000001, 0.1, 0.79], "f4")
    parts = [[(np.full((1, 1), v), 0, 0)] for v in vector]
    np.testing.assert_array_equal(blend_unit((1, 1), *parts, [YES]).ravel(), vector)
    both = [[*p, (-p[0][0], 0, 0)] for p in parts]
    assert np.isnan(blend_unit((1, 1), *both, [YES, YES])).all()


def test_unit_vector_is_that_of_the_used_blocks_and_of_all_where_none_is():
    a, b = np.array([0.6, 0.0, 0.8], "f4"), np.array([0.0, 0.6, 0.8], "f4")
    parts = [
        [(np.full((1, 4), u), 0, 0), (np.array([[v, v, v, np.nan]], "f4"), 0, 0)] for u, v in zip(a, b, strict=True)
    ]
    used = [np.array([[True, False, False, True]]), np.array([[False, True, False, True]])]
    got = blend_unit((1, 4), *parts, used)[:, 0].T
    np.testing.assert_array_equal(got[:2], [a, b])
    np.testing.assert_allclose(got[2], (a + b) / np.linalg.norm(a + b), rtol=1e-6)
    assert np.isnan(got[3]).all()  # a look that takes part is unknown
