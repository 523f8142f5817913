"""Serves the review page on this machine alone: the page, tracks by number, changes as JSON.

| request | answer |
|---|---|
| `GET <token>/` | the page |
| `GET <token>/api/tracks` | `Review.overview` |
| `GET <token>/api/tracks/<number>` | `Review.detail` |
| `POST <token>/api/tracks/<number>` `{changes, seen}` | the same after the change |
| `POST <token>/api/undo` | `{number}` of the track that was changed back, null for none |
| `GET <token>/audio/<number>` | the track, in parts if asked; `?form=wav` converts it |
| `GET <token>/picture/<number>` | `sound.picture` |

A refusal is `{error}` with a sentence for people.
"""

from __future__ import annotations

import json
import re
import secrets
import sys
from collections.abc import Callable
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, cast
from urllib.parse import urlsplit

from lofi_engine.audio.decode import DecodeError
from lofi_engine.data.ledger import LedgerError
from lofi_engine.data.ledger_edit import LedgerChangedError
from lofi_engine.review.decoder import Decoder
from lofi_engine.review.gate import ADDRESS, new_token, refusal, split_token
from lofi_engine.review.ranges import UnsatisfiableRange, wanted_range
from lofi_engine.review.store import Review
from lofi_runtime.errors import LofiError

MAX_BODY_BYTES = 256 * 1024
_PAGE = Path(__file__).with_name("page.html")
_BLOCK_BYTES = 256 * 1024
_IDLE_SEC = 300.0  # a player that is paused leaves its answer unread


