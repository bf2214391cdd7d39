"""Kirishima as its page tells it: MintPy's velocity, leaves, noise, and the input of GBIS."""

import re
import shlex
from pathlib import Path

import numpy as np
import pytest
import rasterio
import xarray as xr
from click.testing import CliRunner
from scipy.io import loadmat

from mimtpy_cloud.cli.app import cli
from mimtpy_cloud.cli.products import open_product
from mimtpy_cloud.io.covariance import read_covariance
from mimtpy_cloud.io.points import read_points

PAGE = (Path(__file__).parents[1] / "docs" / "kirishima.md").read_text()
WAVELENGTH = 0.2384035  # m, of the file
YEARS = 952 / 365.25


def _blocks(language: str) -> list[str]:
    return re.findall(rf"```{language}\n(.*?)```", PAGE, re.DOTALL)


@pytest.fixture(scope="module")
def kirishima(shared: Path) -> Path:
    return shared / "data" / "real" / "kirishima_mintpy"


@pytest.fixture(scope="module")
def made(kirishima: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Folder in which everything of the page was run."""
    folder = tmp_path_factory.mktemp("kirishima")
    for name in ("velocity.h5", "height.tif"):
        (folder / name).symlink_to(kirishima / name)
    commands = [line for block in _blocks("sh") for line in block.splitlines()]
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        (script,) = _blocks("python")
        exec(compile(script, "docs/kirishima.md", "exec"), {})
        for command in commands:
            result = CliRunner().invoke(cli, shlex.split(command)[1:])
            assert result.exit_code == 0, command + result.output
    return folder


@pytest.fixture(scope="module")
def pixels(made: Path) -> dict[str, np.ndarray]:
    return {name: column[:, 0] for name, column in loadmat(made / "pixels.mat").items() if name[0].isupper()}


@pytest.fixture(scope="module")
def leaves(made: Path) -> xr.Dataset:
    return read_points(made / "leaves.csv")


def settings(path: Path, name: str) -> list[float]:
    """Numbers of an input file of GBIS, one for each data set; a square is taken."""
    found = re.findall(rf"\.{name} = ([-\d.e]+)(\^2)?;", path.read_text())
    return [float(number) ** (2 if square else 1) for number, square in found]


def test_looks_from_the_attributes_are_those_of_the_orbit(made: Path) -> None:
    ds = open_product(str(made / "velocity.h5"))
    incidence = np.rad2deg(np.arccos(ds["los_up"].values))
    assert (incidence.min(), incidence.max()) == pytest.approx((34.961, 35.762), abs=1e-3)
    assert (np.diff(incidence[300]) < 0).all()  # descending, looks to the right: the satellite is in the east
    anticlockwise = np.rad2deg(np.arctan2(-ds["los_east"].values, ds["los_north"].values))
    np.testing.assert_allclose(anticlockwise, -100.385, atol=1e-3)


def test_every_pixel_is_a_row_as_the_file_has_it(made: Path, pixels: dict[str, np.ndarray]) -> None:
    with rasterio.open(made / "height.tif") as file:
        ds = open_product(str(made / "velocity.h5")).assign(known=(("y", "x"), file.read(1)))
    west, south, east, north = 130.85, 31.88, 130.91, 31.94
    part = ds.sel(x=slice(west, east), y=slice(north, south))
    row, col = np.nonzero(np.isfinite(part["velocity"].values))
    assert len(row) == pixels["Lon"].size == 104_588
    np.testing.assert_allclose(pixels["Lon"], part["x"].values[col], atol=1e-9)
    np.testing.assert_allclose(pixels["Lat"], part["y"].values[row], atol=1e-9)
    velocity = part["velocity"].values[row, col].astype(float)
    np.testing.assert_allclose(pixels["Phase"], -4 * np.pi / WAVELENGTH * velocity * YEARS, rtol=1e-6)
    np.testing.assert_allclose(pixels["Heading"], float(ds.attrs["heading"]), atol=1e-5)
    np.testing.assert_array_equal(pixels["Height"], part["known"].values[row, col].astype(float))


def test_the_crater_moves_toward_the_satellite_where_the_authors_outlined_it(
    kirishima: Path, pixels: dict[str, np.ndarray]
) -> None:
    outline = np.loadtxt(kirishima / "gbis" / "Shinmoe_crater_lonlat.xy", comments=["#", ">"])[:, :2]
    lon, lat = outline.mean(axis=0)
    km = 111.2 * np.hypot((pixels["Lon"] - lon) * np.cos(np.deg2rad(lat)), pixels["Lat"] - lat)
    moved = -1e3 * WAVELENGTH / 4 / np.pi * pixels["Phase"]  # mm, toward the satellite
    rings = [np.median(moved[(km >= a) & (km < b)]) for a, b in ((0, 0.3), (0.3, 0.6), (0.6, 1), (1.5, 2), (2, 3))]
    assert rings[0] < -8
    assert rings[1] > 14
    assert 10 < rings[2] < rings[1]
    assert max(map(abs, rings[3:])) < 1


def test_leaves_keep_what_the_pixels_say(leaves: xr.Dataset, made: Path, pixels: dict[str, np.ndarray]) -> None:
    table = {name: column[:, 0] for name, column in loadmat(made / "leaves.mat").items() if name[0].isupper()}
    assert table["Phase"].size == leaves.sizes["point"] == 1037
    for name, column in (("Lon", "lon"), ("Lat", "lat")):
        np.testing.assert_array_equal(table[name], leaves[column])
    np.testing.assert_allclose(table["Phase"], -4 * np.pi / WAVELENGTH * YEARS * leaves["velocity"], rtol=1e-9)
    for name in ("Inc", "Heading"):
        assert pixels[name].min() - 1e-4 <= table[name].min() <= table[name].max() <= pixels[name].max() + 1e-4
    count = np.genfromtxt(made / "leaves.csv", delimiter=",", names=True)["count_1"]
    assert count.sum() == pixels["Phase"].size
    assert (count * table["Phase"]).sum() / count.sum() == pytest.approx(pixels["Phase"].mean(), rel=1e-5)


def test_noise_is_that_of_the_published_inputs_within_a_factor_of_two_and_a_half(kirishima: Path, made: Path) -> None:
    ours = read_covariance(str(made / "noise.json"), "m/yr")
    for name in ("Shinmoe2017pre", "Iwo2017pre"):
        file = kirishima / "gbis" / f"{name}.inp"
        published = [settings(file, key)[1] for key in ("sillExp", "range", "nugget")]  # the second is track 23
        found = ours.sill * YEARS**2, 1e3 * ours.range_km, ours.nugget * YEARS**2
        for one, other in zip(found, published, strict=True):
            assert 0.4 < one / other < 2.5


def test_the_threshold_of_the_page_is_the_published_one(kirishima: Path) -> None:
    (published,) = set(settings(kirishima / "gbis" / "Shinmoe2017pre.inp", "quadtreeThresh"))
    epsilon = float(re.search(r"--epsilon (\S+)", PAGE).group(1))
    assert epsilon == pytest.approx(1e3 * published**0.5 / YEARS, rel=5e-3)
    assert settings(kirishima / "gbis" / "Shinmoe2017pre.inp", "wavelength") == [0.236, 0.236]  # 1 % less than the file


def test_a_mean_of_leaves_is_known_less_well_than_independent_ones_would_tell(made: Path, leaves: xr.Dataset) -> None:
    table = np.genfromtxt(made / "leaves.csv", delimiter=",", names=True)
    weights = table["absolute_weight_myr2"]
    known = 1e3 / np.sqrt(weights.size * weights.sum())
    independent = 1e3 / np.sqrt((1 / leaves["std"].values ** 2).sum())
    assert (known, independent) == pytest.approx((0.455, 0.0637), rel=0.01)
    assert np.median(weights[table["size_1"] == 64]) > 100 * np.median(weights[table["size_1"] == 4]) > 0
