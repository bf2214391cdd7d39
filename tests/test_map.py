"""Figures of products: what is drawn where, in which unit, and what is computed for it."""

from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path
from typing import Any

import dask.array
import fsspec
import numpy as np
import pytest
import xarray as xr
from lazy import no_compute
from matplotlib import _pylab_helpers
from matplotlib.axes import Axes
from matplotlib.collections import LineCollection
from matplotlib.colors import SymLogNorm, to_hex
from matplotlib.figure import Figure
from pyproj import CRS, Geod, Transformer
from synthetic import lattice_dataset, small_window

from mimtpy_cloud.errors import GridMismatchError, SchemaError, StorageError
from mimtpy_cloud.plan.grid import Grid, Window
from mimtpy_cloud.view.map import main_variable, plot_components, plot_map, save_figure, shared_limits

ATTRS: dict[str, Any] = {
    "units": "m/yr",
    "long_name": "line-of-sight velocity, toward the satellite positive",
    "sensor": "Sentinel",
    "track": "A087",
    "start_date": "2016-01-08",
    "end_date": "2020-12-24",
    "reference_point": [30.5, 39.7],
    "wavelength": 0.056,
}
FAULT = np.array([[30.0, 39.0], [31.0, 40.0]])


@pytest.fixture(autouse=True)
def _nothing_is_left_open() -> Iterator[None]:
    yield
    assert _pylab_helpers.Gcf.get_num_fig_managers() == 0


def field(values: np.ndarray, grid: Grid | None = None, name: str = "velocity", **attrs: Any) -> xr.DataArray:
    ny, nx = values.shape
    grid = grid or Grid(30, 40, 1 / nx, 1 / ny, nx, ny)
    coords = {"y": grid.y, "x": grid.x, "spatial_ref": ((), 0, {"crs_wkt": CRS.from_user_input(grid.crs).to_wkt()})}
    return xr.DataArray(values, coords, ("y", "x"), name, ATTRS | attrs)


def ramp(ny: int = 12, nx: int = 10) -> np.ndarray:
    values = np.linspace(-0.02, 0.02, ny * nx).reshape(ny, nx)
    values[:2, :3] = np.nan
    return values


def axes_of(figure: Figure) -> Axes:
    return figure.axes[0]


def bar_of(figure: Figure) -> Axes:
    return axes_of(figure).child_axes[0]


def lines_of(figure: Figure) -> list[LineCollection]:
    return [c for c in axes_of(figure).collections if isinstance(c, LineCollection)]


def texts_of(figure: Figure) -> list[str]:
    return [t.get_text() for t in axes_of(figure).texts]


def test_values_are_drawn_in_the_unit_of_the_colour_bar_at_their_place() -> None:
    figure = plot_map(field(ramp()))
    image = axes_of(figure).images[0]
    np.testing.assert_allclose(image.get_array(), np.ma.masked_invalid(1e3 * ramp()))
    assert image.get_extent() == pytest.approx((30, 31, 39, 40))
    assert image.get_clim() == (-20.0, 20.0)
    assert bar_of(figure).get_ylabel() == "line-of-sight velocity [mm/yr]\ntoward the satellite positive"
    assert axes_of(figure).get_title() == "Sentinel A087, 2016-01-08 to 2020-12-24"


def test_map_has_the_shape_of_the_ground() -> None:
    figure = plot_map(field(ramp()))
    figure.canvas.draw()
    assert axes_of(figure).get_aspect() == pytest.approx(1 / np.cos(np.deg2rad(39.5)))
    box = axes_of(figure).get_window_extent()
    bar = bar_of(figure).get_window_extent()
    assert box.height / box.width == pytest.approx(1 / np.cos(np.deg2rad(39.5)), rel=0.02)
    assert bar.height == pytest.approx(box.height, rel=0.02)
    assert figure.bbox.x0 <= bar.x0
    assert bar.x1 < figure.bbox.x1


