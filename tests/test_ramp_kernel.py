"""The ramp kernel against plain numpy."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mimtpy_cloud.errors import RampError
from mimtpy_cloud.kernels.ramp import RAMPS, evaluate_ramp, ramp_terms, shift_ramp, subtract_ramp
from mimtpy_cloud.kernels.rampfit import accumulate_ramp, ramp_size, solve_ramp

BASIS = {
    "1": lambda x, y: 1 + 0 * (x + y),
    "x": lambda x, y: x + 0 * y,
    "y": lambda x, y: y + 0 * x,
    "x^2": lambda x, y: x**2 + 0 * y,
    "x y": lambda x, y: x * y,
    "y^2": lambda x, y: y**2 + 0 * x,
}


def design(x, y, kind):
    """Terms of a ramp in km, shape (pixel, term), by their definition."""
    return np.stack([BASIS[term](x, y[:, None]).ravel() for term in ramp_terms(kind)], axis=1)


def twin(values, x, y, kind, weights=None):
    """Coefficients, covariance and sigma2 by numpy's lstsq on the scaled design."""
    w = np.ones(values.shape) if weights is None else np.asarray(weights, np.float64)
    good = (np.isfinite(values) & np.isfinite(w) & (w > 0)).ravel()
    root = np.sqrt(w.ravel()[good])
    a = design(x, y, kind)[good] * root[:, None]
    size = np.sqrt((a**2).sum(axis=0))
    d = values.ravel()[good].astype(np.float64) * root
    c = np.linalg.lstsq(a / size, d, rcond=None)[0] / size
    n, p = a.shape
    sigma2 = ((d - a @ c) ** 2).sum() / (n - p)
    return c, sigma2 * np.linalg.inv((a / size).T @ (a / size)) / np.outer(size, size), sigma2, n


def scene(ny=37, nx=1100, seed=0, dtype=np.float32):
    rng = np.random.default_rng(seed)
    x, y = np.linspace(-150, 170, nx), np.linspace(120, -110, ny)
    c = np.array([0.02, 1e-4, -2e-4, 3e-7, -1e-7, 2e-7])
    values = (design(x, y, "quadratic") @ c).reshape(ny, nx) + rng.normal(0, 1e-3, (ny, nx))
    return values.astype(dtype), x, y


def with_gaps(values):
    """A swath: NaN on both sides, some inside, one row without data, one value infinite."""
    values = values.copy()
    values[:, :90] = np.nan
    values[3:9, 600:] = np.nan
    values[12] = np.nan
    values[20, ::7] = np.nan
    values[21, 200] = np.inf
    values[22], values[22, 700] = np.nan, 0.01  # one pixel inside a segment
    return values


@pytest.mark.parametrize("kind", RAMPS)
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("gaps", [False, True])
@pytest.mark.parametrize("weighted", [False, True])
def test_fit_equals_the_twin(kind, dtype, gaps, weighted):
    values, x, y = scene(dtype=dtype)
    values = with_gaps(values) if gaps else values
    weights = None
    if weighted:
        weights = np.random.default_rng(1).uniform(0.1, 5, values.shape)
        weights[0, :3] = 0, np.nan, -1
    vector = accumulate_ramp(values, x, y, kind, weights, scale=160.0)
    assert vector.shape == (ramp_size(kind),)
    c, covariance, sigma2, n = solve_ramp(vector, kind, 160.0)
    wanted = twin(values, x, y, kind, weights)
    span = np.abs(design(x, y, kind)).max(axis=0)
    np.testing.assert_allclose(c * span, wanted[0] * span, atol=1e-14, rtol=1e-11)
    np.testing.assert_allclose(
        covariance * np.outer(span, span), wanted[1] * np.outer(span, span), rtol=1e-8, atol=1e-18
    )
    assert sigma2 == pytest.approx(wanted[2], rel=1e-9)
    assert n == wanted[3]


@given(rows=st.integers(1, 36), columns=st.integers(1, 1099))
def test_vectors_of_blocks_add(rows, columns):
    values, x, y = scene()
    values = with_gaps(values)
    whole = accumulate_ramp(values, x, y, "quadratic", scale=160.0)
    parts = [
        accumulate_ramp(values[a, b], x[b], y[a], "quadratic", scale=160.0)
        for a in (slice(rows), slice(rows, None))
        for b in (slice(columns), slice(columns, None))
    ]
    np.testing.assert_allclose(sum(parts), whole, rtol=1e-11, atol=1e-8)
    assert sum(parts)[0] == whole[0] == np.isfinite(values).sum()


