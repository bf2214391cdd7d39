"""Lay arrays of different windows of one lattice over one another, in one graph layer and without padding.

A `Sheet` is what one track contributes: arrays of one window. The output is cut at every chunk border of every
sheet, so that a block of it needs at most one block of each array, and depends on those blocks alone. Tasks are made
when a graph is culled for computing, so that building costs the same for ten blocks and for a million.
"""

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import product
from typing import Any

import dask.array as da
import numpy as np
from dask.base import tokenize
from dask.blockwise import Blockwise
from dask.graph_manipulation import clone
from dask.highlevelgraph import HighLevelGraph, Layer, MaterializedLayer

from mimtpy_cloud.plan.grid import Window
from mimtpy_cloud.plan.overlay import Layout, Place

__all__ = ["Patch", "Sheet", "lay", "lazy_array", "masked", "read_apart", "window_task"]

Key = tuple[Any, ...]
Graph = Mapping[Any, Any]


@dataclass(frozen=True)
class Sheet:
    """Arrays of shape ``(y, x)``, or ``(time, y, x)`` with one chunk of time, that cover one window."""

    window: Window
    arrays: tuple[da.Array, ...]


@dataclass(frozen=True, slots=True)
class Patch:
    """What a sheet gives to an output block: its index, where it goes, and one view of each array."""

    sheet: int
    row: int
    col: int
    views: tuple[np.ndarray, ...]


def masked(patch: Patch, first: int = 0) -> np.ndarray:
    """
    Blank the data of a patch where they are not valid.

    Parameters
    ----------
    patch : Patch
        Its views are `first` others, the data, and `valid` if there is one.
    first : int
        Number of the others.

    Returns
    -------
    np.ndarray
    """
    values, *valid = patch.views[first:]
    return np.where(valid[0], values, np.float32(np.nan)) if valid else values


def read_apart(sheet: Sheet, purpose: str) -> Sheet:
    """
    Give the same sheet under other names, to be read once more for something that has to be known first.

    Parameters
    ----------
    sheet : Sheet
        Any.
    purpose : str
        Distinguishes the names.

    Returns
    -------
    Sheet

    Notes
    -----
    With the same names all blocks that are read for an estimate would wait in memory until they are used again.
    """
    return Sheet(sheet.window, tuple(clone(a, seed=purpose) if _is_plain(a) else a for a in sheet.arrays))


def _is_plain(array: da.Array) -> bool:
    """Whether dask's `clone` renames all tasks of an array: it leaves those of other layers tied to the old names."""
    graph = array.dask
    return all(
        isinstance(layer, Blockwise) or (len(layer) == 1 and not graph.dependencies[name])  # such as an open store
        for name, layer in graph.layers.items()
    )


@dataclass(frozen=True, slots=True)
class _Block:
    """Shape of an output block and the sheets on it; opaque to dask."""

    shape: tuple[int, int]
    places: tuple[Place, ...]


class _Tasks:
    """Makes the task of any output block."""

    def __init__(
        self,
        function: Callable[..., Any],
        window: Window,
        sheets: Sequence[Sheet],
        extra: Sequence[Any],
        at_least: int,
        side: int | None = None,
    ) -> None:
        self.layout = Layout(window, tuple((s.window, tuple(a.chunks[-2:] for a in s.arrays)) for s in sheets), side)
        self.function, self.at_least = function, at_least
        self.names = [[(a.name, *(0,) * (a.ndim - 2)) for a in s.arrays] for s in sheets]
        self.arguments = [(e.name, *(0,) * e.ndim) if isinstance(e, da.Array) else e for e in extra]
        self.shared = {a for e, a in zip(extra, self.arguments, strict=True) if isinstance(e, da.Array)}

    def make(self, iy: int, ix: int) -> tuple[tuple, set[Key]]:
        """Task of a block, and the keys that it depends on."""
        places = self.layout.places(iy, ix)
        if len(places) < self.at_least:
            places = ()
        keys = [[(*n, *b) for n, b in zip(self.names[p.sheet], p.blocks, strict=True)] for p in places]
        task = (_run, self.function, _Block(self.layout.shape(iy, ix), places), keys, *self.arguments)
        return task, {key for group in keys for key in group} | self.shared


