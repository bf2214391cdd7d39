"""Covariance matrices of points, and white noise without their inverse."""

import pickle
import threading
import time

import numpy as np
import pytest

from mimtpy_cloud.errors import SchemaError
from mimtpy_cloud.kernels import vecchia, whiten
from mimtpy_cloud.kernels.covariance import KINDS, CovarianceModel, correlation, covariance_matrix, distances_km
from mimtpy_cloud.kernels.vecchia import apply_neighbours, solve_neighbours, whiten_vecchia
from mimtpy_cloud.kernels.whiten import DiagonalWhitener, whiten_covariance, whiten_dense, whiten_diagonal

MODEL = CovarianceModel("exponential", 2e-4, 10.0, 5e-5)


def points(n, seed=0, side=100.0):
    return np.random.default_rng(seed).uniform(0, side, (2, n))


def square(whitener, rows):
    return np.square(whitener.whiten(rows)).sum(axis=1)


@pytest.mark.parametrize("way", [whiten_covariance, whiten_vecchia])
def test_three_points_have_the_misfit_that_was_worked_out(way):
    x, y = np.array([0.0, 3.0, 6.0]), np.array([0.0, 4.0, 8.0])
    matrix = covariance_matrix(x, y, MODEL)
    assert matrix[0] == pytest.approx([2.5e-4, 1.21306131943e-4, 7.35758882343e-5], rel=1e-11)
    white = way(x, y, MODEL)
    assert white.size == 3
    assert white.logdet == pytest.approx(-25.4250104852, abs=1e-9)
    misfit = square(white, np.array([[0.01, -0.02, 0.015]]))[0]
    assert misfit == pytest.approx(6.46102640998, rel=1e-11)
    assert np.sqrt(misfit / 3) == pytest.approx(1.46754061954, rel=1e-11)
    gauss = -0.5 * (misfit + white.logdet + 3 * np.log(2 * np.pi))
    assert gauss == pytest.approx(6.72517643802, rel=1e-9)


@pytest.mark.parametrize("kind", KINDS)
def test_misfit_equals_that_of_a_direct_solution(kind):
    x, y = points(700)
    model = CovarianceModel(kind, 2.0, 10.0, 0.5)
    matrix = covariance_matrix(x, y, model)
    rows = np.random.default_rng(1).standard_normal((5, 700))
    white = whiten_covariance(x, y, model)
    expected = np.einsum("ij,ij->i", rows, np.linalg.solve(matrix, rows.T).T)
    np.testing.assert_allclose(square(white, rows), expected, rtol=1e-10)
    assert white.logdet == pytest.approx(np.linalg.slogdet(matrix)[1], rel=1e-10)
    np.testing.assert_array_equal(whiten_dense(matrix).whiten(rows), white.whiten(rows))


def test_a_matrix_is_kept_unless_its_place_is_given_away():
    matrix = covariance_matrix(*points(50), MODEL)
    rows = np.random.default_rng(1).standard_normal((3, 50))
    before, kept = matrix.copy(), rows.copy()
    white = whiten_dense(matrix)
    white.whiten(rows)
    np.testing.assert_array_equal(matrix, before)
    np.testing.assert_array_equal(rows, kept)
    over = whiten_dense(matrix, overwrite=True)
    assert np.shares_memory(over.factor, matrix)
    np.testing.assert_array_equal(over.whiten(rows), white.whiten(rows))
    np.testing.assert_array_equal(white.whiten(np.asfortranarray(rows)), white.whiten(rows))
    assert white.whiten(rows[:0]).shape == (0, 50)


def test_the_matrix_is_symmetric_and_that_of_all_pairs(monkeypatch):
    x, y = points(37)
    whole = covariance_matrix(x, y, MODEL)
    monkeypatch.setattr("mimtpy_cloud.kernels.covariance._ELEMENTS", 100)
    matrix = covariance_matrix(x, y, MODEL)
    np.testing.assert_array_equal(matrix, matrix.T)
    np.testing.assert_allclose(matrix, whole, rtol=1e-14)
    pairs = 2e-4 * np.exp(-np.hypot(x[:, None] - x, y[:, None] - y) / 10) + 5e-5 * np.eye(37)
    np.testing.assert_allclose(matrix, pairs, rtol=1e-12)


