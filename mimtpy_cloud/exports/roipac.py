"""Write phase, coherence and heights as rasters of ROI_PAC: NAME.unw, NAME.cor, NAME.dem, each with its .rsc."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import xarray as xr

from mimtpy_cloud.exports.observed import degree_grid, line_of_sight, phase_of, staged_together
from mimtpy_cloud.exports.planes import stream_planes
from mimtpy_cloud.exports.progress import Progress
from mimtpy_cloud.exports.rsc import format_rsc, rsc_attributes
from mimtpy_cloud.schema import require_dims

__all__ = ["kind_of_raster", "raster_layers", "write_raster", "write_roipac"]

#: Rows that are written at once.
_ROWS = 256
_KINDS: dict[str, dict[str, Any]] = {
    ".unw": {"BANDS": 2, "INTERLEAVE": "BIL", "DATA_TYPE": "float32", "UNIT": "radian"},
    ".cor": {"BANDS": 2, "INTERLEAVE": "BIL", "DATA_TYPE": "float32", "UNIT": "1"},
    ".dem": {"BANDS": 1, "INTERLEAVE": "BIL", "DATA_TYPE": "int16", "UNIT": "m", "NO_DATA_VALUE": -32768},
}


def write_roipac(
    ds: xr.Dataset,
    url: str,
    *,
    progress: Progress | None = None,
    variable: str | None = None,
    wavelength: float | None = None,
) -> list[str]:
    """
    Write unwrapped phase, and coherence and heights if there, as files of ROI_PAC.

    Parameters
    ----------
    ds : xr.Dataset
        Dimensions ``(y, x)`` on a grid in degrees: displacement (m) or velocity (m/yr), positive toward the satellite,
        and optionally `temporal_coherence` and `height`; attributes ``start_date, end_date, wavelength``.
    url : str
        Local path or any fsspec URL, with or without ``.unw``.
    progress : callable, optional
        ``progress(done, total, unit)``.
    variable : str, optional
        What to write; by default `displacement`, else `velocity`.
    wavelength : float, optional
        In m, where the product does not say.

    Returns
    -------
    list of str
        All files.

    Raises
    ------
    SchemaError, DateError, GridMismatchError
        If the product lacks something.
    StorageError
        If the place cannot be written.

    See Also
    --------
    mimtpy_cloud.exports.geodmod.write_geodmod : The folder that Geodmod reads.

    Notes
    -----
    ``.unw`` and ``.cor``: two bands, interleaved by line, float32 little-endian; both bands hold the same, as where
    there is no amplitude. ``.dem``: int16, metres. Phase in rad is ``-4 pi / wavelength`` times the displacement from
    the first to the last date, whatever it was made from (MintPy 1.6.4 turns the sign of what comes from an HDF-EOS5
    file; we do not). NaN is no data, -32768 in ``.dem``. Memory: the blocks in flight.
    """
    require_dims("a file of ROI_PAC", line_of_sight(ds, variable).dims, "y", "x")
    base = url[: -len(".unw")] if url.lower().endswith(".unw") else url
    layers = raster_layers(ds, variable, wavelength)
    names = [f"{base}{suffix}{end}" for suffix in reversed(layers) for end in ("", ".rsc")]
    grid = degree_grid(ds, "a file of ROI_PAC")
    with staged_together(*names) as paths:
        folder = paths[0].parent
        planes = stream_planes({suffix[1:]: layer for suffix, layer in layers.items()}, folder, progress=progress)
        for raster, rsc in zip(paths[::2], paths[1::2], strict=True):
            write_raster(planes[raster.suffix[1:]], raster)
            rsc.write_text(format_rsc(rsc_attributes(ds, grid, **kind_of_raster(raster.suffix))), encoding="utf-8")
    return names


def raster_layers(ds: xr.Dataset, variable: str | None, wavelength: float | None) -> dict[str, xr.DataArray]:
    """
    Collect what files of ROI_PAC hold, lazily.

    Parameters
    ----------
    ds : xr.Dataset
        Product.
    variable, wavelength : object
        As for `write_roipac`.

    Returns
    -------
    dict of str to xr.DataArray
        Suffix of the file to its map: ``.unw`` (rad), ``.cor`` and ``.dem`` (m) if there.
    """
    layers: dict[str, xr.DataArray] = {".unw": phase_of(ds, variable, wavelength).astype("float32")}
    optional: Mapping[str, str] = {".cor": "temporal_coherence", ".dem": "height"}
    return layers | {suffix: ds[name] for suffix, name in optional.items() if name in ds}


def kind_of_raster(suffix: str) -> dict[str, Any]:
    """
    Tell how a kind of raster is laid out.

    Parameters
    ----------
    suffix : str
        ``.unw``, ``.cor`` or ``.dem``.

    Returns
    -------
    dict
        Attributes of its .rsc.
    """
    return {"FILE_TYPE": suffix, **_KINDS[suffix]}


def write_raster(plane: np.ndarray, path: Path) -> None:
    """
    Write a map as one raster, some rows at a time.

    Parameters
    ----------
    plane : np.ndarray
        Shape ``(y, x)``, row 0 north; NaN is no data.
    path : Path
        ``.unw`` and ``.cor``: float32 in two equal bands, interleaved by line; ``.dem``: int16, -32768 without data.
    """
    kind = _KINDS[path.suffix]
    with path.open("wb") as file:
        for top in range(0, plane.shape[0], _ROWS):
            rows = np.asarray(plane[top : top + _ROWS])
            if kind["DATA_TYPE"] == "int16":
                rows = np.where(np.isfinite(rows), np.rint(np.clip(rows, -32767, 32767)), -32768)
            stored = rows.astype("<i2" if kind["DATA_TYPE"] == "int16" else "<f4")
            np.repeat(stored, kind["BANDS"], axis=0).tofile(file)
