"""Profiles across faults: where swaths lie, which pixels they hold, and what their bins say."""

import pickle

import dask.array
import numpy as np
import pytest
import xarray as xr
from hypothesis import given, settings
from lazy import no_compute
from pyproj import Geod
from strategies import chunkings
from synthetic import lattice_dataset, small_window

from mimtpy_cloud.errors import GridMismatchError, SchemaError
from mimtpy_cloud.kernels.greatcircle import distance_to_great_circle
from mimtpy_cloud.kernels.swath import (
    MOST_PAIRED,
    bin_indices,
    bin_statistics,
    effective_counts,
    line_crossings,
    rotate_to_strike,
)
from mimtpy_cloud.ops.profile import sample_profile
from mimtpy_cloud.ops.transects import profile_across_fault, profile_between
from mimtpy_cloud.plan.profile import distance_along
from mimtpy_cloud.plan.transects import (
    Swath,
    clean_trace,
    dense_line,
    distance_edges,
    lay_swaths,
    may_cross,
    places_in_swath,
    plane_of_swath,
    steps_along,
    swath_outline,
)

GEOD = Geod(ellps="WGS84")
WINDOW = small_window(60, 70, west=30.0, north=40.24)  # 53 by 48 km
TRACE = np.array([[30.05, 39.95], [30.30, 40.03], [30.50, 40.05]])
SMALL = {"length_km": (12, 9), "spacing_km": 8, "width_km": 6}


def turn(angle):
    """Angles that differ by whole turns, from -180 to 180."""
    return np.mod(np.asarray(angle) + 180, 360) - 180


def scene(**more):
    rng = np.random.default_rng(5)
    velocity = rng.normal(0, 0.01, WINDOW.shape)
    velocity[rng.random(WINDOW.shape) < 0.1] = np.nan
    ds = lattice_dataset(WINDOW, velocity=velocity)
    maps = {name: (("y", "x"), rng.normal(0, 0.02, WINDOW.shape), {"units": "m/yr"}) for name in ("east", "north")}
    return ds.assign(maps | more)


def on_grid(function, window=WINDOW, **coords):
    """Product whose map `east` is a function of longitude and latitude."""
    lon, lat = np.meshgrid(window.x, window.y)
    east = np.asarray(function(lon, lat), np.float64)
    coords = {"y": window.y, "x": window.x} | coords
    return xr.Dataset({"east": (("y", "x"), east, {"units": "m/yr"})}, coords, {"pixels_per_degree": window.n})


# --- kernels --------------------------------------------------------------------------------------


def test_rotation_is_that_of_the_oracle(oracles):
    oracle = oracles["O24"]
    x0, y0 = oracle["centre_km"]
    for point, expected in oracle["pts"].items():
        x, y = map(float, point.strip("()").split(","))
        np.testing.assert_allclose(rotate_to_strike(x - x0, y - y0, oracle["strike_deg"]), expected, atol=1e-12)
    for point, expected in oracle["strike30"].items():
        x, y = map(float, point.strip("()").split(","))
        np.testing.assert_allclose(rotate_to_strike(x, y, 30.0), expected, rtol=1e-9)


def test_bins_are_those_of_the_oracle(oracles):
    oracle = oracles["O25"]
    edges = np.array(oracle["edges"])
    bins = bin_indices(np.array(oracle["x"]), edges)
    mean, _, std, _, count = bin_statistics(np.array(oracle["v"]), bins, edges.size - 1, ())
    np.testing.assert_allclose(mean, oracle["mean"], rtol=1e-9)
    np.testing.assert_allclose(std, oracle["std_ddof0"], rtol=1e-9)
    assert count.tolist() == oracle["count"]


def test_statistics_of_a_bin_are_those_of_numpy_and_an_empty_bin_has_none():
    rng = np.random.default_rng(0)
    values, bins = rng.normal(size=300), rng.integers(-1, 3, 300) * 2
    values[::7] = np.nan
    table = bin_statistics(values, bins, 5, (0.16, 0.5))
    here = values[(bins == 2) & np.isfinite(values)]
    mad = np.median(np.abs(here - np.median(here)))
    expected = [here.mean(), np.median(here), here.std(), mad, here.size, np.quantile(here, 0.16), np.median(here)]
    np.testing.assert_allclose(table[:, 2], expected, rtol=1e-12)
    assert np.isnan(table[[0, 1, 2, 3, 5, 6], 1]).all()
    assert table[4].tolist()[1::2] == [0, 0]


