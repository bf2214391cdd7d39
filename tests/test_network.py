"""Overlap graph: pairs, components, and the least-squares offsets."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mimtpy_cloud.errors import DisconnectedTracksError
from mimtpy_cloud.plan.grid import Window
from mimtpy_cloud.plan.network import connected_components, overlapping_pairs, require_connected, solve_offsets


def test_network_offsets_equal_the_oracle(oracles):
    case = oracles["O14"]
    pairs = [(i, j) for i, j, _, _ in case["obs"]]
    differences, pixels = np.array([[m, n] for _, _, m, n in case["obs"]]).T
    weighted = solve_offsets(pairs, differences, pixels, 3, anchor=0)
    np.testing.assert_allclose(weighted, case["x_weighted_by_npix"], rtol=1e-9, atol=1e-12)
    np.testing.assert_allclose(
        solve_offsets(pairs, differences, np.ones(3), 3, anchor=0), case["x_unweighted"], rtol=1e-9, atol=1e-12
    )


def test_without_an_anchor_offsets_have_zero_mean_and_the_same_differences():
    pairs, m, w = [(0, 1), (1, 2), (0, 2)], np.array([1.0, 2.0, 3.3]), np.array([100, 100, 50])
    free, fixed = solve_offsets(pairs, m, w, 3), solve_offsets(pairs, m, w, 3, anchor=2)
    assert abs(free.mean()) < 1e-12
    assert fixed[2] == 0
    np.testing.assert_allclose(free - free[2], fixed, atol=1e-12)


@given(
    offsets=st.lists(st.floats(-1, 1), min_size=2, max_size=7),
    extra=st.lists(st.tuples(st.integers(0, 6), st.integers(0, 6)), max_size=6),
    weights=st.lists(st.floats(1, 1e6), min_size=12, max_size=12),
    data=st.data(),
)
def test_consistent_differences_give_the_offsets_back(offsets, extra, weights, data):
    x, n = np.array(offsets), len(offsets)
    chain = [(data.draw(st.integers(0, k - 1)), k) for k in range(1, n)]
    pairs = chain + [(i, j) for i, j in extra if i != j and max(i, j) < n]
    differences = np.array([x[j] - x[i] for i, j in pairs])  # track_i + x_i = track_j + x_j
    found = solve_offsets(pairs, differences, np.array(weights[: len(pairs)]), n, anchor=0)
    np.testing.assert_allclose(found, x - x[0], atol=1e-8)


def test_disconnected_tracks_are_named():
    with pytest.raises(DisconnectedTracksError, match=r"2 separate groups: A, C; B\b"):
        solve_offsets([(0, 2)], np.array([1.0]), np.array([1.0]), 3, names=["A", "B", "C"])
    with pytest.raises(DisconnectedTracksError, match="add a track that bridges them"):
        require_connected([], ["A", "B"])


def test_components_of_a_graph_without_edges_are_its_nodes():
    assert connected_components([], 3) == [[0], [1], [2]]


def test_one_track_needs_no_overlap():
    assert solve_offsets([], np.empty(0), np.empty(0), 1).tolist() == [0.0]


_WINDOWS = st.builds(Window, st.just(10), *[st.integers(0, 9)] * 2, *[st.integers(1, 6)] * 2)


@given(windows=st.lists(_WINDOWS, min_size=1, max_size=6))
def test_overlapping_pairs_are_those_whose_intersection_is_not_empty(windows):
    n = len(windows)
    expected = [(i, j) for i in range(n) for j in range(i + 1, n) if not (windows[i] & windows[j]).empty]
    assert overlapping_pairs(windows) == expected
