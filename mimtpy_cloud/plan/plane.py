"""Local plane: kilometres east and north of an origin, for ramps and distances over one scene."""

import math

import numpy as np

__all__ = ["EARTH_RADIUS_KM", "centre_of", "pixel_km", "plane_km"]

#: Mean radius of the Earth (IUGG), km.
EARTH_RADIUS_KM = 6371.0088


def plane_km(
    x: np.ndarray, y: np.ndarray, origin: tuple[float, float], *, geographic: bool = True
) -> tuple[np.ndarray, np.ndarray]:
    """
    Turn pixel centres into kilometres east and north of an origin.

    Parameters
    ----------
    x, y : np.ndarray
        Coordinates of columns and rows, one-dimensional: longitudes and latitudes in degrees, or metres of a map
        projection.
    origin : tuple of float
        Where both are zero, in the units of `x` and `y`: (lon, lat) in degrees, or metres.
    geographic : bool
        Whether the coordinates are degrees; else they are metres.

    Returns
    -------
    x_km, y_km : np.ndarray
        km, float64, of the shapes of `x` and `y`; east and north are positive.

    See Also
    --------
    centre_of : An origin in the middle.

    Notes
    -----
    Local equirectangular: ``x_km = R cos(lat0) (lon - lon0)``, ``y_km = R (lat - lat0)`` with the angles in radians and
    the mean radius R = 6371.0088 km. A ramp needs no more than a plane that is the same for all. Longitudes
    that jump by 360 degrees within `x`, and an origin on the other side of the antimeridian, are unwrapped.

    Examples
    --------
    >>> x_km, y_km = plane_km(np.array([179.0, -179.0]), np.array([1.0, 0.0]), (180.0, 0.0))
    >>> x_km.round(3).tolist(), y_km.round(3).tolist()
    ([-111.195, 111.195], [111.195, 0.0])
    """
    x0, y0 = map(float, origin)
    x, y = np.asarray(x, np.float64), np.asarray(y, np.float64)
    if not geographic:
        return (x - x0) / 1e3, (y - y0) / 1e3
    per_degree = EARTH_RADIUS_KM * math.pi / 180
    east = _unwrap(x) - x0
    if east.size:
        east -= 360 * round((east[0] + east[-1]) / 720)
    return east * (math.cos(math.radians(y0)) * per_degree), (y - y0) * per_degree


def pixel_km(x: np.ndarray, y: np.ndarray, *, geographic: bool = True) -> tuple[float, float]:
    """
    Measure a pixel in the middle of a grid.

    Parameters
    ----------
    x, y : np.ndarray
        As for `plane_km`.
    geographic : bool
        As for `plane_km`.

    Returns
    -------
    height, width : float
        km; the same along an axis of one pixel, which does not tell.

    Examples
    --------
    >>> height, width = pixel_km(np.array([10.0, 10.1, 10.2]), np.array([60.1, 60.0, 59.9]))
    >>> round(height, 2), round(width, 2)
    (11.12, 5.56)
    """
    x_km, y_km = plane_km(x, y, centre_of(x, y, geographic=geographic), geographic=geographic)
    down, across = (float(np.ptp(v)) / max(v.size - 1, 1) for v in (y_km, x_km))
    return down or across, across or down


def centre_of(x: np.ndarray, y: np.ndarray, *, geographic: bool = True) -> tuple[float, float]:
    """
    Find the middle of a grid.

    Parameters
    ----------
    x, y : np.ndarray
        As for `plane_km`, at least one of each.
    geographic : bool
        Whether `x` are longitudes, which are unwrapped.

    Returns
    -------
    tuple of float
        Halfway between the first and the last of `x`, and of `y`; a longitude from -180 to below 180.

    Examples
    --------
    >>> centre_of(np.array([179.0, 180.0, -179.0]), np.array([2.0, 1.0]))
    (-180.0, 1.5)
    """
    y = np.asarray(y, np.float64)
    x = _unwrap(np.asarray(x, np.float64)) if geographic else np.asarray(x, np.float64)
    middle = float(x[0] + x[-1]) / 2
    return (middle + 180) % 360 - 180 if geographic else middle, float(y[0] + y[-1]) / 2


def _unwrap(x: np.ndarray) -> np.ndarray:
    """Longitudes without jumps of 360 degrees; those without a jump exactly as they are."""
    jumps = np.abs(np.diff(x)) > 180
    return np.unwrap(x, period=360) if jumps.any() else x
