"""Grid searches: truth, laziness, several tracks, covariances, regions, checkpoints and what goes wrong."""

import dask
import dask.array as da
import numpy as np
import pytest
import xarray as xr
from hypothesis import given
from lazy import no_compute
from strategies import chunkings

import mimtpy_cloud as mc
from mimtpy_cloud.errors import (
    GridMismatchError,
    ParameterError,
    RampError,
    SchemaError,
    SourceFormatError,
    StorageError,
)
from mimtpy_cloud.kernels.covariance import CovarianceModel, covariance_matrix
from mimtpy_cloud.plan.polyconic import polyconic_km
from mimtpy_cloud.search import open_models, refine, residual, run_search, write_models

X, Y = np.linspace(30, 30.6, 25), np.linspace(1.0, 0.6, 20)
DEPTHS, VOLUMES = [2e3, 4e3, 6e3, 8e3], [1e6, 2e6, 3e6]


def mogi_map(depth, volume, x=X, y=Y):
    east, north = (x - 30.3) * 111.2e3, (y[:, None] - 0.8) * 111.2e3
    return 0.75 / np.pi * volume * depth / (east**2 + north**2 + depth**2) ** 1.5


def stack_array(dtype=np.float64):
    values = np.array([[mogi_map(d, v) for v in VOLUMES] for d in DEPTHS], dtype)
    coords = {"depth": DEPTHS, "volume": VOLUMES, "y": Y, "x": X}
    return xr.DataArray(values, coords, ("depth", "volume", "y", "x"), attrs={"units": "m"})


def truth(depth=4e3, volume=2e6, *, ramp=False, noise=0.0, seed=0):
    values = mogi_map(depth, volume)
    if ramp:
        values = values + 0.4 + 0.3 * (X - 30) - 0.2 * Y[:, None]
    values = values + noise * np.random.default_rng(seed).standard_normal(values.shape)
    return xr.DataArray(values, {"y": Y, "x": X}, ("y", "x"), name="displacement", attrs={"units": "m"})


def mogi_model(places, *, depth, volume):
    east, north = places.metres_from(30.3, 0.8)
    return 0.75 / np.pi * volume * depth / (east**2 + north**2 + depth**2) ** 1.5


# --- the truth ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("ramp", ["linear", "quadratic"])
def test_a_perfect_model_scores_zero_with_a_ramp_added_to_the_data(ramp):
    result = mc.search_grid(truth(ramp=True), stack_array(), ramp=ramp).compute()
    assert (float(result["best_depth"]), float(result["best_volume"])) == (4e3, 2e6)
    assert float(result["rms"].min()) < 1e-15
    assert float(result["rms"].max()) > 1e-3
    assert result["ramp_coefficient"].dims == ("depth", "volume", "term")
    assert result["rms"].attrs["units"] == "m"


def test_the_ramp_that_is_found_is_that_which_was_added():
    result = mc.search_grid(truth(ramp=True), stack_array(), ramp="linear").compute()
    best = result["ramp_coefficient"].sel(depth=4e3, volume=2e6)
    east = 0.3 / (111.19508 * np.cos(np.deg2rad(0.8)))
    np.testing.assert_allclose(best.sel(term=["x", "y"]), [east, -0.2 / 111.19508], rtol=1e-6)
    np.testing.assert_allclose(best.sel(term="1"), 0.4 + 0.3 * 0.3 - 0.2 * 0.8, rtol=1e-9)
    assert best.attrs["term_units"] == ["m", "m/km", "m/km"]


def test_the_oracle_of_mimtpys_search(oracles):
    rows, cols = np.mgrid[0:4, 0:5].astype(float)
    spike = np.zeros((4, 5))
    spike[1, 2] = 1.0
    coords = {"y": -np.arange(4.0) * 0.01, "x": np.arange(5.0) * 0.01}
    observed = xr.DataArray(0.5 + 0.1 * cols - 0.2 * rows + 3 * spike, coords, ("y", "x"))
    models = xr.DataArray([3 * spike, 2 * spike], {"p1": [17.25, 17.5], **coords}, ("p1", "y", "x"))
    with_ramp = mc.search_grid(observed, models, ramp="linear")["rms"].to_numpy()
    without = mc.search_grid(observed, models)["rms"].to_numpy()
    known = oracles["O56"]
    assert with_ramp[0] < 1e-15
    assert with_ramp[1] == pytest.approx(known["17.50_18.00_rms_with_ramp"], rel=1e-9)
    expected = [known[f"{p}_18.00_rms_no_ramp"] for p in ("17.25", "17.50")]
    np.testing.assert_allclose(without, expected, rtol=1e-9)


