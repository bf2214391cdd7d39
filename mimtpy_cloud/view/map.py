"""Figures of 2-D products: map, faults, coast, reference point and scale bar in the right units."""

import dataclasses
import io
import os
import textwrap
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import PurePath
from typing import TYPE_CHECKING, Any, cast

import numpy as np
import xarray as xr

from mimtpy_cloud.errors import SchemaError
from mimtpy_cloud.exports.grids import grid_of
from mimtpy_cloud.exports.provenance import labelled
from mimtpy_cloud.plan.grid import Grid
from mimtpy_cloud.schema import SPATIAL_REF, require_dims
from mimtpy_cloud.view.axes import draw_scale_bar, draw_ticks, ground_aspect, is_sliver, new_figure
from mimtpy_cloud.view.colours import (
    CYCLIC,
    DIVERGING,
    Limits,
    Shading,
    fringe,
    metres,
    shading,
    symlog_norm,
    symlog_ticks,
)
from mimtpy_cloud.view.decoration import Decoration, Lines, draw_decoration, read_decoration

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

__all__ = ["COMPONENTS", "main_variable", "plot_components", "plot_map", "save_figure"]

#: Of a decomposition.
COMPONENTS = ("east", "north", "horizontal", "up")
#: What a map shows of a product, first that it has.
_MAIN = (
    "velocity",
    "displacement",
    "east",
    "horizontal",
    "up",
    "north",
    "temporal_coherence",
    "avg_spatial_coherence",
    "valid",
)
_NO_DATA = "0.87"
_FLAG = ("#bdbdbd", "#2166ac")


def plot_map(
    data: xr.Dataset | xr.DataArray,
    variable: str | None = None,
    *,
    unit: str = "auto",
    limits: Limits | None = None,
    percentile: tuple[float, float] = (2.0, 98.0),
    cmap: str | None = None,
    faults: Lines | Iterable[Lines] = (),
    fault_colors: Sequence[str] = (),
    fault_styles: Sequence[str] = (),
    coastline: Lines | None = None,
    reference_point: str | Sequence[float] | None = "auto",
    symlog: bool = False,
    wrap: bool = False,
    title: str | None = None,
    ax: "Axes | None" = None,
    max_pixels: int = 1500,
) -> "Figure":
    """
    Draw a 2-D product as a map.

    Parameters
    ----------
    data : xr.Dataset or xr.DataArray
        Product, or one array of it: dimensions ``(y, x)``, lazy or not, in degrees or in metres of a
        projection (``spatial_ref``). Attributes ``units, long_name, sensor, track, start_date, end_date,
        reference_point, wavelength`` are used where they are there; in a product most of them are those
        of the dataset, which an array taken out of it has lost. A bool array is drawn in two colours.
    variable : str, optional
        Which one of a dataset; `main_variable` by default.
    unit : str
        Unit to show, for example ``"mm/yr"``. ``"auto"``: mm/yr for rates; cm for displacements, mm
        where no `limits` are given and all are below 1 cm.
    limits : float or tuple of float, optional
        Limits of the colours in the unit shown: lowest and highest, or one number for both signs.
    percentile : tuple of float
        Percentiles that give the limits else; symmetric about 0 for signed quantities.
    cmap : str, optional
        Colour map of matplotlib; default is safe for colour-blind readers.
    faults : path, array, or sequence of them
        Files or URLs that `read_lines` reads, or arrays ``(n, 2)`` of longitude and latitude.
    fault_colors, fault_styles : sequence of str
        For each of `faults`, repeated as needed: ``b, r, y, o, m`` (black, red, yellow, orange, magenta)
        or any colour; ``s, d`` (solid, dashed) or any line style.
    coastline : path, array or sequence of arrays, optional
        As one of `faults`.
    reference_point : {"auto", None}, path or sequence of float
        Longitude and latitude of the black square, or a file of points. ``"auto"``: from the attributes.
    symlog : bool
        Logarithmic colours on both sides of a linear part about 0; without `limits`, over all values.
    wrap : bool
        Fold displacements into one fringe, half the attribute ``wavelength`` (m).
    title : str, optional
        Default: track and dates.
    ax : matplotlib.axes.Axes, optional
        Where to draw; a new figure if not given.
    max_pixels : int
        Most rows and columns to compute: of larger arrays every n-th is taken, before anything is
        computed, and the figure says so.

    Returns
    -------
    matplotlib.figure.Figure
        Not registered with pyplot, so it needs no closing.

    Raises
    ------
    SchemaError
        If the array is not a map, or an option does not fit it.
    StorageError, SourceFormatError
        If a vector file is missing or unreadable.

    See Also
    --------
    plot_components : all components of a decomposition.
    save_figure : write the figure to a file or URL.
    """
    da = _map(data, variable)
    picture = _picture(da, max_pixels)
    style = _Style(unit, limits, (0.0, 100.0) if symlog else percentile, cmap, symlog=symlog, wrap=wrap)
    decoration = read_decoration(faults, fault_colors, fault_styles, coastline, reference_point, da.attrs)
    if ax is None:
        _, axes = new_figure(picture.grid)
        ax = axes[0, 0]
    _draw(ax, picture, style, decoration, _title(da) if title is None else title)
    return _figure(ax)


