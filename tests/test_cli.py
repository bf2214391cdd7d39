"""The command line, as a new user meets it."""

import json
import logging
import subprocess
import sys
from pathlib import Path

import click
import numpy as np
import pytest
from click.testing import CliRunner
from matplotlib.quiver import Quiver
from synthetic import lattice_dataset, look_vector, small_window

from mimtpy_cloud._version import __version__
from mimtpy_cloud.cli import console
from mimtpy_cloud.cli.app import cli
from mimtpy_cloud.cli.keys import KEYS
from mimtpy_cloud.cli.products import open_product, write_store
from mimtpy_cloud.exports.geotiff import write_cog
from mimtpy_cloud.exports.hdfeos5 import write_hdfeos5
from mimtpy_cloud.exports.provenance import labelled

DATES = ["2020-01-01", "2020-01-13", "2020-01-25", "2020-02-06"]
SPAN = "20200101_20200206"


def run(*args, code=0, **options):
    """Run ``mimtpy`` and return its result, after checking the exit code."""
    result = CliRunner().invoke(cli, [str(arg) for arg in args], prog_name="mimtpy", **options)
    assert result.exit_code == code, result.output + str(result.exception)
    return result


def commands(group=cli, path=()):
    for name, command in group.commands.items():
        yield (*path, name), command
        if isinstance(command, click.Group):
            yield from commands(command, (*path, name))


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Path:
    """Folder with two S1_*.he5 files and the catalog that ``mimtpy ingest`` made of them."""
    folder = tmp_path_factory.mktemp("cli")
    for track, azimuth, heading in (("A064", 102.0, -12.0), ("D071", -102.0, -168.0)):
        look = look_vector(39.0, azimuth)
        ds = lattice_dataset(
            small_window(20, 25),
            dates=DATES,
            velocity=0.012 * look[0] - 0.008 * look[2],
            los_azimuth_angle=azimuth,
            track=track,
            project=f"SynthSen{track}",
            heading=heading,
            orbit_direction="ascending" if track[0] == "A" else "descending",
        )
        write_hdfeos5(ds.chunk(), folder / f"S1_{track}.he5")
    files = sorted(folder.glob("*.he5"))
    result = run("ingest", *files, "--root", folder / "root", "--resolution", "veryLowRes")
    assert "SynthSenA064" in result.stdout
    assert result.stderr.startswith("ingest: ")
    return folder


@pytest.fixture
def root(folder, monkeypatch):
    """Root of the catalog, also as the default of ``--root``."""
    monkeypatch.setenv("MIMTPY_ROOT", str(folder / "root"))
    return folder / "root"


# --- help ---------------------------------------------------------------------------------------------------


def test_help_groups_the_verbs():
    lines = run("--help").output.splitlines()
    headings = {"Data:", "Analyse:", "Model:", "Look:", "Write:", "Run:"}
    groups, heading = {}, None
    for line in lines:
        if line in headings:
            heading = line
        elif heading and line.startswith("  ") and not line.startswith("   "):
            groups.setdefault(heading, []).append(line.split()[0])
    assert groups == {
        "Data:": ["ingest", "catalog", "publish", "cache", "extract", "convert"],
        "Analyse:": [
            "velocity",
            "displacement",
            "mosaic",
            "decompose",
            "decompose-series",
            "reference",
            "deramp",
            "subtract",
        ],
        "Model:": ["gridsearch", "simulate", "relax", "covariance", "quadtree"],
        "Look:": ["plot", "overlap", "profile", "transects", "gnss", "stations", "footprint"],
        "Write:": ["export", "to-geotiff"],
        "Run:": ["run", "demo", "doctor"],
    }


@pytest.mark.parametrize("path", [path for path, _ in commands()], ids=" ".join)
def test_every_verb_has_an_example_of_itself(path):
    text = run(*path, "--help").output
    example = text.partition("Example:")[2]
    assert f"mimtpy {' '.join(path)}" in example


