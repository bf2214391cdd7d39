"""Layers of a source by their names here and in MintPy."""

from dataclasses import dataclass

import xarray as xr

from mimtpy_cloud.cli.keys import squeeze
from mimtpy_cloud.errors import SchemaError
from mimtpy_cloud.schema import require_variables

__all__ = ["GEOMETRY", "NamedLayer", "find_layer", "take_geometry", "take_layer"]

#: Variables that make up the geometry.
GEOMETRY = (
    "height",
    "incidence_angle",
    "los_azimuth_angle",
    "slant_range",
    "latitude",
    "longitude",
    "is_shadow",
    "is_water",
)
_ANGLES = ("incidence_angle", "los_azimuth_angle")
_PLACES = ("latitude", "longitude")


@dataclass(frozen=True)
class NamedLayer:
    """
    One layer, and where its files go.

    Parameters
    ----------
    variable : str
        Name here; ``"geometry"`` is all of `GEOMETRY`.
    folder, stem : str
        Folder of its files, and their name without suffix; of motion the name begins with it.
    mintpy : str
        Name in MintPy.
    """

    variable: str
    folder: str
    stem: str
    mintpy: str


_LAYERS = (
    NamedLayer("velocity", "velocity", "velocity", "velocity"),
    NamedLayer("displacement", "displacement", "displacement", "displacement"),
    NamedLayer("valid", "mask", "mask", "mask"),
    NamedLayer("temporal_coherence", "coherence", "temporal_coherence", "temporalCoherence"),
    NamedLayer("avg_spatial_coherence", "coherence", "avg_spatial_coherence", "avgSpatialCoherence"),
    NamedLayer("height", "geometry", "height", "height"),
    NamedLayer("incidence_angle", "geometry", "incidence_angle", "incidenceAngle"),
    NamedLayer("los_azimuth_angle", "geometry", "los_azimuth_angle", "azimuthAngle"),
    NamedLayer("slant_range", "geometry", "slant_range", "slantRangeDistance"),
    NamedLayer("is_shadow", "geometry", "is_shadow", "shadowMask"),
    NamedLayer("is_water", "geometry", "is_water", "waterMask"),
    NamedLayer("latitude", "geometry", "latitude", "latitude"),
    NamedLayer("longitude", "geometry", "longitude", "longitude"),
    NamedLayer("geometry", "geometry", "geometry", "geometry"),
)


def find_layer(name: str) -> NamedLayer:
    """
    Find a layer by its name here or in MintPy.

    Parameters
    ----------
    name : str
        In any case, with or without underscores.

    Returns
    -------
    NamedLayer

    Raises
    ------
    SchemaError
        If there is none of that name; the message lists all.

    Examples
    --------
    >>> find_layer("temporalCoherence").variable, find_layer("mask").variable, find_layer("los_azimuth_angle").mintpy
    ('temporal_coherence', 'valid', 'azimuthAngle')
    """
    wanted = squeeze(name)
    for layer in _LAYERS:
        if wanted in map(squeeze, (layer.variable, layer.mintpy)):
            return layer
    known = ", ".join(layer.mintpy for layer in _LAYERS)
    hint = "; baselines and dates are no maps" if wanted in ("bperp", "date", "perpendicularbaseline") else ""
    raise SchemaError(f"no layer {name!r}{hint}; expected one of {known}, or its name in this package")


def take_layer(source: xr.Dataset, variable: str, *, mask: bool = False) -> xr.Dataset:
    """
    Take one map of a source that does not change in time.

    Parameters
    ----------
    source : xr.Dataset
        Canonical dataset.
    variable : str
        Name here.
    mask : bool
        Whether unusable pixels become NaN; a map of yes and no becomes no there.

    Returns
    -------
    xr.Dataset
        That map, and ``valid`` if it masks; lazy.

    Raises
    ------
    SchemaError
        If the source does not have it, or no ``valid`` to mask with.
    """
    from mimtpy_cloud.ops.angles import look_angles, pixel_places

    if variable in _ANGLES:
        source = source.assign({variable: look_angles(source)[variable]})
    elif variable in _PLACES and variable not in source:
        source = source.assign({variable: pixel_places(source)[variable]})
    wanted = list(dict.fromkeys([variable, "valid"] if mask else [variable]))
    require_variables(str(source.attrs.get("project", "the dataset")), source.data_vars, *wanted)
    ds = source[wanted].drop_vars("time", errors="ignore")
    if not mask or variable == "valid":
        return ds
    layer = ds[variable]
    masked = layer & ds["valid"] if layer.dtype == bool else layer.where(ds["valid"])
    return ds.assign({variable: masked.assign_attrs(layer.attrs)})


def take_geometry(source: xr.Dataset, *, mask: bool = False) -> xr.Dataset:
    """
    Take all maps of the geometry that a source has.

    Parameters
    ----------
    source : xr.Dataset
        Canonical dataset.
    mask : bool
        As for `take_layer`.

    Returns
    -------
    xr.Dataset
        Of `GEOMETRY` those that it has; lazy.

    Raises
    ------
    SchemaError
        If it has neither looks nor height.
    """
    has = [name for name in ("los_east", "height") if name in source]
    if not has:
        raise SchemaError("the source has no geometry, neither looks nor height; give its geometry file (--geometry)")
    able = ("slant_range", "is_shadow", "is_water")
    wanted = [name for name in GEOMETRY if name not in able or name in source]
    wanted = [
        name for name in wanted if (name not in _ANGLES or "los_east" in source) and (name != "height" or name in has)
    ]
    layers = {name: take_layer(source, name, mask=mask)[name] for name in wanted}
    beside = {name: source.coords[name] for name in ("y", "x", "spatial_ref") if name in source.coords}
    return xr.Dataset(layers, beside, source.attrs)
