"""Write a map for Google Earth: a picture on the ground with its legend, in one .kmz."""

import io
import math
import zipfile
from typing import Any
from xml.sax.saxutils import escape

import numpy as np
import xarray as xr

from mimtpy_cloud.errors import SchemaError
from mimtpy_cloud.exports.grids import grid_edges
from mimtpy_cloud.exports.observed import degree_grid, one_map
from mimtpy_cloud.exports.planes import stream_planes
from mimtpy_cloud.exports.progress import Progress
from mimtpy_cloud.exports.publish import staged
from mimtpy_cloud.plan.grid import Grid

__all__ = ["write_kmz"]

#: Longest side of the picture; Google Earth takes no larger one on many machines.
_LARGEST = 4096
#: Unit of a product -> unit of the legend, and the factor between them; distances stay in m.
_SHOWN = {"m/yr": ("mm/yr", 1e3), "m": ("cm", 1e2)}
_DISTANCES = ("height", "slant_range")


def write_kmz(
    ds: xr.Dataset,
    url: str,
    *,
    progress: Progress | None = None,
    variable: str | None = None,
    limits: tuple[float, float] | None = None,
    colours: str | None = None,
) -> list[str]:
    """
    Write one map as a picture that Google Earth lays on the ground: NAME.kmz.

    Parameters
    ----------
    ds : xr.Dataset
        Dimensions ``(y, x)`` on a grid in degrees; any variable.
    url : str
        Local path or any fsspec URL.
    progress : callable, optional
        ``progress(done, total, unit)``.
    variable : str, optional
        What to write; by default `displacement` or `velocity`, else the only map.
    limits : tuple of float, optional
        Lowest and highest value of the colours, in the unit of the variable; by default the range of 2 to 98 % of the
        pixels, for motion made symmetric about zero.
    colours : str, optional
        Name of a colour map of matplotlib; by default ``RdBu_r`` for motion, else ``viridis``.

    Returns
    -------
    list of str
        The file.

    Raises
    ------
    SchemaError, GridMismatchError
        If there is no such map, it has no data, or limits or colours are none.
    StorageError
        If the place cannot be written.

    Notes
    -----
    No data is transparent. The legend is in mm/yr or cm, of heights in m. A map of more than 4096 pixels a side is
    averaged in squares. ``LatLonBox`` has the outer edges. Memory: the blocks in flight, and 400 MB for the largest
    picture.
    """
    found, grid = one_map(ds, variable), degree_grid(ds, "a picture for Google Earth")
    said = str(found.attrs.get("units", ""))
    units, factor = (said, 1.0) if found.name in _DISTANCES else _SHOWN.get(said, (said, 1.0))
    is_signed = factor != 1 and not str(found.name).endswith("_std")
    colour_map = _colour_map(colours or ("RdBu_r" if is_signed else "viridis"))
    with staged(url) as path:
        plane = stream_planes({"map": found.astype("float32")}, path.parent, progress=progress)["map"]
        values, grid = _reduced(plane, grid)
        low, high = _limits(values, limits, symmetric=is_signed)
        title = " ".join(filter(None, (ds.attrs.get("track"), str(found.name).replace("_", " "))))
        picture = _picture(values, low, high, colour_map)
        legend = _legend(low * factor, high * factor, colour_map, f"{title}\n{units}".strip())
        dates = " to ".join(str(ds.attrs[name]) for name in ("start_date", "end_date") if ds.attrs.get(name))
        with zipfile.ZipFile(path, "w") as archive:
            archive.writestr("doc.kml", _kml(grid, title, dates), zipfile.ZIP_DEFLATED)
            archive.writestr("map.png", picture)
            archive.writestr("legend.png", legend)
    return [url]


def _colour_map(name: str) -> Any:
    import matplotlib as mpl

    if name not in mpl.colormaps:
        raise SchemaError(f"colours must be a colour map of matplotlib such as RdBu_r or viridis, got {name!r}")
    return mpl.colormaps[name]


def _reduced(plane: np.ndarray, grid: Grid) -> tuple[np.ndarray, Grid]:
    """Average in squares of n pixels, so that no side is too long; the last squares reach beyond the map."""
    n = max(1, math.ceil(max(plane.shape) / _LARGEST))
    if n == 1:
        return np.asarray(plane), grid
    ny, nx = (math.ceil(size / n) for size in plane.shape)
    out = np.full((ny, nx), np.nan, np.float32)
    for row in range(ny):
        strip = np.full((n, nx * n), np.nan, np.float32)
        rows = plane[row * n : (row + 1) * n]
        strip[: rows.shape[0], : rows.shape[1]] = rows
        cells = strip.reshape(n, nx, n)
        count = np.isfinite(cells).sum(axis=(0, 2))
        out[row] = np.where(count, np.nansum(cells, axis=(0, 2)) / np.maximum(count, 1), np.nan)
    return out, Grid(grid.west, grid.north, grid.dx * n, grid.dy * n, nx, ny, grid.crs)


def _limits(values: np.ndarray, limits: tuple[float, float] | None, *, symmetric: bool) -> tuple[float, float]:
    if limits is not None:
        low, high = limits
    else:
        good = values[np.isfinite(values)]
        if not good.size:
            raise SchemaError("the map has no pixel with data; nothing was written")
        low, high = np.percentile(good, [2, 98])
        if symmetric:
            high = max(abs(low), abs(high))
            low = -high
        if low == high:
            low, high = low - 0.5, high + 0.5
    if not low < high:
        raise SchemaError(f"limits must be a lower and a higher value, got {low:g} and {high:g}")
    return float(low), float(high)


def _picture(values: np.ndarray, low: float, high: float, colour_map: Any) -> bytes:
    from matplotlib.image import imsave

    colours = colour_map(np.clip((values - low) / (high - low), 0, 1), bytes=True)
    colours[~np.isfinite(values)] = 0
    out = io.BytesIO()
    imsave(out, colours, format="png")
    return out.getvalue()


def _legend(low: float, high: float, colour_map: Any, title: str) -> bytes:
    from matplotlib.cm import ScalarMappable
    from matplotlib.colors import Normalize
    from matplotlib.figure import Figure

    figure = Figure(figsize=(1.7, 3.2), dpi=120, facecolor="white")
    axes = figure.add_axes((0.14, 0.05, 0.2, 0.75))
    bar = figure.colorbar(ScalarMappable(Normalize(low, high), colour_map), cax=axes, extend="both")
    bar.ax.tick_params(labelsize=9)
    figure.text(0.08, 0.97, title, fontsize=9, va="top")
    out = io.BytesIO()
    figure.savefig(out, format="png")
    return out.getvalue()


def _kml(grid: Grid, title: str, dates: str) -> str:
    west, south, east, north = grid_edges(grid)
    return f"""<?xml version="1.0" encoding="UTF-8"?>
<kml xmlns="http://www.opengis.net/kml/2.2">
  <Document>
    <name>{escape(title)}</name>
    <description>{escape(dates)}</description>
    <GroundOverlay>
      <name>{escape(title)}</name>
      <Icon><href>map.png</href></Icon>
      <LatLonBox><north>{north!r}</north><south>{south!r}</south><east>{east!r}</east><west>{west!r}</west></LatLonBox>
    </GroundOverlay>
    <ScreenOverlay>
      <name>legend</name>
      <Icon><href>legend.png</href></Icon>
      <overlayXY x="0" y="1" xunits="fraction" yunits="fraction"/>
      <screenXY x="0.01" y="0.98" xunits="fraction" yunits="fraction"/>
    </ScreenOverlay>
  </Document>
</kml>
"""
