"""What a model of motion is, what it needs, and a map of it.

A model is any callable ``model(places, **parameters)`` that returns one number a point: the motion along the look of
the places, positive toward the satellite. Where a component was observed, give the places that direction as their
look: ``(1, 0, 0)`` at every point for east, ``(0, 1, 0)`` for north, ``(0, 0, 1)`` for up. Parameters are numbers in
metres, metres a year, cubic metres and degrees.
"""

import inspect
from collections.abc import Callable, Iterable
from functools import partial

import numpy as np
import xarray as xr

from mimtpy_cloud.errors import GridMismatchError, SchemaError
from mimtpy_cloud.ops.pixels import map_projection
from mimtpy_cloud.plan.places import Places
from mimtpy_cloud.schema import LOS, require_dims, require_variables

__all__ = ["PARAMETER_UNITS", "Model", "evaluate_model", "model_parameters", "require_parameters"]

Model = Callable[..., np.ndarray]
#: Units of the parameters of the built-in models.
PARAMETER_UNITS = {
    **dict.fromkeys(("lon", "lat", "strike", "dip", "rake"), "degrees"),
    **dict.fromkeys(("depth", "length", "width", "slip", "opening", "locking_depth", "creep_depth"), "m"),
    **dict.fromkeys(("slip_rate", "creep_rate"), "m/yr"),
    "volume": "m^3",
}


def model_parameters(model: Model) -> dict[str, float | None]:
    """
    List the parameters of a model.

    Parameters
    ----------
    model : callable
        Its first argument takes the places.

    Returns
    -------
    dict
        Default of each parameter by its name; None where one must be given.

    Raises
    ------
    SchemaError
        If it is no such callable.

    See Also
    --------
    require_parameters : Check names against them.
    mimtpy_cloud.ops.forward : The built-in models.

    Examples
    --------
    >>> from mimtpy_cloud.ops.forward import mogi_model
    >>> model_parameters(mogi_model)
    {'lon': None, 'lat': None, 'depth': None, 'volume': None, 'nu': 0.25}
    """
    return {
        p.name: None if p.default is p.empty else p.default for p in _signature(model) if p.kind is not p.VAR_KEYWORD
    }


def require_parameters(model: Model, names: Iterable[str]) -> None:
    """
    Check that a model can be evaluated with some parameters.

    Parameters
    ----------
    model : callable
        As for `model_parameters`.
    names : iterable of str
        Parameters that are to be given.

    Raises
    ------
    SchemaError
        If the model knows one of them not, or needs another.

    See Also
    --------
    model_parameters : All parameters of a model.
    """
    given, known = list(names), model_parameters(model)
    free = any(p.kind is p.VAR_KEYWORD for p in _signature(model))
    unknown = [] if free else [name for name in given if name not in known]
    missing = [name for name, default in known.items() if default is None and name not in given]
    if unknown or missing:
        wrong = [f"does not know {', '.join(unknown)}"] * bool(unknown) + [f"lacks {', '.join(missing)}"] * bool(
            missing
        )
        listed = ", ".join(name if default is None else f"{name}={default:g}" for name, default in known.items())
        raise SchemaError(f"the model {_name(model)} {' and '.join(wrong)}; its parameters are {listed}")


def evaluate_model(model: Model, ds: xr.Dataset, **parameters: float) -> xr.DataArray:
    """
    Map a model on the grid of a dataset, along its line of sight.

    Parameters
    ----------
    model : callable
        One of `mimtpy_cloud.ops.forward.MODELS`, or any other.
    ds : xr.Dataset
        Canonical dataset in longitude and latitude, with `los_east`, `los_north` and `los_up`.
    **parameters : float
        Parameters of the model.

    Returns
    -------
    xr.DataArray
        Lazy, dims ``(y, x)``, float32, in the chunks of the look, positive toward the satellite; NaN where the look
        is. In m/yr if a parameter is called a rate, else in m.

    Raises
    ------
    SchemaError
        If the dataset has no look, or the parameters are not those of the model.
    GridMismatchError
        If the grid is not in degrees.

    See Also
    --------
    model_parameters : What a model needs.

    Notes
    -----
    The model is evaluated block by block, with the places of a block row by row.

    Examples
    --------
    >>> from mimtpy_cloud.ops.forward import mogi_model
    >>> look = {name: (("y", "x"), np.full((2, 3), c)) for name, c in zip(LOS, (0.6, 0.0, 0.8))}
    >>> ds = xr.Dataset(look, {"y": [40.1, 40.0], "x": [30.0, 30.1, 30.2]})
    >>> source = evaluate_model(mogi_model, ds, lon=30.1, lat=40.0, depth=5e3, volume=1e6)
    >>> source.chunks is not None, round(float(source[1, 1]), 4), source.attrs["units"]
    (True, 0.0076, 'm')
    """
    require_variables("a map of a model", ds.variables, *LOS)
    if map_projection(ds) is not None:
        raise GridMismatchError("a model needs a grid in degrees, got a map projection; ingest the dataset first")
    require_parameters(model, parameters)
    look = [ds[name] if ds[name].chunks is not None else ds[name].chunk() for name in LOS]
    for name, part in zip(LOS, look, strict=True):
        require_dims(name, part.dims, "y", "x")
    image: xr.DataArray = xr.apply_ufunc(
        partial(_evaluate, model=model, parameters=parameters),
        *look,
        ds["y"].variable,
        ds["x"].variable,
        dask="parallelized",
        output_dtypes=[np.float32],
    )
    units = "m/yr" if any(name.endswith("_rate") for name in parameters) else "m"
    attrs = {"units": units, "long_name": f"line-of-sight motion of the model {_name(model)}"}
    return image.rename("model").assign_attrs(attrs, **parameters)


def _evaluate(*block: np.ndarray, model: Model, parameters: dict[str, float]) -> np.ndarray:
    """Motion at the pixels of one block, from its look, latitudes and longitudes."""
    shape = block[0].shape
    east, north, up, lat, lon = (np.broadcast_to(part, shape).ravel() for part in block)
    return model(Places(lon, lat, (east, north, up)), **parameters).reshape(shape).astype(np.float32)


def _signature(model: Model) -> list[inspect.Parameter]:
    """Parameters after the places."""
    try:
        first, *rest = inspect.signature(model).parameters.values()
    except (TypeError, ValueError):
        first, rest = None, []
    if first is None or first.kind not in (first.POSITIONAL_ONLY, first.POSITIONAL_OR_KEYWORD):
        raise SchemaError(f"a model must be callable as model(places, **parameters), got {model!r:.100}")
    return rest


def _name(model: Model) -> str:
    return str(getattr(model, "__name__", None) or type(model).__name__)
