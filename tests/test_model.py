"""Parameters of models, and lazy maps of them."""

from functools import partial

import numpy as np
import pytest
import xarray as xr
from hypothesis import given
from lazy import no_compute
from strategies import chunkings

from mimtpy_cloud.errors import GridMismatchError, SchemaError
from mimtpy_cloud.ops.forward import MODELS, TraceScrew, mogi_model, okada_model, screw_model
from mimtpy_cloud.ops.model import evaluate_model, model_parameters, require_parameters
from mimtpy_cloud.plan.places import Places

SOURCE = {"lon": 30.1, "lat": 40.0, "depth": 5e3, "volume": 1e6}
SCREW = {"lon": 30.1, "lat": 40.0, "strike": 80.0, "slip_rate": 0.02, "locking_depth": 9e3}


def scene(ny=5, nx=7):
    """Grid with a look that differs from pixel to pixel."""
    rng = np.random.default_rng(0)
    look = rng.normal([[[-0.6]], [[-0.1]], [[0.8]]], 0.02, (3, ny, nx)).astype(np.float32)
    look[:, 1, 2] = np.nan
    data = {name: (("y", "x"), part) for name, part in zip(("los_east", "los_north", "los_up"), look, strict=True)}
    return xr.Dataset(data, {"y": 40.2 - 0.05 * np.arange(ny), "x": 30.0 + 0.05 * np.arange(nx)})


def at_pixels(ds):
    lon, lat = np.meshgrid(ds.x, ds.y)
    return Places(lon.ravel(), lat.ravel(), tuple(ds[f"los_{part}"].values.ravel() for part in ("east", "north", "up")))


@given(chunks=chunkings(y=5, x=7))
def test_a_map_has_the_values_at_its_pixels_whatever_the_chunks(chunks):
    ds = scene()
    with no_compute():
        image = evaluate_model(mogi_model, ds.chunk(chunks), **SOURCE)
    assert image.chunks == ds.chunk(chunks).los_up.chunks
    wanted = mogi_model(at_pixels(ds), **SOURCE).reshape(5, 7)
    np.testing.assert_allclose(image, wanted.astype(np.float32), rtol=1e-6)
    assert np.isnan(image).sum() == 1


def test_a_map_says_what_it_is():
    image = evaluate_model(screw_model, scene().chunk(), **SCREW)
    assert (image.dims, image.dtype, image.name) == (("y", "x"), np.float32, "model")
    assert image.attrs["units"] == "m/yr"
    assert image.attrs["slip_rate"] == 0.02
    assert "screw_model" in image.attrs["long_name"]
    assert evaluate_model(mogi_model, scene(), **SOURCE).attrs["units"] == "m"
    xr.testing.assert_equal(image.x, scene().x)


def test_equal_maps_have_equal_task_names():
    ds = scene().chunk({"x": 3})
    one, same, other = (evaluate_model(mogi_model, ds, **SOURCE | {"depth": d}).data.name for d in (5e3, 5e3, 6e3))
    assert one == same != other


@pytest.mark.parametrize("model", [TraceScrew([(29.0, 40.0), (31.0, 40.1)]), partial(screw_model, **SCREW)])
def test_models_along_a_trace_or_with_parameters_bound_have_maps(model):
    values = {} if isinstance(model, partial) else {"slip_rate": 0.02, "locking_depth": 9e3}
    wanted = model(at_pixels(scene()), **values).reshape(5, 7)
    np.testing.assert_allclose(evaluate_model(model, scene(), **values), wanted, rtol=1e-6)


def test_a_map_needs_a_look():
    with pytest.raises(SchemaError, match="a map of a model needs los_up"):
        evaluate_model(mogi_model, scene().drop_vars("los_up"), **SOURCE)


def test_a_map_needs_a_grid_in_degrees():
    from pyproj import CRS

    projected = scene().assign_coords(spatial_ref=((), 0, {"crs_wkt": CRS.from_epsg(32636).to_wkt()}))
    with pytest.raises(GridMismatchError, match="a model needs a grid in degrees, got a map projection"):
        evaluate_model(mogi_model, projected, **SOURCE)


def test_a_map_needs_a_look_of_two_dimensions():
    with pytest.raises(SchemaError, match="los_east needs dimensions"):
        evaluate_model(mogi_model, scene().expand_dims("track"), **SOURCE)


def test_a_wrong_parameter_is_told_before_anything_runs():
    with no_compute(), pytest.raises(SchemaError, match="the model mogi_model does not know dept and lacks depth"):
        evaluate_model(mogi_model, scene().chunk(), lon=30.0, lat=40.0, dept=5e3, volume=1e6)


def test_parameters_have_their_defaults():
    assert list(model_parameters(okada_model)) == [
        *("lon", "lat", "depth", "length", "width", "strike", "dip", "rake", "slip", "opening", "nu")
    ]
    assert model_parameters(okada_model)["opening"] == 0.0
    assert model_parameters(okada_model)["slip"] is None
    assert all(None in model_parameters(model).values() for model in MODELS.values())


def test_bound_parameters_are_defaults():
    assert model_parameters(partial(mogi_model, lon=30.0, lat=40.0))["lon"] == 30.0


def test_missing_and_unknown_parameters_are_named():
    require_parameters(mogi_model, SOURCE)
    with pytest.raises(SchemaError, match=r"mogi_model lacks depth, volume; its parameters are lon, .*, nu=0.25"):
        require_parameters(mogi_model, ["lon", "lat"])
    with pytest.raises(SchemaError, match="mogi_model does not know radius; its parameters"):
        require_parameters(mogi_model, [*SOURCE, "radius"])


def test_a_model_that_takes_any_parameter_knows_all():
    def free(places, *, scale, **others):
        return scale * places.lon

    assert model_parameters(free) == {"scale": None}
    require_parameters(free, ["scale", "whatever"])
    with pytest.raises(SchemaError, match="free lacks scale"):
        require_parameters(free, ["whatever"])


@pytest.mark.parametrize("wrong", [lambda: 0, lambda *, depth: depth, 3.0, "mogi"])
def test_what_takes_no_places_is_no_model(wrong):
    with pytest.raises(SchemaError, match=r"a model must be callable as model\(places, \*\*parameters\), got"):
        model_parameters(wrong)
