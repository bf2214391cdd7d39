"""Figures of 2-D products: map, faults, coast, reference point and scale bar in the right units."""

import io
import os
import tempfile
from collections.abc import Iterable, Sequence
from pathlib import Path, PurePath
from typing import TYPE_CHECKING, Any

import xarray as xr

from mimtpy_cloud.errors import SchemaError
from mimtpy_cloud.exports.provenance import labelled
from mimtpy_cloud.schema import require_dims
from mimtpy_cloud.view.axes import figure_of, new_figure
from mimtpy_cloud.view.colours import Limits
from mimtpy_cloud.view.decoration import Lines, read_decoration
from mimtpy_cloud.view.picture import Style, common_style, thumbnail, title_of
from mimtpy_cloud.view.relief import Relief
from mimtpy_cloud.view.sheet import Sheet, draw_sheet, read_contents

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

__all__ = ["BACKENDS", "COMPONENTS", "main_variable", "plot_components", "plot_map", "save_figure", "shared_limits"]

#: What draws a map.
BACKENDS = ("matplotlib", "pygmt")
#: Of a decomposition.
COMPONENTS = ("east", "north", "horizontal", "up")
#: What a map shows of a product, first that it has.
_MAIN = (
    "velocity",
    "displacement",
    "east",
    "horizontal",
    "up",
    "north",
    "temporal_coherence",
    "avg_spatial_coherence",
    "valid",
)
#: Of a decomposition: how many looks a pixel has, and why it has no solution.
_LOOKS = ("count", "quality")
#: Files that GMT writes.
_GMT_FORMATS = ("bmp", "eps", "jpg", "pdf", "png", "tif")
_PANELS = {"count": "number of looks"}


