"""Velocity and two-date displacement: truth, MintPy's own results, laziness, dates and errors."""

import ast
import datetime as dt

import dask.array as da
import numpy as np
import pytest
import xarray as xr
from hypothesis import given
from lazy import no_compute
from strategies import chunkings
from synthetic import DATES, lattice_dataset, small_window

from mimtpy_cloud.errors import DateError, SchemaError, StorageError
from mimtpy_cloud.kernels.rate import fit_rate
from mimtpy_cloud.ops.rate import displacement_between, estimate_velocity

WINDOW = small_window(5, 7)
RATES = np.linspace(-0.05, 0.05, 35).reshape(5, 7)


def noisy_series(window=WINDOW, gaps=0.2, seed=0):
    rng = np.random.default_rng(seed)
    data = rng.standard_normal((DATES.size, *window.shape)).astype(np.float32)
    data[rng.random(data.shape) < gaps] = np.nan
    return lattice_dataset(window, displacement=data)


def read_series(path):
    """Displacement series of a MintPy timeseries.h5 or .he5 file, without any decoding."""
    import h5py

    with h5py.File(path) as file:
        group = file["HDFEOS/GRIDS/timeseries/observation"] if path.suffix == ".he5" else file
        displacement = group["displacement" if path.suffix == ".he5" else "timeseries"][:]
        time = [np.datetime64(f"{d[:4]}-{d[4:6]}-{d[6:]}", "ns") for d in group["date"][:].astype(str)]
    return xr.Dataset({"displacement": (("time", "y", "x"), displacement)}, {"time": time})


def read_velocity(path):
    """Velocity, its standard deviation and the options of a MintPy velocity.h5 file."""
    import h5py

    with h5py.File(path) as file:
        options = {key.rpartition(".")[2]: value for key, value in file.attrs.items() if "timeFunc" in key}
        return file["velocity"][:], file["velocityStd"][:], dict(file.attrs), options


def mintpy_pixels(ds):
    """Pixels that MintPy fits: temporal mean neither NaN nor zero."""
    mean = ds["displacement"].mean("time", skipna=False)
    return (mean.notnull() & (mean != 0)).to_numpy()


def test_velocity_of_a_noise_free_scene_is_the_truth():
    result = estimate_velocity(lattice_dataset(WINDOW, dates=DATES, velocity=RATES))
    np.testing.assert_allclose(result["velocity"], RATES, atol=1e-8)
    np.testing.assert_allclose(result["velocity_std"], 0, atol=1e-8)
    np.testing.assert_allclose(result["intercept"], 0, atol=1e-8)
    assert (result["count"] == DATES.size).all()


@pytest.mark.parametrize("track", ["AT064", "AT137", "DT071", "DT144"])
def test_velocity_of_noise_free_files_is_the_truth(he5, track):
    (path,) = he5.glob(f"noisefree/SynthSen{track}/mintpy/*.he5")
    truth = np.load(he5 / "noisefree" / f"truth_SynthSen{track}.npz")
    ds = read_series(path)
    rate = truth["v_los"] + truth["ramp_rate"]
    error = estimate_velocity(ds)["velocity"].to_numpy() - (rate - rate[tuple(truth["ref_yx"])])
    assert np.abs(error[mintpy_pixels(ds)]).max() < 1e-7


@pytest.mark.parametrize("track", ["AT064", "AT137", "DT071", "DT144"])
@pytest.mark.parametrize("case", ["velocity", "velocity_he5", "velocity_ex", "velocity_sub", "velocity_sub_ex"])
def test_velocity_is_that_of_mintpy(shared, he5, track, case):
    oracle = shared / "data" / "mintpy_oracles" / "velocity" / track / f"{case}.h5"
    if not oracle.exists():
        pytest.skip(f"given data have no {oracle.name} of {track}")
    folder = he5 / "small" / f"SynthSen{track}" / "mintpy"
    (path,) = folder.glob("*.he5" if case == "velocity_he5" else "geo_timeseries*.h5")
    velocity, std, attrs, options = read_velocity(oracle)
    ds = read_series(path)
    result = estimate_velocity(
        ds,
        None if options["startDate"] == "None" else options["startDate"],
        None if options["endDate"] == "None" else options["endDate"],
        ast.literal_eval(options["excludeDate"]),
        time_convention="mintpy",
    )
    fitted = mintpy_pixels(ds)
    assert fitted.sum() > 1000
    assert np.abs(result["velocity"].to_numpy() - velocity)[fitted].max() < 1e-6
    assert np.abs(result["velocity_std"].to_numpy() - std)[fitted].max() < 1e-6
    assert [result.attrs[key].replace("-", "") for key in ("start_date", "end_date")] == [
        attrs["START_DATE"],
        attrs["END_DATE"],
    ]


