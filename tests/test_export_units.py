"""Units of what is written: values are converted, not labels."""

import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import rasterio
import xarray as xr
from click.testing import CliRunner
from he5files import write_he5
from hypothesis import given
from lazy import no_compute
from strategies import chunkings

from mimtpy_cloud.cli.app import cli
from mimtpy_cloud.cli.products import observe, open_product
from mimtpy_cloud.errors import SchemaError
from mimtpy_cloud.exports.geotiff import write_cog
from mimtpy_cloud.exports.provenance import labelled
from mimtpy_cloud.exports.units import in_unit
from mimtpy_cloud.io.hdfeos5 import open_hdfeos5
from mimtpy_cloud.io.sources import open_source

WAVELENGTH = 0.05546576


def motion(units: str = "m", name: str = "displacement", value: float = 0.014) -> xr.DataArray:
    values = np.full((2, 3), value, "float32")
    values[0, 0] = np.nan
    return xr.DataArray(values, dims=("y", "x"), name=name, attrs={"units": units, "wavelength": WAVELENGTH})


def test_radians_are_those_of_the_oracle(oracles: dict[str, Any]) -> None:
    case = oracles["O08"]
    da = xr.DataArray(case["disp"], name="displacement", attrs={"units": "m", "wavelength": case["wavelength"]})
    assert float(in_unit(da, "rad")) == pytest.approx(case["phase"], rel=1e-9)


@pytest.mark.parametrize(
    ("unit", "units", "factor"),
    [("m", "m", 1), ("cm", "m", 100), ("mm", "m/yr", 1000), ("mm/yr", "m/yr", 1000), ("rad", "m/yr", -1)],
)
def test_values_and_unit_change_together(unit: str, units: str, factor: float) -> None:
    found = in_unit(motion(units, "velocity"), unit)
    factor = -4 * math.pi / WAVELENGTH if factor < 0 else factor
    np.testing.assert_allclose(found, motion(units) * factor, rtol=1e-6)
    assert found.attrs["units"] == unit.removesuffix("/yr") + units[1:]
    assert (found.dtype, found.name) == (np.dtype("float32"), "velocity")


def test_a_standard_deviation_stays_positive_in_radians() -> None:
    assert float(in_unit(motion("m/yr", "velocity_std"), "rad")[1, 1]) == pytest.approx(3.171852, rel=1e-6)


@given(chunks=chunkings(y=2, x=3))
def test_chunked_equals_numpy_and_nothing_is_computed(chunks: dict[str, tuple[int, ...]]) -> None:
    with no_compute():
        lazy = in_unit(motion().chunk(chunks), "cm")
    xr.testing.assert_equal(lazy.compute(), in_unit(motion(), "cm"))


@pytest.mark.parametrize(
    ("da", "unit", "message"),
    [
        (motion("1", "temporal_coherence"), "cm", "temporal_coherence is in 1, not in m or m/yr"),
        (motion(), "inch", "unit must be one of m, cm, mm, rad for displacement, got 'inch'"),
        (motion(), "cm/yr", "got 'cm/yr'"),
        (motion("m", "height"), "rad", "height is no motion in the line of sight"),
        (motion().assign_attrs(wavelength=None), "rad", "has no attribute wavelength"),
    ],
)
def test_units_that_make_no_sense_are_refused(da: xr.DataArray, unit: str, message: str) -> None:
    with pytest.raises(SchemaError, match=message):
        in_unit(da, unit)


def test_a_geotiff_in_centimetres_holds_centimetres_and_is_read_in_metres(tmp_path: Path) -> None:
    ds = observe(open_hdfeos5(write_he5(tmp_path)), "displacement")
    write_cog(labelled(ds, "displacement"), tmp_path / "d.tif", unit="cm")
    with rasterio.open(tmp_path / "d.tif") as file:
        assert file.units == ("cm",)
        np.testing.assert_allclose(file.read(1), ds["displacement"] * 100, rtol=1e-6)
    np.testing.assert_allclose(open_product(str(tmp_path / "d.tif"))["displacement"], ds["displacement"], rtol=1e-6)


