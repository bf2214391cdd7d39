"""Models of motion over sources in an elastic half-space, at places and along their look."""

import math
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np

from mimtpy_cloud.errors import SchemaError
from mimtpy_cloud.kernels.dislocation import interseismic_velocity, mogi, shallow_creep
from mimtpy_cloud.kernels.greatcircle import distance_to_great_circle
from mimtpy_cloud.kernels.look import project_enu
from mimtpy_cloud.kernels.okada import okada
from mimtpy_cloud.kernels.trace import distance_to_trace
from mimtpy_cloud.ops.model import Model
from mimtpy_cloud.plan.places import Places
from mimtpy_cloud.plan.plane import EARTH_RADIUS_KM

__all__ = [
    "MODELS",
    "TraceScrew",
    "creep_model",
    "fault_distance",
    "mogi_model",
    "okada_model",
    "screw_model",
]


def mogi_model(places: Places, *, lon: float, lat: float, depth: float, volume: float, nu: float = 0.25) -> np.ndarray:
    """
    Model the motion over a small sphere that gains volume.

    Parameters
    ----------
    places : Places
        Where, with looks.
    lon, lat : float
        Position of the sphere in degrees.
    depth : float
        Its depth in m, positive.
    volume : float
        Volume that it gains, in m^3, or m^3/yr; positive inflates.
    nu : float
        Poisson's ratio.

    Returns
    -------
    np.ndarray
        Motion along the look in m, or m/yr, shape ``(point,)``.

    Raises
    ------
    SchemaError
        If the places have no look, or the depth is not positive.

    See Also
    --------
    mimtpy_cloud.kernels.dislocation.mogi : The equation.

    Examples
    --------
    >>> places = Places(np.array([30.0]), np.array([40.0]), tuple(np.array([[0.0], [0.0], [1.0]])))
    >>> mogi_model(places, lon=30.0, lat=40.0, depth=6e3, volume=4.5e6).round(4).tolist()
    [0.0298]
    """
    _require_positive(depth=depth)
    return np.asarray(project_enu(*mogi(*places.metres_from(lon, lat), depth, volume, nu), _look(places)))


def okada_model(
    places: Places,
    *,
    lon: float,
    lat: float,
    depth: float,
    length: float,
    width: float,
    strike: float,
    dip: float,
    rake: float,
    slip: float,
    opening: float = 0.0,
    nu: float = 0.25,
) -> np.ndarray:
    """
    Model the motion over a rectangular fault that slips or opens.

    Parameters
    ----------
    places : Places
        Where, with looks.
    lon, lat, depth : float
        Middle of the upper edge, in degrees and m.
    length, width : float
        Size along strike and down dip in m.
    strike : float
        Degrees clockwise from north; the fault dips to the right of it.
    dip : float
        Degrees from the horizontal.
    rake : float
        Degrees; 0 is left-lateral, 180 right-lateral, 90 thrust, -90 normal.
    slip : float
        Slip in m, or m/yr.
    opening : float
        How far the walls part, in the unit of `slip`.
    nu : float
        Poisson's ratio.

    Returns
    -------
    np.ndarray
        Motion along the look in the unit of `slip`, shape ``(point,)``.

    Raises
    ------
    SchemaError
        If the places have no look, or the fault is impossible.

    See Also
    --------
    mimtpy_cloud.kernels.okada.okada : The equations.
    mimtpy_cloud.kernels.dislocation.lower_edge : The other edge of such a fault.

    Examples
    --------
    A thrust lifts the ground above it:

    >>> places = Places(np.array([30.1]), np.array([40.0]), tuple(np.array([[0.0], [0.0], [1.0]])))
    >>> fault = dict(lon=30.0, lat=40.0, depth=1e3, length=40e3, width=20e3, strike=0.0, dip=30.0)
    >>> okada_model(places, **fault, rake=90.0, slip=1.0).round(2).tolist()
    [0.31]
    """
    moved = okada(
        *places.metres_from(lon, lat),
        depth=depth,
        length=length,
        width=width,
        strike=strike,
        dip=dip,
        rake=rake,
        slip=slip,
        opening=opening,
        nu=nu,
    )
    return np.asarray(project_enu(*moved, _look(places)))


