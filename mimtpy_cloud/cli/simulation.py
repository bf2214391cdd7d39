"""What ``mimtpy simulate`` does: a scene from files or a box, all its parts, and their files."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import xarray as xr

from mimtpy_cloud.cli.products import Progress, draw, open_product, write_geotiffs, write_store
from mimtpy_cloud.cli.steps import Plot
from mimtpy_cloud.errors import GridMismatchError, ParameterError, SchemaError
from mimtpy_cloud.ops.model import Model
from mimtpy_cloud.schema import LOS, RESOLUTIONS, VARIABLES

__all__ = [
    "Parts",
    "give_look",
    "named_numbers",
    "open_scene",
    "read_field",
    "read_source",
    "simulate",
    "write_simulation",
]

_STORED = (".zarr", ".tif", ".tiff")
#: Attributes of the scene that hold for what is simulated on it.
_KEPT = (
    *("sensor", "track", "project", "orbit_direction", "look_side", "heading", "wavelength"),
    *("resolution", "pixels_per_degree"),
)
#: Part of a pixel that pixel centres of one grid may differ by.
_SAME_GRID = 0.01


@dataclass(frozen=True)
class Parts:
    """
    What a simulated displacement is made of.

    Parameters
    ----------
    ramp : mapping, optional
        Coefficients of the ramp of the whole scene.
    ramp_file : str, optional
        File of a ramp that takes its place.
    swath_ramps : tuple of mapping
        One for each swath, west to east.
    boundaries : tuple of tuple of float
        Lines between the swaths.
    origin : tuple of float, optional
        Longitude and latitude where ramps are zero.
    models : tuple of str
        Files of motion.
    sources : tuple of (callable, mapping)
        Models with their parameters.
    years : float
        Time over which rates move.
    atmosphere : tuple of float, optional
        Sill in m^2 and range in m.
    noise : float
        Standard deviation in m.
    seed : int
        Key of the noise.
    """

    ramp: Mapping[str, float] | None = None
    ramp_file: str | None = None
    swath_ramps: tuple[Mapping[str, float], ...] = ()
    boundaries: tuple[tuple[float, ...], ...] = ()
    origin: tuple[float, float] | None = None
    models: tuple[str, ...] = ()
    sources: tuple[tuple[Model, Mapping[str, float]], ...] = ()
    years: float = 1.0
    atmosphere: tuple[float, float] | None = None
    noise: float = 0.0
    seed: int = 0


def open_scene(
    name: str | None, bbox: tuple[float, float, float, float] | None, resolution: str
) -> tuple[str, xr.Dataset, xr.DataArray | None]:
    """
    Open the grid that is simulated on.

    Parameters
    ----------
    name : str, optional
        Mask or product, or file of MintPy, whose box is not cut yet.
    bbox : tuple of float, optional
        West, south, east, north of a new grid where there is no file.
    resolution : str
        Its name.

    Returns
    -------
    label : str
        For file names.
    ds : xr.Dataset
        Lazy.
    usable : xr.DataArray or None
        Where it has data: `valid`; of a map in m or m/yr all but NaN, of another all but NaN and 0.

    Raises
    ------
    SchemaError
        If there is neither a name nor a box.
    """
    from mimtpy_cloud.cli.names import product_stem
    from mimtpy_cloud.io.sources import open_source
    from mimtpy_cloud.ops.scene import blank_scene
    from mimtpy_cloud.plan.grid import Window

    if name is None:
        if bbox is None:
            raise SchemaError("expected a mask or product, or --bbox WEST SOUTH EAST NORTH for a new grid, got neither")
        return "scene", blank_scene(Window.covering(RESOLUTIONS[resolution], bbox)), None
    url = name.rstrip("/")
    ds = open_product(url) if url.lower().endswith(_STORED) else open_source(url)
    return product_stem(ds, url), ds, _usable(ds)


def _usable(ds: xr.Dataset) -> xr.DataArray | None:
    if "valid" in ds:
        return ds["valid"] > 0
    maps = [v for v in ds.data_vars.values() if v.dims == ("y", "x") and not str(v.name).startswith("los_")]
    if not maps:
        return None
    first = maps[0]
    return first.notnull() if first.attrs.get("units") in ("m", "m/yr") else first.notnull() & (first != 0)


def give_look(ds: xr.Dataset, *, incidence: float | None, heading: float | None, look_side: str | None) -> xr.Dataset:
    """
    Give a scene the look that was asked for.

    Parameters
    ----------
    ds : xr.Dataset
        Scene.
    incidence, heading, look_side : object
        As for `mimtpy_cloud.ops.scene.constant_look`; of a new grid, those that are not given are 38, -12.5 and right.

    Returns
    -------
    xr.Dataset
        As it is where nothing is asked for.

    Raises
    ------
    SchemaError
        If something is asked for, but not both angles, of a scene from a file.
    """
    from mimtpy_cloud.ops.scene import constant_look

    if incidence is None and heading is None and look_side is None:
        return ds
    if not ds.data_vars.keys() <= set(LOS) and (incidence is None or heading is None):
        raise SchemaError("one look for a mask or product needs both its angles; give --incidence and --heading")
    angles = {"incidence": 38.0 if incidence is None else incidence, "heading": -12.5 if heading is None else heading}
    return constant_look(ds, **angles, look_side=look_side or "right")


def named_numbers(text: str) -> dict[str, float]:
    """
    Read names and numbers.

    Parameters
    ----------
    text : str
        Such as ``c=0.01,ax=1e-7``.

    Returns
    -------
    dict

    Raises
    ------
    ParameterError
        If it is no such text, or a name comes twice.

    Examples
    --------
    >>> named_numbers("c=0.01, ax=-1e-7")
    {'c': 0.01, 'ax': -1e-07}
    """
    found: dict[str, float] = {}
    for part in text.split(","):
        name, sign, value = (word.strip() for word in part.partition("="))
        try:
            number = float(value)
        except ValueError:
            sign = ""
        if not (name and sign) or name in found:
            raise ParameterError(f"expected NAME=NUMBER,NAME=NUMBER,... each once, got {text!r}")
        found[name] = number
    return found


def read_source(text: str) -> tuple[Model, dict[str, float]]:
    """
    Read a source and its parameters.

    Parameters
    ----------
    text : str
        Such as ``mogi:lon=37,lat=38,depth=5e3,volume=1e6``.

    Returns
    -------
    model : callable
        One of `mimtpy_cloud.ops.forward.MODELS`.
    parameters : dict

    Raises
    ------
    ParameterError
        If there is no such model, or no parameters.
    SchemaError
        If the model has other parameters.

    Examples
    --------
    >>> read_source("mogi:lon=37,lat=38,depth=5e3,volume=1e6")[1]["depth"]
    5000.0
    """
    from mimtpy_cloud.ops.forward import MODELS
    from mimtpy_cloud.ops.model import require_parameters

    name, colon, rest = text.partition(":")
    if name not in MODELS or not colon:
        raise ParameterError(f"expected a source {', '.join(MODELS)} as mogi:lon=37,lat=38,..., got {text!r}")
    parameters = named_numbers(rest)
    require_parameters(MODELS[name], parameters)
    return MODELS[name], parameters


def read_field(url: str, ds: xr.Dataset, years: float = 1.0) -> xr.DataArray:
    """
    Read a map on the grid of a scene, in m.

    Parameters
    ----------
    url : str
        Product .zarr or .tif; HDF5 file or .mat of MATLAB, whose matrix has the rows and columns of the scene, north
        up, in m.
    ds : xr.Dataset
        Scene.
    years : float
        Time over which a map in m/yr moves.

    Returns
    -------
    xr.DataArray
        Lazy, ``(y, x)``, m.

    Raises
    ------
    GridMismatchError
        If it has another grid, or shape.
    SchemaError
        If it is in another unit.
    SourceFormatError, StorageError
        If it cannot be read.
    """
    from mimtpy_cloud.io.matlab import read_matlab
    from mimtpy_cloud.view.map import main_variable

    shape = ds.sizes["y"], ds.sizes["x"]
    blank = ds[["y", "x"]].coords
    if not url.lower().rstrip("/").endswith(_STORED):
        matrix = read_matlab(url)
        if matrix.shape != shape:
            raise GridMismatchError(
                f"{url} needs the rows and columns of the scene, {shape[0]} x {shape[1]}, got {matrix.shape[0]} x "
                f"{matrix.shape[1]}; compute it on that grid"
            )
        return xr.DataArray(matrix, blank, ("y", "x"))
    product = open_product(url.rstrip("/"))
    found = product[main_variable(product)]
    if found.shape != shape or any(_differ(found[name].values, ds[name].values) for name in ("y", "x")):
        raise GridMismatchError(
            f"{url} needs the grid of the scene, {shape[0]} x {shape[1]} pixels from {float(ds.x[0]):g}, "
            f"{float(ds.y[0]):g}, got {' x '.join(map(str, found.shape))} from {float(found.x[0]):g}, "
            f"{float(found.y[0]):g}; cut or resample it first"
        )
    factors = {"m": 1.0, "m/yr": years}
    unit = str(found.attrs.get("units"))
    if unit not in factors:
        raise SchemaError(f"{url} needs units m or m/yr, got {unit}; convert it first")
    return xr.DataArray(found.data * found.dtype.type(factors[unit]), blank, ("y", "x"))


def _differ(found: Any, wanted: Any) -> bool:
    step = abs(wanted[-1] - wanted[0]) / max(wanted.size - 1, 1)
    return bool(abs(found - wanted).max() > _SAME_GRID * step)


def simulate(ds: xr.Dataset, usable: xr.DataArray | None, parts: Parts, wavelength: float | None) -> xr.Dataset:
    """
    Simulate a displacement and its parts.

    Parameters
    ----------
    ds : xr.Dataset
        Scene.
    usable : xr.DataArray, optional
        NaN elsewhere.
    parts : Parts
        What it is made of.
    wavelength : float, optional
        Of the radar in m: adds what is folded into a fringe.

    Returns
    -------
    xr.Dataset
        Lazy, m, float32: those of `tectonic_ramp`, `swath_ramp`, their sum `ramp`, `model`, `atmosphere`,
        `white_noise` that there are, and `displacement`, the sum of all; ramps, model and sum also as ``_wrapped``.
        Further `swath`, 0 outside, and the look of the scene.

    Raises
    ------
    SchemaError
        If there is nothing to simulate.
    """
    from mimtpy_cloud.ops.disturbance import wrap

    fields = _fields(ds, parts)
    if not fields:
        raise SchemaError("nothing to simulate; give a model, source, ramp, --atmosphere or --noise")
    first, *rest = fields.values()
    total = sum(rest, first)
    if "tectonic_ramp" in fields and "swath_ramp" in fields:
        fields["ramp"] = fields["tectonic_ramp"] + fields["swath_ramp"]
    fields["displacement"] = total
    made = xr.Dataset()
    for name, field in fields.items():
        shown = field.astype("float32") if usable is None else field.astype("float32").where(usable)
        made[name] = shown.assign_attrs(units="m", long_name=_LONG_NAMES[name])
    if wavelength is not None:
        folded = [name for name in fields if name not in ("atmosphere", "white_noise")]
        made = made.assign({f"{name}_wrapped": wrap(made[name], wavelength) for name in folded})
    if parts.boundaries:
        made["swath"] = _swaths(ds, usable, parts)
    look = {name: ds[name] for name in LOS if name in ds}
    if usable is not None:
        made["valid"] = usable.assign_attrs(VARIABLES["valid"].attrs)
    attrs = {key: ds.attrs[key] for key in _KEPT if key in ds.attrs}
    return made.assign(look).assign_attrs(attrs | ({"wavelength": wavelength} if wavelength is not None else {}))


_LONG_NAMES = {
    "tectonic_ramp": "simulated ramp of the whole scene",
    "swath_ramp": "simulated ramp of each swath",
    "ramp": "simulated ramps together",
    "model": "modelled line-of-sight displacement",
    "atmosphere": "simulated delay of the air",
    "white_noise": "simulated white noise",
    "displacement": "simulated line-of-sight displacement, toward the satellite positive",
}


def _fields(ds: xr.Dataset, parts: Parts) -> dict[str, xr.DataArray]:
    """The parts that there are."""
    from mimtpy_cloud.ops.disturbance import simulate_atmosphere, simulate_ramp, simulate_white_noise

    fields: dict[str, xr.DataArray] = {}
    if parts.ramp_file is not None:
        fields["tectonic_ramp"] = read_field(parts.ramp_file, ds)
    elif parts.ramp is not None:
        fields["tectonic_ramp"] = simulate_ramp(ds, parts.ramp, origin=parts.origin)
    if parts.swath_ramps:
        options = {"boundaries": parts.boundaries, "origin": parts.origin}
        fields["swath_ramp"] = simulate_ramp(ds, parts.swath_ramps, **options)  # type: ignore[arg-type]
    moved = _motions(ds, parts)
    if moved:
        fields["model"] = sum(moved[1:], moved[0])
    if parts.atmosphere is not None:
        sill, range_m = parts.atmosphere
        fields["atmosphere"] = simulate_atmosphere(ds, sill=sill, range_m=range_m, seed=parts.seed)
    if parts.noise:
        fields["white_noise"] = simulate_white_noise(ds, std=parts.noise, seed=parts.seed)
    return fields


def _motions(ds: xr.Dataset, parts: Parts) -> list[xr.DataArray]:
    """Motion of each file and source, m."""
    from mimtpy_cloud.ops.model import evaluate_model

    moved = [read_field(url, ds, parts.years) for url in parts.models]
    if parts.sources and not set(LOS) <= set(ds.variables):
        raise SchemaError("sources need a look, and the scene has none (los_east ...); give --incidence and --heading")
    for model, parameters in parts.sources:
        motion = evaluate_model(model, ds, **parameters)
        moved.append(motion * motion.dtype.type(parts.years if motion.attrs["units"] == "m/yr" else 1.0))
    return moved


def _swaths(ds: xr.Dataset, usable: xr.DataArray | None, parts: Parts) -> xr.DataArray:
    from mimtpy_cloud.ops.disturbance import swath_mask

    swaths = swath_mask(ds, parts.boundaries, origin=parts.origin)
    return swaths if usable is None else swaths.where(usable, swaths.dtype.type(0)).assign_attrs(swaths.attrs)


def write_simulation(
    ds: xr.Dataset, stem: str, provenance: Mapping[str, Any], progress: Progress | None = None
) -> tuple[str, ...]:
    """
    Write a simulation: a store with all, and a GeoTIFF and a figure of each map.

    Parameters
    ----------
    ds : xr.Dataset
        From `simulate`.
    stem : str
        Path without suffix.
    provenance : mapping
        What made it.
    progress : callable, optional
        ``progress(done, total, unit)``.

    Returns
    -------
    tuple of str
        What was written.
    """
    maps = [str(name) for name in ds.data_vars if name not in (*LOS, "valid")]
    store = f"{stem}.zarr"
    write_store(ds, store, provenance=provenance, required=maps, progress=progress)
    write_geotiffs(store, {f"{stem}_{name}.tif": name for name in maps})
    stored = open_product(store)
    for name in maps:
        base = name.removesuffix("_wrapped")
        title = str(ds[name].attrs["long_name"]).partition(",")[0].capitalize()
        draw(stored, f"{stem}_{name}.png", Plot(), variable=base, wrap=base != name, title=title)
    return (store, *(f"{stem}_{name}.{suffix}" for suffix in ("tif", "png") for name in maps))
