"""Which unit, limits and colours show a quantity best."""

import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from mimtpy_cloud.errors import SchemaError

__all__ = [
    "Limits",
    "Shading",
    "Steps",
    "is_signed",
    "metres",
    "nice_below",
    "shading",
    "steps_of",
    "symlog_norm",
    "symlog_ticks",
]

#: Lowest and highest value in the unit shown, or one number for both signs of it.
Limits = float | tuple[float, float]

_METRES = {"km": 1e3, "m": 1.0, "meter": 1.0, "meters": 1.0, "metre": 1.0, "metres": 1.0, "cm": 1e-2, "mm": 1e-3}
_RATE = re.compile(r"(.+?)\s*(/\s*(yr|year|y|a)|\s(yr|year|a)-1)$")
#: What these names or descriptions say has no sign that matters.
_UNSIGNED = re.compile(
    r"std|standard deviation|coherence|height|count|number|range|rms|misfit|quality|angle|longitude|latitude"
)
_SMALL = re.compile(r"std|standard deviation")
#: Perceptually even and safe for colour-blind readers; the cyclic one starts and ends alike.
DIVERGING, SEQUENTIAL, CYCLIC = "RdBu_r", "cividis", "twilight"
#: Most whole numbers that get a colour each, and the colour of none.
_MOST_STEPS, _NONE = 12, "0.87"
#: Colours of names, as many as there are; the palette of Okabe and Ito without black, the first for what is normal.
_NAMES = ("#e8eef5", "#999999", "#e69f00", "#d55e00", "#cc79a7", "#56b4e9", "#009e73", "#0072b2", "#f0e442")


@dataclass(frozen=True)
class Shading:
    """
    How values become colours.

    Parameters
    ----------
    factor : float
        Value in `unit` for one in the unit of the data.
    unit : str
        Unit on the colour bar.
    low, high : float
        Limits in `unit`.
    cmap : str
        Matplotlib's name of the colour map.
    """

    factor: float
    unit: str
    low: float
    high: float
    cmap: str


@dataclass(frozen=True)
class Steps:
    """
    One colour for each of a few whole numbers.

    Parameters
    ----------
    low : int
        The first of them.
    colours : tuple
        As matplotlib knows them, one for each number from `low` on.
    labels : tuple of str
        What each is called.
    """

    low: int
    colours: tuple[Any, ...]
    labels: tuple[str, ...]


def steps_of(
    values: np.ndarray, flags: Mapping[int, str], *, limits: Limits | None = None, cmap: str | None = None
) -> Steps | None:
    """
    Choose a colour for each of a few whole numbers, or names.

    Parameters
    ----------
    values : np.ndarray
        Any shape.
    flags : mapping of int to str
        Name of each value; empty for counts.
    limits : float or tuple of float, optional
        Lowest and highest number.
    cmap : str, optional
        Colour map that gives the colours.

    Returns
    -------
    Steps or None
        None where the values are not of an integer type, or too many. Zero of a count is grey, as no data.

    Examples
    --------
    >>> steps_of(np.array([0, 2, 3], "int16"), {}).labels
    ('0', '1', '2', '3')
    >>> steps_of(np.array([0.5]), {}) is None
    True
    """
    from matplotlib import colormaps

    if values.dtype.kind not in "iu" or not values.size:
        return None
    low, high = (min(flags), max(flags)) if flags else (int(values.min()), int(values.max()))
    if limits is not None:
        first, last = _checked(limits)
        low, high = math.ceil(first), math.floor(last)
    count = high - low + 1
    if not 0 < count <= _MOST_STEPS:
        return None
    if flags and cmap is None and count <= len(_NAMES):
        colours: tuple[Any, ...] = _NAMES[:count]
    else:
        colours = tuple(colormaps[cmap or SEQUENTIAL](np.linspace(0, 1, count)))
        if low == 0 and not flags and cmap is None:
            colours = (_NONE, *colormaps[SEQUENTIAL](np.linspace(0, 1, count - 1)))
    return Steps(low, colours, tuple(flags.get(k, str(k)) for k in range(low, high + 1)))


