"""Run a template: plan a graph of steps, then work through it and report on each.

A step reads stored products and writes stored products, so that a later step, or a later run, opens what an
earlier one wrote. A step that fails takes along only those that need it.
"""

import logging
import os
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Any

import xarray as xr

from mimtpy_cloud.catalog.index import Catalog, open_catalog
from mimtpy_cloud.catalog.tracks import open_entry
from mimtpy_cloud.cli.actions import (
    Product,
    concatenate,
    decompose,
    export_product,
    plot_product,
    write_folder,
    write_product,
)
from mimtpy_cloud.cli.console import reason
from mimtpy_cloud.cli.datasets import Dataset, all_entries, expand_names, resolve_dataset
from mimtpy_cloud.cli.keys import squeeze
from mimtpy_cloud.cli.layers import take_layer
from mimtpy_cloud.cli.names import name_marks
from mimtpy_cloud.cli.products import Progress, beside, compact_dates, dates_used, exists, join, lying_over, observe
from mimtpy_cloud.cli.steps import Bounds, Concatenate, Decompose, Extract, Geodmod, Layer, Plot, Template
from mimtpy_cloud.cli.template import load_template
from mimtpy_cloud.errors import MimtpyError, StorageError, TemplateError, TrackNotFoundError

__all__ = ["STEP_NAMES", "Step", "StepResult", "plan_steps", "run_template", "select_steps"]

_log = logging.getLogger(__name__)

STEP_NAMES = (
    "extract",
    "mask",
    "coherence",
    "chunk",
    "concatenate",
    "horzvert",
    "overlap",
    "geodmod",
    "plot",
    "export",
)
_STEP_ALIASES = {
    "velcumu": "extract",
    "velocitydisplacement": "extract",
    "concatenation": "concatenate",
    "mosaic": "concatenate",
    "decompose": "horzvert",
}


@dataclass(frozen=True)
class Step:
    """
    One node of the graph.

    Parameters
    ----------
    key : str
        Unique name, such as ``"extract KilaueaSenAT124 velocity"``.
    name : str
        One of `STEP_NAMES`.
    project : str
        Project, or name of the joined product.
    needs : tuple of str
        Keys of the steps whose products it reads.
    outputs : tuple of str
        Paths or URLs that it writes.
    run : callable
        Does it; None if it cannot be done.
    error : str
        Why it cannot be done, found while planning; empty if it can.
    note : str
        Which dates it uses.
    """

    key: str
    name: str
    project: str
    needs: tuple[str, ...] = ()
    outputs: tuple[str, ...] = ()
    run: Callable[[], None] | None = None
    error: str = ""
    note: str = ""


@dataclass(frozen=True)
class StepResult:
    """
    What became of a step.

    Parameters
    ----------
    name, project : str
        As in `Step`.
    status : str
        ``"done"``, ``"failed"``, ``"skipped"`` or, in a dry run, ``"planned"``.
    outputs : tuple of str
        What it wrote, or would write.
    error : str
        Why it failed or was skipped.
    note : str
        Which dates it used.
    """

    name: str
    project: str
    status: str
    outputs: tuple[str, ...] = ()
    error: str = ""
    note: str = ""


@dataclass(frozen=True)
class _Source:
    """
    A product that a later step reads: the step that writes it, and where; without a name the step cannot run.

    `plain` is the name without what tells it from other products of the same dates; a template may leave that out.
    """

    step: str
    folder: str = ""
    name: str = ""
    revisions: tuple[str, ...] = ()
    plain: str = ""

    @property
    def stem(self) -> str:
        return join(self.folder, self.name)


