"""The text file beside a raster of ROI_PAC, which says what it holds."""

import re
from collections.abc import Mapping
from typing import Any

import xarray as xr

from mimtpy_cloud.exports.grids import grid_edges
from mimtpy_cloud.exports.mintpymeta import reference_pixel
from mimtpy_cloud.exports.observed import compact, span_of
from mimtpy_cloud.plan.grid import Grid

__all__ = ["format_rsc", "rsc_attributes"]

#: Attributes of the source that describe its own file, not this one.
_STALE = re.compile(
    r"EPSG|UTM_ZONE|[XY](MIN|MAX|FIRST|STEP|UNIT)|REF_[XY]|(FILE_)?LENGTH|WIDTH|FILE_PATH|DATE.*|OG_.*|SUBSET_.*"
)
_FROM_CANONICAL = {"HEADING": "heading", "WAVELENGTH": "wavelength", "PROJECT_NAME": "project"}


def rsc_attributes(ds: xr.Dataset, grid: Grid, **more: Any) -> dict[str, Any]:
    """
    Collect the attributes of a raster.

    Parameters
    ----------
    ds : xr.Dataset
        Product; those of its source, under ``mintpy``, are kept where they are in capitals and still true.
    grid : Grid
        Its grid in degrees.
    **more : object
        Attributes that come on top.

    Returns
    -------
    dict
        Size, corner (outer edge, upper left), step, dates (``DATE12``), radar and reference.
    """
    attrs, source = ds.attrs, dict(ds.attrs.get("mintpy", {}))
    values = {key: value for key, value in source.items() if key.isupper() and not _STALE.fullmatch(key)}
    west, _, _, north = grid_edges(grid)
    start, end = (compact(day)[2:] for day in span_of(ds, "a file of ROI_PAC"))
    direction = str(attrs.get("orbit_direction", attrs.get("track", "")))[:1].upper()
    values |= {
        "WIDTH": grid.nx,
        "FILE_LENGTH": grid.ny,
        "LENGTH": grid.ny,
        "X_FIRST": west,
        "Y_FIRST": north,
        "X_STEP": grid.dx,
        "Y_STEP": -grid.dy,
        "X_UNIT": "degrees",
        "Y_UNIT": "degrees",
        "DATE": start,
        "DATE12": f"{start}-{end}",
        "PROCESSOR": "roipac",
        "ANTENNA_SIDE": 1 if attrs.get("look_side") == "left" else -1,
        "NO_DATA_VALUE": "nan",
    }
    values |= {"RLOOKS": source.get("RLOOKS", 1), "ALOOKS": source.get("ALOOKS", 1)}
    values |= {key: attrs[name] for key, name in _FROM_CANONICAL.items() if attrs.get(name) is not None}
    if direction in ("A", "D"):
        values["ORBIT_DIRECTION"] = {"A": "ASCENDING", "D": "DESCENDING"}[direction]
    return values | _reference(attrs, grid) | more


def _reference(attrs: Mapping[Any, Any], grid: Grid) -> dict[str, Any]:
    date = attrs.get("reference_date")
    values = {} if date is None else {"REF_DATE": str(date).replace("-", "")}
    if attrs.get("reference_point") is None:
        return values
    lon, lat = map(float, attrs["reference_point"])
    return values | reference_pixel(grid, lon, lat)


def format_rsc(values: Mapping[str, Any]) -> str:
    """
    Write attributes as ROI_PAC does, one a line.

    Parameters
    ----------
    values : mapping
        Names to values without line breaks.

    Returns
    -------
    str

    Examples
    --------
    >>> print(format_rsc({"WIDTH": 8, "X_STEP": 0.01}), end="")
    WIDTH                     8
    X_STEP                    0.01
    """
    width = max([25, *map(len, values)])
    return "".join(f"{key:<{width}} {str(value).strip()}\n" for key, value in values.items())