def test_exclude_file_gives_mintpys_velocity(shared, he5):
    folder = shared / "data" / "mintpy_oracles" / "velocity" / "AT064"
    (path,) = (he5 / "small" / "SynthSenAT064" / "mintpy").glob("geo_timeseries*.h5")
    ds = read_series(path)
    result = estimate_velocity(ds, exclude=folder / "exclude_date.txt", time_convention="mintpy")
    velocity = read_velocity(folder / "velocity_ex_file.h5")[0]
    assert np.abs(result["velocity"].to_numpy() - velocity)[mintpy_pixels(ds)].max() < 1e-6
    assert result.attrs["excluded_dates"] == ["2019-12-24", "2020-04-10", "2020-05-16"]


def test_displacement_between_two_dates_is_exactly_that_of_mintpy(shared, he5):
    import rasterio

    with rasterio.open(shared / "data" / "mintpy_oracles" / "gdal" / "disp_DT071.tif") as file:
        wanted = file.read(1)
    (path,) = (he5 / "small" / "SynthSenDT071" / "mintpy").glob("geo_timeseries*.h5")
    result = displacement_between(read_series(path), "20191116", "20200713")
    np.testing.assert_array_equal(result["displacement"], wanted)


@pytest.mark.parametrize(("convention", "key"), [("elapsed", "v_exact"), ("mintpy", "v_mintpy_decimal_year")])
def test_year_conventions_of_oracle_o20b(oracles, convention, key):
    case = oracles["O20b"]
    series = np.array(case["disp_m"])[:, None, None]
    dates = [f"{d[:4]}-{d[4:6]}-{d[6:]}" for d in case["dates"]]
    ds = lattice_dataset(small_window(2, 2), dates=dates, displacement=np.broadcast_to(series, (5, 2, 2)))
    np.testing.assert_allclose(estimate_velocity(ds, time_convention=convention)["velocity"], case[key], atol=1e-8)


def test_displacement_of_oracle_o20(oracles):
    case = oracles["O20"]
    series = np.broadcast_to(np.array(case["disp_m"])[:, None, None], (3, 2, 2))
    ds = lattice_dataset(small_window(2, 2), dates=["2020-01-01", "2020-01-13", "2020-01-25"], displacement=series)
    result = displacement_between(ds, case["dates"][0], case["dates"][-1])
    np.testing.assert_allclose(result["displacement"], case["displacement_first_last"], rtol=1e-6)


@given(chunkings(time=5, y=5, x=7))
def test_chunked_velocity_equals_that_of_numpy(chunks):
    ds = noisy_series()[["displacement", "height"]]
    with no_compute():
        lazy = estimate_velocity(ds.chunk(chunks), exclude=["20200113"])
    xr.testing.assert_identical(lazy.compute(), estimate_velocity(ds, exclude=["20200113"]))


@given(chunkings(time=5, y=5, x=7))
def test_chunked_displacement_equals_that_of_numpy(chunks):
    ds = noisy_series()[["displacement", "height"]]
    with no_compute():
        lazy = displacement_between(ds.chunk(chunks), "20200113", "20210131")
    xr.testing.assert_identical(lazy.compute(), displacement_between(ds, "20200113", "20210131"))


def test_the_same_request_gives_the_same_graph():
    ds = noisy_series().chunk(y=2)
    one, two = (estimate_velocity(ds)["velocity"].data for _ in range(2))
    assert one.name == two.name
    assert estimate_velocity(ds, time_convention="mintpy")["velocity"].data.name != one.name


def test_space_is_never_rechunked():
    ds = noisy_series().chunk(time=2, y=(2, 3), x=(4, 3))
    result = estimate_velocity(ds)
    assert result["velocity"].chunks == ((2, 3), (4, 3))
    assert result["count"].dtype == np.int16
    assert {result[name].dtype.name for name in ("velocity", "velocity_std", "intercept")} == {"float32"}


