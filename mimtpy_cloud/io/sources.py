"""Open whatever a user points at: the content, not the name, decides the reader."""

import os
from typing import Any

import xarray as xr

from mimtpy_cloud.errors import GridMismatchError, SourceFormatError
from mimtpy_cloud.io.hdf5file import SourceFile, open_hdf5
from mimtpy_cloud.io.hdfeos5 import open_hdfeos5
from mimtpy_cloud.io.licsbas import find_layers, open_licsbas
from mimtpy_cloud.io.mintpy import open_mintpy
from mimtpy_cloud.io.roipac import ROIPAC_SUFFIXES, open_roipac
from mimtpy_cloud.location import locate, reaching

__all__ = ["GEOMETRY_FILES", "find_companions", "open_source", "resolve_source"]

#: Files beside a MintPy time series or velocity that may hold its geometry, and its mask.
GEOMETRY_FILES = (
    "geo_geometryRadar.h5",
    "geometryGeo.h5",
    "geometryRadar.h5",
    "inputs/geometryGeo.h5",
    "inputs/geometryRadar.h5",
)
#: Other files beside it, by the argument of `open_mintpy` that takes them.
_COMPANIONS = {
    "geometry": GEOMETRY_FILES,
    "mask": ("geo_maskTempCoh.h5", "maskTempCoh.h5"),
    "temporal_coherence": ("geo_temporalCoherence.h5", "temporalCoherence.h5"),
    "avg_spatial_coherence": ("geo_avgSpatialCoh.h5", "avgSpatialCoh.h5"),
}
#: Subfolders that are looked into for a hint.
_MOST_PROJECTS = 100
#: Kinds of MintPy file that have such files beside them.
_WITH_COMPANIONS = ("timeseries", "velocity")

_EXPECTED = (
    "an HDF-EOS5 product (S1_*.he5), a MintPy HDF5 file (timeseries*.h5, velocity.h5, ...), a MintPy project folder"
    " with one .he5, a ROI_PAC file (.unw, .cor, .dem with .rsc), or a LiCSBAS frame folder (vel, vstd, mask, E, N, U"
    " GeoTIFFs)"
)


def open_source(url: str | os.PathLike[str], geometry: str | os.PathLike[str] | None = None) -> xr.Dataset:
    """
    Open a source lazily with the reader that its content asks for.

    Parameters
    ----------
    url : str or path
        HDF-EOS5 product, MintPy HDF5 file, MintPy project folder (``X`` or ``X/mintpy``) that holds
        one ``.he5``, ROI_PAC file, or LiCSBAS frame folder; local or any fsspec URL. A MintPy time series or
        velocity takes geometry, mask and coherences from the files beside it, as `find_companions` says.
    geometry : str or path, optional
        Geometry of a MintPy or ROI_PAC file, instead of what lies beside it.

    Returns
    -------
    xr.Dataset
        Canonical dataset on the source's own grid.

    Raises
    ------
    SourceFormatError
        If there is nothing, or nothing that a reader knows; the message says what was looked for. If a geometry is
        given with a source that has its own.

    See Also
    --------
    mimtpy_cloud.io.hdfeos5.open_hdfeos5, mimtpy_cloud.io.mintpy.open_mintpy, mimtpy_cloud.io.licsbas.open_licsbas,
    mimtpy_cloud.io.roipac.open_roipac
    """
    found, kind = resolve_source(url)
    if kind == "mintpy":
        folder = _folder(found)
        beside: dict[str, Any] = {role: f"{folder}{name}" for role, name in find_companions(found).items()}
        return open_mintpy(found, **beside | ({} if geometry is None else {"geometry": geometry}))
    if kind == "roipac":
        return open_roipac(found, geometry)
    if geometry is not None:
        raise SourceFormatError(f"{found} holds its own geometry; leave out {os.fspath(geometry)}")
    return {"hdfeos5": open_hdfeos5, "licsbas": open_licsbas}[kind](found)


