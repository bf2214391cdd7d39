"""The invented country."""

from dataclasses import replace

import numpy as np
import pytest

from mimtpy_cloud.kernels.landscape import Landscape

LAND = Landscape()
M_PER_DEGREE = 6_371_000 * np.pi / 180


def at(x: float, y: float) -> tuple[np.ndarray, np.ndarray]:
    """Longitude and latitude of a point east and north of the origin, km."""
    lat = LAND.lat + y * 1e3 / M_PER_DEGREE
    return np.array(LAND.lon + x * 1e3 / M_PER_DEGREE / np.cos(np.radians(LAND.lat))), np.array(lat)


def test_far_sides_of_the_fault_move_by_its_slip_rate_and_to_the_right():
    quiet = replace(LAND, volume_rate=0.0, strike=90.0)
    north_side, south_side = (quiet.velocity(*at(0, y)) for y in (5000.0, -5000.0))
    assert float(north_side[0] - south_side[0]) == pytest.approx(0.024, rel=2e-3)  # right-lateral
    assert float(north_side[1]) == pytest.approx(0, abs=1e-15)


def test_the_fault_runs_along_its_strike():
    quiet = replace(LAND, volume_rate=0.0)
    strike = np.radians(quiet.strike)
    for km in (-80.0, 35.0):
        velocity = quiet.velocity(*at(km * np.sin(strike), km * np.cos(strike)))
        np.testing.assert_allclose(velocity, 0, atol=1e-12)
        east, north, _ = quiet.velocity(*at(km * np.sin(strike), km * np.cos(strike) + 10))
        assert float(north / east) == pytest.approx(1 / np.tan(strike))  # parallel to the fault


def test_the_volcano_lifts_its_top_and_pushes_its_flanks_outward():
    still = replace(LAND, slip_rate=0.0)
    x, y = still.volcano[0] / 1e3, still.volcano[1] / 1e3
    east, north, up = still.velocity(*at(x, y))
    assert float(up) == pytest.approx(0.75 * 4.5e6 / np.pi / 6e3**2)
    assert max(abs(float(east)), abs(float(north))) < 1e-9
    assert float(still.velocity(*at(x + 5, y))[0]) > 5e-3
    assert float(still.velocity(*at(x, y - 5))[1]) < -5e-3


def test_lakes_are_flat_and_incoherent_and_forests_are_dry_and_dull():
    lake, forest, meadow = at(22, 16), at(-18, -22), at(0, 5)
    assert LAND.water(*lake)
    assert not LAND.water(*forest)
    assert float(LAND.coherence(*lake)) == 0
    assert float(LAND.coherence(*forest)) < 0.5
    assert float(LAND.coherence(*meadow)) > 0.85
    x, y = np.meshgrid(np.linspace(18, 26, 9), np.linspace(14, 18, 9))
    assert len(np.unique(LAND.height(*at(x, y)))) == 1
    assert float(LAND.height(*at(-28, 38))) > 2500


def test_scalars_and_vectors_broadcast():
    lon, lat = np.linspace(36, 38, 5)[None, :], np.linspace(39, 37, 4)[:, None]
    for field in (LAND.height, LAND.water, LAND.coherence):
        assert field(lon, lat).shape == (4, 5)
        assert field(lon, lat)[1, 2] == field(lon[0, 2], lat[1, 0])
    assert all(v.shape == (4, 5) for v in LAND.velocity(lon, lat))
