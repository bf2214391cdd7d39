"""What a product says about where it came from, in values that JSON can hold."""

import datetime as dt
import math
import os
from collections.abc import Mapping
from typing import Any

import numpy as np
import xarray as xr

from mimtpy_cloud._version import __version__
from mimtpy_cloud.errors import SchemaError
from mimtpy_cloud.schema import require_variables

__all__ = ["SOFTWARE", "jsonable", "labelled", "stamped"]

SOFTWARE = f"mimtpy_cloud {__version__}"


def jsonable(value: Any) -> Any:
    """
    Convert an attribute, nested or not, to what strict JSON can hold.

    Parameters
    ----------
    value : object
        Strings, numbers, dates, numpy values, and sequences or mappings of them.

    Returns
    -------
    object
        Dates as ISO text, arrays as lists, a number that is not finite as text (``"nan"``).

    Raises
    ------
    SchemaError
        If the value is of another kind.

    Examples
    --------
    >>> jsonable({"dates": np.array(["2020-01-01"], "datetime64[D]"), "n": np.int16(3), "box": (1.0, math.nan)})
    {'dates': ['2020-01-01'], 'n': 3, 'box': [1.0, 'nan']}
    """
    if isinstance(value, Mapping):
        return {str(key): jsonable(item) for key, item in value.items()}
    if isinstance(value, np.ndarray):
        return jsonable(list(value) if value.ndim else value[()])
    if isinstance(value, list | tuple):
        return [jsonable(item) for item in value]
    if isinstance(value, np.datetime64):
        return str(value)
    if isinstance(value, dt.date):
        return value.isoformat()
    if isinstance(value, os.PathLike | bytes):
        return os.fsdecode(value)
    if isinstance(value, np.generic):
        return jsonable(value.item())
    if isinstance(value, float) and not math.isfinite(value):
        return str(value)
    if value is None or isinstance(value, str | bool | int | float):
        return value
    raise SchemaError(
        f"attributes must be text, numbers, dates, lists or mappings, got {type(value).__name__}: {value!r}; "
        "drop it or convert it to text"
    )


def labelled(ds: xr.Dataset, name: str) -> xr.DataArray:
    """
    Take one variable with the attributes of its dataset, which say what it is, beside its own.

    Parameters
    ----------
    ds : xr.Dataset
        Product.
    name : str
        Variable.

    Returns
    -------
    xr.DataArray
        As lazy as it was.

    Raises
    ------
    SchemaError
        If there is no such variable.

    Examples
    --------
    >>> labelled(xr.Dataset({"up": ((), 1.0, {"units": "m"})}, attrs={"track": "A064"}), "up").attrs
    {'units': 'm', 'track': 'A064'}
    """
    require_variables("this product", ds.data_vars, name)
    return ds[name].assign_attrs(ds.attrs | ds[name].attrs)


def stamped(attrs: Mapping[Any, Any], action: str) -> dict[str, Any]:
    """
    Add to attributes when, by what and how a product was written.

    Parameters
    ----------
    attrs : mapping
        Attributes of the dataset.
    action : str
        What was done, for the history.

    Returns
    -------
    dict
        JSON-able copy with ``created``, ``software`` and one more line in ``history``.
    """
    now = dt.datetime.now(dt.UTC).isoformat(timespec="seconds")
    out: dict[str, Any] = jsonable(attrs)
    past = out.get("history") or []
    lines = past.splitlines() if isinstance(past, str) else list(past)
    return out | {"created": now, "software": SOFTWARE, "history": "\n".join([*lines, f"{now} {SOFTWARE}: {action}"])}
