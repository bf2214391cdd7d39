"""Grid search: every model against the observations, lazily, block by block, on any dask cluster."""

import functools
import inspect
import itertools
import os
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

import dask.array as da
import numpy as np
import xarray as xr
import xxhash
from dask.base import tokenize
from dask.delayed import Delayed
from dask.highlevelgraph import HighLevelGraph

from mimtpy_cloud._version import __version__
from mimtpy_cloud.errors import ParameterError, SchemaError
from mimtpy_cloud.kernels.covariance import CovarianceModel
from mimtpy_cloud.kernels.misfit import Fit
from mimtpy_cloud.kernels.ramp import ramp_terms
from mimtpy_cloud.kernels.region import METRICS
from mimtpy_cloud.ops.model import PARAMETER_UNITS, require_parameters
from mimtpy_cloud.plan.candidates import Candidates, blocks_of
from mimtpy_cloud.plan.parameters import full_factorial
from mimtpy_cloud.search.blocks import COLUMNS, CalledRows, HeldRows, Rows, score_block
from mimtpy_cloud.search.checkpoint import Checkpoint, open_checkpoint
from mimtpy_cloud.search.observation import Covariance, Observation, observations, same_places
from mimtpy_cloud.search.result import DERIVED, RESERVED, SCORING, Search, label_result
from mimtpy_cloud.search.stack import ModelStack, flatten_parameters

__all__ = ["search_grid"]

#: Most tasks of a graph, bytes of models that are held at a time (to be whitened: twice), and models that are computed
#: in a task.
_TASKS, _HELD, _WHITENED, _CALLED = 2000, 64 << 20, 16 << 20, 64


#: Part of a graph that gives the `Rows` of a block, from its number and its models.
_Part = Callable[[int, slice], Any]


@dataclass(frozen=True)
class _Source:
    """
    Models of one track: their parameters, how many are read at a time, whether they are held in memory.

    `plan` takes the number of models in a block, and gives the collections that the blocks need and their parts.
    """

    candidates: Candidates
    natural: int
    held: bool
    token: Any
    plan: Callable[[int], tuple[list[Any], _Part]]