def main_variable(ds: xr.Dataset) -> str:
    """
    Choose the variable that a map of a product shows.

    Parameters
    ----------
    ds : xr.Dataset
        Product.

    Returns
    -------
    str

    Raises
    ------
    SchemaError
        If it holds no 2-D variable, or several of which none is known.

    Examples
    --------
    >>> main_variable(xr.Dataset({"count": (("y", "x"), [[3]]), "velocity": (("y", "x"), [[0.01]])}))
    'velocity'
    """
    maps = [str(name) for name, variable in ds.data_vars.items() if variable.dims == ("y", "x")]
    for name in _MAIN:
        if name in maps:
            return name
    if len(maps) == 1:
        return maps[0]
    raise SchemaError(f"which variable to show? This product has {', '.join(maps) or 'no map'}; name one")


def plot_components(
    ds: xr.Dataset,
    *,
    unit: str = "auto",
    limits: Limits | None = None,
    percentile: tuple[float, float] = (2.0, 98.0),
    faults: Lines | Iterable[Lines] = (),
    fault_colors: Sequence[str] = (),
    fault_styles: Sequence[str] = (),
    coastline: Lines | None = None,
    reference_point: str | Sequence[float] | None = "auto",
    symlog: bool = False,
    title: str | None = None,
    max_pixels: int = 1500,
) -> "Figure":
    """
    Draw the components of a decomposition side by side on one scale, and their uncertainties below.

    Parameters
    ----------
    ds : xr.Dataset
        With some of ``east, north, horizontal, up`` and, of each, perhaps ``_std``, dimensions ``(y, x)``.
    unit : str
        As for `plot_map`.
    limits : float or tuple of float, optional
        As for `plot_map`, of the components; their uncertainties have their own.
    percentile, faults, fault_colors, fault_styles, coastline, reference_point : object
        As for `plot_map`.
    symlog : bool
        As for `plot_map`, of the components.
    title, max_pixels : object
        As for `plot_map`.

    Returns
    -------
    matplotlib.figure.Figure

    Raises
    ------
    SchemaError
        If there is no component, or an option does not fit.

    See Also
    --------
    plot_map : one product.
    """
    rows = [[n for n in COMPONENTS if n in ds]]
    if not rows[0]:
        have = ", ".join(map(str, ds.data_vars)) or "none"
        raise SchemaError(f"a decomposition has variables east, north, horizontal or up, got {have}")
    rows += [std] if (std := [f"{n}_std" for n in rows[0] if f"{n}_std" in ds]) else []
    thumbnails = _thumbnail(ds[[name for row in rows for name in row]], max_pixels).compute()
    decoration = read_decoration(faults, fault_colors, fault_styles, coastline, reference_point, ds.attrs)
    grid = _grid(ds)
    figure, axes = new_figure(grid, rows=len(rows), columns=len(rows[0]))
    for row, (names, axes_row) in enumerate(zip(rows, axes, strict=True)):
        style = _Style(unit, limits, (0.0, 100.0) if symlog else percentile, symlog=symlog)
        style = _common_style(thumbnails[names], style if row == 0 else _Style(unit, None, percentile))
        for name, ax in zip(names, axes_row, strict=False):
            _draw(
                ax,
                _Picture.of(thumbnails[name], grid, _strides(ds, max_pixels)),
                style,
                decoration,
                name.replace("_", " "),
            )
        for ax in axes_row[len(names) :]:
            ax.set_axis_off()
    figure.suptitle(_title(ds) if title is None else title)
    return figure


def save_figure(figure: "Figure", url: str | os.PathLike[str], *, dpi: int = 200) -> None:
    """
    Write a figure to a file or URL, whole or not at all.

    Parameters
    ----------
    figure : matplotlib.figure.Figure
        Any.
    url : str or path
        Local path or fsspec URL; the suffix chooses the format (png, pdf, svg, jpg, ...).
    dpi : int
        Pixels an inch.

    Raises
    ------
    SchemaError
        If matplotlib does not know the format.
    StorageError
        If the place cannot be written.
    """
    from mimtpy_cloud.exports.publish import publish_bytes

    suffix = PurePath(os.fspath(url)).suffix.lower().lstrip(".")
    known = figure.canvas.get_supported_filetypes()
    if suffix not in known:
        raise SchemaError(f"a figure file ends in one of {', '.join(sorted(known))}, got {os.fspath(url)!r}")
    buffer = io.BytesIO()
    figure.savefig(buffer, format=suffix, dpi=dpi, bbox_inches="tight", pad_inches=0.08)
    publish_bytes(buffer.getvalue(), url)


