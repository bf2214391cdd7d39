"""Variance components against restricted maximum likelihood, and against what was put in."""

import numpy as np
import pytest
from scipy.optimize import minimize

from mimtpy_cloud.kernels.variance import estimate_scales

ANGLES = np.linspace(-0.8, 0.8, 5)
FAN = np.stack([np.sin(ANGLES), 0.1 * np.cos(ANGLES), np.cos(ANGLES)], axis=1)
#: Two ascending and two descending looks.
PAIRS = np.array([[-0.63, -0.11, 0.77], [-0.56, -0.10, 0.82], [0.63, -0.11, 0.77], [0.56, -0.10, 0.82]])


def noise(looks, pixels, truth, seed=0, motion=(0.03, 0.0, -0.01), spread=(0.5, 2.0)):
    rng = np.random.default_rng(seed)
    look = np.repeat(looks[:, :, np.newaxis], pixels, axis=2)
    sigma = rng.uniform(*spread, (len(looks), pixels)) * 1e-3
    los = np.einsum("kcp,c->kp", look, motion)
    los = los + np.array(truth)[:, np.newaxis] * sigma * rng.standard_normal(los.shape)
    los[rng.random(los.shape) < 0.3] = np.nan
    return los, look, sigma


def restricted_likelihood(theta, los, look, sigma):
    """Minus twice its logarithm, pixel by pixel, as a function of the logarithms of the variance factors."""
    total = 0.0
    for p in range(los.shape[1]):
        here = np.isfinite(los[:, p])
        if here.sum() < 3:
            continue
        variance = sigma[here, p] ** 2 * np.exp(theta[here])
        design = look[here][:, [0, 2], p]
        normal = design.T @ (design / variance[:, np.newaxis])
        left = los[here, p] - design @ np.linalg.solve(normal, design.T @ (los[here, p] / variance))
        total += np.log(variance).sum() + np.log(np.linalg.det(normal)) + (left**2 / variance).sum()
    return total


def test_scales_maximise_the_restricted_likelihood_times_the_prior():
    los, look, sigma = noise(FAN, 300, [1.0, 2.0, 0.5, 3.0, 1.5])
    found = estimate_scales(los, look, sigma, expected=np.ones(5))
    assert found.outliers == 0

    def target(theta):
        return restricted_likelihood(theta, los, look, sigma) + np.sum(((theta - theta.mean()) / 0.5) ** 2)

    best = minimize(target, np.zeros(5), method="BFGS", options={"gtol": 1e-3})
    np.testing.assert_allclose(found.scale, np.exp(best.x / 2), rtol=2e-3)  # the prior of all together is weak


def test_scales_are_recovered_within_their_uncertainty():
    truth = np.array([1.0, 2.0, 0.5, 3.0, 1.5])
    inside = []
    for seed in range(100):
        found = estimate_scales(*noise(FAN, 200, truth, seed))
        off = (np.log(found.scale) - np.log(truth)) / np.sqrt(np.diag(found.covariance))
        inside.append(np.abs(off) < 1)
        assert np.abs(off).max() < 5
    assert 0.60 < np.mean(inside) < 0.76


def test_looks_of_one_direction_tell_the_sum_of_their_variances_and_keep_their_ratio():
    los, look, sigma = noise(PAIRS, 50_000, [1.0, 3.0, 2.0, 2.0], spread=(1.0, 1.0))
    found = estimate_scales(los, look, sigma)
    assert np.hypot(*found.scale[:2]) == pytest.approx(np.hypot(1, 3), rel=0.05)
    assert np.hypot(*found.scale[2:]) == pytest.approx(np.hypot(2, 2), rel=0.05)
    assert np.sqrt(np.diag(found.covariance)).max() > 0.5


def test_what_a_patch_tells_separates_looks_of_one_direction():
    los, look, sigma = noise(PAIRS, 50_000, [1.0, 3.0, 2.0, 2.0], spread=(1.0, 1.0))
    found = estimate_scales(los, look, sigma, expected=np.array([1.1, 2.9, np.nan, np.nan]))
    np.testing.assert_allclose(found.scale[:2], [1.0, 3.0], rtol=0.15)
    half = estimate_scales(los, look, sigma, expected=np.array([0.55, 1.45, np.nan, np.nan]))
    np.testing.assert_allclose(half.scale, found.scale, rtol=1e-3)  # the ratio counts


def test_correlated_pixels_are_worth_less():
    los, look, sigma = noise(FAN, 5000, np.ones(5))
    one, few = (estimate_scales(los, look, sigma, worth=worth) for worth in (1.0, 0.01))
    np.testing.assert_allclose(np.diag(few.covariance) / np.diag(one.covariance), 100, rtol=0.2)
    np.testing.assert_allclose(few.scale, one.scale, rtol=0.05)


def test_outliers_do_not_count():
    los, look, sigma = noise(FAN, 5000, np.ones(5))
    wrong = los.copy()
    wrong[2, :50] += 0.2
    found = estimate_scales(wrong, look, sigma)
    np.testing.assert_allclose(found.scale, 1.0, atol=0.1)
    assert 25 <= found.outliers <= 50


def test_offset_of_a_track_shows_in_its_mean_residual():
    los, look, sigma = noise(FAN, 5000, np.ones(5))
    los[1] += 1e-3
    found = estimate_scales(los, look, sigma)
    assert np.argmax(np.abs(found.mean)) == 1
    assert found.mean[1] == pytest.approx(1e-3, rel=0.1)


def test_motion_across_is_taken_off_or_solved():
    motion = (0.03, 0.02, -0.01)
    los, look, sigma = noise(FAN, 5000, np.ones(5), motion=motion)
    ignored = estimate_scales(los, look, sigma)
    known = estimate_scales(los, look, sigma, across=np.full(5000, 0.02))
    prior = estimate_scales(los, look, sigma, across_std=0.05)
    np.testing.assert_allclose(known.scale, 1.0, atol=0.1)
    np.testing.assert_allclose(prior.scale, 1.0, atol=0.15)
    assert ignored.redundancy.sum() > prior.redundancy.sum()


def test_without_a_spare_look_nothing_is_known():
    los, look, sigma = noise(FAN[:2], 100, np.ones(2))
    found = estimate_scales(los, look, sigma)
    assert np.isnan(found.scale).all()
    assert found.count == 0
    assert np.isnan(found.residual).all()
    assert not found.redundancy.any()


def test_a_track_without_data_has_no_scale():
    los, look, sigma = noise(FAN, 2000, np.ones(5))
    los[3] = np.nan
    found = estimate_scales(los, look, sigma)
    assert np.isnan(found.scale).tolist() == [False, False, False, True, False]


def test_residuals_are_normalised():
    found = estimate_scales(*noise(FAN, 20_000, [1.0, 2.0, 0.5, 3.0, 1.5]))
    np.testing.assert_allclose(np.nanstd(found.residual, axis=1), 1.0, atol=0.05)