@dataclass
class _Plan:
    """Steps planned so far, and the products that later steps may name."""

    template: Template
    catalog: Catalog
    out: str
    steps: list[Step] = field(default_factory=list)
    sources: dict[tuple[str, str], _Source] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.entries = all_entries(self.catalog)
        self.plot_error = _plot_error(self.template.plot)

    def resolve(self, name: str) -> Dataset:
        extract = self.template.extract
        resolution = extract.resolution if extract else None
        return resolve_dataset(self.entries, name, resolution=resolution, where=self.catalog.root)

    def open(self, name: str, bbox: Bounds | None) -> tuple[Dataset, xr.Dataset]:
        """Find a dataset, and open what the box has of it."""
        found = self.resolve(name)
        return found, open_entry(self.catalog.root, found.entry, bbox=found.within(bbox), cache=self.catalog.cache)

    def provenance(self, step: str, datasets: Iterable[str], revisions: Iterable[str]) -> dict[str, Any]:
        return {
            "template": self.template.path,
            "step": step,
            "datasets": list(datasets),
            "revisions": list(dict.fromkeys(revisions)),
            "root": self.catalog.root,
        }

    def fail(self, name: str, project: str, type_: str, error: Exception) -> str:
        key = f"{name} {project} {type_}"
        self.steps.append(Step(key, name, project, error=_reason(error)))
        return key

    def add(
        self,
        name: str,
        project: str,
        type_: str,
        product: Product,
        run: Callable[[], None],
        *,
        needs: Iterable[str] = (),
        note: str = "",
        more: tuple[str, ...] = (),
    ) -> str:
        """Add a step that writes a product, and more files, and those that draw its figures and write its GeoTIFFs."""
        key = f"{name} {project} {type_}"
        planned = {step.outputs[0]: step.key for step in self.steps if step.outputs}
        if planned.get(product.store) == key:
            return key  # one dataset by two names
        if any(step.key == key for step in self.steps):
            key += f" {product.store}"  # the same datasets, another product of them
        if product.store in planned:
            error = TemplateError(f"{product.store} is written by {planned[product.store]} already; give an outname")
            self.steps.append(Step(key, name, project, error=_reason(error)))
            return key
        before = tuple(dict.fromkeys(filter(None, needs)))
        self.steps.append(Step(key, name, project, before, (product.store, *more), run, note=note))
        plot = self.template.plot
        if plot is not None and (not plot.types or type_ in plot.types):
            draw = None if self.plot_error else partial(plot_product, product, plot)
            figures = () if self.plot_error else product.figures
            self.steps.append(Step(f"plot of {key}", "plot", project, (key,), figures, draw, self.plot_error))
        export = partial(export_product, product)
        self.steps.append(Step(f"export of {key}", "export", project, (key,), product.geotiffs, export))
        return key


def _reason(error: Exception) -> str:
    text = " ".join(reason(error).split())
    return text if isinstance(error, MimtpyError) else f"{type(error).__name__}: {text}"


def _plot_error(plot: Plot | None) -> str:
    """Why no figure can be drawn: a file that is missing or unreadable, a colour or a style that is none, no GMT."""
    if plot is None or replace(plot, types=(), folder=None, limits=None, names=False) == Plot():
        return ""
    from mimtpy_cloud.io.gnss import read_stations
    from mimtpy_cloud.io.raster import locate_raster
    from mimtpy_cloud.view.decoration import read_decoration
    from mimtpy_cloud.view.gmt import require_gmt

    over = lying_over(plot)
    try:
        read_decoration(over["faults"], plot.colours, plot.styles, over.get("coastline"), over["reference_point"], {})
        if plot.stations is not None:
            read_stations(plot.stations, units=plot.units)
        if plot.relief not in (None, "height"):
            locate_raster(str(plot.relief))
        if plot.backend == "pygmt":
            require_gmt()
    except Exception as error:  # noqa: BLE001 - figures must not stop the products
        return _reason(error)
    return ""


# --- planning -----------------------------------------------------------------------------------------------


def plan_steps(template: Template, catalog: Catalog, *, out: str = ".") -> list[Step]:
    """
    Plan the graph of steps that a template asks for.

    Parameters
    ----------
    template : Template
        From `load_template`.
    catalog : Catalog
        Where its datasets are.
    out : str
        Folder or URL of the products.

    Returns
    -------
    list of Step
        In an order in which every step comes after those it needs. Only the index was read.

    Raises
    ------
    CatalogError
        If the catalog is empty.
    """
    plan = _Plan(template, catalog, out)
    if template.extract:
        _plan_extract(plan, template.extract)
    for name, layer in (("mask", template.mask), ("coherence", template.coherence)):
        if layer:
            _plan_layer(plan, name, layer)
    if template.chunk:
        _plan_joint(plan, "chunk", template.chunk, concatenate)
    for mosaic in template.concatenate:
        _plan_joint(plan, "concatenate", mosaic, concatenate)
    if template.horzvert:
        _plan_joint(plan, "horzvert", template.horzvert, decompose)
    if template.overlap:
        _plan_joint(plan, "overlap", template.overlap, partial(decompose, same_direction=True))
    if template.geodmod:
        _plan_geodmod(plan, template.geodmod)
    return plan.steps


