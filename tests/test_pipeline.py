"""A template, from ingested files to products on disk."""

import json
from pathlib import Path

import numpy as np
import pytest
import rasterio
import xarray as xr
from lazy import no_compute
from synthetic import lattice_dataset, look_vector, small_window

from mimtpy_cloud.catalog.index import Entry, open_catalog
from mimtpy_cloud.catalog.ingest import ingest
from mimtpy_cloud.cli.datasets import describe_entries, find_dataset, resolve_dataset
from mimtpy_cloud.cli.pipeline import plan_steps, run_template, select_steps
from mimtpy_cloud.cli.products import compact_dates, dates_used, observe, open_product, write_store
from mimtpy_cloud.cli.template import parse_template
from mimtpy_cloud.errors import (
    CatalogError,
    DateError,
    MimtpyError,
    SchemaError,
    StorageError,
    TemplateError,
    TrackNotFoundError,
)
from mimtpy_cloud.exports.hdfeos5 import write_hdfeos5
from mimtpy_cloud.ops.rate import estimate_velocity
from mimtpy_cloud.ops.select import mask_invalid
from mimtpy_cloud.plan.dates import parse_date

EAST, UP = 0.012, -0.008
DATES = ["2020-01-01", "2020-01-13", "2020-01-25", "2020-02-06", "2020-12-31"]
SPAN = "20200101_20201231"
#: track: west edge, offset of its datum, incidence, azimuth of the look (anticlockwise), heading
TRACKS = {
    "A064": (-119.0, 0.0, 39.0, 102.0, -12.0),
    "A137": (-118.8, 0.004, 34.0, 102.0, -12.0),
    "D071": (-118.9, 0.0, 37.0, -102.0, -168.0),
}


@pytest.fixture(scope="module")
def root(tmp_path_factory) -> str:
    """Catalog of three small tracks with constant east and up motion."""
    folder = tmp_path_factory.mktemp("catalog")
    files = []
    for track, (west, offset, incidence, azimuth, heading) in TRACKS.items():
        look = look_vector(incidence, azimuth)
        ds = lattice_dataset(
            small_window(40, 50, west=west),
            dates=DATES,
            velocity=EAST * look[0] + UP * look[2] + offset,
            incidence_angle=incidence,
            los_azimuth_angle=azimuth,
            track=track,
            project=f"SynthSen{track}",
            heading=heading,
            orbit_direction="ascending" if track[0] == "A" else "descending",
            reference_point=[-118.75, 36.9],
        )
        files.append(folder / f"{track}.he5")
        write_hdfeos5(ds.chunk(), files[-1])
    ingest(files, folder / "root", resolution="veryLowRes")
    return str(folder / "root")


@pytest.fixture
def write(tmp_path):
    """Write a template and return its path."""

    def write(*lines: str) -> Path:
        path = tmp_path / "mimtpyApp.template"
        path.write_text("\n".join(lines))
        return path

    return write


EXTRACT = ("mimtpy.velcumu = yes", "mimtpy.velcumu.DataSet = SynthSenA064, Sentinel/A137, D071")
CONCATENATE = (
    "mimtpy.concatenation = yes",
    "mimtpy.concatenation.DataSet = SynthSenA064, Sentinel/A137",
    "mimtpy.concatenation.outname = ascending",
    "mimtpy.concatenation.outdir = joined",
)
HORZVERT = (
    "mimtpy.horzvert = yes",
    "mimtpy.horzvert.DataSet = ascending, D071",
    "mimtpy.horzvert.outdir = joined",
)


@pytest.fixture(scope="module")
def finished(root, tmp_path_factory):
    """A whole template, run once: its path, the folder of the products, the results, the progress."""
    folder = tmp_path_factory.mktemp("finished")
    template, calls = folder / "mimtpyApp.template", []
    template.write_text("\n".join([*EXTRACT, *CONCATENATE, *HORZVERT]))
    results = run_template(template, root=root, out=str(folder / "out"), progress=lambda *call: calls.append(call))
    return template, folder / "out", results, calls


def test_template_runs_from_tracks_to_east_and_up(finished):
    _, out, results, calls = finished
    assert [r.error for r in results] == [""] * len(results)
    assert {r.status for r in results} == {"done"}
    assert calls[-1] == (len(results), len(results), "steps")
    for result in results:
        assert all(Path(output).exists() for output in result.outputs)
    for track in TRACKS:
        folder = out / f"SynthSen{track}" / "velocity"
        assert sorted(p.name for p in folder.iterdir()) == [f"velocity_{SPAN}{s}" for s in (".png", ".tif", ".zarr")]
    files = {p.name for p in (out / "joined" / "velocity").iterdir()}
    maps = {f"{name}.{suffix}" for name in ("ascending", "horz", "vert") for suffix in ("png", "tif")}
    assert files == maps | {"ascending.zarr", "horz_vert.zarr", "horz_vert.png", "horz_vert_vectors.png"}


def test_geotiffs_have_units_nodata_and_epsg(finished):
    _, out, *_ = finished
    with rasterio.open(out / "SynthSenD071" / "velocity" / f"velocity_{SPAN}.tif") as raster:
        assert raster.crs.to_epsg() == 4326
        assert raster.units == ("m/yr",)
        assert np.isnan(raster.nodata)
        sources = json.loads(raster.tags()["SOURCES"])
    assert [Path(source["url"]).suffix for source in sources] == [".he5"]
    with rasterio.open(out / "joined" / "velocity" / "ascending.tif") as raster:
        assert len(json.loads(raster.tags()["SOURCES"])) == 2


def test_geotiffs_open_as_the_product_they_are(finished):
    _, out, *_ = finished
    stem = out / "SynthSenD071" / "velocity" / f"velocity_{SPAN}"
    store, raster = open_product(f"{stem}.zarr"), open_product(f"{stem}.tif")
    xr.testing.assert_allclose(raster["velocity"], store["velocity"], rtol=1e-12, atol=0)
    assert raster["velocity"].attrs == {name: store["velocity"].attrs[name] for name in ("units", "long_name")}
    for name in ("track", "start_date", "end_date", "reference_point", "provenance"):
        assert raster.attrs[name] == store.attrs[name]


def test_first_dataset_of_a_mosaic_keeps_its_datum(finished):
    _, out, *_ = finished
    joined = open_product(str(out / "joined" / "velocity" / "ascending.zarr"))
    los = look_vector(39.0, 102.0)
    assert float(joined["velocity"].isel(y=20, x=5)) == pytest.approx(EAST * los[0] + UP * los[2], abs=1e-6)


def test_east_and_up_are_recovered(finished):
    _, out, *_ = finished
    solved = open_product(str(out / "joined" / "velocity" / "horz_vert.zarr"))
    assert set(solved.data_vars) >= {"east", "up", "east_std", "up_std", "count"}
    only = solved.sel(x=slice(-118.89, -118.81))  # where A064 alone meets D071
    np.testing.assert_allclose(only["east"], EAST, atol=2e-5)
    np.testing.assert_allclose(only["up"], UP, atol=2e-5)


def test_products_say_what_they_were_made_from(finished, root):
    template, out, *_ = finished
    entries = {e.track: e for e in open_catalog(root).search()}
    made = open_product(str(out / "joined" / "velocity" / "ascending.zarr")).attrs
    assert made["provenance"] == {
        "template": str(template),
        "step": "concatenate",
        "datasets": ["SynthSenA064", "Sentinel/A137"],
        "revisions": [entries["A064"].revision, entries["A137"].revision],
        "root": open_catalog(root).root,
    }
    assert made["software"].startswith("mimtpy_cloud ")
    assert made["created"].endswith("+00:00")
    with rasterio.open(out / "joined" / "velocity" / "ascending.tif") as raster:
        assert json.loads(raster.tags()["PROVENANCE"])["provenance"]["step"] == "concatenate"