@pytest.mark.parametrize("kind", KINDS)
def test_correlation_falls_from_one_to_zero(kind):
    found = correlation(kind, np.linspace(0, 30, 500))
    assert found[0] == 1
    assert (np.diff(found) <= 0).all()
    assert abs(found[-1]) < 1e-12
    x, y = points(300, side=20.0)
    assert np.linalg.eigvalsh(covariance_matrix(x, y, CovarianceModel(kind, 1.0, 10.0, 0.0))).min() > -1e-9


def test_whitened_noise_has_variance_one():
    x, y = points(400)
    lower = np.linalg.cholesky(covariance_matrix(x, y, MODEL))
    noise = (lower @ np.random.default_rng(2).standard_normal((400, 200))).T
    for white in (whiten_covariance(x, y, MODEL), whiten_vecchia(x, y, MODEL, 20)):
        found = white.whiten(noise)
        assert found.var() == pytest.approx(1, abs=0.02)
        assert abs(np.corrcoef(found.T) - np.eye(400)).max() < 0.45  # 200 draws scatter by 0.07


@pytest.mark.parametrize("neighbours", [119, 500])
def test_neighbours_that_are_all_points_give_the_exact_result(neighbours):
    x, y = points(120)
    rows = np.random.default_rng(1).standard_normal((11, 120))
    exact, near = whiten_covariance(x, y, MODEL), whiten_vecchia(x, y, MODEL, neighbours)
    np.testing.assert_allclose(square(near, rows), square(exact, rows), rtol=1e-10)
    assert near.logdet == pytest.approx(exact.logdet, rel=1e-12)


@pytest.mark.parametrize("nugget", [0.1, 1.0])
def test_more_neighbours_come_nearer_to_the_exact_result(nugget):
    x, y = points(1500)
    model = CovarianceModel("exponential", 1.0, 5.0, nugget)
    exact = whiten_covariance(x, y, model)
    rows = np.random.default_rng(1).standard_normal((6, 1500))
    smooth = np.exp(-(np.square(x - 50) + np.square(y - 40)) / 400)[np.newaxis]
    errors = []
    for neighbours in (5, 20, 60):
        near = whiten_vecchia(x, y, model, neighbours)
        misfit = [np.abs(square(near, q) / square(exact, q) - 1).max() for q in (rows, smooth)]
        errors.append([*misfit, abs(near.logdet / exact.logdet - 1)])
    assert (np.diff(errors, axis=0) < 0).all()
    assert errors[-1][0] < 1e-3
    assert errors[-1][1] < 0.03
    assert errors[-1][2] < 1e-4


def test_each_point_depends_on_its_nearest_before(monkeypatch):
    xy = np.random.default_rng(4).uniform(0, 1, (300, 2))
    found = vecchia._nearest_before(xy, 12)
    for i in (1, 5, 12, 13, 100, 299):
        distance = np.hypot(*(xy[:i] - xy[i]).T)
        nearest = np.argsort(distance)[:12]
        assert set(found[i][found[i] >= 0]) == set(nearest)
        assert (found[i] >= 0).sum() == min(i, 12)


def test_small_systems_equal_plain_solutions():
    rng = np.random.default_rng(3)
    root = rng.standard_normal((4, 6, 6))
    covariance = root @ root.transpose(0, 2, 1) + np.eye(6)
    scale, weights = np.empty(4), np.empty((4, 5))
    assert solve_neighbours(covariance.copy(), scale, weights) == -1
    for c, s, w in zip(covariance, scale, weights, strict=True):
        b = np.linalg.solve(c[:5, :5], c[:5, 5])
        assert s == pytest.approx((c[5, 5] - b @ c[:5, 5]) ** -0.5, rel=1e-10)
        np.testing.assert_allclose(w, b * s, rtol=1e-9)
    covariance[2] = 1.0
    assert solve_neighbours(covariance, scale, weights) == 2


def test_neighbours_are_applied_as_plain_indexing_does():
    rng = np.random.default_rng(3)
    rows, scale, weights = rng.standard_normal((19, 50)), rng.uniform(1, 2, 50), rng.standard_normal((50, 7))
    near = rng.integers(0, 50, (50, 7)).astype(np.int32)
    expected = scale * rows - np.einsum("mik,ik->mi", rows[:, near], weights)
    np.testing.assert_allclose(apply_neighbours(rows, scale, near, weights), expected, rtol=1e-12, atol=1e-12)


