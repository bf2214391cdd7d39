"""Dask Gateway on one machine; every setting comes from the environment (docs/deploy/gateway.md)."""

import os
import sys
from pathlib import Path

from dask_gateway_server.options import Float, Integer, Mapping, Options

c = get_config()  # noqa: F821


def _setting(name, default):
    return os.environ.get(f"MIMTPY_GATEWAY_{name}", default)


SECRET_WORDS = ("KEY", "SECRET", "TOKEN", "PASSWORD", "CREDENTIAL")
# What does not fit in memory goes to the folder of the cluster, which goes with it.
SPILL = {"DASK_TEMPORARY_DIRECTORY": "."}
# Workers have the settings of whoever starts the gateway, keys for the store among them; users may change the others.
SETTINGS = {
    name: value
    for name, value in os.environ.items()
    if name.startswith(("AWS_", "MIMTPY_")) and not name.startswith("MIMTPY_GATEWAY_")
}


def _cluster(options, _user):
    # Options are kept in the open, in the description of the cluster: no secret may be among them.
    secrets = sorted(name for name in options.environment if any(word in name.upper() for word in SECRET_WORDS))
    if secrets:
        raise ValueError(
            f"the environment of a cluster must not hold secrets, got {', '.join(secrets)}; workers reach the store "
            "with the keys that the gateway was started with, so leave them out"
        )
    return {
        "worker_cores": options.worker_cores,
        "worker_memory": f"{options.worker_memory:f}G",
        "environment": SPILL | SETTINGS | {name: str(value) for name, value in options.environment.items()},
    }


password = _setting("PASSWORD", "")
if not password:  # never open to everybody
    raise SystemExit("set MIMTPY_GATEWAY_PASSWORD: the password of all users, which has no default")

c.DaskGateway.address = _setting("PRIVATE_ADDRESS", "127.0.0.1:8001")
c.Proxy.address = _setting("ADDRESS", "127.0.0.1:8000")
c.Proxy.tcp_address = _setting("TCP_ADDRESS", "127.0.0.1:8786")
c.DaskGateway.backend_class = "dask_gateway_server.backends.local.UnsafeLocalBackend"
c.UnsafeLocalBackend.clusters_directory = str(Path(_setting("STATE", "gateway-state")).resolve() / "clusters")
c.DaskGateway.authenticator_class = "dask_gateway_server.auth.SimpleAuthenticator"
c.SimpleAuthenticator.password = password
c.Backend.cluster_options = Options(
    Integer("worker_cores", 1, min=1, max=int(_setting("MAX_CORES", "2"))),
    Float("worker_memory", 1, min=0.5, max=float(_setting("MAX_MEMORY", "4"))),
    Mapping("environment", {}),
    handler=_cluster,
)
c.ClusterConfig.idle_timeout = float(_setting("IDLE_SECONDS", "600"))
c.ClusterConfig.cluster_max_workers = int(_setting("MAX_WORKERS", "3"))
c.ClusterConfig.scheduler_cmd = [sys.executable, "-m", "distributed.cli.dask_scheduler"]
c.ClusterConfig.worker_cmd = [sys.executable, "-m", "distributed.cli.dask_worker"]
