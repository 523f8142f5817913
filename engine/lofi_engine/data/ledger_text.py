"""Edits a ledger's text where a value stands; every other character stays as it was.

The text is a JSON list of objects that has been read once: nothing is checked here.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

_DECODER = json.JSONDecoder()
_SPACE = re.compile(r"[ \t\r\n]*")


@dataclass(frozen=True)
class _Member:
    """A key of a JSON object with the places of its key and value in the text."""

    key: str
    start: int
    value_start: int
    end: int


def called(item: Mapping[str, Any]) -> str:
    """Give an entry's `filename` as `Entry.filename` has it."""
    return str(item["filename"]).removeprefix("./")


def with_rows(text: str, rows: Sequence[Mapping[str, Any]]) -> str:
    """Write rows behind the last one, in lines of their own."""
    written = json.dumps(list(rows), indent=2, ensure_ascii=False)[1:] + "\n"  # no opening bracket
    if "\r\n" in text:
        written = written.replace("\n", "\r\n")
    before = text.rstrip().removesuffix("]").rstrip()
    return before + ("" if before.endswith("[") else ",") + written


def with_changes(text: str, filename: str, changes: Mapping[str, Any]) -> str:
    """Write changes of one entry's keys, in the entry's own layout; None takes a key out."""
    for key, value in changes.items():
        start = next(at for at in _elements(text) if _called_at(text, at) == filename)
        members = list(_members(text, start))
        mine = [member for member in members if member.key == key]
        if value is None:
            text = _without(text, members, mine)
        elif mine:
            text = _replaced(text, start, members, mine[-1], value)
        else:
            text = _appended(text, start, members, key, value)
    return text


def _called_at(text: str, start: int) -> str:
    return called(_DECODER.raw_decode(text, start)[0])


def _replaced(text: str, start: int, members: list[_Member], member: _Member, value: Any) -> str:
    old = text[member.value_start : member.end]
    one_line = "\n" not in old and len(old) > len("{}")
    written = _written(text, start, members, value, one_line=one_line)
    return text[: member.value_start] + written + text[member.end :]


def _appended(text: str, start: int, members: list[_Member], key: str, value: Any) -> str:
    last = members[-1]
    between = text[members[-2].end : last.start] if len(members) > 1 else ", "
    colon = re.search(r'"(\s*:\s*)\Z', text[last.start : last.value_start])
    written = _written(text, start, members, value)
    name = json.dumps(key, ensure_ascii=False) + (colon.group(1) if colon else ": ")
    return text[: last.end] + between + name + written + text[last.end :]


def _without(text: str, members: list[_Member], mine: list[_Member]) -> str:
    for member in reversed(mine):
        at = members.index(member)
        if at:
            text = text[: members[at - 1].end] + text[member.end :]
        elif len(members) > 1:
            text = text[: member.start] + text[members[1].start :]
    return text


def _written(
    text: str, start: int, members: list[_Member], value: Any, *, one_line: bool = False
) -> str:
    """Write a value as the entry around it is laid out."""
    lead = text[start + 1 : members[0].start]
    if one_line or "\n" not in lead:
        return json.dumps(value, ensure_ascii=False, allow_nan=False)
    inner = lead.rpartition("\n")[2]
    outer = text[text.rfind("\n", 0, start) + 1 : start]
    step = inner.removeprefix(outer) if not outer.strip() else ""
    lines = json.dumps(value, ensure_ascii=False, allow_nan=False, indent=step or 2).split("\n")
    newline = "\r\n" if "\r\n" in lead else "\n"
    return f"{newline}{inner}".join(lines)


def _elements(text: str) -> Iterator[int]:
    """Give where each element of the text's list begins."""
    at = _skip(text, _skip(text, 0) + 1)
    while text[at] != "]":
        yield at
        at = _skip(text, _DECODER.raw_decode(text, at)[1])
        if text[at] == ",":
            at = _skip(text, at + 1)


def _members(text: str, start: int) -> Iterator[_Member]:
    """Give the members of the object that begins at `start`."""
    at = _skip(text, start + 1)
    while text[at] != "}":
        key, end = _DECODER.raw_decode(text, at)
        value_start = _skip(text, _skip(text, end) + 1)
        value_end = _DECODER.raw_decode(text, value_start)[1]
        yield _Member(key, at, value_start, value_end)
        at = _skip(text, value_end)
        if text[at] == ",":
            at = _skip(text, at + 1)


def _skip(text: str, at: int) -> int:
    space = _SPACE.match(text, at)
    return space.end() if space else at
