"""``mimtpy gridsearch``: maps, points, files, tracks together, and what it says."""

import csv
import json
from pathlib import Path

import numpy as np
import pytest
import xarray as xr
from click.testing import CliRunner

from mimtpy_cloud.cli.app import cli
from mimtpy_cloud.exports.zarr import write_zarr
from mimtpy_cloud.ops.forward import mogi_model
from mimtpy_cloud.ops.model import evaluate_model
from mimtpy_cloud.search import write_models

X, Y = -119 + (np.arange(40) + 0.5) * 0.02, 37 - (np.arange(30) + 0.5) * 0.02
MOGI = ("--parameter", "lon=-118.6", "--parameter", "lat=36.7", "--parameter", "volume=2e6,4e6,6e6")
LOOKS = {"A064": (-0.6, -0.1), "D071": (0.6, -0.1)}


def run(*args, code=0):
    result = CliRunner().invoke(cli, [str(arg) for arg in args], prog_name="mimtpy")
    assert result.exit_code == code, result.output + str(result.exception)
    return result


def product(track, *, ramp=0.02, seed=0):
    east, north = LOOKS[track]
    ds = xr.Dataset(coords={"y": Y, "x": X})
    for name, value in (("los_east", east), ("los_north", north), ("los_up", np.sqrt(1 - east**2 - north**2))):
        ds[name] = (("y", "x"), np.full((30, 40), value, np.float32))
    model = evaluate_model(mogi_model, ds, lon=-118.6, lat=36.7, depth=5e3, volume=4e6).compute()
    noise = 1e-3 * np.random.default_rng(seed).standard_normal((30, 40))
    ds["displacement"] = (model + ramp * (model.x + 118.6) + noise).astype(np.float32).assign_attrs(units="m")
    ds["displacement"][:4, :5] = np.nan
    return ds.assign_attrs(track=track)


@pytest.fixture
def folder(tmp_path):
    for track in LOOKS:
        write_zarr(product(track), tmp_path / f"{track}.zarr")
    return tmp_path


def test_a_map_is_searched_and_everything_is_written(folder):
    out = run(
        "gridsearch", folder / "A064.zarr", "--models", "mogi", *MOGI, "--parameter", "depth=4e3:6e3:5x",
        "--ramp", "linear", "--std", "0.001", "--out", folder / "products/",
    )  # fmt: skip
    stem = folder / "products/gridsearch/A064_mogi_ramp_linear"
    ends = (".zarr", ".csv", ".png", "_residual.zarr", "_residual.png")
    assert [line for line in out.stdout.splitlines() if line.startswith(str(folder))] == [
        f"{stem}{end}" for end in ends
    ]
    assert "depth 5000, 95 % region" in out.stdout
    assert "15 models" in out.stdout
    result = xr.open_zarr(f"{stem}.zarr")
    assert float(result["best_depth"]) == 5e3
    assert float(result["rms"].min()) == pytest.approx(1.0, abs=0.05)
    assert result.attrs["provenance"]["models"] == ["mogi"]
    rows = list(csv.DictReader(Path(f"{stem}.csv").read_text().splitlines()))
    assert (rows[0]["depth"], rows[0]["volume"], rows[0]["in_region"]) == ("5000", "4000000", "yes")
    assert [float(row["rms"]) for row in rows] == sorted(float(row["rms"]) for row in rows)
    left = xr.open_zarr(f"{stem}_residual.zarr")
    assert float(left["residual_rms"]) == pytest.approx(1e-3, rel=0.1)
    assert "15/15 models" in out.stderr


def test_the_search_is_refined_around_its_region(folder):
    run(
        "gridsearch", folder / "A064.zarr", "--models", "mogi", *MOGI[:4], "--parameter", "depth=2e3:8e3:4x",
        "--parameter", "volume=4e6", "--ramp", "linear", "--std", "0.001", "--refine", "9", "--out", folder / "p/",
    )  # fmt: skip
    fine = xr.open_zarr(folder / "p/gridsearch/A064_mogi_ramp_linear_fine.zarr")
    assert fine.sizes["depth"] == 9
    assert abs(float(fine["best_depth"]) - 5e3) <= 250
    assert (folder / "p/gridsearch/A064_mogi_ramp_linear_fine_residual.png").exists()


