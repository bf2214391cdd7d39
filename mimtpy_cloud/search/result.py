"""The result of a search: labelled, with its confidence region; run with a bar; and a finer grid around it."""

import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import dask
import dask.array as da
import dask.threaded
import numpy as np
import xarray as xr
from dask.callbacks import Callback
from dask.delayed import Delayed

from mimtpy_cloud.client import active_client
from mimtpy_cloud.errors import ParameterError, SchemaError
from mimtpy_cloud.exports.progress import Progress
from mimtpy_cloud.kernels.misfit import Fit
from mimtpy_cloud.kernels.ramp import ramp_degrees, ramp_terms
from mimtpy_cloud.kernels.region import confidence_threshold, evaluate_metric, marginal
from mimtpy_cloud.plan.candidates import Candidates
from mimtpy_cloud.search.blocks import COLUMNS

__all__ = ["DERIVED", "RESERVED", "SCORING", "Search", "label_result", "refine", "run_search"]

#: How the name of every task that scores a block of models begins.
SCORING = "score-models"
#: Names in a result that no parameter can have, and how others begin.
RESERVED = ("rms", "misfit", "chi2", "loglike", "scale", "problem", "in_region", "term", "track", "count",
            "ramp_coefficient", "degrees_of_freedom")  # fmt: skip
DERIVED = ("best_", "low_", "high_", "marginal_")
_NO_MODEL = "no such model"
#: Name of the task that counts the observations.
_FACTS = "_facts-"
_ASSUMED = "noise white, of one unknown variance"


@dataclass(frozen=True)
class Search:
    """
    How a search was asked for.

    Parameters
    ----------
    metric : str
        Name.
    ramp : str or None
        Kind.
    level : float
        Of the confidence region.
    scaled : bool
        Whether models had a factor.
    known : bool
        Whether the covariance is known.
    tracks : tuple of str
        Names of the tracks.
    several : bool
        Whether they were given as a sequence.
    units : str
        Of the observations.
    origins : tuple
        Longitude and latitude about which the ramp of each track counts; None where there are no places.
    """

    metric: str
    ramp: str | None
    level: float
    scaled: bool
    known: bool
    tracks: tuple[str, ...]
    several: bool
    units: str
    origins: tuple[tuple[float, float] | None, ...]

    @property
    def terms(self) -> int:
        """Coefficients solved for each model."""
        ramps = 0 if self.ramp is None else len(ramp_terms(self.ramp)) * len(self.tracks)
        return ramps + int(self.scaled)

    @property
    def units_of(self) -> dict[str, str]:
        """Unit of each metric."""
        square = "1" if self.known else f"({self.units})^2"
        return {
            "misfit": square,
            "rms": "1" if self.known else self.units,
            "chi2": square,
            "loglike": "1",
        }