def test_missing_observations_do_not_count(oracles):
    known = oracles["O17"]
    values = xr.DataArray([np.nan if v is None else v for v in known["residual"]], dims="point")
    models = xr.DataArray(np.zeros((1, 4)), {"p": [1.0]}, ("p", "point"))
    assert float(mc.search_grid(values, models)["rms"].sel(p=1)) == pytest.approx(known["rms"], rel=1e-9)


def test_misfit_rms_and_likelihood_with_a_covariance_are_the_oracles(oracles):
    o15, o16 = oracles["O15"], oracles["O16"]
    values = xr.DataArray(o16["residual"], dims="point")
    models = xr.DataArray(np.zeros((1, 3)), {"p": [1.0]}, ("p", "point"))

    def found(metric, covariance):
        return float(mc.search_grid(values, models, metric, covariance=covariance)[metric].sel(p=1))

    matrix = np.array(o15["C"])
    assert found("misfit", matrix) == pytest.approx(o16["misfit"], rel=1e-9)
    assert found("rms", matrix) == pytest.approx(o16["rms"], rel=1e-9)
    assert found("loglike", matrix) == pytest.approx(o16["loglike_gauss"], rel=1e-9)
    assert found("misfit", 2.5e-4) == pytest.approx(o16["diag_only_misfit"], rel=1e-9)
    assert found("chi2", 2.5e-4) == pytest.approx(o16["diag_only_misfit"] / 3, rel=1e-9)


@pytest.mark.parametrize("models", ["array", "dask", "stack", "function"])
def test_all_kinds_of_models_give_the_same_result(models, tmp_path):
    observed, array = truth(ramp=True, noise=1e-3), stack_array(np.float32)
    expected = mc.search_grid(observed, array, ramp="linear").compute()
    parameters = None
    if models == "dask":
        given = array.chunk(depth=1, volume=2, x=7)
    elif models == "stack":
        given = write_models(array, tmp_path / "models.zarr")
    elif models == "function":
        given, parameters = mogi_model, {"depth": DEPTHS, "volume": VOLUMES}
    else:
        given = array
    result = mc.search_grid(observed, given, ramp="linear", parameters=parameters).compute()
    close = 2e-2 if models == "function" else 1e-14  # the plane of the function is another by 1e-4
    xr.testing.assert_allclose(result, expected, rtol=close, atol=1e-12 if models != "function" else 2e-6)


@given(chunks=chunkings(depth=4, volume=3, y=20, x=25))
def test_chunks_change_nothing(chunks):
    observed, array = truth(ramp=True, noise=1e-3), stack_array()
    one = mc.search_grid(observed, array, ramp="linear").compute()
    parts = {dim: chunks[dim] for dim in ("y", "x")}
    other = mc.search_grid(observed.chunk(parts), array.chunk(chunks), ramp="linear").compute()
    xr.testing.assert_allclose(one, other, rtol=1e-12)


def test_building_a_search_computes_nothing(tmp_path):
    stack = write_models(stack_array(), tmp_path / "models.zarr")
    lazy = truth(ramp=True).chunk(y=7)
    with no_compute():
        mc.search_grid(lazy, stack, "chi2", ramp="linear", covariance=1e-6, mask=lazy > 0)
        mc.search_grid(lazy, stack_array().chunk(depth=1), covariance=CovarianceModel("exponential", 1e-6, 5, 1e-7))
        mc.search_grid(lazy, mogi_model, parameters={"depth": DEPTHS, "volume": VOLUMES}, checkpoint=tmp_path / "kept")


def test_a_factor_is_found_with_the_model():
    models = stack_array().isel(volume=[0])
    result = mc.search_grid(truth(volume=2e6), models, scaled=True).compute()
    assert float(result["scale"].sel(depth=4e3, volume=1e6)) == pytest.approx(2.0)
    assert float(result["best_depth"]) == 4e3
    assert float(result["rms"].min()) < 1e-15


def test_masked_points_do_not_count():
    observed = truth()
    spoiled = observed.copy()
    spoiled[3:6, 4:9] = 7.0
    mask = xr.ones_like(observed, bool)
    mask[3:6, 4:9] = False
    result = mc.search_grid(spoiled, stack_array(), mask=mask)
    assert float(result["rms"].min()) < 1e-15


