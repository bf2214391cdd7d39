"""Leaves of an image: rules, oracles, and a recursion over the pixels that says the same."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mimtpy_cloud.errors import SchemaError
from mimtpy_cloud.kernels.quadtree import RULES, Rules, leaf_means, quadtree, smallest_leaf


def squares(leaves):
    return sorted(zip(leaves.row.tolist(), leaves.col.tolist(), leaves.size.tolist(), strict=True))


@pytest.mark.parametrize("rule", RULES)
def test_the_leaves_are_those_of_kite_on_a_small_grid(oracles, rule):
    wanted = oracles["O29"]
    grid = np.array(wanted["grid"])
    assert grid.std() == pytest.approx(wanted["global_std"], rel=1e-9)
    assert grid[4:, 4:].std() == pytest.approx(wanted["std_of_node_4_4_4"], rel=1e-9)
    found = quadtree(grid, Rules(2.0, 1, 8, rule=rule))
    table = np.column_stack([found.row, found.col, found.size, found.mean, found.median, found.scatter])
    np.testing.assert_allclose(table, wanted["leaves_eps2"], rtol=1e-9, atol=1e-12)
    assert found.rms == pytest.approx(wanted["reduction_rms_eps2"], rel=1e-9)
    assert quadtree(grid, Rules(1.0, 1, 8, rule=rule)).row.size == wanted["n_eps1"]
    assert quadtree(grid, Rules(1.0, 2, 8, rule=rule)).row.size == wanted["n_eps1_min2px"]


@pytest.mark.parametrize("rule", RULES)
def test_a_leaf_with_too_few_pixels_is_dropped(oracles, rule):
    grid = np.array(oracles["O29"]["grid"])
    grid[:4, :4] = np.nan
    grid[1, 2] = 0.0
    wanted = oracles["O29b"]
    found = quadtree(grid, Rules(2.0, 1, 8, 0.9, rule))
    table = np.column_stack([found.row, found.col, found.size, found.mean, found.median, found.scatter])
    np.testing.assert_allclose(table, wanted["leaves"], rtol=1e-9, atol=1e-12)
    kept = quadtree(grid, Rules(2.0, 1, 8, 1.0, rule))
    assert kept.row.size == wanted["n"] + 1
    assert kept.count[0] == 1


def test_only_the_strict_rule_keeps_the_longest_side_where_the_image_is_flat(oracles):
    wanted, grid = oracles["O29c"], np.array(oracles["O29"]["grid"])
    numbers = wanted["eps"], wanted["min_px"], wanted["max_px"]
    strict, kite = (quadtree(grid, Rules(*numbers, rule=rule)) for rule in RULES)
    assert (strict.row.size, kite.row.size) == (wanted["strict_leaf_count"], wanted["kite_leaf_count"])
    assert strict.size.max() == 2
    assert kite.size.max() == 4


def recursion(image, rules):
    """Squares by looking at all pixels of each again and again."""
    root = 1 << math.ceil(math.log2(min(image.shape)))
    min_px, max_px = rules.limits(image.shape)
    std = np.nanstd(image)
    epsilon = std if rules.epsilon is None else rules.epsilon
    found = []

    def visit(row, col, length):
        part = image[row : row + length, col : col + length]
        if not part.size or np.isnan(part).all():
            return
        grown = length > 1
        if rules.rule == "kite":
            shortest = 2.0 ** round(math.log(max(image.shape) / 64))
            grown = grown and length >= shortest and (np.nanstd(part) > 0.1 * std or length >= 64)
        if not grown or length / 2 < min_px or (np.nanstd(part) < epsilon and length <= max_px):
            if np.isnan(part).mean() < rules.max_nan:
                found.append((row, col, length))
            return
        half = length // 2
        for i in (row, row + half):
            for j in (col, col + half):
                visit(i, j, half)

    for row in range(0, image.shape[0], root):
        for col in range(0, image.shape[1], root):
            visit(row, col, root)
    return sorted(found)


@st.composite
def scenes(draw):
    ny, nx = draw(st.integers(1, 150)), draw(st.integers(1, 150))
    rng = np.random.default_rng(draw(st.integers(0, 10**6)))
    y, x = np.mgrid[:ny, :nx]
    image = 3 * np.exp(-((x - nx * rng.random()) ** 2 + (y - ny * rng.random()) ** 2) / 200)
    image += 1000 + draw(st.sampled_from([0.01, 0.3])) * rng.standard_normal((ny, nx))
    image[rng.random((ny, nx)) < draw(st.sampled_from([0.0, 0.3, 0.95]))] = np.nan
    image[: ny // 3, : nx // 2] = np.nan
    image[-1, -1] = 1000.0
    return image


@given(
    image=scenes(),
    epsilon=st.sampled_from([None, 0.05, 0.31]),
    min_px=st.integers(1, 9),
    max_px=st.integers(9, 70),
    max_nan=st.sampled_from([0.5, 0.9, 1.0]),
    rule=st.sampled_from(RULES),
)
def test_leaves_and_their_numbers_are_those_of_a_recursion_over_the_pixels(
    image, epsilon, min_px, max_px, max_nan, rule
):
    rules = Rules(epsilon, min_px, max_px, max_nan, rule)
    found = quadtree(image, rules)
    if epsilon is not None:  # else the image is compared with itself, and rounding decides
        assert squares(found) == recursion(image, rules)
    if max_nan == 1:
        assert found.count.sum() == np.isfinite(image).sum()
        assert (found.count * found.mean).sum() / found.count.sum() == pytest.approx(np.nanmean(image), rel=1e-12)
    assert len(set(squares(found))) == found.row.size
    for k, (row, col, size) in enumerate(zip(found.row, found.col, found.size, strict=True)):
        part = image[row : row + size, col : col + size]
        rows, cols = np.nonzero(np.isfinite(part))
        numbers = found.count[k], found.mean[k], found.median[k], found.mean_row[k], found.mean_col[k]
        wanted = rows.size, np.nanmean(part), np.nanmedian(part), row + rows.mean(), col + cols.mean()
        np.testing.assert_allclose(numbers, wanted, rtol=1e-12)
        assert found.scatter[k] == pytest.approx(np.nanstd(part), abs=1e-6)


def test_a_large_mean_cancels_nothing():
    image = np.random.default_rng(1).normal(0, 1e-3, (64, 64)) + 1e4
    found = quadtree(image, Rules(1.0, 64, 64))
    assert found.scatter[0] == pytest.approx(image.std(), rel=1e-6)


def test_a_plane_is_one_leaf_where_its_slope_does_not_count():
    y, x = np.mgrid[:32, :32]
    image = 0.5 * x - 0.2 * y + np.random.default_rng(2).normal(0, 0.01, (32, 32))
    image[5:9, 3:11] = np.nan
    flat, sloped = (quadtree(image, Rules(0.1, 2, 32, plane=plane)) for plane in (False, True))
    assert flat.row.size > 100
    assert sloped.row.size == 1
    design = np.column_stack([np.ones(1024), x.ravel(), y.ravel()])[np.isfinite(image.ravel())]
    known = image[np.isfinite(image)]
    rest = known - design @ np.linalg.lstsq(design, known, rcond=None)[0]
    assert sloped.scatter[0] == pytest.approx(rest.std(), rel=1e-6)
    assert sloped.rms == pytest.approx(known.std(), rel=1e-9)


@pytest.mark.parametrize("line", [np.s_[:, :1], np.s_[:1, :]])
def test_pixels_on_a_line_have_a_plane_too(line):
    image = (np.arange(16.0)[:, None] + np.arange(16.0))[line]
    assert quadtree(image, Rules(0.1, 1, 16, plane=True)).scatter == pytest.approx(0, abs=1e-6)


def test_many_equal_values_infinities_and_float32_have_medians():
    image = np.zeros((64, 64), np.float32)
    image[:20] = 1.0
    image[40, 40], image[41, 41] = np.inf, -np.inf
    found = quadtree(image, Rules(10.0, 64, 64))
    assert (found.count[0], found.median[0]) == (64 * 64 - 2, 0.0)
    assert found.mean[0] == pytest.approx(20 * 64 / found.count[0])


def test_sizes_that_are_not_given_follow_the_image_and_each_other():
    assert Rules().limits((300, 400)) == (20, 80)
    assert Rules(min_px=100).limits((300, 400)) == (100, 100)
    assert Rules(max_px=8).limits((300, 400)) == (8, 8)
    assert Rules().limits((1, 1)) == (1, 1)
    assert smallest_leaf((300, 400), Rules(min_px=100)) == 128
    assert smallest_leaf((30, 40), Rules(min_px=100)) == 32


def test_means_of_other_quantities_are_over_the_pixels_that_count():
    leaves = quadtree(np.array([[0.0, 0.0, 9.0], [0.0, 0.0, np.nan]]), Rules(1.0, 1, 2))
    sums = np.array([[[1.0, 1.0, 1.0], [1.0, 0.0, 0.0]], [[3.0, 4.0, 7.0], [5.0, 0.0, 0.0]]])
    np.testing.assert_allclose(leaf_means(sums, leaves, 1), [[4.0, 7.0]])


@pytest.mark.parametrize(
    ("numbers", "message"),
    [
        ({"rule": "loose"}, "rule must be one of strict, kite, got 'loose'"),
        ({"epsilon": -1.0}, "epsilon must be finite and not negative, got -1.0"),
        ({"epsilon": math.nan}, "epsilon must be finite"),
        ({"max_nan": 1.5}, "max_nan must be above 0, up to 1, got 1.5"),
        ({"min_px": 0}, "min_px must be a whole number of pixels from 1 on, got 0"),
        ({"max_px": 2.5}, "max_px must be a whole number"),
        ({"min_px": 9, "max_px": 8}, "min_px must not be above max_px, got 9 and 8"),
    ],
)
def test_rules_that_are_none_are_refused(numbers, message):
    with pytest.raises(SchemaError, match=message):
        Rules(**numbers)


def test_images_without_pixels_or_data_are_refused():
    with pytest.raises(SchemaError, match=r"shape \(y, x\), got \(3,\)"):
        quadtree(np.zeros(3), Rules())
    with pytest.raises(SchemaError, match="no pixel with data"):
        quadtree(np.full((3, 3), np.nan), Rules())


def test_an_outlier_leaves_the_other_leaves_as_they_are() -> None:
    image = np.random.default_rng(3).normal(0, 1e-3, (64, 64))
    rules = Rules(epsilon=1e-4, min_px=8, max_px=16)
    clean = quadtree(image, rules)
    image[0, 0] = 1e20
    spoilt = quadtree(image, rules)
    np.testing.assert_allclose(spoilt.mean[1:], clean.mean[1:], rtol=1e-12, atol=1e-15)
    np.testing.assert_allclose(spoilt.scatter[1:], clean.scatter[1:], rtol=1e-9)
