"""Random fields whose value at a pixel depends on the pixel and a key alone, so never on chunking.

No fast-math flag is set here: the last bit must not depend on how a block is cut.
"""

import math

import numpy as np
from numba import njit

__all__ = ["plane_wave_noise", "white_noise"]

_GOLDEN = np.uint64(0x9E3779B97F4A7C15)
_MUL1, _MUL2 = np.uint64(0xBF58476D1CE4E5B9), np.uint64(0x94D049BB133111EB)
_S11, _S27, _S30, _S31 = np.uint64(11), np.uint64(27), np.uint64(30), np.uint64(31)
_TO_UNIT = 2.0**-53
_LOW16 = np.uint64(0xFFFF)
#: Eight uniform variates on 0..65535 have the variance 8 (2^32 - 1) / 12.
_TO_NORMAL = math.sqrt(12.0 / (8.0 * (2.0**32 - 1.0)))

_jit = njit(cache=True, nogil=True, error_model="numpy")


@_jit
def _mix(state: np.uint64, value: int) -> np.uint64:
    """Hash one more integer into a state (the finaliser of splitmix64)."""
    z = (state ^ np.uint64(value)) + _GOLDEN
    z = (z ^ (z >> _S30)) * _MUL1
    z = (z ^ (z >> _S27)) * _MUL2
    return z ^ (z >> _S31)


@_jit
def _uniform(state: np.uint64) -> float:
    """Map a hash to the open interval (0, 1)."""
    return (float(state >> _S11) + 0.5) * _TO_UNIT


@_jit
def white_noise(rows: np.ndarray, cols: np.ndarray, seed: int, date: int) -> np.ndarray:
    """
    Draw independent, nearly normal noise by hashing pixel, date and seed.

    Parameters
    ----------
    rows, cols : np.ndarray
        Global row and column numbers, int64, 1-D.
    seed, date : int
        Key of the field.

    Returns
    -------
    np.ndarray
        Shape ``(rows, cols)``, float64, mean 0 and variance 1.

    Notes
    -----
    Hash by Steele et al. [1]_; the sum of its eight 16-bit parts is nearly normal (it ends at 4.9).

    References
    ----------
    .. [1] G. L. Steele, D. Lea and C. H. Flood, 2014, Fast splittable pseudorandom number generators,
       OOPSLA 2014, DOI 10.1145/2660193.2660195.

    Examples
    --------
    >>> whole = white_noise(np.arange(4), np.arange(6), 1, 2)
    >>> part = white_noise(np.arange(2, 4), np.arange(3, 6), 1, 2)
    >>> bool((whole[2:, 3:] == part).all())
    True
    """
    key = _mix(_mix(np.uint64(0), seed), date)
    out = np.empty((rows.size, cols.size))
    for j in range(rows.size):
        row = _mix(key, rows[j])
        for i in range(cols.size):
            one = _mix(row, cols[i])
            two = _mix(one, 1)
            total = -262140.0
            for k in range(4):
                shift = np.uint64(16 * k)
                total += float((one >> shift) & _LOW16) + float((two >> shift) & _LOW16)
            out[j, i] = total * _TO_NORMAL
    return out


@_jit
def plane_wave_noise(
    x: np.ndarray, y: np.ndarray, seed: int, date: int, shortest: float, longest: float, n_waves: int
) -> np.ndarray:
    """
    Draw spatially correlated noise as a sum of random plane waves.

    Parameters
    ----------
    x, y : np.ndarray
        Position of columns and rows in m, float64, 1-D.
    seed, date : int
        Key of the field.
    shortest, longest : float
        Range of the wavelengths in m.
    n_waves : int
        Number of waves.

    Returns
    -------
    np.ndarray
        Shape ``(y, x)``, float64; mean 0 and variance 1 over seeds and over an area larger than `longest`.

    Notes
    -----
    ``sum_k a_k cos(2 pi / L_k (x cos b_k + y sin b_k) + c_k)`` with one wavelength drawn from each of `n_waves` equal
    steps of ``log L``, random direction and phase, and ``a ~ L^(5/6)``: the 5/3 power law structure function of a
    turbulent troposphere [1]_.

    References
    ----------
    .. [1] R. F. Hanssen, 2001, Radar Interferometry, Kluwer, section 4.7, DOI 10.1007/0-306-47633-9.

    Examples
    --------
    >>> x, y = np.linspace(0, 1e5, 7), np.linspace(1e5, 0, 5)
    >>> field = plane_wave_noise(x, y, 3, 17000, 5e3, 8e4, 24)
    >>> bool((plane_wave_noise(x[4:], y[1:3], 3, 17000, 5e3, 8e4, 24) == field[1:3, 4:]).all())
    True
    """
    key = _mix(_mix(np.uint64(1), seed), date)
    cos_x, sin_x = np.empty(x.size), np.empty(x.size)
    out = np.zeros((y.size, x.size))
    power = 0.0
    for k in range(n_waves):
        first = _mix(key, k)
        second = _mix(first, 1)
        third = _mix(second, 2)
        wavelength = shortest * (longest / shortest) ** ((k + _uniform(first)) / n_waves)
        direction, phase = 2.0 * math.pi * _uniform(second), 2.0 * math.pi * _uniform(third)
        kx = 2.0 * math.pi / wavelength * math.cos(direction)
        ky = 2.0 * math.pi / wavelength * math.sin(direction)
        amplitude = wavelength ** (5.0 / 6.0)
        power += amplitude**2 / 2.0
        for i in range(x.size):
            cos_x[i], sin_x[i] = amplitude * math.cos(kx * x[i]), amplitude * math.sin(kx * x[i])
        for j in range(y.size):
            cos_y, sin_y = math.cos(ky * y[j] + phase), math.sin(ky * y[j] + phase)
            for i in range(x.size):
                out[j, i] += cos_y * cos_x[i] - sin_y * sin_x[i]
    return out / math.sqrt(power)
