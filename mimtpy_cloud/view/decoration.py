"""What lies over a map: faults, coast and reference point, in longitude and latitude."""

import os
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import cycle
from pathlib import PurePath
from typing import TYPE_CHECKING, Any

import numpy as np

from mimtpy_cloud.errors import SchemaError
from mimtpy_cloud.plan.grid import Grid
from mimtpy_cloud.view.axes import is_degrees

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = ["REFERENCE", "Decoration", "Lines", "draw_decoration", "halo_of", "projection_of", "read_decoration"]

Lines = str | os.PathLike[str] | np.ndarray | Sequence[np.ndarray]
#: Letters of MimtPy's templates; any matplotlib colour or line style works too.
COLOURS = {"b": "black", "r": "red", "y": "yellow", "o": "orange", "m": "magenta"}
STYLES = {"s": "solid", "d": "dashed"}
#: What a legend calls the square of reference points.
REFERENCE = "reference point"
_STYLES = ("solid", "dashed", "dashdot", "dotted", "-", "--", "-.", ":")


@dataclass(frozen=True)
class LineSet:
    """
    Lines that are drawn alike.

    Parameters
    ----------
    lines : list of np.ndarray
        Each ``(n, 2)``, longitude and latitude.
    colour, style : str
        As matplotlib knows them.
    width : float
        Points.
    label : str
        For the legend.
    """

    lines: list[np.ndarray]
    colour: str
    style: str
    width: float
    label: str = ""


@dataclass(frozen=True)
class Decoration:
    """
    Everything that lies over a map.

    Parameters
    ----------
    sets : list of LineSet
        Drawn in this order.
    reference : np.ndarray
        Reference points, ``(n, 2)``, longitude and latitude.
    """

    sets: list[LineSet]
    reference: np.ndarray


def read_decoration(
    faults: Lines | Iterable[Lines],
    colours: Sequence[str],
    styles: Sequence[str],
    coastline: Lines | None,
    reference: str | os.PathLike[str] | Sequence[float] | None,
    attrs: Mapping[Any, Any],
) -> Decoration:
    """
    Read the files, and check the colours and styles.

    Parameters
    ----------
    faults : path, array, or sequence of them
        Files or URLs that `read_lines` reads, or arrays ``(n, 2)``.
    colours, styles : sequence of str
        For each of `faults`, repeated as needed; none is black and solid.
    coastline : path, array, or sequence of them, optional
        As `faults`.
    reference : {"auto", None}, path or sequence of float
        ``"auto"``: from `attrs`.
    attrs : mapping
        Attributes of the data.

    Returns
    -------
    Decoration

    Raises
    ------
    SchemaError
        If a colour, a style, an array or the point is malformed.
    StorageError, SourceFormatError
        If a file is missing or unreadable.
    """
    each = [faults] if isinstance(faults, str | os.PathLike | np.ndarray) else list(faults)
    looks = zip(cycle([_colour(c) for c in colours] or ["black"]), cycle([_style(s) for s in styles] or ["solid"]))
    sets = [] if coastline is None else [LineSet(_lines(coastline)[0], "0.25", "solid", 0.7)]
    for item, (colour, style) in zip(each, looks, strict=False):
        lines, label = _lines(item)
        sets.append(LineSet(lines, colour, style, 1.1, label))
    return Decoration(sets, _reference(reference, attrs))


def _lines(item: Lines) -> tuple[list[np.ndarray], str]:
    from mimtpy_cloud.io.vectors import read_lines

    if isinstance(item, str | os.PathLike):
        return read_lines(item), PurePath(os.fspath(item)).stem.replace("_", " ")
    arrays = [np.asarray(a, float) for a in ([item] if isinstance(item, np.ndarray) else item)]
    for array in arrays:
        if array.ndim != 2 or array.shape[1] != 2:
            raise SchemaError(f"a line is an array (n, 2) of longitude and latitude, got shape {array.shape}")
    return arrays, ""


