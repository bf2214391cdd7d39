"""Overlap graph: pairs, components, loops, and the least-squares adjustment of offsets and ramps."""

from dataclasses import replace
from functools import partial

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mimtpy_cloud.errors import DisconnectedTracksError
from mimtpy_cloud.kernels.ramp import shift_ramp
from mimtpy_cloud.plan.graph import connected_components, fundamental_loops, overlapping_pairs, require_connected
from mimtpy_cloud.plan.grid import Window
from mimtpy_cloud.plan.network import Centres, Ties, solve_network


def solve_offsets(pairs, differences, weights, n, anchor=None, **options):
    """Offsets alone, of scalar observations."""
    information = np.asarray(weights, float).reshape(-1, 1, 1)
    m = np.asarray(differences, float).reshape(-1, 1)
    return solve_network(pairs, m, information, n, anchor=anchor, **options).coefficients[:, 0]


def test_network_offsets_equal_the_oracle(oracles):
    case = oracles["O14"]
    pairs = [(i, j) for i, j, _, _ in case["obs"]]
    differences, pixels = np.array([[m, n] for _, _, m, n in case["obs"]]).T
    weighted = solve_offsets(pairs, differences, pixels, 3, anchor=0)
    np.testing.assert_allclose(weighted, case["x_weighted_by_npix"], rtol=1e-9, atol=1e-12)
    np.testing.assert_allclose(
        solve_offsets(pairs, differences, np.ones(3), 3, anchor=0), case["x_unweighted"], rtol=1e-9, atol=1e-12
    )
    ((first, *_),) = [fundamental_loops(pairs, 3)]
    around = sum(sign * differences[p] for p, sign in first)
    assert abs(around) == pytest.approx(abs(case["misclosure"]))


def test_without_an_anchor_offsets_have_zero_mean_and_the_same_differences():
    pairs, m, w = [(0, 1), (1, 2), (0, 2)], np.array([1.0, 2.0, 3.3]), np.array([100, 100, 50])
    free, fixed = solve_offsets(pairs, m, w, 3), solve_offsets(pairs, m, w, 3, anchor=2)
    assert abs(free.mean()) < 1e-12
    assert fixed[2] == 0
    np.testing.assert_allclose(free - free[2], fixed, atol=1e-12)


@st.composite
def graphs(draw):
    """A connected graph, which may have pairs twice."""
    n = draw(st.integers(2, 7))
    chain = [(draw(st.integers(0, k - 1)), k) for k in range(1, n)]
    extra = draw(st.lists(st.tuples(st.integers(0, n - 1), st.integers(0, n - 1)), max_size=6))
    return n, chain + [(i, j) for i, j in extra if i != j]


@given(graph=graphs(), terms=st.sampled_from([1, 3, 6]), seed=st.integers(0, 2**32 - 1), anchored=st.booleans())
def test_consistent_differences_give_the_corrections_back(graph, terms, seed, anchored):
    n, pairs = graph
    rng = np.random.default_rng(seed)
    x = rng.normal(size=(n, terms))
    m = np.array([x[j] - x[i] for i, j in pairs])  # track_i + x_i = track_j + x_j
    roots = rng.normal(size=(len(pairs), terms + 2, terms))
    found = solve_network(pairs, m, np.einsum("pia,pib->pab", roots, roots), n, anchor=0 if anchored else None)
    np.testing.assert_allclose(found.coefficients, x - (x[0] if anchored else x.mean(axis=0)), atol=1e-6)
    np.testing.assert_allclose(found.residuals, 0, atol=1e-6)


def chain(n, spacing):
    """Quadratic ramps of tracks in a row that overlap by a fifth, and what each overlap says about its own middle."""
    rng = np.random.default_rng(n)
    shift = partial(shift_ramp, "quadratic")
    size = np.array([1e-2, 1e-4, 1e-4, 1e-6, 1e-6, 1e-6])  # m/yr per km^degree
    nodes = np.stack([spacing * (np.arange(n) - (n - 1) / 2), 0.0 * np.arange(n)], axis=1)
    places = (nodes[1:] + nodes[:-1]) / 2
    own = rng.normal(size=(n, 6)) * size  # about the middle of each
    pairs = [(k, k + 1) for k in range(n - 1)]
    centres = Centres(shift, nodes, places)
    m = np.array([centres.at_pair(p, j) @ own[j] - centres.at_pair(p, i) @ own[i] for p, (i, j) in enumerate(pairs)])
    x, y = (c.ravel() for c in np.meshgrid(np.linspace(-25, 25, 20), np.linspace(-100, 100, 40)))
    terms = np.stack([x**0, x, y, x * x, x * y, y * y])
    information = np.broadcast_to(terms @ terms.T / 1e-6, (n - 1, 6, 6))
    return pairs, m, information, centres, own


