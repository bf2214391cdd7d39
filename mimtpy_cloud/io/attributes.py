"""Decode the attributes of a MintPy or PySAR file into the canonical attributes and the grid.

Attributes are mostly strings, some are numpy scalars or bytes, many have several spellings, and
"None", "nan" and "auto" mean absent. They are authoritative; the file name is only a hint.
"""

import math
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import numpy as np

from mimtpy_cloud.errors import SourceFormatError
from mimtpy_cloud.plan.grid import Grid
from mimtpy_cloud.schema import SENSORS, track_name

__all__ = ["Metadata", "NameHints", "decode_attributes", "parse_dates", "parse_name"]

Value = str | int | float

_ABSENT = {"", "none", "nan", "auto", "unknown", "null"}
_PREFIXES = ("unavco.", "hdfeos5.")
#: Other spellings of a key, best first.
_ALIASES: dict[str, tuple[str, ...]] = {
    "LENGTH": ("FILE_LENGTH", "length", "lines"),
    "WIDTH": ("width", "samples"),
    "WAVELENGTH": ("wavelength", "radarWavelength", "Wavelength (m)"),
    "HEADING": ("heading",),
    "ORBIT_DIRECTION": ("passDirection", "orbitDirection", "flight_direction"),
    "ANTENNA_SIDE": ("antennaSide", "look_direction"),
    "PLATFORM": ("mission", "platform"),
    "PROCESSOR": ("INSAR_PROCESSOR", "processing_software"),
    "relative_orbit": ("trackNumber", "track"),
    "first_frame": ("firstFrameNumber", "frame"),
    "last_frame": ("lastFrameNumber", "frame", "first_frame", "firstFrameNumber"),
    "REF_DATE": ("ref_date",),
    "REF_Y": ("ref_y",),
    "REF_X": ("ref_x",),
    "REF_LAT": ("ref_lat",),
    "REF_LON": ("ref_lon",),
    "START_DATE": ("first_date",),
    "END_DATE": ("last_date",),
}
#: Platform names (lower case, any of these prefixes) and the mission code that they mean.
_MISSIONS: tuple[tuple[str, str], ...] = (
    ("alos2", "ALOS2"),
    ("alos-2", "ALOS2"),
    ("alos", "ALOS"),
    ("s1", "S1"),
    ("sen", "S1"),
    ("csk", "CSK"),
    ("cosmo", "CSK"),
    ("env", "ENV"),
    ("ers", "ERS"),
    ("jers", "JERS"),
    ("rsat2", "RS2"),
    ("radarsat2", "RS2"),
    ("radarsat-2", "RS2"),
    ("rs2", "RS2"),
    ("rsat", "RS1"),
    ("radarsat", "RS1"),
    ("rs1", "RS1"),
    ("tsx", "TSX"),
    ("tdx", "TSX"),
    ("terra", "TSX"),
    ("tandem", "TSX"),
    ("saocom", "SAOCOM"),
    ("uav", "UAV"),
)
#: Processors whose products hold 0 outside the data, in every date.
_ZERO_IS_NODATA = {"hyp3", "aria", "nisar"}
#: Rounding guard of positions given as decimal strings, in pixels (as MintPy).
_GUARD = 0.01

_NAME = re.compile(
    r"(?P<mission>[A-Z0-9]+)_[A-Z]+\d*_(?P<orbit>\d{3})_(?P<first>\d{4})(?:_(?P<last>\d{4}))?"
    r"_\d{8}[_-](?:\d{8}|X{8})(?:_0000_00000)?(?P<rest>(?:_[^.]+)?)\.he5"
)
_BOX = re.compile(r"_[NS]\d{5}_[NS]\d{5}_[EW]\d{6}_[EW]\d{6}")