def test_tracks_are_explained_together_each_with_a_ramp_of_its_own():
    models = stack_array()
    first, second = truth(ramp=True), truth() - 0.3
    second = (0.7 * second).isel(x=slice(3, 20))
    other = 0.7 * models.isel(x=slice(3, 20))
    first.attrs["track"], second.attrs["track"], other.attrs["units"] = "A064", "D071", "m"
    result = mc.search_grid([first, second], [models, other], ramp="linear", covariance=[1e-6, 4e-6]).compute()
    assert float(result["rms"].min()) < 1e-9
    assert result["ramp_coefficient"].dims == ("depth", "volume", "track", "term")
    assert result["track"].values.tolist() == ["track A064", "track D071"]
    one = mc.search_grid(first, models, "misfit", ramp="linear", covariance=1e-6)["misfit"]
    two = mc.search_grid(second, other, "misfit", ramp="linear", covariance=4e-6)["misfit"]
    np.testing.assert_allclose(result["misfit"], one + two, rtol=1e-9, atol=1e-12)


def test_a_function_sees_the_looks_of_each_track():
    look = xr.Dataset({"los_east": 0.6, "los_north": 0.0, "los_up": 0.8}).broadcast_like(truth())

    def up_model(places, *, height):
        return height * places.look[2]

    tracks = [look.assign(velocity=0.0 * look["los_up"] + height * look["los_up"]) for height in (0.02, 0.02)]
    result = mc.search_grid(tracks, up_model, parameters={"height": [0.01, 0.02]})
    assert float(result["best_height"]) == 0.02
    assert float(result["rms"].min()) < 1e-15


def test_points_with_places_take_a_ramp_and_a_covariance():
    rng = np.random.default_rng(1)
    lon, lat = rng.uniform(30, 30.6, 150), rng.uniform(0.6, 1.0, 150)
    coords = {"lon": ("point", lon), "lat": ("point", lat)}
    model = CovarianceModel("exponential", 4e-6, 10.0, 1e-6)
    values = rng.standard_normal((3, 150))
    data = xr.DataArray(values[1] + 0.2 * (lon - 30.3), coords, ("point",))
    stack = xr.DataArray(values, {"p": [1, 2, 3]}, ("p", "point"))
    result = mc.search_grid(data, stack, "misfit", ramp="linear", covariance=model).compute()
    assert int(result["best_p"]) == 2
    assert float(result["misfit"].min()) < 1e-12
    matrix = covariance_matrix(*polyconic_km(lon, lat), model)
    same = mc.search_grid(data, stack, "misfit", ramp="linear", covariance=matrix).compute()
    np.testing.assert_allclose(result["misfit"], same["misfit"], rtol=1e-9, atol=1e-12)


# --- what is said of the parameters ---------------------------------------------------------------------------


@pytest.mark.parametrize("known", [True, False])
def test_the_region_holds_the_truth_in_95_of_100_draws(known):
    """Two parameters, linear, on a fine grid; 300 draws: 93 to 97 % is what a right region gives."""
    rng, sigma, n = np.random.default_rng(7), 0.5, 60
    t = np.linspace(-1, 1, n)
    slope, curve = np.linspace(-1.2, 1.2, 49), np.linspace(-1.2, 1.2, 49)
    values = slope[:, None, None] * t + curve[None, :, None] * t**2
    models = xr.DataArray(values, {"slope": slope, "curve": curve}, ("slope", "curve", "point"))
    coords = {"lon": ("point", np.linspace(30, 31, n)), "lat": ("point", np.linspace(40, 41, n))}
    held = 0
    for _ in range(300):
        data = xr.DataArray(rng.standard_normal(n) * sigma + 5.0, coords, ("point",))
        with dask.config.set(scheduler="synchronous"):
            found = mc.search_grid(data, models, "misfit", ramp="constant", covariance=sigma**2 if known else None)
            held += bool(found["in_region"].sel(slope=0, curve=0, method="nearest"))
    assert 0.93 <= held / 300 <= 0.97


def test_marginals_sum_to_one_and_peak_at_the_truth():
    result = mc.search_grid(truth(noise=1e-3), stack_array(), covariance=1e-6).compute()
    for name, best in (("depth", 4e3), ("volume", 2e6)):
        assert float(result[f"marginal_{name}"].sum()) == pytest.approx(1.0)
        assert float(result[f"marginal_{name}"].idxmax()) == best
        assert float(result[f"low_{name}"]) <= best <= float(result[f"high_{name}"])
    assert result.attrs["confidence_method"].startswith("delta chi-square")
    assert mc.search_grid(truth(), stack_array()).attrs["confidence_method"].startswith("F test")


