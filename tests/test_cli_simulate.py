"""``mimtpy simulate``."""

import re
from pathlib import Path

import h5py
import numpy as np
import pytest
import xarray as xr
from click.testing import CliRunner
from scipy.io import savemat
from synthetic import lattice_dataset, small_window

from mimtpy_cloud.cli.app import cli
from mimtpy_cloud.cli.products import open_product, write_store
from mimtpy_cloud.cli.simulation import named_numbers, read_source
from mimtpy_cloud.errors import ParameterError, SchemaError
from mimtpy_cloud.exports.geotiff import write_cog
from mimtpy_cloud.exports.provenance import labelled
from mimtpy_cloud.kernels.fringe import fringe
from mimtpy_cloud.ops.disturbance import simulate_atmosphere, simulate_ramp, simulate_white_noise, swath_mask
from mimtpy_cloud.ops.forward import mogi_model, screw_model
from mimtpy_cloud.ops.model import evaluate_model
from mimtpy_cloud.ops.scene import constant_look

WINDOW = small_window(30, 35)
LINE = (-118.87, 36.7, -118.85, 37.1)
MOGI = {"lon": -118.86, "lat": 36.9, "depth": 4e3, "volume": 1e7}
SOURCE = "mogi:" + ",".join(f"{name}={value}" for name, value in MOGI.items())


def run(*args, code=0):
    result = CliRunner().invoke(cli, ["simulate", *map(str, args)], prog_name="mimtpy")
    assert result.exit_code == code, result.output + str(result.exception)
    return result


@pytest.fixture
def no_figures(monkeypatch):
    """Figures are tested elsewhere, and once here."""
    monkeypatch.setattr("mimtpy_cloud.cli.simulation.draw", lambda *_, **__: None)


@pytest.fixture
def product(tmp_path):
    """A velocity with a lake, which is no data."""
    velocity = np.zeros(WINDOW.shape)
    velocity[3:8, 4:9] = np.nan
    ds = lattice_dataset(WINDOW, velocity=velocity)
    write_store(ds.chunk(), str(tmp_path / "v.zarr"), provenance={})
    return tmp_path / "v.zarr"


def mask_file(tmp_path):
    """A mask as MintPy writes it."""
    west, _, _, north = WINDOW.bounds
    attrs = {"FILE_TYPE": "mask", "LENGTH": "30", "WIDTH": "35", "X_FIRST": str(west), "Y_FIRST": str(north)}
    attrs |= {"X_STEP": "0.008", "Y_STEP": "-0.008", "X_UNIT": "degrees", "Y_UNIT": "degrees", "UNIT": "1"}
    usable = np.ones(WINDOW.shape, bool)
    usable[:, :5] = False
    with h5py.File(tmp_path / "maskTempCoh.h5", "w") as file:
        file["mask"] = usable
        file.attrs.update(attrs)
    return tmp_path / "maskTempCoh.h5", usable


