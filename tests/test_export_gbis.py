"""Tables of GBIS: signs, angles, places, of maps and of points."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import xarray as xr
from hypothesis import given, settings
from losscene import WAVELENGTH, los_points, los_scene
from scipy.io import loadmat
from strategies import chunkings

from mimtpy_cloud.errors import DateError, SchemaError
from mimtpy_cloud.exports import gbis
from mimtpy_cloud.exports.dispatch import export
from mimtpy_cloud.exports.gbis import write_gbis
from mimtpy_cloud.exports.observed import phase_of
from mimtpy_cloud.io.azimuth import recognise_azimuth
from mimtpy_cloud.io.mintpy import open_mintpy
from mimtpy_cloud.kernels.look import los_unit_vector

COLUMNS = ("Lon", "Lat", "Phase", "Inc", "Heading")


def read(path: Path) -> dict[str, np.ndarray]:
    return {name: values for name, values in loadmat(path).items() if name in COLUMNS}


def test_one_pixel_equals_the_oracles(oracles: dict[str, Any], tmp_path: Path) -> None:
    known = oracles["O31"]
    ds = los_scene().astype("float64")
    look = los_unit_vector(np.float64(39), np.float64(-102))
    ds = ds.assign(
        {name: ds[name] * 0 + value for name, value in zip(("los_east", "los_north", "los_up"), look, strict=True)}
    )
    ds["displacement"][:] = 0.01
    ds["displacement"].attrs["units"] = "m"
    ds["displacement"][0, 0] = oracles["O08"]["disp"]
    assert export(ds, "gbis", tmp_path / "a.mat") == [str(tmp_path / "a.mat")]
    table = read(tmp_path / "a.mat")
    assert table["Inc"][1, 0] == pytest.approx(known["Inc"], rel=1e-9)
    assert table["Heading"][1, 0] == pytest.approx(known["Heading"], rel=1e-9)
    assert table["Phase"][1, 0] == pytest.approx(known["phase_of_disp_0_01"], rel=1e-9)
    assert table["Phase"][0, 0] == pytest.approx(oracles["O08"]["phase"], rel=1e-9)


def test_rows_are_the_pixels_with_data_at_their_centres(tmp_path: Path) -> None:
    ds = los_scene()
    write_gbis(ds, str(tmp_path / "a.mat"))
    table = read(tmp_path / "a.mat")
    assert {values.shape for values in table.values()} == {(47, 1)}
    assert {values.dtype for values in table.values()} == {np.dtype("float64")}
    assert (table["Lon"][0, 0], table["Lat"][0, 0]) == pytest.approx((100.005, 39.995))
    assert (table["Lon"][-1, 0], table["Lat"][-1, 0]) == pytest.approx((100.075, 39.945))
    values = ds["displacement"].values.ravel()
    expected = -4 * np.pi / WAVELENGTH * values[np.isfinite(values)].astype("float64")
    np.testing.assert_allclose(table["Phase"][:, 0], expected, rtol=1e-12)
    np.testing.assert_allclose(table["Heading"], -168, atol=1e-4)
    metadata = loadmat(tmp_path / "a.mat")["Metadata"]
    assert (metadata["track"][0, 0][0], metadata["end_date"][0, 0][0]) == ("D071", "2020-07-03")


def test_heights_are_a_column_of_the_same_rows_and_may_be_missing(tmp_path: Path) -> None:
    ds = los_scene()
    ds["height"][0, 1] = np.nan
    write_gbis(ds.chunk(y=4, x=3), str(tmp_path / "a.mat"))
    table = loadmat(tmp_path / "a.mat")
    known = np.isfinite(ds["displacement"].values)
    np.testing.assert_array_equal(table["Height"][:, 0], ds["height"].values[known].astype("float64"))
    assert np.isnan(table["Height"]).sum() == 1
    write_gbis(ds.drop_vars("height"), str(tmp_path / "b.mat"))
    assert "Height" not in loadmat(tmp_path / "b.mat")


def test_the_wavelength_that_was_given_is_said(tmp_path: Path) -> None:
    write_gbis(los_scene(wavelength=None), str(tmp_path / "a.mat"), wavelength=0.2384035)
    assert loadmat(tmp_path / "a.mat")["Metadata"]["wavelength"][0, 0][0] == "0.2384035"


def test_a_velocity_is_the_displacement_between_the_dates(tmp_path: Path) -> None:
    ds = los_scene("velocity")
    write_gbis(ds, str(tmp_path / "a.mat"))
    ds["velocity"][0, 0] = 0.014
    expected = -4 * np.pi / WAVELENGTH * 0.014 * 180 / 365.25
    assert read(tmp_path / "a.mat")["Phase"][0, 0] == pytest.approx(expected, rel=1e-6)
    with pytest.raises(DateError, match="a velocity as displacement needs the attributes start_date and end_date"):
        write_gbis(los_scene("velocity", end_date="never"), str(tmp_path / "b.mat"))


def test_leaves_of_a_quadtree_are_rows(tmp_path: Path) -> None:
    points = los_points()
    points["displacement"][2] = np.nan
    write_gbis(points, str(tmp_path / "a.mat"))
    table = read(tmp_path / "a.mat")
    np.testing.assert_allclose(table["Lon"][:, 0], points["lon"].values[[0, 1, 3, 4]])
    np.testing.assert_allclose(table["Inc"][:, 0], [30, 32.5, 37.5, 40])
    np.testing.assert_allclose(table["Heading"], -12)
    with pytest.raises(SchemaError, match="a table of points needs lon, lat"):
        write_gbis(points.drop_vars(["lon", "lat"]), str(tmp_path / "b.mat"))


@settings(max_examples=5)
@given(chunks=chunkings(y=6, x=8))
def test_any_chunks_give_the_same_rows(tmp_path: Path, chunks: dict[str, tuple[int, ...]]) -> None:
    write_gbis(los_scene().chunk(chunks), str(tmp_path / "a.mat"))
    write_gbis(los_scene(), str(tmp_path / "b.mat"))
    one, other = read(tmp_path / "a.mat"), read(tmp_path / "b.mat")
    for name in COLUMNS:
        np.testing.assert_array_equal(one[name], other[name])


def test_mintpy_writes_the_same_rows(shared: Path, he5: Path, tmp_path: Path) -> None:
    geometry = open_mintpy(he5 / "small/SynthSenDT071/mintpy/geo_geometryRadar.h5")
    ds = open_mintpy(shared / "data/mintpy_oracles/velocity/DT071/velocity.h5")
    ds = ds.assign({name: geometry[name] for name in ("los_east", "los_north", "los_up")})
    write_gbis(ds.assign_attrs(start_date="2019-11-04", end_date="2021-01-09"), str(tmp_path / "a.mat"))
    ours, theirs = read(tmp_path / "a.mat"), loadmat(shared / "data/mintpy_oracles/gbis/vel_DT071.mat")
    pixel = {
        (round(lon, 4), round(lat, 4)): k
        for k, (lon, lat) in enumerate(zip(ours["Lon"][:, 0], ours["Lat"][:, 0], strict=True))
    }
    rows = [
        pixel[round(float(lon), 4), round(float(lat), 4)]
        for lon, lat in zip(theirs["Lon"][:, 0], theirs["Lat"][:, 0], strict=True)
    ]
    assert len(rows) > 10_000
    np.testing.assert_allclose(ours["Phase"][rows], theirs["Phase"], atol=2e-5)
    np.testing.assert_allclose(ours["Inc"][rows], theirs["Inc"], atol=2e-4)
    np.testing.assert_allclose(ours["Heading"][rows], theirs["Heading"], atol=5)  # theirs is one for the scene
    phi = np.load(shared / "data/mintpy_oracles/kite/vel_DT071.npz")["arr_2"][::-1]
    col, row = (
        np.rint(v[rows, 0]).astype(int) for v in ((ours["Lon"] + 119.588) / 0.008, (37.356 - ours["Lat"]) / 0.008)
    )
    np.testing.assert_allclose((ours["Heading"][rows, 0] + 360) % 360, 180 - np.rad2deg(phi[row, col]), atol=2e-4)


@pytest.mark.parametrize(("name", "direction"), [("ascxn", "ascending"), ("dscxn", "descending")])
def test_real_leaves_of_kite_keep_their_angles(name: str, direction: str, shared: Path, tmp_path: Path) -> None:
    with np.load(shared / f"data/real/laquila_kite_beat/Laquila_{name}.npz") as found:
        leaf = {key: found[key] for key in ("lons", "lats", "displacement", "incidence", "heading")}
    convention = recognise_azimuth(leaf["heading"], orbit_direction=direction)
    look = los_unit_vector(leaf["incidence"], convention.azimuth(leaf["heading"]))
    columns = dict(zip(("los_east", "los_north", "los_up"), look, strict=True))
    ds = xr.Dataset({key: ("leaf", values) for key, values in columns.items()})
    ds["displacement"] = ("leaf", leaf["displacement"], {"units": "m"})
    ds = ds.assign_coords(lon=("leaf", leaf["lons"]), lat=("leaf", leaf["lats"])).assign_attrs(wavelength=0.0562)
    write_gbis(ds, str(tmp_path / "a.mat"))
    table = read(tmp_path / "a.mat")
    np.testing.assert_allclose(table["Heading"][:, 0] % 360, leaf["heading"], atol=1e-9)
    np.testing.assert_allclose(table["Inc"][:, 0], leaf["incidence"], atol=1e-9)
    np.testing.assert_allclose(table["Phase"][:, 0], -4 * np.pi / 0.0562 * leaf["displacement"], rtol=1e-12)
    assert table["Phase"].max() > 0  # subsidence of L'Aquila is away from the satellite


def test_what_gbis_cannot_take_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    place = str(tmp_path / "a.mat")
    ds = los_scene()
    with pytest.raises(SchemaError, match=r"needs the radar's wavelength in m, got None; give wavelength"):
        write_gbis(los_scene(wavelength=None), place)
    write_gbis(los_scene(wavelength=None), place, wavelength=WAVELENGTH)
    with pytest.raises(SchemaError, match="no pixel with data and a look"):
        write_gbis(ds.assign(displacement=ds["displacement"] * np.float32(np.nan)).pipe(_in_metres), place)
    with pytest.raises(SchemaError, match="needs displacement or velocity"):
        write_gbis(ds.drop_vars("displacement"), place)
    monkeypatch.setattr(gbis, "_MOST", 10)
    with pytest.raises(SchemaError, match="holds 10 points, got 48 pixels; cut a box"):
        write_gbis(ds, place)


def _in_metres(ds: Any) -> Any:
    ds["displacement"].attrs["units"] = "m"
    return ds


def test_a_wavelength_that_is_not_that_of_the_product_is_refused(tmp_path):
    ds = xr.Dataset({"displacement": ("point", [0.01], {"units": "m"})}, attrs={"wavelength": 0.0555})
    with pytest.raises(SchemaError, match=r"the product says its wavelength, 0\.0555 m, got 0\.2424 m; leave it out"):
        phase_of(ds, wavelength=0.2424)
    np.testing.assert_allclose(phase_of(ds, wavelength=0.05546576), -4 * np.pi / 0.05546576 * 0.01)
