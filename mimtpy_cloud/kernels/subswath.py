"""Ramps of orbits and swaths on a plane: their values, and which swath a place belongs to."""

from collections.abc import Mapping, Sequence

import numpy as np

from mimtpy_cloud.errors import RampError

__all__ = ["evaluate_ramp", "swath_number"]

#: Coefficients of a ramp, and the powers of X and Y that they multiply.
_POWERS = {"c": (0, 0), "ax": (1, 0), "ay": (0, 1), "axx": (2, 0), "axy": (1, 1), "ayy": (0, 2)}


def evaluate_ramp(x: np.ndarray, y: np.ndarray, coefficients: Mapping[str, float]) -> np.ndarray:
    """
    Evaluate a linear or quadratic ramp.

    Parameters
    ----------
    x, y : np.ndarray
        m east and north of the origin; shapes that broadcast.
    coefficients : mapping of str to float
        Any of ``c`` (m), ``ax, ay`` (m per m), ``axx, axy, ayy`` (m per m^2); those that lack are 0.

    Returns
    -------
    np.ndarray
        m, float64.

    Raises
    ------
    RampError
        If a coefficient has another name, or is not finite.

    See Also
    --------
    mimtpy_cloud.ops.disturbance.simulate_ramp : On a grid.

    Notes
    -----
    ``c + ax X + ay Y + axx X^2 + axy X Y + ayy Y^2``.

    Examples
    --------
    A tenth of a micrometre a metre to the east is 1 cm in 100 km:

    >>> evaluate_ramp(np.array([0.0, 100e3]), np.array([0.0, 0.0]), {"c": 0.002, "ax": 1e-7}).round(6).tolist()
    [0.002, 0.012]
    """
    unknown = [name for name in coefficients if name not in _POWERS]
    wrong = [name for name, value in coefficients.items() if name in _POWERS and not np.isfinite(value)]
    if unknown or wrong:
        raise RampError(
            f"a ramp has finite coefficients {', '.join(_POWERS)}, got "
            + ", ".join(f"{name}={coefficients[name]}" for name in (*unknown, *wrong))
        )
    x, y = np.broadcast_arrays(np.asarray(x, np.float64), np.asarray(y, np.float64))
    total = np.zeros(x.shape)
    for name, value in coefficients.items():
        east, north = _POWERS[name]
        total += value * x**east * y**north
    return total


def swath_number(x: np.ndarray, y: np.ndarray, boundaries: Sequence[Sequence[float]]) -> np.ndarray:
    """
    Number the swaths between boundary lines from west to east.

    Parameters
    ----------
    x, y : np.ndarray
        m east and north of the origin; shapes that broadcast.
    boundaries : sequence of sequence of float
        A line each, endless, through two points: X, Y of one and X, Y of the other, in m, at different Y.

    Returns
    -------
    np.ndarray
        int8: 1 in the west, one more for each line to the west of the place. A place on a line lies east of it.

    Raises
    ------
    RampError
        If a line runs east-west or is not finite: it has no west side.

    See Also
    --------
    mimtpy_cloud.ops.disturbance.swath_mask : On a grid.

    Notes
    -----
    With L the southern and H the northern point, a place is east of the line where
    ``(yH - yL) X + (xL - xH) Y + xH yL - xL yH >= 0``. So every place lies in exactly one swath.

    Examples
    --------
    >>> line = (0.0, -50e3, 0.0, 50e3)
    >>> swath_number(np.array([-1.0, 0.0, 1.0]), np.array([0.0, 0.0, 0.0]), [line]).tolist()
    [1, 2, 2]
    """
    x, y = np.broadcast_arrays(np.asarray(x, np.float64), np.asarray(y, np.float64))
    number = np.ones(x.shape, np.int8)
    for line in boundaries:
        (x_low, y_low), (x_high, y_high) = sorted((tuple(line[:2]), tuple(line[2:])), key=lambda point: point[1])
        if not (np.isfinite([x_low, y_low, x_high, y_high]).all() and y_high > y_low):
            raise RampError(
                f"a boundary of swaths runs from a southern to a northern point, got {tuple(map(float, line))} m; give "
                "two points of different latitude"
            )
        number += ((y_high - y_low) * x + (x_low - x_high) * y + x_high * y_low - x_low * y_high >= 0).astype(np.int8)
    return number