class ReviewServer(ThreadingHTTPServer):
    """The page of one review.

    Args:
        review: what is shown and changed.
        decoder: makes tracks playable.
        port: on 127.0.0.1; 0 takes a free one.

    Raises:
        OSError: the port is taken.
    """

    daemon_threads = True

    def __init__(self, review: Review, decoder: Decoder, port: int = 0) -> None:
        self.review = review
        self.decoder = decoder
        self.token = new_token()
        self.page = _PAGE.read_text(encoding="utf-8")
        super().__init__((ADDRESS, port), _Handler)

    @property
    def url(self) -> str:
        """The page's address, with the token."""
        return f"http://{ADDRESS}:{self.server_port}/{self.token}/"

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Let a browser that hangs up do so; a player does at every seek."""
        if not isinstance(sys.exception(), ConnectionError | TimeoutError):
            super().handle_error(request, client_address)


class _RequestError(LofiError):
    """A request that is answered with a status and a sentence."""

    def __init__(self, status: HTTPStatus, message: str) -> None:
        super().__init__(message)
        self.status = status


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server_version = "lofi-recipe"
    sys_version = ""
    timeout = _IDLE_SEC

    def do_GET(self) -> None:
        self._answer(self._get)

    def do_HEAD(self) -> None:
        self._answer(self._get)

    def do_POST(self) -> None:
        self._answer(self._post)

    def log_message(self, format: str, *args: Any) -> None:
        """Say nothing: the terminal is the user's."""

    @property
    def _server(self) -> ReviewServer:
        return cast("ReviewServer", self.server)

    def _answer(self, respond: Callable[[str, str], None]) -> None:
        """Check who asks, respond, and word every expected failure."""
        try:
            rest, query = self._admitted()
            respond(rest, query)
        except _RequestError as refused:
            self._fail(refused.status, refused.message)
        except LedgerChangedError as error:
            self._fail(HTTPStatus.CONFLICT, str(error), changed=True)
        except LedgerError as error:
            self._fail(HTTPStatus.CONFLICT, str(error))
        except DecodeError as error:
            self._fail(HTTPStatus.UNPROCESSABLE_ENTITY, str(error))
        except LofiError as error:
            self._fail(HTTPStatus.BAD_REQUEST, str(error))

    def _admitted(self) -> tuple[str, str]:
        why = refusal(self.headers, self._server.server_port)  # type: ignore[arg-type]
        if why:
            raise _RequestError(HTTPStatus.FORBIDDEN, why)
        try:
            parts = urlsplit(self.path)
            rest = split_token(parts.path, self._server.token)
        except ValueError:
            rest = None
        if rest is None:
            raise _RequestError(HTTPStatus.FORBIDDEN, "open the whole address that was printed")
        return rest, parts.query

    def _get(self, rest: str, query: str) -> None:
        server = self._server
        if rest == "":
            self._send_page()
        elif rest == "api/tracks":
            self._send_json(server.review.overview())
        elif (number := _number("api/tracks", rest)) is not None:
            self._check_number(number)
            self._send_json(server.review.detail(number))
        elif (number := _number("picture", rest)) is not None:
            self._send_json(server.decoder.picture(self._path(number)))
        elif (number := _number("audio", rest)) is not None:
            self._send_file(
                *server.decoder.playable(self._path(number), as_wav=query == "form=wav")
            )
        else:
            raise _RequestError(HTTPStatus.NOT_FOUND, "there is nothing here")

    def _post(self, rest: str, _query: str) -> None:
        body = self._body()
        review = self._server.review
        if rest == "api/undo":
            self._send_json({"number": review.undo()})
        elif (number := _number("api/tracks", rest)) is not None:
            self._check_number(number)
            changes, seen = body.get("changes"), body.get("seen", {})
            if not isinstance(changes, dict) or not isinstance(seen, dict) or not changes:
                raise _RequestError(HTTPStatus.BAD_REQUEST, "expected {changes: {}, seen: {}}")
            review.change(number, changes, seen)
            self._send_json(review.detail(number))
        else:
            raise _RequestError(HTTPStatus.NOT_FOUND, "there is nothing here")

    def _path(self, number: int) -> Path:
        self._check_number(number)
        return self._server.review.path(number)

    def _check_number(self, number: int) -> None:
        if number >= len(self._server.review.tracks):
            raise _RequestError(HTTPStatus.NOT_FOUND, f"there is no track {number}")

    def _body(self) -> dict[str, Any]:
        """Read the request's JSON object, of a length that is known and modest."""
        length = self.headers.get("Content-Length", "")
        if not re.fullmatch(r"[0-9]{1,18}", length):
            raise _RequestError(HTTPStatus.LENGTH_REQUIRED, "Content-Length is missing")
        if int(length) > MAX_BODY_BYTES:
            if int(length) <= 16 * MAX_BODY_BYTES:
                self.rfile.read(int(length))  # or the client hears a reset, not the reason
            raise _RequestError(
                HTTPStatus.REQUEST_ENTITY_TOO_LARGE,
                f"{length} bytes are too many, at most {MAX_BODY_BYTES} are read",
            )
        body = self.rfile.read(int(length))
        # Only JSON: a form of another site can send text and forms without asking, JSON never.
        if self.headers.get_content_type() != "application/json":
            raise _RequestError(HTTPStatus.UNSUPPORTED_MEDIA_TYPE, "expected application/json")
        try:
            content = json.loads(body)
        except (ValueError, RecursionError):
            raise _RequestError(HTTPStatus.BAD_REQUEST, "the body is not JSON") from None
        if not isinstance(content, dict):
            raise _RequestError(HTTPStatus.BAD_REQUEST, "the body is not a JSON object")
        return content

    def _send_page(self) -> None:
        nonce = secrets.token_urlsafe(16)
        policy = (
            f"default-src 'none'; script-src 'nonce-{nonce}'; style-src 'nonce-{nonce}'; "
            "img-src 'self' data:; media-src 'self'; connect-src 'self'; base-uri 'none'; "
            "form-action 'none'; frame-ancestors 'none'"
        )
        page = self._server.page.replace("@NONCE@", nonce).encode("utf-8")
        self._head(HTTPStatus.OK, "text/html; charset=utf-8", len(page), policy)
        self._write(page)

    def _send_json(self, value: Any, status: HTTPStatus = HTTPStatus.OK) -> None:
        content = json.dumps(value, ensure_ascii=False).encode("utf-8", "replace")
        self._head(status, "application/json", len(content))
        self._write(content)

    def _send_file(self, path: Path, media_type: str) -> None:
        try:
            file = path.open("rb")
        except OSError as error:
            raise DecodeError(f"cannot be read: {error.strerror}") from error
        with file:
            size = file.seek(0, 2)
            try:
                part = wanted_range(self.headers.get("Range"), size)
            except UnsatisfiableRange:
                self._head(
                    HTTPStatus.REQUESTED_RANGE_NOT_SATISFIABLE, media_type, 0, size_bytes=size
                )
                return
            start, stop = part or (0, size)
            status = HTTPStatus.OK if part is None else HTTPStatus.PARTIAL_CONTENT
            self._head(status, media_type, stop - start, part=part, size_bytes=size)
            file.seek(start)
            left = stop - start
            while left and self.command != "HEAD":
                block = file.read(min(left, _BLOCK_BYTES))
                if not block:  # cut meanwhile: the length promised cannot be kept
                    self.close_connection = True
                    break
                self.wfile.write(block)
                left -= len(block)

    def _fail(self, status: HTTPStatus, message: str, **more: Any) -> None:
        self.close_connection = True  # what is left of the request is not read
        self._send_json({"error": message, **more}, status)

    def _head(
        self,
        status: HTTPStatus,
        media_type: str,
        length: int,
        policy: str = "default-src 'none'",
        *,
        part: tuple[int, int] | None = None,
        size_bytes: int | None = None,
    ) -> None:
        self.send_response(status)
        self.send_header("Content-Type", media_type)
        self.send_header("Content-Length", str(length))
        self.send_header("Cache-Control", "no-store")
        self.send_header("Content-Security-Policy", policy)
        self.send_header("Cross-Origin-Resource-Policy", "same-origin")
        self.send_header("Referrer-Policy", "no-referrer")
        self.send_header("X-Content-Type-Options", "nosniff")
        if size_bytes is not None:
            self.send_header("Accept-Ranges", "bytes")
            if status != HTTPStatus.OK:
                span = f"{part[0]}-{part[1] - 1}" if part else "*"
                self.send_header("Content-Range", f"bytes {span}/{size_bytes}")
        if self.close_connection:
            self.send_header("Connection", "close")
        self.end_headers()

    def _write(self, content: bytes) -> None:
        if self.command != "HEAD":
            self.wfile.write(content)


def _number(folder: str, rest: str) -> int | None:
    """Give the number in `<folder>/<number>`; None where the path is another."""
    found = re.fullmatch(rf"{folder}/([0-9]{{1,9}})", rest, re.ASCII)
    return int(found.group(1)) if found else None
