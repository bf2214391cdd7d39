"""The same maps, drawn by GMT: what is missing is named, colours are those of the other backend, every map is drawn."""

import builtins
import sys
from typing import Any
from unittest.mock import Mock

import numpy as np
import pytest
import xarray as xr
from synthetic import lattice_dataset, small_window
from test_map_stations import stations

from mimtpy_cloud.errors import MimtpyError, SchemaError
from mimtpy_cloud.view.colours import Limits
from mimtpy_cloud.view.gmt import (
    _colour_table,
    _draw_arrows,
    _heights,
    _on_paper,
    _Page,
    plot_profiles_gmt,
    require_gmt,
)
from mimtpy_cloud.view.map import plot_components, plot_map, save_figure
from mimtpy_cloud.view.palette import palette_of
from mimtpy_cloud.view.picture import Picture, Style, map_grid
from mimtpy_cloud.view.stations import STATIONS

WINDOW = small_window(60, 40)
RAMP = np.linspace(-0.02, 0.02, 2400).reshape(WINDOW.shape)
#: Of pygmt, which leaves the folder of a preview to the collector.
pytestmark = pytest.mark.filterwarnings("ignore:Implicitly cleaning up:ResourceWarning")
FAULT = np.array([[-119.0, 37.0], [-118.9, 36.9]])


@pytest.fixture(scope="module")
def gmt() -> Any:
    """GMT, where it and the extra are installed; tests that need it skip without."""
    try:
        return require_gmt()
    except MimtpyError as error:
        pytest.skip(str(error))


def product(**maps: Any) -> xr.Dataset:
    ds = lattice_dataset(WINDOW, velocity=RAMP, reference_frame="IGS14")
    data = {name: (("y", "x"), values, {"units": "m/yr"}) for name, values in maps.items()}
    return ds.assign(data).assign(height=(("y", "x"), 1e5 * RAMP, {"units": "m"}))


def palette(limits: Limits | None = None, *, symlog: bool = False) -> Any:
    ds = product()
    return palette_of(Picture.of(ds["velocity"], map_grid(ds), (1, 1)), Style("auto", limits, (0, 100), symlog=symlog))


def rows_of(table: str) -> list[tuple[float, float, tuple[int, ...]]]:
    """Lower and upper edge, and colour, of each line of a table of GMT."""
    words = [line.split() for line in table.splitlines() if line[0] not in "BFN"]
    return [(float(a), float(b), tuple(map(int, colour.split("/")))) for a, colour, b, _ in words]


def image_of(figure: Any, tmp_path: Any) -> np.ndarray:
    from matplotlib.image import imread

    save_figure(figure, tmp_path / "figure.png", dpi=60)
    return np.asarray(imread(tmp_path / "figure.png"))[..., :3]


@pytest.mark.parametrize("limits", [None, (-5, 15), 10])
@pytest.mark.parametrize("symlog", [False, True])
def test_the_table_of_colours_is_that_of_the_other_backend(limits, symlog):
    found = palette(limits, symlog=symlog)
    rows = rows_of(_colour_table(found))
    assert all(a < b for a, b, _ in rows)
    values = np.linspace(*found.limits, 23)[1:-1]
    for value, height in zip(values, _heights(found, values), strict=True):
        (colour,) = (c for a, b, c in rows if a <= height < b)
        expected = 255 * np.array(found.cmap(found.norm(value))[:3])
        np.testing.assert_allclose(colour, expected, atol=4)


def test_each_step_has_its_colour_and_its_place():
    ds = lattice_dataset(WINDOW).assign(count=(("y", "x"), np.tile([0, 1, 2, 3], (60, 10)).astype("int16"), {}))
    found = palette_of(Picture.of(ds["count"], map_grid(ds), (1, 1)), Style("auto", None, (0, 100)))
    rows = rows_of(_colour_table(found))
    assert [(a, b) for a, b, _ in rows] == [(-0.5, 0.5), (0.5, 1.5), (1.5, 2.5), (2.5, 3.5)]
    assert found.ticks == (0, 1, 2, 3)
    flags = palette_of(Picture.of(ds["valid"], map_grid(ds), (1, 1)), Style("auto", None, (0, 100)))
    assert flags.labels == ("not usable\ndata", "usable data")


