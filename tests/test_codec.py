"""The codec of chunks: lossless, and every changed bit is noticed."""

import numcodecs
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mimtpy_cloud.codec import decode, encode

BLOCK = np.random.default_rng(0).normal(size=(4, 25, 25)).astype("float32")


@pytest.mark.parametrize("dtype", ["float32", "float64", "int32", "bool"])
def test_what_was_encoded_is_decoded(dtype):
    block = (BLOCK > 0) if dtype == "bool" else BLOCK.astype(dtype)
    np.testing.assert_array_equal(decode(encode(block), np.empty_like(block)), block)


@given(bit=st.integers(0, 8 * len(encode(BLOCK)) - 1))
def test_every_flipped_bit_is_noticed(bit):
    packed = bytearray(encode(BLOCK))
    packed[bit // 8] ^= 1 << bit % 8
    with pytest.raises(ValueError, match=r"whole chunk|checksum|cannot be decompressed"):
        decode(bytes(packed), np.empty_like(BLOCK))


@pytest.mark.parametrize("length", [0, 3, 15, 100, -1])
def test_what_is_cut_short_is_noticed(length):
    with pytest.raises(ValueError, match="not one whole chunk"):
        decode(encode(BLOCK)[:length], np.empty_like(BLOCK))


def test_chunks_without_a_checksum_are_read_as_before():
    packed = encode(BLOCK)[:-4]
    assert numcodecs.Blosc().decode(packed) == BLOCK.tobytes()
    np.testing.assert_array_equal(decode(packed, np.empty_like(BLOCK)), BLOCK)
