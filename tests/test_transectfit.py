"""Fits of strike-slip faults to labelled profiles."""

import numpy as np
import pytest
import xarray as xr
from hypothesis import given, settings
from lazy import no_compute
from profilesample import DEPTH, OFFSET, RATE, sample_profiles
from strategies import chunkings

from mimtpy_cloud.errors import SchemaError
from mimtpy_cloud.kernels.screwfit import ScrewModel
from mimtpy_cloud.ops.transectfit import fit_transects, predict_transects


def test_profiles_without_noise_give_the_truth_for_every_choice():
    fits = fit_transects(sample_profiles(2))
    np.testing.assert_allclose(fits["slip_rate_choice"], RATE, rtol=1e-7)
    np.testing.assert_allclose(fits["locking_depth_choice"], DEPTH, rtol=1e-7)
    np.testing.assert_allclose(fits["offset_choice"], OFFSET, rtol=1e-7)
    assert float(fits["slip_rate_spread"].max()) < 1e-9
    assert fits["choice"].values.tolist() == ["offset", "slope", "left", "right", "far", "short"]
    assert all("units" in v.attrs and "long_name" in v.attrs for v in fits.data_vars.values())


def test_right_lateral_is_positive_whichever_way_the_trace_runs_or_the_axis_points():
    one = sample_profiles(1)
    other = one.isel(distance=slice(None, None, -1)).assign_coords(distance_km=one["distance_km"])
    reversed_trace = other.assign(fault_parallel=-other["fault_parallel"])
    flipped = one.assign_coords(distance_km=-one["distance_km"]).assign_attrs(flip=True)
    for profiles in (one, reversed_trace, flipped):
        np.testing.assert_allclose(fit_transects(profiles)["slip_rate"], RATE, rtol=1e-7)
    left_lateral = one.assign(fault_parallel=(-one["fault_parallel"]).assign_attrs(units="m/yr"))
    np.testing.assert_allclose(fit_transects(left_lateral)["slip_rate"], -RATE, rtol=1e-7)


def test_creep_and_a_second_fault_are_found_where_the_axis_says():
    creep = sample_profiles(1, model=ScrewModel("creep"), rates=(0.02, 0.008), depths=(14e3, 3e3))
    fits = fit_transects(creep, model="creep", near_km=1.0)
    np.testing.assert_allclose([fits["creep_rate"][0], fits["creep_depth"][0]], [0.008, 3e3], rtol=1e-6)
    # 30 km to the left of the strike, where distance is negative
    two = sample_profiles(2, model=ScrewModel("two_faults", second=30e3), rates=(0.02, 0.006), depths=(14e3, 8e3))
    for second in (-30.0, xr.DataArray([-30.0, -30.0], dims="profile")):
        fits = fit_transects(two, model="two_faults", second_fault_km=second)
        np.testing.assert_allclose(fits["second_slip_rate"], 0.006, rtol=1e-6)
        np.testing.assert_allclose(fits["second_locking_depth"], 8e3, rtol=1e-6)
    unknown = fit_transects(two, model="two_faults", second_fault_km=xr.DataArray([-30.0, np.nan], dims="profile"))
    assert np.isfinite(unknown["slip_rate"]).values.tolist() == [True, False]


@pytest.mark.parametrize(
    ("model", "rates", "depths", "options"),
    [
        (ScrewModel("screw"), (0.02,), (14e3,), {}),
        (ScrewModel("creep"), (0.02, 0.008), (14e3, 3e3), {}),
        (ScrewModel("two_faults", second=30e3), (0.02, 0.006), (14e3, 8e3), {"second_fault_km": -30.0}),
    ],
)
def test_the_curves_of_fits_are_those_that_were_fitted(model, rates, depths, options):
    profiles = sample_profiles(2, model=model, rates=rates, depths=depths)
    profiles["fault_parallel"][1] = np.nan
    fits = fit_transects(profiles, model=model.kind, **options)
    curves = predict_transects(fits, profiles["distance_km"])
    np.testing.assert_allclose(curves[0], profiles["fault_parallel"][0], atol=1e-9)
    assert np.isnan(curves[1]).all()
    assert curves.attrs["units"] == "m/yr"


