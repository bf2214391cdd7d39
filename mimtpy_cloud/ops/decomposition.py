"""What decompositions share: direction, datum, overlap, and what is known of the motion that is not asked for."""

import logging
import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import xarray as xr

from mimtpy_cloud.errors import GridMismatchError, SchemaError
from mimtpy_cloud.kernels.look import mean_azimuth
from mimtpy_cloud.ops.combination import (
    Track,
    lattice_tracks,
    near,
    on_window,
    require_one_motion,
    require_one_period,
)
from mimtpy_cloud.ops.north import interpolate_stations
from mimtpy_cloud.ops.overlay import Patch, Sheet
from mimtpy_cloud.ops.plate import stations_less_plate
from mimtpy_cloud.plan.frames import is_plate_frame
from mimtpy_cloud.plan.graph import overlapping_pairs
from mimtpy_cloud.plan.grid import Window, union
from mimtpy_cloud.schema import LOS, require_variables

__all__ = [
    "ASKED_GAIN",
    "Across",
    "at_block",
    "given_sigma",
    "horizontal_azimuth",
    "known_across",
    "known_north",
    "look_azimuth",
    "look_sheet",
    "look_toward",
    "overlap_window",
    "require_comparable",
    "require_one_datum",
    "require_weights",
]

_log = logging.getLogger(__name__)

Shape = tuple[int, int]

#: Largest noise gain where a horizontal direction is asked for: two looks of one orbit, some 2 degrees apart.
ASKED_GAIN = 30.0
#: Faster north motion, in m/yr, is one in another unit.
_FASTEST = 0.5
#: Reference points that are further apart are two, in pixels.
_SAME_POINT = 1.5


def horizontal_azimuth(components: str | float, placed: Sequence[Track]) -> float:
    """
    Give the direction of the horizontal component.

    Parameters
    ----------
    components : str or float
        As for `mimtpy_cloud.ops.enu.invert_enu`.
    placed : sequence of Track
        All tracks.

    Returns
    -------
    float
        Degrees clockwise from north.

    Raises
    ------
    SchemaError
        If the components are unknown, or the orbit directions do not suit.
    """
    if isinstance(components, str) and components in ("eu", "enu"):
        return 90.0
    if isinstance(components, str) and components == "hu":
        toward = look_azimuth([t.ds for t in placed])
        return toward if toward <= 180.0 else toward - 180.0
    is_number = isinstance(components, float | int | np.floating | np.integer)
    if is_number and not isinstance(components, bool | str) and math.isfinite(components):
        return float(components)
    raise SchemaError(
        f"components must be 'eu', 'enu', 'hu' or an azimuth in degrees clockwise from north, got {components!r}"
    )


def look_azimuth(tracks: Sequence[xr.Dataset]) -> float:
    """
    Average the azimuth from ground to satellite of tracks of one orbit direction.

    Parameters
    ----------
    tracks : sequence of xr.Dataset
        With attributes ``heading`` (degrees clockwise from north), ``look_side`` and ``orbit_direction``.

    Returns
    -------
    float
        Degrees clockwise from north, 0 to 360.

    Raises
    ------
    SchemaError
        If the orbit directions differ, or a heading is missing.

    Examples
    --------
    >>> track = xr.Dataset(attrs={"heading": -12.0, "look_side": "right", "orbit_direction": "ascending"})
    >>> round(look_azimuth([track, track]), 6)
    258.0
    """
    directions = sorted({str(track.attrs.get("orbit_direction")) for track in tracks})
    if len(directions) > 1:
        raise SchemaError(
            f"a horizontal component along the look needs tracks of one orbit direction, got {', '.join(directions)}; "
            "solve east and up (horzvert)"
        )
    found = [look_toward(track) for track in tracks]
    lacking = [str(track.attrs.get("track")) for track, toward in zip(tracks, found, strict=True) if toward is None]
    if lacking:
        raise SchemaError(f"{', '.join(lacking)} lacks the attribute heading; give the azimuth of the component")
    return mean_azimuth(np.array(found, float)) % 360.0


def look_toward(track: xr.Dataset) -> float | None:
    """
    Give the azimuth from ground to satellite.

    Parameters
    ----------
    track : xr.Dataset
        With attributes ``heading`` and ``look_side``.

    Returns
    -------
    float or None
        Degrees clockwise from north; None if the heading is not known.
    """
    heading = track.attrs.get("heading")
    if not isinstance(heading, int | float | np.number):
        return None
    return float(heading) + (90.0 if track.attrs.get("look_side") == "left" else -90.0)


