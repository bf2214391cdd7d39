"""Mosaic of time series: common dates, rebasing, offsets of each date."""

import dask
import numpy as np
import pytest
import xarray as xr
from dask.callbacks import Callback
from hypothesis import given, settings
from hypothesis import strategies as st
from lazy import no_compute
from strategies import chunkings
from synthetic import lattice_dataset

from mimtpy_cloud.errors import DateError, DisconnectedTracksError, SchemaError
from mimtpy_cloud.ops.mosaic import mosaic
from mimtpy_cloud.ops.select import mask_invalid
from mimtpy_cloud.plan.grid import Window

DATES = {
    "A001": ["2020-01-01", "2020-01-13", "2020-01-25", "2020-02-06", "2020-02-18"],
    "A002": ["2020-01-03", "2020-01-10", "2020-01-31", "2020-02-08"],
    "A003": ["2020-01-02", "2020-01-14", "2020-01-26", "2020-02-07", "2020-02-19"],
}
COLUMNS = {"A001": 0, "A002": 8, "A003": 15}
RATE = np.add.outer(np.linspace(-0.1, 0.1, 10), np.linspace(0.0, 0.3, 30))  # m/yr


def tracks(chunks=None, datum=0.01, same_dates=False):
    """Series of one motion, each with its own datum, which changes from date to date."""
    found = []
    for k, (name, col) in enumerate(COLUMNS.items()):
        dates = np.array(DATES["A001" if same_dates else name], "datetime64[D]")
        years = (dates - np.datetime64("2020-01-01")) / np.timedelta64(1, "D") / 365.25
        values = years[:, None, None] * RATE[:, col : col + 15]
        shift = datum * (k + 1) * np.arange(dates.size) ** 2
        series = values - values[0] + shift[:, None, None]
        ds = lattice_dataset(Window(100, 0, col, 10, 15), dates=dates, displacement=series, track=name)
        found.append(ds if chunks is None else ds.chunk(chunks[k]))
    return found


def test_dates_are_matched_one_to_one_and_the_first_is_zero(oracles):
    case = oracles["O23"]
    window = Window(100, 0, 0, 4, 4)
    a, b = (
        lattice_dataset(window, dates=[f"{d[:4]}-{d[4:6]}-{d[6:]}" for d in case[k]], velocity=0.1, track=t)
        for k, t in (("a", "A001"), ("b", "A002"))
    )
    joined = mosaic([b, a], anchor="A001", max_gap_days=case["tolerance_days"]).compute()
    assert [str(t)[:10].replace("-", "") for t in joined.time.values] == [p[0] for p in case["pairs_one_to_one"]]
    assert (joined.displacement[0] == 0).all()
    assert joined.attrs["reference_date"] == "2020-01-01"


def test_a_series_is_rebased_to_the_first_common_date(oracles):
    case = oracles["O54"]
    window = Window(100, 0, 0, 1, 2)
    dates = [np.datetime64(f"{d[:4]}-{d[4:6]}-{d[6:]}") for d in case["dates"]]
    a = lattice_dataset(
        window, dates=dates, displacement=np.array(case["ts"])[:, None, :], track="A001", pixels_per_degree=100
    )
    b = a.isel(time=[1, 2]).assign_attrs(track="A002")
    joined = mosaic([a, b], min_overlap=1, max_gap_days=0).compute()
    np.testing.assert_allclose(joined.displacement[:, 0], case["rebased"])


@pytest.mark.parametrize("per_date", [True, False])
def test_motion_is_joined_whatever_the_datum_of_each_date(per_date):
    found = tracks(same_dates=True, datum=0.01 if per_date else 0.0)
    joined = mosaic(found, anchor="A001", per_date=per_date).compute()
    years = (joined.time.values - joined.time.values[0]) / np.timedelta64(1, "D") / 365.25
    shift = 0.01 * np.arange(5) ** 2 if per_date else np.zeros(5)
    wanted = years[:, None, None] * RATE + shift[:, None, None]
    np.testing.assert_allclose(joined.displacement, wanted, atol=2e-6)
    assert joined.displacement.dims == ("time", "y", "x")
    assert joined.offset.dims == ("time", "track")
    assert (joined.n_tracks.values.max(), joined.n_tracks.values.min()) == (2, 1)
    if per_date:
        np.testing.assert_allclose(joined.offset.sel(track="A003"), -0.02 * np.arange(5) ** 2, atol=1e-6)


