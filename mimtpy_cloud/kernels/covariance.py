"""Models of how the covariance of noise falls with distance, and the matrix of points."""

import math
from dataclasses import dataclass

import numpy as np

from mimtpy_cloud.errors import SchemaError

__all__ = ["KINDS", "CovarianceModel", "checked_coordinates", "correlation", "covariance_matrix", "distances_km"]

#: Models of the correlation.
KINDS = ("exponential", "gaussian", "spherical", "matern32")
#: Numbers of a block of rows of a matrix.
_ELEMENTS = 1 << 18


@dataclass(frozen=True)
class CovarianceModel:
    """
    Noise of a correlated and a white part.

    Parameters
    ----------
    kind : str
        One of `KINDS`, see `correlation`.
    sill : float
        Variance of the correlated part, in the square of the unit.
    range_km : float
        Distance in km over which it loses its correlation, as `correlation` says.
    nugget : float
        Variance of the white part, in the square of the unit.

    Raises
    ------
    SchemaError
        If the kind is unknown, a number is not finite or negative, the range is zero, or both variances are.

    Examples
    --------
    >>> model = CovarianceModel("exponential", sill=2e-4, range_km=10.0, nugget=5e-5)
    >>> model.at(np.array([0.0, 5.0])).round(8).tolist()
    [0.0002, 0.00012131]
    """

    kind: str
    sill: float
    range_km: float
    nugget: float

    def __post_init__(self) -> None:
        """Refuse numbers that are no variances and no range."""
        if self.kind not in KINDS:
            raise SchemaError(f"kind of covariance must be one of {', '.join(KINDS)}, got {self.kind!r}")
        for name, value in (("sill", self.sill), ("range_km", self.range_km), ("nugget", self.nugget)):
            if not (math.isfinite(value) and value >= 0):
                raise SchemaError(f"{name} of a covariance must be finite and not negative, got {value}")
        if self.range_km == 0:
            raise SchemaError("range_km of a covariance must be positive, got 0; give white noise a sill of 0")
        if self.variance == 0:
            raise SchemaError("sill and nugget of a covariance are both 0; data without noise need no covariance")

    @property
    def variance(self) -> float:
        """Variance of one point: sill and nugget."""
        return self.sill + self.nugget

    def at(self, distance_km: np.ndarray) -> np.ndarray:
        """
        Evaluate the covariance of two different points.

        Parameters
        ----------
        distance_km : np.ndarray
            Distances in km, any shape.

        Returns
        -------
        np.ndarray
            Square of the unit, shape of `distance_km`: without the nugget, also at distance 0.
        """
        return self.sill * correlation(self.kind, distance_km / self.range_km)


def correlation(kind: str, ratio: np.ndarray) -> np.ndarray:
    """
    Evaluate a model of correlation.

    Parameters
    ----------
    kind : str
        One of `KINDS`.
    ratio : np.ndarray
        Distance over range, not negative, any shape.

    Returns
    -------
    np.ndarray
        1 at ratio 0, falling to 0.

    Raises
    ------
    SchemaError
        If the kind is unknown.

    Notes
    -----
    With ``u = h / range`` [1]_: exponential ``exp(-u)``; gaussian ``exp(-u^2)``; spherical ``1 - 3/2 u + 1/2 u^3``,
    zero from ``u = 1`` on; matern32 ``(1 + sqrt(3) u) exp(-sqrt(3) u)``. All are positive definite in the plane; a
    gaussian one needs a nugget to be so with rounding.

    References
    ----------
    .. [1] Chiles, J.-P. and Delfiner, P. (2012), Geostatistics: Modeling Spatial Uncertainty, 2nd edition, Wiley,
       section 2.5, doi:10.1002/9781118136188.

    Examples
    --------
    >>> [correlation(kind, np.array([0.5, 1.0])).round(4).tolist() for kind in KINDS]
    [[0.6065, 0.3679], [0.7788, 0.3679], [0.3125, 0.0], [0.7849, 0.4834]]
    """
    out: np.ndarray
    if kind == "exponential":
        out = np.exp(-ratio)
    elif kind == "gaussian":
        out = np.exp(-np.square(ratio))
    elif kind == "spherical":
        inside = np.minimum(ratio, 1.0)
        out = 1.0 + inside * (0.5 * inside * inside - 1.5)
    elif kind == "matern32":
        scaled = math.sqrt(3.0) * ratio
        out = (1.0 + scaled) * np.exp(-scaled)
    else:
        raise SchemaError(f"kind of covariance must be one of {', '.join(KINDS)}, got {kind!r}")
    return out