def test_help_imports_nothing_heavy():
    code = (
        "import sys; sys.argv = ['mimtpy', '--help']\n"
        "from mimtpy_cloud.cli.app import main\n"
        "try: main()\n"
        "except SystemExit: pass\n"
        "heavy = {'numpy', 'xarray', 'dask', 'numba', 'zarr', 'matplotlib', 'rasterio', 'h5py', 'rich', 'fsspec'}\n"
        "print('heavy:', sorted(heavy & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert "Usage: mimtpy" in done.stdout
    assert done.stdout.splitlines()[-1] == "heavy: []"


def test_version_is_told():
    assert run("--version").output.strip() == f"mimtpy, version {__version__}"


def test_all_keys_of_a_template_are_listed():
    text = run("run", "--keys").output
    assert max(map(len, text.splitlines())) <= 120
    words = text.split()
    assert all(key.full in words for key in KEYS)
    assert "south,north,west,east in degrees" in text


# --- errors -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("args", "says"),
    [
        (
            ("velocity", "A065"),
            "error: no dataset 'A065' in {root}; it has Sentinel/A064 (SynthSenA064), Sentinel/D071",
        ),
        (("velocity", "A064", "--bbox", -1, 2, 3, 4), "error: A064 has no pixel in (-1.0, 2.0, 3.0, 4.0); it covers"),
        (("velocity", "A064", "--resolution", "lowRes"), "error: A064 has no resolution 'lowRes'; it has veryLowRes"),
        (("velocity", "A064", "--product", "1"), "error: A064 has no product '1'; it has 0113_0119"),
        (
            ("displacement", "A064", "--start", "20190101"),
            "error: no acquisition within 24 days of 2019-01-01; nearest: 2020",
        ),
        (("displacement", "A064", "--end", "soon"), "error: expected a date like 20200131 or 2020-01-31, got 'soon'"),
        (("catalog", "search", "--track", "A999"), "error: no dataset 'A999' in {root}; it has Sentinel/A064"),
        (("catalog", "list", "--root", "{root}/no"), "error: no catalog at {root}/no; set --root or MIMTPY_ROOT"),
        (
            ("velocity", "A064", "--start", "20200201", "--end", "20200101"),
            "error: the start 2020-02-01 is after the end 2020-01-01; exchange them",
        ),
        (("velocity", "A064", "--start", "20200114"), "error: a velocity needs at least 3 dates, got 2 of 4"),
        (("velocity", "A064", "--out", "x.nc"), "error: --out is a name that ends in .zarr, .tif or .png, or a folder"),
        (("decompose", "A064", "D071", "--out", "v.h5"), "error: --out is a name that ends in .zarr, .tif or .png"),
        (
            ("mosaic", "A064", "SynthSenA064"),
            "error: A064 and SynthSenA064 are the same; give each track or product once",
        ),
        (("decompose", "A064", "A064"), "error: A064 and A064 are the same; give each track or product once"),
        (
            ("catalog", "list", "--root", "{root}/Sentinel/A064/index.json"),
            "error: the root {root}/Sentinel/A064/index",
        ),
        (
            ("overlap", "A064", "D071", "--through", 0, 0),
            "error: the point (0.0, 0.0) (lon, lat) lies outside of the overlap of A064 and D071 [-119,",
        ),
        (("overlap", "A064", "A064"), "error: A064 and A064 are the same; give each track or product once"),
        (("mosaic", "A064"), "error: expected at least 2 tracks or products, got A064"),
        (("mosaic", "A064", "D071"), "error: a mosaic needs one orbit_direction"),
        (("plot", "{root}/velocity.zarr"), "error: no product {root}/velocity.zarr; {root} has no .zarr or .tif"),
        (
            ("run", "{root}/no.template"),
            "error: cannot read the template {root}/no.template: No such file or directory",
        ),
        (
            ("decompose", "A064", "D071", "--reference", 0, 0),
            "error: reference point (0.0, 0.0) (lon, lat) lies outside",
        ),
    ],
    ids=lambda value: " ".join(map(str, value[:3])) if isinstance(value, tuple) else "",
)
def test_mistakes_get_one_line_that_says_what_exists(root, tmp_path, monkeypatch, args, says):
    monkeypatch.chdir(tmp_path)
    result = run(*(str(arg).format(root=root) for arg in args), code=2)
    assert result.stdout == ""
    (line,) = (line for line in result.stderr.splitlines() if line.startswith("error: "))
    assert line.startswith(says.format(root=root))
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("args", "says"),
    [
        (("velocity", "A064", "--bbox", 1, 2, 3, "--out", "x"), "expected 4 numbers W S E N, got '--out'"),
        (("velocity", "A064", "--bbox", 1, 2, 3), "'--bbox' requires 4 arguments: W S E N"),
        (("decompose", "A064", "D071", "--reference", 1), "'--reference' requires 2 arguments: LON LAT"),
        (("decompose", "A064", "D071", "--azimuth", 400), "400.0 is not in the range -360<=x<=360"),
    ],
    ids=["too few before an option", "too few", "reference", "azimuth"],
)
def test_numbers_that_are_missing_or_out_of_range_are_usage_errors(args, says):
    assert says in run(*args, code=2).stderr


@pytest.mark.parametrize("bbox", [(1, 2, 0, 3), (0, 3, 1, 2), (0, 80, 1, 95)])
def test_boxes_in_another_order_are_usage_errors(root, bbox):
    assert "expected west south east north" in run("velocity", "A064", "--bbox", *bbox, code=2).stderr


def test_wrong_files_are_refused_in_one_line(tmp_path):
    (tmp_path / "S1_x.he5").write_bytes(b"not HDF5")
    for source in ("S1_x.he5", "S1_missing.he5"):
        result = run("ingest", tmp_path / source, "--root", tmp_path / "root", code=2)
        assert sum(line.startswith("error: ") for line in result.stderr.splitlines()) == 1
        assert source in result.stderr
    assert not (tmp_path / "root").exists() or not list((tmp_path / "root").rglob("index.json"))