def test_effective_counts_are_the_double_sum_and_lie_between_one_and_all():
    rng = np.random.default_rng(1)
    x, y = rng.uniform(0, 10, (2, 200))
    bins, known = rng.integers(0, 2, 200), rng.random(200) < 0.8
    found = effective_counts(known, bins, x, y, 3, 2.0)
    for k in range(2):
        here = known & (bins == k)
        distance = np.hypot(x[here, None] - x[here], y[here, None] - y[here])
        assert found[k] == pytest.approx(here.sum() ** 2 / np.exp(-distance / 2.0).sum(), rel=1e-12)
    assert found[2] == 0
    assert effective_counts(known, bins, x, y, 1, 1e-9)[0] == pytest.approx((known & (bins == 0)).sum())
    assert effective_counts(known, bins, x, y, 1, 1e9)[0] == pytest.approx(1)


def test_effective_counts_of_many_pixels_are_near_to_those_of_all_pairs():
    y, x = (v.ravel() * 0.1 for v in np.mgrid[:60, :40])
    assert x.size > 2 * MOST_PAIRED
    rho = np.exp(-np.hypot(x[:, None] - x, y[:, None] - y) / 1.5)
    (found,) = effective_counts(np.ones(x.size, bool), np.zeros(x.size, int), x, y, 1, 1.5)
    assert found == pytest.approx(x.size**2 / rho.sum(), rel=0.02)


def test_effective_counts_of_a_long_narrow_bin_are_those_of_all_pairs_whatever_the_order_of_its_pixels():
    rows, cols, range_km = 1000, 10, 0.2  # so that every tenth pixel in the order of rows is of one column
    y, x = (v.ravel() * 0.1 for v in np.mgrid[:rows, :cols])
    lag_y, lag_x = np.arange(1 - rows, rows), np.arange(1 - cols, cols)
    pairs = np.outer(rows - abs(lag_y), cols - abs(lag_x))
    rho = np.exp(-0.1 * np.hypot(lag_y[:, None], lag_x) / range_km)
    (found,) = effective_counts(np.ones(x.size, bool), np.zeros(x.size, int), x, y, 1, range_km)
    assert found == pytest.approx(x.size**2 / (pairs * rho).sum(), rel=0.06)


def test_a_crossing_is_that_of_the_oracle(oracles):
    oracle = oracles["O26"]
    points, distance, angle = line_crossings(np.array(oracle["profile"]), np.array(oracle["fault"]))
    np.testing.assert_allclose(points, [oracle["point"]], rtol=1e-9)
    np.testing.assert_allclose(distance, oracle["distance"], rtol=1e-9)
    np.testing.assert_allclose(angle, oracle["angle_deg"], rtol=1e-9)


def test_a_line_may_cross_often_or_never_and_its_direction_makes_no_difference():
    profile = np.array([[0.0, 0.0], [10.0, 0.0]])
    zigzag = np.array([[1.0, -1.0], [1.0, 1.0], [4.0, 0.0], [7.0, -1.0], [20.0, -1.0], [20.0, 1.0]])
    for line in (zigzag, zigzag[::-1]):
        _, distance, angle = line_crossings(profile, line)
        assert sorted(distance) == pytest.approx([1.0, 4.0])
        assert sorted(angle) == pytest.approx([-np.degrees(np.arctan(1 / 3)), 90.0])
    assert line_crossings(profile, np.array([[0.0, 1.0], [10.0, 2.0]]))[1].size == 0


# --- where ----------------------------------------------------------------------------------------


def test_resampling_is_that_of_the_oracle_in_both_directions(oracles):
    oracle = oracles["O28"]
    for vertices, expected in (
        (np.array(oracle["vertices_km"]), oracle["forward"]),
        (np.array(oracle["vertices_km"])[::-1], oracle["reversed"]),
    ):
        sides = np.hypot(*np.diff(vertices, axis=0).T)
        lengths = np.concatenate([[0.0], np.cumsum(sides)])
        at, piece, within = steps_along(lengths, oracle["spacing_km"])
        found = vertices[piece] + (within / sides[piece])[:, None] * np.diff(vertices, axis=0)[piece]
        np.testing.assert_allclose(found, expected, rtol=1e-9, atol=1e-12)
        assert lengths[-1] == pytest.approx(oracle["total_km"])
        assert at.tolist() == [0, 20, 40, 60]


@pytest.mark.parametrize("trace", [TRACE, TRACE[::-1], TRACE + np.array([149.85, -80]), TRACE * [1, 1.7]])
def test_swaths_lie_evenly_on_the_trace(trace):
    line = clean_trace(np.column_stack([turn(trace[:, 0]), trace[:, 1]]))  # as files write longitudes
    swaths = lay_swaths(line, 6.0)
    total = GEOD.line_length(*line.T) / 1e3
    assert len(swaths) == int(total / 6)
    along = np.array([s.along_km for s in swaths])
    np.testing.assert_allclose(np.diff(along), 6.0, atol=1e-9)
    assert along[0] + along[-1] == pytest.approx(total)
    for swath in swaths:  # on the trace, at the way along it
        vertices = [v for v in line if GEOD.line_length(*line[: list(map(tuple, line)).index(tuple(v)) + 1].T) / 1e3
                    < swath.along_km]  # fmt: skip
        path = np.array([*vertices, (swath.lon, swath.lat)])
        assert GEOD.line_length(*path.T) / 1e3 == pytest.approx(swath.along_km, abs=1e-6)
    assert np.ptp([s.lon for s in swaths]) < 1


