"""How far points lie from a great circle, on which side, and how it runs beside them."""

import math

import numpy as np
from numba import njit

__all__ = ["distance_to_great_circle"]


def distance_to_great_circle(
    lon: np.ndarray, lat: np.ndarray, fault: tuple[float, float, float], radius: float
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """
    Measure the distance of points from a great circle, and its direction at them.

    Parameters
    ----------
    lon, lat : np.ndarray
        Degrees, shape ``(point,)``.
    fault : tuple of float
        Longitude and latitude of a point of the circle, and its strike there, degrees clockwise from north.
    radius : float
        Radius of the Earth in m.

    Returns
    -------
    distance : np.ndarray
        Metres along the ground, shape ``(point,)``, positive to the left of the circle as it runs; NaN where a position
        is.
    east, north : np.ndarray
        Unit vector along the small circle through the point that is parallel to the great circle, shape ``(point,)``.

    See Also
    --------
    mimtpy_cloud.kernels.trace.distance_to_trace : The same of a bent line.

    Notes
    -----
    With the unit vectors p of the point, and n to the left of the circle, which is its pole: the distance is
    ``R arcsin(n . p)``, taken as an arctangent, and the direction that of ``n x p``, with the components ``n . north``
    to the east and ``-n . east`` to the north.

    Examples
    --------
    A circle that runs east along the equator:

    >>> lon, lat = np.array([0.0, 90.0]), np.array([1.0, -1.0])
    >>> distance, east, north = distance_to_great_circle(lon, lat, (0.0, 0.0, 90.0), 6371e3)
    >>> distance.round().tolist(), east.round(9).tolist()
    ([111195.0, -111195.0], [1.0, 1.0])
    """
    lon, lat = (np.ascontiguousarray(v, np.float64) for v in (lon, lat))
    turn, rise, angle = np.radians(fault)
    east = np.array([-np.sin(turn), np.cos(turn), 0.0])
    north = np.array([-np.sin(rise) * np.cos(turn), -np.sin(rise) * np.sin(turn), np.cos(rise)])
    distance, toward_east, toward_north = np.empty(lon.shape), np.empty(lon.shape), np.empty(lon.shape)
    pole = np.sin(angle) * north - np.cos(angle) * east
    _distance_to_pole(lon, lat, pole, radius, (distance, toward_east, toward_north))
    return distance, toward_east, toward_north


@njit(cache=True, nogil=True, error_model="numpy", fastmath={"contract", "reassoc", "nsz", "arcp"})
def _distance_to_pole(lon, lat, pole, radius, out):  # type: ignore[no-untyped-def]
    distance, toward_east, toward_north = out
    for i in range(lon.size):
        turn, rise = math.radians(lon[i]), math.radians(lat[i])
        cos, sin, cos_turn, sin_turn = math.cos(rise), math.sin(rise), math.cos(turn), math.sin(turn)
        level = pole[0] * cos_turn + pole[1] * sin_turn
        east, north, up = (
            pole[1] * cos_turn - pole[0] * sin_turn,
            pole[2] * cos - level * sin,
            level * cos + pole[2] * sin,
        )
        across = math.sqrt(east * east + north * north)
        distance[i] = radius * math.atan2(up, across)
        toward_east[i], toward_north[i] = north / across, -east / across
