"""The figures of `mimtpy_cloud.view.map`, and profiles, drawn by GMT."""

import io
import tempfile
import textwrap
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import xarray as xr

from mimtpy_cloud.errors import MimtpyError, SchemaError
from mimtpy_cloud.ops.transectfit import predict_transects
from mimtpy_cloud.plan.grid import Grid
from mimtpy_cloud.schema import require_dims, require_variables
from mimtpy_cloud.view.axes import ScaleBar, ground_aspect, is_degrees, is_sliver, north_of, scale_bar
from mimtpy_cloud.view.colours import nice_below, shading
from mimtpy_cloud.view.decoration import Decoration, halo_of, projection_of
from mimtpy_cloud.view.palette import Palette, palette_of
from mimtpy_cloud.view.relief import layer_of
from mimtpy_cloud.view.sheet import Sheet
from mimtpy_cloud.view.stations import STATIONS, WIDTHS, Marks

__all__ = ["draw_sheets", "plot_profiles_gmt", "require_gmt"]

#: Centimetres: longer side of one map and of one of several, gap to the next map, and below a row.
_SIDE, _SMALL_SIDE, _BESIDE, _BELOW = 15.0, 9.5, 4.6, 3.0
_INCH = 2.54
_DASHES = {"dashed": ",-", "--": ",-", "dotted": ",.", ":": ",.", "dashdot": ",-.", "-.": ",-."}
_SETTINGS = {
    "FONT_ANNOT_PRIMARY": "8p", "FONT_LABEL": "9p", "MAP_FRAME_TYPE": "plain", "MAP_FRAME_PEN": "0.6p",
    "MAP_TICK_LENGTH_PRIMARY": "3p", "MAP_ANNOT_OFFSET_PRIMARY": "3p",
}  # fmt: skip
#: Which mean profiles show, the first that there is, and the size of one on paper, cm.
_PROFILED = ("velocity", "fault_parallel", "east", "displacement", "up")
_PROFILE = 14.0, 4.0
#: What GMT calls a side with ticks, and without.
_LINE = {"S": "b", "W": "l"}
#: Of pixels without data, as in the other backend.
_NO_DATA = "222"
#: Colours of a continuous bar.
_SHADES = 256
_HALO = "white@30"
#: Width of lines, for one of the other backend, whose maps are larger.
_THIN = 0.8
#: How far from a triangle at an end of a bar values are drawn.
_EXTEND = {"neither": "", "min": "+eb0.3c", "max": "+ef0.3c", "both": "+e0.3c"}


def require_gmt() -> Any:
    """
    Import pygmt.

    Returns
    -------
    module

    Raises
    ------
    MimtpyError
        If pygmt, or the GMT that it needs, is missing; the message says how to get both.
    """
    try:
        import pygmt
    except ImportError as error:
        raise MimtpyError(_MISSING.format(what="pygmt is not installed")) from error
    except Exception as error:
        reason = " ".join(str(error).split())
        raise MimtpyError(_MISSING.format(what=f"pygmt finds no GMT that it can use ({reason})")) from error
    return pygmt


_MISSING = (
    "{what}; backend='pygmt' needs the extra, pip install 'mimtpy_cloud[pygmt]' (with a GMT older than 6.5 also "
    "'pygmt<0.17'), and a GMT of version 6.4 or newer with its development files and Ghostscript: on Debian apt-get "
    "install gmt libgmt-dev ghostscript, with conda conda install gmt. Without them leave the backend out"
)


@dataclass(frozen=True)
class _Page:
    """Size of a map on paper, cm; everything is drawn in its centimetres, from the lower left corner."""

    grid: Grid
    side: float

    @property
    def width(self) -> float:
        return min(self.side, max(0.35 * self.side if is_sliver(self.grid) else 0.0, self.side / self._ratio))

    @property
    def height(self) -> float:
        return min(self.side, max(0.3 * self.side, self.width * self._ratio))

    @property
    def _ratio(self) -> float:
        return self.grid.ny * self.grid.dy * ground_aspect(self.grid) / (self.grid.nx * self.grid.dx)

    @property
    def place(self) -> dict[str, Any]:
        """Region and projection of the paper."""
        return {"region": [0, self.width, 0, self.height], "projection": f"X{self.width}c/{self.height}c"}

    def cm(self, x: Any, y: Any) -> tuple[np.ndarray, np.ndarray]:
        """From the coordinates of the map."""
        west, south, east, north = self.grid.bounds
        return (
            (np.asarray(x, float) - west) / (east - west) * self.width,
            (np.asarray(y, float) - south) / (north - south) * self.height,
        )


