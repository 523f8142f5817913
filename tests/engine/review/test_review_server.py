from __future__ import annotations

import contextlib
import http.client
import json
import threading
import urllib.error
import urllib.request
from dataclasses import dataclass
from typing import Any

import pytest

from lofi_engine.recipe.load import load_recipe
from lofi_engine.review.decoder import Decoder
from lofi_engine.review.measured import Measured
from lofi_engine.review.server import MAX_BODY_BYTES, ReviewServer
from lofi_engine.review.store import Review
from lofi_engine.review.tracks import list_tracks
from tests.support.review_folder import NAMES, make_review_folder, read_row, row_of, write_ledger


@dataclass
class Served:
    """A review that answers over real HTTP."""

    server: ReviewServer
    home: Any

    def get(self, path, **headers):
        """Give status, headers and body."""
        return self.send(urllib.request.Request(self.server.url + path, headers=headers))

    def post(self, path, value, **headers):
        body = value if isinstance(value, bytes) else json.dumps(value).encode()
        sent = {"Content-Type": "application/json", **headers}
        return self.send(urllib.request.Request(self.server.url + path, body, sent))

    def send(self, request):
        try:
            with urllib.request.urlopen(request, timeout=20) as answer:
                return answer.status, answer.headers, answer.read()
        except urllib.error.HTTPError as error:
            with error:
                return error.code, error.headers, error.read()

    def raw(self, method, path, headers=(), body=None):
        """Send a request as written, without what a client library would add or refuse."""
        connection = http.client.HTTPConnection("127.0.0.1", self.server.server_port, timeout=20)
        with contextlib.closing(connection):
            connection.putrequest(method, path, skip_host=True, skip_accept_encoding=True)
            for name, value in headers:
                connection.putheader(name, value)
            connection.endheaders(body)
            answer = connection.getresponse()
            return answer.status, answer.read()

    @property
    def host(self):
        return f"127.0.0.1:{self.server.server_port}"


def said(answer):
    return answer[0], json.loads(answer[2])


@pytest.fixture(scope="module")
def running(tmp_path_factory):
    recipe = load_recipe(make_review_folder(tmp_path_factory.mktemp("served")))
    review = Review(recipe, list_tracks(recipe), Measured(recipe))
    with Decoder() as decoder, ReviewServer(review, decoder) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield Served(server, recipe.home)
        server.shutdown()
        thread.join()


@pytest.fixture
def served(running):
    write_ledger(running.home, [row_of(name) for name in NAMES if name != "no row.flac"])
    return running


def test_the_page_is_one_file_that_may_load_nothing_from_elsewhere(served):
    status, headers, body = served.get("")
    page = body.decode()
    assert status == 200
    policy = headers["Content-Security-Policy"]
    nonce = policy.partition("'nonce-")[2].partition("'")[0]
    assert f'<script nonce="{nonce}">' in page
    assert f'<style nonce="{nonce}">' in page
    assert "default-src 'none'" in policy
    assert "connect-src 'self'" in policy
    assert "http://" not in page
    assert "https://" not in page
    assert "@NONCE@" not in page
    assert headers["Referrer-Policy"] == "no-referrer"  # the address holds the token
    assert headers["Cache-Control"] == "no-store"
    assert served.get("")[1]["Content-Security-Policy"] != policy


def test_a_change_over_http_is_in_the_ledger_when_the_answer_comes(served):
    status, answer = said(served.post("api/tracks/0", {"changes": {"quality_score": 70}}))
    assert (status, answer["row"]["quality_score"]) == (200, 70)
    assert read_row(served.home, NAMES[0])["quality_score"] == 70
    assert said(served.get("api/tracks"))[1]["tracks"][0]["score"] == 70
    assert said(served.post("api/undo", {})) == (200, {"number": 0})
    assert said(served.post("api/undo", {})) == (200, {"number": None})
    assert "quality_score" not in read_row(served.home, NAMES[0])


