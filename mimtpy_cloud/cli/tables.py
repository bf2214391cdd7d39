"""Catalog entries as a table."""

from collections.abc import Iterable

from mimtpy_cloud.catalog.index import Entry
from mimtpy_cloud.cli.console import show_table

__all__ = ["facts", "show_entries"]


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
