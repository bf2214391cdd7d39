"""Zarr products: round trip, chunks, provenance, and that they appear whole or not at all."""

import json
from pathlib import Path

import dask
import dask.array as da
import fsspec
import numpy as np
import pytest
import xarray as xr
import zarr
from hypothesis import given, settings
from lazy import no_compute
from pyproj import CRS
from strategies import chunkings

from mimtpy_cloud.errors import SchemaError, StorageError
from mimtpy_cloud.exports.publish import publish_bytes, staged
from mimtpy_cloud.exports.zarr import write_zarr
from mimtpy_cloud.plan.grid import Window


def product(ny: int = 7, nx: int = 9) -> xr.Dataset:
    window = Window(100, 5400, 21000, ny, nx)
    rng = np.random.default_rng(2)
    velocity = rng.normal(0, 0.01, (2, ny, nx)).astype("float32")
    velocity[:, :2] = np.nan
    ds = xr.Dataset(
        {
            "velocity": (("track", "y", "x"), velocity, {"units": "m/yr", "long_name": "velocity"}),
            "valid": (("y", "x"), rng.random((ny, nx)) > 0.5, {"units": "1"}),
            "count": (("y", "x"), rng.integers(0, 60, (ny, nx)).astype("int16"), {"units": "1"}),
        },
        coords={
            "y": window.y,
            "x": window.x,
            "track": ["A064", "D071"],
            "time": np.array(["2020-01-01", "2020-01-13"], "datetime64[ns]"),
            "spatial_ref": ((), 0, {"crs_wkt": CRS.from_epsg(4326).to_wkt(), "GeoTransform": "0 1 0 0 0 -1"}),
        },
        attrs={"track": "A064", "reference_point": (28.5, np.float32(36.25)), "mintpy": {"HEADING": np.float64(-12.5)}},
    )
    ds["velocity"].encoding = {"_FillValue": 0, "chunks": (1, 1, 1), "source": "somewhere"}
    return ds


def leftovers(folder: Path) -> list[str]:
    return sorted(p.name for p in folder.iterdir())


def test_round_trip_keeps_values_coordinates_and_nested_attributes(tmp_path: Path) -> None:
    ds = product()
    write_zarr(ds.chunk(y=4), tmp_path / "out" / "velocity.zarr")
    with xr.open_zarr(tmp_path / "out" / "velocity.zarr", decode_coords="all") as back:
        xr.testing.assert_equal(back.load(), ds)
        assert back["valid"].dtype == bool
        assert back["count"].dtype == np.int16
        assert back["velocity"].attrs == ds["velocity"].attrs
        assert back.attrs["mintpy"] == {"HEADING": -12.5}
        assert back.attrs["reference_point"] == [28.5, 36.25]
        assert back.sel(track="D071")["velocity"].shape == (7, 9)
    with xr.open_zarr(tmp_path / "out" / "velocity.zarr") as plain:
        assert "spatial_ref" in plain.coords
        assert plain["velocity"].attrs["grid_mapping"] == "spatial_ref"
        assert plain["spatial_ref"].attrs["GeoTransform"] == "30.0 0.01 0.0 36.0 0.0 -0.01"


def test_store_is_plain_zarr_v3_with_lz4_bitshuffle_and_nan_fill(tmp_path: Path) -> None:
    write_zarr(product().chunk(y=4), tmp_path / "v.zarr")
    root = json.loads((tmp_path / "v.zarr" / "zarr.json").read_text())
    assert root["zarr_format"] == 3
    velocity = root["consolidated_metadata"]["metadata"]["velocity"]
    assert velocity["chunk_grid"]["configuration"]["chunk_shape"] == [2, 4, 9]
    assert velocity["fill_value"] == "NaN"
    assert velocity["codecs"][1]["configuration"]["shuffle"] == "bitshuffle"
    assert velocity["codecs"][1]["configuration"]["cname"] == "lz4"
    assert root["consolidated_metadata"]["metadata"]["track"]["data_type"] == "string"


def test_written_store_says_when_and_by_what_and_keeps_older_history(tmp_path: Path) -> None:
    write_zarr(product().assign_attrs(history="made by hand"), tmp_path / "v.zarr")
    attrs = dict(zarr.open_group(tmp_path / "v.zarr", mode="r").attrs)
    assert str(attrs["software"]).startswith("mimtpy_cloud ")
    assert str(attrs["created"]).endswith("+00:00")
    first, second = str(attrs["history"]).splitlines()
    assert first == "made by hand"
    assert "write_zarr" in second


