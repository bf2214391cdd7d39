"""Assemble the canonical dataset from lazy layers; the one place where MintPy's rules are applied.

Readers find the layers of their format and name them by role; here they get coordinates, look
vectors, no-data, validity and attributes.
"""

from collections.abc import Mapping
from typing import Any

import numpy as np
import xarray as xr

from mimtpy_cloud.errors import SourceFormatError
from mimtpy_cloud.io.attributes import Metadata
from mimtpy_cloud.io.georeference import coordinates
from mimtpy_cloud.io.hdf5 import Layer, block_shape
from mimtpy_cloud.kernels.look import azimuth_from_heading, los_unit_vector
from mimtpy_cloud.schema import LOS, VARIABLES

__all__ = ["ROLES", "assemble", "describe"]

#: Roles of layers that a reader may name, and the type of their values.
ROLES: dict[str, str] = {
    "displacement": "float32",
    "velocity": "float32",
    "velocity_std": "float32",
    "intercept": "float32",
    "valid": "bool",
    "temporal_coherence": "float32",
    "avg_spatial_coherence": "float32",
    "height": "float32",
    "slant_range": "float32",
    "is_shadow": "bool",
    "is_land": "bool",
    "incidence_angle": "float32",
    "azimuth_angle": "float32",
    "heading_angle": "float32",
    "latitude": "float32",
    "longitude": "float32",
    "baseline_cube": "float32",
}
_SAME = (
    "temporal_coherence",
    "avg_spatial_coherence",
    "height",
    "slant_range",
    "is_shadow",
    "valid",
)
_CUBES = ("displacement", "baseline_cube")
_EXTRA_ATTRS = {
    "latitude": {"units": "degrees_north", "long_name": "latitude of the pixel"},
    "longitude": {"units": "degrees_east", "long_name": "longitude of the pixel"},
}
#: No radar looks this steeply in degrees, so smaller angles are in radians.
_RADIANS_BELOW = 3.0
#: Satellites near the poles: a look azimuth lies here, a heading never does (degrees, absolute).
_AZIMUTH_RANGE = (80.0, 125.0)


def describe(name: str, array: xr.DataArray) -> xr.DataArray:
    """
    Give an array the type, unit and long name of the canonical dataset.

    Parameters
    ----------
    name : str
        Name of the variable.
    array : xr.DataArray
        Its values.

    Returns
    -------
    xr.DataArray
        Encoding is kept, other attributes are dropped.
    """
    known = VARIABLES.get(name)
    out = array if known is None or array.dtype == known.dtype else array.astype(known.dtype)
    out = out.copy(deep=False)
    out.attrs = dict(_EXTRA_ATTRS[name] if known is None else known.attrs)
    out.encoding = dict(array.encoding)
    return out


def assemble(
    layers: Mapping[str, Layer],
    meta: Metadata,
    *,
    dates: np.ndarray | None = None,
    baseline: np.ndarray | None = None,
    scale: Mapping[str, float] | None = None,
) -> xr.Dataset:
    """
    Build the canonical dataset lazily.

    Parameters
    ----------
    layers : mapping
        Role (a key of `ROLES`) to layer; 2-D layers have the shape of the file, ``displacement``
        and ``baseline_cube`` a leading date.
    meta : Metadata
        Attributes of the file.
    dates : np.ndarray, optional
        Shape ``(time,)``, datetime64[ns]; with ``displacement``.
    baseline : np.ndarray, optional
        Perpendicular baselines in m, shape ``(time,)``.
    scale : mapping, optional
        Role to factor that makes metres.

    Returns
    -------
    xr.Dataset
        See ``schema.VARIABLES``; displacement, velocity and their no-data as the rules of MintPy say.

    Raises
    ------
    SourceFormatError
        If a layer does not have the shape that the attributes and dates say, or a file in radar
        coordinates has no latitude and longitude.
    """
    _check_shapes(layers, meta, dates)
    block = _block(layers)
    arrays = _lazy_arrays(layers, block, scale or {})
    reference = _reference_mask(meta, block)
    out: dict[str, xr.DataArray] = {name: arrays[name] for name in _SAME if name in arrays}
    if "displacement" in arrays:
        out["displacement"] = _displacement(arrays["displacement"], layers["displacement"], meta, reference)
        if "valid" not in out:
            size = abs(arrays["displacement"])
            out["valid"] = ((size > 0) & (size < np.inf)).any("time") | reference
    if "velocity" in arrays:
        out |= _rates(arrays, reference, keep_zeros="displacement" in arrays)
        if "valid" not in out:
            out["valid"] = out["velocity"].notnull()
    if "is_land" in arrays:
        out["is_water"] = ~arrays["is_land"]
    out |= _look(arrays, meta) | _baseline(arrays, baseline)
    if meta.is_radar:
        out |= _geolocation(arrays, meta)
    coords: dict[str, Any] = {} if dates is None else {"time": ("time", dates, {"long_name": "acquisition date"})}
    coords |= {} if meta.grid is None else coordinates(meta.grid.x, meta.grid.y, meta.grid.crs)
    names = [*(name for name in VARIABLES if name in out), *(name for name in _EXTRA_ATTRS if name in out)]
    return xr.Dataset({name: describe(name, out[name]) for name in names}, coords, _attributes(layers, meta))


