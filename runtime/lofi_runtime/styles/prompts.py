"""Writes a full tag prompt from a style: the training captions and the prompts people ask with.

The order is the template's: genre, mood, instruments, tempo, production, atmosphere, vocal type.
The same style, seed and findings give the same prompt on every machine and Python: tags are drawn
by hash, so adding a tag to a style changes few of its prompts.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping

from lofi_runtime.styles.taxonomy import CATEGORIES, INSTRUMENTAL, Style

COUNTS: Mapping[str, int] = {
    "genre": 1, "mood": 2, "instruments": 3, "production": 2, "atmosphere": 1, "vocal_type": 1,
}  # fmt: skip
"""How many tags of each category a prompt has; a style's `always` tags may make it more."""

MAX_PROMPT_BYTES = 1_000
SLOW_BELOW_BPM = 70
FAST_ABOVE_BPM = 100
UNKNOWN_GENRE = "lofi"
"""The genre of a track nobody gave a style."""


def expand_style(
    style: Style, seed: int, *, tempo_bpm: float | None = None, vocals: str | None = None
) -> str:
    """Write a prompt for a style.

    Args:
        style: the style.
        seed: any integer; equal seeds give equal prompts.
        tempo_bpm: as found in the sound or wanted; None draws one from the style's range.
        vocals: the vocal type, such as "female vocals"; None draws one of the style's.

    Returns:
        Tags separated by ", ", no tag twice.
    """
    chosen: dict[str, list[str]] = {category: _choose(style, category, seed) for category in COUNTS}
    tempo = _draw_tempo(style, seed) if tempo_bpm is None else tempo_bpm
    chosen["tempo"] = tempo_tags(tempo)
    if vocals is not None:
        chosen["vocal_type"] = [vocals]
    return join_tags(tag for category in CATEGORIES for tag in chosen[category])


def style_tags(style: Style, prompt: str, seed: int) -> str:
    """Give what a style adds to a prompt: tags in the template's order, tempo left to the prompt.

    Args:
        style: the style.
        prompt: tags it already has are left out; together they stay within `MAX_PROMPT_BYTES`.
        seed: any integer; equal seeds draw equal tags.
    """
    told = {tag.strip().lower() for tag in prompt.split(",")}
    added: list[str] = []
    for category in COUNTS:
        for tag in _choose(style, category, seed):
            together = join_tags([prompt, *added, tag])
            if tag.lower() not in told and len(together.encode()) <= MAX_PROMPT_BYTES:
                added.append(tag)
                told.add(tag.lower())
    return join_tags(added)


def typical_tags(style: Style) -> str:
    """Give a style's tags without chance: what it always has, then the most typical, no tempo."""
    return join_tags(tag for category in COUNTS for tag in _choose(style, category, None))


def describe_unknown(tempo_bpm: float, *, vocals: str | None = None) -> str:
    """Write the little that is known of a track without a style: tempo and voice."""
    return join_tags([UNKNOWN_GENRE, *tempo_tags(tempo_bpm), vocals or INSTRUMENTAL])


def tempo_tags(tempo_bpm: float) -> list[str]:
    """Give the tempo's tags: the number, and a word where it is far from the middle."""
    if tempo_bpm <= 0:
        return []
    bpm = round(tempo_bpm)
    if bpm < SLOW_BELOW_BPM:
        return ["slow tempo", f"{bpm} bpm"]
    return ["uptempo", f"{bpm} bpm"] if bpm > FAST_ABOVE_BPM else [f"{bpm} bpm"]


def join_tags(tags: object) -> str:
    """Join tags with ", ", each once, trimmed, empty ones left out.

    Args:
        tags: an iterable of tags, or one text with commas.
    """
    parts = tags.split(",") if isinstance(tags, str) else list(tags)  # type: ignore[call-overload]
    trimmed = (" ".join(str(tag).split()) for tag in parts)
    return ", ".join(dict.fromkeys(tag for tag in trimmed if tag))


def _choose(style: Style, category: str, seed: int | None) -> list[str]:
    """Choose a category's tags: at random by `seed`, or the first ones listed for None."""
    tags = style.tags[category]
    fixed = [tag for tag in tags if tag in style.always]
    others = [tag for tag in tags if tag not in fixed]
    if seed is not None:
        others.sort(key=lambda tag: draw(seed, style.id, category, tag))
    picked = {*fixed, *others[: max(0, COUNTS[category] - len(fixed))]}
    return [tag for tag in tags if tag in picked]


def _draw_tempo(style: Style, seed: int) -> int:
    low, high = style.tempo_bpm
    return low + draw(seed, style.id, "tempo") % (high - low + 1)


def draw(*parts: object) -> int:
    """Draw a number below 2**64 that depends on nothing but `parts`, on any machine."""
    text = "\x1f".join(str(part) for part in parts)
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:8], "big")
