"""Tables of slip rates and locking depths of faults."""

import csv
import io
import os

import numpy as np
import xarray as xr

from mimtpy_cloud.exports.publish import publish_bytes
from mimtpy_cloud.schema import require_variables

__all__ = ["write_slip_rates"]

#: Columns of places: name, digits.
_PLACES = (("along_km", "way along the fault [km]", 3), ("strike", "strike [degrees]", 2),
           ("fault_lon", "longitude [degrees]", 6), ("fault_lat", "latitude [degrees]", 6))  # fmt: skip
_PARAMETERS = (
    "slip_rate", "locking_depth", "creep_rate", "creep_depth", "second_slip_rate", "second_locking_depth", "offset",
)  # fmt: skip
_ENDS = ("", "_std", "_spread", "_range")


def write_slip_rates(fits: xr.Dataset, url: str | os.PathLike[str]) -> None:
    """
    Write fits of profiles as a table, one row a profile.

    Parameters
    ----------
    fits : xr.Dataset
        As `mimtpy_cloud.ops.transectfit.fit_transects` gives it, lazy or not.
    url : str or path
        A ``.csv`` file: a local path, or any fsspec URL.

    Raises
    ------
    SchemaError
        If it is no result of `fit_transects`.
    StorageError
        If the place cannot be written.

    See Also
    --------
    mimtpy_cloud.view.sliprates.plot_slip_rates : The figure.

    Notes
    -----
    Rates are in mm/yr, right-lateral positive, depths in km; each heading has its unit. Each parameter comes with its
    standard deviation from noise, and the standard deviation and range over the choices of the datum. What is not
    known is empty.
    """
    require_variables("a result of fit_transects", fits.variables, "slip_rate", "locking_depth", "chi2", "count")
    found = fits.compute()
    columns: dict[str, list[str]] = {"profile": [str(int(n) + 1) for n in found["profile"].values]}
    for name, heading, digits in _PLACES:
        if name in found.variables:
            columns[heading] = [_cell(value, digits) for value in found[name].values]
    if "second_fault_km" in found:
        columns["distance of the second fault [km]"] = [_cell(v, 3) for v in found["second_fault_km"].values]
    for name in [name for name in _PARAMETERS if name in found]:
        unit, factor = ("km", 1e-3) if name.endswith("depth") else ("mm/yr", 1e3)
        for end in _ENDS:
            columns[f"{name}{end} [{unit}]"] = [_cell(v * factor, 4) for v in found[f"{name}{end}"].values]
        if f"{name}_at_bound" in found:
            columns[f"{name}_at_bound"] = ["yes" if v else "no" for v in found[f"{name}_at_bound"].values]
    columns["chi2"] = [_cell(v, 4) for v in found["chi2"].values]
    columns["bins"] = [str(int(v)) for v in found["count"].values]
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(columns)
    writer.writerows(zip(*columns.values(), strict=True))
    publish_bytes(text.getvalue().encode(), url)


def _cell(value: float, digits: int) -> str:
    return f"{value:.{digits}f}" if np.isfinite(value) else ""
