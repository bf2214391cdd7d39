"""A static STAC catalog of what is current: a collection a track, an item a product and resolution."""

import json
import logging
import os
import posixpath
from collections.abc import Callable, Iterator, Sequence
from itertools import groupby
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from mimtpy_cloud.catalog.index import Catalog, Entry, index_key
from mimtpy_cloud.catalog.published import name_table, read_published
from mimtpy_cloud.catalog.table import write_table
from mimtpy_cloud.errors import MimtpyError, TrackNotFoundError
from mimtpy_cloud.io.storage import Storage, open_storage
from mimtpy_cloud.plan.footprint import split_box
from mimtpy_cloud.plan.grid import Bounds, turned
from mimtpy_cloud.schema import VARIABLES

if TYPE_CHECKING:
    import pystac

__all__ = ["Thumbnail", "item_of", "require_stac", "write_stac"]

_log = logging.getLogger(__name__)

#: PNG of an entry; None if there is nothing to show.
Thumbnail = Callable[[Entry], bytes | None]

#: Folder below the root.
_FOLDER = "stac"
_TABLE = "items.parquet"
#: Stands for the folder of the catalog while links are made relative.
_BASE = "/stac"
_EXTENSIONS = "https://stac-extensions.github.io"
_LIGHT = 299_792_458.0
#: Longest wavelength of each band, m (IEEE 521).
_BANDS = {"Ka": 0.0111, "K": 0.0167, "Ku": 0.025, "X": 0.0375, "C": 0.075, "S": 0.15, "L": 0.3, "P": 1.0}
#: What a sensor's name says for certain: constellation, instrument.
_SENSORS = {
    "Sentinel": ("sentinel-1", "c-sar"),
    "Alos": ("alos", "palsar"),
    "Alos2": ("alos-2", "palsar-2"),
    "Envisat": ("envisat", "asar"),
}
_POLARIZATIONS = frozenset({"HH", "VV", "HV", "VH"})


def write_stac(
    root: str | os.PathLike[str],
    *,
    out: str | os.PathLike[str] | None = None,
    href_root: str | None = None,
    thumbnail: Thumbnail | None = None,
) -> str:
    """
    Write a static STAC catalog of everything that is current, and the same items as one stac-geoparquet.

    Parameters
    ----------
    root : str or path
        Root URL.
    out : str or path, optional
        Folder or URL; by default ``stac`` below the root.
    href_root : str, optional
        Address of the root for those who read the catalog, such as ``https://host/root``. By default assets are named
        relative to their item where the catalog lies below the root, and by the root's URL elsewhere.
    thumbnail : callable, optional
        Makes the PNG of an entry; not called again for a revision that has one.

    Returns
    -------
    str
        URL of ``catalog.json``.

    Raises
    ------
    MimtpyError
        If the extra ``stac`` is not installed.
    TrackNotFoundError
        If nothing is current.
    CatalogError
        If an index is unreadable.
    StorageError
        If the place cannot be written.

    Notes
    -----
    Links are relative, so the folder may be moved as a whole. In a published root, `Catalog.search` then reads
    ``items.parquet`` instead of one index a track, until an index changes.
    """
    require_stac()
    catalog = Catalog(root, cache=False)
    published = read_published(catalog.storage)
    entries = [entry for folder in catalog.track_folders() for entry in catalog.current(*folder)]  # not of the table
    if not entries:
        raise TrackNotFoundError(f"no track in {catalog.root}; ingest or publish something first, or check --root")
    place = f"{catalog.root}/{_FOLDER}" if out is None else os.fspath(out)
    storage = open_storage(place)
    inside = f"{storage.url}/".startswith(f"{catalog.root}/")
    prefix = storage.url[len(catalog.root) :].strip("/") if inside else None
    hrefs = _Hrefs(catalog.root if href_root is None else href_root.rstrip("/"), None if href_root else prefix)
    shown = {_item_id(entry) for entry in entries if thumbnail and _illustrate(storage, entry, thumbnail)}
    stac = _catalog(catalog.root, entries, hrefs, shown)
    items = [_beside_table(item.to_dict(include_self_link=False)) for item in stac.get_items(recursive=True)]
    for key, text in _objects(stac):
        storage.write(key, text)
    generation = published.generation if published and inside else ""
    write_table(storage, _TABLE, items, [entry.to_json() for entry in entries], generation)
    if generation and not name_table(catalog.storage, f"{prefix}/{_TABLE}".lstrip("/"), generation):
        _log.warning("%s changed meanwhile: searches read its indexes; write the STAC catalog again", catalog.root)
    return f"{storage.url}/catalog.json"


