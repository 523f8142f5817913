"""What any framing turns bytes into, and what a framing must do."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Protocol

from lofi_runtime.rpc.errors import RpcError


class FrameError(Exception):
    """The bytes are no message: nothing after them can be trusted, the connection ends."""


@dataclass(frozen=True)
class Incoming:
    """A request or a notification from a peer.

    Args:
        id: None for a notification, which gets no answer, and where a refused line had none.
        method: as it came.
        params: the map; empty when none was sent.
        problem: set when the message can be answered only with this refusal.
    """

    id: int | str | None
    method: str
    params: dict[str, Any]
    problem: RpcError | None = None

    @property
    def wants_answer(self) -> bool:
        """Whether the peer waits for one, or sent what cannot be told from a request."""
        return self.id is not None or self.problem is not None


class Codec(Protocol):
    """One connection's framing."""

    def feed(self, data: bytes) -> Iterator[Incoming]:
        """Yield the messages that `data` completes.

        Raises:
            FrameError: nothing that follows can be trusted.
        """
        ...

    def encode_answer(
        self, id_: int | str | None, error: dict[str, Any] | None, result: dict[str, Any] | None
    ) -> bytes:
        """Encode a response; one of `error` and `result` is None."""
        ...

    def encode_notification(self, method: str, params: dict[str, Any]) -> bytes:
        """Encode a notification."""
        ...
