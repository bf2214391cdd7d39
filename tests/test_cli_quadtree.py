"""``mimtpy quadtree``: a table of leaves from the shell."""

import json

import numpy as np
import pytest
import xarray as xr
from click.testing import CliRunner
from smallproducts import WINDOW, track, write_velocity
from synthetic import lattice_dataset

from mimtpy_cloud.cli.app import cli
from mimtpy_cloud.cli.commands import quadtree as command
from mimtpy_cloud.cli.leaves import pixels_of
from mimtpy_cloud.cli.products import open_product, write_store
from mimtpy_cloud.errors import SchemaError
from mimtpy_cloud.io.mimtpyjson import read_points_json
from mimtpy_cloud.io.points import read_points
from mimtpy_cloud.kernels.quadtree import RULES
from mimtpy_cloud.ops.quadtree import quadtree

NOISE = {"kind": "exponential", "sill": 4e-6, "range_km": 12, "nugget": 1e-6, "units": "(m/yr)^2"}


def run(*args, code=0):
    result = CliRunner().invoke(cli, ["quadtree", *map(str, args)], prog_name="mimtpy")
    assert result.exit_code == code, result.output + str(result.exception)
    return result


@pytest.fixture
def velocity(tmp_path):
    return write_velocity(tmp_path)


@pytest.fixture
def displacement(tmp_path):
    ds = lattice_dataset(WINDOW, displacement=np.random.default_rng(1).normal(0, 0.01, WINDOW.shape))
    ds = ds.isel(time=1, drop=True)
    url = tmp_path / "displacement.zarr"
    write_store(ds, str(url), provenance={"revisions": ["r1"]})
    return url


def test_a_folder_gets_table_and_figure_whose_names_say_the_options(velocity, tmp_path):
    result = run(velocity, "--epsilon", 5, "--min", 1, "--max", 4, "--out", f"{tmp_path}/out/")
    stem = f"{tmp_path}/out/SynthSenAT064_velocity_quadtree_eps_5_min_1_max_4"
    leaves, pixels, rest, *files = result.stdout.splitlines()
    assert files == [f"{stem}.csv", f"{stem}.png"]
    expected = quadtree(open_product(str(velocity)), "velocity", epsilon=5e-3, min_px=1, max_px=4).compute()
    assert leaves.split()[1] == f"{expected.sizes['leaf']},"
    assert pixels.split()[1] == "80,"
    assert rest.endswith(f"{1e3 * expected.attrs['reduction_rms']:.4g} mm/yr")
    found = read_points(f"{stem}.csv")
    for name in ("lon", "lat", "velocity", "los_up"):
        np.testing.assert_array_equal(found[name], expected[name])
    assert (tmp_path / "out" / f"{stem.rpartition('/')[2]}.png").read_bytes()[:4] == b"\x89PNG"


@pytest.mark.parametrize("name", ["leaves.parquet", "leaves.geojson", "leaves.png", "leaves.CSV"])
def test_a_name_gets_that_file_only(velocity, tmp_path, name):
    out = tmp_path / "one" / name
    run(velocity, "--min", 2, "--rule", "kite", "--plane", "--max-nan", 1, "--out", out)
    assert [file.name.lower() for file in out.parent.iterdir()] == [name.lower()]


def test_a_covariance_gives_standard_deviations_that_a_search_reads(velocity, tmp_path):
    noise = tmp_path / "noise.json"
    noise.write_text(json.dumps(NOISE))
    run(velocity, "--min", 2, "--max", 2, "--covariance", noise, "--out", tmp_path / "leaves.csv")
    np.testing.assert_allclose(read_points(tmp_path / "leaves.csv")["std"], np.sqrt(4e-6 + 1e-6 / 4))
    assert "absolute_weight [(m/yr)^-2]" in (tmp_path / "leaves.csv").read_text()
    noise.write_text(json.dumps(NOISE | {"units": "(m)^2"}))
    message = run(velocity, "--covariance", noise, "--out", tmp_path / "leaves.csv", code=2).stderr
    assert "holds variances in (m)^2" in message


