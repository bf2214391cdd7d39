"""Tracks that are to be combined: sorted and labelled, on one lattice, holding one kind of product."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import dask.array as da
import numpy as np
import xarray as xr
from dask.base import tokenize

from mimtpy_cloud.errors import GridMismatchError, SchemaError
from mimtpy_cloud.ops.overlay import Sheet
from mimtpy_cloud.plan.dates import parse_dates
from mimtpy_cloud.plan.grid import Window
from mimtpy_cloud.schema import SPATIAL_REF, VARIABLES, require_dims

__all__ = [
    "Track",
    "common_attrs",
    "data_variable",
    "lattice_tracks",
    "near",
    "on_window",
    "require_one_motion",
    "require_one_period",
]

_PERIOD = ("start_date", "end_date")


@dataclass(frozen=True)
class Track:
    """A dataset, the label that names it in results, and its window on the lattice."""

    label: str
    window: Window
    ds: xr.Dataset

    def sheet(self, *names: str) -> "Sheet":
        """
        Take two-dimensional variables as one sheet, without computing.

        Parameters
        ----------
        *names : str
            Variables of the dataset. Those that the schema calls booleans become so, whatever their dtype: true is
            more than zero.

        Returns
        -------
        Sheet
        """
        return Sheet(self.window, tuple(_lazy(self.ds, name) for name in names))


def lattice_tracks(tracks: Sequence[xr.Dataset]) -> list[Track]:
    """
    Find the windows of tracks on their common lattice, and sort the tracks.

    Parameters
    ----------
    tracks : sequence of xr.Dataset
        Canonical datasets on one lattice.

    Returns
    -------
    list of Track
        Sorted by track, product, window and content, so that no result depends on the order of the input. Labels are
        the track names; where a track occurs twice, with the product, and at last with a number. Windows lie within
        half a turn of the first, so that tracks meet across the antimeridian.

    Raises
    ------
    SchemaError
        If there is no track, one is no dataset, or one has no coordinate `x` or `y`.
    GridMismatchError
        If one is not on a lattice, or their lattices differ.
    """
    given: Any = tracks
    if isinstance(given, xr.Dataset) or not all(isinstance(ds, xr.Dataset) for ds in given):
        got = "one dataset" if isinstance(given, xr.Dataset) else ", ".join(type(ds).__name__ for ds in given)
        raise SchemaError(f"expected a list of datasets, such as open_track gives, got {got}")
    if not tracks:
        raise SchemaError("expected at least one track, got none")
    found = []
    for ds in tracks:
        name, product_name = str(ds.attrs.get("track", "track")), str(ds.attrs.get("product", ""))
        if "x" not in ds.coords or "y" not in ds.coords:
            raise SchemaError(f"track {name} needs coordinates y and x, it has {sorted(map(str, ds.coords))}")
        window = Window.of(ds["x"].values, ds["y"].values, ds.attrs.get("pixels_per_degree"))
        found.append((name, product_name, window, ds))
    if len({window.n for _, _, window, _ in found}) > 1:
        shown = ", ".join(f"{name}: {window.n}" for name, _, window, _ in found)
        raise GridMismatchError(
            f"tracks need one resolution, got pixels a degree {shown}; ingest all at one resolution"
        )
    keys = [t[:3] for t in found]
    ties = {key for key in keys if keys.count(key) > 1}
    found.sort(key=lambda t: (*t[:3], tokenize(t[3]) if t[:3] in ties else ""))
    labels = _labels([(name, product_name) for name, product_name, _, _ in found])
    first = found[0][2]
    return [Track(label, near(window, first), ds) for label, (_, _, window, ds) in zip(labels, found, strict=True)]


def require_one_motion(tracks: Sequence[Track]) -> None:
    """
    Check that the motion of one plate has been removed from all tracks, or from none.

    Parameters
    ----------
    tracks : sequence of Track
        All tracks.

    Raises
    ------
    SchemaError
        If they differ: a plate leaves ramps in line of sight, which would become motion or seams.
    """
    plates = {t.label: str((t.ds.attrs.get("plate_motion") or {}).get("plate", "")) for t in tracks}
    if len(set(plates.values())) > 1:
        shown = ", ".join(f"{label} without that of {plate}" if plate else label for label, plate in plates.items())
        raise SchemaError(f"remove the motion of one plate from all tracks or none (remove_plate_motion), got {shown}")


def near(window: Window, other: Window) -> Window:
    """
    Move a window by whole turns next to another, across the antimeridian.

    Parameters
    ----------
    window, other : Window
        On one lattice.

    Returns
    -------
    Window
    """
    turn = 360 * window.n
    turns = round((window.col + window.nx / 2 - other.col - other.nx / 2) / turn)
    return replace(window, col=window.col - turns * turn) if turns else window


def _labels(names: list[tuple[str, str]]) -> list[str]:
    tracks = Counter(track for track, _ in names)
    labels = [t if tracks[t] == 1 else f"{t}:{p}" for t, p in names]
    total, seen = Counter(labels), Counter[str]()
    for i, label in enumerate(labels):
        seen[label] += 1
        if total[label] > 1:
            labels[i] = f"{label}#{seen[label]}"
    return labels


def data_variable(tracks: Sequence[Track]) -> str:
    """
    Tell which two-dimensional product the tracks hold.

    Parameters
    ----------
    tracks : sequence of Track
        At least one.

    Returns
    -------
    str
        ``"velocity"`` or ``"displacement"``.

    Raises
    ------
    SchemaError
        If they do not all hold one of them, in two dimensions and one unit.
    """
    for name in ("velocity", "displacement"):
        if all(name in t.ds and t.ds.variables[name].ndim == 2 for t in tracks):
            units = {t.label: str(t.ds.variables[name].attrs.get("units")) for t in tracks}
            if len(set(units.values())) > 1:
                shown = ", ".join(f"{label}: {unit}" for label, unit in units.items())
                raise SchemaError(f"tracks need one unit of {name}, got {shown}; convert them first")
            return name
    series = [t.label for t in tracks if "displacement" in t.ds and t.ds["displacement"].ndim == 3]
    if series:
        raise SchemaError(
            f"tracks need a two-dimensional velocity or displacement, got the time series of {', '.join(series)}; "
            "take estimate_velocity or displacement_between first"
        )
    kinds = {t.label: [n for n in ("velocity", "displacement") if n in t.ds] for t in tracks}
    has = "; ".join(f"{t.label}: {', '.join(kinds[t.label] or sorted(map(str, t.ds.data_vars)))}" for t in tracks)
    raise SchemaError(f"tracks need all a two-dimensional velocity, or all a displacement, got {has}")


def _lazy(ds: xr.Dataset, name: str) -> da.Array:
    variable = ds.variables[name]
    require_dims(name, variable.dims, "y", "x")
    data: da.Array = variable.data if variable.chunks is not None else variable.chunk().data
    is_flag = name in VARIABLES and VARIABLES[name].dtype == "bool"
    return data > 0 if is_flag and data.dtype != bool else data


def require_one_period(tracks: Sequence[Track], variable: str, max_gap_days: float) -> None:
    """
    Check that displacements span the same time; velocities need not.

    Parameters
    ----------
    tracks : sequence of Track
        Those without dates are not checked.
    variable : str
        What they hold.
    max_gap_days : float
        Largest allowed difference of their first dates, and of their last.

    Raises
    ------
    SchemaError
        If the dates differ by more; the message names the periods.
    """
    if variable != "displacement":
        return
    for key in _PERIOD:
        days = parse_dates([t.ds.attrs[key] for t in tracks if key in t.ds.attrs])
        if days.size and np.ptp(days) / np.timedelta64(1, "D") > max_gap_days:
            shown = "; ".join(f"{t.label} {' to '.join(str(t.ds.attrs.get(k, '?')) for k in _PERIOD)}" for t in tracks)
            raise SchemaError(
                f"displacements need one period, within {max_gap_days:g} days, got {shown}; "
                "take displacement_between common dates, or raise max_gap_days"
            )


def common_attrs(tracks: Sequence[Track]) -> dict[str, Any]:
    """
    Keep what all tracks agree on, and list what they are made from.

    Parameters
    ----------
    tracks : sequence of Track
        At least one.

    Returns
    -------
    dict
        Attributes of the combined dataset: `track` is ``"A064+A137"``, `tracks` the labels, `sources` one entry a
        track, `start_date` and `end_date` the outermost, `periods` those of each track by its label.
    """
    first, *others = [t.ds.attrs for t in tracks]
    attrs = {key: value for key, value in first.items() if all(key in o and _equal(o[key], value) for o in others)}
    names = dict.fromkeys(str(t.ds.attrs.get("track", t.label)) for t in tracks)
    attrs |= {"track": "+".join(names), "tracks": [t.label for t in tracks]}
    if others:
        attrs.pop("source", None)
        attrs["sources"] = [s for t in tracks for s in t.ds.attrs.get("sources", [t.ds.attrs.get("source", {})])]
        attrs["periods"] = {
            t.label: [str(t.ds.attrs[key]) for key in _PERIOD]
            for t in tracks
            if all(key in t.ds.attrs for key in _PERIOD)
        }
    for key, choose in zip(_PERIOD, (min, max), strict=True):
        dates = [str(t.ds.attrs[key]) for t in tracks if key in t.ds.attrs]
        if dates:
            attrs[key] = choose(dates)
    return attrs | {"pixels_per_degree": tracks[0].window.n}


def _equal(a: Any, b: Any) -> bool:
    """Compare two attributes, which may be or hold arrays."""
    if isinstance(a, dict) and isinstance(b, dict):
        return a.keys() == b.keys() and all(_equal(value, b[key]) for key, value in a.items())
    return np.array_equal(a, b) if np.ndarray in (type(a), type(b)) else bool(a == b)


def on_window(
    window: Window, variables: dict[str, tuple], tracks: Sequence[Track], attrs: dict[str, Any]
) -> xr.Dataset:
    """
    Label arrays that cover a window.

    Parameters
    ----------
    window : Window
        Window of the output.
    variables : dict
        Name to ``(dims, data, attrs)``.
    tracks : sequence of Track
        The first gives the attributes of the coordinates, and the coordinate reference system.
    attrs : dict
        Attributes of the dataset.

    Returns
    -------
    xr.Dataset
    """
    like = tracks[0].ds
    coords: dict[str, Any] = {c: (c, getattr(window, c), like[c].attrs) for c in ("y", "x")}
    if SPATIAL_REF in like.coords:
        coords[SPATIAL_REF] = like[SPATIAL_REF].variable
    return xr.Dataset(variables, coords, attrs)
