"""Displacement between two dates, and velocity, of one track."""

import logging
import os
from collections.abc import Iterable
from typing import Any

import numpy as np
import xarray as xr

from mimtpy_cloud.errors import DateError, SchemaError, StorageError
from mimtpy_cloud.kernels import rate as kernel
from mimtpy_cloud.location import locate, reaching
from mimtpy_cloud.plan.dates import (
    MAX_GAP_DAYS,
    nearest_date,
    parse_date,
    parse_date_list,
    parse_dates,
    years_elapsed,
    years_mintpy,
)
from mimtpy_cloud.schema import VARIABLES, require_dims, require_variables

__all__ = ["displacement_between", "estimate_velocity"]

_log = logging.getLogger(__name__)

_YEARS = {"elapsed": years_elapsed, "mintpy": years_mintpy}
_FITTED = ("velocity", "velocity_std", "intercept", "count")


def displacement_between(ds: xr.Dataset, start: Any, end: Any, *, max_gap_days: float = MAX_GAP_DAYS) -> xr.Dataset:
    """
    Subtract the displacement of one date from that of a later one.

    Parameters
    ----------
    ds : xr.Dataset
        Canonical dataset with ``displacement (time, y, x)`` in m.
    start, end : date
        Wanted dates, as ``YYYYMMDD``, ``YYYY-MM-DD`` or date objects; the nearest acquisition is taken.
    max_gap_days : float
        Largest allowed distance from a wanted date to its acquisition.

    Returns
    -------
    xr.Dataset
        ``displacement (y, x)`` in m, positive toward the satellite, NaN where either date has no data; the
        variables of `ds` without time; attributes ``start_date`` and ``end_date`` are the acquisitions taken, and
        ``reference_date`` is the first of them.

    Raises
    ------
    DateError
        If no acquisition is near enough, one is nearest to both dates, or the start is not before the end.
    SchemaError
        If `ds` is no displacement series.

    See Also
    --------
    estimate_velocity : Uses all dates.
    """
    dates = _series_dates(ds)
    i, j = (nearest_date(dates, wanted, max_gap_days) for wanted in (start, end))
    if i == j:
        raise DateError(
            f"start and end need an acquisition each, got {parse_date(start)} and {parse_date(end)}, "
            f"which are both nearest to {dates[i]}; choose dates further apart"
        )
    if i > j:
        raise DateError(
            f"start must be before end, got {parse_date(start)} and {parse_date(end)}, "
            f"which are nearest to the acquisitions {dates[i]} and {dates[j]}"
        )
    series = ds["displacement"]
    change = series.isel(time=j, drop=True) - series.isel(time=i, drop=True)
    change = change.where(np.isfinite(change))
    change.attrs = VARIABLES["displacement"].attrs
    first, last = str(dates[i]), str(dates[j])
    return _product(ds, {"displacement": change}, start_date=first, end_date=last, reference_date=first)


def estimate_velocity(
    ds: xr.Dataset,
    start: Any = None,
    end: Any = None,
    exclude: Any = None,
    *,
    time_convention: str = "elapsed",
) -> xr.Dataset:
    """
    Fit a straight line to the displacement of every pixel.

    Parameters
    ----------
    ds : xr.Dataset
        Canonical dataset with ``displacement (time, y, x)`` in m.
    start, end : date, optional
        First and last day of the range, both inclusive; they need not be acquisitions. One that is further than
        `MAX_GAP_DAYS` (24) from the date used is told by a warning of the logger.
    exclude : date, iterable of dates, or str or path, optional
        Acquisitions to leave out, or the path or URL of a text file that lists them (MintPy's
        ``exclude_date.txt``).
    time_convention : {"elapsed", "mintpy"}
        Years of 365.25 days, or MintPy's decimal years (for comparison with it).

    Returns
    -------
    xr.Dataset
        ``velocity`` and ``velocity_std`` in m/yr, ``intercept`` in m (the line at the first date used), ``count`` of
        dates with data; the variables of `ds` without time; attributes ``start_date``, ``end_date`` (first and last
        date used), ``n_dates``, ``excluded_dates``, ``time_convention``; no ``reference_date``, which a velocity
        does not depend on.

    Raises
    ------
    DateError
        If fewer than three dates are left, an excluded date is no acquisition, or the convention is unknown.
    SchemaError
        If `ds` is no displacement series.
    StorageError
        If the file of excluded dates cannot be read.

    See Also
    --------
    mimtpy_cloud.kernels.rate.fit_rate : The equations and their reference.

    Notes
    -----
    Lazy: one task a block of pixels, over all its dates. A pixel uses the dates on which it has data.
    """
    if time_convention not in _YEARS:
        raise DateError(f"time_convention must be one of {sorted(_YEARS)}, got {time_convention!r}")
    dates = _series_dates(ds)
    excluded = _excluded(exclude, dates)
    use = ~np.isin(dates, excluded)
    if start is not None:
        use &= dates >= parse_date(start)
    if end is not None:
        use &= dates <= parse_date(end)
    used = dates[use]
    if used.size < 3:
        raise DateError(
            f"a velocity needs at least 3 dates, got {used.size} of {dates.size} ({_span(dates)}) "
            f"with start={start}, end={end} and {excluded.size} excluded; widen the range"
        )
    for word, wanted, day in (("starts", start, used[0]), ("ends", end, used[-1])):
        if wanted is not None and (gap := abs(int((day - parse_date(wanted)).astype(int)))) > MAX_GAP_DAYS:
            name = ds.attrs.get("track", "a track")
            _log.warning("the velocity of %s %s on %s, %d days from %s", name, word, day, gap, parse_date(wanted))
    series = ds["displacement"] if use.all() else ds["displacement"].isel(time=_compact(np.flatnonzero(use)))
    fitted = _fit(series, _YEARS[time_convention](used))
    product = _product(
        ds,
        fitted,
        start_date=str(used[0]),
        end_date=str(used[-1]),
        n_dates=int(used.size),
        excluded_dates=[str(date) for date in excluded],
        time_convention=time_convention,
    )
    product.attrs.pop("reference_date", None)
    return product


