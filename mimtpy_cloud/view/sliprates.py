"""The figure of slip rates and locking depths along a fault."""

from typing import TYPE_CHECKING

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

_VALUE, _CHOICE = "#0072b2", "#e69f00"
_AXES = {"fault_lon": "longitude of the fault [°]", "along_km": "way along the fault [km]"}
_BOUNDS = ("locking_depth_at_bound", "creep_depth_at_bound", "second_locking_depth_at_bound")
#: Marks of the choices of the datum.
_MARKS = {"slope": "x", "left": "<", "right": ">", "far": "+", "short": "d"}


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
        depth is at a limit of its range. A fit with a depth at a limit is hollow, without a standard deviation. Creep
        and a second fault are drawn too.

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
        ax.set_ylabel(f"{' and '.join(name.replace('_', ' ') for name in names)} [{unit}]")
        ax.grid(color="0.92", linewidth=0.6)
        ax.set_axisbelow(True)
        ax.tick_params(labelsize="small")
    panels[0].set_title("right-lateral is positive", fontsize="small", loc="left")
    panels[1].set_ylim(bottom=0.0)
    panels[1].invert_yaxis()
    panels[1].set_xlabel(_AXES[along])
    handles, labels = panels[0].get_legend_handles_labels()
    unique = dict(zip(labels, handles, strict=True))
    figure.legend(unique.values(), unique.keys(), loc="outside lower center", ncols=4, fontsize="small", frameon=False)
    figure.suptitle(title_of(fits) if title is None else title, fontsize="medium")
    return figure


def _draw(ax: "Axes", fits: xr.Dataset, name: str, along: str, factor: float, marker: str) -> None:
    """One quantity with its bars and choices."""
    x, value = fits[along].values, fits[name].values * factor
    std = fits[f"{name}_std"].values * factor
    ended = np.any([fits[n].values for n in fits.data_vars if str(n) in _BOUNDS], axis=0) & np.isfinite(value)
    told = ~fits["choice_at_bound"].transpose("profile", "choice").values
    choices = np.where(told, fits[f"{name}_choice"].transpose("profile", "choice").values * factor, np.nan)
    many = told.sum(axis=1) > 1
    low, high = (f(choices[many], axis=1) for f in (np.nanmin, np.nanmax))
    ax.vlines(x[many], low, high, color=_CHOICE, alpha=0.3, linewidth=9, label="extent of the choices")
    for k, choice in enumerate(fits["choice"].values[1:], start=1):
        ax.plot(x, choices[:, k], _MARKS.get(str(choice), "."), color=_CHOICE, markersize=4.5, label=str(choice))
    label = name.replace("_", " ")
    ax.errorbar(x[~ended], value[~ended], std[~ended], fmt=marker, color=_VALUE, capsize=3, zorder=4, label=label)
    if ended.any():
        ax.plot(x[ended], value[ended], marker, color=_VALUE, mfc="white", zorder=4, label="a depth at its limit")
