"""GNSS stations on a map: arrows of their horizontal motion, circles in the colours of the map, names."""

import textwrap
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import xarray as xr

from mimtpy_cloud.errors import SchemaError
from mimtpy_cloud.kernels.enu import horizontal_basis
from mimtpy_cloud.kernels.look import project_enu
from mimtpy_cloud.ops.pixels import map_projection, near_longitude, pixels_at
from mimtpy_cloud.ops.plate import stations_less_plate
from mimtpy_cloud.plan.frames import is_plate_frame
from mimtpy_cloud.plan.grid import Grid
from mimtpy_cloud.schema import LOS, require_variables
from mimtpy_cloud.view.axes import is_degrees, size_in_inches
from mimtpy_cloud.view.colours import metres, nice_below
from mimtpy_cloud.view.picture import as_dataset, map_grid

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = [
    "ARROW",
    "RATE",
    "STATIONS",
    "WIDTHS",
    "Marks",
    "draw_arrow_key",
    "draw_circles",
    "draw_marks",
    "marks_of",
    "places_of",
]


ARROW: dict[str, Any] = {"angles": "uv", "units": "inches", "width": 0.018, "headwidth": 4.5, "headlength": 5.5}
ARROW |= {"headaxislength": 5.0, "scale_units": "width", "linewidth": 0.5}
#: Colour of their arrows; it is in no colour map of ours.
STATIONS = "#ffb000"
#: Letters to an inch of what is said below the map.
_LETTERS = 13
#: Width of a map over the length of the arrow of a typical station.
WIDTHS = 9.0
#: Unit of the arrows.
RATE = "mm/yr"
_HORIZONTAL = ("east", "north")


@dataclass(frozen=True)
class Marks:
    """
    Stations of one map, in its datum as far as it is known.

    Parameters
    ----------
    x, y : np.ndarray
        Where, in the coordinates of the map.
    names : tuple of str
        Theirs; empty if they are not to be written.
    east, north : np.ndarray
        Horizontal motion, mm/yr.
    seen : np.ndarray
        What the map would show of them, in the unit of its data; NaN where that is not known.
    label : str
        For the legend: frame, and what was subtracted.
    """

    x: np.ndarray
    y: np.ndarray
    names: tuple[str, ...]
    east: np.ndarray
    north: np.ndarray
    seen: np.ndarray
    label: str

    @property
    def typical(self) -> float:
        """Speed of a fast station, mm/yr; the arrows are scaled by it."""
        speeds = np.hypot(self.east, self.north)
        return float(np.percentile(speeds, 90)) or float(speeds.max()) or 1.0

    def text(self, width: float) -> str:
        """
        Say what the arrow of known length means.

        Parameters
        ----------
        width : float
            Of the map, inches.

        Returns
        -------
        str
            In lines.
        """
        whole = f"{RATE}, {self.label}".replace(f" {RATE}", f"\N{NO-BREAK SPACE}{RATE}")
        lines = textwrap.wrap(whole, max(24, int(_LETTERS * width - 8)))
        return "\n".join(lines).replace("\N{NO-BREAK SPACE}", " ")

    def sides(self, per_x: float, per_y: float) -> list[tuple[int, int]]:
        """
        Choose which names are written, and on which side of their station: the one that its arrow leaves free.

        Parameters
        ----------
        per_x, per_y : float
            Inches of the map for one unit of its coordinates.

        Returns
        -------
        list of (int, int)
            Number of the station, and 1 above it or -1 below it. A name that would lie on another is left out.
        """
        chosen: list[tuple[int, int]] = []
        taken: list[tuple[float, float]] = []
        for k, name in enumerate(self.names):
            first = -1 if self.north[k] > 0 else 1
            for side in (first, -first):
                x, y = float(self.x[k] * per_x), float(self.y[k] * per_y + 0.11 * side)
                if all(abs(x - a) > 0.062 * len(name) or abs(y - b) > 0.1 for a, b in taken):
                    chosen.append((k, side))
                    taken.append((x, y))
                    break
        return chosen


