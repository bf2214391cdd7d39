"""Blocks of any shape become chunks of one shape."""

import math
from pathlib import Path

import dask.array as da
import numpy as np
import pytest
import zarr
from hypothesis import given
from hypothesis import strategies as st
from lazy import no_compute
from strategies import chunkings

from mimtpy_cloud.codec import zarr_codecs
from mimtpy_cloud.exports.zarrchunks import write_chunks

SHAPE = (2, 7, 9)


def empty_array(folder: Path, chunk, dtype, fill) -> zarr.Array:
    return zarr.create_array(
        str(folder),
        shape=SHAPE,
        chunks=chunk,
        dtype=dtype,
        compressors=zarr_codecs(np.dtype(dtype).itemsize),
        fill_value=fill,
    )


@given(
    chunkings(time=2, y=7, x=9),
    st.tuples(*(st.integers(1, n) for n in SHAPE)),
    st.sampled_from(["f4", "f8", "i2", "?"]),
)
def test_chunked_writing_equals_numpy(tmp_path_factory, chunks, chunk, dtype):
    folder = tmp_path_factory.mktemp("array")
    values = np.arange(math.prod(SHAPE)).reshape(SHAPE).astype(dtype)
    array = empty_array(folder, chunk, dtype, 0)
    with no_compute():
        writing = write_chunks(da.from_array(values, chunks=tuple(chunks.values())), str(folder), chunk, 0)
    assert writing.chunks == tuple((1,) * -(-n // c) for n, c in zip(SHAPE, chunk, strict=True))
    writing.compute(scheduler="synchronous")
    np.testing.assert_array_equal(array[:], values)


@pytest.mark.parametrize(("dtype", "fill"), [("f4", np.nan), ("?", False)])
def test_chunks_without_data_take_no_space(tmp_path, dtype, fill):
    values = np.full(SHAPE, fill, dtype)
    values[1, 6, 8] = 1
    array = empty_array(tmp_path, (1, 4, 4), dtype, fill)
    written = write_chunks(da.from_array(values, chunks=(2, 5, 5)), str(tmp_path), (1, 4, 4), fill).compute()
    assert written.sum() == 1
    assert [str(p.relative_to(tmp_path)) for p in tmp_path.glob("c/*/*/*")] == ["c/1/1/2"]
    np.testing.assert_array_equal(array[:], values)


def test_a_block_is_computed_once_for_all_chunks_on_it(tmp_path):
    computed = []

    def note(block: np.ndarray) -> np.ndarray:
        computed.append(block.shape)
        return block

    values = da.zeros(SHAPE, chunks=(2, 7, 5)).map_blocks(note, dtype="f8", meta=np.empty((0, 0, 0)))
    empty_array(tmp_path, (1, 2, 2), "f8", 0)
    write_chunks(values, str(tmp_path), (1, 2, 2), 0).compute(scheduler="synchronous")
    assert sorted(computed) == [(2, 7, 4), (2, 7, 5)]
