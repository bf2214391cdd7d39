"""Write phase and look for InSAMP: NAME.unw with its .rsc, and NAME.los."""

import numpy as np
import xarray as xr

from mimtpy_cloud.exports.observed import (
    degree_grid,
    heading_of,
    line_of_sight,
    look_angles,
    phase_of,
    staged_together,
)
from mimtpy_cloud.exports.planes import stream_planes
from mimtpy_cloud.exports.progress import Progress
from mimtpy_cloud.exports.roipac import kind_of_raster, write_raster
from mimtpy_cloud.exports.rsc import format_rsc, rsc_attributes
from mimtpy_cloud.schema import require_dims

__all__ = ["write_insamp"]


def write_insamp(
    ds: xr.Dataset,
    url: str,
    *,
    progress: Progress | None = None,
    variable: str | None = None,
    wavelength: float | None = None,
) -> list[str]:
    """
    Write unwrapped phase and the look of each pixel as InSAMP reads them.

    Parameters
    ----------
    ds : xr.Dataset
        Dimensions ``(y, x)`` on a grid in degrees: displacement (m) or velocity (m/yr), positive toward the satellite,
        and `los_east, los_north, los_up`; attributes ``start_date, end_date, wavelength``.
    url : str
        Local path or any fsspec URL, with or without ``.unw``.
    progress : callable, optional
        ``progress(done, total, unit)``.
    variable : str, optional
        What to write; by default `displacement`, else `velocity`.
    wavelength : float, optional
        In m, where the product does not say.

    Returns
    -------
    list of str
        ``.unw``, ``.unw.rsc``, ``.los``, ``.los.rsc``.

    Raises
    ------
    SchemaError, DateError, GridMismatchError
        If the product lacks something.
    StorageError
        If the place cannot be written.

    See Also
    --------
    mimtpy_cloud.exports.roipac.write_roipac : Phase alone, where no data is NaN.

    Notes
    -----
    ``.unw``: two equal bands of float32 interleaved by line, rad, ``-4 pi / wavelength`` times the displacement from
    the first to the last date. ``.los``: float32, all rows of the incidence (degrees from the vertical), then all rows
    of the heading (degrees clockwise from north). Both little-endian, with 0 for no data, as the format has it: the
    reference pixel, whose phase is 0, cannot be told from it. Memory: the blocks in flight.
    """
    require_dims("a file of InSAMP", line_of_sight(ds, variable).dims, "y", "x")
    grid = degree_grid(ds, "a file of InSAMP")
    base = url[: -len(".unw")] if url.lower().endswith(".unw") else url
    incidence, azimuth = look_angles(ds)
    maps = {"phase": phase_of(ds, variable, wavelength).fillna(0), "inc": incidence, "azimuth": azimuth}
    names = [f"{base}{suffix}" for suffix in (".los", ".los.rsc", ".unw", ".unw.rsc")]
    with staged_together(*names) as (los, los_rsc, unw, unw_rsc):
        planes = stream_planes(maps, unw.parent, progress=progress)
        write_raster(planes["phase"], unw)
        with los.open("wb") as file:
            for name in ("inc", "azimuth"):
                for row in planes[name]:
                    values = row if name == "inc" else heading_of(ds, row)
                    np.nan_to_num(values, nan=0.0).astype("<f4").tofile(file)
        phase = kind_of_raster(".unw") | {"NO_DATA_VALUE": 0}
        angles = phase | {"FILE_TYPE": ".los", "INTERLEAVE": "BSQ", "UNIT": "degrees"}
        for path, kind in ((unw_rsc, phase), (los_rsc, angles)):
            path.write_text(format_rsc(rsc_attributes(ds, grid, **kind)), encoding="utf-8")
    return names