def test_mimtpys_json_has_a_displacement_and_the_angles_beside_it(displacement, tmp_path):
    files = run(displacement, "--min", 2, "--max", 4, "--out", tmp_path / "points_disp.json").stdout.splitlines()[-2:]
    assert files == [str(tmp_path / "points_disp.json"), str(tmp_path / "points_angle.json")]
    found = read_points_json(*files)
    expected = quadtree(open_product(str(displacement)), "displacement", min_px=2, max_px=4).compute()
    np.testing.assert_array_equal(found["displacement"], expected["displacement"])
    np.testing.assert_allclose(found["los_east"], expected["los_east"], rtol=1e-9)
    assert found.attrs["reference_point"] == pytest.approx(track().attrs["reference_point"])
    grid = WINDOW.grid
    corner = [found.attrs[key] for key in ("X_FIRST", "Y_FIRST", "X_STEP", "Y_STEP")]
    assert corner == pytest.approx([grid.west, grid.north, grid.dx, -grid.dy])


def test_sizes_are_pixels_or_lengths():
    ds = track()
    assert [pixels_of(text, ds, "--min") for text in (None, "3", "0.04deg", "0.001 deg")] == [None, 3, 5, 1]
    metres = xr.Dataset(coords={"y": [200.0, 100.0], "x": [0.0, 100.0], "spatial_ref": 0})
    from pyproj import CRS

    metres["spatial_ref"].attrs["crs_wkt"] = CRS.from_epsg(32637).to_wkt("WKT1_GDAL")
    assert [pixels_of(text, metres, "--min") for text in ("2km", "240m")] == [20, 2]
    with pytest.raises(SchemaError, match=r"--max: the map has pixels in metres, such as 2km; got '0.1deg'"):
        pixels_of("0.1deg", metres, "--max")


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (("--min", "2km"), "the map has pixels in degrees, such as 0.02deg; got '2km'"),
        (("--min", "1.5"), "expected whole pixels, or a length such as 1.5deg"),
        (("--max", "wide"), "expected pixels such as 16, or a length such as 0.02deg or 2km, got 'wide'"),
        (("--max", "-3"), "got '-3'"),
        (("--max", "1e-e"), "got '1e-e'"),
        (("--min", "5", "--max", "4"), "min_px must not be above max_px"),
        (("--out", "leaves.xls"), "--out is a name that ends in .csv, .parquet, .geojson, .json, .png"),
        (("--out", "leaves.json"), "MimtPy's .json holds a displacement, the leaves would have velocity"),
        (("--covariance", "none.json"), "no such file"),
        (("--variable", "up"), "a quadtree needs up"),
    ],
)
def test_what_cannot_be_done_is_said_in_one_line(velocity, tmp_path, monkeypatch, options, message):
    monkeypatch.chdir(tmp_path)
    result = run(velocity, *options, code=2)
    assert message in result.stderr
    assert "Traceback" not in result.stderr
    assert not [file for file in tmp_path.iterdir() if file.suffix in (".csv", ".json", ".png", ".xls")]


def test_several_variables_need_a_choice_and_a_json_a_reference(displacement, tmp_path):
    ds = open_product(str(displacement)).load()
    del ds.attrs["reference_point"]
    write_store(ds, str(tmp_path / "free.zarr"), provenance={"revisions": []})
    message = run(tmp_path / "free.zarr", "--out", tmp_path / "points.json", code=2).stderr
    assert "names a reference point, the product has none" in message
    two = ds.assign(east=ds["displacement"], up=ds["displacement"]).drop_vars("displacement")
    write_store(two, str(tmp_path / "east_up.zarr"), provenance={"revisions": []})
    assert "The product has east, up; give --variable" in run(tmp_path / "east_up.zarr", code=2).stderr
    run(tmp_path / "east_up.zarr", "--variable", "up", "--out", tmp_path / "up.geojson")


def test_a_map_of_holes_needs_other_options(tmp_path):
    values = np.full(WINDOW.shape, np.nan)
    values[0, 0] = 0.01
    write_store(lattice_dataset(WINDOW, velocity=values), str(tmp_path / "v.zarr"), provenance={"revisions": []})
    message = run(tmp_path / "v.zarr", "--min", 8, "--out", tmp_path / "leaves.csv", code=2).stderr
    assert "raise --max-nan, or lower --min" in message
    assert not (tmp_path / "leaves.csv").exists()


def test_the_choices_are_the_rules_that_there_are():
    (rule,) = (option for option in command.quadtree.params if option.name == "rule")
    assert tuple(rule.type.choices) == RULES
