"""Units of displacement and velocity, as headings of tables write them."""

import re
from dataclasses import dataclass

from mimtpy_cloud.errors import SourceFormatError

__all__ = ["METRES", "Unit", "is_unit", "parse_unit"]

#: Length of a unit in m.
METRES = {"m": 1.0, "cm": 1e-2, "mm": 1e-3}
_LENGTHS = {"millimet": "mm", "centimet": "cm", "met": "m"}
_UNIT = re.compile(
    r"(?P<length>mm|cm|m|(?:milli|centi)?met(?:er|re)s?)"
    r"(?P<rate>(?:\s*/\s*|[\s_.]+(?:per[\s_]+)?|per)(?:yr|y|years?|a)|\s*yr|[\s_.]*(?:yr|y|a)\s*\^?-1)?"
)


@dataclass(frozen=True)
class Unit:
    """
    Unit of length, or of length in a year.

    Parameters
    ----------
    metres : float
        Length of it in m.
    rate : bool
        Whether it is that in a year.
    """

    metres: float
    rate: bool


def is_unit(text: str) -> bool:
    """
    Tell whether a text is a unit that `parse_unit` reads.

    Parameters
    ----------
    text : str
        Such as ``"mm/yr"``.

    Returns
    -------
    bool

    Examples
    --------
    >>> is_unit("mm_yr"), is_unit("std")
    (True, False)
    """
    return _UNIT.fullmatch(text.strip().lower()) is not None


def parse_unit(text: str, what: str) -> Unit:
    """
    Read a unit.

    Parameters
    ----------
    text : str
        m, cm or mm, or words for them, alone or in a year: ``mm/yr``, ``mm/y``, ``mm per year``, ``mm a-1``.
    what : str
        Whose unit it is, for the message.

    Returns
    -------
    Unit

    Raises
    ------
    SourceFormatError
        If it is another.

    Examples
    --------
    >>> parse_unit("mm/yr", "velocity"), parse_unit("Metres", "displacement")
    (Unit(metres=0.001, rate=True), Unit(metres=1.0, rate=False))
    """
    found = _UNIT.fullmatch(text.strip().lower())
    if found is None:
        raise SourceFormatError(f"{what}: expected a unit of {', '.join(METRES)}, or these /yr, got {text.strip()!r}")
    length = next((unit for word, unit in _LENGTHS.items() if found["length"].startswith(word)), found["length"])
    return Unit(METRES[length], found["rate"] is not None)
