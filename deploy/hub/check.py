"""
A real JupyterHub, its proxy, the gateway as its service, and an S3 server on loopback: ``make hub-check``.

The server of a user is started, and every cell of the notebook is run by a kernel of that server.
"""

import contextlib
import json
import os
import secrets
import sys
import tempfile
import urllib.error
import urllib.request
import uuid
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import psutil
import websocket
from processes import demo_root, running, say, wait_until
from s3server import S3Server, free_ports, run_server

HERE = Path(__file__).parent
REPOSITORY = HERE.parents[1]
NOTEBOOK = REPOSITORY / "notebooks" / "hub_tour.ipynb"
USER = "tour"
#: Seconds that one cell may take.
PATIENCE = 180
#: Settings of who runs this that do not count here.
OTHERS = ("AWS_", "DASK_", "HUB_", "JUPYTER", "MIMTPY_")


#: What is measured, by a word of its command line.
PROGRAMS = {
    "jupyterhub-singleuser": "server of the user",
    "ipykernel": "kernel",
    "jupyterhub_config": "hub",
    "configurable-http-proxy": "its proxy",
    "dask_gateway_config": "gateway",
    "dask_scheduler": "scheduler",
    "dask_worker": "workers",
    "weed": "object store",
}


def memory() -> str:
    """Resident memory of what runs, in MB."""
    used: dict[str, float] = {}
    for process in psutil.Process().children(recursive=True):
        with contextlib.suppress(psutil.NoSuchProcess):
            lines = (" ".join(p.cmdline()) for p in (process, *process.parents()))
            names = (name for line in lines for word, name in PROGRAMS.items() if word in line)
            name = next(names, "the rest")
            used[name] = used.get(name, 0) + process.memory_info().rss / 1e6
    return ", ".join(f"{name} {size:.0f}" for name, size in used.items())


class Hub:
    """What a program with a token may do through the proxy."""

    def __init__(self, url: str, token: str, *, scheme: str = "token") -> None:
        self.url, self.header = url, {"Authorization": f"{scheme} {token}"}

    def ask(self, method: str, path: str, **body: Any) -> Any:
        """Answer of the hub, or of a server, to a request."""
        data = json.dumps(body).encode() if body else None
        request = urllib.request.Request(f"{self.url}{path}", data, self.header, method=method)
        with urllib.request.urlopen(request, timeout=60) as answer:
            text = answer.read()
        return json.loads(text) if text else None

    def status(self, path: str) -> int:
        """Status of the answer to a GET."""
        try:
            with urllib.request.urlopen(urllib.request.Request(f"{self.url}{path}", headers=self.header)) as answer:
                return answer.status
        except urllib.error.HTTPError as error:
            with error:
                return error.code


class Kernel:
    """A kernel of the user's server, over its websocket."""

    def __init__(self, hub: Hub, user: str) -> None:
        self.session = uuid.uuid4().hex
        kernel = hub.ask("POST", f"/user/{user}/api/kernels", name="python3")
        url = f"{hub.url.replace('http', 'ws', 1)}/user/{user}/api/kernels/{kernel['id']}/channels"
        self.socket = websocket.create_connection(url, header=hub.header, timeout=PATIENCE)

    def run(self, code: str) -> tuple[str, int]:
        """Run code; return what it printed and showed as text, and how many figures. Its error is raised."""
        header = {"msg_id": uuid.uuid4().hex, "msg_type": "execute_request", "session": self.session, "username": USER}
        content = {"code": code, "silent": False, "store_history": True, "allow_stdin": False, "stop_on_error": True}
        message = {"header": {**header, "version": "5.3"}, "parent_header": {}, "metadata": {}, "content": content}
        self.socket.send(json.dumps({**message, "channel": "shell", "buffers": []}))
        text, figures = "", 0
        while True:
            reply = json.loads(self.socket.recv())
            if reply["parent_header"].get("msg_id") != header["msg_id"]:
                continue
            kind, content = reply["msg_type"], reply["content"]
            if kind == "error":
                raise RuntimeError("a cell failed:\n" + "\n".join(content["traceback"]))
            if kind == "stream":
                text += content["text"]
            if kind in ("execute_result", "display_data"):
                figures += "image/png" in content["data"]
                text += "" if "image/png" in content["data"] else content["data"].get("text/plain", "") + "\n"
            if kind == "status" and content["execution_state"] == "idle":
                return text, figures


