"""Names of lattices: which one a source goes to, and those that a root defines itself."""

import itertools
import json
import logging
import math
import re

from mimtpy_cloud.errors import CatalogError, ResolutionError
from mimtpy_cloud.io.storage import Storage
from mimtpy_cloud.plan.chunks import tile_sides
from mimtpy_cloud.plan.grid import Grid
from mimtpy_cloud.plan.placement import Placement
from mimtpy_cloud.schema import RESOLUTIONS

__all__ = ["remember_resolution", "resolve_resolution", "warn_of_sampling"]

_log = logging.getLogger(__name__)

_LATTICE_KEY = "lattice.json"
#: A pixel may be so much larger or smaller than that of the source before a warning.
_SAMPLING = 1.5
#: Roughly, along a meridian.
_METRES_PER_DEGREE = 111_320
#: A pixel size fits a named resolution if they agree within this fraction.
_SAME_STEP = 0.01
#: What a resolution may be called; it is part of the path of a store.
_NAME = re.compile(r"[A-Za-z0-9][\w.+-]*")


def resolve_resolution(
    storage: Storage, grid: Grid | None, resolution: str | None, pixels_per_degree: int | None, url: str
) -> tuple[str, int]:
    """
    Find the lattice that a source goes to.

    Parameters
    ----------
    storage : Storage
        Root, which may have resolutions of its own.
    grid : Grid, optional
        Pixels of the source; None in radar coordinates.
    resolution : str, optional
        Name; by default the one that fits the pixels.
    pixels_per_degree : int, optional
        Defines a new name.
    url : str
        Source, for messages.

    Returns
    -------
    name : str
        Of the resolution.
    n : int
        Pixels a degree.

    Raises
    ------
    ResolutionError
        If it is unknown, missing or unusable.
    CatalogError
        If the table of the root is unreadable.
    """
    known = _known(storage)
    listing = ", ".join(f"{name} ({n})" for name, n in known.items())
    if resolution is None:
        fits = [] if grid is None else [name for name, n in known.items() if abs(grid.dy * n - 1) < _SAME_STEP]
        if pixels_per_degree is not None:
            raise ResolutionError(
                f"{pixels_per_degree} pixels a degree need a name: --resolution NAME --pixels-per-degree "
                f"{pixels_per_degree} (in Python resolution=..., pixels_per_degree={pixels_per_degree}); "
                f"known (pixels a degree): {listing}"
            )
        if not fits:
            raise ResolutionError(f"{url} has {_how_to_name(grid)}; known (pixels a degree): {listing}")
        return fits[0], known[fits[0]]
    if resolution not in known and pixels_per_degree is None:
        raise ResolutionError(
            f"unknown resolution {resolution!r}; known (pixels a degree): {listing}; or give --pixels-per-degree N "
            "(in Python pixels_per_degree=N)"
        )
    if not _NAME.fullmatch(resolution):
        raise ResolutionError(f"a resolution is named by letters, digits and .+-_, as in lowRes; got {resolution!r}")
    n = known[resolution] if pixels_per_degree is None else pixels_per_degree
    if n < 1:
        raise ResolutionError(f"pixels_per_degree must be a whole number above 0, got {n}")
    if known.get(resolution, n) != n:
        raise ResolutionError(
            f"resolution {resolution!r} has {known[resolution]} pixels a degree, got {n}; use another name"
        )
    tile_sides(n)
    return resolution, n


def _how_to_name(grid: Grid | None) -> str:
    """Pixel size of a source that fits no resolution, and what to do."""
    from pyproj import CRS

    if grid is None:
        return "radar coordinates: name the resolution by --resolution NAME (in Python resolution=...)"
    degree = 1 if CRS.from_user_input(grid.crs).is_geographic else _METRES_PER_DEGREE
    n = _tileable(degree / grid.dy)
    return (
        f"a pixel size of {grid.dy:.6g}: name the resolution, such as --resolution NAME --pixels-per-degree {n} "
        f"(in Python resolution=..., pixels_per_degree={n})"
    )


def _tileable(n: float) -> int:
    """Pixels a degree nearest to a number that chunks can have."""
    for away in itertools.count():
        for candidate in (round(n) - away, round(n) + away):
            try:
                tile_sides(candidate)
            except ResolutionError:
                continue
            return candidate
    raise AssertionError


def _known(storage: Storage) -> dict[str, int]:
    return {**RESOLUTIONS, **_own_resolutions(storage)}


def _own_resolutions(storage: Storage) -> dict[str, int]:
    try:
        return {str(name): int(n) for name, n in json.loads(storage.read(_LATTICE_KEY)).items()}
    except FileNotFoundError:
        return {}
    except (ValueError, AttributeError) as error:
        raise CatalogError(f"{storage.url}/{_LATTICE_KEY} is unreadable: {error}") from error


def remember_resolution(storage: Storage, name: str, n: int) -> None:
    """
    Add a resolution to the table of a root.

    Parameters
    ----------
    storage : Storage
        Root.
    name, n : str, int
        Resolution, and its pixels a degree.

    Raises
    ------
    ResolutionError
        If the root has another one of that name.
    """
    if _known(storage).get(name) == n:
        return

    def add(data: bytes | None) -> bytes:
        table = {**json.loads(data or b"{}")}
        if table.setdefault(name, n) != n:
            raise ResolutionError(f"resolution {name!r} has {table[name]} pixels a degree, got {n}; use another name")
        return json.dumps(table, indent=1).encode()

    storage.update(_LATTICE_KEY, add)


def warn_of_sampling(storage: Storage, placement: Placement, name: str, n: int, url: str) -> None:
    """
    Warn if the pixels of the lattice are much smaller or larger than those of the source.

    Parameters
    ----------
    storage : Storage
        Root, which may have resolutions of its own.
    placement : Placement
        Source on the lattice.
    name, n : str, int
        Resolution, and its pixels a degree.
    url : str
        Source, for the message.
    """
    known = _known(storage)
    ratio = math.sqrt(math.prod(placement.ratio))
    if 1 / _SAMPLING <= ratio <= _SAMPLING:
        return
    best = min(known, key=lambda other: abs(math.log(known[other] / (n * ratio))))
    near = 1 / _SAMPLING <= known[best] / (n * ratio) <= _SAMPLING
    fits = f"--resolution {best}" if near else f"--resolution NAME --pixels-per-degree {_tileable(n * ratio)}"
    what = f"{ratio:.2g} times larger" if ratio > 1 else f"{1 / ratio:.2g} times smaller"
    _log.warning("%s: pixels of %s (%d a degree) are %s than its own; %s would fit", url, name, n, what, fits)
