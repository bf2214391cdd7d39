"""Searches on real clusters: the same bits wherever they run, and after processes were killed."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import dask
import numpy as np
import pytest
import xarray as xr
import zarr
from searchjob import build

import mimtpy_cloud as mc
from mimtpy_cloud.search import open_models, run_search, write_models


def start(folder):
    environment = {**os.environ, "PYTHONPATH": str(Path(__file__).parent)}
    for name in list(environment):
        if name.startswith(("DASK_", "MIMTPY_")):
            del environment[name]
    command = [sys.executable, str(Path(__file__).with_name("searchjob.py")), str(folder)]
    return subprocess.Popen(command, env=environment, stderr=subprocess.PIPE, text=True, start_new_session=True)


def blocks_done(folder):
    chunks = folder / "checkpoint.zarr/numbers/c"
    return len(list(chunks.iterdir())) if chunks.is_dir() else 0


def wait_until(condition, process, seconds=120):
    end = time.monotonic() + seconds
    while not condition():
        assert process.poll() is None, process.stderr.read()[-3000:]
        assert time.monotonic() < end, "waited too long"
        time.sleep(0.01)


@pytest.fixture
def cleared():
    """Kill what a test left running."""
    started = []
    yield started
    for process in started:
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGKILL)
        process.stderr.close()
        process.wait()


def test_a_search_whose_worker_and_then_client_are_killed_goes_on_and_gives_the_same_bits(tmp_path, cleared):
    first = start(tmp_path)
    cleared.append(first)
    wait_until((tmp_path / "pids").exists, first)
    wait_until(lambda: blocks_done(tmp_path) >= 3, first)
    worker = int((tmp_path / "pids").read_text().split()[0])
    os.kill(worker, signal.SIGKILL)
    before = blocks_done(tmp_path)
    wait_until(lambda: blocks_done(tmp_path) >= before + 4, first)  # it goes on without it
    os.killpg(first.pid, signal.SIGKILL)
    first.wait()
    assert not (tmp_path / "done.npz").exists()
    done = blocks_done(tmp_path)
    assert 7 <= done < 32  # in the middle
    kept = {file: file.stat().st_mtime_ns for file in (tmp_path / "checkpoint.zarr/numbers/c").rglob("0")}

    second = start(tmp_path)
    cleared.append(second)
    assert second.wait(timeout=180) == 0, second.stderr.read()[-3000:]
    assert {file: file.stat().st_mtime_ns for file in kept} == kept  # what was done is not done again
    with dask.config.set(scheduler="synchronous"):
        expected = build().compute()
    found = np.load(tmp_path / "done.npz")
    np.testing.assert_array_equal(found["misfit"], expected["misfit"])
    np.testing.assert_array_equal(found["ramp"], expected["ramp_coefficient"])


def test_a_checkpoint_is_a_zarr_store_that_others_read(tmp_path):
    x = xr.DataArray(np.ones(5), dims="point")
    models = xr.DataArray(np.ones((3, 5)) * [[1], [2], [3]], {"p": [1, 2, 3]}, ("p", "point"))
    mc.search_grid(x, models, checkpoint=tmp_path / "kept.zarr").compute()
    group = zarr.open_group(tmp_path / "kept.zarr", mode="r")
    assert group["numbers"][:, 0].tolist() == [0.0, 5.0, 20.0]


def test_workers_change_nothing_and_models_do_not_pass_through_the_client(tmp_path):
    rng = np.random.default_rng(0)
    y, x = 2 - 0.01 * np.arange(40), 30 + 0.01 * np.arange(50)
    coords = {"p": np.arange(64.0), "q": np.arange(8.0), "y": y, "x": x}
    models = xr.DataArray(rng.standard_normal((64, 8, 40, 50), np.float32), coords, ("p", "q", "y", "x"))
    stack = write_models(models, tmp_path / "models.zarr")
    observed = models[3, 4].drop_vars(["p", "q"]) + 0.5 * (models.x - 30)
    search = mc.search_grid(observed, stack, ramp="linear")
    with dask.config.set(scheduler="synchronous"):
        expected = search.compute()
    for workers in (1, 2):
        seen = []
        with mc.connect("local", workers=workers):
            found = run_search(search, lambda *args, seen=seen: seen.append(args))
        xr.testing.assert_identical(found, expected)
        assert seen[-1] == (512, 512, "models")
    assert (float(expected["best_p"]), float(expected["best_q"])) == (3.0, 4.0)


def test_stack_and_checkpoint_on_an_object_store(s3, tmp_path):
    root = f"s3://{s3.bucket}/{tmp_path.name}"
    rng = np.random.default_rng(0)
    coords = {"p": np.arange(40.0), "y": 2 - 0.01 * np.arange(30), "x": 30 + 0.01 * np.arange(20)}
    models = xr.DataArray(rng.standard_normal((40, 30, 20), np.float32), coords, ("p", "y", "x"))
    stack = write_models(models, f"{root}/models.zarr")
    observed = models[7].drop_vars("p") + 0.3 * (models.x - 30)
    plain = mc.search_grid(observed, models, ramp="linear").compute()
    kept = f"{root}/kept.zarr"
    with mc.connect("local", workers=1):
        found = run_search(mc.search_grid(observed, stack, ramp="linear", checkpoint=kept), lambda *_: None)
    np.testing.assert_array_equal(found["misfit"], plain["misfit"])
    assert float(found["best_p"]) == 7.0
    again = mc.search_grid(observed, open_models(f"{root}/models.zarr"), ramp="linear", checkpoint=kept).compute()
    xr.testing.assert_identical(again, found)
