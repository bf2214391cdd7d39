"""Boxes and masks."""

import h5py
import numpy as np
import pytest
import xarray as xr
from hypothesis import given
from hypothesis import strategies as st
from lazy import no_compute
from strategies import chunkings
from synthetic import DATES, lattice_dataset, small_window

from mimtpy_cloud.errors import GridMismatchError, SchemaError
from mimtpy_cloud.io.mintpy import open_mintpy
from mimtpy_cloud.ops.select import grid_of, mask_invalid, select_box
from mimtpy_cloud.plan.grid import Grid

SOURCE = Grid(100, 40, 0.01, 0.01, 8, 6)
VALID = np.array([[True, False, True, True], [True, True, True, False], [False, True, True, True]])


def on_source_grid(grid):
    values = np.arange(grid.ny * grid.nx, dtype=np.float32).reshape(grid.ny, grid.nx)
    return xr.Dataset({"velocity": (("y", "x"), values)}, {"y": grid.y, "x": grid.x}, {"track": "A064"})


def masked_dataset():
    ds = lattice_dataset(small_window(3, 4), dates=DATES, velocity=0.01)
    return ds.assign(
        valid=(("y", "x"), VALID, ds["valid"].attrs),
        velocity=ds["los_up"] * 0 + np.float32(0.01),
        count=(("y", "x"), np.full((3, 4), 5, np.int16)),
    )


def test_box_of_oracle_o36(oracles):
    case = oracles["O36"]
    south, north, west, east = case["bbox_SNWE"]
    ds = on_source_grid(SOURCE)
    box = select_box(ds, (west, south, east, north))
    xr.testing.assert_identical(box, ds.isel(y=slice(*case["rows"]), x=slice(*case["cols"])))
    assert list(box["velocity"].shape) == case["shape"]
    grid = grid_of(box)
    np.testing.assert_allclose([grid.west, grid.north], [case["new_X_FIRST"], case["new_Y_FIRST"]])


@pytest.mark.parametrize(
    ("name", "bbox"),
    [("vel_lalo", (-119.15, 36.55, -118.65, 37.05)), ("vel_beyond", (-119.0, 36.9, -117.0, 38.5))],
)
def test_box_is_that_of_mintpy_but_for_pixels_cut_by_its_edges(shared, name, bbox):
    folder = shared / "data" / "mintpy_oracles"
    box = select_box(open_mintpy(folder / "velocity" / "DT071" / "velocity.h5"), bbox)
    with h5py.File(folder / "subset" / f"{name}.h5") as file:
        values, west, north = file["velocity"][:], float(file.attrs["X_FIRST"]), float(file.attrs["Y_FIRST"])
    grid = grid_of(box)
    row, col = round((grid.north - north) / grid.dy), round((grid.west - west) / grid.dx)
    assert (abs(row) <= 1, abs(col) <= 1) == (True, True)
    assert np.abs(np.subtract(box["velocity"].shape, values.shape)).max() <= 1
    ours = box["velocity"].values[max(0, row) :, max(0, -col) :]
    theirs = values[max(0, -row) :, max(0, col) :]
    ny, nx = np.minimum(ours.shape, theirs.shape)
    np.testing.assert_array_equal(np.nan_to_num(ours[:ny, :nx]), theirs[:ny, :nx])  # MintPy has 0 where no data is


def test_pixels_are_those_of_mintpy(shared):
    folder = shared / "data" / "mintpy_oracles"
    ds = open_mintpy(folder / "velocity" / "DT071" / "velocity.h5").isel(y=slice(20, 70), x=slice(30, 95))
    with h5py.File(folder / "subset" / "vel_yx.h5") as file:
        np.testing.assert_array_equal(ds["velocity"].fillna(0), file["velocity"][:])
        grid = grid_of(ds)
        np.testing.assert_allclose((grid.west, grid.north), [float(file.attrs[k]) for k in ("X_FIRST", "Y_FIRST")])


@pytest.mark.parametrize("bbox", [5, "abcd", None, (1, 2, 3), ("a", 1, 2, 3)])
def test_what_is_no_box_is_refused(bbox):
    with pytest.raises(GridMismatchError, match="a box is west, south, east, north"):
        select_box(on_source_grid(SOURCE), bbox)