@settings(max_examples=10)
@given(chunks=chunkings(y=7, x=9, track=2))
def test_any_dask_chunks_give_the_same_values_on_regular_chunks(
    chunks: dict[str, tuple[int, ...]], tmp_path_factory: pytest.TempPathFactory
) -> None:
    ds = product()
    path = tmp_path_factory.mktemp("any") / "v.zarr"
    write_zarr(ds.chunk(chunks), path)
    with xr.open_zarr(path, decode_coords="all") as back:
        xr.testing.assert_equal(back.load(), ds)
        assert back["velocity"].encoding["chunks"][1] == max(chunks["y"])


def test_lazy_values_without_dimension_are_written(tmp_path: Path) -> None:
    blocks = da.ones((4, 6), chunks=(2, 3))
    ds = xr.Dataset({"offset": blocks.sum(), "count": blocks.sum().astype(np.int32), "map": (("y", "x"), blocks)})
    write_zarr(ds, tmp_path / "scalar.zarr")
    result = xr.open_zarr(tmp_path / "scalar.zarr")
    assert (float(result["offset"]), int(result["count"])) == (24.0, 24)
    assert (result["map"] == 1).all()


def test_building_the_encoding_computes_nothing(tmp_path: Path) -> None:
    from mimtpy_cloud.exports.zarr import _encoded

    with no_compute():
        lazy = _encoded(product().chunk(y=(3, 4), x=(1, 5, 3)))
    assert lazy["velocity"].encoding["chunks"][2] == 5


def failing(ds: xr.Dataset) -> xr.Dataset:
    def fail(block: np.ndarray) -> np.ndarray:
        raise RuntimeError("no such file on the server")

    return ds.assign(
        velocity=ds["velocity"]
        .chunk(y=2)
        .copy(data=ds.chunk(y=2)["velocity"].data.map_blocks(fail, dtype="f4", meta=np.empty((0, 0, 0), "f4")))
    )


def test_failing_graph_leaves_no_product_and_no_temporary_folder(tmp_path: Path) -> None:
    with pytest.raises(RuntimeError, match="no such file"):
        write_zarr(failing(product()), tmp_path / "v.zarr")
    assert leftovers(tmp_path) == []


@pytest.mark.parametrize("lazy", [True, False])
def test_a_required_variable_without_data_keeps_the_product_from_being_published(tmp_path: Path, lazy: bool) -> None:
    ds, url = product(), tmp_path / "velocity.zarr"
    write_zarr(ds, url, required=["velocity"])
    empty = ds.assign(velocity=ds["velocity"] * np.nan)
    with pytest.raises(SchemaError, match="velocity would have no pixel with data; nothing was written to"):
        write_zarr(empty.chunk(y=3) if lazy else empty, url, required=["velocity"])
    with xr.open_zarr(url) as back:
        assert back["velocity"].notnull().any()
    assert leftovers(tmp_path) == ["velocity.zarr"]


def test_failing_graph_keeps_the_product_that_was_there(tmp_path: Path) -> None:
    ds = product()
    write_zarr(ds, tmp_path / "v.zarr")
    with pytest.raises(RuntimeError, match="no such file"):
        write_zarr(failing(ds), tmp_path / "v.zarr")
    assert leftovers(tmp_path) == ["v.zarr"]
    with xr.open_zarr(tmp_path / "v.zarr") as back:
        np.testing.assert_array_equal(back["velocity"].values, ds["velocity"].values)


def test_a_product_can_be_replaced_by_what_is_computed_from_it(tmp_path: Path) -> None:
    ds = product()
    write_zarr(ds, tmp_path / "v.zarr")
    with xr.open_zarr(tmp_path / "v.zarr", decode_coords="all") as back:
        twice = back.assign(velocity=back["velocity"] * 2).drop_vars("count")
        write_zarr(twice, tmp_path / "v.zarr")
    with xr.open_zarr(tmp_path / "v.zarr") as back:
        np.testing.assert_array_equal(back["velocity"].values, 2 * ds["velocity"].values)
        assert "count" not in back
    assert not (tmp_path / "v.zarr" / "count").exists()
    assert leftovers(tmp_path) == ["v.zarr"]


def test_a_folder_of_something_else_is_never_replaced(tmp_path: Path) -> None:
    (tmp_path / "thesis").mkdir()
    (tmp_path / "thesis" / "chapter1.tex").write_text("precious")
    with pytest.raises(StorageError, match="would be lost"):
        write_zarr(product(), tmp_path / "thesis")
    with pytest.raises(StorageError, match="would be lost"):
        publish_bytes(b"png", tmp_path / "thesis")
    assert (tmp_path / "thesis" / "chapter1.tex").read_text() == "precious"


def test_a_file_is_never_replaced_by_a_store(tmp_path: Path) -> None:
    fs = fsspec.filesystem("memory")
    fs.pipe("/test_export_zarr/thesis.tex", b"precious")
    (tmp_path / "thesis.tex").write_text("precious")
    for url in (tmp_path / "thesis.tex", "memory://test_export_zarr/thesis.tex"):
        with pytest.raises(StorageError, match="is a file and would be lost"):
            write_zarr(product(), url)
    assert leftovers(tmp_path) == ["thesis.tex"]
    assert (tmp_path / "thesis.tex").read_text() == fs.cat("/test_export_zarr/thesis.tex").decode() == "precious"
    fs.rm("/test_export_zarr", recursive=True)


