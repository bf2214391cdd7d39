"""HDF5 chunks decoded beside the library."""

import os
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import h5py
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mimtpy_cloud.errors import SourceFormatError
from mimtpy_cloud.io.hdf5chunks import ChunkReader, chunk_reader
from mimtpy_cloud.io.hdf5file import SourceFile

SHAPE, CHUNKS = (5, 13, 11), (2, 4, 3)  # every edge has a partial chunk
NAME = "HDFEOS/GRIDS/timeseries/observation/displacement"


def smooth(shape=SHAPE):
    return np.add.outer(np.arange(shape[0]), np.add.outer(np.arange(shape[1]), np.arange(shape[2]))).astype("float32")


def noise(shape=SHAPE, seed=0):
    """Every bit is random, so that no filter can shrink it."""
    return np.frombuffer(np.random.default_rng(seed).bytes(int(np.prod(shape)) * 4), "float32").reshape(shape)


def write(path, values, chunks=CHUNKS, **options):
    with h5py.File(path, "w") as file:
        file.create_dataset(NAME, data=values, chunks=chunks, **options)
    return str(path)


def read_all(path, order=None):
    """Put the chunks together by their own offsets."""
    with ChunkReader(path, NAME) as reader:
        out = np.full([-(-s // c) * c for s, c in zip(reader.shape, reader.chunks, strict=True)], -7, "float32")
        buffers = reader.buffers()
        for row in range(0, reader.shape[1], reader.chunks[1]):
            for key in reader.offsets(row):
                out[tuple(slice(k, k + c) for k, c in zip(key, reader.chunks, strict=True))] = reader.read(key, buffers)
        return out[tuple(map(slice, reader.shape))]


def same_bits(a, b):
    return np.array_equal(a.view("uint32"), np.ascontiguousarray(b).view("uint32"))


OPTIONS = [{}, {"compression": "lzf"}, {"compression": "gzip", "compression_opts": 9}, {"compression": "gzip"}]


@pytest.mark.parametrize("options", OPTIONS)
@pytest.mark.parametrize("make", [smooth, noise])
def test_chunks_equal_what_h5py_reads(tmp_path, options, make):
    path = write(tmp_path / "a.h5", make(), **options)
    assert ChunkReader.supports(path, NAME)
    assert same_bits(read_all(path), make())


@pytest.mark.parametrize("options", OPTIONS)
@given(st.tuples(*[st.integers(1, 9)] * 3), st.tuples(*[st.integers(1, 5)] * 3), st.integers(0, 99))
def test_any_shape_and_chunks_equal_numpy(tmp_path, options, shape, chunks, seed):
    chunks = tuple(map(min, chunks, shape))
    values = noise(shape, seed)
    path = write(tmp_path / "a.h5", values, chunks, **options)
    assert same_bits(read_all(path), values)


def test_a_chunk_that_its_filter_did_not_shrink_is_stored_as_it_is(tmp_path):
    path = write(tmp_path / "a.h5", noise(), compression="lzf")
    with h5py.File(path) as file:
        masks = [file[NAME].id.get_chunk_info(i).filter_mask for i in range(file[NAME].id.get_num_chunks())]
    assert any(masks)  # or the test above proves nothing
    mixed = noise().copy()
    mixed[:2] = 0
    path = write(tmp_path / "mixed.h5", mixed, compression="lzf")
    assert same_bits(read_all(path), mixed)


@pytest.mark.parametrize("fill", [None, -9999.0, np.nan])
def test_chunks_never_written_have_the_fill_value_of_the_dataset(tmp_path, fill):
    path = tmp_path / "a.h5"
    with h5py.File(path, "w") as file:
        data = file.create_dataset(NAME, SHAPE, "f4", chunks=CHUNKS, compression="lzf", fillvalue=fill)
        data[2:4, 4:8, 3:6] = 5
        expected = data[...]
    assert same_bits(read_all(str(path)), expected)
    assert (expected == 5).sum() == 2 * 4 * 3


def test_chunks_come_in_the_order_of_the_file(tmp_path):
    path = tmp_path / "a.h5"
    with h5py.File(path, "w") as file:
        data = file.create_dataset(NAME, SHAPE, "f4", chunks=CHUNKS, compression="lzf")
        for t in (4, 0, 2):  # written out of order
            data[t : t + 2] = smooth()[t : t + 2]
    with ChunkReader(str(path), NAME) as reader:
        assert [key[0] for key in reader.offsets(4)] == [4] * 4 + [0] * 4 + [2] * 4
        assert sorted(reader.offsets(12)) == [(t, 12, x) for t in (0, 2, 4) for x in (0, 3, 6, 9)]
    assert same_bits(read_all(str(path)), smooth())


def test_threads_with_their_own_buffers_do_not_disturb_each_other(tmp_path):
    values = smooth((8, 64, 64))
    path = write(tmp_path / "a.h5", values, (1, 8, 16), compression="gzip")
    with ChunkReader(path, NAME) as reader, ThreadPoolExecutor(4) as pool:
        keys = [key for row in range(0, 64, 8) for key in reader.offsets(row)]

        def right(key):
            t, y, x = key
            return np.array_equal(reader.read(key, reader.buffers()), values[t : t + 1, y : y + 8, x : x + 16])

        assert all(pool.map(right, keys * 4))


def test_the_file_is_closed_at_the_end(tmp_path):
    path = write(tmp_path / "a.h5", smooth())

    def opened():
        return [link for link in Path("/proc/self/fd").iterdir() if link.is_symlink() and str(link.readlink()) == path]

    with ChunkReader(path, NAME):
        assert len(opened()) == 1
    assert opened() == []


# ---- windows


WINDOWED = {
    "float32": (smooth(), CHUNKS),
    "float64": (smooth().astype("float64"), CHUNKS),
    "int32": (smooth().astype("int32"), CHUNKS),
    "bool": (smooth()[1] % 3 == 0, (4, 3)),
    "one dimension": (smooth()[:, 0, 0], (2,)),
}


@given(st.sampled_from(sorted(WINDOWED)), st.data())
def test_windows_equal_numpy(tmp_path_factory, kind, data):
    values, chunks = WINDOWED[kind]
    path = tmp_path_factory.getbasetemp() / f"{kind}.h5"
    if not path.exists():
        write(path, values, chunks, compression="lzf")
    index = tuple(slice(*sorted((data.draw(st.integers(0, n)), data.draw(st.integers(0, n))))) for n in values.shape)
    with ChunkReader(str(path), NAME) as reader:
        found = reader.window(index)
    assert found.dtype == values.dtype
    np.testing.assert_array_equal(found, values[index])


def test_a_reader_is_kept_for_the_next_block_but_not_for_another_version_of_the_file(tmp_path):
    path = write(tmp_path / "a.h5", smooth(), compression="lzf")
    first = SourceFile.locate(path)
    assert chunk_reader(first, NAME) is chunk_reader(first, NAME)
    write(tmp_path / "b.h5", 2 * smooth(), compression="gzip")
    (tmp_path / "b.h5").replace(path)
    second = chunk_reader(SourceFile.locate(path), NAME)
    np.testing.assert_array_equal(second.window((slice(None),) * 3), 2 * smooth())


def test_files_elsewhere_are_left_to_h5py():
    assert chunk_reader(SourceFile("memory://a.h5", 1, ""), NAME) is None


# ---- what it leaves to h5py


@pytest.mark.parametrize(
    ("values", "options"),
    [
        (smooth(), {"shuffle": True}),
        (smooth(), {"shuffle": True, "compression": "gzip"}),
        (smooth(), {"fletcher32": True}),
        (smooth(), {"fletcher32": True, "compression": "lzf"}),
        (smooth().astype("int32"), {"scaleoffset": 4}),
        (smooth().astype(">f4"), {}),
        (smooth(), {"chunks": None}),
    ],
)
def test_other_datasets_are_not_supported(tmp_path, values, options):
    path = write(tmp_path / "a.h5", values, **options)
    assert not ChunkReader.supports(path, NAME)
    with pytest.raises(SourceFormatError, match="cannot be read chunk by chunk"):
        ChunkReader(path, NAME)


def test_a_filter_that_is_not_known_here_is_not_supported(tmp_path):
    path, bzip2 = tmp_path / "a.h5", 307
    with h5py.File(path, "w") as file:
        plist = h5py.h5p.create(h5py.h5p.DATASET_CREATE)
        plist.set_chunk(CHUNKS)
        plist.set_filter(bzip2, h5py.h5z.FLAG_OPTIONAL)
        space = h5py.h5s.create_simple(SHAPE)
        h5py.h5d.create(file.id, b"x", h5py.h5t.IEEE_F32LE, space, plist)
        assert file["x"].compression not in ("lzf", "gzip")
    assert not ChunkReader.supports(str(path), "x")


def test_a_user_block_is_not_supported(tmp_path):
    path = tmp_path / "a.h5"
    with h5py.File(path, "w", userblock_size=512) as file:
        file.create_dataset(NAME, data=smooth(), chunks=CHUNKS)
    assert not ChunkReader.supports(str(path), NAME)


def test_a_dataset_that_is_not_there_is_not_supported(tmp_path):
    path = write(tmp_path / "a.h5", smooth())
    assert not ChunkReader.supports(path, "HDFEOS/other")


# ---- damage


@pytest.mark.parametrize("keep", [0.3, 0.9])
def test_a_truncated_file_is_refused(tmp_path, keep):
    path = write(tmp_path / "a.h5", noise((20, 40, 40)), (2, 10, 10), compression="lzf")
    os.truncate(path, int(Path(path).stat().st_size * keep))
    with pytest.raises(SourceFormatError, match=r"a\.h5 is truncated"):
        ChunkReader(path, NAME)


def test_what_is_no_hdf5_file_is_refused(tmp_path):
    (tmp_path / "a.h5").write_text("no HDF5")
    for use in (ChunkReader, ChunkReader.supports):
        with pytest.raises(SourceFormatError, match="is not an HDF5 file"):
            use(str(tmp_path / "a.h5"), NAME)


def test_a_file_cut_while_it_is_read_is_refused(tmp_path):
    path = write(tmp_path / "a.h5", smooth())
    with ChunkReader(path, NAME) as reader:
        buffers, last = reader.buffers(), list(reader.offsets(12))[-1]
        reader.read(last, buffers)
        os.truncate(path, 2048)
        with pytest.raises(SourceFormatError, match=r"a\.h5: the chunk at byte \d+ is truncated"):
            reader.read(last, buffers)


@pytest.mark.parametrize("compression", ["lzf", "gzip"])
def test_a_chunk_of_bad_bytes_is_refused(tmp_path, compression):
    path = write(tmp_path / "a.h5", smooth(), compression=compression)
    with h5py.File(path) as file:
        info = file[NAME].id.get_chunk_info(0)
    with Path(path).open("r+b") as file:
        file.seek(info.byte_offset)
        file.write(b"\xff" * info.size)
    with ChunkReader(path, NAME) as reader:
        with pytest.raises(SourceFormatError, match="is damaged; copy the file again"):
            reader.read(info.chunk_offset, reader.buffers())
        good = next(key for key in reader.offsets(4))
        reader.read(good, reader.buffers())


@pytest.mark.parametrize("compression", ["lzf", "gzip"])
def test_a_chunk_that_decodes_to_too_little_is_refused(tmp_path, compression):
    small = write(tmp_path / "small.h5", smooth((1, 4, 4)), (1, 4, 4), compression=compression)
    path = str(tmp_path / "a.h5")
    with h5py.File(small) as file:
        packed = file[NAME].id.read_direct_chunk((0, 0, 0))[1]
    with h5py.File(path, "w") as file:
        data = file.create_dataset(NAME, (1, 8, 8), "f4", chunks=(1, 8, 8), compression=compression)
        data.id.write_direct_chunk((0, 0, 0), packed)
    with ChunkReader(path, NAME) as reader, pytest.raises(SourceFormatError, match="is damaged"):
        reader.read((0, 0, 0), reader.buffers())


def test_a_plain_chunk_of_another_size_is_refused(tmp_path):
    path = str(tmp_path / "a.h5")
    with h5py.File(path, "w") as file:
        data = file.create_dataset(NAME, (1, 8, 8), "f4", chunks=(1, 8, 8), compression="gzip")
        data.id.write_direct_chunk((0, 0, 0), bytes(100), filter_mask=1)
    with ChunkReader(path, NAME) as reader, pytest.raises(SourceFormatError, match=r"is damaged|is truncated"):
        reader.read((0, 0, 0), reader.buffers())


def test_given_files_equal_h5py(he5):
    path = next(iter(sorted(he5.glob("small/**/*.he5"))))
    assert ChunkReader.supports(str(path), NAME)
    with h5py.File(path) as file:
        expected = file[NAME][...]
    assert same_bits(read_all(str(path)), expected)
