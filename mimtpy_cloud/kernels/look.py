"""Look angles and unit vectors: the one place where conventions of angles are decoded and encoded.

A look vector points from the ground to the satellite, so that a displacement toward the satellite is positive.
The azimuth of the line of sight is MintPy's: degrees from north, anticlockwise, ground to satellite. Heading is
the flight direction in degrees from north, clockwise.
"""

from typing import Any

import numpy as np
from numpy.typing import ArrayLike

__all__ = [
    "azimuth_from_heading",
    "incidence_and_azimuth",
    "kite_angles",
    "los_from_kite",
    "los_unit_vector",
    "mean_azimuth",
    "project_enu",
    "project_enu_std",
]


def los_unit_vector(
    incidence_angle: ArrayLike, los_azimuth_angle: ArrayLike
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """
    Turn look angles into the unit vector from ground to satellite.

    Parameters
    ----------
    incidence_angle : array_like
        Degrees from the vertical at the ground (MintPy's ``incidenceAngle``).
    los_azimuth_angle : array_like
        Degrees from north, anticlockwise, ground to satellite (MintPy's ``azimuthAngle``); same shape.

    Returns
    -------
    east, north, up : np.ndarray
        Components, NaN where an angle is NaN; float32 if both angles are, else float64.

    See Also
    --------
    incidence_and_azimuth : The inverse.

    Notes
    -----
    With incidence i and azimuth a: ``east = -sin(i) sin(a), north = sin(i) cos(a), up = cos(i)``.

    Examples
    --------
    An ascending, right-looking satellite is seen in the west:

    >>> east, north, up = los_unit_vector(39.0, 102.0)
    >>> float(east.round(6)), float(north.round(6)), float(up.round(6))
    (-0.615568, -0.130843, 0.777146)
    """
    incidence, azimuth = np.asarray(incidence_angle), np.asarray(los_azimuth_angle)
    dtype = np.result_type(incidence.dtype, azimuth.dtype, np.float32)
    incidence, azimuth = np.deg2rad(incidence, dtype=dtype), np.deg2rad(azimuth, dtype=dtype)
    horizontal, up = np.sin(incidence), np.cos(incidence)
    east, north = -horizontal * np.sin(azimuth), horizontal * np.cos(azimuth)
    return np.asarray(east), np.asarray(north), np.broadcast_to(up + 0.0 * azimuth, np.shape(east))


def incidence_and_azimuth(east: ArrayLike, north: ArrayLike, up: ArrayLike) -> tuple[np.ndarray, np.ndarray]:
    """
    Turn the vector from ground to satellite into look angles.

    Parameters
    ----------
    east, north, up : array_like
        Components; the length does not matter.

    Returns
    -------
    incidence_angle : np.ndarray
        Degrees from the vertical, 0 to 180, float64.
    los_azimuth_angle : np.ndarray
        Degrees from north, anticlockwise, ground to satellite, -180 to 180. Zero if the look is vertical.

    See Also
    --------
    los_unit_vector : The inverse.

    Examples
    --------
    >>> incidence, azimuth = incidence_and_azimuth(-0.615568230598, -0.130843066569, 0.777145961457)
    >>> float(incidence.round(6)), float(azimuth.round(6))
    (39.0, 102.0)
    """
    e, n, u = (np.asarray(v, np.float64) for v in (east, north, up))
    return np.rad2deg(np.arctan2(np.hypot(e, n), u)), np.rad2deg(np.arctan2(-e, n))


def kite_angles(east: ArrayLike, north: ArrayLike, up: ArrayLike) -> tuple[np.ndarray, np.ndarray]:
    """
    Turn the vector from ground to satellite into the two angles of a Kite scene.

    Parameters
    ----------
    east, north, up : array_like
        Components; the length does not matter.

    Returns
    -------
    theta : np.ndarray
        Elevation of the satellite above the horizon in radians, float64.
    phi : np.ndarray
        Direction to the satellite in radians, anticlockwise from east, float64.

    See Also
    --------
    los_from_kite : The inverse.

    Notes
    -----
    With incidence i and azimuth a: ``theta = 90 - i, phi = 90 + a``, in degrees.

    Examples
    --------
    >>> theta, phi = kite_angles(*los_unit_vector(39.0, -102.0))
    >>> float(np.rad2deg(theta).round(6)), float(np.rad2deg(phi).round(6))
    (51.0, -12.0)
    """
    e, n, u = (np.asarray(v, np.float64) for v in (east, north, up))
    return np.asarray(np.arctan2(u, np.hypot(e, n))), np.asarray(np.arctan2(n, e))


def los_from_kite(theta: ArrayLike, phi: ArrayLike) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """
    Turn the two angles of a Kite scene into the unit vector from ground to satellite.

    Parameters
    ----------
    theta : array_like
        Elevation of the satellite above the horizon in radians.
    phi : array_like
        Direction to the satellite in radians, anticlockwise from east; same shape.

    Returns
    -------
    east, north, up : np.ndarray
        Components, float64, NaN where an angle is NaN.

    See Also
    --------
    kite_angles : The inverse.

    Examples
    --------
    >>> [float(v.round(6)) for v in los_from_kite(np.deg2rad(51.0), np.deg2rad(-12.0))]
    [0.615568, -0.130843, 0.777146]
    """
    elevation, direction = np.asarray(theta, np.float64), np.asarray(phi, np.float64)
    horizontal = np.cos(elevation)
    return horizontal * np.cos(direction), horizontal * np.sin(direction), np.sin(elevation) + 0.0 * direction


def azimuth_from_heading(heading: ArrayLike, look_side: str = "right") -> np.ndarray:
    """
    Find the azimuth of the line of sight from the flight direction.

    Parameters
    ----------
    heading : array_like
        Flight direction in degrees from north, clockwise; any branch.
    look_side : {"right", "left"}
        Side of the track that the antenna looks to.

    Returns
    -------
    np.ndarray
        Degrees from north, anticlockwise, ground to satellite, in (-180, 180].

    Raises
    ------
    ValueError
        If the side is neither.

    Notes
    -----
    The satellite is seen at right angles to its track, zero-Doppler processing assumed; the angles stored with
    the data are better. The function is its own inverse: it turns an azimuth into the heading as well.

    Examples
    --------
    >>> azimuth_from_heading([-12.0, 348.0, -168.0, 192.0]).tolist()
    [102.0, 102.0, -102.0, -102.0]
    """
    return _wrap(_side(look_side) * 90.0 - np.asarray(heading, np.float64))


def mean_azimuth(angle: ArrayLike) -> float:
    """
    Average directions, azimuths or headings, as unit vectors.

    Parameters
    ----------
    angle : array_like
        Degrees, in either sense; NaN is ignored.

    Returns
    -------
    float
        Degrees in (-180, 180]; NaN without data.

    Examples
    --------
    >>> round(mean_azimuth([179.0, -179.0]), 6)
    180.0
    """
    radians = np.deg2rad(np.asarray(angle, np.float64))
    radians = radians[np.isfinite(radians)]
    if radians.size == 0:
        return float("nan")
    return float(_wrap(np.rad2deg(np.arctan2(np.sin(radians).sum(), np.cos(radians).sum()))))


def project_enu(east: Any, north: Any, up: Any, look: tuple[Any, Any, Any]) -> Any:
    """
    Project a displacement or velocity onto the line of sight.

    Parameters
    ----------
    east, north, up : array_like
        Components of the motion, in one unit.
    look : tuple of array_like
        East, north and up of the unit vector from ground to satellite; shapes that broadcast.

    Returns
    -------
    array_like
        Motion along the line of sight in the unit of the input, positive toward the satellite.

    Examples
    --------
    Uplift shortens the range, so it is positive:

    >>> float(project_enu(0.0, 0.0, 0.01, los_unit_vector(39.0, 102.0)).round(6))
    0.007771
    """
    return east * look[0] + north * look[1] + up * look[2]


def project_enu_std(east: Any, north: Any, up: Any, look: tuple[Any, Any, Any]) -> Any:
    """
    Propagate standard deviations onto the line of sight.

    Parameters
    ----------
    east, north, up : array_like
        Standard deviations of the components, in one unit; the components count as uncorrelated.
    look : tuple of array_like
        East, north and up of the unit vector from ground to satellite; shapes that broadcast.

    Returns
    -------
    array_like
        Standard deviation of the motion along the line of sight, in the unit of the input.

    See Also
    --------
    project_enu : The motion itself.

    Examples
    --------
    >>> float(project_enu_std(0.003, 0.0, 0.004, (-0.6, 0.0, 0.8)).round(6))
    0.003672
    """
    return np.sqrt((east * look[0]) ** 2 + (north * look[1]) ** 2 + (up * look[2]) ** 2)


def _wrap(degrees: np.ndarray) -> np.ndarray:
    """Bring angles into (-180, 180]."""
    return 180.0 - np.mod(180.0 - degrees, 360.0)


def _side(look_side: str) -> float:
    """Sign of the antenna side; right is positive."""
    if look_side not in ("right", "left"):
        raise ValueError(f"look side must be 'right' or 'left', got {look_side!r}")
    return 1.0 if look_side == "right" else -1.0
