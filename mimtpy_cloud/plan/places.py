"""Places at which models are evaluated: positions on the ground, and looks to the satellite."""

from dataclasses import dataclass

import numpy as np

from mimtpy_cloud.errors import ParameterError
from mimtpy_cloud.plan.plane import plane_km

__all__ = ["Places"]


@dataclass(frozen=True)
class Places:
    """
    Points on the ground, one-dimensional and in one order.

    Parameters
    ----------
    lon, lat : np.ndarray
        Degrees, shape ``(point,)``.
    look : tuple of np.ndarray, optional
        East, north and up of the unit vectors from ground to satellite, shape ``(point,)`` each; None where what is
        observed is no motion along a line of sight.
    """

    lon: np.ndarray
    lat: np.ndarray
    look: tuple[np.ndarray, np.ndarray, np.ndarray] | None = None

    @property
    def size(self) -> int:
        """Number of points."""
        return int(self.lon.size)

    def metres_from(self, lon: float, lat: float) -> tuple[np.ndarray, np.ndarray]:
        """
        Measure how far the points lie from another one.

        Parameters
        ----------
        lon, lat : float
            Degrees.

        Returns
        -------
        east, north : np.ndarray
            Metres in the local plane about that point, shape ``(point,)``.

        Raises
        ------
        ParameterError
            If it is no latitude.

        Examples
        --------
        >>> places = Places(np.array([30.0, 30.1]), np.array([0.0, 0.0]))
        >>> [metres.round().tolist() for metres in places.metres_from(30.0, 0.0)]
        [[0.0, 11120.0], [0.0, 0.0]]
        """
        if not -90 <= lat <= 90:
            raise ParameterError(f"a latitude lies between -90 and 90, got {lat:g}; exchange lon and lat")
        turned = (self.lon - lon + 180) % 360 - 180 + lon
        east_km, north_km = plane_km(turned, self.lat, (lon, lat))
        return east_km * 1e3, north_km * 1e3
