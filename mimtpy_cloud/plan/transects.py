"""Where profiles across a fault run: a clean trace, evenly spaced swaths, and a plane of true distances for each."""

import math
from collections.abc import Sequence
from itertools import pairwise
from typing import Any, NamedTuple

import numpy as np

from mimtpy_cloud.errors import GridMismatchError, SchemaError
from mimtpy_cloud.plan.profile import distance_along

__all__ = [
    "Swath",
    "clean_pair",
    "clean_trace",
    "dense_line",
    "distance_edges",
    "lay_swaths",
    "line_swath",
    "may_cross",
    "places_in_swath",
    "plane_of_swath",
    "steps_along",
    "swath_outline",
]

#: Ends of two lines that are nearer than this belong to one trace.
_GAP_KM = 5.0
#: Longest side of an outline, and of a piece of a fault, that may count as straight in longitude and latitude.
_STRAIGHT_KM = 5.0
#: Least and greatest radius of curvature of the ellipsoid, km.
_RADII = (6335.4, 6399.6)
#: Part of the spacing that the ends of a piece must at least be apart, to have a direction.
_LEAST_CHORD = 0.01


class Swath(NamedTuple):
    """
    Rectangle on the ground across a fault.

    Attributes
    ----------
    lon, lat : float
        Middle of the piece of the trace, degrees; zero of the distance.
    strike : float
        Direction of the trace there, degrees clockwise from north, 0 to 360.
    along_km : float
        Way along the trace to the middle.
    side : float
        1 if distances to the right of the trace are positive, -1 if those to the left are.
    """

    lon: float
    lat: float
    strike: float
    along_km: float
    side: float = 1.0


def _geod() -> Any:
    from pyproj import Geod

    return Geod(ellps="WGS84")


def clean_trace(trace: Any) -> np.ndarray:
    """
    Make one line of a fault trace, whatever its pieces and their directions.

    Parameters
    ----------
    trace : array-like or sequence of them
        Longitudes and latitudes in degrees, shape ``(n, 2)``; or several such lines, in any order and direction, that
        continue one another with gaps of at most 5 km.

    Returns
    -------
    np.ndarray
        Float64, shape ``(m, 2)``, m >= 2, without repeated vertices and jumps of 360 degrees; it runs as the first
        line does.

    Raises
    ------
    SchemaError
        If there are no two different vertices, a coordinate is no longitude or latitude, or the lines have larger gaps.

    Examples
    --------
    >>> clean_trace([[(30, 40), (31, 40), (31, 40)], [(32, 41), (31, 40)]]).tolist()
    [[30.0, 40.0], [31.0, 40.0], [32.0, 41.0]]
    """
    lines = [_vertices(line) for line in _lines(trace)]
    chain, rest = lines[0], lines[1:]
    while rest:
        ways = [_join(chain, line) for line in rest]
        k = int(np.argmin([gap for gap, _ in ways]))
        gap, joined = ways[k]
        if gap > _GAP_KM:
            raise SchemaError(
                f"a trace is one line; the {len(lines)} lines given have a gap of {gap:.4g} km, more than "
                f"{_GAP_KM:g} km; give one fault at a time"
            )
        chain = joined
        rest.pop(k)
    turned = np.column_stack([np.unwrap(chain[:, 0], period=360), chain[:, 1]])
    moved = np.concatenate([[True], (np.diff(turned, axis=0) != 0).any(axis=1)])
    if moved.sum() < 2:
        raise SchemaError(f"a trace needs two different vertices, got {turned[0, 0]:g}, {turned[0, 1]:g} alone")
    return np.asarray(turned[moved])


def _lines(trace: Any) -> list[Any]:
    """The lines of a trace; an array, and a sequence of positions, is one."""
    if isinstance(trace, np.ndarray) and trace.ndim == 2:
        return [trace]
    parts = list(trace)
    if not parts:
        raise SchemaError("a trace needs two different vertices, got none")
    return [parts] if np.ndim(parts[0]) == 1 else parts


def _vertices(line: Any) -> np.ndarray:
    vertices = np.asarray(line, np.float64)
    shaped = vertices.ndim == 2 and vertices.shape[0] > 0 and vertices.shape[1] == 2
    if not shaped or not (np.isfinite(vertices).all() and (np.abs(vertices) <= (360, 90)).all()):
        got = f"shape {vertices.shape}" if not shaped else f"{vertices[~_possible(vertices)][0].tolist()}"
        raise SchemaError(f"a trace has longitudes and latitudes in degrees, shape (n, 2), got {got}")
    return vertices


def _possible(vertices: np.ndarray) -> np.ndarray:
    return np.asarray(np.isfinite(vertices).all(axis=1) & (np.abs(vertices) <= (360, 90)).all(axis=1))


