"""Opening a track of 50 bands: requests sent, seconds to build its graph."""

import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import urlsplit

from benchmarks import data
from benchmarks.ingest import TRACK
from benchmarks.measure import alternate, fresh, report, run, value

BANDS, DATES, PIXELS = 50, 20, 125


def main(*, small: bool = False, repeats: int = 5) -> bool:
    """Measure, print the table, and say whether all goals are met; `small` only keeps the results apart."""
    root = tall_root()
    with object_store(root) as (url, requests):
        runs = alternate(repeats, s3=lambda: run("open_many_bands", root=url, track=TRACK))
    opened = [first for s in runs["s3"] for first in s.value["seconds"][:1]]
    again = [pair for s in runs["s3"] for pair in s.value["seconds"][1:]]
    shape = runs["s3"][0].value["shape"]
    if shape[1] < (BANDS - 1) * PIXELS:
        raise AssertionError(f"expected about {BANDS} bands of {PIXELS} rows, got shape {shape}")
    per_open = len(requests) / sum(len(s.value["seconds"]) for s in runs["s3"])
    rows = [
        value("requests of open_track", [per_open], most=1),
        value("open_track + estimate_velocity, first in a process (with imports), s", [sum(p) for p in opened]),
        value("open_track + estimate_velocity, s", [sum(p) for p in again], most=0.2),
        value("graph of estimate_velocity alone, s", [p[1] for p in again], most=0.2),
        value("graph keys", [runs["s3"][0].value["keys"]], most=2000),
    ]
    return report("graph", f"Graph of {BANDS} bands", rows, runs, data.results(small=small))


def tall_root() -> Path:
    """Catalog root of one track that crosses 50 bands, made with our own writer and ingest."""
    from mimtpy_cloud.catalog.ingest import ingest
    from mimtpy_cloud.exports.hdfeos5 import hdfeos5_name, write_hdfeos5

    tall = data.noisy_track((DATES, BANDS * PIXELS, PIXELS), n=PIXELS, north=30.0, west=-119.0)
    work = data.folder() / "work"
    source, root = fresh(work / hdfeos5_name(tall)), fresh(work / "tall")
    write_hdfeos5(tall, source)
    ingest([str(source)], str(root), resolution="veryLowRes")
    return root


@contextmanager
def object_store(root: Path) -> Iterator[tuple[str, list[str]]]:
    """Serve a folder as a bucket of an S3-like store; yields its URL and the list of requests it answered."""
    requests: list[str] = []

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            requests.append(self.path)
            path = root / urlsplit(self.path).path.removeprefix("/bench/")
            body = path.read_bytes() if path.is_file() else b""
            self.send_response(200 if body else 404)
            self.send_header("Content-Length", str(len(body)))
            self.send_header("ETag", '"1"')
            self.send_header("Last-Modified", "Wed, 01 Jan 2025 00:00:00 GMT")
            self.end_headers()
            self.wfile.write(body)

        do_HEAD = do_GET  # noqa: N815

        def log_message(self, *_: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    before = dict(os.environ)
    os.environ |= {
        "AWS_ENDPOINT_URL": f"http://127.0.0.1:{server.server_port}",
        "AWS_ACCESS_KEY_ID": "bench",
        "AWS_SECRET_ACCESS_KEY": "bench",
        "AWS_REGION": "us-east-1",
    }
    try:
        yield "s3://bench", requests
    finally:
        os.environ.clear()
        os.environ |= before
        server.shutdown()
        server.server_close()
