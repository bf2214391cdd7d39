"""Read a scene of Kite: NAME.npz and NAME.yml; Kite itself is not needed."""

import io
import os
from typing import Any

import numpy as np
import xarray as xr

from mimtpy_cloud.errors import SourceFormatError, StorageError
from mimtpy_cloud.io.azimuth import fitting_conventions
from mimtpy_cloud.io.georeference import coordinates
from mimtpy_cloud.io.text import read_text
from mimtpy_cloud.kernels.look import los_from_kite
from mimtpy_cloud.location import locate, reaching
from mimtpy_cloud.plan.grid import Grid
from mimtpy_cloud.schema import LOS, VARIABLES

__all__ = ["open_kite"]

_EXPECTED = "a scene of Kite: NAME.npz (arr_0 displacement, arr_1 theta, arr_2 phi) and NAME.yml"
_NODES = {"Ascending": "ascending", "Descending": "descending"}


def open_kite(url: str | os.PathLike[str]) -> xr.Dataset:
    """
    Read a scene of Kite.

    Parameters
    ----------
    url : str or path
        Local path or any fsspec URL of either file, or of both without suffix.

    Returns
    -------
    xr.Dataset
        Canonical: `displacement` (m), or `velocity` (m/yr) where the scene says so (``extra: units``), positive toward
        the satellite, and `los_east, los_north, los_up`, dimensions ``(y, x)``, row 0 in the north, on a grid in
        degrees. Attributes ``start_date, end_date, wavelength, orbit_direction, sensor, track``. In memory, as the
        format is of one piece.

    Raises
    ------
    StorageError
        If a file is missing.
    SourceFormatError
        If one is no such file, the shapes differ, the frame is in metres, or the directions cannot be those of the
        pass that the scene names.

    See Also
    --------
    mimtpy_cloud.exports.kite.write_kite : The way back.

    Notes
    -----
    ``theta`` is the elevation of the satellite and ``phi`` its direction anticlockwise from east, in radians. A scene
    that MimtPy's ``save_kite.py`` wrote has the incidence in place of ``theta``, which no reader can tell.
    """
    text = os.fspath(url)
    base = text[: -len(".npz")] if text.lower().endswith((".npz", ".yml")) else text
    config = _config(f"{base}.yml")
    meta = config["meta"]
    value, theta, phi = (array[::-1] for array in _arrays(f"{base}.npz"))
    direction = _NODES.get(str(meta.get("orbital_node")))
    extra = meta.get("extra") or {}
    side = str(extra.get("look_side", "right"))
    if direction is not None and np.isfinite(phi).any():
        _check_directions(phi, direction, side, f"{base}.npz")
    name = "velocity" if extra.get("units") == "m/yr" else "displacement"
    grid = _grid(config["frame"], value.shape, f"{base}.yml")
    maps = {name: value, **dict(zip(LOS, los_from_kite(theta, phi), strict=True))}
    kind = np.result_type(theta.dtype, np.float32)
    data = {
        key: (("y", "x"), array if key == name else array.astype(kind), VARIABLES[key].attrs)
        for key, array in maps.items()
    }
    attrs = _attributes(meta, direction) | {"source": text} | ({"look_side": side} if side != "right" else {})
    return xr.Dataset(data, coordinates(grid.x, grid.y, grid.crs), attrs)


def _arrays(url: str) -> list[np.ndarray]:
    fs, path = locate(url)
    try:
        with reaching(url), fs.open(path, "rb") as file:
            content = io.BytesIO(file.read())
        with np.load(content) as found:
            arrays = [np.asarray(found[f"arr_{i}"]) for i in range(3)]
    except FileNotFoundError as error:
        raise StorageError(f"no such file: {url}; expected {_EXPECTED}") from error
    except (KeyError, ValueError, EOFError) as error:
        raise SourceFormatError(f"{url}: expected {_EXPECTED}; {error}") from error
    shapes = {array.shape for array in arrays}
    if len(shapes) != 1 or arrays[0].ndim != 2:
        raise SourceFormatError(f"{url}: expected three arrays of one shape (y, x), got {sorted(shapes)}")
    return arrays


def _config(url: str) -> dict[str, Any]:
    """The YAML without its types, which are classes of Kite."""
    import yaml

    class Plain(yaml.SafeLoader):
        """Takes every type as the mapping that it is."""

    Plain.add_multi_constructor("!", lambda loader, _tag, node: loader.construct_mapping(node, deep=True))
    try:
        config = Plain(read_text(url, _EXPECTED)).get_single_data()
    except yaml.YAMLError as error:
        raise SourceFormatError(f"{url}: expected {_EXPECTED}; {error}") from error
    if not isinstance(config, dict) or not all(isinstance(config.get(key), dict) for key in ("meta", "frame")):
        raise SourceFormatError(f"{url}: expected {_EXPECTED}; it has no meta and frame")
    return config


def _grid(frame: dict[str, Any], shape: tuple[int, ...], url: str) -> Grid:
    if frame.get("spacing") != "degree":
        raise SourceFormatError(
            f"{url}: expected a frame with spacing degree, got {frame.get('spacing', 'meter')}; geocode it in degrees"
        )
    keys = ("llLat", "llLon", "dN", "dE")
    try:
        south, west, dy, dx = (float(frame[key]) for key in keys)
    except (KeyError, TypeError, ValueError):
        raise SourceFormatError(f"{url}: expected a frame with numbers for {', '.join(keys)}, got {frame}") from None
    return Grid(west, south + shape[0] * dy, dx, dy, shape[1], shape[0]).rounded()


def _check_directions(phi: np.ndarray, direction: str, side: str, url: str) -> None:
    if side not in ("right", "left"):
        raise SourceFormatError(f"{url}: expected a look_side of right or left, got {side!r}; correct the .yml")
    fitting = fitting_conventions(phi, orbit_direction=direction, look_side=side, radians=True)
    if not any(convention.name == "east" for convention, _ in fitting):
        fits = "; ".join(text for _, text in fitting) or "of no convention that is known"
        raise SourceFormatError(
            f"{url}: phi must be the direction to the satellite in radians, anticlockwise from east, of the "
            f"{direction} pass that the scene names, looking {side}; they are {fits}. If the satellite looks to the "
            "other side, write look_side: left or right below extra in the .yml"
        )


def _attributes(meta: dict[str, Any], direction: str | None) -> dict[str, Any]:
    attrs = {
        "orbit_direction": direction,
        "wavelength": meta.get("wavelength"),
        "sensor": meta.get("satellite_name"),
        "track": meta.get("scene_id"),
        "project": meta.get("scene_title"),
        "start_date": str(meta.get("time_master", ""))[:10],
        "end_date": str(meta.get("time_slave", ""))[:10],
    }
    return {key: value for key, value in attrs.items() if value}