def statuses(results):
    return {(r.name, r.project): r.status for r in results}


def test_both_types_with_dates_box_and_no_figures(root, write, tmp_path):
    template = write(
        "mimtpy.velcumu = yes",
        "mimtpy.velcumu.dataset = A064",
        "mimtpy.velcumu.type = velocity, displacement",
        "mimtpy.velcumu.SNWE = 36.8,36.9,-118.9,-118.8",
        "mimtpy.velcumu.startDate = 20200110",
        "mimtpy.velcumu.endDate = 20210105",
        "mimtpy.plot = no",
    )
    results = run_template(template, root=root, out=str(tmp_path))
    assert [(r.name, r.status) for r in results] == [("extract", "done"), ("export", "done")] * 2
    marked = "20200113_20201231_subset_-118.9_36.8_-118.8_36.9"
    ds = open_product(str(tmp_path / "SynthSenA064" / "displacement" / f"displacement_{marked}.zarr"))
    assert -118.9 <= ds["x"].values[0] < ds["x"].values[-1] < -118.8
    assert 36.8 < ds["y"].values[-1] < ds["y"].values[0] <= 36.9
    assert ds.attrs["start_date"] == "2020-01-13"
    assert (tmp_path / "SynthSenA064" / "velocity" / f"velocity_{marked}.tif").exists()


def test_masks_and_coherence_are_layers(root, write, tmp_path):
    template = write(
        "mimtpy.plot = no",
        "mimtpy.mask = yes",
        "mimtpy.mask.dataset = A064",
        "mimtpy.coherence = yes",
        "mimtpy.coherence.dataset = A064",
        "mimtpy.coherence.mask = y",
    )
    results = run_template(template, root=root, out=str(tmp_path))
    assert [(r.name, r.error) for r in results] == [("mask", ""), ("export", ""), ("coherence", ""), ("export", "")]
    mask = open_product(str(tmp_path / "SynthSenA064" / "mask" / "mask.zarr"))
    assert mask["valid"].values.all()
    coherence = open_product(str(tmp_path / "SynthSenA064" / "coherence" / "temporal_coherence.zarr"))
    np.testing.assert_allclose(coherence["temporal_coherence"], 0.9)


def test_plotpair_draws_each_overlap_and_reports_the_seams(finished, root, write):
    _, out, *_ = finished
    options = ("mimtpy.concatenation.plotpair = y", "mimtpy.concatenation.azimuth = 30", "mimtpy.plot = no")
    lines = (*EXTRACT, *CONCATENATE, *options, "mimtpy.concatenation.outname = compared")
    template = write(*(line for line in lines if not line.endswith("outname = ascending")))
    (result,) = run_template(template, root=root, out=str(out), steps=["concatenation"])
    assert result.error == ""
    folder = out / "joined" / "velocity"
    names = {p.name for p in folder.iterdir() if p.name.startswith("compared")}
    assert names == {
        "compared.zarr",
        *(f"compared_seams.{suffix}" for suffix in ("html", "json")),
        *(f"compared_A064-A137.{suffix}" for suffix in ("png", "json")),
    }
    assert set(result.outputs) == {f"{folder}/{name}" for name in names if "A064" not in name}
    pair = json.loads((folder / "compared_A064-A137.json").read_text())
    assert {(p["direction"], p["azimuth"]) for p in pair["profiles"]} == {("along", 30), ("across", 120)}
    (seam,) = json.loads((folder / "compared_seams.json").read_text())["seams"]
    los = [look_vector(incidence, 102.0) for incidence in (39.0, 34.0)]
    apart = EAST * (los[0][0] - los[1][0]) + UP * (los[0][2] - los[1][2]) - 0.004
    assert seam["before"]["statistics"]["median"] == pytest.approx(apart, abs=1e-6)
    assert seam["after"]["median"] == pytest.approx(0, abs=1e-6)


def test_a_mosaic_takes_ramps_blends_and_stations(finished, root, write, tmp_path):
    _, out, *_ = finished
    table = tmp_path / "stations.csv"
    table.write_text("station,lon,lat,ve,vn,vu,se,sn,su\nS1,-118.9,36.9,12,0,2,1,1,1\nS2,-118.6,36.8,12,0,2,1,1,1\n")
    template = write(
        *EXTRACT,
        *(line for line in CONCATENATE if "outname" not in line),
        "mimtpy.concatenation.outname = tied",
        "mimtpy.concatenation.order = 1",
        "mimtpy.concatenation.blend = feather",
        f"mimtpy.concatenation.stations = {table}",
        "mimtpy.concatenation.units = mm/yr",
        "mimtpy.plot = no",
    )
    (result,) = run_template(template, root=root, out=str(out), steps=["concatenation"])
    assert (result.status, result.error) != ("done", "")  # two stations do not determine a ramp
    assert "do not determine the ramps" in result.error
    template.write_text(template.read_text().replace("order = 1", "order = 0"))
    (result,) = run_template(template, root=root, out=str(out), steps=["concatenation"])
    assert result.error == ""
    ds = open_product(str(out / "joined" / "velocity" / "tied.zarr"))
    assert (ds.attrs["anchor"], ds.attrs["blend"]) == ("ties", "feather")
    look = look_vector(39.0, 102.0)
    alone = ds["velocity"].where(ds["n_tracks"] == 1)[:, :10]
    np.testing.assert_allclose(alone, EAST * look[0] + (UP + 0.01) * look[2], atol=5e-4)  # the stations rise more


def test_rewrite_stores_the_shifted_track(finished, root, write):
    _, out, *_ = finished
    template = write(*EXTRACT, *CONCATENATE, "mimtpy.concatenation.rewrite = y")
    run_template(template, root=root, out=str(out), steps=["concatenate"])
    before = open_product(str(out / "SynthSenA137" / "velocity" / f"velocity_{SPAN}.zarr"))
    after = open_product(str(out / "joined" / "velocity" / f"SynthSenA137_velocity_{SPAN}_offset.zarr"))
    one, two = (look_vector(angle, 102.0) for angle in (39.0, 34.0))
    shift = EAST * (one[0] - two[0]) + UP * (one[2] - two[2]) - 0.004
    np.testing.assert_allclose(after["velocity"] - before["velocity"], shift, atol=1e-6)


def test_overlap_solves_tracks_of_one_direction_along_their_look(finished, root, write):
    _, out, *_ = finished
    template = write(
        *EXTRACT,
        "mimtpy.overlap = yes",
        "mimtpy.overlap.dataset = A064, A137",
        "mimtpy.overlap.SNWE = 36.8,37,-118.78,-118.65",
        "mimtpy.overlap.referencepoint = 36.9,-118.7",
    )
    (result,) = run_template(template, root=root, out=str(out), steps=["overlap"])
    assert (result.name, result.status, result.error) == ("overlap", "done", "")
    ds = open_product(str(out / "velocity" / "overlap_horz_overlap_vert.zarr"))
    assert ds.attrs["azimuth"] == pytest.approx(78.0)  # of the two ends of the look that on the side of east
    assert -118.78 <= ds["x"].values[0] < ds["x"].values[-1] < -118.65
    np.testing.assert_allclose(ds["horizontal"], 0.0, atol=1e-6)  # constant motion, referenced away


