"""Write tables of points and leaves: CSV, Parquet, GeoJSON, with the unit of each column."""

import io
import json
import os
from collections.abc import Callable
from pathlib import PurePath
from typing import Any

import numpy as np
import xarray as xr

from mimtpy_cloud.errors import SchemaError
from mimtpy_cloud.exports.provenance import jsonable, stamped
from mimtpy_cloud.exports.publish import publish_bytes
from mimtpy_cloud.schema import SPATIAL_REF, require_variables

__all__ = ["POINT_FORMATS", "write_points"]

_EDGES = ("west", "east", "south", "north")


def write_points(ds: xr.Dataset, url: str | os.PathLike[str]) -> None:
    """
    Write a table of points.

    Parameters
    ----------
    ds : xr.Dataset
        Computed, one dimension: `lon`, `lat` and any columns of numbers, each with its `units`. With `west, east,
        south, north`, as leaves of a quadtree have them, a GeoJSON has their squares, else points.
    url : str or path
        Local path or any fsspec URL, ending in ``.csv``, ``.parquet`` or ``.geojson``.

    Raises
    ------
    SchemaError
        If the suffix is another, lon or lat are missing, or a column is no row of numbers.
    StorageError
        If the place cannot be written.

    See Also
    --------
    mimtpy_cloud.io.points.read_points : Reads the first two again.
    mimtpy_cloud.exports.mimtpyjson.write_points_json : MimtPy's files.

    Notes
    -----
    A heading is ``name [unit]``, and a number has as many digits as tell it from all others, so that what is read is
    what was written. Attributes are in the metadata of Parquet and in the members of a GeoJSON; a CSV has none.
    Squares of a map in a projection have their four corners in degrees.

    Examples
    --------
    >>> import fsspec
    >>> columns = {"lon": (30.1, "degrees_east"), "lat": (40.2, "degrees_north"), "velocity": (0.012, "m/yr")}
    >>> ds = xr.Dataset({name: ("point", [v], {"units": unit}) for name, (v, unit) in columns.items()})
    >>> write_points(ds, "memory://points.csv")
    >>> print(fsspec.open("memory://points.csv", "rt").open().read().strip())
    lon [degrees_east],lat [degrees_north],velocity [m/yr]
    30.1,40.2,0.012
    """
    text = os.fspath(url)
    encode = POINT_FORMATS.get(PurePath(text).suffix.lower())
    if encode is None:
        raise SchemaError(f"a table of points ends in {', '.join(POINT_FORMATS)}, got {text}")
    require_variables("a table of points", ds.variables, "lon", "lat")
    names = [str(name) for name in ds.variables if name not in (SPATIAL_REF, *ds.dims)]
    odd = [n for n in names if ds[n].dims != ds["lon"].dims or ds[n].ndim != 1 or ds[n].dtype.kind not in "iuf"]
    if odd:
        raise SchemaError(
            f"a table of points has columns of numbers on one dimension, got {', '.join(odd)}; leave them out"
        )
    names.sort(key=lambda name: {"lon": 0, "lat": 1}.get(name, 2))
    publish_bytes(encode(ds, names), url)


def _heading(ds: xr.Dataset, name: str) -> str:
    return f"{name} [{ds[name].attrs.get('units', '1')}]"


def _csv(ds: xr.Dataset, names: list[str]) -> bytes:
    rows = zip(*(ds[name].to_numpy().tolist() for name in names), strict=True)
    lines = [",".join(_heading(ds, name) for name in names), *(",".join(map(repr, row)) for row in rows)]
    return ("\n".join(lines) + "\n").encode()


def _parquet(ds: xr.Dataset, names: list[str]) -> bytes:
    try:
        import pyarrow as pa  # type: ignore[import-untyped]
        import pyarrow.parquet as pq  # type: ignore[import-untyped]
    except ImportError as error:
        raise SchemaError("a table as .parquet needs pyarrow: pip install pyarrow, or name it .csv") from error
    table = pa.table({_heading(ds, name): ds[name].to_numpy() for name in names})
    attributes = json.dumps(stamped(ds.attrs, "write_points"))
    buffer = io.BytesIO()
    pq.write_table(table.replace_schema_metadata({"attributes": attributes}), buffer)
    return buffer.getvalue()


def _geojson(ds: xr.Dataset, names: list[str]) -> bytes:
    columns = [name for name in names if name not in ("lon", "lat", *_EDGES)]
    headings = [_heading(ds, name) for name in columns]
    rows = zip(*(ds[name].to_numpy().tolist() for name in columns), strict=True)
    features = [
        {"type": "Feature", "geometry": shape, "properties": jsonable(dict(zip(headings, row, strict=True)))}
        for shape, row in zip(_shapes(ds), rows, strict=True)
    ]
    content = {"type": "FeatureCollection", "attributes": stamped(ds.attrs, "write_points"), "features": features}
    return json.dumps(content).encode()


def _shapes(ds: xr.Dataset) -> list[dict[str, Any]]:
    """Squares, or points where there are no edges."""
    if not all(name in ds for name in _EDGES):
        places = np.column_stack([ds["lon"], ds["lat"]]).tolist()
        return [{"type": "Point", "coordinates": place} for place in places]
    west, east, south, north = (ds[name].to_numpy() for name in _EDGES)
    x, y = np.stack([west, east, east, west, west]), np.stack([south, south, north, north, south])
    if SPATIAL_REF in ds.coords:
        from pyproj import Transformer

        crs = ds[SPATIAL_REF].attrs["crs_wkt"]
        x, y = Transformer.from_crs(crs, "EPSG:4326", always_xy=True).transform(x, y)
    corners = np.stack([x, y], axis=-1).swapaxes(0, 1).tolist()
    return [{"type": "Polygon", "coordinates": [ring]} for ring in corners]


#: Suffix of a table -> how it is written.
POINT_FORMATS: dict[str, Callable[[xr.Dataset, list[str]], bytes]] = {
    ".csv": _csv,
    ".parquet": _parquet,
    ".geojson": _geojson,
}
