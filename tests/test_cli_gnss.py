"""``mimtpy gnss``: products and tracks against tables of stations from the shell."""

import json

import pytest
from click.testing import CliRunner
from smallproducts import RATES, WINDOW, track, write_stations, write_velocity
from synthetic import lattice_dataset

from mimtpy_cloud.cli.app import cli
from mimtpy_cloud.cli.products import write_store
from mimtpy_cloud.io.gnss import read_stations
from mimtpy_cloud.ops.enu import invert_enu
from mimtpy_cloud.ops.validation import compare_gnss


def run(*args, code=0):
    result = CliRunner().invoke(cli, ["gnss", *map(str, args)], prog_name="mimtpy")
    assert result.exit_code == code, result.output + str(result.exception)
    return result


@pytest.fixture
def velocity(tmp_path):
    return write_velocity(tmp_path)


@pytest.fixture
def stations(tmp_path):
    return write_stations(tmp_path)


def test_a_product_is_compared_printed_and_written(velocity, stations, tmp_path):
    out = tmp_path / "out"
    result = run(velocity, stations, "--units", "mm/yr", "--window", 3, "--exclude", "S4", "--out", out)
    stem = f"{out}/SynthSenAT064_velocity_gnss_stations_IGS14_excl_S4_window_3"
    lines = result.stdout.splitlines()
    assert lines[-2:] == [f"{stem}.png", f"{stem}.json"]
    assert lines[0].split()[:4] == ["mm/yr", "stations", "rms", "offset"]
    assert lines[1].split()[:2] == ["los", "5"]
    assert "stations in IGS14, product relative to the point" in result.stderr
    assert "1 stations outside, 1 inside left out" in result.stderr
    expected = compare_gnss(track(), read_stations(stations, units="mm/yr"), window=3, exclude=["S4"]).compute()
    assert lines[1].split()[2] == f"{1e3 * float(expected['rms'][0]):.2f}"
    found = json.loads((out / f"{stem}.json").read_text())
    assert found["components"]["los"]["statistics"]["rms"] == pytest.approx(float(expected["rms"][0]), abs=2e-9)
    assert found["provenance"] == {
        "step": "gnss", "stations": str(stations), "datasets": [str(velocity)], "revisions": ["r1"]
    }  # fmt: skip
    assert (out / f"{stem}.png").read_bytes()[:4] == b"\x89PNG"


def test_a_geotiff_of_a_component_and_the_components_of_a_store(velocity, stations, tmp_path):
    tracks = [track(los_azimuth_angle=a, track=t) for a, t in ((102, "A014"), (-102, "D094"))]
    write_store(invert_enu(tracks), str(tmp_path / "east_up.zarr"), provenance={})
    options = ("--units", "mm/yr", "--out", tmp_path / "out")
    both = run(tmp_path / "east_up.zarr", stations, *options).stdout.splitlines()
    assert [line.split()[0] for line in both[1:3]] == ["east", "up"]
    one = run(tmp_path / "east_up.zarr", stations, "--component", "up", *options).stdout.splitlines()
    assert one[1].split() == both[2].split()
    assert one[-1].endswith("_gnss_stations_IGS14_component_up.json")


def test_a_track_of_a_catalog_is_compared(tmp_path, stations):
    from mimtpy_cloud.catalog.ingest import ingest
    from mimtpy_cloud.exports.hdfeos5 import hdfeos5_name, write_hdfeos5

    dates = ["2018-01-01", "2019-01-01", "2020-01-01", "2021-01-01"]
    series = lattice_dataset(WINDOW, dates=dates, velocity=RATES)
    (tmp_path / "he5").mkdir()
    made = tmp_path / "he5" / hdfeos5_name(series)
    write_hdfeos5(series, made)
    ingest([made], tmp_path / "root", pixels_per_degree=125, resolution="veryLowRes")
    options = ("--root", tmp_path / "root", "--units", "mm/yr", "--out", tmp_path / "out")
    lines = run("A064", stations, *options).stdout.splitlines()
    assert lines[1].split()[:2] == ["los", "6"]
    assert "_velocity_20180101_20210101_gnss_stations_IGS14" in lines[-1]


def test_help_shows_an_example_and_stands_under_look():
    assert "mimtpy gnss east_up.zarr" in run("--help").stdout
    lines = CliRunner().invoke(cli, ["--help"], prog_name="mimtpy").stdout.splitlines()
    assert lines.index("Look:") < next(i for i, line in enumerate(lines) if line.strip().startswith("gnss "))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (("--exclude", "S9"), "no station is called S9"),
        (("--window", 2), "window must be an odd number of pixels, got 2"),
        (("--component", "east"), "components must be some of los, each once, got east"),
        (("--out", "a.png"), "--out is a folder here"),
        (("--start", "20180101"), "--start would choose from a track"),
        (("--bbox", 33.07, 39.9, 33.09, 40), "none of the 7 stations lies in the grid"),
    ],
)
def test_options_that_do_not_fit_are_one_line(velocity, stations, tmp_path, options, message):
    result = run(velocity, stations, "--units", "mm/yr", "--out", tmp_path / "out", *options, code=2)
    assert result.stderr.startswith("error: ")
    assert message in result.stderr
    assert result.stderr.count("\n") == 1
    assert not (tmp_path / "out").exists()


def test_wrong_files_are_one_line(velocity, stations, tmp_path):
    assert "does not say the unit" in run(velocity, stations, code=2).stderr
    assert "no such file" in run(velocity, tmp_path / "none.txt", code=2).stderr
    write_store(track()[["height"]], str(tmp_path / "height.zarr"), provenance={})
    wrong = run(tmp_path / "height.zarr", stations, "--units", "mm/yr", code=2)
    assert "the product needs velocity, or one of east, north, horizontal, up; it has height" in wrong.stderr
