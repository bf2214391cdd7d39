"""Correlated noise of a patch of a map."""

import numpy as np
import pytest
import xarray as xr
from hypothesis import given, settings
from lazy import no_compute
from strategies import chunkings
from synthetic import lattice_dataset

from mimtpy_cloud.errors import GridMismatchError, SchemaError
from mimtpy_cloud.kernels.semivariogram import semivariogram
from mimtpy_cloud.ops.covariance import estimate_covariance
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
