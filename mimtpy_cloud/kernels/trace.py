"""How far points lie from a fault trace, on which side, and how the trace runs there."""

import math

import numpy as np
from numba import njit

__all__ = ["distance_to_trace"]

_compiled = njit(cache=True, nogil=True, error_model="numpy", fastmath={"contract", "reassoc", "nsz", "arcp"})


def distance_to_trace(
    lon: np.ndarray, lat: np.ndarray, trace: np.ndarray, radius: float
) -> tuple[np.ndarray, np.ndarray]:
    """
    Measure the distance of points from a bent line, and its direction where it is nearest.

    Parameters
    ----------
    lon, lat : np.ndarray
        Degrees, shape ``(point,)``, with no jump of 360 degrees to the longitudes of the trace.
    trace : np.ndarray
        Longitudes and latitudes of its corners in degrees, shape ``(corner, 2)``, at least two and no two neighbours
        alike. The first and the last piece go on beyond the ends.
    radius : float
        Radius of the Earth in m.

    Returns
    -------
    distance : np.ndarray
        Metres, shape ``(point,)``, positive to the left of the trace as it runs; NaN where a position is.
    strike : np.ndarray
        Direction of the trace at its nearest point, degrees clockwise from north. Outside of a bend, where a corner is
        nearest, it turns with the point.

    See Also
    --------
    mimtpy_cloud.ops.forward.fault_distance : The same for places.

    Notes
    -----
    Pieces are straight in longitude and latitude; distances are taken in the local plane of each point, in which a
    degree of longitude has the length that it has there. Time grows with points times corners.

    Examples
    --------
    >>> trace = np.array([[30.0, 40.0], [31.0, 40.0], [31.0, 39.0]])  # east, then south
    >>> distance, strike = distance_to_trace(np.array([30.5, 31.0]), np.array([40.1, 39.5]) , trace, 6371e3)
    >>> distance.round().tolist(), strike.round().tolist()
    ([11119.0, 0.0], [90.0, 180.0])
    """
    lon, lat = (np.ascontiguousarray(v, np.float64) for v in (lon, lat))
    distance, strike = np.empty(lon.shape), np.empty(lon.shape)
    _distance_to_trace(lon, lat, np.ascontiguousarray(trace, np.float64), radius, (distance, strike))
    return distance, strike


@_compiled
def _distance_to_trace(lon, lat, trace, radius, out):  # type: ignore[no-untyped-def]
    distance, strike = out
    last = trace.shape[0] - 2
    for i in range(lon.size):
        scale = math.cos(math.radians(lat[i]))
        least, nearest, place, foot_x, foot_y = np.inf, 0, 0.0, np.nan, np.nan
        for k in range(last + 1):
            x, y = (trace[k, 0] - lon[i]) * scale, trace[k, 1] - lat[i]
            dx, dy = (trace[k + 1, 0] - trace[k, 0]) * scale, trace[k + 1, 1] - trace[k, 1]
            t = -(x * dx + y * dy) / (dx * dx + dy * dy)
            t = 0.0 if t < 0.0 and k > 0 else 1.0 if t > 1.0 and k < last else t
            x, y = x + t * dx, y + t * dy
            if x * x + y * y < least:
                least, nearest, place, foot_x, foot_y = x * x + y * y, k, t, x, y
        east, north = _direction(trace, nearest, scale)
        corner = nearest + 1 if place == 1.0 and nearest < last else nearest if place == 0.0 and nearest > 0 else 0
        if corner > 0:
            one, other = _direction(trace, corner - 1, scale), _direction(trace, corner, scale)
            east, north = one[0] + other[0], one[1] + other[1]
        side = 1.0 if foot_x * north - foot_y * east >= 0.0 else -1.0
        if corner > 0 and least > 0.0:
            east, north = -side * foot_y, side * foot_x
        distance[i] = side * math.radians(math.sqrt(foot_x * foot_x + foot_y * foot_y)) * radius
        strike[i] = math.degrees(math.atan2(east, north)) + 0.0 * distance[i]


@_compiled
def _direction(trace, k, scale):  # type: ignore[no-untyped-def]
    """East and north of the unit vector along a piece."""
    dx, dy = (trace[k + 1, 0] - trace[k, 0]) * scale, trace[k + 1, 1] - trace[k, 1]
    length = math.sqrt(dx * dx + dy * dy)
    return dx / length, dy / length
