"""Read what many runs of RELAX wrote: series at stations, and grids."""

import os
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePath
from typing import Any, Literal

import dask
import dask.array as da
import numpy as np
import xarray as xr
from numpy.typing import ArrayLike

from mimtpy_cloud.errors import ParameterError, SourceFormatError, StorageError
from mimtpy_cloud.io.relax import PointSeries, read_output_times, read_relax_grid, read_relax_series
from mimtpy_cloud.relax.table import checked_table, parameter_names, run_table

__all__ = ["open_grids", "open_output"]

_ENU = ("east", "north", "up")
_REASON = "U512"
_NOT_A_RUN = "no folder of this run"
_GRID = re.compile(r"(\d+)-east\.grd")
_RELAX_GRID = re.compile(r"(\d+)-relax-east\.grd")

#: Displacement since the earthquake, or with that of the earthquake.
type Kind = Literal["relax", "total"]


def open_output(
    folder: str | os.PathLike[str],
    *,
    times: ArrayLike | None = None,
    kind: Kind = "relax",
    unit: str = "m",
    runs: Any = None,
) -> xr.Dataset:
    """
    Read the displacement of stations from the folders of many runs.

    Parameters
    ----------
    folder : str or path
        Folder of the folders of the runs, or of one run, or a pattern of folders of runs such as ``"models/Lower_*"``.
    times : array_like, optional
        Years after the start, shape ``(time,)``; by default all that occur in a file.
    kind : {"relax", "total"}
        Series ``NAME-relax.txt``, without the displacement of the earthquake, or ``NAME.txt``.
    unit : {"m", "cm", "mm"}
        Of the files.
    runs : pandas.DataFrame, str, path or mapping, optional
        Table of the runs as `make_runs` returns and writes it; by default ``runs.csv`` of the folder, if there.

    Returns
    -------
    xr.Dataset
        Dimensions `model, station, time`: `east, north, up` in m, float64; `time` in yr. A series is interpolated
        linearly on its time column; before its first and after its last time, and where there is none, it is NaN.
        `missing` (`model, station`) says why there is no series ("" where there is one). Columns of the table are
        coordinates on `model`, whose runs are those of the table; the attribute `parameters`, also of each component,
        names those that are parameters. Attribute `time_range`: first and last time of all series.

    Raises
    ------
    StorageError
        If there is no folder, or no series in it.
    SourceFormatError
        If no series can be read, or the unit is unknown.
    ParameterError
        If the times do not ascend or all lie outside of the series, the kind is unknown, or the table is malformed or
        has no names.

    See Also
    --------
    open_grids : The same of grids.
    to_los : Projects onto the line of sight.
    mimtpy_cloud.io.relax.read_relax_series : Reads one file.

    Examples
    --------
    >>> import tempfile, pathlib
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     for model in ("a", "b"):
    ...         pathlib.Path(folder, model).mkdir()
    ...     _ = pathlib.Path(folder, "a/P066-relax.txt").write_text("0 0 0 0\\n2 0.01 -0.02 0.004\\n")
    ...     _ = pathlib.Path(folder, "b/P473-relax.txt").write_text("0 0 0 0\\n1 0.01 -0.02 0.004\\n")
    ...     ds = open_output(folder, times=[0.5, 1.5])
    >>> ds["up"].sel(model="a", station="P066").values.tolist(), ds["up"].sel(model="b", station="P473").values.tolist()
    ([-0.001, -0.003], [-0.002, nan])
    >>> ds["missing"].sel(model="a").values.tolist()
    ['', 'no file P473-relax.txt']
    """
    models, coords = _models(folder, runs, kind)
    found = {(model, station): file for model, path in models.items() for station, file in _stations(path, kind)}
    stations = sorted({station for _, station in found})
    if not stations:
        raise StorageError(f"no series {_series_name('NAME', kind)} in the folders of {os.fspath(folder)}")
    missing = np.full((len(models), len(stations)), "", dtype=object)
    series: dict[tuple[int, int], PointSeries] = {}
    for i, (model, path) in enumerate(models.items()):
        for j, station in enumerate(stations):
            try:
                series[i, j] = _read(found.get((model, station)), path, _series_name(station, kind), unit)
            except (SourceFormatError, StorageError) as error:
                missing[i, j] = str(error)
    if not series:
        raise SourceFormatError(f"no series of {os.fspath(folder)} can be read, the first since: {missing.ravel()[0]}")
    axis, span = _axis(times, [one.time for one in series.values()])
    values = np.full((3, *missing.shape, axis.size), np.nan)
    for (i, j), one in series.items():
        for c, name in enumerate(_ENU):
            values[c, i, j] = np.interp(axis, one.time, getattr(one, name), left=np.nan, right=np.nan)
    marks = _marks(coords)
    data: dict[str, Any] = {
        name: (("model", "station", "time"), values[c], {"units": "m"} | marks) for c, name in enumerate(_ENU)
    }
    data["missing"] = (("model", "station"), missing.astype(str), {"long_name": "why there is no series"})
    coords |= {"station": stations, "time": ("time", axis, {"units": "yr", "long_name": "time after the start"})}
    return xr.Dataset(data, coords, {"source": os.fspath(folder), "kind": kind, "time_range": span} | marks)


