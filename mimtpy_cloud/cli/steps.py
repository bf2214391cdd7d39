"""What each step of a template asks for, typed."""

from dataclasses import dataclass, field
from typing import Any

__all__ = [
    "Bounds",
    "Concatenate",
    "Decompose",
    "Extract",
    "Geodmod",
    "Layer",
    "Plot",
    "Template",
    "concatenations",
    "decomposition",
]

#: west, south, east, north
Bounds = tuple[float, float, float, float]


@dataclass(frozen=True)
class Extract:
    """
    Velocity or displacement of each dataset.

    Parameters
    ----------
    datasets : tuple of str
        Tracks (``"Sentinel/A124"``, ``"A124"``) or project names.
    types : tuple of str
        ``"velocity"``, ``"displacement"`` or both.
    bbox : tuple of float, optional
        West, south, east, north.
    start, end : str, optional
        ISO dates. A velocity uses the acquisitions in this closed range, a displacement the nearest to each.
    mask : bool
        Whether unusable pixels become NaN.
    exclude : tuple of str
        ISO dates to leave out of the velocity, or one file that lists them.
    resolution : str, optional
        Name of the resolution; needed only where a dataset has several.
    """

    datasets: tuple[str, ...] = ()
    types: tuple[str, ...] = ("velocity",)
    bbox: Bounds | None = None
    start: str | None = None
    end: str | None = None
    mask: bool = True
    exclude: tuple[str, ...] = ()
    resolution: str | None = None


@dataclass(frozen=True)
class Layer:
    """
    One layer of each dataset: the mask, or a coherence.

    Parameters
    ----------
    datasets : tuple of str
        Tracks or project names; those of the extraction if empty.
    variable : str
        ``"valid"``, ``"temporal_coherence"`` or ``"avg_spatial_coherence"``.
    mask : bool
        Whether unusable pixels become NaN.
    """

    datasets: tuple[str, ...] = ()
    variable: str = "valid"
    mask: bool = False


@dataclass(frozen=True)
class Concatenate:
    """
    Mosaic of two or more datasets; the first keeps its datum, unless stations give one.

    Parameters
    ----------
    datasets : tuple of str
        Tracks or project names; those of the extraction if empty.
    names : tuple of str
        Base names of their products, such as ``"velocity_20150205_20200714"``.
    rewrite : bool
        Whether the shifted tracks are written as well.
    plotpair : bool
        Whether overlap profiles are plotted.
    azimuth : float, optional
        Azimuth of those profiles in degrees clockwise from north.
    outname : str, optional
        Base name of the product; ``<first name>_mosaic`` by default.
    outdir : str
        Folder, relative to the output folder of the run.
    order : int
        0 for an offset of each, 1 for a linear, 2 for a quadratic ramp.
    blend : str
        How overlapping pixels become one, as for `mimtpy_cloud.ops.mosaic.mosaic`.
    stations : str, optional
        Table of GNSS velocities that fix the datum of all; then no dataset keeps its own.
    units : str, optional
        Unit of the table, if it does not say.
    look : str, optional
        ``"vertical"`` compares overlaps as if all motion were vertical.
    """

    datasets: tuple[str, ...] = ()
    names: tuple[str, ...] = ()
    rewrite: bool = False
    plotpair: bool = False
    azimuth: float | None = None
    outname: str | None = None
    outdir: str = ""
    order: int = 0
    blend: str = "mean"
    stations: str | None = None
    units: str | None = None
    look: str | None = None


def concatenations(
    *,
    datasets: tuple[tuple[str, ...], ...] = (),
    names: tuple[tuple[str, ...], ...] = (),
    outname: tuple[tuple[str, ...], ...] = (),
    **same: Any,
) -> tuple[Concatenate, ...]:
    """
    Make the mosaics whose datasets, names and outnames are given group by group.

    Parameters
    ----------
    datasets, names, outname : tuple of tuple of str
        One group a mosaic; all may be empty.
    **same : object
        Further fields, the same for all.

    Returns
    -------
    tuple of Concatenate

    Raises
    ------
    ValueError
        If the numbers of groups differ.
    """
    count = max(len(datasets), 1)
    for label, groups in (("dataname", names), ("outname", outname)):
        if len(groups) not in (0, count):
            raise ValueError(f"{label} expects {count} groups separated by semicolons, as dataset, got {len(groups)}")
    if any(len(group) != 1 for group in outname):
        raise ValueError(f"outname expects one name a mosaic, got {', '.join(map('; '.join, outname))}")
    groups = datasets or ((),)
    return tuple(
        Concatenate(group, names[i] if names else (), outname=outname[i][0] if outname else None, **same)
        for i, group in enumerate(groups)
    )


