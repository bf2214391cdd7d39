"""Convert lengths and line-of-sight rates to the unit that a file is to have."""

import math

import numpy as np
import xarray as xr

from mimtpy_cloud.errors import SchemaError

__all__ = ["UNITS", "in_unit"]

#: Of one metre, each unit of length.
_PER_METRE = {"m": 1.0, "cm": 100.0, "mm": 1000.0}
#: Units that `in_unit` makes; of a rate they are those in a year.
UNITS = (*_PER_METRE, "rad")
_RATE = "/yr"
#: Along the line of sight, so that a phase means the same; a standard deviation has no sign.
_SIGNED = ("displacement", "velocity", "intercept")
_UNSIGNED = ("displacement_std", "velocity_std")


def in_unit(da: xr.DataArray, unit: str) -> xr.DataArray:
    """
    Convert a length or a rate, as lazy as it is.

    Parameters
    ----------
    da : xr.DataArray
        In m or m/yr, as ``attrs["units"]`` says; with ``attrs["wavelength"]`` in m for radians.
    unit : str
        ``"m"``, ``"cm"``, ``"mm"`` or ``"rad"``, of a rate those in a year; ``"cm/yr"`` is accepted for a rate.

    Returns
    -------
    xr.DataArray
        With the new unit in ``attrs["units"]``; NaN stays NaN, the type stays.

    Raises
    ------
    SchemaError
        If the array is neither a length nor a rate, the unit is unknown or that of the other kind, or radians are
        asked for of what is no motion in the line of sight, or without wavelength.

    Notes
    -----
    Radians are the unwrapped phase of MintPy and ROI_PAC, ``-4 pi / wavelength * d``: motion toward the satellite is
    negative phase. A standard deviation gets the factor without its sign.

    Examples
    --------
    >>> d = xr.DataArray([0.014], name="displacement", attrs={"units": "m", "wavelength": 0.05546576})
    >>> float(in_unit(d, "cm")[0]), round(float(in_unit(d, "rad")[0]), 6)
    (1.4000000000000001, -3.171852)
    """
    have = str(da.attrs.get("units", ""))
    name = str(da.name or "the array")
    if have not in ("m", f"m{_RATE}"):
        raise SchemaError(f"{name} is in {have or 'no unit'}, not in m or m/yr, so it cannot be written in {unit}")
    rate = _RATE if have.endswith(_RATE) else ""
    plain = unit.removesuffix(_RATE)
    if plain not in UNITS or (unit != plain and not rate):
        raise SchemaError(f"unit must be one of {', '.join(u + rate for u in UNITS)} for {name}, got {unit!r}")
    factor = _radians(da, name) if plain == "rad" else _PER_METRE[plain]
    scaled = da * (np.float32(factor) if da.dtype == np.float32 else factor)
    told = {"units": f"{plain}{rate}"}
    if plain == "rad" and name in _SIGNED:  # the name of the metres says that toward the satellite is positive
        told["long_name"] = f"unwrapped phase of the {name}, toward the satellite negative"
    return scaled.rename(da.name).assign_attrs(da.attrs | told)


def _radians(da: xr.DataArray, name: str) -> float:
    if name not in (*_SIGNED, *_UNSIGNED):
        raise SchemaError(f"{name} is no motion in the line of sight, so it has no phase; take m, cm or mm")
    wavelength = da.attrs.get("wavelength")
    if not wavelength:
        raise SchemaError(f"{name} has no attribute wavelength (m), which turns it into radians; set it")
    factor = 4 * math.pi / float(wavelength)
    return factor if name in _UNSIGNED else -factor
