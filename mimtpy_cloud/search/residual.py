"""What one model leaves of the observations: residual, ramp and factor."""

from collections.abc import Mapping
from typing import Any

import dask
import dask.array as da
import numpy as np
import xarray as xr

from mimtpy_cloud.errors import SchemaError
from mimtpy_cloud.kernels.ramp import evaluate_ramp, ramp_design
from mimtpy_cloud.search.grid import search_grid
from mimtpy_cloud.search.observation import Covariance, Observation, observations
from mimtpy_cloud.search.stack import ModelStack

__all__ = ["residual"]


def residual(
    observed: xr.DataArray | xr.Dataset,
    model: Any,
    *,
    parameters: Mapping[str, Any] | None = None,
    ramp: str | None = None,
    covariance: Covariance = None,
    mask: xr.DataArray | None = None,
    scaled: bool = False,
    scale: float = 1.0,
) -> xr.Dataset:
    """
    Subtract a model, and the ramp that fits what is left, from observations.

    Parameters
    ----------
    observed : xr.DataArray or xr.Dataset
        One track, as for `mimtpy_cloud.search_grid`.
    model : xr.DataArray, callable or ModelStack
        Values of one model at the places of the observations; a function of `parameters`; or a stack, of which
        `parameters` name one model.
    parameters : mapping, optional
        Name -> value.
    ramp, covariance, mask, scaled : object
        As for `mimtpy_cloud.search_grid`; the mask and the covariance say how the ramp is fitted, the residual is given
        at every point that has data.

    scale : float
        Factor of the model, such as a search over several tracks has found.

    Returns
    -------
    xr.Dataset
        Lazy, on the dimensions of the observations and in their unit: ``observed``, ``model`` (times its factor),
        ``ramp`` and ``residual``, which is observed less model less ramp, and its ``residual_rms`` in that
        unit; ``rms`` (with the weights of a covariance), ``misfit``, ``ramp_coefficient (term)`` and ``scale`` as the
        search gives them.

    Raises
    ------
    SchemaError
        If the parameters name no model, or more than one.
    ParameterError, GridMismatchError, RampError
        As `mimtpy_cloud.search_grid`.

    See Also
    --------
    mimtpy_cloud.search_grid : Of many models.

    Examples
    --------
    >>> import numpy as np
    >>> x = np.linspace(30, 31, 40)
    >>> model = xr.DataArray(np.ones((3, 40)) * np.sin(20 * x), {"y": [1.0, 0.9, 0.8], "x": x}, ("y", "x"))
    >>> left = residual(model + 0.2 * (model.x - 30), model, ramp="linear")
    >>> bool(abs(left["residual"]).max() < 1e-12), bool(left["rms"] < 1e-12)
    (True, True)
    """
    (track,) = observations([observed])
    given = scale * _one_model(track, model, dict(parameters or {}))
    options: dict[str, Any] = {"ramp": ramp, "covariance": covariance, "mask": mask, "scaled": scaled}
    found = search_grid(observed, given.expand_dims(model=[0]), **options).isel(model=0, drop=True)
    values = track.values
    shown = xr.DataArray(given.transpose(*values.dims).data, values.coords, values.dims)
    if scaled:
        shown = shown * found["scale"]
    removed = _ramp_map(track, found["ramp_coefficient"].data, ramp) if ramp else xr.zeros_like(values)
    kept = {name: found[name] for name in ("rms", "misfit", "ramp_coefficient", "scale") if name in found}
    ds = xr.Dataset({"observed": values, "model": shown, "ramp": removed, "residual": values - shown - removed})
    for name, words in (
        ("observed", "what is explained"),
        ("model", "model"),
        ("ramp", "ramp that fits observed less model"),
        ("residual", "observed less model less ramp"),
    ):
        ds[name].attrs = {"units": values.attrs.get("units", "1"), "long_name": words}
    counted = ds["residual"] if mask is None else ds["residual"].where(track.on_points("the mask", mask).data > 0)
    kept["residual_rms"] = ((counted**2).mean() ** 0.5).assign_attrs(
        ds["residual"].attrs, long_name="rms of the residual"
    )
    return ds.assign(kept).assign_attrs(observed.attrs | {"ramp": ramp or "none"})


def _one_model(track: Observation, model: Any, parameters: dict[str, Any]) -> xr.DataArray:
    """Values of the model at the places of a track, lazy."""
    if isinstance(model, ModelStack):
        chosen = [_same_value(model.candidates.values[name], value) for name, value in parameters.items()]
        at = np.flatnonzero(np.all(chosen, axis=0)) if chosen else np.arange(model.candidates.count)
        if at.size != 1:
            names = ", ".join(model.candidates.names)
            raise SchemaError(
                f"expected parameters ({names}) of one model of the stack, got {parameters}: {at.size} fit"
            )
        return model.template.isel(model=int(at[0]))
    if isinstance(model, xr.DataArray):
        return model
    if not callable(model):
        raise SchemaError(f"a model must be a DataArray, a function or a stack, got {type(model).__name__}")
    run = dask.delayed(model, pure=True)  # type: ignore[attr-defined]
    flat = da.from_delayed(run(track.places(), **parameters), (track.values.size,), dtype=np.float64)  # type: ignore[no-untyped-call]
    bare = track.values.drop_vars([name for name in track.values.coords if name not in track.values.dims])
    return bare.copy(data=flat.reshape(track.values.shape))


def _same_value(values: np.ndarray, value: Any) -> np.ndarray:
    """Where a parameter has a value, but for rounding far below the steps between values."""
    if values.dtype.kind not in "iuf":
        return np.asarray(values == str(value))
    steps = np.diff(np.unique(values))
    return np.asarray(np.abs(values - float(value)) <= 1e-6 * steps.min(initial=abs(float(value)) or 1.0))


def _ramp_map(track: Observation, coefficients: da.Array, kind: str) -> xr.DataArray:
    """The ramp at every point, lazy."""
    layout, values = track.layout, track.values
    if layout is None or not layout.grid:
        points = (np.zeros(values.size),) * 2 if layout is None else (layout.x_km, layout.y_km)
        flat = da.from_array(ramp_design(kind, *points), chunks=-1) @ coefficients  # type: ignore[no-untyped-call]
        return values.copy(data=flat.reshape(values.shape))
    chunks = values.chunks or values.shape
    x, y = (da.from_array(km, chunks=(size,)) for km, size in ((layout.x_km, chunks[1]), (layout.y_km, chunks[0])))  # type: ignore[no-untyped-call]
    image = da.blockwise(  # type: ignore[no-untyped-call]
        _evaluate, "yx", y, "y", x, "x", coefficients, "t", kind=kind, concatenate=True, dtype=np.float64
    )
    return values.copy(data=image)


def _evaluate(y_km: np.ndarray, x_km: np.ndarray, coefficients: np.ndarray, *, kind: str) -> np.ndarray:
    return evaluate_ramp(coefficients, x_km, y_km, kind)
