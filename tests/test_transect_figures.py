"""Figures and the table of profiles across a fault and of their fits."""

import csv

import numpy as np
import pytest
import xarray as xr
from lazy import no_compute
from matplotlib import _pylab_helpers
from profilesample import sample_profiles

from mimtpy_cloud.errors import SchemaError
from mimtpy_cloud.exports.sliprates import write_slip_rates
from mimtpy_cloud.kernels.screwfit import ScrewModel
from mimtpy_cloud.ops.transectfit import fit_transects
from mimtpy_cloud.view.profileaxes import axis_label
from mimtpy_cloud.view.sliprates import plot_slip_rates
from mimtpy_cloud.view.stackedprofiles import plot_stacked
from mimtpy_cloud.view.swaths import plot_swaths
from mimtpy_cloud.view.transects import plot_transects
from mimtpy_cloud.view.vectorprofile import plot_vector_profile


@pytest.fixture(autouse=True)
def _nothing_is_left_open():
    yield
    assert _pylab_helpers.Gcf.get_num_fig_managers() == 0


@pytest.fixture(scope="module")
def profiles():
    return sample_profiles(3, noise=1e-3, step_km=3.0)


@pytest.fixture(scope="module")
def fits(profiles):
    return fit_transects(profiles)


def product():
    x, y = np.arange(31.5, 33.5, 0.05), np.arange(42.0, 39.5, -0.05)
    east = 0.02 * np.tanh(4 * (y - 40.8))[:, None] + 0 * x
    return xr.Dataset({"east": (("y", "x"), east, {"units": "m/yr", "long_name": "east velocity"})}, {"y": y, "x": x})


def line(ax, k=0):
    return ax.get_lines()[k].get_xydata()


def texts(figure):
    figure.draw_without_rendering()
    return " ".join(t.get_text() for ax in figure.axes for t in [*ax.texts, ax.title, ax._left_title])


# ---- panels --------------------------------------------------------------------------------------


def test_a_panel_shows_the_data_in_mm_a_year_with_the_sides_of_the_fault(profiles):
    figure = plot_transects(profiles.chunk(profile=1), "fault_parallel", title="North Anatolian Fault")
    figure.draw_without_rendering()
    assert len(figure.axes) == 3 * 3  # data, ground, coherence
    ax = figure.axes[0]
    np.testing.assert_allclose(line(ax)[:, 1], 1e3 * profiles["fault_parallel"][0])
    np.testing.assert_allclose(line(ax)[:, 0], profiles["distance_km"])
    assert ax.get_ylabel() == "fault parallel [mm/yr]"
    assert {t.get_text() for t in ax.texts} == {"N", "S"}
    assert ax.get_title(loc="left") == "profile 1, 32.12°E 40.81°N, strike 85°"
    first, note = figure._suptitle.get_text().splitlines()
    assert first == "North Anatolian Fault"
    assert note.startswith("median difference of stations from the profiles, taken out: fault parallel +")


def test_the_sides_swap_where_the_axis_is_flipped(profiles):
    flipped = profiles.assign_attrs(flip=True)
    ax = plot_transects(flipped, "fault_parallel").axes[0]
    assert [t.get_text() for t in ax.texts] == ["S", "N"]


def test_a_fit_is_drawn_with_its_numbers(profiles, fits):
    figure = plot_transects(profiles, fits=fits)
    said = texts(figure)
    assert f"slip {1e3 * float(fits.slip_rate[0]):.1f} ± {1e3 * float(fits.slip_rate_std[0]):.1f} mm/yr" in said
    assert f"± {float(fits.locking_depth_std[1]) / 1e3:.1f} km" in said
    assert "datum adds ±" in said
    labels = [t.get_text() for t in figure.legends[0].get_texts()]
    assert {"fit, screw", "GNSS stations", "other faults", "topography"} <= set(labels)


