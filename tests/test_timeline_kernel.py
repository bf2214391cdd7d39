"""The solver of timelines against dense linear algebra, and what a track tells about a date."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from synthetic import look_vector

from mimtpy_cloud.kernels import gaps
from mimtpy_cloud.kernels import timeline as kernel
from mimtpy_cloud.kernels.timeline import Observations

REFERENCE = 4
#: More pixels than are solved side by side, so that some are solved in a second strip.
PIXELS = 70


def scene(tracks=3, dates=14, seed=0, sigma=True, across_std=0.0, pixels=PIXELS, across=0.0):
    """Random tracks on dates of their own, some of them a day apart, with holes, and their timeline in years."""
    rng = np.random.default_rng(seed)
    days = [np.sort(rng.choice(80, dates, replace=False)) * 12 + k for k in range(tracks)]
    union = np.unique(np.concatenate(days))
    track = np.repeat(np.arange(tracks), dates)
    epoch = np.concatenate([np.searchsorted(union, d) for d in days])
    azimuth = np.where(np.arange(tracks) % 2, -102.0, 102.0)[:, None]
    look = np.stack(look_vector(rng.uniform(32, 44, (tracks, pixels)), azimuth * np.ones(pixels)), axis=1)
    values = rng.normal(0, 0.02, (track.size, pixels)).cumsum(axis=0)
    values[rng.random(values.shape) < 0.3] = np.nan
    values[track == tracks - 1, 5] = np.inf  # a track without data
    deviations = rng.uniform(0.003, 0.01, track.size) if sigma else None
    known = np.full(pixels, across) if across else None
    spread = np.linspace(0.5, 2, pixels) * across_std if across_std else 0.0
    return Observations(values, track, epoch, look, deviations, (1.0, 0.0), known, spread), union / 365.25


def differences(years, order):
    """Rows whose squares add up to the penalty."""
    rows, span = np.eye(years.size), np.ones(years.size)
    for q in range(1, order + 2):
        span = (years[q:] - years[:-q]) / q
        rows = np.diff(rows, axis=0) / span[:, None]
    return np.sqrt(span)[:, None] * rows


class Dense:
    """Plain least squares of one pixel."""

    def __init__(self, obs, years, order, weight, pixel, reference=REFERENCE):
        known = np.isfinite(obs.displacement[:, pixel])
        track, epoch = obs.track[known], obs.epoch[known]
        n, tracks, data = years.size, len(obs.look), int(known.sum())
        north, each = np.ndim(obs.across_std) > 0, np.arange(data)
        rows = np.zeros((data, 2 * n + tracks + north))
        rows[each, 2 * epoch], rows[each, 2 * epoch + 1] = obs.look[track, 0, pixel], obs.look[track, 2, pixel]
        rows[each, 2 * n + track] = 1
        seen = obs.look[track, 1, pixel] * (years - years[reference])[epoch]
        values = obs.displacement[known, pixel].astype(np.float32).astype(float)
        values = values - seen * (0.0 if obs.across is None else obs.across[pixel])
        if north:
            rows[:, -1] = seen
        sigma = np.ones(data) if obs.sigma is None else obs.sigma[known]
        rough = np.sqrt(weight) * differences(years, order)
        prior = np.zeros((2 * len(rough) + north, rows.shape[1]))
        prior[: len(rough), 0 : 2 * n : 2] = prior[len(rough) : 2 * len(rough), 1 : 2 * n : 2] = rough
        if north:
            prior[-1, -1] = 1 / obs.across_std[pixel]
        whole, right = np.vstack([rows / sigma[:, None], prior]), np.append(values / sigma, np.zeros(len(prior)))
        free = np.ones(rows.shape[1], bool)
        free[[2 * reference, 2 * reference + 1]] = False
        free[2 * n : 2 * n + tracks] = np.isin(np.arange(tracks), track)
        x, covariance = np.zeros(free.size), np.zeros((free.size, free.size))
        x[free] = np.linalg.lstsq(whole[:, free], right, rcond=None)[0]
        root = np.linalg.inv(np.linalg.qr(whole[:, free])[1])
        covariance[np.ix_(free, free)] = root @ root.T
        self.motion = x[: 2 * n].reshape(n, 2).T
        self.covariance = [covariance[c : 2 * n : 2, c : 2 * n : 2] for c in range(2)]
        self.variance = np.sum((whole @ x - right) ** 2) / (data - np.unique(track).size - 2 * order)
        residual = values - rows @ x
        self.rms = [np.sqrt(np.mean(residual[track == k] ** 2)) if k in track else np.nan for k in range(tracks)]
        trace = np.trace(whole[:data] @ covariance @ whole[:data].T)
        left = np.sum((residual / sigma) ** 2)
        self.score = -data / 2 * np.log(data * left / (data - trace) ** 2)


@pytest.mark.parametrize("order", [0, 1, 2])
@pytest.mark.parametrize("across_std", [0.0, 0.01])
@pytest.mark.parametrize("sigma", [True, False])
def test_solution_equals_dense_least_squares(order, across_std, sigma):
    obs, years = scene(sigma=sigma, across_std=across_std, across=0.02)
    weight = 300.0 if sigma else 0.01
    loose = 10 if order == 2 else 1  # its entries are of 1e12, since some dates are a day apart
    between = np.linspace(years[0], years[-1], 23)
    at = np.concatenate([years, between])
    found = kernel.decompose_series(obs, years, at, order=order, regularisation=weight, reference=REFERENCE)
    score = kernel.cross_validation(obs, years, order=order, regularisation=np.array([weight]))
    lines = np.array([np.interp(at, years, row) for row in np.eye(years.size)]).T
    assert np.isfinite(found.motion).all()
    for pixel in (0, 5, 33, PIXELS - 1):
        dense = Dense(obs, years, order, weight, pixel)
        level = 1.0 if sigma else np.sqrt(dense.variance)
        std = [level * np.sqrt(np.einsum("ti,ij,tj->t", lines, c, lines)) for c in dense.covariance]
        np.testing.assert_allclose(found.motion[..., pixel], dense.motion @ lines.T, atol=2e-7 * loose)
        np.testing.assert_allclose(found.std[..., pixel], std, rtol=1e-5 * loose, atol=1e-7)
        np.testing.assert_allclose(found.variance[pixel], dense.variance, rtol=1e-5 * loose)
        np.testing.assert_allclose(found.rms[:, pixel], dense.rms, rtol=1e-4 * loose)
        np.testing.assert_allclose(score[0, pixel], dense.score, rtol=1e-5 * loose)
    assert (found.motion[:, REFERENCE] == 0).all()
    assert (found.std[:, REFERENCE] == 0).all()


@pytest.mark.parametrize("order", [0, 1, 2])
def test_penalty_is_an_integral_that_finer_dates_do_not_change(order):
    def penalty(years):
        motion, band = np.sin(2 * years), kernel.roughness(years, order)
        full = sum(np.diag(band[d:, d], -d) + (np.diag(band[d:, d], d) if d else 0) for d in range(order + 2))
        return motion @ full @ motion

    rng = np.random.default_rng(0)
    exact = 4 ** (order + 1) * (1.5 + (-1) ** order * np.sin(12) / 8)  # of (2^k sin or cos 2t)^2, from 0 to 3
    for count in (200, 800):
        years = np.concatenate([[0], np.sort(rng.uniform(0.0, 3.0, count)), [3]])
        np.testing.assert_allclose(penalty(years[np.append(True, np.diff(years) > 1e-3)]), exact, rtol=0.05)
    rows = differences(np.array([0.0, 0.1, 0.5, 1.7, 2.0]), order)
    times = np.array([0.0, 0.1, 0.5, 1.7, 2.0])
    for power in range(order + 1):
        np.testing.assert_allclose(rows @ times**power, 0, atol=1e-10)


def test_a_weight_beyond_double_precision_is_known():
    for order in (1, 2):
        obs, years = scene()
        weight = kernel.largest_regularisation(years, order, float(np.mean(1 / obs.sigma**2)))
        found = kernel.decompose_series(obs, years, years, order=order, regularisation=weight, reference=REFERENCE)
        for pixel in (0, 33):
            dense = Dense(obs, years, order, weight, pixel)
            np.testing.assert_allclose(found.motion[..., pixel], dense.motion, atol=1e-4)


def test_the_strip_of_a_pixel_does_not_matter():
    obs, years = scene(pixels=200)
    options = {"order": 1, "regularisation": 100.0, "reference": REFERENCE}
    whole = kernel.decompose_series(obs, years, years, **options)
    for part in (slice(0, 3), slice(60, 190)):
        some = replace(obs, displacement=obs.displacement[:, part], look=obs.look[..., part])
        cut = kernel.decompose_series(some, years, years, **options)
        for name in ("motion", "std", "variance", "rms"):
            np.testing.assert_array_equal(getattr(cut, name), getattr(whole, name)[..., part])


def test_the_best_weight_lies_between_those_that_were_tried():
    tried = np.geomspace(1, 1e4, 5)
    score = -((np.log(tried) - np.log(300)) ** 2)
    np.testing.assert_allclose(kernel.best_weight(tried, score), 300)
    assert kernel.best_weight(tried, tried) == 1e4


@settings(max_examples=30)
@given(st.integers(0, 10_000), st.integers(1, 12), st.floats(0.05, 3.0))
def test_support_and_interpolation_equal_their_plain_twins(seed, dates, reach):
    rng = np.random.default_rng(seed)
    years = np.sort(rng.choice(1000, dates, replace=False)) / 100
    at = np.sort(np.append(rng.uniform(-1, 11, 5), years[:2]))
    values, variance = rng.normal(size=(dates, 6)), rng.uniform(1, 2, dates)
    values[rng.random(values.shape) < 0.5] = np.nan
    near = gaps.support(values, years, at, reach)
    reference = int(rng.integers(at.size))
    line, spread = gaps.interpolate(values, years, at, reference, reach, variance)
    for pixel in range(6):
        known = np.isfinite(values[:, pixel])
        t, v, s = years[known], values[known, pixel], variance[known]
        parts = np.full((at.size, t.size), np.nan)  # of each acquisition, at each time
        for m, time in enumerate(at):
            assert near[m, pixel] == bool((np.abs(t - time) <= reach).any())
            before, after = np.flatnonzero(t <= time), np.flatnonzero(t >= time)
            if before.size and after.size and t[after[0]] - t[before[-1]] <= reach:
                a, b = before[-1], after[0]
                part = (time - t[a]) / (t[b] - t[a]) if b > a else 0.0
                parts[m] = 0.0
                parts[m, a] += 1 - part
                parts[m, b] += part
        change = parts - parts[reference]
        np.testing.assert_allclose(line[:, pixel], change @ v if t.size else np.nan, rtol=1e-5, atol=1e-6)
        np.testing.assert_allclose(spread[:, pixel], change**2 @ s if t.size else np.nan, rtol=1e-5, atol=1e-12)


def test_dates_are_judged_as_the_static_solution_judges_looks():
    look = np.stack(look_vector(np.array([39.0, 34.0, 40.0])[:, None], np.array([102.0, -102.0, 102.0])[:, None]), 1)
    covered = np.array([[[1], [1], [1], [0]], [[0], [1], [1], [1]], [[1], [0], [1], [0]]], bool)
    count, quality = gaps.judge(covered, look, (1.0, 0.0), 5.0)
    assert count.ravel().tolist() == [2, 2, 3, 0]
    assert quality.ravel().tolist() == [2, 0, 0, 1]
    gain = gaps.noise_gain(np.array([[True], [True], [False]]), look, (1.0, 0.0))
    np.testing.assert_allclose(gain, np.sqrt(np.diag(np.linalg.inv(look[:2, ::2, 0].T @ look[:2, ::2, 0])).max()))
