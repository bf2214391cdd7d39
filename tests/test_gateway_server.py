"""What the configuration in ``deploy/gateway`` allows and refuses, by the gateway that it starts."""

import contextlib
import os
import subprocess
import sys
import time
from pathlib import Path

import dask
import psutil
import pytest
from dask_gateway import Gateway
from gatewayserver import CONFIG, run_gateway

import mimtpy_cloud as mc
from mimtpy_cloud.errors import ClusterError


@pytest.mark.parametrize("name", ["AWS_SECRET_ACCESS_KEY", "github_token"])
def test_a_secret_among_the_options_of_a_cluster_is_refused(gateway, name):
    with pytest.raises(ClusterError, match=rf"must not hold secrets, got {name}; workers reach the store"):
        mc.connect("gateway", environment={name: "s"})


@pytest.mark.parametrize(
    ("options", "said"),
    [({"worker_cores": 3}, "worker_cores.*2"), ({"worker_memory": 0.1}, r"worker_memory.*0\.5")],
)
def test_a_worker_is_no_larger_or_smaller_than_allowed(gateway, options, said):
    with pytest.raises(ClusterError, match=said):
        mc.connect("gateway", options=options)


def test_a_cluster_has_no_more_workers_than_allowed(gateway):
    with mc.connect("gateway", workers=1) as connection, pytest.warns(Warning, match="3 workers"):
        connection.client.cluster.scale(4)


def test_workers_have_the_settings_of_the_gateway_but_not_its_password_and_nothing_is_left_running(tmp_path):
    given = {"AWS_REGION": "eu-central-1", "AWS_SECRET_ACCESS_KEY": "s", "MIMTPY_ROOT": "s3://insar/root"}
    with run_gateway(tmp_path, given) as gateway, dask.config.set(gateway.config("alice")):
        with mc.connect("gateway", workers=1, environment={"MIMTPY_ROOT": "s3://own/root"}) as connection:
            (environment,) = connection.client.run(lambda: dict(os.environ)).values()
            assert set(connection.client.run(lambda: sys.executable).values()) == {sys.executable}
            (spill,) = connection.client.run(lambda dask_worker: dask_worker.local_directory).values()
        assert Path(spill).is_relative_to(tmp_path / "clusters")
        assert environment.items() >= (given | {"MIMTPY_ROOT": "s3://own/root"}).items()
        assert gateway.password not in environment.values()
        forgotten = Gateway().submit()  # a cluster that nobody stops
        folder, until = tmp_path / "clusters" / forgotten, time.monotonic() + 30
        while not folder.exists() and time.monotonic() < until:
            time.sleep(0.05)  # the gateway starts it when it gets to it
        assert folder.stat().st_mode & 0o777 == 0o700
        family = started_from(tmp_path)
        assert len(family) >= 2
    assert psutil.wait_procs(family, timeout=10)[1] == []
    assert list((tmp_path / "clusters").iterdir()) == []


def started_from(folder: Path) -> list[psutil.Process]:
    """Processes below this one that work in a folder or below it."""
    found = []
    for process in psutil.Process().children(recursive=True):
        with contextlib.suppress(psutil.NoSuchProcess, psutil.ZombieProcess):
            if Path(process.cwd()).is_relative_to(folder):
                found.append(process)
    return found


def test_without_a_password_nothing_starts(tmp_path):
    environment = {name: value for name, value in os.environ.items() if not name.startswith("MIMTPY_")}
    command = [sys.executable, "-m", "dask_gateway_server", "-f", str(CONFIG)]
    streams = {"capture_output": True, "text": True}
    done = subprocess.run(command, cwd=tmp_path, env=environment, check=False, timeout=60, **streams)
    assert done.returncode
    assert "set MIMTPY_GATEWAY_PASSWORD" in done.stderr
    assert list(tmp_path.iterdir()) == []