def test_reference_of_a_decomposition_may_lie_outside_of_its_box(finished, root, write):
    _, out, *_ = finished
    template = write(
        *EXTRACT,
        "mimtpy.horzvert = yes",
        "mimtpy.horzvert.dataset = A064, D071",
        "mimtpy.horzvert.SNWE = 36.8,37,-118.78,-118.65",
        "mimtpy.horzvert.referencepoint = 36.9,-118.82",
        "mimtpy.horzvert.outdir = cut",
        "mimtpy.plot = no",
    )
    (result,) = run_template(template, root=root, out=str(out), steps=["horzvert"])
    assert (result.status, result.error) == ("done", "")
    ds = open_product(str(out / "cut" / "velocity" / "horz_vert.zarr"))
    np.testing.assert_allclose(ds["up"], 0.0, atol=1e-6)  # constant motion, referenced away


def test_products_of_another_box_or_mask_do_not_take_each_others_place(root, write, tmp_path):
    names = set()
    for number, extra in enumerate(((), ("SNWE = 36.8,36.9,-118.9,-118.8",), ("mask = no",), ("exclude = 20200113",))):
        lines = [f"mimtpy.velcumu.{line}" for line in extra]
        template = write("mimtpy.velcumu = yes", "mimtpy.velcumu.dataset = A064", "mimtpy.plot = no", *lines)
        run_template(template, root=root, out=str(tmp_path / "out"))
        names = {path.name for path in (tmp_path / "out").rglob("*.zarr")}
        assert len(names) == number + 1
    assert names == {
        f"velocity_{SPAN}.zarr",
        f"velocity_{SPAN}_subset_-118.9_36.8_-118.8_36.9.zarr",
        f"velocity_{SPAN}_nomask.zarr",
        f"velocity_{SPAN}_excl_20200113.zarr",
    }


def test_dataname_may_leave_out_what_the_template_says(root, write, tmp_path):
    template = write(
        *EXTRACT,
        "mimtpy.velcumu.SNWE = 36.8,37,-118.9,-118.6",
        "mimtpy.concatenation = yes",
        "mimtpy.concatenation.dataset = A064, A137",
        f"mimtpy.concatenation.dataname = velocity_{SPAN}, velocity_{SPAN}",
        "mimtpy.horzvert = yes",
        f"mimtpy.horzvert.dataset = velocity_{SPAN}_mosaic, D071",
        f"mimtpy.horzvert.dataname = velocity_{SPAN}_mosaic, velocity_{SPAN}",
        "mimtpy.plot = no",
    )
    results = run_template(template, root=root, out=str(tmp_path / "out"))
    assert [r.error for r in results] == [""] * 10
    assert (tmp_path / "out" / "velocity" / f"velocity_{SPAN}_subset_-118.9_36.8_-118.6_37_mosaic.zarr").exists()


def test_horzvert_of_other_datums_fails_unless_the_template_knows_better(root, write, tmp_path):
    run_template(write(*EXTRACT), root=root, out=str(tmp_path / "out"))
    for name in ("SynthSenA064", "SynthSenD071"):
        store = tmp_path / "out" / name / "velocity" / f"velocity_{SPAN}.zarr"
        ds = open_product(str(store)).load().assign_attrs(reference_point=[-118.9, 36.9 + 0.05 * (name[8] == "D")])
        write_store(ds, str(store), provenance=ds.attrs["provenance"])
    lines = ("mimtpy.horzvert = yes", "mimtpy.horzvert.DataSet = A064, D071")
    (failed,) = run_template(write(*EXTRACT, *lines), root=root, out=str(tmp_path / "out"), steps=["horzvert"])
    assert failed.status == "failed"
    assert "different datums" in failed.error
    known = write(*EXTRACT, *lines, "mimtpy.horzvert.samedatum = yes")
    (made,) = run_template(known, root=root, out=str(tmp_path / "out"), steps=["horzvert"])
    assert (made.status, made.error) == ("done", "")


def field_of(west: float) -> tuple[np.ndarray, np.ndarray]:
    """East and up of the ground under a track, the same wherever it is seen from."""
    window = small_window(40, 50, west=west)
    x, y = window.x + 118.8, window.y[:, np.newaxis] - 36.9
    return 0.02 * np.cos(9 * x) * np.ones_like(y), 0.01 * np.sin(20 * y) + 0.01 * x


NORTH = 0.02
#: track: west edge, incidence, azimuth of the look, heading
FOUR = {
    "A064": (-119.0, 39.0, 102.0, -12.0),
    "A137": (-118.9, 34.0, 102.0, -12.0),
    "A166": (-118.95, 44.0, 102.0, -12.0),
    "D071": (-118.9, 37.0, -102.0, -168.0),
}


@pytest.fixture(scope="module")
def moving(tmp_path_factory) -> tuple[str, str]:
    """Catalog of four tracks of a ground that moves differently everywhere, and the products of a first run."""
    folder = tmp_path_factory.mktemp("moving")
    files = []
    for track, (west, incidence, azimuth, heading) in FOUR.items():
        look, (east, up) = look_vector(incidence, azimuth), field_of(west)
        ds = lattice_dataset(
            small_window(40, 50, west=west),
            dates=DATES,
            velocity=east * look[0] + NORTH * look[1] + up * look[2],
            incidence_angle=incidence,
            los_azimuth_angle=azimuth,
            track=track,
            project=f"SynthSen{track}",
            heading=heading,
            orbit_direction="ascending" if track[0] == "A" else "descending",
            reference_point=[-118.75, 36.9],
        )
        files.append(folder / f"{track}.he5")
        write_hdfeos5(ds.chunk(), files[-1])
    ingest(files, folder / "root", resolution="veryLowRes")
    template = folder / "mimtpyApp.template"
    template.write_text(f"{FOUR_EXTRACT}\nmimtpy.plot = no")
    run_template(template, root=str(folder / "root"), out=str(folder / "out"), steps=["extract"])
    return str(folder / "root"), str(folder / "out")


FOUR_EXTRACT = f"mimtpy.velcumu = yes\nmimtpy.velcumu.DataSet = {', '.join(FOUR)}"


def solved_by(moving, write, step, *lines, steps=("plot", "export")):
    root, out = moving
    folder = f"{out}/{step}_{len(list(Path(out).iterdir()))}"
    keys = [f"mimtpy.{step} = yes", *(f"mimtpy.{step}.{line}" for line in lines), f"mimtpy.{step}.outdir = {folder}"]
    return run_template(write(FOUR_EXTRACT, *keys), root=root, out=out, steps=[step, *steps])


def made_by(results, step):
    """Product, and what else was made of it."""
    (made,) = (r for r in results if r.name == step)
    assert made.error == ""
    mine = [Path(file).name for r in results if r.project == made.project and r.name != step for file in r.outputs]
    return open_product(made.outputs[0]), mine


def truth_of(ds):
    x, y = ds["x"] + 118.8, ds["y"] - 36.9
    return 0.02 * np.cos(9 * x), 0.01 * np.sin(20 * y) + 0.01 * x


def test_three_datasets_with_known_north_give_east_and_up(moving, write):
    lines = ("dataset = A064, A137, D071", f"north = {NORTH}")
    ds, files = made_by(solved_by(moving, write, "horzvert", *lines), "horzvert")
    assert set(np.unique(ds["count"])) == {2, 3}
    assert ds["track"].values.tolist() == ["A064", "A137", "D071"]
    east, up = truth_of(ds)
    known = ds["valid"].values
    np.testing.assert_allclose(
        ds["east"].values[known], (east + 0 * ds["y"]).transpose("y", "x").values[known], atol=2e-6
    )
    np.testing.assert_allclose(ds["up"].values[known], up.transpose("y", "x").values[known], atol=2e-6)
    assert ds.attrs["provenance"]["north"] == NORTH
    assert set(files) == {
        *(f"{name}.{end}" for name in ("horz", "vert") for end in ("png", "tif")),
        *("horz_vert.png", "horz_vert_vectors.png"),
    }
    ignored, _ = made_by(solved_by(moving, write, "horzvert", lines[0], steps=()), "horzvert")
    assert abs(float((ignored["up"] - ds["up"]).mean())) > 1e-3  # what north would leak