# ---- what is drawn -------------------------------------------------------------------------------


@dataclass(frozen=True)
class _Picture:
    """Values to draw, and where."""

    values: np.ndarray
    grid: Grid
    extent: tuple[float, float, float, float]
    strides: tuple[int, int]
    name: str
    units: str
    long_name: str
    wavelength: float | None

    @classmethod
    def of(cls, small: xr.DataArray, grid: Grid, strides: tuple[int, int]) -> "_Picture":
        dy, dx = strides[0] * grid.dy, strides[1] * grid.dx
        west, north = float(small["x"][0]) - dx / 2, float(small["y"][0]) + dy / 2
        ny, nx = small.shape
        return cls(
            values=np.asarray(small.values),
            grid=grid,
            extent=(west, west + nx * dx, north - ny * dy, north),
            strides=strides,
            name=str(small.name or ""),
            units=str(small.attrs.get("units", "")),
            long_name=str(small.attrs.get("long_name", "")),
            wavelength=small.attrs.get("wavelength"),
        )


def _map(data: xr.Dataset | xr.DataArray, variable: str | None) -> xr.DataArray:
    if isinstance(data, xr.Dataset):
        return labelled(data, variable or main_variable(data))
    if variable is not None:
        raise SchemaError(f"a variable is chosen from a Dataset; got {variable!r} and the array {data.name!r}")
    return data


def _picture(da: xr.DataArray, max_pixels: int) -> _Picture:
    require_dims("a map", da.dims, "y", "x")
    return _Picture.of(_thumbnail(da, max_pixels).compute(), _grid(da), _strides(da, max_pixels))


