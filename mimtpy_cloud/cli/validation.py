"""Compare a product with GNSS stations at the edge: compute once, write figure and numbers."""

from collections.abc import Mapping
from typing import Any

import xarray as xr

from mimtpy_cloud.ops.validation import compare_gnss

__all__ = ["validate"]


def validate(
    product: xr.Dataset, stations: xr.Dataset, stem: str, provenance: Mapping[str, Any], **options: Any
) -> tuple[tuple[str, str], xr.Dataset]:
    """
    Compare a product with stations, and write ``<stem>.png`` and ``<stem>.json``.

    Parameters
    ----------
    product : xr.Dataset
        Velocity of a track or mosaic, or a decomposition.
    stations : xr.Dataset
        As `mimtpy_cloud.io.gnss.read_stations` gives it.
    stem : str
        Path or URL without suffix.
    provenance : mapping
        What was compared, for the JSON.
    **options : object
        Of `compare_gnss`.

    Returns
    -------
    files : tuple of str
        What was written.
    comparison : xr.Dataset
        Computed.

    Raises
    ------
    SchemaError, ReferencePointError
        If they cannot be compared; nothing is written.
    """
    from mimtpy_cloud.view.map import save_figure
    from mimtpy_cloud.view.seam import write_json
    from mimtpy_cloud.view.together import compute_together
    from mimtpy_cloud.view.validation import background, describe_gnss, plot_gnss

    lazy = compare_gnss(product, stations, **options)
    comparison, maps = compute_together([lazy, background(product, lazy)])
    content = describe_gnss(comparison) | {"provenance": dict(provenance)}
    save_figure(plot_gnss(comparison, maps), f"{stem}.png", dpi=150)
    write_json(content, f"{stem}.json")
    return (f"{stem}.png", f"{stem}.json"), comparison
