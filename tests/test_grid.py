"""Grids and windows of the global lattice."""

import itertools
import math

import numpy as np
import pytest
from hypothesis import assume, example, given
from hypothesis import strategies as st

from mimtpy_cloud.errors import GridMismatchError
from mimtpy_cloud.plan.grid import Grid, Window, bands_between, union
from mimtpy_cloud.schema import RESOLUTIONS

LATTICES = st.sampled_from([*RESOLUTIONS.values(), 100, 7, 1200])


@st.composite
def windows(draw, n=None, smallest=1, largest=400):
    """Windows anywhere on Earth, also across the equator, the date line and empty ones on request."""
    n = draw(LATTICES) if n is None else n
    ny, nx = draw(st.integers(smallest, largest)), draw(st.integers(smallest, largest))
    ny, nx = min(ny, 180 * n), min(nx, 360 * n)
    return Window(n, draw(st.integers(0, 180 * n - ny)), draw(st.integers(0, 361 * n - nx)), ny, nx)


def pixels(window):
    return set(itertools.product(range(window.row, window.row + window.ny), range(window.col, window.col + window.nx)))


small_windows = windows(n=25, smallest=0, largest=9)


@st.composite
def neighbours(draw):
    """Two or three small windows of one lattice that are likely to overlap."""
    place = st.integers(70, 82)
    size = st.integers(0, 9)
    return [Window(25, draw(place), draw(place), draw(size), draw(size)) for _ in range(3)]


# ---- Grid


def test_a_grid_gives_edges_and_pixel_centres_of_the_oracle(oracles):
    o = oracles["O35"]
    grid = Grid(o["X_FIRST"], o["Y_FIRST"], o["X_STEP"], -o["Y_STEP"], o["WIDTH"], o["LENGTH"])
    south, north, west, east = o["edges_SNWE"]
    assert grid.bounds == pytest.approx((west, south, east, north), abs=1e-12)
    assert (grid.y[0], grid.x[0]) == pytest.approx(o["first_centre"], abs=1e-12)
    assert (grid.y[-1], grid.x[-1]) == pytest.approx(o["last_centre"], abs=1e-12)


def test_a_box_keeps_the_pixels_whose_centres_it_holds(oracles):
    o = oracles["O36"]
    south, north, west, east = o["bbox_SNWE"]
    grid = Grid(100, 40, 0.01, 0.01, 8, 6)
    rows, cols = grid.box((west, south, east, north))
    assert [rows.start, rows.stop] == o["rows"]
    assert [cols.start, cols.stop] == o["cols"]
    cropped = grid.crop(rows, cols)
    assert [cropped.ny, cropped.nx] == o["shape"]
    assert (cropped.west, cropped.north) == pytest.approx((o["new_X_FIRST"], o["new_Y_FIRST"]), abs=1e-12)
    np.testing.assert_allclose(cropped.x, grid.x[cols], rtol=0, atol=1e-12)
    np.testing.assert_allclose(cropped.y, grid.y[rows], rtol=0, atol=1e-12)


def test_the_transform_is_that_of_gdal(oracles):
    assert Grid(100, 40, 0.01, 0.01, 8, 6).transform == tuple(oracles["O37"]["gdal"])


@given(st.tuples(st.floats(99.9, 100.2), st.floats(39.9, 40.1), st.floats(1e-3, 0.2), st.floats(1e-3, 0.2)))
def test_a_box_is_the_half_open_rule_applied_to_every_centre(box):
    west, south, width, height = box
    east, north = west + width, south + height
    grid = Grid(100, 40, 0.01, 0.01, 8, 6)
    edges = [abs(c - e) for c, e in itertools.product(grid.x, (west, east))]
    edges += [abs(c - e) for c, e in itertools.product(grid.y, (south, north))]
    assume(min(edges) > 1e-7)  # the rounding guard decides those
    inside_rows, inside_cols = (grid.y > south) & (grid.y <= north), (grid.x >= west) & (grid.x < east)
    if not (inside_rows.any() and inside_cols.any()):
        with pytest.raises(GridMismatchError, match="holds no pixel of the grid"):
            grid.box((west, south, east, north))
        return
    rows, cols = grid.box((west, south, east, north))
    assert np.array_equal(np.flatnonzero(inside_rows), np.arange(grid.ny)[rows])
    assert np.array_equal(np.flatnonzero(inside_cols), np.arange(grid.nx)[cols])


