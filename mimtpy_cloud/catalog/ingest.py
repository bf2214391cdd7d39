"""Bring sources onto the lattice: one immutable store a band, then one index commit a track."""

import errno
import json
import logging
import math
import os
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from functools import partial
from threading import Event, Lock
from typing import Any, get_args
from uuid import uuid4

import numpy as np
import xarray as xr

from mimtpy_cloud._version import __version__
from mimtpy_cloud.catalog.fetch import Source, fetched, find_source
from mimtpy_cloud.catalog.index import Entry, commit, open_root, read_commits
from mimtpy_cloud.catalog.maintenance import check_entry
from mimtpy_cloud.catalog.meter import Meter, Progress, StoppedError
from mimtpy_cloud.catalog.resolutions import remember_resolution, resolve_resolution, warn_of_sampling
from mimtpy_cloud.catalog.streaming import Layout, Resampling, write_layers, write_series
from mimtpy_cloud.client import active_client
from mimtpy_cloud.errors import (
    CatalogError,
    MimtpyError,
    ResolutionError,
    SchemaError,
    SourceFormatError,
    StorageError,
)
from mimtpy_cloud.io.sources import GEOMETRY_FILES, open_source
from mimtpy_cloud.io.storage import Storage
from mimtpy_cloud.io.store import ArraySpec, create_store
from mimtpy_cloud.plan.chunks import tile_sides
from mimtpy_cloud.plan.grid import Grid, Window
from mimtpy_cloud.plan.placement import Placement, ProjectedPlacement, RegularPlacement, ScatteredPlacement
from mimtpy_cloud.schema import LOS, VARIABLES

__all__ = ["ingest"]

_log = logging.getLogger(__name__)

#: A worker has a task a thread; an ingest uses all of them.
_ONE_AT_A_TIME = Lock()
#: Part of what identifies a revision; raised when the same source would give other pixels.
_LAYOUT_VERSION = 1
#: How the system says that nothing can be written there at all.
_UNWRITABLE = (errno.ENOTDIR, errno.EACCES, errno.EPERM, errno.EROFS)


def ingest(
    sources: str | os.PathLike[str] | Sequence[str | os.PathLike[str]],
    root: str | os.PathLike[str],
    *,
    resolution: str | None = None,
    pixels_per_degree: int | None = None,
    resampling: Resampling = "nearest",
    dry_run: bool = False,
    progress: Progress | None = None,
    workers: int | None = None,
) -> list[Entry]:
    """
    Write sources into band stores on the lattice and commit them to the index of their track.

    Parameters
    ----------
    sources : str, path or sequence of them
        ``S1_*.he5`` files, MintPy project folders or files, LiCSBAS frames; local or fsspec URLs.
    root : str or path
        Root URL of the stores.
    resolution : str, optional
        Name of the lattice; found from the pixel size of the source if that fits one.
    pixels_per_degree : int, optional
        Defines a resolution that is not in `mimtpy_cloud.schema.RESOLUTIONS`; remembered by the root.
    resampling : {"nearest", "bilinear", "average"}
        How pixels move if the source is not on the lattice. Masks always move by nearest.
    dry_run : bool
        Check everything and say what would be written, and write nothing.
    progress : callable, optional
        Called with bytes done, bytes in all and the unit, one call at a time, from any thread.
    workers : int, optional
        Threads; the number of CPUs by default. The result does not depend on it. With a cluster (`connect`), its
        workers ingest, a source at a time each; they must see the sources and the root.

    Returns
    -------
    list of Entry
        One a source, as committed. A source that is current already, with the same parameters and
        whole stores, is left alone and its entry returned.

    Raises
    ------
    SourceFormatError
        If a source is not what it should be; then nothing is written. Only damage inside the
        pixel data shows later: then nothing of that source and the following ones is committed.
    ResolutionError
        If the resolution is unknown or missing, or its name or size is unusable.
    SchemaError
        If a source lacks a track name, look vectors, displacement or velocity, or has no pixel with data.
    CatalogError
        If two sources would become the same product, or one would replace a product of another
        project.

    See Also
    --------
    mimtpy_cloud.catalog.tracks.open_track : Read what this writes.

    Notes
    -----
    Content is identified by the XXH3-128 hash of the source's bytes and the parameters. A source
    on the lattice (within 1e-3 pixel) is copied bit for bit. Readers see all bands of a source or
    none; what a crash leaves behind is invisible and goes with ``mimtpy catalog gc``.
    """
    if resampling not in get_args(Resampling):
        raise ResolutionError(f"resampling must be one of {', '.join(get_args(Resampling))}, got {resampling!r}")
    storage = open_root(root, cache=False)
    urls = [os.fspath(url) for url in ([sources] if isinstance(sources, str | os.PathLike) else sources)]
    how = _How(resolution, pixels_per_degree, resampling, workers)
    with _nothing_ingested(len(urls)):
        jobs = [_plan(find_source(url), storage, how) for url in urls]
        _refuse_twins(jobs)
        for job in jobs:
            _latest(read_commits(storage, job.entry.sensor, job.entry.track), job.entry)
            warn_of_sampling(storage, job.placement, job.entry.resolution, job.entry.pixels_per_degree, job.local.url)
    if dry_run:
        return [_current(storage, job) or job.identified() for job in jobs]
    meter = Meter(progress, sum(job.nbytes for job in jobs))
    client = active_client()
    if client is None:
        return [_ingest_one(job.local, storage, how, meter, job) for job in jobs]
    return _ingest_on(client, jobs, storage, how, meter)


