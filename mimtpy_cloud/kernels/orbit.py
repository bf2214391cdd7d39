"""Look geometry of a right-looking radar on a circular orbit above a spherical Earth.

An orbit is a ``(3, 3)`` frame of unit vectors (Earth-centred): the sub-satellite point where the scene centre is
seen, the flight direction there, and the pole of the orbit plane. Angles at the Earth's centre place a target:
``gamma`` across the ground track (positive on the right), ``u`` along it.
"""

import numpy as np

__all__ = ["EARTH_RADIUS", "ORBIT_HEIGHT", "look_vector", "orbit_angles", "orbit_frame", "orbit_position"]

#: Radius of the spherical Earth, m.
EARTH_RADIUS = 6_371_000.0
#: Height of Sentinel-1 above it, m.
ORBIT_HEIGHT = 693_000.0
_ORBIT_RADIUS = EARTH_RADIUS + ORBIT_HEIGHT


def orbit_frame(lon: float, lat: float, heading: float, incidence: float) -> np.ndarray:
    """
    Find the orbit from which a scene centre is seen under a given incidence angle.

    Parameters
    ----------
    lon, lat : float
        Scene centre in degrees.
    heading : float
        Flight direction seen at the scene centre, degrees clockwise from north; the satellite is to the left of it.
    incidence : float
        Incidence angle at the scene centre in degrees, more than 0.

    Returns
    -------
    np.ndarray
        Rows: sub-satellite point, flight direction, pole of the orbit plane; shape ``(3, 3)``, orthonormal.

    Examples
    --------
    >>> frame = orbit_frame(37.0, 38.0, heading=-12.0, incidence=38.0)
    >>> gamma, u = orbit_angles(np.array(37.0), np.array(38.0), frame)
    >>> round(float(np.degrees(gamma)), 2), abs(float(u)) < 1e-12
    (4.27, True)
    """
    inc, azimuth = np.radians(incidence), np.radians(heading - 90.0)
    gamma = inc - np.arcsin(np.sin(inc) * EARTH_RADIUS / _ORBIT_RADIUS)
    east, north, up = _enu(np.radians(lon), np.radians(lat))
    toward = np.sin(azimuth) * np.asarray(east) + np.cos(azimuth) * np.asarray(north)
    below = np.cos(gamma) * np.asarray(up) + np.sin(gamma) * toward
    pole = (np.cos(gamma) * below - np.asarray(up)) / np.sin(gamma)
    return np.stack([below, np.cross(pole, below), pole])


def orbit_angles(lon: np.ndarray, lat: np.ndarray, frame: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """
    Place targets relative to an orbit.

    Parameters
    ----------
    lon, lat : np.ndarray
        Degrees; shapes broadcast.
    frame : np.ndarray
        Orbit, as `orbit_frame` returns it.

    Returns
    -------
    gamma, u : np.ndarray
        Angles in radians across (positive right of the flight direction) and along the ground track.
    """
    _, _, up = _enu(np.radians(lon), np.radians(lat))
    below, flight, pole = frame
    return -np.arcsin(_dot(up, pole)), np.arctan2(_dot(up, flight), _dot(up, below))


def orbit_position(gamma: np.ndarray, u: np.ndarray, frame: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """
    Find the targets at given angles; the inverse of `orbit_angles`.

    Parameters
    ----------
    gamma, u : np.ndarray
        Angles in radians across and along the ground track.
    frame : np.ndarray
        Orbit, as `orbit_frame` returns it.

    Returns
    -------
    lon, lat : np.ndarray
        Degrees.
    """
    weights = np.cos(gamma) * np.cos(u), np.cos(gamma) * np.sin(u), -np.sin(gamma)
    x, y, z = (sum(w * axis[i] for w, axis in zip(weights, frame, strict=True)) for i in range(3))
    return np.degrees(np.arctan2(y, x)), np.degrees(np.arcsin(z))


def look_vector(
    lon: np.ndarray, lat: np.ndarray, height: np.ndarray, frame: np.ndarray
) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """
    Compute the zero-Doppler look vector and the slant range.

    Parameters
    ----------
    lon, lat : np.ndarray
        Targets in degrees; shapes broadcast.
    height : np.ndarray
        Their height in m.
    frame : np.ndarray
        Orbit, as `orbit_frame` returns it.

    Returns
    -------
    east, north, up : np.ndarray
        Unit vector from ground to satellite.
    slant_range : np.ndarray
        Distance from ground to satellite in m.

    Notes
    -----
    The satellite stands above the foot of the target on the ground track, at the central angle ``gamma``. With the
    pole ``N``, radii ``r = R + h`` and ``s = R + H``, and ``d^2 = r^2 + s^2 - 2 r s cos(gamma)``:
    ``(east, north) = s / d * tan(gamma) * (N.e, N.n)`` and ``up = (s cos(gamma) - r) / d``.

    Examples
    --------
    >>> frame = orbit_frame(37.0, 38.0, heading=-12.0, incidence=38.0)
    >>> east, north, up, _ = look_vector(np.array(37.0), np.array(38.0), np.array(0.0), frame)
    >>> [round(float(v), 4) for v in (east, north, up)]  # an ascending pass looks east: the satellite is in the west
    [-0.6022, -0.128, 0.788]
    """
    east, north, up = _enu(np.radians(lon), np.radians(lat))
    pole = frame[2]
    sin_gamma = -_dot(up, pole)
    cos_gamma = np.sqrt(1.0 - sin_gamma**2)
    r = EARTH_RADIUS + np.asarray(height)
    slant = np.sqrt(r**2 + _ORBIT_RADIUS**2 - 2 * r * _ORBIT_RADIUS * cos_gamma)
    side = _ORBIT_RADIUS / slant * sin_gamma / cos_gamma
    return side * _dot(east, pole), side * _dot(north, pole), (_ORBIT_RADIUS * cos_gamma - r) / slant, slant


_Vector = tuple[np.ndarray, np.ndarray, np.ndarray]


def _enu(lon: np.ndarray | float, lat: np.ndarray | float) -> tuple[_Vector, _Vector, _Vector]:
    """East, north and up at radians, as Earth-centred components."""
    sin_lon, cos_lon, sin_lat, cos_lat = np.sin(lon), np.cos(lon), np.sin(lat), np.cos(lat)
    east = (-sin_lon, cos_lon, np.zeros_like(sin_lon))
    north = (-sin_lat * cos_lon, -sin_lat * sin_lon, cos_lat)
    return east, north, (cos_lat * cos_lon, cos_lat * sin_lon, sin_lat)


def _dot(vector: _Vector, axis: np.ndarray) -> np.ndarray:
    product: np.ndarray = vector[0] * axis[0] + vector[1] * axis[1] + vector[2] * axis[2]
    return product