def open_grids(
    folder: str | os.PathLike[str],
    *,
    times: ArrayLike | None = None,
    kind: Kind = "relax",
    runs: Any = None,
) -> xr.Dataset:
    """
    Read the grids of displacement from the folders of many runs.

    Parameters
    ----------
    folder : str or path
        Folder of the folders of the runs, or of one run, or a pattern of folders of runs.
    times : array_like, optional
        Years after the start, shape ``(time,)``, between which and the outputs values are interpolated linearly. By
        default the times of the outputs, which must be those of all runs.
    kind : {"relax", "total"}
        Grids ``NNN-relax-east.grd`` and so on, without the displacement of the earthquake, or ``NNN-east.grd``.
    runs : pandas.DataFrame, str, path or mapping, optional
        Table of the runs; by default ``runs.csv`` of the folder, if there.

    Returns
    -------
    xr.Dataset
        Dimensions `model, time, y, x`: `east, north, up` in the unit of the slip, float32, `y` north to south, lazy, in
        one chunk a run; without `time` where no run has more than one output and no times are asked for. `missing`
        (`model`), lazy too, says why a run is NaN ("" where it is not), such as a damaged file or another grid. Columns
        of the table and attributes are as those of `open_output`.

    Raises
    ------
    StorageError
        If there is no folder, or no grid in it.
    SourceFormatError
        If no run has a grid that can be read.
    ParameterError
        If runs have different times and none are asked for, the times do not ascend or all lie outside of those of the
        outputs, the kind is unknown, or the table is malformed or has no names.

    See Also
    --------
    open_output : The same of stations.

    Notes
    -----
    Output NNN is of the time in line NNN + 1 of ``time.txt`` of the run; without that file, the time is NNN itself.
    The grid is that of the first run that can be read.
    """
    models, coords = _models(folder, runs, kind)
    found = [_find_grids(path, kind) for path in models.values()]
    whole = [files for files in found if isinstance(files, _GridFiles)]
    if not whole:
        raise SourceFormatError(f"no grids of {os.fspath(folder)} can be read, the first since: {found[0]}")
    axis, span = _axis(times, [files.times for files in whole])
    if times is None and any(not np.array_equal(files.times, axis) for files in whole):
        raise ParameterError("the runs wrote grids at different times; say at which times you want them")
    first = _first_grid(whole)
    shape = (len(_ENU), axis.size, *first.shape)
    read = dask.delayed(_read_block, pure=True)  # type: ignore[attr-defined]
    blocks = [read(files, axis, first["y"].values, first["x"].values) for files in found]
    values = da.stack([da.from_delayed(block[0], shape, np.float32) for block in blocks])  # type: ignore[no-untyped-call]
    missing = da.stack([da.from_delayed(block[1], (), _REASON) for block in blocks])  # type: ignore[no-untyped-call]
    marks = _marks(coords)
    data: dict[str, Any] = {
        name: (("model", "time", "y", "x"), values[:, c], {"units": "m"} | marks) for c, name in enumerate(_ENU)
    }
    data["missing"] = (("model",), missing, {"long_name": "why there are no grids"})
    coords |= {"time": ("time", axis, {"units": "yr"}), "y": first["y"].values, "x": first["x"].values}
    ds = xr.Dataset(data, coords, {"source": os.fspath(folder), "kind": kind, "time_range": span} | marks)
    return ds.isel(time=0) if times is None and axis.size == 1 else ds