def test_the_reversed_trace_has_the_same_swaths_turned_around():
    one, two = lay_swaths(TRACE, 7.0), lay_swaths(TRACE[::-1], 7.0)[::-1]
    np.testing.assert_allclose([s[:2] for s in one], [s[:2] for s in two], atol=1e-9)
    np.testing.assert_allclose(turn([a.strike - b.strike - 180 for a, b in zip(one, two, strict=True)]), 0, atol=1e-6)


def test_pieces_of_a_trace_are_put_together_whatever_their_order_and_direction():
    pieces = [TRACE[1:], TRACE[:2]]
    for parts in (pieces, [TRACE[1:], TRACE[1::-1]], [TRACE[1:], TRACE[:2] + 1e-3]):
        joined = clean_trace(parts)
        assert joined[-1].tolist() == TRACE[-1].tolist()  # as the first piece runs
        assert GEOD.line_length(*joined.T) == pytest.approx(GEOD.line_length(*TRACE.T), rel=0.02)
    np.testing.assert_array_equal(clean_trace(np.repeat(TRACE, 3, axis=0)), TRACE)
    assert np.ptp(clean_trace([[179.9, 0], [-179.9, 0]])[:, 0]) == pytest.approx(0.2)


def test_a_fault_at_45_degrees_is_crossed_at_a_right_angle_on_the_ground(oracles):
    oracle = oracles["O27"]
    step, lat = 1e-3, oracle["lat"]
    (swath,) = lay_swaths(np.array([[30 - step, lat - step], [30 + step, lat + step]]), 1.0)
    lon, lat = places_in_swath(np.array([-20.0, 20.0]), np.zeros(2), swath)
    e2 = GEOD.es  # the oracle is of a sphere; on the ellipsoid a degree of latitude is shorter
    shorter = (1 - e2) / (1 - e2 * np.sin(np.radians(oracle["lat"])) ** 2)
    slope = oracle["correct_deg_vector_EN"][0] * shorter**2
    assert (lon[0] - lon[1]) / (lat[0] - lat[1]) == pytest.approx(slope, rel=1e-4)
    toward, _, _ = GEOD.inv(30.0, 40.0, lon[1], lat[1])
    along, _, _ = GEOD.inv(30.0, 40.0, 30 + step, 40 + step)
    assert turn(toward - along) == pytest.approx(90.0, abs=0.01)  # clockwise


@pytest.mark.parametrize("centre", [(30.0, 40.0), (179.9, -65.0), (-120.0, 0.0)])
@pytest.mark.parametrize("strike", [10.0, 135.0, 260.0])
def test_distances_are_those_of_geodesics(centre, strike):
    swath = Swath(*centre, strike, 0.0)
    distance = np.linspace(-150, 150, 31)
    lon, lat = places_in_swath(distance, np.zeros(31), swath)
    _, _, metres = GEOD.inv(np.full(31, centre[0]), np.full(31, centre[1]), lon, lat)
    np.testing.assert_allclose(metres / 1e3, np.abs(distance), rtol=1e-9, atol=1e-9)
    across, along = rotate_to_strike(*plane_of_swath(lon, lat, swath), strike)
    np.testing.assert_allclose(across, distance, atol=1e-6)
    np.testing.assert_allclose(along, 0, atol=1e-6)
    lon, lat = places_in_swath(distance, np.full(31, 5.0), swath)  # between neighbours at the edge of a swath
    _, _, metres = GEOD.inv(lon[:-1], lat[:-1], lon[1:], lat[1:])
    np.testing.assert_allclose(metres / 1e4, 1.0, rtol=1e-4)


def test_an_outline_is_a_closed_rectangle_on_the_ground():
    outline = swath_outline(Swath(30.0, 40.0, 70.0, 0.0), -20.0, 30.0, 8.0)
    assert outline[0].tolist() == outline[-1].tolist()
    area, perimeter = GEOD.polygon_area_perimeter(*outline.T)
    assert abs(area) == pytest.approx(50e3 * 8e3, rel=1e-4)
    assert perimeter == pytest.approx(116e3, rel=1e-4)


def test_distances_differ_from_those_of_a_sphere_by_the_flattening_alone(oracles):
    oracle = oracles["O19"]
    for pair, km in (("pair1", "km_R6371_0088"), ("pair2", "km2")):
        assert distance_along(*np.array(oracle[pair], float).T)[-1] == pytest.approx(oracle[km], rel=3e-3)
    (lon, south), (_, north) = oracle["pair2"]  # north of a line that runs east: the sphere of other distances
    distance, _, _ = distance_to_great_circle(np.array([lon]), np.array([north]), (lon, south, 90.0), 6371008.8)
    assert distance[0] / 1e3 == pytest.approx(oracle["km2"], rel=1e-9)


