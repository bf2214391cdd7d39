"""Differences of products and series."""

import numpy as np
import pytest
import xarray as xr
from hypothesis import given
from hypothesis import strategies as st
from lazy import no_compute
from strategies import chunkings
from synthetic import DATES, lattice_dataset, small_window

import mimtpy_cloud as mc
from mimtpy_cloud.errors import DateError, GridMismatchError, SchemaError
from mimtpy_cloud.ops.difference import subtract
from mimtpy_cloud.ops.rate import displacement_between

N = 125
WINDOW = small_window(8, 9)


def product(rows=0, cols=0, ny=8, nx=9, seed=0, **attrs):
    """A velocity product, shifted by whole pixels."""
    window = small_window(ny, nx, west=-119 + cols / N, north=37 - rows / N)
    data = np.random.default_rng(seed).standard_normal((ny, nx)).astype(np.float32)
    data[seed % ny, seed % nx] = np.nan
    return lattice_dataset(window, velocity=data, **attrs)


def series(dates=DATES, seed=0, **attrs):
    data = np.random.default_rng(seed).standard_normal((len(dates), *WINDOW.shape))
    return lattice_dataset(WINDOW, dates=dates, displacement=data, **attrs)


def by_label(a, b, name):
    """The difference through xarray's own alignment of rounded coordinates."""

    def rounded(ds):
        return ds[name].assign_coords(x=np.round(ds["x"] * N * 2), y=np.round(ds["y"] * N * 2))

    return (rounded(a) - rounded(b)).values


# ---- known truth


@pytest.mark.parametrize("cut", [{"x": [3]}, {"y": [2]}, {"x": [3], "y": [2]}])
@pytest.mark.parametrize("both", [True, False])
def test_a_single_row_or_column_has_a_difference(cut, both):
    a, b = (product(seed=seed)["velocity"].drop_attrs().assign_attrs(units="m/yr") for seed in (0, 1))
    one, other = a.isel(cut), b.isel(cut) if both else b
    np.testing.assert_array_equal(subtract(one, other).values, one.values - b.isel(cut).values)


def test_the_name_is_public():
    assert mc.subtract is subtract


@pytest.mark.parametrize(("rows", "cols"), [(0, 0), (2, 3), (-3, 4), (5, -6), (-1, -1)])
def test_common_pixels_are_subtracted(rows, cols):
    a, b = product(seed=1), product(rows, cols, seed=2)
    result = subtract(a, b)
    np.testing.assert_array_equal(result["velocity"], by_label(a, b, "velocity"))
    assert result["velocity"].shape == (8 - abs(rows), 9 - abs(cols))
    np.testing.assert_array_equal(result["x"], np.intersect1d(a["x"], b["x"]))
    assert result["velocity"].attrs == {"units": "m/yr", "long_name": "difference of line-of-sight velocity"}
    assert result["velocity"].dtype == np.float32


def test_a_window_inside_another_and_bounding_box():
    a, b = product(ny=30, nx=40, seed=1), product(4, 5, ny=10, nx=12, seed=2)
    np.testing.assert_array_equal(subtract(a, b)["velocity"], a["velocity"].values[4:14, 5:17] - b["velocity"].values)
    np.testing.assert_array_equal(subtract(b, a)["velocity"], -subtract(a, b)["velocity"])
    west, north = -119 + 7 / N, 37 - 6 / N
    boxed = subtract(a, b, bbox=(west, north - 3 / N, west + 4 / N, north))
    np.testing.assert_array_equal(boxed["velocity"], subtract(a, b)["velocity"][2:5, 2:6])
    outer = subtract(a, b, bbox=(west, north - 3 / N, west + 4 / N, north), join="outer")
    xr.testing.assert_identical(outer["velocity"], boxed["velocity"])


@pytest.mark.parametrize(("rows", "cols"), [(2, 3), (-3, 4), (5, -6), (-1, -1)])
def test_outer_join_has_no_data_of_one_side(rows, cols):
    a, b = product(seed=1), product(rows, cols, seed=2)
    inner, outer = subtract(a, b), subtract(a, b, join="outer")
    assert outer["velocity"].shape == (8 + abs(rows), 9 + abs(cols))
    assert set(a["x"].values) | set(b["x"].values) == set(outer["x"].values)
    assert set(a["y"].values) | set(b["y"].values) == set(outer["y"].values)
    xr.testing.assert_identical(outer["velocity"].sel(x=inner["x"], y=inner["y"]), inner["velocity"])
    assert int(outer["velocity"].count()) == int(inner["velocity"].count())
    assert int(outer["valid"].sum()) == int(inner["valid"].sum())
    assert outer["valid"].dtype == bool
    assert outer["velocity"].dtype == np.float32


