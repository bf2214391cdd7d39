"""Write outlines with their properties: GeoJSON, the vector text of GMT, KML, or WKT, by the ending of the name."""

import json
import os
from collections.abc import Callable, Mapping, Sequence
from pathlib import PurePath
from typing import Any
from xml.sax.saxutils import escape

from mimtpy_cloud.errors import StorageError
from mimtpy_cloud.exports.provenance import jsonable
from mimtpy_cloud.exports.publish import publish_bytes

__all__ = ["ENDINGS", "write_footprints"]

#: ``(outline, properties)``
Feature = tuple[Any, Mapping[str, Any]]
#: Colours of KML, alpha blue green red.
_KML_COLOURS = {"ascending": "ffb27200", "descending": "ff005ed5"}
_KML_OTHER = "ff555555"


def write_footprints(features: Sequence[Feature], url: str | os.PathLike[str]) -> None:
    """
    Write outlines.

    Parameters
    ----------
    features : sequence of tuple
        Outline (shapely polygon in longitude and latitude) and its properties: text and numbers; ``name`` is its name,
        ``orbit_direction`` its colour in KML.
    url : str or path
        Local path or fsspec URL that ends in ``.geojson`` or ``.json``, ``.gmt``, ``.kml``, or ``.wkt``. WKT has one
        outline a line, without properties.

    Raises
    ------
    StorageError
        If the ending is another, or the place cannot be written.

    See Also
    --------
    mimtpy_cloud.io.vectors.read_lines : Reads the first three.

    Notes
    -----
    GeoJSON is as RFC 7946 wants it: longitude first, WGS 84, outer rings anticlockwise, cut at the antimeridian. The
    text of GMT is OGR/GMT with ``@GPOLYGON``, so GMT draws it and GDAL reads it with its properties.
    """
    write = _WRITERS.get(PurePath(os.fspath(url)).suffix.lower())
    if write is None:
        raise StorageError(f"footprints are written to a name that ends in {', '.join(ENDINGS)}, got {os.fspath(url)}")
    plain = [(outline, jsonable(told)) for outline, told in features]
    publish_bytes(write(plain).encode(), url)


def _geojson(features: Sequence[Feature]) -> str:
    import shapely

    items = []
    for outline, told in features:
        geometry = json.loads(shapely.to_geojson(shapely.orient_polygons(outline)))
        items.append({"type": "Feature", "bbox": list(outline.bounds), "properties": told, "geometry": geometry})
    return json.dumps({"type": "FeatureCollection", "features": items}, indent=1)


def _wkt(features: Sequence[Feature]) -> str:
    return "".join(f"{outline.wkt}\n" for outline, _ in features)


def _polygons(outline: Any) -> list[Any]:
    import shapely

    return list(shapely.get_parts(shapely.orient_polygons(outline)))


def _gmt(features: Sequence[Feature]) -> str:
    """Region, system and fields, then a segment a ring: ``@D`` has the values, ``@P`` and ``@H`` its kind."""
    names = list(dict.fromkeys(key for _, told in features for key in told))
    numbers = {name for name in names if all(isinstance(told.get(name, 0), int | float) for _, told in features)}
    boxes = [outline.bounds for outline, _ in features]
    region = "/".join(str(f(box[k] for box in boxes)) for k, f in ((0, min), (2, max), (1, min), (3, max)))
    kinds = "|".join("double" if name in numbers else "string" for name in names)
    lines = ["# @VGMT1.0 @GPOLYGON", f"# @R{region}", "# @Je4326", f"# @N{'|'.join(names)}", f"# @T{kinds}"]
    lines.append("# FEATURE_DATA")
    for outline, told in features:
        values = "|".join(_gmt_value(told.get(name), quoted=name not in numbers) for name in names)
        for polygon in _polygons(outline):
            for ring, kind in ((polygon.exterior, "@P"), *((hole, "@H") for hole in polygon.interiors)):
                lines += [">", *([f"# @D{values}"] if kind == "@P" else []), f"# {kind}"]
                lines += [f"{x:.10g} {y:.10g}" for x, y in ring.coords]
    return "\n".join([*lines, ""])


def _gmt_value(value: Any, *, quoted: bool) -> str:
    text = "" if value is None else str(value)
    return '"' + text.replace('"', "'").replace("|", "/") + '"' if quoted else text


def _kml(features: Sequence[Feature]) -> str:
    marks = "".join(_placemark(outline, told) for outline, told in features)
    return (
        '<?xml version="1.0" encoding="UTF-8"?>\n<kml xmlns="http://www.opengis.net/kml/2.2"><Document>'
        f"<name>footprints</name>\n{marks}</Document></kml>\n"
    )


def _placemark(outline: Any, told: Mapping[str, Any]) -> str:
    colour = _KML_COLOURS.get(str(told.get("orbit_direction")), _KML_OTHER)
    data = "".join(
        f'<Data name="{escape(str(key))}"><value>{escape(str(value))}</value></Data>' for key, value in told.items()
    )
    rings = "".join(
        f"<Polygon><outerBoundaryIs>{_kml_ring(polygon.exterior)}</outerBoundaryIs>"
        + "".join(f"<innerBoundaryIs>{_kml_ring(hole)}</innerBoundaryIs>" for hole in polygon.interiors)
        + "</Polygon>"
        for polygon in _polygons(outline)
    )
    return (
        f"<Placemark><name>{escape(str(told.get('name', '')))}</name><Style><LineStyle><color>{colour}</color><width>2"
        f"</width></LineStyle><PolyStyle><color>40{colour[2:]}</color></PolyStyle></Style><ExtendedData>{data}"
        f"</ExtendedData><MultiGeometry>{rings}</MultiGeometry></Placemark>\n"
    )


def _kml_ring(ring: Any) -> str:
    points = " ".join(f"{x:.10g},{y:.10g}" for x, y in ring.coords)
    return f"<LinearRing><coordinates>{points}</coordinates></LinearRing>"


_WRITERS: dict[str, Callable[[Sequence[Feature]], str]] = {
    ".geojson": _geojson,
    ".json": _geojson,
    ".gmt": _gmt,
    ".kml": _kml,
    ".wkt": _wkt,
}
#: Endings of names that `write_footprints` takes.
ENDINGS = tuple(_WRITERS)
