"""TCP on this machine alone: nobody is served who cannot read the token."""

from __future__ import annotations

import json
import stat
import time
from collections.abc import Iterator
from pathlib import Path

import msgpack
import pytest

from lofi_runtime.errors import LofiError
from lofi_runtime.rpc import authentication
from lofi_runtime.rpc.client import ask
from lofi_runtime.rpc.schema import find_problems
from lofi_runtime.settings import TCP
from tests.support.rpc_client import RpcClient, RpcFailure
from tests.support.rpc_server import RunningServer, running_server


@pytest.fixture
def server(tmp_path: Path) -> Iterator[RunningServer]:
    with running_server(tmp_path, transport=TCP) as running:
        yield running


def told(server: RunningServer) -> dict:
    return json.loads((server.settings.socket.parent / "runtime.tcp.json").read_text())


def connect(server: RunningServer) -> RpcClient:
    where = told(server)
    return RpcClient((where["host"], where["port"]))


def test_the_right_token_opens_every_method(server: RunningServer) -> None:
    with connect(server) as client:
        answer = client.call("authenticate", token=told(server)["token"])
        assert answer == {"status": "trusted"}
        assert find_problems("methods", "authenticate", "result", answer) == []
        client.call("generate", prompt="rain", duration_sec=5)
        assert client.wait_for("generation_complete", "generation_error")["prompt"] == "rain"


def test_a_client_may_ask_on_without_awaiting_the_first_answer(server: RunningServer) -> None:
    with connect(server) as client:
        frames = [[0, 1, "authenticate", [{"token": told(server)["token"]}]], [0, 2, "ping", [{}]]]
        client.send_bytes(b"".join(map(msgpack.packb, frames)))
        assert client.answer(2)["status"] == "ok"


@pytest.mark.parametrize(
    ("method", "params"),
    [
        ("ping", {}),
        ("shutdown", {}),
        ("authenticate", {}),
        ("authenticate", {"token": "0" * 64}),
        ("authenticate", {"token": "\N{SNOWMAN}"}),
        ("authenticate", {"token": 7}),
    ],
)
def test_anything_else_first_gets_one_named_refusal_and_the_connection_ends(
    server: RunningServer, method: str, params: dict
) -> None:
    with connect(server) as client, connect(server) as trusted:
        trusted.call("authenticate", token=told(server)["token"])
        client.send_bytes(msgpack.packb([0, 1, method, [params]]) * 2)
        with pytest.raises(RpcFailure) as caught:
            client.answer(1)
        assert caught.value.error["code"] == -32027
        assert caught.value.error["data"]["error_code"] == "AUTHENTICATION_FAILED"
        assert client.read_frame() is None
        assert len(client.frames) == 1
        assert trusted.call("ping")["status"] == "ok"


def test_a_malformed_request_and_a_notification_open_nothing(server: RunningServer) -> None:
    token = told(server)["token"]
    for frame, answers in (
        ([0, 1, 5, []], 1),
        ([2, "shutdown", [{}]], 0),
        ([0, 1, "authenticate", [[token]]], 1),
    ):
        with connect(server) as client:
            client.send_bytes(msgpack.packb(frame))
            while client.read_frame() is not None:
                pass
            assert len(client.frames) == answers
    with connect(server) as client:
        client.send_bytes(b"GET / HTTP/1.1\r\n\r\n")
        assert client.read_frame() is None


def test_a_client_that_says_nothing_is_let_go(
    server: RunningServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(authentication, "WITHIN_SEC", 0.2)
    with connect(server) as silent, connect(server) as trusted:
        trusted.call("authenticate", token=told(server)["token"])
        began = time.monotonic()
        assert silent.read_frame() is None
        assert time.monotonic() - began < 2
        time.sleep(0.3)
        assert trusted.call("status")["clients"] == 1


def test_the_token_file_is_private_and_goes_with_the_server(tmp_path: Path) -> None:
    with running_server(tmp_path, transport=TCP) as server:
        path = server.settings.socket.parent / "runtime.tcp.json"
        assert stat.S_IMODE(path.stat().st_mode) == 0o600
        assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700
        first = told(server)
        assert sorted(first) == ["host", "pid", "port", "token", "version"]
        assert (first["host"], len(first["token"])) == ("127.0.0.1", 64)
        assert not server.settings.socket.exists()
    assert not path.exists()
    with running_server(tmp_path, transport=TCP, tcp_port=first["port"]) as server:
        assert told(server)["port"] == first["port"]
        assert told(server)["token"] != first["token"]


def test_the_command_line_finds_it_by_the_token_file(server: RunningServer) -> None:
    assert ask(server.settings.socket, "ping")["status"] == "ok"


def test_a_server_on_tcp_and_one_on_the_socket_exclude_each_other(server: RunningServer) -> None:
    with (
        pytest.raises(LofiError, match="already running"),
        running_server(server.settings.socket.parents[1]),
    ):
        pass
    assert ask(server.settings.socket, "ping")["status"] == "ok"


def test_a_taken_port_is_one_clear_error(server: RunningServer, tmp_path: Path) -> None:
    port = told(server)["port"]
    other = tmp_path / "other" / "runtime.sock"
    with (
        pytest.raises(LofiError, match=f"cannot listen on 127.0.0.1 port {port}"),
        running_server(tmp_path, transport=TCP, tcp_port=port, socket=other),
    ):
        pass
    assert sorted(path.name for path in other.parent.iterdir()) == ["runtime.sock.lock"]


def test_on_a_socket_authenticate_is_needless_and_welcome(tmp_path: Path) -> None:
    with running_server(tmp_path) as server, server.connect() as client:
        assert client.call("ping")["status"] == "ok"
        assert client.call("authenticate", token="whatever") == {"status": "trusted"}
