"""``mimtpy decompose-series``, from files to a store and figures."""

import numpy as np
import pytest
import xarray as xr
from click.testing import CliRunner
from PIL import Image
from synthetic import lattice_dataset, look_vector, small_window

from mimtpy_cloud.cli.app import cli
from mimtpy_cloud.cli.products import open_product, write_store
from mimtpy_cloud.errors import ReferencePointError, SchemaError
from mimtpy_cloud.exports.hdfeos5 import write_hdfeos5
from mimtpy_cloud.ops.reference import set_reference
from mimtpy_cloud.ops.timeline import decompose_series
from mimtpy_cloud.view.timeline import plot_timeline

POINT = (-118.9, 36.9)
WINDOW = small_window(30, 40)


def run(*args, code=0):
    result = CliRunner().invoke(cli, [str(arg) for arg in args], prog_name="mimtpy")
    assert result.exit_code == code, result.output + str(result.exception)
    return result


def track(name, azimuth, first, count=40, noise=0.002):
    """A bowl that subsides with the seasons while its rim moves to the west."""
    dates = np.datetime64("2018-01-03") + (first + 12 * np.arange(count)).astype("timedelta64[D]")
    t = ((dates - np.datetime64("2018-01-03")) / np.timedelta64(1, "D") / 365.25)[:, None, None]
    y, x = np.meshgrid(np.linspace(-1, 1, WINDOW.ny), np.linspace(-1, 1, WINDOW.nx), indexing="ij")
    bowl = np.exp(-(x**2 + y**2) / 0.2)
    up = -bowl * (0.06 * t + 0.01 * np.sin(2 * np.pi * t))
    east = -0.05 * x * np.exp(-((x - 0.5) ** 2 + y**2) / 0.1) * t
    e, _, u = look_vector(39.0, azimuth)
    los = e * east + u * up + noise * np.random.default_rng(first).normal(size=up.shape)
    return lattice_dataset(
        WINDOW,
        dates=dates,
        displacement=los - los[:1],
        los_azimuth_angle=azimuth,
        track=name,
        project=f"Bowl{name}",
        heading=-12.0 if azimuth > 0 else -168.0,
        orbit_direction="ascending" if azimuth > 0 else "descending",
        reference_point=[float(WINDOW.x[0]), float(WINDOW.y[0])],
    )


@pytest.fixture(scope="module")
def root(tmp_path_factory):
    folder = tmp_path_factory.mktemp("series")
    for ds in (track("A064", 102.0, 0), track("D071", -102.0, 5)):
        write_hdfeos5(ds.chunk(), folder / f"S1_{ds.attrs['track']}.he5")
    run("ingest", *sorted(folder.glob("*.he5")), "--root", folder / "root", "--resolution", "veryLowRes")
    return folder / "root"


def test_a_folder_gets_the_store_its_last_map_and_places_over_time(root, tmp_path):
    base = ("decompose-series", "A064", "D071", "--root", root, "--reference", *POINT)
    names = run(*base, "--dates", "24D", "--sigma", 0.002, "--out", f"{tmp_path}/p/").stdout.splitlines()
    stem = f"{tmp_path}/p/series/BowlA064+BowlD071_east_up_sigma_0.002_dates_24D_ref_-118.9_36.9"
    assert names == [f"{stem}.zarr", f"{stem}.png", f"{stem}_time.png"]
    made = open_product(names[0])
    tracks = [set_reference(track(n, a, f), point=POINT) for n, a, f in (("A064", 102.0, 0), ("D071", -102.0, 5))]
    plain = decompose_series(tracks, sigma=0.002, dates="24D").compute()
    np.testing.assert_allclose(made["up"], plain["up"], atol=1e-6)
    np.testing.assert_allclose(made["regularisation"], plain["regularisation"], rtol=1e-3)
    assert made.attrs["provenance"]["step"] == "decompose-series"
    assert made.attrs["provenance"]["sigma"] == 0.002
    assert made["quality"].dtype == np.uint8
    for figure in names[1:]:
        with Image.open(figure) as image:
            assert min(image.size) > 300
    drawn = run("plot", names[0], "--variable", "up", "--out", tmp_path / "up.png").stdout
    assert drawn.strip() == f"{tmp_path}/up.png"


