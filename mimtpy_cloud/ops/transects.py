"""Profiles across a fault, averaged over swaths, and single profiles between two points."""

import math
from collections.abc import Iterable, Sequence
from typing import Any

import dask.array as da
import numpy as np
import xarray as xr

from mimtpy_cloud.errors import GridMismatchError, SchemaError
from mimtpy_cloud.ops.profile import sample_profile
from mimtpy_cloud.ops.swaths import Layout, Recipe, Swaths
from mimtpy_cloud.ops.transectsites import crossings_of_swaths, stations_in_swaths
from mimtpy_cloud.plan.transects import (
    clean_trace,
    distance_edges,
    lay_swaths,
    line_swath,
    places_in_swath,
)
from mimtpy_cloud.schema import LOS, require_dims, require_variables

__all__ = ["DERIVED", "profile_across_fault", "profile_between"]

#: Quantities that the strike of a swath makes of east and north.
DERIVED = ("fault_parallel", "fault_normal")
#: Maps that nobody wants a profile of, unless named.
_NOT_BY_DEFAULT = frozenset((*LOS, "slant_range", "intercept", "correlation", "gain", "east_leak", "up_leak"))
#: Maps that come before others.
_FIRST = ("velocity", "displacement", "east", "up", "north", "horizontal")
#: Smallest sine of the strike with which east alone tells the motion along a fault: 30 degrees from north.
_LEAST_SINE = 0.5
_WORDS = {
    "fault_parallel": "velocity along the fault, positive in the direction of strike",
    "fault_normal": "velocity across the fault, positive 90 degrees clockwise of strike",
}


