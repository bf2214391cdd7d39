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
from synthetic import lattice_dataset, look_vector

from mimtpy_cloud.errors import DisconnectedTracksError, GridMismatchError, SchemaError
from mimtpy_cloud.ops.adjustment import apply_adjustment, estimate_adjustment
from mimtpy_cloud.ops.enu import invert_enu
from mimtpy_cloud.ops.mosaic import mosaic
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
    fixed = estimate_adjustment(tracks(), anchor=np.int64(1)).compute()
    assert fixed.attrs["anchor"] == "A002"
    np.testing.assert_allclose(free.offset - free.offset[1], fixed.offset, atol=1e-12)


def test_a_whole_number_counts_tracks_as_given_not_as_sorted():
    a, b, c = tracks()
    for found, anchor in (([c, a, b], 0), ([c, a, b], -3), ([b, c, a], 1)):
        adjustment = estimate_adjustment(found, anchor=anchor)
        assert adjustment.attrs["anchor"] == "A003"
        np.testing.assert_allclose(adjustment.offset, [-1.25, -1.75, 0], atol=1e-6)


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
    b["height"] = b["height"] + 10
    assert mosaic([a, b], adjustment).height.values.tolist() == [[1000, 1000, 1005, 1010, 1010]]


def test_standard_deviation_is_that_of_the_mean_of_what_contributes():
    values, unknown = [1.0, 1, 1, 1, 1], float("nan")
    a, b = row_track(values, 0, track="A001"), row_track(values, 0, track="A002")
    a["velocity_std"][0] = [3, 3, 3, 3, unknown]
    b["velocity_std"][0] = [4, 4, 4, unknown, 4]
    b["velocity"][0, 1] = np.nan  # has a standard deviation, but takes no part
    b["valid"][0, 2] = False
    joined = mosaic([a, b], min_overlap=1)
    assert joined.n_tracks.values.tolist() == [[2, 1, 1, 2, 2]]
    np.testing.assert_array_equal(joined.velocity_std[0], [2.5, 3, 3, unknown, unknown])


def test_a_track_without_a_mask_is_valid_where_it_has_data():
    a, b = row_track([1.0, 1, np.nan, 1], 0, track="A001"), row_track([1.0, 1, np.nan], 2, track="A002")
    a["valid"][:] = False
    joined = mosaic([a.drop_vars("valid"), b], min_overlap=1)
    assert joined.valid.values.tolist() == [[True, True, True, True, False]]
    assert joined.valid.attrs == b.valid.attrs
    xr.testing.assert_equal(mosaic([a.drop_vars("valid"), b.drop_vars("valid")], min_overlap=1).valid, joined.valid)


def test_masks_of_whole_numbers_are_masks():
    found = tracks()
    found[1]["valid"][:, 2] = False
    for t in found:
        t["is_water"] = t.valid.dims, np.indices(t.valid.shape).sum(axis=0) % 3 == 0
    whole = [t.assign(valid=t.valid.astype("u1"), is_water=t.is_water.astype("f4")) for t in found]
    xr.testing.assert_identical(mosaic(whole).compute(scheduler="sync"), mosaic(found).compute(scheduler="sync"))


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
    assert "los_up" not in mosaic([a, b.drop_vars("los_up")])


EAST, UP = 0.03, -0.01


def looking_tracks(direction):
    """Two tracks of one direction whose looks differ by 6.5 degrees; the second has gaps inside the first."""
    found = []
    for k, (incidence, col) in enumerate(((41.5, 0), (35.0, 6))):
        azimuth = 102.0 if direction == "ascending" else -102.0
        e, _, u = look_vector(incidence, azimuth)
        kwargs = {"incidence_angle": incidence, "los_azimuth_angle": azimuth, "orbit_direction": direction}
        ds = lattice_dataset(
            Window(100, 0, col, 8, 12), velocity=e * EAST + u * UP, track=f"{direction[0]}{k}", **kwargs
        )
        found.append(ds)
    found[1]["velocity"][2:4, 0:3] = np.nan  # its look is there
    found[1]["valid"][5, 3:6] = False
    found[0]["velocity"][7, :] = np.nan
    return found