def plot_map(
    data: xr.Dataset | xr.DataArray,
    variable: str | None = None,
    *,
    unit: str = "auto",
    limits: Limits | None = None,
    percentile: tuple[float, float] = (2.0, 98.0),
    cmap: str | None = None,
    faults: Lines | Iterable[Lines] = (),
    fault_colors: Sequence[str] = (),
    fault_styles: Sequence[str] = (),
    coastline: Lines | None = None,
    reference_point: str | Sequence[float] | None = "auto",
    stations: xr.Dataset | None = None,
    station_names: bool = False,
    relief: Relief | None = None,
    symlog: bool = False,
    wrap: bool = False,
    title: str | None = None,
    ax: "Axes | None" = None,
    max_pixels: int = 1500,
    backend: str = "matplotlib",
) -> Any:
    """
    Draw a 2-D product as a map.

    Parameters
    ----------
    data : xr.Dataset or xr.DataArray
        Product, or one array of it: dimensions ``(y, x)``, lazy or not, in degrees or in metres of a
        projection (``spatial_ref``). Attributes ``units, long_name, sensor, track, start_date, end_date,
        reference_point, wavelength`` are used where they are there; in a product most of them are those
        of the dataset, which an array taken out of it has lost. A bool array is drawn in two colours, one of a few
        whole numbers, such as a `count`, in one colour each.
    variable : str, optional
        Which one of a dataset; `main_variable` by default.
    unit : str
        Unit to show, for example ``"mm/yr"``. ``"auto"``: mm/yr for rates; cm for displacements, mm
        where no `limits` are given and all are below 1 cm.
    limits : float or tuple of float, optional
        Limits of the colours in the unit shown: lowest and highest, or one number for both signs.
    percentile : tuple of float
        Percentiles that give the limits else; symmetric about 0 for signed quantities.
    cmap : str, optional
        Colour map of matplotlib; default is safe for colour-blind readers.
    faults : path, array, or sequence of them
        Files or URLs that `read_lines` reads, or arrays ``(n, 2)`` of longitude and latitude.
    fault_colors, fault_styles : sequence of str
        For each of `faults`, repeated as needed: ``b, r, y, o, m`` (black, red, yellow, orange, magenta)
        or any colour; ``s, d`` (solid, dashed) or any line style.
    coastline : path, array or sequence of arrays, optional
        As one of `faults`.
    reference_point : {"auto", None}, path or sequence of float
        Longitude and latitude of the black square, or a file of points. ``"auto"``: from the attributes.
    stations : xr.Dataset, optional
        GNSS stations, as `mimtpy_cloud.io.gnss.read_stations` gives them. Those on the map are drawn as arrows of their
        horizontal motion, with an arrow of known length below the map, and as circles in the colours of the map: of a
        map of velocity by their velocity toward the satellite, with the look of their own pixel, of one of a component
        by that component; of other maps white. A map that is not in their frame (attribute ``reference_frame``) has
        another datum: circles then lose the median of station less pixel, arrows their own median; the legend says
        how much.
    station_names : bool
        Write their names.
    relief : {"height"}, array or path, optional
        Heights whose shaded relief, with light from the north-west, lies under the colours: a variable of `data`, an
        array on its grid, or a GeoTIFF with a DEM on any grid.
    symlog : bool
        Logarithmic colours on both sides of a linear part about 0; without `limits`, over all values.
    wrap : bool
        Fold displacements into one fringe, half the attribute ``wavelength`` (m).
    title : str, optional
        Default: track and dates.
    ax : matplotlib.axes.Axes, optional
        Where to draw; a new figure if not given.
    max_pixels : int
        Most rows and columns to compute: of larger arrays every n-th is taken, before anything is
        computed, and the figure says so.
    backend : {"matplotlib", "pygmt"}
        What draws. ``"pygmt"`` draws the same with GMT, which the extra ``pygmt`` and a GMT of the system provide.

    Returns
    -------
    matplotlib.figure.Figure or pygmt.Figure
        The former is not registered with pyplot, so it needs no closing.

    Raises
    ------
    SchemaError
        If the array is not a map, an option does not fit it, or no station lies on it.
    StorageError, SourceFormatError
        If a file is missing or unreadable.
    MimtpyError
        If ``backend="pygmt"`` and pygmt or GMT is missing.

    See Also
    --------
    plot_components : all components of a decomposition.
    mimtpy_cloud.view.vectors.plot_vectors : horizontal motion as arrows.
    save_figure : write the figure to a file or URL.
    """
    if isinstance(data, xr.DataArray) and variable is not None:
        raise SchemaError(f"a variable is chosen from a Dataset; got {variable!r} and the array {data.name!r}")
    name = (variable or main_variable(data)) if isinstance(data, xr.Dataset) else str(data.name or "map")
    da = labelled(data, name) if isinstance(data, xr.Dataset) else data
    require_dims("a map", da.dims, "y", "x")
    draw_with = _drawing(backend, ax)
    decoration = read_decoration(faults, fault_colors, fault_styles, coastline, reference_point, da.attrs)
    extras: dict[str, Any] = {"stations": stations, "station_names": station_names, "relief": relief}
    found = read_contents(data, [name], max_pixels, **extras)
    style = Style(unit, limits, (0.0, 100.0) if symlog else percentile, cmap, symlog=symlog, wrap=wrap)
    title = title_of(da) if title is None else title
    sheet = Sheet(found.pictures[name], style, decoration, title, found.marks.get(name), found.shading)
    if draw_with is not None:
        return draw_with([[sheet]])
    if ax is None:
        _, axes = new_figure(sheet.picture.grid)
        ax = axes[0, 0]
    draw_sheet(ax, sheet)
    return figure_of(ax)


def _drawing(backend: str, ax: "Axes | None" = None) -> Any:
    """What draws sheets with GMT; None for matplotlib."""
    if backend not in BACKENDS:
        raise SchemaError(f"backend must be one of {', '.join(BACKENDS)}, got {backend!r}")
    if backend == "matplotlib":
        return None
    if ax is not None:
        raise SchemaError("axes are those of matplotlib; leave ax out with backend='pygmt'")
    from mimtpy_cloud.view.gmt import draw_sheets, require_gmt

    require_gmt()
    return draw_sheets


