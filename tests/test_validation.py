"""A product against GNSS stations: residuals, offset, pairs by distance, frames, and what is refused."""

import numpy as np
import pytest
import xarray as xr
from hypothesis import given
from lazy import no_compute
from pyproj import Geod
from strategies import chunkings
from synthetic import lattice_dataset, small_window

from mimtpy_cloud.errors import ReferencePointError, SchemaError
from mimtpy_cloud.kernels.validation import STATISTICS
from mimtpy_cloud.ops.enu import invert_enu
from mimtpy_cloud.ops.plate import remove_plate_motion
from mimtpy_cloud.ops.rate import estimate_velocity
from mimtpy_cloud.ops.reference import set_reference
from mimtpy_cloud.ops.select import mask_invalid
from mimtpy_cloud.ops.simulate import simulate_scene, true_velocity
from mimtpy_cloud.ops.validation import LEFT_OUT, compare_gnss
from mimtpy_cloud.plan.grid import Window

WINDOW = small_window(24, 32, n=125, west=33.0, north=40.0)
MOTION = ("east", "north", "up")


def truth(lon, lat):
    """East, north and up in m/yr of an invented country."""
    east = 0.02 * np.tanh((lat - 39.9) * 20)
    return east, 0.004 + 0.01 * (lon - 33.1), -0.005 * np.exp(-(((lon - 33.15) * 20) ** 2))


def table(lon, lat, values=None, sigma=1e-3, frame="IGS14"):
    values = truth(lon, lat) if values is None else values
    data = {
        n: ("station", np.broadcast_to(v, np.shape(lon)).astype(float)) for n, v in zip(MOTION, values, strict=True)
    }
    data |= {f"{n}_std": ("station", np.full(np.shape(lon), sigma)) for n in MOTION}
    names = [f"S{k:02d}" for k in range(np.size(lon))]
    return xr.Dataset(
        data,
        {"station": names, "lon": ("station", lon), "lat": ("station", lat)},
        {"frame": frame, "source": "memory"},
    )


def places(n=12, seed=0):
    random = np.random.default_rng(seed)
    rows, cols = random.integers(1, 23, n), random.integers(1, 31, n)
    return WINDOW.x[cols], WINDOW.y[rows]


def stations(**options):
    return table(*places(), **options)


def track(offset=0.0, azimuth=102.0, **options):
    """Velocity of the country along the line of sight, plus an offset."""
    ds = lattice_dataset(WINDOW, velocity=0.0, los_azimuth_angle=azimuth, **options)
    parts = truth(*np.meshgrid(WINDOW.x, WINDOW.y))
    los = sum(part * ds[name] for part, name in zip(parts, ("los_east", "los_north", "los_up"), strict=True))
    return ds.assign(velocity=(los + offset).astype("f4").assign_attrs(ds["velocity"].attrs))


def decomposition(**offsets):
    """East, horizontal toward 60 degrees, and up of the country."""
    parts = dict(zip(MOTION, truth(*np.meshgrid(WINDOW.x, WINDOW.y)), strict=True))
    angle = np.deg2rad(60.0)
    parts["horizontal"] = parts["east"] * np.sin(angle) + parts.pop("north") * np.cos(angle)
    ds = lattice_dataset(WINDOW, velocity=0.0)
    data = {n: (("y", "x"), v + offsets.get(n, 0.0), {"units": "m/yr"}) for n, v in parts.items()}
    data |= {f"{n}_std": (("y", "x"), np.full(WINDOW.shape, 2e-3), {"units": "m/yr"}) for n in parts}
    return ds.drop_vars(list(ds.data_vars)).assign(data).assign_attrs(azimuth=60.0, components=60.0)


