"""The files of a MintPy project: layout, exact round trip, bounded work, all or nothing."""

from pathlib import Path

import h5py
import numpy as np
import pytest
import xarray as xr
from hypothesis import given, settings
from losscene import los_scene
from strategies import chunkings

from mimtpy_cloud.errors import SchemaError
from mimtpy_cloud.exports.hdfeos5 import write_hdfeos5
from mimtpy_cloud.exports.mintpy import write_mintpy
from mimtpy_cloud.io.hdfeos5 import open_hdfeos5
from mimtpy_cloud.io.mintpy import open_mintpy
from mimtpy_cloud.io.sources import open_source
from mimtpy_cloud.ops.rate import displacement_between, estimate_velocity
from mimtpy_cloud.ops.simulate import simulate_scene
from mimtpy_cloud.plan.grid import Window

WINDOW = Window.covering(50, (36.0, 37.2, 36.4, 37.6))
DATES = np.array(["2019-01-04", "2019-03-05", "2019-09-13"], "datetime64[D]")
LOOKS = ("los_east", "los_north", "los_up")


def scene() -> xr.Dataset:
    return simulate_scene(WINDOW, dates=DATES, reference_date=DATES[1], chunks=(2, 9))


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> tuple[xr.Dataset, Path]:
    ds, folder = scene(), tmp_path_factory.mktemp("project")
    write_mintpy(ds, folder)
    return ds.compute(), folder


def test_a_series_comes_back_bit_for_bit_with_what_lies_beside_it(project: tuple[xr.Dataset, Path]) -> None:
    ds, folder = project
    back = open_source(folder / "timeseries.h5").compute()
    for name in ("displacement", "valid", "height", "slant_range", "temporal_coherence", "avg_spatial_coherence"):
        np.testing.assert_array_equal(back[name].values, ds[name].values, err_msg=name)
    for name in LOOKS:  # once through float32 angles
        np.testing.assert_allclose(back[name].values, ds[name].values, atol=1.2e-7)
    assert (back.time.values == ds.time.values).all()
    assert Window.of(back.x.values, back.y.values) == WINDOW
    for name in ("track", "orbit_direction", "heading", "wavelength", "reference_point", "reference_date"):
        assert back.attrs[name] == ds.attrs[name], name


def test_what_was_made_mintpys_becomes_hdfeos5_again(project: tuple[xr.Dataset, Path], tmp_path: Path) -> None:
    ds, folder = project
    write_hdfeos5(open_source(folder / "timeseries.h5"), tmp_path / "again.he5")
    back = open_hdfeos5(tmp_path / "again.he5")
    for name in ("displacement", "temporal_coherence", "avg_spatial_coherence"):
        np.testing.assert_array_equal(back[name].values, ds[name].values, err_msg=name)


def test_names_types_and_attributes_are_those_of_mintpy(project: tuple[xr.Dataset, Path]) -> None:
    _, folder = project
    kinds = {}
    for path in folder.iterdir():
        with h5py.File(path) as file:
            kinds[path.name] = (file.attrs["FILE_TYPE"], *sorted(file))
            assert all(isinstance(value, str) for value in file.attrs.values())
            assert (file.attrs["LENGTH"], file.attrs["Y_STEP"], file.attrs["Y_UNIT"]) == ("20", "-0.02", "degrees")
    assert kinds["timeseries.h5"][0] == "timeseries"
    assert {"timeseries", "date"} < set(kinds["timeseries.h5"]) | {"bperp"}
    assert kinds["maskTempCoh.h5"] == ("mask", "mask")
    assert kinds["temporalCoherence.h5"] == ("temporalCoherence", "temporalCoherence")
    assert {"height", "incidenceAngle", "azimuthAngle"} < set(kinds["geometryGeo.h5"])
    with h5py.File(folder / "timeseries.h5") as file:
        assert file["date"].dtype == "S8"
        assert file["timeseries"].maxshape == (None, 20, 20)
        assert (file.attrs["START_DATE"], file.attrs["END_DATE"], file.attrs["REF_DATE"]) == (
            "20190104",
            "20190913",
            "20190305",
        )


def test_an_ascending_right_looking_scene_has_mintpys_azimuth(project: tuple[xr.Dataset, Path]) -> None:
    ds, folder = project
    with h5py.File(folder / "geometryGeo.h5") as file:
        incidence, azimuth = (np.radians(file[name][10, 10]) for name in ("incidenceAngle", "azimuthAngle"))
    assert ds.attrs["orbit_direction"] == "ascending"
    assert 90 < np.degrees(azimuth) < 110  # the satellite is in the west: anticlockwise from north
    east, north, up = (float(ds[name][10, 10]) for name in LOOKS)
    wanted = (-np.sin(incidence) * np.sin(azimuth), np.sin(incidence) * np.cos(azimuth), np.cos(incidence))
    np.testing.assert_allclose((east, north, up), wanted, atol=1e-6)


