"""The whole chain on synthetic tracks: write, ingest, run a template, compare with the truth, show it."""

import json
import os
import shlex
import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import xarray as xr

from mimtpy_cloud.cli.pipeline import StepResult
from mimtpy_cloud.errors import MimtpyError

__all__ = ["Recovery", "run_demo", "write_tracks"]

#: Acquisitions in units of 12 days.
_VISITS = (0, 4, 9, 12, 17, 22, 25, 30, 36, 40, 45, 51, 54, 59, 64, 70)
_SOUTH, _NORTH = 37.15, 39.25


@dataclass(frozen=True)
class _Track:
    """One synthetic track: where it looks from, and the window that holds its footprint."""

    orbit_direction: str
    relative_orbit: int
    first_date: str
    frames: tuple[int, int]
    west: float
    east: float

    @property
    def project(self) -> str:
        return f"DemoSen{self.orbit_direction[0].upper()}T{self.relative_orbit:03d}"


_TRACKS = (
    _Track("ascending", 64, "2018-01-05", (113, 119), 36.6, 38.4),
    _Track("ascending", 137, "2018-01-10", (111, 117), 35.6, 37.4),
    _Track("descending", 71, "2018-01-03", (466, 472), 35.5, 37.3),
    _Track("descending", 144, "2018-01-08", (468, 474), 36.5, 38.3),
)

_TEMPLATE = """\
# Velocity of each track, a mosaic of each direction, and east and up from the two. All keys: mimtpy run --keys
mimtpy.velcumu           = yes
mimtpy.velcumu.DataSet   = {projects}
mimtpy.velcumu.type      = velocity
mimtpy.velcumu.SNWE      = None
mimtpy.velcumu.startDate = None
mimtpy.velcumu.endDate   = None
mimtpy.velcumu.mask      = y

# several mosaics: separated by a semicolon
mimtpy.concatenation         = yes
mimtpy.concatenation.DataSet = {groups}
mimtpy.concatenation.outname = velocity_ascending; velocity_descending
mimtpy.concatenation.outdir  = mosaic

mimtpy.horzvert                = yes
mimtpy.horzvert.DataSet        = velocity_ascending,velocity_descending
mimtpy.horzvert.referencepoint = 38.2,37.5
mimtpy.horzvert.outname        = east,up
mimtpy.horzvert.outdir         = horzvert

mimtpy.plot             = yes
mimtpy.plot.shpdir      = {folder}
mimtpy.plot.fault       = fault.geojson
mimtpy.plot.fcolor      = b
mimtpy.plot.fstyle      = s
mimtpy.plot.vlim        = -0.02,0.02
"""


@dataclass(frozen=True)
class Recovery:
    """
    How well a product recovers the truth.

    Parameters
    ----------
    product : str
        What it is.
    store : str
        Where it is.
    pixels : int
        Number of pixels compared.
    rms : float
        Root mean square of product minus truth in m/yr, after removing one constant (the datum).
    expected : float
        Median of the standard deviation that the product states, in m/yr; NaN if it states none.
    """

    product: str
    store: str
    pixels: int
    rms: float
    expected: float


def run_demo(out: str | os.PathLike[str], *, resolution: str = "lowRes", noise: float = 1.0) -> list[Recovery]:
    """
    Make four synthetic tracks, run everything on them, and compare with the truth.

    Parameters
    ----------
    out : str or path
        Folder; gets ``data`` (the ``S1_*.he5`` files), ``root`` (stores and index), the template, ``products``
        and ``summary.html``. What an earlier demo left there is replaced.
    resolution : str
        Name of the lattice.
    noise : float
        Scale of the noise; 1 is realistic, 0 is none.

    Returns
    -------
    list of Recovery
        Of each product.

    Raises
    ------
    MimtpyError
        If a step fails; the message says which and why.

    Notes
    -----
    Prints what it does. Everything but the files written first is also done by the commands in ``summary.html``.
    """
    from mimtpy_cloud.catalog.ingest import ingest
    from mimtpy_cloud.catalog.maintenance import gc
    from mimtpy_cloud.cli.console import progress_bar, show_table
    from mimtpy_cloud.cli.tables import show_entries

    started, folder = time.monotonic(), Path(out)
    with progress_bar("simulate") as progress:
        files = write_tracks(folder / "data", resolution=resolution, noise=noise, progress=progress)
    with progress_bar("ingest") as progress:
        show_entries(ingest(files, folder / "root", resolution=resolution, progress=progress))
    gc(folder / "root", older_than_days=0)  # what an earlier demo ingested
    template = _write_template(folder)
    with progress_bar("run") as progress:
        results = _run(template, folder, progress)
    recovered = _compare(results)
    figure = _comparison_figure(results, folder / "truth.png")
    columns, rows = _table(recovered)
    show_table(columns, rows)
    _write_summary(folder, template, results, recovered, figure, time.monotonic() - started)
    show_table(("made", "seconds"), [(folder / "summary.html", f"{time.monotonic() - started:.0f}")])
    return recovered