def places_of(data: xr.Dataset | xr.DataArray, names: list[str], stations: xr.Dataset) -> tuple[xr.Dataset, xr.Dataset]:
    """
    Find the stations on a map, and the pixels that hold them.

    Parameters
    ----------
    data : xr.Dataset or xr.DataArray
        Product, or the only map of it.
    names : list of str
        Maps that are drawn.
    stations : xr.Dataset
        As `mimtpy_cloud.io.gnss.read_stations` gives it.

    Returns
    -------
    stations : xr.Dataset
        Those on the map with a horizontal velocity, less the plate motion that the product has lost.
    pixels : xr.Dataset
        On `station`, lazy: the maps, and the look vectors where there are such.

    Raises
    ------
    SchemaError
        If no station lies on the map, or the table lacks a variable.
    """
    ds = as_dataset(data, names[0])
    require_variables("the stations", stations.variables, *_HORIZONTAL, "up", "lon", "lat")
    rows, cols, inside = pixels_at(ds, stations["lon"].to_numpy(), stations["lat"].to_numpy())
    moving = np.isfinite(stations["east"].to_numpy() + stations["north"].to_numpy())
    chosen = np.flatnonzero(inside & moving)
    if not chosen.size:
        raise SchemaError(f"none of {stations.sizes['station']} stations lies on the map; leave them out")
    at = {"y": xr.DataArray(rows[chosen], dims="station"), "x": xr.DataArray(cols[chosen], dims="station")}
    looks = [name for name in LOS if name in ds and ds[name].dims == ("y", "x")]
    pixels = ds[[*names, *(name for name in looks if name not in names)]].isel(at).reset_coords(drop=True)
    return stations_less_plate(stations.isel(station=chosen), ds), pixels


def marks_of(
    data: xr.Dataset | xr.DataArray, name: str, stations: xr.Dataset, pixels: xr.Dataset, *, named: bool
) -> Marks:
    """
    Bring stations to a map: what it would show of them, in its datum.

    Parameters
    ----------
    data : xr.Dataset or xr.DataArray
        Product, or the only map of it.
    name : str
        The map.
    stations, pixels : xr.Dataset
        From `places_of`; the pixels computed.
    named : bool
        Whether names are written.

    Returns
    -------
    Marks

    Notes
    -----
    A map of velocity shows of a station its velocity along the look of its own pixel, one of a component that
    component. If the map is not in the frame of the stations (attribute ``reference_frame``), the median of station
    less pixel is subtracted. Arrows lose their own median, unless their frame is that of the map or of a plate, or the
    map has lost the motion of a plate, as they have: a global frame would show the motion of the plate alone.
    """
    frame = str(stations.attrs.get("frame", ""))
    tied = bool(frame) and data.attrs.get("reference_frame") == frame
    east, north = (stations[part].to_numpy() * 1e3 for part in _HORIZONTAL)
    said = [f"GNSS stations in {frame}" if frame else "GNSS stations"]
    if not (tied or is_plate_frame(frame) or data.attrs.get("plate_motion")):
        less = float(np.median(east)), float(np.median(north))
        east, north = east - less[0], north - less[1]
        said.append(f"arrows less east {round(less[0], 1):g}, north {round(less[1], 1):g} {RATE}")
    units = str(pixels[name].attrs.get("units", ""))
    seen = _seen(data.attrs, name, units, stations, pixels)
    if not tied:
        differences = seen - pixels[name].to_numpy().astype(float)
        usable = differences[np.isfinite(differences)]
        if usable.size:
            level = float(np.median(usable))
            seen = seen - level
            shown = f"{round(level * metres(units) * 1e3, 1):g} {RATE}"
            said.append(f"circles: median difference to the map, {shown}, taken out")
    projection, grid = map_projection(data), map_grid(data)
    lon, lat = stations["lon"].to_numpy(), stations["lat"].to_numpy()
    x, y = (near_longitude(lon, grid.west + grid.nx * grid.dx / 2), lat) if projection is None else projection(lon, lat)
    names = tuple(map(str, stations["station"].to_numpy())) if named and "station" in stations.coords else ()
    return Marks(np.asarray(x), np.asarray(y), names, east, north, seen, "; ".join(said))