def screw_model(
    places: Places, *, lon: float, lat: float, strike: float, slip_rate: float, locking_depth: float
) -> np.ndarray:
    """
    Model the velocity around an endless vertical fault that is locked down to a depth.

    Parameters
    ----------
    places : Places
        Where, with looks.
    lon, lat : float
        A point of the trace in degrees.
    strike : float
        Degrees clockwise from north.
    slip_rate : float
        Slip rate below the locking depth in m/yr; right-lateral is positive.
    locking_depth : float
        In m, positive.

    Returns
    -------
    np.ndarray
        Velocity along the look in m/yr, shape ``(point,)``.

    Raises
    ------
    SchemaError
        If the places have no look, or the locking depth is not positive.

    See Also
    --------
    mimtpy_cloud.kernels.dislocation.interseismic_velocity : The equation.
    TraceScrew : The same along a bent trace.

    Notes
    -----
    A fault that is straight on the ground is the great circle through its point with its strike there. Places lie as
    far from it as the arc to it is long, and move along the small circle through them, as two plates do that turn about
    its pole. So neither distance nor direction depends on the point of the fault that is given, and a mapped trace that
    follows the great circle gives the same.

    Examples
    --------
    A right-lateral fault that strikes north, seen in its north component: the east side moves south.

    >>> north = tuple(np.array([[0.0, 0.0], [1.0, 1.0], [0.0, 0.0]]))
    >>> places = Places(np.array([29.9, 30.1]), np.array([0.0, 0.0]), north)
    >>> velocity = screw_model(places, lon=30.0, lat=0.0, strike=0.0, slip_rate=0.02, locking_depth=11120.0)
    >>> (velocity * 1e3).round(2).tolist()
    [5.0, -5.0]
    """
    _require_positive(locking_depth=locking_depth)
    left, east, north = _beside(places, lon, lat, strike)
    return _seen(interseismic_velocity(left, slip_rate, locking_depth), east, north, places)


def creep_model(
    places: Places,
    *,
    lon: float,
    lat: float,
    strike: float,
    slip_rate: float,
    locking_depth: float,
    creep_rate: float,
    creep_depth: float,
) -> np.ndarray:
    """
    Model the velocity around an endless vertical fault that creeps near the surface and slips below a locked part.

    Parameters
    ----------
    places : Places
        Where, with looks.
    lon, lat : float
        A point of the trace in degrees.
    strike : float
        Degrees clockwise from north.
    slip_rate : float
        Slip rate below the locking depth in m/yr; right-lateral is positive.
    locking_depth : float
        In m, positive.
    creep_rate : float
        Slip rate from the surface to the creep depth in m/yr; right-lateral is positive.
    creep_depth : float
        In m, positive.

    Returns
    -------
    np.ndarray
        Velocity along the look in m/yr, shape ``(point,)``.

    Raises
    ------
    SchemaError
        If the places have no look, or a depth is not positive.

    See Also
    --------
    mimtpy_cloud.kernels.dislocation.shallow_creep : The equation.
    screw_model : Without creep, and where a straight fault lies.

    Examples
    --------
    >>> north = tuple(np.array([[0.0, 0.0], [1.0, 1.0], [0.0, 0.0]]))
    >>> places = Places(np.array([29.99999, 30.00001]), np.array([0.0, 0.0]), north)
    >>> fault = dict(lon=30.0, lat=0.0, strike=0.0, slip_rate=0.02, locking_depth=11e3)
    >>> (creep_model(places, **fault, creep_rate=0.006, creep_depth=3e3) * 1e3).round(2).tolist()
    [3.0, -3.0]
    """
    _require_positive(locking_depth=locking_depth, creep_depth=creep_depth)
    left, east, north = _beside(places, lon, lat, strike)
    velocity = interseismic_velocity(left, slip_rate, locking_depth) + shallow_creep(left, creep_rate, creep_depth)
    return _seen(velocity, east, north, places)


#: The built-in models by the names that commands know.
MODELS: dict[str, Model] = {
    "mogi": mogi_model,
    "okada": okada_model,
    "screw": screw_model,
    "creep": creep_model,
}


def fault_distance(places: Places, trace: Any) -> tuple[np.ndarray, np.ndarray]:
    """
    Measure how far places lie from a fault trace, and how it strikes there.

    Parameters
    ----------
    places : Places
        Where.
    trace : array_like
        Longitudes and latitudes of the corners of the trace in degrees, shape ``(corner, 2)``.

    Returns
    -------
    distance : np.ndarray
        Metres, shape ``(point,)``, positive to the left of the trace as it runs.
    strike : np.ndarray
        Degrees clockwise from north at the nearest point of the trace, shape ``(point,)``.

    Raises
    ------
    SchemaError
        If the trace has fewer than two different points.

    See Also
    --------
    mimtpy_cloud.kernels.trace.distance_to_trace : The geometry.

    Examples
    --------
    >>> places = Places(np.array([30.5]), np.array([40.1]))
    >>> distance, strike = fault_distance(places, [(30.0, 40.0), (31.0, 40.0)])
    >>> distance.round().tolist(), strike.round().tolist()
    ([11120.0], [90.0])
    """
    corners = _corners(trace)
    middle = (corners[0, 0] + corners[-1, 0]) / 2
    lon = places.lon - 360.0 * np.round((places.lon - middle) / 360.0)
    return distance_to_trace(lon, places.lat, corners, EARTH_RADIUS_KM * 1e3)


