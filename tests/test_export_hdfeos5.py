"""The HDF-EOS5 product: real layout, exact round trip, all or nothing."""

from pathlib import Path

import h5py
import numpy as np
import pytest
import xarray as xr

from mimtpy_cloud.errors import GridMismatchError, SchemaError
from mimtpy_cloud.exports.dispatch import export
from mimtpy_cloud.exports.hdfeos5 import hdfeos5_name, write_hdfeos5
from mimtpy_cloud.io.hdfeos5 import open_hdfeos5
from mimtpy_cloud.kernels.look import los_unit_vector
from mimtpy_cloud.ops.simulate import simulate_scene
from mimtpy_cloud.plan.grid import Window

WINDOW = Window.covering(50, (36.0, 37.2, 37.8, 38.8))
DATES = np.array(["2019-01-04", "2019-03-05", "2019-09-13"], "datetime64[D]")
GROUP = "HDFEOS/GRIDS/timeseries"


def scene(**options) -> xr.Dataset:
    return simulate_scene(WINDOW, **({"dates": DATES, "reference_date": DATES[1], "chunks": (2, 30)} | options))


@pytest.fixture(scope="module")
def written(tmp_path_factory) -> tuple[xr.Dataset, Path]:
    ds = scene()
    path = tmp_path_factory.mktemp("he5") / hdfeos5_name(ds)
    write_hdfeos5(ds, path)
    return ds.compute(), path


def test_what_is_read_back_is_bit_for_bit_what_was_written(written):
    ds, path = written
    back = open_hdfeos5(path).compute()
    for name in set(ds.data_vars) - {"los_east", "los_north", "los_up"}:
        assert back[name].dtype == ds[name].dtype
        np.testing.assert_array_equal(back[name].values, ds[name].values, err_msg=name)
    for name in ("los_east", "los_north", "los_up"):  # once through float32 angles
        np.testing.assert_allclose(back[name].values, ds[name].values, atol=1.2e-7)
    assert Window.of(back.x.values, back.y.values) == WINDOW
    assert (back.time.values == ds.time.values).all()


def test_progress_counts_up_to_the_total(tmp_path):
    calls = []
    export(scene(noise=0.0), "hdfeos5", tmp_path / "s.he5", progress=lambda *call: calls.append(call))
    assert [done for done, _, _ in calls] == list(range(1, len(calls) + 1))
    assert calls[-1] == (len(calls), len(calls), "tasks")
    assert len(calls) > 1


def test_what_is_read_back_describes_the_same_track(written):
    ds, path = written
    back = open_hdfeos5(path)
    same = ("sensor", "track", "product", "project", "orbit_direction", "look_side", "heading", "wavelength")
    for name in (*same, "reference_point", "reference_date"):
        assert back.attrs[name] == ds.attrs[name], name
    lon, lat = ds.attrs["reference_point"]
    assert (back.displacement.sel(x=lon, y=lat, method="nearest") == 0).all()


def test_angles_follow_the_convention_of_mintpy(written):
    ds, path = written
    with h5py.File(path) as file:
        incidence, azimuth = (file[f"{GROUP}/geometry/{name}"][:] for name in ("incidenceAngle", "azimuthAngle"))
    seen = np.isfinite(ds.los_up.values)
    assert np.isnan(incidence[~seen]).all()
    assert (incidence[seen] > 29).all()
    assert (incidence[seen] < 46).all()
    assert np.nanmean(azimuth) == pytest.approx(90 - ds.attrs["heading"], abs=0.5)  # ascending: the satellite is west
    east, north, up = los_unit_vector(incidence, azimuth)
    for got, name in ((east, "los_east"), (north, "los_north"), (up, "los_up")):
        np.testing.assert_allclose(got, ds[name].values, atol=1.2e-7)


def layout(path: Path) -> dict[str, tuple]:
    found = {}

    def visit(name, item):
        if isinstance(item, h5py.Dataset):
            attrs = {key: (type(value), value) for key, value in item.attrs.items()}
            guessed = h5py._hl.filters.guess_chunk(item.shape, (), item.dtype.itemsize)
            is_guess = item.chunks == guessed
            found[name] = (item.dtype, item.ndim, item.maxshape[0], item.compression, item.shuffle, is_guess, attrs)

    with h5py.File(path) as file:
        file.visititems(visit)
    return found


