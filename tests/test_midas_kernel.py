"""The median trend of daily positions: known velocities with steps, seasons, outliers and gaps."""

import numpy as np
import pytest

from mimtpy_cloud.kernels.midas import midas_velocity, year_pairs

DAYS = np.arange(0, 9 * 365) / 365.25
RATES = np.array([0.0213, -0.0047, 0.0011])


def series(years=DAYS, noise=0.002, seed=0):
    season = np.array([0.003, 0.002, 0.008]) * np.sin(2 * np.pi * years[:, None] + 0.3)
    return RATES * years[:, None] + season + np.random.default_rng(seed).normal(0, noise, (years.size, 3))


def test_a_straight_line_is_exact():
    velocity, sigma, count = midas_velocity(DAYS, RATES * DAYS[:, None])
    np.testing.assert_allclose(velocity, RATES, atol=1e-12)
    np.testing.assert_allclose(sigma, 0, atol=1e-12)
    assert count == 2 * (DAYS.size - 365)


def test_seasons_steps_outliers_and_gaps_hardly_move_it():
    x = series()
    x[DAYS > 3.3] += [0.05, -0.08, 0.03]
    x[DAYS > 7.1] += [-0.02, 0.01, 0.06]
    outliers = np.random.default_rng(1).choice(DAYS.size, 150, replace=False)
    x[outliers] += 0.3
    keep = ~((DAYS > 4.2) & (DAYS < 4.9)) & (np.random.default_rng(2).random(DAYS.size) > 0.1)
    velocity, sigma, _ = midas_velocity(DAYS[keep], x[keep])
    assert (abs(velocity - RATES) < 5e-4).all()
    assert (abs(velocity - RATES) < 4 * sigma).all()
    fitted = np.polyfit(DAYS[keep], x[keep], 1)[0]
    assert (abs(fitted - RATES) > 2e-3).any()  # what least squares makes of it


def test_sigma_covers_the_error_of_white_noise():
    found = [midas_velocity(DAYS, series(seed=k))[:2] for k in range(40)]
    errors, sigma = np.array([v - RATES for v, _ in found]), np.array([s for _, s in found])
    assert (errors.std(axis=0) < sigma.mean(axis=0)).all()  # it is meant for noise that is correlated in time
    assert (sigma.mean(axis=0) < 10 * errors.std(axis=0)).all()


def test_order_of_the_days_and_days_without_data_do_not_matter():
    x = series()
    expected = midas_velocity(DAYS, x)
    order = np.random.default_rng(3).permutation(DAYS.size + 1)
    years, positions = np.append(DAYS, 2.5001)[order], np.vstack([x, [np.nan] * 3])[order]
    for a, b in zip(midas_velocity(years, positions), expected, strict=True):
        np.testing.assert_array_equal(a, b)


def test_time_has_no_direction():
    years = DAYS[np.random.default_rng(4).random(DAYS.size) > 0.5]
    x = series(years)
    forward, backward = midas_velocity(years, x), midas_velocity(-years, x)
    np.testing.assert_allclose(forward[0], -backward[0], rtol=1e-12)
    np.testing.assert_allclose(forward[1], backward[1], rtol=1e-12)


def test_campaigns_have_pairs_of_more_than_a_year():
    years = np.concatenate([start + np.arange(5) / 365.25 for start in (0.0, 1.4, 3.1)])
    first, second = year_pairs(years)
    apart = years[second] - years[first]
    assert (apart >= 0.999).all()
    assert np.bincount(second, minlength=15).max() <= 2  # partners are shared out
    velocity, _, _ = midas_velocity(years, RATES * years[:, None])
    np.testing.assert_allclose(velocity, RATES, atol=1e-12)


@pytest.mark.parametrize("years", [np.empty(0), np.array([0.0]), np.arange(0, 300) / 365.25])
def test_less_than_a_year_has_no_velocity(years):
    velocity, sigma, count = midas_velocity(years, np.zeros((years.size, 3)))
    assert np.isnan(velocity).all()
    assert np.isnan(sigma).all()
    assert count == 0


def test_few_pairs_have_a_velocity_and_no_sigma():
    for days in (366, 380):
        years = np.arange(days) / 365.25
        velocity, sigma, _ = midas_velocity(years, RATES * years[:, None])
        np.testing.assert_allclose(velocity, RATES, atol=1e-12)
        assert np.isnan(sigma).all()
    years = np.arange(420) / 365.25
    noise = np.random.default_rng(0).normal(0, 0.002, (420, 3))
    assert (midas_velocity(years, RATES * years[:, None] + noise)[1] > 1e-4).all()
