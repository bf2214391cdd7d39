"""Horizontal and vertical motion from two or more lines of sight, pixel by pixel, in closed form."""

import numpy as np
from numba import njit

__all__ = ["MAX_GAIN", "QUALITY", "ROWS", "horizontal_basis", "inverse_variance", "invert_enu"]

#: Largest noise gain of a component, for looks of equal weight. An ascending and a descending look have about 1; two of
#: one direction, 10 degrees of incidence apart, have 6.
MAX_GAIN = 5.0
#: Smallest standard deviation that a weight is made from, in the unit of the data: 0.01 mm, or 0.01 mm/yr.
SIGMA_FLOOR = 1e-5

#: Rows of a result. The last four are there only if motion across the horizontal direction is solved too.
ROWS = (
    "horizontal",
    "up",
    "horizontal_std",
    "up_std",
    "count",
    "correlation",
    "gain",
    "chi2",
    "quality",
    "horizontal_leak",
    "up_leak",
    "across",
    "across_std",
    "correlation_horizontal_across",
    "correlation_across_up",
)
#: What a pixel without a solution lacks, by its number in the row `quality`; 0 has one.
QUALITY = ("good", "too_few_looks", "too_similar_looks", "motion_across_unknown")

_ACROSS = ROWS.index("across")
_HUGE = 1e300
_STRIP = 256  # pixels whose sums stay in the first-level cache
_SUMS = 17  # rows of sums, see _add_look
_FASTMATH = {"contract", "reassoc", "nsz", "arcp"}
_compiled = njit(cache=True, nogil=True, error_model="numpy", fastmath=_FASTMATH)


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


@_compiled
def _add_look(los, east, north, up, sigma, known, weighted, basis_east, basis_north, sums):  # type: ignore[no-untyped-def]
    # h, c and u are the parts of the look along the horizontal direction, across it, and up. Rows of the weighted sums:
    # hh, hc, hu, cc, cu, uu, hd, cd, ud, dd; of the plain ones: the number of looks, hh, hc, hu, cc, cu, uu.
    for j in range(_STRIP):
        e, n, u, s = float(east[j]), float(north[j]), float(up[j]), float(sigma[j])
        h, c = e * basis_east + n * basis_north, n * basis_east - e * basis_north
        d = float(los[j]) - c * known[j]
        check = d + h + u + s
        is_known = abs(check) < _HUGE  # neither NaN nor infinite
        d, h = (d if is_known else 0.0), (h if is_known else 0.0)
        c, u = (c if is_known else 0.0), (u if is_known else 0.0)
        s = s if s > SIGMA_FLOOR else SIGMA_FLOOR
        w = 1.0 / (s * s) if weighted else 1.0
        wh, wc, wu, wd = w * h, w * c, w * u, w * d
        sums[j] += wh * h
        sums[_STRIP + j] += wh * c
        sums[2 * _STRIP + j] += wh * u
        sums[3 * _STRIP + j] += wc * c
        sums[4 * _STRIP + j] += wc * u
        sums[5 * _STRIP + j] += wu * u
        sums[6 * _STRIP + j] += wh * d
        sums[7 * _STRIP + j] += wc * d
        sums[8 * _STRIP + j] += wu * d
        sums[9 * _STRIP + j] += wd * d
        sums[10 * _STRIP + j] += 1.0 if is_known else 0.0
        sums[11 * _STRIP + j] += h * h
        sums[12 * _STRIP + j] += h * c
        sums[13 * _STRIP + j] += h * u
        sums[14 * _STRIP + j] += c * c
        sums[15 * _STRIP + j] += c * u
        sums[16 * _STRIP + j] += u * u


