"""Band stores of random values, and the arrays they must read back as."""

from collections.abc import Sequence
from itertools import product
from typing import Any

import numpy as np

from mimtpy_cloud.codec import encode
from mimtpy_cloud.io.storage import Storage
from mimtpy_cloud.io.store import ArraySpec, BandArray, ShardWriter, create_store
from mimtpy_cloud.plan.grid import Window

DATES = ("2020-01-03", "2020-01-15", "2020-02-08")


def write_band(
    storage: Storage,
    prefix: str,
    window: Window,
    arrays: dict[str, np.ndarray],
    *,
    dates: Sequence[str] = (),
    per_date: dict[str, np.ndarray] | None = None,
    attrs: dict[str, Any] | None = None,
) -> dict[str, BandArray]:
    """Write arrays that cover a window as one band store; chunks without data are left out."""
    specs = {name: ArraySpec(name, window.n, len(dates) if a.ndim == 3 else 0) for name, a in arrays.items()}
    create_store(
        storage,
        prefix,
        list(specs.values()),
        window,
        dates=dates,
        per_date=per_date or {},
        attrs=attrs or {"track": "A064"},
    )
    for name, spec in specs.items():
        for tile in window.tiles(spec.tile[-1]):
            write_tile(storage, f"{prefix}/{name}", spec, window, tile, arrays[name])
    return {name: BandArray(storage.url, f"{prefix}/{name}", spec, window) for name, spec in specs.items()}


def write_tile(storage: Storage, key: str, spec: ArraySpec, window: Window, tile: Window, values: np.ndarray) -> None:
    """Write the object of one tile, if it holds any data."""
    side = spec.tile[-1]
    row, col = (tile.row - window.row) // side, (tile.col - window.col) // side
    block = np.full(spec.tile, spec.fill, spec.dtype)
    part = values[(..., *tile.slices_in(window))]
    block[tuple(slice(size) for size in part.shape)] = part
    if not holds_data(block):
        return
    with storage.writer(f"{key}/c/{'0/' if spec.dates else ''}{row}/{col}") as file:
        shard = ShardWriter(file, spec)
        for position in product(*map(range, spec.chunks_per_shard)):
            place = tuple(slice(p * c, (p + 1) * c) for p, c in zip(position, spec.chunk, strict=True))
            chunk = np.ascontiguousarray(block[place])
            if holds_data(chunk):
                shard.add(position, encode(chunk))
        shard.finish()


def holds_data(block: np.ndarray) -> bool:
    """Whether a chunk would be written."""
    return bool(block.any()) if block.dtype == bool else not np.isnan(block).all()


def random_values(shape: tuple[int, ...], dtype: Any = "float32", seed: int = 0) -> np.ndarray:
    """Values with gaps: some pixels, and a corner that is larger than a chunk."""
    rng = np.random.default_rng(seed)
    if np.dtype(dtype) == bool:
        return rng.random(shape) > 0.5
    values = rng.normal(size=shape).astype(dtype)
    values[rng.random(shape) > 0.9] = np.nan
    values[..., : shape[-2] // 2 + 1, : shape[-1] // 2 + 1] = np.nan
    return values
