"""Chunk and shard sizes."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mimtpy_cloud.errors import ResolutionError
from mimtpy_cloud.plan.chunks import INNER_DATES, INNER_SIDE, SHARD_SIDE, tile_sides, time_chunks
from mimtpy_cloud.schema import RESOLUTIONS

SMALLEST = 25


def can_be_tiled(n):
    return any(n % side == 0 for side in range(min(SMALLEST, n), INNER_SIDE + 1))


@pytest.mark.parametrize(
    ("name", "sides"),
    [
        ("veryHighRes", (125, 625)),
        ("highRes", (125, 625)),
        ("standard", (125, 625)),
        ("lowRes", (125, 250)),
        ("veryLowRes", (125, 125)),
    ],
)
def test_named_resolutions_have_the_documented_sides(name, sides):
    assert tile_sides(RESOLUTIONS[name]) == sides


@given(st.integers(1, 20_000).filter(can_be_tiled))
def test_sides_divide_a_degree_and_stay_below_their_limits(n):
    inner, shard = tile_sides(n)
    assert shard % inner == 0
    assert n % shard == 0
    assert min(SMALLEST, n) <= inner <= INNER_SIDE
    assert inner <= shard <= SHARD_SIDE


@given(st.integers(1, 20_000).filter(lambda n: not can_be_tiled(n)))
def test_a_lattice_without_a_fitting_side_is_refused(n):
    with pytest.raises(ResolutionError, match=f"{n} pixels a degree cannot be tiled.*such as"):
        tile_sides(n)


def test_a_large_shard_never_costs_the_inner_chunk():
    assert tile_sides(29_300) == (100, 100)  # the largest shard, 586, has no usable inner side


@pytest.mark.parametrize("n", [0, -125])
def test_a_lattice_needs_pixels(n):
    with pytest.raises(ResolutionError, match=f"at least one pixel a degree, got {n}"):
        tile_sides(n)


@given(st.integers(1, 2000))
def test_dates_are_cut_evenly_and_a_shard_holds_all(dates):
    inner, shard = time_chunks(dates)
    pieces = shard // inner
    assert shard == inner * pieces
    assert inner <= INNER_DATES
    assert dates <= shard < dates + pieces  # less than one date of padding a chunk
    assert pieces == -(-dates // INNER_DATES)  # no more chunks than needed