def search_grid(
    observed: Any,
    models: Any,
    metric: str = "rms",
    *,
    parameters: Mapping[str, Any] | None = None,
    ramp: str | None = None,
    covariance: Covariance | Sequence[Covariance] = None,
    mask: Any = None,
    scaled: bool = False,
    level: float = 0.95,
    checkpoint: str | os.PathLike[str] | None = None,
) -> xr.Dataset:
    """
    Compare every model of a grid of parameters with observations; ramp, offset and amplitude are solved for each.

    Parameters
    ----------
    observed : xr.DataArray, xr.Dataset, or sequence of them
        What is to be explained: a map ``(y, x)``, a table of points, or any other array; a sequence for several tracks,
        each with a ramp and a covariance of its own, that one set of parameters explains. Of a dataset, its
        velocity or displacement, with its look vectors. NaN is no data.
    models : ModelStack, xr.DataArray, callable, or a sequence of one for each track
        A stack that `mimtpy_cloud.search.open_models` opens (the fast way); an array with the dimensions of the
        observations after those of the parameters, lazy or not; or a function ``model(places, **parameters)`` that
        gives the values at `mimtpy_cloud.plan.places.Places`, as those of `mimtpy_cloud.ops.forward` do.
    metric : str
        ``"rms"``, root of the mean weighted square of the residuals; ``"misfit"``, ``r^T C^-1 r``; ``"chi2"``, that
        over the degrees of freedom; or ``"loglike"``, the logarithm of the Gaussian likelihood.
    parameters : mapping, optional
        Of a function only: name -> values; all combinations are tried.
    ramp : str, optional
        Ramp that is solved with every model: ``"constant"``, ``"linear"`` and so on, as in `estimate_ramp`, in km about
        the middle of the points. By default none, not even an offset.
    covariance : float, xr.DataArray, np.ndarray, CovarianceModel, optional
        Of the noise: one variance, a map of variances, a matrix of all points, or a model of how it falls with
        distance; a sequence of one for each track. In the square of the unit.
    mask : xr.DataArray or sequence, optional
        True where a point counts; one for each track.
    scaled : bool
        Whether each model may be multiplied by a factor, which is solved, too: one for all tracks.
    level : float
        Probability of the confidence region.
    checkpoint : str or path, optional
        Zarr store that keeps what is done, block by block: the same search goes on from there.

    Returns
    -------
    xr.Dataset
        Lazy, on the parameters (or on ``model``, where the models fill less than a quarter of their grid): the metric;
        ``misfit``; ``in_region``; ``problem``, text, why a model has no metric, else empty; ``scale`` and
        ``ramp_coefficient`` if asked for. ``best_NAME``, ``low_NAME`` and ``high_NAME``, the best value and the ends of
        the region, and ``marginal_NAME (NAME)``, the probability of each value, of each parameter. Attributes say how
        the region was found.

    Raises
    ------
    ParameterError
        If there is no such metric, level or parameter.
    SchemaError
        If observations, models, covariances or masks do not belong together.
    GridMismatchError
        If models lie at other places than observations, or, when computed, no observation is left.
    RampError
        If there is no such ramp; when computed, if the points do not determine it.
    StorageError
        If the checkpoint belongs to another search.

    See Also
    --------
    mimtpy_cloud.search.result.run_search : Compute it with a progress bar.
    mimtpy_cloud.search.result.refine : A finer grid around the region.
    mimtpy_cloud.search.residual.residual : What one model leaves.

    Notes
    -----
    A model m costs ``|P (d - m)|^2`` where P takes the weighted ramp out: with its orthonormal basis Q, ``|r|^2 - |Q^T
    r|^2``, four products a point and no solution of equations; where little is left of the difference it is summed
    again from the residuals. With a covariance ``C = L L^T`` everything is first multiplied by ``L^-1`` [1]_; of more
    than 12000 points by a sparse approximation of it. Blocks are read, compared and forgotten in one task,
    in one order: the result does not depend on workers, and memory not on the number of models.

    References
    ----------
    .. [1] Tarantola, A. (2005), Inverse Problem Theory, SIAM, section 3.2, doi:10.1137/1.9780898717921.

    Examples
    --------
    A ramp of the data costs a perfect model nothing:

    >>> x, y = np.linspace(30, 30.5, 20), np.linspace(1, 0.6, 15)
    >>> shape = np.exp(-(((x - 30.2) / 0.1) ** 2)) * np.exp(-(((y[:, None] - 0.8) / 0.1) ** 2))
    >>> height = [0.01, 0.02, 0.03]
    >>> models = xr.DataArray([h * shape for h in height], {"h": height, "y": y, "x": x}, ("h", "y", "x"))
    >>> observed = models[1].drop_vars("h") + 0.05 * (models.x - 30) + 0.1
    >>> result = search_grid(observed, models, ramp="linear")
    >>> float(result["best_h"]), bool(result["rms"].min() < 1e-12)
    (0.02, True)
    """
    if metric not in METRICS:
        raise ParameterError(f"metric must be one of {', '.join(METRICS)}, got {metric!r}")
    if not 0 < level < 1:
        raise ParameterError(f"level of the confidence region must lie between 0 and 1, got {level}")
    tracks = observations(observed)
    noises = _one_each(covariance, tracks, "covariance")
    if len({noise is None for noise in noises}) > 1:
        raise SchemaError(
            "either all tracks have a covariance, or none; give each one, such as the variance of its noise"
        )
    fits = [
        track.fit(ramp, noise, used)
        for track, noise, used in zip(tracks, noises, _one_each(mask, tracks, "mask"), strict=True)
    ]
    sources = _sources(tracks, models, parameters)
    _require_one_unit(tracks, models, known=noises[0] is not None)
    _require_free_names(sources[0].candidates)
    terms = 0 if ramp is None else len(ramp_terms(ramp))
    columns = len(COLUMNS) + terms * len(tracks)
    whole = any(map(_is_matrix, noises))
    rows = _rows(sources, tracks, whole=whole)
    token = tokenize([fit.key for fit in fits], [source.token for source in sources], scaled, rows)
    count = sources[0].candidates.count
    kept = None if checkpoint is None else open_checkpoint(checkpoint, token, count, rows, columns)
    numbers, problems = _table(fits, sources, rows, columns, token, scaled=scaled, kept=kept)
    search = Search(
        metric,
        ramp,
        level,
        scaled,
        known=noises[0] is not None,
        tracks=tuple(track.name for track in tracks),
        several=isinstance(observed, Sequence),
        units=str(tracks[0].values.attrs.get("units", "1")),
        origins=tuple(None if track.layout is None else track.layout.origin for track in tracks),
    )
    result = label_result(numbers, problems, fits, sources[0].candidates, search)
    for name in parameters or ():
        if name in PARAMETER_UNITS:
            result[name].attrs["units"] = PARAMETER_UNITS[name]
    return result