def test_motion_from_mosaics_is_exact_where_one_track_contributes_and_close_where_two_do():
    joined = []
    for direction in ("ascending", "descending"):
        found = looking_tracks(direction)
        zero = estimate_adjustment(found).assign(offset=("track", np.zeros(2)))  # one datum: looks differ, not offsets
        joined.append(mosaic(found, zero).assign_attrs(track=direction))
    motion = invert_enu(joined).compute()
    number = joined[0].n_tracks.values
    assert (number == 1).sum() > 50
    assert (number == 2).sum() > 20
    for name, truth in (("east", EAST), ("up", UP)):
        values = motion[name].values
        np.testing.assert_allclose(values[number == 1], truth, atol=5e-9)
        np.testing.assert_allclose(values[number == 2], truth, rtol=3e-3)
        np.testing.assert_allclose(values[number == 2], truth * np.cos(np.deg2rad(6.5 / 2)), rtol=1e-5)  # as documented


def test_where_no_track_contributes_the_look_is_the_mean_of_all():
    a, b = looking_tracks("ascending")
    a["valid"][0, 7] = b["valid"][0, 1] = False
    e = mosaic([a, b]).los_east.values[0]
    both = np.stack([[float(t[name][0, 0]) for name in ("los_east", "los_north", "los_up")] for t in (a, b)])
    assert e[7] == pytest.approx(both.sum(axis=0)[0] / np.linalg.norm(both.sum(axis=0)), rel=1e-6)
    assert (e[:6] == both[0, 0]).all()


def test_displacement_of_two_dates_is_joined_like_velocity():
    found = [t.rename(velocity="displacement").drop_vars("velocity_std") for t in tracks()]
    for t in found:
        t.displacement.attrs["units"] = "m"
    joined = mosaic(found, anchor=0).compute()
    np.testing.assert_allclose(joined.offset, [0, -0.5, 1.25], atol=1e-6)
    assert joined.offset.attrs["units"] == "m"
    assert "displacement_std" not in joined


def test_attributes_may_be_arrays():
    a, b, _ = tracks()
    for k, t in enumerate((a, b)):
        t.attrs |= {"same": np.arange(3), "other": np.arange(3 + k), "mintpy": {"x": np.array([1.0, 2.0])}}
    attrs = mosaic([a, b]).attrs
    assert attrs["same"].tolist() == [0, 1, 2]
    assert attrs["mintpy"]["x"].tolist() == [1, 2]
    assert "other" not in attrs


def test_dates_and_headings_of_different_tracks_are_told():
    found = tracks()
    for t, start, end, heading in zip(
        found,
        ("2020-03-01", "2019-01-01", "2020-01-01"),
        ("2021-01-31", "2020-12-01", "2023-05-05"),
        (170, -170, -172.5),
        strict=True,
    ):
        t.attrs |= {"start_date": start, "end_date": end, "heading": heading}
    attrs = mosaic(found).attrs
    assert (attrs["start_date"], attrs["end_date"]) == ("2019-01-01", "2023-05-05")
    assert attrs["periods"]["A002"] == ["2019-01-01", "2020-12-01"]
    assert attrs["heading"] == pytest.approx(-177.5, abs=0.1)  # across the cut
    same = mosaic(tracks()).attrs
    assert (same["start_date"], same["end_date"], same["heading"]) == ("2020-01-01", "2021-01-31", -12.0)


def test_displacements_of_different_periods_are_refused_by_name():
    found = [t.rename(velocity="displacement") for t in tracks()]
    found[1].attrs["start_date"] = "2020-01-26"  # 25 days later
    shown = "A001 2020-01-01 to 2021-01-31; A002 2020-01-26 to 2021-01-31; A003"
    for operation in (mosaic, estimate_adjustment):
        with no_compute(), pytest.raises(SchemaError, match=shown):
            operation(found)
        assert "offset" in operation(found, max_gap_days=25)
    found[1].attrs["start_date"] = "2020-01-25"
    assert mosaic(found).attrs["start_date"] == "2020-01-01"