def test_ticks_name_the_hemispheres() -> None:
    figure = plot_map(field(ramp(), Grid(-0.5, 0.5, 0.1, 1 / 12, 10, 12)))
    x = {axes_of(figure).xaxis.get_major_formatter()(v, 0) for v in (-0.4, 0.0, 0.25, 190.0)}
    y = {axes_of(figure).yaxis.get_major_formatter()(v, 0) for v in (-0.4, 0.0, 0.25)}
    assert x == {"0.4°W", "0°", "0.25°E", "170°W"}
    assert y == {"0.4°S", "0°", "0.25°N"}


@pytest.mark.parametrize(("west", "step", "expected"), [(30.0, 0.1, "20 km"), (30.0, 0.001, "200 m")])
def test_scale_bar_is_true_on_the_ground(west: float, step: float, expected: str) -> None:
    figure = plot_map(field(ramp(), Grid(west, 40, step, step, 10, 12)))
    (bar,) = [line for line in axes_of(figure).lines if line.get_linewidth() == 2]
    (lon0, lon1), (lat, _) = bar.get_data()
    metres = Geod(ellps="WGS84").inv(lon0, lat, lon1, lat)[2]
    number, unit = expected.split()
    assert expected in texts_of(figure)
    assert metres == pytest.approx(float(number) * {"km": 1000, "m": 1}[unit], rel=2e-4)


def test_scale_bar_goes_where_it_hides_less_data() -> None:
    values = ramp()
    for side, centre in ((slice(5, None), 30.9), (slice(None, 5), 30.1)):
        values[:] = 0.01
        values[:, side] = np.nan
        figure = plot_map(field(values), reference_point=None)
        (bar,) = axes_of(figure).lines
        assert abs(np.mean(bar.get_xdata()) - centre) < 0.25


def test_faults_coast_and_reference_point_lie_over_the_map(tmp_path: Path) -> None:
    path = tmp_path / "north_anatolian.gmt"
    path.write_text("> \n30 39\n31 40\n> \n30.2 39.2\n30.3 39.9\n")
    figure = plot_map(
        field(ramp()),
        faults=[path, FAULT, [FAULT, FAULT + 0.1]],
        fault_colors=["b", "m"],
        fault_styles=["s", "d"],
        coastline=[FAULT],
    )
    coast, *faults = lines_of(figure)
    assert len(coast.get_segments()) == 1
    assert [len(f.get_segments()) for f in faults] == [2, 1, 2]
    np.testing.assert_allclose(faults[1].get_segments()[0], FAULT)
    assert [to_hex(f.get_edgecolor()[0]) for f in faults] == ["#000000", "#ff00ff", "#000000"]
    assert [f.get_linestyle()[0][1] is None for f in faults] == [True, False, True]
    square = next(line for line in axes_of(figure).lines if line.get_marker() == "s")
    assert tuple(np.ravel(square.get_data())) == (30.5, 39.7)
    assert axes_of(figure).get_xlim() == pytest.approx((30, 31))


def test_several_fault_files_get_a_legend_and_one_does_not(tmp_path: Path) -> None:
    paths = [tmp_path / "north_branch.xy", tmp_path / "south.xy"]
    for path in paths:
        path.write_text("30 39\n31 40\n")
    legend = axes_of(plot_map(field(ramp()), faults=paths, coastline=paths[0])).get_legend()
    assert legend is not None
    assert [t.get_text() for t in legend.get_texts()] == ["north branch", "south"]
    assert axes_of(plot_map(field(ramp()), faults=str(paths[0]))).get_legend() is None


def test_projected_map_has_kilometres_and_projected_lines() -> None:
    grid = Grid(500_000, 4_400_000, 100, 100, 10, 12, "EPSG:32636")
    figure = plot_map(field(ramp(), grid), faults=FAULT, reference_point=(33.0, 39.74), coastline=[FAULT - [190, 0]])
    to_utm = Transformer.from_crs(4326, 32636, always_xy=True).transform
    np.testing.assert_allclose(lines_of(figure)[1].get_segments()[0], np.column_stack(to_utm(*FAULT.T)))
    assert axes_of(figure).get_aspect() == 1.0
    assert axes_of(figure).get_xlabel() == "easting [km]"
    assert axes_of(figure).xaxis.get_major_formatter()(500_200.0, 0) == "500.2"
    assert "200 m" in texts_of(figure)