def draw_sheets(rows: list[list[Sheet]], title: str = "") -> Any:
    """
    Draw rows of maps of one grid.

    Parameters
    ----------
    rows : list of list of Sheet
        What they show.
    title : str
        Over all of them.

    Returns
    -------
    pygmt.Figure

    Raises
    ------
    MimtpyError
        If pygmt or GMT is missing.
    SchemaError
        If an option does not fit the values.
    """
    pygmt = require_gmt()
    figure = pygmt.Figure()
    several = len(rows) > 1 or len(rows[0]) > 1
    page = _Page(rows[0][0].picture.grid, _SMALL_SIDE if several else _SIDE)
    with pygmt.config(**_SETTINGS), tempfile.TemporaryDirectory() as folder:
        for number, row in enumerate(reversed(rows)):  # from below, since a page of GMT grows upward
            figure.shift_origin(xshift=None if number else "3c", yshift=f"{page.height + _BELOW if number else 4}c")
            for column, sheet in enumerate(row):
                with figure.shift_origin(xshift=f"{column * (page.width + _BESIDE) or 1e-6}c"):
                    _draw_sheet(figure, page, sheet, Path(folder))
        if title:
            middle = (len(rows[0]) * page.width + (len(rows[0]) - 1) * _BESIDE) / 2
            _say(figure, page, (middle, page.height + 1.2), title, font="11p")
    return figure


def _draw_sheet(figure: Any, page: _Page, sheet: Sheet, folder: Path) -> None:
    picture = sheet.picture
    palette = palette_of(picture, sheet.style)
    cpt = folder / "colours.cpt"
    cpt.write_text(_colour_table(palette))
    _draw_values(figure, page, sheet, palette, str(cpt))
    _draw_lines(figure, page, sheet.decoration)
    _draw_bar(figure, page, palette, folder)
    if sheet.marks is not None:
        _draw_marks(figure, page, sheet.marks, _heights(palette, sheet.marks.seen * sheet.factor), str(cpt))
    _draw_scale(figure, page, scale_bar(page.grid, picture.values, sheet.places))
    _draw_frame(figure, page)
    if sheet.title:
        _say(figure, page, (page.width / 2, page.height + 0.5), textwrap.shorten(sheet.title, 90), font="10p")
    if max(picture.strides) > 1:
        text = "1 of {} x {} pixels shown".format(*picture.strides)
        _say(figure, page, (page.width - 0.1, 0.15), text, font="6p,gray35", justify="BR")


# ---- colours -------------------------------------------------------------------------------------


def _heights(palette: Palette, values: np.ndarray) -> np.ndarray:
    """What GMT colours: the values, or for logarithmic colours their place among them."""
    if not palette.ticks or palette.is_steps:
        return values
    return np.asarray(np.ma.filled(palette.norm(np.ma.masked_invalid(values)), np.nan))


def _colour_table(palette: Palette) -> str:
    """Colours of the other backend as a table of GMT."""
    low, high = palette.limits
    if palette.is_steps:
        edges = np.arange(low, high + 0.5)
        colours = palette.cmap(np.arange(edges.size - 1))
    else:
        first, last = _heights(palette, np.array([low, high])).tolist()
        edges = np.linspace(first, last, _SHADES + 1)
        middles = (edges[:-1] + edges[1:]) / 2
        colours = palette.cmap(middles if palette.ticks else palette.norm(middles))
    shades = ["/".join(str(round(255 * part)) for part in colour[:3]) for colour in colours]
    lines = [f"{a:.9g} {c} {b:.9g} {c}" for a, b, c in zip(edges[:-1], edges[1:], shades, strict=True)]
    return "\n".join([*lines, f"B {shades[0]}", f"F {shades[-1]}", f"N {_NO_DATA}", ""])


