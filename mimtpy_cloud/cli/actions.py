"""What the steps of a pipeline do: read products, operate lazily, write a store, GeoTIFFs and figures."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import PurePath
from typing import Any

import xarray as xr

from mimtpy_cloud.cli.names import shortened
from mimtpy_cloud.cli.products import (
    VECTORS,
    Progress,
    draw,
    exists,
    join,
    open_product,
    place_of,
    require_data,
    write_geotiffs,
    write_store,
)
from mimtpy_cloud.cli.steps import Concatenate, Decompose, Plot
from mimtpy_cloud.errors import SchemaError, StorageError

__all__ = [
    "Product",
    "check_out",
    "concatenate",
    "decompose",
    "export_product",
    "join_tracks",
    "kind_of",
    "plot_product",
    "refuse_itself",
    "save",
    "shown_variables",
    "write_folder",
    "write_product",
]

_FILES = (".zarr", ".tif", ".tiff", ".png")
_TABLES = (".csv", ".txt", ".json", ".parquet")


@dataclass(frozen=True)
class Product:
    """
    Files of one product.

    Parameters
    ----------
    store : str
        Zarr store with all variables.
    maps : tuple of (str, str)
        Path without suffix and variable of each GeoTIFF and figure.
    """

    store: str
    maps: tuple[tuple[str, str], ...]

    @property
    def geotiffs(self) -> tuple[str, ...]:
        """GeoTIFF of each map."""
        return tuple(f"{stem}.tif" for stem, _ in self.maps)

    @property
    def figures(self) -> tuple[str, ...]:
        """Figure of each map, and where there are several of all, and of horizontal motion as arrows."""
        return tuple(url for url, _ in self.pictures)

    @property
    def pictures(self) -> tuple[tuple[str, str], ...]:
        """Path of each figure, and what it shows, as `mimtpy_cloud.cli.products.draw` takes it."""
        single = [(f"{stem}.png", variable) for stem, variable in self.maps]
        if len(single) < 2:
            return tuple(single)
        stem = self.store.removesuffix(".zarr")
        shown = {variable for _, variable in self.maps}
        arrows = [(f"{stem}_vectors.png", VECTORS)] if "up" in shown and shown & {"east", "horizontal"} else []
        return (*single, (f"{stem}.png", ""), *arrows)

    @classmethod
    def single(cls, stem: str, variable: str) -> "Product":
        """
        Name the files of a product with one map.

        Parameters
        ----------
        stem : str
            Path without suffix.
        variable : str
            Variable of the map.

        Returns
        -------
        Product
        """
        return cls(f"{stem}.zarr", ((stem, variable),))

    @classmethod
    def below(cls, folder: str, stem: str, maps: Mapping[str, str]) -> "Product":
        """
        Name the files of a product in a folder, none with a name that is too long.

        Parameters
        ----------
        folder : str
            Folder or URL.
        stem : str
            Path of the store below it, without suffix.
        maps : mapping of str to str
            Name of each map beside the store, without suffix -> variable.

        Returns
        -------
        Product
        """
        store = join(folder, f"{shortened(stem)}.zarr")
        beside = store.rpartition("/")[0]
        return cls(store, tuple((join(beside, shortened(name)), variable) for name, variable in maps.items()))


def write_product(
    ds: xr.Dataset, product: Product, provenance: Mapping[str, Any], progress: Progress | None = None
) -> None:
    """
    Compute a dataset and write its store.

    Parameters
    ----------
    ds : xr.Dataset
        Lazy 2-D product.
    product : Product
        Where to.
    provenance : mapping
        What made it.
    progress : callable, optional
        ``progress(done, total, unit)``.
    """
    maps = [variable for _, variable in product.maps]
    write_store(ds, product.store, provenance=provenance, required=maps, progress=progress)


def write_folder(
    ds: xr.Dataset, format_: str, folder: str, provenance: Mapping[str, Any], progress: Progress | None = None
) -> None:
    """
    Compute a dataset and write it in a format that takes a folder.

    Parameters
    ----------
    ds : xr.Dataset
        Lazy 2-D product.
    format_ : str
        As for `mimtpy_cloud.exports.dispatch.export`.
    folder : str
        Where to.
    provenance : mapping
        What made it.
    progress : callable, optional
        ``progress(done, total, unit)``.
    """
    from mimtpy_cloud.exports.dispatch import export

    export(ds.assign_attrs(provenance=dict(provenance)), format_, folder, progress=progress)


def export_product(product: Product) -> None:
    """
    Write the maps of a written product as Cloud Optimized GeoTIFFs.

    Parameters
    ----------
    product : Product
        What `write_product` wrote.
    """
    variables = (variable for _, variable in product.maps)
    write_geotiffs(product.store, dict(zip(product.geotiffs, variables, strict=True)))


def check_out(out: str) -> str:
    """
    Tell what ``--out`` asks for, before anything is computed.

    Parameters
    ----------
    out : str
        A name that ends in ``.zarr``, ``.tif`` or ``.png``, or a folder.

    Returns
    -------
    str
        The suffix in lower case; empty for a folder.

    Raises
    ------
    StorageError
        If the suffix is none that can be written, and there is no such folder.

    Examples
    --------
    >>> check_out("../a/b.TIF"), check_out("../products"), check_out("v1.2/")
    ('.tif', '', '')
    """
    suffix = PurePath(out).suffix.lower()
    if suffix in _FILES and not out.endswith("/"):
        return suffix
    if suffix and not out.endswith("/") and not exists(out):
        raise StorageError(f"--out is a name that ends in .zarr, .tif or .png, or a folder (end it with /), got {out}")
    return ""


def refuse_itself(out: str, *products: str) -> None:
    """
    Check that a product is not to be written over what it is made from.

    Parameters
    ----------
    out : str
        What ``--out`` says.
    *products : str
        What is read; tracks are no files.

    Raises
    ------
    StorageError
        If one is the other.
    """
    if place_of(out) in {
        place_of(product) for product in products if product.lower().rstrip("/").endswith((*_FILES, *_TABLES))
    }:
        raise StorageError(f"--out {out} is what the product is made from and would be lost; give another name")


def shown_variables(ds: xr.Dataset, suffix: str, variable: str | None = None) -> list[str]:
    """
    List the variables of a product that get a GeoTIFF and a figure.

    Parameters
    ----------
    ds : xr.Dataset
        Product.
    suffix : str
        Of ``--out``, as `check_out` gives it.
    variable : str, optional
        The one that is asked for.

    Returns
    -------
    list of str
        That, else the components of a decomposition, else the main variable.

    Raises
    ------
    SchemaError
        If it is a time series and the suffix is not ``.zarr``.
    """
    from mimtpy_cloud.view.map import COMPONENTS, main_variable

    components = [name for name in COMPONENTS if name in ds]
    if components and variable is None:
        return components
    if variable is None:
        variable = "displacement" if "displacement" in ds and "velocity" not in ds else main_variable(ds)
    if suffix != ".zarr" and variable in ds and "time" in ds[variable].dims:
        raise SchemaError("the product is a time series, which is written as .zarr; give --out NAME.zarr")
    return [variable]


def kind_of(ds: xr.Dataset, variable: str) -> str:
    """
    Tell the folder of a product: velocity, displacement, or the name of what it holds.

    Parameters
    ----------
    ds : xr.Dataset
        Product.
    variable : str
        What it shows first.

    Returns
    -------
    str
    """
    return {"m/yr": "velocity", "m": "displacement"}.get(str(ds[variable].attrs.get("units")), variable)


def save(
    ds: xr.Dataset,
    out: str,
    stem: str,
    maps: Mapping[str, str],
    provenance: Mapping[str, Any],
    *,
    progress: Progress | None = None,
) -> tuple[str, ...]:
    """
    Write a product where ``--out`` says: one file, or store, GeoTIFFs and figures in a folder.

    Parameters
    ----------
    ds : xr.Dataset
        Lazy 2-D product.
    out : str
        A name that ends in ``.zarr``, ``.tif`` or ``.png``, or a folder.
    stem : str
        Path of the store below the folder, without suffix.
    maps : mapping of str to str
        Name of each GeoTIFF and figure, without suffix -> variable; ``NAME.tif`` is one of several maps as
        ``NAME_<variable>.tif``.
    provenance : mapping
        What made it.
    progress : callable, optional
        ``progress(done, total, unit)``.

    Returns
    -------
    tuple of str
        What was written.
    """
    first, suffix = next(iter(maps.values())), check_out(out)
    if suffix == ".zarr":
        write_store(ds, out, provenance=provenance, required=list(maps.values()), progress=progress)
    elif suffix in (".tif", ".tiff"):
        return _save_geotiffs(ds, out, list(maps.values()), provenance, progress)
    elif suffix == ".png":
        require_data(ds, first)
        draw(ds, out, Plot(), variable=first if len(maps) == 1 else "")
    else:
        product = Product.below(out, stem, maps)
        write_product(ds, product, provenance, progress)
        export_product(product)
        plot_product(product, Plot())
        return (product.store, *product.geotiffs, *product.figures)
    return (out,)


def _save_geotiffs(
    ds: xr.Dataset, out: str, variables: Sequence[str], provenance: Mapping[str, Any], progress: Progress | None
) -> tuple[str, ...]:
    """Write one file; of several maps one each, with the name of the variable before the suffix."""
    from mimtpy_cloud.exports.geotiff import write_cog
    from mimtpy_cloud.exports.provenance import labelled

    base, dot, suffix = out.rpartition(".")
    files = (out,) if len(variables) == 1 else tuple(f"{base}_{variable}{dot}{suffix}" for variable in variables)
    for file, variable in zip(files, variables, strict=True):
        require_data(ds, variable)
        write_cog(labelled(ds.assign_attrs(provenance=dict(provenance)), variable), file, progress=progress)
    return files


def plot_product(product: Product, plot: Plot, progress: Progress | None = None) -> None:
    """
    Draw the maps of a written product.

    Parameters
    ----------
    product : Product
        What `write_product` wrote.
    plot : Plot
        How they look.
    progress : callable, optional
        ``progress(done, total, unit)``.
    """
    for number, (url, variable) in enumerate(product.pictures, 1):
        draw(open_product(product.store), url, plot, variable=variable)
        if progress is not None:
            progress(number, len(product.pictures), "figures")


def concatenate(
    config: Concatenate,
    stems: Sequence[str],
    product: Product,
    provenance: Mapping[str, Any],
    progress: Progress | None = None,
) -> None:
    """
    Write the mosaic of stored products; the first keeps its datum.

    Parameters
    ----------
    config : Concatenate
        Step of the template.
    stems : sequence of str
        Paths of the products, without suffix.
    product : Product
        Where to.
    provenance : mapping
        What made it.
    progress : callable, optional
        ``progress(done, total, unit)``.

    Raises
    ------
    DisconnectedTracksError
        If a dataset overlaps no other.
    """
    from mimtpy_cloud.ops.adjustment import apply_adjustment

    tracks = [open_product(f"{stem}.zarr") for stem in stems]
    options = {key: getattr(config, key) for key in ("order", "blend", "stations", "units", "look")}
    adjustment, joined = join_tracks(tracks, **options)
    write_product(joined, product, provenance, progress)
    if config.plotpair:
        _compare_pairs(config, tracks, adjustment, product.store.removesuffix(".zarr"), provenance)
    if config.rewrite:
        folder = product.store.rpartition("/")[0]
        for track, stem in zip(tracks[1:], stems[1:], strict=True):
            own = str(track.attrs.get("project") or track.attrs.get("track")).replace("/", "_")
            name = f"{own}_{stem.rsplit('/', 1)[-1]}_offset"
            ((_, variable),) = product.maps
            shifted = Product.single(f"{folder}/{name}", variable)
            write_product(apply_adjustment(track, adjustment), shifted, provenance)
            export_product(shifted)


def join_tracks(
    tracks: Sequence[xr.Dataset],
    *,
    order: int = 0,
    blend: str = "mean",
    stations: str | None = None,
    units: str | None = None,
    look: str | None = None,
) -> tuple[xr.Dataset, xr.Dataset]:
    """
    Adjust and blend tracks; the first keeps its datum, unless stations give one.

    Parameters
    ----------
    tracks : sequence of xr.Dataset
        Two-dimensional products of one direction.
    order, blend : object
        As for `estimate_adjustment` and `mosaic`.
    stations, units : str, optional
        Table of GNSS velocities, and its unit.
    look : str, optional
        As for `estimate_adjustment`.

    Returns
    -------
    adjustment : xr.Dataset
        Computed.
    joined : xr.Dataset
        Lazy.
    """
    from mimtpy_cloud.io.gnss import read_stations
    from mimtpy_cloud.ops.adjustment import estimate_adjustment
    from mimtpy_cloud.ops.mosaic import mosaic

    datum: dict[str, Any] = {"anchor": 0} if stations is None else {"ties": read_stations(stations, units=units)}
    adjustment = estimate_adjustment(tracks, order=order, look=look, **datum).compute()  # type: ignore[arg-type]
    return adjustment, mosaic(tracks, adjustment, blend)  # type: ignore[arg-type]


def _compare_pairs(
    config: Concatenate, tracks: Sequence[xr.Dataset], adjustment: xr.Dataset, stem: str, provenance: Mapping[str, Any]
) -> None:
    """Write the report of all seams, and a figure with profiles of each pair that shares pixels."""
    from mimtpy_cloud.cli.overlaps import compare_products
    from mimtpy_cloud.ops.combination import lattice_tracks
    from mimtpy_cloud.plan.graph import overlapping_pairs
    from mimtpy_cloud.view.seams import write_seams

    title = f"Seams of {stem.rsplit('/', 1)[-1]}"
    write_seams(tracks, adjustment, f"{stem}_seams", title=title, look=config.look)  # type: ignore[arg-type]
    placed = lattice_tracks(tracks)
    counts = dict(zip(adjustment["pair"].values.tolist(), adjustment["pair_count"].values.tolist(), strict=True))
    for i, j in overlapping_pairs([t.window for t in placed]):
        pair = f"{placed[i].label}-{placed[j].label}"
        if counts.get(pair):
            name = f"{stem}_{pair.replace(':', '_').replace('#', '_')}"
            options = {"azimuth": config.azimuth, "look": config.look}
            compare_products(placed[i].ds, placed[j].ds, name, provenance, **options)  # type: ignore[arg-type]


def decompose(
    config: Decompose,
    stems: Sequence[str],
    product: Product,
    provenance: Mapping[str, Any],
    progress: Progress | None = None,
    *,
    same_direction: bool = False,
) -> None:
    """
    Write horizontal and vertical motion from stored products.

    Parameters
    ----------
    config : Decompose
        Step of the template.
    stems : sequence of str
        Paths of the products, without suffix.
    product : Product
        Where to.
    provenance : mapping
        What made it.
    progress : callable, optional
        ``progress(done, total, unit)``.
    same_direction : bool
        Whether the tracks must share the orbit direction; the horizontal component is then along their look
        azimuth, positive on the side of east, unless the step names another or other components.

    Raises
    ------
    SchemaError
        If the orbit directions do not suit.
    """
    from mimtpy_cloud.cli.inputs import read_north, refer_inputs
    from mimtpy_cloud.ops.enu import invert_enu

    tracks = refer_inputs([open_product(f"{stem}.zarr") for stem in stems], config.reference_point, config.bbox)
    components = config.components or ("hu" if same_direction else "eu")
    if isinstance(config.north, str):
        refuse_itself(product.store, config.north)
    ds = invert_enu(
        tracks,
        components if config.azimuth is None else config.azimuth,
        north=read_north(config.north, config.units),
        north_std=config.north_std,
        same_datum=config.same_datum,
    )
    asked = {key: getattr(config, key) for key in ("components", "azimuth", "north", "north_std", "units")}
    given = {key: value for key, value in asked.items() if value is not None}
    write_product(ds, product, {**provenance, **given}, progress)