@pytest.mark.parametrize("anchored", [True, False])
def test_quadratic_ramps_of_a_long_chain_are_recovered(anchored):
    pairs, m, information, centres, own = chain(16, 200.0)
    found = solve_network(pairs, m, information, 16, anchor=0 if anchored else None, centres=centres)
    about_origin = np.einsum("nab,nb->na", centres.to_origin, own)
    wanted = about_origin - (about_origin[0] if anchored else about_origin.mean(axis=0))
    if not anchored:
        np.testing.assert_allclose(found.coefficients.sum(axis=0), 0, atol=1e-9)
    for node, place in enumerate(centres.nodes):  # what is added in the middle of each track, and 100 km around it
        near = centres.shift(*place)
        np.testing.assert_allclose(near @ found.coefficients[node], near @ wanted[node], atol=1e-9)
    np.testing.assert_allclose(found.residuals, 0, atol=1e-9)


@pytest.mark.parametrize("anchored", [True, False])
def test_frames_change_nothing_but_the_rounding(anchored):
    pairs, m, information, centres, _ = chain(4, 60.0)
    m = m + np.random.default_rng(0).normal(size=m.shape) * [1e-4, 1e-6, 1e-6, 1e-8, 1e-8, 1e-8]
    pairs, m, information = [*pairs, (0, 1)], np.vstack([m, m[:1] * 1.1]), np.vstack([information, information[:1]])
    centres = replace(centres, pairs=np.vstack([centres.pairs, centres.pairs[:1]]))
    moved = np.array([centres.shift(*-place) for place in centres.pairs])
    back = np.linalg.inv(moved)
    common = solve_network(
        pairs,
        np.einsum("pab,pb->pa", moved, m),
        np.einsum("pba,pbc,pcd->pad", back, information, back),
        4,
        anchor=0 if anchored else None,
    )
    own = solve_network(pairs, m, information, 4, anchor=0 if anchored else None, centres=centres)
    size = np.array([1, 50, 50, 2500, 2500, 2500])
    np.testing.assert_allclose(own.coefficients * size, common.coefficients * size, atol=1e-7)
    both = np.outer(np.tile(size, 4), np.tile(size, 4))
    np.testing.assert_allclose(own.covariance * both, common.covariance * both, rtol=1e-4, atol=1e-9)
    np.testing.assert_allclose(own.chi2, common.chi2, rtol=1e-6)
    np.testing.assert_allclose(own.normalised, common.normalised, rtol=1e-5)


@given(graph=graphs(), seed=st.integers(0, 2**32 - 1))
def test_loops_are_independent_and_close(graph, seed):
    n, pairs = graph
    x = np.random.default_rng(seed).normal(size=n)
    loops = fundamental_loops(pairs, n)
    assert len(loops) == len(pairs) - n + 1
    rows = np.zeros((len(loops), len(pairs)))
    for row, loop in zip(rows, loops, strict=True):
        for p, sign in loop:
            row[p] += sign
        ends = [pairs[p][::sign] for p, sign in loop]
        assert all(a[1] == b[0] for a, b in zip(ends, [*ends[1:], ends[0]], strict=True))
    np.testing.assert_allclose(rows @ np.array([x[j] - x[i] for i, j in pairs]), 0, atol=1e-9)
    assert np.linalg.matrix_rank(rows) == len(loops)


def test_ties_fix_the_datum_and_join_what_no_overlap_joins():
    ties = Ties(np.array([0, 2]), np.ones((2, 1)), np.array([5.0, -1.0]), np.array([0.01, 0.01]))
    found = solve_network([(0, 1)], np.array([[2.0]]), np.ones((1, 1, 1)), 3, ties=ties)
    np.testing.assert_allclose(found.coefficients[:, 0], [5, 7, -1])
    np.testing.assert_allclose(np.diag(found.covariance), [0.01, 1.01, 0.01])
    assert (found.dof, found.chi2) == (0, pytest.approx(0))


def test_a_misfit_of_a_tie_is_reported():
    ties = Ties(np.array([0, 0]), np.ones((2, 1)), np.array([5.0, 7.0]), np.ones(2))
    found = solve_network([], np.empty((0, 1)), np.empty((0, 1, 1)), 1, ties=ties)
    assert found.coefficients.item() == 6
    np.testing.assert_allclose(found.tie_residuals, [-1, 1])
    assert (found.chi2, found.dof) == (2, 1)


