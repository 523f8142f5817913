"""msgpack-RPC framing: bytes to messages and back, within limits a hostile peer cannot pass.

`[0, id, method, [params]]` asks, `[1, id, error, result]` answers, `[2, method, [params]]` tells.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import msgpack

from lofi_runtime.rpc.errors import RpcError
from lofi_runtime.rpc.messages import FrameError, Incoming
from lofi_runtime.rpc.shape import IMMODEST, is_modest

REQUEST, RESPONSE, NOTIFICATION = 0, 1, 2
MAX_ID = 2**63 - 1

MAX_FRAME_BYTES = 1 << 16
"""Of one message; the longest prompt and lyrics together have 11 000."""
# Broken UTF-8 is kept as surrogates, so that a bad prompt is refused by name instead of costing the
# connection.
_UNPACKING = {"raw": False, "strict_map_key": True, "unicode_errors": "surrogateescape"}
_LIMITS = {"max_array_len": 4096, "max_map_len": 1024, "max_ext_len": 0}


class MsgpackCodec:
    """One connection's framing; feed it bytes as they come.

    A message is decoded once it is whole: half of one costs its bytes, not the objects they would
    become, which may be sixty times as large. An idle connection holds nothing.
    """

    def __init__(self) -> None:
        self._rest = bytearray()
        self._scanner: msgpack.Unpacker | None = None
        """Has walked over the rest, so that no byte is walked over twice."""
        self._taken_bytes = 0
        """Of what the scanner was fed: those of messages handed out."""

    def feed(self, data: bytes) -> Iterator[Incoming]:
        """Yield the messages that `data` completes.

        Raises:
            FrameError: the bytes are not msgpack, too large, or not a message.
        """
        if self._scanner is None:
            self._scanner, self._taken_bytes = _new_scanner(), 0
        self._rest += data
        self._scanner.feed(data)
        try:
            while (frame := self._next_frame(self._scanner)) is not None:
                yield _read(msgpack.unpackb(frame, **_UNPACKING, **_LIMITS))
        # Every msgpack fault is a ValueError.
        except ValueError as error:
            raise FrameError(f"not a msgpack-RPC message: {type(error).__name__}") from error
        if not self._rest:
            self._scanner = None

    def _next_frame(self, scanner: msgpack.Unpacker) -> bytes | None:
        """Take the next whole message off the rest, or None.

        Raises:
            FrameError: it is too large, or already half of it is.
            ValueError: the bytes are not msgpack.
        """
        try:
            scanner.skip()
            size_bytes = scanner.tell() - self._taken_bytes
        except msgpack.OutOfData:
            size_bytes = 0
        if max(size_bytes, 0 if size_bytes else len(self._rest)) > MAX_FRAME_BYTES:
            raise FrameError(f"a message has more than {MAX_FRAME_BYTES} bytes")
        if not size_bytes:
            return None
        frame = bytes(self._rest[:size_bytes])
        del self._rest[:size_bytes]
        self._taken_bytes += size_bytes
        return frame

    def encode_answer(
        self, id_: int | str | None, error: dict[str, Any] | None, result: dict[str, Any] | None
    ) -> bytes:
        """Encode a response; one of `error` and `result` is None."""
        return _pack([RESPONSE, id_, error, result])

    def encode_notification(self, method: str, params: dict[str, Any]) -> bytes:
        """Encode a notification."""
        return _pack([NOTIFICATION, method, [params]])


def _new_scanner() -> msgpack.Unpacker:
    # It is only asked where messages end; how much it holds is limited by who feeds it.
    return msgpack.Unpacker(read_size=4096, max_buffer_size=0)


def _pack(message: list[Any]) -> bytes:
    # A packer that is kept would keep its longest message's memory, once for each client.
    packed: bytes = msgpack.packb(message, unicode_errors="backslashreplace")
    return packed


def _read(frame: object) -> Incoming:
    """Check a frame's shape; what has an id can still be answered with INVALID_REQUEST."""
    if isinstance(frame, list) and len(frame) == 3 and _is_kind(frame[0], NOTIFICATION):
        _, method, args = frame
        params = _params_of(args)
        if isinstance(method, str) and params is not None and is_modest(params):
            return Incoming(None, method, params)
    if isinstance(frame, list) and len(frame) == 4 and _is_kind(frame[0], REQUEST):
        _, id_, method, args = frame
        if isinstance(id_, int) and not isinstance(id_, bool) and 0 <= id_ <= MAX_ID:
            return _read_request(id_, method, args)
    raise FrameError("not a msgpack-RPC request or notification")


def _read_request(id_: int, method: object, args: object) -> Incoming:
    if not isinstance(method, str):
        return _refused(id_, "INVALID_REQUEST", "the method's name must be a string")
    params = _params_of(args)
    if params is None:
        return _refused(id_, "INVALID_PARAMS", "parameters are one map inside an array: [{...}]")
    if not is_modest(params):
        return _refused(id_, "INVALID_PARAMS", IMMODEST)
    return Incoming(id_, method, params)


def _params_of(args: object) -> dict[str, Any] | None:
    """Return the one map of parameters, or None; Lua writes an empty map as an empty array."""
    if args == [] or args == {} or args == [[]]:
        return {}
    if isinstance(args, list) and len(args) == 1:
        args = args[0]
        if isinstance(args, dict) and all(isinstance(key, str) for key in args):
            return args
    return None


def _refused(id_: int, name: str, message: str) -> Incoming:
    return Incoming(id_, "", {}, RpcError(name, message))


def _is_kind(value: object, kind: int) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and value == kind