@dataclass(frozen=True)
class NameHints:
    """
    What a product file name says; every part may be missing.

    Parameters
    ----------
    mission : str or None
        Mission code, for example ``"S1"``.
    relative_orbit : int or None
        Relative orbit number.
    first_frame, last_frame : int or None
        Frame numbers.
    suffix : str
        Free text such as ``"filtDel4DS"``, or empty.
    """

    mission: str | None = None
    relative_orbit: int | None = None
    first_frame: int | None = None
    last_frame: int | None = None
    suffix: str = ""


def parse_name(name: str) -> NameHints:
    """
    Read the hints in the file name of an HDF-EOS5 product.

    Parameters
    ----------
    name : str
        File name or URL; only its last part counts.

    Returns
    -------
    NameHints
        Empty where the name does not follow the pattern.

    Examples
    --------
    >>> parse_name("S1_IW1_128_0596_0597_20160605_XXXXXXXX_S00860_S00810_W091190_W091130_Del4PS.he5").suffix
    'Del4PS'
    >>> parse_name("S1_IW123_064_0113_20191106_20210111.he5").first_frame
    113
    >>> parse_name("S1_mosaic.he5")
    NameHints(mission=None, relative_orbit=None, first_frame=None, last_frame=None, suffix='')
    """
    match = _NAME.fullmatch(name.replace("\\", "/").rpartition("/")[2])
    if match is None:
        return NameHints()
    first, last = match["first"], match["last"] or match["first"]
    suffix = re.sub(r"[^A-Za-z0-9-]+", "-", _BOX.sub("", match["rest"]).strip("_"))
    return NameHints(match["mission"], int(match["orbit"]), int(first), int(last), suffix)


def _require_crs(url: str, code: int) -> None:
    from pyproj import CRS
    from pyproj.exceptions import CRSError

    try:
        CRS.from_epsg(code)
    except CRSError as error:
        raise SourceFormatError(f"{url}: EPSG={code} is no coordinate reference system; correct it") from error


def decode_attributes(raw: Mapping[str, Any]) -> dict[str, Value]:
    """
    Turn HDF5 attributes into plain Python values that JSON can hold.

    Parameters
    ----------
    raw : mapping
        Attributes as h5py returns them: str, bytes, numpy scalars or arrays.

    Returns
    -------
    dict
        Text, integers and finite floats; anything else as text.

    Examples
    --------
    >>> decode_attributes({"WIDTH": b"8", "prf": np.float64("nan"), "relative_orbit": np.int64(64)})
    {'WIDTH': '8', 'prf': 'nan', 'relative_orbit': 64}
    """
    return {str(key): _decode_value(value) for key, value in raw.items()}


def _decode_value(value: Any) -> Value:
    if isinstance(value, np.ndarray):
        if value.size != 1:
            return ", ".join(str(_decode_value(item)) for item in value.ravel())
        value = value.ravel()[0]
    if isinstance(value, np.generic):
        value = value.item()
    if isinstance(value, bytes):
        return value.decode("utf-8", "replace").strip("\x00")
    if isinstance(value, bool):
        return int(value)
    if isinstance(value, float) and not math.isfinite(value):
        return str(value)
    return value if isinstance(value, str | int | float) else str(value)


def parse_dates(texts: Iterable[str | bytes], url: str) -> np.ndarray:
    """
    Parse acquisition dates, which must ascend without repetition.

    Parameters
    ----------
    texts : iterable of str or bytes
        ``YYYYMMDD``, ``YYYY-MM-DD`` or ``YYYYMMDDTHHMM``.
    url : str
        Name of the source in the message.

    Returns
    -------
    np.ndarray
        Shape ``(time,)``, datetime64[ns].

    Raises
    ------
    SourceFormatError
        If there is none, one is malformed, or they do not ascend.
    """
    names = [text.decode("ascii", "replace") if isinstance(text, bytes) else str(text) for text in texts]
    dates = np.array([_parse_date(name, url) for name in names], "datetime64[ns]")
    if dates.size == 0:
        raise SourceFormatError(f"{url} has no dates; expected at least one YYYYMMDD; write the file again")
    for before, after, name in zip(dates, dates[1:], names[1:], strict=False):
        if after == before:
            raise SourceFormatError(f"{url}: date {name} occurs twice; dates must be unique; write the file again")
        if after < before:
            raise SourceFormatError(f"{url}: date {name} comes after a later one; dates must ascend; sort the stack")
    return dates