# --- the operation --------------------------------------------------------------------------------


def brute_force(ds, name, swath, edges, width):
    """Mean and count of each bin by geodesics of all pixels of the grid."""
    lon, lat = (v.ravel() for v in np.meshgrid(ds.x, ds.y))
    azimuth, _, metres = GEOD.inv(np.full(lon.size, swath.lon), np.full(lon.size, swath.lat), lon, lat)
    angle = np.radians(azimuth - swath.strike)
    across, along = metres / 1e3 * np.sin(angle), metres / 1e3 * np.cos(angle)
    values = ds[name].values.ravel().astype(np.float64)
    keep = (np.abs(along) <= width / 2) & np.isfinite(values)
    count, _ = np.histogram(across[keep], edges)
    total, _ = np.histogram(across[keep], edges, weights=values[keep])
    return np.divide(total, count, out=np.full(count.size, np.nan), where=count > 0), count


def test_every_bin_is_the_mean_of_all_its_pixels_on_the_ground():
    ds = scene()
    found = profile_across_fault(ds.chunk(y=17, x=23), TRACE, **SMALL).compute()
    edges = distance_edges((12, 9), 1.0)
    for k, swath in enumerate(lay_swaths(TRACE, 8)):
        mean, count = brute_force(ds, "velocity", swath, edges, 6.0)
        np.testing.assert_array_equal(found["velocity_count"][k], count)
        np.testing.assert_allclose(found["velocity"][k], mean, rtol=1e-9)
    assert found["velocity_count"].values.min() > 0
    assert found["distance_km"].values.tolist() == (np.arange(-12, 9) + 0.5).tolist()


@settings(max_examples=10)
@given(chunkings(y=60, x=70), chunkings(y=60, x=70))
def test_chunked_equals_whole_bit_for_bit(one, other):
    ds = scene()
    whole = profile_across_fault(ds, TRACE, **SMALL, correlation_km=2.0).compute()
    chunked = ds.chunk(one)
    chunked["north"] = ds["north"].chunk(other)  # variables with chunks of their own
    with no_compute():
        lazy = profile_across_fault(chunked, TRACE, **SMALL, correlation_km=2.0)
    xr.testing.assert_identical(lazy.compute(), whole)
    assert np.isfinite(whole["fault_normal"]).all()


@pytest.mark.parametrize("flip", [False, True])
def test_the_reversed_trace_mirrors_every_profile(flip):
    ds = scene()
    there = profile_across_fault(ds, TRACE, **SMALL, flip=flip, faults=[TRACE + np.array([0, 0.05])]).compute()
    back = profile_across_fault(
        ds, TRACE[::-1], **SMALL | {"length_km": (9, 12)}, flip=flip, faults=[TRACE + np.array([0, 0.05])]
    ).compute()
    np.testing.assert_allclose(there["distance_km"], -back["distance_km"][::-1])
    for name in ("velocity", "velocity_median", "velocity_count", "velocity_quantile", "lon", "lat"):
        np.testing.assert_allclose(there[name], back[name][..., ::-1, ::-1], rtol=1e-9, atol=1e-12)
    for name in ("fault_parallel", "fault_normal"):  # the other direction of strike
        np.testing.assert_allclose(there[name], -back[name][::-1, ::-1], rtol=1e-7, atol=1e-9)
    np.testing.assert_allclose(
        np.sort(there["crossing_distance_km"]), np.sort(-back["crossing_distance_km"]), rtol=1e-6
    )
    np.testing.assert_allclose(np.sort(there["crossing_angle"]), np.sort(back["crossing_angle"]), atol=1e-5)


def test_flip_mirrors_distances_alone():
    plain, flipped = (profile_across_fault(scene(), TRACE, **SMALL, flip=flip).compute() for flip in (False, True))
    np.testing.assert_allclose(flipped["distance_km"], -plain["distance_km"][::-1])
    for name in ("velocity", "fault_parallel", "fault_normal", "lon", "lat"):
        np.testing.assert_allclose(flipped[name], plain[name][:, ::-1], rtol=1e-9)
    np.testing.assert_allclose(flipped["strike"], plain["strike"])
    assert flipped.attrs["length_km"] == plain.attrs["length_km"] == [12, 9]
    assert "left" in flipped["distance_km"].attrs["long_name"]


def test_right_of_a_fault_that_runs_east_is_south_and_positive():
    ds = on_grid(lambda lon, lat: np.where(lat < 40.0, 0.02, 0.0))
    found = profile_across_fault(ds, [(30.05, 40.0), (30.5, 40.0)], length_km=(10, 10), step_km=5).compute()
    assert found["distance_km"].values.tolist() == [-7.5, -2.5, 2.5, 7.5]
    np.testing.assert_allclose(found["east"][0], [0, 0, 0.02, 0.02])
    np.testing.assert_allclose(found["fault_parallel"][0], [0, 0, 0.02, 0.02], rtol=1e-4)  # strike is east
    assert found["lat"].values[0, 0] > 40.0 > found["lat"].values[0, -1]
    assert found["strike"].values == pytest.approx([90.0], abs=1e-6)
    assert found["fault_parallel"].attrs["assumption"] == "no motion across the fault"


