"""Estimate and remove ramps."""

import numpy as np
import pytest
import xarray as xr
from hypothesis import given
from hypothesis import strategies as st
from lazy import no_compute
from strategies import chunkings
from synthetic import DATES, lattice_dataset, small_window

import mimtpy_cloud as mc
from mimtpy_cloud.errors import GridMismatchError, RampError, SchemaError
from mimtpy_cloud.kernels.ramp import RAMPS, evaluate_ramp, ramp_terms
from mimtpy_cloud.ops.deramp import estimate_ramp, remove_ramp
from mimtpy_cloud.plan.grid import Grid
from mimtpy_cloud.plan.plane import centre_of, plane_km

WINDOW = small_window(20, 30)
TRUTH = np.array([0.02, 1e-3, -2e-3, 3e-5, -1e-5, 2e-5])


def ramp_on(window, coefficients=TRUTH, kind="quadratic", origin=None):
    x_km, y_km = plane_km(window.x, window.y, origin or centre_of(window.x, window.y))
    return evaluate_ramp(np.array(coefficients), x_km, y_km, kind)


def velocity(seed=0, sigma=1e-3, gaps=True, window=WINDOW):
    rng = np.random.default_rng(seed)
    data = ramp_on(window) + sigma * rng.standard_normal(window.shape)
    if gaps:
        data[:, :2] = data[3:5, 7:11] = np.nan
    return lattice_dataset(window, velocity=data)


def series(seed=0, scale=(0.0, 1.0, -0.5, np.nan, 2.0), sigma=1e-3):
    """Ramps of several sizes; the first date is zero, one has no data."""
    rng = np.random.default_rng(seed)
    noise = sigma * rng.standard_normal((DATES.size, *WINDOW.shape))
    noise[0] = 0
    data = np.array(scale)[:, None, None] * ramp_on(WINDOW) + noise
    data[1:, :, 5] = np.nan
    return lattice_dataset(WINDOW, displacement=data)


def least_squares(ds, kind, used=None):
    """Coefficients of the velocity from numpy's lstsq."""
    data = ds["velocity"].values.astype(float)
    x_km, y_km = plane_km(WINDOW.x, WINDOW.y, centre_of(WINDOW.x, WINDOW.y))
    basis = [evaluate_ramp(unit, x_km, y_km, kind) for unit in np.eye(len(ramp_terms(kind)))]
    good = np.isfinite(data) & (True if used is None else used)
    return np.linalg.lstsq(np.stack([b[good] for b in basis], axis=1), data[good], rcond=None)[0]


# ---- known truth


def test_names_are_public():
    assert mc.estimate_ramp is estimate_ramp
    assert mc.remove_ramp is remove_ramp


@pytest.mark.parametrize("kind", RAMPS)
def test_coefficients_equal_least_squares(kind):
    ds = velocity()
    ramp = estimate_ramp(ds["velocity"], kind).compute()
    np.testing.assert_allclose(ramp["coefficient"], least_squares(ds, kind), rtol=1e-7, atol=1e-12)
    assert ramp["term"].values.tolist() == list(ramp_terms(kind))
    assert ramp["count"] == np.isfinite(ds["velocity"]).sum()
    assert ramp.attrs["kind"] == kind
    np.testing.assert_allclose(ramp.attrs["origin"], centre_of(WINDOW.x, WINDOW.y))


def test_known_ramp_is_recovered_with_its_units():
    exact = lattice_dataset(WINDOW, velocity=0.0)["velocity"].astype("float64").copy(data=ramp_on(WINDOW))
    ramp = estimate_ramp(exact, "quadratic")
    np.testing.assert_allclose(ramp["coefficient"], TRUTH, rtol=1e-9)
    assert ramp["coefficient"].attrs["units"] == "m/yr"
    assert ramp["coefficient"].attrs["term_units"] == ["m/yr"] + ["m/yr/km"] * 2 + ["m/yr/km^2"] * 3
    assert np.abs(remove_ramp(exact, "quadratic")).max() < 1e-15


def test_sigma_and_covariance_cover_the_truth():
    draws = [estimate_ramp(velocity(seed, window=WINDOW)["velocity"], "quadratic").compute() for seed in range(30)]
    assert np.mean([d["sigma"] for d in draws]) == pytest.approx(1e-3, rel=0.02)
    normalised = [(d["coefficient"].values - TRUTH) / np.sqrt(np.diag(d["covariance"])) for d in draws]
    assert np.mean(np.square(normalised)) == pytest.approx(1, abs=0.3)


