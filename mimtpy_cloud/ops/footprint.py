"""Where a track lies: the outline of its scene, of its grid, or of its usable pixels."""

import math
import re
from typing import Any, Literal, get_args

import dask
import numpy as np
import xarray as xr

from mimtpy_cloud.errors import SchemaError
from mimtpy_cloud.plan.footprint import box_outline, mask_outline, ring_outline
from mimtpy_cloud.plan.grid import Grid

__all__ = ["FOOTPRINTS", "FootprintKind", "footprint", "scene_outline"]

FootprintKind = Literal["scene", "data", "valid"]
FOOTPRINTS: tuple[str, ...] = get_args(FootprintKind)
#: Most rows and columns of the mask that is outlined.
_PIXELS = 512
_WKT = re.compile(r"POLYGON\s*\(\((?P<ring>[^()]+)\)\)", re.IGNORECASE)
_DEGREES = "EPSG:4326"


def footprint(ds: xr.Dataset, kind: FootprintKind = "data", *, tolerance: float = 1.0) -> Any:
    """
    Outline a dataset on the ground.

    Parameters
    ----------
    ds : xr.Dataset
        Canonical dataset with coordinates ``y`` and ``x`` of pixel centres; of a scene only its attributes matter.
    kind : {"scene", "data", "valid"}
        ``"scene"``: the corners of the radar image, as the source tells them, of any orbit direction. ``"data"``: the
        outer edges of the pixels. ``"valid"``: the usable pixels, with holes.
    tolerance : float
        Most pixels by which the outline of usable pixels may be simplified.

    Returns
    -------
    shapely.Polygon, shapely.MultiPolygon or dask.delayed.Delayed
        Longitude and latitude in degrees, from -180 to 180; several parts where it crosses the antimeridian. Of usable
        pixels it is what ``compute()`` makes such an outline of: this function reads no pixel.

    Raises
    ------
    SchemaError
        If the kind is unknown, or the dataset does not say what is needed.
    GridMismatchError
        If the coordinates are not evenly spaced.
    SourceFormatError
        If the corners of the source are damaged.

    See Also
    --------
    mimtpy_cloud.plan.footprint.ground_area : Its area.
    mimtpy_cloud.exports.footprint.write_footprints : Its file.

    Notes
    -----
    Usable are pixels that are ``valid``, else those with a velocity, or displacement on any date. Masks of more than
    512 rows or columns are coarsened: a cell counts if any pixel of it does, so the outline lies outside of the pixels
    by less than a cell; the tolerance is one of cells.

    Examples
    --------
    >>> x, y = 100 + (np.arange(8) + 0.5) * 0.01, 40 - (np.arange(6) + 0.5) * 0.01
    >>> ds = xr.Dataset({"valid": (("y", "x"), np.ones((6, 8), bool))}, {"y": y, "x": x})
    >>> [round(edge, 6) for edge in footprint(ds).bounds]
    [100.0, 39.94, 100.08, 40.0]
    >>> footprint(ds, "valid").compute().equals_exact(footprint(ds), 1e-9, normalize=True)
    True
    """
    if kind not in FOOTPRINTS:
        raise SchemaError(f"kind of footprint must be one of {', '.join(FOOTPRINTS)}, got {kind!r}")
    if kind == "scene":
        return scene_outline(ds.attrs, crs=_crs(ds))
    grid = _grid(ds)
    if kind == "data":
        return box_outline(grid.bounds, grid.crs)
    small, step = _coarse(_usable(ds))
    cells = Grid(grid.west, grid.north, grid.dx * step, grid.dy * step, small.sizes["x"], small.sizes["y"], grid.crs)
    return dask.delayed(mask_outline)(small.data, cells, tolerance=tolerance)  # type: ignore[attr-defined]