def test_sigma_is_propagated_if_both_have_one():
    a, b = product(), product(seed=1)
    b["velocity_std"] = b["velocity_std"] * 0 + np.float32(0.002)
    result = subtract(a, b)
    np.testing.assert_allclose(result["velocity_std"], np.hypot(0.001, 0.002), rtol=1e-6)
    assert result["velocity_std"].attrs == a["velocity_std"].attrs
    assert "velocity_std" not in subtract(a, b.drop_vars("velocity_std"))


def test_valid_is_where_both_are():
    a, b = product(), product(1, 2, seed=3)
    result = subtract(a, b)
    np.testing.assert_array_equal(result["valid"], a["valid"].values[1:, 2:] & b["valid"].values[:-1, :-2])
    assert result["valid"].attrs == a["valid"].attrs


def test_a_difference_of_two_directions_warns(caplog):
    subtract(product(track="A064"), product(track="D071", orbit_direction="descending"))
    assert caplog.messages == [
        "A064 is ascending and D071 is descending: their lines of sight differ, so that the difference holds motion"
    ]


def test_attributes_say_what_was_subtracted_from_what():
    a, b = product(track="A064"), product(track="A137", end_date="2022-01-01", sensor="Sentinel")
    attrs = subtract(a, b).attrs
    assert attrs["minuend"]["track"] == "A064"
    assert attrs["subtrahend"]["track"] == "A137"
    assert attrs["subtrahend"]["end_date"] == "2022-01-01"
    assert attrs["track"] == "A064 minus A137"
    assert attrs["sensor"] == "Sentinel"
    assert "end_date" not in attrs
    assert attrs["reference_point"] == a.attrs["reference_point"]
    assert "los_up" not in subtract(a, b)
    same = subtract(product(), product(seed=1))
    assert same.attrs["track"] == "A064"
    assert "los_up" in same


def test_components_and_models():
    east = product()[["velocity"]].rename(velocity="east").assign(up=product(seed=1)["velocity"])
    result = subtract(east, east * 3)
    np.testing.assert_allclose(result["up"], -2 * east["up"], rtol=1e-6)
    np.testing.assert_allclose(result["east"], -2 * east["east"], rtol=1e-6)
    a, model = product()["velocity"], product(1, 1, seed=4)["velocity"]
    difference = subtract(a, model)
    assert difference.name == "velocity"
    assert difference.attrs["units"] == "m/yr"
    np.testing.assert_array_equal(difference, a.values[1:, 1:] - model.values[:-1, :-1])


def test_own_grid_and_projection():
    from pyproj import CRS

    def on(epsg, west):
        x, y = west + 80.0 * np.arange(6), 4.1e6 - 80.0 * np.arange(5)
        crs = ((), 0, {"crs_wkt": CRS.from_epsg(epsg).to_wkt("WKT1_GDAL")})
        return xr.Dataset(
            {"velocity": (("y", "x"), np.arange(30.0).reshape(5, 6), {"units": "m/yr"})},
            {"y": y, "x": x, "spatial_ref": crs},
        )

    result = subtract(on(32611, 3e5), on(32611, 3e5 + 160))
    np.testing.assert_array_equal(result["velocity"], 2)
    assert "spatial_ref" in result.coords
    outer = subtract(on(32611, 3e5), on(32611, 3e5 + 160), join="outer")
    np.testing.assert_allclose(outer["x"], 3e5 + 80.0 * np.arange(8))
    with pytest.raises(GridMismatchError, match="the difference needs one grid"):
        subtract(on(32611, 3e5), on(32612, 3e5))
    with pytest.raises(GridMismatchError, match=r"5 x 6 pixels of 80 x 80 in \[299960, .* in a map projection"):
        subtract(on(32611, 3e5), on(32611, 3e5 + 40))


def test_antimeridian_is_no_border():
    a, b = product(seed=1), product(2, 3, seed=2)
    for ds in (a, b):
        del ds.attrs["pixels_per_degree"]
    turned = b.assign_coords(x=b["x"] + 360)
    np.testing.assert_array_equal(subtract(a, turned)["velocity"], subtract(a, b)["velocity"])