def _draw_values(figure: Any, page: _Page, sheet: Sheet, palette: Palette, cpt: str) -> None:
    west, east, south, north = sheet.picture.extent
    (left, right), (bottom, top) = page.cm([west, east], [south, north])
    corners = (float(left), float(right), float(bottom), float(top))
    figure.basemap(frame=f"+g{_NO_DATA}", **page.place)
    if sheet.shading is None:
        figure.grdimage(
            _on_paper(_heights(palette, palette.values), corners), cmap=cpt, interpolation="n", **page.place
        )
    else:
        file = Path(cpt).with_name(f"relief_{id(sheet)}.tif")
        _write_relief(palette, sheet.shading, corners, file)
        figure.grdimage(str(file), **page.place)
    if not np.isfinite(palette.values).any():
        _say(figure, page, (page.width / 2, page.height / 2), "no data", font="10p,gray35")


def _on_paper(values: np.ndarray, corners: tuple[float, float, float, float]) -> xr.DataArray:
    """Grid of pixels in centimetres; a row or column alone is cut in two, since GMT asks for two."""
    values = np.asarray(values, np.float64)[::-1]
    for axis in (0, 1):
        values = np.repeat(values, 2, axis=axis) if values.shape[axis] == 1 else values
    west, east, south, north = corners
    (ny, nx), dims = values.shape, ("y", "x")
    y = south + (np.arange(ny) + 0.5) * (north - south) / ny
    x = west + (np.arange(nx) + 0.5) * (east - west) / nx
    grid = xr.DataArray(values, {"y": y, "x": x}, dims)
    grid.gmt.registration = 1  # pixels
    return grid


def _write_relief(
    palette: Palette, shading: np.ndarray, corners: tuple[float, float, float, float], file: Path
) -> None:
    """Write colours and relief as one picture, since the illumination of GMT would change the hue of pale colours."""
    import rasterio

    colours = palette.cmap(palette.norm(np.ma.masked_invalid(palette.values)))[..., :3]
    colours[~np.isfinite(palette.values)] = int(_NO_DATA) / 255
    layer = layer_of(shading)
    cover = layer[..., 3:]
    blended = np.rint(255 * (colours * (1 - cover) + layer[..., :3] * cover)).astype("uint8")
    west, east, south, north = corners
    (ny, nx), bands = blended.shape[:2], np.moveaxis(blended, -1, 0)
    place = rasterio.Affine((east - west) / nx, 0.0, west, 0.0, (south - north) / ny, north)
    shape = {"width": nx, "height": ny, "count": 3, "dtype": "uint8"}
    with rasterio.open(file, "w", driver="GTiff", transform=place, photometric="RGB", **shape) as image:
        image.write(bands)


def _draw_bar(figure: Any, page: _Page, palette: Palette, folder: Path) -> None:
    """Bar of the colours, and beside it what they are."""
    frame = "xaf"
    if palette.ticks:
        ticks = _heights(palette, np.array(palette.ticks))
        labels = [label.replace("\n", " ").replace("\N{MINUS SIGN}", "-") for label in palette.labels]
        file = folder / "ticks.txt"
        file.write_text("".join(f"{tick:.9g} a {label}\n" for tick, label in zip(ticks, labels, strict=True)))
        frame = f"xc{file}"
    at = page.width + 0.4
    bar = f"x{at}c/0c+w{page.height}c/0.35c+v{_EXTEND[palette.extend]}"
    figure.colorbar(cmap=str(folder / "colours.cpt"), position=bar, frame=frame, **page.place)
    widest = max(map(len, palette.labels), default=4)
    for number, part in enumerate(palette.says):
        x = at + 0.85 + 0.16 * max(4, widest) + 0.42 * number
        _say(figure, page, (x, page.height / 2), part, font="9p", angle=90)


# ---- what lies over the colours ------------------------------------------------------------------


def _draw_lines(figure: Any, page: _Page, decoration: Decoration) -> None:
    """Faults and coast with a halo, their names where there are several, and reference points."""
    project = projection_of(page.grid)
    legend = []
    for group in decoration.sets:
        broken = [part for line in group.lines for part in (project(line), [[np.nan, np.nan]])]
        if not broken:
            continue
        x, y = page.cm(*np.concatenate(broken).T)
        colour, dash = _gmt_colour(group.colour), _DASHES.get(group.style, "")
        width = _THIN * group.width
        figure.plot(x=x, y=y, pen=f"{width + 1}p,{_gmt_colour(halo_of(group.colour))}@30", **page.place)
        figure.plot(x=x, y=y, pen=f"{width}p,{colour}{dash}", **page.place)
        if group.label:
            legend.append(f"S 0.35c - 0.6c - {width}p,{colour}{dash} 0.85c {group.label}\n")
    if len(decoration.reference):
        x, y = page.cm(*project(decoration.reference).T)
        figure.plot(x=x, y=y, style="s0.24c", fill="black", pen="0.8p,white", **page.place)
    if len(legend) > 1:
        box = {"position": "jTL+o0.1c", "box": "+gwhite@15+p0.3p,gray50"}
        figure.legend(spec=io.StringIO("".join(legend)), **box, **page.place)


