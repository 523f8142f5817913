"""Writes the style reference, docs/STYLE_TAGS.md, from the taxonomy and the vocabulary."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from lofi_engine.styles.search import months, tag_rows
from lofi_runtime.styles.taxonomy import CATEGORIES, GROUPS, Style
from lofi_runtime.styles.vocabulary import ALL_CATEGORIES, Vocabulary, fold


def style_reference(styles: Mapping[str, Style], vocabulary: Vocabulary) -> str:
    """Write every style with its tags and example prompts, then every tag, then what contradicts.

    Args:
        styles: the taxonomy.
        vocabulary: the known tags.
    """
    return "\n".join(_lines(styles, vocabulary)) + "\n"


def _lines(styles: Mapping[str, Style], vocabulary: Vocabulary) -> Iterator[str]:
    yield from (
        "# Styles and tags",
        "",
        "Made by `make docs` from `recipes/styles/`, whose README says how to change them.",
        "`lofi-recipe styles` shows the same in a terminal, `lofi-recipe styles --lint` checks a",
        "prompt against it. A prompt is written in this order:",
        "",
        "```",
        ", ".join("{" + name + "}" for name in CATEGORIES),
        "```",
        "",
        "| style | name | tempo | season | characteristics |",
        "|---|---|---|---|---|",
    )
    for style in styles.values():
        low, high = style.tempo_bpm
        yield (
            f"| [`{style.id}`](#{_anchor(style)}) | {style.name} | {low}-{high} bpm "
            f"| {months(style)} | {style.description} |"
        )
    for group in GROUPS:
        yield from ("", f"## {group.capitalize()}")
        for style in styles.values():
            if style.group == group:
                yield from _style(style)
    yield from _vocabulary(vocabulary)


def _style(style: Style) -> Iterator[str]:
    low, high = style.tempo_bpm
    yield from ("", f"### {style.id} {style.name}", "")
    opening = f"{style.description[:1].upper()}{style.description[1:]}."
    yield f"{opening} {low}-{high} bpm; {', '.join(style.modes)}; {months(style)}."
    yield from ("", "| category | tags, the most typical first |", "|---|---|")
    if style.always:
        yield f"| always | {', '.join(style.always)} |"
    for name, tags in tag_rows(style).items():
        yield f"| {name} | {', '.join(tags)} |"
    if style.examples:
        yield from ("", "```", *style.examples, "```")


def _vocabulary(vocabulary: Vocabulary) -> Iterator[str]:
    yield from ("", "## All tags", "", "In brackets, other words that are understood as the tag.")
    for category in ALL_CATEGORIES:
        yield from ("", f"### {category}", "")
        words = [vocabulary.words[fold(tag)] for tag in vocabulary.tags(category)]
        told = []
        for entries in words:
            word = next(entry for entry in entries if entry.category == category)
            told.append(word.tag + (f" ({', '.join(word.same)})" if word.same else ""))
        yield "; ".join(told)
        if category == "tempo":
            yield from ("", "And any tempo as `82 bpm` and any key as `A minor`.")
    yield from ("", "## What contradicts", "", "Of each line a prompt may have tags of one side.")
    yield from ("", "| about | sides |", "|---|---|")
    groups: dict[str, dict[str, list[str]]] = {}
    for tag, sides in vocabulary.sides.items():
        for side in sides:
            name = vocabulary.words[tag][0].tag
            groups.setdefault(side.group, {}).setdefault(side.side, []).append(name)
    for group, named in groups.items():
        shown = " / ".join(f"**{side}**: {', '.join(tags)}" for side, tags in named.items())
        yield f"| {group} | {shown} |"
    yield from (
        "",
        "A tempo word must fit the bpm beside it:",
        "",
        "| word | bpm |",
        "|---|---|",
    )
    for tag in vocabulary.tags("tempo"):
        found = vocabulary.word(tag)
        if found is not None and found.bpm is not None:
            yield f"| {tag} | {found.bpm[0]}-{found.bpm[1]} |"


def _anchor(style: Style) -> str:
    """Give the heading's anchor as Markdown viewers make it."""
    heading = f"{style.id} {style.name}".lower()
    kept = "".join(letter for letter in heading if letter.isalnum() or letter in " -")
    return kept.replace(" ", "-")