def test_origin_moves_the_coefficients_but_not_the_ramp():
    ds = velocity()
    origin = (-118.0, 36.5)
    ramp = estimate_ramp(ds["velocity"], "quadratic", origin=origin)
    assert ramp.attrs["origin"] == list(origin)
    assert abs(float(ramp["coefficient"][0]) - TRUTH[0]) > 1e-3
    moved, plain = remove_ramp(ds, ramp)["velocity"], remove_ramp(ds, "quadratic")["velocity"]
    np.testing.assert_allclose(moved, plain, atol=2e-5)  # cos(latitude) differs by 1e-3


def test_antimeridian_is_no_border():
    west = velocity()
    x = west["x"].values
    east = west.assign_coords(x=(x - x.mean() + 360) % 360 - 180)
    a, b = (estimate_ramp(ds["velocity"], "quadratic")["coefficient"] for ds in (west, east))
    np.testing.assert_allclose(b, a, rtol=1e-9)


def test_projected_grid_in_metres():
    from pyproj import CRS

    utm = CRS.from_epsg(32611)
    x, y = 300e3 + np.arange(12) * 100.0, 4100e3 - np.arange(9) * 100.0
    data = 0.01 + 2e-3 * (x - 300.55e3) / 1e3 - 1e-3 * (y[:, None] - 4099.6e3) / 1e3
    da = xr.DataArray(data, {"y": y, "x": x, "spatial_ref": ((), 0, {"crs_wkt": utm.to_wkt("WKT1_GDAL")})}, ("y", "x"))
    ramp = estimate_ramp(da)
    np.testing.assert_allclose(ramp["coefficient"], [0.01, 2e-3, -1e-3], rtol=1e-9)
    lon, lat = ramp.attrs["origin"]
    assert -120 < lon < -119
    assert 36.9 < lat < 37.1
    ring = np.array([[lon, lat], [lon + 1, lat], [lon + 1, lat + 1], [lon, lat + 1]])
    assert int(estimate_ramp(da, exclude=[ring])["count"]) == pytest.approx(9 * 12 * 3 / 4, abs=8)


# ---- what takes part


def test_mask_weights_and_polygons_choose_the_pixels():
    ds = velocity(gaps=False)
    da, mask = ds["velocity"], np.random.default_rng(3).random(WINDOW.shape) < 0.4
    used = xr.DataArray(mask, ds["velocity"].coords, ("y", "x"))
    wanted = least_squares(ds, "linear", mask)
    np.testing.assert_allclose(estimate_ramp(da, mask=used)["coefficient"], wanted, rtol=1e-7)
    np.testing.assert_allclose(estimate_ramp(da, weights=used * 3.0)["coefficient"], wanted, rtol=1e-7)
    both = estimate_ramp(da, mask=used, weights=xr.ones_like(da) * 2)
    np.testing.assert_allclose(both["coefficient"], wanted, rtol=1e-7)
    west, east, north, south = (float(v) for v in (WINDOW.x[10], WINDOW.x[20], WINDOW.y[3], WINDOW.y[15]))
    ring = np.array([[west, south], [east, south], [east, north], [west, north]]) + 1e-4
    keep = np.ones(WINDOW.shape, bool)
    keep[3 + 1 - 1 : 15, 11:21] = False
    for turn in (-360, 0, 360):
        ramp = estimate_ramp(da, exclude=[ring + np.array([turn, 0])])
        np.testing.assert_allclose(ramp["coefficient"], least_squares(ds, "linear", keep), rtol=1e-7)
        assert ramp["count"] == keep.sum()


def test_pixels_of_a_dataset_that_are_not_valid_lose_the_ramp_but_take_no_part():
    ds = velocity(gaps=False)
    ds["valid"][:, 20:] = False
    ds["velocity"][:, 20:] += 5
    ramp = estimate_ramp(ds["velocity"], mask=ds["valid"])
    result = remove_ramp(ds)
    np.testing.assert_allclose(result["ramp_coefficient"], ramp["coefficient"])
    assert np.abs(result["velocity"][:, :20]).max() < 0.1
    assert (result["velocity"][:, 20:] > 4.5).all()
    everywhere = remove_ramp(ds, mask=xr.ones_like(ds["valid"]))
    assert not np.allclose(everywhere["ramp_coefficient"], result["ramp_coefficient"], rtol=0.1)


