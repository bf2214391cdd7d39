"""Vector maps: which arrows are drawn where, how long, in which direction, and what is computed for them."""

from typing import Any

import dask.array
import numpy as np
import pytest
import xarray as xr
from lazy import no_compute
from matplotlib.axes import Axes
from matplotlib.colors import to_hex
from matplotlib.figure import Figure
from matplotlib.quiver import Quiver, QuiverKey
from pyproj import CRS
from synthetic import lattice_dataset, small_window

from mimtpy_cloud.errors import SchemaError
from mimtpy_cloud.ops.cells import average_cells
from mimtpy_cloud.ops.enu import invert_enu
from mimtpy_cloud.ops.plate import stations_less_plate
from mimtpy_cloud.plan.grid import Grid, Window
from mimtpy_cloud.view.vectors import has_vectors, plot_vectors

WINDOW = small_window(60, 40)
EAST = np.linspace(-0.02, 0.02, 2400).reshape(60, 40)


def product(window: Window = WINDOW, units: str = "m/yr", **maps: Any) -> xr.Dataset:
    ds = lattice_dataset(window, velocity=0.0)
    maps = {"east": EAST, "up": EAST / 10} | maps
    data = {name: (("y", "x"), np.broadcast_to(v, window.shape), {"units": units}) for name, v in maps.items()}
    return ds.drop_vars(ds.data_vars).assign(data)


def axes_of(figure: Figure) -> Axes:
    return figure.axes[0]


def quivers_of(figure: Figure) -> list[Quiver]:
    return [c for c in axes_of(figure).collections if isinstance(c, Quiver)]


def scale_of(figure: Figure) -> tuple[float, str]:
    """Length of the scale arrow, and its text."""
    (key,) = (artist for artist in axes_of(figure).artists if isinstance(artist, QuiverKey))
    (text,) = (t.get_text() for t in axes_of(figure).texts if "/yr" in t.get_text() or " cm" in t.get_text())
    return key.U, text


def stations(frame: str = "IGS14", **more: Any) -> xr.Dataset:
    lon, lat = WINDOW.x[[5, 20, 35]], WINDOW.y[[10, 30, 50]]
    motion: dict[str, Any] = {"east": [0.03, 0.04, 0.05], "north": [0.01, 0.02, 0.0], "up": [0.001, np.nan, 0.002]}
    data = {name: ("station", np.asarray(values), {"units": "m/yr"}) for name, values in (motion | more).items()}
    return xr.Dataset(data, {"lon": ("station", lon), "lat": ("station", lat)}, {"frame": frame})


def test_arrows_are_the_means_about_their_place_on_the_vertical_motion() -> None:
    ds = product(north=0.005)
    figure = plot_vectors(ds, arrows=6)
    (quiver,) = quivers_of(figure)
    cells = average_cells(ds, ["east", "north"], (10, 12)).compute()  # a degree of longitude is shorter
    assert quiver.N == cells["east"].size == 6 * 4
    np.testing.assert_allclose(quiver.U, 1e3 * cells["east"].values.ravel())
    np.testing.assert_allclose(quiver.V, 5.0)
    np.testing.assert_allclose(quiver.XY[0], [WINDOW.x[:12].mean(), WINDOW.y[:10].mean()])
    (image,) = axes_of(figure).images
    np.testing.assert_allclose(image.get_array(), 1e3 * ds["up"].values)
    assert axes_of(figure).child_axes[0].get_ylabel() == "up [mm/yr]"
    length, text = scale_of(figure)
    assert text == f"{length:g} mm/yr"
    assert length in (10.0, 20.0)


def test_arrows_of_one_component_have_its_direction_and_the_scale_says_so() -> None:
    (quiver,) = quivers_of(east := plot_vectors(product()))
    assert not quiver.V.any()
    assert scale_of(east)[1].endswith(" mm/yr, east alone")
    ds = product(horizontal=0.01).drop_vars("east").assign_attrs(azimuth=120.0)
    (quiver,) = quivers_of(along := plot_vectors(ds))
    np.testing.assert_allclose(np.rad2deg(np.arctan2(quiver.U, quiver.V)), 120.0)
    np.testing.assert_allclose(np.hypot(quiver.U, quiver.V), 10.0)
    assert scale_of(along) == (10.0, "10 mm/yr, along azimuth 120° alone")


