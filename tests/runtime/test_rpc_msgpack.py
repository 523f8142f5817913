"""msgpack-RPC framing: whole messages out of any pieces, and nothing a hostile peer can grow."""

from __future__ import annotations

import tracemalloc

import msgpack
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lofi_runtime.rpc.messages import FrameError
from lofi_runtime.rpc.msgpack_rpc import MsgpackCodec


def feed(data: bytes) -> list[tuple[int | None, str, dict[str, object]]]:
    return [(item.id, item.method, item.params) for item in MsgpackCodec().feed(data)]


def feed_pieces(codec: MsgpackCodec, pieces: list[bytes]) -> None:
    for piece in pieces:
        for _ in codec.feed(piece):
            pass


@pytest.mark.parametrize("args", [[], [[]], [{}], {}])
def test_an_empty_array_counts_as_an_empty_map(args: object) -> None:
    assert feed(msgpack.packb([0, 7, "ping", args])) == [(7, "ping", {})]


def test_a_notification_has_no_id() -> None:
    assert feed(msgpack.packb([2, "ping", [{"a": 1}]])) == [(None, "ping", {"a": 1})]


def test_messages_come_whole_from_single_bytes() -> None:
    codec = MsgpackCodec()
    data = msgpack.packb([0, 1, "ping", []]) + msgpack.packb([0, 2, "status", []])
    found = [item.method for byte in data for item in codec.feed(bytes([byte]))]
    assert found == ["ping", "status"]


@pytest.mark.parametrize(
    ("frame", "name"),
    [
        ([0, 5, 42, []], "INVALID_REQUEST"),
        ([0, 5, "ping", "text"], "INVALID_PARAMS"),
        ([0, 5, "ping", [{}, {}]], "INVALID_PARAMS"),
        ([0, 5, "ping", [7]], "INVALID_PARAMS"),
        ([0, 5, "ping", [None]], "INVALID_PARAMS"),
    ],
)
def test_what_has_an_id_is_refused_with_it(frame: list[object], name: str) -> None:
    (incoming,) = MsgpackCodec().feed(msgpack.packb(frame))
    assert incoming.id == 5
    assert incoming.problem is not None
    assert incoming.problem.name == name


@pytest.mark.parametrize(
    "frame",
    [
        42,
        "GET / HTTP/1.1",
        {"method": "ping"},
        [],
        [3, 1, "ping", []],
        [0, -1, "ping", []],
        [0, True, "ping", []],
        [0, "one", "ping", []],
        [0, 1, "ping"],
        [1, 1, None, {}],
        [2, 5, []],
        [False, 1, "ping", []],
    ],
)
def test_what_is_no_message_ends_the_connection(frame: object) -> None:
    with pytest.raises(FrameError):
        feed(msgpack.packb(frame))


@pytest.mark.parametrize(
    "data",
    [
        b"\xc1",
        b"\xdd\xff\xff\xff\xff",
        b"\xdf\x00\x10\x00\x00",
        b"\xdb\x7f\xff\xff\xff",
        b"\xc6\x7f\xff\xff\xff",
        b"\xc7\x08\x01" + b"\0" * 8,
        b"\x91" * 5000,
        b"\x94\x00\x01\xa4ping\x91\x81\x01\x02",
    ],
    ids=["reserved", "array", "map", "string", "binary", "extension", "depth", "integer key"],
)
def test_bytes_beyond_the_limits_end_the_connection(data: bytes) -> None:
    # A length alone is only a promise: the limit falls when more comes than the buffer holds.
    codec = MsgpackCodec()
    with pytest.raises(FrameError):
        feed_pieces(codec, [data] + [b"\0" * (1 << 16)] * 17)


def test_megabytes_of_empty_arrays_cost_little_memory() -> None:
    codec = MsgpackCodec()
    tracemalloc.start()
    flood = b"\x94\x00\x01\xa4ping\x91\x81\xa1x" + b"\xdc\x0f\xff" * 20_000
    with pytest.raises(FrameError):
        feed_pieces(codec, [flood] * 128)
    peak_bytes = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak_bytes < 100e6


def test_broken_utf8_costs_the_request_and_not_the_connection() -> None:
    data = b"\x94\x00\x01\xa4ping\x91\x81\xa1x\xa1\xff"
    assert feed(data) == [(1, "ping", {"x": "\udcff"})]
    assert MsgpackCodec().encode_answer(1, {"message": "\udcff"}, None)


@settings(max_examples=300, deadline=None)
@given(st.binary(max_size=200))
def test_any_bytes_give_messages_or_a_frame_error(data: bytes) -> None:
    try:
        for incoming in MsgpackCodec().feed(data):
            assert isinstance(incoming.params, dict)
    except FrameError:
        pass


def test_answers_and_notifications_have_the_protocols_shape() -> None:
    codec = MsgpackCodec()
    assert msgpack.unpackb(codec.encode_answer(3, None, {"a": 1})) == [1, 3, None, {"a": 1}]
    assert msgpack.unpackb(codec.encode_notification("e", {"b": 2})) == [2, "e", [{"b": 2}]]
