"""Comparison of two products where they overlap."""

import dask.array
import numpy as np
import pytest
import xarray as xr
from hypothesis import given
from lazy import no_compute
from strategies import chunkings
from synthetic import lattice_dataset, look_vector, small_window

from mimtpy_cloud.errors import GridMismatchError, SchemaError
from mimtpy_cloud.ops.adjustment import apply_adjustment, estimate_adjustment
from mimtpy_cloud.ops.overlap import compare_overlap, compare_seams, profile_overlap
from mimtpy_cloud.plan.grid import Window
from mimtpy_cloud.plan.profile import Line

WEST, EAST = small_window(6, 8), small_window(7, 9, west=-119.0 + 3 / 125, north=37.0 + 2 / 125)
#: Rows and columns of what both windows share, in each.
IN_WEST, IN_EAST = (slice(0, 5), slice(3, 8)), (slice(2, 7), slice(0, 5))


def pair(noise=0.002):
    """A and B with common signal, noise, and holes in each."""
    rng = np.random.default_rng(0)
    signal = rng.normal(0, 0.01, (5, 5))
    one, two = rng.normal(0, 0.01, WEST.shape), rng.normal(0, 0.01, EAST.shape)
    one[IN_WEST] = signal + 0.004 + rng.normal(0, noise, (5, 5))
    two[IN_EAST] = signal + rng.normal(0, noise, (5, 5))
    one[1, 4] = two[6, 2] = np.nan
    a, b = lattice_dataset(WEST, velocity=one), lattice_dataset(EAST, velocity=two, track="A137")
    b["valid"][3, 3] = False
    return a, b


def common(a, b):
    first, second = a["velocity"].values[IN_WEST], b["velocity"].values[IN_EAST]
    known = np.isfinite(first + second) & b["valid"].values[IN_EAST]
    return first[known], second[known]


def test_a_above_b_by_three_millimetres_a_year_gives_plus_three():
    a, b = lattice_dataset(WEST, velocity=0.008), lattice_dataset(EAST, velocity=0.005, track="A001")
    forth, back = compare_overlap(a, b).compute(), compare_overlap(b, a).compute()
    for name in ("median", "mean"):
        assert forth[name] == pytest.approx(0.003)
        assert back[name] == pytest.approx(-0.003)
    assert forth.attrs["labels"] == ["A064", "A001"]  # as given, not sorted
    assert back.attrs["labels"] == ["A001", "A064"]
    np.testing.assert_allclose(forth["difference"], 0.003, rtol=1e-5)
    assert (forth["rms"], forth["mad"], forth["sigma"]) == (pytest.approx(0.003), 0, 0)


def test_numbers_are_those_of_numpy_over_the_common_pixels():
    a, b = pair()
    first, second = common(a, b)
    found = compare_overlap(a, b).compute()
    difference = first - second
    assert found["count"] == difference.size == 22
    assert found["median"] == np.median(difference)
    assert found["mad"] == pytest.approx(np.median(np.abs(difference - np.median(difference))))
    assert found["sigma"] == pytest.approx(1.4826022 * found["mad"])
    assert found["mean"] == pytest.approx(difference.mean(dtype=float))
    assert found["rms"] == pytest.approx(np.sqrt((difference.astype(float) ** 2).mean()))
    assert found["correlation"] == pytest.approx(np.corrcoef(first.astype(float), second.astype(float))[0, 1])
    values, vectors = np.linalg.eigh(np.cov(first.astype(float), second.astype(float)))
    slope = np.divide(*vectors[::-1, np.argmax(values)])
    assert found["slope"] == pytest.approx(slope)
    assert found["intercept"] == pytest.approx(second.mean(dtype=float) - slope * first.mean(dtype=float))
    counts, _ = np.histogram(difference.astype(float), found["bin_edge"].values)
    np.testing.assert_array_equal(found["histogram"], counts)
    assert found["joint"].sum() == 22


def test_median_and_sigma_are_those_of_the_adjustment():
    a, b = pair()
    adjustment = estimate_adjustment([a, b]).compute()
    found = compare_overlap(a, b).compute()
    assert (found["median"], found["sigma"], found["count"]) == (
        adjustment["pair_median"].item(),
        adjustment["pair_sigma"].item(),
        adjustment["pair_count"].item(),
    )