def test_lines_on_the_other_side_of_the_date_line_are_shifted_to_the_map() -> None:
    figure = plot_map(field(ramp(), Grid(179.5, 40, 0.1, 0.1, 10, 12)), faults=FAULT - [210, 0])
    np.testing.assert_allclose(lines_of(figure)[0].get_segments()[0][:, 0], [180, 181])


def test_flags_get_two_colours_and_a_legend() -> None:
    figure = plot_map(field(ramp() > 0, name="valid", long_name="usable data", units="1"))
    legend = axes_of(figure).get_legend()
    assert legend is not None
    assert [t.get_text() for t in legend.get_texts()] == ["usable data", "not usable data"]
    assert axes_of(figure).child_axes == []


def test_symmetric_logarithm_covers_all_values() -> None:
    values = ramp()
    values[5, 5] = 0.9
    figure = plot_map(field(values), symlog=True)
    image = axes_of(figure).images[0]
    assert isinstance(image.norm, SymLogNorm)
    assert image.get_clim() == (-900.0, 900.0)
    assert [t.get_text() for t in bar_of(figure).get_yticklabels()] == ["−900", "−200", "−20", "0", "20", "200", "900"]


def test_wrapped_displacement_shows_one_fringe() -> None:
    figure = plot_map(field(ramp() * 3, name="displacement", units="m", long_name="displacement"), wrap=True)
    image = axes_of(figure).images[0]
    assert image.get_clim() == pytest.approx((-1.4, 1.4))
    expected = 100 * (np.mod(ramp() * 3 + 0.014, 0.028) - 0.014)
    np.testing.assert_allclose(image.get_array(), np.ma.masked_invalid(expected), atol=1e-12)
    assert bar_of(figure).get_ylabel() == "displacement, one fringe [cm]"
    with pytest.raises(SchemaError, match="wavelength"):
        plot_map(field(ramp(), wavelength=None), wrap=True)
    with pytest.raises(SchemaError, match="expected a length"):
        plot_map(field(ramp(), name="phase", units="rad"), wrap=True)


@pytest.mark.parametrize(("units", "factor"), [("cm", 100), ("mm", 1000), ("km", 0.001)])
def test_fringe_is_the_same_whatever_the_unit_of_the_data(units: str, factor: float) -> None:
    names = {"name": "displacement", "long_name": "displacement"}
    metres = plot_map(field(ramp() * 3, units="m", **names), wrap=True, unit="mm")
    other = plot_map(field(ramp() * 3 * factor, units=units, **names), wrap=True, unit="mm")
    images = [axes_of(figure).images[0] for figure in (metres, other)]
    np.testing.assert_allclose(images[1].get_array(), images[0].get_array(), atol=1e-9)
    assert images[1].get_clim() == pytest.approx((-14.0, 14.0))


def test_choices_of_the_user_win(tmp_path: Path) -> None:
    figure = plot_map(field(ramp()), unit="cm/yr", limits=1, cmap="viridis", title="Mine", reference_point=None)
    image = axes_of(figure).images[0]
    assert (image.get_clim(), image.get_cmap().name) == ((-1.0, 1.0), "viridis")
    assert axes_of(figure).get_title() == "Mine"
    assert not [line for line in axes_of(figure).lines if line.get_marker() == "s"]
    points = tmp_path / "reference.xy"
    points.write_text("30.2 39.3\n")
    figure = plot_map(field(ramp()), reference_point=str(points))
    assert next(line for line in axes_of(figure).lines if line.get_marker() == "s").get_xdata() == [30.2]
    small = plot_map(field(ramp() / 10, units="m", name="displacement"), limits=(-5, 5))
    assert "[cm]" in bar_of(small).get_ylabel()