def test_the_layout_is_that_of_a_file_that_mintpy_wrote(written, he5):
    _, path = written
    theirs = layout(next((he5 / "small" / "SynthSenDT144").rglob("S1_*.he5")))
    ours = layout(path)
    assert set(theirs) - set(ours) == {f"{GROUP}/geometry/shadowMask"}  # we simulate none
    assert set(ours) <= set(theirs)
    for name, expected in ours.items():
        rows = slice(0, 2), slice(3, None)  # the first axis differs
        assert [expected[s] for s in rows] == [theirs[name][s] for s in rows], name
        assert (expected[2] is None) == (theirs[name][2] is None), name


def test_the_attributes_are_those_of_a_file_that_mintpy_wrote(written, he5):
    ds, path = written
    with h5py.File(next((he5 / "small" / "SynthSenAT064").rglob("S1_*.he5"))) as file:
        theirs = dict(file.attrs)
    with h5py.File(path) as file:
        ours = dict(file.attrs)
    typed = ("mission", "first_date", "processing_type", "scene_footprint", "data_footprint", "flight_direction")
    typed += ("look_direction", "polarization", "prf", "wavelength", "beam_swath", "first_frame", "relative_orbit")
    grid = ("LENGTH", "WIDTH", "X_FIRST", "Y_FIRST", "X_STEP", "Y_STEP", "X_UNIT", "REF_DATE", "REF_Y", "REF_LAT")
    for name in (*typed, *grid, "WAVELENGTH", "HEADING", "ORBIT_DIRECTION", "ANTENNA_SIDE", "LAT_REF1", "FILE_TYPE"):
        assert type(ours[name]) is type(theirs[name]), name
    west, _, _, north = WINDOW.bounds
    assert (float(ours["X_FIRST"]), float(ours["Y_FIRST"])) == (west, north)  # the outer corner
    assert float(ours["Y_STEP"]) == -0.02
    lon, lat = ds.attrs["reference_point"]
    row = int((north - lat) / 0.02)
    assert (ours["REF_Y"], ours["REF_LAT"], ours["REF_LON"]) == (str(row), str(lat), str(lon))
    assert ours["data_footprint"] == "POLYGON((36.0 38.8,37.8 38.8,37.8 37.2,36.0 37.2,36.0 38.8))"
    assert ours["scene_footprint"].startswith(f"POLYGON(({ours['LON_REF1']} {ours['LAT_REF1']},{ours['LON_REF3']} ")


def test_a_file_of_mintpy_survives_reading_and_writing(he5, tmp_path):
    """Real attributes of all kinds go through; the grid is not the lattice of a degree's fraction."""
    projects = ("small/SynthSenAT137", "small/SynthSenDT144", "awkward/SynthChunk2SenAT137")
    for source in (file for project in projects for file in (he5 / project).rglob("S1_*.he5")):
        ds = open_hdfeos5(source)
        copy = tmp_path / hdfeos5_name(ds)
        write_hdfeos5(ds, copy)
        back = open_hdfeos5(copy)
        assert copy.name[:30] == source.name[:30]
        np.testing.assert_array_equal(back.displacement, ds.displacement)
        np.testing.assert_allclose(back.x, ds.x, rtol=0, atol=1e-11)
        np.testing.assert_allclose(back.y, ds.y, rtol=0, atol=1e-11)
        np.testing.assert_array_equal(back.valid, ds.valid)
        for key in ("X_FIRST", "Y_FIRST", "REF_Y", "REF_X", "LAT_REF1", "relative_orbit", "prf", "START_DATE"):
            assert float(back.attrs["mintpy"][key]) == float(ds.attrs["mintpy"][key]), key


def test_names_follow_the_convention():
    ds = scene(relative_orbit=7, orbit_direction="descending")
    assert hdfeos5_name(ds) == "S1_IW123_007_0113_0119_20190104_20190913.he5"
    one_frame = ds.assign_attrs(product="0441_0441", sensor="Envisat", mintpy={"beam_mode": "SM", "beam_swath": 2})
    assert hdfeos5_name(one_frame) == "ENV_SM2_007_0441_20190104_20190913.he5"
    unknown = ds.assign_attrs(product="whatever", mintpy={})
    assert hdfeos5_name(unknown) == "S1_IW_007_0000_20190104_20190913.he5"


