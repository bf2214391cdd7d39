"""Recognise by which convention a file writes the direction of the line of sight, and refuse to guess."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from mimtpy_cloud.errors import SourceFormatError
from mimtpy_cloud.kernels.look import azimuth_from_heading

__all__ = ["CONVENTIONS", "AzimuthConvention", "fitting_conventions", "recognise_azimuth"]

#: Name -> meaning, and what makes an azimuth of MintPy of a value v: ``sign * (v + zero)``; no sign: a heading.
CONVENTIONS: dict[str, tuple[str, float, float]] = {
    "mintpy": ("ground to satellite, anticlockwise from north (MintPy, ISCE)", 1.0, 0.0),
    "east": ("ground to satellite, anticlockwise from east (ARIA, phi of Kite)", 1.0, -90.0),
    "clockwise": ("ground to satellite, clockwise from north", -1.0, 0.0),
    "heading": ("flight direction, clockwise from north (GBIS, BEAT, PySAR)", 0.0, 0.0),
}
_PASSES = {"ascending": -12.0, "descending": -168.0}
#: How far directions in a scene may lie from a heading that is known, and from that of a pass, degrees.
_NEAR_HEADING, _NEAR_PASS = 15.0, 30.0


@dataclass(frozen=True)
class AzimuthConvention:
    """
    How a file writes the direction of the line of sight.

    Parameters
    ----------
    name : str
        A key of `CONVENTIONS`.
    radians : bool
        Whether the unit is the radian, else the degree.
    look_side : {"right", "left"}
        Side of the antenna, for a heading.
    """

    name: str
    radians: bool = False
    look_side: str = "right"

    def __str__(self) -> str:
        return f"{CONVENTIONS[self.name][0]}, in {'radians' if self.radians else 'degrees'}"

    def azimuth(self, values: ArrayLike) -> np.ndarray:
        """
        Turn values of the file into our azimuth.

        Parameters
        ----------
        values : array_like
            As the file has them.

        Returns
        -------
        np.ndarray
            Degrees from north, anticlockwise, ground to satellite, in (-180, 180]; float64.

        Examples
        --------
        >>> AzimuthConvention("heading").azimuth([-12.0, 192.0]).tolist()
        [102.0, -102.0]
        >>> AzimuthConvention("east").azimuth(-12.0).tolist(), AzimuthConvention("clockwise").azimuth(258.0).tolist()
        (-102.0, 102.0)
        """
        degrees = np.asarray(values, np.float64)
        degrees = np.rad2deg(degrees) if self.radians else degrees
        _, sign, zero = CONVENTIONS[self.name]
        if sign == 0:
            return azimuth_from_heading(degrees, self.look_side)
        return np.asarray(180.0 - np.mod(180.0 - sign * (degrees + zero), 360.0))


def recognise_azimuth(
    values: ArrayLike,
    *,
    heading: float | None = None,
    orbit_direction: str | None = None,
    look_side: str = "right",
    radians: bool | None = None,
) -> AzimuthConvention:
    """
    Find the convention of directions from their range and what is known of the orbit.

    Parameters
    ----------
    values : array_like
        As the file has them, in degrees or radians; NaN is ignored.
    heading : float, optional
        Flight direction in degrees clockwise from north.
    orbit_direction : str, optional
        ``"ascending"`` or ``"descending"``, where the heading is not known.
    look_side : {"right", "left"}
        Side of the antenna.
    radians : bool, optional
        Whether the unit is the radian, where it is known.

    Returns
    -------
    AzimuthConvention
        The only one that fits.

    Raises
    ------
    SourceFormatError
        If none or several fit; the message lists which. Also if there is no value.

    Notes
    -----
    All values must lie within 15 degrees of what the heading says, or within 30 of what a heading of -12 (ascending)
    or -168 (descending) says. Values beyond 2 pi are in degrees; smaller ones may be in either unit. Without heading
    and pass, an ascending azimuth of MintPy and a descending one clockwise from north are the same number, and such
    values are refused.

    Examples
    --------
    >>> recognise_azimuth([101.0, 103.5], orbit_direction="ascending").name
    'mintpy'
    >>> recognise_azimuth([348.4, 348.6], heading=-11.5).name
    'heading'
    """
    angles = _known(values)
    options = {"heading": heading, "orbit_direction": orbit_direction, "look_side": look_side, "radians": radians}
    fitting = fitting_conventions(angles, **options)  # type: ignore[arg-type]
    found = f"directions of {angles.min():g} to {angles.max():g}"
    knowledge = f"heading {heading:g}" if heading is not None else orbit_direction or "no heading and no pass"
    if len(fitting) != 1:
        fits = "; ".join(text for _, text in fitting) or "none"
        raise SourceFormatError(
            f"{found} with {knowledge}, looking {look_side}: expected one convention that fits, got {fits}; "
            "give the heading or the pass, or write azimuths anticlockwise from north, ground to satellite"
        )
    return fitting[0][0]


def fitting_conventions(
    values: ArrayLike,
    *,
    heading: float | None = None,
    orbit_direction: str | None = None,
    look_side: str = "right",
    radians: bool | None = None,
) -> list[tuple[AzimuthConvention, str]]:
    """
    List the conventions that directions may follow.

    Parameters
    ----------
    values, heading, orbit_direction, look_side, radians : object
        As for `recognise_azimuth`.

    Returns
    -------
    list of tuple
        Each with its text; where the pass is not known, one for each pass that it fits.

    Raises
    ------
    SourceFormatError
        If there is no value.

    Examples
    --------
    Seen by a satellite that looks to the left, directions from East and headings lie close together:

    >>> found = fitting_conventions([12.0], orbit_direction="ascending", look_side="left", radians=False)
    >>> [convention.name for convention, _ in found]
    ['east', 'heading']
    """
    angles = _known(values)
    flown, near = _headings(heading, orbit_direction)
    return [
        (convention, f"{convention} ({known})" if len(flown) > 1 else str(convention))
        for known, direction in flown.items()
        for convention in _candidates(angles, look_side, radians)
        if _fits(convention.azimuth(angles), float(azimuth_from_heading(direction, look_side)), near)
    ]


def _known(values: ArrayLike) -> np.ndarray:
    angles = np.asarray(values, np.float64)
    angles = angles[np.isfinite(angles)]
    if not angles.size:
        raise SourceFormatError("directions of the line of sight are all NaN; expected one with a value")
    return angles


def _headings(heading: float | None, orbit_direction: str | None) -> tuple[dict[str, float], float]:
    """What the heading may be, and how far from it a scene may reach."""
    if heading is not None:
        return {"heading": float(heading)}, _NEAR_HEADING
    known = str(orbit_direction or "").lower()
    return {name: value for name, value in _PASSES.items() if not known or name[0] == known[0]}, _NEAR_PASS


def _candidates(angles: np.ndarray, look_side: str, radians: bool | None) -> list[AzimuthConvention]:
    small = bool(np.abs(angles).max() <= 2 * np.pi + 1e-6)
    units = [False, True][: 1 + small] if radians is None else [radians]
    return [AzimuthConvention(name, unit, look_side) for name in CONVENTIONS for unit in units]


def _fits(azimuth: np.ndarray, expected: float, near: float) -> bool:
    """Whether all directions lie near the expected one, on either side of 180 degrees."""
    away = np.abs((azimuth - expected + 180) % 360 - 180)
    return bool(away.max() <= near)
