"""Offsets and ramps of many tracks at once: truth, ties, looks, reports, laziness and errors."""

import numpy as np
import pytest
import xarray as xr
from hypothesis import given, settings
from hypothesis import strategies as st
from lazy import no_compute
from strategies import chunkings
from synthetic import lattice_dataset, look_vector

from mimtpy_cloud.errors import DisconnectedTracksError, GridMismatchError, SchemaError
from mimtpy_cloud.kernels.ramp import evaluate_ramp
from mimtpy_cloud.ops.adjustment import apply_adjustment, estimate_adjustment
from mimtpy_cloud.ops.mosaic import mosaic
from mimtpy_cloud.plan.grid import Window
from mimtpy_cloud.plan.plane import plane_km

N = 100
WINDOWS = {
    "A001": Window(N, 5000, 30000, 60, 50),
    "A002": Window(N, 5010, 30030, 60, 50),
    "A003": Window(N, 5005, 30060, 60, 50),
    "A004": Window(N, 5040, 30045, 60, 50),
}
KINDS = ("constant", "linear", "quadratic")


def field(window):
    """A signal that all tracks see."""
    x, y = plane_km(window.x, window.y, (120.0, 40.0))
    return 0.01 * np.sin(x / 9)[np.newaxis] * np.cos(y / 11)[:, np.newaxis]


def tracks(order=0, seed=0, noise=0.0, chunks=None, **attrs):
    """Four tracks of one signal, each with a ramp of its own; and the ramps, about the origin of the adjustment."""
    rng = np.random.default_rng(seed)
    terms = (1, 3, 6)[order]
    size = np.array([5e-3, 1e-4, 1e-4, 1e-6, 1e-6, 1e-6])[:terms]
    ramps = rng.normal(size=(len(WINDOWS), terms)) * size
    bounds = (120.55, 39.5)  # centre of the union
    found = []
    for name, window, ramp in zip(WINDOWS, WINDOWS.values(), ramps, strict=True):
        x, y = plane_km(window.x, window.y, bounds)
        velocity = field(window) + evaluate_ramp(ramp, x, y, KINDS[order]) + noise * rng.normal(size=window.shape)
        ds = lattice_dataset(window, velocity=velocity, track=name, **attrs)
        ds["velocity"] = ds["velocity"].astype("f8")
        found.append(ds if chunks is None else ds.chunk(chunks))
    return found, ramps


def stations(places, east=0.0, north=0.0, up=0.0, std=1e-4):
    """Stations of one velocity at places (lon, lat)."""
    lon, lat = np.array(places, float).T
    data = {
        n: ("station", np.broadcast_to(np.asarray(v, float), lon.shape))
        for n, v in zip(("east", "north", "up"), (east, north, up), strict=True)
    }
    data |= {f"{n}_std": ("station", np.full(lon.shape, std)) for n in ("east", "north", "up")}
    names = np.array([f"S{k:03d}" for k in range(lon.size)], dtype=object)
    return xr.Dataset(data, {"station": names, "lon": ("station", lon), "lat": ("station", lat)})


@pytest.mark.parametrize("order", [0, 1, 2])
@pytest.mark.parametrize("robust", [True, False])
def test_known_ramps_are_recovered(order, robust):
    found, ramps = tracks(order)
    adjustment = estimate_adjustment(found, order=order, anchor="A001", robust=robust).compute()
    wanted = ramps[0] - ramps
    size = np.array([1, 50, 50, 2500, 2500, 2500])[: ramps.shape[1]]  # effect at the far end of the tracks, m/yr
    np.testing.assert_allclose(adjustment.coefficient * size, wanted * size, atol=1e-9)
    np.testing.assert_array_equal(adjustment.offset, adjustment.coefficient.sel(term="1"))
    assert adjustment.attrs["origin"] == pytest.approx([120.55, 39.5])
    np.testing.assert_allclose(adjustment.pair_rms_after, 0, atol=1e-8)
    assert (adjustment.pair_rms > 1e-4).all()
    joined = mosaic(found, adjustment).velocity.compute()
    alone, (first, *_) = found[0].velocity, found
    np.testing.assert_allclose(joined.sel(y=first.y, x=first.x), alone, atol=2e-8)
    window = Window(N, 5000, 30000, 100, 110)
    shown = joined.values - field(window)
    x, y = plane_km(window.x, window.y, (120.55, 39.5))
    trend = evaluate_ramp(ramps[0], x, y, KINDS[order])
    assert np.nanmax(np.abs(shown - trend)) < 1e-7


