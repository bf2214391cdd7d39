"""The schema of a template, as data: every key, what it accepts, and which field of which step it sets."""

import math
import os
import re
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any

from mimtpy_cloud.cli.steps import Bounds, Concatenate, Extract, Geodmod, Layer, Plot, concatenations, decomposition

__all__ = ["DEFAULTS", "KEYS", "PREFIX", "STEPS", "Key", "Kind", "Raw", "has_wildcard", "plain_value", "squeeze"]

#: What a key may hold before it is typed: one text, or a YAML list of texts.
Raw = str | list[str]

PREFIX = "mimtpy."
#: Words that mean the default, beside an empty value.
DEFAULTS = frozenset({"", "none", "auto", "null", "~"})
_YES, _NO = frozenset({"yes", "y", "true", "on", "1"}), frozenset({"no", "n", "false", "off", "0"})
_COLOURS = {"b": "black", "r": "red", "y": "yellow", "o": "orange", "m": "magenta"}
_STYLES = {"s": "solid", "d": "dashed", "-": "solid", "--": "dashed", ":": "dotted"}


def squeeze(name: str) -> str:
    """
    Reduce a name to what must match: lower case, no underscores or hyphens.

    Parameters
    ----------
    name : str
        As written.

    Returns
    -------
    str
    """
    return name.lower().replace("_", "").replace("-", "")


def has_wildcard(name: str) -> bool:
    """
    Tell whether letters of a dataset name stand for others.

    Parameters
    ----------
    name : str
        As written.

    Returns
    -------
    bool
    """
    return any(letter in name for letter in "*?[")


def _text(raw: Raw) -> str:
    return raw if isinstance(raw, str) else ",".join(raw)


def _without_brackets(text: str) -> str:
    """The inside of one bracketed list; brackets of a wildcard stay."""
    is_list = text[:1] in ("[", "(") and min(text.find(end) % (len(text) + 1) for end in "])") == len(text) - 1
    return text[1:-1] if is_list else text


def _parts(raw: Raw, separators: str = ",") -> tuple[str, ...]:
    """Split at separators, without brackets, quotes or empty parts."""
    texts = raw if isinstance(raw, list) else re.split(f"[{separators}]", _without_brackets(raw.strip()))
    return tuple(part for text in texts if (part := text.strip().strip("'\"")))


def _switch(raw: Raw) -> bool:
    word = _text(raw).lower()
    if word not in _YES | _NO:
        raise ValueError
    return word in _YES


def _name(raw: Raw) -> str:
    (name,) = _parts(_text(raw))
    return name.removesuffix(".h5").removesuffix(".zarr")


def _names(raw: Raw) -> tuple[str, ...]:
    names = _parts(raw)
    return tuple(name.removesuffix(".h5").removesuffix(".zarr").rstrip("/") for name in names)


def _groups(raw: Raw) -> tuple[tuple[str, ...], ...]:
    groups = [raw] if isinstance(raw, list) else raw.split(";")
    return tuple(names for group in groups if (names := _names(group)))


def _choices(*allowed: str) -> Callable[[Raw], tuple[str, ...]]:
    by_word = {squeeze(word): word for word in allowed}

    def read(raw: Raw) -> tuple[str, ...]:
        return tuple(dict.fromkeys(by_word[squeeze(part)] for part in _parts(raw)))

    return read


def _coherence(raw: Raw) -> str:
    return {"avgspatialcoherence": "avg_spatial_coherence", "temporalcoherence": "temporal_coherence"}[
        squeeze(_text(raw))
    ]


def _azimuth(raw: Raw) -> float:
    degrees = float(_text(raw))
    if not -360 <= degrees <= 360:
        raise ValueError
    return degrees


def _north(raw: Raw) -> float | str:
    """A number, or the name of a product or of a table."""
    try:
        number = float(_text(raw))
    except ValueError:
        return _path(raw)
    if not math.isfinite(number):
        raise ValueError
    return number


def _spread(raw: Raw) -> float:
    number = float(_text(raw))
    if not 0 <= number < math.inf:
        raise ValueError
    return number


def _bbox(raw: Raw) -> Bounds:
    south, north, west, east = map(float, _parts(raw, r",:\s"))
    if not (-90 <= south < north <= 90 and -360 <= west < east <= 360):
        raise ValueError
    return west, south, east, north


def _lat_lon(raw: Raw) -> tuple[float, float]:
    lat, lon = map(float, _parts(raw, r",\s"))
    if not (-90 <= lat <= 90 and -180 <= lon <= 360):
        raise ValueError
    return lon, lat


