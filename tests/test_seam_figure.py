"""Figure, numbers and report of seams: what is drawn and written, in which unit."""

import base64
import json
import re
from pathlib import Path

import numpy as np
import pytest
import xarray as xr
from matplotlib import _pylab_helpers
from matplotlib.colors import LogNorm
from synthetic import lattice_dataset, small_window

from mimtpy_cloud.ops.adjustment import estimate_adjustment
from mimtpy_cloud.ops.overlap import compare_overlap, compare_seams, profile_overlap
from mimtpy_cloud.plan.profile import parallel_lines
from mimtpy_cloud.view import seams as report
from mimtpy_cloud.view.seam import describe_seam, filled_part, plot_seam, seam_unit, write_json

WEST, EAST = small_window(30, 30), small_window(30, 30, west=-119.0 + 10 / 125)


@pytest.fixture(autouse=True)
def _nothing_is_left_open():
    yield
    assert _pylab_helpers.Gcf.get_num_fig_managers() == 0


def pair(factor=1.0):
    rng = np.random.default_rng(0)
    tracks = []
    for window, datum, track in ((WEST, 0.003, "A064"), (EAST, 0.0, "A137")):
        signal = np.add.outer(window.y - 37, window.x + 119) * 0.05
        velocity = (signal + datum + rng.normal(0, 0.001, window.shape)) * factor
        velocity[:4] = np.nan
        tracks.append(lattice_dataset(window, velocity=velocity, track=track))
    return tracks


def profiles(a, b, azimuth, count):
    lon, lat = np.meshgrid(EAST.x[:20], EAST.y)
    lines = parallel_lines(lon.ravel(), lat.ravel(), azimuth, count, 900.0)
    return [profile_overlap(a, b, line).assign_attrs(azimuth=azimuth).compute() for line in lines]


@pytest.fixture(scope="module")
def drawn():
    a, b = pair()
    comparison = compare_overlap(a, b).compute()
    along, across = profiles(a, b, -12.0, 3), profiles(a, b, 78.0, 1)
    return comparison, along, across, plot_seam(comparison, along, across)


def panels(figure):
    return (
        figure.axes[0],
        figure.axes[1],
        figure.axes[2],
        [ax for ax in figure.axes if ax.get_xlabel() == "distance [km]"],
    )


def test_map_shows_the_difference_about_zero_in_millimetres_a_year(drawn):
    comparison, _, _, figure = drawn
    ax, *_ = panels(figure)
    (image,) = ax.images
    low, high = image.get_clim()
    assert low == -high
    assert image.get_cmap().name == "RdBu_r"
    shown = image.get_array()
    assert shown.shape == (26, 20)  # without the empty rows
    np.testing.assert_allclose(shown, comparison["difference"].values[4:] * 1e3)
    assert image.get_extent() == pytest.approx([EAST.bounds[0], WEST.bounds[2], EAST.bounds[1], EAST.y[4] + 0.004])
    (bar,) = ax.child_axes
    assert bar.get_ylabel() == "difference of line-of-sight velocity [mm/yr]\nA064 minus A137"


def test_profiles_are_on_the_map_with_a_dot_at_their_end(drawn):
    _, along, across, figure = drawn
    ax, *_ = panels(figure)
    lines = [line for line in ax.lines if len(line.get_xdata()) > 2]
    dots = [line for line in ax.lines if line.get_marker() == "o"]
    assert len(lines) == len(dots) == len(along) + len(across) == 4
    for line, dot in zip(lines, dots, strict=True):
        assert dot.get_xdata()[0] == line.get_xdata()[-1]
    assert {line.get_color() for line in lines} == {"black", "#7b2d8b"}


