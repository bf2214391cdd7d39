"""Correlated noise of a patch of a map."""

import numpy as np
import pytest
import xarray as xr
from hypothesis import given, settings
from lazy import no_compute
from strategies import chunkings
from synthetic import lattice_dataset

from mimtpy_cloud.errors import GridMismatchError, SchemaError
from mimtpy_cloud.io.sources import open_source
from mimtpy_cloud.kernels.covariance import KINDS, CovarianceModel
from mimtpy_cloud.kernels.noise import white_noise
from mimtpy_cloud.kernels.semivariogram import semivariogram
from mimtpy_cloud.kernels.whiten import whiten_dense
from mimtpy_cloud.ops.covariance import covariance_matrix, covariance_model, estimate_covariance
from mimtpy_cloud.plan.grid import Window

SHAPE = (160, 180)
#: On the equator a pixel of 1/100 degree is a square of 1.112 km.
WINDOW = Window(100, 9000, 18000, *SHAPE)
STEP = 1.11195


def noise(seed=0, sill=4e-6, range_km=12.0, nugget=1e-6):
    rng = np.random.default_rng(seed)
    lags = [np.minimum(np.arange(2 * n), 2 * n - np.arange(2 * n)) * STEP for n in SHAPE]
    kernel = np.fft.fft2(np.exp(-np.hypot(lags[0][:, np.newaxis], lags[1]) / range_km)).real.clip(0)
    field = np.fft.ifft2(np.sqrt(kernel) * np.fft.fft2(rng.standard_normal(kernel.shape))).real
    values = np.sqrt(sill) * field[: SHAPE[0], : SHAPE[1]] + np.sqrt(nugget) * rng.standard_normal(SHAPE)
    return lattice_dataset(WINDOW, velocity=values)["velocity"]


def test_known_covariance_comes_back():
    found = [estimate_covariance(noise(seed), ramp=None).compute() for seed in range(6)]
    mean = {name: float(np.mean([ds[name] for ds in found])) for name in ("sill", "range_km", "nugget")}
    assert mean["sill"] == pytest.approx(4e-6, rel=0.25)
    assert mean["range_km"] == pytest.approx(12.0, rel=0.25)
    assert mean["nugget"] == pytest.approx(1e-6, rel=0.25)
    assert found[0].sill.attrs["units"] == "(m/yr)^2"
    assert found[0].distance.attrs["units"] == "km"


def test_semivariogram_is_that_of_the_pixels_of_the_patch():
    da = noise()
    box = (float(da.x[20]) - 0.004, float(da.y[99]) - 0.004, float(da.x[119]) + 0.004, float(da.y[10]) + 0.004)
    got = estimate_covariance(da, box, ramp=None).compute()
    distance, gamma, pairs = semivariogram(da.values[10:100, 20:120], (STEP, STEP))
    np.testing.assert_allclose(got.semivariance[: gamma.size], gamma, rtol=0.02)  # a pixel is not quite a square
    np.testing.assert_allclose(got.distance[: gamma.size], distance, rtol=0.03)
    assert got.pairs.sum() == pytest.approx(pairs.sum(), rel=0.01)
    corners = np.array([(box[0], box[1]), (box[2], box[1]), (box[2], box[3]), (box[0], box[3])])
    for polygon in (corners, [corners], corners.tolist(), [corners[[0, 1, 2]], corners[[0, 2, 3]]]):
        xr.testing.assert_allclose(estimate_covariance(da, polygon, ramp=None).compute(), got, rtol=1e-6)


def test_a_ramp_is_no_noise():
    da = noise()
    tilted = da + (da.x - da.x.mean()) * 0.01 + 0.5
    one, other = (estimate_covariance(each).compute() for each in (da, tilted.astype(np.float32)))
    np.testing.assert_allclose(other.semivariance, one.semivariance, rtol=1e-3)
    assert float(estimate_covariance(tilted, ramp=None).semivariance[26]) > 3 * float(one.semivariance[26])


