"""The figure of a profile between two points."""

from typing import TYPE_CHECKING

import numpy as np
import xarray as xr

from mimtpy_cloud.errors import SchemaError
from mimtpy_cloud.view.picture import title_of
from mimtpy_cloud.view.profileaxes import axis_label, new_page, shown_unit, words_of

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

__all__ = ["plot_profile"]

#: Palette of Okabe and Ito, without black and yellow.
_COLOURS = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9")
_GROUND = "#b9ab94"
_WIDE, _HIGH = 8.0, 2.3


def plot_profile(sampled: xr.Dataset, *, title: str | None = None) -> "Figure":
    """
    Draw the maps of a profile between two points, one panel for each unit.

    Parameters
    ----------
    sampled : xr.Dataset
        From `mimtpy_cloud.ops.transects.profile_between`, lazy or not.
    title : str, optional
        Default: track and dates.

    Returns
    -------
    matplotlib.figure.Figure
        Means of a swath have a band of one standard deviation; topography is filled, in a panel of its own at the
        bottom.

    Raises
    ------
    SchemaError
        If there is nothing to draw.

    See Also
    --------
    mimtpy_cloud.view.transects.plot_transects : Profiles across a fault.
    """
    panels = _panels(sampled)
    if not panels:
        raise SchemaError(f"a profile needs a variable to draw, got {', '.join(map(str, sampled.data_vars)) or 'none'}")
    found = sampled.compute()
    figure = new_page(_WIDE, _HIGH * len(panels) + 0.6)
    for ax, names in zip(np.atleast_1d(figure.subplots(len(panels), 1, sharex=True)), panels, strict=True):
        if names == ["height"]:
            _draw_ground(ax, found)
        else:
            _draw_curves(ax, found, names)
    distance = found["distance_km"].values
    ax.set(xlabel="distance [km]", xlim=(float(distance.min()), float(distance.max())))
    figure.suptitle(title_of(found) if title is None else title, fontsize="medium")
    return figure


def _panels(sampled: xr.Dataset) -> list[list[str]]:
    """Variables that share an axis: those of one unit, without what only describes others; topography comes last."""
    averaged = [str(name).removesuffix("_mad") for name in sampled.data_vars if str(name).endswith("_mad")]
    names = averaged or [str(name) for name in sampled.data_vars if not str(name).endswith("_std")]
    shared: dict[str, list[str]] = {}
    for name in names:
        if not name.endswith("_sigma"):
            key = "height" if name == "height" else str(sampled[name].attrs.get("units", ""))
            shared.setdefault(key, []).append(name)
    ground = shared.pop("height", None)
    return [*shared.values(), *([ground] if ground else [])]


def _draw_curves(ax: "Axes", found: xr.Dataset, names: list[str]) -> None:
    unit, factor = shown_unit(found[names[0]])
    x = found["distance_km"].values
    for name, colour in zip(names, _COLOURS * len(names), strict=False):
        values = found[name].values * factor
        ax.plot(x, values, color=colour, linewidth=1.4, label=words_of(name), zorder=3)
        if f"{name}_mad" in found:
            spread = found[f"{name}_std"].values * factor
            ax.fill_between(x, values - spread, values + spread, color=colour, alpha=0.2, linewidth=0)
    ax.grid(color="0.9", linewidth=0.6)
    if len(names) > 1:
        ax.legend(fontsize="small", frameon=False)
    ax.set_ylabel(axis_label(names, unit), fontsize="small")


def _draw_ground(ax: "Axes", found: xr.Dataset) -> None:
    height = found["height"].values / 1e3
    low = min(0.0, float(np.nanmin(height, initial=0.0)))
    ax.fill_between(found["distance_km"].values, low, height, color=_GROUND, linewidth=0)
    ax.set_ylabel("height [km]", fontsize="small")
    ax.set_ylim(bottom=low)
