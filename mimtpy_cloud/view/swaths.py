"""The map of swaths across a fault on the product that they sample."""

import os
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

import numpy as np
import xarray as xr

from mimtpy_cloud.ops.pixels import near_longitude
from mimtpy_cloud.schema import require_variables
from mimtpy_cloud.view.colours import Limits
from mimtpy_cloud.view.decoration import REFERENCE, Lines
from mimtpy_cloud.view.map import plot_map

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

__all__ = ["plot_swaths"]

_STATION, _TRACE, _SWATH, _FAULT = "#e69f00", "#009e73", "black", "#6a1b9a"
#: Part of the map at each side of the frame that is kept free of numbers.
_FREE = 0.03


def plot_swaths(
    product: xr.Dataset,
    profiles: xr.Dataset,
    variable: str | None = None,
    *,
    trace: Lines | None = None,
    faults: Lines | Iterable[Lines] = (),
    coastline: Lines | None = None,
    unit: str = "auto",
    limits: Limits | None = None,
    title: str | None = None,
) -> "Figure":
    """
    Draw the swaths of profiles on the map that they sample, with fault, other faults, coast and stations.

    Parameters
    ----------
    product : xr.Dataset
        Map in degrees, lazy or not.
    profiles : xr.Dataset
        Of it, as `profile_across_fault` makes them.
    variable : str, optional
        What the map shows, as for `mimtpy_cloud.view.map.plot_map`.
    trace : path, array or sequence of arrays, optional
        The fault, drawn broad and green; by default the points where profiles cross it.
    faults, coastline, unit, limits, title : object
        As for `plot_map`.

    Returns
    -------
    matplotlib.figure.Figure
        Swaths as boxes with their middle line, numbered at the end of positive distance, or where they leave the map;
        those whose middle line is not on it are left out. Other faults are purple; stations are triangles.

    Raises
    ------
    SchemaError
        If the profiles have no places, the map none of the variable, or an option does not fit.
    StorageError, SourceFormatError
        If a vector file is missing or unreadable.

    See Also
    --------
    mimtpy_cloud.view.transects.plot_transects : The profiles.
    """
    names = ("lon", "lat", "strike", "fault_lon", "fault_lat")
    require_variables("a dataset of profiles", profiles.coords, *names)
    others = [faults] if isinstance(faults, str | os.PathLike | np.ndarray) else list(faults)
    decoration: dict[str, Any] = {"faults": others, "fault_colors": [_FAULT], "coastline": coastline}
    figure: Figure = plot_map(product, variable, unit=unit, limits=limits, title=title, **decoration)
    ax = figure.axes[0]
    stations = [name for name in ("station_lon", "station_lat") if name in profiles]
    found = profiles[stations].assign_coords({name: profiles[name] for name in names}).compute()
    middle = float(np.mean(ax.get_xlim()))
    handles = [*_draw_trace(ax, trace, found, middle), *_draw_swaths(ax, found, middle)]
    if len(stations) > 1 and found.sizes["station"]:
        lon = near_longitude(found["station_lon"].values, middle)
        (mark,) = ax.plot(lon, found["station_lat"].values, "^", color=_STATION, markeredgecolor="black", markersize=6,
                          zorder=5, label="GNSS stations", scalex=False, scaley=False)  # fmt: skip
        handles.append(mark)
    ax.legend(handles=_legend_of_map(ax, bool(others)) + handles, loc="upper left", fontsize="x-small", framealpha=0.85)
    return figure


def _legend_of_map(ax: "Axes", faults: bool) -> list[Any]:
    """What the map itself shows: patches of its values, other faults, which share a look, and the reference point."""
    from matplotlib.lines import Line2D

    legend = ax.get_legend()
    handles = [h for h in legend.legend_handles if not isinstance(h, Line2D)] if legend is not None else []
    handles += [Line2D([], [], color=_FAULT, linewidth=1.1, label="other faults")] if faults else []
    squares = [line for line in ax.get_lines() if line.get_label() == REFERENCE]
    return [*handles, *(s for s in squares if _on_map(ax, *np.asarray(s.get_data(), float)).any())]


def _on_map(ax: "Axes", x: np.ndarray, y: np.ndarray, free: float = 0.0) -> np.ndarray:
    """Whether places are on the map, and not within a part of it from its frame."""
    inside = np.full(x.shape, True)
    for values, limits in ((x, ax.get_xlim()), (y, ax.get_ylim())):
        room = free * (limits[1] - limits[0])
        inside &= (values >= limits[0] + room) & (values <= limits[1] - room)
    return inside


def _draw_trace(ax: "Axes", trace: Lines | None, profiles: xr.Dataset, middle: float) -> list[Any]:
    """The fault itself."""
    from mimtpy_cloud.view.decoration import read_decoration

    given = np.column_stack([profiles["fault_lon"].values, profiles["fault_lat"].values]) if trace is None else trace
    lines = [line for group in read_decoration([given], (), (), None, None, {}).sets for line in group.lines]
    drawn: list[Any] = []
    for line in lines:
        drawn = ax.plot(near_longitude(line[:, 0], middle), line[:, 1], label="fault", **_look(_TRACE, 2.4))
    return drawn[:1]


def _look(colour: str, width: float) -> dict[str, Any]:
    from matplotlib.patheffects import withStroke

    halo = [withStroke(linewidth=width + 1.4, foreground="white", alpha=0.9)]
    return {"color": colour, "linewidth": width, "path_effects": halo, "zorder": 4, "scalex": False, "scaley": False}


def _draw_swaths(ax: "Axes", profiles: xr.Dataset, middle: float) -> list[Any]:
    """Boxes, middle lines and numbers."""
    from matplotlib.patheffects import withStroke

    drawn: list[Any] = []
    halo = [withStroke(linewidth=2.2, foreground="white")]
    for i in range(profiles.sizes["profile"]):
        lon, lat = near_longitude(profiles["lon"][i].values, middle), profiles["lat"][i].values
        inside = np.flatnonzero(_on_map(ax, lon, lat, _FREE))
        if not inside.size:
            continue
        ring = _box(lon, lat, float(profiles["strike"][i]), float(profiles.attrs.get("width_km", 0.0)))
        drawn = ax.plot(near_longitude(ring[0], middle), ring[1], label="swaths", **_look(_SWATH, 0.9))
        ax.plot(lon, lat, **_look(_SWATH, 0.6))
        number = str(int(profiles["profile"][i]) + 1)
        style: dict[str, Any] = {"fontsize": "small", "fontweight": "bold", "ha": "center", "va": "center"}
        end = inside[-1]
        ax.annotate(number, (lon[end], lat[end]), zorder=6, path_effects=halo, clip_on=True, **style)
    return drawn[:1]


def _box(lon: np.ndarray, lat: np.ndarray, strike: float, width_km: float) -> tuple[np.ndarray, np.ndarray]:
    """Outline of a swath, as wide as it is, from the first to the last sample."""
    from pyproj import Geod

    half, count = 500.0 * width_km, lon.size
    geod = Geod(ellps="WGS84")
    ahead, back = (geod.fwd(lon, lat, np.full(count, s), np.full(count, half))[:2] for s in (strike, strike + 180.0))
    x = np.concatenate([ahead[0], np.asarray(back[0])[::-1], ahead[0][:1]])
    return x, np.concatenate([ahead[1], np.asarray(back[1])[::-1], ahead[1][:1]])
