"""Change the spatial and temporal datum of a track."""

import math
from typing import Any

import numpy as np
import xarray as xr

from mimtpy_cloud.errors import ReferencePointError, SchemaError
from mimtpy_cloud.ops.select import grid_of, projection_of
from mimtpy_cloud.plan.dates import nearest_date, parse_dates
from mimtpy_cloud.schema import require_dims, require_variables

__all__ = ["set_reference"]

#: Variables that are relative to a datum; geometry, quality and standard deviations are not.
_RELATIVE = ("displacement", "velocity", "intercept", "east", "north", "horizontal", "up")
#: A point within this fraction of a pixel of a pixel edge lies on it, and belongs to the pixel east or south.
_ON_EDGE = 1e-6
#: How far, in pixels, the message about a bad reference looks for a better one.
_SEARCH = 25


def set_reference(
    ds: xr.Dataset, *, point: tuple[float, float] | None = None, window: int = 1, date: Any = None
) -> xr.Dataset:
    """
    Refer displacement and velocity, along the line of sight or decomposed, to another place, another date, or both.

    Parameters
    ----------
    ds : xr.Dataset
        Canonical dataset with ``displacement`` (with or without time), ``velocity``, or the components that
        `invert_enu` makes of them.
    point : tuple of float, optional
        Longitude and latitude in degrees. The pixel that contains it is the reference.
    window : int
        Odd side in pixels of a square around that pixel, whose usable pixels are averaged.
    date : date, optional
        Acquisition that becomes the reference date of a displacement series.

    Returns
    -------
    xr.Dataset
        ``displacement``, ``velocity``, ``intercept``, ``east``, ``north``, ``horizontal`` and ``up`` less their value
        at the reference; everything else as it was. Attribute ``reference_point`` is the centre of the pixel,
        ``reference_date`` the date.

    Raises
    ------
    ReferencePointError
        If the point lies outside the grid, or the window is not odd and positive. When computed: if the
        reference has no usable data; the message names the dates, if it is not all.
    DateError
        If the date is no acquisition.
    SchemaError
        If there is nothing to refer, or no series for a date.

    Notes
    -----
    A pixel of the window counts if it is ``valid`` (where the dataset says) and has data on every date, so that the
    same pixels are averaged on all dates. A pixel without data on the reference date has none afterwards.
    """
    if point is None and date is None:
        raise ReferencePointError("set_reference needs a point (lon, lat), a date, or both; got neither")
    names = [name for name in _RELATIVE if name in ds]
    if not names:
        raise SchemaError(
            f"the dataset needs one of {', '.join(_RELATIVE)}; it has {', '.join(map(str, ds.data_vars))}"
        )
    if point is not None:
        ds = _refer_to_point(ds, names, point, window)
    return ds if date is None else _refer_to_date(ds, date)


def _refer_to_date(ds: xr.Dataset, date: Any) -> xr.Dataset:
    """Subtract the displacement of one date from all."""
    require_variables("the dataset", ds, "displacement")
    series = ds["displacement"]
    require_dims("displacement", series.dims, "time", "y", "x")
    dates = parse_dates(ds.indexes["time"].to_numpy())
    index = nearest_date(dates, date, 0)
    rebased = (series - series.isel(time=index, drop=True)).assign_attrs(series.attrs)
    return ds.assign(displacement=rebased).assign_attrs(reference_date=str(dates[index]))


def _refer_to_point(ds: xr.Dataset, names: list[str], point: tuple[float, float], window: int) -> xr.Dataset:
    """Subtract the mean of a window of pixels from all pixels."""
    if not isinstance(window, int | float | np.integer | np.floating) or window < 1 or window % 2 != 1:
        raise ReferencePointError(f"window must be an odd number of pixels, got {window!r}")
    row, col, centre = _locate(ds, point)
    near, wide = _around(ds, row, col, int(window) // 2), _around(ds, row, col, _SEARCH)
    usable = [near["valid"] > 0, (wide["valid"] > 0).rename(y="wide_y", x="wide_x")] if "valid" in ds else []
    where: dict[str, Any] = {"centre": centre, "position": (row - max(0, row - _SEARCH), col - max(0, col - _SEARCH))}
    where |= {dim: wide.indexes[dim].to_numpy() for dim in ("time", "y", "x") if dim in wide.indexes}
    referred = {}
    for name in names:
        dims = [str(dim) for dim in ds[name].dims]
        reference = xr.apply_ufunc(
            _reference_value,
            *(_whole(array) for array in (near[name], *usable)),
            input_core_dims=[dims, ["y", "x"], ["wide_y", "wide_x"]][: 1 + len(usable)],
            output_core_dims=[[dim for dim in dims if dim not in ("y", "x")]],
            kwargs=where,
            dask="parallelized",
            keep_attrs=True,  # those of the coordinates
            output_dtypes=[ds[name].dtype],
        )
        referred[name] = (ds[name] - reference).assign_attrs(ds[name].attrs)
    return ds.assign(referred).assign_attrs(reference_point=list(centre))


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
    grid = grid_of(ds)
    projection = projection_of(ds)
    x, y = projection(*point) if projection else point
    row, col = (grid.north - y) / grid.dy + _ON_EDGE, (x - grid.west) / grid.dx + _ON_EDGE
    if not (0 <= row < grid.ny and 0 <= col < grid.nx):
        have = ", ".join(f"{v:.6g}" for v in grid.bounds)
        raise ReferencePointError(f"reference point {point} (lon, lat) lies outside the grid [{have}]")
    i, j = math.floor(row), math.floor(col)
    x, y = float(ds.indexes["x"][j]), float(ds.indexes["y"][i])
    return i, j, projection(x, y, inverse=True) if projection else (x, y)


def _around(ds: xr.Dataset, row: int, col: int, half: int) -> xr.Dataset:
    """Square of pixels around one, cut at the edges of the grid."""
    return ds.isel(y=slice(max(0, row - half), row + half + 1), x=slice(max(0, col - half), col + half + 1))


def _whole(da: xr.DataArray) -> xr.DataArray:
    """Join the chunks of a small array."""
    return da if da.chunks is None else da.chunk(-1)