def test_motion_along_and_across_is_that_of_east_and_north():
    s = np.radians(60.0)
    along, across = 0.012, -0.004
    maps = {"east": along * np.sin(s) + across * np.cos(s), "north": along * np.cos(s) - across * np.sin(s)}
    ds = lattice_dataset(WINDOW, velocity=0.0).drop_vars("velocity")
    ds = ds.assign({n: (("y", "x"), np.full(WINDOW.shape, v), {"units": "m/yr"}) for n, v in maps.items()})
    lon, lat, _ = GEOD.fwd(30.2, 40.0, 60.0, 15e3)
    found = profile_across_fault(ds, [(30.2, 40.0), (lon, lat)], **SMALL).compute()
    np.testing.assert_allclose(found["fault_parallel"], along, atol=2e-5)  # of meridians
    np.testing.assert_allclose(found["fault_normal"], across, atol=2e-5)
    assert found["fault_normal"].attrs["units"] == "m/yr"


def test_a_graph_travels_to_a_cluster_and_has_the_same_names_twice():
    ds = scene()[["velocity"]].chunk(y=17, x=23)
    one, two = (profile_across_fault(ds, TRACE, **SMALL, faults=[TRACE]) for _ in range(2))
    assert dict(one.__dask_graph__()).keys() == dict(two.__dask_graph__()).keys()
    xr.testing.assert_identical(pickle.loads(pickle.dumps(one)).compute(), two.compute())


def test_only_blocks_that_a_swath_touches_are_read_and_only_of_what_is_computed():
    seen = []

    def block(name, block_info=None):
        place = tuple(start for start, _ in block_info[None]["array-location"])
        seen.append((name, *place))
        return np.ones(block_info[None]["chunk-shape"], "f4")

    chunks = ((20, 20, 20), (10,) * 7)
    maps = {
        name: dask.array.map_blocks(block, name, chunks=chunks, dtype="f4", meta=np.empty((0, 0), "f4"))
        for name in ("up", "height")
    }
    ds = xr.Dataset({n: (("y", "x"), v) for n, v in maps.items()}, {"y": WINDOW.y, "x": WINDOW.x})
    with no_compute():
        lazy = profile_across_fault(ds, [(30.1, 40.2), (30.1, 40.1)], length_km=(4, 4), spacing_km=20, width_km=6)
    assert float(lazy["up"].sum()) == 8.0
    assert sorted(seen) == [("up", 0, 0), ("up", 0, 10)]


def test_swaths_beyond_the_data_are_nan_and_a_trace_outside_is_refused():
    far = np.array([[29.5, 40.0], [30.5, 40.0]])
    found = profile_across_fault(scene(), far, length_km=(40, 5), spacing_km=10, names=["velocity"]).compute()
    assert found["velocity_count"][0].sum() == 0
    assert np.isnan(found["velocity"][0]).all()
    assert np.isfinite(found["velocity"][-1, -5:]).all()
    assert np.isnan(found["velocity"][-1, 0])  # 40 km north of the trace, beyond the grid
    with no_compute(), pytest.raises(GridMismatchError, match=r"no swath from 39\.\d+, 30\.\d+ .* meets A064 \[30, "):
        profile_across_fault(scene().chunk(), TRACE[:, ::-1], **SMALL)


def test_the_antimeridian_is_no_border():
    west, centre = small_window(60, 70, west=30.0, north=40.24), WINDOW
    window = small_window(60, 70, west=179.7, north=40.24)
    assert west.x[0] == centre.x[0]
    east = scene()["velocity"].values
    data = {"velocity": (("y", "x"), east, {"units": "m/yr"})}
    here, there = (xr.Dataset(data, {"y": w.y, "x": w.x}, {"pixels_per_degree": w.n}) for w in (WINDOW, window))
    shift = window.x[0] - WINDOW.x[0]
    wrapped = (TRACE[:, 0] + shift + 180) % 360 - 180
    assert np.ptp(wrapped) > 300
    one = profile_across_fault(here, TRACE, **SMALL).compute()
    two = profile_across_fault(there, np.column_stack([wrapped, TRACE[:, 1]]), **SMALL).compute()
    np.testing.assert_array_equal(one["velocity_count"], two["velocity_count"])
    np.testing.assert_allclose(one["velocity"], two["velocity"], rtol=1e-9)


