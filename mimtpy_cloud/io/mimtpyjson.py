"""Read the JSON files that MimtPy keeps points, models and the results of its searches in."""

import json
import os
import re
from typing import Any

import numpy as np
import xarray as xr

from mimtpy_cloud.errors import SourceFormatError
from mimtpy_cloud.io.text import read_text
from mimtpy_cloud.kernels.look import los_unit_vector
from mimtpy_cloud.schema import LOS, VARIABLES

__all__ = ["GRID_KEYS", "METRICS", "read_metric_json", "read_model_json", "read_points_json"]

#: What the files of observed points say of the grid that the points were taken from.
GRID_KEYS = ("Y_FIRST", "X_FIRST", "Y_STEP", "X_STEP")
#: Key of a table of results -> name of its values.
METRICS = {"rmse": "rms", "lc_um_residual": "misfit"}
#: End of the name of a model: two values in hundredths.
_VALUES = re.compile(r"_(\d{4})(\d{4})\.json$")


def read_points_json(displacement: str | os.PathLike[str], angles: str | os.PathLike[str] | None = None) -> xr.Dataset:
    """
    Read observed points: ``points_disp.json`` and ``points_angle.json``.

    Parameters
    ----------
    displacement : str or path
        Local path or any fsspec URL; ``lalo_value`` holds latitude, longitude and displacement toward the satellite.
    angles : str or path, optional
        ``lalo_value`` holds latitude, longitude, incidence and azimuth (degrees) of the same points in the same order;
        the azimuth is anticlockwise from north, ground to satellite.

    Returns
    -------
    xr.Dataset
        Dimension `point`: `lon`, `lat` (degrees), `displacement` (m), and `los_east, los_north, los_up` if there are
        angles; float64, NaN without data. Attributes `reference_point` (lon, lat) and `Y_FIRST, X_FIRST, Y_STEP,
        X_STEP` where the file has them.

    Raises
    ------
    StorageError
        If there is no such file.
    SourceFormatError
        If a file is no such JSON, or the two hold different points.

    See Also
    --------
    mimtpy_cloud.exports.mimtpyjson.write_points_json : The way back.
    mimtpy_cloud.io.points.read_points : Also reads tables.
    """
    content = _load(displacement, "lalo_value")
    rows = _rows(content, "lalo_value", 3, displacement)
    ds = _points(rows[:, 1], rows[:, 0]).assign(displacement=("point", rows[:, 2], _attrs("displacement")))
    if angles is not None:
        looks = _rows(_load(angles, "lalo_value"), "lalo_value", 4, angles)
        if looks.shape[0] != rows.shape[0] or np.abs(looks[:, :2] - rows[:, :2]).max(initial=0) > 1e-6:
            raise SourceFormatError(
                f"{os.fspath(angles)} must have the points of {os.fspath(displacement)} in the same order, got "
                f"{looks.shape[0]} and {rows.shape[0]} points or other places"
            )
        vectors = zip(LOS, los_unit_vector(looks[:, 2], looks[:, 3]), strict=True)
        ds = ds.assign({name: ("point", vector, _attrs(name)) for name, vector in vectors})
    ds.attrs |= {key: _float(content[key], key, displacement) for key in GRID_KEYS if key in content}
    if {"Ref_lon", "Ref_lat"} <= content.keys():
        place = [_float(content[key], key, displacement) for key in ("Ref_lon", "Ref_lat")]
        ds.attrs["reference_point"] = (place[0], place[1])
    return ds.assign_attrs(source=os.fspath(displacement))


