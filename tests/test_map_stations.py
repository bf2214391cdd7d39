"""Stations on maps: what their circles and arrows show, in which datum, and which names are written."""

from typing import Any

import numpy as np
import pytest
import xarray as xr
from lazy import no_compute
from matplotlib.figure import Figure
from matplotlib.quiver import Quiver
from synthetic import lattice_dataset, look_vector, small_window

from mimtpy_cloud.errors import SchemaError
from mimtpy_cloud.view.map import plot_components, plot_map
from mimtpy_cloud.view.stations import Marks, marks_of, places_of

WINDOW = small_window(60, 40)
PLACES = ([5, 20, 35], [10, 30, 50])
EAST, NORTH, UP = np.array([0.03, 0.04, 0.05]), np.array([0.01, 0.02, 0.0]), np.array([0.001, -0.002, 0.004])


def stations(frame: str = "IGS14", **more: Any) -> xr.Dataset:
    motion = {"east": EAST, "north": NORTH, "up": UP} | more
    data = {name: ("station", np.asarray(values), {"units": "m/yr"}) for name, values in motion.items()}
    lon, lat = WINDOW.x[PLACES[0]], WINDOW.y[PLACES[1]]
    coords = {"station": ["ANKR", "TOKA", "CORU"], "lon": ("station", lon), "lat": ("station", lat)}
    return xr.Dataset(data, coords, {"frame": frame})


def velocity(**options: Any) -> xr.Dataset:
    incidence = np.linspace(30, 45, 40)[np.newaxis, :]
    return lattice_dataset(WINDOW, incidence_angle=incidence, **{"velocity": 0.0} | options)


def marks(ds: xr.Dataset, name: str, table: xr.Dataset) -> Marks:
    with no_compute():
        there, pixels = places_of(ds.chunk(y=7), [name], table)
    return marks_of(ds, name, there, pixels.compute(), named=True)


def circles_of(figure: Figure, panel: int = 0) -> np.ndarray:
    (circles,) = (c for c in figure.axes[panel].collections if len(c.get_sizes()) and c.get_array() is not None)
    return np.asarray(circles.get_array())


def quiver_of(figure: Figure, panel: int = 0) -> Quiver:
    (quiver,) = (c for c in figure.axes[panel].collections if isinstance(c, Quiver))
    return quiver


def test_circles_show_the_motion_toward_the_satellite_with_the_look_of_their_own_pixel():
    ds = velocity(reference_frame="IGS14")
    looks = look_vector(np.linspace(30, 45, 40)[PLACES[0]], 102.0)
    expected = EAST * looks[0] + NORTH * looks[1] + UP * looks[2]
    np.testing.assert_allclose(marks(ds, "velocity", stations()).seen, expected)
    figure = plot_map(ds, stations=stations())
    np.testing.assert_allclose(circles_of(figure), expected * 1e3)
    assert expected[0] < 0  # an ascending track looks east: motion to the east is away from the satellite


def test_a_map_of_a_component_shows_that_component():
    ds = velocity(reference_frame="IGS14", azimuth=90.0)
    maps = {name: (("y", "x"), np.zeros(WINDOW.shape), {"units": "m/yr"}) for name in ("east", "up", "horizontal")}
    ds = ds.assign(maps)
    for name, motion in (("east", EAST), ("up", UP), ("horizontal", EAST)):
        np.testing.assert_allclose(marks(ds, name, stations()).seen, motion, atol=1e-12)


@pytest.mark.parametrize("name", ["displacement", "temporal_coherence", "valid", "height"])
def test_circles_of_maps_that_are_no_rates_are_white(name):
    ds = velocity(reference_frame="IGS14").assign(
        displacement=(("y", "x"), np.ones(WINDOW.shape), {"units": "m"}),
        height=(("y", "x"), np.ones(WINDOW.shape), {"units": "m"}),
    )
    assert np.isnan(marks(ds, name, stations()).seen).all()
    figure = plot_map(ds, name, stations=stations())
    assert quiver_of(figure).N == 3


def test_stations_of_another_frame_lose_the_median_and_the_map_says_how_much():
    ds = velocity(velocity=0.002)
    found = marks(ds, "velocity", stations())
    assert np.median(found.seen) == pytest.approx(0.002)
    np.testing.assert_allclose([np.median(found.east), np.median(found.north)], 0.0, atol=1e-12)
    np.testing.assert_allclose(found.east, [-10, 0, 10])
    texts = " ".join(t.get_text() for t in plot_map(ds, stations=stations()).axes[0].texts).replace("\n", " ")
    assert "mm/yr, GNSS stations in IGS14; arrows less east 40, north 10 mm/yr; circles: median" in texts
    assert "difference to the map, -30 mm/yr, taken out" in texts