def test_a_track_that_is_true_but_for_a_constant():
    found = compare_gnss(track(offset=0.007), stations())
    assert found.component.values.tolist() == ["los"]
    np.testing.assert_allclose(found["residual"], 0.007, atol=1e-8)
    np.testing.assert_allclose(found["residual_after"], 0, atol=1e-8)
    one = found.sel(component="los")
    assert int(one["count"]) == 12
    for name, value in {"offset": 0.007, "rms": 0.007, "rms_after": 0, "median": 0.007, "mad": 0, "noise": 0}.items():
        assert float(one[name]) == pytest.approx(value, abs=1e-8), name
    assert (float(one["slope"]), float(one["intercept"])) == pytest.approx((1, 0.007), abs=1e-5)
    assert float(one["correlation"]) == pytest.approx(1)
    assert float(one["chi2"]) == pytest.approx(0, abs=1e-6)
    assert float(one["offset_std"]) == pytest.approx(2**0.5 * 1e-3 / 12**0.5, rel=1e-3)  # 1 mm/yr each
    assert (found["left_out"] == 0).all()
    assert found["pair_difference"].max() < 1e-8
    assert (found["within"] == 1).all()


def test_components_have_their_own_offsets_and_horizontal_its_azimuth():
    found = compare_gnss(decomposition(east=0.003, up=-0.002), stations())
    assert found.component.values.tolist() == ["east", "horizontal", "up"]
    np.testing.assert_allclose(found["offset"], [0.003, 0.0, -0.002], atol=1e-9)
    np.testing.assert_allclose(found["rms_after"], 0, atol=1e-9)
    np.testing.assert_allclose(found["observed_std"], 2e-3)
    np.testing.assert_allclose(found["expected_std"], 1e-3)
    some = compare_gnss(decomposition(), stations(), components=["up", "east"])
    assert some.component.values.tolist() == ["up", "east"]
    xr.testing.assert_allclose(some["expected"].sel(component="east"), found["expected"].sel(component="east"))


def test_a_simulated_track_with_noise_agrees_with_the_truth_of_its_country():
    window = Window.covering(50, (36.0, 37.2, 37.8, 38.8))
    dates = np.arange("2016-01-01", "2020-01-01", 48, "datetime64[D]")
    velocity = mask_invalid(estimate_velocity(simulate_scene(window, dates=dates, seed=3)))
    random = np.random.default_rng(0)
    lon, lat = random.uniform(36.1, 37.7, 60), random.uniform(37.3, 38.7, 60)
    given = table(lon, lat, true_velocity(lon, lat), sigma=3e-4)
    one = compare_gnss(velocity, given, window=3).compute().sel(component="los")
    assert 20 < int(one["count"]) <= 60
    assert float(abs(one["slope"] - 1)) < 4 * float(one["slope_std"])
    assert float(one["correlation"]) > 0.9
    assert float(one["rms_after"]) < 2e-3
    assert float(one["within"].sel(requirement="OPERA")) > 0.9


def test_noise_of_the_product_passes_a_requirement_that_is_as_wide():
    random = np.random.default_rng(1)
    lon, lat = WINDOW.x[random.integers(0, 32, 200)], WINDOW.y[random.integers(0, 24, 200)]
    ds = track()
    ds["velocity"] += random.normal(0, 2e-3 / 2**0.5, WINDOW.shape).astype("f4")
    found = compare_gnss(ds, table(lon, lat)).sel(component="los")
    assert float(found["within"].sel(requirement="NISAR")) == pytest.approx(0.683, abs=0.06)
    assert float(found["within"].sel(requirement="OPERA")) > 0.97
    known = found["bin_rms"][found["bin_count"] > 200]
    np.testing.assert_allclose(known, 2e-3, rtol=0.25)


