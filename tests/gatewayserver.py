"""A real Dask Gateway on loopback for tests, from the configuration that deploy/ ships."""

import contextlib
import os
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import psutil
from s3server import free_ports

CONFIG = Path(__file__).resolve().parents[1] / "deploy" / "gateway" / "dask_gateway_config.py"


@dataclass(frozen=True)
class GatewayServer:
    """Where the gateway listens, and its password."""

    address: str
    proxy_address: str
    password: str = "gateway-test-password"

    def config(self, user: str) -> dict[str, object]:
        """Settings of dask for a user."""
        return {
            "gateway.address": self.address,
            "gateway.proxy-address": self.proxy_address,
            "gateway.auth.type": "basic",
            "gateway.auth.kwargs": {"username": user, "password": self.password},
        }


@contextlib.contextmanager
def run_gateway(folder: Path, environment: Mapping[str, str] | None = None) -> Iterator[GatewayServer]:
    """
    Start the gateway, wait until it answers, and stop it, its proxy and all clusters at the end.

    Of AWS_* and MIMTPY_* workers get what is in the given environment, and none of this process.
    """
    private, public, tcp = free_ports(3)
    server = GatewayServer(f"http://127.0.0.1:{public}", f"gateway://127.0.0.1:{tcp}")
    own = {n: v for n, v in os.environ.items() if not n.startswith(("AWS_", "MIMTPY_", "DASK_"))}
    env = own | {
        "MIMTPY_GATEWAY_PRIVATE_ADDRESS": f"127.0.0.1:{private}",
        "MIMTPY_GATEWAY_ADDRESS": f"127.0.0.1:{public}",
        "MIMTPY_GATEWAY_TCP_ADDRESS": f"127.0.0.1:{tcp}",
        "MIMTPY_GATEWAY_PASSWORD": server.password,
        "MIMTPY_GATEWAY_STATE": str(folder),
        **(environment or {}),
    }
    program = Path(sys.executable).with_name("dask-gateway-server")
    with (folder / "log").open("wb") as log:
        process = subprocess.Popen([program, "-f", CONFIG], cwd=folder, env=env, stdout=log, stderr=log)
        try:
            wait(server, process, folder / "log")
            yield server
        finally:
            stop(process)


def wait(server: GatewayServer, process: subprocess.Popen, log: Path) -> None:
    """Return when the gateway says that it is well."""
    for _ in range(300):
        if process.poll() is not None:
            break
        try:
            with urllib.request.urlopen(f"{server.address}/api/health", timeout=5):
                return
        except OSError:
            time.sleep(0.1)
    raise RuntimeError(f"the gateway did not start; its log ends:\n{log.read_text(errors='replace')[-2000:]}")


def stop(process: subprocess.Popen) -> None:
    """Stop the gateway, which stops its clusters; then, by force, what it started and is still there."""
    family = [psutil.Process(process.pid), *psutil.Process(process.pid).children(recursive=True)]
    process.terminate()
    _, alive = psutil.wait_procs(family, timeout=10)
    for survivor in alive:
        with contextlib.suppress(psutil.NoSuchProcess):
            survivor.kill()
    psutil.wait_procs(alive, timeout=5)
    process.wait()
