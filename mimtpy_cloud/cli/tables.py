"""Catalog entries as a table."""

from collections.abc import Iterable

import numpy as np
import xarray as xr

from mimtpy_cloud.catalog.index import Entry
from mimtpy_cloud.cli.console import show_table

__all__ = ["adjustment_lines", "facts", "scale_lines", "show_entries"]


def show_entries(entries: Iterable[Entry]) -> None:
    """
    Print entries, one a line.

    Parameters
    ----------
    entries : iterable of Entry
        From a catalog.
    """
    columns = ("track", "product", "project", "resolution", "dates", "bands", "W S E N", "committed, UTC")
    show_table(columns, [_row(entry) for entry in entries])


def _row(entry: Entry) -> tuple[str, ...]:
    dates = f"{entry.dates[0]} to {entry.dates[-1]} ({len(entry.dates)})" if entry.dates else "-"
    bands = f"{entry.bands[0]} to {entry.bands[-1]}" if len(entry.bands) > 1 else " ".join(map(str, entry.bands))
    box = " ".join(f"{value:.3f}" for value in entry.bounds)
    where = f"{entry.sensor}/{entry.track}"
    return where, entry.product, entry.project or "-", entry.resolution, dates, bands, box, entry.committed[:19]


def facts(entry: Entry) -> dict[str, str]:
    """
    Say everything about an entry.

    Parameters
    ----------
    entry : Entry
        From a catalog.

    Returns
    -------
    dict
        Name to text; the attributes of the source's own program are left out.
    """
    known = {
        "track": f"{entry.sensor}/{entry.track}",
        "product": entry.product,
        "project": entry.project or "-",
        "resolution": f"{entry.resolution} ({entry.pixels_per_degree} pixels a degree)",
        "revision": entry.revision,
        "committed": entry.committed,
        "bands": " ".join(map(str, entry.bands)),
        "W S E N": " ".join(f"{value:.5f}" for value in entry.bounds),
        "pixels": f"{entry.extent.ny} x {entry.extent.nx}",
        "variables": " ".join(entry.variables),
        "dates": " ".join(entry.dates) or "-",
    }
    more = {key: str(value) for key, value in entry.attrs.items() if key not in (*known, "sensor", "mintpy")}
    return known | more


def adjustment_lines(adjustment: xr.Dataset) -> list[str]:
    """
    Say in short what an adjustment adds, and how well the tracks fit.

    Parameters
    ----------
    adjustment : xr.Dataset
        Computed result of `mimtpy_cloud.ops.adjustment.estimate_adjustment`.

    Returns
    -------
    list of str
        A line of the tracks, one of each pair with common pixels, and one of the stations if there are any.

    Examples
    --------
    >>> made = xr.Dataset({"offset": ("track", [0.0, 0.0042], {"units": "m/yr"})}, {"track": ["A064", "A137"]})
    >>> adjustment_lines(made.assign_attrs(order=0))
    ['added in mm/yr: A064 +0.00, A137 +4.20']
    """
    unit = f"m{adjustment['offset'].attrs['units']}"
    offsets = zip(adjustment["track"].values, 1000 * adjustment["offset"].values, strict=True)
    ramps = ", and ramps" if adjustment.attrs["order"] else ""
    lines = [f"added in {unit}: " + ", ".join(f"{track} {offset:+.2f}" for track, offset in offsets) + ramps]
    if "pair" in adjustment.coords:
        names = ("pair_count", "pair_rms", "pair_rms_after")
        rows = zip(adjustment["pair"].values, *(adjustment[name].values for name in names), strict=True)
        lines += [
            f"{pair}: rms {1000 * before:.2f} before, {1000 * after:.2f} after, {count:,} pixels"
            for pair, count, before, after in rows
            if count
        ]
    if "station" in adjustment.coords:
        used = int(np.isfinite(adjustment["tie_residual"].values).any(axis=0).sum())
        of = adjustment.sizes["station"]
        chi2, dof = float(adjustment["chi2"]), int(adjustment["dof"])
        lines.append(f"{used} of {of} stations used; chi^2 {chi2:.3g} of {dof} degrees of freedom")
    return lines


def scale_lines(scales: xr.Dataset) -> list[str]:
    """
    Say in short how large the errors of tracks are.

    Parameters
    ----------
    scales : xr.Dataset
        Computed result of `mimtpy_cloud.ops.variance.variance_components`.

    Returns
    -------
    list of str
        A line of each track.

    Examples
    --------
    >>> numbers = {"scale": 2.0, "scale_std": 0.1, "sigma": 0.003, "offset": -0.0012}
    >>> made = {name: ("track", [value], {"units": "m/yr"}) for name, value in numbers.items()}
    >>> scale_lines(xr.Dataset(made, {"track": ["A064"]}, {"scales": "velocity_std"}))
    ['A064: standard deviations x 2.00 +- 0.10, typically 3.00 mm/yr; offset -1.20 mm/yr']
    """
    unit = f"m{scales['sigma'].attrs['units']}"
    names = ("scale", "scale_std", "sigma", "offset")
    lines = []
    for track, *numbers in zip(scales["track"].values, *(scales[name].values for name in names), strict=True):
        scale, std, sigma, offset = map(float, numbers)
        told = f"{track}: standard deviations x {scale:.2f} +- {std:.2f}, typically {1000 * sigma:.2f} {unit}"
        if not scales.attrs["scales"]:
            told = f"{track}: standard deviation {1000 * sigma:.2f} +- {1000 * std:.2f} {unit}"
        unknown = f"{track}: no pixel has a spare look; standard deviations as those of the others"
        shown = "" if np.isnan(offset) else f"; offset {1000 * offset:+.2f} {unit}"
        lines.append(unknown if np.isnan(scale) else told + shown)
    return lines