def test_only_dates_that_all_have_are_kept():
    joined = mosaic(tracks(), max_gap_days=6)
    assert [str(t)[:10] for t in joined.time.values] == ["2020-01-01", "2020-01-13", "2020-01-25", "2020-02-06"]
    assert joined.displacement.attrs["units"] == "m"
    assert "perpendicular_baseline" not in joined


@settings(max_examples=6)
@given(
    order=st.permutations(range(3)), blend=st.sampled_from(["mean", "feather", "weighted", "anchor"]), data=st.data()
)
def test_result_is_bit_equal_for_any_order_and_chunks(order, blend, data):
    chunks = [data.draw(chunkings(time=len(d), y=10, x=15)) for d in DATES.values()]
    options = {"max_gap_days": 6, "anchor": "A002", "feather_pixels": 3}
    with no_compute():
        lazy = mosaic([tracks(chunks)[k] for k in order], None, blend, **options)
    plain = mosaic(tracks(), None, blend, **options)
    xr.testing.assert_identical(lazy.compute(scheduler="sync"), plain.compute(scheduler="sync"))


def test_few_dates_of_an_overlap_wait_in_memory_at_once(monkeypatch):
    """Of each pair one date is allowed; each piece of dates is read, summarised and forgotten before the next."""
    chunks = [{"y": 2, "x": 3}] * 3
    whole = mosaic(tracks(chunks), max_gap_days=3)
    one_date = 4 * 10 * 8  # bytes of the largest overlap
    assert most_waiting(whole) == 3 * one_date
    monkeypatch.setattr("mimtpy_cloud.ops.series._HELD", one_date)
    monkeypatch.setattr("mimtpy_cloud.ops.series._HELD_BLOCKS", 0)
    pieces = mosaic(tracks(chunks), max_gap_days=3)
    assert most_waiting(pieces) <= 1.5 * one_date
    xr.testing.assert_identical(pieces.compute(), whole.compute())


def most_waiting(ds):
    """Bytes of differences that are in memory at one time."""
    found = [0]

    def look(_key, _result, _graph, state, _worker):
        waiting = [v for k, v in state["cache"].items() if str(k).startswith("('seriesdifference")]
        found.append(sum(v.nbytes for v in waiting))

    with Callback(posttask=look), dask.config.set(scheduler="synchronous"):
        ds.compute()
    return max(found)


def test_invalid_pixels_take_no_part():
    found = tracks(same_dates=True, datum=0.0)
    found[1]["displacement"][:, :5] += 9.0
    found[1]["valid"][:5] = False
    joined = mosaic(found, anchor="A001").compute()
    assert np.abs(joined.offset).max() < 1e-6
    assert np.nanmax(joined.displacement) < 0.1


def test_a_date_without_data_costs_that_date():
    found = tracks(same_dates=True, datum=0.0)
    found[1]["displacement"][2] = np.nan
    found[1]["valid"][:] = True
    joined = mosaic(found, anchor="A001").compute()
    empty = np.isnan(joined.displacement).all(("y", "x"))
    assert empty.values.tolist() == [False, False, True, False, False]
    assert np.isnan(joined.offset[2]).all()
    assert np.isfinite(joined.displacement[[0, 1, 3, 4]]).all()
    for ds in found:
        ds["displacement"][:] = np.nan
    with pytest.raises(DisconnectedTracksError, match="data on the first common date"):
        mosaic(found).compute()


