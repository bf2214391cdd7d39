"""Compare two products at the edge: compute, lay profiles over what they share, write figure and numbers."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import xarray as xr

from mimtpy_cloud.errors import GridMismatchError
from mimtpy_cloud.kernels.look import mean_azimuth
from mimtpy_cloud.ops.looks import Look
from mimtpy_cloud.ops.overlap import compare_overlap, profile_overlap
from mimtpy_cloud.ops.select import select_box
from mimtpy_cloud.plan.grid import Window
from mimtpy_cloud.plan.profile import Line, footprint_azimuth, parallel_lines
from mimtpy_cloud.schema import LOS

__all__ = ["along_track", "compare_products", "statistics_table"]

#: Most rows and columns of the pixels that tell the shape of an overlap.
_SHAPE = 150
_METRES_PER_DEGREE = 111_195.0


def compare_products(
    a: xr.Dataset,
    b: xr.Dataset,
    stem: str,
    provenance: Mapping[str, Any],
    *,
    profiles: int = 3,
    through: tuple[float, float] | None = None,
    azimuth: float | None = None,
    look: Look = None,
) -> tuple[tuple[str, str], xr.Dataset]:
    """
    Compare two products in their overlap, and write ``<stem>.png`` and ``<stem>.json``.

    Parameters
    ----------
    a, b : xr.Dataset
        Two-dimensional products on one lattice.
    stem : str
        Path or URL without suffix.
    provenance : mapping
        What was compared, for the JSON.
    profiles : int
        Number of profiles along, and of those across.
    through : tuple of float, optional
        Longitude and latitude of a point that one profile along and one across run through instead.
    azimuth : float, optional
        Direction of the profiles along, degrees clockwise from north; `along_track` by default. Those across run at a
        right angle, from west to east.
    look : {"vertical"} or xr.Dataset, optional
        As for `compare_overlap`.

    Returns
    -------
    files : tuple of str
        What was written.
    comparison : xr.Dataset
        Computed.

    Raises
    ------
    SchemaError, GridMismatchError
        If the products cannot be compared, share no pixel with data, or the point lies outside of their overlap;
        nothing is written.
    """
    from mimtpy_cloud.view.map import save_figure
    from mimtpy_cloud.view.seam import describe_seam, plot_seam, write_json
    from mimtpy_cloud.view.together import compute_together

    lazy = compare_overlap(a, b, look=look)
    window = Window.of(lazy["x"].values, lazy["y"].values, lazy.attrs["pixels_per_degree"])
    if through is not None:
        through = _inside(window, through, lazy.attrs["labels"])
    looks = () if look is None else LOS
    a, b = compute_together([_overlap_of(ds, window, lazy.attrs["variable"], looks) for ds in (a, b)])
    comparison = compare_overlap(a, b, look=look).compute()
    lon, lat = _filled(comparison["difference"])
    toward = along_track([a, b], lon, lat) if azimuth is None else azimuth
    spacing = _METRES_PER_DEGREE / window.n
    along, across = (
        compute_together(
            [
                profile_overlap(a, b, line, look).assign_attrs(azimuth=direction)
                for line in parallel_lines(lon, lat, direction, profiles, spacing, through=through)
                if _touches(line, window)
            ]
        )
        for direction in (toward, (toward + 90.0) % 180.0)  # across, to the east
    )
    content = describe_seam(comparison, along, across) | {"provenance": dict(provenance)}
    figure = plot_seam(comparison, along, across)
    save_figure(figure, f"{stem}.png", dpi=150)
    write_json(content, f"{stem}.json")
    return (f"{stem}.png", f"{stem}.json"), comparison


def _inside(window: Window, through: tuple[float, float], labels: Sequence[str]) -> tuple[float, float]:
    """The point, by full turns on the side of the overlap; refused outside of it."""
    west, south, east, north = window.bounds
    lon, lat = through[0] - 360.0 * round((through[0] - (west + east) / 2) / 360.0), through[1]
    if not (west <= lon <= east and south <= lat <= north):
        have = ", ".join(f"{v:.6g}" for v in window.bounds)
        raise GridMismatchError(
            f"the point {through} (lon, lat) lies outside of the overlap of {labels[0]} and {labels[1]} [{have}] "
            "(west, south, east, north); choose one inside"
        )
    return lon, lat


def _overlap_of(ds: xr.Dataset, window: Window, variable: str, looks: Sequence[str]) -> xr.Dataset:
    """What is compared of a product, cut to the overlap, so that it is read and computed once."""
    names = [name for name in (variable, "valid", "height", *looks) if name in ds]
    return select_box(ds[names], window.bounds).assign_attrs(pixels_per_degree=window.n)


def _touches(line: Line, window: Window) -> bool:
    """Whether a point lies between the outermost pixel centres."""
    x, y = window.x, window.y
    return bool(((line.lon >= x[0]) & (line.lon <= x[-1]) & (line.lat >= y[-1]) & (line.lat <= y[0])).any())


def _filled(difference: xr.DataArray) -> tuple[np.ndarray, np.ndarray]:
    """Longitudes and latitudes of some pixels that fill what both products share."""
    step = max(1, -(-max(difference.shape) // _SHAPE))
    small = difference[::step, ::step]
    if not np.isfinite(small.values).any():
        small = difference
    rows, cols = np.nonzero(np.isfinite(small.values))
    return small["x"].values[cols], small["y"].values[rows]


def along_track(products: Sequence[xr.Dataset], lon: np.ndarray, lat: np.ndarray) -> float:
    """
    Choose the direction of profiles along an overlap.

    Parameters
    ----------
    products : sequence of xr.Dataset
        Attribute ``heading`` in degrees clockwise from north, where it is known.
    lon, lat : np.ndarray
        Points that fill the overlap.

    Returns
    -------
    float
        Mean heading; where it is not known, the direction in which the overlap is longest. Degrees clockwise from
        north.
    """
    headings = [ds.attrs.get("heading") for ds in products]
    known = [float(h) for h in headings if isinstance(h, int | float | np.number)]
    return mean_azimuth(known) if len(known) == len(headings) else footprint_azimuth(lon, lat)


def statistics_table(comparison: xr.Dataset) -> list[tuple[str, str, str]]:
    """
    List the key numbers of a comparison: name, value and unit.

    Parameters
    ----------
    comparison : xr.Dataset
        Computed.

    Returns
    -------
    list of tuple of str
        In the units that figures show.
    """
    from mimtpy_cloud.view.seam import seam_unit

    shade, (first, second) = seam_unit(comparison), comparison.attrs["labels"]
    rows = [("difference", f"{first} minus {second}", "")]
    for name in ("median", "sigma", "mad", "mean", "rms", "intercept"):
        rows.append((name, f"{float(comparison[name]) * shade.factor:.4g}", shade.unit))
    rows += [(name, f"{float(comparison[name]):.4g}", "") for name in ("slope", "correlation")]
    return [*rows, ("pixels", f"{int(comparison['count']):,}", "")]