def require_stac() -> None:
    """
    Check that what a STAC catalog needs is installed.

    Raises
    ------
    MimtpyError
        If not; the message says how to install it.
    """
    try:
        import pystac  # noqa: F401
        import stac_geoparquet  # noqa: F401
    except ImportError as error:
        raise MimtpyError(
            f"a STAC catalog needs pystac and stac-geoparquet ({error}); install them with the extra: "
            'pip install "mimtpy_cloud[stac]"'
        ) from error


class _Hrefs:
    """
    Where an item finds what lies in the root.

    Parameters
    ----------
    root : str
        Address of the root.
    prefix : str or None
        Folder of the STAC catalog below the root, if assets are named relative to their item.
    """

    def __init__(self, root: str, prefix: str | None) -> None:
        self._root = root
        self._up = None if prefix is None else "../" * (len(prefix.split("/")) + 2 if prefix else 2)

    def __call__(self, key: str) -> str:
        return f"{self._root}/{quote(key)}" if self._up is None else f"{self._up}{quote(key)}"


def _illustrate(storage: Storage, entry: Entry, thumbnail: Thumbnail) -> bool:
    """Write the picture of an entry, unless that of the same revision is there; False if there is none."""
    folder = f"{_collection_id(entry)}/{_item_id(entry)}"
    try:
        before = json.loads(storage.read(f"{folder}/{_item_id(entry)}.json"))
        if before["properties"]["mimtpy:revision"] == entry.revision and "thumbnail" in before["assets"]:
            return True
    except (FileNotFoundError, ValueError, KeyError, TypeError):
        pass
    image = thumbnail(entry)
    if image:
        storage.write(f"{folder}/thumbnail.png", image)
    return bool(image)


def _collection_id(entry: Entry) -> str:
    return f"{entry.sensor}-{entry.track}"


def _item_id(entry: Entry) -> str:
    return f"{entry.sensor}-{entry.track}-{entry.product}-{entry.resolution}"


def _catalog(root: str, entries: Sequence[Entry], hrefs: _Hrefs, shown: set[str]) -> "pystac.Catalog":
    """Everything, with hrefs; entries are sorted by sensor and track, and so are the items."""
    import pystac

    name = root.rstrip("/").rpartition("/")[2] or "root"
    relative = pystac.CatalogType.SELF_CONTAINED
    catalog = pystac.Catalog(name, "InSAR time series and velocities of mimtpy_cloud", catalog_type=relative)
    for _, group in groupby(entries, key=_collection_id):
        of_track = list(group)
        collection = _collection(of_track)
        catalog.add_child(collection)
        collection.add_items([item_of(entry, hrefs, thumbnail=_item_id(entry) in shown) for entry in of_track])
    catalog.normalize_hrefs(_BASE)
    return catalog


def _objects(catalog: "pystac.Catalog") -> Iterator[tuple[str, bytes]]:
    """Keys and JSON of items, then their collections, then the catalog, so that every link leads somewhere."""
    for top, _, items in reversed(list(catalog.walk())):
        for each in (*items, top):
            key = (each.get_self_href() or "").removeprefix(f"{_BASE}/")
            yield key, json.dumps(each.to_dict(include_self_link=False), indent=1, allow_nan=False).encode()


def _beside_table(item: dict[str, Any]) -> dict[str, Any]:
    """An item whose relative addresses count from the folder of the catalog, where the table lies."""
    for part in (*item["links"], *item["assets"].values()):
        if part["href"].startswith("."):
            part["href"] = posixpath.normpath(f"{item['collection']}/{item['id']}/{part['href']}")
    return item