def test_a_centre_on_the_west_or_north_edge_is_inside_and_on_the_others_outside():
    grid = Grid(100, 40, 0.01, 0.01, 8, 6)
    assert grid.box((100.015, 39.965, 100.035, 39.985)) == (slice(1, 3), slice(1, 3))


@pytest.mark.parametrize(
    "box", [(1, 0, 0, 1), (0, 1, 1, 0), (0, 0, 0, 1), (math.nan, 0, 1, 1), (0, 0, math.inf, 1), (-math.inf, 0, 1, 1)]
)
def test_a_malformed_box_says_what_a_box_is(box):
    for use in (Grid(0, 1, 0.1, 0.1, 10, 10).box, lambda b: Window.within(25, b), lambda b: Window.covering(25, b)):
        with pytest.raises(GridMismatchError, match="west < east and south < north"):
            use(box)


@pytest.mark.parametrize("change", [{"dx": 0}, {"dy": -1}, {"nx": 0}, {"ny": -3}, {"dx": math.nan}])
def test_a_grid_needs_positive_steps_and_sizes(change):
    with pytest.raises(GridMismatchError, match="positive steps and sizes"):
        Grid(**{"west": 0, "north": 0, "dx": 1, "dy": 1, "nx": 1, "ny": 1, **change})


@given(windows(smallest=2))
def test_a_grid_comes_back_from_its_centres(window):
    grid = window.grid
    found = Grid.from_centres(grid.x, grid.y)
    assert (found.nx, found.ny, found.crs) == (grid.nx, grid.ny, grid.crs)
    assert found.bounds == pytest.approx(grid.bounds, abs=1e-9)


def test_centres_must_be_even_and_run_east_and_south():
    x, y = np.array([0.0, 1, 2]), np.array([2.0, 1, 0])
    assert Grid.from_centres(x, y) == Grid(-0.5, 2.5, 1, 1, 3, 3)
    for bad_x, bad_y, name in ((x[::-1], y, "x"), (x, y[::-1], "y"), (x**2, y, "x"), (x, y * np.nan, "y")):
        with pytest.raises(GridMismatchError, match=f"coordinate {name} must be evenly spaced"):
            Grid.from_centres(bad_x, bad_y)
    with pytest.raises(GridMismatchError, match="at least two pixel centres, got shape \\(1,\\)"):
        Grid.from_centres(x[:1], y)
    with pytest.raises(GridMismatchError, match="shape \\(0,\\)"):
        Grid.from_centres(x[:0], y, step=1)


def test_step_tells_the_size_of_a_single_row_or_column():
    x, y = np.array([0.0, 1, 2]), np.array([3.0, 1])
    assert Grid.from_centres(x, y[:1], step=0.5) == Grid(-0.5, 3.25, 1, 0.5, 3, 1)
    assert Grid.from_centres(x[:1], y, step=0.5) == Grid(-0.25, 4.0, 0.5, 2, 1, 2)


@given(windows())
def test_a_grid_of_the_lattice_is_recovered_exactly(window):
    found = Grid.from_centres(window.x, window.y, step=1 / window.n)
    assert found.rounded() == window.grid


# ---- bands


def test_bands_between_are_those_of_the_oracle(oracles):
    for interval, bands in oracles["O45"]["cases"].items():
        assert bands_between(*map(float, interval.split(".."))) == bands