@pytest.mark.parametrize(
    "args",
    [
        ("ingest", "s3://nobody/S1_x.he5", "--root", "{folder}/root"),
        ("run", "s3://nobody/mimtpyApp.template"),
        ("plot", "s3://nobody/velocity.zarr"),
    ],
    ids=["ingest", "run", "plot"],
)
@pytest.mark.parametrize("known", [False, True])
def test_object_store_that_cannot_be_used_is_one_line(tmp_path, monkeypatch, args, known):
    import s3fs

    for name in ("AWS_PROFILE", "AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("AWS_CONFIG_FILE", str(tmp_path / "none"))
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(tmp_path / "none"))
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:9")
    monkeypatch.setenv("AWS_MAX_ATTEMPTS", "1")
    if known:
        monkeypatch.setenv("AWS_ACCESS_KEY_ID", "x")
        monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "y")
    s3fs.S3FileSystem.clear_instance_cache()
    try:
        result = run(*(arg.format(folder=tmp_path) for arg in args), code=2)
    finally:
        s3fs.S3FileSystem.clear_instance_cache()
    (line,) = (line for line in result.stderr.splitlines() if line.startswith("error: "))
    assert ("127.0.0.1:9" if known else "credentials") in line


@pytest.mark.parametrize("args", [("ingest", "ftpx://a/S1_x.he5"), ("plot", "ftpx://a/b.zarr"), ("run", "ftpx://a.t")])
def test_unknown_scheme_is_one_line(args):
    assert "error: " in run(*args, code=2).stderr.splitlines()[-1]


def test_verbose_shows_where_an_error_came_from(root):
    quiet, loud = run("velocity", "A065", code=2), run("-v", "velocity", "A065", code=2)
    assert "Traceback" not in quiet.stderr
    assert "Traceback" in loud.stderr
    assert loud.stderr.splitlines()[-1] == quiet.stderr.splitlines()[-1]
    logging.getLogger("mimtpy_cloud").setLevel(logging.NOTSET)


def test_interrupt_ends_with_130(root, monkeypatch):
    def interrupted(*args, **options):
        raise KeyboardInterrupt

    monkeypatch.setattr("mimtpy_cloud.catalog.index.open_catalog", interrupted)
    assert "interrupted" in run("catalog", "list", code=130).stderr


# --- verbs --------------------------------------------------------------------------------------------------


def test_catalog_search_takes_names_as_other_verbs_do(root):
    for name in ("A64", "a064", "SynthSenA064", "Sentinel/A064"):
        out = run("catalog", "search", "--track", name).stdout
        assert "Sentinel/A064" in out
        assert "D071" not in out
    assert "exchange them" in run("catalog", "search", "--dates", "20200201", "20200101", code=2).stderr
    assert "had nothing as of 2019-01-01" in run("catalog", "list", "--as-of", "2019-01-01", code=2).stderr


def test_products_of_several_maps_are_as_many_geotiffs(root, tmp_path):
    out = run("decompose", "A064", "D071", "--out", tmp_path / "eu.tif").stdout
    assert out.splitlines() == [f"{tmp_path}/eu_east.tif", f"{tmp_path}/eu_up.tif"]
    assert "up" in open_product(str(tmp_path / "eu_up.tif"))


def test_decompositions_along_other_directions_do_not_take_each_others_place(root, tmp_path):
    one = run("decompose", "A064", "D071", "--out", tmp_path).stdout.splitlines()
    two = run("decompose", "A064", "D071", "--azimuth", 60, "--out", tmp_path).stdout.splitlines()
    assert not set(one) & set(two)
    assert two[0].endswith("SynthSenA064+SynthSenD071_horizontal_up_azimuth_60.zarr")


def test_a_name_tells_the_time_of_the_catalog(root, tmp_path):
    now = run("velocity", "A064", "--out", tmp_path).stdout.splitlines()
    then = run("velocity", "A064", "--as-of", "2999-01-01", "--out", tmp_path).stdout.splitlines()
    assert not set(now) & set(then)
    assert then[0].endswith("_asof_29990101.zarr")


def test_nothing_is_written_into_a_store(root, tmp_path):
    run("velocity", "A064", "--out", tmp_path / "v.zarr")
    message = run("velocity", "D071", "--out", tmp_path / "v.zarr" / "inside.zarr", code=2).stderr
    assert "lies inside the Zarr store" in message
    assert not (tmp_path / "v.zarr" / "inside.zarr").exists()