def test_three_components_need_what_is_known_of_north_and_get_three_maps(moving, write):
    data = "dataset = A064, A137, D071"
    (blind,) = solved_by(moving, write, "horzvert", data, "components = enu", steps=())
    assert blind.status == "failed"
    assert "toward east or west" in blind.error
    lines = (data, "components = enu", f"north = {NORTH}", "northstd = 0.001")
    ds, files = made_by(solved_by(moving, write, "horzvert", *lines), "horzvert")
    east, _ = truth_of(ds)
    np.testing.assert_allclose(ds["north"].where(ds["valid"]).mean(), NORTH, atol=2e-4)
    assert float(abs(ds["east"] - east).max()) < 1e-4
    assert float(ds["up_std"].min()) > 0
    assert {"east.tif", "north.tif", "up.tif", "east_north_up.png", "east_north_up_vectors.png"} <= set(files)
    assert ds.attrs["provenance"]["north_std"] == 0.001


def test_a_table_of_stations_is_known_north(moving, write, tmp_path):
    table = tmp_path / "stations.csv"
    rows = [f"P{k},{lon},{lat},0,20,0,1,1,1" for k, (lon, lat) in enumerate([(-118.95, 36.95), (-118.7, 36.8)])]
    table.write_text("\n".join(["station,lon,lat,east,north,up,east_std,north_std,up_std", *rows]))
    lines = ("dataset = A064, A137, D071", f"north = {table}", "units = mm/yr", "northstd = 0.001")
    ds, _ = made_by(solved_by(moving, write, "horzvert", *lines, steps=()), "horzvert")
    assert ds.attrs["provenance"]["north"] == str(table)
    assert ds.attrs["components"] == "eu"
    (missing,) = solved_by(moving, write, "horzvert", lines[0], "north = nowhere.txt", steps=())
    assert (missing.status, "nowhere.txt" in missing.error) == ("failed", True)


def test_overlap_of_three_datasets_of_one_direction_is_solved_along_their_look(moving, write):
    ds, files = made_by(solved_by(moving, write, "overlap", "dataset = A064, A137, A166"), "overlap")
    assert set(np.unique(ds["count"])) == {2, 3}
    east, up = truth_of(ds)
    known = ds["valid"].values
    assert known.mean() > 0.5
    along = east * np.sin(np.deg2rad(78.0)) + NORTH * np.cos(np.deg2rad(78.0)) + 0 * ds["y"]
    np.testing.assert_allclose(ds["horizontal"].values[known], along.transpose("y", "x").values[known], atol=2e-5)
    np.testing.assert_allclose(ds["up"].values[known], up.transpose("y", "x").values[known], atol=2e-5)
    assert "overlap_horz_overlap_vert_vectors.png" in files
    lines = ("dataset = A064, A137, A166", "components = eu", f"north = {NORTH}")
    (failed,) = solved_by(moving, write, "overlap", *lines, steps=())  # a gain above 5: too similar for east
    assert "no pixel" in failed.error


def test_overlap_refuses_opposite_directions(finished, root, write):
    _, out, *_ = finished
    template = write(*EXTRACT, "mimtpy.overlap = yes", "mimtpy.overlap.dataset = A064, D071")
    (result,) = run_template(template, root=root, out=str(out), steps=["overlap"])
    assert result.status == "failed"
    assert "one orbit direction, got ascending, descending" in result.error


def test_failing_project_stops_only_what_needs_it(root, write, tmp_path):
    template = write(
        "mimtpy.velcumu = yes",
        "mimtpy.velcumu.DataSet = A064, Nowhere, D071",
        "mimtpy.concatenation = yes",
        "mimtpy.concatenation.DataSet = A064, Nowhere",
        "mimtpy.concatenation.outname = joined",
        "mimtpy.horzvert = yes",
        "mimtpy.horzvert.DataSet = joined, D071",
        "mimtpy.plot.type = velocity",
    )
    results = run_template(template, root=root, out=str(tmp_path))
    assert statuses(results) == {
        ("extract", "SynthSenA064"): "done",
        ("plot", "SynthSenA064"): "done",
        ("export", "SynthSenA064"): "done",
        ("extract", "Nowhere"): "failed",
        ("extract", "SynthSenD071"): "done",
        ("plot", "SynthSenD071"): "done",
        ("export", "SynthSenD071"): "done",
        ("concatenate", "A064+Nowhere"): "skipped",
        ("plot", "A064+Nowhere"): "skipped",
        ("export", "A064+Nowhere"): "skipped",
        ("horzvert", "joined+D071"): "skipped",
        ("plot", "joined+D071"): "skipped",
        ("export", "joined+D071"): "skipped",
    }
    failed = next(r for r in results if r.status == "failed")
    assert "no dataset 'Nowhere'" in failed.error
    assert "Sentinel/A064 (SynthSenA064)" in failed.error
    skipped = [r.error for r in results if r.status == "skipped"]
    assert len(set(skipped)) == 1
    assert skipped[0].startswith("it needs extract Nowhere velocity (no dataset 'Nowhere'")
    assert skipped[0].count("it needs") == 1


def test_dry_run_names_outputs_and_writes_nothing(root, write, tmp_path):
    out = tmp_path / "out"
    with no_compute():
        results = run_template(write(*EXTRACT, *CONCATENATE, *HORZVERT), root=root, out=str(out), dry_run=True)
    assert {r.status for r in results} == {"planned"}
    assert not out.exists()
    (joint,) = (r for r in results if r.name == "concatenate")
    assert joint.outputs == (f"{out}/joined/velocity/ascending.zarr",)
    (solved,) = (r for r in results if r.name == "horzvert")
    assert solved.outputs == (f"{out}/joined/velocity/horz_vert.zarr",)
    *_, exported = (r for r in results if r.name == "export")
    assert exported.outputs == (f"{out}/joined/velocity/horz.tif", f"{out}/joined/velocity/vert.tif")


def test_steps_come_after_those_they_need(root):
    template = parse_template("\n".join([*EXTRACT, *CONCATENATE, *HORZVERT]))
    done = set()
    for step in plan_steps(template, open_catalog(root)):
        assert set(step.needs) <= done
        done.add(step.key)
    assert len(done) == 15


def test_chosen_steps_read_what_an_earlier_run_wrote(finished, root, tmp_path):
    template, out, *_ = finished
    missing = run_template(template, root=root, out=str(tmp_path), steps=["concatenation"])
    assert [r.status for r in missing] == ["failed"]
    assert "no product" in missing[0].error
    results = run_template(template, root=root, out=str(out), steps=["concatenation"])
    assert [(r.name, r.status) for r in results] == [("concatenate", "done")]
    (out / "joined" / "velocity" / "ascending.tif").unlink()
    exported = run_template(template, root=root, out=str(out), steps=["export"])
    assert {r.status for r in exported} == {"done"}
    assert (out / "joined" / "velocity" / "ascending.tif").exists()