# ---- series


def test_series_are_subtracted_at_common_dates():
    dates = np.array(["2019-12-01", "2020-01-13", "2020-02-06", "2020-02-07", "2021-01-31"], "datetime64[ns]")
    a, b = series(seed=1), series(dates, seed=2)
    result = subtract(a, b)
    np.testing.assert_array_equal(
        result["displacement"], a["displacement"].values[[1, 3, 4]] - b["displacement"].values[[1, 2, 4]]
    )
    np.testing.assert_array_equal(result["time"], DATES[[1, 3, 4]])
    assert result.attrs["unmatched_dates"] == {
        "minuend": ["2020-01-01", "2020-01-25"],
        "subtrahend": ["2019-12-01", "2020-02-07"],
    }
    assert "reference_date" not in result.attrs
    assert result.attrs["subtrahend"]["reference_date"] == "2019-12-01"


def test_displacements_of_two_periods():
    ds = series()
    one, two = displacement_between(ds, DATES[0], DATES[2]), displacement_between(ds, DATES[0], DATES[4])
    change = displacement_between(ds, DATES[2], DATES[4])
    np.testing.assert_allclose(subtract(two, one)["displacement"], change["displacement"], atol=1e-6)


# ---- lazy and chunked


@given(
    first=chunkings(y=8, x=9),
    second=chunkings(y=8, x=9),
    rows=st.integers(-6, 6),
    cols=st.integers(-6, 6),
    join=st.sampled_from(["inner", "outer"]),
)
def test_chunked_equals_whole(first, second, rows, cols, join):
    a, b = product(seed=1), product(rows, cols, seed=2)
    with no_compute():
        result = subtract(a.chunk(first), b.chunk(second), join=join)
    assert result["velocity"].chunks is not None
    xr.testing.assert_identical(result.compute(), subtract(a, b, join=join))


@given(first=chunkings(time=5, y=8, x=9), second=chunkings(time=5, y=8, x=9))
def test_chunked_series_equals_whole(first, second):
    a, b = series(seed=1), series(seed=2)
    with no_compute():
        result = subtract(a.chunk(first), b.chunk(second))
    xr.testing.assert_identical(result.compute(), subtract(a, b))


# ---- errors


def test_other_grids_are_refused_with_both_named():
    fine = lattice_dataset(small_window(8, 9, n=250), velocity=0.0)
    message = r"one grid: A064 has 8 x 9 pixels of 0.008 x 0.008 in \[-119, .*; A064 has 8 x 9 pixels of 0.004 x 0.004"
    with pytest.raises(GridMismatchError, match=message):
        subtract(product(), fine)
    shifted = product().assign_coords(x=product()["x"] + 0.002)
    del shifted.attrs["pixels_per_degree"]
    with pytest.raises(GridMismatchError, match="ingest both at one resolution, or resample one"):
        subtract(product(), shifted)
    with pytest.raises(GridMismatchError, match=r"the grids share no pixel: A064 has .*; A064 has"):
        subtract(product(), product(cols=9))
    with pytest.raises(GridMismatchError, match="holds no pixel"):
        subtract(product(), product(), bbox=(0, 0, 1, 1))


def test_other_kinds_are_refused():
    a = product()
    with pytest.raises(SchemaError, match=r"on both sides: A064 has displacement, .*; A064 has velocity"):
        subtract(series(), a)
    with pytest.raises(
        SchemaError, match=r"displacement needs dimensions .* got \('time', 'y', 'x'\) and \('y', 'x'\)"
    ):
        subtract(series(), displacement_between(series(), DATES[0], DATES[1]))
    other = a.assign(velocity=a["velocity"].assign_attrs(units="mm/yr"))
    with pytest.raises(SchemaError, match="velocity needs one unit on both sides, got m/yr and mm/yr"):
        subtract(a, other)
    with pytest.raises(SchemaError, match="two datasets or two arrays, got Dataset and DataArray"):
        subtract(a, a["velocity"])
    with pytest.raises(SchemaError, match="join must be 'inner' or 'outer', got 'left'"):
        subtract(a, a, join="left")
    with pytest.raises(DateError, match="no date in common, got 2020-01-01 to 2021-01-31 and 2020-01-02 to 2021-02-01"):
        subtract(series(), series(DATES + np.timedelta64(1, "D")))