@dataclass(frozen=True)
class _How:
    """Options of an ingest."""

    resolution: str | None
    pixels_per_degree: int | None
    resampling: Resampling
    workers: int | None


def _ingest_one(source: Source, storage: Storage, how: _How, meter: Meter, job: "_Job | None" = None) -> Entry:
    """Fetch a source if it is remote, and write it unless it is current."""
    with fetched(source) as local:
        if job is None or local is not source:
            job = _plan(local, storage, how)
        entry = _current(storage, job)
        if entry is not None:
            meter.leave_out(job.nbytes)
            return entry
        with _writing_to(storage.url):
            return _write(storage, job, meter, how.workers or os.cpu_count() or 1)


def _ingest_on(client: Any, jobs: "Sequence[_Job]", storage: Storage, how: _How, meter: Meter) -> list[Entry]:
    """Let the workers of a cluster ingest, a source at a time each."""
    from distributed import as_completed

    futures = [client.submit(_ingest_there, job.local.url, storage.url, how, pure=False) for job in jobs]
    sizes = {future.key: job.nbytes for future, job in zip(futures, jobs, strict=True)}
    try:
        for future in as_completed(futures):  # type: ignore[no-untyped-call]
            future.result()  # the first error ends it
            meter.advance(sizes[future.key])
    except BaseException:
        client.cancel(futures)
        raise
    entries = client.gather(futures)
    for entry in entries:
        if entry not in read_commits(storage, entry.sensor, entry.track):
            raise StorageError(
                f"the workers of the cluster wrote {entry.track} to a folder {storage.url} of their own, which is not "
                "this one; use a URL or a folder that all of them share as root"
            )
    return list(entries)


def _ingest_there(url: str, root: str, how: _How) -> Entry:
    """Ingest a source on a worker, which uses as many threads as it was given."""
    from distributed import get_worker

    workers = how.workers or get_worker().state.nthreads
    try:
        with _ONE_AT_A_TIME:
            storage = open_root(root, cache=False)
            return _ingest_one(find_source(url), storage, replace(how, workers=workers), Meter(None, 0))
    except SourceFormatError as error:
        if "does not exist" not in str(error) or "://" in url:
            raise
        raise SourceFormatError(
            f"{url} is not there for a worker of the cluster; use a folder that all of them share, or a URL"
        ) from error


@contextmanager
def _nothing_ingested(count: int) -> Iterator[None]:
    """Say that a source that cannot be used stopped the others too."""
    try:
        yield
    except MimtpyError as error:
        if count == 1:
            raise
        raise type(error)(f"{error}; nothing of the {count} sources was ingested") from error


@contextmanager
def _writing_to(root: str) -> Iterator[None]:
    """Say that it is the root that cannot be written, where the system only names a file in it."""
    try:
        yield
    except OSError as error:
        cause = error.__cause__ if isinstance(error, StorageError) else error
        if not isinstance(cause, OSError) or cause.errno not in _UNWRITABLE:
            raise
        if not str(cause.filename or "").startswith(root):
            raise
        raise StorageError(f"cannot write to the root {root}: {cause.strerror}; choose another, or mend it") from error


