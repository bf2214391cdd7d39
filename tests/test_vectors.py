"""Lines and points of every format come back as longitudes and latitudes, or the error says why not."""

from pathlib import Path

import fsspec
import numpy as np
import pyogrio
import pytest
import shapely
from pyproj import Transformer

from mimtpy_cloud.errors import SourceFormatError, StorageError
from mimtpy_cloud.io.vectors import read_lines, read_points

FIRST = np.array([[36.65, 40.725], [36.58, 40.741], [36.47, 40.77]])
SECOND = np.array([[-120.5, 35.9], [-120.4, 35.8]])


def write(path: Path, geometries: list[shapely.Geometry], crs: str | None = "EPSG:4326", **options: object) -> Path:
    kinds = {g.geom_type for g in geometries if g is not None}
    kind = kinds.pop() if len(kinds) == 1 else "Unknown"
    kind += " Z" * any(g is not None and g.has_z for g in geometries)
    wkb = np.array([None if g is None else shapely.to_wkb(g) for g in geometries], object)
    names = [np.array([f"fault {n}" for n in range(len(wkb))], object)]
    pyogrio.raw.write(path, wkb, names, ["name"], geometry_type=kind, crs=crs, **options)
    return path


def assert_lines(found: list[np.ndarray], *expected: np.ndarray, atol: float = 1e-9) -> None:
    assert [line.shape for line in found] == [line.shape for line in expected]
    for line, truth in zip(found, expected, strict=True):
        assert line.dtype == np.float64
        np.testing.assert_allclose(line, truth, rtol=0, atol=atol)


@pytest.mark.parametrize("name", ["faults.shp", "faults.geojson", "faults.gpkg", "faults.fgb"])
def test_lines_of_each_gdal_format_come_back(name: str, tmp_path: Path) -> None:
    path = write(tmp_path / name, [shapely.LineString(FIRST), shapely.LineString(SECOND)])
    found = sorted(read_lines(path), key=len, reverse=True)
    assert_lines(found, FIRST, SECOND)


@pytest.mark.parametrize("name", ["faults.shp", "faults.gpkg", "faults.gmt"])
def test_lines_in_metres_are_reprojected(name: str, tmp_path: Path) -> None:
    metres = np.column_stack(Transformer.from_crs(4326, 32637, always_xy=True).transform(*FIRST.T))
    options = {"driver": "OGR_GMT"} if name.endswith(".gmt") else {}
    path = write(tmp_path / name, [shapely.LineString(metres)], crs="EPSG:32637", **options)
    assert_lines(read_lines(path), FIRST)


def test_multi_parts_collections_and_rings_become_lines_and_empty_ones_vanish(tmp_path: Path) -> None:
    square = np.array([[0, 0], [1, 0], [1, 1], [0, 1], [0, 0]], float)
    hole = 0.5 + 0.1 * square
    mixed = [
        shapely.MultiLineString([FIRST, SECOND]),
        None,
        shapely.Polygon(square, [hole]),
        shapely.LineString(),
        shapely.GeometryCollection([shapely.Point(7, 8), shapely.LineString(SECOND)]),
    ]
    path = write(tmp_path / "mixed.geojson", mixed)
    found = read_lines(path)
    assert_lines([*found[:2], found[-1]], FIRST, SECOND, SECOND)
    assert {frozenset(map(tuple, line)) for line in found[2:4]} == {
        frozenset(map(tuple, np.round(ring, 9))) for ring in (square, hole)
    }
    np.testing.assert_array_equal(read_points(path), [[7, 8]])


def test_all_layers_of_a_geopackage_are_read_and_plain_tables_passed_over(tmp_path: Path) -> None:
    path = write(tmp_path / "faults.gpkg", [shapely.LineString(FIRST)], layer="north")
    write(path, [shapely.LineString(SECOND)], layer="south", append=True)
    pyogrio.raw.write(path, None, [np.array(["a"], object)], ["note"], layer="notes", append=True, geometry_type=None)
    assert_lines(read_lines(path), FIRST, SECOND)


def test_heights_are_dropped(tmp_path: Path) -> None:
    line = np.column_stack([FIRST, [5.0, 6.0, 7.0]])
    path = write(tmp_path / "deep.gpkg", [shapely.LineString(line)])
    assert_lines(read_lines(path), FIRST)


