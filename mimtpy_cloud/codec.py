"""The one codec of all stores and products: Blosc lz4 with bit shuffle, lossless, and a checksum."""

import struct
from typing import Any

import numcodecs
import numcodecs.blosc
import numpy as np

__all__ = ["decode", "encode", "zarr_codecs"]

numcodecs.blosc.use_threads = False  # tasks are the threads

#: Blosc blocks of 256 KiB: half again as fast both ways as its own choice, for 5 % more bytes.
_LEVEL, _BLOCK_BYTES = 5, 256 << 10
_CODEC = numcodecs.Blosc("lz4", clevel=_LEVEL, shuffle=numcodecs.Blosc.BITSHUFFLE, blocksize=_BLOCK_BYTES)
#: Uncompressed, block and compressed size, at byte 4 of the header.
_BLOSC_SIZES, _BLOSC_HEADER = struct.Struct("<III"), 16
#: Bytes of the CRC32C behind a chunk, little-endian, as the codec ``crc32c`` of Zarr v3 has it.
_CHECKSUM = 4


def encode(block: np.ndarray) -> bytes:
    """
    Compress a C-contiguous chunk (Blosc lz4 with bit shuffle, lossless), and append its checksum.

    Parameters
    ----------
    block : np.ndarray
        One whole chunk.

    Returns
    -------
    bytes
    """
    import crc32c

    packed: bytes = _CODEC.encode(block)
    return packed + crc32c.crc32c(packed).to_bytes(_CHECKSUM, "little")


def decode(data: Any, out: np.ndarray) -> np.ndarray:
    """
    Decompress into an existing C-contiguous array.

    Parameters
    ----------
    data : bytes-like
        What `encode` made; also without a checksum, as it was until version 0.1.
    out : np.ndarray
        Array of the chunk's shape and type.

    Returns
    -------
    np.ndarray
        `out`.

    Raises
    ------
    ValueError
        If the data are not one whole chunk of that size, or a bit of them has changed.
    """
    import crc32c

    packed = memoryview(data).cast("B")
    # Blosc trusts the sizes in its header, so they are compared with what is there
    nbytes, _, size = _BLOSC_SIZES.unpack_from(packed, 4) if packed.nbytes > _BLOSC_HEADER else (-1, 0, 0)
    if nbytes != out.nbytes or packed.nbytes not in (size, size + _CHECKSUM):
        raise ValueError(f"{packed.nbytes} bytes are not one whole chunk of {out.nbytes}")
    packed, checksum = packed[:size], packed[size:]
    if checksum and crc32c.crc32c(packed) != int.from_bytes(checksum, "little"):
        raise ValueError("the checksum of a chunk does not agree")
    try:
        _CODEC.decode(packed, out=out)
    except RuntimeError as error:
        raise ValueError(f"a chunk cannot be decompressed: {error}") from error
    return out


def zarr_codecs(itemsize: int) -> tuple[Any, ...]:
    """
    Describe the codecs to zarr-python.

    Parameters
    ----------
    itemsize : int
        Bytes of a value.

    Returns
    -------
    tuple of zarr codecs
        Blosc, then the checksum.
    """
    from zarr.codecs import BloscCodec, Crc32cCodec

    blosc = BloscCodec(cname="lz4", clevel=_LEVEL, shuffle="bitshuffle", typesize=itemsize, blocksize=_BLOCK_BYTES)
    return blosc, Crc32cCodec()