def test_histogram_has_median_sigma_and_unit(drawn):
    comparison, _, _, figure = drawn
    _, ax, *_ = panels(figure)
    assert (ax.get_xlabel(), ax.get_ylabel()) == ("difference [mm/yr]", "pixels")
    np.testing.assert_allclose(ax.get_xlim(), comparison["bin_edge"].values[[0, -1]] * 1e3)
    median, sigma = float(comparison["median"]) * 1e3, float(comparison["sigma"]) * 1e3
    assert any(np.allclose(line.get_xdata(), median) for line in ax.lines)
    text = "\n".join(t.get_text() for t in ax.texts)
    assert f"median +{median:.3g}" in text
    assert f"σ {sigma:.3g}" in text
    assert "520 pixels" in text


def test_first_is_drawn_against_second_with_the_fitted_line(drawn):
    comparison, _, _, figure = drawn
    _, _, ax, _ = panels(figure)
    assert (ax.get_xlabel(), ax.get_ylabel()) == ("A064 [mm/yr]", "A137 [mm/yr]")
    assert ax.get_xlim() == ax.get_ylim() == pytest.approx(tuple(comparison["joint_edge"].values[[0, -1]] * 1e3))
    equal, fitted = ax.lines
    np.testing.assert_array_equal(equal.get_xdata(), equal.get_ydata())
    slope = np.diff(fitted.get_ydata()) / np.diff(fitted.get_xdata())
    assert slope == pytest.approx(float(comparison["slope"]))
    x, y = fitted.get_xdata()[0], fitted.get_ydata()[0]
    assert y == pytest.approx(x * slope[0] + float(comparison["intercept"]) * 1e3)
    mesh = ax.collections[0]
    assert isinstance(mesh.norm, LogNorm)
    np.testing.assert_array_equal(mesh.get_array().filled(0), comparison["joint"].values.T)


def test_profiles_show_both_products_without_a_shift(drawn):
    _, _, across, figure = drawn
    *_, (first, second) = panels(figure)
    assert first.get_title(loc="left") == "along, toward 348°, mean of 3 and each"
    assert second.get_title(loc="left") == "across, toward 78°"
    for ax in (first, second):
        assert ax.get_ylabel() == "velocity [mm/yr]"
        labels = [text.get_text() for text in ax.get_legend().get_texts()]
        assert labels == ["A064", "A137", "difference"]
        mean = {line.get_label(): line for line in ax.lines}
        gap = mean["A064"].get_ydata() - mean["A137"].get_ydata()
        np.testing.assert_allclose(gap, mean["difference"].get_ydata(), atol=1e-6)
        np.testing.assert_allclose(np.nanmedian(gap), 3.0, atol=0.6)
    (line,) = across
    np.testing.assert_allclose(
        mean["A064"].get_ydata(), np.where(np.isnan(line["difference"]), np.nan, line["first"]) * 1e3
    )
    twins = [ax for ax in figure.axes if ax.get_ylabel() == "height [km]"]
    assert len(twins) == 2
    assert twins[0].collections[0].get_datalim(twins[0].transData).y1 == pytest.approx(1.0)


def test_title_has_both_tracks_and_their_dates(drawn):
    *_, figure = drawn
    title = figure.get_suptitle()
    assert title.startswith("A064 minus A137: velocity in the overlap\n")
    assert "A137 2020-01-01 to 2021-01-31" in title


def test_displacements_are_drawn_in_centimetres():
    a, b = (ds.rename(velocity="displacement") for ds in pair(5.0))
    for ds in (a, b):
        ds["displacement"].attrs["units"] = "m"
    comparison = compare_overlap(a, b).compute()
    figure = plot_seam(comparison)
    assert seam_unit(comparison).unit == "cm"
    ax, histogram, _, below = panels(figure)
    assert histogram.get_xlabel() == "difference [cm]"
    assert "[cm]" in ax.child_axes[0].get_ylabel()
    assert below == []


def test_a_wide_overlap_is_drawn_above_the_histograms():
    window = small_window(8, 40)
    ds = lattice_dataset(window, velocity=np.random.default_rng(0).normal(size=window.shape))
    figure = plot_seam(compare_overlap(ds, ds.assign_attrs(track="A137")).compute())
    above, histogram, joint = (ax.get_position() for ax in figure.axes[:3])
    assert above.y0 > max(histogram.y1, joint.y1)
    assert above.width > 1.8 * histogram.width
    assert joint.x0 > histogram.x1


