"""The figure of horizontal and vertical motion along one profile, as arrows on the topography."""

import math
from typing import TYPE_CHECKING, Any

import numpy as np
import xarray as xr

from mimtpy_cloud.errors import SchemaError
from mimtpy_cloud.schema import require_variables
from mimtpy_cloud.view.colours import DIVERGING, nice_below
from mimtpy_cloud.view.picture import title_of
from mimtpy_cloud.view.profileaxes import chosen_variables, draw_sides, name_of_profile, new_page, shown_unit

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

__all__ = ["plot_vector_profile"]

_GROUND = "#b9ab94"
#: Part of the width that a typical arrow takes, and the height over that of the topography.
_REACH, _SKY = 0.05, 1.5
_ARROW: dict[str, Any] = {"angles": "uv", "scale_units": "width", "units": "width", "width": 0.0028, "zorder": 4}


def plot_vector_profile(
    profiles: xr.Dataset, i: int = 0, *, horizontal: str = "fault_normal", arrows: int = 30, title: str | None = None
) -> "Figure":
    """
    Draw horizontal and vertical motion along a profile as arrows on the topography.

    Parameters
    ----------
    profiles : xr.Dataset
        As `profile_across_fault` makes them, lazy or not, with `up` and `height`.
    i : int
        Which profile, from 0; negative from the last.
    horizontal : str
        Motion in the plane of the profile, positive to the right of the strike as `fault_normal` is.
    arrows : int
        About how many; each is the mean of its bins.
    title : str, optional
        Default: track and dates.

    Returns
    -------
    matplotlib.figure.Figure
        Arrows of (horizontal, up) on one scale with a key; their colours are `fault_parallel`, the motion out of the
        plane, where the profiles have it. Heights are exaggerated, arrows are not: 45 degrees are 45 degrees.

    Raises
    ------
    SchemaError
        If there is no such profile, or a variable is missing.

    See Also
    --------
    mimtpy_cloud.view.transects.plot_transects : The components as curves.
    mimtpy_cloud.view.vectors.plot_vectors : Arrows on a map.
    """
    chosen_variables(profiles, [horizontal, "up"])
    require_variables("a dataset of profiles", profiles.data_vars, "height")
    if not -profiles.sizes["profile"] <= i < profiles.sizes["profile"]:
        raise SchemaError(f"there is no profile {i}; the profiles are 0 to {profiles.sizes['profile'] - 1}")
    if arrows < 1:
        raise SchemaError(f"arrows must be a number of at least 1, got {arrows}")
    i = i % profiles.sizes["profile"]
    names = [name for name in (horizontal, "up", "height", "fault_parallel") if name in profiles]
    one = profiles[list(dict.fromkeys(names))].isel(profile=i).compute()
    unit, factor = shown_unit(profiles["up"])
    figure = new_page(9.5, 4.2)
    ax = figure.subplots()
    low, top = _draw_ground(ax, one)
    step = math.ceil(one.sizes["distance"] / arrows)
    cells = one.coarsen(distance=step, boundary="pad", coord_func="mean").mean()
    along = (-1.0 if profiles.attrs.get("flip") else 1.0) * cells[horizontal].values * factor
    _draw_arrows(ax, cells, (along, cells["up"].values * factor), (unit, factor), horizontal)
    ax.set(
        xlim=(float(one["distance_km"].min()), float(one["distance_km"].max())), ylim=(low, low + _SKY * (top - low))
    )
    ax.axvline(0.0, color="0.15", linewidth=1.2, zorder=3)
    ax.set(xlabel="distance from the fault [km]", ylabel="height [km]")
    draw_sides(ax, profiles, i, top=True)
    ax.set_title(name_of_profile(profiles, i), fontsize="small", loc="left")
    figure.suptitle(title_of(profiles) if title is None else title, fontsize="medium")
    return figure


def _draw_ground(ax: "Axes", one: xr.Dataset) -> tuple[float, float]:
    """Fill the topography; return its lowest and highest level, km."""
    height = one["height"].values / 1e3
    known = height[np.isfinite(height)]
    low = min(0.0, float(known.min(initial=0.0)))
    ax.fill_between(one["distance_km"].values, low, height, color=_GROUND, linewidth=0, zorder=1)
    return low, max(float(known.max(initial=0.0)), low + 0.1)


def _draw_arrows(
    ax: "Axes", cells: xr.Dataset, motion: tuple[np.ndarray, np.ndarray], shown: tuple[str, float], horizontal: str
) -> None:
    """Arrows from the ground, their key, and the colours of the motion out of the plane."""
    (u, w), (unit, factor) = motion, shown
    place = cells["distance_km"].values, cells["height"].values / 1e3
    known = np.isfinite(u + w + place[1])
    length = np.hypot(u, w)[known]
    typical = (float(np.percentile(length, 90)) or float(length.max())) if length.size else 1.0
    typical = typical or 1.0
    look = {**_ARROW, "scale": typical / _REACH}
    at = [part[known] for part in (*place, u, w)]
    out = cells["fault_parallel"].values[known] * factor if "fault_parallel" in cells else np.zeros(length.size)
    most = float(np.nanmax(np.abs(out), initial=0.0))
    if most > 0 and horizontal != "fault_parallel":
        quiver = ax.quiver(*at, out, cmap=DIVERGING, clim=(-most, most), edgecolor="0.2", linewidth=0.4, **look)
        bar = ax.figure.colorbar(quiver, ax=ax, pad=0.015, shrink=0.9)
        bar.set_label(f"along the strike [{unit}]", fontsize="small")
        bar.ax.tick_params(labelsize="small")
    else:
        quiver = ax.quiver(*at, color="#0072b2", **look)
    ax.plot(at[0], at[1], "o", color="0.15", markersize=2.5, zorder=5)
    key = nice_below(typical)
    text = f"{key:g} {unit}, {horizontal.replace('_', ' ')} and up"
    ax.quiverkey(
        quiver, 0.6, 1.04, key, text, labelpos="E", coordinates="axes", fontproperties={"size": "small"}, color="0.2"
    )
