"""Fits and figures of profiles at the edge: which are drawn, and their names."""

from collections.abc import Sequence
from pathlib import PurePath
from typing import Any

import xarray as xr

from mimtpy_cloud.errors import SchemaError

__all__ = ["FIGURES", "draw_transects", "fit_profiles", "fit_rows", "require_coastline"]

#: Endings of a figure, where one is asked for.
FIGURES = (".png", ".pdf", ".svg")


def fit_profiles(
    profiles: xr.Dataset, model: str | None, *, depths_km: tuple[float, float] | None, second_km: float | None
) -> xr.Dataset | None:
    """
    Fit faults to profiles, as the options of a command ask.

    Parameters
    ----------
    profiles : xr.Dataset
        Lazy, from `profile_across_fault`.
    model : str, optional
        As for `fit_transects`; none fits nothing.
    depths_km : tuple of float, optional
        Least and greatest depth of locking; by default as for `fit_transects`.
    second_km : float, optional
        Distance of a second fault.

    Returns
    -------
    xr.Dataset or None
        Lazy.

    Raises
    ------
    SchemaError
        If the profiles do not tell the motion along the fault, or an option does not go with the model.
    """
    from mimtpy_cloud.ops.transectfit import fit_transects

    if model is None:
        if second_km is not None:
            raise SchemaError("--second-fault goes with --fit two_faults; give both, or leave it out")
        if depths_km is not None:
            raise SchemaError("--depths goes with --fit; give both, or leave it out")
        return None
    if "fault_parallel" not in profiles:
        raise SchemaError(
            f"--fit {model} needs motion along the fault; give a decomposition with east (mimtpy decompose), and north "
            "where the fault runs less than 30 degrees from north"
        )
    ranges: dict[str, Any] = {} if depths_km is None else {"depth_range_km": depths_km}
    return fit_transects(profiles, model=model, second_fault_km=second_km, **ranges)


def require_coastline(coastline: str | None, stem: str | None) -> None:
    """
    Check before anything is computed that a coast can be drawn.

    Parameters
    ----------
    coastline : str, optional
        File.
    stem : str, optional
        Where figures go, as `mimtpy_cloud.cli.transects.figures_stem` says.

    Raises
    ------
    SchemaError
        If no map of swaths is drawn.
    StorageError, SourceFormatError
        If the file is missing or unreadable.
    """
    from mimtpy_cloud.io.vectors import read_lines

    if coastline is None:
        return
    if stem is None or PurePath(stem).suffix.lower() in FIGURES:
        raise SchemaError("--coastline is for the map of swaths, which goes to a folder; give a folder as --out")
    read_lines(coastline)