def test_variable_of_a_dataset_is_drawn_with_what_the_dataset_says() -> None:
    ds = components()
    for name in ds.data_vars:
        ds[name].attrs = {"units": "m/yr", "long_name": str(name)}
    for figure in (plot_map(ds), plot_map(ds, "east")):
        assert axes_of(figure).get_title() == "Sentinel A087, 2016-01-08 to 2020-12-24"
        assert any(line.get_marker() == "s" for line in axes_of(figure).lines)
        assert bar_of(figure).get_ylabel() == "east [mm/yr]"
    assert axes_of(plot_map(ds, "up", wrap=True)).images[0].get_clim() == pytest.approx((-14.0, 14.0))
    assert axes_of(plot_map(ds["east"])).get_title() == ""
    with pytest.raises(SchemaError, match="needs north; it has"):
        plot_map(ds, "north")
    with pytest.raises(SchemaError, match="chosen from a Dataset; got 'up' and the array 'east'"):
        plot_map(ds["east"], "up")


def test_main_variable_is_known_or_asked_for() -> None:
    ds = components().assign(height=field(ramp()), velocity=field(ramp()))
    assert main_variable(ds) == "velocity"
    assert main_variable(ds[["height"]]) == "height"
    with pytest.raises(SchemaError, match="has count, height; name one"):
        main_variable(ds[["count", "height"]])


@pytest.mark.parametrize("shape", [(1, 10), (12, 1), (1, 1)])
def test_single_rows_and_columns_of_the_lattice_are_drawn_at_their_place(shape: tuple[int, int]) -> None:
    window = Window(10, 500, 2100, 12, 10)
    da = field(np.full((12, 10), 0.01), window.grid)[: shape[0], : shape[1]]
    with pytest.raises(GridMismatchError, match="pixels_per_degree"):
        plot_map(da)
    figure = plot_map(da.assign_attrs(pixels_per_degree=10))
    west, north = window.bounds[0], window.bounds[3]
    extent = (west, west + shape[1] / 10, north - shape[0] / 10, north)
    assert axes_of(figure).images[0].get_extent() == pytest.approx(extent)


@pytest.mark.parametrize("shape", [(1, 300), (300, 1)])
def test_a_long_row_or_column_is_stretched_to_be_seen(shape: tuple[int, int]) -> None:
    figure = plot_map(field(np.full(shape, 0.01), Window(100, 5000, 21000, *shape).grid, pixels_per_degree=100))
    figure.canvas.draw()
    box = axes_of(figure).get_window_extent()
    assert min(box.width, box.height) > 100


def test_given_axes_are_drawn_into() -> None:
    mine = Figure()
    ax = mine.subplots()
    assert plot_map(field(ramp()), ax=ax) is mine
    assert len(ax.images) == 1


def test_dates_and_tracks_of_other_products_make_the_title() -> None:
    da = field(ramp(), track=["A087", "A160"], sensor="", start_date=None, end_date=None)
    assert axes_of(plot_map(da)).get_title() == "A087 + A160, line-of-sight velocity"
    da = da.assign_coords(time=np.datetime64("2020-01-13", "ns"))
    assert axes_of(plot_map(da)).get_title() == "A087 + A160, 2020-01-13"
    assert axes_of(plot_map(da.drop_vars("time").assign_attrs(track=""))).get_title() == ""


def test_map_without_data_says_so() -> None:
    assert "no data" in texts_of(plot_map(field(np.full((4, 5), np.nan))))


