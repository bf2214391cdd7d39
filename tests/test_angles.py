"""Angles and places as maps."""

import numpy as np
import pytest
import xarray as xr
from hypothesis import given
from lazy import no_compute
from strategies import chunkings
from synthetic import lattice_dataset, small_window

from mimtpy_cloud.errors import GridMismatchError, SchemaError
from mimtpy_cloud.kernels.look import los_unit_vector
from mimtpy_cloud.ops.angles import look_angles, pixel_places

WINDOW = small_window(5, 7)


def looks(azimuth: float = -102.0) -> xr.Dataset:
    incidence = np.linspace(30, 45, 35, dtype="float32").reshape(5, 7)
    names = ("los_east", "los_north", "los_up")
    ds = lattice_dataset(WINDOW, velocity=np.zeros(WINDOW.shape))
    vectors = los_unit_vector(incidence, np.full((5, 7), azimuth, "float32"))
    return ds.assign({name: (("y", "x"), vector) for name, vector in zip(names, vectors, strict=True)})


def test_angles_are_those_the_looks_were_made_of():
    found = look_angles(looks())
    np.testing.assert_allclose(found["los_azimuth_angle"], -102, atol=1e-4)  # descending: the satellite is in the east
    np.testing.assert_allclose(found["incidence_angle"].values.ravel()[[0, -1]], [30, 45], atol=1e-4)
    assert {da.attrs["units"] for da in found.data_vars.values()} == {"degrees"}


@given(chunks=chunkings(y=5, x=7))
def test_chunked_equals_numpy_and_nothing_is_computed(chunks):
    with no_compute():
        lazy, places = look_angles(looks().chunk(chunks)), pixel_places(looks().chunk(chunks))
    xr.testing.assert_equal(lazy.compute(), look_angles(looks()))
    np.testing.assert_array_equal(places["longitude"][0], WINDOW.x)
    np.testing.assert_array_equal(places["latitude"][:, 3], WINDOW.y)


def test_what_lacks_looks_or_degrees_is_refused():
    with pytest.raises(SchemaError, match="needs los_east"):
        look_angles(looks().drop_vars("los_east"))
    metres = looks()
    metres["x"].attrs["units"] = "m"
    with pytest.raises(GridMismatchError, match="those of a grid in degrees, got x in m"):
        pixel_places(metres)