def test_pairs_are_those_of_stations_within_the_classes():
    ds, given = track(), stations()
    ds["velocity"] += np.random.default_rng(2).normal(0, 3e-3, WINDOW.shape).astype("f4")
    found = compare_gnss(ds, given, edges_km=(1.0, 5.0, 12.0))
    residual, geod = found["residual"].values[0], Geod(ellps="WGS84")
    expected = {}
    for i in range(12):
        for j in range(i + 1, 12):
            metres = geod.inv(*(float(given[c][k]) for k in (i, j) for c in ("lon", "lat")))[2]
            if 1 <= metres / 1000 <= 12:
                expected[f"S{i:02d}", f"S{j:02d}"] = (metres / 1000, abs(residual[i] - residual[j]))
    pairs = list(zip(found["first"].values, found["second"].values, strict=True))
    assert pairs == list(expected)
    np.testing.assert_allclose(found["distance_km"], [d for d, _ in expected.values()])
    np.testing.assert_allclose(found["pair_difference"][0], [r for _, r in expected.values()])
    far = np.array([(d >= 5, r) for d, r in expected.values()])
    assert found["bin_count"].values.tolist() == [[(far[:, 0] == 0).sum(), (far[:, 0] == 1).sum()]]
    assert float(found["bin_rms"][0, 1]) == pytest.approx(np.sqrt(np.mean(far[far[:, 0] == 1, 1] ** 2)))


def test_why_stations_are_left_out():
    lon, lat = places()
    given = table(np.append(lon, 10.0), np.append(lat, 50.0))
    given["up"][1] = given["east"][2] = np.nan
    ds = track()
    row, col = (np.abs(axis - at[3]).argmin() for axis, at in ((WINDOW.y, lat), (WINDOW.x, lon)))
    ds["valid"][row, col] = False
    found = compare_gnss(ds, given, exclude=["S00"])
    reasons = {"S00": "excluded", "S01": "without_velocity", "S02": "without_velocity", "S03": "without_pixels"}
    shown = {n: LEFT_OUT[k] for n, k in zip(found.station.values, found["left_out"].values[0], strict=True) if k}
    assert shown == reasons
    assert found.attrs["outside"] == 1
    assert int(found["count"][0]) == 8
    assert np.isnan(found["residual"].values[0, :4]).all()
    assert np.isfinite(found["residual"].values[0, 4:]).all()
    assert not set(found["first"].values[np.isfinite(found["pair_difference"].values[0])]) & set(reasons)
    zero = compare_gnss(ds, given, up="zero")
    assert LEFT_OUT[zero["left_out"].values[0, 1]] == "used"
    assert float(zero["expected_std"][0, 1]) < 1e-3
    east = compare_gnss(decomposition(), given, components=["east"])
    assert LEFT_OUT[east["left_out"].values[0, 1]] == "used"


def test_a_held_out_station_has_no_say_in_the_offset():
    given = stations()
    given["east"][5] += 0.5
    all_of_them, held_out = compare_gnss(decomposition(), given), compare_gnss(decomposition(), given, exclude="S05")
    assert float(all_of_them["rms"].sel(component="east")) > 0.1
    assert float(held_out["rms"].sel(component="east")) < 1e-9
    assert float(held_out["expected"].sel(component="east", station="S05")) > 0.4


def test_windows_average_and_longitudes_of_0_to_360_are_the_same_place():
    ds, given = track(), stations()
    ds["velocity"] += np.random.default_rng(2).normal(0, 3e-3, WINDOW.shape).astype("f4")
    one, wide = compare_gnss(ds, given), compare_gnss(ds, given, window=5)
    assert float(wide["rms"][0]) < 0.7 * float(one["rms"][0])
    assert int(wide["observed_count"].max()) == 25
    west = small_window(24, 32, n=125, west=-119.0)
    moved = lattice_dataset(west, velocity=0.001)
    lon, lat = west.x[[3, 9, 20]], west.y[[4, 5, 6]]
    expected = compare_gnss(moved, table(lon, lat, (0, 0, 0)))
    turned = compare_gnss(moved, table(lon + 360, lat, (0, 0, 0)))
    for name in (*STATISTICS, "pair_difference", "distance_km"):
        np.testing.assert_allclose(turned[name], expected[name])


