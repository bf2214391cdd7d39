"""What is known of a component of motion between GNSS stations."""

import math
from typing import Any

import dask.array as da
import numpy as np
import xarray as xr
from dask.base import tokenize

from mimtpy_cloud.errors import ReferencePointError, SchemaError
from mimtpy_cloud.kernels.krige import fit_sill, krige
from mimtpy_cloud.ops.overlay import lazy_array
from mimtpy_cloud.ops.pixels import map_projection
from mimtpy_cloud.plan.plane import plane_km
from mimtpy_cloud.schema import SPATIAL_REF, require_variables

__all__ = ["interpolate_stations"]

#: Rows and columns of a block of the field.
_SIDE = 625
#: Nodes that are estimated in one range, between which the field is linear; and most of them in one direction.
_NODES_PER_RANGE, _MOST_NODES = 20, 400
_KM_PER_DEGREE = 111.195
#: Stations further from the grid than so many ranges tell nothing of it.
_RANGES = 5


def interpolate_stations(
    stations: xr.Dataset,
    like: xr.Dataset,
    component: str = "north",
    *,
    range_km: float = 100.0,
    sill: float | None = None,
    zero: tuple[float, float] | None = None,
) -> xr.Dataset:
    """
    Interpolate a component of the velocities of stations onto the grid of a dataset.

    Parameters
    ----------
    stations : xr.Dataset
        As `mimtpy_cloud.io.gnss.read_stations` gives it; those without the component or its standard deviation are
        left out.
    like : xr.Dataset
        Dataset on a grid of longitude and latitude, such as a track.
    component : {"north", "east", "up"}
        Which.
    range_km : float
        Distance in km over which stations lose most of what they say of each other.
    sill : float, optional
        Variance of the field, (m/yr)^2. By default from the differences of stations nearer than the range.
    zero : tuple of float, optional
        Longitude and latitude of a place to which all is relative, as tracks are to their reference point.

    Returns
    -------
    xr.Dataset
        Lazy, on the grid of `like`: the component and its standard deviation, such as `north` and `north_std`, in m/yr,
        float32. The standard deviation grows from that of a station to that of the field far away. Attributes
        `reference_frame` or, with `zero`, `reference_point`, `range_km`, `sill`, and `stations`, the number used.

    Raises
    ------
    SchemaError
        If a variable is missing, the component is unknown, one station has to tell how the field varies, or the grid is
        not in longitude and latitude.
    ReferencePointError
        If no station near the grid has the component.

    See Also
    --------
    mimtpy_cloud.kernels.krige.krige : The equations.
    mimtpy_cloud.ops.enu.invert_enu : Takes it as `north`.

    Notes
    -----
    Ordinary kriging with an exponential covariance, at nodes a twentieth of the range apart and linear between them.
    The covariance is a model: choose `range_km` by how far the stations agree. Stations within five ranges of the grid
    are used.
    """
    if component not in ("east", "north", "up"):
        raise SchemaError(f"component must be east, north or up, got {component!r}")
    require_variables("the stations", stations.variables, component, f"{component}_std", "lon", "lat")
    require_variables("the dataset", like.indexes, "x", "y")
    if map_projection(like) is not None:
        raise SchemaError("stations are interpolated on a grid of longitude and latitude; ingest onto the lattice")
    if not (range_km > 0 and (sill is None or sill > 0)):
        raise SchemaError(f"range_km and sill must be positive, got {range_km} and {sill}")
    names = (component, f"{component}_std", "lon", "lat")
    values, sigma, lon, lat = (stations[name].to_numpy().astype(float) for name in names)
    known = np.isfinite(values) & np.isfinite(sigma) & np.isfinite(lon) & np.isfinite(lat)
    if not known.any():
        raise ReferencePointError(f"none of {known.size} stations has {component} and {component}_std")
    x, y = like.indexes["x"].to_numpy(), like.indexes["y"].to_numpy()
    known &= _near(lon, lat, x, y, _RANGES * range_km)
    if not known.any():
        raise ReferencePointError(f"none of {known.size} stations lies within {_RANGES * range_km:g} km of the grid")
    if sill is None and known.sum() < 2:
        raise SchemaError(f"one station cannot tell how {component} varies; give sill, its variance in (m/yr)^2")
    values, sigma, lon, lat = values[known], sigma[known], lon[known], lat[known]
    if sill is None:
        sill = fit_sill(_places(lon, lat, (float(x.mean()), float(y.mean()))), values, sigma, float(range_km))
    nodes_x = _nodes(x, range_km / (_KM_PER_DEGREE * max(0.05, math.cos(math.radians(float(y.mean()))))))
    nodes_y = _nodes(y, range_km / _KM_PER_DEGREE)
    job = (lon, lat, values, sigma, nodes_x, nodes_y, float(range_km), float(sill), zero)
    field = _field(x, y, nodes_x, nodes_y, job)
    long_name = f"{component} velocity of stations, interpolated"
    data: dict[str, Any] = {
        component: (("y", "x"), field[0], {"units": "m/yr", "long_name": long_name}),
    }
    spread = {"units": "m/yr", "long_name": f"standard deviation of the {long_name}"}
    data[f"{component}_std"] = (("y", "x"), field[1], spread)
    coords = {name: like.coords[name] for name in ("y", "x", SPATIAL_REF) if name in like.coords}
    attrs: dict[str, Any] = {"range_km": float(range_km), "sill": sill, "stations": int(known.sum())}
    if zero is None:
        attrs["reference_frame"] = str(stations.attrs.get("frame", ""))
    else:
        attrs["reference_point"] = list(zero)
    if "pixels_per_degree" in like.attrs:
        attrs["pixels_per_degree"] = like.attrs["pixels_per_degree"]
    return xr.Dataset(data, coords, attrs)