def draw_transects(
    profiles: xr.Dataset,
    product: xr.Dataset,
    stem: str,
    *,
    fits: xr.Dataset | None = None,
    trace: str,
    faults: Sequence[str] = (),
    coastline: str | None = None,
    backend: str = "matplotlib",
) -> list[str]:
    """
    Draw everything that profiles across a fault show.

    Parameters
    ----------
    profiles : xr.Dataset
        Computed.
    product : xr.Dataset
        Map of the swaths, lazy.
    stem : str
        Path without ending; or a name with the ending of a figure, which gets the panels alone.
    fits : xr.Dataset, optional
        Of `fit_profiles`.
    trace : str
        File of the fault, drawn on the map.
    faults : sequence of str
        Files of others.
    coastline : str, optional
        File of the coast.
    backend : str
        What draws the panels: ``"matplotlib"``, or ``"pygmt"``, which shows the first quantity only.

    Returns
    -------
    list of str
        What was written, of profiles that have data: the panels, the map of swaths, of several profiles all above each
        other; of motion across the fault and up, with topography, one figure a profile with arrows; of fits a table and
        a figure of slip rates.
    """
    from mimtpy_cloud.exports.sliprates import write_slip_rates
    from mimtpy_cloud.view.gmt import plot_profiles_gmt
    from mimtpy_cloud.view.map import save_figure
    from mimtpy_cloud.view.sliprates import plot_slip_rates
    from mimtpy_cloud.view.stackedprofiles import plot_stacked
    from mimtpy_cloud.view.swaths import plot_swaths
    from mimtpy_cloud.view.transects import plot_transects
    from mimtpy_cloud.view.vectorprofile import plot_vector_profile

    shown = _shown(profiles)
    full = profiles[shown].notnull().any("distance").to_dataarray().any("variable").values
    profiles, fits = profiles.isel(profile=full), None if fits is None else fits.isel(profile=full)
    panels = (
        plot_profiles_gmt(profiles, shown[0], fits=fits)
        if backend == "pygmt"
        else plot_transects(profiles, shown, fits=fits)
    )
    if PurePath(stem).suffix.lower() in FIGURES:
        save_figure(panels, stem)
        return [stem]
    figures: dict[str, Any] = {"": panels}
    figures["_swaths"] = plot_swaths(product, profiles, trace=trace, faults=faults, coastline=coastline)
    several = profiles.sizes["profile"] > 1
    if several:
        figures["_stacked"] = plot_stacked(profiles, shown[0], fits=fits if shown[0] == "fault_parallel" else None)
    if {"fault_normal", "up", "height"} <= set(profiles):
        for k in range(profiles.sizes["profile"]):
            figures[f"_vectors_{int(profiles['profile'][k]) + 1}"] = plot_vector_profile(profiles, k)
    if fits is not None and several:
        figures["_slip"] = plot_slip_rates(fits)
    written = []
    for ending, figure in figures.items():
        written.append(f"{stem}{ending}.png")
        save_figure(figure, written[-1])
    if fits is not None:
        write_slip_rates(fits, f"{stem}_slip.csv")
        written.append(f"{stem}_slip.csv")
    return written


def _shown(profiles: xr.Dataset) -> list[str]:
    """What the panels show, of what has data: motion along the fault and up, else the line of sight, else the first."""
    names = [str(name).removesuffix("_mad") for name in profiles.data_vars if str(name).endswith("_mad")]
    names = [name for name in names if profiles[name].notnull().any()]
    first = next((name for name in ("fault_parallel", "velocity", "displacement", "east") if name in names), names[0])
    units = profiles[first].attrs.get("units")
    alike = [n for n in names if n != first and (n == "up" or (n.startswith(f"{first}_") and not n.endswith("_sigma")))]
    return [first, *(name for name in alike if profiles[name].attrs.get("units") == units and "_sigma" not in name)][:4]


def fit_rows(fits: xr.Dataset) -> tuple[tuple[str, ...], list[tuple[str, ...]]]:
    """
    Say in short what was fitted.

    Parameters
    ----------
    fits : xr.Dataset
        Of `fit_profiles`.

    Returns
    -------
    columns : tuple of str
        Headings.
    rows : list of tuple of str
        One a profile: value, standard deviation from noise, and range over the choices of the datum; a depth that
        ends at a limit of its range has a star.
    """
    names = [n for n in ("slip_rate", "locking_depth", "creep_rate", "creep_depth", "second_slip_rate") if n in fits]
    rows: list[tuple[str, ...]] = []
    for k in range(fits.sizes["profile"]):
        cells = [str(k + 1)]
        for name in names:
            factor = 1e-3 if name.endswith("depth") else 1e3
            numbers = [float(fits[f"{name}{end}"][k]) * factor for end in ("", "_std", "_range")]
            bound = f"{name}_at_bound" in fits and bool(fits[f"{name}_at_bound"][k])
            value, std, spread = (f"{v:.1f}" if v == v else "-" for v in numbers)
            cells.append(f"{value}{'*' if bound else ''} ± {std} ({spread})" if value != "-" else "-")
        chi2 = float(fits["chi2"][k])
        rows.append((*cells, f"{chi2:.1f}" if chi2 == chi2 else "-"))
    units = {name: "km" if name.endswith("depth") else "mm/yr" for name in names}
    headings = [f"{name.replace('_', ' ')}, {units[name]} ± std (range)" for name in names]
    return ("profile", *headings, "chi2"), rows
