"""The report of all seams of a mosaic: one page and one JSON file, before and after the adjustment."""

import io
import os
import re
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import xarray as xr

from mimtpy_cloud.exports.provenance import SOFTWARE, jsonable
from mimtpy_cloud.exports.publish import publish_bytes
from mimtpy_cloud.ops.looks import AS_SEEN, Look
from mimtpy_cloud.ops.overlap import Seam, compare_seams
from mimtpy_cloud.plan.grid import Grid
from mimtpy_cloud.view import page
from mimtpy_cloud.view.axes import new_figure
from mimtpy_cloud.view.colours import Shading
from mimtpy_cloud.view.map import plot_map
from mimtpy_cloud.view.seam import describe_seam, describe_statistics, filled_part, seam_unit, write_json
from mimtpy_cloud.view.together import compute_together

if TYPE_CHECKING:
    from matplotlib.figure import Figure

__all__ = ["plot_change", "write_seams"]

#: Most rows and columns of a map on the page.
_MAX_PIXELS = 400
_DPI = 90
_WHEN = ("before", "after")
_ALIKE = (
    "Where looks are compared alike, after the adjustment both tracks are seen along their mean look: as if all motion "
    "were vertical, or without what a known motion makes of the two looks."
)
#: Unit of a coefficient after that of the data, by its degree.
_PER = ("", "/km", "/km^2")
#: What the table of pairs says itself.
_TOLD = ("pair_median", "pair_sigma", "pair_count", "pair_rms", "pair_rms_after")


def write_seams(
    tracks: Sequence[xr.Dataset],
    adjustment: xr.Dataset,
    stem: str | os.PathLike[str],
    *,
    title: str = "Seams",
    look: Look = None,
) -> tuple[str, str]:
    """
    Write the report of all seams of a mosaic, before and after the adjustment.

    Parameters
    ----------
    tracks : sequence of xr.Dataset
        Those of the mosaic.
    adjustment : xr.Dataset
        Result of `mimtpy_cloud.ops.mosaic.estimate_adjustment` from these tracks. Besides the offsets, whatever
        it says of each track, pair or loop (one-dimensional on `track`, `pair` or `loop`) is shown.
    stem : str or path
        Path or URL without suffix.
    title : str
        Heading of the page.
    look : {"vertical"} or xr.Dataset, optional
        As for `mimtpy_cloud.ops.adjustment.estimate_adjustment`: the adjusted tracks are compared like with like, too.

    Returns
    -------
    html, json : str
        Files that were written: the page needs no other file.

    Raises
    ------
    SchemaError, GridMismatchError
        As `mimtpy_cloud.ops.overlap.compare_seams`.
    StorageError
        If the place cannot be written.

    Notes
    -----
    Computes one seam after the other, and reads each overlap once.
    """
    adjustment = adjustment.compute()
    stem = os.fspath(stem)
    computed = [_compute(seam) for seam in compare_seams(tracks, adjustment, look=look)]
    content = {
        "title": title,
        "adjustment": _describe_adjustment(adjustment),
        "seams": [
            {
                "pair": seam.pair,
                "before": describe_seam(seam.before),
                "after": describe_statistics(seam.after),
                **({} if seam.alike is None else {"after_alike": describe_statistics(seam.alike)}),
            }
            for seam in computed
        ],
        "software": SOFTWARE,
    }
    html = page.page(title, _parts(computed, adjustment))
    files = f"{stem}.html", f"{stem}.json"
    publish_bytes(html.encode(), files[0])
    write_json(content, files[1])
    return files


def _compute(seam: Seam) -> Seam:
    """Statistics, and a thinned map: the full one is gone block by block."""
    lazy = [_thin(ds) for ds in (seam.before, seam.after, seam.alike) if ds is not None]
    return Seam(seam.pair, *compute_together(lazy))


