"""Numbers of a validation: known offsets, noise and blunders, and pairs counted one by one."""

import numpy as np
import pytest

from mimtpy_cloud.kernels.validation import ONE_SIGMA, STATISTICS, summarise_pairs, summarise_residuals


def summarise(observed, expected, observed_std=np.nan, expected_std=np.nan):
    sigmas = (np.broadcast_to(np.asarray(s, float), observed.shape) for s in (observed_std, expected_std))
    return dict(zip(STATISTICS, summarise_residuals(observed, expected, *sigmas).tolist(), strict=True))


def test_offset_slope_and_chi2_of_known_noise():
    random = np.random.default_rng(0)
    truth = random.uniform(-20, 20, 400)
    found = summarise(truth + 5 + random.normal(0, 2, 400), truth + random.normal(0, 1, 400), 2.0, 1.0)
    assert found["count"] == 400
    assert abs(found["offset"] - 5) < 4 * found["offset_std"]
    assert 0.05 < found["offset_std"] < 0.2  # sqrt(5 / 400) = 0.11
    assert found["rms_after"] == pytest.approx(5**0.5, rel=0.1)
    assert found["rms"] == pytest.approx(30**0.5, rel=0.05)
    assert abs(found["slope"] - 1) < 4 * found["slope_std"]
    assert abs(found["intercept"] - 5) < 4 * found["intercept_std"]
    assert found["chi2"] == pytest.approx(1, abs=0.25)
    assert found["noise"] < 1
    assert found["correlation"] > 0.95


def test_noise_that_no_sigma_knows_shows_in_chi2_and_noise():
    random = np.random.default_rng(1)
    truth = random.uniform(-20, 20, 400)
    found = summarise(truth + random.normal(0, 3, 400), truth, 0.1, 0.1)
    assert found["noise"] == pytest.approx(3, rel=0.15)
    assert found["chi2"] > 100
    assert abs(found["slope"] - 1) < 4 * found["slope_std"]


def test_a_blunder_moves_the_rms_but_not_the_offset_nor_the_slope():
    truth = np.linspace(-10, 10, 21)
    observed = truth + 3.0 + 0.01 * np.sin(np.arange(21.0))
    observed[3] += 500
    found = summarise(observed, truth, 0.05, 0.05)
    assert found["offset"] == pytest.approx(3, abs=0.05)
    assert found["slope"] == pytest.approx(1, abs=0.02)
    assert found["rms_after"] > 100


def test_stations_without_data_in_either_do_not_count():
    observed, expected = np.array([1.0, np.nan, 3.0, 4.0]), np.array([0.0, 1.0, np.nan, 2.0])
    found = summarise(observed, expected)
    assert (found["count"], found["median"], found["mad"]) == (2, 1.5, 0.5)
    assert np.isnan([found["slope"], found["chi2"], found["correlation"]]).all()


def test_nothing_and_one_station():
    assert summarise(np.array([np.nan]), np.array([1.0]))["count"] == 0
    assert np.isnan(summarise(np.empty(0), np.empty(0))["rms"])
    one = summarise(np.array([3.0]), np.array([1.0]), 0.3, 0.4)
    assert (one["count"], one["offset"], one["rms_after"]) == (1, 2.0, 0.0)
    assert one["offset_std"] == pytest.approx(0.5)


def test_stations_without_sigma_get_that_of_the_others():
    truth = np.arange(5.0)
    some = summarise(truth + np.array([0.1, -0.1, 0.2, 0.0, 0.1]), truth, 0.0, np.array([0.2, np.nan, 0.2, 0.2, 0.0]))
    every = summarise(truth + np.array([0.1, -0.1, 0.2, 0.0, 0.1]), truth, 0.0, 0.2)
    assert some == every


def test_pairs_are_counted_and_squared_class_by_class():
    random = np.random.default_rng(2)
    distance, difference = random.uniform(0, 120, 500), abs(random.normal(0, 3, (2, 500)))
    difference[0, ::7] = np.nan
    edges, limits, reach = np.array([0.1, 20.0, 50.0, 100.0]), np.array([5.0, 2.0]), (0.1, 50.0)
    rms, count, share, within, within_count = summarise_pairs(difference, distance, edges, limits, reach)
    for c in range(2):
        for b in range(3):
            use = (distance >= edges[b]) & (distance < edges[b + 1]) & np.isfinite(difference[c])
            assert count[c, b] == use.sum()
            assert rms[c, b] == pytest.approx(np.sqrt(np.mean(difference[c, use] ** 2)))
            np.testing.assert_allclose(share[c, :, b], [(difference[c, use] <= m).mean() for m in limits])
        near = (distance >= 0.1) & (distance <= 50) & np.isfinite(difference[c])
        assert within_count[c] == near.sum()
        np.testing.assert_allclose(within[c], [(difference[c, near] <= m).mean() for m in limits])


def test_residuals_of_the_standard_deviation_asked_for_just_pass():
    residual = np.random.default_rng(3).normal(0, 2e-3 / 2**0.5, 2000)
    difference = abs(residual[::2] - residual[1::2])[None]
    *_, within, _ = summarise_pairs(difference, np.full(1000, 10.0), np.array([0.0, 50.0]), np.array([2e-3]), (0, 50))
    assert within[0, 0] == pytest.approx(ONE_SIGMA, abs=0.05)


def test_no_pairs_is_nan_and_the_last_edge_is_inside():
    rms, count, share, within, n = summarise_pairs(
        np.empty((1, 0)), np.empty(0), np.array([0.0, 1.0]), np.array([1.0]), (0, 1)
    )
    assert np.isnan([rms[0, 0], share[0, 0, 0], within[0, 0]]).all()
    assert (count[0, 0], n[0]) == (0, 0)
    assert summarise_pairs(np.ones((1, 2)), np.array([1.0, 1.1]), np.array([0.0, 1.0]), np.array([1.0]), (0, 1))[1] == 1
