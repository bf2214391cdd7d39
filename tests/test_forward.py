"""Models at places: signs by worked example, and what they agree with."""

import pickle

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mimtpy_cloud.errors import SchemaError
from mimtpy_cloud.kernels.dislocation import lower_edge
from mimtpy_cloud.kernels.greatcircle import distance_to_great_circle
from mimtpy_cloud.ops import forward
from mimtpy_cloud.ops.forward import (
    MODELS,
    TraceScrew,
    creep_model,
    fault_distance,
    okada_model,
    screw_model,
)
from mimtpy_cloud.ops.model import model_parameters
from mimtpy_cloud.plan.places import Places

EAST, NORTH, UP = (1.0, 0.0, 0.0), (0.0, 1.0, 0.0), (0.0, 0.0, 1.0)
ASCENDING = (-0.61, -0.13, 0.78)
FAULT = {"depth": 2e3, "length": 30e3, "width": 12e3, "strike": 40.0, "dip": 50.0, "rake": 120.0, "slip": 2.0}
SOURCES = {
    "mogi": {"depth": 5e3, "volume": 3e6},
    "okada": FAULT,
    "screw": {"strike": 80.0, "slip_rate": 0.02, "locking_depth": 12e3},
    "creep": {"strike": 80.0, "slip_rate": 0.02, "locking_depth": 12e3, "creep_rate": 0.005, "creep_depth": 3e3},
}


def places(look, lon=None, lat=None, n=60, seed=0, within=0.5):
    """Points around (30, 40) that all look in one direction."""
    rng = np.random.default_rng(seed)
    lon = rng.uniform(30 - within, 30 + within, n) if lon is None else np.array(lon, float)
    lat = rng.uniform(40 - 0.8 * within, 40 + 0.8 * within, n) if lat is None else np.array(lat, float)
    return Places(lon, lat, tuple(np.full(lon.size, part) for part in look))


def evaluate(name, where, **changed):
    return MODELS[name](where, **{"lon": 30.0, "lat": 40.0} | SOURCES[name] | changed)


@pytest.mark.parametrize("name", MODELS)
def test_the_line_of_sight_adds_what_components_seen_alone_give(name):
    parts = [evaluate(name, places(look)) for look in (EAST, NORTH, UP)]
    np.testing.assert_allclose(evaluate(name, places(ASCENDING)), np.tensordot(ASCENDING, parts, 1), atol=1e-16)


@pytest.mark.parametrize("name", MODELS)
def test_motion_is_linear_in_what_moves(name):
    moving = {"mogi": ["volume"], "okada": ["slip"], "screw": ["slip_rate"], "creep": ["slip_rate", "creep_rate"]}[name]
    twice = {key: 2 * SOURCES[name][key] for key in moving}
    where = places(ASCENDING)
    np.testing.assert_allclose(evaluate(name, where, **twice), 2 * evaluate(name, where), rtol=1e-12)


@pytest.mark.parametrize("name", MODELS)
def test_a_model_survives_pickling(name):
    where = places(ASCENDING)
    model = pickle.loads(pickle.dumps(MODELS[name]))
    np.testing.assert_array_equal(model(where, lon=30.0, lat=40.0, **SOURCES[name]), evaluate(name, where))


@pytest.mark.parametrize("name", MODELS)
def test_a_model_needs_looks(name):
    with pytest.raises(SchemaError, match=r"the observations have no look vectors"):
        evaluate(name, Places(np.array([30.0]), np.array([40.0])))


@pytest.mark.parametrize("name", MODELS)
def test_turns_of_longitude_make_no_difference(name):
    where = places(ASCENDING)
    turned = Places(where.lon + 360.0, where.lat, where.look)
    np.testing.assert_allclose(evaluate(name, turned), evaluate(name, where), rtol=1e-7)


def test_an_inflating_sphere_pushes_away_and_up():
    east = evaluate("mogi", places(EAST, lon=[29.9, 30.1], lat=[40.0, 40.0]))
    north = evaluate("mogi", places(NORTH, lon=[30.0, 30.0], lat=[39.9, 40.1]))
    up = evaluate("mogi", places(UP, lon=[30.0], lat=[40.0]))
    assert east[0] < 0 < east[1]
    assert north[0] < 0 < north[1]
    assert up[0] == pytest.approx(0.75 / np.pi * 3e6 / 5e3**2)