def test_lines_without_data_and_equal_products_are_drawn():
    a, _ = pair()
    comparison = compare_overlap(a, a).compute()
    nothing = profiles(a, a, 0.0, 1)[0]
    nothing = nothing.assign({name: nothing[name] * np.nan for name in nothing.data_vars})
    figure = plot_seam(comparison, [nothing])
    *_, (ax,) = panels(figure)
    assert [t.get_text() for t in ax.texts] == ["no data on the profiles"]
    assert "median +0" in "".join(t.get_text() for t in figure.axes[1].texts)


def test_a_lazy_map_is_not_cut():
    da = xr.DataArray(np.full((3, 3), np.nan), dims=("y", "x"))
    da[1, 2] = 1.0
    assert filled_part(da)[0].shape == (1, 1)
    assert filled_part(da.chunk(), da.chunk())[1].shape == (3, 3)
    assert filled_part(da * np.nan)[0].shape == (3, 3)


# --- numbers --------------------------------------------------------------------------------------


def test_json_has_all_numbers_with_null_where_there_is_none(drawn, tmp_path):
    comparison, along, across, _ = drawn
    write_json(describe_seam(comparison, along, across), tmp_path / "seam.json")
    text = (tmp_path / "seam.json").read_text()
    content = json.loads(text, parse_constant=pytest.fail)
    for name in ("median", "mad", "sigma", "mean", "rms", "slope", "intercept", "correlation", "count"):
        assert content["statistics"][name] == comparison[name].item()
    assert content["overlap"]["bounds"] == [round(v, 9) for v in (WEST & EAST).bounds]
    assert (content["first"]["track"], content["second"]["track"]) == ("A064", "A137")
    assert content["second"]["source"]["url"] == "memory://synthetic.he5"
    assert content["histogram"]["count"] == comparison["histogram"].values.tolist()
    assert len(content["profiles"]) == 4
    profile = content["profiles"][0]
    assert None in profile["difference"]
    known = np.array(profile["difference"], float)
    np.testing.assert_allclose(known, along[0]["difference"], atol=1e-9)
    known = known[np.isfinite(known)]
    assert (profile["median"], profile["count"]) == (pytest.approx(np.median(known)), known.size)
    assert profile["rms"] == pytest.approx(np.sqrt((known**2).mean()))
    assert max(map(len, text.splitlines())) > 200  # lists of numbers are on one line


# --- report ---------------------------------------------------------------------------------------


def test_report_of_a_mosaic_needs_no_other_file(tmp_path):
    tracks = [ds.chunk(y=11, x=13) for ds in pair()]
    adjustment = estimate_adjustment(tracks, anchor=0)
    more = {
        "pair_residual": ("pair", [0.25], {"units": "1"}),
        "loop_misclosure": ("loop", [0.0021], {"units": "m/yr"}),
        "ramp": ("track", [0.0, 0.0005], {"units": "m/km"}),
    }
    found = report.write_seams(tracks, adjustment.assign(more), tmp_path / "m_seams", title="Seams of <m>")
    assert sorted(p.name for p in tmp_path.iterdir()) == ["m_seams.html", "m_seams.json"]
    assert found == (f"{tmp_path}/m_seams.html", f"{tmp_path}/m_seams.json")
    html = (tmp_path / "m_seams.html").read_text()
    assert "<h1>Seams of &lt;m&gt;</h1>" in html
    assert "src=" not in re.sub(r'src="data:image/png;base64,[^"]+"', "", html)
    (image,) = re.findall(r"base64,([^\"]+)", html)
    assert base64.b64decode(image).startswith(b"\x89PNG")
    median = float(compare_overlap(*tracks)["median"]) * 1e3
    cells = re.findall(r"<td[^>]*>([^<]*)</td>", html)
    assert cells[:4] == ["A064-A137", "520", f"{median:.2f}", "0.00"]
    for heading in ("residual", "misclosure [mm/yr]", "offset [mm/yr]", "ramp [m/km]", "Loops of the network"):
        assert heading in html
    assert {"0.25", "2.10", "0.0005"} <= set(cells)
    content = json.loads((tmp_path / "m_seams.json").read_text(), parse_constant=pytest.fail)
    assert content["adjustment"]["offset"]["values"][1] == pytest.approx(median / 1e3)
    assert content["seams"][0]["after"]["median"] == pytest.approx(0, abs=1e-8)
    assert content["seams"][0]["before"]["statistics"]["count"] == 520


