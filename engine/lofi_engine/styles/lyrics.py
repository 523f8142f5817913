"""Lyrics files: what they may hold and how they are tidied."""

from __future__ import annotations

import unicodedata

from lofi_runtime.pipeline.lyrics import is_instrumental

INSTRUMENTAL_LYRICS = "[Instrumental]"
"""What a track without words has in its lyrics file."""


WORDLESS = frozenset(
    (
        *("instrumental", "chopped vocals", "humming", "wordless vocals"),
        *("female vocal sample", "male vocal sample"),
    )
)
"""Vocal types that sing no words: a track of them needs no lyrics."""


def tidy_lyrics(text: str) -> str:
    """Tidy a lyrics text: composed Unicode, no trailing spaces, one empty line between sections.

    Args:
        text: as read from a file.

    Returns:
        The text without leading or trailing empty lines, or `[Instrumental]` for no words.
    """
    if is_instrumental(text):
        return INSTRUMENTAL_LYRICS
    lines: list[str] = []
    for line in unicodedata.normalize("NFC", text).splitlines():
        stripped = line.strip()
        if stripped or (lines and lines[-1]):
            lines.append(stripped)
    return "\n".join(lines).strip()
