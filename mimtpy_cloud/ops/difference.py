"""Difference of two products, or of two time series, pixel by pixel."""

import logging
from typing import Any, Literal

import numpy as np
import xarray as xr

from mimtpy_cloud.errors import DateError, GridMismatchError, SchemaError
from mimtpy_cloud.ops.pixels import map_projection
from mimtpy_cloud.plan.dates import parse_dates
from mimtpy_cloud.plan.grid import ON_LATTICE, Bounds, Grid, Window
from mimtpy_cloud.schema import LOS, SPATIAL_REF, VARIABLES, require_variables

__all__ = ["subtract"]

_log = logging.getLogger(__name__)

#: Variables whose difference has a meaning; each may have a standard deviation.
_MEASURED = ("displacement", "velocity", "east", "north", "horizontal", "up")
#: What stays if both are of one track.
_GEOMETRY = (*LOS, "height", "slant_range")
#: What is said of either side.
_SIDE = ("track", "product", "project", "start_date", "end_date", "reference_point", "reference_date", "revision")
_DIMS = (("y", "x"), ("time", "y", "x"))


def subtract[Data: (xr.Dataset, xr.DataArray)](
    a: Data, b: Data, *, join: Literal["inner", "outer"] = "inner", bbox: Bounds | None = None
) -> Data:
    """
    Subtract one product or series from another where both have data.

    Parameters
    ----------
    a, b : xr.Dataset or xr.DataArray
        Minuend and subtrahend, both datasets or both arrays, in any chunks: two-dimensional products (tracks, periods,
        observation and model), or time series. One grid, which need not cover the same area, one kind and one unit.
    join : {"inner", "outer"}
        Whether the result covers the common pixels, or the smallest rectangle that holds both, NaN outside the common
        ones.
    bbox : tuple of float, optional
        West, south, east, north of a box, as for `select_box`, to which both are cut first.

    Returns
    -------
    xr.Dataset or xr.DataArray
        Lazy if an input is. ``a - b`` of every measured variable that both have (displacement, velocity, east, north,
        horizontal, up) in its unit; its standard deviation, for independent errors, if both have theirs; ``valid``
        where both are; of one track, also the geometry of `a`. Series: the dates that both have, exactly; attribute
        ``unmatched_dates`` names the others. Attributes ``minuend`` and ``subtrahend`` say what was subtracted from
        what; of the others, those stay that both agree on.

    Raises
    ------
    GridMismatchError
        If the grids differ in step, origin or projection, or share no pixel; the message names both.
    SchemaError
        If they have no measured variable in common, or its units or dimensions differ.
    DateError
        If two series have no date in common.

    See Also
    --------
    mimtpy_cloud.ops.rate.displacement_between : Difference between two dates of one series.

    Notes
    -----
    The datum stays in the difference: refer both to one point, and series to one date, by `set_reference` first.

    Examples
    --------
    >>> y, x = np.array([1.5, 0.5]), np.array([0.5, 1.5, 2.5])
    >>> a = xr.DataArray(np.full((2, 3), 5.0), {"y": y, "x": x}, ("y", "x"), attrs={"units": "m"})
    >>> subtract(a, (a - 4).assign_attrs(a.attrs).isel(x=slice(1, 3))).values.tolist()
    [[4.0, 4.0], [4.0, 4.0]]
    """
    if join not in ("inner", "outer"):
        raise SchemaError(f"join must be 'inner' or 'outer', got {join!r}")
    if isinstance(a, xr.DataArray) and isinstance(b, xr.DataArray):
        name = a.name if a.name is not None and a.name == b.name else "difference"
        sides = [da.to_dataset(name=name).assign_attrs(da.attrs) for da in (a, b)]
        both = _subtract(sides[0], sides[1], [str(name)], join, bbox)
        difference = both[name]
        difference.attrs = both.attrs | {key: a.attrs[key] for key in ("units", "long_name") if key in a.attrs}
        return difference
    if not (isinstance(a, xr.Dataset) and isinstance(b, xr.Dataset)):
        kinds = f"{type(a).__name__} and {type(b).__name__}"
        raise SchemaError(f"subtract needs two datasets or two arrays, got {kinds}; select a variable of the dataset")
    names = [name for name in _MEASURED if name in a and name in b]
    if not names:
        has = "; ".join(f"{_label(ds)} has {', '.join(map(str, ds.data_vars))}" for ds in (a, b))
        raise SchemaError(f"subtract needs one of {', '.join(_MEASURED)} on both sides: {has}")
    return _subtract(a, b, names, join, bbox)


def _label(ds: xr.Dataset) -> str:
    return str(ds.attrs.get("track") or ds.attrs.get("project") or "the dataset")


