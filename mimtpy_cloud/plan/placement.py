"""Where the pixels of a source go on the lattice."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

import numpy as np

from mimtpy_cloud.errors import SchemaError
from mimtpy_cloud.plan.grid import ON_LATTICE, Grid, Window

__all__ = ["Placement", "ProjectedPlacement", "RegularPlacement", "ScatteredPlacement"]

#: The nearest source pixel of scattered points counts within this many pixel spacings: slopes stretch them.
_REACH = 1.5


class Placement(Protocol):
    """Source positions of target pixels."""

    @property
    def window(self) -> Window:
        """Target pixels."""

    @property
    def ratio(self) -> tuple[float, float]:
        """Height and width of a target pixel in source pixels."""

    def positions(self, part: Window) -> tuple[np.ndarray, np.ndarray]:
        """Source row and column of each pixel centre of `part`; 0 is the first centre, arrays broadcast to 2-D."""


@dataclass(frozen=True)
class RegularPlacement:
    """
    Place a geographic grid, whose rows and columns are those of the lattice up to scale and shift.

    Parameters
    ----------
    grid : Grid
        Source pixels, EPSG:4326.
    n : int
        Pixels a degree of the lattice.
    """

    grid: Grid
    n: int

    @property
    def window(self) -> Window:
        """Target pixels."""
        return Window.covering(self.n, self.grid.bounds)

    @property
    def ratio(self) -> tuple[float, float]:
        """Height and width of a target pixel in source pixels."""
        return 1 / (self.n * self.grid.dy), 1 / (self.n * self.grid.dx)

    @property
    def shift(self) -> tuple[float, float]:
        """Distance from the nearest lattice line, of first row and column, in target pixels."""
        north, west = (90 - self.grid.north) * self.n, (self.grid.west + 180) * self.n
        return north - round(north), west - round(west)

    @property
    def on_lattice(self) -> bool:
        """Whether source pixels are pixels of the lattice."""
        rows, cols = self.row_positions(), self.column_positions()
        ends = np.array([rows[0], cols[0], rows[-1] - (self.grid.ny - 1), cols[-1] - (self.grid.nx - 1)])
        same_size = self.window.shape == (self.grid.ny, self.grid.nx)
        return same_size and bool(np.all(np.abs(ends) < ON_LATTICE))

    def row_positions(self, window: Window | None = None) -> np.ndarray:
        """
        Source rows of target rows.

        Parameters
        ----------
        window : Window, optional
            Target pixels; all by default.

        Returns
        -------
        np.ndarray
            Float64, increasing.
        """
        return (self.grid.north - (window or self.window).y) / self.grid.dy - 0.5

    def column_positions(self, window: Window | None = None) -> np.ndarray:
        """
        Source columns of target columns.

        Parameters
        ----------
        window : Window, optional
            Target pixels; all by default.

        Returns
        -------
        np.ndarray
            Float64, increasing.
        """
        return ((window or self.window).x - self.grid.west) / self.grid.dx - 0.5

    def positions(self, part: Window) -> tuple[np.ndarray, np.ndarray]:
        """Source row and column of each pixel centre."""
        return self.row_positions(part)[:, np.newaxis], self.column_positions(part)[np.newaxis]


@dataclass(frozen=True)
class ProjectedPlacement:
    """
    Place a grid of another coordinate system.

    Parameters
    ----------
    grid : Grid
        Source pixels in its own system.
    n : int
        Pixels a degree of the lattice.
    to_source : callable
        From longitude and latitude arrays to source x and y.
    window : Window
        Target pixels.
    """

    grid: Grid
    n: int
    to_source: Callable[[np.ndarray, np.ndarray], tuple[np.ndarray, np.ndarray]]
    window: Window

    @property
    def ratio(self) -> tuple[float, float]:
        """Height and width of a target pixel in source pixels, at the centre."""
        cell = Window(self.n, self.window.row + self.window.ny // 2, self.window.col + self.window.nx // 2, 2, 2)
        rows, cols = self.positions(cell)
        height = float(np.hypot(rows[1, 0] - rows[0, 0], cols[1, 0] - cols[0, 0]))
        width = float(np.hypot(rows[0, 1] - rows[0, 0], cols[0, 1] - cols[0, 0]))
        return height, width

    def positions(self, part: Window) -> tuple[np.ndarray, np.ndarray]:
        """Source row and column of each pixel centre."""
        lon, lat = np.meshgrid(part.x, part.y)
        x, y = self.to_source(lon, lat)
        return (self.grid.north - y) / self.grid.dy - 0.5, (x - self.grid.west) / self.grid.dx - 0.5


class ScatteredPlacement:
    """
    Place pixels that have a latitude and longitude each (radar coordinates).

    Parameters
    ----------
    latitude, longitude : np.ndarray
        Degrees, shape ``(y, x)``; NaN or exactly 0 and 0 is no pixel.
    n : int
        Pixels a degree of the lattice.

    Raises
    ------
    SchemaError
        If no pixel has a position.
    """

    def __init__(self, latitude: np.ndarray, longitude: np.ndarray, n: int) -> None:
        from scipy.spatial import cKDTree

        usable = (
            np.isfinite(latitude)
            & np.isfinite(longitude)
            & (np.abs(latitude) < 90)
            & ((latitude != 0) | (longitude != 0))
        )
        if not usable.any():
            raise SchemaError("a source in radar coordinates needs finite latitude and longitude layers, got none")
        latitude, longitude = (np.where(usable, c, np.nan).astype("float64") for c in (latitude, longitude))
        lat, lon = latitude[usable], longitude[usable]
        self.n = n
        half = 0.5 / n
        self.window = Window.covering(n, (lon.min() - half, lat.min() - half, lon.max() + half, lat.max() + half))
        self._pixels = np.argwhere(usable)
        self._scale = float(np.cos(np.radians(lat.mean())))
        points = np.column_stack([lon * self._scale, lat])
        self._tree = cKDTree(points)
        steps = (np.hypot(np.diff(latitude, axis=a), np.diff(longitude, axis=a) * self._scale) for a in (0, 1))
        self._spacing = max((float(np.nanmedian(s)) for s in steps if np.isfinite(s).any()), default=1 / n) or 1 / n

    @property
    def ratio(self) -> tuple[float, float]:
        """Height and width of a target pixel in source pixels, roughly."""
        size = 1 / (self.n * self._spacing)
        return size, size

    def positions(self, part: Window) -> tuple[np.ndarray, np.ndarray]:
        """Source row and column of the nearest pixel, NaN where none is near."""
        lon, lat = np.meshgrid(part.x, part.y)
        points = np.column_stack([lon.ravel() * self._scale, lat.ravel()])
        reach = max(_REACH * self._spacing, 0.75 / self.n)
        distance, index = self._tree.query(points, distance_upper_bound=reach)
        found = np.isfinite(distance)
        rows, cols = np.full(found.size, np.nan), np.full(found.size, np.nan)
        rows[found], cols[found] = self._pixels[index[found]].T
        return rows.reshape(part.shape), cols.reshape(part.shape)
