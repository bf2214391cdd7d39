"""The figure and the numbers of one seam: map, histogram, one product against the other, and profiles."""

import json
import math
import os
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import xarray as xr

from mimtpy_cloud.exports.provenance import SOFTWARE, jsonable
from mimtpy_cloud.exports.publish import publish_bytes
from mimtpy_cloud.kernels.offset import summarise_differences
from mimtpy_cloud.kernels.seam import STATISTICS
from mimtpy_cloud.ops.looks import AS_SEEN
from mimtpy_cloud.view.colours import Shading, shading
from mimtpy_cloud.view.map import plot_map

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

__all__ = ["describe_seam", "describe_statistics", "filled_part", "plot_seam", "seam_unit", "write_json"]

_FIRST, _SECOND, _DIFFERENCE = "#1f5fa8", "#d1570f", "0.25"
_COLOURS = {"along": "black", "across": "#7b2d8b"}
#: A list of numbers over several lines; no text holds an unescaped line end.
_NUMBERS = re.compile(r"\[\n[-+.,\deE\snul]*\]")
#: Inches: of the panels, and between them.
_MAP_HEIGHT, _SIDE, _PROFILE = 6.6, 4.2, 2.3
_BESIDE, _TOP, _LEFT, _BAR, _RIGHT, _GAP = 3.2, 0.85, 0.85, 2.0, 0.95, 0.95
#: Maps that are lower than this, relative to their width, stand above the histograms.
_WIDE = 0.7


def seam_unit(comparison: xr.Dataset) -> Shading:
    """
    Choose the unit that shows the products of a comparison.

    Parameters
    ----------
    comparison : xr.Dataset
        Computed result of `mimtpy_cloud.ops.overlap.compare_overlap`.

    Returns
    -------
    Shading
        Its `unit` and `factor`: mm/yr for rates; cm for displacements, mm where all are below 1 cm.
    """
    name, units = str(comparison.attrs["variable"]), str(comparison["median"].attrs["units"])
    return shading(comparison["joint_edge"].values, name=name, long_name="", units=units, percentile=(0, 100))


def plot_seam(
    comparison: xr.Dataset,
    along: Sequence[xr.Dataset] = (),
    across: Sequence[xr.Dataset] = (),
    *,
    max_pixels: int = 1500,
) -> "Figure":
    """
    Draw the comparison of two products in their overlap.

    Parameters
    ----------
    comparison : xr.Dataset
        Computed result of `mimtpy_cloud.ops.overlap.compare_overlap`; its map may be lazy.
    along, across : sequence of xr.Dataset
        Computed results of `mimtpy_cloud.ops.overlap.profile_overlap`, with attribute ``azimuth`` in degrees clockwise
        from north. Their distances are comparable: those of one kind are averaged.
    max_pixels : int
        As for `mimtpy_cloud.view.map.plot_map`.

    Returns
    -------
    matplotlib.figure.Figure
        Map of the difference with the profiles on it, histogram with median and sigma, joint histogram with the fitted
        line, and both products along the profiles.
    """
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    kinds = [(kind, lines) for kind, lines in (("along", along), ("across", across)) if lines]
    shade, (difference,) = seam_unit(comparison), filled_part(comparison["difference"])
    difference = difference.assign_attrs(pixels_per_degree=comparison.attrs["pixels_per_degree"])
    layout = _Layout.of(_height_over_width(difference), len(kinds))
    figure = Figure(figsize=layout.size, dpi=100)
    FigureCanvasAgg(figure)
    panels = [figure.add_axes(layout.fraction(box)) for box in layout.boxes]
    _draw_map(panels[0], difference, shade, dict(kinds), max_pixels)
    _draw_histogram(panels[1], comparison, shade)
    _draw_joint(panels[2], comparison, shade)
    for ax, (kind, lines) in zip(panels[3:], kinds, strict=True):
        _draw_profiles(ax, comparison, shade, kind, lines)
    figure.suptitle(_title(comparison), fontsize="large", y=1 - 0.12 / layout.size[1], va="top")
    return figure