def test_quadratic_ramps_of_a_long_chain_are_recovered():
    rng = np.random.default_rng(5)
    windows = [Window(20, 1000, 5600 + 50 * k, 40, 60) for k in range(14)]  # 2800 km from end to end
    ramps = rng.normal(size=(14, 6)) * [1e-2, 1e-5, 1e-5, 1e-7, 1e-7, 1e-7]
    found = []
    for k, window in enumerate(windows):
        x, y = plane_km(window.x, window.y, (float(window.x[29]), 39.0))
        own = evaluate_ramp(ramps[k], x, y, "quadratic")
        found.append(lattice_dataset(window, velocity=own, track=f"A{k + 1:03d}"))
    adjustment = estimate_adjustment(found, order=2, anchor="A001", correlation_km=0.0).compute()
    assert (adjustment.pair_rms > 1e-4).all()
    assert (adjustment.pair_rms_after < 5e-9).all()  # velocities are float32


@settings(max_examples=6)
@given(order=st.permutations(range(4)), rank=st.integers(0, 2), data=st.data())
def test_result_is_bit_equal_for_any_order_of_tracks_and_chunks(order, rank, data):
    found, _ = tracks(rank, noise=1e-3)
    chunked = [ds.chunk(data.draw(chunkings(y=60, x=50))) for ds in found]
    with no_compute():
        lazy = mosaic([chunked[k] for k in order], estimate_adjustment([chunked[k] for k in order], order=rank))
    plain = mosaic(found, estimate_adjustment(found, order=rank))
    xr.testing.assert_identical(lazy.compute(scheduler="sync"), plain.compute(scheduler="sync"))


@settings(max_examples=8)
@given(which=st.integers(0, 3), ramp=st.lists(st.floats(-1e-3, 1e-3), min_size=3, max_size=3))
def test_a_ramp_added_to_any_track_changes_nothing_but_the_datum(which, ramp):
    found, _ = tracks(1, noise=1e-3)
    anchor = (which + 1) % 4
    plain = mosaic(found, estimate_adjustment(found, order=1, anchor=anchor)).velocity.compute(scheduler="sync")
    moved = list(found)
    window = list(WINDOWS.values())[which]
    x, y = plane_km(window.x, window.y, (120.2, 39.7))
    moved[which] = found[which].assign(velocity=found[which].velocity + evaluate_ramp(np.array(ramp), x, y, "linear"))
    adjustment = estimate_adjustment(moved, order=1, anchor=anchor)
    again = mosaic(moved, adjustment).velocity.compute(scheduler="sync")
    np.testing.assert_allclose(again, plain, atol=2e-7)


def test_outliers_do_not_move_a_robust_adjustment():
    found, ramps = tracks(1, noise=1e-4)
    found[1]["velocity"][40:60, 5:15] += 0.5
    robust, plain = (estimate_adjustment(found[:2], order=1, anchor=0, robust=r).compute() for r in (True, False))
    wanted = (ramps[0] - ramps)[:2]
    assert np.abs(robust.offset - wanted[:, 0]).max() < 1e-3
    assert np.abs(plain.offset - wanted[:, 0]).max() > 1e-2


def test_centres_of_an_offset():
    a = lattice_dataset(Window(N, 0, 0, 1, 8), velocity=[[1.0, 1, 1, 1, 1, 1, 9, 30]], track="A001")
    b = lattice_dataset(Window(N, 0, 0, 1, 8), velocity=[[0.0, 0, 0, 0, 0.5, 0.7, 0, 0]], track="A002")
    for robust, wanted in ((True, 1.0), (False, 5.475), ("mode", 1.0)):
        found = estimate_adjustment([a, b], anchor=0, min_overlap=1, robust=robust).compute()
        assert found.offset.sel(track="A002").item() == pytest.approx(wanted)


