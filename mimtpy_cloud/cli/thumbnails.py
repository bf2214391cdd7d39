"""Small pictures of catalog entries, for a STAC catalog."""

import io
import math
from functools import partial

import numpy as np
import xarray as xr

from mimtpy_cloud.catalog.index import Entry
from mimtpy_cloud.catalog.stac import write_stac
from mimtpy_cloud.catalog.tracks import open_entry
from mimtpy_cloud.ops.select import mask_invalid
from mimtpy_cloud.view.colours import shading
from mimtpy_cloud.view.picture import thumbnail

__all__ = ["thumbnail_png", "write_illustrated"]

#: Pixels along the longer side.
_SIDE = 256


def thumbnail_png(root: str, entry: Entry) -> bytes | None:
    """
    Draw the velocity of an entry, or the displacement of its last date, north up and true to scale.

    Parameters
    ----------
    root : str
        Root URL.
    entry : Entry
        Of its catalog.

    Returns
    -------
    bytes or None
        PNG, transparent where there are no data; None if the entry has neither.
    """
    ds = open_entry(root, entry)
    name = next((name for name in ("velocity", "displacement") if name in ds), None)
    if name is None:
        return None
    ds = ds[[name, "valid"]] if "valid" in ds else ds[[name]]
    ds = thumbnail(ds.isel(time=-1) if "time" in ds.dims else ds, 2 * _SIDE).compute()
    shown = mask_invalid(ds)[name] if "valid" in ds else ds[name]
    return _png(shown)


def write_illustrated(root: str, *, out: str | None = None, href_root: str | None = None, pictures: bool = True) -> str:
    """
    Write the STAC catalog of a root, with thumbnails.

    Parameters
    ----------
    root : str
        Root URL.
    out, href_root : str, optional
        As for `mimtpy_cloud.catalog.stac.write_stac`.
    pictures : bool
        Draw them.

    Returns
    -------
    str
        URL of ``catalog.json``.
    """
    thumbnails = partial(thumbnail_png, root) if pictures else None
    return write_stac(root, out=out, href_root=href_root, thumbnail=thumbnails)


def _png(shown: xr.DataArray) -> bytes:
    from matplotlib import colormaps, image

    long_name, units = (str(shown.attrs.get(key, "")) for key in ("long_name", "units"))
    shade = shading(shown.values, name=str(shown.name), long_name=long_name, units=units)
    ny, nx = shown.shape
    width = nx * abs(shown.x.values[-1] - shown.x.values[0]) / max(nx - 1, 1)
    height = ny * abs(shown.y.values[-1] - shown.y.values[0]) / max(ny - 1, 1)
    width *= math.cos(math.radians(float(shown.y.mean())))
    longer = max(width, height) or 1.0
    rows, cols = (
        ((np.arange(size) + 0.5) * count / size).astype(int)
        for count, size in ((ny, _pixels(height / longer)), (nx, _pixels(width / longer)))
    )
    values = shown.values[np.ix_(rows, cols)] * shade.factor
    colours = colormaps[shade.cmap].with_extremes(bad=(0, 0, 0, 0))
    scaled = (np.ma.masked_invalid(values) - shade.low) / (shade.high - shade.low)
    buffer = io.BytesIO()
    image.imsave(buffer, colours(scaled, bytes=True), format="png")
    return buffer.getvalue()


def _pixels(share: float) -> int:
    return max(1, round(_SIDE * share))