def _gmt_colour(colour: str) -> str:
    from matplotlib.colors import to_hex

    return to_hex(colour)


def _draw_marks(figure: Any, page: _Page, marks: Marks, heights: np.ndarray, cpt: str) -> None:
    """Stations as circles and arrows, the arrow that tells their scale, and their names."""
    x, y = page.cm(marks.x, marks.y)
    known = np.isfinite(heights)
    circle: dict[str, Any] = {"style": "c0.2c", "pen": "0.6p,black", **page.place}
    if (~known).any():
        figure.plot(x=x[~known], y=y[~known], fill="white", **circle)
    if known.any():
        figure.plot(x=x[known], y=y[known], fill=heights[known], cmap=cpt, **circle)
    per_rate = page.width / (marks.typical * WIDTHS)
    length = nice_below(marks.typical)
    _draw_arrows(figure, page, (x, y), (marks.east * per_rate, marks.north * per_rate))
    key = np.full(1, length * per_rate), np.zeros(1)
    _draw_arrows(figure, page, (np.zeros(1), np.full(1, -0.95)), key, no_clip=True)
    for number, text in enumerate(f"{length:g} {marks.text(page.width / _INCH)}".splitlines()):
        _say(figure, page, (length * per_rate + 0.2, -0.95 - 0.35 * number), text, font="8p", justify="ML")
    inch = (page.width / _INCH / (page.grid.nx * page.grid.dx), page.height / _INCH / (page.grid.ny * page.grid.dy))
    for k, side in marks.sides(*inch):
        style: dict[str, Any] = {
            "font": "6p",
            "justify": "CB" if side > 0 else "CT",
            "fill": _HALO,
            "clearance": "0.02c",
        }
        _say(figure, page, (float(x[k]), float(y[k]) + 0.15 * side), marks.names[k], no_clip=False, **style)


def _draw_arrows(
    figure: Any, page: _Page, at: tuple[Any, Any], motion: tuple[Any, Any], *, no_clip: bool = False
) -> None:
    """Arrows, in cm: orange with a black edge."""
    angle, length = np.rad2deg(np.arctan2(motion[1], motion[0])), np.hypot(*motion)
    data = np.column_stack([*at, angle, length])
    head = "v0.32c+e+a36+h0.2+n0.3c"
    edge: dict[str, Any] = {"style": f"{head}+p0.8p,black", "pen": "2.4p,black", "fill": STATIONS}
    inside: dict[str, Any] = {"style": f"{head}+p0.1p,{STATIONS}", "pen": f"1.3p,{STATIONS}", "fill": STATIONS}
    for look in (edge, inside):
        figure.plot(data=data, no_clip=no_clip, **look, **page.place)


def _draw_scale(figure: Any, page: _Page, bar: ScaleBar) -> None:
    """Scale bar and north."""
    (left, right), (y, _) = page.cm([bar.left, bar.right], [bar.y, bar.y])
    for pen in ("3.5p,white", "2p,black"):
        figure.plot(x=[left, right], y=[y, y], pen=pen, **page.place)
    text: dict[str, Any] = {"font": "8p", "justify": "CB", "fill": _HALO, "clearance": "0.03c"}
    _say(figure, page, (float(left + right) / 2, float(y) + 0.12), bar.text, **text)
    if is_sliver(page.grid):
        return
    x, y, angle = north_of(page.grid)
    x, y = (float(v) for v in page.cm(x, y))
    arrow = np.array([[x, y - 0.75, 90 - angle, 0.75]])
    for pen in ("2.2p,white", "1p,black"):
        figure.plot(data=arrow, style="v0.2c+e", pen=pen, fill="black", **page.place)
    _say(figure, page, (x, y + 0.08), "N", font="8p", justify="CB", fill=_HALO, clearance="0.02c")