def profile_across_fault(
    ds: xr.Dataset,
    trace: Any,
    *,
    length_km: tuple[float, float] = (50.0, 50.0),
    spacing_km: float = 20.0,
    width_km: float = 10.0,
    step_km: float = 1.0,
    bins: Sequence[float] | np.ndarray | None = None,
    names: Sequence[str] | None = None,
    quantiles: Sequence[float] = (0.16, 0.84),
    flip: bool = False,
    stations: xr.Dataset | None = None,
    faults: Iterable[Any] | None = None,
    correlation_km: float | None = None,
) -> xr.Dataset:
    """
    Average maps along profiles perpendicular to a fault.

    Parameters
    ----------
    ds : xr.Dataset
        Product with coordinates `y` and `x` in degrees of latitude and longitude.
    trace : array-like or sequence of them
        Longitudes and latitudes of the fault in degrees, shape ``(n, 2)``, or several such lines that continue one
        another. Its direction says what is left and right.
    length_km : tuple of float
        Length of a profile to the left of the trace as it runs, and to the right.
    spacing_km : float
        Distance of profiles along the trace.
    width_km : float
        Width of the swath of each profile, along the fault.
    step_km : float
        Width of a bin; an edge of bins lies on the fault.
    bins : sequence of float, optional
        Edges of the bins in km instead of `length_km` and `step_km`, increasing and positive to the right.
    names : sequence of str, optional
        Maps, and ``"fault_parallel"`` and ``"fault_normal"``. By default all maps of decimal numbers but look vectors,
        slant range, intercept and diagnostics of a decomposition, and those two where the maps give them.
    quantiles : sequence of float
        From 0 to 1.
    flip : bool
        Whether distances to the left are positive instead; the strike stays that of the trace.
    stations : xr.Dataset, optional
        As `mimtpy_cloud.io.gnss.read_stations` gives it. Stations and product are of one frame if `set_reference` has
        put the product into it.
    faults : iterable of array-like, optional
        Other faults, whose crossings are told.
    correlation_km : float, optional
        Distance over which the correlation of pixels falls to 1/e, for `NAME_effective_count`.

    Returns
    -------
    xr.Dataset
        Dimensions ``profile``, in the order of the trace and numbered from 0, ``distance`` and ``quantile``.
        Coordinates: `distance_km`, middles of the bins, zero on the fault and positive to the right of the trace, 90
        degrees clockwise of strike; `along_km`, way along the trace; `strike`, degrees clockwise from north;
        `fault_lon` and `fault_lat`, where the profile crosses the trace; `lon` and `lat` of every sample.
        Lazy, float64, in the unit of the map, NaN in a bin without pixels: `NAME` (mean), `NAME_median`, `NAME_std`
        (divided by n), `NAME_mad`, `NAME_quantile`; `NAME_count` and `NAME_effective_count`. A map ``X_std`` of formal
        standard deviations is called `X_sigma` here.
        `station_...` and `crossing_...` as `mimtpy_cloud.ops.transectsites` describes them.

    Raises
    ------
    SchemaError
        If the trace is no line, a variable is missing or no map, a quantile or the correlation is impossible, or the
        fault runs too near to north for its motion to be told from east alone.
    GridMismatchError
        If lengths, steps or bins are impossible, the grid is not in degrees, or no swath meets it.

    See Also
    --------
    profile_between : One profile between two points.
    mimtpy_cloud.exports.transects.write_transects : Tables of it.
    mimtpy_cloud.ops.select.mask_invalid : Blanks unusable pixels first.

    Notes
    -----
    The trace is divided evenly by the way along it, what remains is left over at both ends; a swath is a rectangle on
    the ground, centred on the middle of a piece and perpendicular to the line between its ends. Pixels are placed in
    it by geodesics from its middle (azimuthal equidistant, WGS84): ``across = E cos(s) - N sin(s)``,
    ``along = E sin(s) + N cos(s)``. The reversed trace gives the mirrored profiles in reversed order.

    ``fault_parallel = east sin(s) + north cos(s)``, ``fault_normal = east cos(s) - north sin(s)``. From east without
    north, motion across the fault is taken as zero: ``fault_parallel = east / sin(s)``, for strikes of at least 30
    degrees from north only.

    The effective count is ``n^2 / sum_ij exp(-d_ij / correlation_km)``. Only blocks that a swath touches are read, and
    each gives its pixels at once: memory is that of the blocks at work, and 20 bytes for every pixel of the swaths.

    Examples
    --------
    A fault at 40 N that runs east; south of it, to the right, all moves east:

    >>> x, y = np.arange(30, 31, 0.02), np.arange(40.5, 39.5, -0.02)
    >>> east = np.where(y < 40, 0.02, 0.0)[:, None] + 0 * x
    >>> ds = xr.Dataset({"east": (("y", "x"), east, {"units": "m/yr"})}, {"y": y, "x": x})
    >>> found = profile_across_fault(ds, [(30.2, 40.0), (30.8, 40.0)], length_km=(20, 20), step_km=10)
    >>> found["distance_km"].values.tolist(), found["fault_parallel"].round(4).values.tolist()
    ([-15.0, -5.0, 5.0, 15.0], [[0.0, 0.0, 0.02, 0.02], [0.0, 0.0, 0.02, 0.02]])
    """
    line = clean_trace(trace)
    if not 0 < width_km < math.inf:
        raise GridMismatchError(f"the width of a swath must be positive, got {width_km:g} km")
    edges = distance_edges(length_km, step_km, flip=flip) if bins is None else _edges(bins, flip)
    swaths = tuple(lay_swaths(line, spacing_km, flip=flip))
    layout = Layout(swaths, edges, float(width_km), *_statistics(quantiles, correlation_km))
    right, left = float(edges[-1]), -float(edges[0])
    told = {
        "length_km": [right, left] if flip else [left, right],
        "spacing_km": float(spacing_km),
        "width_km": float(width_km),
        "flip": bool(flip),
    }
    told |= {"step_km": float(step_km)} if bins is None else {"bins_km": edges.tolist()}
    told |= {} if correlation_km is None else {"correlation_km": float(correlation_km)}
    profiles = _summaries(ds, names, layout).assign_coords(_coordinates(layout))
    if stations is not None:
        profiles = profiles.assign(stations_in_swaths(ds, stations, layout).data_vars)
        told["stations_frame"] = str(stations.attrs.get("frame", ""))
    if faults is not None:
        profiles = profiles.assign(crossings_of_swaths(list(faults), layout).data_vars)
    return profiles.assign_attrs(ds.attrs | told)


