"""``mimtpy extract`` and ``mimtpy convert``."""

import h5py
import numpy as np
import pytest
import rasterio
from click.testing import CliRunner
from he5files import NAME, SHAPE, product, series, write_h5, write_he5
from roipacfiles import phase, write_roipac

from mimtpy_cloud.catalog.ingest import ingest
from mimtpy_cloud.cli.app import cli
from mimtpy_cloud.cli.layers import find_layer
from mimtpy_cloud.cli.products import observe, open_product
from mimtpy_cloud.errors import SchemaError
from mimtpy_cloud.io.hdfeos5 import open_hdfeos5
from mimtpy_cloud.io.sources import open_source


def run(*args, code=0):
    result = CliRunner().invoke(cli, [str(arg) for arg in args], prog_name="mimtpy")
    assert result.exit_code == code, result.output + str(result.exception)
    return result


@pytest.mark.parametrize(
    ("layer", "path", "dataset"),
    [
        ("mask", "mask/mask", "quality/mask"),
        ("temporalCoherence", "coherence/temporal_coherence", "quality/temporalCoherence"),
        ("avg_spatial_coherence", "coherence/avg_spatial_coherence", "quality/avgSpatialCoherence"),
        ("height", "geometry/height", "geometry/height"),
        ("incidenceAngle", "geometry/incidence_angle", "geometry/incidenceAngle"),
        ("azimuthAngle", "geometry/los_azimuth_angle", "geometry/azimuthAngle"),
        ("slantRangeDistance", "geometry/slant_range", "geometry/slantRangeDistance"),
        ("shadowMask", "geometry/is_shadow", "geometry/shadowMask"),
    ],
)
def test_each_layer_is_that_of_the_file(tmp_path, layer, path, dataset):
    file = write_he5(tmp_path)
    (out,) = run("extract", layer, file, "--geotiff", "--out", tmp_path).stdout.splitlines()
    assert out == f"{tmp_path}/TinySenAT064/{path}.tif"
    with rasterio.open(out) as raster:
        np.testing.assert_allclose(raster.read(1), product()[dataset].astype("float32"), rtol=1e-6)


def test_velocity_and_displacement_have_their_dates_in_their_names(tmp_path):
    file = write_he5(tmp_path)
    out = run("extract", "velocity", file, "--mask", "--out", tmp_path).stdout.splitlines()
    stem = f"{tmp_path}/TinySenAT064/velocity/velocity_20200103_20200127_masked"
    assert out == [f"{stem}.zarr", f"{stem}.tif", f"{stem}.png"]
    np.testing.assert_array_equal(open_product(out[0])["velocity"], observe(open_hdfeos5(file), "velocity")["velocity"])
    (out,) = run(
        "extract", "displacement", file, "--date", "200115_200127", "--geotiff", "--out", tmp_path
    ).stdout.split()
    assert out.endswith("displacement/displacement_20200115_20200127.tif")
    with rasterio.open(out) as raster:
        np.testing.assert_allclose(raster.read(1), series()[2] - series()[1], atol=1e-7)
    (out,) = run("extract", "displacement", file, "--date", "20200115", "--geotiff", "--out", tmp_path).stdout.split()
    assert out.endswith("displacement_20200103_20200115.tif")


def test_geometry_is_all_of_it(tmp_path):
    args = ("--bbox", 100, 39.96, 100.05, 40)
    out = run("extract", "geometry", write_he5(tmp_path), *args, "--geotiff", "--out", tmp_path).stdout.split()
    names = [line.rpartition("/")[2].partition("_subset")[0] for line in out]
    assert names == [
        "height",
        "incidence_angle",
        "los_azimuth_angle",
        "slant_range",
        "latitude",
        "longitude",
        "is_shadow",
        "is_water",
    ]
    with rasterio.open(out[5]) as raster:
        np.testing.assert_allclose(raster.read(1)[0], 100 + 0.01 * (np.arange(5) + 0.5), rtol=1e-6)


def test_a_mask_makes_a_yes_no_map_no_and_a_float_nan(tmp_path):
    file = write_he5(tmp_path)
    run("extract", "waterMask", file, "--mask", "--geotiff", "--out", tmp_path)
    run("extract", "height", file, "--mask", "--geotiff", "--out", tmp_path)
    folder = tmp_path / "TinySenAT064" / "geometry"
    with rasterio.open(folder / "is_water_masked.tif") as water, rasterio.open(folder / "height_masked.tif") as height:
        assert water.read(1)[0, 0] == 0  # water, but not usable
        assert np.isnan(height.read(1)[0, 0])
        assert np.isnan(height.read(1)).sum() == 2