def _parse_date(text: str, url: str) -> datetime:
    clean = text.strip().strip("\x00").replace("-", "")
    for form in ("%Y%m%d", "%Y%m%dT%H%M"):
        try:
            return datetime.strptime(clean, form)
        except ValueError:
            continue
    raise SourceFormatError(f"{url}: expected a date YYYYMMDD, got {text!r}; the date list is damaged")


@dataclass(frozen=True)
class Metadata:
    """
    Attributes of one source file, with aliases, types and absent values resolved.

    Parameters
    ----------
    values : dict
        As `decode_attributes` returns them.
    url : str
        Where they come from; its last part is the hint, and messages name it.

    Examples
    --------
    >>> meta = Metadata({"FILE_LENGTH": "6", "WIDTH": "8", "X_FIRST": "100", "Y_FIRST": "40",
    ...                  "X_STEP": "0.01", "Y_STEP": "-0.01", "X_UNIT": "degrees"}, "a.he5")
    >>> meta.shape, meta.grid.crs
    ((6, 8), 'EPSG:4326')
    """

    values: dict[str, Value]
    url: str

    def text(self, key: str) -> str | None:
        """
        Look up a text.

        Parameters
        ----------
        key : str
            Canonical key; aliases and prefixed copies count too.

        Returns
        -------
        str or None
            None where it is absent ("None", "nan", "auto" and the like are absent).
        """
        for name in (key, *_ALIASES.get(key, ())):
            for candidate in self._spellings(name):
                value = str(self.values[candidate]).strip()
                if value.lower() not in _ABSENT:
                    return value
        return None

    def _spellings(self, name: str) -> list[str]:
        if name in self.values:
            return [name]
        return [key for key in self.values if key.lower() in {prefix + name.lower() for prefix in _PREFIXES}]

    def number(self, key: str) -> float | None:
        """
        Look up a finite number.

        Parameters
        ----------
        key : str
            Canonical key; aliases and prefixed copies count too.

        Returns
        -------
        float or None
            None where it is absent ("None", "nan", "auto" and the like are absent).

        Raises
        ------
        SourceFormatError
            If it is no number.
        """
        text = self.text(key)
        if text is None:
            return None
        try:
            value = float(text)
        except ValueError:
            raise SourceFormatError(f"{self.url}: expected a number for attribute {key}, got {text!r}") from None
        return value if math.isfinite(value) else None

    def integer(self, key: str) -> int | None:
        """
        Look up a number and round it.

        Parameters
        ----------
        key : str
            Canonical key; aliases and prefixed copies count too.

        Returns
        -------
        int or None
            None where it is absent ("None", "nan", "auto" and the like are absent).

        Raises
        ------
        SourceFormatError
            If it is no number.
        """
        value = self.number(key)
        return None if value is None else round(value)

    def date(self, key: str) -> str | None:
        """
        Look up a date as ``YYYY-MM-DD``.

        Parameters
        ----------
        key : str
            Canonical key; aliases and prefixed copies count too.

        Returns
        -------
        str or None
            None where it is absent ("None", "nan", "auto" and the like are absent).

        Raises
        ------
        SourceFormatError
            If it is no date.
        """
        text = self.text(key)
        return None if text is None else _parse_date(text, self.url).strftime("%Y-%m-%d")

    @property
    def hints(self) -> NameHints:
        """What the file name says."""
        return parse_name(self.url)

    @property
    def shape(self) -> tuple[int, int]:
        """Size in rows and columns; `SourceFormatError` if either is missing."""
        length, width = self.integer("LENGTH"), self.integer("WIDTH")
        if length is None or width is None or length < 1 or width < 1:
            raise SourceFormatError(
                f"{self.url}: attributes LENGTH and WIDTH must give the size, got {length} and {width};"
                " the file is truncated or no MintPy product"
            )
        return length, width

    @property
    def is_radar(self) -> bool:
        """Whether the file is in radar coordinates (it has no upper-left corner)."""
        return self.number("X_FIRST") is None or self.number("Y_FIRST") is None

    @property
    def crs(self) -> str:
        """Coordinate reference system of a gridded file, for example ``"EPSG:32611"``."""
        code, zone = self.integer("EPSG"), self.text("UTM_ZONE")
        if code is not None:
            _require_crs(self.url, code)
            return f"EPSG:{code}"
        match = re.fullmatch(r"(\d{1,2})([NS]?)", (zone or "").upper())
        if match:
            return f"EPSG:{(32700 if match[2] == 'S' else 32600) + int(match[1])}"
        unit = self.text("X_UNIT") or self.text("Y_UNIT") or "degrees"
        if unit.lower().startswith("deg"):
            return "EPSG:4326"
        raise SourceFormatError(
            f"{self.url}: coordinates are in {unit!r}, but neither EPSG nor UTM_ZONE says of which projection;"
            " add the attribute EPSG"
        )

    @property
    def grid(self) -> Grid | None:
        """Grid of the file, longitudes from -180; None in radar coordinates."""
        if self.is_radar:
            return None
        (ny, nx), crs = self.shape, self.crs
        west, north, dx, dy = (self.number(key) or 0.0 for key in ("X_FIRST", "Y_FIRST", "X_STEP", "Y_STEP"))
        if not (dx > 0 > dy):
            raise SourceFormatError(
                f"{self.url}: expected X_STEP > 0 > Y_STEP (north up), got X_STEP={dx}, Y_STEP={dy}; geocode it again"
            )
        if crs == "EPSG:4326":
            west -= 360 * math.floor((west + 180) / 360)
            south = north + ny * dy
            if not (-90 + dy / 2 <= south and north <= 90 - dy / 2):
                raise SourceFormatError(
                    f"{self.url}: latitudes go from {south:g} to {north:g}, beyond a pole; check Y_FIRST and Y_STEP"
                )
        return Grid(west, north, dx, -dy, nx, ny, crs)

    @property
    def orbit_direction(self) -> str | None:
        """``"ascending"`` or ``"descending"``, from the attribute or from the heading."""
        letter = (self.text("ORBIT_DIRECTION") or "")[:1].upper()
        heading = self.heading
        if letter not in ("A", "D") and heading is not None:
            letter = "A" if abs(heading) < 90 else "D"
        return {"A": "ascending", "D": "descending"}.get(letter)

    @property
    def heading(self) -> float | None:
        """Flight direction, degrees clockwise from north, in (-180, 180]."""
        value = self.number("HEADING")
        if value is None or -180 < value <= 180:
            return value
        return 180 - (180 - value) % 360

    @property
    def look_side(self) -> str:
        """``"right"`` (also where nothing says it) or ``"left"``."""
        side = self.text("ANTENNA_SIDE") or "R"
        return "left" if side[:1].upper() in ("1", "+", "L") else "right"

    @property
    def zero_is_nodata(self) -> bool:
        """Whether 0 in every date means no data (HyP3, ARIA and NISAR products)."""
        processors = (self.text("PROCESSOR"), self.text("mintpy.load.processor"))
        return any(name is not None and name.lower() in _ZERO_IS_NODATA for name in processors)

    @property
    def reference_pixel(self) -> tuple[int, int] | None:
        """
        Row and column of the reference pixel, None if unknown or outside.

        REF_LAT and REF_LON decide (floor, as MintPy reads them): REF_Y and REF_X may be one off
        after geocoding.
        """
        shape, grid = self.shape, self.grid
        north, east = self.number("REF_LAT"), self.number("REF_LON")
        row, col = self.integer("REF_Y"), self.integer("REF_X")
        if grid is not None and north is not None and east is not None:
            east = _near(east, grid) if grid.crs == "EPSG:4326" else east
            row = math.floor((grid.north - north) / grid.dy + _GUARD)
            col = math.floor((east - grid.west) / grid.dx + _GUARD)
        if row is None or col is None or not (0 <= row < shape[0] and 0 <= col < shape[1]):
            return None
        return row, col

    @property
    def reference_point(self) -> list[float] | None:
        """Longitude and latitude of the reference point in degrees, None if unknown."""
        grid = self.grid
        north, east = self.number("REF_LAT"), self.number("REF_LON")
        if north is None or east is None:
            pixel = None if grid is None else self.reference_pixel
            if grid is None or pixel is None:
                return None
            north, east = float(grid.y[pixel[0]]), float(grid.x[pixel[1]])
        if grid is None:
            return [east - 360 * math.floor((east + 180) / 360), north]
        if grid.crs == "EPSG:4326":
            return [_near(east, grid), north]
        from pyproj import Transformer

        lon, lat = Transformer.from_crs(grid.crs, "EPSG:4326", always_xy=True).transform(east, north)
        return [float(lon), float(lat)]

    @property
    def track(self) -> str | None:
        """Pass letter and relative orbit, for example ``"A064"``; None if unknown."""
        orbit = self.integer("relative_orbit") or self.hints.relative_orbit
        direction = self.orbit_direction
        return track_name(direction, orbit) if orbit and direction and orbit < 1000 else None

    @property
    def product(self) -> str:
        """First and last frame, then the suffix of the file name, for example ``"0113_0116_filtDel4DS"``."""
        hints = self.hints
        first, last = self.integer("first_frame"), self.integer("last_frame")
        first = (hints.first_frame or 0) if first is None else first
        last = (hints.last_frame or first) if last is None else last
        return "_".join([f"{first:04d}", f"{last:04d}", *([hints.suffix] if hints.suffix else [])])

    @property
    def sensor(self) -> str | None:
        """First path element of the stores, for example ``"Sentinel"``; None if unknown."""
        for name in (self.text("mission"), self.text("PLATFORM"), self.hints.mission):
            if name is not None:
                code = next((code for prefix, code in _MISSIONS if name.lower().startswith(prefix)), None)
                return SENSORS[code] if code else re.sub(r"[^A-Za-z0-9]+", "", name).capitalize()
        return None

    def span(self) -> tuple[str, str] | None:
        """First and last date of a 2-D product as ``YYYY-MM-DD``, None if unknown."""
        start, end = self.date("START_DATE"), self.date("END_DATE")
        match = re.fullmatch(r"(\d{8})[_-](\d{8})", self.text("DATE12") or "")
        if match and (start is None or end is None):
            start, end = (_parse_date(text, self.url).strftime("%Y-%m-%d") for text in match.groups())
        return None if start is None or end is None else (start, end)

    def canonical(self) -> dict[str, Any]:
        """
        Collect the attributes of the canonical dataset, without those that the source does not tell.

        Returns
        -------
        dict
            JSON-able; the source's own attributes are under ``mintpy``.
        """
        attrs = {
            "sensor": self.sensor,
            "track": self.track,
            "product": self.product,
            "project": self.text("PROJECT_NAME"),
            "orbit_direction": self.orbit_direction,
            "look_side": self.look_side,
            "heading": self.heading,
            "wavelength": self.number("WAVELENGTH"),
            "reference_point": self.reference_point,
            "reference_date": self.date("REF_DATE"),
            "mintpy": dict(self.values),
        }
        return {key: value for key, value in attrs.items() if value is not None}


def _near(lon: float, grid: Grid) -> float:
    """Longitude plus the multiple of 360 that brings it nearest to the middle of a grid."""
    return lon - 360 * round((lon - (grid.west + grid.nx * grid.dx / 2)) / 360)
