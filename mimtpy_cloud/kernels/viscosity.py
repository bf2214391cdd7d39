"""Viscosity, Maxwell time and fluidity, as RELAX wants them."""

import numpy as np
from numpy.typing import ArrayLike

__all__ = ["fluidity", "log10_viscosity", "maxwell_time"]

#: Seconds of a year: of 365.25 days, and those of MimtPy.
_SECONDS = {"exact": 365.25 * 86400.0, "mimtpy": 3.2e7}


def maxwell_time(log10_viscosity: ArrayLike, mu: float = 30e9, *, convention: str = "exact") -> np.ndarray:
    """
    Compute the Maxwell time, viscosity over shear modulus.

    Parameters
    ----------
    log10_viscosity : array_like
        Decimal logarithm of the viscosity in Pa s.
    mu : float
        Shear modulus in Pa.
    convention : {"exact", "mimtpy"}
        Years of 365.25 days, or of 3.2e7 s.

    Returns
    -------
    np.ndarray
        Years, float64, shape of the input.

    Raises
    ------
    ValueError
        If the modulus is not positive, or the convention is unknown.

    See Also
    --------
    fluidity : Its inverse.

    Examples
    --------
    >>> float(maxwell_time(18.0).round(6)), float(maxwell_time(18.0, convention="mimtpy").round(6))
    (1.05627, 1.041667)
    """
    if not mu > 0:
        raise ValueError(f"expected a shear modulus above zero, in Pa, got {mu}")
    if convention not in _SECONDS:
        raise ValueError(f"expected the convention 'exact' or 'mimtpy', got {convention!r}")
    return np.asarray(10.0 ** np.asarray(log10_viscosity, np.float64) / mu / _SECONDS[convention])


def fluidity(log10_viscosity: ArrayLike, mu: float = 30e9, *, convention: str = "exact") -> np.ndarray:
    """
    Compute the reference strain rate of RELAX, shear modulus over viscosity (``gammadot0`` of a linear body).

    Parameters
    ----------
    log10_viscosity : array_like
        Decimal logarithm of the viscosity in Pa s.
    mu : float
        Shear modulus in Pa.
    convention : {"exact", "mimtpy"}
        Years of 365.25 days, or MimtPy's: years of 3.2e7 s, and rounded to 5 decimals, which is zero above some 1e23
        Pa s.

    Returns
    -------
    np.ndarray
        1/yr, float64, shape of the input.

    Raises
    ------
    ValueError
        If the modulus is not positive, or the convention is unknown.

    See Also
    --------
    log10_viscosity : The way back.

    References
    ----------
    .. [1] Barbot, S., Y. Fialko (2010), Geophys. J. Int. 182, 1124-1140, doi:10.1111/j.1365-246X.2010.04678.x

    Examples
    --------
    >>> float(fluidity(17.25).round(6)), float(fluidity(17.25, convention="mimtpy"))
    (5.323843, 5.39848)
    """
    rate = 1.0 / maxwell_time(log10_viscosity, mu, convention=convention)
    return np.round(rate, 5) if convention == "mimtpy" else rate


def log10_viscosity(fluidity: ArrayLike, mu: float = 30e9) -> np.ndarray:
    """
    Compute the viscosity from the reference strain rate of RELAX.

    Parameters
    ----------
    fluidity : array_like
        ``gammadot0`` in 1/yr, years of 365.25 days.
    mu : float
        Shear modulus in Pa.

    Returns
    -------
    np.ndarray
        Decimal logarithm of the viscosity in Pa s, float64, shape of the input; infinite where nothing flows.

    Raises
    ------
    ValueError
        If the modulus is not positive.

    See Also
    --------
    fluidity : The other way.

    Examples
    --------
    >>> float(log10_viscosity(fluidity(19.5)).round(9))
    19.5
    """
    if not mu > 0:
        raise ValueError(f"expected a shear modulus above zero, in Pa, got {mu}")
    with np.errstate(divide="ignore"):
        return np.asarray(np.log10(mu * _SECONDS["exact"] / np.asarray(fluidity, np.float64)))
