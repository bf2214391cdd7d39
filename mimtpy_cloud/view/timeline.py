"""Displacement over time at some places, with its uncertainty."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
import xarray as xr

from mimtpy_cloud.errors import ReferencePointError, SchemaError
from mimtpy_cloud.view.map import COMPONENTS

if TYPE_CHECKING:
    from matplotlib.figure import Figure

__all__ = ["plot_timeline"]

_COLOURS = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#000000")
_MARKERS = "osD^v"
#: Of the pixels ordered by how far they move, the one shown is here.
_FAR = 0.99
#: Most pixels of one side that are looked at to find it.
_MOST = 500


def plot_timeline(ds: xr.Dataset, places: Sequence[tuple[float, float]] = (), *, title: str = "") -> "Figure":
    """
    Draw the components of a decomposed series over time, one panel each, with bands of two standard deviations.

    Parameters
    ----------
    ds : xr.Dataset
        As `decompose_series` gives it, written or not.
    places : sequence of tuple of float
        Longitude and latitude, or x and y, of the pixels to show. By default of each component one that is among the
        hundredth that moves most.
    title : str
        Above the panels.

    Returns
    -------
    matplotlib.figure.Figure

    Raises
    ------
    SchemaError
        If there is no component over time, or no place is given and one has no data.
    ReferencePointError
        If a place lies outside the grid.
    """
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    names = [name for name in COMPONENTS if name in ds and ds[name].dims == ("time", "y", "x")]
    if not names:
        have = ", ".join(map(str, ds.data_vars)) or "none"
        raise SchemaError(f"a decomposed series has east, horizontal or up over time, y and x, got {have}")
    pixels = [_pixel(ds, place) for place in places] or _farthest(ds, names)
    wanted = [name for base in names for name in (base, f"{base}_std") if name in ds]
    rows, cols = (xr.DataArray([pixel[axis] for pixel in pixels], dims="place") for axis in (0, 1))
    picked = ds[wanted].isel(y=rows, x=cols).compute()
    figure = Figure(figsize=(9, 1.2 + 2.6 * len(names)), dpi=100, layout="constrained")
    FigureCanvasAgg(figure)
    panels = figure.subplots(len(names), 1, sharex=True, squeeze=False)[:, 0]
    largest = max(float(np.nanmax(np.abs(picked[name].values), initial=0.0)) for name in names)
    unit, factor = ("m", 1.0) if largest >= 1 else ("mm", 1000.0)
    known = [any(bool(picked[name].isel(place=k).notnull().any()) for name in names) for k in range(len(pixels))]
    labels = [_label(float(ds.indexes["x"][x]), float(ds.indexes["y"][y])) for y, x in pixels]
    labels = [label if some else f"{label}, no data" for label, some in zip(labels, known, strict=True)]
    for name, panel in zip(names, panels, strict=True):
        for k, label in enumerate(labels):
            colour, values = _COLOURS[k % len(_COLOURS)], factor * picked[name].isel(place=k).values
            if f"{name}_std" in picked:
                spread = 2 * factor * picked[f"{name}_std"].isel(place=k).values
                panel.fill_between(picked.time.values, values - spread, values + spread, color=colour, alpha=0.2, lw=0)
            marker = _MARKERS[k % len(_MARKERS)]
            panel.plot(picked.time.values, values, color=colour, marker=marker, ms=2.5, lw=0.8, label=label)
        panel.plot(picked.time.values[[0, -1]], [0.0, 0.0], color="0.6", lw=0.6, zorder=0)
        panel.set_ylabel(f"{name} [{unit}]")
        panel.grid(color="0.92", lw=0.5)
    panels[0].legend(loc="best", fontsize="small", frameon=False)
    since = ds.attrs.get("reference_date")
    band = ", bands of two standard deviations" if any(name.endswith("_std") for name in wanted) else ""
    panels[-1].set_xlabel(f"displacement since {since}{band}" if since else "")
    figure.suptitle(title or str(ds.attrs.get("track", "")))
    return figure


def _label(x: float, y: float) -> str:
    return f"{x:.4f} {y:.4f}"


def _pixel(ds: xr.Dataset, place: tuple[float, float]) -> tuple[int, int]:
    """Row and column of the pixel that contains a place."""
    found = []
    for dim, value in (("y", place[1]), ("x", place[0])):
        centres = ds.indexes[dim].to_numpy()
        step = abs(centres[-1] - centres[0]) / max(centres.size - 1, 1)
        nearest = int(np.argmin(np.abs(centres - value)))
        if centres.size > 1 and abs(centres[nearest] - value) > 0.5001 * step:
            raise ReferencePointError(
                f"{place[0]:g} {place[1]:g} lies outside of the series, whose {dim} goes from {centres.min():.6g} to "
                f"{centres.max():.6g}"
            )
        found.append(nearest)
    return found[0], found[1]


def _farthest(ds: xr.Dataset, names: Sequence[str]) -> list[tuple[int, int]]:
    """Pixels that move far, one a component; the largest values may be outliers."""
    steps = {dim: max(1, ds.sizes[dim] // _MOST) for dim in ("y", "x")}
    some = ds[list(names)].isel({dim: slice(None, None, step) for dim, step in steps.items()})
    farthest = abs(some).fillna(-1.0).max("time").compute()  # a pixel without data moves not at all
    found = []
    for name in names:
        moved = farthest[name].values.ravel()
        order = np.argsort(moved)[(moved < 0).sum() :]
        if not order.size:
            raise SchemaError(f"{name} has no data on any date; give places")
        row, col = np.unravel_index(order[int(_FAR * (order.size - 1))], farthest[name].shape)
        found.append((int(row) * steps["y"], int(col) * steps["x"]))
    return list(dict.fromkeys(found))
