"""Correlation length of noise, and how many independent values an image is worth."""

import numpy as np
import pytest

from mimtpy_cloud.kernels.correlation import correlation_of, mean_variance

STEP = (0.1, 0.1)  # km


def exponential_noise(rng, shape, length, share=1.0):
    """Unit-variance noise whose structured share has the correlation exp(-h / length), in pixels."""
    ny, nx = (4 * size for size in shape)  # cut out of a periodic field, whose wrap is far away
    wave = np.hypot(*np.meshgrid(2 * np.pi * np.fft.fftfreq(ny), 2 * np.pi * np.fft.fftfreq(nx), indexing="ij"))
    power = (1 + (wave * length) ** 2) ** -1.5  # the transform of exp(-h / length) in the plane
    power /= power.mean()
    field = np.fft.ifft2(np.fft.fft2(rng.normal(size=(ny, nx))) * np.sqrt(power)).real[: shape[0], : shape[1]]
    return np.sqrt(share) * field + np.sqrt(1 - share) * rng.normal(size=shape)


@pytest.mark.parametrize(("length", "share"), [(4, 1.0), (8, 0.5), (15, 0.8)])
def test_length_and_share_are_recovered(length, share):
    rng = np.random.default_rng(length)
    found = [correlation_of(exponential_noise(rng, (240, 200), length, share), STEP) for _ in range(8)]
    assert np.mean([f[0] for f in found]) == pytest.approx(length * 0.1, rel=0.25)
    assert np.mean([f[1] for f in found]) == pytest.approx(share, abs=0.1)


def test_gaps_and_outliers_change_little():
    rng = np.random.default_rng(3)
    field = exponential_noise(rng, (240, 200), 8)
    holes = np.where(rng.random(field.shape) < 0.3, np.nan, field)
    holes[5:9, 5:9] = 300.0
    assert correlation_of(holes, STEP)[0] == pytest.approx(correlation_of(field, STEP)[0], rel=0.2)


def test_nothing_to_see_is_white():
    assert correlation_of(np.zeros((40, 40)), STEP) == (0.0, 0.0)
    assert correlation_of(np.full((40, 40), np.nan), STEP) == (0.0, 0.0)
    assert correlation_of(np.ones((1, 3)), STEP) == (0.0, 0.0)


@pytest.mark.parametrize("share", [1.0, 0.6])
def test_variance_of_the_mean_is_that_of_many_fields(share):
    rng, shape, length = np.random.default_rng(1), (60, 90), 6
    means = [exponential_noise(rng, shape, length, share).mean() for _ in range(400)]
    expected = mean_variance(shape[0] * shape[1], (6.0, 9.0), 0.6, share)
    assert np.var(means) == pytest.approx(expected, rel=0.2)


def test_bounds_of_the_variance_of_the_mean():
    assert mean_variance(50, (10, 10), 0.0) == 1 / 50
    assert mean_variance(50, (10, 10), 1e6) == pytest.approx(1, rel=1e-4)
    assert mean_variance(50, (10, 10), 1e-6) == 1 / 50
    assert np.isnan(mean_variance(0, (10, 10), 1.0))
