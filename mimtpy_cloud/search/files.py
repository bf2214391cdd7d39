"""Index a folder of model files once, as a stack that searches read fast."""

import logging
import os
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import PurePath
from typing import Any

import dask
import dask.array as da
import numpy as np
import xarray as xr
from dask.base import tokenize

from mimtpy_cloud.errors import (
    GridMismatchError,
    MimtpyError,
    ParameterError,
    SchemaError,
    SourceFormatError,
    StorageError,
)
from mimtpy_cloud.exports.progress import Progress
from mimtpy_cloud.exports.zarr import write_zarr
from mimtpy_cloud.io.hdf5file import SourceFile, open_hdf5
from mimtpy_cloud.io.mimtpyjson import read_model_json
from mimtpy_cloud.io.raster import locate_raster
from mimtpy_cloud.io.relax import read_relax_grid
from mimtpy_cloud.kernels.look import project_enu
from mimtpy_cloud.location import locate, reaching
from mimtpy_cloud.plan.candidates import Candidates
from mimtpy_cloud.search.observation import Observation, observations
from mimtpy_cloud.search.stack import ModelStack, open_models, stack_chunks, stack_template

__all__ = ["index_models"]

_log = logging.getLogger(__name__)
_SUFFIXES = (".h5", ".tif", ".tiff", ".grd", ".nc", ".json")
#: Numbers in the name of a file, between letters and underscores.
_NUMBER = re.compile(r"(?<![\d.a-zA-Z])[-+]?\d+(?:\.\d+)?(?:[eE][-+]?\d+)?(?![\d.a-zA-Z])")
#: MimtPy's names of two parameters in hundredths.
_HUNDREDTHS = re.compile(r"(?:^|_)vs_(\d{4})(\d{4})$")
#: Degrees by which places of points may differ, and parts of a pixel by which those of grids may.
_SAME_POINT, _SAME_GRID = 1e-5, 0.01


def index_models(
    files: str | os.PathLike[str] | Sequence[str | os.PathLike[str]],
    url: str | os.PathLike[str],
    observed: xr.DataArray | xr.Dataset,
    *,
    names: Sequence[str] | None = None,
    progress: Progress | None = None,
) -> ModelStack:
    """
    Read model files, whose names hold their parameters, into a stack.

    Parameters
    ----------
    files : str or path, or sequence of them
        A folder, a pattern such as ``"models/*.h5"``, or the files, local or any fsspec URL: HDF5 with one map
        (MintPy's ``.h5``), GeoTIFF, netCDF or GMT grids (``.grd, .nc``), or MimtPy's JSON of points
        (``vs_17001850.json``), which is projected onto the looks of the observations.
    url : str or path
        Of the stack.
    observed : xr.DataArray or xr.Dataset
        What the models will be compared with: they must have its places, and are taken to be in its unit.
    names : sequence of str, optional
        Names of the parameters, in the order of the numbers in the file names; by default ``p1, p2, ...``.
    progress : callable, optional
        ``progress(done, total, unit)``.

    Returns
    -------
    ModelStack
        A file that cannot be opened, or has other places, stays as a model without values, and says why; so does one
        that turns out damaged later, which the log tells.

    Raises
    ------
    SourceFormatError
        If there is no file of these kinds.
    ParameterError
        If names of files hold no number, not equally many, or two hold the same.
    SchemaError
        If no file can be used.
    StorageError
        If there is no such folder, or the stack cannot be written.

    Notes
    -----
    ``17.25_18.00.h5`` has the parameters 17.25 and 18; ``iran_vs_1700_1800.h5`` 1700 and 1800; MimtPy's
    ``vs_17001800.json`` 17 and 18. Digits beside a letter are part of a name, such as the 5 of ``h5``.
    """
    paths = _listed(files)
    (track,) = observations([observed])
    candidates = _parameters(paths, names)
    target = _Target.of(track)
    problems = [_problem(path, target) for path in paths]
    if all(problems):
        first = PurePath(paths[0]).name
        raise SchemaError(f"none of {len(paths)} models can be used; the first, {first}: {problems[0]}")
    for path, problem in zip(paths, problems, strict=True):
        if problem:
            _log.warning("%s is left out: %s", path, problem)
    shape, read = (len(paths), *target.shape), dask.delayed(_values, pure=True)  # type: ignore[attr-defined]
    blank = da.full(target.shape, np.nan, dtype=np.float32, chunks=-1)  # type: ignore[no-untyped-call]
    given = [
        blank if problem else da.from_delayed(read(path, target), target.shape, dtype=np.float32)  # type: ignore[no-untyped-call]
        for path, problem in zip(paths, problems, strict=True)
    ]
    attrs = {name: value for name, value in track.values.attrs.items() if name == "units"}
    dims = ("model", *track.values.dims)
    values = xr.DataArray(da.stack(given), track.values.coords, dims, attrs=attrs)  # type: ignore[no-untyped-call]
    ready = values.chunk(dict(zip(dims, stack_chunks(shape), strict=True)))
    told = [f"{PurePath(path).name}: {text}" if text else "" for path, text in zip(paths, problems, strict=True)]
    identity = tokenize([_stamp(path) for path in paths], target)
    write_zarr(stack_template(ready, candidates, told, identity), url, progress=progress)
    return open_models(url)


