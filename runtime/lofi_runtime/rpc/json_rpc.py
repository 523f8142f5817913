"""JSON-RPC 2.0 framing: one object a line, as lofi.nvim's Lua client writes and reads it.

A line that is no request is answered with a refusal and the next line is read: unlike msgpack,
lines tell where the next message begins.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from typing import Any

from lofi_runtime.rpc.errors import RpcError
from lofi_runtime.rpc.messages import Incoming
from lofi_runtime.rpc.shape import IMMODEST, MAX_DEPTH, is_modest

JSONRPC = "2.0"
MAX_LINE_BYTES = 1 << 18
MAX_ID = 2**53 - 1
MAX_ID_BYTES = 256
MAX_DIGITS = 20
"""Of a whole number, its sign included: nothing larger than msgpack's, and each fits a float."""
_BRACKETS = re.compile(rb"[][{}]")


class JsonCodec:
    """One connection's framing; feed it bytes as they come."""

    def __init__(self) -> None:
        self._rest = bytearray()
        self._skips = False

    def feed(self, data: bytes) -> Iterator[Incoming]:
        """Yield the messages that `data` completes; blank lines are none."""
        *lines, rest = data.split(b"\n")
        for line in lines:
            whole = bytes(self._rest) + line
            skipped, self._skips = self._skips, False
            self._rest.clear()
            if skipped or len(whole) > MAX_LINE_BYTES:
                yield _refused(None, "PARSE_ERROR", f"a line has more than {MAX_LINE_BYTES} bytes")
            elif whole.strip():
                yield _read(whole)
        if not self._skips:
            self._rest += rest
        if len(self._rest) > MAX_LINE_BYTES:
            # Whatever it is, it is not kept: a line without an end would fill the memory.
            self._rest.clear()
            self._skips = True

    def encode_answer(
        self, id_: int | str | None, error: dict[str, Any] | None, result: dict[str, Any] | None
    ) -> bytes:
        """Encode a response: a result or an error, never both."""
        said = {"result": result} if error is None else {"error": error}
        return _line({"jsonrpc": JSONRPC, "id": id_, **said})

    def encode_notification(self, method: str, params: dict[str, Any]) -> bytes:
        """Encode a notification."""
        return _line({"jsonrpc": JSONRPC, "method": method, "params": params})


def _line(message: dict[str, Any]) -> bytes:
    # ASCII: what was broken UTF-8 in a prompt stays a line that any client can read.
    return json.dumps(message, ensure_ascii=True, allow_nan=False).encode("ascii") + b"\n"


def _read(line: bytes) -> Incoming:
    try:
        if _is_too_deep(line):
            return _refused(None, "PARSE_ERROR", f"the line nests deeper than {MAX_DEPTH}")
        frame = json.loads(line.decode("utf-8", "surrogateescape"), **_NUMBERS)
    except ValueError as error:
        return _refused(None, "PARSE_ERROR", f"the line is not JSON: {error}"[:200])
    if not isinstance(frame, dict):
        return _refused(None, "INVALID_REQUEST", "a request is one object a line")
    id_, method = frame.get("id"), frame.get("method")
    if "id" in frame and not _is_id(id_):
        return _refused(None, "INVALID_REQUEST", "an id is a whole number or a string")
    if frame.get("jsonrpc") != JSONRPC:
        return _refused(id_, "INVALID_REQUEST", f'a request has "jsonrpc": "{JSONRPC}"')
    if not isinstance(method, str):
        return _refused(id_, "INVALID_REQUEST", "the method's name must be a string")
    params = frame.get("params", {})
    if params == []:  # how Lua writes an empty map
        params = {}
    if not isinstance(params, dict):
        return _refused(id_, "INVALID_PARAMS", "parameters are one map")
    if not is_modest(params):
        return _refused(id_, "INVALID_PARAMS", IMMODEST)
    # vim.NIL where an option was left out: optional fields are absent, never null.
    return Incoming(id_, method, {name: one for name, one in params.items() if one is not None})


def _is_id(value: object) -> bool:
    if isinstance(value, str):
        return len(value.encode("utf-8", "surrogatepass")) <= MAX_ID_BYTES
    return isinstance(value, int) and not isinstance(value, bool) and abs(value) <= MAX_ID


def _is_too_deep(line: bytes) -> bool:
    """Count brackets, those inside strings too: a refusal too many costs nobody anything."""
    depth = 0
    for bracket in _BRACKETS.findall(line):
        depth += 1 if bracket in b"[{" else -1
        if depth > MAX_DEPTH:
            return True
    return False


def _refuse(constant: str) -> float:
    raise ValueError(f"{constant} is no number in JSON")


def _whole(digits: str) -> int:
    if len(digits) > MAX_DIGITS:
        raise ValueError(f"a whole number has more than {MAX_DIGITS} digits")
    return int(digits)


_NUMBERS: dict[str, Any] = {"parse_constant": _refuse, "parse_int": _whole}


def _refused(id_: int | str | None, name: str, message: str) -> Incoming:
    return Incoming(id_, "", {}, RpcError(name, message))
