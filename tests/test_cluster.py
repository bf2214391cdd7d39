"""Connections: what is chosen, what is closed, what is said, and the same bits wherever it is computed."""

import logging
import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import dask
import dask.array as da
import dask_jobqueue  # noqa: F401 - its defaults, before a test sets others
import numpy as np
import pytest
import xarray as xr
from click.testing import CliRunner
from distributed import Client, LocalCluster
from scenes import write_scene

import mimtpy_cloud as mc
from mimtpy_cloud import cluster as module
from mimtpy_cloud.catalog.index import open_catalog
from mimtpy_cloud.cli.app import cli
from mimtpy_cloud.client import active_client
from mimtpy_cloud.errors import ClusterError, SchemaError, SourceFormatError, StorageError
from mimtpy_cloud.exports.zarr import write_zarr
from mimtpy_cloud.io.storage import open_storage
from mimtpy_cloud.location import locate


@pytest.fixture(autouse=True)
def _nothing_given(monkeypatch):
    for name in list(os.environ):
        if name.startswith(("DASK_", "MIMTPY_CLUSTER", "MIMTPY_WORKERS", "MIMTPY_CACHE")):
            monkeypatch.delenv(name)


@pytest.fixture(scope="module")
def two_workers():
    """A scheduler with two processes, that somebody else started."""
    with LocalCluster(
        n_workers=2, threads_per_worker=1, host="127.0.0.1", dashboard_address="127.0.0.1:0", silence_logs=logging.ERROR
    ) as cluster:
        yield cluster


def processes(text):
    found = subprocess.run(["ps", "-eo", "args"], check=True, capture_output=True, text=True).stdout
    return [line for line in found.splitlines() if text in line]


# --- what is chosen -------------------------------------------------------------------------------------------


def test_the_first_that_is_there_is_chosen(monkeypatch, tmp_path):
    assert module.choose() == "local"
    sbatch = tmp_path / "sbatch"
    sbatch.write_text("#!/bin/sh\n")
    sbatch.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}{os.pathsep}{os.environ['PATH']}")
    assert module.choose("auto") == "local"  # a queue that is not configured is none
    with dask.config.set({"jobqueue.slurm.cores": 4}):
        assert module.choose() == "slurm"
        monkeypatch.setenv("DASK_SCHEDULER_ADDRESS", "tcp://10.0.0.7:8786")
        assert module.choose() == "tcp://10.0.0.7:8786"
        monkeypatch.setenv("DASK_GATEWAY__ADDRESS", "https://hub/services/dask-gateway")
        assert module.choose() == "gateway"
        assert module.choose("local") == "local"


@pytest.mark.parametrize("name", ["kubernetes", "tcp://", "s3://bucket", "10.0.0.7:8786"])
def test_an_unknown_kind_is_said_with_those_there_are(name):
    with pytest.raises(ClusterError, match=f"no kind of cluster '{re.escape(name)}'; expected one of auto, threads"):
        mc.connect(name)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"adaptive": (2, 1)}, "adaptive must be"),
        ({"adaptive": (0, 0)}, "adaptive must be"),
        ({"adaptive": (0, 2), "workers": 1}, "adaptive must be"),
        ({"workers": 0}, "workers must be at least 1"),
    ],
)
def test_a_size_that_is_none_is_said(options, message):
    with pytest.raises(ClusterError, match=message):
        mc.connect("threads", **options)


def test_what_goes_to_workers_elsewhere_is_no_secret(monkeypatch):
    settings = {
        "AWS_REGION": "eu-central-1",
        "AWS_ENDPOINT_URL": "https://store",
        "MIMTPY_CACHE_DIR": "/cache",
        "AWS_SECRET_ACCESS_KEY": "hush",
        "AWS_ACCESS_KEY_ID": "AKIA",
        "AWS_SESSION_TOKEN": "hush",
        "AZURE_STORAGE_ACCOUNT_KEY": "hush",
        "GOOGLE_APPLICATION_CREDENTIALS": "/home/me/key.json",
        "MIMTPY_GATEWAY_PASSWORD": "hush",
        "AZURE_STORAGE_CONNECTION_STRING": "AccountKey=hush",
        "AZURE_STORAGE_SAS": "hush",
    }
    for name, value in settings.items():
        monkeypatch.setenv(name, value)
    passed = module._environment({"MINE": "1"})
    assert {n for n in passed if n in settings} == {"AWS_REGION", "AWS_ENDPOINT_URL", "MIMTPY_CACHE_DIR"}
    assert passed["MINE"] == passed["OMP_NUM_THREADS"] == "1"
    assert module._environment({"AWS_SESSION_TOKEN": "mine"})["AWS_SESSION_TOKEN"] == "mine"