def test_plain_gmt_segments_with_comments_headings_and_breaks_are_read(tmp_path: Path) -> None:
    path = tmp_path / "naf.xy"
    path.write_text(
        "# drawn by 'hand, 2019\n> -Z1 main strand\n36.65 40.725 0\n36.58\t40.741\n36.47,40.77\n\n"
        "> -Z2\n-120.5 35.9\n-120.4 35.8\nNaN NaN\n5 6\n"
    )
    assert_lines(read_lines(path), FIRST, SECOND)
    np.testing.assert_array_equal(read_points(path), np.concatenate([FIRST, SECOND, [[5, 6]]]))
    path.write_text("lon lat\n36.65 40.725\n36.58 40.741\n36.47 40.77\n")
    assert_lines(read_lines(path), FIRST)


def test_points_of_a_shapefile_come_back(tmp_path: Path) -> None:
    path = write(tmp_path / "reference.shp", [shapely.Point(28.5, 36.25), shapely.Point(28.6, 36.2)])
    np.testing.assert_array_equal(read_points(path), [[28.5, 36.25], [28.6, 36.2]])


def test_shapefile_on_an_object_store_is_fetched_with_its_companions(tmp_path: Path) -> None:
    metres = np.column_stack(Transformer.from_crs(4326, 32637, always_xy=True).transform(*FIRST.T))
    write(tmp_path / "faults.shp", [shapely.LineString(metres)], crs="EPSG:32637")
    fs = fsspec.filesystem("memory")
    fs.put(str(tmp_path) + "/", "/test_vectors/", recursive=True)
    assert_lines(read_lines("memory://test_vectors/faults.shp"), FIRST)
    with pytest.raises(StorageError, match="no such file"):
        read_lines("memory://test_vectors/absent.shp")
    fs.rm("/test_vectors", recursive=True)


def test_degrees_are_assumed_without_a_system_and_metres_refused(tmp_path: Path) -> None:
    path = write(tmp_path / "faults.shp", [shapely.LineString(FIRST)])
    path.with_suffix(".prj").unlink()
    assert_lines(read_lines(path), FIRST)
    text = tmp_path / "utm.txt"
    text.write_text("500000 4000000\n510000 4000000\n")
    with pytest.raises(SourceFormatError, match=r"500000, 4e\+06 that are not longitude"):
        read_lines(text)
    text.write_text('# @VGMT1.0 @GLINESTRING @Jp"+proj=nonsense"\n500000 4000000\n510000 4000000\n')
    with pytest.raises(SourceFormatError, match="PROJ does not know"):
        read_lines(text)


def test_errors_say_what_is_missing_or_wrong(tmp_path: Path) -> None:
    with pytest.raises(StorageError, match=r"no such file: .*absent\.shp"):
        read_lines(tmp_path / "absent.shp")
    with pytest.raises(StorageError, match="is a folder"):
        read_lines(tmp_path)
    with pytest.raises(StorageError, match="nosuch"):
        read_lines("nosuch://bucket/faults.shp")
    points = write(tmp_path / "points.geojson", [shapely.Point(1, 2)])
    with pytest.raises(SourceFormatError, match="no line or polygon"):
        read_lines(points)
    lines = write(tmp_path / "lines.geojson", [shapely.LineString(FIRST)])
    with pytest.raises(SourceFormatError, match="no point"):
        read_points(lines)
    (tmp_path / "broken.gpkg").write_bytes(b"not a database")
    with pytest.raises(SourceFormatError, match=r"cannot read .*broken\.gpkg"):
        read_lines(tmp_path / "broken.gpkg")
    (tmp_path / "picture.png").write_bytes(b"\x89PNG\xff\xfe")
    with pytest.raises(SourceFormatError, match="Shapefile, GeoJSON"):
        read_lines(tmp_path / "picture.png")
    (tmp_path / "readme.txt").write_text("Faults of\nAnatolia\n")
    with pytest.raises(SourceFormatError, match=r"line 2: expected 'lon lat', got 'Anatolia'"):
        read_lines(tmp_path / "readme.txt")


def test_given_fault_and_coast_files_are_read(shared: Path) -> None:
    real = shared / "data" / "real"
    faults = read_lines(real / "faults_gem_clip" / "gem_active_faults_anatolia.geojson")
    coast = read_lines(real / "coastline_naturalearth" / "ne_50m_coastline_anatolia.geojson")
    trace = read_lines(real / "anatolia_licsbas_native" / "naf_trace.xy")
    assert len(faults) == 201
    assert len(coast) > 20
    assert len(trace) == 1
    assert all(25 < line[:, 0].mean() < 45 for line in faults)
