"""East and up over time from tracks with different dates."""

import dask
import dask.array as da
import numpy as np
import pytest
import xarray as xr
from dask.callbacks import Callback
from hypothesis import given, settings
from hypothesis import strategies as st
from lazy import no_compute
from strategies import chunkings
from synthetic import lattice_dataset, look_vector

from mimtpy_cloud.errors import DateError, GridMismatchError, SchemaError
from mimtpy_cloud.ops.enu import invert_enu
from mimtpy_cloud.ops.rate import estimate_velocity
from mimtpy_cloud.ops.reference import set_reference
from mimtpy_cloud.ops.timeline import decompose_series
from mimtpy_cloud.plan.grid import Window

SHAPE = (10, 14)
NOISE = 0.004
#: Incidence, azimuth, first row and column, first day and repeat of each track.
GEOMETRY = [(39.0, 102.0, 0, 0, 0, 12), (34.0, -102.0, 1, 3, 5, 12), (44.0, 100.0, 2, 2, 31, 24)]
START = np.datetime64("2016-01-01")
POINT = [-179.9, 89.95]


def truth(years):
    """A landslide: creep, seasons and a surge, each with a pattern of its own; shape (2, time, y, x)."""
    y, x = np.meshgrid(np.linspace(0.5, 1, SHAPE[0]), np.linspace(-1, 1, SHAPE[1]), indexing="ij")
    t = np.asarray(years)[:, None, None]
    surge = 1 / (1 + np.exp(-(t - 1.6) / 0.15))
    east = 0.03 * x * t + 0.008 * y * np.sin(2 * np.pi * t) + 0.04 * x * y * surge
    up = -0.02 * y * t + 0.006 * x * np.cos(2 * np.pi * t) - 0.03 * y * surge
    return np.stack([east, up])


def years_of(dates):
    return (np.asarray(dates, "datetime64[D]") - START) / np.timedelta64(1, "D") / 365.25


