"""Misfits of models with ramp, offset and amplitude solved by projection, against full least squares."""

import itertools

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mimtpy_cloud.errors import RampError
from mimtpy_cloud.kernels import misfit as module
from mimtpy_cloud.kernels.covariance import CovarianceModel, covariance_matrix
from mimtpy_cloud.kernels.misfit import add_model_sums, add_residual_squares, prepare_fit, solve_models, whitened_sums
from mimtpy_cloud.kernels.ramp import ramp_design
from mimtpy_cloud.kernels.whiten import whiten_dense


def scene(n=500, models=7, seed=0, dtype=np.float32):
    rng = np.random.default_rng(seed)
    x, y = rng.uniform(-50, 50, n), rng.uniform(-40, 40, n)
    stack = rng.standard_normal((models, n)).astype(dtype)
    data = stack[2] + 0.3 + 0.02 * x - 0.05 * y + 0.1 * rng.standard_normal(n)
    data[rng.random(n) < 0.1] = np.nan
    return x, y, stack, data, rng.uniform(0.5, 2, n)


def sums_of(fit, stack, *, scaled=False, cuts=()):
    sums = np.zeros((len(stack), 4 + fit.basis.shape[0]))
    edges = [0, *cuts, stack.shape[1]]
    for start, stop in itertools.pairwise(edges):
        add_model_sums(sums, np.ascontiguousarray(stack[:, start:stop]), fit, start, scaled=scaled)
    return sums


def by_least_squares(data, model, design, variance, *, scaled):
    good = np.isfinite(data)
    root = 1 / np.sqrt(variance[good])
    columns = [*(design[good].T * root)] + ([model[good] * root] if scaled else [])
    aim = (data[good] - (0 if scaled else model[good])) * root
    if not columns:
        return aim @ aim, np.empty(0)
    matrix = np.stack(columns, 1)
    found = np.linalg.lstsq(matrix, aim, rcond=None)[0]
    left = aim - matrix @ found
    return left @ left, found


@pytest.mark.parametrize("kind", [None, "constant", "linear", "quadratic"])
@pytest.mark.parametrize("scaled", [False, True])
@pytest.mark.parametrize("weighted", [False, True])
def test_a_projected_misfit_is_that_of_a_full_least_squares_fit_to_1e_12(kind, scaled, weighted):
    x, y, stack, data, variance = scene(n=3000)
    design = ramp_design(kind, x, y) if kind else np.empty((x.size, 0))
    fit = prepare_fit(data, design, variance if weighted else None)
    misfit, scale, _, (ramp,) = solve_models([sums_of(fit, stack, scaled=scaled)], [fit], scaled=scaled)
    for j, model in enumerate(stack.astype(float)):
        own = variance if weighted else np.ones(x.size)
        expected, found = by_least_squares(data, model, design, own, scaled=scaled)
        assert np.sqrt(misfit[j]) == pytest.approx(np.sqrt(expected), rel=1e-12)
        np.testing.assert_allclose(ramp[j], found[: design.shape[1]], rtol=1e-9, atol=1e-12)
        if scaled:
            assert scale[j] == pytest.approx(found[-1], rel=1e-10)


@given(cuts=st.sets(st.integers(1, 499), max_size=5))
def test_sums_of_parts_of_the_points_add_to_those_of_all(cuts):
    x, y, stack, data, _ = scene()
    fit = prepare_fit(data, ramp_design("linear", x, y))
    np.testing.assert_allclose(
        sums_of(fit, stack, cuts=sorted(cuts), scaled=True), sums_of(fit, stack, scaled=True), rtol=1e-10, atol=1e-10
    )


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("kind", ["constant", "quadratic"])
def test_the_sums_are_those_of_plain_numpy(dtype, kind):
    x, y, stack, data, variance = scene(n=2500, dtype=dtype)
    fit = prepare_fit(data, ramp_design(kind, x, y), variance)
    t = stack.astype(float) * fit.weight
    r = fit.data - t
    expected = [np.zeros(len(t)), (r * r).sum(1), t @ fit.data, (t * t).sum(1), *(t @ fit.basis.T).T]
    np.testing.assert_allclose(sums_of(fit, stack, scaled=True), np.stack(expected, 1), rtol=1e-10, atol=1e-10)


def test_the_numba_kernels_agree_with_themselves_in_plain_python():
    x, y, stack, data, _ = scene(n=40, models=4)
    fit = prepare_fit(data, ramp_design("quadratic", x, y))
    weighted, rows = (fit.weight, fit.data), fit.basis[:3]
    cases = {
        module._sum_squares: (*stack, *weighted),
        module._sum_four: (*stack, *weighted, *rows),
        module._sum_three: (*stack, fit.weight, *rows),
        module._sum_scaled: (stack[0], *weighted),
    }
    for kernel, args in cases.items():
        np.testing.assert_allclose(kernel(*args), kernel.py_func(*args), rtol=1e-10, atol=1e-12)


