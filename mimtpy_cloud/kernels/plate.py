"""Motion of tectonic plates: rotation vectors, and the velocity that they give a point on the ellipsoid.

A plate turns about an axis through the centre of the Earth; ``v = omega x r`` at the geocentric position ``r`` of a
point on the ellipsoid WGS84. East and north of it do not depend on the radius of a sphere, nor is the motion quite
horizontal: the ellipsoid moves up and down by as much as 0.1 mm/yr.
"""

from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike

from mimtpy_cloud.errors import SchemaError

__all__ = [
    "MAS",
    "PLATES",
    "Plate",
    "plate_name",
    "plate_velocity",
    "project_plate_velocity",
    "rotation_of",
    "rotation_vector",
]

#: Semi-major axis in m, and square of the first eccentricity, of WGS84.
_A, _E2 = 6378137.0, 0.00669437999014
#: One milliarcsecond, and one degree a million years, in radians (a year).
MAS, _DEG_MYR = np.deg2rad(1e-3 / 3600), np.deg2rad(1e-6)


class Plate(NamedTuple):
    """Code of a plate, and its rotation vector along geocentric x, y, z in milliarcseconds a year."""

    code: str
    x: float
    y: float
    z: float


#: Plate motion model of ITRF2014: Altamimi, Z., Metivier, L., Rebischung, P., Rouby, H. and Collilieux, X. (2017),
#: Geophysical Journal International, 209, 1906-1912, doi:10.1093/gji/ggx136, Table 1. In mas/yr, as published.
PLATES: dict[str, Plate] = {
    "Antarctica": Plate("ANTA", -0.248, -0.324, 0.675),
    "Arabia": Plate("ARAB", 1.154, -0.136, 1.444),
    "Australia": Plate("AUST", 1.510, 1.182, 1.215),
    "Eurasia": Plate("EURA", -0.085, -0.531, 0.770),
    "India": Plate("INDI", 1.154, -0.005, 1.454),
    "Nazca": Plate("NAZC", -0.333, -1.544, 1.623),
    "North America": Plate("NOAM", 0.024, -0.694, -0.063),
    "Nubia": Plate("NUBI", 0.099, -0.614, 0.733),
    "Pacific": Plate("PCFC", -0.409, 1.047, -2.169),
    "South America": Plate("SOAM", -0.270, -0.301, -0.140),
    "Somalia": Plate("SOMA", -0.121, -0.794, 0.884),
}


def rotation_vector(lat: float, lon: float, rate: float) -> np.ndarray:
    """
    Turn an Euler pole into a rotation vector.

    Parameters
    ----------
    lat, lon : float
        Where the axis leaves the Earth, geocentric, in degrees.
    rate : float
        Degrees a million years, anticlockwise as seen from outside above the pole.

    Returns
    -------
    np.ndarray
        Along geocentric x, y, z in radians a year, shape ``(3,)``.

    Examples
    --------
    >>> rotation_vector(90.0, 0.0, 1.0).round(12).tolist()
    [0.0, 0.0, 1.7453e-08]
    """
    phi, lam = np.deg2rad(lat), np.deg2rad(lon)
    axis = np.array([np.cos(phi) * np.cos(lam), np.cos(phi) * np.sin(lam), np.sin(phi)])
    return np.asarray(_DEG_MYR * rate * axis)


def plate_name(plate: str) -> str:
    """
    Find the full name of a plate.

    Parameters
    ----------
    plate : str
        Name or code in any case, such as ``"Eurasia"`` or ``"EURA"``.

    Returns
    -------
    str
        Key of `PLATES`.

    Raises
    ------
    SchemaError
        If there is no such plate; the message lists those that there are.

    Examples
    --------
    >>> plate_name("noam"), plate_name("north_america")
    ('North America', 'North America')
    """
    wanted = plate.strip().lower().replace("_", " ")
    for name, (code, *_) in PLATES.items():
        if wanted in (name.lower(), code.lower()):
            return name
    names = ", ".join(PLATES)
    raise SchemaError(f"unknown plate {plate!r}; choose {names}, or give a pole: latitude, longitude, degrees a Myr")