def _draw_frame(figure: Any, page: _Page) -> None:
    """Ticks in degrees, or kilometres of a projection, as the other backend chooses them."""
    from matplotlib.ticker import MaxNLocator

    pygmt = require_gmt()
    west, south, east, north = page.grid.bounds
    degrees = is_degrees(page.grid)
    scale, mark = (1, "d") if degrees else (1000, "")
    region = [v / scale for v in (west, east, south, north)]
    projection = f"X{page.width}c{mark}/{page.height}c{mark}"
    for axis, side, name in (("x", "S", "easting [km]"), ("y", "W", "northing [km]")):
        low, high = region[:2] if axis == "x" else region[2:]
        ticks = MaxNLocator(nbins=5, steps=(1, 2, 2.5, 5, 10)).tick_values(low, high)
        step = f"{ticks[1] - ticks[0]:.6g}"
        digits = "x" * len(step.partition(".")[2])
        frame = [f"{side}lrtb".replace(_LINE[side], ""), f"{axis}a{step}" + ("" if degrees else f"+l{name}")]
        with pygmt.config(FORMAT_GEO_MAP=f"ddd{'.' if digits else ''}{digits}F"):
            figure.basemap(region=region, projection=projection, frame=frame)


def _say(figure: Any, page: _Page, at: tuple[float, float], text: str, *, no_clip: bool = True, **style: Any) -> None:
    figure.text(x=at[0], y=at[1], text=text, no_clip=no_clip, **style, **page.place)


# ---- profiles ------------------------------------------------------------------------------------


def plot_profiles_gmt(
    profiles: xr.Dataset,
    variable: str | None = None,
    *,
    fits: xr.Dataset | None = None,
    unit: str = "auto",
    title: str = "",
) -> Any:
    """
    Draw profiles across a fault, one below the other on one scale.

    Parameters
    ----------
    profiles : xr.Dataset
        Dimensions ``(profile, distance)`` with `distance_km`, positive to the right of the trace as it runs: the mean
        of each bin, perhaps its ``_quantile`` (a band) or ``_std`` (bars); stations on `station` with
        `station_profile`, `station_distance_km`, ``station_NAME`` and its ``_std``; other faults on `crossing` with
        `crossing_profile` and `crossing_distance_km`.
    variable : str, optional
        Which mean to draw; the first of velocity, fault_parallel, east, displacement and up by default.
    fits : xr.Dataset, optional
        Faults fitted to these profiles, by `mimtpy_cloud.ops.transectfit.fit_transects`.
    unit : str
        Unit to show, such as ``"mm/yr"``; ``"auto"`` as for `mimtpy_cloud.view.map.plot_map`.
    title : str
        Over the first.

    Returns
    -------
    pygmt.Figure

    Raises
    ------
    MimtpyError
        If pygmt or GMT is missing.
    SchemaError
        If there is no such variable, or the unit does not fit.
    """
    pygmt = require_gmt()
    name = variable or next((n for n in _PROFILED if n in profiles), "")
    require_variables("the profiles", profiles.variables, name or "velocity", "distance_km")
    require_dims(name, profiles[name].dims, "profile", "distance")
    ds = profiles.compute()
    factor, unit, place = _profile_axes(ds, name, unit)
    fitted = None if fits is None else predict_transects(fits.compute(), ds["distance_km"].values).values * factor
    figure = pygmt.Figure()
    count = ds.sizes["profile"]
    with pygmt.config(**_SETTINGS):
        for k in reversed(range(count)):  # from below, since a page of GMT grows upward
            last = k == count - 1
            figure.shift_origin(xshift="3c" if last else None, yshift=f"{4 if last else _PROFILE[1] + 0.35}c")
            number = int(ds["profile"][k])  # which stations and crossings count
            _draw_profile(figure, place, ds.isel(profile=k), number, name, factor)
            if fitted is not None and np.isfinite(fitted[k]).all():
                figure.plot(x=ds["distance_km"].values, y=fitted[k], pen="1.2p,#d55e00", **place)
            label = f"ya+l{name.replace('_', ' ')} [{unit}]" if k == count // 2 else "ya"
            bottom = ["xaf+ldistance from the fault [km]", f"{label}", "WSrt"] if last else ["xf", f"{label}", "Wsrt"]
            figure.basemap(frame=bottom, **place)
        if title:
            figure.text(position="TC", text=title, font="10p", offset="0c/0.5c", no_clip=True, **place)
    return figure