@dataclass(frozen=True)
class Decompose:
    """
    Horizontal and vertical motion from two or more datasets or mosaics.

    Parameters
    ----------
    datasets : tuple of str
        Tracks, project names, or the outname of the concatenation; those of the extraction if empty.
    names : tuple of str
        Base names of their products.
    bbox : tuple of float, optional
        West, south, east, north.
    reference_point : tuple of float, optional
        Longitude and latitude that all datasets get as zero.
    same_datum : bool
        Whether the datasets share a datum though their attributes name different ones.
    azimuth : float, optional
        Direction of the horizontal component in degrees clockwise from north; takes the place of `components`.
    components : str, optional
        ``"eu"``, ``"enu"`` or ``"hu"``, as for `mimtpy_cloud.ops.enu.invert_enu`; by default that of the step.
    north : float or str, optional
        North motion that is known: a number in m/yr (m), a product with north, or a table of GNSS stations.
    north_std : float, optional
        Its standard deviation in m/yr (m).
    units : str, optional
        Unit of the table, if it does not say.
    outnames : tuple of str
        Base names of the horizontal and the vertical product; of three components those of east, north and up.
    outdir : str
        Folder, relative to the output folder of the run.
    """

    datasets: tuple[str, ...] = ()
    names: tuple[str, ...] = ()
    bbox: Bounds | None = None
    reference_point: tuple[float, float] | None = None
    same_datum: bool = False
    azimuth: float | None = None
    components: str | None = None
    north: float | str | None = None
    north_std: float | None = None
    units: str | None = None
    outnames: tuple[str, ...] = ("horz", "vert")
    outdir: str = ""

    def variables(self, components: str) -> tuple[str, ...]:
        """
        Name the variables of the products, in the order of their names.

        Parameters
        ----------
        components : str
            Those of the step, where the template names none.

        Returns
        -------
        tuple of str
        """
        asked = "hu" if self.azimuth is not None else self.components or components
        return {"eu": ("east", "up"), "enu": ("east", "north", "up"), "hu": ("horizontal", "up")}[asked]


def decomposition(prefix: str = "", **values: Any) -> Decompose:
    """
    Make a decomposition, with names of its products that suit its components.

    Parameters
    ----------
    prefix : str
        What the default names start with.
    **values : object
        Fields.

    Returns
    -------
    Decompose

    Examples
    --------
    >>> decomposition("overlap_").outnames, decomposition(components="enu").outnames
    (('overlap_horz', 'overlap_vert'), ('east', 'north', 'up'))
    """
    names = ("east", "north", "up") if values.get("components") == "enu" else ("horz", "vert")
    return Decompose(**{"outnames": tuple(f"{prefix}{name}" for name in names)} | values)


@dataclass(frozen=True)
class Geodmod:
    """
    Input of Geodmod from each dataset: displacement between two dates as phase, coherence, heights, relief.

    Parameters
    ----------
    datasets : tuple of str
        Tracks or project names; those of the extraction if empty.
    bbox : tuple of float, optional
        West, south, east, north.
    start, end : str, optional
        ISO dates; the nearest acquisition to each counts.
    """

    datasets: tuple[str, ...] = ()
    bbox: Bounds | None = None
    start: str | None = None
    end: str | None = None


@dataclass(frozen=True)
class Plot:
    """
    How the figure of each product looks.

    Parameters
    ----------
    types : tuple of str
        Products that get a figure; all if empty.
    folder : str, optional
        Folder of the fault files.
    faults : tuple of str
        Vector files.
    colours, styles : tuple of str
        Colour and line style of each fault, as matplotlib names them.
    reference : str, optional
        Vector file with reference points.
    limits : tuple of float, optional
        Smallest and largest value of the colours, in m or m/yr.
    coastline : str, optional
        Vector file with the coast.
    stations : str, optional
        Table of GNSS velocities, drawn as arrows and circles.
    units : str, optional
        Unit of the table, if it does not say.
    names : bool
        Whether the names of the stations are written.
    relief : str, optional
        ``"height"`` of the product, or a GeoTIFF with a DEM, for shaded relief under the colours.
    backend : str, optional
        What draws, ``"matplotlib"`` or ``"pygmt"``; default the former.
    """

    types: tuple[str, ...] = ()
    folder: str | None = None
    faults: tuple[str, ...] = ()
    colours: tuple[str, ...] = ()
    styles: tuple[str, ...] = ()
    reference: str | None = None
    limits: tuple[float, float] | None = None
    coastline: str | None = None
    stations: str | None = None
    units: str | None = None
    names: bool = False
    relief: str | None = None
    backend: str | None = None


@dataclass(frozen=True)
class Template:
    """
    What a template asks for; a step that is off is None.

    Parameters
    ----------
    path : str
        Where it was read.
    extract : Extract, optional
        Key ``mimtpy.velocity_displacement``.
    mask, coherence : Layer, optional
        Keys ``mimtpy.mask`` and ``mimtpy.coherence``.
    chunk : Concatenate, optional
        Key ``mimtpy.chunk``; its outname is the dataset that the pieces become.
    concatenate : tuple of Concatenate
        Key ``mimtpy.concatenation``; several mosaics where semicolons separate their datasets.
    horzvert, overlap : Decompose, optional
        Keys ``mimtpy.horzvert`` and ``mimtpy.overlap``.
    geodmod : Geodmod, optional
        Key ``mimtpy.geodmod``.
    plot : Plot, optional
        Key ``mimtpy.plot``; None only where it says no.
    """

    path: str
    extract: Extract | None = None
    mask: Layer | None = None
    coherence: Layer | None = None
    chunk: Concatenate | None = None
    concatenate: tuple[Concatenate, ...] = ()
    horzvert: Decompose | None = None
    overlap: Decompose | None = None
    geodmod: Geodmod | None = None
    plot: Plot | None = field(default_factory=Plot)