def profile_between(
    ds: xr.Dataset,
    start: tuple[float, float],
    end: tuple[float, float],
    *,
    step_km: float,
    width_km: float | None = None,
    names: Sequence[str] | None = None,
) -> xr.Dataset:
    """
    Sample maps along the geodesic between two points, or average them over a swath along it.

    Parameters
    ----------
    ds : xr.Dataset
        Product with coordinates `y` and `x` in degrees of latitude and longitude.
    start, end : tuple of float
        Longitude and latitude in degrees.
    step_km : float
        Distance of samples, or length of a bin; what remains at the end is left over.
    width_km : float, optional
        Width of the swath; by default the maps are interpolated on the line itself.
    names : sequence of str, optional
        Maps; by default as for `profile_across_fault`, without those two.

    Returns
    -------
    xr.Dataset
        Lazy, on dimension ``point``, with coordinates `lon`, `lat` and `distance_km` from the start. Without width as
        `sample_profile` gives it; with width the statistics of `profile_across_fault`, `distance_km` being the middles
        of the bins.

    Raises
    ------
    SchemaError
        If a variable is missing or no map, or both points are one.
    GridMismatchError
        If the step is not positive or longer than the line, the width is not positive, or the line lies outside.

    See Also
    --------
    profile_across_fault : Many profiles, perpendicular to a line.

    Examples
    --------
    >>> x, y = np.arange(30, 31, 0.02), np.arange(40.5, 39.5, -0.02)
    >>> ds = xr.Dataset({"up": (("y", "x"), x + 0 * y[:, None], {"units": "m/yr"})}, {"y": y, "x": x})
    >>> found = profile_between(ds, (30.2, 40.0), (30.8, 40.0), step_km=20.0)
    >>> found["distance_km"].values.tolist(), found["up"].round(3).values.tolist()
    ([0.0, 20.0, 40.0], [30.2, 30.434, 30.668])
    """
    swath, length = line_swath(start, end)
    if not 0 < step_km <= length:
        raise GridMismatchError(
            f"the step must be positive and at most {length:.4g} km of the line, got {step_km:g} km"
        )
    told = {"start": [float(v) for v in start], "end": [float(v) for v in end], "step_km": float(step_km)}
    steps = np.arange(math.floor(length / step_km + 1e-9) + 1) * float(step_km)
    chosen = _chosen(ds, names)
    if width_km is None:
        lon, lat = places_in_swath(steps - length / 2, np.zeros(steps.size), swath)
        return sample_profile(ds, lon, lat, chosen, distance_km=steps).assign_attrs(ds.attrs | told)
    if not 0 < width_km < math.inf:
        raise GridMismatchError(f"the width of a swath must be positive, got {width_km:g} km")
    layout = Layout((swath,), steps - length / 2, float(width_km), *_statistics((0.16, 0.84), None))
    wide = _summaries(ds, chosen, layout).assign_coords(_coordinates(layout)).isel(profile=0)
    wide = wide.drop_vars(["profile", "along_km", "strike", "fault_lon", "fault_lat"]).rename(distance="point")
    distance = wide["distance_km"] + length / 2
    words = {"units": "km", "long_name": "distance along the profile"}
    wide = wide.assign_coords(distance_km=distance.assign_attrs(words))
    return wide.assign_attrs(ds.attrs | told | {"width_km": float(width_km)})


def _edges(bins: Sequence[float] | np.ndarray, flip: bool) -> np.ndarray:
    """Edges as given, or mirrored."""
    edges = np.asarray(bins, np.float64)
    if edges.ndim != 1 or edges.size < 2 or not np.isfinite(edges).all() or not (np.diff(edges) > 0).all():
        raise GridMismatchError(f"bins need two or more increasing edges in km, got {np.asarray(bins).tolist()}")
    return -edges[::-1] if flip else edges


def _statistics(quantiles: Sequence[float], correlation_km: float | None) -> tuple[tuple[float, ...], float | None]:
    """Quantiles and range of the correlation, checked."""
    chosen = tuple(float(q) for q in quantiles)
    if not all(0 <= q <= 1 for q in chosen):
        raise SchemaError(f"quantiles lie from 0 to 1, got {', '.join(f'{q:g}' for q in chosen)}")
    if correlation_km is not None and not 0 < correlation_km < math.inf:
        raise SchemaError(f"the range of the correlation must be positive, got {correlation_km:g} km")
    return chosen, None if correlation_km is None else float(correlation_km)


def _coordinates(layout: Layout) -> dict[str, Any]:
    """Where profiles and their samples lie."""
    centres = layout.centres
    places = [places_in_swath(centres, np.zeros(centres.size), swath) for swath in layout.swaths]
    lon, lat = (np.stack(parts) for parts in zip(*places, strict=True))
    at = {name: np.array([getattr(s, name) for s in layout.swaths]) for name in ("along_km", "strike", "lon", "lat")}
    side = "right" if layout.swaths[0].side > 0 else "left"
    east, north = {"units": "degrees_east"}, {"units": "degrees_north"}
    both = ("profile", "distance")
    return {
        "profile": np.arange(len(layout.swaths)),
        "distance_km": ("distance", centres, {"units": "km", "long_name": f"distance to the {side} of the fault"}),
        "along_km": ("profile", at["along_km"], {"units": "km", "long_name": "way along the trace"}),
        "strike": ("profile", at["strike"], {"units": "degrees", "long_name": "strike, clockwise from north"}),
        "fault_lon": ("profile", at["lon"], east | {"long_name": "longitude of the trace"}),
        "fault_lat": ("profile", at["lat"], north | {"long_name": "latitude of the trace"}),
        "lon": (both, lon, east | {"standard_name": "longitude"}),
        "lat": (both, lat, north | {"standard_name": "latitude"}),
        "quantile": ("quantile", np.array(layout.quantiles), {"units": "1"}),
    }