def _strides(obj: xr.DataArray | xr.Dataset, max_pixels: int) -> tuple[int, int]:
    if max_pixels < 2:
        raise SchemaError(f"max_pixels must be at least 2, got {max_pixels}")
    if not (obj.sizes["y"] and obj.sizes["x"]):
        raise SchemaError(
            "a map needs at least one pixel, got shape {y} x {x}".format(y=obj.sizes["y"], x=obj.sizes["x"])
        )
    return -(-obj.sizes["y"] // max_pixels), -(-obj.sizes["x"] // max_pixels)


def _thumbnail[T: (xr.DataArray, xr.Dataset)](obj: T, max_pixels: int) -> T:
    """Middle pixel of each cell of the strides, still lazy."""
    by_y, by_x = _strides(obj, max_pixels)
    return obj.isel(y=slice(by_y // 2, None, by_y), x=slice(by_x // 2, None, by_x))


def _grid(obj: xr.DataArray | xr.Dataset) -> Grid:
    if SPATIAL_REF in obj.coords:
        return grid_of(obj)
    degrees = xr.Variable((), 0, {"crs_wkt": "EPSG:4326"})
    grid = grid_of(obj.assign_coords({SPATIAL_REF: degrees}))
    west, south, east, north = grid.bounds
    if west < -360 or east > 360 or south < -90.5 or north > 90.5:
        raise SchemaError(f"coordinates {grid.bounds} are not degrees; add the coordinate {SPATIAL_REF} with crs_wkt")
    return grid


@dataclass(frozen=True)
class _Style:
    """Choices of the user about the colours."""

    unit: str
    limits: Limits | None
    percentile: tuple[float, float]
    cmap: str | None = None
    symlog: bool = False
    wrap: bool = False

    def shade(self, picture: _Picture) -> Shading:
        """Shading of the values."""
        names = {"name": picture.name, "long_name": picture.long_name, "units": picture.units}
        shade = shading(picture.values, **names, unit=self.unit, limits=self.limits, percentile=self.percentile)
        if self.wrap:
            shade = dataclasses.replace(shade, cmap=CYCLIC)
            if self.limits is None:
                top = _wavelength(picture, shade.unit) / 4
                shade = dataclasses.replace(shade, low=-top, high=top)
        return dataclasses.replace(shade, cmap=self.cmap or shade.cmap)


def _wavelength(picture: _Picture, unit: str) -> float:
    """In the unit shown."""
    if picture.wavelength is None:
        raise SchemaError("wrap=True needs the attribute wavelength (m) of the array; assign it, or give the dataset")
    return float(picture.wavelength) / metres(unit)


def _common_style(ds: xr.Dataset, style: _Style) -> _Style:
    """One unit and one pair of limits for several variables."""
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


def _title(obj: xr.DataArray | xr.Dataset) -> str:
    attrs = obj.attrs
    track = attrs.get("track", attrs.get("tracks", ""))
    track = track if isinstance(track, str) else " + ".join(map(str, track))
    who = " ".join(filter(None, [str(attrs.get("sensor", "")), track]))
    when = " to ".join(str(attrs[k]) for k in ("start_date", "end_date") if attrs.get(k))
    if not when and "time" in obj.coords and obj.coords["time"].ndim == 0:
        when = str(obj.coords["time"].values)[:10]
    return ", ".join(filter(None, [who, when, *_treated(attrs)]))


# ---- drawing -------------------------------------------------------------------------------------


def _figure(ax: "Axes") -> "Figure":
    return cast("Figure", ax.get_figure(root=True))


def _draw(ax: "Axes", picture: _Picture, style: _Style, decoration: Decoration, title: str) -> None:
    handles = _draw_flags(ax, picture) if picture.values.dtype == bool else _draw_values(ax, picture, style)
    west, south, east, north = picture.grid.bounds
    aspect = "auto" if is_sliver(picture.grid) else ground_aspect(picture.grid)
    ax.set(xlim=(west, east), ylim=(south, north), aspect=aspect, facecolor=_NO_DATA)
    draw_ticks(ax, picture.grid)
    handles += draw_decoration(ax, picture.grid, decoration)
    draw_scale_bar(ax, picture.grid, picture.values)
    if title:
        ax.set_title(title, fontsize="medium")
    if handles:
        ax.legend(handles=handles, loc="upper left", fontsize="x-small", framealpha=0.85)
    if max(picture.strides) > 1:
        shown = "1 of {} x {} pixels shown".format(*picture.strides)
        ax.annotate(shown, (1, 0), (-3, 3), "axes fraction", "offset points", fontsize=6, ha="right", color="0.35")


def _draw_values(ax: "Axes", picture: _Picture, style: _Style) -> list[Any]:
    from matplotlib import colormaps
    from matplotlib.colors import Normalize

    shade = style.shade(picture)
    values = picture.values.astype("float64") * shade.factor
    if style.wrap:
        values = fringe(values, _wavelength(picture, shade.unit))
    centred = shade.cmap == DIVERGING and shade.low < 0 < shade.high  # white is zero, whatever the limits
    most = max(-shade.low, shade.high)
    whole = dataclasses.replace(shade, low=-most, high=most) if centred else shade
    norm = symlog_norm(whole) if style.symlog else Normalize(whole.low, whole.high)
    beyond = centred and shade.low != -shade.high  # colours end where the bar does
    shown = np.ma.masked_invalid(np.clip(values, shade.low, shade.high) if beyond else values)
    colours = colormaps[shade.cmap]
    cmap = colours.with_extremes(under=colours(norm(shade.low)), over=colours(norm(shade.high)))
    image = ax.imshow(
        shown, extent=picture.extent, origin="upper", cmap=cmap, norm=norm,
        interpolation="nearest", aspect="auto",
    )  # fmt: skip
    below, above = bool((values < shade.low).any()), bool((values > shade.high).any())
    extend = ("both" if above else "min") if below else ("max" if above else "neither")
    cax = ax.inset_axes((1.03, 0.0, 0.035, 1.0))
    bar = ax.figure.colorbar(image, cax=cax, extend=extend)
    bar.ax.set_ylim(shade.low, shade.high)
    if style.symlog:
        ticks = symlog_ticks(shade)
        bar.set_ticks(ticks, labels=[f"{t:g}".replace("-", "\N{MINUS SIGN}") for t in ticks])
        bar.minorticks_off()
    height = ax.get_window_extent().height / _figure(ax).dpi
    bar.set_label(_label(picture, shade.unit, wrapped=style.wrap, width=max(20, int(height * 13))))
    if not np.isfinite(values).any():
        ax.text(0.5, 0.5, "no data", transform=ax.transAxes, ha="center", color="0.35")
    return []


def _label(picture: _Picture, unit: str, *, wrapped: bool, width: int) -> str:
    """Quantity and unit, then its convention, in lines of at most `width` letters."""
    what, _, convention = (picture.long_name or picture.name.replace("_", " ")).partition(", ")
    shown = f" [{unit}]" if unit not in ("", "1") else ""
    parts = [f"{what}{', one fringe' if wrapped else ''}{shown}", convention]
    return "\n".join(textwrap.fill(part, width) for part in parts if part)


def _draw_flags(ax: "Axes", picture: _Picture) -> list[Any]:
    from matplotlib.colors import ListedColormap
    from matplotlib.patches import Patch

    ax.imshow(
        picture.values, extent=picture.extent, origin="upper", cmap=ListedColormap(_FLAG), vmin=0, vmax=1,
        interpolation="nearest", aspect="auto",
    )  # fmt: skip
    what = (picture.long_name or picture.name.replace("_", " ")).partition(", ")[0] or "true"
    return [Patch(color=_FLAG[1], label=what), Patch(color=_FLAG[0], label=f"not {what}")]
