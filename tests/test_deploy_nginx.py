"""Public reads through deploy/nginx, by a real nginx in front of a real S3 server."""

import contextlib
import http.client
import os
import re
import shutil
import ssl
import subprocess
import time
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
from s3server import free_ports
from scenes import displacement, write_scene

import mimtpy_cloud as mc
from mimtpy_cloud.errors import StorageError
from mimtpy_cloud.io.storage import open_storage

FOLDER = Path(__file__).resolve().parents[1] / "deploy" / "nginx"
SEARCH = os.pathsep.join([os.environ.get("PATH", ""), "/usr/sbin", "/usr/local/sbin"])
#: Modules of a usual build that are not used, but whose folders it makes.
UNUSED = ("fastcgi", "uwsgi", "scgi")


class Answered(urllib.request.HTTPErrorProcessor):
    """A status of an error is an answer too."""

    def http_response(self, request, response):
        return response


PLAIN = urllib.request.build_opener(Answered)


@dataclass(frozen=True)
class Web:
    """A running nginx: its addresses, its certificate, and what it asked the store."""

    plain: str
    secure: str
    certificate: Path
    log: Path

    def asked(self) -> list[str]:
        """Give the status of each request that went on to the store; what the cache answers has no address there."""
        time.sleep(0.2)  # a line is written after its answer
        return [line for line in self.log.read_text().splitlines() if not line.startswith("- ")]


def find_nginx() -> str:
    if shutil.which("openssl") is None:
        pytest.skip("no openssl to make a certificate")
    found = shutil.which("nginx", path=SEARCH)
    if found is None:
        pytest.skip("no nginx")
    return found


def configure(folder: Path, endpoint: str, bucket: str, ports: tuple[int, ...]) -> Path:
    """Put the configuration in a folder, with the addresses and folders of this test."""
    text = (FOLDER / "nginx.conf").read_text()
    own = "".join(f"  {name}_temp_path {folder}/cache/{name};\n" for name in UNUSED)
    own += f"  log_format store '$upstream_addr $status';\n  access_log {folder}/store.log store;\n"
    for old, new in {
        "  access_log off;\n": own,
        "listen 8080": f"listen 127.0.0.1:{ports[0]}",
        "storage:8333": endpoint.removeprefix("http://"),
        "/var/cache/nginx": str(folder / "cache"),
        "/public$1": f"/{bucket}$1",
    }.items():
        assert text.count(old) >= 1, old
        text = text.replace(old, new)
    (folder / "cache").mkdir()
    (folder / "nginx.conf").write_text(text)
    tls = (FOLDER / "tls.conf").read_text()
    assert "listen 8443 ssl" in tls
    (folder / "tls.conf").write_text(tls.replace("listen 8443", f"listen 127.0.0.1:{ports[1]}"))
    return folder / "nginx.conf"


def make_certificate(folder: Path) -> Path:
    """Make a certificate for 127.0.0.1 that signs itself."""
    (folder / "tls").mkdir()
    subject = ["-subj", "/CN=127.0.0.1", "-addext", "subjectAltName=IP:127.0.0.1"]
    files = ["-keyout", folder / "tls" / "privkey.pem", "-out", folder / "tls" / "fullchain.pem"]
    command = ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", *subject, *files]
    subprocess.run(command, check=True, capture_output=True)
    return folder / "tls" / "fullchain.pem"


