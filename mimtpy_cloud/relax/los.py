"""Project motion in east, north and up onto the line of sight, with one look for each point or pixel."""

from collections.abc import Sequence

import xarray as xr

from mimtpy_cloud.errors import SchemaError
from mimtpy_cloud.kernels.look import los_unit_vector, project_enu
from mimtpy_cloud.schema import LOS, require_variables

__all__ = ["to_los"]

_ANGLES = ("incidence_angle", "los_azimuth_angle")


def to_los(ds: xr.Dataset, look: xr.Dataset | Sequence[float]) -> xr.DataArray:
    """
    Project displacement onto the line of sight.

    Parameters
    ----------
    ds : xr.Dataset
        `east`, `north` and `up` in m, of any dimensions, lazy or not.
    look : xr.Dataset or sequence of float
        `los_east`, `los_north` and `los_up`, or `incidence_angle` and `los_azimuth_angle`, on dimensions that `ds` has,
        such as `station` or `y, x`. Or two numbers: incidence in degrees from the vertical, and azimuth in degrees from
        north, anticlockwise, ground to satellite, of one look for all.

    Returns
    -------
    xr.DataArray
        `displacement` in m, dimensions of `ds`, positive toward the satellite; with the attribute `parameters`, if the
        dataset has it.

    Raises
    ------
    SchemaError
        If a component or the look is missing, the look has other dimensions, or coordinates do not agree.

    See Also
    --------
    mimtpy_cloud.kernels.look.los_unit_vector : Angles and vectors.

    Examples
    --------
    Uplift of 10 mm, and a satellite at 39 degrees from the vertical:

    >>> ds = xr.Dataset({"east": ("station", [0.0]), "north": ("station", [0.0]), "up": ("station", [0.01])})
    >>> to_los(ds, (39.0, 102.0)).values.round(6).tolist()
    [0.007771]
    """
    require_variables("the displacement", ds, "east", "north", "up")
    if isinstance(look, xr.Dataset):
        vectors = _vectors(look)
        if strange := sorted({str(dim) for v in vectors for dim in v.dims} - {str(dim) for dim in ds["east"].dims}):
            raise SchemaError(f"the look has dimensions {strange} that the displacement, of {ds['east'].dims}, lacks")
    elif len(look) == 2:
        vectors = [xr.DataArray(v) for v in los_unit_vector(*look)]
    else:
        raise SchemaError(f"expected a look as incidence and azimuth in degrees, got {look!r}")
    try:
        east, north, up, *looks = xr.align(ds["east"], ds["north"], ds["up"], *vectors, join="exact")
    except ValueError as error:
        raise SchemaError(
            f"the look must have the coordinates of the displacement; select or interpolate first: {error}"
        ) from error
    kept = {name: ds.attrs[name] for name in ("parameters",) if name in ds.attrs}
    los: xr.DataArray = project_enu(east, north, up, (looks[0], looks[1], looks[2]))
    return (
        los.transpose(*ds["east"].dims)
        .rename("displacement")
        .assign_attrs(units="m", long_name="line-of-sight displacement, toward the satellite positive", **kept)
    )


def _vectors(look: xr.Dataset) -> list[xr.DataArray]:
    """Components of the look vectors of a dataset."""
    if all(name in look for name in LOS):
        return [look[name] for name in LOS]
    if not all(name in look for name in _ANGLES):
        raise SchemaError(f"a look needs {', '.join(LOS)}, or {', '.join(_ANGLES)}; it has {', '.join(map(str, look))}")
    found = xr.apply_ufunc(
        los_unit_vector, look[_ANGLES[0]], look[_ANGLES[1]], output_core_dims=[[], [], []], dask="allowed"
    )
    return list(found)