@dataclass(frozen=True)
class _Layout:
    """Size of the figure, and left, top, width and height of map, histogram, joint histogram and profiles; inches."""

    size: tuple[float, float]
    boxes: list[tuple[float, float, float, float]]

    @classmethod
    def of(cls, ratio: float, profiles: int) -> "_Layout":
        """Place the histograms beside a map that is high, below one that is wide; `ratio` is its height over width."""
        if ratio >= _WIDE:
            map_width, map_height = min(6.4, max(2.2, _MAP_HEIGHT / ratio)), _MAP_HEIGHT
            side, half = _LEFT + map_width + _BAR, (_MAP_HEIGHT - _GAP + 0.25) / 2
            boxes = [(side, _TOP, _SIDE, half), (side, _TOP + _MAP_HEIGHT - half, _SIDE, half)]
            width, bottom = side + _SIDE + _RIGHT, _TOP + map_height
        else:
            map_width, map_height = 2 * _SIDE + _GAP, max(1.4, (2 * _SIDE + _GAP) * ratio)
            top = _TOP + map_height + _GAP
            boxes = [(_LEFT, top, _SIDE, _BESIDE), (_LEFT + _SIDE + _GAP, top, _SIDE, _BESIDE)]
            width, bottom = _LEFT + map_width + _BAR, top + _BESIDE
        boxes.insert(0, (_LEFT, _TOP, map_width, map_height))
        for row in range(profiles):
            boxes.append((_LEFT, bottom + _GAP + row * (_PROFILE + _GAP), width - _LEFT - _RIGHT, _PROFILE))
        return cls((width, bottom + profiles * (_PROFILE + _GAP) + 0.65), boxes)

    def fraction(self, box: tuple[float, float, float, float]) -> tuple[float, float, float, float]:
        """Left, bottom, width and height as fractions of the figure."""
        (left, top, width, height), (across, down) = box, self.size
        return left / across, 1 - (top + height) / down, width / across, height / down


def filled_part(*maps: xr.DataArray) -> tuple[xr.DataArray, ...]:
    """
    Cut away the rows and columns around maps in which none has data.

    Parameters
    ----------
    *maps : xr.DataArray
        Of one grid, dimensions ``(y, x)``.

    Returns
    -------
    tuple of xr.DataArray
        Whole where they are lazy, or none has data.
    """
    if any(da.chunks is not None for da in maps):
        return maps
    known = np.isfinite([da.values for da in maps]).any(axis=0)
    rows, cols = np.flatnonzero(known.any(axis=1)), np.flatnonzero(known.any(axis=0))
    return tuple(da[rows[0] : rows[-1] + 1, cols[0] : cols[-1] + 1] for da in maps) if rows.size else maps


def _height_over_width(da: xr.DataArray) -> float:
    """On the ground."""
    middle = math.radians(float(da["y"][0] + da["y"][-1]) / 2)
    return da.sizes["y"] / (da.sizes["x"] * max(0.05, math.cos(middle)))


def _title(comparison: xr.Dataset) -> str:
    first, second = (comparison.attrs[key] for key in ("first", "second"))
    what = f"{comparison.attrs['variable']} in the overlap{AS_SEEN[comparison.attrs['look']]}"
    parts = [f"{first['label']} minus {second['label']}: {what}"]
    for facts in (first, second):
        dates = " to ".join(str(facts[key]) for key in ("start_date", "end_date") if facts.get(key))
        parts += [f"{facts['label']} {dates}"] if dates else []
    return parts[0] + ("\n" + ";  ".join(parts[1:]) if len(parts) > 1 else "")