def _check_shapes(layers: Mapping[str, Layer], meta: Metadata, dates: np.ndarray | None) -> None:
    shape = meta.shape
    for role, layer in layers.items():
        expected = shape if role not in _CUBES or dates is None else (dates.size, *shape)
        if layer.shape != expected:
            raise SourceFormatError(
                f"{layer.file.url}: {layer.paths[0]} has shape {layer.shape}, but the dates, LENGTH and WIDTH say"
                f" {expected}; the attributes and the data do not belong together"
            )


def _block(layers: Mapping[str, Layer]) -> tuple[int, ...]:
    """Block of the first 3-D layer, else of the first: one chunking for the whole dataset."""
    layer = max(layers.values(), key=lambda layer: layer.ndim)
    return block_shape(layer.shape, layer.chunks, np.dtype(layer.dtype).itemsize)


def _lazy_arrays(
    layers: Mapping[str, Layer], block: tuple[int, ...], scale: Mapping[str, float]
) -> dict[str, xr.DataArray]:
    arrays = {}
    for role, layer in layers.items():
        array = xr.DataArray(layer.lazy(block[-layer.ndim :]), dims=("time", "y", "x")[-layer.ndim :])
        factor = scale.get(role, 1.0)
        arrays[role] = array if factor == 1 else array * np.float32(factor)
    return arrays


def _reference_mask(meta: Metadata, block: tuple[int, ...]) -> xr.DataArray:
    """True at the reference pixel only; a lazy product of two vectors."""
    rows, cols = (np.zeros(size, bool) for size in meta.shape)
    pixel = meta.reference_pixel
    if pixel is not None:
        rows[pixel[0]] = cols[pixel[1]] = True
    return xr.DataArray(rows, dims="y").chunk(y=block[-2]) & xr.DataArray(cols, dims="x").chunk(x=block[-1])


def _displacement(array: xr.DataArray, layer: Layer, meta: Metadata, reference: xr.DataArray) -> xr.DataArray:
    """Values as stored, but for products that write 0 for no data."""
    if meta.zero_is_nodata:
        return array.where((array != 0).any("time") | reference)
    if not layer.stacked and layer.ndim == 3:
        array.encoding |= {"source": layer.file.url, "dataset": layer.paths[0]}
    return array


def _rates(arrays: Mapping[str, xr.DataArray], reference: xr.DataArray, *, keep_zeros: bool) -> dict[str, xr.DataArray]:
    """Velocity, its standard deviation and the intercept; MintPy writes 0 outside the data."""
    rates = {name: arrays[name] for name in ("velocity", "velocity_std", "intercept") if name in arrays}
    if keep_zeros:
        return rates
    data = rates["velocity"] != 0
    if "velocity_std" in rates:
        data = data | (rates["velocity_std"] != 0)
    return {name: array.where(data | reference) for name, array in rates.items()}


