"""What the name of a terrestrial reference frame says about its motion."""

import re

__all__ = ["is_global_frame", "is_plate_frame"]

_GLOBAL = re.compile(r"(IGS|IGB|ITRF)\d*", re.IGNORECASE)
#: ETRF and SNARF, those of North America, and the two letters by which the Nevada Geodetic Laboratory calls a plate.
_PLATE = re.compile(r"(ETRF\d*|SNARF|NA12|NAM\d*)|[A-Z]{2}", re.IGNORECASE)


def is_global_frame(frame: str) -> bool:
    """
    Tell whether plates move in a frame, as in all realisations of ITRF.

    Parameters
    ----------
    frame : str
        Name.

    Returns
    -------
    bool
        False for a name that is not known.

    Examples
    --------
    >>> is_global_frame("IGS08"), is_global_frame("NA12"), is_global_frame("")
    (True, False, False)
    """
    return _GLOBAL.fullmatch(frame) is not None


def is_plate_frame(frame: str) -> bool:
    """
    Tell whether a frame moves with a plate.

    Parameters
    ----------
    frame : str
        Name.

    Returns
    -------
    bool
        False for a name that is not known.

    Examples
    --------
    >>> is_plate_frame("NA12"), is_plate_frame("EU"), is_plate_frame("ITRF2014"), is_plate_frame("")
    (True, True, False, False)
    """
    return _PLATE.fullmatch(frame) is not None