@dataclass(frozen=True)
class _Job:
    """One source, checked and planned; nothing written yet, and its content not known yet."""

    local: Source
    source: xr.Dataset
    placement: Placement
    specs: tuple[ArraySpec, ...]
    entry: Entry
    resampling: Resampling
    local_path: str | None

    @property
    def nbytes(self) -> int:
        window = self.aligned
        return sum(max(1, spec.dates) * 4 * window.ny * window.nx for spec in self.specs)

    @property
    def aligned(self) -> Window:
        return self.entry.extent.aligned(self.specs[0].tile[-1])

    def identified(self) -> Entry:
        """Read the whole source, and return the entry with its content."""
        attrs = self.entry.attrs
        source = {**attrs["source"], "xxh3_128": self.local.digest}
        content = _content(self.local.digest, attrs["parameters"])
        return replace(self.entry, content=content, attrs={**attrs, "source": source})


def _plan(local: Source, storage: Storage, how: _How) -> _Job:
    source = open_source(local.path)
    missing = [name for name in ("sensor", "track", "product") if not source.attrs.get(name)]
    if missing:
        raise SchemaError(f"{local.url} does not say its {', '.join(missing)}; a track name needs orbit and direction")
    names = [name for name in VARIABLES if name in source and VARIABLES[name].dims != ("time",)]
    if not {"displacement", "velocity"} & set(names):
        raise SchemaError(f"{local.url} has neither displacement nor velocity; it has {', '.join(names) or 'nothing'}")
    _require_look(source, local.url)
    grid = _grid(source)
    name, n = resolve_resolution(storage, grid, how.resolution, how.pixels_per_degree, local.url)
    placement = _placement(source, grid, n)
    window = placement.window
    dates = tuple(np.datetime_as_string(source.time.values, "D").tolist()) if "displacement" in names else ()
    specs = tuple(ArraySpec(v, n, len(dates) if "time" in VARIABLES[v].dims else 0) for v in names)
    parameters = _parameters(placement, name, n, how.resampling)
    aligned = window.aligned(tile_sides(n)[1])
    attrs = {
        **source.attrs,
        "source": {**source.attrs.get("source", {}), "url": local.url, "size": local.size},
        "parameters": parameters,
        "mimtpy_cloud_version": __version__,
    }
    baseline = source.perpendicular_baseline.values.tolist() if "perpendicular_baseline" in source else []
    entry = Entry(
        sensor=source.attrs["sensor"],
        track=source.attrs["track"],
        product=source.attrs["product"],
        resolution=name,
        pixels_per_degree=n,
        revision=_revision(source.attrs["product"]),
        committed="",
        project=source.attrs.get("project", ""),
        content="",
        dates=dates,
        window=(window.row, window.col, window.ny, window.nx),
        band_windows={b: _astuple(aligned.band(b)) for b in window.bands},
        variables=tuple(names),
        perpendicular_baseline=tuple(baseline),
        attrs=_plain(attrs, local.url),
    )
    direct = "displacement" in names and "dataset" in source.displacement.encoding
    path = source.displacement.encoding["source"] if direct and _readable_by_chunk(source) else None
    moved: Resampling = "nearest" if parameters["resampling"] == "none" else how.resampling
    return _Job(local, source, placement, specs, entry, moved, path)


def _require_look(source: xr.Dataset, url: str) -> None:
    """Without look vectors a revision could replace one that has them, and nothing could be decomposed."""
    if all(name in source for name in LOS):
        return
    kind = str(source.attrs.get("source", {}).get("format", ""))
    if kind.startswith("MintPy"):
        hint = (
            f"looked beside it for exactly one geometry on its grid: {', '.join(GEOMETRY_FILES)}; put one there "
            "(in Python, open_mintpy(url, geometry=...) opens one from elsewhere, without ingest)"
        )
    else:
        hint = "it needs incidenceAngle, and azimuthAngle or HEADING"
    raise SchemaError(f"{url} has no look vectors; {hint}")


def _readable_by_chunk(source: xr.Dataset) -> bool:
    from mimtpy_cloud.io.hdf5chunks import ChunkReader

    encoding = source.displacement.encoding
    return ChunkReader.supports(encoding["source"], encoding["dataset"])


