"""Finds styles by words, and draws a style for people and programs."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import asdict
from typing import Any

from lofi_runtime.styles.taxonomy import CATEGORIES, Style
from lofi_runtime.styles.vocabulary import VOCAL_CATEGORIES, Vocabulary, fold

_NAME, _TAG, _TEXT = 4, 2, 1  # what a hit in each is worth


def search_styles(
    styles: Iterable[Style], words: str, vocabulary: Vocabulary | None = None
) -> list[Style]:
    """Find the styles every word fits, the best first.

    Args:
        styles: the taxonomy.
        words: one or more; each must be found in the id, the name, the description, the season,
            a tag or an example.
        vocabulary: with it, a synonym finds its tag too ("café" finds "coffee shop").

    Returns:
        Styles by how well they fit, equal ones in their order; all of them for no words.
    """
    wanted = fold(words).split()
    known = vocabulary.word(words) if vocabulary is not None else None
    scored = []
    for number, style in enumerate(styles):
        score = _score(style, wanted)
        if known is not None:
            score = max(score, _score(style, fold(known.tag).split()))
        if score or not wanted:
            scored.append((-score, number, style))
    return [style for _, _, style in sorted(scored, key=lambda entry: entry[:2])]


def style_facts(style: Style) -> dict[str, Any]:
    """Give a style as plain values, for JSON."""
    facts = asdict(style)
    facts["tags"] = {category: list(tags) for category, tags in style.tags.items()}
    return facts


def style_lines(style: Style) -> list[str]:
    """Draw a style for a terminal: a key and its values a line, then its examples."""
    low, high = style.tempo_bpm
    rows: dict[str, str] = {"": style.description, "tempo": f"{low}-{high} bpm"}
    rows["modes"] = ", ".join(style.modes)
    if style.season:
        rows["season"] = f"{style.season} ({months(style)})"
    rows |= {name: ", ".join(tags) for name, tags in tag_rows(style).items()}
    width = max(len(name) for name in rows)
    lines = [f"{style.id}  {style.name}  ({style.group})"]
    lines += [
        f"  {name:<{width}}  {value}" if name else f"  {value}" for name, value in rows.items()
    ]
    return [*lines, *(f"  e.g. {example}" for example in style.examples)]


def tag_rows(style: Style) -> Mapping[str, tuple[str, ...]]:
    """Give a style's tags by category in the template's order, the voice's last, no empty ones."""
    rows = {name: style.tags[name] for name in CATEGORIES if name in style.tags}
    rows |= {name: getattr(style, name) for name in VOCAL_CATEGORIES}
    return {name: tags for name, tags in rows.items() if tags}


def months(style: Style) -> str:
    """Name the months a style belongs to, as "September-November"; "all year" for none."""
    if not style.months:
        return "all year"
    first, last = _MONTHS[style.months[0] - 1], _MONTHS[style.months[-1] - 1]
    return first if first == last else f"{first}-{last}"


_MONTHS = (
    *("January", "February", "March", "April", "May", "June", "July", "August", "September"),
    *("October", "November", "December"),
)


def _score(style: Style, wanted: list[str]) -> int:
    total = 0
    tags = [tag for listed in tag_rows(style).values() for tag in listed]
    texts = (
        (_NAME, f"{style.id} {style.id.replace('-', '')} {style.name} {style.season}"),
        (_TAG, " ".join((*tags, *style.always))),
        (_TEXT, " ".join((style.description, style.group, *style.modes, *style.examples))),
    )
    for word in wanted:
        worth = max((value for value, text in texts if word in fold(text)), default=0)
        if not worth:
            return 0
        total += worth
    return total
