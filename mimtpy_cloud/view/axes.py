"""Axes of a map: their size, ticks in degrees or kilometres, and a scale bar true on the ground."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, cast

import numpy as np

from mimtpy_cloud.plan.grid import Grid
from mimtpy_cloud.view.colours import nice_below

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

__all__ = [
    "ScaleBar",
    "draw_north",
    "draw_scale_bar",
    "draw_ticks",
    "figure_of",
    "ground_aspect",
    "is_degrees",
    "is_sliver",
    "new_figure",
    "north_of",
    "scale_bar",
    "size_in_inches",
]

#: Inches around each map: left, right (colour bar and its label), bottom, top.
_MARGINS = 0.75, 1.45, 0.6, 0.5
_SIDE = 7.0
#: Inches that a letter of a tick's label takes, and between two labels.
_LETTER, _GAP = 0.075, 0.1
_TICK_STEPS = (1, 2, 2.5, 5, 10)
#: Maps longer than this, relative to their width or height, are stretched to be seen at all.
_SLIVER = 20.0
#: Maps smaller than that, in inches, have no room for a north arrow.
_SMALL = 1.5
#: Height of a corner that a scale bar fills, of that of the map.
_CORNER = 0.18


def is_degrees(grid: Grid) -> bool:
    """
    Tell whether the axes are longitude and latitude.

    Parameters
    ----------
    grid : Grid
        Of the map.

    Returns
    -------
    bool
    """
    from pyproj import CRS

    return bool(CRS.from_user_input(grid.crs).is_geographic)


def ground_aspect(grid: Grid) -> float:
    """
    Length on the ground of one unit of y over one of x, in the middle of the map.

    Parameters
    ----------
    grid : Grid
        Of the map.

    Returns
    -------
    float
        ``1 / cos(latitude)`` for degrees, else 1.
    """
    _, south, _, north = grid.bounds
    return 1 / max(0.05, float(np.cos(np.deg2rad((south + north) / 2)))) if is_degrees(grid) else 1.0


def is_sliver(grid: Grid) -> bool:
    """
    Tell whether a map is a few rows or columns that nobody would see at the true ratio of its sides.

    Parameters
    ----------
    grid : Grid
        Of the map.

    Returns
    -------
    bool

    Examples
    --------
    >>> is_sliver(Grid(30, 41, 0.01, 0.01, 100, 1)), is_sliver(Grid(30, 41, 0.01, 0.01, 100, 10))
    (True, False)
    """
    return not 1 / _SLIVER <= _ratio(grid) <= _SLIVER


def _ratio(grid: Grid) -> float:
    """Height over width on the ground."""
    return grid.ny * grid.dy * ground_aspect(grid) / (grid.nx * grid.dx)


def new_figure(grid: Grid, rows: int = 1, columns: int = 1) -> tuple["Figure", Any]:
    """
    Make a figure whose axes have the shape of the map.

    Parameters
    ----------
    grid : Grid
        Of the map.
    rows, columns : int
        Number of maps.

    Returns
    -------
    figure : matplotlib.figure.Figure
        With its own Agg canvas, unknown to pyplot.
    axes : np.ndarray
        Of axes, shape ``(rows, columns)``.
    """
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    ratio = _ratio(grid)
    side = _SIDE if columns == 1 else 0.75 * _SIDE
    width = min(side, max(0.35 * side if is_sliver(grid) else 0.0, side / ratio))
    height = min(side, max(0.3 * side, width * ratio))
    left, right, bottom, top = _MARGINS
    title = 0.3 if rows * columns > 1 else 0.0
    across, down = columns * (left + width + right), rows * (bottom + height + top) + title
    figure = Figure(figsize=(across, down), dpi=100)
    FigureCanvasAgg(figure)
    places = {
        "left": left / across,
        "right": 1 - right / across,
        "bottom": bottom / down,
        "top": 1 - (top + title) / down,
        "wspace": (left + right) / width,
        "hspace": (bottom + top) / height,
    }
    return figure, figure.subplots(rows, columns, squeeze=False, gridspec_kw=places)


def draw_ticks(ax: "Axes", grid: Grid) -> None:
    """
    Label the axes in degrees with hemispheres, or in kilometres of a projection.

    Parameters
    ----------
    ax : matplotlib.axes.Axes
        Changed.
    grid : Grid
        Of the map.
    """
    from matplotlib.ticker import FuncFormatter, MaxNLocator

    ax.tick_params(direction="out", labelsize="small")
    degrees = is_degrees(grid)
    texts = (_degrees("E", "W"), _degrees("N", "S")) if degrees else (_kilometres, _kilometres)
    for axis, text in zip((ax.xaxis, ax.yaxis), texts, strict=True):
        axis.set_major_locator(MaxNLocator(nbins=5, steps=_TICK_STEPS))
        axis.set_major_formatter(FuncFormatter(text))
    _thin_ticks(ax, texts[0])
    if not degrees:
        for axis, what in ((ax.xaxis, "easting"), (ax.yaxis, "northing")):
            axis.set_label_text(f"{what} [km]", fontsize="small")


def figure_of(ax: "Axes") -> "Figure":
    """
    Find the figure that holds axes.

    Parameters
    ----------
    ax : matplotlib.axes.Axes
        Any.

    Returns
    -------
    matplotlib.figure.Figure
    """
    return cast("Figure", ax.get_figure(root=True))


def size_in_inches(ax: "Axes") -> tuple[float, float]:
    """
    Measure axes as they are drawn.

    Parameters
    ----------
    ax : matplotlib.axes.Axes
        With its limits and aspect applied.

    Returns
    -------
    width, height : float
    """
    drawn = ax.get_window_extent()
    return float(drawn.width / ax.figure.dpi), float(drawn.height / ax.figure.dpi)


def _thin_ticks(ax: "Axes", text: Callable[[float, int], str]) -> None:
    """Take fewer ticks along a narrow map, so that their labels do not touch; one at least."""
    from matplotlib.ticker import FixedLocator, MaxNLocator

    low, high = sorted(ax.get_xlim())
    inches = size_in_inches(ax)[0] / (high - low)
    coarsest: list[float] = []
    for bins in range(5, 0, -1):
        locator = MaxNLocator(nbins=bins, steps=_TICK_STEPS)
        ticks = [float(tick) for tick in locator.tick_values(low, high) if low <= tick <= high]
        longest = max((len(text(tick, 0)) for tick in ticks), default=0)
        if len(ticks) > 1 and (ticks[1] - ticks[0]) * inches >= longest * _LETTER + _GAP:
            ax.xaxis.set_major_locator(locator)
            return
        coarsest = ticks or coarsest
    middle = sorted(coarsest, key=lambda tick: abs(tick - (low + high) / 2))[:1]
    ax.xaxis.set_major_locator(FixedLocator(middle))


def _kilometres(value: float, _: int) -> str:
    return f"{value / 1000:.10g}"


def _degrees(positive: str, negative: str) -> Callable[[float, int], str]:
    def text(value: float, _: int) -> str:
        value = round(value, 6)
        if positive == "E" and abs(value) > 180:
            value = (value + 180) % 360 - 180
        return f"{abs(value):g}°{positive if value > 0 else negative if value < 0 else ''}"

    return text


@dataclass(frozen=True)
class ScaleBar:
    """
    Bar of a round length.

    Parameters
    ----------
    left, right, y : float
        Its ends, in the coordinates of the map.
    text : str
        Its length.
    on_left : bool
        Whether it lies in the left corner.
    """

    left: float
    right: float
    y: float
    text: str
    on_left: bool


def scale_bar(grid: Grid, values: np.ndarray, avoid: np.ndarray | None = None) -> ScaleBar:
    """
    Choose a bar of a round length, at most a quarter of the map, in the lower corner with fewer stations, or less data.

    Parameters
    ----------
    grid : Grid
        Of the map.
    values : np.ndarray
        Shape ``(y, x)``, what the map shows; NaN is no data.
    avoid : np.ndarray, optional
        Stations, shape ``(n, 2)``, in the coordinates of the map.

    Returns
    -------
    ScaleBar
    """
    west, south, east, north = grid.bounds
    y = south + 0.05 * (north - south)
    metres_per_unit = width_on_ground(grid, y) / (east - west)
    metres = nice_below(0.25 * (east - west) * metres_per_unit)
    length = metres / metres_per_unit
    left = _emptier_left(values)
    if avoid is not None:
        low = avoid[avoid[:, 1] < south + _CORNER * (north - south), 0]
        reach = length + 0.1 * (east - west)
        on_left, on_right = int((low < west + reach).sum()), int((low > east - reach).sum())
        left = left if on_left == on_right else on_left < on_right
    x = west + 0.05 * (east - west) if left else east - 0.05 * (east - west) - length
    return ScaleBar(x, x + length, y, f"{metres / 1000:g} km" if metres >= 1000 else f"{metres:g} m", left)


def draw_scale_bar(ax: "Axes", grid: Grid, values: np.ndarray, avoid: np.ndarray | None = None) -> None:
    """
    Draw the bar of `scale_bar`.

    Parameters
    ----------
    ax : matplotlib.axes.Axes
        Changed.
    grid : Grid
        Of the map.
    values : np.ndarray
        Shape ``(y, x)``, what the map shows; NaN is no data.
    avoid : np.ndarray, optional
        As for `scale_bar`.
    """
    from matplotlib.patheffects import withStroke

    bar = scale_bar(grid, values, avoid)
    west, _, east, _ = grid.bounds
    inches = (bar.right - bar.left) / (east - west) * size_in_inches(ax)[0]
    at, side = (bar.left + bar.right) / 2, "center"
    if inches < len(bar.text) * _LETTER:  # the text must stay on the map
        at, side = (bar.left, "left") if bar.on_left else (bar.right, "right")
    halo = [withStroke(linewidth=4, foreground="white")]
    ends = [bar.left, bar.right]
    ax.plot(ends, [bar.y] * 2, color="black", linewidth=2, solid_capstyle="butt", zorder=5, path_effects=halo)
    ax.annotate(
        bar.text,
        (at, bar.y),
        (0, 3),
        "data",
        "offset points",
        ha=side,
        va="bottom",
        fontsize="small",
        zorder=5,
        path_effects=[withStroke(linewidth=2.5, foreground="white")],
    )


def north_of(grid: Grid) -> tuple[float, float, float]:
    """
    Choose a place for the north arrow, in the upper right corner, and find north there.

    Parameters
    ----------
    grid : Grid
        Of the map.

    Returns
    -------
    x, y : float
        Place, in the coordinates of the map.
    angle : float
        Of true north, in degrees clockwise from the vertical axis of the map.

    Examples
    --------
    >>> round(north_of(Grid(30, 41, 0.01, 0.01, 100, 100))[2], 6)
    0.0
    """
    west, south, east, north = grid.bounds
    x, y = east - 0.06 * (east - west), north - 0.11 * (north - south)
    if is_degrees(grid):
        return x, y, 0.0
    from pyproj import Transformer

    to_degrees = Transformer.from_crs(grid.crs, "EPSG:4326", always_xy=True)
    lon, lat = to_degrees.transform(x, y)
    ahead = to_degrees.transform(lon, lat + 0.01, direction="INVERSE")
    return x, y, float(np.rad2deg(np.arctan2(ahead[0] - x, ahead[1] - y)))


def draw_north(ax: "Axes", grid: Grid) -> None:
    """
    Draw an arrow to the true north, but for maps that are a few rows or columns.

    Parameters
    ----------
    ax : matplotlib.axes.Axes
        Changed.
    grid : Grid
        Of the map.
    """
    from matplotlib.patheffects import withStroke

    if is_sliver(grid) or min(size_in_inches(ax)) < _SMALL:
        return
    x, y, angle = north_of(grid)
    step = np.array([np.sin(np.deg2rad(angle)), np.cos(np.deg2rad(angle))])
    halo = [withStroke(linewidth=2.5, foreground="white")]
    style = {"arrowstyle": "-|>", "color": "black", "linewidth": 1.0, "path_effects": halo}
    ends: dict[str, Any] = {"xycoords": "data", "textcoords": "offset points", "zorder": 5, "fontsize": "small"}
    ax.annotate("", (x, y), tuple(-22 * step), arrowprops=style, **ends)
    ax.annotate("N", (x, y), tuple(6 * step), ha="center", va="center", path_effects=halo, **ends)


def width_on_ground(grid: Grid, y: float) -> float:
    """
    Measure the map from west to east along one parallel.

    Parameters
    ----------
    grid : Grid
        Of the map.
    y : float
        Latitude, or northing of a projection.

    Returns
    -------
    float
        Metres on the WGS84 ellipsoid, or of the projection.

    Examples
    --------
    >>> round(width_on_ground(Grid(30, 41, 0.01, 0.01, 100, 100), 40.0))
    85394
    """
    west, _, east, _ = grid.bounds
    if not is_degrees(grid):
        return east - west
    from pyproj import Geod

    lon = np.linspace(west, east, 65)  # short steps keep to the parallel
    return float(Geod(ellps="WGS84").line_length(lon, np.full(lon.size, y)))


def _emptier_left(values: np.ndarray) -> bool:
    ny, nx = values.shape
    bottom = np.isfinite(values[-max(1, ny // 8) :])
    third = max(1, nx // 3)
    return int(bottom[:, :third].sum()) <= int(bottom[:, -third:].sum())
