"""Vector maps: horizontal motion as arrows on the colours of vertical motion, with GNSS stations."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import xarray as xr

from mimtpy_cloud.errors import SchemaError
from mimtpy_cloud.kernels.enu import horizontal_basis
from mimtpy_cloud.ops.cells import average_cells
from mimtpy_cloud.ops.pixels import map_projection, near_longitude, pixels_at
from mimtpy_cloud.ops.plate import stations_less_plate
from mimtpy_cloud.plan.grid import Grid
from mimtpy_cloud.schema import require_dims, require_variables
from mimtpy_cloud.view.axes import figure_of, ground_aspect, new_figure
from mimtpy_cloud.view.colours import Limits, nice_below
from mimtpy_cloud.view.decoration import Lines, read_decoration
from mimtpy_cloud.view.picture import Picture, Style, draw_picture, map_grid, strides_of, thumbnail, title_of
from mimtpy_cloud.view.relief import Relief, draw_relief, heights_of, shading_of
from mimtpy_cloud.view.stations import ARROW, STATIONS, draw_arrow_key, draw_circles
from mimtpy_cloud.view.together import compute_together

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

__all__ = ["has_vectors", "plot_vectors"]

#: Length of an arrow of the 95th percentile, in cells.
_REACH = 0.95


@dataclass(frozen=True)
class _Direction:
    """Horizontal components of a product: east and north of one unit of each, and what a legend says."""

    parts: dict[str, tuple[float, float]]
    text: str

    def arrows(self, values: dict[str, np.ndarray]) -> tuple[np.ndarray, np.ndarray]:
        """East and north of the components."""
        east = sum(values[name] * e for name, (e, _) in self.parts.items())
        north = sum(values[name] * n for name, (_, n) in self.parts.items())
        return np.asarray(east), np.asarray(north)

    def seen(self, stations: xr.Dataset) -> dict[str, np.ndarray]:
        """Motion of stations along each component."""
        east, north = stations["east"].to_numpy(), stations["north"].to_numpy()
        return {
            name: np.where(e == 0, 0, east) * e + np.where(n == 0, 0, north) * n for name, (e, n) in self.parts.items()
        }


@dataclass(frozen=True)
class _Stations:
    """Stations of a map: where, their horizontal components and vertical motion, and what was subtracted."""

    x: np.ndarray
    y: np.ndarray
    along: dict[str, np.ndarray]
    up: np.ndarray
    less: dict[str, float]


def has_vectors(ds: xr.Dataset) -> bool:
    """
    Tell whether a product has vertical motion and a horizontal one whose direction is known.

    Parameters
    ----------
    ds : xr.Dataset
        Product.

    Returns
    -------
    bool

    Examples
    --------
    >>> maps = {name: (("y", "x"), [[0.0]]) for name in ("horizontal", "up")}
    >>> has_vectors(xr.Dataset(maps)), has_vectors(xr.Dataset(maps, attrs={"azimuth": 101.0}))
    (False, True)
    """
    return "up" in ds and ("east" in ds or ("horizontal" in ds and "azimuth" in ds.attrs))


def plot_vectors(
    ds: xr.Dataset,
    *,
    stations: xr.Dataset | None = None,
    arrows: int = 20,
    unit: str = "auto",
    limits: Limits | None = None,
    percentile: tuple[float, float] = (2.0, 98.0),
    cmap: str | None = None,
    faults: Lines | Iterable[Lines] = (),
    fault_colors: Sequence[str] = (),
    fault_styles: Sequence[str] = (),
    coastline: Lines | None = None,
    reference_point: str | Sequence[float] | None = "auto",
    relief: Relief | None = None,
    symlog: bool = False,
    title: str | None = None,
    ax: "Axes | None" = None,
    max_pixels: int = 1500,
) -> "Figure":
    """
    Draw the horizontal motion of a decomposition as arrows on the colours of its vertical motion.

    Parameters
    ----------
    ds : xr.Dataset
        With `up`, and `east` and `north`, `east` alone, or `horizontal` and the attribute ``azimuth`` (degrees
        clockwise from north); dimensions ``(y, x)``, lazy or not. Of one component the arrows have its direction alone,
        and the scale arrow says so.
    stations : xr.Dataset, optional
        As `mimtpy_cloud.io.gnss.read_stations` gives it: those on the map are drawn as arrows of another colour, along
        the same directions and on the same scale, and as circles in the colours of the map. Where the product is not in
        their frame (attribute ``reference_frame``), the median of their difference from it is subtracted, and the
        legend says how much.
    arrows : int
        About how many there are along the longer side; each is the mean of the pixels with data about it.
    unit : str
        As for `mimtpy_cloud.view.map.plot_map`, of colours and arrows.
    limits, percentile, cmap : object
        As for `plot_map`, of the vertical motion.
    faults, fault_colors, fault_styles, coastline, reference_point : object
        As for `plot_map`.
    relief : object
        As for `plot_map`.
    symlog : bool
        As for `plot_map`, of the colours; arrows are linear.
    title, ax, max_pixels : object
        As for `plot_map`; arrows are means of all pixels whatever `max_pixels`.

    Returns
    -------
    matplotlib.figure.Figure
        Not registered with pyplot.

    Raises
    ------
    SchemaError
        If a component is missing or no map, the stations do not fit the product, or an option does not fit.
    StorageError, SourceFormatError
        If a vector file is missing or unreadable.

    See Also
    --------
    mimtpy_cloud.view.map.plot_components : Each component as a map.

    Notes
    -----
    Computes each block of the horizontal components once, and keeps the sums of the arrows alone.
    """
    direction = _direction(ds)
    for name in (*direction.parts, "up"):
        require_dims(f"{name} of a vector map", ds[name].dims, "y", "x")
    grid, places = map_grid(ds), None
    step = _cells(grid, arrows)
    if stations is not None:
        stations, places = _on_map(ds, stations, direction)
    lazy = {"up": thumbnail(ds[["up"]], max_pixels), "cells": average_cells(ds, list(direction.parts), step)}
    lazy |= {} if places is None else {"places": places}
    lazy |= {} if relief is None else {"relief": heights_of(ds, relief, max_pixels).rename("height").to_dataset()}
    found = dict(zip(lazy, compute_together(list(lazy.values())), strict=True))
    picture = Picture.of(found["up"]["up"], grid, strides_of(ds, max_pixels))
    style = Style(unit, limits, (0.0, 100.0) if symlog else percentile, cmap, symlog=symlog)
    decoration = read_decoration(faults, fault_colors, fault_styles, coastline, reference_point, ds.attrs)
    shade = style.shade(picture)
    level = None if stations is None else _level(ds, stations, found["places"], direction)
    if ax is None:
        _, axes = new_figure(grid)
        ax = axes[0, 0]
    legend = () if level is None else (_handle(level, shade.factor, shade.unit),)
    title = title_of(ds) if title is None else title
    avoid = None if level is None else np.column_stack([level.x, level.y])
    draw_picture(ax, picture, style, decoration, title, handles=legend, avoid=avoid)
    if relief is not None:
        draw_relief(ax, shading_of(found["relief"]["height"].to_numpy(), grid, picture.strides), picture.extent)
    _draw_arrows(ax, grid, found["cells"], level, direction, shade.factor, shade.unit)
    return figure_of(ax)


def _direction(ds: xr.Dataset) -> _Direction:
    if not has_vectors(ds):
        have = ", ".join(map(str, ds.data_vars)) or "none"
        raise SchemaError(
            "a vector map needs up, and east or horizontal with the attribute azimuth, as invert_enu gives them; "
            f"this product has {have}"
        )
    if "east" in ds and "north" in ds:
        return _Direction({"east": (1.0, 0.0), "north": (0.0, 1.0)}, "")
    if "east" in ds:
        return _Direction({"east": (1.0, 0.0)}, ", east alone")
    azimuth = float(ds.attrs["azimuth"])
    return _Direction({"horizontal": horizontal_basis(azimuth)}, f", along azimuth {azimuth:g}° alone")


def _cells(grid: Grid, arrows: int) -> tuple[int, int]:
    """Rows and columns of a cell that is about square on the ground."""
    if isinstance(arrows, bool) or not isinstance(arrows, int | np.integer) or arrows < 1:
        raise SchemaError(f"arrows must be a number of at least 1 along the longer side, got {arrows!r}")
    tall = grid.dy * ground_aspect(grid)
    side = max(grid.ny * tall, grid.nx * grid.dx) / arrows
    return max(1, round(side / tall)), max(1, round(side / grid.dx))


# ---- stations ------------------------------------------------------------------------------------


def _on_map(ds: xr.Dataset, stations: xr.Dataset, direction: _Direction) -> tuple[xr.Dataset, xr.Dataset]:
    """Stations on the map with the components that are drawn, and the pixels that hold them, lazy."""
    require_variables("the stations", stations.variables, "east", "north", "up", "lon", "lat")
    units, own = str(ds["up"].attrs.get("units", "")), str(stations["east"].attrs.get("units", "m/yr"))
    if units != own:
        raise SchemaError(f"the stations have velocities in {own}, the product motion in {units}; take a velocity")
    rows, cols, inside = pixels_at(ds, stations["lon"].to_numpy(), stations["lat"].to_numpy())
    known = np.isfinite(sum(direction.seen(stations).values()))
    chosen = np.flatnonzero(inside & known)
    if not chosen.size:
        raise SchemaError(f"none of {stations.sizes['station']} stations lies on the map; leave them out")
    at = {"y": xr.DataArray(rows[chosen], dims="station"), "x": xr.DataArray(cols[chosen], dims="station")}
    pixels = ds[[*direction.parts, "up"]].isel(at).reset_coords(drop=True)
    return stations.isel(station=chosen), pixels


def _level(ds: xr.Dataset, stations: xr.Dataset, pixels: xr.Dataset, direction: _Direction) -> _Stations:
    """Bring stations into the datum of the product: less its plate, and by the median of what differs."""
    stations = stations_less_plate(stations, ds)
    motion = direction.seen(stations) | {"up": stations["up"].to_numpy()}
    less: dict[str, float] = {}
    frame = str(stations.attrs.get("frame", ""))
    if not frame or ds.attrs.get("reference_frame") != frame:
        for name, values in motion.items():
            differences = values - pixels[name].to_numpy()
            usable = differences[np.isfinite(differences)]
            if not usable.size and name != "up":
                raise SchemaError(
                    "no station lies on a pixel with data, so that the datum of the product is not known to them; give "
                    "the product the frame of the stations (mimtpy reference --stations), or leave them out"
                )
            less[name] = float(np.median(usable)) if usable.size else 0.0
            motion[name] = values - less[name]
    lon, lat = stations["lon"].to_numpy(), stations["lat"].to_numpy()
    projection, grid = map_projection(ds), map_grid(ds)
    x, y = (near_longitude(lon, grid.west + grid.nx * grid.dx / 2), lat) if projection is None else projection(lon, lat)
    up = motion.pop("up")
    return _Stations(np.asarray(x), np.asarray(y), motion, up, less)


def _handle(stations: _Stations, factor: float, unit: str) -> Any:
    from matplotlib.lines import Line2D

    shown = ", ".join(f"{name} {round(value * factor, 1):g}" for name, value in stations.less.items())
    label = "GNSS stations" + (f", less {shown} {unit}" if shown else "")
    style: dict[str, Any] = {"marker": "o", "linestyle": "-", "markeredgecolor": "black", "markersize": 5}
    return Line2D([], [], color=STATIONS, label=label, **style)


# ---- drawing -------------------------------------------------------------------------------------


def _draw_arrows(
    ax: "Axes",
    grid: Grid,
    cells: xr.Dataset,
    stations: _Stations | None,
    direction: _Direction,
    factor: float,
    unit: str,
) -> None:
    """Arrows of the cells and of the stations on one scale, and the arrow that tells it."""
    there = np.isfinite(cells["row"].to_numpy())
    east, north = direction.arrows({name: cells[name].to_numpy()[there] * factor for name in direction.parts})
    west, _, _, top = grid.bounds
    x = west + (cells["col"].to_numpy()[there] + 0.5) * grid.dx
    y = top - (cells["row"].to_numpy()[there] + 0.5) * grid.dy
    sets = [(x, y, east, north)]
    if stations is not None:
        along = direction.arrows({name: values * factor for name, values in stations.along.items()})
        sets.append((stations.x, stations.y, *along))
    speeds = np.hypot(*(np.concatenate(parts) for parts in list(zip(*sets, strict=True))[2:]))
    typical = float(np.percentile(speeds, 95)) if speeds.size and speeds.any() else 1.0
    typical = typical or float(speeds.max())
    scale = typical * cells.sizes["cell_x"] / _REACH
    quiver = ax.quiver(*sets[0], scale=scale, color="black", edgecolor="white", zorder=3.5, **ARROW)
    if stations is not None:
        draw_circles(ax, stations.x, stations.y, stations.up * factor)
        ax.quiver(*sets[1], scale=scale, color=STATIONS, edgecolor="black", zorder=3.8, **ARROW)
    draw_arrow_key(ax, grid, quiver, nice_below(typical), f"{unit}{direction.text}")