def _plan_extract(plan: _Plan, extract: Extract) -> None:
    for name in expand_names(plan.entries, extract.datasets):
        for type_ in extract.types:
            try:
                dataset, source = plan.open(name, extract.bbox)
                ds = observe(
                    source, type_, start=extract.start, end=extract.end, exclude=extract.exclude, mask=extract.mask
                )
            except Exception as error:  # noqa: BLE001 - one project must not stop the others
                key = plan.fail("extract", name, type_, error)
                plan.sources[name, type_] = _Source(key)
                continue
            folder = join(plan.out, dataset.label, type_)
            plain = f"{type_}_{compact_dates(ds)}".rstrip("_")
            base = plain + name_marks(ds, bbox=extract.bbox, mask=extract.mask)
            product = Product.single(join(folder, base), type_)
            provenance = plan.provenance("extract", [name], [dataset.entry.revision])
            run = partial(write_product, ds, product, provenance)
            key = plan.add("extract", dataset.label, type_, product, run, note=dates_used(ds))
            found = _Source(key, folder, base, (dataset.entry.revision,), plain)
            plan.sources[name, type_] = plan.sources[dataset.label, type_] = found


def _plan_layer(plan: _Plan, name: str, layer: Layer) -> None:
    for dataset_name in expand_names(plan.entries, layer.datasets):
        try:
            bbox = plan.template.extract.bbox if plan.template.extract else None
            dataset, source = plan.open(dataset_name, bbox)
            ds = take_layer(source, layer.variable, mask=layer.mask)
        except Exception as error:  # noqa: BLE001 - one project must not stop the others
            plan.fail(name, dataset_name, layer.variable, error)
            continue
        base = ("mask" if layer.variable == "valid" else layer.variable) + name_marks(ds, bbox=bbox)
        product = Product.single(join(plan.out, dataset.label, name, base), layer.variable)
        provenance = plan.provenance(name, [dataset_name], [dataset.entry.revision])
        plan.add(name, dataset.label, name, product, partial(write_product, ds, product, provenance))


def _plan_geodmod(plan: _Plan, geodmod: Geodmod) -> None:
    for name in expand_names(plan.entries, geodmod.datasets):
        try:
            dataset, source = plan.open(name, geodmod.bbox)
            ds = observe(source, "displacement", start=geodmod.start, end=geodmod.end)
        except Exception as error:  # noqa: BLE001 - one project must not stop the others
            plan.fail("geodmod", name, "displacement", error)
            continue
        provenance = plan.provenance("geodmod", [name], [dataset.entry.revision])
        folder = join(plan.out, dataset.label, "geodmod", compact_dates(ds) + name_marks(ds, bbox=geodmod.bbox))
        if any(step.outputs == (folder,) for step in plan.steps):
            continue  # one dataset by two names
        run = partial(write_folder, ds, "geodmod", folder, provenance)
        plan.steps.append(
            Step(f"geodmod {dataset.label}", "geodmod", dataset.label, (), (folder,), run, note=dates_used(ds))
        )


