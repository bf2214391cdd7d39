"""Synthetic tracks with known truth."""

from dataclasses import replace

import numpy as np
import pytest
import xarray as xr
from hypothesis import given, settings
from hypothesis import strategies as st
from lazy import no_compute

from mimtpy_cloud.errors import DateError, ReferencePointError, SchemaError
from mimtpy_cloud.kernels.landscape import Landscape
from mimtpy_cloud.ops.disturbance import simulate_atmosphere, simulate_ramp, simulate_white_noise, wrap
from mimtpy_cloud.ops.disturbed import disturb
from mimtpy_cloud.ops.forward import mogi_model
from mimtpy_cloud.ops.model import evaluate_model
from mimtpy_cloud.ops.simulate import simulate_scene, true_velocity
from mimtpy_cloud.plan.grid import Window
from mimtpy_cloud.schema import VARIABLES

WINDOW = Window.covering(50, (36.0, 37.2, 37.8, 38.8))
DATES = np.array(["2019-01-04", "2019-03-05", "2019-09-13", "2020-01-11"], "datetime64[D]")


@pytest.fixture(scope="module")
def noisy() -> xr.Dataset:
    return simulate_scene(WINDOW, dates=DATES, reference_date=DATES[1], seed=3).compute()


@pytest.fixture(scope="module")
def exact() -> xr.Dataset:
    return simulate_scene(WINDOW, dates=DATES, reference_date=DATES[1], noise=0).compute()


def test_without_noise_the_displacement_is_the_projected_truth(exact):
    east, north, up = true_velocity(exact.x, exact.y.values[:, None])
    los = east * exact.los_east + north * exact.los_north + up * exact.los_up
    lon, lat = exact.attrs["reference_point"]
    rate = los - los.sel(x=lon, y=lat, method="nearest")
    years = (DATES - DATES[1]).astype(int) / 365.25
    for i, year in enumerate(years):
        d = exact.displacement[i]
        good = np.isfinite(d)
        assert good.sum() > 2000
        np.testing.assert_allclose(d.values[good], (rate * year).values[good], atol=2e-8)


def test_the_reference_date_and_the_reference_pixel_are_zero(noisy):
    lon, lat = noisy.attrs["reference_point"]
    assert (noisy.displacement.sel(x=lon, y=lat, method="nearest") == 0).all()
    reference = noisy.displacement.sel(time=noisy.attrs["reference_date"])
    assert (reference.fillna(0) == 0).all()
    assert float(noisy.perpendicular_baseline.sel(time="2019-03-05")) == 0
    assert float(abs(noisy.displacement.isel(time=0)).max()) > 1e-3


@given(
    chunks=st.tuples(st.integers(1, 4), st.integers(25, 90)),
    rows=st.tuples(st.integers(0, 30), st.integers(40, 80)),
    cols=st.tuples(st.integers(0, 30), st.integers(50, 90)),
)
def test_bits_depend_on_neither_chunks_nor_other_dates(noisy, chunks, rows, cols):
    chunked = simulate_scene(WINDOW, dates=DATES, reference_date=DATES[1], seed=3, chunks=chunks)
    part = chunked.isel(y=slice(*rows), x=slice(*cols), time=[1, 3]).compute()
    xr.testing.assert_identical(part, noisy.isel(y=slice(*rows), x=slice(*cols), time=[1, 3]))


def test_building_a_scene_computes_nothing():
    with no_compute():
        ds = simulate_scene(Window.covering(1250, (30, 30, 40, 40)), dates=DATES, reference_point=(34.0, 34.0))
    assert all(array.chunks for array in ds.data_vars.values())
    assert ds.displacement.chunks[1][0] == 625


def test_equal_arguments_give_equal_task_names(noisy):
    twice = [simulate_scene(WINDOW, dates=DATES, seed=3).displacement.data.name for _ in range(2)]
    assert twice[0] == twice[1]
    assert simulate_scene(WINDOW, dates=DATES, seed=4).displacement.data.name != twice[0]


def test_seeds_dates_and_tracks_have_independent_noise(exact):
    def noise(orbit, seed):
        ds = simulate_scene(WINDOW, dates=DATES, reference_date=DATES[1], relative_orbit=orbit, seed=seed)
        return (ds.displacement - exact.displacement).compute()

    one = noise(64, 0)
    good = exact.valid.values
    assert 1e-3 < float(one[0].values[good].std()) < 8e-3
    for other in (noise(64, 1)[0], noise(137, 0)[0], one[2]):
        assert abs(np.corrcoef(one[0].values[good], other.values[good])[0, 1]) < 0.9
        assert not np.allclose(one[0].values[good], other.values[good])


def test_noise_scales_linearly(exact, noisy):
    half = simulate_scene(WINDOW, dates=DATES, reference_date=DATES[1], seed=3, noise=0.5).compute()
    np.testing.assert_allclose(
        (half.displacement - exact.displacement) * 2, noisy.displacement - exact.displacement, atol=1e-7
    )