def test_products_are_taken_and_a_file_is_a_file(root, tmp_path):
    write_store(track("A064", 102.0, 0).chunk(), f"{tmp_path}/a.zarr", provenance={})
    write_store(track("D071", -102.0, 5).chunk(), f"{tmp_path}/d.zarr", provenance={})
    base = ("decompose-series", tmp_path / "a.zarr", tmp_path / "d.zarr")
    out = run(*base, "--method", "interpolation", "--out", tmp_path / "eu.zarr").stdout
    assert out.splitlines() == [f"{tmp_path}/eu.zarr"]
    assert open_product(f"{tmp_path}/eu.zarr").attrs["method"] == "interpolation"
    many = run(*base, "--azimuth", 80, "--regularisation", 1, "--at", *POINT, "--out", tmp_path / "h.zarr").stdout
    assert many.splitlines() == [f"{tmp_path}/h.zarr", f"{tmp_path}/h.png", f"{tmp_path}/h_time.png"]
    assert "horizontal" in open_product(f"{tmp_path}/h.zarr")
    named = run(*base, "--order", 0, "--no-mask", "--root", root, "--out", f"{tmp_path}/q/", code=2).stderr
    assert "--no-mask would choose from a track" in named
    assert "taken as written" in named


def test_every_order_has_a_name_and_a_weight_of_its_own(root, tmp_path):
    base = ("decompose-series", "A064", "D071", "--root", root, "--out", f"{tmp_path}/p/")
    names = [run(*base, "--order", order).stdout.splitlines()[0] for order in (0, 1, 2)]
    assert len(set(names)) == 3
    for name in names:
        std = open_product(name)["up_std"].isel(time=-1).values
        assert 1e-6 < np.nanmedian(std) < 0.1  # no weight at the edge of double precision


@pytest.mark.parametrize(
    ("options", "says"),
    [
        (("--out", "eu.tif"), "a time series is written as .zarr; give --out NAME.zarr or a folder"),
        (("--azimuth", 10, "--components", "eu"), "expected --azimuth or --components, got both"),
        (("--dates", "soon"), "a frequency such as '30D' or 'MS', got 'soon'"),
        (("--order", 5), "5 is not in the range 0<=x<=2"),
        (("--regularisation", -1), "regularisation must be a positive number"),
        (("--north-std", 0.01), "give sigma"),
        (("--units", "mm/yr"), "units (--units) are those of a table"),
        (("--reference-date", "2030-01-01"), "no acquisition within 24 days"),
        (("--at", -100, 10), "lies outside of the series"),
    ],
)
def test_mistakes_are_told_in_one_line(root, tmp_path, options, says, monkeypatch):
    monkeypatch.chdir(tmp_path)
    message = run("decompose-series", "A064", "D071", "--root", root, *options, code=2).stderr
    assert says in message


def test_a_figure_over_time_shows_the_bowl_and_its_uncertainty():
    tracks = [track("A064", 102.0, 0), track("D071", -102.0, 5)]
    ds = decompose_series(tracks, sigma=0.002)
    figure = plot_timeline(ds)
    up = figure.axes[1]
    assert up.get_ylabel() == "up [mm]"
    lows = [line.get_ydata()[-1] for line in up.get_lines() if len(line.get_ydata()) > 2]
    assert min(lows) < -60
    assert len(up.collections) == len(lows) == 2
    one = plot_timeline(ds, [POINT])
    assert [t.get_text() for t in one.axes[0].get_legend().get_texts()] == ["-118.9000 36.9000"]
    bare = plot_timeline(ds.where(ds.y > 100), [POINT])
    assert [t.get_text() for t in bare.axes[0].get_legend().get_texts()] == ["-118.9000 36.9000, no data"]
    with pytest.raises(ReferencePointError, match="outside of the series"):
        plot_timeline(ds, [(0.0, 0.0)])
    with pytest.raises(SchemaError, match="has east, horizontal or up over time"):
        plot_timeline(xr.Dataset({"velocity": (("y", "x"), np.zeros((2, 2)))}))


def test_another_date_can_be_made_zero():
    ds = decompose_series([track("A064", 102.0, 0), track("D071", -102.0, 5)], regularisation=0.01)
    day = str(ds.time.values[20])[:10]
    moved = set_reference(ds, date=day).compute()
    assert moved.attrs["reference_date"] == day
    assert (moved.up[20] == 0).all()
    np.testing.assert_allclose(moved.east[-1], (ds.east[-1] - ds.east[20]).compute(), atol=1e-7)
