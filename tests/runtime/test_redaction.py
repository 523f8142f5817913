"""What a user wrote is found in an error's text, whole, quoted or cut, and nothing else goes."""

from __future__ import annotations

import struct

import pytest

from lofi_runtime.redaction import redact
from lofi_runtime.rpc.peer import uid_of_xucred

PROMPT = (
    "a long prompt\nabout the caf\N{LATIN SMALL LETTER E WITH ACUTE} on the corner, in the rain"
)


@pytest.mark.parametrize(
    "quoted", [PROMPT, repr(PROMPT)[1:-1], ascii(PROMPT)[1:-1], PROMPT[:30], repr(PROMPT)[1:40]]
)
def test_a_prompt_is_hidden_however_it_is_quoted(quoted: str) -> None:
    assert redact(f"no: {quoted}... twice: {quoted}!", [PROMPT]) == (
        "no: <prompt>... twice: <prompt>!"
    )


def test_longer_secrets_go_first_and_tiny_ones_stay() -> None:
    assert redact("rain on a roof; rain", ["rain", "rain on a roof", "a", ""]) == (
        "<prompt>; <prompt>"
    )
    assert redact("a track", ["a", " "]) == "a track"


def test_macs_record_of_a_peer_is_read_and_one_of_another_layout_is_nobodys() -> None:
    record = struct.pack("2Ih16I", 0, 501, 2, 20, 12, *[0] * 14)
    assert len(record) == 76
    assert uid_of_xucred(record) == 501
    assert uid_of_xucred(record[:-1]) == -1
    assert uid_of_xucred(struct.pack("I", 1) + record[4:]) == -1
