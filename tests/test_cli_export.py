"""``mimtpy export``."""

from pathlib import Path

import numpy as np
import pytest
import rasterio
from click.testing import CliRunner, Result
from losscene import los_points, los_scene
from scipy.io import loadmat

from mimtpy_cloud.cli.app import cli
from mimtpy_cloud.exports.dispatch import EXPORTERS, export
from mimtpy_cloud.exports.points import write_points
from mimtpy_cloud.io.kite import open_kite
from mimtpy_cloud.io.varres import open_varres
from mimtpy_cloud.ops.quadtree import quadtree


def run(*args: object, code: int = 0) -> Result:
    result = CliRunner().invoke(cli, ["export", *(str(arg) for arg in args)], prog_name="mimtpy")
    assert result.exit_code == code, result.output + str(result.exception)
    return result


@pytest.fixture
def product(tmp_path: Path) -> Path:
    """A displacement of D071, stored."""
    path = tmp_path / "in/a.zarr"
    export(los_scene().chunk(y=3), "zarr", path)
    return path


def test_the_list_has_every_format_with_its_options() -> None:
    lines = {line.split()[0]: line for line in run("--list").stdout.splitlines()}
    assert set(EXPORTERS) <= set(lines)
    assert lines["gbis"].endswith("--variable --wavelength")
    assert "a time series (of a track: --type series)" in lines["hdfeos5"]
    assert "NAME.unw and .los (NAME_insamp in a folder): InSAMP" in lines["insamp"]


def test_a_file_that_is_named_is_written(product: Path, tmp_path: Path) -> None:
    out = run("kite", product, "--out", tmp_path / "scene.npz").stdout
    assert out.splitlines() == [f"{tmp_path}/scene.npz", f"{tmp_path}/scene.yml"]
    np.testing.assert_array_equal(open_kite(tmp_path / "scene")["displacement"], los_scene()["displacement"])


def test_files_in_a_folder_have_the_name_of_the_product(product: Path, tmp_path: Path) -> None:
    box = ("--bbox", "100.02", "39.96", "100.05", "39.99")
    (path,) = run("gbis", product, *box, "--out", f"{tmp_path}/out").stdout.splitlines()
    assert path.endswith("a_subset_100.02_39.96_100.05_39.99.mat")
    assert loadmat(path)["Lon"].shape == (8, 1)  # one of nine is no data
    files = run("geodmod", product, "--out", f"{tmp_path}/out/").stdout.splitlines()
    assert all("_geodmod/" in file for file in files)
    (path,) = run("gmt", product, "--variable", "height", "--out", f"{tmp_path}/out/").stdout.splitlines()
    assert path.endswith("a_height.grd")
    written = [
        set(run(name, product, "--out", f"{tmp_path}/both/").stdout.splitlines()) for name in ("insamp", "roipac")
    ]
    assert not written[0] & written[1]  # both are .unw


def test_a_geotiff_has_what_the_product_shows(product: Path, tmp_path: Path) -> None:
    run("cog", product, "--out", tmp_path / "a.tif")
    with rasterio.open(tmp_path / "a.tif") as src:
        assert src.descriptions == ("displacement",)
    run("cog", product, "--variable", "height", "--out", tmp_path / "h.tif")
    with rasterio.open(tmp_path / "h.tif") as src:
        assert src.descriptions == ("height",)


def test_a_table_of_points_is_read(tmp_path: Path) -> None:
    points = los_points()
    columns = ("lon", "lat", "displacement", "los_east", "los_north", "los_up")
    rows = [",".join(columns)] + [
        ",".join(map(str, row)) for row in zip(*(points[c].values for c in columns), strict=True)
    ]
    (tmp_path / "leaves.csv").write_text("\n".join(rows))
    run("gbis", tmp_path / "leaves.csv", "--wavelength", "0.056", "--out", f"{tmp_path}/")
    phase = loadmat(tmp_path / "leaves.mat")["Phase"][:, 0]
    np.testing.assert_allclose(phase, -4 * np.pi / 0.056 * points["displacement"])


def test_dates_of_a_velocity_without_them_are_told(tmp_path: Path) -> None:
    ds = los_scene("velocity")
    del ds.attrs["start_date"], ds.attrs["end_date"]
    export(ds, "zarr", tmp_path / "v.zarr")
    assert (
        "start_date and end_date as YYYY-MM-DD, got none and none; "
        "ds.assign_attrs(start_date=..., end_date=...) in Python, --span START END at the shell"
        in run("gbis", tmp_path / "v.zarr", "--out", tmp_path / "v.mat", code=2).output
    )
    run("gbis", tmp_path / "v.zarr", "--span", "20200105", "2020-07-03", "--out", tmp_path / "v.mat")
    phase = loadmat(tmp_path / "v.mat")["Phase"][0, 0]
    assert phase == pytest.approx(-4 * np.pi / 0.05546576 * 0.014 * 180 / 365.25, rel=1e-6)


