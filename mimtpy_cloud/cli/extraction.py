"""Take a layer of a source, and name its files as the pipeline does."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import xarray as xr

from mimtpy_cloud.cli.actions import Product, export_product, write_product
from mimtpy_cloud.cli.layers import GEOMETRY, NamedLayer, take_geometry, take_layer
from mimtpy_cloud.cli.names import name_marks
from mimtpy_cloud.cli.products import Progress, compact_dates, draw, join, observe, open_product
from mimtpy_cloud.cli.steps import Plot
from mimtpy_cloud.errors import DateError, SchemaError
from mimtpy_cloud.exports.geotiff import write_cog
from mimtpy_cloud.exports.provenance import labelled

__all__ = ["Extracted", "extract_layer", "read_date12", "write_extracted"]

_MOTION = ("velocity", "displacement")
_DATE12 = re.compile(r"(?:([0-9-]+)_)?([0-9-]+)")


@dataclass(frozen=True)
class Extracted:
    """
    A layer and the names of its files.

    Parameters
    ----------
    ds : xr.Dataset
        Lazy.
    stem : str
        Path of the store below the folder, without suffix.
    maps : mapping of str to str
        Name of each GeoTIFF and figure -> variable.
    """

    ds: xr.Dataset
    stem: str
    maps: Mapping[str, str]


def extract_layer(
    source: xr.Dataset,
    layer: NamedLayer,
    label: str,
    *,
    date: str | None = None,
    exclude: Sequence[str] = (),
    mask: bool = False,
    bbox: Sequence[float] | None = None,
) -> Extracted:
    """
    Take a layer of a source.

    Parameters
    ----------
    source : xr.Dataset
        Canonical dataset.
    layer : NamedLayer
        From `find_layer`.
    label : str
        Folder of its files.
    date : str, optional
        ``D1_D2`` or ``D2``, of velocity and displacement only.
    exclude : sequence of str
        Dates that a velocity leaves out.
    mask : bool
        Whether unusable pixels become NaN.
    bbox : sequence of float, optional
        Box that was asked for, for the names.

    Returns
    -------
    Extracted

    Raises
    ------
    SchemaError
        If the source lacks it, or dates are given for a layer without.
    DateError
        If the dates are malformed.
    """
    if layer.variable in _MOTION:
        start, end = read_date12(date)
        ds = observe(source, layer.variable, start=start, end=end, exclude=exclude, mask=mask)
        stem = f"{layer.stem}_{compact_dates(ds)}".rstrip("_") + name_marks(ds, bbox=bbox)
    else:
        if date or exclude:
            raise SchemaError(f"--date and --exclude are for velocity and displacement, not for {layer.mintpy}")
        whole = layer.variable == "geometry"
        ds = take_geometry(source, mask=mask) if whole else take_layer(source, layer.variable, mask=mask)
        stem = layer.stem + name_marks(ds, bbox=bbox)
    stem += "_masked" if mask and layer.variable != "valid" else ""
    if layer.variable == "geometry":
        maps = {f"{name}{stem.removeprefix(layer.stem)}": name for name in GEOMETRY if name in ds}
    else:
        maps = {stem: layer.variable}
    return Extracted(ds, join(label, layer.folder, stem), maps)


def read_date12(text: str | None) -> tuple[str | None, str | None]:
    """
    Read a pair of dates, or the last of two.

    Parameters
    ----------
    text : str, optional
        ``D1_D2`` or ``D2``; days as ``YYYYMMDD``, ``YYMMDD`` or ``YYYY-MM-DD``.

    Returns
    -------
    start, end : str or None
        ISO days.

    Raises
    ------
    DateError
        If it is malformed.

    Examples
    --------
    >>> read_date12("150205_200714"), read_date12("20200714"), read_date12(None)
    (('2015-02-05', '2020-07-14'), (None, '2020-07-14'), (None, None))
    """
    if text is None:
        return None, None
    found = _DATE12.fullmatch(text.strip())
    if found is None:
        raise DateError(f"--date is D1_D2 or D2, such as 20150205_20200714, got {text!r}")
    start, end = (None if day is None else _day(day) for day in found.groups())
    return start, end


def _day(text: str) -> str:
    from mimtpy_cloud.plan.dates import parse_date

    plain = text.replace("-", "")
    if len(plain) == 6:  # as MintPy: 90 to 99 are of the last century
        plain = f"{'19' if int(plain[:2]) >= 90 else '20'}{plain}"
    return str(parse_date(plain))


def write_extracted(
    found: Extracted,
    out: str,
    provenance: Mapping[str, Any],
    *,
    geotiff: bool = False,
    progress: Progress | None = None,
) -> tuple[str, ...]:
    """
    Write a layer: store, GeoTIFFs and figures, or the GeoTIFFs alone.

    Parameters
    ----------
    found : Extracted
        From `extract_layer`.
    out : str
        Folder or URL.
    provenance : mapping
        What made it.
    geotiff : bool
        Whether to write only GeoTIFFs.
    progress : callable, optional
        ``progress(done, total, unit)``.

    Returns
    -------
    tuple of str
        What was written.
    """
    product = Product.below(out, found.stem, found.maps)
    if geotiff:
        made = found.ds.assign_attrs(provenance=dict(provenance))
        for (_, variable), file in zip(product.maps, product.geotiffs, strict=True):
            write_cog(labelled(made, variable), file, progress=progress)
        return product.geotiffs
    write_product(found.ds, product, provenance, progress)
    export_product(product)
    figures = tuple(f"{stem}.png" for stem, _ in product.maps)
    ds = open_product(product.store)
    for (_, variable), figure in zip(product.maps, figures, strict=True):
        draw(ds, figure, Plot(), variable=variable)
    return (product.store, *product.geotiffs, *figures)