@given(chunks=chunkings(y=24, x=32))
def test_chunks_do_not_matter_and_building_computes_nothing(chunks):
    for ds in (track(offset=0.002), decomposition(up=0.001)):
        with no_compute():
            lazy = compare_gnss(ds.chunk(chunks), stations(), window=3)
        assert lazy["offset"].chunks is not None
        assert lazy["distance_km"].chunks is None
        xr.testing.assert_identical(lazy.compute(), compare_gnss(ds, stations(), window=3))


def test_only_blocks_with_stations_are_read():
    seen = []

    def block(values, block_info=None):
        seen.append(tuple(start for start, _ in block_info[0]["array-location"]))
        return values

    ds = track()
    lazy = ds["velocity"].chunk(y=8, x=8)
    lazy = lazy.copy(data=lazy.data.map_blocks(block, meta=np.empty((0, 0), "f4")))
    given = table(WINDOW.x[[1, 2, 30]], WINDOW.y[[1, 3, 20]])
    seen.clear()
    compare_gnss(ds.assign(velocity=lazy), given).compute()
    assert sorted(seen) == [(0, 0), (16, 24)]


def test_a_plate_removed_from_the_product_is_removed_from_the_stations():
    ds = decomposition()[["east", "up"]].assign_attrs(reference_point=[33.1, 39.9])
    fixed = remove_plate_motion(ds, "Eurasia")
    plain, moved = compare_gnss(ds, stations()), compare_gnss(fixed, stations())
    assert moved.attrs["frame"] == "IGS14 without motion of Eurasia"
    assert moved.attrs["product_frame"] == "relative to the point 33.1 39.9, without motion of Eurasia"
    assert float(abs(moved["offset"][0])) > 0.02  # the plate is removed relative to the point
    np.testing.assert_allclose(moved["rms_after"], plain["rms_after"], atol=1e-7)
    with_frame = compare_gnss(fixed, stations(frame="EU"))
    assert with_frame.attrs["frame"] == "EU"
    assert "moves with Eurasia, the stations with the plate of EU" in with_frame.attrs["frame_note"]
    assert float(abs(with_frame["offset"][0])) < 5e-3


def test_frames_are_named_and_what_an_offset_does_not_hide():
    ds = track()
    relative = compare_gnss(ds, stations()).attrs
    assert (relative["frame"], relative["product_frame"][:22]) == ("IGS14", "relative to the point ")
    assert "the offset holds the motion of that place" in relative["frame_note"]
    assert "plates move in IGS14: if the motion of one was taken out" in relative["frame_note"]
    ds.attrs.pop("reference_point")
    assert compare_gnss(ds, stations()).attrs["product_frame"] == "relative to an unknown place"
    assert "move with a plate (NA)" in compare_gnss(ds, stations(frame="NA")).attrs["frame_note"]
    assert "does not say the frame" in compare_gnss(ds, stations(frame="")).attrs["frame_note"]
    assert "a ramp was removed" in compare_gnss(ds.assign_attrs(ramp_removed={}), stations()).attrs["frame_note"]
    tied = set_reference(track(offset=0.01), stations=stations())
    same, other = (compare_gnss(tied, stations(frame=f)).attrs for f in ("IGS14", "NA12"))
    assert same["product_frame"] == "IGS14"
    assert same["frame_note"].startswith("12 of the stations were used to tie the product")
    assert same["tied"] == [f"S{k:02d}" for k in range(12)]
    assert "the product is in IGS14, the stations in NA12" in other["frame_note"]
    held = compare_gnss(tied, stations(), exclude=[f"S{k:02d}" for k in range(11)])
    assert held.attrs["tied"] == ["S11"]
    assert float(abs(held["offset"][0])) < 1e-6