def write_tracks(folder: Path, *, resolution: str = "lowRes", noise: float = 1.0, progress: Any = None) -> list[Path]:
    """
    Write the synthetic tracks of the demo as MintPy would.

    Parameters
    ----------
    folder : Path
        Gets ``<project>/mintpy/S1_*.he5``.
    resolution : str
        Name of the lattice.
    noise : float
        Scale of the noise.
    progress : callable, optional
        ``progress(done, total, unit)``.

    Returns
    -------
    list of Path
        Files, two ascending and two descending.
    """
    from mimtpy_cloud.exports.hdfeos5 import hdfeos5_name, write_hdfeos5
    from mimtpy_cloud.ops.simulate import simulate_scene
    from mimtpy_cloud.plan.grid import Window
    from mimtpy_cloud.schema import RESOLUTIONS

    files = []
    for done, track in enumerate(_TRACKS, 1):
        dates = np.datetime64(track.first_date) + 12 * np.array(_VISITS)
        ds = simulate_scene(
            Window.covering(RESOLUTIONS[resolution], (track.west, _SOUTH, track.east, _NORTH)),
            dates=dates,
            reference_date=dates[3],
            orbit_direction=track.orbit_direction,
            relative_orbit=track.relative_orbit,
            frames=track.frames,
            project=track.project,
            noise=noise,
        )
        files.append(folder / track.project / "mintpy" / hdfeos5_name(ds))
        write_hdfeos5(ds, files[-1])
        if progress is not None:
            progress(done, len(_TRACKS), "tracks")
    return files


def _write_template(folder: Path) -> Path:
    """The fault as a vector file, and the template."""
    from mimtpy_cloud.kernels.landscape import Landscape

    land = Landscape()
    east, north = np.sin(np.radians(land.strike)) / np.cos(np.radians(land.lat)), np.cos(np.radians(land.strike))
    trace = [[land.lon + step * east, land.lat + step * north] for step in (-1.4, 1.4)]
    feature = {"type": "Feature", "properties": {}, "geometry": {"type": "LineString", "coordinates": trace}}
    (folder / "fault.geojson").write_text(json.dumps({"type": "FeatureCollection", "features": [feature]}))
    groups = [
        ",".join(track.project for track in _TRACKS if track.orbit_direction == direction)
        for direction in ("ascending", "descending")
    ]
    text = _TEMPLATE.format(projects=",".join(groups), groups="; ".join(groups), folder=folder)
    template = folder / "mimtpyApp.template"
    template.write_text(text)
    return template


def _run(template: Path, folder: Path, progress: Any) -> list[StepResult]:
    from mimtpy_cloud.cli.pipeline import run_template

    results = run_template(template, root=str(folder / "root"), out=str(folder / "products"), progress=progress)
    if failed := [f"{r.name} of {r.project}: {r.error}" for r in results if r.error]:
        raise MimtpyError(f"the demo failed in {template}: {'; '.join(failed)}")
    return results


# --- comparison with the truth --------------------------------------------------------------------------------


def _stores(results: Iterable[StepResult]) -> dict[str, str]:
    """Store of each product that is a velocity, by what it is."""
    steps = [r for r in results if r.name in ("extract", "concatenate", "horzvert")]
    names = {"extract": "{0}", "concatenate": "mosaic of {0}", "horzvert": "{0}"}
    return {names[r.name].format(r.project.replace("+", " and ")): r.outputs[0] for r in steps}


def _compare(results: Sequence[StepResult]) -> list[Recovery]:
    """Each line-of-sight velocity, and east and up, against the truth."""
    from mimtpy_cloud.cli.products import open_product

    recovered = []
    for name, store in _stores(results).items():
        ds = open_product(store).load()
        for variable, difference in _differences(ds).items():
            good = np.isfinite(difference.values)
            label = f"line of sight, {name}" if variable == "velocity" else variable
            rms = float(np.sqrt(np.square(difference.values[good]).mean()))
            recovered.append(Recovery(label, store, int(good.sum()), rms, _expected(ds, f"{variable}_std")))
    return recovered


def _differences(ds: xr.Dataset) -> dict[str, xr.DataArray]:
    """Product minus truth in m/yr, without the constant that a datum leaves open."""
    truth = _truth(ds)
    if "velocity" in ds:
        los = sum(truth[part] * ds[f"los_{part}"] for part in ("east", "north", "up"))
        differences = {"velocity": ds["velocity"] - los}
    else:
        differences = {part: ds[part] - truth[part] for part in ("east", "up")}
    return {name: difference - difference.median() for name, difference in differences.items()}


