"""The figure of profiles across a fault, stacked along it."""

import math
from typing import TYPE_CHECKING, Any

import numpy as np
import xarray as xr

from mimtpy_cloud.errors import SchemaError
from mimtpy_cloud.ops.transectfit import predict_transects
from mimtpy_cloud.schema import require_variables
from mimtpy_cloud.view.colours import nice_below
from mimtpy_cloud.view.picture import title_of
from mimtpy_cloud.view.profileaxes import (
    chosen_variables,
    draw_sides,
    new_page,
    require_same,
    shown_unit,
    words_of,
)

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

__all__ = ["plot_stacked"]

_DATA, _FIT = "#0072b2", "#d55e00"
#: Points of a fitted curve.
_FINE = 601


def plot_stacked(
    profiles: xr.Dataset,
    variable: str | None = None,
    *,
    fits: xr.Dataset | None = None,
    scale: float | None = None,
    title: str | None = None,
) -> "Figure":
    """
    Draw all profiles above each other, each at its place along the fault.

    Parameters
    ----------
    profiles : xr.Dataset
        As `profile_across_fault` makes them, lazy or not, with `along_km`.
    variable : str, optional
        What is drawn; by default the first of ``fault_parallel, velocity, east`` that is there.
    fits : xr.Dataset, optional
        Of these profiles, drawn over them.
    scale : float, optional
        Kilometres along the fault for one unit shown (mm/yr or cm). By default neighbours just do not overlap.
    title : str, optional
        Default: track and dates.

    Returns
    -------
    matplotlib.figure.Figure
        Each profile less its median, which is the thin line at its place; a bar tells the scale.

    Raises
    ------
    SchemaError
        If there is no profile, the variable or `along_km` is missing, or the scale is not positive.

    See Also
    --------
    mimtpy_cloud.view.transects.plot_transects : A panel for each profile.
    """
    require_variables("a dataset of profiles", profiles.variables, "along_km")
    name = chosen_variables(profiles, variable)[0]
    if scale is not None and not 0 < scale < math.inf:
        raise SchemaError(f"scale must be positive, km for one unit shown, got {scale}")
    unit, factor = shown_unit(profiles[name])
    found = profiles[[name]].compute()
    fitted = None if fits is None else fits.compute()
    require_same(found, fitted)
    along, distance = found["along_km"].values, found["distance_km"].values
    values = found[name].values * factor
    level = np.array([np.median(row[np.isfinite(row)]) if np.isfinite(row).any() else 0.0 for row in values])
    gap = _gap(along)
    per = scale or 0.48 * gap / _reach(values - level[:, None])
    figure = new_page(6.8, 2.2 + 0.62 * len(along))
    ax = figure.subplots()
    for i, at in enumerate(along):
        ax.axhline(at, color="0.85", linewidth=0.7, zorder=0)
        ax.plot(distance, at + per * (values[i] - level[i]), color=_DATA, linewidth=1.3)
    if fitted is not None:
        curves = predict_transects(fitted, np.linspace(distance.min(), distance.max(), _FINE))
        shown = along[:, None] + per * (curves.values * factor - level[:, None])
        ax.plot(curves["distance_km"].values, shown.T, color=_FIT, linewidth=1.1)
    ax.axvline(0.0, color="0.15", linewidth=1.2)
    _finish_stack(ax, found, per, unit, gap)
    fit = ", fits in orange" if fitted is not None else ""
    ax.set_title(f"{words_of(name)} less its median{fit}", fontsize="small", loc="left")
    figure.suptitle(title_of(profiles) if title is None else title, fontsize="medium")
    return figure


def _gap(along: np.ndarray) -> float:
    """Distance of the nearest neighbours, km; of a single profile 20."""
    gaps = np.diff(np.sort(along))
    return float(gaps.min()) if gaps.size and gaps.min() > 0 else 20.0


def _reach(values: np.ndarray) -> float:
    """How far nearly all values are from zero."""
    known = np.abs(values[np.isfinite(values)])
    return (float(np.percentile(known, 98)) if known.size else 1.0) or 1.0


def _finish_stack(ax: "Axes", profiles: xr.Dataset, per: float, unit: str, gap: float) -> None:
    """Axes, places of the profiles and the bar of the scale."""
    along, distance = profiles["along_km"].values, profiles["distance_km"].values
    ax.set_xlim(distance.min(), distance.max())
    ax.set_ylim(along.min() - 1.1 * gap, along.max() + 1.1 * gap)
    ax.set_xlabel("distance from the fault [km]")
    ax.set_ylabel("way along the fault [km]")
    length = nice_below(0.65 * gap / per)
    low = float(along.min()) - 0.95 * gap
    edge = ax.get_yaxis_transform()
    ax.plot([1.02, 1.02], [low, low + length * per], transform=edge, color="black", linewidth=2, clip_on=False)
    place: dict[str, Any] = {"xycoords": edge, "textcoords": "offset points", "annotation_clip": False}
    ax.annotate(f"{length:g} {unit}", (1.02, low + length * per / 2), (5, 0), va="center", fontsize="small", **place)
    for lon, at in zip(profiles["fault_lon"].values if "fault_lon" in profiles.coords else (), along, strict=False):
        text = f"{abs(lon):.2f}°{'E' if lon >= 0 else 'W'}"
        ax.annotate(text, (1.0, at), (4, 0), va="bottom", fontsize="x-small", color="0.3", **place)
    draw_sides(ax, profiles, 0, top=True)
