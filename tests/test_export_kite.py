"""Scenes of Kite: angles, flips, frame and meta, and the way back."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import xarray as xr
import yaml
from hypothesis import given, settings
from losscene import los_scene
from strategies import chunkings

from mimtpy_cloud.errors import DateError, GridMismatchError, SchemaError, SourceFormatError, StorageError
from mimtpy_cloud.exports.dispatch import export
from mimtpy_cloud.exports.kite import write_kite
from mimtpy_cloud.io.kite import open_kite
from mimtpy_cloud.io.mintpy import open_mintpy
from mimtpy_cloud.kernels.look import kite_angles, los_from_kite, los_unit_vector


def parts(base: Path) -> tuple[list[np.ndarray], dict[str, Any]]:
    with np.load(base.with_suffix(".npz")) as found:
        arrays = [found[f"arr_{i}"] for i in range(3)]
    text = base.with_suffix(".yml").read_text()
    plain = "\n".join(line.split("!kite")[0] if "!kite" in line else line for line in text.splitlines())
    return arrays, yaml.safe_load(plain.replace("%YAML 1.1", "").replace("--- ", ""))


def test_angles_equal_the_oracle(oracles: dict[str, Any]) -> None:
    known = oracles["O30"]
    look = los_unit_vector(np.float64(known["inc"]), np.float64(known["az"]))
    theta, phi = (np.rad2deg(angle) for angle in kite_angles(*look))
    assert theta == pytest.approx(known["theta_deg"], rel=1e-9)
    assert phi == pytest.approx(known["phi_deg"], rel=1e-9)
    assert np.array(los_from_kite(np.deg2rad(51), np.deg2rad(-12))) == pytest.approx(known["enu_expected"], rel=1e-9)


def test_a_scene_has_row_0_in_the_south_and_the_outer_corner(tmp_path: Path) -> None:
    ds = los_scene()
    assert export(ds, "kite", tmp_path / "scene") == [str(tmp_path / "scene.npz"), str(tmp_path / "scene.yml")]
    (value, theta, phi), config = parts(tmp_path / "scene")
    np.testing.assert_array_equal(value, ds["displacement"].values[::-1])
    assert value[-1, 0] == np.float32(0.014)  # the first pixel is in the north-west
    assert np.rad2deg(theta[0, 0]) == pytest.approx(51, abs=1e-4)
    assert np.rad2deg(theta[0, -1]) == pytest.approx(49, abs=1e-4)
    np.testing.assert_allclose(np.rad2deg(phi), -12, atol=1e-4)
    assert config["frame"] == {"llLat": 39.94, "llLon": 100.0, "dN": 0.01, "dE": 0.01, "spacing": "degree"}
    assert config["meta"] == {
        "scene_title": "D071 displacement (m)",
        "scene_id": "D071",
        "satellite_name": "Sentinel",
        "wavelength": 0.05546576,
        "orbital_node": "Descending",
        "time_master": "2020-01-05 13:55:00",
        "time_slave": "2020-07-03 13:55:00",
        "extra": {"units": "m"},
    }


@pytest.mark.parametrize("kind", ["displacement", "velocity"])
def test_what_is_written_is_read_back(kind: str, tmp_path: Path) -> None:
    ds = los_scene(kind)
    export(ds, "kite", tmp_path / "scene.yml")
    back = open_kite(tmp_path / "scene.npz")
    for name in (kind, "los_east", "los_north", "los_up"):
        np.testing.assert_allclose(back[name], ds[name], atol=1e-6)
        np.testing.assert_array_equal(back[name].isnull(), ds[name].isnull())
        assert back[name].attrs["units"] == ("1" if name != kind else ds[kind].attrs["units"])
    np.testing.assert_allclose(back["y"], ds["y"], atol=1e-12)
    np.testing.assert_allclose(back["x"], ds["x"], atol=1e-12)
    for name in ("start_date", "end_date", "orbit_direction", "wavelength", "sensor", "track"):
        assert back.attrs[name] == ds.attrs[name]


@settings(max_examples=8)
@given(chunks=chunkings(y=6, x=8))
def test_any_chunks_give_the_same_scene(tmp_path: Path, chunks: dict[str, tuple[int, ...]]) -> None:
    calls: list[int] = []
    write_kite(los_scene().chunk(chunks), str(tmp_path / "a"), progress=lambda done, total, unit: calls.append(total))
    write_kite(los_scene(), str(tmp_path / "b"))
    for one, other in zip(parts(tmp_path / "a")[0], parts(tmp_path / "b")[0], strict=True):
        np.testing.assert_array_equal(one, other)
    assert calls
    assert [file.name for file in tmp_path.iterdir() if file.name.startswith(".")] == []


def test_double_precision_stays(tmp_path: Path) -> None:
    write_kite(los_scene().astype("float64"), str(tmp_path / "a"))
    assert {array.dtype for array in parts(tmp_path / "a")[0]} == {np.dtype("float64")}


def test_mintpy_writes_the_same_scene(shared: Path, he5: Path, tmp_path: Path) -> None:
    folder = he5 / "small/SynthSenDT071/mintpy"
    geometry = open_mintpy(folder / "geo_geometryRadar.h5")
    ds = open_mintpy(shared / "data/mintpy_oracles/velocity/DT071/velocity.h5")
    ds = ds.assign({name: geometry[name] for name in ("los_east", "los_north", "los_up")})
    ds = ds.assign_attrs(start_date="2019-11-04", end_date="2021-01-09")
    write_kite(ds, str(tmp_path / "scene"))
    ours, config = parts(tmp_path / "scene")
    theirs, known = parts(shared / "data/mintpy_oracles/kite/vel_DT071")
    masked = np.isnan(theirs[0])
    for one, other in zip(ours, theirs, strict=True):
        np.testing.assert_allclose(one[~masked], other[~masked], atol=2e-7)
    assert config["frame"] == pytest.approx(known["frame"])
    for name in ("wavelength", "orbital_node", "time_master", "time_slave"):
        assert config["meta"][name] == known["meta"][name]


def test_scenes_of_mintpy_are_read(shared: Path) -> None:
    ds = open_kite(shared / "data/mintpy_oracles/kite/disp_DT071.yml")
    assert ds["displacement"].sizes == {"y": 121, "x": 158}
    assert (ds.attrs["start_date"], ds.attrs["end_date"]) == ("2019-11-16", "2020-07-13")
    assert float(ds["y"][0]) == pytest.approx(37.36 - 0.004)
    assert float(ds["los_east"].mean()) > 0.5  # a descending satellite is in the east


def test_a_product_that_is_no_scene_is_refused(tmp_path: Path) -> None:
    place = str(tmp_path / "scene")
    with pytest.raises(SchemaError, match="needs los_east, los_north, los_up"):
        write_kite(los_scene()[["displacement"]], place)
    with pytest.raises(GridMismatchError, match=r"needs a grid in degrees \(EPSG:4326\), got EPSG:32611"):
        write_kite(los_scene(crs="EPSG:32611"), place)
    with pytest.raises(DateError, match="needs the attributes start_date and end_date as YYYY-MM-DD, got 2020 "):
        write_kite(los_scene(start_date="2020 "), place)
    with pytest.raises(DateError, match="start_date before end_date"):
        write_kite(los_scene(end_date="2019-01-01"), place)
    with pytest.raises(SchemaError, match="is a time series; take its velocity or the displacement between"):
        write_kite(los_scene().expand_dims(time=2), place)
    with pytest.raises(SchemaError, match="must be in m or m/yr, got units None"):
        write_kite(los_scene(), place, variable="temporal_coherence")
    for name in ("height", "east", "displacement_std"):
        other = los_scene()["displacement"].rename(name)
        with pytest.raises(SchemaError, match=f"{name} is no motion along the line of sight; take displacement"):
            write_kite(los_scene().assign({name: other}), place, variable=name)
    assert list(tmp_path.iterdir()) == []


def test_files_that_are_no_scene_are_refused(tmp_path: Path) -> None:
    base = tmp_path / "scene"
    with pytest.raises(StorageError, match="no such file"):
        open_kite(base)
    write_kite(los_scene(), str(base))
    good = base.with_suffix(".yml").read_text()
    for text, message in (
        ("a: [", "expected a scene of Kite"),
        ("a: 1", "has no meta and frame"),
        ("meta:\nframe:\n", "has no meta and frame"),
        (good.replace("  dN: 0.01\n", ""), "expected a frame with numbers for llLat, llLon, dN, dE"),
        (good.replace('"units": "m"', '"look_side": "up"'), "expected a look_side of right or left, got 'up'"),
        (good.replace("spacing: degree", "spacing: meter"), "expected a frame with spacing degree, got meter"),
        (
            good.replace("Descending", "Ascending"),
            "phi must be the direction to the satellite .* of the ascending pass",
        ),
    ):
        base.with_suffix(".yml").write_text(text)
        with pytest.raises(SourceFormatError, match=message):
            open_kite(base)
    base.with_suffix(".yml").write_text(good)
    np.savez(base.with_suffix(".npz"), np.zeros((2, 2)), np.zeros((2, 2)), np.zeros((2, 3)))
    with pytest.raises(SourceFormatError, match="three arrays of one shape"):
        open_kite(base)
    np.savez(base.with_suffix(".npz"), np.zeros((2, 2)))
    with pytest.raises(SourceFormatError, match="arr_0 displacement, arr_1 theta"):
        open_kite(base)


def test_a_file_of_points_is_no_scene(shared: Path) -> None:
    with pytest.raises((SourceFormatError, StorageError)):
        open_kite(shared / "data/real/laquila_kite_beat/Laquila_ascxn.npz")


def test_a_lazy_product_is_not_computed_before_it_is_written() -> None:
    from lazy import no_compute

    from mimtpy_cloud.exports.observed import displacement_of, look_angles, phase_of

    lazy = los_scene("velocity").chunk(y=2)
    with no_compute():
        maps = [displacement_of(lazy), phase_of(lazy), *look_angles(lazy)]
    assert all(isinstance(each, xr.DataArray) and each.chunks is not None for each in maps)


@pytest.mark.parametrize(("direction", "phi"), [("ascending", 12.0), ("descending", 168.0)])
def test_a_satellite_that_looks_to_the_left_is_read_back(direction: str, phi: float, tmp_path: Path) -> None:
    look = dict(zip(("los_east", "los_north", "los_up"), los_unit_vector(39.0, phi - 90), strict=True))
    ds = los_scene(look_side="left", orbit_direction=direction)
    ds = ds.assign({name: xr.full_like(ds[name], float(value)) for name, value in look.items()})
    write_kite(ds, str(tmp_path / "a"))
    assert np.rad2deg(parts(tmp_path / "a")[0][2]) == pytest.approx(phi, abs=1e-4)
    back = open_kite(tmp_path / "a")
    assert back.attrs["look_side"] == "left"
    np.testing.assert_allclose(back["los_east"], ds["los_east"], atol=1e-6)
    text = (tmp_path / "a.yml").read_text()
    (tmp_path / "a.yml").write_text(text.replace('"left"', '"right"'))
    with pytest.raises(SourceFormatError, match=r"write look_side: left or right below extra in the \.yml"):
        open_kite(tmp_path / "a")


def test_an_unknown_time_of_day_is_midnight(tmp_path: Path) -> None:
    write_kite(los_scene(mintpy={"CENTER_LINE_UTC": "None"}), str(tmp_path / "a"))
    assert str(parts(tmp_path / "a")[1]["meta"]["time_master"]).endswith("00:00:00")
