"""Correlation length of noise, and how many independent values an image is worth."""

import numpy as np
import pytest

from mimtpy_cloud.kernels.correlation import correlation_of, count_cells, mean_variance
from mimtpy_cloud.kernels.tiles import Tiles

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
    found = [correlation_of(Tiles.of(exponential_noise(rng, (240, 200), length, share)), STEP) for _ in range(8)]
    assert np.mean([f[0] for f in found]) == pytest.approx(length * 0.1, rel=0.25)
    assert np.mean([f[1] for f in found]) == pytest.approx(share, abs=0.1)


def test_gaps_and_outliers_change_little():
    rng = np.random.default_rng(3)
    field = exponential_noise(rng, (240, 200), 8)
    holes = np.where(rng.random(field.shape) < 0.3, np.nan, field)
    holes[5:9, 5:9] = 300.0
    assert correlation_of(Tiles.of(holes), STEP)[0] == pytest.approx(correlation_of(Tiles.of(field), STEP)[0], rel=0.2)


def test_nothing_to_see_is_white():
    assert correlation_of(Tiles.of(np.zeros((40, 40))), STEP) == (0.0, 0.0)
    assert correlation_of(Tiles.of(np.full((40, 40), np.nan)), STEP) == (0.0, 0.0)
    assert correlation_of(Tiles.of(np.ones((1, 3))), STEP) == (0.0, 0.0)


BOX = np.ones((60, 90), bool)
STRIP = np.abs(np.subtract.outer(1.5 * np.arange(60), np.arange(90))) < 8  # as the overlap of two slanted tracks


@pytest.mark.parametrize(("known", "share"), [(BOX, 1.0), (BOX, 0.6), (STRIP, 1.0)])
def test_variance_of_the_mean_is_that_of_many_fields(known, share):
    rng, length = np.random.default_rng(1), 6
    means = [exponential_noise(rng, known.shape, length, share)[known].mean() for _ in range(400)]
    assert np.var(means) == pytest.approx(mean_variance(known, STEP, 0.6, share), rel=0.2)


def test_cells_change_little():
    large = np.kron(STRIP, np.ones((8, 8), bool))
    cells = count_cells(Tiles.of(np.where(large, 0.0, np.nan)), (0.0125, 0.0125))
    assert cells[0].shape == (96, 90)
    fine, coarse = mean_variance(STRIP, STEP, 0.6), mean_variance(*cells, 0.6)
    assert coarse == pytest.approx(fine, rel=0.05)


def test_bounds_of_the_variance_of_the_mean():
    known = np.ones((5, 10), bool)
    assert mean_variance(known, (1, 1), 0.0) == 1 / 50
    assert mean_variance(known, (1, 1), 1e6) == pytest.approx(1, rel=1e-4)
    assert mean_variance(known, (1, 1), 1e-6) == 1 / 50
    assert np.isnan(mean_variance(~known, (1, 1), 1.0))