def test_outliers_move_a_robust_ramp_little():
    ds = velocity(gaps=False)
    da = ds["velocity"]
    rng = np.random.default_rng(4)
    hit = rng.random(WINDOW.shape) < 0.1
    hit[:, :15] = False  # unwrapping errors on one side
    spoilt = da + np.where(hit, 0.5, 0).astype(np.float32)
    clean, plain, robust = (
        estimate_ramp(d, "quadratic", robust=r).compute() for d, r in ((da, False), (spoilt, False), (spoilt, True))
    )
    std = np.sqrt(np.diag(clean["covariance"]))
    assert (np.abs(plain["coefficient"] - clean["coefficient"]) / std).max() > 20
    assert (np.abs(robust["coefficient"] - clean["coefficient"]) / std).max() < 3
    assert float(robust["sigma"]) == pytest.approx(1e-3, rel=0.15)
    assert float(plain["sigma"]) > 0.05
    assert robust.attrs["robust"] is True


def test_robust_equals_iterated_least_squares():
    ds = velocity(gaps=True, sigma=2e-3)
    data = ds["velocity"].values.astype(float)
    data[::7, ::5] += 0.03
    x_km, y_km = plane_km(WINDOW.x, WINDOW.y, centre_of(WINDOW.x, WINDOW.y))
    good = np.isfinite(data)
    a = np.stack([evaluate_ramp(unit, x_km, y_km, "linear")[good] for unit in np.eye(3)], axis=1)
    d = data[good]
    c = np.linalg.lstsq(a, d, rcond=None)[0]
    for _ in range(200):
        r = np.abs(d - a @ c)
        w = np.minimum(1, 1.345 * 1.482602218505602 * np.median(r) / r)
        c = np.linalg.solve(a.T @ (w[:, None] * a), a.T @ (w * d))
    ramp = estimate_ramp(ds["velocity"].astype(float).copy(data=data), robust=True).compute()
    error = (ramp["coefficient"] - c) / np.sqrt(np.diag(ramp["covariance"]))
    assert np.abs(error).max() < 0.1


def test_robust_covariance_is_that_of_many_draws():
    window = small_window(12, 14)
    rng = np.random.default_rng(6)
    like = lattice_dataset(window, velocity=0.0)["velocity"].astype(float)
    draws = [estimate_ramp(like.copy(data=rng.standard_t(3, window.shape)), robust=True).compute() for _ in range(100)]
    spread = np.std([d["coefficient"].values for d in draws], axis=0)
    mean = np.sqrt(np.mean([np.diag(d["covariance"]) for d in draws], axis=0))
    np.testing.assert_allclose(mean, spread, rtol=0.2)


def test_robust_fit_of_exact_data_is_exact():
    exact = lattice_dataset(WINDOW, velocity=0.0)["velocity"].astype("float64").copy(data=ramp_on(WINDOW))
    np.testing.assert_allclose(estimate_ramp(exact, "quadratic", robust=True)["coefficient"], TRUTH, rtol=1e-9)
    zero = estimate_ramp(exact * 0, robust=True)
    assert (zero["coefficient"] == 0).all()


# ---- series


def test_each_date_loses_its_own_ramp():
    ds = series()
    ramp = estimate_ramp(ds["displacement"], "quadratic").compute()
    assert ramp["coefficient"].dims == ("time", "term")
    assert ramp["covariance"].dims == ("time", "term", "term_")
    np.testing.assert_array_equal(ramp["time"], ds["time"])
    size = WINDOW.shape[0] * (WINDOW.shape[1] - 1)
    assert ramp["count"].values.tolist() == [WINDOW.shape[0] * WINDOW.shape[1], size, size, 0, size]
    for k in (1, 2, 4):
        one = estimate_ramp(ds["displacement"].isel(time=k, drop=True), "quadratic")
        np.testing.assert_allclose(ramp["coefficient"][k], one["coefficient"], rtol=1e-10, atol=1e-15)
        np.testing.assert_allclose(ramp["covariance"][k], one["covariance"], rtol=1e-8, atol=1e-25)
    assert (ramp["coefficient"][0] == 0).all()
    assert np.isnan(ramp["coefficient"][3]).all()


