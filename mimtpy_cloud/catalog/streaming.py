"""Stream a source into the band stores of a track, with bounded memory.

Strips of tiles are made north to south, all columns at once, for one group of dates; each is
encoded and appended to its shards. Chunked HDF5 on a geographic grid with nearest resampling (which
includes sources on the lattice) takes the short way: each raw chunk is decoded once, in file order,
and its pixels are copied straight into the tiles. Everything else gathers from windows of the
source. Both make the same strips in the same order, so the stores are equal to the last bit.
"""

import itertools
import math
import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Executor, Future, ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass, field
from types import TracebackType
from typing import Literal, Protocol, Self

import numpy as np
import xarray as xr

from mimtpy_cloud.codec import encode
from mimtpy_cloud.io.hdf5chunks import ChunkReader
from mimtpy_cloud.io.storage import Storage
from mimtpy_cloud.io.store import ArraySpec, ShardWriter
from mimtpy_cloud.kernels import resample
from mimtpy_cloud.plan.grid import Window
from mimtpy_cloud.plan.placement import Placement, RegularPlacement
from mimtpy_cloud.schema import LOS

__all__ = ["MEMORY_OF_TILES", "Layout", "Resampling", "write_layers", "write_series"]

Resampling = Literal["nearest", "bilinear", "average"]

#: Bytes of the ring of tiles; a longer series is written in several passes over a row of shards.
MEMORY_OF_TILES = 256 << 20
#: Bytes of source pixels that one gather holds.
_MEMORY_OF_WINDOW = 48 << 20
#: HDF5 chunks that a job decodes; a job each would cost as much as decoding a small one.
_CHUNKS_PER_JOB = 16
#: Most rows of tiles that the ring of the short way may hold.
_LARGEST_RING = 3


@dataclass(frozen=True)
class Layout:
    """
    Where the band stores of one revision are, and how they are cut.

    Parameters
    ----------
    storage : Storage
        Root.
    keys : mapping of int to str
        Key of each band's store.
    window : Window
        Pixels of all bands, aligned to shards.
    """

    storage: Storage
    keys: dict[int, str]
    window: Window

    def object_key(self, name: str, row: int, col: int, spec: ArraySpec) -> tuple[int, str]:
        """
        Name the object that holds a shard.

        Parameters
        ----------
        name : str
            Variable.
        row, col : int
            Shard row and column in `window`.
        spec : ArraySpec
            Its chunks.

        Returns
        -------
        band : int
            Band it belongs to.
        key : str
            Key below the root.
        """
        side = spec.tile[-1]
        first = self.window.row + row * side
        band = 89 - first // self.window.n
        row_in_band = (first - self.window.band(band).row) // side
        return band, f"{self.keys[band]}/{name}/c/{'0/' if spec.dates else ''}{row_in_band}/{col}"


