"""
Dask Gateway as the service of the hub: that of deploy/gateway, but for those whom the hub vouches for.

HUB_API_URL and HUB_GATEWAY_TOKEN are those of jupyterhub_config.py; MIMTPY_GATEWAY_* those of the other file, less the
password. Workers get AWS_* and MIMTPY_* as this process has them: the credentials of a reader.
"""

import os
import secrets
from pathlib import Path

c = get_config()  # noqa: F821  (dask-gateway-server runs this file)
env = os.environ

env.setdefault("MIMTPY_GATEWAY_PRIVATE_ADDRESS", "127.0.0.1:8084")  # the proxy of the hub has 8000 and 8001
env.setdefault("MIMTPY_GATEWAY_ADDRESS", "127.0.0.1:8085")
env.setdefault("MIMTPY_GATEWAY_PASSWORD", secrets.token_hex())  # of the authenticator that is replaced here
load_subconfig("dask_gateway_config.py", path=str(Path(__file__).parents[1] / "gateway"))  # noqa: F821

c.DaskGateway.authenticator_class = "dask_gateway_server.auth.JupyterHubAuthenticator"
c.JupyterHubAuthenticator.jupyterhub_api_url = env.get("HUB_API_URL", "http://127.0.0.1:8081") + "/hub/api"
c.JupyterHubAuthenticator.jupyterhub_api_token = env["HUB_GATEWAY_TOKEN"]
c.Proxy.prefix = "/services/dask-gateway"