def require_comparable(placed: Sequence[Track], variable: str, max_gap_days: float) -> None:
    """
    Check that maps of tracks can be decomposed together.

    Parameters
    ----------
    placed : sequence of Track
        All tracks.
    variable : str
        What they hold.
    max_gap_days : float
        As for `mimtpy_cloud.ops.combination.require_one_period`.

    Raises
    ------
    SchemaError
        If their periods or removed plates differ, or one lacks its look vectors.
    """
    require_one_period(placed, variable, max_gap_days)
    require_one_motion(placed)
    for track in placed:
        require_variables(f"track {track.label}", track.ds, *LOS)


def look_sheet(track: Track, variable: str, spread: str | None) -> Sheet:
    """
    Take what a decomposition needs of a track.

    Parameters
    ----------
    track : Track
        With look vectors.
    variable : str
        What it holds.
    spread : str, optional
        Name of its standard deviation.

    Returns
    -------
    Sheet
        Values, look vector, and where there are any the standard deviation and `valid`.
    """
    return track.sheet(variable, *LOS, *([spread] if spread else []), *(["valid"] if "valid" in track.ds else []))


def require_weights(across: "Across", *, with_std: bool) -> None:
    """
    Check that the data can be weighed against what is known of north.

    Parameters
    ----------
    across : Across
        What is known.
    with_std : bool
        Whether the data have standard deviations.

    Raises
    ------
    SchemaError
        If they have none, and it has one.
    """
    if across.solved and not math.isinf(across.std) and not with_std:
        raise SchemaError(
            "the standard deviation of north weighs against those of the data, which have none: give sigma, or "
            "north_std=0 (--north-std 0) to take north as exact"
        )


def require_one_datum(placed: Sequence[Track]) -> None:
    """
    Check that tracks do not refer to different places or frames; those that do not say may be right, and are told.

    Parameters
    ----------
    placed : sequence of Track
        All tracks.

    Raises
    ------
    SchemaError
        If two name different ones.
    """
    datums = {t.label: _datum(t.ds.attrs) for t in placed}
    known = [datum for datum in datums.values() if datum is not None]
    far = _SAME_POINT / placed[0].window.n
    if any(not _same(datum, known[0], far) for datum in known):
        shown = ", ".join(f"{label}: {_named(datum)}" for label, datum in datums.items())
        raise SchemaError(
            f"the tracks have different datums ({shown}), whose difference would stay in the result; give all "
            "one point by set_reference (--reference LON LAT; in a template: referencepoint), those of one direction "
            "after estimate_adjustment (mimtpy mosaic); or same_datum=True (--same-datum; samedatum) if they share one"
        )
    silent = [label for label, datum in datums.items() if datum is None]
    if silent:
        _log.warning(
            "%s: not known to what it refers; tracks of different datums leave an offset in the result: give all one "
            "point by set_reference (--reference LON LAT)",
            ", ".join(silent),
        )


def _datum(attrs: dict[str, Any]) -> tuple[str, Any] | None:
    """Kind and value of what a track refers to."""
    for kind in ("reference_frame", "reference_polygon", "reference_point"):
        value = attrs.get(kind)
        if value is not None and len(value):
            return kind, value if isinstance(value, str) else np.asarray(value, float).tolist()
    return None


def _same(one: tuple[str, Any], other: tuple[str, Any], far: float) -> bool:
    if one[0] != other[0] or one[0] != "reference_point":
        return one == other
    (lon, lat), (lon2, lat2) = one[1], other[1]
    return bool(abs((lon - lon2 + 180) % 360 - 180) <= far and abs(lat - lat2) <= far)


def _named(datum: tuple[str, Any] | None) -> str:
    if datum is None:
        return "unknown"
    kind, value = datum
    if kind == "reference_point":
        return f"{value[0]:.5g} {value[1]:.5g}"
    return str(value) if kind == "reference_frame" else "a polygon"


@dataclass(frozen=True)
class Across:
    """
    What is known of the motion across the horizontal component.

    Parameters
    ----------
    value, std : float
        Where there is no field, and none with standard deviations.
    field : Sheet, optional
        Known motion, and its standard deviation if `with_std`.
    with_std : bool
        Whether the field has one.
    """

    value: float
    std: float
    field: Sheet | None = None
    with_std: bool = False

    @property
    def solved(self) -> bool:
        """Whether it is an unknown."""
        return self.std > 0 or self.with_std

    @property
    def plan(self) -> tuple[float, float, bool, bool]:
        """The same without arrays."""
        return self.value, self.std, self.field is not None, self.with_std