def main_variable(ds: xr.Dataset) -> str:
    """
    Choose the variable that a map of a product shows.

    Parameters
    ----------
    ds : xr.Dataset
        Product.

    Returns
    -------
    str

    Raises
    ------
    SchemaError
        If it holds no 2-D variable, or several of which none is known.

    Examples
    --------
    >>> main_variable(xr.Dataset({"count": (("y", "x"), [[3]]), "velocity": (("y", "x"), [[0.01]])}))
    'velocity'
    """
    maps = [str(name) for name, variable in ds.data_vars.items() if variable.dims == ("y", "x")]
    for name in _MAIN:
        if name in maps:
            return name
    if len(maps) == 1:
        return maps[0]
    raise SchemaError(f"which variable to show? This product has {', '.join(maps) or 'no map'}; name one")


def plot_components(
    ds: xr.Dataset,
    *,
    unit: str = "auto",
    limits: Limits | None = None,
    percentile: tuple[float, float] = (2.0, 98.0),
    faults: Lines | Iterable[Lines] = (),
    fault_colors: Sequence[str] = (),
    fault_styles: Sequence[str] = (),
    coastline: Lines | None = None,
    reference_point: str | Sequence[float] | None = "auto",
    stations: xr.Dataset | None = None,
    station_names: bool = False,
    relief: Relief | None = None,
    symlog: bool = False,
    title: str | None = None,
    max_pixels: int = 1500,
    backend: str = "matplotlib",
) -> Any:
    """
    Draw the components of a decomposition side by side on one scale, their uncertainties and the looks below.

    Parameters
    ----------
    ds : xr.Dataset
        With some of ``east, north, horizontal, up``, of each perhaps ``_std``, and perhaps `count` of looks and
        `quality`; dimensions ``(y, x)``.
    unit : str
        As for `plot_map`.
    limits : float or tuple of float, optional
        As for `plot_map`, of the components; their uncertainties have their own.
    percentile, faults, fault_colors, fault_styles, coastline, reference_point : object
        As for `plot_map`.
    stations, station_names, relief : object
        As for `plot_map`; stations lie on the components.
    symlog : bool
        As for `plot_map`, of the components.
    title, max_pixels, backend : object
        As for `plot_map`.

    Returns
    -------
    matplotlib.figure.Figure or pygmt.Figure

    Raises
    ------
    SchemaError
        If there is no component, one is no map, or an option does not fit.

    See Also
    --------
    plot_map : one product.
    """
    rows = [[n for n in COMPONENTS if n in ds]]
    if not rows[0]:
        have = ", ".join(map(str, ds.data_vars)) or "none"
        raise SchemaError(f"a decomposition has variables east, north, horizontal or up, got {have}")
    rows += [[f"{n}_std" for n in rows[0] if f"{n}_std" in ds]]
    rows += [[n for n in _LOOKS if n in ds and ds[n].dtype.kind in "iu"]]
    rows = [row for row in rows if row]
    names = [name for row in rows for name in row]
    for name in names:
        require_dims(name, ds[name].dims, "y", "x")
    draw_with = _drawing(backend)
    decoration = read_decoration(faults, fault_colors, fault_styles, coastline, reference_point, ds.attrs)
    extras: dict[str, Any] = {"stations": stations, "station_names": station_names, "relief": relief}
    found = read_contents(ds, names, max_pixels, **extras)
    plain = Style(unit, None, percentile)
    sheets = []
    for row in rows:
        style = Style(unit, limits, (0.0, 100.0) if symlog else percentile, symlog=symlog) if row == rows[0] else plain
        style = Style("auto", None, percentile) if row[0] in _LOOKS else common_style(found.maps[row], style)
        shown = found.marks if row == rows[0] else {}
        sheets.append(
            [
                Sheet(found.pictures[name], style, decoration, _panel(name), shown.get(name), found.shading)
                for name in row
            ]
        )
    title = title_of(ds) if title is None else title
    return _draw_rows(sheets, title) if draw_with is None else draw_with(sheets, title)