@dataclass(frozen=True)
class TraceScrew:
    """
    Model of a vertical fault with a real, bent trace, locked down to a depth.

    Parameters
    ----------
    trace : tuple of tuple of float
        Longitudes and latitudes of the corners of the trace in degrees; any array of shape ``(corner, 2)`` will do.

    Raises
    ------
    SchemaError
        If the trace has fewer than two different points.

    See Also
    --------
    screw_model : A straight trace.

    Notes
    -----
    Each place moves as beside an endless straight fault with the distance and the strike of the nearest point of the
    trace. That holds for bends that are gentle over the locking depth, and not near the ends of a fault. Distances are
    kept for the last two sets of places, as a search asks for one set again and again.

    Examples
    --------
    >>> model = TraceScrew(((30.0, 40.0), (31.0, 40.0)))
    >>> north = Places(np.array([30.5]), np.array([44.0]), tuple(np.array([[1.0], [0.0], [0.0]])))
    >>> (model(north, slip_rate=0.02, locking_depth=10e3) * 1e3).round(1).tolist()  # the north side moves east
    [9.9]
    """

    trace: tuple[tuple[float, float], ...]

    def __post_init__(self) -> None:
        """Take any array."""
        object.__setattr__(self, "trace", tuple(map(tuple, _corners(self.trace).tolist())))

    def __call__(self, places: Places, *, slip_rate: float, locking_depth: float) -> np.ndarray:
        """
        Evaluate the model.

        Parameters
        ----------
        places : Places
            Where, with looks.
        slip_rate : float
            Slip rate below the locking depth in m/yr; right-lateral is positive.
        locking_depth : float
            In m, positive.

        Returns
        -------
        np.ndarray
            Velocity along the look in m/yr, shape ``(point,)``.

        Raises
        ------
        SchemaError
            If the places have no look, or the locking depth is not positive.
        """
        _require_positive(locking_depth=locking_depth)
        lon, lat = (np.asarray(degrees, np.float64).tobytes() for degrees in (places.lon, places.lat))
        left, east, north = _kept_distance(lon, lat, self.trace)
        return _seen(interseismic_velocity(left, slip_rate, locking_depth), east, north, places)


def _look(places: Places) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    if places.look is None:
        raise SchemaError(
            "the observations have no look vectors (los_east, los_north, los_up); take the .zarr of a product, add "
            "columns to a table, or give one look (--look)"
        )
    return places.look


def _require_positive(**depths: float) -> None:
    """Refuse depths that are not positive."""
    for name, value in depths.items():
        if not (math.isfinite(value) and value > 0):
            raise SchemaError(f"{name} of a source must be positive and finite, in m, got {value}")


def _beside(places: Places, lon: float, lat: float, strike: float) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Distance to the left of a straight fault through a point, m, and the unit vector along it, east and north."""
    return distance_to_great_circle(places.lon, places.lat, (lon, lat, strike), EARTH_RADIUS_KM * 1e3)


@lru_cache(maxsize=2)
def _kept_distance(
    lon: bytes, lat: bytes, trace: tuple[tuple[float, float], ...]
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Distance to the left of a trace, m, and the unit vector along it, of places as bytes."""
    distance, strike = fault_distance(Places(np.frombuffer(lon), np.frombuffer(lat)), trace)
    angle = np.radians(strike)
    return distance, np.sin(angle), np.cos(angle)


def _seen(velocity: np.ndarray, east: np.ndarray, north: np.ndarray, places: Places) -> np.ndarray:
    """Motion along a fault, seen along the look."""
    return np.asarray(project_enu(velocity * east, velocity * north, 0.0, _look(places)))


def _corners(trace: Any) -> np.ndarray:
    """Corners of a trace without repeated points, longitudes without jumps."""
    try:
        corners = np.asarray(trace, np.float64)
    except (ValueError, TypeError):
        corners = np.empty(0)
    good = corners.ndim == 2 and corners.shape[1:] == (2,) and bool(np.isfinite(corners).all())
    if good and len(corners):
        corners = np.column_stack([np.unwrap(corners[:, 0], period=360), corners[:, 1]])
        corners = corners[np.append(True, np.any(np.diff(corners, axis=0) != 0, axis=1))]
    if not good or len(corners) < 2:
        raise SchemaError(
            f"a fault trace needs two or more different points of (longitude, latitude), got {trace!r:.100}"
        )
    return corners