class _OverlayLayer(Layer):
    """A graph layer that makes only the tasks that are asked for."""

    def __init__(self, name: str, tasks: _Tasks, lead: tuple[int, ...]) -> None:
        super().__init__()
        self.name, self.tasks, self.lead = name, tasks, lead
        self.numblocks = tuple(map(len, tasks.layout.chunks))

    def __getitem__(self, key: Any) -> tuple:
        if key not in self:
            raise KeyError(key)
        return self.tasks.make(*key[-2:])[0]

    def __contains__(self, key: object) -> bool:
        head = (self.name, *self.lead)
        return (
            isinstance(key, tuple)
            and key[:-2] == head
            and all(0 <= k < n for k, n in zip(key[-2:], self.numblocks, strict=True))
        )

    def __iter__(self) -> Iterator[Key]:
        return ((self.name, *self.lead, *index) for index in product(*map(range, self.numblocks)))

    def __len__(self) -> int:
        return self.numblocks[0] * self.numblocks[1]

    def is_materialized(self) -> bool:
        return False

    def get_output_keys(self) -> set[Any]:
        return set(self)

    def cull(self, keys: set[Any], all_hlg_keys: Collection[Any]) -> tuple[Layer, Mapping[Any, set[Any]]]:  # noqa: ARG002
        made = {key: self.tasks.make(*key[-2:]) for key in keys if key in self}
        layer = MaterializedLayer({key: task for key, (task, _) in made.items()}, annotations=self.annotations)
        return layer, {key: needs for key, (_, needs) in made.items()}


def lay(
    function: Callable[..., np.ndarray],
    window: Window,
    sheets: Sequence[Sheet],
    *extra: Any,
    dtype: Any,
    depth: int | None = None,
    at_least: int = 0,
    side: int | None = None,
) -> da.Array:
    """
    Combine sheets block by block, lazily, in one graph layer.

    Parameters
    ----------
    function : callable
        Top-level function, or an instance of a frozen dataclass, ``(shape, patches, *extra) -> array`` of that shape,
        or ``(depth, *shape)``; `patches` is a list of `Patch` in the order of the sheets.
    window : Window
        Window of the output; sheets may lie anywhere.
    sheets : sequence of Sheet
        Arrays on one lattice.
    *extra : object
        Further arguments. A dask array must have one chunk, and arrives whole.
    dtype : dtype-like
        Type of the output.
    depth : int, optional
        Length of a leading axis of the output.
    at_least : int
        Blocks with fewer sheets get none, and read nothing.
    side : int, optional
        Largest side of a block, for outputs that are much deeper than what they are made from.

    Returns
    -------
    da.Array
        Shape `window.shape`, after the leading axis if any.
    """
    content = [(s.window, [a.name for a in s.arrays]) for s in sheets]
    called = getattr(function, "__name__", type(function).__name__)
    name = f"{called.strip('_').lower()}-{tokenize(function, window, content, extra, depth, at_least, side)}"
    tasks = _Tasks(function, window, sheets, extra, at_least, side)
    chunks: tuple[tuple[int, ...], ...] = tasks.layout.chunks
    if depth is not None:
        chunks = ((depth,), *chunks)
    inputs = [a for s in sheets for a in s.arrays] + [e for e in extra if isinstance(e, da.Array)]
    return lazy_array(name, _OverlayLayer(name, tasks, () if depth is None else (0,)), chunks, dtype, inputs)


def lazy_array(name: str, graph: Graph, chunks: tuple, dtype: Any, inputs: Sequence[da.Array]) -> da.Array:
    """
    Wrap a graph layer as an array.

    Parameters
    ----------
    name : str
        Name of the array and the layer, made by `dask.base.tokenize` from everything that the layer depends on.
    graph : mapping
        Tasks; the blocks have keys ``(name, i, ...)``.
    chunks : tuple
        Chunks of the array.
    dtype : dtype-like
        Type of the array.
    inputs : sequence of da.Array
        Arrays whose keys the graph names.

    Returns
    -------
    da.Array
    """
    layers = HighLevelGraph.from_collections(name, graph, dependencies=inputs)  # type: ignore[arg-type]
    return da.Array(layers, name, chunks, meta=np.empty((0,) * len(chunks), dtype))  # type: ignore[no-untyped-call]


def window_task(function: Callable[..., np.ndarray], window: Window, sheets: Sequence[Sheet]) -> tuple:
    """
    Plan one task that computes a small window whole, whatever the chunks of the sheets.

    Parameters
    ----------
    function : callable
        Top-level function ``(shape, patches) -> array`` of that shape.
    window : Window
        Inside the windows of the sheets.
    sheets : sequence of Sheet
        Arrays on one lattice.

    Returns
    -------
    tuple
        Dask task; its result is an array of the shape of the window.
    """
    tasks = _Tasks(function, window, sheets, (), 0)
    rows, cols = tasks.layout.chunks
    parts = [tasks.make(iy, ix)[0] for iy, ix in product(range(len(rows)), range(len(cols)))]
    return parts[0] if len(parts) == 1 else (_join, rows, cols, parts)


def _join(rows: tuple[int, ...], cols: tuple[int, ...], parts: list[np.ndarray]) -> np.ndarray:
    return np.block([parts[k * len(cols) : (k + 1) * len(cols)] for k in range(len(rows))])


def _run(function: Callable[..., Any], block: _Block, inputs: list[list[np.ndarray]], *extra: Any) -> Any:
    patches = [
        Patch(p.sheet, p.row, p.col, tuple(array[..., *inner] for array, inner in zip(arrays, p.inner, strict=True)))
        for p, arrays in zip(block.places, inputs, strict=True)
    ]
    return function(block.shape, patches, *extra)
