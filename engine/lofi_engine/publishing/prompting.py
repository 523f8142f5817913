"""PROMPTING.md: how to ask the model for what one wants, from the taxonomy it was trained with."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from lofi_runtime.styles.prompts import expand_style
from lofi_runtime.styles.taxonomy import CATEGORIES, GROUPS, Style


def prompting_guide(styles: Mapping[str, Style], seed: int) -> str:
    """Write the guide: the template, then every style with prompts of it, a drawn one first."""
    return "\n".join(_lines(styles, seed)) + "\n"


def _lines(styles: Mapping[str, Style], seed: int) -> Iterator[str]:
    yield "# Prompting"
    yield ""
    yield "The model was trained on tag lists in this order:"
    yield ""
    yield "```"
    yield ", ".join("{" + name + "}" for name in CATEGORIES)
    yield "```"
    yield ""
    yield (
        "Plain words work too; tags it knows work better. Lyrics: `[Instrumental]`, or lines below "
        "`[Verse]`, `[Chorus]`."
    )
    for group in GROUPS:
        yield ""
        yield f"## {group.capitalize()}"
        for style in styles.values():
            if style.group != group:
                continue
            low, high = style.tempo_bpm
            yield ""
            yield f"**{style.id} {style.name}** ({low}-{high} bpm): {style.description}"
            yield ""
            yield f"    {expand_style(style, seed)}"
            yield from (f"    {example}" for example in style.examples)
