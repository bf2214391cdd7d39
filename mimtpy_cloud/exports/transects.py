"""Write profiles as tables and for maps: CSV, netCDF, GeoJSON and MATLAB, chosen by the ending of the name."""

import csv
import io
import json
import os
from collections.abc import Callable
from pathlib import PurePath
from typing import Any

import numpy as np
import xarray as xr

from mimtpy_cloud.errors import SchemaError
from mimtpy_cloud.exports.provenance import jsonable, stamped
from mimtpy_cloud.exports.publish import publish_bytes
from mimtpy_cloud.plan.transects import Swath, places_in_swath, swath_outline
from mimtpy_cloud.schema import require_variables

__all__ = ["ENDINGS", "write_transects"]

#: Statistics that follow the name of a quantity; a quantity has a count.
_STATISTICS = ("median", "std", "mad", "quantile", "count", "effective_count")
#: First columns of a table.
_FIRST = ("along_km", "strike", "fault_lon", "fault_lat", "distance_km", "lon", "lat")
#: Numbers of profiles, which count from 0 in Python and from 1 in tables and figures.
_NUMBERS = ("station_profile", "crossing_profile")
#: What lies on profiles, in tables of their own.
_SIDE_TABLES = ("station", "crossing")
_METRES = 1000.0


def write_transects(profiles: xr.Dataset, url: str | os.PathLike[str]) -> list[str]:
    """
    Write profiles in the format that the ending of a name says.

    Parameters
    ----------
    profiles : xr.Dataset
        From `profile_across_fault` or `profile_between`; computed here if it is lazy.
    url : str or path
        Local path or any fsspec URL. ``.csv``: a row a sample, every heading with its unit; stations and crossings go
        to ``NAME_stations.csv`` and ``NAME_crossings.csv`` beside it. ``.nc``: all of it, netCDF 3. ``.geojson``:
        swaths, profiles, crossings and stations, for maps. ``.mat``: all of it, and MimtPy's names (see Notes).

    Returns
    -------
    list of str
        What was written.

    Raises
    ------
    SchemaError
        If the ending is another, or the dataset has no profiles.
    StorageError
        If the place cannot be written.

    See Also
    --------
    mimtpy_cloud.ops.transects.profile_across_fault : Makes them.

    Notes
    -----
    Profiles are numbered from 1, as in figures. In ``.mat`` a row is a sample and a column a profile. MimtPy's names
    stand beside ours: ``datavec`` (the first quantity), ``datavec2`` (the second), ``datadem`` (height), ``lat`` and
    ``lon``; ``Distance_along_profile`` and ``fault_position`` in metres from the first sample; ``Unit``, that of
    ``datavec``. Columns of MimtPy are the parallel lines of one profile; here they are the means of the swaths.

    Longitudes of GeoJSON run on beyond 180 where a swath crosses the antimeridian.

    In ``.nc`` attributes that are true or false become 1 or 0; mappings, and lists of other than numbers, become text
    (JSON). What is read from it can be fitted and drawn as before.
    """
    write = ENDINGS.get(PurePath(os.fspath(url)).suffix.lower())
    if write is None:
        raise SchemaError(f"profiles are written to a name that ends in {', '.join(ENDINGS)}, got {os.fspath(url)}")
    require_variables("the profiles", profiles.variables, "distance_km", "lon", "lat")
    return write(_without_others(profiles).compute(), os.fspath(url))


def _without_others(profiles: xr.Dataset) -> xr.Dataset:
    """Leave out what lies on profiles that a selection has left out."""
    for kind in _SIDE_TABLES:
        if f"{kind}_profile" in profiles and "profile" in profiles["lon"].dims:
            here = np.isin(profiles[f"{kind}_profile"].values, profiles["profile"].values)
            profiles = profiles.isel({kind: np.flatnonzero(here)})
    return profiles


def _quantities(profiles: xr.Dataset) -> list[str]:
    """Names of the quantities: what has samples and is no statistic of another."""
    dims = profiles["lon"].dims
    sampled = [str(name) for name, v in profiles.data_vars.items() if v.dims == dims]
    return [name for name in sampled if not any(name == f"{q}_{s}" for q in sampled for s in _STATISTICS)]


def _heading(name: str, units: str) -> str:
    return name if units in ("", "1") else f"{name} [{units}]"


def _counted(name: str, values: np.ndarray) -> np.ndarray:
    """Numbers of profiles from 1, as in figures; all else as it is."""
    return values + 1 if name in _NUMBERS else values


def _units(array: xr.DataArray) -> str:
    return str(array.attrs.get("units", ""))


