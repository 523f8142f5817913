"""JSON-RPC framing: lines in, messages out, and nothing a peer sends ends the server."""

from __future__ import annotations

import json
import random

import pytest

from lofi_runtime.rpc.json_rpc import MAX_DEPTH, MAX_LINE_BYTES, JsonCodec


def read(text: str | bytes) -> list:
    data = text.encode() if isinstance(text, str) else text
    return list(JsonCodec().feed(data + b"\n"))


def refusal(text: str | bytes) -> tuple:
    (found,) = read(text)
    assert found.problem is not None
    assert found.wants_answer
    return found.id, found.problem.name


def test_a_request_is_one_object_a_line_however_it_is_cut() -> None:
    line = b'{"jsonrpc":"2.0","id":7,"method":"ping","params":{"a":1}}\n'
    codec = JsonCodec()
    found = [one for byte in line * 2 for one in codec.feed(bytes([byte]))]
    assert [(one.id, one.method, one.params) for one in found] == [(7, "ping", {"a": 1})] * 2


@pytest.mark.parametrize("params", ["", ',"params":[]', ',"params":{}', ',"params":{"seed":null}'])
def test_an_empty_array_and_nulls_are_an_empty_map(params: str) -> None:
    (found,) = read('{"jsonrpc":"2.0","id":1,"method":"ping"' + params + "}")
    assert (found.params, found.problem) == ({}, None)


def test_without_an_id_nothing_is_answered() -> None:
    (found,) = read('{"jsonrpc":"2.0","method":"ping"}')
    assert not found.wants_answer


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ("not json", (None, "PARSE_ERROR")),
        ('{"jsonrpc":"2.0","id":1,"method":"ping","params":{"a":NaN}}', (None, "PARSE_ERROR")),
        ("[1,2]", (None, "INVALID_REQUEST")),
        ("7", (None, "INVALID_REQUEST")),
        ('{"jsonrpc":"2.0","id":[],"method":"ping"}', (None, "INVALID_REQUEST")),
        ('{"jsonrpc":"2.0","id":true,"method":"ping"}', (None, "INVALID_REQUEST")),
        ('{"jsonrpc":"2.0","id":1e99,"method":"ping"}', (None, "INVALID_REQUEST")),
        ('{"id":"a","method":"ping"}', ("a", "INVALID_REQUEST")),
        ('{"jsonrpc":"2.0","id":3,"method":4}', (3, "INVALID_REQUEST")),
        ('{"jsonrpc":"2.0","id":3,"method":"ping","params":[1]}', (3, "INVALID_PARAMS")),
        ("[" * (MAX_DEPTH + 1), (None, "PARSE_ERROR")),
        ("[" * 100_000, (None, "PARSE_ERROR")),
        ("1" * 5000, (None, "PARSE_ERROR")),
    ],
)
def test_what_is_no_request_is_refused_with_its_id_where_it_had_one(text: str, wanted) -> None:
    assert refusal(text) == wanted


def test_a_line_without_an_end_is_not_kept_and_the_next_one_is_read() -> None:
    codec = JsonCodec()
    piece = b"x" * 65536
    for _ in range(100):
        assert list(codec.feed(piece)) == []
        assert len(codec._rest) <= MAX_LINE_BYTES
    found = list(codec.feed(b'\n{"jsonrpc":"2.0","id":1,"method":"ping"}\n'))
    assert [one.problem.name if one.problem else one.method for one in found] == [
        "PARSE_ERROR", "ping",
    ]  # fmt: skip


def test_broken_utf_8_is_kept_so_that_a_prompt_is_refused_by_name() -> None:
    (found,) = read(b'{"jsonrpc":"2.0","id":1,"method":"generate","params":{"prompt":"\xff"}}')
    assert found.params == {"prompt": "\udcff"}
    answer = JsonCodec().encode_answer(1, None, found.params)
    assert json.loads(answer)["result"] == found.params


def test_an_answer_has_a_result_or_an_error_never_both() -> None:
    codec = JsonCodec()
    good, bad = (
        codec.encode_answer("a", None, {"x": 1}),
        codec.encode_answer(None, {"code": 1}, None),
    )
    assert json.loads(good) == {"jsonrpc": "2.0", "id": "a", "result": {"x": 1}}
    assert json.loads(bad) == {"jsonrpc": "2.0", "id": None, "error": {"code": 1}}
    assert good.endswith(b"}\n")


def test_mutated_lines_never_raise_anything() -> None:
    draws = random.Random(5)
    seed = b'{"jsonrpc":"2.0","id":1,"method":"generate","params":{"prompt":"rain","seed":1}}\n'
    codec = JsonCodec()
    for _ in range(3000):
        line = bytearray(seed)
        for _ in range(draws.randrange(1, 8)):
            line[draws.randrange(len(line))] = draws.randrange(256)
        for found in codec.feed(bytes(line)):
            codec.encode_answer(found.id, found.problem.to_wire() if found.problem else None, {})
