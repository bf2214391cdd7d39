"""Read the HDF5 files of a MintPy project (time series, velocity, geometry, masks, coherence), lazily."""

import os
from collections.abc import Mapping

import h5py
import numpy as np
import xarray as xr

from mimtpy_cloud.errors import GridMismatchError, SourceFormatError
from mimtpy_cloud.io.attributes import Metadata, decode_attributes, parse_dates
from mimtpy_cloud.io.canonical import ROLES, assemble
from mimtpy_cloud.io.hdf5 import Layer
from mimtpy_cloud.io.hdf5file import SourceFile, open_hdf5

__all__ = ["open_mintpy"]

_GEOMETRY = {
    "height": "height",
    "slantRangeDistance": "slant_range",
    "shadowMask": "is_shadow",
    "waterMask": "is_land",
    "incidenceAngle": "incidence_angle",
    "azimuthAngle": "azimuth_angle",
    "headingAngle": "heading_angle",
    "latitude": "latitude",
    "longitude": "longitude",
}
#: Role of each dataset, by the file's FILE_TYPE.
_TYPES: dict[str, dict[str, str]] = {
    "timeseries": {"timeseries": "displacement"},
    "velocity": {"velocity": "velocity", "velocityStd": "velocity_std", "intercept": "intercept"},
    "geometry": _GEOMETRY,
    "mask": {"mask": "valid", "waterMask": "is_land", "shadowMask": "is_shadow"},
    "waterMask": {"waterMask": "is_land", "mask": "is_land"},
    "temporalCoherence": {"temporalCoherence": "temporal_coherence"},
    "coherence": {"coherence": "avg_spatial_coherence"},
}
_METRIC = ("displacement", "velocity", "velocity_std", "intercept")
#: Factor to metres (or metres a year) of each length unit.
_LENGTHS = {"m": 1.0, "meter": 1.0, "meters": 1.0, "cm": 0.01, "mm": 0.001}
#: Grids are equal within this part of a pixel.
_SAME_GRID = 0.01


def open_mintpy(
    url: str | os.PathLike[str],
    geometry: str | os.PathLike[str] | None = None,
    mask: str | os.PathLike[str] | None = None,
    *,
    temporal_coherence: str | os.PathLike[str] | None = None,
    avg_spatial_coherence: str | os.PathLike[str] | None = None,
) -> xr.Dataset:
    """
    Open one HDF5 file of a MintPy project lazily, with its geometry, mask and coherences.

    Parameters
    ----------
    url : str or path
        ``timeseries*.h5``, ``velocity.h5``, ``geometry*.h5``, ``mask*.h5``, ``temporalCoherence.h5``
        or ``avgSpatialCoh.h5``; the attribute FILE_TYPE decides.
    geometry : str or path, optional
        Geometry file on the same grid; gives look vectors, height and, in radar coordinates,
        latitude and longitude.
    mask : str or path, optional
        Mask file on the same grid; gives ``valid``.
    temporal_coherence, avg_spatial_coherence : str or path, optional
        Files of them on the same grid.

    Returns
    -------
    xr.Dataset
        Canonical dataset (``schema.VARIABLES``, and ``intercept`` in m). Displacement in m and velocity
        in m/yr, toward the satellite positive. Velocity and its companions are NaN where MintPy wrote 0
        in both velocity and velocityStd, except at the reference pixel.

    Raises
    ------
    SourceFormatError
        If a file is missing, truncated, not HDF5, or of a kind that is not supported.
    GridMismatchError
        If one of the others lies on another grid.

    See Also
    --------
    mimtpy_cloud.io.hdfeos5.open_hdfeos5 : The one-file product.
    """
    source = SourceFile.locate(url)
    layers, meta, dates, baseline, scale = _open_main(source)
    beside = {
        "geometry": geometry,
        "mask": mask,
        "temporalCoherence": temporal_coherence,
        "coherence": avg_spatial_coherence,
    }
    for wanted, other in beside.items():
        if other is not None:
            layers |= _open_companion(SourceFile.locate(other), wanted, meta)
    dataset = assemble(layers, meta, dates=dates, baseline=baseline, scale=scale)
    span = meta.span() if "velocity" in layers else None
    if span is not None:
        dataset.attrs |= {"start_date": span[0], "end_date": span[1]}
    return dataset.assign_attrs(source=source.record | {"format": f"MintPy {_file_type(meta)}"})


