"""Write what is known of noise: numbers, semivariogram and figure."""

from collections.abc import Mapping
from typing import Any

import xarray as xr

from mimtpy_cloud.exports.provenance import SOFTWARE, jsonable
from mimtpy_cloud.exports.publish import publish_bytes
from mimtpy_cloud.ops.covariance import covariance_model

__all__ = ["write_covariance"]

_COLUMNS = ("distance", "semivariance", "covariance", "pairs")


def write_covariance(
    lazy: xr.Dataset, stem: str, provenance: Mapping[str, Any], *, title: str = ""
) -> tuple[list[str], list[str]]:
    """
    Compute a covariance, and write ``<stem>.json``, ``<stem>.csv`` and ``<stem>.png``.

    Parameters
    ----------
    lazy : xr.Dataset
        As `mimtpy_cloud.ops.covariance.estimate_covariance` gives it.
    stem : str
        Path or URL without suffix.
    provenance : mapping
        What it was made from, for the JSON.
    title : str
        Of the figure.

    Returns
    -------
    files : list of str
        What was written.
    lines : list of str
        The numbers, to print.

    Raises
    ------
    SchemaError
        If there are too few pixels; nothing is written.
    StorageError
        If the place cannot be written.
    """
    from mimtpy_cloud.view.covariance import plot_covariance
    from mimtpy_cloud.view.map import save_figure
    from mimtpy_cloud.view.seam import write_json

    found = lazy.compute()
    model, units = covariance_model(found), str(found["sill"].attrs["units"])
    figure = plot_covariance(found, title=title)
    numbers = {"kind": model.kind, "sill": model.sill, "range_km": model.range_km, "nugget": model.nugget}
    content = {**numbers, "units": units, "variance": float(found["variance"])}
    write_json(content | {"provenance": jsonable({**provenance, "software": SOFTWARE})}, f"{stem}.json")
    known = found.isel(lag=found["pairs"].values > 0)
    rows = zip(*(known[name].values for name in _COLUMNS), strict=True)
    head = ",".join(f"{name} [{known[name].attrs['units']}]" for name in _COLUMNS)
    table = [head, *(f"{h:.6g},{gamma:.8g},{c:.8g},{n:.0f}" for h, gamma, c, n in rows)]
    publish_bytes(("\n".join(table) + "\n").encode(), f"{stem}.csv")
    save_figure(figure, f"{stem}.png", dpi=150)
    lines = [f"sill      {model.sill:.6g} {units}", f"range     {model.range_km:.6g} km"]
    lines += [f"nugget    {model.nugget:.6g} {units}", f"variance  {content['variance']:.6g} {units}"]
    return [f"{stem}.{suffix}" for suffix in ("json", "csv", "png")], lines
