"""Semivariograms against all pairs of pixels one by one, and models against known ones."""

import numpy as np
import pytest

from mimtpy_cloud.errors import SchemaError
from mimtpy_cloud.kernels.covariance import KINDS
from mimtpy_cloud.kernels.semivariogram import fit_semivariogram, model_semivariance, semivariogram


def correlated(shape, step, sill, range_km, nugget, seed=0):
    """Gaussian field of exponential covariance, by its spectrum on a torus."""
    rng = np.random.default_rng(seed)
    lags = [np.minimum(np.arange(2 * n), 2 * n - np.arange(2 * n)) * step for n in shape]
    spectrum = np.fft.fft2(np.exp(-np.hypot(lags[0][:, np.newaxis], lags[1]) / range_km)).real.clip(0)
    white = np.fft.fft2(rng.standard_normal(spectrum.shape))
    field = np.fft.ifft2(np.sqrt(spectrum) * white).real[: shape[0], : shape[1]]
    return np.sqrt(sill) * field + np.sqrt(nugget) * rng.standard_normal(shape)


def test_every_pair_counts_once():
    rng = np.random.default_rng(3)
    image = rng.standard_normal((9, 12)) + 5.0
    image[rng.random(image.shape) < 0.2] = np.nan
    step = (0.5, 0.3)
    y, x = np.nonzero(np.isfinite(image))
    i, j = np.triu_indices(y.size, 1)
    distance = np.hypot((y[i] - y[j]) * step[0], (x[i] - x[j]) * step[1])
    half = (image[y[i], x[i]] - image[y[j], x[j]]) ** 2 / 2
    got, gamma, pairs = semivariogram(image, step)
    near = distance <= 0.5 * max(9 * 0.5, 12 * 0.3) + 1e-9
    assert pairs.sum() == near.sum()
    assert (pairs * gamma).sum() == pytest.approx(half[near].sum())
    assert (pairs * got).sum() == pytest.approx(distance[near].sum())
    first = np.isclose(distance, 0.3)
    assert got[0] == pytest.approx(0.3)
    assert gamma[0] == pytest.approx(half[first].mean())
    assert (np.diff(got) > 0).all()


def test_a_large_mean_does_not_cost_digits():
    image = np.random.default_rng(1).standard_normal((40, 40))
    gamma = semivariogram(image, (1, 1))[1]
    np.testing.assert_allclose(semivariogram(image + 1e6, (1, 1))[1], gamma, rtol=1e-6)


def test_exponential_model_is_recovered_from_its_fields():
    found = np.mean(
        [fit_semivariogram(*semivariogram(correlated((200, 240), 0.5, 4, 6, 1, s), (0.5, 0.5))[:2]) for s in range(8)],
        0,
    )
    np.testing.assert_allclose(found, [4, 6, 1], rtol=0.2)


@pytest.mark.parametrize("kind", KINDS)
def test_each_model_is_recovered_from_its_own_curve(kind):
    h = np.geomspace(1, 60, 30)
    for truth in ((4.0, 12.0, 1.0), (0.5, 30.0, 2.0)):
        found = fit_semivariogram(h, model_semivariance(h, *truth, kind=kind), kind=kind)
        np.testing.assert_allclose(found, truth, rtol=1e-4)


def test_an_unknown_model_is_refused():
    with pytest.raises(SchemaError, match="got 'power'"):
        fit_semivariogram(np.arange(1.0, 9.0), np.ones(8), kind="power")


def test_white_noise_is_all_nugget():
    image = np.random.default_rng(2).normal(0, 2, (150, 150))
    sill, _, nugget = fit_semivariogram(*semivariogram(image, (0.1, 0.1))[:2])
    assert nugget + sill == pytest.approx(4, rel=0.05)
    assert model_semivariance(
        np.array([0.1]), *fit_semivariogram(*semivariogram(image, (0.1, 0.1))[:2])
    ) == pytest.approx(4, rel=0.05)


def test_units_scale_the_variances_only():
    image = correlated((100, 100), 1.0, 1, 8, 0.3)
    one = np.array(fit_semivariogram(*semivariogram(image, (1, 1))[:2]))
    small = np.array(fit_semivariogram(*semivariogram(image * 1e-3, (1, 1))[:2]))
    np.testing.assert_allclose(small, one * [1e-6, 1, 1e-6], rtol=1e-5)


@pytest.mark.parametrize("image", [np.full((5, 5), np.nan), np.ones((1, 1))])
def test_without_pairs_there_is_nothing(image):
    found = semivariogram(image, (1, 1))
    assert [part.size for part in found] == [0, 0, 0]
    assert np.isnan(fit_semivariogram(*found[:2])).all()


def test_a_constant_image_has_no_variance():
    assert fit_semivariogram(*semivariogram(np.full((20, 20), 3.0), (1, 1))[:2])[::2] == (0.0, 0.0)


def test_a_patch_tells_its_model_as_well_as_it_can():
    """Of 150 km with a range of 10 km: the nugget to 5 %, the range to a quarter, the sill to a sixth."""
    shape, truth = (300, 300), (4.0, 10.0, 1.0)
    images = [correlated(shape, 0.5, *truth, seed) for seed in range(12)]
    found = np.array([fit_semivariogram(*semivariogram(image, (0.5, 0.5))[:2]) for image in images]) / truth
    np.testing.assert_allclose(found.mean(axis=0), 1, atol=0.12)
    assert (found.std(axis=0) < [0.17, 0.25, 0.05]).all()