def test_maps_before_and_after_stand_side_by_side(monkeypatch):
    monkeypatch.setattr(report, "_MAX_PIXELS", 10)
    tracks = pair()
    seam = report._compute(compare_seams(tracks, estimate_adjustment(tracks, anchor=0))[0])
    assert seam.before["map"].shape == (10, 7)
    whole = compare_overlap(*tracks)["difference"].values
    np.testing.assert_array_equal(seam.before["map"], whole[1::3, 1::3])
    figure = report.plot_change(seam, seam_unit(seam.before))
    one, two = figure.axes[:2]
    assert (one.get_title(), two.get_title()) == ("A064-A137, before", "A064-A137, after")
    assert np.ma.median(two.images[0].get_array()) == pytest.approx(0, abs=0.5)
    assert np.ma.median(one.images[0].get_array()) == pytest.approx(3, abs=0.5)
    west, east = one.get_xlim()
    assert west == pytest.approx(EAST.bounds[0])
    assert east == pytest.approx(EAST.bounds[0] + 7 * 3 / 125)


def test_a_mosaic_whose_tracks_share_no_data_says_so(tmp_path):
    a, b = pair()
    a["velocity"] = a["velocity"].where(a["x"] < EAST.bounds[0])
    pairs = estimate_adjustment([a, b], anchor=0)[["pair_median", "pair_sigma", "pair_count", "offset"]]
    adjustment = pairs.assign(offset=("track", [0.0, 0.0]))
    report.write_seams([a, b], adjustment, tmp_path / "s")
    assert "No two tracks share a pixel with data." in (tmp_path / "s.html").read_text()
    content = json.loads((tmp_path / "s.json").read_text())
    assert content["seams"][0]["before"]["statistics"]["median"] is None
    assert content["adjustment"]["pair_median"]["values"] == [None]


def test_ramps_are_listed_in_the_unit_of_the_maps(tmp_path):
    x = 0.01 * np.arange(30)
    a = lattice_dataset(small_window(20, 30), velocity=x, track="A001")
    b = lattice_dataset(small_window(20, 30, west=-119 + 8 / 125), velocity=x + 0.02 * np.arange(30), track="A002")
    adjustment = estimate_adjustment([a, b], order=1, anchor="A001").compute()
    html, _ = report.write_seams([a, b], adjustment, tmp_path / "s")
    table = Path(html).read_text().partition("Ramps, x km east")[2]
    slope = float(adjustment["coefficient"].sel(track="A002", term="x")) * 1e3
    assert "x [mm/yr/km]" in table
    assert f"{slope:.4g}" in table


def test_looks_that_were_compared_alike_are_in_the_report(tmp_path):
    a, b = pair()
    adjustment = estimate_adjustment([a, b], anchor=0, look="vertical", min_overlap=1)
    html, listed = report.write_seams([a, b], adjustment, tmp_path / "s", look="vertical")
    assert "rms, after, as if vertical" in Path(html).read_text()
    (seam,) = json.loads(Path(listed).read_text())["seams"]
    assert seam["after_alike"]["count"] == seam["after"]["count"]
    assert "as if vertical" in plot_seam(compare_overlap(a, b, look="vertical").compute())._suptitle.get_text()
