"""Changes a ledger in place: one entry, or new ones; every other byte stays as it was.

Ledgers are kept by hand and in version control, so a change must not reformat them: the text is
edited where the value stands, checked against the schema, and put in place in one rename.
"""

from __future__ import annotations

import contextlib
import json
import os
import shutil
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from filelock import FileLock, Timeout

from lofi_engine.data.ledger import LedgerError, read_ledger
from lofi_engine.data.ledger_text import called, with_changes, with_rows
from lofi_runtime.atomic import replacing

LOCK_TIMEOUT_SEC = 10.0
_TRIES = 5


class LedgerChangedError(LedgerError):
    """The entry no longer says what the writer saw; nothing was written."""


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
    old: dict[str, Any] = {}

    def change(text: str) -> str | None:
        nonlocal old
        entry = _find(path, text, filename)
        _compare(path.name, filename, entry, seen or {})
        old = {key: entry.get(key) for key in changes}
        return None if old == dict(changes) else with_changes(text, filename, changes)

    _rewrite(path, change)
    return old


def append_entries(path: Path, rows: Sequence[Mapping[str, Any]]) -> None:
    """Write entries behind those of a ledger: checked, atomic, one writer at a time.

    Args:
        path: the ledger; a link stays a link.
        rows: whole entries; one whose `filename` has an entry by now is left out.

    Raises:
        LedgerError: the ledger is wrong or would become so, is held by another writer, or cannot
            be written; it is as it was.
    """

    def change(text: str) -> str | None:
        known = {called(item) for item in json.loads(text)}
        new = [row for row in rows if called(row) not in known]
        return with_rows(text, new) if new else None

    _rewrite(path, change)


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


def _rewrite(path: Path, change: Callable[[str], str | None]) -> None:
    """Put a ledger's changed text in place; `change` gives None where nothing is to be done.

    It is asked again where somebody without the lock writes meanwhile.
    """
    real = Path(os.path.realpath(path))  # a rename onto a link would make it a file
    with locked_ledger(path):
        for _ in range(_TRIES):
            before = _stamp(real, path.name)
            try:
                changed = change(_text(real, path.name))
            except (ValueError, RecursionError, TypeError, AttributeError, KeyError):
                read_ledger(real)  # says what is wrong with it; else it was mended meanwhile
                continue
            if changed is None or _put(real, path.name, changed, before):
                return
    raise LedgerError([f"ledger {path.name}: somebody else keeps writing it; nothing was changed"])


def _text(path: Path, name: str) -> str:
    try:
        return path.read_bytes().decode("utf-8")
    except OSError as error:
        raise LedgerError([f"ledger {name}: cannot be read: {error.strerror}"]) from error


def _stamp(path: Path, name: str) -> tuple[int, int, int]:
    """Give what tells one version of a file from the next."""
    try:
        status = path.stat()
    except OSError as error:
        raise LedgerError([f"ledger {name}: cannot be read: {error.strerror}"]) from error
    return status.st_mtime_ns, status.st_size, status.st_ino


def _find(path: Path, text: str, filename: str) -> dict[str, Any]:
    """Give the entry as it stands in the text."""
    for item in json.loads(text):
        if called(item) == filename:
            entry: dict[str, Any] = item
            return entry
    raise LedgerError([f"ledger {path.name}: no entry for '{filename}'"])


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
