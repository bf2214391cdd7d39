"""Statistics of a seam, on blocks."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mimtpy_cloud.kernels.seam import JOINT, STATISTICS, common_values, fit_line, sigma_edges, summarise_seam


def cloud(n=4000, noise=0.3, slope=0.8, intercept=0.5, seed=0):
    """Points of a line with equal noise in both directions."""
    rng = np.random.default_rng(seed)
    truth = rng.normal(0, 2, n)
    return truth + rng.normal(0, noise, n), slope * truth + intercept + rng.normal(0, noise, n)


def test_pixels_count_only_where_both_are_finite_and_valid():
    first = np.array([[1, 2, np.nan, 4, np.inf]], "f4")
    second = np.array([[5, np.nan, 6, 7, 8]], "f4")
    valid = np.array([[True, True, True, False, True]])
    values = common_values(first, second, None, valid)
    np.testing.assert_array_equal(values[0], [[1, np.nan, np.nan, np.nan, np.nan]])
    np.testing.assert_array_equal(values[1], [[5, np.nan, np.nan, np.nan, np.nan]])
    assert values.dtype == np.float32
    assert np.isfinite(first).sum() == 3  # untouched


def test_statistics_are_those_of_numpy():
    first, second = (values.reshape(50, 80) for values in cloud())
    difference = first - second
    summary = summarise_seam(np.stack([first, second]), 40)
    found = dict(zip(STATISTICS, summary.statistics, strict=True))
    median = np.median(difference)
    assert found["median"] == median
    assert found["mad"] == pytest.approx(np.median(np.abs(difference - median)))
    assert found["sigma"] == pytest.approx(1.482602218505602 * found["mad"])
    assert found["mean"] == pytest.approx(difference.mean())
    assert found["rms"] == pytest.approx(np.sqrt((difference**2).mean()))
    assert found["correlation"] == pytest.approx(np.corrcoef(first.ravel(), second.ravel())[0, 1])
    assert found["count"] == 4000


def test_the_line_is_the_principal_axis_and_not_that_of_ordinary_regression():
    first, second = cloud()
    slope, intercept, _ = fit_line(first, second)
    values, vectors = np.linalg.eigh(np.cov(first, second))
    axis = vectors[:, np.argmax(values)]
    assert slope == pytest.approx(axis[1] / axis[0])
    assert intercept == pytest.approx(second.mean() - slope * first.mean())
    assert slope == pytest.approx(0.8, abs=0.01)
    assert np.polyfit(first, second, 1)[0] < slope - 0.01  # noise of the first flattens it


def test_exchanged_products_give_the_inverse_slope():
    first, second = cloud(slope=-1.7)
    assert fit_line(second, first)[0] == pytest.approx(1 / fit_line(first, second)[0])


@pytest.mark.parametrize(
    ("first", "second", "slope", "correlation"),
    [
        ([], [], np.nan, np.nan),
        ([1.0], [2.0], np.nan, np.nan),
        ([1.0, 2.0, 3.0], [5.0, 5.0, 5.0], 0.0, np.nan),
        ([5.0, 5.0], [1.0, 2.0], np.nan, np.nan),
        ([0.0, 1.0, 0.0, 1.0], [0.0, 0.0, 1.0, 1.0], np.nan, 0.0),
        ([0.0, 2.0, 4.0], [4.0, 2.0, 0.0], -1.0, -1.0),
    ],
    ids=["nothing", "a point", "level", "upright", "square", "falling"],
)
def test_lines_that_do_not_exist_are_nan(first, second, slope, correlation):
    found = fit_line(np.array(first), np.array(second))
    np.testing.assert_allclose((found[0], found[2]), (slope, correlation))


def test_classes_reach_four_sigma_or_what_there_is():
    assert sigma_edges(np.array([1.0, 2.0]), 1.5, 0.5, 8).tolist() == [-0.5, 0, 0.5, 1, 1.5, 2, 2.5, 3, 3.5]
    edges = sigma_edges(np.array([3.0, 3.0, 5.0]), 3.0, 0.0, 2)
    assert edges[-1] > 5.0 > edges[1] == 3.0
    equal = sigma_edges(np.array([3.0, 3.0]), 3.0, 0.0, 2)
    assert equal[0] < 3.0 < equal[-1]
    assert np.isnan(sigma_edges(np.array([]), np.nan, np.nan, 3)).all()


def test_histogram_counts_each_difference_inside_its_edges_once():
    first = np.array([[0.0, 1.0, 1.0, 2.5, 9.0]])
    summary = summarise_seam(np.stack([first, np.zeros_like(first)]), np.array([0.0, 1.0, 2.0, 3.0]))
    assert summary.histogram.tolist() == [1, 2, 1]
    assert summary.edges.tolist() == [0, 1, 2, 3]


def test_joint_histogram_has_first_along_its_first_axis():
    first, second = cloud(noise=0.01, slope=0.5)
    summary = summarise_seam(np.stack([first[np.newaxis], second[np.newaxis]]), 10)
    assert summary.joint.shape == (JOINT, JOINT)
    middle = (summary.joint_edges[1:] + summary.joint_edges[:-1]) / 2
    share = summary.joint / summary.joint.sum()
    assert (share.sum(axis=1) * middle).sum() == pytest.approx(first.mean(), abs=0.05)
    assert (share.sum(axis=0) * middle).sum() == pytest.approx(second.mean(), abs=0.05)
    assert summary.joint.sum() >= 0.99 * first.size


def test_no_common_pixel_gives_nan_and_a_count_of_zero():
    summary = summarise_seam(np.full((2, 3, 3), np.nan), 5)
    assert np.isnan(summary.statistics[:-1]).all()
    assert summary.statistics[-1] == summary.histogram.sum() == summary.joint.sum() == 0


@given(st.lists(st.tuples(st.floats(-9, 9, width=16), st.floats(-9, 9, width=16)), min_size=1, max_size=30))
def test_exchanging_the_products_changes_the_sign_only(points):
    values = np.array(points).T[:, np.newaxis]
    one, two = (dict(zip(STATISTICS, summarise_seam(v, 5).statistics, strict=True)) for v in (values, values[::-1]))
    assert (one["median"], one["mean"]) == (-two["median"], -two["mean"])
    assert [one[k] for k in ("mad", "sigma", "rms", "count")] == [two[k] for k in ("mad", "sigma", "rms", "count")]


def test_long_arrays_are_summed_in_pieces(monkeypatch):
    first, second = cloud(n=5000)
    values = np.stack([first.reshape(50, 100), second.reshape(50, 100)])
    whole = summarise_seam(values, 9)
    monkeypatch.setattr("mimtpy_cloud.kernels.seam._PIECE", 700)
    pieces = summarise_seam(values, 9)
    np.testing.assert_allclose(pieces.statistics, whole.statistics, rtol=1e-12)
    counts, _, _ = np.histogram2d(first, second, [pieces.joint_edges] * 2)
    np.testing.assert_array_equal(pieces.joint, counts)