def _date(raw: Raw) -> str:
    from mimtpy_cloud.plan.dates import parse_date

    return str(parse_date(_text(raw)))


def _dates(raw: Raw) -> tuple[str, ...]:
    parts = _parts(raw, r",\s")
    if len(parts) == 1 and not re.fullmatch(r"[\d-]+", parts[0]):
        return (os.path.expanduser(_text(parts[0])),)  # noqa: PTH111 - may be a URL
    return tuple(_date(part) for part in parts)


def _path(raw: Raw) -> str:
    return os.path.expanduser(_text(raw))  # noqa: PTH111 - may be a URL


def _path_or_no(raw: Raw) -> str | None:
    return None if _text(raw).lower() in _NO else _path(raw)


def _paths(raw: Raw) -> tuple[str, ...]:
    return () if _text(raw).lower() in _NO else tuple(_path(part) for part in _parts(raw))


def _limits(raw: Raw) -> tuple[float, float]:
    low, high = map(float, _parts(raw, r",\s"))
    if not low < high:
        raise ValueError
    return low, high


def plain_value(raw: Raw) -> Any:
    """
    Type a value by its looks: nothing, a number, a list, or text.

    Parameters
    ----------
    raw : str or list of str
        The text after ``=``.

    Returns
    -------
    None, int, float, str or list

    Examples
    --------
    >>> plain_value("1,2 , 3"), plain_value("auto"), plain_value("0.5"), plain_value("a=b")
    ([1, 2, 3], None, 0.5, 'a=b')
    """
    if isinstance(raw, list) or "," in raw:
        return [plain_value(part) for part in _parts(raw)]
    if raw.strip().lower() in DEFAULTS:
        return None
    for kind in (int, float):
        try:
            return kind(raw)
        except ValueError:
            continue
    return raw


@dataclass(frozen=True)
class Kind:
    """What a key accepts: the words for it, and the function that reads it (ValueError or KeyError if it cannot)."""

    expects: str
    read: Callable[[Raw], Any]


SWITCH = Kind("yes or no", _switch)
NAME = Kind("one name", _name)
NAMES = Kind("names separated by commas", _names)
GROUPS = Kind("names separated by commas; a semicolon starts another mosaic", _groups)
TYPES = Kind("velocity, displacement, or both separated by a comma", _choices("velocity", "displacement"))
COHERENCE = Kind("avgSpatialCoherence or temporalCoherence", _coherence)
SNWE = Kind("south,north,west,east in degrees with south < north and west < east", _bbox)
DATE = Kind("a date YYYYMMDD", _date)
DATES = Kind("dates YYYYMMDD separated by commas, or a file that lists them", _dates)
LAT_LON = Kind("latitude,longitude in degrees", _lat_lon)
DEGREES = Kind("a number of degrees from -360 to 360", _azimuth)
PATH = Kind("a folder or URL", _path)
PATH_OR_NO = Kind("a path or URL, or no", _path_or_no)
PATHS = Kind("vector files separated by commas", _paths)
COLOURS = Kind(
    "colours separated by commas (b, r, y, o, m, or matplotlib names)",
    lambda raw: tuple(_COLOURS.get(part, part) for part in _parts(raw)),
)
STYLES = Kind(
    "s (solid) or d (dashed) for each fault, separated by commas",
    lambda raw: tuple(_STYLES[part] if part in _STYLES else _choices("solid", "dashed", "dotted")(part)[0]
                      for part in _parts(raw)),
)  # fmt: skip
LIMITS = Kind("minimum,maximum with minimum < maximum", _limits)
ORDER = Kind("0, 1 or 2", lambda raw: int(_choices("0", "1", "2")(raw)[0]))
BLEND = Kind("mean, weighted, feather or anchor", lambda raw: _choices("mean", "weighted", "feather", "anchor")(raw)[0])
UNITS = Kind("mm/yr, cm/yr or m/yr", lambda raw: _choices("mm/yr", "cm/yr", "m/yr")(raw)[0])
COMPONENTS = Kind("eu, enu or hu", lambda raw: _choices("eu", "enu", "hu")(raw)[0])
NORTH = Kind("a number in m/yr (m), a product (.zarr, .tif) with north, or a table of GNSS stations", _north)
SPREAD = Kind("a number of at least 0, in m/yr (m)", _spread)
LOOK = Kind("vertical", lambda raw: _choices("vertical")(raw)[0])
BACKEND = Kind("matplotlib or pygmt", lambda raw: _choices("matplotlib", "pygmt")(raw)[0])
ANY = Kind("any value", plain_value)