@pytest.mark.parametrize(("frame", "attrs"), [("IGS14", {"reference_frame": "IGS14"}), ("EU", {}), ("NA12", {})])
def test_arrows_of_a_frame_that_means_something_are_drawn_as_they_are(frame, attrs):
    found = marks(velocity(**attrs), "velocity", stations(frame))
    np.testing.assert_allclose(found.east, EAST * 1e3)
    assert "arrows less" not in found.label


def test_stations_lose_the_plate_that_the_map_has_lost():
    plate = {"plate": "Eurasia", "mas_per_year": [-0.085, -0.531, 0.77]}
    found = marks(velocity(reference_frame="IGS14", plate_motion=plate), "velocity", stations())
    assert (found.east < EAST * 1e3 - 5).all()


def test_a_unit_other_than_metres_is_respected():
    ds = velocity(reference_frame="IGS14")
    ds["velocity"] = (ds["velocity"] * 1e3).assign_attrs(units="mm/yr")
    metres = marks(velocity(reference_frame="IGS14"), "velocity", stations())
    np.testing.assert_allclose(marks(ds, "velocity", stations()).seen, metres.seen * 1e3)


def test_a_station_without_vertical_motion_is_white_on_a_map_of_velocity():
    table = stations(up=[0.001, np.nan, 0.004])
    assert np.isfinite(marks(velocity(), "velocity", table).seen).tolist() == [True, False, True]


def test_key_arrow_is_round_and_on_the_scale_of_the_arrows():
    figure = plot_map(velocity(reference_frame="IGS14"), stations=stations())
    (key,) = (a for a in figure.axes[0].artists if hasattr(a, "U"))
    assert key.U == 20.0  # mm/yr, below the 90th percentile of the speeds
    assert quiver_of(figure).U.tolist() == pytest.approx([30, 40, 50])


def test_names_are_written_on_request_and_never_on_each_other():
    ds = velocity()
    written = [t.get_text() for t in plot_map(ds, stations=stations(), station_names=True).axes[0].texts]
    assert {"ANKR", "TOKA", "CORU"} <= set(written)
    assert "ANKR" not in [t.get_text() for t in plot_map(ds, stations=stations()).axes[0].texts]
    table = stations()
    crowd = xr.concat([table.isel(station=[0])] * 5, "station").assign_coords(station=list("ABCDE"))
    found = marks(ds, "velocity", crowd)
    assert [k for k, _ in found.sides(10.0, 10.0)] == [0, 1]  # one below, one above
    assert [side for _, side in found.sides(10.0, 10.0)] == [1, -1]


@pytest.mark.parametrize("left", [False, True])
def test_the_scale_bar_keeps_from_the_stations(left):
    table = stations().isel(station=[0]).assign_coords(lat=("station", WINDOW.y[[55]]))
    table = table.assign_coords(lon=("station", WINDOW.x[[4 if left else 36]]))
    ax = plot_map(velocity(), stations=table).axes[0]
    (bar,) = (e for e in ax.get_lines() if e.get_linewidth() == 2)
    assert (bar.get_xdata()[0] > np.mean(ax.get_xlim())) == left


def test_the_text_below_a_map_does_not_part_a_number_from_its_unit():
    found = marks(velocity(velocity=0.002), "velocity", stations())
    for width in np.linspace(2, 9, 30):
        lines = found.text(float(width)).splitlines()
        assert not any(line.startswith("mm/yr") for line in lines[1:])
        assert "\xa0" not in "".join(lines)


def test_components_have_circles_of_their_own_and_uncertainties_none():
    maps = {name: (("y", "x"), np.zeros(WINDOW.shape), {"units": "m/yr"}) for name in ("east", "up", "east_std")}
    ds = velocity(reference_frame="IGS14").drop_vars(["velocity", "velocity_std"]).assign(maps)
    figure = plot_components(ds, stations=stations())
    np.testing.assert_allclose(circles_of(figure, 0), EAST * 1e3)
    np.testing.assert_allclose(circles_of(figure, 1), UP * 1e3)
    assert not any(isinstance(c, Quiver) for c in figure.axes[2].collections)


def test_stations_that_lie_elsewhere_are_refused():
    far = stations().assign_coords(lon=("station", [0.0, 1.0, 2.0]))
    with pytest.raises(SchemaError, match="none of 3 stations lies on the map"):
        plot_map(velocity(), stations=far)
    with pytest.raises(SchemaError, match="needs up"):
        plot_map(velocity(), stations=stations().drop_vars("up"))


def test_a_map_alone_takes_stations_too():
    figure = plot_map(velocity()["velocity"], stations=stations())
    assert quiver_of(figure).N == 3  # without look vectors the circles are white