def _draw_map(
    ax: "Axes",
    difference: xr.DataArray,
    shade: Shading,
    kinds: Mapping[str, Sequence[xr.Dataset]],
    max_pixels: int,
) -> None:
    from matplotlib.patheffects import withStroke

    title = "difference{}".format(", profiles with a dot at their end" if kinds else "")
    plot_map(difference, unit=shade.unit, reference_point=None, ax=ax, max_pixels=max_pixels, title=title)
    middle = sum(ax.get_xlim()) / 2
    halo = [withStroke(linewidth=2.6, foreground="white", alpha=0.8)]
    for kind, lines in kinds.items():
        colour = _COLOURS[kind]
        for line in lines:
            known = np.isfinite(line["difference"].values)
            keep = slice(*(np.flatnonzero(known)[[0, -1]] + [0, 1])) if known.any() else slice(0, 0)
            lon, lat = line["lon"].values[keep], line["lat"].values[keep]
            lon = lon - 360.0 * np.round((lon - middle) / 360.0)
            ax.plot(lon, lat, color=colour, linewidth=1.1, path_effects=halo, zorder=4, scalex=False, scaley=False)
            ax.plot(lon[-1:], lat[-1:], "o", color=colour, markersize=4, zorder=4, scalex=False, scaley=False)


def _draw_histogram(ax: "Axes", comparison: xr.Dataset, shade: Shading) -> None:
    edges, counts = comparison["bin_edge"].values * shade.factor, comparison["histogram"].values
    numbers = {name: float(comparison[name]) for name in STATISTICS}
    median, sigma, mean, rms = (numbers[name] * shade.factor for name in ("median", "sigma", "mean", "rms"))
    ax.stairs(counts, edges, fill=True, color="0.72")
    ax.axvspan(median - sigma, median + sigma, color=_FIRST, alpha=0.13, linewidth=0)
    ax.axvline(median, color=_FIRST, linewidth=1.4)
    if sigma > 0 and counts.any():
        x = np.linspace(edges[0], edges[-1], 400)
        scale = numbers["count"] * np.diff(edges).mean() / (sigma * math.sqrt(2 * math.pi))
        ax.plot(x, scale * np.exp(-0.5 * ((x - median) / sigma) ** 2), color="0.2", linewidth=0.9, linestyle="--")
    text = (
        f"median {_signed(median)}\nσ {sigma:.3g} (1.4826 mad)\nmean {_signed(mean)}\nrms {rms:.3g} {shade.unit}\n"
        f"{numbers['count']:,.0f} pixels"
    )
    ax.text(0.97, 0.95, text, transform=ax.transAxes, ha="right", va="top", fontsize="small", linespacing=1.35)
    beyond = int(numbers["count"] - counts.sum())
    if beyond:
        ax.text(
            0.03, 0.95, f"{beyond:,} pixels beyond", transform=ax.transAxes, va="top", fontsize="x-small", color="0.35"
        )
    ax.set(xlim=(edges[0], edges[-1]), xlabel=f"difference [{shade.unit}]", ylabel="pixels")
    ax.set_ylim(0, 1.06 * max(1.0, ax.get_ylim()[1]))
    ax.ticklabel_format(axis="y", style="sci", scilimits=(-3, 4))
    ax.tick_params(labelsize="small")


def _draw_joint(ax: "Axes", comparison: xr.Dataset, shade: Shading) -> None:
    from matplotlib.colors import LogNorm

    edges, counts = comparison["joint_edge"].values * shade.factor, comparison["joint"].values
    shown = np.ma.masked_less(counts.T, 1)
    image = ax.pcolormesh(edges, edges, shown, norm=LogNorm(1, max(2, counts.max())), cmap="cividis", rasterized=True)
    ends = np.array([edges[0], edges[-1]])
    ax.plot(ends, ends, color="0.45", linewidth=0.9, linestyle="--", label="equal")
    slope, intercept = float(comparison["slope"]), float(comparison["intercept"]) * shade.factor
    if math.isfinite(slope):
        label = f"slope {slope:.3f}, correlation {float(comparison['correlation']):.2f}"
        ax.plot(ends, slope * ends + intercept, color="#c1272d", linewidth=1.3, label=label)
    ax.set(xlim=ends, ylim=ends, aspect="equal", facecolor="0.96")
    first, second = comparison.attrs["labels"]
    ax.set_xlabel(f"{first} [{shade.unit}]")
    ax.set_ylabel(f"{second} [{shade.unit}]")
    ax.tick_params(labelsize="small")
    ax.legend(loc="upper left", fontsize="x-small", framealpha=0.9)
    bar = ax.figure.colorbar(image, cax=ax.inset_axes((1.04, 0.0, 0.045, 1.0)))
    bar.set_label("pixels", fontsize="small")
    bar.ax.tick_params(labelsize="x-small")


