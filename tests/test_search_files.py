"""Folders of model files, indexed once into a stack."""

import json

import h5py
import numpy as np
import pytest
import rioxarray  # noqa: F401
import xarray as xr
from scipy.io import netcdf_file

import mimtpy_cloud as mc
from mimtpy_cloud.errors import ParameterError, SchemaError, SourceFormatError
from mimtpy_cloud.exports.geotiff import write_cog
from mimtpy_cloud.exports.mimtpyjson import write_model_json
from mimtpy_cloud.search import index_models

X, Y = 30 + 0.01 * (np.arange(30) + 0.5), 1 - 0.01 * (np.arange(20) + 0.5)


def field(p1, p2):
    return (p1 * np.sin(3 * X) + p2 * np.cos(5 * Y)[:, None]).astype(np.float32)


def observed(p1=17.25, p2=18.5):
    values = field(p1, p2) + 0.01 * (X - 30).astype(np.float32) + np.float32(3)
    return xr.DataArray(values, {"y": Y, "x": X}, ("y", "x"), name="displacement", attrs={"units": "m"})


def write(path, values):
    if path.suffix == ".h5":
        with h5py.File(path, "w") as file:
            file["model"] = values
            file.attrs.update(X_FIRST=30.0, Y_FIRST=1.0, X_STEP=0.01, Y_STEP=-0.01, FILE_TYPE=".unw")
    elif path.suffix == ".grd":
        with netcdf_file(path, "w") as file:
            for name, along in (("x", X), ("y", Y[::-1])):
                file.createDimension(name, along.size)
                file.createVariable(name, "f8", (name,))[:] = along
            file.createVariable("z", "f4", ("y", "x"))[:] = values[::-1]
    else:
        image = xr.DataArray(values, {"y": Y, "x": X}, ("y", "x"), name="model").rio.write_crs(4326)
        write_cog(image, path)


@pytest.fixture(params=[".h5", ".tif", ".grd"])
def folder(request, tmp_path):
    models = tmp_path / "models"
    models.mkdir()
    for p1 in (17, 17.25, 17.5):
        for p2 in (18, 18.5):
            write(models / f"{p1:.2f}_{p2:.2f}{request.param}", field(p1, p2))
    return models


def test_a_folder_becomes_a_stack_in_which_the_truth_is_found(folder, tmp_path):
    stack = index_models(folder, tmp_path / "stack.zarr", observed(), names=("lower_crust", "mantle"))
    result = mc.search_grid(observed(), stack, ramp="linear").compute()
    assert result["rms"].dims == ("lower_crust", "mantle")
    assert (float(result["best_lower_crust"]), float(result["best_mantle"])) == (17.25, 18.5)
    assert float(result["rms"].min()) < 1e-6


def test_a_bad_file_is_a_model_without_values_and_says_why(folder, tmp_path, caplog):
    bad = sorted(folder.iterdir())[1]
    bad.write_bytes(bad.read_bytes()[:90])
    stack = index_models(folder, tmp_path / "stack.zarr", observed())
    assert [bool(text) for text in stack.problems] == [False, True, False, False, False, False]
    assert stack.problems[1].startswith(f"{bad.name}: ")
    assert bad.name in caplog.text
    result = mc.search_grid(observed(), stack, ramp="linear").compute()
    assert int(np.isnan(result["rms"]).sum()) == 1
    assert str(result["problem"].sel(p1=17, p2=18.5).values).startswith(bad.name)


def test_models_at_other_pixels_cannot_be_used(folder, tmp_path):
    elsewhere = observed().assign_coords(x=X + 0.005)
    with pytest.raises(SchemaError, match=r"none of 6 models can be used; the first, 17.00_18.00.*: pixels from"):
        index_models(folder, tmp_path / "stack.zarr", elsewhere)
    with pytest.raises(SchemaError, match=r"expected 20 x 29 pixels, got 20 x 30"):
        index_models(folder, tmp_path / "stack.zarr", observed().isel(x=slice(1, None)))


def test_mimtpys_points_are_projected_onto_the_looks(tmp_path):
    rng = np.random.default_rng(0)
    lon, lat = 90 + rng.random(12), 30 + rng.random(12)
    look = {"los_east": 0.6, "los_north": -0.1, "los_up": np.sqrt(1 - 0.37)}
    truth = None
    for v1 in (17, 17.5):
        for v2 in (18, 19.25):
            enu = rng.standard_normal((3, 12))
            if (v1, v2) == (17.5, 18):
                truth = sum(part * component for part, component in zip(enu, look.values(), strict=True))
            ds = xr.Dataset({name: ("point", part) for name, part in zip(("east", "north", "up"), enu, strict=True)})
            write_model_json(
                ds.assign_coords(lon=("point", lon), lat=("point", lat)),
                tmp_path / f"vs_{v1 * 100:.0f}{v2 * 100:.0f}.json",
            )
    points = xr.Dataset(
        {"displacement": ("point", truth), **{name: ("point", np.full(12, v)) for name, v in look.items()}}
    )
    points = points.assign_coords(lon=("point", lon), lat=("point", lat))
    stack = index_models(f"{tmp_path}/vs_*.json", tmp_path / "stack.zarr", points)
    result = mc.search_grid(points, stack, "misfit", covariance=1.0).compute()
    assert (float(result["best_p1"]), float(result["best_p2"])) == (17.5, 18.0)
    assert float(result["misfit"].min()) < 1e-10
    with pytest.raises(SchemaError, match="need the looks"):
        index_models(f"{tmp_path}/vs_*.json", tmp_path / "other.zarr", points["displacement"])
    with pytest.raises(SchemaError, match="12 points that are not the 11"):
        index_models(f"{tmp_path}/vs_*.json", tmp_path / "other.zarr", points.isel(point=slice(11)))


def test_names_of_files_hold_the_parameters(tmp_path):
    for name in ("a_1.h5", "a_1_2.h5"):
        write(tmp_path / name, field(1, 2))
    with pytest.raises(ParameterError, match="as many numbers in the name"):
        index_models(tmp_path, tmp_path / "stack.zarr", observed())
    (tmp_path / "a_1_2.h5").rename(tmp_path / "b_1.0.h5")
    with pytest.raises(ParameterError, match=r"two files have the parameters of b_1.0.h5"):
        index_models(tmp_path, tmp_path / "stack.zarr", observed())
    (tmp_path / "b_1.0.h5").unlink()
    with pytest.raises(ParameterError, match="hold 1 parameters, names are x, y"):
        index_models(tmp_path, tmp_path / "stack.zarr", observed(), names=("x", "y"))


def test_a_folder_without_models_is_refused(tmp_path):
    (tmp_path / "notes.txt").write_text(json.dumps({}))
    with pytest.raises(SourceFormatError, match="has no model file"):
        index_models(tmp_path, tmp_path / "stack.zarr", observed())