def test_large_array_is_thinned_before_it_is_computed() -> None:
    seen: list[tuple[int, int]] = []

    def block(block_info: Any = None) -> np.ndarray:
        (y0, y1), (x0, x1) = block_info[None]["array-location"]
        seen.append((y0, x0))
        return np.add.outer(np.arange(y0, y1) * 1e-3, np.arange(x0, x1) * 1e-6)

    data = dask.array.map_blocks(block, chunks=((10,) * 40, (30,) * 10), dtype=float, meta=np.empty((0, 0)))
    grid = Grid(10, 50, 0.01, 0.01, 300, 400)
    coords = {"y": grid.y, "x": grid.x, "spatial_ref": ((), 0, {"crs_wkt": "EPSG:4326"})}
    figure = plot_map(xr.DataArray(data, coords, ("y", "x"), "velocity", {"units": "m/yr"}), max_pixels=20)
    image = axes_of(figure).images[0]
    rows, columns = np.arange(10, 400, 20), np.arange(7, 300, 15)
    np.testing.assert_allclose(image.get_array(), np.add.outer(rows, columns * 1e-3))
    assert len(seen) == len(set(seen)) == 20 * 10  # of 400 blocks, each once
    centre = image.get_extent()[0] + 0.5 * 15 * 0.01
    assert centre == pytest.approx(grid.x[7])
    assert "1 of 20 x 15 pixels shown" in texts_of(figure)
    assert not any("shown" in text for text in texts_of(plot_map(field(ramp()))))


def test_thinning_builds_no_full_array() -> None:
    from mimtpy_cloud.view.picture import thumbnail

    data = field(ramp()).chunk(y=3)
    with no_compute():
        assert thumbnail(data, 5).shape == (4, 5)


def components() -> xr.Dataset:
    east, up = field(ramp(), name="east"), field(ramp() / 2, name="up")
    std = field(np.abs(ramp()) / 5, name="east_std", long_name="standard deviation of east")
    return xr.Dataset({"east": east, "up": up, "east_std": std, "up_std": std / 3, "count": east}, attrs=ATTRS)


def test_components_share_one_scale_and_stand_above_their_uncertainties() -> None:
    seen: list[int] = []

    def count(block: np.ndarray) -> np.ndarray:
        seen.append(1)
        return block

    ds = components()
    data = dask.array.from_array(ramp()).map_blocks(count, dtype=float, meta=np.empty((0, 0)))
    ds["east"] = ds["east"].copy(data=data)
    ds["up"] = ds["east"] / 2
    figure = plot_components(ds, faults=FAULT, coastline=[FAULT])
    panels = {ax.get_title(): ax for ax in figure.axes}
    assert list(panels) == ["east", "up", "east std", "up std"]
    assert panels["east"].images[0].get_clim() == panels["up"].images[0].get_clim() == (-19.0, 19.0)
    assert panels["east std"].images[0].get_clim() == panels["up std"].images[0].get_clim()
    assert panels["east std"].images[0].get_cmap().name == "cividis"
    assert figure.get_suptitle() == "Sentinel A087, 2016-01-08 to 2020-12-24"
    assert seen == [1]


def test_components_without_uncertainties_or_with_limits_are_drawn() -> None:
    figure = plot_components(components()[["east", "up", "up_std"]], limits=5, title="t", max_pixels=4)
    assert [ax.get_title() for ax in figure.axes] == ["east", "up", "up std", ""]
    assert [ax.images[0].get_clim() for ax in figure.axes[:2]] == [(-5.0, 5.0)] * 2
    assert figure.axes[2].images[0].get_clim()[1] < 2.0  # an uncertainty has its own limits
    assert any(line.get_marker() == "s" for line in figure.axes[0].lines)
    assert len(plot_components(components()[["east"]]).axes) == 1
    with pytest.raises(SchemaError, match="got count"):
        plot_components(components()[["count"]])


def test_limits_of_components_are_in_the_unit_that_a_map_has() -> None:
    ds = components() / 10
    for name in ds.data_vars:
        ds[name].attrs = {"units": "m", "long_name": str(name)}
    alone, together = plot_map(ds, "up", limits=5), plot_components(ds, limits=5)
    assert bar_of(alone).get_ylabel() == bar_of(together).get_ylabel().replace("east", "up") == "up [cm]"
    np.testing.assert_allclose(together.axes[1].images[0].get_array(), axes_of(alone).images[0].get_array())