@dataclass(frozen=True)
class _Target:
    """Places that the models must have: centres of columns and rows, or points with their looks."""

    shape: tuple[int, ...]
    x: np.ndarray
    y: np.ndarray
    grid: bool
    look: tuple[np.ndarray, np.ndarray, np.ndarray] | None

    @classmethod
    def of(cls, track: Observation) -> "_Target":
        """Places of a track."""
        values = track.values
        if values.dims == ("y", "x"):
            return cls(values.shape, values["x"].to_numpy(), values["y"].to_numpy(), True, None)
        if track.layout is None or values.ndim != 1:
            raise SchemaError(f"files hold maps or points; the observations have dimensions {values.dims}")
        look = None
        if track.look is not None:
            east, north, up = (np.broadcast_to(np.asarray(part), values.shape) for part in track.look)
            look = east, north, up
        return cls(values.shape, track.layout.lon, track.layout.lat, False, look)

    def require(self, x: np.ndarray, y: np.ndarray) -> None:
        """Refuse other pixels."""
        if not self.grid:
            raise GridMismatchError("expected points, got a map")
        if (y.size, x.size) != self.shape:
            raise GridMismatchError(f"expected {self.shape[0]} x {self.shape[1]} pixels, got {y.size} x {x.size}")
        for got, wanted in ((x, self.x), (y, self.y)):
            step = abs(wanted[-1] - wanted[0]) / max(wanted.size - 1, 1)
            if np.abs(got - wanted).max() > _SAME_GRID * step:
                raise GridMismatchError(
                    f"pixels from {got[0]:.6g} to {got[-1]:.6g}, not {wanted[0]:.6g} to {wanted[-1]:.6g}"
                )


def _listed(files: Any) -> list[str]:
    """Files that a folder, a pattern or a list names, sorted."""
    if not isinstance(files, str | os.PathLike):
        return [path for one in files for path in _listed(one)]
    text = os.fspath(files)
    fs, path = locate(text)
    with reaching(text):
        if "*" in text or "?" in text:
            found = fs.glob(path)
        elif fs.isdir(path):
            found = fs.ls(path, detail=False)
        elif fs.exists(path):
            return [text]
        else:
            raise StorageError(
                f"there is no {text}; expected a built-in model (mogi, okada, screw, creep, trace), a folder, pattern "
                "or file of models, or a stack .zarr"
            )
    names = sorted(name for name in found if PurePath(name).suffix.lower() in _SUFFIXES)
    if not names:
        raise SourceFormatError(f"{text} has no model file; expected files ending in {', '.join(_SUFFIXES)}")
    return [fs.unstrip_protocol(name) if "://" in text else name for name in names]


def _parameters(paths: Sequence[str], names: Sequence[str] | None) -> Candidates:
    """Numbers in the names of the files."""
    rows = [_numbers(PurePath(path).name) for path in paths]
    counts = {len(row) for row in rows}
    if len(counts) != 1 or counts == {0}:
        few = next((path for path, row in zip(paths, rows, strict=True) if len(row) != len(rows[-1])), paths[0])
        raise ParameterError(
            f"expected as many numbers in the name of every model file, such as 17.25_18.00.h5, got "
            f"{PurePath(few).name} among others; rename or choose files"
        )
    (count,) = counts
    if names is not None and len(names) != count:
        raise ParameterError(f"the names of the files hold {count} parameters, names are {', '.join(names)}")
    twice = next((path for k, path in enumerate(paths) if rows[k] in rows[:k]), None)
    if twice is not None:
        raise ParameterError(f"two files have the parameters of {PurePath(twice).name}; choose one of them")
    table = np.array(rows, float)
    return Candidates({name: table[:, k] for k, name in enumerate(names or [f"p{k + 1}" for k in range(count)])})


