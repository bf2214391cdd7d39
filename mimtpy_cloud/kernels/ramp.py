"""Ramps: polynomials in kilometres east and north, their terms, and their values."""

import math
from typing import Any

import numpy as np
from numba import njit

from mimtpy_cloud.errors import RampError

__all__ = [
    "RAMPS",
    "evaluate_ramp",
    "ramp_degrees",
    "ramp_design",
    "ramp_powers",
    "ramp_terms",
    "readable",
    "shift_ramp",
    "subtract_ramp",
]

_JIT: dict[str, Any] = {
    "cache": True,
    "nogil": True,
    "error_model": "numpy",
    "fastmath": {"contract", "reassoc", "nsz", "arcp"},
}

#: Terms of each kind of ramp; "range" is the direction of the columns, "azimuth" that of the rows, as in MintPy.
RAMPS: dict[str, tuple[str, ...]] = {
    "constant": ("1",),
    "linear": ("1", "x", "y"),
    "quadratic": ("1", "x", "y", "x^2", "x y", "y^2"),
    "linear_range": ("1", "x"),
    "linear_azimuth": ("1", "y"),
    "quadratic_range": ("1", "x", "x^2"),
    "quadratic_azimuth": ("1", "y", "y^2"),
}
#: Powers of x and y of each term.
_POWERS = {"1": (0, 0), "x": (1, 0), "y": (0, 1), "x^2": (2, 0), "x y": (1, 1), "y^2": (0, 2)}


def ramp_terms(kind: str) -> tuple[str, ...]:
    """
    List the terms of a kind of ramp.

    Parameters
    ----------
    kind : str
        ``"constant"``, or one of MintPy's: ``"linear"``, ``"quadratic"``, ``"linear_range"``, ``"linear_azimuth"``,
        ``"quadratic_range"``, ``"quadratic_azimuth"``.

    Returns
    -------
    tuple of str
        Of ``"1"``, ``"x"``, ``"y"``, ``"x^2"``, ``"x y"``, ``"y^2"``, with x km east and y km north.

    Raises
    ------
    RampError
        If there is no such kind.

    Examples
    --------
    >>> ramp_terms("linear")
    ('1', 'x', 'y')
    """
    if kind not in RAMPS:
        raise RampError(f"kind of ramp must be one of {', '.join(RAMPS)}, got {kind!r}")
    return RAMPS[kind]


def ramp_powers(kind: str) -> tuple[tuple[int, int], ...]:
    """
    Tell the powers of x and y in each term of a ramp.

    Parameters
    ----------
    kind : str
        As for `ramp_terms`.

    Returns
    -------
    tuple of tuple of int

    Raises
    ------
    RampError
        If there is no such kind.

    Examples
    --------
    >>> ramp_powers("linear")
    ((0, 0), (1, 0), (0, 1))
    """
    return tuple(_POWERS[term] for term in ramp_terms(kind))


def ramp_degrees(kind: str) -> tuple[int, ...]:
    """
    Tell the power of a length that each term of a ramp has.

    Parameters
    ----------
    kind : str
        As for `ramp_terms`.

    Returns
    -------
    tuple of int

    Raises
    ------
    RampError
        If there is no such kind.

    Examples
    --------
    >>> ramp_degrees("quadratic")
    (0, 1, 1, 2, 2, 2)
    """
    return tuple(sum(powers) for powers in ramp_powers(kind))


def ramp_design(kind: str, x_km: np.ndarray, y_km: np.ndarray) -> np.ndarray:
    """
    Evaluate the terms of a ramp at points.

    Parameters
    ----------
    kind : str
        As for `ramp_terms`.
    x_km, y_km : np.ndarray
        km east and north of each point, shape ``(point,)``.

    Returns
    -------
    np.ndarray
        Shape ``(point, term)``, float64: 1, km, km^2.

    Raises
    ------
    RampError
        If there is no such kind.

    Examples
    --------
    >>> ramp_design("linear", np.array([2.0]), np.array([3.0])).tolist()
    [[1.0, 2.0, 3.0]]
    """
    x, y = np.asarray(x_km, np.float64), np.asarray(y_km, np.float64)
    return np.stack([x**a * y**b for a, b in ramp_powers(kind)], axis=-1)


