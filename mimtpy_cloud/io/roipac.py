"""Read geocoded ROI_PAC files (``.unw``, ``.cor``, ``.dem``, ``.hgt`` with a ``.rsc`` beside them), lazily."""

import math
import os
import re
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import dask.array as da
import numpy as np
import xarray as xr
from dask.base import tokenize

from mimtpy_cloud.errors import GridMismatchError, SourceFormatError
from mimtpy_cloud.io.attributes import Metadata
from mimtpy_cloud.io.canonical import describe
from mimtpy_cloud.io.georeference import coordinates
from mimtpy_cloud.io.hdf5 import block_shape
from mimtpy_cloud.io.hdf5file import SourceFile
from mimtpy_cloud.io.mintpy import open_mintpy
from mimtpy_cloud.io.units import METRES
from mimtpy_cloud.location import is_local, locate, reaching
from mimtpy_cloud.schema import LOS

__all__ = ["ROIPAC_SUFFIXES", "BinaryBand", "open_roipac"]

#: Endings that `open_roipac` reads.
ROIPAC_SUFFIXES = (".unw", ".cor", ".dem", ".hgt")
#: Type, number of bands and the band that holds the values, of each kind of file; best first.
_LAYOUTS: dict[str, tuple[tuple[str, int, int], ...]] = {
    ".unw": (("<f4", 2, 1), ("<f4", 1, 0)),
    ".cor": (("<f4", 2, 1), ("<f4", 1, 0)),
    ".hgt": (("<f4", 2, 1), ("<f4", 1, 0)),
    ".dem": (("<i2", 1, 0), ("<f4", 1, 0)),
}
#: Height that means no data in int16 files.
_VOID = -32768
_DATES = re.compile(r"(\d{6}|\d{8})[_-](\d{6}|\d{8})")
_GEOMETRY = (*LOS, "height", "slant_range", "is_shadow", "is_water")
#: Grids are equal within this part of a pixel.
_SAME_GRID = 0.01


@dataclass(frozen=True)
class BinaryBand:
    """
    One band of a flat binary file whose rows hold the bands one after the other (BIL); read on indexing.

    Parameters
    ----------
    file : SourceFile
        Where it is.
    shape : tuple of int
        Rows and columns.
    stored : str
        Type in the file, such as ``"<f4"``; float32 comes out.
    bands, band : int
        How many there are, and which one this is.
    ndim : int
        Two.
    dtype : str
        What comes out.
    """

    file: SourceFile
    shape: tuple[int, int]
    stored: str
    bands: int = 1
    band: int = 0
    ndim: int = 2
    dtype: str = "float32"

    def __getitem__(self, index: Any) -> np.ndarray:
        rows = range(*index[0].indices(self.shape[0]))
        if not rows:
            return np.empty((0, len(range(*index[1].indices(self.shape[1])))), self.dtype)
        first, last = min(rows[0], rows[-1]), max(rows[0], rows[-1]) + 1
        lines = self._lines(first, last)[:, self.band]
        part = lines[[row - first for row in rows]] if rows.step != 1 else lines
        return np.ascontiguousarray(part[:, index[1]], self.dtype)

    def _lines(self, first: int, last: int) -> np.ndarray:
        """All bands of some rows, from the disk as they are needed, or by one request."""
        layout = (last - first, self.bands, self.shape[1])
        offset = first * self.row_bytes
        fs, path = locate(self.file.url)
        if is_local(fs):
            return np.memmap(path, self.stored, "r", offset, layout)
        with reaching(self.file.url):
            data = fs.cat_file(path, start=offset, end=last * self.row_bytes)
        return np.frombuffer(data, self.stored).reshape(layout)

    @property
    def row_bytes(self) -> int:
        """Bytes of a row with all its bands."""
        return int(self.bands * self.shape[1] * np.dtype(self.stored).itemsize)

    def lazy(self) -> xr.DataArray:
        """
        Make a lazy array in blocks of whole rows.

        Returns
        -------
        xr.DataArray
            Dimensions ``(y, x)``, float32, without coordinates.
        """
        block = block_shape(self.shape, None, 4 * self.bands)
        data = da.from_array(  # type: ignore[no-untyped-call]
            self,
            chunks=block,
            name=f"read-roipac-{tokenize(self, block)}",
            asarray=False,
            fancy=False,
            meta=np.empty((0, 0), self.dtype),
            inline_array=True,
        )
        return xr.DataArray(data, dims=("y", "x"))