def test_dataname_selects_an_earlier_product(finished, root, write):
    _, out, *_ = finished
    template = write(
        "mimtpy.horzvert = y",
        "mimtpy.horzvert.dataset = SynthSenA064, D071",
        f"mimtpy.horzvert.dataname = velocity_{SPAN}, velocity_{SPAN}.h5",
        "mimtpy.horzvert.azimuth = 101",
        "mimtpy.horzvert.outname = along, up",
        "mimtpy.plot = n",
    )
    results = run_template(template, root=root, out=str(out))
    assert [(r.name, r.status) for r in results] == [("horzvert", "done"), ("export", "done")]
    assert (out / "velocity" / "along.tif").exists()
    assert "horizontal" in open_product(str(out / "velocity" / "along_up.zarr"))


def test_planning_finds_datanames_that_nothing_makes(root, write, tmp_path):
    template = write(
        *EXTRACT,
        "mimtpy.concatenation = y",
        "mimtpy.concatenation.dataset = A064, A137",
        f"mimtpy.concatenation.dataname = velocity_{SPAN}, velocity_1_2",
        "mimtpy.plot = n",
    )
    *extracted, joint = run_template(template, root=root, out=str(tmp_path), dry_run=True)
    assert {r.status for r in extracted} == {"planned"}
    assert (joint.name, joint.status) == ("concatenate", "failed")
    assert "no step of this template makes" in joint.error
    assert "SynthSenA137/velocity/velocity_1_2.zarr" in joint.error


@pytest.mark.parametrize(
    ("lines", "says"),
    [
        (("fault = {0}/none.shp",), "none.shp"),
        (("fault = {0}/a.gmt", "fcolor = purplish"), "fault colour must be one of"),
        (("refpoi = {0}/none.txt",), "none.txt"),
    ],
)
def test_planning_finds_figures_that_cannot_be_drawn(root, write, tmp_path, lines, says):
    (tmp_path / "a.gmt").write_text("> one\n-119.0 36.7\n-118.7 36.9\n")
    plot = [f"mimtpy.plot.{line.format(tmp_path)}" for line in lines]
    template = write("mimtpy.velcumu = y", "mimtpy.velcumu.dataset = A064", *plot)
    results = run_template(template, root=root, out=str(tmp_path / "out"), dry_run=True)
    assert [(r.name, r.status) for r in results] == [("extract", "planned"), ("plot", "failed"), ("export", "planned")]
    assert says in results[1].error


def test_dry_run_reports_no_progress(root, write):
    calls = []
    run_template(write(*EXTRACT), root=root, dry_run=True, progress=lambda *call: calls.append(call))
    assert calls == []


@pytest.mark.parametrize(
    "lines", [(), ("mimtpy.plot = yes",), ("mimtpy.velcumu = no", "mimtpy.velcumu.dataset = A064")]
)
def test_template_without_a_step_says_so(root, write, lines):
    with pytest.raises(TemplateError, match="has nothing to do: it switches none of the steps extract, mask"):
        run_template(write(*lines), root=root)


def test_one_dataset_by_two_names_is_no_mosaic(root, write):
    template = write(*EXTRACT, "mimtpy.concatenation = y", "mimtpy.concatenation.dataset = SynthSenA064, A064")
    joint = run_template(template, root=root, dry_run=True)[-1]
    assert "SynthSenA064 and A064 are the same product; name each once" in joint.error


def test_wildcards_stand_for_datasets(root, write):
    template = write(
        "mimtpy.velcumu = yes",
        "mimtpy.velcumu.dataset = SynthSen*",
        "mimtpy.concatenation = yes",
        "mimtpy.concatenation.dataset = Sentinel/A*",
        "mimtpy.horzvert = yes",
        "mimtpy.horzvert.dataset = SynthSenA[0]*",
        "mimtpy.mask = yes",
        "mimtpy.mask.dataset = Nowhere*",
        "mimtpy.plot = no",
    )
    results = [r for r in run_template(template, root=root, dry_run=True) if r.name != "export"]
    assert [(r.name, r.project, r.status) for r in results] == [
        *(("extract", f"SynthSen{track}", "planned") for track in ("A064", "A137", "D071")),
        ("mask", "Nowhere*", "failed"),
        ("concatenate", "SynthSenA064+SynthSenA137", "planned"),
        ("horzvert", "SynthSenA064", "failed"),
    ]
    assert "two datasets are needed at least, got SynthSenA064" in results[-1].error
    assert "no dataset 'Nowhere*'" in results[3].error


def test_no_two_steps_write_one_product(root, write):
    template = write(
        *EXTRACT,
        "mimtpy.concatenation = y",
        "mimtpy.concatenation.dataset = A064, A137; D071, A137",
        "mimtpy.concatenation.outname = m; m",
        "mimtpy.plot = n",
    )
    *_, first, second = (r for r in run_template(template, root=root, dry_run=True) if r.name == "concatenate")
    assert (first.status, second.status) == ("planned", "failed")
    assert "velocity/m.zarr is written by concatenate A064+A137 velocity already; give an outname" in second.error


def test_two_periods_of_the_same_datasets_are_two_mosaics(finished, root, write):
    _, out, *_ = finished
    template = write(
        "mimtpy.concatenation = y",
        "mimtpy.concatenation.dataset = SynthSenA064, SynthSenA137; SynthSenA064, SynthSenA137",
        f"mimtpy.concatenation.dataname = velocity_{SPAN}, velocity_{SPAN}; velocity_{SPAN}, velocity_{SPAN}",
        "mimtpy.concatenation.outname = early; whole",
        "mimtpy.plot = n",
    )
    results = run_template(template, root=root, out=str(out), dry_run=True)
    joined = [r.outputs[0] for r in results if r.name == "concatenate"]
    assert [path.rsplit("/", 1)[-1] for path in joined] == ["early.zarr", "whole.zarr"]


def test_tracks_of_one_project_have_folders_of_their_own():
    both = [entry(project="Calif"), entry(track="D071", project="Calif")]
    assert [resolve_dataset(both, name).label for name in ("A064", "D071")] == ["Calif_A064", "Calif_D071"]
    assert resolve_dataset([entry(track="A070", project="KokoxiliSenAT70")], "A070").label == "KokoxiliSenAT70"
    alone = [entry(project=""), entry(project="", sensor="ALOS2")]
    assert resolve_dataset(alone, "Sentinel/A064").label == "A064"
    assert resolve_dataset(alone, "ALOS2/A064").label == "ALOS2_A064"


def test_several_mosaics_are_planned_in_one_run(root, write):
    template = write(
        *EXTRACT,
        "mimtpy.concatenation = y",
        "mimtpy.concatenation.dataset = A064, A137; A137, D071",
        "mimtpy.concatenation.outname = one; two",
        "mimtpy.horzvert = y",
        "mimtpy.horzvert.dataset = one, two",
        "mimtpy.plot = n",
    )
    results = run_template(template, root=root, dry_run=True)
    *_, one, two, solved = (r for r in results if r.name != "export")
    assert (one.outputs[0], two.outputs[0]) == ("velocity/one.zarr", "velocity/two.zarr")
    assert (solved.name, solved.status) == ("horzvert", "planned")


def test_dataset_without_product_says_how_to_get_one(root, write, tmp_path):
    template = write("mimtpy.concatenation = y", "mimtpy.concatenation.dataset = A064, A137")
    (result,) = run_template(template, root=root, out=str(tmp_path))
    assert "A064 has no velocity product in this template" in result.error


def test_empty_catalog_says_what_to_do(write, tmp_path):
    with pytest.raises(CatalogError, match="mimtpy ingest"):
        run_template(write(*EXTRACT), root=str(tmp_path / "nothing"))


