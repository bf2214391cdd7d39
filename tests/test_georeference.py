"""The CF grid mapping."""

import json

import numpy as np
import pytest
import rioxarray  # noqa: F401
import xarray as xr
from pyproj import CRS

from mimtpy_cloud.io.georeference import coordinates, spatial_ref_attrs
from mimtpy_cloud.plan.grid import Grid, Window

GRIDS = [
    Grid(100, 40, 0.01, 0.02, 8, 6),
    Window.covering(1250, (-70.3, -33.1, -70.2, -33.0)).grid,
    Grid(500_000, 5_300_000, 90, 80, 7, 5, "EPSG:32632"),
]


@pytest.mark.filterwarnings("ignore:Use `@` matmul:PendingDeprecationWarning")  # rioxarray's own
@pytest.mark.parametrize("grid", GRIDS)
def test_rioxarray_finds_crs_transform_and_bounds(grid):
    da = xr.DataArray(
        np.zeros((grid.ny, grid.nx), "float32"),
        coords=coordinates(grid.x, grid.y, grid.crs),
        dims=("y", "x"),
        attrs={"grid_mapping": "spatial_ref"},
    )
    assert CRS(da.rio.crs) == CRS(grid.crs)
    assert da.rio.transform().to_gdal() == pytest.approx(grid.transform)
    assert da.rio.bounds() == pytest.approx(grid.bounds)


@pytest.mark.parametrize("grid", GRIDS)
def test_attributes_are_cf_and_survive_json(grid):
    attrs = spatial_ref_attrs(grid)
    assert json.loads(json.dumps(attrs)) == attrs
    assert tuple(map(float, attrs["GeoTransform"].split())) == grid.transform  # to the last bit
    names = {"EPSG:4326": "latitude_longitude", "EPSG:32632": "transverse_mercator"}
    assert attrs["grid_mapping_name"] == names[grid.crs]
    assert CRS.from_cf(attrs) == CRS(grid.crs)


def test_changing_the_attributes_changes_no_other_grid():
    spatial_ref_attrs(GRIDS[0])["crs_wkt"] = "nothing"
    assert spatial_ref_attrs(GRIDS[0])["crs_wkt"].startswith("GEOGC")


def test_coordinates_say_what_they_are_and_hold_no_transform_that_could_go_stale():
    utm, degrees = (coordinates(grid.x, grid.y, grid.crs) for grid in (GRIDS[2], GRIDS[0]))
    assert utm["y"].attrs["units"] == utm["x"].attrs["units"] == "m"
    assert degrees["y"].attrs["standard_name"] == "latitude"
    assert (degrees["spatial_ref"].dims, degrees["spatial_ref"].dtype) == ((), np.int32)
    assert "GeoTransform" not in degrees["spatial_ref"].attrs
