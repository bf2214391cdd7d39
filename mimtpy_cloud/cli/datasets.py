"""Resolve what a user calls a dataset (``Sentinel/A124``, ``A124``, a project name) to a catalog entry."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase

from mimtpy_cloud.catalog.index import DEFAULT_RESOLUTION, Catalog, Entry, choose_resolution
from mimtpy_cloud.cli.keys import has_wildcard
from mimtpy_cloud.cli.steps import Bounds
from mimtpy_cloud.errors import CatalogError, TrackNotFoundError
from mimtpy_cloud.plan.grid import Window

__all__ = [
    "Dataset",
    "all_entries",
    "describe_entries",
    "expand_names",
    "find_dataset",
    "matching_entries",
    "resolve_dataset",
]

#: Sensor whose tracks need no name of it in a folder.
_SENSOR = "Sentinel"
_TRACK = re.compile(
    r"(?:(?P<sensor>[A-Za-z]\w*)/)?(?P<track>[AaDd]\d{1,3})(?:/(?P<band>-?\d{1,2}))?(?:/(?P<resolution>[A-Za-z]\w*))?"
)


@dataclass(frozen=True)
class Dataset:
    """
    What a dataset name means.

    Parameters
    ----------
    label : str
        Folder of its products: the project name, or the track where it has none.
    entry : Entry
        Catalog entry.
    bbox : tuple of float, optional
        West, south, east, north of the one-degree band, where the name holds one.
    """

    label: str
    entry: Entry
    bbox: Bounds | None = None

    def within(self, bbox: Bounds | None) -> Bounds | None:
        """
        Intersect the band with a box.

        Parameters
        ----------
        bbox : tuple of float, optional
            West, south, east, north.

        Returns
        -------
        tuple of float or None
            None where neither limits anything.

        Raises
        ------
        TrackNotFoundError
            If they share nothing.
        """
        if self.bbox is None or bbox is None:
            return self.bbox or bbox
        Window.within(1, bbox)  # raises where malformed
        west, south, east, north = bbox
        south, north = max(south, self.bbox[1]), min(north, self.bbox[3])
        if south >= north:
            raise TrackNotFoundError(
                f"{self.label} is latitude {self.bbox[1]} to {self.bbox[3]}; the box {bbox} is outside"
            )
        return west, south, east, north


def resolve_dataset(
    entries: Sequence[Entry],
    name: str,
    *,
    resolution: str | None = None,
    product: str | None = None,
    where: str = "",
) -> Dataset:
    """
    Find the entry that a dataset name means.

    Parameters
    ----------
    entries : sequence of Entry
        What the catalog has.
    name : str
        A project name recorded at ingest, or ``[sensor/]track[/band][/resolution]``; either may end in ``/product``.
    resolution, product : str, optional
        Name of the resolution and of the product; either may also be part of `name`.
    where : str
        The catalog, for messages.

    Returns
    -------
    Dataset

    Raises
    ------
    TrackNotFoundError
        If nothing fits; the message lists what exists.
    CatalogError
        If several entries fit, several resolutions without standard among them, or two resolutions are asked for.
    """
    every, band, written = _match(entries, name)
    found = [entry for entry in every if product in (None, entry.product)]
    if every and not found:
        raise TrackNotFoundError(f"{name} has no product {product!r}; it has {_products(every)}")
    if resolution and written and resolution != written:
        raise CatalogError(f"{name} names the resolution {written}, and {resolution} is asked for as well; give one")
    wanted = resolution or written
    if not found:
        raise TrackNotFoundError(f"no dataset {name!r} in {where or 'the catalog'}; it has {describe_entries(entries)}")
    names = sorted({entry.resolution for entry in found})
    if wanted is None:
        wanted = choose_resolution(name, found)
    fitting = [entry for entry in found if entry.resolution == wanted]
    if not fitting:
        raise TrackNotFoundError(f"{name} has no resolution {wanted!r}; it has {', '.join(names)}")
    if len(fitting) > 1:
        products = ", ".join(f"{e.project or '-'} ({e.sensor}/{e.track}, product {e.product})" for e in fitting)
        hint = f"or add the product, such as {name}/{fitting[0].product}"
        raise CatalogError(
            f"{name} is several datasets at {wanted}; give one of their project names, {hint}: {products}"
        )
    (entry,) = fitting
    label = _label(entry, entries)
    if band is None:
        return Dataset(label, entry)
    return Dataset(f"{label}_{band}", entry, (-180.0, float(band), 180.0, band + 1.0))


def _label(entry: Entry, entries: Sequence[Entry]) -> str:
    """Folder of its products: the project, and what tells the entry from others of the project that one may name."""
    own = [e for e in entries if (e.project, e.sensor, e.track) == (entry.project, entry.sensor, entry.track)]
    parts = [entry.project or entry.track]
    numbers = {int(digits) for digits in re.findall(r"\d+", entry.project)}
    if entry.project and int(entry.track[1:]) not in numbers:  # a project may have several tracks
        parts.append(entry.track)
    if not entry.project and entry.sensor != _SENSOR:
        parts.insert(0, entry.sensor)
    if len({e.resolution for e in own}) > 1 and entry.resolution != DEFAULT_RESOLUTION:
        parts.append(entry.resolution)
    if len({e.product for e in own if e.resolution == entry.resolution}) > 1:
        parts.append(entry.product)
    return re.sub(r"[^\w.+-]", "_", "_".join(parts))


def _products(entries: Sequence[Entry]) -> str:
    return ", ".join(sorted({entry.product for entry in entries}))


def _match(entries: Sequence[Entry], name: str) -> tuple[list[Entry], int | None, str | None]:
    """Entries, band and resolution that a name means."""
    head, _, product = name.rpartition("/")
    if head and product in {entry.product for entry in entries}:
        found, band, resolution = _match(entries, head)
        return [entry for entry in found if entry.product == product], band, resolution
    by_project = [entry for entry in entries if entry.project == name]
    if by_project or not (match := _TRACK.fullmatch(name)):
        return by_project, None, None
    track = _track(match)
    band = int(match["band"]) if match["band"] else None
    found = [
        entry
        for entry in entries
        if entry.track == track
        and (match["sensor"] is None or entry.sensor.lower() == match["sensor"].lower())
        and (band is None or band in entry.bands)
    ]
    return found, band, match["resolution"]


def _track(match: re.Match[str]) -> str:
    """Write a track with three digits."""
    return f"{match['track'][0].upper()}{int(match['track'][1:]):03d}"


def matching_entries(catalog: Catalog, name: str) -> list[Entry]:
    """
    List the entries that a dataset name may mean, reading no more of the catalog than needed.

    Parameters
    ----------
    catalog : Catalog
        Where `ingest` wrote.
    name : str
        A project name recorded at ingest, or ``[sensor/]track[/band][/resolution]``.

    Returns
    -------
    list of Entry
        At least one.

    Raises
    ------
    TrackNotFoundError
        If there is none; the message lists what exists.
    CatalogError
        If the catalog is empty.
    """
    entries = _candidates(catalog, name)
    found, _, _ = _match(entries, name)
    if not found:
        raise TrackNotFoundError(f"no dataset {name!r} in {catalog.root}; it has {describe_entries(entries)}")
    return found


def find_dataset(catalog: Catalog, name: str, *, resolution: str | None = None, product: str | None = None) -> Dataset:
    """
    Find the one entry that a dataset name means.

    Parameters
    ----------
    catalog : Catalog
        Where `ingest` wrote.
    name : str
        A project name recorded at ingest, or ``[sensor/]track[/band][/resolution]``.
    resolution, product : str, optional
        Names that narrow the choice.

    Returns
    -------
    Dataset

    Raises
    ------
    TrackNotFoundError
        If nothing fits; the message lists what exists.
    CatalogError
        If several entries fit, or the catalog is empty.
    """
    entries = _candidates(catalog, name)
    return resolve_dataset(entries, name, resolution=resolution, product=product, where=catalog.root)


def _candidates(catalog: Catalog, name: str) -> list[Entry]:
    """Entries of the one track that a name may mean, with one read; else all."""
    match = _TRACK.fullmatch(name) or _TRACK.fullmatch(name.rpartition("/")[0])
    return (catalog.search(track=_track(match)) if match else []) or all_entries(catalog)


def expand_names(entries: Sequence[Entry], names: Sequence[str]) -> tuple[str, ...]:
    """
    Replace names with wildcards by the datasets that they fit.

    Parameters
    ----------
    entries : sequence of Entry
        What the catalog has.
    names : sequence of str
        Dataset names; ``*``, ``?`` and ``[...]`` stand for letters of a project name, a track or ``sensor/track``.

    Returns
    -------
    tuple of str
        Project names, or ``sensor/track`` where there is none, each once; a name that fits nothing stays.
    """
    found: dict[str, None] = {}
    for name in names:
        fitting = [
            entry.project or f"{entry.sensor}/{entry.track}"
            for entry in entries
            if any(fnmatchcase(own, name) for own in (entry.project, entry.track, f"{entry.sensor}/{entry.track}"))
        ]
        found |= dict.fromkeys(sorted(fitting) if has_wildcard(name) and fitting else [name])
    return tuple(found)


def describe_entries(entries: Sequence[Entry], limit: int = 20) -> str:
    """
    List tracks with their projects for a message.

    Parameters
    ----------
    entries : sequence of Entry
        What the catalog has.
    limit : int
        Most tracks that are named.

    Returns
    -------
    str
    """
    projects: dict[str, dict[str, None]] = {}
    for entry in entries:
        projects.setdefault(f"{entry.sensor}/{entry.track}", {})[entry.project] = None
    names = [f"{track} ({', '.join(p)})" if (p := [*filter(None, ps)]) else track for track, ps in projects.items()]
    more = f" and {len(names) - limit} more" if len(names) > limit else ""
    return ", ".join(names[:limit]) + more or "nothing yet; run `mimtpy ingest` first"


def all_entries(catalog: Catalog) -> list[Entry]:
    """
    Read every entry of a catalog.

    Parameters
    ----------
    catalog : Catalog
        Where `ingest` wrote.

    Returns
    -------
    list of Entry

    Raises
    ------
    CatalogError
        If there is none.
    """
    entries = catalog.search()
    if not entries and catalog.as_of is not None:
        raise CatalogError(f"the catalog {catalog.root} had nothing as of {catalog.as_of}, UTC; choose a later time")
    if not entries:
        raise CatalogError(
            f"no catalog at {catalog.root}; set --root or MIMTPY_ROOT to a folder that has one, "
            f"or make it: mimtpy ingest S1_*.he5 --root {catalog.root}"
        )
    return entries