@given(windows())
def test_every_pixel_belongs_to_the_one_band_that_holds_its_centre(window):
    parts = {band: window.band(band) for band in window.bands}
    assert not any(part.empty for part in parts.values())
    assert sum(part.ny for part in parts.values()) == window.ny
    rows = [row for part in parts.values() for row in range(part.row, part.row + part.ny)]
    assert rows == list(range(window.row, window.row + window.ny))
    for band, part in parts.items():
        assert part.nx == window.nx
        assert set(np.floor(part.y)) == {band}
    assert list(window.bands) == sorted(window.bands, reverse=True)
    assert window.band(window.bands[0] + 1).empty
    assert window.band(window.bands[-1] - 1).empty


@given(windows())
def test_bands_of_a_window_are_those_between_its_edges(window):
    _, south, _, north = window.bounds
    assert sorted(window.bands) == bands_between(south, north)


def test_bands_south_of_the_equator_count_down():
    window = Window.within(1250, (10, -1.2, 11, 0.3))
    assert window.bands == (0, -1, -2)
    south = window.band(-1)
    assert (south.y[0], south.y[-1]) == pytest.approx((-0.0004, -0.9996))
    assert south.bounds == pytest.approx((10, -1, 11, 0))


def test_an_empty_window_has_no_bands_and_no_tiles():
    for window in (Window(25, 30, 30, 0, 5), Window(25, 30, 30, 5, 0)):
        assert window.empty
        assert window.bands == ()
        assert list(window.tiles(7)) == []


# ---- windows as sets of pixels


@given(small_windows, small_windows, small_windows)
@example(Window(25, 0, 0, 3, 3), Window(25, 3, 3, 2, 2), Window(25, 0, 0, 0, 0))
def test_intersection_is_that_of_sets(a, b, c):
    assert pixels(a & b) == pixels(a) & pixels(b)
    assert (a & b).empty == (not pixels(a) & pixels(b))
    assert pixels((a & b) & c) == pixels(a & (b & c))


@given(neighbours())
def test_overlapping_windows_obey_the_laws_of_sets(three):
    a, b, c = three
    assert pixels(a & b) == pixels(a) & pixels(b)
    assert (a & b) == (b & a)
    both = a | b
    assert pixels(both) >= pixels(a) | pixels(b)
    if not (a.empty or b.empty):
        assert both == b | a
        smaller = [
            Window(25, both.row + 1, both.col, both.ny - 1, both.nx),
            Window(25, both.row, both.col + 1, both.ny, both.nx - 1),
            Window(25, both.row, both.col, both.ny - 1, both.nx),
            Window(25, both.row, both.col, both.ny, both.nx - 1),
        ]
        assert not any(pixels(w) >= pixels(a) | pixels(b) for w in smaller)
    assert pixels(union([a, b, c])) == pixels(a | (b | c))
    assert pixels(a & (a | b)) == pixels(a)


def test_windows_of_two_lattices_do_not_mix():
    for join in (Window.__and__, Window.__or__):
        with pytest.raises(GridMismatchError, match="got 25 and 50 pixels a degree"):
            join(Window(25, 0, 0, 1, 1), Window(50, 0, 0, 1, 1))


@given(small_windows, st.integers(1, 12))
def test_tiles_cover_a_window_once_and_keep_to_global_multiples(window, tile):
    tiles = list(window.tiles(tile))
    assert sum(t.ny * t.nx for t in tiles) == len(pixels(window))
    assert set().union(*map(pixels, tiles)) == pixels(window)
    for t in tiles:
        assert t.row // tile == (t.row + t.ny - 1) // tile
        assert t.col // tile == (t.col + t.nx - 1) // tile
    if not window.empty:
        grown = window.aligned(tile)
        assert pixels(grown) >= pixels(window)
        assert all(v % tile == 0 for v in (grown.row, grown.col, grown.ny, grown.nx))
        assert grown.ny < window.ny + 2 * tile
        assert grown.nx < window.nx + 2 * tile


