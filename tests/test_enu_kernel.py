"""Closed-form decomposition against oracles, MintPy and least squares."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from synthetic import look_vector

from mimtpy_cloud.kernels.enu import MAX_GAIN, horizontal_basis, invert_enu


def looks(incidence, azimuth):
    return np.stack(look_vector(np.array(incidence, float), np.array(azimuth, float)), axis=1)[:, :, np.newaxis]


def test_east_and_up_of_ascending_and_descending_equal_the_oracle(oracles):
    case, look = oracles["O04"], looks([39, 34], [102, -102])
    for key in ("noN", "withN"):
        got = invert_enu(np.array(case[f"los_{key}"])[:, np.newaxis], look)
        np.testing.assert_allclose(got[:2, 0], case[f"EU_{key}"], rtol=1e-9)
    np.testing.assert_allclose(got[2:4, 0], [case["sigma_factor_E"], case["sigma_factor_U"]], rtol=1e-9)
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
    np.testing.assert_allclose(got, [case["H"], case["V"], *gains, 2], rtol=1e-9)
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


def plain(los, look, sigma, basis):
    """Weighted least squares, one pixel at a time; NaN where the looks are too similar, whatever their weights."""
    out = np.full((5, los.shape[1]), np.nan)
    for p in range(los.shape[1]):
        g = np.stack([look[:, 0, p] * basis[0] + look[:, 1, p] * basis[1], look[:, 2, p]], axis=1)
        known = np.isfinite(los[:, p]) & np.isfinite(g).all(axis=1) & np.isfinite(sigma[:, p])
        if known.sum() < 2:
            out[4, p] = 0
        else:
            out[4, p] = known.sum()
            normal = g[known].T @ g[known]
            if np.linalg.matrix_rank(normal) < 2 or np.sqrt(np.diag(np.linalg.inv(normal))).max() > MAX_GAIN:
                continue
            w = 1 / sigma[known, p]
            a = g[known] * w[:, np.newaxis]
            out[:2, p] = np.linalg.lstsq(a, los[known, p] * w, rcond=None)[0]
            out[2:4, p] = np.sqrt(np.diag(np.linalg.inv(a.T @ a)))
    return out


@given(
    n_tracks=st.integers(2, 5),
    n_pixels=st.sampled_from([1, 7, 511, 512, 513, 1500]),
    seed=st.integers(0, 2**31),
    azimuth=st.floats(0, 360),
)
def test_solution_equals_least_squares_for_any_number_of_looks_and_pixels(n_tracks, n_pixels, seed, azimuth):
    rng = np.random.default_rng(seed)
    azimuths = np.where(np.arange(n_tracks) % 2, 102, -102)[:, np.newaxis] + azimuth - 90  # rotate with the direction
    look = np.stack(look_vector(rng.uniform(30, 45, (n_tracks, n_pixels)), -azimuths + np.zeros(n_pixels)), axis=1)
    los, sigma = rng.normal(size=(n_tracks, n_pixels)), rng.uniform(0.5, 2, (n_tracks, n_pixels))
    los[rng.random(los.shape) < 0.2] = np.nan
    sigma[rng.random(los.shape) < 0.05] = np.nan
    basis = horizontal_basis(azimuth)
    few = slice(0, 20)
    expected = plain(los[:, few], look[:, :, few], sigma[:, few], basis)
    got = invert_enu(los, look, sigma, basis)[:, few]
    np.testing.assert_allclose(got, expected, rtol=1e-7, atol=1e-9)
    equal = plain(los[:, few], look[:, :, few], np.ones_like(sigma)[:, few], basis)
    got = invert_enu(los, look, None, basis)[:, few]
    np.testing.assert_allclose(got, equal, rtol=1e-7, atol=1e-9)


def test_too_similar_looks_are_nan_and_different_ones_are_not():
    los = np.ones((2, 1))
    assert np.isnan(invert_enu(los, looks([39.0, 39.5], [102, 102]))[:4]).all()
    assert np.isfinite(invert_enu(los, looks([29.0, 46.0], [102, 102]))).all()
    assert np.isfinite(invert_enu(los, looks([39.0, 39.5], [102, 102]), max_gain=1e4)).all()


def test_unequal_sigmas_do_not_make_good_geometry_look_bad():
    look = looks([39, 34], [102, -102])
    got = invert_enu(np.ones((2, 1)), look, np.array([[1e-2], [1.0]]))
    assert np.isfinite(got).all()
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