def known_north(
    north: float | xr.DataArray | xr.Dataset,
    std: float | None,
    components: str | float,
    placed: Sequence[Track],
    *,
    variable: str,
    units: str,
    window: Window,
) -> Across:
    """
    Read what is known of the motion across the horizontal component.

    Parameters
    ----------
    north : float, xr.DataArray or xr.Dataset
        A number, a field on the lattice of the tracks, or a table of stations.
    std : float, optional
        Standard deviation that is given.
    components : str or float
        As for `mimtpy_cloud.ops.enu.invert_enu`.
    placed : sequence of Track
        All tracks, for lattice and datum.
    variable, units : str
        What motion is, ``"velocity"`` or ``"displacement"``, and its unit.
    window : Window
        On which stations are interpolated.

    Returns
    -------
    Across

    Raises
    ------
    SchemaError
        If an argument, the unit or datum of the field, or the frame of the stations does not suit.
    GridMismatchError
        If the field has another resolution.
    """
    if isinstance(north, xr.Dataset) and "station" in north.dims:
        north = _of_stations(north, placed, variable, window)
    if std is not None and not (isinstance(std, int | float | np.number) and std >= 0):
        raise SchemaError(f"north_std must be a number of at least 0, in {units}, got {std!r}")
    if components == "enu" and std == 0:
        raise SchemaError("north_std=0 takes north as known exactly; solve components='eu' with it")
    default = math.inf if components == "enu" else 0.0
    if isinstance(north, xr.DataArray | xr.Dataset):
        if components not in ("eu", "enu"):
            raise SchemaError(f"a north field is for components 'eu' and 'enu', got {components!r}")
        found = _field(north, std, default, placed[0], units)
    elif not isinstance(north, int | float | np.number) or not math.isfinite(north):
        raise SchemaError(f"north must be a number in {units}, or a field on the lattice of the tracks, got {north!r}")
    elif units == "m/yr" and abs(north) > _FASTEST:
        raise SchemaError(f"north must be in m/yr, got {north:g}, faster than any plate; 5 mm/yr are 0.005")
    elif north and components not in ("eu", "enu"):
        raise SchemaError(f"north is for components 'eu' and 'enu', got {components!r}")
    else:
        found = Across(float(north), default if std is None else float(std))
    if (found.field is not None or found.value) and not found.with_std and std is None and math.isinf(default):
        raise SchemaError("components 'enu' need the standard deviation of what is known of north: give north_std")
    return found


def _of_stations(stations: xr.Dataset, placed: Sequence[Track], variable: str, window: Window) -> xr.Dataset:
    """North velocity of stations on a window, in the datum of the tracks, with its standard deviation."""
    if variable != "velocity":
        raise SchemaError(f"stations have velocities, the tracks {variable}; give a field of north in their unit")
    datum = next((d for d in (_datum(t.ds.attrs) for t in placed) if d is not None), None)
    frame, plate = str(stations.attrs.get("frame", "")), placed[0].ds.attrs.get("plate_motion")
    if datum is not None and datum[0] == "reference_polygon":
        raise SchemaError("tracks that refer to a polygon need a field of north in that datum: interpolate_stations")
    if datum is not None and datum[0] == "reference_frame" and datum[1] != frame:
        raise SchemaError(f"the tracks are in the frame {datum[1]}, the stations in {frame or 'one that has no name'}")
    if is_plate_frame(frame) and plate is None and (datum is None or datum[0] != "reference_frame"):
        raise SchemaError(
            f"the stations are in the frame {frame}, which moves with a plate, the tracks hold its motion; remove it "
            "(remove_plate_motion), or give stations of a global frame"
        )
    stations = stations_less_plate(stations, placed[0].ds)
    like = on_window(window, {}, placed, {"pixels_per_degree": window.n})
    zero = tuple(datum[1]) if datum is not None and datum[0] == "reference_point" else None
    return interpolate_stations(stations, like, zero=zero)


