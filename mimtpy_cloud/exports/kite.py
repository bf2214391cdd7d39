"""Write a scene of Kite, which BEAT and Grond read as well; Kite itself is not needed."""

import json
from typing import Any

import numpy as np
import xarray as xr

from mimtpy_cloud.exports.grids import grid_edges
from mimtpy_cloud.exports.observed import degree_grid, line_of_sight, span_of, staged_together
from mimtpy_cloud.exports.planes import stream_planes
from mimtpy_cloud.exports.progress import Progress
from mimtpy_cloud.kernels.look import kite_angles
from mimtpy_cloud.plan.grid import Grid
from mimtpy_cloud.schema import LOS, require_dims, require_variables

__all__ = ["write_kite"]


def write_kite(ds: xr.Dataset, url: str, *, progress: Progress | None = None, variable: str | None = None) -> list[str]:
    """
    Write displacement or velocity and its look as a Kite scene: NAME.npz and NAME.yml.

    Parameters
    ----------
    ds : xr.Dataset
        Dimensions ``(y, x)`` on a grid in degrees: displacement (m) or velocity (m/yr), positive toward the satellite,
        and `los_east, los_north, los_up`; attributes ``start_date, end_date``. NaN is no data.
    url : str
        Local path or any fsspec URL, with or without ``.npz`` or ``.yml``.
    progress : callable, optional
        ``progress(done, total, unit)``.
    variable : str, optional
        What to write; by default `displacement`, else `velocity`.

    Returns
    -------
    list of str
        Both files.

    Raises
    ------
    SchemaError, DateError, GridMismatchError
        If the product lacks something.
    StorageError
        If the place cannot be written.

    See Also
    --------
    mimtpy_cloud.io.kite.open_kite : The way back.

    Notes
    -----
    Row 0 is the south. ``theta`` is the elevation of the satellite, 90 degrees minus the incidence; ``phi`` is its
    direction anticlockwise from east, 180 degrees minus the heading of a right-looking satellite; both in radians.
    ``llLat, llLon`` is the outer corner in the south-west. A velocity stays one: ``extra: units`` says so,
    and ``look_side`` there that the antenna looks to the left.
    Memory: the blocks in flight.

    References
    ----------
    .. [1] M. Isken et al., 2017, Kite, software for rapid earthquake source optimisation from InSAR surface
       displacement, DOI 10.5880/GFZ.2.1.2017.002.
    """
    found = line_of_sight(ds, variable)
    require_dims("a Kite scene", found.dims, "y", "x")
    require_variables("a Kite scene", ds.data_vars, *LOS)
    grid = degree_grid(ds, "a Kite scene")
    config = _config(ds, grid, found)
    theta, phi = xr.apply_ufunc(
        _angles,
        *(ds[name] for name in LOS),
        output_core_dims=[[], []],
        dask="parallelized",
        output_dtypes=[ds[LOS[0]].dtype] * 2,
    )
    base = url[: -len(".npz")] if url.lower().endswith((".npz", ".yml")) else url
    with staged_together(f"{base}.npz", f"{base}.yml") as (data, text):
        planes = stream_planes({"value": found, "theta": theta, "phi": phi}, data.parent, progress=progress)
        with data.open("wb") as file:
            np.savez(file, *(plane[::-1] for plane in planes.values()))
        text.write_text(config, encoding="utf-8")
    return [f"{base}.npz", f"{base}.yml"]


def _angles(east: np.ndarray, north: np.ndarray, up: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    theta, phi = kite_angles(east, north, up)
    return theta.astype(east.dtype), phi.astype(east.dtype)


def _config(ds: xr.Dataset, grid: Grid, found: xr.DataArray) -> str:
    """The scene's YAML; strings as JSON writes them, which YAML reads."""
    west, south, _, _ = grid_edges(grid)
    lines = ["%YAML 1.1", "# kite.Scene YAML Config", "--- !kite.scene.SceneConfig", "meta: !kite.scene.Meta"]
    lines += [f"  {key}: {json.dumps(value, ensure_ascii=False)}" for key, value in _meta(ds, found).items()]
    lines += [
        "frame: !kite.scene.FrameConfig",
        f"  llLat: {south!r}",
        f"  llLon: {west!r}",
        f"  dN: {grid.dy!r}",
        f"  dE: {grid.dx!r}",
        "  spacing: degree",
    ]
    return "\n".join(lines) + "\n"


def _time_of_day(seconds: Any) -> np.timedelta64:
    """What MintPy knows of it; midnight if it does not."""
    try:
        return np.timedelta64(round(float(seconds)), "s")
    except (TypeError, ValueError, OverflowError):
        return np.timedelta64(0, "s")


def _meta(ds: xr.Dataset, found: xr.DataArray) -> dict[str, Any]:
    attrs = ds.attrs
    direction = str(attrs.get("orbit_direction", attrs.get("track", "")))[:1].upper()
    seconds = _time_of_day(attrs.get("mintpy", {}).get("CENTER_LINE_UTC"))
    times = [str(day.astype("M8[s]") + seconds).replace("T", " ") for day in span_of(ds, "a Kite scene")]
    title = str(attrs.get("project") or attrs.get("track") or "mimtpy_cloud")
    meta: dict[str, Any] = {
        "scene_title": f"{title} {found.name} ({found.attrs['units']})",
        "scene_id": str(attrs.get("track", "None")),
        "satellite_name": str(attrs.get("sensor", "Undefined Mission")),
        "wavelength": None if attrs.get("wavelength") is None else float(attrs["wavelength"]),
        "orbital_node": {"A": "Ascending", "D": "Descending"}.get(direction, "Undefined"),
        "time_master": times[0],
        "time_slave": times[1],
        "extra": {"units": found.attrs["units"]} | ({"look_side": "left"} if attrs.get("look_side") == "left" else {}),
    }
    return {key: value for key, value in meta.items() if value is not None}