def _plan_joint(plan: _Plan, name: str, config: Concatenate | Decompose, action: Callable[..., None]) -> None:
    """Plan a step that reads the products of several datasets, once for each type."""
    config = replace(config, datasets=expand_names(plan.entries, config.datasets))
    extract = plan.template.extract
    types = (config.names[0].partition("_")[0],) if config.names else extract.types if extract else ("velocity",)
    names = config.names or ("",) * len(config.datasets)
    project = "+".join(config.datasets)
    for type_ in types:
        try:
            _require_several(config)
            sources = [_find(plan, dataset, type_, n) for dataset, n in zip(config.datasets, names, strict=True)]
            _refuse_twins(config.datasets, sources)
            folder, base = _place(plan, name, config, type_, sources[0])
        except Exception as error:  # noqa: BLE001 - one step must not stop the others
            key = plan.fail(name, project, type_, error)
            if isinstance(config, Concatenate) and config.outname:
                plan.sources[config.outname, type_] = _Source(key)
            continue
        if isinstance(config, Concatenate):
            product = Product.single(join(folder, base), type_)
        else:
            maps = zip(config.outnames, config.variables("hu" if name == "overlap" else "eu"), strict=True)
            product = Product(join(folder, f"{base}.zarr"), tuple((join(folder, out), v) for out, v in maps))
        revisions = tuple(revision for source in sources for revision in source.revisions)
        provenance = plan.provenance(name, config.datasets, revisions)
        run = partial(action, config, [source.stem for source in sources], product, provenance)
        is_compared = isinstance(config, Concatenate) and config.plotpair
        more = tuple(join(folder, f"{base}_seams.{suffix}") for suffix in ("html", "json")) if is_compared else ()
        needs, note = [source.step for source in sources], "and figure and numbers of each overlapping pair"
        key = plan.add(name, project, type_, product, run, needs=needs, note=note if is_compared else "", more=more)
        if isinstance(config, Concatenate):
            plain = f"{sources[0].plain}_mosaic" if sources[0].plain and name != "chunk" else base
            found = _Source(key, folder, base, revisions, plain)
            for named in (config.outname or _track_of(plan, config),) if name == "chunk" else (base, plain):
                plan.sources[named, type_] = found


def _place(plan: _Plan, name: str, config: Concatenate | Decompose, type_: str, first: _Source) -> tuple[str, str]:
    """Folder and base name of a joined product; the pieces of a track become a dataset, with a folder as one."""
    if isinstance(config, Decompose):
        return join(plan.out, config.outdir, type_), "_".join(config.outnames)
    if name == "chunk":
        track = _track_of(plan, config)
        return join(plan.out, config.outname or track, type_), first.name or type_
    return join(plan.out, config.outdir, type_), config.outname or f"{first.name or type_}_mosaic"


def _track_of(plan: _Plan, config: Concatenate) -> str:
    """Name the one track of the pieces."""
    tracks = {name: plan.resolve(name).entry.track for name in config.datasets}
    if len(set(tracks.values())) > 1:
        shown = ", ".join(f"{name} ({track})" for name, track in tracks.items())
        raise TemplateError(f"chunk joins pieces of one track, got {shown}; join tracks with mimtpy.concatenation")
    return next(iter(tracks.values()))


def _require_several(config: Concatenate | Decompose) -> None:
    """Count what wildcards gave."""
    if len(config.datasets) < 2:
        raise TemplateError(f"two datasets are needed at least, got {', '.join(config.datasets)}")
    if config.names and len(config.names) != len(config.datasets):
        raise TemplateError(
            f"dataname expects one name for each of {len(config.datasets)} datasets, got {len(config.names)}: "
            f"{', '.join(config.datasets)}"
        )


def _find(plan: _Plan, dataset: str, type_: str, name: str) -> _Source:
    """Find the product of a dataset: of a step of this run, or one that an earlier run wrote."""
    folder = join(plan.out, dataset, type_)
    source = plan.sources.get((dataset, type_))
    if source is None:
        try:
            label = plan.resolve(dataset).label
        except TrackNotFoundError:
            if not (name and exists(join(folder, f"{name}.zarr"))):
                raise
        else:
            folder, source = join(plan.out, label, type_), plan.sources.get((label, type_))
    if source is not None and (not name or not source.name or name in (source.name, source.plain)):
        return source
    if name:
        store = join(source.folder if source else folder, f"{name}.zarr")
        if not exists(store):
            raise StorageError(f"no step of this template makes {store}, and no earlier run left it; {beside(store)}")
        return _Source("", source.folder if source else folder, name)
    raise TemplateError(
        f"{dataset} has no {type_} product in this template; add it to mimtpy.velocity_displacement.dataset "
        "or name an earlier product by dataname"
    )


