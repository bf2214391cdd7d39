"""Quadtree of a map: a table of leaves, small where the map varies, for models and searches."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import dask
import dask.array as da
import numpy as np
import xarray as xr
from dask.delayed import Delayed
from scipy.linalg import cho_factor, cho_solve

from mimtpy_cloud.errors import SchemaError
from mimtpy_cloud.kernels import quadtree as kernel
from mimtpy_cloud.kernels.cells import sum_cells
from mimtpy_cloud.kernels.covariance import CovarianceModel
from mimtpy_cloud.kernels.look import incidence_and_azimuth
from mimtpy_cloud.kernels.quadtree import Leaves, Rules
from mimtpy_cloud.ops.covariance import covariance_matrix
from mimtpy_cloud.ops.pixels import map_projection
from mimtpy_cloud.ops.select import grid_of
from mimtpy_cloud.plan.grid import Grid
from mimtpy_cloud.schema import LOS, SPATIAL_REF, VARIABLES, require_dims, require_variables

__all__ = ["leaf_noise", "quadtree"]

_DEGREES = {"lon": "degrees_east", "lat": "degrees_north"}
_ANGLES = {
    "incidence_angle": "incidence angle, from vertical at the ground",
    "los_azimuth_angle": "azimuth of the look, anticlockwise from north, ground to satellite",
}


def quadtree(
    ds: xr.Dataset,
    variable: str,
    *,
    epsilon: float | None = None,
    min_px: int | None = None,
    max_px: int | None = None,
    max_nan: float = 0.9,
    rule: str = "strict",
    plane: bool = False,
    covariance: CovarianceModel | None = None,
) -> Delayed:
    """
    Divide a map into squares that are small where it varies.

    Parameters
    ----------
    ds : xr.Dataset
        Product with the map, dims ``(y, x)``, any chunks; NaN is no data, nor are pixels that are not `valid`. With
        `los_east, los_north, los_up`, leaves have looks.
    variable : str
        The map, such as ``"velocity"``.
    epsilon : float, optional
        Standard deviation within a leaf, in the unit of the map, from which on it is split; by default that of the
        whole map.
    min_px, max_px : int, optional
        Shortest and longest side of a leaf, pixels; by default a twentieth and a fifth of the longer side of the map.
    max_nan : float
        Share of pixels without data from which on a leaf is dropped; 1 keeps all that has a pixel with data.
    rule : {"strict", "kite"}
        ``"strict"``: no leaf is longer than `max_px`. ``"kite"``: the leaves of Kite, see
        `mimtpy_cloud.kernels.quadtree.quadtree`.
    plane : bool
        Whether a square is split by what it varies about a plane, instead of about its mean: leaves do not gather
        where the map is only steep.
    covariance : CovarianceModel, optional
        Of the noise of pixels, in the square of the unit of the map; gives leaves `std` and `absolute_weight`.

    Returns
    -------
    dask.delayed.Delayed
        Of the table, since how many leaves there are is known only then: ``quadtree(...).compute()`` is an xr.Dataset
        on ``leaf``, sorted from south to north. Mean of the map under its name, `median` and `scatter` (standard
        deviation about mean or plane) in its unit; `count` of pixels with data; `lon`, `lat` of the focal point, the
        mean of these pixels; `row`, `col` of the first pixel of the map in the leaf, north-west, and `size`, its
        length; `west, east, south, north`, edges, in the unit of the coordinates; `los_east, los_north, los_up`, mean
        unit vector, `incidence_angle` and `los_azimuth_angle` in degrees; with a covariance `std`, of the noise of the
        mean, and `absolute_weight`. Float64, and int64 counts.
        Attributes: those of the map, and `reduction_rms`, what the means leave of the pixels.

    Raises
    ------
    SchemaError
        If there is no such map, a number is out of range, or, when computed, no pixel has data.
    GridMismatchError
        If the pixels are not evenly spaced.

    See Also
    --------
    mimtpy_cloud.kernels.quadtree.quadtree : The rules, and how it is done.
    leaf_noise : What a covariance adds.
    mimtpy_cloud.exports.points.write_points : Writes the table.
    mimtpy_cloud.io.points.read_points : Reads it again, for searches.

    Notes
    -----
    The tree starts in the south-west corner, as in Kite. The result does not depend on chunks, but for the last digits
    of looks. Everything is read once. Memory: the map twice, and the moments of tiles, which are less if `min_px` is 4
    or more; the look is summed block by block.

    Examples
    --------
    >>> step = np.zeros((4, 4))
    >>> step[:2, 2:] = 0.008
    >>> y, x = 40.035 - 0.01 * np.arange(4), 100.005 + 0.01 * np.arange(4)
    >>> ds = xr.Dataset({"velocity": (("y", "x"), step, {"units": "m/yr"})}, {"y": y, "x": x})
    >>> leaves = quadtree(ds, "velocity", epsilon=1e-3, min_px=1, max_px=4).compute()
    >>> leaves["velocity"].values.tolist(), leaves["lat"].values.round(3).tolist()
    ([0.0, 0.0, 0.0, 0.008], [40.01, 40.01, 40.03, 40.03])
    """
    require_variables("a quadtree", ds.data_vars, variable)
    require_dims(variable, ds[variable].dims, "y", "x")
    rules = Rules(epsilon, min_px, max_px, max_nan, rule, plane)
    values = _lazy(ds[variable].where(ds["valid"] > 0) if "valid" in ds else ds[variable])
    tile = kernel.smallest_leaf(values.shape, rules)
    has_look = all(name in ds and ds[name].dims == ("y", "x") for name in LOS)
    looks = [_lazy(ds[name], values.chunks) for name in LOS] if has_look else []
    facts = _Facts(
        variable, ds[variable].attrs, ds.attrs, grid_of(ds), map_projection(ds), ds.coords.get(SPATIAL_REF), rules
    )
    task = dask.delayed(_table, pure=True)  # type: ignore[attr-defined]
    table: Delayed = task(_blocks(values), _look_sums(values, looks, tile), facts, covariance)
    return table


@dataclass(frozen=True)
class _Facts:
    """What a table says beside its numbers."""

    variable: str
    attrs: Mapping[Any, Any]
    attrs_of_all: Mapping[Any, Any]
    grid: Grid
    projection: Any
    spatial_ref: xr.DataArray | None
    rules: Rules


def _lazy(array: xr.DataArray, chunks: Any = None) -> da.Array:
    data: da.Array = (array if array.chunks is not None else array.chunk()).data
    return data if chunks is None else data.rechunk(chunks)  # type: ignore[no-untyped-call]


def _blocks(array: da.Array) -> list[list[Any]]:
    return array.to_delayed().tolist()  # type: ignore[no-untyped-call,no-any-return]


def _look_sums(values: da.Array, looks: list[da.Array], tile: int) -> list[Any]:
    """Sums of the look in tiles, of each block, and the first tile of each; tiles count from the south-west."""
    if not looks:
        return []
    blocks = [_blocks(array) for array in (values, *looks)]
    add = dask.delayed(_sum_look, pure=True)  # type: ignore[attr-defined]
    ends = [np.cumsum(sizes) for sizes in values.chunks]
    south = [int(values.shape[0] - end) for end in ends[0]]
    west = [int(end - size) for end, size in zip(ends[1], values.chunks[1], strict=True)]
    return [
        (south[i] // tile, west[j] // tile, add([b[i][j] for b in blocks], (south[i] % tile, west[j] % tile), tile))
        for i in range(len(south))
        for j in range(len(west))
    ]


def _sum_look(blocks: list[np.ndarray], start: tuple[int, int], tile: int) -> np.ndarray:
    """Number of pixels with data and look, and sums of the look, of the tiles of a block."""
    stack = np.stack(blocks)[:, ::-1]
    shape = tuple(-(-(at + size) // tile) for at, size in zip(start, stack.shape[1:], strict=True))
    sums = sum_cells(stack, *start, (tile, tile), (shape[0], shape[1]))
    return sums[[0, 4, 5, 6]]  # without those of rows, columns and values


def _table(
    blocks: list[list[np.ndarray]],
    looks: list[tuple[int, int, np.ndarray]],
    facts: _Facts,
    covariance: CovarianceModel | None,
) -> xr.Dataset:
    """Leaves of a map whose blocks are given row by row."""
    values = np.block([[block[::-1] for block in row] for row in blocks[::-1]])
    leaves, tile = kernel.quadtree(values, facts.rules), kernel.smallest_leaf(values.shape, facts.rules)
    ds = _labelled(leaves, facts)
    if looks:
        sums = np.zeros((4, *(-(-size // tile) for size in values.shape)))
        for row, col, part in looks:
            sums[:, row : row + part.shape[1], col : col + part.shape[2]] += part
        ds = ds.assign(_look(kernel.leaf_means(sums, leaves, tile)))
    return ds if covariance is None else ds.assign(leaf_noise(ds, covariance))


def _labelled(leaves: Leaves, facts: _Facts) -> xr.Dataset:
    grid, units = facts.grid, str(facts.attrs.get("units", "1"))
    top = np.minimum(leaves.row + leaves.size, grid.ny)
    x, y = grid.west + (leaves.mean_col + 0.5) * grid.dx, grid.bounds[1] + (leaves.mean_row + 0.5) * grid.dy
    lon, lat = (x, y) if facts.projection is None else facts.projection(x, y, inverse=True)
    of_edge = [*_DEGREES.values()] if facts.projection is None else ["m", "m"]
    data = {
        "lon": _column(lon, _DEGREES["lon"], "longitude of the focal point, the mean of the pixels with data"),
        "lat": _column(lat, _DEGREES["lat"], "latitude of the focal point"),
        facts.variable: _column(leaves.mean, units, str(facts.attrs.get("long_name", facts.variable))),
        "median": _column(leaves.median, units, "median of the pixels"),
        "scatter": _column(
            leaves.scatter, units, f"standard deviation of the pixels about their {_about(facts.rules)}"
        ),
        "count": _column(leaves.count, "1", "pixels with data"),
        "row": _column(grid.ny - top, "1", "first row of the map in the leaf, from north"),
        "col": _column(leaves.col, "1", "first column of the map in the leaf"),
        "size": _column(leaves.size, "1", "length in pixels; the map may end before"),
        "west": _column(grid.west + leaves.col * grid.dx, of_edge[0], "western edge"),
        "east": _column(
            grid.west + np.minimum(leaves.col + leaves.size, grid.nx) * grid.dx, of_edge[0], "eastern edge"
        ),
        "south": _column(grid.bounds[1] + leaves.row * grid.dy, of_edge[1], "southern edge"),
        "north": _column(grid.bounds[1] + top * grid.dy, of_edge[1], "northern edge"),
    }
    grid_keys = {"Y_FIRST": grid.north, "X_FIRST": grid.west, "Y_STEP": -grid.dy, "X_STEP": grid.dx}
    attrs = {**facts.attrs_of_all, **grid_keys, "variable": facts.variable, "reduction_rms": leaves.rms}
    ds = xr.Dataset(data, attrs=attrs)
    projected = facts.projection is not None and facts.spatial_ref is not None
    return ds.assign_coords({SPATIAL_REF: facts.spatial_ref}) if projected else ds


def _about(rules: Rules) -> str:
    return "plane" if rules.plane else "mean"


def _column(values: np.ndarray, units: str, long_name: str) -> tuple[str, np.ndarray, dict[str, str]]:
    return "leaf", values, {"units": units, "long_name": long_name}


def _look(means: np.ndarray) -> dict[str, Any]:
    """Mean unit vectors and their angles."""
    vectors = means / np.sqrt((means**2).sum(axis=0))
    data: dict[str, Any] = {
        name: ("leaf", vector, VARIABLES[name].attrs) for name, vector in zip(LOS, vectors, strict=True)
    }
    angles = zip(_ANGLES.items(), incidence_and_azimuth(*vectors), strict=True)
    return data | {name: _column(angle, "degrees", long_name) for (name, long_name), angle in angles}


def leaf_noise(leaves: xr.Dataset, covariance: CovarianceModel) -> xr.Dataset:
    """
    Tell what the covariance of pixels makes of the means of leaves.

    Parameters
    ----------
    leaves : xr.Dataset
        Table of `quadtree`: `lon`, `lat` and `count`, dimension ``leaf``.
    covariance : CovarianceModel
        Of the noise of pixels.

    Returns
    -------
    xr.Dataset
        `std` of the noise of the mean, in the unit of the leaves; and `absolute_weight` as Kite has it, in one over its
        square: mean of the row of the inverse covariance. Leaves close to others weigh less; one between others may be
        negative.

    Raises
    ------
    SchemaError
        If there are more than 20 000 leaves, or the covariance is not positive definite.

    See Also
    --------
    mimtpy_cloud.ops.covariance.covariance_matrix : The covariance of focal points.

    Notes
    -----
    Leaves covary as their focal points, ``C_ij = sill rho(h_ij / range)``, and ``C_ii = sill + nugget / count``: white
    noise is averaged over the pixels, correlated noise stays. This holds of leaves that are short against the
    range; the mean of one that is longer has less noise. The weights ``C^-1 1 / n`` of n leaves come from a Cholesky
    factor without an inverse. A mean with these weights has the least variance, ``1 / (n sum(w))``.

    Examples
    --------
    >>> table = {"lon": ("leaf", [0.0, 0.01, 5.0]), "lat": ("leaf", [0.0] * 3), "count": ("leaf", [4, 4, 4])}
    >>> noise = leaf_noise(xr.Dataset(table), CovarianceModel("exponential", 1.0, 20.0, 1.0))
    >>> noise["std"].values.round(3).tolist(), noise["absolute_weight"].values.round(3).tolist()
    ([1.118, 1.118, 1.118], [0.152, 0.152, 0.267])
    """
    require_variables("a table of leaves", leaves, "lon", "lat", "count")
    matrix = covariance_matrix(leaves, covariance).to_numpy()
    variance = covariance.sill + covariance.nugget / leaves["count"].to_numpy()
    matrix[np.diag_indices(len(matrix))] = variance
    try:
        factor = cho_factor(matrix, lower=True, overwrite_a=True, check_finite=False)
    except np.linalg.LinAlgError:
        raise SchemaError("the covariance of the leaves is not positive definite; give it a nugget") from None
    weights = cho_solve(factor, np.full(len(matrix), 1 / len(matrix)), check_finite=False)
    units = str(leaves[leaves.attrs["variable"]].attrs.get("units", "1")) if "variable" in leaves.attrs else "1"
    what = "mean of the row of the inverse covariance"
    return xr.Dataset(
        {
            "std": _column(np.sqrt(variance), units, "standard deviation of the noise of the mean"),
            "absolute_weight": _column(weights, f"({units})^-2", what),
        }
    )