def label_result(
    numbers: da.Array, problems: da.Array, fits: list[Delayed], candidates: Candidates, search: Search
) -> xr.Dataset:
    """
    Label the table of a search, without computing.

    Parameters
    ----------
    numbers : da.Array
        Columns as `mimtpy_cloud.search.blocks.score_block` gives them, of all models.
    problems : da.Array
        Text of each model, shape ``(model, 1)``.
    fits : list of Delayed
        Observations.
    candidates : Candidates
        Parameters of the models.
    search : Search
        How it was asked for.

    Returns
    -------
    xr.Dataset
        As `mimtpy_cloud.search_grid` gives it.
    """
    axes = candidates.axes()
    dims: tuple[str, ...] = ("model",) if axes is None else tuple(axes)
    shape = (candidates.count,) if axes is None else tuple(axis.size for axis in axes.values())
    if axes is None:
        coords: dict[str, Any] = {name: ("model", values) for name, values in candidates.values.items()}
        positions = np.arange(candidates.count)
    else:
        coords, positions = dict(axes), candidates.positions(axes)
    size = int(np.prod(shape))
    whole = {"positions": positions, "size": size}
    table = _on_all(_place, numbers, problems, **whole, dtype=float, chunks=((size,), numbers.chunks[1]))
    texts = _on_all(_place_text, problems, **whole, dtype=problems.dtype, drop_axis=[1], chunks=((size,),))
    facts = dask.delayed(_facts, pure=True)(fits)  # type: ignore[attr-defined]
    misfit = table[:, 0].reshape(shape)
    about = {"metric": search.metric, "terms": search.terms, "known": search.known}
    data: dict[str, Any] = {}
    for name in dict.fromkeys((search.metric, "misfit")):
        values = _on_all(_metric, misfit, facts=facts, **{**about, "metric": name}, dtype=float)
        data[name] = (dims, values, {"units": search.units_of[name], "long_name": _LONG[name]})
    if search.scaled:
        data["scale"] = (dims, table[:, 1].reshape(shape), {"units": "1", "long_name": "factor of the model"})
    data |= _ramps(table, search, dims, shape)
    data["problem"] = (dims, texts.reshape(shape), {"long_name": "why a model has no misfit"})  # type: ignore[no-untyped-call]
    ds = xr.Dataset(data, coords)
    counts = da.from_delayed(facts, (1 + len(search.tracks),), dtype=float)[1:]  # type: ignore[no-untyped-call]
    said = {"units": "1", "long_name": "observations that count"}
    ds["count"] = ("track", counts, said) if search.several else ((), counts[0], said)
    free = {"units": "1", "long_name": "observations less coefficients that are solved for each model"}
    ds["degrees_of_freedom"] = ((), counts.sum() - search.terms, free)
    return _with_region(ds, misfit, facts, search, candidates).assign_attrs(_attributes(search, candidates.count))


#: Meaning of each metric.
_LONG = {
    "rms": "root of the mean weighted square of the residuals",
    "misfit": "weighted sum of the squares of the residuals",
    "chi2": "misfit over degrees of freedom",
    "loglike": "logarithm of the likelihood",
}


def _attributes(search: Search, models: int) -> dict[str, Any]:
    how = "delta chi-square (covariance known)" if search.known else f"F test ({_ASSUMED})"
    return {
        "metric": search.metric,
        "ramp": search.ramp or "none",
        "confidence_level": search.level,
        "confidence_method": how,
        "tracks": list(search.tracks),
        "models": models,
    }


def _ramps(table: da.Array, search: Search, dims: tuple[str, ...], shape: tuple[int, ...]) -> dict[str, Any]:
    if search.ramp is None:
        return {}
    terms = ramp_terms(search.ramp)
    units = [search.units + ("", "/km", "/km^2")[power] for power in ramp_degrees(search.ramp)]
    origins = [None if place is None else [float(place[0]), float(place[1])] for place in search.origins]
    attrs: dict[str, Any] = {"long_name": "ramp removed from observed less model", "term_units": units}
    attrs["origin"] = origins if search.several else origins[0]
    values: Any = table[:, len(COLUMNS) :]
    if search.several:
        whole = values.reshape((*shape, len(search.tracks), len(terms)))
        return {"ramp_coefficient": ((*dims, "track", "term"), whole, attrs)}
    return {"ramp_coefficient": ((*dims, "term"), values.reshape((*shape, len(terms))), attrs)}


def _with_region(
    ds: xr.Dataset, misfit: da.Array, facts: Delayed, search: Search, candidates: Candidates
) -> xr.Dataset:
    """Add what the misfits say of the parameters."""
    dims = ds["misfit"].dims
    varying = sum(np.unique(values).size > 1 for values in candidates.values.values())
    about = {"level": search.level, "terms": search.terms, "known": search.known, "parameters": varying}
    region = _on_all(_region, misfit, facts=facts, **about, dtype=bool)
    share = f"models that {100 * search.level:g} % confidence holds"
    ds["in_region"] = (dims, region, {"units": "1", "long_name": share})
    if search.ramp is not None:
        ds = ds.assign_coords(term=list(ramp_terms(search.ramp)))
        ds = ds.assign_coords(track=list(search.tracks)) if search.several else ds
    gridded = dims != ("model",) or set(candidates.names) == {"model"}
    for axis, (name, values) in enumerate(candidates.values.items()):
        along = ds[name].to_numpy()
        number = axis if gridded else None
        none: dict[str, Any] = {"drop_axis": list(range(misfit.ndim)), "chunks": ()}
        best = _on_all(_best, misfit, along=along, axis=number, dtype=along.dtype, **none)
        ds[f"best_{name}"] = ((), best, {"long_name": f"{name} of the best model"})
        if values.dtype.kind in "iuf":
            for end, word in ((0, "low"), (1, "high")):
                found = _on_all(_end, region, along=along, axis=number, end=end, dtype=float, **none)
                ds[f"{word}_{name}"] = ((), found, {"long_name": f"{word} end of {name} in the region"})
        if gridded:
            rest = [k for k in range(misfit.ndim) if k != axis]
            how = {"axis": axis, "terms": search.terms, "known": search.known, "facts": facts}
            one = _on_all(_marginal, misfit, **how, dtype=float, drop_axis=rest, chunks=(along.size,))
            attrs = {"units": "1", "long_name": f"probability of {name}, all models of the grid as likely before"}
            ds[f"marginal_{name}"] = ((dims[axis],), one, attrs)
    return ds


