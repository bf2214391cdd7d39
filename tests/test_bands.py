"""All bands of a track as one array."""

import pickle
from itertools import accumulate

import dask.array as da
import numpy as np
import pytest
from bandstores import DATES, random_values, write_band
from hypothesis import given
from hypothesis import strategies as st
from lazy import no_compute

from mimtpy_cloud.io import store
from mimtpy_cloud.io.bands import TrackArray
from mimtpy_cloud.io.storage import LocalStorage, open_storage
from mimtpy_cloud.io.store import ArraySpec
from mimtpy_cloud.plan.chunks import tile_sides
from mimtpy_cloud.plan.grid import Window

N = 50  # one chunk a degree
STORED = Window(N, 50 * N, 280 * N, 4 * N, 3 * N)  # bands 39 to 36
GAP = 38  # a band that has no store
WINDOW = Window(N, STORED.row - 13, STORED.col - 7, STORED.ny + 40, STORED.nx + 20)  # wider than the bands
DTYPES = {"displacement": "float32", "height": "float32", "valid": "bool"}


def make_track(folder):
    """Values over `WINDOW`, and the arrays that read them from three stores and a gap."""
    storage = open_storage(folder)
    values, found = {}, {name: [] for name in DTYPES}
    for name, dtype in DTYPES.items():
        leading = (len(DATES),) if name == "displacement" else ()
        values[name] = np.full((*leading, *WINDOW.shape), np.nan if dtype == "float32" else False, dtype)
    for band in (36, 39, 37):  # any order
        window = STORED.band(band)
        arrays = {
            name: random_values((*((len(DATES),) if name == "displacement" else ()), *window.shape), dtype, seed=band)
            for name, dtype in DTYPES.items()
        }
        for name, array in write_band(storage, f"{band}/x.zarr", window, arrays, dates=DATES).items():
            found[name].append(array)
            values[name][(..., *window.slices_in(WINDOW))] = arrays[name]
    specs = {name: ArraySpec(name, N, len(DATES) if name == "displacement" else 0) for name in DTYPES}
    return values, {name: TrackArray(specs[name], WINDOW, tuple(found[name])) for name in DTYPES}


@pytest.fixture(scope="module")
def track(tmp_path_factory):
    return make_track(tmp_path_factory.mktemp("track"))


def lazy(array):
    return da.from_array(
        array, chunks=array.chunks, asarray=False, fancy=False, inline_array=True, meta=np.empty((0,) * array.ndim)
    )


@st.composite
def keys(draw, shape):
    """Slices of any step and direction, and integers."""
    steps = st.builds(slice, st.none(), st.none(), st.sampled_from([-3, -1, 2, None]))
    return tuple(draw(st.one_of(st.slices(n), steps, st.integers(-n, n - 1))) for n in shape)


@pytest.mark.parametrize("name", DTYPES)
@given(data=st.data())
def test_any_slice_equals_one_numpy_array(track, name, data):
    values, arrays = track
    key = data.draw(keys(arrays[name].shape))
    found = arrays[name][key]
    np.testing.assert_array_equal(found, values[name][key])
    assert np.asarray(found).dtype == DTYPES[name]


@pytest.mark.parametrize("name", DTYPES)
@given(data=st.data())
def test_any_slice_of_the_lazy_array_equals_numpy(track, name, data):
    values, arrays = track
    key = data.draw(keys(arrays[name].shape))
    with no_compute():
        selected = lazy(arrays[name])[key]
    np.testing.assert_array_equal(selected.compute(scheduler="sync"), values[name][key])


def test_pixels_outside_the_bands_and_in_a_gap_are_no_data(track):
    _, arrays = track
    north, gap = np.s_[: STORED.row - WINDOW.row], STORED.band(GAP).slices_in(WINDOW)
    assert np.isnan(arrays["displacement"][:, north, :]).all()
    assert np.isnan(arrays["height"][gap]).all()
    assert not arrays["valid"][gap].any()
    everything = arrays["valid"][:, :]
    assert everything.any()
    assert not everything[:, : STORED.col - WINDOW.col].any()


def test_an_index_out_of_range_is_an_error(track):
    _, arrays = track
    with pytest.raises(IndexError):
        arrays["height"][0, WINDOW.nx]


@given(
    st.sampled_from([50, 125, 150, 1250]),
    st.integers(0, 4),
    st.tuples(st.integers(0, 3000), st.integers(0, 3000), st.integers(1, 3000), st.integers(1, 3000)),
)
def test_block_borders_are_global_multiples_so_that_tracks_share_them(n, dates, place):
    spec = ArraySpec("displacement", n, dates)
    window = Window(n, *place)
    array = TrackArray(spec, window, ())
    *times, rows, cols = array.chunks
    assert times == ([(dates,)] if dates else [])
    for sizes, first, total, side in (
        (rows, window.row, window.ny, spec.tile[-2]),
        (cols, window.col, window.nx, spec.tile[-1]),
    ):
        borders = list(accumulate(sizes, initial=first))
        assert sum(sizes) == total
        assert min(sizes) > 0
        assert all(border % side == 0 for border in borders[1:-1])
        assert max(sizes) <= side