def test_a_large_constant_costs_no_digits():
    values, x, y = scene(dtype=np.float64)
    c = solve_ramp(accumulate_ramp(values, x, y, "linear", scale=160.0), "linear", 160.0)[0]
    shifted = solve_ramp(accumulate_ramp(values + 1e3, x, y, "linear", scale=160.0), "linear", 160.0)[0]
    np.testing.assert_allclose(shifted - [1e3, 0, 0], c, rtol=1e-9, atol=1e-12)


def test_mask_of_booleans_is_a_weight():
    values, x, y = scene()
    mask = np.random.default_rng(2).random(values.shape) < 0.5
    masked = accumulate_ramp(np.where(mask, values, np.nan).astype(np.float32), x, y, "linear")
    np.testing.assert_allclose(accumulate_ramp(values, x, y, "linear", mask), masked, rtol=1e-12)


@pytest.mark.parametrize("kind", RAMPS)
def test_evaluation_equals_the_terms_and_subtraction_their_difference(kind):
    values, x, y = scene(ny=9, nx=33)
    values[2, 5] = np.nan
    before = values.copy()
    c = np.arange(1.0, len(ramp_terms(kind)) + 1) * 1e-6
    wanted = (design(x, y, kind) @ c).reshape(values.shape)
    ramp = evaluate_ramp(c, x, y, kind)
    assert ramp.dtype == np.float64
    np.testing.assert_allclose(ramp, wanted, rtol=1e-12)
    for dtype in (np.float32, np.float64):
        data = values.astype(dtype)
        data.flags.writeable = False
        result = subtract_ramp(data, c, x, y, kind)
        assert result.dtype == dtype
        np.testing.assert_allclose(result, data - wanted, atol=1e-9 if dtype == np.float32 else 1e-15)
    np.testing.assert_array_equal(values, before)


def test_linear_ramp_of_oracle_o09(oracles):
    case, masked = oracles["O09"], oracles["O09b"]
    x, y = np.arange(5.0), np.arange(4.0)
    values = 0.5 + 0.1 * x - 0.2 * y[:, None]
    by_row, by_col, constant = case["coef_row_col_const"]
    c = solve_ramp(accumulate_ramp(values, x, y, "linear"), "linear")[0]
    np.testing.assert_allclose(c, [constant, by_col, by_row], atol=1e-12)
    corners = [values[0, 0], values[0, -1], values[-1, 0], values[-1, -1]]
    np.testing.assert_allclose(corners, case["corner_values"])
    np.testing.assert_allclose(subtract_ramp(values, c, x, y, "linear"), case["residual_after_full_ramp"], atol=1e-12)
    spike = values.copy()
    spike[1, 2] += 7
    by_row, by_col, constant = masked["coef_unmasked"]
    c = solve_ramp(accumulate_ramp(spike, x, y, "linear"), "linear")[0]
    np.testing.assert_allclose(c, [constant, by_col, by_row], atol=1e-12)
    rms = np.sqrt(np.mean(subtract_ramp(spike, c, x, y, "linear") ** 2))
    assert rms == pytest.approx(masked["rms_unmasked"], rel=1e-9)
    by_row, by_col, constant = masked["coef_masked"]
    mask = spike == values
    c = solve_ramp(accumulate_ramp(spike, x, y, "linear", mask), "linear")[0]
    np.testing.assert_allclose(c, [constant, by_col, by_row], atol=1e-12)


def test_quadratic_ramp_of_oracle_o10(oracles):
    case = oracles["O10"]
    x, y = np.arange(6.0), np.arange(5.0)
    r = y[:, None]
    values = 1 + 0.5 * x - 0.25 * r + 0.1 * x**2 - 0.05 * r**2 + 0.02 * r * x
    assert values[4, 5] == pytest.approx(case["value_4_5"])
    r2, c2, rc, by_r, by_c, one = case["coef_r2_c2_rc_r_c_1"]
    c = solve_ramp(accumulate_ramp(values, x, y, "quadratic"), "quadratic")[0]
    np.testing.assert_allclose(c, [one, by_c, by_r, c2, rc, r2], atol=1e-11)
    by_r, by_c, one = case["linear_fit_r_c_1"]
    c = solve_ramp(accumulate_ramp(values, x, y, "linear"), "linear")[0]
    np.testing.assert_allclose(c, [one, by_c, by_r], atol=1e-11)
    rms = np.sqrt(np.mean(subtract_ramp(values, c, x, y, "linear") ** 2))
    assert rms == pytest.approx(case["rms_of_linear_fit"], rel=1e-9)