@contextlib.contextmanager
def running(folder: Path, endpoint: str, bucket: str) -> Iterator[Web]:
    """Run nginx in the foreground, before one bucket, until the end of the block."""
    ports = tuple(free_ports(2))
    certificate = make_certificate(folder)
    configuration = configure(folder, endpoint, bucket, ports)
    command = [find_nginx(), "-p", folder, "-c", configuration]
    user = "" if os.geteuid() else "user root; "  # else its workers could not enter the folder
    flags = ["-g", f"daemon off; pid {folder}/pid; {user}"]
    checked = subprocess.run([*command, *flags, "-t"], capture_output=True, text=True, check=False)
    assert checked.returncode == 0, checked.stderr
    with (folder / "log").open("wb") as log:
        process = subprocess.Popen([*command, *flags], stdout=log, stderr=log)
    web = Web(
        *(f"{s}://127.0.0.1:{p}" for s, p in zip(("http", "https"), ports, strict=True)),
        certificate,
        folder / "store.log",
    )
    try:
        wait(web, process, folder / "log")
        yield web
    finally:
        process.terminate()
        process.wait()


def wait(web: Web, process: subprocess.Popen, log: Path) -> None:
    for _ in range(200):
        with contextlib.suppress(OSError):
            get(web, "/", status=403)
            return
        assert process.poll() is None, log.read_text()
        time.sleep(0.05)
    raise RuntimeError(log.read_text())


def get(web: Web, path: str, *, status: int, method: str = "GET", **headers: str) -> http.client.HTTPMessage:
    """Send one request, check the status, and return the headers of the answer."""
    request = urllib.request.Request(web.plain + path, method=method, headers=headers)
    with PLAIN.open(request, timeout=10) as answer:
        body = answer.read()
        assert answer.status == status, body
        return answer.headers


@pytest.fixture(scope="module")
def source(tmp_path_factory):
    return write_scene(tmp_path_factory.mktemp("scene"))


@pytest.fixture(scope="module")
def web(s3_server, source, tmp_path_factory):
    """A root of one track in the public bucket, below web/root, and nginx in front of it."""
    find_nginx()
    with pytest.MonkeyPatch.context() as patch:
        for name, value in s3_server.environment().items():
            patch.setenv(name, value)
        root = f"s3://{s3_server.public_bucket}/web/root"
        mc.ingest(source, root)
        open_storage(root).write("a b+c", b"0123456789")
    with running(tmp_path_factory.mktemp("nginx"), s3_server.endpoint, s3_server.public_bucket) as web:
        yield web


@pytest.fixture
def store(web):
    """Path of an object of a store on the web."""
    entry = mc.open_catalog(f"{web.plain}/web/root").current("Sentinel", "A064")[0]
    return f"/web/root/{entry.store_key(entry.bands[0])}/zarr.json"


@pytest.fixture(autouse=True)
def nobody(monkeypatch):
    """No identity and no endpoint: what is read here is read by anyone."""
    for name in [name for name in os.environ if name.startswith("AWS_")]:
        monkeypatch.delenv(name)


def test_a_track_opens_over_the_web_with_the_values_of_its_source(web, source):
    with mc.open_track(f"{web.plain}/web/root", "A064", resolution="lowRes") as track:
        np.testing.assert_array_equal(track.displacement.values, displacement(source))


def test_what_was_read_once_is_not_asked_of_the_store_again(web, source):
    def fetch():
        with mc.open_track(f"{web.plain}/web/root", "A064", resolution="lowRes") as track:
            return track.displacement.values

    fetch()
    before = web.asked()
    np.testing.assert_array_equal(fetch(), displacement(source))
    assert len(web.asked()) - len(before) == 1  # the index, which may have changed


def test_tails_and_ranges_of_objects_are_served(web, store):
    storage = open_storage(f"{web.plain}/web/root")
    whole = storage.read(store.removeprefix("/web/root/"))
    assert storage.read_tail(store.removeprefix("/web/root/"), 7) == whole[-7:]
    assert [bytes(b) for b in storage.read_ranges(store.removeprefix("/web/root/"), [(3, 4)])] == [whole[3:7]]
    headers = get(web, store, status=206, Range="bytes=0-4")
    assert headers["Content-Range"] == f"bytes 0-4/{len(whole)}"
    assert get(web, "/web/root/a%20b%2Bc", status=206, Range="bytes=-3")["Content-Length"] == "3"