def _revision(product: str) -> str:
    """Name of what is about to be written, of nobody else; its time protects it from `gc`."""
    return f"{product}-{datetime.now(UTC):%Y%m%dT%H%M%S%f}Z-{uuid4().hex[:8]}"


def _plain(value: Any, where: str) -> Any:
    """Value as JSON holds it: numpy numbers become Python's, NaN and infinity None."""
    if isinstance(value, Mapping):
        return {str(key): _plain(item, f"{where}: {key}") for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(item, where) for item in value]
    if isinstance(value, np.ndarray | np.number | np.bool):
        return _plain(value.tolist(), where)
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if value is None or isinstance(value, str | int):
        return value
    raise SchemaError(f"{where} is a {type(value).__name__}; attributes must be text, numbers, lists or mappings")


def _astuple(window: Window) -> tuple[int, int, int, int]:
    return window.row, window.col, window.ny, window.nx


def _grid(source: xr.Dataset) -> Grid | None:
    """Grid of the source; None in radar coordinates."""
    from pyproj import CRS

    if "x" not in source.coords:
        return None
    crs = CRS.from_user_input(source.spatial_ref.attrs["crs_wkt"])
    authority = crs.to_authority()
    return Grid.from_centres(source.x.values, source.y.values, ":".join(authority) if authority else crs.to_wkt())


def _placement(source: xr.Dataset, grid: Grid | None, n: int) -> Placement:
    from pyproj import CRS, Transformer

    if grid is None:
        return ScatteredPlacement(source.latitude.values, source.longitude.values, n)
    crs = CRS.from_user_input(grid.crs)
    if crs.is_geographic:
        return RegularPlacement(grid, n)
    to_lonlat = Transformer.from_crs(crs, "EPSG:4326", always_xy=True)
    to_source = Transformer.from_crs("EPSG:4326", crs, always_xy=True)
    window = Window.covering(n, to_lonlat.transform_bounds(*grid.bounds))
    return ProjectedPlacement(grid, n, to_source.transform, window)


def _parameters(placement: Placement, resolution: str, n: int, resampling: Resampling) -> dict[str, Any]:
    """What was done to the pixels, as the attributes record it."""
    parameters: dict[str, Any] = {"resolution": resolution, "pixels_per_degree": n}
    if isinstance(placement, RegularPlacement) and placement.on_lattice:
        return {**parameters, "resampling": "none"}
    if isinstance(placement, ScatteredPlacement) and resampling != "nearest":
        raise ResolutionError(f"sources in radar coordinates can be resampled by nearest only, got {resampling!r}")
    parameters["resampling"] = resampling
    if isinstance(placement, RegularPlacement):
        parameters["shift_pixels"] = [round(float(s), 6) for s in placement.shift]
    return parameters


def _content(digest: str, parameters: dict[str, Any]) -> str:
    import xxhash

    text = json.dumps([_LAYOUT_VERSION, digest, parameters], sort_keys=True)
    return xxhash.xxh3_128_hexdigest(text.encode())


def _refuse_twins(jobs: Sequence[_Job]) -> None:
    seen: dict[tuple[str, ...], str] = {}
    for job in jobs:
        e, url = job.entry, job.entry.attrs["source"]["url"]
        key = (e.sensor, e.track, e.resolution, e.product)
        if key in seen:
            raise CatalogError(f"{seen[key]} and {url} are both {'/'.join(key)}; ingest one of them")
        seen[key] = url


def _latest(commits: Sequence[Entry], entry: Entry) -> Entry | None:
    """
    Newest commit of the same product and resolution.

    Frames that the source does not know are 0000, so that two projects could meet there: a
    CatalogError, before one silently replaces the other.
    """
    same = [c for c in commits if (c.resolution, c.product) == (entry.resolution, entry.product)]
    if not same:
        return None
    mine, theirs = entry.project, same[-1].project
    if mine and theirs and mine != theirs:
        name = f"{entry.sensor}/{entry.track}/{entry.resolution}/{entry.product}"
        raise CatalogError(
            f"{entry.attrs['source']['url']} is project {mine}, but {name} is project {theirs} already and would be "
            "replaced; give the source frames of its own (attributes first_frame and last_frame), or use another root"
        )
    return same[-1]