def test_arrows_have_the_unit_of_the_colours() -> None:
    ds = product(units="m", east=0.2, up=0.05)
    assert scale_of(plot_vectors(ds)) == (20.0, "20 cm, east alone")
    assert scale_of(plot_vectors(product(), unit="cm/yr"))[1].endswith("cm/yr, east alone")


def test_arrows_are_drawn_only_where_there_are_data() -> None:
    east = EAST.copy()
    east[:30] = np.nan
    east[31:40, 3::2] = np.nan
    figure = plot_vectors(product(east=east), arrows=6)
    (quiver,) = quivers_of(figure)
    assert quiver.N == 3 * 4
    assert (quiver.XY[:, 1] < WINDOW.y[29]).all()
    assert np.isfinite(quiver.U).all()
    empty = plot_vectors(product(east=np.nan, up=np.nan))
    assert quivers_of(empty)[0].N == 0
    assert "no data" in [t.get_text() for t in axes_of(empty).texts]
    assert scale_of(plot_vectors(product(east=0.0)))[0] == 1.0


@pytest.mark.parametrize("shape", [(80, 3), (3, 80), (1, 90), (1, 1)])
def test_narrow_and_wide_products_have_arrows(shape: tuple[int, int]) -> None:
    figure = plot_vectors(product(small_window(*shape), east=0.01, up=0.0))
    (quiver,) = quivers_of(figure)
    assert 1 <= quiver.N <= 60
    figure.canvas.draw()
    text = next(t for t in axes_of(figure).texts if "mm/yr" in t.get_text()).get_window_extent()
    labels = [label.get_window_extent() for label in axes_of(figure).get_xticklabels()]
    assert not any(text.overlaps(box) for box in labels)


