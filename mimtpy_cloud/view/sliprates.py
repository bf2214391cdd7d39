"""The figure of slip rates and locking depths along a fault."""

from typing import TYPE_CHECKING, Any

import numpy as np
import xarray as xr

from mimtpy_cloud.errors import SchemaError
from mimtpy_cloud.schema import require_variables
from mimtpy_cloud.view.picture import title_of
from mimtpy_cloud.view.profileaxes import new_page

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

__all__ = ["plot_slip_rates"]

_VALUE, _CHOICE, _SIGN = "#0072b2", "#e69f00", "#7a3b00"
_AXES = {"fault_lon": "longitude [°E]", "along_km": "way along the fault [km]"}
_BOUNDS = ("locking_depth_at_bound", "creep_depth_at_bound", "second_locking_depth_at_bound")
#: Marks of the choices of the datum, and what a legend calls them.
_MARKS = {"slope": "x", "left": "<", "right": ">", "far": "+", "short": "d"}
_WORDS = {
    "slope": "with a slope",
    "left": "datum of the left side",
    "right": "datum of the right side",
    "far": "without the near field",
    "short": "shorter profile",
}
#: Percentiles of the choices that an axis holds, and its margin.
_PERCENT, _MARGIN = (5.0, 95.0), 0.08


def plot_slip_rates(fits: xr.Dataset, *, along: str = "fault_lon", title: str | None = None) -> "Figure":
    """
    Draw slip rate and locking depth of profiles along a fault, with uncertainty and what the datum changes.

    Parameters
    ----------
    fits : xr.Dataset
        As `mimtpy_cloud.ops.transectfit.fit_transects` gives it, lazy or not.
    along : {"fault_lon", "along_km"}
        Horizontal axis.
    title : str, optional
        Default: track and dates.

    Returns
    -------
    matplotlib.figure.Figure
        Rates in mm/yr, right-lateral positive; depths in km, downward. Bars are one standard deviation of noise;
        small marks are the other choices of the datum and the bins, and broad bars their extent, without choices whose
        depth is at a limit of its range. An axis holds the values with their standard deviations and 5 to 95 % of the
        choices; those beyond are an arrow at its edge. A fit with a depth at a limit is hollow, without a standard
        deviation. Creep and a second fault are drawn too.

    Raises
    ------
    SchemaError
        If it is no result of `fit_transects`, or lacks the axis.

    See Also
    --------
    mimtpy_cloud.exports.sliprates.write_slip_rates : The table.
    """
    if along not in _AXES:
        raise SchemaError(f"along must be one of {', '.join(_AXES)}, got {along!r}")
    require_variables(
        "a result of fit_transects", fits.variables, "slip_rate", "slip_rate_choice", "locking_depth", along
    )
    found = fits.compute()
    rates = [name for name in ("slip_rate", "creep_rate", "second_slip_rate") if name in found]
    depths = [name for name in ("locking_depth", "creep_depth", "second_locking_depth") if name in found]
    figure = new_page(8.5, 6.2)
    panels = figure.subplots(2, 1, sharex=True)
    for ax, names, unit, factor in zip(panels, (rates, depths), ("mm/yr", "km"), (1e3, 1e-3), strict=True):
        for name, marker in zip(names, "os", strict=False):
            _draw(ax, found, name, along, factor, marker)
        low, high = _extent(found, names, factor)
        ax.set_ylim(*((high, 0.0) if unit == "km" else (low, high)))
        _mark_beyond(ax, found, names, along, factor)
        ax.set_ylabel(f"{' and '.join(name.replace('_', ' ') for name in names)} [{unit}]")
        ax.grid(color="0.92", linewidth=0.6)
        ax.set_axisbelow(True)
        ax.tick_params(labelsize="small")
    panels[0].set_title("right-lateral is positive", fontsize="small", loc="left")
    panels[1].set_xlabel(_AXES[along])
    handles, labels = panels[0].get_legend_handles_labels()
    unique = dict(zip(labels, handles, strict=True))
    figure.legend(unique.values(), unique.keys(), loc="outside lower center", ncols=4, fontsize="small", frameon=False)
    figure.suptitle(title_of(fits) if title is None else title, fontsize="medium")
    return figure


def _choices(fits: xr.Dataset, name: str, factor: float) -> np.ndarray:
    """Values by profile and choice; NaN where a depth is at a limit."""
    values = fits[f"{name}_choice"].where(~fits["choice_at_bound"])
    return np.asarray(values.transpose("profile", "choice").values * factor)


def _extent(fits: xr.Dataset, names: list[str], factor: float) -> tuple[float, float]:
    """Limits that hold the values with their standard deviations, and most of the choices."""
    edges = [np.empty(0)]
    for name in names:
        value, std = fits[name].values * factor, np.nan_to_num(fits[f"{name}_std"].values * factor)
        choices = _choices(fits, name, factor)
        told = choices[np.isfinite(choices)]
        edges += [value - std, value + std, np.percentile(told, _PERCENT) if told.size else told]
    held = np.concatenate(edges)
    held = held[np.isfinite(held)]
    if not held.size:
        return 0.0, 1.0
    low, high = float(held.min()), float(held.max())
    room = _MARGIN * (high - low) or 1.0
    return low - room, high + room


def _mark_beyond(ax: "Axes", fits: xr.Dataset, names: list[str], along: str, factor: float) -> None:
    """Arrows at the edges where choices lie beyond them."""
    bottom, top = ax.get_ylim()
    low, high = sorted((bottom, top))
    x = fits[along].values
    for name in names:
        choices = _choices(fits, name, factor)
        for beyond, at_top in ((choices > high, top > bottom), (choices < low, top < bottom)):
            there = x[beyond.any(axis=1)]
            y, sign = (0.97, "^") if at_top else (0.03, "v")
            look: dict[str, Any] = {"color": _SIGN, "markersize": 7, "markeredgecolor": "white", "zorder": 5}
            if there.size:
                ax.plot(there, np.full(there.size, y), sign, transform=ax.get_xaxis_transform(), **look)
                ax.plot([], [], "^", color=_SIGN, markersize=7, label="a choice beyond the axis")


def _draw(ax: "Axes", fits: xr.Dataset, name: str, along: str, factor: float, marker: str) -> None:
    """One quantity with its bars and choices."""
    x, value = fits[along].values, fits[name].values * factor
    std = fits[f"{name}_std"].values * factor
    ended = np.any([fits[n].values for n in fits.data_vars if str(n) in _BOUNDS], axis=0) & np.isfinite(value)
    choices = _choices(fits, name, factor)
    many = (~fits["choice_at_bound"]).sum("choice").values > 1
    low, high = (f(choices[many], axis=1) for f in (np.nanmin, np.nanmax))
    ax.vlines(x[many], low, high, color=_CHOICE, alpha=0.3, linewidth=9, label="extent of the choices")
    for k, choice in enumerate(fits["choice"].values[1:], start=1):
        look: dict[str, Any] = {"color": _SIGN, "markersize": 4.5, "label": _WORDS.get(str(choice), str(choice))}
        ax.plot(x, choices[:, k], _MARKS.get(str(choice), "."), **look)
    label = name.replace("_", " ")
    ax.errorbar(x[~ended], value[~ended], std[~ended], fmt=marker, color=_VALUE, capsize=3, zorder=4, label=label)
    if ended.any():
        ax.plot(x[ended], value[ended], marker, color=_VALUE, mfc="white", zorder=4, label="a depth at its limit")