def _on_all(function: Callable[..., np.ndarray], array: da.Array, *others: da.Array, **options: Any) -> da.Array:
    """Apply a function to arrays as one block each; a dask array among the options would be computed once more."""
    whole, *rest = (one.rechunk(-1) for one in (array, *others))  # type: ignore[no-untyped-call]
    meta = np.empty((0,) * (array.ndim - len(options.get("drop_axis", ()))), options["dtype"])
    made: da.Array = da.map_blocks(function, whole, *rest, meta=meta, **options)  # type: ignore[no-untyped-call]
    return made


def _place(table: np.ndarray, texts: np.ndarray, *, positions: np.ndarray, size: int) -> np.ndarray:
    whole = np.full((size, table.shape[1]), np.nan)
    whole[positions] = table
    if not np.isfinite(whole[:, 0]).any():
        raise SchemaError(f"no model can be compared; the first: {next(filter(None, texts[:, 0]), 'no value')}")
    return whole


def _place_text(texts: np.ndarray, *, positions: np.ndarray, size: int) -> np.ndarray:
    whole = np.full(size, _NO_MODEL, texts.dtype)
    whole[positions] = texts[:, 0]
    return whole


def _facts(fits: list[Fit]) -> np.ndarray:
    return np.array([sum(fit.logdet for fit in fits), *(fit.count for fit in fits)], float)


def _metric(misfit: np.ndarray, *, facts: np.ndarray, metric: str, terms: int, known: bool) -> np.ndarray:
    count = int(facts[1:].sum())
    if metric == "chi2" and count <= terms:
        raise SchemaError(
            f"chi2 needs more observations than coefficients, got {count} and {terms}; mask less, or choose "
            "a simpler ramp"
        )
    return evaluate_metric(misfit, metric, count=count, terms=terms, logdet=float(facts[0]), known=known)


def _region(
    misfit: np.ndarray, *, facts: np.ndarray, level: float, terms: int, known: bool, parameters: int
) -> np.ndarray:
    count = int(facts[1:].sum())
    inside: np.ndarray = misfit <= confidence_threshold(
        misfit, level, count=count, terms=terms, parameters=parameters, known=known
    )
    return inside


def _best(misfit: np.ndarray, *, along: np.ndarray, axis: int | None) -> np.ndarray:
    at = np.unravel_index(int(np.nanargmin(misfit)), misfit.shape)
    return np.asarray(along[at[axis or 0]])


def _end(region: np.ndarray, *, along: np.ndarray, axis: int | None, end: int) -> np.ndarray:
    others = tuple(k for k in range(region.ndim) if k != (axis or 0))
    inside = along[region.any(axis=others)]
    return np.asarray(float((inside.min(), inside.max())[end]) if inside.size else np.nan)


def _marginal(misfit: np.ndarray, *, facts: np.ndarray, axis: int, terms: int, known: bool) -> np.ndarray:
    return marginal(misfit, axis, free=int(facts[1:].sum()) - terms, known=known)