def scene_outline(attrs: Any, *, crs: str = _DEGREES) -> Any:
    """
    Outline the radar image that a source was made of.

    Parameters
    ----------
    attrs : mapping
        Attributes of a canonical dataset, or of an entry of a catalog, with those of the source under ``mintpy``.
    crs : str
        System of the source, for corners in metres.

    Returns
    -------
    shapely.Polygon or shapely.MultiPolygon
        Longitude and latitude.

    Raises
    ------
    SchemaError
        If the source tells neither ``scene_footprint`` nor its corners LAT_REF1 to LON_REF4.
    SourceFormatError
        If they have no area.

    Notes
    -----
    Corners 1 and 2 are the first line of the image, near and far; 3 and 4 the last one. The ring is 1, 3, 4, 2 in any
    orbit direction.

    Examples
    --------
    >>> ring = "POLYGON((-155.5 19.1,-155.45 19.9,-155.0 19.85,-155.05 19.05,-155.5 19.1))"
    >>> round(scene_outline({"mintpy": {"scene_footprint": ring}}).area, 6)
    0.3625
    """
    source = attrs.get("mintpy", {})
    found = _WKT.search(str(source.get("scene_footprint", "")))
    try:
        if found:
            ring = [tuple(map(float, pair.split()[:2])) for pair in found["ring"].split(",")]
        else:
            ring = [(float(source[f"LON_REF{i}"]), float(source[f"LAT_REF{i}"])) for i in (1, 3, 4, 2)]
    except (KeyError, ValueError):
        ring = []
    if not ring:
        raise SchemaError(
            "the source tells no corners of its scene (scene_footprint, or LAT_REF1 to LON_REF4); take the footprint "
            "of data or valid"
        )
    in_degrees = max(abs(lat) for _, lat in ring) <= 90
    return ring_outline(ring, _DEGREES if in_degrees else _metric(source, crs))  # type: ignore[arg-type]


def _metric(source: Any, crs: str) -> str:
    """System of corners in metres: that of the source, which may lie on a grid in degrees by now."""
    if crs != _DEGREES:
        return crs
    zone = re.fullmatch(r"(\d{1,2})\s*([NS])", str(source.get("UTM_ZONE", "")).upper())
    code = source.get("EPSG") or (zone and f"32{'6' if zone[2] == 'N' else '7'}{int(zone[1]):02d}")
    if not code:
        raise SchemaError(
            "the corners of the scene are in metres, and the source does not say of which projection (EPSG, UTM_ZONE); "
            "take the footprint of data or valid"
        )
    return f"EPSG:{code}"


def _crs(ds: xr.Dataset) -> str:
    from pyproj import CRS

    text = ds.coords["spatial_ref"].attrs.get("crs_wkt") if "spatial_ref" in ds.coords else None
    if not text:
        return _DEGREES
    code = CRS.from_user_input(text).to_epsg()
    return f"EPSG:{code}" if code else str(text)


def _grid(ds: xr.Dataset) -> Grid:
    if "x" not in ds.indexes or "y" not in ds.indexes:
        raise SchemaError(
            "a footprint of data needs coordinates y and x; in radar coordinates there is that of the scene"
        )
    crs, per_degree = _crs(ds), ds.attrs.get("pixels_per_degree")
    step = 1 / float(per_degree) if per_degree and crs == _DEGREES else None
    x, y = (np.asarray(ds[dim].values, float) for dim in ("x", "y"))
    return Grid.from_centres(x, y, crs, step=step).rounded()


def _usable(ds: xr.Dataset) -> xr.DataArray:
    for name in ("valid", "velocity", "displacement", *ds.data_vars):
        if name in ds and {"y", "x"} <= set(ds[name].dims):
            found = ds[name] > 0 if name == "valid" or ds[name].dtype == bool else ds[name].notnull()
            others = [dim for dim in found.dims if dim not in ("y", "x")]
            usable: xr.DataArray = found.any(others) if others else found
            return usable
    raise SchemaError(f"the dataset has no map; it has {', '.join(map(str, ds.data_vars)) or 'nothing'}")


def _coarse(valid: xr.DataArray) -> tuple[xr.DataArray, int]:
    """Cells of a whole number of pixels, true where any pixel is; and that number."""
    step = math.ceil(max(valid.sizes["y"], valid.sizes["x"]) / _PIXELS)
    if step == 1:
        return valid, step
    padded = valid.pad({dim: (0, -valid.sizes[dim] % step) for dim in ("y", "x")}, constant_values=False)
    return padded.astype(bool).coarsen(y=step, x=step).max(), step