def shift_ramp(kind: str, east_km: float, north_km: float) -> np.ndarray:
    """
    Express a ramp about another point.

    Parameters
    ----------
    kind : str
        As for `ramp_terms`.
    east_km, north_km : float
        Where the new point lies from the old one.

    Returns
    -------
    np.ndarray
        Matrix that turns coefficients about the old point into those about the new one, shape ``(term, term)``.

    Raises
    ------
    RampError
        If there is no such kind.

    Examples
    --------
    >>> shift_ramp("linear_range", 10.0, 0.0) @ np.array([1.0, 0.5])
    array([6. , 0.5])
    """
    terms = ramp_terms(kind)
    matrix = np.zeros((len(terms), len(terms)))
    for column, term in enumerate(terms):
        a, b = _POWERS[term]
        for i in range(a + 1):
            for j in range(b + 1):
                made = next(name for name, powers in _POWERS.items() if powers == (i, j))
                factor = math.comb(a, i) * math.comb(b, j) * east_km ** (a - i) * north_km ** (b - j)
                matrix[terms.index(made), column] += factor
    return matrix


def evaluate_ramp(coefficients: np.ndarray, x_km: np.ndarray, y_km: np.ndarray, kind: str) -> np.ndarray:
    """
    Evaluate a ramp on a block of pixels.

    Parameters
    ----------
    coefficients : np.ndarray
        As `mimtpy_cloud.kernels.rampfit.solve_ramp` gives them.
    x_km, y_km : np.ndarray
        km east of each column and north of each row.
    kind : str
        As for `ramp_terms`.

    Returns
    -------
    np.ndarray
        Unit of the coefficient of ``"1"``, shape ``(y, x)``, float64.

    Raises
    ------
    RampError
        If there is no such kind.
    ValueError
        If the number of coefficients does not fit.

    Examples
    --------
    >>> evaluate_ramp(np.array([1.0, 0.5, 2.0]), np.array([0.0, 2.0]), np.array([1.0, 0.0]), "linear").tolist()
    [[3.0, 4.0], [1.0, 2.0]]
    """
    c, x = _along_rows(coefficients, y_km, kind), np.asarray(x_km, np.float64)
    ramp: np.ndarray = c[:, :1] + x * (c[:, 1:2] + x * c[:, 2:])
    return ramp


def subtract_ramp(
    values: np.ndarray, coefficients: np.ndarray, x_km: np.ndarray, y_km: np.ndarray, kind: str
) -> np.ndarray:
    """
    Subtract a ramp from a block of data.

    Parameters
    ----------
    values : np.ndarray
        Shape ``(y, x)``, float32 or float64. NaN is no data.
    coefficients : np.ndarray
        As `mimtpy_cloud.kernels.rampfit.solve_ramp` gives them.
    x_km, y_km : np.ndarray
        km east of each column and north of each row.
    kind : str
        As for `ramp_terms`.

    Returns
    -------
    np.ndarray
        A new array of the shape and dtype of `values`, NaN where they are.

    Raises
    ------
    RampError
        If there is no such kind.
    ValueError
        If shapes do not fit.
    """
    if values.shape != (np.size(y_km), np.size(x_km)):
        raise ValueError(f"values need shape (y, x) = {(np.size(y_km), np.size(x_km))}, got {values.shape}")
    data = readable(values)
    out = np.empty(data.shape, data.dtype)
    _subtract(data, _along_rows(coefficients, y_km, kind), np.ascontiguousarray(x_km, np.float64), out)
    return out


def _along_rows(coefficients: np.ndarray, y_km: np.ndarray, kind: str) -> np.ndarray:
    """Coefficients of 1, x and x^2 in every row, shape ``(y, 3)``."""
    terms = ramp_terms(kind)
    if np.shape(coefficients) != (len(terms),):
        raise ValueError(f"a {kind} ramp has {len(terms)} coefficients, got shape {np.shape(coefficients)}")
    rows = np.zeros((np.size(y_km), 3))
    y = np.asarray(y_km, np.float64)
    for (power, of_y), value in zip(ramp_powers(kind), coefficients, strict=True):
        rows[:, power] += value * y**of_y
    return rows


def readable(array: np.ndarray) -> np.ndarray:
    """
    View a block as compiled kernels take it.

    Parameters
    ----------
    array : np.ndarray
        Any dtype.

    Returns
    -------
    np.ndarray
        Contiguous and read-only, float64 if it was, else float32: few compiled versions serve all blocks.
    """
    kept = np.float64 if array.dtype == np.float64 else np.float32
    view = np.ascontiguousarray(array, kept).view()
    view.flags.writeable = False
    return view


@njit(**_JIT)
def _subtract(data, rows, x, out):  # type: ignore[no-untyped-def]
    """Subtract the ramp row by row."""
    for i in range(rows.shape[0]):
        _subtract_row(data[i], rows[i, 0], rows[i, 1], rows[i, 2], x, out[i])


@njit(**_JIT)
def _subtract_row(d, c0, c1, c2, x, out):  # type: ignore[no-untyped-def]
    """Subtract c0 + c1 x + c2 x^2 from a row."""
    for i in range(d.size):
        out[i] = d[i] - (c0 + x[i] * (c1 + x[i] * c2))
