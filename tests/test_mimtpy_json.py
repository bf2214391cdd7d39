"""MimtPy's JSON files, both ways, and tables of observed points."""

import json

import numpy as np
import pandas as pd
import pytest
import xarray as xr
from hypothesis import given
from hypothesis import strategies as st

from mimtpy_cloud.errors import SchemaError, SourceFormatError, StorageError
from mimtpy_cloud.exports.mimtpyjson import model_name, write_metric_json, write_model_json, write_points_json
from mimtpy_cloud.io.mimtpyjson import read_metric_json, read_model_json, read_points_json
from mimtpy_cloud.io.points import read_points, read_sites

HEAD = {"Ref_lat": "33.5", "Ref_lon": -115.0, "Y_FIRST": 34.0, "X_FIRST": -116.0, "Y_STEP": -0.001, "X_STEP": 0.001}
DISPLACEMENTS = HEAD | {"lalo_value": [[33.1, -115.2, 0.012], [33.2, -115.3, float("nan")]]}
ANGLES = HEAD | {"lalo_value": [[33.1, -115.2, 39.0, 102.0], [33.2, -115.3, 34.0, -102.0]]}


@pytest.fixture
def write(tmp_path):
    def write(content, name="points_disp.json"):
        (tmp_path / name).write_text(content if isinstance(content, str) else json.dumps(content))
        return tmp_path / name

    return write


def load(path):
    return json.loads(path.read_text())


# --- points ---------------------------------------------------------------------------------------------------


def test_rows_of_points_hold_latitude_first_and_a_look_to_the_satellite(write):
    ds = read_points_json(write(DISPLACEMENTS), write(ANGLES, "points_angle.json"))
    assert (ds["lat"][0], ds["lon"][0], ds["displacement"][0]) == (33.1, -115.2, 0.012)
    assert np.isnan(ds["displacement"][1])
    look = [ds[name][0] for name in ("los_east", "los_north", "los_up")]
    np.testing.assert_allclose(look, [-0.615568, -0.130843, 0.777146], atol=1e-6)
    assert ds["los_east"][1] > 0  # descending, right looking: the satellite is in the east
    assert ds.attrs["reference_point"] == (-115.0, 33.5)
    assert ds.attrs["Y_STEP"] == -0.001


def test_points_come_back_as_they_were(write, tmp_path):
    ds = read_points_json(write(DISPLACEMENTS), write(ANGLES, "points_angle.json"))
    write_points_json(ds, tmp_path / "d.json", tmp_path / "a.json")
    assert list(load(tmp_path / "d.json")) == list(DISPLACEMENTS)
    for name, wanted in (("d", DISPLACEMENTS), ("a", ANGLES)):
        found = load(tmp_path / f"{name}.json")
        np.testing.assert_allclose(found["lalo_value"], wanted["lalo_value"], rtol=1e-12)
        assert {key: float(found[key]) for key in HEAD} == {key: float(HEAD[key]) for key in HEAD}
    again = read_points_json(tmp_path / "d.json", tmp_path / "a.json")
    xr.testing.assert_allclose(again.drop_attrs(), ds.drop_attrs(), rtol=1e-12)


def test_points_of_no_grid_have_no_steps(tmp_path):
    data = {"lon": ("point", [1.0, 2.0]), "lat": ("point", [5.0, 4.0]), "displacement": ("point", [0.1, 0.2])}
    write_points_json(xr.Dataset(data, attrs={"reference_point": (1.5, 4.5)}), tmp_path / "d.json")
    assert load(tmp_path / "d.json") == {
        "Ref_lat": 4.5,
        "Ref_lon": 1.5,
        "Y_FIRST": 5.0,
        "X_FIRST": 1.0,
        "Y_STEP": 0.0,
        "X_STEP": 0.0,
        "lalo_value": [[5.0, 1.0, 0.1], [4.0, 2.0, 0.2]],
    }


