"""Stacks of models: a Zarr store ``(model, ...)`` that a search reads chunk by chunk, as fast as it decodes."""

import json
import math
import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import xarray as xr
from dask.base import tokenize

from mimtpy_cloud.codec import decode
from mimtpy_cloud.errors import SchemaError, SourceFormatError, StorageError
from mimtpy_cloud.exports.progress import Progress
from mimtpy_cloud.exports.zarr import write_zarr
from mimtpy_cloud.io.storage import Storage, open_storage
from mimtpy_cloud.plan.candidates import Candidates

__all__ = ["VALUES", "ModelStack", "StackRows", "open_models", "stack_chunks", "stack_template", "write_models"]

#: The array of a stack.
VALUES = "model_values"
_PROBLEM, _PARAMETERS, _ID = "problem", "parameters", "stack_id"
#: Points of a chunk, and values of it: 8 MiB of float32.
_POINTS, _VALUES = 131_072, 1 << 21
#: Models of a chunk, at least where there are many points.
_MODELS = 16


@dataclass(frozen=True)
class ModelStack:
    """
    Models in a store, with their parameters.

    Parameters
    ----------
    url : str
        Of the store.
    template : xr.DataArray
        The array without its values (lazy), dims ``(model, ...)``, with the coordinates of the places.
    candidates : Candidates
        Parameters of the models.
    problems : tuple of str
        Why a model cannot be used; empty if it can.
    chunk : tuple of int
        Shape of a chunk.
    identity : str
        Of the content: a search that goes on needs the same.
    """

    url: str
    template: xr.DataArray
    candidates: Candidates
    problems: tuple[str, ...]
    chunk: tuple[int, ...]
    identity: str

    def __dask_tokenize__(self) -> tuple[str, str]:
        """Name the content."""
        return "ModelStack", self.identity

    def rows(self, models: slice) -> "StackRows":
        """
        Take a block of models, without reading.

        Parameters
        ----------
        models : slice
            Consecutive models, from the start of a chunk.

        Returns
        -------
        StackRows
        """
        return StackRows(
            self.url,
            tuple(self.template.shape),
            self.chunk,
            self.template.dtype.str,
            (models.start, models.stop),
            self.identity,
            list(self.problems[models]),
        )