def _open_main(
    source: SourceFile,
) -> tuple[dict[str, Layer], Metadata, np.ndarray | None, np.ndarray | None, dict[str, float]]:
    with open_hdf5(source) as file:
        meta = _metadata(file, source.url)
        layers = _layers(file, meta, source)
        dates = baseline = None
        if "displacement" in layers:
            if "date" not in file:
                raise SourceFormatError(f"{source.url} has a time series but no dataset 'date'; write it again")
            dates = parse_dates(file["date"][()].ravel().tolist(), source.url)
            if "bperp" in file and file["bperp"].shape == dates.shape:
                baseline = np.asarray(file["bperp"][()], dtype="float32")
        scale = {role: _scale(file[layers[role].paths[0]], meta) for role in _METRIC if role in layers}
    return layers, meta, dates, baseline, scale


def _open_companion(source: SourceFile, wanted: str, main: Metadata) -> dict[str, Layer]:
    with open_hdf5(source) as file:
        meta = _metadata(file, source.url)
        if _file_type(meta) != wanted:
            raise SourceFormatError(
                f"expected a {wanted} file (FILE_TYPE {wanted}), but {source.url} has FILE_TYPE {_file_type(meta)}"
            )
        _require_same_grid(meta, main)
        layers = _layers(file, meta, source)
    if wanted == "mask" and "valid" not in layers:
        raise SourceFormatError(f"{source.url} has no dataset 'mask', so it is no mask of usable data; give another")
    return layers


def _metadata(file: h5py.File, url: str) -> Metadata:
    meta = Metadata(decode_attributes(file.attrs), url)
    known = ", ".join(_TYPES)
    if not meta.values:
        has = ", ".join(sorted(file)[:8]) or "nothing"
        raise SourceFormatError(
            f"{url} is HDF5 but no MintPy file: it has no root attributes (and holds {has});"
            f" expected FILE_TYPE {known}, or the HDF-EOS5 product"
        )
    if _file_type(meta) not in _TYPES:
        raise SourceFormatError(f"{url} has FILE_TYPE {_file_type(meta)!r}; supported are {known}, and HDFEOS (.he5)")
    return meta


def _file_type(meta: Metadata) -> str:
    kind = meta.text("FILE_TYPE") or ""
    name = meta.url.rpartition("/")[2].lower()
    return "waterMask" if kind == "mask" and "watermask" in name else kind


def _layers(file: h5py.File, meta: Metadata, source: SourceFile) -> dict[str, Layer]:
    roles: Mapping[str, str] = _TYPES[_file_type(meta)]
    layers = {role: Layer.of(source, file[name], dtype=ROLES[role]) for name, role in roles.items() if name in file}
    if not layers:
        has = ", ".join(sorted(file)[:8]) or "nothing"
        raise SourceFormatError(
            f"{source.url} says FILE_TYPE {_file_type(meta)}, so it needs one of the datasets {', '.join(roles)};"
            f" it has {has}"
        )
    return layers


def _scale(dataset: h5py.Dataset, meta: Metadata) -> float:
    """Factor that makes metres of the unit of a dataset."""
    values = decode_attributes(dataset.attrs)
    unit = str(values.get("UNIT") or meta.text("UNIT") or "m")
    length = unit.lower().partition("/")[0]
    if length not in _LENGTHS:
        raise SourceFormatError(
            f"{meta.url}: {dataset.name} has unit {unit!r}, expected metres (or cm, mm); convert it first"
        )
    return _LENGTHS[length]


def _require_same_grid(meta: Metadata, main: Metadata) -> None:
    ours, theirs = meta.grid, main.grid
    same = meta.shape == main.shape and (ours is None) == (theirs is None)
    if same and ours is not None and theirs is not None:
        shifts = [abs(a - b) / ours.dx for a, b in zip(ours.bounds, theirs.bounds, strict=True)]
        same = max(shifts) < _SAME_GRID and ours.crs == theirs.crs
    if not same:
        raise GridMismatchError(
            f"{meta.url} must be on the grid of {main.url}: {_grid_text(meta)} against {_grid_text(main)};"
            " give the file of the same project, geocoded the same way"
        )


def _grid_text(meta: Metadata) -> str:
    grid, (ny, nx) = meta.grid, meta.shape
    return f"{ny} x {nx} in radar coordinates" if grid is None else f"{ny} x {nx} at {grid.west:g}, {grid.north:g}"