def _require_one_unit(tracks: list[Observation], models: Any, *, known: bool) -> None:
    """Refuse to add up squares of different units, and to explain different units by one function."""
    units = dict.fromkeys(str(track.values.attrs.get("units", "1")) for track in tracks)
    if len(units) > 1 and (callable(models) or not known):
        raise SchemaError(f"tracks need one unit, got {', '.join(units)}; convert them first")


def _require_free_names(candidates: Candidates) -> None:
    taken = [name for name in candidates.names if name in RESERVED or name.startswith(DERIVED)]
    if taken:
        raise ParameterError(f"results have variables of that name: call the parameter other than {', '.join(taken)}")


def _is_matrix(noise: Any) -> bool:
    return isinstance(noise, CovarianceModel) or (not isinstance(noise, xr.DataArray) and np.ndim(noise) == 2)


def _one_each(given: Any, tracks: list[Observation], what: str) -> list[Any]:
    """One a track: a sequence as it is, anything else for all."""
    if isinstance(given, list | tuple):
        if len(given) != len(tracks):
            raise SchemaError(f"expected one {what} for each of {len(tracks)} tracks, got {len(given)}")
        return list(given)
    return [given] * len(tracks)


def _sources(tracks: list[Observation], models: Any, parameters: Mapping[str, Any] | None) -> list[_Source]:
    given = _one_each(models, tracks, "set of models")
    sources = [_source(track, one, parameters) for track, one in zip(tracks, given, strict=True)]
    first = sources[0].candidates
    for track, source in zip(tracks, sources, strict=True):
        other = source.candidates
        if other.names != first.names or any(not np.array_equal(other.values[n], first.values[n]) for n in first.names):
            raise SchemaError(f"the models of {track.name} have other parameters than those of {tracks[0].name}")
    return sources


def _source(track: Observation, models: Any, parameters: Mapping[str, Any] | None) -> _Source:
    if callable(models):
        return _called(track, models, parameters)
    if parameters is not None:
        raise ParameterError("parameters go with a function; a stack or an array of models has its own")
    if isinstance(models, ModelStack):
        _require_places(track, models.template)
        return _Source(
            models.candidates,
            models.chunk[0],
            False,
            tokenize(models),
            lambda _: ([], lambda _, part: models.rows(part)),
        )
    if isinstance(models, xr.DataArray):
        return _held(track, models)
    raise SchemaError(
        f"models must be a stack (open_models(url)), a DataArray or a function, got {type(models).__name__}"
    )


def _require_places(track: Observation, models: xr.DataArray) -> None:
    dims = track.values.dims
    if models.dims[1:] != dims or models.shape[1:] != track.values.shape:
        raise SchemaError(
            f"models of {track.name} need its dimensions {dims} of shape {track.values.shape} after their parameters, "
            f"got {models.dims[1:]} of shape {models.shape[1:]}"
        )
    same_places("models", models, track.name, track.values)
    unit, other = models.attrs.get("units"), track.values.attrs.get("units")
    if unit and other and unit != other:
        raise SchemaError(f"models are in {unit}, {track.name} in {other}; convert one of them")


def _held(track: Observation, models: xr.DataArray) -> _Source:
    """Models of an array, in memory or of dask."""
    known = track.values.dims
    dims = tuple(str(dim) for dim in models.dims if dim not in known)
    if not set(known) <= set(models.dims):
        raise SchemaError(f"models of {track.name} need its dimensions {known}, got {models.dims}")
    values, candidates = flatten_parameters(models.transpose(*dims, *known), dims)
    _require_places(track, values)
    array = values.data
    natural = int(max(array.chunks[0])) if isinstance(array, da.Array) else 1
    if not isinstance(array, da.Array):
        array = da.from_array(array, chunks=(-1,) * array.ndim)  # type: ignore[no-untyped-call]

    def plan(rows: int) -> tuple[list[Any], _Part]:
        blocks = array.rechunk((rows, *array.shape[1:]))
        rest = (0,) * (array.ndim - 1)
        return [blocks], lambda number, _: (HeldRows, (blocks.name, number, *rest))

    return _Source(candidates, natural, True, array.name, plan)


