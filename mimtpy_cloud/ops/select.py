"""Cut a box out of a track, and blank what is not usable."""

import numpy as np
import xarray as xr

from mimtpy_cloud.plan.grid import Bounds, Grid, Window
from mimtpy_cloud.schema import LOS, require_variables

__all__ = ["grid_of", "mask_invalid", "select_box"]

#: Geometry and quality hold on unusable pixels too.
_UNMASKED = frozenset((*LOS, "height", "slant_range", "temporal_coherence", "avg_spatial_coherence"))


def grid_of(ds: xr.Dataset) -> Grid:
    """
    Find the pixel grid of a dataset.

    Parameters
    ----------
    ds : xr.Dataset
        Dataset with coordinates ``y`` (descending) and ``x`` (ascending) of pixel centres.

    Returns
    -------
    Grid
        In the units of the coordinates.

    Raises
    ------
    GridMismatchError
        If the coordinates are not evenly spaced, or too few to tell.
    SchemaError
        If there are none.
    """
    require_variables("the dataset", ds.indexes, "y", "x")
    x, y = ds.indexes["x"].to_numpy(), ds.indexes["y"].to_numpy()
    if "pixels_per_degree" in ds.attrs:
        return Window.of(x, y, int(ds.attrs["pixels_per_degree"])).grid
    return Grid.from_centres(x, y)


def select_box(ds: xr.Dataset, bbox: Bounds) -> xr.Dataset:
    """
    Select the pixels whose centres lie in a box.

    Parameters
    ----------
    ds : xr.Dataset
        Canonical dataset on the lattice or on the grid of its source.
    bbox : tuple of float
        West, south, east, north, in the units of the coordinates (degrees on the lattice). Half-open: a centre on the
        west or north edge is in, one on the east or south edge is out, so that adjacent boxes share no pixel. Whole
        turns of the longitude make no difference.

    Returns
    -------
    xr.Dataset
        All variables, cut; attributes unchanged.

    Raises
    ------
    GridMismatchError
        If the box is malformed or holds no pixel.
    """
    rows, cols = grid_of(ds).box(bbox)
    return ds.isel(y=rows, x=cols)


def mask_invalid(ds: xr.Dataset) -> xr.Dataset:
    """
    Set measured values to NaN where the data are not usable.

    Parameters
    ----------
    ds : xr.Dataset
        Canonical dataset with ``valid (y, x)``.

    Returns
    -------
    xr.Dataset
        Displacement, velocity and every other measured float variable masked; geometry, coherence, counts and
        ``valid`` unchanged.

    Raises
    ------
    SchemaError
        If there is no ``valid``.
    """
    require_variables("the dataset", ds, "valid")
    masked = {
        name: variable.where(_cut_as(variable, ds["valid"]))
        for name, variable in ds.data_vars.items()
        if name not in _UNMASKED and {"y", "x"} <= set(variable.dims) and np.issubdtype(variable.dtype, np.floating)
    }
    return ds.assign(masked)


def _cut_as(variable: xr.DataArray, mask: xr.DataArray) -> xr.DataArray:
    """The mask in the chunks of a variable; by tasks, since dask would import distributed only to choose a method."""
    if variable.chunks is None or mask.chunks is None:
        return mask
    chunks = tuple(variable.chunksizes[dim] for dim in mask.dims)
    return mask.copy(data=mask.data.rechunk(chunks, method="tasks"))
