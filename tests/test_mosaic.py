"""Mosaic of tracks: offsets over the overlap graph, blending, and what never gets an offset."""

import time

import dask.array as da
import numpy as np
import pytest
import xarray as xr
from hypothesis import given, settings
from hypothesis import strategies as st
from lazy import no_compute
from strategies import chunkings
from synthetic import lattice_dataset

from mimtpy_cloud.errors import DisconnectedTracksError, GridMismatchError, SchemaError
from mimtpy_cloud.ops.mosaic import apply_adjustment, estimate_adjustment, mosaic
from mimtpy_cloud.plan.grid import Window

TRUTH = np.add.outer(np.sin(np.arange(12)), np.cos(np.arange(20)))
TRACKS = {"A001": (0, 0, 0.0), "A002": (2, 6, 0.5), "A003": (1, 12, -1.25)}  # first row and column, datum


def tracks(chunks=None, **attrs):
    """Three tracks of one field, each with its own datum, window and gaps."""
    found = []
    for k, (name, (row, col, datum)) in enumerate(TRACKS.items()):
        window = Window(100, row, col, 10, 8)
        velocity = (TRUTH + datum)[row : row + 10, col : col + 8].astype("f4")
        velocity[k, k + 1] = np.nan
        ds = lattice_dataset(window, velocity=velocity, track=name, project=f"P{k}", **attrs)
        ds["velocity_std"] = ds["velocity_std"] * (k + 1)
        found.append(ds if chunks is None else ds.chunk(chunks[k]))
    return found


def row_track(values, col, **attrs):
    return lattice_dataset(Window(100, 0, col, 1, len(values)), velocity=[values], **attrs)


def test_median_offset_and_mean_rule_equal_the_oracle(oracles):
    case = oracles["O12"]
    a, b = row_track(case["dominant"], 0, track="A001"), row_track(case["affiliate"], 2, track="A002")
    adjustment = estimate_adjustment([a, b], anchor="A001", min_overlap=1).compute()
    assert adjustment.sel(track="A002").offset == case["median"]
    assert (adjustment.sel(pair="A001-A002").pair_median, adjustment.pair_count.item()) == (3.0, 3)
    np.testing.assert_array_equal(mosaic([a, b], adjustment).velocity[0], case["mosaic_mean_rule"])
    np.testing.assert_array_equal(apply_adjustment(b, adjustment).velocity[0], np.array(case["affiliate"]) + 3)


def test_three_values_have_equal_weights(oracles):
    case = oracles["O13"]
    found = [row_track([v], 0, track=f"A00{k}", pixels_per_degree=100) for k, v in enumerate(case["values"], 1)]
    zero = estimate_adjustment(found, min_overlap=1).assign(offset=("track", np.zeros(3)))
    joined = mosaic(found, zero).compute()
    assert joined.velocity.item() == case["true_mean"]
    assert joined.n_tracks.item() == 3
    assert joined.velocity_std.item() == pytest.approx(0.001 / np.sqrt(3))


def test_datum_of_all_tracks_is_recovered_and_the_field_is_whole():
    joined = mosaic(tracks(), anchor="A001").compute()
    np.testing.assert_allclose(joined.offset, [0, -0.5, 1.25], atol=1e-6)
    assert joined.velocity.shape == (12, 20)
    covered = np.isfinite(joined.velocity.values)
    np.testing.assert_allclose(joined.velocity.values[covered], TRUTH[covered], atol=2e-6)
    assert (joined.valid.values == covered).all()
    np.testing.assert_array_equal(joined.n_tracks > 0, covered)
    assert joined.attrs["track"] == "A001+A002+A003"
    assert joined.attrs["anchor"] == "A001"
    assert joined.attrs["orbit_direction"] == "ascending"
    assert len(joined.attrs["sources"]) == 3
    assert "project" not in joined.attrs
    assert joined.velocity.attrs["units"] == "m/yr"


def test_without_an_anchor_the_offsets_have_zero_mean():
    free = estimate_adjustment(tracks()).compute()
    assert abs(free.offset.mean()) < 1e-12
    fixed = estimate_adjustment(tracks(), anchor=1).compute()
    assert fixed.attrs["anchor"] == "A002"
    np.testing.assert_allclose(free.offset - free.offset[1], fixed.offset, atol=1e-12)


@settings(max_examples=8)
@given(order=st.permutations(range(3)), data=st.data())
def test_result_is_bit_equal_for_any_order_and_chunks(order, data):
    chunks = [data.draw(chunkings(y=10, x=8)) for _ in range(3)]
    with no_compute():
        lazy = mosaic([tracks(chunks)[k] for k in order])
    xr.testing.assert_identical(lazy.compute(scheduler="sync"), mosaic(tracks()).compute(scheduler="sync"))