def test_corners_without_metadata_are_those_of_the_grid_in_image_order(tmp_path):
    for direction, first in (("ascending", "36.0 37.2,36.0 38.8"), ("descending", "37.8 38.8,37.8 37.2")):
        ds = scene(orbit_direction=direction).assign_attrs(mintpy={"LAT_REF1": "4100000.0"})  # UTM: of no use
        write_hdfeos5(ds, tmp_path / "a.he5")
        with h5py.File(tmp_path / "a.he5") as file:
            assert file.attrs["scene_footprint"].startswith(f"POLYGON(({first},")


def test_stale_grid_attributes_of_the_source_are_dropped(tmp_path):
    ds = scene().assign_attrs(mintpy={"EPSG": "32611", "UTM_ZONE": "11N", "SUBSET_XMIN": "3", "keep": "me"})
    write_hdfeos5(ds, tmp_path / "a.he5")
    with h5py.File(tmp_path / "a.he5") as file:
        assert not {"EPSG", "UTM_ZONE", "SUBSET_XMIN"} & set(file.attrs)
        assert file.attrs["keep"] == "me"


def test_unknown_baselines_are_nan_and_data_in_memory_are_fine(tmp_path):
    ds = scene().drop_vars(["perpendicular_baseline", "slant_range"]).compute()
    write_hdfeos5(ds, tmp_path / "a.he5")
    with h5py.File(tmp_path / "a.he5") as file:
        assert np.isnan(file[f"{GROUP}/observation/bperp"][:]).all()
        assert "slantRangeDistance" not in file[f"{GROUP}/geometry"]
        np.testing.assert_array_equal(file[f"{GROUP}/observation/displacement"][:], ds.displacement)


def explode(block: np.ndarray) -> np.ndarray:
    raise RuntimeError("a block failed")


def test_a_failure_leaves_the_old_file_and_nothing_else(tmp_path):
    path = tmp_path / "a.he5"
    write_hdfeos5(scene(), path)
    before = path.read_bytes()
    broken = scene()
    broken["displacement"] = broken.displacement.copy(
        data=broken.displacement.data.map_blocks(explode, dtype="float32", meta=np.empty((0, 0, 0), "float32"))
    )
    with pytest.raises(RuntimeError, match="a block failed"):
        write_hdfeos5(broken, path)
    assert path.read_bytes() == before
    assert [p.name for p in tmp_path.iterdir()] == ["a.he5"]


def test_blocks_are_streamed_one_by_one(tmp_path):
    """No more blocks are in memory than threads work on."""
    import threading

    alive, most, lock = 0, 0, threading.Lock()

    class Counted(np.ndarray):
        def __del__(self):
            nonlocal alive
            with lock:
                alive -= 1

    def counted(block: np.ndarray) -> np.ndarray:
        nonlocal alive, most
        with lock:
            alive += 1
            most = max(most, alive)
        return block.copy().view(Counted)

    ds = scene(chunks=(1, 15))
    ds["displacement"] = ds.displacement.copy(
        data=ds.displacement.data.map_blocks(counted, dtype="float32", meta=np.empty((0, 0, 0), "float32"))
    )
    import dask

    with dask.config.set(num_workers=2):
        write_hdfeos5(ds, tmp_path / "a.he5")
    assert ds.displacement.data.npartitions > 60
    assert most <= 8


@pytest.mark.parametrize(
    ("spoil", "error", "message"),
    [
        (lambda ds: ds.drop_vars("height"), SchemaError, "needs height"),
        (lambda ds: ds.isel(time=0), SchemaError, "needs dimensions"),
        (lambda ds: ds.assign_attrs(track="64"), SchemaError, "one track such as 'A064'"),
    ],
)
def test_a_dataset_that_does_not_fit_says_why(spoil, error, message, tmp_path):
    with pytest.raises(error, match=message):
        write_hdfeos5(spoil(scene()), tmp_path / "a.he5")
    assert not list(tmp_path.iterdir())


def test_a_projected_grid_is_refused(tmp_path):
    from pyproj import CRS

    ds = scene()
    ds["spatial_ref"].attrs["crs_wkt"] = CRS.from_epsg(32637).to_wkt()
    with pytest.raises(GridMismatchError, match="EPSG:32637"):
        write_hdfeos5(ds, tmp_path / "a.he5")
