"""A full tag prompt from a short request: a style that suits it, and the tags it names.

A language model may stand behind the same `Writer` one day; this one needs none, and gives the same
prompt for the same request and seed on every machine.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Protocol

from lofi_runtime.styles.prompts import MAX_PROMPT_BYTES, Heard, draw, write_prompt
from lofi_runtime.styles.taxonomy import INSTRUMENTAL, Style
from lofi_runtime.styles.vocabulary import fold, load_vocabulary

LONGEST_TAG_WORDS = 4
NAME_POINTS, ALWAYS_POINTS, TAG_POINTS, TOLD_POINTS = 5, 3, 2, 1
"""What a word of the request is worth where a style's name, its `always` tags, its other tags, or
its description and examples have it."""

_WORD = re.compile(r"[^\W_]+(?:['&#][^\W_]+)*")
_BPM = re.compile(r"([0-9]{2,3})(?:\.[0-9]+)? ?bpm", re.IGNORECASE)
_COMMON = frozenset({
    "a", "an", "and", "at", "by", "for", "in", "of", "on", "some", "the", "to", "with",
    "lofi", "lo", "fi", "music", "beat", "beats", "song", "track",
})  # fmt: skip
"""Words that say nothing of a style."""


@dataclass(frozen=True)
class Written:
    """What was made of a request.

    Args:
        prompt: tags separated by ", ", at most `MAX_PROMPT_BYTES`.
        style: the id of the style it is of.
    """

    prompt: str
    style: str


class Writer(Protocol):
    """Turns a short request into a full prompt."""

    def write(self, request: str, seed: int, style: Style | None = None) -> Written:
        """Write a prompt.

        Args:
            request: as a person types it.
            seed: any integer; equal requests and seeds give equal prompts.
            style: which style it is to be; None chooses one.
        """
        ...


class TaxonomyWriter:
    """Writes by the taxonomy alone.

    Args:
        styles: by id, in the taxonomy's order.
    """

    def __init__(self, styles: Mapping[str, Style]) -> None:
        self._styles = styles

    def write(self, request: str, seed: int, style: Style | None = None) -> Written:
        """Write a prompt; see `Writer`. Tags the request names are in it, whatever the style."""
        chosen = style or self._suiting(request, seed)
        bpm = _BPM.search(request)
        heard = Heard(
            tempo_bpm=float(bpm[1]) if bpm else None, tags=tuple(_named_tags(request, chosen))
        )
        prompt = write_prompt(chosen, seed, heard)
        while len(prompt.encode()) > MAX_PROMPT_BYTES:
            prompt = prompt.rpartition(", ")[0]
        return Written(prompt, chosen.id)

    def _suiting(self, request: str, seed: int) -> Style:
        """Choose the style that shares most with the request; among equals the seed draws."""
        asked = _words(request)
        sings = bool(asked & {"vocal", "vocals", "voice", "singing", "sung", "choir"})
        points = {name: _points(style, asked) for name, style in self._styles.items()}
        best = max(points.values())
        # A voice is nothing a request gets without a word of it.
        equal = [
            style
            for name, style in self._styles.items()
            if points[name] == best and (best > 0 or style.vocal is sings)
        ]
        return equal[draw(seed, "style", request) % len(equal)]


def _points(style: Style, asked: frozenset[str]) -> int:
    if style.id.lower() in asked:
        return 1000
    named, fixed = _words(style.name), _words(" ".join(style.always))
    tagged = _words(" ".join(tag for tags in style.tags.values() for tag in tags))
    told = _words(" ".join((style.description, style.season, *style.examples)))
    return (
        NAME_POINTS * len(asked & named)
        + ALWAYS_POINTS * len(asked & fixed)
        + TAG_POINTS * len(asked & tagged)
        + TOLD_POINTS * len(asked & told)
    )


def _named_tags(request: str, style: Style) -> Iterator[str]:
    """Find the vocabulary's tags in the request, the longest first; tempos are left to others."""
    words = load_vocabulary().with_styles([style])
    for part in re.split(r"[,;.\n]+", request):
        rest = _WORD.findall(part)
        while rest:
            for length in range(min(LONGEST_TAG_WORDS, len(rest)), 0, -1):
                found = words.meaning(" ".join(rest[:length]))
                if found and found.bpm is None and not found.refused and found.tag != INSTRUMENTAL:
                    yield found.tag
                    break
            rest = rest[max(length, 1) if found else 1 :]


def _words(text: str) -> frozenset[str]:
    """Give the words of a text as they are compared: folded, without the commonest."""
    found = re.findall(r"[^\W_]+(?:-[0-9]{2})?", text.lower())
    folded = {word if "-" in word else fold(word) for word in found}
    return frozenset(word for word in folded if word not in _COMMON)