def is_signed(name: str, long_name: str, units: str, values: np.ndarray) -> bool:
    """
    Tell whether zero is the middle of a quantity, as for a velocity.

    Parameters
    ----------
    name, long_name, units : str
        What the array says about itself.
    values : np.ndarray
        Any shape; decides only where the names and units do not.

    Returns
    -------
    bool

    Examples
    --------
    >>> is_signed("velocity", "", "m/yr", np.array([1.0])), is_signed("velocity_std", "", "m/yr", np.array([1.0]))
    (True, False)
    """
    if _UNSIGNED.search(f"{name} {long_name}".lower()):
        return False
    if _split(units)[0] in _METRES:
        return True
    return bool((values[np.isfinite(values)] < 0).any())


def shading(
    values: np.ndarray,
    *,
    name: str,
    long_name: str,
    units: str,
    unit: str = "auto",
    limits: Limits | None = None,
    percentile: tuple[float, float] = (2.0, 98.0),
) -> Shading:
    """
    Choose unit, limits and colour map of an array.

    Parameters
    ----------
    values : np.ndarray
        Any shape, in `units`; NaN is no data.
    name, long_name, units : str
        What the array says about itself.
    unit : str
        Unit to show. ``"auto"``: mm/yr for rates; cm for displacements, mm where there are no `limits` and all
        are below 1 cm; the unit of the data for all else.
    limits : float or tuple of float, optional
        Limits in the unit shown: lowest and highest, or one number for both signs.
    percentile : tuple of float
        Percentiles of the values that limit the colours else; where most values are equal and both percentiles
        fall on them, the whole range does.

    Returns
    -------
    Shading
        Limits that are not given are symmetric about 0 for a signed quantity.

    Raises
    ------
    SchemaError
        If `unit` cannot show a quantity in `units`, or limits or percentiles are no such.

    Examples
    --------
    >>> shading(np.array([-0.012, 0.003]), name="velocity", long_name="", units="m/yr", percentile=(0, 100))
    Shading(factor=1000.0, unit='mm/yr', low=-12.0, high=12.0, cmap='RdBu_r')
    """
    low, high = _range(values, percentile)
    signed = is_signed(name, long_name, units, values)
    if unit == "auto":
        small = signed or bool(_SMALL.search(f"{name} {long_name}".lower()))
        unit = _best_unit(units, max(abs(low), abs(high)) if limits is None else math.inf, small=small)
    factor = _factor(units, unit)
    if limits is not None:
        return Shading(factor, unit, *_checked(limits), DIVERGING if signed else SEQUENTIAL)
    if signed:
        top = _round_up(factor * max(abs(low), abs(high))) or 1.0
        return Shading(factor, unit, -top, top, DIVERGING)
    low, high = factor * low, factor * high
    return Shading(factor, unit, low, high if high > low else low + 1.0, SEQUENTIAL)


def _range(values: np.ndarray, percentile: tuple[float, float]) -> tuple[float, float]:
    """Percentiles of the finite values, or their whole range."""
    low_percent, high_percent = percentile
    if not 0 <= low_percent < high_percent <= 100:
        raise SchemaError(f"percentile must be 0 <= low < high <= 100, got {percentile}")
    finite = values[np.isfinite(values)]
    if not finite.size:
        return 0.0, 0.0
    low, high = np.percentile(finite, percentile)
    return (float(low), float(high)) if low < high else (float(finite.min()), float(finite.max()))


def _checked(limits: Limits) -> tuple[float, float]:
    try:
        low, high = map(float, limits if isinstance(limits, Sequence | np.ndarray) else (-limits, limits))
    except (TypeError, ValueError):
        low = high = 0.0
    if not -math.inf < low < high < math.inf:
        raise SchemaError(f"limits must be a positive number, or low < high, got {limits!r}")
    return low, high