def test_an_error_leaves_no_geotiff_open(root, tmp_path):
    run("velocity", "A064", "--out", tmp_path / "v.tif")
    mimtpy = Path(sys.executable).with_name("mimtpy")
    line = [mimtpy, "mosaic", tmp_path / "v.tif", "A999", "--root", root]
    done = subprocess.run(line, capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert done.stderr.splitlines()[-1].startswith("error: no dataset 'A999'")


def test_catalog_is_listed_shown_searched_checked_and_cleaned(root):
    assert run("catalog", "list").stdout.splitlines()[0].endswith("committed, UTC")
    assert [line.split()[0] for line in run("catalog", "list").stdout.splitlines()] == [
        "track",
        "Sentinel/A064",
        "Sentinel/D071",
    ]
    shown = run("catalog", "show", "a64").stdout
    assert "SynthSenA064" in shown
    assert " ".join(DATES) in shown
    found = run("catalog", "search", "--bbox", -119.1, 36.9, -118.9, 37.1, "--dates", "20200101", "20200102").stdout
    assert "Sentinel/D071" in found
    assert "all stores are whole" in run("catalog", "verify").stderr
    assert "0 stores would be removed" in run("catalog", "gc", "--older-than", 1, "--dry-run").stderr


def test_verify_fails_where_a_store_is_damaged(folder, tmp_path):
    run("ingest", folder / "S1_A064.he5", "--root", tmp_path, "--resolution", "veryLowRes")
    (store,) = (tmp_path / "Sentinel" / "A064").rglob("*.zarr")
    (store / "zarr.json").unlink()
    result = run("catalog", "verify", "--root", tmp_path, code=1)
    assert "the store is missing" in result.stdout


def test_ingest_of_the_same_files_changes_nothing(folder, root):
    before = run("catalog", "list").stdout
    told = run("ingest", folder / "S1_A064.he5", "--root", root, "--resolution", "veryLowRes").stderr
    assert "1 of 1 there already, of the same content and parameters" in told
    assert run("catalog", "list").stdout == before


@pytest.mark.parametrize(
    ("options", "suffix", "dates"),
    [
        ((), "", 4),
        (("--exclude", "20200113"), "_excl_20200113", 3),
        (("--bbox", -119, 36.9, -118.9, 37, "--no-mask"), "_subset_-119_36.9_-118.9_37_nomask", 4),
    ],
)
def test_velocity_writes_the_folders_of_a_project(root, tmp_path, options, suffix, dates):
    result = run("velocity", "A064", *options, "--out", tmp_path)
    names = result.stdout.splitlines()
    stem = f"{tmp_path}/SynthSenA064/velocity/velocity_{SPAN}{suffix}"
    assert names == [f"{stem}.zarr", f"{stem}.tif", f"{stem}.png"]
    assert all(Path(name).exists() for name in names)
    assert f"SynthSenA064: 2020-01-01 to 2020-02-06, {dates} dates" in result.stderr


def test_velocity_keeps_to_the_period(root, tmp_path):
    result = run("velocity", "A064", "--start", "20200102", "--end", "20200206", "--out", tmp_path / "v.zarr")
    assert "SynthSenA064: 2020-01-13 to 2020-02-06, 3 dates" in result.stderr
    assert open_product(str(tmp_path / "v.zarr")).attrs["start_date"] == "2020-01-13"


@pytest.mark.parametrize("suffix", ["zarr", "tif", "png"])
def test_out_may_be_one_file(root, tmp_path, suffix):
    out = tmp_path / f"d.{suffix}"
    box = ("--bbox", -119, 36.9, -118.9, 37)
    assert run("displacement", "D071", *box, "--no-mask", "--out", out).stdout == f"{out}\n"
    assert [p.name for p in tmp_path.iterdir()] == [out.name]


def test_decompose_and_mosaic_take_tracks_and_products(root, tmp_path):
    run("velocity", "A064", "--out", tmp_path / "one.zarr")
    out = run("decompose", tmp_path / "one.zarr", "D071", "--reference", -118.95, 36.95, "--out", tmp_path).stdout
    names = (
        "east_up_R.zarr",
        "east_R.tif",
        "up_R.tif",
        "east_R.png",
        "up_R.png",
        "east_up_R.png",
        "east_up_R_vectors.png",
    )
    wanted = [name.replace("R", "ref_-118.95_36.95") for name in names]
    assert out.splitlines() == [f"{tmp_path}/velocity/SynthSenA064_one+SynthSenD071_{name}" for name in wanted]
    out = run("decompose", "A064", "D071", "--azimuth", -90, "--out", tmp_path / "hu.zarr").stdout
    assert out == f"{tmp_path}/hu.zarr\n"
    out = run("mosaic", "A064", tmp_path / "one.zarr", "--out", tmp_path / "m.zarr").stdout
    assert out == f"{tmp_path}/m.zarr\n"


def shifted(url, to, **attrs):
    """Copy a stored velocity with another datum."""
    ds = open_product(str(url))
    moved = ds["velocity"] + np.float32(0.01)
    ds = ds.assign(velocity=moved.assign_attrs(ds["velocity"].attrs)).assign_attrs(attrs)
    write_store(ds, str(to), provenance={})


def test_mosaic_keeps_the_datum_of_the_first(root, tmp_path):
    one, two = tmp_path / "one.zarr", tmp_path / "two.zarr"
    run("velocity", "A064", "--out", one)
    shifted(one, two, track="A137", reference_point=[-118.9, 36.9])
    for names in ((one, two), (two, one)):
        run("mosaic", *names, "--out", tmp_path / "m.zarr")
        joined, first = open_product(str(tmp_path / "m.zarr")), open_product(str(names[0]))
        np.testing.assert_allclose(joined["velocity"], first["velocity"], atol=1e-7)


def test_mosaic_in_a_folder_reports_its_seams(root, tmp_path):
    one, two = tmp_path / "one.zarr", tmp_path / "two.zarr"
    run("velocity", "A064", "--out", one)
    shifted(one, two, track="A137")
    names = run("mosaic", one, two, "--out", tmp_path).stdout.splitlines()
    stem = f"{tmp_path}/velocity/SynthSenA064_one_SynthSenA064_two_mosaic"
    ends = (".zarr", ".tif", ".png", "_seams.html", "_seams.json")
    assert names == [f"{stem}{end}" for end in ends]
    (seam,) = json.loads(Path(names[-1]).read_text())["seams"]
    assert seam["pair"] == "A064-A137"
    assert seam["before"]["statistics"]["median"] == pytest.approx(-0.01, abs=1e-8)
    assert seam["after"]["median"] == pytest.approx(0, abs=1e-8)
    assert "<h1>Seams of SynthSenA064_one_SynthSenA064_two_mosaic</h1>" in Path(names[-2]).read_text()


def test_mosaic_takes_ramps_blends_and_stations(root, tmp_path):
    one, two = tmp_path / "one.zarr", tmp_path / "two.zarr"
    run("velocity", "A064", "--out", one)
    shifted(one, two, track="A137")
    stations = tmp_path / "stations.csv"
    stations.write_text("name,lon,lat,ve,vn,vu,se,sn,su\nP1,-118.95,36.95,10,0,0,1,1,1\nP2,-118.9,36.9,10,0,0,1,1,1\n")
    out = run("mosaic", one, two, "--stations", stations, "--units", "mm/yr", "--out", tmp_path / "tied.zarr").stdout
    assert open_product(out.strip()).attrs["anchor"] == "ties"
    names = run("mosaic", one, two, "--order", 0, "--blend", "feather", "--out", tmp_path).stdout.splitlines()
    assert names[0] == f"{tmp_path}/velocity/SynthSenA064_one_SynthSenA064_two_mosaic_blend_feather.zarr"
    ds = open_product(names[0])
    assert ds.attrs["blend"] == "feather"
    assert ds.attrs["provenance"]["blend"] == "feather"
    names = run("mosaic", one, two, "--order", 1, "--look", "vertical", "--out", tmp_path).stdout.splitlines()
    assert names[0] == f"{tmp_path}/velocity/SynthSenA064_one_SynthSenA064_two_mosaic_order_1_look_vertical.zarr"
    ds = open_product(names[0])
    assert ds.term.values.tolist() == ["1", "x", "y"]
    np.testing.assert_allclose(ds["velocity"], open_product(str(one))["velocity"], atol=1e-6)


def test_overlap_compares_products_and_prints_the_numbers(root, tmp_path):
    one, two = tmp_path / "one.zarr", tmp_path / "two.tif"
    run("velocity", "A064", "--out", one)
    shifted(one, tmp_path / "two.zarr", track="A137")
    write_cog(labelled(open_product(str(tmp_path / "two.zarr")), "velocity"), two)
    result = run("overlap", two, one, "--profiles", 2, "--out", tmp_path / "look")
    stem = f"{tmp_path}/look/SynthSenA064_two_SynthSenA064_one_velocity_overlap_profiles_2"
    lines = result.stdout.splitlines()
    assert lines[-2:] == [f"{stem}.png", f"{stem}.json"]
    numbers = {line.split()[0]: line.split()[1:] for line in lines[:-2]}
    assert numbers["difference"] == ["A137", "minus", "A064"]
    assert numbers["median"] == ["10", "mm/yr"]  # the first above the second by 10 mm/yr
    assert numbers["pixels"] == ["500"]
    assert Path(f"{stem}.png").stat().st_size > 10_000
    content = json.loads(Path(f"{stem}.json").read_text())
    assert content["statistics"]["median"] == pytest.approx(0.01, abs=1e-7)
    assert (content["units"], content["sign"]) == ("m/yr", "difference = first - second")
    assert content["provenance"]["datasets"] == [str(two), str(one)]
    assert content["first"]["start_date"] == "2020-01-01"
    kinds = [(p["direction"], p["azimuth"]) for p in content["profiles"]]
    assert kinds == [("along", 348.0)] * 2 + [("across", 78.0)] * 2
    for profile in content["profiles"]:
        assert profile["median"] == pytest.approx(0.01, abs=1e-7)
        assert len(profile["lon"]) == len(profile["first"]) == len(profile["distance_km"])


def test_overlap_takes_tracks_and_profiles_through_a_point(root, tmp_path):
    point = (-118.9, 36.93)
    options = ("--through", *point, "--azimuth", 30, "--type", "displacement", "--out", tmp_path)
    run("overlap", "A064", "D071", *options)
    told = "through_-118.9_36.93_azimuth_30"
    content = json.loads((tmp_path / f"SynthSenA064_SynthSenD071_displacement_overlap_{told}.json").read_text())
    assert content["variable"] == "displacement"
    assert [(p["direction"], p["azimuth"]) for p in content["profiles"]] == [("along", 30), ("across", 120)]
    for profile in content["profiles"]:
        at = profile["distance_km"].index(0)
        assert (profile["lon"][at], profile["lat"][at]) == pytest.approx(point)
    assert len(list(tmp_path.iterdir())) == 2


def test_no_joint_product_is_written_over_what_it_is_made_of(root, tmp_path):
    one, two = tmp_path / "one.zarr", tmp_path / "two.zarr"
    run("velocity", "A064", "--out", one)
    shifted(one, two, track="A137")
    for verb in ("mosaic", "decompose"):
        message = run(verb, one, two, "--out", f"{tmp_path}/../{tmp_path.name}/two.zarr", code=2).stderr
        assert "is what the product is made from and would be lost" in message
    told = run("mosaic", one, two, "--out", tmp_path / "m.zarr").stderr
    assert "added in mm/yr: A064 +0.00, A137 -10.00" in told
    assert "A064-A137: rms 10.00 before, 0.00 after, 500 pixels" in told
    assert "--units" in run("mosaic", one, two, "--units", "mm/yr", code=2).stderr


def test_decompose_takes_what_is_known_of_north(root, tmp_path):
    base = ("decompose", "A064", "D071")
    run(*base, "--north", "0.02", "--out", tmp_path / "number.zarr")
    number = open_product(str(tmp_path / "number.zarr"))
    field = number[["up"]].rename(up="north") * 0 + 0.02
    write_store(field.assign_attrs(number.attrs), str(tmp_path / "field.zarr"), provenance={})
    run(*base, "--north", tmp_path / "field.zarr", "--out", tmp_path / "as_field.zarr")
    np.testing.assert_allclose(open_product(str(tmp_path / "as_field.zarr"))["up"], number["up"], atol=1e-9)
    names = run(*base, "--north", "0.02", "--north-std", "0.005", "--out", f"{tmp_path}/p/").stdout.splitlines()
    stem = f"{tmp_path}/p/velocity/SynthSenA064+SynthSenD071"
    assert names[0] == f"{stem}_east_up_north_0.02_northstd_0.005.zarr"
    prior = open_product(names[0])
    assert (prior["up_std"] > number["up_std"]).all()
    assert prior.attrs["provenance"]["north_std"] == 0.005
    names = run(*base, "--components", "enu", "--north-std", "0.005", "--out", f"{tmp_path}/p/").stdout.splitlines()
    assert names[1:4] == [f"{stem}_{name}_components_enu_northstd_0.005.tif" for name in ("east", "north", "up")]
    assert (
        "would be lost"
        in run(*base, "--north", tmp_path / "field.zarr", "--out", tmp_path / "field.zarr", code=2).stderr
    )
    assert "--units" in run(*base, "--north", "0.02", "--units", "mm/yr", code=2).stderr
    assert "got both" in run(*base, "--components", "eu", "--azimuth", "30", code=2).stderr
    assert "has some hundred" in run(*base, "--components", "enu", code=2).stderr.replace("would have", "has")
    assert "got both" in run(*base, "--components", "hu", "--azimuth", "30", code=2).stderr
    assert "one orbit direction" in run(*base, "--components", "hu", code=2).stderr


def test_decompose_takes_north_of_stations(root, tmp_path):
    table = tmp_path / "gnss.csv"
    rows = [f"S{k},{lon},{lat},0,20,0,0.1,0.1,0.1" for k, (lon, lat) in enumerate([(-118.9, 36.9), (-118.8, 36.95)])]
    table.write_text("\n".join(["station,lon,lat,east,north,up,east_std,north_std,up_std", *rows]))
    base = ("decompose", "A064", "D071", "--reference", -118.95, 36.95)
    run(*base, "--out", tmp_path / "plain.zarr")
    names = run(*base, "--north", table, "--units", "mm/yr", "--out", f"{tmp_path}/p/").stdout.splitlines()
    assert names[0].endswith("SynthSenA064+SynthSenD071_east_up_north_gnss_ref_-118.95_36.95.zarr")
    plain, made = open_product(str(tmp_path / "plain.zarr")), open_product(names[0])
    np.testing.assert_allclose(made["up"], plain["up"], atol=1e-7)  # all move alike, and the reference with them
    assert (made["up_std"] > plain["up_std"]).all()


def test_decompose_rescales_standard_deviations(tmp_path):
    rng = np.random.default_rng(0)
    names = []
    for k, (incidence, azimuth) in enumerate([(39.0, 102.0), (34.0, -102.0), (44.0, 60.0)]):
        look = look_vector(incidence, azimuth)
        noise = 3e-3 * rng.standard_normal((20, 25))  # velocity_std is 1 mm/yr
        ds = lattice_dataset(
            small_window(20, 25),
            velocity=0.012 * look[0] - 0.008 * look[2] + noise,
            incidence_angle=incidence,
            los_azimuth_angle=azimuth,
            track=f"A{k:03d}",
        )
        names.append(str(tmp_path / f"A{k:03d}.zarr"))
        write_store(ds, names[-1], provenance={})
    out = run("decompose", *names, "--rescale-std", "--out", tmp_path / "eu.zarr").stdout
    assert "A001: standard deviations x 3." in out or "A001: standard deviations x 2." in out
    made = open_product(str(tmp_path / "eu.zarr"))
    assert float(made["chi2"].mean()) == pytest.approx(1, abs=0.1)
    assert made.attrs["provenance"]["rescale_std"] is True
    window = small_window(20, 25)
    box = tuple(np.round((window.x[2], window.y[-2], window.x[-2], window.y[2]), 3))
    run("decompose", *names, "--rescale-std", "--patch", *box, "--out", f"{tmp_path}/p/")
    assert any("_east_up_rescaled_patch_" in file.name for file in (tmp_path / "p" / "velocity").iterdir())
    assert "3 or more" in run("decompose", *names[:2], "--rescale-std", "--out", tmp_path / "x.zarr", code=2).stderr
    assert "expected --rescale-std" in run("decompose", *names, "--patch", *box, code=2).stderr
    far = run("decompose", *names, "--rescale-std", "--patch", 0, 1, 2, 3, "--out", tmp_path / "x.zarr", code=2).stderr
    assert "no track has pixels in the patch" in far
    assert not (tmp_path / "x.zarr").exists()


def test_a_map_of_a_series_shows_its_last_date(root, tmp_path, monkeypatch):
    from mimtpy_cloud.view import map as view

    run("reference", "A064", "--type", "series", "--date", "2020-01-01", "--out", tmp_path / "s.zarr")
    titles = []
    monkeypatch.setattr(view, "save_figure", lambda figure, *_, **__: titles.append(figure.axes[0].get_title()))
    run("plot", tmp_path / "s.zarr", "--out", tmp_path / "s.png")
    assert "2020-01-01 to 2020-02-06" in titles[0]


def test_decompose_refuses_datums_that_differ(root, tmp_path):
    two = tmp_path / "two.zarr"
    run("velocity", "D071", "--out", tmp_path / "one.zarr")
    shifted(tmp_path / "one.zarr", two, reference_point=[-118.9, 36.9])
    run("decompose", "A064", "D071", "--out", tmp_path / "a.zarr")
    run("decompose", "A064", two, "--reference", -118.95, 36.95, "--out", tmp_path / "b.zarr")
    message = run("decompose", "A064", two, "--out", tmp_path / "c.zarr", code=2).stderr
    assert "different datums" in message
    assert "D071: -118.9 36.9" in message
    assert "--reference LON LAT" in message
    run("decompose", "A064", two, "--same-datum", "--out", tmp_path / "c.zarr")


@pytest.mark.parametrize("name", ["eu.zarr", "east.tif", "eu.png", ""])
def test_decompose_of_one_direction_says_why_it_is_empty(root, tmp_path, name):
    one, two, out = tmp_path / "one.zarr", tmp_path / "two.zarr", tmp_path / "out"
    run("velocity", "A064", "--out", one)
    shifted(one, two, track="A137")
    out.mkdir()
    message = run("decompose", one, two, "--out", out / name, code=2).stderr
    assert "no pixel has two usable looks of A064+A137 that tell motion toward 90 degrees" in message
    assert list(out.rglob("*.*")) == []


def test_decompose_refers_to_a_point_outside_of_the_box(root, tmp_path):
    box, point = ("--bbox", -118.95, 36.9, -118.9, 36.95), ("--reference", -118.85, 36.98)
    run("decompose", "A064", "D071", *point, "--out", tmp_path / "all.zarr")
    run("decompose", "A064", "D071", *point, *box, "--out", tmp_path / "part.zarr")
    whole, part = open_product(str(tmp_path / "all.zarr")), open_product(str(tmp_path / "part.zarr"))
    assert 0 < part["up"].size < whole["up"].size
    np.testing.assert_array_equal(part["up"], whole["up"].sel(x=part["x"], y=part["y"]))


def test_damaged_geotiff_is_named(root, tmp_path):
    run("velocity", "A064", "--out", tmp_path / "v.tif")
    data = (tmp_path / "v.tif").read_bytes()
    third = len(data) // 3
    (tmp_path / "v.tif").write_bytes(data[:third] + b"U" * third + data[2 * third :])
    (line,) = (s for s in run("plot", tmp_path / "v.tif", code=2).stderr.splitlines() if s.startswith("error: "))
    assert "v.tif" in line


def test_plot_draws_stores_and_geotiffs(root, tmp_path):
    run("velocity", "A064", "--out", tmp_path / "v.zarr")
    run("velocity", "A064", "--out", tmp_path / "v.tif")
    run("velocity", "A064", "--bbox", -119, 36.991, -118.9, 37.001, "--no-mask", "--out", tmp_path / "row.tif")
    (tmp_path / "fault.gmt").write_text("> a\n-119 36.9\n-118.9 37\n")
    assert run("plot", tmp_path / "v.tif", "--limits", -5, 5, "--unit", "mm/yr").stdout == f"{tmp_path}/v.png\n"
    run("plot", tmp_path / "v.zarr", "--variable", "height", "--fault", tmp_path / "fault.gmt")
    assert (tmp_path / "v_height.png").stat().st_size > 1000
    single = run("plot", tmp_path / "row.tif", "--out", tmp_path / "row.png").stdout
    assert single == f"{tmp_path}/row.png\n"
    missing = run("plot", tmp_path / "v.zarr", "--variable", "speed", code=2).stderr
    assert "this product needs speed; it has" in missing


def test_plot_of_a_decomposition_shows_its_components(root, tmp_path, monkeypatch):
    from mimtpy_cloud.view import map as view

    drawn = []
    save = view.save_figure
    monkeypatch.setattr(view, "save_figure", lambda figure, url: drawn.append(figure) or save(figure, url))
    run("decompose", "A064", "D071", "--out", tmp_path / "eu.png")
    run("decompose", "A064", "D071", "--out", tmp_path / "eu.zarr")
    run("plot", tmp_path / "eu.zarr", "--limits", -20, 20, "--symlog")
    run("plot", tmp_path / "eu.zarr", "--variable", "up")
    panels = [[ax.get_title() for ax in figure.axes] for figure in drawn]
    both = ["east", "up", "east std", "up std", "number of looks", "quality"]
    assert panels[:2] == [both, both]
    assert [len(titles) for titles in panels] == [6, 6, 1]
    beside, alone = drawn[0].axes[1], drawn[2].axes[0]
    assert beside.get_title() == "up"
    assert alone.images[0].get_clim() == beside.images[0].get_clim()
    assert drawn[1].axes[1].images[0].get_clim() == (-20.0, 20.0)
    assert (tmp_path / "eu.png").stat().st_size > 1000


def test_plot_draws_vectors_with_stations(root, tmp_path, monkeypatch):
    from mimtpy_cloud.view import map as view

    drawn = []
    monkeypatch.setattr(view, "save_figure", lambda figure, url: drawn.append((figure, url)))
    store, table = tmp_path / "eu.zarr", tmp_path / "stations.csv"
    run("decompose", "A064", "D071", "--out", store)
    table.write_text("name,lon,lat,ve,vn,vu,se,sn,su\nP1,-118.95,36.95,10,0,0,1,1,1\nP2,-118.9,36.9,10,0,0,1,1,1\n")
    run("plot", store, "--vectors", "--limits", -3, 3)
    run("plot", store, "--vectors", "--stations", table, "--units", "mm/yr", "--out", tmp_path / "v.png")
    assert [url for _, url in drawn] == [f"{tmp_path}/eu_vectors.png", f"{tmp_path}/v.png"]
    quivers = [sum(isinstance(c, Quiver) for c in figure.axes[0].collections) for figure, _ in drawn]
    assert quivers == [1, 2]
    assert drawn[0][0].axes[0].images[0].get_clim() == (-3.0, 3.0)
    for given in (("--names",), ("--vectors", "--variable", "up"), ("--vectors", "--units", "mm/yr")):
        assert "expected --" in run("plot", store, *given, code=2).stderr
    run("velocity", "A064", "--out", tmp_path / "v.zarr")
    assert "needs up" in run("plot", tmp_path / "v.zarr", "--vectors", code=2).stderr


def test_run_reports_each_step_and_fails_with_1(root, tmp_path):
    template = tmp_path / "app.yml"
    template.write_text("velocity_displacement: {dataset: [A064, Nowhere]}\nplot: {enabled: no}\n")
    planned = run("run", template, "--out", tmp_path / "out", "--dry-run", code=1)
    assert "planned" in planned.stdout
    assert "2020-01-01 to 2020-02-06, 4 dates" in planned.stdout
    assert planned.stderr == ""
    assert not (tmp_path / "out").exists()
    result = run("run", template, "--out", tmp_path / "out", "--steps", "velcumu", code=1)
    rows = [line.split()[:3] for line in result.stdout.splitlines()]
    assert ["extract", "SynthSenA064", "done"] in rows
    assert ["extract", "Nowhere", "failed"] in rows
    assert "no dataset 'Nowhere'" in result.stdout
    template.write_text("velocity_displacement: {dataset: A064}\nplot: {enabled: no}\n")
    run("run", template, "--out", tmp_path / "out")


def test_run_refuses_unknown_keys_and_steps(root, tmp_path):
    template = tmp_path / "app.template"
    template.write_text("mimtpy.velcumu.tpye = velocity\n")
    message = run("run", template, code=2).stderr
    assert "line 1: mimtpy.velcumu.tpye is not a key; did you mean mimtpy.velcumu.type?" in message
    template.write_text("")
    assert "no step profiles; the steps are" in run("run", template, "--steps", "profiles", code=2).stderr


def test_demo_calls_the_demo(monkeypatch, tmp_path):
    called = []
    monkeypatch.setattr("mimtpy_cloud.cli.demo.run_demo", called.append)
    run("demo", "--out", tmp_path)
    assert called == [str(tmp_path)]


# --- console ------------------------------------------------------------------------------------------------


def test_progress_without_terminal_is_one_line(capsys):
    with console.progress_bar("work") as progress:
        progress(1, 2, "steps")
        progress(2, 2, "steps")
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith("work: 2/2 steps, ")


def test_progress_on_a_terminal_has_rate_and_remaining_time(capsys, monkeypatch):
    monkeypatch.setenv("TTY_COMPATIBLE", "1")
    monkeypatch.setenv("COLUMNS", "120")
    with console._bar("work") as progress:
        progress(5_000_000, 20_000_000, "bytes")
    text = capsys.readouterr().err
    assert "work" in text
    assert "5.0/20.0 MB" in text
    assert "MB/s" in text
    assert ":" in text.rsplit("MB/s", 1)[1]


def test_tables_are_not_cut_without_terminal(capsys):
    console.show_table(("name", "value"), [("x" * 150, "y" * 150)])
    header, row = capsys.readouterr().out.splitlines()
    assert header.split() == ["name", "value"]
    assert row == "x" * 150 + "  " + "y" * 150