def test_the_map_lies_on_the_overlap_and_says_what_it_is():
    a, b = pair()
    found = compare_overlap(a, b)
    np.testing.assert_array_equal(found["x"], WEST.x[IN_WEST[1]])
    np.testing.assert_array_equal(found["y"], WEST.y[IN_WEST[0]])
    assert "spatial_ref" in found.coords
    difference = found["difference"].values
    assert np.isnan(difference).sum() == 3
    assert difference[0, 0] == a["velocity"].values[0, 3] - b["velocity"].values[2, 0]
    assert found["difference"].attrs == {
        "units": "m/yr",
        "long_name": "difference of line-of-sight velocity, A064 minus A137",
    }
    assert {found[name].attrs["units"] for name in ("median", "mad", "sigma", "mean", "rms", "intercept")} == {"m/yr"}
    assert {found[name].attrs["units"] for name in ("slope", "correlation", "count", "histogram")} == {"1"}
    assert found.attrs["second"]["label"] == "A137"
    assert found.attrs["first"]["start_date"] == "2020-01-01"
    assert found.attrs["first"]["source"]["url"] == "memory://synthetic.he5"


@given(west=chunkings(y=6, x=8), east=chunkings(y=7, x=9))
def test_chunked_equals_numpy_bit_for_bit(west, east):
    a, b = pair()
    with no_compute():
        lazy = compare_overlap(a.chunk(west), b.chunk(east))
    xr.testing.assert_identical(lazy.compute(), compare_overlap(a, b).compute())


def test_edges_may_be_given():
    a, b = pair()
    found = compare_overlap(a, b, bins=[-0.01, 0.004, 0.02]).compute()
    assert found["bin_edge"].values.tolist() == [-0.01, 0.004, 0.02]
    assert found["histogram"].sum() == 22
    assert compare_overlap(a, b, bins=7).sizes["bin"] == 7


def test_only_the_overlap_is_read_and_each_block_once():
    seen = []

    def block(block_info=None):
        location = tuple(start for start, _ in block_info[None]["array-location"])
        seen.append(location)
        return np.random.default_rng(0).normal(size=block_info[None]["chunk-shape"]).astype("f4")

    data = dask.array.map_blocks(block, chunks=((3, 3), (2, 2, 2, 2)), dtype="f4", meta=np.empty((0, 0), "f4"))
    a, b = pair()
    counted = a.drop_vars("valid").assign(velocity=(("y", "x"), data, a["velocity"].attrs))
    compare_overlap(counted, b).compute()
    assert sorted(seen) == [(y, x) for y in (0, 3) for x in (2, 4, 6)]


def test_a_product_with_itself_differs_nowhere():
    a, _ = pair()
    found = compare_overlap(a, a).compute()
    assert (found["median"], found["rms"], found["slope"], found["correlation"]) == (0, 0, 1, 1)


def test_two_products_of_one_track_keep_their_order():
    a, _ = pair()
    other = a.assign(velocity=a["velocity"] - np.float32(0.5)).assign_attrs(product="0000_0001")
    other["velocity"].attrs = a["velocity"].attrs
    assert compare_overlap(a, other)["median"].values == pytest.approx(0.5)
    assert compare_overlap(other, a)["median"].values == pytest.approx(-0.5)


def test_displacements_are_compared_in_metres():
    a, b = (
        ds.rename(velocity="displacement").drop_vars("velocity_std").assign_attrs(end_date="2020-02-06")
        for ds in pair()
    )
    for ds in (a, b):
        ds["displacement"].attrs = {"units": "m", "long_name": "line-of-sight displacement"}
    found = compare_overlap(a, b)
    assert found["median"].attrs["units"] == "m"
    assert found.attrs["variable"] == "displacement"
    with pytest.raises(SchemaError, match=r"one period, within 24 days, got A064 .*; A137 2018-01-01"):
        compare_overlap(a, b.assign_attrs(start_date="2018-01-01"))
    compare_overlap(a, b.assign_attrs(start_date="2018-01-01"), max_gap_days=1e4)