def test_a_missing_object_is_not_found(web, store):
    get(web, store.replace("zarr.json", "none"), status=404)
    with pytest.raises(FileNotFoundError):
        open_storage(f"{web.plain}/web/root").read("none")


@pytest.mark.parametrize(
    "path", ["/", "/web/", "/web/root/", "/web/root/?list-type=2", "/web/root/a%20b%2Bc?prefix=web"]
)
def test_nothing_is_listed(web, path):
    get(web, path, status=403)


@pytest.mark.parametrize("method", ["PUT", "POST", "DELETE", "PATCH", "PROPFIND"])
def test_nothing_is_written(web, store, method):
    get(web, store, status=405, method=method)


def test_another_bucket_is_out_of_reach(web, s3_server):
    with pytest.MonkeyPatch.context() as patch:
        for name, value in s3_server.environment().items():
            patch.setenv(name, value)
        open_storage(f"s3://{s3_server.bucket}/web").write("private", b"1")
    connection = http.client.HTTPConnection(web.plain.removeprefix("http://"), timeout=10)
    for path in ("/../insar/web/private", "/x/..%2F..%2Finsar/web/private", "/insar/web/private"):
        connection.request("GET", path)  # as it is: a client of the web would tidy the dots away
        answer = connection.getresponse()
        assert answer.read() != b"1"
        assert answer.status in (400, 403, 404), path
    connection.close()


def test_a_bucket_that_is_not_public_has_nothing_to_show(web, s3_server, tmp_path):
    with pytest.MonkeyPatch.context() as patch:
        for name, value in s3_server.environment().items():
            patch.setenv(name, value)
        open_storage(f"s3://{s3_server.bucket}/web").write("private", b"1")
    with running(tmp_path, s3_server.endpoint, s3_server.bucket) as closed:
        get(closed, "/web/private", status=404)
        get(closed, "/web/x.zarr/zarr.json", status=404)
        with pytest.raises(FileNotFoundError):
            open_storage(f"{closed.plain}/web").read("private")


def test_a_signature_is_neither_passed_on_nor_answered(web, store):
    get(web, f"{store}?X-Amz-Signature=0", status=403)
    get(web, store, status=200, Authorization="AWS4-HMAC-SHA256 Credential=AKIANOBODY/x, Signature=0")


def test_stores_are_kept_and_the_index_is_asked_for_each_time(web, store):
    assert get(web, store, status=200)["Cache-Control"] == "public, max-age=31536000, immutable"
    assert get(web, "/web/root/Sentinel/A064/index.json", status=200)["Cache-Control"] == "no-cache"
    assert get(web, store.replace("zarr.json", "none"), status=404)["Cache-Control"] is None


def test_a_page_of_another_site_may_read(web, store):
    headers = get(web, store, status=200, Origin="https://map.example.org")
    assert headers.get_all("Access-Control-Allow-Origin") == ["*"]
    assert "Content-Range" in headers["Access-Control-Expose-Headers"]
    asked = {"Origin": "https://map.example.org", "Access-Control-Request-Method": "GET"}
    assert "Range" in get(web, store, status=204, method="OPTIONS", **asked)["Access-Control-Allow-Headers"]


def test_the_same_is_read_over_tls(web, store):
    context = ssl.create_default_context(cafile=web.certificate)
    with urllib.request.urlopen(web.secure + store, timeout=10, context=context) as answer:
        assert answer.status == 200
        assert b"zarr_format" in answer.read()


def test_a_web_root_refuses_a_write_with_a_message(web):
    with pytest.raises(StorageError, match="read, not listed or written"):
        open_storage(f"{web.plain}/web/root").write("a", b"1")


def test_no_address_of_a_machine_is_in_the_configuration():
    for path in FOLDER.glob("*.conf"):
        assert not re.search(r"\b\d+\.\d+\.\d+\.\d+\b", path.read_text()), path.name
