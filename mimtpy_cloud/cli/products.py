"""Products of the command line: a Zarr store, a Cloud Optimized GeoTIFF and a figure that share a name."""

import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

import xarray as xr

from mimtpy_cloud.cli.steps import Plot
from mimtpy_cloud.errors import DateError, MimtpyError, SchemaError, SourceFormatError, StorageError
from mimtpy_cloud.location import locate, reaching
from mimtpy_cloud.schema import require_dims, require_variables

__all__ = [
    "VECTORS",
    "beside",
    "compact_dates",
    "dates_used",
    "draw",
    "exists",
    "is_source",
    "join",
    "lying_over",
    "observe",
    "open_product",
    "place_of",
    "require_data",
    "write_geotiffs",
    "write_store",
]

#: ``progress(done, total, unit)``
Progress = Callable[[int, int, str], None]
#: Unit of a product -> unit that its map shows, and the factor between them.
_SHOWN_UNITS = {"m/yr": ("mm/yr", 1e3), "m": ("cm", 1e2)}
#: Endings of files that MintPy and ROI_PAC write.
_SOURCES = (".he5", ".h5", ".hdf5", ".unw", ".cor", ".dem", ".hgt")
#: Asks `draw` for horizontal motion as arrows on vertical motion.
VECTORS = "vectors"


def join(base: str, *parts: str) -> str:
    """
    Join a path or URL; an absolute part or a URL starts anew.

    Parameters
    ----------
    base : str
        Folder or URL.
    *parts : str
        Parts below it; empty ones are skipped.

    Returns
    -------
    str

    Examples
    --------
    >>> join("s3://bucket/out", "", "velocity", "a.zarr"), join("out", "/data", "b"), join(".", "c")
    ('s3://bucket/out/velocity/a.zarr', '/data/b', 'c')
    """
    for part in filter(None, parts):
        fresh = "://" in part or os.path.isabs(part) or base in ("", ".")  # noqa: PTH117 - may be a URL
        base = part if fresh else f"{base.rstrip('/')}/{part}"
    return base


def place_of(name: str) -> str:
    """
    Write a path or URL in the one way by which equal places are told.

    Parameters
    ----------
    name : str
        As typed.

    Returns
    -------
    str

    Examples
    --------
    >>> place_of("s3://bucket/a/"), place_of("/data/b/../a/")
    ('s3://bucket/a', '/data/a')
    """
    return name.rstrip("/") if "://" in name else os.path.realpath(name)


def exists(url: str) -> bool:
    """
    Tell whether a path or URL is there.

    Parameters
    ----------
    url : str
        Path or fsspec URL.

    Returns
    -------
    bool

    Raises
    ------
    StorageError
        If the scheme of the URL is unknown.
    """
    fs, path = locate(url)
    with reaching(url):
        return bool(fs.exists(path))


def observe(
    ds: xr.Dataset,
    type_: str,
    *,
    start: str | None = None,
    end: str | None = None,
    exclude: Sequence[str] = (),
    mask: bool = True,
) -> xr.Dataset:
    """
    Take the velocity of a track, the displacement between two dates, or the series itself.

    Parameters
    ----------
    ds : xr.Dataset
        Canonical dataset; one that holds a velocity already is taken as it is.
    type_ : str
        ``"velocity"``, ``"displacement"`` or ``"series"``.
    start, end : str, optional
        First and last day; by default those of the series. A velocity and a series have the acquisitions in this
        closed range, a displacement the two nearest to its ends.
    exclude : sequence of str
        Dates to leave out of the velocity, or one file that lists them.
    mask : bool
        Whether unusable pixels become NaN.

    Returns
    -------
    xr.Dataset
        Lazy product with ``start_date`` and ``end_date``; 2-D but for a series.

    Raises
    ------
    SchemaError
        If the track has no time series and something else than its whole velocity is asked for.
    DateError
        If the start is after the end, too few acquisitions lie between them, or none is near a date of a displacement.
    """
    from mimtpy_cloud.ops.rate import displacement_between, estimate_velocity
    from mimtpy_cloud.ops.select import mask_invalid

    _require_order(start, end)
    if "displacement" not in ds and "velocity" in ds:
        if type_ != "velocity" or start or end or exclude:
            raise SchemaError(
                f"{ds.attrs.get('track', 'this track')} holds a velocity without its time series; "
                "ask for its velocity, without dates"
            )
        product = ds
    elif type_ == "velocity":
        product = estimate_velocity(ds, start, end, _exclude_dates(exclude))
    elif type_ == "series":
        product = _between(ds, start, end)
    else:
        require_dims("displacement", ds["displacement"].dims, "time", "y", "x")
        dates = ds.indexes["time"]
        product = displacement_between(ds, start or dates[0], end or dates[-1])
    if type_ != "velocity":  # the source may hold one too
        product = product.drop_vars(["velocity", "velocity_std"], errors="ignore")
    return mask_invalid(product) if mask and "valid" in product else product


