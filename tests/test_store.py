"""Band stores: what we write is plain Zarr v3, and what we read is what was written."""

import json
import math

import numpy as np
import pytest
import rioxarray  # noqa: F401
import xarray as xr
import zarr
from bandstores import DATES, random_values, write_band
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from pyproj import CRS

from mimtpy_cloud.codec import decode, encode
from mimtpy_cloud.errors import StorageError
from mimtpy_cloud.io.storage import open_storage
from mimtpy_cloud.io.store import ArraySpec, BandArray, ShardWriter, check_object
from mimtpy_cloud.plan.grid import Window
from mimtpy_cloud.schema import VARIABLES

N = 150  # two inner chunks a shard, one shard a degree
WINDOW = Window(N, 50 * N, 280 * N, 2 * N, N)
LONG = tuple(map(str, np.arange("2020-01-03", "2021-12-31", 12, "datetime64[D]")[:35]))  # two chunks of 18, one padded


@pytest.fixture(scope="module")
def band(tmp_path_factory):
    """A store of every kind of array, and its values."""
    storage = open_storage(tmp_path_factory.mktemp("store"))
    arrays = {
        "displacement": random_values((len(LONG), *WINDOW.shape)),
        "height": random_values(WINDOW.shape, seed=1),
        "valid": random_values(WINDOW.shape, bool, seed=2),
        "is_water": np.zeros(WINDOW.shape, bool),
    }
    baseline = np.arange(len(LONG), dtype="float32")
    found = write_band(
        storage,
        "S/A064/39/x.zarr",
        WINDOW,
        arrays,
        dates=LONG,
        per_date={"perpendicular_baseline": baseline},
        attrs={"track": "A064", "mintpy": {"ORBIT": "ASC"}},
    )
    return storage, arrays, found


# ---- plain Zarr v3


@pytest.mark.parametrize("name", ["displacement", "height", "valid", "is_water"])
def test_zarr_python_reads_every_value(band, name):
    storage, arrays, _ = band
    group = zarr.open_group(storage.zarr_store("S/A064/39/x.zarr", read_only=True), mode="r", zarr_format=3)
    np.testing.assert_array_equal(group[name][...], arrays[name])
    assert group[name].dtype == arrays[name].dtype
    assert group[name].metadata.dimension_names == VARIABLES[name].dims


def test_xarray_reads_values_coordinates_dates_and_crs(band):
    storage, arrays, _ = band
    with xr.open_zarr(f"{storage.url}/S/A064/39/x.zarr", zarr_format=3, chunks=None) as ds:
        for name, values in arrays.items():
            np.testing.assert_array_equal(ds[name], values)
            assert ds[name].dtype == values.dtype
            assert ds[name].attrs["units"] == VARIABLES[name].units
        np.testing.assert_array_equal(ds.x, WINDOW.x)
        np.testing.assert_array_equal(ds.y, WINDOW.y)
        np.testing.assert_array_equal(ds.time, np.array(LONG, "datetime64[ns]"))
        np.testing.assert_array_equal(ds.perpendicular_baseline, np.arange(len(LONG)))
        assert ds.perpendicular_baseline.dims == ("time",)
        assert "spatial_ref" in ds.coords
        assert CRS(ds.rio.crs) == CRS("EPSG:4326")
        assert ds.height.rio.bounds() == pytest.approx(WINDOW.bounds)
        assert ds.attrs["mintpy"] == {"ORBIT": "ASC"}


def test_xarray_reads_from_the_storage_itself_and_by_blocks(band):
    storage, arrays, _ = band
    with xr.open_zarr(storage.zarr_store("S/A064/39/x.zarr", read_only=True), zarr_format=3) as ds:
        np.testing.assert_array_equal(ds.displacement[20:30, 100:200], arrays["displacement"][20:30, 100:200])


def test_metadata_are_consolidated_strict_json_and_name_the_documented_codecs(band):
    storage, _, _ = band

    def refuse(constant):
        raise AssertionError(f"{constant} is not JSON")

    group = json.loads(storage.read("S/A064/39/x.zarr/zarr.json"), parse_constant=refuse)
    members = group["consolidated_metadata"]["metadata"]
    names = {"displacement", "height", "valid", "is_water", "x", "y", "time", "perpendicular_baseline", "spatial_ref"}
    assert set(members) == names
    for name in names:
        own = json.loads(storage.read(f"S/A064/39/x.zarr/{name}/zarr.json"), parse_constant=refuse)
        assert own["zarr_format"] == 3
        assert own["shape"] == members[name]["shape"]
    shard = members["displacement"]
    assert shard["fill_value"] == "NaN"
    assert shard["chunk_grid"]["configuration"]["chunk_shape"] == [36, 150, 150]
    (codec,) = shard["codecs"]
    assert codec["name"] == "sharding_indexed"
    assert codec["configuration"]["chunk_shape"] == [18, 75, 75]
    assert codec["configuration"]["index_location"] == "end"
    blosc = {"cname": "lz4", "clevel": 5, "shuffle": "bitshuffle", "typesize": 4, "blocksize": 262144}
    assert codec["configuration"]["codecs"][-2:] == [{"name": "blosc", "configuration": blosc}, {"name": "crc32c"}]
    (codec,) = members["valid"]["codecs"]
    assert codec["configuration"]["chunk_shape"] == [75, 150]
    assert members["valid"]["fill_value"] is False


