"""Figure, numbers and files of a comparison with stations."""

import json
import math

import numpy as np
import pytest
import xarray as xr
from lazy import no_compute
from matplotlib import _pylab_helpers
from synthetic import lattice_dataset, small_window

from mimtpy_cloud.cli.validation import validate
from mimtpy_cloud.errors import ReferencePointError, SchemaError
from mimtpy_cloud.kernels.validation import STATISTICS
from mimtpy_cloud.ops.validation import compare_gnss
from mimtpy_cloud.view.seam import write_json
from mimtpy_cloud.view.validation import background, describe_gnss, plot_gnss, statistics_rows

WINDOW = small_window(40, 60, n=125, west=33.0, north=40.0)


@pytest.fixture(autouse=True)
def _nothing_is_left_open():
    yield
    assert _pylab_helpers.Gcf.get_num_fig_managers() == 0


def product(offset=0.004, noise=5e-4):
    """East 40 mm/yr across the map, up zero, with noise; the north west is empty."""
    random = np.random.default_rng(0)
    east = np.broadcast_to(np.linspace(-0.02, 0.02, 60), WINDOW.shape) + offset
    data = {"east": east, "up": np.zeros(WINDOW.shape)}
    ds = lattice_dataset(WINDOW, velocity=0.0)
    maps = {
        n: (("y", "x"), (v + random.normal(0, noise, v.shape)).astype("f4"), {"units": "m/yr"}) for n, v in data.items()
    }
    for _, values, _ in maps.values():
        values[:6, :6] = np.nan
    stds = {f"{n}_std": (("y", "x"), np.full(WINDOW.shape, noise, "f4"), {"units": "m/yr"}) for n in data}
    return ds.drop_vars(list(ds.data_vars)).assign(maps | stds).assign_attrs(azimuth=90.0)


def stations(n=30):
    random = np.random.default_rng(1)
    rows, cols = random.integers(0, 40, n), random.integers(0, 60, n)
    rows[0] = cols[0] = 2  # where nothing is known
    values = {"east": np.linspace(-0.02, 0.02, 60)[cols], "north": np.zeros(n), "up": np.zeros(n)}
    data = {name: ("station", v) for name, v in values.items()}
    data |= {f"{name}_std": ("station", np.full(n, 3e-4)) for name in values}
    names = [f"S{k:02d}" for k in range(n)]
    coords = {"station": names, "lon": ("station", WINDOW.x[cols] + 360), "lat": ("station", WINDOW.y[rows])}
    return xr.Dataset(data, coords, {"frame": "IGS14", "source": "memory"})


@pytest.fixture(scope="module")
def drawn():
    ds = product()
    comparison = compare_gnss(ds, stations(), exclude=["S03"])
    return comparison, plot_gnss(comparison, background(ds, comparison).compute())


def test_one_row_a_component_with_its_numbers_in_the_title(drawn):
    comparison, figure = drawn
    assert len([ax for ax in figure.axes if ax.get_title("left")]) == 6
    texts = [text.get_text() for text in figure.texts]
    for name in ("east", "up"):
        one = comparison.sel(component=name)
        before, after = (f"{1e3 * float(one[key]):.3g}" for key in ("rms", "rms_after"))
        assert f"{name}: 28 stations, rms {before}, after the offset {after} mm/yr" in texts
    assert "IGS14" in figure.get_suptitle()
    assert comparison.attrs["frame_note"] in [text.replace("\n", " ") for text in texts]


def test_stations_lie_on_the_map_whatever_their_turn(drawn):
    comparison, figure = drawn
    (points,) = [c for c in figure.axes[0].collections if len(c.get_offsets()) == 28]
    (west, east), (south, north) = figure.axes[0].get_xlim(), figure.axes[0].get_ylim()
    lon, lat = np.asarray(points.get_offsets()).T
    assert ((lon > west) & (lon < east) & (lat > south) & (lat < north)).all()
    shown = np.sort(np.asarray(points.get_array()))
    expected = 1e3 * comparison["residual_after"].sel(component="east").values
    np.testing.assert_allclose(shown, np.sort(expected[np.isfinite(expected)]))
    low, high = points.get_clim()
    assert low == -high
    labels = [t.get_text() for t in figure.axes[0].get_legend().get_texts()]
    assert labels == ["excluded", "no usable pixel"]


def test_lines_are_those_of_the_numbers(drawn):
    comparison, figure = drawn
    east, up = (ax for ax in figure.axes if ax.get_xlabel() == "stations [mm/yr]")
    one = comparison.sel(component="east")
    (line,) = [v for v in east.lines if str(v.get_label()).startswith("slope")]
    x, y = line.get_data()
    assert (y[1] - y[0]) / (x[1] - x[0]) == pytest.approx(float(one["slope"]))
    assert np.interp(0, x, y) == pytest.approx(1e3 * float(one["intercept"]))
    assert not [v for v in up.lines if str(v.get_label()).startswith("slope")]  # the stations do not differ
    for ax in (east, up):
        assert np.ptp(ax.get_xlim()) == pytest.approx(np.ptp(ax.get_ylim()))


def test_a_slope_that_is_not_determined_is_no_line():
    given = stations()
    given["up"][:] = np.random.default_rng(2).normal(0, 1e-5, 30)
    figure = plot_gnss(compare_gnss(product(), given, components=["up"]))
    (line,) = [v for v in figure.axes[1].lines if str(v.get_label()).startswith("slope")]
    assert "slope not determined" in line.get_label()
    assert np.isnan(line.get_ydata()).all()


