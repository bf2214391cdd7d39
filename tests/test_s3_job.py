"""The main job on an object store: sources, root, template, tables and products on S3, computed by two workers."""

import json
import logging
from pathlib import Path

import numpy as np
import pytest
import rasterio
import xarray as xr
from click.testing import CliRunner
from distributed import LocalCluster

import mimtpy_cloud as mc
from mimtpy_cloud.cli.app import cli
from mimtpy_cloud.cli.demo import write_tracks
from mimtpy_cloud.cli.products import open_product
from mimtpy_cloud.location import locate

TEMPLATE = """
mimtpy.velcumu = yes
mimtpy.velcumu.DataSet = DemoSenAT064, DemoSenAT137, DemoSenDT071, DemoSenDT144
mimtpy.concatenation = yes
mimtpy.concatenation.DataSet = DemoSenAT064, DemoSenAT137
mimtpy.concatenation.outname = ascending
mimtpy.concatenation.outdir = joined
mimtpy.horzvert = yes
mimtpy.horzvert.DataSet = ascending, DemoSenDT071
mimtpy.horzvert.outdir = joined
mimtpy.horzvert.samedatum = yes
mimtpy.plot = yes
mimtpy.plot.fault = {faults}
"""
FAULTS = '{"type": "LineString", "coordinates": [[35.6, 38.0], [37.0, 38.2]]}'


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    return write_tracks(tmp_path_factory.mktemp("tracks"), resolution="veryLowRes")


@pytest.fixture(scope="module")
def local(files, tmp_path_factory):
    """Folder with the products of the local run, in threads."""
    folder = tmp_path_factory.mktemp("local")
    (folder / "faults.geojson").write_text(FAULTS)
    (folder / "app.template").write_text(TEMPLATE.format(faults=folder / "faults.geojson"))
    work(folder, files, folder / "root", folder / "app.template", folder / "out", "--cluster", "threads")
    return folder / "out"


def work(folder, files, root, template, out, *cluster):
    """Ingest, run the template, and decompose by a command of its own."""
    for command in (
        ("ingest", *files, "--root", root, "--resolution", "veryLowRes"),
        ("run", template, "--root", root, "--out", out),
        ("deramp", f"{out}/joined/velocity/ascending.zarr", "--out", f"{out}/flat.zarr"),
    ):
        result = CliRunner().invoke(cli, [*cluster, *map(str, command)])
        assert result.exit_code == 0, f"{command}: {result.output}"


def test_on_s3_by_two_workers_everything_is_the_same_to_the_last_bit(files, local, s3, tmp_path):
    base = f"s3://{s3.bucket}/{tmp_path.name}"
    fs, place = locate(base)
    for file in files:
        fs.put_file(str(file), f"{place}/data/{file.name}")
    fs.pipe_file(f"{place}/faults.geojson", FAULTS.encode())
    fs.pipe_file(f"{place}/app.template", TEMPLATE.format(faults=f"{base}/faults.geojson").encode())
    sources = [f"{base}/data/{file.name}" for file in files]
    with LocalCluster(
        n_workers=2, threads_per_worker=1, host="127.0.0.1", dashboard_address="127.0.0.1:0", silence_logs=logging.ERROR
    ) as cluster:
        address = cluster.scheduler_address
        work(tmp_path, sources, f"{base}/root", f"{base}/app.template", f"{base}/out", "--cluster", address)
    made = sorted(key.removeprefix(f"{place}/out/") for key in fs.find(f"{place}/out"))
    expected = sorted(path.relative_to(local).as_posix() for path in local.rglob("*") if path.is_file())
    assert made == expected
    assert [name for name in made if name.endswith("horz_vert_vectors.png")]
    for name in expected:
        mine, theirs = (local / name).read_bytes(), fs.cat_file(f"{place}/out/{name}")
        if name.endswith(".tif"):
            same_raster(mine, theirs)
        elif not name.endswith("zarr.json"):  # which says when and from where
            assert mine == theirs, name
    for store in {name.partition(".zarr/")[0] for name in expected if ".zarr/" in name}:
        mine, theirs = open_product(f"{local}/{store}.zarr").load(), open_product(f"{base}/out/{store}.zarr").load()
        xr.testing.assert_identical(mine.drop_attrs(), theirs.drop_attrs())
    tracks = mc.open_catalog(f"{base}/root").search()
    assert [entry.attrs["source"]["url"] for entry in tracks] == sorted(sources, key=lambda url: track_of(url, tracks))
    assert not any(secret in json.dumps([entry.to_json() for entry in tracks]) for secret in s3.writer)


def track_of(url, entries):
    return next(entry.track for entry in entries if entry.attrs["source"]["url"] == url)


def same_raster(mine, theirs):
    with rasterio.MemoryFile(mine) as a, rasterio.MemoryFile(theirs) as b, a.open() as one, b.open() as other:
        np.testing.assert_array_equal(one.read(), other.read())
        assert (one.transform, one.crs, one.units) == (other.transform, other.crs, other.units)


def test_figures_and_tables_take_urls(local, s3, tmp_path):
    """What does not compute on a cluster takes URLs, too."""
    base = f"s3://{s3.bucket}/{tmp_path.name}"
    fs, place = locate(base)
    fs.put(str(local / "joined" / "velocity" / "ascending.zarr"), f"{place}/ascending.zarr", recursive=True)
    fs.pipe_file(f"{place}/faults.geojson", FAULTS.encode())
    result = CliRunner().invoke(
        cli, ["plot", f"{base}/ascending.zarr", "--fault", f"{base}/faults.geojson", "--out", f"{base}/map.png"]
    )
    assert result.exit_code == 0, result.output
    assert fs.cat_file(f"{place}/map.png").startswith(b"\x89PNG")
    missing = CliRunner().invoke(cli, ["plot", f"{base}/none.zarr", "--out", f"{base}/map.png"])
    assert (missing.exit_code, "no product" in missing.stderr, "ascending.zarr" in missing.stderr) == (2, True, True)
    assert not Path("s3:").exists()
