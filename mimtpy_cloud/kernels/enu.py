"""Horizontal and vertical motion from two or more lines of sight, pixel by pixel, in closed form."""

import numpy as np
from numba import njit

__all__ = ["MAX_GAIN", "horizontal_basis", "invert_enu"]

#: Largest noise gain of a component, for looks of equal weight. An ascending and a descending look have about 1; two of
#: one direction, 10 degrees of incidence apart, have 6.
MAX_GAIN = 5.0
#: Smallest standard deviation that a weight is made from, in the unit of the data: 0.01 mm, or 0.01 mm/yr.
SIGMA_FLOOR = 1e-5

_STRIP = 512  # pixels whose sums stay in the first-level cache
_FASTMATH = {"contract", "reassoc", "nsz", "arcp"}


def horizontal_basis(azimuth: float) -> tuple[float, float]:
    """
    Give the east and north components of a horizontal direction.

    Parameters
    ----------
    azimuth : float
        Degrees clockwise from north; east is 90.

    Returns
    -------
    east, north : float

    Examples
    --------
    >>> horizontal_basis(90), horizontal_basis(180), horizontal_basis(-90)
    ((1.0, 0.0), (0.0, -1.0), (-1.0, 0.0))
    """
    angle = np.deg2rad(azimuth)
    # Rounding makes the cardinal directions exact; adding zero removes a negative zero.
    return float(np.round(np.sin(angle), 15) + 0.0), float(np.round(np.cos(angle), 15) + 0.0)


@njit(cache=True, nogil=True, error_model="numpy", fastmath=_FASTMATH)
def _add_look(los, east, north, up, sums, basis_east, basis_north):  # type: ignore[no-untyped-def]
    for j in range(_STRIP):
        d, u = float(los[j]), float(up[j])
        h = float(east[j]) * basis_east + float(north[j]) * basis_north
        check = d + h + u
        known = check == check  # NaN differs from itself
        d, h, u = (d if known else 0.0), (h if known else 0.0), (u if known else 0.0)
        sums[j] += h * h
        sums[_STRIP + j] += h * u
        sums[2 * _STRIP + j] += u * u
        sums[3 * _STRIP + j] += h * d
        sums[4 * _STRIP + j] += u * d
        sums[8 * _STRIP + j] += 1.0 if known else 0.0


@njit(cache=True, nogil=True, error_model="numpy", fastmath=_FASTMATH)
def _add_weighted_look(los, east, north, up, sigma, sums, basis_east, basis_north):  # type: ignore[no-untyped-def]
    for j in range(_STRIP):
        d, u, s = float(los[j]), float(up[j]), float(sigma[j])
        h = float(east[j]) * basis_east + float(north[j]) * basis_north
        check = d + h + u + s
        known = check == check  # NaN differs from itself
        d, h, u = (d if known else 0.0), (h if known else 0.0), (u if known else 0.0)
        s = s if s > SIGMA_FLOOR else SIGMA_FLOOR
        w = 1.0 / (s * s)
        sums[j] += w * h * h
        sums[_STRIP + j] += w * h * u
        sums[2 * _STRIP + j] += w * u * u
        sums[3 * _STRIP + j] += w * h * d
        sums[4 * _STRIP + j] += w * u * d
        sums[5 * _STRIP + j] += h * h
        sums[6 * _STRIP + j] += h * u
        sums[7 * _STRIP + j] += u * u
        sums[8 * _STRIP + j] += 1.0 if known else 0.0


@njit(cache=True, nogil=True, error_model="numpy", fastmath=_FASTMATH)
def _solve(sums, max_gain):  # type: ignore[no-untyped-def]
    # Results go to the first five rows of `sums`: one array lets the compiler use vector instructions.
    for j in range(_STRIP):
        hh, hu, uu = sums[5 * _STRIP + j], sums[6 * _STRIP + j], sums[7 * _STRIP + j]
        n = sums[8 * _STRIP + j]
        # the squared gains are uu and hh over the determinant
        good = n >= 2.0 and max(hh, uu) <= (hh * uu - hu * hu) * max_gain * max_gain
        hh, hu, uu = sums[j], sums[_STRIP + j], sums[2 * _STRIP + j]
        hd, ud = sums[3 * _STRIP + j], sums[4 * _STRIP + j]
        scale = (1.0 if good else np.nan) / (hh * uu - hu * hu)
        sums[j] = (uu * hd - hu * ud) * scale
        sums[_STRIP + j] = (hh * ud - hu * hd) * scale
        sums[2 * _STRIP + j] = np.sqrt(uu * scale)
        sums[3 * _STRIP + j] = np.sqrt(hh * scale)
        sums[4 * _STRIP + j] = n if n >= 2.0 else 0.0


