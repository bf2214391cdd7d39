"""The velocity kernel against plain numpy."""

import warnings

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mimtpy_cloud.kernels.rate import fit_rate

T0 = np.array([0.0, 0.2, 0.7, 1.1, 1.15, 1.9, 2.4, 3.0, 3.3, 3.9, 4.4])


def twin(displacement, t):
    """Same results in plain float64 numpy, with the means and the residuals formed explicitly."""
    good = np.isfinite(displacement)
    count = good.sum(axis=0)
    years = np.where(good, t[:, None], np.nan)
    d = np.where(good, displacement, np.nan).astype(np.float64)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)
        mean_t, mean_d = np.nanmean(years, axis=0), np.nanmean(d, axis=0)
    sxx = np.nansum((years - mean_t) ** 2, axis=0)
    sxx = np.where(np.nanmax(years, 0, initial=-np.inf) > np.nanmin(years, 0, initial=np.inf), sxx, np.nan)
    velocity = np.nansum((years - mean_t) * (d - mean_d), axis=0) / sxx
    residual = d - mean_d - velocity * (years - mean_t)
    std = np.sqrt(np.nansum(residual**2, axis=0) / np.where(count > 2, count - 2, np.nan) / sxx)
    return velocity, std, mean_d + velocity * (t[0] - mean_t), count


def noisy(size, t, *, offset=0.0, rate=0.05, sigma=1e-3, seed=0):
    rng = np.random.default_rng(seed)
    rates = rate * rng.standard_normal(size)
    return (offset + rates * t[:, None] + sigma * rng.standard_normal((t.size, size))).astype(np.float32)


def assert_same(displacement, t):
    velocity, std, intercept, count = fit_rate(displacement, t)
    wanted = twin(displacement, t)
    scale = np.abs(displacement[np.isfinite(displacement)]).max()
    np.testing.assert_allclose(velocity, wanted[0], rtol=2e-7, atol=1e-7 * 1e-3)
    np.testing.assert_allclose(std, wanted[1], rtol=1e-6)
    np.testing.assert_allclose(intercept, wanted[2], rtol=2e-7, atol=1e-7 * scale)
    np.testing.assert_array_equal(count, wanted[3])
    assert [a.dtype.name for a in (velocity, std, intercept, count)] == ["float32"] * 3 + ["int16"]


@pytest.mark.parametrize("size", [1, 7, 1024, 1025, 2300])
def test_blocks_of_any_size_equal_the_twin(size):
    assert_same(noisy(size, T0), T0)


@pytest.mark.parametrize("dates", [3, 4, 5, 6, 7, 9, 11])
def test_any_number_of_dates_equals_the_twin(dates):
    data = noisy(300, T0[:dates])
    assert_same(data, T0[:dates])
    data[::2, ::5] = np.nan
    assert_same(data, T0[:dates])


@pytest.mark.parametrize("offset", [0.0, 10.0, -1000.0])
@pytest.mark.parametrize("gaps", [0.0, 0.001, 0.1, 0.7])
def test_gaps_and_large_constants_cost_no_accuracy(offset, gaps):
    data = noisy(1500, T0, offset=offset)
    data[np.random.default_rng(1).random(data.shape) < gaps] = np.nan
    data[3, 5:9] = np.inf if gaps else data[3, 5:9]
    assert_same(data, T0)


@given(
    st.lists(st.integers(0, 2000), min_size=1, max_size=14),
    st.integers(0, 2**32 - 1),
    st.floats(0.0, 1.0),
)
def test_random_dates_and_gaps_equal_the_twin(days, seed, gaps):
    t = np.sort(np.array(days)) / 365.25
    data = noisy(40, t, seed=seed)
    data[np.random.default_rng(seed).random(data.shape) < gaps] = np.nan
    velocity, std, intercept, count = fit_rate(data, t)
    wanted = twin(data, t)
    np.testing.assert_array_equal(count, wanted[3])
    np.testing.assert_array_equal(np.isnan(velocity), np.isnan(wanted[0]))
    np.testing.assert_array_equal(np.isnan(std), np.isnan(wanted[1]))
    np.testing.assert_allclose(velocity, wanted[0], rtol=1e-6, atol=1e-9)
    np.testing.assert_allclose(intercept, wanted[2], rtol=1e-6, atol=1e-6)
    np.testing.assert_allclose(std, wanted[1], rtol=1e-5, atol=1e-9)


def test_the_fit_is_that_of_lstsq():
    data = noisy(20, T0)
    (level, rate), residuals, *_ = np.linalg.lstsq(np.stack([T0**0, T0], axis=1), data.astype(float))
    velocity, std, intercept, _ = fit_rate(data, T0)
    np.testing.assert_allclose(velocity, rate, rtol=1e-6)
    np.testing.assert_allclose(intercept, level, rtol=1e-5)
    np.testing.assert_allclose(std, np.sqrt(residuals / (T0.size - 2) / np.var(T0) / T0.size), rtol=1e-6)


def test_too_few_dates_give_nan():
    data = np.full((4, 4), np.nan, np.float32)
    data[0, 1] = 0.5
    data[[0, 2], 2] = 0.0, 0.02
    data[:, 3] = 1.0
    velocity, std, intercept, count = fit_rate(data, np.array([0.0, 1.0, 2.0, 3.0]))
    np.testing.assert_array_equal(count, [0, 1, 2, 4])
    np.testing.assert_allclose(velocity, [np.nan, np.nan, 0.01, 0.0], rtol=1e-6)
    np.testing.assert_allclose(std, [np.nan, np.nan, np.nan, 0.0])
    np.testing.assert_allclose(intercept, [np.nan, np.nan, 0.0, 1.0], atol=1e-9)


def test_dates_that_are_all_one_give_nan():
    velocity, std, intercept, count = fit_rate(np.ones((3, 2), np.float32), np.full(3, 2.5))
    assert np.isnan([velocity, std, intercept]).all()
    np.testing.assert_array_equal(count, [3, 3])


def test_no_dates_and_no_pixels_give_empty_results():
    velocity, *_, count = fit_rate(np.empty((0, 3), np.float32), np.empty(0))
    assert np.isnan(velocity).all()
    assert not count.any()
    assert [a.shape for a in fit_rate(np.empty((5, 0), np.float32), np.arange(5.0))] == [(0,)] * 4


def test_arguments_stay_as_they_were():
    data, t = noisy(50, T0), T0.copy()
    data[2, 3] = np.nan
    before = data.copy()
    data.flags.writeable = t.flags.writeable = False
    fit_rate(data, t)
    np.testing.assert_array_equal(data, before)


def test_oracle_o20(oracles):
    case = oracles["O20"]
    velocity, std, intercept, _ = fit_rate(np.array(case["disp_m"])[:, None], np.array(case["t_yr"]))
    assert velocity[0] == pytest.approx(case["velocity_m_yr"], rel=1e-6)
    assert std[0] == pytest.approx(case["velocity_std"], rel=1e-6)
    assert intercept[0] == pytest.approx(case["intercept"], rel=1e-5)


def test_shapes_that_do_not_fit_are_refused():
    with pytest.raises(ValueError, match=r"got \(4, 2\) and \(3,\)"):
        fit_rate(np.zeros((4, 2), np.float32), np.zeros(3))
