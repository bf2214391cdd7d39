"""Write small ROI_PAC files, with their headers, for tests."""

from pathlib import Path
from typing import Any

import numpy as np

SHAPE = (6, 8)
#: The grid of `he5files.ATTRS`: 8 x 6 pixels of 0.01 degrees from 100 E, 40 N.
HEADER: dict[str, Any] = {
    "WIDTH": 8,
    "FILE_LENGTH": 6,
    "X_FIRST": 100,
    "Y_FIRST": 40,
    "X_STEP": 0.01,
    "Y_STEP": -0.01,
    "X_UNIT": "degrees",
    "Y_UNIT": "degrees",
    "WAVELENGTH": 0.05546576,
    "DATE12": "200103-200127",
    "REF_LAT": 39.985,
    "REF_LON": 100.025,
    "PROJECT_NAME": "TinySenAT064",
    "ORBIT_DIRECTION": "ASCENDING",
}


def phase() -> np.ndarray:
    """Phase in radians: 0 at the reference pixel (1, 2) and without data at (5, 7)."""
    values = np.random.default_rng(5).normal(size=SHAPE).astype("<f4")
    values[1, 2] = values[5, 7] = 0
    return values


def write_roipac(folder: Path, name: str, *bands: np.ndarray, drop: tuple[str, ...] = (), **header: Any) -> Path:
    """Write bands row by row (BIL), and the ``.rsc``."""
    path = folder / name
    np.stack(bands, axis=1).tofile(path)
    pairs = {key: value for key, value in (HEADER | header).items() if key not in drop}
    path.with_name(f"{name}.rsc").write_text("".join(f"{key:<25} {value}\n" for key, value in pairs.items()))
    return path