def test_unknown_steps_are_named():
    assert select_steps(None)[0] == "extract"
    with pytest.raises(TemplateError, match="no step profiles; the steps are extract, mask"):
        select_steps(["plot", "profiles"])


# --- dataset names ------------------------------------------------------------------------------------------


def entry(track="A064", product="0113_0119", resolution="standard", project="P1", sensor="Sentinel"):
    return Entry(
        sensor=sensor,
        track=track,
        product=product,
        resolution=resolution,
        pixels_per_degree=1250,
        revision=f"{product}-x",
        committed="2026",
        project=project,
        content="",
        dates=(),
        window=(0, 0, 1, 1),
        band_windows={34: (0, 0, 1, 1), 35: (0, 0, 1, 1)},
        variables=(),
    )


@pytest.mark.parametrize("name", ["P1", "A064", "a64", "Sentinel/A064", "sentinel/A064", "Sentinel/A064/34/standard"])
def test_dataset_names_of_all_kinds_resolve(name):
    found = resolve_dataset([entry(), entry("D071", project="P2")], name)
    assert found.entry.project == "P1"


def test_oracle_o53_path_names_a_dataset(oracles):
    oracle = oracles["O53"]
    found = resolve_dataset([entry("A124")], oracle["path"])
    e = found.entry
    assert f"{e.sensor}/{e.track}/{oracle['lat_band']}/{e.resolution}" == oracle["path"]
    assert found.bbox == (-180.0, 34.0, 180.0, 35.0)


def test_band_limits_the_box():
    found = resolve_dataset([entry()], "A064/35")
    assert found.label == "P1_A064_35"
    assert found.within((10.0, 34.5, 11.0, 35.5)) == (10.0, 35.0, 11.0, 35.5)
    with pytest.raises(TrackNotFoundError, match="outside"):
        found.within((10.0, 33.0, 11.0, 34.0))


def test_resolution_is_the_only_one_or_standard():
    low = entry(resolution="lowRes")
    assert resolve_dataset([low], "A064").entry is low
    assert resolve_dataset([low, entry()], "A064").entry.resolution == "standard"
    assert resolve_dataset([low, entry()], "A064", resolution="lowRes").entry is low
    with pytest.raises(CatalogError, match="A064 has the resolutions lowRes, mine; name one"):
        resolve_dataset([low, entry(resolution="mine")], "A064")
    with pytest.raises(TrackNotFoundError, match="no resolution 'highRes'; it has lowRes, standard"):
        resolve_dataset([low, entry()], "A064", resolution="highRes")


def test_several_products_need_a_project_name():
    two = [entry(), entry(product="0120_0125", project="P2")]
    with pytest.raises(CatalogError, match=r"several datasets at standard; give one of their project .* P1 .*P2"):
        resolve_dataset(two, "A064")
    assert resolve_dataset(two, "P2").entry.product == "0120_0125"


def test_a_product_may_be_named_behind_a_dataset():
    two = [entry(product="0466_0472_Del4PS"), entry(product="0466_0472_Del4DS")]
    with pytest.raises(CatalogError, match="or add the product, such as P1/0466_0472_Del4PS"):
        resolve_dataset(two, "P1")
    for name in ("P1/0466_0472_Del4DS", "A064/0466_0472_Del4DS", "A064/standard/0466_0472_Del4DS"):
        found = resolve_dataset(two, name)
        assert (found.entry.product, found.label) == ("0466_0472_Del4DS", "P1_A064_0466_0472_Del4DS")


def test_a_resolution_in_a_name_is_obeyed_and_told_in_the_label():
    both = [entry(), entry(resolution="lowRes")]
    assert resolve_dataset(both, "A064/34/lowRes").entry.resolution == "lowRes"
    assert resolve_dataset(both, "A064/34/lowRes").label == "P1_A064_lowRes_34"
    assert resolve_dataset(both, "A064").label == "P1_A064"
    assert resolve_dataset([entry(resolution="lowRes")], "A064").label == "P1_A064"
    with pytest.raises(
        CatalogError, match="A064/lowRes names the resolution lowRes, and standard is asked for as well"
    ):
        resolve_dataset(both, "A064/lowRes", resolution="standard")


def test_missing_dataset_lists_what_exists():
    with pytest.raises(TrackNotFoundError, match=r"no dataset 'A001' in s3://x; .* Sentinel/A064 \(P1\), Alos/D071"):
        resolve_dataset([entry(), entry("D071", project="", sensor="Alos")], "A001", where="s3://x")
    assert "and 5 more" in describe_entries([entry(f"A{i:03d}") for i in range(1, 26)])


def test_product_narrows_a_track(root):
    catalog = open_catalog(root)
    assert find_dataset(catalog, "A064", product="0113_0119").entry.track == "A064"
    with pytest.raises(TrackNotFoundError, match="no product '9'; it has 0113_0119"):
        find_dataset(catalog, "A064", product="9")


# --- products -----------------------------------------------------------------------------------------------


def test_observing_computes_nothing():
    ds = lattice_dataset(small_window(), dates=DATES, velocity=0.01).chunk(y=2)
    with no_compute():
        velocity = observe(ds, "velocity", exclude=("2020-01-13",))
        displacement = observe(ds, "displacement", start="20200115", mask=False)
    assert compact_dates(velocity) == SPAN
    assert velocity.attrs["n_dates"] == 4
    assert compact_dates(displacement) == "20200113_20201231"


def test_dates_to_leave_out_may_be_in_a_file(tmp_path):
    (tmp_path / "exclude_date.txt").write_text("20200113\n20200125\n")
    ds = lattice_dataset(small_window(), dates=DATES, velocity=0.01)
    assert observe(ds, "velocity", exclude=(str(tmp_path / "exclude_date.txt"),)).attrs["n_dates"] == 3


def test_oracle_o22_start_of_a_displacement_is_the_nearest_acquisition(oracles):
    oracle = oracles["O22"]
    ds = lattice_dataset(small_window(), dates=[parse_date(d) for d in oracle["available"]], velocity=0.01)
    assert compact_dates(observe(ds, "displacement", start=oracle["request"])).startswith(oracle["nearest"])


def test_velocity_uses_the_acquisitions_of_the_closed_range():
    ds = lattice_dataset(small_window(), dates=DATES, velocity=0.01)
    ours = observe(ds, "velocity", start="20200102", end="20201230")
    xr.testing.assert_identical(ours, mask_invalid(estimate_velocity(ds, "2020-01-02", "2020-12-30")))
    assert dates_used(ours) == "2020-01-13 to 2020-02-06, 3 dates"
    assert dates_used(observe(ds, "velocity", start=DATES[1], end=DATES[3])) == "2020-01-13 to 2020-02-06, 3 dates"


@pytest.mark.parametrize("type_", ["velocity", "displacement"])
def test_start_after_end_says_so(type_):
    ds = lattice_dataset(small_window(), dates=DATES, velocity=0.01)
    with pytest.raises(DateError, match="the start 2020-02-06 is after the end 2020-01-01; exchange them"):
        observe(ds, type_, start="20200206", end="2020-01-01")


def test_unusable_pixels_are_dropped_on_request():
    ds = lattice_dataset(small_window(), dates=DATES, velocity=0.01)
    ds["valid"][1, 1] = False
    assert np.isnan(observe(ds, "velocity")["velocity"][1, 1])
    assert np.isfinite(observe(ds, "velocity", mask=False)["velocity"][1, 1])


def test_velocity_product_is_taken_as_it_is():
    ds = lattice_dataset(small_window(), velocity=0.01)
    xr.testing.assert_identical(observe(ds, "velocity", mask=False), ds)
    for options in ({"type_": "displacement"}, {"type_": "velocity", "start": "2020-01-01"}):
        with pytest.raises(SchemaError, match="A064 holds a velocity without its time series"):
            observe(ds, **options)


