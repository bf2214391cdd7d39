"""Remove the motion of a tectonic plate from a track or a decomposition."""

import logging
from typing import Any

import numpy as np
import xarray as xr

from mimtpy_cloud.errors import ReferencePointError, SchemaError
from mimtpy_cloud.kernels import plate as kernel
from mimtpy_cloud.ops.pixels import map_projection, pixels_at
from mimtpy_cloud.ops.reference import set_reference
from mimtpy_cloud.plan.dates import parse_date, parse_dates
from mimtpy_cloud.plan.frames import is_plate_frame
from mimtpy_cloud.schema import DAYS_PER_YEAR, LOS, require_variables

__all__ = ["remove_plate_motion", "stations_less_plate"]

_log = logging.getLogger(__name__)

_ALONG_LOS = ("displacement", "velocity")
_COMPONENTS = ("east", "north", "horizontal", "up")

Pole = str | tuple[float, float, float]


def remove_plate_motion(ds: xr.Dataset, pole: Pole, *, keep_reference: bool = True) -> xr.Dataset:
    """
    Subtract the motion of a plate, projected into the line of sight.

    Parameters
    ----------
    ds : xr.Dataset
        Canonical dataset on a grid of longitude and latitude: `velocity` or `displacement` with look vectors, or the
        components that `invert_enu` makes of them. A series is corrected by the time since its reference date (else
        its first), a displacement between two dates by the time between them.
    pole : str or tuple of float
        A plate of ITRF2014, such as ``"Eurasia"`` or ``"EURA"``, or an Euler pole: latitude and longitude in degrees,
        and degrees a million years, anticlockwise.
    keep_reference : bool
        Whether data that refer to a point or polygon (attribute `reference_point` or `reference_polygon`) keep their
        zero there: what such data hold is the motion relative to that place. Without it, and for data in the frame of
        stations, the motion itself is subtracted.

    Returns
    -------
    xr.Dataset
        `displacement`, `velocity`, `east`, `north`, `horizontal` and `up` less the motion of the plate, in their unit
        and dtype; everything else as it was. Attribute `plate_motion` names the plate and its rotation.

    Raises
    ------
    SchemaError
        If the plate is unknown, there is nothing to correct, no look vector or no dates, the grid is not in longitude
        and latitude, a plate has been removed already, or the data are in a frame that moves with one.
    ReferencePointError
        If the reference point lies outside the grid, so that its motion is not known.

    See Also
    --------
    mimtpy_cloud.kernels.plate.plate_velocity : The equation, its signs, and a worked example.
    set_reference : With stations puts a track into their frame.

    Notes
    -----
    A plate moves a track nearly as one, but the look vector turns across it: 25 mm/yr of Eurasia make a ramp of some
    5 mm/yr across 250 km [1]_. Remove it from the tracks before they are decomposed: a decomposition into east and up
    holds part of the north motion. The standard deviation of the model, some 0.2 mm/yr, is not carried.

    References
    ----------
    .. [1] Stephenson, O. L. et al. (2022), The impact of plate motions on long-wavelength InSAR-derived velocity
       fields, Geophysical Research Letters, 49, e2022GL099003, doi:10.1029/2022GL099003.
    """
    label, rotation = _rotation(pole)
    names = [name for name in (*_ALONG_LOS, *_COMPONENTS) if name in ds]
    if not names:
        has = ", ".join(map(str, ds.data_vars))
        raise SchemaError(f"the dataset needs one of {', '.join((*_ALONG_LOS, *_COMPONENTS))}; it has {has}")
    if before := ds.attrs.get("plate_motion"):
        raise SchemaError(f"the motion of {before['plate']} has been removed already; start from the data before that")
    if is_plate_frame(frame := str(ds.attrs.get("reference_frame", ""))):
        raise SchemaError(
            f"the track is in the frame {frame}, which moves with a plate already; tie it to ITRF stations"
        )
    if map_projection(ds) is not None:
        raise SchemaError(
            "plate motion needs a grid of longitude and latitude; ingest the track onto the lattice first"
        )
    removed = {name: _motion(ds, name, rotation) for name in names}
    if keep_reference and "reference_point" in ds.attrs:
        removed = _relative_to(ds, removed)
    elif keep_reference and not {"reference_polygon", "reference_frame"} & ds.attrs.keys():
        _log.warning(
            "%s does not say to what it refers: the whole motion of %s was removed. Relative data need only what "
            "varies: refer them to a point or to stations first (set_reference, mimtpy reference)",
            ds.attrs.get("track", "the dataset"),
            label,
        )
    found = {
        name: (ds[name] - motion * _years(ds, name)).astype(ds[name].dtype).assign_attrs(ds[name].attrs)
        for name, motion in removed.items()
    }
    attrs = {"plate": label, "model": "ITRF2014" if isinstance(pole, str) else "", "mas_per_year": _as_mas(rotation)}
    result = ds.assign(found).assign_attrs(plate_motion=attrs)
    if keep_reference and "reference_polygon" in ds.attrs:
        return set_reference(result, polygon=[np.array(outline) for outline in ds.attrs["reference_polygon"]])
    if not keep_reference:
        result.attrs = {k: v for k, v in result.attrs.items() if k not in ("reference_point", "reference_polygon")}
    return result