def test_far_from_a_sphere_motion_falls_with_the_square_of_the_distance():
    near, far = evaluate("mogi", places(EAST, lon=[32.0, 34.0], lat=[40.0, 40.0]))
    assert near / far == pytest.approx(4.0, rel=2e-3)


def test_a_right_lateral_fault_that_strikes_north_moves_the_east_side_south():
    sides = {"lon": [29.9, 30.1], "lat": [40.0, 40.0]}
    west, east = evaluate("screw", places(NORTH, **sides), strike=0.0)
    assert west > 0 > east
    west, east = evaluate("creep", places(NORTH, **sides), strike=0.0, slip_rate=0.0)
    assert west > 0 > east
    rupture = {"strike": 0.0, "dip": 90.0, "rake": 180.0, "depth": 0.0}
    west, east = evaluate("okada", places(NORTH, **sides), **rupture)
    assert west > 0 > east


def test_a_long_right_lateral_rupture_below_a_depth_is_the_screw_model():
    where = places(ASCENDING, within=0.1)  # planes differ from the sphere by metres
    fault = {"lon": 30.0, "lat": 40.0, "strike": 75.0}
    screw = screw_model(where, **fault, slip_rate=0.02, locking_depth=10e3)
    deep = {"depth": 10e3, "length": 1e8, "width": 1e8, "dip": 90.0, "rake": 180.0}
    np.testing.assert_allclose(okada_model(where, **fault, **deep, slip=0.02), screw, atol=1e-3 * 0.01)


def test_a_long_right_lateral_rupture_down_to_a_depth_is_the_creep_of_the_creep_model():
    where = places(ASCENDING, within=0.1)  # planes differ from the sphere by metres
    fault = {"lon": 30.0, "lat": 40.0, "strike": 75.0}
    creep = creep_model(where, **fault, slip_rate=0.0, locking_depth=10e3, creep_rate=0.005, creep_depth=4e3)
    shallow = {"depth": 0.0, "length": 1e8, "width": 4e3, "dip": 90.0, "rake": 180.0}
    np.testing.assert_allclose(okada_model(where, **fault, **shallow, slip=0.005), creep, atol=1e-3 * 0.0025)


def test_two_faults_one_below_the_other_are_one():
    where = places(ASCENDING)
    x, y, depth = lower_edge(0.0, 0.0, FAULT["depth"], strike=40.0, dip=50.0, width=6e3)
    half = FAULT | {"width": 6e3}
    metres = 6371008.8 * np.pi / 180
    below = {"lat": 40.0 + y / metres, "lon": 30.0 + x / metres / np.cos(np.radians(40.0)), "depth": depth}
    parts = evaluate("okada", where, **half) + evaluate("okada", where, **half | below)
    np.testing.assert_allclose(parts, evaluate("okada", where), atol=1e-3)  # the planes differ by metres in 100 km


def great_circle(lon, lat, strike, degrees):
    """Longitudes and latitudes at distances along a great circle through a point, by the haversine's formulas."""
    arc, turn, phi = np.radians(degrees), np.radians(strike), np.radians(lat)
    there = np.arcsin(np.sin(phi) * np.cos(arc) + np.cos(phi) * np.sin(arc) * np.cos(turn))
    aside = np.arctan2(np.sin(turn) * np.sin(arc) * np.cos(phi), np.cos(arc) - np.sin(phi) * np.sin(there))
    return np.column_stack([lon + np.degrees(aside), np.degrees(there)])