def test_a_decomposition_of_two_tracks_is_taken_as_it_comes():
    tracks = [track(track="A014"), track(track="D094", azimuth=-102.0)]
    found = compare_gnss(invert_enu([t.chunk(y=10) for t in tracks], north=0.004), stations()).compute()
    assert found.component.values.tolist() == ["east", "up"]
    assert (found["rms"] < 1e-3).all()
    assert np.isfinite(found["observed_std"]).all()
    assert found.attrs["facts"]["azimuth"] == 90.0


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        ({"components": ["east"]}, SchemaError, "components must be some of los, each once, got east"),
        ({"components": ["los", "los"]}, SchemaError, "each once, got los, los"),
        ({"components": []}, SchemaError, "got none"),
        ({"window": 4}, ReferencePointError, "window must be an odd number of pixels, got 4"),
        ({"up": "keep"}, SchemaError, "up must be 'drop' or 'zero', got 'keep'"),
        ({"exclude": ["S99", "S00"]}, SchemaError, "no station is called S99"),
        ({"exclude": [f"S{k:02d}" for k in range(12)]}, ReferencePointError, "but the 12 excluded lies in the grid"),
        ({"edges_km": [1, 1]}, SchemaError, "edges_km must be two or more increasing distances"),
        ({"edges_km": [5]}, SchemaError, "edges_km must be two or more increasing distances"),
    ],
)  # fmt: skip
def test_options_that_do_not_fit_are_refused(options, error, message):
    with pytest.raises(error, match=message):
        compare_gnss(track(), stations(), **options)


def test_products_and_tables_that_do_not_fit_are_refused():
    ds, given = track(), stations()
    with pytest.raises(SchemaError, match=r"needs velocity, or one of east, .* take estimate_velocity first"):
        compare_gnss(lattice_dataset(WINDOW, dates=["2020-01-01", "2020-02-01"], velocity=0.0), given)
    with pytest.raises(SchemaError, match="the dataset needs los_east, los_north, los_up"):
        compare_gnss(ds.drop_vars(["los_east", "los_north", "los_up"]), given)
    wrong = decomposition()
    wrong["east"].attrs["units"] = "m"
    with pytest.raises(SchemaError, match="east must be in m/yr, as the stations, got m; convert it first"):
        compare_gnss(wrong, given)
    wrong = decomposition().assign_attrs(azimuth=None)
    with pytest.raises(SchemaError, match="a horizontal component needs the attribute azimuth"):
        compare_gnss(wrong, given)
    with pytest.raises(SchemaError, match="stations must be a dataset, as read_stations gives it"):
        compare_gnss(ds, "midas.txt")
    with pytest.raises(SchemaError, match="the stations needs up"):
        compare_gnss(ds, given.drop_vars("up"))
    with pytest.raises(ReferencePointError, match=r"none of the 2 stations lies in the grid \[33, 39.8"):
        compare_gnss(ds, table(np.array([0.0, 1.0]), np.array([0.0, 1.0])))


def test_no_usable_pixel_is_an_error_when_computed():
    ds = track().chunk(y=5)
    empty = ds.assign(valid=ds["valid"] & False)
    with no_compute():
        lazy = compare_gnss(empty, stations(), window=3)
    with pytest.raises(
        ReferencePointError, match=r"none of the 12 stations in the grid .* window of 3; choose a wider"
    ):
        lazy.compute()


def test_one_station_has_no_pairs_and_no_line():
    found = compare_gnss(track(offset=0.001), table(*(v[:1] for v in places())))
    assert found.sizes["pair"] == 0
    assert np.isnan(found["slope"]).all()
    assert float(found["offset"][0]) == pytest.approx(0.001, abs=1e-8)
    assert np.isnan(found["within"]).all()
    lazy = compare_gnss(track(offset=0.001).chunk(), table(*(v[:1] for v in places())))
    assert float(lazy["offset"][0]) == pytest.approx(0.001, abs=1e-8)
    assert lazy.compute().sizes["pair"] == 0