def _fit(series: xr.DataArray, years: np.ndarray) -> dict[str, xr.DataArray]:
    """Schedule the kernel over blocks of pixels."""
    if series.chunks is not None and len(series.chunksizes["time"]) > 1:
        series = series.chunk(time=-1)
    results = xr.apply_ufunc(
        _fit_array,
        series,
        kwargs={"years": years},
        input_core_dims=[["time", "y", "x"]],  # in their own order: dask copies a block to transpose it
        output_core_dims=[["quantity", "y", "x"]],
        dask="allowed",
        keep_attrs=True,  # those of the coordinates
    )
    fitted = {name: results.isel(quantity=i, drop=True) for i, name in enumerate(_FITTED)}
    fitted["count"] = fitted["count"].astype(np.int16)
    for name, result in fitted.items():
        result.attrs = VARIABLES[name].attrs
    return fitted


def _fit_array(data: Any, years: np.ndarray) -> Any:
    """Fit an array of shape (time, y, x), in memory or chunked; the results lie along the first axis."""
    if isinstance(data, np.ndarray):
        return _fit_block(data, years)
    chunks = ((len(_FITTED),), *data.chunks[1:])
    return data.map_blocks(_fit_block, years, chunks=chunks, dtype=np.float32, meta=np.empty((0, 0, 0), np.float32))


def _fit_block(block: np.ndarray, years: np.ndarray) -> np.ndarray:
    """Fit a block of shape (time, y, x); counts are exact in float32."""
    results = kernel.fit_rate(block.reshape(years.size, -1), years)
    return np.stack([result.reshape(block.shape[1:]) for result in results], dtype=np.float32)


def _series_dates(ds: xr.Dataset) -> np.ndarray:
    """Acquisitions of a displacement series, checked."""
    if "displacement" not in ds and "velocity" in ds:
        raise SchemaError("the dataset is a velocity product; this needs a displacement series (time, y, x)")
    require_variables("the dataset", ds, "displacement")
    require_dims("displacement", ds["displacement"].dims, "time", "y", "x")
    dates = parse_dates(ds.indexes["time"].to_numpy())
    if not (np.diff(dates) > np.timedelta64(0, "D")).all():
        raise SchemaError("time must ascend, one acquisition a day; sort it with ds.sortby('time') first")
    return dates


def _excluded(exclude: Any, dates: np.ndarray) -> np.ndarray:
    """Dates to leave out, each an acquisition, in order."""
    if isinstance(exclude, str | os.PathLike):
        given = _read_dates(exclude)
    elif isinstance(exclude, Iterable) and getattr(exclude, "ndim", None) != 0:
        given = parse_dates(exclude)
    else:
        given = parse_dates([] if exclude is None else [exclude])
    unknown = [str(date) for date in np.setdiff1d(given, dates)]
    if unknown:
        raise DateError(f"cannot exclude {', '.join(unknown)}: no such acquisition among {dates.size} ({_span(dates)})")
    return np.unique(given)


def _read_dates(source: str | os.PathLike[str]) -> np.ndarray:
    """Dates in a text file, or the one date that the text itself is."""
    try:
        return parse_dates([parse_date(os.fspath(source))])
    except DateError:
        pass
    try:
        fs, path = locate(source)
        with reaching(source), fs.open(path, "rt") as file:
            text = file.read()
    except (OSError, ValueError) as error:
        raise StorageError(f"cannot read excluded dates from {source}: {error}") from error
    return parse_date_list(text)


def _product(ds: xr.Dataset, variables: dict[str, xr.DataArray], **attrs: Any) -> xr.Dataset:
    """Replace what depends on time by 2-D results; keep the rest."""
    timed = [name for name, variable in ds.variables.items() if "time" in variable.dims]
    return ds.drop_vars(timed).assign(variables).assign_attrs(attrs)


def _compact(index: np.ndarray) -> slice | np.ndarray:
    """Turn a run of consecutive indices into a slice, which needs no copy."""
    contiguous = index[-1] - index[0] + 1 == index.size
    return slice(int(index[0]), int(index[-1]) + 1) if contiguous else index


def _span(dates: np.ndarray) -> str:
    """First and last date, for messages."""
    return f"{dates[0]} to {dates[-1]}" if dates.size else "none"