def _look(arrays: Mapping[str, xr.DataArray], meta: Metadata) -> dict[str, xr.DataArray]:
    """Look vectors from the angles; the azimuth from the heading where the file has none."""
    if "incidence_angle" not in arrays:
        return {}
    azimuth: Any
    if "azimuth_angle" in arrays:
        azimuth, meaning = arrays["azimuth_angle"], "gamma" if meta.zero_is_nodata else "azimuth"
    elif "heading_angle" in arrays:
        azimuth, meaning = arrays["heading_angle"], "either"
    elif meta.heading is not None:
        azimuth, meaning = float(azimuth_from_heading(meta.heading, meta.look_side)), "azimuth"
    else:
        return {}
    components = xr.apply_ufunc(
        decode_look,
        arrays["incidence_angle"],
        azimuth,
        kwargs={"meaning": meaning, "look_side": meta.look_side},
        output_core_dims=[[], [], []],
        dask="parallelized",
        output_dtypes=["float32"] * 3,
    )
    return dict(zip(LOS, components, strict=True))


def decode_look(
    incidence: np.ndarray, azimuth: np.ndarray | float, *, meaning: str = "azimuth", look_side: str = "right"
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """
    Decode MintPy's angle layers, with the habits of old and foreign files, into look vectors.

    Parameters
    ----------
    incidence : np.ndarray
        Incidence angle in degrees, or in radians (values below 3: HyP3 products loaded by old MintPy).
    azimuth : np.ndarray or float
        Azimuth of ground to satellite in degrees from north, anticlockwise.
    meaning : {"azimuth", "gamma", "either"}
        ``"gamma"``: values within 2 pi are in radians, anticlockwise from east. ``"either"``: values
        that cannot be an azimuth are headings in degrees, clockwise (PySAR 0.4 ``headingAngle``).
    look_side : {"right", "left"}
        Needed for headings only.

    Returns
    -------
    east, north, up : np.ndarray
        Unit vectors ground to satellite, float32; NaN where an angle is NaN or exactly 0 (fill).

    Examples
    --------
    >>> east, north, up = decode_look(np.array([39.0, 0.0]), np.array([-102.0, -102.0]))
    >>> [f"{v[0]:.3f}" for v in (east, north, up)], bool(np.isnan(up[1]))
    (['0.616', '-0.131', '0.777'], True)
    """
    inc = np.asarray(incidence)
    az = np.broadcast_to(azimuth, inc.shape)
    fill = (inc == 0) | (az == 0)
    if (steep := np.abs(inc) < _RADIANS_BELOW).any():
        inc = np.where(steep, np.degrees(inc), inc)
    if meaning == "gamma":
        az = np.where(np.abs(az) <= 2 * np.pi, np.degrees(az) - 90, az)
    elif meaning == "either":
        size = np.abs((az + 180) % 360 - 180)
        heading = (size < _AZIMUTH_RANGE[0]) | (size > _AZIMUTH_RANGE[1])
        az = np.where(heading, azimuth_from_heading(az, look_side), az)
    return los_unit_vector(np.where(fill, np.nan, inc).astype("float32"), az.astype("float32"))


def _baseline(arrays: Mapping[str, xr.DataArray], baseline: np.ndarray | None) -> dict[str, xr.DataArray]:
    if baseline is not None:
        return {"perpendicular_baseline": xr.DataArray(baseline, dims="time")}
    if "baseline_cube" not in arrays:
        return {}
    cube = arrays["baseline_cube"]
    return {"perpendicular_baseline": cube.mean(("y", "x"))}  # of those that are not NaN


def _geolocation(arrays: Mapping[str, xr.DataArray], meta: Metadata) -> dict[str, xr.DataArray]:
    """Latitude and longitude of a radar-coordinate file; NaN where they are fill."""
    if "latitude" not in arrays or "longitude" not in arrays:
        raise SourceFormatError(
            f"{meta.url} is in radar coordinates (no X_FIRST) and has no latitude and longitude layers;"
            " give the geometry file too (geometry=), or geocode it"
        )
    lat, lon = arrays["latitude"], arrays["longitude"]
    good = (np.abs(lat) < 90) & ((lat != 0) | (lon != 0))
    return {"latitude": lat.where(good), "longitude": lon.where(good)}


def _attributes(layers: Mapping[str, Layer], meta: Metadata) -> dict[str, Any]:
    attrs = meta.canonical()
    pixel = meta.reference_pixel
    if meta.is_radar and pixel is not None and "reference_point" not in attrs:
        index = tuple(slice(i, i + 1) for i in pixel)
        point = [float(layers[name][index][0, 0]) for name in ("longitude", "latitude")]
        if all(np.isfinite(point)):
            attrs["reference_point"] = point
    return attrs
