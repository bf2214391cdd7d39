"""Compare two products where they overlap: map and statistics of the difference, and profiles; before and after."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import dask.array as da
import numpy as np
import xarray as xr
from dask.base import tokenize

from mimtpy_cloud.errors import GridMismatchError, SchemaError
from mimtpy_cloud.kernels import seam as kernel
from mimtpy_cloud.ops.adjustment import apply_adjustment
from mimtpy_cloud.ops.combination import (
    Track,
    data_variable,
    lattice_tracks,
    on_window,
    require_one_period,
)
from mimtpy_cloud.ops.looks import AS_SEEN, Look, level_looks, look_name
from mimtpy_cloud.ops.overlay import Patch, lay, lazy_array
from mimtpy_cloud.ops.profile import sample_profile
from mimtpy_cloud.plan.dates import MAX_GAP_DAYS
from mimtpy_cloud.plan.graph import overlapping_pairs
from mimtpy_cloud.plan.profile import Line
from mimtpy_cloud.schema import VARIABLES

__all__ = ["Seam", "compare_overlap", "compare_seams", "profile_overlap"]

_BINS = 60
_UNITLESS = ("slope", "correlation", "count")
_LONG_NAMES = {
    "median": "median difference",
    "mad": "median absolute deviation of the difference from its median",
    "sigma": "robust standard deviation of the difference, 1.4826 mad",
    "mean": "mean difference",
    "rms": "root mean square of the difference",
    "slope": "slope of second against first, orthogonal regression",
    "intercept": "second where first is zero, orthogonal regression",
    "correlation": "Pearson's correlation of first and second",
    "count": "common pixels",
}
#: Attributes of each product that a comparison keeps.
_FACTS = (
    "sensor",
    "track",
    "product",
    "project",
    "orbit_direction",
    "look_side",
    "heading",
    "start_date",
    "end_date",
    "reference_point",
    "source",
    "sources",
    "adjusted",
)


@dataclass(frozen=True)
class Seam:
    """
    The comparison of two tracks of a mosaic.

    Parameters
    ----------
    pair : str
        ``"A064-A137"``, as the adjustment names it.
    before, after : xr.Dataset
        Results of `compare_overlap`, lazy, without and with the adjustment; statistics are NaN where the two share no
        pixel with data.
    alike : xr.Dataset, optional
        As `after`, with the looks compared like with like.
    """

    pair: str
    before: xr.Dataset
    after: xr.Dataset
    alike: xr.Dataset | None = None


def compare_overlap(
    a: xr.Dataset,
    b: xr.Dataset,
    *,
    bins: int | Sequence[float] = _BINS,
    max_gap_days: float = MAX_GAP_DAYS,
    look: Look = None,
) -> xr.Dataset:
    """
    Compare two products where they overlap.

    Parameters
    ----------
    a, b : xr.Dataset
        Two-dimensional velocity (m/yr) or displacement (m) products on one lattice, in any chunks. Pixels that are NaN
        or not `valid` in either are ignored.
    bins : int or sequence of float
        Number of classes of the histogram, from four robust standard deviations below the median to four above it; or
        increasing edges in the unit of the products.
    max_gap_days : float
        Largest difference between the first dates of displacements, and between their last. Velocities may differ.
    look : {"vertical"} or xr.Dataset, optional
        Compare like with like where looks differ, as `estimate_adjustment` does: both are seen along their mean look,
        as if all motion were vertical, or after half of what a known motion (east, north, up) makes of the two looks is
        taken from each.

    Returns
    -------
    xr.Dataset
        Lazy, on the overlap of the windows: `difference` (y, x), a minus b, NaN where either lacks data; of its common
        pixels `median`, `mad`, `sigma` (1.4826 mad), `mean`, `rms` and `count`; `slope` and `intercept` of the line
        ``b = slope * a + intercept`` by orthogonal regression, and `correlation`; `histogram` (bin) between `bin_edge`
        (edge), where differences beyond the edges do not count; `joint` (bin_a, bin_b), pixels in classes of a and b
        between `joint_edge` (edge_ab). Attributes `labels`, `look` ("plain", "vertical" or "field"), and
        `first` and `second`: where a and b come from. Computing the statistics raises `SchemaError` if no pixel has
        data in both.

    Raises
    ------
    SchemaError
        If the products differ in kind or unit, hold a time series or displacements of different periods, lack the look
        vectors that `look` needs, or `bins` is no count or no increasing sequence.
    GridMismatchError
        If they are not on one lattice, or do not overlap.

    See Also
    --------
    mimtpy_cloud.kernels.seam.summarise_seam : The equations.
    profile_overlap : Both along a line.

    Notes
    -----
    Without `look`, the difference of tracks with other looks holds motion too. Only blocks in the overlap are read, and
    each once. The result does not depend on chunks, bit for bit. Memory of the statistics, for which the overlap is
    held as a whole: 32 bytes a pixel for float32.
    """
    first, second, variable = _comparable(a, b, max_gap_days)
    return _compare(first, second, variable, _checked_bins(bins), look, refuse_empty=True)


def _comparable(a: xr.Dataset, b: xr.Dataset, max_gap_days: float) -> tuple[Track, Track, str]:
    """Both in the order given, and the variable that they hold."""
    placed = lattice_tracks([a, b])
    first, second = placed if placed[0].ds is a else placed[::-1]
    variable = data_variable([first, second])
    require_one_period([first, second], variable, max_gap_days)
    if (first.window & second.window).empty:
        shown = ", ".join(f"{t.label} [{', '.join(f'{v:.6g}' for v in t.window.bounds)}]" for t in (first, second))
        raise GridMismatchError(
            f"products need a common area, got (west, south, east, north) {shown}; choose neighbours"
        )
    return first, second, variable


def _checked_bins(bins: int | Sequence[float]) -> int | np.ndarray:
    if isinstance(bins, int | np.integer) and not isinstance(bins, bool) and bins >= 1:
        return int(bins)
    edges = np.array(bins, np.float64) if isinstance(bins, Sequence | np.ndarray) and len(bins) > 1 else np.empty(0)
    if edges.ndim == 1 and edges.size and np.isfinite(edges).all() and (np.diff(edges) > 0).all():
        return edges
    raise SchemaError(f"bins must be a number of at least 1, or increasing edges in the unit of the data, got {bins!r}")


def _compare(
    first: Track, second: Track, variable: str, bins: int | np.ndarray, look: Look, *, refuse_empty: bool
) -> xr.Dataset:
    if look is not None:
        first, second = level_looks(first, second, variable, look)
    window, labels = first.window & second.window, (first.label, second.label)
    sheets = [t.sheet(variable, *(["valid"] if "valid" in t.ds else [])) for t in (first, second)]
    dtype = np.result_type(*(s.arrays[0].dtype for s in sheets))
    values = lay(_values, window, sheets, dtype=dtype, depth=2)
    summary = _Summary(labels, bins, refuse_empty)
    table = _summary_table(values, summary)
    units = str(first.ds.variables[variable].attrs["units"])
    what = str(first.ds.variables[variable].attrs.get("long_name", variable)).partition(",")[0]
    long_name = f"difference of {what}, {labels[0]} minus {labels[1]}{AS_SEEN[look_name(look)]}"
    attrs = {"units": units, "long_name": long_name}
    data: dict[str, tuple] = {"difference": (("y", "x"), values[0] - values[1], attrs)}
    for k, name in enumerate(kernel.STATISTICS):
        value = table[k].astype(np.int64) if name == "count" else table[k]
        data[name] = ((), value, {"units": "1" if name in _UNITLESS else units, "long_name": _LONG_NAMES[name]})
    at, parts = len(kernel.STATISTICS), {}
    for name, size in summary.sizes.items():
        parts[name], at = table[at : at + size], at + size
    n = kernel.JOINT
    data |= {
        "histogram": ("bin", parts["histogram"].astype(np.int64), _counted("pixels in each class of the difference")),
        "bin_edge": (
            "edge",
            parts["bin_edge"],
            {"units": units, "long_name": "edges of the classes of the difference"},
        ),
        "joint": (("bin_a", "bin_b"), parts["joint"].reshape(n, n).astype(np.int64), _counted("pixels in each class")),
        "joint_edge": ("edge_ab", parts["joint_edge"], {"units": units, "long_name": "edges of these classes"}),
    }
    facts = {
        key: {"label": t.label} | {name: t.ds.attrs[name] for name in _FACTS if name in t.ds.attrs}
        for key, t in (("first", first), ("second", second))
    }
    meta = {"variable": variable, "labels": list(labels), "look": look_name(look), "pixels_per_degree": window.n}
    meta |= facts
    return on_window(window, data, [first], meta)


def _counted(long_name: str) -> dict[str, str]:
    return {"units": "1", "long_name": long_name}


def _values(_shape: tuple[int, int], patches: list[Patch]) -> np.ndarray:
    (first, *first_valid), (second, *second_valid) = (p.views for p in patches)
    return kernel.common_values(first, second, next(iter(first_valid), None), next(iter(second_valid), None))


@dataclass(frozen=True)
class _Summary:
    """What the statistics need besides the values; makes one row of numbers of them."""

    labels: tuple[str, str]
    bins: int | np.ndarray
    refuse_empty: bool

    @property
    def sizes(self) -> dict[str, int]:
        """Length of each array after the statistics."""
        n = self.bins if isinstance(self.bins, int) else self.bins.size - 1
        return {"bin_edge": n + 1, "histogram": n, "joint_edge": kernel.JOINT + 1, "joint": kernel.JOINT**2}

    def __call__(self, blocks: list[list[np.ndarray]]) -> np.ndarray:
        """Summarise the blocks of the overlap, given row by row."""
        found = kernel.summarise_seam(np.block(blocks), self.bins)
        if self.refuse_empty and not found.statistics[-1]:
            raise SchemaError(
                f"{self.labels[0]} and {self.labels[1]} share no pixel with data in their overlap; compare products "
                "that do, or keep more pixels (their valid masks, coherence thresholds)"
            )
        return np.concatenate([np.ravel(part) for part in found])


def _summary_table(values: da.Array, summary: _Summary) -> da.Array:
    """All numbers of a comparison in one row, by one task over all blocks."""
    name = "seam-" + tokenize(values.name, summary.labels, summary.bins, summary.refuse_empty)
    _, down, across = values.numblocks
    blocks = [[(values.name, 0, i, j) for j in range(across)] for i in range(down)]
    size = len(kernel.STATISTICS) + sum(summary.sizes.values())
    return lazy_array(name, {(name, 0): (summary, blocks)}, ((size,),), float, [values])


def profile_overlap(a: xr.Dataset, b: xr.Dataset, line: Line, look: Look = None) -> xr.Dataset:
    """
    Sample two products along one line.

    Parameters
    ----------
    a, b : xr.Dataset
        As for `compare_overlap`. Pixels that are not `valid` have no data.
    line : Line
        From `mimtpy_cloud.plan.profile`.
    look : {"vertical"} or xr.Dataset, optional
        As for `compare_overlap`; the profile has data in the overlap only.

    Returns
    -------
    xr.Dataset
        Lazy: `first`, `second`, their `difference` (point), in the unit of the products and NaN where one of the four
        pixels around has no data; `height` in m if either has it; coordinates `lon`, `lat`, `distance_km`.

    Raises
    ------
    SchemaError
        If the products differ in kind or unit, or hold a time series.
    GridMismatchError
        If they are not on one lattice, or the line touches one of them nowhere.

    See Also
    --------
    mimtpy_cloud.ops.profile.sample_profile : One product.
    """
    placed = lattice_tracks([a, b])
    first, second = placed if placed[0].ds is a else placed[::-1]
    variable = data_variable([first, second])
    if look is not None:
        first, second = level_looks(first, second, variable, look)
    along = [_sampled(t.ds, variable, line) for t in (first, second)]
    one, two = (ds[variable] for ds in along)
    long_name = f"{first.label} minus {second.label}"
    profile = xr.Dataset(
        {"first": one, "second": two, "difference": (one - two).assign_attrs(one.attrs | {"long_name": long_name})}
    )
    heights = [ds["height"] for ds in along if "height" in ds]
    if heights:
        height = heights[0] if len(heights) == 1 else heights[0].fillna(heights[1])
        profile["height"] = height.assign_attrs(VARIABLES["height"].attrs)
    return profile.assign_attrs(variable=variable, labels=[first.label, second.label])


def _sampled(ds: xr.Dataset, variable: str, line: Line) -> xr.Dataset:
    names = [variable, *(["height"] if "height" in ds else [])]
    if "valid" in ds:
        ds = ds.assign({variable: ds[variable].where(ds["valid"] > 0)})
    return sample_profile(ds, line.lon, line.lat, names=names, distance_km=line.distance_km)


def compare_seams(
    tracks: Sequence[xr.Dataset],
    adjustment: xr.Dataset,
    *,
    max_gap_days: float = MAX_GAP_DAYS,
    look: Look = None,
) -> list[Seam]:
    """
    Compare all overlapping tracks of a mosaic before and after their adjustment.

    Parameters
    ----------
    tracks : sequence of xr.Dataset
        Those that the adjustment was estimated from.
    adjustment : xr.Dataset
        Result of `estimate_adjustment`, lazy or computed.
    max_gap_days, look : object
        As for `compare_overlap`; with a look, the adjusted tracks are compared with it, too.

    Returns
    -------
    list of Seam
        One a pair of overlapping windows, in the order of the sorted tracks; lazy.

    Raises
    ------
    SchemaError
        As `estimate_adjustment` and `apply_adjustment`.
    GridMismatchError
        If the tracks are not on one lattice.
    """
    placed = lattice_tracks(tracks)
    variable = data_variable(placed)
    require_one_period(placed, variable, max_gap_days)
    adjusted = [_adjusted(t, adjustment) for t in placed]
    return list(_seams(placed, adjusted, variable, look))


def _adjusted(track: Track, adjustment: xr.Dataset) -> Track:
    """Adjust a track by its label, which names it even where two have one name and product."""
    moved = apply_adjustment(track.ds.assign_attrs(track=track.label), adjustment)
    if "track" in track.ds.attrs:
        moved = moved.assign_attrs(track=track.ds.attrs["track"])
    return Track(track.label, track.window, moved)


def _seams(placed: Sequence[Track], adjusted: Sequence[Track], variable: str, look: Look) -> Iterator[Seam]:
    for i, j in overlapping_pairs([t.window for t in placed]):

        def compare(tracks: Sequence[Track], look: Look = None, i: int = i, j: int = j) -> xr.Dataset:
            return _compare(tracks[i], tracks[j], variable, _BINS, look, refuse_empty=False)

        alike = None if look is None else compare(adjusted, look)
        yield Seam(f"{placed[i].label}-{placed[j].label}", compare(placed), compare(adjusted), alike)