def _collection(entries: Sequence[Entry]) -> "pystac.Collection":
    import pystac
    from pystac.utils import str_to_datetime

    first = entries[0]
    boxes = [turned(entry.bounds, first.bounds) for entry in entries]
    west, south = (min(box[k] for box in boxes) for k in (0, 1))
    east, north = (max(box[k] for box in boxes) for k in (2, 3))
    spans = [span for entry in entries if (span := _span(entry))]
    start = str_to_datetime(min(first for first, _ in spans)) if spans else None
    end = str_to_datetime(max(last for _, last in spans)) if spans else None
    box = _footprint((west, south, east, north))[1]
    extent = pystac.Extent(pystac.SpatialExtent([box]), pystac.TemporalExtent([[start, end]]))
    names = ", ".join(sorted({entry.project or entry.product for entry in entries}))
    return pystac.Collection(
        _collection_id(first),
        f"Track {first.track} of {first.sensor}: {names}",
        extent,
        title=f"{first.sensor} {first.track}",
        license="other",
        keywords=["InSAR", first.sensor, first.track],
    )


def item_of(entry: Entry, href: Callable[[str], str], *, thumbnail: bool = False) -> "pystac.Item":
    """
    Describe an entry as a STAC item.

    Parameters
    ----------
    entry : Entry
        Of a catalog.
    href : callable
        Makes the address of a key below the root.
    thumbnail : bool
        There is a ``thumbnail.png`` beside the item.

    Returns
    -------
    pystac.Item
        Of what is unknown there is no field.
    """
    import pystac
    from pystac.utils import str_to_datetime

    geometry, bbox = _footprint(entry.bounds)
    start, end = _span(entry) or (entry.committed, entry.committed)
    sar, polarizations = _sar(entry)
    extensions = [
        f"{_EXTENSIONS}/datacube/v2.2.0/schema.json",
        f"{_EXTENSIONS}/projection/v2.0.0/schema.json",
        f"{_EXTENSIONS}/sat/v1.0.0/schema.json",
        f"{_EXTENSIONS}/xarray-assets/v1.0.0/schema.json",
        f"{_EXTENSIONS}/zarr/v1.0.0/schema.json",
    ]
    if polarizations and "sar:frequency_band" in sar:  # the extension requires both
        extensions.append(f"{_EXTENSIONS}/sar/v1.2.0/schema.json")
    item = pystac.Item(
        _item_id(entry),
        geometry,
        bbox,
        None,
        {**_known(entry), **_grid(entry), **_cube(entry, start, end), **sar, **polarizations},
        start_datetime=str_to_datetime(start),
        end_datetime=str_to_datetime(end),
        stac_extensions=extensions,
    )
    for band in entry.bands:
        title = f"Zarr store, {band} to {band + 1} degrees north"
        item.add_asset(f"band_{band}", _store(href(entry.store_key(band)), title))
    index = pystac.Asset(href(index_key(entry.sensor, entry.track)), media_type="application/json", roles=["metadata"])
    item.add_asset("index", index)
    if thumbnail:
        item.add_asset("thumbnail", pystac.Asset("./thumbnail.png", media_type="image/png", roles=["thumbnail"]))
    return item


def _store(href: str, title: str) -> "pystac.Asset":
    import pystac

    fields = {
        "zarr:zarr_format": 3,
        "zarr:node_type": "group",
        "zarr:consolidated": True,
        "xarray:open_kwargs": {"engine": "zarr", "consolidated": True},
    }
    return pystac.Asset(href, title, media_type="application/vnd.zarr; version=3", roles=["data"], extra_fields=fields)


def _span(entry: Entry) -> tuple[str, str] | None:
    """First and last acquisition, as STAC writes times."""
    days = entry.dates or tuple(entry.attrs[k] for k in ("start_date", "end_date") if entry.attrs.get(k))
    return (f"{days[0]}T00:00:00Z", f"{days[-1]}T00:00:00Z") if days else None


def _footprint(bounds: Bounds) -> tuple[dict[str, Any], list[float]]:
    """
    Geometry and bbox of a box, cut where it crosses the antimeridian (RFC 7946, 3.1.9 and 5.2).

    Examples
    --------
    >>> _footprint((179.5, -20.0, 181.0, -19.0))[1]
    [179.5, -20.0, -179.0, -19.0]
    """
    parts = split_box(bounds)
    box = [*parts[0][:2], *parts[-1][2:]]
    if len(parts) == 1:
        return {"type": "Polygon", "coordinates": [_ring(*parts[0])]}, box
    return {"type": "MultiPolygon", "coordinates": [[_ring(*part)] for part in parts]}, box