def test_a_finer_grid_lies_around_the_region():
    observed = truth(depth=4.3e3, noise=1e-3, seed=1)
    depths = np.arange(1e3, 11e3, 1e3)
    coarse = mc.search_grid(observed, mogi_model, parameters={"depth": depths, "volume": [2e6]}, covariance=1e-6)
    finer = refine(coarse, {"depth": 21})
    assert finer["volume"].tolist() == [2e6]
    assert finer["depth"][0] >= 3e3
    assert finer["depth"][-1] <= 6e3
    fine = mc.search_grid(observed, mogi_model, parameters=finer, covariance=1e-6)
    assert abs(float(fine["best_depth"]) - 4.3e3) < 150
    assert float(fine["misfit"].min()) <= float(coarse["misfit"].min())


# --- models that are missing or bad ---------------------------------------------------------------------------


def test_a_bad_model_has_no_metric_but_a_reason(tmp_path):
    def moody(places, *, depth):
        if depth == 4e3:
            raise ValueError("no such layer")
        return np.full(places.size + (depth == 6e3), depth)

    result = mc.search_grid(truth(), moody, parameters={"depth": DEPTHS}).compute()
    assert result["problem"].values.tolist() == [
        "",
        "ValueError: no such layer",
        f"expected values of shape ({X.size * Y.size},), got ({X.size * Y.size + 1},)",
        "",
    ]
    assert np.isfinite(result["rms"]).values.tolist() == [True, False, False, True]
    holed = stack_array()
    holed[1, 2, 3, 4:6] = np.nan
    stack = write_models(holed, tmp_path / "models.zarr")
    for models in (holed, stack):
        result = mc.search_grid(truth(), models).compute()
        assert result["problem"].values[1, 2] == "no value at 2 of 500 points"
        assert int(np.isnan(result["rms"]).sum()) == 1


def test_a_place_of_the_grid_without_a_model_is_empty():
    array = stack_array().stack(model=("depth", "volume")).transpose("model", ...).reset_index("model")
    some = array.isel(model=[0, 1, 3, 4, 5, 6, 7, 8, 9, 10, 11])
    result = mc.search_grid(truth(), some).compute()
    assert result["rms"].dims == ("depth", "volume")
    assert str(result["problem"].sel(depth=2e3, volume=3e6).values) == "no such model"
    assert np.isnan(result["rms"].sel(depth=2e3, volume=3e6))


def test_a_random_sample_stays_a_list_of_models():
    rng = np.random.default_rng(0)
    depth, volume = rng.uniform(2e3, 8e3, 30), rng.uniform(1e6, 3e6, 30)
    values = np.array([mogi_map(d, v) for d, v in zip(depth, volume, strict=True)])
    coords = {"depth": ("model", depth), "volume": ("model", volume), "y": Y, "x": X}
    models = xr.DataArray(values, coords, ("model", "y", "x"))
    result = mc.search_grid(truth(depth[3], volume[3]), models).compute()
    assert result["rms"].dims == ("model",)
    assert float(result["best_depth"]) == depth[3]
    assert float(result["best_volume"]) == volume[3]


def test_no_model_at_all_is_an_error_when_computed():
    with pytest.raises(SchemaError, match=r"no model can be compared; the first: no value at 500 of 500 points"):
        mc.search_grid(truth(), stack_array() * np.nan).compute()


# --- stacks and checkpoints -----------------------------------------------------------------------------------


def test_a_stack_holds_models_parameters_and_places(tmp_path):
    stack = write_models(stack_array(np.float32), tmp_path / "models.zarr")
    again = open_models(tmp_path / "models.zarr")
    assert again.candidates.names == ("depth", "volume")
    assert again.identity == stack.identity
    plain = xr.open_zarr(tmp_path / "models.zarr")
    np.testing.assert_array_equal(plain["model_values"][4], stack_array(np.float32)[1, 1])
    assert plain["depth"].values[4] == 4e3


def test_what_is_no_stack_is_refused(tmp_path):
    with pytest.raises(StorageError, match="no Zarr store"):
        open_models(tmp_path / "nothing.zarr")
    xr.Dataset({"a": ("x", np.ones(3))}).to_zarr(tmp_path / "other.zarr", zarr_format=3, consolidated=False)
    with pytest.raises(SourceFormatError, match="no stack of models: expected the array model_values"):
        open_models(tmp_path / "other.zarr")


