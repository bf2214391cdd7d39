"""The configuration in ``deploy/gateway``, tried with the gateway that it starts."""

import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from typing import Any

import dask
import dask.array as da
import psutil
import pytest
from dask_gateway import Gateway
from gatewayserver import CONFIG, GatewayServer, run_gateway

SMALL = {"worker_cores": 1, "worker_memory": 1}


@pytest.fixture
def user(gateway: GatewayServer) -> Iterator[Gateway]:
    """A client of the gateway; it closes itself when it is forgotten, and only then."""
    with dask.config.set(gateway.settings()):
        yield Gateway()


def until(condition: Callable[[], Any], seconds: float = 60) -> bool:
    """Wait for something; False if it never came."""
    end = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > end:
            return False
        time.sleep(0.2)
    return True


def test_a_cluster_computes_adapts_down_to_nothing_and_ends(user, gateway):
    with user.new_cluster(**SMALL) as cluster:
        cluster.scale(2)
        with cluster.get_client() as client:
            client.wait_for_workers(2, timeout=60)
            assert client.run(lambda: sys.executable) == dict.fromkeys(
                client.scheduler_info()["workers"], sys.executable
            )
            assert da.arange(1000, chunks=100).sum().compute() == 499500
            cluster.adapt(minimum=0, maximum=2)
            assert until(lambda: not client.scheduler_info()["workers"])
            assert da.arange(1000, chunks=100).sum().compute() == 499500  # one comes back for it
        name = cluster.name
    assert until(lambda: name not in [report.name for report in user.list_clusters()])
    assert until(lambda: not (gateway.folder / "state" / "clusters" / name).exists())


def test_a_wrong_password_is_refused(gateway):
    with dask.config.set(gateway.settings(password="guessed")), pytest.raises(Exception, match="401"):
        Gateway().list_clusters()


def test_a_cluster_belongs_to_its_user(user, gateway):
    with user.new_cluster(**SMALL) as cluster:
        assert [report.name for report in user.list_clusters()] == [cluster.name]
        with dask.config.set(gateway.settings("eve")):
            eve = Gateway()
            assert eve.list_clusters() == []
            with pytest.raises(Exception, match="403|404|not found|permission"):
                eve.connect(cluster.name)


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"worker_cores": 3}, "worker_cores.*2"),
        ({"worker_memory": 0.1}, "worker_memory.*0.5"),
        ({"image": "other"}, "image"),
        ({"environment": {"AWS_SECRET_ACCESS_KEY": "s"}}, "must not hold secrets, got AWS_SECRET_ACCESS_KEY"),
        ({"environment": {"github_token": "s"}}, "must not hold secrets, got github_token"),
    ],
)
def test_what_is_not_allowed_is_refused(user, options, said):
    with pytest.raises(Exception, match=said):
        user.submit(**options)
    assert user.list_clusters() == []


def test_a_cluster_has_no_more_workers_than_allowed(user):
    with user.new_cluster(**SMALL) as cluster, pytest.warns(Warning, match="3 workers"):
        cluster.scale(5)


def test_workers_have_the_settings_of_the_gateway_and_no_password(tmp_path):
    given = {"AWS_REGION": "eu-central-1", "AWS_SECRET_ACCESS_KEY": "s", "MIMTPY_ROOT": "s3://insar/root"}
    with run_gateway(tmp_path, given) as gateway:
        processes = psutil.Process().children(recursive=True)
        with dask.config.set(gateway.settings()):
            user = Gateway()
            with user.new_cluster(**SMALL, environment={"MIMTPY_ROOT": "s3://own/root", "N": 3}) as cluster:
                cluster.scale(1)
                with cluster.get_client() as client:
                    client.wait_for_workers(1, timeout=60)
                    (environment,) = client.run(lambda: dict(os.environ)).values()
            assert environment.items() >= {**given, "MIMTPY_ROOT": "s3://own/root", "N": "3"}.items()
            assert gateway.password not in environment.values()
            user.new_cluster(**SMALL, shutdown_on_close=False).close()
            processes += [p for p in psutil.Process().children(recursive=True) if p not in processes]
    assert len(processes) >= 3  # gateway, proxy, the scheduler of the cluster that nobody closed
    assert psutil.wait_procs(processes, timeout=1)[1] == []


def test_without_a_password_nothing_starts(tmp_path):
    environment = {name: value for name, value in os.environ.items() if not name.startswith(("MIMTPY_", "JUPYTERHUB_"))}
    command = [sys.executable, "-m", "dask_gateway_server", "-f", str(CONFIG)]
    done = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True, timeout=60)
    assert done.returncode
    assert "set MIMTPY_GATEWAY_PASSWORD" in done.stderr