def stations_less_plate(stations: xr.Dataset, product: xr.Dataset) -> xr.Dataset:
    """
    Remove from stations of a global frame the plate motion that has been removed from a product.

    Parameters
    ----------
    stations : xr.Dataset
        As `mimtpy_cloud.io.gnss.read_stations` gives it.
    product : xr.Dataset
        Any; its attribute ``plate_motion`` is what `remove_plate_motion` wrote.

    Returns
    -------
    xr.Dataset
        The stations as they are if their frame moves with a plate or nothing was removed.
    """
    removed = product.attrs.get("plate_motion")
    if not removed or is_plate_frame(str(stations.attrs.get("frame", ""))):
        return stations
    rotation = np.asarray(removed["mas_per_year"], np.float64) * kernel.MAS
    motion = kernel.plate_velocity(stations["lat"].to_numpy(), stations["lon"].to_numpy(), rotation)
    moved = zip(("east", "north", "up"), motion, strict=True)
    return stations.assign(
        {name: stations[name] - xr.DataArray(part, dims="station") for name, part in moved if name in stations}
    )


def _rotation(pole: Any) -> tuple[str, np.ndarray]:
    """Name and rotation vector of what was asked for."""
    if isinstance(pole, str):
        return kernel.plate_name(pole), kernel.rotation_of(pole)
    try:
        lat, lon, rate = (float(v) for v in pole)
    except (TypeError, ValueError) as error:
        raise SchemaError(f"a pole is the name of a plate, or (lat, lon, degrees a Myr), got {pole!r}") from error
    if not (-90 <= lat <= 90 and -360 <= lon <= 360 and np.isfinite(rate)):
        raise SchemaError(f"a pole is (lat, lon, degrees a Myr) with lat within 90 and lon within 360, got {pole!r}")
    return f"{lat:g} {lon:g} {rate:g}", kernel.rotation_vector(lat, lon, rate)


def _as_mas(rotation: np.ndarray) -> list[float]:
    return [round(float(v), 6) for v in rotation / kernel.MAS]


def _motion(ds: xr.Dataset, name: str, rotation: np.ndarray) -> xr.DataArray:
    """Velocity that the plate gives a variable, in m/yr; lazy where the look vectors are."""
    lat, lon = (xr.DataArray(ds.indexes[c].to_numpy(), dims=c) for c in ("y", "x"))
    if name in _ALONG_LOS:
        require_variables("the dataset", ds, *LOS)
        looks = [ds[part].reset_coords(drop=True) for part in LOS]
        dtype = np.result_type(looks[0].dtype, np.float32)
        return _schedule(kernel.project_plate_velocity, *looks, lat, lon, dtype=dtype, rotation=rotation)
    like = ds[name].reset_coords(drop=True)
    azimuth = _azimuth(ds) if name == "horizontal" else 0.0
    return _schedule(_component, like, lat, lon, dtype=like.dtype, name=name, azimuth=azimuth, rotation=rotation)


def _schedule(function: Any, *arrays: xr.DataArray, dtype: Any, **options: Any) -> xr.DataArray:
    bare = (array.drop_vars(list(array.coords)) for array in arrays)
    motion: xr.DataArray = xr.apply_ufunc(function, *bare, kwargs=options, dask="parallelized", output_dtypes=[dtype])
    return motion


def _component(
    like: np.ndarray, lat: np.ndarray, lon: np.ndarray, *, name: str, azimuth: float, rotation: np.ndarray
) -> np.ndarray:
    """One component of the motion, of the shape of a block of it."""
    east, north, up = kernel.plate_velocity(lat, lon, rotation)
    if name == "horizontal":
        part = east * np.sin(np.deg2rad(azimuth)) + north * np.cos(np.deg2rad(azimuth))
    else:
        part = {"east": east, "north": north, "up": up}[name]
    return np.broadcast_to(part, like.shape).astype(like.dtype)


def _azimuth(ds: xr.Dataset) -> float:
    azimuth = ds.attrs.get("azimuth")
    if azimuth is None:
        raise SchemaError("a horizontal component needs the attribute azimuth, degrees clockwise from north")
    return float(azimuth)


def _relative_to(ds: xr.Dataset, motions: dict[str, xr.DataArray]) -> dict[str, xr.DataArray]:
    """Motion less that of the pixel at the reference point."""
    point = tuple(ds.attrs["reference_point"])
    row, col, inside = pixels_at(ds, *point)
    if not inside:
        raise ReferencePointError(
            f"the reference point {point} lies outside the grid, where the look vector is not known; set_reference to "
            "a place inside first, or take keep_reference=False"
        )
    return {name: motion - motion.isel(y=int(row), x=int(col)) for name, motion in motions.items()}


def _years(ds: xr.Dataset, name: str) -> Any:
    """Years over which a variable has gathered motion; one for a rate."""
    variable = ds[name]
    if "time" in variable.dims:
        dates = parse_dates(ds.indexes["time"].to_numpy())
        first = parse_date(ds.attrs["reference_date"]) if "reference_date" in ds.attrs else dates[0]
        return xr.DataArray(
            ((dates - first) / np.timedelta64(1, "D") / DAYS_PER_YEAR).astype(variable.dtype), dims="time"
        )
    units = variable.attrs.get("units", "m" if name == "displacement" else "m/yr")
    if units == "m/yr":
        return 1.0
    if units != "m" or not {"start_date", "end_date"} <= ds.attrs.keys():
        raise SchemaError(
            f"{name} needs the unit m/yr, or m and the attributes start_date and end_date, got {units} and "
            f"{', '.join(sorted(map(str, ds.attrs))) or 'none'}"
        )
    days = parse_date(ds.attrs["end_date"]) - parse_date(ds.attrs["start_date"])
    return float(days / np.timedelta64(1, "D") / DAYS_PER_YEAR)
