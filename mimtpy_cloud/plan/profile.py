"""Where profiles run: geodesic lines on the WGS84 ellipsoid, along and across an overlap."""

import math
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

from mimtpy_cloud.errors import GridMismatchError

__all__ = ["Line", "box_points", "distance_along", "footprint_azimuth", "parallel_lines", "profile_line"]

#: Fewest points that give the length of a line its own measure; else the whole footprint gives it.
_FEW = 3


class Line(NamedTuple):
    """
    Points of a profile.

    Attributes
    ----------
    lon, lat : np.ndarray
        Degrees, shape ``(point,)``.
    distance_km : np.ndarray
        Along the line from its zero, increasing.
    """

    lon: np.ndarray
    lat: np.ndarray
    distance_km: np.ndarray


def _geod() -> Any:
    from pyproj import Geod

    return Geod(ellps="WGS84")


def profile_line(
    through: tuple[float, float],
    azimuth: float,
    length: float | tuple[float, float],
    spacing: float,
) -> Line:
    """
    Lay a geodesic line with equally spaced points through a point.

    Parameters
    ----------
    through : tuple of float
        Longitude and latitude in degrees of the zero of the distance; it is a point of the line.
    azimuth : float
        Direction of increasing distance at that point, degrees clockwise from north.
    length : float or tuple of float
        Length in metres, half of it on each side; or the lengths before and after the point.
    spacing : float
        Distance of neighbouring points in metres.

    Returns
    -------
    Line
        Points at whole multiples of the spacing.

    Raises
    ------
    GridMismatchError
        If the spacing is not positive, or the length is shorter than one spacing.

    Examples
    --------
    >>> line = profile_line((30.0, 40.0), 90.0, 4000.0, 1000.0)
    >>> line.distance_km.tolist(), line.lon.round(4).tolist()
    ([-2.0, -1.0, 0.0, 1.0, 2.0], [29.9766, 29.9883, 30.0, 30.0117, 30.0234])
    """
    before, after = length if isinstance(length, tuple) else (length / 2, length / 2)
    if not (0 < spacing < math.inf and max(before, after) >= spacing and math.isfinite(before + after)):
        raise GridMismatchError(
            f"a profile needs a positive spacing and at least two points, got spacing {spacing:g} m and "
            f"lengths {before:g} and {after:g} m before and after its point; lengthen it, or lessen the spacing"
        )
    steps = np.arange(-math.floor(before / spacing + 1e-9), math.floor(after / spacing + 1e-9) + 1)
    distance = steps * spacing
    heading = np.where(distance < 0, azimuth + 180.0, azimuth)
    lon0, lat0 = np.full(distance.size, float(through[0])), np.full(distance.size, float(through[1]))
    lon, lat, _ = _geod().fwd(lon0, lat0, heading, np.abs(distance))
    return Line(_near(lon, float(through[0])), lat, distance / 1000.0)


def distance_along(lon: np.ndarray, lat: np.ndarray) -> np.ndarray:
    """
    Measure the way from the first of some points to each.

    Parameters
    ----------
    lon, lat : np.ndarray
        Degrees, shape ``(point,)``.

    Returns
    -------
    np.ndarray
        Kilometres on the ellipsoid, from zero.

    Examples
    --------
    >>> distance_along(np.array([0.0, 1.0, 2.0]), np.zeros(3)).round(3).tolist()
    [0.0, 111.319, 222.639]
    """
    lon, lat = np.asarray(lon, np.float64), np.asarray(lat, np.float64)
    if lon.size < 2:
        return np.zeros(lon.size)
    _, _, step = _geod().inv(lon[:-1], lat[:-1], lon[1:], lat[1:])
    return np.concatenate([[0.0], np.cumsum(step)]) / 1000.0


def footprint_azimuth(lon: np.ndarray, lat: np.ndarray) -> float:
    """
    Find the direction in which an area is longest.

    Parameters
    ----------
    lon, lat : np.ndarray
        Points that fill the area evenly, or its corners; degrees.

    Returns
    -------
    float
        Degrees clockwise from north, above -90 and at most 90; 0 for an area as long as wide.

    Notes
    -----
    The principal axis of the points in geodesic distances from their middle.

    Examples
    --------
    >>> lon, lat = np.meshgrid(np.linspace(30, 31, 50), np.linspace(40, 40.2, 50))
    >>> round(footprint_azimuth(lon.ravel(), lat.ravel()))
    90
    """
    if np.size(lon) < 2:
        return 0.0
    north, east = _local(lon, lat, _middle(lon, lat), 0.0)
    covariance = np.cov(np.stack([north, east]))
    twice = math.atan2(2 * covariance[0, 1], covariance[0, 0] - covariance[1, 1])
    azimuth = math.degrees(twice) / 2
    return azimuth if azimuth > -90 + 1e-9 else 90.0