@settings(max_examples=8)
@given(shift=st.floats(-1, 1), which=st.integers(0, 2))
def test_a_constant_added_to_a_track_changes_nothing_but_the_datum(shift, which):
    plain, moved = tracks(), tracks()
    moved[which]["velocity"] = moved[which]["velocity"] + np.float32(shift)
    anchor = (which + 1) % 3
    a, b = (mosaic(t, anchor=anchor).velocity.compute(scheduler="sync") for t in (plain, moved))
    np.testing.assert_allclose(a, b, atol=1e-6)


def test_quality_is_averaged_and_never_shifted(oracles):
    case = oracles["O52"]
    a, b = row_track([1.0, 1, 1], 0, track="A001"), row_track([5.0, 5, 5], 2, track="A002")
    for ds, name in ((a, "dominant"), (b, "affiliate")):
        ds["temporal_coherence"] = ds.valid.dims, np.array([case[name]], "f4")
    adjustment = estimate_adjustment([a, b], min_overlap=1)
    for ds, name in ((a, "a"), (b, "b")):
        ds["valid"] = ds.valid.dims, np.array([case["mask_or"][name]], bool)
    joined = mosaic([a, b], adjustment.compute())
    np.testing.assert_allclose(joined.temporal_coherence[0], case["required_mean"], rtol=1e-6)
    np.testing.assert_array_equal(joined.valid[0], case["mask_or"]["result"])
    most = mosaic([a, b], adjustment, coherence="max").temporal_coherence[0]
    np.testing.assert_allclose(most, case["required_max"], rtol=1e-6)
    assert joined.height.values.min() == joined.height.values.max() == 1000


def test_invalid_pixels_take_part_neither_in_offsets_nor_in_the_blend():
    a, b = tracks()[:2]
    b["velocity"][0:3] += 100
    b["valid"][0:3] = False
    joined = mosaic([a, b], anchor="A001").compute()
    assert joined.offset.sel(track="A002") == pytest.approx(-0.5, abs=1e-6)
    known = np.isfinite(joined.velocity.values)
    np.testing.assert_allclose(joined.velocity.values[known], TRUTH[:, :14][known], atol=2e-6)


def test_look_vectors_stay_unit_vectors():
    a, b = tracks()[:2]
    b["los_east"] = -b["los_east"]
    joined = mosaic([a, b])
    length = joined.los_east**2 + joined.los_north**2 + joined.los_up**2
    covered = np.isfinite(length.values)
    np.testing.assert_allclose(length.values[covered], 1, rtol=1e-6)
    np.testing.assert_array_equal(joined.los_east[:2, :6], a.los_east[:2, :6])


def test_displacement_of_two_dates_is_joined_like_velocity():
    found = [t.rename(velocity="displacement").drop_vars("velocity_std") for t in tracks()]
    for t in found:
        t.displacement.attrs["units"] = "m"
    joined = mosaic(found, anchor=0).compute()
    np.testing.assert_allclose(joined.offset, [0, -0.5, 1.25], atol=1e-6)
    assert joined.offset.attrs["units"] == "m"
    assert "displacement_std" not in joined


def test_weighted_network_uses_all_pairs():
    """Three tracks over one another with inconsistent datums: the loop misclosure is spread by pixel counts."""
    found = tracks()
    found[2] = lattice_dataset(Window(100, 1, 4, 10, 16), velocity=TRUTH[1:11, 4:], track="A003")
    adjustment = estimate_adjustment(found, anchor=0).compute()
    assert adjustment.sizes["pair"] == 3
    assert adjustment.pair.values.tolist() == ["A001-A002", "A001-A003", "A002-A003"]
    np.testing.assert_allclose(adjustment.offset, [0, -0.5, 0], atol=1e-6)
    assert (adjustment.pair_count >= 10).all()


def test_apply_adjustment_shifts_only_the_data_and_is_lazy():
    found = tracks([{"y": 3, "x": 4}] * 3)
    with no_compute():
        adjustment = estimate_adjustment(found, anchor="A001")
        shifted = apply_adjustment(found[1], adjustment)
    np.testing.assert_allclose(shifted.velocity, found[1].velocity - 0.5, atol=1e-6)
    assert shifted.velocity.dtype == np.float32
    assert shifted.velocity.attrs == found[1].velocity.attrs
    xr.testing.assert_identical(
        shifted.drop_vars("velocity"), found[1].drop_vars("velocity").assign_attrs(shifted.attrs)
    )


def test_tracks_whose_windows_do_not_connect_are_named_while_building():
    found = tracks()
    with no_compute(), pytest.raises(DisconnectedTracksError, match="A001; A003"):
        mosaic([found[0], found[2]])