def test_what_cannot_be_compared_is_named():
    a, b = (ds.chunk(y=2) for ds in pair())
    far = lattice_dataset(small_window(4, 4, west=-110.0), velocity=0.0, track="D071")
    coarse = lattice_dataset(small_window(6, 8, n=100), velocity=0.0, track="D071")
    other = b.assign(velocity=b["velocity"].assign_attrs(units="mm/yr"))
    with no_compute():
        with pytest.raises(GridMismatchError, match=r"common area, .* A064 \[-119, .*\], D071 \[-110"):
            compare_overlap(a, far)
        with pytest.raises(GridMismatchError, match="one resolution, got pixels a degree A064: 125, D071: 100"):
            compare_overlap(a, coarse)
        with pytest.raises(GridMismatchError, match="got pixels a degree A064: 125, A064: 100"):
            compare_overlap(a, coarse.assign_attrs(track="A064"))
        with pytest.raises(SchemaError, match="one unit of velocity, got A064: m/yr, A137: mm/yr"):
            compare_overlap(a, other)
        with pytest.raises(SchemaError, match=r"all a displacement, got A064: .*; A137: valid"):
            compare_overlap(a, b[["valid"]])
        with pytest.raises(SchemaError, match="the time series of A137"):
            compare_overlap(lattice_dataset(WEST, displacement=0.0, track="A137"), b)
        for bins in (0, -3, True, [1.0], [1.0, 1.0], [0.0, np.nan], 2.5, "x", None):
            with pytest.raises(SchemaError, match="bins must be a number of at least 1, or increasing edges"):
                compare_overlap(a, b, bins=bins)


def test_an_overlap_without_common_data_fails_when_computed_and_names_both():
    a, b = pair()
    a["velocity"][:, 3:] = np.nan
    with no_compute():
        found = compare_overlap(a.chunk(y=2), b.chunk(x=3))
    assert np.isnan(found["difference"]).all()
    with pytest.raises(SchemaError, match="A064 and A137 share no pixel with data in their overlap"):
        found["median"].compute()


# --- profiles -------------------------------------------------------------------------------------


def row_of_centres():
    return Line(WEST.x[3:8], np.full(5, WEST.y[2]), np.arange(5.0))


def test_profiles_have_both_products_and_their_difference():
    a, b = pair()
    with no_compute():
        profile = profile_overlap(a.chunk(y=2, x=3), b.chunk(x=4), row_of_centres())
    first, second = a["velocity"].values[2, 3:8], b["velocity"].values[4, :5]
    np.testing.assert_array_equal(profile["first"], first)
    np.testing.assert_array_equal(profile["second"], second)
    np.testing.assert_array_equal(profile["difference"], first - second)
    np.testing.assert_array_equal(profile["height"], 1000.0)
    assert profile["difference"].attrs["units"] == "m/yr"
    assert profile.attrs["labels"] == ["A064", "A137"]
    assert profile_overlap(b, a, row_of_centres()).attrs["labels"] == ["A137", "A064"]
    assert profile["distance_km"].values.tolist() == [0, 1, 2, 3, 4]


def test_unusable_pixels_have_no_profile():
    a, b = pair()
    b["valid"][4, 1] = False
    b = b.drop_vars("height")
    profile = profile_overlap(a, b, row_of_centres())
    assert np.isnan(profile["second"].values).tolist() == [False, True, False, False, False]
    assert np.isfinite(profile["height"]).all()
    assert "height" not in profile_overlap(a.drop_vars("height"), b, row_of_centres())


# --- all seams of a mosaic ------------------------------------------------------------------------


def three():
    tracks = []
    for k, (west, datum) in enumerate([(-119.0, 0.0), (-118.9, 0.004), (-118.8, -0.003)]):
        ds = lattice_dataset(small_window(20, 20, west=west), velocity=0.01 + datum, track=f"A00{k}")
        tracks.append(ds.chunk(y=7, x=9))
    return tracks


def test_seams_are_compared_before_and_after():
    tracks = three()[::-1]
    with no_compute():
        seams = compare_seams(tracks, estimate_adjustment(tracks, anchor="A000", min_overlap=1))
    assert [seam.pair for seam in seams] == ["A000-A001", "A001-A002"]
    before, after = zip(*((s.before.compute(), s.after.compute()) for s in seams), strict=True)
    np.testing.assert_allclose([ds["median"] for ds in before], [-0.004, 0.007], atol=1e-8)
    np.testing.assert_allclose([ds["median"] for ds in after], 0, atol=1e-8)
    assert before[0]["count"] == after[0]["count"] > 0
    assert after[1].attrs["second"]["track"] == "A002"


def test_seams_after_are_those_of_adjusted_tracks():
    tracks = three()
    adjustment = estimate_adjustment(tracks, min_overlap=1).compute()
    moved = [apply_adjustment(ds, adjustment) for ds in tracks]
    seam = compare_seams(tracks, adjustment)[0]
    expected = compare_overlap(moved[0], moved[1]).compute()
    xr.testing.assert_identical(seam.after.compute(), expected)