def _between(ds: xr.Dataset, start: str | None, end: str | None) -> xr.Dataset:
    """The acquisitions of a closed range, as displacements since the reference date of the series."""
    from mimtpy_cloud.plan.dates import parse_date

    days = [None if day is None else parse_date(day) for day in (start, end)]
    cut = ds.sel(time=slice(*days))
    if not cut.sizes["time"]:
        asked = " ".join(f"{word} {day}" for word, day in (("from", start), ("to", end)) if day)
        raise DateError(f"no acquisition of {_day(ds, 0)} to {_day(ds, -1)} lies in the range asked for, {asked}")
    return cut.assign_attrs(start_date=_day(cut, 0), end_date=_day(cut, -1))


def _day(ds: xr.Dataset, k: int) -> str:
    return str(ds.indexes["time"][k].date())


def _require_order(start: str | None, end: str | None) -> None:
    from mimtpy_cloud.plan.dates import parse_date

    if start and end and parse_date(start) > parse_date(end):
        raise DateError(f"the start {parse_date(start)} is after the end {parse_date(end)}; exchange them")


def _exclude_dates(exclude: Sequence[str]) -> Any:
    """Give a list of dates as such, and one file name as a name."""
    single = len(exclude) == 1 and not exclude[0].replace("-", "").isdigit()
    return exclude[0] if single else tuple(exclude)


def compact_dates(ds: xr.Dataset) -> str:
    """
    Write the dates of a product as its file name holds them.

    Parameters
    ----------
    ds : xr.Dataset
        With ``start_date`` and ``end_date``, ISO.

    Returns
    -------
    str
        Such as ``"20150205_20200714"``; empty if the product has none.

    Examples
    --------
    >>> compact_dates(xr.Dataset(attrs={"start_date": "2015-02-05", "end_date": "2020-07-14"}))
    '20150205_20200714'
    """
    dates = [str(ds.attrs[name]).replace("-", "") for name in ("start_date", "end_date") if ds.attrs.get(name)]
    return "_".join(dates)


def dates_used(ds: xr.Dataset) -> str:
    """
    Say which acquisitions a product was made from.

    Parameters
    ----------
    ds : xr.Dataset
        With ``start_date``, ``end_date`` and, of a velocity, ``n_dates``.

    Returns
    -------
    str
        Empty if the product does not know.

    Examples
    --------
    >>> dates_used(xr.Dataset(attrs={"start_date": "2020-01-05", "end_date": "2020-10-07", "n_dates": 7}))
    '2020-01-05 to 2020-10-07, 7 dates'
    """
    first, last = ds.attrs.get("start_date"), ds.attrs.get("end_date")
    if not (first and last):
        return ""
    return f"{first} to {last}" + (f", {ds.attrs['n_dates']} dates" if "n_dates" in ds.attrs else "")


def is_source(url: str) -> bool:
    """
    Tell whether a name is that of a file of MintPy or ROI_PAC, rather than of a product of ours.

    Parameters
    ----------
    url : str
        Path or URL.

    Returns
    -------
    bool

    Examples
    --------
    >>> is_source("geo_velocity.h5"), is_source("velocity.zarr"), is_source("A064")
    (True, False, False)
    """
    return url.lower().rstrip("/").endswith(_SOURCES)


def open_product(url: str, geometry: str | None = None) -> xr.Dataset:
    """
    Open a product that was written before, or a file of MintPy or ROI_PAC.

    Parameters
    ----------
    url : str
        A ``.zarr`` store; a GeoTIFF, whose dataset has one variable named by its file; an HDF-EOS5 product, another
        HDF5 file of MintPy, or a ROI_PAC file.
    geometry : str, optional
        Geometry file of MintPy on the grid of a file that has none, and none beside it.

    Returns
    -------
    xr.Dataset
        Lazy, with a ``spatial_ref`` coordinate. Maps of length in m, or m/yr: those of a GeoTIFF in cm or mm are
        converted.

    Raises
    ------
    StorageError
        If there is no such product, or it cannot be read.
    SourceFormatError, GridMismatchError
        If a file of MintPy or ROI_PAC is damaged, or of radar coordinates, or its geometry does not fit.
    """
    if not exists(url):
        raise StorageError(f"no product {url}; {beside(url)}")
    if is_source(url):
        return _open_source(url, geometry)
    if geometry is not None:
        raise StorageError(f"a geometry goes with a file of MintPy or ROI_PAC, got {geometry} with {url}; leave it out")
    from mimtpy_cloud.io.geotiff import open_geotiff

    try:
        is_tiff = url.lower().endswith((".tif", ".tiff"))
        return open_geotiff(url) if is_tiff else _open_store(url)
    except StorageError:
        raise
    except (MimtpyError, OSError, ValueError, KeyError) as error:
        raise StorageError(f"{url} is no product that can be read: {error}") from error


