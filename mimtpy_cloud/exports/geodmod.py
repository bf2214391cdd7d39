"""Write the folder that Geodmod models: phase, coherence, heights and a shaded relief."""

from pathlib import Path
from typing import Any

import numpy as np
import xarray as xr

from mimtpy_cloud.exports.grids import grid_edges
from mimtpy_cloud.exports.observed import compact, degree_grid, line_of_sight, span_of
from mimtpy_cloud.exports.planes import stream_planes
from mimtpy_cloud.exports.progress import Progress
from mimtpy_cloud.exports.publish import staged
from mimtpy_cloud.exports.roipac import kind_of_raster, raster_layers, write_raster
from mimtpy_cloud.exports.rsc import format_rsc, rsc_attributes
from mimtpy_cloud.plan.grid import Grid
from mimtpy_cloud.schema import require_dims, require_variables

__all__ = ["write_geodmod"]

#: Written last; tells a folder of ours.
_LAST = "srtm.dem.rsc"
_DEGREE = 111_194.9  # m of latitude on a sphere of 6371 km


def write_geodmod(
    ds: xr.Dataset,
    url: str,
    *,
    progress: Progress | None = None,
    variable: str | None = None,
    wavelength: float | None = None,
) -> list[str]:
    """
    Write phase, coherence, heights and a shaded relief as Geodmod reads them, in one folder.

    Parameters
    ----------
    ds : xr.Dataset
        Dimensions ``(y, x)`` on a grid in degrees: displacement (m) or velocity (m/yr), positive toward the satellite,
        `temporal_coherence` and `height`; attributes ``start_date, end_date, wavelength``.
    url : str
        Folder, as a local path or any fsspec URL; one that this function made is replaced.
    progress : callable, optional
        ``progress(done, total, unit)``.
    variable : str, optional
        What to write; by default `displacement`, else `velocity`.
    wavelength : float, optional
        In m, where the product does not say.

    Returns
    -------
    list of str
        ``geo_<start>_<end>.unw`` and ``.cor``, ``srtm.dem``, ``srtm.dem.jpeg``, each with its ``.rsc``.

    Raises
    ------
    SchemaError, DateError, GridMismatchError
        If the product lacks something.
    StorageError
        If the place cannot be written.

    See Also
    --------
    mimtpy_cloud.exports.roipac.write_roipac : The rasters.

    Notes
    -----
    Phase in rad is ``-4 pi / wavelength`` times the displacement from the first to the last date. Of the heights, the
    ``.rsc`` has what Geodmod asks for only, with ``XMAX`` and ``YMAX`` the last column and row. The relief has one
    pixel for each of the heights, north is up, the sun in the north-west at 45 degrees. No data: NaN, in the heights 0,
    in the relief the mean height.
    Memory: the blocks in flight, and 30 bytes a pixel for the relief.
    """
    require_dims("a folder for Geodmod", line_of_sight(ds, variable).dims, "y", "x")
    require_variables("a folder for Geodmod", ds.data_vars, "temporal_coherence", "height")
    grid = degree_grid(ds, "a folder for Geodmod")
    start, end = map(compact, span_of(ds, "a folder for Geodmod"))
    layers, stem = raster_layers(ds, variable, wavelength), f"geo_{start}_{end}"
    layers[".cor"] = layers[".cor"].where(layers[".unw"].notnull())
    with staged(url, last=_LAST) as folder:
        folder.mkdir()
        planes = stream_planes({key[1:]: layer for key, layer in layers.items()}, folder.parent, progress=progress)
        for suffix in (".unw", ".cor"):
            write_raster(planes[suffix[1:]], folder / f"{stem}{suffix}")
            text = format_rsc(rsc_attributes(ds, grid, **kind_of_raster(suffix)))
            (folder / f"{stem}{suffix}.rsc").write_text(text, encoding="utf-8")
        write_raster(np.nan_to_num(planes["dem"], nan=0.0), folder / "srtm.dem")
        _write_relief(planes["dem"], grid, folder / "srtm.dem.jpeg")
        reduced = format_rsc(_reduced(ds, grid, url))
        for name in ("srtm.dem.jpeg.rsc", _LAST):
            (folder / name).write_text(reduced, encoding="utf-8")
        names = sorted(path.name for path in folder.iterdir())
    return [f"{url.rstrip('/')}/{name}" for name in names]


def _reduced(ds: xr.Dataset, grid: Grid, url: str) -> dict[str, Any]:
    """What Geodmod asks of the heights."""
    source = ds.attrs.get("mintpy", {})
    west, _, _, north = grid_edges(grid)
    return {
        "FILE_DIR": url,
        "FILE_LENGTH": grid.ny,
        "WIDTH": grid.nx,
        "XMIN": 0,
        "XMAX": grid.nx - 1,
        "YMIN": 0,
        "YMAX": grid.ny - 1,
        "X_FIRST": west,
        "Y_FIRST": north,
        "X_STEP": grid.dx,
        "Y_STEP": -grid.dy,
        "X_UNIT": "degrees",
        "Y_UNIT": "degrees",
        "RLOOKS": source.get("RLOOKS", 1),
        "ALOOKS": source.get("ALOOKS", 1),
        "Z_OFFSET": 0,
        "Z_SCALE": 1,
        "PROJECTION": "LATLON",
        "DATE12": "111111-222222",
    }


def _write_relief(height: np.ndarray, grid: Grid, path: Path) -> None:
    """Shade heights by the sun of the north-west, in grey, one pixel each."""
    from matplotlib.colors import LightSource
    from matplotlib.image import imsave

    known = height[np.isfinite(height)]
    height = np.where(np.isfinite(height), height, known.mean() if known.size else 0.0)
    middle = np.deg2rad(grid.north - grid.ny * grid.dy / 2)
    steps = {"dx": grid.dx * _DEGREE * float(np.cos(middle)), "dy": grid.dy * _DEGREE}
    light = LightSource(azdeg=315, altdeg=45)
    low, high = float(height.min()) - 4000, float(height.max()) + 2000
    grey = (height - low) / (high - low)
    shaded = light.blend_soft_light(
        np.repeat(grey[..., None], 3, axis=2), light.hillshade(height, vert_exag=0.3, **steps)[..., None]
    )
    imsave(path, np.clip(shaded, 0, 1), format="jpeg")