@pytest.mark.parametrize("date", [2, 4])
def test_offsets_of_the_mean_and_the_masks_do_not_hang_on_one_date(date):
    found = tracks(same_dates=True, datum=0.0)
    found[1]["displacement"][date] = np.nan
    found[1]["valid"][:] = True
    joined = mosaic(found, anchor="A001", per_date=False).compute()
    assert np.isfinite(joined.offset).all()
    assert joined.valid.all()
    assert joined.n_tracks.max() == 2
    others = [k for k in range(5) if k != date]
    assert np.isfinite(joined.displacement[others]).all()
    whole = mosaic(tracks(same_dates=True, datum=0.0), None, "feather", anchor="A001", feather_pixels=3).compute()
    torn = mosaic(found, None, "feather", anchor="A001", per_date=False, feather_pixels=3).compute()
    np.testing.assert_allclose(torn.displacement[others], whole.displacement[others], atol=1e-6)


def test_series_that_cannot_be_joined_are_refused():
    a, b, c = tracks()
    with pytest.raises(
        DateError, match=r"at least two common dates, within 0 days, got 0: A001 5 dates from 2020-01-01"
    ):
        mosaic([a, b], max_gap_days=0)
    with pytest.raises(DisconnectedTracksError, match="A001; A003"):
        mosaic([a, c])
    velocity = lattice_dataset(Window(100, 0, 8, 10, 15), velocity=0.0, track="A002")
    with pytest.raises(SchemaError, match="A002 hold no displacement series, others do"):
        mosaic([a, velocity])
    with pytest.raises(SchemaError, match="one orbit_direction"):
        mosaic([a, b.assign_attrs(orbit_direction="descending")])
    with pytest.raises(SchemaError, match="series get offsets of their own"):
        mosaic([a, b], xr.Dataset())


PREPARED = {
    "crop": lambda ds: ds.isel(time=slice(0, None), y=slice(1, 9)),
    "concat": lambda ds: xr.concat([ds.isel(y=slice(0, 5)), ds.isel(y=slice(5, None))], "y", data_vars="minimal"),
    "rechunk": lambda ds: ds.chunk(time=1, x=4),
    "rebased": lambda ds: ds.assign(
        displacement=(ds.displacement - ds.displacement.isel(time=1)).assign_attrs(ds.displacement.attrs)
    ),
    "masked": mask_invalid,
}


@pytest.mark.parametrize("prepare", PREPARED.values(), ids=PREPARED)
def test_lazily_prepared_series_are_joined(prepare):
    plain = tracks(same_dates=True)
    wanted = mosaic([prepare(ds) for ds in plain], anchor="A001").compute()
    joined = mosaic([prepare(ds.chunk(y=4, x=6)) for ds in plain], anchor="A001")
    np.testing.assert_array_equal(joined["offset"].compute(), wanted["offset"])
    np.testing.assert_array_equal(joined["displacement"].compute(), wanted["displacement"])


def test_a_mosaic_of_series_is_a_series_to_join():
    a, b, c = (ds.chunk(y=4) for ds in tracks(same_dates=True))
    first = mosaic([a, b], anchor="A001")[["displacement", "valid"]].assign_attrs(a.attrs)
    both = mosaic([first, c], anchor="A001")
    assert np.isfinite(both["offset"].compute()).all()
    assert both["displacement"].compute().sizes["x"] == 30


def test_a_single_series_is_its_own_mosaic():
    (ds, *_) = tracks()
    joined = mosaic([ds]).compute()
    np.testing.assert_allclose(joined["displacement"], ds["displacement"] - ds["displacement"][0], atol=1e-8)
    assert (joined["offset"] == 0).all()


def test_series_of_other_dimensions_are_refused():
    a, b, _ = tracks(same_dates=True)
    with pytest.raises(SchemaError, match="displacement of A002"):
        mosaic([a, b.transpose("y", "x", "time")])
    with pytest.raises(SchemaError, match="valid of A002"):
        mosaic([a, b.assign(valid=b["displacement"].notnull())])