@settings(max_examples=10)
@given(chunks=chunkings(y=SHAPE[0], x=SHAPE[1]))
def test_chunks_make_no_difference_and_building_computes_nothing(chunks):
    da = noise()
    with no_compute():
        lazy = estimate_covariance(da.chunk(chunks), (0.1, -0.9, 0.9, -0.1), ramp=None)
    xr.testing.assert_allclose(lazy.compute(), estimate_covariance(da, (0.1, -0.9, 0.9, -0.1), ramp=None).compute())


def test_a_large_map_is_thinned(monkeypatch):
    whole = estimate_covariance(noise(), ramp=None).compute()
    monkeypatch.setattr("mimtpy_cloud.ops.covariance._SIDE", 60)
    thin = estimate_covariance(noise(), ramp=None).compute()
    assert thin.pairs.sum() < 0.1 * whole.pairs.sum()
    assert float(thin.distance[0]) == pytest.approx(3 * STEP, rel=0.01)
    assert float(thin.sill + thin.nugget) == pytest.approx(float(whole.sill + whole.nugget), rel=0.1)


def test_bad_input_is_refused():
    da = noise()
    with pytest.raises(SchemaError, match="patch must be a box"):
        estimate_covariance(da, (0, 1, 2))
    with pytest.raises(SchemaError, match="patch must be a box"):
        estimate_covariance(da, "all")
    with pytest.raises(GridMismatchError):
        estimate_covariance(da, (50, 50, 51, 51))
    with pytest.raises(GridMismatchError, match="holds no pixel"):
        estimate_covariance(da, [(50, 50), (51, 50), (51, 51)])
    with pytest.raises(SchemaError, match="dimensions"):
        estimate_covariance(da.expand_dims("time"))
    with pytest.raises(GridMismatchError, match="too few"):
        estimate_covariance(da[:1, :2], ramp=None)


@pytest.mark.parametrize("kind", KINDS)
def test_the_result_becomes_a_model_of_its_kind(kind):
    with no_compute():
        lazy = estimate_covariance(noise().chunk(y=50), ramp=None, kind=kind)
    model = covariance_model(lazy)
    assert model == CovarianceModel(kind, float(lazy.sill), float(lazy.range_km), float(lazy.nugget))
    # all of them cross 1/e of the sill at much the same distance
    h = np.linspace(0, 60, 6001)
    assert h[np.argmin(np.abs(model.at(h) / model.sill - np.exp(-1)))] == pytest.approx(12, rel=0.4)


def test_empirical_covariance_is_that_of_the_pixels():
    da = noise()
    found = estimate_covariance(da, ramp=None).compute()
    values = da.values - da.values.mean()
    assert float(found.variance) == pytest.approx(np.square(values).mean())
    whole = (found.covariance + found.semivariance).where(found.pairs > 0, drop=True)
    np.testing.assert_allclose(whole, float(found.variance))
    first = np.concatenate([(values[1:] * values[:-1]).ravel(), (values[:, 1:] * values[:, :-1]).ravel()]).mean()
    assert float(found.covariance[0]) == pytest.approx(first, rel=0.02)
    assert found.covariance.attrs["units"] == "(m/yr)^2"


def test_noise_of_the_package_is_found_white():
    values = 1e-3 * white_noise(np.arange(SHAPE[0]), np.arange(SHAPE[1]), 1, 2)
    model = covariance_model(estimate_covariance(lattice_dataset(WINDOW, velocity=values)["velocity"]))
    near = np.array([STEP, 5.0])
    np.testing.assert_allclose(model.at(near), 0, atol=0.03e-6)
    assert model.variance - model.at(near)[0] == pytest.approx(1e-6, rel=0.03)