def test_what_is_not_written_is_named(tmp_path):
    ds = xr.Dataset({name: ("point", [1.0]) for name in ("lon", "lat", "displacement")})
    with pytest.raises(SchemaError, match="need the attribute reference_point"):
        write_points_json(ds, tmp_path / "d.json")
    ds.attrs["reference_point"] = (0, 0)
    with pytest.raises(SchemaError, match="a table of points needs los_east, los_north, los_up"):
        write_points_json(ds, tmp_path / "d.json", tmp_path / "a.json")
    with pytest.raises(SchemaError, match="points need one dimension"):
        write_points_json(ds.expand_dims(model=2), tmp_path / "d.json")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("{", "is no JSON"),
        ([1], "expected an object with lalo_value, got list"),
        ({"rmse": []}, "expected an object with lalo_value, got rmse"),
        ({"lalo_value": [[1, 2]]}, "expected rows of 3 numbers in lalo_value"),
        ({"lalo_value": [[1, 2, "x"]]}, "expected rows of 3 numbers in lalo_value"),
        ({"lalo_value": []}, "expected rows of 3 numbers in lalo_value"),
        (DISPLACEMENTS | {"Ref_lat": "north"}, "expected a number for Ref_lat, got 'north'"),
    ],
)
def test_a_broken_file_of_points_is_named(write, content, message):
    with pytest.raises(SourceFormatError, match=message):
        read_points_json(write(content))


def test_angles_of_other_points_are_refused(write):
    moved = ANGLES | {"lalo_value": ANGLES["lalo_value"][::-1]}
    with pytest.raises(SourceFormatError, match=r"must have the points of .* in the same order, got 2 and 2 points"):
        read_points_json(write(DISPLACEMENTS), write(moved, "a.json"))


# --- models and results ---------------------------------------------------------------------------------------


def test_models_hold_north_before_east_and_down(write, tmp_path):
    content = {"displacement": [[-115.2, 33.1, 0.01, -0.02, 0.003], [-115.3, 33.2, None, 0.0, 0.0]]}
    ds = read_model_json(write(content, "vs_10001725.json"))
    assert [ds[name][0].item() for name in ("lon", "lat", "north", "east", "up")] == [-115.2, 33.1, 0.01, -0.02, -0.003]
    assert np.isnan(ds["north"][1])
    assert ds.attrs["values"] == (10.0, 17.25)
    write_model_json(ds, tmp_path / "m.json")
    assert load(tmp_path / "m.json")["displacement"][0] == content["displacement"][0]
    assert list(load(tmp_path / "m.json")) == ["displacement"]
    assert "values" not in read_model_json(tmp_path / "m.json").attrs


@given(st.integers(0, 9999), st.integers(0, 9999))
def test_names_of_models_hold_two_values(first, second):
    assert model_name(first / 100, second / 100) == f"vs_{first:04d}{second:04d}.json"


@pytest.mark.parametrize("value", [-1, 100, 17.001, np.nan])
def test_values_that_no_name_holds_are_refused(value):
    with pytest.raises(SchemaError, match=r"values from 0 to 99.99 in hundredths"):
        model_name(17, value)


@pytest.mark.parametrize(("key", "name"), [("rmse", "rms"), ("lc_um_residual", "misfit")])
def test_results_come_back_on_their_parameters(write, tmp_path, key, name):
    rows = [[18.0, 19.0, 4.0], [17.0, 19.5, 2.0], [17.0, 19.0, 1.0], [18.0, 20.0, 5.0]]  # in no order, with gaps
    da = read_metric_json(write({key: rows}))
    assert (da.name, da.dims) == (name, ("p1", "p2"))
    assert da.sel(p1=18, p2=19).item() == 4
    assert int(da.isnull().sum()) == 2
    write_metric_json(da, tmp_path / "r.json")
    assert list(load(tmp_path / "r.json")) == [key]
    assert sorted(row for row in load(tmp_path / "r.json")[key] if not np.isnan(row[2])) == sorted(rows)
    xr.testing.assert_equal(read_metric_json(tmp_path / "r.json"), da)


def test_results_that_are_none_are_named(write, tmp_path):
    with pytest.raises(SourceFormatError, match="has a model twice"):
        read_metric_json(write({"rmse": [[1, 2, 3], [1, 2, 4]]}))
    with pytest.raises(SourceFormatError, match="expected an object with rmse or lc_um_residual"):
        read_metric_json(write({}))
    da = xr.DataArray([[1.0]], {"a": [1], "b": [2]}, ("a", "b"))
    with pytest.raises(SchemaError, match="expected a result called rms or misfit, got 'chi2'"):
        write_metric_json(da.rename("chi2"), tmp_path / "r.json")
    with pytest.raises(SchemaError, match="expected a result over two parameters"):
        write_metric_json(da.rename("rms").isel(a=0), tmp_path / "r.json")


