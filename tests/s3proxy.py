"""A proxy on loopback in front of the S3 server: it counts what passes, and makes it fail as told."""

import contextlib
import http
import http.client
import http.server
import random
import socket
import struct
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlsplit

_PIECE = 64 << 10
_HOP_BY_HOP = {"connection", "keep-alive", "proxy-connection", "te", "trailer", "upgrade"}
_ERROR = '<?xml version="1.0" encoding="UTF-8"?><Error><Code>{code}</Code><Message>{code}</Message></Error>'
_REASONS = {
    400: "Bad Request",
    403: "Forbidden",
    404: "Not Found",
    429: "Too Many Requests",
    503: "Service Unavailable",
}


@dataclass
class Request:
    """What passed; `status` 0 had no answer."""

    method: str
    path: str
    range: str
    status: int = 0
    start: float = 0.0
    end: float = 0.0


@dataclass
class Fault:
    """
    What happens to requests.

    `methods`, `part` (of path and query) and `skip` (how many pass first) say to which, `times` how often (None:
    always), `chance` with which probability. `kind` is one of ``error`` (answer `status` with `code`), ``cut`` (reset
    after `after` bytes of the answer), ``truncate`` (end quietly there), ``refuse_body`` (reset after `after` bytes of
    what is sent), ``corrupt`` (flip a bit of the answer at `after`), ``lose`` (do it, and reset instead of an
    answer), ``delay`` (wait `seconds`) and ``slow`` (wait as
    long every 64 KiB).
    """

    kind: str
    methods: tuple[str, ...] = ("GET", "PUT", "POST", "HEAD", "DELETE")
    part: str = ""
    skip: int = 0
    times: int | None = 1
    chance: float = 1.0
    status: int = 503
    code: str = "SlowDown"
    after: int = 0
    seconds: float = 0.0
    _random: random.Random = field(default_factory=lambda: random.Random(1))

    def strikes(self, method: str, path: str) -> bool:
        if method not in self.methods or self.part not in path or self.times == 0:
            return False
        if self._random.random() >= self.chance:
            return False
        if self.skip:
            self.skip -= 1
            return False
        if self.times is not None:
            self.times -= 1
        return True


