"""Tables of points as CSV, Parquet and GeoJSON."""

import json
import sys

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import xarray as xr

from mimtpy_cloud.errors import SchemaError, SourceFormatError
from mimtpy_cloud.exports.points import write_points
from mimtpy_cloud.io.parquet import read_parquet
from mimtpy_cloud.io.points import read_points


def table(value="velocity", **extra):
    rng = np.random.default_rng(4)
    unit = "m/yr" if value == "velocity" else "m"
    data = {
        value: ("leaf", rng.normal(0, 0.01, 5), {"units": unit}),
        "count": ("leaf", np.arange(1, 6), {"units": "1"}),
        "lat": ("leaf", rng.uniform(40, 41, 5), {"units": "degrees_north"}),
        "lon": ("leaf", rng.uniform(30, 31, 5), {"units": "degrees_east"}),
        "weight": ("leaf", rng.uniform(1e5, 1e6, 5), {"units": f"({unit})^-2"}),
        "los_east": ("leaf", np.full(5, -0.6), {"units": "1"}),
        "los_north": ("leaf", np.full(5, 0.0), {"units": "1"}),
        "los_up": ("leaf", np.full(5, 0.8), {"units": "1"}),
    }
    return xr.Dataset(data | extra, attrs={"track": "A064"})


@pytest.mark.parametrize("suffix", ["csv", "parquet"])
@pytest.mark.parametrize("value", ["velocity", "displacement"])
def test_what_is_read_is_what_was_written_to_the_last_bit(tmp_path, suffix, value):
    ds, url = table(value), tmp_path / f"points.{suffix}"
    write_points(ds, url)
    found = read_points(url)
    assert set(found.variables) == {"lon", "lat", value, "weight", "los_east", "los_north", "los_up"}
    for name in found.variables:
        np.testing.assert_array_equal(found[name], ds[name])


def test_headings_say_units_and_places_come_first(tmp_path):
    write_points(table(), tmp_path / "points.csv")
    head, first, *_ = (tmp_path / "points.csv").read_text().splitlines()
    assert head == (
        "lon [degrees_east],lat [degrees_north],velocity [m/yr],count [1],weight [(m/yr)^-2],"
        "los_east [1],los_north [1],los_up [1]"
    )
    assert first.split(",")[3] == "1"


def test_parquet_keeps_types_and_attributes(tmp_path):
    write_points(table(), tmp_path / "points.parquet")
    found = read_parquet(tmp_path / "points.parquet")
    assert str(found.schema.field("count [1]").type) == "int64"
    assert json.loads(found.schema.metadata[b"attributes"])["track"] == "A064"


def test_parquet_gives_dates_and_wavelength_back_and_csv_does_not(tmp_path):
    facts = {"start_date": "2020-01-05", "end_date": "2020-07-03", "wavelength": 0.05546576}
    for suffix, kept in (("parquet", facts), ("csv", {})):
        url = tmp_path / f"points.{suffix}"
        write_points(table().assign_attrs(facts), url)
        assert read_points(url).attrs == kept | {"source": str(url)}


@pytest.mark.parametrize(
    "metadata",
    [
        None,
        {"attributes": "of another program"},
        {"attributes": b"\xff"},
        {"attributes": "[1]"},
        {"attributes": '{"wavelength": "C band", "start_date": 2020, "end_date": null}'},
    ],
)
def test_parquet_of_others_is_read_without_dates(tmp_path, metadata):
    content = pa.table({"lon": [30.1], "lat": [40.2], "velocity": [0.012]}).replace_schema_metadata(metadata)
    pq.write_table(content, tmp_path / "points.parquet")
    assert set(read_points(tmp_path / "points.parquet").attrs) == {"source"}


def test_without_pyarrow_the_error_says_how_to_get_it(tmp_path, monkeypatch):
    url = tmp_path / "points.parquet"
    write_points(table(), url)
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    with pytest.raises(SchemaError, match=r"as \.parquet needs pyarrow: pip install pyarrow, or name it \.csv"):
        write_points(table(), tmp_path / "more.parquet")
    with pytest.raises(SourceFormatError, match=r"needs pyarrow: pip install pyarrow, or write the table as \.csv"):
        read_points(url)


def edges(west, east, south, north):
    columns = {"west": west, "east": east, "south": south, "north": north}
    return {name: ("leaf", np.full(5, float(v)), {"units": "degrees"}) for name, v in columns.items()}


def test_leaves_are_polygons_of_a_geojson_that_go_anticlockwise(tmp_path):
    ds = table(**edges(30, 31, 40, 42))
    ds["velocity"][1] = np.nan
    write_points(ds, tmp_path / "leaves.geojson")
    content = json.loads((tmp_path / "leaves.geojson").read_text())
    assert content["attributes"]["track"] == "A064"
    first, second, *_ = content["features"]
    assert len(content["features"]) == 5
    assert first["geometry"] == {"type": "Polygon", "coordinates": [[[30, 40], [31, 40], [31, 42], [30, 42], [30, 40]]]}
    assert first["properties"]["velocity [m/yr]"] == float(ds["velocity"][0])
    assert second["properties"]["velocity [m/yr]"] == "nan"


def test_polygons_of_a_map_in_metres_are_in_degrees(tmp_path):
    from pyproj import CRS, Proj

    crs = CRS.from_epsg(32637)
    ref = xr.Variable((), 0, {"crs_wkt": crs.to_wkt("WKT1_GDAL")})
    ds = table(**edges(500_000, 501_000, 4_400_000, 4_401_000)).assign_coords(spatial_ref=ref)
    write_points(ds, tmp_path / "leaves.geojson")
    ring = json.loads((tmp_path / "leaves.geojson").read_text())["features"][0]["geometry"]["coordinates"][0]
    np.testing.assert_allclose(ring[2], Proj(crs)(501_000, 4_401_000, inverse=True), atol=1e-9)


def test_points_without_edges_are_points(tmp_path):
    write_points(table(), tmp_path / "points.geojson")
    first = json.loads((tmp_path / "points.geojson").read_text())["features"][0]
    assert first["geometry"] == {"type": "Point", "coordinates": [float(table()[name][0]) for name in ("lon", "lat")]}


@pytest.mark.parametrize(
    ("ds", "name", "message"),
    [
        (table(), "points.xls", r"ends in .csv, .parquet, .geojson, got .*points.xls"),
        (table().drop_vars("lat"), "points.csv", "a table of points needs lat"),
        (table(name=("leaf", list("abcde"))), "points.csv", "columns of numbers on one dimension, got name"),
        (table(scene=("y", [1.0])), "points.csv", "got scene; leave them out"),
    ],
)
def test_what_is_no_table_is_refused(tmp_path, ds, name, message):
    with pytest.raises(SchemaError, match=message):
        write_points(ds, tmp_path / name)
    assert not list(tmp_path.iterdir())
