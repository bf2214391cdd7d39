"""Kilometres east and north of an origin."""

import numpy as np

__all__ = ["plane_km"]
_DEGREE_KM = 6371.0088 * np.pi / 180


def plane_km(x: np.ndarray, y: np.ndarray, origin: tuple[float, float]) -> tuple[np.ndarray, np.ndarray]:
    """Stand-in."""
    lon = (np.asarray(x, float) - origin[0] + 180) % 360 - 180
    return lon * np.cos(np.deg2rad(origin[1])) * _DEGREE_KM, (np.asarray(y, float) - origin[1]) * _DEGREE_KM
