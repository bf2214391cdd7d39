"""Figures of a grid search: how the metric depends on the parameters, and what the best model leaves."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import xarray as xr

from mimtpy_cloud.errors import SchemaError
from mimtpy_cloud.view.axes import new_figure
from mimtpy_cloud.view.colours import shading
from mimtpy_cloud.view.decoration import Lines, read_decoration
from mimtpy_cloud.view.picture import Picture, Style, common_style, draw_picture, map_grid, strides_of, thumbnail

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

__all__ = ["plot_residual", "plot_search"]

_BEST, _REGION = "#d55e00", "#000000"
#: Models of a list that are named.
_NAMED = 40
#: Fewer models of a panel in the region are marked one by one.
_FEW = 6
#: Contours of a surface.
_CONTOURS = 14
_PARTS = ("observed", "model", "ramp", "residual")


def plot_search(result: xr.Dataset, *, title: str = "") -> "Figure":
    """
    Draw the metric over the parameters, the best model, the confidence region and the marginals.

    Parameters
    ----------
    result : xr.Dataset
        As `mimtpy_cloud.search_grid` gives it, computed or not.
    title : str
        Above the panels; by default the best model.

    Returns
    -------
    matplotlib.figure.Figure
        One parameter: the metric along it, and its marginal. Several: below the diagonal the metric over two of them,
        the best over the others, with the line of the region and the best model; on the diagonal the marginals. A list
        of models: their ranks.

    Raises
    ------
    SchemaError
        If it is no such result, or no parameter has two values.
    """
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    metric = str(result.attrs.get("metric", ""))
    if metric not in result or "misfit" not in result:
        raise SchemaError(
            f"expected the result of search_grid, got {', '.join(map(str, result.data_vars)) or 'nothing'}"
        )
    result = result.compute()
    dims = [str(dim) for dim in result[metric].dims]
    numbers = (
        [dim for dim in dims if result[dim].dtype.kind in "iuf" and result.sizes[dim] > 1] if dims != ["model"] else []
    )
    if dims == ["model"] and "best_model" not in result:
        names = [str(name) for name, c in result.coords.items() if c.dims == ("model",) and name != "model"]
        labels = [
            ", ".join(f"{name} {_short(value)}" for name, value in zip(names, row, strict=True))
            for row in zip(*(result[name].values for name in names), strict=True)
        ]
        result = result.assign_coords(model=labels)
    if dims != ["model"] and not numbers:
        raise SchemaError("expected a parameter with two values or more; there is nothing to draw")
    size = {0: (7.5, 1.6 + 0.22 * min(result.sizes.get("model", 1), _NAMED)), 1: (7.0, 5.5)}
    side = 2.6 * len(numbers) + 1.2
    figure = Figure(figsize=size.get(len(numbers), (side + 1.2, side)), dpi=100, layout="constrained")
    FigureCanvasAgg(figure)
    if not numbers:
        _draw_ranks(figure.subplots(), result, metric)
    elif len(numbers) == 1:
        _draw_curve(figure.subplots(2, 1, sharex=True, height_ratios=(2, 1)), result, metric, numbers[0])
    else:
        _draw_corner(figure, result, metric, numbers)
    figure.suptitle(title or _best_text(result, metric))
    return figure


def _short(value: Any) -> str:
    return f"{value:.8g}" if isinstance(value, float | np.floating | int | np.integer) else str(value)


def _best_text(result: xr.Dataset, metric: str) -> str:
    names = [str(name) for name in result.data_vars if str(name).startswith("best_")]
    best = ", ".join(f"{name.removeprefix('best_')} {_short(result[name].values.item())}" for name in names)
    worth = float(result[metric].max() if metric == "loglike" else result[metric].min())
    return f"best: {best}\n{metric} {worth:.4g}{_unit(result[metric])}"


def _unit(array: xr.DataArray) -> str:
    unit = str(array.attrs.get("units", "1"))
    return "" if unit == "1" else f" {unit}"


def _label(result: xr.Dataset, name: str) -> str:
    unit = result[name].attrs.get("units")
    return f"{name} [{unit}]" if unit and unit != "1" else name


def _draw_ranks(ax: "Axes", result: xr.Dataset, metric: str) -> None:
    values = result[metric].values
    order = np.argsort(-values if metric == "loglike" else values)
    order = order[np.isfinite(values[order])][:_NAMED]
    inside = result["in_region"].values[order]
    ax.barh(np.arange(order.size), values[order], color=np.where(inside, _BEST, "0.7"), height=0.7)
    ax.set_yticks(np.arange(order.size), [str(text) for text in result["model"].values[order]], fontsize=7)
    ax.invert_yaxis()
    ax.set_xlabel(_label(result, metric))
    ax.margins(y=0.01)
    level = float(result.attrs["confidence_level"])
    handles = [_patch(_BEST, f"in the {100 * level:g} % region"), _patch("0.7", "not")]
    ax.legend(handles=handles, fontsize="small", frameon=False)


def _patch(colour: str, label: str) -> Any:
    from matplotlib.patches import Patch

    return Patch(color=colour, label=label)


def _draw_curve(panels: Any, result: xr.Dataset, metric: str, name: str) -> None:
    rest = [dim for dim in result[metric].dims if dim != name]
    along, inside = result[name].values, result["in_region"].any(rest)
    values = (result[metric].max if metric == "loglike" else result[metric].min)(rest)
    top, bottom = panels
    top.plot(along, values, ".-", color="#0072b2", lw=1)
    shaded = np.where(inside.values, values, np.nan)
    top.plot(along, shaded, "o", color=_BEST, label=f"{100 * float(result.attrs['confidence_level']):g} % region")
    top.set_ylabel(_label(result, metric))
    top.legend(frameon=False, fontsize="small")
    _draw_marginal(bottom, result, name)
    bottom.set_ylabel("probability")
    bottom.set_xlabel(_label(result, name))


def _draw_marginal(ax: "Axes", result: xr.Dataset, name: str) -> None:
    along, share = result[name].values, result[f"marginal_{name}"].values
    ax.step(along, share, where="mid", color="#0072b2", lw=1.2)
    ax.fill_between(along, share, step="mid", color="#0072b2", alpha=0.2, lw=0)
    ax.axvline(float(result[f"best_{name}"]), color=_BEST, lw=1)
    ax.set_ylim(bottom=0)
    if along.size > 1:
        ax.set_xlim(float(along.min()), float(along.max()))


def _draw_corner(figure: "Figure", result: xr.Dataset, metric: str, names: list[str]) -> None:
    from matplotlib.ticker import MaxNLocator, ScalarFormatter

    n = len(names)
    axes = figure.subplots(n, n, squeeze=False)
    better = result[metric].max if metric == "loglike" else result[metric].min
    drawn: list[Any] = []
    for row, vertical in enumerate(names):
        for column, horizontal in enumerate(names):
            ax = axes[row, column]
            ax.xaxis.set_major_locator(MaxNLocator(3))
            for side in (ax.xaxis, ax.yaxis):
                side.set_major_formatter(ScalarFormatter(useOffset=False))
            if column > row:
                ax.set_axis_off()
                continue
            if row == column:
                _draw_marginal(ax, result, horizontal)
                ax.yaxis.set_ticks_position("right")
                ax.tick_params(labelsize=7)
            else:
                rest = [dim for dim in result[metric].dims if dim not in (vertical, horizontal)]
                surface = better(rest).transpose(vertical, horizontal)
                inside = result["in_region"].any(rest).transpose(vertical, horizontal)
                drawn.append(_draw_surface(ax, surface, inside, result, metric))
                ax.set_ylabel(_label(result, vertical)) if column == 0 else ax.set_yticklabels([])
            ax.set_xlabel(_label(result, horizontal)) if row == n - 1 else ax.set_xticklabels([])
    figure.colorbar(
        drawn[0], ax=axes[0, 1:].tolist(), label=_label(result, metric), shrink=0.9, location="right", format="%.4g"
    )


def _draw_surface(ax: "Axes", surface: xr.DataArray, inside: xr.DataArray, result: xr.Dataset, metric: str) -> Any:
    """One panel; the second dimension goes to the right, the first one up."""
    from matplotlib.colors import BoundaryNorm

    vertical, horizontal = map(str, surface.dims)
    x, y, z = surface[horizontal].values, surface[vertical].values, surface.values
    whole = result[metric].values
    finite = whole[np.isfinite(whole)]
    levels = np.unique(np.quantile(finite, np.linspace(0, 1, _CONTOURS)))
    palette = "viridis" if metric == "loglike" else "viridis_r"
    if levels.size > 2 and np.isfinite(z).all():
        drawn: Any = ax.contourf(x, y, z, levels=levels, cmap=palette, norm=BoundaryNorm(levels, 256))
    else:
        drawn = ax.pcolormesh(x, y, np.ma.masked_invalid(z), cmap=palette, shading="nearest")
    rest = [dim for dim in result["misfit"].dims if dim not in surface.dims]
    least = result["misfit"].min(rest).transpose(vertical, horizontal)
    few = int(inside.sum()) < _FEW
    if few:
        rows, columns = np.nonzero(inside.values)
        ax.plot(x[columns], y[rows], "s", mfc="none", mec=_REGION, ms=13)
    elif not inside.values.all():
        edge = (float(least.where(inside).max()) + float(least.where(~inside).min())) / 2
        ax.contour(x, y, least.values, levels=[edge], colors=_REGION, linewidths=1.2)
    ax.plot(float(result[f"best_{horizontal}"]), float(result[f"best_{vertical}"]), "*", color=_BEST, ms=11, mec="w")
    return drawn


def plot_residual(
    left: xr.Dataset,
    *,
    faults: Lines | Sequence[Lines] = (),
    coastline: Lines | None = None,
    title: str = "",
    max_pixels: int = 1500,
) -> "Figure":
    """
    Draw observations, model, ramp and residual side by side, on one scale of colours.

    Parameters
    ----------
    left : xr.Dataset
        As `mimtpy_cloud.search.residual` gives it: maps, or points with ``lon`` and ``lat``.
    faults, coastline : path, array or sequence of them
        As for `mimtpy_cloud.plot_map`.
    title : str
        Above the panels; by default the rms of the residual.
    max_pixels : int
        Most rows and columns of a map that are computed.

    Returns
    -------
    matplotlib.figure.Figure

    Raises
    ------
    SchemaError
        If it is no such dataset.
    """
    names = [name for name in _PARTS if name in left and not (name == "ramp" and left.attrs.get("ramp") == "none")]
    if "residual" not in names or not (left["residual"].dims == ("y", "x") or {"lon", "lat"} <= set(left.coords)):
        raise SchemaError(
            f"expected what residual() gives, maps or points with lon and lat, got {', '.join(map(str, left))}"
        )
    units = str(left["residual"].attrs.get("units", "1"))
    heading = title or f"rms of the residual {float(left['residual_rms']):.3g}{'' if units == '1' else f' {units}'}"
    if left["residual"].dims != ("y", "x"):
        return _points_figure(left[names].compute(), names, units, heading)
    grid = map_grid(left[names])
    figure, axes = new_figure(grid, rows=1, columns=len(names))
    small = thumbnail(left[names], max_pixels).compute()
    small = small.assign({name: small[name].where(small["residual"].notnull()) for name in names})
    low, high = np.nanpercentile(small["residual"].values, (2, 98))
    scaled = xr.Dataset({"model": small["model"], "residual": small["residual"].clip(low, high)})
    style = common_style(scaled, Style("auto", None, (0.0, 100.0)))  # all of the source, and the noise but its tails
    decoration = read_decoration(faults, (), (), coastline, None, left.attrs)
    for name, ax in zip(names, axes[0], strict=True):
        draw_picture(ax, Picture.of(small[name], grid, strides_of(left[names], max_pixels)), style, decoration, name)
    figure.suptitle(heading, y=1 - 0.12 / figure.get_figheight())
    return figure


def _points_figure(points: xr.Dataset, names: list[str], units: str, heading: str) -> "Figure":
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    whole = np.concatenate([points[name].values.ravel() for name in names])
    shade = shading(whole, name="displacement", long_name="", units=units)
    lon, lat = (points[name].broadcast_like(points["residual"]).values.ravel() for name in ("lon", "lat"))
    figure = Figure(figsize=(3.4 * len(names) + 0.8, 3.6), dpi=100, layout="constrained")
    FigureCanvasAgg(figure)
    panels = figure.subplots(1, len(names), sharex=True, sharey=True, squeeze=False)[0]
    for name, ax in zip(names, panels, strict=True):
        values = points[name].values.ravel() * shade.factor
        drawn = ax.scatter(lon, lat, c=values, s=12, cmap=shade.cmap, vmin=shade.low, vmax=shade.high, lw=0.2, ec="0.5")
        ax.set_title(name)
        ax.set_aspect(1 / np.cos(np.deg2rad(np.mean(lat))))
        ax.set_xlabel("longitude")
        ax.ticklabel_format(useOffset=False)
    panels[0].set_ylabel("latitude")
    figure.colorbar(drawn, ax=panels.tolist(), label=shade.unit)
    figure.suptitle(heading)
    return figure
