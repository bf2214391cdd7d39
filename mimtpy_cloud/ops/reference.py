"""Change the spatial and temporal datum of a track."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import xarray as xr

from mimtpy_cloud.errors import ReferencePointError, SchemaError
from mimtpy_cloud.kernels import tie
from mimtpy_cloud.ops.pixels import map_projection, pixels_at, pixels_in_polygons
from mimtpy_cloud.ops.select import grid_of
from mimtpy_cloud.ops.stations import project_stations, require_odd_window
from mimtpy_cloud.plan.dates import nearest_date, parse_dates
from mimtpy_cloud.plan.frames import is_global_frame
from mimtpy_cloud.schema import require_dims, require_variables

__all__ = ["set_reference"]

#: Variables that are relative to a datum; geometry, quality and standard deviations are not.
_RELATIVE = ("displacement", "velocity", "intercept", "east", "north", "horizontal", "up")
#: How far, in pixels, the message about a bad reference looks for a better one.
_SEARCH = 25
#: Attributes that say what is zero; a new reference replaces all of them.
_DATUM = ("reference_point", "reference_polygon", "reference_frame", "reference_stations")
#: What `mimtpy_cloud.kernels.tie.fit_constant` returns.
_FITTED = {
    "reference_velocity": ("m/yr", "velocity that was subtracted"),
    "reference_velocity_std": ("m/yr", "standard deviation of reference_velocity"),
    "reference_noise": ("m/yr", "scatter of track less stations beyond their standard deviations"),
    "reference_count": ("1", "stations used"),
}


def set_reference(
    ds: xr.Dataset,
    *,
    point: tuple[float, float] | None = None,
    window: int = 1,
    polygon: Any = None,
    date: Any = None,
    stations: xr.Dataset | None = None,
    up: str = "drop",
) -> xr.Dataset:
    """
    Refer displacement and velocity, along the line of sight or decomposed, to another place, another date, or both.

    Parameters
    ----------
    ds : xr.Dataset
        Canonical dataset with ``displacement`` (with or without time), ``velocity``, or the components that
        `invert_enu` makes of them. Stations need a ``velocity`` in m/yr and look vectors.
    point : tuple of float, optional
        Longitude and latitude in degrees. The pixel that contains it is the reference.
    window : int
        Odd side in pixels of a square around that pixel, or around each station, whose usable pixels are averaged.
    polygon : array_like or list of array_like, optional
        Longitudes and latitudes of the corners, shape ``(n, 2)``, of one polygon or several. The mean of the usable
        pixels whose centres lie in any of them becomes zero. Holes are not known: an inner ring is one more polygon.
    date : date, optional
        Acquisition that becomes the reference date of a displacement series. Standard deviations of a decomposed
        series stay those since the old one: `decompose_series` takes a reference date.
    stations : xr.Dataset, optional
        As `mimtpy_cloud.io.gnss.read_stations` gives it. The constant by which the track exceeds the stations,
        projected into its line of sight, is subtracted: the velocity then is in the frame of the stations.
    up : {"drop", "zero"}
        What becomes of stations without vertical velocity, as in `project_stations`.

    Returns
    -------
    xr.Dataset
        ``displacement``, ``velocity``, ``intercept``, ``east``, ``north``, ``horizontal`` and ``up`` (by stations
        ``velocity`` alone) less their value at the reference; everything else as it was. That value is recorded: lazy
        ``reference_velocity`` and so on, of no dimension, for a series of ``time``; by stations with
        ``reference_velocity_std``, ``reference_noise`` and ``reference_count``. Attribute ``reference_point`` is the
        centre of the pixel, ``reference_polygon`` the corners, ``reference_frame`` and ``reference_stations`` frame and
        names of the stations, ``reference_date`` the date.

    Raises
    ------
    ReferencePointError
        If more than one place is given, the point lies outside the grid, the polygon holds no pixel centre, no station
        with a velocity lies in the grid, or the window is not odd and positive. When computed: if the reference has no
        usable data; the message names the dates, if it is not all.
    DateError
        If the date is no acquisition.
    SchemaError
        If there is nothing to refer, no series for a date, no velocity and look vectors for stations, or the motion of
        a plate has been removed from the track and the stations are in a global frame.

    See Also
    --------
    project_stations : Line-of-sight velocities of stations, and what the track observes there.
    mimtpy_cloud.kernels.tie.fit_constant : The robust constant.
    remove_plate_motion : The ramp that a plate causes.

    Notes
    -----
    A pixel of the window or polygon counts if it is ``valid`` (where the dataset says) and has data on every date, so
    that the same pixels are averaged on all dates. A pixel without data on the reference date has none afterwards. A
    mean is linear, so that it does not matter whether a series is referred before or after a velocity is fitted to it.
    """
    places = {"point": point, "polygon": polygon, "stations": stations}
    given = [name for name, place in places.items() if place is not None]
    if len(given) > 1:
        raise ReferencePointError(f"set_reference needs one place, got {' and '.join(given)}; choose one")
    if not given and date is None:
        raise ReferencePointError(
            "set_reference needs a point (lon, lat), polygon or stations, a date, or both; got neither"
        )
    names = [name for name in _RELATIVE if name in ds]
    if not names:
        raise SchemaError(
            f"the dataset needs one of {', '.join(_RELATIVE)}; it has {', '.join(map(str, ds.data_vars))}"
        )
    if point is not None:
        ds = _refer_to_point(ds, names, point, window)
    elif polygon is not None:
        ds = _refer_to_polygon(ds, names, polygon)
    elif stations is not None:
        ds = _refer_to_stations(ds, stations, window, up)
    return ds if date is None else _refer_to_date(ds, date)


def _referred(ds: xr.Dataset, references: Mapping[str, xr.DataArray], **datum: Any) -> xr.Dataset:
    """Subtract references, record them, and say in the attributes what is zero now."""
    found = {}
    for name, reference in references.items():
        attrs = {"units": ds[name].attrs.get("units", "1"), "long_name": f"{name} that was subtracted"}
        value = reference.astype(ds[name].dtype)
        found[name] = (ds[name] - value).assign_attrs(ds[name].attrs)
        found[f"reference_{name}"] = value.assign_attrs(attrs)
    result = ds.assign(found)
    result.attrs = {key: value for key, value in ds.attrs.items() if key not in _DATUM} | datum
    return result


def _refer_to_date(ds: xr.Dataset, date: Any) -> xr.Dataset:
    """Subtract the displacement of one date, along the line of sight or decomposed, from all."""
    names = [name for name in _RELATIVE if name in ds and "time" in ds[name].dims]
    if not names:
        require_variables("the dataset", ds, "displacement")
        require_dims("displacement", ds["displacement"].dims, "time", "y", "x")
    for name in names:
        require_dims(name, ds[name].dims, "time", "y", "x")
    dates = parse_dates(ds.indexes["time"].to_numpy())
    index = nearest_date(dates, date, 0)
    rebased = {name: (ds[name] - ds[name].isel(time=index, drop=True)).assign_attrs(ds[name].attrs) for name in names}
    return ds.assign(rebased).assign_attrs(reference_date=str(dates[index]))


def _refer_to_point(ds: xr.Dataset, names: list[str], point: tuple[float, float], window: int) -> xr.Dataset:
    """Subtract the mean of a window of pixels from all pixels."""
    require_odd_window(window)
    row, col, centre = _locate(ds, point)
    near, wide = _around(ds, row, col, int(window) // 2), _around(ds, row, col, _SEARCH)
    usable = [near["valid"] > 0, (wide["valid"] > 0).rename(y="wide_y", x="wide_x")] if "valid" in ds else []
    where: dict[str, Any] = {"centre": centre, "position": (row - max(0, row - _SEARCH), col - max(0, col - _SEARCH))}
    where |= {dim: wide.indexes[dim].to_numpy() for dim in ("time", "y", "x") if dim in wide.indexes}
    references = {}
    for name in names:
        dims = [str(dim) for dim in ds[name].dims]
        references[name] = xr.apply_ufunc(
            _reference_value,
            *(_whole(array) for array in (near[name], *usable)),
            input_core_dims=[dims, ["y", "x"], ["wide_y", "wide_x"]][: 1 + len(usable)],
            output_core_dims=[[dim for dim in dims if dim not in ("y", "x")]],
            kwargs=where,
            dask="parallelized",
            keep_attrs=True,  # those of the coordinates
            output_dtypes=[ds[name].dtype],
        )
    return _referred(ds, references, reference_point=list(centre))


def _refer_to_polygon(ds: xr.Dataset, names: list[str], polygon: Any) -> xr.Dataset:
    """Subtract the mean of the pixels in polygons from all pixels."""
    outlines = _outlines(polygon)
    rows, cols, inside = pixels_in_polygons(ds, outlines)
    if not inside.any():
        raise ReferencePointError(f"the polygon holds no pixel centre of the grid [{_bounds(ds)}]; choose a larger one")
    part, chosen = ds.isel(y=rows, x=cols), xr.DataArray(inside, dims=("y", "x"))
    if "valid" in ds:
        chosen = chosen & (part["valid"] > 0)
    references = {}
    for name in names:
        known = abs(part[name]) < np.inf
        good = chosen & (known.all("time") if "time" in known.dims else known)
        references[name] = xr.apply_ufunc(
            _mean_or_refuse,
            part[name].where(good, 0).sum(("y", "x"), dtype=np.float64, skipna=False),
            good.sum(("y", "x")),
            kwargs={"pixels": int(inside.sum())},
            dask="parallelized",
            keep_attrs=True,
            output_dtypes=[np.float64],
        )
    return _referred(ds, references, reference_polygon=[outline.tolist() for outline in outlines])


def _outlines(polygon: Any) -> list[np.ndarray]:
    """Corners of each polygon, checked."""
    several = isinstance(polygon, Sequence) and len(polygon) > 0 and np.ndim(polygon[0]) == 2
    outlines = [np.asarray(p, np.float64) for p in (polygon if several else [polygon])]
    for outline in outlines:
        if outline.ndim != 2 or outline.shape[0] < 3 or outline.shape[1] != 2 or not np.isfinite(outline).all():
            raise ReferencePointError(
                f"a polygon needs three or more corners (lon, lat), finite, got an array of shape {outline.shape}"
            )
    return outlines


def _mean_or_refuse(total: np.ndarray, count: np.ndarray, *, pixels: int) -> np.ndarray:
    if count.size and not np.all(count):
        raise ReferencePointError(
            f"none of the {pixels} pixels in the polygon is valid and has data on all dates; choose another polygon"
        )
    return np.asarray(total / count)


def _refer_to_stations(ds: xr.Dataset, stations: xr.Dataset, window: int, up: str) -> xr.Dataset:
    """Subtract the constant by which the track exceeds the stations."""
    if not isinstance(stations, xr.Dataset):
        raise SchemaError(f"stations must be a dataset, as read_stations gives it, got {stations!r}")
    frame = str(stations.attrs.get("frame", ""))
    if "plate_motion" in ds.attrs and is_global_frame(frame):
        plate = ds.attrs["plate_motion"]["plate"]
        raise SchemaError(
            f"the track moves with {plate}, the stations are in {frame}: tie it first, then remove the plate"
        )
    ties = project_stations(ds, stations, window=window, up=up)
    if not ties.sizes["station"]:
        left = ", ".join(f"{ties.attrs[name]} {name.replace('_', ' ')}" for name in ("outside", "without_velocity"))
        lacks = ties.attrs["without_up"]
        hint = f", {lacks} without up velocity, which up='zero' takes as zero" if lacks else ""
        raise ReferencePointError(
            f"none of the {stations.sizes['station']} stations can be used in the grid [{_bounds(ds)}]: {left}{hint}"
        )
    fitted = xr.apply_ufunc(
        _fit_or_refuse,
        (ties["observed"] - ties["los"]).reset_coords(drop=True),
        ties["los_std"].reset_coords(drop=True),
        kwargs={"window": int(window)},
        input_core_dims=[["station"], ["station"]],
        output_core_dims=[["quantity"]],
        dask="parallelized",
        output_dtypes=[np.float64],
        dask_gufunc_kwargs={"output_sizes": {"quantity": len(_FITTED)}},
    )
    values = {name: fitted.isel(quantity=k) for k, name in enumerate(_FITTED)}
    names = ties["station"].to_numpy().tolist()
    result = _referred(ds, {"velocity": values["reference_velocity"]}, reference_frame=frame, reference_stations=names)
    return result.assign(
        {name: values[name].assign_attrs(units=units, long_name=text) for name, (units, text) in _FITTED.items()}
    )


def _fit_or_refuse(difference: np.ndarray, sigma: np.ndarray, *, window: int) -> np.ndarray:
    fitted = tie.fit_constant(difference, sigma)
    if difference.size and not fitted[-1]:
        raise ReferencePointError(
            f"none of the {difference.size} stations in the grid has a usable pixel in its window of {window}; "
            "choose a wider window"
        )
    return fitted


def _bounds(ds: xr.Dataset) -> str:
    return ", ".join(f"{v:.6g}" for v in grid_of(ds).bounds)


def _reference_value(
    data: np.ndarray,
    usable: np.ndarray | None = None,
    wide: np.ndarray | None = None,
    *,
    centre: tuple[float, float],
    position: tuple[int, int],
    y: np.ndarray,
    x: np.ndarray,
    time: np.ndarray | None = None,
) -> np.ndarray:
    """Average the pixels of a window that are usable on all dates; the keywords only serve the message."""
    known = np.isfinite(data).reshape(-1, *data.shape[-2:])
    good = known.all(axis=0)
    if usable is not None:
        good &= usable
    if good.any():
        return np.asarray(data[..., good].mean(axis=-1, dtype=np.float64).astype(data.dtype))
    hint = "choose another point, or a wider window"
    if wide is not None and wide.any():
        rows, cols = np.nonzero(wide)
        best = np.argmin((rows - position[0]) ** 2 + (cols - position[1]) ** 2)
        hint += f"; the nearest valid pixel is at {x[cols[best]]:.6g}, {y[rows[best]]:.6g}"
    when = _missing_dates(known.any(axis=(1, 2)), time) if data.ndim == 3 else ""
    raise ReferencePointError(f"the reference at {centre[0]:.6g}, {centre[1]:.6g} has no usable data{when}; {hint}")


def _missing_dates(has_data: np.ndarray, time: np.ndarray | None) -> str:
    """Name some dates without data, unless it is all or none."""
    if time is None or has_data.all() or not has_data.any():
        return ""
    days = parse_dates(time[~has_data]).astype(str).tolist()
    more = f" and {len(days) - 5} more dates" if len(days) > 5 else ""
    return f" on {', '.join(days[:5])}{more}"


def _locate(ds: xr.Dataset, point: tuple[float, float]) -> tuple[int, int, tuple[float, float]]:
    """Row and column of the pixel that contains a point, and longitude and latitude of its centre."""
    projection = map_projection(ds)
    rows, cols, inside = pixels_at(ds, *point)
    if not inside:
        raise ReferencePointError(f"reference point {point} (lon, lat) lies outside the grid [{_bounds(ds)}]")
    i, j = int(rows), int(cols)
    x, y = float(ds.indexes["x"][j]), float(ds.indexes["y"][i])
    return i, j, projection(x, y, inverse=True) if projection else (x, y)


def _around(ds: xr.Dataset, row: int, col: int, half: int) -> xr.Dataset:
    """Square of pixels around one, cut at the edges of the grid."""
    return ds.isel(y=slice(max(0, row - half), row + half + 1), x=slice(max(0, col - half), col + half + 1))


def _whole(da: xr.DataArray) -> xr.DataArray:
    """Join the chunks of a small array."""
    return da if da.chunks is None else da.chunk(-1)