def _field(north: xr.DataArray | xr.Dataset, std: float | None, default: float, track: Track, units: str) -> Across:
    ds = north if isinstance(north, xr.Dataset) else north.to_dataset(name="north")
    require_variables("the field of north motion", ds, "north")
    for name in [name for name in ("north", "north_std") if name in ds]:
        own = str(ds[name].attrs.get("units", units))
        if own != units:
            raise SchemaError(f"{name} must be in {units} as the tracks are, got {own}; convert it")
    frame, datum = ds.attrs.get("reference_frame"), _datum(track.ds.attrs)
    if frame and datum is not None and datum != ("reference_frame", frame):
        raise SchemaError(
            f"the field of north motion is in the frame {frame}, {track.label} refers to {_named(datum)}; give the "
            "stations themselves, or interpolate_stations(..., zero=) of the reference point of the tracks"
        )
    (placed,) = lattice_tracks([ds])
    if placed.window.n != track.window.n:
        raise GridMismatchError(
            f"the field of north motion has {placed.window.n} pixels a degree, the tracks {track.window.n}; "
            "interpolate it onto their lattice"
        )
    with_std = std is None and "north_std" in ds
    arrays = placed.sheet("north", *(["north_std"] if with_std else [])).arrays
    sheet = Sheet(near(placed.window, track.window), arrays)
    return Across(0.0, 0.0 if with_std else default if std is None else float(std), sheet, with_std)


def given_sigma(tracks: Sequence[xr.Dataset], sigma: float | Sequence[float] | None) -> dict[int, float] | None:
    """
    Read standard deviations of tracks.

    Parameters
    ----------
    tracks : sequence of xr.Dataset
        In the order of the caller.
    sigma : float or sequence of float, optional
        One for all, or one for each.

    Returns
    -------
    dict or None
        Standard deviation by identity of the dataset, since tracks get sorted.

    Raises
    ------
    SchemaError
        If they are not positive, or not as many as the tracks.
    """
    if sigma is None:
        return None
    values = np.asarray(sigma, float)
    if values.shape not in ((), (len(tracks),)) or not (np.isfinite(values) & (values > 0)).all():
        raise SchemaError(f"sigma must be positive, one value or one for each of {len(tracks)} tracks, got {sigma!r}")
    values = np.broadcast_to(values, len(tracks))
    return {id(ds): float(value) for ds, value in zip(tracks, values, strict=True)}


def overlap_window(placed: list[Track]) -> Window:
    """
    Find the smallest window that holds every overlap of two tracks.

    Parameters
    ----------
    placed : list of Track
        All tracks.

    Returns
    -------
    Window

    Raises
    ------
    GridMismatchError
        If no two overlap.
    """
    pairs = overlapping_pairs([t.window for t in placed])
    if not pairs:
        shown = "; ".join(f"{t.label} [{', '.join(f'{v:.6g}' for v in t.window.bounds)}]" for t in placed)
        raise GridMismatchError(f"tracks must overlap, got (west, south, east, north) {shown}; choose tracks that do")
    return union([placed[i].window & placed[j].window for i, j in pairs])


def at_block(patch: Patch) -> tuple:
    """
    Tell where a patch lies in its block.

    Parameters
    ----------
    patch : Patch
        Its first view is a map or a series.

    Returns
    -------
    tuple
        Index of the last two axes of an array.
    """
    ny, nx = patch.views[0].shape[-2:]
    return (..., slice(patch.row, patch.row + ny), slice(patch.col, patch.col + nx))


def known_across(
    shape: Shape, patches: list[Patch], sheet: int, across: tuple[float, float, bool, bool]
) -> tuple[np.ndarray | None, np.ndarray | float]:
    """
    Take the known motion across the horizontal component in a block, and its standard deviation.

    Parameters
    ----------
    shape : tuple of int
        Shape of the block.
    patches : list of Patch
        Of all sheets.
    sheet : int
        Number of the sheet of the field, if there is one.
    across : tuple
        Plan of an `Across`.

    Returns
    -------
    known : np.ndarray or None
        None if it is zero; NaN where a field has no data.
    std : np.ndarray or float
        The same of the standard deviation.
    """
    value, std, with_field, with_std = across
    if not with_field:
        return (np.full(shape, value) if value else None), std
    known, spread = np.full(shape, np.nan), np.full(shape, np.nan)
    for patch in patches:
        if patch.sheet == sheet:
            known[at_block(patch)] = patch.views[0]
            if with_std:
                spread[at_block(patch)] = patch.views[1]
    return known, spread if with_std else std