def test_a_damaged_chunk_of_a_stack_is_an_error(tmp_path):
    stack = write_models(stack_array(), tmp_path / "models.zarr")
    chunk = tmp_path / "models.zarr/model_values/c/0/0/0"
    data = bytearray(chunk.read_bytes())
    data[len(data) // 2] ^= 1
    chunk.write_bytes(bytes(data))
    with pytest.raises(StorageError, match="is damaged"):
        mc.search_grid(truth(), stack).compute()


def test_a_checkpoint_is_used_again_and_gives_the_same_bits(tmp_path):
    calls = []

    class Counting:
        def __call__(self, places, *, depth):
            calls.append(depth)
            return mogi_model(places, depth=depth, volume=2e6)

        def __dask_tokenize__(self):
            return "counting"

    def search():
        parameters = {"depth": np.linspace(1e3, 9e3, 200)}
        return mc.search_grid(
            truth(noise=1e-3), Counting(), ramp="linear", parameters=parameters, checkpoint=tmp_path / "kept.zarr"
        )

    with dask.config.set(scheduler="synchronous"):
        first = search().compute()
        done = len(calls)
        second = search().compute()
        assert (done, len(calls)) == (200, 200)
        (tmp_path / "kept.zarr/numbers/c/1/0").unlink()
        third = search().compute()
    assert len(calls) == 200 + 64
    xr.testing.assert_identical(first, second)
    xr.testing.assert_identical(first, third)


def test_a_checkpoint_of_another_search_is_refused(tmp_path):
    mc.search_grid(truth(), stack_array(), checkpoint=tmp_path / "kept.zarr")
    with pytest.raises(StorageError, match="belongs to another search"):
        mc.search_grid(truth(noise=1), stack_array(), checkpoint=tmp_path / "kept.zarr")
    (tmp_path / "full").mkdir()
    (tmp_path / "full/file").write_text("")
    with pytest.raises(StorageError, match="something else"):
        mc.search_grid(truth(), stack_array(), checkpoint=tmp_path / "full")


def test_each_model_is_computed_once():
    calls = []

    def counting(places, *, depth):
        calls.append(depth)
        return mogi_model(places, depth=depth, volume=2e6)

    mc.search_grid(truth(noise=0.01), counting, "loglike", ramp="linear", parameters={"depth": DEPTHS}).compute()
    assert sorted(calls) == DEPTHS
    calls.clear()

    def tilted(places, *, depth):  # its ramp is nearly all of it, so that residuals are summed themselves
        return counting(places, depth=depth) + 50 * (depth == 4e3) * places.lon

    mc.search_grid(truth(noise=0.01), tilted, ramp="linear", parameters={"depth": DEPTHS}).compute()
    assert sorted(calls) == sorted([*DEPTHS, 4e3])


def test_progress_counts_models():
    seen = []
    search = mc.search_grid(truth(), mogi_model, parameters={"depth": np.linspace(1e3, 9e3, 200), "volume": [1e6]})
    run_search(search, lambda *args: seen.append(args))
    assert seen[-1] == (200, 200, "models")
    assert [done for done, *_ in seen] == sorted(done for done, *_ in seen)


# --- what cannot be ------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("change", "error", "message"),
    [
        ({"metric": "l1"}, ParameterError, "metric must be one of rms, misfit, chi2, loglike, got 'l1'"),
        ({"level": 95}, ParameterError, "between 0 and 1, got 95"),
        ({"ramp": "cubic"}, RampError, "kind of ramp must be one of"),
        ({"parameters": {"depth": [1]}}, ParameterError, "parameters go with a function"),
        ({"models": "models.zarr"}, SchemaError, r"open_models\(url\)"),
        ({"models": mogi_model}, SchemaError, "lacks depth, volume"),
        ({"models": stack_array().isel(x=slice(3, 9))}, SchemaError, "of shape"),
        ({"models": stack_array().assign_coords(x=X + 1)}, GridMismatchError, "need the same x"),
        ({"models": stack_array().assign_attrs(units="mm")}, SchemaError, "models are in mm"),
        ({"covariance": -1.0}, SchemaError, "variance must be positive"),
        ({"covariance": np.ones((3, 3))}, SchemaError, "a matrix of shape"),
        ({"observed": []}, SchemaError, "at least one track"),
        ({"observed": xr.Dataset()}, SchemaError, "expected one variable to be explained, got none"),
        ({"observed": 3}, SchemaError, "must be a DataArray or Dataset"),
        ({"covariance": [1.0, 2.0]}, SchemaError, "one covariance for each of 1 tracks, got 2"),
    ],
)
def test_what_does_not_fit_is_said_at_once(change, error, message):
    given = {"observed": truth(), "models": stack_array(), **change}
    with pytest.raises(error, match=message):
        mc.search_grid(given.pop("observed"), given.pop("models"), **given)


