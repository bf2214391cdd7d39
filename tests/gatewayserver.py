"""A real Dask Gateway on loopback for tests, from the configuration that deploy/ ships."""

import contextlib
import os
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

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
def run_gateway(folder: Path) -> Iterator[GatewayServer]:
    """Start the gateway, wait until it answers, and stop it at the end."""
    private, public, tcp = free_ports(3)
    server = GatewayServer(f"http://127.0.0.1:{public}", f"gateway://127.0.0.1:{tcp}")
    env = os.environ | {
        "MIMTPY_GATEWAY_PRIVATE_ADDRESS": f"127.0.0.1:{private}",
        "MIMTPY_GATEWAY_ADDRESS": f"127.0.0.1:{public}",
        "MIMTPY_GATEWAY_TCP_ADDRESS": f"127.0.0.1:{tcp}",
        "MIMTPY_GATEWAY_PASSWORD": server.password,
        "MIMTPY_GATEWAY_STATE": str(folder),
    }
    program = Path(sys.executable).with_name("dask-gateway-server")
    with (folder / "log").open("wb") as log:
        process = subprocess.Popen([program, "-f", CONFIG], cwd=folder, env=env, stdout=log, stderr=log)
        try:
            wait(server, process, folder / "log")
            yield server
        finally:
            process.terminate()
            try:
                process.wait(10)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()


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