@_compiled
def _solve_two(sums, known, max_gain):  # type: ignore[no-untyped-def]
    # Results go to the rows of `sums`, in the order of ROWS: one array lets the compiler use vector instructions.
    for j in range(_STRIP):
        n = sums[10 * _STRIP + j]
        hh, hu, uu = sums[11 * _STRIP + j], sums[13 * _STRIP + j], sums[16 * _STRIP + j]
        gain = max(hh, uu) / (hh * uu - hu * hu)  # the squared gains are uu and hh over the determinant
        similar = not gain <= max_gain * max_gain or gain < 0.0
        unknown = known[j] != known[j]
        good = n >= 2.0 and not similar
        hh, hc, hu = sums[j], sums[_STRIP + j], sums[2 * _STRIP + j]
        cu, uu = sums[4 * _STRIP + j], sums[5 * _STRIP + j]
        hd, ud, dd = sums[6 * _STRIP + j], sums[8 * _STRIP + j], sums[9 * _STRIP + j]
        scale = (1.0 if good else np.nan) / (hh * uu - hu * hu)
        horizontal, vertical = (uu * hd - hu * ud) * scale, (hh * ud - hu * hd) * scale
        left = max(dd - horizontal * hd - vertical * ud, 0.0)
        sums[j] = horizontal
        sums[_STRIP + j] = vertical
        sums[2 * _STRIP + j] = np.sqrt(uu * scale)
        sums[3 * _STRIP + j] = np.sqrt(hh * scale)
        sums[4 * _STRIP + j] = n if n >= 2.0 else 0.0
        sums[5 * _STRIP + j] = -hu / np.sqrt(hh * uu) if good else np.nan
        sums[6 * _STRIP + j] = np.sqrt(gain) if n >= 2.0 and gain >= 0.0 else np.nan
        sums[7 * _STRIP + j] = left / (n - 2.0) if good and n > 2.0 else np.nan
        sums[8 * _STRIP + j] = 0.0 if good else 3.0 if unknown else 1.0 if n < 2.0 else 2.0
        sums[9 * _STRIP + j] = (uu * hc - hu * cu) * scale
        sums[10 * _STRIP + j] = (hh * cu - hu * hc) * scale


@_compiled
def _solve_three(sums, known, precision, max_gain):  # type: ignore[no-untyped-def]
    # `precision` is 1 / s^2 of what is known of the motion across; 0 where nothing is, NaN where it should be.
    for j in range(_STRIP):
        n, p = sums[10 * _STRIP + j], precision[j]
        hh, hc, hu = sums[11 * _STRIP + j], sums[12 * _STRIP + j], sums[13 * _STRIP + j]
        cc, cu, uu = sums[14 * _STRIP + j], sums[15 * _STRIP + j], sums[16 * _STRIP + j]
        of_h, of_c, of_u = cc * uu - cu * cu, hh * uu - hu * hu, hh * cc - hc * hc
        whole = hh * of_h + hc * (cu * hu - hc * uu) + hu * (hc * cu - cc * hu)
        free = p == 0.0
        gain = max(of_h, of_c, of_u) / whole if free else max(hh, uu) / of_c
        needed = 3.0 if free else 2.0
        similar = not gain <= max_gain * max_gain or gain < 0.0
        unknown = known[j] != known[j] or p != p
        good = n >= needed and not similar and not unknown
        hh, hc, hu = sums[j], sums[_STRIP + j], sums[2 * _STRIP + j]
        cc, cu, uu = sums[3 * _STRIP + j] + p, sums[4 * _STRIP + j], sums[5 * _STRIP + j]
        hd, cd, ud, dd = sums[6 * _STRIP + j], sums[7 * _STRIP + j], sums[8 * _STRIP + j], sums[9 * _STRIP + j]
        of_h, of_c, of_u = cc * uu - cu * cu, hh * uu - hu * hu, hh * cc - hc * hc
        h_c, h_u, c_u = cu * hu - hc * uu, hc * cu - cc * hu, hc * hu - hh * cu
        scale = (1.0 if good else np.nan) / (hh * of_h + hc * h_c + hu * h_u)
        horizontal = (of_h * hd + h_c * cd + h_u * ud) * scale
        across = (h_c * hd + of_c * cd + c_u * ud) * scale
        vertical = (h_u * hd + c_u * cd + of_u * ud) * scale
        left = max(dd - horizontal * hd - across * cd - vertical * ud, 0.0)
        freedom = n - needed
        sums[j] = horizontal
        sums[_STRIP + j] = vertical
        sums[2 * _STRIP + j] = np.sqrt(of_h * scale)
        sums[3 * _STRIP + j] = np.sqrt(of_u * scale)
        sums[4 * _STRIP + j] = n if n >= 2.0 else 0.0
        sums[5 * _STRIP + j] = h_u / np.sqrt(of_h * of_u) if good else np.nan
        sums[6 * _STRIP + j] = np.sqrt(gain) if n >= needed and gain >= 0.0 else np.nan
        sums[7 * _STRIP + j] = left / freedom if good and freedom > 0.0 else np.nan
        sums[8 * _STRIP + j] = 0.0 if good else 3.0 if unknown else 1.0 if n < needed else 2.0
        sums[9 * _STRIP + j] = 0.0 if good else np.nan
        sums[10 * _STRIP + j] = 0.0 if good else np.nan
        sums[11 * _STRIP + j] = known[j] + across
        sums[12 * _STRIP + j] = np.sqrt(of_c * scale)
        sums[13 * _STRIP + j] = h_c / np.sqrt(of_h * of_c) if good else np.nan
        sums[14 * _STRIP + j] = c_u / np.sqrt(of_c * of_u) if good else np.nan


