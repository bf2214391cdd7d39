"""What many runs of RELAX wrote: series at stations, grids, and the line of sight."""

import dask
import numpy as np
import pytest
import xarray as xr
from lazy import no_compute
from scipy.io import netcdf_file

from mimtpy_cloud.errors import ParameterError, SchemaError, SourceFormatError, StorageError
from mimtpy_cloud.io.relax import read_relax_series
from mimtpy_cloud.kernels.look import los_unit_vector
from mimtpy_cloud.relax import open_grids, open_output, to_los

ENU = ("east", "north", "up")


@pytest.fixture
def models(shared):
    return shared / "data" / "real" / "relax_elmayor" / "models"


@pytest.fixture
def folder(tmp_path):
    """Three runs with other times, of which one lacks a station."""
    series = {
        "a/S1": "0 0 0 0\n1 0.1 0.2 0.3\n2 0.4 0.4 0.4\n",
        "a/S2": "0 0 0 0\n2 1 1 1\n",
        "b/S1": "0 0 0 0\n0.5 0.1 0.2 0.3\n",
        "c/S2": "0 0 0 0\n4 4 8 -12\n",
    }
    for name, text in series.items():
        (tmp_path / "runs" / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "runs" / f"{name}-relax.txt").write_text(text)
        (tmp_path / "runs" / f"{name}.txt").write_text(text.replace("0 0 0 0", "0 1 1 1"))
    (tmp_path / "runs" / "a" / "time.txt").write_text("0\n1\n2\n")
    return tmp_path / "runs"


# --- stations -------------------------------------------------------------------------------------------------


def test_series_share_the_times_of_all_and_end_where_they_end(folder):
    ds = open_output(folder)
    assert ds["east"].dims == ("model", "station", "time")
    assert ds["time"].values.tolist() == [0, 0.5, 1, 2, 4]
    assert ds["model"].values.tolist() == ["a", "b", "c"]
    np.testing.assert_allclose(ds["north"].sel(model="a", station="S1"), [0, 0.05, 0.1, 0.4, np.nan])
    np.testing.assert_allclose(ds["up"].sel(model="b", station="S1"), [0, -0.3, np.nan, np.nan, np.nan])
    np.testing.assert_allclose(ds["east"].sel(model="c", station="S2"), [0, 1, 2, 4, 8])
    assert (ds["up"].attrs["units"], ds["time"].attrs["units"]) == ("m", "yr")


def test_times_may_be_chosen(folder):
    ds = open_output(folder, times=[1.5, 3])
    np.testing.assert_allclose(ds["up"].sel(station="S2"), [[-0.75, np.nan], [np.nan] * 2, [4.5, 9]])
    for wrong in ([1, 1], [2, 1], [np.nan], []):
        with pytest.raises(ParameterError, match="expected times in years that ascend"):
            open_output(folder, times=wrong)


def test_what_is_missing_says_why(folder):
    (folder / "c" / "S1-relax.txt").write_text("0 0 0\n")
    missing = open_output(folder)["missing"]
    assert missing.sel(model="a").values.tolist() == ["", ""]
    assert missing.sel(model="b", station="S2").item() == "no file S2-relax.txt"
    reason = missing.sel(model="c", station="S1").item()
    assert "S1-relax.txt, line 1: expected years and displacement to north, east and down" in reason
    assert reason.endswith("got '0 0 0'")


def test_the_earthquake_may_be_in_it(folder):
    ds = open_output(folder, kind="total")
    assert ds["station"].values.tolist() == ["S1", "S2"]
    assert ds["up"].sel(model="a", station="S1", time=0).item() == -1


def test_units_are_those_of_the_files(folder):
    assert open_output(folder, unit="cm")["east"].sel(model="c", station="S2", time=4).item() == 0.08


def test_one_run_and_a_pattern_are_taken_too(folder):
    assert open_output(folder / "a")["model"].values.tolist() == ["a"]
    assert open_output(f"{folder}/[ab]")["model"].values.tolist() == ["a", "b"]


