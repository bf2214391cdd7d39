"""Outlines: signs, the antimeridian, projections, usable pixels, and files that other programs read."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pyogrio
import pytest
import shapely
import xarray as xr
from click.testing import CliRunner
from he5files import product, write_he5
from hypothesis import given
from lazy import no_compute
from losscene import los_scene
from strategies import chunkings

from mimtpy_cloud.catalog.ingest import ingest
from mimtpy_cloud.cli.app import cli
from mimtpy_cloud.errors import SchemaError, SourceFormatError, StorageError
from mimtpy_cloud.exports.footprint import write_footprints
from mimtpy_cloud.exports.geotiff import write_cog
from mimtpy_cloud.io.georeference import coordinates
from mimtpy_cloud.io.geotiff import open_geotiff
from mimtpy_cloud.io.vectors import read_lines
from mimtpy_cloud.ops.footprint import footprint, scene_outline
from mimtpy_cloud.plan.footprint import box_outline, ground_area, mask_outline, ring_outline, split_box
from mimtpy_cloud.plan.grid import Grid
from mimtpy_cloud.view.footprints import plot_footprints

GRID = Grid(100, 40, 0.01, 0.01, 8, 6)


def dataset(valid: np.ndarray, grid: Grid = GRID, **attrs: Any) -> xr.Dataset:
    return xr.Dataset({"valid": (("y", "x"), valid)}, coordinates(grid.x, grid.y, grid.crs), attrs)


def corners(lat: tuple[float, ...], lon: tuple[float, ...]) -> dict[str, Any]:
    pairs = enumerate(zip(lat, lon, strict=True), start=1)
    return {
        "mintpy": {
            key: value for i, (y, x) in pairs for key, value in ((f"LAT_REF{i}", str(y)), (f"LON_REF{i}", str(x)))
        }
    }


def test_a_scene_west_of_greenwich_keeps_its_signs(oracles: dict[str, Any]) -> None:
    case = oracles["O34"]
    outline = scene_outline({"mintpy": {"scene_footprint": case["wkt"]}})
    west, east, south, north = case["bbox_WESN"]
    np.testing.assert_allclose(outline.bounds, (west, south, east, north), rtol=1e-9)
    assert outline.area == pytest.approx(case["shoelace_area_deg2"], rel=1e-9)


@pytest.mark.parametrize(
    ("lat", "lon"),
    [
        ((19.05, 19.1, 19.85, 19.9), (-155.5, -155.0, -155.55, -155.05)),  # ascending: first line in the south
        ((19.9, 19.85, 19.1, 19.05), (-155.05, -155.55, -155.0, -155.5)),  # descending: first line in the north
    ],
)
def test_corners_make_a_ring_that_does_not_cross_itself_in_any_pass(
    lat: tuple[float, ...], lon: tuple[float, ...]
) -> None:
    outline = scene_outline(corners(lat, lon))
    assert outline.is_valid
    assert outline.area == pytest.approx(outline.convex_hull.area)
    assert outline.bounds == (-155.55, 19.05, -155.0, 19.9)


def test_edges_of_the_data_are_those_of_the_oracle(oracles: dict[str, Any]) -> None:
    south, north, west, east = oracles["O35"]["edges_SNWE"]
    outline = footprint(dataset(np.zeros((6, 8), bool)))
    np.testing.assert_allclose(outline.bounds, (west, south, east, north), rtol=1e-9)


def test_a_box_across_the_antimeridian_is_two() -> None:
    outline = footprint(dataset(np.ones((6, 8), bool), Grid(179.96, 40, 0.01, 0.01, 8, 6)))
    assert [part.bounds for part in outline.geoms] == [(179.96, 39.94, 180, 40), (-180, 39.94, -179.96, 40)]
    assert split_box((-200, 0, 200, 1)) == [(-180, 0, 180, 1)]


def test_a_ring_across_the_antimeridian_is_cut_there_whatever_the_turn() -> None:
    for far in (-179.5, 180.5):
        outline = ring_outline([(179.5, -18), (179.4, -17), (far, -17), (far - 0.1, -18)])
        assert sorted(part.bounds[0] for part in outline.geoms) == pytest.approx([-180, 179.4])
        assert outline.area == pytest.approx(1.0)


def test_usable_pixels_have_their_holes_and_their_parts() -> None:
    valid = np.ones((6, 8), bool)
    valid[2:4, 2:4] = False
    valid[:, 6] = False
    outline = mask_outline(valid, GRID, tolerance=0)
    assert outline.area == pytest.approx(valid.sum() * 1e-4)
    assert sorted(len(part.interiors) for part in outline.geoms) == [0, 1]
    assert mask_outline(np.zeros((6, 8), bool), GRID).is_empty


@given(chunks=chunkings(y=6, x=8))
def test_chunked_equals_numpy_and_nothing_is_computed(chunks: dict[str, tuple[int, ...]]) -> None:
    valid = np.random.default_rng(3).random((6, 8)) > 0.4
    with no_compute():
        lazy = footprint(dataset(valid).chunk(chunks), "valid", tolerance=0)
    assert lazy.compute().equals(mask_outline(valid, GRID, tolerance=0))


def test_a_large_mask_is_coarsened_to_cells_that_hold_every_usable_pixel() -> None:
    grid = Grid(10, 50, 0.001, 0.001, 1500, 1300)
    valid = np.zeros((1300, 1500), bool)
    valid[100:1299, 200:1402] = True
    exact = mask_outline(valid, grid, tolerance=0)
    found = footprint(dataset(valid, grid).chunk(y=400, x=400), "valid", tolerance=0).compute()
    assert found.buffer(1e-9).contains(exact)
    assert found.hausdorff_distance(exact) < 3 * 0.001 * 2**0.5


def test_velocity_and_displacement_tell_what_is_usable_where_no_mask_does() -> None:
    values = np.full((2, 6, 8), np.nan)
    values[1, :3] = 1
    series = dataset(np.ones((6, 8), bool)).drop_vars("valid").assign(displacement=(("time", "y", "x"), values))
    assert footprint(series, "valid").compute().area == pytest.approx(24e-4)


def test_a_mask_of_a_geotiff_is_a_mask(tmp_path: Path) -> None:
    ds = los_scene()
    valid = ds["displacement"].notnull() & (ds["x"] < 100.04)
    write_cog(valid.rename("valid"), tmp_path / "valid.tif")
    read = open_geotiff(str(tmp_path / "valid.tif"))
    expected = footprint(ds.assign(valid=valid), "valid", tolerance=0).compute()
    assert footprint(read, "valid", tolerance=0).compute().equals_exact(expected, 1e-9, normalize=True)


def test_corners_in_metres_are_those_of_the_projection_of_the_source() -> None:
    source = corners((4000e3, 4010e3, 4080e3, 4090e3), (400e3, 480e3, 390e3, 470e3))["mintpy"]
    by_zone = scene_outline({"mintpy": source | {"UTM_ZONE": "37N"}})
    assert by_zone.bounds == scene_outline({"mintpy": source}, crs="EPSG:32637").bounds
    assert scene_outline({"mintpy": source | {"EPSG": 32637}}).bounds == by_zone.bounds
    assert 37.5 < by_zone.bounds[0] < 38.5
    with pytest.raises(SchemaError, match="corners of the scene are in metres, and the source does not say"):
        scene_outline({"mintpy": source})


def test_a_projected_grid_is_outlined_in_degrees() -> None:
    utm = Grid(430_000, 4_070_000, 80, 80, 500, 400, "EPSG:32611")
    box = footprint(dataset(np.ones((400, 500), bool), utm))
    pixels = footprint(dataset(np.ones((400, 500), bool), utm), "valid").compute()
    assert ground_area(box) == pytest.approx(500 * 400 * 6400, rel=1e-3)  # the scale of UTM
    assert box.symmetric_difference(pixels).area < 1e-3 * box.area
    assert -118 < box.bounds[0] < -117


@pytest.mark.parametrize(
    ("ds", "kind", "error", "message"),
    [
        (dataset(np.ones((6, 8), bool)), "hull", SchemaError, "must be one of scene, data, valid, got 'hull'"),
        (dataset(np.ones((6, 8), bool)), "scene", SchemaError, "tells no corners of its scene"),
        (xr.Dataset({"valid": (("y", "x"), np.ones((2, 2), bool))}), "data", SchemaError, "in radar coordinates"),
        (dataset(np.ones((6, 8), bool)).drop_vars("valid"), "valid", SchemaError, "has no map; it has nothing"),
        (xr.Dataset(attrs=corners((1, 1, 1, 1), (2, 2, 2, 2))), "scene", SourceFormatError, "corners of an area"),
    ],
)
def test_what_cannot_be_outlined_is_said(ds: xr.Dataset, kind: Any, error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        footprint(ds, kind)


def features() -> list[tuple[Any, dict[str, Any]]]:
    hole = shapely.box(-155.5, 19, -155, 20).difference(shapely.box(-155.3, 19.4, -155.2, 19.6))
    told = {"name": "A124", "orbit_direction": "ascending", "area_km2": 5.5}
    return [(hole, told), (box_outline((179.5, -20, 180.5, -19)), {"name": 'D<0"87', "orbit_direction": "descending"})]


@pytest.mark.filterwarnings("ignore:The 'generic' unit:DeprecationWarning")  # of pyogrio, about the times of KML
@pytest.mark.parametrize("ending", [".geojson", ".json", ".gmt", ".kml"])
def test_gdal_reads_outlines_and_properties(tmp_path: Path, ending: str) -> None:
    path = tmp_path / f"tracks{ending}"
    write_footprints(features(), path)
    meta, _, geometry, values = pyogrio.raw.read(path)
    found = [shapely.from_wkb(item) for item in geometry]
    total = sum(item.area for item in found)
    assert total == pytest.approx(0.5 - 0.02 + 1, rel=1e-9)
    columns = dict(zip([name.lower() for name in meta["fields"]], values, strict=True))
    assert columns["name"][0] == "A124"
    assert min(item.bounds[0] for item in found) == -180
    assert len(read_lines(path)) >= 3


def test_geojson_turns_as_the_standard_says_and_wkt_is_a_line_each(tmp_path: Path) -> None:
    write_footprints(features(), tmp_path / "a.geojson")
    first = json.loads((tmp_path / "a.geojson").read_text())["features"][0]
    ring = shapely.LinearRing(first["geometry"]["coordinates"][0])
    assert ring.is_ccw
    assert first["properties"]["area_km2"] == 5.5
    write_footprints(features(), tmp_path / "a.wkt")
    lines = (tmp_path / "a.wkt").read_text().splitlines()
    assert [shapely.from_wkt(line).area for line in lines] == pytest.approx([0.48, 1.0])
    with pytest.raises(StorageError, match=r"ends in .geojson, .json, .gmt, .kml, .wkt, got a.shp"):
        write_footprints(features(), "a.shp")


def test_a_map_has_names_that_are_apart_and_a_colour_for_each_pass() -> None:
    box = shapely.box(30, 36, 32, 38)
    names = [("A014", "ascending"), ("A087", "ascending"), ("D021", "descending")]
    figure = plot_footprints([(box, {"name": n, "orbit_direction": o}) for n, o in names], title="Footprints")
    figure.canvas.draw()
    (ax,) = figure.axes
    texts = [text for text in ax.texts if text.get_text() in dict(names)]
    boxes = [text.get_window_extent() for text in texts]
    assert len(texts) == 3
    assert not any(a.overlaps(b) for k, a in enumerate(boxes) for b in boxes[k + 1 :])
    assert [label.get_text() for label in ax.get_legend().get_texts()] == ["ascending", "descending"]
    with pytest.raises(SchemaError, match="at least one outline"):
        plot_footprints([(shapely.Polygon(), {})])


def test_a_map_across_the_antimeridian_is_one_piece() -> None:
    figure = plot_footprints([(box_outline((179.5, -20, 180.5, -19)), {"name": "D087"})])
    west, east = figure.axes[0].get_xlim()
    assert east - west < 2


def run(*args: Any, code: int = 0) -> Any:
    result = CliRunner().invoke(cli, [str(arg) for arg in args], prog_name="mimtpy")
    assert result.exit_code == code, result.output + str(result.exception)
    return result


def test_the_command_outlines_a_file_and_a_catalog(tmp_path: Path) -> None:
    file = write_he5(tmp_path)
    run("footprint", file, "--kind", "valid", "--out", tmp_path / "f.geojson")
    (found,) = json.loads((tmp_path / "f.geojson").read_text())["features"]
    pixels = product()["quality/mask"].sum()
    assert shapely.from_geojson(json.dumps(found["geometry"])).area == pytest.approx(
        pixels * 1e-4, rel=0.1
    )  # simplified
    assert found["properties"]["track"] == "A064"
    ingest([file], tmp_path / "root", resolution="tiny", pixels_per_degree=100)
    root = ("--root", tmp_path / "root")
    out = run("footprint", *root, "--out", tmp_path / "c.geojson")
    (entry,) = json.loads((tmp_path / "c.geojson").read_text())["features"]
    assert entry["bbox"] == [100, 39.94, 100.08, 40]
    assert {key: entry["properties"][key] for key in ("name", "resolution", "bands", "dates")} == {
        "name": "A064",
        "resolution": "tiny",
        "bands": "39",
        "dates": 3,
    }
    assert out.stderr == f"A064: {entry['properties']['area_km2']:.0f} km2\n"
    run("footprint", *root, "--bands", "--out", tmp_path / "b.wkt")
    assert shapely.from_wkt((tmp_path / "b.wkt").read_text()).bounds == (100, 39.94, 100.08, 40)
    run("footprint", *root, "--kind", "valid", "--out", tmp_path / "c.png")
    assert (tmp_path / "c.png").stat().st_size > 10_000


@pytest.mark.parametrize(
    ("args", "message"),
    [
        (("--out", "a.shp"), "--out is a name that ends in .geojson"),
        (("--out", "a.gmt", "--coastline", "c.gmt"), "expected --out NAME.png with --coastline"),
        (("--out", "a.gmt", "--product", "x"), "--product would choose from one track"),
        (("{file}", "--bands", "--out", "a.gmt"), "--bands are those of a catalog"),
        (("{file}", "--kind", "scene", "--out", "a.gmt"), "tells no corners of its scene"),
        (("--root", "{folder}", "--out", "a.gmt"), "no catalog at"),
        (("--root", "{folder}", "--bands", "--kind", "valid", "--out", "a.gmt"), "footprints of their data alone"),
    ],
)
def test_options_that_do_not_fit_are_refused(tmp_path: Path, args: tuple[str, ...], message: str) -> None:
    places = {"file": write_he5(tmp_path), "folder": tmp_path / "none"}
    assert message in run("footprint", *(arg.format(**places) for arg in args), code=2).stderr
