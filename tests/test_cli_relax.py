"""``mimtpy relax``."""

import json

import numpy as np
import pytest
import xarray as xr
from click.testing import CliRunner
from relaxruns import install_relax, write_sample
from scipy.io import netcdf_file

from mimtpy_cloud.cli.app import cli
from mimtpy_cloud.io.mimtpyjson import read_model_json
from mimtpy_cloud.relax import run_table, to_los
from mimtpy_cloud.search import open_models


def run(*args, code=0):
    result = CliRunner().invoke(cli, [str(arg) for arg in args], prog_name="mimtpy")
    assert result.exit_code == code, result.output + str(result.exception)
    return result


@pytest.fixture
def runs(tmp_path):
    """Scripts of four runs, of which the last has no output."""
    run("relax", "scripts", write_sample(tmp_path), "--parameter", "vs=17:18:1", "--parameter", "vm=18,19", "--out", tmp_path / "runs")  # fmt: skip # noqa: E501
    for i in range(3):
        (tmp_path / "runs" / f"iran_vs_000{i}").mkdir()
        for station in ("P066", "P473"):
            text = f"0 0 0 0\n1 {i} 2 -3\n2 {2 * i} 4 -6\n"
            (tmp_path / "runs" / f"iran_vs_000{i}" / f"{station}-relax.txt").write_text(text)
    return tmp_path / "runs"


@pytest.fixture
def geometry(tmp_path):
    text = "station,lon,lat,incidence,azimuth\np473,-117,33,30,102\np066,-116,32,40,-102\nother,0,0,1,1\n"
    (tmp_path / "stations.csv").write_text(text)
    return tmp_path / "stations.csv"


def test_scripts_says_what_it_takes_for_viscosities(tmp_path):
    sample, out = write_sample(tmp_path), tmp_path / "runs"
    found = run("relax", "scripts", sample, "--parameter", "vs=17:18:0.5", "--parameter", "H=20", "--out", out)
    assert found.stdout == f"{out}\n"
    assert found.stderr == "3 runs; viscosities: vs\n"
    assert run_table(out / "runs.csv")["vs"].tolist() == [17, 17.5, 18]


def test_scripts_takes_tables_and_the_ways_of_mimtpy(tmp_path):
    (tmp_path / "t.csv").write_text("run,vs,vm\nx,17,18\ny,17.25,18\n")
    sample, out = write_sample(tmp_path), tmp_path / "runs"
    old = ("--mimtpy-years", "--mimtpy-names", "--scheduler", "slurm")
    run("relax", "scripts", sample, "--table", tmp_path / "t.csv", *old, "--out", out)
    assert "\nvs=5.39848 #" in (out / "iran_vs_1725_1800.sh").read_text()
    assert (out / "array.slurm").exists()
    found = run(
        "relax", "scripts", sample, "--table", tmp_path / "t.csv", "--viscosity", "vm", "--overwrite", "--out", out
    )
    assert found.stderr == "2 runs; viscosities: vm\n"
    assert "\nvs=17.25 #" in (out / "iran_vs_y.sh").read_text()
    found = run(
        "relax", "scripts", sample, "--table", tmp_path / "t.csv", "--no-viscosity", "--overwrite", "--out", out
    )
    assert found.stderr == "2 runs; viscosities: none\n"


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ((), "give --parameter NAME=VALUES once or more, or --table FILE"),
        (("--parameter", "vs=17", "--table", "t.csv"), "give --parameter NAME=VALUES once or more, or --table FILE"),
        (("--parameter", "vs"), "expected --parameter NAME=VALUES such as vs=17:18:0.25, got 'vs'"),
        (("--parameter", "vs=17", "--parameter", "vs=18"), "--parameter vs is given more than once"),
        (("--parameter", "vs=17", "--viscosity", "vs", "--no-viscosity"), "exclude each other"),
        (("--table", "nothere.parquet"), "error: no such file: nothere.parquet"),
        (("--table", "nothere.csv"), "error: no such file: nothere.csv"),
        (("--parameter", "vs=17:18"), "error: expected values as start:end:step"),
        (("--parameter", "vx=17"), "must assign vx exactly once"),
    ],
)
def test_scripts_names_what_is_wrong_in_one_line(tmp_path, options, message):
    found = run("relax", "scripts", write_sample(tmp_path), *options, "--out", tmp_path / "runs", code=2)
    assert message in found.stderr
    assert len([line for line in found.stderr.splitlines() if "rror" in line]) == 1