def test_several_quantities_share_a_named_axis_and_their_stations_have_entries(profiles):
    stations = {f"station_up{end}": profiles[f"station_fault_parallel{end}"] for end in ("", "_std")}
    figure = plot_transects(profiles.assign(stations), ["fault_parallel", "up"])
    assert figure.axes[0].get_ylabel() == "velocity [mm/yr]"
    entries = {h.get_label(): h.get_color() for h in figure.legends[0].legend_handles if hasattr(h, "get_color")}
    for name in ("fault parallel", "up"):
        curve = entries[f"{name}, mean and standard deviation of the pixels"]
        assert entries[f"GNSS stations, {name}"] == curve


@pytest.mark.parametrize(
    ("names", "unit", "label"),
    [
        (["east", "up"], "cm", "displacement [cm]"),
        (["height", "slant_range"], "m", "values [m]"),
        (["a", "b"], "1", "values"),
        (["velocity", "up"], "mm/yr", "velocity [mm/yr]"),
    ],
)
def test_an_axis_says_what_its_variables_are(names, unit, label):
    assert axis_label(names, unit) == label


def test_depths_at_a_limit_and_profiles_without_a_fit_say_so(profiles):
    poor = profiles.copy(deep=True)
    poor["fault_parallel"][1] = np.nan
    said = texts(plot_transects(poor, fits=fit_transects(poor, depth_range_km=(1.0, 5.0))))
    assert "locking depth 5.0 km, at its limit" in said
    assert "too few data for a fit" in said
    assert "datum adds" not in said


def test_bands_are_standard_deviations_or_quantiles(profiles):
    def band(kind):
        (area,) = plot_transects(profiles, "fault_parallel", band=kind).axes[0].collections[:1]
        return area.get_paths()[0].vertices[:, 1]

    mean, std = (1e3 * profiles[name][0] for name in ("fault_parallel", "fault_parallel_std"))
    assert abs(band("std").max() - float((mean + std).max())) < 1e-9
    assert abs(band("quantile").min() - 1e3 * float(profiles["fault_parallel_quantile"][0, 0].min())) < 1e-9
    bare = plot_transects(profiles.drop_dims(["station", "crossing"]), "fault_parallel", band="none")
    assert not bare.axes[0].collections


def test_stations_and_faults_belong_to_their_profile_also_in_a_selection(profiles):
    named = profiles.assign_coords(profile=np.arange(3)).isel(profile=[2])
    named = named.assign_attrs(stations_frame="IGS14", reference_frame="IGS14")  # no level is taken out
    named["station_fault_parallel"] = named["station_fault_parallel"] + 0.1 * (named["station_profile"] == 2)
    ax = plot_transects(named, "fault_parallel").axes[0]
    drawn = [entry.lines[0].get_ydata() for entry in ax.containers]
    assert all((values > 90).all() and values.size == 2 for values in drawn)
    assert ax.get_title(loc="left").startswith("profile 3")
    assert -30.0 in [entry.get_xdata()[0] for entry in ax.get_lines() if len(entry.get_xdata()) == 2]


def shown_stations(figure):
    return np.concatenate([c.lines[0].get_ydata() for ax in figure.axes for c in ax.containers if hasattr(c, "lines")])


def test_stations_of_another_frame_are_drawn_on_the_level_of_the_profiles(profiles):
    moved = profiles.assign(station_fault_parallel=profiles["station_fault_parallel"] + 0.02)
    level = moved.assign_attrs(stations_frame="IGS08")
    np.testing.assert_allclose(
        shown_stations(plot_transects(level, "fault_parallel")),
        shown_stations(plot_transects(profiles, "fault_parallel")),
    )
    assert "of stations in IGS08 from the profiles" in plot_transects(level, "fault_parallel")._suptitle.get_text()
    tied = plot_transects(level.assign_attrs(reference_frame="IGS08"), "fault_parallel", title="tied")
    assert tied._suptitle.get_text() == "tied"
    np.testing.assert_allclose(
        shown_stations(tied) - shown_stations(plot_transects(level, "fault_parallel")), 20.9, atol=0.3
    )


def test_stations_of_profiles_that_are_not_shown_do_not_shift_the_others(profiles):
    named = profiles.assign_coords(profile=np.arange(profiles.sizes["profile"]))
    shown = [0, 2]
    said = plot_transects(named.isel(profile=shown), "fault_parallel")._suptitle.get_text()
    wild = named["station_fault_parallel"] + 1.0 * (named["station_profile"] == 1)
    moved = named.assign(station_fault_parallel=wild).isel(profile=shown)
    assert plot_transects(moved, "fault_parallel")._suptitle.get_text() == said


