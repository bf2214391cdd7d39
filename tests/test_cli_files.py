"""Commands take files of MintPy and ROI_PAC as they are: no catalog, no ingest."""

import numpy as np
import pytest
from click.testing import CliRunner
from he5files import DATES, SHAPE, product, series, write_h5, write_he5
from roipacfiles import phase, write_roipac

from mimtpy_cloud.cli.app import cli
from mimtpy_cloud.cli.products import open_product
from mimtpy_cloud.exports.geotiff import write_cog
from mimtpy_cloud.exports.provenance import labelled
from mimtpy_cloud.io.hdfeos5 import open_hdfeos5
from mimtpy_cloud.io.points import read_points
from mimtpy_cloud.ops.rate import displacement_between, estimate_velocity
from mimtpy_cloud.ops.select import mask_invalid


def run(*args, code=0):
    result = CliRunner().invoke(cli, [str(arg) for arg in args], prog_name="mimtpy")
    assert result.exit_code == code, result.output + str(result.exception)
    return result


def write_geometry(folder, name="geometryGeo.h5", azimuth=102):
    flat = {"incidenceAngle": 39, "azimuthAngle": azimuth, "height": 5}
    return write_h5(folder, name, "geometry", {key: np.full(SHAPE, v, "float32") for key, v in flat.items()})


def write_series(folder, name="timeseries.h5", **attrs):
    return write_h5(folder, name, "timeseries", {"timeseries": series(), "date": np.array(DATES, "S8")}, attrs)


def test_velocity_of_an_hdfeos5_file_is_that_of_the_library(tmp_path):
    file = write_he5(tmp_path)
    out = run("velocity", file, "--out", f"{tmp_path}/p").stdout.splitlines()
    assert out[0] == f"{tmp_path}/p/TinySenAT064/velocity/velocity_20200103_20200127.zarr"
    wanted = mask_invalid(estimate_velocity(open_hdfeos5(file)))
    np.testing.assert_array_equal(open_product(out[0])["velocity"], wanted["velocity"])


def test_displacement_of_a_mintpy_series_takes_dates_and_a_box(tmp_path):
    file = write_series(tmp_path)
    args = ("--start", "20200115", "--end", "20200127", "--bbox", 100, 39.94, 100.04, 40, "--out", f"{tmp_path}/d.zarr")
    run("displacement", file, *args)
    found = open_product(f"{tmp_path}/d.zarr")["displacement"]
    np.testing.assert_allclose(found, (series()[2] - series()[1])[:, :4], atol=1e-7)


def test_decompose_takes_files_whose_geometry_is_named_in_their_order(tmp_path):
    first, second = (write_series(tmp_path, f"{name}.h5", PROJECT_NAME=name) for name in ("one", "two"))
    asc, desc = (write_geometry(tmp_path, f"{name}_geo.h5", azimuth) for name, azimuth in (("a", 102), ("d", -102)))
    args = ("decompose", first, second, "--same-datum", "--out", f"{tmp_path}/eu.zarr")
    run(*args, "--geometry", asc, "--geometry", desc)
    ds = open_product(f"{tmp_path}/eu.zarr")
    rate = estimate_velocity(open_product(str(first)))["velocity"].values
    np.testing.assert_allclose(ds["up"].values, rate / np.cos(np.radians(39)), atol=2e-6)  # both see the same
    error = run(*args, "--geometry", asc, code=2).stderr
    assert "--geometry is given 1 times; expected once for each .h5 of MintPy" in error
    assert f"{first}, {second}" in error


def test_leaves_of_a_file_have_the_look_of_the_geometry_that_is_named(tmp_path):
    file, geometry = write_series(tmp_path), write_geometry(tmp_path, "elsewhere.h5")
    args = ("quadtree", file, "--min", 1, "--max", 4, "--out", tmp_path / "leaves.csv")
    run(*args)
    assert "los_up" not in read_points(tmp_path / "leaves.csv")
    told = ("--wavelength", 0.05, "--span", "20200101", "20210101", "--out", tmp_path / "a.mat")
    error = run("export", "gbis", tmp_path / "leaves.csv", *told, code=2).stderr
    assert "a file of MintPy has that of the geometry beside it (or --geometry)" in error
    run(*args, "--geometry", geometry)
    np.testing.assert_allclose(read_points(tmp_path / "leaves.csv")["los_up"], np.cos(np.radians(39)), rtol=1e-6)