def _csv(profiles: xr.Dataset, url: str) -> list[str]:
    """One row a sample; stations and crossings, of which there are other numbers, in tables of their own."""
    publish_bytes(_table(_samples(profiles)), url)
    written = [url]
    stem = url[: -len(PurePath(url).suffix)]
    for kind in _SIDE_TABLES:
        if profiles.sizes.get(kind):
            columns = {str(n): v for n, v in profiles.data_vars.items() if v.dims == (kind,)}
            table = {_heading(name, _units(values)): _counted(name, values.values) for name, values in columns.items()}
            publish_bytes(_table(table), f"{stem}_{kind}s.csv")
            written.append(f"{stem}_{kind}s.csv")
    return written


def _samples(profiles: xr.Dataset) -> dict[str, np.ndarray]:
    """Columns of all samples, by their headings."""
    dims = profiles["lon"].dims
    shape = profiles["lon"].shape
    columns: dict[str, np.ndarray] = {}
    if "profile" in dims:
        columns["profile"] = np.broadcast_to(profiles["profile"].values[:, None] + 1, shape)
    for name in (*(n for n in _FIRST if n in profiles.coords), *profiles.data_vars):
        values = profiles[name]
        if not set(values.dims) <= {*dims, "quantile"} or not values.dims:
            continue
        if "quantile" in values.dims:
            for q in values["quantile"].values:
                label = f"{str(name).removesuffix('_quantile')}_q{100 * q:.4g}"
                columns[_heading(label, _units(values))] = values.sel(quantile=q).values
            continue
        columns[_heading(str(name), _units(values))] = values.broadcast_like(profiles["lon"]).transpose(*dims).values
    return {heading: np.ravel(values) for heading, values in columns.items()}


def _table(columns: dict[str, np.ndarray]) -> bytes:
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(columns)
    writer.writerows(zip(*(map(_cell, values) for values in columns.values()), strict=True))
    return text.getvalue().encode()


def _cell(value: Any) -> str:
    """A number with nine digits; nothing where there is none."""
    if isinstance(value, float | np.floating):
        return "" if np.isnan(value) else f"{value:.9g}"
    return str(value)


def _netcdf(profiles: xr.Dataset, url: str) -> list[str]:
    """All of it; lists and mappings of attributes as JSON."""
    plain = profiles.copy()
    plain.attrs = _plain(stamped(profiles.attrs, "write_transects"))
    for variable in plain.variables.values():
        variable.attrs = _plain(variable.attrs)
    publish_bytes(bytes(plain.to_netcdf(engine="scipy", format="NETCDF3_64BIT")), url)
    return [url]


def _plain(attrs: dict[Any, Any]) -> dict[str, Any]:
    """Attributes that netCDF can hold; yes and no are 1 and 0, which are still true and false when they are read."""
    return {str(key): _plain_value(value) for key, value in jsonable(attrs).items()}


def _plain_value(value: Any) -> Any:
    if isinstance(value, bool):
        return int(value)
    if isinstance(value, str | int | float):
        return value
    if isinstance(value, list) and value and all(type(item) in (int, float) for item in value):
        return np.array(value, np.float64)
    return json.dumps(value)


def _geojson(profiles: xr.Dataset, url: str) -> list[str]:
    """Swaths as polygons, profiles as lines, crossings and stations as points."""
    if "profile" in profiles["lon"].dims:
        features = [f for k in range(profiles.sizes["profile"]) for f in _swath_features(profiles.isel(profile=k))]
        features += _point_features(profiles)
    else:
        features = [_line_feature(profiles, {"kind": "profile"})]
    content = {"type": "FeatureCollection", "properties": jsonable(profiles.attrs), "features": features}
    publish_bytes(json.dumps(content).encode(), url)
    return [url]


def _swath_features(one: xr.Dataset) -> list[dict[str, Any]]:
    """Outline and middle line of a swath."""
    told = {"profile": int(one["profile"]) + 1, "along_km": float(one["along_km"]), "strike": float(one["strike"])}
    low, high = _reach(one)
    told |= {"from_km": low, "to_km": high, "width_km": float(one.attrs["width_km"])}
    ring = swath_outline(_swath(one), low, high, told["width_km"])
    if not _is_anticlockwise(ring):
        ring = ring[::-1]
    return [
        _feature("Polygon", [ring.tolist()], told | {"kind": "swath"}),
        _line_feature(one, told | {"kind": "profile"}),
    ]


def _swath(one: xr.Dataset) -> Swath:
    """Frame of a profile."""
    lon, lat, strike, along = (float(one[name]) for name in ("fault_lon", "fault_lat", "strike", "along_km"))
    return Swath(lon, lat, strike, along, -1.0 if one.attrs["flip"] else 1.0)