def test_post_writes_one_product_and_says_what_is_missing(runs, tmp_path):
    found = run("relax", "post", runs, "--times", "1.5", "--look", "39", "102", "--out", tmp_path / "p.zarr")
    assert found.stdout == f"{tmp_path}/p.zarr\n"
    missing = [line for line in found.stderr.splitlines() if line.startswith("missing")]
    assert missing == [f"missing: {name} of iran_vs_0003: no folder of this run" for name in ("P066", "P473")]
    with xr.open_zarr(tmp_path / "p.zarr") as ds:
        assert ds["up"].sel(model="iran_vs_0001", station="P066").values.tolist() == [4.5]
        assert ds["vm"].values.tolist() == [18, 19, 18, 19]
        np.testing.assert_allclose(ds["displacement"], to_los(ds, (39.0, 102.0)))
        assert ds["east"].sel(model="iran_vs_0003").isnull().all()


def test_post_projects_each_station_by_its_own_look_and_writes_models(runs, geometry, tmp_path):
    options = ("--times", "1,2", "--geometry", geometry, "--points-json", tmp_path / "models")
    lines = run("relax", "post", runs, *options, "--out", tmp_path / "p.zarr").stdout.splitlines()
    names = ["vs_17001800.json", "vs_17001900.json", "vs_18001800.json", "vs_18001900.json"]
    assert lines == [f"{tmp_path}/p.zarr", *(f"{tmp_path}/models/{name}" for name in names)]
    points = read_model_json(lines[2])  # from 1 to 2 years
    assert points["lon"].values.tolist() == [-116, -117]
    assert [points[name].values.tolist() for name in ("north", "east", "up")] == [[1, 1], [2, 2], [3, 3]]
    assert np.isnan(json.loads((tmp_path / "models" / names[3]).read_text())["displacement"][0][2])
    with xr.open_zarr(tmp_path / "p.zarr") as ds:
        np.testing.assert_allclose(ds["displacement"], to_los(ds, ds[["los_east", "los_north", "los_up"]]))
        assert ds["los_east"].sel(station="P066") > 0
        assert ds["los_east"].sel(station="P473") < 0


def test_post_says_which_times_no_run_has(runs, tmp_path):
    (runs / "iran_vs_0001" / "P066-relax.txt").write_text("0 0 0 0\n1 1 2 -3\n")
    found = run("relax", "post", runs, "--times", "1.5,2,3", "--out", tmp_path / "p.zarr")
    warnings = [line for line in found.stderr.splitlines() if line.startswith("warning")]
    assert warnings == [
        "warning: no data at 3 years; the runs have 0 to 2 years",
        "warning: 1 of 6 series do not reach all times; they are NaN there",
    ]
    assert "warning" not in run("relax", "post", runs, "--times", "0.5,1", "--out", tmp_path / "p.zarr").stderr


def test_a_stack_has_what_moved_along_the_look_in_the_order_of_the_table(runs, geometry, tmp_path):
    options = ("--times", "0.5,1.5", "--geometry", geometry, "--stack", tmp_path / "m.zarr")
    lines = run("relax", "post", runs, *options, "--out", tmp_path / "p.zarr").stdout.splitlines()
    assert lines == [f"{tmp_path}/p.zarr", f"{tmp_path}/m.zarr"]
    stack = open_models(tmp_path / "m.zarr")
    assert stack.candidates.names == ("vs", "vm")
    assert stack.candidates.values["vm"].tolist() == [18, 19, 18, 19]
    assert stack.template.dims == ("model", "point")
    assert stack.template["lon"].values.tolist() == [-117, -116]
    with xr.open_zarr(tmp_path / "p.zarr") as ds, xr.open_zarr(tmp_path / "m.zarr") as models:
        assert "site" not in ds.coords
        moved = ds["displacement"].isel(time=1) - ds["displacement"].isel(time=0)
        np.testing.assert_allclose(models["model_values"], moved.sel(station=["P473", "P066"]))
        assert models["model_values"].isel(model=3).isnull().all()
        assert ds.attrs["parameters"] == ["vs", "vm"]