def test_pairs_have_the_lines_of_the_requirements_and_the_rms_of_each_class(drawn):
    comparison, figure = drawn
    ax, one = figure.axes[2], comparison.sel(component="east")
    lines = {str(v.get_label()).split()[0]: v for v in ax.lines}
    for name, limit in (("OPERA", 5.0), ("NISAR", 2.0)):
        x, y = lines[name].get_data()
        assert (list(x), list(y)) == ([0.1, 50.0], [limit, limit])
        assert f"{float(one['within'].sel(requirement=name)):.0%} within" in lines[name].get_label()
    rms = [v.get_ydata()[0] for v in ax.lines if v.get_color() == "black"]
    known = one["bin_rms"].values[np.isfinite(one["bin_rms"].values)]
    np.testing.assert_allclose(rms, 1e3 * known)
    assert f"{int(one['within_count'])} pairs at 0.1 to 50 km" in ax.get_title("left")


def test_json_holds_the_numbers_of_the_comparison(drawn, tmp_path):
    comparison, _ = drawn
    write_json(describe_gnss(comparison), tmp_path / "a.json")
    found = json.loads((tmp_path / "a.json").read_text())
    assert list(found["components"]) == ["east", "up"]
    for name, part in found["components"].items():
        one = comparison.sel(component=name)
        for key in STATISTICS:
            value = float(one[key])
            assert part["statistics"][key] == (pytest.approx(value, abs=1e-9) if math.isfinite(value) else None)
        by_name = {row["name"]: row for row in part["stations"]}
        assert (by_name["S03"]["left_out"], by_name["S00"]["left_out"]) == ("excluded", "without_pixels")
        assert by_name["S00"]["observed"] is None
        assert by_name["S05"]["left_out"] is None
        assert by_name["S05"]["residual"] == pytest.approx(float(one["residual"].sel(station="S05")), abs=1e-9)
        assert part["distance"]["count"] == one["bin_count"].values.tolist()
        assert part["requirements"]["OPERA"]["limit"] == 0.005
        assert part["requirements"]["NISAR"]["within"] == pytest.approx(float(one["within"][1]), abs=1e-9)
        differences = np.array(found["pairs"]["difference"][name], float)
        np.testing.assert_allclose(differences, one["pair_difference"], atol=1e-9)
    assert (found["frame"], found["units"], found["window"]) == ("IGS14", "m/yr", 1)
    assert found["edges_km"][:2] == [0.1, 5.0]
    assert found["product"]["track"] == "A064"
    assert len(found["places"]) == 30


def test_many_pairs_are_not_listed():
    comparison = compare_gnss(product(), stations(160))
    assert comparison.sizes["pair"] > 10_000
    described = describe_gnss(comparison)
    assert described["pairs"] is None
    assert sum(described["components"]["east"]["distance"]["count"]) > 10_000


def test_a_table_of_the_key_numbers():
    comparison = compare_gnss(product(), stations())
    columns, rows = statistics_rows(comparison)
    east = dict(zip(columns, rows[0], strict=True))
    assert (east["mm/yr"], east["stations"], east["offset"]) == (
        "east",
        "29",
        f"{1e3 * float(comparison.offset[0]):.2f}",
    )
    assert float(east["offset"]) == pytest.approx(4, abs=0.4)
    assert float(east["slope"]) == pytest.approx(1, abs=0.05)
    assert east["OPERA %"] == "100"


def test_the_background_is_thin_lazy_and_only_what_is_compared():
    window = small_window(900, 500)
    ds = lattice_dataset(window, velocity=np.arange(900.0)[:, None] * 1e-5).chunk(y=300)
    given = stations(3).assign_coords(lon=("station", window.x[[5, 6, 7]]), lat=("station", window.y[[5, 6, 7]]))
    with no_compute():
        small = background(ds, compare_gnss(ds, given))
    assert list(small.data_vars) == ["los"]
    assert small.sizes == {"y": 300, "x": 167}
    figure = plot_gnss(compare_gnss(ds, given).compute(), small.compute())
    assert figure.axes[0].get_xlim() == pytest.approx(small.attrs["grid"].bounds[::2])


def test_figure_without_a_map_and_with_one_station():
    comparison = compare_gnss(product(), stations(2), components=["east"])
    figure = plot_gnss(comparison)
    assert any(text.get_text().startswith("east: 1 station, rms ") for text in figure.texts)
    assert any(t.get_text() == "no pair of stations" for t in figure.axes[2].texts)


def test_everything_is_read_once_and_written_or_nothing(tmp_path):
    seen = []
    ds = product()
    lazy = ds["east"].chunk(y=20, x=30)
    lazy = lazy.copy(data=lazy.data.map_blocks(lambda v: seen.append(1) or v, meta=np.empty((0, 0), "f4")))
    seen.clear()
    files, comparison = validate(ds.assign(east=lazy), stations(), str(tmp_path / "s"), {"step": "gnss"}, window=3)
    assert len(seen) == 4
    assert sorted(p.name for p in tmp_path.iterdir()) == ["s.json", "s.png"]
    assert files == (f"{tmp_path}/s.png", f"{tmp_path}/s.json")
    found = json.loads((tmp_path / "s.json").read_text())
    assert found["provenance"] == {"step": "gnss"}
    assert found["components"]["east"]["statistics"]["rms"] == pytest.approx(float(comparison["rms"][0]), abs=1e-9)
    with pytest.raises(SchemaError, match="no station is called"):
        validate(ds, stations(), str(tmp_path / "t"), {}, exclude=["X"])
    with pytest.raises(ReferencePointError, match="usable pixel"):
        validate(ds * np.nan, stations(), str(tmp_path / "t"), {})
    assert len(list(tmp_path.iterdir())) == 2
