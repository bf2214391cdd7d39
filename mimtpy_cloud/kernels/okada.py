"""Surface motion over a rectangular dislocation in an elastic half-space, after Okada (1985)."""

import math

import numpy as np
from numba import njit

from mimtpy_cloud.errors import SchemaError
from mimtpy_cloud.kernels.enu import horizontal_basis

__all__ = ["okada"]

#: A fault whose dip has a smaller cosine counts as vertical: within half a millionth of a degree.
_VERTICAL = 1e-8
#: How far points on an edge at the surface are moved to its left, as part of the length.
_ASIDE = 1e-9
_compiled = njit(cache=True, nogil=True, error_model="numpy", fastmath={"contract", "reassoc", "nsz", "arcp"})


def okada(
    x: np.ndarray,
    y: np.ndarray,
    *,
    depth: float,
    length: float,
    width: float,
    strike: float,
    dip: float,
    rake: float,
    slip: float,
    opening: float = 0.0,
    nu: float = 0.25,
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """
    Model the surface motion over a rectangular fault that slips or opens evenly.

    Parameters
    ----------
    x, y : np.ndarray
        East and north distance from the middle of the upper edge in m; shapes broadcast.
    depth : float
        Depth of the upper edge in m; 0 where the fault breaks the surface.
    length, width : float
        Size along strike and down dip in m, positive.
    strike : float
        Direction of the edge, degrees clockwise from north; the fault dips to the right of it.
    dip : float
        Degrees from the horizontal, 0 to 180; more than 90 dips to the left.
    rake : float
        Direction in which the hanging wall, right of the strike, moves: degrees anticlockwise from the strike in the
        plane of the fault, as in Aki and Richards [2]_. 0 is left-lateral, 180 right-lateral, 90 thrust, -90 normal.
    slip : float
        Slip in m, or its rate in m/yr.
    opening : float
        How far the walls part, in the unit of `slip`.
    nu : float
        Poisson's ratio.

    Returns
    -------
    east, north, up : np.ndarray
        Motion in the unit of `slip`, float64; NaN where the position is. On the trace of a fault that breaks the
        surface it is that of one side.

    Raises
    ------
    SchemaError
        If the fault rises above the ground or lies in it, has no size, or a parameter is not a finite number.

    See Also
    --------
    mimtpy_cloud.ops.forward.okada_model : The motion along the line of sight.
    mimtpy_cloud.kernels.dislocation.interseismic_velocity : An endless vertical fault below a depth.

    Notes
    -----
    Equations 25 to 30 of Okada [1]_, summed over the corners before angles and logarithms are taken: 4 arctangents and
    2 logarithms a point in place of 8 and 8. ``R + eta`` and ``R + xi`` of the paper are written as quotients where
    they would cancel, and the logarithms of I4 as one of their ratio. Errors are about 1e-14 of the slip, and at most
    1e-8 of it as the dip nears 90 degrees, where the paper's equations for ``cos(dip) = 0`` take over.

    References
    ----------
    .. [1] Y. Okada, 1985, Surface deformation due to shear and tensile faults in a half-space, Bull. Seismol. Soc. Am.
       75, 1135-1154, DOI 10.1785/BSSA0750041135.
    .. [2] K. Aki and P. G. Richards, 2002, Quantitative Seismology, 2nd edition, University Science Books, section 4.2.

    Examples
    --------
    A right-lateral fault that strikes north: the east side moves south.

    >>> fault = dict(depth=0.0, length=40e3, width=15e3, strike=0.0, dip=90.0, rake=180.0, slip=1.0)
    >>> east, north, up = okada(np.array([-1e3, 1e3]), np.array([0.0, 0.0]), **fault)
    >>> north.round(2).tolist()
    [0.47, -0.47]
    """
    values = {"depth": depth, "length": length, "width": width, "strike": strike, "dip": dip, "rake": rake}
    _check(values | {"slip": slip, "opening": opening, "nu": nu})
    cos, sin = math.cos(math.radians(dip)), math.sin(math.radians(dip))
    if abs(cos) < _VERTICAL:
        cos, sin = 0.0, 1.0
    shape, angle = np.broadcast_shapes(np.shape(x), np.shape(y)), math.radians(rake)
    east, north = (_flat(v, shape) for v in (x, y))
    out = np.empty((3, east.size))
    plane = (float(depth), float(length), float(width), sin, cos, *horizontal_basis(strike))
    moved = (float(slip) * math.cos(angle), float(slip) * math.sin(angle), float(opening), 1.0 - 2.0 * nu)
    _okada(east, north, plane, moved, out)
    return out[0].reshape(shape), out[1].reshape(shape), out[2].reshape(shape)


def _flat(values: np.ndarray, shape: tuple[int, ...]) -> np.ndarray:
    flat = np.ascontiguousarray(np.broadcast_to(values, shape), np.float64).reshape(-1)
    flat.flags.writeable = False  # one compiled version serves all
    return flat


def _check(values: dict[str, float]) -> None:
    wrong = [f"{name}={value}" for name, value in values.items() if not math.isfinite(value)]
    if wrong:
        raise SchemaError(f"a fault needs finite numbers, got {', '.join(wrong)}; give a number for each")
    depth, length, width, dip = (float(values[name]) for name in ("depth", "length", "width", "dip"))
    if not (depth >= 0 and length > 0 and width > 0 and 0 <= dip <= 180 and depth + dip % 180 > 0):
        raise SchemaError(
            f"a fault needs a depth of its upper edge of 0 m or more, a positive length and width, and a dip of 0 to "
            f"180 degrees that takes it below the ground, got depth {depth:g}, length {length:g}, width {width:g} and "
            f"dip {dip:g}"
        )


@_compiled
def _okada(east, north, plane, moved, out):  # type: ignore[no-untyped-def]
    depth, length, width, sin, cos, strike_east, strike_north = plane
    strike_slip, dip_slip, opening, compliance = moved
    for i in range(east.size):
        # Along strike from the start of the fault, and to the left of the upper edge.
        x = east[i] * strike_east + north[i] * strike_north + 0.5 * length
        y = north[i] * strike_east - east[i] * strike_north
        y = _ASIDE * length if depth == 0.0 and y == 0.0 else y
        q = y * sin - depth * cos
        sums, terms = _corner_sums(x, y, q, (depth, length, width, sin, cos))
        xg, yg, dg, g, over_eta, over_r, yh, dh, seen = sums
        i1, i2, i3, i4, i5 = _integrals(q, sin, cos, compliance, terms)
        u1, u2, u3 = -strike_slip / (2 * np.pi), -dip_slip / (2 * np.pi), opening / (2 * np.pi)
        ss, sc, twist = sin * sin, sin * cos, q * xg - seen
        along = u1 * (q * xg + seen + i1 * sin) + u2 * (q * over_r - i3 * sc) + u3 * (q * q * g - i3 * ss)
        left = u1 * (q * yg + q * cos * over_eta + i2 * sin) + u2 * (q * yh + cos * seen - i1 * sc)
        left += u3 * (-q * dh - sin * twist - i1 * ss)
        up = u1 * (q * dg + q * sin * over_eta + i4 * sin) + u2 * (q * dh + sin * seen - i5 * sc)
        up += u3 * (q * yh + cos * twist - i5 * ss)
        out[0, i] = along * strike_east - left * strike_north
        out[1, i] = along * strike_north + left * strike_east
        out[2, i] = up


@_compiled
def _corner_sums(x, y, q, shape):  # type: ignore[no-untyped-def]
    """Sum over the four corners, in the sense of equation 24, what the equations are linear in."""
    depth, length, width, sin, cos = shape
    upper, side = y * cos + depth * sin, (1.0 if q > 0 else -1.0)
    xg = yg = dg = g_sum = eta_sum = r_sum = yh = dh = seen_sum = bend = 0.0
    xt = yt = t_sum = xtt = et = tt = tau_sum = 0.0
    plus, minus, minus_t = (1.0, 1.0), (1.0, 1.0), 1.0  # products over the corners of each sign
    for end in range(2):
        xi = x - length if end else x
        root = math.sqrt(xi * xi + q * q)
        seen, bent = complex(1.0, 0.0), complex(1.0, 0.0)  # their arguments are differences of angles
        for edge in range(2):  # the lower one first
            eta, yy = (upper, y) if edge else (upper + width, y + width * cos)
            dd = depth if edge else depth + width * sin
            w, turn = (1.0 if end == edge else -1.0), (-1.0 if edge else 1.0)
            r, by_eta, by_xi = _quotients(xi, eta, q)
            by_r, t = w / r, 1.0 / (r + dd)
            g, h, tau = by_r * by_eta, by_r * by_xi, (q + eta * cos / (1.0 + sin)) * by_eta
            xg, yg, dg, g_sum = xg + xi * g, yg + yy * g, dg + dd * g, g_sum + g
            eta_sum, r_sum, yh, dh = eta_sum + w * by_eta, r_sum + by_r, yh + yy * h, dh + dd * h
            xt, yt, t_sum = xt + w * xi * t, yt + w * yy * t, t_sum + w * t
            xtt, et, tt, tau_sum = xtt + w * xi * t * t, et + w * eta * t, tt + w * t * t, tau_sum + w * tau
            seen *= complex(abs(q) * r, turn * xi * eta)
            bent *= complex(eta * (root + q * cos) + root * (r + root) * sin, turn * xi * (r + root) * cos)
            if end == edge:
                plus = (plus[0] * by_eta, plus[1] * tau)
            else:
                minus, minus_t = (minus[0] * by_eta, minus[1] * tau), minus_t * t
        sense = -1.0 if end else 1.0
        seen_sum += sense * side * math.atan2(seen.imag, seen.real)
        bend += sense * math.atan2(bent.imag, bent.real)
    # ln(R + eta), and ln(R + d) - ln(R + eta) without the difference of what is alike if the fault is steep.
    log_eta = math.log(minus[0] / plus[0])
    log_down = math.log1p(cos * (cos * (plus[1] - minus[1]) - tau_sum) * minus_t / minus[0])
    sums = (xg, yg, dg, g_sum, eta_sum, r_sum, yh, dh, seen_sum)
    return sums, (log_eta, log_down, bend, xt, yt, t_sum, xtt, et, tt)


@_compiled
def _quotients(xi, eta, q):  # type: ignore[no-untyped-def]
    """R, and one over R + eta and R + xi, which would cancel where eta or xi is negative."""
    eq = eta * eta + q * q
    r = math.sqrt(xi * xi + eq)
    by_eta = 1.0 / (r + eta) if eta > 0 else (r - eta) / (xi * xi + q * q)
    by_xi = 1.0 / (r + xi) if xi > 0 else (r - xi) / eq
    return r, by_eta, by_xi


@_compiled
def _integrals(q, sin, cos, compliance, terms):  # type: ignore[no-untyped-def]
    """I1 to I5, equations 28 and 29, summed over the corners."""
    log_eta, log_down, bend, xt, yt, t, xtt, et, tt = terms
    if cos == 0.0:
        i1, i3, i4, i5 = -0.5 * q * xtt, 0.5 * (et + q * q * tt - log_eta), -q * t, -xt
    else:
        i4, i5 = log_down / cos + cos / (1.0 + sin) * log_eta, -2.0 / cos * bend
        i3, i1 = (yt + sin * i4) / cos - log_eta, -(xt + sin * i5) / cos
    return compliance * i1, compliance * (-log_eta - i3), compliance * i3, compliance * i4, compliance * i5