def test_the_table_of_the_runs_gives_models_and_parameters(folder):
    (folder / "runs.csv").write_text("run,name,script,vs,h\n7,c,c.sh,18.5,20\n8,lost,lost.sh,19,20\n9,a,a.sh,17,30\n")
    ds = open_output(folder)
    assert ds["model"].values.tolist() == ["c", "lost", "a"]
    assert ds["vs"].sel(model="a").item() == 17
    assert ds["run"].values.tolist() == ["7", "8", "9"]
    assert ds["missing"].sel(model="lost").values.tolist() == ["no folder of this run"] * 2
    assert ds["east"].sel(model="lost").isnull().all()
    table = {"name": ["a"], "vs": [16.0]}
    assert open_output(folder, runs=table)["vs"].values.tolist() == [16]
    with pytest.raises(ParameterError, match="needs a column 'name'"):
        open_output(folder, runs={"vs": [16.0]})


def test_folders_without_series_are_named(folder, tmp_path):
    (tmp_path / "empty" / "a").mkdir(parents=True)
    with pytest.raises(StorageError, match=r"no series NAME-relax.txt in the folders of"):
        open_output(tmp_path / "empty")
    with pytest.raises(StorageError, match="no such folder"):
        open_output(tmp_path / "none")
    with pytest.raises(StorageError, match="names no folder of a run"):
        open_output(f"{tmp_path}/none*")
    with pytest.raises(ParameterError, match="expected kind to be 'relax' or 'total', got 'both'"):
        open_output(folder, kind="both")
    for file in folder.glob("*/*-relax.txt"):
        file.write_text("")
    with pytest.raises(SourceFormatError, match=r"no series of .* can be read, the first since: .*line 1"):
        open_output(folder)


def test_thirty_models_of_el_mayor_two_of_which_have_another_station(models):
    ds = open_output(models)
    assert dict(ds.sizes)["model"] == 30
    assert ds["station"].values.tolist() == ["P066", "P473", "P492", "P497", "P508", "P509"]
    lacking = ds["missing"] != ""
    assert lacking.sum("model").values.tolist() == [0, 0, 0, 0, 2, 28]
    odd = ds["model"].where(lacking.sel(station="P508"), drop=True).values.tolist()
    assert odd == [
        "Lower_crust_Newtonian_rheology_3D_ST_geometry_topdepth10km",
        "Lower_crust_powerlaw_rheology_n2.5_uniform_thickness_12kmthick",
    ]
    assert ds["missing"].sel(model=odd[0], station="P508").item() == "no file P508-relax.txt"
    assert ds["east"].sel(model=odd, station="P508").isnull().all()
    assert ds["east"].sel(model=odd, station="P509").notnull().any("time").all()


def test_values_of_el_mayor_are_those_of_the_files_at_their_times(models):
    ds = open_output(models)
    for model in ("Coupled_model2", "Asthenosphere_Newtonian_rheology_1D45"):
        raw = np.loadtxt(models / model / "P497-relax.txt")
        found = ds.sel(model=model, station="P497", time=raw[:, 0])
        np.testing.assert_array_equal(found["north"], raw[:, 1])
        np.testing.assert_array_equal(found["east"], raw[:, 2])
        np.testing.assert_array_equal(found["up"], -raw[:, 3])


def test_interpolation_is_on_the_time_column_whatever_the_steps(models):
    model = "Lower_crust_powerlaw_rheology_n4_uniform_topdepth_10km"
    series = read_relax_series(models / model / "P473-relax.txt")
    assert np.ptp(np.diff(series.time)) > 0.01  # steps grow
    ds = open_output(models, times=[1.0])
    after = int(np.searchsorted(series.time, 1.0))
    part = (1.0 - series.time[after - 1]) / (series.time[after] - series.time[after - 1])
    wanted = series.north[after - 1] * (1 - part) + series.north[after] * part
    assert ds["north"].sel(model=model, station="P473").item() == pytest.approx(wanted, rel=1e-12)


def test_no_series_of_el_mayor_is_extrapolated(models):
    ds = open_output(models, times=[1.0, 3.3])
    assert ds["east"].sel(time=3.3).isnull().all()
    assert ds["east"].sel(time=1.0, station="P066").notnull().all()


# --- grids ----------------------------------------------------------------------------------------------------


def write_grid(path, z, y=(0.0, 1.0)):
    path.parent.mkdir(parents=True, exist_ok=True)
    with netcdf_file(path, "w") as file:
        for name, values in (("y", y), ("x", (0.0, 1.0, 2.0))):
            file.createDimension(name, len(values))
            file.createVariable(name, "f8", (name,))[:] = values
        file.createVariable("z", "f4", ("y", "x"))[:] = z