@pytest.mark.parametrize(
    ("oracle", "source", "variable", "dates", "mask"),
    [
        ("disp_DT071", "SynthSenDT071/mintpy/geo_timeseries_ERA5_demErr.h5", "displacement", True, False),
        ("disp_DT071_msk", "SynthSenDT071/mintpy/geo_timeseries_ERA5_demErr.h5", "displacement", True, True),
        ("velocity_AT064", "../../mintpy_oracles/velocity/AT064/velocity.h5", "velocity", False, False),
        ("height_AT064", "SynthSenAT064/mintpy/geo_geometryRadar.h5", "height", False, False),
        ("mask_AT064", "SynthSenAT064/mintpy/geo_maskTempCoh.h5", "valid", False, False),
        ("velocity_utm", "../../mintpy_oracles/velocity/HYP3_UTM/velocity.h5", "velocity", False, False),
    ],
)
def test_grid_and_values_are_those_of_mintpy(
    shared: Path, tmp_path: Path, oracle: str, source: str, variable: str, dates: bool, mask: bool
) -> None:
    ds = open_source(shared / "data" / "he5" / "small" / source)
    if dates:
        ds = observe(ds, "displacement", start="2019-11-16", end="2020-07-13", mask=mask)
    write_cog(labelled(ds, variable), tmp_path / "ours.tif")
    theirs = shared / "data" / "mintpy_oracles" / "gdal" / f"{oracle}.tif"
    with rasterio.open(tmp_path / "ours.tif") as a, rasterio.open(theirs) as b:
        ours, wanted = a.read(1), b.read(1)
        assert a.shape == b.shape
        assert a.crs == b.crs
        np.testing.assert_allclose(a.transform.to_gdal(), b.transform.to_gdal(), rtol=1e-12)
    data = np.isfinite(ours)
    assert data.sum() > 1000
    np.testing.assert_allclose(ours[data], np.nan_to_num(wanted[data]), atol=1e-8)
    assert not np.nan_to_num(wanted[~data]).any()  # what is NaN here is NaN or 0 there


@pytest.mark.parametrize("name", ["velocity", "velocity_std"])
def test_phase_says_its_sign_and_is_read_as_motion(tmp_path: Path, name: str) -> None:
    ds = observe(open_hdfeos5(write_he5(tmp_path)), "velocity")
    write_cog(labelled(ds, name), tmp_path / "p.tif", unit="rad")
    with rasterio.open(tmp_path / "p.tif") as file:
        assert file.units == ("rad/yr",)
        assert ("toward the satellite negative" in file.tags(1)["long_name"]) == (name == "velocity")
    back = open_product(str(tmp_path / "p.tif"))[name]
    np.testing.assert_allclose(back, ds[name], rtol=1e-5)
    assert back.attrs == {"units": "m/yr", "long_name": ds[name].attrs["long_name"]}


def run(*args: Any, code: int = 0) -> Any:
    result = CliRunner().invoke(cli, [str(arg) for arg in args], prog_name="mimtpy")
    assert result.exit_code == code, result.output + str(result.exception)
    return result


def test_the_command_writes_the_maps_that_are_named(tmp_path: Path) -> None:
    file = write_he5(tmp_path)
    args = ("--variable", "velocity", "--variable", "velocity_std", "--unit", "mm")
    out = run("to-geotiff", file, *args, "--out", f"{tmp_path}/t").stdout.splitlines()
    stem = f"{tmp_path}/t/TinySenAT064_velocity_20200103_20200127"
    assert out == [f"{stem}_mm.tif", f"{stem}_velocity_std_mm.tif"]
    ds = observe(open_hdfeos5(file), "velocity")
    with rasterio.open(out[1]) as raster:
        assert raster.units == ("mm/yr",)
        np.testing.assert_allclose(raster.read(1), ds["velocity_std"] * 1000, rtol=1e-6)


def test_the_command_says_what_does_not_fit(tmp_path: Path) -> None:
    file = write_he5(tmp_path)
    assert "ends in .tif" in run("to-geotiff", file, "--out", "a.zarr", code=2).stderr
    two = ("--variable", "velocity", "--variable", "height", "--out", f"{tmp_path}/a.tif")
    assert "one file holds one map, got velocity, height" in run("to-geotiff", file, *two, code=2).stderr
    rad = run("to-geotiff", file, "--variable", "height", "--unit", "rad", "--out", f"{tmp_path}/h.tif", code=2)
    assert "height is no motion in the line of sight" in rad.stderr
    assert not (tmp_path / "h.tif").exists()
    tiff = tmp_path / "TinySenAT064_velocity.tif"
    write_cog(labelled(observe(open_hdfeos5(file), "velocity"), "velocity"), tiff)
    assert "would be lost" in run("to-geotiff", tiff, "--out", tmp_path, code=2).stderr