def test_a_ramp_needs_places():
    values = xr.DataArray(np.ones((2, 3)), dims=("station", "time"))
    models = xr.DataArray(np.ones((1, 2, 3)), {"p": [1]}, ("p", "station", "time"))
    with pytest.raises(SchemaError, match="a ramp needs places"):
        mc.search_grid(values, models, ramp="linear")


def test_observations_without_data_are_an_error_when_computed():
    with pytest.raises(GridMismatchError, match="no point is left"):
        mc.search_grid(truth() * np.nan, stack_array()).compute()


def test_series_of_components_are_searched_as_they_are():
    rng = np.random.default_rng(3)
    values = rng.standard_normal((4, 5, 6, 2)).astype(np.float32)
    coords = {"model": ["a", "b", "c", "d"], "station": list("vwxyz"), "component": ["east", "north"]}
    models = xr.DataArray(values, coords, ("model", "station", "time", "component"))
    observed = models.sel(model="c").drop_vars("model") + np.float32(0)
    variance = xr.DataArray([1.0, 4.0], {"component": ["east", "north"]}, ("component",))
    result = mc.search_grid(observed, models, "chi2", covariance=variance).compute()
    assert result["best_model"].item() == "c"
    assert result["chi2"].dims == ("model",)
    left = (values[0] - values[2]).astype(float)
    assert float(result["misfit"].sel(model="a")) == pytest.approx(np.sum(left**2 / [1.0, 4.0]), rel=1e-6)


def test_memory_stays_bounded_however_many_models():
    """A virtual array of 3.2 GB: blocks are made, scored and forgotten."""
    import tracemalloc

    n, count = 200 * 200, 20_000
    x, y = np.arange(200) * 0.01 + 30, 2 - np.arange(200) * 0.01
    lazy = da.full((count, 200, 200), 1.0, chunks=(64, 200, 200), dtype=np.float32)
    models = xr.DataArray(lazy, {"p": np.arange(float(count)), "y": y, "x": x}, ("p", "y", "x"))
    observed = xr.DataArray(np.zeros((200, 200)), {"y": y, "x": x}, ("y", "x"))
    search = mc.search_grid(observed, models, ramp="linear")
    tracemalloc.start()
    search["rms"].compute(num_workers=2, scheduler="threads")
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert count * n * 4 > 3e9
    assert peak < 250e6


# --- one model ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", ["array", "function", "stack"])
def test_a_residual_is_what_model_and_ramp_leave(kind, tmp_path):
    observed = truth(ramp=True, noise=1e-3).chunk(y=6)
    stack = stack_array()
    model, parameters = stack[1, 1].drop_vars(["depth", "volume"]), None
    if kind == "function":
        model, parameters = mogi_model, {"depth": 4e3, "volume": 2e6}
    elif kind == "stack":
        model, parameters = write_models(stack, tmp_path / "m.zarr"), {"depth": 4e3, "volume": 2e6}
    with no_compute():
        left = residual(observed, model, parameters=parameters, ramp="linear")
    left = left.compute()
    np.testing.assert_allclose(left["observed"] - left["model"] - left["ramp"], left["residual"], atol=1e-12)
    assert float(np.sqrt((left["residual"] ** 2).mean())) == pytest.approx(float(left["residual_rms"]), rel=1e-9)
    assert float(left["residual_rms"]) == pytest.approx(1e-3, rel=0.1)
    east = 0.3 / (111.19508 * np.cos(np.deg2rad(0.8)))
    assert float(left["ramp_coefficient"].sel(term="x")) == pytest.approx(east, rel=0.02)
    assert left["residual"].attrs["units"] == "m"


def test_a_residual_of_points_and_of_a_scaled_model():
    rng = np.random.default_rng(0)
    coords = {"lon": ("point", rng.uniform(30, 31, 40)), "lat": ("point", rng.uniform(0, 1, 40))}
    model = xr.DataArray(rng.standard_normal(40), coords, ("point",))
    left = residual(3 * model + 0.1 * (model.lon - 30), model, ramp="linear", scaled=True).compute()
    assert float(left["scale"]) == pytest.approx(3.0)
    assert float(abs(left["residual"]).max()) < 1e-12


def test_parameters_must_name_one_model_of_a_stack(tmp_path):
    stack = write_models(stack_array(), tmp_path / "m.zarr")
    with pytest.raises(SchemaError, match=r"parameters \(depth, volume\) of one model .*: 3 fit"):
        residual(truth(), stack, parameters={"depth": 4e3})


# --- what a review found --------------------------------------------------------------------------------------


