"""What ``mimtpy gridsearch`` reads and writes."""

import csv
import io
from collections.abc import Mapping, Sequence
from pathlib import PurePath
from typing import Any

import numpy as np
import xarray as xr

from mimtpy_cloud.errors import SchemaError
from mimtpy_cloud.schema import LOS

__all__ = [
    "best_parameters",
    "open_models_of",
    "open_observed",
    "read_noise",
    "search_lines",
    "write_residuals",
    "write_search",
]

#: Reduced chi-squares between these are no reason to say something.
_GOOD = (0.5, 2.0)
_TABLES = (".csv", ".txt", ".dat", ".json", ".parquet", ".pq")


def _is_table(name: str) -> bool:
    """Whether an input is a table of points."""
    return PurePath(name).suffix.lower() in _TABLES


def _pick_variable(ds: xr.Dataset, variable: str | None) -> xr.Dataset | xr.DataArray:
    """What is to be explained of a product or table, with its look vectors if it has any."""
    if variable is None:
        return ds
    if variable not in ds:
        raise SchemaError(f"there is no variable {variable}; expected one of {', '.join(map(str, ds.data_vars))}")
    looks = [name for name in LOS if name in ds]
    return ds[[variable, *looks]] if len(looks) == len(LOS) and ds[variable].dims == ds[LOS[0]].dims else ds[variable]


def _seen(observed: xr.Dataset | xr.DataArray, look: tuple[float, float] | None) -> xr.Dataset | xr.DataArray:
    """The same with one look for all points, if there is none."""
    from mimtpy_cloud.kernels.look import los_unit_vector

    if look is None or not isinstance(observed, xr.Dataset) or all(name in observed for name in LOS):
        return observed
    vector = los_unit_vector(*look)
    return observed.assign({name: xr.DataArray(float(part)) for name, part in zip(LOS, vector, strict=True)})


def open_models_of(
    tracks: Sequence[Any],
    models: Sequence[str],
    stem: str,
    *,
    names: str | None,
    trace: str | None,
    refine: int | None,
    progress: Any,
) -> list[Any]:
    """
    Open what ``--models`` names.

    Parameters
    ----------
    tracks : sequence of xr.Dataset or xr.DataArray
        What the models are compared with.
    models : sequence of str
        Names of built-in models, stacks, or folders or patterns of model files.
    stem : str
        Path of the result without suffix; beside it a folder is indexed.
    names : str, optional
        Names of the parameters in file names, with commas.
    trace : str, optional
        Vector file of the fault, for ``trace``.
    refine : int, optional
        Of ``--refine``.
    progress : callable
        ``progress(done, total, unit)``.

    Returns
    -------
    list of callable or ModelStack
        One, or one for each track.

    Raises
    ------
    SchemaError
        If they are not one, or one for each track; cannot be refined; if a trace is missing, or has several lines.
    """
    if len(models) not in (1, len(tracks)):
        raise SchemaError(f"expected --models once, or for each of {len(tracks)} tracks, got {len(models)}")
    if trace is not None and "trace" not in models:
        raise SchemaError("--trace goes with --models trace")
    if refine and any(_computed(one) is None for one in models):
        raise SchemaError("--refine needs models that are computed; of files and stacks there are no others")
    parts = None if names is None else names.split(",")
    return [
        _open_models(one, track, stem + (f"_{k}" if k else ""), names=parts, trace=trace, progress=progress)
        for k, (one, track) in enumerate(zip(models, tracks, strict=False))
    ]


def _computed(name: str) -> Any:
    """Built-in model of that name, also of a screw along a trace that is read later; None if there is none."""
    from mimtpy_cloud.ops.forward import MODELS, TraceScrew

    return TraceScrew if name == "trace" else MODELS.get(name)


