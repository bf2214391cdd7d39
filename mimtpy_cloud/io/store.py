"""Band stores: plain Zarr v3 groups, and the only code that reads and writes their chunks.

zarr-python writes the metadata, so that any Zarr v3 reader opens a store. Chunks go through this
module because a whole shard is then decoded or encoded in one task, several times faster than
through a general pipeline (``docs/decisions/0006``).

Every array is sharded; shards start at multiples of their side on the global lattice. The shard of
a 3-D array holds all its dates in square chunks, that of a 2-D array a chunk for each row of those.
"""

import itertools
import math
import warnings
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from functools import lru_cache
from typing import IO, Any

import numpy as np

from mimtpy_cloud.codec import decode, zarr_codecs
from mimtpy_cloud.errors import StorageError
from mimtpy_cloud.io.cache import cached_storage
from mimtpy_cloud.io.georeference import spatial_ref_attrs
from mimtpy_cloud.io.storage import Storage
from mimtpy_cloud.plan.chunks import tile_sides, time_chunks
from mimtpy_cloud.plan.grid import Window
from mimtpy_cloud.schema import SPATIAL_REF, VARIABLES

__all__ = ["ArraySpec", "BandArray", "ShardWriter", "check_object", "create_store", "forget_indexes"]

_MISSING = 2**64 - 1
_INDEX_ENTRY, _CHECKSUM = 16, 4
#: A damaged index is read again once: it may have become so on its way.
_READS = 2
#: Small objects that are written at a time; most of the time of one is waiting.
_WRITING = 8


