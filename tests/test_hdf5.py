"""HDF5 arrays as lazy blocks."""

import math
import pickle

import dask
import h5py
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from lazy import no_compute

from mimtpy_cloud.errors import SourceFormatError
from mimtpy_cloud.io.hdf5 import Layer, block_shape
from mimtpy_cloud.io.hdf5file import SourceFile, open_hdf5


def write(path, **datasets):
    with h5py.File(path, "w") as file:
        for name, (values, chunks) in datasets.items():
            file.create_dataset(name, data=values, chunks=chunks)
    return SourceFile.locate(path)


def layer_of(source, *names, **options):
    with open_hdf5(source.url) as file:
        return Layer.of(source, *(file[name] for name in names), **options)


@given(
    st.tuples(st.integers(1, 60), st.integers(1, 500), st.integers(1, 500)),
    st.tuples(st.integers(1, 4), st.integers(1, 60), st.integers(1, 80)),
    st.integers(2000, 10**7),
)
def test_blocks_are_bounded_and_hold_whole_chunks(shape, chunks, limit):
    block = block_shape(shape, chunks, 4, limit)
    unit = [min(c, s) for c, s in zip(chunks, shape, strict=True)]
    assert all(b == s or b % u == 0 for b, s, u in zip(block, shape, unit, strict=True))
    assert math.prod(block) * 4 <= max(limit, math.prod(unit) * 4)


def test_blocks_span_all_dates_and_whole_rows_where_that_fits():
    assert block_shape((12, 121, 158), (3, 31, 40), 4) == (12, 121, 158)
    dates, rows, cols = block_shape((60, 3000, 4000), (2, 94, 250), 4)
    assert (dates, rows) == (60, 94)
    assert cols % 250 == 0
    assert dates * rows * cols * 4 <= 64 << 20


def test_contiguous_arrays_are_cut_anywhere():
    assert block_shape((10, 100, 100), None, 4, limit=100_000) == (10, 25, 100)
    assert block_shape((100, 100), None, 4, limit=10_000) == (25, 100)


def test_one_huge_chunk_is_one_block():
    assert block_shape((4, 10, 10), (4, 10, 10), 4, limit=100) == (4, 10, 10)


@pytest.fixture
def cube(tmp_path):
    values = np.random.default_rng(0).normal(size=(5, 13, 11)).astype("float32")
    return values, write(tmp_path / "a.h5", cube=(values, (2, 4, 3)), flags=(values[0] > 0, (4, 3)))


@given(st.data())
def test_slices_equal_numpy(cube, data):
    values, source = cube
    steps = st.sampled_from([None, 1, 2, 3, -1, -2])
    index = tuple(
        data.draw(st.one_of(st.slices(n), st.integers(0, n - 1), st.builds(slice, st.none(), st.none(), steps)))
        for n in values.shape
    )
    lazy = layer_of(source, "cube").lazy((5, 4, 11))[index]
    np.testing.assert_array_equal(lazy.compute(scheduler="sync"), values[index])


def test_layer_computes_nothing_survives_pickling_and_has_one_name(cube):
    values, source = cube
    with no_compute():
        first, second = (layer_of(source, "cube").lazy((5, 4, 11)) for _ in range(2))
    assert first.name == second.name
    copy = pickle.loads(pickle.dumps(first))
    np.testing.assert_array_equal(copy.compute(scheduler="sync"), values)


def test_names_change_with_the_file(cube, tmp_path):
    _, source = cube
    before = layer_of(source, "cube").lazy((5, 4, 11)).name
    changed = SourceFile(source.url, source.size, source.version + "1")
    assert layer_of(changed, "cube").lazy((5, 4, 11)).name != before


def test_each_chunk_is_read_by_one_block(cube):
    _, source = cube
    layer = layer_of(source, "cube")
    block = block_shape(layer.shape, layer.chunks, 4, limit=500)
    assert block == (5, 4, 6)
    assert layer.lazy(block).numblocks == (1, 4, 2)


def test_any_value_but_zero_and_nan_is_true(tmp_path):
    values = np.array([[0, 1, -1, np.nan, 0.5]], "float32")
    source = write(tmp_path / "a.h5", a=(values, None), b=(np.array([[0, 1, 2]], "int8"), None))
    np.testing.assert_array_equal(layer_of(source, "a", dtype="bool")[:], [[False, True, True, False, True]])
    np.testing.assert_array_equal(layer_of(source, "b", dtype="bool")[:], [[False, True, True]])


def test_datasets_are_stacked(tmp_path):
    values = np.arange(24, dtype="int16").reshape(2, 3, 4)
    source = write(tmp_path / "a.h5", a=(values[0], (2, 2)), b=(values[1], (2, 2)))
    layer = layer_of(source, "a", "b", stacked=True)
    assert (layer.shape, layer.chunks) == ((2, 3, 4), (1, 2, 2))
    np.testing.assert_array_equal(layer[:, 1:, ::-1], values[:, 1:, ::-1])
    np.testing.assert_array_equal(layer[1, 0], values[1, 0])


def test_threads_read_the_same_as_one(cube):
    values, source = cube
    with dask.config.set(scheduler="threads", num_workers=4):
        np.testing.assert_array_equal(layer_of(source, "cube").lazy((2, 4, 3)).compute(), values)


def test_missing_files_and_directories_are_named(tmp_path):
    with pytest.raises(SourceFormatError, match=r"none\.he5 does not exist; check the path"):
        SourceFile.locate(tmp_path / "none.he5")
    with pytest.raises(SourceFormatError, match="is a directory, expected an HDF5 file"):
        SourceFile.locate(tmp_path)


def test_foreign_and_truncated_files_are_named(tmp_path, cube):
    _, source = cube
    foreign, cut = tmp_path / "foreign.h5", tmp_path / "cut.h5"
    foreign.write_bytes(b"hello")
    with open(source.url, "rb") as file:  # noqa: PTH123 - the URL is a str
        cut.write_bytes(file.read()[:-100])
    with pytest.raises(SourceFormatError, match="is not an HDF5 file"), open_hdf5(str(foreign)):
        pass
    message = r"cut\.h5 is truncated \(eof = .*\); copy or write it again"
    with pytest.raises(SourceFormatError, match=message), open_hdf5(str(cut)):
        pass


def test_a_file_that_vanishes_fails_clearly(tmp_path):
    source = write(tmp_path / "a.h5", a=(np.zeros((2, 2)), None))
    layer = layer_of(source, "a")
    (tmp_path / "a.h5").unlink()
    with pytest.raises(SourceFormatError, match="does not exist any more"):
        layer[:]


def test_a_dataset_that_vanishes_fails_clearly(tmp_path):
    source = write(tmp_path / "a.h5", a=(np.zeros((2, 2)), None))
    layer = layer_of(source, "a")
    write(tmp_path / "a.h5", b=(np.zeros((2, 2)), None))
    with pytest.raises(SourceFormatError, match="/a cannot be read"):
        layer[:]
