"""A real Dask Gateway on loopback for tests, with the configuration of ``deploy/gateway``."""

import contextlib
import os
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import psutil
from s3server import free_ports

CONFIG = Path(__file__).resolve().parents[1] / "deploy" / "gateway" / "dask_gateway_config.py"
START_SECONDS = 60


@dataclass(frozen=True)
class GatewayServer:
    """Where the gateway listens, and the password of every user."""

    address: str
    proxy_address: str
    folder: Path
    password: str = "gateway-password"
    limits: Mapping[str, str] = field(
        default_factory=lambda: {
            "MIMTPY_GATEWAY_MAX_WORKERS": "3",
            "MIMTPY_GATEWAY_MAX_CORES": "2",
            "MIMTPY_GATEWAY_MAX_MEMORY": "4",
            "MIMTPY_GATEWAY_IDLE": "120",
        }
    )

    def environment(self, user: str = "ada") -> dict[str, str]:
        """Environment variables of a client; with dask, set them before it is imported."""
        return {
            "DASK_GATEWAY__ADDRESS": self.address,
            "DASK_GATEWAY__PROXY_ADDRESS": self.proxy_address,
            "DASK_GATEWAY__AUTH__TYPE": "basic",
            "DASK_GATEWAY__AUTH__KWARGS__USERNAME": user,
            "DASK_GATEWAY__AUTH__KWARGS__PASSWORD": self.password,
        }

    def settings(self, user: str = "ada", password: str | None = None) -> dict[str, Any]:
        """Settings of a client as dask's configuration has them: ``dask.config.set(gateway.settings())``."""
        return {
            "gateway.address": self.address,
            "gateway.proxy-address": self.proxy_address,
            "gateway.auth.type": "basic",
            "gateway.auth.kwargs": {"username": user, "password": password or self.password},
        }


@contextlib.contextmanager
def run_gateway(folder: Path, environment: Mapping[str, str] | None = None) -> Iterator[GatewayServer]:
    """
    Start a gateway that keeps everything in a folder, wait until it answers, and stop it and its clusters at the end.

    Workers get AWS_* and MIMTPY_* of the given environment, and none of this process.
    """
    private, public, tcp = free_ports(3)
    server = GatewayServer(f"http://127.0.0.1:{public}", f"gateway://127.0.0.1:{tcp}", folder)
    own = {n: v for n, v in os.environ.items() if not n.startswith(("AWS_", "MIMTPY_", "DASK_", "JUPYTERHUB_"))}
    own |= {
        "MIMTPY_GATEWAY_ADDRESS": f"127.0.0.1:{private}",
        "MIMTPY_GATEWAY_PUBLIC": f"127.0.0.1:{public}",
        "MIMTPY_GATEWAY_TCP": f"127.0.0.1:{tcp}",
        "MIMTPY_GATEWAY_STATE": str(folder / "state"),
        "MIMTPY_GATEWAY_PASSWORD": server.password,
    }
    command = [sys.executable, "-m", "dask_gateway_server", "-f", str(CONFIG)]
    with (folder / "log").open("wb") as log:
        process = subprocess.Popen(
            command, cwd=folder, env=own | dict(server.limits) | dict(environment or {}), stdout=log, stderr=log
        )
        try:
            wait(server, process, folder / "log")
            yield server
        finally:
            stop(process.pid)
            process.wait()


def wait(server: GatewayServer, process: subprocess.Popen, log: Path) -> None:
    """Return when the gateway answers through its proxy that it is well."""
    for _ in range(START_SECONDS * 20):
        if process.poll() is not None:
            break
        try:
            with urllib.request.urlopen(f"{server.address}/api/health", timeout=5):
                return
        except OSError:  # nobody listens yet, or the proxy has no route yet
            pass
        time.sleep(0.05)
    raise RuntimeError(f"the gateway did not start; its log ends:\n{log.read_text(errors='replace')[-2000:]}")


def stop(pid: int) -> None:
    """Stop a process and all that it started: politely, so that clusters are stopped too, then by force."""
    try:
        parent = psutil.Process(pid)
        family = [parent, *parent.children(recursive=True)]
        parent.terminate()
    except psutil.NoSuchProcess:
        return
    psutil.wait_procs(family, timeout=20)
    for process in family:
        with contextlib.suppress(psutil.NoSuchProcess):
            process.kill()
    psutil.wait_procs(family, timeout=5)
