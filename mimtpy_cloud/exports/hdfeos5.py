"""Write the HDF-EOS5 time-series product of MintPy (``S1_*.he5``, layout of version 1.6.4)."""

import datetime as dt
import os
import re
from dataclasses import dataclass
from typing import Any

import numpy as np
import xarray as xr

from mimtpy_cloud.errors import GridMismatchError, SchemaError
from mimtpy_cloud.exports.blocks import stream_blocks
from mimtpy_cloud.exports.grids import grid_edges, grid_of
from mimtpy_cloud.exports.mintpymeta import encode_angles, mintpy_attributes, mintpy_dates
from mimtpy_cloud.exports.progress import Progress
from mimtpy_cloud.exports.publish import staged
from mimtpy_cloud.plan.grid import Grid
from mimtpy_cloud.schema import LOS, SENSORS, require_dims, require_variables

__all__ = ["hdfeos5_name", "write_hdfeos5"]

_GROUP = "HDFEOS/GRIDS/timeseries"
#: Path below the group, unit there, variable here.
_LAYERS = (
    ("observation/displacement", "meters", "displacement"),
    ("quality/temporalCoherence", "1", "temporal_coherence"),
    ("quality/avgSpatialCoherence", "1", "avg_spatial_coherence"),
    ("quality/mask", "1", "valid"),
    ("geometry/height", "meters", "height"),
    ("geometry/slantRangeDistance", "meters", "slant_range"),
    ("geometry/shadowMask", "1", "is_shadow"),
)
_REQUIRED = ("displacement", "temporal_coherence", "valid", "height", *LOS)
#: HDF5 keeps this much of a dataset decoded, so that neighbouring blocks can share its chunks; bytes.
_CACHE = 16 << 20


def write_hdfeos5(ds: xr.Dataset, path: str | os.PathLike[str], *, progress: Progress | None = None) -> None:
    """
    Write a time series as the product that MintPy's ``save_hdfeos5.py`` writes.

    Parameters
    ----------
    ds : xr.Dataset
        Canonical time series on a geographic grid, lazy or not; needs displacement, temporal_coherence, valid,
        height and the look vector. Displacement in m, positive toward the satellite; NaN stays NaN.
    path : str or path
        File, as a local path or any fsspec URL; one that is there is replaced when the new one is whole.
    progress : callable, optional
        ``progress(done, total, unit)``, called in this thread after each task.

    Raises
    ------
    SchemaError
        If a variable, a dimension or the track name is missing.
    GridMismatchError
        If the grid is not in degrees.
    StorageError
        If the place cannot be written.

    See Also
    --------
    hdfeos5_name : The file name that MintPy would give.
    mimtpy_cloud.io.hdfeos5.open_hdfeos5 : The reader.

    Notes
    -----
    Streams blocks: the memory is that of the blocks in flight. Angles in degrees: incidence from
    the vertical, azimuth of the vector from ground to satellite, anticlockwise from north. ``quality/mask`` True is
    usable, ``geometry/waterMask`` True is land. ``X_FIRST, Y_FIRST`` is the outer corner of the first pixel.
    """
    import h5py

    require_variables("an HDF-EOS5 product", ds.data_vars, *_REQUIRED)
    require_dims("displacement", ds["displacement"].dims, "time", "y", "x")
    grid = grid_of(ds)
    if grid.crs != "EPSG:4326":
        raise GridMismatchError(f"an HDF-EOS5 product needs a grid in degrees (EPSG:4326), got {grid.crs}; ingest it")
    text = mintpy_attributes(ds, grid)
    if "ORBIT_DIRECTION" not in text:
        raise SchemaError("an HDF-EOS5 product needs the attribute orbit_direction, or a track such as A064; assign it")
    attributes = text | _published(ds, grid, text)
    with staged(path) as temporary, h5py.File(temporary, "w", rdcc_nbytes=_CACHE) as file:
        group = file.create_group(_GROUP)
        _write_dates(group, ds)
        _write_layers(group, ds, progress)
        for key, value in attributes.items():
            file.attrs[key] = value


def hdfeos5_name(ds: xr.Dataset) -> str:
    """
    Name the file by MintPy's convention.

    Parameters
    ----------
    ds : xr.Dataset
        Canonical time series.

    Returns
    -------
    str
        ``<mission>_<mode><swath>_<orbit>_<frame>[_<frame>]_<first date>_<last date>.he5``.

    Raises
    ------
    SchemaError
        If the track name is missing or malformed.

    Examples
    --------
    >>> dates = np.array(["2019-11-06", "2021-01-11"], "datetime64[ns]")
    >>> ds = xr.Dataset(coords={"time": dates}, attrs={"sensor": "Sentinel", "track": "A064", "product": "0113_0119"})
    >>> hdfeos5_name(ds)
    'S1_IW_064_0113_0119_20191106_20210111.he5'
    """
    scene = _Identity.of(ds)
    dates = [text.decode() for text in mintpy_dates(ds)]
    frames = [scene.first_frame] if scene.first_frame == scene.last_frame else [scene.first_frame, scene.last_frame]
    mode = f"{scene.beam_mode}{scene.beam_swath or ''}"
    parts = [scene.mission, mode, f"{scene.relative_orbit:03d}", *(f"{frame:04d}" for frame in frames)]
    return "_".join([*parts, dates[0], dates[-1]]) + ".he5"


