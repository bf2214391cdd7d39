"""Means over the cells of a coarse grid, lazily and for any chunks."""

import numpy as np
import pytest
import xarray as xr
from hypothesis import given
from hypothesis import strategies as st
from lazy import no_compute
from strategies import chunkings

from mimtpy_cloud.errors import SchemaError
from mimtpy_cloud.kernels.cells import mean_of_cells, sum_cells
from mimtpy_cloud.ops.cells import average_cells

SHAPE = (11, 17)
RNG = np.random.default_rng(3)
EAST = np.where(RNG.random(SHAPE) < 0.4, np.nan, RNG.normal(size=SHAPE))
NORTH = np.where(RNG.random(SHAPE) < 0.1, np.nan, RNG.normal(size=SHAPE))


def maps() -> xr.Dataset:
    units = {"units": "m/yr"}
    return xr.Dataset({"east": (("y", "x"), EAST, units), "north": (("y", "x"), NORTH, units)})


def plain(step, least):
    """Twin: one cell after the other."""
    good = np.isfinite(EAST) & np.isfinite(NORTH)
    rows, cols = np.indices(SHAPE)
    down, across = -(-SHAPE[0] // step[0]), -(-SHAPE[1] // step[1])
    out = np.full((5, down, across), np.nan)
    for i in range(down):
        for j in range(across):
            cell = np.s_[i * step[0] : (i + 1) * step[0], j * step[1] : (j + 1) * step[1]]
            use = good[cell]
            out[0, i, j] = use.sum()
            if use.any() and use.mean() >= least:
                out[1:, i, j] = [layer[cell][use].mean() for layer in (rows, cols, EAST, NORTH)]
    return out


@pytest.mark.parametrize("step", [(1, 1), (3, 4), (11, 17), (20, 5)])
@pytest.mark.parametrize("least", [0.0, 0.5, 0.9])
def test_means_are_those_of_the_pixels_with_data(step, least):
    with no_compute():
        lazy = average_cells(maps().chunk(y=4, x=5), ["east", "north"], step, least=least)
    found = lazy.compute()
    np.testing.assert_allclose(found[["count", "row", "col", "east", "north"]].to_array(), plain(step, least))
    assert found["east"].attrs["units"] == "m/yr"
    assert found["east"].dims == ("cell_y", "cell_x")


@given(chunks=chunkings(y=11, x=17), step=st.tuples(st.integers(1, 12), st.integers(1, 18)))
def test_means_do_not_depend_on_chunks(chunks, step):
    with no_compute():
        lazy = average_cells(maps().chunk(chunks), ["east", "north"], step)
    xr.testing.assert_allclose(lazy.compute(), average_cells(maps(), ["east", "north"], step).compute())


def test_blocks_that_are_summed_alone_add_up():
    values = np.stack([EAST, NORTH])
    whole = sum_cells(values, 0, 0, (4, 5), (3, 4))
    parts = [
        sum_cells(values[:, r : r + 6, c : c + 7], r, c, (4, 5), (3, 4))
        for r in range(0, 11, 6)
        for c in range(0, 17, 7)
    ]
    np.testing.assert_allclose(sum(parts), whole)
    assert not sum_cells(values[:, :0], 0, 0, (4, 5), (3, 4)).any()
    assert np.isnan(mean_of_cells(np.zeros((4, 1, 1)), (4, 5), (4, 5), least=0.0)[1:]).all()


def test_wrong_arguments_are_named():
    with pytest.raises(SchemaError, match="needs up; it has east, north"):
        average_cells(maps(), ["up"], (2, 2))
    with pytest.raises(SchemaError, match="east needs dimensions"):
        average_cells(maps().expand_dims("time"), ["east"], (2, 2))
    for step in ((0, 2), (2,)):
        with pytest.raises(SchemaError, match="step must be rows and columns of a cell"):
            average_cells(maps(), ["east"], step)
