"""A map of where tracks lie."""

import os
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from mimtpy_cloud.errors import SchemaError
from mimtpy_cloud.plan.grid import Grid
from mimtpy_cloud.view.axes import draw_scale_bar, draw_ticks, ground_aspect, new_figure
from mimtpy_cloud.view.decoration import draw_decoration, read_decoration

if TYPE_CHECKING:
    from matplotlib.figure import Figure

__all__ = ["plot_footprints"]

#: Colour of each pass; safe for colour-blind readers.
_COLOURS = {"ascending": "#0072b2", "descending": "#d55e00"}
_OTHER = "#555555"
#: Room around all outlines, of their size.
_MARGIN = 0.06
#: Cells of the frame along its longer side: only its shape matters.
_CELLS = 200


def plot_footprints(
    features: Sequence[tuple[Any, Mapping[str, Any]]],
    *,
    coastline: str | os.PathLike[str] | Sequence[np.ndarray] | None = None,
    title: str = "",
) -> "Figure":
    """
    Draw outlines with their names, in the colour of their pass.

    Parameters
    ----------
    features : sequence of tuple
        Outline (shapely polygon in longitude and latitude) and its properties, of which ``name`` and
        ``orbit_direction`` are used.
    coastline : path or sequence of arrays, optional
        Vector file with the coast.
    title : str
        Of the figure.

    Returns
    -------
    matplotlib.figure.Figure
        Not registered with pyplot.

    Raises
    ------
    SchemaError
        If there is nothing to draw.
    """
    from matplotlib.patches import Patch

    drawn = [(outline, told) for outline, told in features if not outline.is_empty]
    if not drawn:
        raise SchemaError("a map of footprints needs at least one outline with an area, got none")
    grid = _frame([outline for outline, _ in drawn])
    figure, axes = new_figure(grid)
    ax = axes[0, 0]
    west, south, east, north = grid.bounds
    ax.set(xlim=(west, east), ylim=(south, north), aspect=ground_aspect(grid), title=title)
    ax.set_facecolor("#f7f7f5")
    for outline, told in drawn:
        _draw_outline(ax, outline, _COLOURS.get(str(told.get("orbit_direction")), _OTHER), (west + east) / 2)
    _write_names(ax, drawn, (west + east) / 2)
    if coastline is not None:
        draw_decoration(ax, grid, read_decoration([], [], [], coastline, None, {}))
    draw_ticks(ax, grid)
    draw_scale_bar(ax, grid, np.full((grid.ny, grid.nx), np.nan))
    passes = {str(told.get("orbit_direction")) for _, told in drawn}
    shown = {name: colour for name, colour in _COLOURS.items() if name in passes}
    handles = [Patch(facecolor=colour, edgecolor=colour, alpha=0.5, label=name) for name, colour in shown.items()]
    if handles:
        ax.legend(handles=handles, loc="upper left", bbox_to_anchor=(1.02, 1), fontsize="small", frameon=False)
    return figure


def _frame(outlines: Sequence[Any]) -> Grid:
    """All outlines and some room; on the turn of the first, where some lie on both sides of the antimeridian."""
    boxes = np.array([outline.bounds for outline in outlines])
    if boxes[:, 2].max() - boxes[:, 0].min() > 180:
        parts = np.array([part.bounds for outline in outlines for part in getattr(outline, "geoms", [outline])])
        parts[:, [0, 2]] += np.where(parts[:, [2]] <= 0, 360, 0)
        boxes = parts
    west, south = boxes[:, :2].min(axis=0)
    east, north = boxes[:, 2:].max(axis=0)
    room = _MARGIN * max(east - west, north - south)
    west, south, east, north = west - room, max(-90.0, south - room), east + room, min(90.0, north + room)
    step = max(east - west, north - south) / _CELLS
    return Grid(west, north, step, step, max(1, round((east - west) / step)), max(1, round((north - south) / step)))


def _draw_outline(ax: Any, outline: Any, colour: str, middle: float) -> None:
    from matplotlib.patches import PathPatch
    from matplotlib.path import Path

    for polygon in getattr(outline, "geoms", [outline]):
        turn = 360 * round((middle - polygon.centroid.x) / 360)
        rings = [np.asarray(ring.coords) + np.array([turn, 0.0]) for ring in (polygon.exterior, *polygon.interiors)]
        path = Path.make_compound_path(*(Path(ring, closed=True) for ring in rings))
        ax.add_patch(PathPatch(path, facecolor=colour, edgecolor="none", alpha=0.15, zorder=2))
        ax.add_patch(PathPatch(path, facecolor="none", edgecolor=colour, linewidth=1.4, zorder=3))


def _write_names(ax: Any, drawn: Sequence[tuple[Any, Mapping[str, Any]]], middle: float) -> None:
    """One name in each outline, in its upper part for ascending passes and its lower one for descending ones, apart."""
    from matplotlib.patheffects import withStroke

    taken: list[tuple[float, float]] = []
    low, high = ax.get_ylim()
    gap, wide = (high - low) * 0.045, (ax.get_xlim()[1] - ax.get_xlim()[0]) * 0.16
    for outline, told in drawn:
        part = max(getattr(outline, "geoms", [outline]), key=lambda polygon: polygon.area)
        centre = part.representative_point()
        west, south, east, north = part.bounds
        x = (west + east) / 2 if part.contains(type(centre)((west + east) / 2, centre.y)) else centre.x
        x += 360 * round((middle - centre.x) / 360)
        down = str(told.get("orbit_direction")) == "descending"
        y = centre.y - (0.25 if down else -0.25) * (north - south)
        while any(abs(y - other) < gap and abs(x - place) < wide for place, other in taken):
            y += -gap if down else gap
        taken.append((x, y))
        colour = _COLOURS.get(str(told.get("orbit_direction")), _OTHER)
        text = ax.text(
            x, y, str(told.get("name", "")), color=colour, fontsize="small", ha="center", va="center", zorder=5
        )
        text.set_path_effects([withStroke(linewidth=2.5, foreground="white")])
