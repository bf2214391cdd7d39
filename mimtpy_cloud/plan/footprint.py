"""Outlines on the ground, in longitude and latitude: of boxes, of rings of corners, and of the pixels of a mask."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from mimtpy_cloud.errors import SourceFormatError
from mimtpy_cloud.plan.grid import Bounds, Grid

__all__ = ["box_outline", "ground_area", "mask_outline", "ring_outline", "split_box"]

_DEGREES = "EPSG:4326"
#: Parts into which an edge of a projected box is cut, for it is no straight line in degrees.
_PARTS = 20


def split_box(bounds: Bounds) -> list[Bounds]:
    """
    Turn a box into -180 to 180 degrees, in two parts where it crosses the antimeridian (RFC 7946, 3.1.9).

    Parameters
    ----------
    bounds : tuple of float
        West, south, east, north in degrees; the east edge may be beyond 180.

    Returns
    -------
    list of tuple
        One or two boxes, the western one in the east first.

    Examples
    --------
    >>> split_box((179.5, -20.0, 181.0, -19.0)), split_box((359.0, 1.0, 359.5, 2.0))
    ([(179.5, -20.0, 180.0, -19.0), (-180.0, -20.0, -179.0, -19.0)], [(-1.0, 1.0, -0.5, 2.0)])
    """
    west, south, east, north = (round(float(v), 9) for v in bounds)
    if east - west >= 360:
        return [(-180.0, south, 180.0, north)]
    turn = 360.0 * ((west + 180) // 360)
    west, east = round(west - turn, 9), round(east - turn, 9)
    if east <= 180:
        return [(west, south, east, north)]
    return [(west, south, 180.0, north), (-180.0, south, round(east - 360, 9), north)]


def box_outline(bounds: Bounds, crs: str = _DEGREES) -> Any:
    """
    Outline a box.

    Parameters
    ----------
    bounds : tuple of float
        West, south, east, north in the units of the system.
    crs : str
        Its coordinate reference system.

    Returns
    -------
    shapely.Polygon or shapely.MultiPolygon
        Longitudes from -180 to 180; two parts where it crosses the antimeridian.

    Examples
    --------
    >>> box_outline((100.0, 39.94, 100.08, 40.0)).bounds
    (100.0, 39.94, 100.08, 40.0)
    """
    import shapely

    if crs == _DEGREES:
        parts = [shapely.box(*part) for part in split_box(bounds)]
        return parts[0] if len(parts) == 1 else shapely.MultiPolygon(parts)
    box = shapely.box(*bounds)
    return _normal(_unproject(box.segmentize(max(bounds[2] - bounds[0], bounds[3] - bounds[1]) / _PARTS), crs))


def ring_outline(corners: Sequence[tuple[float, float]], crs: str = _DEGREES) -> Any:
    """
    Outline a ring of corners, such as the four of a radar image in any order of flight.

    Parameters
    ----------
    corners : sequence of tuple of float
        Longitude and latitude, or easting and northing, in order along the ring; the first may be repeated.
    crs : str
        Their coordinate reference system.

    Returns
    -------
    shapely.Polygon or shapely.MultiPolygon
        Longitudes from -180 to 180, signs kept; two parts where it crosses the antimeridian. A ring that crosses itself
        becomes the hull of its corners.

    Raises
    ------
    SourceFormatError
        If it has no area.

    Examples
    --------
    >>> ring_outline([(-155.5, 19.1), (-155.45, 19.9), (-155.0, 19.85), (-155.05, 19.05)]).bounds
    (-155.5, 19.05, -155.0, 19.9)
    """
    import shapely

    points = np.asarray(corners, float)
    if crs == _DEGREES:
        points = np.column_stack([_unwrapped(points[:, 0]), points[:, 1]])
    ring = shapely.Polygon(points) if len(points) > 2 else shapely.Polygon()
    ring = ring if ring.is_valid else ring.convex_hull
    if not ring.area > 0:
        raise SourceFormatError(f"expected corners of an area, got {corners}; the attributes of the source are damaged")
    return _normal(ring if crs == _DEGREES else _unproject(ring, crs))


def mask_outline(valid: np.ndarray, grid: Grid, *, tolerance: float = 1.0) -> Any:
    """
    Outline the pixels of a mask.

    Parameters
    ----------
    valid : np.ndarray
        Bool, shape ``(y, x)``.
    grid : Grid
        Its pixels.
    tolerance : float
        Most pixels by which the outline may be simplified; 0 follows every edge of a pixel.

    Returns
    -------
    shapely.Polygon or shapely.MultiPolygon
        Longitudes from -180 to 180; holes are kept. Empty if no pixel is valid.

    Notes
    -----
    Runs of valid pixels of each row become boxes, whose union is simplified (Douglas and Peucker): time and memory grow
    with the number of runs.

    Examples
    --------
    >>> mask_outline(np.array([[True, False], [True, True]]), Grid(100, 40, 0.5, 0.5, 2, 2), tolerance=0).area
    0.75
    """
    import shapely

    padded = np.zeros((valid.shape[0], valid.shape[1] + 2), np.int8)
    padded[:, 1:-1] = valid
    step = np.diff(padded, axis=1)
    (row, first), (_, last) = np.nonzero(step == 1), np.nonzero(step == -1)
    west, north = grid.west + np.arange(grid.nx + 1) * grid.dx, grid.north - np.arange(grid.ny + 1) * grid.dy
    boxes = shapely.box(west[first], north[row + 1], west[last], north[row])
    outline = shapely.union_all(boxes)
    if tolerance:
        simple = outline.simplify(tolerance * min(grid.dx, grid.dy))
        outline = simple if simple.is_valid else simple.buffer(0)
    return _normal(outline if grid.crs == _DEGREES else _unproject(outline, grid.crs))


def ground_area(outline: Any) -> float:
    """
    Measure an outline on the ellipsoid.

    Parameters
    ----------
    outline : shapely.Polygon or shapely.MultiPolygon
        In longitude and latitude.

    Returns
    -------
    float
        m^2 on WGS 84, without holes.

    Examples
    --------
    >>> round(ground_area(box_outline((0.0, 0.0, 1.0, 1.0))) / 1e6)
    12309
    """
    import shapely
    from pyproj import Geod

    area, _ = Geod(ellps="WGS84").geometry_area_perimeter(shapely.orient_polygons(outline))
    return abs(float(area))


def _unwrapped(longitude: np.ndarray) -> np.ndarray:
    """Longitudes that go on beyond 180 rather than jump."""
    unwrapped: np.ndarray = np.unwrap(longitude, period=360.0)
    return unwrapped


def _unproject(outline: Any, crs: str) -> Any:
    import shapely
    from pyproj import Transformer

    transform = Transformer.from_crs(crs, _DEGREES, always_xy=True).transform

    def lonlat(points: np.ndarray) -> np.ndarray:
        lon, lat = transform(points[:, 0], points[:, 1])
        return np.column_stack([_unwrapped(np.asarray(lon)), lat])

    return shapely.transform(outline, lonlat)


def _normal(outline: Any) -> Any:
    """The same from -180 to 180: each turn of the globe is cut out and shifted."""
    import shapely

    if outline.is_empty:
        return outline
    west, _, east, _ = outline.bounds
    first, last = (int(np.floor((edge + 180) / 360)) for edge in (west, np.nextafter(east, -np.inf)))
    if first == last == 0:
        return outline
    parts = []
    for turn in range(first, last + 1):
        piece = outline.intersection(shapely.box(-180 + 360 * turn, -90, 180 + 360 * turn, 90))
        polygons = [part for part in shapely.get_parts(piece) if part.geom_type == "Polygon" and part.area > 0]
        parts += [shapely.transform(part, lambda xy, by=turn: xy - (360.0 * by, 0.0)) for part in polygons]
    return parts[0] if len(parts) == 1 else shapely.MultiPolygon(parts)