def _open_models(
    given: str, observed: Any, stem: str, *, names: Sequence[str] | None, trace: str | None, progress: Any
) -> Any:
    from mimtpy_cloud.io.vectors import read_lines
    from mimtpy_cloud.ops.forward import TraceScrew
    from mimtpy_cloud.search import index_models, open_models

    if given == "trace":
        lines = [] if trace is None else read_lines(trace)
        if len(lines) != 1:
            raise SchemaError(f"--models trace needs --trace FILE with one line, got {len(lines)}")
        return TraceScrew(tuple(map(tuple, lines[0].tolist())))
    if (model := _computed(given)) is not None:
        return model
    if given.rstrip("/").lower().endswith(".zarr"):
        return open_models(given)
    return index_models(given, f"{stem}_models.zarr", observed, names=names, progress=progress)


def best_parameters(result: xr.Dataset) -> dict[str, Any]:
    """
    Read the best model of a computed search.

    Parameters
    ----------
    result : xr.Dataset
        Of `search_grid`.

    Returns
    -------
    dict
        Name -> value.
    """
    names = [str(name) for name in result.data_vars if str(name).startswith("best_")]
    return {name.removeprefix("best_"): result[name].values.item() for name in names}


def search_lines(result: xr.Dataset) -> list[str]:
    """
    Tell the outcome of a search in words.

    Parameters
    ----------
    result : xr.Dataset
        Computed.

    Returns
    -------
    list of str
    """
    metric = str(result.attrs["metric"])
    values = result[metric]
    best = float(values.max() if metric == "loglike" else values.min())
    units = values.attrs.get("units", "1")
    free = int(result["degrees_of_freedom"])
    lines = [
        f"{int(result['count'].sum())} observations, {free} degrees of freedom",
        f"best of {int(np.isfinite(values).sum())} models: {metric} {best:.6g}{'' if units == '1' else f' {units}'}",
    ]
    for name, value in best_parameters(result).items():
        lines.append(f"  {name} {value if isinstance(value, str) else f'{value:.8g}'}{_region(result, name)}")
    if result["in_region"].size:
        lines.append(f"  region by {result.attrs['confidence_method']}")
    known = str(result.attrs["confidence_method"]).startswith("delta")
    reduced = float(result["misfit"].min()) / free if known and free > 0 else 1.0
    if not _GOOD[0] <= reduced <= _GOOD[1]:
        lines.append(
            f"  reduced chi-square {reduced:.3g}, not near 1: noise, units or models are wrong, and so is the region"
        )
    if bad := int((~np.isfinite(values)).sum()):
        first = next((text for text in result["problem"].values.ravel() if text), "no value")
        lines.append(f"{bad} models without a value; the first: {first}")
    return lines


def _region(result: xr.Dataset, name: str) -> str:
    """What a search says of a parameter."""
    along = result[name].values
    if f"low_{name}" not in result or np.unique(along).size < 2:
        return ""
    low, high = (float(result[f"{end}_{name}"]) for end in ("low", "high"))
    text = f", {100 * float(result.attrs['confidence_level']):g} % region {low:.8g} to {high:.8g}"
    if low == float(along.min()) or high == float(along.max()):
        return text + ", which is an end of the values: search farther"
    return text + (", one value: search a finer grid (--refine)" if low == high else "")


def _ranking(result: xr.Dataset) -> bytes:
    """All models as CSV, the best first."""
    metric = str(result.attrs["metric"])
    dims = result[metric].dims
    names = [str(dim) for dim in dims]
    if dims == ("model",):
        names = [str(name) for name, c in result.coords.items() if c.dims == dims]
    columns = [name for name in dict.fromkeys((metric, "misfit", "scale", "in_region", "problem")) if name in result]
    whole = {name: result[name].broadcast_like(result[metric]).transpose(*dims) for name in (*names, *columns)}
    flat = {name: values.values.ravel() for name, values in whole.items()}
    worth = -flat[metric] if metric == "loglike" else flat[metric]
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow([*names, *columns])
    for at in np.argsort(worth, kind="stable"):
        writer.writerow([_cell(flat[name][at]) for name in (*names, *columns)])
    return text.getvalue().encode()