@pytest.mark.parametrize("strike", [0.0, 30.0, 90.0, 255.0])
def test_a_trace_along_a_great_circle_is_the_screw_model_degrees_away(strike):
    """Of 20 mm/yr, 0.03 mm/yr are left: a trace takes its strike at the nearest point, where meridians lean."""
    trace = great_circle(30.0, 40.0, strike, np.linspace(-6, 6, 241))
    rng = np.random.default_rng(1)
    near = trace[rng.integers(40, 200, 200)] + rng.uniform(-0.4, 0.4, (200, 2))  # up to 4 degrees along strike
    where = places(ASCENDING, lon=near[:, 0], lat=near[:, 1])
    got = TraceScrew(trace)(where, slip_rate=0.02, locking_depth=12e3)
    wanted = screw_model(where, lon=30.0, lat=40.0, strike=strike, slip_rate=0.02, locking_depth=12e3)
    np.testing.assert_allclose(got, wanted, atol=3e-5)


def test_a_fault_along_a_meridian_three_degrees_away_is_as_far_as_it_is_there():
    """The width of a degree is that at the place, not that at the point of the fault."""
    where = places(NORTH, lon=[30.2], lat=[43.0])
    metres = 6371008.8 * np.arcsin(np.cos(np.radians(43.0)) * np.sin(np.radians(0.2)))
    wanted = -0.02 / np.pi * np.arctan(metres / 12e3)
    got = screw_model(where, lon=30.0, lat=40.0, strike=0.0, slip_rate=0.02, locking_depth=12e3)
    assert got[0] == pytest.approx(
        wanted, rel=1e-5
    )  # north there leans from north on the fault by a seventh of a degree


@pytest.mark.parametrize("name", ["screw", "creep"])
def test_any_point_of_a_straight_fault_will_do(name):
    where = places(ASCENDING, lon=np.linspace(28, 34, 50))
    before, (lon, lat), after = great_circle(30.0, 40.0, 80.0, np.array([1.99, 2.0, 2.01]))
    step = after - before
    strike = np.degrees(np.arctan2(step[0] * np.cos(np.radians(lat)), step[1]))
    other = evaluate(name, where, lon=lon, lat=lat, strike=strike)
    np.testing.assert_allclose(other, evaluate(name, where), atol=2e-8)


def test_the_great_circle_is_that_of_plain_vectors():
    rng = np.random.default_rng(2)
    lon, lat = rng.uniform(-180, 180, 100), rng.uniform(-89, 89, 100)
    got = distance_to_great_circle(lon, lat, (10.0, 50.0, 70.0), 1.0)

    def unit(lon, lat):
        turn, rise = np.radians(lon), np.radians(lat)
        return np.array([np.cos(rise) * np.cos(turn), np.cos(rise) * np.sin(turn), np.sin(rise)])

    ahead = great_circle(10.0, 50.0, 70.0, np.array([90.0]))[0]
    pole = np.cross(unit(10.0, 50.0), unit(*ahead))
    p = unit(lon, lat)
    along = np.cross(pole, p.T)
    along /= np.linalg.norm(along, axis=1, keepdims=True)
    east = np.array([-np.sin(np.radians(lon)), np.cos(np.radians(lon)), 0 * lon])
    np.testing.assert_allclose(got[0], np.arcsin(pole @ p), atol=1e-12)
    np.testing.assert_allclose(got[1], np.sum(along.T * east, axis=0), atol=1e-12)
    np.testing.assert_allclose(got[2], along[:, 2] / np.cos(np.radians(lat)), atol=1e-9)
    assert np.isnan(distance_to_great_circle(np.array([np.nan]), np.array([1.0]), (0.0, 0.0, 0.0), 1.0)[0]).all()


@pytest.mark.parametrize("value", [0.0, -5e3, np.nan, np.inf])
@pytest.mark.parametrize(
    ("name", "depth"),
    [("mogi", "depth"), ("screw", "locking_depth"), ("creep", "locking_depth"), ("creep", "creep_depth")],
)
def test_a_depth_that_is_none_is_refused_by_name(name, depth, value):
    with pytest.raises(SchemaError, match=f"^{depth} of a source must be positive and finite, in m, got {value}$"):
        evaluate(name, places(ASCENDING), **{depth: value})


def test_a_trace_refuses_a_locking_depth_that_is_none():
    with pytest.raises(SchemaError, match="locking_depth of a source must be positive and finite, in m, got -1"):
        TraceScrew([(29.0, 40.0), (30.0, 40.2)])(places(ASCENDING), slip_rate=0.02, locking_depth=-1.0)