def test_profiles_of_a_bare_product_need_no_ground_and_no_stations(profiles):
    bare = profiles[["up"]].drop_vars(["strike", "fault_lon", "fault_lat"])
    figure = plot_transects(bare)
    assert len(figure.axes) == 3
    assert figure.axes[2].get_title(loc="left") == "profile 3"


@pytest.mark.parametrize("draw", [plot_transects, plot_stacked])
def test_what_cannot_be_drawn_is_said(draw, profiles, fits):
    with pytest.raises(SchemaError, match="a dataset of profiles needs east"):
        draw(profiles, "east")
    with pytest.raises(SchemaError, match="at least one profile, got none"):
        draw(profiles.isel(profile=[]))
    with pytest.raises(SchemaError, match="got 1 fits of 3"):
        draw(profiles, fits=fits.isel(profile=[0]))
    with pytest.raises(SchemaError, match="which variable to draw"):
        draw(profiles[["height"]].assign_coords(along_km=profiles["along_km"]))


def test_units_that_differ_and_unknown_bands_are_refused(profiles):
    with pytest.raises(SchemaError, match="up, height share an axis but have units m, m/yr"):
        plot_transects(profiles, ["up", "height"])
    with pytest.raises(SchemaError, match="band must be one of std, quantile, none, got 'mad'"):
        plot_transects(profiles, band="mad")


# ---- stacked, arrows, map ------------------------------------------------------------------------


def test_stacked_profiles_lie_at_their_place_along_the_fault(profiles, fits):
    figure = plot_stacked(profiles, fits=fits, scale=0.5)
    ax = figure.axes[0]
    curves = [entry.get_ydata() for entry in ax.get_lines() if len(entry.get_xdata()) == profiles.sizes["distance"]]
    values = 1e3 * profiles["fault_parallel"]
    expected = profiles["along_km"] + 0.5 * (values - values.median("distance"))
    np.testing.assert_allclose(curves, expected)
    assert "5 mm/yr" in texts(figure) or "10 mm/yr" in texts(figure) or "20 mm/yr" in texts(figure)
    with pytest.raises(SchemaError, match="scale must be positive"):
        plot_stacked(profiles, scale=0.0)
    with pytest.raises(SchemaError, match="along_km"):
        plot_stacked(profiles.drop_vars("along_km"))


def test_arrows_of_a_profile_point_where_the_ground_moves(profiles):
    from matplotlib.quiver import Quiver

    def arrows(ds):
        return next(c for c in plot_vector_profile(ds, 1, arrows=17).axes[0].collections if isinstance(c, Quiver))

    found = arrows(profiles.chunk(distance=9))
    assert 15 <= found.U.size <= 17
    np.testing.assert_allclose(found.U, 1.0)  # 1 mm/yr to the right of the strike
    np.testing.assert_allclose(found.V[0], 1e3 * float(profiles["up"][1, :3].mean()))
    np.testing.assert_allclose(found.get_array()[0], 1e3 * float(profiles["fault_parallel"][1, :3].mean()))
    np.testing.assert_allclose(arrows(profiles.assign_attrs(flip=True)).U, -1.0)  # the axis points to the left


def test_arrows_need_their_variables_and_a_profile(profiles):
    with pytest.raises(SchemaError, match="there is no profile 3; the profiles are 0 to 2"):
        plot_vector_profile(profiles, 3)
    with pytest.raises(SchemaError, match="height"):
        plot_vector_profile(profiles.drop_vars("height"))
    with pytest.raises(SchemaError, match="arrows must be"):
        plot_vector_profile(profiles, arrows=0)
    assert "profile 3" in texts(plot_vector_profile(profiles, -1, horizontal="fault_parallel"))