@given(small_windows, st.integers(0, 3), st.integers(0, 3))
def test_slices_in_an_outer_window_find_the_same_pixels(window, above, left):
    outer = Window(25, window.row - above, window.col - left, window.ny + above + 1, window.nx + left + 2)
    rows, cols = window.slices_in(outer)
    assert np.array_equal(outer.y[rows], window.y)
    assert np.array_equal(outer.x[cols], window.x)


# ---- windows and degrees


@given(windows())
def test_covering_its_own_edges_gives_the_window_back(window):
    assert Window.covering(window.n, window.bounds) == window
    assert Window.covering(window.n, window.grid.bounds) == window


@given(LATTICES, st.floats(-179, 179), st.floats(-89, 88), st.floats(1e-3, 0.1), st.floats(1e-3, 0.1))
def test_covering_is_the_least_that_holds_the_bounds(n, west, south, width, height):
    window = Window.covering(n, (west, south, west + width, south + height))
    have, tolerance = window.bounds, 1.1e-3 / n
    assert have[0] <= west + tolerance
    assert have[1] <= south + tolerance
    assert have[2] >= west + width - tolerance
    assert have[3] >= south + height - tolerance
    step = 1 / n
    assert have[0] + step > west - tolerance
    assert have[1] + step > south - tolerance
    assert have[2] - step < west + width + tolerance
    assert have[3] - step < south + height + tolerance


@given(windows(), st.floats(-0.4, 0.4))
def test_a_box_drawn_between_centres_selects_exactly_them(window, shift):
    west, south, east, north = window.bounds
    d = shift / window.n
    assert Window.within(window.n, (west + d, south + d, east + d, north + d)) == window


def test_a_box_selects_the_same_pixels_of_the_lattice_as_of_its_grid():
    whole = Window.covering(100, (10, -21, 11, -20))
    box = (10.123, -20.777, 10.456, -20.3)
    rows, cols = whole.grid.box(box)
    assert Window.within(100, box).slices_in(whole) == (rows, cols)


def test_a_box_between_two_centres_is_empty():
    assert Window.within(10, (0.051, 0.051, 0.052, 0.052)).empty


def test_a_box_beyond_the_poles_keeps_what_exists():
    assert Window.within(25, (0, 89.5, 1, 95)) == Window.within(25, (0, 89.5, 1, 90))


@given(windows(smallest=2), st.data())
def test_equal_integers_give_equal_coordinates(window, data):
    row, col = data.draw(st.integers(0, window.ny - 1)), data.draw(st.integers(0, window.nx - 1))
    part = Window(window.n, window.row + row, window.col + col, window.ny - row, window.nx - col)
    assert np.array_equal(part.y, window.y[row:])
    assert np.array_equal(part.x, window.x[col:])
    assert np.all(np.diff(window.x) > 0)
    assert np.all(np.diff(window.y) < 0)


@given(windows(smallest=2), st.floats(-4e-4, 4e-4))
def test_a_window_comes_back_from_its_coordinates(window, error):
    x, y = window.x + error / window.n, window.y - error / window.n
    assert Window.of(x, y) == window
    assert Window.of(x, y, window.n) == window
    assert Window.of(x[:1], y[:1], window.n) == Window(window.n, window.row, window.col, 1, 1)


def test_coordinates_off_the_lattice_are_refused():
    window = Window.covering(125, (10, -30, 11, -29))
    for x, y in (
        (window.x + 0.01 / 125, window.y),
        (window.x, window.y - 0.5 / 125),
        (window.x[::-1], window.y),
        (window.x[0] + (window.x - window.x[0]) * 1.001, window.y),
    ):
        with pytest.raises(GridMismatchError, match="not on the lattice of 125 pixels a degree"):
            Window.of(x, y, 125)
    with pytest.raises(GridMismatchError, match="select at least one pixel"):
        Window.of(window.x[:0], window.y)
    with pytest.raises(GridMismatchError, match="at least two"):
        Window.of(window.x[:1], window.y)


def test_union_of_one_window_is_itself():
    window = Window(25, 1, 2, 3, 4)
    assert union([window]) == window
    assert union([Window(25, 9, 9, 0, 0), window]) == window