def parallel_lines(
    lon: np.ndarray,
    lat: np.ndarray,
    azimuth: float,
    count: int,
    spacing: float,
    *,
    through: tuple[float, float] | None = None,
) -> list[Line]:
    """
    Lay parallel profiles over an area, evenly spaced.

    Parameters
    ----------
    lon, lat : np.ndarray
        Points that fill the area, degrees.
    azimuth : float
        Direction of the profiles in the middle of the area, degrees clockwise from north.
    count : int
        How many; they divide the width of the area in ``count + 1`` equal parts.
    spacing : float
        Distance of points along a profile, metres.
    through : tuple of float, optional
        Longitude and latitude that the one profile then runs through; `count` has no effect.

    Returns
    -------
    list of Line
        From left to right, seen along the azimuth; each as long as the area where it runs. The distance is zero abeam
        of the middle of the area, or at the point.

    Raises
    ------
    GridMismatchError
        If `count` is less than one, there are no points, or the spacing is not positive.

    Examples
    --------
    >>> lon, lat = np.meshgrid(np.linspace(30, 31, 50), np.linspace(40, 40.2, 50))
    >>> one, two = parallel_lines(lon.ravel(), lat.ravel(), 90.0, 2, 1000.0)
    >>> [round(float(line.lat[line.distance_km == 0][0]), 2) for line in (one, two)]
    [40.13, 40.07]
    """
    if count < 1 or not np.size(lon):
        raise GridMismatchError(
            f"profiles need an area and a count of at least 1, got {np.size(lon)} points and {count}"
        )
    zero = _middle(lon, lat) if through is None else through
    along, across = _local(lon, lat, zero, azimuth)
    if through is not None:
        before, after = max(0.0, -float(along.min())), max(spacing, float(along.max()))
        return [profile_line(through, azimuth, (before, after), spacing)]
    low, high = float(across.min()), float(across.max())
    gap = (high - low) / (count + 1)
    return [_abeam(zero, azimuth, low + k * gap, gap / 2, (along, across), spacing) for k in range(1, count + 1)]


def _abeam(
    zero: tuple[float, float],
    azimuth: float,
    offset: float,
    half: float,
    points: tuple[np.ndarray, np.ndarray],
    spacing: float,
) -> Line:
    """Lay a line at a distance to the right of the middle, as long as the points within half a gap of it."""
    along, across = points
    near = along[np.abs(across - offset) <= half]
    reach = near if near.size >= _FEW else along
    lon, lat, back = _geod().fwd(*zero, azimuth + 90.0, offset)
    middle = (float(reach.min()) + float(reach.max())) / 2
    half_length = max((float(reach.max()) - float(reach.min())) / 2, spacing)
    # `back` looks to the left, seen along the profiles, on both sides of the middle.
    line = profile_line((lon, lat), back + 90.0, (half_length - middle, half_length + middle), spacing)
    return line._replace(lon=_near(line.lon, zero[0]))


def _middle(lon: np.ndarray, lat: np.ndarray) -> tuple[float, float]:
    """Centre of the box of the points."""
    return (float(np.min(lon)) + float(np.max(lon))) / 2, (float(np.min(lat)) + float(np.max(lat))) / 2


def _local(
    lon: np.ndarray, lat: np.ndarray, zero: tuple[float, float], azimuth: float
) -> tuple[np.ndarray, np.ndarray]:
    """Metres along an azimuth from a point, and to the right of it."""
    lon, lat = np.ravel(lon).astype(np.float64), np.ravel(lat).astype(np.float64)
    heading, _, distance = _geod().inv(np.full(lon.size, zero[0]), np.full(lon.size, zero[1]), lon, lat)
    angle = np.deg2rad(np.asarray(heading) - azimuth)
    return distance * np.cos(angle), distance * np.sin(angle)


def _near(lon: np.ndarray, middle: float) -> np.ndarray:
    """Longitudes shifted by full turns to the side of a point."""
    return lon - 360.0 * np.round((np.asarray(lon) - middle) / 360.0)


def box_points(bounds: Sequence[float]) -> tuple[np.ndarray, np.ndarray]:
    """
    Fill a box evenly with points.

    Parameters
    ----------
    bounds : sequence of float
        West, south, east, north in degrees.

    Returns
    -------
    lon, lat : np.ndarray
        On its edges and inside.
    """
    west, south, east, north = bounds
    lon, lat = np.meshgrid(np.linspace(west, east, 33), np.linspace(south, north, 33))
    return lon.ravel(), lat.ravel()
