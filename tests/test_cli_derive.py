"""``mimtpy deramp`` and ``mimtpy subtract``."""

import json

import numpy as np
import pytest
from click.testing import CliRunner
from synthetic import lattice_dataset, small_window

from mimtpy_cloud.cli.app import cli
from mimtpy_cloud.cli.products import open_product, write_store
from mimtpy_cloud.exports.geotiff import write_cog
from mimtpy_cloud.exports.provenance import labelled
from mimtpy_cloud.ops.deramp import remove_ramp
from mimtpy_cloud.ops.difference import subtract
from mimtpy_cloud.ops.enu import invert_enu

WINDOW = small_window(20, 25)


def run(*args, code=0):
    result = CliRunner().invoke(cli, [str(arg) for arg in args], prog_name="mimtpy")
    assert result.exit_code == code, result.output + str(result.exception)
    return result


@pytest.fixture
def products(tmp_path):
    """Two velocity products, one stored as both Zarr and GeoTIFF."""
    folder = tmp_path / "in"
    rng = np.random.default_rng(0)
    plane = 0.01 + 2e-3 * (WINDOW.x - WINDOW.x[0]) - 1e-3 * (WINDOW.y[:, None] - WINDOW.y[0])
    a = lattice_dataset(WINDOW, velocity=plane + 1e-4 * rng.standard_normal(WINDOW.shape))
    b = lattice_dataset(small_window(20, 25, west=-119 + 4 / 125), velocity=rng.standard_normal(WINDOW.shape))
    for name, ds in (("a", a), ("b", b)):
        write_store(ds.chunk(), str(folder / f"{name}.zarr"), provenance={"revisions": [f"r{name}"]})
    write_cog(labelled(a, "velocity"), str(folder / "a.tif"))
    return folder


def test_deramp_writes_what_the_library_removes(products, tmp_path):
    out = run("deramp", products / "a.zarr", "--kind", "quadratic", "--out", f"{tmp_path}/").stdout
    names = tuple(f"SynthSenAT064_a_deramp_quadratic.{suffix}" for suffix in ("zarr", "tif", "png"))
    assert out.splitlines() == [f"{tmp_path}/velocity/{name}" for name in names]
    found = open_product(f"{tmp_path}/velocity/SynthSenAT064_a_deramp_quadratic.zarr")
    wanted = remove_ramp(open_product(str(products / "a.zarr")), "quadratic")
    np.testing.assert_array_equal(found["velocity"], wanted["velocity"])
    np.testing.assert_allclose(found["ramp_coefficient"], wanted["ramp_coefficient"])
    assert found.attrs["ramp_removed"]["kind"] == "quadratic"
    assert found.attrs["provenance"]["revisions"] == ["ra"]
    assert found["term"].values.tolist() == ["1", "x", "y", "x^2", "x y", "y^2"]


def test_deramp_takes_geotiffs_masks_and_polygons(products, tmp_path):
    west, north = -119, 37
    ring = [[west, north], [west + 0.08, north], [west + 0.08, north - 0.1], [west, north - 0.1], [west, north]]
    geometry = {"type": "Polygon", "coordinates": [ring]}
    (tmp_path / "p.geojson").write_text(json.dumps({"type": "Feature", "properties": {}, "geometry": geometry}))
    product = open_product(str(products / "a.tif"))
    used = product["velocity"].copy(data=np.arange(25) % 3 > 0 + np.zeros(WINDOW.shape)).astype("float32")
    mask = used.assign_attrs(units="1").to_dataset(name="quality")
    write_cog(labelled(mask, "quality"), str(tmp_path / "mask.tif"))
    out = tmp_path / "flat.tif"
    files = ("--mask-file", tmp_path / "mask.tif", "--exclude", tmp_path / "p.geojson")
    run("deramp", products / "a.tif", *files, "--robust", "--out", out)
    wanted = remove_ramp(product, mask=used, exclude=[np.array(ring)], robust=True)
    np.testing.assert_allclose(open_product(str(out))["velocity"], wanted["velocity"], atol=1e-9)
    assert not np.allclose(wanted["velocity"], remove_ramp(product)["velocity"], atol=1e-9)


def test_deramp_keeps_the_reference_if_asked(products, tmp_path):
    run("deramp", products / "a.zarr", "--keep-reference", "--out", tmp_path / "k.zarr")
    kept, before = open_product(str(tmp_path / "k.zarr")), open_product(str(products / "a.zarr"))
    assert float(kept["velocity"][0, 0]) == pytest.approx(float(before["velocity"][0, 0]), abs=1e-9)
    assert list(kept.attrs["reference_point"]) == before.attrs["reference_point"]


