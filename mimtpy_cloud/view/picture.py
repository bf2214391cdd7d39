"""One map on its axes: the thinned values, their colours, the colour bar, and what lies over them."""

import dataclasses
import textwrap
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np
import xarray as xr

from mimtpy_cloud.errors import SchemaError
from mimtpy_cloud.exports.grids import grid_of
from mimtpy_cloud.plan.grid import Grid
from mimtpy_cloud.schema import SPATIAL_REF
from mimtpy_cloud.view.axes import (
    draw_north,
    draw_scale_bar,
    draw_ticks,
    ground_aspect,
    is_sliver,
    size_in_inches,
)
from mimtpy_cloud.view.colours import (
    CYCLIC,
    Limits,
    Shading,
    Steps,
    metres,
    shading,
    steps_of,
)
from mimtpy_cloud.view.decoration import Decoration, draw_decoration
from mimtpy_cloud.view.palette import FLAG_COLOURS, Palette, palette_of

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = [
    "Picture",
    "Style",
    "as_dataset",
    "common_style",
    "draw_picture",
    "map_grid",
    "strides_of",
    "thumbnail",
    "title_of",
]

_NO_DATA = "0.87"
#: Width of a colour bar and its distance from the map, for maps narrower than that in inches as for that width.
_BAR, _BAR_GAP, _NARROW = 0.035, 0.03, 4.0


@dataclass(frozen=True)
class Picture:
    """
    Values to draw, and where.

    Parameters
    ----------
    values : np.ndarray
        Shape ``(y, x)``, in `units`.
    grid : Grid
        Of the whole map.
    extent : tuple of float
        West, east, south, north of the values.
    strides : tuple of int
        Rows and columns of the map for one of the values.
    name, units, long_name : str
        What the array says about itself.
    wavelength : float, optional
        Of the radar, m.
    flags : dict of int to str
        Meaning of each value, where the values are names.
    """

    values: np.ndarray
    grid: Grid
    extent: tuple[float, float, float, float]
    strides: tuple[int, int]
    name: str
    units: str
    long_name: str
    wavelength: float | None
    flags: dict[int, str] = field(default_factory=dict)

    @classmethod
    def of(cls, small: xr.DataArray, grid: Grid, strides: tuple[int, int]) -> "Picture":
        """
        Take what a thinned array says.

        Parameters
        ----------
        small : xr.DataArray
            From `thumbnail`, computed.
        grid : Grid
            Of the whole map.
        strides : tuple of int
            From `strides_of`.

        Returns
        -------
        Picture
        """
        dy, dx = strides[0] * grid.dy, strides[1] * grid.dx
        west, north = float(small["x"][0]) - dx / 2, float(small["y"][0]) + dy / 2
        ny, nx = small.shape
        flags = zip(
            np.ravel(small.attrs.get("flag_values", ())),
            str(small.attrs.get("flag_meanings", "")).split(),
            strict=False,
        )
        return cls(
            values=np.asarray(small.values),
            grid=grid,
            extent=(west, west + nx * dx, north - ny * dy, north),
            strides=strides,
            name=str(small.name or ""),
            units=str(small.attrs.get("units", "")),
            long_name=str(small.attrs.get("long_name", "")),
            wavelength=small.attrs.get("wavelength"),
            flags={int(value): meaning.replace("_", " ") for value, meaning in flags},
        )

    def wavelength_in(self, unit: str) -> float:
        """
        Tell the wavelength of the radar.

        Parameters
        ----------
        unit : str
            Of length.

        Returns
        -------
        float

        Raises
        ------
        SchemaError
            If the picture does not know it.
        """
        if self.wavelength is None:
            raise SchemaError(
                "wrap=True needs the attribute wavelength (m) of the array; assign it, or give the dataset"
            )
        return float(self.wavelength) / metres(unit)

    @property
    def what(self) -> str:
        """Quantity, and after a comma its convention."""
        return self.long_name or self.name.replace("_", " ")