def _subtract(a: xr.Dataset, b: xr.Dataset, names: list[str], join: str, bbox: Bounds | None) -> xr.Dataset:
    for name in names:
        _require_one_kind(a, b, name)
    one, other = _grid(a, b), _grid(b, a)
    _require_one_lattice(a, b, one, other)
    attrs = _attrs(a, b)
    if bbox is not None:
        (a, one), (b, other) = (_cut(*side, *side[1].box(bbox)) for side in ((a, one), (b, other)))
    if any("time" in a[name].dims for name in names):
        a, b, unmatched = _common_dates(a, b)
        attrs["unmatched_dates"] = unmatched
    row, col = _shift(one, other)
    rows, cols = _overlap(one.ny, row, other.ny), _overlap(one.nx, col, other.nx)
    if rows.start >= rows.stop or cols.start >= cols.stop:
        raise GridMismatchError(f"the grids share no pixel: {_shown(a, one)}; {_shown(b, other)}")
    first = a.isel(y=rows, x=cols)
    second = b.isel(y=slice(rows.start - row, rows.stop - row), x=slice(cols.start - col, cols.stop - col))
    result = xr.Dataset(_differences(first, second, names), _coords(first, names), attrs)
    if join == "inner":
        return result
    top, left = min(0, row), min(0, col)
    bottom, right = max(one.ny, row + other.ny), max(one.nx, col + other.nx)
    pad = {"y": (rows.start - top, bottom - rows.stop), "x": (cols.start - left, right - cols.stop)}
    return _padded(result, pad, a, one, (top, left, bottom - top, right - left))


def _require_one_kind(a: xr.Dataset, b: xr.Dataset, name: str) -> None:
    dims = [ds[name].dims for ds in (a, b)]
    if dims[0] not in _DIMS or dims[0] != dims[1]:
        raise SchemaError(
            f"{name} needs dimensions (y, x), or (time, y, x), on both sides, got {dims[0]} and {dims[1]}"
        )
    units = [ds[name].attrs.get("units") for ds in (a, b)]
    if units[0] != units[1]:
        raise SchemaError(f"{name} needs one unit on both sides, got {units[0]} and {units[1]}; convert one first")


def _grid(ds: xr.Dataset, beside: xr.Dataset) -> Grid:
    """Grid of one side; the pixels of a single row or column are as large as those beside it."""
    for side in (ds, beside):
        require_variables(_label(side), side.indexes, "y", "x")
    x, y = ds.indexes["x"].to_numpy(), ds.indexes["y"].to_numpy()
    n = ds.attrs.get("pixels_per_degree")
    return Window.of(x, y, int(n)).grid if n is not None else Grid.from_centres(x, y, step=_step(ds, beside))


def _step(ds: xr.Dataset, beside: xr.Dataset) -> float:
    """Pixel size along a dimension of one pixel: that of the other side, else of the other dimension."""
    single = "x" if ds.sizes["x"] == 1 else "y"
    for side, dim in ((beside, single), (ds, "y"), (ds, "x"), (beside, "y"), (beside, "x")):
        if side.sizes[dim] > 1:
            return abs(float(side.indexes[dim][1] - side.indexes[dim][0]))
    return 1.0


def _cut(ds: xr.Dataset, grid: Grid, rows: slice, cols: slice) -> tuple[xr.Dataset, Grid]:
    return ds.isel(y=rows, x=cols), grid.crop(rows, cols)


def _shown(ds: xr.Dataset, grid: Grid) -> str:
    """Describe a grid, for messages."""
    edges = ", ".join(f"{v:.8g}" for v in grid.bounds)
    crs = "" if map_projection(ds) is None else " in a map projection"
    return f"{_label(ds)} has {grid.ny} x {grid.nx} pixels of {grid.dy:.8g} x {grid.dx:.8g} in [{edges}]{crs}"


def _require_one_lattice(a: xr.Dataset, b: xr.Dataset, one: Grid, other: Grid) -> None:
    """Pixels of both grids must coincide."""
    stretch = max(abs(one.dx / other.dx - 1) * other.nx, abs(one.dy / other.dy - 1) * other.ny)
    if stretch < ON_LATTICE and _crs(a) == _crs(b):
        x, y = _offset(one, other)
        if max(abs(x - round(x)), abs(y - round(y))) < ON_LATTICE + stretch:
            return
    raise GridMismatchError(
        f"the difference needs one grid: {_shown(a, one)}; {_shown(b, other)}; ingest both at one resolution, or "
        "resample one to the grid of the other"
    )


def _crs(ds: xr.Dataset) -> Any:
    """Projection of a grid; None for longitude and latitude."""
    projection = map_projection(ds)
    return None if projection is None else projection.crs


def _offset(one: Grid, other: Grid) -> tuple[float, float]:
    """Columns and rows from the corner of one grid to that of the other, the shorter way around the globe."""
    west = other.west - one.west
    if max(one.nx * one.dx, other.nx * other.dx) <= 360 and max(map(abs, (*one.bounds, *other.bounds))) <= 720:
        middle = west + (other.nx * other.dx - one.nx * one.dx) / 2
        west -= 360 * round(middle / 360)
    return west / one.dx, (one.north - other.north) / one.dy


