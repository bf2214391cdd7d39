"""Fits of strike-slip faults to one profile."""

import numpy as np
import pytest

from mimtpy_cloud.errors import SchemaError
from mimtpy_cloud.kernels.screwfit import (
    CHOICES,
    MODELS,
    ScrewModel,
    fit_screw,
    pooled_std,
    profile_covariance,
    screw_velocity,
)

X = np.arange(-75e3, 75.1e3, 1.5e3)
NOISE = profile_covariance(X, np.full(X.size, 1e-3), 10e3)
TRUTH = {
    "screw": (ScrewModel("screw"), [0.020], [14e3]),
    "creep": (ScrewModel("creep"), [0.020, 0.008], [14e3, 3e3]),
    "two_faults": (ScrewModel("two_faults", second=30e3), [0.020, 0.006], [14e3, 8e3]),
}


def curve(kind, offset=0.003):
    model, rates, depths = TRUTH[kind]
    return screw_velocity(X, model, np.array(rates), np.array(depths), offset)


def test_the_curves_are_those_of_the_oracles():
    x = np.array([-15e3, 0.0, 15e3, 150e3])
    screw = screw_velocity(x, ScrewModel("screw"), np.array([0.02]), np.array([15e3]), 0.001)
    np.testing.assert_allclose(screw, [-0.004, 0.001, 0.006, 0.0103654896514], rtol=1e-9)
    x = np.array([-15e3, -1e-9, 1e-9, 15e3])
    creep = screw_velocity(x, ScrewModel("creep"), np.array([0.02, 0.005]), np.array([15e3, 3e3]))
    np.testing.assert_allclose(creep, [-0.00531416479095, -0.0025, 0.0025, 0.00531416479095], rtol=1e-9)


@pytest.mark.parametrize("kind", MODELS)
@pytest.mark.parametrize("choice", CHOICES)
def test_noise_free_profiles_give_the_truth(kind, choice):
    model, rates, depths = TRUTH[kind]
    fit = fit_screw(X, curve(kind), NOISE, model, choice=choice, near=2e3)
    np.testing.assert_allclose(fit.rates, rates, rtol=1e-7)
    np.testing.assert_allclose(fit.depths, depths, rtol=1e-7)
    assert abs(fit.offset - 0.003) < 1e-9
    assert fit.chi2 < 1e-12
    assert not fit.at_bound.any()


def test_one_standard_deviation_covers_what_it_should():
    model, rates, depths = TRUTH["screw"]
    lower, random = np.linalg.cholesky(NOISE), np.random.default_rng(0)
    inside, chi2 = [], []
    for _ in range(200):
        fit = fit_screw(X, curve("screw") + lower @ random.normal(size=X.size), NOISE, model)
        error = np.abs([fit.rates[0] - rates[0], fit.depths[0] - depths[0], fit.offset - 0.003])
        inside.append(error < [fit.rate_std[0], fit.depth_std[0], fit.offset_std])
        chi2.append(fit.chi2)
    assert ((np.mean(inside, axis=0) > 0.60) & (np.mean(inside, axis=0) < 0.76)).all()
    assert abs(np.mean(chi2) - 1) < 0.03


def test_noise_taken_as_independent_claims_too_much():
    white = profile_covariance(X, np.full(X.size, 1e-3))
    bold, honest = (fit_screw(X, curve("screw"), c, ScrewModel("screw")) for c in (white, NOISE))
    assert bold.rate_std[0] < 0.6 * honest.rate_std[0]


def test_the_noise_of_means_is_known_from_the_scatter_of_correlated_pixels():
    random, km = np.random.default_rng(1), 2e3 * np.arange(5)
    shape = profile_covariance(km, np.ones(5), 10e3)
    pixels = random.normal(size=(4000, 5)) @ np.linalg.cholesky(shape).T
    effective = 25 / shape.sum()
    found = pooled_std(pixels.std(axis=1), np.full(4000, effective))
    assert abs(found[0] / pixels.mean(axis=1).std() - 1) < 0.05
    assert pixels.std(axis=1).mean() / np.sqrt(effective) < 0.8 * found[0]  # what the plain scatter would say


def test_bins_without_pixels_or_profiles_of_single_pixels_have_no_known_noise():
    some = pooled_std(np.array([1.0, np.nan, 0.0]), np.array([2.0, 0.0, 1.0]))
    np.testing.assert_allclose(some, [1.0, np.nan, np.sqrt(2.0)])
    assert np.isnan(pooled_std(np.zeros(3), np.ones(3))).all()


def test_a_creeping_fault_is_right_at_the_bins_beside_it():
    model = TRUTH["creep"][0]
    at = np.argsort(np.abs(X))[:3]
    fit = fit_screw(X, curve("creep"), NOISE, model)
    np.testing.assert_allclose(screw_velocity(X, model, fit.rates, fit.depths, fit.offset)[at], curve("creep")[at])


def test_depths_at_the_end_of_their_range_are_flagged():
    deep = fit_screw(X, curve("screw"), NOISE, ScrewModel("screw", depth_range=(1e3, 10e3)))
    assert deep.at_bound.all()
    assert abs(deep.depths[0] / 10e3 - 1) < 1e-3
    shallow = fit_screw(X, curve("screw"), NOISE, ScrewModel("screw", depth_range=(20e3, 50e3)))
    assert shallow.at_bound.all()


def test_points_without_data_do_not_matter():
    gaps, noise = curve("screw"), NOISE.copy()
    gaps[::7] = np.nan
    noise[3, 3] = np.nan
    fit = fit_screw(X, gaps, noise, ScrewModel("screw"))
    np.testing.assert_allclose(fit.rates, 0.020, rtol=1e-7)
    assert fit.count == X.size - 1 - np.isnan(gaps).sum()


@pytest.mark.parametrize("known", [X > -3e3, X < 3e3, np.abs(X) < 2e3])
def test_a_profile_that_does_not_cross_the_fault_tells_nothing(known):
    fit = fit_screw(X, np.where(known, curve("screw"), np.nan), NOISE, ScrewModel("screw"))
    assert np.isnan(fit.rates).all()
    assert np.isnan([fit.offset, fit.chi2]).all()
    assert fit.count == known.sum()
    assert not fit.at_bound.any()


def test_a_fault_that_does_not_slip_has_a_rate_of_zero_and_no_known_depth():
    fit = fit_screw(X, np.zeros(X.size), NOISE, ScrewModel("screw"))
    assert abs(fit.rates[0]) < 1e-15
    assert np.isnan(fit.depth_std[0]) or fit.depth_std[0] > 1e6


@pytest.mark.parametrize(
    ("build", "message"),
    [
        (lambda: ScrewModel("dip"), "model must be one of screw, creep, two_faults, got 'dip'"),
        (lambda: ScrewModel("screw", depth_range=(5e3, 2e3)), "locking depths need a range .* got 5000, 2000 m"),
        (lambda: ScrewModel("creep", creep_range=(0.0, 2e3)), "depths of creep need a range"),
        (lambda: ScrewModel("two_faults"), "needs the distance of the second fault, finite and not zero, got nan"),
        (lambda: fit_screw(X, X, NOISE, ScrewModel("screw"), choice="none"), "choice of the datum must be one of"),
    ],
)
def test_what_is_wrong_is_said(build, message):
    with pytest.raises(SchemaError, match=message):
        build()
