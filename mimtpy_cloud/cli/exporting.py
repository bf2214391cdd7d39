"""Write tracks and products in the formats of other programs, named as our own products are."""

import os
from collections.abc import Iterator, Sequence
from pathlib import PurePath
from typing import Any

import xarray as xr

from mimtpy_cloud.cli.console import Progress
from mimtpy_cloud.errors import SchemaError, StorageError
from mimtpy_cloud.exports.dispatch import EXPORTERS, export

__all__ = ["export_inputs", "format_rows"]

#: Tables of points, which are read as such.
_TABLES = (".csv", ".txt", ".parquet", ".pq")
#: Options of the command that some formats have.
_OPTIONS = ("variable", "wavelength", "limits", "colours")


def format_rows() -> list[tuple[str, str, str, str]]:
    """
    List the formats for a table.

    Returns
    -------
    list of tuple of str
        Name, what is written, what is needed, options of the command.
    """
    return [
        (name, exporter.writes, exporter.needs, " ".join(f"--{option}" for option in exporter.options) or "-")
        for name, exporter in EXPORTERS.items()
    ]


def export_inputs(
    format_: str,
    names: Sequence[str],
    root: str,
    out: str,
    *,
    progress: Progress | None = None,
    type_: str = "velocity",
    span: tuple[str, str] | None = None,
    **choice: Any,
) -> list[str]:
    """
    Open tracks or products and write each in a format.

    Parameters
    ----------
    format_ : str
        A key of `mimtpy_cloud.exports.dispatch.EXPORTERS`.
    names : sequence of str
        Tracks of the catalog, and paths with a suffix: products, or tables of points (.csv, .txt, .parquet).
    root : str
        Root URL.
    out : str
        A file, if there is one name and it has the ending of the format; else a folder.
    progress : callable, optional
        ``progress(done, total, unit)``.
    type_ : str
        What to take of a track.
    span : tuple of str, optional
        First and last date, of products that do not say.
    **choice : object
        Options of `mimtpy_cloud.cli.inputs.open_inputs` and of the formats.

    Returns
    -------
    list of str
        What was written.

    Raises
    ------
    SchemaError
        If the format is unknown or does not have an option, or a product does not fit it, or says its dates itself.
    DateError
        If a product has no dates, and a format needs them.
    StorageError
        If the place has the ending of another format, or is what is read.
    """
    from mimtpy_cloud.cli.actions import refuse_itself

    if format_ not in EXPORTERS:
        raise SchemaError(f"format must be one of {', '.join(EXPORTERS)}, got {format_!r}; mimtpy export --list")
    given = {name: choice.pop(name, None) for name in _OPTIONS}
    options = {name: value for name, value in given.items() if value is not None}
    one_file = _names_file(format_, out, len(names))
    refuse_itself(out, *names)
    opened: dict[str, xr.Dataset] = {}
    for name, (stem, ds) in zip(names, _opened(root, names, type_, choice), strict=True):
        named = stem + (f"_{given['variable']}" if given["variable"] else "")
        url = out if one_file else _place(format_, out, named)
        refuse_itself(url, *names)
        if url in opened:
            raise StorageError(f"two of the inputs would be written to {url}; export {name} alone, with another --out")
        opened[url] = ds
    if format_ == "cog":
        variable = options.pop("variable", None)
        opened = {url: _one_geotiff(ds, variable) for url, ds in opened.items()}
    written = []
    for url, ds in opened.items():
        written += export(_dated(ds, span), format_, url, progress=progress, **options)
    return written


def _opened(root: str, names: Sequence[str], type_: str, choice: dict[str, Any]) -> Iterator[tuple[str, xr.Dataset]]:
    """Name of what is written, and the product, of each input."""
    from mimtpy_cloud.cli.inputs import input_stem, open_inputs
    from mimtpy_cloud.cli.names import file_stem
    from mimtpy_cloud.io.points import read_points

    if all(name.lower().endswith(_TABLES) for name in names):
        _refuse_choice(names, type_, choice)
        yield from ((file_stem(name), read_points(name)) for name in names)
        return
    labels, datasets, provenance = open_inputs(root, names, type_, least=1, **choice)
    for name, label, ds in zip(names, labels, datasets, strict=True):
        yield input_stem(name, label, ds, type_, **choice), ds.assign_attrs(provenance=provenance)


def _refuse_choice(names: Sequence[str], type_: str, choice: dict[str, Any]) -> None:
    """Tables are taken as they are."""
    given = [key for key, value in choice.items() if value not in (None, True, (), "")]
    given += ["type"] if type_ != "velocity" else []
    if given:
        options = ", ".join(f"--{key.replace('_', '-').replace('mask', 'no-mask')}" for key in given)
        raise SchemaError(f"{options} would choose from a track; {', '.join(names)} is a table of points: leave it out")


def _dated(ds: xr.Dataset, span: tuple[str, str] | None) -> xr.Dataset:
    from mimtpy_cloud.plan.dates import parse_date

    if span is None:
        return ds
    start, end = (parse_date(day) for day in span)
    if ds.attrs.get("start_date"):
        raise SchemaError(
            f"the product says its dates, {ds.attrs['start_date']} to {ds.attrs.get('end_date')}; leave out --span"
        )
    return ds.assign_attrs(start_date=str(start), end_date=str(end))


def _one_geotiff(ds: xr.Dataset, variable: str | None) -> xr.Dataset:
    """The variable that is shown, or asked for; the format itself writes all maps."""
    from mimtpy_cloud.cli.actions import shown_variables
    from mimtpy_cloud.schema import require_variables

    shown, *more = shown_variables(ds, ".tif", variable)
    if more:
        raise SchemaError(f"which one? The product has {shown}, {', '.join(more)}; give --variable")
    require_variables("the product", ds.data_vars, shown)
    return ds[[shown]]


def _names_file(format_: str, out: str, count: int) -> bool:
    """Whether the place is that of one file, or of the folder that the format writes."""
    suffix, endings = PurePath(out).suffix.lower(), EXPORTERS[format_].endings
    is_folder = out.endswith("/") or os.path.isdir(out)  # noqa: PTH112 - may be a URL
    if not endings:
        return count == 1 and not is_folder and out != "."
    if suffix in endings and not out.endswith("/"):
        if count > 1:
            raise StorageError(f"--out {out} is one file, got {count} inputs; give a folder")
        return True
    if suffix and not is_folder:
        raise StorageError(
            f"--out is a name that ends in {' or '.join(endings)} for {format_}, or a folder (end it with /), got {out}"
        )
    return False


def _place(format_: str, out: str, stem: str) -> str:
    from mimtpy_cloud.cli.names import shortened
    from mimtpy_cloud.cli.products import join

    endings = EXPORTERS[format_].endings
    return join(
        out,
        shortened(f"{stem}_{format_}" if not endings or format_ == "insamp" else stem)
        + (endings[0] if endings else ""),
    )