def test_two_tracks_of_one_name_and_product_have_a_seam():
    a, b, _ = three()
    tracks = [a, b.assign_attrs(track="A000")]
    (seam,) = compare_seams(tracks, estimate_adjustment(tracks, anchor=0, min_overlap=1))
    assert seam.pair == "A000:0113_0119#1-A000:0113_0119#2"
    assert seam.after["median"].values == pytest.approx(0, abs=1e-8)
    assert seam.after.attrs["second"]["track"] == "A000"


def test_a_seam_without_common_data_has_a_count_of_zero():
    a, b, _ = three()
    a["velocity"] = a["velocity"].where(a["x"] < -118.9)
    tracks = [a, b, lattice_dataset(small_window(20, 60), velocity=0.0, track="A009")]
    seams = compare_seams(tracks, estimate_adjustment(tracks, min_overlap=1))
    counts = {seam.pair: int(seam.before["count"]) for seam in seams}
    assert counts["A000-A001"] == 0
    assert counts["A000-A009"] > 0
    assert np.isnan(seams[0].after["median"].compute())


# --- looks ----------------------------------------------------------------------------------------------------


def two_looks(east=0.0, up=0.0):
    """Two tracks with incidences 43 and 33 degrees that see one motion, which varies, without an offset."""
    found = []
    for name, incidence, west in (("A001", 43.0, -119.0), ("A002", 33.0, -118.9)):
        window = small_window(20, 40, west=west)
        look = look_vector(incidence, 102.0)
        scale = 1 + (window.x - -119) * 5 + np.zeros(window.shape)
        rate = (east * look[0] + up * look[2]) * scale
        found.append(lattice_dataset(window, velocity=rate, incidence_angle=incidence, track=name).chunk(y=7, x=9))
    return found


@pytest.mark.parametrize("known", [False, True])
def test_products_are_compared_like_with_like(known):
    a, b = two_looks(up=-0.02, east=0.03 if known else 0.0)
    look = "vertical"
    if known:
        window = small_window(30, 100, west=-119.2)
        scale = 1 + (window.x - -119) * 5 + np.zeros(window.shape)
        field = lattice_dataset(window, velocity=0.0)[["height"]]
        look = field.assign(east=(("y", "x"), 0.03 * scale), up=(("y", "x"), -0.02 * scale))
    with no_compute():
        lazy = compare_overlap(a, b, look=look)
    made, plain = lazy.compute(), compare_overlap(a, b).compute()
    assert float(plain["rms"]) > 1e-3
    assert float(made["rms"]) < 1e-8
    assert (made.attrs["look"], plain.attrs["look"]) == ("field" if known else "vertical", "plain")
    assert made["count"] == plain["count"]
    assert "as if vertical" in made["difference"].attrs["long_name"] or known
    shifted = b.assign(velocity=b["velocity"] + 0.004)
    shifted["velocity"].attrs = b["velocity"].attrs
    adjustment = estimate_adjustment([a, shifted], anchor=0, look=look).compute()
    like = compare_overlap(a, shifted, look=look).compute()
    np.testing.assert_allclose(like["median"], adjustment["pair_median"][0], atol=1e-8)
    adjustment = estimate_adjustment([a, b], anchor=0, look=look).compute()
    (seam,) = compare_seams([a, b], adjustment, look=look)
    assert float(seam.alike["rms"].compute()) < 1e-8 < 1e-3 < float(seam.after["rms"].compute())
    profile = profile_overlap(a, b, Line(b["x"].values[:30], np.full(30, b["y"].values[4]), np.arange(30.0)), look)
    difference = profile["difference"].compute()
    assert np.isfinite(difference).sum() > 20
    np.testing.assert_allclose(difference[np.isfinite(difference)], 0, atol=1e-8)


def test_looks_outside_of_the_known_motion_are_no_data():
    a, b = two_looks(up=-0.02)
    window = Window.of(a["x"].values, a["y"].values, 125) & Window.of(b["x"].values, b["y"].values, 125)
    field = lattice_dataset(window, velocity=0.0)[["height"]].isel(y=slice(5))
    made = compare_overlap(a, b, look=field.assign(up=(("y", "x"), np.zeros((5, window.nx))))).compute()
    assert int(made["count"]) == 5 * window.nx
    with pytest.raises(SchemaError, match="los_up"):
        compare_overlap(a.drop_vars("los_up"), b, look="vertical")