def _reach(one: xr.Dataset) -> tuple[float, float]:
    """First and last edge of the bins, whose middles are half a bin further in."""
    if "bins_km" in one.attrs:
        return float(one.attrs["bins_km"][0]), float(one.attrs["bins_km"][-1])
    half = float(one.attrs["step_km"]) / 2
    return float(one["distance_km"][0]) - half, float(one["distance_km"][-1]) + half


def _is_anticlockwise(ring: np.ndarray) -> bool:
    x, y = ring.T
    return float(np.sum(x[:-1] * y[1:] - x[1:] * y[:-1])) > 0


def _line_feature(one: xr.Dataset, told: dict[str, Any]) -> dict[str, Any]:
    line = np.column_stack([one["lon"].values, one["lat"].values])
    return _feature("LineString", line.tolist(), told)


def _point_features(profiles: xr.Dataset) -> list[dict[str, Any]]:
    """Stations where they are, crossings where they lie on the profile."""
    features = []
    for kind in _SIDE_TABLES:
        names = [str(n) for n, v in profiles.data_vars.items() if v.dims == (kind,)]
        for j in range(profiles.sizes.get(kind, 0)):
            row = {
                _heading(name, _units(profiles[name])): _value(_counted(name, profiles[name].values)[j])
                for name in names
            }
            features.append(_feature("Point", _place(profiles, kind, j), row | {"kind": kind}))
    return features


def _place(profiles: xr.Dataset, kind: str, j: int) -> list[float]:
    if kind == "station":
        return [float(profiles["station_lon"][j]), float(profiles["station_lat"][j])]
    one = profiles.isel(
        profile=int(np.flatnonzero(profiles["profile"].values == profiles["crossing_profile"].values[j])[0])
    )
    lon, lat = places_in_swath(profiles["crossing_distance_km"].values[[j]], np.zeros(1), _swath(one))
    return [float(lon[0]), float(lat[0])]


def _value(value: Any) -> Any:
    """A value for JSON, which has no NaN."""
    plain = value.item() if isinstance(value, np.generic) else value
    return None if isinstance(plain, float) and not np.isfinite(plain) else plain


def _feature(kind: str, coordinates: list[Any], properties: dict[str, Any]) -> dict[str, Any]:
    return {
        "type": "Feature",
        "geometry": {"type": kind, "coordinates": coordinates},
        "properties": properties,
    }


def _mat(profiles: xr.Dataset, url: str) -> list[str]:
    """All variables under their names, and MimtPy's beside them."""
    from scipy.io import savemat

    variables = {str(name): profiles[name] for name in profiles.variables}
    content: dict[str, Any] = {name: _matlab(values) for name, values in variables.items()}
    content |= _of_mimtpy(profiles)
    content["units"] = {name: _units(v) for name, v in variables.items() if _units(v)}
    content["attributes"] = json.dumps(stamped(profiles.attrs, "write_transects"))
    too_long = [name for name in content if len(name) > 63]
    if too_long:
        raise SchemaError(f"names in a .mat file have at most 63 letters, got {', '.join(too_long)}; rename them")
    buffer = io.BytesIO()
    savemat(buffer, content, long_field_names=True, oned_as="column")
    publish_bytes(buffer.getvalue(), url)
    return [url]


def _matlab(values: xr.DataArray) -> np.ndarray:
    """An array with samples in rows, and text as MATLAB's cells."""
    return np.asarray(values.values.T if values.dtype.kind in "biuf" else values.values.astype(object))


def _of_mimtpy(profiles: xr.Dataset) -> dict[str, Any]:
    """What MimtPy calls otherwise."""
    data = [name for name in _quantities(profiles) if name not in ("height", "temporal_coherence")]
    columns = dict(zip(("datavec", "datavec2"), data, strict=False))
    columns |= {"datadem": "height"} if "height" in profiles else {}
    found: dict[str, Any] = {theirs: profiles[ours].values.T for theirs, ours in columns.items()}
    metres = profiles["distance_km"].values * _METRES
    found |= {"Distance_along_profile": metres - metres[0]}
    found |= {"fault_position": -metres[0]} if "profile" in profiles["lon"].dims else {}
    return found | ({"Unit": _units(profiles[data[0]])} if data else {})


#: Writer of each ending.
ENDINGS: dict[str, Callable[[xr.Dataset, str], list[str]]] = {
    ".csv": _csv,
    ".nc": _netcdf,
    ".geojson": _geojson,
    ".mat": _mat,
}
