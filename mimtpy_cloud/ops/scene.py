"""Empty scenes: a grid, and one look for all its pixels, for what is simulated on it."""

import dask.array as da
import numpy as np
import xarray as xr

from mimtpy_cloud.errors import SchemaError
from mimtpy_cloud.kernels.look import azimuth_from_heading, los_unit_vector
from mimtpy_cloud.plan.grid import Grid, Window
from mimtpy_cloud.schema import LOS, RESOLUTIONS, SPATIAL_REF, VARIABLES, require_variables

__all__ = ["blank_scene", "constant_look"]

#: Pixels of a chunk.
_CHUNK = 625


def blank_scene(
    grid: Window | Grid, *, incidence: float = 38.0, heading: float = -12.5, look_side: str = "right"
) -> xr.Dataset:
    """
    Make a scene without data, seen along one look.

    Parameters
    ----------
    grid : Window or Grid
        Its pixels: of the global lattice, or any.
    incidence, heading, look_side : object
        As for `constant_look`.

    Returns
    -------
    xr.Dataset
        Lazy, with coordinates, ``spatial_ref`` and the look; no other variable.

    Raises
    ------
    SchemaError
        As from `constant_look`.

    See Also
    --------
    mimtpy_cloud.ops.simulate.simulate_scene : A scene with an orbit, land and motion.

    Examples
    --------
    >>> ds = blank_scene(Window.covering(125, (36.4, 37.6, 37.6, 38.4)))
    >>> dict(ds.sizes), float(ds.los_up[0, 0].round(3))
    ({'y': 100, 'x': 150}, 0.788)
    """
    from pyproj import CRS

    cells = grid.grid if isinstance(grid, Window) else grid
    crs = CRS.from_user_input(cells.crs)
    names = ("latitude", "longitude") if crs.is_geographic else ("projection_y_coordinate", "projection_x_coordinate")
    units = ("degrees_north", "degrees_east") if crs.is_geographic else ("m", "m")
    coords = {
        "y": ("y", grid.y, {"units": units[0], "standard_name": names[0]}),
        "x": ("x", grid.x, {"units": units[1], "standard_name": names[1]}),
        SPATIAL_REF: ((), 0, {"crs_wkt": str(crs.to_wkt())}),
    }
    ds = xr.Dataset(coords=coords)
    if isinstance(grid, Window):
        name = next((k for k, n in RESOLUTIONS.items() if n == grid.n), f"{grid.n}ppd")
        ds.attrs |= {"resolution": name, "pixels_per_degree": grid.n}
    return constant_look(ds, incidence=incidence, heading=heading, look_side=look_side)


def constant_look(ds: xr.Dataset, *, incidence: float, heading: float, look_side: str = "right") -> xr.Dataset:
    """
    Give every pixel of a dataset the same look.

    Parameters
    ----------
    ds : xr.Dataset
        With coordinates ``y`` and ``x``.
    incidence : float
        Degrees from the vertical at the ground, 0 to below 90.
    heading : float
        Flight direction, degrees clockwise from north, any branch.
    look_side : {"right", "left"}
        Side of the flight direction that is looked at.

    Returns
    -------
    xr.Dataset
        With lazy ``los_east, los_north, los_up``, from ground to satellite, in the place of any that it has.

    Raises
    ------
    SchemaError
        If the incidence, the heading or the side is impossible, or there are no coordinates.

    See Also
    --------
    mimtpy_cloud.kernels.look.los_unit_vector : The equation.

    Examples
    --------
    An ascending satellite that looks to the right is in the west; the left is in the east:

    >>> ds = xr.Dataset(coords={"y": [40.0], "x": [30.0]})
    >>> float(constant_look(ds, incidence=39.0, heading=-12.0)["los_east"].round(3)[0, 0])
    -0.616
    >>> float(constant_look(ds, incidence=39.0, heading=-12.0, look_side="left")["los_east"].round(3)[0, 0])
    0.616
    """
    require_variables("the scene", ds.indexes, "y", "x")
    if not 0 <= incidence < 90:
        raise SchemaError(f"incidence must be from 0 to below 90 degrees, got {incidence:g}")
    if not np.isfinite(heading):
        raise SchemaError(f"heading must be degrees clockwise from north, got {heading:g}")
    if look_side not in ("right", "left"):
        raise SchemaError(f"look side must be 'right' or 'left', got {look_side!r}")
    look = los_unit_vector(incidence, float(azimuth_from_heading(heading, look_side)))
    shape = ds.sizes["y"], ds.sizes["x"]
    maps = [v for v in ds.data_vars.values() if v.chunks is not None and {"y", "x"} <= set(v.dims)]
    chunks = (maps[0].chunksizes["y"], maps[0].chunksizes["x"]) if maps else _CHUNK
    layers = {
        name: (("y", "x"), da.full(shape, float(part), np.float32, chunks=chunks), VARIABLES[name].attrs)  # type: ignore[no-untyped-call]
        for name, part in zip(LOS, look, strict=True)
    }
    return ds.assign(layers).assign_attrs(heading=float(heading), look_side=look_side)
