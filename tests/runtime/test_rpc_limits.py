"""What a client can cost the server: half messages, strange numbers, answers it never reads."""

from __future__ import annotations

import asyncio
import contextlib
import json
import tracemalloc
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import msgpack
import pytest

from lofi_runtime.rpc import connection
from lofi_runtime.rpc.connection import Answer, Connection, Wishes
from lofi_runtime.rpc.json_rpc import MAX_DIGITS, JsonCodec
from lofi_runtime.rpc.messages import FrameError
from lofi_runtime.rpc.msgpack_rpc import MAX_FRAME_BYTES, MsgpackCodec
from lofi_runtime.rpc.shape import MAX_DEPTH, MAX_ITEMS, is_modest

HALF = b"\x94\x00\x01\xa4ping\x91\x81\xa1x\xdc\x0f\xff" + (b"\xdc\x0f\xff" + b"\x90" * 4000) * 14


def feed_all(codec: MsgpackCodec, pieces: list[bytes]) -> None:
    for piece in pieces:
        list(codec.feed(piece))


def test_half_messages_cost_their_bytes_and_not_the_objects_they_would_become() -> None:
    tracemalloc.start()
    codecs = [MsgpackCodec() for _ in range(100)]
    for codec in codecs:
        assert list(codec.feed(HALF)) == []
    held_bytes = tracemalloc.get_traced_memory()[0]
    tracemalloc.stop()
    assert held_bytes < 4 * 100 * len(HALF)


@pytest.mark.parametrize("piece_bytes", [1000, 1 << 16, 1 << 20])
def test_a_message_beyond_the_limit_is_refused_however_it_comes(piece_bytes: int) -> None:
    data = msgpack.packb([0, 1, "ping", [{"x": ["y" * 1000] * 70}]])
    assert len(data) > MAX_FRAME_BYTES
    pieces = [data[at : at + piece_bytes] for at in range(0, len(data), piece_bytes)]
    codec = MsgpackCodec()
    with pytest.raises(FrameError, match="more than 65536 bytes"):
        feed_all(codec, pieces)


def test_many_messages_at_once_may_be_longer_than_one() -> None:
    data = msgpack.packb([0, 1, "ping", []]) * 20_000
    assert len(data) > MAX_FRAME_BYTES
    assert len(list(MsgpackCodec().feed(data))) == 20_000


def test_nothing_is_kept_between_messages() -> None:
    codec = MsgpackCodec()
    data = msgpack.packb([0, 1, "ping", [{"x": "y" * 60_000}]])
    assert list(codec.feed(data[:50_000])) == []
    assert codec._scanner is not None
    assert len(list(codec.feed(data[50_000:]))) == 1
    assert (codec._scanner, len(codec._rest)) == (None, 0)


def nested(depth: int) -> Any:
    value: Any = []
    for _ in range(depth - 1):
        value = [value]
    return value


@pytest.mark.parametrize(
    ("value", "fits"),
    [
        ({"x": nested(MAX_DEPTH - 1)}, True),
        ({"x": nested(MAX_DEPTH)}, False),
        ([0] * MAX_ITEMS, True),
        ([0] * (MAX_ITEMS + 1), False),
        ([{str(key): 0 for key in range(MAX_ITEMS + 1)}], False),
    ],
)
def test_how_far_parameters_may_nest_and_spread(value: object, fits: bool) -> None:
    assert is_modest(value) is fits


def test_a_thousand_events_that_all_differ_are_refused_and_not_compared() -> None:
    events = [{"a": number} for number in range(1000)]
    frame = msgpack.packb([0, 5, "subscribe", [{"events": events}]])
    line = json.dumps(
        {"jsonrpc": "2.0", "id": 5, "method": "subscribe", "params": {"events": events}}
    )
    for found in (*MsgpackCodec().feed(frame), *JsonCodec().feed(line.encode() + b"\n")):
        assert found.id == 5
        assert found.problem is not None
        assert found.problem.name == "INVALID_PARAMS"
        assert "more than 64 items" in str(found.problem)


def refusal(line: bytes) -> str:
    (found,) = JsonCodec().feed(line + b"\n")
    assert found.problem is not None
    return f"{found.problem.name} {found.problem}"


def test_half_of_a_surrogate_pair_as_id_is_answered() -> None:
    codec = JsonCodec()
    (found,) = codec.feed(b'{"jsonrpc":"2.0","id":"\\ud800","method":"ping"}\n')
    assert (found.id, found.problem) == ("\ud800", None)
    assert json.loads(codec.encode_answer(found.id, None, {}))["id"] == "\ud800"


