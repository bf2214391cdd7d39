"""Read the HDF-EOS5 time-series product of MintPy and PySAR (``S1_*.he5``) of any age, lazily."""

import os
from typing import Any

import h5py
import numpy as np
import xarray as xr

from mimtpy_cloud.errors import SourceFormatError
from mimtpy_cloud.io.attributes import Metadata, decode_attributes, parse_dates
from mimtpy_cloud.io.canonical import ROLES, assemble
from mimtpy_cloud.io.hdf5 import Layer
from mimtpy_cloud.io.hdf5file import SourceFile, open_hdf5

__all__ = ["open_hdfeos5"]

#: Where the datasets are, newest layout first; the attributes are at the root or on the last.
_GROUPS = ("HDFEOS/GRIDS/timeseries", "HDFEOS/SWATHS/timeseries", "timeseries/GRIDS", "timeseries/SWATHS", "timeseries")
#: Paths of each role below the group, newest layout first.
_PATHS: dict[str, tuple[str, ...]] = {
    "displacement": ("observation/displacement",),
    "velocity": ("observation/velocity",),
    "valid": ("quality/mask", "mask"),
    "temporal_coherence": ("quality/temporalCoherence", "coherence", "temporalCoherence"),
    "avg_spatial_coherence": ("quality/avgSpatialCoherence",),
    "height": ("geometry/height", "dem", "height"),
    "slant_range": ("geometry/slantRangeDistance",),
    "is_shadow": ("geometry/shadowMask",),
    "is_land": ("geometry/waterMask",),
    "incidence_angle": ("geometry/incidenceAngle", "incidence_angle", "incidenceAngle"),
    "azimuth_angle": ("geometry/azimuthAngle",),
    "heading_angle": ("geometry/headingAngle", "geometry/heandingAngle"),
    "latitude": ("geometry/latitude",),
    "longitude": ("geometry/longitude",),
    "baseline_cube": ("geometry/bperp",),
}


def open_hdfeos5(url: str | os.PathLike[str]) -> xr.Dataset:
    """
    Open an HDF-EOS5 time-series product lazily, on its own grid.

    Parameters
    ----------
    url : str or path
        Local path or any fsspec URL, for example ``"s3://bucket/S1_IW123_064_0113_0119_20191106_20210111.he5"``.

    Returns
    -------
    xr.Dataset
        Canonical dataset (``schema.VARIABLES``), dask arrays in blocks of whole HDF5 chunks, all
        dates and at most 64 MB. Displacement in m, toward the satellite positive, bit for bit as
        stored; only in products that write 0 for no data (HyP3, ARIA, NISAR) pixels that are 0 in
        every date are NaN, except the reference pixel. Where the values are exactly those of one
        HDF5 dataset, ``displacement.encoding`` has ``source`` and ``dataset``. A file in radar
        coordinates has no ``y`` and ``x`` coordinates but ``latitude`` and ``longitude``.

    Raises
    ------
    SourceFormatError
        If the file is missing, truncated, not HDF5, or not such a product; the message names the defect.

    See Also
    --------
    mimtpy_cloud.io.mintpy.open_mintpy : The separate files of a MintPy project.

    Notes
    -----
    ``_FillValue = 0`` of these files is ignored: 0 is the true value at the reference pixel and date.
    ``X_FIRST, Y_FIRST`` is the outer corner of the first pixel.
    """
    source = SourceFile.locate(url)
    with open_hdf5(source) as file:
        group, meta = _locate(file, source.url)
        layers = {role: layer for role, paths in _PATHS.items() if (layer := _layer(group, paths, role, source))}
        if "displacement" in layers:
            dates = _dates(group, meta)
        else:
            layers["displacement"], dates = _date_stack(group, source)
        baseline = _baseline(group, dates.size)
    if baseline is not None or layers.get("baseline_cube", layers["displacement"]).ndim != 3:
        layers.pop("baseline_cube", None)
    dataset = assemble(layers, meta, dates=dates, baseline=baseline)
    return dataset.assign_attrs(source=source.record | {"format": "HDF-EOS5"})


def _locate(file: h5py.File, url: str) -> tuple[h5py.Group, Metadata]:
    """The group that holds the datasets, and the attributes wherever they are."""
    name = next((name for name in _GROUPS if isinstance(file.get(name), h5py.Group)), None)
    if name is None:
        has = ", ".join(sorted(file)[:8]) or "nothing"
        raise SourceFormatError(
            f"{url} is HDF5 but no MintPy HDF-EOS5 product: expected the group /{_GROUPS[0]}, it has {has};"
            " write one with MintPy's save_hdfeos5.py, or open it with open_mintpy"
        )
    parents = ["/", *("/".join(name.split("/")[: i + 1]) for i in range(name.count("/") + 1))]
    values: dict[str, Any] = {}
    for parent in parents:
        values |= decode_attributes(file[parent].attrs)
    if not values:
        raise SourceFormatError(
            f"{url} is truncated: it has {_contents(file[name])} but no root attributes, so the writer stopped early"
            " (MintPy 1.3 to 1.6.4 does where the time series has no bperp); write it again"
        )
    return file[name], Metadata(values, url)


def _contents(group: h5py.Group) -> str:
    names: list[str] = []
    group.visititems(lambda name, item: names.append(name) if isinstance(item, h5py.Dataset) else None)
    return ", ".join(names) if names else "only empty groups"


def _layer(group: h5py.Group, paths: tuple[str, ...], role: str, source: SourceFile) -> Layer | None:
    dataset = next((group[path] for path in paths if isinstance(group.get(path), h5py.Dataset)), None)
    if dataset is None or dataset.ndim < 2:
        return None
    return Layer.of(source, dataset, dtype=ROLES[role])


def _dates(group: h5py.Group, meta: Metadata) -> np.ndarray:
    """Dates of the 3-D layout, from the dataset or from PySAR's attribute."""
    if isinstance(group.get("observation/date"), h5py.Dataset):
        return parse_dates(group["observation/date"][()].ravel().tolist(), meta.url)
    listed = meta.text("DATE_TIMESERIES")
    if listed is None:
        raise SourceFormatError(
            f"{meta.url} has observation/displacement but neither observation/date nor DATE_TIMESERIES; write it again"
        )
    return parse_dates(listed.replace(",", " ").split(), meta.url)


def _date_stack(group: h5py.Group, source: SourceFile) -> tuple[Layer, np.ndarray]:
    """The PySAR layout of 2017: one 2-D dataset a date, named by it."""
    names = sorted(name for name in group if len(name) == 8 and name.isdigit())
    if not names:
        raise SourceFormatError(
            f"{source.url}: expected observation/displacement in {group.name}, it has {_contents(group)};"
            " the writer stopped early, write the file again"
        )
    shapes = {group[name].shape for name in names}
    if len(shapes) > 1:
        raise SourceFormatError(f"{source.url}: dates of different shapes, {sorted(shapes)}; write the file again")
    return Layer.of(source, *(group[name] for name in names), stacked=True), parse_dates(names, source.url)


def _baseline(group: h5py.Group, count: int) -> np.ndarray | None:
    """Perpendicular baselines, None where the file does not know them."""
    dataset = group.get("observation/bperp")
    if not isinstance(dataset, h5py.Dataset) or dataset.shape != (count,):
        return None
    values = np.asarray(dataset[()], dtype="float32")
    return values if np.isfinite(values).any() else None