@pytest.fixture
def grids(tmp_path):
    """Two runs of three outputs; the value tells run, output, component and row."""
    for r, run in enumerate(("a", "b")):
        for output in range(3):
            for c, name in enumerate(ENU):
                z = 1000 * r + 100 * output + 10 * c + np.array([[0.0], [1.0]]) + np.zeros(3)
                write_grid(tmp_path / "runs" / run / f"{output:03d}-relax-{name}.grd", z)
        (tmp_path / "runs" / run / "time.txt").write_text("0\n0.5\n2\n")
    return tmp_path / "runs"


def test_grids_are_stacked_lazily_and_go_from_north_to_south(grids):
    with no_compute():
        ds = open_grids(grids)
    assert ds["east"].dims == ("model", "time", "y", "x")
    assert ds["time"].values.tolist() == [0, 0.5, 2]
    assert ds["up"].sel(model="b", time=2, y=1).values.tolist() == [1221] * 3
    assert ds["y"].values.tolist() == [1, 0]
    assert ds["missing"].values.tolist() == ["", ""]
    assert ds["east"].dtype == np.float32
    assert ds["east"].chunks[0] == (1, 1)
    assert open_grids(grids)["east"].data.name == ds["east"].data.name


def test_grids_are_interpolated_on_time_and_not_beyond(grids):
    (grids / "b" / "time.txt").write_text("0\n1\n4\n")
    with pytest.raises(ParameterError, match="the runs wrote grids at different times"):
        open_grids(grids)
    ds = open_grids(grids, times=[0, 0.25, 2, 3])["east"].isel(y=1, x=0)
    np.testing.assert_allclose(ds.sel(model="a"), [0, 50, 200, np.nan])
    np.testing.assert_allclose(ds.sel(model="b"), [1000, 1025, 1100 + 100 / 3, 1100 + 200 / 3], rtol=1e-6)


def test_one_output_needs_no_time(grids):
    for file in grids.glob("*/00[12]*"):
        file.unlink()
    ds = open_grids(grids)
    assert ds["east"].dims == ("model", "y", "x")
    assert open_grids(grids, times=[0.0])["east"].isel(model=1, y=0, x=0).values.tolist() == [1001]
    assert np.isnan(open_grids(grids, times=[0.0, 0.1])["east"].sel(time=0.1)).all()
    with pytest.raises(ParameterError, match=r"expected times from 0 to 0 years, which the runs have, got 0\.1"):
        open_grids(grids, times=[0.1])


def test_without_a_report_outputs_are_their_own_times(grids):
    for file in grids.glob("*/time.txt"):
        file.unlink()
    assert open_grids(grids)["time"].values.tolist() == [0, 1, 2]


def test_total_grids_are_others(grids):
    for name in ENU:
        write_grid(grids / "a" / f"000-{name}.grd", np.full((2, 3), 7))
    ds = open_grids(grids, kind="total")
    assert (ds["up"].sel(model="a") == 7).all()
    assert str(ds["missing"].sel(model="b").values).startswith("no grid NNN-east.grd in ")


def test_bad_runs_are_nan_with_their_reasons(grids):
    (grids / "a" / "001-relax-up.grd").write_bytes(b"CDF\x01")
    write_grid(grids / "c" / "000-relax-east.grd", np.zeros((2, 3)), y=(5.0, 6.0))
    for name in ("north", "up"):
        write_grid(grids / "c" / f"000-relax-{name}.grd", np.zeros((2, 3)), y=(5.0, 6.0))
    (grids / "d").mkdir()
    write_grid(grids / "e" / "005-relax-east.grd", np.zeros((2, 3)))
    (grids / "e" / "time.txt").write_text("0\n")
    with dask.config.set(scheduler="synchronous"):
        ds = open_grids(grids, times=[0, 1.0]).compute()
    reasons = dict(zip(ds["model"].values.tolist(), ds["missing"].values.tolist(), strict=True))
    assert "001-relax-up.grd is no whole netCDF grid" in reasons["a"]
    assert reasons["b"] == ""
    assert reasons["c"] == "another grid than that of the first run, of (2, 3) nodes"
    assert reasons["d"].startswith("no grid NNN-relax-east.grd in ")
    assert reasons["e"].endswith("time.txt has 1 times, but there is an output 5")
    assert ds["east"].isnull().all(("time", "y", "x")).values.tolist() == [True, False, True, True, True]