class _Models(Callback):
    """Counts blocks of models that local schedulers have scored."""

    def __init__(self, report: Callable[[int], None]) -> None:
        self._report, self._done = report, 0

    def _posttask(self, key: Any, *_: Any) -> None:
        if isinstance(key, tuple) and str(key[0]).startswith(SCORING):
            self._done += 1
            self._report(self._done)


def run_search(result: xr.Dataset, progress: Progress | None = None) -> xr.Dataset:
    """
    Compute a search, in threads or on the cluster in charge.

    Parameters
    ----------
    result : xr.Dataset
        As `mimtpy_cloud.search_grid` gives it.
    progress : callable, optional
        ``progress(done, total, "models")``, called from this thread.

    Returns
    -------
    xr.Dataset
        The same in memory.

    Raises
    ------
    SchemaError, GridMismatchError, RampError, StorageError
        What the observations or the models are lacking.
    """
    graph: Any = result["misfit"].__dask_graph__()  # type: ignore[no-untyped-call]
    name = next((layer for layer in graph.layers if layer.startswith(SCORING)), None) if graph else None
    if progress is None or name is None:
        return result.compute(scheduler=_threads())
    blocks, total = len(graph.layers[name]), int(result.attrs["models"])

    def report(done: int) -> None:
        progress(done * total // blocks, total, "models")

    client = active_client()
    if client is None:
        with _Models(report):
            return result.compute(scheduler=_threads())
    from distributed import as_completed, futures_of

    facts = Delayed(next(layer for layer in graph.layers if layer.startswith(_FACTS)), graph)  # type: ignore[no-untyped-call]  # so that fits may go
    scores = da.Array(graph, name, ((1,) * blocks, (1,)), dtype=object)  # type: ignore[no-untyped-call]
    kept = client.persist([scores, facts])
    futures = futures_of(kept[0])  # type: ignore[no-untyped-call]
    try:
        for done, future in enumerate(as_completed(futures), start=1):  # type: ignore[no-untyped-call]
            future.result()
            report(done)
        return result.compute()
    except BaseException:
        client.cancel(futures)
        raise


def _threads() -> Any:
    """dask's threads, if nothing else was asked for: only to look for a client dask would import distributed."""
    if "distributed" in sys.modules or dask.config.get("scheduler", None) is not None:
        return None
    return dask.threaded.get


def refine(result: xr.Dataset, values: int | Mapping[str, int] | None = None) -> dict[str, np.ndarray]:
    """
    Choose a finer grid around the confidence region of a search.

    Parameters
    ----------
    result : xr.Dataset
        As `mimtpy_cloud.search_grid` gives it, computed or not, on a grid of numbers.
    values : int or mapping, optional
        Number of values of each parameter; by default as many as there were.

    Returns
    -------
    dict
        Name -> values, from one step below the region to one step above it, but not beyond the old grid; a parameter
        of one value keeps it. For ``search_grid(..., parameters=...)``, or for `mimtpy_cloud.relax.make_runs`.

    Raises
    ------
    ParameterError
        If the models are no grid of numbers, or there is no region.

    Examples
    --------
    >>> depth = np.arange(1e3, 9e3, 1e3)
    >>> inside = xr.Dataset({"in_region": ("depth", (depth > 3e3) & (depth < 6e3)), "misfit": ("depth", depth)})
    >>> refine(inside.assign_coords(depth=depth), 4)["depth"].tolist()
    [3000.0, 4000.0, 5000.0, 6000.0]
    """
    region = result["in_region"]
    inside, found = region.to_numpy(), {}
    if region.dims == ("model",) or not inside.any():
        raise ParameterError("a finer grid needs a grid of parameters with a confidence region; search one first")
    for axis, name in enumerate(region.dims):
        old = result[name].to_numpy()
        if old.dtype.kind not in "iuf":
            raise ParameterError(f"a finer grid needs numbers; {name} is text")
        number = int(values) if isinstance(values, int | np.integer) else (values or {}).get(str(name), old.size)
        at = np.flatnonzero(inside.any(axis=tuple(k for k in range(inside.ndim) if k != axis)))
        low, high = old[max(at[0] - 1, 0)], old[min(at[-1] + 1, old.size - 1)]
        found[str(name)] = np.linspace(low, high, number) if low < high else old[at[:1]].astype(float)
    return found
