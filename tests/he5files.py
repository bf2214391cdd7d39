"""Write tiny files in the layouts that MintPy and LiCSBAS write, for tests that must run without the given data."""

from pathlib import Path
from typing import Any

import h5py
import numpy as np

DATES = ("20200103", "20200115", "20200127")
SHAPE = (6, 8)
#: O35 of the oracles: 8 x 6 pixels of 0.01 degrees from 100 E, 40 N.
ATTRS: dict[str, Any] = {
    "LENGTH": "6",
    "WIDTH": "8",
    "X_FIRST": "100",
    "Y_FIRST": "40",
    "X_STEP": "0.01",
    "Y_STEP": "-0.01",
    "X_UNIT": "degrees",
    "Y_UNIT": "degrees",
    "REF_DATE": "20200103",
    "REF_LAT": "39.985",
    "REF_LON": "100.025",
    "REF_Y": "1",
    "REF_X": "2",
    "ORBIT_DIRECTION": "ASCENDING",
    "ANTENNA_SIDE": "-1",
    "HEADING": "-12.0",
    "WAVELENGTH": "0.05546576",
    "PLATFORM": "Sen",
    "PROJECT_NAME": "TinySenAT064",
    "PROCESSOR": "isce",
    "FILE_TYPE": "HDFEOS",
    "relative_orbit": np.int64(64),
    "first_frame": np.int64(113),
    "last_frame": np.int64(116),
    "mission": "S1",
    "UNIT": "m",
}
NAME = "S1_IW123_064_0113_0116_20200103_20200127.he5"
_ROOT = "HDFEOS/GRIDS/timeseries/"


def series() -> np.ndarray:
    """Displacement (3, 6, 8) in m: 0 at the first date and the reference pixel, a corner without data."""
    values = np.random.default_rng(1).normal(size=(3, *SHAPE)).astype("float32")
    values[0] = values[:, 1, 2] = 0
    values[:, 5, 7] = np.nan
    return values


def product(**changes: Any) -> dict[str, Any]:
    """Datasets of a product by path below /HDFEOS/GRIDS/timeseries; None drops one."""
    mask = np.ones(SHAPE, bool)
    mask[5, 7] = mask[0, 0] = False
    shadow, land = np.zeros(SHAPE, bool), np.ones(SHAPE, bool)
    shadow[2, 2], land[0, 0] = True, False
    datasets: dict[str, Any] = {
        "observation/displacement": series(),
        "observation/date": np.array(DATES, "S8"),
        "observation/bperp": np.array([0, 10, -20], "float32"),
        "quality/mask": mask,
        "quality/temporalCoherence": np.full(SHAPE, 0.9, "float32"),
        "quality/avgSpatialCoherence": np.full(SHAPE, 0.8, "float32"),
        "geometry/height": np.arange(48, dtype="float32").reshape(SHAPE),
        "geometry/slantRangeDistance": np.full(SHAPE, 8e5, "float32"),
        "geometry/incidenceAngle": np.full(SHAPE, 39, "float32"),
        "geometry/azimuthAngle": np.full(SHAPE, 102, "float32"),
        "geometry/shadowMask": shadow,
        "geometry/waterMask": land,
    }
    datasets |= changes
    return {name: values for name, values in datasets.items() if values is not None}


def write_he5(
    folder: Path,
    datasets: dict[str, Any] | None = None,
    attrs: dict[str, Any] | None = None,
    *,
    name: str = NAME,
    root: str = _ROOT,
    drop: tuple[str, ...] = (),
) -> Path:
    """Write a product; `attrs` are added to `ATTRS`, `drop` lists attributes to leave out."""
    path = folder / name
    path.parent.mkdir(parents=True, exist_ok=True)
    with h5py.File(path, "w") as file:
        for key, values in (product() if datasets is None else datasets).items():
            array = np.asarray(values)
            options: dict[str, Any] = {"chunks": True, "compression": "lzf"} if array.ndim > 1 else {}
            dataset = file.create_dataset(root + key, data=array, **options)
            if array.ndim > 1:
                dataset.attrs["_FillValue"] = array.dtype.type(0)
        for key, value in (ATTRS | (attrs or {})).items():
            if key not in drop:
                file.attrs[key] = value
    return path


def write_h5(folder: Path, name: str, kind: str, datasets: dict[str, Any], attrs: dict[str, Any] | None = None) -> Path:
    """Write a MintPy HDF5 file of one FILE_TYPE."""
    return write_he5(folder, datasets, {"FILE_TYPE": kind} | (attrs or {}), name=name, root="")


def write_frame(folder: Path, *, skip: tuple[str, ...] = (), shift: dict[str, float] | None = None) -> dict[str, Any]:
    """Write a LiCSBAS frame of 5 x 7 pixels of 0.01 degrees from 33 E, 42 N (ascending, right-looking)."""
    import rasterio
    from rasterio.transform import from_origin

    rng = np.random.default_rng(2)
    layers = {
        "vel": rng.normal(size=(5, 7)) * 10,
        "vstd": rng.random((5, 7)),
        "mask": np.ones((5, 7)),
        "E": np.full((5, 7), -0.61),
        "N": np.full((5, 7), -0.11),
        "U": np.full((5, 7), 0.78),
    }
    layers["vel"][0, 0] = np.nan
    layers["mask"][1, 1], layers["mask"][2, 2] = 0, np.nan
    layers = {name: values.astype("float32") for name, values in layers.items()}
    folder.mkdir(parents=True, exist_ok=True)
    for name, values in layers.items():
        if name in skip:
            continue
        transform = from_origin(33 + (shift or {}).get(name, 0), 42, 0.01, 0.01)
        profile = {"driver": "GTiff", "height": 5, "width": 7, "count": 1, "dtype": "float32", "crs": "EPSG:4326"}
        with rasterio.open(folder / f"{name}.geo.tif", "w", transform=transform, nodata=np.nan, **profile) as raster:
            raster.write(values, 1)
    return layers