def _draw_profiles(ax: "Axes", comparison: xr.Dataset, shade: Shading, kind: str, lines: Sequence[xr.Dataset]) -> None:
    labels = comparison.attrs["labels"]
    rows = [("first", _FIRST, labels[0]), ("second", _SECOND, labels[1]), ("difference", _DIFFERENCE, "difference")]
    for name, colour, label in rows:
        for line in lines if len(lines) > 1 else ():
            ax.plot(line["distance_km"], line[name] * shade.factor, color=colour, linewidth=0.5, alpha=0.35)
        distance, mean = _average(lines, name)
        ax.plot(distance, mean * shade.factor, color=colour, linewidth=1.4, label=label)
    ax.axhline(0, color="0.6", linewidth=0.6, zorder=0)
    known = [line["distance_km"].values[np.isfinite(line["first"].values + line["second"].values)] for line in lines]
    reached = np.concatenate(known)
    if reached.size and np.ptp(reached) > 0:
        margin = 0.02 * np.ptp(reached)
        ax.set_xlim(reached.min() - margin, reached.max() + margin)
    elif not reached.size:
        ax.text(0.5, 0.5, "no data on the profiles", transform=ax.transAxes, ha="center", color="0.35")
    toward = float(lines[0].attrs["azimuth"]) % 360
    many = f", mean of {len(lines)} and each" if len(lines) > 1 else ""
    ax.set_title(f"{kind}, toward {toward:.0f}°{many}", fontsize="medium", loc="left", color=_COLOURS[kind])
    ax.set(xlabel="distance [km]", ylabel=f"{comparison.attrs['variable']} [{shade.unit}]")
    ax.tick_params(labelsize="small")
    _draw_height(ax, lines)
    ax.legend(loc="lower right", bbox_to_anchor=(1.0, 1.0), ncols=3, fontsize="small", frameon=False)


def _draw_height(ax: "Axes", lines: Sequence[xr.Dataset]) -> None:
    """Ground below the profiles, on an axis of its own that keeps it in the lower third."""
    if not all("height" in line for line in lines):
        return
    distance, height = _average(lines, "height")
    top = float(np.nanmax(height)) / 1000 if np.isfinite(height).any() else 0.0
    if top <= 0:
        return
    low = min(0.0, float(np.nanmin(height)) / 1000)
    twin = ax.twinx()
    twin.fill_between(distance, low, height / 1000, color="#b9ab94", alpha=0.45, linewidth=0)
    twin.set_ylim(low, low + 3.2 * (top - low))
    twin.set_ylabel("height [km]", fontsize="small", color="#7d6f58")
    twin.yaxis.set_label_coords(1.035, 0.17)
    twin.tick_params(labelsize="x-small", colors="#7d6f58")
    twin.set_yticks([tick for tick in twin.get_yticks() if low <= tick <= 1.05 * top])
    ax.set_zorder(twin.get_zorder() + 1)
    ax.patch.set_visible(False)


def _average(lines: Sequence[xr.Dataset], name: str) -> tuple[np.ndarray, np.ndarray]:
    """Mean at common distances; of both products over the lines on which both have data, so that it compares them."""
    distance = np.concatenate([line["distance_km"].values for line in lines]).round(6)
    values, both = (np.concatenate([line[n].values for line in lines]).astype(np.float64) for n in (name, "difference"))
    common, inverse = np.unique(distance, return_inverse=True)
    known = np.isfinite(values if name == "height" else both)
    count = np.bincount(inverse[known], minlength=common.size)
    total = np.bincount(inverse[known], values[known], minlength=common.size)
    whole = (count == count.max()) & (count > 0)  # where a line ends its level would make a step
    return common, np.divide(total, count, out=np.full(common.size, np.nan), where=whole)


def _signed(value: float) -> str:
    return f"{value:+.3g}".replace("-", "\N{MINUS SIGN}")