def _refuse_twins(datasets: Sequence[str], sources: Sequence[_Source]) -> None:
    seen: dict[str, str] = {}
    for dataset, source in zip(datasets, sources, strict=True):
        if source.name and source.stem in seen:
            raise TemplateError(f"{seen[source.stem]} and {dataset} are the same product; name each once")
        seen[source.stem] = dataset


# --- running ------------------------------------------------------------------------------------------------


def select_steps(names: Sequence[str] | None) -> tuple[str, ...]:
    """
    Check names of steps.

    Parameters
    ----------
    names : sequence of str, optional
        Names or older names, such as ``"velcumu"``; all steps if None.

    Returns
    -------
    tuple of str
        Of `STEP_NAMES`.

    Raises
    ------
    TemplateError
        If one is unknown.

    Examples
    --------
    >>> select_steps(["velcumu", "plot"])
    ('extract', 'plot')
    """
    if names is None:
        return STEP_NAMES
    wanted = [_STEP_ALIASES.get(squeeze(name), name.lower()) for name in names]
    if unknown := [name for name in wanted if name not in STEP_NAMES]:
        raise TemplateError(f"no step {', '.join(unknown)}; the steps are {', '.join(STEP_NAMES)}")
    return tuple(wanted)


def run_template(
    path: str | os.PathLike[str],
    *,
    root: str | Catalog,
    out: str = ".",
    steps: Sequence[str] | None = None,
    dry_run: bool = False,
    progress: Progress | None = None,
) -> list[StepResult]:
    """
    Run a template.

    Parameters
    ----------
    path : str or path
        Template, ``key = value`` text or YAML.
    root : str or Catalog
        Where `ingest` wrote.
    out : str
        Folder or URL of the products.
    steps : sequence of str, optional
        Only these; what others would have written is read from an earlier run.
    dry_run : bool
        Only plan, and check what can be checked without computing.
    progress : callable, optional
        ``progress(done, total, unit)`` after each step that was run.

    Returns
    -------
    list of StepResult
        In the order of work. A failed step is reported, not raised, and the steps that need it are skipped.

    Raises
    ------
    TemplateError
        If the template or a step name has problems, or no step is switched on.
    CatalogError
        If the catalog is empty.
    """
    wanted = select_steps(steps)
    template = load_template(path)
    on = {name for name in STEP_NAMES if name == "export" or getattr(template, name)}
    if on <= {"plot", "export"} or not on & set(wanted):
        raise TemplateError(
            f"{template.path} has nothing to do: it switches none of the steps {', '.join(wanted)} on; set one to yes, "
            "such as mimtpy.velocity_displacement = yes"
        )
    catalog = root if isinstance(root, Catalog) else open_catalog(root)
    plan = plan_steps(template, catalog, out=out)
    lost = {step.key: f"{step.key} ({step.error})" for step in plan if step.run is None}
    planned = [step for step in plan if step.name in wanted]
    results: list[StepResult] = []
    for step in planned:
        causes = list(dict.fromkeys(lost[key] for key in step.needs if key in lost))
        results.append(_result(step, causes, dry_run=dry_run))
        if causes:
            lost[step.key] = "; ".join(causes)
        elif results[-1].error:
            lost[step.key] = f"{step.key} ({results[-1].error})"
        if progress is not None and not dry_run:
            progress(len(results), len(planned), "steps")
    return results


def _result(step: Step, causes: Sequence[str], *, dry_run: bool) -> StepResult:
    """Run a step, unless it cannot be done or what it needs is lost: the steps that failed first, and why."""
    if causes:
        return StepResult(step.name, step.project, "skipped", (), f"it needs {'; '.join(causes)}")
    if step.run is None:
        return StepResult(step.name, step.project, "failed", (), step.error)
    if dry_run:
        return StepResult(step.name, step.project, "planned", step.outputs, note=step.note)
    _log.info("%s", step.key)
    try:
        step.run()
    except Exception as error:  # noqa: BLE001 - one project must not stop the others
        _log.info("%s failed", step.key, exc_info=True)
        return StepResult(step.name, step.project, "failed", (), _reason(error))
    return StepResult(step.name, step.project, "done", step.outputs, note=step.note)
