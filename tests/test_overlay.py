"""Laying windows over one another: which blocks meet, and which tasks are made and run."""

import pickle

import dask
import dask.array as da
import numpy as np
import xarray as xr
from dask.callbacks import Callback
from hypothesis import given
from hypothesis import strategies as st
from lazy import no_compute
from strategies import chunkings

from mimtpy_cloud.ops.overlay import Sheet, lay, read_apart
from mimtpy_cloud.plan.grid import Window
from mimtpy_cloud.plan.overlay import Layout

OUT = Window(10, 2, 3, 9, 11)


def add(shape, patches, constant=0.0):
    out = np.zeros(shape)
    for p in patches:
        values, twice = p.views
        out[p.row : p.row + values.shape[0], p.col : p.col + values.shape[1]] += (p.sheet + 1) * (values + twice)
    return out + constant


@st.composite
def sheets(draw):
    found = []
    for number in range(draw(st.integers(0, 4))):
        ny, nx = draw(st.integers(1, 8)), draw(st.integers(1, 8))
        window = Window(10, draw(st.integers(0, 10)), draw(st.integers(0, 12)), ny, nx)
        values = np.random.default_rng(number).normal(size=(ny, nx))
        arrays = []
        for k in range(2):
            chunks = draw(chunkings(y=ny, x=nx))
            arrays.append(da.from_array(values * (k + 1), chunks=(chunks["y"], chunks["x"])))
        found.append((Sheet(window, tuple(arrays)), values))
    return found


@given(made=sheets())
def test_every_pixel_of_every_sheet_lands_once_for_any_windows_and_chunks(made):
    expected = np.full((60, 60), 0.5)
    for number, (sheet, values) in enumerate(made):
        expected[sheet.window.rows, sheet.window.cols] += (number + 1) * values * 3
    with no_compute():
        got = lay(add, OUT, [sheet for sheet, _ in made], 0.5, dtype=float)
    assert got.shape == OUT.shape
    np.testing.assert_allclose(got.compute(scheduler="sync"), expected[OUT.rows, OUT.cols])


@given(made=sheets(), side=st.integers(1, 12))
def test_blocks_are_no_larger_than_asked_and_hold_the_same(made, side):
    found = [sheet for sheet, _ in made]
    whole, cut = (lay(add, OUT, found, 0.5, dtype=float, side=s) for s in (None, side))
    assert max(max(sizes) for sizes in cut.chunks) <= side
    np.testing.assert_array_equal(cut.compute(scheduler="sync"), whole.compute(scheduler="sync"))


def whole_degree_sheets(n_sheets=4, tile=5, side=40):
    """Long windows whose chunks lie on global tiles."""
    found = []
    for k in range(n_sheets):
        data = da.full((side, side), float(k), chunks=tile, name=f"sheet-{k}")
        found.append(Sheet(Window(10, 0, k * tile, side, side), (data, data)))
    return found


class Counter(Callback):
    def __init__(self):
        self.keys = []

    def _pretask(self, key, dsk, state):
        self.keys.append(key)


def test_a_small_window_makes_and_runs_only_its_own_tasks():
    window = Window(10, 0, 0, 40, 55)
    result = lay(add, window, whole_degree_sheets(), dtype=float)
    assert result.numblocks == (8, 11)
    with Counter() as counter, dask.config.set(scheduler="sync"):
        result[11:13, 21:23].compute()
    # One output block, its four input blocks, and the slicing of the result.
    assert len([k for k in counter.keys if str(k[0]).startswith("sheet")]) <= 4
    assert len(counter.keys) <= 6


def test_blocks_with_too_few_sheets_read_nothing():
    result = lay(add, Window(10, 0, 0, 40, 55), whole_degree_sheets(), dtype=float, at_least=2)
    with Counter() as counter, dask.config.set(scheduler="sync"):
        assert (result[:, :5].compute() == 0).all()
    assert not [k for k in counter.keys if str(k[0]).startswith("sheet")]


def test_an_array_argument_arrives_whole_and_a_leading_axis_is_kept():
    sheet = whole_degree_sheets(1)
    constant = da.from_array(np.array([2.0, 7.0]), chunks=2)

    got = lay(stacked, Window(10, 0, 0, 10, 10), sheet, constant, dtype=float, depth=2)
    assert got.shape == (2, 10, 10)
    np.testing.assert_array_equal(got[:, 3, 4].compute(), [2, 7])


def stacked(shape, patches, constant):
    return np.stack([np.full(shape, c) for c in constant])


def test_names_are_deterministic_and_depend_on_the_input():
    one, two = (lay(add, OUT, whole_degree_sheets(), dtype=float) for _ in range(2))
    assert one.name == two.name
    assert one.name != lay(add, OUT, whole_degree_sheets(3), dtype=float).name


def test_the_graph_can_be_sent_to_a_worker():
    result = pickle.loads(pickle.dumps(lay(add, OUT, whole_degree_sheets(), dtype=float)))
    assert result.compute(scheduler="sync").shape == OUT.shape


def test_a_layer_behaves_as_a_mapping_of_its_blocks():
    result = lay(add, OUT, whole_degree_sheets(), dtype=float)
    layer = result.__dask_graph__().layers[result.name]
    assert len(layer) == len(list(layer)) == len(layer.get_output_keys())
    assert all(key in layer and callable(layer[key][0]) for key in layer)
    assert (result.name, 99, 0) not in layer


def test_a_layout_without_sheets_is_one_block():
    layout = Layout(OUT, ())
    assert layout.chunks == ((9,), (11,))
    assert layout.places(0, 0) == ()


def test_what_is_read_apart_shares_no_task_and_has_the_same_values(tmp_path):
    stored = xr.Dataset({"a": (("y", "x"), np.arange(12.0).reshape(3, 4))})
    stored.to_zarr(tmp_path / "a.zarr", zarr_format=3, consolidated=False, encoding={"a": {"chunks": (2, 2)}})
    opened = xr.open_zarr(tmp_path / "a.zarr", chunks={}, consolidated=False)["a"].data
    sheet = Sheet(Window(10, 0, 0, 3, 4), (opened, opened > 3, opened.rechunk(1)))
    apart = read_apart(sheet, "a test")
    for array, other in zip(sheet.arrays, apart.arrays, strict=True):
        np.testing.assert_array_equal(array.compute(), other.compute())
    for array, other in zip(sheet.arrays[:2], apart.arrays[:2], strict=True):
        assert not set(array.dask) & set(other.dask)
    assert read_apart(sheet, "a test").arrays[0].name == apart.arrays[0].name
