"""Surface motion of simple buried sources in an elastic half-space."""

import numpy as np

__all__ = ["interseismic_velocity", "lower_edge", "mogi", "shallow_creep"]


def interseismic_velocity(distance: np.ndarray, slip_rate: float, locking_depth: float | np.ndarray) -> np.ndarray:
    """
    Model the fault-parallel velocity around a locked vertical strike-slip fault.

    Parameters
    ----------
    distance : np.ndarray
        Distance from the fault trace in m, any shape; negative on the other side.
    slip_rate : float
        Slip rate below the locking depth in m/yr. Where it is positive, the side of positive distance moves forward.
    locking_depth : float or np.ndarray
        Depth above which the fault is locked, in m, positive; its shape broadcasts with `distance`.

    Returns
    -------
    np.ndarray
        Velocity along the fault in m/yr, shape of `distance`, odd in it; half of `slip_rate` far away.

    See Also
    --------
    shallow_creep : The part above the locking depth that creeps; the motions add up.
    mimtpy_cloud.kernels.okada.okada : A fault of limited size.

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


def shallow_creep(distance: np.ndarray, creep_rate: float, creep_depth: float | np.ndarray) -> np.ndarray:
    """
    Model the fault-parallel velocity around a vertical strike-slip fault that creeps near the surface.

    Parameters
    ----------
    distance : np.ndarray
        Distance from the fault trace in m, any shape; negative on the other side.
    creep_rate : float
        Slip rate from the surface to `creep_depth` in m/yr. Where it is positive, the side of positive distance moves
        forward.
    creep_depth : float or np.ndarray
        Depth down to which the fault creeps, in m, positive; its shape broadcasts with `distance`.

    Returns
    -------
    np.ndarray
        Velocity along the fault in m/yr, shape of `distance`, odd in it: half of `creep_rate` beside the trace, zero
        on it and far away.

    See Also
    --------
    interseismic_velocity : The slip below the locking depth, to which this is added.

    Notes
    -----
    ``v = s (sign(x) / 2 - arctan(x / d) / pi)``: slip at all depths less that below depth ``d`` [1]_.

    References
    ----------
    .. [1] J. C. Savage and M. Lisowski, 1993, Inferred depth of creep on the Hayward fault, central California,
       J. Geophys. Res. 98, 787-793, DOI 10.1029/92JB01871.

    Examples
    --------
    >>> v = shallow_creep(np.array([-3e3, -1.0, 0.0, 1.0, 3e3]), creep_rate=0.008, creep_depth=3e3)
    >>> (v * 1000).round(2).tolist()
    [-2.0, -4.0, 0.0, 4.0, 2.0]
    """
    distance = np.asarray(distance)
    out: np.ndarray = creep_rate * (np.sign(distance) / 2 - np.arctan(distance / creep_depth) / np.pi)
    return out


def lower_edge(
    x: float, y: float, depth: float, *, strike: float, dip: float, width: float
) -> tuple[float, float, float]:
    """
    Find the middle of the lower edge of a rectangular fault.

    Parameters
    ----------
    x, y : float
        Position of the middle of the upper edge, east and north, in any unit of length.
    depth : float
        Its depth, in the same unit.
    strike : float
        Degrees clockwise from north; the fault dips to the right of it.
    dip : float
        Degrees from the horizontal.
    width : float
        Size of the fault down dip, in the same unit.

    Returns
    -------
    x, y, depth : float
        Of the middle of the lower edge.

    See Also
    --------
    mimtpy_cloud.kernels.okada.okada : The motion that such a fault makes.

    Notes
    -----
    The lower edge lies ``width cos(dip)`` to the right of the strike and ``width sin(dip)`` deeper.

    Examples
    --------
    A fault that strikes north dips to the east:

    >>> [round(v, 6) for v in lower_edge(0.0, 0.0, 1.0, strike=0.0, dip=60.0, width=10.0)]
    [5.0, 0.0, 9.660254]
    """
    toward, down = np.radians(strike), np.radians(dip)
    out = width * np.cos(down)
    return float(x + out * np.cos(toward)), float(y - out * np.sin(toward)), float(depth + width * np.sin(down))


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
        Volume change in m^3/yr; positive inflates (up and outward). A volume in m^3 gives the displacement in m.
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