@settings(max_examples=5)
@given(chunks=chunkings(profile=3, distance=51))
def test_chunked_equals_numpy_and_building_computes_nothing(chunks):
    profiles = sample_profiles(3, noise=1e-3, step_km=3.0)
    with no_compute():
        lazy = fit_transects(profiles.chunk(chunks), model="screw")
        curves = predict_transects(lazy, [-10.0, 10.0])
    known = fit_transects(profiles)
    xr.testing.assert_allclose(lazy.compute(), known)
    xr.testing.assert_allclose(curves.compute(), predict_transects(known, [-10.0, 10.0]))


def test_the_noise_of_bins_comes_from_their_scatter_and_effective_count():
    profiles = sample_profiles(1, noise=1e-3)  # a scatter of 2 mm/yr among 4 independent pixels
    known = fit_transects(profiles)
    for std in (2e-3 / np.sqrt(3), xr.full_like(profiles["fault_parallel"], 2e-3 / np.sqrt(3))):
        xr.testing.assert_allclose(fit_transects(profiles, std=std), known)
    double = fit_transects(profiles, std=4e-3 / np.sqrt(3))
    np.testing.assert_allclose(double["slip_rate_std"], 2 * known["slip_rate_std"], rtol=1e-5)
    np.testing.assert_allclose(double["chi2"], known["chi2"] / 4, rtol=1e-5)
    assert float(fit_transects(profiles, correlation_km=0.0)["slip_rate_std"][0]) < float(known["slip_rate_std"][0])


def test_a_bound_that_is_hit_is_flagged_and_leaves_the_spread():
    fits = fit_transects(sample_profiles(1), depth_range_km=(1.0, 10.0))
    assert fits["locking_depth_at_bound"].values.tolist() == [True]
    assert fits["choice_count"].values.tolist() == [0]
    assert np.isnan(fits["slip_rate_spread"]).all()


def test_a_slope_of_the_data_makes_the_choices_differ():
    profiles = sample_profiles(1)
    tilted = profiles["fault_parallel"] + 2e-5 * profiles["distance_km"]
    fits = fit_transects(profiles.assign(fault_parallel=tilted.assign_attrs(units="m/yr")))
    np.testing.assert_allclose(fits["slip_rate_choice"].sel(choice="slope"), RATE, rtol=1e-6)
    assert abs(float(fits["slip_rate"][0]) - RATE) > 1e-3
    assert float(fits["slip_rate_range"][0]) > float(fits["slip_rate_spread"][0]) > 3e-4


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"variable": "east"}, "a dataset of profiles needs east"),
        ({"variable": "height"}, "height must be a rate in m/yr, got units 'm'"),
        ({"model": "dip"}, "model must be one of"),
        ({"model": "two_faults"}, "second_fault_km belongs to model 'two_faults', and it needs one; got none"),
        ({"second_fault_km": 10.0}, "got one for model 'screw'"),
        ({"correlation_km": -1.0}, "correlation_km must be finite and not negative"),
        ({"near_km": np.inf}, "near_km must be finite"),
        ({"std": 0.0}, "std must be positive and finite"),
        ({"depth_range_km": (30.0, 10.0)}, "locking depths need a range"),
        ({"depth_range_km": (30.0,)}, "depth_range_km must be two numbers"),
        ({"model": "two_faults", "second_fault_km": xr.DataArray([1.0], dims="x")}, "or has dimension profile"),
    ],
)
def test_what_is_wrong_is_said(options, message):
    with pytest.raises(SchemaError, match=message):
        fit_transects(sample_profiles(1), **options)


def test_profiles_without_noise_and_foreign_datasets_are_refused():
    bare = sample_profiles(1).drop_vars("fault_parallel_std")
    with pytest.raises(SchemaError, match="the profiles lack one, give std"):
        fit_transects(bare)
    with pytest.raises(SchemaError, match="curves need a result of fit_transects"):
        predict_transects(bare, [0.0])