def test_folders_without_grids_are_named(tmp_path, grids):
    (tmp_path / "other" / "a").mkdir(parents=True)
    with pytest.raises(SourceFormatError, match=r"no grids of .* can be read, the first since: no grid NNN-relax-east"):
        open_grids(tmp_path / "other")
    for file in grids.glob("*/*east.grd"):
        file.write_bytes(b"")
    with pytest.raises(SourceFormatError, match="no grid can be read, the first since"):
        open_grids(grids)


# --- line of sight --------------------------------------------------------------------------------------------


def test_uplift_and_motion_to_the_satellite_are_positive(folder):
    ds = open_output(folder).sel(model="a", station="S1", time=[1.0])
    los = to_los(ds, (39.0, 102.0))  # ascending, seen in the west
    east, north, up = los_unit_vector(39.0, 102.0)
    assert los.item() == pytest.approx(0.2 * east + 0.1 * north - 0.3 * up)
    assert los.item() < 0  # east and down: away
    assert (los.name, los.attrs["units"]) == ("displacement", "m")


def test_every_station_has_its_own_look(folder):
    ds = open_output(folder)
    angles = {"incidence_angle": ("station", [30.0, 45.0]), "los_azimuth_angle": ("station", [102.0, -102.0])}
    los = to_los(ds, xr.Dataset(angles, {"station": ["S1", "S2"]}))
    assert los.dims == ("model", "station", "time")
    for i, (incidence, azimuth) in enumerate(((30.0, 102.0), (45.0, -102.0))):
        one = to_los(ds.isel(station=[i]), (incidence, azimuth))
        np.testing.assert_allclose(los.isel(station=[i]), one, atol=1e-15)


def test_every_pixel_has_its_own_look_and_nothing_is_computed(grids):
    looks = {name: (("y", "x"), np.full((2, 3), v)) for name, v in (("los_east", 0.6), ("los_north", 0.0))}
    look = xr.Dataset(looks | {"los_up": (("y", "x"), np.full((2, 3), 0.8))}, {"y": [1.0, 0.0], "x": [0.0, 1.0, 2.0]})
    with no_compute():
        los = to_los(open_grids(grids), look)
    assert float(los.sel(model="a", time=0.5, y=0, x=1)) == pytest.approx(0.6 * 100 + 0.8 * 120, rel=1e-6)
    with pytest.raises(SchemaError, match="the look must have the coordinates of the displacement"):
        to_los(open_grids(grids), look.assign_coords(y=[1.5, 0.5]))


def test_wrong_looks_are_named(folder):
    ds = open_output(folder)
    with pytest.raises(SchemaError, match="the displacement needs up"):
        to_los(ds.drop_vars("up"), (39.0, 102.0))
    with pytest.raises(SchemaError, match="expected a look as incidence and azimuth"):
        to_los(ds, (39.0,))
    with pytest.raises(SchemaError, match="a look needs los_east, los_north, los_up, or incidence_angle"):
        to_los(ds, xr.Dataset({"los_east": 1.0}))
    with pytest.raises(SchemaError, match=r"the look has dimensions \['pixel'\]"):
        to_los(ds, xr.Dataset({name: ("pixel", [1.0]) for name in ("los_east", "los_north", "los_up")}))


def test_parameters_are_told_from_what_follows_from_them(folder):
    table = {"name": ["a", "b"], "run": ["0", "1"], "vs": [17, 18], "vs_gammadot0": [1, 2], "vs_maxwell_years": [3, 4]}
    ds = open_output(folder, runs=table, times=[1.0])
    assert set(ds.coords) >= {"vs", "vs_gammadot0", "vs_maxwell_years"}
    assert ds.attrs["parameters"] == ds["east"].attrs["parameters"] == ["vs"]
    assert to_los(ds, (39.0, 102.0)).attrs["parameters"] == ["vs"]
    assert "parameters" not in open_output(folder, times=[1.0]).attrs
    assert "parameters" not in to_los(open_output(folder, times=[1.0]), (39.0, 102.0)).attrs


def test_times_that_no_series_has_are_refused(folder):
    span = open_output(folder).attrs["time_range"]
    with pytest.raises(ParameterError, match=f"expected times from {span[0]:g} to {span[1]:g} years, .* got 50 to 60"):
        open_output(folder, times=[50.0, 60.0])
    assert open_output(folder, times=[span[1], 60.0])["up"].sel(time=60.0).isnull().all()
