"""Frames no client should send: mutated, nested, huge, of wrong types, in both codecs."""

from __future__ import annotations

import json
import random
from collections.abc import Callable
from typing import Any

import msgpack

TRACK_ID = "0123456789abcdef"
REQUESTS: tuple[tuple[str, dict[str, Any]], ...] = (
    ("ping", {}),
    ("status", {}),
    ("queue_status", {}),
    ("queue_clear", {}),
    ("capabilities", {}),
    ("cache_stats", {}),
    ("cache_list", {"limit": 3}),
    ("cache_delete", {"track_id": TRACK_ID}),
    ("cancel", {"track_id": TRACK_ID}),
    ("styles", {}),
    ("subscribe", {"tracks": "all", "events": ["generation_start", "generation_error"]}),
    (
        "generate",
        {
            "prompt": "rain", "duration_sec": 5, "lyrics": "la la", "style": "CORE-01", "seed": 7,
            "priority": "high", "backend": "procedural", "precision": "auto",
            "inference_steps": 2, "scheduler": "euler", "guidance_scale": 3.5,
        },
    ),
)  # fmt: skip
"""What is valid to begin with; `shutdown` is not among them."""
METHODS = ("", "Ping", "rpc.discover", "ping\0", "x" * 70_000, "\ud800", "é", "__class__")
NUMBERS = (
    float("nan"), float("inf"), float("-inf"), -0.0, 1e308, 5e-324, 0, -1, 2**31, 2**53, 2**63 - 1,
    2**63, 2**64 - 1, -(2**63),
)  # fmt: skip
HUGE_NUMBERS = (10**400, -(10**4000))
"""JSON alone has them."""


def value(dice: random.Random, depth: int = 3) -> Any:
    """Draw anything a codec can write."""
    plain: list[Callable[[], Any]] = [
        lambda: None,
        lambda: dice.random() < 0.5,
        lambda: dice.choice(NUMBERS),
        lambda: dice.randint(-300, 70_000),
        lambda: dice.choice(
            ("", "\0", "auto", "high", "CORE-01", TRACK_ID, "\ud800", "\U0001f3b9")
        ),
        lambda: chr(dice.randrange(0xD7FF)) * dice.choice((1, 20, 999, 1001, 20_000)),
    ]
    if depth:
        plain += [
            lambda: [value(dice, depth - 1) for _ in range(dice.choice((0, 1, 2, 5)))],
            lambda: {word(dice): value(dice, depth - 1) for _ in range(dice.choice((0, 1, 3)))},
            lambda: [{"a": number} for number in range(dice.choice((33, 65, 2000)))],
        ]
    return dice.choice(plain)()


def word(dice: random.Random) -> str:
    """Draw a key."""
    return dice.choice(("prompt", "seed", "tracks", "events", "limit", "", "a" * 5000, "\0", "é"))


def request(dice: random.Random) -> tuple[Any, Any, Any]:
    """Draw an id, a method and parameters of which something may be wrong."""
    method, params = dice.choice(REQUESTS)
    wrong: Any = dict(params)
    id_: Any = dice.randrange(1000)
    name: Any = method
    match dice.randrange(8):
        case 0:
            id_ = value(dice, 1)
        case 1:
            name = dice.choice((value(dice, 1), *METHODS))
        case 2:
            wrong = value(dice)
        case 3:
            wrong[word(dice)] = value(dice)
        case _:
            for key in wrong:
                if dice.random() < 0.4:
                    wrong[key] = value(dice)
    return id_, name, wrong


def mutated(dice: random.Random, data: bytes) -> bytes:
    """Change, drop, double or insert a few bytes."""
    changed = bytearray(data)
    for _ in range(dice.randint(1, 4)):
        at = dice.randrange(len(changed)) if changed else 0
        match dice.randrange(5):
            case 0 if changed:
                changed[at] ^= 1 << dice.randrange(8)
            case 1:
                changed.insert(at, dice.choice((0, 0xFF, 0xC1, 0x22, dice.randrange(256))))
            case 2:
                del changed[at : at + dice.randint(1, 5)]
            case 3:
                changed[at:at] = changed[at : at + dice.randint(1, 40)]
            case _:
                del changed[at:]
    return bytes(changed)


def msgpack_frame(dice: random.Random) -> bytes:
    """Draw a frame for the socket."""
    id_, method, params = request(dice)
    frame: list[Any] = [0, id_, method, [params]]
    good = _packed(frame)
    match dice.randrange(10):
        case 0:
            return dice.randbytes(dice.randint(1, 200))
        case 1:
            head = b"\x94\x00\x01\xa4ping"
            return head + dice.choice((b"\x91", b"\x81\xa1a")) * dice.choice((5, 33, 600, 3000))
        case 2:
            head = dice.choice((b"\xdd", b"\xdf", b"\xdb", b"\xc6", b"\xc9", b"\xdc", b"\xde"))
            return b"\x94\x00\x02" + head + dice.choice((b"\x7f", b"\xff")) * 4 + b"\x90" * 50
        case 3:
            items = [dice.choice((0, 1, 2, 3, None, True, "x")), *frame[1:], value(dice)]
            return _packed(items[: dice.randint(0, 5)])
        case 4:
            return _packed([2, method, [params]])
        case 5:
            lyrics = b"\xda\x27\x10" + dice.randbytes(10_000)
            return b"\x94\x00\x05\xa8generate\x91\x81\xa6lyrics" + lyrics
        case 6 if dice.random() < 0.1:
            return _packed([0, 6, "ping", [{"x": ["\0" * 1000] * dice.choice((60, 70, 300))}]])
        case 7 | 8:
            return good
    return mutated(dice, good)


def _packed(frame: Any) -> bytes:
    packed: bytes = msgpack.packb(frame, unicode_errors="surrogatepass")
    return packed


def json_line(dice: random.Random) -> bytes:
    """Draw a line for the pipe, its end included."""
    id_, method, params = request(dice)
    frame = {"jsonrpc": "2.0", "id": id_, "method": method, "params": params}
    if dice.random() < 0.1:
        frame["params"] = {"prompt": "rain", "guidance_scale": dice.choice(HUGE_NUMBERS)}
        frame["method"] = "generate"
    if dice.random() < 0.1:
        frame["id"] = dice.choice(HUGE_NUMBERS[:2])
    if isinstance(params, dict):
        params.pop("backend", None)  # the daemon knows others
    good = json.dumps(frame, ensure_ascii=dice.random() < 0.5).encode("utf-8", "surrogatepass")
    match dice.randrange(8):
        case 0:
            line = dice.randbytes(dice.randint(0, 200))
        case 1:
            opener = dice.choice(("[", '{"a":', "[{}," * 3))
            line = (opener * dice.choice((5, 33, 5000))).encode()
        case 2:
            del frame[dice.choice(list(frame))]
            line = json.dumps(frame).encode()
        case 3 if dice.random() < 0.05:
            line = good + b" " * dice.choice((100, 270_000, 600_000))
        case 4 if dice.random() < 0.2:
            line = good.replace(b"7", b"1" * 5000)
        case 4 | 5:
            line = good
        case _:
            line = mutated(dice, good)
    return line + dice.choice((b"\n", b"\n", b"\r\n", b"\0\n"))