def test_white_noise_is_divided_by_its_standard_deviation():
    white = whiten_diagonal(np.array([1.0, 2.0]))
    assert white.whiten(np.array([[3.0, 4.0]])).tolist() == [[3.0, 2.0]]
    assert white.logdet == pytest.approx(np.log(4.0))
    found = whiten_covariance(np.zeros(2), np.zeros(2), CovarianceModel("exponential", 0.0, 1.0, 4.0))
    assert isinstance(found, DiagonalWhitener)
    assert found.whiten(np.array([[2.0, 4.0]])).tolist() == [[1.0, 2.0]]


def test_the_size_decides_between_exact_and_approximate():
    x, y = points(200)
    assert isinstance(whiten_covariance(x, y, MODEL), whiten.DenseWhitener)
    assert isinstance(whiten_covariance(x, y, MODEL, dense_up_to=199), vecchia.VecchiaWhitener)


def test_whiteners_travel():
    x, y = points(200)
    rows = np.random.default_rng(1).standard_normal((9, 200))
    for white in (
        whiten_covariance(x, y, MODEL),
        whiten_vecchia(x, y, MODEL, 10),
        whiten_diagonal(np.full(200, 2.0)),
    ):
        again = pickle.loads(pickle.dumps(white))
        np.testing.assert_array_equal(again.whiten(rows), white.whiten(rows))
        assert (again.size, again.logdet) == (white.size, white.logdet)


def test_other_threads_get_on_while_rows_are_whitened():
    white = whiten_covariance(*points(1500), MODEL)
    rows = np.random.default_rng(1).standard_normal((3000, 1500))
    took, started = [], threading.Event()

    def work():
        started.set()
        begin = time.perf_counter()
        white.whiten(rows)
        took.append(time.perf_counter() - begin)

    thread = threading.Thread(target=work)
    thread.start()
    started.wait()
    longest, last = 0.0, time.perf_counter()
    while not took:
        now = time.perf_counter()
        longest, last = max(longest, now - last), now
    thread.join()
    assert longest < 0.5 * took[0]


def test_a_matrix_without_a_factor_is_refused_with_advice():
    twice = np.array([0.0, 5.0, 0.0]), np.zeros(3)
    model = CovarianceModel("exponential", 1.0, 10.0, 0.0)
    with pytest.raises(SchemaError, match=r"3 points is not positive definite: .* order 3 .* nugget"):
        whiten_covariance(*twice, model)
    with pytest.raises(SchemaError, match=r"2 neighbours is not positive definite; .* nugget"):
        whiten_vecchia(*twice, model)
    with pytest.raises(SchemaError, match=r"square, got the shape \(2, 3\)"):
        whiten_dense(np.ones((2, 3)))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"kind": "cubic"}, "must be one of exponential, .* got 'cubic'"),
        ({"sill": -1.0}, "sill .* got -1.0"),
        ({"nugget": np.nan}, "nugget .* got nan"),
        ({"range_km": np.inf}, "range_km .* got inf"),
        ({"range_km": 0.0}, "range_km .* must be positive"),
        ({"sill": 0.0, "nugget": 0.0}, "both 0"),
    ],
)
def test_numbers_that_are_no_covariance_are_refused(change, message):
    with pytest.raises(SchemaError, match=message):
        CovarianceModel(**{"kind": "exponential", "sill": 1.0, "range_km": 1.0, "nugget": 0.0} | change)


def test_bad_points_and_rows_are_refused():
    with pytest.raises(SchemaError, match="must be one of"):
        correlation("cubic", np.zeros(1))
    for way in (covariance_matrix, whiten_vecchia):
        with pytest.raises(SchemaError, match="finite and of one shape"):
            way(np.array([0.0, np.nan]), np.zeros(2), MODEL)
        with pytest.raises(SchemaError, match=r"got \(2,\) and \(3,\)"):
            way(np.zeros(2), np.zeros(3), MODEL)
    with pytest.raises(SchemaError, match="at least one neighbour, got 0"):
        whiten_vecchia(*points(3), MODEL, 0)
    with pytest.raises(SchemaError, match="positive, finite"):
        whiten_diagonal(np.array([1.0, 0.0]))
    for white in (whiten_covariance(*points(3), MODEL), whiten_vecchia(*points(3), MODEL), whiten_diagonal(np.ones(3))):
        with pytest.raises(SchemaError, match=r"shape \(m, 3\), got \(3,\)"):
            white.whiten(np.zeros(3))


def test_distances_are_those_of_the_plane():
    assert distances_km(np.zeros(1), np.zeros(1), np.array([3.0, 0.0]), np.array([4.0, 0.0])).tolist() == [[5.0, 0.0]]