def _numbers(name: str) -> list[float]:
    """
    Numbers in the name of a file.

    Examples
    --------
    >>> _numbers("17.25_18.00.h5"), _numbers("vs_17001850.json"), _numbers("dome_depth_2e3_-5.tif")
    ([17.25, 18.0], [17.0, 18.5], [2000.0, -5.0])
    """
    stem = name[: -len(PurePath(name).suffix)]
    if found := _HUNDREDTHS.search(stem):
        return [int(found[1]) / 100, int(found[2]) / 100]
    return [float(number) for number in _NUMBER.findall(stem.replace("_", " "))]


def _problem(path: str, target: _Target) -> str:
    """Why a file cannot be used, from its head; empty if it seems to be good."""
    try:
        _read(path, target, head=True)
    except (MimtpyError, OSError) as error:
        return str(error)
    return ""


def _values(path: str, target: _Target) -> np.ndarray:
    """Values of a file; one that turns out damaged has none."""
    try:
        return np.asarray(_read(path, target), np.float32)
    except (MimtpyError, OSError) as error:
        _log.warning("%s is left out: %s", path, error)
        return np.full(target.shape, np.nan, np.float32)


def _read(path: str, target: _Target, *, head: bool = False) -> Any:
    suffix = PurePath(path).suffix.lower()
    if suffix == ".json":
        return _points(path, target)
    if suffix in (".tif", ".tiff"):
        raster = locate_raster(path)
        target.require(raster.grid.x, raster.grid.y)
        return None if head else raster[:, :]
    if suffix in (".grd", ".nc"):
        grid = read_relax_grid(path)
        target.require(grid["x"].to_numpy(), grid["y"].to_numpy())
        return grid.to_numpy()
    return _hdf5(path, target, head=head)


def _hdf5(path: str, target: _Target, *, head: bool) -> Any:
    """The only map of an HDF5 file."""
    with open_hdf5(SourceFile.locate(path)) as file:
        maps = [name for name, item in file.items() if getattr(item, "ndim", 0) == 2 and item.dtype.kind == "f"]
        if len(maps) != 1:
            raise SourceFormatError(f"expected one map, got {', '.join(maps) or 'none'}")
        item, attrs = file[maps[0]], file.attrs
        if "X_FIRST" in attrs and target.grid:
            step = [float(attrs[f"{axis}_STEP"]) for axis in "XY"]
            first = [float(attrs[f"{axis}_FIRST"]) for axis in "XY"]
            rows, cols = item.shape
            target.require(first[0] + step[0] * (np.arange(cols) + 0.5), first[1] + step[1] * (np.arange(rows) + 0.5))
        elif item.shape != target.shape:
            raise GridMismatchError(f"expected the shape {target.shape}, got {item.shape}")
        return None if head else item[:]


def _points(path: str, target: _Target) -> np.ndarray:
    """Points of MimtPy's JSON, along the looks of the observations."""
    ds = read_model_json(path)
    if target.grid:
        raise GridMismatchError("expected a map, got points")
    if target.look is None:
        raise GridMismatchError("east, north and up need the looks of the observations: los_east, los_north, los_up")
    if ds.sizes["point"] != target.x.size or not _near(ds, target):
        raise GridMismatchError(f"{ds.sizes['point']} points that are not the {target.x.size} of the observations")
    east, north, up = (ds[name].to_numpy() for name in ("east", "north", "up"))
    return np.asarray(project_enu(east, north, up, target.look))


def _near(ds: xr.Dataset, target: _Target) -> bool:
    turn = (ds["lon"].to_numpy() - target.x + 180) % 360 - 180
    return bool(max(np.abs(turn).max(), np.abs(ds["lat"].to_numpy() - target.y).max()) <= _SAME_POINT)


def _stamp(path: str) -> tuple[str, Any, Any]:
    fs, place = locate(path)
    with reaching(path):
        info = fs.info(place)
    return path, info.get("size"), info.get("mtime", info.get("LastModified", info.get("ETag")))
