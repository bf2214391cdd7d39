"""Tables of profiles: what is written can be read again, with its units."""

import csv
import json
import warnings

import numpy as np
import pytest
import xarray as xr
from lazy import no_compute
from pyproj import Geod
from scipy.io import loadmat
from shapely.geometry import shape
from synthetic import lattice_dataset, small_window

from mimtpy_cloud.errors import SchemaError, StorageError
from mimtpy_cloud.exports.transects import write_transects
from mimtpy_cloud.io.vectors import read_lines
from mimtpy_cloud.ops.transectfit import fit_transects
from mimtpy_cloud.ops.transects import profile_across_fault, profile_between

WINDOW = small_window(40, 50, west=30.0, north=40.16)
TRACE = np.array([[30.1, 40.0], [30.3, 40.0]])
OTHER = TRACE + np.array([0.0, 0.03])


def product():
    rng = np.random.default_rng(2)
    ds = lattice_dataset(WINDOW, velocity=rng.normal(0, 0.01, WINDOW.shape), source={"url": "memory://a"})
    velocity = ds["velocity"].copy()
    velocity[:18] = np.nan  # the north has no data
    return ds.assign(velocity=velocity).chunk(y=11, x=13)


def stations():
    values = {"east": [0.01, 0.02], "north": [0.0, 0.0], "up": [0.0, np.nan]}
    places = {"station": ["ALFA", "Brá"], "lon": ("station", [30.2, 30.15]), "lat": ("station", [40.02, 39.97])}
    return xr.Dataset({n: ("station", np.array(v)) for n, v in values.items()}, places)


@pytest.fixture(scope="module")
def profiles():
    with no_compute():
        return profile_across_fault(
            product(), TRACE, length_km=(9, 6), spacing_km=8, width_km=12, stations=stations(), faults=[OTHER]
        )