def _models(folder: str | os.PathLike[str], runs: Any, kind: str) -> tuple[dict[str, Path | None], dict[str, Any]]:
    """Folder of each run (None if there is none), and the coordinates that the table gives."""
    if kind not in ("relax", "total"):
        raise ParameterError(f"expected kind to be 'relax' or 'total', got {kind!r}")
    found = _folders(os.fspath(folder), kind)
    beside = Path(os.fspath(folder)) / "runs.csv"
    if runs is None and not beside.is_file():
        return dict(found), {"model": list(found)}
    table = checked_table(runs) if isinstance(runs, Mapping) else run_table(beside if runs is None else runs)
    if "name" not in table:
        raise ParameterError("the table of the runs needs a column 'name' with the names of their folders")
    names = table["name"].tolist()
    coords: dict[str, Any] = {"model": names}
    coords |= {name: ("model", column) for name, column in table.items() if name not in ("name", "script")}
    return {name: found.get(name) for name in names}, coords


def _folders(text: str, kind: str) -> dict[str, Path]:
    """Folders of runs by name."""
    if any(mark in text for mark in "*?["):
        pattern = PurePath(text)
        root = Path(pattern.anchor or ".")
        found = [path for path in root.glob(str(pattern.relative_to(pattern.anchor))) if path.is_dir()]
    elif Path(text).is_dir():
        here = Path(text)
        one = any(_stations(here, kind)) or any(_outputs(here, kind))
        found = [here] if one else [path for path in here.iterdir() if path.is_dir() and not path.name.startswith(".")]
    else:
        raise StorageError(f"no such folder: {text}")
    if not found:
        raise StorageError(f"{text} names no folder of a run")
    return {path.resolve().name: path for path in sorted(found)}


def _series_name(station: str, kind: str) -> str:
    return f"{station}-relax.txt" if kind == "relax" else f"{station}.txt"


def _stations(path: Path | None, kind: str) -> Iterator[tuple[str, Path]]:
    """Stations of a run, and their files."""
    for file in sorted(path.glob("*.txt")) if path is not None else ():
        is_relax = file.name.endswith("-relax.txt")
        if is_relax == (kind == "relax") and file.name != "time.txt":
            yield file.name.removesuffix("-relax.txt" if is_relax else ".txt"), file


def _read(file: Path | None, path: Path | None, name: str, unit: str) -> PointSeries:
    if file is None:
        raise StorageError(_NOT_A_RUN if path is None else f"no file {name}")
    return read_relax_series(file, unit=unit)


def _marks(coords: dict[str, Any]) -> dict[str, list[str]]:
    """Attribute that tells which of the coordinates on `model` are parameters."""
    names = parameter_names(name for name in coords if name not in ("model", "station", "time", "y", "x"))
    return {"parameters": names} if names else {}


def _axis(times: ArrayLike | None, found: Sequence[np.ndarray]) -> tuple[np.ndarray, list[float]]:
    """Times of the result, and the first and last that there are."""
    known = np.unique(np.concatenate(found))
    span = [float(known[0]), float(known[-1])]
    if times is None:
        return known, span
    axis = np.atleast_1d(np.asarray(times, np.float64))
    if axis.ndim != 1 or axis.size == 0 or not np.isfinite(axis).all() or (np.diff(axis) <= 0).any():
        raise ParameterError(f"expected times in years that ascend, got {axis.tolist()}")
    if ((axis < span[0]) | (axis > span[1])).all():
        raise ParameterError(
            f"expected times from {span[0]:g} to {span[1]:g} years, which the runs have, got "
            + " to ".join(f"{time:g}" for time in axis[[0, -1][: axis.size]])
        )
    return axis, span