@pytest.mark.parametrize("keep_reference", [False, True])
def test_dates_that_are_zero_or_unused_stay_as_they_are(keep_reference):
    ds = series(scale=(0.0, 1.0, -0.5, 1.5, 2.0))
    use = xr.ones_like(ds["displacement"], bool)
    use[3] = False
    result = remove_ramp(ds, "quadratic", keep_reference=keep_reference, weights=use * 1.0)
    for k in (0, 3):
        np.testing.assert_array_equal(result["displacement"][k], ds["displacement"][k])
    assert np.abs(result["displacement"][[1, 2, 4]]).max() < (0.2 if keep_reference else 0.006)
    assert result["displacement"].dtype == np.float32


def test_a_robust_series_skips_dates_without_data():
    ds = series()
    ramp = estimate_ramp(ds["displacement"], "quadratic", robust=True).compute()
    assert ramp["count"][3] == 0
    assert np.isnan(ramp["coefficient"][3]).all()
    np.testing.assert_allclose(ramp["coefficient"][4], 2 * TRUTH, atol=2e-4)


# ---- reference


def test_keep_reference_leaves_the_reference_pixel():
    ds = velocity(gaps=False).assign_attrs(reference_point=[float(WINDOW.x[4]) + 0.3 / WINDOW.n, float(WINDOW.y[6])])
    kept, free = remove_ramp(ds, keep_reference=True), remove_ramp(ds)
    assert float(kept["velocity"][6, 4]) == pytest.approx(float(ds["velocity"][6, 4]), abs=1e-9)
    assert np.ptp((kept["velocity"] - free["velocity"]).values) < 1e-8
    assert abs(float(free["velocity"].mean())) < 1e-7
    assert kept.attrs["reference_point"] == ds.attrs["reference_point"]
    assert "reference_point" not in free.attrs
    assert kept.attrs["ramp_removed"]["keep_reference"] is True
    assert free.attrs["ramp_removed"]["kind"] == "linear"
    assert free.attrs["ramp_removed"]["origin"] == list(centre_of(WINDOW.x, WINDOW.y))


def test_reference_outside_the_scene_extends_the_ramp():
    ds = velocity(gaps=False).assign_attrs(reference_point=[float(WINDOW.x[0]) - 10 / WINDOW.n, float(WINDOW.y[6])])
    kept, ramp = remove_ramp(ds, keep_reference=True), estimate_ramp(ds["velocity"])
    removed = (ds["velocity"] - kept["velocity"]).values
    per_pixel = (removed[6, -1] - removed[6, 0]) / (WINDOW.nx - 1)
    assert removed[6, 0] - 10 * per_pixel == pytest.approx(0, abs=1e-6)
    assert abs(float(ramp["coefficient"][1])) > 5e-4


def test_all_else_stays_as_it_was():
    ds = velocity()
    result = remove_ramp(ds, "quadratic")
    for name in set(ds.variables) - {"velocity"}:
        xr.testing.assert_identical(result[name], ds[name])
    assert result["velocity"].attrs == ds["velocity"].attrs
    assert result["velocity"].dtype == ds["velocity"].dtype
    np.testing.assert_array_equal(np.isnan(result["velocity"]), np.isnan(ds["velocity"]))
    again = remove_ramp(result, "constant")
    assert again["ramp_coefficient"].sizes == {"term": 1}


def test_a_given_ramp_is_removed_from_a_part_too():
    ds = velocity()
    ramp = estimate_ramp(ds["velocity"], "quadratic")
    whole = remove_ramp(ds, ramp)
    part = remove_ramp(ds.isel(y=slice(5, 12), x=slice(9, 25)), ramp.compute())
    np.testing.assert_allclose(part["velocity"], whole["velocity"][5:12, 9:25], atol=1e-9)


# ---- oracles


