"""Surface motion of simple buried sources in an elastic half-space."""

import numpy as np

__all__ = ["interseismic_velocity", "mogi"]


def interseismic_velocity(distance: np.ndarray, slip_rate: float, locking_depth: float) -> np.ndarray:
    """
    Model the fault-parallel velocity around a locked vertical strike-slip fault.

    Parameters
    ----------
    distance : np.ndarray
        Distance from the fault trace in m, any shape; negative on the other side.
    slip_rate : float
        Slip rate below the locking depth in m/yr. Where it is positive, the side of positive distance moves forward.
    locking_depth : float
        Depth above which the fault is locked, in m, positive.

    Returns
    -------
    np.ndarray
        Velocity along the fault in m/yr, shape of `distance`, odd in it; half of `slip_rate` far away.

    Notes
    -----
    ``v = s / pi * arctan(d / D)``, a screw dislocation below depth ``D`` [1]_.

    References
    ----------
    .. [1] J. C. Savage and R. O. Burford, 1973, Geodetic determination of relative plate motion in central
       California, J. Geophys. Res. 78, 832-845, DOI 10.1029/JB078i005p00832.

    Examples
    --------
    >>> v = interseismic_velocity(np.array([-12e3, 0.0, 12e3]), slip_rate=0.024, locking_depth=12e3)
    >>> (v * 1000).round(3).tolist()
    [-6.0, 0.0, 6.0]
    """
    return slip_rate / np.pi * np.arctan(np.asarray(distance) / locking_depth)


def mogi(
    x: np.ndarray, y: np.ndarray, depth: float, volume_rate: float, nu: float = 0.25
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """
    Model the surface velocity above a small spherical source that gains volume.

    Parameters
    ----------
    x, y : np.ndarray
        East and north distance from the point above the source in m; shapes broadcast.
    depth : float
        Depth of the source in m, positive.
    volume_rate : float
        Volume change in m^3/yr; positive inflates (up and outward).
    nu : float
        Poisson's ratio.

    Returns
    -------
    east, north, up : np.ndarray
        Velocity in m/yr.

    Notes
    -----
    ``u = (1 - nu) / pi * dV * (x, y, d) / (x^2 + y^2 + d^2)^(3/2)`` [1]_.

    References
    ----------
    .. [1] K. Mogi, 1958, Relations between the eruptions of various volcanoes and the deformations of the ground
       surfaces around them, Bull. Earthq. Res. Inst. Univ. Tokyo 36, 99-134.

    Examples
    --------
    >>> east, north, up = mogi(np.array(0.0), np.array(0.0), depth=6e3, volume_rate=4.5e6)
    >>> float(east), float(north), round(float(up) * 1000, 1)
    (0.0, 0.0, 29.8)
    """
    scale = (1 - nu) / np.pi * volume_rate / (np.square(x) + np.square(y) + depth**2) ** 1.5
    return scale * x, scale * y, scale * depth