def strides_of(obj: xr.DataArray | xr.Dataset, max_pixels: int) -> tuple[int, int]:
    """
    Choose which rows and columns of a map are drawn.

    Parameters
    ----------
    obj : xr.DataArray or xr.Dataset
        With dimensions ``y`` and ``x``.
    max_pixels : int
        Most rows and columns to draw.

    Returns
    -------
    tuple of int
        Every n-th of the rows, and of the columns.

    Raises
    ------
    SchemaError
        If there is nothing to draw.
    """
    if max_pixels < 2:
        raise SchemaError(f"max_pixels must be at least 2, got {max_pixels}")
    if not (obj.sizes["y"] and obj.sizes["x"]):
        raise SchemaError(
            "a map needs at least one pixel, got shape {y} x {x}".format(y=obj.sizes["y"], x=obj.sizes["x"])
        )
    return -(-obj.sizes["y"] // max_pixels), -(-obj.sizes["x"] // max_pixels)


def thumbnail[T: (xr.DataArray, xr.Dataset)](obj: T, max_pixels: int) -> T:
    """
    Take the middle pixel of each cell of the strides, still lazy.

    Parameters
    ----------
    obj : xr.DataArray or xr.Dataset
        With dimensions ``y`` and ``x``.
    max_pixels : int
        Most rows and columns.

    Returns
    -------
    xr.DataArray or xr.Dataset
    """
    by_y, by_x = strides_of(obj, max_pixels)
    return obj.isel(y=slice(by_y // 2, None, by_y), x=slice(by_x // 2, None, by_x))


def as_dataset(data: xr.Dataset | xr.DataArray, name: str) -> xr.Dataset:
    """
    Make a product of a map alone.

    Parameters
    ----------
    data : xr.Dataset or xr.DataArray
        Product, which stays as it is, or a map.
    name : str
        Name that the map gets.

    Returns
    -------
    xr.Dataset
        With the attributes of the map.
    """
    return data if isinstance(data, xr.Dataset) else data.rename(name).to_dataset().assign_attrs(data.attrs)


def map_grid(obj: xr.DataArray | xr.Dataset) -> Grid:
    """
    Find the grid of a map; without a coordinate system it is in degrees.

    Parameters
    ----------
    obj : xr.DataArray or xr.Dataset
        With coordinates ``y`` and ``x``.

    Returns
    -------
    Grid

    Raises
    ------
    SchemaError
        If the coordinates say nothing of their system and are not degrees.
    GridMismatchError
        If they are not evenly spaced, or too few to tell.
    """
    if SPATIAL_REF in obj.coords:
        return grid_of(obj)
    degrees = xr.Variable((), 0, {"crs_wkt": "EPSG:4326"})
    grid = grid_of(obj.assign_coords({SPATIAL_REF: degrees}))
    west, south, east, north = grid.bounds
    if west < -360 or east > 360 or south < -90.5 or north > 90.5:
        raise SchemaError(f"coordinates {grid.bounds} are not degrees; add the coordinate {SPATIAL_REF} with crs_wkt")
    return grid


@dataclass(frozen=True)
class Style:
    """
    Choices of the user about the colours.

    Parameters
    ----------
    unit, limits, percentile, cmap, symlog, wrap : object
        As for `mimtpy_cloud.view.map.plot_map`.
    """

    unit: str
    limits: Limits | None
    percentile: tuple[float, float]
    cmap: str | None = None
    symlog: bool = False
    wrap: bool = False

    def shade(self, picture: Picture) -> Shading:
        """
        Choose the colours of a picture.

        Parameters
        ----------
        picture : Picture
            To draw.

        Returns
        -------
        Shading
        """
        names = {"name": picture.name, "long_name": picture.long_name, "units": picture.units}
        shade = shading(picture.values, **names, unit=self.unit, limits=self.limits, percentile=self.percentile)
        if self.wrap:
            shade = dataclasses.replace(shade, cmap=CYCLIC)
            if self.limits is None:
                top = picture.wavelength_in(shade.unit) / 4
                shade = dataclasses.replace(shade, low=-top, high=top)
        return dataclasses.replace(shade, cmap=self.cmap or shade.cmap)

    def steps(self, picture: Picture) -> Steps | None:
        """
        Choose one colour for each of a few whole numbers.

        Parameters
        ----------
        picture : Picture
            To draw.

        Returns
        -------
        Steps or None
            None where the values are no few whole numbers.
        """
        if self.symlog or self.wrap:
            return None
        return steps_of(picture.values, picture.flags, limits=self.limits, cmap=self.cmap)


def common_style(ds: xr.Dataset, style: Style) -> Style:
    """
    Give several variables one unit and one pair of limits.

    Parameters
    ----------
    ds : xr.Dataset
        Computed variables of one unit.
    style : Style
        What is asked for.

    Returns
    -------
    Style
        With both.
    """
    first = next(iter(ds.data_vars.values()))
    values = np.concatenate([np.ravel(v.values) for v in ds.data_vars.values()])
    shade = shading(
        values,
        name=str(first.name),
        long_name=str(first.attrs.get("long_name", "")),
        units=str(first.attrs.get("units", "")),
        unit=style.unit,
        limits=style.limits,
        percentile=style.percentile,
    )
    return dataclasses.replace(style, unit=shade.unit, limits=(shade.low, shade.high))


def _treated(attrs: Mapping[str, Any]) -> list[str]:
    """What a title says of how a product was treated."""
    words = []
    if ramp := attrs.get("ramp_removed"):
        words += [f"deramped ({ramp['kind']})" if isinstance(ramp, Mapping) else "deramped"]
    if plate := attrs.get("plate_motion"):
        words += [f"without motion of {plate['plate']}" if isinstance(plate, Mapping) else "without plate motion"]
    words += ["adjusted"] if attrs.get("adjusted") else []
    return words + ([f"in {attrs['reference_frame']}"] if attrs.get("reference_frame") else [])


def title_of(obj: xr.DataArray | xr.Dataset) -> str:
    """
    Say what a product is: sensor, tracks, dates, or of a map without dates its quantity, and how it was treated.

    Parameters
    ----------
    obj : xr.DataArray or xr.Dataset
        With the attributes of a product.

    Returns
    -------
    str
    """
    attrs = obj.attrs
    track = attrs.get("track", attrs.get("tracks", ""))
    track = track if isinstance(track, str) else " + ".join(map(str, track))
    who = " ".join(filter(None, [str(attrs.get("sensor", "")), track]))
    when = " to ".join(str(attrs[k]) for k in ("start_date", "end_date") if attrs.get(k))
    if not when and "time" in obj.coords and obj.coords["time"].ndim == 0:
        when = str(obj.coords["time"].values)[:10]
    if who and not when and isinstance(obj, xr.DataArray):
        when = str(attrs.get("long_name", "")).partition(", ")[0]
    return ", ".join(filter(None, [who, when, *_treated(attrs)]))


# ---- drawing -------------------------------------------------------------------------------------


def draw_picture(
    ax: "Axes",
    picture: Picture,
    style: Style,
    decoration: Decoration,
    title: str,
    *,
    handles: tuple[Any, ...] = (),
    avoid: np.ndarray | None = None,
) -> None:
    """
    Draw a map with its colour bar, ticks, decoration and scale bar.

    Parameters
    ----------
    ax : matplotlib.axes.Axes
        Changed.
    picture : Picture
        What to draw.
    style : Style
        Its colours.
    decoration : Decoration
        What lies over it.
    title : str
        May be empty.
    handles : tuple of matplotlib.artist.Artist
        For the legend, after those of the map.
    avoid : np.ndarray, optional
        Stations, which the scale bar keeps from, as for `mimtpy_cloud.view.axes.scale_bar`.
    """
    west, south, east, north = picture.grid.bounds
    aspect = "auto" if is_sliver(picture.grid) else ground_aspect(picture.grid)
    ax.set(xlim=(west, east), ylim=(south, north), aspect=aspect, facecolor=_NO_DATA)
    ax.apply_aspect()
    shown: list[Any] = []
    if picture.values.dtype == bool:
        shown = _draw_flags(ax, picture)
    else:
        _draw_values(ax, picture, palette_of(picture, style))
    draw_ticks(ax, picture.grid)
    shown += [*draw_decoration(ax, picture.grid, decoration), *handles]
    draw_scale_bar(ax, picture.grid, picture.values, avoid)
    draw_north(ax, picture.grid)
    if title:
        ax.set_title(textwrap.fill(title, max(24, int(11 * (size_in_inches(ax)[0] + 1.5)))), fontsize="medium")
    if shown:
        ax.legend(handles=shown, loc="upper left", fontsize="x-small", framealpha=0.85)
    if max(picture.strides) > 1:
        thinned = "1 of {} x {} pixels shown".format(*picture.strides)
        ax.annotate(thinned, (1, 0), (-3, 3), "axes fraction", "offset points", fontsize=6, ha="right", color="0.35")


def _draw_values(ax: "Axes", picture: Picture, palette: Palette) -> None:
    """Colours, their bar, and its label."""
    image = ax.imshow(
        np.ma.masked_invalid(palette.values), extent=picture.extent, origin="upper", cmap=palette.cmap,
        norm=palette.norm, interpolation="nearest", aspect=ax.get_aspect(),
    )  # fmt: skip
    bar = ax.figure.colorbar(image, cax=_bar_axes(ax), extend=palette.extend)
    bar.ax.set_ylim(*palette.limits)
    if palette.ticks:
        bar.set_ticks(list(palette.ticks), labels=list(palette.labels))
        bar.minorticks_off()
    if palette.is_steps:
        bar.ax.tick_params(length=0, labelsize="small" if picture.flags else None)
    bar.set_label("\n".join(textwrap.fill(part, _letters(ax)) for part in palette.says))
    if not np.isfinite(palette.values).any():
        ax.text(0.5, 0.5, "no data", transform=ax.transAxes, ha="center", color="0.35")


def _bar_axes(ax: "Axes") -> "Axes":
    """Axes of a colour bar, of one width beside narrow maps."""
    scale = max(1.0, _NARROW / size_in_inches(ax)[0])
    return ax.inset_axes((1 + scale * _BAR_GAP, 0.0, scale * _BAR, 1.0))


def _letters(ax: "Axes") -> int:
    """Letters of a label along the height of a map."""
    return max(20, int(size_in_inches(ax)[1] * 13))


def _draw_flags(ax: "Axes", picture: Picture) -> list[Any]:
    from matplotlib.colors import ListedColormap
    from matplotlib.patches import Patch

    ax.imshow(
        picture.values, extent=picture.extent, origin="upper", cmap=ListedColormap(FLAG_COLOURS), vmin=0, vmax=1,
        interpolation="nearest", aspect=ax.get_aspect(),
    )  # fmt: skip
    what = picture.what.partition(", ")[0] or "true"
    return [Patch(color=FLAG_COLOURS[1], label=what), Patch(color=FLAG_COLOURS[0], label=f"not {what}")]
