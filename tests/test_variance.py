"""Variance components of tracks, and how honest the uncertainties are that they make."""

import numpy as np
import pytest
import xarray as xr
from hypothesis import given, settings
from hypothesis import strategies as st
from lazy import no_compute
from strategies import chunkings
from synthetic import lattice_dataset, look_vector

from mimtpy_cloud.errors import GridMismatchError, SchemaError
from mimtpy_cloud.ops.covariance import estimate_covariance
from mimtpy_cloud.ops.enu import invert_enu
from mimtpy_cloud.ops.variance import variance_components
from mimtpy_cloud.plan.grid import Window

SHAPE = (120, 130)
#: At 40 degrees north, pixels of 1.1 by 0.85 km.
WINDOW = Window(100, 5000, 20000, *SHAPE)
GEOMETRY = [(39.0, 102.0), (34.0, -102.0), (44.0, 60.0), (30.0, -150.0), (47.0, 10.0)]  # incidence, azimuth
TRUTH = np.array([1.0, 2.0, 0.5, 3.0, 1.5])
EAST, UP = 0.02, -0.01
#: South-east quarter of the window.
STILL = (float(WINDOW.x[65]), float(WINDOW.y[-1]) - 0.004, float(WINDOW.x[-1]) + 0.006, float(WINDOW.y[60]))


def scene(seed=0, truth=TRUTH, chunks=None, north=0.0, noise=None):
    """Tracks whose velocity_std, 1 mm/yr, is wrong by the factors of the truth."""
    rng = np.random.default_rng(seed)
    found = []
    for k, factor in enumerate(truth):
        incidence, azimuth = GEOMETRY[k]
        incidences = incidence + np.linspace(0, 5, SHAPE[0] * SHAPE[1]).reshape(SHAPE)
        e, n, u = look_vector(incidences, azimuth)
        own = rng.standard_normal(SHAPE) if noise is None else noise(rng)
        ds = lattice_dataset(
            WINDOW,
            velocity=e * EAST + n * north + u * UP + factor * 1e-3 * own,
            incidence_angle=incidences,
            los_azimuth_angle=azimuth,
            track=f"T{k:03d}",
            orbit_direction="ascending" if azimuth > 0 else "descending",
            reference_point=[20.0, 40.0],
        )
        found.append(ds if chunks is None else ds.chunk(chunks))
    return found


def agrees(found, truth):
    """Whether scales are the truth within four standard deviations, which are small."""
    return bool(((np.abs(found.scale - truth) < 4 * found.scale_std) & (found.scale_std < 0.2 * truth)).all())


def test_scales_of_the_tracks_are_found():
    with no_compute():
        lazy = variance_components(scene(chunks={"y": 40, "x": 50}))
    got = lazy.compute()
    assert got.track.values.tolist() == [f"T{k:03d}" for k in range(5)]
    assert agrees(got, TRUTH)
    np.testing.assert_allclose(got.sigma, got.scale * 1e-3, rtol=1e-6)
    assert got["count"] == SHAPE[0] * SHAPE[1]
    assert got.outliers < 20
    assert got.sigma.attrs["units"] == "m/yr"
    assert got.sill.attrs["units"] == "(m/yr)^2"
    np.testing.assert_allclose(got.sill + got.nugget, got.sigma**2, rtol=0.1)
    assert got.attrs["scales"] == "velocity_std"


def test_without_standard_deviations_the_scale_is_one():
    bare = [ds.drop_vars("velocity_std") for ds in scene()]
    got = variance_components(bare).compute()
    assert agrees(got, TRUTH * 1e-3)
    np.testing.assert_array_equal(got.sigma, got.scale)
    given_one = variance_components(scene(), sigma=2e-3).compute()
    assert agrees(given_one, TRUTH / 2)


@settings(max_examples=10)
@given(chunks=chunkings(y=SHAPE[0], x=SHAPE[1]), order=st.permutations(range(5)))
def test_result_is_the_same_for_any_chunks_and_order(chunks, order):
    whole = variance_components(scene()).compute()
    tracks = scene(chunks=chunks)
    xr.testing.assert_identical(variance_components([tracks[k] for k in order]).compute(), whole)


def test_a_large_window_is_looked_at_on_a_coarse_grid_of_the_lattice(monkeypatch):
    monkeypatch.setattr("mimtpy_cloud.ops.variance._SAMPLES", 2000)
    few = variance_components(scene()).compute()
    assert 1000 < few["count"] <= 2000
    assert (np.abs(few.scale - TRUTH) < 4 * few.scale_std).all()
    moved = [ds.isel(y=slice(1, None), x=slice(2, None)) for ds in scene()]  # nearly the same pixels
    np.testing.assert_allclose(variance_components(moved).compute().scale, few.scale, rtol=0.05)