def rotation_of(plate: str) -> np.ndarray:
    """
    Look up the rotation vector of a plate in the ITRF2014 plate motion model.

    Parameters
    ----------
    plate : str
        Name or code in any case, such as ``"Eurasia"`` or ``"EURA"``.

    Returns
    -------
    np.ndarray
        Along geocentric x, y, z in radians a year, shape ``(3,)``.

    Raises
    ------
    SchemaError
        If there is no such plate; the message lists those that there are.

    References
    ----------
    .. [1] Altamimi, Z. et al. (2017), ITRF2014 plate motion model, Geophysical Journal International, 209, 1906-1912,
       doi:10.1093/gji/ggx136, Table 1. Its rate of the origin is not part of a plate's rotation, and left out.

    Examples
    --------
    >>> (rotation_of("eurasia") / np.deg2rad(1e-3 / 3600)).round(6).tolist()
    [-0.085, -0.531, 0.77]
    """
    return np.asarray(MAS * np.array(PLATES[plate_name(plate)][1:]))


def plate_velocity(lat: ArrayLike, lon: ArrayLike, rotation: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """
    Find the velocity of points on a rotating plate.

    Parameters
    ----------
    lat, lon : array_like
        Geodetic latitude and longitude in degrees; shapes that broadcast.
    rotation : np.ndarray
        Rotation vector in radians a year, shape ``(3,)``.

    Returns
    -------
    east, north, up : np.ndarray
        In m/yr, float64; north and up of the shape of both, east too.

    See Also
    --------
    project_plate_velocity : Along the line of sight.

    Notes
    -----
    With ``r = (p cos(lon), p sin(lon), z)`` on the ellipsoid, the components of ``omega x r`` are products of a
    function of latitude and one of longitude::

        east  = p omega_z - z (omega_x cos(lon) + omega_y sin(lon))
        north = (p cos(lat) + z sin(lat)) (omega_x sin(lon) - omega_y cos(lon))
        up    = (p sin(lat) - z cos(lat)) (omega_x sin(lon) - omega_y cos(lon))

    so that a grid needs sines and cosines of its rows and columns only. Heights of a few km change it by 1e-3.

    Examples
    --------
    Potsdam, on Eurasia, moves some 25 mm/yr to the north-east:

    >>> east, north, up = plate_velocity(52.38, 13.07, rotation_of("Eurasia"))
    >>> [round(1e3 * float(v), 1) for v in (east, north, up)]
    [19.5, 15.4, 0.0]
    """
    phi, lam = (np.deg2rad(np.asarray(v, np.float64)) for v in (lat, lon))
    n = _A / np.sqrt(1 - _E2 * np.sin(phi) ** 2)
    p, z = n * np.cos(phi), n * (1 - _E2) * np.sin(phi)
    x, y, w = rotation
    along, across = x * np.cos(lam) + y * np.sin(lam), x * np.sin(lam) - y * np.cos(lam)
    east = p * w - z * along
    north = (p * np.cos(phi) + z * np.sin(phi)) * across
    up = (p * np.sin(phi) - z * np.cos(phi)) * across
    return east, north, up


def project_plate_velocity(
    los_east: np.ndarray,
    los_north: np.ndarray,
    los_up: np.ndarray,
    lat: ArrayLike,
    lon: ArrayLike,
    rotation: np.ndarray,
) -> np.ndarray:
    """
    Project the velocity of a plate into the line of sight.

    Parameters
    ----------
    los_east, los_north, los_up : np.ndarray
        Unit vector from ground to satellite.
    lat, lon : array_like
        Geodetic latitude and longitude in degrees; shapes that broadcast to that of the look vector.
    rotation : np.ndarray
        Rotation vector in radians a year, shape ``(3,)``.

    Returns
    -------
    np.ndarray
        In m/yr, positive toward the satellite, in the dtype of the look vector. NaN where that is.

    References
    ----------
    .. [1] Stephenson, O. L., Liu, Y.-K., Yunjun, Z., Simons, M., Rosen, P. and Xu, X. (2022), The impact of plate
       motions on long-wavelength InSAR-derived velocity fields, Geophysical Research Letters, 49, e2022GL099003,
       doi:10.1029/2022GL099003.

    Examples
    --------
    A satellite in the west sees motion to the east as going away:

    >>> west = np.array([-0.6]), np.array([0.0]), np.array([0.8])
    >>> project_plate_velocity(*west, 52.38, 13.07, rotation_of("EURA")).round(4).tolist()
    [-0.0117]
    """
    dtype = np.result_type(los_east, np.float32)
    east, north, up = (part.astype(dtype, copy=False) for part in plate_velocity(lat, lon, rotation))
    return np.asarray(los_east * east + los_north * north + los_up * up)
