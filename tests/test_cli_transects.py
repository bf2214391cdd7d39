"""``mimtpy transects`` and ``mimtpy profile`` from the shell."""

import csv
import json

import numpy as np
import pytest
import xarray as xr
from click.testing import CliRunner
from synthetic import lattice_dataset, small_window

from mimtpy_cloud.cli.app import cli
from mimtpy_cloud.cli.products import write_store
from mimtpy_cloud.io.vectors import read_lines
from mimtpy_cloud.kernels.dislocation import interseismic_velocity
from mimtpy_cloud.ops.transects import profile_across_fault

WINDOW = small_window(40, 50, west=30.0, north=40.16)
RATES = np.random.default_rng(0).normal(0, 0.01, WINDOW.shape)
TRACE = [[30.3, 40.0], [30.1, 40.01]]
SHORT = ("--length", 9, 6, "--spacing", 8, "--width", 6)


def track(**options):
    return lattice_dataset(WINDOW, velocity=RATES, **options).chunk(y=13, x=17)


def run(command, *args, code=0):
    result = CliRunner().invoke(cli, [command, *map(str, args)], prog_name="mimtpy")
    assert result.exit_code == code, result.output + str(result.exception)
    return result


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    """Folder with velocities of two tracks, their decomposition, a trace, a fault and stations."""
    folder = tmp_path_factory.mktemp("products")
    pair = [track(los_azimuth_angle=a, track=t, project="") for a, t in ((102, "A014"), (-102, "D094"))]
    for ds in pair:
        write_store(ds, str(folder / f"velocity_{ds.attrs['track']}.zarr"), provenance={"revisions": [ds.track]})
    maps = {name: ds["velocity"].assign_attrs(long_name=f"{name} velocity") for name in ("east", "up")}
    moved = ds.drop_vars(["velocity", "velocity_std", "los_east", "los_north", "los_up"]).assign(maps)
    write_store(moved, str(folder / "east_up.zarr"), provenance={})
    line = {"type": "LineString", "coordinates": TRACE}
    (folder / "fault.geojson").write_text(json.dumps({"type": "Feature", "properties": {}, "geometry": line}))
    (folder / "other.xy").write_text("30.05 40.04\n30.35 40.04\n")
    (folder / "stations_IGS14.csv").write_text("station,lon,lat,ve,vn,vu,se,sn,su\nONE,30.25,40.02,5,1,0,1,1,1\n")
    return folder


def test_profiles_are_printed_and_written(place, tmp_path):
    out = tmp_path / "out"
    result = run("transects", place / "velocity_A014.zarr", "--trace", place / "fault.geojson", *SHORT, "--out", out)
    stem = f"{out}/velocity_A014_transects_fault_length_9_6_spacing_8_width_6"
    lines = result.stdout.splitlines()
    figures = [f"{stem}{ending}.png" for ending in ("", "_swaths", "_stacked")]
    assert lines[-6:] == [f"{stem}.csv", f"{stem}.geojson", f"{stem}.nc", *figures]
    assert lines[0].split()[-3:] == ["pixels", "of", "velocity"]
    expected = profile_across_fault(track(), TRACE, length_km=(9, 6), spacing_km=8, width_km=6).compute()
    assert len(lines) == 1 + expected.sizes["profile"] + 6
    assert lines[1].split()[-1] == str(int(expected["velocity_count"][0].sum()))
    assert "positive on the north side of the fault" in result.stderr  # the trace runs to the west
    with xr.open_dataset(f"{stem}.nc") as file:
        np.testing.assert_allclose(file["velocity"], expected["velocity"], rtol=1e-6)
        made_by = json.loads(file.attrs["provenance"])
    assert made_by["step"] == "transects"
    assert made_by["revisions"] == ["A014"]
    assert made_by["trace"] == str(place / "fault.geojson")


def test_products_are_joined_with_stations_and_crossings(place, tmp_path):
    out = tmp_path / "p.csv"
    products = [place / f"{name}.zarr" for name in ("east_up", "velocity_A014", "velocity_D094")]
    result = run("transects", *products, "--trace", place / "fault.geojson", *SHORT, "--out", out, "--fault",
        place / "other.xy", "--stations", place / "stations_IGS14.csv", "--units", "mm/yr")  # fmt: skip
    assert "1 stations in the swaths, in IGS14" in result.stderr
    with out.open() as file:
        headings = next(csv.reader(file))
    for name in ("east", "up", "fault_parallel", "velocity", "velocity_D094", "velocity_sigma_D094"):
        assert f"{name} [m/yr]" in headings
        assert f"{name}_q16 [m/yr]" in headings
    assert headings.count("height [m]") == 1
    with (tmp_path / "p_stations.csv").open() as file:
        (row, *_) = csv.DictReader(file)
    assert row["station_name"] == "ONE"
    assert float(row["station_east [m/yr]"]) == pytest.approx(0.005)
    assert float(row["station_velocity [m/yr]"]) * float(row["station_velocity_D094 [m/yr]"]) < 0  # two sides
    with (tmp_path / "p_crossings.csv").open() as file:
        crossing = next(csv.DictReader(file))
    assert float(crossing["crossing_distance_km [km]"]) > 0  # north