def oracle(shared, name, variable, mask_of=None):
    """MintPy's file as a DataArray, and its mask."""
    import h5py

    with h5py.File(shared / "data" / "mintpy_oracles" / name) as file:
        values, attrs = file[variable][:], dict(file.attrs)
    step, (ny, nx) = float(attrs["X_STEP"]), values.shape[-2:]
    grid = Grid(float(attrs["X_FIRST"]), float(attrs["Y_FIRST"]), step, step, nx, ny)
    coords = {"y": grid.y, "x": grid.x}
    if values.ndim == 3:
        coords["time"] = np.datetime64("2020-01-01", "ns") + np.arange(len(values)) * np.timedelta64(12, "D")
    da = xr.DataArray(values, coords, ("time", "y", "x")[-values.ndim :])
    da.attrs["reference_point"] = [float(grid.x[int(attrs["REF_X"])]), float(grid.y[int(attrs["REF_Y"])])]
    if mask_of is None:
        return da, None
    with h5py.File(shared / "data" / "he5" / "small" / mask_of / "mintpy" / "geo_maskTempCoh.h5") as file:
        return da, xr.DataArray(file["mask"][:], {"y": grid.y, "x": grid.x}, ("y", "x"))


@pytest.mark.parametrize("kind", [kind for kind in RAMPS if kind != "constant"])
def test_velocity_equals_mintpy(shared, kind):
    da, mask = oracle(shared, "velocity/AT064/velocity.h5", "velocity", "SynthSenAT064")
    wanted, _ = oracle(shared, f"deramp/vel_{kind}.h5", "velocity")
    result = remove_ramp(da, kind, mask=mask & (da != 0), keep_reference=True)
    shown = (da != 0).values  # MintPy leaves exact zeros alone
    np.testing.assert_allclose(result.values[shown], wanted.values[shown], atol=2e-7)


def test_whole_area_equals_mintpy(shared):
    da, _ = oracle(shared, "velocity/AT064/velocity.h5", "velocity")
    wanted, _ = oracle(shared, "deramp/vel_linear_nomask.h5", "velocity")
    shown = (da != 0).values
    result = remove_ramp(da, mask=da != 0, keep_reference=True)
    np.testing.assert_allclose(result.values[shown], wanted.values[shown], atol=2e-7)


def test_mintpy_leaves_no_ramp_where_zeros_are_no_data(shared):
    done, _ = oracle(shared, "deramp/vel_zero_nodata_linear.h5", "velocity")
    known = done != 0
    assert not known.all()
    slopes = estimate_ramp(done.where(known))["coefficient"][1:]
    assert np.abs(slopes).max() < 1e-8
    np.testing.assert_allclose(estimate_ramp(done, mask=known)["coefficient"][1:], slopes, atol=1e-12)
    assert np.abs(estimate_ramp(done)["coefficient"][1:]).max() > 1e-7  # were zeros data, a slope would be left


@pytest.mark.parametrize("kind", ["linear", "quadratic"])
def test_series_equals_mintpy(shared, kind):
    name = "../he5/small/SynthSenAT137/mintpy/geo_timeseries_ERA5_demErr.h5"
    da, mask = oracle(shared, name, "timeseries", "SynthSenAT137")
    wanted, _ = oracle(shared, f"deramp/ts_{kind}.h5", "timeseries")
    result = remove_ramp(da, kind, weights=(da != 0) * mask, keep_reference=True)
    shown = ((da != 0) & da.notnull()).values
    assert not shown.any(axis=(1, 2)).all()  # the reference date
    np.testing.assert_allclose(result.values[shown], wanted.values[shown], atol=5e-7)
    still = ~shown.any(axis=(1, 2))
    np.testing.assert_array_equal(result.values[still], da.values[still])


def test_a_ramp_is_taken_out_of_observed_less_model_as_in_oracle_o56(oracles):
    case = oracles["O56"]
    grid = Grid(30.0, 1.0, 0.01, 0.01, 5, 4)
    spike = np.zeros((4, 5))
    spike[1, 2] = 1.0
    observed = 0.5 + 0.1 * np.arange(5.0) - 0.2 * np.arange(4.0)[:, None] + 3 * spike
    for model, height in (("17.25_18.00", 3), ("17.50_18.00", 2)):
        left = xr.DataArray(observed - height * spike, {"y": grid.y, "x": grid.x}, ("y", "x"))
        assert float(np.sqrt((left**2).mean())) == pytest.approx(case[f"{model}_rms_no_ramp"], rel=1e-9)
        flat = remove_ramp(left, "linear")
        assert float(np.sqrt((flat**2).mean())) == pytest.approx(case[f"{model}_rms_with_ramp"], rel=1e-9, abs=1e-12)