def test_models_of_runs_without_a_table_have_their_names(runs, geometry, tmp_path):
    (runs / "runs.csv").unlink()
    options = ("--times", "1", "--geometry", geometry, "--stack", tmp_path / "m.zarr", "--out", tmp_path / "p.zarr")
    run("relax", "post", runs, *options)
    stack = open_models(tmp_path / "m.zarr")
    assert stack.candidates.names == ("model",)
    assert stack.candidates.values["model"].tolist() == [f"iran_vs_000{i}" for i in range(3)]


def test_a_stack_of_stations_without_looks_is_refused_before_anything_is_written(runs, geometry, tmp_path):
    geometry.write_text("station,lon,lat\nP066,0,0\nP473,1,0\n")
    options = ("--geometry", geometry, "--stack", tmp_path / "m.zarr", "--out", tmp_path / "p.zarr")
    found = run("relax", "post", runs, *options, code=2)
    assert "--stack needs a look: add it to the table of --geometry, or give --look" in found.stderr
    assert not (tmp_path / "p.zarr").exists()
    run("relax", "post", runs, *options, "--look", "39", "102")
    assert open_models(tmp_path / "m.zarr").candidates.count == 4


def test_a_search_over_a_stack_finds_the_run_that_was_observed(runs, geometry, tmp_path):
    geometry.write_text("station,lon,lat,inc,az\nP473,-117,33,30,102\nP066,-116,32,40,-102\n")
    options = ("--times", "0.5,1.5", "--geometry", geometry, "--stack", tmp_path / "m.zarr")
    run("relax", "post", runs, *options, "--out", tmp_path / "p.zarr")
    with xr.open_zarr(tmp_path / "p.zarr") as ds:
        seen = ds["displacement"].sel(model="iran_vs_0001", station=["P473", "P066"])
        rows = zip(geometry.read_text().splitlines()[1:], (seen.isel(time=1) - seen.isel(time=0)).values, strict=True)
    lines = ["station,lon,lat,inc,az,los [mm]", *(f"{row},{value * 1e3:.9f}" for row, value in rows)]
    (tmp_path / "observed.csv").write_text("\n".join(lines))
    found = run("gridsearch", tmp_path / "observed.csv", "--models", tmp_path / "m.zarr", "--out", tmp_path)
    assert "best of 3 models: rms " in found.stdout
    with xr.open_zarr(tmp_path / "gridsearch" / "observed_m.zarr") as result:
        assert (float(result["best_vs"]), float(result["best_vm"])) == (17, 19)
        assert float(result["rms"].min()) < 1e-6


def test_post_names_stations_without_geometry(runs, geometry, tmp_path):
    geometry.write_text("station,lon,lat\nP066,0,0\n")
    found = run("relax", "post", runs, "--geometry", geometry, "--out", tmp_path / "p.zarr", code=2)
    assert "lacks 1 stations of the models: P473" in found.stderr


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (("--out", "p.tif"), "--out must end in .zarr, got p.tif"),
        (("--points-json", "m", "--out", "p.zarr"), "--points-json needs the places of the stations: --geometry FILE"),
        (
            ("--grids", "--look", "1", "2", "--geometry", "g", "--out", "p.zarr"),
            "--look and --geometry exclude each other",
        ),
        (("--stack", "m.zarr", "--out", "p.zarr"), "--stack needs the places of the stations: --geometry FILE"),
        (("--stack", "m.zip", "--out", "p.zarr"), "--stack must end in .zarr, got m.zip"),
        (("--grids", "--stack", "m.zarr", "--out", "p.zarr"), "--stack needs a look: --look INCIDENCE AZIMUTH, or"),
        (("--times", "5,9", "--out", "p.zarr"), "expected times from 0 to 2 years, which the runs have, got 5 to 9"),
        (("--times", "-1", "--out", "p.zarr"), "expected times from 0 to 2 years, which the runs have, got -1"),
        (("--grids", "--out", "p.zarr"), "can be read, the first since: no grid NNN-relax-east.grd in"),
    ],
)
def test_post_names_what_is_wrong(runs, options, message):
    assert message in run("relax", "post", runs, *options, code=2).stderr