def test_points_leaves_and_pixels_have_the_matrix_of_their_places():
    model = CovarianceModel("exponential", 4e-6, 12.0, 1e-6)
    da = noise()[10:14, 20:25].rename("velocity")
    matrix = covariance_matrix(da, model)
    assert matrix.dims == ("point", "point_2")
    lon, lat = np.meshgrid(da.x, da.y)
    points = xr.Dataset(coords={"lon": ("leaf", lon.ravel()), "lat": ("leaf", lat.ravel())})
    leaves = covariance_matrix(points, model)
    assert leaves.dims == ("leaf", "leaf_2")
    np.testing.assert_allclose(leaves, matrix, rtol=1e-12)
    np.testing.assert_allclose(covariance_matrix(da.stack(pixel=("y", "x")), model), matrix, rtol=1e-12)
    assert float(matrix[0, 0]) == pytest.approx(5e-6)
    assert float(matrix[0, 1]) == pytest.approx(4e-6 * np.exp(-STEP / 12), rel=1e-3)
    across = xr.Dataset({"lon": ("leaf", [179.95, -179.95]), "lat": ("leaf", [0.0, 0.0])})
    assert float(covariance_matrix(across, model)[0, 1]) == pytest.approx(4e-6 * np.exp(-11.1319 / 12), rel=1e-4)


def test_what_has_no_places_or_too_many_has_no_matrix(monkeypatch):
    model = CovarianceModel("exponential", 4e-6, 12.0, 1e-6)
    with pytest.raises(SchemaError, match=r"points need lon and lat on one dimension, .* got no coordinate"):
        covariance_matrix(xr.DataArray(np.zeros(3), dims="leaf"), model)
    with pytest.raises(SchemaError, match=r"28800 points takes 7 GB; give at most 20000 points, .*whiten_covariance"):
        covariance_matrix(noise(), model)
    with pytest.raises(SchemaError, match="finite"):
        covariance_matrix(xr.Dataset({"lon": ("leaf", [np.nan]), "lat": ("leaf", [0.0])}), model)


def test_an_estimate_without_a_model_is_refused():
    with pytest.raises(SchemaError, match="got 'power'"):
        estimate_covariance(noise(), kind="power")
    with pytest.raises(SchemaError, match="too few pixels"):
        covariance_model(estimate_covariance(noise().where(False), ramp=None))
    with pytest.raises(SchemaError, match="range_km"):
        covariance_model(xr.Dataset({"sill": 1.0}))


def test_noise_of_a_real_frame_south_of_the_fault(shared):
    """Between 39.8 and 40.4 N the North Anatolian Fault, at 41 N, strains little of it but a ramp."""
    frame = open_source(shared / "data" / "real" / "anatolia_licsbas_4tracks" / "087A_04904_121313")
    found = estimate_covariance(frame["velocity"], (32.4, 39.8, 33.4, 40.4)).compute()
    model = covariance_model(found)
    assert 3e-3 < model.variance**0.5 < 4.5e-3  # m/yr: the source notes differences of mm/yr between frames
    assert 2 < model.range_km < 6
    known = found.pairs > 0
    fitted = model.variance - model.at(found.distance.values)
    assert float(np.abs(fitted / found.semivariance - 1).where(known).max()) < 0.3


def test_a_covariance_of_other_software_whitens_as_a_direct_solution_does(shared):
    """Leaves of L'Aquila with the covariance that came with them: mean values of an exponential one of 3 km."""
    for name, range_km in (("ascxn", 3.3), ("dscxn", 3.5)):
        given = np.load(shared / "data" / "real" / "laquila_kite_beat" / f"Laquila_{name}.npz")
        matrix, rows = given["covariance"].astype(np.float64), given["displacement"][np.newaxis]
        direct = float(rows[0] @ np.linalg.solve(matrix, rows[0]))
        assert float(np.square(whiten_dense(matrix).whiten(rows)).sum()) == pytest.approx(direct, rel=1e-10)
        points = xr.Dataset({"lon": ("leaf", given["lons"]), "lat": ("leaf", given["lats"])})
        ours = covariance_matrix(points, CovarianceModel("exponential", 1.0, range_km, 0.0)).values
        pairs = np.triu_indices(len(matrix), 1)
        ratio = np.log(matrix[pairs] / ours[pairs])
        assert ratio.std() < 0.1