@dataclass(frozen=True)
class _Identity:
    """Which satellite, pass and frames."""

    mission: str
    beam_mode: str
    beam_swath: int
    relative_orbit: int
    first_frame: int
    last_frame: int

    @classmethod
    def of(cls, ds: xr.Dataset) -> "_Identity":
        source = ds.attrs.get("mintpy", {})
        track = re.fullmatch(r"[AD](\d{3})", str(ds.attrs.get("track")))
        if track is None:
            raise SchemaError(
                f"an HDF-EOS5 product is of one track such as 'A064', got {ds.attrs.get('track')!r}; "
                "set ds.attrs['track']"
            )
        sensors = {name: code for code, name in SENSORS.items()}
        mission = sensors.get(str(ds.attrs.get("sensor")), str(source.get("mission", "S1")))
        frames = re.match(r"(\d{4})(?:_(\d{4}))?", str(ds.attrs.get("product")))
        first = int(frames[1] if frames else source.get("first_frame", 0))
        return cls(
            mission=mission,
            beam_mode=str(source.get("beam_mode", "IW" if mission == "S1" else "SM")),
            beam_swath=int(source.get("beam_swath", 0)),
            relative_orbit=int(track[1]),
            first_frame=first,
            last_frame=int((frames[2] or first) if frames else source.get("last_frame", first)),
        )


def _write_dates(group: Any, ds: xr.Dataset) -> None:
    """Dates and baselines; a baseline that is not known is NaN."""
    unknown = xr.DataArray(np.full(ds.sizes["time"], np.nan), dims="time")
    baseline = ds.get("perpendicular_baseline", unknown).astype(np.float32)
    for name, values in (("date", mintpy_dates(ds)), ("bperp", baseline.values)):
        group.create_dataset(f"observation/{name}", data=values, chunks=True, compression="lzf")


def _write_layers(group: Any, ds: xr.Dataset, progress: Progress | None) -> None:
    """Create all maps and stream their blocks, each computed once."""
    sources, targets = [], []
    for name, unit, layer in _layers(ds):
        target = _create(group, name, unit, layer)
        lazy = layer if layer.chunks is not None else layer.chunk()
        sources.append(lazy.data)
        targets.append(target)
    stream_blocks(sources, targets, progress)


def _create(group: Any, name: str, unit: str, layer: xr.Variable) -> Any:
    dataset = group.create_dataset(
        name,
        shape=layer.shape,
        maxshape=(None, *layer.shape[1:]) if layer.ndim == 3 else layer.shape,
        dtype=layer.dtype,
        chunks=True,
        compression="lzf",
    )
    no_data = layer.dtype.type(0)
    attributes = {"Title": name.rpartition("/")[2], "MissingValue": no_data, "_FillValue": no_data, "Units": unit}
    for key, value in attributes.items():
        dataset.attrs[key] = value
    return dataset


def _layers(ds: xr.Dataset) -> list[tuple[str, str, xr.Variable]]:
    """Path, unit and lazy values of every map."""
    incidence, azimuth = encode_angles(ds)
    shape = {dim: ds.sizes[dim] for dim in ("y", "x")}
    layers = [(path, unit, ds[name].variable) for path, unit, name in _LAYERS if name in ds]
    if "is_water" in ds:
        layers.append(("geometry/waterMask", "1", ~ds["is_water"].variable))
    layers += [("geometry/incidenceAngle", "degrees", incidence), ("geometry/azimuthAngle", "degrees", azimuth)]
    for name, dim in (("latitude", "y"), ("longitude", "x")):
        line = xr.Variable(dim, ds[dim].values.astype(np.float32)).chunk({dim: 500})
        plane: xr.Variable = line.set_dims(shape)  # type: ignore[no-untyped-call]
        layers.append((f"geometry/{name}", "degrees", plane))
    return [(path, unit, v if v.dtype == bool else v.astype(np.float32)) for path, unit, v in layers]


def _published(ds: xr.Dataset, grid: Grid, text: dict[str, str]) -> dict[str, Any]:
    """The block that ``save_hdfeos5`` adds, with its types."""
    scene = _Identity.of(ds)
    west, south, east, north = grid_edges(grid)
    corners = [f"{text[f'LON_REF{i}']} {text[f'LAT_REF{i}']}" for i in (1, 3, 4, 2, 1)]
    edges = [f"{x} {y}" for x, y in ((west, north), (east, north), (east, south), (west, south), (west, north))]
    first, last = (str(np.datetime64(ds["time"].values[i], "D")) for i in (0, -1))
    return {
        "mission": scene.mission,
        "beam_mode": scene.beam_mode,
        **{key: np.int64(getattr(scene, key)) for key in ("beam_swath", "relative_orbit", "first_frame", "last_frame")},
        "first_date": first,
        "last_date": last,
        "processing_type": "LOS_TIMESERIES",
        "processing_software": text["PROCESSOR"],
        "post_processing_method": text.get("post_processing_method", "mimtpy_cloud"),
        "history": dt.datetime.now(dt.UTC).strftime("%Y-%m-%d"),
        "scene_footprint": f"POLYGON(({','.join(corners)}))",
        "data_footprint": f"POLYGON(({','.join(edges)}))",
        **{key: text.get(key, "None") for key in ("atmos_correct_method", "processing_dem", "unwrap_method")},
        "flight_direction": text["ORBIT_DIRECTION"][0],
        "look_direction": "R" if text["ANTENNA_SIDE"] == "-1" else "L",
        "polarization": text.get("POLARIZATION", "Unknown"),
        "prf": np.float64(text.get("PRF", "0")),
        "wavelength": np.float64(text.get("WAVELENGTH", "nan")),
        "FILE_TYPE": "HDFEOS",
    }