def test_run_runs_on_a_cluster_and_says_what_failed(tmp_path, monkeypatch):
    install_relax(tmp_path / "bin", monkeypatch)
    out = tmp_path / "runs"
    run("relax", "scripts", write_sample(tmp_path), "--parameter", "H=12,13", "--scheduler", "dask", "--out", out)
    found = run("--cluster", "local", "--workers", "1", "relax", "run", out, code=2)
    assert "1 runs complete, 0 of them before; 1 failed" in found.stderr
    assert "iran_vs_0001: code 3: no convergence" in found.stderr
    assert "error: 1 of 2 runs failed; mend them, and run the same command again" in found.stderr
    assert (out / "iran_vs_0000" / "complete.json").exists()
    assert "no cluster is connected; use mimtpy --cluster local" in run("relax", "run", out, code=2).stderr


def test_post_writes_grids_and_why_some_are_missing(tmp_path):
    for run_, names in (("a", ("east", "north", "up")), ("b", ("east", "north"))):
        (tmp_path / "runs" / run_).mkdir(parents=True)
        for c, name in enumerate(names):
            with netcdf_file(tmp_path / "runs" / run_ / f"000-relax-{name}.grd", "w") as file:
                for axis, values in (("y", (0.0, 1.0)), ("x", (5.0, 6.0, 7.0))):
                    file.createDimension(axis, len(values))
                    file.createVariable(axis, "f8", (axis,))[:] = values
                file.createVariable("z", "f4", ("y", "x"))[:] = np.full((2, 3), c + 1.0)
    found = run("relax", "post", tmp_path / "runs", "--grids", "--look", "0", "0", "--out", tmp_path / "g.zarr")
    assert found.stdout == f"{tmp_path}/g.zarr\n"
    with xr.open_zarr(tmp_path / "g.zarr") as ds:
        assert ds["displacement"].dims == ("model", "y", "x")
        assert (ds["displacement"].sel(model="a") == 3).all()  # straight from above: up
        assert ds["up"].sel(model="b").isnull().all()
        assert str(ds["missing"].values[0]) == ""
        assert "no such file" in str(ds["missing"].values[1])


def test_grids_of_runs_become_a_stack(tmp_path):
    (tmp_path / "runs").mkdir()
    (tmp_path / "runs" / "runs.csv").write_text("run,name,vs,vs_gammadot0\n0,a,17,1\n1,b,18,2\n")
    for run_, up in (("a", 1.0), ("b", 5.0)):
        (tmp_path / "runs" / run_).mkdir()
        (tmp_path / "runs" / run_ / "time.txt").write_text("0\n1\n")
        for output, name in ((o, n) for o in range(2) for n in ("east", "north", "up")):
            with netcdf_file(tmp_path / "runs" / run_ / f"00{output}-relax-{name}.grd", "w") as file:
                for axis, values in (("y", (0.0, 1.0)), ("x", (5.0, 6.0, 7.0))):
                    file.createDimension(axis, len(values))
                    file.createVariable(axis, "f8", (axis,))[:] = values
                file.createVariable("z", "f4", ("y", "x"))[:] = np.full((2, 3), 0.5 + up * output)
    options = ("--grids", "--times", "0,1", "--look", "0", "0", "--stack", tmp_path / "m.zarr")
    run("relax", "post", tmp_path / "runs", *options, "--out", tmp_path / "g.zarr")
    stack = open_models(tmp_path / "m.zarr")
    assert stack.candidates.names == ("vs",)
    assert stack.template.dims == ("model", "y", "x")
    with xr.open_zarr(tmp_path / "m.zarr") as models:
        np.testing.assert_allclose(models["model_values"].isel(y=0, x=0), [1, 5])
    found = run("relax", "post", tmp_path / "runs", "--grids", "--times", "3", "--out", tmp_path / "g.zarr", code=2)
    assert "expected times from 0 to 1 years, which the runs have, got 3" in found.stderr