def _panel(name: str) -> str:
    """Title of a panel."""
    return _PANELS.get(name, name.replace("_", " "))


def _draw_rows(sheets: list[list[Sheet]], title: str) -> "Figure":
    """Draw rows of maps with matplotlib."""
    figure, axes = new_figure(sheets[0][0].picture.grid, rows=len(sheets), columns=max(map(len, sheets)))
    for row, axes_row in zip(sheets, axes, strict=True):
        for sheet, ax in zip(row, axes_row, strict=False):
            draw_sheet(ax, sheet)
        for ax in axes_row[len(row) :]:
            ax.set_axis_off()
    figure.suptitle(title, y=1 - 0.12 / figure.get_figheight())
    return figure


def shared_limits(
    ds: xr.Dataset,
    variable: str,
    *,
    unit: str = "auto",
    percentile: tuple[float, float] = (2.0, 98.0),
    max_pixels: int = 1500,
) -> tuple[str, Limits] | None:
    """
    Find the limits that a component, or its uncertainty, has beside the others of a decomposition.

    Parameters
    ----------
    ds : xr.Dataset
        As for `plot_components`.
    variable : str
        A component, or its ``_std``.
    unit, percentile, max_pixels : object
        As for `plot_components`.

    Returns
    -------
    (str, (float, float)) or None
        Unit and limits that `plot_components` uses; None if the variable shares its scale with no other.

    Examples
    --------
    >>> ds = xr.Dataset({n: (("y", "x"), [[v]], {"units": "m/yr"}) for n, v in (("east", 0.02), ("up", 0.001))})
    >>> shared_limits(ds, "up")
    ('mm/yr', (-20.0, 20.0))
    """
    end = "_std" if variable.endswith("_std") else ""
    names = [f"{n}{end}" for n in COMPONENTS if n in ds and f"{n}{end}" in ds]
    if variable not in names or len(names) < 2 or any(ds[name].dims != ("y", "x") for name in names):
        return None
    style = common_style(thumbnail(ds[names], max_pixels).compute(), Style(unit, None, percentile))
    return (style.unit, style.limits) if style.limits is not None else None


def save_figure(figure: Any, url: str | os.PathLike[str], *, dpi: int = 200) -> None:
    """
    Write a figure to a file or URL, whole or not at all.

    Parameters
    ----------
    figure : matplotlib.figure.Figure or pygmt.Figure
        Any.
    url : str or path
        Local path or fsspec URL; the suffix chooses the format (png, pdf, svg, jpg, ...).
    dpi : int
        Pixels an inch.

    Raises
    ------
    SchemaError
        If what drew the figure does not know the format.
    StorageError
        If the place cannot be written.
    """
    from mimtpy_cloud.exports.publish import publish_bytes

    suffix = PurePath(os.fspath(url)).suffix.lower().lstrip(".")
    drawn = hasattr(figure, "canvas")
    known = figure.canvas.get_supported_filetypes() if drawn else _GMT_FORMATS
    if suffix not in known:
        raise SchemaError(f"a figure file ends in one of {', '.join(sorted(known))}, got {os.fspath(url)!r}")
    if drawn:
        buffer = io.BytesIO()
        figure.savefig(buffer, format=suffix, dpi=dpi, bbox_inches="tight", pad_inches=0.08)
        content = buffer.getvalue()
    else:
        with tempfile.TemporaryDirectory() as folder:
            file = Path(folder) / f"figure.{suffix}"
            figure.savefig(file, dpi=dpi, crop="+m0.2c")
            content = file.read_bytes()
    publish_bytes(content, url)