def open_roipac(url: str | os.PathLike[str], geometry: str | os.PathLike[str] | None = None) -> xr.Dataset:
    """
    Open a geocoded ROI_PAC file lazily.

    Parameters
    ----------
    url : str or path
        ``.unw``, ``.cor``, ``.dem`` or ``.hgt``, local or any fsspec URL, with a file of the same name and ``.rsc``.
    geometry : str or path, optional
        MintPy geometry file on the same grid; gives look vectors and height.

    Returns
    -------
    xr.Dataset
        On the file's own grid, one variable: ``displacement (y, x)`` in m between ``start_date`` and ``end_date``,
        positive toward the satellite, with ``valid``; ``coherence``; or ``height`` in m. Pixels where amplitude and
        phase are 0 are NaN, except the reference pixel.

    Raises
    ------
    SourceFormatError
        If the file or its ``.rsc`` is missing, the size does not fit, it is in radar coordinates, or an interferogram
        has no wavelength or dates.
    GridMismatchError
        If the geometry lies on another grid.

    See Also
    --------
    mimtpy_cloud.io.mintpy.open_mintpy : The HDF5 files.

    Notes
    -----
    The displacement is ``-wavelength / (4 pi) * phase``. Files are flat and little-endian: ``.unw``, ``.cor`` and
    ``.hgt`` have rows of amplitude and then of values in float32, ``.dem`` one band of int16; one band of float32 is
    read, too. DATE12 is ``YYMMDD-YYMMDD`` or ``YYYYMMDD_YYYYMMDD``.
    """
    text = os.fspath(url)
    source = SourceFile.locate(text)
    meta = Metadata(_read_rsc(text), text)
    if meta.grid is None:
        raise SourceFormatError(f"{text} is in radar coordinates (its .rsc has no X_FIRST); geocode it first")
    grid, suffix = meta.grid, _suffix(text)
    band, amplitude = _bands(source, meta, suffix)
    variables = {".cor": _coherence, ".dem": _height, ".hgt": _height}.get(suffix, _displacement)(band, amplitude, meta)
    attrs = meta.canonical() | (_span(meta) if suffix == ".unw" else {})
    if suffix == ".unw":
        attrs.pop("reference_date", None)
    ds = xr.Dataset(variables, coordinates(grid.x, grid.y, grid.crs), attrs)
    if geometry is not None:
        ds = _with_geometry(ds, meta, os.fspath(geometry))
    return ds.assign_attrs(source=source.record | {"format": f"ROI_PAC {suffix}"})


def _suffix(url: str) -> str:
    suffix = next((ending for ending in ROIPAC_SUFFIXES if url.lower().endswith(ending)), None)
    if suffix is None:
        raise SourceFormatError(f"{url} is no ROI_PAC file that is known; expected {', '.join(ROIPAC_SUFFIXES)}")
    return suffix


def _read_rsc(url: str) -> dict[str, str | int | float]:
    """Keys and values of the text file beside it."""
    name = f"{url}.rsc"
    fs, path = locate(name)
    try:
        with reaching(name):
            text = fs.cat_file(path).decode("utf-8", "replace")
    except FileNotFoundError:
        raise SourceFormatError(f"{url} needs its header {name}, which does not exist; copy it beside") from None
    pairs = (line.split(None, 1) for line in text.splitlines() if line.strip() and not line.lstrip().startswith("#"))
    return {pair[0]: pair[1].strip() if len(pair) > 1 else "" for pair in pairs}


def _bands(source: SourceFile, meta: Metadata, suffix: str) -> tuple[BinaryBand, BinaryBand | None]:
    """The values, and the amplitude where there is one: the layout that the size of the file fits."""
    pixels = math.prod(meta.shape)
    for stored, bands, band in _LAYOUTS[suffix]:
        if source.size == pixels * bands * np.dtype(stored).itemsize:
            values = BinaryBand(source, meta.shape, stored, bands, band)
            return values, BinaryBand(source, meta.shape, stored, bands) if bands == 2 else None
    sizes = " or ".join(
        f"{pixels * bands * np.dtype(stored).itemsize} ({bands} x {np.dtype(stored).name})"
        for stored, bands, _ in _LAYOUTS[suffix]
    )
    raise SourceFormatError(
        f"{source.url} has {source.size} bytes, but {meta.shape[0]} rows and {meta.shape[1]} columns need {sizes};"
        " it is cut short, or its .rsc is that of another file"
    )