def test_logarithm_of_components_leaves_their_uncertainties_linear() -> None:
    figure = plot_components(components(), symlog=True)
    assert [isinstance(ax.images[0].norm, SymLogNorm) for ax in figure.axes] == [True, True, False, False]
    assert figure.axes[0].images[0].get_clim() == (-20.0, 20.0)


def with_looks(ds: xr.Dataset) -> xr.Dataset:
    shape = ds["east"].shape
    count = np.tile([0, 2, 3, 2], 30).reshape(shape).astype("int16")
    named = {"flag_values": [0, 1, 2], "flag_meanings": "good too_few_looks too_similar_looks", "units": "1"}
    quality = (("y", "x"), np.where(count == 0, 1, 0).astype("uint8"), {"long_name": "why", **named})
    return ds.assign(count=(("y", "x"), count, {"units": "1", "long_name": "looks used"}), quality=quality)


def tick_labels(bar: Axes) -> list[str]:
    return [label.get_text() for label in bar.get_yticklabels()]


def test_a_count_has_one_colour_and_one_tick_a_value_and_none_is_grey() -> None:
    ds = with_looks(components())
    figure = plot_map(ds, "count")
    (image,) = axes_of(figure).images
    assert tick_labels(bar_of(figure)) == ["0", "1", "2", "3"]
    assert bar_of(figure).get_yticks().tolist() == [0, 1, 2, 3]
    assert bar_of(figure).get_ylabel() == "looks used"
    colours = {value: to_hex(image.cmap(image.norm(value))) for value in range(4)}
    assert len(set(colours.values())) == 4
    assert colours[0] == to_hex("0.87")
    np.testing.assert_array_equal(image.get_array(), ds["count"])
    cut = plot_map(ds, "count", limits=(2, 3), cmap="viridis")
    assert tick_labels(bar_of(cut)) == ["2", "3"]
    assert axes_of(cut).images[0].get_array().min() >= 1.5
    many = ds["count"].copy(data=np.arange(120, dtype="int32").reshape(12, 10))
    assert axes_of(plot_map(many)).images[0].get_cmap().N == 256


def test_values_that_are_names_have_the_names_at_their_bar() -> None:
    ds = with_looks(components())
    figure = plot_map(ds, "quality")
    assert tick_labels(bar_of(figure)) == ["good", "too few looks", "too similar\nlooks"]
    (image,) = axes_of(figure).images
    assert len({to_hex(image.cmap(image.norm(value))) for value in range(3)}) == 3


def test_looks_stand_below_the_uncertainties() -> None:
    figure = plot_components(with_looks(components()))
    titles = [ax.get_title() for ax in figure.axes]
    assert titles == ["east", "up", "east std", "up std", "number of looks", "quality"]
    alone = plot_components(with_looks(components())[["up", "count", "quality"]])
    assert [ax.get_title() for ax in alone.axes] == ["up", "", "number of looks", "quality"]
    with pytest.raises(SchemaError, match="east needs dimensions"):
        plot_components(components().expand_dims(time=2))


@pytest.mark.parametrize("variable", ["east", "up", "east_std", "up_std"])
def test_a_component_alone_has_the_limits_that_it_has_beside_the_others(variable: str) -> None:
    ds = components()
    unit, limits = shared_limits(ds, variable)
    panels = {ax.get_title(): ax for ax in plot_components(ds).axes}
    together, alone = panels[variable.replace("_", " ")], plot_map(ds, variable, unit=unit, limits=limits)
    assert axes_of(alone).images[0].get_clim() == together.images[0].get_clim()
    assert shared_limits(ds, "count") is None
    assert shared_limits(ds[["up"]], "up") is None