def _outputs(path: Path, kind: str) -> Iterator[tuple[int, str]]:
    """Number of each output with grids, and how their names begin."""
    pattern = _RELAX_GRID if kind == "relax" else _GRID
    for file in sorted(path.iterdir()):
        if found := pattern.fullmatch(file.name):
            yield int(found[1]), file.name.removesuffix("east.grd")


@dataclass(frozen=True, eq=False)
class _GridFiles:
    """Files of a run: how their names begin, and their times; and when they were written, for the name of the task."""

    stems: tuple[str, ...]
    times: np.ndarray
    changed: tuple[int, ...]


def _find_grids(path: Path | None, kind: str) -> _GridFiles | str:
    """Files of the grids of a run in order of time, or why there are none."""
    if path is None:
        return _NOT_A_RUN
    outputs = list(_outputs(path, kind))
    if not outputs:
        return f"no grid {'NNN-relax-east.grd' if kind == 'relax' else 'NNN-east.grd'} in {path}"
    numbers = np.array([number for number, _ in outputs])
    times = numbers.astype(float)
    try:
        if (path / "time.txt").is_file():
            known = read_output_times(path / "time.txt")
            if numbers.max() >= known.size:
                return f"{path / 'time.txt'} has {known.size} times, but there is an output {numbers.max()}"
            times = known[numbers]
        stems = [f"{path}/{outputs[i][1]}" for i in np.argsort(times)]
        changed = tuple(Path(f"{stem}east.grd").stat().st_mtime_ns for stem in stems)
    except (SourceFormatError, StorageError, OSError) as error:
        return str(error)
    return _GridFiles(tuple(stems), np.sort(times), changed)


def _first_grid(found: Sequence[_GridFiles]) -> xr.DataArray:
    """The first grid that can be read."""
    reason = ""
    for files in found:
        try:
            return read_relax_grid(f"{files.stems[0]}east.grd")
        except (SourceFormatError, StorageError) as error:
            reason = reason or str(error)
    raise SourceFormatError(f"no grid can be read, the first since: {reason}")


def _read_block(
    files: _GridFiles | str, axis: np.ndarray, y: np.ndarray, x: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Grids of a run at some times (component, time, y, x), and why they are NaN."""
    values = np.full((len(_ENU), axis.size, y.size, x.size), np.nan, np.float32)
    if isinstance(files, str):
        return values, _reason(files)
    try:
        grids = [[read_relax_grid(f"{stem}{name}.grd") for stem in files.stems] for name in _ENU]
    except (SourceFormatError, StorageError) as error:
        return values, _reason(str(error))
    for grid in (grid for row in grids for grid in row):
        if not (_same(grid["y"].values, y) and _same(grid["x"].values, x)):
            return values, _reason(f"another grid than that of the first run, of {grid.shape} nodes")
    values[:] = _at(np.array([[grid.values for grid in row] for row in grids]), files.times, axis)
    return values, _reason("")


def _reason(text: str) -> np.ndarray:
    """Text of one width, which blocks that are joined need."""
    return np.array(text, _REASON)


def _same(a: np.ndarray, b: np.ndarray) -> bool:
    """Whether nodes agree to a thousandth of their distance."""
    return a.shape == b.shape and bool(np.abs(a - b).max() <= 1e-3 * abs(b[-1] - b[0]) / max(b.size - 1, 1))


def _at(values: np.ndarray, known: np.ndarray, axis: np.ndarray) -> np.ndarray:
    """Values (component, time, y, x) at other times; NaN outside of those that there are."""
    after = np.clip(np.searchsorted(known, axis), 0, known.size - 1)
    before = np.maximum(after - 1, 0)
    with np.errstate(invalid="ignore", divide="ignore"):
        part = np.where(known[after] == axis, 1.0, (axis - known[before]) / (known[after] - known[before]))
    part = np.where((part < 0) | (part > 1), np.nan, part)[:, None, None]
    low, high = values[:, before], values[:, after]
    return np.asarray(np.where(part == 1, high, low + part * (high - low)))