def test_the_reference_point_of_a_mosaic_is_that_of_its_anchor():
    found = tracks()
    points = [t.attrs["reference_point"] for t in found]
    adjustment = estimate_adjustment(found, anchor="A002")
    for joined in (mosaic(found, anchor=1), mosaic(found, adjustment)):
        assert joined.attrs["reference_point"] == points[1]
    for t in found:
        t.attrs["reference_point"] = points[0]
    assert "reference_point" not in mosaic(found).attrs
    del found[1].attrs["reference_point"]
    assert "reference_point" not in mosaic(found, anchor="A002").attrs


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
    assert shifted.attrs["adjusted"] == "A002"
    assert "reference_point" not in shifted.attrs
    assert "reference_point" in found[1].attrs
    kept = apply_adjustment(found[0], adjustment)
    assert kept.attrs == found[0].attrs | {"adjusted": "A001"}
    rest = found[1].drop_vars("velocity")
    rest.attrs = shifted.attrs
    xr.testing.assert_identical(shifted.drop_vars("velocity"), rest)


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
    for operation in (estimate_adjustment, mosaic):
        with pytest.raises(DisconnectedTracksError, match="3 separate groups"):
            operation(tracks(), min_overlap=1000).compute()


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
        estimate_adjustment([series, series])
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
    for anchor in (True, 2, -3, 0.0):
        with pytest.raises(SchemaError, match="anchor must be one of A001, A002"):
            mosaic([a, b], anchor=anchor)
    with pytest.raises(SchemaError, match="has its anchor already, A001; got anchor 'A002'"):
        mosaic([a, b], estimate_adjustment([a, b], anchor="A001"), anchor="A002")
    with pytest.raises(SchemaError, match="order must be one of 0, 1, 2"):
        estimate_adjustment([a, b], order=3)
    with pytest.raises(SchemaError, match="blend must be one of mean"):
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
    adjustment = estimate_adjustment([c, b, a])
    labels = adjustment.track.values.tolist()
    assert labels == ["A137:0111_0113", "A137:0113_0115#1", "A137:0113_0115#2"]
    assert apply_adjustment(a, adjustment).attrs["adjusted"] == labels[0]
    with pytest.raises(
        SchemaError, match="more than one track of the name and product A137:0113_0115, and cannot tell"
    ):
        apply_adjustment(b, adjustment)
    assert mosaic([a, c, b], adjustment).n_tracks.max() == 2


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


# --- blends ---------------------------------------------------------------------------------------------------


def level(found):
    """An adjustment that moves nothing."""
    zero = estimate_adjustment(found, anchor=0, min_overlap=1).compute()
    return zero.assign(offset=zero.offset * 0)


def test_weights_are_inverse_variances_or_coherence():
    a, b = row_track([1.0, 1, 1], 0, track="A001"), row_track([5.0, 5, np.nan], 0, track="A002")
    a["velocity_std"][0], b["velocity_std"][0] = [1, 1, 1], [2, 1, 1]
    joined = mosaic([a, b], level([a, b]), "weighted").compute()
    np.testing.assert_allclose(joined.velocity[0], [(4 * 1 + 5) / 5, 3, 1])
    np.testing.assert_allclose(joined.velocity_std[0], [np.sqrt(4 / 5), np.sqrt(0.5), 1], rtol=1e-6)
    assert joined.attrs["blend"] == "weighted"
    a, b = (ds.drop_vars("velocity_std") for ds in (a, b))
    a["temporal_coherence"][0], b["temporal_coherence"][0] = [0.9, 0.0, 0.5], [0.3, 0.0, 0.5]
    joined = mosaic([a, b], level([a, b]), "weighted").compute()
    np.testing.assert_allclose(joined.velocity[0], [2, 3, 1])  # no weight at all: the plain mean
    with pytest.raises(SchemaError, match="needs velocity_std, or temporal_coherence, in every track"):
        mosaic([a.drop_vars("temporal_coherence"), b], blend="weighted", min_overlap=1)


def test_the_anchor_is_kept_where_it_has_data(oracles):
    case = oracles["O12"]
    a, b = row_track(case["dominant"], 0, track="A001"), row_track(case["affiliate"], 2, track="A002")
    a["velocity_std"][0], b["velocity_std"][0] = [1] * 5, [2] * 5
    joined = mosaic([b, a], estimate_adjustment([a, b], anchor="A001", min_overlap=1), "anchor").compute()
    np.testing.assert_array_equal(joined.velocity[0], case["mosaic_dominant_rule"])
    np.testing.assert_array_equal(joined.velocity_std[0], [1, 1, 1, 1, 1, 2, 2])
    with pytest.raises(SchemaError, match="needs an anchor among A001, A002; the datum is zero mean"):
        mosaic([a, b], blend="anchor", min_overlap=1)