def find_companions(url: str) -> dict[str, str]:
    """
    Find geometry, mask and coherences of a MintPy time series or velocity among the usual files beside it.

    Parameters
    ----------
    url : str
        MintPy HDF5 file.

    Returns
    -------
    dict
        ``"geometry"``, ``"mask"``, ``"temporal_coherence"``, ``"avg_spatial_coherence"`` to a path relative to the
        folder of the file, each only if exactly one of the candidates is there and on the same grid. Empty for other
        kinds of file.
    """
    with open_hdf5(SourceFile.locate(url)) as file:
        kind = file.attrs.get("FILE_TYPE", "")
    if (kind.decode() if isinstance(kind, bytes) else str(kind)) not in _WITH_COMPANIONS:
        return {}
    fs, path = locate(url)
    folder = _folder(path)
    found: dict[str, str] = {}
    for role, names in _COMPANIONS.items():
        there = [name for name in names if fs.exists(f"{folder}{name}")]
        fitting = [name for name in there if _fits(url, found | {role: name})]
        if len(fitting) == 1:
            found[role] = fitting[0]
    return found


def _fits(url: str, companions: dict[str, str]) -> bool:
    try:
        open_mintpy(url, **{role: f"{_folder(url)}{name}" for role, name in companions.items()})
    except (GridMismatchError, SourceFormatError):
        return False
    return True


def _folder(url: str) -> str:
    """Everything up to the last slash, with it."""
    return url[: url.rfind("/") + 1]


def resolve_source(url: str | os.PathLike[str]) -> tuple[str, str]:
    """
    Find the file or frame folder that a URL means, and its reader.

    Parameters
    ----------
    url : str or path
        As `open_source` takes it.

    Returns
    -------
    url : str
        The file or folder.
    kind : {"hdfeos5", "mintpy", "licsbas", "roipac"}
        Its reader.

    Raises
    ------
    SourceFormatError
        As `open_source`.
    """
    text = os.fspath(url)
    text = text.rstrip("/") or text
    fs, path = locate(text)
    with reaching(text):
        there, is_folder = fs.exists(path), fs.isdir(path)
    if not there:
        raise SourceFormatError(f"{text} does not exist; expected {_EXPECTED}")
    if is_folder:
        return _resolve_folder(text)
    if text.lower().endswith((".tif", ".tiff")):
        raise SourceFormatError(f"{text} is one GeoTIFF; give the folder of the LiCSBAS frame that holds it")
    if text.lower().endswith(ROIPAC_SUFFIXES):
        return text, "roipac"
    with open_hdf5(SourceFile.locate(text)) as file:
        if "HDFEOS" in file or ("timeseries" in file and hasattr(file["timeseries"], "keys")):
            return text, "hdfeos5"
        if "FILE_TYPE" in file.attrs:
            return text, "mintpy"
        has = ", ".join(sorted(file)[:8]) or "nothing"
    raise SourceFormatError(
        f"{text} is HDF5 but no MintPy product (no group HDFEOS, no attribute FILE_TYPE; it holds {has});"
        f" expected {_EXPECTED}"
    )


def _resolve_folder(folder: str) -> tuple[str, str]:
    names = _names(folder)
    if "velocity" in find_layers(names):
        return folder, "licsbas"
    products = [f"{folder}/{name}" for name in names if name.endswith(".he5")]
    if not products and "mintpy" in names:
        products = [f"{folder}/mintpy/{name}" for name in _names(f"{folder}/mintpy") if name.endswith(".he5")]
    if len(products) == 1:
        return products[0], "hdfeos5"
    if products:
        listed = ", ".join(product.rpartition("/")[2] for product in products)
        raise SourceFormatError(f"{folder} holds {len(products)} products, expected one: {listed}; name one of them")
    if projects := _projects(folder, names):
        listed = " ".join(f"{folder}/{name}" for name in projects[:8])
        raise SourceFormatError(f"{folder} is a folder of projects and no source itself; name them: {listed}")
    has = ", ".join(names[:8]) or "nothing"
    raise SourceFormatError(
        f"{folder} is a folder without a source: looked for *.he5, mintpy/*.he5 and vel*.tif, it holds {has};"
        f" expected {_EXPECTED}"
    )


def _projects(folder: str, names: list[str]) -> list[str]:
    """Subfolders that hold a product or a frame."""
    found = []
    for name in names[:_MOST_PROJECTS]:
        inside = _names(f"{folder}/{name}")
        inside += _names(f"{folder}/{name}/mintpy") if "mintpy" in inside else []
        if any(file.endswith(".he5") for file in inside) or "velocity" in find_layers(inside):
            found.append(name)
    return found


def _names(folder: str) -> list[str]:
    fs, path = locate(folder)
    with reaching(folder):
        if not fs.isdir(path):
            return []
        return sorted(entry.rstrip("/").rpartition("/")[2] for entry in fs.ls(path, detail=False))