@pytest.mark.parametrize("order", [0, 1])
def test_coverage_of_the_true_offsets(order):
    """White noise, least squares: the uncertainties hold what they promise."""
    scores, chi2 = [], []
    for seed in range(40):
        found, ramps = tracks(order, seed=seed, noise=2e-3)
        made = estimate_adjustment(found, order=order, anchor=0, robust=False, correlation_km=0).compute(
            scheduler="sync"
        )
        k = ramps.shape[1]
        sigma = np.sqrt(np.diag(made.covariance.values.reshape(4 * k, 4 * k)).reshape(4, k)[1:])
        scores.append((made.coefficient.values - (ramps[0] - ramps))[1:] / sigma)
        chi2.append(made.chi2.item() / made.dof.item())
    inside = np.abs(np.array(scores))
    # a pixel of A002 is in two differences, whose noise is then not independent: sigmas are about 10 % off
    assert 0.58 < (inside < 1).mean() < 0.78
    assert 0.88 < (inside < 1.96).mean() < 0.99
    assert 0.6 < np.mean(chi2) < 1.5


def test_correlated_noise_makes_the_offsets_less_certain():
    from test_correlation import exponential_noise

    rng = np.random.default_rng(5)
    a, b = (lattice_dataset(Window(N, 4000, 30000, 90, 80), velocity=0.0, track=t) for t in ("A001", "A002"))
    b["velocity"] = b["velocity"] + 1e-3 * exponential_noise(rng, (90, 80), 6).astype("f4")
    blind = estimate_adjustment([a, b], anchor=0, correlation_km=0).compute()
    aware = estimate_adjustment([a, b], anchor=0).compute()
    sigma = [float(np.sqrt(d.covariance[1, 0, 1, 0])) for d in (blind, aware)]
    assert aware.pair_effective.item() < 0.02 * blind.pair_effective.item()
    assert 5 < sigma[1] / sigma[0] < 30
    assert aware.pair_length_km.item() == pytest.approx(6 * 1.0, rel=0.5)  # 6 pixels of about 1 km


@pytest.mark.parametrize("order", [0, 1])
def test_a_mosaic_across_the_antimeridian_is_that_of_shifted_tracks(order):
    here, _ = tracks(order, noise=1e-3)
    there = []
    for ds in here:  # 120.55 becomes 180: the first tracks lie in the east, the last ones in the west
        x = ds.x.values + 59.45
        there.append(ds.assign_coords(x=np.where(x[0] >= 180, x - 360, x)))
    assert sum(float(ds.x[0]) < 0 for ds in there) == 1
    plain = mosaic(here, estimate_adjustment(here, order=order)).compute()
    joined = mosaic(there, estimate_adjustment(there, order=order)).compute()
    np.testing.assert_allclose(joined.x, plain.x + 59.45)
    np.testing.assert_allclose(joined.velocity, plain.velocity, atol=2e-9)
    np.testing.assert_allclose(joined.offset, plain.offset, atol=2e-9)


# --- ties -----------------------------------------------------------------------------------------------------


def test_stations_fix_the_datum_and_join_separate_tracks():
    found, _ = tracks(0)
    apart = [found[0], found[2]]  # do not overlap
    look = [float(found[0][f"los_{c}"][0, 0]) for c in ("east", "north", "up")]
    ties = stations(
        [(120.103, 39.803), (120.303, 39.703), (120.803, 39.603), (0.0, 0.0)], east=0.02, north=-0.01, up=0.003
    )
    made = estimate_adjustment(apart, ties=ties, weights="variance").compute()
    wanted = 0.02 * look[0] - 0.01 * look[1] + 0.003 * look[2]
    for k, ds in enumerate(apart):
        inside = [s for s in range(3) if ds.x[0] < ties.lon[s] < ds.x[-1]]
        observed = [float(ds.velocity.sel(x=ties.lon[s], y=ties.lat[s], method="nearest")) for s in inside]
        assert made.offset[k].item() == pytest.approx(np.mean(wanted - np.array(observed)), abs=1e-9)
    assert made.attrs["anchor"] == "ties"
    assert made.tie_residual.shape == (2, 4)
    assert np.isfinite(made.tie_residual).sum() == 3
    with no_compute():
        estimate_adjustment([ds.chunk(y=7) for ds in apart], ties=ties)


def test_three_stations_fix_a_plane():
    found, ramps = tracks(1)
    places = [(120.105, 39.945), (120.305, 39.605), (120.405, 39.905), (120.605, 39.205), (120.905, 39.105)]
    flat = [ds.assign(velocity=ds.velocity - field(w)) for ds, w in zip(found, WINDOWS.values(), strict=True)]
    made = estimate_adjustment(flat, order=1, ties=stations(places)).compute()
    np.testing.assert_allclose(made.coefficient, -ramps, atol=1e-7)
    with pytest.raises(DisconnectedTracksError, match="do not determine the ramps"):
        estimate_adjustment(flat, order=1, ties=stations(places[:2])).compute()