# --- threads, processes, addresses ----------------------------------------------------------------------------


def test_threads_are_dasks_own_even_where_a_client_is_in_charge(two_workers):
    with Client(two_workers), mc.connect("threads", threads=2) as connection:
        assert connection.client is None
        assert active_client() is None
        assert dask.config.get("num_workers") == 2
    assert dask.config.get("scheduler", None) is None


def test_processes_of_this_machine_are_started_and_gone_again(tmp_path):
    with mc.connect("local", workers=2, threads=1, memory="500MB") as connection:
        assert (connection.kind, connection.workers) == ("local", 2)
        assert connection.dashboard.startswith("http://127.0.0.1:")
        assert active_client() is connection.client
        assert int(da.arange(100, chunks=10).sum().compute()) == 4950
        environment = connection.client.run(os.environ.get, "OMP_NUM_THREADS")
        assert set(environment.values()) == {"1"}
        folders = connection.client.run(lambda dask_worker: dask_worker.local_directory)
        assert all("mimtpy-spill-" in folder for folder in folders.values())
    assert active_client() is None
    assert not any(Path(folder).exists() for folder in folders.values())


def test_a_cluster_of_somebody_else_stays(two_workers):
    with mc.connect(two_workers.scheduler_address) as connection:
        assert (connection.kind, connection.workers) == ("address", 2)
        assert int(da.arange(100, chunks=10).sum().compute()) == 4950
    with Client(two_workers) as client:
        assert len(client.scheduler_info()["workers"]) == 2


def test_an_error_in_the_block_closes_as_well():
    with pytest.raises(ZeroDivisionError), mc.connect("local", workers=1, threads=1) as connection:
        1 / 0  # noqa: B018
    assert connection.client.status == "closed"


def test_nobody_at_an_address_is_said():
    started = time.monotonic()
    with pytest.raises(ClusterError, match=r"cannot use tcp://127.0.0.1:9: .*; check the address and the network"):
        mc.connect("tcp://127.0.0.1:9", timeout=1)
    assert time.monotonic() - started < 20


def test_a_number_of_workers_for_a_scheduler_that_runs_is_refused(two_workers):
    with pytest.raises(ClusterError, match="has the workers that it has; leave out their number"):
        mc.connect(two_workers.scheduler_address, workers=4)


def test_a_scheduler_without_workers_is_said():
    with (
        LocalCluster(
            n_workers=0, host="127.0.0.1", dashboard_address="127.0.0.1:0", silence_logs=logging.ERROR
        ) as empty,
        pytest.raises(ClusterError, match=r"no worker came in 0.5 s; start workers for this scheduler"),
    ):
        mc.connect(empty.scheduler_address, timeout=0.5)


def test_other_versions_are_an_error_or_a_warning(two_workers, monkeypatch):
    original = Client.get_versions

    def report(self, **options):
        found = original(self, **options)
        for worker in found["workers"].values():
            worker["packages"] |= changed
        return found

    monkeypatch.setattr(Client, "get_versions", report)
    changed = {"mimtpy_cloud": "9.9", "dask": "1.0"}
    with pytest.raises(ClusterError, match=r"mimtpy_cloud 9.9 at tcp://.*; dask 1.0 at .*same environment or image"):
        mc.connect(two_workers.scheduler_address)
    changed = {"mimtpy_cloud": None}
    with pytest.raises(ClusterError, match="mimtpy_cloud missing at"):
        mc.connect(two_workers.scheduler_address)
    changed = {"xarray": "1.0"}
    with pytest.warns(UserWarning, match=r"xarray 1.0 at .*here"):
        mc.connect(two_workers.scheduler_address).close()


def test_a_queue_that_is_not_described_is_said():
    with (
        dask.config.set({"jobqueue.slurm.cores": None, "jobqueue.slurm.memory": None}),
        pytest.raises(ClusterError, match=r"a job of slurm needs cores and memory: .*jobqueue.slurm"),
    ):
        mc.connect("slurm")