def _shift(one: Grid, other: Grid) -> tuple[int, int]:
    """Row and column of one grid at which the other begins."""
    x, y = _offset(one, other)
    return round(y), round(x)


def _overlap(size: int, start: int, other: int) -> slice:
    return slice(max(0, start), min(size, start + other))


def _common_dates(a: xr.Dataset, b: xr.Dataset) -> tuple[xr.Dataset, xr.Dataset, dict[str, list[str]]]:
    """Both at the dates that they share, and the others by their side."""
    dates, others = (parse_dates(ds.indexes["time"].to_numpy()) for ds in (a, b))
    _, i, j = np.intersect1d(dates, others, return_indices=True)
    if not i.size:
        spans = " and ".join(f"{d[0]} to {d[-1]}" if d.size else "none" for d in (dates, others))
        raise DateError(f"the series have no date in common, got {spans}; take displacement_between or velocities")
    unmatched = {
        "minuend": np.setdiff1d(dates, others).astype(str).tolist(),
        "subtrahend": np.setdiff1d(others, dates).astype(str).tolist(),
    }
    return a.isel(time=i), b.isel(time=j), unmatched


def _differences(a: xr.Dataset, b: xr.Dataset, names: list[str]) -> dict[str, xr.Variable]:
    """Variables of the result on the common pixels."""
    data = {}
    for name in names:
        data[name] = _named(a, name, a[name].variable - b[name].variable)
        std = f"{name}_std"
        if std in a and std in b:
            data[std] = _named(a, std, (a[std].variable ** 2 + b[std].variable ** 2) ** 0.5)
    if "valid" in a and "valid" in b:
        valid = (a["valid"].variable > 0) & (b["valid"].variable > 0)
        data["valid"] = xr.Variable(valid.dims, valid.data, VARIABLES["valid"].attrs)
    if a.attrs.get("track") is not None and a.attrs.get("track") == b.attrs.get("track"):
        data |= {name: a[name].variable for name in _GEOMETRY if name in a}
    return data


def _named(a: xr.Dataset, name: str, difference: xr.Variable) -> xr.Variable:
    attrs = dict(a[name].attrs)
    if not name.endswith("_std"):
        attrs["long_name"] = f"difference of {attrs.get('long_name', name)}".partition(", ")[0]
    return xr.Variable(difference.dims, difference.data, attrs)


def _coords(a: xr.Dataset, names: list[str]) -> dict[str, Any]:
    dims = {dim for name in names for dim in a[name].dims}
    return {name: a[name].variable for name in (*sorted(map(str, dims)), SPATIAL_REF) if name in a.variables}


def _padded(
    inner: xr.Dataset, pad: dict[str, tuple[int, int]], a: xr.Dataset, grid: Grid, place: tuple[int, int, int, int]
) -> xr.Dataset:
    """The common pixels within the union of both grids; without data, and not valid, outside."""
    top, left, ny, nx = place
    n = a.attrs.get("pixels_per_degree")
    if n is not None:
        corner = Window.of(grid.x, grid.y, int(n))
        whole: Any = Window(int(n), corner.row + top, corner.col + left, ny, nx)
    else:
        whole = Grid(grid.west + left * grid.dx, grid.north - top * grid.dy, grid.dx, grid.dy, nx, ny)
    data = {}
    for name, variable in inner.data_vars.items():
        blank = False if variable.dtype == bool else np.nan
        wide = variable.variable.pad(pad, constant_values=blank)
        data[name] = xr.Variable(wide.dims, wide.data, variable.attrs)
    coords = {name: c.variable for name, c in inner.coords.items() if name not in ("y", "x")}
    coords |= {dim: xr.Variable(dim, getattr(whole, dim), a[dim].attrs) for dim in ("y", "x")}
    return xr.Dataset(data, coords, inner.attrs)


def _attrs(a: xr.Dataset, b: xr.Dataset) -> dict[str, Any]:
    """What both agree on, and what is subtracted from what."""
    agreed = xr.merge(
        [xr.Dataset(attrs=ds.attrs) for ds in (a, b)],
        combine_attrs="drop_conflicts",
        compat="override",
        join="override",
    ).attrs
    attrs = {key: value for key, value in agreed.items() if key in a.attrs and key in b.attrs}
    sides = [{key: ds.attrs[key] for key in _SIDE if key in ds.attrs} for ds in (a, b)]
    names = [str(side.get("track", "")) for side in sides]
    if names[0] != names[1]:
        attrs["track"] = " minus ".join(name or "unknown" for name in names)
    directions = [ds.attrs.get("orbit_direction") for ds in (a, b)]
    if None not in directions and directions[0] != directions[1]:
        _log.warning(
            "%s is %s and %s is %s: their lines of sight differ, so that the difference holds motion",
            *(text for pair in zip(names, directions, strict=True) for text in pair),
        )
    return attrs | {"minuend": sides[0], "subtrahend": sides[1]}