def test_distances_to_a_trace_are_measured_once_for_each_set_of_places(monkeypatch):
    asked = []
    monkeypatch.setattr(forward, "fault_distance", lambda *args: asked.append(args) or fault_distance(*args))
    model, other = TraceScrew([(29.0, 40.3), (30.0, 40.2)]), TraceScrew([(29.0, 40.3), (30.0, 40.1)])
    here, there = places(ASCENDING, seed=7), places(ASCENDING, seed=8)
    again = Places(here.lon.copy(), here.lat.copy(), here.look)
    values = {"slip_rate": 0.02, "locking_depth": 9e3}
    first = model(here, **values)
    np.testing.assert_array_equal(model(again, slip_rate=0.01, locking_depth=9e3) * 2, first)
    assert len(asked) == 1
    assert not np.array_equal(model(there, **values), first)
    assert not np.array_equal(other(here, **values), first)
    assert len(asked) == 3
    whole = Places(np.array([30, 31]), np.array([40, 41]), tuple(np.full(2, v) for v in ASCENDING))
    floats = Places(np.array([30.0, 31.0]), np.array([40.0, 41.0]), whole.look)
    np.testing.assert_array_equal(model(whole, **values), model(floats, **values))


def test_along_a_bent_trace_each_side_follows_its_piece():
    trace = [(29.0, 40.0), (30.0, 40.0), (30.0, 39.0)]  # east, then south
    model = TraceScrew(np.array(trace))
    far = {"slip_rate": 0.02, "locking_depth": 10.0}
    north_side, east_side = {"lon": [29.5], "lat": [40.1]}, {"lon": [30.1], "lat": [39.5]}
    np.testing.assert_allclose(model(places(EAST, **north_side), **far), 0.01, rtol=1e-3)
    np.testing.assert_allclose(model(places(NORTH, **east_side), **far), -0.01, rtol=1e-3)
    np.testing.assert_allclose(model(places(EAST, **east_side), **far), 0.0, atol=1e-9)


def test_a_model_along_a_trace_survives_pickling_and_knows_its_parameters():
    model = TraceScrew([(29.0, 40.0), (30.0, 40.2)])
    assert model_parameters(model) == {"slip_rate": None, "locking_depth": None}
    where = places(ASCENDING)
    values = {"slip_rate": 0.02, "locking_depth": 9e3}
    again = pickle.loads(pickle.dumps(model))
    assert again == model
    np.testing.assert_array_equal(again(where, **values), model(where, **values))


def test_a_trace_across_the_antimeridian_is_one_line():
    lon, lat = np.array([179.5, 180.5, 181.5]), np.array([0.1, 0.1, -0.1])
    wanted = fault_distance(Places(lon, lat), [(179.0, -0.2), (181.0, 0.3)])
    for turned in (lon - 360.0, lon + 720.0, (lon + 180.0) % 360.0 - 180.0):
        for trace in ([(179.0, -0.2), (-179.0, 0.3)], [(-181.0, -0.2), (181.0, 0.3)]):
            np.testing.assert_allclose(fault_distance(Places(turned, lat), trace), wanted, rtol=1e-9)


@given(turn=st.integers(0, 3))
def test_repeated_points_of_a_trace_do_not_count(turn):
    trace = [(29.0, 40.0), (30.0, 40.2), (30.7, 40.0)]
    doubled = [*trace[:turn], trace[min(turn, 2)], *trace[turn:]]
    where = places(ASCENDING)
    np.testing.assert_array_equal(fault_distance(where, doubled), fault_distance(where, trace))


@pytest.mark.parametrize(
    "trace",
    [[], [(30.0, 40.0)], [(30.0, 40.0)] * 3, [1.0, 2.0], [(1, 2), (np.nan, 3)], [(1, 2, 3), (4, 5, 6)], None, "x"],
)
def test_a_trace_without_two_points_is_refused(trace):
    with pytest.raises(
        SchemaError, match=r"a fault trace needs two or more different points of \(longitude, latitude\)"
    ):
        TraceScrew(trace)
