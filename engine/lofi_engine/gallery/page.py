"""Writes the gallery's page: plain HTML with its style and script inside, no network."""

from __future__ import annotations

import html
from collections.abc import Sequence
from importlib.resources import files
from typing import TYPE_CHECKING

from lofi_engine.gallery.spectrogram import HEIGHT, WIDTH
from lofi_runtime.styles.taxonomy import GROUPS

if TYPE_CHECKING:
    from lofi_engine.gallery.rendering import Clip

GENERATOR = '<meta name="generator" content="lofi-recipe styles">'
"""What tells our page from somebody else's."""


def write_page(clips: Sequence[Clip], duration_sec: int, seed: int) -> str:
    """Write the page for clips that lie beside it.

    Args:
        clips: in the order they are shown.
        duration_sec: of each clip.
        seed: they were rendered with.

    Returns:
        A whole HTML document; the same clips give the same text.
    """
    template = (files(__package__) / "page.html").read_text(encoding="utf-8")
    groups = [group for group in GROUPS if any(clip.style.group == group for clip in clips)]
    buttons = [_button("all", len(clips), number=0)] + [
        _button(group, sum(clip.style.group == group for clip in clips), number)
        for number, group in enumerate(groups, 1)
    ]
    parts = {
        "generator": GENERATOR,
        "count": str(len(clips)),
        "duration": str(duration_sec),
        "seed": str(seed),
        "buttons": "\n".join(buttons),
        "cards": "\n".join(_card(clip) for clip in clips),
    }
    for name, text in parts.items():
        template = template.replace(f"<!--{name}-->", text)
    return template


def _button(group: str, count: int, number: int) -> str:
    pressed = "true" if number == 0 else "false"
    return (
        f'<button type="button" data-group="{group}" aria-pressed="{pressed}">'
        f"<kbd>{number}</kbd> {group} <span>{count}</span></button>"
    )


def _card(clip: Clip) -> str:
    style, said = clip.style, clip.said
    low, high = style.tempo_bpm
    facts = [
        f"{said['tempo_bpm']:g} bpm <small>of {low}-{high}</small>",
        html.escape(said["key"]),
        html.escape(said["drums"] or "no drums"),
        *(html.escape(name) for name in said["textures"]),
    ]
    name = html.escape(f"{style.id} {style.name}")
    return (
        f'<article id="{style.id}" data-group="{style.group}" tabindex="-1">'
        f"<h2>{html.escape(style.name)} <code>{style.id}</code></h2>"
        f"<p>{html.escape(style.description)}</p>"
        f'<div class="picture"><img src="{clip.picture}" width="{WIDTH}" height="{HEIGHT}" '
        f'loading="lazy" alt="Spectrogram of {name}"><i></i></div>'
        f'<audio controls preload="none" src="{clip.audio}" aria-label="{name}"></audio>'
        f'<p class="facts">{" · ".join(facts)}</p>'
        f'<p class="instruments">{html.escape(", ".join(said["instruments"]))}</p>'
        f"<details><summary>prompt</summary><p>{html.escape(said['prompt'])}</p></details>"
        "</article>"
    )