def rows_of(path):
    with path.open(newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


def test_a_table_has_a_row_a_sample_and_units_in_its_headings(profiles, tmp_path):
    written = write_transects(profiles, tmp_path / "p.csv")
    assert written == [str(tmp_path / name) for name in ("p.csv", "p_stations.csv", "p_crossings.csv")]
    rows = rows_of(tmp_path / "p.csv")
    assert len(rows) == profiles["velocity"].size
    headings = list(rows[0])
    assert headings[:4] == ["profile", "along_km [km]", "strike [degrees]", "fault_lon [degrees_east]"]
    assert {"distance_km [km]", "velocity [m/yr]", "velocity_q16 [m/yr]", "velocity_count", "height [m]"} <= {*headings}
    found = profiles.compute()
    for name, heading in (("velocity", "velocity [m/yr]"), ("lat", "lat [degrees_north]"), ("height_count",) * 2):
        column = np.array([float(row[heading] or "nan") for row in rows])
        np.testing.assert_allclose(column, found[name].values.ravel(), rtol=1e-8)
    upper = np.array([float(row["velocity_q84 [m/yr]"] or "nan") for row in rows])
    np.testing.assert_allclose(upper, found["velocity_quantile"].sel(quantile=0.84).values.ravel(), rtol=1e-8)
    assert "" in {row["velocity [m/yr]"] for row in rows}  # no data


def test_stations_and_crossings_have_tables_of_their_own(profiles, tmp_path):
    write_transects(profiles, tmp_path / "p.csv")
    found = profiles.compute()
    table = rows_of(tmp_path / "p_stations.csv")
    assert {row["station_name"] for row in table} == {"ALFA", "Brá"}
    np.testing.assert_allclose(
        [float(row["station_distance_km [km]"]) for row in table], found["station_distance_km"], rtol=1e-8
    )
    crossings = rows_of(tmp_path / "p_crossings.csv")
    assert float(crossings[0]["crossing_distance_km [km]"]) == pytest.approx(-0.03 * 111.04, rel=1e-3)
    alone = profiles.drop_dims(["station", "crossing"])
    assert write_transects(alone, tmp_path / "alone.csv") == [str(tmp_path / "alone.csv")]


def test_netcdf_holds_all_of_it(profiles, tmp_path):
    write_transects(profiles, tmp_path / "p.nc")
    with xr.open_dataset(tmp_path / "p.nc") as file:
        found = file.load()
    expected = profiles.compute()
    for name, values in expected.variables.items():
        if values.dtype.kind in "iuf":
            np.testing.assert_array_equal(found[name], values)
        assert found[name].attrs.get("units") == values.attrs.get("units")
    assert found["station_name"].values.astype(str).tolist() == expected["station_name"].values.tolist()
    assert json.loads(found.attrs["source"]) == {"url": "memory://a"}
    assert found.attrs["flip"] == 0  # which is false, where "false" would be true
    assert found.attrs["length_km"].tolist() == [9.0, 6.0]
    assert found.attrs["width_km"] == 12.0
    assert "write_transects" in found.attrs["history"]


@pytest.mark.parametrize("flip", [False, True])
def test_profiles_that_are_read_again_have_the_slip_and_the_sides_that_they_had(tmp_path, flip):
    y = WINDOW.grid.y[:, None]
    east = 0.02 / np.pi * np.arctan((y - 40.0) * 111.0 / 3) + np.zeros(WINDOW.shape)  # the north to the east
    maps = {"east": (("y", "x"), east, {"units": "m/yr"})}
    ds = lattice_dataset(WINDOW).assign(maps)
    profiles = profile_across_fault(ds, TRACE, bins=np.arange(-15.0, 15.1), width_km=8, flip=flip)
    write_transects(profiles, tmp_path / "p.nc")
    with xr.open_dataset(tmp_path / "p.nc") as file:
        again = file.load()
    assert fit_transects(profiles, std=1e-3)["slip_rate"].values == pytest.approx(0.02, rel=0.05)
    xr.testing.assert_allclose(
        fit_transects(again, std=1e-3)["slip_rate"], fit_transects(profiles, std=1e-3)["slip_rate"].compute()
    )
    for number, source in enumerate((profiles, again)):
        write_transects(source, tmp_path / f"{number}.geojson")
    first, second = (json.loads((tmp_path / f"{k}.geojson").read_text())["features"] for k in (0, 1))
    assert first == second


def test_a_crossing_near_the_end_of_a_profile_is_where_it_is(tmp_path):
    other = TRACE + np.array([0.0, 8.5 / 111.04])  # in the last of three bins of 3 km, beyond its middle
    profiles = profile_across_fault(
        product(), TRACE, length_km=(9, 6), step_km=3, spacing_km=8, width_km=12, faults=[other]
    )
    write_transects(profiles, tmp_path / "p.geojson")
    features = json.loads((tmp_path / "p.geojson").read_text())["features"]
    latitudes = [f["geometry"]["coordinates"][1] for f in features if f["properties"]["kind"] == "crossing"]
    assert latitudes == pytest.approx([other[0, 1]] * 2, abs=1e-4)


def test_a_selection_of_profiles_keeps_their_numbers(profiles, tmp_path):
    last = profiles.isel(profile=[1])
    write_transects(last, tmp_path / "p.csv")
    assert {row["profile"] for row in rows_of(tmp_path / "p.csv")} == {"2"}
    assert {row["station_profile"] for row in rows_of(tmp_path / "p_stations.csv")} == {"2"}
    assert {row["crossing_profile"] for row in rows_of(tmp_path / "p_crossings.csv")} == {"2"}
    write_transects(last, tmp_path / "p.geojson")
    features = json.loads((tmp_path / "p.geojson").read_text())["features"]
    assert [f["properties"]["profile"] for f in features[:2]] == [2, 2]
    assert [f["properties"]["crossing_profile"] for f in features if f["properties"]["kind"] == "crossing"] == [2]


def test_matlab_gets_the_names_of_mimtpy_beside_ours(profiles, tmp_path):
    write_transects(profiles, tmp_path / "p.mat")
    found, expected = loadmat(tmp_path / "p.mat"), profiles.compute()
    samples, columns = expected.sizes["distance"], expected.sizes["profile"]
    for theirs, ours in (("datavec", "velocity"), ("datavec2", "velocity_sigma"), ("datadem", "height"), ("lat",) * 2):
        assert found[theirs].shape == (samples, columns)
        np.testing.assert_array_equal(found[theirs], expected[ours].values.T)
    np.testing.assert_array_equal(found["velocity_mad"], expected["velocity_mad"].values.T)
    place = found["Distance_along_profile"].ravel() - found["fault_position"].ravel()
    np.testing.assert_allclose(place, expected["distance_km"] * 1000)
    assert found["Unit"].tolist() == ["m/yr"]
    assert found["units"]["velocity"][0, 0].tolist() == ["m/yr"]
    assert [str(cell[0]) for cell in found["station_name"].ravel()] == expected["station_name"].values.tolist()


def test_names_that_matlab_cannot_hold_are_refused(profiles, tmp_path):
    long = profiles.rename(velocity="v" * 64)
    with pytest.raises(SchemaError, match="at most 63 letters, got v"):
        write_transects(long, tmp_path / "p.mat")
    assert not (tmp_path / "p.mat").exists()


@pytest.mark.parametrize("flip", [False, True])
def test_geojson_has_the_swaths_on_the_ground(tmp_path, flip):
    profiles = profile_across_fault(
        product(), TRACE, length_km=(9, 6), spacing_km=8, width_km=12, flip=flip, stations=stations(), faults=[OTHER]
    )
    write_transects(profiles, tmp_path / "p.geojson")
    content = json.loads((tmp_path / "p.geojson").read_text())
    kinds = [feature["properties"]["kind"] for feature in content["features"]]
    assert kinds == ["swath", "profile"] * 2 + ["station"] * profiles.sizes["station"] + ["crossing"] * 2
    swath, line = content["features"][:2]
    polygon = shape(swath["geometry"])
    area, _ = Geod(ellps="WGS84").geometry_area_perimeter(polygon)
    assert area == pytest.approx(15e3 * 12e3, rel=1e-3)  # positive: anticlockwise
    assert polygon.contains(shape(line["geometry"]))
    assert polygon.bounds[3] - 40.0 == pytest.approx(
        9 / 111.04, rel=0.01
    )  # left of a trace to the east, flipped or not
    assert swath["properties"]["strike"] == pytest.approx(90, abs=0.2)
    assert (swath["properties"]["from_km"], swath["properties"]["to_km"]) == ((-6, 9) if flip else (-9, 6))
    (crossing, *_) = [f for f in content["features"] if f["properties"]["kind"] == "crossing"]
    assert crossing["geometry"]["coordinates"][1] == pytest.approx(40.03, abs=1e-4)
    assert content["properties"]["spacing_km"] == 8
    assert len(read_lines(tmp_path / "p.geojson")) == 4


@pytest.mark.parametrize("width", [None, 8.0])
@pytest.mark.parametrize("ending", ["csv", "nc", "mat", "geojson"])
def test_a_single_profile_is_written_in_every_format(tmp_path, ending, width):
    one = profile_between(product(), (30.05, 39.9), (30.3, 40.0), step_km=2.0, width_km=width)
    target = tmp_path / f"one.{ending}"
    assert write_transects(one, target) == [str(target)]
    expected = one.compute()["velocity"]
    if ending == "csv":
        found = [float(row["velocity [m/yr]"] or "nan") for row in rows_of(target)]
    elif ending == "nc":
        with xr.open_dataset(target) as file:
            found = file["velocity"].values
    elif ending == "mat":
        found = loadmat(target)["datavec"].ravel()
    else:
        (line,) = read_lines(target)
        np.testing.assert_allclose(line[:, 0], one["lon"], atol=1e-9)
        return
    np.testing.assert_allclose(found, expected, rtol=1e-7)


def test_what_cannot_be_written_is_refused(profiles, tmp_path):
    with no_compute():
        with pytest.raises(SchemaError, match=r"ends in \.csv, \.nc, \.geojson, \.mat, got p\.xlsx"):
            write_transects(profiles, "p.xlsx")
        with pytest.raises(SchemaError, match="the profiles needs distance_km"):
            write_transects(product(), tmp_path / "p.csv")
    (tmp_path / "p.nc").mkdir()
    (tmp_path / "p.nc" / "a").touch()
    with pytest.raises(StorageError, match="is a folder of something else"), warnings.catch_warnings():
        write_transects(profiles, tmp_path / "p.nc")