def _open_source(url: str, geometry: str | None) -> xr.Dataset:
    from mimtpy_cloud.io.sources import open_source

    if geometry is not None and not exists(geometry):
        raise StorageError(f"no geometry {geometry}; {beside(geometry)}")
    ds = open_source(url, geometry)
    if "x" not in ds.indexes:
        raise SourceFormatError(
            f"{url} is in radar coordinates; geocode it with MintPy, or with mimtpy ingest, and take the result"
        )
    return ds


def beside(url: str) -> str:
    """
    Tell which products lie beside a path, for a message.

    Parameters
    ----------
    url : str
        Path or URL.

    Returns
    -------
    str
    """
    fs, path = locate(url)
    folder = path.rstrip("/").rpartition("/")[0]
    with reaching(url):
        if not fs.isdir(folder):
            return f"nor is there a folder {folder}"
        names = sorted(name.rstrip("/").rpartition("/")[2] for name in fs.ls(folder, detail=False))
    found = [name for name in names if name.endswith((".zarr", ".tif", ".tiff", *_SOURCES))]
    return f"{folder or '.'} has {', '.join(found[:10]) or 'no .zarr or .tif, nor a file of MintPy or ROI_PAC'}"


def _open_store(url: str) -> xr.Dataset:
    from mimtpy_cloud.io.storage import open_storage

    store = open_storage(url).zarr_store("", read_only=True)
    with reaching(url):
        ds: xr.Dataset = xr.open_zarr(store, chunks={}, decode_coords="all")
    return ds


def write_store(
    ds: xr.Dataset,
    url: str,
    *,
    provenance: Mapping[str, Any],
    required: Sequence[str] = (),
    progress: Progress | None = None,
) -> None:
    """
    Compute a product and write it with its provenance.

    Parameters
    ----------
    ds : xr.Dataset
        Product.
    url : str
        Path or URL of the store.
    provenance : mapping
        What made it: template, step, datasets, revisions.
    required : sequence of str
        Maps; one that is NaN everywhere is an error, and nothing is written.
    progress : callable, optional
        ``progress(done, total, unit)``.

    Raises
    ------
    SchemaError
        If a required map has no data; for a decomposition the message says what may be wrong.
    """
    from mimtpy_cloud.exports.zarr import write_zarr

    floats = [name for name in required if ds[name].dtype.kind == "f"]
    made = ds.assign_attrs(provenance=dict(provenance))
    with _explained(ds):
        write_zarr(made, url, required=floats, progress=progress)


def require_data(ds: xr.Dataset, name: str) -> None:
    """
    Check that a decomposition has data before it is drawn or written as one file; this computes it.

    Parameters
    ----------
    ds : xr.Dataset
        Product; others than decompositions are not checked.
    name : str
        Map to check.

    Raises
    ------
    SchemaError
        If it is NaN everywhere.
    """
    if "components" in ds.attrs and not bool(ds[name].notnull().any()):
        with _explained(ds):
            raise SchemaError(f"{name} would have no pixel with data; nothing was written")


@contextmanager
def _explained(ds: xr.Dataset) -> Iterator[None]:
    """Say why a decomposition may be empty."""
    try:
        yield
    except SchemaError as error:
        if "components" not in ds.attrs or "no pixel with data" not in str(error):
            raise
        raise SchemaError(
            f"{error}: no pixel has two usable looks of {ds.attrs.get('track', 'the tracks')} that tell motion toward "
            f"{ds.attrs['azimuth']:g} degrees from vertical motion; take tracks of both orbit directions, or another "
            "azimuth"
        ) from error


def write_geotiffs(store: str, maps: Mapping[str, str]) -> None:
    """
    Write maps of a stored product as Cloud Optimized GeoTIFFs.

    Parameters
    ----------
    store : str
        Store that `write_store` wrote; it is read again rather than computed again.
    maps : mapping of str to str
        Path or URL of each file -> name of its variable.
    """
    from mimtpy_cloud.exports.geotiff import write_cog
    from mimtpy_cloud.exports.provenance import labelled

    ds = open_product(store)
    for url, name in maps.items():
        write_cog(labelled(ds, name), url)