def test_flipped_profiles_of_one_variable(place, tmp_path):
    result = run("transects", place / "velocity_A014.zarr", "--trace", place / "fault.geojson", "--flip",
                 "--variable", "velocity", "--out", tmp_path / "out", *SHORT)  # fmt: skip
    assert "positive on the south side" in result.stderr
    (name,) = (line for line in result.stdout.splitlines() if line.endswith(".nc"))
    assert name.endswith("velocity_A014_transects_fault_length_9_6_spacing_8_width_6_flip_only_velocity.nc")
    with xr.open_dataset(name) as file:
        assert "height" not in file
        assert file["distance_km"].values.tolist() == (np.arange(-6, 9) + 0.5).tolist()
        assert float(abs(file["velocity"]).max()) > 0.001


def test_one_profile_between_two_points(place, tmp_path):
    options = ("--from", 30.05, 39.9, "--to", 30.3, 40.1)
    result = run("profile", place / "east_up.zarr", *options, "--step", 2, "--out", tmp_path)
    files = result.stdout.splitlines()
    assert [name.rpartition(".")[2] for name in files] == ["csv", "geojson", "nc", "png"]
    assert files[0].endswith("_profile_30.05_39.9_30.3_40.1_step_2.csv")
    assert "16 samples, the last at 30 km" in result.stderr
    (line,) = read_lines(files[1])
    np.testing.assert_allclose(line[0], [30.05, 39.9])
    wide = run(
        "profile", place / "east_up.zarr", *options, "--width", 4, "--variable", "up", "--out", tmp_path / "w.nc"
    )
    with xr.open_dataset(wide.stdout.strip()) as file:
        assert {"up", "up_mad"} <= {*file.data_vars}
        assert "east" not in file


def test_help_shows_examples_under_look():
    assert "mimtpy transects east_up.zarr --trace fault.geojson" in run("transects", "--help").stdout
    assert "mimtpy profile velocity.zarr --from" in run("profile", "--help").stdout
    lines = CliRunner().invoke(cli, ["--help"], prog_name="mimtpy").stdout.splitlines()
    at = {line.split()[0]: k for k, line in enumerate(lines) if line.strip()}
    assert at["Look:"] < at["profile"] < at["transects"] < at["Run:"]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (("--variable", "speed"), "no product has speed; they have"),
        (("--units", "mm/yr"), "no --stations; leave it out"),
        (("--out", "a.tif"), "ends in .csv, .nc, .geojson, .mat, .png, .pdf, .svg, got a.tif"),
        (("--fit", "screw"), "--fit screw needs motion along the fault; give a decomposition with east"),
        (("--second-fault", 5), "--second-fault goes with --fit two_faults"),
        (("--depths", 1, 20), "--depths goes with --fit"),
        (("--coastline", "none.xy"), "no such file: none.xy"),
        (("--coastline", "none.xy", "--out", "a.csv"), "which goes to a folder; give a folder as --out"),
        (("--start", "20180101"), "--start would choose from a track"),
        (("--stations", "none.csv"), "no such file: none.csv"),
        (("--fault", "none.xy"), "no such file: none.xy"),
        (("--length", 0, 0), "lengths of at least one step"),
        (("--bbox", 30.3, 40.1, 30.35, 40.15), "no swath from 30."),
    ],
)
def test_options_that_do_not_fit_are_one_line(place, tmp_path, options, message):
    (tmp_path / "out").mkdir()
    args = ("--trace", place / "fault.geojson", *SHORT, "--out", tmp_path / "out", *options)
    result = run("transects", place / "velocity_A014.zarr", *args, code=2)
    assert result.stderr.startswith("error: ")
    assert message in result.stderr
    assert result.stderr.count("\n") == 1
    assert not list((tmp_path / "out").iterdir())