@pytest.mark.parametrize(("nx", "crs"), [(2, "EPSG:4326"), (4, "EPSG:4326"), (6, "EPSG:4326"), (3, "EPSG:32636")])
def test_labels_of_a_narrow_map_do_not_touch(nx: int, crs: str) -> None:
    step, west, north = (0.004, 37.0, 38.6) if crs == "EPSG:4326" else (400.0, 500_000.0, 4_400_000.0)
    figure = plot_map(field(np.full((40, nx), 0.01), Grid(west, north, step, step, nx, 40, crs)))
    figure.canvas.draw()
    ax = axes_of(figure)
    low, high = ax.get_xlim()
    shown = [label for label in ax.get_xticklabels() if low <= label.get_position()[0] <= high]
    boxes = [label.get_window_extent() for label in shown]
    assert boxes
    assert all(one.x1 < other.x0 for one, other in pairwise(boxes))
    assert bar_of(figure).get_window_extent().width > 8  # as wide as beside other maps
    assert ax.get_window_extent().x0 < next(t for t in ax.texts if "m" in t.get_text()).get_window_extent().x0


def test_figure_is_saved_by_suffix_whole_and_anywhere(tmp_path: Path) -> None:
    figure = plot_map(field(ramp()))
    save_figure(figure, tmp_path / "pic" / "velocity.png", dpi=50)
    save_figure(figure, tmp_path / "velocity.svg")
    save_figure(figure, "memory://test_map/velocity.png", dpi=50)
    fs = fsspec.filesystem("memory")
    assert (tmp_path / "pic" / "velocity.png").read_bytes().startswith(b"\x89PNG")
    assert b"<svg" in (tmp_path / "velocity.svg").read_bytes()
    assert fs.cat("/test_map/velocity.png").startswith(b"\x89PNG")
    assert sorted(p.name for p in tmp_path.rglob("*")) == ["pic", "velocity.png", "velocity.svg"]
    fs.rm("/test_map", recursive=True)
    with pytest.raises(SchemaError, match=r"ends in one of .*png.*, got 'velocity.bmpx'"):
        save_figure(figure, "velocity.bmpx")


def test_arrays_without_a_system_are_degrees_or_refused() -> None:
    figure = plot_map(field(ramp()).drop_vars("spatial_ref"))
    assert axes_of(figure).get_aspect() != 1.0
    metres = field(ramp(), Grid(500_000, 4_400_000, 100, 100, 10, 12, "EPSG:32636")).drop_vars("spatial_ref")
    with pytest.raises(SchemaError, match="are not degrees"):
        plot_map(metres)


def test_wrong_arguments_are_named() -> None:
    da = field(ramp())
    with pytest.raises(SchemaError, match="needs dimensions"):
        plot_map(da.expand_dims("time"))
    with pytest.raises(SchemaError, match="b, r, y, o, m or a colour of matplotlib, got 'blurple'"):
        plot_map(da, faults=FAULT, fault_colors=["blurple"])
    with pytest.raises(SchemaError, match=r"fault style .* got 'wavy'"):
        plot_map(da, faults=FAULT, fault_styles=["wavy"])
    with pytest.raises(SchemaError, match=r"array \(n, 2\)"):
        plot_map(da, faults=np.zeros(3))
    with pytest.raises(SchemaError, match="longitude, latitude"):
        plot_map(da, reference_point=(1.0, 2.0, 3.0))
    with pytest.raises(SchemaError, match="max_pixels"):
        plot_map(da, max_pixels=0)
    for empty in (da[:0], da[:, :0]):
        with pytest.raises(SchemaError, match=r"at least one pixel, got shape \d+ x \d+"):
            plot_map(empty)
    with pytest.raises(StorageError, match="no such file"):
        plot_map(da, faults="absent.shp")


@pytest.mark.parametrize("symlog", [False, True])
def test_zero_is_white_whatever_the_limits(symlog):
    ds = lattice_dataset(small_window(5, 7), velocity=np.linspace(-0.02, 0.02, 7))
    figure = plot_map(ds, "velocity", limits=(-5, 15), unit="mm/yr", symlog=symlog)
    (image,) = figure.axes[0].images
    colour = image.cmap(image.norm(np.array([0.0, -5.0, 5.0, 15.0])))
    assert (colour[0, :3] > 0.95).all()
    np.testing.assert_allclose(colour[1, 0], colour[2, 2], atol=0.1)  # equal amounts are equally strong
    assert image.colorbar.ax.get_ylim() == (-5, 15)