@_compiled
def _solve_pair(rows, weighted, basis_east, basis_north, max_gain):  # type: ignore[no-untyped-def]
    # Two looks are solved whatever their weights. Rows of the input: data, east, north, up and standard deviation of
    # one look and then of the other, and the motion across; after them come the rows that _solve_two gives, too.
    for j in range(_STRIP):
        d, e, n = float(rows[j]), float(rows[_STRIP + j]), float(rows[2 * _STRIP + j])
        a_up, s = float(rows[3 * _STRIP + j]), float(rows[4 * _STRIP + j])
        known = float(rows[10 * _STRIP + j])
        a, a_across = e * basis_east + n * basis_north, n * basis_east - e * basis_north
        first = d - a_across * known
        check = first + s + a + a_up
        d, e, n = float(rows[5 * _STRIP + j]), float(rows[6 * _STRIP + j]), float(rows[7 * _STRIP + j])
        b_up, t = float(rows[8 * _STRIP + j]), float(rows[9 * _STRIP + j])
        b, b_across = e * basis_east + n * basis_north, n * basis_east - e * basis_north
        second = d - b_across * known
        check += second + t + b + b_up
        usable = abs(check) < _HUGE  # neither NaN nor infinite
        s, t = (s if s > SIGMA_FLOOR else SIGMA_FLOOR), (t if t > SIGMA_FLOOR else SIGMA_FLOOR)
        s, t = (s * s if weighted else 1.0), (t * t if weighted else 1.0)
        scale = 1.0 / (a * b_up - b * a_up)
        gain = max(a * a + b * b, a_up * a_up + b_up * b_up) * scale * scale
        good = usable and gain <= max_gain * max_gain
        one = scale if good else np.nan
        square = one * one
        of_h, of_u = (b_up * b_up * s + a_up * a_up * t) * square, (b * b * s + a * a * t) * square
        std_h, std_u = np.sqrt(np.float32(of_h)), np.sqrt(np.float32(of_u))
        rows[11 * _STRIP + j] = (b_up * first - a_up * second) * one
        rows[12 * _STRIP + j] = (a * second - b * first) * one
        rows[13 * _STRIP + j] = std_h
        rows[14 * _STRIP + j] = std_u
        rows[15 * _STRIP + j] = 2.0 if usable else 0.0
        rows[16 * _STRIP + j] = np.float32(-(b_up * b * s + a_up * a * t) * square) / (std_h * std_u)
        rows[17 * _STRIP + j] = np.sqrt(np.float32(gain)) if usable else np.nan
        rows[18 * _STRIP + j] = np.nan
        rows[19 * _STRIP + j] = 0.0 if good else 3.0 if known != known else 2.0 if usable else 1.0
        rows[20 * _STRIP + j] = (b_up * a_across - a_up * b_across) * one
        rows[21 * _STRIP + j] = (a * b_across - b * a_across) * one