def test_two_tracks_are_searched_together(folder):
    out = run(
        "gridsearch", folder / "A064.zarr", folder / "D071.zarr", "--models", "mogi", *MOGI, "--parameter",
        "depth=4e3,5e3,6e3", "--ramp", "linear", "--std", "0.001", "--std", "0.002", "--out", folder / "p/",
    )  # fmt: skip
    result = xr.open_zarr(folder / "p/gridsearch/A064+D071_mogi_ramp_linear.zarr")
    assert (float(result["best_depth"]), float(result["best_volume"])) == (5e3, 4e6)
    assert result["ramp_coefficient"].dims[-2:] == ("track", "term")
    assert "_residual_A064.png" in out.stdout
    assert "_residual_D071.png" in out.stdout


def test_points_with_their_own_standard_deviations(folder):
    ds = product("A064", ramp=0.0)
    rows = ["lon,lat,displacement,std,los_east,los_north,los_up"]
    for j in range(5, 30, 3):
        for i in range(0, 40, 3):
            point = ds.isel(y=j, x=i)
            rows.append(",".join(f"{float(v):.8f}" for v in (
                X[i], Y[j], point["displacement"], 1e-3, point["los_east"], point["los_north"], point["los_up"]
            )))  # fmt: skip
    (folder / "points.csv").write_text("\n".join(rows))
    out = run(
        "gridsearch", folder / "points.csv", "--models", "mogi", *MOGI, "--parameter", "depth=4e3,5e3,6e3",
        "--metric", "misfit", "--out", folder / "p/",
    )  # fmt: skip
    assert "delta chi-square" in out.stdout
    result = xr.open_zarr(folder / "p/gridsearch/points_mogi_metric_misfit.zarr")
    assert float(result["best_depth"]) == 5e3
    assert float(result["misfit"].min()) == pytest.approx(len(rows) - 1, rel=0.2)


def test_a_stack_of_two_parameters_gives_mimtpys_json(folder):
    ds = product("A064")
    depths, volumes = [4e3, 5e3], [3e6, 4e6, 5e6]
    values = [
        [evaluate_model(mogi_model, ds, lon=-118.6, lat=36.7, depth=d, volume=v) for v in volumes] for d in depths
    ]
    models = xr.concat([xr.concat(row, "volume") for row in values], "depth").assign_coords(
        depth=depths, volume=volumes
    )
    write_models(models.reset_coords(drop=True), folder / "stack.zarr")
    run(
        "gridsearch",
        folder / "A064.zarr",
        "--models",
        folder / "stack.zarr",
        "--ramp",
        "linear",
        "--out",
        folder / "p/",
    )
    rows = json.loads((folder / "p/gridsearch/A064_stack_ramp_linear.json").read_text())["rmse"]
    assert min(rows, key=lambda row: row[2])[:2] == [5e3, 4e6]


@pytest.mark.parametrize(
    ("args", "message"),
    [
        (("--models", "mogi"), "the model mogi_model lacks lon, lat, depth, volume"),
        (("--models", "mogi", "--parameter", "depth"), "expected --parameter NAME=VALUES"),
        (("--models", "mogi", *MOGI, "--parameter", "depth=1:2"), "start:end:step"),
        (("--models", "mogi", *MOGI, "--parameter", "dept=1"), "does not know dept"),
        (("--models", "mgoi"), "expected a built-in model (mogi, okada, screw, creep, trace)"),
        (("--models", "trace", "--parameter", "slip_rate=0.02"), "--trace FILE"),
        (("--models", "mogi", "--trace", "f.geojson"), "--trace goes with"),
        (("--models", "mogi", "--models", "screw"), "--models once, or for each of 1 tracks"),
        (("--models", "mogi", *MOGI, "--std", "1", "--covariance", "c.json"), "--std or --covariance"),
        (("--models", "mogi", *MOGI, "--std", "1", "--std", "2"), "one standard deviation or covariance"),
        (("--models", "mogi", *MOGI, "--variable", "up"), "there is no variable up"),
        (("--models", "mogi", *MOGI, "--parameter", "depth=5e3", "--level", "95"), "between 0 and 1"),
        (("--models", "m.zarr", "--refine", "5"), "--refine needs models that are computed"),
        (("A064.zarr", "--models", "mogi"), "A064.zarr is given twice"),
        (
            (
                "--models",
                "mogi",
                "--parameter",
                "lon=36.7",
                "--parameter",
                "lat=-118.6",
                *MOGI[4:],
                "--parameter",
                "depth=5e3",
            ),
            "a latitude lies between -90 and 90, got -118.6",
        ),
    ],
)
def test_what_is_wrong_is_said_in_a_line_and_nothing_is_written(folder, args, message):
    args = [str(folder / arg) if arg == "A064.zarr" else arg for arg in args]
    found = run("gridsearch", folder / "A064.zarr", *args, "--out", folder / "p/", code=2)
    assert message in found.stderr
    assert len(found.stderr.strip().splitlines()) <= 4
    assert not (folder / "p").exists()