def test_points_in_another_order_are_no_places_of_the_models(tmp_path):
    rng = np.random.default_rng(0)
    coords = {"lon": ("point", 30 + rng.random(9)), "lat": ("point", rng.random(9))}
    models = xr.DataArray(rng.standard_normal((3, 9)), {"p": [1, 2, 3], **coords}, ("p", "point"))
    backwards = models.isel(point=slice(None, None, -1))
    stack = write_models(backwards, tmp_path / "m.zarr")
    for reversed_ in (backwards, stack):
        with pytest.raises(GridMismatchError, match="need the same lon, in the same order"):
            mc.search_grid(models[1].drop_vars("p"), reversed_)


def test_a_component_is_not_projected_onto_the_looks_of_a_satellite():
    look = xr.Dataset({"los_east": 0.6, "los_north": 0.0, "los_up": 0.8}).broadcast_like(truth())

    def along(places, *, height):
        return height * places.look[2]

    up = look.assign(up=xr.full_like(truth(), 0.02))[["up", "los_east", "los_north", "los_up"]]
    result = mc.search_grid(up, along, parameters={"height": [0.02, 0.025]})
    assert float(result["best_height"]) == 0.02


def test_the_result_says_how_many_observations_counted_and_about_where_ramps_are():
    variance = xr.full_like(truth(), 1e-6)
    variance[0, :5] = np.nan
    result = mc.search_grid(truth(noise=1e-3), stack_array(), ramp="linear", covariance=variance, scaled=True).compute()
    assert int(result["count"]) == X.size * Y.size - 5
    assert int(result["degrees_of_freedom"]) == X.size * Y.size - 5 - 3 - 1
    np.testing.assert_allclose(result["ramp_coefficient"].attrs["origin"], [30.3, 0.8])


def test_tracks_in_different_units_are_refused():
    first, second = truth(), truth().assign_attrs(units="m/yr")
    with pytest.raises(SchemaError, match="tracks need one unit, got m, m/yr"):
        mc.search_grid([first, second], [stack_array(), stack_array().assign_attrs(units="m/yr")])


def test_names_of_results_are_no_names_of_parameters():
    with pytest.raises(ParameterError, match="other than scale"):
        mc.search_grid(truth(), stack_array().rename(depth="scale"))
    with pytest.raises(ParameterError, match="p is not finite"):
        mc.search_grid(truth(), stack_array().rename(depth="p").assign_coords(p=[1.0, np.nan, 3.0, 4.0]))


def test_text_parameters_survive_a_stack(tmp_path):
    models = stack_array().isel(volume=1, drop=True).rename(depth="rheology").assign_coords(rheology=list("abcd"))
    stack = write_models(models, tmp_path / "m.zarr")
    result = mc.search_grid(truth(), stack).compute()
    assert result["best_rheology"].item() == "b"
    left = residual(truth(), stack, parameters={"rheology": "b"})
    assert float(left["residual_rms"]) < 1e-15


def test_a_stack_that_was_replaced_since_it_was_opened_is_refused(tmp_path):
    stack = write_models(stack_array(), tmp_path / "m.zarr")
    write_models(2 * stack_array(), tmp_path / "m.zarr")
    with pytest.raises(StorageError, match="removed or replaced"):
        mc.search_grid(truth(), stack).compute()


def test_only_the_columns_that_are_said_to_be_parameters_count(tmp_path):
    array = stack_array().stack(model=("depth", "volume")).transpose("model", ...).reset_index("model")
    array = array.assign_coords(run=("model", [f"{k:04d}" for k in range(12)]), square=("model", array.depth.values**2))
    array.attrs["parameters"] = ["depth", "volume"]
    for models in (array, write_models(array, tmp_path / "m.zarr")):
        assert mc.search_grid(truth(), models)["rms"].dims == ("depth", "volume")


def test_a_fine_stack_gives_the_model_that_is_asked_for(tmp_path):
    lon = [-118.9010, -118.9005, -118.9000]
    models = xr.DataArray(np.arange(15.0).reshape(3, 5), {"lon0": lon}, ("lon0", "point"))
    stack = write_models(models, tmp_path / "m.zarr")
    left = residual(xr.DataArray(np.zeros(5), dims="point"), stack, parameters={"lon0": lon[1]})
    assert left["model"].values.tolist() == [5, 6, 7, 8, 9]