def test_a_track_can_be_heard_in_parts(served):
    whole = (served.home / "raw" / NAMES[0]).read_bytes()
    status, headers, body = served.get("audio/0")
    assert (status, body, headers["Content-Type"]) == (200, whole, "audio/flac")
    assert headers["Accept-Ranges"] == "bytes"
    status, headers, body = served.get("audio/0", Range="bytes=100-199")
    assert (status, body) == (206, whole[100:200])
    assert headers["Content-Range"] == f"bytes 100-199/{len(whole)}"
    status, headers, body = served.get("audio/0", Range=f"bytes={len(whole)}-")
    assert (status, body) == (416, b"")
    assert headers["Content-Range"] == f"bytes */{len(whole)}"
    head = urllib.request.Request(served.server.url + "audio/0", method="HEAD")
    status, headers, body = served.send(head)
    assert (status, body, headers["Content-Length"]) == (200, b"", str(len(whole)))


def test_what_a_browser_cannot_play_comes_as_wav(served):
    for path in ("audio/3", "audio/0?form=wav"):
        status, headers, body = served.get(path)
        assert (status, headers["Content-Type"], body[:4]) == (200, "audio/wav", b"RIFF")
        assert len(body) == 44 + 6 * 44_100 * 4
    status, answer = said(served.get("audio/4"))
    assert status == 422
    assert answer["error"] == "no audio can be decoded from it (nothing in it is audio)"
    assert said(served.get("picture/4"))[0] == 422
    assert said(served.get("picture/3"))[1]["duration_sec"] == 6.0


def test_a_track_that_is_gone_says_so(served):
    place = served.home / "raw" / NAMES[1]
    aside = place.rename(served.home / "aside")
    try:
        assert said(served.get("audio/1")) == (
            422, {"error": "cannot be read: No such file or directory"},
        )  # fmt: skip
    finally:
        aside.rename(place)


@pytest.mark.parametrize("path", ["/", "/wrong/", "/wrong/api/tracks", "/favicon.ico", "/%C3%A9/"])
def test_without_the_token_nothing_is_answered(served, path):
    status, body = served.raw("GET", path, [("Host", served.host)])
    assert status == 403
    assert b"lofi" not in body
    assert b"open the whole address that was printed" in body


def test_almost_the_token_is_not_the_token(served):
    token = served.server.token
    assert len(token) >= 32
    for wrong in (token[:-1], token + "x", token.swapcase(), ""):
        assert served.raw("GET", f"/{wrong}/api/tracks", [("Host", served.host)])[0] == 403
    assert served.raw("GET", f"/{token}", [("Host", served.host)])[0] == 403


@pytest.mark.parametrize(
    "headers",
    [
        [],
        [("Host", "evil.example")],
        [("Host", "evil.example:{port}")],
        [("Host", "127.0.0.1")],
        [("Host", "127.0.0.1.evil.example:{port}")],
        [("Host", "127.0.0.1:{port}"), ("Origin", "http://evil.example")],
        [("Host", "127.0.0.1:{port}"), ("Origin", "null")],
        [("Host", "127.0.0.1:{port}"), ("Origin", "http://127.0.0.1:1")],
        [("Host", "127.0.0.1:{port}"), ("Origin", "https://127.0.0.1:{port}")],
        [("Host", "127.0.0.1:{port}"), ("Sec-Fetch-Site", "cross-site")],
        [("Host", "127.0.0.1:{port}"), ("Sec-Fetch-Site", "same-site")],
    ],
)
@pytest.mark.parametrize("method", ["GET", "POST"])
def test_other_names_and_other_pages_are_refused_even_with_the_token(served, headers, method):
    before = (served.home / "sources.json").read_bytes()
    port = str(served.server.server_port)
    sent = [(name, value.replace("{port}", port)) for name, value in headers]
    body = json.dumps({"changes": {"accepted": True}}).encode()
    sent += [("Content-Type", "application/json"), ("Content-Length", str(len(body)))]
    status, _ = served.raw(method, f"/{served.server.token}/api/tracks/0", sent, body)
    assert status == 403
    assert (served.home / "sources.json").read_bytes() == before


def test_the_page_itself_may_write_under_both_names_of_this_machine(served):
    for name in ("127.0.0.1", "localhost"):
        host = f"{name}:{served.server.server_port}"
        headers = {"Host": host, "Origin": f"http://{host}", "Sec-Fetch-Site": "same-origin"}
        assert served.post("api/undo", {}, **headers)[0] == 200