def test_chunks_without_data_are_not_written(band):
    storage, _, _ = band
    assert storage.children("S/A064/39/x.zarr/is_water") == ["zarr.json"]
    full = open_storage(storage.url).read("S/A064/39/x.zarr/displacement/c/0/1/0")
    half = open_storage(storage.url).read("S/A064/39/x.zarr/displacement/c/0/0/0")
    assert len(half) < 0.7 * len(full)


def test_our_own_reader_reads_what_zarr_python_wrote(tmp_path):
    spec = ArraySpec("displacement", N, len(LONG))
    window = Window(N, 50 * N, 280 * N, N, N)
    storage = open_storage(tmp_path)
    (array,) = write_band(
        storage, "b", window, {"displacement": np.full((35, N, N), np.nan, "f4")}, dates=LONG
    ).values()
    values = random_values((35, N, N))
    zarr.open_group(storage.zarr_store("b"), mode="a", zarr_format=3)["displacement"][...] = values
    np.testing.assert_array_equal(read(array, window, slice(0, 35)), values)
    assert check_object(storage, "b/displacement/c/0/0/0", spec) == ""


# ---- reading windows


def read(array, part, dates=slice(0)):
    shape = (*((dates.stop - dates.start,) if array.spec.dates else ()), *part.shape)
    out = np.full(shape, 7, array.spec.dtype)
    array.read_into(out, part, dates)
    return out


@st.composite
def parts(draw, window):
    top, left = draw(st.integers(0, window.ny - 1)), draw(st.integers(0, window.nx - 1))
    ny, nx = draw(st.integers(1, window.ny - top)), draw(st.integers(1, window.nx - left))
    return Window(window.n, window.row + top, window.col + left, ny, nx)


@given(parts(WINDOW), st.integers(0, 34), st.data())
def test_any_window_and_dates_equal_numpy(band, part, first, data):
    _, arrays, found = band
    dates = slice(first, data.draw(st.integers(first + 1, 35)))
    rows, cols = part.slices_in(WINDOW)
    expected = arrays["displacement"][dates, rows, cols]
    np.testing.assert_array_equal(read(found["displacement"], part, dates), expected)
    for name in ("height", "valid", "is_water"):
        np.testing.assert_array_equal(read(found[name], part), arrays[name][rows, cols])


def test_a_store_of_several_shards_a_degree_reads_by_place(tmp_path):
    window = Window(750, 50 * 750, 280 * 750 + 375, 750, 750)
    values = random_values((3, 750, 750))
    (array,) = write_band(open_storage(tmp_path), "b", window, {"displacement": values}, dates=DATES).values()
    part = Window(750, window.row + 370, window.col + 300, 10, 400)
    np.testing.assert_array_equal(read(array, part, slice(1, 3)), values[1:3, 370:380, 300:700])


def test_reading_writes_into_a_view(band):
    _, arrays, found = band
    whole = np.full((10, 40, 60), 7, "float32")
    part = Window(N, WINDOW.row + 140, WINDOW.col + 100, 20, 30)
    found["displacement"].read_into(whole[3:6, 10:30, 20:50], part, slice(0, 3))
    np.testing.assert_array_equal(whole[3:6, 10:30, 20:50], arrays["displacement"][:3, 140:160, 100:130])
    whole[3:6, 10:30, 20:50] = 7
    assert (whole == 7).all()


def test_a_missing_chunk_is_no_data_but_a_missing_store_is_an_error(tmp_path):
    storage = open_storage(tmp_path)
    window = Window(N, 50 * N, 280 * N, N, N)
    arrays = {
        "displacement": np.full((3, N, N), np.nan, "f4"),
        "height": np.full((N, N), np.nan, "f4"),
        "valid": np.zeros((N, N), bool),
    }
    found = write_band(storage, "b", window, arrays, dates=DATES)
    for name, array in found.items():
        np.testing.assert_array_equal(read(array, window, slice(0, 3)), arrays[name])
    for name, array in found.items():
        gone = BandArray(array.url, f"removed/{name}", array.spec, array.window)
        with pytest.raises(StorageError, match="is gone, perhaps removed by gc; open the track again"):
            read(gone, window, slice(0, 3))