def test_uncertainty_maps_do_not_take_the_name_of_the_spread():
    found = profile_across_fault(scene(), TRACE, **SMALL).compute()
    np.testing.assert_allclose(found["velocity_sigma"], 0.001, rtol=1e-6)
    assert float(found["velocity_std"].min()) > 0.002
    assert "standard deviation of the line-of-sight velocity" in found["velocity_sigma"].attrs["long_name"]
    chosen = {n for n in found if n.endswith("_mad")}
    names = ("velocity", "velocity_sigma", "temporal_coherence", "height", "east", "north", "fault_parallel")
    assert chosen == {f"{n}_mad" for n in (*names, "fault_normal")}
    assert all(v.attrs["units"] for v in found.data_vars.values())
    assert found["velocity_quantile"].dims == ("quantile", "profile", "distance")
    np.testing.assert_array_equal(found["velocity_effective_count"], found["velocity_count"])


def test_bins_of_ones_own_may_be_uneven():
    edges = [-12, -4, -1, 0, 1, 4, 9]
    ds = scene()
    found = profile_across_fault(ds, TRACE, bins=edges, spacing_km=8, width_km=6, names=["velocity"]).compute()
    mean, count = brute_force(ds, "velocity", lay_swaths(TRACE, 8)[1], np.array(edges, float), 6.0)
    np.testing.assert_array_equal(found["velocity_count"][1], count)
    np.testing.assert_allclose(found["velocity"][1], mean, rtol=1e-9)
    assert found["distance_km"].values.tolist() == [-8, -2.5, -0.5, 0.5, 2.5, 6.5]
    assert found.attrs["bins_km"] == edges
    assert found.attrs["length_km"] == [12, 9]


# --- stations and faults --------------------------------------------------------------------------


def table(lon, lat, east, north, up=0.0):
    n = len(lon)
    columns = {"east": east, "north": north, "up": up, "east_std": 0.001, "north_std": 0.002, "up_std": 0.003}
    data = {name: ("station", np.broadcast_to(np.asarray(v, float), n).copy()) for name, v in columns.items()}
    places = {"station": [f"S{k}" for k in range(n)], "lon": ("station", lon), "lat": ("station", lat)}
    return xr.Dataset(data, places, {"frame": "IGS14"})


def test_stations_stand_where_they_are_and_move_along_the_fault():
    swaths = lay_swaths(TRACE, 8)
    lon, lat = places_in_swath(np.array([-6.0, 5.0, 30.0]), np.array([1.0, -2.0, 0.0]), swaths[1])
    s = np.radians(swaths[1].strike)
    motion = [0.01 * np.sin(s)] * 3, [0.01 * np.cos(s)] * 3
    with no_compute():
        lazy = profile_across_fault(scene().chunk(), TRACE, **SMALL, stations=table(lon, lat, *motion))
    found = lazy.compute()
    assert found["station_name"].values.tolist() == ["S0", "S1"]
    assert found["station_profile"].values.tolist() == [1, 1]
    np.testing.assert_allclose(found["station_distance_km"], [-6, 5], atol=1e-6)
    np.testing.assert_allclose(found["station_offset_km"], [1, -2], atol=1e-6)
    np.testing.assert_allclose(found["station_fault_parallel"], 0.01, rtol=1e-12)
    np.testing.assert_allclose(found["station_fault_normal"], 0, atol=1e-15)
    expected = np.hypot(0.001 * np.sin(s), 0.002 * np.cos(s))
    np.testing.assert_allclose(found["station_fault_parallel_std"], expected)
    ds = scene()
    looks = [float(ds[f"los_{c}"][0, 0]) for c in ("east", "north", "up")]
    los = motion[0][0] * looks[0] + motion[1][0] * looks[1]
    np.testing.assert_allclose(found["station_velocity"], los, rtol=1e-6)
    assert found["station_velocity"].attrs["units"] == "m/yr"
    assert found.attrs["stations_frame"] == "IGS14"
    assert np.isfinite(found["station_velocity_std"]).all()


def test_a_station_in_two_swaths_stands_in_both_and_one_outside_the_grid_has_no_line_of_sight():
    wide = {"length_km": (12, 9), "spacing_km": 8, "width_km": 30}
    lon, lat = [30.25, 29.97], [40.0, 39.93]
    found = profile_across_fault(scene(), TRACE, **wide, stations=table(lon, lat, 0.01, 0.0)).compute()
    names = found["station_name"].values.tolist()
    assert names.count("S0") > 1
    assert found["station_profile"].values[np.array(names) == "S0"].tolist() == list(range(names.count("S0")))
    assert np.isnan(found["station_velocity"].values[np.array(names) == "S1"]).all()
    none = profile_across_fault(scene(), TRACE, **SMALL, stations=table([0.0], [0.0], 0, 0)).compute()
    assert none.sizes["station"] == 0


