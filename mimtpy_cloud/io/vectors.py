"""Read lines and points: Shapefile, GeoJSON, GeoPackage, and the text tables of GMT."""

import logging
import os
import re
import shlex
import shutil
import tempfile
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np

from mimtpy_cloud.errors import SourceFormatError, StorageError
from mimtpy_cloud.location import is_local, locate, reaching

__all__ = ["read_lines", "read_points"]

_log = logging.getLogger(__name__)
_LONLAT = "EPSG:4326"
#: Suffixes that GDAL reads; any other file is read as text.
_GDAL = (".shp", ".geojson", ".json", ".gpkg", ".fgb", ".kml", ".zip")
#: Files that belong to a shapefile.
_SIDECARS = (".shx", ".dbf", ".prj", ".cpg")
_FORMATS = "Shapefile, GeoJSON, GeoPackage, FlatGeobuf, KML or GMT text (lon lat, segments after '>')"


def read_lines(url: str | os.PathLike[str]) -> list[np.ndarray]:
    """
    Read lines (faults, coasts, outlines of polygons) as longitudes and latitudes.

    Parameters
    ----------
    url : str or path
        Local path or any fsspec URL of a Shapefile, GeoJSON, GeoPackage (all its layers), FlatGeobuf,
        KML, or text as GMT reads it (``lon lat`` a line, ``>`` between segments, ``#`` comments).

    Returns
    -------
    list of np.ndarray
        One float64 array of shape ``(n, 2)``, n >= 2, for each line: longitude and latitude in
        degrees (EPSG:4326), whatever the system of the file. A system that the file does not name is
        taken as longitude and latitude.

    Raises
    ------
    StorageError
        If there is no such file, or it cannot be fetched.
    SourceFormatError
        If it cannot be read, holds no line, or has other units than degrees and no system.

    See Also
    --------
    read_points : positions instead of lines.
    """
    lines = [line for line in _read(url).lines if len(line) > 1]
    if not lines:
        raise SourceFormatError(f"{url} has no line or polygon with two vertices; expected {_FORMATS}")
    return lines


def read_points(url: str | os.PathLike[str]) -> np.ndarray:
    """
    Read points (a reference point, stations) as longitudes and latitudes.

    Parameters
    ----------
    url : str or path
        As for `read_lines`; a text table gives all its positions.

    Returns
    -------
    np.ndarray
        Shape ``(n, 2)``, float64: longitude and latitude in degrees.

    Raises
    ------
    StorageError
        If there is no such file, or it cannot be fetched.
    SourceFormatError
        If it cannot be read, holds no point, or has other units than degrees and no system.

    See Also
    --------
    read_lines : lines instead of positions.
    """
    points = _read(url).points
    if not len(points):
        raise SourceFormatError(f"{url} has no point; expected {_FORMATS}")
    return points


class _Vectors:
    """Lines, and points; of a text table, both are the same vertices."""

    def __init__(self, lines: list[np.ndarray], points: np.ndarray) -> None:
        self.lines, self.points = lines, points


def _read(url: str | os.PathLike[str]) -> _Vectors:
    with _local(url) as path:
        if path.suffix.lower() in _GDAL:
            return _read_gdal(path, url)
        return _read_text(path, url)


@contextmanager
def _local(url: str | os.PathLike[str]) -> Iterator[Path]:
    """Local copy of a file and of what belongs to it; a local file itself."""
    fs, name = locate(url)
    with reaching(url):
        there, is_folder = fs.exists(name), fs.isdir(name)
    if not there:
        raise StorageError(f"no such file: {url}")
    if is_folder:
        raise StorageError(f"{url} is a folder; name the file in it, for example faults.shp")
    if is_local(fs):
        yield Path(name)
        return
    folder = Path(tempfile.mkdtemp(prefix="mimtpy-vectors-"))
    try:
        with reaching(url):
            for part in _parts(fs, name):
                fs.get_file(part, str(folder / Path(part).name))
        yield folder / Path(name).name
    except OSError as error:
        raise error if isinstance(error, StorageError) else StorageError(f"cannot fetch {url}: {error}") from error
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _parts(fs: Any, name: str) -> list[str]:
    stem, suffix = os.path.splitext(name)  # noqa: PTH122
    if suffix.lower() != ".shp":
        return [name]
    return [name, *(stem + s for s in _SIDECARS if fs.exists(stem + s))]