def _summaries(ds: xr.Dataset, names: Sequence[str] | None, layout: Layout) -> xr.Dataset:
    """Statistics of each quantity."""
    recipes = {name: _recipe(ds, name, layout) for name in _chosen(ds, names, layout)}
    swaths = Swaths(ds, layout)
    found: dict[str, Any] = {}
    for name, recipe in recipes.items():
        found |= _variables(_label(name), recipe.attrs, swaths.summarise(recipe))
    return xr.Dataset(found)


def _chosen(ds: xr.Dataset, names: Sequence[str] | None, layout: Layout | None = None) -> list[str]:
    """Maps and derived quantities to take, checked."""
    maps = [str(name) for name, v in ds.data_vars.items() if v.dims == ("y", "x")]
    if names is None:
        chosen = [n for n in maps if ds[n].dtype.kind == "f" and n not in _NOT_BY_DEFAULT and n not in DERIVED]
        if not chosen:
            raise SchemaError(
                f"the product has no map to profile; it has {', '.join(map(str, ds.data_vars)) or 'none'}"
            )
        chosen.sort(key=lambda n: _FIRST.index(n) if n in _FIRST else len(_FIRST))
        if layout is None or "east" not in chosen:
            return chosen
        sine = min(abs(math.sin(math.radians(swath.strike))) for swath in layout.swaths)
        return chosen + list(DERIVED if "north" in chosen else DERIVED[:1] if sine >= _LEAST_SINE else ())
    for name in names:
        if name in ds.data_vars:
            require_dims(name, ds[name].dims, "y", "x")
        elif name not in DERIVED or layout is None:
            require_variables("the profile", ds.data_vars, name)
    return list(dict.fromkeys(names))


def _recipe(ds: xr.Dataset, name: str, layout: Layout) -> Recipe:
    """How a quantity is made of maps in each swath."""
    count = len(layout.swaths)
    if name in ds.data_vars:
        return Recipe((name,), np.ones((count, 1)), dict(ds[name].attrs))
    require_variables(name, ds.data_vars, "east", *(["north"] if name == "fault_normal" else []))
    units = ds["east"].attrs.get("units", "1")
    sine, cosine = (f(np.radians([s.strike for s in layout.swaths])) for f in (np.sin, np.cos))
    attrs = {"units": units, "long_name": _WORDS[name]}
    if "north" not in ds.data_vars:
        return Recipe(("east",), _from_east(sine, layout), attrs | {"assumption": "no motion across the fault"})
    if ds["north"].attrs.get("units", "1") != units:
        raise SchemaError(f"{name} needs east and north in one unit, got {units} and {ds['north'].attrs.get('units')}")
    weights = (sine, cosine) if name == "fault_parallel" else (cosine, -sine)
    return Recipe(("east", "north"), np.column_stack(weights), attrs)


def _from_east(sine: np.ndarray, layout: Layout) -> np.ndarray:
    """Weights of east, where no motion across the fault is assumed."""
    if np.abs(sine).min() < _LEAST_SINE:
        worst = layout.swaths[int(np.abs(sine).argmin())]
        raise SchemaError(
            f"fault_parallel from east alone needs a strike at least 30 degrees from north, got {worst.strike:.1f} at "
            f"{worst.lon:.5g}, {worst.lat:.5g}; give a product with north, or leave fault_parallel out"
        )
    return np.asarray(1 / sine[:, None])


def _label(name: str) -> str:
    """Name of the mean of a map; X_std is the spread of X in a bin, so that the map of that name is X_sigma."""
    return f"{name.removesuffix('_std')}_sigma" if name.endswith("_std") else name


def _variables(name: str, attrs: dict[str, Any], table: da.Array) -> dict[str, Any]:
    """Statistics of a quantity as variables."""
    units = attrs.get("units", "1")
    what = attrs.get("long_name", name)
    more = {key: attrs[key] for key in ("assumption",) if key in attrs}

    def told(words: str, unit: str = units) -> dict[str, Any]:
        return {"units": unit, "long_name": words, **more}

    both = ("profile", "distance")
    return {
        name: (both, table[0], told(f"mean of {what}")),
        f"{name}_median": (both, table[1], told(f"median of {what}")),
        f"{name}_std": (both, table[2], told(f"standard deviation of the pixels of {what}")),
        f"{name}_mad": (both, table[3], told(f"median absolute deviation of {what}")),
        f"{name}_quantile": (("quantile", *both), table[5:-1], told(f"quantile of {what}")),
        f"{name}_count": (both, table[4].astype(np.int64), {"units": "1", "long_name": f"pixels of {what}"}),
        f"{name}_effective_count": (
            both,
            table[-1],
            {"units": "1", "long_name": f"independent pixels that those of {what} are worth"},
        ),
    }
