"""Random fields whose value at a pixel depends on the pixel and a key alone, so never on chunking.

No fast-math flag is set here: the last bit must not depend on how a block is cut.
"""

import math

import numpy as np
from numba import njit

__all__ = ["exponential_noise", "plane_wave_noise", "white_noise"]

_GOLDEN = np.uint64(0x9E3779B97F4A7C15)
_MUL1, _MUL2 = np.uint64(0xBF58476D1CE4E5B9), np.uint64(0x94D049BB133111EB)
_S11, _S27, _S30, _S31 = np.uint64(11), np.uint64(27), np.uint64(30), np.uint64(31)
_TO_UNIT = 2.0**-53
_LOW16 = np.uint64(0xFFFF)
#: Eight uniform variates on 0..65535 have the variance 8 (2^32 - 1) / 12.
_TO_NORMAL = math.sqrt(12.0 / (8.0 * (2.0**32 - 1.0)))

#: Waves of exponential noise, and pixels that are summed at a time, which stay in the first cache.
_N_WAVES, _SEGMENT = 512, 512
#: Steps of the low-discrepancy sequence that spreads directions (inverse powers of the plastic constant).
_SPREAD = (0.7548776662466927, 0.5698402909980532)

#: Series of the sine: powers 3 to 13.
_SIN3, _SIN5, _SIN7, _SIN9, _SIN11, _SIN13 = (-1 / 6, 1 / 120, -1 / 5040, 1 / 362880, -1 / 39916800, 1 / 6227020800)

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


@_jit
def exponential_noise(x: np.ndarray, y: np.ndarray, z: np.ndarray, seed: int, date: int, range_m: float) -> np.ndarray:
    """
    Draw noise whose covariance falls exponentially with distance.

    Parameters
    ----------
    x, y, z : np.ndarray
        Places in m in any Cartesian frame, float64, of one shape ``(y, x)``.
    seed, date : int
        Key of the field.
    range_m : float
        Distance in m over which the correlation falls to 1/e, positive.

    Returns
    -------
    np.ndarray
        Shape ``(y, x)``, float64; over seeds the mean is 0, the variance 1 and the covariance of two places
        ``exp(-distance / range_m)``. The value of a place depends on nothing but it, the key and the range.

    See Also
    --------
    plane_wave_noise : Noise with a power law between two wavelengths.

    Notes
    -----
    ``sum_k a_k cos(2 pi (f_k . p + c_k))`` of 512 plane waves in space [1]_. The spectrum of an exponential covariance
    in three dimensions gives wave numbers above ``q / range`` the share ``t = 1 - 2 / pi (atan q - q / (1 + q^2))`` of
    the variance. One wave is drawn from each of equal steps of ``w = sqrt(t)``, with ``a^2 = 4 w / 512``, so that short
    waves are many and weak. Directions are a low-discrepancy sequence shifted at random, so that each is uniform, and
    phases are independent: the covariance over seeds is exact. Points on the ground have their distance through the
    Earth, of 100 km 1 m less than along it. O(512 * pixels).

    References
    ----------
    .. [1] A. Mantoglou and J. L. Wilson, 1982, The turning bands method for simulation of random fields using line
       generation by a spectral method, Water Resources Research, 18, 1379-1394, DOI 10.1029/WR018i005p01379.

    Examples
    --------
    >>> x = np.arange(0.0, 4e5, 1e3)[None, :]
    >>> field = exponential_noise(x, 0 * x, 0 * x, 1, 17000, 1e4)
    >>> bool((exponential_noise(x[:, 7:9], 0 * x[:, 7:9], 0 * x[:, 7:9], 1, 17000, 1e4) == field[:, 7:9]).all())
    True
    """
    waves = _exponential_waves(_mix(_mix(np.uint64(2), seed), date), range_m)
    out = np.zeros(x.shape)
    for j in range(x.shape[0]):
        for start in range(0, x.shape[1], _SEGMENT):
            row = slice(start, min(start + _SEGMENT, x.shape[1]))
            _add_waves(x[j, row], y[j, row], z[j, row], waves, out[j, row])
    return out


@_jit
def _exponential_waves(key: np.uint64, range_m: float) -> np.ndarray:
    """Frequency along three axes in cycles/m, phase in cycles, and amplitude of each wave, shape ``(wave, 5)``."""
    up_shift, turn_shift = _uniform(_mix(key, -1)), _uniform(_mix(key, -2))
    waves = np.empty((_N_WAVES, 5))
    for k in range(_N_WAVES):
        drawn = _mix(key, k)
        root = (k + _uniform(drawn)) / _N_WAVES
        frequency = _wave_number(root * root) / (2.0 * math.pi * range_m)
        up = 2.0 * ((up_shift + k * _SPREAD[0]) % 1.0) - 1.0
        azimuth = 2.0 * math.pi * ((turn_shift + k * _SPREAD[1]) % 1.0)
        across = frequency * math.sqrt(1.0 - up * up)
        waves[k, 0], waves[k, 1], waves[k, 2] = across * math.cos(azimuth), across * math.sin(azimuth), frequency * up
        waves[k, 3] = _uniform(_mix(drawn, 1))
        waves[k, 4] = math.sqrt(4.0 * root / _N_WAVES)
    return waves


@_jit
def _wave_number(share: float) -> float:
    """Wave number times range above which an exponential covariance has a share of its variance, by bisection."""
    low, high = -20.0, 40.0
    for _ in range(60):
        middle = 0.5 * (low + high)
        q = math.exp(middle)
        # atan q = pi / 2 - atan(1 / q), without the cancellation of large q
        above = 2.0 / math.pi * (math.atan(1.0 / q) + q / (1.0 + q * q))
        if above > share:
            low = middle
        else:
            high = middle
    return math.exp(0.5 * (low + high))


@_jit
def _add_waves(x: np.ndarray, y: np.ndarray, z: np.ndarray, waves: np.ndarray, out: np.ndarray) -> None:
    """
    Add all waves to places in a row.

    The cosine is ``1 - 2 sin^2`` of the half angle by its series, right to 1e-9: a loop without calls runs on vectors.
    """
    for k in range(waves.shape[0]):
        fx, fy, fz, phase, amplitude = waves[k]
        for i in range(x.size):
            cycles = fx * x[i] + fy * y[i] + fz * z[i] + phase
            half = math.pi * (cycles - np.floor(cycles + 0.5))
            h2 = half * half
            series = _SIN7 + h2 * (_SIN9 + h2 * (_SIN11 + h2 * _SIN13))
            sine = half * (1.0 + h2 * (_SIN3 + h2 * (_SIN5 + h2 * series)))
            out[i] += amplitude * (1.0 - 2.0 * sine * sine)