def test_one_map_of_an_interferogram_is_taken_as_it_is(tmp_path):
    file = write_roipac(tmp_path, "a.unw", phase(), phase())
    run("reference", file, "--point", 100.005, 39.995, "--out", f"{tmp_path}/r.zarr")
    found = open_product(f"{tmp_path}/r.zarr")["displacement"].values
    scale = -0.05546576 / (4 * np.pi)
    np.testing.assert_allclose(found[0, 1], (phase()[0, 1] - phase()[0, 0]) * scale, rtol=1e-5)
    error = run("reference", file, "--point", 100.005, 39.995, "--start", "20200101", code=2).stderr
    assert "--start would choose from a series" in error


def test_a_mask_of_mintpy_masks(tmp_path):
    mask = np.ones(SHAPE, bool)
    mask[0] = False
    write_h5(tmp_path, "m.h5", "mask", {"mask": mask})
    run(
        "deramp",
        write_he5(tmp_path),
        "--kind",
        "constant",
        "--mask-file",
        tmp_path / "m.h5",
        "--out",
        tmp_path / "f.zarr",
    )
    flat = open_product(str(tmp_path / "f.zarr"))["velocity"].values
    assert abs(np.nanmean(flat[1:])) < 1e-6 < abs(np.nanmean(flat))  # of values about 15 m/yr


def test_a_geotiff_in_millimetres_is_read_in_metres(tmp_path):
    ds = estimate_velocity(open_hdfeos5(write_he5(tmp_path)))
    tiff = labelled(ds, "velocity") * 1000
    write_cog(tiff.assign_attrs(ds.attrs | {"units": "mm/yr"}), tmp_path / "v.tif")
    found = open_product(str(tmp_path / "v.tif"))["velocity"]
    assert found.attrs["units"] == "m/yr"
    np.testing.assert_allclose(found, ds["velocity"], rtol=1e-6)


def test_the_change_between_dates_is_the_same_from_each_kind_of_file(tmp_path):
    he5, h5 = write_he5(tmp_path), write_series(tmp_path)
    wanted = displacement_between(open_hdfeos5(he5), "20200103", "20200127")["displacement"]
    for file in (he5, h5):
        out = f"{tmp_path}/{file.suffix[1:]}.zarr"
        run("displacement", file, "--no-mask", "--out", out)
        np.testing.assert_array_equal(open_product(out)["displacement"], wanted)


@pytest.mark.parametrize(
    ("args", "message"),
    [
        (("velocity", "nothing.he5"), "error: no product nothing.he5"),
        (("velocity", "{file}", "--as-of", "2020-01-01"), "error: --as-of would choose from a track"),
        (("velocity", "{file}", "--geometry", "g.h5"), "there is none"),
        (("velocity", "{series}", "--geometry", "g.h5"), "error: no geometry g.h5"),
        (("velocity", "{text}"), "is not an HDF5 file"),
        (("velocity", "{radar}"), "is in radar coordinates"),
        (("displacement", "{rate}"), "holds a velocity without its time series"),
        (("plot", "{zarr}", "--out", "a.png"), "no product"),
    ],
)
def test_what_cannot_be_read_is_said(tmp_path, args, message):
    radar = {"X_FIRST": "None", "Y_FIRST": "None", "REF_LAT": "None", "REF_LON": "None"}
    geo = {"geometry/latitude": np.full(SHAPE, 40, "f4"), "geometry/longitude": np.full(SHAPE, 100, "f4")}
    places = {
        "file": write_he5(tmp_path),
        "series": write_series(tmp_path),
        "text": tmp_path / "a.h5",
        "radar": write_he5(tmp_path, product(**geo), radar, name="S1_radar.he5"),
        "rate": write_h5(tmp_path, "v.h5", "velocity", {"velocity": np.ones(SHAPE, "f4")}, {"UNIT": "m/year"}),
        "zarr": tmp_path / "none.zarr",
    }
    (tmp_path / "a.h5").write_text("text")
    result = run(*(arg.format(**places) for arg in args), code=2)
    assert message in result.stderr
