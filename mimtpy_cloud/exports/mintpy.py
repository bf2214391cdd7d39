"""Write the HDF5 files of a MintPy project: time series, velocity, geometry, mask and coherence."""

import os
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from typing import Any

import numpy as np
import xarray as xr

from mimtpy_cloud.errors import SchemaError
from mimtpy_cloud.exports.blocks import stream_blocks
from mimtpy_cloud.exports.grids import grid_of
from mimtpy_cloud.exports.mintpymeta import encode_angles, mintpy_attributes, mintpy_dates
from mimtpy_cloud.exports.progress import Progress
from mimtpy_cloud.exports.publish import staged
from mimtpy_cloud.schema import LOS

__all__ = ["write_mintpy"]

#: HDF5 keeps this much of a dataset decoded, so that neighbouring blocks can share its chunks; bytes.
_CACHE = 16 << 20
_UNITS = {"m/yr": "m/year", "m": "m"}


@dataclass(frozen=True)
class _File:
    """One file: FILE_TYPE, and its datasets by the name of our variable."""

    kind: str
    datasets: dict[str, str]


_VELOCITY = {"velocity": "velocity", "velocity_std": "velocityStd", "intercept": "intercept"}
_GEOMETRY = {"height": "height", "slant_range": "slantRangeDistance", "is_shadow": "shadowMask"}
_FILES = {
    "velocity.h5": _File("velocity", _VELOCITY),
    "maskTempCoh.h5": _File("mask", {"valid": "mask"}),
    "temporalCoherence.h5": _File("temporalCoherence", {"temporal_coherence": "temporalCoherence"}),
    "avgSpatialCoh.h5": _File("coherence", {"avg_spatial_coherence": "coherence"}),
}


def write_mintpy(
    ds: xr.Dataset, folder: str | os.PathLike[str], *, progress: Progress | None = None
) -> dict[str, list[str]]:
    """
    Write a dataset as the files that MintPy's programs read.

    Parameters
    ----------
    ds : xr.Dataset
        Canonical dataset, lazy or not, in degrees or in a projection. Displacement in m and velocity in m/yr, positive
        toward the satellite; NaN stays NaN.
    folder : str or path
        Folder or any fsspec URL. Of these files those that the dataset has something for: ``timeseries.h5``, or
        ``displacement.h5`` for the change between two dates; ``velocity.h5``, ``geometryGeo.h5``, ``maskTempCoh.h5``,
        ``temporalCoherence.h5``, ``avgSpatialCoh.h5``. One that is there is replaced when all new ones are whole.
    progress : callable, optional
        ``progress(done, total, unit)``, called in this thread after each task.

    Returns
    -------
    dict
        URL of each file to the names of its datasets.

    Raises
    ------
    SchemaError
        If the dataset has none of these, or no coordinates.
    GridMismatchError
        If its coordinates are not evenly spaced.
    StorageError
        If the place cannot be written.

    See Also
    --------
    mimtpy_cloud.io.mintpy.open_mintpy : The reader.
    mimtpy_cloud.exports.hdfeos5.write_hdfeos5 : All in one file.

    Notes
    -----
    Streams blocks: each is computed once for all files, and the memory is that of the blocks in
    flight. Angles in degrees: ``incidenceAngle`` from the vertical, ``azimuthAngle`` of the vector from ground to
    satellite, anticlockwise from north. ``waterMask`` True is land. Attributes are text, as MintPy writes them.
    """
    import h5py

    grid = grid_of(ds)
    plan = dict(_plan(ds))
    if not plan:
        raise SchemaError(
            f"a MintPy file holds displacement, velocity, geometry, mask or coherence; the dataset has "
            f"{', '.join(map(str, ds.data_vars)) or 'nothing'}"
        )
    text = mintpy_attributes(ds, grid)
    sources, targets = [], []
    with ExitStack() as stack:
        for name, (kind, layers) in plan.items():
            path = stack.enter_context(staged(f"{os.fspath(folder).rstrip('/')}/{name}"))
            file = stack.enter_context(h5py.File(path, "w", rdcc_nbytes=_CACHE))
            for key, value in (text | _own(ds, kind)).items():
                file.attrs[key] = value
            if kind == "timeseries":
                _write_dates(file, ds)
            for dataset, layer in layers.items():
                targets.append(_create(file, dataset, layer))
                sources.append((layer if layer.chunks is not None else layer.chunk()).data)
        stream_blocks(sources, targets, progress)
    return {f"{os.fspath(folder).rstrip('/')}/{name}": list(layers) for name, (_, layers) in plan.items()}


def _plan(ds: xr.Dataset) -> Iterator[tuple[str, tuple[str, dict[str, xr.Variable]]]]:
    """Name, FILE_TYPE and lazy datasets of each file."""
    if "displacement" in ds:
        change = ds["displacement"].variable.astype(np.float32)
        kind = "timeseries" if change.ndim == 3 else "displacement"
        yield f"{kind}.h5", (kind, {kind: change})
    geometry = _geometry(ds)
    if geometry:
        yield "geometryGeo.h5", ("geometry", geometry)
    for name, file in _FILES.items():
        layers = {theirs: _plain(ds[ours].variable) for ours, theirs in file.datasets.items() if ours in ds}
        if next(iter(file.datasets.values())) in layers:
            yield name, (file.kind, layers)


def _geometry(ds: xr.Dataset) -> dict[str, xr.Variable]:
    layers = {theirs: _plain(ds[ours].variable) for ours, theirs in _GEOMETRY.items() if ours in ds}
    if all(name in ds for name in LOS):
        layers["incidenceAngle"], layers["azimuthAngle"] = encode_angles(ds)
    if "is_water" in ds:
        layers["waterMask"] = ~ds["is_water"].variable
    return layers


def _plain(variable: xr.Variable) -> xr.Variable:
    return variable if variable.dtype == bool else variable.astype(np.float32)


def _own(ds: xr.Dataset, kind: str) -> dict[str, str]:
    """Attributes that differ between the files of a project."""
    unit = {"velocity": "m/year", "timeseries": "m", "displacement": "m", "geometry": "1"}.get(kind, "1")
    own = {"FILE_TYPE": kind, "UNIT": unit, "DATA_TYPE": "bool" if kind == "mask" else "float32"}
    if kind == "displacement":
        own["REF_DATE"] = str(ds.attrs.get("start_date", "")).replace("-", "")
    return own


def _write_dates(file: Any, ds: xr.Dataset) -> None:
    """Dates and, where they are known, perpendicular baselines."""
    file.create_dataset("date", data=mintpy_dates(ds))
    if "perpendicular_baseline" in ds:
        file.create_dataset("bperp", data=ds["perpendicular_baseline"].astype(np.float32).values)


def _create(file: Any, name: str, layer: xr.Variable) -> Any:
    stack = layer.ndim == 3
    dataset = file.create_dataset(
        name,
        shape=layer.shape,
        maxshape=(None, *layer.shape[1:]) if stack else layer.shape,
        dtype=layer.dtype,
        chunks=True,
        compression=None if stack else "lzf",
    )
    unit = _UNITS.get(str(layer.attrs.get("units")))
    if unit is not None:
        dataset.attrs["UNIT"] = unit
    return dataset
