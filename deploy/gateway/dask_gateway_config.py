"""
Configuration of Dask Gateway on one machine, for a group: ``dask-gateway-server -f dask_gateway_config.py``.

Everything of the installation comes from the environment:

MIMTPY_GATEWAY_PUBLIC        where clients connect, ``host:port`` (127.0.0.1:8000)
MIMTPY_GATEWAY_TCP           where they reach their schedulers, through TLS (127.0.0.1:8002)
MIMTPY_GATEWAY_ADDRESS       the gateway itself, for its proxy and its clusters only (127.0.0.1:8001)
MIMTPY_GATEWAY_STATE         folder of the clusters (gateway-state in the working directory)
MIMTPY_GATEWAY_PASSWORD      password of all users; there is no default
MIMTPY_GATEWAY_IDLE          seconds after which an idle cluster stops (1800)
MIMTPY_GATEWAY_MAX_WORKERS   of a cluster (8)
MIMTPY_GATEWAY_MAX_CORES     of a worker (the cores of the machine)
MIMTPY_GATEWAY_MAX_MEMORY    of a worker, in GiB (32)

Below a JupyterHub, which sets JUPYTERHUB_API_TOKEN, JUPYTERHUB_API_URL, JUPYTERHUB_SERVICE_PREFIX and
JUPYTERHUB_SERVICE_NAME, users are those of the hub, and there is no password.

Workers get MIMTPY_ROOT, MIMTPY_CACHE_DIR, MIMTPY_CACHE_SIZE and AWS_* of whoever starts the gateway: give it an identity
that all users may have.
"""

import os
import sys
from pathlib import Path

from dask_gateway_server.options import Float, Integer, Mapping, Options

c = get_config()  # noqa: F821
setting = os.environ.get

# --- where it listens ---------------------------------------------------------------------------------------

state = Path(setting("MIMTPY_GATEWAY_STATE", "gateway-state")).resolve()
state.mkdir(mode=0o700, parents=True, exist_ok=True)
c.DaskGateway.address = setting("MIMTPY_GATEWAY_ADDRESS", "127.0.0.1:8001")
c.Proxy.address = setting("MIMTPY_GATEWAY_PUBLIC", "127.0.0.1:8000")
c.Proxy.tcp_address = setting("MIMTPY_GATEWAY_TCP", "127.0.0.1:8002")

# --- who may use it -----------------------------------------------------------------------------------------

if "JUPYTERHUB_API_TOKEN" in os.environ:
    c.DaskGateway.authenticator_class = "dask_gateway_server.auth.JupyterHubAuthenticator"
    c.JupyterHubAuthenticator.jupyterhub_api_token = os.environ["JUPYTERHUB_API_TOKEN"]
    c.JupyterHubAuthenticator.jupyterhub_api_url = os.environ["JUPYTERHUB_API_URL"]
    # A token counts only if its owner may use this service.
    c.JupyterHubAuthenticator.jupyterhub_service_name = setting("JUPYTERHUB_SERVICE_NAME", "dask-gateway")
    c.Proxy.prefix = setting("JUPYTERHUB_SERVICE_PREFIX", "/services/dask-gateway/").rstrip("/")
elif setting("MIMTPY_GATEWAY_PASSWORD"):
    c.DaskGateway.authenticator_class = "dask_gateway_server.auth.SimpleAuthenticator"
    c.SimpleAuthenticator.password = os.environ["MIMTPY_GATEWAY_PASSWORD"]
else:
    raise SystemExit("set MIMTPY_GATEWAY_PASSWORD to the password of all users, or start the gateway below a JupyterHub")

# --- what a cluster is --------------------------------------------------------------------------------------

# Clusters are processes of the user who runs the gateway. Nothing separates users from each other.
c.DaskGateway.backend_class = "dask_gateway_server.backends.local.UnsafeLocalBackend"
c.UnsafeLocalBackend.clusters_directory = str(state / "clusters")
c.ClusterConfig.scheduler_cmd = [sys.executable, "-m", "distributed.cli.dask_scheduler"]
c.ClusterConfig.worker_cmd = [sys.executable, "-m", "distributed.cli.dask_worker"]
c.ClusterConfig.cluster_max_workers = int(setting("MIMTPY_GATEWAY_MAX_WORKERS", "8"))
c.ClusterConfig.idle_timeout = float(setting("MIMTPY_GATEWAY_IDLE", "1800"))
c.ClusterConfig.adaptive_period = 2

# --- what users may choose ----------------------------------------------------------------------------------

CORES = int(setting("MIMTPY_GATEWAY_MAX_CORES", str(os.cpu_count() or 1)))
MEMORY = float(setting("MIMTPY_GATEWAY_MAX_MEMORY", "32"))
SECRET_WORDS = ("KEY", "SECRET", "TOKEN", "PASSWORD", "CREDENTIAL")
INHERITED = ("MIMTPY_ROOT", "MIMTPY_CACHE_DIR", "MIMTPY_CACHE_SIZE")
ENVIRONMENT = {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"} | {
    name: value for name, value in os.environ.items() if name.startswith("AWS_") or name in INHERITED
}


def configure_cluster(options, user):
    """Turn the options that a user chose into the configuration of the cluster."""
    # Options are kept in the open, in the description of the cluster: no secret may be among them.
    secrets = sorted(name for name in options.environment if any(word in name.upper() for word in SECRET_WORDS))
    if secrets:
        raise ValueError(
            f"the environment of a cluster must not hold secrets, got {', '.join(secrets)}; "
            "workers reach S3 with the keys that the gateway was started with, so leave them out"
        )
    return {
        "worker_cores": options.worker_cores,
        "worker_threads": options.worker_cores,
        "worker_memory": f"{options.worker_memory:.3f}G",
        "environment": ENVIRONMENT | {name: str(value) for name, value in options.environment.items()},
    }


c.Backend.cluster_options = Options(
    Integer("worker_cores", min(2, CORES), min=1, max=CORES, label="Cores of a worker"),
    Float("worker_memory", min(4.0, MEMORY), min=0.5, max=MEMORY, label="Memory of a worker (GiB)"),
    Mapping("environment", {}, label="Environment of the workers"),
    handler=configure_cluster,
)
