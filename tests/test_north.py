"""Velocities between stations: truth, uncertainty, laziness and errors."""

import numpy as np
import pytest
import xarray as xr
from lazy import no_compute
from synthetic import lattice_dataset

from mimtpy_cloud.errors import ReferencePointError, SchemaError
from mimtpy_cloud.kernels.krige import krige
from mimtpy_cloud.ops.north import interpolate_stations
from mimtpy_cloud.plan.grid import Window

GRID = Window(100, 5000, 21000, 150, 200)  # 2 x 1.5 degrees from 30 E, 40 N


def table(lon, lat, north, std=1e-4, **attrs):
    lon, lat, north = (np.array(v, float) for v in (lon, lat, north))
    names = np.array([f"S{k:03d}" for k in range(lon.size)], dtype=object)
    data = {"north": ("station", north), "north_std": ("station", np.full(lon.size, std))}
    return xr.Dataset(data, {"station": names, "lon": ("station", lon), "lat": ("station", lat)}, attrs)


def random_table(count=40, seed=0, std=1e-4, turn=0.0):
    rng = np.random.default_rng(seed)
    lon, lat = rng.uniform(30, 32, count), rng.uniform(38.5, 40, count)
    return table(lon + turn, lat, 0.01 + 0.005 * np.sin(lon * 3) * np.cos(lat * 4), std, frame="IGS14")


def test_a_field_is_found_between_stations_with_honest_errors():
    like = lattice_dataset(GRID, velocity=0.0)
    with no_compute():
        lazy = interpolate_stations(random_table(), like)
    got = lazy.compute()
    lon, lat = np.meshgrid(got.x, got.y)
    error = got.north.values - (0.01 + 0.005 * np.sin(lon * 3) * np.cos(lat * 4))
    assert np.abs(error).mean() < 0.3 * 0.005
    assert np.mean(np.abs(error) < got.north_std.values) > 0.5
    assert got.north.attrs["units"] == got.north_std.attrs["units"] == "m/yr"
    assert got.attrs["reference_frame"] == "IGS14"
    assert got.attrs["stations"] == 40


def test_the_standard_deviation_grows_with_the_distance():
    like = lattice_dataset(GRID, velocity=0.0)
    got = interpolate_stations(table([30.2, 30.3], [39.5, 39.4], [0.01, 0.02]), like, range_km=50).compute()
    row = got.north_std.sel(y=39.5, method="nearest").sel(x=slice(30.35, 32))
    assert (np.diff(row) > 0).all()
    at = got.sel(x=30.2, y=39.5, method="nearest")
    assert float(at.north) == pytest.approx(0.01, abs=5e-4)
    assert float(at.north_std) < 0.2 * float(row[-1])
    far = got.north.isel(x=-1)
    np.testing.assert_allclose(far, 0.015, atol=5e-4)  # their mean


def test_the_result_does_not_depend_on_where_longitudes_begin_or_on_a_window():
    like = lattice_dataset(GRID, velocity=0.0)
    plain = interpolate_stations(random_table(), like).compute()
    turned = interpolate_stations(random_table(turn=360.0), like).compute()
    np.testing.assert_allclose(turned.north, plain.north, atol=1e-9)


def test_kriging_equals_its_equations():
    rng = np.random.default_rng(3)
    places, wanted = rng.uniform(0, 100, (7, 2)), rng.uniform(-50, 150, (9, 2))
    values, sigma = rng.normal(size=7), rng.uniform(0.1, 0.5, 7)

    def covariance(a, b):
        return 2.0 * np.exp(-np.linalg.norm(a[:, None] - b[None], axis=2) / 30)

    estimate, std = krige(places, values, sigma, wanted, range_km=30, sill=2.0)
    within = covariance(places, places) + np.diag(sigma**2)
    system = np.block([[within, np.ones((7, 1))], [np.ones((1, 7)), np.zeros((1, 1))]])
    right = np.vstack([covariance(places, wanted), np.ones((1, 9))])
    solved = np.linalg.solve(system, right)  # weights and Lagrange multiplier of the textbook
    np.testing.assert_allclose(estimate, solved[:7].T @ values, rtol=1e-9)
    np.testing.assert_allclose(std**2, 2.0 - (solved * right).sum(axis=0), rtol=1e-9)


