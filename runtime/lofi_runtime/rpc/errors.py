"""The protocol's error codes, stated once, and the exception that carries one.

A leaf: anything in the runtime may raise `RpcError` to say which code a refusal has.
"""

from __future__ import annotations

from typing import Any

from lofi_runtime.errors import LofiError

CODES: dict[str, int] = {
    "PARSE_ERROR": -32700,
    "INVALID_REQUEST": -32600,
    "METHOD_NOT_FOUND": -32601,
    "INVALID_PARAMS": -32602,
    "INTERNAL_ERROR": -32603,
    "MODEL_NOT_FOUND": -32000,
    "MODEL_LOAD_FAILED": -32001,
    "MODEL_DOWNLOAD_FAILED": -32002,
    "MODEL_INFERENCE_FAILED": -32003,
    "QUEUE_FULL": -32004,
    "INVALID_DURATION": -32005,
    "INVALID_PROMPT": -32006,
    "INVALID_BACKEND": -32007,
    "BACKEND_NOT_INSTALLED": -32008,
    "INVALID_INFERENCE_STEPS": -32009,
    "INVALID_GUIDANCE_SCALE": -32010,
    "INVALID_SCHEDULER": -32011,
    "GENERATION_CANCELLED": -32020,
    "INVALID_TRACK_ID": -32021,
    "INVALID_STYLE": -32022,
    "ALREADY_COMPLETE": -32023,
    "AUDIO_DEVICE_ERROR": -32024,
    "AUDIO_PLAYBACK_ERROR": -32025,
    "CACHE_WRITE_ERROR": -32026,
    "AUTHENTICATION_FAILED": -32027,
    "TOO_MANY_CLIENTS": -32028,
    "INVALID_EDIT": -32029,
}
"""Error name to number; names are what notifications and `data.error_code` carry."""


class RpcError(LofiError):
    """A request refused, or a track that failed, with the protocol's name for why.

    Args:
        name: a key of `CODES`.
        message: a sentence naming the parameter or track, the value and the limits.
        hint: what to do about it; travels as `data.details`.
    """

    def __init__(self, name: str, message: str, *, hint: str = "") -> None:
        super().__init__(message, hint=hint)
        self.name = name
        self.code = CODES[name]

    def to_wire(self) -> dict[str, Any]:
        """Return `{code, message, data: {error_code, details}}` as both codecs send it."""
        data = {"error_code": self.name}
        if self.hint:
            data["details"] = self.hint
        return {"code": self.code, "message": self.message, "data": data}
