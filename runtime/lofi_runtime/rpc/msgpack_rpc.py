"""msgpack-RPC framing: bytes to messages and back, within limits a hostile peer cannot pass.

`[0, id, method, [params]]` asks, `[1, id, error, result]` answers, `[2, method, [params]]` tells.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import msgpack

from lofi_runtime.rpc.errors import RpcError
from lofi_runtime.rpc.messages import FrameError, Incoming

REQUEST, RESPONSE, NOTIFICATION = 0, 1, 2
MAX_ID = 2**63 - 1

# Without these, 8 MiB of empty arrays grow to more than half a gigabyte.
_LIMITS = {
    "max_buffer_size": 1 << 20,
    "max_str_len": 1 << 18,
    "max_bin_len": 1 << 18,
    "max_array_len": 4096,
    "max_map_len": 1024,
    "max_ext_len": 0,
}


class MsgpackCodec:
    """One connection's framing; feed it bytes as they come."""

    def __init__(self) -> None:
        # Broken UTF-8 is kept as surrogates, so that a bad prompt is refused by name instead of
        # costing the connection.
        self._unpacker = msgpack.Unpacker(
            raw=False, strict_map_key=True, unicode_errors="surrogateescape", **_LIMITS
        )
        self._packer = msgpack.Packer(unicode_errors="backslashreplace")

    def feed(self, data: bytes) -> Iterator[Incoming]:
        """Yield the messages that `data` completes.

        Raises:
            FrameError: the bytes are not msgpack, too large, or not a message.
        """
        try:
            self._unpacker.feed(data)
            for frame in self._unpacker:
                yield _read(frame)
        # Every msgpack fault but BufferFull is a ValueError; the two are all it documents.
        except (ValueError, msgpack.exceptions.BufferFull) as error:
            raise FrameError(f"not a msgpack-RPC message: {type(error).__name__}") from error

    def encode_answer(
        self, id_: int | str | None, error: dict[str, Any] | None, result: dict[str, Any] | None
    ) -> bytes:
        """Encode a response; one of `error` and `result` is None."""
        packed: bytes = self._packer.pack([RESPONSE, id_, error, result])
        return packed

    def encode_notification(self, method: str, params: dict[str, Any]) -> bytes:
        """Encode a notification."""
        packed: bytes = self._packer.pack([NOTIFICATION, method, [params]])
        return packed


def _read(frame: object) -> Incoming:
    """Check a frame's shape; what has an id can still be answered with INVALID_REQUEST."""
    if isinstance(frame, list) and len(frame) == 3 and _is_kind(frame[0], NOTIFICATION):
        _, method, args = frame
        params = _params_of(args)
        if isinstance(method, str) and params is not None:
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