@given(st.sampled_from([50, 125, 150, 250, 1250]), st.integers(0, 400))
def test_a_block_is_a_shard_or_for_a_long_series_a_row_of_inner_chunks(n, dates):
    spec = ArraySpec("displacement", n, dates)
    inner, side = tile_sides(n)
    array = TrackArray(spec, Window(n, 0, 0, 2 * side, 2 * side), ())
    *_, rows, cols = array.chunks
    assert cols == (side, side)
    height = inner if np.prod(spec.tile) * 4 > 32 << 20 else side
    assert rows == (height,) * (2 * side // height)  # divides a shard, so that all tracks share borders


def test_pickles_to_little_and_reads_the_same(track):
    values, arrays = track
    for name, array in arrays.items():
        data = pickle.dumps(array)
        assert len(data) < 1500
        np.testing.assert_array_equal(pickle.loads(data)[(slice(None),) * array.ndim], values[name])


# ---- what is read


@pytest.fixture
def reads(monkeypatch, tmp_path):
    """Arrays of a store that nobody has read yet, and the keys that are read from it, with their bytes."""
    _, arrays = make_track(tmp_path)
    log = []

    def logged(name, count):
        original = getattr(LocalStorage, name)

        def wrapper(self, key, *arguments):
            log.append((name, key, count(*arguments)))
            return original(self, key, *arguments)

        monkeypatch.setattr(LocalStorage, name, wrapper)

    logged("read", lambda: None)
    logged("read_tail", lambda length: length)
    logged("read_ranges", len)
    return arrays, log


def test_building_and_describing_reads_nothing(reads):
    arrays, log = reads
    for array in arrays.values():
        assert lazy(array).shape == array.shape
        repr(array)
    assert log == []


def test_a_window_reads_only_its_own_shards_each_once(reads):
    arrays, log = reads
    part = Window(N, STORED.row + 2 * N + 5, STORED.col + N + 5, 10, 10)  # inside one shard of band 37
    rows, cols = part.slices_in(WINDOW)
    arrays["displacement"][:, rows, cols]
    key = "37/x.zarr/displacement/c/0/0/1"
    assert log == [("read_tail", key, 20), ("read_ranges", key, 1)]
    log.clear()
    arrays["displacement"][1:2, rows, cols]  # the index is known by now
    assert log == [("read_ranges", key, 1)]
    log.clear()
    arrays["valid"][rows, cols]
    key = "37/x.zarr/valid/c/0/1"
    assert log == [("read_tail", key, 20), ("read_ranges", key, 1)]


def test_a_window_across_two_bands_reads_one_object_of_each(reads):
    arrays, log = reads
    part = Window(N, STORED.row + 3 * N - 5, STORED.col + 2 * N + 5, 10, 10)
    arrays["height"][part.slices_in(WINDOW)]
    assert sorted({key for _, key, _ in log}) == ["36/x.zarr/height/c/0/2", "37/x.zarr/height/c/0/2"]


def test_a_window_of_no_band_and_an_empty_one_read_nothing(reads):
    arrays, log = reads
    assert np.isnan(arrays["height"][STORED.band(GAP).slices_in(WINDOW)]).all()
    assert arrays["height"][5:5, :].shape == (0, WINDOW.nx)
    assert arrays["displacement"][2:1, :, 3:4].shape == (0, WINDOW.ny, 1)
    assert log == []


def test_only_the_inner_chunks_of_the_window_and_dates_are_read(monkeypatch, tmp_path):
    n, dates = 150, tuple(map(str, np.arange("2020-01-01", "2021-12-31", 12, "datetime64[D]")[:40]))
    window = Window(n, 50 * n, 280 * n, n, n)
    values = np.random.default_rng(0).normal(size=(40, n, n)).astype("float32")
    (band,) = write_band(open_storage(tmp_path), "x", window, {"displacement": values}, dates=dates).values()
    array = TrackArray(band.spec, window, (band,))
    assert band.spec.chunk == (20, 75, 75)
    decoded = []
    decode = store.decode
    monkeypatch.setattr(store, "decode", lambda data, out: (decoded.append(out.shape), decode(data, out))[1])
    np.testing.assert_array_equal(array[25:30, 80:90, 10:20], values[25:30, 80:90, 10:20])
    assert decoded == [(20, 75, 75)]
    decoded.clear()
    np.testing.assert_array_equal(array[19:21, 70:80, 70:80], values[19:21, 70:80, 70:80])
    assert len(decoded) == 8