def test_dates_that_a_product_says_are_not_replaced(product: Path) -> None:
    said = run("gbis", product, "--span", "20190105", "20190703", code=2).output
    assert "the product says its dates, 2020-01-05 to 2020-07-03; leave out --span" in said


def test_options_of_the_picture_are_passed_on(product: Path, tmp_path: Path) -> None:
    run("kmz", product, "--limits", "-0.02", "0.02", "--colours", "viridis", "--out", tmp_path / "a.kmz")
    assert (tmp_path / "a.kmz").stat().st_size > 1000
    assert "has no option limits" in run("kite", product, "--limits", "0", "1", code=2).output


def test_mistakes_are_one_line(product: Path, tmp_path: Path) -> None:
    assert "expected a format and a track or product" in run("kite", code=2).output
    assert "format must be one of zarr, cog" in run("kyte", product, code=2).output
    assert (
        "--out is a name that ends in .npz or .yml for kite, or a folder"
        in run("kite", product, "--out", tmp_path / "a.mat", code=2).output
    )
    twice = run("kite", product, tmp_path / "in/b.zarr", "--out", tmp_path / "a.npz", code=2).output
    assert "is one file, got 2 inputs; give a folder" in twice
    assert "no product" in run("kite", tmp_path / "in/b.zarr", code=2).output
    assert "is what the product is made from" in run("zarr", product, "--out", product, code=2).output


def test_a_map_is_no_hdfeos5(product: Path, tmp_path: Path) -> None:
    said = run("hdfeos5", product, "--out", tmp_path / "a.he5", code=2).stderr
    assert "hdfeos5 holds a time series; take it of a track by --type series" in said
    assert not (tmp_path / "a.he5").exists()


def test_leaves_become_cells_of_csi(product: Path, tmp_path: Path) -> None:
    out = tmp_path / "leaves.csv"
    leaves = quadtree(los_scene(), "displacement", epsilon=0.0, min_px=1, max_px=2).compute()
    for ending in (".csv", ".parquet"):
        write_points(leaves, out.with_suffix(ending))
        run("varres", out.with_suffix(ending), "--out", tmp_path / "a.txt")
        cells = open_varres(tmp_path / "a.txt")
        for name in ("west", "east", "south", "north", "displacement", "lon", "count"):
            np.testing.assert_allclose(cells[name], leaves[name], atol=1e-6)


def test_leaves_as_parquet_know_their_dates_and_wavelength(tmp_path: Path) -> None:
    leaves = quadtree(los_scene("velocity"), "velocity", epsilon=0.0, min_px=1, max_px=2).compute()
    write_points(leaves, tmp_path / "leaves.parquet")
    run("gbis", tmp_path / "leaves.parquet", "--out", tmp_path / "a.mat")
    said = loadmat(tmp_path / "a.mat")["Metadata"][0, 0]
    assert [said[name].item() for name in ("start_date", "end_date", "wavelength")] == [
        str(leaves.attrs[name]) for name in ("start_date", "end_date", "wavelength")
    ]
    write_points(leaves, tmp_path / "leaves.csv")
    options = ("--wavelength", leaves.attrs["wavelength"], "--span", "20200105", "20200703")
    run("gbis", tmp_path / "leaves.csv", *options, "--out", tmp_path / "b.mat")
    np.testing.assert_array_equal(loadmat(tmp_path / "a.mat")["Phase"], loadmat(tmp_path / "b.mat")["Phase"])


def test_a_table_is_taken_as_it_is(tmp_path: Path) -> None:
    write_points(los_points(), tmp_path / "a.csv")
    for option in (("--bbox", 1, 1, 2, 2), ("--start", "20200101"), ("--type", "displacement")):
        result = run("gbis", tmp_path / "a.csv", *option, "--wavelength", 0.05, "--out", tmp_path / "a.mat", code=2)
        assert f"{option[0]} would choose from a track" in result.stderr
    assert not (tmp_path / "a.mat").exists()


def test_inputs_of_one_name_do_not_replace_each_other(tmp_path: Path) -> None:
    leaves = quadtree(los_scene(), "displacement").compute()
    for folder in ("a", "b"):
        write_points(leaves, tmp_path / folder / "leaves.csv")
    names = [tmp_path / folder / "leaves.csv" for folder in ("a", "b")]
    result = run("gbis", *names, "--wavelength", 0.05, "--out", f"{tmp_path}/out/", code=2)
    assert "two of the inputs would be written to" in result.stderr
    assert not (tmp_path / "out").exists()


def test_the_variable_is_that_of_every_input(product: Path, tmp_path: Path) -> None:
    export(los_scene(), "zarr", tmp_path / "in/b.zarr")
    run("cog", product, tmp_path / "in/b.zarr", "--variable", "height", "--out", f"{tmp_path}/out/")
    files = sorted((tmp_path / "out").iterdir())
    assert len(files) == 2
    for file in files:
        with rasterio.open(file) as src:
            assert src.descriptions == ("height",)