@_compiled
def _invert_pair(los, look, sigma, known, weighted, basis_east, basis_north, max_gain, out):  # type: ignore[no-untyped-def]
    n_pixels = los.shape[1]
    rows = np.zeros((11 + _ACROSS) * _STRIP, los.dtype)
    for first in range(0, n_pixels, _STRIP):
        start = min(first, n_pixels - _STRIP)  # the last strip solves some pixels twice, and alike
        stop = start + _STRIP
        for k in range(2):
            at = 5 * k * _STRIP
            _copy(los[k, start:stop], rows[at : at + _STRIP])
            for c in range(3):
                _copy(look[k, c, start:stop], rows[at + (1 + c) * _STRIP : at + (2 + c) * _STRIP])
            _copy(sigma[k, start:stop], rows[at + 4 * _STRIP : at + 5 * _STRIP])
        if known.size:
            _copy(known[start:stop], rows[10 * _STRIP : 11 * _STRIP])
        _solve_pair(rows, weighted, basis_east, basis_north, max_gain)
        for m in range(_ACROSS):
            _copy(rows[(11 + m) * _STRIP : (12 + m) * _STRIP], out[m, start:stop])


@_compiled
def _copy(source, target):  # type: ignore[no-untyped-def]
    for j in range(target.size):
        target[j] = source[j]


@_compiled
def _invert(los, look, sigma, known, precision, weighted, basis_east, basis_north, max_gain, out):  # type: ignore[no-untyped-def]
    n_tracks, n_pixels = los.shape
    scratch = np.empty(_SUMS * _STRIP)
    still, nothing = np.zeros(_STRIP), np.zeros(_STRIP)
    for first in range(0, n_pixels, _STRIP):
        start = min(first, n_pixels - _STRIP)  # the last strip solves some pixels twice, and alike
        stop = start + _STRIP
        scratch[:] = 0.0
        across = known[start:stop] if known.size else still
        for k in range(n_tracks):
            d, e = los[k, start:stop], look[k, 0, start:stop]
            n, u = look[k, 1, start:stop], look[k, 2, start:stop]
            s = sigma[k, start:stop]
            _add_look(d, e, n, u, s, across, weighted, basis_east, basis_north, scratch)
        if out.shape[0] > _ACROSS:
            _solve_three(scratch, across, precision[start:stop] if precision.size else nothing, max_gain)
        else:
            _solve_two(scratch, across, max_gain)
        for m in range(out.shape[0]):
            _copy(scratch[m * _STRIP : (m + 1) * _STRIP], out[m, start:stop])


