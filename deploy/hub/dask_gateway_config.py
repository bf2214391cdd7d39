"""Dask Gateway as the service of the hub of jupyterhub_config.py, which names the environment that it reads."""

import os
import sys

from dask_gateway_server.options import Mapping, Options

c = get_config()  # noqa: F821  (dask-gateway-server runs this file)
env = os.environ

c.DaskGateway.address = env.get("GATEWAY_API", "127.0.0.1:8084")
c.Proxy.address = env.get("GATEWAY_URL", "http://127.0.0.1:8085").removeprefix("http://")
c.Proxy.tcp_address = env.get("GATEWAY_SCHEDULER_URL", "gateway://127.0.0.1:8786").removeprefix("gateway://")
c.Proxy.prefix = "/services/dask-gateway"

c.DaskGateway.authenticator_class = "dask_gateway_server.auth.JupyterHubAuthenticator"
c.JupyterHubAuthenticator.jupyterhub_api_url = env.get("HUB_API_URL", "http://127.0.0.1:8081") + "/hub/api"
c.JupyterHubAuthenticator.jupyterhub_api_token = env["HUB_GATEWAY_TOKEN"]

c.DaskGateway.backend_class = "dask_gateway_server.backends.local.UnsafeLocalBackend"
c.Backend.cluster_options = Options(
    Mapping("environment", {}, label="Environment"),
    handler=lambda options: {"environment": options.environment},
)
c.ClusterConfig.scheduler_cmd = [sys.executable, "-m", "distributed.cli.dask_scheduler"]
c.ClusterConfig.worker_cmd = [sys.executable, "-m", "distributed.cli.dask_worker"]
c.ClusterConfig.idle_timeout = 1800