def test_a_track_of_a_catalog_gives_the_same(tmp_path):
    ingest([write_he5(tmp_path)], tmp_path / "root", resolution="tiny", pixels_per_degree=100)
    args = ("extract", "height", "A064", "--root", tmp_path / "root", "--geotiff", "--out", tmp_path)
    (out,) = run(*args).stdout.split()
    with rasterio.open(out) as raster:
        np.testing.assert_array_equal(raster.read(1), product()["geometry/height"])


@pytest.mark.parametrize(
    ("args", "message"),
    [
        (("bperp",), "no layer 'bperp'; baselines and dates are no maps; expected one of velocity"),
        (("mask", "--date", "20200101"), "--date and --exclude are for velocity and displacement, not for mask"),
        (("velocity", "--date", "2020/01"), "--date is D1_D2 or D2"),
        (("mask", "--out", "a.tif"), "--out is a folder here"),
    ],
)
def test_what_cannot_be_extracted_is_said(tmp_path, args, message):
    result = run("extract", args[0], write_he5(tmp_path), *args[1:], code=2)
    assert message in result.stderr


def test_layers_are_known_by_both_names():
    assert find_layer("azimuthAngle") is find_layer("los_azimuth_angle")
    with pytest.raises(SchemaError, match="no layer 'phase'"):
        find_layer("phase")


def test_an_hdfeos5_file_becomes_a_project_of_mintpy_and_back(tmp_path):
    file = write_he5(tmp_path)
    out = run("convert", file, "--to", "mintpy", "--out", f"{tmp_path}/p").stdout.split()
    assert [line.rpartition("/")[2] for line in out] == [
        "timeseries.h5",
        "geometryGeo.h5",
        "maskTempCoh.h5",
        "temporalCoherence.h5",
        "avgSpatialCoh.h5",
    ]
    with h5py.File(out[0]) as h5:
        np.testing.assert_array_equal(h5["timeseries"][()], series())
        np.testing.assert_array_equal(h5["bperp"][()], [0, 10, -20])
    assert "los_up" in open_source(out[0])


def test_a_track_becomes_an_hdfeos5_file_and_dates_are_chosen(tmp_path):
    ingest([write_he5(tmp_path)], tmp_path / "root", resolution="tiny", pixels_per_degree=100)
    args = ("--root", tmp_path / "root", "--start", "20200110", "--out", f"{tmp_path}/h")
    (out,) = run("convert", "A064", "--to", "he5", *args).stdout.split()
    back = open_hdfeos5(out)
    np.testing.assert_array_equal(back["displacement"], series()[1:])
    assert back.attrs["track"] == "A064"


def test_an_interferogram_becomes_a_store(tmp_path):
    file = write_roipac(tmp_path, "a.unw", phase(), phase())
    run("convert", file, "--to", "zarr", "--out", f"{tmp_path}/s.zarr")
    back = open_product(f"{tmp_path}/s.zarr")
    np.testing.assert_allclose(back["displacement"].values[0], phase()[0] * -0.05546576 / (4 * np.pi), rtol=1e-6)
    assert back.attrs["provenance"]["datasets"] == [str(file)]


def test_what_is_read_is_never_replaced(tmp_path):
    file = write_he5(tmp_path)
    assert "would be lost" in run("convert", file, "--to", "he5", "--out", tmp_path / NAME, code=2).stderr
    h5 = write_h5(tmp_path, "velocity.h5", "velocity", {"velocity": np.ones(SHAPE, "f4")}, {"UNIT": "m/year"})
    assert "whose files would be replaced" in run("convert", h5, "--to", "mintpy", "--out", tmp_path, code=2).stderr
    (tmp_path / "g").mkdir()
    write_h5(tmp_path / "g", "geometryGeo.h5", "geometry", {"height": np.ones(SHAPE, "f4")}, {"UNIT": "1"})
    unw = write_roipac(tmp_path, "a.unw", phase(), phase())
    geometry = tmp_path / "g/geometryGeo.h5"
    taken = run("convert", unw, "--geometry", geometry, "--to", "mintpy", "--out", geometry.parent, code=2)
    assert "geometryGeo.h5, whose files would be replaced" in taken.stderr
    late = run("convert", h5, "--to", "zarr", "--start", "20200101", "--out", tmp_path / "p", code=2).stderr
    assert "choose from a time series" in late