def test_pygmt_that_is_missing_is_named_with_what_to_install(monkeypatch):
    monkeypatch.delitem(sys.modules, "pygmt", raising=False)
    real = builtins.__import__

    def without(name: str, *args: Any) -> Any:
        if name == "pygmt":
            raise ImportError(name)
        return real(name, *args)

    monkeypatch.setattr(builtins, "__import__", without)
    with pytest.raises(MimtpyError, match=r"pygmt is not installed; .*pip install 'mimtpy_cloud\[pygmt\]'.*apt-get"):
        plot_map(product(), backend="pygmt")
    with pytest.raises(MimtpyError, match="conda install gmt"):
        plot_components(product(east=RAMP, up=RAMP), backend="pygmt")


def test_gmt_that_is_missing_is_named_with_the_reason(monkeypatch):
    monkeypatch.delitem(sys.modules, "pygmt", raising=False)
    real = builtins.__import__

    def broken(name: str, *args: Any) -> Any:
        if name == "pygmt":
            raise RuntimeError("libgmt.so: cannot open\nshared object file")
        return real(name, *args)

    monkeypatch.setattr(builtins, "__import__", broken)
    with pytest.raises(MimtpyError, match=r"no GMT that it can use \(libgmt.so: cannot open shared object file\)"):
        plot_map(product(), backend="pygmt")


def test_an_unknown_backend_is_named():
    with pytest.raises(SchemaError, match="backend must be one of matplotlib, pygmt, got 'gnuplot'"):
        plot_map(product(), backend="gnuplot")
    from matplotlib.figure import Figure

    with pytest.raises(SchemaError, match="axes are those of matplotlib"):
        plot_map(product(), backend="pygmt", ax=Figure().subplots())