def environment(folder: Path, server: S3Server) -> dict[str, str]:
    """What the configurations of hub and gateway read: free ports, fresh secrets, and the reader of the bucket."""
    hub, api, proxy, gateway_api, gateway, scheduler = (f"127.0.0.1:{port}" for port in free_ports(6))
    node = REPOSITORY / "build" / "node" / "node_modules" / ".bin"
    return {
        **{
            name: value
            for name, value in os.environ.items()
            if not name.startswith(("AWS_", "DASK_", "JUPYTER", "MIMTPY_"))
        },
        "PATH": os.pathsep.join((str(node), str(Path(sys.executable).parent), os.environ["PATH"])),
        "HUB_URL": f"http://{hub}",
        "HUB_API_URL": f"http://{api}",
        "HUB_PROXY_API_URL": f"http://{proxy}",
        "MIMTPY_GATEWAY_PRIVATE_ADDRESS": gateway_api,
        "MIMTPY_GATEWAY_ADDRESS": gateway,
        "MIMTPY_GATEWAY_TCP_ADDRESS": scheduler,
        "MIMTPY_GATEWAY_STATE": str(folder / "gateway"),
        "HUB_STATE": str(folder / "state"),
        "HUB_AUTHENTICATOR": "dummy",
        "HUB_PASSWORD": secrets.token_hex(),
        "HUB_USERS": USER,
        "HUB_SPAWNER": "simple",
        "HUB_NOTEBOOKS": str(NOTEBOOK.parent),
        "HUB_GATEWAY_TOKEN": secrets.token_hex(32),
        "HUB_ADMIN_TOKEN": secrets.token_hex(32),
        "MIMTPY_ROOT": f"s3://{server.bucket}/tour",
        "MIMTPY_CACHE_DIR": str(folder / "cache"),
        **server.environment(server.reader),
    }


def fill(folder: Path, server: S3Server) -> None:
    """Ingest the demo as the writer of the bucket."""
    os.environ.update(server.environment())
    tracks = demo_root(folder / "data", f"s3://{server.bucket}/tour")
    say(f"ingested {' '.join(tracks)} to s3://{server.bucket}/tour as the writer of the bucket")


def check(hub: Hub) -> None:
    """Start the server of a user, run the notebook, and stop the server."""
    gateway = "/services/dask-gateway/api/v1/clusters/"
    say(f"JupyterHub {hub.ask('GET', '/hub/api/')['version']} answers behind its proxy")
    refused = Hub(hub.url, secrets.token_hex(), scheme="jupyterhub").status(gateway)
    assert refused >= 400, "the gateway answered to a token that is not one"
    say(f"the gateway refuses a token that is not one: status {refused}")
    hub.ask("POST", f"/hub/api/users/{USER}/server")
    wait_until("the user's server", lambda: hub.ask("GET", f"/hub/api/users/{USER}")["servers"][""]["ready"])
    say(f"the server of the user {USER} is ready")
    try:
        kernel = Kernel(hub, USER)
        cells = [cell for cell in json.loads(NOTEBOOK.read_text())["cells"] if cell["cell_type"] == "code"]
        for number, cell in enumerate(cells, 1):
            if number == len(cells):  # which closes the cluster
                say(f"memory in MB: {memory()}")
            text, figures = kernel.run("".join(cell["source"]))
            say(f"cell {number} of {len(cells)} ran: {figures} figures")
            print("".join(f"          {line}\n" for line in text.splitlines()), end="", flush=True)
        left, _ = kernel.run("import dask_gateway; print(len(dask_gateway.Gateway().list_clusters()))")
        assert left.strip() == "0", f"{left} clusters are left"
        say("no cluster is left")
    finally:
        hub.ask("DELETE", f"/hub/api/users/{USER}/server")
    say("the server is stopped")


def serve(folder: Path, env: Mapping[str, str]) -> None:
    """Start the gateway, which the hub would wait for, then the hub with its proxy; check; and stop both."""
    programs = Path(sys.executable).parent
    hub = Hub(env["HUB_URL"], env["HUB_ADMIN_TOKEN"])
    gateway = Hub(f"http://{env['MIMTPY_GATEWAY_ADDRESS']}", "")
    commands = [programs / "dask-gateway-server", programs / "jupyterhub"]
    files = [HERE / "dask_gateway_config.py", HERE / "jupyterhub_config.py"]
    with running([commands[0], "-f", files[0]], folder / "gateway.log", env) as process:
        health = "/services/dask-gateway/api/health"
        wait_until("the gateway", lambda: gateway.status(health) == 200, process=process)
        say("Dask Gateway answers")
        with running([commands[1], "-f", files[1]], folder / "hub.log", env) as parent:
            wait_until("the hub", lambda: hub.status("/hub/api/") == 200, process=parent)
            check(hub)


def main() -> None:
    """Start everything in a temporary folder, check, and stop it."""
    with tempfile.TemporaryDirectory(prefix="mimtpy-hub-", ignore_cleanup_errors=True) as temporary:
        folder = Path(temporary)
        (folder / "s3").mkdir()
        with run_server(folder / "s3") as server:
            fill(folder, server)
            serve(folder, environment(folder, server))
    say("stopped; all is well")


if __name__ == "__main__":
    main()
