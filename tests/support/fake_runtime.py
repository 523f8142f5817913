"""A stand-in for `lofi-runtime` that misbehaves on request.

Speaks just enough of the protocol to drive the plugin, in the standard library and msgpack alone:
`fake_runtime.py [--fail | --hang | --garbage | ...] serve --idle-exit N --socket PATH`.
The mode comes first, so that a wrapper script can add it before what the plugin passes.
"""

from __future__ import annotations

import argparse
import contextlib
import os
import socket
import sys
import threading
import time
from pathlib import Path
from typing import Any

import msgpack

TRACK_ID = "0123456789abcdef"
STEPS = 20


def parse_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser()
    parser.add_argument("--version", action="version", version="lofi-runtime 0.0.0 (stand-in)")
    parser.add_argument("--fail", action="store_true", help="refuse every generate")
    parser.add_argument("--fail-start", action="store_true", help="end before listening")
    parser.add_argument("--hang", action="store_true", help="never answer generate")
    parser.add_argument("--garbage", action="store_true", help="answer generate with no msgpack")
    parser.add_argument("--huge", action="store_true", help="answer generate with endless bytes")
    parser.add_argument("--die", action="store_true", help="end in the middle of a track")
    parser.add_argument("--split", action="store_true", help="send one byte at a time")
    parser.add_argument("--path", default="/nowhere/a.wav", help="where it says the track is")
    parser.add_argument("--protocol", type=int, default=1)
    parser.add_argument("--step-sec", type=float, default=0.01)
    commands = parser.add_subparsers(dest="command", required=True)
    serve = commands.add_parser("serve")
    serve.add_argument("--idle-exit", type=float, required=True)
    serve.add_argument("--socket", type=Path, required=True)
    return parser.parse_args()


class Client:
    """One connection; answers in its own thread."""

    def __init__(self, options: argparse.Namespace, connection: socket.socket) -> None:
        self.options = options
        self.connection = connection
        self.cancelled = threading.Event()

    def send(self, message: list[Any]) -> None:
        data = msgpack.packb(message)
        pieces = [data[i : i + 1] for i in range(len(data))] if self.options.split else [data]
        for piece in pieces:
            self.connection.sendall(piece)
            if self.options.split:
                time.sleep(0.0002)

    def tell(self, event: str, **params: Any) -> None:
        self.send([2, event, [{"track_id": TRACK_ID, **params}]])

    def serve(self) -> None:
        unpacker = msgpack.Unpacker()
        # A client that left in the middle is no failure of the stand-in.
        with contextlib.suppress(OSError):
            while data := self.connection.recv(65536):
                unpacker.feed(data)
                for _, id_, method, params in unpacker:
                    self.answer(id_, method, params[0] if params else {})

    def answer(self, id_: int, method: str, params: dict[str, Any]) -> None:
        if method == "generate":
            self.answer_generate(id_, params)
        elif method == "cancel":
            self.cancelled.set()
            self.send([1, id_, None, {"cancelled": True, "was_generating": True}])
        elif method == "large":
            self.send([1, id_, None, {"text": params["letter"] * 200_000}])
        elif method == "shutdown":
            self.send([1, id_, None, {"status": "shutting_down"}])
            os._exit(0)
        else:
            self.send([1, id_, None, self.describe(method)])

    def describe(self, method: str) -> dict[str, Any]:
        versions = {"version": "0.0.0", "protocol_version": self.options.protocol}
        return {
            "ping": {"status": "ok", "pid": os.getpid(), **versions},
            "capabilities": {**versions, "features": {}, "limits": {}, "backends": []},
            "get_backends": {"backends": [], "default_backend": "procedural"},
        }[method]

    def answer_generate(self, id_: int, params: dict[str, Any]) -> None:
        if self.options.hang:
            return
        if self.options.garbage:
            self.connection.sendall(b"\xc1HTTP/1.1 400 Bad Request\r\n\r\n")
            return
        if self.options.huge:
            self.connection.sendall(msgpack.packb([1, id_, None, "x" * (8 << 20)]))
            return
        if self.options.fail:
            message = f"duration_sec: {params.get('duration_sec')} is more than the maximum of 3"
            data = {"error_code": "INVALID_DURATION", "details": "ask for less"}
            self.send([1, id_, {"code": -32005, "message": message, "data": data}, None])
            return
        answer = {"track_id": TRACK_ID, "status": "generating", "position": 0}
        self.send([1, id_, None, {**answer, "seed": 1, "backend": "procedural"}])
        threading.Thread(target=self.generate, args=(params,), daemon=True).start()

    def generate(self, params: dict[str, Any]) -> None:
        with contextlib.suppress(OSError):
            shared = {"prompt": params["prompt"], "seed": 1, "backend": "procedural"}
            self.tell("generation_start", duration_sec=5, **shared)
            for step in range(STEPS):
                if self.cancelled.is_set():
                    self.tell("generation_cancelled", at_step=step, total_steps=STEPS)
                    return
                if self.options.die and step == STEPS // 2:
                    os._exit(9)
                self.tell(
                    "generation_progress",
                    percent=step * 100 // STEPS,
                    current_step=step,
                    total_steps=STEPS,
                    stage="denoise",
                )
                time.sleep(self.options.step_sec)
            self.tell("generation_complete", path=self.options.path, duration_sec=5.0, **shared)


def serve(options: argparse.Namespace) -> None:
    listener = socket.socket(socket.AF_UNIX)
    options.socket.unlink(missing_ok=True)
    listener.bind(str(options.socket))
    listener.listen()
    # Tests end the server by this number when it does not end by itself.
    options.socket.with_suffix(".pid").write_text(str(os.getpid()))
    threads: list[threading.Thread] = []
    busy_until = time.monotonic()
    listener.settimeout(0.05)
    while time.monotonic() < busy_until + options.idle_exit:
        with contextlib.suppress(TimeoutError):
            connection, _ = listener.accept()
            connection.settimeout(None)
            client = Client(options, connection)
            threads.append(threading.Thread(target=client.serve, daemon=True))
            threads[-1].start()
        if any(thread.is_alive() for thread in threads):
            busy_until = time.monotonic()


def main() -> int:
    options = parse_arguments()
    if options.fail_start:
        print("lofi-runtime: the disk is full", file=sys.stderr)
        return 1
    serve(options)
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
