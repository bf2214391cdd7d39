"""GeoTIFF products: values, grid, tags and layout as GDAL reads them, whole or not at all."""

import json
import math
from pathlib import Path
from typing import Any

import dask
import dask.array
import fsspec
import numpy as np
import pytest
import rasterio
import xarray as xr
from hypothesis import given, settings
from pyproj import CRS
from rasterio.windows import Window as Block
from strategies import chunkings

from mimtpy_cloud.errors import GridMismatchError, SchemaError, StorageError
from mimtpy_cloud.exports.dispatch import export
from mimtpy_cloud.exports.geotiff import write_cog
from mimtpy_cloud.exports.grids import grid_of
from mimtpy_cloud.plan.grid import Grid, Window

ATTRS = {
    "units": "m/yr",
    "long_name": "line-of-sight velocity",
    "track": "A064",
    "start_date": "2016-01-08",
    "end_date": "2020-12-24",
    "source": [{"url": "s3://bucket/S1.he5", "size": 12}],
    "reference_point": (28.5, 36.25),
}


def field(values: np.ndarray, grid: Grid | None = None, name: str = "velocity") -> xr.DataArray:
    ny, nx = values.shape
    grid = grid or Grid(100, 40, 0.01, 0.01, nx, ny)
    coords = {"y": grid.y, "x": grid.x, "spatial_ref": ((), 0, {"crs_wkt": CRS.from_user_input(grid.crs).to_wkt()})}
    return xr.DataArray(values, coords, ("y", "x"), name, ATTRS)