def metres(units: str) -> float:
    """
    Convert one of a unit of length, or of length a year, to metres.

    Parameters
    ----------
    units : str
        As arrays say them.

    Returns
    -------
    float

    Raises
    ------
    SchemaError
        If it is another unit.

    Examples
    --------
    >>> metres("cm"), metres("mm/yr")
    (0.01, 0.001)
    """
    length, _ = _split(units)
    if length not in _METRES:
        raise SchemaError(f"expected a length, in one of {', '.join(_METRES)}, got values in {units!r}")
    return _METRES[length]


def _split(units: str) -> tuple[str, bool]:
    """Length unit, and whether it is per year."""
    rate = _RATE.match(units.strip())
    return (rate.group(1).strip(), True) if rate else (units.strip(), False)


def _best_unit(units: str, largest: float, *, small: bool) -> str:
    length, rate = _split(units)
    if length not in _METRES:
        return units
    if rate:
        return "mm/yr"
    if not small:
        return units
    return "cm" if largest * _METRES[length] >= 0.01 else "mm"


def _factor(units: str, unit: str) -> float:
    """Value in `unit` for one in `units`."""
    if unit == units:
        return 1.0
    (have, have_rate), (want, want_rate) = _split(units), _split(unit)
    if have not in _METRES or want not in _METRES or have_rate != want_rate:
        suffix = "/yr" if have_rate else ""
        able = ", ".join(f"{u}{suffix}" for u in ("mm", "cm", "m", "km")) if have in _METRES else repr(units)
        raise SchemaError(f"values in {units!r} can be shown in {able}, got unit {unit!r}")
    return float(f"{_METRES[have] / _METRES[want]:.12g}")


def _round_up(value: float) -> float:
    """Two significant digits, upward."""
    if not value > 0:
        return 0.0
    step = 10.0 ** (math.floor(math.log10(value)) - 1)
    return float(f"{math.ceil(value / step - 1e-9) * step:.6g}")


def nice_below(value: float) -> float:
    """
    Find the largest 1, 2 or 5 times a power of ten that is not above a value.

    Parameters
    ----------
    value : float
        Positive.

    Returns
    -------
    float

    Examples
    --------
    >>> nice_below(73.0), nice_below(0.13), nice_below(2.0)
    (50.0, 0.1, 2.0)
    """
    power = 10.0 ** math.floor(math.log10(value) + 1e-12)
    return float(f"{max(s for s in (1, 2, 5) if s * power <= value * (1 + 1e-12) or s == 1) * power:.6g}")


def symlog_norm(shade: Shading) -> Any:
    """
    Make a norm that is linear near 0 and logarithmic beyond, the same for both signs.

    Parameters
    ----------
    shade : Shading
        Limits; the linear part is below a thirtieth of the larger one.

    Returns
    -------
    matplotlib.colors.SymLogNorm
    """
    from matplotlib.colors import SymLogNorm

    threshold, _ = _symlog(shade)
    return SymLogNorm(linthresh=threshold, linscale=0.5, vmin=shade.low, vmax=shade.high, base=10)


def symlog_ticks(shade: Shading) -> list[float]:
    """
    Choose ticks for `symlog_norm`.

    Parameters
    ----------
    shade : Shading
        Limits.

    Returns
    -------
    list of float
        Zero, the end of the linear part, its multiples by ten, and the limits.

    Examples
    --------
    >>> symlog_ticks(Shading(1000.0, "mm/yr", -70.0, 70.0, "RdBu_r"))
    [-70.0, -20.0, -2.0, 0.0, 2.0, 20.0, 70.0]
    """
    threshold, top = _symlog(shade)
    steps = [threshold * 10.0**k for k in range(9) if threshold * 10.0**k < 0.6 * top] + [top]
    ticks = sorted({0.0, *steps, *(-s for s in steps)})
    return [t for t in ticks if shade.low <= t <= shade.high]


def _symlog(shade: Shading) -> tuple[float, float]:
    top = max(abs(shade.low), abs(shade.high))
    return nice_below(top / 30), top