def test_a_shard_that_goes_while_it_is_read_is_an_error(tmp_path):
    storage = open_storage(tmp_path)
    window = Window(N, 50 * N, 280 * N, N, N)
    values = random_values((3, N, N))
    (array,) = write_band(storage, "b", window, {"displacement": values}, dates=DATES).values()
    np.testing.assert_array_equal(read(array, window, slice(0, 3)), values)
    storage.remove("b")
    with pytest.raises(StorageError, match="was removed while it was read"):
        read(array, window, slice(0, 3))


# ---- damage


def damaged(data, how):
    if how == "index":
        return data[:-10] + bytes([data[-10] ^ 1]) + data[-9:]
    if how == "checksum":
        return data[:-1] + bytes([data[-1] ^ 1])
    return {"cut": data[: len(data) // 2], "short": data[:7], "empty": b"", "longer": data + b"0"}[how]


@pytest.mark.parametrize("how", ["index", "checksum", "cut", "short", "empty", "longer"])
@pytest.mark.parametrize("name", ["displacement", "height", "valid"])
def test_a_damaged_shard_is_found_and_never_read(tmp_path, name, how):
    storage = open_storage(tmp_path)
    window = Window(N, 50 * N, 280 * N, N, N)
    dates = DATES if name == "displacement" else ()
    shape = (*((len(dates),) if dates else ()), N, N)
    values = random_values(shape, VARIABLES[name].dtype)
    (array,) = write_band(storage, "b", window, {name: values}, dates=dates).values()
    key = f"b/{name}/c/{'0/' if dates else ''}0/0"
    assert check_object(storage, key, array.spec) == ""
    storage.write(key, damaged(storage.read(key), how))
    assert check_object(storage, key, array.spec) == "the shard index is damaged; ingest the source again"
    with pytest.raises(StorageError, match=f"{key} is damaged: the shard index is damaged; ingest the source again"):
        read(array, window, slice(0, 3))


def test_a_chunk_of_another_size_is_not_read_into_this_one():
    small = encode(np.zeros((2, 3), "float32"))
    with pytest.raises(ValueError, match="not one whole chunk of 28"):
        decode(small, np.empty(7, "float32"))
    with pytest.raises(ValueError, match="not one whole chunk of 20"):
        decode(small, np.empty(5, "float32"))


def test_a_chunk_whose_bytes_were_changed_is_refused_or_differs_but_never_overruns():
    values = np.round(np.random.default_rng(0).normal(size=(20, 20)), 1).astype("float32")
    good = encode(values)
    rng = np.random.default_rng(1)
    refused = 0
    for _ in range(200):
        bad = bytearray(good)
        bad[rng.integers(0, len(bad))] ^= 1 << rng.integers(0, 8)
        guarded = np.full(values.size + 64, 7, "float32")
        try:
            decode(bytes(bad), guarded[: values.size])
        except ValueError:
            refused += 1
        assert (guarded[values.size :] == 7).all()
    assert refused > 0


def test_an_object_that_is_not_there_is_no_damage(tmp_path):
    storage = open_storage(tmp_path)
    assert check_object(storage, "none", ArraySpec("displacement", N, 3)) == ""
    assert check_object(storage, "none", ArraySpec("valid", N)) == ""


def test_a_storage_that_fails_is_reported_as_such_and_not_as_damage():
    class Broken:
        def read_tail(self, key, length):
            raise StorageError("no permission for it")

    assert check_object(Broken(), "a", ArraySpec("valid", N)) == "no permission for it"


# ---- chunks


@given(hnp.arrays(st.sampled_from(["float32", "bool"]), hnp.array_shapes(min_dims=2, max_dims=3, max_side=20)))
def test_encoding_is_lossless_to_the_bit(block):
    out = np.empty_like(block)
    assert decode(encode(block), out) is out
    assert out.tobytes() == block.tobytes()


@given(st.sampled_from([125, 250, 1250, 5000, 100, 1200, 150]), st.integers(0, 200))
def test_chunks_of_an_array_divide_its_tiles(n, dates):
    spec = ArraySpec("displacement", n, dates)
    assert len(spec.tile) == len(spec.chunk) == (3 if dates else 2)
    assert all(t % c == 0 for t, c in zip(spec.tile, spec.chunk, strict=True))
    assert math.prod(spec.chunks_per_shard) * math.prod(spec.chunk) == math.prod(spec.tile)
    assert n % spec.tile[-1] == 0
    assert spec.tile[-1] == ArraySpec("valid", n).tile[-1]


def test_a_shard_without_chunks_is_still_whole(tmp_path):
    storage, spec = open_storage(tmp_path), ArraySpec("displacement", N, 3)
    with storage.writer("c/0/0/0") as file:
        ShardWriter(file, spec).finish()
    assert check_object(storage, "c/0/0/0", spec) == ""
    assert len(storage.read("c/0/0/0")) == 4 * 16 + 4