def _join(chain: np.ndarray, line: np.ndarray) -> tuple[float, np.ndarray]:
    """Smallest gap between the ends of two lines in km, and the line that both make in the direction of the first."""
    back = line[::-1]
    ways = [(chain, line), (chain, back), (line, chain), (back, chain)]
    gaps = [float(distance_along(*np.stack([a[-1], b[0]]).T)[-1]) for a, b in ways]
    k = int(np.argmin(gaps))
    return gaps[k], np.concatenate(ways[k])


def steps_along(
    lengths_km: np.ndarray, spacing_km: float, start_km: float = 0.0
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """
    Find places on a line that are evenly spaced by the way along it.

    Parameters
    ----------
    lengths_km : np.ndarray
        Way from the first vertex to each, increasing, shape ``(vertex,)``.
    spacing_km : float
        Way between neighbouring places.
    start_km : float
        Way to the first place.

    Returns
    -------
    at_km : np.ndarray
        Way to each place, up to the end of the line.
    piece : np.ndarray
        Number of the vertex that begins the piece which holds the place.
    within_km : np.ndarray
        Way from that vertex.

    Examples
    --------
    >>> at, piece, within = steps_along(np.array([0.0, 50.0, 70.0]), 20.0)
    >>> at.tolist(), piece.tolist(), within.tolist()
    ([0.0, 20.0, 40.0, 60.0], [0, 0, 0, 1], [0.0, 20.0, 40.0, 10.0])
    """
    lengths = np.asarray(lengths_km, np.float64)
    count = math.floor((lengths[-1] - start_km) / spacing_km + 1e-9) + 1
    at = np.minimum(start_km + spacing_km * np.arange(count), lengths[-1])
    piece = np.clip(np.searchsorted(lengths, at, side="right") - 1, 0, lengths.size - 2)
    return at, piece, at - lengths[piece]


def lay_swaths(trace: np.ndarray, spacing_km: float, *, flip: bool = False) -> list[Swath]:
    """
    Divide a trace into pieces of one length, and lay a swath across the middle of each.

    Parameters
    ----------
    trace : np.ndarray
        From `clean_trace`; geodesics between its vertices.
    spacing_km : float
        Length of a piece along the trace. What remains is left over at both ends alike; a shorter trace is one piece.
    flip : bool
        Whether distances to the left of the trace are positive.

    Returns
    -------
    list of Swath
        In the order of the trace. The strike is the direction from one end of the piece to the other, at its middle;
        the trace in the other direction gives the same swaths.

    Raises
    ------
    GridMismatchError
        If the spacing is not positive, or a piece comes back to where it began.

    Examples
    --------
    >>> north = np.array([[30.0, 40.0], [30.0, 40.5]])
    >>> [(round(s.along_km, 2), round(s.lat, 3), round(s.strike)) for s in lay_swaths(north, 20.0)]
    [(17.76, 40.16, 0), (37.76, 40.34, 0)]
    """
    if not 0 < spacing_km < math.inf:
        raise GridMismatchError(f"the spacing of profiles must be positive, got {spacing_km:g} km")
    lengths = distance_along(*trace.T)
    spacing = min(float(spacing_km), float(lengths[-1]))
    count = math.floor(lengths[-1] / spacing + 1e-9)
    start = (float(lengths[-1]) - count * spacing) / 2
    lon, lat, at = _resample(trace, lengths, spacing / 2, start)
    swaths = []
    for k in range(1, 2 * count, 2):
        azimuth, _, chord = _geod().inv(lon[k - 1], lat[k - 1], lon[k + 1], lat[k + 1])
        if chord < _LEAST_CHORD * spacing * 1e3:
            raise GridMismatchError(
                f"the trace comes back to {lon[k - 1]:.6g}, {lat[k - 1]:.6g} within {spacing:g} km and has no "
                "direction there; lessen the spacing, or give a simpler line"
            )
        _, _, back = _geod().fwd(lon[k - 1], lat[k - 1], azimuth, chord / 2)
        swaths.append(Swath(lon[k], lat[k], (back + 180.0) % 360.0, float(at[k]), -1.0 if flip else 1.0))
    return swaths


def _resample(
    trace: np.ndarray, lengths: np.ndarray, spacing: float, start: float
) -> tuple[list[float], list[float], np.ndarray]:
    """Longitudes, latitudes and ways of evenly spaced places on the geodesics between vertices."""
    at, piece, within = steps_along(lengths, spacing, start)
    first, last = trace[piece], trace[piece + 1]
    azimuth, _, _ = _geod().inv(*first.T, *last.T)
    lon, lat, _ = _geod().fwd(*first.T, azimuth, within * 1e3)
    lon = lon - 360.0 * np.round((lon - first[:, 0]) / 360.0)
    return lon.tolist(), lat.tolist(), at


def line_swath(start: tuple[float, float], end: tuple[float, float]) -> tuple[Swath, float]:
    """
    Lay a swath along a line between two points.

    Parameters
    ----------
    start, end : tuple of float
        Longitude and latitude in degrees.

    Returns
    -------
    swath : Swath
        In the middle; its distance grows from the start to the end.
    length_km : float
        From one point to the other, on the ellipsoid.

    Raises
    ------
    GridMismatchError
        If both points are one.

    Examples
    --------
    >>> swath, length = line_swath((30.0, 40.0), (30.0, 41.0))
    >>> round(swath.lat, 3), round(swath.strike), round(length, 2)
    (40.5, 270, 111.04)
    """
    ends = clean_pair(start, end)
    azimuth, _, length = _geod().inv(*ends[0], *ends[1])
    lon, lat, back = _geod().fwd(*ends[0], azimuth, length / 2)
    lon -= 360.0 * round((lon - ends[0][0]) / 360.0)
    return Swath(lon, lat, (back + 90.0) % 360.0, 0.0), length / 1e3


def clean_pair(start: tuple[float, float], end: tuple[float, float]) -> np.ndarray:
    """
    Check the ends of a line.

    Parameters
    ----------
    start, end : tuple of float
        Longitude and latitude in degrees.

    Returns
    -------
    np.ndarray
        Both, shape ``(2, 2)``.

    Raises
    ------
    SchemaError
        If they are no positions, or one.
    """
    return clean_trace(np.array([start, end], np.float64))


def distance_edges(length_km: tuple[float, float], step_km: float, *, flip: bool = False) -> np.ndarray:
    """
    Divide the length of a profile into bins, one edge of which lies on the fault.

    Parameters
    ----------
    length_km : tuple of float
        To the left of the trace and to the right of it, as it runs.
    step_km : float
        Width of a bin; what remains at the ends is left over.
    flip : bool
        Whether distances to the left are positive.

    Returns
    -------
    np.ndarray
        Edges in km, increasing.

    Raises
    ------
    GridMismatchError
        If the step is not positive, or no bin fits.

    Examples
    --------
    >>> distance_edges((2.5, 1.0), 1.0).tolist(), distance_edges((2.5, 1.0), 1.0, flip=True).tolist()
    ([-2.0, -1.0, 0.0, 1.0], [-1.0, 0.0, 1.0, 2.0])
    """
    left, right = map(float, length_km)
    if not (0 < step_km < math.inf and min(left, right) >= 0 and step_km <= max(left, right) < math.inf):
        raise GridMismatchError(
            f"a profile needs a positive step and lengths of at least one step, got step {step_km:g} km and lengths "
            f"{left:g} and {right:g} km left and right of the fault"
        )
    before, after = (math.floor(side / step_km + 1e-9) for side in ((right, left) if flip else (left, right)))
    return np.arange(-before, after + 1) * float(step_km)


def plane_of_swath(lon: np.ndarray, lat: np.ndarray, swath: Swath) -> tuple[np.ndarray, np.ndarray]:
    """
    Measure how far east and north of the middle of a swath places lie.

    Parameters
    ----------
    lon, lat : np.ndarray
        Degrees, shape ``(point,)``.
    swath : Swath
        Its middle is the origin.

    Returns
    -------
    east, north : np.ndarray
        km, float64.

    See Also
    --------
    places_in_swath : The way back.

    Notes
    -----
    Azimuthal equidistant on the WGS84 ellipsoid: distance and direction from the middle are those of the geodesic [1]_,
    so that distances along the profile through the middle are exact.

    References
    ----------
    .. [1] Karney, C. F. F. (2013), Algorithms for geodesics, Journal of Geodesy 87, 43-55,
       doi:10.1007/s00190-012-0578-z.

    Examples
    --------
    >>> east, north = plane_of_swath(np.array([31.0]), np.array([40.0]), Swath(30.0, 40.0, 0.0, 0.0))
    >>> float(east[0].round(3)), float(north[0].round(3))
    (85.392, 0.479)
    """
    lon, lat = np.asarray(lon, np.float64), np.asarray(lat, np.float64)
    azimuth, _, metres = _geod().inv(np.full(lon.size, swath.lon), np.full(lat.size, swath.lat), lon, lat)
    angle = np.radians(azimuth)
    return metres * np.sin(angle) / 1e3, metres * np.cos(angle) / 1e3


def places_in_swath(distance: np.ndarray, offset: np.ndarray, swath: Swath) -> tuple[np.ndarray, np.ndarray]:
    """
    Find longitudes and latitudes of places given across and along a fault.

    Parameters
    ----------
    distance, offset : np.ndarray
        km from the middle of the swath, across the fault and along it, shape ``(point,)``.
    swath : Swath
        Their frame.

    Returns
    -------
    lon, lat : np.ndarray
        Degrees; longitudes without a jump to that of the middle.
    """
    across, along = np.asarray(distance, np.float64) * swath.side, np.asarray(offset, np.float64)
    azimuth = swath.strike + np.degrees(np.arctan2(across, along))
    origin = (np.full(across.size, v) for v in (swath.lon, swath.lat))
    lon, lat, _ = _geod().fwd(*origin, azimuth, np.hypot(across, along) * 1e3)
    return lon - 360.0 * np.round((lon - swath.lon) / 360.0), np.asarray(lat)


def swath_outline(swath: Swath, low: float, high: float, width_km: float) -> np.ndarray:
    """
    Draw the rectangle of a swath.

    Parameters
    ----------
    swath : Swath
        Where.
    low, high : float
        First and last distance across the fault, km.
    width_km : float
        Width along the fault.

    Returns
    -------
    np.ndarray
        Longitudes and latitudes, shape ``(n, 2)``, closed, with vertices so near that sides are straight.
    """
    half = width_km / 2
    corners = [(low, -half), (high, -half), (high, half), (low, half), (low, -half)]
    parts = [np.array([corners[0]])]
    for one, other in pairwise(corners):
        count = max(1, math.ceil(math.dist(one, other) / _STRAIGHT_KM))
        parts.append(np.linspace(one, other, count + 1)[1:])
    distance, offset = np.concatenate(parts).T
    return np.column_stack(places_in_swath(distance, offset, swath))


def dense_line(line: Sequence[Any] | np.ndarray) -> np.ndarray:
    """
    Add vertices to a line, so that its pieces are straight on any map.

    Parameters
    ----------
    line : array-like
        Longitudes and latitudes in degrees, shape ``(n, 2)``.

    Returns
    -------
    np.ndarray
        All vertices, and points of the geodesics between them at most 5 km apart.

    Raises
    ------
    SchemaError
        As for `clean_trace`.
    """
    trace = clean_trace(line)
    pieces = []
    for first, last in pairwise(trace):
        lengths = distance_along(*np.stack([first, last]).T)
        count = max(1, math.ceil(lengths[-1] / _STRAIGHT_KM))
        lon, lat, _ = _resample(np.stack([first, last]), lengths, float(lengths[-1]) / count, 0.0)
        pieces.append(np.column_stack([lon[:count], lat[:count]]))
    return np.concatenate([*pieces, trace[-1:]])


def may_cross(line: np.ndarray, swaths: Sequence[Swath], reach_km: float) -> np.ndarray:
    """
    Tell which profiles a line may come near to, without geodesics: most lines of a large table are far from all.

    Parameters
    ----------
    line : np.ndarray
        Longitudes and latitudes in degrees, shape ``(n, 2)``; geodesics between its vertices.
    swaths : sequence of Swath
        Whose middles count.
    reach_km : float
        Distance that is near.

    Returns
    -------
    np.ndarray
        Truth, shape ``(swath,)``; False only where every point of the line is farther.

    Notes
    -----
    A point of a geodesic is at most half its length from one of its ends. Angles between places become distances by the
    least and the greatest radius of curvature of the ellipsoid.

    Examples
    --------
    >>> swaths = [Swath(30.0, 40.0, 90.0, 0.0), Swath(33.0, 40.0, 90.0, 256.0)]
    >>> may_cross(np.array([[30.1, 41.0], [30.1, 40.5]]), swaths, 50.0).tolist()
    [True, False]
    """
    vertices, middles = _unit_vectors(line), _unit_vectors(np.array([(s.lon, s.lat) for s in swaths]))
    least, greatest = _RADII
    half = greatest / 2 * _angles(np.linalg.norm(np.diff(vertices, axis=0), axis=1)).max(initial=0.0)
    apart = least * _angles(np.linalg.norm(vertices[:, None] - middles, axis=2)).min(axis=0)
    return np.asarray(apart <= reach_km + half)


def _unit_vectors(places: np.ndarray) -> np.ndarray:
    lon, lat = np.radians(places).T
    return np.stack([np.cos(lat) * np.cos(lon), np.cos(lat) * np.sin(lon), np.sin(lat)], axis=-1)


def _angles(chords: np.ndarray) -> np.ndarray:
    return np.asarray(2 * np.arcsin(np.minimum(chords / 2, 1.0)))