# --- the schema ---------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Key:
    """
    One key of the template.

    Parameters
    ----------
    step : str
        Name after ``mimtpy.``.
    name : str
        Name after the step; empty for the switch of the step.
    kind : Kind
        What it accepts.
    field : str
        Field of the typed step that gets the value; empty if nothing uses it.
    help : str
        One line for the documentation.
    """

    step: str
    name: str
    kind: Kind
    field: str
    help: str

    @property
    def full(self) -> str:
        """Name as written in a template."""
        return PREFIX + (f"{self.step}.{self.name}" if self.name else self.step)


def _keys(step: str, help_: str, *rows: tuple[str, Kind, str, str]) -> tuple[Key, ...]:
    return (Key(step, "", SWITCH, "", help_), *(Key(step, *row) for row in rows))


_NORTH_KEYS = (
    ("north", NORTH, "north", "north motion that is known, for eu and enu; default 0 for eu, none for enu"),
    ("northstd", SPREAD, "north_std", "its standard deviation, which goes into those of the components; default exact"),
    ("units", UNITS, "units", "unit of a table of stations, if it does not say"),
)

#: Every key that a template may hold, in the order of the documentation.
KEYS: tuple[Key, ...] = (
    *_keys(
        "velocity_displacement",
        "extract velocity or displacement of each dataset (older name: velcumu)",
        ("dataset", NAMES, "datasets", "tracks (Sentinel/A124, A124) or project names; * stands for any letters"),
        ("type", TYPES, "types", "product; default velocity"),
        ("SNWE", SNWE, "bbox", "crop to pixels with centres in the box; default the whole track"),
        (
            "startDate",
            DATE,
            "start",
            "first day of a velocity; of a displacement, the nearest acquisition; default the first",
        ),
        (
            "endDate",
            DATE,
            "end",
            "last day of a velocity (included); of a displacement, as startDate; default the last",
        ),
        ("mask", SWITCH, "mask", "unusable pixels become NaN; default yes"),
        ("exclude", DATES, "exclude", "dates left out of the velocity"),
        ("resolution", NAME, "resolution", "name of the resolution; default the only one, or standard"),
    ),
    *_keys(
        "mask",
        "extract the mask of each dataset",
        ("dataset", NAMES, "datasets", "tracks or project names; default those of velocity_displacement"),
    ),
    *_keys(
        "coherence",
        "extract a coherence of each dataset",
        ("dataset", NAMES, "datasets", "tracks or project names; default those of velocity_displacement"),
        ("type", COHERENCE, "variable", "which coherence; default temporalCoherence"),
        ("mask", SWITCH, "mask", "unusable pixels become NaN; default no"),
    ),
    *_keys(
        "chunk",
        "join the pieces of one track, such as those of latitude ranges, into one dataset for the steps below",
        (
            "dataset",
            NAMES,
            "datasets",
            "the pieces: project names or track/product; default those of velocity_displacement (older name: chunks)",
        ),
        ("project", NAME, "outname", "name of the joined dataset; default the track"),
        ("identifiers", ANY, "", "unused key of MimtPy's later template"),
    ),
    *_keys(
        "concatenation",
        "mosaic two or more datasets, with an offset each",
        ("dataset", GROUPS, "datasets", "the first keeps its datum; default those of velocity_displacement"),
        ("dataname", GROUPS, "names", "base name of the product of each dataset, such as velocity_20150205_20200714"),
        ("rewrite", SWITCH, "rewrite", "also write the shifted datasets; default no"),
        (
            "plotpair",
            SWITCH,
            "plotpair",
            "also compare each overlapping pair: figure with profiles, and a report of all seams; default no",
        ),
        (
            "azimuth",
            DEGREES,
            "azimuth",
            "direction of the profiles of plotpair, clockwise from north; default the heading of the tracks",
        ),
        ("order", ORDER, "order", "0: an offset of each dataset; 1: a linear, 2: a quadratic ramp as well; default 0"),
        ("blend", BLEND, "blend", "how overlapping pixels become one; default mean"),
        ("stations", PATH_OR_NO, "stations", "table of GNSS velocities that fix the datum; default the first dataset"),
        ("units", UNITS, "units", "unit of that table, if it does not say"),
        ("look", LOOK, "look", "vertical compares overlaps as if all motion were vertical; default as they are seen"),
        ("outname", GROUPS, "outname", "base name of each mosaic; default <first dataname>_mosaic"),
        ("outdir", PATH, "outdir", "folder, relative to --out; the product goes to <outdir>/<type>/"),
        ("mosaic", ANY, "", "unused key of MimtPy's later template"),
    ),
    *_keys(
        "horzvert",
        "horizontal and vertical motion from two or more datasets or mosaics",
        ("dataset", NAMES, "datasets", "tracks, project names, or the outname of the concatenation"),
        ("dataname", NAMES, "names", "base name of the product of each dataset"),
        ("SNWE", SNWE, "bbox", "crop; default the pixels that two datasets share"),
        ("referencepoint", LAT_LON, "reference_point", "latitude,longitude that becomes zero in every dataset"),
        ("samedatum", SWITCH, "same_datum", "the datasets share a datum though they name different ones; default no"),
        ("azimuth", DEGREES, "azimuth", "horizontal direction, degrees clockwise from north; default 90, east"),
        (
            "components",
            COMPONENTS,
            "components",
            "eu: east and up (default); enu: north too; hu: up and along the look of tracks of one direction",
        ),
        *_NORTH_KEYS,
        ("outname", NAMES, "outnames", "names of the products; default horz,vert, of enu east,north,up"),
        ("outdir", PATH, "outdir", "folder, relative to --out; the product goes to <outdir>/<type>/"),
    ),
    *_keys(
        "overlap",
        "horizontal and vertical motion where tracks of the same direction overlap",
        ("dataset", NAMES, "datasets", "two or more tracks or project names of the same orbit direction"),
        ("dataname", NAMES, "names", "base name of the product of each dataset"),
        ("SNWE", SNWE, "bbox", "crop; default the overlap"),
        ("referencepoint", LAT_LON, "reference_point", "latitude,longitude that becomes zero in every dataset"),
        ("samedatum", SWITCH, "same_datum", "the datasets share a datum though they name different ones; default no"),
        ("azimuth", DEGREES, "azimuth", "horizontal direction; default along the look, positive on the side of east"),
        ("components", COMPONENTS, "components", "as for horzvert; default hu, along the look"),
        *_NORTH_KEYS,
        ("outname", NAMES, "outnames", "names of the products; default as for horzvert, after overlap_"),
        ("outdir", PATH, "outdir", "folder, relative to --out"),
    ),
    *_keys(
        "plot",
        "a figure of each product; default yes",
        ("type", TYPES, "types", "only products of this type; default all"),
        ("shpdir", PATH_OR_NO, "folder", "folder of the fault files (older name: shmdir)"),
        ("fault", PATHS, "faults", "shapefiles, GeoJSON, GeoPackage or GMT text, separated by commas"),
        ("fcolor", COLOURS, "colours", "colour of each fault"),
        ("fstyle", STYLES, "styles", "line style of each fault"),
        ("refpoi", PATH_OR_NO, "reference", "vector file with the reference point; default from the data"),
        ("vlim", LIMITS, "limits", "smallest and largest value of the colours, m or m/yr"),
        ("coastline", PATH_OR_NO, "coastline", "vector file with the coast"),
        ("stations", PATH_OR_NO, "stations", "table of GNSS velocities: arrows, and circles in the colours of the map"),
        ("units", UNITS, "units", "unit of that table, if it does not say"),
        ("names", SWITCH, "names", "write the names of the stations; default no"),
        ("relief", PATH_OR_NO, "relief", "height (of the product) or a GeoTIFF with a DEM: shaded relief below"),
        ("backend", BACKEND, "backend", "matplotlib or pygmt (extra pygmt, and GMT); default matplotlib"),
    ),
    *_keys(
        "geodmod",
        "input of Geodmod from each dataset: phase, coherence, heights, relief",
        ("dataset", NAMES, "datasets", "tracks or project names; default those of velocity_displacement"),
        ("SNWE", SNWE, "bbox", "crop; default the whole track"),
        ("startDate", DATE, "start", "first date, nearest acquisition; default the first"),
        ("endDate", DATE, "end", "last date, nearest acquisition; default the last"),
    ),
)

#: Step of the template -> field of `Template`, and the value that its keys change.
STEPS: dict[str, tuple[str, Any]] = {
    "velocity_displacement": ("extract", Extract),
    "mask": ("mask", Layer),
    "coherence": ("coherence", lambda **values: Layer(**{"variable": "temporal_coherence"} | values)),
    "chunk": ("chunk", Concatenate),
    "concatenation": ("concatenate", concatenations),
    "horzvert": ("horzvert", decomposition),
    "overlap": ("overlap", partial(decomposition, "overlap_")),
    "geodmod": ("geodmod", Geodmod),
    "plot": ("plot", Plot),
}