def test_object_store_product_is_replaced_whole_with_its_root_written_last() -> None:
    fs = fsspec.filesystem("memory")
    url = "memory://test_export_zarr/v.zarr"
    write_zarr(product().chunk(y=2), url)
    write_zarr(product().drop_vars("count").chunk(y=4), url)
    with xr.open_zarr(url, decode_coords="all") as back:
        xr.testing.assert_equal(back.load(), product().drop_vars("count"))
    assert not fs.find("/test_export_zarr/v.zarr/count")
    root = fs.created("/test_export_zarr/v.zarr/zarr.json")
    assert all(root >= fs.created(path) for path in fs.find("/test_export_zarr/v.zarr"))
    fs.rm("/test_export_zarr", recursive=True)


def test_failing_graph_leaves_an_object_store_product_alone() -> None:
    fs = fsspec.filesystem("memory")
    url = "memory://test_export_zarr/kept.zarr"
    write_zarr(product(), url)
    before = fs.find("/test_export_zarr/kept.zarr")
    with pytest.raises(RuntimeError, match="no such file"):
        write_zarr(failing(product()), url)
    assert fs.find("/test_export_zarr/kept.zarr") == before
    fs.rm("/test_export_zarr", recursive=True)


@pytest.mark.parametrize("rows", [2, -1])
def test_progress_counts_up_to_the_total_in_the_calling_thread(tmp_path: Path, rows: int) -> None:
    import threading

    calls: list[tuple[int, int, str, int]] = []
    with dask.config.set(scheduler="threads", num_workers=2):
        write_zarr(
            product().chunk(y=rows),
            tmp_path / "v.zarr",
            progress=lambda done, total, unit: calls.append((done, total, unit, threading.get_ident())),
        )
    done = [call[0] for call in calls]
    assert done == list(range(1, calls[-1][1] + 1))
    assert {call[3] for call in calls} == {threading.get_ident()}
    assert {call[2] for call in calls} == {"chunks"}


def test_each_block_is_computed_once(tmp_path: Path) -> None:
    seen: list[int] = []

    def count(block: np.ndarray) -> np.ndarray:
        seen.append(block.size)
        return block

    data = da.ones((8, 6), chunks=(4, 6)).map_blocks(count, dtype=float, meta=np.empty((0, 0)))
    write_zarr(xr.Dataset({"v": (("y", "x"), data)}), tmp_path / "v.zarr")
    assert seen == [24, 24]


def test_an_attribute_that_json_cannot_hold_is_named(tmp_path: Path) -> None:
    with pytest.raises(SchemaError, match="got object"):
        write_zarr(product().assign_attrs(odd=object()), tmp_path / "v.zarr")
    assert leftovers(tmp_path) == []


def test_empty_dataset_and_unknown_protocol_are_refused(tmp_path: Path) -> None:
    with pytest.raises(SchemaError, match="empty dataset"):
        write_zarr(xr.Dataset(), tmp_path / "v.zarr")
    with pytest.raises(StorageError, match="nosuch"):
        write_zarr(product(), "nosuch://bucket/v.zarr")


def test_a_place_that_cannot_be_made_is_a_storage_error(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("x")
    with pytest.raises(StorageError, match="cannot write"):
        write_zarr(product(), tmp_path / "file" / "v.zarr")


def test_failed_upload_is_a_storage_error_and_removes_the_temporary_folder(monkeypatch: pytest.MonkeyPatch) -> None:
    from fsspec.implementations.memory import MemoryFileSystem

    def refuse(self: MemoryFileSystem, *args: object, **kwargs: object) -> None:
        raise PermissionError("access denied")

    monkeypatch.setattr(MemoryFileSystem, "pipe_file", refuse)
    with pytest.raises(StorageError, match="access denied"), staged("memory://test_export_zarr/a.png") as path:
        path.write_bytes(b"x")
    assert not path.parent.exists()


def test_lazy_text_and_dates_are_written(tmp_path):
    values = {"why": da.from_array(np.array(["a", ""]), chunks=1), "day": da.from_array(np.array(["2020-01-01"] * 2, "M8[D]"))}  # fmt: skip # noqa: E501
    ds = xr.Dataset({name: ("model", value) for name, value in values.items()})
    write_zarr(ds, tmp_path / "t.zarr")
    with xr.open_zarr(tmp_path / "t.zarr") as found:
        assert [str(text) for text in found["why"].values] == ["a", ""]
        assert (found["day"].values == np.datetime64("2020-01-01")).all()
