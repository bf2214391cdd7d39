"""Turn correlated noise into white noise of variance one, without the inverse of a covariance matrix."""

import ctypes
from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numba.extending import get_cython_function_address

from mimtpy_cloud.errors import SchemaError
from mimtpy_cloud.kernels.covariance import CovarianceModel, covariance_matrix
from mimtpy_cloud.kernels.vecchia import checked_rows, whiten_vecchia

__all__ = ["DenseWhitener", "DiagonalWhitener", "Whitener", "whiten_covariance", "whiten_dense", "whiten_diagonal"]


def _routine(module: str, name: str, arguments: int) -> Callable[..., None]:
    """
    Routine of BLAS or LAPACK, whose arguments are all pointers.

    SciPy's own wrappers of these two hold Python's lock: no other thread would get on.
    """
    address = get_cython_function_address(module, name)
    return ctypes.CFUNCTYPE(None, *[ctypes.c_void_p] * arguments)(address)


_dpotrf = _routine("scipy.linalg.cython_lapack", "dpotrf", 5)
_dtrsm = _routine("scipy.linalg.cython_blas", "dtrsm", 11)


class Whitener(Protocol):
    """
    What whitens.

    Of residuals r with the covariance C, the square sum of ``whiten(r)`` is ``r^T C^-1 r``, and `logdet` is ``log det
    C``: both make the likelihood.
    """

    @property
    def size(self) -> int:
        """Number of points."""

    @property
    def logdet(self) -> float:
        """Logarithm of the determinant of the covariance."""

    def whiten(self, rows: np.ndarray) -> np.ndarray:
        """White rows, shape ``(m, point)``, float64, of rows of the same shape, which stay as they are."""


@dataclass(frozen=True)
class DenseWhitener:
    """
    Whitener by the Cholesky factor of a full covariance.

    Parameters
    ----------
    factor : np.ndarray
        ``L`` of ``C = L L^T`` in the lower triangle, shape ``(point, point)``, Fortran-ordered; what is above does not
        count.
    """

    factor: np.ndarray

    @property
    def size(self) -> int:
        """Number of points."""
        return int(self.factor.shape[0])

    @property
    def logdet(self) -> float:
        """Logarithm of the determinant of the covariance."""
        return 2.0 * float(np.log(np.diagonal(self.factor)).sum())

    def whiten(self, rows: np.ndarray) -> np.ndarray:
        """
        Solve ``L w = r`` for each row r.

        Parameters
        ----------
        rows : np.ndarray
            Shape ``(m, point)``, in the unit whose square the covariance has.

        Returns
        -------
        np.ndarray
            Shape ``(m, point)``, float64, no unit. NaN in a row makes it NaN from there on.

        Raises
        ------
        SchemaError
            If the rows have another number of points.
        """
        white = np.array(checked_rows(rows, self.size), np.float64, order="C")  # its columns, to Fortran
        count, size, one = ctypes.c_int(len(white)), ctypes.c_int(self.size), ctypes.c_double(1.0)
        if white.size:
            factor, columns = self.factor.ctypes.data, white.ctypes.data
            m, n, alpha = ctypes.addressof(size), ctypes.addressof(count), ctypes.addressof(one)
            _dtrsm(b"L", b"L", b"N", b"N", m, n, alpha, factor, m, columns, m)
        return white


@dataclass(frozen=True)
class DiagonalWhitener:
    """
    Whitener of noise that is white, but differs from point to point.

    Parameters
    ----------
    std : np.ndarray
        Standard deviation, shape ``(point,)``.
    """

    std: np.ndarray

    @property
    def size(self) -> int:
        """Number of points."""
        return int(self.std.size)

    @property
    def logdet(self) -> float:
        """Logarithm of the determinant of the covariance."""
        return 2.0 * float(np.log(self.std).sum())

    def whiten(self, rows: np.ndarray) -> np.ndarray:
        """
        Divide by the standard deviations.

        Parameters
        ----------
        rows : np.ndarray
            Shape ``(m, point)``, in the unit of the standard deviations.

        Returns
        -------
        np.ndarray
            Shape ``(m, point)``, float64, no unit.

        Raises
        ------
        SchemaError
            If the rows have another number of points.
        """
        white: np.ndarray = checked_rows(rows, self.size) / self.std
        return white


