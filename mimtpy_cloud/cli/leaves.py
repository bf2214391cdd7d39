"""Quadtrees of the command line: sizes with units, and the files of a table of leaves."""

import re
from collections.abc import Callable, Mapping
from pathlib import PurePath
from typing import Any

import xarray as xr
from dask.delayed import Delayed

from mimtpy_cloud.cli.products import exists
from mimtpy_cloud.errors import SchemaError, StorageError
from mimtpy_cloud.exports.mimtpyjson import write_points_json
from mimtpy_cloud.exports.points import POINT_FORMATS, write_points
from mimtpy_cloud.exports.progress import Progress, TaskProgress
from mimtpy_cloud.exports.provenance import SOFTWARE, jsonable
from mimtpy_cloud.ops.pixels import map_projection
from mimtpy_cloud.ops.select import grid_of
from mimtpy_cloud.schema import LOS

__all__ = ["check_table", "epsilon_of", "leaves_lines", "pixels_of", "write_leaves"]

_SIZE = re.compile(r"([0-9.eE+-]+)\s*(deg|m|km)?")
_METRES = {"m": 1.0, "km": 1e3}
#: Of values in metres and metres a year, which are given in mm.
_MILLI = {"m": 1e-3, "m/yr": 1e-3}
_FILES = (*POINT_FORMATS, ".json", ".png")


def pixels_of(text: str | None, ds: xr.Dataset, option: str) -> int | None:
    """
    Read the side of a leaf in pixels.

    Parameters
    ----------
    text : str, optional
        Pixels, or a length such as ``0.02deg`` of a map in degrees, or ``800m`` and ``2km`` of one in metres.
    ds : xr.Dataset
        Product.
    option : str
        For the message.

    Returns
    -------
    int or None
        At least 1: a length over the longer side of a pixel, rounded.

    Raises
    ------
    SchemaError
        If it is no size, or in another unit than the coordinates.

    Examples
    --------
    >>> ds = xr.Dataset(coords={"y": [40.02, 40.01, 40.0], "x": [30.0, 30.01]})
    >>> pixels_of("16", ds, "--max"), pixels_of("0.08deg", ds, "--max")
    (16, 8)
    """
    if text is None:
        return None
    found = _SIZE.fullmatch(text.strip())
    try:
        number = float(found[1]) if found else -1.0
    except ValueError:
        number = -1.0
    if found is None or not 0 < number < float("inf"):
        raise SchemaError(f"{option}: expected pixels such as 16, or a length such as 0.02deg or 2km, got {text!r}")
    unit = found[2]
    if unit is None:
        if number != int(number):
            raise SchemaError(f"{option}: expected whole pixels, or a length such as {text}deg, got {text!r}")
        return int(number)
    degrees = map_projection(ds) is None
    if degrees != (unit == "deg"):
        wanted = "degrees, such as 0.02deg" if degrees else "metres, such as 2km"
        raise SchemaError(f"{option}: the map has pixels in {wanted}; got {text!r}")
    grid = grid_of(ds)
    return max(1, round(number * _METRES.get(unit, 1.0) / max(grid.dx, grid.dy)))


def epsilon_of(number: float | None, units: str) -> float | None:
    """
    Convert the limit of the standard deviation from what the user gives.

    Parameters
    ----------
    number : float, optional
        In mm or mm/yr of values in m or m/yr, else in their unit.
    units : str
        Of the values.

    Returns
    -------
    float or None
        In their unit.

    Examples
    --------
    >>> epsilon_of(2.0, "m/yr"), epsilon_of(2.0, "1")
    (0.002, 2.0)
    """
    return None if number is None else number * _MILLI.get(units, 1.0)


def check_table(out: str) -> str:
    """
    Tell which file ``--out`` asks for, before anything is computed.

    Parameters
    ----------
    out : str
        A name with a suffix, or a folder.

    Returns
    -------
    str
        The suffix in lower case; empty for a folder.

    Raises
    ------
    StorageError
        If the suffix is none that can be written.

    Examples
    --------
    >>> check_table("a/leaves.GeoJSON"), check_table("products/")
    ('.geojson', '')
    """
    suffix = PurePath(out).suffix.lower()
    if out.endswith("/") or not suffix or (suffix not in _FILES and exists(out)):
        return ""
    if suffix not in _FILES:
        raise StorageError(f"--out is a name that ends in {', '.join(_FILES)}, or a folder (end it with /), got {out}")
    return suffix