class S3Proxy:
    """A proxy that listens on one port for as long as `run_proxy` does, or is not `down`."""

    def __init__(self, server: str) -> None:
        self.target = urlsplit(server)
        self.log: list[Request] = []
        self.faults: list[Fault] = []
        self.lock = threading.Lock()
        self.port = 0
        self.up()

    @property
    def endpoint(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def up(self) -> None:
        """Listen (again)."""
        self._http = _Server(("127.0.0.1", self.port), _Handler)
        self._http.proxy = self
        self.port = self._http.server_address[1]
        self._thread = threading.Thread(target=self._http.serve_forever, args=(0.02,), daemon=True)
        self._thread.start()

    def down(self) -> None:
        """Refuse connections, and break those there are."""
        self._http.shutdown()
        self._http.server_close()
        self._http.break_all()
        self._thread.join()

    def reset(self) -> None:
        """Forget requests and faults."""
        with self.lock:
            self.log.clear()
            self.faults.clear()

    def fault(self, kind: str, **options: Any) -> Fault:
        """Add a fault; see `Fault`."""
        made = Fault(kind, **options)
        with self.lock:
            self.faults.append(made)
        return made

    def requests(self, *methods: str, part: str = "") -> list[Request]:
        """Requests of these methods (all without any) whose path and query hold a text."""
        with self.lock:
            return [r for r in self.log if (not methods or r.method in methods) and part in r.path]

    def struck(self, method: str, path: str) -> list[Fault]:
        with self.lock:
            return [fault for fault in self.faults if fault.strikes(method, path)]


class _Server(http.server.ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 256
    proxy: S3Proxy

    def __init__(self, *args: Any) -> None:
        self._open: set[socket.socket] = set()
        super().__init__(*args)

    def process_request(self, request: Any, client_address: Any) -> None:
        self._open.add(request)
        super().process_request(request, client_address)

    def shutdown_request(self, request: Any) -> None:
        self._open.discard(request)
        super().shutdown_request(request)

    def break_all(self) -> None:
        for connection in list(self._open):
            with contextlib.suppress(OSError):  # its thread waits for the next request
                connection.shutdown(socket.SHUT_RDWR)

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A client that is gone is no news."""


def _break(connection: socket.socket) -> None:
    """Close with a reset instead of a good-bye."""
    with contextlib.suppress(OSError):
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        connection.shutdown(socket.SHUT_RD)
    with contextlib.suppress(OSError):
        connection.close()


class _Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True  # an answer is sent in parts
    server: _Server

    def handle_one_request(self) -> None:
        with contextlib.suppress(ConnectionError, ValueError):
            super().handle_one_request()

    def log_message(self, *args: Any) -> None:
        pass

    def do_GET(self) -> None:
        self._pass()

    do_PUT = do_POST = do_HEAD = do_DELETE = do_GET  # noqa: N815

    def _pass(self) -> None:
        proxy = self.server.proxy
        faults = {fault.kind: fault for fault in proxy.struck(self.command, self.path)}
        entry = Request(self.command, self.path, self.headers.get("Range", ""), start=time.monotonic())
        with proxy.lock:  # before the client has its answer
            proxy.log.append(entry)
        length = int(self.headers.get("Content-Length", 0))
        try:
            if "delay" in faults:
                time.sleep(faults["delay"].seconds)
            if "refuse_body" in faults:
                self.rfile.read(min(faults["refuse_body"].after, length))
                self._reset()
                return
            body = self.rfile.read(length)
            if "error" in faults:
                entry.status = faults["error"].status
                self._answer_error(faults["error"])
                return
            self._forward(body, faults, entry)
        finally:
            entry.end = time.monotonic()

    def _answer_error(self, fault: Fault) -> None:
        body = b"" if self.command == "HEAD" else _ERROR.format(code=fault.code).encode()
        self.send_response(fault.status, _REASONS.get(fault.status, "Error"))
        self.send_header("Content-Type", "application/xml")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def _forward(self, body: bytes, faults: dict[str, Fault], entry: Request) -> None:
        target = self.server.proxy.target
        connection = http.client.HTTPConnection(str(target.hostname), target.port, timeout=60)
        try:
            connection.putrequest(self.command, self.path, skip_host=True, skip_accept_encoding=True)
            for name, value in self.headers.items():
                if name.lower() not in _HOP_BY_HOP | {"expect"}:
                    connection.putheader(name, value)
            connection.endheaders(body or None)
            answer = connection.getresponse()
            entry.status = answer.status
            content = b"" if self.command == "HEAD" else answer.read()
            if "lose" in faults:
                self._reset()
                return
            self.send_response_only(answer.status, answer.reason)
            for name, value in answer.headers.items():
                if name.lower() not in _HOP_BY_HOP | {"transfer-encoding", "content-length"}:
                    self.send_header(name, value)
            length = answer.headers.get("Content-Length") if self.command == "HEAD" else len(content)
            if length is not None and answer.status not in (204, 304):
                self.send_header("Content-Length", str(length))
            self.end_headers()
            self._send(content, faults)
        finally:
            connection.close()

    def _send(self, content: bytes, faults: dict[str, Fault]) -> None:
        if "corrupt" in faults and content:
            at = min(faults["corrupt"].after, len(content) - 1)
            content = content[:at] + bytes([content[at] ^ 0x10]) + content[at + 1 :]
        for kind in ("cut", "truncate"):
            if kind in faults:
                self.wfile.write(content[: faults[kind].after])
                self.wfile.flush()
                self._reset() if kind == "cut" else self._end()
                return
        if "slow" not in faults:
            self.wfile.write(content)
            return
        for start in range(0, len(content), _PIECE):
            time.sleep(faults["slow"].seconds)
            self.wfile.write(content[start : start + _PIECE])

    def _reset(self) -> None:
        self.close_connection = True
        _break(self.connection)

    def _end(self) -> None:
        self.close_connection = True
        with contextlib.suppress(OSError):
            self.connection.shutdown(socket.SHUT_RDWR)


@contextlib.contextmanager
def run_proxy(server: str) -> Iterator[S3Proxy]:
    """Listen on a free port of loopback until the block ends."""
    proxy = S3Proxy(server)
    try:
        yield proxy
    finally:
        proxy.down()
