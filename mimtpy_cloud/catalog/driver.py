"""Intake driver: ``intake.open_catalog("catalogs/mimtpy.yml").timeseries(track=...).to_dask()``."""

import os
from typing import Any

import xarray as xr
from intake.source.base import DataSource, Schema

from mimtpy_cloud.catalog.tracks import open_track
from mimtpy_cloud.errors import CatalogError
from mimtpy_cloud.plan.grid import Window

__all__ = ["TrackSource"]


class TrackSource(DataSource):
    """
    One track, or one of its bands, of a mimtpy_cloud root.

    Parameters
    ----------
    root : str
        Root URL.
    track : str
        Pass letter and relative orbit, for example ``"A124"``.
    band : int, optional
        One-degree band; all by default.
    resolution : str, optional
        Name of the lattice; by default standard, or the only one there is.
    product : str, optional
        Needed if the track has several.
    sensor : str
        First path element.
    as_of : str, optional
        ISO time; open what was current then.
    metadata : dict, optional
        Given by intake.

    Notes
    -----
    There are no free keyword arguments, so a misspelt parameter raises a TypeError.
    """

    container = "xarray"
    name = "mimtpy_track"
    version = "1"
    partition_access = False

    def __init__(
        self,
        root: str,
        track: str,
        *,
        band: int | str | None = None,
        resolution: str | None = None,
        product: str | None = None,
        sensor: str = "Sentinel",
        as_of: str | None = None,
        metadata: dict[str, Any] | None = None,
    ) -> None:
        super().__init__(metadata=metadata)
        self._root = os.path.expanduser(root)  # noqa: PTH111 - it may be a URL
        self._track = track
        self._band = _band(band)
        names = {"resolution": resolution, "product": product, "as_of": as_of}
        self._sensor, self._options = sensor, {key: value or None for key, value in names.items()}

    def _get_schema(self) -> Schema:
        dataset = self.to_dask()
        return Schema(datashape=None, dtype=None, shape=None, npartitions=1, extra_metadata=dict(dataset.sizes))

    def to_dask(self) -> xr.Dataset:
        """
        Open lazily; the index is read, no pixel is.

        Returns
        -------
        xr.Dataset
            Canonical dataset.

        Raises
        ------
        TrackNotFoundError
            If nothing fits; the message says what exists.
        CatalogError
            If root or track is empty, the track has no such band, or several resolutions without standard among them.
        """
        if not self._root or not self._track:
            raise CatalogError(
                f"the catalog needs a root and a track, got root={self._root!r} and track={self._track!r}; "
                "pass track=... (and root=..., or set the variable that the catalog file names)"
            )
        dataset = open_track(self._root, self._track, sensor=self._sensor, **self._options)  # type: ignore[arg-type]
        if self._band is None:
            return dataset
        extent = Window.of(dataset.x.values, dataset.y.values, dataset.attrs["pixels_per_degree"])
        part = extent.band(self._band)
        if part.empty:
            bands = ", ".join(map(str, reversed(extent.bands)))
            raise CatalogError(f"track {self._track} has no band {self._band}; it has {bands}")
        rows, cols = part.slices_in(extent)
        return dataset.isel(y=rows, x=cols)

    def read(self) -> xr.Dataset:
        """
        Load into memory.

        Returns
        -------
        xr.Dataset
            Canonical dataset with numpy arrays.
        """
        return self.to_dask().load()


def _band(band: int | str | None) -> int | None:
    if band is None or band in ("", "all"):
        return None
    try:
        return int(band)
    except ValueError as error:
        raise CatalogError(f"band must be a whole degree of latitude such as 36, or all, got {band!r}") from error