def _read_gdal(path: Path, url: str | os.PathLike[str]) -> _Vectors:
    import pyogrio
    import shapely
    from pyogrio.errors import DataLayerError, DataSourceError

    lines: list[np.ndarray] = []
    points: list[np.ndarray] = []
    try:
        for layer, kind in pyogrio.list_layers(path):
            if kind is None:
                continue  # a table without geometry
            with warnings.catch_warnings():
                warnings.filterwarnings("ignore", message="Measured")  # M values are not ours to keep
                meta, _, wkb, _ = pyogrio.raw.read(path, layer=layer, columns=[], force_2d=True)
            for part in shapely.get_parts(shapely.from_wkb(wkb[wkb != None])):  # noqa: E711
                _sort(part, _to_lonlat(meta["crs"], url), lines, points)
    except (DataSourceError, DataLayerError, shapely.errors.ShapelyError, OSError) as error:
        raise SourceFormatError(f"cannot read {url}: {error}; expected {_FORMATS}") from error
    return _Vectors(lines, np.concatenate(points) if points else np.empty((0, 2)))


def _sort(geometry: Any, to_lonlat: Any, lines: list[np.ndarray], points: list[np.ndarray]) -> None:
    """Put each part of a geometry where it belongs; a polygon gives its rings."""
    import shapely

    kind = geometry.geom_type
    if geometry.is_empty:
        return
    if kind == "Polygon":
        geometry, kind = shapely.boundary(geometry), "Multi"
    if kind.startswith("Multi") or kind == "GeometryCollection":
        for part in shapely.get_parts(geometry):
            _sort(part, to_lonlat, lines, points)
        return
    (points if kind == "Point" else lines).append(to_lonlat(shapely.get_coordinates(geometry)))


def _to_lonlat(crs: str | None, url: str | os.PathLike[str]) -> Any:
    """Function from coordinates of a system to longitude and latitude."""
    from pyproj import CRS, Transformer
    from pyproj.exceptions import CRSError

    def check(xy: np.ndarray) -> np.ndarray:
        if np.abs(xy[:, 0]).max() > 360 or np.abs(xy[:, 1]).max() > 90:
            raise SourceFormatError(
                f"{url} has coordinates such as {xy[0, 0]:g}, {xy[0, 1]:g} that are not longitude and latitude, and "
                "names no coordinate system; add a .prj file, or reproject it"
            )
        return xy

    if crs is None:
        return check
    try:
        source = CRS.from_user_input(crs)
    except CRSError as error:
        raise SourceFormatError(f"{url} names a coordinate system that PROJ does not know: {error}") from error
    if source == CRS.from_user_input(_LONLAT):
        return check
    transform = Transformer.from_crs(source, _LONLAT, always_xy=True).transform
    return lambda xy: np.column_stack(transform(xy[:, 0], xy[:, 1]))


def _read_text(path: Path, url: str | os.PathLike[str]) -> _Vectors:
    """Read multi-segment text, plain or with the comments of OGR-GMT."""
    segments: list[list[tuple[float, float]]] = [[]]
    crs = None
    try:
        text = path.read_text(encoding="utf-8")
    except (UnicodeDecodeError, OSError) as error:
        raise SourceFormatError(f"cannot read {url}: {error}; expected {_FORMATS}") from error
    for number, line in enumerate(map(str.strip, text.splitlines()), start=1):
        if line.startswith("#"):
            crs = crs or _gmt_crs(line)
        elif line.startswith(">"):
            segments.append([])
        elif line and not (number == 1 and line[0].isalpha()):  # a heading
            vertex = _vertex(line, number, url)
            segments[-1].append(vertex) if vertex else segments.append([])
    to_lonlat = _to_lonlat(crs, url)
    lines = [to_lonlat(np.array(segment)) for segment in segments if segment]
    return _Vectors(lines, np.concatenate(lines) if lines else np.empty((0, 2)))


def _vertex(line: str, number: int, url: str | os.PathLike[str]) -> tuple[float, float] | None:
    """First two numbers of a line; None where it breaks a segment (NaN)."""
    words = re.split(r"[,;\s]+", line)
    try:
        lon, lat = float(words[0]), float(words[1])
    except (ValueError, IndexError) as error:
        raise SourceFormatError(
            f"{url}, line {number}: expected 'lon lat', got {line[:60]!r}; expected {_FORMATS}"
        ) from error
    return None if np.isnan(lon) or np.isnan(lat) else (lon, lat)


def _gmt_crs(comment: str) -> str | None:
    """Coordinate system in a header comment of OGR-GMT: @Je4326, @Jp"proj text" or @Jw"wkt"."""
    found = {word[2]: word[3:] for word in _words(comment) if word.startswith("@J") and len(word) > 3}
    if "e" in found:
        return f"EPSG:{found['e']}"
    return found.get("p") or found.get("w")


def _words(comment: str) -> list[str]:
    try:
        return shlex.split(comment.lstrip("#"))
    except ValueError:  # an unpaired quote in a plain comment
        return []
