"""Asks a running server one question and waits: for the command line, not for editors."""

from __future__ import annotations

import socket
import sys
import time
from pathlib import Path
from typing import Any

import msgpack

from lofi_runtime.atomic import read_json
from lofi_runtime.errors import LofiError
from lofi_runtime.paths import pid_file, token_file

_POLL_SEC = 0.02


def ask(path: Path, method: str, timeout_sec: float = 2.0, **params: Any) -> dict[str, Any]:
    """Return a method's result.

    Args:
        path: of the server's socket; a server on TCP is found by the token file beside it.
        method: its name.
        timeout_sec: for each wait.
        params: of the method.

    Raises:
        LofiError: nobody listens there, the answer does not come, or it is a refusal.
    """
    connection, token = _connect(path, timeout_sec)
    with connection:
        questions = [] if token is None else [("authenticate", {"token": token})]
        for id_, (name, about) in enumerate([*questions, (method, params)], 1):
            try:
                connection.sendall(msgpack.packb([0, id_, name, [about]]))
                error_map, result = _read_answer(connection, id_)
            except (OSError, ValueError) as error:
                raise LofiError(
                    f"the server on {path} does not answer '{name}': {error}"
                ) from error
            if error_map is not None:
                raise LofiError(f"the server on {path} refused '{name}': {error_map['message']}")
    return result


def stop_server(path: Path, timeout_sec: float = 10.0) -> int:
    """Stop the server on `path` and wait until others may have its place; returns its process id.

    Raises:
        LofiError: as of `ask`; or it still runs after `timeout_sec`.
    """
    pid: int = ask(path, "ping")["pid"]
    ask(path, "shutdown")
    deadline = time.monotonic() + timeout_sec
    while pid_file(path).exists():
        if time.monotonic() > deadline:
            raise LofiError(
                f"the server on {path} (process {pid}) has not ended in {timeout_sec:g} s",
                hint=f"end it: kill -9 {pid}",
            )
        time.sleep(_POLL_SEC)
    return pid


def _connect(path: Path, timeout_sec: float) -> tuple[socket.socket, str | None]:
    """Connect; gives the token to show first, if one is needed."""
    connection, address, token = _unconnected(path)
    connection.settimeout(timeout_sec)
    try:
        connection.connect(address)
    except OSError as error:
        connection.close()
        raise LofiError(f"no server on {path}", hint="start one: lofi-runtime serve") from error
    return connection, token


def _unconnected(path: Path) -> tuple[socket.socket, Any, str | None]:
    if not path.exists() or sys.platform == "win32":
        try:
            told = read_json(token_file(path))
            where = str(told["host"]), int(told["port"])
            return socket.socket(socket.AF_INET), where, str(told["token"])
        except (OSError, ValueError, TypeError, KeyError) as error:
            if sys.platform == "win32":
                raise LofiError(
                    f"no server on {token_file(path)}", hint="start one: lofi-runtime serve"
                ) from error
    return socket.socket(socket.AF_UNIX), str(path), None


def _read_answer(
    connection: socket.socket, id_: int
) -> tuple[dict[str, Any] | None, dict[str, Any]]:
    unpacker = msgpack.Unpacker(raw=False)
    while data := connection.recv(1 << 16):
        unpacker.feed(data)
        for frame in unpacker:
            if isinstance(frame, list) and len(frame) == 4 and frame[:2] == [1, id_]:
                return frame[2], frame[3]
    raise ValueError("it closed the connection")