@dataclass(frozen=True)
class ArraySpec:
    """
    What is needed to read an array without asking its store.

    Parameters
    ----------
    name : str
        A name of `mimtpy_cloud.schema.VARIABLES`.
    n : int
        Pixels a degree.
    dates : int
        Length of the time dimension; 0 for a 2-D array.
    """

    name: str
    n: int
    dates: int = 0

    @property
    def dtype(self) -> np.dtype[Any]:
        """Type of the values."""
        return np.dtype(VARIABLES[self.name].dtype)

    @property
    def fill(self) -> Any:
        """Value of pixels that no chunk holds."""
        return np.float32(np.nan) if self.dtype.kind == "f" else self.dtype.type(0)

    @property
    def tile(self) -> tuple[int, ...]:
        """Shape of a shard, which is one object."""
        side = tile_sides(self.n)[1]
        return (time_chunks(self.dates)[1], side, side) if self.dates else (side, side)

    @property
    def chunk(self) -> tuple[int, ...]:
        """Shape of an inner chunk."""
        side, width = tile_sides(self.n)
        return (time_chunks(self.dates)[0], side, side) if self.dates else (side, width)

    @property
    def chunks_per_shard(self) -> tuple[int, ...]:
        """Number of inner chunks along each dimension of a shard."""
        return tuple(t // c for t, c in zip(self.tile, self.chunk, strict=True))


class ShardWriter:
    """
    Append inner chunks to one shard; the index goes last, as Zarr v3 wants it.

    Parameters
    ----------
    file : binary file
        Where the shard goes.
    spec : ArraySpec
        Its array.
    """

    def __init__(self, file: IO[bytes], spec: ArraySpec) -> None:
        self._file, self._offset = file, 0
        self._index = np.full((*spec.chunks_per_shard, 2), _MISSING, dtype="<u8")

    def add(self, position: tuple[int, ...], data: bytes) -> None:
        """
        Append one encoded chunk.

        Parameters
        ----------
        position : tuple of int
            Place of the chunk inside the shard.
        data : bytes
            Encoded chunk.
        """
        self._file.write(data)
        self._index[position] = self._offset, len(data)
        self._offset += len(data)

    def finish(self) -> None:
        """Append the index and its checksum."""
        import crc32c

        index = self._index.tobytes()
        self._file.write(index + crc32c.crc32c(index).to_bytes(_CHECKSUM, "little"))


def _read_index(storage: Storage, key: str, shape: tuple[int, ...]) -> np.ndarray:
    """Offsets and lengths of a shard's chunks, if their checksum agrees."""
    import crc32c

    size = math.prod(shape) * _INDEX_ENTRY
    for _ in range(_READS):
        tail = storage.read_tail(key, size + _CHECKSUM)
        if len(tail) == size + _CHECKSUM and crc32c.crc32c(tail[:size]).to_bytes(_CHECKSUM, "little") == tail[size:]:
            return np.frombuffer(tail[:size], dtype="<u8").reshape(*shape, 2)
        storage.discard(key, tail=size + _CHECKSUM)
    raise ValueError("the shard index is damaged")


@lru_cache(maxsize=4096)
def _shard_index(url: str, cache: bool | None, key: str, shape: tuple[int, ...]) -> np.ndarray | None:
    """Index of a shard, None if there is no shard; stores never change, so either is kept."""
    try:
        return _read_index(cached_storage(url, cache=cache), key, shape)
    except FileNotFoundError:
        return None


@lru_cache(maxsize=4096)
def _require_array(url: str, cache: bool | None, key: str) -> None:
    """Tell a chunk that holds no data from an array that is gone, which would read as no data, too."""
    try:
        cached_storage(url, cache=cache).read(f"{key}/zarr.json")
    except FileNotFoundError:
        raise StorageError(f"{url}/{key} is gone, perhaps removed by gc; open the track again") from None


def forget_indexes() -> None:
    """Read the indexes of shards anew when they are needed next, as they may be wanted in a cache."""
    _shard_index.cache_clear()
    _require_array.cache_clear()


def check_object(storage: Storage, key: str, spec: ArraySpec) -> str:
    """
    Check that a shard ends with a whole index.

    Parameters
    ----------
    storage : Storage
        Root.
    key : str
        Key of the object.
    spec : ArraySpec
        Array it belongs to.

    Returns
    -------
    str
        What is wrong; empty if nothing is. An object that is not there holds no data.
    """
    try:
        _read_index(storage, key, spec.chunks_per_shard)
    except FileNotFoundError:
        return ""
    except StorageError as error:
        return str(error)
    except ValueError as error:
        return f"{error}; ingest the source again"
    return ""


@dataclass(frozen=True)
class BandArray:
    """
    One array of one band store, located on the lattice.

    Parameters
    ----------
    url : str
        Root URL.
    key : str
        Key of the array below the root.
    spec : ArraySpec
        Shape of its chunks.
    window : Window
        Pixels it covers, aligned to tiles.
    cache : bool, optional
        Whether it is read through the local cache; by default if the environment asks for one.
    """

    url: str
    key: str
    spec: ArraySpec
    window: Window
    cache: bool | None = None

    def read_into(self, out: np.ndarray, part: Window, dates: slice) -> None:
        """
        Read pixels that the band covers.

        Parameters
        ----------
        out : np.ndarray
            Destination, ``(time, y, x)`` or ``(y, x)``; every pixel is set.
        part : Window
            Pixels wanted, inside `window`.
        dates : slice
            Dates wanted; ignored for a 2-D array.

        Raises
        ------
        StorageError
            If an object cannot be read or is damaged, or the store is gone.
        """
        storage = cached_storage(self.url, cache=self.cache)
        for tile, key, wanted in self._shards(part, dates):
            with self._naming(key):
                self._read_shard(storage, key, out[(..., *tile.slices_in(part))], wanted)

    def parts(self, part: Window, dates: slice) -> Iterator[tuple[str, list[tuple[int, int]]]]:
        """
        Find the bytes that pixels need; reads the indexes of their shards.

        Parameters
        ----------
        part : Window
            Pixels wanted, inside `window`.
        dates : slice
            Dates wanted; ignored for a 2-D array.

        Yields
        ------
        key : str
            Object below the root.
        ranges : list of tuple
            Offset and length of its chunks, in the order of the object.

        Raises
        ------
        StorageError
            As `read_into`.
        """
        for _, key, wanted in self._shards(part, dates):
            with self._naming(key):
                ranges = [(offset, length) for offset, length, _ in self._present(key, wanted)]
            if ranges:
                yield key, ranges

    def _shards(self, part: Window, dates: slice) -> Iterator[tuple[Window, str, tuple[slice, ...]]]:
        """Pixels in each shard, its key, and where they are in it."""
        side = self.spec.tile[-1]
        for tile in part.tiles(side):
            row, col = (tile.row - self.window.row) // side, (tile.col - self.window.col) // side
            origin = Window(part.n, self.window.row + row * side, self.window.col + col * side, side, side)
            pixels = tile.slices_in(origin)
            key = f"{self.key}/c/{'0/' if self.spec.dates else ''}{row}/{col}"
            yield tile, key, (dates, *pixels) if self.spec.dates else pixels

    @contextmanager
    def _naming(self, key: str) -> Iterator[None]:
        """Name the object that is gone or damaged."""
        try:
            yield
        except FileNotFoundError:
            raise StorageError(f"{self.url}/{key} was removed while it was read; open the track again") from None
        except ValueError as error:
            raise StorageError(f"{self.url}/{key} is damaged: {error}; ingest the source again") from error

    def _present(self, key: str, wanted: tuple[slice, ...]) -> list[tuple[int, int, tuple[int, ...]]]:
        """Offset, length and position of the chunks that there are, as they lie in the object."""
        index = _shard_index(self.url, self.cache, key, self.spec.chunks_per_shard)
        if index is None:
            _require_array(self.url, self.cache, self.key)
            return []
        positions = _positions(wanted, self.spec.chunk)
        chunks = ((int(index[position][0]), int(index[position][1]), position) for position in positions)
        return sorted(chunk for chunk in chunks if chunk[0] != _MISSING)

    def _read_shard(self, storage: Storage, key: str, out: np.ndarray, wanted: tuple[slice, ...]) -> None:
        present = self._present(key, wanted)
        try:
            self._decode(storage, key, out, wanted, present)
        except ValueError:  # once more: it may have become so on its way
            storage.discard(key, [(offset, length) for offset, length, _ in present])
            self._decode(storage, key, out, wanted, present)

    def _decode(
        self,
        storage: Storage,
        key: str,
        out: np.ndarray,
        wanted: tuple[slice, ...],
        present: list[tuple[int, int, tuple[int, ...]]],
    ) -> None:
        if len(present) < sum(1 for _ in _positions(wanted, self.spec.chunk)):
            out[...] = self.spec.fill
        buffer = np.empty(self.spec.chunk, self.spec.dtype)
        ranges = [(offset, length) for offset, length, _ in present]
        for (_, _, position), data in zip(present, storage.read_ranges(key, ranges) if ranges else (), strict=True):
            target, source = _overlap(position, wanted, self.spec.chunk)
            out[target] = decode(data, buffer)[source]


def _positions(wanted: Sequence[slice], chunk: Sequence[int]) -> Iterator[tuple[int, ...]]:
    return itertools.product(*(range(s.start // c, -(-s.stop // c)) for s, c in zip(wanted, chunk, strict=True)))


def _overlap(
    position: Sequence[int], wanted: Sequence[slice], chunk: Sequence[int]
) -> tuple[tuple[slice, ...], tuple[slice, ...]]:
    """Where a chunk's pixels go in the destination, and which of its pixels they are."""
    target, source = [], []
    for p, s, c in zip(position, wanted, chunk, strict=True):
        start, stop = max(s.start, p * c), min(s.stop, (p + 1) * c)
        target.append(slice(start - s.start, stop - s.start))
        source.append(slice(start - p * c, stop - p * c))
    return tuple(target), tuple(source)


def create_store(
    storage: Storage,
    prefix: str,
    specs: Sequence[ArraySpec],
    window: Window,
    *,
    dates: Sequence[str],
    per_date: Mapping[str, np.ndarray],
    attrs: Mapping[str, Any],
) -> None:
    """
    Write the metadata and the coordinates of a band store; chunks follow.

    Parameters
    ----------
    storage : Storage
        Root.
    prefix : str
        Key of the store below the root.
    specs : sequence of ArraySpec
        Arrays to declare.
    window : Window
        Pixels that the store covers, aligned to tiles.
    dates : sequence of str
        ISO dates; empty for products without time.
    per_date : mapping
        1-D variables along time.
    attrs : mapping
        Attributes of the group; JSON values.
    """
    import zarr

    made: dict[str, Any] = {}  # in memory first: each step of zarr would ask an object store several times
    memory = zarr.storage.MemoryStore(made)
    group = zarr.create_group(memory, zarr_format=3, attributes={**attrs, "coordinates": SPATIAL_REF})
    for spec in specs:
        variable = VARIABLES[spec.name]
        group.create_array(
            spec.name,
            shape=(*((spec.dates,) if spec.dates else ()), *window.shape),
            chunks=spec.chunk,
            shards=spec.tile,
            dtype=spec.dtype,
            fill_value=spec.fill,
            dimension_names=variable.dims,
            attributes={**variable.attrs, "grid_mapping": SPATIAL_REF, **_encoded_fill(spec)},
            compressors=zarr_codecs(spec.dtype.itemsize),
        )
    _coordinate(group, "y", window.y, {"units": "degrees_north", "standard_name": "latitude"})
    _coordinate(group, "x", window.x, {"units": "degrees_east", "standard_name": "longitude"})
    if dates:
        days = np.array(dates, "datetime64[D]").astype("int64")
        _coordinate(group, "time", days, {"units": "days since 1970-01-01", "calendar": "proleptic_gregorian"})
    for name, values in per_date.items():
        _coordinate(group, name, values, VARIABLES[name].attrs, dims=("time",))
    group.create_array(
        SPATIAL_REF, shape=(), dtype="int32", dimension_names=(), attributes=dict(spatial_ref_attrs(window.grid))
    )
    with warnings.catch_warnings():  # zarr says that consolidated metadata is not in the v3 text yet
        warnings.simplefilter("ignore")
        zarr.consolidate_metadata(memory)
    whole = made.pop("zarr.json").to_bytes()
    with ThreadPoolExecutor(_WRITING) as pool:
        list(pool.map(lambda key: storage.write(f"{prefix}/{key}", made[key].to_bytes()), made))
    storage.write(f"{prefix}/zarr.json", whole)  # last: it makes all that a store


def _encoded_fill(spec: ArraySpec) -> dict[str, str]:
    """xarray takes the no-data value of Zarr v3 floats from this attribute (base64 of the bytes)."""
    import base64

    if spec.dtype.kind != "f":
        return {}
    return {"_FillValue": base64.standard_b64encode(np.array(spec.fill, "<f8").tobytes()).decode()}


def _coordinate(
    group: Any, name: str, values: np.ndarray, attributes: Mapping[str, str], dims: tuple[str, ...] = ()
) -> None:
    array = group.create_array(
        name,
        shape=values.shape,
        chunks=values.shape,
        dtype=values.dtype,
        dimension_names=dims or (name,),
        attributes=dict(attributes),
    )
    array[:] = values
