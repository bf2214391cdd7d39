"""
JupyterHub on one machine, with Dask Gateway as its service. What differs from site to site comes from the environment:

HUB_URL, HUB_API_URL, HUB_PROXY_API_URL : where the proxy listens for users, the hub for all, the proxy for the hub.
HUB_STATE : folder of the database and the cookie secret.
HUB_AUTHENTICATOR, HUB_USERS, HUB_ADMINS : how users log in ("pam", "github", ...), and who may (names with commas).
HUB_PASSWORD : of all users, only for the authenticator "dummy", which is for trials on loopback.
HUB_SPAWNER, HUB_NOTEBOOKS : how servers start, and the folder they show.
HUB_GATEWAY_TOKEN : secret that the gateway shows to the hub, 32 bytes or more: ``openssl rand -hex 32``.
HUB_ADMIN_TOKEN : secret of a program that may start servers of users, such as check.py; no such program without it.
MIMTPY_GATEWAY_ADDRESS, MIMTPY_GATEWAY_TCP_ADDRESS : host:port of the gateway, and of its schedulers.

The other MIMTPY_*, and AWS_* (credentials of a reader), are handed to the servers as the hub has them.
"""

import os
import sys
from pathlib import Path

c = get_config()  # noqa: F821  (JupyterHub runs this file)
env = os.environ
state = Path(env.get("HUB_STATE", "hub-state")).resolve()
HANDED_ON, KEPT = ("MIMTPY_", "AWS_"), "MIMTPY_GATEWAY_"
programs = Path(sys.executable).parent
url = env.get("HUB_URL", "http://127.0.0.1:8000")

state.mkdir(mode=0o700, parents=True, exist_ok=True)
c.JupyterHub.bind_url = url
c.JupyterHub.hub_bind_url = env.get("HUB_API_URL", "http://127.0.0.1:8081")
c.ConfigurableHTTPProxy.api_url = env.get("HUB_PROXY_API_URL", "http://127.0.0.1:8001")
c.JupyterHub.db_url = f"sqlite:///{state}/hub.sqlite"
c.JupyterHub.cookie_secret_file = str(state / "cookie_secret")

c.JupyterHub.authenticator_class = env.get("HUB_AUTHENTICATOR", "pam")
c.Authenticator.allowed_users = set(env.get("HUB_USERS", "").split(",")) - {""}
c.Authenticator.admin_users = set(env.get("HUB_ADMINS", "").split(",")) - {""}
if c.JupyterHub.authenticator_class == "dummy":
    c.DummyAuthenticator.password = env["HUB_PASSWORD"]

c.JupyterHub.spawner_class = env.get("HUB_SPAWNER", "localprocess")
c.Spawner.cmd = [str(programs / "jupyterhub-singleuser")]
c.Spawner.args = ["--allow-root"] if os.geteuid() == 0 and c.JupyterHub.spawner_class == "simple" else []
c.Spawner.notebook_dir = env.get("HUB_NOTEBOOKS", "~")
c.Spawner.default_url = "/lab"
c.Spawner.environment = {
    "PATH": os.pathsep.join((str(programs), env["PATH"])),
    # `mimtpy_cloud.connect()` finds the gateway by these.
    "DASK_GATEWAY__ADDRESS": f"{url}/services/dask-gateway/",
    "DASK_GATEWAY__PROXY_ADDRESS": f"gateway://{env.get('MIMTPY_GATEWAY_TCP_ADDRESS', '127.0.0.1:8786')}",
    "DASK_GATEWAY__PUBLIC_ADDRESS": "/services/dask-gateway/",
    "DASK_GATEWAY__AUTH__TYPE": "jupyterhub",
    **{name: value for name, value in env.items() if name.startswith(HANDED_ON) and not name.startswith(KEPT)},
}

address = env.get("MIMTPY_GATEWAY_ADDRESS", "127.0.0.1:8085")
gateway = {"name": "dask-gateway", "url": f"http://{address}", "display": False}
c.JupyterHub.services = [{**gateway, "api_token": env["HUB_GATEWAY_TOKEN"]}]
use_gateway = "access:services!service=dask-gateway"
c.JupyterHub.load_roles = [
    {"name": "gateway", "scopes": ["read:users", "read:services"], "services": ["dask-gateway"]},
    {"name": "user", "scopes": ["self", use_gateway]},
    {"name": "server", "scopes": ["users:activity!user", "access:servers!user", use_gateway]},
]
if token := env.get("HUB_ADMIN_TOKEN"):
    c.JupyterHub.services.append({"name": "starter", "api_token": token})
    scopes = ["admin:users", "admin:servers", "access:servers", "tokens"]
    c.JupyterHub.load_roles.append({"name": "starter", "scopes": scopes, "services": ["starter"]})
