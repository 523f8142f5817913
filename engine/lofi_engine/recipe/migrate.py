"""Brings the text of an older recipe up to the current format, keeping comments and layout."""

from __future__ import annotations

from collections.abc import Sequence

from lofi_engine.recipe.document import Document, parse_document
from lofi_engine.recipe.migrations import MIGRATIONS, Edit
from lofi_engine.recipe.version import FORMAT, format_of


def migrate_text(text: str, file: str = "recipe") -> tuple[str, list[str]]:
    """Return the recipe's text in the current format, and each change in words.

    A recipe that is current already comes back as it is, with no changes.

    Args:
        text: the recipe as written.
        file: what messages call it.

    Raises:
        RecipeError: it is no recipe, is newer than this program, or holds what no migration can
            translate; each line says where.
    """
    changes: list[str] = []
    while True:
        document = _sound(parse_document(text, file))
        version = format_of(document)
        if version == FORMAT:
            return text, changes
        edits = MIGRATIONS[version](document)
        text = apply(text, edits)
        changes += [edit.change for edit in sorted(edits) if edit.change]


def apply(text: str, edits: Sequence[Edit]) -> str:
    """Make the edits, which must not overlap, from the end of the text to its beginning."""
    for edit in sorted(edits, reverse=True):
        text = text[: edit.start] + edit.text + text[edit.end :]
    return text


def _sound(document: Document) -> Document:
    if document.problems:
        raise document.error(document.problems)
    return document
