"""Names, dimensions, units and attributes of the canonical dataset, and the resolution table."""

from dataclasses import dataclass

from mimtpy_cloud.errors import SchemaError

__all__ = [
    "DAYS_PER_YEAR",
    "LOS",
    "RESOLUTIONS",
    "SENSORS",
    "SPATIAL_REF",
    "VARIABLES",
    "Variable",
    "require_dims",
    "require_variables",
    "track_name",
]

DAYS_PER_YEAR = 365.25
SPATIAL_REF = "spatial_ref"
LOS = ("los_east", "los_north", "los_up")

#: Pixels a degree of each named resolution. ``standard`` is the look set 7 x 19 of the field; the
#: others are assumptions. A root may add its own names.
RESOLUTIONS: dict[str, int] = {
    "veryHighRes": 10_000,
    "highRes": 5_000,
    "standard": 1_250,
    "lowRes": 250,
    "veryLowRes": 125,
}

#: First path element of a store for each `mission` code of MintPy.
SENSORS: dict[str, str] = {
    "S1": "Sentinel",
    "ALOS": "Alos",
    "ALOS2": "Alos2",
    "CSK": "Csk",
    "ENV": "Envisat",
    "ERS": "Ers",
    "JERS": "Jers",
    "RS1": "Radarsat1",
    "RS2": "Radarsat2",
    "TSX": "Tsx",
    "SAOCOM": "Saocom",
    "UAV": "Uavsar",
}


@dataclass(frozen=True)
class Variable:
    """What the canonical dataset says about one variable."""

    dims: tuple[str, ...]
    dtype: str
    units: str
    long_name: str

    @property
    def attrs(self) -> dict[str, str]:
        """Attributes that every array of this name carries."""
        return {"units": self.units, "long_name": self.long_name}


_TYX, _YX = ("time", "y", "x"), ("y", "x")

VARIABLES: dict[str, Variable] = {
    "displacement": Variable(_TYX, "float32", "m", "line-of-sight displacement, toward the satellite positive"),
    "velocity": Variable(_YX, "float32", "m/yr", "line-of-sight velocity, toward the satellite positive"),
    "velocity_std": Variable(_YX, "float32", "m/yr", "standard deviation of the line-of-sight velocity"),
    "intercept": Variable(_YX, "float32", "m", "line-of-sight displacement of the fitted line at start_date"),
    "count": Variable(_YX, "int16", "1", "number of dates with data"),
    "valid": Variable(_YX, "bool", "1", "usable data"),
    "temporal_coherence": Variable(_YX, "float32", "1", "temporal coherence"),
    "avg_spatial_coherence": Variable(_YX, "float32", "1", "average spatial coherence"),
    "los_east": Variable(_YX, "float32", "1", "east component of the unit vector from ground to satellite"),
    "los_north": Variable(_YX, "float32", "1", "north component of the unit vector from ground to satellite"),
    "los_up": Variable(_YX, "float32", "1", "up component of the unit vector from ground to satellite"),
    "height": Variable(_YX, "float32", "m", "height above the reference of the DEM"),
    "slant_range": Variable(_YX, "float32", "m", "distance from ground to satellite"),
    "is_shadow": Variable(_YX, "bool", "1", "radar shadow or layover"),
    "is_water": Variable(_YX, "bool", "1", "water"),
    "perpendicular_baseline": Variable(("time",), "float32", "m", "perpendicular baseline to the reference date"),
}


def track_name(orbit_direction: str, relative_orbit: int) -> str:
    """
    Name a track by pass letter and relative orbit.

    Parameters
    ----------
    orbit_direction : str
        ``"ascending"`` or ``"descending"``, in any case; the first letter decides.
    relative_orbit : int
        Relative orbit number, 1 to 999.

    Returns
    -------
    str
        For example ``"A064"``.

    Raises
    ------
    SchemaError
        If the direction is neither, or the orbit is out of range.

    Examples
    --------
    >>> track_name("ASCENDING", 64), track_name("d", 128)
    ('A064', 'D128')
    """
    letter = orbit_direction[:1].upper()
    if letter not in ("A", "D"):
        raise SchemaError(f"orbit direction must be 'ascending' or 'descending', got {orbit_direction!r}")
    if not 0 < relative_orbit < 1000:
        raise SchemaError(f"relative orbit must be 1 to 999, got {relative_orbit}")
    return f"{letter}{relative_orbit:03d}"


def require_dims(name: str, dims: tuple[object, ...], *expected: str) -> None:
    """
    Check that an array has exactly the expected dimensions, in order.

    Parameters
    ----------
    name : str
        Name of the array in the message.
    dims : tuple
        Dimensions it has.
    *expected : str
        Dimensions it needs.

    Raises
    ------
    SchemaError
        If they differ.
    """
    if tuple(dims) != expected:
        raise SchemaError(f"{name} needs dimensions {expected}, got {tuple(dims)}; transpose or select first")


_NO_LOOK = "; a GeoTIFF has none, take the .zarr; a file of MintPy has that of the geometry beside it (or --geometry)"


def require_variables(what: str, available: object, *names: str) -> None:
    """
    Check that a dataset has the variables that an operation needs.

    Parameters
    ----------
    what : str
        Name of the dataset in the message.
    available : container of str
        Names it has.
    *names : str
        Names it needs.

    Raises
    ------
    SchemaError
        If one is missing.
    """
    missing = [name for name in names if name not in available]  # type: ignore[operator]
    if missing:
        has = ", ".join(sorted(map(str, available)))  # type: ignore[call-overload]
        hint = _NO_LOOK if set(missing) & set(LOS) else ""
        raise SchemaError(f"{what} needs {', '.join(missing)}; it has {has}{hint}")