class _Shards:
    """The open shards of one row of shards; those of the row before are finished meanwhile. An error leaves none."""

    def __init__(self, layout: Layout, spec: ArraySpec) -> None:
        self.layout, self.spec = layout, spec
        self.bands: set[int] = set()
        self._stack, self._lock = ExitStack(), threading.Lock()
        self._writers: dict[tuple[int, int], ShardWriter] = {}
        self._closing, self._closed = ThreadPoolExecutor(1), list[Future[None]]()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        with self._closing:
            self._stack.__exit__(kind, error, trace)
        if error is None:
            for closed in self._closed:
                closed.result()

    def append(self, strip: int, first_date: int, tiles: np.ndarray, pool: Executor) -> None:
        """Encode a strip, one job a column of shards."""
        per_shard, inner = self.spec.chunks_per_shard[-1], self.spec.chunk[0]
        row, y = divmod(strip, per_shard)

        def write(col: int) -> None:
            for x in range(per_shard):
                for t in range(0, tiles.shape[1], inner):
                    block = tiles[col * per_shard + x, t : t + inner]
                    if resample.has_data(block):
                        self._writer(row, col).add(((first_date + t) // inner, y, x), encode(block))

        _all(pool, write, range(tiles.shape[0] // per_shard))

    def _writer(self, row: int, col: int) -> ShardWriter:
        if (row, col) not in self._writers:
            band, key = self.layout.object_key(self.spec.name, row, col, self.spec)
            with self._lock:
                self.bands.add(band)
                file = self._stack.enter_context(self.layout.storage.writer(key))
            self._writers[row, col] = ShardWriter(file, self.spec)
        return self._writers[row, col]

    def finish_row(self) -> None:
        """Close the shards that are open, in a thread of their own; raises what closing earlier ones did."""
        for closed in self._closed:
            if closed.done():
                closed.result()
        writers, stack = list(self._writers.values()), self._stack.pop_all()
        self._writers.clear()

        def close() -> None:
            with stack:
                for writer in writers:
                    writer.finish()

        self._closed.append(self._closing.submit(close))


class _Strips(Protocol):
    """Makes strips of tiles, in order."""

    def make(self, first: int, last: int, dates: slice) -> Iterator[tuple[int, np.ndarray | None]]:
        """Strips ``first`` to ``last`` of some dates; None for one without data, else valid until the next."""


def write_series(
    layout: Layout,
    spec: ArraySpec,
    source: xr.Dataset,
    placement: Placement,
    *,
    resampling: Resampling,
    local_path: str | None,
    workers: int,
    advance: Callable[[int], None],
) -> set[int]:
    """
    Write the displacement of all dates.

    Parameters
    ----------
    layout : Layout
        Where it goes.
    spec : ArraySpec
        Shape of chunks and shards.
    source : xr.Dataset
        Canonical dataset on the source's grid.
    placement : Placement
        From source to lattice.
    resampling : {"nearest", "bilinear", "average"}
        How pixels are moved.
    local_path : str, optional
        HDF5 file that holds the displacement as it is, if its chunks may be decoded directly.
    workers : int
        Threads.
    advance : callable
        Called with the number of bytes made.

    Returns
    -------
    set of int
        Bands that got data.

    Notes
    -----
    Memory: `MEMORY_OF_TILES` (more only where one inner chunk of dates over the width of the track
    needs more), or twice that where the ring has a third row, plus 48 MiB a worker for sources that
    are gathered.
    """
    side, window, inner = spec.chunk[-1], layout.window, spec.chunk[0]
    per_shard = spec.chunks_per_shard[-1]
    strips = window.ny // side
    group = max(1, MEMORY_OF_TILES // (2 * side * window.nx * 4) // inner) * inner
    groups = [slice(t, min(t + group, spec.tile[0])) for t in range(0, spec.tile[0], group)]
    sections = [(0, strips)] if len(groups) == 1 else [(r, r + per_shard) for r in range(0, strips, per_shard)]
    # the pool ends first, so that after an error no thread still reads the file or opens a shard
    with _Shards(layout, spec) as shards, ExitStack() as opened, ThreadPoolExecutor(workers) as pool:
        maker: _Strips | None = None
        if local_path is not None and isinstance(placement, RegularPlacement) and resampling == "nearest":
            reader = opened.enter_context(ChunkReader(local_path, source.displacement.encoding["dataset"]))
            if len(reader.shape) == 3 and reader.dtype == spec.dtype:
                maker = _DirectStrips.plan(reader, placement, spec, window, pool)
        maker = maker or _GatheredStrips(source, placement, spec, window, resampling, pool)
        for first, last in sections:
            for dates in groups:
                for strip, tiles in maker.make(first, last, dates):
                    if tiles is not None:
                        shards.append(strip, dates.start, tiles, pool)
                    advance((min(dates.stop, spec.dates) - dates.start) * side * window.nx * 4)
                    if dates is groups[-1] and (strip + 1) % per_shard == 0:
                        shards.finish_row()
    return shards.bands


@dataclass
class _DirectStrips:
    """Decode each chunk once and copy its pixels into the tiles they belong to."""

    reader: ChunkReader
    spec: ArraySpec
    window: Window
    pool: Executor
    rows: np.ndarray  # source row of each target row that has one
    first_row: int
    cols: np.ndarray
    first_col: int
    spans: dict[int, tuple[int, int]]  # those of `cols` that the chunk at a source column feeds
    ring: int
    memory: np.ndarray = field(default_factory=lambda: np.empty(0, np.float32), repr=False)

    @classmethod
    def plan(
        cls, reader: ChunkReader, placement: RegularPlacement, spec: ArraySpec, window: Window, pool: Executor
    ) -> "_DirectStrips | None":
        """Find which chunks feed which tiles; None if one row of chunks feeds too many rows of tiles."""
        rows, first_row = _nearest(placement.row_positions(window), reader.shape[1])
        cols, first_col = _nearest(placement.column_positions(window), reader.shape[2])
        _, height, width = reader.chunks
        side = spec.chunk[-1]
        edges = np.searchsorted(cols, np.arange(0, reader.shape[2] + width, width)).tolist()
        spans = {i * width: span for i, span in enumerate(itertools.pairwise(edges))}
        starts = np.searchsorted(rows, np.arange(0, reader.shape[1], height)) + first_row
        stops = np.append(starts[1:], first_row + rows.size)
        ring = int(np.max((stops - 1) // side - starts // side)) + 1 if rows.size else 1
        ring = max(2, ring)
        return (
            cls(reader, spec, window, pool, rows, first_row, cols, first_col, spans, ring)
            if ring <= _LARGEST_RING
            else None
        )

    def make(self, first: int, last: int, dates: slice) -> Iterator[tuple[int, np.ndarray | None]]:
        """Strips ``first`` to ``last`` of some dates."""
        side, height = self.spec.chunk[-1], self.reader.chunks[1]
        tiles = self._tiles(dates.stop - dates.start)
        touched, strip = set[int](), first
        local = threading.local()
        for y in range(0, self.reader.shape[1], height):
            a, b = np.clip(np.searchsorted(self.rows, [y, y + height]) + self.first_row, first * side, last * side)
            if a >= b:
                continue
            for fed in range(a // side, (b - 1) // side + 1):
                if fed not in touched:
                    touched.add(fed)
                    self._clear(tiles[fed % self.ring], fed)
            keys = [
                key
                for key in self.reader.offsets(y)
                if key[0] < dates.stop and key[0] + self.reader.chunks[0] > dates.start
            ]

            def copy(batch: tuple[tuple[int, int, int], ...], rows: tuple[int, int] = (int(a), int(b))) -> None:
                for key in batch:
                    self._copy(key, rows, dates, tiles, local)

            _all(self.pool, copy, list(itertools.batched(keys, _CHUNKS_PER_JOB)))
            while (strip + 1) * side <= b:
                yield from self._hand_over(strip, tiles, touched)
                strip += 1
        for rest in range(strip, last):
            yield from self._hand_over(rest, tiles, touched)

    def _tiles(self, dates: int) -> np.ndarray:
        """The ring, without data; its memory is kept, since the first touch of new memory is dear."""
        side = self.spec.chunk[-1]
        shape = (self.ring, self.window.nx // side, dates, side, side)
        if self.memory.size < math.prod(shape):
            self.memory = np.empty(math.prod(shape), np.float32)
        tiles = self.memory[: math.prod(shape)].reshape(shape)
        tiles.fill(np.nan)
        return tiles

    def _hand_over(self, strip: int, tiles: np.ndarray, touched: set[int]) -> Iterator[tuple[int, np.ndarray | None]]:
        if strip not in touched:
            yield strip, None
        else:
            yield strip, tiles[strip % self.ring]

    def _clear(self, slot: np.ndarray, strip: int) -> None:
        """Forget an earlier strip where this one will not cover it; elsewhere nothing is ever written."""
        side, end = self.spec.chunk[-1], self.first_row + self.rows.size
        if strip * side < self.first_row or (strip + 1) * side > end:
            slot[...] = np.nan

    def _copy(
        self,
        key: tuple[int, int, int],
        rows: tuple[int, int],
        dates: slice,
        tiles: np.ndarray,
        local: threading.local,
    ) -> None:
        if not hasattr(local, "buffers"):
            local.buffers = self.reader.buffers()
        t, y, x = key
        depth = self.reader.chunks[0]
        start, stop = max(t, dates.start), min(t + depth, dates.stop, self.reader.shape[0])
        c, d = self.spans[x]
        a, b = rows
        resample.scatter_chunk(
            self.reader.read(key, local.buffers),
            (start - t, stop - t),
            tiles,
            start - dates.start,
            self.rows[a - self.first_row : b - self.first_row],
            a,
            y,
            self.cols[c:d],
            c + self.first_col,
            x,
        )


@dataclass
class _GatheredStrips:
    """Make tiles from windows of the source, whatever its grid."""

    source: xr.Dataset
    placement: Placement
    spec: ArraySpec
    window: Window
    resampling: Resampling
    pool: Executor

    def make(self, first: int, last: int, dates: slice) -> Iterator[tuple[int, np.ndarray | None]]:
        """Strips ``first`` to ``last`` of some dates."""
        side, wide = self.spec.chunk[-1], self.spec.tile[-1]
        here = slice(dates.start, min(dates.stop, self.spec.dates))
        shape = (self.window.nx // side, dates.stop - dates.start, side, side)
        for strip in range(first, last):
            tiles = np.full(shape, np.nan, np.float32)
            top = self.window.row + strip * side

            def fill(col: int, top: int = top, tiles: np.ndarray = tiles) -> bool:
                part = Window(self.window.n, top, self.window.col + col * wide, side, wide)
                block = np.full((here.stop - here.start, side, wide), np.nan, np.float32)
                found = self._gather(part, here, block)
                for x in range(wide // side if found else 0):
                    tiles[col * (wide // side) + x, : block.shape[0]] = block[..., x * side : (x + 1) * side]
                return found

            found = _all(self.pool, fill, range(self.window.nx // wide))
            yield strip, tiles if any(found) else None

    def _gather(self, part: Window, dates: slice, out: np.ndarray) -> bool:
        rows, cols = self.placement.positions(part)
        needed = _needed(rows, cols, self.placement.ratio, _shape(self.source))
        if needed is None:
            return False
        size = (dates.stop - dates.start) * 4 * (needed[0].stop - needed[0].start) * (needed[1].stop - needed[1].start)
        if size > _MEMORY_OF_WINDOW and max(part.shape) > 1:
            halves = _halves(part)
            found = [self._gather(half, dates, out[(..., *half.slices_in(part))]) for half in halves]
            return any(found)
        values = _load(self.source.displacement.isel(time=dates, y=needed[0], x=needed[1]))
        if self.resampling != "nearest" and "valid" in self.source:
            unused = ~_load(self.source.valid.isel(y=needed[0], x=needed[1])) & ~values.any(axis=0)
            values = np.where(unused, np.float32(np.nan), values)
        _gather(values, rows - needed[0].start, cols - needed[1].start, self.resampling, self.placement.ratio, out)
        return True


def write_layers(
    layout: Layout,
    specs: Sequence[ArraySpec],
    source: xr.Dataset,
    placement: Placement,
    *,
    resampling: Resampling,
    workers: int,
    advance: Callable[[int], None],
) -> dict[str, set[int]]:
    """
    Write the 2-D variables: masks by nearest, look vectors as unit vectors.

    Parameters
    ----------
    layout : Layout
        Where they go.
    specs : sequence of ArraySpec
        Variables to write.
    source : xr.Dataset
        Canonical dataset on the source's grid.
    placement : Placement
        From source to lattice.
    resampling : {"nearest", "bilinear", "average"}
        How floating variables are moved.
    workers : int
        Threads; fewer where a row of shards is so wide that they would need more than `MEMORY_OF_TILES`.
    advance : callable
        Called with the number of bytes made, by any of them.

    Returns
    -------
    dict of str to set of int
        Bands that got data, for each variable.
    """
    names = [spec.name for spec in specs]
    together = [list(LOS)] if set(LOS) <= set(names) else []
    batches = together + [[name] for name in names if not together or name not in LOS]
    by_name = {spec.name: spec for spec in specs}
    bands: dict[str, set[int]] = {name: set() for name in names}
    if not specs:
        return bands
    side = specs[0].tile[-1]
    rows = range(layout.window.ny // side)

    def write(row: int, batch: list[str]) -> list[tuple[str, int]]:
        """Shards of one row; the variables and bands that got data."""
        top = layout.window.row + row * side
        parts = [
            Window(layout.window.n, top, layout.window.col + c * side, side, side)
            for c in range(layout.window.nx // side)
        ]
        found = []
        for col, blocks in enumerate(_gather_layers(source[batch], parts, placement, resampling)):
            for name, block in blocks.items():
                band = _write_layer(layout, by_name[name], row, col, block)
                if band is not None:
                    found.append((name, band))
        advance(len(batch) * side * layout.window.nx * 4)
        return found

    jobs = list(itertools.product(rows, batches))
    nbytes = 2 * len(LOS) * side * layout.window.nx * 4  # of a job: source and blocks of a row
    with ThreadPoolExecutor(max(1, min(workers, MEMORY_OF_TILES // nbytes))) as pool:
        for found in pool.map(write, *zip(*jobs, strict=True)):
            for name, band in found:
                bands[name].add(band)
    return bands


def _write_layer(layout: Layout, spec: ArraySpec, row: int, col: int, block: np.ndarray) -> int | None:
    """Write one shard of a 2-D array; the band that it is in, or None without data."""
    height = spec.chunk[0]
    strips = {y // height: block[y : y + height] for y in range(0, block.shape[0], height)}
    strips = {y: s for y, s in strips.items() if (s.any() if s.dtype == bool else resample.has_data(s))}
    if not strips:
        return None
    band, key = layout.object_key(spec.name, row, col, spec)
    with layout.storage.writer(key) as file:
        writer = ShardWriter(file, spec)
        for y, strip in strips.items():
            writer.add((y, 0), encode(strip))
        writer.finish()
    return band


def _gather_layers(
    source: xr.Dataset, parts: Sequence[Window], placement: Placement, resampling: Resampling
) -> Iterator[dict[str, np.ndarray]]:
    """Blocks of some variables, for each part of a row."""
    positions = [placement.positions(part) for part in parts]
    needed = [_needed(rows, cols, placement.ratio, _shape(source)) for rows, cols in positions]
    spans = [n[0] for n in needed if n is not None]
    if not spans:
        return
    rows_needed = slice(min(s.start for s in spans), max(s.stop for s in spans))
    loaded = source.isel(y=rows_needed).compute(scheduler="synchronous")
    for col, (rows, cols) in enumerate(positions):
        blocks = {}
        for name, variable in loaded.data_vars.items():
            values = variable.values[np.newaxis]
            nearest = resampling == "nearest" or values.dtype == bool
            block = np.full((1, *parts[col].shape), np.nan if values.dtype.kind == "f" else 0, values.dtype)
            if needed[col] is not None:
                how: Resampling = "nearest" if nearest else resampling
                _gather(values, rows - rows_needed.start, cols, how, placement.ratio, block)
            blocks[str(name)] = block[0]
        if resampling != "nearest" and set(LOS) <= set(blocks):
            length = np.sqrt(sum(blocks[name].astype("float64") ** 2 for name in LOS))
            for name in LOS:
                blocks[name] = (blocks[name] / length).astype("float32")
        yield blocks


def _gather(
    values: np.ndarray, rows: np.ndarray, cols: np.ndarray, how: Resampling, ratio: tuple[float, float], out: np.ndarray
) -> None:
    values = np.ascontiguousarray(values)
    if how == "nearest" and rows.shape[1] == 1:
        _take(values, rows[:, 0], cols[0], out)
        return
    rows, cols = (np.array(p, order="C") for p in np.broadcast_arrays(rows, cols))
    if how == "average" and max(ratio) > 1:
        resample.gather_average(values, rows, cols, max(1.0, ratio[0]), max(1.0, ratio[1]), out)
    elif how == "bilinear":
        resample.gather_bilinear(values, rows, cols, out)
    else:
        resample.gather_nearest(values, rows, cols, out)


def _take(values: np.ndarray, rows: np.ndarray, cols: np.ndarray, out: np.ndarray) -> None:
    """Nearest pixels of a grid whose rows and columns are those of the target."""
    (y, first_row), (x, first_col) = _nearest(rows, values.shape[1]), _nearest(cols, values.shape[2])
    if not (y.size and x.size):
        return
    target = out[:, first_row : first_row + y.size, first_col : first_col + x.size]
    if y[-1] - y[0] == y.size - 1 and x[-1] - x[0] == x.size - 1:
        target[...] = values[:, y[0] : y[-1] + 1, x[0] : x[-1] + 1]
    else:
        target[...] = values[:, y[:, np.newaxis], x]


def _needed(
    rows: np.ndarray, cols: np.ndarray, ratio: tuple[float, float], shape: tuple[int, int]
) -> tuple[slice, slice] | None:
    """Source rows and columns that target positions need; None if they lie outside."""
    inside_rows, inside_cols = (rows > -1) & (rows < shape[0]), (cols > -1) & (cols < shape[1])
    if rows.shape == cols.shape:  # no open grid: a row and a column belong to one pixel
        inside_rows = inside_cols = inside_rows & inside_cols
    if not (inside_rows.any() and inside_cols.any()):
        return None
    spans = []
    for position, size, scale in ((rows[inside_rows], shape[0], ratio[0]), (cols[inside_cols], shape[1], ratio[1])):
        margin = 1 + max(1.0, scale) / 2
        start, stop = int(np.floor(position.min() - margin)), int(np.ceil(position.max() + margin)) + 1
        spans.append(slice(max(0, start), min(size, stop)))
    return spans[0], spans[1]


def _nearest(positions: np.ndarray, size: int) -> tuple[np.ndarray, int]:
    """Source index of each target index that has one, and the first such target index."""
    index = np.floor(positions + 0.5 + 1e-6).astype(np.int64)
    inside = np.flatnonzero((index >= 0) & (index < size))
    first = int(inside[0]) if inside.size else 0
    return index[inside], first


def _halves(part: Window) -> tuple[Window, Window]:
    if part.ny >= part.nx:
        top = part.ny // 2
        return (
            Window(part.n, part.row, part.col, top, part.nx),
            Window(part.n, part.row + top, part.col, part.ny - top, part.nx),
        )
    left = part.nx // 2
    return (
        Window(part.n, part.row, part.col, part.ny, left),
        Window(part.n, part.row, part.col + left, part.ny, part.nx - left),
    )


def _shape(source: xr.Dataset) -> tuple[int, int]:
    return source.sizes["y"], source.sizes["x"]


def _load(array: xr.DataArray) -> np.ndarray:
    return array.compute(scheduler="synchronous").values


def _all[T, R](pool: Executor, job: Callable[[T], R], items: Sequence[T] | range) -> list[R]:
    """Run a job on every item and wait; the first error is raised."""
    return list(pool.map(job, items))