def test_covariance_is_that_of_many_draws():
    x, y = np.linspace(-3, 5, 12), np.linspace(4, -6, 9)
    rng = np.random.default_rng(5)
    weights = rng.uniform(0.2, 3, (9, 12))
    draws = [rng.standard_normal((9, 12)) / np.sqrt(weights) for _ in range(4000)]
    found = [solve_ramp(accumulate_ramp(d, x, y, "linear", weights, scale=6.0), "linear", 6.0) for d in draws]
    spread = np.cov([c for c, *_ in found], rowvar=False)
    mean = np.mean([covariance for _, covariance, *_ in found], axis=0)
    np.testing.assert_allclose(np.diag(mean), np.diag(spread), rtol=0.08)
    size = np.sqrt(np.outer(np.diag(spread), np.diag(spread)))
    np.testing.assert_allclose(mean / size, spread / size, atol=0.05)
    assert np.mean([sigma2 for *_, sigma2, _ in found]) == pytest.approx(1, rel=0.02)


@pytest.mark.parametrize(
    ("pixels", "kind", "message"),
    [
        ([(0, 0), (2, 1)], "linear", "2 pixels .* do not determine a linear ramp .3 coeff.*needs 3 or more"),
        ([(0, 0), (1, 1), (2, 2), (3, 3)], "linear", "4 pixels .* too few lines"),
        ([(2, 1), (2, 3), (2, 4)], "linear_azimuth", "too few lines"),
        ([], "constant", "0 pixels .* it needs 1"),
        ([(0, 0)], "linear_range", "1 pixel with data"),
    ],
)
def test_a_singular_ramp_is_refused(pixels, kind, message):
    values = np.full((5, 6), np.nan)
    for row, col in pixels:
        values[row, col] = row + col
    with pytest.raises(RampError, match=message):
        solve_ramp(accumulate_ramp(values, np.arange(6.0), np.arange(5.0), kind), kind)


@pytest.mark.parametrize("kind", RAMPS)
def test_a_shifted_ramp_has_the_same_values(kind):
    c = np.random.default_rng(1).normal(size=len(ramp_terms(kind)))
    x, y = np.linspace(-3, 3, 5), np.linspace(2, -2, 4)
    about = shift_ramp(kind, 7.0, -11.0) @ c
    np.testing.assert_allclose(evaluate_ramp(about, x - 7, y + 11, kind), evaluate_ramp(c, x, y, kind), atol=1e-11)
    np.testing.assert_allclose(shift_ramp(kind, -7.0, 11.0) @ about, c, atol=1e-11)


def test_a_small_patch_far_from_the_origin_is_regular():
    values, x, y = scene(dtype=np.float64)
    patch = np.full(values.shape, np.nan)
    patch[-6:, -20:] = values[-6:, -20:]
    c = solve_ramp(accumulate_ramp(patch, x, y, "quadratic", scale=160.0), "quadratic", 160.0)[0]
    wanted = twin(patch, x, y, "quadratic")[0]
    ramp, truth = (evaluate_ramp(k, x[-20:], y[-6:], "quadratic") for k in (c, wanted))
    np.testing.assert_allclose(ramp, truth, atol=1e-7)  # moments about an origin this far lose eight digits of sixteen


def test_as_many_pixels_as_terms_have_no_variance():
    values = np.array([[1.0, 2.0], [3.0, np.nan]])
    c, covariance, sigma2, n = solve_ramp(accumulate_ramp(values, np.arange(2.0), np.arange(2.0), "linear"), "linear")
    np.testing.assert_allclose(c, [1, 1, 2], atol=1e-12)
    assert np.isnan(covariance).all()
    assert np.isnan(sigma2)
    assert n == 3


def test_what_does_not_fit_is_refused():
    x, y = np.arange(3.0), np.arange(2.0)
    with pytest.raises(RampError, match=r"must be one of constant, linear, .* got 'cubic'"):
        ramp_terms("cubic")
    with pytest.raises(ValueError, match=r"need shape \(y, x\) = \(2, 3\), got \(3, 2\)"):
        accumulate_ramp(np.zeros((3, 2)), x, y, "linear")
    with pytest.raises(ValueError, match=r"got \(2, 3\) and \(2, 2\)"):
        accumulate_ramp(np.zeros((2, 3)), x, y, "linear", np.ones((2, 2)))
    with pytest.raises(ValueError, match=r"need shape \(y, x\) = \(2, 3\), got \(3, 2\)"):
        subtract_ramp(np.zeros((3, 2)), np.zeros(3), x, y, "linear")
    with pytest.raises(ValueError, match=r"has 3 coefficients, got shape \(2,\)"):
        evaluate_ramp(np.zeros(2), x, y, "linear")