def _cell(value: Any) -> str:
    if isinstance(value, bool | np.bool_):
        return "yes" if value else "no"
    if isinstance(value, float | np.floating):
        return f"{value:.10g}" if np.isfinite(value) else ""
    return str(value)


def write_search(result: xr.Dataset, stem: str, provenance: Mapping[str, Any]) -> list[str]:
    """
    Write store, table and figure of a search, and of two parameters MimtPy's JSON.

    Parameters
    ----------
    result : xr.Dataset
        Computed.
    stem : str
        Path or URL without suffix.
    provenance : mapping
        What made it.

    Returns
    -------
    list of str
        What was written.
    """
    from mimtpy_cloud.exports.mimtpyjson import write_metric_json
    from mimtpy_cloud.exports.publish import publish_bytes
    from mimtpy_cloud.exports.zarr import write_zarr
    from mimtpy_cloud.view.map import save_figure
    from mimtpy_cloud.view.search import plot_search

    write_zarr(result.assign_attrs(provenance=dict(provenance)), f"{stem}.zarr")
    publish_bytes(_ranking(result), f"{stem}.csv")
    written = [f"{stem}.zarr", f"{stem}.csv"]
    metric = str(result.attrs["metric"])
    numbers = all(result[dim].dtype.kind in "iuf" for dim in result[metric].dims)
    if metric in ("rms", "misfit") and result[metric].ndim == 2 and numbers:
        write_metric_json(result[metric], f"{stem}.json")
        written.append(f"{stem}.json")
    if any(result.sizes[dim] > 1 for dim in result[metric].dims):
        save_figure(plot_search(result), f"{stem}.png")
        written.append(f"{stem}.png")
    return written


def open_observed(
    root: str,
    names: Sequence[str],
    *,
    variable: str | None,
    angles: str | None,
    mask_file: str | None,
    units: str | None,
    look: tuple[float, float] | None,
    **choice: Any,
) -> tuple[list[str], list[Any], list[Any] | None, dict[str, Any]]:
    """
    Open what is to be explained.

    Parameters
    ----------
    root : str
        Root URL.
    names : sequence of str
        Tracks, products and tables of points.
    variable : str, optional
        Which, of products that have several.
    angles : str, optional
        Angles of the points of a table of MimtPy.
    mask_file : str, optional
        Mask of the first track.
    units : str, optional
        Unit of a table that does not say.
    look : tuple of float, optional
        Incidence and azimuth of one look for all, of inputs that have none.
    **choice : object
        Options of `mimtpy_cloud.cli.inputs.open_inputs`.

    Returns
    -------
    labels : list of str
        Short names.
    tracks : list of xr.Dataset or xr.DataArray
        Lazy.
    masks : list or None
        One each.
    provenance : dict
        Datasets and revisions.

    Raises
    ------
    SchemaError
        If a mask is given with several tracks, or one is given twice.
    """
    from mimtpy_cloud.cli.inputs import assign_geometry, open_inputs, read_mask
    from mimtpy_cloud.cli.names import file_stem
    from mimtpy_cloud.io.points import read_points

    if mask_file is not None and len(names) > 1:
        raise SchemaError("a mask goes with one track; mask products before, or give one")
    twice = [name for name in names if list(names).count(name) > 1]
    if twice:
        raise SchemaError(f"{twice[0]} is given twice; give each track, product or table once")
    if units is not None and not any(map(_is_table, names)):
        raise SchemaError("--units is the unit of a table of points, and there is none; leave it out")
    labels, tracks, revisions = [], [], []
    beside = assign_geometry(names, choice.pop("geometry", ()))
    for name in names:
        if _is_table(name):
            labels.append(file_stem(name))
            tracks.append(_seen(_pick_variable(read_points(name, angles, units=units), variable), look))
            continue
        given = [beside[name]] if name in beside else []
        (label,), (ds,), told = open_inputs(root, (name,), least=1, geometry=given, **choice)
        labels.append(label)
        tracks.append(_seen(_pick_variable(ds, variable), look))
        revisions += told["revisions"]
    first = tracks[0] if isinstance(tracks[0], xr.Dataset) else tracks[0].to_dataset(name="observed")
    labels = [f"{label}_{k}" if labels.count(label) > 1 else label for k, label in enumerate(labels)]
    masks = None if mask_file is None else [read_mask(mask_file.rstrip("/"), first)]
    return labels, tracks, masks, {"datasets": list(names), "revisions": revisions, "mask": mask_file}


