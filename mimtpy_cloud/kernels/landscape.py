"""An invented country in closed form: how it moves, how high it is, where it is wet."""

from dataclasses import dataclass

import numpy as np

from mimtpy_cloud.kernels.dislocation import interseismic_velocity, mogi

__all__ = ["Landscape"]

_M_PER_DEGREE = 6_371_000.0 * np.pi / 180.0
#: Centre east and north of the origin, half axes; km. Two lakes, and forests where the radar decorrelates.
_LAKES = ((22.0, 16.0, 9.0, 6.0), (-62.0, -38.0, 7.0, 9.0))
_FORESTS = ((-18.0, -22.0, 10.0, 7.0), (58.0, 44.0, 8.0, 8.0))


@dataclass(frozen=True)
class Landscape:
    """
    A strike-slip fault, a volcano, hills, lakes and forests around an origin.

    Parameters
    ----------
    lon, lat : float
        Origin in degrees; the fault runs through it.
    strike : float
        Fault strike, degrees clockwise from north.
    slip_rate : float
        Right-lateral slip rate in m/yr.
    locking_depth : float
        Locking depth in m.
    volcano : tuple of float
        Position of the volcano east and north of the origin, m.
    volcano_depth : float
        Depth of its source in m.
    volume_rate : float
        Its volume change in m^3/yr, positive inflates.

    Examples
    --------
    >>> east, north, up = Landscape(strike=90.0, volume_rate=0.0).velocity(np.array(37.0), np.array([37.0, 39.0]))
    >>> (east * 1000).round(1).tolist(), float(abs(up).max())  # right-lateral: the north side moves east
    ([-11.2, 11.2], 0.0)
    """

    lon: float = 37.0
    lat: float = 38.0
    strike: float = 82.0
    slip_rate: float = 0.024
    locking_depth: float = 12e3
    volcano: tuple[float, float] = (-28e3, 38e3)
    volcano_depth: float = 6e3
    volume_rate: float = 4.5e6

    def metres(self, lon: np.ndarray, lat: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """
        Convert positions to a local frame (equirectangular).

        Parameters
        ----------
        lon, lat : np.ndarray
            Degrees.

        Returns
        -------
        x, y : np.ndarray
            East and north of the origin in m.
        """
        scale = _M_PER_DEGREE * np.cos(np.radians(self.lat))
        return scale * (np.asarray(lon) - self.lon), _M_PER_DEGREE * (np.asarray(lat) - self.lat)

    def velocity(self, lon: np.ndarray, lat: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """
        Velocity of the ground.

        Parameters
        ----------
        lon, lat : np.ndarray
            Degrees; shapes broadcast.

        Returns
        -------
        east, north, up : np.ndarray
            Velocity in m/yr.
        """
        x, y = self.metres(lon, lat)
        along_east, along_north = np.sin(np.radians(self.strike)), np.cos(np.radians(self.strike))
        right_of_fault = x * along_north - y * along_east
        along = interseismic_velocity(right_of_fault, -self.slip_rate, self.locking_depth)
        east, north, up = mogi(x - self.volcano[0], y - self.volcano[1], self.volcano_depth, self.volume_rate)
        return east + along * along_east, north + along * along_north, up

    def height(self, lon: np.ndarray, lat: np.ndarray) -> np.ndarray:
        """
        Terrain height.

        Parameters
        ----------
        lon, lat : np.ndarray
            Degrees; shapes broadcast.

        Returns
        -------
        np.ndarray
            Height in m; lakes are flat.
        """
        x, y = self.metres(lon, lat)
        hills = 1100.0 + 350.0 * np.sin(x / 9e3 + 0.4) * np.cos(y / 13e3) + 90.0 * np.sin(x / 1.7e3) * np.sin(y / 2.3e3)
        cone = 1800.0 * np.exp(-((x - self.volcano[0]) ** 2 + (y - self.volcano[1]) ** 2) / (2 * 9e3**2))
        return np.where(self.water(lon, lat), 640.0, hills + cone)

    def water(self, lon: np.ndarray, lat: np.ndarray) -> np.ndarray:
        """
        Lakes.

        Parameters
        ----------
        lon, lat : np.ndarray
            Degrees; shapes broadcast.

        Returns
        -------
        np.ndarray
            bool, True is water.
        """
        return self._nearness(lon, lat, _LAKES) < 1.0

    def coherence(self, lon: np.ndarray, lat: np.ndarray) -> np.ndarray:
        """
        Temporal coherence; low in forests, 0 on water.

        Parameters
        ----------
        lon, lat : np.ndarray
            Degrees; shapes broadcast.

        Returns
        -------
        np.ndarray
            0 to 1; less than 0.7 is unusable.
        """
        x, y = self.metres(lon, lat)
        open_land = 0.93 + 0.04 * np.sin(x / 6e3) * np.sin(y / 5e3)
        forest = 0.55 * np.exp(-((self._nearness(lon, lat, _FORESTS) / 1.1) ** 2))
        return np.where(self.water(lon, lat), 0.0, open_land - forest)

    def _nearness(self, lon: np.ndarray, lat: np.ndarray, places: tuple[tuple[float, ...], ...]) -> np.ndarray:
        """Squared distance to the nearest ellipse, in its half axes."""
        x, y = self.metres(lon, lat)
        near = [((x / 1e3 - x0) / a) ** 2 + ((y / 1e3 - y0) / b) ** 2 for x0, y0, a, b in places]
        return np.minimum(*near)