@pytest.mark.parametrize("kind", [None, "linear", "quadratic"])
@pytest.mark.parametrize("models", range(1, 10))
def test_models_in_company_have_the_sums_that_they_have_alone(models, kind):
    x, y, stack, data, _ = scene(n=2100, models=max(models, 3))
    stack = stack[:models]
    stack[-1, 7] = np.nan
    fit = prepare_fit(data, ramp_design(kind, x, y) if kind else np.empty((x.size, 0)))
    alone = np.concatenate([sums_of(fit, stack[j : j + 1], scaled=True) for j in range(models)])
    np.testing.assert_array_equal(sums_of(fit, stack, scaled=True), alone)


def test_values_that_are_missing_where_no_point_is_used_do_not_count():
    x, y, stack, data, _ = scene(n=4000)
    fit = prepare_fit(data, ramp_design("linear", x, y))
    holed = stack.copy()
    holed[:, np.isnan(data)] = np.nan
    np.testing.assert_allclose(
        sums_of(fit, holed, scaled=True), sums_of(fit, stack, scaled=True), rtol=1e-10, atol=1e-9
    )


def test_a_model_that_lacks_a_used_point_has_no_misfit_and_says_how_many_it_lacks():
    x, y, stack, data, _ = scene()
    data[:] = np.where(np.isnan(data), 0.0, data)
    stack[3, [4, 77]] = np.nan, np.inf
    fit = prepare_fit(data, ramp_design("linear", x, y))
    sums = sums_of(fit, stack)
    misfit, *_ = solve_models([sums], [fit])
    assert sums[:, 0].tolist() == [0, 0, 0, 2, 0, 0, 0]
    assert np.isnan(misfit).tolist() == [False, False, False, True, False, False, False]


def test_a_perfect_model_under_a_large_ramp_scores_zero_when_its_residuals_are_summed():
    x, y, stack, _, _ = scene(n=5000)
    model = stack[:1].astype(np.float64) * 1e-3
    data = model[0] + 5.0 + 0.2 * x - 0.3 * y
    fit = prepare_fit(data, ramp_design("linear", x, y))
    sums = sums_of(fit, model)
    misfit, scale, cancelled, _ = solve_models([sums], [fit])
    assert not cancelled.any() or misfit[0] < 1e-9
    tilted = model + 7.0 - 0.4 * x  # a ramp of the model's own: all of |r|^2 is to be taken away
    sums = sums_of(fit, tilted)
    _, scale, cancelled, _ = solve_models([sums], [fit])
    assert cancelled.all()
    squares = np.zeros(1)
    add_residual_squares(squares, tilted, fit, 0, scale, sums[:, 4:])
    assert np.sqrt(squares[0] / fit.count) < 1e-13


def test_with_a_covariance_the_misfit_is_that_of_a_direct_solve(oracles):
    x, y, stack, data, _ = scene(n=300)
    model = CovarianceModel("exponential", 0.02, 8.0, 0.005)
    good = np.isfinite(data)
    matrix = covariance_matrix(x[good], y[good], model)
    design = ramp_design("linear", x, y)
    fit = prepare_fit(data, design, whitener=whiten_dense(matrix.copy()))
    white = fit.whitener.whiten(stack[:, good].astype(float))
    misfit, _, _, (ramp,) = solve_models([whitened_sums(white, fit)], [fit])
    g = design[good]
    for j in range(len(stack)):
        r = data[good] - stack[j, good]
        c = np.linalg.solve(g.T @ np.linalg.solve(matrix, g), g.T @ np.linalg.solve(matrix, r))
        left = r - g @ c
        assert misfit[j] == pytest.approx(left @ np.linalg.solve(matrix, left), rel=1e-10)
        np.testing.assert_allclose(ramp[j], c, rtol=1e-8)
    o15, o16 = oracles["O15"], oracles["O16"]
    whitener = whiten_dense(np.array(o15["C"]))
    assert whitener.logdet == pytest.approx(o15["logdet"], rel=1e-9)
    fit = prepare_fit(np.array(o16["residual"]), np.empty((3, 0)), whitener=whitener)
    misfit, *_ = solve_models([whitened_sums(np.zeros((1, 3)), fit)], [fit])
    assert misfit[0] == pytest.approx(o16["misfit"], rel=1e-9)


def test_tracks_share_one_factor():
    x, _, stack, _, _ = scene()
    fits = [prepare_fit(part * 2.5, np.empty((x.size, 0))) for part in (stack[2].astype(float), stack[5].astype(float))]
    sums = [sums_of(fit, stack[[j]], scaled=True) for fit, j in zip(fits, (2, 5), strict=True)]
    misfit, scale, cancelled, _ = solve_models(sums, fits, scaled=True)
    assert scale[0] == pytest.approx(2.5, rel=1e-12)
    assert cancelled[0]
    assert misfit[0] < 1e-9


def test_a_model_of_zeros_has_no_factor():
    fit = prepare_fit(np.arange(5.0), np.empty((5, 0)))
    misfit, *_ = solve_models([sums_of(fit, np.zeros((1, 5)), scaled=True)], [fit], scaled=True)
    assert np.isnan(misfit[0])


@pytest.mark.parametrize(("x", "y"), [(np.zeros(9), np.arange(9.0)), (np.arange(2.0), np.arange(2.0))])
def test_points_that_do_not_determine_the_ramp_are_refused(x, y):
    with pytest.raises(RampError, match=f"{x.size} points with data do not determine a ramp of 3 coefficients"):
        prepare_fit(np.ones(x.size), ramp_design("linear", x, y))
