"""Banded Cholesky factors of many symmetric systems side by side, one a pixel.

Arrays have a row for each entry, and `STRIP` pixels in a row. A matrix with `w - 1` entries beside its diagonal has row
``i * w + d`` for the entry ``(i, i - d)``; of `q` right-hand sides, row ``i * q + c`` is entry i of the one c.
"""

import math
from typing import Any

from numba import njit

__all__ = ["STRIP", "back", "compiled", "factor", "forward", "inverse_band", "scale", "subtract_product"]

#: Pixels solved side by side: whole vector registers, with little to do between the rows.
STRIP = 64
#: Decorator of functions on strips.
compiled: Any = njit(cache=True, nogil=True, error_model="numpy", fastmath={"contract", "reassoc", "nsz", "arcp"})


@compiled
def subtract_product(out, a, one, b, two, c):  # type: ignore[no-untyped-def]
    """
    Subtract the product of a row of one array and a row of another from a row of a third, which may be the same.

    Parameters
    ----------
    out : np.ndarray
        Changed in place.
    a : int
        Its row.
    one : np.ndarray
        First factor.
    b : int
        Its row.
    two : np.ndarray
        Second factor.
    c : int
        Its row.
    """
    for s in range(STRIP):
        out[a, s] -= one[b, s] * two[c, s]


@compiled
def scale(out, a, by, b):  # type: ignore[no-untyped-def]
    """
    Multiply a row by a row of another array.

    Parameters
    ----------
    out : np.ndarray
        Changed in place.
    a : int
        Its row.
    by : np.ndarray
        Factor.
    b : int
        Its row.
    """
    for s in range(STRIP):
        out[a, s] *= by[b, s]


@compiled
def factor(band, rows, w):  # type: ignore[no-untyped-def]
    """
    Factor matrices in place.

    Parameters
    ----------
    band : np.ndarray
        Lower band; becomes that of the factor, with the inverse of its diagonal.
    rows, w : int
        Size of the matrix, and of its lower band with the diagonal.
    """
    for i in range(rows):
        for d in range(min(w - 1, i), -1, -1):
            j = i - d
            at = i * w + d
            for e in range(1, min(w - 1 - d, j) + 1):
                subtract_product(band, at, band, at + e, band, j * w + e)
            if d:
                scale(band, at, band, j * w)
            else:
                for s in range(STRIP):
                    band[at, s] = 1.0 / math.sqrt(band[at, s])


@compiled
def forward(band, beside, rows, w, q):  # type: ignore[no-untyped-def]
    """
    Multiply right-hand sides by the inverse of the factor, in place.

    Parameters
    ----------
    band : np.ndarray
        From `factor`.
    beside : np.ndarray
        Right-hand sides.
    rows, w, q : int
        Sizes.
    """
    for i in range(rows):
        for d in range(1, min(w - 1, i) + 1):
            for c in range(q):
                subtract_product(beside, i * q + c, band, i * w + d, beside, (i - d) * q + c)
        for c in range(q):
            scale(beside, i * q + c, band, i * w)


@compiled
def back(band, beside, rows, w, q):  # type: ignore[no-untyped-def]
    """
    Multiply right-hand sides by the inverse of the transposed factor, in place.

    Parameters
    ----------
    band : np.ndarray
        From `factor`.
    beside : np.ndarray
        Right-hand sides.
    rows, w, q : int
        Sizes.
    """
    for i in range(rows - 1, -1, -1):
        for c in range(q):
            scale(beside, i * q + c, band, i * w)
        for d in range(1, min(w - 1, i) + 1):
            for c in range(q):
                subtract_product(beside, (i - d) * q + c, band, i * w + d, beside, i * q + c)


@compiled
def inverse_band(band, inverse, rows, w):  # type: ignore[no-untyped-def]
    """
    Take the entries of the inverse inside the band from the factor, the last first.

    Parameters
    ----------
    band : np.ndarray
        From `factor`.
    inverse : np.ndarray
        Becomes the lower band of the inverse.
    rows, w : int
        Sizes.

    Notes
    -----
    The recurrence of Takahashi: an entry needs those of later rows, inside the band alone.
    """
    for i in range(rows - 1, -1, -1):
        reach = min(w - 1, rows - 1 - i)
        for d in range(reach, -1, -1):
            at = (i + d) * w + d
            inverse[at] = 0.0
            for k in range(1, reach + 1):
                high, low = max(i + k, i + d), min(i + k, i + d)
                subtract_product(inverse, at, band, (i + k) * w + k, inverse, high * w + high - low)
            if d == 0:
                for s in range(STRIP):
                    inverse[at, s] += band[i * w, s]
            scale(inverse, at, band, i * w)