def _seen(attrs: Mapping[Any, Any], name: str, units: str, stations: xr.Dataset, pixels: xr.Dataset) -> np.ndarray:
    """What a map of rates shows of the stations; NaN for other maps."""
    unknown = np.full(stations.sizes["station"], np.nan)
    if not units.endswith("/yr"):
        return unknown
    east, north, up = (stations[part].to_numpy() for part in ("east", "north", "up"))
    known = {"east": east, "north": north, "up": up}
    if "azimuth" in attrs:
        toward = horizontal_basis(float(attrs["azimuth"]))
        known["horizontal"] = toward[0] * east + toward[1] * north
    if name == "velocity" and all(part in pixels for part in LOS):
        looks = tuple(pixels[part].to_numpy() for part in LOS)
        known["velocity"] = np.asarray(project_enu(east, north, up, (looks[0], looks[1], looks[2])))
    return known[name] / metres(units) if name in known else unknown


# ---- drawing -------------------------------------------------------------------------------------


def draw_marks(ax: "Axes", grid: Grid, marks: Marks, factor: float) -> None:
    """
    Draw stations, and below the map the arrow that tells their scale, and their datum.

    Parameters
    ----------
    ax : matplotlib.axes.Axes
        With its map.
    grid : Grid
        Of the map.
    marks : Marks
        Stations.
    factor : float
        Value shown for one in the unit of the data.
    """
    from matplotlib.patheffects import withStroke

    draw_circles(ax, marks.x, marks.y, marks.seen * factor)
    scale = marks.typical * WIDTHS
    quiver = ax.quiver(
        marks.x, marks.y, marks.east, marks.north, scale=scale, color=STATIONS, edgecolor="black", zorder=3.8, **ARROW
    )
    width = size_in_inches(ax)[0]
    draw_arrow_key(ax, grid, quiver, nice_below(marks.typical), marks.text(width))
    halo = [withStroke(linewidth=1.8, foreground="white")]
    for k, side in marks.sides(width / (grid.nx * grid.dx), size_in_inches(ax)[1] / (grid.ny * grid.dy)):
        ax.annotate(
            marks.names[k], (marks.x[k], marks.y[k]), (0, 5 * side), "data", "offset points", fontsize=6, ha="center",
            va="bottom" if side > 0 else "top", zorder=4, annotation_clip=True, clip_on=True, path_effects=halo,
        )  # fmt: skip


def draw_circles(ax: "Axes", x: np.ndarray, y: np.ndarray, values: np.ndarray) -> None:
    """
    Draw stations as circles in the colours of the map; one without a value is white.

    Parameters
    ----------
    ax : matplotlib.axes.Axes
        With its map.
    x, y : np.ndarray
        Where.
    values : np.ndarray
        In the unit shown; NaN is unknown.
    """
    image = ax.images[0]
    known = np.isfinite(values)
    look: dict[str, Any] = {"s": 36, "edgecolors": "black", "linewidths": 0.8, "zorder": 3.7}
    ax.scatter(x[~known], y[~known], color="white", **look)
    look |= {"cmap": image.cmap, "norm": image.norm}
    ax.scatter(x[known], y[known], c=values[known], **look)


def draw_arrow_key(ax: "Axes", grid: Grid, quiver: Any, length: float, text: str) -> None:
    """
    Draw below a map an arrow of known length.

    Parameters
    ----------
    ax : matplotlib.axes.Axes
        With its map.
    grid : Grid
        Of the map.
    quiver : matplotlib.quiver.Quiver
        Arrows of the map.
    length : float
        In their unit.
    text : str
        Unit, and what else is said beside it.
    """
    below = (0.4 if is_degrees(grid) else 0.52) / size_in_inches(ax)[1]
    place = length / quiver.scale, -below
    ax.quiverkey(quiver, *place, length, "", coordinates="axes", labelpos="E")
    # of its own: a key does not count when a figure is cut to its content
    style: dict[str, Any] = {"fontsize": "small", "va": "top"}
    ax.annotate(f"{length:g} {text}", place, (5, 5), "axes fraction", "offset points", **style)