@pytest.mark.parametrize("nx", [4, 25])
def test_the_scale_stands_below_the_labels_of_a_projected_map(nx: int) -> None:
    grid = Grid(500_000, 4_400_000, 200, 200, nx, 40, "EPSG:32636")
    reference = ((), 0, {"crs_wkt": CRS.from_user_input(grid.crs).to_wkt()})
    maps = {name: (("y", "x"), np.full((40, nx), 0.01), {"units": "m/yr"}) for name in ("east", "north", "up")}
    figure = plot_vectors(xr.Dataset(maps, {"y": grid.y, "x": grid.x, "spatial_ref": reference}), arrows=4)
    figure.canvas.draw()
    text = next(t for t in axes_of(figure).texts if "mm/yr" in t.get_text()).get_window_extent()
    assert text.y1 < axes_of(figure).xaxis.label.get_window_extent().y0
    assert text.y0 > 0
    drawn, cells = quivers_of(figure)[0].N, -(-nx // 10) * 4
    assert drawn == cells


def test_arrows_are_true_to_the_ground_and_about_one_cell_long() -> None:
    figure = plot_vectors(product(east=0.01, north=0.01), arrows=6)
    (quiver,) = quivers_of(figure)
    figure.canvas.draw()
    assert quiver.angles == "uv"
    width = axes_of(figure).get_window_extent().width
    cell = width * 12 / 40
    assert np.hypot(10, 10) / quiver.scale * width == pytest.approx(cell, rel=0.3)


def test_blocks_are_read_once_and_nothing_before_it_is_drawn() -> None:
    seen: list[tuple[int, int]] = []

    def block(block_info: Any = None) -> np.ndarray:
        (y0, y1), (x0, x1) = block_info[None]["array-location"]
        seen.append((y0, x0))
        return EAST[y0:y1, x0:x1]

    data = dask.array.map_blocks(block, chunks=((10,) * 6, (10,) * 4), dtype=float, meta=np.empty((0, 0)))
    ds = product()
    ds["east"] = ds["east"].copy(data=data)
    ds["up"] = ds["east"] / 10
    with no_compute():
        average_cells(ds, ["east"], (10, 12))
    figure = plot_vectors(ds, arrows=6, max_pixels=20)
    assert len(seen) == len(set(seen)) == 24
    whole = plot_vectors(product(), arrows=6)
    np.testing.assert_allclose(quivers_of(figure)[0].U, quivers_of(whole)[0].U)  # means of all pixels


def test_stations_are_drawn_on_the_same_scale_in_the_datum_of_the_product() -> None:
    ds = product(east=0.01, north=0.0, up=0.001)
    figure = plot_vectors(ds, stations=stations())
    arrows, tied = quivers_of(figure)
    assert arrows.scale == tied.scale
    np.testing.assert_allclose(tied.U, [0.0, 10.0, 20.0], atol=1e-9)  # the median station moves as the product does
    np.testing.assert_allclose(tied.V, [0.0, 10.0, -10.0], atol=1e-9)
    np.testing.assert_allclose(tied.XY, np.column_stack([WINDOW.x[[5, 20, 35]], WINDOW.y[[10, 30, 50]]]))
    assert to_hex(tied.get_facecolor()[0]) != to_hex(arrows.get_facecolor()[0])
    legend = axes_of(figure).get_legend()
    assert legend is not None
    assert [t.get_text() for t in legend.get_texts()] == ["GNSS stations, less east 30, north 10, up 0.5 mm/yr"]
    white, circles = (c for c in axes_of(figure).collections if len(c.get_sizes()) and not isinstance(c, Quiver))
    assert len(white.get_offsets()) == 1  # without vertical motion
    np.testing.assert_allclose(circles.get_array(), [0.5, 1.5])
    assert circles.norm is axes_of(figure).images[0].norm


def test_stations_lose_the_plate_that_the_product_lost() -> None:
    plate = {"plate": "Eurasia", "mas_per_year": [-0.085, -0.531, 0.77]}
    table = stations()
    ds = product().assign_attrs(reference_frame="IGS14", plate_motion=plate)
    less = stations_less_plate(table, ds)
    assert (abs(less["east"] - table["east"]) > 0.005).all()
    moved, same = (plot_vectors(ds, stations=table), plot_vectors(ds.assign_attrs(plate_motion={}), stations=less))
    one, other = (quivers_of(figure)[1] for figure in (moved, same))
    np.testing.assert_allclose(one.U, other.U)


def test_stations_of_the_frame_of_the_product_are_drawn_as_they_are() -> None:
    ds = product().assign_attrs(reference_frame="IGS14")
    figure = plot_vectors(ds, stations=stations())
    np.testing.assert_allclose(quivers_of(figure)[1].U, [30, 40, 50])
    assert not quivers_of(figure)[1].V.any()  # as the arrows, east alone
    legend = axes_of(figure).get_legend()
    assert legend is not None
    assert [t.get_text() for t in legend.get_texts()] == ["GNSS stations"]


def test_a_decomposition_is_drawn_with_faults_and_a_title() -> None:
    looks = [lattice_dataset(WINDOW, velocity=0.01, los_azimuth_angle=angle) for angle in (102.0, -102.0)]
    solved = invert_enu(looks)
    assert has_vectors(solved)
    fault = np.array([[-119.0, 37.0], [-118.9, 36.9]])
    figure = plot_vectors(solved, faults=fault, limits=5, title="mine")
    assert axes_of(figure).get_title() == "mine"
    assert axes_of(figure).images[0].get_clim() == (-5.0, 5.0)
    mine = Figure()
    assert plot_vectors(solved, ax=mine.subplots()) is mine


def test_what_does_not_fit_is_named() -> None:
    with pytest.raises(SchemaError, match=r"needs up, and east or horizontal .* this product has velocity"):
        plot_vectors(lattice_dataset(WINDOW, velocity=0.0))
    with pytest.raises(SchemaError, match=r"east of a vector map needs dimensions \('y', 'x'\), got \('time'"):
        plot_vectors(product().expand_dims(time=3))
    for arrows in (0, 2.5, True):
        with pytest.raises(SchemaError, match="arrows must be a number of at least 1"):
            plot_vectors(product(), arrows=arrows)  # type: ignore[arg-type]
    with pytest.raises(SchemaError, match="velocities in m/yr, the product motion in m"):
        plot_vectors(product(units="m"), stations=stations())
    away = stations().assign_coords(lon=("station", np.array([0.0, 1.0, 2.0])))
    with pytest.raises(SchemaError, match="none of 3 stations lies on the map"):
        plot_vectors(product(), stations=away)
    with pytest.raises(SchemaError, match="the stations needs north"):
        plot_vectors(product(), stations=stations().drop_vars("north"))
    with pytest.raises(SchemaError, match="no station lies on a pixel with data"):
        plot_vectors(product(east=np.nan), stations=stations())
