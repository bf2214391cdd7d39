"""Grids of GMT as netCDF readers see them."""

import shutil
import subprocess
from pathlib import Path

import h5py
import numpy as np
import pytest
import rasterio
import xarray as xr
from hypothesis import given, settings
from losscene import los_scene
from strategies import chunkings

from mimtpy_cloud.errors import SchemaError
from mimtpy_cloud.exports.dispatch import export
from mimtpy_cloud.exports.gmt import write_gmt


def test_netcdf_readers_get_values_axes_and_units(tmp_path: Path) -> None:
    pytest.importorskip("h5netcdf")
    ds = los_scene()
    assert export(ds, "gmt", tmp_path / "a.grd") == [str(tmp_path / "a.grd")]
    with xr.open_dataset(tmp_path / "a.grd", engine="h5netcdf") as back:
        assert back["z"].dims == ("y", "x")
        np.testing.assert_array_equal(back["z"].values[::-1], ds["displacement"].values)
        np.testing.assert_allclose(back["y"].values[::-1], ds["y"])
        np.testing.assert_allclose(back["x"], ds["x"])
        assert back["z"].attrs["units"] == "m"
        assert back["z"].attrs["actual_range"][1] == float(ds["displacement"].max())
        assert back["y"].attrs["units"] == "degrees_north"
        assert back.attrs["title"] == "D071 displacement"


def test_pixel_registration_has_the_outer_edges(tmp_path: Path) -> None:
    write_gmt(los_scene(), str(tmp_path / "a.grd"))
    with h5py.File(tmp_path / "a.grd") as file:
        assert file.attrs["node_offset"][0] == 1
        assert list(file["x"].attrs["actual_range"]) == pytest.approx([100, 100.08])
        assert list(file["y"].attrs["actual_range"]) == pytest.approx([39.94, 40])


def test_metres_and_other_variables_are_written_too(tmp_path: Path) -> None:
    ds = los_scene(crs="EPSG:32611")
    write_gmt(ds, str(tmp_path / "a.grd"), variable="height")
    with h5py.File(tmp_path / "a.grd") as file:
        assert file["x"].attrs["units"] == b"m"
        assert file["x"].attrs["long_name"] == b"easting"
        np.testing.assert_array_equal(file["z"][:][::-1], ds["height"])


@settings(max_examples=5)
@given(chunks=chunkings(y=6, x=8))
def test_any_chunks_give_the_same_grid(tmp_path: Path, chunks: dict[str, tuple[int, ...]]) -> None:
    write_gmt(los_scene().chunk(chunks), str(tmp_path / "a.grd"))
    with h5py.File(tmp_path / "a.grd") as file:
        np.testing.assert_array_equal(file["z"][:][::-1], los_scene()["displacement"])


def test_gdal_reads_it(tmp_path: Path) -> None:
    with rasterio.Env() as env:
        if "netCDF" not in env.drivers():
            pytest.skip("this GDAL has no netCDF driver")
    write_gmt(los_scene(), str(tmp_path / "a.grd"))
    with rasterio.open(tmp_path / "a.grd") as src:
        assert src.transform.to_gdal() == pytest.approx((100, 0.01, 0, 40, 0, -0.01))
        np.testing.assert_array_equal(src.read(1), los_scene()["displacement"])


@pytest.mark.skipif(shutil.which("gmt") is None, reason="GMT is not installed")
def test_gmt_reads_it(tmp_path: Path) -> None:
    write_gmt(los_scene(), str(tmp_path / "a.grd"))
    info = subprocess.run(["gmt", "grdinfo", "-C", "a.grd"], cwd=tmp_path, capture_output=True, text=True, check=True)
    words = info.stdout.split()
    assert [float(word) for word in words[1:5]] == pytest.approx([100, 100.08, 39.94, 40])
    assert words[9:12] == ["8", "6", "1"]


def test_a_map_must_be_named_where_there_are_several(tmp_path: Path) -> None:
    ds = los_scene().rename(displacement="east")
    with pytest.raises(SchemaError, match="which map; the product has east, los_east"):
        write_gmt(ds, str(tmp_path / "a.grd"))
    with pytest.raises(SchemaError, match=r"up is no map \(y, x\)"):
        write_gmt(ds, str(tmp_path / "a.grd"), variable="up")


def test_a_map_without_data_has_no_range(tmp_path: Path) -> None:
    write_gmt(los_scene().where(False)[["height"]], str(tmp_path / "a.grd"))
    with h5py.File(tmp_path / "a.grd") as file:
        assert np.isnan(file["z"].attrs["actual_range"]).all()