def test_two_stations_of_one_name_keep_their_own_line_of_sight():
    swaths = lay_swaths(TRACE, 8)
    lon, lat = places_in_swath(np.array([-6.0, 5.0]), np.zeros(2), swaths[1])
    twins = table(lon, lat, [0.01, 0.02], [0.003, 0.0]).assign_coords(station=["A", "A"])
    ds = scene()
    found = profile_across_fault(ds, TRACE, **SMALL, stations=twins).compute()
    looks = [float(ds[f"los_{c}"][0, 0]) for c in ("east", "north")]
    expected = found["station_east"] * looks[0] + found["station_north"] * looks[1]
    assert found["station_name"].values.tolist() == ["A", "A"]
    np.testing.assert_allclose(found["station_velocity"], expected, rtol=1e-6)


def test_other_faults_cross_where_they_are():
    swaths = lay_swaths(TRACE, 8)
    other = np.column_stack(places_in_swath(np.array([4.0, 4.0]), np.array([-3.0, 3.0]), swaths[2]))
    slanted = np.column_stack(places_in_swath(np.array([-4.0, -8.0]), np.array([-2.0, 2.0]), swaths[0]))
    found = profile_across_fault(scene(), TRACE, **SMALL, names=["velocity"], faults=[other, slanted])
    assert found["crossing_profile"].values.tolist() == [0, 2]
    assert found["crossing_fault"].values.tolist() == [1, 0]
    np.testing.assert_allclose(found["crossing_distance_km"], [-6, 4], atol=1e-4)
    np.testing.assert_allclose(found["crossing_angle"], [-45, 90], atol=0.01)
    none = profile_across_fault(scene(), TRACE, **SMALL, names=["velocity"], faults=[TRACE + 5])
    assert none.sizes["crossing"] == 0


# --- one profile ----------------------------------------------------------------------------------


def test_a_single_profile_interpolates_on_the_geodesic():
    ds, start, end = scene(), (30.05, 39.9), (30.5, 40.1)
    with no_compute():
        found = profile_between(ds.chunk(y=11, x=13), start, end, step_km=2.0)
    length = GEOD.inv(*start, *end)[2] / 1e3
    np.testing.assert_allclose(found["distance_km"], np.arange(0, length, 2.0))
    _, _, metres = GEOD.inv(*(np.full(found.sizes["point"], v) for v in start), found["lon"], found["lat"])
    np.testing.assert_allclose(metres / 1e3, found["distance_km"], atol=1e-6)
    xr.testing.assert_allclose(found["velocity"], sample_profile(ds, found["lon"], found["lat"])["velocity"])
    assert found.attrs["start"] == list(start)


def test_a_wide_profile_averages_the_pixels_on_both_sides_of_its_line():
    ds = on_grid(lambda lon, lat: lat - 40.0 + 0 * lon)
    with no_compute():
        lazy = profile_between(ds.chunk(y=11, x=13), (30.05, 40.0), (30.5, 40.0), step_km=5.0, width_km=8.0)
    found = lazy.compute()
    assert (
        found["distance_km"].values.tolist() == [2.5, 7.5, 12.5, 17.5, 22.5, 27.5, 32.5, 37.5][: found.sizes["point"]]
    )
    np.testing.assert_allclose(found["lon"], 30.05 + found["distance_km"] / 85.39, atol=1e-3)
    np.testing.assert_allclose(found["east"], 0.0, atol=0.005)  # degrees; the geodesic bulges to the north
    np.testing.assert_allclose(found["east_std"], 8 / 111 / np.sqrt(12), rtol=0.1)
    assert found["east"].dims == ("point",)


# --- refusals -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("trace", "message"),
    [
        ([[30.0, 40.0]], "two different vertices, got 30, 40 alone"),
        ([], "two different vertices, got none"),
        ([[30.0, 40.0], [30.0, 40.0]], "two different vertices"),
        ([[30.0, 40.0], [30.0, 95.0]], r"in degrees, shape \(n, 2\), got \[30.0, 95.0\]"),
        ([[30.0, 40.0], [np.nan, 40.0]], r"got \[nan, 40.0\]"),
        (np.zeros((4, 3)), r"got shape \(4, 3\)"),
        ([TRACE, TRACE + 1.0], "the 2 lines given have a gap of 110.. km, more than 5 km; give one fault"),
    ],
)
def test_what_is_no_trace_is_refused(trace, message):
    with pytest.raises(SchemaError, match=message):
        profile_across_fault(scene(), trace, **SMALL)


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        ({"spacing_km": 0}, GridMismatchError, "spacing of profiles must be positive, got 0 km"),
        ({"width_km": -1}, GridMismatchError, "width of a swath must be positive, got -1 km"),
        ({"step_km": 0}, GridMismatchError, "positive step and lengths of at least one step, got step 0 km"),
        ({"length_km": (0.5, 0.2)}, GridMismatchError, "lengths 0.5 and 0.2 km left and right"),
        ({"bins": [0, 2, 1]}, GridMismatchError, r"increasing edges in km, got \[0, 2, 1\]"),
        ({"quantiles": [1.5]}, SchemaError, "quantiles lie from 0 to 1, got 1.5"),
        ({"correlation_km": 0}, SchemaError, "range of the correlation must be positive, got 0 km"),
        ({"names": ["speed"]}, SchemaError, "the profile needs speed; it has"),
        ({"names": ["los"]}, SchemaError, "los needs dimensions"),
        ({"stations": xr.Dataset()}, SchemaError, "the stations needs east, north, up"),
    ],
)
def test_options_that_make_no_sense_are_refused(options, error, message):
    ds = scene(los=(("track",), np.zeros(2))).chunk()
    with no_compute(), pytest.raises(error, match=message):
        profile_across_fault(ds, TRACE, **SMALL | options)


