"""The figure and the numbers of a comparison with GNSS stations: map, regression, and pairs by distance."""

import math
import textwrap
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import xarray as xr

from mimtpy_cloud.exports.grids import grid_of
from mimtpy_cloud.exports.provenance import SOFTWARE, jsonable
from mimtpy_cloud.kernels.validation import ONE_SIGMA, STATISTICS
from mimtpy_cloud.ops.pixels import map_projection, near_longitude
from mimtpy_cloud.ops.validation import LEFT_OUT, REACH
from mimtpy_cloud.plan.grid import Grid
from mimtpy_cloud.schema import SPATIAL_REF
from mimtpy_cloud.view.axes import draw_scale_bar, draw_ticks, ground_aspect
from mimtpy_cloud.view.colours import DIVERGING, shading

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

__all__ = ["background", "describe_gnss", "plot_gnss", "statistics_rows"]

_MM = 1000.0
_UNIT = "mm/yr"
_LINE, _POINT, _PAIR, _RMS = "#c1272d", "#1f5fa8", "0.55", "black"
_LIMITS = {"OPERA": "#d1570f", "NISAR": "#7b2d8b"}
#: Inches: left, width and height of the three panels of a row, and around them.
_COLUMNS = ((0.75, 3.7), (5.95, 3.5), (10.35, 4.7))
_HEIGHT, _GAP, _TOP, _BOTTOM, _WIDTH = 3.5, 1.05, 1.15, 0.6, 15.3
#: Most rows and columns of the background, and most pairs that a JSON file lists.
_PIXELS, _PAIRS = 400, 10_000
#: A regression whose slope is known less well is not drawn.
_MOST_STD = 0.5
_NAMES = {"los": "line of sight"}