def distances_km(x_km: np.ndarray, y_km: np.ndarray, to_x_km: np.ndarray, to_y_km: np.ndarray) -> np.ndarray:
    """
    Measure the distances of points from others in the plane.

    Parameters
    ----------
    x_km, y_km : np.ndarray
        km east and north, shape ``(..., m)``.
    to_x_km, to_y_km : np.ndarray
        Of the others, shape ``(..., n)``.

    Returns
    -------
    np.ndarray
        km, shape ``(..., m, n)``.

    Examples
    --------
    >>> distances_km(np.array([0.0]), np.array([0.0]), np.array([3.0, 6.0]), np.array([4.0, 8.0])).tolist()
    [[5.0, 10.0]]
    """
    square: np.ndarray = np.square(x_km[..., :, np.newaxis] - to_x_km[..., np.newaxis, :])
    square += np.square(y_km[..., :, np.newaxis] - to_y_km[..., np.newaxis, :])
    np.sqrt(square, out=square)
    return square


def checked_coordinates(x_km: np.ndarray, y_km: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """
    Check the coordinates of points whose covariance is wanted.

    Parameters
    ----------
    x_km, y_km : np.ndarray
        km east and north, shape ``(point,)``.

    Returns
    -------
    x_km, y_km : np.ndarray
        The same as float64.

    Raises
    ------
    SchemaError
        If they are not one-dimensional, equally long and finite.
    """
    x_km, y_km = np.asarray(x_km, np.float64), np.asarray(y_km, np.float64)
    if x_km.ndim != 1 or x_km.shape != y_km.shape or not (np.isfinite(x_km).all() and np.isfinite(y_km).all()):
        raise SchemaError(
            f"coordinates of points must be finite and of one shape (point,), got {x_km.shape} and {y_km.shape}; "
            "leave out points without a place"
        )
    return x_km, y_km


def covariance_matrix(x_km: np.ndarray, y_km: np.ndarray, model: CovarianceModel) -> np.ndarray:
    """
    Fill the covariance matrix of points.

    Parameters
    ----------
    x_km, y_km : np.ndarray
        km east and north, shape ``(point,)``.
    model : CovarianceModel
        Of the noise.

    Returns
    -------
    np.ndarray
        Square of the unit, shape ``(point, point)``, float64, C-ordered and exactly symmetric.

    Raises
    ------
    SchemaError
        If the coordinates are not one-dimensional, equally long and finite.

    See Also
    --------
    mimtpy_cloud.ops.covariance.covariance_matrix : Of labelled points.
    mimtpy_cloud.kernels.whiten.whiten_covariance : What it is needed for.

    Notes
    -----
    ``C_ij = sill rho(h_ij / range) + nugget delta_ij``. Filled in blocks of rows: no more memory than the matrix.

    Examples
    --------
    >>> model = CovarianceModel("exponential", 2e-4, 10.0, 5e-5)
    >>> covariance_matrix(np.array([0.0, 3.0]), np.array([0.0, 4.0]), model).round(8).tolist()
    [[0.00025, 0.00012131], [0.00012131, 0.00025]]
    """
    x_km, y_km = checked_coordinates(x_km, y_km)
    n = x_km.size
    out = np.empty((n, n))
    step = max(1, _ELEMENTS // max(n, 1))
    for start in range(0, n, step):
        stop = min(start + step, n)
        part = slice(start, stop)
        out[part, :stop] = model.at(distances_km(x_km[part], y_km[part], x_km[:stop], y_km[:stop]))
        out[:start, part] = out[part, :start].T
    out[np.diag_indices(n)] = model.variance
    return out
