"""Line up what is observed as columns, one row a pixel with data or a point."""

from pathlib import Path

import numpy as np
import xarray as xr

from mimtpy_cloud.exports.observed import degree_grid
from mimtpy_cloud.exports.planes import stream_planes
from mimtpy_cloud.exports.progress import Progress, TaskProgress
from mimtpy_cloud.schema import require_variables

__all__ = ["columns_of"]


def columns_of(
    maps: dict[str, xr.DataArray],
    place: xr.Dataset,
    folder: Path,
    *,
    optional: tuple[str, ...] = (),
    progress: Progress | None = None,
) -> dict[str, np.ndarray]:
    """
    Compute maps or columns and keep the rows where all have data.

    Parameters
    ----------
    maps : dict of str to xr.DataArray
        All ``(y, x)``, or all of points.
    place : xr.Dataset
        Tells where: a grid in degrees, or `lon` and `lat` of the points.
    folder : Path
        For arrays on disk; the caller removes it.
    optional : tuple of str
        Maps that may be NaN in a row.
    progress : callable, optional
        ``progress(done, total, unit)``.

    Returns
    -------
    dict of str to np.ndarray
        The maps, `lon` and `lat` (degrees, of pixel centres), and of a grid `row` and `col`; float64 and int64, in the
        order of rows and columns.

    Raises
    ------
    SchemaError
        If points have no lon and lat.
    GridMismatchError
        If a grid is not in degrees.
    """
    first = next(iter(maps.values()))
    needed = [name for name in maps if name not in optional]
    if first.dims == ("y", "x"):
        grid = degree_grid(place, "a table of pixels")
        planes = stream_planes(maps, folder, progress=progress)
        row, col = np.nonzero(np.logical_and.reduce([np.isfinite(planes[name]) for name in needed]))
        where = {"lon": grid.x[col], "lat": grid.y[row], "row": row, "col": col}
        return where | {name: plane[row, col].astype(np.float64) for name, plane in planes.items()}
    require_variables("a table of points", place.variables, "lon", "lat")
    with TaskProgress(progress):
        found = xr.Dataset(maps).compute()
    values = {name: np.asarray(found[name].values, np.float64) for name in maps}
    good = np.logical_and.reduce([np.isfinite(values[name]) for name in needed])
    values |= {name: np.asarray(place[name].values, np.float64) for name in ("lon", "lat")}
    return {name: array[good] for name, array in values.items()} | {"point": np.nonzero(good)[0]}