def _displacement(band: BinaryBand, amplitude: BinaryBand | None, meta: Metadata) -> dict[str, xr.DataArray]:
    values = band.lazy()
    data = values != 0
    if amplitude is not None:
        data = data | (amplitude.lazy() != 0)
    if meta.reference_pixel is not None:
        row, col = meta.reference_pixel
        data = data | ((_index(values, "y") == row) & (_index(values, "x") == col))
    change = describe("displacement", values.where(data) * np.float32(_metres(meta)))
    return {"displacement": change, "valid": describe("valid", change.notnull())}


def _index(array: xr.DataArray, dim: str) -> xr.DataArray:
    return xr.DataArray(np.arange(array.sizes[dim]), dims=dim).chunk({dim: array.chunksizes[dim]})


def _metres(meta: Metadata) -> float:
    """Factor from what is stored to m toward the satellite."""
    unit = (meta.text("UNIT") or "radian").lower()
    if unit in METRES:
        return METRES[unit]
    if not unit.startswith("rad"):
        raise SourceFormatError(f"{meta.url}: UNIT is {unit!r}, expected radian, m, cm or mm; correct the .rsc")
    wavelength = meta.number("WAVELENGTH")
    if not wavelength:
        raise SourceFormatError(f"{meta.url}.rsc has no WAVELENGTH, which turns phase into metres; add it")
    return -wavelength / (4 * math.pi)


def _span(meta: Metadata) -> dict[str, str]:
    """First and second date; DATE12, for START_DATE and END_DATE may be those of the whole series."""
    found = _DATES.fullmatch(meta.text("DATE12") or "")
    try:
        days = [_day(text) for text in found.groups()] if found else []
    except ValueError:
        days = []
    if len(days) != 2:
        raise SourceFormatError(
            f"{meta.url}.rsc: expected DATE12 as YYMMDD-YYMMDD, got {meta.text('DATE12')!r}; the dates of the"
            " interferogram are not known without it"
        )
    return {"start_date": days[0], "end_date": days[1]}


def _day(text: str) -> str:
    return datetime.strptime(text, "%Y%m%d" if len(text) == 8 else "%y%m%d").strftime("%Y-%m-%d")


def _coherence(band: BinaryBand, _amplitude: BinaryBand | None, _meta: Metadata) -> dict[str, xr.DataArray]:
    return {"coherence": band.lazy().assign_attrs(units="1", long_name="coherence")}


def _height(band: BinaryBand, _amplitude: BinaryBand | None, meta: Metadata) -> dict[str, xr.DataArray]:
    values = band.lazy()
    scale, offset = meta.number("Z_SCALE"), meta.number("Z_OFFSET")
    values = values.where(values != _VOID) if band.stored == "<i2" else values
    height = values * np.float32(1 if scale is None else scale) + np.float32(offset or 0)
    return {"height": describe("height", height)}


def _with_geometry(ds: xr.Dataset, meta: Metadata, url: str) -> xr.Dataset:
    """Add looks and height of a geometry file, in the blocks of the data."""
    other = open_mintpy(url)
    ours, theirs = ((d.sizes["y"], d.sizes["x"]) for d in (ds, other))
    same = ours == theirs and "x" in other.indexes
    if same and meta.grid is not None:
        shifts = [abs(other[dim].values - ds[dim].values).max() for dim in ("y", "x")]
        same = max(shifts) < _SAME_GRID * meta.grid.dx
    if not same:
        raise GridMismatchError(
            f"{url} must be on the grid of {meta.url}, {ours[0]} x {ours[1]} pixels; give the geometry of the same area"
        )
    chunks = ds.chunksizes
    layers = {name: other[name].variable.chunk(dict(chunks)) for name in _GEOMETRY if name in other and name not in ds}
    return ds.assign(layers)
