"""Stores for the tests: the same tests run over the embedded implementation and over the cloud's."""

from __future__ import annotations

import contextlib
import http.server
import os
import socket
import subprocess
import threading
import time
import urllib.error
import urllib.request
import uuid
from collections.abc import Iterator
from pathlib import Path

import pytest

from tracewinnow.schemas.tables import TABLES, bigquery_table
from tracewinnow.stores.local_objects import LocalObjects
from tracewinnow.stores.objects import ObjectStore

from .bigquery_server import BigQueryServer

SCRIPT = Path(__file__).parents[2] / "infra/local/fake-gcs.sh"


def free_port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return int(listener.getsockname()[1])


def request(url: str, data: bytes | None = None, method: str = "GET") -> bytes:
    headers = {"Content-Type": "application/json"}
    with urllib.request.urlopen(urllib.request.Request(url, data, headers, method=method), timeout=10) as answer:
        return bytes(answer.read())


@pytest.fixture(scope="session")
def gcs_server() -> Iterator[str]:
    """fake-gcs-server on a free port of this machine; its URL. In CI it must run; elsewhere its absence skips."""
    installed = subprocess.run([SCRIPT, "install"], text=True, capture_output=True, check=False)
    if installed.returncode:
        (pytest.fail if os.environ.get("CI") else pytest.skip)(f"No server for Cloud Storage: {installed.stderr}")
    port = free_port()
    server = subprocess.Popen([SCRIPT, "start", str(port)], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    url = f"http://127.0.0.1:{port}"
    try:
        for _ in range(200):
            with contextlib.suppress(OSError):
                request(f"{url}/storage/v1/b?project=p")
                break
            assert server.poll() is None, f"{SCRIPT} start ended with {server.returncode}"
            time.sleep(0.05)
        else:
            pytest.fail("fake-gcs-server did not answer within 10 s")
        yield url
    finally:
        server.terminate()
        server.wait(10)


@pytest.fixture
def gcs_bucket(gcs_server: str, monkeypatch: pytest.MonkeyPatch) -> str:
    """A new bucket."""
    name = f"bucket-{uuid.uuid4().hex[:12]}"
    request(f"{gcs_server}/storage/v1/b?project=p", b'{"name": "%s"}' % name.encode(), "POST")
    monkeypatch.setenv("STORAGE_EMULATOR_HOST", gcs_server)
    return name


@pytest.fixture(params=["local", "gcs"])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> ObjectStore:
    """An empty ObjectStore of each implementation."""
    if request.param == "local":
        return LocalObjects(tmp_path / "not" / "made yet")
    from tracewinnow.stores.gcs_objects import GcsObjects

    return GcsObjects(request.getfixturevalue("gcs_bucket"), "a prefix/of it")


class FaultyProxy(http.server.BaseHTTPRequestHandler):
    """Passes requests on to `upstream`, but answers the next `failures` of them with 503 itself."""

    upstream = ""
    failures = 0
    seen = 0

    def _pass_on(self) -> None:
        kind = type(self)
        kind.seen += 1
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        if kind.failures:
            kind.failures -= 1
            self.send_response(503)
            self.send_header("Content-Length", "0")
            self.end_headers()
            return
        headers = {name: value for name, value in self.headers.items() if name.lower() != "accept-encoding"}
        onward = urllib.request.Request(kind.upstream + self.path, body or None, headers, method=self.command)
        try:
            answer = urllib.request.urlopen(onward, timeout=10)
        except urllib.error.HTTPError as refused:
            answer = refused
        with answer:
            content = answer.read()
            self.send_response(answer.status)
            for name, value in answer.headers.items():
                if name.lower() not in ("content-length", "transfer-encoding", "connection"):
                    self.send_header(name, value)
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

    do_GET = do_POST = do_PUT = do_DELETE = _pass_on

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def faulty_gcs(gcs_server: str, gcs_bucket: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[type[FaultyProxy]]:
    """A proxy between the client and the Cloud Storage server; set its `failures`."""
    handler = type("Handler", (FaultyProxy,), {"upstream": gcs_server})
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler)
    threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
    monkeypatch.setenv("STORAGE_EMULATOR_HOST", f"http://127.0.0.1:{server.server_port}")
    yield handler
    server.shutdown()
    server.server_close()


@pytest.fixture
def bigquery_server() -> Iterator[BigQueryServer]:
    """A stand-in for BigQuery with our four empty tables in p.d."""
    server = BigQueryServer()
    for table in TABLES:
        server.make_table("p", "d", table, bigquery_table(table))
    threading.Thread(target=server.serve, daemon=True).start()
    yield server
    server.shutdown()
    server.server_close()