def whiten_dense(matrix: np.ndarray, *, overwrite: bool = False) -> DenseWhitener:
    """
    Factor a covariance matrix.

    Parameters
    ----------
    matrix : np.ndarray
        Symmetric, shape ``(point, point)``; its lower triangle counts.
    overwrite : bool
        Whether the factor may take the place of the matrix, which is then lost: no second matrix is held, if it is of
        float64 and in one piece. Of one in C order the upper triangle counts.

    Returns
    -------
    DenseWhitener

    Raises
    ------
    SchemaError
        If the matrix is not square, or not positive definite.

    See Also
    --------
    whiten_covariance : From points and a model.

    Notes
    -----
    ``n^3 / 3`` operations once; each row of ``whiten`` takes ``n^2``.

    Examples
    --------
    >>> white = whiten_dense(np.array([[4.0, 2.0], [2.0, 5.0]]))
    >>> white.whiten(np.array([[2.0, 3.0]])).tolist(), round(float(np.exp(white.logdet)), 9)
    ([[1.0, 1.0]], 16.0)
    """
    if matrix.ndim != 2 or matrix.shape[0] != matrix.shape[1]:
        raise SchemaError(f"a covariance matrix is square, got the shape {matrix.shape}")
    given = matrix.T if overwrite and matrix.flags.c_contiguous else matrix  # the same, as it is symmetric
    factor = np.array(given, np.float64, order="F", copy=None if overwrite else True)
    size, failed = ctypes.c_int(len(factor)), ctypes.c_int(0)
    if len(factor):
        _dpotrf(b"L", ctypes.addressof(size), factor.ctypes.data, *map(ctypes.addressof, (size, failed)))
    if failed.value:
        raise SchemaError(
            f"the covariance matrix of {len(matrix)} points is not positive definite: its leading minor of order "
            f"{failed.value} is not positive; give the model a nugget, or leave out points at the same place"
        )
    return DenseWhitener(factor)


def whiten_diagonal(std: np.ndarray) -> DiagonalWhitener:
    """
    Whiten noise without correlation.

    Parameters
    ----------
    std : np.ndarray
        Standard deviation of each point, shape ``(point,)``, positive.

    Returns
    -------
    DiagonalWhitener

    Raises
    ------
    SchemaError
        If one is not positive and finite, or the shape is another.

    Examples
    --------
    >>> whiten_diagonal(np.array([1.0, 2.0])).whiten(np.array([[3.0, 4.0]])).tolist()
    [[3.0, 2.0]]
    """
    std = np.asarray(std, np.float64)
    if std.ndim != 1 or not (np.isfinite(std) & (std > 0)).all():
        raise SchemaError(
            f"standard deviations must be positive, finite and of shape (point,), got {int((~(std > 0)).sum())} of "
            f"{std.size} that are not, shape {std.shape}; leave out points without one"
        )
    return DiagonalWhitener(std)


def whiten_covariance(
    x_km: np.ndarray, y_km: np.ndarray, model: CovarianceModel, *, dense_up_to: int = 12_000
) -> Whitener:
    """
    Whiten noise of points whose covariance falls with distance.

    Parameters
    ----------
    x_km, y_km : np.ndarray
        km east and north, shape ``(point,)``.
    model : CovarianceModel
        Of the noise.
    dense_up_to : int
        Most points of an exact factor, which takes ``8 n^2`` bytes and ``n^3 / 3`` operations; of more, what
        `whiten_vecchia` approximates.

    Returns
    -------
    Whitener

    Raises
    ------
    SchemaError
        If the coordinates are not one-dimensional, equally long and finite, or the covariance of the points is not
        positive definite.

    See Also
    --------
    whiten_dense, mimtpy_cloud.kernels.vecchia.whiten_vecchia : The two ways.

    Examples
    --------
    >>> model = CovarianceModel("exponential", 1.0, 10.0, 0.0)
    >>> white = whiten_covariance(np.array([0.0, 10.0]), np.zeros(2), model)
    >>> bool(np.isclose(white.logdet, np.log(1 - np.exp(-2))))
    True
    """
    if model.sill == 0:
        return whiten_diagonal(np.full(np.asarray(x_km).size, model.nugget**0.5))
    if np.asarray(x_km).size <= dense_up_to:
        return whiten_dense(covariance_matrix(x_km, y_km, model), overwrite=True)
    return whiten_vecchia(x_km, y_km, model)
