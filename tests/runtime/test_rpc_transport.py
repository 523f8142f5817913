"""The socket is for this user alone, one server lives on it, and it is gone afterwards."""

from __future__ import annotations

import os
import socket
import stat
from pathlib import Path

import pytest

from lofi_runtime.errors import LofiError
from lofi_runtime.paths import default_socket, prepare_socket_folder
from lofi_runtime.rpc import transport
from tests.support.rpc_client import RpcClient
from tests.support.rpc_server import running_server


def mode_of(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def test_folder_and_socket_are_closed_to_others_and_the_socket_goes_with_the_server(
    tmp_path: Path,
) -> None:
    with running_server(tmp_path) as server:
        path = server.settings.socket
        assert (mode_of(path.parent), mode_of(path)) == (0o700, 0o600)
        with server.connect() as client:
            assert client.call("ping")["status"] == "ok"
    assert not path.exists()


def test_a_stale_socket_is_replaced(tmp_path: Path) -> None:
    path = tmp_path / "run" / "runtime.sock"
    path.parent.mkdir(mode=0o700)
    dead = socket.socket(socket.AF_UNIX)
    dead.bind(str(path))
    dead.close()
    assert path.exists()
    with running_server(tmp_path) as server, server.connect() as client:
        assert client.call("ping")["status"] == "ok"


def test_a_live_server_is_left_alone_with_one_clear_error(tmp_path: Path) -> None:
    with running_server(tmp_path) as server:
        with (
            pytest.raises(LofiError, match="already running on") as caught,
            running_server(tmp_path),
        ):
            pass
        assert str(server.settings.socket) in str(caught.value)
        with server.connect() as client:
            assert client.call("ping")["status"] == "ok"


def test_a_live_listener_without_our_lock_is_left_alone_too(tmp_path: Path) -> None:
    path = tmp_path / "run" / "runtime.sock"
    path.parent.mkdir(mode=0o700)
    with socket.socket(socket.AF_UNIX) as other:
        other.bind(str(path))
        other.listen()
        with pytest.raises(LofiError, match="already running"), running_server(tmp_path):
            pass
    assert path.exists()


def test_a_file_in_the_sockets_place_is_not_deleted(tmp_path: Path) -> None:
    path = tmp_path / "run" / "runtime.sock"
    path.parent.mkdir(mode=0o700)
    path.write_text("mine")
    with pytest.raises(LofiError, match="is there and is not a socket"), running_server(tmp_path):
        pass
    assert path.read_text() == "mine"


def test_a_folder_others_may_write_in_is_refused(tmp_path: Path) -> None:
    folder = tmp_path / "open"
    folder.mkdir()
    folder.chmod(0o777)
    with pytest.raises(LofiError, match=r"others may write in .*\(mode 0777\)"):
        prepare_socket_folder(folder / "runtime.sock")


def test_a_path_too_long_for_a_socket_is_refused_by_its_length(tmp_path: Path) -> None:
    with pytest.raises(LofiError, match="103 are allowed"):
        prepare_socket_folder(tmp_path / ("x" * 100) / "runtime.sock")


def test_the_default_socket_follows_xdg_runtime_dir(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(tmp_path))
    assert default_socket() == tmp_path / "lofi" / "runtime.sock"
    (tmp_path / "lofi").mkdir(mode=0o755)
    prepare_socket_folder(default_socket())
    assert mode_of(tmp_path / "lofi") == 0o700


def test_without_xdg_runtime_dir_the_socket_is_in_a_folder_by_uid(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.delenv("XDG_RUNTIME_DIR", raising=False)
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    assert default_socket() == tmp_path / f"lofi-{os.getuid()}" / "runtime.sock"


def test_a_default_folder_that_is_a_link_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(tmp_path))
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "lofi").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(LofiError, match="is not a folder of yours"):
        prepare_socket_folder(default_socket())


def test_a_peer_of_another_user_is_not_served(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with running_server(tmp_path) as server:
        real = os.getuid()
        monkeypatch.setattr(transport.os, "getuid", lambda: real + 1)
        client = RpcClient(server.settings.socket)
        assert client.read_frame() is None
        client.close()


def test_a_client_that_ends_in_garbage_while_its_track_is_made_hurts_nobody(tmp_path: Path) -> None:
    with running_server(tmp_path) as server, server.connect() as other:
        bad = server.connect()
        bad.call("generate", prompt="slow", duration_sec=5)
        bad.wait_for("generation_progress")
        bad.send_bytes(b"\xc1" * 4)  # and it stays, with its end of the connection open
        mine = other.call("generate", prompt="calm", duration_sec=5)
        done = other.wait_for("generation_complete", "generation_error")
        assert (done["event"], done["track_id"]) == ("generation_complete", mine["track_id"])
        bad.close()
