"""Horizontal and vertical displacement over time from tracks with different dates."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

import dask.array as da
import numpy as np
import xarray as xr
from dask.base import is_dask_collection

from mimtpy_cloud.errors import DateError, SchemaError
from mimtpy_cloud.kernels import enu
from mimtpy_cloud.ops.combination import Track, common_attrs, lattice_tracks, on_window, require_one_motion
from mimtpy_cloud.ops.decomposition import (
    ASKED_GAIN,
    horizontal_azimuth,
    known_north,
    overlap_window,
    require_one_datum,
    require_weights,
)
from mimtpy_cloud.ops.overlay import Sheet, lay
from mimtpy_cloud.ops.series import require_series
from mimtpy_cloud.ops.smoothing import penalty_weight
from mimtpy_cloud.ops.timelineplan import QUALITY, TimelinePlan, TimelineSolver
from mimtpy_cloud.plan.chunks import INNER_SIDE
from mimtpy_cloud.plan.dates import MAX_GAP_DAYS, nearest_date, parse_dates
from mimtpy_cloud.plan.timeline import joint_period, union_dates
from mimtpy_cloud.schema import DAYS_PER_YEAR, LOS, require_variables

__all__ = ["decompose_series"]

Shape = tuple[int, int]
Sigma = float | Sequence[float] | np.ndarray | xr.DataArray
_DAY = np.timedelta64(1, "D")
#: Most bytes of the results of a block.
_HELD = 64 * 2**20


def decompose_series(
    tracks: Sequence[xr.Dataset],
    components: str | float = "eu",
    *,
    dates: str = "union",
    method: Literal["tikhonov", "interpolation"] = "tikhonov",
    order: int = 1,
    regularisation: float | None = None,
    reference_date: Any = None,
    sigma: Sigma | Sequence[Sigma] | None = None,
    north: float | xr.DataArray | xr.Dataset = 0.0,
    north_std: float | None = None,
    max_gain: float | None = None,
    max_gap_days: float = 180.0,
    same_datum: bool = False,
) -> xr.Dataset:
    """
    Decompose displacement series with different dates into series of a horizontal and the vertical component.

    Parameters
    ----------
    tracks : sequence of xr.Dataset
        Two or more displacement series with look vectors, on one lattice and one spatial datum, in any chunks. No date
        need be common, and each may have a reference date of its own. NaN and pixels that are not `valid` are ignored.
    components : {"eu", "hu"} or float
        East and up; horizontal along the mean look azimuth and up, for tracks of one orbit direction; or the azimuth
        of the horizontal component, degrees clockwise from north. As for `invert_enu`.
    dates : {"union", "common"} or str
        Dates of the result: those of all tracks while looks from two directions go on, or while all tracks do; or a
        frequency of pandas in that first period, such as ``"30D"`` or ``"MS"``.
    method : {"tikhonov", "interpolation"}
        Solve the velocities between all dates at once, with a penalty; or interpolate each track linearly in time and
        solve each date by itself.
    order : {0, 1, 2}
        What the penalty keeps small: velocity, its change (the default; steady motion costs nothing), or the change of
        that.
    regularisation : float, optional
        Weight of the penalty, larger is smoother. With `sigma` in yr^(2 order + 1) / m^2, else in yr^(2 order + 1).
        By default what generalised cross-validation finds best, see Notes.
    reference_date : date, optional
        On which displacement is zero; the nearest date of a track is taken. By default the first of the result or, for
        a frequency, the first of a track in the period.
    sigma : float, array or sequence of these, optional
        Standard deviation of an observation in m: of all, or a sequence with one entry for each track, which is a
        number or an array of one for each date. Without it all weigh the same, and standard deviations follow the
        residuals of each pixel (``"interpolation"`` has none then).
    north : float, xr.DataArray or xr.Dataset
        North velocity that is known, m/yr: a number, a field or stations, as for `invert_enu`.
    north_std : float, optional
        Its standard deviation; needs `sigma`. As for `invert_enu`.
    max_gain : float, optional
        Largest noise gain of a component for looks of equal weight, 5 by default, 30 for a horizontal direction. Dates
        whose looks are more alike are NaN.
    max_gap_days : float
        Longest gap of a track that its data may bridge. A date counts a track whose nearest data are within half of
        it; ``"interpolation"`` needs data on both sides, so far apart at most.
    same_datum : bool
        Whether the tracks share a spatial datum though their attributes name different ones.

    Returns
    -------
    xr.Dataset
        Lazy, on the smallest window that holds every overlap of two tracks: `east` or `horizontal`, and `up`,
        ``(time, y, x)`` in m since `reference_date`, with their standard deviations; `count` of looks and `quality`
        of each date; `residual_rms` of each track, `chi2` (with `sigma`; what the penalty costs is in it) or `noise`,
        the standard deviation of one observation; `gain` of all looks of a pixel; `regularisation`; `valid`, whether
        any date is known.

    Raises
    ------
    SchemaError
        If there are fewer than two tracks, they hold no series with look vectors or differ in datum, or an argument is
        unknown or unsuitable. When computed: if no sampled pixel can choose the regularisation.
    DateError
        If the dates of a track do not ascend, no two directions have a common period, or a date is no date.
    GridMismatchError
        If the tracks are not on one lattice, or no two overlap.

    See Also
    --------
    invert_enu : The same of velocities, or of displacements between two dates.
    mimtpy_cloud.kernels.timeline.decompose_series : The equations.

    Notes
    -----
    Each track has a constant of its own, so that the noise of its reference image does not go into all dates. What is
    common to the pixels of one date, such as the noise of the reference point, stays in them.

    The default regularisation is one number for all pixels: the best by generalised cross-validation, that is, the one
    by which observations are predicted best by the others. It is taken over pixels at fixed places of the overlaps,
    whatever the chunks, which are read for it when something is computed. Pixels of a box may thus get another than
    those of the whole, and places that move in another way than most may want one of their own.

    Standard deviations are relative to the reference date, and include the penalty as a prior: from date to date motion
    may depart from a straight line. A gap is one interval, a straight line, which cannot ring; how the ground departs
    from it is not known to the standard deviations, and dates further than `max_gap_days` allows are NaN.
    The result of a large regularisation of order 1 is the decomposition of the velocities by `invert_enu`.
    `set_reference` moves another date to zero, but does not change standard deviations.
    """
    placed = _placed(tracks)
    if method not in ("tikhonov", "interpolation"):
        raise SchemaError(f"method must be 'tikhonov' or 'interpolation', got {method!r}")
    if components == "enu":
        raise SchemaError(
            "series have a horizontal component and up; what is known of north goes in by north and north_std with "
            "components='eu'"
        )
    azimuth = horizontal_azimuth(components, placed)
    if not same_datum:
        require_one_datum(placed)
    if not max_gap_days > 0:
        raise SchemaError(f"max_gap_days must be positive, got {max_gap_days!r}")
    days = [_dates(track) for track in placed]
    chosen = _Dates.choose(placed, days, dates, reference_date)
    window = overlap_window(placed)
    across = known_north(north, north_std, components, placed, variable="velocity", units="m/yr", window=window)
    deviations = _deviations(tracks, placed, days, sigma)
    require_weights(across, with_std=deviations is not None)
    plan = TimelinePlan(
        tuple(tuple(chosen.years(d).tolist()) for d in days),
        tuple(chosen.years(chosen.union).tolist()),
        tuple(chosen.years(chosen.output).tolist()),
        enu.horizontal_basis(azimuth),
        deviations,
        across.plan,
        (enu.MAX_GAIN if components == "eu" else ASKED_GAIN) if max_gain is None else float(max_gain),
        max_gap_days / DAYS_PER_YEAR,
        order,
        method == "tikhonov",
    )
    sheets = [_sheet(track) for track in placed] + ([] if across.field is None else [across.field])
    weight = penalty_weight(plan, regularisation, placed, sheets)
    solver = TimelineSolver(plan)
    extra = [] if weight is None else [weight]
    options: dict[str, Any] = {"dtype": np.float32, "depth": plan.depth, "at_least": 2, "side": _side(plan.depth)}
    stack = lay(solver, window, sheets, *extra, **options)
    data = _variables(plan, stack, "east" if components == "eu" else "horizontal", azimuth)
    if weight is not None:
        units = f"yr^{2 * order + 1}" + ("" if deviations is None else " / m^2")
        told = "weight of the penalty" + (", chosen by cross-validation" if regularisation is None else "")
        data["regularisation"] = ((), weight, {"units": units, "long_name": told})
    attrs = common_attrs(placed) | {
        "azimuth": azimuth,
        "components": components if isinstance(components, str) else azimuth,
        "method": method,
        "reference_date": str(chosen.reference),
        "start_date": str(chosen.output[0]),
        "end_date": str(chosen.output[-1]),
        "n_dates": int(chosen.output.size),
    }
    attrs |= {"order": order} if plan.penalised else {}
    for key in ("heading", "orbit_direction", "look_side"):  # a decomposition has no line of sight
        attrs.pop(key, None)
    time = xr.DataArray(chosen.output.astype("datetime64[ns]"), dims="time")
    labels = np.array([t.label for t in placed], dtype=object)
    return on_window(window, data, placed, attrs).assign_coords(time=time, track=("track", labels))


def _placed(tracks: Sequence[xr.Dataset]) -> list[Track]:
    """Find series that can be decomposed together on their lattice."""
    placed = lattice_tracks(tracks)
    if len(placed) < 2:
        raise SchemaError(f"two components need at least two tracks, got {placed[0].label}")
    require_series(placed)
    require_one_motion(placed)
    for track in placed:
        require_variables(f"track {track.label}", track.ds, *LOS)
    return placed


def _dates(track: Track) -> np.ndarray:
    """Dates of a series, checked."""
    dates = parse_dates(track.ds.indexes["time"].to_numpy())
    if not dates.size or not (np.diff(dates) > np.timedelta64(0, "D")).all():
        raise DateError(f"the dates of {track.label} must ascend, one acquisition a day; sort it by time first")
    return dates


@dataclass(frozen=True)
class _Dates:
    """Dates of the timeline and of the result, and the one of zero displacement."""

    union: np.ndarray
    output: np.ndarray
    reference: np.datetime64

    @classmethod
    def choose(cls, placed: Sequence[Track], days: Sequence[np.ndarray], which: str, reference: Any) -> "_Dates":
        """Choose them for tracks with dates."""
        union = union_dates(days)
        directions = [str(t.ds.attrs.get("orbit_direction", t.label)) for t in placed]
        period = joint_period(days, directions, all_tracks=which == "common")
        inside = union[(union >= period[0]) & (union <= period[1])]
        output = inside if which in ("union", "common") else _regular(period, which)
        if reference is None:
            return cls(union, output, inside[0])
        return cls(union, output, union[nearest_date(union, reference, MAX_GAP_DAYS)])

    def years(self, dates: np.ndarray) -> np.ndarray:
        """Years since the reference date."""
        return np.asarray((dates - self.reference) / _DAY / DAYS_PER_YEAR)


def _regular(period: np.ndarray, frequency: str) -> np.ndarray:
    """Dates of a frequency in a period."""
    try:
        index = xr.date_range(str(period[0]), str(period[1]), freq=frequency, use_cftime=False)
    except (ValueError, TypeError) as error:
        raise DateError(
            f"dates must be 'union', 'common' or a frequency such as '30D' or 'MS', got {frequency!r}: {error}"
        ) from error
    dates = np.unique(parse_dates(index.to_numpy()))
    if dates.size < 2:
        raise DateError(
            f"a series needs at least two dates, got {dates.size} of {frequency} from {period[0]} to {period[1]}"
        )
    return dates


def _side(depth: int) -> int:
    """Side in pixels of the blocks that are solved at a time, so that their results are a bounded part of memory."""
    return INNER_SIDE if 4 * depth * INNER_SIDE**2 <= _HELD else INNER_SIDE // 5


def _deviations(
    tracks: Sequence[xr.Dataset], placed: Sequence[Track], days: Sequence[np.ndarray], sigma: Any
) -> tuple[tuple[float, ...], ...] | None:
    """Standard deviation of each date of each track, in the order of the placed tracks."""
    if sigma is None:
        return None
    if is_dask_collection(sigma) or (isinstance(sigma, Sequence) and any(map(is_dask_collection, sigma))):
        raise SchemaError("sigma is needed when the graph is built; compute it first")
    each = list(sigma) if isinstance(sigma, Sequence) else [sigma] * len(tracks)
    if len(each) != len(tracks):
        raise SchemaError(f"sigma needs one entry or one for each of {len(tracks)} tracks, got {len(each)}")
    entries = {id(ds): np.asarray(entry, float) for ds, entry in zip(tracks, each, strict=True)}
    found = []
    for track, dates in zip(placed, days, strict=True):
        values = entries[id(track.ds)]
        if values.shape not in ((), (1,), dates.shape) or not (np.isfinite(values) & (values > 0)).all():
            raise SchemaError(
                f"sigma of {track.label} must be positive, one value or an array of one for each of {dates.size} dates "
                "(a list has an entry for each track), got "
                f"{values.size} from {values.min(initial=np.inf):g} to {values.max(initial=-np.inf):g}"
            )
        found.append(tuple(np.broadcast_to(values, dates.shape).tolist()))
    return tuple(found)


def _sheet(track: Track) -> Sheet:
    """Series in one chunk of time, look vector, and `valid` if there is one."""
    series = track.ds["displacement"] if track.ds["displacement"].chunks else track.ds["displacement"].chunk()
    maps = track.sheet(*LOS, *(["valid"] if "valid" in track.ds else [])).arrays
    return Sheet(track.window, (series.chunk(time=-1).data, *maps))


def _variables(plan: TimelinePlan, stack: da.Array, name: str, azimuth: float) -> dict[str, tuple]:
    """Name the rows of a solution."""
    n, rows = len(plan.output), plan.rows
    toward = "east" if name == "east" else f"toward azimuth {azimuth:g} degrees clockwise from north"
    data: dict[str, tuple] = {}

    def series(key: str, k: int) -> da.Array:
        first = rows[key].start + k * n
        part: da.Array = stack[first : first + n]
        return part

    for k, (component, direction) in enumerate(((name, toward), ("up", "up"))):
        attrs = {"units": "m", "long_name": f"{component} displacement, positive {direction}"}
        data[component] = (("time", "y", "x"), series("motion", k), attrs)
        if plan.with_std:
            attrs = {"units": "m", "long_name": f"standard deviation of the {component} displacement"}
            data[f"{component}_std"] = (("time", "y", "x"), series("std", k), attrs)
    code, whys = series("code", 0), len(QUALITY)
    flags = {
        "flag_values": list(range(whys)),
        "flag_meanings": " ".join(QUALITY),
        "long_name": "why there is no solution",
        "units": "1",
    }
    count, quality = (code // whys).astype(np.int16), (code % whys).astype(np.uint8)
    data["count"] = (("time", "y", "x"), count, {"units": "1", "long_name": "looks that tell about a date"})
    data["quality"] = (("time", "y", "x"), quality, flags)
    if plan.penalised:
        rms = {"units": "m", "long_name": "root mean square of the residuals of a track"}
        data["residual_rms"] = (("track", "y", "x"), stack[rows["rms"]], rms)
        variance = stack[rows["variance"].start]
        if plan.sigma is None:
            noise = {"units": "m", "long_name": "standard deviation of one observation, from the residuals"}
            data["noise"] = (("y", "x"), da.sqrt(variance), noise)
        else:
            data["chi2"] = (
                ("y", "x"),
                variance,
                {"units": "1", "long_name": "chi squared, with the penalty, over its degrees of freedom"},
            )
    gain = {"units": "1", "long_name": "largest noise gain for looks of equal weight"}
    data["gain"] = (("y", "x"), stack[rows["gain"].start], gain)
    data["valid"] = (("y", "x"), stack[rows["any"].start] > 0, {"units": "1", "long_name": "usable data"})
    return data
