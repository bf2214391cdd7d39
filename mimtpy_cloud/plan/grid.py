"""Grids as values: a regular pixel grid, and windows of the global lattice.

A `Grid` is what a file has. A `Window` is a rectangle of whole pixels of the global EPSG:4326
lattice with ``n`` pixels a degree: pixel edges at whole degrees, row 0 at 90 N, column 0 at 180 W.
A pixel belongs to exactly one band (floor of the latitude of its centre).
"""

import math
from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np

from mimtpy_cloud.errors import GridMismatchError

__all__ = ["Grid", "Window", "bands_between", "turned", "union"]

#: A position within this fraction of a pixel of a lattice line lies on it.
ON_LATTICE = 1e-3
#: Rounding guard for edges written as decimal strings, in pixels.
_EPS = 1e-6

#: west, south, east, north
Bounds = tuple[float, float, float, float]


@dataclass(frozen=True)
class Grid:
    """
    A north-up grid described by its outer upper-left corner.

    Parameters
    ----------
    west, north : float
        Outer corner of the first pixel (MintPy's ``X_FIRST``, ``Y_FIRST``), in units of `crs`.
    dx, dy : float
        Pixel size, both positive.
    nx, ny : int
        Number of columns and rows.
    crs : str
        Coordinate reference system, for example ``"EPSG:4326"``.

    Examples
    --------
    >>> grid = Grid(west=100, north=40, dx=0.01, dy=0.01, nx=8, ny=6)
    >>> [round(v, 6) for v in grid.bounds]
    [100, 39.94, 100.08, 40]
    >>> round(float(grid.y[0]), 6), round(float(grid.x[0]), 6)
    (39.995, 100.005)
    """

    west: float
    north: float
    dx: float
    dy: float
    nx: int
    ny: int
    crs: str = "EPSG:4326"

    def __post_init__(self) -> None:
        if not (self.dx > 0 and self.dy > 0 and self.nx > 0 and self.ny > 0):
            raise GridMismatchError(
                f"a grid needs positive steps and sizes, got dx={self.dx}, dy={self.dy}, nx={self.nx}, ny={self.ny}"
            )

    @property
    def x(self) -> np.ndarray:
        """Columns' pixel centres, west to east."""
        return self.west + (np.arange(self.nx) + 0.5) * self.dx

    @property
    def y(self) -> np.ndarray:
        """Rows' pixel centres, north to south."""
        return self.north - (np.arange(self.ny) + 0.5) * self.dy

    @property
    def bounds(self) -> Bounds:
        """Outer edges: west, south, east, north."""
        return self.west, self.north - self.ny * self.dy, self.west + self.nx * self.dx, self.north

    @property
    def transform(self) -> tuple[float, float, float, float, float, float]:
        """GDAL geotransform: (west, dx, 0, north, 0, -dy)."""
        return self.west, self.dx, 0.0, self.north, 0.0, -self.dy

    def box(self, bounds: Bounds) -> tuple[slice, slice]:
        """
        Rows and columns whose pixel centres lie in a half-open box.

        Parameters
        ----------
        bounds : tuple of float
            West, south, east, north. West and north edges include a centre that lies on them.

        Returns
        -------
        rows, columns : slice

        Raises
        ------
        GridMismatchError
            If the box is malformed, or holds no pixel.

        Examples
        --------
        >>> Grid(100, 40, 0.01, 0.01, 8, 6).box((100.02, 39.96, 100.05, 39.99))
        (slice(1, 4, None), slice(2, 5, None))
        """
        west, south, east, north = turned(bounds, self.bounds)
        rows = _centres((self.north - north) / self.dy, (self.north - south) / self.dy, self.ny)
        cols = _centres((west - self.west) / self.dx, (east - self.west) / self.dx, self.nx)
        if rows.start >= rows.stop or cols.start >= cols.stop:
            have = ", ".join(f"{v:.6g}" for v in self.bounds)
            raise GridMismatchError(f"box {bounds} (west, south, east, north) holds no pixel of the grid [{have}]")
        return rows, cols

    def crop(self, rows: slice, cols: slice) -> "Grid":
        """
        Keep a contiguous block of rows and columns.

        Parameters
        ----------
        rows, cols : slice
            As `box` returns them.

        Returns
        -------
        Grid
        """
        return replace(
            self,
            west=self.west + cols.start * self.dx,
            north=self.north - rows.start * self.dy,
            nx=cols.stop - cols.start,
            ny=rows.stop - rows.start,
        )

    @classmethod
    def from_centres(cls, x: np.ndarray, y: np.ndarray, crs: str = "EPSG:4326", *, step: float | None = None) -> "Grid":
        """
        Recover the grid from coordinate arrays of pixel centres.

        Parameters
        ----------
        x, y : np.ndarray
            Evenly spaced centres; `x` ascending, `y` descending, at least two of each, or one and `step`.
        crs : str
            Coordinate reference system.
        step : float, optional
            Pixel size along a coordinate that has only one value.

        Returns
        -------
        Grid

        Raises
        ------
        GridMismatchError
            If a coordinate has too few values, or is not evenly spaced in that order.
        """
        steps = []
        for name, c, sign in (("x", x, 1.0), ("y", y, -1.0)):
            if c.shape == (1,) and step is not None:
                steps.append(step)
                continue
            if c.ndim != 1 or c.size < 2:
                raise GridMismatchError(
                    f"coordinate {name} needs at least two pixel centres, got shape {c.shape}; select more, or say how "
                    "large a single pixel is: attribute pixels_per_degree"
                )
            found = sign * (float(c[-1]) - float(c[0])) / (c.size - 1)
            if not 0 < found < math.inf or not np.allclose(np.diff(c), sign * found, rtol=0, atol=ON_LATTICE * found):
                raise GridMismatchError(
                    f"coordinate {name} must be evenly spaced, x west to east and y north to south; sort it first"
                )
            steps.append(found)
        dx, dy = steps
        return cls(float(x[0]) - dx / 2, float(y[0]) + dy / 2, dx, dy, x.size, y.size, crs)

    def rounded(self) -> "Grid":
        """
        Remove the rounding that corner and step have from pixel centres.

        Returns
        -------
        Grid
            On the global lattice exactly where the pixels lie on one; else with corner and step as the
            shortest decimal numbers within 1e-9 of a pixel over the whole grid.

        Examples
        --------
        >>> Grid(-118.99999999999999, 37.0, 0.00800000000000002, 0.008, 10, 10).rounded()
        Grid(west=-119.0, north=37.0, dx=0.008, dy=0.008, nx=10, ny=10, crs='EPSG:4326')
        """
        if self.crs == "EPSG:4326" and self.dx < 0.5:
            try:
                return Window.of(self.x, self.y, round(1 / self.dx)).grid
            except GridMismatchError:
                pass  # its own grid
        return replace(
            self,
            west=_shortest(self.west, 1e-9 * self.dx),
            north=_shortest(self.north, 1e-9 * self.dy),
            dx=_shortest(self.dx, 1e-9 * self.dx / self.nx),
            dy=_shortest(self.dy, 1e-9 * self.dy / self.ny),
        )


