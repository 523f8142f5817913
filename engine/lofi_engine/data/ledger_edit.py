"""Changes one entry of a ledger in place; every other byte of the file stays as it was.

Ledgers are kept by hand and in version control, so a change must not reformat them: the text is
edited where the value stands, checked against the schema, and put in place in one rename.
"""

from __future__ import annotations

import contextlib
import json
import os
import re
import shutil
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from filelock import FileLock, Timeout

from lofi_engine.data.ledger import LedgerError, read_ledger
from lofi_runtime.atomic import replacing

LOCK_TIMEOUT_SEC = 10.0
_TRIES = 5
_DECODER = json.JSONDecoder()
_SPACE = re.compile(r"[ \t\r\n]*")


class LedgerChangedError(LedgerError):
    """The entry no longer says what the writer saw; nothing was written."""


@dataclass(frozen=True)
class _Member:
    """A key of a JSON object with the places of its key and value in the text."""

    key: str
    start: int
    value_start: int
    end: int


def update_entry(
    path: Path,
    filename: str,
    changes: Mapping[str, Any],
    *,
    seen: Mapping[str, Any] | None = None,
) -> dict[str, Any]:
    """Change keys of one entry: checked, atomic, one writer at a time.

    Args:
        path: the ledger; a link stays a link.
        filename: the entry's `filename`, as `Entry.filename` gives it.
        changes: new values of the entry's own keys; None takes a key out.
        seen: what the writer believes some keys to be, None for absent ones.

    Returns:
        What the changed keys were, None for those that were not there: give it back as `changes`
        to undo.

    Raises:
        LedgerChangedError: a key is no longer what `seen` says.
        LedgerError: the ledger is wrong or would become so, has no such entry, is held by another
            writer, or cannot be written; it is as it was.
    """
    real = Path(os.path.realpath(path))  # a rename onto a link would make it a file
    with locked_ledger(path):
        for _ in range(_TRIES):
            before = _stamp(real, path.name)
            text, entry = _find(real, path.name, filename)
            _compare(path.name, filename, entry, seen or {})
            old = {key: entry.get(key) for key in changes}
            if old == dict(changes):
                return old
            if _put(real, path.name, _edited(text, filename, changes), before):
                return old
    raise LedgerError([f"ledger {path.name}: somebody else keeps writing it; nothing was changed"])


@contextlib.contextmanager
def locked_ledger(path: Path) -> Iterator[None]:
    """Keep every other writer away from a ledger; a hidden lock file stays beside it.

    Raises:
        LedgerError: another program holds it, or its folder cannot be written.
    """
    real = Path(os.path.realpath(path))
    lock = FileLock(real.with_name(f".{real.name}.lock"), timeout=LOCK_TIMEOUT_SEC)
    try:
        lock.acquire()
    except Timeout:
        told = f"ledger {path.name}: another program is writing it; try again"
        raise LedgerError([told]) from None
    except OSError as error:
        raise LedgerError([f"ledger {path.name}: cannot be written: {error.strerror}"]) from error
    try:
        yield
    finally:
        lock.release()


def _stamp(path: Path, name: str) -> tuple[int, int, int]:
    """Give what tells one version of a file from the next."""
    try:
        status = path.stat()
    except OSError as error:
        raise LedgerError([f"ledger {name}: cannot be read: {error.strerror}"]) from error
    return status.st_mtime_ns, status.st_size, status.st_ino


def _find(path: Path, name: str, filename: str) -> tuple[str, dict[str, Any]]:
    """Give the ledger's text and the entry as it stands there."""
    try:
        text = path.read_bytes().decode("utf-8")
        content = json.loads(text)
        entries = [item for item in content if _called(item) == filename]
        return text, entries[0]
    except OSError as error:
        raise LedgerError([f"ledger {name}: cannot be read: {error.strerror}"]) from error
    except (ValueError, RecursionError, TypeError, AttributeError, KeyError, IndexError) as error:
        read_ledger(path)  # says what is wrong with it
        raise LedgerError([f"ledger {name}: no entry for '{filename}'"]) from error


def _called(item: Mapping[str, Any]) -> str:
    return str(item["filename"]).removeprefix("./")


def _compare(name: str, filename: str, entry: Mapping[str, Any], seen: Mapping[str, Any]) -> None:
    for key, value in seen.items():
        if entry.get(key) != value:
            raise LedgerChangedError(
                [
                    f"ledger {name}: {filename}: {key} was changed meanwhile, "
                    f"it is now {json.dumps(entry.get(key), ensure_ascii=False)}"
                ]
            )


def _put(path: Path, name: str, text: str, before: tuple[int, int, int]) -> bool:
    """Check the new text and put it in place; False where the file changed under our hands."""
    try:
        with replacing(path) as aside:
            aside.write_bytes(_encoded(text, name))
            shutil.copymode(path, aside)
            _check(aside, path, name)
            if _stamp(path, name) != before:
                raise _Outrun
    except _Outrun:
        return False
    except OSError as error:
        raise LedgerError([f"ledger {name}: cannot be written: {error.strerror}"]) from error
    return True


class _Outrun(Exception):  # noqa: N818 - it never leaves this file
    """Somebody wrote the file between our reading and our writing."""


def _encoded(text: str, name: str) -> bytes:
    try:
        return text.encode("utf-8")
    except UnicodeEncodeError as error:
        raise LedgerError([f"ledger {name}: the change holds half a surrogate pair"]) from error


def _check(aside: Path, path: Path, name: str) -> None:
    try:
        read_ledger(aside)
    except LedgerError as error:
        read_ledger(path)  # wrong before the change: that is what to mend
        lines = [line.replace(aside.name, name) for line in error.problems]
        raise LedgerError(lines) from None


def _edited(text: str, filename: str, changes: Mapping[str, Any]) -> str:
    """Write the changes into the text, in the entry's own layout."""
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
    return _called(_DECODER.raw_decode(text, start)[0])


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
