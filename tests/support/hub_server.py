"""A server with the Hub's form for downloads, on this machine; what it serves are folders.

`HF_ENDPOINT` points the real client at it. It can cut connections, serve wrong bytes, refuse, and
be slow; it notes every request for a file.
"""

from __future__ import annotations

import json
import re
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import unquote

COMMIT = "c0ffee" + "0" * 34
_INFO = re.compile(r"/api/models/([^/]+/[^/]+?)(?:/revision/([^?]+))?(?:\?.*)?$")
_FILE = re.compile(r"/([^/]+/[^/]+)/resolve/([^/]+)/(.+?)(?:\?.*)?$")
_PIECE_BYTES = 1 << 14


@dataclass
class Hub:
    """What is served, and how badly.

    Attributes:
        repositories: folders by `owner/name`.
        revisions: what may be asked for besides the commit.
        gated: repositories that refuse everyone.
        cuts: by file, after how many bytes of a body each of the next connections ends.
        wrong: by file, bytes served instead of its own.
        has_ranges: whether ranges are heeded.
        refuses_ranges: whether who resumes is told that access must be granted.
        bytes_per_sec: None: as fast as it goes.
        requests: file and range of each request for one.
    """

    url: str = ""
    repositories: dict[str, Path] = field(default_factory=dict)
    revisions: set[str] = field(default_factory=lambda: {"main"})
    gated: set[str] = field(default_factory=set)
    cuts: dict[str, list[int]] = field(default_factory=dict)
    wrong: dict[str, bytes] = field(default_factory=dict)
    has_ranges: bool = True
    refuses_ranges: bool = False
    bytes_per_sec: float | None = None
    requests: list[tuple[str, str]] = field(default_factory=list)

    def behave(self) -> None:
        """Forget every fault and request."""
        self.gated.clear(), self.cuts.clear(), self.wrong.clear(), self.requests.clear()
        self.has_ranges, self.refuses_ranges, self.bytes_per_sec = True, False, None

    def asked_for(self, file: str) -> list[str]:
        """Return the ranges that were asked for of a file; "" for all of it."""
        return [span for name, span in self.requests if name == file]


@contextmanager
def running_hub(**repositories: Path) -> Iterator[Hub]:
    """Serve folders, `owner__name=folder`, until the context ends."""
    hub = Hub(repositories={name.replace("__", "/"): at for name, at in repositories.items()})

    class Handler(_Handler):
        pass

    Handler.hub = hub
    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    hub.url = f"http://127.0.0.1:{server.server_port}"
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    try:
        yield hub
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


class _Handler(BaseHTTPRequestHandler):
    hub: Hub
    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        if asked := _INFO.match(self.path):
            self._info(unquote(asked[1]), unquote(asked[2] or "main"))
        elif asked := _FILE.match(self.path):
            self._file(unquote(asked[1]), unquote(asked[2]), unquote(asked[3]))
        else:
            self._refuse(404, "")

    def handle(self) -> None:
        # A client that was killed, or gave up.
        with suppress(ConnectionError):
            super().handle()

    def log_message(self, *_arguments: object) -> None:
        pass

    def _info(self, name: str, revision: str) -> None:
        folder = self._folder(name, revision)
        if folder is None:
            return
        files = sorted(path for path in folder.rglob("*") if path.is_file())
        siblings = [{"rfilename": path.relative_to(folder).as_posix()} for path in files]
        self._send(200, json.dumps({"id": name, "sha": COMMIT, "siblings": siblings}).encode())

    def _file(self, name: str, revision: str, file: str) -> None:
        folder = self._folder(name, revision)
        if folder is None:
            return
        if not (folder / file).is_file():
            self._refuse(404, "EntryNotFound")
            return
        content = self.hub.wrong.get(file, (folder / file).read_bytes())
        span = self.headers.get("Range", "")
        self.hub.requests.append((file, span))
        if span and self.hub.refuses_ranges:
            self._refuse(403, "GatedRepo")
            return
        begin = int(span.removeprefix("bytes=").rstrip("-")) if span else 0
        if not span or not self.hub.has_ranges:
            self._send(200, content, file)
        elif begin >= len(content):
            self._send(416, b"")
        else:
            place = f"bytes {begin}-{len(content) - 1}/{len(content)}"
            self._send(206, content[begin:], file, {"Content-Range": place})

    def _folder(self, name: str, revision: str) -> Path | None:
        if name in self.hub.gated:
            self._refuse(403, "GatedRepo")
        elif name not in self.hub.repositories:
            self._refuse(401, "RepoNotFound")
        elif revision not in {*self.hub.revisions, COMMIT}:
            self._refuse(404, "RevisionNotFound")
        else:
            return self.hub.repositories[name]
        return None

    def _refuse(self, status: int, code: str) -> None:
        self._send(status, b"{}", headers={"X-Error-Code": code, "X-Error-Message": "no"})

    def _send(
        self, status: int, body: bytes, file: str = "", headers: dict[str, str] | None = None
    ) -> None:
        cuts = self.hub.cuts.get(file, [])
        cut = cuts.pop(0) if cuts else None
        self.send_response(status)
        for key, value in {"Content-Length": str(len(body)), **(headers or {})}.items():
            self.send_header(key, value)
        self.end_headers()
        whole = memoryview(body)[: len(body) if cut is None else cut]
        for at in range(0, len(whole), _PIECE_BYTES):
            self.wfile.write(whole[at : at + _PIECE_BYTES])
            if self.hub.bytes_per_sec and file:
                time.sleep(_PIECE_BYTES / self.hub.bytes_per_sec)
        if cut is not None:
            self.wfile.flush()
            self.close_connection = True