def test_nothing_is_written_of_profiles_without_data(place, tmp_path):
    empty = track().assign(velocity=lambda ds: ds["velocity"] * np.nan)[["velocity"]]
    write_store(empty, str(tmp_path / "empty.zarr"), provenance={})
    args = ("--trace", place / "fault.geojson", *SHORT, "--out", tmp_path / "out")
    result = run("transects", tmp_path / "empty.zarr", *args, code=2)
    assert "no pixel of the profiles has data (velocity), so nothing is written; choose another line" in result.stderr
    assert not (tmp_path / "out").exists()


def test_figures_show_what_has_data(place, tmp_path):
    heights = track().assign(velocity=lambda ds: ds["velocity"] * np.nan)[["velocity", "height"]]
    write_store(heights, str(tmp_path / "heights.zarr"), provenance={})
    out = tmp_path / "p.png"
    run("transects", tmp_path / "heights.zarr", "--trace", place / "fault.geojson", *SHORT, "--out", out)
    assert out.stat().st_size > 10_000


def test_a_product_without_any_of_the_variables_is_told(place):
    args = ("--trace", place / "fault.geojson", "--variable", "velocity")
    result = run("transects", place / "velocity_A014.zarr", place / "east_up.zarr", *args, code=2)
    assert "product 2 has none of velocity; leave it out, or ask for more" in result.stderr


def test_faults_are_fitted_and_drawn(tmp_path):
    window = small_window(100, 40, west=30.0, north=40.4)
    ds = lattice_dataset(window, velocity=0.0).drop_vars(
        ["velocity", "velocity_std", "los_east", "los_north", "los_up"]
    )
    south = -(ds["y"] - 40.0) * 111.2e3
    east = interseismic_velocity(south.values, -0.02, 12e3)[:, np.newaxis] + np.random.default_rng(1).normal(
        0, 1e-4, window.shape
    )
    maps = {"east": east, "north": 0 * east, "up": 0 * east}
    product = ds.assign({name: (("y", "x"), v.astype("f4"), {"units": "m/yr"}) for name, v in maps.items()})
    write_store(product, str(tmp_path / "enu.zarr"), provenance={})
    (tmp_path / "fault.xy").write_text("30.05 40.0\n30.27 40.0\n31.5 40.0\n")
    out = tmp_path / "out"
    result = run("transects", tmp_path / "enu.zarr", "--trace", tmp_path / "fault.xy", "--length", 40, 40, "--spacing",
                 9, "--width", 8, "--step", 2, "--fit", "screw", "--out", out)  # fmt: skip
    stem = next(out.glob("*.nc")).name.removesuffix(".nc")
    endings = {file.name.removeprefix(stem) for file in out.iterdir()}
    drawn = {".png", "_swaths.png", "_stacked.png", "_slip.png", "_slip.csv", "_vectors_1.png", "_vectors_2.png"}
    assert drawn <= endings, endings  # the fourth and all further profiles have no data
    assert "_vectors_9.png" not in endings
    with (out / f"{stem}_slip.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert float(rows[0]["slip_rate [mm/yr]"]) == pytest.approx(20, abs=0.5)  # right-lateral: the south goes west
    assert float(rows[0]["locking_depth [km]"]) == pytest.approx(12, abs=0.7)
    assert "without --correlation every pixel counts as independent" in result.stderr
    table = tmp_path / "t.csv"
    run("transects", tmp_path / "enu.zarr", "--trace", tmp_path / "fault.xy", "--length", 40, 40, "--spacing",
        9, "--width", 8, "--step", 2, "--fit", "screw", "--depths", 2, 30, "--out", table)  # fmt: skip
    with (tmp_path / "t_slip.csv").open() as file:
        beside = next(csv.DictReader(file))
    assert beside["slip_rate [mm/yr]"] == rows[0]["slip_rate [mm/yr]"]
    shown = [line.split() for line in result.stdout.splitlines() if "±" in line and not line.startswith("profile")]
    assert [line[0] for line in shown] == [row["profile"] for row in rows if row["slip_rate [mm/yr]"]]


def test_a_name_of_a_figure_is_the_figure_alone(place, tmp_path):
    args = ("--trace", place / "fault.geojson", *SHORT, "--out", tmp_path / "p.svg")
    assert run("transects", place / "velocity_A014.zarr", *args).stdout.splitlines()[-1] == str(tmp_path / "p.svg")
    assert [file.name for file in tmp_path.iterdir()] == ["p.svg"]
    points = ("--from", 30.05, 39.9, "--to", 30.3, 40.1, "--out", tmp_path / "q.png")
    run("profile", place / "velocity_A014.zarr", *points)
    assert (tmp_path / "q.png").stat().st_size > 10_000