def test_invalid_pixels_and_gaps_take_no_part():
    tracks = scene()
    bad = xr.DataArray(np.zeros(SHAPE, bool), dims=("y", "x"))
    bad[:60] = True
    spoiled = [ds.assign(velocity=ds.velocity.where(~bad, 0.5), valid=ds.valid & ~bad) for ds in tracks]
    blank = [ds.assign(velocity=ds.velocity.where(~bad)) for ds in tracks]
    xr.testing.assert_allclose(variance_components(spoiled).compute(), variance_components(blank).compute())


def test_known_north_is_no_error_of_the_tracks():
    ignored = variance_components(scene(north=0.03)).compute()
    known = variance_components(scene(north=0.03), north=0.03).compute()
    assert agrees(known, TRUTH)
    assert ignored.scale.max() > 5
    solved = variance_components(scene(north=0.03), "enu").compute()
    assert (np.abs(solved.scale - TRUTH) < 4 * solved.scale_std).all()


def test_a_patch_tells_tracks_of_one_direction_from_each_other():
    pair = [1.0, 2.0, 4.0]
    tracks = scene(truth=[*pair, 1.0])
    for ds, incidence in zip(tracks, (39.0, 34.0, 39.5, 34.5), strict=True):
        azimuth = 102.0 if incidence > 35 else -102.0
        for name, value in zip(("los_east", "los_north", "los_up"), look_vector(incidence, azimuth), strict=True):
            ds[name] = ds[name] * 0 + np.float32(value)
        motion = ds.los_east * EAST + ds.los_up * UP
        rng = np.random.default_rng(int(10 * incidence))
        factor = {390: 1.0, 340: 2.0, 395: 4.0, 345: 1.0}[int(10 * incidence)]
        ds["velocity"] = motion + np.float32(factor * 1e-3) * rng.standard_normal(SHAPE).astype(np.float32)
    blind = variance_components(tracks).compute()
    assert blind.scale_std[0] > 0.3 * blind.scale[0]
    np.testing.assert_allclose(np.hypot(*blind.scale.values[[0, 2]]), np.hypot(1, 4), rtol=0.1)
    with no_compute():
        lazy = variance_components([ds.chunk(y=50, x=50) for ds in tracks], patch=STILL)
    told = lazy.compute()
    np.testing.assert_allclose(told.scale, [1.0, 2.0, 4.0, 1.0], rtol=0.1)
    assert told.attrs["noise_from"] == "patch"


def test_noise_of_a_patch_is_that_of_its_map():
    tracks = scene()
    got = variance_components(tracks, patch=STILL).compute()
    for k, ds in enumerate(tracks):
        own = estimate_covariance(ds.velocity, STILL).compute()
        for name in ("sill", "range_km", "nugget"):
            assert float(got[name][k]) == pytest.approx(float(own[name]))
        assert float(own.sill + own.nugget) == pytest.approx((TRUTH[k] * 1e-3) ** 2, rel=0.1)


def test_correlated_noise_is_worth_fewer_pixels():
    def smooth(rng):
        spectrum = np.fft.fft2(rng.standard_normal((240, 260)))
        lags = [np.minimum(np.arange(n), n - np.arange(n)) for n in spectrum.shape]
        kernel = np.fft.fft2(np.exp(-np.hypot(lags[0][:, np.newaxis], lags[1]) / 10)).real.clip(0)
        return np.fft.ifft2(np.sqrt(kernel) * spectrum).real[: SHAPE[0], : SHAPE[1]]

    white, correlated = (variance_components(scene(noise=noise)).compute() for noise in (None, smooth))
    assert (correlated.scale_std / correlated.scale > 3 * white.scale_std / white.scale).all()
    assert (np.abs(correlated.scale - TRUTH) < 4 * correlated.scale_std).all()
    assert correlated.range_km.median() > 4  # 10 pixels of 0.85 by 1.1 km


def test_the_datum_of_a_track_shows_if_it_is_not_that_of_the_others():
    tracks = scene()
    tracks[2]["velocity"] = tracks[2]["velocity"] + np.float32(0.004)
    got = variance_components(tracks).compute()
    assert int(np.abs(got.offset.values).argmax()) == 2


# ---- honest uncertainties