def invert_enu(
    los: np.ndarray,
    look: np.ndarray,
    sigma: np.ndarray | None = None,
    basis: tuple[float, float] = (1.0, 0.0),
    *,
    across: np.ndarray | None = None,
    across_std: np.ndarray | float = 0.0,
    max_gain: float = MAX_GAIN,
) -> np.ndarray:
    """
    Solve a horizontal and the vertical component of motion from several looks, or all three.

    Parameters
    ----------
    los : np.ndarray
        Line-of-sight displacement or velocity, toward the satellite positive, shape ``(track, pixel)``, float32 or
        float64. What is not finite is no data.
    look : np.ndarray
        Unit vectors from ground to satellite (east, north, up), shape ``(track, 3, pixel)``.
    sigma : np.ndarray, optional
        Standard deviation of `los`, shape ``(track, pixel)``; what is not finite is no data. Without it all looks weigh
        the same and have standard deviation 1.
    basis : tuple of float
        East and north components of the horizontal direction, see `horizontal_basis`.
    across : np.ndarray, optional
        Known motion across `basis` (90 degrees anticlockwise of it: north, if that is east), unit of `los`, shape
        ``(pixel,)``; zero if not given. NaN is unknown.
    across_std : np.ndarray or float
        Standard deviation of what is known of it. Zero takes it as exact; infinity solves it from the looks alone; in
        between it is solved with this knowledge, and its uncertainty is in that of the others.
    max_gain : float
        Largest standard deviation of a component for looks of equal weight and standard deviation 1; of the
        horizontal and the vertical one where the motion across is known.

    Returns
    -------
    np.ndarray
        Rows as in `ROWS`, without the last four if the motion across is exact; shape ``(row, pixel)``, dtype of `los`.
        Components along `basis`, up and across, unit of `los`, with their standard deviations (without `sigma`: the
        noise gains) and correlations; the number of looks used, 0 below two; the largest noise gain for looks of equal
        weight; reduced chi^2, NaN without a spare look; why there is no solution, an index into `QUALITY`; and what
        one unit of motion across would change in the horizontal and the vertical component. What is not known is NaN.

    See Also
    --------
    mimtpy_cloud.ops.enu.invert_enu : The same with labels, lazily.

    Notes
    -----
    With ``h = e b_e + n b_n`` and ``c = n b_e - e b_n`` the observation is ``d = h H + c C + u U`` [1]_, and what is
    known of C one observation more. The weighted normal equations are solved by Cramer's rule in float64, and the
    covariance is the inverse of the normal matrix. Two looks are solved without sums, with their standard
    deviations in single precision. Standard deviations of the data below 1e-5 count as 1e-5, which keeps a reference
    pixel usable. Weights change the solution for more looks than components only.

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
    exact = np.ndim(across_std) == 0 and across_std == 0
    known = np.empty(0) if across is None else _strips(across, np.float64)
    precision = np.empty(0) if exact else _strips(inverse_variance(across_std, n_pixels), np.float64)
    out = np.empty((_ACROSS if exact else len(ROWS), max(n_pixels, _STRIP)), dtype)
    east, north = basis
    weighted = sigma is not None
    options = (weighted, float(east), float(north), float(max_gain), out)
    if len(los) == 2 and exact:
        _invert_pair(values, vectors, spread, known, *options)
    else:
        _invert(values, vectors, spread, known, precision, *options)
    return out[:, :n_pixels]


def inverse_variance(std: np.ndarray | float, n_pixels: int) -> np.ndarray:
    """
    Turn a standard deviation into a weight.

    Parameters
    ----------
    std : np.ndarray or float
        Of each pixel, or of all.
    n_pixels : int
        How many.

    Returns
    -------
    np.ndarray
        Shape ``(pixel,)``: 0 of an infinite standard deviation, NaN of an unknown one, and that of 1e-5 of a smaller.

    Examples
    --------
    >>> inverse_variance(np.array([0.5, np.inf, np.nan]), 3)
    array([ 4.,  0., nan])
    """
    floored = np.maximum(np.broadcast_to(np.asarray(std, np.float64), n_pixels), SIGMA_FLOOR)
    return 1.0 / floored**2


def _strips(array: np.ndarray, dtype: type) -> np.ndarray:
    """Make an array contiguous, and fill a last axis shorter than one strip with NaN."""
    if array.shape[-1] >= _STRIP:
        return np.ascontiguousarray(array, dtype)
    out = np.full((*array.shape[:-1], _STRIP), np.nan, dtype)
    out[..., : array.shape[-1]] = array
    return out