def test_tracks_without_a_common_valid_pixel_are_named_at_compute():
    found = tracks()
    found[2]["velocity"] = found[2]["velocity"] * np.nan
    joined = mosaic(found)
    with pytest.raises(DisconnectedTracksError, match="A001, A002; A003"):
        joined.compute()
    with pytest.raises(DisconnectedTracksError, match="3 separate groups"):
        estimate_adjustment(tracks(), min_overlap=1000).compute()


@pytest.mark.parametrize(
    ("key", "value", "message"),
    [("orbit_direction", "descending", "A002 descending"), ("look_side", "left", "one look_side")],
)
def test_different_viewing_geometry_is_refused_by_name(key, value, message):
    found = tracks()
    found[1].attrs[key] = value
    with pytest.raises(SchemaError, match=message):
        mosaic(found)


def test_unfit_input_has_a_clear_error():
    a, b, _ = tracks()
    series = lattice_dataset(Window(100, 0, 0, 3, 3), dates=["2020-01-01", "2020-01-13"], velocity=0.01)
    with pytest.raises(SchemaError, match="estimate_velocity or displacement_between first"):
        mosaic([series, series])
    with pytest.raises(SchemaError, match="at least one track"):
        mosaic([])
    with pytest.raises(SchemaError, match="all a two-dimensional velocity"):
        mosaic([a, b.drop_vars("velocity")])
    with pytest.raises(GridMismatchError, match="A001: 100, A002: 125"):
        mosaic([a, lattice_dataset(Window(125, 0, 0, 3, 3), velocity=0.0, track="A002")])
    with pytest.raises(GridMismatchError, match="not on the lattice"):
        mosaic([a, b.assign_coords(x=b.x + 0.003)])
    with pytest.raises(SchemaError, match="anchor must be one of A001, A002"):
        mosaic([a, b], anchor="A099")
    with pytest.raises(SchemaError, match="order must be 0"):
        estimate_adjustment([a, b], order=1)
    with pytest.raises(SchemaError, match="blend must be 'mean'"):
        mosaic([a, b], blend="median")
    b.velocity.attrs["units"] = "mm/yr"
    with pytest.raises(SchemaError, match="one unit"):
        mosaic([a, b])


def test_an_adjustment_for_other_tracks_or_another_variable_is_refused():
    a, b, c = tracks()
    adjustment = estimate_adjustment([a, b])
    with pytest.raises(SchemaError, match="lacks A003"):
        mosaic([a, b, c], adjustment)
    with pytest.raises(SchemaError, match="got A003"):
        apply_adjustment(c, adjustment)
    with pytest.raises(SchemaError, match="the tracks hold velocity"):
        mosaic([a, b], adjustment.assign_attrs(variable="displacement"))
    with pytest.raises(SchemaError, match="adjustment is for velocity"):
        apply_adjustment(a.drop_vars("velocity"), adjustment)


def test_two_products_of_one_track_get_labels_of_their_own():
    a, b, c = tracks()
    for ds, name in ((a, "0111_0113"), (b, "0113_0115"), (c, "0113_0115")):
        ds.attrs |= {"track": "A137", "product": name}
    labels = estimate_adjustment([c, b, a]).track.values.tolist()
    assert labels == ["A137:0111_0113", "A137:0113_0115#1", "A137:0113_0115#2"]


def test_one_track_alone_is_itself():
    (a, *_) = tracks()
    joined = mosaic([a]).compute()
    for name in ("velocity", "los_east", "valid", "temporal_coherence"):
        np.testing.assert_array_equal(joined[name], a[name])
    assert joined.offset.values.tolist() == [0.0]
    assert joined.attrs["track"] == "A001"


def fifty_bands(k):
    """A virtual track of 50 degrees by 3, in shards of 625 pixels."""
    n, side = 1250, 625
    window = Window(n, 0, k * 2 * n, 50 * n, 3 * n)
    names = ["velocity", "velocity_std", "temporal_coherence", "height", "los_east", "los_north", "los_up"]
    arrays = {v: (("y", "x"), da.zeros(window.shape, chunks=side, dtype="f4", name=f"{v}-{k}")) for v in names}
    arrays["valid"] = ("y", "x"), da.ones(window.shape, chunks=side, dtype=bool, name=f"valid-{k}")
    attrs = {"track": f"A{k + 1:03d}", "orbit_direction": "ascending", "look_side": "right", "pixels_per_degree": n}
    return xr.Dataset(arrays, {"y": window.y, "x": window.x}, attrs)


def test_ten_tracks_of_fifty_bands_build_within_a_second():
    found = [fifty_bands(k) for k in range(10)]
    with no_compute():
        mosaic(found[:2])
        start = time.process_time()
        joined = mosaic(found)
        seconds = time.process_time() - start
    assert joined.velocity.data.numblocks == (100, 42)
    assert seconds < 1