def test_missing_product_lists_its_neighbours(tmp_path):
    (tmp_path / "a.zarr").mkdir()
    (tmp_path / "notes.txt").touch()
    with pytest.raises(StorageError, match=r"no product .*b\.zarr; .* has a\.zarr$"):
        open_product(str(tmp_path / "b.zarr"))
    with pytest.raises(StorageError, match="nor is there a folder"):
        open_product(str(tmp_path / "c" / "b.zarr"))
    with pytest.raises(StorageError, match="no product that can be read"):
        open_product(str(tmp_path / "a.zarr"))


def test_faults_limits_and_reference_of_the_template_reach_the_figure(root, write, tmp_path, monkeypatch):
    from mimtpy_cloud.view import map as view

    drawn = []
    plot_map = view.plot_map
    monkeypatch.setattr(view, "plot_map", lambda *args, **options: drawn.append(options) or plot_map(*args, **options))
    (tmp_path / "fault.gmt").write_text("> one\n-119.0 36.7\n-118.7 36.9\n")
    (tmp_path / "point.txt").write_text("-118.8 36.8\n")
    template = write(
        "mimtpy.velcumu = y",
        "mimtpy.velcumu.dataset = A064",
        f"mimtpy.plot.shmdir = {tmp_path}",
        "mimtpy.plot.fault = fault.gmt",
        "mimtpy.plot.fcolor = m",
        "mimtpy.plot.fstyle = d",
        "mimtpy.plot.refpoi = point.txt",
        "mimtpy.plot.vlim = -0.02,0.01",
    )
    results = run_template(template, root=root, out=str(tmp_path / "out"), steps=["extract", "plot"])
    assert [r.error for r in results] == ["", ""]
    assert drawn == [
        {
            "faults": [f"{tmp_path}/fault.gmt"],
            "fault_colors": ("magenta",),
            "fault_styles": ("dashed",),
            "reference_point": f"{tmp_path}/point.txt",
            "unit": "mm/yr",
            "limits": (-20.0, 10.0),
        }
    ]


def test_limits_are_those_of_velocities_not_of_coherence(root, write, tmp_path, monkeypatch):
    from mimtpy_cloud.view import map as view

    drawn = []
    plot_map = view.plot_map
    monkeypatch.setattr(view, "plot_map", lambda *args, **options: drawn.append(options) or plot_map(*args, **options))
    template = write("mimtpy.coherence = y", "mimtpy.coherence.dataset = A064", "mimtpy.plot.vlim = -0.02,0.01")
    run_template(template, root=root, out=str(tmp_path / "out"))
    (options,) = drawn
    assert "limits" not in options


def test_plot_type_limits_the_figures(root, write, tmp_path):
    template = write(
        "mimtpy.velcumu = y",
        "mimtpy.velcumu.dataset = A064",
        "mimtpy.velcumu.type = velocity,displacement",
        "mimtpy.plot.type = displacement",
    )
    results = run_template(template, root=root, out=str(tmp_path), dry_run=True)
    assert [r.outputs for r in results if r.name == "plot"] == [
        (f"{tmp_path}/SynthSenA064/displacement/displacement_{SPAN}.png",)
    ]


# --- pieces of one track ------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def pieces(tmp_path_factory) -> str:
    """Catalog of a track that was processed in two pieces, each with a datum of its own, and of a third product."""
    folder = tmp_path_factory.mktemp("pieces")
    files = []
    for name, track, north, offset, frame in (
        ("KokoChunk36", "A064", 37.0, 0.0, 113),
        ("KokoChunk35", "A064", 36.9, 0.004, 110),
        ("Other", "D071", 37.0, 0.0, 466),
    ):
        ds = lattice_dataset(
            small_window(20, 50, north=north),
            dates=DATES,
            velocity=EAST + offset,
            los_azimuth_angle=102.0 if track[0] == "A" else -102.0,
            track=track,
            project=name,
            orbit_direction="ascending" if track[0] == "A" else "descending",
            heading=-12.0 if track[0] == "A" else -168.0,
            product=f"{frame:04d}_{frame + 4:04d}",
        )
        files.append(folder / f"{name}.he5")
        write_hdfeos5(ds.chunk(), files[-1])
    ingest(files, folder / "root", resolution="veryLowRes")
    return str(folder / "root")


def test_pieces_of_a_track_become_one_dataset_for_later_steps(pieces, write, tmp_path):
    template = write(
        "mimtpy.velcumu = yes",
        "mimtpy.velcumu.dataset = Koko*, Other",
        "mimtpy.chunk = yes",
        "mimtpy.chunk.chunks = KokoChunk*",
        "mimtpy.chunk.project = KokoSenAT64",
        "mimtpy.horzvert = yes",
        "mimtpy.horzvert.dataset = KokoSenAT64, Other",
        "mimtpy.horzvert.samedatum = yes",
        "mimtpy.plot = no",
    )
    results = run_template(template, root=pieces, out=str(tmp_path))
    assert [r.error for r in results if r.status != "done"] == []
    with xr.open_zarr(tmp_path / "KokoSenAT64" / "velocity" / f"velocity_{SPAN}.zarr", consolidated=False) as joined:
        assert joined.sizes["y"] == 33  # 20 rows each, 12.5 rows apart
        first = joined["velocity"].values[:, 10]
        np.testing.assert_allclose(first[np.isfinite(first)], first[np.isfinite(first)][0], atol=1e-7)


def test_pieces_of_a_track_are_named_after_it_and_tracks_are_refused(pieces, write, tmp_path):
    lines = "mimtpy.velcumu = yes", "mimtpy.velcumu.dataset = Koko*, Other", "mimtpy.chunk = yes", "mimtpy.plot = no"
    results = run_template(write(*lines, "mimtpy.chunk.dataset = Koko*"), root=pieces, out="out", dry_run=True)
    (joined,) = (r for r in results if r.name == "chunk")
    assert joined.outputs[0] == f"out/A064/velocity/velocity_{SPAN}.zarr"
    results = run_template(write(*lines), root=pieces, out="out", dry_run=True)
    (refused,) = (r for r in results if r.name == "chunk")
    assert "chunk joins pieces of one track, got KokoChunk35 (A064), KokoChunk36 (A064), Other (D071)" in refused.error


# --- input of Geodmod ---------------------------------------------------------------------------------------


def test_geodmod_gets_a_folder_for_each_dataset(root, write, tmp_path):
    template = write(
        "mimtpy.geodmod = yes",
        "mimtpy.geodmod.DataSet = SynthSenA064, Nowhere, D071, A064",
        "mimtpy.geodmod.SNWE = 36.8, 36.95, -118.95, -118.75",
        "mimtpy.geodmod.startDate = 20200111",
        "mimtpy.geodmod.endDate = 20201231",
    )
    results = run_template(template, root=root, out=str(tmp_path))
    assert [(r.name, r.project, r.status) for r in results] == [
        ("geodmod", "SynthSenA064", "done"),
        ("geodmod", "Nowhere", "failed"),
        ("geodmod", "SynthSenD071", "done"),
    ]
    # another box is another folder
    folder = tmp_path / "SynthSenA064" / "geodmod" / "20200113_20201231_subset_-118.95_36.8_-118.75_36.95"
    assert results[0].outputs == (str(folder),)
    header = dict(line.split() for line in (folder / "srtm.dem.rsc").read_text().splitlines())
    assert (header["WIDTH"], header["FILE_LENGTH"]) == ("25", "19")  # pixels with their centres in the box
    (phase_file,) = folder.glob("geo_*.unw")
    phase = np.fromfile(phase_file, "<f4").reshape(19, 2, 25)[:, 1]
    look = look_vector(39.0, 102.0)
    moved = (EAST * look[0] + UP * look[2]) * 353 / 365.25
    np.testing.assert_allclose(phase[phase != 0], -4 * np.pi / 0.05546576 * moved, rtol=1e-4)


