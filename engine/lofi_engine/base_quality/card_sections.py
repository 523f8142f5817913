"""Sections of a base's card that commands write: each replaces its own and leaves the rest."""

from __future__ import annotations

from pathlib import Path

from lofi_engine.errors import StageError
from lofi_runtime.atomic import write_text


def write_section(card: Path, name: str, text: str) -> None:
    """Put a section into a card, in place of the one of that name or at the end.

    Args:
        card: a Markdown file that is there.
        name: marks where the section begins and ends, in comments that pages do not show.
        text: Markdown, its heading included.

    Raises:
        StageError: the card cannot be read, or the section begins and never ends.
        OSError: the card cannot be written.
    """
    begin, end = f"<!-- {name} begins -->", f"<!-- {name} ends -->"
    try:
        whole = card.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise StageError(
            f"{card}: this card cannot be read: {error}", hint="name the README.md of a base"
        ) from error
    before, found, rest = whole.partition(begin)
    _, ended, after = rest.partition(end)
    if found and not ended:
        raise StageError(f"{card}: '{begin}' is there, '{end}' is not", hint="remove the former")
    if not found:
        before, after = whole.rstrip("\n") + "\n\n", "\n"
    write_text(card, f"{before}{begin}\n{text.strip()}\n{end}{after}")