def test_rms_after_mintpys_shift_of_oracle_o09(oracles):
    case = oracles["O09"]
    grid = Grid(30.0, 1.0, 0.01, 0.01, 5, 4)
    values = 0.5 + 0.1 * np.arange(5.0) - 0.2 * np.arange(4.0)[:, None]
    da = xr.DataArray(values, {"y": grid.y, "x": grid.x}, ("y", "x"))
    da.attrs["reference_point"] = [float(grid.x[0]), float(grid.y[0])]
    np.testing.assert_allclose(remove_ramp(da), case["residual_after_full_ramp"], atol=1e-12)
    kept = remove_ramp(da, keep_reference=True)
    np.testing.assert_allclose(kept, case["residual_after_mintpy_deramp_with_REF_0_0"], atol=1e-12)
    assert float(np.sqrt((kept**2).mean())) == pytest.approx(case["rms_then"])


# ---- lazy and chunked


@given(chunks=chunkings(y=20, x=30), robust=st.booleans())
def test_chunked_map_equals_whole(chunks, robust):
    ds = velocity()
    ring = np.array([[-119.0, 36.9], [-118.9, 36.9], [-118.9, 37.0]])
    options = {"robust": robust, "exclude": [ring], "weights": xr.ones_like(ds["velocity"]) * 2}
    with no_compute():
        ramp = estimate_ramp(ds["velocity"].chunk(chunks), "quadratic", mask=ds["valid"], **options)
        result = remove_ramp(ds.chunk(chunks), "quadratic", keep_reference=True, **options)
    wanted = estimate_ramp(ds["velocity"], "quadratic", mask=ds["valid"], **options)
    xr.testing.assert_allclose(ramp.compute(), wanted.compute(), rtol=1e-6, atol=1e-18)
    xr.testing.assert_allclose(
        result.compute(), remove_ramp(ds, "quadratic", keep_reference=True, **options).compute(), rtol=1e-5, atol=1e-8
    )
    assert result["velocity"].chunks == (chunks["y"], chunks["x"])


@given(chunks=chunkings(time=5, y=20, x=30), robust=st.booleans())
def test_chunked_series_equals_whole(chunks, robust):
    ds = series()
    with no_compute():
        ramp = estimate_ramp(ds["displacement"].chunk(chunks), robust=robust)
        result = remove_ramp(ds.chunk(chunks), robust=robust)
    xr.testing.assert_allclose(ramp.compute(), estimate_ramp(ds["displacement"], robust=robust).compute(), atol=1e-12)
    xr.testing.assert_allclose(result.compute(), remove_ramp(ds, robust=robust).compute(), atol=1e-7)


@pytest.mark.parametrize(("robust", "times"), [(False, 2), (True, 8)])
def test_a_series_is_read_again_rather_than_held_and_a_map_once(robust, times):
    import dask.array as dask_array

    read = []

    def noted(block):
        read.append(block.shape)
        return block

    ds = series(scale=(0.0, 1.0, -0.5, 1.5, 2.0)).chunk(y=10)
    data = dask_array.map_blocks(noted, ds["displacement"].data, dtype=np.float32, meta=np.empty((0, 0, 0)))
    noisy = ds["displacement"].copy(data=data)
    remove_ramp(noisy, robust=robust).compute(scheduler="sync")
    assert len(read) == 2 * times
    read.clear()
    remove_ramp(noisy.isel(time=1), robust=robust).compute(scheduler="sync")
    assert len(read) == 2


def test_names_of_the_graph_come_from_the_inputs():
    ds = velocity().chunk(y=7)
    a, b, c = (remove_ramp(ds, kind)["velocity"].data.name for kind in ("linear", "linear", "quadratic"))
    assert a == b != c
    timed = series().chunk(y=7)
    d, e = (remove_ramp(timed, robust=True)["displacement"].data.name for _ in range(2))
    assert d == e


# ---- errors


@pytest.mark.parametrize("robust", [False, True])
def test_a_singular_ramp_is_an_error_when_computed(robust):
    ds = velocity(gaps=False)
    mask = xr.zeros_like(ds["valid"])
    mask[2, 3] = mask[7, 9] = True
    with no_compute():
        ramp = estimate_ramp(ds["velocity"], mask=mask, robust=robust)
    with pytest.raises(RampError, match=r"2 pixels with data and weight do not determine a linear ramp"):
        ramp.compute()
    with pytest.raises(RampError, match="0 pixels"):
        estimate_ramp(ds["velocity"] * np.nan).compute()


