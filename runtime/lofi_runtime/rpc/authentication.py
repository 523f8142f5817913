"""Lets a connection in, or answers its first request with why not and ends it.

Both are codecs around a connection's own, so that neither the connection nor any method knows of a
client that is not in yet.
"""

from __future__ import annotations

import asyncio
import hmac
from collections.abc import Iterator
from typing import Any

from lofi_runtime.rpc.errors import RpcError
from lofi_runtime.rpc.messages import Codec, FrameError, Incoming

METHOD = "authenticate"
WITHIN_SEC = 5.0
"""How long a client may take until its first request."""


class RefusingCodec:
    """Answers the first request with one refusal, whatever it asks, and trusts nothing after it.

    Args:
        codec: the connection's.
        refusal: why the client is not let in.
    """

    def __init__(self, codec: Codec, refusal: RpcError) -> None:
        self._codec = codec
        self._refusal = refusal
        self.is_open = False
        """Whether the client is in."""

    def feed(self, data: bytes) -> Iterator[Incoming]:
        """Yield the messages that `data` completes.

        Raises:
            FrameError: as of the codec, and after the refusal.
        """
        for incoming in self._codec.feed(data):
            self.is_open = self.is_open or self._admits(incoming)
            if self.is_open:
                yield incoming
                continue
            if incoming.id is not None:
                yield Incoming(incoming.id, "", {}, self._refusal)
            raise FrameError(self._refusal.name)

    def encode_answer(
        self, id_: int | str | None, error: dict[str, Any] | None, result: dict[str, Any] | None
    ) -> bytes:
        """Encode a response; one of `error` and `result` is None."""
        return self._codec.encode_answer(id_, error, result)

    def encode_notification(self, method: str, params: dict[str, Any]) -> bytes:
        """Encode a notification."""
        return self._codec.encode_notification(method, params)

    def _admits(self, incoming: Incoming) -> bool:
        return False


class AuthenticatingCodec(RefusingCodec):
    """Refuses all but a client whose first request is `authenticate` with the right token.

    Args:
        codec: the connection's.
        token: ASCII.
    """

    def __init__(self, codec: Codec, token: str) -> None:
        refusal = RpcError(
            "AUTHENTICATION_FAILED",
            f"a connection over TCP begins with {METHOD} and the server's token",
            hint="the token is in runtime.tcp.json in the runtime's folder",
        )
        super().__init__(codec, refusal)
        self._token = token.encode("ascii")

    def _admits(self, incoming: Incoming) -> bool:
        token = incoming.params.get("token")
        if incoming.problem is not None or incoming.method != METHOD or not isinstance(token, str):
            return False
        # How long it takes must not tell how much of a guess was right.
        return hmac.compare_digest(token.encode("utf-8", "surrogateescape"), self._token)


def close_unless_in(codec: RefusingCodec, writer: asyncio.StreamWriter) -> asyncio.TimerHandle:
    """End a connection whose client is not in `WITHIN_SEC` from now; returns the timer."""

    def end() -> None:
        if not codec.is_open:
            # Not `close`, which would wait for a client that does not read.
            writer.transport.abort()

    return asyncio.get_running_loop().call_later(WITHIN_SEC, end)