def noise(ny: int = 6, nx: int = 8) -> np.ndarray:
    values = np.random.default_rng(3).normal(0, 0.01, (ny, nx)).astype("float32")
    values[ny // 2, : nx // 2] = np.nan
    return values


def read(path: Path) -> tuple[np.ndarray, dict[str, Any]]:
    with rasterio.open(path) as src:
        return src.read(1), src.profile


def test_transform_equals_the_oracle(tmp_path: Path, oracles: dict[str, Any]) -> None:
    write_cog(field(noise()), tmp_path / "v.tif")
    with rasterio.open(tmp_path / "v.tif") as src:
        assert list(src.transform.to_gdal()) == oracles["O37"]["gdal"]
        assert list(src.transform)[:6] == oracles["O37"]["affine"]


@pytest.mark.parametrize(
    "grid",
    [
        Grid(-156.0, 20.5, 1 / 3600, 1 / 3600, 700, 500),
        Grid(27.99873, 42.50018, 0.01000061, 0.00999983, 354, 268),
        Grid(430_015.5, 4_070_040.25, 80.0, 90.0, 30, 40, "EPSG:32632"),
    ],
)
def test_any_grid_is_recovered_to_a_billionth_of_a_pixel(grid: Grid, tmp_path: Path) -> None:
    write_cog(field(np.zeros((grid.ny, grid.nx), "float32"), grid), tmp_path / "v.tif")
    with rasterio.open(tmp_path / "v.tif") as src:
        west, dx, _, north, _, dy = src.transform.to_gdal()
        assert src.crs == rasterio.CRS.from_user_input(grid.crs)
    assert abs(west - grid.west) < 1e-8 * grid.dx
    assert abs(north - grid.north) < 1e-8 * grid.dy
    assert abs(dx - grid.dx) * grid.nx < 1e-8 * grid.dx
    assert abs(-dy - grid.dy) * grid.ny < 1e-8 * grid.dy


def test_values_units_tags_and_nodata_come_back(tmp_path: Path) -> None:
    values = noise()
    write_cog(field(values), tmp_path / "v.tif")
    with rasterio.open(tmp_path / "v.tif") as src:
        np.testing.assert_array_equal(src.read(1), values)
        assert src.dtypes == ("float32",)
        assert math.isnan(src.nodata)
        assert src.crs.to_epsg() == 4326
        assert src.units == ("m/yr",)
        assert src.descriptions == ("velocity",)
        tags = src.tags()
    assert tags["AREA_OR_POINT"] == "Area"
    assert (tags["track"], tags["start_date"], tags["end_date"]) == ("A064", "2016-01-08", "2020-12-24")
    assert tags["software"].startswith("mimtpy_cloud ")
    assert json.loads(tags["SOURCES"]) == ATTRS["source"]
    assert json.loads(tags["PROVENANCE"])["reference_point"] == [28.5, 36.25]


def test_layout_is_cloud_optimized_with_tiles_overviews_and_compression(tmp_path: Path) -> None:
    write_cog(field(np.ones((1300, 1100), "float32")).chunk(y=400, x=625), tmp_path / "v.tif")
    with rasterio.open(tmp_path / "v.tif") as src:
        assert src.tags(ns="IMAGE_STRUCTURE")["LAYOUT"] == "COG"
        assert src.block_shapes == [(512, 512)]
        assert src.overviews(1) == [2, 4]
        assert src.compression.value == "DEFLATE"
        assert src.tags(ns="IMAGE_STRUCTURE")["PREDICTOR"] == "3"
    assert (tmp_path / "v.tif").stat().st_size < 100_000


def test_overviews_average_valid_pixels_only(tmp_path: Path) -> None:
    values = np.full((1024, 1024), np.nan, "float32")
    values[::2, ::2], values[1::2, 1::2] = 3.0, 5.0
    write_cog(field(values), tmp_path / "v.tif")
    with rasterio.open(tmp_path / "v.tif", overview_level=0) as src:
        np.testing.assert_array_equal(src.read(1), np.full((512, 512), 4.0))


@settings(max_examples=10)
@given(chunks=chunkings(y=6, x=8))
def test_any_dask_chunks_give_the_same_file_values(
    chunks: dict[str, tuple[int, ...]], tmp_path_factory: pytest.TempPathFactory
) -> None:
    path = tmp_path_factory.mktemp("any") / "v.tif"
    write_cog(field(noise()).chunk(chunks), path)
    np.testing.assert_array_equal(read(path)[0], noise())


def test_bool_is_stored_as_bytes_with_255_as_nodata(tmp_path: Path) -> None:
    valid = np.random.default_rng(1).random((6, 8)) > 0.5
    write_cog(field(valid, name="valid").chunk(y=2), tmp_path / "valid.tif")
    values, profile = read(tmp_path / "valid.tif")
    np.testing.assert_array_equal(values, valid.astype("uint8"))
    assert (profile["dtype"], profile["nodata"]) == ("uint8", 255)


def test_floats_are_stored_in_single_precision_and_integers_as_they_are(tmp_path: Path) -> None:
    values = noise().astype("float64")
    counts = np.arange(48, dtype=">i2").reshape(6, 8)
    write_cog(field(values), tmp_path / "single.tif")
    write_cog(field(counts), tmp_path / "count.tif")
    single, profile = read(tmp_path / "single.tif")
    np.testing.assert_array_equal(single, values.astype("float32"))
    assert profile["dtype"] == "float32"
    count, profile = read(tmp_path / "count.tif")
    np.testing.assert_array_equal(count, counts)
    assert (profile["dtype"], profile["nodata"]) == ("int16", None)


def test_sources_of_a_combined_product_are_all_in_the_tag(tmp_path: Path) -> None:
    sources = [{"url": "a.he5"}, {"url": "b.he5"}]
    write_cog(field(noise()).assign_attrs(sources=sources, source=None), tmp_path / "both.tif")
    write_cog(field(noise()).assign_attrs(source=sources[0]), tmp_path / "one.tif")
    for name, expected in (("both", sources), ("one", sources[:1])):
        with rasterio.open(tmp_path / f"{name}.tif") as src:
            assert json.loads(src.tags()["SOURCES"]) == expected
            assert not {"source", "sources"} & set(json.loads(src.tags()["PROVENANCE"]))


@pytest.mark.parametrize("shape", [(1, 8), (6, 1), (1, 1)])
def test_single_rows_and_columns_of_the_lattice_are_written(shape: tuple[int, int], tmp_path: Path) -> None:
    da = field(noise(), Window(100, 5000, 28000, 6, 8).grid)[: shape[0], : shape[1]]
    with pytest.raises(GridMismatchError, match="pixels_per_degree"):
        write_cog(da, tmp_path / "v.tif")
    write_cog(da.assign_attrs(pixels_per_degree=100), tmp_path / "v.tif")
    with rasterio.open(tmp_path / "v.tif") as src:
        np.testing.assert_array_equal(src.read(1), da.values)
        assert src.transform.to_gdal() == (100.0, 0.01, 0.0, 40.0, 0.0, -0.01)


def test_each_block_is_computed_once_and_written_where_it_belongs(tmp_path: Path) -> None:
    seen: list[tuple[int, int]] = []

    def block(info: Any) -> np.ndarray:
        (rows, cols) = info[None]["array-location"]
        seen.append((rows[0], cols[0]))
        return np.full((rows[1] - rows[0], cols[1] - cols[0]), rows[0] * 1000 + cols[0], "float32")

    data = dask.array.map_blocks(
        lambda block_info=None: block(block_info),
        chunks=((300, 300, 100), (250, 250)),
        dtype="float32",
        meta=np.empty((0, 0), "float32"),
    )
    grid = Grid(10, 50, 0.001, 0.001, 500, 700)
    coords = {"y": grid.y, "x": grid.x, "spatial_ref": ((), 0, {"crs_wkt": "EPSG:4326"})}
    calls: list[tuple[int, int, str]] = []
    write_cog(xr.DataArray(data, coords, ("y", "x")), tmp_path / "v.tif", progress=lambda *call: calls.append(call))
    assert sorted(seen) == [(r, c) for r in (0, 300, 600) for c in (0, 250)]
    with rasterio.open(tmp_path / "v.tif") as src:
        assert (src.read(1, window=Block(250, 300, 250, 300)) == 300_250).all()
    assert calls[-1][0] == calls[-1][1]
    assert [call[0] for call in calls] == list(range(1, len(calls) + 1))


def test_blocks_of_a_cluster_are_gathered_in_this_process(tmp_path: Path) -> None:
    from distributed import Client

    calls: list[tuple[int, int, str]] = []
    with Client(processes=False, n_workers=1, threads_per_worker=2, dashboard_address=None):
        write_cog(field(noise()).chunk(y=2, x=5), tmp_path / "v.tif", progress=lambda *call: calls.append(call))
    np.testing.assert_array_equal(read(tmp_path / "v.tif")[0], noise())
    assert calls == [(n, 6, "blocks") for n in range(1, 7)]


def test_setting_of_several_processes_still_writes_from_this_one(tmp_path: Path) -> None:
    with dask.config.set(scheduler="processes"):
        write_cog(field(noise()).chunk(y=2), tmp_path / "v.tif")
    np.testing.assert_array_equal(read(tmp_path / "v.tif")[0], noise())


def fail(block: np.ndarray) -> np.ndarray:
    raise RuntimeError("no such file on the server")


def test_failing_graph_leaves_neither_product_nor_temporary_file(tmp_path: Path) -> None:
    data = dask.array.zeros((6, 8), chunks=2).map_blocks(fail, dtype="f4", meta=np.empty((0, 0), "f4"))
    with pytest.raises(RuntimeError, match="no such file"):
        write_cog(field(noise()).copy(data=data), tmp_path / "v.tif")
    assert list(tmp_path.iterdir()) == []
    write_cog(field(noise()), tmp_path / "v.tif")
    with pytest.raises(RuntimeError, match="no such file"):
        write_cog(field(noise()).copy(data=data), tmp_path / "v.tif")
    assert [p.name for p in tmp_path.iterdir()] == ["v.tif"]
    np.testing.assert_array_equal(read(tmp_path / "v.tif")[0], noise())


def test_object_store_gets_the_whole_file() -> None:
    fs = fsspec.filesystem("memory")
    write_cog(field(noise()), "memory://test_export_geotiff/v.tif")
    with rasterio.MemoryFile(fs.cat("/test_export_geotiff/v.tif")) as file, file.open() as src:
        np.testing.assert_array_equal(src.read(1), noise())
    fs.rm("/test_export_geotiff", recursive=True)


def test_what_geotiff_cannot_hold_is_refused_with_the_reason(tmp_path: Path) -> None:
    da = field(noise())
    with pytest.raises(SchemaError, match="needs dimensions"):
        write_cog(da.expand_dims("time"), tmp_path / "v.tif")
    with pytest.raises(SchemaError, match="crs_wkt"):
        write_cog(da.drop_vars("spatial_ref"), tmp_path / "v.tif")
    with pytest.raises(SchemaError, match="coordinates y and x"):
        write_cog(da.drop_vars("x"), tmp_path / "v.tif")
    with pytest.raises(SchemaError, match="PROJ"):
        write_cog(da.assign_coords(spatial_ref=((), 0, {"crs_wkt": "flat earth"})), tmp_path / "v.tif")
    with pytest.raises(GridMismatchError, match="evenly spaced"):
        write_cog(da.isel(x=[0, 1, 4]), tmp_path / "v.tif")
    with pytest.raises(SchemaError, match="holds real numbers"):
        write_cog(da.astype(complex), tmp_path / "v.tif")
    assert list(tmp_path.iterdir()) == []


def test_gdal_failure_is_a_storage_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import rasterio.shutil
    from rasterio.errors import RasterioIOError

    def full(*args: object, **options: object) -> None:
        raise RasterioIOError("No space left on device")

    monkeypatch.setattr(rasterio.shutil, "copy", full)
    with pytest.raises(StorageError, match="No space left"):
        write_cog(field(noise()), tmp_path / "v.tif")
    assert list(tmp_path.iterdir()) == []


def test_grid_without_a_code_keeps_its_wkt() -> None:
    crs = CRS.from_proj4("+proj=laea +lat_0=39 +lon_0=33 +datum=WGS84")
    grid = grid_of(field(noise(), Grid(0, 600, 100, 100, 8, 6, crs.to_wkt())))
    assert CRS.from_user_input(grid.crs) == crs


def test_export_writes_each_format_and_lists_them_on_a_wrong_name(tmp_path: Path) -> None:
    ds = field(noise()).to_dataset().assign_attrs(ATTRS)
    ds["velocity"].attrs = {"units": "m/yr"}
    ds["count"] = ds["velocity"].fillna(0).astype("int16")
    ds["series"] = ds["velocity"].expand_dims("time")
    assert export(ds, "cog", tmp_path / "out") == [f"{tmp_path}/out/velocity.tif", f"{tmp_path}/out/count.tif"]
    assert export(ds[["velocity"]], "cog", tmp_path / "one.tif") == [f"{tmp_path}/one.tif"]
    with rasterio.open(tmp_path / "one.tif") as src:
        assert src.tags()["track"] == "A064"
    assert export(ds["velocity"], "zarr", tmp_path / "v.zarr") == [f"{tmp_path}/v.zarr"]
    with xr.open_zarr(tmp_path / "v.zarr") as back:
        np.testing.assert_array_equal(back["velocity"].values, noise())
    with pytest.raises(SchemaError, match="format must be one of cog, gbis, geodmod"):
        export(ds, "shapefile", tmp_path / "x")
    with pytest.raises(SchemaError, match="got velocity, count; name a folder"):
        export(ds, "cog", tmp_path / "x.tif")
    with pytest.raises(SchemaError, match="got none"):
        export(ds[["series"]], "cog", tmp_path / "x")