def test_a_place_at_rest_and_a_station_without_up_are_ties_too():
    found, _ = tracks(0)
    rest = stations([(120.103, 39.803)], std=0.0)
    observed = float(found[0].velocity.sel(x=rest.lon[0], y=rest.lat[0], method="nearest"))
    made = estimate_adjustment(found, ties=rest).compute()
    assert made.offset[0].item() == pytest.approx(-observed, abs=1e-8)
    flat = rest.assign(up=rest.up * np.nan)
    with pytest.raises(DisconnectedTracksError, match="none of 1 stations"):
        estimate_adjustment(found, ties=flat).compute()
    np.testing.assert_allclose(estimate_adjustment(found, ties=flat, up="zero").offset, made.offset, atol=1e-9)


def test_an_adjustment_knows_the_products_of_its_tracks():
    found, _ = tracks(0)
    made = estimate_adjustment(found, anchor=0).compute()
    with pytest.raises(SchemaError, match="knows A001 of product 0113_0119, got product 0999; estimate it with this"):
        apply_adjustment(found[0].assign_attrs(product="0999"), made)


def test_ties_that_cannot_be_used_are_refused():
    found, _ = tracks(0)
    ties = stations([(120.1, 39.8)])
    with pytest.raises(SchemaError, match="name stations S000 more than once; keep one row of each"):
        estimate_adjustment(found, ties=xr.concat([ties, ties], "station"))
    with pytest.raises(SchemaError, match="either that of the anchor, 'A001', or that of the ties"):
        estimate_adjustment(found, anchor="A001", ties=ties)
    with pytest.raises(SchemaError, match="the weights of pairs must be 'variance', as those of ties are, got 'count'"):
        estimate_adjustment(found, ties=ties, weights="count")
    with pytest.raises(SchemaError, match="need standard deviations"):
        estimate_adjustment(found, ties=ties.assign(east_std=ties.east_std * np.nan))
    with pytest.raises(SchemaError, match="north_std"):
        estimate_adjustment(found, ties=ties.drop_vars("north_std"))
    moved = [ds.rename(velocity="displacement") for ds in found]
    with pytest.raises(SchemaError, match="ties are velocities in m/yr; the tracks hold displacement"):
        estimate_adjustment(moved, ties=ties)
    blind = [ds.assign(los_up=ds.los_up * np.nan) for ds in found]
    with pytest.raises(DisconnectedTracksError, match="none of 1 stations has a standard deviation and a valid pixel"):
        estimate_adjustment(blind, ties=ties).compute()
    far = stations([(0.0, 0.0)])
    with pytest.raises(DisconnectedTracksError, match="none of 1 stations has"):
        estimate_adjustment([found[0], found[2]], ties=far).compute()


# --- looks ----------------------------------------------------------------------------------------------------


def two_looks(east=0.0, up=0.0):
    """Two tracks with incidences 33 and 43 degrees that see one motion, and no offset."""
    found = []
    for name, incidence, col in (("A001", 43.0, 30000), ("A002", 33.0, 30020)):
        window = Window(N, 5000, col, 40, 40)
        look = look_vector(incidence, 102.0)
        rate = (east * look[0] + up * look[2]) * (1 + field(window) * 50)
        found.append(lattice_dataset(window, velocity=rate, incidence_angle=incidence, track=name))
    return found


def test_a_vertical_signal_is_no_offset_if_looks_are_compared_as_vertical():
    found = two_looks(up=0.02)
    plain = estimate_adjustment(found, anchor=0).compute()
    vertical = estimate_adjustment(found, anchor=0, look="vertical").compute()
    assert abs(plain.offset[1]) > 1e-3
    assert abs(vertical.offset[1]) < 1e-8
    assert vertical.pair_median_plain.item() == pytest.approx(plain.pair_median.item())
    assert "pair_median_plain" not in plain


