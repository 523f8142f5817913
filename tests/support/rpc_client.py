"""A tiny blocking msgpack-RPC client for tests."""

from __future__ import annotations

import itertools
import socket
import time
from pathlib import Path
from typing import Any

import msgpack


class RpcFailure(Exception):
    """The server answered with an error; `error` is `{code, message, data}`."""

    def __init__(self, error: dict[str, Any]) -> None:
        super().__init__(error["message"])
        self.error = error


class RpcClient:
    """Connects, asks, and collects the notifications that come meanwhile."""

    def __init__(self, where: Path | tuple[str, int], timeout_sec: float = 10.0) -> None:
        self._timeout_sec = timeout_sec
        is_path = isinstance(where, Path)
        self._socket = socket.socket(socket.AF_UNIX if is_path else socket.AF_INET)
        deadline = time.monotonic() + timeout_sec
        while True:
            try:
                self._socket.connect(str(where) if is_path else where)
                break
            except (FileNotFoundError, ConnectionRefusedError):
                if time.monotonic() > deadline:
                    raise
                time.sleep(0.01)
        self._unpacker = msgpack.Unpacker(raw=False)
        self._ids = itertools.count(1)
        self.frames: list[list[Any]] = []
        """Every frame received so far, in order."""
        self._taken = 0

    def __enter__(self) -> RpcClient:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        self._socket.close()

    def send_bytes(self, data: bytes) -> None:
        self._socket.sendall(data)

    def send(self, method: str, **params: Any) -> int:
        id_ = next(self._ids)
        self.send_bytes(msgpack.packb([0, id_, method, [params]]))
        return id_

    def read_frame(self, timeout_sec: float | None = None) -> list[Any] | None:
        """Return the next frame; None when the server has closed the connection."""
        deadline = time.monotonic() + (timeout_sec or self._timeout_sec)
        while True:
            for frame in self._unpacker:
                self.frames.append(frame)
                return frame
            self._socket.settimeout(max(deadline - time.monotonic(), 0.001))
            try:
                data = self._socket.recv(1 << 16)
            except ConnectionResetError:
                return None
            if not data:
                return None
            self._unpacker.feed(data)

    def answer(self, id_: int) -> dict[str, Any]:
        """Return the result of request `id_`; raises RpcFailure."""
        while True:
            frame = self.read_frame()
            if frame is None:
                raise ConnectionError("the server closed the connection")
            if frame[0] == 1 and frame[1] == id_:
                if frame[2] is not None:
                    raise RpcFailure(frame[2])
                return frame[3]

    def call(self, method: str, **params: Any) -> dict[str, Any]:
        return self.answer(self.send(method, **params))

    def wait_for(self, *events: str, track_id: str | None = None) -> dict[str, Any]:
        """Return the next notification of one of these kinds, with its name under "event"."""
        while True:
            while self._taken < len(self.frames):
                frame = self.frames[self._taken]
                self._taken += 1
                if frame[0] != 2 or frame[1] not in events:
                    continue
                params = frame[2][0]
                if track_id is None or params["track_id"] == track_id:
                    return {"event": frame[1], **params}
            if self.read_frame() is None:
                raise ConnectionError("the server closed the connection")

    def notifications(self) -> list[tuple[str, dict[str, Any]]]:
        """Return every notification received so far."""
        return [(frame[1], frame[2][0]) for frame in self.frames if frame[0] == 2]