def read_model_json(url: str | os.PathLike[str]) -> xr.Dataset:
    """
    Read the points of a model, such as ``vs_17001850.json``.

    Parameters
    ----------
    url : str or path
        Local path or any fsspec URL; ``displacement`` holds longitude, latitude, north, east and down.

    Returns
    -------
    xr.Dataset
        Dimension `point`: `lon`, `lat` (degrees), `east`, `north`, `up` (m, up is the opposite of down), float64, NaN
        without data. Attribute `values`: the two values of its parameters, if the name holds them in hundredths.

    Raises
    ------
    StorageError
        If there is no such file.
    SourceFormatError
        If it is no such JSON.

    See Also
    --------
    mimtpy_cloud.exports.mimtpyjson.write_model_json : The way back.
    """
    lon, lat, north, east, down = _rows(_load(url, "displacement"), "displacement", 5, url).T
    metres = {"units": "m"}
    ds = _points(lon, lat).assign(
        east=("point", east, metres), north=("point", north, metres), up=("point", -down, metres)
    )
    found = _VALUES.search(os.fspath(url))
    values = {} if found is None else {"values": (int(found[1]) / 100, int(found[2]) / 100)}
    return ds.assign_attrs(values | {"source": os.fspath(url)})


def read_metric_json(url: str | os.PathLike[str]) -> xr.DataArray:
    """
    Read the results of a search over two parameters: ``rmse.json`` or ``grid_search_residual_RELAX.json``.

    Parameters
    ----------
    url : str or path
        Local path or any fsspec URL; ``rmse`` or ``lc_um_residual`` holds both parameters and the value.

    Returns
    -------
    xr.DataArray
        Dimensions `p1, p2` with ascending values, float64, NaN where there is no model; the name is `rms` or `misfit`.

    Raises
    ------
    StorageError
        If there is no such file.
    SourceFormatError
        If it is no such JSON, or a model comes twice.

    See Also
    --------
    mimtpy_cloud.exports.mimtpyjson.write_metric_json : The way back.
    """
    content = _load(url, *METRICS)
    key = next(key for key in METRICS if key in content)
    first, second, value = _rows(content, key, 3, url).T
    p1, at1 = np.unique(first, return_inverse=True)
    p2, at2 = np.unique(second, return_inverse=True)
    if np.unique(at1 * p2.size + at2).size < value.size:
        raise SourceFormatError(f"{os.fspath(url)} has a model twice; expected each pair of parameters once")
    grid = np.full((p1.size, p2.size), np.nan)
    grid[at1, at2] = value
    return xr.DataArray(grid, {"p1": p1, "p2": p2}, ("p1", "p2"), METRICS[key], {"source": os.fspath(url)})


def _load(url: str | os.PathLike[str], *keys: str) -> dict[str, Any]:
    """Content of a file that has one of the keys."""
    wanted = " or ".join(keys)
    try:
        content = json.loads(read_text(url, f"JSON with {wanted}"))
    except ValueError as error:
        if isinstance(error, SourceFormatError):
            raise
        raise SourceFormatError(f"{os.fspath(url)} is no JSON ({error}); expected an object with {wanted}") from error
    if not isinstance(content, dict) or not any(key in content for key in keys):
        has = ", ".join(content) if isinstance(content, dict) else type(content).__name__
        raise SourceFormatError(f"{os.fspath(url)}: expected an object with {wanted}, got {has}")
    return content


def _rows(content: dict[str, Any], key: str, width: int, url: str | os.PathLike[str]) -> np.ndarray:
    """Rows of a table; null is NaN."""
    try:
        rows = np.array(content[key], np.float64)
    except (TypeError, ValueError):
        rows = np.empty(0)
    if rows.ndim != 2 or rows.shape[1] != width:
        raise SourceFormatError(
            f"{os.fspath(url)}: expected rows of {width} numbers in {key}, got {content[key]!s:.80}"
        )
    return rows


def _float(value: Any, key: str, url: str | os.PathLike[str]) -> float:
    try:
        return float(value)  # MintPy's attributes are text
    except (TypeError, ValueError):
        raise SourceFormatError(f"{os.fspath(url)}: expected a number for {key}, got {value!r}") from None


def _points(lon: np.ndarray, lat: np.ndarray) -> xr.Dataset:
    coords = {"lon": ("point", lon, {"units": "degrees_east"}), "lat": ("point", lat, {"units": "degrees_north"})}
    return xr.Dataset(coords=coords)


def _attrs(name: str) -> dict[str, str]:
    return VARIABLES[name].attrs