# ---- numbers -------------------------------------------------------------------------------------


def describe_seam(
    comparison: xr.Dataset, along: Sequence[xr.Dataset] = (), across: Sequence[xr.Dataset] = ()
) -> dict[str, Any]:
    """
    Say everything about a seam in values that JSON can hold.

    Parameters
    ----------
    comparison : xr.Dataset
        Computed result of `mimtpy_cloud.ops.overlap.compare_overlap`; its map is not used.
    along, across : sequence of xr.Dataset
        As for `plot_seam`.

    Returns
    -------
    dict
        Labels, dates and sources of both products, units, bounds, statistics, histogram and profiles; what is not
        known is None.
    """
    x, y = comparison["x"].values, comparison["y"].values
    half = 0.5 / float(comparison.attrs["pixels_per_degree"])
    profiles = [
        {"direction": kind, **_describe_profile(line)}
        for kind, lines in (("along", along), ("across", across))
        for line in lines
    ]
    return {
        "variable": comparison.attrs["variable"],
        "units": comparison["median"].attrs["units"],
        "look": comparison.attrs["look"],
        "sign": "difference = first - second",
        "line": "second = slope * first + intercept, orthogonal regression",
        "first": _plain(comparison.attrs["first"]),
        "second": _plain(comparison.attrs["second"]),
        "overlap": {
            "bounds": _numbers(np.array([x[0] - half, y[-1] - half, x[-1] + half, y[0] + half]), 9),
            "order": "west, south, east, north",
            "pixels": [int(y.size), int(x.size)],
            "pixels_per_degree": int(comparison.attrs["pixels_per_degree"]),
        },
        "statistics": describe_statistics(comparison),
        "histogram": {
            "edges": _numbers(comparison["bin_edge"].values, 9),
            "count": comparison["histogram"].values.tolist(),
        },
        "profiles": profiles,
        "software": SOFTWARE,
    }


def describe_statistics(comparison: xr.Dataset) -> dict[str, Any]:
    """
    List the statistics of a seam.

    Parameters
    ----------
    comparison : xr.Dataset
        Computed.

    Returns
    -------
    dict
        Name to number; None where there is none.
    """
    return {name: _plain(comparison[name].item()) for name in STATISTICS}


def _describe_profile(line: xr.Dataset) -> dict[str, Any]:
    difference = line["difference"].values.astype(np.float64)
    known = np.isfinite(difference)
    median, sigma, count = summarise_differences([difference[known]])
    rms = float(np.sqrt(np.mean(difference[known] ** 2))) if count else math.nan
    numbers = {"median": median, "sigma": sigma, "rms": rms, "count": int(count)}
    arrays = dict.fromkeys(("lon", "lat"), 7) | {"distance_km": 6}
    arrays |= dict.fromkeys(("first", "second", "difference"), 9) | ({"height": 2} if "height" in line else {})
    return {
        "azimuth": float(line.attrs["azimuth"]) % 360,
        **_plain(numbers),
        **{name: _numbers(line[name].values, digits) for name, digits in arrays.items()},
    }


def _numbers(values: np.ndarray, digits: int) -> list[float | None]:
    return [round(v, digits) if math.isfinite(v) else None for v in np.asarray(values, np.float64).tolist()]


def _plain(value: Any) -> Any:
    """As JSON holds it, None for a number that is not finite."""
    if isinstance(value, Mapping):
        return {str(key): _plain(item) for key, item in value.items()}
    if isinstance(value, float | np.floating) and not math.isfinite(value):
        return None
    return jsonable(value)


def write_json(content: Mapping[str, Any], url: str | os.PathLike[str]) -> None:
    """
    Write a JSON file whole.

    Parameters
    ----------
    content : mapping
        As `describe_seam` gives it.
    url : str or path
        Local path or fsspec URL.

    Raises
    ------
    StorageError
        If the place cannot be written.
    """
    text = json.dumps(content, indent=1, allow_nan=False)
    text = _NUMBERS.sub(lambda found: " ".join(found.group().split()), text)
    publish_bytes(f"{text}\n".encode(), url)