def test_the_footprint_is_a_tilted_rectangle_inside_the_window(exact):
    seen = np.isfinite(exact.los_up.values)
    assert 0.5 < seen.mean() < 0.9
    assert not seen[0, -1]  # flying north-north-west: the north-east corner is outside
    assert not seen[-1, 0]
    assert seen[0].any() or seen[1].any()
    for name in ("displacement", "height", "temporal_coherence", "slant_range"):
        assert not np.isfinite(exact[name].values[..., ~seen]).any()
    assert not exact.valid.values[~seen].any()


def test_water_has_no_data_and_forests_are_not_valid(exact):
    water, valid = exact.is_water.values, exact.valid.values
    seen = np.isfinite(exact.los_up.values)
    assert water.any()
    assert not np.isfinite(exact.displacement.values[:, water]).any()
    forest = seen & ~water & ~valid
    assert forest.any()
    assert np.isfinite(exact.displacement.values[:, forest]).all()
    assert (exact.temporal_coherence.values[valid] >= 0.7).all()
    assert np.isfinite(exact.displacement.values[:, valid]).all()


@pytest.mark.parametrize(("direction", "side"), [("ascending", -1), ("descending", 1)])
def test_the_satellite_is_west_of_ascending_and_east_of_descending_scenes(direction, side):
    ds = simulate_scene(WINDOW, dates=DATES, orbit_direction=direction, relative_orbit=71, noise=0).compute()
    assert ds.attrs["track"] == f"{direction[0].upper()}071"
    assert ds.attrs["orbit_direction"] == direction
    assert (np.sign(ds.los_east.values[np.isfinite(ds.los_east)]) == side).all()
    row = ds.los_up.isel(y=WINDOW.ny // 2).dropna("x")
    assert (np.diff(row) * side > 0).mean() > 0.9  # incidence grows away from the track (hills tilt nothing)
    length = np.sqrt(ds.los_east**2 + ds.los_north**2 + ds.los_up**2)
    np.testing.assert_allclose(length.values[np.isfinite(length)], 1, atol=1e-6)
    assert ds.attrs["mintpy"]["ORBIT_DIRECTION"] == direction.upper()


@pytest.mark.parametrize(("heading", "same"), [(347.5, -12.5), (-372.5, -12.5), (192.5, -167.5), (-192.5, 167.5)])
def test_any_branch_of_the_heading_is_the_same_footprint(heading, same):
    one, two = (
        np.isfinite(simulate_scene(WINDOW, dates=DATES, heading=h, noise=0).los_up.values) for h in (heading, same)
    )
    assert 0.5 < one.mean() < 0.9
    assert (one != two).mean() < 1e-3  # rounding at the edge


def test_variables_follow_the_schema(noisy):
    for name, array in noisy.data_vars.items():
        expected = VARIABLES[name]
        assert (array.dims, str(array.dtype)) == (expected.dims, expected.dtype), name
        assert array.attrs["units"] == expected.units
    assert Window.of(noisy.x.values, noisy.y.values) == WINDOW
    assert noisy.attrs["reference_date"] == "2019-03-05"


def test_the_truth_is_that_of_the_landscape_asked_for():
    land = replace(Landscape(), slip_rate=0.0, volume_rate=0.0)
    assert all((v == 0).all() for v in true_velocity([37.0, 37.5], 38.0, landscape=land))
    still = simulate_scene(WINDOW, dates=DATES, noise=0, landscape=land).displacement.compute()
    assert (still.fillna(0) == 0).all()
    assert abs(true_velocity(37.0, 38.5)[0]) > 5e-3


@pytest.mark.parametrize(
    ("change", "error", "message"),
    [
        ({"dates": DATES[:1]}, DateError, "at least two increasing dates"),
        ({"dates": DATES[::-1]}, DateError, "increasing"),
        ({"reference_date": "2019-01-05"}, DateError, "one of the dates"),
        ({"reference_point": (30.0, 38.0)}, ReferencePointError, "choose one nearer to"),
        ({"orbit_direction": "sideways"}, SchemaError, "ascending"),
        ({"relative_orbit": 0}, SchemaError, "1 to 999"),
        ({"heading": 90.0}, SchemaError, "heading must be at most 30 degrees from north or south, got 90"),
        ({"heading": 135.0}, SchemaError, "heading must be"),
        ({"heading": float("nan")}, SchemaError, "heading must be"),
        ({"incidence": 0.0}, SchemaError, "incidence must be between 0 and 90 degrees, got 0"),
        ({"incidence": -38.0}, SchemaError, "incidence must be"),
        ({"incidence": 90.0}, SchemaError, "incidence must be"),
    ],
)
def test_impossible_scenes_say_why(change, error, message):
    with pytest.raises(error, match=message):
        simulate_scene(WINDOW, **({"dates": DATES} | change))


def test_left_looking_scenes_are_seen_from_the_other_side():
    left = simulate_scene(WINDOW, dates=DATES, noise=0, look_side="left").compute()
    right = simulate_scene(WINDOW, dates=DATES, noise=0, heading=167.5).compute()  # the same look, flown the other way
    xr.testing.assert_allclose(left["los_east"], right["los_east"])
    assert (left["los_east"].values[np.isfinite(left["los_east"])] > 0).all()  # ascending, but the satellite is east
    assert (left.attrs["look_side"], left.attrs["heading"]) == ("left", -12.5)
    assert left.attrs["mintpy"]["ANTENNA_SIDE"] == "1"
    corners = [float(left.attrs["mintpy"][f"LAT_REF{i}"]) for i in (1, 3)]
    assert corners[0] < corners[1]  # flown to the north


def test_one_call_disturbs_a_scene(exact):
    ramp = {"ax": 1e-7, "axy": 1e-13}
    source = {"lon": 36.8, "lat": 38.1, "depth": 6e3, "volume": 4e6}
    parts = {"ramp": ramp, "sources": [(mogi_model, source)], "atmosphere": (1e-4, 2e4), "white": 1e-3, "seed": 5}
    with no_compute():
        scene = simulate_scene(WINDOW, dates=DATES, reference_date=DATES[1], noise=0, **parts)
        folded = simulate_scene(WINDOW, dates=DATES, reference_date=DATES[1], noise=0, wrapped=True, **parts)
    found = (scene["displacement"] - exact["displacement"]).compute()
    lon, lat = exact.attrs["reference_point"]
    pixel = {"x": lon, "y": lat, "method": "nearest"}
    assert (found.sel(**pixel) == 0).all()
    assert (found[1].fillna(0) == 0).all()
    motion = evaluate_model(mogi_model, exact, **source)
    still = simulate_ramp(exact, ramp)
    key = {"seed": 5 * 2000 + 64 + 1000, "dates": DATES}
    noise = simulate_atmosphere(exact, sill=1e-4, range_m=2e4, **key) + simulate_white_noise(exact, std=1e-3, **key)
    year = float((DATES[3] - DATES[1]).astype(int)) / 365.25
    wanted = motion * year + still + noise[3] - noise[1]
    np.testing.assert_allclose(found[3], (wanted - wanted.sel(**pixel)).where(np.isfinite(found[3])), atol=3e-8)
    np.testing.assert_array_equal(folded["displacement"], wrap(scene["displacement"], 0.05546576))
    assert scene.attrs["source"] != exact.attrs["source"]
    plain = simulate_scene(WINDOW, dates=DATES, reference_date=DATES[1], noise=0)
    assert scene["displacement"].chunks == plain["displacement"].chunks


@given(chunks=st.tuples(st.integers(1, 4), st.integers(25, 90)))
@settings(max_examples=8)
def test_disturbed_bits_do_not_depend_on_chunks(chunks):
    parts = {"ramp": [{"c": 0.1}, {"ay": 1e-7}], "boundaries": [(36.9, 37.0, 36.9, 39.0)], "atmosphere": (1e-4, 2e4)}
    whole, other = (
        simulate_scene(WINDOW, dates=DATES, white=1e-3, chunks=c, **parts)["displacement"].isel(y=slice(20, 60))
        for c in (None, chunks)
    )
    xr.testing.assert_identical(other.compute(), whole.compute())


def test_a_series_on_any_grid_is_disturbed_and_stays_zero_at_its_reference(exact):
    plain = exact.isel(y=slice(20, 60), x=slice(20, 70)).drop_attrs(deep=False)
    lon, lat = float(plain.x[7]), float(plain.y[5])
    series = plain.assign_attrs(reference_point=(lon, lat), reference_date="2020-01-13")
    series = series.assign(displacement=0 * series["displacement"].fillna(0))
    found = disturb(series, white=1e-3, seed=3)["displacement"]
    assert (found[:, 5, 7] == 0).all()
    assert float(found[0].std()) == pytest.approx(np.sqrt(2) * 1e-3, rel=0.05)
    with pytest.raises(SchemaError, match=r"reference point 50, 38 \(lon, lat\) lies outside the series"):
        disturb(series.assign_attrs(reference_point=(50.0, 38.0)), white=1e-3)


def test_only_a_series_with_a_reference_is_disturbed(exact):
    with pytest.raises(SchemaError, match="reference_point, reference_date to be disturbed"):
        disturb(exact.assign_attrs(reference_point=None, reference_date=""))
    with pytest.raises(SchemaError, match="displacement needs dimensions"):
        disturb(exact.isel(time=0))
    with pytest.raises(SchemaError, match="look side must be 'right' or 'left', got 'up'"):
        simulate_scene(WINDOW, dates=DATES, look_side="up")
