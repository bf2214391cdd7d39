"""Shaded relief of a height grid."""

import numpy as np

__all__ = ["shade_relief"]

#: Slopes of this percentile get half of the brightness that there is.
_TYPICAL = 84.0


def shade_relief(height: np.ndarray, step_x: float, step_y: float, *, azimuth: float = 315.0) -> np.ndarray:
    """
    Shade the slopes of a surface that light falls on from one side.

    Parameters
    ----------
    height : np.ndarray
        Shape ``(y, x)``, rows from north to south. NaN is no data.
    step_x, step_y : float
        Size of a pixel on the ground, in one unit, whichever.
    azimuth : float
        Where the light comes from, degrees clockwise from north; from the north-west by default.

    Returns
    -------
    np.ndarray
        Float64 in (-1, 1): positive where the surface faces the light, 0 where it is flat, slopes along the light, or
        has no data.

    Notes
    -----
    The slope along the light [1]_, ``g = -(dh/dx sin a + dh/dy cos a)``, is scaled by its size ``s`` in the
    84th percentile, ``2/pi atan(g / s)``: the same relief for hills and mountains, whatever the size of the pixels.

    References
    ----------
    .. [1] Horn, B. K. P. (1981). Hill shading and the reflectance map. Proceedings of the IEEE 69, 14-47,
       doi:10.1109/PROC.1981.11918.

    Examples
    --------
    >>> rising_to_the_east = np.tile([0.0, 10.0, 20.0], (3, 1))
    >>> bright = shade_relief(rising_to_the_east, 90.0, 90.0)  # it faces west, where the light comes from
    >>> round(float(bright[1, 1]), 6)
    0.5
    """
    surface = np.asarray(height, np.float64)
    down, right = (_slope(surface, axis) for axis in (0, 1))
    angle = np.deg2rad(azimuth)
    away = right / step_x * np.sin(angle) - down / step_y * np.cos(angle)
    towards = np.where(np.isfinite(surface), -away, np.nan)
    sizes = np.abs(towards[np.isfinite(towards)])
    sizes = sizes[sizes > 0]
    if not sizes.size:
        return np.zeros(surface.shape)
    return np.asarray(np.nan_to_num(2 / np.pi * np.arctan(towards / np.percentile(sizes, _TYPICAL))))


def _slope(surface: np.ndarray, axis: int) -> np.ndarray:
    """Difference a pixel; 0 along an axis of one pixel."""
    if surface.shape[axis] < 2:
        return np.zeros(surface.shape)
    return np.asarray(np.gradient(surface, axis=axis))