def tracks(noise=NOISE, missing=0.3, span=3.0, count=3, motion=truth, chunks=None, gap=None, north=0.0, seed=1):
    """Tracks of one motion with a datum of their own in time, and noise on each date, that of the reference too."""
    rng = np.random.default_rng(seed)
    found = []
    for k, (incidence, azimuth, row, col, first, repeat) in enumerate(GEOMETRY[:count]):
        days = np.arange(first, span * 365.25, repeat).astype(int)
        days = days[rng.random(days.size) > 0.1]
        if gap is not None and k in gap[0]:
            days = days[(days < gap[1]) | (days > gap[2])]
        dates = START + days.astype("timedelta64[D]")
        part = np.s_[row : row + 8, col : col + 11]
        e, n, u = look_vector(incidence + np.linspace(0, 3, SHAPE[0] * SHAPE[1]).reshape(SHAPE)[part], azimuth)
        east, up = motion(years_of(dates))[(slice(None), slice(None), *part)]
        los = e * east + n * north * years_of(dates)[:, None, None] + u * up
        los = los + noise * rng.normal(size=los.shape)
        los -= los[days.size // 3]  # a reference date in the middle, with the noise of its image
        holes = rng.random(los.shape) < missing
        holes[days.size // 3] = False
        ds = lattice_dataset(
            Window(100, row, col, 8, 11),
            dates=dates,
            displacement=np.where(holes, np.nan, los),
            incidence_angle=incidence + np.linspace(0, 3, SHAPE[0] * SHAPE[1]).reshape(SHAPE)[part],
            los_azimuth_angle=azimuth,
            track=f"T{k:03d}",
            orbit_direction="ascending" if azimuth > 0 else "descending",
            heading=-12.0 if azimuth > 0 else -168.0,
            reference_point=POINT,
            reference_date=str(dates[days.size // 3]),
        )
        ds["valid"][:] = True
        found.append(ds if chunks is None else ds.chunk(chunks[k]))
    return found


def wanted(got, motion=truth):
    """Truth on the window and dates of a result, since its reference date."""
    window = Window.of(got.x.values, got.y.values, 100)
    part = np.s_[window.row : window.row + window.ny, window.col : window.col + window.nx]
    since = motion(years_of([got.attrs["reference_date"]]))
    return (motion(years_of(got.time.values)) - since)[(slice(None), slice(None), *part)]


def errors(got, motion=truth):
    """Errors in standard deviations, where the displacement is known and not zero by definition."""
    others = got.time.values != np.datetime64(got.attrs["reference_date"])
    error = (np.stack([got.east, got.up]) - wanted(got, motion))[:, others]
    relative = error / np.stack([got.east_std, got.up_std])[:, others]
    return relative[np.isfinite(relative)]


@pytest.mark.parametrize("order", [1, 2])
@pytest.mark.parametrize("sigma", [NOISE, None])
@pytest.mark.parametrize("dates", ["union", "30D"])
def test_truth_lies_within_two_sigma_with_unequal_dates_and_a_third_missing(order, sigma, dates):
    with no_compute():
        lazy = decompose_series(tracks(), order=order, sigma=sigma, dates=dates)
    got = lazy.compute()
    relative = errors(got)
    assert relative.size > 0.8 * got.east.size
    least = 0.95 if sigma else 0.94  # a pixel that estimates its noise knows it less well
    assert np.mean(np.abs(relative) <= 2) >= least
    assert 0.7 < np.sqrt(np.mean(relative**2)) < 1.1  # nor are the standard deviations too large
    error = np.stack([got.east, got.up]) - wanted(got)
    assert np.sqrt(np.nanmean(error**2)) < 1.5 * NOISE
    assert np.nanmax(np.abs(wanted(got))) > 20 * NOISE
    if sigma is None:
        np.testing.assert_allclose(np.nanmedian(got.noise), NOISE, rtol=0.1)
    else:
        np.testing.assert_allclose(np.nanmedian(got.chi2), 1, rtol=0.15)
    np.testing.assert_allclose(np.nanmedian(got.residual_rms), NOISE, rtol=0.15)


def test_labels_state_dates_direction_unit_and_weight():
    found = tracks()
    got = decompose_series(found, sigma=NOISE)
    assert got.east.attrs == {"units": "m", "long_name": "east displacement, positive east"}
    assert got.east.dims == ("time", "y", "x")
    assert got.attrs["reference_date"] == str(got.time.values[0])[:10] == str(found[1].time.values[0])[:10]
    assert got.attrs["end_date"] == str(got.time.values[-1])[:10]
    assert not {"orbit_direction", "heading", "look_side"} & set(got.attrs)
    assert set(got.data_vars) == {
        *("east", "up", "east_std", "up_std", "count", "quality", "residual_rms", "chi2", "gain", "valid"),
        "regularisation",
    }
    assert got.regularisation.attrs["units"] == "yr^3 / m^2"
    assert got.quality.attrs["flag_meanings"].split()[4] == "no_data_at_reference"
    assert decompose_series(found, order=0).regularisation.attrs["units"] == "yr^1"
    along = decompose_series(found, 16, regularisation=1.0)
    assert along.horizontal.attrs["long_name"].endswith("positive toward azimuth 16 degrees clockwise from north")
    assert float(along.regularisation) == 1.0


def test_dates_of_the_result():
    found = tracks()
    union = np.unique(np.concatenate([ds.time.values for ds in found]))
    first, ends = found[1].time.values[0], [ds.time.values[-1] for ds in found]
    last = min(max(ends[0], ends[2]), ends[1])  # one of each direction goes on
    got = decompose_series(found, regularisation=1.0)
    np.testing.assert_array_equal(got.time, union[(union >= first) & (union <= last)])
    common = decompose_series(found, regularisation=1.0, dates="common")
    assert common.time.values[0] == found[2].time.values[0]
    months = decompose_series(found, regularisation=1.0, dates="MS")
    assert (months.time.dt.day == 1).all()
    assert months.attrs["reference_date"] == got.attrs["reference_date"]
    middle = decompose_series(found, regularisation=1.0, reference_date="2017-03-02")
    assert abs(np.datetime64(middle.attrs["reference_date"]) - np.datetime64("2017-03-02")) < np.timedelta64(13, "D")
    zero = middle.sel(time=middle.attrs["reference_date"]).compute()
    assert (zero.east.values[zero.quality.values == 0] == 0).all()
    assert (zero.quality == 0).any()


def test_a_frequency_lies_on_the_lines_between_the_dates_of_all():
    options = {"regularisation": 100.0, "sigma": NOISE}
    union, months = (decompose_series(tracks(), dates=d, **options).compute() for d in ("union", "MS"))
    between = union.east.interp(time=months.time).values
    known = np.isfinite(between)
    np.testing.assert_allclose(months.east.values[known], between[known], atol=1e-6)


def test_linear_limit_is_the_static_solution_of_the_velocities():
    found = tracks(count=2)
    series = decompose_series(found, sigma=NOISE, regularisation=1e9).compute()
    static = invert_enu([estimate_velocity(ds) for ds in found], sigma=0.001).compute()
    years = (years_of(series.time.values) - years_of([series.attrs["reference_date"]]))[:, None, None]
    for name in ("east", "up"):
        line = years * static[name].values
        known = np.isfinite(series[name].values)
        assert known.mean() > 0.7
        np.testing.assert_allclose(series[name].values[known], np.broadcast_to(line, known.shape)[known], atol=1e-5)


def test_linear_limit_of_three_tracks_weighs_each_by_what_its_line_is_worth():
    found = tracks()
    series = decompose_series(found, sigma=NOISE, regularisation=1e9).compute()
    rates = []
    for ds in found:
        rate, known = estimate_velocity(ds), np.isfinite(ds.displacement)
        years = xr.DataArray(years_of(ds.time.values), dims="time").where(known)
        worth = ((years - years.mean("time")) ** 2).sum("time")
        rates.append(rate.assign(velocity_std=(("y", "x"), NOISE / np.sqrt(worth.values), {"units": "m/yr"})))
    static = invert_enu(rates).compute()
    years = years_of(series.time.values) - years_of([series.attrs["reference_date"]])
    for name in ("east", "up"):
        for m in (40, 80, 120):
            known = np.isfinite(series[name].values[m]) & np.isfinite(static[name].values)
            assert known.sum() > 50
            got = series[name].values[m][known] / years[m]
            np.testing.assert_allclose(got, static[name].values[known], atol=2e-5)
            spread = series[f"{name}_std"].values[m][known] / abs(years[m])
            np.testing.assert_allclose(spread, static[f"{name}_std"].values[known], rtol=2e-3)


@pytest.mark.parametrize("which", [(0, 1, 2), (1,)])
@pytest.mark.parametrize("order", [0, 1, 2])
def test_a_gap_of_a_year_does_not_ring_and_is_masked(which, order):
    """Of all tracks, or of the one that looks from the other side."""

    def quiet(years):
        return truth(np.zeros_like(years)) + 0.05 * np.asarray(years)[:, None, None]

    gap = (which, 400, 765)
    found = tracks(gap=gap, motion=quiet, missing=0.1)
    options = {"order": order, "sigma": NOISE, "max_gap_days": 120.0}
    got = decompose_series(found, dates="7D", **options).compute()
    day = years_of(got.time.values) * 365.25
    inside = (day > 400 + 61 + 24) & (day < 765 - 61 - 24)
    assert inside.sum() > 20
    assert np.isnan(got.east.values[inside]).all()
    assert (got.quality.values[inside] == 1).any()
    bridged = decompose_series(found, dates="7D", **(options | {"max_gap_days": 1000.0})).compute()
    over = (day > 380) & (day < 785)
    error = (np.stack([bridged.east, bridged.up]) - wanted(bridged, quiet))[:, over]
    bound = np.nanmax(np.abs(np.stack([bridged.east, bridged.up]) - wanted(bridged, quiet))[:, ~over])
    assert np.isfinite(error).mean() > 0.7
    assert np.nanmax(np.abs(error)) < 1.5 * bound
    assert bound < 6 * NOISE


def test_a_change_between_two_acquisitions_is_as_certain_as_their_line():
    """Ten days beside an acquisition a tenth of the difference to the next counts, and not two whole acquisitions."""
    days = ["2016-01-01", "2016-04-10", "2016-07-19"]  # 100 days apart
    window = Window(100, 5000, 20000, 4, 4)
    found = []
    for k, azimuth in enumerate((102.0, -102.0)):
        ds = lattice_dataset(
            window,
            dates=days,
            velocity=0.0,
            incidence_angle=38.0,
            los_azimuth_angle=azimuth,
            track=f"T{k:03d}",
            orbit_direction="ascending" if azimuth > 0 else "descending",
            reference_point=[20.0, 40.0],
        )
        found.append(ds)
    options = {"sigma": 0.004, "dates": "10D", "reference_date": days[1], "method": "interpolation"}
    std = decompose_series(found, **options).up_std.isel(y=0, x=0).compute()
    after = np.datetime64(days[1]) + np.array([0, 10, 50, 100]).astype("timedelta64[D]")
    wanted = np.array([0.0, 0.1, 0.5, 1.0]) * np.sqrt(2) * 0.004 / np.sqrt(2) / np.cos(np.deg2rad(38))
    np.testing.assert_allclose(std.sel(time=after), wanted, rtol=1e-4)


def test_blocks_do_not_wait_for_the_regularisation():
    """The pixels that choose it are read by themselves; else all that they lie on would stay in memory."""
    window = Window(100, 5000, 20000, 60, 60)
    alive = [0]

    def block(track, block_info=None):
        shape = block_info[None]["chunk-shape"]
        rng = np.random.default_rng((track, *block_info[None]["chunk-location"]))
        return np.cumsum(rng.normal(0, 0.003, shape), axis=0).astype(np.float32)

    found = []
    for k, azimuth in enumerate((102.0, -102.0)):
        ds = lattice_dataset(
            window,
            dates=START + np.timedelta64(1, "D") * (12 * np.arange(30) + 5 * k),
            velocity=0.0,
            los_azimuth_angle=azimuth,
            track=f"T{k:03d}",
            orbit_direction="ascending" if azimuth > 0 else "descending",
            reference_point=[20.0, 40.0],
        ).chunk(y=10, x=10)
        chunks = ((ds.sizes["time"],), (10,) * 6, (10,) * 6)
        series = da.map_blocks(block, k, chunks=chunks, dtype=np.float32, meta=np.empty((0,) * 3, np.float32))
        found.append(ds.assign(displacement=(("time", "y", "x"), series, ds["displacement"].attrs)))

    def look(_key, _result, _graph, state, _worker):
        alive.append(sum(getattr(v, "shape", ()) == (30, 10, 10) for v in state["cache"].values()))

    with Callback(posttask=look), dask.config.set(scheduler="synchronous"):
        da.sum(decompose_series(found).up.data).compute()
    assert max(alive) < 20  # of 72


def test_dates_beside_a_gap_are_less_certain():
    found = tracks(gap=((0, 1, 2), 400, 765))
    got = decompose_series(found, sigma=NOISE, max_gap_days=1000.0, dates="7D", reference_date="2016-06-01").compute()
    day = years_of(got.time.values) * 365.25
    spread = np.nanmean(got.east_std.values, axis=(1, 2))
    far = spread[(day > 200) & (day < 330)].mean()
    for edge in ((395, 405), (758, 768)):
        assert spread[(day > edge[0]) & (day < edge[1])].min() > far


def test_pixels_without_data_around_the_reference_date_say_so():
    found = tracks(missing=0.0)
    late = found[0]["displacement"].copy()
    late[:40, 4:] = np.nan
    found[0]["displacement"] = late
    got = decompose_series(found[:2], regularisation=1.0).compute()
    lost = got.quality.values == 4
    assert lost.any()
    assert np.isnan(got.up.values[lost]).all()
    rows = np.isin(got.y.values, found[0].y.values[4:])
    assert np.isnan(got.up.values[:, rows]).all()
    assert np.isfinite(got.up.values[:, ~rows]).any()
    assert not got.valid.values[rows].any()
    assert np.isnan(got.residual_rms.values[:, rows]).all()


@pytest.mark.parametrize("order", [0, 1, 2])
def test_a_track_with_too_few_dates_tells_nothing(order):
    """Its constant and what the penalty leaves free would take them all."""
    found, least = tracks(missing=0.0, count=2), max(2, order + 1)
    series = found[1]["displacement"].copy()
    kept = np.linspace(0, series.sizes["time"] - 1, least).astype(int)
    series[np.setdiff1d(np.arange(series.sizes["time"]), kept[1:]), 2] = np.nan
    series[np.setdiff1d(np.arange(series.sizes["time"]), kept), 4] = np.nan
    found[1]["displacement"] = series
    got = decompose_series(found, order=order, sigma=NOISE, regularisation=100.0, max_gap_days=9999.0).compute()
    few, enough = (got.sel(y=found[1].y.values[row], method="nearest") for row in (2, 4))
    assert np.isnan(few.up.values).all()
    assert (few.quality.values == 1).all()
    known = enough.quality.values == 0
    assert known.any()
    assert np.isfinite(enough.up_std.values[known]).all()
    middle = got.sizes["time"] // 3
    assert (enough.up_std.values[middle] > got.up_std.values[middle, 0])[known[middle]].all()


def test_the_datum_in_time_of_a_track_does_not_matter():
    found = tracks()
    moved = [set_reference(ds, date=ds.time.values[3]) for ds in found]
    for ds, other in zip(found, moved, strict=True):  # a pixel without data on the new date would be lost
        other["displacement"] = ds["displacement"] - 0.1
    a, b = (decompose_series(t, sigma=NOISE, regularisation=100.0).compute() for t in (found, moved))
    np.testing.assert_allclose(a.east, b.east, atol=1e-6)
    np.testing.assert_allclose(a.up_std, b.up_std, atol=1e-9)


def test_noise_of_the_reference_image_is_not_in_every_date():
    found = tracks(missing=0.0, noise=0.001)
    noisy = [ds.copy() for ds in found]
    noisy[0]["displacement"] = noisy[0]["displacement"] + 0.05 * np.random.default_rng(0).normal(size=(8, 11))
    a, b = (decompose_series(t, sigma=0.001, regularisation=100.0).compute() for t in (found, noisy))
    np.testing.assert_allclose(a.east, b.east, atol=1e-6)


def test_known_north_motion_is_taken_away_and_its_uncertainty_stays():
    found = tracks(north=0.05, missing=0.0)
    options = {"sigma": NOISE, "regularisation": 100.0}
    ignored, exact, unsure = (
        decompose_series(found, **options, **more).compute()
        for more in ({}, {"north": 0.05}, {"north": 0.03, "north_std": 0.02})
    )
    last = -1
    error = [np.nanmean((ds.up.values - wanted(ds)[1])[last]) for ds in (ignored, exact, unsure)]
    assert abs(error[0]) > 5 * abs(error[1])
    known = np.isfinite(exact.up_std.values[last])
    assert (unsure.up_std.values[last] > exact.up_std.values[last])[known].all()
    assert np.mean(np.abs(errors(unsure)) <= 2) > 0.95
    field = xr.Dataset({"north": (("y", "x"), np.full((8, 11), 0.05), {"units": "m/yr"})}, found[0].coords)
    field = field.drop_vars("time").assign_attrs(pixels_per_degree=100)
    by_field = decompose_series(found, north=field, **options).compute()
    known = np.isfinite(by_field.up.values)
    assert known.any()
    np.testing.assert_allclose(by_field.up.values[known], exact.up.values[known], atol=1e-6)
    outside = np.isfinite(exact.up.values) & ~known
    assert (by_field.quality.values[outside] == 3).all()


def test_interpolation_has_the_same_interface():
    found = tracks(missing=0.05)
    with no_compute():
        lazy = decompose_series(found, method="interpolation", sigma=NOISE, dates="15D")
    got = lazy.compute()
    relative = errors(got)
    assert relative.size > 0.5 * got.east.size
    assert np.mean(np.abs(relative) <= 2) > 0.9
    assert (got.isel(time=0).east_std.values[got.quality.values[0] == 0] == 0).all()
    assert "regularisation" not in got
    bare = decompose_series(found, method="interpolation", dates="15D").compute()
    assert "east_std" not in bare
    few = decompose_series(found[:2], method="interpolation", dates="15D").compute()
    one = found[0].displacement.interp(time=few.time), found[1].displacement.interp(time=few.time)
    looks = [np.stack([ds.los_east, ds.los_up])[..., 3, 5] for ds in found[:2]]
    y, x = found[0].y.values[3], found[0].x.values[5]
    looks[1] = np.array([found[1][n].sel(y=y, x=x, method="nearest").item() for n in ("los_east", "los_up")])
    los = np.stack([s.sel(y=y, x=x, method="nearest").values for s in one])
    plain = np.linalg.solve(np.array(looks), los - los[:, :1])
    here = few.sel(y=y, x=x, method="nearest")
    known = np.isfinite(here.east.values) & np.isfinite(plain[0])
    assert known.sum() > 10
    np.testing.assert_allclose(here.east.values[known], plain[0][known], atol=1e-5)


def test_interpolation_masks_a_gap():
    found = tracks(gap=((0, 1, 2), 400, 765), missing=0.0)
    got = decompose_series(found, method="interpolation", dates="7D", max_gap_days=60.0).compute()
    day = years_of(got.time.values) * 365.25
    assert np.isnan(got.east.values[(day > 400) & (day < 765)]).all()
    assert np.isfinite(got.east.values[(day > 800) & (day < 900)]).any()


def test_a_sigma_for_each_date_weighs_the_dates():
    found = tracks(missing=0.0)
    rng = np.random.default_rng(5)
    for ds in found:
        ds["displacement"][::4] += 0.1 * rng.normal(size=ds["displacement"][::4].shape)
    each = [np.where(np.arange(ds.sizes["time"]) % 4, NOISE, 0.1) for ds in found]
    told = decompose_series(found, sigma=each).compute()
    blind = decompose_series(found, sigma=NOISE).compute()
    rms = [np.sqrt(np.nanmean((ds.up.values - wanted(ds)[1]) ** 2)) for ds in (told, blind)]
    assert rms[0] < 0.5 * rms[1]
    assert np.mean(np.abs(errors(told)) <= 2) > 0.94
    swapped = decompose_series(found[::-1], sigma=[xr.DataArray(s, dims="time") for s in each[::-1]]).compute()
    np.testing.assert_array_equal(told.up, swapped.up)


@settings(max_examples=5)
@given(data=st.data(), order=st.permutations(range(3)), method=st.sampled_from(["tikhonov", "interpolation"]))
def test_result_is_bit_equal_for_any_chunks_and_order(data, order, method):
    sizes = [ds.sizes["time"] for ds in tracks()]
    chunks = [data.draw(chunkings(time=n, y=8, x=11)) for n in sizes]
    options = {"method": method, "sigma": NOISE, "dates": "60D"}
    with no_compute():
        lazy = decompose_series([tracks(chunks=chunks)[k] for k in order], **options)
    expected = decompose_series(tracks(), **options).compute(scheduler="sync")
    got = lazy.compute(scheduler="sync")
    assert got.attrs == expected.attrs
    for name in expected.data_vars:
        np.testing.assert_array_equal(got[name], expected[name])


def test_a_virtual_area_builds_fast_and_reads_what_a_block_needs():
    n, side = 1250, 625
    window = Window(n, 0, 0, 10 * n, 3 * n)
    found = []
    for k, azimuth in enumerate((102.0, -102.0)):
        dates = START + (np.arange(100) * 12 + 5 * k).astype("timedelta64[D]")
        arrays = {
            v: (("y", "x"), da.zeros(window.shape, chunks=side, dtype="f4", name=f"{v}-{k}-series"))
            for v in ("los_east", "los_north", "los_up")
        }
        series = da.zeros((100, *window.shape), chunks=(100, side, side), dtype="f4", name=f"series-{k}")
        arrays["displacement"] = (("time", "y", "x"), series, {"units": "m"})
        attrs = {"track": f"T{k}", "orbit_direction": str(azimuth), "pixels_per_degree": n, "reference_point": POINT}
        coords = {"time": dates.astype("datetime64[ns]"), "y": window.y, "x": window.x}
        found.append(xr.Dataset(arrays, coords, attrs))
    with no_compute():
        got = decompose_series(found)
    assert got.east.data.numblocks == (1, 100, 30)  # of 125 pixels
    assert max(got.east.data.chunks[1]) == 125
    part = got.east.data.blocks[0, 3, 4]
    keys = [key for key in part.dask.cull(part.__dask_keys__()) if str(key[0]).startswith("series")]
    assert len(keys) <= 2 * 100
    given_weight = decompose_series(found, regularisation=1.0).east.data.blocks[0, 3, 4]
    keys = [key for key in given_weight.dask.cull(given_weight.__dask_keys__()) if str(key[0]).startswith("series")]
    assert len(keys) == 2


def test_what_cannot_be_decomposed_is_refused():
    found = tracks()
    velocity = [estimate_velocity(ds) for ds in found]
    late = found[1].assign_coords(time=found[1].time + np.timedelta64(3000, "D"))
    dark = [ds.copy() for ds in found]
    for ds in dark:
        ds["displacement"][:] = np.nan
    cases = [
        (found[:1], {}, SchemaError, "at least two tracks, got T000"),
        (velocity, {}, SchemaError, "hold no displacement series"),
        ([found[0].drop_vars("los_up"), found[1]], {}, SchemaError, "T000 needs los_up"),
        (found, {"method": "spline"}, SchemaError, "method must be 'tikhonov' or 'interpolation', got 'spline'"),
        (found, {"components": "enu"}, SchemaError, "north_std with components='eu'"),
        (found, {"components": "xy"}, SchemaError, "or an azimuth in degrees"),
        (found, {"order": 3}, SchemaError, "order must be 0, 1 or 2, got 3"),
        (found, {"regularisation": -1}, SchemaError, "regularisation must be a positive number, or None"),
        (found, {"regularisation": 1e30}, SchemaError, "more than double precision holds"),
        (found, {"regularisation": 1.0, "method": "interpolation"}, SchemaError, "interpolation has none"),
        (found, {"dates": "fortnight"}, DateError, "or a frequency such as '30D' or 'MS', got 'fortnight'"),
        (found, {"dates": "99YS"}, DateError, "at least two dates, got"),
        (found, {"reference_date": "2030-01-01"}, DateError, "no acquisition within 24 days"),
        (found, {"sigma": [1.0, 2.0]}, SchemaError, "one entry or one for each of 3 tracks, got 2"),
        (
            found,
            {"sigma": [0.1, 0.1, np.ones(3)]},
            SchemaError,
            "sigma of T002 must be positive, one value or an array",
        ),
        (found, {"sigma": -1.0}, SchemaError, "sigma of T000 must be positive"),
        (found, {"north_std": 0.01}, SchemaError, "give sigma"),
        (found, {"max_gap_days": 0}, SchemaError, "max_gap_days must be positive"),
        ([found[0], late], {}, DateError, "need a common period, got 2016-01-"),
        ([found[0], found[1].isel(time=slice(None, None, -1))], {}, DateError, "the dates of T001 must ascend"),
        ([found[0], found[1].assign_attrs(reference_point=[0, 0])], {}, SchemaError, "different datums"),
        (
            [found[0], found[1].assign_coords(x=found[1].x + 10).assign_attrs(reference_point=POINT)],
            {},
            GridMismatchError,
            "must overlap",
        ),
    ]
    for given_tracks, options, error, message in cases:
        with no_compute(), pytest.raises(error, match=message):
            decompose_series(given_tracks, **options)
    with pytest.raises(SchemaError, match="none of the pixels sampled"):
        decompose_series(dark).compute()
    assert np.isnan(decompose_series(dark, regularisation=1.0).compute().up).all()
