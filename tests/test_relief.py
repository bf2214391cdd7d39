"""Shaded relief: which slopes are bright, whatever the pixels, and where it comes from."""

from pathlib import Path

import numpy as np
import pytest
import xarray as xr
from lazy import no_compute
from synthetic import lattice_dataset, small_window

from mimtpy_cloud.errors import SchemaError, SourceFormatError
from mimtpy_cloud.exports.geotiff import write_cog
from mimtpy_cloud.kernels.relief import shade_relief
from mimtpy_cloud.view.map import plot_map
from mimtpy_cloud.view.relief import heights_of, layer_of

WINDOW = small_window(24, 30)


def cone(ny: int = 41, nx: int = 41) -> np.ndarray:
    """A mountain in the middle; rows run from north to south."""
    y, x = np.mgrid[:ny, :nx]
    return 1000.0 - 20.0 * np.hypot(y - ny // 2, x - nx // 2)


def product() -> xr.Dataset:
    ds = lattice_dataset(WINDOW, velocity=0.01)
    x, y = np.meshgrid(ds.x, ds.y)
    return ds.assign(height=(("y", "x"), 3e4 * (x - y), {"units": "m"}))  # rises to the south-east: faces the light


def test_the_side_of_a_mountain_toward_the_light_is_bright():
    shade = shade_relief(cone(), 90.0, 90.0)
    assert shade[10, 10] > 0.3  # north-west of the top
    assert shade[30, 30] < -0.3
    assert abs(shade[10, 30]) < 1e-9  # along the light
    from_east = shade_relief(cone(), 90.0, 90.0, azimuth=90.0)
    assert from_east[20, 30] > 0.3 > from_east[20, 10]


def test_relief_does_not_depend_on_the_height_of_hills_and_stays_between_black_and_white():
    shade = shade_relief(cone(), 90.0, 90.0)
    np.testing.assert_allclose(shade_relief(cone() * 7 + 100, 30.0, 30.0), shade, atol=1e-12)
    assert abs(shade).max() < 1


@pytest.mark.parametrize("heights", [np.zeros((5, 6)), np.full((5, 6), np.nan), np.ones((1, 1)), np.ones((1, 4))])
def test_flat_ground_and_no_data_have_no_relief(heights):
    assert not shade_relief(heights, 1.0, 1.0).any()


def test_a_hole_in_the_heights_is_flat_and_takes_no_neighbour_along():
    heights = cone()
    heights[5, 5] = np.nan
    shade = shade_relief(heights, 90.0, 90.0)
    assert shade[5, 5] == 0
    assert np.isfinite(shade).all()
    np.testing.assert_allclose(shade[30:, 30:], shade_relief(cone(), 90.0, 90.0)[30:, 30:], atol=0.01)


def test_light_slopes_are_covered_by_white_dark_ones_by_black_flat_ones_by_nothing():
    layer = layer_of(np.array([[0.5, -0.5, 0.0]]))
    assert layer[0, 0, :3].tolist() == [1, 1, 1]
    assert layer[0, 1, :3].tolist() == [0, 0, 0]
    assert 0 < layer[0, 0, 3] < 0.5
    assert layer[0, 2, 3] == 0


def test_relief_lies_over_the_colours_alone_and_leaves_their_bar():
    figure = plot_map(product(), relief="height", faults=np.array([[-119.0, 37.0], [-118.9, 36.9]]))
    ax = figure.axes[0]
    values, relief = ax.images
    assert values.get_array().shape == relief.get_array().shape[:2]
    assert relief.get_extent() == values.get_extent()
    assert values.get_zorder() < relief.get_zorder() < min(line.get_zorder() for line in ax.collections)
    assert np.asarray(relief.get_array())[3, 3, 0] == 1.0  # it faces the light
    assert ax.get_xlim() == pytest.approx((WINDOW.bounds[0], WINDOW.bounds[2]))
    assert len(plot_map(product()).axes[0].images) == 1


def test_heights_are_taken_lazily_from_the_product_or_an_array():
    ds = product().chunk(y=5)
    with no_compute():
        named, given = heights_of(ds, "height", 12), heights_of(ds["velocity"], ds["height"], 12)
    xr.testing.assert_equal(named.compute(), given.compute())
    assert named.shape == (12, 10)


def test_a_dem_on_another_grid_is_read_where_the_map_lies(tmp_path: Path):
    wide = small_window(80, 90, n=250, west=-119.05, north=37.05)
    x, y = np.meshgrid(wide.x, wide.y)
    plane = lattice_dataset(wide, velocity=0.0)["velocity"].copy(data=100 * x + 1000 * y)
    plane = plane.rename("dem").assign_attrs(units="m", long_name="height")
    write_cog(plane, tmp_path / "dem.tif")
    found = heights_of(product(), tmp_path / "dem.tif", 1500)
    assert found.shape == WINDOW.shape
    x, y = np.meshgrid(WINDOW.x, WINDOW.y)
    np.testing.assert_allclose(found, 100 * x + 1000 * y, atol=0.05)  # exact between pixels, as the plane is one
    assert len(plot_map(product()["velocity"], relief=str(tmp_path / "dem.tif")).axes[0].images) == 2
    far = lattice_dataset(small_window(9, 9, west=10.0), velocity=0.0)
    with pytest.raises(SchemaError, match="no part of which lies under the map"):
        plot_map(far, relief=str(tmp_path / "dem.tif"))


def test_heights_that_are_missing_or_do_not_fit_are_named(tmp_path: Path):
    ds = product()
    with pytest.raises(SchemaError, match="needs the variable height"):
        plot_map(ds.drop_vars("height"), relief="height")
    with pytest.raises(SchemaError, match=r"on the grid of the map, 24 x 30, got shape \(9, 30\)"):
        plot_map(ds, relief=ds["height"][:9])
    (tmp_path / "dem.tif").write_text("no raster")
    with pytest.raises(SourceFormatError, match="cannot be read as GeoTIFF"):
        plot_map(ds, relief=str(tmp_path / "dem.tif"))