def test_a_map_has_the_colours_of_its_values(gmt, tmp_path):
    values = np.where(np.arange(40) < 20, -0.02, 0.02) * np.ones((60, 1))
    figure = plot_map(product().assign(velocity=(("y", "x"), values, {"units": "m/yr"})), backend="pygmt")
    image = image_of(figure, tmp_path)
    found = palette()
    for value in (-20.0, 20.0):
        colour = found.cmap(found.norm(value))[:3]
        assert (abs(image - colour).max(axis=-1) < 0.03).mean() > 0.2
    height, width = image.shape[:2]
    west = image[height // 2, width // 4]
    assert west[2] > west[0]  # blue where the west moves away


def test_everything_that_lies_over_a_map_is_drawn(gmt, tmp_path):
    plain = image_of(plot_map(product(), backend="pygmt"), tmp_path)
    full = plot_map(
        product(), backend="pygmt", stations=stations(), station_names=True, relief="height",
        faults=[FAULT, FAULT + 0.05], fault_colors=["m", "y"], fault_styles=["s", "d"], coastline=FAULT - 0.05,
    )  # fmt: skip
    image = image_of(full, tmp_path)
    assert image.shape[0] > plain.shape[0]  # the arrow of known length stands below
    for colour in ((1, 0, 1), (1, 1, 0), (1, 0xB0 / 255, 0)):  # faults, and arrows of stations
        assert (abs(image - colour).max(axis=-1) < 0.1).any()


@pytest.mark.parametrize("options", [{"symlog": True}, {"limits": (-5, 15)}, {"variable": "valid"}, {"max_pixels": 7}])
def test_maps_of_all_kinds_are_drawn(gmt, tmp_path, options):
    assert image_of(plot_map(product(), backend="pygmt", **options), tmp_path).std() > 0.05


def test_projected_maps_single_rows_and_maps_without_data_are_drawn(gmt, tmp_path):
    from pyproj import CRS

    coords = {"y": 4e6 - 100.0 * np.arange(30), "x": 5e5 + 100.0 * np.arange(20)}
    crs = ((), 0, {"crs_wkt": CRS.from_user_input("EPSG:32636").to_wkt()})
    da = xr.DataArray(RAMP[:30, :20], coords | {"spatial_ref": crs}, ("y", "x"), "velocity", {"units": "m/yr"})
    image_of(plot_map(da, backend="pygmt", faults=np.array([[33.0, 36.0], [33.1, 36.2]])), tmp_path)
    row = lattice_dataset(small_window(1, 40), velocity=0.01)
    image_of(plot_map(row, backend="pygmt"), tmp_path)
    image_of(plot_map(da.copy(data=np.full((30, 20), np.nan)), backend="pygmt"), tmp_path)


def test_arrows_have_heads_of_one_colour():
    figure = Mock()
    _draw_arrows(figure, _Page(map_grid(product()), 15.0), ([0.0], [0.0]), ([1.0], [0.0]))
    looks = [call.kwargs for call in figure.plot.call_args_list]
    assert {look["fill"] for look in looks} == {STATIONS}
    assert len({look["style"].partition("+")[0] for look in looks}) == 1


def test_components_are_drawn_in_rows(gmt, tmp_path):
    ds = product(east=RAMP, up=RAMP / 2, east_std=abs(RAMP), up_std=abs(RAMP)).drop_vars(["velocity", "velocity_std"])
    one = image_of(plot_map(ds, "east", backend="pygmt"), tmp_path)
    image = image_of(plot_components(ds, backend="pygmt", stations=stations()), tmp_path)
    assert image.shape[1] > 1.2 * one.shape[1]


def test_a_file_of_a_format_that_gmt_does_not_write_is_named(gmt, tmp_path):
    with pytest.raises(SchemaError, match="a figure file ends in one of bmp, eps, jpg, pdf, png, tif"):
        save_figure(plot_map(product(), backend="pygmt"), tmp_path / "a.svg")
    save_figure(plot_map(product(), backend="pygmt"), tmp_path / "a.pdf")
    assert (tmp_path / "a.pdf").read_bytes().startswith(b"%PDF")


def profiles() -> xr.Dataset:
    x = np.arange(-50, 51.0)
    mean = np.stack([0.012 / np.pi * np.arctan(x / 15) * k for k in (1.0, 1.2)])
    mean[1, 40:45] = np.nan
    across = ("profile", "distance")
    station = {
        "profile": [0, 1],
        "distance_km": [-20.0, 10.0],
        "velocity": [-0.004, 0.003],
        "velocity_std": [1e-3, np.nan],
    }
    data: dict[str, Any] = {f"station_{name}": ("station", values) for name, values in station.items()}
    data |= {"crossing_profile": ("crossing", [1]), "crossing_distance_km": ("crossing", [22.0])}
    data |= {"velocity": (across, mean, {"units": "m/yr"})}
    data |= {"velocity_quantile": (("quantile", *across), np.stack([mean - 2e-3, mean + 2e-3]), {"units": "m/yr"})}
    return xr.Dataset(data, {"distance_km": ("distance", x), "along_km": ("profile", [20.0, 40.0])})


def test_profiles_are_drawn_with_their_spread_stations_and_crossings(gmt, tmp_path):
    image = image_of(plot_profiles_gmt(profiles(), title="two"), tmp_path)
    band = np.array([0x9E, 0xCA, 0xE1]) / 255
    assert 0.05 < (abs(image - band).max(axis=-1) < 0.02).mean() < 0.6
    assert (abs(image - (1, 0xB0 / 255, 0)).max(axis=-1) < 0.1).any()
    bare = profiles()[["velocity"]]
    image_of(plot_profiles_gmt(bare, "velocity", unit="cm/yr"), tmp_path)
    with pytest.raises(SchemaError, match="NaN everywhere"):
        plot_profiles_gmt(bare * np.nan)
    with pytest.raises(SchemaError, match="needs speed"):
        plot_profiles_gmt(bare, "speed")


def test_a_row_alone_becomes_two_for_gmt(gmt):
    grid = _on_paper(np.ones((1, 5)), (0.0, 10.0, 0.0, 1.0))
    assert grid.shape == (2, 5)
    assert grid["x"].values.tolist() == [1, 3, 5, 7, 9]
