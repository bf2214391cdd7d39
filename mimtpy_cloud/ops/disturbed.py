"""Displacement series with what disturbs them, and with motion of sources, added."""

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any

import numpy as np
import xarray as xr

from mimtpy_cloud.errors import SchemaError
from mimtpy_cloud.ops.disturbance import simulate_atmosphere, simulate_ramp, simulate_white_noise
from mimtpy_cloud.ops.model import Model, evaluate_model
from mimtpy_cloud.ops.pixels import pixels_at
from mimtpy_cloud.schema import DAYS_PER_YEAR, require_dims, require_variables

__all__ = ["disturb"]


def disturb(
    ds: xr.Dataset,
    *,
    ramp: Mapping[str, float] | Sequence[Mapping[str, float]] | None = None,
    boundaries: Sequence[Sequence[float]] = (),
    origin: tuple[float, float] | None = None,
    atmosphere: tuple[float, float] | None = None,
    white: float = 0.0,
    sources: Sequence[tuple[Model, Mapping[str, float]]] = (),
    seed: int = 0,
) -> xr.Dataset:
    """
    Add ramps, noise and the motion of sources to a displacement series.

    Parameters
    ----------
    ds : xr.Dataset
        Canonical series ``displacement (time, y, x)``, with its reference point and date among the attributes.
    ramp, boundaries, origin : object
        As for `simulate_ramp`; every date but the reference date has it.
    atmosphere : tuple of float, optional
        Sill in m^2 and range in m, as for `simulate_atmosphere`.
    white : float
        Standard deviation in m, as for `simulate_white_noise`.
    sources : sequence of (callable, mapping)
        Models with their parameters, as for `mimtpy_cloud.ops.model.evaluate_model`: motion of a year, in m/yr.
    seed : int
        Key of the noise.

    Returns
    -------
    xr.Dataset
        With all of them in its displacement, lazily. What is added is 0 at the reference point and the reference date,
        as the displacement is: a date has its own noise less that of the reference date.

    Raises
    ------
    SchemaError
        If there is no series, or no reference, or the reference point lies outside.
    RampError, ParameterError
        As from the functions above.

    See Also
    --------
    mimtpy_cloud.ops.simulate.simulate_scene : A whole series with known truth.
    """
    require_variables("the series", ds.variables, "displacement", "time")
    require_dims("displacement", ds["displacement"].dims, "time", "y", "x")
    missing = [name for name in ("reference_point", "reference_date") if not ds.attrs.get(name)]
    if missing:
        raise SchemaError(f"a series needs the attributes {', '.join(missing)} to be disturbed; call set_reference()")
    rows, cols, inside = pixels_at(ds, *(np.array([degrees]) for degrees in ds.attrs["reference_point"]))
    if not inside[0]:
        lon, lat = ds.attrs["reference_point"]
        raise SchemaError(
            f"the reference point {lon:.6g}, {lat:.6g} (lon, lat) lies outside the series; call set_reference() with a "
            "point inside"
        )
    options: dict[str, Any] = {"ramp": ramp, "boundaries": boundaries, "origin": origin, "sources": sources}
    added = _added(ds, atmosphere=atmosphere, white=white, seed=seed, **options)
    pixel = added.isel(y=int(rows[0]), x=int(cols[0]), drop=True)
    displacement = ds["displacement"] + (added - pixel).astype(np.float32)
    return ds.assign(displacement=displacement.transpose("time", "y", "x").assign_attrs(ds["displacement"].attrs))


def _added(
    ds: xr.Dataset,
    *,
    ramp: Any,
    boundaries: Sequence[Sequence[float]],
    origin: tuple[float, float] | None,
    sources: Sequence[tuple[Model, Mapping[str, float]]],
    **noise: Any,
) -> xr.DataArray:
    """What is added, 0 at the reference date."""
    days = ds.indexes["time"].to_numpy().astype("datetime64[D]")
    first = np.datetime64(ds.attrs["reference_date"], "D")
    years = xr.DataArray(((days - first).astype(np.int64) / DAYS_PER_YEAR).astype(np.float32), dims="time")
    total = xr.zeros_like(ds["displacement"])
    if ramp is not None:
        total = total + simulate_ramp(ds, ramp, boundaries=boundaries, origin=origin) * (years != 0)
    for model, parameters in sources:
        total = total + evaluate_model(model, ds, **parameters) * years
    for fields in _noises(ds, **noise):
        total = total + (fields(days) - fields([first]).isel(time=0, drop=True))
    return total


def _noises(
    ds: xr.Dataset, *, atmosphere: tuple[float, float] | None, white: float, seed: int
) -> list[Callable[..., xr.DataArray]]:
    """Functions that give the fields of dates."""
    noises: list[Callable[..., xr.DataArray]] = []
    if atmosphere is not None:
        sill, range_m = atmosphere
        noises.append(partial(_fields, simulate_atmosphere, ds, sill=sill, range_m=range_m, seed=seed))
    if white:
        noises.append(partial(_fields, simulate_white_noise, ds, std=white, seed=seed))
    return noises


def _fields(make: Callable[..., xr.DataArray], ds: xr.Dataset, dates: Any, **options: Any) -> xr.DataArray:
    return make(ds, dates=dates, **options)