# --- tables of points -----------------------------------------------------------------------------------------

TABLE = (
    "Longitude, lat, Displacement (m), sigma, inc, azimuth, note\n"
    "30.1,40.2,0.012,0.001,39,102,fine\n"
    "30.2,40.3,,0.002,39,102,\n"
)


def test_a_table_names_its_columns_in_several_ways(write, tmp_path):
    ds = read_points(write(TABLE, "p.csv"))
    assert list(ds.data_vars) == ["displacement", "std", "los_east", "los_north", "los_up"]
    assert ds["displacement"].values[0] == 0.012
    assert np.isnan(ds["displacement"].values[1])
    assert ds["los_up"].values[0] == pytest.approx(np.cos(np.deg2rad(39)))
    assert ds["los_east"].values[0] < 0
    assert ds["std"].attrs["units"] == "m"
    blanks = "# lon lat velocity\n30.1 40.2 0.012\n# a comment\n"
    assert read_points(write(blanks, "p.txt"))["velocity"].values.tolist() == [0.012]


def test_parquet_and_json_give_the_same(write, tmp_path):
    ds = read_points(write(DISPLACEMENTS), write(ANGLES, "points_angle.json"))
    frame = ds.to_dataframe().reset_index(drop=True)
    frame.assign(station=["a", "b"]).to_parquet(tmp_path / "p.parquet")
    xr.testing.assert_allclose(read_points(tmp_path / "p.parquet").drop_attrs(), ds.drop_attrs())


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "line 1: expected a table whose heading names lon, lat"),
        ("lon,velocity\n1,2\n", "it needs lat, and has lon, velocity"),
        ("lon,lat\n1,2\n", "it needs displacement or velocity"),
        ("lon,lat,los,velocity\n1,2,3,4\n", "it needs only one of displacement, velocity"),
        ("lon,lat,los,disp\n1,2,3,4\n", "expected one column for displacement, got 2"),
        ("lon,lat,los\n1,2\n", "line 2: expected 3 columns as in the heading; got '1,2'"),
        ("lon,lat,los\n1,2,x\n", "line 2: expected a number for displacement; got 'x'"),
        ("lon,lat,los\n1,95,0\n", "expected points with longitudes to 360 and latitudes to 90"),
        ("lon,lat,los\n,5,0\n", "expected points with longitudes to 360 and latitudes to 90"),
        ("lon,lat,los\n", "expected points with longitudes"),
        ("lon,lat,los,inc\n1,2,0,39\n", "a look needs incidence_angle, los_azimuth_angle; it has only incidence_angle"),
        ("lon,lat,los,los_east,los_north,los_up\n1,2,0,1,1,1\n", "expected look vectors of length one, got 1.73"),
    ],
)
def test_a_broken_table_is_named(write, text, message):
    with pytest.raises(SourceFormatError, match=message):
        read_points(write(text, "p.csv"))


def test_other_files_of_points_are_named(write, tmp_path):
    with pytest.raises(SourceFormatError, match=r"a file of angles goes with a points_disp.json"):
        read_points(write(TABLE, "p.csv"), "a.json")
    with pytest.raises(SourceFormatError, match="is no whole Parquet file"):
        read_points(write("x", "p.parquet"))
    with pytest.raises(StorageError, match="no such file"):
        read_points(tmp_path / "none.parquet")
    pd.DataFrame({"lon": ["a"], "lat": [1.0], "los": [0.0]}).to_parquet(tmp_path / "t.parquet")
    with pytest.raises(SourceFormatError, match="expected numbers in the column of lon"):
        read_points(tmp_path / "t.parquet")


def test_sites_have_names_places_and_looks(write):
    ds = read_sites(write("station lon lat los_east los_north los_up\nP066 -116 32 0.6 0 0.8\n", "s.txt"))
    assert ds["station"].values.tolist() == ["P066"]
    assert (ds["lon"].item(), ds["los_up"].item()) == (-116, 0.8)
    assert list(read_sites(write("station lon lat\nP066 -116 32\n", "s.txt")).data_vars) == []
    with pytest.raises(SourceFormatError, match="expected columns station, lon, lat; lat is missing"):
        read_sites(write("station lon\nP066 -116\n", "s.txt"))
    with pytest.raises(SourceFormatError, match="expected each station once; P066 comes more often"):
        read_sites(write("station lon lat\nP066 -116 32\nP066 -116 32\n", "s.txt"))
