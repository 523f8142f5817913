"""One client's connection: reads its requests one after another, writes what it is told.

A request is answered before the next is read, so a client has one in flight and the rest wait in
its socket. A client that does not read what it is sent first loses progress, then its connection.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Protocol

from lofi_runtime.rpc.errors import RpcError
from lofi_runtime.rpc.messages import Codec, FrameError, Incoming

log = logging.getLogger(__name__)

READ_BYTES = 1 << 16
LOSSY_ABOVE_BYTES = 1 << 15
CLOSE_ABOVE_BYTES = 1 << 17
"""Of notifications a client has not read: progress is left out, then the connection ends. With
hundreds of clients that never read, this is what bounds the server's memory."""
LINGER_SEC = 5.0
"""How long a closed connection may take to read what was written before."""
SWALLOW_SEC = 1.0
"""How long a peer that sent what is no message may finish its writing."""
LOSSY_EVENTS = frozenset({"generation_progress", "download_progress", "playback_progress"})


@dataclass(frozen=True)
class Answer:
    """A method's result.

    Args:
        result: the map that is sent.
        then: called once the answer was written; notifications that must follow it.
    """

    result: dict[str, Any]
    then: Callable[[], None] | None = None


class Dispatch(Protocol):
    """Runs a method for a client."""

    def __call__(self, client: Connection, method: str, params: dict[str, Any]) -> Answer:
        """Answer at once; long work is a job with notifications.

        Raises:
            RpcError: the refusal that is sent instead.
        """
        ...


@dataclass
class Wishes:
    """Which notifications a client wants.

    Args:
        tracks: "own", "all" or "none".
        events: kinds.
    """

    tracks: str = "own"
    events: frozenset[str] = field(default_factory=frozenset)


class Connection:
    """A connected client.

    Args:
        number: its id; never used twice.
        reader: what it sends.
        writer: to it.
        codec: its framing.
        dispatch: runs its requests.
        wishes: what it gets before it subscribes.
    """

    def __init__(
        self,
        number: int,
        reader: asyncio.StreamReader,
        writer: asyncio.StreamWriter,
        codec: Codec,
        dispatch: Dispatch,
        wishes: Wishes,
    ) -> None:
        self.number = number
        self.wishes = wishes
        self._reader = reader
        self._writer = writer
        self._dispatch = dispatch
        self._codec = codec
        self._is_closing = False
        self._unread_bytes = 0
        """Of notifications written: at most so many the client has not read."""

    async def serve(self) -> None:
        """Answer until the client leaves or sends what is no message."""
        try:
            while data := await self._reader.read(READ_BYTES):
                for incoming in self._codec.feed(data):
                    self._handle(incoming)
                    await self._writer.drain()
                    # One client's thousand requests must not hold up the others' events.
                    await asyncio.sleep(0)
        except FrameError as error:
            log.warning("client %d: %s; its connection is closed", self.number, error)
            await self._swallow()
        except ConnectionError:
            # The client left while it was written to.
            pass
        finally:
            self.close()

    async def _swallow(self) -> None:
        """Read on for a moment, after what is no message: closing would break the peer's writing.

        A peer that cannot write gives up before it reads the answers to what came before.
        """
        self._is_closing = True
        with contextlib.suppress(ConnectionError, TimeoutError):
            await self._writer.drain()
            if self._writer.can_write_eof():
                self._writer.write_eof()
            async with asyncio.timeout(SWALLOW_SEC):
                while await self._reader.read(READ_BYTES):
                    pass

    def notify(self, event: str, params: dict[str, Any]) -> None:
        """Send a notification, unless the client has stopped reading."""
        if self._is_closing or self._writer.is_closing():
            return
        # A long answer that is still on its way is no sign of a client that does not read.
        unread_bytes = self._writer.transport.get_write_buffer_size()
        self._unread_bytes = min(self._unread_bytes, unread_bytes)
        if self._unread_bytes > CLOSE_ABOVE_BYTES:
            log.warning("client %d does not read; its connection is closed", self.number)
            self._writer.transport.abort()
        elif self._unread_bytes <= LOSSY_ABOVE_BYTES or event not in LOSSY_EVENTS:
            frame = self._codec.encode_notification(event, params)
            self._unread_bytes += len(frame)
            self._writer.write(frame)

    def close(self) -> None:
        """End the connection after what was written is sent, or when nobody reads it."""
        transport = self._writer.transport
        if transport.get_write_buffer_size() and not transport.is_closing():
            asyncio.get_running_loop().call_later(LINGER_SEC, _abort_unread, transport)
        self._writer.close()

    def _handle(self, incoming: Incoming) -> None:
        try:
            if incoming.problem is not None:
                raise incoming.problem
            answer = self._dispatch(self, incoming.method, incoming.params)
        except RpcError as error:
            self._reply(incoming, error.to_wire(), None)
        # The RPC boundary: a bug costs this request, not the server.
        except Exception as error:
            log.exception("method %r failed", incoming.method[:80])
            message = f"{type(error).__name__}: {error}"
            self._reply(incoming, RpcError("INTERNAL_ERROR", message).to_wire(), None)
        else:
            self._reply(incoming, None, answer.result)
            if answer.then is not None:
                answer.then()

    def _reply(
        self, incoming: Incoming, error: dict[str, Any] | None, result: dict[str, Any] | None
    ) -> None:
        if incoming.wants_answer:
            self._writer.write(self._codec.encode_answer(incoming.id, error, result))


def _abort_unread(transport: asyncio.WriteTransport) -> None:
    if transport.get_write_buffer_size():
        transport.abort()