# --- every key of plot, for every product -----------------------------------------------------------------------

EVERY_PRODUCT = (
    *EXTRACT,
    "mimtpy.velcumu.type = velocity,displacement",
    "mimtpy.mask = yes",
    "mimtpy.coherence = yes",
    *CONCATENATE,
    *HORZVERT,
    "mimtpy.overlap = yes",
    "mimtpy.overlap.dataset = SynthSenA064, Sentinel/A137",
    "mimtpy.overlap.outdir = joined",
)


@pytest.fixture(scope="module")
def drawn(root, tmp_path_factory):
    """Every product of a run with every key of plot: what was drawn, by the folder and name of its figure."""
    from mimtpy_cloud.exports.geotiff import write_cog
    from mimtpy_cloud.view import map as view

    folder = tmp_path_factory.mktemp("keys")
    (folder / "one.gmt").write_text("> one\n-119.0 36.7\n-118.7 36.9\n")
    (folder / "two.gmt").write_text("> two\n-119.0 36.8\n-118.7 37.0\n")
    (folder / "coast.gmt").write_text("> coast\n-119.0 36.9\n-118.6 36.9\n")
    (folder / "point.txt").write_text("-118.75 36.9\n")
    rows = [f"S{k},{-118.79 + 0.03 * k},{36.95 - 0.04 * k},{k},{-k},1,1,1,1" for k in range(4)]
    (folder / "gnss.csv").write_text("\n".join(["station,lon,lat,ve,vn,vu,se,sn,su", *rows]))
    ground = lattice_dataset(small_window(60, 90, west=-119.1, north=37.1), velocity=0.0)["velocity"]
    write_cog(ground.rename("dem") + ground.x, folder / "dem.tif")
    template = folder / "mimtpyApp.template"
    keys = {
        "shmdir": folder, "fault": "one.gmt,two.gmt", "fcolor": "m,y", "fstyle": "d,s", "refpoi": "point.txt",
        "vlim": "-0.03,0.02", "coastline": "coast.gmt", "stations": folder / "gnss.csv", "units": "mm/yr",
        "names": "yes", "relief": folder / "dem.tif",
    }  # fmt: skip
    template.write_text("\n".join([*EVERY_PRODUCT, *(f"mimtpy.plot.{key} = {value}" for key, value in keys.items())]))
    figures, saved = {}, view.save_figure
    with pytest.MonkeyPatch.context() as patch:
        keep = lambda figure, url: figures.update({"/".join(Path(url).parts[-2:]): figure}) or saved(figure, url)  # noqa: E731
        patch.setattr(view, "save_figure", keep)
        results = run_template(template, root=root, out=str(folder / "out"))
    assert [r.error for r in results if r.error] == []
    return figures


def test_every_product_of_a_run_has_its_figures(drawn):
    single = {f"{type_}_{SPAN}.png" for type_ in ("velocity", "displacement")}
    layers = {"mask.png", "temporal_coherence.png", "ascending.png"}
    solved = {f"{prefix}{name}.png" for prefix in ("", "overlap_") for name in ("horz", "vert")}
    together = {"horz_vert.png", "horz_vert_vectors.png", "overlap_horz_overlap_vert.png"}
    assert {name.rpartition("/")[2] for name in drawn} >= single | layers | solved | together


def test_faults_coast_reference_stations_and_relief_lie_on_every_map(drawn):
    from matplotlib.collections import LineCollection
    from matplotlib.colors import to_hex
    from matplotlib.quiver import Quiver

    for name, figure in drawn.items():
        ax = figure.axes[0]
        lines = [c for c in ax.collections if isinstance(c, LineCollection)]
        assert {to_hex(c.get_colors()[0]) for c in lines} >= {to_hex("magenta"), to_hex("yellow"), to_hex("0.25")}, name
        dashes = {to_hex(c.get_colors()[0]): c.get_linestyles()[0][1] is not None for c in lines}
        assert dashes[to_hex("magenta")], name
        assert not dashes[to_hex("yellow")], name
        (square,) = (line for line in ax.lines if line.get_marker() == "s")
        np.testing.assert_allclose(np.ravel(square.get_xydata()), [-118.75, 36.9], err_msg=name)
        assert len(ax.images) == 2, name  # values, and relief
        quivers = [c for c in ax.collections if isinstance(c, Quiver)]
        if "vectors" not in name:
            assert len(quivers) == 1, name
            assert "S1" in [t.get_text() for t in ax.texts], name


def test_limits_of_the_template_are_those_of_every_map_of_motion(drawn):
    for name, figure in drawn.items():
        limits = figure.axes[0].images[0].get_clim()
        if name.startswith(("mask", "coherence")):
            assert limits != (-30.0, 30.0)
        else:  # white is zero, so that the colours reach as far on both sides; the bar ends at the limits
            scale = 0.1 if "displacement" in name else 1.0
            np.testing.assert_allclose(limits, (-30.0 * scale, 30.0 * scale), err_msg=name)
            (bar,) = figure.axes[0].child_axes
            np.testing.assert_allclose(bar.get_ylim(), (-30.0 * scale, 20.0 * scale), err_msg=name)


@pytest.mark.parametrize("type_", ["velocity", "displacement"])
def test_the_type_of_plot_chooses_among_all_products(root, write, tmp_path, type_):
    template = write(*EVERY_PRODUCT, f"mimtpy.plot.type = {type_}")
    results = run_template(template, root=root, out=str(tmp_path), dry_run=True)
    figures = [output for r in results if r.name == "plot" for output in r.outputs]
    assert figures
    assert all(f"/{type_}/" in figure for figure in figures)
    assert any("joined" in figure and "ascending" in figure for figure in figures)
    assert any("horz" in figure for figure in figures)


def test_a_backend_that_is_missing_stops_the_figures_alone(root, write, tmp_path, monkeypatch):
    from mimtpy_cloud.view import gmt

    def missing():
        raise MimtpyError("no pygmt; pip install 'mimtpy_cloud[pygmt]'")

    monkeypatch.setattr(gmt, "require_gmt", missing)
    template = write(*EXTRACT, "mimtpy.plot.backend = pygmt")
    results = run_template(template, root=root, out=str(tmp_path), dry_run=True)
    assert {r.status for r in results if r.name == "plot"} == {"failed"}
    assert all("pip install 'mimtpy_cloud[pygmt]'" in r.error for r in results if r.name == "plot")
    assert {r.status for r in results if r.name == "extract"} == {"planned"}


def test_stations_that_lie_elsewhere_stop_no_figure_of_a_template(tmp_path):
    from mimtpy_cloud.cli.products import draw
    from mimtpy_cloud.cli.steps import Plot

    (tmp_path / "far.csv").write_text("station,lon,lat,ve,vn\nA,0,0,1,1\n")
    plot = Plot(stations=str(tmp_path / "far.csv"), units="mm/yr", relief="height")
    ds = lattice_dataset(small_window(20, 20), velocity=0.01).drop_vars("height", errors="ignore")
    draw(ds, str(tmp_path / "a.png"), plot)
    assert (tmp_path / "a.png").stat().st_size > 0
