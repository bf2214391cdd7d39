"""Open whatever a user points at: the content, not the name, decides the reader."""

import os

import fsspec
import xarray as xr

from mimtpy_cloud.errors import SourceFormatError
from mimtpy_cloud.io.hdf5file import SourceFile, open_hdf5
from mimtpy_cloud.io.hdfeos5 import open_hdfeos5
from mimtpy_cloud.io.licsbas import find_layers, open_licsbas
from mimtpy_cloud.io.mintpy import open_mintpy

__all__ = ["open_source", "resolve_source"]

_EXPECTED = (
    "an HDF-EOS5 product (S1_*.he5), a MintPy HDF5 file (timeseries*.h5, velocity.h5, ...), a MintPy project folder"
    " with one .he5, or a LiCSBAS frame folder (vel, vstd, mask, E, N, U GeoTIFFs)"
)


def open_source(url: str | os.PathLike[str]) -> xr.Dataset:
    """
    Open a source lazily with the reader that its content asks for.

    Parameters
    ----------
    url : str or path
        HDF-EOS5 product, MintPy HDF5 file, MintPy project folder (``X`` or ``X/mintpy``) that holds
        one ``.he5``, or LiCSBAS frame folder; local or any fsspec URL.

    Returns
    -------
    xr.Dataset
        Canonical dataset on the source's own grid.

    Raises
    ------
    SourceFormatError
        If there is nothing, or nothing that a reader knows; the message says what was looked for.

    See Also
    --------
    mimtpy_cloud.io.hdfeos5.open_hdfeos5, mimtpy_cloud.io.mintpy.open_mintpy, mimtpy_cloud.io.licsbas.open_licsbas
    """
    found, kind = resolve_source(url)
    return {"hdfeos5": open_hdfeos5, "mintpy": open_mintpy, "licsbas": open_licsbas}[kind](found)


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
    kind : {"hdfeos5", "mintpy", "licsbas"}
        Its reader.

    Raises
    ------
    SourceFormatError
        As `open_source`.
    """
    text = os.fspath(url)
    text = text.rstrip("/") or text
    fs, path = fsspec.core.url_to_fs(text)
    if not fs.exists(path):
        raise SourceFormatError(f"{text} does not exist; expected {_EXPECTED}")
    if fs.isdir(path):
        return _resolve_folder(text)
    if text.lower().endswith((".tif", ".tiff")):
        raise SourceFormatError(f"{text} is one GeoTIFF; give the folder of the LiCSBAS frame that holds it")
    with open_hdf5(SourceFile.locate(text).url) as file:
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
    has = ", ".join(names[:8]) or "nothing"
    raise SourceFormatError(
        f"{folder} is a folder without a source: looked for *.he5, mintpy/*.he5 and vel*.tif, it holds {has};"
        f" expected {_EXPECTED}"
    )


def _names(folder: str) -> list[str]:
    fs, path = fsspec.core.url_to_fs(folder)
    if not fs.isdir(path):
        return []
    return sorted(entry.rstrip("/").rpartition("/")[2] for entry in fs.ls(path, detail=False))