def test_a_velocity_comes_back_with_its_dates(tmp_path: Path) -> None:
    velocity = estimate_velocity(scene())
    written = write_mintpy(velocity, tmp_path)
    assert f"{tmp_path}/velocity.h5" in written
    assert written[f"{tmp_path}/velocity.h5"] == ["velocity", "velocityStd", "intercept"]
    back = open_source(tmp_path / "velocity.h5")
    usable = back["velocity"].notnull().values
    for name in ("velocity", "velocity_std", "intercept"):
        np.testing.assert_array_equal(back[name].values[usable], velocity[name].values[usable])
    assert (back.attrs["start_date"], back.attrs["end_date"]) == ("2019-01-04", "2019-09-13")
    with h5py.File(tmp_path / "velocity.h5") as file:
        assert (file.attrs["UNIT"], file.attrs["DATE12"]) == ("m/year", "20190104_20190913")


def test_the_change_between_two_dates_has_a_file_of_its_own(tmp_path: Path) -> None:
    change = displacement_between(scene(), "2019-01-04", "2019-09-13")
    write_mintpy(change, tmp_path)
    with h5py.File(tmp_path / "displacement.h5") as file:
        np.testing.assert_array_equal(file["displacement"][()], change["displacement"])
        assert (file.attrs["FILE_TYPE"], file.attrs["REF_DATE"]) == ("displacement", "20190104")


@settings(max_examples=5)
@given(chunks=chunkings(time=3, y=20, x=20))
def test_any_dask_chunks_give_the_same_files(
    chunks: dict[str, tuple[int, ...]], tmp_path_factory: pytest.TempPathFactory
) -> None:
    ds, folder = scene(), tmp_path_factory.mktemp("any")
    write_mintpy(ds[["displacement"]].chunk(chunks), folder)
    with h5py.File(folder / "timeseries.h5") as file:
        np.testing.assert_array_equal(file["timeseries"][()], ds["displacement"])


def test_a_projection_has_its_zone_and_its_reference_in_metres(tmp_path: Path) -> None:
    from mimtpy_cloud.io.georeference import coordinates
    from mimtpy_cloud.plan.grid import Grid

    grid = Grid(430_000.0, 4_070_000.0, 80.0, 80.0, 5, 4, "EPSG:32711")
    ds = xr.Dataset(
        {"velocity": (("y", "x"), np.ones((4, 5), "float32"), {"units": "m/yr"})},
        coordinates(grid.x, grid.y, grid.crs),
        {"reference_point": [-117.78, -53.49]},
    )
    write_mintpy(ds, tmp_path)
    with h5py.File(tmp_path / "velocity.h5") as file:
        attrs = dict(file.attrs)
    assert (attrs["EPSG"], attrs["UTM_ZONE"], attrs["X_UNIT"], attrs["X_FIRST"]) == (
        "32711",
        "11S",
        "meters",
        "430000.0",
    )
    assert abs(float(attrs["REF_LON"]) - 448_000) < 5_000
    assert open_mintpy(tmp_path / "velocity.h5").spatial_ref.attrs["crs_wkt"].startswith("PROJCRS")


def test_nothing_is_left_where_a_block_fails_or_there_is_nothing_to_write(tmp_path: Path) -> None:
    def fail(block: np.ndarray) -> np.ndarray:
        raise RuntimeError("no such block")

    ds = scene()
    broken = ds.assign(height=ds["height"].copy(data=ds["height"].data.map_blocks(fail, meta=np.empty((0, 0), "f4"))))
    with pytest.raises(RuntimeError, match="no such block"):
        write_mintpy(broken, tmp_path / "p")
    assert not [path for path in tmp_path.rglob("*") if path.is_file()]
    with pytest.raises(
        SchemaError, match="holds displacement, velocity, geometry, mask or coherence; the dataset has los_east"
    ):
        write_mintpy(ds[["los_east"]], tmp_path)


def test_progress_counts_up_to_the_total(tmp_path: Path) -> None:
    calls: list[tuple[int, int, str]] = []
    write_mintpy(scene(), tmp_path, progress=lambda *call: calls.append(call))
    assert calls[-1] == (len(calls), len(calls), "tasks")
    assert len(calls) > 1


def test_a_pass_that_is_not_known_is_not_made_up(tmp_path: Path) -> None:
    ds = los_scene()
    for name in ("orbit_direction", "track"):
        del ds.attrs[name]
    write_mintpy(ds, tmp_path)
    with h5py.File(tmp_path / "displacement.h5") as file:
        assert "ORBIT_DIRECTION" not in file.attrs