def test_tracks_have_one_factor_in_the_search_and_in_the_residuals(folder):
    run(
        "gridsearch", folder / "A064.zarr", folder / "D071.zarr", "--models", "mogi", *MOGI[:4], "--parameter",
        "volume=1e6", "--parameter", "depth=4e3,5e3,6e3", "--ramp", "linear", "--scaled", "--out", folder / "p/",
    )  # fmt: skip
    stem = folder / "p/gridsearch/A064+D071_mogi_ramp_linear_scaled"
    result = xr.open_zarr(f"{stem}.zarr")
    scale = float(result["scale"].sel(depth=5e3).squeeze())
    assert scale == pytest.approx(4.0, rel=0.02)
    for track in LOOKS:
        left = xr.open_zarr(f"{stem}_residual_{track}.zarr")
        assert left.attrs["provenance"]["scale"] == scale
        assert float(left["residual_rms"]) == pytest.approx(1e-3, rel=0.1)


def test_a_covariance_of_another_unit_and_half_known_noise_are_refused(folder):
    (folder / "noise.json").write_text(
        json.dumps({"kind": "exponential", "sill": 1e-6, "range_km": 5, "nugget": 1e-7, "units": "(m/yr)^2"})
    )
    args = ("--models", "mogi", *MOGI, "--parameter", "depth=5e3", "--out", folder / "p/")
    found = run("gridsearch", folder / "A064.zarr", *args, "--covariance", folder / "noise.json", code=2)
    assert "m/yr" in found.stderr
    (folder / "a.csv").write_text("lon,lat,displacement,std\n-118.6,36.7,0.1,0.01\n-118.5,36.7,0.1,0.01\n")
    (folder / "b.csv").write_text("lon,lat,displacement\n-118.6,36.7,0.1\n-118.5,36.7,0.1\n")
    found = run("gridsearch", folder / "a.csv", folder / "b.csv", *args, code=2)
    assert "some of the inputs have standard deviations" in found.stderr


def test_what_is_suspicious_is_said(folder):
    args = (*MOGI[:4], "--parameter", "volume=4e6", "--ramp", "linear", "--out", folder / "p/")
    first = ("gridsearch", folder / "A064.zarr", "--models", "mogi")
    edge = run(*first, *args, "--parameter", "depth=5e3,7e3", "--std", "0.001").stdout
    assert "which is an end of the values: search farther" in edge
    assert "chi-square" not in edge.replace("delta chi-square", "")
    wrong = run(*first, *args, "--parameter", "depth=4e3,5e3,6e3", "--std", "1").stdout
    assert "one value" not in wrong
    assert "not near 1: noise, units or models are wrong" in wrong


def test_one_look_serves_what_has_none(folder):
    ds = product("A064")
    rows = ["lon,lat,displacement"]
    for j in range(5, 30, 4):
        rows += [f"{X[i]},{Y[j]},{float(ds['displacement'][j, i])}" for i in range(0, 40, 4)]
    (folder / "bare.csv").write_text("\n".join(rows))
    args = ("gridsearch", folder / "bare.csv", "--models", "mogi", *MOGI, "--parameter", "depth=4e3,5e3,6e3")
    found = run(*args, "--ramp", "linear", "--out", folder / "p/", code=2)
    assert "no look vectors" in found.stderr
    angle = np.rad2deg(np.arccos(np.sqrt(1 - 0.37)))
    azimuth = np.rad2deg(np.arctan2(0.6, -0.1))
    run(*args, "--ramp", "linear", "--look", angle, azimuth, "--out", folder / "p/")
    assert float(xr.open_zarr(folder / "p/gridsearch/bare_mogi_ramp_linear.zarr")["best_depth"]) == 5e3