@dataclass
class StackRows:
    """
    Models of a store, decoded into one buffer chunk after chunk.

    Parameters
    ----------
    url : str
        Of the store.
    shape, chunk : tuple of int
        Of the array, and of its chunks, of which all but the first two dimensions are whole.
    dtype : str
        Of the values.
    models : tuple of int
        First model, from the start of a chunk, and the one after the last.
    identity : str
        Of the stack: a store that was replaced is refused.
    problems : list of str
        Of each model.
    """

    url: str
    shape: tuple[int, ...]
    chunk: tuple[int, ...]
    dtype: str
    models: tuple[int, int]
    identity: str
    problems: list[str] = field(default_factory=list)

    def read(self, wanted: np.ndarray | None = None) -> Iterator[tuple[slice, slice, np.ndarray]]:
        """
        Decode the chunks in turn; a chunk that is not there holds no data.

        Parameters
        ----------
        wanted : np.ndarray, optional
            True for the models that are needed; chunks without any of them are left out.

        Yields
        ------
        tuple
            Models, points, and their values in a buffer that is used again.

        Raises
        ------
        StorageError
            If the store is gone or was replaced, or a chunk is damaged.
        """
        storage, (first, last) = open_storage(self.url), self.models
        _require_same(storage, self.identity)
        inner = math.prod(self.chunk[2:])
        buffer = np.empty(self.chunk, self.dtype)
        rest = "/0" * (len(self.shape) - 2)
        for a in range(first // self.chunk[0], -(-last // self.chunk[0])):
            models = slice(a * self.chunk[0] - first, min((a + 1) * self.chunk[0], last) - first)
            if wanted is not None and not wanted[models].any():
                continue
            for b in range(-(-self.shape[1] // self.chunk[1])):
                points = slice(b * self.chunk[1] * inner, min((b + 1) * self.chunk[1], self.shape[1]) * inner)
                _decode_into(storage, f"{VALUES}/c/{a}/{b}{rest}", buffer)
                flat = buffer.reshape(self.chunk[0], -1)
                yield models, points, flat[: models.stop - models.start, : points.stop - points.start]


def _require_same(storage: Storage, identity: str) -> None:
    try:
        found = json.loads(storage.read("zarr.json"))["attributes"].get(_ID)
    except (FileNotFoundError, ValueError, KeyError):
        found = None
    if found != identity:
        raise StorageError(f"the stack {storage.url} was removed or replaced since it was opened; open it again")


def _decode_into(storage: Any, key: str, buffer: np.ndarray) -> None:
    for attempt in range(2):  # once more: it may have become damaged on its way
        try:
            data = storage.read(key)
        except FileNotFoundError:  # nothing but NaN
            buffer[...] = np.nan
            return
        try:
            decode(data, buffer)
        except ValueError as error:
            if attempt:
                raise StorageError(f"{storage.url}/{key} is damaged: {error}; write the stack again") from error
            storage.discard(key)
        else:
            return


def stack_chunks(shape: tuple[int, ...]) -> tuple[int, ...]:
    """
    Choose the chunks of a stack.

    Parameters
    ----------
    shape : tuple of int
        Of the array: models, then the dimensions of the places.

    Returns
    -------
    tuple of int
        8 MiB of float32 or less: all points of many models where points are few, else a part of the points of some.

    Examples
    --------
    >>> stack_chunks((400, 1000, 1000)), stack_chunks((2000, 8000)), stack_chunks((30, 5, 80, 3))
    ((16, 131, 1000), (262, 8000), (30, 5, 80, 3))
    """
    models, outer, inner = shape[0], shape[1], math.prod(shape[2:])
    across = max(1, min(outer, _POINTS // max(inner, 1)))
    down = max(1, min(models, max(_MODELS, _VALUES // max(across * inner, 1))))
    return (down, across, *shape[2:])


def stack_template(values: xr.DataArray, candidates: Candidates, problems: list[str], identity: str) -> xr.Dataset:
    """
    Describe a stack.

    Parameters
    ----------
    values : xr.DataArray
        Dims ``(model, ...)``, lazy.
    candidates : Candidates
        Parameters.
    problems : list of str
        Of each model.
    identity : str
        Of the content.

    Returns
    -------
    xr.Dataset
        Whose Zarr store is the stack.
    """
    coords: dict[str, Any] = {name: ("model", np.asarray(v)) for name, v in candidates.values.items()}
    ds = values.to_dataset(name=VALUES).assign_coords(coords)
    ds[_PROBLEM] = ("model", np.array(problems, dtype=str))
    return ds.assign_attrs({_PARAMETERS: list(candidates.names), _ID: identity, "stack": "models"})


def write_models(
    models: xr.DataArray, url: str | os.PathLike[str], *, progress: Progress | None = None
) -> "ModelStack":
    """
    Write models as a stack that searches read fast.

    Parameters
    ----------
    models : xr.DataArray
        Values of each model at each place, in the unit of what will be searched; dimensions of the parameters first,
        with their values as coordinates, then those of the places (``y, x``, or a dimension of points), or ``model``
        first, with the parameters as coordinates along it: all, or those that the attribute ``parameters`` lists. Lazy
        or not.
    url : str or path
        Of the store; one that is there is replaced.
    progress : callable, optional
        ``progress(done, total, unit)``.

    Returns
    -------
    ModelStack

    Raises
    ------
    SchemaError
        If the array has no parameter or no place.
    StorageError
        If the place cannot be written.

    Examples
    --------
    >>> import tempfile
    >>> models = xr.DataArray(np.ones((2, 3)), {"depth": [1e3, 2e3]}, ("depth", "point"), attrs={"units": "m"})
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     write_models(models, folder + "/models.zarr").candidates.values["depth"].tolist()
    [1000.0, 2000.0]
    """
    values, candidates = flatten_parameters(models, _parameter_dims(models))
    if values.ndim < 2:
        raise SchemaError(f"models need a dimension of places after their parameters, got {models.dims}")
    ready = values if values.dtype.kind == "f" else values.astype(np.float32)
    ready = ready.chunk(dict(zip(ready.dims, stack_chunks(ready.shape), strict=True)))
    write_zarr(stack_template(ready, candidates, [""] * candidates.count, tokenize(ready.data)), url, progress=progress)
    return open_models(url)


def _parameter_dims(models: xr.DataArray) -> tuple[str, ...]:
    """Dimensions that are parameters: those before the places."""
    if not isinstance(models, xr.DataArray):
        raise SchemaError(f"models must be a DataArray, got {type(models).__name__}; select a variable")
    if models.dims[0] == "model":
        return ("model",)
    places = ("y", "x", "point", "station", "time", "component")
    first = next((k for k, dim in enumerate(models.dims) if dim in places), models.ndim - 1)
    return tuple(str(dim) for dim in models.dims[:first])


def flatten_parameters(models: xr.DataArray, dims: tuple[str, ...]) -> tuple[xr.DataArray, Candidates]:
    """
    Bring the parameters of models to one dimension.

    Parameters
    ----------
    models : xr.DataArray
        With the dimensions of parameters and of places.
    dims : tuple of str
        Those of parameters.

    Returns
    -------
    values : xr.DataArray
        Dims ``(model, ...)``, without the parameters.
    candidates : Candidates
        The parameters.

    Raises
    ------
    SchemaError
        If there is no parameter, or a dimension has no values.
    """
    if not dims:
        raise SchemaError(f"models need a dimension for each parameter, got {models.dims}")
    rest = [dim for dim in models.dims if dim not in dims]
    models = models.transpose(*dims, *rest)
    if dims == ("model",):
        named = models.attrs.get(_PARAMETERS)
        along = {str(n): c.to_numpy() for n, c in models.coords.items() if c.dims == dims and n != _PROBLEM}
        if named is not None:
            along = {name: along[name] for name in named if name in along}
        elif set(along) != {"model"}:
            along.pop("model", None)
        if not along:
            along = {"model": np.arange(models.sizes["model"])}
        return models.drop_vars([n for n in models.coords if "model" in models[n].dims]), Candidates(_plain(along))
    lacking = [dim for dim in dims if dim not in models.coords]
    if lacking:
        raise SchemaError(f"parameters {', '.join(lacking)} have no values; give the dimensions coordinates")
    grids = np.meshgrid(*(models[dim].to_numpy() for dim in dims), indexing="ij")
    candidates = Candidates(_plain({dim: grid.reshape(-1) for dim, grid in zip(dims, grids, strict=True)}))
    flat = models.data.reshape((candidates.count, *models.shape[len(dims) :]))
    coords = {n: c for n, c in models.coords.items() if not set(c.dims) & set(dims)}
    return xr.DataArray(flat, coords, ("model", *rest), attrs=models.attrs), candidates


def _plain(values: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
    return {name: np.array(v.tolist(), dtype=str) if v.dtype.kind in "OTSU" else v for name, v in values.items()}


def open_models(url: str | os.PathLike[str]) -> ModelStack:
    """
    Open a stack of models.

    Parameters
    ----------
    url : str or path
        Store that `write_models` or `index_models` wrote: a local path or any URL that a root can have.

    Returns
    -------
    ModelStack
        For `mimtpy_cloud.search_grid`; no value is read.

    Raises
    ------
    StorageError
        If there is no such store.
    SourceFormatError
        If it is no stack of models.
    """
    text = os.fspath(url).rstrip("/")
    storage = open_storage(text)
    try:
        storage.read("zarr.json")
        ds = xr.open_zarr(storage.zarr_store("", read_only=True), consolidated=True)
    except FileNotFoundError as error:
        raise StorageError(f"{text} is no Zarr store; write_models or index_models makes a stack of models") from error
    except ValueError:  # metadata are not consolidated, as ours are
        ds = xr.Dataset()
    if VALUES not in ds or _PARAMETERS not in ds.attrs:
        raise SourceFormatError(
            f"{text} is no stack of models: expected the array {VALUES} and its parameters; write_models or "
            "index_models makes one"
        )
    values = ds[VALUES]
    parameters = {name: ds[name].to_numpy() for name in ds.attrs[_PARAMETERS]}
    problems = tuple(str(text) for text in ds[_PROBLEM].to_numpy())
    template = values.drop_vars([n for n in values.coords if "model" in values[n].dims])
    template = template.assign_coords({n: c.load() for n, c in template.coords.items() if n not in template.indexes})
    return ModelStack(
        storage.url,
        template,
        Candidates(_plain(parameters)),
        problems,
        tuple(values.encoding["chunks"]),
        str(ds.attrs[_ID]),
    )
