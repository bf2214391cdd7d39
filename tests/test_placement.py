"""Where source pixels go on the lattice."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pyproj import Transformer

from mimtpy_cloud.errors import SchemaError
from mimtpy_cloud.plan.grid import Grid, Window
from mimtpy_cloud.plan.placement import ProjectedPlacement, RegularPlacement, ScatteredPlacement

N = 125


def shifted(window, rows=0.0, cols=0.0, scale=1.0):
    """Grid of a window, moved south and east by fractions of a pixel and stretched."""
    g = window.grid
    return Grid(g.west + cols / window.n, g.north - rows / window.n, g.dx * scale, g.dy * scale, g.nx, g.ny)


lattice_windows = st.builds(
    Window, st.just(N), st.integers(0, 179 * N), st.integers(0, 360 * N), st.integers(1, 400), st.integers(1, 400)
)


# ---- regular grids


@given(lattice_windows, st.floats(-8e-4, 8e-4), st.floats(-8e-4, 8e-4))
def test_a_grid_on_the_lattice_keeps_its_pixels(window, rows, cols):
    placement = RegularPlacement(shifted(window, rows, cols), N)
    assert placement.on_lattice
    assert placement.window == window
    y, x = placement.positions(window)
    np.testing.assert_allclose(y[:, 0], np.arange(window.ny), rtol=0, atol=1e-3)
    np.testing.assert_allclose(x[0], np.arange(window.nx), rtol=0, atol=1e-3)
    assert placement.shift == pytest.approx((rows, cols), abs=1e-6)
    assert placement.ratio == pytest.approx((1, 1))


@given(lattice_windows, st.floats(-0.5, 0.5), st.floats(-0.5, 0.5))
def test_a_shift_of_more_than_a_thousandth_pixel_is_seen(window, rows, cols):
    placement = RegularPlacement(shifted(window, rows, cols), N)
    farthest = max(abs(rows), abs(cols))
    if abs(farthest - 1e-3) > 1e-5:
        assert placement.on_lattice == (farthest < 1e-3)
    if farthest < 0.499:
        assert placement.shift == pytest.approx((rows, cols), abs=1e-6)
    # south and east of the lattice by `rows` and `cols`: the lattice's first pixel lies before the source's
    assert placement.row_positions(window)[0] == pytest.approx(-rows, abs=1e-6)
    assert placement.column_positions(window)[0] == pytest.approx(-cols, abs=1e-6)


def test_another_step_is_off_the_lattice_even_if_the_first_pixel_fits():
    window = Window(N, 6000, 27000, 200, 300)
    placement = RegularPlacement(shifted(window, scale=1 + 1e-5), N)  # 3e-3 pixels at the far end
    assert not placement.on_lattice
    assert RegularPlacement(shifted(window, scale=1 + 2e-6), N).on_lattice


def test_the_target_covers_a_shifted_source_and_no_more():
    window = Window(N, 6000, 27000, 20, 30)
    target = RegularPlacement(shifted(window, 0.3, 0.6), N).window
    assert target == Window(N, 6000, 27000, 21, 31)


def test_ratio_counts_source_pixels_in_a_target_pixel():
    assert RegularPlacement(Grid(10, 20, 0.001, 0.002, 100, 100), N).ratio == pytest.approx((4, 8))


@given(lattice_windows, st.floats(-3, 3), st.floats(-3, 3), st.floats(0.3, 3))
def test_positions_invert_the_source_coordinates(window, rows, cols, scale):
    grid = shifted(window, rows, cols, scale)
    placement = RegularPlacement(grid, N)
    part = placement.window
    y, x = placement.positions(part)
    np.testing.assert_allclose(grid.north - (y[:, 0] + 0.5) * grid.dy, part.y, rtol=0, atol=1e-9)
    np.testing.assert_allclose(grid.west + (x[0] + 0.5) * grid.dx, part.x, rtol=0, atol=1e-9)
    assert y.shape == (part.ny, 1)
    assert x.shape == (1, part.nx)


# ---- projected grids


@pytest.mark.parametrize(("zone", "west", "north"), [(32632, 500_000.0, 5_300_000.0), (32733, 300_000.0, 7_500_000.0)])
def test_a_utm_grid_is_found_where_pyproj_puts_it(zone, west, north):
    grid = Grid(west, north, 90.0, 80.0, 120, 100, f"EPSG:{zone}")
    to_lonlat = Transformer.from_crs(grid.crs, "EPSG:4326", always_xy=True)
    to_source = Transformer.from_crs("EPSG:4326", grid.crs, always_xy=True)
    window = Window.covering(N, to_lonlat.transform_bounds(*grid.bounds))
    placement = ProjectedPlacement(grid, N, to_source.transform, window)
    rows, cols = placement.positions(window)
    assert rows.shape == cols.shape == window.shape
    # back through pyproj: the position of a target pixel is its own centre
    x, y = grid.west + (cols + 0.5) * grid.dx, grid.north - (rows + 0.5) * grid.dy
    lon, lat = to_lonlat.transform(x, y)
    np.testing.assert_allclose(lon, np.broadcast_to(window.x, lon.shape), rtol=0, atol=1e-8)
    np.testing.assert_allclose(lat, np.broadcast_to(window.y[:, np.newaxis], lat.shape), rtol=0, atol=1e-8)
    # every source pixel is inside the target window
    lon, lat = to_lonlat.transform(*np.meshgrid(grid.x, grid.y))
    w, s, e, n = window.bounds
    assert lon.min() > w
    assert lon.max() < e
    assert lat.min() > s
    assert lat.max() < n
    metres = 111_200 / N
    assert placement.ratio[0] == pytest.approx(metres / grid.dy, rel=0.02)
    assert placement.ratio[1] == pytest.approx(metres * np.cos(np.radians(lat.mean())) / grid.dx, rel=0.02)


# ---- scattered pixels


def radar(turn=12.0, azimuth=1.0, reach=1.0, shape=(40, 50), centre=(37.0, 36.0)):
    """Latitude and longitude of a turned radar grid, spacing in lattice pixels."""
    i, j = np.meshgrid(np.arange(shape[0]) * azimuth, np.arange(shape[1]) * reach, indexing="ij")
    c, s = np.cos(np.radians(turn)), np.sin(np.radians(turn))
    lat = centre[1] - (i * c + j * s) / N
    lon = centre[0] + (j * c - i * s) / N / np.cos(np.radians(centre[1]))
    return lat, lon


@pytest.mark.parametrize(("azimuth", "reach"), [(1, 1), (0.3, 0.25), (0.7, 2.1), (2.0, 0.5)])
def test_radar_pixels_fill_their_outline_without_holes_and_each_takes_the_nearest(azimuth, reach):
    lat, lon = radar(azimuth=azimuth, reach=reach)
    placement = ScatteredPlacement(lat, lon, N)
    rows, cols = placement.positions(placement.window)
    found = np.isfinite(rows)
    assert np.array_equal(found, np.isfinite(cols))
    # brute force: distance in kilometre-like units from every target pixel to every source pixel
    x, y = np.meshgrid(placement.window.x, placement.window.y)
    scale = np.cos(np.radians(lat.mean()))
    gap = np.hypot((x[..., np.newaxis] - lon.ravel()) * scale, y[..., np.newaxis] - lat.ravel())
    nearest = gap.min(axis=-1)
    chosen = (rows[found] * lat.shape[1] + cols[found]).astype("int64")
    np.testing.assert_allclose(gap[found, chosen], nearest[found], rtol=1e-9)
    # inside the outline nothing is farther than half a diagonal, so nothing may be missing
    half_diagonal = 0.5 * np.hypot(azimuth, reach) / N
    assert found[nearest <= half_diagonal].all()
    # and far outside nothing is invented
    assert not found[nearest > 1.51 * max(azimuth, reach, 0.5) / N].any()


def test_pixels_without_a_position_are_never_chosen():
    lat, lon = radar()
    lat[:10], lon[:10] = 0.0, 0.0
    lat[:, 30:] = np.nan
    lon[20, 20] = np.inf
    lat[21, 21] = 1e20
    placement = ScatteredPlacement(lat, lon, N)
    rows, cols = placement.positions(placement.window)
    found = np.isfinite(rows)
    assert found.any()
    assert rows[found].min() == 10
    assert cols[found].max() == 29
    chosen = set(zip(rows[found], cols[found], strict=True))
    assert not {(20.0, 20.0), (21.0, 21.0)} & chosen
    w, s, e, n = placement.window.bounds
    assert e - w < 1
    assert n - s < 1


def test_the_window_holds_every_pixel_with_half_a_target_pixel_around_it():
    lat, lon = radar(turn=-30)
    west, south, east, north = ScatteredPlacement(lat, lon, N).window.bounds
    half, tolerance = 0.5 / N, 1.1e-3 / N
    assert west - tolerance <= lon.min() - half < west + 1 / N + tolerance
    assert east + tolerance >= lon.max() + half > east - 1 / N - tolerance
    assert south - tolerance <= lat.min() - half < south + 1 / N + tolerance
    assert north + tolerance >= lat.max() + half > north - 1 / N - tolerance


def test_ratio_of_scattered_pixels_is_that_of_the_wider_spacing():
    lat, lon = radar(azimuth=0.25, reach=0.5)
    assert ScatteredPlacement(lat, lon, N).ratio == pytest.approx((2, 2), rel=1e-3)


def test_one_pixel_alone_is_placed():
    placement = ScatteredPlacement(np.array([[36.0]]), np.array([[37.0]]), N)
    rows, cols = placement.positions(placement.window)
    assert np.isfinite(rows).any()
    assert set(rows[np.isfinite(rows)]) == set(cols[np.isfinite(cols)]) == {0.0}


def test_pixels_at_one_place_do_not_break_the_spacing():
    placement = ScatteredPlacement(np.full((3, 3), 36.0), np.full((3, 3), 37.0), N)
    assert placement.ratio == (1.0, 1.0)
    assert np.isfinite(placement.positions(placement.window)[0]).any()


def test_a_source_without_any_position_is_refused():
    nothing = np.full((3, 4), np.nan)
    for lat, lon in ((nothing, nothing), (np.zeros((3, 4)), np.zeros((3, 4)))):
        with pytest.raises(SchemaError, match="needs finite latitude and longitude layers, got none"):
            ScatteredPlacement(lat, lon, N)
