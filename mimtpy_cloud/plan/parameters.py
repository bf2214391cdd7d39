"""Values of the parameters of models: ranges as users write them, and all combinations."""

import math
from collections.abc import Mapping
from fractions import Fraction

import numpy as np
from numpy.typing import ArrayLike

from mimtpy_cloud.errors import ParameterError

__all__ = ["full_factorial", "parse_values"]

#: More values than anybody means; a range that has them has a slip of the pen in its step.
_MOST = 1_000_000


def parse_values(text: str) -> np.ndarray:
    """
    Read the values of one parameter.

    Parameters
    ----------
    text : str
        ``start:end:step`` with the end included if a step falls on it, ``start:end:Nx`` for N values from start to end,
        a list ``a,b,c``, or one number.

    Returns
    -------
    np.ndarray
        Values in the order given, shape ``(value,)``, float64.

    Raises
    ------
    ParameterError
        If the text is none of these, a step does not lead to the end, or a value comes twice.

    See Also
    --------
    full_factorial : All combinations of the values of several parameters.

    Notes
    -----
    Value i is start + i step, as exact as the text is and rounded once: 0:1:0.1 holds 0.3, not 0.30000000000000004.
    No value lies beyond the end.

    Examples
    --------
    >>> parse_values("17:18:0.25").tolist()
    [17.0, 17.25, 17.5, 17.75, 18.0]
    >>> parse_values("1000:10000:4x").tolist()
    [1000.0, 4000.0, 7000.0, 10000.0]
    >>> parse_values("5,2.5,1e3").tolist()
    [5.0, 2.5, 1000.0]
    """
    parts = [part.strip() for part in text.split(":")]
    if len(parts) == 1:
        values = [_number(part.strip(), text) for part in text.split(",")]
    elif len(parts) == 3:
        start, end = _number(parts[0], text), _number(parts[1], text)
        step, count = (
            _spaced(parts[2], start, end, text) if parts[2].endswith("x") else _stepped(parts[2], start, end, text)
        )
        values = [start + i * step for i in range(count)]
    else:
        raise _malformed(text)
    found = np.array([float(value) for value in values])
    if np.unique(found).size < found.size:
        raise ParameterError(f"values of a parameter must differ; {text!r} has one of them twice")
    return found


def full_factorial(values: Mapping[str, ArrayLike]) -> dict[str, np.ndarray]:
    """
    Combine every value of every parameter.

    Parameters
    ----------
    values : mapping of str to array_like
        Values of each parameter, shape ``(value,)``.

    Returns
    -------
    dict of str to np.ndarray
        Parameters in the order given, shape ``(model,)`` each; the last one varies fastest.

    Raises
    ------
    ParameterError
        If there is no parameter, or one has no values or a value that is no finite number.

    See Also
    --------
    parse_values : The values of one parameter.

    Examples
    --------
    >>> table = full_factorial({"vs": [17.0, 17.5], "vm": [18.0, 19.0]})
    >>> table["vs"].tolist(), table["vm"].tolist()
    ([17.0, 17.0, 17.5, 17.5], [18.0, 19.0, 18.0, 19.0])
    """
    axes = {name: np.atleast_1d(np.asarray(value, np.float64)) for name, value in values.items()}
    if not axes:
        raise ParameterError("expected the values of at least one parameter, got none")
    for name, axis in axes.items():
        if axis.ndim != 1 or axis.size == 0 or not np.isfinite(axis).all():
            raise ParameterError(f"parameter {name}: expected one or more finite numbers, got {values[name]!r}")
    mesh = np.meshgrid(*axes.values(), indexing="ij")
    return {name: grid.ravel() for name, grid in zip(axes, mesh, strict=True)}


def _stepped(part: str, start: Fraction, end: Fraction, text: str) -> tuple[Fraction, int]:
    """Step, and number of values up to the end."""
    step = _number(part, text)
    if step == 0 or (end - start) / step < 0:
        raise ParameterError(f"expected a step that leads from {float(start):g} to {float(end):g}, got {text!r}")
    return step, _counted(math.floor((end - start) / step) + 1, text)


def _spaced(part: str, start: Fraction, end: Fraction, text: str) -> tuple[Fraction, int]:
    """Step between as many values as asked for."""
    if not part[:-1].strip().isdecimal() or int(part[:-1]) < 2:
        raise ParameterError(f"expected two or more values, such as {float(start):g}:{float(end):g}:10x, got {text!r}")
    count = _counted(int(part[:-1]), text)
    return (end - start) / (count - 1), count


def _counted(count: int, text: str) -> int:
    if count > _MOST:
        raise ParameterError(f"{text!r} has {count} values; expected at most {_MOST}; take a larger step")
    return count


def _number(part: str, text: str) -> Fraction:
    try:
        float(part)  # stricter: a fraction such as 1/3 is no number here
        return Fraction(part)
    except ValueError:
        raise _malformed(text) from None


def _malformed(text: str) -> ParameterError:
    return ParameterError(f"expected values as start:end:step, start:end:Nx, a,b,c or one number, got {text!r}")
