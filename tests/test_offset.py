"""Differences of overlapping blocks and their robust summary."""

import tracemalloc

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mimtpy_cloud.kernels.offset import summarise_differences, valid_differences


def test_median_offset_equals_the_oracle(oracles):
    case = oracles["O12"]
    difference = valid_differences(np.array(case["dominant"][2:]), np.array(case["affiliate"][:3]))
    assert difference.tolist() == case["diff"]
    assert summarise_differences([difference])[0] == case["median"]


def test_only_pixels_with_both_values_count():
    first, second = np.array([[1, np.nan], [3, np.inf]], "f4"), np.array([[0.5, 1], [np.nan, 1]], "f4")
    assert valid_differences(first, second).tolist() == [0.5]


def test_robust_sigma_is_that_of_the_noise_despite_outliers():
    values = np.random.default_rng(1).normal(0.02, 0.003, 20_000)
    values[::20] = 5.0
    median, sigma, count = summarise_differences([values])
    assert median == pytest.approx(0.0202, abs=2e-4)
    assert sigma == pytest.approx(0.003, rel=0.1)
    assert count == 20_000


@given(values=st.lists(st.floats(-9, 9), max_size=20), cut=st.integers(0, 20))
def test_summary_does_not_depend_on_pieces_order_or_direction(values, cut):
    v = np.array(values)
    whole = summarise_differences([v])
    np.testing.assert_array_equal(whole, summarise_differences([v[cut:], v[:cut]]))
    np.testing.assert_array_equal(whole * [-1, 1, 1], summarise_differences([-v]))


def test_differences_of_float32_stay_float32_and_are_not_modified():
    piece = valid_differences(np.array([[2.5, 1, np.nan]], "f4"), np.array([[0.5, 4, 1]], "f4"))
    assert piece.dtype == np.float32
    summary = summarise_differences([piece])
    assert piece.tolist() == [2, -3]
    assert summary.dtype == np.float64
    np.testing.assert_allclose(summary, [-0.5, 1.4826022185 * 2.5, 2])


def test_summary_needs_one_copy_of_the_differences():
    piece = np.random.default_rng(0).normal(size=250_000).astype("f4")
    tracemalloc.start()
    summarise_differences([piece])
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 1.5 * piece.nbytes


def test_no_common_pixel_has_no_median():
    median, sigma, count = summarise_differences([])
    assert np.isnan(median)
    assert np.isnan(sigma)
    assert count == 0