def test_swaths_lie_on_the_map_as_wide_as_they_are(profiles):
    figure = plot_swaths(product(), profiles, "east", faults=[np.array([[31.6, 41.1], [33.4, 41.2]])])
    ax = figure.axes[0]
    assert {t.get_text() for t in ax.texts} >= {"1", "2", "3"}
    box = next(e for e in ax.get_lines() if len(e.get_xdata()) == 2 * profiles.sizes["distance"] + 1)
    x, y = box.get_xydata()[[0, -2]].T
    width = np.hypot(111.1 * np.diff(y), 111.3 * np.cos(np.deg2rad(y.mean())) * np.diff(x))[0]
    assert abs(width - 20.0) < 0.1  # from the first sample on one side to the other
    labels = [t.get_text() for t in ax.get_legend().get_texts()]
    assert labels == ["other faults", "fault", "swaths", "GNSS stations"]
    with pytest.raises(SchemaError, match="fault_lon"):
        plot_swaths(product(), profiles.drop_vars("fault_lon"))


def test_other_faults_and_the_reference_point_are_no_swaths_and_in_the_legend(profiles):
    there = product().assign_attrs(reference_point=[32.9, 41.2])
    ax = plot_swaths(there, profiles, "east", faults=iter([np.array([[31.6, 41.1], [33.4, 41.2]])])).axes[0]
    entries = dict(
        zip([t.get_text() for t in ax.get_legend().get_texts()], ax.get_legend().legend_handles, strict=True)
    )
    assert list(entries)[:2] == ["other faults", "reference point"]
    assert entries["other faults"].get_color() != entries["swaths"].get_color()
    away = plot_swaths(product().assign_attrs(reference_point=[40.0, 41.2]), profiles, "east").axes[0]
    assert "reference point" not in [t.get_text() for t in away.get_legend().get_texts()]


def test_numbers_of_swaths_stay_on_the_map_and_swaths_off_it_are_left_out(profiles):
    ds = product().sel(y=slice(41.1, 40.5), x=slice(31.5, 32.5))  # shorter than the swaths, and west of the last
    ax = plot_swaths(ds, profiles, "east").axes[0]
    numbers = {t.get_text(): t.xy for t in ax.texts if t.get_text() in {"1", "2", "3"}}
    assert set(numbers) == {"1", "2"}
    (west, east), (south, north) = ax.get_xlim(), ax.get_ylim()
    for x, y in numbers.values():
        assert west + 0.03 * (east - west) <= x <= east - 0.03 * (east - west)
        assert south + 0.03 * (north - south) <= y <= south + 0.2 * (north - south)


def test_the_trace_of_the_fault_is_drawn_where_it_is_given(profiles):
    trace = np.array([[32.0, 40.7], [33.0, 40.9]])
    figure = plot_swaths(product(), profiles.drop_dims("station"), "east", trace=trace)
    assert any(np.array_equal(entry.get_xydata(), trace) for entry in figure.axes[0].get_lines())
    assert [t.get_text() for t in figure.axes[0].get_legend().get_texts()] == ["fault", "swaths"]


# ---- slip rates ----------------------------------------------------------------------------------


def test_slip_rates_are_drawn_in_mm_a_year_and_depths_downward(profiles, fits):
    with no_compute():
        lazy = fit_transects(profiles.chunk(profile=1))
    figure = plot_slip_rates(lazy)
    rate, depth = figure.axes
    np.testing.assert_allclose(rate.containers[0].lines[0].get_ydata(), 1e3 * fits["slip_rate"], rtol=1e-6)
    np.testing.assert_allclose(depth.containers[0].lines[0].get_ydata(), fits["locking_depth"] / 1e3, rtol=1e-6)
    np.testing.assert_allclose(rate.containers[0].lines[0].get_xdata(), profiles["fault_lon"])
    assert depth.yaxis_inverted()
    assert (rate.get_ylabel(), depth.get_ylabel()) == ("slip rate [mm/yr]", "locking depth [km]")
    assert plot_slip_rates(fits, along="along_km").axes[1].get_xlabel() == "way along the fault [km]"