def test_a_block_reaches_the_kernel_without_a_copy(monkeypatch):
    data = noisy_series()["displacement"].to_numpy()
    seen = []

    def spy(displacement, t):
        seen.append(np.shares_memory(displacement, data) and displacement.flags.c_contiguous)
        return fit_rate(displacement, t)

    monkeypatch.setattr("mimtpy_cloud.kernels.rate.fit_rate", spy)
    lazy = da.map_blocks(lambda: data, chunks=((5,), (5,), (7,)), dtype=data.dtype, meta=data[:0])
    ds = noisy_series().assign(displacement=(("time", "y", "x"), lazy))
    estimate_velocity(ds).compute(scheduler="synchronous")
    assert seen
    assert all(seen)


def test_what_has_no_time_passes_through():
    ds = noisy_series().assign(perpendicular_baseline=("time", np.zeros(5, "f4"))).assign_coords(n=("time", range(5)))
    for result in (estimate_velocity(ds), displacement_between(ds, DATES[0], DATES[-1])):
        assert "time" not in result.variables
        assert "perpendicular_baseline" not in result
        assert "n" not in result.coords
        for name in ("valid", "temporal_coherence", "height", "los_east", "los_north", "los_up", "spatial_ref"):
            xr.testing.assert_identical(result[name], ds[name])
        assert result.attrs["track"] == ds.attrs["track"]
        assert (result.attrs["start_date"], result.attrs["end_date"]) == ("2020-01-01", "2021-01-31")
        for name in set(result.data_vars) - set(ds.data_vars) | ({"displacement"} & set(result.data_vars)):
            assert result[name].dims == ("y", "x")
            assert set(result[name].attrs) == {"units", "long_name"}
    assert "displacement" not in estimate_velocity(ds)
    assert "start_date" not in ds.attrs


def test_velocity_uses_only_dates_in_range_and_says_which():
    ds = noisy_series(gaps=0)
    result = estimate_velocity(ds, "2020-01-02", "2020-12-31")
    assert result.attrs["start_date"] == "2020-01-13"
    assert result.attrs["end_date"] == "2020-02-06"
    assert result.attrs["n_dates"] == 3
    assert result.attrs["excluded_dates"] == []
    assert result.attrs["time_convention"] == "elapsed"
    xr.testing.assert_equal(result["velocity"], estimate_velocity(ds.isel(time=slice(1, 4)))["velocity"])
    edges = estimate_velocity(ds, "20200113", "20200206")
    assert edges.attrs["n_dates"] == 3


def test_displacement_takes_the_nearest_dates_and_says_which():
    ds = lattice_dataset(WINDOW, dates=DATES, velocity=RATES)
    result = displacement_between(ds, "20200110", "20210201")
    assert (result.attrs["start_date"], result.attrs["end_date"]) == ("2020-01-13", "2021-01-31")
    np.testing.assert_allclose(result["displacement"], RATES * 384 / 365.25, atol=1e-8)


def test_one_gap_does_not_kill_a_pixel():
    ds = lattice_dataset(WINDOW, dates=DATES, velocity=RATES)
    ds["displacement"][2, 1, 1] = np.nan
    result = estimate_velocity(ds)
    np.testing.assert_allclose(result["velocity"], RATES, atol=1e-8)
    assert result["count"][1, 1] == DATES.size - 1


def test_the_temporal_datum_is_that_of_the_product():
    ds = noisy_series()
    assert displacement_between(ds, "20200113", "20200206").attrs["reference_date"] == "2020-01-13"
    assert "reference_date" not in estimate_velocity(ds).attrs
    assert ds.attrs["reference_date"] == "2020-01-01"


@pytest.mark.parametrize("bounds", [("2019-12-07", None), (None, "2021-02-25"), ("2019-12-08", "2021-02-24")])
def test_velocity_far_from_the_dates_asked_for_warns(bounds, caplog):
    estimate_velocity(noisy_series(), *bounds)
    told = {
        "2019-12-07": ["the velocity of A064 starts on 2020-01-01, 25 days from 2019-12-07"],
        "2021-02-25": ["the velocity of A064 ends on 2021-01-31, 25 days from 2021-02-25"],
    }
    assert caplog.messages == next((text for bound, text in told.items() if bound in bounds), [])


