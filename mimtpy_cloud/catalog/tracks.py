"""Open all bands of a track as one lazy dataset, from the index alone."""

from datetime import datetime
from os import PathLike
from typing import Any

import dask.array as da
import numpy as np
import xarray as xr
from dask.base import tokenize

from mimtpy_cloud.catalog.index import Catalog, Entry, open_catalog
from mimtpy_cloud.errors import TrackNotFoundError
from mimtpy_cloud.io.bands import TrackArray
from mimtpy_cloud.io.georeference import coordinates
from mimtpy_cloud.io.store import ArraySpec, BandArray
from mimtpy_cloud.plan.grid import Bounds, Window, turned
from mimtpy_cloud.schema import SPATIAL_REF, VARIABLES

__all__ = ["entry_arrays", "open_entry", "open_track"]


def open_track(
    root_or_catalog: str | PathLike[str] | Catalog,
    track: str,
    *,
    bbox: Bounds | None = None,
    resolution: str | None = None,
    product: str | None = None,
    as_of: str | datetime | None = None,
    sensor: str = "Sentinel",
    cache: bool | None = None,
) -> xr.Dataset:
    """
    Open a track as one lazy dataset over all its bands.

    Parameters
    ----------
    root_or_catalog : str, path or Catalog
        Where `ingest` wrote.
    track : str
        Pass letter and relative orbit, for example ``"A124"``, or with the sensor ``"Sentinel/A124"``.
    bbox : tuple of float, optional
        West, south, east, north in degrees; pixels whose centre lies in the half-open box.
    resolution : str, optional
        Name of the lattice; by default standard, or the only one there is.
    product : str, optional
        Needed if the track has several at that resolution.
    as_of : str or datetime, optional
        Open what was current at that time (UTC); not together with a Catalog.
    sensor : str
        First path element, of a track that names none.
    cache : bool, optional
        Whether what is read is kept on the disk of who reads it, be it this machine or a worker, and never asked for
        again (``MIMTPY_CACHE_DIR``, ``MIMTPY_CACHE_SIZE``); by default as the Catalog, or if ``MIMTPY_CACHE_DIR`` is
        set. A local root is never cached.

    Returns
    -------
    xr.Dataset
        Canonical dataset on the lattice; a dask block is a shard, or a row of its chunks. The index
        is read (one request), no pixel is.

    Raises
    ------
    TrackNotFoundError
        If track, resolution, product or box has nothing; the message says what exists.
    CatalogError
        If several products fit, or several resolutions without standard among them.
    GridMismatchError
        If `bbox` is malformed.
    TypeError
        If `as_of` is given with a Catalog.

    See Also
    --------
    mimtpy_cloud.catalog.ingest.ingest : Write what this opens.
    """
    if isinstance(root_or_catalog, Catalog) and as_of is not None:
        raise TypeError("as_of goes to open_catalog when a Catalog is given")
    if isinstance(root_or_catalog, Catalog):
        catalog, cache = root_or_catalog, root_or_catalog.cache if cache is None else cache
    else:
        catalog = open_catalog(root_or_catalog, as_of=as_of, cache=cache)
    entry = catalog.find(track, resolution=resolution, product=product, sensor=sensor)
    return open_entry(catalog.root, entry, bbox=bbox, cache=cache)


def open_entry(root: str, entry: Entry, *, bbox: Bounds | None = None, cache: bool | None = None) -> xr.Dataset:
    """
    Open one entry of a catalog as a lazy dataset.

    Parameters
    ----------
    root : str
        Root URL.
    entry : Entry
        From `Catalog.search`.
    bbox : tuple of float, optional
        West, south, east, north in degrees; centre in the half-open box. Whole turns make no difference.
    cache : bool, optional
        As for `open_track`.

    Returns
    -------
    xr.Dataset
        Canonical dataset on the lattice.

    Raises
    ------
    TrackNotFoundError
        If the box holds no pixel of the entry.
    GridMismatchError
        If `bbox` is malformed.
    """
    arrays = entry_arrays(root, entry, bbox=bbox, cache=cache)
    variables = {array.spec.name: _variable(root, entry, array) for array in arrays}
    window = arrays[0].window
    if entry.perpendicular_baseline:
        baseline = np.array(entry.perpendicular_baseline, "float32")
        variables["perpendicular_baseline"] = xr.Variable(
            ("time",), baseline, VARIABLES["perpendicular_baseline"].attrs
        )
    attrs = {
        **entry.attrs,
        "resolution": entry.resolution,
        "pixels_per_degree": entry.pixels_per_degree,
        "revision": entry.revision,
    }
    return xr.Dataset(variables, coords=_coordinates(entry, window), attrs=attrs)


def entry_arrays(root: str, entry: Entry, *, bbox: Bounds | None = None, cache: bool | None = None) -> list[TrackArray]:
    """
    Describe the 2-D and 3-D arrays of an entry; nothing is read.

    Parameters
    ----------
    root, entry, bbox, cache : object
        As for `open_entry`.

    Returns
    -------
    list of TrackArray
        One a variable, all of one window.

    Raises
    ------
    TrackNotFoundError, GridMismatchError
        As `open_entry`.
    """
    window = entry.extent
    if bbox is not None:
        window &= Window.within(entry.pixels_per_degree, turned(bbox, entry.bounds))
        if window.empty:
            have = ", ".join(f"{v:.4f}" for v in entry.bounds)
            raise TrackNotFoundError(f"{entry.track} has no pixel in {tuple(bbox)}; it covers W, S, E, N = {have}")
    windows = {band: entry.band_window(band) for band in entry.bands}
    windows = {band: covered for band, covered in windows.items() if not (covered & window).empty}
    arrays = []
    for name in entry.variables:
        spec = ArraySpec(name, entry.pixels_per_degree, len(entry.dates) if "time" in VARIABLES[name].dims else 0)
        bands = (
            BandArray(root, f"{entry.store_key(b)}/{name}", spec, covered, cache) for b, covered in windows.items()
        )
        arrays.append(TrackArray(spec, window, tuple(bands)))
    return arrays


def _variable(root: str, entry: Entry, array: TrackArray) -> xr.Variable:
    name, variable = array.spec.name, VARIABLES[array.spec.name]
    lazy = da.from_array(  # type: ignore[no-untyped-call]
        array,
        chunks=array.chunks,
        name=f"{name}-{tokenize(root, entry.revision, entry.track, name, array.window)}",
        asarray=False,
        fancy=False,
        inline_array=True,
        meta=np.empty((0,) * array.ndim, array.dtype),
    )
    return xr.Variable(variable.dims, lazy, {**variable.attrs, "grid_mapping": SPATIAL_REF})


def _coordinates(entry: Entry, window: Window) -> dict[str, Any]:
    found: dict[str, Any] = dict(coordinates(window.x, window.y, "EPSG:4326"))
    if entry.dates:
        found["time"] = ("time", np.array(entry.dates, "datetime64[ns]"), {"long_name": "acquisition date"})
    return found
