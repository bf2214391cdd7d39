"""What modelling codes take of a product: one map or list of points along the line of sight, its look, its dates."""

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import xarray as xr

from mimtpy_cloud.errors import DateError, GridMismatchError, SchemaError
from mimtpy_cloud.exports.grids import grid_of
from mimtpy_cloud.exports.publish import staged
from mimtpy_cloud.kernels.look import azimuth_from_heading, incidence_and_azimuth
from mimtpy_cloud.plan.grid import Grid
from mimtpy_cloud.schema import DAYS_PER_YEAR, LOS, require_variables

__all__ = [
    "compact",
    "degree_grid",
    "displacement_of",
    "heading_of",
    "line_of_sight",
    "look_angles",
    "one_map",
    "phase_of",
    "span_of",
    "staged_together",
]

#: A wavelength is that of the product within this part.
_SAME_WAVELENGTH = 1e-3

_UNITS = ("m", "m/yr")
#: In these units, but no motion along the line of sight.
_OTHERS = ("east", "north", "up", "horizontal", "height", "slant_range")


def line_of_sight(ds: xr.Dataset, variable: str | None = None) -> xr.DataArray:
    """
    Take the displacement or the velocity of a product.

    Parameters
    ----------
    ds : xr.Dataset
        Dimensions ``(y, x)``, or one of points.
    variable : str, optional
        Which; by default `displacement`, else `velocity`.

    Returns
    -------
    xr.DataArray
        In m or m/yr, as its attribute ``units`` says; positive toward the satellite.

    Raises
    ------
    SchemaError
        If there is none, it is a time series, another quantity such as height or east, or its unit is another.

    Examples
    --------
    >>> ds = xr.Dataset({"velocity": ("point", [0.01], {"units": "m/yr"})})
    >>> line_of_sight(ds).attrs["units"]
    'm/yr'
    """
    name = variable or next((name for name in ("displacement", "velocity") if name in ds), "displacement or velocity")
    require_variables("a product for modelling", ds.data_vars, name)
    found = ds[name]
    if name in _OTHERS or name.endswith("_std"):
        raise SchemaError(f"{name} is no motion along the line of sight; take displacement or velocity")
    if "time" in found.dims:
        raise SchemaError(f"{name} is a time series; take its velocity or the displacement between two dates first")
    if found.ndim != 1 and found.dims != ("y", "x"):
        raise SchemaError(f"{name} needs dimensions ('y', 'x') or one of points, got {found.dims}; transpose it")
    if found.attrs.get("units") not in _UNITS:
        raise SchemaError(f"{name} must be in m or m/yr, got units {found.attrs.get('units')!r}; convert it")
    return found


def one_map(ds: xr.Dataset, variable: str | None = None) -> xr.DataArray:
    """
    Take the one map of a product, whatever it shows.

    Parameters
    ----------
    ds : xr.Dataset
        Product.
    variable : str, optional
        Which; by default `displacement` or `velocity`, else the only one there is.

    Returns
    -------
    xr.DataArray
        Dimensions ``(y, x)``.

    Raises
    ------
    SchemaError
        If there is none, or several and no name.
    """
    maps = [str(name) for name, found in ds.data_vars.items() if found.dims == ("y", "x")]
    main = [name for name in ("displacement", "velocity") if name in maps]
    names = [variable] if variable else main[:1] or maps
    if len(names) != 1 or names[0] not in maps:
        asked = f"{variable} is no map (y, x)" if variable else "which map"
        raise SchemaError(f"{asked}; the product has {', '.join(maps) or 'none'}; give variable (--variable)")
    return ds[names[0]]


def span_of(ds: xr.Dataset, what: str) -> tuple[np.datetime64, np.datetime64]:
    """
    Read the first and last date of a product.

    Parameters
    ----------
    ds : xr.Dataset
        With attributes ``start_date`` and ``end_date``, ISO.
    what : str
        Why they are needed, for the message.

    Returns
    -------
    start, end : np.datetime64
        Days.

    Raises
    ------
    DateError
        If they are missing or malformed, or the first is not before the last.

    Examples
    --------
    >>> span_of(xr.Dataset(attrs={"start_date": "2020-01-05", "end_date": "2020-01-17"}), "a phase")
    (np.datetime64('2020-01-05'), np.datetime64('2020-01-17'))
    """
    texts = [str(ds.attrs.get(name, "none")) for name in ("start_date", "end_date")]
    try:
        start, end = (np.datetime64(text, "D") for text in texts)
    except ValueError:
        raise DateError(
            f"{what} needs the attributes start_date and end_date as YYYY-MM-DD, got {' and '.join(texts)}; "
            "ds.assign_attrs(start_date=..., end_date=...) in Python, --span START END at the shell"
        ) from None
    if not start < end:
        raise DateError(f"{what} needs start_date before end_date, got {start} and {end}")
    return start, end


def compact(day: np.datetime64) -> str:
    """
    Write a date without dashes.

    Parameters
    ----------
    day : np.datetime64
        Day.

    Returns
    -------
    str

    Examples
    --------
    >>> compact(np.datetime64("2020-01-05"))
    '20200105'
    """
    return str(day).replace("-", "")