@pytest.mark.parametrize("digits", [MAX_DIGITS + 1, 400, 4301])
def test_a_number_no_float_holds_is_no_json_of_ours(digits: int) -> None:
    number = b"1" * digits
    told = refusal(b'{"jsonrpc":"2.0","id":1,"method":"ping","params":{"a":' + number + b"}}")
    assert told.startswith("PARSE_ERROR")
    assert "more than 20 digits" in told


class Peer:
    """A server's `Connection` and the streams of its client, over a real socket."""

    def __init__(
        self, client: Connection, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        self.client = client
        self.reader = reader
        self.writer = writer

    async def frames(self, count: int) -> list[Any]:
        unpacker = msgpack.Unpacker(raw=False, max_buffer_size=1 << 26)
        found: list[Any] = []
        while len(found) < count:
            unpacker.feed(await asyncio.wait_for(self.reader.read(1 << 20), 5))
            found += unpacker
        return found


def with_peer(tmp_path: Path, answer_bytes: int, work: Callable[[Peer], Awaitable[None]]) -> None:
    """Run `work` beside a connection whose every answer has so many bytes."""

    def dispatch(_client: Connection, _method: str, _params: dict[str, Any]) -> Answer:
        return Answer({"x": "y" * answer_bytes})

    async def main() -> None:
        made: asyncio.Future[Connection] = asyncio.get_running_loop().create_future()

        async def accept(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            wishes = Wishes("all", frozenset({"told", "generation_progress"}))
            made.set_result(Connection(1, reader, writer, MsgpackCodec(), dispatch, wishes))
            await made.result().serve()

        server = await asyncio.start_unix_server(accept, tmp_path / "s")
        reader, writer = await asyncio.open_unix_connection(tmp_path / "s")
        try:
            await work(Peer(await made, reader, writer))
        finally:
            writer.transport.abort()
            server.close()
            await asyncio.sleep(0.01)

    asyncio.run(asyncio.wait_for(main(), 20))


def unread_bytes(client: Connection) -> int:
    return client._writer.transport.get_write_buffer_size()


def test_a_long_answer_on_its_way_costs_no_notification_and_no_connection(tmp_path: Path) -> None:
    async def work(peer: Peer) -> None:
        peer.reader._transport.pause_reading()  # type: ignore[attr-defined]
        peer.writer.write(msgpack.packb([0, 1, "long", []]))
        while unread_bytes(peer.client) < 5_000_000:
            await asyncio.sleep(0.01)
        peer.client.notify("generation_progress", {"percent": 1})
        peer.client.notify("told", {})
        peer.reader._transport.resume_reading()  # type: ignore[attr-defined]
        answer, progress, told = await peer.frames(3)
        assert (answer[1], len(answer[3]["x"])) == (1, 9_000_000)
        assert (progress[1], told[1]) == ("generation_progress", "told")

    with_peer(tmp_path, 9_000_000, work)


def test_a_client_that_never_reads_loses_progress_then_its_connection(tmp_path: Path) -> None:
    async def work(peer: Peer) -> None:
        peer.reader._transport.pause_reading()  # type: ignore[attr-defined]
        most_bytes = 0
        for _ in range(20_000):
            peer.client.notify("generation_progress", {"text": "x" * 100})
            most_bytes = max(most_bytes, unread_bytes(peer.client))
        assert 0 < most_bytes <= connection.LOSSY_ABOVE_BYTES + 200
        while not peer.client._writer.is_closing():
            peer.client.notify("told", {"text": "x" * 100})
            most_bytes = max(most_bytes, unread_bytes(peer.client))
        assert most_bytes <= connection.CLOSE_ABOVE_BYTES + 200

    with_peer(tmp_path, 10, work)


def test_who_hangs_up_half_way_and_never_reads_is_let_go(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(connection, "LINGER_SEC", 0.1)

    async def work(peer: Peer) -> None:
        peer.reader._transport.pause_reading()  # type: ignore[attr-defined]
        peer.client.notify("told", {"text": "x" * 1_000_000})
        peer.writer.write_eof()
        while not peer.client._writer.is_closing():
            await asyncio.sleep(0.01)
        assert unread_bytes(peer.client) > 0
        while unread_bytes(peer.client):
            await asyncio.sleep(0.01)
        with contextlib.suppress(ConnectionError, TimeoutError):
            await asyncio.wait_for(peer.client._writer.wait_closed(), 5)

    with_peer(tmp_path, 10, work)