def _near(lon: np.ndarray, lat: np.ndarray, x: np.ndarray, y: np.ndarray, reach_km: float) -> np.ndarray:
    """Whether stations lie within a distance of the box of a grid."""
    middle = (float(x.min() + x.max()) / 2, float(y.min() + y.max()) / 2)
    east, north = np.abs(_places(lon, lat, middle)).T
    half_x, half_y = plane_km(x, y, middle)
    near: np.ndarray = (east <= np.abs(half_x).max() + reach_km) & (north <= np.abs(half_y).max() + reach_km)
    return near


def _nodes(centres: np.ndarray, reach: float) -> np.ndarray:
    """Ascending coordinates, from the first to the last centre, close enough for a field of that range in degrees."""
    low, high = float(centres.min()), float(centres.max())
    count = math.ceil((high - low) / reach * _NODES_PER_RANGE) + 1
    return np.linspace(low, high, min(max(count, 2), _MOST_NODES))


def _field(x: np.ndarray, y: np.ndarray, nodes_x: np.ndarray, nodes_y: np.ndarray, job: tuple) -> da.Array:
    """Estimate and standard deviation, shape (2, y, x): one task estimates the nodes, one a block is linear between."""
    name = "stations-" + tokenize(x, y, job)
    down, across = (_pieces(values.size) for values in (y, x))
    graph: dict[tuple, tuple] = {(f"{name}-nodes", 0): (_estimate, job)}
    for i, rows in enumerate(down):
        for j, cols in enumerate(across):
            graph[(name, 0, i, j)] = (_linear, (f"{name}-nodes", 0), nodes_x, nodes_y, x[cols], y[rows])
    chunks = ((2,), *(tuple(p.stop - p.start for p in pieces) for pieces in (down, across)))
    return lazy_array(name, graph, chunks, np.float32, [])


def _pieces(size: int) -> list[slice]:
    return [slice(start, min(start + _SIDE, size)) for start in range(0, size, _SIDE)]


def _estimate(job: tuple) -> np.ndarray:
    lon, lat, values, sigma, nodes_x, nodes_y, range_km, sill, zero = job
    origin = (float(nodes_x.mean()), float(nodes_y.mean()))
    places = _places(lon, lat, origin)
    east, north = plane_km(nodes_x, nodes_y, origin)
    wanted = np.stack([a.ravel() for a in np.meshgrid(east, north)], axis=1)
    still = None if zero is None else _places(np.array(zero[:1]), np.array(zero[1:]), origin)[0]
    found = krige(places, values, sigma, wanted, range_km=range_km, sill=sill, zero=still)
    return np.stack(found).reshape(2, nodes_y.size, nodes_x.size)


def _places(lon: np.ndarray, lat: np.ndarray, origin: tuple[float, float]) -> np.ndarray:
    """Kilometres east and north of an origin, on its side of the globe."""
    turned = origin[0] + (lon - origin[0] + 180.0) % 360.0 - 180.0
    return np.stack(plane_km(turned, lat, origin), axis=1)


def _linear(nodes: np.ndarray, nodes_x: np.ndarray, nodes_y: np.ndarray, x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """Bilinear interpolation at the centres of a block."""
    column, u = _between(nodes_x, x)
    row, v = _between(nodes_y, y)
    v = v[:, np.newaxis]
    left = nodes[:, :, column] * (1 - u) + nodes[:, :, column + 1] * u
    out: np.ndarray = (left[:, row] * (1 - v) + left[:, row + 1] * v).astype(np.float32)
    return out


def _between(nodes: np.ndarray, at: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Node before each place, and the part of the way to the next."""
    step = nodes[1] - nodes[0] if nodes[-1] > nodes[0] else 1.0
    place = (at - nodes[0]) / step
    before = np.clip(np.floor(place).astype(int), 0, nodes.size - 2)
    return before, place - before