def covered(tracks, sigma=None):
    """Part of the truth within one and two standard deviations, of east and up."""
    got = invert_enu(tracks, sigma=sigma).compute()
    off = [np.abs(got[name] - truth) / got[f"{name}_std"] for name, truth in (("east", EAST), ("up", UP))]
    return [float(np.mean([(o.values < z).mean() for o in off])) for z in (1.0, 1.96)]


@pytest.mark.parametrize("count", [2, 3, 5])
def test_intervals_of_known_noise_cover_the_truth(count):
    inside = np.mean([covered(scene(seed, np.ones(count))) for seed in range(3)], axis=0)
    assert 0.66 <= inside[0] <= 0.70
    assert 0.94 <= inside[1] <= 0.96


def test_wrong_standard_deviations_do_not_cover_and_scaled_ones_do():
    tracks = scene()
    before = covered(tracks)
    assert before[0] < 0.6 or before[0] > 0.75
    inside = covered(tracks, variance_components(tracks).compute())
    assert 0.66 <= inside[0] <= 0.70
    assert 0.94 <= inside[1] <= 0.96


def test_reduced_chi_squared_is_one_with_scaled_standard_deviations():
    tracks = scene()
    assert float(invert_enu(tracks).chi2.mean()) > 2
    assert float(invert_enu(tracks, sigma=variance_components(tracks)).chi2.mean()) == pytest.approx(1, abs=0.05)


def test_a_track_without_scale_gets_that_of_the_others():
    tracks = scene()
    found = variance_components(tracks).compute()
    lost = found.assign(scale=found.scale.where(found.track != "T003"), sigma=found.sigma.where(found.track != "T003"))
    got = invert_enu(tracks, sigma=lost)
    assert bool(got.valid.all())


@pytest.mark.parametrize("with_std", [True, False])
def test_scaling_is_lazy_and_changes_no_input(with_std):
    tracks = [ds if with_std else ds.drop_vars("velocity_std") for ds in scene(chunks={"y": 50, "x": 50})]
    before = [ds.copy(deep=True) for ds in tracks]
    with no_compute():
        lazy = invert_enu(tracks, sigma=variance_components(tracks))
    computed = variance_components(tracks).compute()
    np.testing.assert_array_equal(lazy.east_std, invert_enu(tracks, sigma=computed).east_std)
    for ds, old in zip(tracks, before, strict=True):
        xr.testing.assert_identical(ds, old)


# ---- errors


def test_bad_input_is_refused():
    tracks = scene()
    with pytest.raises(SchemaError, match="3 or more"):
        variance_components(tracks[:2])
    with pytest.raises(SchemaError, match="4 or more"):
        variance_components(tracks[:3], "enu")
    with pytest.raises(SchemaError, match="different datums"):
        variance_components([tracks[0].assign_attrs(reference_point=[0.0, 0.0]), *tracks[1:]])
    with pytest.raises(SchemaError, match="sigma must be positive"):
        variance_components(tracks, sigma=-1)
    with pytest.raises(GridMismatchError, match="no track has pixels in the patch"):
        variance_components(tracks, patch=(0, 0, 1, 1))
    with pytest.raises(SchemaError, match="patch must be a box"):
        variance_components(tracks, patch=(0, 0, 1))
    found = variance_components(tracks)
    with pytest.raises(SchemaError, match="of T000, T001, T002, T003, T004, not of T009"):
        invert_enu([tracks[0].assign_attrs(track="T009"), *tracks[1:]], sigma=found)
    with pytest.raises(SchemaError, match="scale velocity_std; T000 has no such velocity"):
        invert_enu([tracks[0].drop_vars("velocity_std"), *tracks[1:]], sigma=found)
    with pytest.raises(SchemaError, match="sigma"):
        invert_enu(tracks, sigma=xr.Dataset({"scale": 1.0}))


def test_without_a_spare_look_all_is_unknown():
    tracks = scene(truth=np.ones(3))
    bad = xr.DataArray(np.arange(SHAPE[1]) < 65, dims="x")
    tracks[0] = tracks[0].assign(velocity=tracks[0].velocity.where(bad))
    tracks[1] = tracks[1].assign(velocity=tracks[1].velocity.where(~bad))
    got = variance_components(tracks).compute()
    assert np.isnan(got.scale).all()
    assert np.isnan(got.scale_std).all()
    assert got["count"] == 0
    with pytest.raises(SchemaError, match="no pixel has a spare look"):
        invert_enu(tracks, sigma=got)