def displacement_of(ds: xr.Dataset, variable: str | None = None) -> xr.DataArray:
    """
    Take the displacement of a product, of a velocity what it makes between the first and the last date.

    Parameters
    ----------
    ds : xr.Dataset
        Product.
    variable : str, optional
        As for `line_of_sight`.

    Returns
    -------
    xr.DataArray
        In m, lazy if the product is.

    Raises
    ------
    SchemaError, DateError
        If there is none, or it is a velocity without dates.

    Examples
    --------
    >>> dates = {"start_date": "2019-01-01", "end_date": "2021-01-01"}
    >>> ds = xr.Dataset({"velocity": ("point", [0.36525], {"units": "m/yr"})}, attrs=dates)
    >>> displacement_of(ds).values.round(6).tolist()
    [0.731]
    """
    found = line_of_sight(ds, variable)
    if found.attrs["units"] == "m":
        return found
    start, end = span_of(ds, "a velocity as displacement")
    years = int((end - start).astype(int)) / DAYS_PER_YEAR
    return (found * years).astype(found.dtype).assign_attrs(found.attrs | {"units": "m"})


def phase_of(ds: xr.Dataset, variable: str | None = None, wavelength: float | None = None) -> xr.DataArray:
    """
    Turn the displacement of a product into unwrapped phase.

    Parameters
    ----------
    ds : xr.Dataset
        Product, with attribute ``wavelength`` in m.
    variable : str, optional
        As for `line_of_sight`.
    wavelength : float, optional
        In m, where the product does not say.

    Returns
    -------
    xr.DataArray
        In rad, float64: ``-4 pi / wavelength`` times the displacement, so that motion away is positive.

    Raises
    ------
    SchemaError, DateError
        If there is no displacement or no wavelength, or one is given that is not that of the product.

    Examples
    --------
    >>> ds = xr.Dataset({"displacement": ("point", [0.014], {"units": "m"})}, attrs={"wavelength": 0.05546576})
    >>> phase_of(ds).values.round(9).tolist()
    [-3.171852123]
    """
    known = ds.attrs.get("wavelength")
    if wavelength is not None and known is not None and abs(float(known) - wavelength) > _SAME_WAVELENGTH * wavelength:
        raise SchemaError(f"the product says its wavelength, {known} m, got {wavelength} m; leave it out")
    length = known if wavelength is None else wavelength
    if length is None or not 0.001 < float(length) < 10:
        raise SchemaError(f"a phase needs the radar's wavelength in m, got {length}; give wavelength (--wavelength)")
    displacement = displacement_of(ds, variable)
    phase = displacement.astype("float64") * (-4 * np.pi / float(length))
    return phase.assign_attrs(units="rad", long_name="unwrapped phase, away from the satellite positive")


def look_angles(ds: xr.Dataset) -> tuple[xr.DataArray, xr.DataArray]:
    """
    Encode the look of a product as angles.

    Parameters
    ----------
    ds : xr.Dataset
        With `los_east, los_north, los_up`, lazy or not.

    Returns
    -------
    incidence_angle : xr.DataArray
        Degrees from the vertical, float64.
    los_azimuth_angle : xr.DataArray
        Degrees from north, anticlockwise, ground to satellite, float64.

    Raises
    ------
    SchemaError
        If the product has no look.
    """
    require_variables("a product for modelling", ds.data_vars, *LOS)
    incidence, azimuth = xr.apply_ufunc(
        incidence_and_azimuth,
        *(ds[name] for name in LOS),
        output_core_dims=[[], []],
        dask="parallelized",
        output_dtypes=[np.float64, np.float64],
    )
    return incidence, azimuth


def heading_of(ds: xr.Dataset, azimuth: Any) -> np.ndarray:
    """
    Turn the azimuth of the line of sight into the flight direction.

    Parameters
    ----------
    ds : xr.Dataset
        Whose attribute ``look_side`` tells the side of the antenna; right if it does not.
    azimuth : array_like
        Degrees from north, anticlockwise, ground to satellite.

    Returns
    -------
    np.ndarray
        Degrees from north, clockwise, in (-180, 180].

    Examples
    --------
    >>> heading_of(xr.Dataset(), [102.0, -102.0]).tolist()
    [-12.0, -168.0]
    """
    return azimuth_from_heading(azimuth, str(ds.attrs.get("look_side", "right")))


def degree_grid(ds: xr.Dataset | xr.DataArray, what: str) -> Grid:
    """
    Recover the grid of a product that must be geographic.

    Parameters
    ----------
    ds : xr.Dataset or xr.DataArray
        Product.
    what : str
        Format, for the message.

    Returns
    -------
    Grid

    Raises
    ------
    GridMismatchError
        If the grid is not in degrees.
    """
    grid = grid_of(ds)
    if grid.crs != "EPSG:4326":
        raise GridMismatchError(f"{what} needs a grid in degrees (EPSG:4326), got {grid.crs}; ingest it on the lattice")
    return grid


@contextmanager
def staged_together(*urls: str) -> Iterator[list[Path]]:
    """
    Yield a local path for each of several files, and publish all of them when the block ends without an error.

    Parameters
    ----------
    *urls : str
        Final places; published in this order, so that the last is the one that readers ask for.

    Yields
    ------
    list of Path
        In the order of the places.

    Raises
    ------
    StorageError
        If a place cannot be written.
    """
    with ExitStack() as stack:
        yield [stack.enter_context(staged(url)) for url in reversed(urls)][::-1]