def test_a_feathered_seam_has_no_step():
    size, width = 40, 10
    a = lattice_dataset(Window(100, 0, 0, size, 60), velocity=0.0, track="A001")
    b = lattice_dataset(Window(100, 0, 30, size, 60), velocity=1.0, track="A002")
    zero = level([a, b])
    hard, soft = (
        mosaic([a, b], zero, blend, feather_pixels=width).velocity.values[size // 2] for blend in ("mean", "feather")
    )
    assert np.abs(np.diff(hard)).max() == 0.5
    assert np.abs(np.diff(soft)).max() < 0.1
    assert (np.diff(soft) >= 0).all()
    assert soft[44] == pytest.approx(0.5, abs=0.05)


@settings(max_examples=6)
@given(blend=st.sampled_from(["weighted", "feather", "anchor"]), order=st.permutations(range(3)), data=st.data())
def test_blends_are_bit_equal_for_any_order_and_chunks(blend, order, data):
    found = tracks()
    found[1]["valid"][3:6, 2:5] = False
    chunked = [ds.chunk(data.draw(chunkings(y=10, x=8))) for ds in found]
    zero = level(found).assign_attrs(anchor="A002")
    with no_compute():
        lazy = mosaic([chunked[k] for k in order], zero, blend, feather_pixels=4)
    plain = mosaic(found, zero, blend, feather_pixels=4)
    xr.testing.assert_identical(lazy.compute(scheduler="sync"), plain.compute(scheduler="sync"))


def test_a_function_gets_the_tracks_in_their_order():
    found = tracks()
    joined = mosaic(found[::-1], level(found), lambda stack: np.nanmax(np.nan_to_num(stack, nan=-9), axis=0)).compute()
    stack = np.full((3, 12, 20), -9.0)
    for k, (row, col, _) in enumerate(TRACKS.values()):
        stack[k, row : row + 10, col : col + 8] = np.nan_to_num(found[k].velocity.values, nan=-9)
    wanted = np.where(joined.valid, stack.max(axis=0), np.nan)  # whatever the function gives where no track has data
    assert not joined.valid.all()
    np.testing.assert_array_equal(joined.velocity, wanted.astype("f4"))
    assert "velocity_std" not in joined
    with pytest.raises(SchemaError, match="must return shape"):
        mosaic(found, level(found), lambda stack: stack.mean()).velocity.compute()


def test_unknown_blends_are_refused():
    found = tracks()
    with pytest.raises(SchemaError, match="blend must be one of mean, weighted, feather, anchor, or a function"):
        mosaic(found, blend="median")
    with pytest.raises(SchemaError, match="feather_pixels must be at least 1, got 0"):
        mosaic(found, blend="feather", feather_pixels=0)


def test_stitching_as_mintpy_does_gives_its_mosaic(shared, he5):
    """Mean of the difference taken off the second track, which then lies on top."""
    import h5py

    from mimtpy_cloud.io.hdfeos5 import open_hdfeos5
    from mimtpy_cloud.ops.rate import estimate_velocity
    from mimtpy_cloud.ops.select import mask_invalid

    def masked(track):
        (path,) = (he5 / "small" / f"SynthSen{track}" / "mintpy").glob("*.he5")
        return mask_invalid(estimate_velocity(open_hdfeos5(path), time_convention="mintpy"))

    def second_on_top(stack):
        return np.where(np.isnan(stack[1]), stack[0], stack[1])

    pair = [masked("AT064"), masked("AT137")]
    adjustment = estimate_adjustment(pair, anchor="A064", robust=False).compute()
    assert adjustment.offset[1] == pytest.approx(0.01107, abs=5e-6)  # spec/mintpy_numerics.md 4.10: -11.07 mm/yr
    joined = mosaic(pair, adjustment, second_on_top).velocity.compute()
    with h5py.File(shared / "data" / "mintpy_oracles" / "stitch" / "A064_A137_offset.h5") as file:
        stitched, attrs = file["velocity"][:], dict(file.attrs)
    assert joined.shape == stitched.shape
    assert float(joined.x[0]) - 0.004 == pytest.approx(float(attrs["X_FIRST"]))
    known = np.isfinite(joined.values) & np.isfinite(stitched) & (stitched != 0)
    assert known.sum() > 0.9 * np.isfinite(joined.values).sum()
    assert np.abs(joined.values - stitched)[known].max() < 1e-6


def test_tracks_that_are_no_list_of_datasets_are_named():
    found = tracks()
    with pytest.raises(SchemaError, match="expected a list of datasets, such as open_track gives, got one dataset"):
        mosaic(found[0])
    with pytest.raises(SchemaError, match="got str, str"):
        estimate_adjustment(["A064", "A137"])


def test_tracks_with_and_without_the_motion_of_a_plate_are_not_joined():
    found = tracks()
    found[1].attrs["plate_motion"] = {"plate": "Eurasia"}
    with pytest.raises(SchemaError, match=r"all tracks or none .*A002 without that of Eurasia"):
        mosaic(found)
    for ds in found:
        ds.attrs["plate_motion"] = {"plate": "Eurasia"}
    assert mosaic(found).attrs["plate_motion"] == {"plate": "Eurasia"}
