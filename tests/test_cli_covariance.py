"""``mimtpy covariance``: noise of a patch from the shell."""

import csv
import json

import numpy as np
import pytest
from click.testing import CliRunner
from synthetic import lattice_dataset
from test_covariance import WINDOW, noise

from mimtpy_cloud.cli.app import cli
from mimtpy_cloud.cli.commands import covariance as command
from mimtpy_cloud.cli.products import write_store
from mimtpy_cloud.io.covariance import read_covariance
from mimtpy_cloud.kernels.covariance import KINDS
from mimtpy_cloud.ops.covariance import covariance_model, estimate_covariance

PATCH = (0.1, -1.5, 1.4, -0.1)


def run(*args, code=0):
    result = CliRunner().invoke(cli, ["covariance", *map(str, args)], prog_name="mimtpy")
    assert result.exit_code == code, result.output + str(result.exception)
    return result


@pytest.fixture
def velocity(tmp_path):
    url = tmp_path / "velocity.zarr"
    write_store(lattice_dataset(WINDOW, velocity=noise().values), str(url), provenance={"revisions": ["r1"]})
    return url


def test_numbers_table_and_figure_are_written_and_printed(velocity, tmp_path):
    result = run(velocity, "--patch", *PATCH, "--out", tmp_path / "out")
    stem = tmp_path / "out" / "SynthSenAT064_velocity_covariance_exponential_patch_0.1_-1.5_1.4_-0.1"
    lines = result.stdout.splitlines()
    assert lines[-3:] == [f"{stem}.{suffix}" for suffix in ("json", "csv", "png")]
    stored = noise().astype(np.float32)
    expected = estimate_covariance(stored, PATCH).compute()
    found, model = read_covariance(f"{stem}.json", "m/yr"), covariance_model(expected)
    for name in ("sill", "range_km", "nugget"):
        assert getattr(found, name) == pytest.approx(getattr(model, name), rel=1e-3)
    assert lines[0].split() == ["sill", f"{found.sill:.6g}", "(m/yr)^2"]
    assert lines[1].split() == ["range", f"{found.range_km:.6g}", "km"]
    assert lines[2].split()[0] == "nugget"
    content = json.loads((tmp_path / "out" / f"{stem.name}.json").read_text())
    assert list(content)[:5] == ["kind", "sill", "range_km", "nugget", "units"]
    assert content["provenance"]["patch"] == list(PATCH)
    head, *rows = csv.reader((tmp_path / "out" / f"{stem.name}.csv").read_text().splitlines())
    assert head[:2] == ["distance [km]", "semivariance [(m/yr)^2]"]
    gamma = expected.semivariance.values[expected.pairs.values > 0]
    np.testing.assert_allclose([float(row[1]) for row in rows], gamma, rtol=1e-3)
    assert (tmp_path / "out" / f"{stem.name}.png").read_bytes()[:4] == b"\x89PNG"


def test_a_name_another_model_and_another_ramp(velocity, tmp_path):
    out = tmp_path / "noise.json"
    lines = run(velocity, "--kind", "spherical", "--ramp", "constant", "--out", out).stdout.splitlines()
    assert lines[-3:] == [str(out), str(tmp_path / "noise.csv"), str(tmp_path / "noise.png")]
    assert read_covariance(out).kind == "spherical"
    assert json.loads(out.read_text())["provenance"]["ramp"] == "constant"


def test_the_choices_are_the_models_that_there_are():
    assert command._KINDS == KINDS


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (("--out", "a.png"), "--out is a name that ends in .json"),
        (("--patch", 50, 50, 51, 51), "holds no pixel"),
        (("--start", "20180101"), "--start would choose from a track"),
    ],
)
def test_options_that_do_not_fit_are_one_line(velocity, tmp_path, options, message):
    result = run(velocity, *(() if "--out" in options else ("--out", tmp_path / "out")), *options, code=2)
    assert message in result.stderr
    assert result.stderr.count("\n") == 1
    assert not (tmp_path / "out").exists()


def test_of_a_decomposition_one_component_is_named(tmp_path):
    ds = lattice_dataset(WINDOW, velocity=noise().values)
    ds = ds.assign(east=ds.velocity, up=2 * ds.velocity).drop_vars("velocity")
    write_store(ds, str(tmp_path / "east_up.zarr"), provenance={})
    refused = run(tmp_path / "east_up.zarr", "--out", tmp_path / "a.json", code=2)
    assert "which one? The product has east, up; give --variable" in refused.stderr
    for name in ("east", "up"):
        run(tmp_path / "east_up.zarr", "--variable", name, "--out", tmp_path / f"{name}.json")
    east, up = (read_covariance(tmp_path / f"{name}.json") for name in ("east", "up"))
    assert up.sill == pytest.approx(4 * east.sill, rel=1e-3)