def _ring(west: float, south: float, east: float, north: float) -> list[list[float]]:
    return [[west, south], [east, south], [east, north], [west, north], [west, south]]


def _known(entry: Entry) -> dict[str, Any]:
    """What InSAR has no agreed field for, and the orbit."""
    attrs, baseline = entry.attrs, [b for b in entry.perpendicular_baseline if b == b]
    point = attrs.get("reference_point")
    constellation, instrument = _SENSORS.get(entry.sensor, (None, None))
    state = attrs.get("orbit_direction")
    fields = {
        "created": entry.committed.replace("+00:00", "Z"),
        "constellation": constellation,
        "instruments": [instrument] if instrument else None,
        "sat:orbit_state": state if state in ("ascending", "descending") else None,
        "sat:relative_orbit": int(entry.track[1:]),
        "mimtpy:sensor": entry.sensor,
        "mimtpy:track": entry.track,
        "mimtpy:product": entry.product,
        "mimtpy:project": entry.project or None,
        "mimtpy:resolution": entry.resolution,
        "mimtpy:pixels_per_degree": entry.pixels_per_degree,
        "mimtpy:revision": entry.revision,
        "mimtpy:dates": len(entry.dates),
        "mimtpy:reference_point": [float(v) for v in point] if point else None,
        "mimtpy:reference_date": attrs.get("reference_date"),
        "mimtpy:wavelength": _number(attrs.get("wavelength")),
        "mimtpy:heading": _number(attrs.get("heading")),
        "mimtpy:look_side": attrs.get("look_side"),
        "mimtpy:perpendicular_baseline": [float(min(baseline)), float(max(baseline))] if baseline else None,
    }
    return {name: value for name, value in fields.items() if value is not None}


def _number(value: Any) -> float | None:
    return None if value is None else float(value)


def _sar(entry: Entry) -> tuple[dict[str, Any], dict[str, list[str]]]:
    """Fields of the SAR extension, and apart from them the polarisations, which few sources tell."""
    wavelength, side = entry.attrs.get("wavelength"), entry.attrs.get("look_side")
    fields: dict[str, Any] = {}
    if wavelength:
        fields["sar:center_frequency"] = round(_LIGHT / float(wavelength) / 1e9, 6)
        band = next((name for name, longest in _BANDS.items() if float(wavelength) <= longest), None)
        fields |= {"sar:frequency_band": band} if band else {}
    if side in ("left", "right"):
        fields["sar:observation_direction"] = side
    source = {str(key).lower(): str(value).upper() for key, value in entry.attrs.get("mintpy", {}).items()}
    polarization = source.get("polarization", source.get("polarisation", ""))
    return fields, {"sar:polarizations": [polarization]} if polarization in _POLARIZATIONS else {}


def _grid(entry: Entry) -> dict[str, Any]:
    west, south, east, north = _edges(entry)
    step = 1 / entry.pixels_per_degree
    return {
        "proj:code": "EPSG:4326",
        "proj:shape": list(entry.extent.shape),
        "proj:bbox": [west, south, east, north],
        "proj:transform": [step, 0.0, west, 0.0, -step, north],
    }


def _edges(entry: Entry) -> tuple[float, ...]:
    """Bounds without the noise of a division; the east edge may be beyond 180."""
    return tuple(round(float(v), 9) for v in entry.bounds)


def _cube(entry: Entry, start: str, end: str) -> dict[str, Any]:
    west, south, east, north = _edges(entry)
    step = 1 / entry.pixels_per_degree
    spatial = {"type": "spatial", "step": step, "reference_system": 4326}
    dimensions: dict[str, Any] = {
        "y": {**spatial, "axis": "y", "extent": [south, north]},
        "x": {**spatial, "axis": "x", "extent": [west, east]},
    }
    if entry.dates:
        days = [f"{day}T00:00:00Z" for day in entry.dates]
        dimensions["time"] = {"type": "temporal", "extent": [start, end], "values": days}
    names = (*entry.variables, *(["perpendicular_baseline"] if entry.perpendicular_baseline else []))
    variables = {
        name: {
            "type": "data",
            "dimensions": list(VARIABLES[name].dims),
            "unit": VARIABLES[name].units,
            "description": VARIABLES[name].long_name,
        }
        for name in names
    }
    return {"cube:dimensions": dimensions, "cube:variables": variables}
