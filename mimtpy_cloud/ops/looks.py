"""Compare tracks whose looks differ like with like: as if all motion were vertical, or without a known motion."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import dask.array as da
import numpy as np
import xarray as xr

from mimtpy_cloud.errors import GridMismatchError, SchemaError
from mimtpy_cloud.kernels.offset import level_known, level_vertical
from mimtpy_cloud.ops.combination import Track, lattice_tracks, near
from mimtpy_cloud.ops.overlay import Patch, Sheet, lay, masked
from mimtpy_cloud.schema import LOS, VARIABLES, require_variables

__all__ = ["AS_SEEN", "Look", "level_looks", "look_name", "look_sheets", "seen"]

Look = Literal["vertical"] | xr.Dataset | None
#: What a title says of each way to compare looks.
AS_SEEN = {"plain": "", "vertical": ", as if vertical", "field": ", without a known motion"}


def look_name(look: Look) -> str:
    """
    Name how looks are compared.

    Parameters
    ----------
    look : {"vertical"}, xr.Dataset or None
        As for `mimtpy_cloud.ops.adjustment.estimate_adjustment`.

    Returns
    -------
    str
        ``"plain"``, ``"vertical"`` or ``"field"``.
    """
    return "plain" if look is None else look if isinstance(look, str) else "field"


def look_sheets(placed: Sequence[Track], variable: str, look: Look) -> tuple[list[Sheet], Sheet | None, int]:
    """
    Take what a comparison of tracks needs.

    Parameters
    ----------
    placed : sequence of Track
        All tracks.
    variable : str
        What is compared.
    look : {"vertical"}, xr.Dataset or None
        As for `mimtpy_cloud.ops.adjustment.estimate_adjustment`.

    Returns
    -------
    sheets : list of Sheet
        One a track: its look, data and `valid`.
    field : Sheet or None
        East, north, up of the known motion.
    extra : int
        Number of the arrays of a look.

    Raises
    ------
    SchemaError
        If a track lacks its look, or `look` is unknown.
    GridMismatchError
        If the field is not on the lattice of the tracks.
    """
    if isinstance(look, str) and look != "vertical":
        raise SchemaError(f"look must be None, 'vertical' or a dataset with east, north or up, got {look!r}")
    extra = () if look is None else ("los_up",) if isinstance(look, str) else LOS
    for track in placed:
        require_variables(f"track {track.label}", track.ds, *extra)
    sheets = [t.sheet(*extra, variable, *(["valid"] if "valid" in t.ds else [])) for t in placed]
    return sheets, _field_sheet(look, placed[0], variable) if isinstance(look, xr.Dataset) else None, len(extra)


def _field_sheet(look: xr.Dataset, track: Track, variable: str) -> Sheet:
    components = [name for name in ("east", "north", "up") if name in look]
    if not components:
        raise SchemaError(f"a look field needs east, north or up, it has {', '.join(map(str, look.data_vars))}")
    (field,) = lattice_tracks([look])
    if field.window.n != track.window.n:
        raise GridMismatchError(
            f"the look field needs the lattice of the tracks, {track.window.n} pixels a degree, it has "
            f"{field.window.n}; interpolate it onto theirs"
        )
    wanted = VARIABLES[variable].units
    units = {name: str(look[name].attrs.get("units", wanted)) for name in components}
    if set(units.values()) != {wanted}:
        raise SchemaError(f"the look field must be in {wanted} as the tracks are, got {units}; convert it first")
    lazy = field.sheet(*components).arrays
    zero = da.zeros_like(lazy[0])  # type: ignore[no-untyped-call]
    full = [lazy[components.index(c)] if c in components else zero for c in ("east", "north", "up")]
    return Sheet(near(field.window, track.window), tuple(full))


def seen(shape: tuple[int, int], patches: list[Patch], extra: int) -> tuple[np.ndarray, ...] | None:
    """
    Arrange a block for the kernels that compare looks.

    Parameters
    ----------
    shape : tuple of int
        Of the block.
    patches : list of Patch
        Of two sheets of `look_sheets`, and of the field if there is one.
    extra : int
        Number of the arrays of a look.

    Returns
    -------
    tuple of np.ndarray or None
        Data of both, and then the arguments of `mimtpy_cloud.kernels.offset.vertical_difference` or `difference`; None
        where something lacks.
    """
    if len(patches) < 2 or (extra == len(LOS) and len(patches) < 3):
        return None
    first, second = (masked(p, extra) for p in patches[:2])
    if extra < len(LOS):
        return first, second, *(p.views[k] for k in range(extra) for p in patches[:2])
    known = [_placed(view, patches[2], shape) for view in patches[2].views]
    looks = zip(known, patches[0].views, patches[1].views, strict=False)
    return first, second, *(block for three in looks for block in three)


def _placed(view: np.ndarray, patch: Patch, shape: tuple[int, int]) -> np.ndarray:
    """A view of a sheet that covers only a part of the block."""
    out = np.full(shape, np.nan)
    out[patch.row : patch.row + view.shape[0], patch.col : patch.col + view.shape[1]] = view
    return out


@dataclass(frozen=True)
class _Level:
    """Both of two sheets on a block, seen along one look; `extra` views of each come before the data."""

    extra: int

    def __call__(self, shape: tuple[int, int], patches: list[Patch]) -> np.ndarray:
        found = seen(shape, patches, self.extra)
        if found is None:
            return np.full((2, *shape), np.nan, np.float32)
        return level_vertical(*found) if self.extra == 1 else level_known(*found)


def level_looks(first: Track, second: Track, variable: str, look: Look) -> tuple[Track, Track]:
    """
    Look at two tracks along their mean look, in their overlap.

    Parameters
    ----------
    first, second : Track
        With common pixels.
    variable : str
        What is compared.
    look : {"vertical"}, xr.Dataset or None
        As for `mimtpy_cloud.ops.adjustment.estimate_adjustment`.

    Returns
    -------
    tuple of Track
        Both on the overlap, lazy: their difference is what `estimate_adjustment` sees with this look. Pixels that are
        not valid, or where the motion is not known, are NaN.

    Raises
    ------
    SchemaError, GridMismatchError
        As `look_sheets`, or if they do not overlap.
    """
    window = first.window & second.window
    if window.empty:
        raise GridMismatchError(f"{first.label} and {second.label} share no pixel, so that no look is between them")
    sheets, field, extra = look_sheets((first, second), variable, look)
    values = lay(_Level(extra), window, [*sheets, *([field] if field else [])], dtype=np.float32, depth=2)

    def level(track: Track, k: int) -> Track:
        rows, cols = window.slices_in(track.window)
        ds = track.ds.isel(y=rows, x=cols)
        return Track(track.label, window, ds.assign({variable: (("y", "x"), values[k], ds[variable].attrs)}))

    return level(first, 0), level(second, 1)
