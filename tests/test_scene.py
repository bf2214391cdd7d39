"""Scenes without data, and a look that is the same everywhere."""

import numpy as np
import pytest
from lazy import no_compute
from synthetic import lattice_dataset, small_window

from mimtpy_cloud.errors import SchemaError
from mimtpy_cloud.exports.grids import grid_of
from mimtpy_cloud.kernels.look import los_unit_vector
from mimtpy_cloud.ops.forward import okada_model
from mimtpy_cloud.ops.model import evaluate_model
from mimtpy_cloud.ops.scene import blank_scene, constant_look
from mimtpy_cloud.plan.grid import Grid, Window


def test_a_blank_scene_has_the_grid_that_was_asked_for():
    window = Window.covering(125, (36.0, 37.0, 37.0, 38.0))
    with no_compute():
        scene = blank_scene(window)
    assert Window.of(scene.x.values, scene.y.values) == window
    assert (scene.attrs["resolution"], scene.attrs["pixels_per_degree"]) == ("veryLowRes", 125)
    assert all(v.chunks for v in scene.data_vars.values())
    utm = Grid(4e5, 4.5e6, 100.0, 100.0, 30, 20, "EPSG:32637")
    assert grid_of(blank_scene(utm)) == utm
    assert blank_scene(utm).x.attrs["units"] == "m"


@pytest.mark.parametrize(
    ("heading", "side", "east"), [(-12, "right", -1), (348, "right", -1), (-168, "right", 1), (-12, "left", 1)]
)
def test_the_look_is_from_the_ground_to_the_satellite(heading, side, east):
    scene = constant_look(
        lattice_dataset(small_window(), velocity=0.0), incidence=39.0, heading=heading, look_side=side
    )
    assert (np.sign(scene["los_east"]) == east).all()
    np.testing.assert_allclose(scene["los_up"], np.cos(np.radians(39)), atol=1e-7)
    if side == "right":
        azimuth = 90.0 - heading
        np.testing.assert_allclose(scene["los_north"], los_unit_vector(39.0, azimuth)[1], atol=1e-7)


def test_a_source_is_seen_from_the_side_of_the_satellite():
    window = Window.covering(50, (36.0, 37.0, 38.0, 39.0))
    fault = {"lon": 37.0, "lat": 38.0, "depth": 1e3, "length": 40e3, "width": 15e3, "strike": 0, "dip": 90}
    fault |= {"rake": 180.0, "slip": 1.0}  # right-lateral: the east side moves south
    east = {"x": 37.05, "y": 38.0, "method": "nearest"}
    flat = [blank_scene(window, incidence=89.0, heading=h) for h in (90.0, -90.0)]  # seen from the north, and the south
    north, south = (float(evaluate_model(okada_model, ds, **fault).sel(**east)) for ds in flat)
    assert north < -0.2
    assert south == pytest.approx(-north, rel=0.05)


@pytest.mark.parametrize(
    ("look", "message"),
    [
        ({"incidence": 90.0}, "incidence must be from 0 to below 90 degrees, got 90"),
        ({"heading": float("inf")}, "heading must be degrees clockwise from north, got inf"),
        ({"look_side": "up"}, "'right' or 'left', got 'up'"),
    ],
)
def test_impossible_looks_are_refused(look, message):
    with pytest.raises(SchemaError, match=message):
        blank_scene(small_window(), **look)
