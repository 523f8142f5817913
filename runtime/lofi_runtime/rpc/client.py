"""Asks a running server one question and waits: for the command line, not for editors."""

from __future__ import annotations

import socket
from pathlib import Path
from typing import Any

import msgpack

from lofi_runtime.errors import LofiError


def ask(path: Path, method: str, timeout_sec: float = 2.0, **params: Any) -> dict[str, Any]:
    """Return a method's result.

    Args:
        path: of the server's socket.
        method: its name.
        timeout_sec: for each wait.
        params: of the method.

    Raises:
        LofiError: nobody listens there, the answer does not come, or it is a refusal.
    """
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as connection:
        connection.settimeout(timeout_sec)
        try:
            connection.connect(str(path))
        except OSError as error:
            raise LofiError(f"no server on {path}", hint="start one: lofi-runtime serve") from error
        try:
            connection.sendall(msgpack.packb([0, 1, method, [params]]))
            error_map, result = _read_answer(connection)
        except (OSError, ValueError) as error:
            raise LofiError(f"the server on {path} does not answer '{method}': {error}") from error
    if error_map is not None:
        raise LofiError(f"the server on {path} refused '{method}': {error_map['message']}")
    return result


def _read_answer(connection: socket.socket) -> tuple[dict[str, Any] | None, dict[str, Any]]:
    unpacker = msgpack.Unpacker(raw=False)
    while data := connection.recv(1 << 16):
        unpacker.feed(data)
        for frame in unpacker:
            if isinstance(frame, list) and len(frame) == 4 and frame[:2] == [1, 1]:
                return frame[2], frame[3]
    raise ValueError("it closed the connection")
