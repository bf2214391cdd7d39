"""Regression with errors in both coordinates."""

import numpy as np
import pytest

from mimtpy_cloud.kernels.seam import fit_line
from mimtpy_cloud.kernels.york import fit_york

# Pearson's points with York's weights, the standard case of this problem
X = np.array([0.0, 0.9, 1.8, 2.6, 3.3, 4.4, 5.2, 6.1, 6.5, 7.4])
Y = np.array([5.9, 5.4, 4.4, 4.6, 3.5, 3.7, 2.8, 2.8, 2.4, 1.5])
WX = np.array([1000, 1000, 500, 800, 200, 80, 60, 20, 1.8, 1.0])
WY = np.array([1, 1.8, 4, 8, 20, 20, 70, 70, 100, 500])


def test_points_of_pearson_with_the_weights_of_york():
    line = fit_york(X, Y, WX**-0.5, WY**-0.5)
    assert line.slope == pytest.approx(-0.4805334, abs=1e-7)
    assert line.intercept == pytest.approx(5.4799102, abs=1e-7)
    assert line.slope_std == pytest.approx(0.0580, abs=1e-4)
    assert line.intercept_std == pytest.approx(0.2950, abs=2e-3)


def test_limits_are_least_squares_and_orthogonal_regression():
    none, equal = np.zeros(10), np.full(10, 0.3)
    slope, intercept = np.polyfit(X, Y, 1)
    line = fit_york(X, Y, none, equal)
    assert (line.slope, line.intercept) == pytest.approx((slope, intercept))
    assert fit_york(X, Y, equal, equal)[:2] == pytest.approx(fit_line(X, Y)[:2])


def test_exchanging_the_coordinates_inverts_the_slope():
    forward, back = fit_york(X, Y, WX**-0.5, WY**-0.5), fit_york(Y, X, WY**-0.5, WX**-0.5)
    assert forward.slope * back.slope == pytest.approx(1, rel=1e-6)


def test_the_slope_has_no_bias_and_its_standard_deviation_is_that_of_the_slopes():
    random = np.random.default_rng(0)
    truth, sigma = np.linspace(-5, 5, 40), np.full(40, 1.0)
    found = []
    for _ in range(300):
        x, y = (truth * s + random.normal(0, 1, 40) for s in (1.0, 1.2))
        found.append((*fit_york(x, y, sigma, sigma), np.polyfit(x, y, 1)[0]))
    slope, _, std, _, ordinary = np.array(found).T
    assert slope.mean() == pytest.approx(1.2, abs=0.015)
    assert ordinary.mean() < 1.12
    assert std.mean() == pytest.approx(slope.std(), rel=0.15)


def test_robust_lines_pass_by_a_blunder():
    y = 1.5 * X + 2
    y[4] += 40
    sigma = np.full(10, 0.1)
    assert abs(fit_york(X, y, sigma, sigma).intercept - 2) > 1
    robust = fit_york(X, y, sigma, sigma, robust=True)
    assert (robust.slope, robust.intercept) == pytest.approx((1.5, 2), abs=0.05)


@pytest.mark.parametrize(("x", "y"), [([], []), ([1.0, 2.0], [1.0, 2.0]), ([1.0, 1.0, 1.0, 1.0], [1.0, 2.0, 3.0, 4.0])])
def test_no_line_through_too_few_points_or_one_place(x, y):
    sigma = np.ones(len(x))
    assert np.isnan(fit_york(np.array(x), np.array(y), sigma, sigma)).all()


def test_a_flat_line_has_slope_zero():
    line = fit_york(X, np.full(10, 2.0), np.full(10, 0.1), np.full(10, 0.1), robust=True)
    assert (line.slope, line.intercept) == (0.0, 2.0)
