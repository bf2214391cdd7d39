"""Write the JSON files that MimtPy's searches read and write."""

import json
import os
from typing import Any

import numpy as np
import xarray as xr

from mimtpy_cloud.errors import SchemaError
from mimtpy_cloud.exports.publish import publish_bytes
from mimtpy_cloud.kernels.look import incidence_and_azimuth
from mimtpy_cloud.schema import LOS, require_variables

__all__ = ["model_name", "write_metric_json", "write_model_json", "write_points_json"]

_KEYS = {"rms": "rmse", "misfit": "lc_um_residual"}
_GRID = ("Y_FIRST", "X_FIRST", "Y_STEP", "X_STEP")


def write_points_json(
    ds: xr.Dataset, displacement: str | os.PathLike[str], angles: str | os.PathLike[str] | None = None
) -> None:
    """
    Write observed points as ``points_disp.json`` and ``points_angle.json``.

    Parameters
    ----------
    ds : xr.Dataset
        One dimension: `lon`, `lat`, `displacement` (m), and for the angles `los_east, los_north, los_up`. Attributes
        `reference_point` (lon, lat), and `Y_FIRST, X_FIRST, Y_STEP, X_STEP` of the grid that the points come from; for
        points from none, the first two become their north-west corner and the steps zero.
    displacement : str or path
        Place of the displacements.
    angles : str or path, optional
        Place of incidence and azimuth, in degrees; the azimuth is anticlockwise from north, ground to satellite.

    Raises
    ------
    SchemaError
        If a variable or the reference point is missing, or points have several dimensions.
    StorageError
        If a file cannot be written.

    See Also
    --------
    mimtpy_cloud.io.mimtpyjson.read_points_json : The way back.
    """
    _require_points(ds, "lon", "lat", "displacement", *(LOS if angles is not None else ()))
    if "reference_point" not in ds.attrs:
        raise SchemaError("points need the attribute reference_point (lon, lat); set ds.attrs['reference_point']")
    lon, lat = (np.asarray(ds[name], np.float64) for name in ("lon", "lat"))
    corner = {
        "Y_FIRST": np.max(lat, initial=-90.0),
        "X_FIRST": np.min(lon, initial=360.0),
        "Y_STEP": 0.0,
        "X_STEP": 0.0,
    }
    place = ds.attrs["reference_point"]
    head = {"Ref_lat": float(place[1]), "Ref_lon": float(place[0])}
    head |= {key: float(ds.attrs.get(key, corner[key])) for key in _GRID}
    _write(head | {"lalo_value": _rows(lat, lon, ds["displacement"])}, displacement)
    if angles is not None:
        looks = incidence_and_azimuth(*(ds[name].values for name in LOS))
        _write(head | {"lalo_value": _rows(lat, lon, *looks)}, angles)


def write_model_json(ds: xr.Dataset, url: str | os.PathLike[str]) -> None:
    """
    Write the displacement that a model gives at points.

    Parameters
    ----------
    ds : xr.Dataset
        One dimension: `lon`, `lat`, `east`, `north`, `up` (m).
    url : str or path
        Place, whose name `model_name` makes.

    Raises
    ------
    SchemaError
        If a variable is missing, or points have several dimensions.
    StorageError
        If the file cannot be written.

    See Also
    --------
    mimtpy_cloud.io.mimtpyjson.read_model_json : The way back.
    """
    _require_points(ds, "lon", "lat", "east", "north", "up")
    _write({"displacement": _rows(ds["lon"], ds["lat"], ds["north"], ds["east"], -ds["up"])}, url)


def model_name(first: float, second: float, prefix: str = "vs") -> str:
    """
    Name the file of a model as MimtPy does, by two values in hundredths.

    Parameters
    ----------
    first, second : float
        Values of its parameters, from 0 to below 100.
    prefix : str
        What stands before them.

    Returns
    -------
    str

    Raises
    ------
    SchemaError
        If a value does not fit into four digits, of which two are decimals.

    Examples
    --------
    >>> model_name(17, 18.25)
    'vs_17001825.json'
    """
    for value in (first, second):
        if not 0 <= value < 100 or abs(value * 100 - round(value * 100)) > 1e-6:
            raise SchemaError(f"the name of a model holds values from 0 to 99.99 in hundredths, got {value}")
    return f"{prefix}_{round(first * 100):04d}{round(second * 100):04d}.json"


def write_metric_json(da: xr.DataArray, url: str | os.PathLike[str]) -> None:
    """
    Write the result of a search over two parameters.

    Parameters
    ----------
    da : xr.DataArray
        `rms` (written as ``rmse``) or `misfit` (``lc_um_residual``), over two dimensions with coordinates.
    url : str or path
        Place, for MimtPy ``rmse.json`` or ``grid_search_residual_RELAX.json``.

    Raises
    ------
    SchemaError
        If the name is neither, or there are not two dimensions with coordinates.
    StorageError
        If the file cannot be written.

    See Also
    --------
    mimtpy_cloud.io.mimtpyjson.read_metric_json : The way back.
    """
    if da.name not in _KEYS:
        raise SchemaError(f"expected a result called {' or '.join(_KEYS)}, got {da.name!r}; rename it")
    if da.ndim != 2 or not all(dim in da.coords for dim in da.dims):
        raise SchemaError(f"expected a result over two parameters, got dimensions {da.dims}; select the others first")
    mesh = np.meshgrid(*(da[dim].values for dim in da.dims), indexing="ij")
    _write({_KEYS[str(da.name)]: _rows(*(values.ravel() for values in mesh), da.values.ravel())}, url)


def _require_points(ds: xr.Dataset, *names: str) -> None:
    require_variables("a table of points", ds, *names)
    if len(ds["lon"].dims) != 1 or any(ds[name].dims != ds["lon"].dims for name in names):
        raise SchemaError(f"points need one dimension, got {dict(ds.sizes)}; stack or select first")


def _rows(*columns: Any) -> list[list[float]]:
    return np.column_stack([np.asarray(column, np.float64) for column in columns]).tolist()  # type: ignore[no-any-return]


def _write(content: dict[str, Any], url: str | os.PathLike[str]) -> None:
    publish_bytes(json.dumps(content).encode(), url)