def test_the_job_of_a_queue_sets_what_workers_need(monkeypatch, tmp_path):
    """The real job script, and a queue that runs it at once: `sbatch` is a shell script here."""
    sbatch = tmp_path / "sbatch"
    sbatch.write_text(
        '#!/bin/sh\ncp "$1" "$0.script"\nbash "$0.script" >/dev/null 2>&1 &\necho $! > "$0.pid"; echo 17\n'
    )
    scancel = tmp_path / "scancel"
    scancel.write_text(f'#!/bin/sh\npkill -P "$(cat {sbatch}.pid)"; true\n')
    for tool in (sbatch, scancel):
        tool.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}{os.pathsep}{os.environ['PATH']}")
    monkeypatch.setenv("MIMTPY_CACHE_SIZE", "5GB")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "hush")
    options = {"interface": "lo", "python": sys.executable, "walltime": "00:05:00", "log_directory": str(tmp_path)}
    with mc.connect("slurm", workers=1, threads=1, memory="500MB", options=options, timeout=60) as connection:
        assert connection.kind == "slurm"
        assert int(da.arange(100, chunks=10).sum().compute()) == 4950
        assert set(connection.client.run(os.environ.get, "MIMTPY_CACHE_SIZE").values()) == {"5GB"}
    script = Path(f"{sbatch}.script").read_text()
    assert "export MIMTPY_CACHE_SIZE=5GB" in script
    assert "hush" not in script


# --- the same bits ---------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def sources(tmp_path_factory):
    folder = tmp_path_factory.mktemp("sources")
    return [
        write_scene(folder, shape=(300, 280), seed=frame, frames=(frame, frame + 3), name=f"S1_{frame}.he5", west=west)
        for frame, west in ((113, 100.2), (116, 100.8))
    ]


def pixels(root):
    """Every array of every store below a root, without what depends on the time of the ingest."""
    found = {}
    for entry in open_catalog(root).search():
        ds = mc.open_track(root, entry.track, resolution=entry.resolution, product=entry.product)
        found[entry.track, entry.product, entry.content] = ds.load(scheduler="threads").drop_attrs()
    return found


def test_workers_ingest_the_same_a_source_each(two_workers, sources, tmp_path):
    mc.ingest(sources, tmp_path / "alone")
    steps = []
    with mc.connect(two_workers.scheduler_address):
        entries = mc.ingest(sources, tmp_path / "root", progress=lambda *step: steps.append(step))
        assert mc.ingest(sources, tmp_path / "root") == entries
    assert steps[-1][0] == steps[-1][1] > 0
    there, here = pixels(tmp_path / "root"), pixels(tmp_path / "alone")
    assert there.keys() == here.keys()
    for name, ds in there.items():
        xr.testing.assert_identical(ds, here[name])


def test_a_bad_source_stops_an_ingest_on_workers_before_anything_is_written(two_workers, sources, tmp_path):
    (tmp_path / "bad.he5").write_bytes(b"nothing")
    with mc.connect(two_workers.scheduler_address), pytest.raises(SourceFormatError, match=r"bad\.he5"):
        mc.ingest([*sources, tmp_path / "bad.he5"], tmp_path / "root")
    assert not (tmp_path / "root").exists()


def test_a_source_that_the_workers_do_not_see_is_said(two_workers, sources, tmp_path, monkeypatch):
    """A file that is gone when the worker looks, as one of the client's own disk would be."""
    from mimtpy_cloud.catalog import ingest as module

    hidden = tmp_path / "here.he5"
    hidden.write_bytes(sources[0].read_bytes())
    original = module._ingest_on

    def hide(*given):
        hidden.rename(tmp_path / "elsewhere.he5")
        return original(*given)

    monkeypatch.setattr(module, "_ingest_on", hide)
    with (
        mc.connect(two_workers.scheduler_address),
        pytest.raises(SourceFormatError, match="is not there for a worker of the cluster; use a folder that all"),
    ):
        mc.ingest(hidden, tmp_path / "root")


def test_a_product_written_by_workers_to_a_folder_or_a_store_is_the_same(two_workers, s3, tmp_path):
    values = np.random.default_rng(0).normal(size=(3, 40, 60)).astype("float32")
    values[:, :20] = np.nan
    places = {"y": np.arange(40.0), "x": np.arange(60.0)}
    lazy = xr.Dataset({"displacement": (("time", "y", "x"), values, {"units": "m"})}, places).chunk(time=3, y=20, x=20)
    write_zarr(lazy, tmp_path / "threads.zarr")
    url = f"s3://{s3.bucket}/{tmp_path.name}"
    steps = []
    with (
        LocalCluster(
            n_workers=2,
            threads_per_worker=1,
            host="127.0.0.1",
            dashboard_address="127.0.0.1:0",
            silence_logs=logging.ERROR,
        ) as cluster,
        mc.connect(cluster.scheduler_address),
    ):
        for _ in range(2):  # the second replaces the first
            write_zarr(lazy, f"{url}/x.zarr", required=["displacement"], progress=lambda *step: steps.append(step))
        write_zarr(lazy, tmp_path / "workers.zarr", required=["displacement"])
        nothing = lazy.assign(displacement=lazy.displacement * np.nan)
        with pytest.raises(SchemaError, match="no pixel with data"):
            write_zarr(nothing, f"{url}/y.zarr", required=["displacement"])
    assert steps[5] == (6, 6, "chunks")
    storage = open_storage(url)
    fs, place = locate(url)
    assert {key.removeprefix(f"{place}/").partition("/")[0] for key in fs.find(place)} == {"x.zarr"}
    expected = {p.relative_to(tmp_path / "threads.zarr").as_posix() for p in (tmp_path / "threads.zarr").rglob("*")}
    for key in (key for key in expected if (tmp_path / "threads.zarr" / key).is_file() and "json" not in key):
        assert storage.read(f"x.zarr/{key}") == (tmp_path / "threads.zarr" / key).read_bytes()
        assert (tmp_path / "workers.zarr" / key).read_bytes() == (tmp_path / "threads.zarr" / key).read_bytes()