def read_noise(tracks: Sequence[Any], *, std: Sequence[float], covariance: Sequence[str]) -> list[Any] | None:
    """
    Read how large the noise is.

    Parameters
    ----------
    tracks : sequence
        Observations.
    std : sequence of float
        Standard deviations.
    covariance : sequence of str
        Files of covariances.

    Returns
    -------
    list or None
        Covariance of each track: as given, else of points their own standard deviations; None if nothing is known.

    Raises
    ------
    SchemaError
        If both are given, or the numbers do not fit.
    """
    from mimtpy_cloud.io.covariance import read_covariance
    from mimtpy_cloud.search.observation import observations

    if std and covariance:
        raise SchemaError("expected --std or --covariance, got both")
    number = len(std) or len(covariance)
    if number not in (0, 1, len(tracks)):
        raise SchemaError(f"expected one standard deviation or covariance, or {len(tracks)}, got {number}")
    if covariance:
        urls = list(covariance) * (len(tracks) if number == 1 else 1)
        units = [str(track.values.attrs.get("units", "1")) for track in observations(list(tracks))]
        return [read_covariance(url, unit) for url, unit in zip(urls, units, strict=True)]
    if std:
        return [value**2 for value in std] * (len(tracks) if number == 1 else 1)
    own = [_own_variance(track) for track in tracks]
    known = sum(noise is not None for noise in own)
    if known not in (0, len(tracks)):
        raise SchemaError("some of the inputs have standard deviations and others have none; give --std for each")
    return own if known else None


def _own_variance(track: Any) -> xr.DataArray | None:
    """Variance that the rows of a table say of themselves."""
    if not isinstance(track, xr.Dataset):
        return None
    if "weight" in track:
        return 1.0 / track["weight"]
    return track["std"] ** 2 if "std" in track else None


def write_residuals(
    tracks: Sequence[Any],
    labels: Sequence[str],
    models: Sequence[Any],
    result: xr.Dataset,
    stem: str,
    provenance: Mapping[str, Any],
    *,
    covariance: Sequence[Any] | None,
    mask: Sequence[Any] | None,
    **options: Any,
) -> list[str]:
    """
    Write what the best model leaves of each track.

    Parameters
    ----------
    tracks, labels, models : sequence
        Observations, their names, and models, one or one each.
    result : xr.Dataset
        Of the search.
    stem : str
        Path or URL without suffix.
    provenance : mapping
        What made it.
    covariance, mask : sequence, optional
        Of each track.
    **options : object
        Of `mimtpy_cloud.search.residual`.

    Returns
    -------
    list of str
        What was written.
    """
    from mimtpy_cloud.exports.zarr import write_zarr
    from mimtpy_cloud.search import residual
    from mimtpy_cloud.view.map import save_figure
    from mimtpy_cloud.view.search import plot_residual

    written, best, scale = [], best_parameters(result), 1.0
    if options.pop("scaled", False):  # one for all tracks, as the search has it
        scale = float(result["scale"].values.ravel()[int(np.nanargmin(result["misfit"].values))])
    for k, (track, label) in enumerate(zip(tracks, labels, strict=True)):
        own = {"scale": scale, "covariance": covariance and covariance[k], "mask": mask and mask[k], **options}
        left = residual(track, models[k if len(models) > 1 else 0], parameters=best, **own)
        place = f"{stem}_residual" if len(tracks) == 1 else f"{stem}_residual_{label}"
        write_zarr(left.assign_attrs(provenance={**provenance, "best": best, "scale": scale}), f"{place}.zarr")
        save_figure(plot_residual(left), f"{place}.png")
        written += [f"{place}.zarr", f"{place}.png"]
    return written
