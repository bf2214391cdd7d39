"""Gather the pixels of swaths, block by block, and summarise them in bins of distance; nothing else is read."""

from typing import Any, NamedTuple

import dask.array as da
import numpy as np
import shapely
import xarray as xr
from dask.base import tokenize

from mimtpy_cloud.errors import GridMismatchError
from mimtpy_cloud.kernels.polygon import pixels_in_polygon
from mimtpy_cloud.kernels.swath import bin_indices, bin_statistics, effective_counts, rotate_to_strike
from mimtpy_cloud.ops.overlay import lazy_array
from mimtpy_cloud.ops.pixels import map_projection, near_longitude
from mimtpy_cloud.ops.select import grid_of
from mimtpy_cloud.plan.grid import Grid
from mimtpy_cloud.plan.transects import Swath, plane_of_swath, swath_outline

__all__ = ["Layout", "Recipe", "Swaths"]

#: Outlines are that much wider than swaths: their sides are straight on the map, those of the swath on the ground.
_MARGIN_KM = 0.1
#: Types of the fields of `_Places`: millions of pixels are held at a time.
_KINDS = (np.int32, np.int32, np.int32, np.float32, np.float32)
#: Rows whose pixels are told apart at once.
_ROWS = 256


class Layout(NamedTuple):
    """
    What all swaths of a dataset share.

    Attributes
    ----------
    swaths : tuple of Swath
        Where they lie.
    edges : np.ndarray
        Edges of the bins of distance, km.
    width_km : float
        Width along the fault.
    quantiles : tuple of float
        From 0 to 1.
    correlation_km : float or None
        Range of the correlation of pixels.
    """

    swaths: tuple[Swath, ...]
    edges: np.ndarray
    width_km: float
    quantiles: tuple[float, ...]
    correlation_km: float | None

    @property
    def centres(self) -> np.ndarray:
        """Middles of the bins, km."""
        return np.asarray((self.edges[:-1] + self.edges[1:]) / 2)


class Recipe(NamedTuple):
    """
    A quantity as a sum of maps.

    Attributes
    ----------
    sources : tuple of str
        Maps.
    weights : np.ndarray
        Of each swath and map, shape ``(swath, source)``.
    attrs : dict
        Of the quantity, with its unit.
    """

    sources: tuple[str, ...]
    weights: np.ndarray
    attrs: dict[str, Any]


