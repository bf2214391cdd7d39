"""``mimtpy deramp`` and ``mimtpy subtract``."""

import json

import numpy as np
import pytest
from click.testing import CliRunner
from synthetic import lattice_dataset, small_window

from mimtpy_cloud.catalog.ingest import ingest
from mimtpy_cloud.catalog.tracks import open_track
from mimtpy_cloud.cli.app import cli
from mimtpy_cloud.cli.products import observe, open_product, write_store
from mimtpy_cloud.exports.geotiff import write_cog
from mimtpy_cloud.exports.hdfeos5 import hdfeos5_name, write_hdfeos5
from mimtpy_cloud.exports.provenance import labelled
from mimtpy_cloud.ops.deramp import remove_ramp
from mimtpy_cloud.ops.difference import subtract
from mimtpy_cloud.ops.enu import invert_enu
from mimtpy_cloud.ops.reference import set_reference

WINDOW = small_window(20, 25)
DATES = ("2020-01-01", "2020-01-13", "2020-01-25", "2020-02-06", "2020-02-18")


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
    assert len(folder.splitlines()) == 7
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


@pytest.fixture
def catalog(tmp_path):
    """Catalog of two tracks of one place, with the same dates."""
    rng, folder = np.random.default_rng(1), tmp_path / "he5"
    files = []
    for track in ("A064", "A137"):
        velocity = rng.normal(scale=0.01, size=WINDOW.shape)
        ds = lattice_dataset(WINDOW, dates=DATES, velocity=velocity, track=track, project=f"SynthSen{track}")
        files.append(folder / track / hdfeos5_name(ds))
        files[-1].parent.mkdir(parents=True)
        write_hdfeos5(ds, files[-1])
    ingest(files, tmp_path / "root")
    return tmp_path / "root"


@pytest.mark.parametrize("type_", ["velocity", "displacement", "series"])
def test_tracks_are_taken_as_products_are(catalog, tmp_path, type_):
    a, b = (observe(open_track(str(catalog), track), type_) for track in ("A064", "A137"))
    variable = "velocity" if type_ == "velocity" else "displacement"
    run("subtract", "A064", "A137", "--root", catalog, "--type", type_, "--out", tmp_path / "s.zarr")
    found = open_product(str(tmp_path / "s.zarr"))
    np.testing.assert_array_equal(found[variable], subtract(a, b)[variable])
    assert found.attrs["provenance"]["datasets"] == ["A064", "A137"]
    assert len(found.attrs["provenance"]["revisions"]) == 2
    run("deramp", "A064", "--root", catalog, "--type", type_, "--out", tmp_path / "d.zarr")
    np.testing.assert_array_equal(open_product(str(tmp_path / "d.zarr"))[variable], remove_ramp(a)[variable])
    point = (float(WINDOW.x[5]), float(WINDOW.y[7]))
    run("reference", "A064", "--root", catalog, "--type", type_, "--point", *point, "--out", tmp_path / "r.zarr")
    referred = open_product(str(tmp_path / "r.zarr"))[variable]
    np.testing.assert_array_equal(referred, set_reference(a, point=point)[variable])
    assert not referred.isel(x=5, y=7).any()


def test_the_name_tells_what_was_taken_of_a_track(catalog, tmp_path):
    box = (float(WINDOW.x[2]), float(WINDOW.y[15]), float(WINDOW.x[20]), float(WINDOW.y[3]))
    options = ("--root", catalog, "--start", DATES[1], "--no-mask", "--out", f"{tmp_path}/")
    stem = f"SynthSenA064_velocity_{DATES[1]}_{DATES[-1]}".replace("-", "")
    subset = "_subset_" + "_".join(f"{v:.10g}" for v in box)
    first, *_ = run("deramp", "A064", *options, "--bbox", *box).stdout.splitlines()
    assert first == f"{tmp_path}/velocity/{stem}{subset}_nomask_deramp_linear.zarr"
    first, *_ = run("reference", "A064", *options, "--plate", "Eurasia").stdout.splitlines()
    assert first == f"{tmp_path}/{stem}_nomask_plate_Eurasia.zarr"
    other = stem.replace("A064", "A137")
    first, *_ = run("subtract", "A064", "A137", *options, "--bbox", *box).stdout.splitlines()
    assert first == f"{tmp_path}/velocity/{stem}_nomask_minus_{other}_nomask{subset}.zarr"


def test_a_series_of_a_track_is_cut_by_dates_and_needs_a_store(catalog, tmp_path):
    options = ("--root", catalog, "--type", "series")
    run("deramp", "A064", *options, "--start", DATES[1], "--end", DATES[2], "--out", tmp_path / "cut.zarr")
    assert open_product(str(tmp_path / "cut.zarr")).sizes["time"] == 2
    assert "written as .zarr" in run("deramp", "A064", *options, "--out", f"{tmp_path}/", code=2).stderr
    late = run("deramp", "A064", *options, "--start", "2031-01-01", "--out", tmp_path / "late.zarr", code=2).stderr
    assert late.startswith("error: no acquisition of 2020-01-01 to 2020-02-18 lies in the range asked for, from 2031")
    assert "no dataset 'A1'" in run("subtract", "A064", "A1", "--root", catalog, code=2).stderr


def test_options_of_tracks_are_refused_for_products(products, tmp_path):
    out = tmp_path / "w.zarr"
    for given in (("--type", "series"), ("--no-mask",), ("--start", "2020-01-01"), ("--as-of", "2030-01-01")):
        message = run("deramp", products / "a.zarr", *given, "--out", out, code=2).stderr
        assert message.startswith(f"error: {given[0]} would choose from a track")
        assert not out.exists()
    assert "are the same" in run("subtract", products / "a.zarr", products / "a.zarr", code=2).stderr
    assert "no product" in run("deramp", tmp_path / "velocity.h5", code=2).stderr


def test_a_folder_may_have_the_name_of_a_track(catalog, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    first, *_ = run("deramp", "A064", "--root", catalog, "--out", "A064").stdout.splitlines()
    assert first.startswith("A064/velocity/SynthSenA064_velocity_")


def test_a_displacement_is_taken_where_the_source_has_a_velocity_too(tmp_path):
    ds = lattice_dataset(WINDOW, dates=DATES, velocity=np.full(WINDOW.shape, 0.01), track="A064")
    ds["velocity"] = (("y", "x"), np.full(WINDOW.shape, 0.5, "f4"), {"units": "m/yr"})
    for type_ in ("series", "displacement"):
        assert "velocity" not in observe(ds, type_)
    assert "velocity" in observe(ds, "velocity")


def test_a_series_that_is_named_needs_a_store_too(catalog, tmp_path):
    options = ("--root", catalog, "--type", "series", "--variable", "displacement", "--out", f"{tmp_path}/p/")
    assert "written as .zarr" in run("deramp", "A064", *options, code=2).stderr
    assert not (tmp_path / "p").exists()
