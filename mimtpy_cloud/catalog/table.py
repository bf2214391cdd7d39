"""All current entries of a published root in one object: a stac-geoparquet with the entries beside the STAC fields."""

import json
import logging
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from mimtpy_cloud.catalog.published import Published
from mimtpy_cloud.io.storage import Storage

__all__ = ["read_table", "write_table"]

_log = logging.getLogger(__name__)

_ENTRY, _GENERATION = "mimtpy:entry", "mimtpy:generation"


def write_table(
    storage: Storage,
    key: str,
    items: Sequence[Mapping[str, Any]],
    entries: Sequence[Mapping[str, Any]],
    generation: str,
) -> None:
    """
    Write STAC items as stac-geoparquet, those of a published root with their entries.

    Parameters
    ----------
    storage : Storage
        Where to.
    key : str
        Key of the object.
    items : sequence of mapping
        STAC items; at least one.
    entries : sequence of mapping
        What the index holds of each.
    generation : str
        Of the published root, before the entries were read. Empty for any other: then the entries, whose attributes
        may be private, are left out.
    """
    from stac_geoparquet.arrow import parse_stac_items_to_arrow, to_parquet

    rows = [dict(item) for item in items]
    for row, entry in zip(rows, entries if generation else (), strict=bool(generation)):
        row["properties"] = {**row["properties"], _ENTRY: json.dumps(entry), _GENERATION: generation}
    with tempfile.TemporaryDirectory(prefix="mimtpy-stac-") as folder:
        path = Path(folder, "items.parquet")
        to_parquet(parse_stac_items_to_arrow(rows), path, compression="zstd")
        storage.write(key, path.read_bytes())


def read_table(storage: Storage, published: Published) -> list[Any] | None:
    """
    Read what the indexes of a published root hold from its table.

    Parameters
    ----------
    storage : Storage
        Root.
    published : Published
        What it says of itself.

    Returns
    -------
    list of mapping or None
        None if there is no table, or not of this generation, or pyarrow is not installed: read the indexes then.
    """
    if not published.table:
        return None
    try:
        import pyarrow as pa  # type: ignore[import-untyped]
        import pyarrow.parquet as pq  # type: ignore[import-untyped]
    except ImportError:
        return None
    try:
        source = pa.BufferReader(storage.read(published.table))
        columns = pq.read_table(source, columns=[_ENTRY, _GENERATION]).to_pydict()
        if set(columns[_GENERATION]) != {published.generation}:
            return None
        return [json.loads(text) for text in columns[_ENTRY]]
    except FileNotFoundError:
        return None
    except (pa.ArrowException, KeyError, ValueError) as error:
        _log.warning("%s/%s is damaged (%s); the indexes are read instead", storage.url, published.table, error)
        return None