def test_an_offset_is_whole_where_looks_are_compared_as_vertical():
    """The looks are 10 degrees apart: vertical motions scale an offset of the data by 7 percent."""
    found = two_looks(up=0.02)
    found[1]["velocity"] = found[1]["velocity"] + np.float32(0.05)
    made = estimate_adjustment(found, anchor=0, look="vertical").compute()
    np.testing.assert_allclose(made.offset, [0.0, -0.05], atol=1e-7)
    # The datum of the second track is a vertical motion, too, of which the first sees less.
    other = estimate_adjustment(found, anchor=1, look="vertical").compute()
    seen = np.cos(np.deg2rad(43.0)) / np.cos(np.deg2rad(33.0))
    np.testing.assert_allclose(other.offset, [0.05 * seen, 0.0], atol=1e-7)
    free = estimate_adjustment(found, look="vertical").compute()
    assert abs(float(free.offset.sum())) < 1e-12
    for result in (made, other, free):
        assert float(result.pair_rms_after[0]) < 1e-6


def test_loops_of_tracks_with_different_looks_close_where_they_are_compared_as_vertical():
    rng = np.random.default_rng(1)
    found, offsets = [], [0.0, 0.03, -0.02, 0.05]
    for k, incidence in enumerate((43.0, 33.0, 38.0, 46.0)):
        window = Window(N, 5000, 30000 + 4 * k, 40, 40)
        look = look_vector(incidence, 102.0)
        rate = look[2] * 0.02 * (1 + field(window) * 50) + offsets[k] + 1e-6 * rng.standard_normal(window.shape)
        found.append(lattice_dataset(window, velocity=rate, incidence_angle=incidence, track=f"A{k:03d}"))
    made = estimate_adjustment(found, anchor=0, look="vertical").compute()
    np.testing.assert_allclose(made.offset, [-o for o in offsets], atol=1e-6)
    assert float(made.chi2) / int(made.dof) < 10


def test_a_known_field_predicts_the_difference_of_looks():
    found = two_looks(east=0.03, up=-0.01)
    window = Window(N, 4990, 29990, 70, 90)
    scale = 1 + field(window) * 50
    known = lattice_dataset(window, velocity=0.0)[["height"]].assign(
        east=(("y", "x"), 0.03 * scale), up=(("y", "x"), -0.01 * scale)
    )
    made = estimate_adjustment(found, anchor=0, look=known).compute()
    assert abs(made.offset[1]) < 1e-7
    assert made.pair_sigma.item() < 1e-7
    smaller = estimate_adjustment(found, anchor=0, look=known.isel(x=slice(0, 45)).chunk(x=11)).compute()
    assert 0 < smaller.pair_count.item() < made.pair_count.item()
    assert abs(smaller.offset[1]) < 1e-7


def test_a_field_lies_across_the_antimeridian_or_counts_longitudes_otherwise():
    found = two_looks(east=0.03, up=-0.01)
    window = Window(N, 4990, 29990, 70, 90)
    scale = 1 + field(window) * 50
    known = lattice_dataset(window, velocity=0.0)[["height"]].assign(
        east=(("y", "x"), 0.03 * scale), up=(("y", "x"), -0.01 * scale)
    )
    turned = known.assign_coords(x=known.x - 360)
    assert abs(estimate_adjustment(found, anchor=0, look=turned).compute().offset[1]) < 1e-7


def test_looks_that_cannot_be_used_are_refused():
    found = two_looks()
    with pytest.raises(SchemaError, match="look must be None, 'vertical' or a dataset"):
        estimate_adjustment(found, look="sideways")
    other = lattice_dataset(Window(200, 10000, 60000, 99, 99), velocity=0.0)[["height"]].rename(height="east")
    with pytest.raises(GridMismatchError, match="the lattice of the tracks, 100 pixels a degree, it has 200"):
        estimate_adjustment(found, look=other.assign_attrs(pixels_per_degree=200))
    wrong = found[0][["velocity"]].rename(velocity="east")
    wrong["east"].attrs["units"] = "mm/yr"
    with pytest.raises(SchemaError, match="look field must be in m/yr"):
        estimate_adjustment(found, look=wrong)
    with pytest.raises(SchemaError, match="a look field needs east, north or up"):
        estimate_adjustment(found, look=found[0])
    with pytest.raises(SchemaError, match="los_up"):
        estimate_adjustment([ds.drop_vars("los_up") for ds in found], look="vertical")


# --- report and errors ------------------------------------------------------------------------------------------


