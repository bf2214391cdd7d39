"""Angles and places of each pixel as maps, for those who want them in files: our geometry is the look vector."""

import numpy as np
import xarray as xr

from mimtpy_cloud.errors import GridMismatchError
from mimtpy_cloud.kernels.look import incidence_and_azimuth
from mimtpy_cloud.schema import LOS, require_variables

__all__ = ["look_angles", "pixel_places"]

_ANGLES = {
    "incidence_angle": "incidence angle at the ground, from the vertical",
    "los_azimuth_angle": "azimuth of ground to satellite, from north, anticlockwise",
}
_PLACES = {"latitude": ("y", "degrees_north"), "longitude": ("x", "degrees_east")}


def look_angles(ds: xr.Dataset) -> xr.Dataset:
    """
    Turn look vectors into the two angles of MintPy.

    Parameters
    ----------
    ds : xr.Dataset
        With ``los_east, los_north, los_up``.

    Returns
    -------
    xr.Dataset
        ``incidence_angle`` and ``los_azimuth_angle`` in degrees, float32, NaN where there is no look; lazy.

    Raises
    ------
    SchemaError
        If there are no looks.

    See Also
    --------
    mimtpy_cloud.kernels.look.incidence_and_azimuth : The formula.

    Examples
    --------
    >>> looks = dict(zip(("los_east", "los_north", "los_up"), (-0.616, -0.131, 0.777)))  # ascending, right-looking
    >>> found = look_angles(xr.Dataset({name: ((), np.float32(value)) for name, value in looks.items()}))
    >>> f"{float(found.incidence_angle):.0f} {float(found.los_azimuth_angle):.0f}"
    '39 102'
    """
    require_variables("the dataset", ds.data_vars, *LOS)
    found = xr.apply_ufunc(
        _angles,
        *(ds[name] for name in LOS),
        output_core_dims=[[], []],
        dask="parallelized",
        output_dtypes=[np.float32, np.float32],
    )
    named = zip(_ANGLES.items(), found, strict=True)
    angles = {name: da.assign_attrs(units="degrees", long_name=long_name) for (name, long_name), da in named}
    return xr.Dataset(angles, attrs=ds.attrs)


def _angles(east: np.ndarray, north: np.ndarray, up: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    incidence, azimuth = incidence_and_azimuth(east, north, up)
    return incidence.astype(np.float32), azimuth.astype(np.float32)


def pixel_places(ds: xr.Dataset) -> xr.Dataset:
    """
    Spread the coordinates of pixel centres over the map.

    Parameters
    ----------
    ds : xr.Dataset
        With coordinates ``y`` and ``x`` in degrees.

    Returns
    -------
    xr.Dataset
        ``latitude`` and ``longitude`` in degrees, float64, in the blocks of the maps; lazy.

    Raises
    ------
    GridMismatchError
        If the coordinates are metres of a projection.

    Examples
    --------
    >>> ds = xr.Dataset(coords={"y": [40.0, 39.0], "x": [100.0, 101.0, 102.0]})
    >>> pixel_places(ds).longitude.values[1]
    array([100., 101., 102.])
    """
    units = str(ds["x"].attrs.get("units", "degrees"))
    if not units.startswith("degree"):
        raise GridMismatchError(f"latitude and longitude are those of a grid in degrees, got x in {units}; ingest it")
    sizes = {dim: ds.sizes[dim] for dim in ("y", "x")}
    chunks = {dim: ds.chunksizes.get(dim, sizes[dim]) for dim in sizes}
    places = {}
    for name, (dim, unit) in _PLACES.items():
        line = xr.Variable(dim, ds[dim].values).chunk({dim: chunks[dim]})
        plane: xr.Variable = line.set_dims(sizes).chunk(chunks)  # type: ignore[no-untyped-call]
        places[name] = xr.Variable(("y", "x"), plane.data, {"units": unit, "long_name": f"{name} of the pixel"})
    beside = {name: ds.coords[name] for name in ("y", "x", "spatial_ref") if name in ds.coords}
    return xr.Dataset(places, beside, ds.attrs)