def _colour(text: str) -> str:
    from matplotlib.colors import is_color_like

    colour = COLOURS.get(text, text)
    if not is_color_like(colour):
        raise SchemaError(f"fault colour must be one of {', '.join(COLOURS)} or a colour of matplotlib, got {text!r}")
    return colour


def _style(text: str) -> str:
    style = STYLES.get(text, text)
    if style not in _STYLES:
        raise SchemaError(f"fault style must be one of {', '.join((*STYLES, *_STYLES))}, got {text!r}")
    return style


def _reference(given: str | os.PathLike[str] | Sequence[float] | None, attrs: Mapping[Any, Any]) -> np.ndarray:
    from mimtpy_cloud.io.vectors import read_points

    if isinstance(given, str) and given == "auto":
        given = attrs.get("reference_point")
    if given is None:
        return np.empty((0, 2))
    if isinstance(given, str | os.PathLike):
        return read_points(given)
    point = np.asarray(given, float)
    if point.shape != (2,):
        raise SchemaError(f"reference point must be longitude, latitude, got {given!r}")
    return point[np.newaxis]


def draw_decoration(ax: "Axes", grid: Grid, decoration: Decoration) -> list[Any]:
    """
    Draw lines with a halo, and reference points as black squares.

    Parameters
    ----------
    ax : matplotlib.axes.Axes
        Changed; its limits are not.
    grid : Grid
        Of the map; its projection is applied.
    decoration : Decoration
        What to draw.

    Returns
    -------
    list of matplotlib.lines.Line2D
        For a legend: fault files, where there is more than one.
    """
    from matplotlib.collections import LineCollection
    from matplotlib.lines import Line2D
    from matplotlib.patheffects import withStroke

    project = projection_of(grid)
    handles: list[Any] = []
    for group in decoration.sets:
        lines = LineCollection(
            [project(line) for line in group.lines],
            colors=group.colour,
            linestyles=group.style,
            linewidths=group.width,
            zorder=3,
        )
        lines.set_path_effects([withStroke(linewidth=group.width + 1.2, foreground=halo_of(group.colour), alpha=0.7)])
        ax.add_collection(lines, autolim=False)
        if group.label:
            handle = Line2D([], [], color=group.colour, label=group.label)
            handle.set_linestyle(group.style)  # type: ignore[arg-type]
            handles.append(handle)
    if len(decoration.reference):
        x, y = project(decoration.reference).T
        style: dict[str, Any] = {"linestyle": "", "color": "black", "markeredgecolor": "white", "markersize": 7}
        ax.plot(x, y, marker="s", zorder=4, label=REFERENCE, **style)
    return handles if len(handles) > 1 else []


def halo_of(colour: str) -> str:
    """
    Choose the colour about a line: white about dark lines, dark about light ones.

    Parameters
    ----------
    colour : str
        As matplotlib knows it.

    Returns
    -------
    str
    """
    from matplotlib.colors import to_rgb

    return "white" if np.dot(to_rgb(colour), (0.299, 0.587, 0.114)) < 0.6 else "0.2"


def projection_of(grid: Grid) -> Callable[[np.ndarray], np.ndarray]:
    """
    Find how places come to the axes of a map.

    Parameters
    ----------
    grid : Grid
        Of the map.

    Returns
    -------
    callable
        From longitude and latitude, shape ``(n, 2)``, to the coordinates of the map, of the same shape.
    """
    if is_degrees(grid):
        middle = grid.west + grid.nx * grid.dx / 2
        return lambda lonlat: np.column_stack([_near(lonlat[:, 0], middle), lonlat[:, 1]])
    from pyproj import Transformer

    transform = Transformer.from_crs("EPSG:4326", grid.crs, always_xy=True).transform

    def project(lonlat: np.ndarray) -> np.ndarray:
        xy = np.column_stack(transform(lonlat[:, 0], lonlat[:, 1]))
        return np.where(np.isfinite(xy), xy, np.nan)  # far outside of the projection

    return project


def _near(longitude: np.ndarray, middle: float) -> np.ndarray:
    """Shift a whole line by full turns to the side of the map."""
    return longitude - 360.0 * np.round((longitude.mean() - middle) / 360.0)