def write_leaves(
    lazy: Delayed,
    ds: xr.Dataset,
    stem: str,
    suffix: str,
    provenance: Mapping[str, Any],
    *,
    progress: Progress | None = None,
) -> tuple[xr.Dataset, list[str]]:
    """
    Compute a quadtree and write its files.

    Parameters
    ----------
    lazy : Delayed
        As `mimtpy_cloud.ops.quadtree.quadtree` gives it.
    ds : xr.Dataset
        Product that it is of, for the figure.
    stem : str
        Path or URL without suffix.
    suffix : str
        From `check_table`; with none, a ``.csv`` and a ``.png`` are written.
    provenance : mapping
        What it was made from.
    progress : callable, optional
        ``progress(done, total, unit)``.

    Returns
    -------
    leaves : xr.Dataset
        Computed.
    files : list of str
        What was written.

    Raises
    ------
    SchemaError
        If the map has no data, or the format cannot hold the table.
    StorageError
        If the place cannot be written.
    """
    if suffix == ".json":
        _check_json(ds, str(provenance["variable"]))
    with TaskProgress(progress):
        leaves: xr.Dataset = lazy.compute()  # type: ignore[no-untyped-call]
    leaves.attrs["provenance"] = jsonable({**provenance, "software": SOFTWARE})
    if not leaves.sizes["leaf"]:
        raise SchemaError("all leaves have too few pixels with data; raise --max-nan, or lower --min")
    write: dict[str, Callable[[str], list[str]]] = {
        ".json": lambda url: _write_json(leaves, url),
        ".png": lambda url: _draw(ds, leaves, url),
    }
    files = []
    for ending in [suffix] if suffix else [".csv", ".png"]:
        files += write[ending](stem + ending) if ending in write else _write_table(leaves, stem + ending)
    return leaves, files


def _write_table(leaves: xr.Dataset, url: str) -> list[str]:
    write_points(leaves, url)
    return [url]


def _check_json(ds: xr.Dataset, variable: str) -> None:
    """Refuse what MimtPy's files cannot hold."""
    if variable != "displacement":
        raise SchemaError(
            f"MimtPy's .json holds a displacement, the leaves would have {variable}; take --type displacement of a "
            "track, or name a .csv"
        )
    if "reference_point" not in ds.attrs:
        raise SchemaError("MimtPy's .json names a reference point, the product has none; use mimtpy reference first")


def _write_json(leaves: xr.Dataset, url: str) -> list[str]:
    """MimtPy's pair of files; without looks only the first."""
    angles = f"{url.removesuffix('.json').removesuffix('_disp')}_angle.json" if LOS[0] in leaves else None
    write_points_json(leaves, url, angles)
    return [url] if angles is None else [url, angles]


def _draw(ds: xr.Dataset, leaves: xr.Dataset, url: str) -> list[str]:
    from mimtpy_cloud.view.map import save_figure
    from mimtpy_cloud.view.quadtree import plot_quadtree

    save_figure(plot_quadtree(ds, leaves), url, dpi=150)
    return [url]


def leaves_lines(leaves: xr.Dataset) -> list[str]:
    """
    Say in short what a quadtree has become.

    Parameters
    ----------
    leaves : xr.Dataset
        Computed.

    Returns
    -------
    list of str
    """
    units = str(leaves[leaves.attrs["variable"]].attrs.get("units", "1"))
    factor, shown = (1e3, f"m{units}") if units in _MILLI else (1.0, units)
    size, count = leaves["size"], int(leaves["count"].sum())
    return [
        f"leaves          {size.size}, {int(size.min())} to {int(size.max())} pixels long",
        f"pixels          {count}, {count / size.size:.0f} a leaf",
        f"rms of the rest {factor * leaves.attrs['reduction_rms']:.4g} {shown}",
    ]
