"""Polyconic plane of the ellipsoid: true distances near a meridian, whatever the latitude."""

import numpy as np

__all__ = ["polyconic_km"]

#: WGS84: semi-major axis in km, and the square of the eccentricity.
_A, _E2 = 6378.137, 0.006694379990141317
#: Latitudes nearer to the equator than this, in radians, have the limit of the formula.
_EQUATOR = 1e-9


def polyconic_km(
    lon: np.ndarray, lat: np.ndarray, origin: tuple[float, float] | None = None
) -> tuple[np.ndarray, np.ndarray]:
    """
    Project points onto the American polyconic plane.

    Parameters
    ----------
    lon, lat : np.ndarray
        Degrees, of shapes that broadcast.
    origin : tuple of float, optional
        Longitude and latitude where both coordinates are zero; by default halfway between the extremes.

    Returns
    -------
    x_km, y_km : np.ndarray
        km east and north, float64.

    See Also
    --------
    mimtpy_cloud.plan.plane.plane_km : The plain plane of ramps, whose scale is that of the middle latitude.

    Notes
    -----
    Equations 18-12 to 18-14 and 3-21 of [1]_ on WGS84. The scale is true along the middle meridian and along every
    parallel; distances of points within 200 km of the meridian are right to 5e-4.

    References
    ----------
    .. [1] Snyder, J. P. (1987), Map Projections: A Working Manual, U.S. Geological Survey Professional Paper 1395,
       doi:10.3133/pp1395.

    Examples
    --------
    >>> x, y = polyconic_km(np.array([101.0, 100.0]), np.array([41.0, 40.5]), (100.5, 40.5))
    >>> x.round(6).tolist(), y.round(6).tolist()
    ([42.067363, -42.383655], [55.644962, 0.120105])
    """
    lon, lat = np.asarray(lon, np.float64), np.asarray(lat, np.float64)
    origin = _middle(lon, lat) if origin is None else origin
    turned = (lon - origin[0] + 180.0) % 360.0 - 180.0
    phi = np.radians(lat)
    near = np.abs(phi) < _EQUATOR
    safe = np.where(near, 1.0, phi)
    angle, sine = np.radians(turned) * np.sin(safe), np.sin(safe)
    cone = _A / np.sqrt(1 - _E2 * sine**2) / np.tan(safe)
    north = _meridian(phi) - _meridian(np.radians(origin[1]))
    x = np.where(near, _A * np.radians(turned), cone * np.sin(angle))
    y = north + np.where(near, 0.0, cone * (1 - np.cos(angle)))
    return x, y


def _middle(lon: np.ndarray, lat: np.ndarray) -> tuple[float, float]:
    if not (lon.size and lat.size):
        return 0.0, 0.0
    turned = (lon - lon.flat[0] + 180.0) % 360.0 - 180.0  # from the first, on one side of the antimeridian
    return float(lon.flat[0] + (turned.min() + turned.max()) / 2), float((lat.min() + lat.max()) / 2)


def _meridian(phi: np.ndarray | float) -> np.ndarray:
    """Length of the meridian from the equator, km."""
    e2, e4, e6 = _E2, _E2**2, _E2**3
    length = (1 - e2 / 4 - 3 * e4 / 64 - 5 * e6 / 256) * np.asarray(phi)
    length -= (3 * e2 / 8 + 3 * e4 / 32 + 45 * e6 / 1024) * np.sin(2 * np.asarray(phi))
    length += (15 * e4 / 256 + 45 * e6 / 1024) * np.sin(4 * np.asarray(phi))
    length -= 35 * e6 / 3072 * np.sin(6 * np.asarray(phi))
    return np.asarray(_A * length)