@pytest.mark.parametrize("turn", [-360, 0, 360])
def test_whole_turns_of_a_box_make_no_difference(turn):
    ds = lattice_dataset(small_window(5, 7, west=179.98))
    x, y = ds["x"].values, ds["y"].values
    assert x[-1] > 180
    box = select_box(ds, (x[2] - 0.001 + turn, y[-1] - 1, x[-1] + 1 + turn, y[0] + 1))
    xr.testing.assert_identical(box, ds.isel(x=slice(2, None)))


def test_a_box_around_the_globe_takes_all():
    ds = lattice_dataset(small_window(5, 7, west=179.98))
    xr.testing.assert_identical(select_box(ds, (-180, -90, 180, 90)), ds)


def test_box_in_metres_is_not_turned():
    ds = on_source_grid(Grid(297600, 4132000, 80.0, 80.0, 8, 6))
    xr.testing.assert_identical(select_box(ds, (297600, 4131520, 297760, 4132000)), ds.isel(x=slice(0, 2)))


def test_box_on_the_lattice_may_be_one_pixel_and_selected_again():
    window = small_window(5, 7)
    ds = lattice_dataset(window, dates=DATES)
    x, y = window.x[3], window.y[2]
    box = select_box(ds, (x - 0.001, y - 0.001, x + 0.001, y + 0.001))
    assert box["displacement"].shape == (DATES.size, 1, 1)
    xr.testing.assert_identical(select_box(box, (x - 1, y - 1, x + 1, y + 1)), box)


@given(st.integers(0, 7), st.integers(0, 5))
def test_adjacent_boxes_share_no_pixel_and_lose_none(col, row):
    window = small_window(5, 7)
    ds = lattice_dataset(window)
    west, south, east, north = window.bounds
    middle_x, middle_y = window.x[min(col, 6)], window.y[min(row, 4)]
    total = 0
    for box in (
        (west, south, middle_x, middle_y),
        (middle_x, south, east, middle_y),
        (west, middle_y, middle_x, north),
        (middle_x, middle_y, east, north),
    ):
        try:
            total += select_box(ds, box)["velocity"].size
        except GridMismatchError:
            continue
    assert total == 35


def test_cutting_is_lazy_and_keeps_attributes():
    ds = lattice_dataset(small_window(), dates=DATES).chunk(y=2)
    west, south, east, north = small_window().bounds
    with no_compute():
        box = select_box(ds, (west + 0.01, south, east, north))
    assert box.attrs == ds.attrs
    assert box["displacement"].attrs == ds["displacement"].attrs
    assert box.sizes["x"] == 6


def test_bad_boxes_are_refused():
    ds = on_source_grid(SOURCE)
    with pytest.raises(GridMismatchError, match="holds no pixel of the grid"):
        select_box(ds, (0.0, 0.0, 1.0, 1.0))
    with pytest.raises(GridMismatchError, match="west < east and south < north"):
        select_box(ds, (100.05, 39.96, 100.02, 39.99))
    with pytest.raises(GridMismatchError, match="a box is west, south, east, north"):
        select_box(ds, (100.05, 39.96))
    with pytest.raises(SchemaError, match="needs y, x"):
        select_box(xr.Dataset(), (0, 0, 1, 1))


def test_mask_blanks_measurements_and_nothing_else():
    ds = masked_dataset()
    result = mask_invalid(ds)
    for name in ("displacement", "velocity"):
        np.testing.assert_array_equal(result[name].isnull(), np.broadcast_to(~VALID, result[name].shape))
        assert result[name].dtype == np.float32
        assert result[name].attrs == ds[name].attrs
    for name in set(ds.variables) - {"displacement", "velocity"}:
        xr.testing.assert_identical(result[name], ds[name])
    assert result.attrs == ds.attrs
    assert ds["displacement"].notnull().all()


@given(chunkings(time=5, y=3, x=4))
def test_chunked_mask_equals_that_of_numpy(chunks):
    with no_compute():
        lazy = mask_invalid(masked_dataset().chunk(chunks))
    xr.testing.assert_identical(lazy.compute(), mask_invalid(masked_dataset()))


def test_mask_needs_valid():
    with pytest.raises(SchemaError, match="needs valid; it has velocity"):
        mask_invalid(on_source_grid(SOURCE))