@njit(cache=True, nogil=True, error_model="numpy", fastmath=_FASTMATH)
def _copy(source, target):  # type: ignore[no-untyped-def]
    for j in range(target.size):
        target[j] = source[j]


@njit(cache=True, nogil=True, error_model="numpy", fastmath=_FASTMATH)
def _invert(los, look, sigma, weighted, basis_east, basis_north, max_gain, out):  # type: ignore[no-untyped-def]
    n_tracks, n_pixels = los.shape
    scratch = np.empty(9 * _STRIP)
    for first in range(0, n_pixels, _STRIP):
        start = min(first, n_pixels - _STRIP)  # the last strip solves some pixels twice, and alike
        stop = start + _STRIP
        scratch[:] = 0.0
        for k in range(n_tracks):
            d, e = los[k, start:stop], look[k, 0, start:stop]
            n, u = look[k, 1, start:stop], look[k, 2, start:stop]
            if weighted:
                _add_weighted_look(d, e, n, u, sigma[k, start:stop], scratch, basis_east, basis_north)
            else:
                _add_look(d, e, n, u, scratch, basis_east, basis_north)
        if not weighted:
            _copy(scratch[: 3 * _STRIP], scratch[5 * _STRIP : 8 * _STRIP])
        _solve(scratch, max_gain)
        for m in range(5):
            _copy(scratch[m * _STRIP : (m + 1) * _STRIP], out[m, start:stop])


def invert_enu(
    los: np.ndarray,
    look: np.ndarray,
    sigma: np.ndarray | None = None,
    basis: tuple[float, float] = (1.0, 0.0),
    *,
    max_gain: float = MAX_GAIN,
) -> np.ndarray:
    """
    Solve one horizontal and the vertical component of motion from several looks.

    Parameters
    ----------
    los : np.ndarray
        Line-of-sight displacement or velocity, toward the satellite positive, shape ``(track, pixel)``, float32 or
        float64. NaN is no data.
    look : np.ndarray
        Unit vectors from ground to satellite (east, north, up), shape ``(track, 3, pixel)``.
    sigma : np.ndarray, optional
        Standard deviation of `los`, shape ``(track, pixel)``; NaN is no data. Without it all looks weigh the same and
        have standard deviation 1.
    basis : tuple of float
        East and north components of the horizontal direction, see `horizontal_basis`.
    max_gain : float
        Largest standard deviation of either component for looks of equal weight and standard deviation 1.

    Returns
    -------
    np.ndarray
        Horizontal and up component (positive along `basis` and up, unit of `los`), their standard deviations (without
        `sigma`: the noise gains), and the number of looks used; shape ``(5, pixel)``, dtype of `los`. Where fewer than
        two looks are usable the number is 0; there, and where they are too similar, the others are NaN.

    See Also
    --------
    mimtpy_cloud.ops.enu.invert_enu : The same with labels, lazily.

    Notes
    -----
    With ``h = e b_e + n b_n`` the observation is ``d = h H + u U``; motion across `basis` is taken as zero [1]_. The
    weighted normal equations are solved by Cramer's rule in float64, and the covariance is the inverse of the normal
    matrix. Standard deviations below 1e-5 count as 1e-5, which keeps a reference pixel usable. Weights change the
    solution for three or more looks only.

    References
    ----------
    .. [1] Wright, T. J., Parsons, B. E. and Lu, Z. (2004), Toward mapping surface deformation in three dimensions
       using InSAR, Geophysical Research Letters, 31, L01607, doi:10.1029/2003GL018827.

    Examples
    --------
    >>> look = np.array([[-0.6, 0.0, 0.8], [0.6, 0.0, 0.8]])[:, :, np.newaxis]
    >>> los = np.array([[-0.6 * 0.03 - 0.8 * 0.01], [0.6 * 0.03 - 0.8 * 0.01]])
    >>> invert_enu(los, look)[:2].round(9).ravel().tolist()
    [0.03, -0.01]
    """
    dtype = np.float64 if los.dtype == np.float64 else np.float32
    n_pixels = los.shape[1]
    values, vectors, spread = (_strips(a, dtype) for a in (los, look, los if sigma is None else sigma))
    out = np.empty((5, max(n_pixels, _STRIP)), dtype)
    east, north = basis
    _invert(values, vectors, spread, sigma is not None, float(east), float(north), float(max_gain), out)
    return out[:, :n_pixels]


def _strips(array: np.ndarray, dtype: type) -> np.ndarray:
    """Make an array contiguous, and fill a last axis shorter than one strip with NaN."""
    if array.shape[-1] >= _STRIP:
        return np.ascontiguousarray(array, dtype)
    out = np.full((*array.shape[:-1], _STRIP), np.nan, dtype)
    out[..., : array.shape[-1]] = array
    return out
