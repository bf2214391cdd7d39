"""Intake driver: ``intake.open_catalog("catalogs/mimtpy.yml").timeseries(track=...).to_dask()``.

Intake expands every environment variable and imports every driver that a catalog file names. `read_catalog` opens files
of others without either.
"""

import os
import re
from typing import Any

import xarray as xr
from intake.source.base import DataSource, Schema

from mimtpy_cloud.catalog.tracks import open_track
from mimtpy_cloud.errors import CatalogError
from mimtpy_cloud.location import locate, reaching
from mimtpy_cloud.plan.grid import Window

__all__ = ["TrackSource", "read_catalog"]

#: What a catalog of somebody else may ask the environment for.
_VARIABLES = ("MIMTPY_ROOT", "MIMTPY_S3_ROOT")
_ALLOWED = {"metadata", "sources"}
_ALLOWED_OF_SOURCE = {"description", "driver", "args", "metadata"}
_TEMPLATE = re.compile(r"\{\{\s*(?:env\((\w+)\)|(CATALOG_DIR))\s*\}\}")


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


def read_catalog(url: str | os.PathLike[str]) -> Any:
    """
    Open an Intake catalog file that somebody else wrote.

    Parameters
    ----------
    url : str or path
        YAML file or URL.

    Returns
    -------
    intake.Catalog
        As `intake.open_catalog` would return it.

    Raises
    ------
    CatalogError
        If it is no such file, has a driver other than ``mimtpy_track``, plugins, or parameters of its own, or asks for
        an environment variable other than ``MIMTPY_ROOT`` and ``MIMTPY_S3_ROOT``. Then nothing of it is used.

    Examples
    --------
    >>> import pathlib, tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     file = pathlib.Path(folder, "theirs.yml")
    ...     _ = file.write_text("sources: {a: {driver: mimtpy_track, args: {root: /data, track: A064}}}")
    ...     list(read_catalog(file))
    ['a']
    """
    import yaml
    from intake.catalog import Catalog
    from intake.catalog.local import LocalCatalogEntry

    text = os.fspath(url)
    fs, path = locate(text)
    try:
        with reaching(text):
            content = yaml.safe_load(fs.cat_file(path))
    except (FileNotFoundError, yaml.YAMLError, UnicodeDecodeError) as error:
        raise CatalogError(f"{text} is no catalog file that can be read: {error}") from error
    sources = content.get("sources") if isinstance(content, dict) else None
    if not isinstance(sources, dict) or not set(content) <= _ALLOWED:
        raise CatalogError(f"{text} must have sources, and beside them nothing but metadata; it is not used")
    for name, source in sources.items():
        if (
            not isinstance(source, dict)
            or source.get("driver") != "mimtpy_track"
            or not set(source) <= _ALLOWED_OF_SOURCE
        ):
            raise CatalogError(
                f"{text}: source {name} must have the driver mimtpy_track, and beside it nothing but description, args "
                "and metadata; it is not used"
            )
    folder = text.replace("\\", "/").rpartition("/")[0] or "."
    entries = {}
    for name, source in _filled(sources, text, folder).items():
        given = {"args": source.get("args") or {}, "metadata": source.get("metadata") or {}}
        entries[name] = LocalCatalogEntry(
            name, source.get("description", ""), "mimtpy_track", **given, getenv=False, getshell=False
        )
    return Catalog.from_dict(entries, name=text)


def _filled(value: Any, where: str, folder: str) -> Any:
    """Put in what a file may ask for; anything else between braces would be run by Intake's templates."""
    if isinstance(value, dict):
        return {_filled(key, where, folder): _filled(item, where, folder) for key, item in value.items()}
    if isinstance(value, list):
        return [_filled(item, where, folder) for item in value]
    if not isinstance(value, str):
        return value

    def fill(found: re.Match[str]) -> str:
        if found.group(2):
            return folder
        if found.group(1) not in _VARIABLES:
            raise CatalogError(f"{where} asks for the environment variable {found.group(1)}; it is not used")
        return os.environ.get(found.group(1), "")

    filled = _TEMPLATE.sub(fill, value)
    if "{{" in filled or "{%" in filled:
        raise CatalogError(
            f"{where} has a template other than env(MIMTPY_ROOT) and CATALOG_DIR: {value!r}; it is not used"
        )
    return filled