def test_one_extreme_choice_is_an_arrow_at_the_edge(profiles, fits):
    extreme = fits.compute().copy(deep=True)
    for name, value in {"slip_rate": 0.5, "locking_depth": 300e3}.items():
        extreme[f"{name}_choice"][{"profile": 1, "choice": 1}] = value
    figure = plot_slip_rates(extreme)
    rate, depth = figure.axes
    assert max(rate.get_ylim()) < 400
    assert depth.get_ylim()[0] < 250
    assert depth.get_ylim()[1] == 0.0
    for ax, sign, y in ((rate, "^", 0.97), (depth, "v", 0.03)):
        (arrow,) = (e for e in ax.get_lines() if e.get_marker() == sign and len(e.get_xdata()))
        assert arrow.get_xydata().tolist() == [[float(extreme["fault_lon"][1]), y]]
    words = [t.get_text() for t in figure.legends[0].get_texts()]
    assert {"with a slope", "datum of the left side", "without the near field", "a choice beyond the axis"} <= set(
        words
    )
    assert depth.get_xlabel() == "longitude [°E]"
    low, high = rate.get_ylim()
    value, std = 1e3 * fits["slip_rate"], 1e3 * fits["slip_rate_std"]
    assert low < float((value - std).min())
    assert high > float((value + std).max())


def test_fits_at_a_limit_are_hollow_and_their_choices_left_out(profiles):
    figure = plot_slip_rates(fit_transects(profiles, depth_range_km=(1.0, 5.0)))
    assert "a depth at its limit" in [t.get_text() for t in figure.legends[0].get_texts()]
    assert figure.axes[0].containers[0].lines[0].get_ydata().size == 0


def test_rates_of_creep_are_drawn_beside_those_of_slip():
    creep = sample_profiles(1, step_km=3.0, model=ScrewModel("creep"), rates=(0.02, 0.008), depths=(14e3, 3e3))
    figure = plot_slip_rates(fit_transects(creep, model="creep", near_km=1.0))
    assert figure.axes[0].get_ylabel() == "slip rate and creep rate [mm/yr]"
    assert "creep 8.0 ± " in texts(plot_transects(creep, fits=fit_transects(creep, model="creep")))


def test_slip_rates_need_a_fit_and_a_known_axis(profiles, fits):
    with pytest.raises(SchemaError, match="along must be one of fault_lon, along_km, got 'x'"):
        plot_slip_rates(fits, along="x")
    with pytest.raises(SchemaError, match="a result of fit_transects needs"):
        plot_slip_rates(profiles)


def test_the_table_holds_every_number_with_its_unit(profiles, fits, tmp_path):
    poor = profiles.copy(deep=True)
    poor["fault_parallel"][1] = np.nan
    write_slip_rates(fit_transects(poor), tmp_path / "fits.csv")
    with (tmp_path / "fits.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert [row["profile"] for row in rows] == ["1", "2", "3"]
    assert abs(float(rows[0]["slip_rate [mm/yr]"]) - 1e3 * float(fits["slip_rate"][0])) < 1e-4
    assert abs(float(rows[2]["locking_depth_std [km]"]) - float(fits["locking_depth_std"][2]) / 1e3) < 1e-4
    assert float(rows[0]["longitude [degrees]"]) == pytest.approx(float(profiles["fault_lon"][0]), abs=1e-6)
    assert rows[0]["locking_depth_at_bound"] == "no"
    assert rows[1]["slip_rate [mm/yr]"] == rows[1]["chi2"] == ""
    assert rows[1]["bins"] == "0"
    with pytest.raises(SchemaError, match="slip_rate"):
        write_slip_rates(profiles, tmp_path / "none.csv")
    assert not (tmp_path / "none.csv").exists()


def test_the_table_of_two_faults_says_where_the_second_is(tmp_path):
    model = ScrewModel("two_faults", second=30e3)
    two = sample_profiles(1, step_km=3.0, model=model, rates=(0.02, 0.006), depths=(14e3, 8e3))
    fits = fit_transects(two, model="two_faults", second_fault_km=-30.0)
    write_slip_rates(fits, tmp_path / "fits.csv")
    with (tmp_path / "fits.csv").open() as file:
        (row,) = csv.DictReader(file)
    assert row["distance of the second fault [km]"] == "-30.000"
    assert row["second_slip_rate [mm/yr]"] == "6.0000"