def test_dask_models_in_chunks_of_all_models_are_cut_into_blocks_that_fit():
    lazy = da.ones((4000, 500, 500), chunks=(4000, 50, 50), dtype=np.float32)
    y, x = 1 - 0.001 * np.arange(500), 30 + 0.001 * np.arange(500)
    models = xr.DataArray(lazy, {"p": np.arange(4000.0), "y": y, "x": x}, ("p", "y", "x"))
    observed = xr.DataArray(np.zeros((500, 500)), {"y": y, "x": x}, ("y", "x"))
    graph = mc.search_grid(observed, models)["misfit"].__dask_graph__()
    (scores,) = (layer for name, layer in graph.layers.items() if name.startswith("score-models"))
    assert len(scores) == 4000 // 33 + 1  # 64 MB of float64 each


def test_a_failure_that_may_pass_is_not_kept_in_a_checkpoint(tmp_path):
    down = [True]

    class Remote:
        def __call__(self, places, *, depth):
            if down and depth == 4e3:
                raise OSError("network is down")
            return mogi_model(places, depth=depth, volume=2e6)

        def __dask_tokenize__(self):
            return "remote"

    model = Remote()

    def search():
        return mc.search_grid(truth(), model, parameters={"depth": DEPTHS}, checkpoint=tmp_path / "kept").compute()

    assert str(search()["problem"].sel(depth=4e3).values) == "OSError: network is down"
    down.clear()
    assert float(search()["best_depth"]) == 4e3


def test_observations_that_changed_since_the_checkpoint_are_noticed(tmp_path):
    import zarr

    truth().to_dataset(name="displacement").to_zarr(tmp_path / "obs.zarr", zarr_format=3, consolidated=False)

    def search():
        observed = xr.open_zarr(tmp_path / "obs.zarr", consolidated=False)["displacement"]
        return mc.search_grid(observed, stack_array(), checkpoint=tmp_path / "kept").compute()

    search()
    array = zarr.open_array(tmp_path / "obs.zarr/displacement", mode="r+")
    array[:] = 3 * array[:]
    with pytest.raises(StorageError, match="observations have changed"):
        search()


def test_a_function_that_was_edited_is_another_search(tmp_path, monkeypatch):
    import importlib
    import sys

    monkeypatch.syspath_prepend(tmp_path)
    text = "def model(places, *, depth):\n    return places.lon * depth * {}\n"
    file = tmp_path / "editedmodel.py"
    for factor in (1, 10):
        file.write_text(text.format(factor))
        sys.modules.pop("editedmodel", None)
        importlib.invalidate_caches()
        import linecache

        linecache.checkcache()
        model = importlib.import_module("editedmodel").model
        if factor == 1:
            mc.search_grid(truth(), model, parameters={"depth": [1.0]}, checkpoint=tmp_path / "kept")
        else:
            with pytest.raises(StorageError, match="another search"):
                mc.search_grid(truth(), model, parameters={"depth": [1.0]}, checkpoint=tmp_path / "kept")


def test_a_checkpoint_that_was_killed_while_it_was_begun_is_begun_anew(tmp_path):
    mc.search_grid(truth(), stack_array(), checkpoint=tmp_path / "kept")
    (tmp_path / "kept/zarr.json").unlink()
    assert float(mc.search_grid(truth(), stack_array(), checkpoint=tmp_path / "kept")["rms"].min()) == 0.0


def test_a_model_that_is_a_ramp_has_no_factor():
    ramps = [k * (X - 30) + 0 * Y[:, None] for k in (1.0, 2.0)]
    values = np.stack([*ramps, mogi_map(4e3, 2e6)])
    models = xr.DataArray(values, {"k": [1.0, 2.0, 3.0], "y": Y, "x": X}, ("k", "y", "x"))
    result = mc.search_grid(truth(noise=1e-3), models, ramp="linear", scaled=True).compute()
    assert [bool(text) for text in result["problem"].values] == [True, True, False]
    assert str(result["problem"].values[0]).startswith("zero, or a ramp itself")


def test_chi2_without_degrees_of_freedom_is_an_error():
    coords = {"lon": ("point", [30.0, 31.0, 30.0]), "lat": ("point", [0.0, 0.0, 1.0])}
    models = xr.DataArray(np.ones((2, 3)), {"p": [1, 2], **coords}, ("p", "point"))
    with pytest.raises(SchemaError, match="more observations than coefficients, got 3 and 3"):
        mc.search_grid(models[0].drop_vars("p"), models, "chi2", ramp="linear").compute()


@pytest.mark.parametrize("dtype", [">f8", "i4"])
def test_any_numbers_are_compared_in_full(dtype):
    values = (1e6 * stack_array()).round().astype(dtype)
    observed = values[1, 1].astype(float).drop_vars(["depth", "volume"])
    assert float(mc.search_grid(observed, values)["rms"].min()) == 0.0