class Swaths:
    """
    Swaths on the grid of a dataset.

    Parameters
    ----------
    ds : xr.Dataset
        With coordinates `y` and `x` in degrees of latitude and longitude.
    layout : Layout
        Where the swaths lie, and their bins.

    Raises
    ------
    GridMismatchError
        If the grid is not in degrees, a swath holds a pole, or no swath meets it.
    """

    def __init__(self, ds: xr.Dataset, layout: Layout) -> None:
        self.ds, self.layout = ds, layout
        grid = grid_of(ds)
        have = ", ".join(f"{v:.6g}" for v in grid.bounds)
        if map_projection(ds) is not None:
            raise GridMismatchError(
                f"transects need a grid in degrees, got a projection with bounds [{have}]; ingest it first"
            )
        self.shape = (grid.ny, grid.nx)
        self._outlines = [_outline(grid, swath, layout) for swath in layout.swaths]
        windows = [_window(grid, outline) for outline in self._outlines]
        if all(rows.stop <= rows.start or cols.stop <= cols.start for rows, cols in windows):
            first, last = layout.swaths[0], layout.swaths[-1]
            raise GridMismatchError(
                f"no swath from {first.lon:.6g}, {first.lat:.6g} to {last.lon:.6g}, {last.lat:.6g} (lon, lat) meets "
                f"{ds.attrs.get('track', 'the product')} [{have}]; choose another line, in longitude before latitude"
            )
        self._windows = windows
        name = f"swath-places-{tokenize(grid, layout)}"
        graph = {
            (name, k): (_Locate(grid, window, outline, swath, layout),)
            for k, (window, outline, swath) in enumerate(zip(windows, self._outlines, layout.swaths, strict=True))
        }
        #: Not an array, but a layer that all quantities depend on: the pixels of each swath.
        self._places = lazy_array(name, graph, ((1,) * len(windows),), object, [])

    def summarise(self, recipe: Recipe) -> da.Array:
        """
        Summarise a quantity.

        Parameters
        ----------
        recipe : Recipe
            Which.

        Returns
        -------
        da.Array
            Lazy, float64, shape ``(statistic, swath, bin)``, one block: as `kernels.swath.bin_statistics` has them, and
            the effective count last.
        """
        arrays = [self._data(name) for name in recipe.sources]
        layout = self.layout
        out = f"swath-{tokenize(self._places.name, [array.name for array in arrays], recipe.weights)}"
        graph: dict[tuple, tuple] = {}
        for k in range(len(layout.swaths)):
            place, parts = (self._places.name, k), []
            for n, array in enumerate(arrays):
                keys = [(f"{out}-pixels", k, n, iy, ix) for iy, ix in self._blocks(k, array.chunks)]
                for key in keys:
                    block = key[3:]
                    origin = tuple(sum(sizes[:i]) for sizes, i in zip(array.chunks, block, strict=True))
                    graph[key] = (_pick, place, (array.name, *block), *origin)
                parts.append(keys)
            graph[(f"{out}-swath", k)] = (_Reduce(recipe.weights[k], layout), place, parts)
        graph[(out, 0, 0, 0)] = (_stack, [(f"{out}-swath", k) for k in range(len(layout.swaths))])
        chunks = ((6 + len(layout.quantiles),), (len(layout.swaths),), (layout.edges.size - 1,))
        return lazy_array(out, graph, chunks, np.float64, [self._places, *arrays])

    def _data(self, name: str) -> da.Array:
        variable = self.ds.variables[name]
        data: da.Array = variable.data if variable.chunks is not None else variable.chunk().data
        return data

    def _blocks(self, k: int, chunks: tuple[tuple[int, ...], ...]) -> list[tuple[int, int]]:
        """Blocks that the outline of a swath touches."""
        rows, cols = self._windows[k]
        if rows.stop <= rows.start or cols.stop <= cols.start:
            return []
        (top, bottom), (left, right) = (_ends(sizes) for sizes in chunks)
        iy = np.flatnonzero((top < rows.stop) & (bottom > rows.start))
        ix = np.flatnonzero((left < cols.stop) & (right > cols.start))
        y, x = (v.ravel() for v in np.meshgrid(iy, ix, indexing="ij"))
        # in pixels, whose centres have whole numbers
        boxes = shapely.box(left[x] - 0.5, top[y] - 0.5, right[x] - 0.5, bottom[y] - 0.5)
        touched = shapely.intersects(shapely.polygons(self._outlines[k]), boxes)
        return [(int(a), int(b)) for a, b in zip(y[touched], x[touched], strict=True)]


class _Places(NamedTuple):
    """Pixels of a swath, row by row: where they lie in the grid and in the swath."""

    rows: np.ndarray
    cols: np.ndarray
    bins: np.ndarray
    across: np.ndarray
    along: np.ndarray


def _outline(grid: Grid, swath: Swath, layout: Layout) -> np.ndarray:
    """Corners of a rectangle that holds the pixels of a swath for certain, as columns and rows of the grid."""
    low, high = float(layout.edges[0]) - _MARGIN_KM, float(layout.edges[-1]) + _MARGIN_KM
    lon, lat = swath_outline(swath, low, high, layout.width_km + 2 * _MARGIN_KM).T
    if np.abs(np.diff(lon)).max() > 180:
        raise GridMismatchError(
            f"the swath at {swath.lon:.6g}, {swath.lat:.6g} (lon, lat) holds a pole, about which degrees are no grid; "
            "shorten the profiles, or leave that part of the trace out"
        )
    middle = grid.west + grid.nx * grid.dx / 2
    lon = lon + float(near_longitude(swath.lon, middle)) - swath.lon
    return np.column_stack([(lon - grid.west) / grid.dx - 0.5, (grid.north - lat) / grid.dy - 0.5])