def test_dates_may_be_taken_from_the_dataset():
    ds = noisy_series()
    wanted = estimate_velocity(ds, exclude="2020-01-13")
    for exclude in (ds["time"][1], ds["time"].values[1], np.array("2020-01-13", "datetime64[D]")):
        xr.testing.assert_identical(estimate_velocity(ds, exclude=exclude), wanted)
    between = displacement_between(ds, ds["time"][0], ds["time"][-1])
    xr.testing.assert_identical(between, displacement_between(ds, DATES[0], DATES[-1]))


def test_infinite_displacement_is_no_data():
    ds = lattice_dataset(small_window(2, 2), dates=DATES, velocity=0.01)
    ds["displacement"][0, 0, 0] = np.inf
    change = displacement_between(ds, DATES[0], DATES[-1])["displacement"]
    assert np.isnan(change.values).tolist() == [[True, False], [False, False]]


def test_no_excluded_date_is_none():
    ds = noisy_series()
    xr.testing.assert_identical(estimate_velocity(ds, exclude=None), estimate_velocity(ds, exclude=()))


SINGLE = (20200113, dt.date(2020, 1, 13), np.datetime64("2020-01-13"), np.array("2020-01-13", "M8[ns]"))
MANY = (["20200113"], {"20200113"}, np.array(["2020-01-13"], "M8[ns]"))


@pytest.mark.parametrize("exclude", ["file", "url", "2020-01-13", *SINGLE, *MANY])
def test_excluded_dates_come_in_many_forms(exclude, tmp_path):
    path = tmp_path / "exclude_date.txt"
    path.write_text("20200113  # snow\n")
    exclude = {"file": path, "url": path.as_uri()}.get(exclude, exclude) if isinstance(exclude, str) else exclude
    ds = noisy_series(gaps=0)
    result = estimate_velocity(ds, exclude=exclude)
    assert result.attrs["excluded_dates"] == ["2020-01-13"]
    xr.testing.assert_equal(result["velocity"], estimate_velocity(ds.drop_isel(time=1))["velocity"])


def test_date_errors_say_what_exists(tmp_path):
    ds = noisy_series()
    with pytest.raises(DateError, match=r"exclude 2020-01-14, 2022-01-01: no such acquisition among 5 \(2020-01-01 to"):
        estimate_velocity(ds, exclude=["20220101", "20200114"])
    with pytest.raises(DateError, match="at least 3 dates, got 2 of 5"):
        estimate_velocity(ds, "20200120", "20200301")
    with pytest.raises(DateError, match="at least 3 dates, got 2 of 5"):
        estimate_velocity(ds, exclude=DATES[:3])
    with pytest.raises(DateError, match=r"time_convention must be one of .*'mintpy'.*, got 'julian'"):
        estimate_velocity(ds, time_convention="julian")
    with pytest.raises(DateError, match="start must be before end"):
        displacement_between(ds, "20200125", "20200113")
    with pytest.raises(DateError, match="got 2020-01-12 and 2020-01-14, which are both nearest to 2020-01-13"):
        displacement_between(ds, "20200112", "20200114")
    for exclude in (1.5, [1.5], object()):
        with pytest.raises(DateError, match="expected a date"):
            estimate_velocity(ds, exclude=exclude)
    with pytest.raises(DateError, match=r"2020-02-06 \(145 days before\), 2021-01-31 \(215 days after\)"):
        displacement_between(ds, "20200113", "20200630")
    assert displacement_between(ds, "20200113", "20200630", max_gap_days=150).attrs["end_date"] == "2020-02-06"
    with pytest.raises(StorageError, match=r"cannot read excluded dates from .*absent\.txt"):
        estimate_velocity(ds, exclude=tmp_path / "absent.txt")


def test_schema_errors_say_what_is_wrong():
    velocity = lattice_dataset(WINDOW, velocity=RATES)
    for operation in (estimate_velocity, lambda ds: displacement_between(ds, "20200101", "20200113")):
        with pytest.raises(SchemaError, match="is a velocity product; this needs a displacement series"):
            operation(velocity)
        with pytest.raises(SchemaError, match="needs displacement; it has"):
            operation(velocity.drop_vars("velocity"))
        with pytest.raises(SchemaError, match="displacement needs dimensions"):
            operation(noisy_series().transpose("y", "x", "time"))
        with pytest.raises(SchemaError, match="time must ascend"):
            operation(noisy_series().isel(time=[1, 0, 2, 3, 4]))