def test_workers_that_do_not_see_the_folder_of_a_product_are_said(two_workers, tmp_path, monkeypatch):
    from mimtpy_cloud.exports import zarr as exporting

    original = exporting.write_chunks
    monkeypatch.setattr(
        exporting, "write_chunks", lambda array, folder, *rest: original(array, f"/nowhere{folder}", *rest)
    )
    ds = xr.Dataset({"velocity": (("y", "x"), da.ones((40, 60), chunks=20))})
    with (
        mc.connect(two_workers.scheduler_address),
        pytest.raises(StorageError, match="the workers of the cluster do not see the folder"),
    ):
        write_zarr(ds, tmp_path / "x.zarr")
    assert list(tmp_path.iterdir()) == []


# --- the command line -------------------------------------------------------------------------------------------


def run(*arguments):
    return CliRunner().invoke(cli, [str(a) for a in arguments])


def test_every_verb_takes_a_cluster(two_workers, sources, tmp_path):
    root, address = tmp_path / "root", two_workers.scheduler_address
    result = run("--cluster", address, "ingest", *sources, "--root", root)
    assert result.exit_code == 0, result.output
    assert "cluster: address, 2 workers" in result.stderr
    for where in ("threads", address):
        out = tmp_path / where.partition(":")[0]
        chosen = ("--resolution", "lowRes", "--product", "0113_0116", "--root", root, "--out", out)
        result = run("--cluster", where, "velocity", "A064", *chosen)
        assert result.exit_code == 0, result.output
    assert active_client() is None
    (alone,), (there,) = (list((tmp_path / where).rglob("*.zarr")) for where in ("threads", "tcp"))
    xr.testing.assert_identical(xr.open_zarr(alone).drop_attrs().load(), xr.open_zarr(there).drop_attrs().load())


def test_the_help_of_a_verb_and_wrong_options_open_no_cluster():
    assert run("--cluster", "tcp://127.0.0.1:9", "velocity", "--help").exit_code == 0
    result = run("--cluster", "local", "--workers", "many", "velocity", "A064")
    assert result.exit_code == 2
    assert "expected a number such as 4, or a range such as 0:20" in result.output
    result = run("--workers", "2", "velocity", "A064")
    assert (result.exit_code, "--workers goes with --cluster" in result.output) == (2, True)
    result = run("--cluster", "locl", "velocity", "A064")
    assert (result.exit_code, result.stderr.startswith("error: no kind of cluster 'locl'")) == (2, True)


def test_ctrl_c_closes_what_was_opened(sources, tmp_path):
    mc.ingest(sources, tmp_path / "root")
    code = (
        "import sys, time, mimtpy_cloud.cli.actions as actions\n"
        "from mimtpy_cloud.cli.app import main\n"
        "actions.save = lambda *a, **k: time.sleep(60)\n"
        "main()\n"
    )
    arguments = ["--cluster", "local", "--workers", "1", "velocity", "A064", "--root", str(tmp_path / "root")]
    command = [sys.executable, "-c", code, *arguments, "--resolution", "lowRes", "--product", "0113_0116"]
    process = subprocess.Popen(command, stderr=subprocess.PIPE, text=True, cwd=tmp_path, start_new_session=True)
    try:
        line = ""
        while "cluster: local" not in line:
            line = process.stderr.readline()
            assert line, "the command ended early"
        time.sleep(1)
        os.killpg(process.pid, signal.SIGINT)  # as a terminal does
        _, said = process.communicate(timeout=180)
    finally:
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGKILL)
            process.communicate()
    assert process.returncode == 130, said
    assert "Traceback" not in said
    assert said.splitlines()[-1].startswith("interrupted; what was finished is kept")
    assert len(said.splitlines()) <= 2
    assert not processes(f"--multiprocessing-fork --parent {process.pid}")
    assert not list(tmp_path.glob("*.zarr"))