def _thin(comparison: xr.Dataset) -> xr.Dataset:
    """Keep every n-th pixel of the map, named so that the grid of the whole overlap stays known."""
    by_y, by_x = (-(-comparison.sizes[dim] // _MAX_PIXELS) for dim in ("y", "x"))
    by = max(by_y, by_x)
    small = comparison["difference"].isel(y=slice(by // 2, None, by), x=slice(by // 2, None, by))
    thin = small.rename(y="map_y", x="map_x").drop_vars("spatial_ref", errors="ignore")
    return comparison.drop_vars("difference").assign(map=thin.assign_attrs(stride=by))


def _describe_adjustment(adjustment: xr.Dataset) -> dict[str, Any]:
    """Attributes, and everything small, by dimension."""
    found: dict[str, Any] = {"attrs": {str(key): jsonable(value) for key, value in adjustment.attrs.items()}}
    for name, variable in adjustment.variables.items():
        values = variable.values.astype(object)
        if variable.dtype.kind == "f":
            values[~np.isfinite(variable.values)] = None
        units = {"units": str(variable.attrs["units"])} if "units" in variable.attrs else {}
        found[str(name)] = {"dims": list(map(str, variable.dims)), **units, "values": jsonable(values.tolist())}
    return found


# ---- the page ------------------------------------------------------------------------------------


def _parts(seams: Sequence[Seam], adjustment: xr.Dataset) -> list[str]:
    known = [seam for seam in seams if int(seam.before["count"])]
    if not known:
        return [page.paragraph("No two tracks share a pixel with data."), *_adjustment_tables(adjustment, None)]
    shade = seam_unit(max((s.before for s in known), key=lambda ds: float(ds["joint_edge"][-1] - ds["joint_edge"][0])))
    maps = [(_png(plot_change(seam, shade)), _caption(seam, shade)) for seam in known]
    return [
        page.paragraph(
            f"Differences of {seams[0].before.attrs['variable']} where tracks overlap, first minus second, in "
            f"{shade.unit}, before and after the adjustment of the tracks to one datum. What stays after it is noise, "
            "atmosphere, and motion that the two looks see differently. Sigma is 1.4826 times the median absolute "
            "deviation; rms is about zero, and so includes the median. Length is the correlation length of the "
            "difference, effective the number of independent pixels it leaves, residual what the network leaves of "
            "the offset of a pair, and normalised that over its expected size: about 1; none where no other pair "
            "controls it."
        ),
        *([] if seams[0].alike is None else [page.paragraph(_ALIKE)]),
        _pair_table(seams, adjustment, shade),
        *_adjustment_tables(adjustment, shade),
        page.figures("Maps of the difference", maps, wide=True),
        page.paragraph("The two maps of a pair have scales of their own."),
    ]


def _pair_table(seams: Sequence[Seam], adjustment: xr.Dataset, shade: Shading) -> str:
    extra = [name for name in _of(adjustment, "pair") if name not in _TOLD]
    alike = seams[0].alike
    when = (*_WHEN, *([] if alike is None else [f"after{AS_SEEN[alike.attrs['look']]}"]))
    columns = ["pair", "pixels", *(f"{name}, {time}" for name in ("median", "sigma", "rms") for time in when)]
    columns += [f"slope, {time}" for time in when] + [_heading(adjustment, name, shade) for name in extra]
    pairs = [str(label) for label in adjustment["pair"].values] if "pair" in adjustment.variables else []
    rows = []
    for seam in seams:
        both = [ds for ds in (seam.before, seam.after, seam.alike) if ds is not None]
        row = [seam.pair, f"{int(seam.before['count']):,}"]
        row += [_text(float(ds[name]) * shade.factor) for name in ("median", "sigma", "rms") for ds in both]
        row += [_text(float(ds["slope"]), 3) for ds in both]
        at = pairs.index(seam.pair) if seam.pair in pairs else None
        row += ["" if at is None else _value(adjustment, name, at, shade) for name in extra]
        rows.append(row)
    return page.table(f"Seams [{shade.unit}]", columns, rows)


def _adjustment_tables(adjustment: xr.Dataset, shade: Shading | None) -> list[str]:
    """What the adjustment says of each track and of each loop."""
    tables = []
    for dim, heading in (("track", "Adjustment, added to each track"), ("loop", "Loops of the network")):
        names = _of(adjustment, dim)
        if not names:
            continue
        labels = adjustment[dim].values if dim in adjustment.variables else np.arange(adjustment.sizes[dim])
        rows = [[str(label), *(_value(adjustment, name, k, shade) for name in names)] for k, label in enumerate(labels)]
        tables.append(page.table(heading, [dim, *(_heading(adjustment, name, shade) for name in names)], rows))
    if adjustment.attrs.get("order"):
        tables.append(_ramp_table(adjustment, shade))
    return tables


def _ramp_table(adjustment: xr.Dataset, shade: Shading | None) -> str:
    """Coefficients of the ramps, about the origin, without the offsets."""
    factor, unit = _scale(adjustment, "coefficient", shade)
    terms = adjustment["term"].values.tolist()[1:]
    columns = [f"{term} [{unit}{_PER[len(re.findall('[xy]', term)) + ('^2' in term)]}]" for term in terms]
    lon, lat = adjustment.attrs["origin"]
    rows = [
        [str(label), *(f"{value * factor:.4g}" for value in row[1:])]
        for label, row in zip(adjustment["track"].values, adjustment["coefficient"].values, strict=True)
    ]
    return page.table(f"Ramps, x km east and y km north of {lon:g} {lat:g}", ["track", *columns], rows)


def _of(adjustment: xr.Dataset, dim: str) -> list[str]:
    return [str(name) for name, variable in adjustment.data_vars.items() if variable.dims == (dim,)]


def _scale(adjustment: xr.Dataset, name: str, shade: Shading | None) -> tuple[float, str]:
    """Factor and unit: those of the maps where the variable has the unit of the data."""
    units = str(adjustment[name].attrs.get("units", ""))
    data = str(adjustment["offset"].attrs.get("units")) if "offset" in adjustment else ""
    return (shade.factor, shade.unit) if shade is not None and units == data else (1.0, units)


def _heading(adjustment: xr.Dataset, name: str, shade: Shading | None) -> str:
    _, unit = _scale(adjustment, name, shade)
    text = name.removeprefix("pair_").removeprefix("loop_").replace("_", " ")
    return f"{text} [{unit}]" if unit not in ("", "1") else text


def _value(adjustment: xr.Dataset, name: str, at: int, shade: Shading | None) -> str:
    value = adjustment[name].values[at]
    if isinstance(value, bool | np.bool_):
        return "yes" if value else "no"
    if not isinstance(value, int | float | np.number):
        return str(value)
    if not np.isfinite(value):
        return "-"
    factor, unit = _scale(adjustment, name, shade)
    if isinstance(value, int | np.integer):
        return f"{value:,}"
    same = shade is not None and unit == shade.unit
    return _text(float(value) * factor) if same else f"{float(value):.4g}"


def _text(value: float, digits: int = 2) -> str:
    """Fixed decimals, so that a column of numbers can be compared."""
    return f"{round(value, digits) + 0.0:,.{digits}f}" if np.isfinite(value) else "-"


def _caption(seam: Seam, shade: Shading) -> str:
    before, after = (
        f"median {_text(float(ds['median']) * shade.factor)}, sigma {_text(float(ds['sigma']) * shade.factor)}, "
        f"rms {_text(float(ds['rms']) * shade.factor)} {shade.unit}"
        for ds in (seam.before, seam.after)
    )
    return f"{seam.pair}: before {before}; after {after}"


def plot_change(seam: Seam, shade: Shading) -> "Figure":
    """
    Draw the difference of two tracks before and after an adjustment, side by side.

    Parameters
    ----------
    seam : Seam
        Computed, with its thinned map.
    shade : Shading
        Gives the unit.

    Returns
    -------
    matplotlib.figure.Figure
    """
    step = int(seam.before["map"].attrs["stride"]) / float(seam.before.attrs["pixels_per_degree"])
    maps = filled_part(*(ds["map"].rename(map_y="y", map_x="x") for ds in (seam.before, seam.after)))
    west, north = float(maps[0]["x"][0]) - step / 2, float(maps[0]["y"][0]) + step / 2
    grid = Grid(west, north, step, step, maps[0].sizes["x"], maps[0].sizes["y"])
    figure, axes = new_figure(grid, columns=2)
    for ax, when, picture in zip(axes[0], _WHEN, maps, strict=True):
        named = picture.rename("difference").assign_attrs(pixels_per_degree=1 / step)
        plot_map(named, unit=shade.unit, reference_point=None, ax=ax, title=f"{seam.pair}, {when}")
    return figure


def _png(figure: "Figure") -> bytes:
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png", dpi=_DPI, bbox_inches="tight", pad_inches=0.08)
    return buffer.getvalue()
