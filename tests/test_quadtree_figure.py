"""The figure of a quadtree."""

import numpy as np
import pytest
from synthetic import lattice_dataset, small_window

from mimtpy_cloud.errors import SchemaError
from mimtpy_cloud.ops.quadtree import quadtree
from mimtpy_cloud.view.quadtree import plot_quadtree

WINDOW = small_window(24, 40)


@pytest.fixture(scope="module")
def both():
    velocity = np.full(WINDOW.shape, 0.004)
    velocity[:8, :16] = -0.02
    velocity[:8, 32:] = np.nan
    ds = lattice_dataset(WINDOW, velocity=velocity)
    ds["valid"][20:, :4] = False
    return ds, quadtree(ds, "velocity", epsilon=1e-3, min_px=1, max_px=16).compute()


def assert_painted(shown, known):
    """Leaves of this map hold one value each; their colour covers holes in them, but not what is in no leaf."""
    has = np.isfinite(known)
    np.testing.assert_allclose(shown[has], known[has], rtol=1e-6)
    assert set(np.round(shown[np.isfinite(shown)], 3)) == {-20.0, 4.0}


def test_map_and_leaves_have_the_same_symmetric_colours_in_millimetres(both):
    figure = plot_quadtree(*both)
    left, right = (ax.images[0] for ax in figure.axes[:2])
    assert left.get_clim() == right.get_clim() == (-20.0, 20.0)
    labels = [ax.get_ylabel() for panel in figure.axes[:2] for ax in panel.child_axes]
    assert labels == ["line-of-sight velocity [mm/yr]\ntoward the satellite positive"] * 2
    assert "Sentinel A064" in figure.get_suptitle()


def test_only_a_map_without_gaps_is_said_to_be_whole(both):
    assert plot_quadtree(*both).axes[0].get_title() == "91.6% of pixels have data"  # 880 of 960, rounded down
    big = small_window(40, 50)
    velocity = np.ones(big.shape)
    for hole, title in ((np.nan, "99.9%"), (1.0, "100%")):
        velocity[0, 0] = hole
        ds = lattice_dataset(big, velocity=velocity)
        leaves = quadtree(ds, "velocity", min_px=8, max_px=64).compute()
        assert plot_quadtree(ds, leaves).axes[0].get_title() == f"{title} of pixels have data"


def test_each_leaf_is_painted_where_it_is_and_has_an_outline(both):
    ds, leaves = both
    figure = plot_quadtree(ds, leaves)
    right = figure.axes[1]
    shown = right.images[0].get_array().filled(np.nan)
    known = ds["velocity"].where(ds["valid"])
    assert_painted(shown, 1e3 * known.values)
    assert np.isnan(shown[:8, 32:]).all()
    (outlines,) = right.collections
    assert len(outlines.get_paths()) == leaves.sizes["leaf"]
    box = outlines.get_paths()[0].get_extents()
    assert (box.x0, box.y0) == pytest.approx((float(leaves["west"][0]), float(leaves["south"][0])))
    assert right.get_title().startswith(f"{leaves.sizes['leaf']} leaves, ")


def test_thinned_pixels_get_the_leaf_in_which_they_lie(both):
    ds, leaves = both
    shown = plot_quadtree(ds, leaves, max_pixels=13).axes[1].images[0].get_array().filled(np.nan)
    known = ds["velocity"].where(ds["valid"])[1::2, 2::4]
    assert_painted(shown, 1e3 * known.values)


def test_unit_limits_and_title_are_those_asked_for(both):
    figure = plot_quadtree(*both, unit="cm/yr", limits=1.0, title="Kilauea")
    assert figure.axes[1].images[0].get_clim() == (-1.0, 1.0)
    assert figure.get_suptitle() == "Kilauea"


def test_a_table_that_is_none_is_refused(both):
    ds, leaves = both
    with pytest.raises(SchemaError, match="the leaves needs row"):
        plot_quadtree(ds, leaves.drop_vars("row"))