def _window(grid: Grid, outline: np.ndarray) -> tuple[slice, slice]:
    """Rows and columns between the extremes of an outline."""
    (west, north), (east, south) = np.floor(outline.min(axis=0)), np.ceil(outline.max(axis=0))
    rows = slice(max(0, int(north)), min(grid.ny, int(south) + 1))
    cols = slice(max(0, int(west)), min(grid.nx, int(east) + 1))
    return rows, cols


class _Locate:
    """Find the pixels of a swath; opaque to dask."""

    def __init__(
        self, grid: Grid, window: tuple[slice, slice], outline: np.ndarray, swath: Swath, layout: Layout
    ) -> None:
        self.grid, self.window, self.outline, self.swath, self.layout = grid, window, outline, swath, layout

    def __call__(self) -> _Places:
        rows, cols = self.window
        strips = [slice(top, min(top + _ROWS, rows.stop)) for top in range(rows.start, rows.stop, _ROWS)]
        none = _Places(*(np.zeros(0, kind) for kind in _KINDS))
        found = [self._strip(np.arange(strip.start, strip.stop), np.arange(cols.start, cols.stop)) for strip in strips]
        return _Places(*(np.concatenate(parts) for parts in zip(none, *found, strict=True)))

    def _strip(self, rows: np.ndarray, cols: np.ndarray) -> _Places:
        """Pixels of some rows: roughly by the outline, then by their coordinates on the ground."""
        layout, swath = self.layout, self.swath
        row, col = np.nonzero(pixels_in_polygon(cols, rows, self.outline))
        row, col = rows[row], cols[col]
        east, north = plane_of_swath(self.grid.x[col], self.grid.y[row], swath)
        across, along = rotate_to_strike(east, north, swath.strike)
        across = across * swath.side
        bins = bin_indices(across, layout.edges)
        keep = (bins >= 0) & (np.abs(along) <= layout.width_km / 2)
        found = (
            values[keep].astype(kind) for values, kind in zip((row, col, bins, across, along), _KINDS, strict=True)
        )
        return _Places(*found)


def _ends(sizes: tuple[int, ...]) -> tuple[np.ndarray, np.ndarray]:
    """First row or column of each block, and the first beyond it."""
    ends = np.cumsum(sizes)
    return ends - sizes, ends


def _pick(places: _Places, block: np.ndarray, top: int, left: int) -> tuple[np.ndarray, np.ndarray]:
    """Numbers of the pixels of a swath that a block holds, and their values."""
    block = np.asarray(block)
    rows, cols = places.rows - top, places.cols - left
    here = np.flatnonzero((rows >= 0) & (rows < block.shape[0]) & (cols >= 0) & (cols < block.shape[1]))
    return here, block[rows[here], cols[here]].astype(np.float64)


class _Reduce:
    """Summarise the pixels of a swath; opaque to dask."""

    def __init__(self, weights: np.ndarray, layout: Layout) -> None:
        self.weights, self.layout = weights, layout

    def __call__(self, places: _Places, parts: list[list[tuple[np.ndarray, np.ndarray]]]) -> np.ndarray:
        total = np.zeros(places.rows.size)
        for weight, picks in zip(self.weights, parts, strict=True):
            values = np.full(total.size, np.nan)
            for here, found in picks:
                values[here] = found
            total = total + weight * values
        layout, count = self.layout, self.layout.edges.size - 1
        table = bin_statistics(total, places.bins, count, layout.quantiles)
        effective = table[4]
        if layout.correlation_km is not None:
            known = np.isfinite(total)
            effective = effective_counts(known, places.bins, places.across, places.along, count, layout.correlation_km)
        return np.vstack([table, effective])


def _stack(tables: list[np.ndarray]) -> np.ndarray:
    return np.stack(tables, axis=1)
