"""Outlines of what a catalog holds, with what is known of each."""

from collections.abc import Mapping
from typing import Any

import xarray as xr

from mimtpy_cloud.catalog.index import Catalog, Entry
from mimtpy_cloud.catalog.tracks import open_entry
from mimtpy_cloud.cli.datasets import all_entries
from mimtpy_cloud.errors import SchemaError
from mimtpy_cloud.ops.footprint import footprint, scene_outline
from mimtpy_cloud.plan.footprint import box_outline, ground_area
from mimtpy_cloud.plan.grid import Window

__all__ = ["catalog_footprints", "dataset_footprint"]

Feature = tuple[Any, dict[str, Any]]


def dataset_footprint(ds: xr.Dataset, kind: str, label: str) -> Feature:
    """
    Outline a dataset; of usable pixels this reads their mask.

    Parameters
    ----------
    ds : xr.Dataset
        Canonical dataset.
    kind : str
        As for `footprint`.
    label : str
        Its name.

    Returns
    -------
    outline : shapely.Polygon or shapely.MultiPolygon
        Longitude and latitude.
    properties : dict
        What is known, and ``area_km2``.
    """
    outline = footprint(ds, kind)  # type: ignore[arg-type]
    outline = outline.compute() if kind == "valid" else outline
    days = [str(day.date()) for day in ds.indexes["time"]] if "time" in ds.indexes else []
    return outline, _told(label, kind, ds.attrs, days, outline)


def catalog_footprints(catalog: Catalog, kind: str, *, bands: bool = False) -> list[Feature]:
    """
    Outline every track of a catalog.

    Parameters
    ----------
    catalog : Catalog
        Where `ingest` wrote; only its indexes are read, unless usable pixels are asked for.
    kind : str
        As for `footprint`.
    bands : bool
        Whether each one-degree band has an outline of its own, of its data.

    Returns
    -------
    list of tuple
        Outline and properties of each track, product and resolution.

    Raises
    ------
    CatalogError
        If the catalog is empty.
    SchemaError
        If bands are asked for with another kind than data.
    """
    if bands and kind != "data":
        raise SchemaError(f"bands have footprints of their data alone, got {kind}; leave out --bands, or take data")
    entries = all_entries(catalog)
    if not bands:
        return [_of_entry(catalog, entry, kind) for entry in entries]
    return [_of_band(entry, band) for entry in entries for band in entry.bands]


def _of_entry(catalog: Catalog, entry: Entry, kind: str) -> Feature:
    if kind == "valid":
        outline = footprint(open_entry(catalog.root, entry, cache=catalog.cache), "valid").compute()
    else:
        outline = scene_outline(entry.attrs) if kind == "scene" else box_outline(entry.bounds)
    return outline, _told(entry.track, kind, entry.attrs, entry.dates, outline) | _places(entry)


def _of_band(entry: Entry, band: int) -> Feature:
    window: Window = entry.band_window(band) & entry.extent
    outline = box_outline(window.bounds)
    told = _told(f"{entry.track}/{band}", "data", entry.attrs, entry.dates, outline)
    return outline, told | _places(entry) | {"bands": str(band)}


def _places(entry: Entry) -> dict[str, Any]:
    bands = ",".join(map(str, entry.bands))
    return {"product": entry.product, "resolution": entry.resolution, "bands": bands, "revision": entry.revision}


def _told(name: str, kind: str, attrs: Mapping[str, Any], days: Any, outline: Any) -> dict[str, Any]:
    """Text and numbers; what is not known is left out."""
    span = (days[0], days[-1]) if len(days) else (attrs.get("start_date"), attrs.get("end_date"))
    told = {
        "name": name,
        "kind": kind,
        **{key: attrs.get(key) for key in ("sensor", "track", "project", "orbit_direction")},
        "start_date": span[0],
        "end_date": span[1],
        "dates": len(days) or None,
        "area_km2": round(ground_area(outline) / 1e6, 3),
    }
    return {key: value for key, value in told.items() if value is not None}