def test_the_report_names_pairs_loops_and_what_the_network_leaves():
    found, _ = tracks(0)
    found[3]["velocity"] = found[3]["velocity"] + np.where(found[3].x < 120.75, 0.004, 0.0)  # torn in two
    made = estimate_adjustment(found, anchor=0).compute()
    assert made.pair.values.tolist() == ["A001-A002", "A001-A004", "A002-A003", "A002-A004", "A003-A004"]
    assert made.loop.size == made.pair.size - 3 == 2
    assert made.dof.item() == 2
    (name,) = [n for n in made.loop.values if "A003" in n]
    assert name == "A003-A004-A001-A002-A003"
    assert abs(made.misclosure.sel(loop=name).item()) == pytest.approx(0.004, abs=1e-3)
    assert np.abs(made.pair_normalised).max() > 1
    assert made.pair_median.attrs["units"] == made.offset.attrs["units"] == "m/yr"


def test_overlaps_that_are_too_small_are_listed_and_not_used():
    found, _ = tracks(0)
    sizes = estimate_adjustment(found).compute().pair_count
    least = int(sizes.min()) + 1
    made = estimate_adjustment(found, min_overlap=least, anchor=0).compute()
    (dropped,) = np.flatnonzero(made.pair_count < least)
    assert np.isnan(made.pair_residual[dropped])
    assert np.isfinite(made.pair_rms_after[dropped])
    assert np.isfinite(made.offset).all()


@pytest.mark.parametrize("weights", ["count", "equal"])
def test_other_weights_scale_their_covariance_by_the_residuals(weights):
    found, ramps = tracks(0, noise=1e-3)
    made = estimate_adjustment(found, anchor=0, weights=weights).compute()
    np.testing.assert_allclose(made.offset, (ramps[0] - ramps)[:, 0], atol=1e-3)
    assert 0 < made.covariance[1, 0, 1, 0] < 1e-6
    assert 0.1 < np.sqrt(np.nanmean(made.pair_normalised**2)) < 3
    assert made.chi2.attrs["units"] == "(m/yr)^2"


def test_two_pixels_determine_no_ramp():
    window = Window(N, 5000, 30000, 1, 2)
    a, b = (
        lattice_dataset(window, velocity=[[0.0, v]], track=t, pixels_per_degree=N)
        for t, v in (("A001", 1), ("A002", 2))
    )
    with pytest.raises(DisconnectedTracksError, match="use a lower order"):
        estimate_adjustment([a, b], order=1, min_overlap=1, anchor=0).compute()


def test_unknown_choices_are_refused():
    found, _ = tracks(0)
    for options, message in (
        ({"order": 3}, "order must be one of 0, 1, 2, got 3"),
        ({"order": 1, "robust": "mode"}, "robust must be one of True, False, got 'mode'"),
        ({"weights": "huge"}, "weights must be one of 'variance', 'count', 'equal'"),
    ):
        with pytest.raises(SchemaError, match=message):
            estimate_adjustment(found, **options)


def test_an_adjustment_is_applied_once():
    found, _ = tracks(1)
    adjustment = estimate_adjustment(found, order=1, anchor=0)
    with no_compute():
        moved = apply_adjustment(found[1].chunk(y=13), adjustment)
    np.testing.assert_allclose(
        mosaic(found, adjustment.compute()).velocity.sel(y=found[0].y, x=found[0].x), found[0].velocity, atol=3e-8
    )
    both = moved.velocity.compute() - found[0].velocity
    np.testing.assert_allclose(both, 0, atol=3e-8)
    with pytest.raises(SchemaError, match="was adjusted already"):
        apply_adjustment(moved, adjustment)
    with pytest.raises(SchemaError, match="A002 were adjusted already"):
        mosaic([found[0], moved], adjustment)


def test_tracks_that_stations_tie_say_in_which_frame_they_are():
    found = two_looks()
    ties = stations([(float(found[0].x[20]), float(found[0].y[20]))]).assign_attrs(frame="IGS14")
    made = estimate_adjustment(found, ties=ties).compute()
    assert (made.attrs["reference_frame"], made.attrs["reference_stations"]) == ("IGS14", ["S000"])
    assert apply_adjustment(found[1], made).attrs["reference_frame"] == "IGS14"
    assert mosaic(found, made).attrs["reference_stations"] == ["S000"]
    with pytest.raises(SchemaError, match="ties must be a dataset of stations, as read_stations gives it, got 'x'"):
        estimate_adjustment(found, ties="x")