@pytest.mark.usefixtures("no_figures")
def test_the_parts_are_those_of_the_library_and_add_up(product, tmp_path):
    ramps = ("--ramp", "ax=1e-7,c=0.01", "--swath-ramp", "c=0.1", "--swath-ramp", "c=0.2,axy=1e-12")
    noise = ("--boundary", *LINE, "--atmosphere", 1e-4, 3e3, "--noise", 2e-3, "--seed", 9)
    out = run(product, *ramps, *noise, "--source", SOURCE, "--wrap", "--out", tmp_path / "o").stdout.split()
    assert out[0] == str(tmp_path / "o/simulation/SynthSenAT064_v_simulated_seed_9.zarr")
    made, ds = open_product(out[0]), open_product(str(product))
    usable = ds["valid"].values
    assert usable.sum() == WINDOW.ny * WINDOW.nx - 25
    wanted = {
        "tectonic_ramp": simulate_ramp(ds, {"ax": 1e-7, "c": 0.01}),
        "swath_ramp": simulate_ramp(ds, [{"c": 0.1}, {"c": 0.2, "axy": 1e-12}], boundaries=[LINE]),
        "model": evaluate_model(mogi_model, ds, **MOGI),
        "atmosphere": simulate_atmosphere(ds, sill=1e-4, range_m=3e3, seed=9),
        "white_noise": simulate_white_noise(ds, std=2e-3, seed=9),
    }
    for name, part in wanted.items():
        np.testing.assert_array_equal(made[name], part.where(usable), err_msg=name)
        assert made[name].attrs["units"] == "m"
    np.testing.assert_allclose(made["displacement"], sum(wanted.values()).where(usable), atol=1e-7)
    np.testing.assert_allclose(made["ramp"], made["tectonic_ramp"] + made["swath_ramp"], atol=1e-8)
    np.testing.assert_array_equal(made["swath"], np.where(usable, swath_mask(ds, [LINE]), 0))
    for name in ("tectonic_ramp", "swath_ramp", "ramp", "model", "displacement"):
        np.testing.assert_allclose(made[f"{name}_wrapped"], fringe(made[name].values, 0.05546576), atol=1e-7)
    assert set(wanted) | {"ramp", "displacement", "swath", "valid"} < set(made.data_vars)
    assert made.attrs["provenance"]["ramp"] == "ax=1e-7,c=0.01"
    maps = [name for name in made.data_vars if name != "valid" and not name.startswith("los_")]
    stem = out[0].removesuffix(".zarr")
    assert sorted(out[1:]) == sorted(f"{stem}_{name}.{suffix}" for name in maps for suffix in ("tif", "png"))
    np.testing.assert_array_equal(open_product(f"{stem}_displacement.tif")["displacement"], made["displacement"])


@pytest.mark.usefixtures("no_figures")
@pytest.mark.parametrize("kind", ["h5", "mat", "tif", "zarr"])
def test_models_of_any_file_are_added_inside_the_mask(tmp_path, kind):
    mask, usable = mask_file(tmp_path)
    model = np.random.default_rng(0).normal(0, 0.1, WINDOW.shape).astype(np.float32)
    file = tmp_path / f"model.{kind}"
    map_ = lattice_dataset(WINDOW, velocity=model)["velocity"].to_dataset(name="model")
    map_["model"].attrs["units"] = "m"
    if kind == "h5":
        with h5py.File(file, "w") as target:
            target["model"] = model.T  # columns one after another, as MATLAB writes them
    elif kind == "mat":
        savemat(file, {"model": model.astype(float)})
    elif kind == "tif":
        write_cog(labelled(map_, "model"), str(file))
    else:
        write_store(map_.chunk(), str(file), provenance={})
    store = run(mask, "--model", file, "--ramp-file", file, "--out", tmp_path / "o").stdout.split()[0]
    made = open_product(store)
    np.testing.assert_array_equal(np.isfinite(made["displacement"]), usable)
    np.testing.assert_allclose(made["displacement"], np.where(usable, 2 * model, np.nan), rtol=1e-6)


def test_a_new_grid_needs_no_file(tmp_path):
    area = ("--bbox", 36, 37, 36.2, 37.2, "--resolution", "veryLowRes")
    rate = "screw:lon=36.1,lat=37.1,strike=90,slip_rate=0.02,locking_depth=1e4"
    look = ("--incidence", 30, "--heading", -168, "--look-side", "left")
    out = run(*area, "--source", rate, "--years", 3, *look, "--wrap", "--out", tmp_path).stdout.split()
    assert all(Path(file).exists() for file in out)
    assert sum(file.endswith(".png") for file in out) == 4  # model and displacement, both also wrapped
    made = open_product(out[0])
    assert made["displacement"].shape == (25, 25)
    scene = constant_look(made, incidence=30, heading=-168, look_side="left")
    xr.testing.assert_allclose(made["los_east"], scene["los_east"])
    screw = evaluate_model(screw_model, scene, lon=36.1, lat=37.1, strike=90, slip_rate=0.02, locking_depth=1e4)
    np.testing.assert_allclose(made["model"], 3 * screw, rtol=1e-5)