def _current(storage: Storage, job: _Job) -> Entry | None:
    """The current entry, if it has the same content already and its stores are whole; other sizes are other content."""
    latest = _latest(read_commits(storage, job.entry.sensor, job.entry.track), job.entry)
    if latest is None or latest.attrs.get("source", {}).get("size") != job.local.size:
        return None
    if latest.content != job.identified().content:
        return None
    damage = next(check_entry(storage, latest), None)
    if damage is not None:
        _log.warning("%s: %s; it is written again", damage.key, damage.message)
        return None
    return latest


def _write(storage: Storage, job: _Job, meter: Meter, workers: int) -> Entry:
    """Write the stores, then commit; an error removes what was written."""
    entry = replace(job.entry, revision=_revision(job.entry.product))
    try:
        done = _write_stores(storage, job, entry, meter, workers)
        remember_resolution(storage, entry.resolution, entry.pixels_per_degree)
    except BaseException:
        with suppress(StorageError):  # what cannot be removed now is not visible, and goes with gc
            for band in entry.bands:
                storage.remove(entry.store_key(band))
        raise
    for band in set(entry.bands) - set(done.bands):
        storage.remove(entry.store_key(band))
    committed: list[Entry] = []

    def append(commits: list[Entry]) -> list[Entry]:
        committed[:] = [c for c in commits if c.revision == done.revision]  # an earlier try that did get through
        if committed:
            return commits
        _latest(commits, done)
        now = datetime.now(UTC)
        if commits:
            now = max(now, datetime.fromisoformat(commits[-1].committed) + timedelta(microseconds=1))
        committed[:] = [replace(done, committed=now.isoformat(timespec="microseconds"))]
        return [*commits, *committed]

    commit(storage, entry.sensor, entry.track, append)
    return committed[0]


def _write_stores(storage: Storage, job: _Job, entry: Entry, meter: Meter, workers: int) -> Entry:
    """
    Write the stores of an entry, metadata last; returns it with its content and the bands that hold data.

    The source is read for its hash while it is decoded, so that the disk gives it once, and the layers fill the
    processors where the series waits for a disk.
    """
    layout = Layout(storage, {band: entry.store_key(band) for band in entry.bands}, job.aligned)
    series = [spec for spec in job.specs if spec.dates]
    layers = [spec for spec in job.specs if not spec.dates]
    given = (job.source, job.placement)
    options: dict[str, Any] = {"resampling": job.resampling, "advance": meter.advance}
    with ThreadPoolExecutor(2) as beside, _stopping(job.local.stop, meter.stop):
        identified = beside.submit(job.identified)
        maps = beside.submit(write_layers, layout, layers, *given, workers=1 if series else workers, **options)
        written: set[int] = set()
        for future in (identified, maps):
            future.add_done_callback(partial(_stop_after_failure, meter.stop))
        with suppress(StoppedError):  # what stopped it is raised below
            for spec in series:
                written = write_series(layout, spec, *given, local_path=job.local_path, workers=workers, **options)
        errors = [future.exception() for future in (identified, maps)]
        for error in errors:
            if error is not None and not isinstance(error, StoppedError):
                raise error
        found = maps.result()
        known = identified.result()
    written = written if series else found["velocity"]
    if not written:
        raise SchemaError(f"{entry.attrs['source']['url']} has no pixel with data; nothing was written")
    windows = {band: window for band, window in entry.band_windows.items() if band in written}
    done = replace(known, revision=entry.revision, band_windows=windows)
    baseline = np.array(done.perpendicular_baseline, "float32")
    for band in done.bands:
        create_store(
            storage,
            done.store_key(band),
            job.specs,
            done.band_window(band),
            dates=done.dates,
            per_date={"perpendicular_baseline": baseline} if baseline.size else {},
            attrs={k: v for k, v in done.attrs.items() if v is not None},
        )
    return done


def _stop_after_failure(stop: Event, future: Future[Any]) -> None:
    if not future.cancelled() and future.exception() is not None:
        stop.set()


@contextmanager
def _stopping(*events: Event) -> Iterator[None]:
    """Tell other threads when this one fails."""
    try:
        yield
    except BaseException:
        for event in events:
            event.set()
        raise
