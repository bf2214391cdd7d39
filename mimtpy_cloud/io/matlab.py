"""Matrices that MATLAB saved: HDF5 of version 7.3 and of ``h5create``, and the older ``.mat``."""

import io
import os
from typing import Any

import dask.array as da
import h5py
import numpy as np
from dask.base import tokenize

from mimtpy_cloud.errors import SourceFormatError
from mimtpy_cloud.io.hdf5 import Layer, block_shape
from mimtpy_cloud.io.hdf5file import SourceFile, open_hdf5
from mimtpy_cloud.location import locate, reaching

__all__ = ["read_matlab"]

_EXPECTED = "a matrix of numbers that MATLAB saved, as HDF5 (version 7.3) or in a .mat of version 5"


def read_matlab(url: str | os.PathLike[str], variable: str | None = None) -> da.Array:
    """
    Read a matrix as MATLAB shows it.

    Parameters
    ----------
    url : str or path
        HDF5 file with the matrix in its root, of ``save -v7.3`` or ``h5write``; or a ``.mat`` of version 5 to 7.
    variable : str, optional
        Name of the matrix; by default ``model``, or the only one.

    Returns
    -------
    da.Array
        float32, shape (rows, columns) of MATLAB; lazy from HDF5, and whole from an older ``.mat``, which is compressed
        as one piece.

    Raises
    ------
    SourceFormatError
        If the file is neither, or has no such matrix of real numbers.

    Notes
    -----
    MATLAB stores columns one after another, so that its HDF5 files hold the transposed matrix.
    """
    source = SourceFile.locate(os.fspath(url))
    fs, path = locate(source.url)
    with reaching(source.url), fs.open(path, "rb") as file:
        head = file.read(1024)
    if b"\x89HDF\r\n\x1a\n" in head:
        return _read_hdf5(source, variable)
    return _read_v5(source, variable)


def _read_hdf5(source: SourceFile, variable: str | None) -> da.Array:
    with open_hdf5(source) as file:
        names = [name for name, item in file.items() if isinstance(item, h5py.Dataset)]
        found = file[_chosen(source, variable, names)]
        if found.ndim != 2 or found.dtype.kind not in "fiub" or not found.size:
            raise _wrong(source, found.name, f"{found.dtype} of shape {found.shape}")
        layer = Layer.of(source, found)
    transposed: da.Array = layer.lazy(block_shape(layer.shape, layer.chunks, 4)).T
    return transposed


def _read_v5(source: SourceFile, variable: str | None) -> da.Array:
    from scipy.io import loadmat, whosmat

    fs, path = locate(source.url)
    with reaching(source.url), fs.open(path, "rb") as file:
        content = io.BytesIO(file.read())
    try:
        names = [name for name, *_ in whosmat(content)]
        content.seek(0)
        matrices: dict[str, Any] = loadmat(content)
    except (ValueError, TypeError, OSError, NotImplementedError, IndexError) as error:
        raise SourceFormatError(f"{source.url}: expected {_EXPECTED}, got neither ({error})") from error
    name = _chosen(source, variable, names)
    matrix = matrices[name]
    if not isinstance(matrix, np.ndarray) or matrix.ndim != 2 or matrix.dtype.kind not in "fiub" or not matrix.size:
        raise _wrong(source, name, f"{getattr(matrix, 'dtype', type(matrix))} of shape {np.shape(matrix)}")
    values, task = np.ascontiguousarray(matrix, np.float32), f"read-mat-{tokenize(source, name)}"
    array: da.Array = da.from_array(values, chunks=block_shape(values.shape, None, 4), name=task)  # type: ignore[no-untyped-call]
    return array


def _chosen(source: SourceFile, variable: str | None, names: list[str]) -> str:
    """The matrix asked for, or the only one."""
    name = variable or (names[0] if len(names) == 1 else "model")
    if name not in names:
        raise SourceFormatError(
            f"{source.url}: expected a matrix {name}, got {', '.join(names) or 'none'}; save it under that name"
        )
    return name


def _wrong(source: SourceFile, variable: str, got: str) -> SourceFormatError:
    return SourceFormatError(f"{source.url}: expected {variable} to be {_EXPECTED}, got {got}")
