"""Read a LiCSBAS or LiCSAR frame of GeoTIFFs (velocity, its deviation, mask, look vector), lazily."""

import os
import re
from collections.abc import Sequence

import numpy as np
import xarray as xr

from mimtpy_cloud.errors import SourceFormatError
from mimtpy_cloud.io.canonical import describe
from mimtpy_cloud.io.georeference import coordinates
from mimtpy_cloud.io.hdf5 import block_shape
from mimtpy_cloud.io.raster import Raster, locate_raster
from mimtpy_cloud.location import locate, reaching
from mimtpy_cloud.schema import LOS, track_name

__all__ = ["find_layers", "open_licsbas"]

#: Name part that marks each layer's file, as in ``vel.geo.tif`` or ``014A_04939_131313.vel.mskd.geo.tif``.
_LAYERS: dict[str, str] = {
    "velocity": "vel",
    "velocity_std": "vstd",
    "valid": "mask",
    "los_east": "E",
    "los_north": "N",
    "los_up": "U",
}
_FRAME = re.compile(r"(?<!\d)(\d{3})([AD])_(\d{5}_\d{6})(?!\d)")
_METRES_PER_MILLIMETRE = np.float32(1e-3)
#: Sentinel-1 C band, as MintPy writes it (m).
_WAVELENGTH = 0.05546576


def find_layers(names: Sequence[str]) -> dict[str, str]:
    """
    Find the layers of a frame among file names.

    Parameters
    ----------
    names : sequence of str
        File names of one folder.

    Returns
    -------
    dict
        Variable to file name; the name with the fewest parts where several fit.

    Examples
    --------
    >>> find_layers(["vel.mskd.geo.tif", "vel.geo.tif", "014A.geo.E.tif", "vel.png"])
    {'velocity': 'vel.geo.tif', 'los_east': '014A.geo.E.tif'}
    """
    parts = {name: re.split(r"[._-]", name) for name in sorted(names) if name.lower().endswith((".tif", ".tiff"))}
    found = {}
    for variable, mark in _LAYERS.items():
        fitting = [name for name, tokens in parts.items() if mark in tokens[:-1]]
        if fitting:
            found[variable] = min(fitting, key=lambda name: (len(parts[name]), name))
    return found


def open_licsbas(folder: str | os.PathLike[str]) -> xr.Dataset:
    """
    Open a LiCSBAS frame lazily as a velocity product on its own grid.

    Parameters
    ----------
    folder : str or path
        Local folder or fsspec URL that holds GeoTIFFs of vel and vstd (mm/yr), mask (1 is usable) and
        E, N, U (unit vector ground to satellite), for example ``vel.geo.tif``. The folder or the
        files must be named after the frame, for example ``014A_04939_131313``.

    Returns
    -------
    xr.Dataset
        ``velocity`` and ``velocity_std`` in m/yr, toward the satellite positive; ``valid``;
        ``los_east``, ``los_north``, ``los_up``. NaN is no data. Heading and look side come from a
        sample of the look vector.

    Raises
    ------
    SourceFormatError
        If the folder or a layer is missing, a layer is unreadable or on another grid, or no frame is named.

    References
    ----------
    .. [1] Morishita et al. (2020), LiCSBAS, Remote Sensing 12, 424, doi:10.3390/rs12030424.
    """
    text = os.fspath(folder).rstrip("/")
    rasters = _locate_layers(text)
    orbit, letter, product = _frame(text, [raster.file.url for raster in rasters.values()])
    direction = "ascending" if letter == "A" else "descending"
    heading, side = _flight(rasters["los_east"].sample(), rasters["los_north"].sample(), ascending=letter == "A")
    first = rasters["velocity"]
    block = block_shape(first.shape, first.tile, 4)
    arrays = {name: raster.lazy(block) for name, raster in rasters.items()}
    arrays["valid"] = (arrays["valid"] == 1) & arrays["velocity"].notnull()
    for name in ("velocity", "velocity_std"):
        arrays[name] = arrays[name] * _METRES_PER_MILLIMETRE
    attrs = {
        "sensor": "Sentinel",
        "track": track_name(direction, orbit),
        "product": product,
        "project": f"{orbit:03d}{letter}_{product}",
        "orbit_direction": direction,
        "look_side": side,
        "heading": heading,
        "wavelength": _WAVELENGTH,
        "source": {
            "url": os.path.dirname(first.file.url),  # noqa: PTH120 - may be a URL
            "size": sum(raster.file.size for raster in rasters.values()),
            "format": "LiCSBAS",
        },
        "mintpy": {},
    }
    names = ("velocity", "velocity_std", "valid", *LOS)
    grid = first.grid
    coords = coordinates(grid.x, grid.y, grid.crs)
    return xr.Dataset({name: describe(name, arrays[name]) for name in names}, coords, attrs)


def _locate_layers(folder: str) -> dict[str, Raster]:
    fs, path = locate(folder)
    with reaching(folder):
        if not fs.isdir(path):
            raise SourceFormatError(f"{folder} is no folder; expected one with vel, vstd, mask, E, N and U GeoTIFFs")
        names = [entry.rstrip("/").rpartition("/")[2] for entry in fs.ls(path, detail=False)]
    found = find_layers(names)
    missing = [f"{mark} ({name})" for name, mark in _LAYERS.items() if name not in found]
    if missing:
        has = ", ".join(found.values()) or "no layer"
        raise SourceFormatError(
            f"{folder} lacks the layers {', '.join(missing)}: looked for GeoTIFFs like vel.geo.tif or"
            f" FRAME.geo.E.tif, found {has}; export them with LiCSBAS_flt2geotiff.py"
        )
    rasters = {name: locate_raster(f"{folder}/{file}") for name, file in found.items()}
    first = rasters["velocity"]
    for raster in rasters.values():
        shift = np.subtract(raster.grid.bounds, first.grid.bounds)
        if raster.shape != first.shape or np.abs(shift).max() > 0.01 * first.grid.dx:
            raise SourceFormatError(
                f"{raster.file.url} is not on the grid of {first.file.url}: {raster.shape} pixels at"
                f" {raster.grid.bounds[0]:g}, {raster.grid.bounds[3]:g} against {first.shape} at"
                f" {first.grid.bounds[0]:g}, {first.grid.bounds[3]:g}; export the layers of one frame together"
            )
    return rasters


def _frame(folder: str, urls: Sequence[str]) -> tuple[int, str, str]:
    """Relative orbit, pass letter and the rest of the frame name."""
    for text in (*reversed(re.split(r"[/\\]", folder)), *urls):
        match = _FRAME.search(text)
        if match:
            return int(match[1]), match[2], match[3]
    raise SourceFormatError(
        f"{folder}: neither the folder nor its files name the frame (such as 014A_04939_131313), which says track and"
        " pass; rename the folder"
    )


def _flight(east: np.ndarray, north: np.ndarray, *, ascending: bool) -> tuple[float, str]:
    """Heading (degrees clockwise) and look side from look vectors; right-looking is heading - 90 to the satellite."""
    toward = np.degrees(np.arctan2(np.nanmean(east), np.nanmean(north)))
    northward = bool(np.cos(np.radians(toward + 90)) > 0)
    side = "right" if northward == ascending else "left"
    heading = float((toward + (90 if side == "right" else -90) + 180) % 360 - 180)
    return heading, side