def test_a_singular_date_is_named():
    ds = series()
    few = ds["displacement"].where((ds["time"] != DATES[1]) | (ds["x"] == ds["x"][3]))
    with pytest.raises(RampError, match=r"^2020-01-13: 20 pixels .* too few lines"):
        estimate_ramp(few).compute()


def test_what_does_not_fit_is_refused():
    ds = velocity()
    da = ds["velocity"]
    with pytest.raises(RampError, match=r"must be one of .* got 'cubic'"):
        estimate_ramp(da, "cubic")
    with pytest.raises(SchemaError, match="expected a DataArray, got Dataset; select a variable"):
        estimate_ramp(ds)
    with pytest.raises(SchemaError, match=r"needs dimensions \(y, x\) or \(time, y, x\), got \('x', 'y'\)"):
        estimate_ramp(da.transpose("x", "y"))
    with pytest.raises(SchemaError, match="floating-point data, got int16"):
        estimate_ramp(da.fillna(0).astype("int16"))
    with pytest.raises(GridMismatchError, match="mask and data need the same coordinate x: mask has 29 values"):
        estimate_ramp(da, mask=ds["valid"].isel(x=slice(1, None)))
    with pytest.raises(GridMismatchError, match="weights and data need the same coordinate y"):
        estimate_ramp(da, weights=da.assign_coords(y=da["y"] + 0.001))
    with pytest.raises(SchemaError, match="mask must be a DataArray of dimensions"):
        estimate_ramp(da, mask=ds["valid"].values)
    with pytest.raises(SchemaError, match=r"three or more, got one of shape \(2, 2\)"):
        estimate_ramp(da, exclude=[np.zeros((2, 2))])
    with pytest.raises(GridMismatchError, match="a ramp needs pixels, got 0 rows"):
        estimate_ramp(da.isel(y=slice(0)))


def test_what_cannot_be_removed_is_refused():
    ds = velocity()
    ramp = estimate_ramp(ds["velocity"])
    with pytest.raises(SchemaError, match=r"a ramp needs one of velocity, .* the dataset has valid"):
        remove_ramp(ds[["valid"]])
    with pytest.raises(SchemaError, match="the dataset has east, up; say which by variable"):
        remove_ramp(ds[["velocity"]].rename(velocity="up").assign(east=ds["velocity"]))
    with pytest.raises(SchemaError, match="needs nothing"):
        remove_ramp(ds, variable="nothing")
    with pytest.raises(SchemaError, match="belong to estimate_ramp"):
        remove_ramp(ds, ramp, robust=True)
    with pytest.raises(SchemaError, match="ramp must be a kind or a result of estimate_ramp"):
        remove_ramp(ds, ds)
    with pytest.raises(SchemaError, match=r"the ramp has dimensions \('term',\), the data need \('time', 'term'\)"):
        remove_ramp(series(), ramp)
    timed = estimate_ramp(series()["displacement"])
    with pytest.raises(SchemaError, match="dates of the ramp are not those of the data"):
        remove_ramp(series(), timed.assign_coords(time=timed["time"] + np.timedelta64(1, "D")))
    del ds.attrs["reference_point"]
    with pytest.raises(SchemaError, match="keep_reference needs the attribute reference_point; call set_reference"):
        remove_ramp(ds, keep_reference=True)


def test_components_lose_a_ramp_too():
    ds = velocity(gaps=False)[["velocity"]].rename(velocity="up")
    assert np.abs(remove_ramp(ds, "quadratic")["up"]).max() < 0.006
    two = ds.assign(east=ds["up"] * 2)
    result = remove_ramp(two, "quadratic", variable="east")
    assert np.abs(result["east"]).max() < 0.012
    xr.testing.assert_identical(result["up"], two["up"])


def test_a_product_that_has_terms_of_its_own_loses_them():
    """A mosaic carries the coefficients of its adjustment; a ramp was removed before."""
    ds = lattice_dataset(small_window(30, 40), velocity=0.01)
    own = ds.assign(coefficient=(("track", "term"), np.zeros((2, 1)))).assign_coords(term=["constant"])
    flat = remove_ramp(own)
    assert "coefficient" not in flat
    assert flat["ramp_coefficient"].shape == (3,)
    again = remove_ramp(flat, "quadratic")
    assert again["ramp_coefficient"].shape == (6,)
    np.testing.assert_allclose(again.velocity, 0, atol=1e-9)