@pytest.mark.usefixtures("no_figures")
def test_a_box_cuts_the_scene_but_moves_no_origin(product, tmp_path):
    whole = open_product(run(product, "--ramp", "ax=1e-6", "--out", tmp_path / "a").stdout.split()[0])
    box = ("--bbox", -118.9, 36.8, -118.8, 36.9)
    part = open_product(run(product, "--ramp", "ax=1e-6", *box, "--out", tmp_path / "b").stdout.split()[0])
    assert part.sizes["x"] < whole.sizes["x"]
    np.testing.assert_array_equal(part["displacement"], whole["displacement"].sel(x=part.x, y=part.y))


@pytest.mark.parametrize(
    ("args", "message"),
    [
        ((), "expected a mask or product, or --bbox"),
        (("none.zarr", "--noise", "1"), "no product none.zarr"),
        (("PRODUCT",), "nothing to simulate"),
        (("PRODUCT", "--ramp", "1,2,3"), "expected NAME=NUMBER,NAME=NUMBER"),
        (("PRODUCT", "--ramp", "bx=1"), "coefficients c, ax, ay, axx, axy, ayy, got bx"),
        (("PRODUCT", "--source", "volcano:lon=1"), "expected a source mogi, okada"),
        (("PRODUCT", "--source", "mogi:lon=1"), "lacks lat, depth, volume"),
        (("PRODUCT", "--ramp", "c=1", "--ramp-file", "f"), "--ramp or --ramp-file"),
        (("PRODUCT", "--boundary", *map(str, LINE)), "a --swath-ramp for each swath"),
        (("PRODUCT", "--swath-ramp", "c=1", "--boundary", *map(str, LINE)), "1 boundaries make 2 swaths"),
        (("PRODUCT", "--atmosphere", "1e-4", "0"), "range_m must be finite and positive"),
        (("PRODUCT", "--noise", "1", "--heading", "3"), "give --incidence and --heading"),
        (("MASK", "--source", SOURCE), "the scene has none .*give --incidence and --heading"),
        (("PRODUCT", "--model", "SMALL"), "needs the rows and columns of the scene, 30 x 35, got 2 x 3"),
        (("PRODUCT", "--model", "SHIFTED"), "needs the grid of the scene"),
        (("PRODUCT", "--noise", "1", "--out", "a.tif"), "--out is a folder here"),
    ],
)
def test_what_cannot_be_simulated_says_why(product, tmp_path, args, message):
    savemat(tmp_path / "small.mat", {"model": np.zeros((2, 3))})
    shifted = lattice_dataset(small_window(30, 35, west=-118), velocity=0.0)
    write_store(shifted.chunk(), str(tmp_path / "s.zarr"), provenance={})
    files = {"PRODUCT": product, "SMALL": tmp_path / "small.mat", "SHIFTED": tmp_path / "s.zarr"}
    files["MASK"] = mask_file(tmp_path)[0]
    place = () if "--out" in args else ("--out", tmp_path / "o")
    found = run(*(files.get(arg, arg) for arg in args), *place, code=2).output
    assert "Traceback" not in found
    assert re.search(message, " ".join(found.split())), found
    assert not (tmp_path / "o").exists()


def test_texts_of_numbers_and_sources():
    assert named_numbers(" c = 1 ,ax=-2e-7") == {"c": 1.0, "ax": -2e-7}
    model, parameters = read_source(SOURCE)
    assert (model, parameters) == (mogi_model, MOGI)
    for wrong in ("c=1,c=2", "c", "c=", "=1", "c=x", ""):
        with pytest.raises(ParameterError, match="each once, got"):
            named_numbers(wrong)
    with pytest.raises(SchemaError, match="does not know size"):
        read_source(SOURCE + ",size=3")


def test_a_wavelength_without_wrap_is_refused_since_it_would_do_nothing(tmp_path):
    args = ("--bbox", 36, 37, 36.5, 37.5, "--ramp", "c=1", "--wavelength", 0.24, "--out", tmp_path)
    assert "--wavelength is that of --wrap; give both" in run(*args, code=2).stderr
    assert not list(tmp_path.iterdir())
