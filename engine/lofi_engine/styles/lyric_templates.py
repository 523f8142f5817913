"""Lyrics templates of the vocal styles, filled with lines of our own by a seed."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any

from lofi_engine.errors import StageError
from lofi_engine.styles.lyrics import INSTRUMENTAL_LYRICS
from lofi_runtime.styles.plain_yaml import read_plain_yaml
from lofi_runtime.styles.prompts import draw
from lofi_runtime.styles.taxonomy import Style, shipped_styles
from lofi_runtime.styles.vocabulary import WORDS_FOLDER

LYRICS_NAME = "lyrics.yaml"

_PAIRED = " / "


@dataclass(frozen=True)
class Template:
    """How the lyrics of a style are built.

    Args:
        name: such as "song".
        text: sections with directions in braces.
        language: "en" or "ja", of the lines that fill it.
        sections: its headings in order; none for a template without words.
    """

    name: str
    text: str
    language: str
    sections: tuple[str, ...]


def template_of(style: Style) -> Template:
    """Give the template of a style; one without words of its own is `[Instrumental]`."""
    templates: Mapping[str, Mapping[str, Any]] = _data()["templates"]
    for name, entry in templates.items():
        if style.id in entry["styles"]:
            return _template(name, entry)
    return (
        _template("song", templates["song"])
        if style.vocal
        else Template("instrumental", INSTRUMENTAL_LYRICS, "en", ())
    )


def fill_template(template: Template, seed: int) -> str:
    """Fill a template with lines: verses of two rhyming pairs (AABB), a chorus of one.

    Args:
        template: from `template_of`.
        seed: any integer; equal seeds give equal lyrics.

    Returns:
        Lyrics that `check_lyrics` finds nothing wrong with.
    """
    if not template.sections:
        return template.text
    pairs = _data()["pairs"][template.language]
    verses = _shuffled(pairs["verse"], seed, "verse")
    chorus = _shuffled(pairs["chorus"], seed, "chorus")
    parts = []
    for section in template.sections:
        kind = section.split()[0].lower()
        if kind == "verse":
            lines = [line for pair in verses[:2] for line in pair.split(_PAIRED)]
            verses = verses[2:]
        elif kind == "chorus":
            lines = chorus[0].split(_PAIRED)
        else:
            lines = _shuffled(_data()[f"{kind}s"], seed, kind)[:1]
        parts.append("\n".join([f"[{section}]", *lines]))
    return "\n\n".join(parts)


def _template(name: str, entry: Mapping[str, Any]) -> Template:
    return Template(name, entry["text"].strip(), entry["language"], tuple(entry["sections"]))


def _shuffled(lines: Sequence[Any], seed: int, salt: str) -> list[Any]:
    return sorted(lines, key=lambda line: draw(seed, salt, line))


@cache
def _data() -> Mapping[str, Any]:
    path = shipped_styles() / WORDS_FOLDER / LYRICS_NAME
    content, faults = read_plain_yaml(path.read_text(encoding="utf-8"))
    if faults:
        raise StageError(f"{path.name}:{faults[0]}", hint="install lofi-recipe again")
    return dict(content)