def _last(ds: xr.Dataset) -> xr.Dataset:
    """The last map of a series, with the dates that it spans."""
    since = str(ds.attrs.get("reference_date") or _day(ds, 0))
    ds = ds.drop_vars([name for name, variable in ds.data_vars.items() if not {"y", "x"} <= set(variable.dims)])
    return ds.isel(time=-1).assign_attrs(start_date=since, end_date=_day(ds, -1))


def draw(ds: xr.Dataset, url: str, plot: Plot, *, variable: str = "", **options: Any) -> None:
    """
    Draw a map of a product; of a decomposition, if no variable is named, all components, or their vectors.

    Parameters
    ----------
    ds : xr.Dataset
        Product.
    url : str
        Path or URL of the figure.
    plot : Plot
        Faults, colours, reference, and limits in m or m/yr.
    variable : str
        What to show; all components or the main variable if empty, horizontal motion as arrows if `VECTORS`.
    **options : object
        Further options of `mimtpy_cloud.view.map.plot_map`, or of `mimtpy_cloud.view.vectors.plot_vectors`.

    Raises
    ------
    SchemaError
        If the product has no such variable.

    Notes
    -----
    Of a series the last date is drawn, as displacement since its reference date. A component alone has the colours that
    it has beside the others, unless there are limits; vertical motion under arrows has its own. What `plot` asks for of
    stations, relief and backend is done where it can be: on a map without stations there are none.
    """
    from mimtpy_cloud.view.map import COMPONENTS, main_variable, plot_components, plot_map, save_figure
    from mimtpy_cloud.view.vectors import plot_vectors

    if "displacement" in ds and "time" in ds["displacement"].dims and variable in ("", "displacement"):
        variable, ds = "displacement", _last(ds)
    elif any("time" in ds[name].dims for name in ([variable] if variable in ds else COMPONENTS) if name in ds):
        ds = _last(ds)
    together = not variable and sum(name in ds for name in COMPONENTS) > 1
    name = "up" if variable == VECTORS else variable or main_variable(ds)
    require_variables("this product", ds.data_vars, name)
    if plot.limits is not None and (units := str(ds[name].attrs.get("units"))) in _SHOWN_UNITS:
        unit, factor = _SHOWN_UNITS[units]
        options |= {"unit": unit, "limits": (plot.limits[0] * factor, plot.limits[1] * factor)}
    options |= lying_over(plot) | _where_there(plot, ds, vectors=variable == VECTORS)
    if variable == VECTORS:
        figure = plot_vectors(ds, **options)
    elif together:
        figure = plot_components(ds, **options)
    else:
        figure = plot_map(ds, name, **_beside(ds, name, options))
    save_figure(figure, url)


def lying_over(plot: Plot) -> dict[str, Any]:
    """
    Give faults, coast and reference point of figures as options of `mimtpy_cloud.view.map.plot_map`.

    Parameters
    ----------
    plot : Plot
        Relative names are those of its folder.

    Returns
    -------
    dict
    """
    options: dict[str, Any] = {
        "faults": [join(plot.folder or "", fault) for fault in plot.faults],
        "fault_colors": plot.colours,
        "fault_styles": plot.styles,
        "reference_point": "auto" if plot.reference is None else join(plot.folder or "", plot.reference),
    }
    return options if plot.coastline is None else options | {"coastline": join(plot.folder or "", plot.coastline)}


def _where_there(plot: Plot, ds: xr.Dataset, *, vectors: bool) -> dict[str, Any]:
    """Stations, relief and backend that a template asks for, of those figures that can show them."""
    from mimtpy_cloud.io.gnss import read_stations
    from mimtpy_cloud.ops.pixels import pixels_at

    options: dict[str, Any] = {}
    if plot.stations is not None and not (vectors and ds["up"].attrs.get("units") != "m/yr"):
        stations = read_stations(plot.stations, units=plot.units)
        if pixels_at(ds, stations["lon"].to_numpy(), stations["lat"].to_numpy())[2].any():
            options = {"stations": stations} | ({"station_names": True} if plot.names and not vectors else {})
    if plot.relief is not None and (plot.relief != "height" or "height" in ds):
        options["relief"] = plot.relief
    return options if plot.backend is None or vectors else options | {"backend": plot.backend}


def _beside(ds: xr.Dataset, name: str, options: dict[str, Any]) -> dict[str, Any]:
    """Options with the limits that a component has beside the others, where none are given."""
    from mimtpy_cloud.view.map import shared_limits

    if options.get("limits") is not None:
        return options
    percentile = (0.0, 100.0) if options.get("symlog") and not name.endswith("_std") else (2.0, 98.0)
    found = shared_limits(ds, name, unit=options.get("unit", "auto"), percentile=percentile)
    return options if found is None else options | dict(zip(("unit", "limits"), found, strict=True))