def test_motion_along_a_fault_that_runs_north_is_not_told_from_east_alone():
    ds, north = on_grid(lambda lon, lat: 0 * lon), np.array([[30.2, 39.9], [30.25, 40.1]])
    assert "fault_parallel" not in profile_across_fault(ds, north, **SMALL)
    with pytest.raises(SchemaError, match=r"at least 30 degrees from north, got 10\.9 at 30\.2"):
        profile_across_fault(ds, north, **SMALL, names=["fault_parallel"])
    with pytest.raises(SchemaError, match="fault_normal needs north"):
        profile_across_fault(ds, TRACE, **SMALL, names=["fault_normal"])
    other = ds.assign(north=(("y", "x"), np.zeros(WINDOW.shape), {"units": "mm/yr"}))
    with pytest.raises(SchemaError, match="east and north in one unit, got m/yr and mm/yr"):
        profile_across_fault(other, TRACE, **SMALL)


def test_projections_and_turning_traces_and_impossible_lines_are_refused():
    with pytest.raises(GridMismatchError, match=r"grid in degrees, got a projection with bounds .* ingest it first"):
        profile_across_fault(scene().assign_coords(spatial_ref=((), 0, {"crs_wkt": _utm()})), TRACE, **SMALL)
    there_and_back = [(30.1, 40.0), (30.2, 40.0), (30.1, 40.0)]
    with pytest.raises(GridMismatchError, match=r"comes back to 30\.1, 40 within"):
        profile_across_fault(scene(), there_and_back, **SMALL | {"spacing_km": 30})
    with pytest.raises(GridMismatchError, match=r"positive and at most 8\.539 km of the line, got 9 km"):
        profile_between(scene(), (30.1, 40.0), (30.2, 40.0), step_km=9)
    with pytest.raises(GridMismatchError, match="width of a swath must be positive, got 0 km"):
        profile_between(scene(), (30.1, 40.0), (30.2, 40.0), step_km=1, width_km=0)
    with pytest.raises(SchemaError, match="two different vertices"):
        profile_between(scene(), (30.1, 40.0), (30.1, 40.0), step_km=1)
    with pytest.raises(SchemaError, match=r"the product has no map to profile; it has valid"):
        profile_across_fault(scene()[["valid"]], TRACE, **SMALL)


def _utm():
    from pyproj import CRS

    return CRS.from_epsg(32636).to_wkt("WKT1_GDAL")


def test_lines_that_are_far_from_all_profiles_are_told_at_once_and_none_that_crosses_is_lost():
    swaths = lay_swaths(clean_trace(TRACE), 8.0)
    rng = np.random.default_rng(8)
    near = 0
    for _ in range(300):
        first = np.array([30.3, 40.0]) + rng.normal(0, 1.5, 2)
        line = np.cumsum([first, *rng.normal(0, 0.5, (3, 2))], axis=0)
        east, north = plane_of_swath(*dense_line(line).T, swaths[0])
        told = bool(may_cross(line, swaths[:1], 12.0)[0])
        assert told or np.hypot(east, north).min() > 12.0
        near += told
    assert 10 < near < 150
    antimeridian = [Swath(179.99, 10.0, 0.0, 0.0)]
    assert may_cross(np.array([[-179.9, 10.0], [-179.8, 10.0]]), antimeridian, 15.0).all()
    assert may_cross(np.array([[-179.0, 10.0], [-178.8, 10.0]]), antimeridian, 15.0).sum() == 0


def test_a_swath_that_holds_a_pole_is_refused():
    y, x = 90 - 0.1 * (np.arange(50) + 0.5), 0.1 * (np.arange(3600) + 0.5)
    ds = xr.Dataset({"up": (("y", "x"), np.zeros((50, 3600)), {"units": "m/yr"})}, {"y": y, "x": x})
    trace = [(10, 89.5), (20, 89.5)]
    with pytest.raises(GridMismatchError, match=r"holds a pole, .* shorten the profiles"):
        profile_across_fault(ds, trace, length_km=(100, 100), step_km=20)
    found = profile_across_fault(ds, trace, length_km=(30, 100), step_km=20, spacing_km=30, width_km=20)
    assert (found["up_count"] > 20).all()