def test_coverage_of_the_intervals():
    """Fields with the covariance of the model: 68 and 95 percent hold."""
    rng, scores = np.random.default_rng(1), []
    for _ in range(300):
        places = rng.uniform(0, 200, (26, 2))
        distance = np.linalg.norm(places[:, None] - places[None], axis=2)
        field = np.linalg.cholesky(np.exp(-distance / 60) + 1e-9 * np.eye(26)) @ rng.normal(size=26)
        seen = field[:25] + 0.2 * rng.normal(size=25)
        estimate, std = krige(places[:25], seen, np.full(25, 0.2), places[25:], range_km=60, sill=1.0)
        scores.append(abs(estimate[0] - field[25]) / std[0])
    assert 0.6 < np.mean(np.array(scores) < 1) < 0.76
    assert 0.91 < np.mean(np.array(scores) < 1.96) < 0.99


def test_what_cannot_be_interpolated_is_refused():
    like, one = lattice_dataset(GRID, velocity=0.0), table([30.2], [39.5], [0.01])
    with pytest.raises(SchemaError, match="one station cannot tell how north varies; give sill"):
        interpolate_stations(one, like)
    assert float(interpolate_stations(one, like, sill=1e-5).north[0, 0]) == pytest.approx(0.01)
    with pytest.raises(ReferencePointError, match="none of 1 stations has north and north_std"):
        interpolate_stations(one.assign(north=one.north * np.nan), like)
    with pytest.raises(SchemaError, match="component must be east, north or up, got 'los'"):
        interpolate_stations(one, like, "los")
    with pytest.raises(SchemaError, match="must be positive, got -1"):
        interpolate_stations(one, like, range_km=-1, sill=1.0)
    with pytest.raises(SchemaError, match="the stations needs up"):
        interpolate_stations(one, like, "up")


def test_stations_that_are_all_near_do_not_tell_of_far_ones():
    """Six within 2 km, three far away that differ: the field varies as those do."""
    lon = [30.5, 30.505, 30.51, 30.5, 30.505, 30.51, 31.9, 30.2, 31.0]
    lat = [39.5, 39.5, 39.5, 39.51, 39.51, 39.51, 38.6, 39.9, 38.7]
    north = [0.005] * 6 + [-0.01, 0.03, 0.0]
    got = interpolate_stations(table(lon, lat, north), lattice_dataset(GRID, velocity=0.0)).compute()
    assert float(got.north_std.max()) > 3e-3


def test_stations_far_away_are_left_out():
    like = lattice_dataset(GRID, velocity=0.0)
    near = random_table()
    far = table(np.linspace(-120, -60, 500), np.linspace(-50, 50, 500), np.full(500, 0.9), frame="IGS14")
    both = xr.concat([near, far.assign_coords(station=[f"F{k}" for k in range(500)])], "station")
    made, plain = interpolate_stations(both, like), interpolate_stations(near, like)
    assert made.attrs["stations"] == 40
    xr.testing.assert_equal(made.compute(), plain.compute())
    with pytest.raises(ReferencePointError, match="none of 500 stations lies within 500 km of the grid"):
        interpolate_stations(far, like)


def test_a_field_relative_to_a_place_is_zero_there_and_certain():
    like = lattice_dataset(GRID, velocity=0.0)
    got = interpolate_stations(random_table(), like, zero=(30.3, 38.6)).compute()
    plain = interpolate_stations(random_table(), like).compute()
    at = {"x": 30.3, "y": 38.6, "method": "nearest"}
    assert abs(float(got.north.sel(**at))) < 2e-4
    assert float(got.north_std.sel(**at)) < 0.7 * float(plain.north_std.sel(**at))  # nodes are 5 km apart
    level = plain.north - got.north
    assert float(level.max() - level.min()) < 1e-5
