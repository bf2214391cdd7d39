"""Comparing two products at the edge: what is read, where profiles run, what is written."""

import json

import dask.array
import numpy as np
import pytest
import xarray as xr
from synthetic import lattice_dataset, small_window

from mimtpy_cloud.cli.overlaps import along_track, compare_products, statistics_table
from mimtpy_cloud.errors import GridMismatchError, SchemaError
from mimtpy_cloud.ops.overlap import compare_overlap
from mimtpy_cloud.plan.profile import box_points
from mimtpy_cloud.view.together import compute_together

WEST, EAST = small_window(20, 20), small_window(20, 20, west=-119.0 + 8 / 125)


def pair():
    velocity = np.random.default_rng(0).normal(0.0, 0.01, (2, 20, 20))
    return [
        lattice_dataset(window, velocity=v, track=track)
        for window, v, track in zip((WEST, EAST), velocity, ("A064", "A137"), strict=True)
    ]


def test_each_block_of_the_overlap_is_read_once_for_everything(tmp_path):
    a, b = pair()
    seen = []

    def block(values, block_info=None):
        seen.append(tuple(start for start, _ in block_info[0]["array-location"]))
        return values

    data = dask.array.from_array(a["velocity"].values, (10, 4)).map_blocks(block, meta=np.empty((0, 0), "f4"))
    compare_products(a.assign(velocity=a["velocity"].copy(data=data)), b, str(tmp_path / "s"), {})
    assert sorted(seen) == [(y, x) for y in (0, 10) for x in (8, 12, 16)]


def test_datasets_are_computed_together_even_where_variables_are_made_of_others():
    seen = []
    a, _ = pair()
    lazy = a.chunk(y=7)
    counted = lazy["valid"].copy(
        data=lazy["valid"].data.map_blocks(lambda v: seen.append(1) or v, meta=np.empty((0, 0), bool))
    )
    lazy = lazy.assign(valid=counted, velocity=lazy["velocity"].where(counted))
    one, two = compute_together([lazy[["valid", "velocity"]], lazy[["valid", "velocity"]].isel(y=slice(3))])
    xr.testing.assert_identical(one, a[["valid", "velocity"]])
    xr.testing.assert_identical(two, a[["valid", "velocity"]].isel(y=slice(3)))
    assert len(seen) == 3
    assert compute_together([]) == []


def test_profiles_follow_the_heading_and_else_the_shape_of_the_overlap():
    a, b = pair()
    points = box_points((30.0, 40.0, 31.0, 40.2))
    assert along_track([a, b.assign_attrs(heading=-14.0)], *points) == pytest.approx(-13.0)
    b.attrs.pop("heading")
    assert along_track([a, b], *points) == pytest.approx(90.0, abs=0.5)


@pytest.mark.parametrize(("azimuth", "across"), [(348.0, 78.0), (192.0, 102.0), (-90.0, 0.0)])
def test_profiles_across_run_to_the_east_or_north(tmp_path, azimuth, across):
    compare_products(*pair(), str(tmp_path / "s"), {}, azimuth=azimuth, profiles=1)
    found = json.loads((tmp_path / "s.json").read_text())["profiles"]
    assert [p["azimuth"] for p in found] == [azimuth % 360, across]
    assert found[1]["lon"][-1] > found[1]["lon"][0] or across == 0.0


@pytest.mark.parametrize("shape", [(1, 1), (4, 1), (1, 4)])
def test_a_few_common_pixels_are_enough(tmp_path, shape):
    ny, nx = shape
    corner = small_window(20, 20, west=-119.0 + (20 - nx) / 125, north=37.0 - (20 - ny) / 125)
    a, b = lattice_dataset(WEST, velocity=0.003), lattice_dataset(corner, velocity=0.0, track="A137")
    _, comparison = compare_products(a, b, str(tmp_path / "s"), {})
    assert comparison["count"] == ny * nx
    assert json.loads((tmp_path / "s.json").read_text())["statistics"]["median"] == pytest.approx(0.003)


def test_profiles_keep_to_what_both_share(tmp_path):
    a, b = pair()
    a["velocity"] = a["velocity"].where(a["y"] < a["y"][9])
    compare_products(a, b, str(tmp_path / "s"), {}, azimuth=0.0)
    along = [p for p in json.loads((tmp_path / "s.json").read_text())["profiles"] if p["direction"] == "along"]
    assert len(along) == 3
    assert max(max(p["lat"]) for p in along) <= float(a["y"][9])


def test_an_overlap_beyond_180_degrees_has_its_profiles(tmp_path):
    windows = small_window(20, 20, west=179.9), small_window(20, 20, west=179.98)
    velocity = np.random.default_rng(0).normal(0.0, 0.01, (2, 20, 20))
    a, b = (lattice_dataset(w, velocity=v, track=t) for w, v, t in zip(windows, velocity, ("A1", "A2"), strict=True))
    assert b["x"][-1] > 180
    compare_products(a, b, str(tmp_path / "s"), {}, through=(-179.98, 36.9))
    along, across = json.loads((tmp_path / "s.json").read_text())["profiles"]
    assert along["count"] > 5
    assert across["count"] > 5
    at = across["distance_km"].index(0)
    assert across["lon"][at] == pytest.approx(180.02)


def test_nothing_is_written_where_nothing_can_be_compared(tmp_path):
    a, b = pair()
    with pytest.raises(GridMismatchError, match=r"the point \(-110, 36.9\) .* outside of the overlap of A064 and A137"):
        compare_products(a, b, str(tmp_path / "s"), {}, through=(-110, 36.9))
    b["velocity"] = b["velocity"] * np.nan
    b["velocity"].attrs = a["velocity"].attrs
    with pytest.raises(SchemaError, match="A064 and A137 share no pixel with data"):
        compare_products(a, b, str(tmp_path / "s"), {})
    assert list(tmp_path.iterdir()) == []


def test_table_has_the_units_of_the_figure():
    a, _ = pair()
    b = a.assign(velocity=a["velocity"] - np.float32(0.002)).assign_attrs(track="A137")
    b["velocity"].attrs = a["velocity"].attrs
    table = {name: (value, unit) for name, value, unit in statistics_table(compare_overlap(a, b).compute())}
    assert table["difference"] == ("A064 minus A137", "")
    assert table["median"] == ("2", "mm/yr")
    assert table["pixels"] == ("400", "")
    assert float(table["slope"][0]) == pytest.approx(1, abs=1e-3)