def _truth(ds: xr.Dataset) -> dict[str, xr.DataArray]:
    from mimtpy_cloud.ops.simulate import true_velocity

    parts = true_velocity(ds["x"].values[None, :], ds["y"].values[:, None])
    return {
        name: xr.DataArray(part, {"y": ds["y"], "x": ds["x"]}, ("y", "x"))
        for name, part in zip(("east", "north", "up"), parts, strict=True)
    }


def _expected(ds: xr.Dataset, name: str) -> float:
    return float(ds[name].median()) if name in ds else float("nan")


def _table(recovered: Iterable[Recovery]) -> tuple[tuple[str, ...], list[tuple[str, ...]]]:
    columns = ("product", "pixels", "rms error, mm/yr", "stated 1 sigma, mm/yr", "store")
    rows: list[tuple[str, ...]] = []
    for r in recovered:
        expected = f"{r.expected * 1000:.2f}" if np.isfinite(r.expected) else ""
        rows.append((r.product, f"{r.pixels:,}", f"{r.rms * 1000:.2f}", expected, r.store))
    return columns, rows


# --- figures and page -----------------------------------------------------------------------------------------


def _comparison_figure(results: Sequence[StepResult], path: Path) -> Path:
    """East and up: recovered, true, and their difference."""
    from matplotlib.figure import Figure

    from mimtpy_cloud.cli.products import open_product
    from mimtpy_cloud.view.map import plot_map

    (store,) = [r.outputs[0] for r in results if r.name == "horzvert"]
    ds = open_product(store).load()
    truth, differences = _truth(ds), _differences(ds)
    figure = Figure(figsize=(15, 8), layout="constrained")
    axes = figure.subplots(2, 3)
    for row, part in enumerate(("east", "up")):
        true = truth[part].where(np.isfinite(ds[part]))
        recovered = differences[part] + true
        maps: Mapping[str, xr.DataArray] = {"recovered": recovered, "true": true, "difference": differences[part]}
        limit = 1000 * float(abs(true).max())
        for ax, (what, values) in zip(axes[row], maps.items(), strict=True):
            shown = values.assign_coords(spatial_ref=ds["spatial_ref"]).rename(part)
            shown.attrs = {"units": "m/yr", "long_name": f"{part} velocity"}
            plot_map(shown, ax=ax, title=f"{part}, {what}", limits=5.0 if what == "difference" else limit)
    figure.savefig(path, dpi=90)
    return path


def _write_summary(
    folder: Path,
    template: Path,
    results: Sequence[StepResult],
    recovered: Sequence[Recovery],
    figure: Path,
    seconds: float,
) -> None:
    from mimtpy_cloud.exports.publish import publish_bytes
    from mimtpy_cloud.view import page

    land = (
        "a right-lateral strike-slip fault (24 mm/yr, locked to 12 km) and a volcano that inflates (30 mm/yr at most)"
    )
    here = shlex.quote(str(folder))
    lines = [
        f"mimtpy ingest {here}/data/*/mintpy/S1_*.he5 --root {here}/root",
        f"mimtpy catalog list --root {here}/root",
        f"mimtpy run {here}/{template.name} --root {here}/root --out {here}/products",
    ]
    drawn = [Path(name) for r in results if r.name == "plot" for name in r.outputs]
    captions = [(name, str(name.relative_to(folder / "products").with_suffix(""))) for name in drawn]
    steps = [(r.name, r.project.replace("+", " and "), r.status, ", ".join(r.outputs)) for r in results]
    parts = [
        page.paragraph(
            f"Four synthetic Sentinel-1 tracks over {land}, with atmosphere, lakes and forests, were written as MintPy "
            f"writes them, ingested, and combined in {seconds:.0f} s. The truth is known at every pixel."
        ),
        page.table("Recovered velocity against the truth", *_table(recovered)),
        page.paragraph(
            "One constant a product is removed: the datum, which the reference points leave open. The look direction "
            "varies across a track, so that a constant along it is not quite one in east and up, and motion to the "
            "north is neglected; without noise these leave less than 1 mm/yr."
        ),
        page.figures("East and up", [(figure, "Recovered, true, and difference")], wide=True),
        page.commands("Commands", "\n".join(lines)),
        page.commands(template.name, template.read_text()),
        page.table("Steps", ("step", "project", "status", "outputs"), steps),
        page.figures("Products", captions),
    ]
    publish_bytes(page.page("mimtpy demo", parts).encode(), folder / "summary.html")