@pytest.mark.parametrize(
    "path",
    [
        "audio/../../sources.json", "audio/%2e%2e/sources.json", "audio/..%2f..%2fetc%2fpasswd",
        "audio//etc/passwd", "audio/0/../1", "audio/city%20rain.flac", "audio/-1", "audio/0x0",
        "audio/1e0", "audio/", "audio/00000000000", "audio/0%00", "audio/\uff11", "raw/a.wav",
        "../", "page.html", "api", "api/tracks/", "picture/999999999",
    ],
)  # fmt: skip
def test_files_are_had_by_number_and_by_nothing_else(served, path):
    target = f"/{served.server.token}/{path}".encode().decode("latin-1")
    connection = http.client.HTTPConnection("127.0.0.1", served.server.server_port, timeout=20)
    with contextlib.closing(connection):
        connection.connect()
        request = f"GET {target} HTTP/1.1\r\nHost: {served.host}\r\nConnection: close\r\n\r\n"
        connection.sock.sendall(request.encode("latin-1"))
        answer = connection.sock.makefile("rb").read()
    status = int(answer.split()[1])
    assert status == 404, answer
    assert b"root:" not in answer


@pytest.mark.parametrize(
    ("body", "headers", "status", "told"),
    [
        (b"{", {}, 400, "the body is not JSON"),
        (b"\xff\xfe", {}, 400, "the body is not JSON"),
        (b"[" * 100_000, {}, 400, "the body is not JSON"),
        (b"[]", {}, 400, "the body is not a JSON object"),
        (b"{}", {}, 400, "expected {changes: {}, seen: {}}"),
        (b'{"changes": [], "seen": 1}', {}, 400, "expected {changes: {}, seen: {}}"),
        (b'{"changes": {"x": 1}}', {}, 400, "'x' is nothing that a review changes"),
        (b'{"changes": {"quality_score": 1e999}}', {}, 400, "quality_score: 'inf' is not 0 to"),
        (b'{"changes": {"notes": "\\ud800"}}', {}, 409, "half a surrogate pair"),
        (b"{}", {"Content-Type": "text/plain"}, 415, "expected application/json"),
        (b" " * (MAX_BODY_BYTES + 1), {}, 413, f"at most {MAX_BODY_BYTES} are read"),
    ],
)
def test_a_bad_body_is_refused_with_a_sentence_and_changes_nothing(
    served, body, headers, status, told
):
    before = (served.home / "sources.json").read_bytes()
    answer = said(served.post("api/tracks/0", body, **headers))
    assert answer[0] == status
    assert told in answer[1]["error"]
    assert (served.home / "sources.json").read_bytes() == before


@pytest.mark.parametrize(
    ("length", "status"), [("999999999999", 413), ("-1", 411), ("ten", 411), (None, 411)]
)
def test_a_huge_or_unknown_length_is_refused_without_reading(served, length, status):
    headers = [("Host", served.host), ("Content-Type", "application/json")]
    headers += [("Content-Length", length)] if length is not None else []
    assert served.raw("POST", f"/{served.server.token}/api/undo", headers)[0] == status


def test_other_methods_are_not_known(served):
    for method in ("PUT", "DELETE", "OPTIONS"):
        headers = [("Host", served.host)]
        assert served.raw(method, f"/{served.server.token}/api/tracks/0", headers)[0] == 501


def test_a_ledger_edited_by_hand_meanwhile_is_a_conflict_the_page_can_tell(served):
    write_ledger(served.home, [{**row_of(NAMES[0]), "notes": "by hand"}])
    wish = {"changes": {"notes": "mine"}, "seen": {"notes": None}}
    status, answer = said(served.post("api/tracks/0", wish))
    assert (status, answer["changed"]) == (409, True)
    assert "notes was changed meanwhile" in answer["error"]
    (served.home / "sources.json").write_text("[}")
    status, answer = said(served.post("api/tracks/0", wish))
    assert (status, "changed" in answer) == (409, False)
    assert "sources.json:1:2: not JSON" in answer["error"]
    assert (served.home / "sources.json").read_text() == "[}"
    assert "not JSON" in said(served.get("api/tracks"))[1]["faults"][0]


def test_only_this_machine_can_reach_it(served):
    assert served.server.server_address[0] == "127.0.0.1"