def _shortest(value: float, tolerance: float) -> float:
    return round(value, math.ceil(-math.log10(tolerance)))


def _box(bounds: Bounds) -> Bounds:
    try:
        west, south, east, north = map(float, bounds)
    except (TypeError, ValueError):
        west = south = east = north = math.nan
    if not (west < east and south < north and all(map(math.isfinite, (west, south, east, north)))):
        raise GridMismatchError(
            f"a box is west, south, east, north, finite, with west < east and south < north, got {bounds!r}"
        )
    return west, south, east, north


def _centres(first: float, last: float, size: int) -> slice:
    """Indices i with first <= i + 0.5 < last, clipped to ``[0, size)``."""
    return slice(max(0, math.ceil(first - 0.5 - _EPS)), min(size, max(0, math.ceil(last - 0.5 - _EPS))))


@dataclass(frozen=True, order=True)
class Window:
    """
    A rectangle of whole pixels on the global lattice.

    Parameters
    ----------
    n : int
        Pixels a degree.
    row, col : int
        First row (from 90 N) and column (from 180 W).
    ny, nx : int
        Number of rows and columns.

    Examples
    --------
    >>> w = Window.covering(125, (-119.536, 35.8, -118.344, 38.136))
    >>> w.shape, w.bands
    ((292, 149), (38, 37, 36, 35))
    """

    n: int
    row: int
    col: int
    ny: int
    nx: int

    @classmethod
    def covering(cls, n: int, bounds: Bounds) -> "Window":
        """
        Cover bounds with whole pixels.

        Parameters
        ----------
        n : int
            Pixels a degree.
        bounds : tuple of float
            West, south, east, north in degrees.

        Returns
        -------
        Window

        Raises
        ------
        GridMismatchError
            If the bounds are malformed.
        """
        west, south, east, north = _box(bounds)
        row, col = math.floor((90 - north) * n + ON_LATTICE), math.floor((west + 180) * n + ON_LATTICE)
        end_row, end_col = math.ceil((90 - south) * n - ON_LATTICE), math.ceil((east + 180) * n - ON_LATTICE)
        return cls(n, row, col, end_row - row, end_col - col)

    @classmethod
    def within(cls, n: int, bounds: Bounds) -> "Window":
        """
        Select pixels whose centres lie in half-open bounds.

        Parameters
        ----------
        n : int
            Pixels a degree.
        bounds : tuple of float
            West, south, east, north in degrees.

        Returns
        -------
        Window
            May be empty.

        Raises
        ------
        GridMismatchError
            If the box is malformed.
        """
        west, south, east, north = _box(bounds)
        rows = _centres((90 - north) * n, (90 - south) * n, 180 * n)
        cols = _centres((west + 180) * n, (east + 180) * n, 10**9)
        return cls(n, rows.start, cols.start, max(0, rows.stop - rows.start), max(0, cols.stop - cols.start))

    @property
    def shape(self) -> tuple[int, int]:
        """Rows and columns."""
        return self.ny, self.nx

    @property
    def empty(self) -> bool:
        """Whether the window holds no pixel."""
        return self.ny <= 0 or self.nx <= 0

    @property
    def rows(self) -> slice:
        """Global rows."""
        return slice(self.row, self.row + self.ny)

    @property
    def cols(self) -> slice:
        """Global columns."""
        return slice(self.col, self.col + self.nx)

    @property
    def x(self) -> np.ndarray:
        """Longitudes of the pixel centres; equal integers give equal floats."""
        return (np.arange(self.col, self.col + self.nx) + 0.5) / self.n - 180.0

    @property
    def y(self) -> np.ndarray:
        """Latitudes of the pixel centres, north to south."""
        return 90.0 - (np.arange(self.row, self.row + self.ny) + 0.5) / self.n

    @property
    def bounds(self) -> Bounds:
        """Outer edges: west, south, east, north in degrees."""
        n = self.n
        return (self.col / n - 180, 90 - (self.row + self.ny) / n, (self.col + self.nx) / n - 180, 90 - self.row / n)

    @property
    def grid(self) -> Grid:
        """The same pixels as a `Grid`."""
        west, _, _, north = self.bounds
        return Grid(west, north, 1 / self.n, 1 / self.n, self.nx, self.ny)

    @property
    def bands(self) -> tuple[int, ...]:
        """One-degree bands that the window touches, north to south; none if it is empty."""
        if self.empty:
            return ()
        return tuple(89 - b for b in range(self.row // self.n, (self.row + self.ny - 1) // self.n + 1))

    def band(self, band: int) -> "Window":
        """
        Cut out the part that lies in a one-degree band.

        Parameters
        ----------
        band : int
            Floor of the latitude; -1 is [-1, 0).

        Returns
        -------
        Window
            May be empty.
        """
        return self & replace(self, row=(89 - band) * self.n, ny=self.n)

    def __and__(self, other: "Window") -> "Window":
        """Intersection; empty where there is none."""
        self._same_lattice(other)
        row, col = max(self.row, other.row), max(self.col, other.col)
        end_row = min(self.row + self.ny, other.row + other.ny)
        end_col = min(self.col + self.nx, other.col + other.nx)
        return Window(self.n, row, col, max(0, end_row - row), max(0, end_col - col))

    def __or__(self, other: "Window") -> "Window":
        """Smallest window that holds both."""
        self._same_lattice(other)
        if self.empty or other.empty:
            return other if self.empty else self
        row, col = min(self.row, other.row), min(self.col, other.col)
        end_row = max(self.row + self.ny, other.row + other.ny)
        end_col = max(self.col + self.nx, other.col + other.nx)
        return Window(self.n, row, col, end_row - row, end_col - col)

    def aligned(self, tile: int) -> "Window":
        """
        Grow to multiples of a tile size on the global lattice.

        Parameters
        ----------
        tile : int
            Tile side in pixels.

        Returns
        -------
        Window
        """
        row, col = self.row // tile * tile, self.col // tile * tile
        end_row, end_col = -(-(self.row + self.ny) // tile) * tile, -(-(self.col + self.nx) // tile) * tile
        return Window(self.n, row, col, end_row - row, end_col - col)

    def tiles(self, tile: int) -> Iterator["Window"]:
        """
        Split at multiples of a tile size on the global lattice, row by row.

        Parameters
        ----------
        tile : int
            Tile side in pixels.

        Yields
        ------
        Window
            Parts of this window; together they cover it once. None if it is empty.
        """
        if self.empty:
            return
        for row in range(self.row // tile * tile, self.row + self.ny, tile):
            for col in range(self.col // tile * tile, self.col + self.nx, tile):
                yield self & Window(self.n, row, col, tile, tile)

    def slices_in(self, outer: "Window") -> tuple[slice, slice]:
        """
        Rows and columns of this window inside an array that covers another.

        Parameters
        ----------
        outer : Window
            Window that the array covers; it must hold this one.

        Returns
        -------
        rows, columns : slice
        """
        row, col = self.row - outer.row, self.col - outer.col
        return slice(row, row + self.ny), slice(col, col + self.nx)

    @classmethod
    def of(cls, x: np.ndarray, y: np.ndarray, n: int | None = None) -> "Window":
        """
        Recover the window from coordinates of lattice pixel centres.

        Parameters
        ----------
        x, y : np.ndarray
            Pixel centres, `x` ascending and `y` descending.
        n : int, optional
            Pixels a degree; found from the spacing if not given.

        Returns
        -------
        Window

        Raises
        ------
        GridMismatchError
            If the coordinates are not whole pixels of a lattice, or there are none.
        """
        if not (x.size and y.size):
            raise GridMismatchError("coordinates of no pixel have no place on the lattice; select at least one pixel")
        if n is None:
            n = round(1 / Grid.from_centres(x, y).dx)
        col, row = (float(x[0]) + 180) * n - 0.5, (90 - float(y[0])) * n - 0.5
        window = cls(n, round(row), round(col), y.size, x.size)
        ends = (window.x[-1] - x[-1]) * n, (window.y[-1] - y[-1]) * n
        if max(abs(row - window.row), abs(col - window.col), abs(ends[0]), abs(ends[1])) > ON_LATTICE:
            raise GridMismatchError(
                f"coordinates are not on the lattice of {n} pixels a degree; ingest the source, or resample it first"
            )
        return window

    def _same_lattice(self, other: "Window") -> None:
        if self.n != other.n:
            raise GridMismatchError(
                f"tracks need one resolution, got {self.n} and {other.n} pixels a degree; ingest both at one resolution"
            )


def turned(box: Bounds, extent: Bounds) -> Bounds:
    """
    Shift a box by a whole turn to where it covers most of an extent.

    Parameters
    ----------
    box : tuple of float
        West, south, east, north in degrees; one of 360 degrees or more covers all.
    extent : tuple of float
        The same of what is to be cut; its east edge may be beyond 180. One that is not in degrees changes nothing.

    Returns
    -------
    tuple of float

    Raises
    ------
    GridMismatchError
        If the box is malformed.

    Examples
    --------
    >>> turned((-180.0, -18.0, -179.0, -17.0), (178.5, -19.0, 180.9, -16.0))
    (180.0, -18.0, 181.0, -17.0)
    """
    west, south, east, north = _box(box)
    if not (extent[1] >= -90.001 and extent[3] <= 90.001 and extent[0] >= -540 and extent[2] <= 540):
        return box

    if east - west >= 360:
        return extent[0], south, extent[2], north

    def covered(turn: float) -> float:
        return min(east + turn, extent[2]) - max(west + turn, extent[0])

    turn = max((0.0, 360.0, -360.0), key=covered)
    return (west + turn, south, east + turn, north) if covered(turn) > 0 else box


def union(windows: list[Window]) -> Window:
    """
    Find the smallest window that holds all.

    Parameters
    ----------
    windows : list of Window
        At least one, all on one lattice.

    Returns
    -------
    Window
    """
    first, *rest = windows
    for window in rest:
        first |= window
    return first


def bands_between(south: float, north: float) -> list[int]:
    """
    List the one-degree bands that a latitude range touches, south to north.

    Parameters
    ----------
    south, north : float
        Edges in degrees; the north edge is exclusive.

    Returns
    -------
    list of int

    Examples
    --------
    >>> bands_between(34.0, 35.0), bands_between(34.0, 36.5), bands_between(-0.5, 0.5)
    ([34], [34, 35, 36], [-1, 0])
    """
    return list(range(math.floor(south + _EPS), math.ceil(north - _EPS)))