@pytest.mark.parametrize("terms", [1, 3])
def test_uncertainties_cover_the_truth_and_chi_squared_is_right(terms):
    """500 networks of five tracks in a ring with a chord; the noise is what the information says."""
    rng = np.random.default_rng(7)
    pairs, n = [(0, 1), (1, 2), (2, 3), (3, 4), (0, 4), (1, 3)], 5
    roots = rng.normal(size=(len(pairs), terms + 3, terms))
    information = np.einsum("pia,pib->pab", roots, roots)
    spread = np.linalg.cholesky(np.linalg.inv(information))
    scores, chi2, normalised = [], [], []
    for _ in range(500):
        x = rng.normal(size=(n, terms))
        x -= x[0]
        noise = np.einsum("pab,pb->pa", spread, rng.normal(size=(len(pairs), terms)))
        m = np.array([x[j] - x[i] for i, j in pairs]) + noise
        found = solve_network(pairs, m, information, n, anchor=0)
        sigma = np.sqrt(np.diag(found.covariance).reshape(n, terms)[1:])
        scores.append((found.coefficients - x)[1:] / sigma)
        chi2.append(found.chi2)
        normalised.append(found.normalised)
    inside = np.abs(np.array(scores))
    assert 0.66 < (inside < 1).mean() < 0.705
    assert 0.94 < (inside < 1.96).mean() < 0.96
    assert found.dof == 2 * terms
    assert np.mean(chi2) / found.dof == pytest.approx(1, abs=4 * np.sqrt(2 / found.dof / 500))
    assert np.sqrt(np.mean(np.square(normalised), axis=0)) == pytest.approx(np.ones(len(pairs)), abs=0.12)


def test_a_pair_that_determines_a_part_of_a_ramp_counts_for_that_part():
    rng = np.random.default_rng(3)
    roots = rng.normal(size=(2, 6, 3))
    full = np.einsum("pia,pib->pab", roots, roots)
    column = np.array([[1.0, 0, 2], [1, 0, 3], [1, 0, 5]])  # x does not vary
    information = [*full, column.T @ column]
    chi2 = []
    for _ in range(400):
        noise = [np.linalg.solve(w, r.T @ rng.normal(size=6)) for w, r in zip(full, roots, strict=True)]
        last = np.linalg.pinv(information[2]) @ (column.T @ rng.normal(size=3))
        found = solve_network([(0, 1), (1, 2), (0, 2)], np.array([*noise, last]), np.array(information), 3, anchor=0)
        chi2.append(found.chi2)
    assert found.dof == 2
    assert np.isnan(found.residuals[2]).all()
    assert np.mean(chi2) == pytest.approx(2, abs=0.4)


def test_disconnected_tracks_are_named():
    with pytest.raises(DisconnectedTracksError, match=r"2 separate groups: A, C; B\b"):
        solve_offsets([(0, 2)], [1.0], [1.0], 3, names=["A", "B", "C"])
    ties = Ties(np.array([0]), np.ones((1, 1)), np.array([5.0]), np.ones(1))
    with pytest.raises(DisconnectedTracksError, match=r"B hang on nothing; .* give ties in each"):
        solve_offsets([(0, 2)], [1.0], [1.0], 3, names=["A", "B", "C"], ties=ties)
    windows = [Window(10, 0, 0, 4, 4), Window(10, 0, 9, 4, 4), Window(10, 7, 20, 4, 4)]
    with pytest.raises(
        DisconnectedTracksError, match=r"between B and A lie 0.5 degrees; between C and B lie 0.762 degrees: add"
    ):
        require_connected([], ["A", "B", "C"], windows)
    require_connected([(0, 1), (1, 2)], ["A", "B", "C"], windows)


def test_a_ramp_that_nothing_determines_names_its_track():
    information = np.diag([1.0, 1.0, 0.0])[np.newaxis]
    with pytest.raises(DisconnectedTracksError, match="no overlap or tie determines B; use a lower order"):
        solve_network([(0, 1)], np.ones((1, 3)), information, 2, anchor=0, names=["A", "B"])
    flat = np.array([[1.0, 1, 1], [1, 1, 1], [1, 1, 1]])[np.newaxis]
    with pytest.raises(DisconnectedTracksError, match="do not determine the ramps of B; use a lower order"):
        solve_network([(0, 1)], np.ones((1, 3)), flat, 2, anchor=0, names=["A", "B"])


def test_components_of_a_graph_without_edges_are_its_nodes():
    assert connected_components([], 3) == [[0], [1], [2]]


def test_one_track_needs_no_overlap():
    assert solve_offsets([], [], [], 1).tolist() == [0.0]


_WINDOWS = st.builds(Window, st.just(10), *[st.integers(0, 9)] * 2, *[st.integers(1, 6)] * 2)


@given(windows=st.lists(_WINDOWS, min_size=1, max_size=6))
def test_overlapping_pairs_are_those_whose_intersection_is_not_empty(windows):
    n = len(windows)
    expected = [(i, j) for i in range(n) for j in range(i + 1, n) if not (windows[i] & windows[j]).empty]
    assert overlapping_pairs(windows) == expected
