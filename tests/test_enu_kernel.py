"""Closed-form decomposition against oracles, MintPy and least squares."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from synthetic import look_vector

from mimtpy_cloud.kernels.enu import MAX_GAIN, QUALITY, ROWS, horizontal_basis, invert_enu


def looks(incidence, azimuth):
    return np.stack(look_vector(np.array(incidence, float), np.array(azimuth, float)), axis=1)[:, :, np.newaxis]


def test_east_and_up_of_ascending_and_descending_equal_the_oracle(oracles):
    case, look = oracles["O04"], looks([39, 34], [102, -102])
    for key in ("noN", "withN"):
        got = invert_enu(np.array(case[f"los_{key}"])[:, np.newaxis], look)
        np.testing.assert_allclose(got[:2, 0], case[f"EU_{key}"], rtol=1e-9)
    np.testing.assert_allclose(got[2:4, 0], [case["sigma_factor_E"], case["sigma_factor_U"]], rtol=1e-7)
    assert got[4, 0] == 2


def test_fault_parallel_component_equals_the_oracle(oracles):
    case, look = oracles["O05"], looks([39, 34], [102, -102])
    got = invert_enu(np.array(case["los"])[:, np.newaxis], look, basis=horizontal_basis(case["strike_cw"]))
    np.testing.assert_allclose(got[:2, 0], case["hv"], rtol=1e-9)


def test_adjacent_tracks_equal_the_oracles(oracles):
    case = oracles["O07"]
    los = np.array([[case["m"]], [case["s"]]])
    got = invert_enu(los, looks([case["inc_m"], case["inc_s"]], [-90, -90]), max_gain=10)[:, 0]
    gains = case["sigma_factor_H"], case["sigma_factor_V"]
    np.testing.assert_allclose(got[:5], [case["H"], case["V"], *gains, 2], rtol=1e-7)
    case = oracles["O07b"]
    got = invert_enu(np.array(case["los"])[:, np.newaxis], looks(case["inc"], case["az"]), max_gain=10)
    np.testing.assert_allclose(got[:2, 0], case["EU_using_azimuth"], rtol=1e-9)


def test_unit_horizontal_motion_toward_the_satellite_has_the_sign_of_the_oracle():
    """O07c: purely east-west, it is -1.02 east at azimuth 102 and +1.02 at -102."""
    for azimuth, sign in ((102, -1), (-102, 1)):
        look = looks([89.9999, 0.0001], [azimuth, azimuth])
        got = invert_enu(np.array([[1.0], [0.0]]), look)
        assert got[0, 0] == pytest.approx(sign * 1.022340594865, rel=1e-5)


@pytest.mark.parametrize(("suffix", "azimuth"), [("", 90.0), ("_az40", -40.0)])
def test_pixelwise_decomposition_equals_mintpy(shared, suffix, azimuth):
    case = np.load(shared / "data/mintpy_oracles/horzvert/AT064_DT144/pixelwise.npz")
    los = case["los"].reshape(2, -1)
    look = np.stack(look_vector(case["inc"].astype(float), case["az"].astype(float)), axis=1).reshape(2, 3, -1)
    horizontal, up = invert_enu(los, look, basis=horizontal_basis(azimuth))[:2]
    known = np.isfinite(case["hz" + suffix].ravel())
    assert known.sum() > 1000
    np.testing.assert_array_equal(np.isfinite(horizontal), known)
    np.testing.assert_allclose(horizontal[known], case["hz" + suffix].ravel()[known], atol=1e-6)
    np.testing.assert_allclose(up[known], case["up" + suffix].ravel()[known], atol=1e-6)


def plain(los, look, sigma, basis, known, std):
    """Weighted least squares, one pixel at a time; NaN where the looks are too similar, whatever their weights."""
    exact, free = std == 0, np.isinf(std)
    rows = ROWS[:11] if exact else ROWS
    out = {name: np.full(los.shape[1], np.nan) for name in rows}
    for p in range(los.shape[1]):
        e, n, u = look[:, :, p].T
        g = np.stack([e * basis[0] + n * basis[1], n * basis[0] - e * basis[1], u], axis=1)
        use = np.isfinite(los[:, p]) & np.isfinite(g).all(axis=1) & np.isfinite(sigma[:, p])
        count, g = use.sum(), g[use]
        out["count"][p] = count if count >= 2 else 0
        wanted = 3 if free else 2
        out["quality"][p] = 1
        if count < wanted:
            continue
        asked = g if free else g[:, [0, 2]]
        gain = np.sqrt(np.diag(np.linalg.inv(asked.T @ asked))).max()
        out["gain"][p], out["quality"][p] = gain, 2
        if gain > MAX_GAIN:
            continue
        out["quality"][p] = 0
        d, w = los[use, p] - g[:, 1] * known[p], np.diag(1 / sigma[use, p] ** 2)
        design = g[:, [0, 2]] if exact else g
        prior = np.zeros((2, 2)) if exact else np.diag([0, 0 if free else std**-2, 0])
        covariance = np.linalg.inv(design.T @ w @ design + prior)
        x = covariance @ design.T @ w @ d
        s = np.sqrt(np.diag(covariance))
        r = covariance / np.outer(s, s)
        left = d - design @ x
        squares = left @ w @ left + x @ prior @ x
        out["horizontal"][p], out["up"][p] = x[0], x[-1]
        out["horizontal_std"][p], out["up_std"][p], out["correlation"][p] = s[0], s[-1], r[0, -1]
        if count > wanted:
            out["chi2"][p] = squares / (count - wanted)
        out["horizontal_leak"][p] = out["up_leak"][p] = 0
        if exact:
            out["horizontal_leak"][p], out["up_leak"][p] = covariance @ design.T @ w @ g[:, 1]
        else:
            out["across"][p], out["across_std"][p] = known[p] + x[1], s[1]
            out["correlation_horizontal_across"][p], out["correlation_across_up"][p] = r[0, 1], r[1, 2]
    return np.array([out[name] for name in rows])


@given(
    n_tracks=st.integers(2, 5),
    n_pixels=st.sampled_from([1, 7, 255, 256, 257, 1500]),
    seed=st.integers(0, 2**31),
    azimuth=st.floats(0, 360),
    std=st.sampled_from([0.0, 0.7, np.inf]),
)
def test_solution_equals_least_squares_for_any_number_of_looks_and_pixels(n_tracks, n_pixels, seed, azimuth, std):
    rng = np.random.default_rng(seed)
    azimuths = np.array([-102, 102, -20, 60, 150])[:n_tracks, np.newaxis] + azimuth - 90  # rotate with the direction
    look = np.stack(look_vector(rng.uniform(30, 45, (n_tracks, n_pixels)), -azimuths + np.zeros(n_pixels)), axis=1)
    los, sigma = rng.normal(size=(n_tracks, n_pixels)), rng.uniform(0.5, 2, (n_tracks, n_pixels))
    los[rng.random(los.shape) < 0.2] = np.nan
    sigma[rng.random(los.shape) < 0.05] = np.nan
    basis, known, few = horizontal_basis(azimuth), rng.normal(size=n_pixels), slice(0, 20)
    for spread in (sigma, None):
        used = np.ones_like(sigma) if spread is None else sigma
        expected = plain(los[:, few], look[:, :, few], used[:, few], basis, known[few], std)
        got = invert_enu(los, look, spread, basis, across=known, across_std=std)[:, few]
        for row, name in enumerate(ROWS[: len(expected)]):
            np.testing.assert_allclose(got[row], expected[row], rtol=1e-6, atol=1e-8, err_msg=name)


def test_three_looks_give_all_components_of_the_oracles(oracles):
    case = oracles["O06"]
    look = looks(case["inc"], case["az"])
    los = np.array(case["los"])[:, np.newaxis]
    refused = dict(zip(ROWS, invert_enu(los, look, across_std=np.inf)[:, 0], strict=True))
    assert QUALITY[int(refused["quality"])] == "too_similar_looks"
    assert refused["gain"] == pytest.approx(case["sigma_factors"][1], rel=1e-6)
    assert np.isnan(refused["up"])
    got = dict(zip(ROWS, invert_enu(los, look, across_std=np.inf, max_gain=1000)[:, 0], strict=True))
    np.testing.assert_allclose([got["horizontal"], got["across"], got["up"]], case["enu"], atol=1e-6)
    gains = [got[f"{name}_std"] for name in ("horizontal", "across", "up")]
    np.testing.assert_allclose(gains, case["sigma_factors"], rtol=1e-6)


def test_four_weighted_looks_equal_the_oracle(oracles):
    case = oracles["O06b"]
    los, sigma = (np.array(case[name])[:, np.newaxis] for name in ("los", "sigma"))
    found = invert_enu(los, looks(case["inc"], case["az"]), sigma, across_std=np.inf, max_gain=1000)[:, 0]
    got = dict(zip(ROWS, found, strict=True))
    for k, name in enumerate(("horizontal", "across", "up")):
        assert got[name] == pytest.approx(case["enu"][k], rel=1e-9)
        assert got[f"{name}_std"] == pytest.approx(case["sigma_enu"][k], rel=1e-9)


def test_what_is_not_known_of_the_motion_across_is_not_solved():
    los, look = np.zeros((2, 3)), np.repeat(looks([39, 34], [102, -102]), 3, axis=2)
    known = np.array([0.0, np.nan, 0.1])
    for std in (0.0, 1.0):
        got = invert_enu(los, look, np.ones((2, 3)), across=known, across_std=std)
        assert [QUALITY[int(k)] for k in got[ROWS.index("quality")]] == ["good", "motion_across_unknown", "good"]
        assert np.isfinite(got[0]).tolist() == [True, False, True]
    got = invert_enu(los, look, np.ones((2, 3)), across_std=np.array([1.0, np.nan, np.inf]))
    assert [int(k) for k in got[ROWS.index("quality")]] == [0, 3, 1]


def test_uncertain_motion_across_is_in_the_uncertainty_of_the_others():
    """A prior of standard deviation s adds (leak s)^2 to the variances of two looks."""
    los, look, sigma = np.zeros((2, 1)), looks([39, 34], [102, -102]), np.full((2, 1), 0.001)
    exact = dict(zip(ROWS, invert_enu(los, look, sigma)[:, 0], strict=False))
    got = dict(zip(ROWS, invert_enu(los, look, sigma, across_std=0.01)[:, 0], strict=True))
    for name in ("horizontal", "up"):
        wanted = np.hypot(exact[f"{name}_std"], 0.01 * exact[f"{name}_leak"])
        assert got[f"{name}_std"] == pytest.approx(wanted, rel=1e-7)
    assert 0.02 * exact["up_leak"] == pytest.approx(-0.0030603848339, rel=1e-9)  # O04
    assert 0.02 * exact["horizontal_leak"] == pytest.approx(0.0003874397757, rel=1e-9)


def test_too_similar_looks_are_nan_and_different_ones_are_not():
    los = np.ones((2, 1))
    assert np.isnan(invert_enu(los, looks([39.0, 39.5], [102, 102]))[:4]).all()
    assert np.isfinite(invert_enu(los, looks([29.0, 46.0], [102, 102]))[:4]).all()
    assert np.isfinite(invert_enu(los, looks([39.0, 39.5], [102, 102]), max_gain=1e4)[:4]).all()


def test_unequal_sigmas_do_not_make_good_geometry_look_bad():
    look = looks([39, 34], [102, -102])
    got = invert_enu(np.ones((2, 1)), look, np.array([[1e-2], [1.0]]))
    assert np.isfinite(got[:5]).all()
    np.testing.assert_allclose(got[:2], invert_enu(np.ones((2, 1)), look)[:2], rtol=1e-9)


def test_zero_sigma_of_a_reference_pixel_stays_usable():
    got = invert_enu(np.zeros((2, 1)), looks([39, 34], [102, -102]), np.array([[0.0], [0.001]]))
    np.testing.assert_allclose(got[:2], 0, atol=1e-12)
    assert (got[2:4] > 0).all()


def test_two_float32_looks_give_the_truth_to_storage_precision():
    look = looks([39, 34], [102, -102])
    los = np.einsum("tkp,kp->tp", look[:, ::2], np.array([[0.03], [-0.01]]))
    assert invert_enu(los, look)[:2, 0] == pytest.approx([0.03, -0.01], rel=1e-9)
    single = invert_enu(los.astype("f4"), look.astype("f4"))
    assert single.dtype == np.float32
    np.testing.assert_allclose(single[:2, 0], [0.03, -0.01], rtol=3e-7)


@pytest.mark.parametrize(("azimuth", "east", "north"), [(0, 0, 1), (90, 1, 0), (450, 1, 0), (-90, -1, 0), (180, 0, -1)])
def test_cardinal_directions_are_exact(azimuth, east, north):
    assert horizontal_basis(azimuth) == (east, north)


@pytest.mark.parametrize("n_tracks", [2, 3])
def test_what_is_infinite_is_no_data(n_tracks):
    look = np.repeat(looks([39, 34, 44][:n_tracks], [102, -102, 100][:n_tracks]), 3, axis=2)
    los, sigma = np.zeros((n_tracks, 3)), np.ones((n_tracks, 3))
    los[0, 0], sigma[1, 1] = np.inf, np.inf
    got = dict(zip(ROWS, invert_enu(los, look, sigma, max_gain=100), strict=False))
    assert got["count"].tolist() == ([0, 0, 2] if n_tracks == 2 else [2, 2, 3])
    assert (np.isfinite(got["up"]) == (got["quality"] == 0)).all()
