"""Steps of the robust ramp against plain numpy."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mimtpy_cloud.errors import RampError
from mimtpy_cloud.kernels.huber import accumulate_huber, solve_huber
from mimtpy_cloud.kernels.ramp import evaluate_ramp

X, Y = np.linspace(-30, 34, 50), np.linspace(25, -22, 40)
START = np.array([0.01, 1e-4, -2e-4])


def noisy(seed=0, size=1e-3):
    rng = np.random.default_rng(seed)
    data = evaluate_ramp(START, X, Y, "linear") + size * rng.standard_t(3, (Y.size, X.size))
    data[:, :3] = np.nan
    return data, rng.uniform(0.5, 2, data.shape)


@pytest.mark.parametrize("weighted", [False, True])
def test_one_step_equals_weighted_least_squares(weighted):
    data, weights = noisy()
    own = weights if weighted else np.ones(data.shape)
    before, sigma = START * 1.1, 8e-4
    vector = accumulate_huber(data, X, Y, "linear", before, sigma, weights if weighted else None, scale=34.0)
    c, covariance, scale, n = solve_huber(vector, "linear", 34.0)
    good = np.isfinite(data)
    a = np.stack([evaluate_ramp(unit, X, Y, "linear")[good] for unit in np.eye(3)], axis=1)
    d, u = data[good], own[good]
    r = np.abs(d - a @ before) * np.sqrt(u)
    h = np.minimum(1, 1.345 * sigma / r)
    normal = a.T @ ((u * h)[:, None] * a)
    np.testing.assert_allclose(c, np.linalg.solve(normal, a.T @ (u * h * d)), rtol=1e-9)
    assert scale == pytest.approx(1.482602218505602 * np.median(r), rel=0.01)
    assert n == good.sum()
    variance = np.sum((h * r) ** 2) / (n - 3) / np.mean(r <= 1.345 * sigma) ** 2
    np.testing.assert_allclose(covariance, variance * h.mean() * np.linalg.inv(normal), rtol=1e-7, atol=1e-20)


@given(rows=st.integers(1, 39), columns=st.integers(1, 49))
def test_vectors_of_blocks_add(rows, columns):
    data, weights = noisy()
    whole = accumulate_huber(data, X, Y, "linear", START, 1e-3, weights, scale=34.0)
    parts = [
        accumulate_huber(data[a, b], X[b], Y[a], "linear", START, 1e-3, weights[a, b], scale=34.0)
        for a in (slice(rows), slice(rows, None))
        for b in (slice(columns), slice(columns, None))
    ]
    np.testing.assert_allclose(sum(parts), whole, rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize("size", [1e-9, 1e-3, 1.0, 1e4])
def test_scale_holds_for_any_unit(size):
    data, _ = noisy(size=size)
    vector = accumulate_huber(data, X, Y, "linear", START, size, scale=34.0)
    residual = np.abs(data - evaluate_ramp(START, X, Y, "linear"))
    assert solve_huber(vector, "linear", 34.0)[2] == pytest.approx(1.4826 * np.nanmedian(residual), rel=0.01)


def test_two_pixels_are_refused():
    data = np.full((Y.size, X.size), np.nan)
    data[3, 4] = data[9, 30] = 1.0
    with pytest.raises(RampError, match="2 pixels"):
        solve_huber(accumulate_huber(data, X, Y, "linear", START, 1.0), "linear")