def background(product: xr.Dataset, comparison: xr.Dataset) -> xr.Dataset:
    """
    Thin the maps of the compared components for a figure, still lazily.

    Parameters
    ----------
    product : xr.Dataset
        What was compared.
    comparison : xr.Dataset
        Result of `mimtpy_cloud.ops.validation.compare_gnss`, lazy or not.

    Returns
    -------
    xr.Dataset
        Every n-th pixel of each component, by its name, with the grid of the product in its attribute ``grid``.
    """
    step = max(1, -(-max(product.sizes["y"], product.sizes["x"]) // _PIXELS))
    variables = {str(name): _variable(str(name)) for name in comparison["component"].values}
    maps = product[list(variables.values())]
    usable = maps.where(product["valid"] > 0) if "valid" in product else maps
    small = usable.isel(y=slice(step // 2, None, step), x=slice(step // 2, None, step))
    renamed = small.rename({old: new for new, old in variables.items() if old != new})
    return renamed.assign_attrs(grid=_grid(product))


def _variable(component: str) -> str:
    return "velocity" if component == "los" else component


def _grid(product: xr.Dataset) -> Grid:
    known = SPATIAL_REF in product.coords
    return grid_of(product if known else product.assign_coords({SPATIAL_REF: ((), 0, {"crs_wkt": "EPSG:4326"})}))


def plot_gnss(comparison: xr.Dataset, maps: xr.Dataset | None = None) -> "Figure":
    """
    Draw the comparison of a product with stations, one row a component.

    Parameters
    ----------
    comparison : xr.Dataset
        Computed result of `mimtpy_cloud.ops.validation.compare_gnss`.
    maps : xr.Dataset, optional
        Computed result of `background`, drawn pale below the stations.

    Returns
    -------
    matplotlib.figure.Figure
        Of each component the residuals on a map, the product against the stations with the line ``equal`` and the
        regression, and the differences of pairs by distance with the lines of OPERA and NISAR.
    """
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    names = [str(name) for name in comparison["component"].values]
    note = "\n".join(textwrap.wrap(comparison.attrs["frame_note"], 190))
    bottom = _BOTTOM + 0.17 * (note.count("\n") + 1 if note else 0)
    height = _TOP + len(names) * _HEIGHT + (len(names) - 1) * _GAP + bottom
    figure = Figure(figsize=(_WIDTH, height), dpi=100)
    FigureCanvasAgg(figure)
    for row, name in enumerate(names):
        floor = height - _TOP - _HEIGHT - row * (_HEIGHT + _GAP)
        boxes = [(x / _WIDTH, floor / height, w / _WIDTH, _HEIGHT / height) for x, w in _COLUMNS]
        panels = [figure.add_axes(box) for box in boxes]
        one = comparison.sel(component=name)
        _draw_map(panels[0], one, name, maps)
        _draw_regression(panels[1], one)
        _draw_pairs(panels[2], one)
        stations = f"{int(one['count'])} station{'' if int(one['count']) == 1 else 's'}"
        numbers = f"rms {_mm(one['rms'])}, after the offset {_mm(one['rms_after'])} {_UNIT}"
        title = f"{_NAMES.get(name, name)}: {stations}, {numbers}"
        top = (floor + _HEIGHT + 0.33) / height
        figure.text(_COLUMNS[0][0] / _WIDTH, top, title, fontsize="large", weight="bold", va="bottom")
    figure.suptitle(_title(comparison), fontsize="large", y=1 - 0.15 / height, va="top")
    figure.text(_COLUMNS[0][0] / _WIDTH, 0.08 / height, note, fontsize="small", color="0.3", va="bottom")
    return figure


def _title(comparison: xr.Dataset) -> str:
    facts = comparison.attrs["facts"]
    who = " ".join(str(facts[key]) for key in ("sensor", "track") if facts.get(key)) or "product"
    when = " to ".join(str(facts[key]) for key in ("start_date", "end_date") if facts.get(key))
    first = f"{who}{', ' if when else ''}{when}, {comparison.attrs['product_frame']}"
    window = comparison.attrs["window"]
    pixels = f"mean of {window} x {window} pixels" if window > 1 else "one pixel"
    return f"{first}\nagainst GNSS stations in {comparison.attrs['frame'] or 'an unknown frame'}, {pixels} each"


def _mm(value: Any, digits: int = 3) -> str:
    number = float(value) * _MM
    return f"{number:.{digits}g}".replace("-", "\N{MINUS SIGN}") if math.isfinite(number) else "-"


# ---- map -----------------------------------------------------------------------------------------


def _draw_map(ax: "Axes", one: xr.Dataset, name: str, maps: xr.Dataset | None) -> None:
    x, y = one["lon"].values, one["lat"].values
    if maps is not None:
        grid = maps.attrs["grid"]
        projection = map_projection(maps)
        x, y = (near_longitude(x, grid.west + grid.dx * grid.nx / 2), y) if projection is None else projection(x, y)
        _draw_background(ax, maps[name], grid)
    residual, reason = one["residual_after"].values * _MM, one["left_out"].values
    used = np.isfinite(residual)
    shade = shading(residual, name="residual", long_name="", units=_UNIT, unit=_UNIT)
    order = np.argsort(np.abs(residual[used]))
    points = ax.scatter(
        x[used][order], y[used][order], c=residual[used][order], cmap=DIVERGING, vmin=shade.low, vmax=shade.high,
        s=44, edgecolors="black", linewidths=0.8, zorder=4,
    )  # fmt: skip
    marks = {"excluded": ("s", "excluded"), "without_pixels": ("x", "no usable pixel")}
    for mark, (marker, label) in marks.items():
        at = reason == LEFT_OUT.index(mark)
        if at.any():
            ax.plot(x[at], y[at], marker, ms=5, color="0.25", mfc="none", mew=0.9, label=label, zorder=3)
    if ax.get_legend_handles_labels()[0]:
        ax.legend(loc="upper left", fontsize="x-small", framealpha=0.85)
    if maps is None:
        ax.set_aspect(1 / max(0.05, math.cos(math.radians(float(np.mean(y))))), adjustable="datalim")
    bar = ax.figure.colorbar(points, cax=ax.inset_axes((1.03, 0.0, 0.035, 1.0)))
    bar.set_label(f"residual after the offset [{_UNIT}]")
    bar.ax.tick_params(labelsize="small")
    offset = f"{_mm(one['offset'])} ± {_mm(one['offset_std'], 2)} {_UNIT}"
    ax.set_title(f"product minus stations, offset {offset}", fontsize="medium", loc="left")
    ax.tick_params(labelsize="small")


def _draw_background(ax: "Axes", small: xr.DataArray, grid: Grid) -> None:
    """Pale grey from low to high, which leaves the colours to the stations."""
    from matplotlib.colors import LinearSegmentedColormap

    values = small.values.astype(np.float64)
    west, south, east, north = grid.bounds
    if np.isfinite(values).any():
        low, high = np.nanpercentile(values, (2, 98))
        pale = LinearSegmentedColormap.from_list("pale", ["0.97", "0.62"])
        ax.imshow(
            np.ma.masked_invalid(values), extent=(west, east, south, north), origin="upper", cmap=pale, vmin=low,
            vmax=high if high > low else low + 1.0, interpolation="nearest", aspect="auto",
        )  # fmt: skip
    ax.set(xlim=(west, east), ylim=(south, north), aspect=ground_aspect(grid))
    draw_ticks(ax, grid)
    draw_scale_bar(ax, grid, values)


# ---- regression and pairs ------------------------------------------------------------------------


def _draw_regression(ax: "Axes", one: xr.Dataset) -> None:
    used = np.isfinite(one["residual"].values)
    x, y, x_std, y_std = (
        one[name].values[used] * _MM for name in ("expected", "observed", "expected_std", "observed_std")
    )
    x_std, y_std = np.nan_to_num(x_std), np.nan_to_num(y_std)
    ax.errorbar(x, y, y_std, x_std, fmt="o", color=_POINT, markersize=4, linewidth=0.7, alpha=0.8, zorder=3)
    if x.size:
        half = 0.58 * max(np.ptp(x), np.ptp(y), 1.0)
        middle = [(values.min() + values.max()) / 2 for values in (x, y)]
        ends = np.array([middle[0] - half, middle[0] + half])
        ax.set(xlim=ends, ylim=(middle[1] - half, middle[1] + half))
        offset = float(one["offset"]) * _MM
        ax.plot(ends, ends, color="0.45", linewidth=0.9, linestyle="--", label="equal")
        ax.plot(ends, ends + offset, color="0.45", linewidth=0.9, linestyle=":", label="equal but for the offset")
        slope, std, intercept = (float(one[key]) for key in ("slope", "slope_std", "intercept"))
        if math.isfinite(slope):
            told = std < _MOST_STD
            label = f"slope {slope:.2f} ± {std:.2f}" if told else f"slope not determined (± {std:.2g})"
            label += f", correlation {float(one['correlation']):.2f}"
            line = slope * ends + intercept * _MM if told else [np.nan, np.nan]
            ax.plot(ends, line, color=_LINE, linewidth=1.3, label=label)
        ax.legend(loc="upper left", fontsize="x-small", framealpha=0.85)
    ax.set(xlabel=f"stations [{_UNIT}]", ylabel=f"product [{_UNIT}]")
    chi2 = float(one["chi2"])
    known = f", reduced χ² {chi2:.3g}" if math.isfinite(chi2) else ""
    ax.set_title(f"product against stations{known}", fontsize="medium", loc="left")
    ax.tick_params(labelsize="small")


def _draw_pairs(ax: "Axes", one: xr.Dataset) -> None:
    distance, difference = one["distance_km"].values, one["pair_difference"].values * _MM
    known = np.isfinite(difference)
    ax.scatter(distance[known], difference[known], s=9, color=_PAIR, alpha=0.55, linewidths=0, label="pairs", zorder=2)
    edges, rms = one["bin_edge"].values, one["bin_rms"].values * _MM
    filled = np.flatnonzero(np.isfinite(rms))
    for k in filled:
        label = "rms by distance" if k == filled[0] else None
        ax.plot(edges[k : k + 2], [rms[k], rms[k]], color=_RMS, linewidth=1.8, zorder=3, label=label)
    for name, limit in zip(one["requirement"].values, one["limit"].values * _MM, strict=True):
        share = float(one["within"].sel(requirement=name))
        met = f", {share:.0%} within" if math.isfinite(share) else ""
        label = f"{name} {limit:g} {_UNIT}{met}"
        ax.plot(REACH, [limit, limit], color=_LIMITS.get(str(name), "0.2"), linewidth=1.6, label=label, zorder=4)
    farthest = edges[filled[-1] + 1] if filled.size else REACH[1]
    high = np.percentile(difference[known], 99) if known.any() else 0.0
    ax.set(xlim=(0, max(1.04 * farthest, 1.04 * REACH[1])), ylim=(0, 1.35 * max(high, 6.0)))
    if not known.any():
        ax.text(0.5, 0.5, "no pair of stations", transform=ax.transAxes, ha="center", color="0.35")
    count = int(one["within_count"])
    title = f"{count:,} pair{'' if count == 1 else 's'} at {REACH[0]:g} to {REACH[1]:g} km"
    ax.set_title(f"{title}, of which {ONE_SIGMA:.0%} shall be within", fontsize="medium", loc="left")
    ax.set(xlabel="distance of two stations [km]", ylabel=f"difference of their residuals [{_UNIT}]")
    ax.legend(loc="upper right", fontsize="x-small", framealpha=0.9, ncols=2)
    ax.tick_params(labelsize="small")


# ---- numbers -------------------------------------------------------------------------------------


def describe_gnss(comparison: xr.Dataset) -> dict[str, Any]:
    """
    Say everything about a comparison with stations in values that JSON can hold.

    Parameters
    ----------
    comparison : xr.Dataset
        Computed result of `mimtpy_cloud.ops.validation.compare_gnss`.

    Returns
    -------
    dict
        Frames, product, and of each component its statistics, stations, classes of distance and requirements; pairs of
        stations up to ten thousand. Rates are in m/yr; what is not known is None.
    """
    attrs = comparison.attrs
    rates = ("observed", "observed_std", "expected", "expected_std", "residual", "residual_after")
    components = {}
    for name in comparison["component"].values:
        one = comparison.sel(component=name)
        stations = [
            {
                "name": str(station),
                "left_out": None if not one["left_out"][k] else LEFT_OUT[int(one["left_out"][k])],
                "pixels": int(one["observed_count"][k]),
                **{key: one[key].values[k] for key in rates},
            }
            for k, station in enumerate(comparison["station"].values)
        ]
        requirements = {
            str(which): {"limit": one["limit"].values[m], "within": one["within"].values[m], "share": share}
            for m, (which, share) in enumerate(zip(one["requirement"].values, one["bin_within"].values, strict=True))
        }
        components[str(name)] = {
            "statistics": {key: one[key].item() for key in STATISTICS},
            "stations": stations,
            "distance": {"count": one["bin_count"].values, "rms": one["bin_rms"].values},
            "requirements": requirements,
            "pairs_in_reach": int(one["within_count"]),
        }
    content = {
        "units": "m/yr",
        "sign": "residual = product - station",
        "line": "product = slope * station + intercept, York (2004) with errors in both, robust",
        "offset": "robust constant of the residual, a component",
        "requirement": (
            f"{ONE_SIGMA:.1%} of the pairs of stations at {REACH[0]:g} to {REACH[1]:g} km differ by the limit at most"
        ),
        "frame": attrs["frame"],
        "product_frame": attrs["product_frame"],
        "frame_note": attrs["frame_note"],
        "stations": attrs["stations"],
        "outside": attrs["outside"],
        "tied": attrs["tied"],
        "window": attrs["window"],
        "product": attrs["facts"],
        "places": {
            str(n): [lon, lat]
            for n, lon, lat in zip(*(comparison[c].values for c in ("station", "lon", "lat")), strict=True)
        },
        "edges_km": comparison["bin_edge"].values,
        "components": components,
        "pairs": _describe_pairs(comparison),
        "software": SOFTWARE,
    }
    plain: dict[str, Any] = _plain(content)
    return plain


def _describe_pairs(comparison: xr.Dataset) -> dict[str, Any] | None:
    if comparison.sizes["pair"] > _PAIRS:
        return None
    differences = zip(comparison["component"].values, comparison["pair_difference"].values, strict=True)
    return {
        "first": comparison["first"].values.tolist(),
        "second": comparison["second"].values.tolist(),
        "distance_km": np.round(comparison["distance_km"].values, 6),
        "difference": {str(name): values for name, values in differences},
    }


def _plain(value: Any) -> Any:
    """As JSON holds it, None for a number that is not finite; arrays of rates to nanometres."""
    if isinstance(value, Mapping):
        return {str(key): _plain(item) for key, item in value.items()}
    if isinstance(value, np.ndarray | list | tuple):
        return [_plain(item) for item in (value.tolist() if isinstance(value, np.ndarray) else value)]
    if isinstance(value, float | np.floating):
        return round(float(value), 9) if math.isfinite(value) else None
    return jsonable(value)


@dataclass(frozen=True)
class _Column:
    """A column of the table that the shell prints."""

    heading: str
    name: str
    factor: float = _MM
    digits: int = 2


_TABLE = (
    _Column("rms", "rms"),
    _Column("offset", "offset"),
    _Column("±", "offset_std"),
    _Column("rms after", "rms_after"),
    _Column("mad", "mad"),
    _Column("slope", "slope", 1.0),
    _Column("±", "slope_std", 1.0),
    _Column("correlation", "correlation", 1.0),
    _Column("chi2", "chi2", 1.0),
)


def statistics_rows(comparison: xr.Dataset) -> tuple[tuple[str, ...], list[tuple[str, ...]]]:
    """
    List the key numbers of a comparison, one row a component.

    Parameters
    ----------
    comparison : xr.Dataset
        Computed.

    Returns
    -------
    columns : tuple of str
        Headings; rates are in mm/yr.
    rows : list of tuple of str
        Numbers; "-" where there is none.
    """
    limits = [str(name) for name in comparison["requirement"].values]
    columns = ("mm/yr", "stations", *(c.heading for c in _TABLE), "pairs", *(f"{name} %" for name in limits))
    rows = []
    for name in comparison["component"].values:
        one = comparison.sel(component=name)
        cells = [_cell(float(one[c.name]) * c.factor, c.digits) for c in _TABLE]
        shares = [_cell(100 * float(one["within"].sel(requirement=limit)), 0) for limit in limits]
        rows.append((str(name), str(int(one["count"])), *cells, str(int(one["within_count"])), *shares))
    return columns, rows


def _cell(value: float, digits: int) -> str:
    return f"{round(value, digits) + 0.0:.{digits}f}" if math.isfinite(value) else "-"