def _called(track: Observation, model: Any, parameters: Mapping[str, Any] | None) -> _Source:
    require_parameters(model, parameters or ())
    if not parameters:
        raise ParameterError("a search needs a parameter with values, such as parameters={'depth': [2e3, 4e3]}")
    candidates = Candidates(full_factorial(parameters))
    places = track.places()

    def part(_: int, models: slice) -> Any:
        return (CalledRows, model, places.key, {name: v[models] for name, v in candidates.values.items()})

    token = tokenize(model, _code_of(model), places.key, candidates.values)
    return _Source(candidates, 1, False, token, lambda _: ([places], part))


def _code_of(model: Any) -> tuple[str, ...]:
    """Text of a function and of its module: dask names both by their names alone, which an edit does not change."""
    while isinstance(model, functools.partial):
        model = model.func
    code = model if inspect.isroutine(model) else type(model)
    texts = [__version__]
    for part in (code, inspect.getmodule(code)):
        if getattr(part, "__name__", "") != "__main__":  # of which all else may be edited
            with suppress(OSError, TypeError):
                texts.append(inspect.getsource(part))  # type: ignore[arg-type]
    return tuple(texts)


def _rows(sources: list[_Source], tracks: list[Observation], *, whole: bool) -> int:
    """Models of a task: whole chunks, few enough to be held where they must be, and not too many tasks."""
    count, natural = sources[0].candidates.count, max(source.natural for source in sources)
    values = sum(track.values.size for track in tracks)
    most = max(1, (_WHITENED if whole else _HELD) // (8 * values))
    if any(source.held for source in sources):  # dask may cut them anywhere
        return min(count, most if most < natural else most // natural * natural)
    if whole:
        return min(count, max(natural, most // natural * natural))
    least = max(-(-count // _TASKS), _CALLED if natural == 1 else natural)
    return min(count, -(-least // natural) * natural)


def _table(
    fits: list[Delayed],
    sources: list[_Source],
    rows: int,
    columns: int,
    token: str,
    *,
    scaled: bool,
    kept: Checkpoint | None,
) -> tuple[da.Array, da.Array]:
    """Numbers and problems of all models, one block a task."""
    blocks = list(blocks_of(sources[0].candidates.count, rows))
    plans = [source.plan(rows) for source in sources]
    needed = [*fits, *itertools.chain.from_iterable(needs for needs, _ in plans)]
    name = f"{SCORING}-{tokenize(token, kept)}"
    keys = [fit.key for fit in fits]
    graph = {}
    for number, models in enumerate(blocks):
        parts = [part(number, models) for _, part in plans]
        graph[name, number, 0] = (_score, keys, parts, models.stop - models.start, scaled, kept, number)
    layers = HighLevelGraph.from_collections(name, graph, dependencies=needed)  # type: ignore[arg-type]
    sizes = tuple(models.stop - models.start for models in blocks)
    pairs = da.Array(layers, name, (sizes, (columns,)), meta=np.empty((0, 0)))  # type: ignore[no-untyped-call]
    take: Any = _take  # a block is a pair
    numbers = pairs.map_blocks(take, 0, dtype=np.float64, meta=np.empty((0, 0)))
    texts = np.empty((0, 0), object)
    problems = pairs.map_blocks(take, 1, chunks=(sizes, (1,)), dtype=texts.dtype, meta=texts)
    return numbers, problems


def _score(
    fits: list[Fit], rows: list[Rows], count: int, scaled: bool, kept: Checkpoint | None, number: int
) -> tuple[np.ndarray, np.ndarray]:
    if kept is None:
        return score_block(fits, rows, count, scaled=scaled)
    stamp = _stamp(fits)
    found = kept.load(number, count, stamp)
    if found is None:
        found = score_block(fits, rows, count, scaled=scaled)
        if not any(isinstance(part, CalledRows) and part.passing for part in rows):
            kept.save(number, *found, stamp)
    return found


def _stamp(fits: list[Fit]) -> float:
    """A number that tells observations from others; exact in float64."""
    digest = xxhash.xxh64()
    for fit in fits:
        digest.update(np.ascontiguousarray(fit.data))
        digest.update(np.ascontiguousarray(fit.weight))
    return float(digest.intdigest() >> 12)


def _take(pair: tuple[np.ndarray, np.ndarray], which: int) -> np.ndarray:
    return pair[which].reshape(len(pair[which]), -1)
