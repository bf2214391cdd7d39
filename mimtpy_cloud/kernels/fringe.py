"""Interferometric fringes: displacement as a radar sees it, up to a multiple of half the wavelength."""

import numpy as np

__all__ = ["fringe"]


def fringe(displacement: np.ndarray, wavelength: float) -> np.ndarray:
    """
    Fold displacement into one interferometric fringe.

    Parameters
    ----------
    displacement : np.ndarray
        Line-of-sight displacement, in the unit of `wavelength`.
    wavelength : float
        Of the radar; a fringe is half of it.

    Returns
    -------
    np.ndarray
        In ``[-wavelength / 4, wavelength / 4)``, the type of `displacement`; NaN stays.

    Notes
    -----
    ``(d + w / 4) mod (w / 2) - w / 4``: the same as wrapping the phase ``-4 pi d / w``.

    Examples
    --------
    >>> fringe(np.array([0.02, -0.02]), 0.05546576).round(8).tolist()
    [-0.00773288, 0.00773288]
    """
    return np.mod(displacement + wavelength / 4, wavelength / 2) - wavelength / 4
