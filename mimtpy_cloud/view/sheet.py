"""What a map shows, read and computed, before either backend draws it."""

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import xarray as xr

from mimtpy_cloud.exports.provenance import labelled
from mimtpy_cloud.view.decoration import Decoration
from mimtpy_cloud.view.picture import Picture, Style, as_dataset, draw_picture, map_grid, strides_of, thumbnail
from mimtpy_cloud.view.relief import Relief, draw_relief, heights_of, shading_of
from mimtpy_cloud.view.stations import Marks, draw_marks, marks_of, places_of
from mimtpy_cloud.view.together import compute_together

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = ["Contents", "Sheet", "draw_sheet", "read_contents"]


@dataclass(frozen=True)
class Contents:
    """
    Values, stations and relief of the maps of one product.

    Parameters
    ----------
    maps : xr.Dataset
        The thinned maps, computed.
    pictures : dict of str to Picture
        Each of them.
    marks : dict of str to Marks
        Its stations; empty if there are none.
    shading : np.ndarray, optional
        Relief under all of them.
    """

    maps: xr.Dataset
    pictures: dict[str, Picture]
    marks: dict[str, Marks]
    shading: np.ndarray | None


@dataclass(frozen=True)
class Sheet:
    """
    One map and all that lies over and under it.

    Parameters
    ----------
    picture : Picture
        Values.
    style : Style
        Their colours.
    decoration : Decoration
        Faults, coast, reference point.
    title : str
        May be empty.
    marks : Marks, optional
        Stations.
    shading : np.ndarray, optional
        Relief, as `mimtpy_cloud.view.relief.shading_of`.
    """

    picture: Picture
    style: Style
    decoration: Decoration
    title: str = ""
    marks: Marks | None = None
    shading: np.ndarray | None = None

    @property
    def places(self) -> np.ndarray | None:
        """Stations, shape ``(n, 2)``, in the coordinates of the map."""
        return None if self.marks is None else np.column_stack([self.marks.x, self.marks.y])

    @property
    def factor(self) -> float:
        """Value shown for one in the unit of the data."""
        values = self.picture.values
        whole = values.dtype == bool or self.style.steps(self.picture) is not None
        return 1.0 if whole else self.style.shade(self.picture).factor


def read_contents(
    data: xr.Dataset | xr.DataArray,
    names: list[str],
    max_pixels: int,
    *,
    stations: xr.Dataset | None = None,
    station_names: bool = False,
    relief: Relief | None = None,
) -> Contents:
    """
    Compute what maps show, each block of the product once.

    Parameters
    ----------
    data : xr.Dataset or xr.DataArray
        Product, or the only map of it.
    names : list of str
        Maps, of dimensions ``(y, x)``.
    max_pixels : int
        Most rows and columns.
    stations : xr.Dataset, optional
        As `mimtpy_cloud.io.gnss.read_stations` gives it.
    station_names : bool
        Whether their names are written.
    relief : object, optional
        As `mimtpy_cloud.view.relief.heights_of` takes it.

    Returns
    -------
    Contents

    Raises
    ------
    SchemaError
        If no station lies on the map, or the relief does not fit.
    SourceFormatError, StorageError
        If the file of the relief cannot be read.
    """
    ds = as_dataset(data, names[0])
    lazy = {"maps": thumbnail(ds[names], max_pixels)}
    there = None
    if stations is not None:
        there, lazy["pixels"] = places_of(data, names, stations)
    if relief is not None:
        lazy["relief"] = heights_of(data, relief, max_pixels).rename("height").to_dataset()
    found = dict(zip(lazy, compute_together(list(lazy.values())), strict=True))
    grid, strides = map_grid(data), strides_of(ds, max_pixels)
    maps = {name: labelled(found["maps"].assign_attrs(data.attrs), name) for name in names}
    if isinstance(data, xr.DataArray):
        maps = {names[0]: maps[names[0]].rename(data.name)}
    marks = {}
    if there is not None:
        marks = {name: marks_of(data, name, there, found["pixels"], named=station_names) for name in names}
    shading = shading_of(found["relief"]["height"].to_numpy(), grid, strides) if relief is not None else None
    pictures = {name: Picture.of(small, grid, strides) for name, small in maps.items()}
    return Contents(found["maps"], pictures, marks, shading)


def draw_sheet(ax: "Axes", sheet: Sheet) -> None:
    """
    Draw a map with matplotlib.

    Parameters
    ----------
    ax : matplotlib.axes.Axes
        Changed.
    sheet : Sheet
        What it shows.
    """
    picture = sheet.picture
    draw_picture(ax, picture, sheet.style, sheet.decoration, sheet.title, avoid=sheet.places)
    if sheet.shading is not None:
        draw_relief(ax, sheet.shading, picture.extent)
    if sheet.marks is not None:
        draw_marks(ax, picture.grid, sheet.marks, sheet.factor)
