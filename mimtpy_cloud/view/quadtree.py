"""The figure of a quadtree: the map, and beside it the leaves on the same colours."""

import dataclasses
from typing import TYPE_CHECKING

import numpy as np
import xarray as xr

from mimtpy_cloud.exports.provenance import labelled
from mimtpy_cloud.schema import require_dims, require_variables
from mimtpy_cloud.view.axes import new_figure
from mimtpy_cloud.view.colours import Limits
from mimtpy_cloud.view.decoration import read_decoration
from mimtpy_cloud.view.picture import (
    Picture,
    Style,
    common_style,
    draw_picture,
    map_grid,
    strides_of,
    thumbnail,
    title_of,
)

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

__all__ = ["plot_quadtree"]

_OUTLINE = "0.25"
#: Points of an outline where leaves are few, and where they are many.
_WIDEST, _THINNEST = 0.6, 0.1


def plot_quadtree(
    ds: xr.Dataset,
    leaves: xr.Dataset,
    *,
    unit: str = "auto",
    limits: Limits | None = None,
    title: str | None = None,
    max_pixels: int = 1500,
) -> "Figure":
    """
    Draw a map and the leaves of its quadtree side by side, on the same colours.

    Parameters
    ----------
    ds : xr.Dataset
        Product with the map that was divided, lazy or not.
    leaves : xr.Dataset
        Computed result of `mimtpy_cloud.ops.quadtree.quadtree`.
    unit, limits, title, max_pixels : object
        As for `mimtpy_cloud.view.map.plot_map`.

    Returns
    -------
    matplotlib.figure.Figure
        Leaves have the colour of their mean, symmetric about zero for signed quantities, and an outline.

    Raises
    ------
    SchemaError
        If one is none, or an option does not fit.

    See Also
    --------
    mimtpy_cloud.view.map.plot_map : The map alone.
    """
    require_variables("the leaves", leaves.variables, "row", "col", "west", "east", "south", "north")
    name = str(leaves.attrs.get("variable", ""))
    observed = labelled(ds, name)
    require_dims(name, observed.dims, "y", "x")
    require_variables("the leaves", leaves.variables, name)
    if "valid" in ds:
        observed = observed.where(ds["valid"] > 0).assign_attrs(observed.attrs)
    grid, strides = map_grid(observed), strides_of(observed, max_pixels)
    picture = Picture.of(thumbnail(observed, max_pixels).compute(), grid, strides)
    table = leaves[name].to_numpy()
    filled = dataclasses.replace(picture, values=_filled(leaves, table, picture))
    values = np.concatenate([picture.values.ravel(), table])
    attrs = {"units": picture.units, "long_name": picture.long_name}
    style = common_style(xr.Dataset({name: ("value", values, attrs)}), Style(unit, limits, (2.0, 98.0)))
    decoration = read_decoration((), (), (), None, "auto", observed.attrs)
    figure, axes = new_figure(grid, columns=2)
    share = np.floor(1e3 * np.isfinite(picture.values).mean()) / 10  # all of them only if it is all
    draw_picture(axes[0, 0], picture, style, decoration, f"{share:g}% of pixels have data")
    size = leaves["size"].to_numpy()
    span = f", {size.min()} to {size.max()} pixels long" if size.size else ""
    draw_picture(axes[0, 1], filled, style, decoration, f"{size.size} leaves{span}")
    _outline(axes[0, 1], leaves)
    figure.suptitle(title_of(observed) if title is None else title, y=1 - 0.12 / figure.get_figheight())
    return figure


def _filled(leaves: xr.Dataset, table: np.ndarray, picture: Picture) -> np.ndarray:
    """Means of the leaves on the pixels that are drawn."""
    out = np.full(picture.values.shape, np.nan)
    by_y, by_x = picture.strides
    tall = np.rint((leaves["north"] - leaves["south"]).to_numpy() / picture.grid.dy).astype(int)
    wide = np.rint((leaves["east"] - leaves["west"]).to_numpy() / picture.grid.dx).astype(int)
    row, col = leaves["row"].to_numpy(), leaves["col"].to_numpy()
    top, bottom = (-(-(edge - by_y // 2) // by_y) for edge in (row, row + tall))  # thumbnails take middle pixels
    left, right = (-(-(edge - by_x // 2) // by_x) for edge in (col, col + wide))
    for value, y0, y1, x0, x1 in zip(table, top, bottom, left, right, strict=True):
        out[y0:y1, x0:x1] = value
    return out


def _outline(ax: "Axes", leaves: xr.Dataset) -> None:
    from matplotlib.collections import PolyCollection

    west, east, south, north = (leaves[edge].to_numpy() for edge in ("west", "east", "south", "north"))
    corners = np.stack([np.stack([west, east, east, west]), np.stack([south, south, north, north])], axis=-1)
    width = float(np.clip(30.0 / np.sqrt(max(1, west.size)), _THINNEST, _WIDEST))
    ax.add_collection(
        PolyCollection(list(corners.swapaxes(0, 1)), facecolors="none", edgecolors=_OUTLINE, linewidths=width),
        autolim=False,
    )