@pytest.mark.parametrize("join", ["inner", "outer"])
def test_subtract_writes_what_the_library_subtracts(products, tmp_path, join):
    a, b = products / "a.zarr", products / "b.zarr"
    out = run("subtract", a, b, "--join", join, "--out", tmp_path / "d.zarr").stdout
    assert out == f"{tmp_path}/d.zarr\n"
    found = open_product(str(tmp_path / "d.zarr"))
    wanted = subtract(open_product(str(a)), open_product(str(b)), join=join)
    np.testing.assert_array_equal(found["velocity"], wanted["velocity"])
    assert found["velocity"].shape == ((20, 21) if join == "inner" else (20, 29))
    np.testing.assert_allclose(found["velocity_std"].max(), np.sqrt(2) * 1e-3, rtol=1e-6)
    assert found.attrs["provenance"]["revisions"] == ["ra", "rb"]
    assert found.attrs["minuend"]["track"] == "A064"


def test_subtract_takes_geotiffs_and_names_a_folder(products, tmp_path):
    box = ("--bbox", -119, 36.9, -118.9, 37)
    out = run("subtract", products / "b.zarr", products / "a.tif", *box, "--out", f"{tmp_path}/").stdout
    name = "SynthSenAT064_b_minus_SynthSenAT064_a_subset_-119_36.9_-118.9_37"
    assert out.splitlines() == [f"{tmp_path}/velocity/{name}.{suffix}" for suffix in ("zarr", "tif", "png")]


def test_subtract_keeps_both_components(products, tmp_path):
    looks = [lattice_dataset(WINDOW, velocity=0.01, los_azimuth_angle=angle) for angle in (102.0, -102.0)]
    solved = invert_enu(looks)
    for name in ("one", "two"):
        write_store(solved.assign(east=solved["east"] + (name == "two")), str(tmp_path / f"{name}.zarr"), provenance={})
    out = run("subtract", tmp_path / "two.zarr", tmp_path / "one.zarr", "--out", tmp_path / "d.tif").stdout
    assert out.splitlines() == [f"{tmp_path}/d_east.tif", f"{tmp_path}/d_up.tif"]
    east, up = (open_product(line) for line in out.splitlines())
    np.testing.assert_allclose(east["east"], 1.0)
    np.testing.assert_allclose(up["up"], 0.0)
    folder = run("subtract", tmp_path / "two.zarr", tmp_path / "one.zarr", "--out", f"{tmp_path}/out/").stdout
    assert len(folder.splitlines()) == 6
    assert folder.startswith(f"{tmp_path}/out/velocity/")


@pytest.mark.parametrize("verb", [("deramp",), ("subtract", "b.zarr")])
def test_a_product_is_not_written_over_itself(products, verb):
    name, *other = verb
    inputs = [products / "a.zarr", *(products / file for file in other)]
    message = run(name, *inputs, "--out", products / ".." / "in" / "a.zarr", code=2).stderr
    assert "is what the product is made from and would be lost" in message


def test_a_mask_of_another_shape_is_refused(products, tmp_path):
    other = lattice_dataset(small_window(20, 24), velocity=1.0)[["valid"]]
    write_store(other, str(tmp_path / "mask.zarr"), provenance={})
    message = run(
        "deramp", products / "a.zarr", "--mask-file", tmp_path / "mask.zarr", "--out", tmp_path, code=2
    ).stderr
    assert message.splitlines()[-1].startswith("error: ")


@pytest.mark.parametrize(
    ("args", "says"),
    [
        (("deramp", "{f}/c.zarr"), "error: no product {f}/c.zarr; {f} has a.tif, a.zarr, b.zarr"),
        (("deramp", "{f}/a.zarr", "--out", "v.nc"), "error: --out is a name that ends in"),
        (("deramp", "{f}/a.zarr", "--variable", "up"), "error: the dataset needs up; it has"),
        (("deramp", "{f}/a.zarr", "--mask-file", "{f}/b.zarr"), "error: mask and data need the same coordinate x"),
        (("deramp", "{f}/a.zarr", "--exclude", "{f}/no.shp"), "error: no such file: {f}/no.shp"),
        (("subtract", "{f}/a.zarr", "{f}/c.zarr"), "error: no product {f}/c.zarr"),
        (("subtract", "{f}/a.zarr", "{f}/b.zarr", "--bbox", 0, 0, 1, 1), "error: box (0.0, 0.0, 1.0, 1.0)"),
    ],
    ids=lambda value: " ".join(map(str, value[2:])) if isinstance(value, tuple) else "",
)
def test_mistakes_get_one_line_and_write_nothing(products, tmp_path, monkeypatch, args, says):
    here = tmp_path / "here"
    here.mkdir()
    monkeypatch.chdir(here)
    result = run(*(str(arg).format(f=products) for arg in args), code=2)
    assert result.stdout == ""
    (line,) = (line for line in result.stderr.splitlines() if line.startswith("error: "))
    assert line.startswith(says.format(f=products))
    assert list(here.iterdir()) == []


def test_a_singular_ramp_is_one_line_and_writes_nothing(products, tmp_path):
    ds = open_product(str(products / "a.zarr")).load()
    ds["valid"][:] = False
    ds["valid"][3, 4:6] = True
    write_store(ds, str(products / "few.zarr"), provenance={})
    result = run("deramp", products / "few.zarr", "--out", tmp_path / "x.zarr", code=2)
    assert "error: 2 pixels with data and weight do not determine a linear ramp" in result.stderr
    assert not (tmp_path / "x.zarr").exists()