def _profile_axes(ds: xr.Dataset, name: str, unit: str) -> tuple[float, str, dict[str, Any]]:
    """Value shown for one of the data, its unit, and axes that hold all profiles."""
    bands = [ds[f"{name}{end}"].values.ravel() for end in ("", "_quantile") if f"{name}{end}" in ds]
    values = np.concatenate(bands)
    if not np.isfinite(values).any():
        raise SchemaError(f"{name} of the profiles is NaN everywhere; take another place or a wider swath")
    shade = shading(values, name=name, long_name="", units=str(ds[name].attrs.get("units", "")), unit=unit)
    low, high = float(np.nanmin(values) * shade.factor), float(np.nanmax(values) * shade.factor)
    room = 0.08 * (high - low) or 1.0
    distance = ds["distance_km"].values
    region = [float(distance.min()), float(distance.max()), low - room, high + room]
    return shade.factor, shade.unit, {"region": region, "projection": f"X{_PROFILE[0]}c/{_PROFILE[1]}c"}


def _draw_profile(figure: Any, place: dict[str, Any], ds: xr.Dataset, number: int, name: str, factor: float) -> None:
    """Zero, the fault, other faults, the spread, the mean, and the stations of one swath."""
    west, east, low, high = place["region"]
    x, y = ds["distance_km"].values, ds[name].values * factor
    there = np.isfinite(y)
    figure.plot(x=[west, east], y=[0, 0], pen="0.4p,gray70", **place)
    for at in _mine(ds, "crossing", number, "crossing_distance_km"):
        figure.plot(x=[at, at], y=[low, high], pen="0.6p,gray40,-", **place)
    figure.plot(x=[0, 0], y=[low, high], pen="1p,black", **place)
    if f"{name}_quantile" in ds:
        lower, upper = (ds[f"{name}_quantile"].isel(quantile=k).values * factor for k in (0, -1))
        for run in _runs(np.isfinite(lower) & np.isfinite(upper)):
            outline = np.concatenate([x[run], x[run][::-1]]), np.concatenate([lower[run], upper[run][::-1]])
            figure.plot(x=outline[0], y=outline[1], fill="#9ecae1", **place)
    elif f"{name}_std" in ds:
        spread = np.column_stack([x, y, ds[f"{name}_std"].values * factor])[there]
        figure.plot(data=spread, style="c0.01c", error_bar="y+p0.4p,#9ecae1", **place)
    figure.plot(x=x[there], y=y[there], style="c0.09c", fill="#08519c", **place)
    if f"station_{name}" in ds:
        seen = _mine(ds, "station", number, "station_distance_km", f"station_{name}", f"station_{name}_std")
        data = np.column_stack([seen[0], seen[1] * factor, np.nan_to_num(seen[2]) * factor])
        if data.size:
            figure.plot(data=data, style="s0.2c", fill=STATIONS, pen="0.5p", error_bar="y+p0.5p", **place)
    along = f" {float(ds['along_km']):.0f} km along the fault" if "along_km" in ds else f" profile {number + 1}"
    figure.text(position="TL", text=along.strip(), font="8p", offset="0.15c/-0.15c", fill=_HALO, **place)


def _mine(ds: xr.Dataset, what: str, number: int, *names: str) -> np.ndarray:
    """Values of the stations, or crossings, of one profile; of one name, or rows of several."""
    if f"{what}_profile" not in ds:
        return np.empty((len(names), 0)).squeeze(0) if len(names) == 1 else np.empty((len(names), 0))
    mine = ds[f"{what}_profile"].values == number
    rows = [ds[n].values[mine] if n in ds else np.full(int(mine.sum()), np.nan) for n in names]
    return np.asarray(rows[0] if len(names) == 1 else rows)


def _runs(there: np.ndarray) -> list[slice]:
    """Stretches without a gap."""
    edges = np.flatnonzero(np.diff(np.concatenate([[False], there, [False]]).astype(int)))
    return [slice(int(a), int(b)) for a, b in zip(edges[::2], edges[1::2], strict=True)]
