"""Write the table of points that GBIS inverts, as a MATLAB file."""

import xarray as xr

from mimtpy_cloud.errors import SchemaError
from mimtpy_cloud.exports.observed import heading_of, look_angles, phase_of
from mimtpy_cloud.exports.pixels import columns_of
from mimtpy_cloud.exports.progress import Progress
from mimtpy_cloud.exports.provenance import SOFTWARE
from mimtpy_cloud.exports.publish import staged

__all__ = ["write_gbis"]

#: Most values of a variable of MATLAB's version 5: 2 GB of doubles.
_MOST = (1 << 28) - 1


def write_gbis(
    ds: xr.Dataset,
    url: str,
    *,
    progress: Progress | None = None,
    variable: str | None = None,
    wavelength: float | None = None,
) -> list[str]:
    """
    Write every pixel with data, or every point, as GBIS reads it: NAME.mat.

    Parameters
    ----------
    ds : xr.Dataset
        Map ``(y, x)`` on a grid in degrees, or one dimension of points with `lon` and `lat`, such as the leaves of a
        quadtree: displacement (m) or velocity (m/yr), positive toward the satellite, and `los_east, los_north,
        los_up`; attribute ``wavelength``, and of a velocity ``start_date, end_date``.
    url : str
        Local path or any fsspec URL.
    progress : callable, optional
        ``progress(done, total, unit)``.
    variable : str, optional
        What to write; by default `displacement`, else `velocity`.
    wavelength : float, optional
        In m, where the product does not say.

    Returns
    -------
    list of str
        The file.

    Raises
    ------
    SchemaError, DateError, GridMismatchError
        If the product lacks something, has no data, or has more than MATLAB's version 5 holds (2 GB a variable).
    StorageError
        If the place cannot be written.

    See Also
    --------
    mimtpy_cloud.exports.kite.write_kite : A whole scene.

    Notes
    -----
    Columns of doubles: ``Lon, Lat`` (degrees, of pixel centres), ``Phase = -4 pi / wavelength * displacement`` (rad),
    ``Inc`` (degrees from the vertical) and ``Heading`` (degrees clockwise from north, of each pixel, from its look); of
    a product with `height` also ``Height`` (m, as it is; GBIS takes it from sea level), NaN where it is not known.
    A velocity becomes the displacement from the first to the last date. Memory: 40 bytes a pixel with data, 48 with
    heights.

    References
    ----------
    .. [1] M. Bagnardi and A. Hooper, 2018, Inversion of surface deformation data for rapid estimates of source
       parameters and uncertainties: a Bayesian approach, DOI 10.1029/2018GC007585.
    """
    from scipy.io import savemat

    phase = phase_of(ds, variable, wavelength)
    incidence, azimuth = look_angles(ds)
    if phase.size > _MOST:
        raise SchemaError(
            f"a MATLAB file holds {_MOST} points, got {phase.size} pixels; cut a box (--bbox) or take a quadtree"
        )
    with staged(url) as path:
        maps = {"Phase": phase, "Inc": incidence, "azimuth": azimuth}
        heights = {"Height": ds["height"]} if "height" in ds and ds["height"].dims == phase.dims else {}
        table = columns_of(maps | heights, ds, path.parent, optional=("Height",), progress=progress)
        if not table["Phase"].size:
            raise SchemaError("there is no pixel with data and a look; nothing was written")
        columns = {"Lon": table["lon"], "Lat": table["lat"], "Phase": table["Phase"], "Inc": table["Inc"]}
        columns |= {"Heading": heading_of(ds, table["azimuth"]), **{name: table[name] for name in heights}}
        said = ds if wavelength is None else ds.assign_attrs(wavelength=wavelength)
        with path.open("wb") as file:
            savemat(file, {**columns, "Metadata": _metadata(said)}, oned_as="column")
    return [url]


def _metadata(ds: xr.Dataset) -> dict[str, str]:
    names = ("track", "start_date", "end_date", "wavelength")
    return {"software": SOFTWARE} | {name: str(ds.attrs[name]) for name in names if ds.attrs.get(name) is not None}
